//! Answers, and offers that are answered.

use super::*;
use crate::focus::offer::{Offered, answered, answered_by_browser, offer, offer_to_browser};

fn origin() -> Origin {
    Origin { session: 8, version: 1, local: "192.0.2.9:20000".parse().unwrap() }
}

fn answer(offer: &str, origin: Origin) -> Result<Agreed, Unfit> {
    under(Secrecy::Preferred, offer, origin)
}

fn under(secrecy: Secrecy, offer: &str, origin: Origin) -> Result<Agreed, Unfit> {
    super::answer(offer, origin, &Keys { secrecy, now: None, random: || 7, dtls: None }, None, None)
}

const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
    m=message 2855 TCP/MSRP *\r\nm=audio 4000 RTP/AVP 18 8 101 13\r\na=rtpmap:101 telephone-event/8000\r\n\
    m=video 4002 RTP/AVP 97\r\n";

#[test]
fn takes_the_first_known_audio_and_refuses_the_rest() {
    let agreed = answer(OFFER, origin()).unwrap();
    let remote = "192.0.2.1:4000".parse().unwrap();
    let negotiated = Negotiated {
        encoding: Encoding::of(Format::Pcma),
        payload_type: 8,
        remote,
        reports: "192.0.2.1:4001".parse().ok(),
        events: Some(101),
        noise: Some(13),
        level: None,
        crypto: None,
        dtls: None,
        packets: 1,
        extended: crate::media::xr::Wanted::default(),
    };
    assert_eq!(agreed.negotiated, negotiated);
    let media: Vec<&str> = agreed.text.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(media, ["m=message 0 TCP/MSRP *", "m=audio 20000 RTP/AVP 8 101 13", "m=video 0 RTP/AVP 97"]);
    assert!(agreed.text.contains("o=cusax 4 1 IN IP4 192.0.2.9\r\n"));
}

#[test]
fn takes_what_is_beside_the_sound() {
    let offer = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
        m=audio 4000 RTP/AVPF 111 13 110 126\r\na=rtpmap:111 opus/48000/2\r\n\
        a=fmtp:111 minptime=10;useinbandfec=1;maxaveragebitrate=16000\r\na=rtpmap:126 telephone-event/8000\r\n\
        a=rtpmap:110 telephone-event/48000\r\na=extmap:15 x\r\n\
        a=extmap:3/sendonly urn:ietf:params:rtp-hdrext:ssrc-audio-level vad=on\r\na=rtcp-mux\r\n";
    let agreed = answer(offer, origin()).unwrap();
    let Negotiated { encoding, reports, events, noise, level, .. } = agreed.negotiated;
    let wished = Encoding { bits_a_second: 12_000, has_redundancy: true, ..Encoding::of(Format::Opus) };
    assert_eq!(encoding, wished);
    assert_eq!((reports, events, noise, level), (None, Some(110), None, Some(3)));
    for line in [
        "m=audio 20000 RTP/AVPF 111 110",
        "a=rtpmap:110 telephone-event/48000",
        "a=extmap:3/recvonly urn:ietf:params:rtp-hdrext:ssrc-audio-level",
        "a=rtcp-mux",
        "a=fmtp:111 useinbandfec=1",
    ] {
        assert!(agreed.text.lines().any(|said| said == line), "{line}: {}", agreed.text);
    }
    let elsewhere = OFFER.replace("m=video", "a=rtcp:9000 IN IP4 192.0.2.7\r\nm=video");
    assert_eq!(answer(&elsewhere, origin()).unwrap().negotiated.reports, "192.0.2.7:9000".parse().ok());
}

