//! What callers prefer, over real sockets (RFC 3841): which devices ring, and in which order.

use std::time::Duration;

use crate::common::{DOMAIN, PASSWORD, Phone, Served, serve};
use sip_core::Message;
use sip_core::header::Name;
use tokio::time::timeout;

/// bob's phone, whose Contact has these parameters.
async fn bob(served: &Served, parameters: &str) -> Phone {
    let phone = Phone::new("bob", served).await;
    assert_eq!(phone.register_as(parameters).await.status(), 200);
    phone
}

fn call(alice: &Phone, headers: &[(Name, &str)]) -> Message {
    let uri = format!("sip:bob@{DOMAIN}");
    let mut call = alice.request("INVITE", &uri, &uri);
    for (name, value) in headers {
        call.push(*name, value);
    }
    call
}

/// Each of these is rung after the one before has said that it is busy, and nobody else is.
async fn busy_in_turn(phones: &[&Phone], others: &[&Phone]) {
    for phone in phones {
        let incoming = phone.expect("INVITE").await;
        phone.respond(&incoming, 486).await;
        phone.expect("ACK").await;
    }
    for other in others {
        assert!(timeout(Duration::from_millis(100), other.receive()).await.is_err(), "it is not wanted");
    }
}

const DESK: &str =
    ";audio;mobility=\"fixed\";methods=\"INVITE,ACK,CANCEL,BYE,OPTIONS\";+sip.instance=\"<urn:uuid:1>\"";
const MOBILE: &str = ";audio;video;mobility=\"mobile\";+sip.instance=\"<urn:uuid:2>\"";
const BARE: &str = "";

#[tokio::test]
async fn the_devices_that_a_caller_wants_ring_and_first_those_that_suit_best() {
    let served = serve().await;
    let alice = Phone::new("alice", &served).await;
    let (desk, mobile) = (bob(&served, DESK).await, bob(&served, MOBILE).await);
    for (name, rule, wanted, others) in [
        (Name::AcceptContact, "*;mobility=\"mobile\"", vec![&mobile, &desk], vec![]),
        (Name::AcceptContact, "*;mobility=\"fixed\"", vec![&desk, &mobile], vec![]),
        (Name::AcceptContact, "*;video;require;explicit", vec![&mobile], vec![&desk]),
        (Name::AcceptContact, "*;methods=\"UPDATE\";require", vec![&mobile], vec![&desk]),
        (Name::RejectContact, "*;mobility=\"mobile\"", vec![&desk], vec![&mobile]),
    ] {
        let story = busy_in_turn(&wanted, &others);
        let (busy, ()) = tokio::join!(alice.ask(call(&alice, &[(name, rule)]), PASSWORD), story);
        assert_eq!(busy.status(), 486, "{rule}");
    }
    let nobody = (Name::AcceptContact, "*;+sip.automata-of-mine;require;explicit");
    assert_eq!(alice.ask(call(&alice, &[nobody]), PASSWORD).await.status(), 480);
    // Who says nothing of itself is wanted by everybody.
    let bare = bob(&served, BARE).await;
    let (wanted, others) = ([&bare], [&desk, &mobile]);
    let story = busy_in_turn(&wanted, &others);
    let (busy, ()) = tokio::join!(alice.ask(call(&alice, &[nobody]), PASSWORD), story);
    assert_eq!(busy.status(), 486);
}

#[tokio::test]
async fn a_method_that_devices_do_not_know_is_theirs_to_refuse_only_if_nobody_knows_it() {
    let served = serve().await;
    let alice = Phone::new("alice", &served).await;
    let options = |alice: &Phone| {
        let uri = format!("sip:bob@{DOMAIN}");
        alice.request("OPTIONS", &uri, &uri)
    };
    let camera = bob(&served, ";video;methods=\"INVITE,ACK,BYE,CANCEL\"").await;
    let (refused, ()) = tokio::join!(alice.ask(options(&alice), PASSWORD), async {
        let asked = camera.expect("OPTIONS").await;
        camera.respond(&asked, 405).await;
    });
    assert_eq!(refused.status(), 405);
    let desk = bob(&served, DESK).await;
    let (fine, ()) = tokio::join!(alice.ask(options(&alice), PASSWORD), async {
        let asked = desk.expect("OPTIONS").await;
        desk.respond(&asked, 200).await;
        assert!(timeout(Duration::from_millis(100), camera.receive()).await.is_err());
    });
    assert_eq!(fine.status(), 200);
}

