//! What legs bring beside sound, and what is done with legs that bring none or too much.
#[allow(dead_code, reason = "each test file uses its part")]
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::house::{House, ROOM, URI, occupant};
use conference::config::Ice;
use conference::media::codec::Format;
use conference::media::rtcp;
use conference::media::srtp::Suite;
use conference::media::xr;
use conference::{Config, Secrecy};
use shared_model::{Audio, ConferenceDirectory, Event, MediaEvent, Role, RoomAccess, RoomEvent};
use shared_runtime::bus::Heard;
use sip_core::Name;

fn quiet() -> Config {
    Config { prompts: false, ..Config::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn legs_of_any_codec_hear_one_another() {
    let house = House::start().await;
    let mut phones = [
        house.call_in("alice", 440.0, Format::G722).await,
        house.call_in("bob", 700.0, Format::Opus).await,
        house.call_in("carol", 1_100.0, Format::L16Wide).await,
    ];
    crate::house::talk::<3>(&mut phones, 20);
    let heard = crate::house::talk(&mut phones, 50);
    assert_eq!(heard, [[false, true, true], [true, false, true], [true, true, false]]);
    let [_, bob, _] = phones;
    // RFC 3551 §4.5.11.
    let mut phones = [
        bob,
        house.call_in("alice", 440.0, Format::L16Full).await,
        house.call_in("carol", 1_100.0, Format::L16Cd).await,
    ];
    crate::house::talk::<3>(&mut phones, 20);
    let heard = crate::house::talk(&mut phones, 50);
    assert_eq!(heard, [[false, true, true], [true, false, true], [true, true, false]]);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_from_elsewhere_is_dropped_and_counted() {
    let house = House::start().await;
    let mut phones = [house.call("alice", 440.0).await, house.call("bob", 700.0).await];
    crate::house::talk::<2>(&mut phones, 20);
    let mut forger = house.silent_phone("carol").await;
    let from = ["127.0.0.1:0", "127.0.0.2:0"].map(|address| UdpSocket::bind(address).unwrap());
    for _ in 0..50 {
        let packet = forger.packet();
        for socket in &from {
            socket.send_to(&packet, phones[0].mixer.unwrap()).unwrap();
        }
    }
    let heard = crate::house::talk::<2>(&mut phones, 50);
    assert_eq!(heard, [[false, true], [true, false]], "and who was there is heard on");
    assert!(house.metric("conference_rtp_forged_total") >= 90.0);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_floods_the_port_of_a_leg_takes_nobodys_place() {
    let house = House::start().await;
    let mut phones = [house.call("alice", 440.0).await, house.call("bob", 700.0).await];
    crate::house::talk::<2>(&mut phones, 20);
    let (port, flooder) = (phones[0].mixer.unwrap(), UdpSocket::bind("127.0.0.2:0").unwrap());
    let before = house.metric("conference_rtp_lost_total");
    let is_over = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&is_over);
    let flood = std::thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            // Some thousands a second.
            (0..60).for_each(|_| drop(flooder.send_to(&[0], port)));
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    let heard = crate::house::talk::<2>(&mut phones, 100);
    is_over.store(true, Ordering::Relaxed);
    flood.join().unwrap();
    assert_eq!(heard, [[false, true], [true, false]]);
    let lost = house.metric("conference_rtp_lost_total") - before;
    assert!(lost < 20.0, "{lost} of 200");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leg_that_sends_nothing_is_ended_and_one_on_hold_is_not() {
    let house = House::start_with(Config { silence_timeout: Duration::from_millis(500), ..quiet() }).await;
    let mut held = house.call("alice", 440.0).await;
    assert_eq!(held.send_offer("INVITE", "inactive").await.status(), 200);
    let mut listener = house.silent_phone("carol").await;
    assert_eq!(listener.send_offer("INVITE", "recvonly").await.status(), 200);
    let mut bob = house.call("bob", 700.0).await;
    let bye = bob.request("BYE").await;
    assert_eq!(bye.value(Name::Reason), Some("SIP;cause=200;text=\"No Sound Came\""));
    house.until_audio("alice", Audio::OnHold).await;
    house.until(|participant| participant.jid == Some(crate::house::jid("carol"))).await;
    // Resumed, and silent still.
    assert_eq!(held.send_offer("INVITE", "sendrecv").await.status(), 200);
    held.request("BYE").await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_spoke_and_fell_silent_is_told_with_how_long_that_was() {
    let silence_timeout = Duration::from_millis(500);
    let house = House::start_with(Config { silence_timeout, ..quiet() }).await;
    let mut facts = house.bus.subscribe();
    let mut phones = [house.call("alice", 440.0).await, house.call("bob", 700.0).await];
    crate::house::talk::<2>(&mut phones, 20);
    phones[0].request("BYE").await;
    let told = async {
        loop {
            if let Some(Heard::Fact(fact)) = facts.next().await
                && let Event::Media(MediaEvent::Ended { sound, .. }) = fact.event
            {
                return sound;
            }
        }
    };
    let sound = tokio::time::timeout(Duration::from_secs(10), told).await.unwrap();
    assert!(sound.received > 0 && sound.was_to_send, "{sound:?}");
    assert!(sound.silent_for >= silence_timeout, "{sound:?}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_to_send_alone_is_heard_and_hears_nothing() {
    let house = House::start().await;
    let mut player = house.phone_of("alice", 440.0).await;
    let answer = player.invite_to(URI, "sendonly").await;
    assert!(String::from_utf8_lossy(answer.body()).contains("a=recvonly"));
    house.until_audio("alice", Audio::SendReceive).await;
    let mut phones = [player, house.call("bob", 700.0).await];
    crate::house::talk::<2>(&mut phones, 20);
    let heard = crate::house::talk::<2>(&mut phones, 30);
    assert_eq!(heard, [[false, false], [true, false]], "nothing is sent to who takes nothing");
    // From now on it hears, too; and a hold after that is one.
    assert_eq!(phones[0].send_offer("INVITE", "sendrecv").await.status(), 200);
    assert_eq!(phones[0].send_offer("INVITE", "sendonly").await.status(), 200);
    house.until_audio("alice", Audio::OnHold).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_only_listens_and_reports_is_there() {
    let silence_timeout = Duration::from_millis(600);
    let house = House::start_with(Config { silence_timeout, ..quiet() }).await;
    let mut alice = house.silent_phone("alice").await;
    alice.lines = "a=rtcp-mux\r\n".to_owned();
    assert_eq!(alice.invite(URI).await.status(), 200);
    for _ in 0..5 {
        let packet = alice.packet();
        alice.media.send_to(&packet, alice.mixer.unwrap()).unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let report = rtcp::compose(7, "alice", None, &[]);
    for _ in 0..20 {
        alice.media.send_to(&report, alice.mixer.unwrap()).unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(alice.send("OPTIONS", &[]).await.status(), 200, "two seconds without sound");
    // Nothing at all is another matter.
    assert!(alice.request("BYE").await.value(Name::Reason).unwrap().contains("No Sound Came"));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_holds_neither_hears_nor_is_heard() {
    let house = House::start().await;
    let mut phones = [house.call("alice", 440.0).await, house.call("bob", 700.0).await];
    for direction in ["sendonly", "inactive"] {
        assert_eq!(phones[0].send_offer("INVITE", direction).await.status(), 200);
        house.until_audio("alice", Audio::OnHold).await;
        crate::house::talk::<2>(&mut phones, 20);
        assert_eq!(crate::house::talk::<2>(&mut phones, 30), [[false, false], [false, false]], "{direction}");
        assert_eq!(phones[0].send_offer("INVITE", "sendrecv").await.status(), 200);
        house.until_audio("alice", Audio::SendReceive).await;
        crate::house::talk::<2>(&mut phones, 20);
        assert_eq!(crate::house::talk::<2>(&mut phones, 30), [[false, true], [true, false]]);
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_mute_and_raise_hands() {
    let house = House::start().await;
    house.occupants(vec![occupant("carol", Role::Moderator)]);
    let (mut alice, mut bob) = (house.call("alice", 440.0).await, house.call("bob", 700.0).await);
    let mut carol = house.call("carol", 1_100.0).await;
    let mut watcher = house.watch("carol").await;
    watcher.document().await;
    alice.press("*6");
    house.until_audio("alice", Audio::Muted).await;
    assert!(watcher.document().await.contains("muted-via-focus"));
    alice.press("*6");
    house.until_audio("alice", Audio::SendReceive).await;
    bob.press("*9");
    house.until(|participant| participant.is_hand_up).await;
    while !watcher.document().await.contains("<hand-raised xmlns=\"urn:cusax:call:0\"/>") {}

    // By INFO, as phones without RFC 4733 do. Who does not moderate mutes nobody.
    for (who, muted) in [(&mut bob, Audio::SendReceive), (&mut carol, Audio::Muted)] {
        for key in ["*", "5"] {
            let body = format!("Signal={key}\r\nDuration=160\r\n");
            assert_eq!(who.send_body("INFO", "application/dtmf-relay", &body).await.status(), 200);
        }
        house.until_audio("alice", muted).await;
    }
    house.until_audio("carol", Audio::SendReceive).await;
    bob.press("*6");
    house.until_audio("bob", Audio::SendReceive).await;
    assert_eq!(bob.send_body("INFO", "text/plain", "hello").await.status(), 415);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_lets_in_and_three_wrong_ones_end_the_call() {
    let house = House::start().await;
    house.access(RoomAccess { password: Some("1234".to_owned()), ..RoomAccess::default() });
    let mut alice = house.call("alice", 440.0).await;
    assert!(house.focus.conference(&ROOM.parse().unwrap()).await.unwrap().is_none(), "nobody is inside yet");
    assert_eq!(alice.send("SUBSCRIBE", &[("Event", "conference")]).await.status(), 403);
    assert_eq!(alice.send("REFER", &[("Refer-To", "<sip:bob@example.org>")]).await.status(), 403);
    alice.press("99#1234");
    house.until_audio("alice", Audio::SendReceive).await;

    let mut phones = [alice, house.call("bob", 700.0).await];
    crate::house::talk::<2>(&mut phones, 20);
    assert_eq!(
        crate::house::talk::<2>(&mut phones, 30),
        [[false, false], [false, false]],
        "a door is between"
    );
    phones[1].press("1#2#3#");
    let bye = phones[1].request("BYE").await;
    assert!(bye.value(Name::Reason).unwrap().contains("Wrong PIN"));
    assert_eq!(house.invite("bob", URI).await, 403, "for a while");
    let mut nameless = house.phone_of("bob", 700.0).await;
    nameless.uri = URI.to_owned();
    assert_eq!(nameless.invite_with("Privacy", "id").await.status(), 403, "and by whatever name");
    // Two phones of one account have three guesses together.
    let mut both = [house.call("alice", 440.0).await, house.call("alice", 700.0).await];
    both[0].press("1#2#");
    tokio::time::sleep(Duration::from_millis(200)).await;
    both[1].press("3#");
    assert!(both[1].request("BYE").await.value(Name::Reason).unwrap().contains("Wrong PIN"));

    // A password that no phone can type; and a member needs none.
    house.access(RoomAccess { password: Some("secret".to_owned()), ..RoomAccess::default() });
    assert_eq!(house.invite("carol", URI).await, 403);
    house.access(RoomAccess { password: Some("77".to_owned()), ..RoomAccess::default() });
    let _carol = house.call("carol", 1_100.0).await;
    house.occupants(vec![occupant("carol", Role::Participant)]);
    house.happens(RoomEvent::OccupantJoined {
        room: ROOM.parse().unwrap(),
        jid: crate::house::jid("carol"),
        nick: "carol".into(),
        role: Role::Participant,
    });
    house.until_audio("carol", Audio::SendReceive).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_are_told_that_they_are_alone_and_that_it_is_over() {
    let house = House::start_with(Config::default()).await;
    let mut alice = house.call("alice", 440.0).await;
    assert!(alice.loudness(50) > 500.0, "nobody else speaks, and something is said");
    let quiet = (0..10).find(|_| alice.loudness(20) < 50.0);
    assert!(quiet.is_some(), "once");
    house.happens(RoomEvent::Destroyed { room: ROOM.parse().unwrap() });
    assert!(alice.loudness(50) > 500.0, "first it is said, then the call ends");
    alice.request("BYE").await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_speaks_is_in_the_document() {
    let house = House::start().await;
    let mut phones = [house.call("alice", 440.0).await, house.call("bob", 700.0).await];
    let mut watcher = house.watch("carol").await;
    watcher.document().await;
    crate::house::talk::<1>(&mut phones[1..], 75);
    let document = watcher.document().await;
    let (_, bob) = document.split_once("sip:bob@example.org").unwrap();
    assert!(
        bob.contains("<speaking xmlns=\"urn:cusax:call:0\"/>") && !document.contains("sip:alice"),
        "{document}"
    );
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_end_reports_what_it_received() {
    let house = House::start().await;
    let mut alice = house.silent_phone("alice").await;
    alice.lines = "a=rtcp-mux\r\n".to_owned();
    assert_eq!(alice.invite(URI).await.status(), 200);
    let begin = std::time::Instant::now();
    let report = loop {
        let packet = alice.packet();
        alice.media.send_to(&packet, alice.mixer.unwrap()).unwrap();
        let mut datagram = [0; 2_048];
        while let Ok((length, _)) = alice.media.recv_from(&mut datagram) {
            if rtcp::is_rtcp(&datagram[..length]) {
                break;
            }
        }
        if rtcp::is_rtcp(&datagram) {
            break rtcp::read(&datagram, 0x0707_0707).unwrap();
        }
        assert!(begin.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(20));
    };
    let block = report.block.unwrap();
    assert_eq!((block.ssrc, block.lost, block.fraction), (0x0707_0707, 0, 0));
    assert!(report.report.is_some() && block.highest > 50, "{report:?}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_end_tells_the_other_how_it_hears() {
    let house = House::start_with(quiet()).await;
    let mut facts = house.bus.subscribe();
    let mut alice = house.silent_phone("alice").await;
    alice.lines =
        "a=rtcp-mux\r\na=rtcp-xr:rcvr-rtt=all:10000 stat-summary=loss,dup,jitt,TTL voip-metrics\r\n"
            .to_owned();
    let answer = alice.invite(URI).await;
    let answer = String::from_utf8_lossy(answer.body()).into_owned();
    assert!(answer.contains("a=rtcp-xr:rcvr-rtt=all voip-metrics\r\n"), "{answer}");
    let wanted = xr::Wanted { metrics: true, round_trip: Some(xr::RoundTrip::All) };
    let heard =
        xr::Heard { lost: 2, discarded: 26, burst: (85, 120), listening: Some(31), ..xr::Heard::default() };
    let (begin, ours) = (std::time::Instant::now(), 0x0707_0707);
    let (mut focus, mut said, mut sent) = (None, xr::Told::default(), 0);
    while said.heard.is_none() || said.answer.is_none() {
        // One of ten is lost.
        let packet = alice.packet();
        if sent % 10 != 5 {
            alice.media.send_to(&packet, alice.mixer.unwrap()).unwrap();
        }
        if let Some(focus) = focus.filter(|_| sent % 20 == 0) {
            let mut report = rtcp::compose(ours, "alice", None, &[]);
            let reference = Some(0x1111_2222_3333_4444);
            report.extend(xr::Extended::default().print(
                ours,
                wanted,
                Some((focus, heard)),
                reference,
                begin,
            ));
            alice.media.send_to(&report, alice.mixer.unwrap()).unwrap();
        }
        sent += 1;
        let mut datagram = [0; 2_048];
        while let Ok((length, _)) = alice.media.recv_from(&mut datagram) {
            match rtcp::is_rtcp(&datagram[..length]) {
                true => {
                    let told = rtcp::read(&datagram[..length], ours).unwrap().extended;
                    said.heard = told.heard.or(said.heard);
                    said.answer = told.answer.or(said.answer);
                }
                false => focus = datagram[8..12].first_chunk().map(|ssrc| u32::from_be_bytes(*ssrc)),
            }
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "{said:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    let told = said.heard.unwrap();
    assert!(
        (15..=30).contains(&told.lost) && told.discarded == 0 && told.gap.0 + told.burst.0 > 0,
        "{told:?}"
    );
    assert!(told.rating.is_some() && told.listening >= told.talking && told.inside >= 20, "{told:?}");
    let (middle, since) = said.answer.unwrap();
    assert!(middle == 0x2222_3333 && since < 6 << 16, "{middle:x} {since}");
    assert_eq!(alice.send("BYE", &[]).await.status(), 200);
    let there = async {
        loop {
            if let Some(Heard::Fact(fact)) = facts.next().await
                && let Event::Media(MediaEvent::Ended { sound, .. }) = fact.event
            {
                return sound.there.unwrap();
            }
        }
    };
    let there = tokio::time::timeout(Duration::from_secs(10), there).await.unwrap();
    assert_eq!((there.lost, there.discarded, there.mos), (2, 26, Some(3.1)));
    assert_eq!((there.burst, house.metric("conference_leg_told_mos")), (Duration::from_millis(120), 1.0));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_spoken_is_refused_with_the_reason() {
    let house = House::start().await;
    let mut alice = house.silent_phone("alice").await;
    let offer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n";
    for (media, code) in [
        ("m=audio 4000 RTP/AVP 18\r\n", "305 "),
        ("m=audio 4000 DTLS/SCTP 0\r\n", "302 "),
        ("m=video 4000 RTP/AVP 97\r\n", "304 "),
        ("rubbish\r\n", "399 "),
    ] {
        let refused = alice.send_body("INVITE", "application/sdp", &format!("{offer}{media}")).await;
        assert_eq!(refused.status(), 488);
        assert!(refused.value(Name::Warning).unwrap().starts_with(code), "{media}");
    }
    house.stop().await;
}

/// A phone that encrypts hears one that does not; what is sent again, changed, or in the clear is dropped.
#[tokio::test(flavor = "multi_thread")]
async fn encrypted_sound_is_mixed_with_plain_and_replays_are_dropped() {
    let house = House::start().await;
    let mut alice = house.silent_phone("alice").await;
    alice.encrypt(Suite::Aes128Tag80);
    assert_eq!(alice.invite(URI).await.status(), 200);
    let mut phones = [alice, house.call("bob", 700.0).await];
    let heard = crate::house::talk::<2>(&mut phones, 50);
    assert_eq!(heard, [[false, true], [true, false]]);
    house
        .until(|participant| participant.jid == Some(crate::house::jid("alice")) && participant.is_encrypted)
        .await;
    house
        .until(|participant| participant.jid == Some(crate::house::jid("bob")) && !participant.is_encrypted)
        .await;

    let mixer = phones[0].mixer.unwrap();
    let [once, changed, clear] = std::array::from_fn(|_| phones[0].packet());
    let (sealed, mut changed) = (phones[0].seal(&once), phones[0].seal(&changed));
    changed[20] ^= 1;
    for datagram in [&sealed, &sealed, &changed, &clear] {
        phones[0].media.send_to(datagram, mixer).unwrap();
    }
    crate::house::talk::<2>(&mut phones, 10);
    assert_eq!(house.metric("conference_rtp_replayed_total"), 1.0);
    assert_eq!(house.metric("conference_rtp_forged_total"), 2.0);

    // A re-INVITE with the same key goes on counting, and with another begins anew.
    assert_eq!(phones[0].send_offer("INVITE", "sendrecv").await.status(), 200);
    assert_eq!(crate::house::talk::<2>(&mut phones, 50), [[false, true], [true, false]]);
    phones[0].encrypt(Suite::Gcm256);
    assert_eq!(phones[0].send_offer("INVITE", "sendrecv").await.status(), 200);
    crate::house::talk::<2>(&mut phones, 10);
    assert_eq!(crate::house::talk::<2>(&mut phones, 50), [[false, true], [true, false]]);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_house_that_wants_encryption_refuses_what_is_not() {
    let house = House::start_with(Config { srtp: Secrecy::Required, ..quiet() }).await;
    assert_eq!(house.invite("bob", URI).await, 488);
    let mut alice = house.silent_phone("alice").await;
    alice.encrypt(Suite::Gcm128);
    assert_eq!(alice.invite(URI).await.status(), 200);
    let ours = house.silent_phone("carol").await.send("INVITE", &[]).await;
    let offer = String::from_utf8_lossy(ours.body()).into_owned();
    assert!(offer.contains(" RTP/SAVP ") && offer.contains("a=crypto:1 AEAD_AES_256_GCM inline:"), "{offer}");
    house.stop().await;
    let house = House::start_with(Config { srtp: Secrecy::Off, ..quiet() }).await;
    let mut alice = house.silent_phone("alice").await;
    alice.encrypt(Suite::Gcm128);
    assert_eq!(alice.invite(URI).await.status(), 488);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_that_wants_encryption_has_it_of_its_own_people() {
    let config = Config { strangers: true, ..quiet() };
    let house = House::start_under(config, &[("example.org", Secrecy::Required)]).await;
    assert_eq!(house.invite("bob", URI).await, 488);
    let offer = house.silent_phone("carol").await.send("INVITE", &[]).await;
    assert!(String::from_utf8_lossy(offer.body()).contains(" RTP/SAVP "));
    assert_eq!(house.invite("mallory", URI).await, 200, "a stranger is of no domain of ours");
    house.stop().await;
}

/// Two browsers on one port, and a phone on ports of its own.
#[tokio::test(flavor = "multi_thread")]
async fn browsers_and_phones_hear_one_another() {
    let house = House::start().await;
    let mut phones = [
        house.phone_of("alice", 440.0).await,
        house.phone_of("bob", 700.0).await,
        house.call("carol", 1_100.0).await,
    ];
    phones[0].call_as_browser(URI).await;
    phones[1].call_as_browser(URI).await;
    assert_eq!(phones[0].mixer, phones[1].mixer, "one port for both");
    crate::house::talk::<3>(&mut phones, 20);
    let heard = crate::house::talk(&mut phones, 50);
    assert_eq!(heard, [[false, true, true], [true, false, true], [true, true, false]]);
    house.until(|p| p.jid == Some(crate::house::jid("alice")) && p.is_encrypted).await;
    phones[0].move_on();
    crate::house::talk::<3>(&mut phones, 10);
    assert_eq!(crate::house::talk::<3>(&mut phones, 30), heard, "from where it went to, and at once");
    phones[0].press("*6");
    house.until_audio("alice", Audio::Muted).await;
    assert_eq!(phones[1].send("BYE", &[]).await.status(), 200);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_checks_addresses_browsers_are_heard() {
    for (ice, is_lite) in [(Ice::Lite, false), (Ice::Full, true)] {
        let house = House::start_with(Config { ice, ..quiet() }).await;
        let mut phones = [house.phone_of("alice", 440.0).await, house.call("bob", 700.0).await];
        // One that is a lite agent names its address, is checked there, and checks nothing itself.
        phones[0].is_lite = is_lite;
        phones[0].call_as_browser(URI).await;
        crate::house::talk::<2>(&mut phones, 20);
        assert_eq!(crate::house::talk::<2>(&mut phones, 30), [[false, true], [true, false]], "{ice:?}");
        house.stop().await;
    }
}

/// Twelve legs say how loud they are: the eight loudest are decoded and heard, and who says silence is not.
#[tokio::test(flavor = "multi_thread")]
async fn of_those_who_say_how_loud_they_are_the_loudest_are_heard() {
    let house = House::start().await;
    let mut phones = Vec::new();
    for n in 0..12_u8 {
        let mut phone = house.phone_of("alice", 400.0 + 100.0 * f64::from(n)).await;
        phone.lines = "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n".to_owned();
        phone.level = Some(if n == 0 { 127 } else { 20 + n });
        assert_eq!(phone.invite(URI).await.status(), 200);
        phones.push(phone);
    }
    let expected: Vec<bool> = (0..12).map(|n| (1..=8).contains(&n)).collect();
    // Who is late in a busy moment is heard in the next.
    let mut by_the_silent = Vec::new();
    for _ in 0..10 {
        by_the_silent = crate::house::talk::<12>(&mut phones, 50)[0].to_vec();
        if by_the_silent == expected {
            break;
        }
    }
    assert_eq!(by_the_silent, expected);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_make_a_caller_louder_and_quieter() {
    let house = House::start().await;
    let mut phones = [house.call("alice", 440.0).await, house.call("bob", 700.0).await];
    let loud = |phones: &mut [crate::house::Phone; 2], keys: &str| {
        phones[0].press(keys);
        crate::house::talk::<2>(phones, 25);
        let mut heard = 0.0;
        for _ in 0..3 {
            crate::house::talk::<1>(&mut phones[..1], 10);
            heard = phones[1].loudness(1).max(heard);
        }
        heard
    };
    let usual = loud(&mut phones, "");
    let quiet = loud(&mut phones, "*2*2*2*2*2");
    let louder = loud(&mut phones, "*8*8*8*8*8");
    assert!((2.5..5.5).contains(&(usual / quiet)), "12 dB: {usual} {quiet}");
    assert!((1.0..2.0).contains(&(louder / usual)), "3 dB: {usual} {louder}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_checks_anew_in_the_same_call() {
    let house = House::start().await;
    let mut phones = [house.phone_of("alice", 440.0).await, house.call("bob", 700.0).await];
    phones[0].call_as_browser(URI).await;
    crate::house::talk::<2>(&mut phones, 20);
    let (before, now) = phones[0].check_anew().await;
    assert_ne!(before, now, "new credentials for new checks");
    crate::house::talk::<2>(&mut phones, 10);
    assert_eq!(crate::house::talk::<2>(&mut phones, 50), [[false, true], [true, false]]);
    house.stop().await;
}
