//! What legs hear of one another, tick by tick.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};

use super::*;
use crate::media::FRAME;
use crate::media::codec::{Encoding, Format};
use crate::media::leg::{UnboundLeg, Waits};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A leg in PCMU whose phone is this socket.
fn leg(phone: &UdpSocket, seed: u64, now: Instant) -> RtpLeg {
    leg_with(phone, None, seed, now)
}

/// The same, where noise may stand for silence.
fn leg_with(phone: &UdpSocket, noise: Option<u8>, seed: u64, now: Instant) -> RtpLeg {
    let negotiated = Negotiated {
        encoding: Encoding::of(Format::Pcmu),
        payload_type: 0,
        packets: 1,
        remote: phone.local_addr().unwrap(),
        reports: None,
        events: None,
        noise,
        level: None,
        crypto: None,
        dtls: None,
        extended: Default::default(),
    };
    let rtp = UnboundLeg::bind(&"36000-36998".parse().unwrap(), HERE).unwrap();
    rtp.start(negotiated, None, seed, now).unwrap()
}

/// By a clock of our own: what is loud in a packet of alice's is heard by who says nothing and by who speaks, too, two ticks after
/// it left her jitter buffer at the latest.
#[test]
fn mixing_adds_at_most_40_ms_beside_the_jitter_buffer() {
    const LOUD: u8 = 0;
    let begin = Instant::now();
    let (mut legs, waits) = (Legs::new(Duration::from_secs(60)), Waits::default());
    // Alice is quiet until her word, bob says nothing, carol hums (RFC 3551 §4.5.14: the inverse of the magnitude).
    let phones = [Some(0xff), None, Some(0xaf)].map(|hum| {
        let phone = UdpSocket::bind((HERE, 0)).unwrap();
        phone.set_nonblocking(true).unwrap();
        let id = LegId(legs.len() as u64);
        let mut rtp = leg(&phone, id.0, begin);
        let local = rtp.local();
        if id == LegId(0) {
            rtp.tell_waits(&waits);
        }
        legs.add(id, rtp, Gate::Open, Peer::Listens);
        (phone, local, hum)
    });
    let (word, mut heard, mut at_most) = (150_u16, [None; 3], 0);
    for tick in 0..250_u16 {
        for (n, (phone, local, hum)) in phones.iter().enumerate() {
            let Some(hum) = *hum else { continue };
            let sound = if n == 0 && tick >= word { LOUD } else { hum };
            let mut packet = vec![0x80, 0];
            packet.extend_from_slice(&tick.to_be_bytes());
            packet.extend_from_slice(&(u32::from(tick) * 160).to_be_bytes());
            packet.extend_from_slice(&[0, 0, 0, n as u8]);
            packet.extend_from_slice(&[sound; 160]);
            phone.send_to(&packet, local).unwrap();
        }
        legs.tick(begin + FRAME * tick.into(), |_| true);
        for (at, (phone, ..)) in phones.iter().enumerate() {
            let mut packet = [0; 2_048];
            while let Ok(length) = phone.recv(&mut packet) {
                // Above a quarter of the scale.
                let is_loud = packet[12..length].iter().any(|octet| !octet & 0x7f >= 0x60);
                if is_loud && packet[1] & 0x7f == 0 {
                    heard[at].get_or_insert(tick);
                }
            }
        }
        if tick == word {
            // What is in hand, her word with it, and a frame while it was gathered: the rest is waited for in the buffer.
            let buffer = waits.get() - FRAME * 2;
            at_most = word + (buffer.as_millis() / FRAME.as_millis()) as u16 + 2;
        }
    }
    assert_eq!(heard[0], None, "nobody hears themselves");
    for tick in &heard[1..] {
        let tick = tick.expect("the word is heard");
        assert!(tick <= at_most, "{tick} instead of {at_most}");
    }
}

