//! Invitations from their making to their end, over a store in memory.

use shared_store::Store;

use super::*;
use crate::{Auth, Config};

const MINUTE: Duration = Duration::from_secs(60);
const GOOD: &str = "correct-horse-battery";

struct House {
    auth: Auth,
    store: Store,
    folder: std::path::PathBuf,
}

impl Drop for House {
    fn drop(&mut self) {
        // A folder that stays behind in a temporary place harms nobody.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn house() -> House {
    let folder = std::env::temp_dir().join(format!("cusax-invites-{}", hex(&random::<8>())));
    let (store, bus) = (Store::in_memory(), shared_runtime::bus::Bus::new());
    let config = Config { iterations: 4096, ..Config::default() };
    let auth = Auth::open(&config, &store, &folder, &bus, &prometheus::Registry::new()).unwrap();
    House { auth, store, folder }
}

fn any_account() -> Opens {
    let contact = Some("alice@example.org".parse().unwrap());
    Opens::Account { user: None, domain: None, name: "Bobby".to_owned(), admin: false, contact }
}

fn domains() -> Domains {
    Domains::new("example.org", ["example.net"])
}

fn wish<'a>(user: &'a str, password: &'a str) -> Wish<'a> {
    Wish { user, name: "", password }
}

#[tokio::test]
async fn an_invitation_makes_one_account_and_looking_spends_nothing() {
    let house = house();
    let invites = &house.auth.invites;
    let (text, made) = invites.create(&domains(), any_account(), None, MINUTE, 0).await.unwrap();
    assert!(text.len() == 26 && text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    assert_eq!(invites.peek(&text, 1).await.unwrap().as_ref(), Some(&made));
    assert_eq!(invites.list(1).await.unwrap(), [made]);
    let weak = invites.accept(&text, &domains(), wish("bob", "password"), 2).await;
    assert_eq!(weak, Err(InviteError::Weak(WeakPassword::Common)));
    let bad = invites.accept(&text, &domains(), wish("b b", GOOD), 2).await;
    assert_eq!(bad, Err(InviteError::Name(NameError::Characters)));
    let card = invites.accept(&text, &domains(), wish("bob", GOOD), 3).await.unwrap();
    assert_eq!(
        (card.aor.as_str(), card.jid.as_str(), card.name.as_str()),
        ("bob@example.org", "bob@example.org", "Bobby")
    );
    assert_eq!(invites.take_contact(card.account).await.unwrap(), Some("alice@example.org".parse().unwrap()));
    assert_eq!(invites.take_contact(card.account).await.unwrap(), None);
    let again = invites.accept(&text, &domains(), wish("eve", GOOD), 4).await;
    assert_eq!(again, Err(InviteError::Spent));
    assert!(invites.peek(&text, 4).await.unwrap().is_none() && invites.list(4).await.unwrap().is_empty());
}

#[tokio::test]
async fn of_many_who_accept_at_once_one_gets_the_account() {
    let house = house();
    let (text, _) = house.auth.invites.create(&domains(), any_account(), None, MINUTE, 0).await.unwrap();
    let each = (0..8).map(|n| {
        let (invites, text) = (house.auth.invites.clone(), text.clone());
        tokio::spawn(async move {
            invites.accept(&text, &domains(), wish(&format!("user{n}"), GOOD), 1).await.is_ok()
        })
    });
    let mut made = 0;
    for one in each.collect::<Vec<_>>() {
        made += usize::from(one.await.unwrap());
    }
    assert_eq!(made, 1);
    // Two that looked at the same moment: the second comes too late.
    let (text, invite) = house.auth.invites.create(&domains(), any_account(), None, MINUTE, 0).await.unwrap();
    let open = Kept { invite, claim: None, password: None };
    let claim = |account| Claim { account: AccountId(account), since: 1 };
    assert_eq!(house.auth.invites.claim(&text, &open, 1, claim(1), None).await, Ok(()));
    assert_eq!(house.auth.invites.claim(&text, &open, 1, claim(2), None).await, Err(InviteError::Spent));
}

#[tokio::test]
async fn a_name_that_is_taken_spends_nothing_and_leaves_nobody_a_contact() {
    let house = house();
    let invites = &house.auth.invites;
    let (first, _) = invites.create(&domains(), any_account(), None, MINUTE, 0).await.unwrap();
    let (second, _) = invites.create(&domains(), any_account(), None, MINUTE, 0).await.unwrap();
    invites.accept(&first, &domains(), wish("bob", GOOD), 1).await.unwrap();
    let taken = invites.accept(&second, &domains(), wish("Bob", GOOD), 1).await;
    assert!(matches!(taken, Err(InviteError::Book(BookError::Store(StoreError::Taken(_))))), "{taken:?}");
    assert_eq!(house.store.records.list(OWNER, CONTACTS, None, 10).await.unwrap().len(), 1);
    invites.accept(&second, &domains(), wish("carol", GOOD), 2).await.unwrap();
}

#[tokio::test]
async fn a_claim_whose_server_died_is_free_after_a_minute_or_spent_if_its_account_is_there() {
    let house = house();
    let invites = &house.auth.invites;
    let (text, invite) = invites.create(&domains(), any_account(), None, 3 * MINUTE, 0).await.unwrap();
    let claim = Claim { account: AccountId(7), since: 10 };
    let open = Kept { invite, claim: None, password: None };
    invites.claim(&text, &open, 1, claim, None).await.unwrap();
    let early = invites.accept(&text, &domains(), wish("bob", GOOD), 20).await;
    assert_eq!(early, Err(InviteError::Spent));
    assert!(invites.peek(&text, 10 + CLAIM_MILLIS).await.unwrap().is_some());
    let new = NewAccount {
        aor: "bob@example.org".parse().unwrap(),
        jid: "bob@example.org".parse().unwrap(),
        profile: Profile::default(),
    };
    house.auth.book.create_as(AccountId(7), new, GOOD).await.unwrap();
    assert!(invites.peek(&text, 10 + CLAIM_MILLIS).await.unwrap().is_none());
}

#[tokio::test]
async fn the_operator_fixes_names_and_expired_revoked_and_forged_are_alike() {
    let house = house();
    let invites = &house.auth.invites;
    let fixed = |user: &str| Opens::Account {
        user: Some(user.to_owned()),
        domain: None,
        name: String::new(),
        admin: true,
        contact: None,
    };
    assert!(matches!(
        invites.create(&domains(), fixed("b@d"), None, MINUTE, 0).await,
        Err(InviteError::Name(NameError::Characters))
    ));
    let (text, _) = invites.create(&domains(), fixed("postmaster"), None, MINUTE, 0).await.unwrap();
    let card = invites.accept(&text, &domains(), wish("eve", GOOD), 1).await.unwrap();
    assert!(card.aor.local() == "postmaster" && card.admin);
    let (old, _) = invites.create(&domains(), any_account(), None, MINUTE, 0).await.unwrap();
    let (back, invite) = invites.create(&domains(), any_account(), None, MINUTE, 0).await.unwrap();
    assert_eq!(invites.revoke(&invite.id).await, Ok(true));
    assert_eq!(invites.revoke(&invite.id).await, Ok(false));
    for text in [back.as_str(), "forged", ""] {
        assert_eq!(invites.accept(text, &domains(), wish("eve", GOOD), 1).await, Err(InviteError::Spent));
    }
    assert_eq!(invites.accept(&old, &domains(), wish("eve", GOOD), 60_000).await, Err(InviteError::Spent));
    assert!(invites.list(60_000).await.unwrap().is_empty());
    assert!(
        house.store.records.list(OWNER, COLLECTION, None, 10).await.unwrap().is_empty(),
        "what ended is removed"
    );
}

#[tokio::test]
async fn a_password_is_reset_once_and_the_text_is_nowhere_in_the_store() {
    let house = house();
    let invites = &house.auth.invites;
    let (text, _) = invites.create(&domains(), any_account(), None, MINUTE, 0).await.unwrap();
    let card = invites.accept(&text, &domains(), wish("bob", GOOD), 1).await.unwrap();
    let opens = Opens::Password { account: card.account };
    let (text, _) = invites.create(&domains(), opens.clone(), None, 3 * MINUTE, 0).await.unwrap();
    let (second, _) = invites.create(&domains(), opens.clone(), None, MINUTE, 0).await.unwrap();
    for record in house.store.records.list(OWNER, COLLECTION, None, 10).await.unwrap() {
        assert!(!record.key.contains(&text) && !String::from_utf8_lossy(&record.value).contains(&text));
    }
    assert_eq!(invites.accept(&text, &domains(), wish("eve", GOOD), 1).await, Err(InviteError::Spent));
    assert_eq!(invites.reset(&text, "bob12345", 1).await, Err(InviteError::Weak(WeakPassword::IsName)));
    let kept = house.store.records.get(OWNER, COLLECTION, &key(&text)).await.unwrap().unwrap();
    assert_eq!(invites.reset(&text, "another-horse-battery", 1).await.unwrap().account, card.account);
    assert_eq!(invites.reset(&text, "another-horse-battery", 1).await, Err(InviteError::Spent));
    assert_eq!(invites.reset(&second, "another-horse-battery", 1).await, Err(InviteError::Spent));
    assert!(invites.list(1).await.unwrap().is_empty(), "all of them end with the password");
    // As after `kill -9` before it was removed.
    let claim = Some(Claim { account: card.account, since: 1 });
    let kept = write(&Kept { claim, ..read(&kept.value).unwrap() }).unwrap();
    house.store.records.put(OWNER, COLLECTION, &key(&text), &kept, Expected::Anything).await.unwrap();
    let later = 1 + CLAIM_MILLIS;
    let long = invites.create(&domains(), opens, None, 3 * MINUTE, 0).await.unwrap().0;
    assert!(invites.peek(&long, later).await.unwrap().is_some(), "one that is made now is good");
    assert!(invites.peek(&text, later).await.unwrap().is_none(), "it was used");
}

#[tokio::test]
async fn one_account_has_few_invitations_and_a_contact_takes_one() {
    let house = house();
    let invites = &house.auth.invites;
    let by = Some(AccountId(1));
    let contact = || Opens::Contact { contact: "alice@example.org".parse().unwrap() };
    let (text, made) = invites.create(&domains(), contact(), by, MINUTE, 0).await.unwrap();
    assert_eq!(invites.accept(&text, &domains(), wish("eve", GOOD), 1).await, Err(InviteError::Spent));
    assert_eq!(invites.take(&text, 1).await.unwrap(), Some(made));
    assert_eq!(invites.take(&text, 1).await.unwrap(), None);
    for _ in 0..MOST_OF_ONE {
        invites.create(&domains(), contact(), by, MINUTE, 0).await.unwrap();
    }
    assert!(matches!(invites.create(&domains(), contact(), by, MINUTE, 0).await, Err(InviteError::TooMany)));
    assert!(
        invites.create(&domains(), contact(), None, MINUTE, 0).await.is_ok(),
        "the operator's are not counted"
    );
    let new = NewAccount {
        aor: "bob@example.org".parse().unwrap(),
        jid: "bob@example.org".parse().unwrap(),
        profile: Profile::default(),
    };
    let bob = house.auth.book.create(new, GOOD).await.unwrap().account;
    for _ in 0..=MOST_OF_ONE {
        invites.create(&domains(), Opens::Password { account: bob }, by, MINUTE, 0).await.unwrap();
    }
}

#[tokio::test]
async fn the_account_is_of_the_domain_that_the_invitation_says_while_that_is_served() {
    let house = house();
    let invites = &house.auth.invites;
    let to = |domain: Option<&str>| Opens::Account {
        user: Some("bob".to_owned()),
        domain: domain.map(str::to_owned),
        name: String::new(),
        admin: false,
        contact: None,
    };
    for (domain, jid) in [(Some("Example.NET"), "bob@example.net"), (None, "bob@example.org")] {
        let (text, made) = invites.create(&domains(), to(domain), None, MINUTE, 0).await.unwrap();
        assert_eq!(made.domain(&domains()), jid.split('@').nth(1));
        let card = invites.accept(&text, &domains(), wish("", GOOD), 1).await.unwrap();
        assert_eq!((card.aor.as_str(), card.jid.as_str()), (jid, jid));
    }
    let (text, made) = invites.create(&domains(), to(Some("gone.example")), None, MINUTE, 0).await.unwrap();
    assert_eq!(made.domain(&domains()), None);
    let refused = invites.accept(&text, &domains(), wish("", GOOD), 1).await;
    assert_eq!(refused, Err(InviteError::Spent));
}

#[test]
fn an_invitation_of_an_earlier_release_is_to_the_main_domain() {
    let old = r#"{"account":{"user":null,"name":"","admin":false,"contact":null}}"#;
    let opens: Opens = serde_json::from_str(old).unwrap();
    let invite = Invite { id: String::new(), opens, by: None, created: 0, expires: 0 };
    assert_eq!(invite.domain(&domains()), Some("example.org"));
}

#[tokio::test]
async fn a_name_that_an_open_invitation_says_is_kept_for_it() {
    let house = house();
    let invites = &house.auth.invites;
    let domain = domains().main().to_owned();
    let fixed = |user: &str| Opens::Account {
        user: Some(user.to_owned()),
        domain: Some(domain.clone()),
        name: String::new(),
        admin: false,
        contact: None,
    };
    let taken = InviteError::from(StoreError::Taken(Taken::Aor));
    let (text, _) = invites.create(&domains(), fixed("held"), None, MINUTE, 0).await.unwrap();
    assert_eq!(
        invites.create(&domains(), fixed("held"), None, MINUTE, 1).await.map(|_| ()),
        Err(taken.clone())
    );
    let (other, _) = invites.create(&domains(), any_account(), None, 2 * MINUTE, 0).await.unwrap();
    assert_eq!(invites.accept(&other, &domains(), wish("held", GOOD), 1).await, Err(taken.clone()));
    // One that says no domain is to the main one.
    let unsaid = || Opens::Account {
        user: Some("held".to_owned()),
        domain: None,
        name: String::new(),
        admin: false,
        contact: None,
    };
    let refused = invites.create(&domains(), unsaid(), None, MINUTE, 1).await;
    assert_eq!(refused.map(|_| ()), Err(taken.clone()));
    let aor = Aor::new("held", &domain).unwrap();
    assert_eq!(invites.holds(&domains(), &aor, 1).await, Ok(true));
    invites.accept(&text, &domains(), wish("", GOOD), 1).await.unwrap();
    let refused = invites.create(&domains(), unsaid(), None, MINUTE, 1).await;
    assert_eq!(refused.map(|_| ()), Err(taken.clone()), "an account has it");
    assert_eq!(
        invites.create(&domains(), fixed("held"), None, MINUTE, 1).await.map(|_| ()),
        Err(taken),
        "an account has it"
    );
    // One that expired keeps nothing.
    invites.create(&domains(), fixed("late"), None, MINUTE, 0).await.unwrap();
    assert!(invites.accept(&other, &domains(), wish("late", GOOD), 60_001).await.is_ok());
}

#[tokio::test]
async fn nobody_comes_in_by_a_disabled_account_while_it_is_one() {
    let house = house();
    let (invites, book) = (&house.auth.invites, &house.auth.book);
    let address = "alice@example.org";
    let new = NewAccount {
        aor: address.parse().unwrap(),
        jid: address.parse().unwrap(),
        profile: Profile::default(),
    };
    let alice = book.create(new, GOOD).await.unwrap().account;
    let (invited, _) = invites.create(&domains(), any_account(), None, MINUTE, 0).await.unwrap();
    let opens = Opens::Password { account: alice };
    let (reset, _) = invites.create(&domains(), opens, None, MINUTE, 0).await.unwrap();
    book.set_enabled(alice, false).await.unwrap();
    assert!(
        invites.peek(&invited, 1).await.unwrap().is_none()
            && invites.peek(&reset, 1).await.unwrap().is_none()
    );
    assert_eq!(invites.reset(&reset, "another-battery", 1).await, Err(InviteError::Spent));
    assert_eq!(invites.accept(&invited, &domains(), wish("bob", GOOD), 1).await, Err(InviteError::Spent));
    book.set_enabled(alice, true).await.unwrap();
    assert!(invites.reset(&reset, "another-battery", 2).await.is_ok());
    assert!(invites.accept(&invited, &domains(), wish("bob", GOOD), 2).await.is_ok());
}

#[tokio::test]
async fn nobody_comes_in_by_what_a_disabled_administrator_made() {
    let house = house();
    let (invites, book) = (&house.auth.invites, &house.auth.book);
    let new = |address: &str, admin| NewAccount {
        aor: address.parse().unwrap(),
        jid: address.parse().unwrap(),
        profile: Profile { admin, ..Profile::default() },
    };
    let boss = book.create(new("boss@example.org", true), GOOD).await.unwrap().account;
    let bob = book.create(new("bob@example.org", false), GOOD).await.unwrap().account;
    let to = |user: Option<&str>| Opens::Account {
        user: user.map(str::to_owned),
        domain: None,
        name: String::new(),
        admin: true,
        contact: None,
    };
    let mut made = Vec::new();
    // An administrator's are not counted.
    for _ in 0..=MOST_OF_ONE {
        made.push(invites.create(&domains(), to(None), Some(boss), MINUTE, 0).await.unwrap().0);
    }
    made.push(invites.create(&domains(), to(Some("eve")), Some(boss), MINUTE, 0).await.unwrap().0);
    let opens = Opens::Password { account: bob };
    made.push(invites.create(&domains(), opens, Some(boss), MINUTE, 0).await.unwrap().0);
    book.set_enabled(boss, false).await.unwrap();
    for text in &made {
        assert_eq!(invites.peek(text, 1).await.unwrap(), None);
    }
    assert_eq!(invites.accept(&made[0], &domains(), wish("eva", GOOD), 1).await, Err(InviteError::Spent));
    book.set_enabled(boss, true).await.unwrap();
    assert!(invites.peek(&made[0], 1).await.unwrap().is_some());
    book.remove(boss).await.unwrap();
    for text in &made {
        assert_eq!(invites.peek(text, 1).await.unwrap(), None, "who made it is gone");
    }
}