#[tokio::test]
async fn devices_are_tried_as_the_caller_wants_it() {
    let served = serve().await;
    let alice = Phone::new("alice", &served).await;
    let (desk, mobile) = (bob(&served, DESK).await, bob(&served, &format!("{MOBILE};q=0.5")).await);
    let wish = |wish| call(&alice, &[(Name::RequestDisposition, wish)]);
    let (best, other) = ([&desk], [&mobile]);
    let (busy, ()) = tokio::join!(alice.ask(wish("no-fork"), PASSWORD), busy_in_turn(&best, &other));
    assert_eq!(busy.status(), 486);
    // q is the callee's word; a caller in a hurry may have all at once.
    let (busy, ()) = tokio::join!(alice.ask(wish("parallel"), PASSWORD), async {
        let (at_desk, at_mobile) = (desk.expect("INVITE").await, mobile.expect("INVITE").await);
        for (phone, incoming) in [(&desk, at_desk), (&mobile, at_mobile)] {
            phone.respond(&incoming, 486).await;
            phone.expect("ACK").await;
        }
    });
    assert_eq!(busy.status(), 486);
    assert_eq!(mobile.register_as(MOBILE).await.status(), 200);
    let (busy, ()) = tokio::join!(alice.ask(wish("sequential"), PASSWORD), async {
        let (first, incoming, second) = tokio::select! {
            incoming = desk.expect("INVITE") => (&desk, incoming, &mobile),
            incoming = mobile.expect("INVITE") => (&mobile, incoming, &desk),
        };
        assert!(timeout(Duration::from_millis(100), second.receive()).await.is_err(), "both ring");
        first.respond(&incoming, 486).await;
        first.expect("ACK").await;
        busy_in_turn(&[second], &[]).await;
    });
    assert_eq!(busy.status(), 486);
}

#[tokio::test]
async fn a_caller_keeps_branches_and_follows_redirects_itself_if_it_says_so() {
    let served = serve().await;
    let alice = Phone::new("alice", &served).await;
    let (desk, carol) = (bob(&served, DESK).await, Phone::registered("carol", &served).await);
    let moved = call(&alice, &[(Name::RequestDisposition, "no-recurse")]);
    let (moved, ()) = tokio::join!(alice.ask(moved, PASSWORD), async {
        let incoming = desk.expect("INVITE").await;
        let mut moved = Message::response(&incoming, 302, "");
        moved.push(Name::Contact, &format!("<sip:carol@{DOMAIN}>"));
        desk.send(&moved).await;
        desk.expect("ACK").await;
        assert!(timeout(Duration::from_millis(100), carol.receive()).await.is_err());
    });
    assert_eq!(moved.status(), 302);
    let mobile = bob(&served, MOBILE).await;
    let both = call(&alice, &[(Name::RequestDisposition, "no-cancel")]);
    let (first, at_mobile) = tokio::join!(alice.ask(both, PASSWORD), async {
        let (at_desk, at_mobile) = (desk.expect("INVITE").await, mobile.expect("INVITE").await);
        desk.respond(&at_desk, 200).await;
        at_mobile
    });
    assert_eq!(first.status(), 200);
    assert!(timeout(Duration::from_millis(100), mobile.receive()).await.is_err(), "it rings on");
    mobile.respond(&at_mobile, 200).await;
    let second = alice.expect("200").await;
    assert_ne!(first.to_tag(), second.to_tag(), "and the caller has both");
}

#[tokio::test]
async fn the_extension_is_known_and_too_many_rules_are_not_read() {
    let served = serve().await;
    let alice = Phone::new("alice", &served).await;
    let desk = bob(&served, DESK).await;
    let asked = call(&alice, &[(Name::ProxyRequire, "pref")]);
    let only = [&desk];
    let (busy, ()) = tokio::join!(alice.ask(asked, PASSWORD), busy_in_turn(&only, &[]));
    assert_eq!(busy.status(), 486);
    let mut register = desk.request("REGISTER", &format!("sip:{DOMAIN}"), &desk.aor());
    register.push(Name::Require, "pref");
    assert_eq!(desk.ask(register, PASSWORD).await.status(), 200);
    let many = call(&alice, &[(Name::RejectContact, &["*;audio"; 21].join(", "))]);
    assert_eq!(alice.ask(many, PASSWORD).await.status(), 400);
}