#[test]
fn what_was_said_to_its_end_is_told_with_its_number() {
    let phone = UdpSocket::bind((HERE, 0)).unwrap();
    let (mut legs, id, now) = (Legs::new(Duration::from_secs(60)), LegId(7), Instant::now());
    legs.add(id, leg(&phone, 1, now), Gate::Open, Peer::Listens);
    let ends = |legs: &mut Legs, ticks: usize| {
        let mut ends = Vec::new();
        for _ in 0..ticks {
            legs.tick(Instant::now(), |spoken| {
                ends.extend(matches!(spoken, Spoken::Prompted(..)).then_some(spoken));
                true
            });
        }
        ends
    };
    legs.tell(id, Word::number(1), 1);
    assert_eq!(ends(&mut legs, 60), [Spoken::Prompted(id, 1)]);
    // The end of what another takes the place of is none.
    legs.tell(id, Word::number(2), 2);
    assert_eq!(ends(&mut legs, 3), []);
    legs.tell(id, Word::number(3), 3);
    assert_eq!(ends(&mut legs, 60), [Spoken::Prompted(id, 3)]);
}

/// RFC 3389 §4, §5: where it was agreed on, and there alone; the packets of speech have the marker at its beginning.
#[test]
fn noise_stands_for_silence_towards_who_takes_it() {
    let (begin, mut legs) = (Instant::now(), Legs::new(Duration::from_secs(60)));
    let phones: Vec<UdpSocket> = (0..3).map(|_| UdpSocket::bind((HERE, 0)).unwrap()).collect();
    let mut at = None;
    for (n, phone) in phones.iter().enumerate() {
        phone.set_nonblocking(true).unwrap();
        let rtp = leg_with(phone, (n == 1).then_some(13), n as u64, begin);
        at = at.or(Some(rtp.local()));
        legs.add(LegId(n as u64), rtp, Gate::Open, Peer::Listens);
    }
    // Who takes noise, and who does not: what came in each tick, with its marker, number, time and first octet.
    let mut heard = [Vec::new(), Vec::new()];
    for tick in 0..200_u16 {
        // Alice speaks, is quiet, but not quite, and speaks again.
        let sound = if (60..150).contains(&tick) { 0xfc } else { 0x80 };
        let mut packet = vec![0x80, 0];
        packet.extend_from_slice(&tick.to_be_bytes());
        packet.extend_from_slice(&(u32::from(tick) * 160).to_be_bytes());
        packet.extend_from_slice(&[0, 0, 0, 9]);
        packet.extend((0..160).map(|n| if n / 4 % 2 == 0 { sound } else { sound & 0x7f }));
        phones[0].send_to(&packet, at.unwrap()).unwrap();
        legs.tick(begin + FRAME * tick.into(), |_| true);
        for (phone, heard) in phones[1..].iter().zip(&mut heard) {
            let mut packet = [0; 2_048];
            while let Ok(length) = phone.recv(&mut packet) {
                if packet[1] & 0x7f <= 13 {
                    let number = u16::from_be_bytes([packet[2], packet[3]]);
                    let time = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
                    heard.push((tick, packet[1], number, time, length - 12, packet[12]));
                }
            }
        }
    }
    let [noisy, plain] = heard;
    assert!(plain.len() == 200 && plain.iter().all(|packet| packet.1 == 0), "who takes none gets none");
    let noise: Vec<_> = noisy.iter().filter(|packet| packet.1 == 13).collect();
    assert!((4..9).contains(&noise.len()), "200 ms apart, in less than two seconds: {noise:?}");
    assert!(noise.windows(2).all(|two| two[1].0 - two[0].0 == 10), "{noise:?}");
    assert!(noise.iter().all(|packet| packet.4 == 1), "the level alone");
    let levels: Vec<u8> = noise.iter().map(|packet| packet.5).collect();
    assert!(
        levels.iter().all(|level| (60..80).contains(level)),
        "as loud as where nobody speaks: {levels:?}"
    );
    let marked: Vec<_> = noisy.iter().filter(|packet| packet.1 & 0x80 != 0).collect();
    let after = noise.last().unwrap().0;
    assert!(marked.len() == 1 && marked[0].1 == 0x80 && marked[0].0 > after, "{marked:?}");
    for two in noisy.windows(2) {
        assert_eq!(two[1].2, two[0].2.wrapping_add(1), "numbers go on");
        let ticks = u32::from(two[1].0 - two[0].0);
        assert_eq!(two[1].3, two[0].3.wrapping_add(ticks * 160), "time goes on");
    }
}
