//! Message archives — XEP-0313, XEP-0441, XEP-0359, XEP-0059: what is kept, how it is found, and that it survives.

use crate::common::failing::failing;
use crate::common::rooms::{ROOM, configure, room};
use crate::common::{Client, DOMAIN, attribute, serve, serve_again, serve_over};
use shared_store::{Position, Query};
use xmpp_server::Config;

const RSM: &str = "http://jabber.org/protocol/rsm";

fn query(fields: &str, set: &str) -> String {
    format!(
        "<query xmlns='urn:xmpp:mam:2' queryid='f'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' \
         type='hidden'><value>urn:xmpp:mam:2</value></field>{fields}</x><set xmlns='{RSM}'>{set}</set></query>"
    )
}

fn field(var: &str, value: &str) -> String {
    format!("<field var='{var}'><value>{value}</value></field>")
}

/// Asks, and gathers bodies and ids up to the answer.
async fn find(client: &mut Client, to: &str, query: &str) -> (Vec<String>, Vec<String>, String) {
    let to = if to.is_empty() { String::new() } else { format!(" to='{to}'") };
    client.send(&format!("<iq type='set' id='find'{to}>{query}</iq>")).await;
    let (mut bodies, mut ids) = (Vec::new(), Vec::new());
    loop {
        let next = client.next().await.unwrap();
        if next.contains("id='find'") {
            return (bodies, ids, next);
        }
        let part = |text: &str, before: &str, after: &str| {
            text.split(before).nth(1).and_then(|rest| rest.split(after).next()).unwrap_or_default().to_owned()
        };
        if next.contains("<result") {
            assert!(next.contains("queryid='f'") && next.contains("urn:xmpp:delay"), "{next}");
            bodies.push(part(&next, "<body>", "<"));
            ids.push(part(&part(&next, "<result", ">"), " id='", "'"));
        }
    }
}

fn chat(to: &str, body: &str) -> String {
    format!("<message type='chat' to='{to}'><body>{body}</body></message>")
}

#[tokio::test]
async fn a_conversation_is_found_by_both_in_pages() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    for n in 0..4 {
        alice.send(&chat("bob@example.org", &format!("a{n}"))).await;
        bob.expect(&[&format!("<body>a{n}"), "<stanza-id", "by='bob@example.org'"]).await;
        bob.send(&chat("alice@example.org/a", &format!("b{n}"))).await;
        alice.expect(&[&format!("<body>b{n}"), "by='alice@example.org'"]).await;
    }
    alice.send(&chat("carol@example.org", "c")).await;
    let (bodies, ids, fin) = find(&mut alice, "", &query("", "<max>3</max>")).await;
    assert_eq!(bodies, ["a0", "b0", "a1"]);
    assert!(
        !fin.contains("complete") && fin.contains("<count>9</count>") && fin.contains("<first index='0'"),
        "{fin}"
    );
    let next = format!("<max>3</max><after>{}</after>", ids[2]);
    assert_eq!(find(&mut alice, "", &query("", &next)).await.0, ["b1", "a2", "b2"]);
    let (bodies, _, fin) = find(&mut alice, "", &query("", "<max>2</max><before/>")).await;
    assert_eq!(bodies, ["b3", "c"]);
    // slixmpp takes an index that reaches the count for the end of its way back.
    assert!(fin.contains("<first>") && fin.contains("<count>9<"), "{fin}");
    let (bodies, _, fin) =
        find(&mut alice, "", &query(&field("with", "bob@example.org"), "<max>20</max>")).await;
    assert_eq!(bodies.len(), 8);
    assert!(fin.contains("complete='true'"), "{fin}");
    assert_eq!(find(&mut bob, "", &query("", "")).await.0.len(), 8);
    // Extended: between ids, by ids, flipped, metadata.
    let between = field("after-id", &ids[0]) + &field("before-id", &ids[2]);
    assert_eq!(find(&mut alice, "", &query(&between, "")).await.0, ["b0"]);
    let these = format!("<field var='ids'><value>{}</value><value>{}</value></field>", ids[2], ids[0]);
    assert_eq!(find(&mut alice, "", &query(&these, "")).await.0, ["a0", "a1"]);
    let flipped = query("", "<max>3</max>").replace("</set>", "</set><flip-page/>");
    assert_eq!(find(&mut alice, "", &flipped).await.0, ["a1", "b0", "a0"]);
    let metadata = alice.ask("get", "", "<metadata xmlns='urn:xmpp:mam:2'/>").await;
    assert!(
        metadata.contains(&format!("<start id='{}'", ids[0])) && metadata.contains("<end id="),
        "{metadata}"
    );
    // Errors.
    for (query, condition) in [
        (query("", "<after>none</after>"), "item-not-found"),
        (query(&field("ids", "none"), ""), "item-not-found"),
        (query(&field("after-id", "none"), ""), "item-not-found"),
        (query(&field("{x}y", "1"), ""), "feature-not-implemented"),
        (query(&field("start", "yesterday"), ""), "bad-request"),
    ] {
        let (_, _, answer) = find(&mut alice, "", &query).await;
        assert!(answer.contains(condition), "{query}: {answer}");
    }
    let (_, _, foreign) = find(&mut alice, "bob@example.org", &query("", "")).await;
    assert!(foreign.contains("forbidden"), "{foreign}");
    let form = alice.ask("get", "", "<query xmlns='urn:xmpp:mam:2'/>").await;
    assert!(form.contains("var='before-id'") && form.contains("<open/>"), "{form}");
    let info =
        alice.ask("get", "alice@example.org", "<query xmlns='http://jabber.org/protocol/disco#info'/>").await;
    for feature in ["urn:xmpp:mam:2", "urn:xmpp:mam:2#extended", "urn:xmpp:sid:0"] {
        assert!(info.contains(&format!("var='{feature}'")), "{feature}: {info}");
    }
}

