//! Where calls go and who is told what: rounds, late devices, redirects, dialogs (RFC 3261 §16; RFC 3326, 4028, 5393, 7044).

use std::time::Duration;

use crate::common::{DOMAIN, PASSWORD, Phone, Served, serve, serve_with};
use sip_core::Message;
use sip_core::header::Name;
use sip_server::{Config, Redirect, TimerConfig};

fn to(name: &str) -> String {
    format!("sip:{name}@{DOMAIN}")
}

fn invite(from: &Phone, callee: &str) -> Message {
    from.request("INVITE", &to(callee), &to(callee))
}

/// Alice calls bob and bob answers: the INVITE as it was sent, as it came, and the 200 as alice got it.
async fn call(alice: &Phone, bob: &Phone) -> (Message, Message, Message) {
    let (asked, incoming) = tokio::join!(alice.ask_with(invite(alice, "bob"), PASSWORD), async {
        let incoming = bob.expect("INVITE").await;
        bob.respond(&incoming, 200).await;
        incoming
    });
    let (ok, sent) = asked;
    assert_eq!(ok.status(), 200);
    let number = sent.cseq().unwrap().0;
    alice.send(&alice.in_dialog("ACK", number, &sent, &ok)).await;
    bob.expect("ACK").await;
    (sent, incoming, ok)
}

async fn pair(served: &Served) -> (Phone, Phone) {
    (Phone::new("alice", served).await, Phone::registered("bob", served).await)
}

#[tokio::test]
async fn less_wanted_devices_ring_after_the_others_had_their_time() {
    let timers = TimerConfig { no_answer: Duration::from_millis(300), ..TimerConfig::default() };
    let served = serve_with(Config { timers, ..Config::default() }).await;
    let alice = Phone::new("alice", &served).await;
    let (desk, mobile) = (Phone::new("bob", &served).await, Phone::new("bob", &served).await);
    assert_eq!(desk.register_as(";q=0.9").await.status(), 200);
    assert_eq!(mobile.register_as(";q=0.2").await.status(), 200);
    let story = async {
        let at_desk = desk.expect("INVITE").await;
        desk.respond(&at_desk, 180).await;
        let cancel = desk.expect("CANCEL").await;
        assert_eq!(cancel.value(Name::Reason), Some("SIP;cause=408;text=\"No answer\""));
        desk.respond(&cancel, 200).await;
        desk.respond(&at_desk, 487).await;
        let at_mobile = mobile.expect("INVITE").await;
        mobile.respond(&at_mobile, 200).await;
    };
    let (ringing, ()) = tokio::join!(alice.ask(invite(&alice, "bob"), PASSWORD), story);
    assert_eq!(ringing.status(), 180);
    alice.expect("200").await;
}

#[tokio::test]
async fn a_device_that_registers_while_another_rings_is_rung_too() {
    let served = serve().await;
    let (alice, desk) = pair(&served).await;
    let asked = alice.ask(invite(&alice, "bob"), PASSWORD);
    let story = async {
        let at_desk = desk.expect("INVITE").await;
        desk.respond(&at_desk, 180).await;
        let late = Phone::registered("bob", &served).await;
        let at_late = late.expect("INVITE").await;
        late.respond(&at_late, 200).await;
        let cancel = desk.expect("CANCEL").await;
        assert_eq!(cancel.value(Name::Reason), Some("SIP;cause=200;text=\"Call completed elsewhere\""));
    };
    let (ringing, ()) = tokio::join!(asked, story);
    assert_eq!(ringing.status(), 180);
    alice.expect("200").await;
}

#[tokio::test]
async fn a_refresh_rings_nobody_twice() {
    let served = serve().await;
    let (alice, desk) = pair(&served).await;
    let (ringing, ()) = tokio::join!(alice.ask(invite(&alice, "bob"), PASSWORD), async {
        let at_desk = desk.expect("INVITE").await;
        desk.respond(&at_desk, 180).await;
        assert_eq!(desk.register("3600").await.status(), 200);
        desk.respond(&at_desk, 200).await;
    });
    assert_eq!(ringing.status(), 180);
    alice.expect("200").await;
    // The next thing that the device gets is a new call, not the old one again.
    let options = alice.request("OPTIONS", &to("bob"), &to("bob"));
    let (_, ()) = tokio::join!(alice.ask(options, PASSWORD), async {
        let options = desk.expect("OPTIONS").await;
        desk.respond(&options, 200).await;
    });
}

