//! What is bound ends with its account (RFC 3261 §10.3): who watches hears it, and nobody else's bindings go.

use crate::common::{DOMAIN, PASSWORD, Phone, Served, serve};
use shared_auth::AccountCard;
use shared_model::{AccountEvent, AccountId, Aor, BindingEvent, CallEvent, Correlation, Event, Fact};
use shared_runtime::bus::{Heard, Subscription};
use shared_runtime::unix_millis;
use shared_store::Query;
use sip_core::header::Name;

/// The user of the next binding that is told to be gone.
async fn unbound(facts: &mut Subscription<Fact>) -> String {
    let next = async {
        loop {
            if let Some(Heard::Fact(Fact {
                event: Event::Binding(BindingEvent::Unbound { aor, .. }), ..
            })) = facts.next().await
            {
                return aor.local().to_owned();
            }
        }
    };
    tokio::time::timeout(crate::common::PATIENCE, next).await.expect("nothing was unbound")
}

async fn card(served: &Served, name: &str) -> AccountCard {
    let aor = Aor::new(name, DOMAIN).unwrap();
    served.auth.directory.by_aor(&aor).await.unwrap().unwrap()
}

async fn bound(served: &Served, aor: &Aor) -> usize {
    served.store.bindings.by_aor(aor, unix_millis()).await.unwrap().len()
}

#[tokio::test]
async fn phones_of_an_account_that_is_disabled_or_removed_are_unbound() {
    let served = serve().await;
    let (alice, bob) = (Phone::registered("alice", &served).await, Phone::registered("bob", &served).await);
    let mut facts = served.bus.subscribe();
    let (alices, bobs) = (card(&served, "alice").await, card(&served, "bob").await);
    served.auth.book.set_enabled(bobs.account, false).await.unwrap();
    assert_eq!(unbound(&mut facts).await, "bob");
    assert_eq!((bound(&served, &bobs.aor).await, bound(&served, &alices.aor).await), (0, 1));
    assert_ne!(bob.register("600").await.status(), 200);
    served.auth.book.remove(alices.account).await.unwrap();
    assert_eq!(unbound(&mut facts).await, "alice");
    assert_eq!(bound(&served, &alices.aor).await, 0);
    drop(alice);
}

/// A phone of bob's with a password of its own.
async fn device(served: &Served, name: &str) -> Phone {
    let bobs = card(served, "bob").await;
    let password = served.auth.book.add_app_password(bobs.account, name, 0).await.unwrap();
    let phone = Phone::new("bob", served).await;
    let register = phone.request("REGISTER", &format!("sip:{DOMAIN}"), &phone.aor());
    assert_eq!(phone.ask(register, &password).await.status(), 200);
    phone
}

async fn contacts(served: &Served, aor: &Aor) -> Vec<String> {
    let own = served.store.bindings.by_aor(aor, unix_millis()).await.unwrap();
    own.into_iter().map(|binding| binding.contact).collect()
}

#[tokio::test]
async fn with_the_password_of_a_device_that_device_is_unbound_alone() {
    let served = serve().await;
    let (bobs, main) = (card(&served, "bob").await, Phone::registered("bob", &served).await);
    let (desk, tablet) = (device(&served, "DESK").await, device(&served, "TABLET").await);
    let mut facts = served.bus.subscribe();
    served.auth.book.remove_app_password(bobs.account, "TABLET").await.unwrap();
    assert_eq!(unbound(&mut facts).await, "bob");
    let left = contacts(&served, &bobs.aor).await;
    assert!(left.contains(&main.contact()) && left.contains(&desk.contact()), "{left:?}");
    assert!(!left.contains(&tablet.contact()), "{left:?}");
}