#[tokio::test]
async fn a_page_has_so_many_bytes_and_who_reads_late_gets_every_answer() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    for n in 0..12 {
        alice.send(&chat("carol@example.org", &format!("{n:02}{}", "x".repeat(200_000)))).await;
    }
    alice.send("<iq type='get' id='taken'><ping xmlns='urn:xmpp:ping'/></iq>").await;
    alice.expect(&["id='taken'"]).await;
    let numbers =
        |bodies: Vec<String>| bodies.iter().map(|body| body[..2].parse().unwrap()).collect::<Vec<u32>>();
    let (bodies, ids, fin) = find(&mut alice, "", &query("", "<max>100</max>")).await;
    assert_eq!(numbers(bodies), [0, 1, 2, 3, 4]);
    assert!(!fin.contains("complete") && fin.contains("<count>12</count>") && fin.contains(&ids[4]), "{fin}");
    let after = format!("<max>100</max><after>{}</after>", ids[4]);
    let (bodies, ids, fin) = find(&mut alice, "", &query("", &after)).await;
    assert_eq!((numbers(bodies), fin.contains("complete")), (vec![5, 6, 7, 8, 9], false));
    let after = format!("<max>100</max><after>{}</after>", ids[4]);
    let (bodies, _, fin) = find(&mut alice, "", &query("", &after)).await;
    assert_eq!((numbers(bodies), fin.contains("complete='true'")), (vec![10, 11], true));
    let (bodies, _, fin) = find(&mut alice, "", &query("", "<max>100</max><before/>")).await;
    assert_eq!((numbers(bodies), fin.contains("complete")), (vec![7, 8, 9, 10, 11], false));
    for n in 0..30 {
        alice.send(&format!("<iq type='set' id='late{n}'>{}</iq>", query("", "<max>100</max>"))).await;
    }
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let mut answered = 0;
    while answered < 30 {
        let next = alice.next().await.unwrap();
        if next.contains("<fin") {
            assert!(next.contains(&format!("id='late{answered}'")), "{next}");
            answered += 1;
        }
    }
}

#[tokio::test]
async fn what_is_delivered_is_in_the_archive_already_and_survives() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    alice.send(&chat("bob@example.org", "kept")).await;
    let got = bob.expect(&["<body>kept"]).await;
    let id = attribute(&got, "stanza-id", "id");
    assert!(served.store.archive.entry("bob@example.org", &id).await.unwrap().is_some());
    drop(bob);
    while served.server.sessions() > 1 {
        alice.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
    }
    alice.send(&chat("bob@example.org", "away")).await;
    alice.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
    served.shutdown.begin();
    let served = serve_again(&served, Config::default()).await;
    let mut bob = Client::login(&served, "bob", "b").await;
    let (bodies, ids, _) = find(&mut bob, "", &query("", "")).await;
    assert_eq!(bodies, ["kept", "away"]);
    assert_eq!(ids[0], id);
    bob.send("<presence/>").await;
    bob.expect(&["<body>away", &ids[1]]).await; // the offline message has the id of the archive
}