#[tokio::test]
async fn a_device_that_waits_for_its_turn_is_rung_once_though_it_registers_again() {
    for (q, disposition) in [("0.2", ""), ("0.9", "sequential")] {
        let served = serve().await;
        let alice = Phone::new("alice", &served).await;
        let (desk, mobile) = (Phone::new("bob", &served).await, Phone::new("bob", &served).await);
        assert_eq!(desk.register_as(";q=0.9").await.status(), 200);
        assert_eq!(mobile.register_as(&format!(";q={q}")).await.status(), 200);
        let mut call = invite(&alice, "bob");
        if !disposition.is_empty() {
            call.push(Name::RequestDisposition, disposition);
        }
        let (busy, ()) = tokio::join!(alice.ask(call, PASSWORD), async {
            // Of equal ones either is the first.
            let (first, second, at_first) = tokio::select! {
                at_desk = desk.expect("INVITE") => (&desk, &mobile, at_desk),
                at_mobile = mobile.expect("INVITE") => (&mobile, &desk, at_mobile),
            };
            let q = if std::ptr::eq(second, &mobile) { q } else { "0.9" };
            assert_eq!(second.register_as(&format!(";q={q}")).await.status(), 200);
            let early = tokio::time::timeout(Duration::from_millis(150), second.receive()).await;
            assert!(early.is_err(), "{disposition}: before its turn: {early:?}");
            first.respond(&at_first, 486).await;
            first.expect("ACK").await;
            let at_second = second.expect("INVITE").await;
            second.respond(&at_second, 486).await;
            second.expect("ACK").await;
        });
        assert_eq!(busy.status(), 486, "{disposition}: nobody is left to ring");
    }
}

async fn redirects(bob: &Phone, contact: &str) {
    let incoming = bob.expect("INVITE").await;
    let mut moved = Message::response(&incoming, 302, "");
    moved.push(Name::Contact, contact);
    bob.send(&moved).await;
    bob.expect("ACK").await;
}

#[tokio::test]
async fn a_redirect_to_somebody_of_ours_is_followed_and_its_history_told() {
    let served = serve().await;
    let (alice, bob) = pair(&served).await;
    let carol = Phone::registered("carol", &served).await;
    let story = async {
        redirects(&bob, &format!("<{}>", to("carol"))).await;
        let incoming = carol.expect("INVITE").await;
        carol.respond(&incoming, 200).await;
        incoming
    };
    let (ok, incoming) = tokio::join!(alice.ask(invite(&alice, "bob"), PASSWORD), story);
    assert_eq!(ok.status(), 200);
    let history: Vec<&str> = incoming.elements(Name::HistoryInfo).collect();
    assert_eq!(
        history,
        ["<sip:bob@example.org?Reason=SIP%3Bcause%3D302>;index=1", "<sip:carol@example.org>;index=1.1"],
        "bob's phone does not say how it found carol (RFC 7044 §10.4), and carol's is her own matter"
    );
    assert_eq!(incoming.value(Name::CallInfo), Some("<xmpp:alice.chat@example.org>;purpose=impp"));
    assert_eq!(ok.value(Name::CallInfo), Some("<xmpp:carol.chat@example.org>;purpose=impp"));
}

#[tokio::test]
async fn redirects_end_in_no_circle_and_lead_no_stranger_elsewhere() {
    let served = serve().await;
    let (alice, bob) = pair(&served).await;
    let back = format!("<{}>", bob.contact());
    let (moved, ()) = tokio::join!(alice.ask(invite(&alice, "bob"), PASSWORD), redirects(&bob, &back));
    assert_eq!(moved.status(), 302, "back to where it came from");

    let mut foreign = invite(&alice, "bob");
    foreign.set(Name::From, "<sip:someone@elsewhere.example>;tag=1");
    alice.send(&foreign).await;
    redirects(&bob, "<sip:victim@192.0.2.1>").await;
    alice.expect("302").await;
}

