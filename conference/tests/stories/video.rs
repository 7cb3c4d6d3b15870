//! Pictures over real sockets: who is seen, when, and by whom not.
use crate::house::{House, ROOM, Seen, Viewer, occupant};
#[allow(dead_code, reason = "each test file uses its part")]
use conference::Config;
use conference::media::{rtcp, video::feedback};
use shared_model::{Audio, Role, RoomEvent};

const VP8: &str = "a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack pli\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn everybody_sees_who_speaks() {
    let house = House::start().await;
    let mut alice = Viewer::call(&house, "alice", 440.0, VP8).await;
    let mut bob = Viewer::call(&house, "bob", 700.0, VP8).await;
    let mut carol = Viewer::call(&house, "carol", 1_100.0, VP8).await;
    assert!(alice.answer.contains("a=rtcp-fb:96 nack pli\r\n") && alice.answer.contains("b=AS:1500\r\n"));
    // Who came first is seen until somebody speaks, and sees the next.
    alice.show(false, 1);
    alice.until(|seen| *seen == Seen::Wanted);
    alice.show(true, 2);
    let (first, of_carol) = carol.sees(2);
    bob.sees(2);
    bob.show(true, 3);
    alice.sees(3);

    // Bob speaks: a whole picture is wanted of him, and then everybody else sees him.
    let speak = |viewer: &mut Viewer| {
        crate::house::talk::<1>(std::slice::from_mut(&mut viewer.phone), 60);
    };
    speak(&mut bob);
    bob.until(|seen| *seen == Seen::Wanted);
    alice.show(false, 4);
    assert_eq!(carol.sees(4).0, first.wrapping_add(1), "until then the one before is seen");
    bob.show(true, 5);
    assert_eq!(carol.sees(5), (first.wrapping_add(2), of_carol), "one stream for carol");
    alice.sees(5);
    carol.show(true, 6);
    alice.show(false, 7);
    bob.sees(7);
    assert!(house.metric("conference_video_forwarded_total") >= 7.0);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_muted_by_the_room_is_not_seen_and_who_is_gone_neither() {
    let house = House::start().await;
    let mut alice = Viewer::call(&house, "alice", 440.0, VP8).await;
    let mut bob = Viewer::call(&house, "bob", 700.0, VP8).await;
    let mut watcher = house.watch("carol").await;
    let document = watcher.document().await;
    assert_eq!(document.matches("<label>video</label><status>sendrecv</status>").count(), 2, "{document}");
    let mut carol = Viewer::call(&house, "carol", 1_100.0, VP8).await;
    alice.show(true, 1);
    carol.sees(1);
    // Muting oneself is about sound.
    alice.phone.press("*6");
    house.until_audio("alice", Audio::Muted).await;
    alice.show(false, 2);
    carol.sees(2);
    alice.phone.press("*6");
    house.until_audio("alice", Audio::SendReceive).await;
    house.occupants(vec![occupant("alice", Role::Visitor)]);
    house.happens(RoomEvent::RoleChanged {
        room: ROOM.parse().unwrap(),
        jid: crate::house::jid("alice"),
        nick: "alice".into(),
        role: Role::Visitor,
    });
    house.until_audio("alice", Audio::Muted).await;
    alice.show(true, 4);
    bob.show(true, 5);
    let seen = carol.until(|seen| matches!(seen, Seen::Picture(4 | 5, ..)));
    assert!(matches!(seen, Seen::Picture(5, ..)), "alice is hidden: {seen:?}");
    alice.sees(5);
    assert_eq!(bob.phone.send("BYE", &[]).await.status(), 200);
    carol.show(true, 6);
    alice.sees(6);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_that_cannot_be_had_cost_nothing_else() {
    let house = House::start_with(Config { prompts: false, video: false, ..Config::default() }).await;
    let off = Viewer::call(&house, "alice", 440.0, VP8).await;
    assert!(off.answer.contains("m=video 0 "), "{}", off.answer);
    house.stop().await;
    let house = House::start().await;
    let unknown = Viewer::call(&house, "alice", 440.0, "a=rtpmap:96 AV1/90000\r\n").await;
    assert!(unknown.answer.contains("m=video 0 ") && !unknown.answer.contains("m=audio 0 "));
    // A forger's pictures are nobody's.
    let mut bob = Viewer::call(&house, "bob", 700.0, VP8).await;
    let carol = Viewer::call(&house, "carol", 1_100.0, VP8).await;
    let camera = std::net::UdpSocket::bind("127.0.0.2:0").unwrap();
    let true_camera = std::mem::replace(&mut bob.camera, camera);
    bob.show(true, 1);
    bob.camera = true_camera;
    bob.show(true, 2);
    carol.sees(2);
    assert_eq!(house.metric("conference_video_forged_total"), 1.0);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_pictures_are_seen_by_who_has_none_and_the_other_way() {
    let house = House::start().await;
    let mut alice = Viewer::call_in_secret(&house, "alice", 440.0, VP8).await;
    let mut bob = Viewer::call(&house, "bob", 700.0, VP8).await;
    alice.show(false, 1);
    alice.until(|seen| *seen == Seen::Wanted);
    alice.show(true, 2);
    bob.sees(2);
    bob.show(true, 3);
    alice.sees(3);
    // In the clear it is somebody else's.
    let keys = alice.srtp_away();
    alice.show(true, 4);
    alice.srtp_back(keys);
    alice.show(false, 5);
    let seen = bob.until(|seen| matches!(seen, Seen::Picture(4 | 5, ..)));
    assert!(matches!(seen, Seen::Picture(5, ..)), "{seen:?}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_the_focus_offers_pictures_to_sees_and_is_seen() {
    let mut house = House::start().await;
    let mut alice = Viewer::call_without_offer(&house, "alice", 440.0).await;
    for line in ["a=rtpmap:102 VP8/90000", "a=rtpmap:103 H264/90000", "a=rtcp-fb:102 nack pli", "b=AS:1500"] {
        assert!(alice.answer.contains(line), "{line}: {}", alice.answer);
    }
    house.until_audio("alice", Audio::SendReceive).await;
    assert_eq!(alice.phone.send("REFER", &[("Refer-To", "<sip:bob@example.org>")]).await.status(), 202);
    let mut bob = Viewer::is_called(&mut house, "bob", 700.0).await;
    house.until_audio("bob", Audio::SendReceive).await;
    let mut carol = Viewer::call(&house, "carol", 1_100.0, VP8).await;
    alice.show(true, 1);
    bob.sees(1);
    carol.sees(1);
    bob.show(true, 2);
    alice.sees(2);
    carol.show(true, 3);
    // What was agreed on is named again when a description is asked for without an offer.
    let again = alice.phone.send("INVITE", &[]).await;
    let again = String::from_utf8_lossy(again.body()).into_owned();
    assert!(again.contains(&format!("m=video {} ", alice.focus.port())), "{again}");
    house.stop().await;
}

const WEB: &str = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack pli\r\na=rtcp-fb:96 transport-cc\r\n\
    a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=extmap:2 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n\
    a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n";

/// A picture in a layer: its medium, its name, and its number of the transport are beside its head.
fn layer(ssrc: u32, sequence: u16, rid: &str, number: u16, mark: u8) -> Vec<u8> {
    let mut packet = vec![0x90, 0x80 | 96];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 3_000).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend([0xbe, 0xde, 0, 2, 0x10, b'1', 0x20, rid.as_bytes()[0], 0x31]);
    packet.extend(number.to_be_bytes());
    packet.extend([0, 0x10, 0, mark]);
    packet
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_sees_two_at_once_and_is_seen_in_one_of_its_layers() {
    let house = House::start().await;
    let mut alice = house.silent_phone("alice").await;
    let camera = format!("{WEB}a=rid:h send\r\na=rid:l send\r\na=simulcast:send h;l\r\n");
    let more = format!("{WEB}a=recvonly\r\n");
    let answer = alice.call_as_browser_with(crate::house::URI, &[&camera, &more]).await;
    let answer = String::from_utf8_lossy(answer.body()).into_owned();
    let sdp = sip_core::sdp::Sdp::parse(&answer).unwrap();
    assert_eq!(sdp.media[1].attribute("simulcast"), Some("recv h;l"), "{answer}");
    let ssrc = |at: usize| {
        sdp.media[at].attribute("ssrc").unwrap().split(' ').next().unwrap().parse::<u32>().unwrap()
    };
    let cname = |at: usize| sdp.media[at].attribute("ssrc").unwrap().split("cname:").nth(1).unwrap();
    assert_eq!((cname(1), cname(2)), (cname(0), cname(0)), "sound and pictures are of one end");

    let mut bob = Viewer::call(&house, "bob", 700.0, VP8).await;
    let mut carol = Viewer::call(&house, "carol", 1_100.0, VP8).await;
    for (number, rid, of, mark) in [(0, "h", 70, 1), (1, "l", 71, 2), (2, "x", 72, 3)] {
        alice.show(&layer(of, 500, rid, number, mark));
    }
    bob.sees(1);
    carol.sees(1);
    alice.show(&layer(70, 501, "h", 3, 4));
    let seen = carol.until(|seen| matches!(seen, Seen::Picture(2..=4, ..)));
    assert!(matches!(seen, Seen::Picture(4, ..)), "one layer is seen, and no unknown one: {seen:?}");

    bob.show(true, 5);
    carol.show(true, 6);
    let (mut seen, mut is_reported, mut is_told) = (Vec::new(), false, false);
    for n in 0..250 {
        if seen.len() >= 2 && is_reported && is_told {
            break;
        }
        // How packets come is told ten times a second, when packets come.
        alice.show(&layer(70, 502 + n, "h", 4 + n, 7));
        while let Some(packet) = alice.see() {
            if rtcp::is_rtcp(&packet) {
                is_told |=
                    feedback::read(&packet).iter().any(|wish| matches!(wish, feedback::Wish::Arrived(_)));
                is_reported |= rtcp::senders(&packet).any(|(of, ntp)| of == ssrc(1) && ntp > 0);
            } else {
                seen.push((u32::from_be_bytes(packet[8..12].try_into().unwrap()), packet[packet.len() - 1]));
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(is_reported && is_told, "{is_reported} {is_told}");
    // Which of the two came first is theirs to say.
    let either = [[(ssrc(1), 5), (ssrc(2), 6)], [(ssrc(1), 6), (ssrc(2), 5)]];
    let is_seen = |ways: &[_; 2]| ways.iter().all(|way| seen.contains(way));
    assert!(seen.len() == 2 && either.iter().any(is_seen), "each in a medium of its own: {seen:?}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_what_each_medium_takes_is_sent_no_more_in_any() {
    let house = House::start().await;
    let mut alice = house.silent_phone("alice").await;
    let camera = format!("{WEB}a=rid:h send\r\na=rid:l send\r\na=simulcast:send h;l\r\n");
    alice.call_as_browser_with(crate::house::URI, &[&camera]).await;
    let mut bob = Viewer::call(&house, "bob", 700.0, VP8).await;
    let mut carol = house.silent_phone("carol").await;
    // Both together would have room for the great layer.
    let narrow = WEB.replacen("\r\n", "\r\nb=AS:150\r\n", 1);
    let more = format!("{narrow}a=recvonly\r\n");
    carol.call_as_browser_with(crate::house::URI, &[&narrow, &more]).await;
    let (begin, mut seen) = (std::time::Instant::now(), Vec::new());
    for n in 0..200_u16 {
        // 250 and 50 kbit/s, and next to nothing: each picture is a whole one, and which of them comes is a matter of room alone.
        for (of, rid, number, mark, octets) in [(70, "h", 2 * n, 1, 600), (71, "l", 2 * n + 1, 2, 100)] {
            let mut packet = layer(of, 500 + n, rid, number, 0);
            packet.resize(packet.len() + octets, mark);
            alice.show(&packet);
        }
        bob.show(true, 3);
        let due = std::time::Duration::from_millis(20) * u32::from(n);
        std::thread::sleep(due.saturating_sub(begin.elapsed()));
        while let Some(packet) = carol.see() {
            if !rtcp::is_rtcp(&packet) && n > 100 {
                seen.push(packet[packet.len() - 1]);
            }
        }
        while alice.see().is_some() {}
        while bob.see().is_some() {}
    }
    let of = |mark: u8| seen.iter().filter(|seen| **seen == mark).count();
    assert!(of(1) == 0 && of(2) > 50 && of(3) > 50, "{} {} {}", of(1), of(2), of(3));
    house.stop().await;
}
