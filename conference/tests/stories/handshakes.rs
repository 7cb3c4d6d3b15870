//! Telephones whose keys come of a handshake (RFC 5763): on ports of their own, without ICE.

use std::time::{Duration, Instant};

use crate::house::{Hands, House, URI, talk};
use conference::media::rtcp;
use conference::{Config, Secrecy};
use shared_model::{Audio, Event, MediaEvent};
use shared_runtime::bus::Heard;
use sip_core::Name;

const BOTH: [[bool; 2]; 2] = [[false, true], [true, false]];

#[tokio::test(flavor = "multi_thread")]
async fn whoever_says_hello_is_heard_and_hears() {
    let house =
        House::start_with(Config { prompts: false, srtp: Secrecy::Required, ..Config::default() }).await;
    for (setup, address, ours) in [
        ("actpass", "127.0.0.1", "active"),
        ("passive", "127.0.0.1", "active"),
        ("active", "127.0.0.1", "passive"),
        // Behind a NAT, where no hello of ours finds it.
        ("actpass", "192.0.2.7", "passive"),
    ] {
        let mut phones = [house.phone_of("alice", 440.0).await, house.phone_of("bob", 700.0).await];
        for phone in &mut phones {
            phone.uri = URI.to_owned();
            let mut hands = Hands::new(setup);
            hands.address = address;
            let answer = phone.offer_hands(&hands, "sendrecv").await;
            assert!(answer.contains(&format!("a=setup:{ours}")), "{setup}: {answer:?}");
            assert!(answer.iter().any(|line| line.starts_with("a=fingerprint:sha-256 ")));
            assert!(answer.contains(&"a=rtcp-mux".to_owned()));
            phone.shake_hands(&hands, ours == "passive");
        }
        house.until(|participant| participant.is_encrypted).await;
        talk::<2>(&mut phones, 25);
        assert_eq!(talk::<2>(&mut phones, 30), BOTH, "{setup} at {address}");
        for phone in &mut phones {
            assert_eq!(phone.send("BYE", &[]).await.status(), 200);
        }
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_of_their_own_port_have_keys_of_their_own() {
    let house = House::start().await;
    let (mut alice, bob) = (house.phone_of("alice", 440.0).await, house.call("bob", 700.0).await);
    let hands = Hands::new("actpass").with_reports();
    let answer = alice.offer_hands(&hands, "sendrecv").await;
    assert!(!answer.contains(&"a=rtcp-mux".to_owned()));
    let mut srtp = alice.shake_hands(&hands, false).unwrap();
    let mut phones = [alice, bob];
    talk::<2>(&mut phones, 25);
    assert_eq!(talk::<2>(&mut phones, 30), BOTH);
    let (begin, mut datagram) = (Instant::now(), [0; 2_048]);
    let report = loop {
        assert!(begin.elapsed() < Duration::from_secs(10), "no report came");
        talk::<2>(&mut phones, 5);
        let came = hands.reports.as_ref().unwrap().recv_from(&mut datagram);
        if let Some((length, _)) = came.ok().filter(|_| rtcp::is_rtcp(&datagram)) {
            break srtp.open_report(&datagram[..length]).unwrap();
        }
    };
    assert_eq!(report[1], 200, "it is about our sound");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_believed_in_the_clear() {
    let silence_timeout = Duration::from_secs(2);
    let house = House::start_with(Config { silence_timeout, prompts: false, ..Config::default() }).await;
    let mut alice = house.phone_of("alice", 440.0).await;
    alice.offer_hands(&Hands::new("actpass"), "sendrecv").await;
    for _ in 0..150 {
        let packet = alice.packet();
        alice.media.send_to(&packet, alice.mixer.unwrap()).unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut datagram = [0; 2_048];
    while let Ok((_, _)) = alice.media.recv_from(&mut datagram) {
        assert!(!matches!(datagram[0], 128..=191), "nothing is sent without keys");
    }
    let bye = alice.request("BYE").await;
    assert_eq!(bye.value(Name::Reason), Some("SIP;cause=200;text=\"No Sound Came\""));
    house.stop().await;
}

/// RFC 5763 §5: the endpoint MUST tear down the media session immediately.
#[tokio::test(flavor = "multi_thread")]
async fn another_certificate_than_was_signalled_ends_the_call() {
    let house = House::start().await;
    let mut facts = house.bus.subscribe();
    for (setup, is_ours) in [("actpass", false), ("active", true)] {
        let mut alice = house.phone_of("alice", 440.0).await;
        alice.offer_hands(&Hands::new(setup), "sendrecv").await;
        let begin = Instant::now();
        alice.shake_hands(&Hands::new(setup), is_ours);
        let bye = alice.request("BYE").await;
        assert_eq!(bye.value(Name::Reason), Some("SIP;cause=200;text=\"Wrong Certificate\""), "{setup}");
        assert!(begin.elapsed() < Duration::from_secs(5), "{setup}: {:?}", begin.elapsed());
        let sound = loop {
            let Some(Heard::Fact(fact)) = facts.next().await else { panic!("no facts") };
            if let Event::Media(MediaEvent::Ended { sound, .. }) = fact.event {
                break sound;
            }
        };
        assert!(sound.received == 0 && sound.disbelieved > 0, "the timeline says whom it did not believe");
    }
    let mut browser = house.phone_of("bob", 700.0).await;
    browser.is_impostor = true;
    browser.call_as_browser(URI).await;
    let bye = browser.request("BYE").await;
    assert_eq!(bye.value(Name::Reason), Some("SIP;cause=200;text=\"Wrong Certificate\""));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hold_keeps_the_keys_and_another_certificate_has_new_ones() {
    let house = House::start().await;
    let (alice, bob) = (house.phone_of("alice", 440.0).await, house.call("bob", 700.0).await);
    let mut phones = [alice, bob];
    let hands = Hands::new("actpass");
    phones[0].offer_hands(&hands, "sendrecv").await;
    phones[0].shake_hands(&hands, false);
    talk::<2>(&mut phones, 25);
    phones[0].offer_hands(&hands, "sendonly").await;
    house.until_audio("alice", Audio::OnHold).await;
    let answer = phones[0].offer_hands(&hands, "sendrecv").await;
    assert!(answer.contains(&"a=setup:active".to_owned()));
    talk::<2>(&mut phones, 25);
    assert_eq!(talk::<2>(&mut phones, 30), BOTH, "with the keys of before");
    let mut anew = Hands::new("actpass");
    for (setup, ours) in [("actpass", "active"), ("active", "passive")] {
        // Another certificate, and then another who says hello.
        anew.setup = setup;
        let answer = phones[0].offer_hands(&anew, "sendrecv").await;
        assert!(answer.contains(&format!("a=setup:{ours}")), "{answer:?}");
        while phones[0].media.recv_from(&mut [0; 2_048]).is_ok() {}
        phones[0].shake_hands(&anew, ours == "passive");
        talk::<2>(&mut phones, 25);
        assert_eq!(talk::<2>(&mut phones, 30), BOTH, "{setup}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_waits_until_it_can_be_heard() {
    let house = House::start_with(Config::default()).await;
    let mut alice = house.phone_of("alice", 440.0).await;
    let hands = Hands::new("active");
    alice.offer_hands(&hands, "sendrecv").await;
    // Longer than it takes to say.
    tokio::time::sleep(Duration::from_secs(5)).await;
    alice.shake_hands(&hands, true);
    let begin = Instant::now();
    while alice.loudness(10) < 100.0 {
        assert!(begin.elapsed() < Duration::from_secs(5), "she is alone, and is not told");
    }
    house.stop().await;
}