/// RFC 8866 §6.4, RFC 3551 §6.
#[test]
fn packets_are_as_short_as_the_peer_and_a_datagram_want_them() {
    let with = |formats: &str, lines: &str| {
        let offer = OFFER.replace("18 8 101 13", formats).replace("m=video", &format!("{lines}m=video"));
        let agreed = answer(&offer, origin()).unwrap();
        let said = agreed.text.lines().filter(|line| line.contains("ptime") || line.contains("L16"));
        (agreed.negotiated.packets, said.collect::<Vec<_>>().join(" "))
    };
    let told = |packets, text: &str| (packets, text.to_owned());
    assert_eq!(with("11", ""), told(2, "a=rtpmap:11 L16/44100 a=ptime:10 a=maxptime:10"));
    let full = with("97", "a=rtpmap:97 L16/48000/1\r\na=ptime:20\r\n");
    assert_eq!(full, told(2, "a=rtpmap:97 L16/48000 a=ptime:10 a=maxptime:10"));
    for (most, packets, ptime) in [("40", 1, 20), ("20", 1, 20), ("10", 2, 10), ("5", 4, 5), ("x", 1, 20)] {
        let said = with("0", &format!("a=maxptime:{most}\r\n"));
        assert_eq!(said, (packets, format!("a=ptime:{ptime}")), "{most}");
    }
    assert_eq!(with("97", "a=rtpmap:97 opus/48000/2\r\na=maxptime:10\r\n").0, 1);
}

/// RFC 3389 §5.1.
#[test]
fn noise_is_by_the_clock_of_the_sound_and_only_where_it_is_wanted() {
    let noise = |formats: &str, lines: &str| {
        let offer = OFFER.replace("18 8 101 13", formats).replace("m=video", &format!("{lines}m=video"));
        let agreed = answer(&offer, origin()).unwrap();
        let said = agreed.text.lines().find(|line| line.contains("CN/")).map(str::to_owned);
        (agreed.negotiated.noise, said)
    };
    let both = "a=rtpmap:97 L16/16000\r\na=rtpmap:105 CN/16000\r\n";
    assert_eq!(noise("9 13", ""), (Some(13), None));
    assert_eq!(noise("97 13 105", both), (Some(105), Some("a=rtpmap:105 CN/16000".to_owned())));
    assert_eq!(noise("0 105", both).0, None);
    assert_eq!(noise("0 13", "a=silenceSupp:off - - - -\r\n").0, None);
}

#[test]
fn hold_is_mirrored() {
    let held = OFFER.replace("m=video", "a=sendonly\r\nm=video");
    assert_eq!(answer(&held, origin()).unwrap().direction, Direction::ReceiveOnly);
    let old = OFFER.replace("c=IN IP4 192.0.2.1", "c=IN IP4 0.0.0.0");
    assert_eq!(answer(&old, origin()).unwrap().direction, Direction::Inactive);
}

#[test]
fn what_cannot_be_had_says_why() {
    let unfit = |offer: &str| answer(offer, origin()).unwrap_err();
    assert_eq!(unfit(&OFFER.replace("18 8 101 13", "18 101 13")), Unfit::Format);
    assert_eq!(unfit(&OFFER.replace("RTP/AVP 18", "UDP/TLS/RTP/SAVP 18")), Unfit::Transport);
    assert_eq!(unfit(&OFFER.replace("m=audio 4000", "m=audio 0")), Unfit::NoAudio);
    assert_eq!(
        unfit(&OFFER.replace("c=IN IP4 192.0.2.1\r\n", "c=IN IP4 host.example\r\n")),
        Unfit::NoAddress
    );
    let other_family = OFFER.replace("c=IN IP4 192.0.2.1\r\n", "c=IN IP6 2001:db8::1\r\n");
    let from = |offer: &str, source: Option<&str>| {
        let agreed = answer(offer, origin()).unwrap();
        agreed.between(origin().local.ip(), source.map(|ip| ip.parse().unwrap())).map(drop)
    };
    assert_eq!(from(&other_family, None), Err(Unfit::NoAddress));
    assert_eq!(from(&other_family, Some("2001:db8::1")), Err(Unfit::NoAddress));
    assert_eq!(from(&other_family, Some("192.0.2.1")), Ok(()), "it has addresses of both families");
    assert_eq!(from(&OFFER.replace("IP4 192.0.2.1", "IP6 ::"), None), Ok(()), "nothing is sent there");
    assert_eq!(unfit("rubbish"), Unfit::NotSdp);
}