#[tokio::test]
async fn with_the_main_password_what_it_bound_is_unbound_and_devices_go_on() {
    let served = serve().await;
    let (bobs, main) = (card(&served, "bob").await, Phone::registered("bob", &served).await);
    let desk = device(&served, "DESK").await;
    let mut facts = served.bus.subscribe();
    // A binding of the very millisecond of the change may have been proved by either.
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    served.auth.book.set_password(bobs.account, "another horse").await.unwrap();
    assert_eq!(unbound(&mut facts).await, "bob");
    assert_eq!(contacts(&served, &bobs.aor).await, [desk.contact()]);
    assert_ne!(main.register("600").await.status(), 200);
    let register = main.request("REGISTER", &format!("sip:{DOMAIN}"), &main.aor());
    assert_eq!(main.ask(register, "another horse").await.status(), 200);
    assert_eq!(bound(&served, &bobs.aor).await, 2);
}

#[tokio::test]
async fn a_registration_is_ended_by_its_owner_and_by_nobody_else() {
    let served = serve().await;
    let bob = Phone::registered("bob", &served).await;
    let mut facts = served.bus.subscribe();
    let (alices, bobs) = (card(&served, "alice").await, card(&served, "bob").await);
    let key = served.store.bindings.by_aor(&bobs.aor, unix_millis()).await.unwrap()[0].key.clone();
    let registrations = served.server.registrations();
    assert_eq!(registrations.end(&bobs.aor, alices.account, &key).await, Ok(false));
    assert_eq!(registrations.end(&bobs.aor, bobs.account, "sip:other").await, Ok(false));
    assert_eq!(bound(&served, &bobs.aor).await, 1);
    assert_eq!(registrations.end(&bobs.aor, bobs.account, &key).await, Ok(true));
    assert_eq!(unbound(&mut facts).await, "bob");
    assert_eq!(bound(&served, &bobs.aor).await, 0);
    assert_eq!(bob.register("600").await.status(), 200, "its password holds");
}

async fn history(served: &Served, account: AccountId) -> Vec<serde_json::Value> {
    let page = served.store.archive.page(&account.call_history(), &Query::default()).await.unwrap();
    page.entries.iter().map(|entry| serde_json::from_slice(&entry.body).unwrap()).collect()
}

#[tokio::test]
async fn a_call_is_in_the_history_of_both_sides_and_goes_with_the_account() {
    let served = serve().await;
    let (alice, bob) = (Phone::new("alice", &served).await, Phone::registered("bob", &served).await);
    let call = alice.request("INVITE", "sip:bob@example.org", "sip:bob@example.org");
    let (refused, ()) = tokio::join!(alice.ask(call, PASSWORD), async {
        let incoming = bob.expect("INVITE").await;
        bob.respond(&incoming, 486).await;
    });
    assert_eq!(refused.status(), 486);
    let (alices, bobs) = (card(&served, "alice").await.account, card(&served, "bob").await.account);
    let (made, got) = (history(&served, alices).await, history(&served, bobs).await);
    assert_eq!((made.len(), got.len()), (1, 1), "they are there when the answer is");
    assert_eq!((&made[0]["outgoing"], &got[0]["outgoing"]), (&true.into(), &false.into()));
    assert_eq!((&got[0]["from"], &got[0]["result"]), (&"sip:alice@example.org".into(), &"refused".into()));
    assert!(got[0].get("caller").is_none() && got[0].get("cost").is_none(), "whose account it is stays ours");
    let mut facts = served.bus.subscribe();
    served.auth.book.remove(bobs).await.unwrap();
    assert_eq!(unbound(&mut facts).await, "bob");
    assert!(history(&served, bobs).await.is_empty());
    assert_eq!(history(&served, alices).await.len(), 1);
}