#[tokio::test]
async fn hints_preferences_and_false_ids_are_minded() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    let forged = "<stanza-id xmlns='urn:xmpp:sid:0' id='forged' by='bob@example.org'/>\
                  <stanza-id xmlns='urn:xmpp:sid:0' id='theirs' by='room@elsewhere.example'/><origin-id xmlns='urn:xmpp:sid:0' id='o'/>";
    alice.send(&format!("<message to='bob@example.org'><body>x</body>{forged}</message>")).await;
    let got = bob.expect(&["<body>x"]).await;
    assert!(!got.contains("forged") && got.contains("theirs") && got.contains("<origin-id"), "{got}");
    let hint =
        "<message to='bob@example.org'><body>secret</body><no-store xmlns='urn:xmpp:hints'/></message>";
    alice.send(hint).await;
    assert!(!bob.expect(&["secret"]).await.contains("stanza-id"));
    let prefs = bob.ask("get", "", "<prefs xmlns='urn:xmpp:mam:2'/>").await;
    assert!(
        prefs.contains("default='always'") && prefs.contains("<always/>") && prefs.contains("<never/>"),
        "{prefs}"
    );
    let set = "<prefs xmlns='urn:xmpp:mam:2' default='always'><always/><never><jid>alice@example.org</jid></never></prefs>";
    assert!(bob.ask("set", "", set).await.contains("<jid>alice@example.org</jid>"));
    alice.send(&chat("bob@example.org", "unkept")).await;
    bob.expect(&["unkept"]).await;
    assert_eq!(find(&mut bob, "", &query("", "")).await.0, ["x"]);
    assert_eq!(find(&mut alice, "", &query("", "")).await.0, ["x", "unkept"]);
    let roster = "<prefs xmlns='urn:xmpp:mam:2' default='roster'/>";
    assert!(bob.ask("set", "", roster).await.contains("default='roster'"));
    alice.send(&chat("bob@example.org", "stranger")).await;
    bob.expect(&["stranger"]).await;
    let item = "<query xmlns='jabber:iq:roster'><item jid='alice@example.org'/></query>";
    assert!(bob.ask("set", "", item).await.contains("result"));
    alice.send(&chat("bob@example.org", "contact")).await;
    bob.expect(&["contact"]).await;
    assert_eq!(find(&mut bob, "", &query("", "")).await.0, ["x", "contact"]);
    assert!(bob.ask("set", "", "<prefs xmlns='urn:xmpp:mam:2' default='x'/>").await.contains("bad-request"));
}

#[tokio::test]
async fn a_rooms_archive_is_for_who_may_enter() {
    let served = serve().await;
    let room = "r@conference.example.org";
    let configure = |fields: &str| {
        format!(
            "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'>{}{fields}</x></query>",
            field("FORM_TYPE", "http://jabber.org/protocol/muc#roomconfig")
        )
    };
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    alice.enter(room, "A").await;
    alice.ask("set", room, &configure(&field("muc#roomconfig_persistentroom", "1"))).await;
    bob.enter(room, "B").await;
    for n in 0..3 {
        bob.send(&format!("<message type='groupchat' to='{room}'><body>m{n}</body></message>")).await;
        bob.expect(&[&format!("<body>m{n}")]).await;
    }
    alice.expect(&["<body>m2"]).await;
    let (bodies, ids, fin) = find(&mut alice, room, &query("", "<max>2</max>")).await;
    assert_eq!(bodies, ["m0", "m1"]);
    assert!(fin.contains("<count>3</count>"), "{fin}");
    alice
        .send(&format!("<iq type='set' id='x' to='{room}'>{}</iq>", query(&field("ids", &ids[0]), "")))
        .await;
    let shown = alice.expect(&["<result"]).await;
    assert!(
        shown.contains("from='r@conference.example.org/B'") && shown.contains("jid='bob@example.org'"),
        "{shown}"
    );
    assert!(!shown.split("<forwarded").nth(1).unwrap().contains(" to='"), "{shown}");
    bob.send(&format!("<iq type='set' id='y' to='{room}'>{}</iq>", query("", ""))).await;
    assert!(!bob.expect(&["<result"]).await.contains("jid='bob"), "bob may not see real addresses");
    bob.expect(&["id='y'"]).await;
    let info = bob.ask("get", room, "<query xmlns='http://jabber.org/protocol/disco#info'/>").await;
    assert!(info.contains("var='urn:xmpp:mam:2#extended'"), "{info}");
    alice.ask("set", room, &configure(&field("muc#roomconfig_membersonly", "1"))).await;
    let mut carol = Client::online(&served, "carol", "c").await;
    let (_, _, refused) = find(&mut carol, room, &query("", "")).await;
    assert!(refused.contains("forbidden"), "{refused}");
}