const BROWSER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n\
    a=fingerprint:sha-256 AB:CD\r\na=ice-ufrag:their\r\na=ice-pwd:theirpassword\r\n\
    m=audio 9 UDP/TLS/RTP/SAVPF 111 0\r\nc=IN IP4 0.0.0.0\r\na=rtpmap:111 opus/48000/2\r\na=mid:0\r\n\
    a=setup:actpass\r\na=rtcp-mux\r\na=sendrecv\r\n\
    m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=setup:actpass\r\na=rtcp-mux\r\n";

fn their() -> Theirs {
    let ice = Credentials { name: "their".into(), password: "theirpassword".into() };
    Theirs { ice, candidates: Vec::new(), is_lite: false }
}

#[test]
fn where_a_browser_may_be_is_read() {
    let offer = |session: &str, lines: &str| {
        BROWSER.replacen("a=ice-ufrag", &format!("{session}a=ice-ufrag"), 1).replacen(
            "a=mid:0\r\n",
            &format!("a=mid:0\r\n{lines}"),
            1,
        )
    };
    let lines = "a=candidate:1 1 udp 2113937151 192.0.2.7 5000 typ host generation 0\r\n\
        a=candidate:2 1 UDP 1677729535 2001:db8::7 5001 typ srflx raddr 10.0.0.1 rport 5000\r\n\
        a=candidate:3 1 udp 1 4f9c2a7e.local 5002 typ host\r\na=candidate:4 2 udp 1 192.0.2.7 5003 typ host\r\n\
        a=candidate:5 1 tcp 1 192.0.2.7 9 typ host tcptype active\r\na=candidate:6 1 udp x 192.0.2.7 1 typ host\r\n\
        a=candidate:7 1 udp 1 192.0.2.7\r\na=candidate:\r\n";
    let read = ice_of(&offer("", lines)).unwrap();
    let known = ["192.0.2.7:5000", "[2001:db8::7]:5001"].map(|address| address.parse().unwrap());
    assert_eq!(read.candidates, [(known[0], 2_113_937_151), (known[1], 1_677_729_535)]);
    assert!(!read.is_lite && ice_of(&offer("a=ice-lite\r\n", "")).unwrap().is_lite);
    let many = "a=candidate:1 1 udp 1 192.0.2.7 5000 typ host\r\n".repeat(120);
    assert_eq!(ice_of(&offer("", &many)).unwrap().candidates.len(), MOST_CANDIDATES);
    // In a bundle they stand beside its head.
    let group =
        BROWSER.replace("BUNDLE 0 1", "BUNDLE 1 0").replace("a=mid:1\r\n", &format!("a=mid:1\r\n{lines}"));
    assert_eq!(ice_of(&group).unwrap().candidates.len(), 2);
}