#[tokio::test]
async fn a_call_that_goes_nowhere_is_one_in_the_history_of_who_called_and_is_told() {
    let served = serve().await;
    let (alice, carol) = (Phone::new("alice", &served).await, Phone::new("carol", &served).await);
    let (alices, bobs) = (card(&served, "alice").await.account, card(&served, "bob").await.account);
    let mut facts = served.bus.subscribe();
    for (to, status) in [("bob", 480), ("nobody", 404), ("+4930123456", 404)] {
        let to = format!("sip:{to}@example.org");
        assert_eq!(alice.ask(alice.request("INVITE", &to, &to), PASSWORD).await.status(), status, "{to}");
    }
    let made = history(&served, alices).await;
    let to: Vec<_> = made.iter().map(|call| call["to"].as_str().unwrap()).collect();
    assert_eq!(to, ["sip:bob@example.org", "sip:nobody@example.org", "sip:+4930123456@example.org"]);
    assert!(made.iter().all(|call| call["result"] == "refused"), "{made:?}");
    assert_eq!(history(&served, bobs).await.len(), 1, "he was called, and not reached");
    let mut told = Vec::new();
    while told.len() < 3 {
        let next = tokio::time::timeout(crate::common::PATIENCE, facts.next()).await.expect("it is told");
        if let Some(Heard::Fact(Fact {
            event: Event::Call(CallEvent::Attempted { from, from_uri, to_uri, .. }),
            ..
        })) = next
        {
            assert_eq!((from, &*from_uri), (Some(alices), "sip:alice@example.org"));
            told.push(to_uri);
        }
    }
    // Of strangers there is no end.
    let mut strange = carol.request("INVITE", "sip:nobody@example.org", "sip:nobody@example.org");
    strange.set(Name::From, "<sip:x@example.net>;tag=1");
    carol.send(&strange).await;
    carol.expect("404").await;
    assert_eq!(served.store.archive.page("calls", &Query::default()).await.unwrap().count, Some(3));
}

#[tokio::test]
async fn who_asks_for_privacy_is_nobody_in_the_history_of_whom_they_call() {
    let served = serve().await;
    let (alice, bob) = (Phone::new("alice", &served).await, Phone::registered("bob", &served).await);
    let mut call = alice.request("INVITE", "sip:bob@example.org", "sip:bob@example.org");
    call.push(Name::Privacy, "header;id");
    let (refused, ()) = tokio::join!(alice.ask(call, PASSWORD), async {
        let incoming = bob.expect("INVITE").await;
        bob.respond(&incoming, 486).await;
    });
    assert_eq!(refused.status(), 486);
    let (alices, bobs) = (card(&served, "alice").await.account, card(&served, "bob").await.account);
    let got = served.store.archive.page(&bobs.call_history(), &Query::default()).await.unwrap();
    let body = String::from_utf8(got.entries[0].body.to_vec()).unwrap();
    assert_eq!(got.entries[0].with, "sip:anonymous@anonymous.invalid");
    assert!(!body.contains("alice") && body.contains("sip:anonymous@anonymous.invalid"), "{body}");
    let made = history(&served, alices).await;
    assert_eq!(
        (&made[0]["from"], &made[0]["to"]),
        (&"sip:alice@example.org".into(), &"sip:bob@example.org".into())
    );
}

/// So many facts that who has not listened meanwhile misses the first.
fn flood(served: &Served) {
    for _ in 0..10_000 {
        let account = AccountId(1);
        served.bus.publish(Fact::new(Correlation::of_account(account), AccountEvent::Changed { account }));
    }
}

#[tokio::test]
async fn a_device_that_ended_unheard_is_unbound_and_what_came_after_it_is_not() {
    let served = serve().await;
    let alice = Phone::registered("alice", &served).await;
    let bob = device(&served, "DESK").await;
    let (alices, bobs) = (card(&served, "alice").await, card(&served, "bob").await);
    // Nobody else runs between these two.
    served.auth.book.remove_app_password(bobs.account, "DESK").await.unwrap();
    flood(&served);
    let unbound = async {
        while bound(&served, &bobs.aor).await > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(crate::common::PATIENCE, unbound).await.expect("what ended was not made up for");
    assert_eq!(bound(&served, &alices.aor).await, 1);
    assert_eq!(bob.register("600").await.status(), 200);
    flood(&served);
    let _ = alice.register("600").await; // others run meanwhile
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert_eq!(bound(&served, &bobs.aor).await, 1, "that is newer than what ended");
}
