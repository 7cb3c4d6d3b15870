//! What becomes of calls that somebody had the focus make: who hears of it, for how long, and what whoever is called wants.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::house::{House, Phone};
use shared_model::Audio;
use sip_core::{Message, Name};
use sip_endpoint::Incoming;

const SOUND: &str = "v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 40000 RTP/AVP 0\r\n";
const BOB: [(&str, &str); 1] = [("Refer-To", "<sip:bob@example.org>")];

async fn called(house: &mut House) -> Incoming {
    let incoming = tokio::time::timeout(Duration::from_secs(10), house.called.recv()).await.unwrap().unwrap();
    assert_eq!(incoming.request.method(), "INVITE");
    incoming
}

fn pick_up(incoming: &Incoming) {
    let mut response = Message::response(&incoming.request, 200, "");
    response.set(Name::To, "<sip:bob@example.org>;tag=bobs");
    response.push(Name::Contact, "<sip:bob@192.0.2.7>");
    response.set_body("application/sdp", SOUND.into());
    incoming.server.respond(response);
}

async fn outcome(phone: &mut Phone) -> (String, String, String) {
    let notify = phone.request("NOTIFY").await;
    let said = |name| notify.value(name).unwrap_or_default().to_owned();
    let line = String::from_utf8_lossy(notify.body()).trim().to_owned();
    (line, said(Name::SubscriptionState), said(Name::Event))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asked_hears_of_a_call_for_longer_or_no_more() {
    let mut house = House::start().await;
    let mut alice = house.call("alice", 440.0).await;
    assert_eq!(alice.send("REFER", &BOB).await.status(), 202);
    let ringing = called(&mut house).await;
    let (line, state, event) = outcome(&mut alice).await;
    assert_eq!((line.as_str(), state.as_str()), ("SIP/2.0 100 Trying", "active;expires=100"));
    let subscribe = |expires| [("Event", event.as_str()), ("Expires", expires)];
    assert_eq!(alice.send("SUBSCRIBE", &subscribe("10")).await.status(), 423, "RFC 6665 §4.2.1.1");
    let longer = alice.send("SUBSCRIBE", &subscribe("600")).await;
    assert_eq!((longer.status(), longer.value(Name::Expires)), (200, Some("100")));
    let again = outcome(&mut alice).await;
    assert_eq!((again.1.as_str(), again.2.as_str()), ("active;expires=100", event.as_str()));
    let other = [("Event", "refer;id=9999"), ("Expires", "0")];
    assert_eq!(alice.send("SUBSCRIBE", &other).await.status(), 403, "RFC 3515 §2.4.4");
    assert_eq!(alice.send("SUBSCRIBE", &subscribe("0")).await.status(), 200);
    assert_eq!(outcome(&mut alice).await.1, "terminated;reason=timeout");
    assert_eq!(alice.send("SUBSCRIBE", &subscribe("600")).await.status(), 403, "it is over");
    pick_up(&ringing);
    house.until_audio("bob", Audio::SendReceive).await;

    // Outside any call the REFER has a dialog of its own.
    let mut carol = house.silent_phone("carol").await;
    assert_eq!(carol.send("REFER", &BOB).await.status(), 202);
    let _ringing = called(&mut house).await;
    assert_eq!(outcome(&mut carol).await.0, "SIP/2.0 100 Trying");
    assert_eq!(carol.send("SUBSCRIBE", &[("Event", "refer"), ("Expires", "0")]).await.status(), 200);
    assert_eq!(outcome(&mut carol).await.1, "terminated;reason=timeout");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_longer_sessions_is_called_once_more_with_that() {
    let mut house = House::start().await;
    let mut alice = house.call("alice", 440.0).await;
    let refuse = async |house: &mut House, least: &str| {
        let incoming = called(house).await;
        let mut response = Message::response(&incoming.request, 422, "");
        response.push(Name::MinSe, least);
        incoming.server.respond(response);
    };
    assert_eq!(alice.send("REFER", &BOB).await.status(), 202);
    refuse(&mut house, "2000").await;
    let again = called(&mut house).await;
    let said = [Name::SessionExpires, Name::MinSe].map(|name| again.request.value(name));
    assert_eq!(said, [Some("2000"), Some("2000")], "RFC 4028 §7.3");
    pick_up(&again);
    house.until_audio("bob", Audio::SendReceive).await;
    assert_eq!(outcome(&mut alice).await.0, "SIP/2.0 100 Trying");
    assert_eq!(outcome(&mut alice).await.0, "SIP/2.0 200 OK", "it is one call to who asked");
    // Who wants more each time is not called for ever.
    assert_eq!(alice.send("REFER", &[("Refer-To", "<sip:carol@example.org>")]).await.status(), 202);
    refuse(&mut house, "2000").await;
    refuse(&mut house, "3000").await;
    assert_eq!(outcome(&mut alice).await.0, "SIP/2.0 100 Trying");
    assert_eq!(outcome(&mut alice).await.0, "SIP/2.0 422 Session Interval Too Small");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_no_more_notifies_gets_none() {
    let mut house = House::start().await;
    let mut alice = house.call("alice", 440.0).await;
    alice.wants_none.store(true, Ordering::Relaxed);
    assert_eq!(alice.send("REFER", &BOB).await.status(), 202);
    let ringing = called(&mut house).await;
    assert_eq!(outcome(&mut alice).await.0, "SIP/2.0 100 Trying");
    // Its 481 is with the focus before what is asked after it.
    for _ in 0..5 {
        assert_eq!(alice.send("OPTIONS", &[]).await.status(), 200);
    }
    pick_up(&ringing);
    house.until_audio("bob", Audio::SendReceive).await;
    for _ in 0..5 {
        assert_eq!(alice.send("OPTIONS", &[]).await.status(), 200);
    }
    assert!(!alice.has_got("NOTIFY"), "RFC 6665 §4.2.2");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contact_of_a_call_in_secrecy_is_a_sips_uri() {
    let house = House::start().await;
    let mut alice = house.silent_phone("alice").await;
    let answer = alice.invite("sips:dev@conference.example.org").await;
    assert_eq!(answer.status(), 200);
    let sips = "<sips:dev@conference.example.org>;isfocus";
    assert_eq!(answer.value(Name::Contact), Some(sips), "RFC 3261 §12.1.1");
    let subscribed = alice.send("SUBSCRIBE", &[("Event", "conference"), ("Expires", "600")]).await;
    assert_eq!((subscribed.status(), subscribed.value(Name::Contact)), (200, Some(sips)));
    assert_eq!(alice.request("NOTIFY").await.value(Name::Contact), Some(sips));
    assert_eq!(alice.send("BYE", &[]).await.status(), 200);
    house.stop().await;
}

/// RFC 4579 §5.7.
#[tokio::test(flavor = "multi_thread")]
async fn the_focus_asks_somebody_to_call_it() {
    let mut house = House::start().await;
    let mut alice = house.call("alice", 440.0).await;
    let to = |of: &str| format!("<sip:bob@example.org;method=REFER?Refer-To={of}>");
    let (here, elsewhere) = (to("sip:dev%40conference.example.org"), to("sip:eve%40example.org"));
    assert_eq!(alice.send("REFER", &[("Refer-To", &elsewhere)]).await.status(), 403);
    for (answer, line) in [(202, "SIP/2.0 200 OK"), (603, "SIP/2.0 603 Decline")] {
        assert_eq!(alice.send("REFER", &[("Refer-To", &here)]).await.status(), 202);
        let wait = tokio::time::timeout(Duration::from_secs(10), house.called.recv());
        let incoming = wait.await.unwrap().unwrap();
        let asked = &incoming.request;
        assert_eq!((asked.method(), asked.uri()), ("REFER", "sip:bob@example.org"));
        assert_eq!(asked.value(Name::ReferTo), Some("<sip:dev@conference.example.org>"));
        assert_eq!(asked.other_values("Refer-Sub").next(), Some("false"));
        assert!(asked.value(Name::Contact).unwrap().contains("isfocus"));
        assert_eq!(outcome(&mut alice).await.0, "SIP/2.0 100 Trying");
        incoming.server.respond(Message::response(asked, answer, ""));
        if answer == 202 {
            for _ in 0..5 {
                assert_eq!(alice.send("OPTIONS", &[]).await.status(), 200);
            }
            assert!(!alice.has_got("NOTIFY"), "whether he comes is not known yet");
            let _bob = house.call("bob", 880.0).await;
        }
        let last = outcome(&mut alice).await;
        assert_eq!((last.0.as_str(), last.1.as_str()), (line, "terminated;reason=noresource"));
    }
    house.stop().await;
}
