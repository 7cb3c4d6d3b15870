//! What callers hear before their call goes on, and the key by which they let it.

use std::time::Duration;

use crate::house::House;
use conference::Config;
use shared_model::{Announcement, Announcements};
use sip_core::Name;
use sip_endpoint::Answer;

#[tokio::test(flavor = "multi_thread")]
async fn an_announcement_is_heard_before_any_answer_and_ends() {
    let house = House::start_with(Config::default()).await;
    for what in [Announcement::Charged, Announcement::Refused] {
        let uri = house.focus.announcement(what).unwrap();
        let mut alice = house.silent_phone("alice").await;
        let sent = alice.invite_early(&uri).await;
        let loudness = tokio::task::block_in_place(|| alice.loudness(60));
        assert!(loudness > 500.0, "{what:?}: {loudness}");
        assert_eq!(sent.last().await.unwrap().status(), 480, "{what:?}");
    }
    let silent = House::start().await;
    assert_eq!(silent.focus.announcement(Announcement::Charged), None);
    silent.stop().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_insists_on_it_gets_the_183_until_it_is_acknowledged() {
    let house = House::start_with(Config::default()).await;
    let uri = house.focus.announcement(Announcement::Confirm).unwrap();
    let mut alice = house.silent_phone("alice").await;
    let (mut sent, early) = alice.invite_early_with(&uri, &[("Require", "100rel")]).await;
    assert_eq!(early.value(Name::Require), Some("100rel"));
    let sequence: u32 = early.other_values("RSeq").next().unwrap().parse().unwrap();
    let Some(Answer::Response(again)) = sent.next().await else { panic!("it comes once") };
    assert_eq!((again.status(), again.other_values("RSeq").next()), (183, early.other_values("RSeq").next()));
    let number = early.cseq().unwrap().0;
    let wrong = format!("{} {number} INVITE", sequence + 1);
    assert_eq!(alice.send("PRACK", &[("RAck", &wrong)]).await.status(), 481);
    let right = format!("{sequence} {number} INVITE");
    // §5: with another offer.
    let offer =
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
    let answer = alice.send_body_with("PRACK", "application/sdp", offer, ("RAck", &right)).await;
    assert_eq!(answer.status(), 200);
    assert!(String::from_utf8_lossy(answer.body()).contains("m=audio "), "{answer:?}");
    assert_eq!(alice.send("PRACK", &[("RAck", &right)]).await.status(), 481, "it is acknowledged");
    // T1 doubled is a second: it would have come again by then.
    let more = tokio::time::timeout(Duration::from_millis(1_500), sent.next()).await;
    assert!(more.is_err(), "{more:?}");
    alice.press("1");
    assert_eq!(sent.last().await.unwrap().status(), 480);
    // Who does not insist gets it once, as before.
    let mut bob = house.silent_phone("bob").await;
    let (_sent, early) = bob.invite_early_with(&uri, &[("Supported", "100rel")]).await;
    assert_eq!((early.value(Name::Require), early.other_values("RSeq").next()), (None, None));
    assert!(early.to_tag().is_some(), "RFC 3261 §8.2.6.2: {early:?}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_answered_by_a_key_or_by_hanging_up() {
    let house = House::start_with(Config::default()).await;
    let uri = house.focus.announcement(Announcement::Confirm).unwrap();
    for (key, status) in [("1", 480), ("2", 603)] {
        let mut alice = house.silent_phone("alice").await;
        let sent = alice.invite_early(&uri).await;
        alice.press(key);
        assert_eq!(sent.last().await.unwrap().status(), status, "key {key}");
    }
    let mut alice = house.silent_phone("alice").await;
    let sent = alice.invite_early(&uri).await;
    assert!(
        tokio::time::timeout(Duration::from_millis(300), async { sent.cancel().send("").await })
            .await
            .is_ok()
    );
    assert_eq!(sent.last().await.unwrap().status(), 487);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_could_hear_is_not_said_and_only_so_many_are() {
    let house = House::start_with(Config::default()).await;
    let uri = house.focus.announcement(Announcement::Confirm).unwrap();
    let mut browser = house.silent_phone("alice").await;
    browser.uri.clone_from(&uri);
    let offer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\n";
    let answer = browser.send_body("INVITE", "application/sdp", offer).await;
    assert_eq!(answer.status(), 488, "this answer would be taken for the call's own");
    let mut waiting = Vec::new();
    for _ in 0..50 {
        let mut phone = house.silent_phone("alice").await;
        waiting.push(phone.invite_early(&uri).await);
    }
    assert_eq!(house.invite("bob", &uri).await, 503);
    waiting[0].cancel().send("").await;
    assert_eq!(waiting.remove(0).last().await.unwrap().status(), 487);
    let mut free = house.silent_phone("alice").await;
    free.invite_early(&uri).await.cancel().send("").await;
    assert!(free.mixer.is_some(), "the place of who hung up");
    assert_eq!(house.invite("bob", "sip:announcement-1-0000000000000000@conference.example.org").await, 404);
    house.stop().await;
}

/// RFC 3261 §12.1.1: the 183 makes an early dialog, in which requests are answered; phones that send keys by INFO confirm so too.
#[tokio::test(flavor = "multi_thread")]
async fn requests_in_the_early_dialog_are_answered_and_keys_by_info_count() {
    let house = House::start_with(Config::default()).await;
    let uri = house.focus.announcement(Announcement::Confirm).unwrap();
    for (kind, body, status) in [
        ("application/dtmf-relay", "Signal=1\r\nDuration=160\r\n", 480),
        ("application/dtmf", "1", 480),
        ("application/dtmf-relay", "Signal=2\r\nDuration=160\r\n", 603),
    ] {
        let mut alice = house.silent_phone("alice").await;
        let (sent, _) = alice.invite_early_with(&uri, &[]).await;
        assert_eq!(alice.send("OPTIONS", &[]).await.status(), 200);
        assert_eq!(alice.send("UPDATE", &[]).await.status(), 200);
        let offer = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
        let answer = alice.send_body("UPDATE", "application/sdp", offer).await;
        assert!(answer.status() == 200 && String::from_utf8_lossy(answer.body()).contains("m=audio "));
        let strange = alice.send_body("INFO", "text/plain", "1").await;
        assert_eq!((strange.status(), strange.value(Name::Accept).is_some()), (415, true));
        assert_eq!(alice.send_body("INFO", kind, body).await.status(), 200);
        assert_eq!(sent.last().await.unwrap().status(), status, "{kind} {body}");
        assert_eq!(alice.send("OPTIONS", &[]).await.status(), 481, "it is over");
    }
    let mut alice = house.silent_phone("alice").await;
    let (sent, _) = alice.invite_early_with(&uri, &[]).await;
    assert_eq!(alice.send("BYE", &[]).await.status(), 200);
    assert_eq!(sent.last().await.unwrap().status(), 603);
    house.stop().await;
}
