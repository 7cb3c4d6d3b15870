//! Who watches a conference of many: what one document does not hold comes in the next.

use conference::Config;
use shared_model::{Affiliation, Audio, Mailboxes, Role};
use sip_core::{Message, Name};
use std::time::Duration;

use crate::house::{House, URI, jid, occupant, talk};

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_by_datagrams_hears_of_a_room_that_one_does_not_hold() {
    let house = House::start().await;
    let everybody = || (0..400).map(|n| occupant(&format!("occupant-{n}"), Role::Participant));
    house.occupants(everybody().collect());
    let mut watcher = house.watch("carol").await;
    let (mut told, mut count) = (Vec::new(), 0);
    while count < 400 {
        let document = watcher.document().await;
        assert!(document.len() < 50_000, "{}", document.len());
        assert!(document.contains("<user-count>400</user-count>"));
        count += document.matches("<user entity=").count();
        told.push(document);
    }
    assert_eq!(count, 400, "each once");
    assert!(told.len() > 2 && told[0].contains("state=\"full\" version=\"0\""));
    for (n, document) in told.iter().enumerate().skip(1) {
        assert!(document.contains(&format!("state=\"partial\" version=\"{n}\"")), "RFC 4575 §4.6");
    }
    // One NOTIFY is all that a fetch gets, so that it holds what fits.
    let mut fetcher = house.silent_phone("bob").await;
    let fetched = fetcher.send("SUBSCRIBE", &[("Event", "conference"), ("Expires", "0")]).await;
    assert_eq!(fetched.status(), 200);
    let last = fetcher.request("NOTIFY").await;
    assert_eq!(last.value(Name::SubscriptionState), Some("terminated;reason=timeout"));
    let text = String::from_utf8_lossy(last.body()).into_owned();
    assert!(text.len() < 50_000 && text.contains("<user-count>400</user-count>"), "{}", text.len());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_hears_how_many_fit() {
    let house = House::start_with(Config { legs: 7, ..Config::default() }).await;
    let mut watcher = house.watch("carol").await;
    let first = watcher.document().await;
    let count = "<maximum-user-count>7</maximum-user-count><available-media>";
    assert!(first.contains(count), "RFC 4575 §5.3.3: {first}");
    house.stop().await;
}

/// RFC 4575 §5.7.5, §5.8.4.
#[tokio::test(flavor = "multi_thread")]
async fn who_watches_hears_since_when_and_by_which_source_somebody_speaks() {
    let house = House::start().await;
    let mut alice = [house.call("alice", 440.0).await];
    house.until_audio("alice", Audio::SendReceive).await;
    let mut watcher = house.watch("carol").await;
    let first = watcher.document().await;
    let joined = "<joining-method>dialed-in</joining-method><joining-info><when>2";
    assert!(first.contains(joined) && !first.contains("<src-id>"), "{first}");
    talk::<1>(&mut alice, 60);
    let source = "<label>audio</label><src-id>117901063</src-id><status>sendrecv</status>";
    while !watcher.document().await.contains(source) {}
    house.stop().await;
}

/// RFC 4575 §5.7.2, §5.7.6, §5.7.9, §5.6.4.
#[tokio::test(flavor = "multi_thread")]
async fn who_moderates_hears_whose_call_failed_who_wanted_it_and_which_dialogs_there_are() {
    let mut house = House::start().await;
    house.affiliations(vec![(jid("carol"), Affiliation::Owner)]);
    let mut alice = house.phone_of("alice", 440.0).await;
    alice.uri = URI.to_owned();
    assert_eq!(alice.invite_with("Accept-Language", "de;q=0.9, en-GB, *, 1x").await.status(), 200);
    house.until_audio("alice", Audio::SendReceive).await;
    let (mut owner, mut other) = (house.watch("carol").await, house.watch("bob").await);
    let told = owner.document().await;
    let dialog = format!("<call-info><sip><call-id>{}</call-id><from-tag>", alice.call_id);
    assert!(told.contains(&dialog) && told.contains("<languages>de en-GB</languages>"), "{told}");
    assert!(!other.document().await.contains("call-info"), "§5.7.9");
    let refer = [("Refer-To", "<sip:bob@example.org>"), ("Refer-Sub", "false")];
    assert_eq!(alice.send("REFER", &refer).await.status(), 202);
    let incoming = tokio::time::timeout(Duration::from_secs(10), house.called.recv()).await.unwrap().unwrap();
    incoming.server.respond(Message::response(&incoming.request, 486, ""));
    let mut told = owner.document().await;
    if told.contains("<status>dialing-out</status>") {
        told = owner.document().await;
    }
    let by = "</when><by>sip:alice@example.org</by>";
    assert!(
        told.contains("<user entity=\"sip:bob@example.org\"") && told.contains("<referred><when>"),
        "{told}"
    );
    assert!(
        told.contains(&format!("{by}</referred><status>disconnected</status><disconnection-method>busy<")),
        "{told}"
    );
    let busy = "<reason>Reason: SIP;cause=486;text=&quot;Busy Here&quot;</reason><by>sip:alice@";
    assert!(told.contains(busy) && told.contains("<user-count>1</user-count>"), "{told}");
    house.stop().await;
}

/// RFC 6665 §4.1.3, §4.4.1: who watches subscribes anew a little later.
#[tokio::test(flavor = "multi_thread")]
async fn who_watches_is_told_that_the_service_stops() {
    let house = House::start().await;
    let (mut outside, mut inside) = (house.watch("carol").await, house.call("bob", 440.0).await);
    let mut lamp = house.silent_phone("alice").await;
    lamp.uri = house.focus.watched();
    let packages = ["conference", "message-summary"].map(|package| [("Event", package), ("Expires", "600")]);
    assert_eq!(inside.send("SUBSCRIBE", &packages[0]).await.status(), 200);
    assert_eq!(lamp.send("SUBSCRIBE", &packages[1]).await.status(), 200);
    for phone in [&mut outside, &mut inside, &mut lamp] {
        assert!(phone.request("NOTIFY").await.value(Name::SubscriptionState).unwrap().starts_with("active"));
    }
    house.begin_to_stop().await;
    for (phone, package) in [(outside, "conference"), (inside, "conference"), (lamp, "message-summary")] {
        let (mut phone, mut states) = (phone, Vec::new());
        while states.last().is_none_or(|state: &String| state.starts_with("active")) {
            let notify = phone.request("NOTIFY").await;
            assert_eq!(notify.value(Name::Event), Some(package));
            states.push(notify.value(Name::SubscriptionState).unwrap().to_owned());
        }
        assert!(states.last().unwrap().starts_with("terminated;reason=probation;retry-after="), "{states:?}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_stops_does_not_wait_for_who_is_gone() {
    let house = House::start().await;
    let (mut watcher, mut lamp) = (house.watch("carol").await, house.silent_phone("alice").await);
    lamp.uri = house.focus.watched();
    let wanted = [("Event", "message-summary"), ("Expires", "600")];
    assert_eq!(lamp.send("SUBSCRIBE", &wanted).await.status(), 200);
    for phone in [&mut watcher, &mut lamp] {
        phone.request("NOTIFY").await;
        phone.is_gone.store(true, std::sync::atomic::Ordering::Relaxed);
    }
    let took = house.begin_to_stop().await;
    assert!(took < std::time::Duration::from_secs(2), "{took:?}");
    for phone in [&mut watcher, &mut lamp] {
        let told = phone.request("NOTIFY").await;
        let state = told.value(Name::SubscriptionState).unwrap();
        assert!(state.starts_with("terminated;reason=probation;retry-after="), "{state}");
    }
    house.stop().await;
}