#[tokio::test]
async fn redirects_are_passed_where_policy_says_so() {
    let served = serve_with(Config { redirect: Redirect::Pass, ..Config::default() }).await;
    let (alice, bob) = pair(&served).await;
    let _carol = Phone::registered("carol", &served).await;
    let onward = format!("<{}>", to("carol"));
    let (moved, ()) = tokio::join!(alice.ask(invite(&alice, "bob"), PASSWORD), redirects(&bob, &onward));
    assert_eq!(moved.status(), 302);
}

#[tokio::test]
async fn a_callers_reason_reaches_the_callee() {
    let served = serve().await;
    let (alice, bob) = pair(&served).await;
    let (asked, incoming) = tokio::join!(alice.ask_with(invite(&alice, "bob"), PASSWORD), async {
        let incoming = bob.expect("INVITE").await;
        bob.respond(&incoming, 180).await;
        incoming
    });
    let mut cancel = Message::cancel(&asked.1);
    cancel.push(Name::Reason, "Q.850;cause=16");
    alice.send(&cancel).await;
    let cancel = bob.expect("CANCEL").await;
    assert_eq!(cancel.value(Name::Reason), Some("Q.850;cause=16"));
    bob.respond(&cancel, 200).await;
    bob.respond(&incoming, 487).await;
}

#[tokio::test]
async fn who_is_in_no_dialog_is_answered_481_and_led_nowhere() {
    let served = serve().await;
    let (alice, bob) = pair(&served).await;
    let (sent, _, ok) = call(&alice, &bob).await;
    // Another dialog's tokens, and a Route that only looks like ours.
    let mut stolen = alice.in_dialog("BYE", 9_000, &sent, &ok);
    stolen.set(Name::CallId, "of-nobody");
    alice.send(&stolen).await;
    alice.expect("481").await;
    let mut relayed = alice.request("INFO", "sip:victim@192.0.2.1", "sip:victim@192.0.2.1");
    relayed.set(Name::To, "<sip:victim@192.0.2.1>;tag=1");
    relayed.push(Name::Route, &format!("<sip:x@{};lr>", served.server.bound().udp[0]));
    alice.send(&relayed).await;
    alice.expect("481").await;
    // The call is known, and its caller; whom they mean is not in it.
    let mut mistaken = alice.in_dialog("INFO", 9_000, &sent, &ok);
    mistaken.remove(Name::Route);
    mistaken.set(Name::To, &format!("<sip:bob@{DOMAIN}>;tag=another"));
    alice.send(&mistaken).await;
    alice.expect("481").await;
    let mut unrouted = alice.in_dialog("BYE", 9_001, &sent, &ok);
    unrouted.remove(Name::Route);
    alice.send(&unrouted).await;
    bob.expect("BYE").await;
}

#[tokio::test]
async fn a_call_outlives_the_server_that_set_it_up() {
    let served = serve().await;
    let (mut alice, mut bob) = pair(&served).await;
    let (sent, _, ok) = call(&alice, &bob).await;
    let served = served.restart().await;
    alice.move_to(&served);
    bob.move_to(&served);
    alice.send(&alice.in_dialog("BYE", 9_000, &sent, &ok)).await;
    let bye = bob.expect("BYE").await;
    bob.respond(&bye, 200).await;
    alice.expect("200").await;
}

#[tokio::test]
async fn sessions_get_our_timer_and_too_short_ones_are_refused() {
    let served = serve().await;
    let (alice, bob) = pair(&served).await;
    let mut short = invite(&alice, "bob");
    short.push(Name::SessionExpires, "30");
    short.push(Name::Supported, "timer");
    alice.send(&short).await;
    assert_eq!(alice.expect("422").await.value(Name::MinSe), Some("90"));
    let mut known = invite(&alice, "bob");
    known.push(Name::Supported, "timer");
    let (ok, incoming) = tokio::join!(alice.ask(known, PASSWORD), async {
        let incoming = bob.expect("INVITE").await;
        bob.respond(&incoming, 200).await;
        incoming
    });
    assert_eq!(incoming.value(Name::SessionExpires), Some("1800"));
    assert_eq!(ok.value(Name::SessionExpires), Some("1800;refresher=uac"));
}

#[tokio::test]
async fn a_request_without_breadth_forks_no_more() {
    let served = serve().await;
    let (alice, _bob) = pair(&served).await;
    let mut narrow = invite(&alice, "bob");
    narrow.push(Name::MaxBreadth, "0");
    assert_eq!(alice.ask(narrow, PASSWORD).await.status(), 440);
}

