//! What every backend promises, as one suite. Each backend's tests run it against an empty store.

use std::sync::Arc;

use shared_model::{AccountId, Aor};

use crate::{
    Account, Along, Binding, BindingUpdate, BoundBy, Credentials, Entry, Expected, Place, Position, Query,
    RecordChange, Store, StoreError, Taken,
};

/// Holds an empty store to all promises.
pub async fn run(store: &Store) {
    accounts(store).await;
    changes_along(store).await;
    bindings(store).await;
    records(store).await;
    archive(store).await;
    concurrent_writers(store).await;
}

/// Names are unique and freed; updates need the newest version; pages are in order.
pub async fn accounts(store: &Store) {
    let accounts = &store.accounts;
    let alice = Account { numbers: vec!["+33123456789".to_owned()], ..account(1, "alice") };
    accounts.create(&alice).await.unwrap();
    assert_eq!(accounts.by_id(alice.id).await, Ok(Some(alice.clone())));
    assert_eq!(accounts.by_aor(&alice.aor).await, Ok(Some(alice.clone())));
    assert_eq!(accounts.by_jid(&alice.jid).await, Ok(Some(alice.clone())));
    assert_eq!(accounts.by_number("+33123456789").await, Ok(Some(alice.clone())));
    assert_eq!(accounts.by_number("+33").await, Ok(None));
    let zoe = account(7, "+49301299");
    accounts.create(&zoe).await.unwrap();
    for (number, own, is_found) in [
        ("+33123456789", zoe.id, true),
        ("+3312345", zoe.id, true),
        ("+331234567890", zoe.id, false),
        ("+3312346", zoe.id, false),
        ("+33123456789", alice.id, false),
        ("+49301299", alice.id, true),
        ("+4930129", alice.id, true),
        ("+493013", alice.id, false),
    ] {
        assert_eq!(accounts.do_others_begin_with(number, own).await, Ok(is_found), "{number}");
    }
    assert_eq!(accounts.remove(zoe.id).await, Ok(true));

    let taken = async |account: Account| accounts.create(&account).await.unwrap_err();
    assert_eq!(taken(Account { id: alice.id, ..account(9, "other") }).await, StoreError::Taken(Taken::Id));
    assert_eq!(
        taken(Account { aor: alice.aor.clone(), ..account(9, "other") }).await,
        StoreError::Taken(Taken::Aor)
    );
    assert_eq!(
        taken(Account { jid: alice.jid.clone(), ..account(9, "other") }).await,
        StoreError::Taken(Taken::Jid)
    );
    let number = Account { numbers: alice.numbers.clone(), ..account(9, "other") };
    assert_eq!(taken(number).await, StoreError::Taken(Taken::Number("+33123456789".to_owned())));

    let renamed = Account { display_name: "Alice".to_owned(), numbers: Vec::new(), ..alice.clone() };
    accounts.update(&renamed).await.unwrap();
    assert_eq!(accounts.update(&renamed).await, Err(StoreError::Conflict));
    let stored = accounts.by_id(alice.id).await.unwrap().unwrap();
    assert_eq!((stored.version, stored.display_name.as_str()), (2, "Alice"));
    assert_eq!(accounts.by_number("+33123456789").await, Ok(None));
    assert_eq!(accounts.update(&account(8, "nobody")).await, Err(StoreError::NoSuchAccount));

    accounts.create(&account(2, "bob")).await.unwrap();
    accounts.create(&account(3, "Zoe")).await.unwrap();
    let first = accounts.list(None, 2).await.unwrap();
    let names = |accounts: &[Account]| accounts.iter().map(|a| a.aor.local().to_owned()).collect::<Vec<_>>();
    assert_eq!((names(&first.accounts), first.more), (vec!["alice".to_owned(), "bob".to_owned()], true));
    let last = accounts.list(Some(&first.accounts[1].aor), 2).await.unwrap();
    assert_eq!((names(&last.accounts), last.more), (vec!["zoe".to_owned()], false));

    assert_eq!(accounts.remove(alice.id).await, Ok(true));
    assert_eq!(accounts.remove(alice.id).await, Ok(false));
    assert_eq!(accounts.create(&Account { id: AccountId(4), ..alice }).await, Ok(()));
}