/// A message of long ago, and one of another kind that has its own term.
async fn long_ago(store: &shared_store::Store, owner: &str, kind: &str) {
    let entry = shared_store::Entry {
        owner: owner.to_owned(),
        id: format!("old {kind}"),
        with: "bob@example.org".to_owned(),
        time: 1_000,
        kind: kind.to_owned(),
        body: b"<message from='bob@example.org/b'><body>long ago</body></message>".to_vec(),
    };
    store.archive.append(&[entry]).await.unwrap();
}

/// Waits until an entry is gone.
async fn gone(store: &shared_store::Store, owner: &str, id: &str) {
    let wait = async {
        while store.archive.entry(owner, id).await.unwrap().is_some() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), wait).await.expect("it is forgotten");
}

#[tokio::test]
async fn archives_forget_what_is_older_than_they_may_remember() {
    let store = shared_store::Store::in_memory();
    for (owner, kind) in
        [("alice@example.org", "message"), ("dev@conference.example.org", "groupchat"), ("calls", "call")]
    {
        long_ago(&store, owner, kind).await;
    }
    let day = std::time::Duration::from_secs(86_400);
    let config = xmpp_server::Config { archive_for: day, ..xmpp_server::Config::default() };
    let served = crate::common::serve_with(config, store).await;
    gone(&served.store, "alice@example.org", "old message").await;
    gone(&served.store, "dev@conference.example.org", "old groupchat").await;
    assert!(
        served.store.archive.entry("calls", "old call").await.unwrap().is_some(),
        "calls have a term of their own"
    );
    let mut alice = Client::online(&served, "alice", "a").await;
    alice.send("<message type='chat' to='bob@example.org'><body>today</body></message>").await;
    alice.send("<iq type='set' id='all'><query xmlns='urn:xmpp:mam:2'/></iq>").await;
    alice.expect(&["<result", "today"]).await;
}

