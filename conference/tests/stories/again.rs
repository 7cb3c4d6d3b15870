//! Offers of the focus within a call: those that are asked for, and those that bring more pictures.

use std::time::Duration;

use sip_core::sdp::Sdp;
use sip_core::{Message, Name};

use shared_model::Audio;

use crate::house::{House, Phone, Seen, URI, Viewer, talk};

const VP8: &str = "a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack pli\r\n";

fn kinds(text: &str) -> Vec<(String, bool)> {
    let sdp = Sdp::parse(text).unwrap();
    sdp.media.iter().map(|media| (media.kind.to_owned(), media.port != 0)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_that_is_asked_for_keeps_media_and_numbers_where_they_are() {
    let house = House::start().await;
    let mut alice = house.silent_phone("alice").await;
    let offer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
        m=message 9 TCP/MSRP *\r\nm=video 9 RTP/AVPF 101\r\na=rtpmap:101 VP8/90000\r\na=rtcp-fb:101 nack pli\r\n\
        m=audio 9 RTP/AVPF 103 98\r\na=rtpmap:103 opus/48000/2\r\na=rtpmap:98 telephone-event/48000\r\n";
    assert_eq!(alice.send_body("INVITE", "application/sdp", offer).await.status(), 200);
    alice.acknowledge_with(String::new());
    let response = alice.send("INVITE", &[]).await;
    let text = String::from_utf8_lossy(response.body()).into_owned();
    let of = |kind: &str, is_open| (kind.to_owned(), is_open);
    assert_eq!(kinds(&text), [of("message", false), of("video", true), of("audio", true)], "{text}");
    let sdp = Sdp::parse(&text).unwrap();
    let (video, audio) = (&sdp.media[1], &sdp.media[2]);
    assert_eq!((video.formats[0], video.rtpmap("101"), audio.formats[0]), ("101", Some("VP8/90000"), "103"));
    assert_eq!(
        (audio.rtpmap("103"), audio.rtpmap("98")),
        (Some("opus/48000/2"), Some("telephone-event/48000"))
    );
    assert!(audio.formats.contains(&"0") && audio.formats.contains(&"8"), "all that we can: {text}");
    let mut numbers = [video.formats.clone(), audio.formats.clone()].concat();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(
        numbers.len(),
        video.formats.len() + audio.formats.len(),
        "each number means one thing: {text}"
    );
    assert_eq!((video.protocol, audio.protocol), ("RTP/AVPF", "RTP/AVPF"));
    let answer = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=message 0 TCP/MSRP *\r\n\
        m=video 0 RTP/AVPF 101\r\nm=audio 9 RTP/AVPF 8\r\na=sendonly\r\n";
    alice.acknowledge_with(answer.to_owned());
    house.until_audio("alice", shared_model::Audio::OnHold).await;
    // What is over keeps its place.
    let again = alice.send("INVITE", &[]).await;
    let text = String::from_utf8_lossy(again.body()).into_owned();
    assert_eq!(kinds(&text), [of("message", false), of("video", false), of("audio", true)], "{text}");
    assert_eq!(Sdp::parse(&text).unwrap().media[2].formats[0], "8");
    house.stop().await;
}

/// What alice sees now, once: sources and marks.
fn sees(alice: &mut Phone, count: usize, mut show: impl FnMut()) -> Vec<(u32, u8)> {
    let mut seen = Vec::new();
    for _ in 0..500 {
        show();
        std::thread::sleep(Duration::from_millis(10));
        while let Some(packet) = alice.see() {
            let one = (u32::from_be_bytes(packet[8..12].try_into().unwrap()), packet[packet.len() - 1]);
            if !conference::media::rtcp::is_rtcp(&packet) && !seen.contains(&one) {
                seen.push(one);
            }
        }
        if seen.len() >= count {
            break;
        }
    }
    seen.sort_unstable();
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_came_for_the_sound_is_offered_what_others_show() {
    let house = House::start().await;
    let mut alice = house.silent_phone("alice").await;
    alice.call_as_browser(URI).await;
    let mut bob = Viewer::call(&house, "bob", 700.0, VP8).await;
    let mut carol = Viewer::call(&house, "carol", 1_100.0, VP8).await;
    bob.show(true, 1);
    let offer = alice.takes_more().await;
    let sdp = Sdp::parse(&offer).unwrap();
    assert_eq!(kinds(&offer), [("audio".to_owned(), true), ("video".to_owned(), true)], "{offer}");
    assert_eq!((sdp.media[0].attribute("mid"), sdp.media[0].formats[0]), (Some("audio"), "0"));
    assert!(offer.contains("a=group:BUNDLE audio 1\r\n") && offer.contains("a=setup:actpass"), "{offer}");
    assert_eq!(sdp.media[1].direction, sip_core::sdp::Direction::SendOnly);
    let source = |text: &str, at: usize| -> u32 {
        let sdp = Sdp::parse(text).unwrap();
        sdp.media[at].attribute("ssrc").unwrap().split(' ').next().unwrap().parse().unwrap()
    };
    assert_eq!(sees(&mut alice, 1, || _ = bob.show(true, 2)), [(source(&offer, 1), 2)]);

    carol.show(true, 3);
    let more = alice.takes_more().await;
    assert_eq!(kinds(&more)[..2], kinds(&offer)[..], "{more}");
    let both = Sdp::parse(&more).unwrap();
    assert_eq!((both.media.len(), both.media[2].attribute("mid")), (3, Some("2")));
    assert_eq!(both.media[2].formats, both.media[1].formats, "one codec, one number");
    assert_eq!(source(&more, 1), source(&offer, 1));
    let seen = sees(&mut alice, 2, || {
        bob.show(true, 4);
        carol.show(true, 5);
    });
    let mut expected = [(source(&more, 1), 4), (source(&more, 2), 5)];
    expected.sort_unstable();
    assert_eq!(seen, expected, "each in a medium of its own");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_refuses_more_is_left_alone_and_who_asks_at_once_is_asked_again() {
    let house = House::start().await;
    let mut alice = house.silent_phone("alice").await;
    alice.call_as_browser(URI).await;
    let mut bob = Viewer::call(&house, "bob", 700.0, VP8).await;
    let mut carol = Viewer::call(&house, "carol", 1_100.0, VP8).await;
    bob.show(true, 1);
    let first = alice.is_invited().await;
    // An offer of theirs crosses ours.
    let crossing = alice.send_body("INVITE", "application/sdp", "v=0\r\nm=audio 9 RTP/AVP 0\r\n").await;
    assert_eq!(crossing.status(), 491);
    let refuse = |invite: &sip_endpoint::Incoming, status| {
        invite.server.respond(Message::response(&invite.request, status, ""));
    };
    refuse(&first, 491);
    let second = alice.is_invited().await;
    assert!(second.request.cseq() > first.request.cseq());
    // It is busy with another.
    let mut busy = Message::response(&second.request, 500, "");
    busy.push(Name::RetryAfter, "2");
    second.server.respond(busy);
    let third = alice.is_invited().await;
    refuse(&third, 488);
    carol.show(true, 2);
    bob.sees(2);
    let more = tokio::time::timeout(Duration::from_secs(4), alice.is_invited()).await;
    assert!(more.is_err(), "it said no");
    let response = alice.send("OPTIONS", &[]).await;
    assert!(response.status() == 200 && response.value(Name::Contact).is_some(), "and the call goes on");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_does_video_is_offered_a_picture_when_it_does_not_hold_us() {
    let house = House::start().await;
    let mut alice = Viewer::call_for_sound(&house, "alice", 440.0).await;
    // One that says nothing of pictures is not asked.
    let mut carol = house.call("carol", 1_700.0).await;
    house.until_audio("alice", Audio::SendReceive).await;
    assert_eq!(alice.phone.send_offer("INVITE", "sendonly").await.status(), 200);
    house.until_audio("alice", Audio::OnHold).await;
    let mut bob = Viewer::call(&house, "bob", 700.0, VP8).await;
    bob.show(true, 1);
    let asked = tokio::time::timeout(Duration::from_millis(300), alice.phone.is_invited()).await;
    assert!(asked.is_err(), "who holds us is asked for nothing");
    assert_eq!(alice.phone.send_offer("INVITE", "sendrecv").await.status(), 200);
    let offer = alice.takes_pictures().await;
    let of = |kind: &str, is_open| (kind.to_owned(), is_open);
    assert_eq!(kinds(&offer), [of("audio", true), of("message", false), of("video", true)], "{offer}");
    assert!(!offer.contains("a=mid:") && !offer.contains("BUNDLE"), "{offer}");
    let direction = Sdp::parse(&offer).unwrap().media[2].direction;
    assert_eq!(
        direction,
        sip_core::sdp::Direction::SendOnly,
        "whoever shows themselves says so first: {offer}"
    );
    let seen = |mark| {
        std::iter::from_fn(|| alice.see()).any(|one| matches!(one, Seen::Picture(of, ..) if of == mark))
    };
    // Nothing waits for the answer to our ACK: it is shown until it is seen.
    let is_seen = (0..500).any(|_| {
        bob.show(true, 2);
        std::thread::sleep(Duration::from_millis(10));
        seen(2)
    });
    assert!(is_seen, "what was agreed on is shown");
    // Her own camera she switches on herself.
    let on = alice.offer("m=video {camera} RTP/AVPF 102\r\na=rtpmap:102 VP8/90000\r\na=sendrecv\r\n");
    assert_eq!(alice.phone.send_body("INVITE", "application/sdp", &on).await.status(), 200);
    alice.phone.acknowledge_with(String::new());
    alice.show(true, 3);
    bob.sees(3);
    let asked = tokio::time::timeout(Duration::from_millis(300), carol.is_invited()).await;
    assert!(asked.is_err(), "it would ask whoever holds it");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_turns_pictures_off_is_not_asked_to_turn_them_on() {
    let house = House::start().await;
    let mut alice = Viewer::call_for_sound(&house, "alice", 440.0).await;
    let mut bob = Viewer::call(&house, "bob", 700.0, VP8).await;
    bob.show(true, 1);
    alice.takes_pictures().await;
    let off = alice.offer("m=video 0 RTP/AVPF 102\r\n");
    assert_eq!(alice.phone.send_body("INVITE", "application/sdp", &off).await.status(), 200);
    alice.phone.acknowledge_with(String::new());
    let shown = async {
        for mark in 0..80 {
            bob.show(true, mark);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let (asked, ()) =
        tokio::join!(tokio::time::timeout(Duration::from_secs(4), alice.phone.is_invited()), shown);
    assert!(asked.is_err(), "she turned them off");
    let on = alice.offer("m=video {camera} RTP/AVPF 102\r\na=rtpmap:102 VP8/90000\r\na=recvonly\r\n");
    let response = alice.phone.send_body("INVITE", "application/sdp", &on).await;
    let text = String::from_utf8_lossy(response.body()).into_owned();
    assert_eq!(kinds(&text)[2], ("video".to_owned(), true), "{text}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_refuses_pictures_keeps_its_sound() {
    let house = House::start().await;
    let mut alice = Viewer::call_for_sound(&house, "alice", 440.0).await;
    let mut bob = Viewer::call(&house, "bob", 700.0, VP8).await;
    bob.show(true, 1);
    let invite = alice.phone.is_invited().await;
    invite.server.respond(Message::response(&invite.request, 488, ""));
    let heard = talk::<2>(&mut [alice.phone, bob.phone], 60);
    assert!(heard[0][1] && heard[1][0], "{heard:?}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_whose_user_does_not_say_keeps_its_call() {
    let offer_timeout = Duration::from_millis(300);
    let config = conference::Config { prompts: false, offer_timeout, ..conference::Config::default() };
    let house = House::start_with(config).await;
    let mut alice = Viewer::call_for_sound(&house, "alice", 440.0).await;
    let mut bob = Viewer::call(&house, "bob", 700.0, VP8).await;
    bob.show(true, 1);
    let invite = alice.phone.is_invited().await;
    invite.server.respond(Message::response(&invite.request, 180, ""));
    tokio::time::timeout(Duration::from_secs(10), invite.server.cancelled()).await.expect("no CANCEL came");
    invite.server.respond(Message::response(&invite.request, 487, ""));
    let heard = talk::<2>(&mut [alice.phone, bob.phone], 60);
    assert!(heard[0][1] && heard[1][0], "{heard:?}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_of_theirs_that_is_refused_leaves_all_as_it_was() {
    let house = House::start().await;
    let mut alice = house.silent_phone("alice").await;
    alice.call_as_browser(URI).await;
    let name_of = |message: &Message| {
        let text = String::from_utf8_lossy(message.body()).into_owned();
        text.split("a=ice-ufrag:").nth(1).unwrap().split("\r\n").next().unwrap().to_owned()
    };
    let before = alice.send("INVITE", &[]).await;
    alice.acknowledge_with(String::new());
    // It would check anew, and names no codec that we have: nothing of it holds (RFC 3261 §14.2).
    let offer = "v=0\r\no=- 1 3 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE audio\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 99\r\nc=IN IP4 0.0.0.0\r\na=rtpmap:99 NONE/8000\r\na=mid:audio\r\na=ice-ufrag:else\r\n\
        a=ice-pwd:elsepassword\r\na=setup:actpass\r\na=rtcp-mux\r\na=inactive\r\n";
    assert_eq!(alice.send_body("INVITE", "application/sdp", offer).await.status(), 488);
    let after = alice.send("INVITE", &[]).await;
    alice.acknowledge_with(String::new());
    assert_eq!(name_of(&before), name_of(&after));
    house.until_audio("alice", Audio::SendReceive).await;
    house.stop().await;
}