/// What is done along with the change of an account is done with it, or none of it is.
pub async fn changes_along(store: &Store) {
    let key = |key: &str| ("along".to_owned(), "c".to_owned(), key.to_owned());
    let get = async |key: &str| store.records.get("along", "c", key).await.unwrap().map(|it| it.value);
    let noted = async || store.archive.entry("along", "e").await.unwrap().is_some();
    let carol = account(20, "along");
    store.accounts.create(&carol).await.unwrap();
    store.records.put("along", "c", "token", b"1", Expected::Absent).await.unwrap();
    let along = Along {
        spent: vec![key("token")],
        put: vec![(key("told"), b"2".to_vec())],
        entries: vec![Entry { id: "e".to_owned(), ..entry("along", 1) }],
    };
    let old = Account { version: 9, ..carol.clone() };
    assert_eq!(store.accounts.update_along(&old, &along).await, Err(StoreError::Conflict));
    assert_eq!((get("token").await, get("told").await, noted().await), (Some(b"1".to_vec()), None, false));

    store.accounts.update_along(&carol, &along).await.unwrap();
    assert_eq!((get("token").await, get("told").await, noted().await), (None, Some(b"2".to_vec()), true));

    let renamed = Account { display_name: "Carol".to_owned(), version: 2, ..carol.clone() };
    assert_eq!(store.accounts.update_along(&renamed, &along).await, Err(StoreError::Conflict), "it is spent");
    assert_eq!(store.accounts.by_id(carol.id).await.unwrap().unwrap().display_name, carol.display_name);
    assert_eq!(store.accounts.remove(carol.id).await, Ok(true));
    store.records.remove_owner("along").await.unwrap();
    store.archive.remove_owner("along").await.unwrap();
}

/// A REGISTER is whole or nothing; order is kept; what expired is not shown.
pub async fn bindings(store: &Store) {
    let bindings = &store.bindings;
    let aor: Aor = "alice@example.org".parse().unwrap();
    let update = |call_id: &str, cseq, set: Vec<Binding>| BindingUpdate {
        call_id: call_id.to_owned(),
        cseq,
        set,
        limit: 3,
        ..BindingUpdate::default()
    };
    let phone = binding(&aor, "phone", 100);
    let desk = Binding { q: 1000, ..binding(&aor, "desk", 50) };
    let committed =
        bindings.commit(&aor, &update("a", 1, vec![phone.clone(), desk.clone()]), 0).await.unwrap();
    assert_eq!(committed.bindings, [desk.clone(), phone.clone()]);
    assert_eq!(bindings.by_aor(&aor, 0).await, Ok(vec![desk.clone(), phone.clone()]));

    // RFC 3261 §10.3, step 7.
    let again = update("call", 1, vec![Binding { expires: 900, ..phone.clone() }]);
    assert_eq!(bindings.commit(&aor, &again, 0).await, Err(StoreError::OutOfOrder));
    let newer = update("call", 2, vec![Binding { expires: 200, cseq: 2, ..phone.clone() }]);
    assert_eq!(bindings.commit(&aor, &newer, 0).await.unwrap().bindings.len(), 2);

    let many = update("b", 1, vec![binding(&aor, "x", 100), binding(&aor, "y", 100)]);
    assert_eq!(bindings.commit(&aor, &many, 0).await, Err(StoreError::TooMany(3)));
    assert_eq!(bindings.by_aor(&aor, 0).await.unwrap().len(), 2);

    let ending = async |after, until, max| {
        let ending = bindings.ending(after, until, max).await.unwrap();
        ending.into_iter().map(|binding| binding.key).collect::<Vec<_>>()
    };
    assert_eq!(ending(49, 200, 10).await, ["desk", "phone"], "the earliest first");
    assert_eq!(ending(0, 300, 1).await, ["desk"]);
    assert_eq!(ending(50, 199, 10).await, Vec::<String>::new(), "after and not after");

    assert_eq!(bindings.by_aor(&aor, 50).await.unwrap().len(), 1);
    assert_eq!(bindings.expire(50, 10).await, Ok(vec![desk]));
    assert_eq!(bindings.expire(50, 10).await, Ok(Vec::new()));

    let gone = BindingUpdate { remove: vec!["phone".to_owned()], ..update("c", 1, Vec::new()) };
    let committed = bindings.commit(&aor, &gone, 60).await.unwrap();
    assert_eq!((committed.bindings.len(), committed.removed.len()), (0, 1));
    let two = update("d", 1, vec![binding(&aor, "x", 100), binding(&aor, "y", 100)]);
    bindings.commit(&aor, &two, 60).await.unwrap();
    let all = BindingUpdate { remove_all: true, ..update("e", 1, Vec::new()) };
    assert_eq!(bindings.commit(&aor, &all, 60).await.unwrap().removed.len(), 2);
    assert_eq!(bindings.by_aor(&aor, 60).await, Ok(Vec::new()));
}