/// RFC 5393 §4.2: what comes back with what routing looks at as it was, loops; a hop of another phone's in between changes nothing.
#[tokio::test]
async fn a_call_that_a_phone_sends_back_is_a_loop() {
    let served = serve().await;
    let (alice, bob) = pair(&served).await;
    let (looped, ()) = tokio::join!(alice.ask(invite(&alice, "bob"), PASSWORD), async {
        let mut incoming = bob.expect("INVITE").await;
        let came = incoming.clone();
        incoming.set_uri(&bob.aor());
        let at = bob.address();
        incoming.push_front(Name::Via, &format!("SIP/2.0/UDP {at};rport;branch=z9hG4bKback"));
        incoming.set(Name::MaxForwards, "68");
        bob.send(&incoming).await;
        let answer = bob.expect("482").await;
        bob.send(&Message::ack(&incoming, &answer)).await;
        bob.respond(&came, 482).await;
    });
    assert_eq!(looped.status(), 482);
}

#[tokio::test]
async fn of_a_redirects_contacts_the_most_wanted_is_rung_first() {
    let served = serve_with(Config { redirect: Redirect::Follow, ..Config::default() }).await;
    let alice = Phone::new("alice", &served).await;
    let bob = Phone::registered("bob", &served).await;
    let (high, low) = (Phone::new("high", &served).await, Phone::new("low", &served).await);
    let call = invite(&alice, "bob");
    let (busy, ()) = tokio::join!(alice.ask(call, PASSWORD), async {
        let first = bob.expect("INVITE").await;
        let mut moved = Message::response(&first, 302, "");
        moved.ensure_to_tag("bobtag");
        moved.push(Name::Contact, &format!("<{}>;q=0.1, <{}>;q=0.9", low.contact(), high.contact()));
        bob.send(&moved).await;
        let second = high.expect("INVITE").await;
        let early = tokio::time::timeout(std::time::Duration::from_millis(150), low.receive()).await;
        assert!(early.is_err(), "one after the other: {early:?}");
        high.respond(&second, 480).await;
        let third = low.expect("INVITE").await;
        low.respond(&third, 486).await;
    });
    assert!([480, 486].contains(&busy.status()));
}

#[tokio::test]
async fn who_gives_up_while_a_name_is_looked_up_is_told_so_at_once() {
    let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let dns = vec![silent.local_addr().unwrap()];
    let served = serve_with(Config { dns, ..Config::default() }).await;
    let alice = Phone::new("alice", &served).await;
    let call = alice.request("INVITE", "sip:far@far.example", "sip:far@far.example");
    let (ended, ()) = tokio::join!(alice.ask_proving(call.clone(), PASSWORD), async {
        let mut asked = [0; 512];
        silent.recv(&mut asked).await.unwrap();
        let mut cancel = Message::request("CANCEL", call.uri());
        for name in [Name::Via, Name::From, Name::To, Name::CallId] {
            cancel.push(name, call.value(name).unwrap());
        }
        cancel.push(Name::CSeq, &format!("{} CANCEL", call.cseq().unwrap().0));
        alice.send(&cancel).await;
    });
    // The CANCEL and the INVITE are answered in either order.
    let other = alice.receive().await;
    let mut both = [ended.status(), other.status()];
    both.sort_unstable();
    assert_eq!(both, [200, 487]);
}

/// §16.8, §9.1: a phone that is lost while it rings says nothing to its CANCEL; the caller does not wait for that.
#[tokio::test]
async fn a_phone_that_is_lost_while_it_rings_keeps_nobody_waiting() {
    let timers = TimerConfig { no_answer: Duration::from_millis(300), ..TimerConfig::default() };
    let served = serve_with(Config { timers, ..Config::default() }).await;
    let (alice, bob) = pair(&served).await;
    let story = async {
        let at_bob = bob.expect("INVITE").await;
        bob.respond(&at_bob, 180).await;
        bob.expect("CANCEL").await;
    };
    let (ringing, ()) = tokio::join!(alice.ask(invite(&alice, "bob"), PASSWORD), story);
    assert_eq!(ringing.status(), 180);
    // Within the patience of a test, which is less than 64*T1.
    alice.expect("408").await;
}