#[test]
fn browsers_are_answered_on_one_port_with_our_fingerprint() {
    let ice = Credentials { name: "ours".into(), password: "secret".into() };
    let ours = Ours { ice, fingerprint: "sha-256 12:34".into(), is_full: false };
    let keys = || Keys { secrecy: Secrecy::Required, now: None, random: || 7, dtls: None };
    let answer = |offer: &str| super::answer(offer, origin(), &keys(), Some(&ours), None);
    let agreed = answer(BROWSER).unwrap();
    assert_eq!(agreed.browser, Some(Browser { fingerprint: "sha-256 AB:CD".into(), ice: their() }));
    assert_eq!((agreed.direction, agreed.negotiated.reports), (Direction::SendReceive, None));
    for line in [
        "a=group:BUNDLE 0",
        "a=ice-lite",
        "a=fingerprint:sha-256 12:34",
        "m=audio 20000 UDP/TLS/RTP/SAVPF 111",
        "a=mid:0",
        "a=rtcp-mux",
        "a=setup:passive",
        "a=ice-ufrag:ours",
        "a=ice-pwd:secret",
        "a=candidate:1 1 udp 2130706431 192.0.2.9 20000 typ host",
        "m=video 0 UDP/TLS/RTP/SAVPF 96",
        // A browser tells its media apart by their names, refused or not.
        "a=mid:1",
    ] {
        assert!(agreed.text.lines().any(|said| said == line), "{line}: {}", agreed.text);
    }
    assert!(is_browser(BROWSER) && !is_browser(OFFER));
    for lacking in ["a=ice-pwd:theirpassword\r\n", "a=fingerprint:sha-256 AB:CD\r\n", "a=rtcp-mux\r\n"] {
        assert_eq!(answer(&BROWSER.replace(lacking, "")).unwrap_err(), Unfit::NotWhole, "{lacking}");
    }
    assert_eq!(answer(&BROWSER.replace("actpass", "passive")).unwrap_err(), Unfit::NotWhole);
    let without = super::answer(BROWSER, origin(), &keys(), None, None);
    assert_eq!(without.unwrap_err(), Unfit::Transport);
}

#[test]
fn a_bundle_has_its_head_first_and_its_media_need_no_port() {
    let ice = Credentials { name: "ours".into(), password: "secret".into() };
    let ours = Ours { ice, fingerprint: "sha-256 12:34".into(), is_full: false };
    let keys = Keys { secrecy: Secrecy::Required, now: None, random: || 7, dtls: None };
    let pictures = video::Ours { port: 20_000, ssrc: 7, cname: 1, limit: 0, streams: 1, crypto: None };
    // The sound says nothing of its own way, and has no port: what the pictures say holds for both.
    let offer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE d v a\r\n\
        m=audio 0 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=mid:a\r\na=bundle-only\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=rtpmap:96 VP8/90000\r\na=mid:v\r\na=setup:actpass\r\n\
        a=fingerprint:sha-256 AB:CD\r\na=ice-ufrag:their\r\na=ice-pwd:theirpassword\r\na=rtcp-mux\r\n\
        m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:d\r\n";
    let agreed = super::answer(offer, origin(), &keys, Some(&ours), Some(&pictures)).unwrap();
    assert_eq!(agreed.browser.unwrap().ice, their());
    let lines: Vec<&str> =
        agreed.text.lines().filter(|line| line.contains("BUNDLE") || line.starts_with("m=")).collect();
    assert_eq!(
        lines,
        [
            "a=group:BUNDLE v a",
            "m=audio 20000 UDP/TLS/RTP/SAVPF 0",
            "m=video 20000 UDP/TLS/RTP/SAVPF 96",
            "m=application 0 UDP/DTLS/SCTP webrtc-datachannel"
        ]
    );
    let none = super::answer(offer, origin(), &keys, Some(&ours), None);
    assert_eq!(none.unwrap_err(), Unfit::NoAddress, "its head is refused, and it has no port of its own");
    let off = BROWSER
        .replace("m=video 9", "m=video 0")
        .replace("a=mid:1\r\n", "a=mid:1\r\na=rtpmap:96 VP8/90000\r\n");
    let only = off.replace("a=mid:1\r\n", "a=mid:1\r\na=bundle-only\r\n");
    assert_eq!((video::is_offered(&off), video::is_offered(&only)), (false, true));
    assert_eq!(ice_of(offer), Some(their()));
}