/// Versions count; beliefs are checked; transactions are whole; taking is once.
pub async fn records(store: &Store) {
    let records = &store.records;
    assert_eq!(records.put("o", "c", "b", b"1", Expected::Absent).await, Ok(1));
    assert_eq!(records.put("o", "c", "b", b"2", Expected::Absent).await, Err(StoreError::Conflict));
    assert_eq!(records.put("o", "c", "b", b"2", Expected::Version(1)).await, Ok(2));
    assert_eq!(records.put("o", "c", "b", b"3", Expected::Version(1)).await, Err(StoreError::Conflict));
    assert_eq!(records.put("o", "c", "b", b"", Expected::Anything).await, Ok(3));
    assert_eq!(records.get("o", "c", "b").await.unwrap().unwrap().value, b"");
    assert_eq!(records.get("o", "other", "b").await, Ok(None));

    let half = [
        RecordChange::put("c", "a", b"x"),
        RecordChange::put("c", "b", b"x").expecting(Expected::Version(99)),
    ];
    assert_eq!(records.commit("o", &half).await, Err(StoreError::Conflict));
    assert_eq!(records.get("o", "c", "a").await, Ok(None));
    let whole = [
        RecordChange::put("c", "a", b"x"),
        RecordChange::put("c", "B", b"x"),
        RecordChange::put("d", "a", b"x"),
        RecordChange::delete("d", "a"),
    ];
    assert_eq!(records.commit("o", &whole).await, Ok(vec![1, 1, 1, 0]));

    let at = |owner, collection, key| Place { owner, collection, key };
    let several = async |places: &[Place<'_>]| {
        let found = records.several(places).await.unwrap();
        found.into_iter().map(|record| record.map(|r| (r.key, r.value, r.version))).collect::<Vec<_>>()
    };
    records.put("q", "c", "b", b"q", Expected::Anything).await.unwrap();
    let (a, b) = (("a".to_owned(), b"x".to_vec(), 1), ("b".to_owned(), Vec::new(), 3));
    let of_q = ("b".to_owned(), b"q".to_vec(), 1);
    let places = [
        at("o", "c", "b"),
        at("o", "d", "a"),
        at("q", "c", "b"),
        at("o", "c", "a"),
        at("b", "c", "o"),
        at("o", "c", "b"),
    ];
    assert_eq!(several(&places).await, [Some(b.clone()), None, Some(of_q), Some(a), None, Some(b.clone())]);
    assert_eq!(several(&[]).await, []);
    assert_eq!(several(&[at("o", "c", "b"); 100]).await, vec![Some(b); 100], "more than a statement holds");
    assert_eq!(records.remove_owner("q").await, Ok(1));

    let keys = async |after: Option<&str>, max| {
        let listed = records.list("o", "c", after, max).await.unwrap();
        listed.into_iter().map(|record| record.key).collect::<Vec<_>>()
    };
    assert_eq!(keys(None, 10).await, ["B", "a", "b"]);
    assert_eq!(keys(None, 1).await, ["B"]);
    assert_eq!(keys(Some("a"), 10).await, ["b"]);

    records.put("o", "c", "z;\u{e9}", b"\x00;1 2\xff", Expected::Anything).await.unwrap();
    let odd = records.list("o", "c", Some("b"), 10).await.unwrap();
    let shown = |r: &crate::Record| (r.key.clone(), r.value.clone(), r.version);
    assert_eq!(
        odd.iter().map(shown).collect::<Vec<_>>(),
        [("z;\u{e9}".to_owned(), b"\x00;1 2\xff".to_vec(), 1)]
    );
    assert_eq!(records.list("o", "none", None, 10).await, Ok(Vec::new()));

    let among = async |owners: &[&str], keys: &[&str]| {
        let mut found = records.among(owners, "c", keys).await.unwrap();
        found.sort_by(|one, other| (&one.0, &one.1.key).cmp(&(&other.0, &other.1.key)));
        found.into_iter().map(|(owner, record)| format!("{owner} {}", record.key)).collect::<Vec<_>>()
    };
    records.put("q", "c", "b", b"q", Expected::Anything).await.unwrap();
    records.put("q", "d", "z", b"q", Expected::Anything).await.unwrap();
    assert_eq!(among(&["q", "o", "n"], &["b", "B", "z"]).await, ["o B", "o b", "q b"]);
    assert_eq!(among(&["q"], &[]).await, Vec::<String>::new());
    assert_eq!(among(&[], &["b"]).await, Vec::<String>::new());
    let many: Vec<String> = (0..600).map(|n| format!("n{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).chain(["q"]).collect();
    assert_eq!(among(&many, &["b"]).await, ["q b"], "more than a statement holds");
    assert_eq!(records.remove_owner("q").await, Ok(2));
    assert_eq!(records.delete("o", "c", "z;\u{e9}").await, Ok(true));

    assert_eq!(records.take("o", "c", "a").await.unwrap().unwrap().value, b"x");
    assert_eq!(records.take("o", "c", "a").await, Ok(None));
    assert_eq!(records.delete("o", "c", "B").await, Ok(true));
    assert_eq!(records.delete("o", "c", "B").await, Ok(false));
    records.put("p", "c", "k", b"", Expected::Anything).await.unwrap();
    assert_eq!(records.remove_owner("o").await, Ok(1));
    assert_eq!(records.remove_owner("p").await, Ok(1));
}

/// Pages go both ways, are filtered and counted; appending twice is harmless.
pub async fn archive(store: &Store) {
    let archive = &store.archive;
    let entries: Vec<Entry> = (0..10).map(|n| entry("alice", n)).collect();
    archive.append(&entries).await.unwrap();
    archive.append(&entries[3..5]).await.unwrap();
    archive.append(&[entry("bob", 0)]).await.unwrap();
    assert_eq!(archive.entry("alice", "3").await, Ok(Some(entries[3].clone())));

    let page = async |query: Query| {
        let page = archive.page("alice", &query).await?;
        let ids = page.entries.iter().map(|entry| entry.id.clone()).collect::<Vec<_>>().join(" ");
        let (count, index) = (page.count.unwrap_or(99), page.index.unwrap_or(99));
        Ok::<_, StoreError>((ids, page.complete, count, index))
    };
    let at = |position, max| Query { position, max, ..Query::default() };
    let after = |id: &str| Position::After(id.to_owned());
    let before = |id: &str| Position::Before(id.to_owned());
    assert_eq!(page(at(Position::First, 3)).await, Ok(("0 1 2".into(), false, 10, 0)));
    assert_eq!(page(at(after("2"), 3)).await, Ok(("3 4 5".into(), false, 10, 3)));
    assert_eq!(page(at(after("6"), 3)).await, Ok(("7 8 9".into(), true, 10, 7)));
    assert_eq!(page(at(Position::Last, 2)).await, Ok(("8 9".into(), false, 10, 8)));
    assert_eq!(page(at(before("8"), 2)).await, Ok(("6 7".into(), false, 10, 6)));
    assert_eq!(page(at(before("2"), 5)).await, Ok(("0 1".into(), true, 10, 0)));
    assert_eq!(page(at(after("9"), 5)).await, Ok((String::new(), true, 10, 0)));
    assert_eq!(page(at(Position::First, 0)).await, Ok((String::new(), false, 10, 0)));
    assert_eq!(page(at(after("none"), 5)).await, Err(StoreError::NoSuchEntry));

    let odd = Query { with: Some("odd".to_owned()), max: 2, ..Query::default() };
    assert_eq!(page(odd.clone()).await, Ok(("1 3".into(), false, 5, 0)));
    assert_eq!(
        page(Query { start: Some(5), end: Some(8), ..odd.clone() }).await,
        Ok(("5 7".into(), true, 2, 0))
    );
    assert_eq!(page(Query { position: after("3"), ..odd }).await, Ok(("5 7".into(), false, 5, 2)));
    let between = Query { after: Some("2".to_owned()), before: Some("6".to_owned()), ..Query::default() };
    assert_eq!(page(between.clone()).await, Ok(("3 4 5".into(), true, 3, 0)));
    assert_eq!(
        page(Query { position: after("3"), max: 1, ..between.clone() }).await,
        Ok(("4".into(), false, 3, 1))
    );
    assert_eq!(
        page(Query { position: Position::Last, max: 2, ..between.clone() }).await,
        Ok(("4 5".into(), false, 3, 1))
    );
    assert_eq!(page(Query { after: Some("none".to_owned()), ..between }).await, Err(StoreError::NoSuchEntry));
    assert_eq!(
        page(Query { most_counted: 9, ..at(Position::First, 3) }).await,
        Ok(("0 1 2".into(), false, 99, 99))
    );
    let calls = Query { kind: Some("call".to_owned()), ..Query::default() };
    assert_eq!(page(calls).await, Ok((String::new(), true, 0, 0)));

    assert_eq!(archive.replace("alice", "0", b"gone").await, Ok(true));
    assert_eq!(archive.replace("alice", "none", b"gone").await, Ok(false));
    assert_eq!(archive.entry("alice", "0").await.unwrap().unwrap().body, b"gone");
    assert_eq!(archive.remove("alice", &["0".to_owned(), "none".to_owned()]).await, Ok(1));
    assert_eq!(archive.remove_older("call", 3, 10).await, Ok(0), "of another kind");
    assert_eq!(archive.remove_older("chat", 3, 1).await, Ok(1));
    assert_eq!(archive.remove_older("chat", 3, 10).await, Ok(2));
    assert_eq!(archive.trim("alice", 4, 0).await, Ok(0));
    assert_eq!(archive.trim("alice", 4, 2).await, Ok(2), "the oldest first");
    assert_eq!(page(at(Position::First, 10)).await, Ok(("5 6 7 8 9".into(), true, 5, 0)));
    assert_eq!(archive.trim("alice", 4, 2).await, Ok(1));
    assert_eq!(page(at(Position::First, 10)).await, Ok(("6 7 8 9".into(), true, 4, 0)));
    assert_eq!(archive.trim("alice", 4, 2).await, Ok(0));
    assert_eq!(archive.remove_owner("alice").await, Ok(4));
}

/// Of many who write the same at once, one wins; no write is lost.
pub async fn concurrent_writers(store: &Store) {
    let racers = (0..16).map(|n| {
        let store = store.clone();
        tokio::spawn(async move { store.accounts.create(&account(100 + n, "racer")).await.is_ok() })
    });
    let mut winners = 0;
    for racer in racers.collect::<Vec<_>>() {
        winners += usize::from(racer.await.unwrap());
    }
    assert_eq!(winners, 1);

    store.records.put("race", "c", "token", b"", Expected::Absent).await.unwrap();
    let takers = (0..16).map(|_| {
        let records = Arc::clone(&store.records);
        tokio::spawn(async move { records.take("race", "c", "token").await.unwrap().is_some() })
    });
    let mut taken = 0;
    for taker in takers.collect::<Vec<_>>() {
        taken += usize::from(taker.await.unwrap());
    }
    assert_eq!(taken, 1);

    let counters = (0..16).map(|_| {
        let records = Arc::clone(&store.records);
        tokio::spawn(
            async move { records.put("race", "c", "counter", b"", Expected::Anything).await.unwrap() },
        )
    });
    let mut versions = Vec::new();
    for counter in counters.collect::<Vec<_>>() {
        versions.push(counter.await.unwrap());
    }
    versions.sort_unstable();
    assert_eq!(versions, (1..=16).collect::<Vec<u64>>());
}

fn account(id: u128, name: &str) -> Account {
    Account {
        id: AccountId(id),
        aor: format!("{name}@example.org").parse().unwrap(),
        jid: format!("{name}@chat.example.org").parse().unwrap(),
        display_name: String::new(),
        numbers: Vec::new(),
        video: false,
        admin: false,
        enabled: true,
        credentials: Credentials::default(),
        app_passwords: Vec::new(),
        version: 1,
    }
}

pub(crate) fn binding(aor: &Aor, key: &str, expires: i64) -> Binding {
    Binding {
        account: AccountId(1),
        aor: aor.clone(),
        key: key.to_owned(),
        contact: format!("sip:{key}@192.0.2.1"),
        instance: String::new(),
        reg_id: Some(1),
        parameters: String::new(),
        path: vec!["<sip:edge.example.org;lr>".to_owned()],
        flow: "7".to_owned(),
        received: "192.0.2.1:5060".parse().ok(),
        call_id: "call".to_owned(),
        cseq: 1,
        q: 500,
        expires,
        node: "a".to_owned(),
        user_agent: "phone".to_owned(),
        updated: 0,
        by: BoundBy::Device("desk".to_owned()),
        name: "Desk \u{f6}".to_owned(),
    }
}

fn entry(owner: &str, n: i64) -> Entry {
    Entry {
        owner: owner.to_owned(),
        id: n.to_string(),
        with: if n % 2 == 1 { "odd" } else { "even" }.to_owned(),
        time: n,
        kind: "chat".to_owned(),
        body: format!("<message>{n}</message>").into_bytes(),
    }
}