#[tokio::test]
async fn archives_remember_no_more_messages_than_they_may() {
    let round = std::time::Duration::from_millis(10);
    let config =
        xmpp_server::Config { archive_most: 3, archive_round: round, ..xmpp_server::Config::default() };
    let served = crate::common::serve_with(config, shared_store::Store::in_memory()).await;
    long_ago(&served.store, "alice@example.org", "message").await;
    let mut alice = Client::online(&served, "alice", "a").await;
    for n in 0..3 {
        alice.send(&format!("<message type='chat' to='bob@example.org'><body>{n}</body></message>")).await;
    }
    gone(&served.store, "alice@example.org", "old message").await;
    alice.send("<iq type='set' id='all'><query xmlns='urn:xmpp:mam:2'/></iq>").await;
    for n in 0..3 {
        alice.expect(&["<result", &format!("<body>{n}</body>")]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_several_send_at_once_comes_in_the_order_of_the_archive() {
    let served = serve().await;
    let mut bob = Client::online(&served, "bob", "b").await;
    let mut senders = Vec::new();
    for (name, resource) in [("alice", "1"), ("alice", "2"), ("carol", "3")] {
        senders.push(Client::online(&served, name, resource).await);
    }
    let sending = senders.into_iter().map(|mut sender| {
        tokio::spawn(async move {
            for n in 0..EACH {
                sender
                    .send(&format!("<message to='bob@example.org' type='chat'><body>{n}</body></message>"))
                    .await;
            }
            sender
        })
    });
    let sending: Vec<_> = sending.collect();
    let mut live = Vec::new();
    for _ in 0..3 * EACH {
        live.push(attribute(&bob.expect(&["<body>"]).await, "stanza-id", "id"));
    }
    let (mut kept, mut position) = (Vec::new(), Position::First);
    loop {
        let query = Query { position, max: 100, ..Query::default() };
        let page = served.store.archive.page("bob@example.org", &query).await.unwrap();
        kept.extend(page.entries.iter().map(|entry| entry.id.clone()));
        match page.entries.last() {
            Some(last) if !page.complete => position = Position::After(last.id.clone()),
            _ => break,
        }
    }
    assert_eq!(live, kept);
    drop(sending);
}

/// Messages of each sender.
const EACH: usize = 60;
#[tokio::test]
async fn what_cannot_be_kept_for_its_recipient_is_refused_and_not_delivered() {
    let before = serve().await;
    let (store, fault) = failing(&before.store);
    let served = serve_over(&before, Config::default(), store).await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    let card = served.auth.directory.by_jid(&"carol@example.org".parse().unwrap()).await.unwrap().unwrap();
    // What is remembered of accounts is forgotten.
    served.auth.book.set_enabled(card.account, true).await.unwrap();
    fault.set(true);
    alice.send(&chat("bob@example.org", "lost?")).await;
    alice.expect(&["type='error'", "type='wait'", "<resource-constraint"]).await;
    // Nobody takes it for a service that has no roster and no archive.
    for asked in ["<query xmlns='jabber:iq:roster'/>", "<pref xmlns='urn:xmpp:mam:2'/>"] {
        let answer = alice.ask("get", "alice@example.org", asked).await;
        assert!(answer.contains("type='wait'"), "{answer}");
    }
    fault.set(false);
    alice.send(&chat("bob@example.org", "kept")).await;
    bob.expect(&["<body>kept</body>", "<stanza-id", "by='bob@example.org'"]).await;
    let (bodies, ..) = find(&mut bob, "", &query("", "")).await;
    assert_eq!(bodies, ["kept"]);
}

#[tokio::test]
async fn a_rooms_archive_does_not_say_who_is_behind_a_nick() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    assert!(alice.ask("set", ROOM, &configure(&[("persistentroom", "1")])).await.contains("type='result'"));
    let mut carol = Client::online(&served, "carol", "c").await;
    carol.enter(ROOM, "Carol").await;
    bob.say("of bob").await;
    carol.expect(&["of bob"]).await;
    carol.say("of carol").await;
    carol.expect(&["of carol"]).await;
    let with = |jid: &str| query(&field("with", jid), "");
    let (bodies, _, answer) = find(&mut carol, ROOM, &with("bob@example.org")).await;
    assert!(bodies.is_empty() && answer.contains("<forbidden"), "{answer}");
    let (bodies, _, answer) = find(&mut carol, ROOM, &with("nobody@example.org")).await;
    assert!(bodies.is_empty() && answer.contains("<forbidden"), "or she would know who was here: {answer}");
    assert_eq!(find(&mut carol, ROOM, &with("carol@example.org")).await.0, ["of carol"]);
    assert_eq!(find(&mut carol, ROOM, &with(&format!("{ROOM}/Bob"))).await.0, ["of bob"]);
    assert_eq!(find(&mut alice, ROOM, &with("bob@example.org")).await.0, ["of bob"], "she sees addresses");
}

#[tokio::test]
async fn what_one_resource_said_is_found_wherever_it_lies() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    assert!(alice.ask("set", ROOM, &configure(&[("persistentroom", "1")])).await.contains("type='result'"));
    bob.say("first").await;
    for number in 0..300 {
        alice.say(&format!("{number}")).await;
        alice.expect(&[&format!("<body>{number}<")]).await;
    }
    bob.say("second").await;
    bob.expect(&["second"]).await;
    bob.say("third").await;
    bob.expect(&["third"]).await;
    let of_bob = |set: &str| query(&field("with", &format!("{ROOM}/Bob")), set);
    let (bodies, ids, answer) = find(&mut alice, ROOM, &of_bob("<max>2</max>")).await;
    assert!(bodies == ["first", "second"] && !answer.contains("complete='true'"), "{bodies:?} {answer}");
    let next = format!("<max>2</max><after>{}</after>", ids[1]);
    let (bodies, _, answer) = find(&mut alice, ROOM, &of_bob(&next)).await;
    assert!(bodies == ["third"] && answer.contains("complete='true'"), "{bodies:?} {answer}");
    let (bodies, ids, _) = find(&mut alice, ROOM, &of_bob("<max>2</max><before/>")).await;
    assert_eq!(bodies, ["second", "third"]);
    let before = format!("<max>2</max><before>{}</before>", ids[0]);
    assert_eq!(find(&mut alice, ROOM, &of_bob(&before)).await.0, ["first"]);
}

#[tokio::test]
async fn both_archives_have_what_occupants_say_in_private() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    let mut phone = Client::online(&served, "bob", "phone").await;
    phone.enter(ROOM, "Bob").await;
    alice.send(&format!("<message to='{ROOM}/Bob' type='chat'><body>secret</body></message>")).await;
    for client in [&mut bob, &mut phone] {
        let heard = client.expect(&["secret"]).await;
        assert!(heard.contains("by='bob@example.org'"), "{heard}");
    }
    let with = query(&field("with", &format!("{ROOM}/Alice")), "");
    assert_eq!(find(&mut bob, "", &with).await.0, ["secret"], "once, whatever clients he has in the room");
    assert_eq!(find(&mut alice, "", &query(&field("with", ROOM), "")).await.0, ["secret"]);
}