#[test]
fn browsers_can_answer_our_offer() {
    let ice = Credentials { name: "ours".into(), password: "secret".into() };
    let ours = Ours { ice, fingerprint: "sha-256 12:34".into(), is_full: false };
    let offer = offer_to_browser(origin(), &ours, None);
    let offered = Offered::default().saying(&offer);
    assert!(is_browser(&offer) && offer.contains("a=setup:actpass") && offer.contains("a=ice-lite"));
    let answer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 96 101\r\nc=IN IP4 0.0.0.0\r\na=rtpmap:96 opus/48000/2\r\na=mid:0\r\n\
        a=rtpmap:101 telephone-event/8000\r\na=ice-ufrag:their\r\na=ice-pwd:theirpassword\r\n\
        a=fingerprint:sha-256 AB:CD\r\na=setup:active\r\na=rtcp-mux\r\na=sendrecv\r\n";
    let agreed = answered_by_browser(answer, &offered).unwrap();
    assert_eq!(agreed.browser, Some(Browser { fingerprint: "sha-256 AB:CD".into(), ice: their() }));
    assert_eq!((agreed.negotiated.encoding.format, agreed.negotiated.events), (Format::Opus, Some(101)));
    for wrong in ["a=setup:active", "a=fingerprint:sha-256 AB:CD\r\n", "a=rtcp-mux\r\n"] {
        assert_eq!(answered_by_browser(&answer.replace(wrong, ""), &offered), None, "{wrong}");
    }
    assert_eq!(answered_by_browser(&answer.replace("UDP/TLS/RTP/SAVPF", "RTP/AVP"), &offered), None);
}

#[test]
fn our_offer_can_be_answered_with_and_without_keys() {
    for (ours, theirs, is_encrypted) in [
        (Secrecy::Preferred, Secrecy::Preferred, true),
        (Secrecy::Required, Secrecy::Preferred, true),
        (Secrecy::Preferred, Secrecy::Off, false),
        (Secrecy::Off, Secrecy::Preferred, false),
    ] {
        let sound = Keys { secrecy: ours, now: None, random: || 9, dtls: None }.offered();
        let offered = Offered { sound, ..Offered::default() };
        let text = offer(origin(), ours, &offered);
        let offered = offered.saying(&text);
        let there = under(theirs, &text, origin()).unwrap();
        let here = answered(&there.text, ours, &offered).unwrap();
        assert_eq!(here.negotiated.encoding.format, Format::Opus);
        let (here, there) = (here.negotiated.crypto, there.negotiated.crypto);
        assert_eq!((here.is_some(), there.is_some()), (is_encrypted, is_encrypted), "{ours:?} {theirs:?}");
        if let Some((here, there)) = here.zip(there) {
            assert_eq!((here.ours, here.theirs, here.suite), (there.theirs, there.ours, there.suite));
        }
    }
    let plain = under(Secrecy::Off, OFFER, origin()).unwrap();
    let offered = Offered::default().saying(&plain.text);
    assert_eq!(answered(&plain.text, Secrecy::Required, &offered), None);
}

const SECURE: &str = "m=audio 4000 RTP/SAVP 0\r\n\
    a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n";

#[test]
fn encrypted_sound_is_taken_before_plain_and_refused_where_it_is_off() {
    let head = &OFFER[..OFFER.find("m=").unwrap()];
    let both = format!("{head}m=audio 4002 RTP/AVP 0\r\n{SECURE}");
    let agreed = answer(&both, origin()).unwrap();
    assert!(agreed.negotiated.crypto.is_some());
    let media: Vec<&str> = agreed.text.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(media, ["m=audio 0 RTP/AVP 0", "m=audio 20000 RTP/SAVP 0"]);
    assert!(agreed.text.contains("a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:BwAAAAA"), "{}", agreed.text);
    assert_eq!(under(Secrecy::Off, &both, origin()).unwrap().negotiated.crypto, None);
    let secure = format!("{head}{SECURE}");
    assert_eq!(under(Secrecy::Off, &secure, origin()).unwrap_err(), Unfit::Transport);
    assert_eq!(answer(&secure.replace("inline", "other"), origin()).unwrap_err(), Unfit::NoKey);
    assert_eq!(under(Secrecy::Required, OFFER, origin()).unwrap_err(), Unfit::InTheClear);
    // RFC 8643: keys without insistence.
    let optional = secure.replace("RTP/SAVP", "RTP/AVP");
    assert!(under(Secrecy::Required, &optional, origin()).unwrap().text.contains("RTP/AVP 0\r\na=rtpmap"));
}
