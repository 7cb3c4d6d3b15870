//! What anybody may send to a leg.

use super::*;
use crate::media::codec::Format;
use crate::media::dtls::{Dtls, Fingerprint, Side};
use crate::media::srtp::{MasterKey, Suite};
use crate::media::xr::{RoundTrip, Wanted};

fn leg(format: Format, crypto: Option<Crypto>) -> RtpLeg {
    let ports: Ports = "37000-37998".parse().unwrap();
    let unbound = UnboundLeg::bind(&ports, IpAddr::from([127, 0, 0, 1])).unwrap();
    let negotiated = Negotiated {
        encoding: Encoding::of(format),
        payload_type: 96,
        packets: 1,
        remote: "127.0.0.1:9".parse().unwrap(),
        reports: None,
        events: Some(101),
        noise: Some(13),
        level: Some(1),
        crypto,
        dtls: None,
        extended: Wanted { metrics: true, round_trip: Some(RoundTrip::All) },
    };
    unbound.start(negotiated, None, 7, Instant::now()).unwrap()
}

/// What anybody may send: packets like true ones with octets changed, cut or added.
#[test]
fn no_datagram_harms_a_leg() {
    let suite = Suite::Aes128Tag80;
    let key = |seed| MasterKey::new(&vec![seed; suite.key_length()]).unwrap();
    let crypto = Crypto { suite, theirs: key(1), ours: key(2) };
    let mut seed = 3_u32;
    let mut random = move || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 16) as usize
    };
    for (format, crypto) in [(Format::Opus, None), (Format::G722, None), (Format::L16, Some(crypto))] {
        let (mut leg, mut frame, begin) = (leg(format, crypto), [0; crate::media::SAMPLES], Instant::now());
        for n in 0..20_000_u32 {
            let mut datagram =
                vec![0x90, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xbe, 0xde, 0, 1, 0x10, 0x55, 0, 0];
            datagram[2..4].copy_from_slice(&(n as u16).to_be_bytes());
            datagram[4..8].copy_from_slice(&(n * 160).to_be_bytes());
            datagram.extend((0..random() % 60).map(|_| random() as u8));
            for _ in 0..random() % 4 {
                let at = random() % datagram.len();
                datagram[at] = random() as u8;
            }
            if random() % 8 == 0 {
                datagram.truncate(random() % 30);
            }
            if random() % 8 == 0 && datagram.len() > 1 {
                (datagram[0], datagram[1]) = (0x80 | random() as u8 & 0x3f, 200 + (random() % 5) as u8);
            }
            if random() % 16 == 0 {
                // Extended reports, whose lengths may be wrong.
                datagram.resize(datagram.len().next_multiple_of(4).clamp(4, 64), 0);
                datagram =
                    [&[0x80, 201, 0, 1, 0, 0, 0, 1, 0x80, 207, 0, 0, 0, 0, 0, 1][..], &datagram].concat();
                datagram[11] = (datagram.len() / 4 - 3) as u8;
                (datagram[16], datagram[19]) = (random() as u8 % 9, random() as u8 % 12);
                datagram.truncate(datagram.len() - random() % 2 * 4);
            }
            let (source, now) = ("127.0.0.1:9".parse().unwrap(), begin + crate::media::FRAME * n);
            match rtcp::is_rtcp(&datagram) {
                true => leg.open_report(&datagram, source, now),
                false => drop(leg.open(&datagram, source, now)),
            }
            let worth = if n % 3 == 0 { Worth::Nothing } else { Worth::All };
            leg.play(worth, &mut frame);
            if n % 500 == 0 {
                leg.send_report(now);
            }
        }
        let counters = leg.take_counters();
        let counted = counters.received + counters.rejected + counters.forged + counters.replayed;
        assert!(counted > 15_000, "{format:?}: {counters:?}");
    }
}

#[test]
fn a_handshake_that_found_no_room_is_begun_later() {
    let ports: Ports = "37000-37998".parse().unwrap();
    let (handshakes, start) = Handshakes::busy();
    let unbound =
        UnboundLeg::bind(&ports, IpAddr::from([127, 0, 0, 1])).unwrap().with_handshakes(&handshakes);
    let theirs = Fingerprint::parse(handshakes.fingerprint()).unwrap();
    let negotiated = Negotiated {
        reports: Some("127.0.0.1:10".parse().unwrap()),
        dtls: Some(Dtls { theirs, side: Side::Active }),
        crypto: None,
        ..leg(Format::Pcmu, None).negotiated
    };
    let mut leg = unbound.start(negotiated, None, 7, Instant::now()).unwrap();
    assert!(!leg.is_shaking());
    start();
    let begin = Instant::now();
    while !leg.is_shaking() {
        assert!(begin.elapsed() < std::time::Duration::from_secs(10), "it is not begun");
        leg.receive(Instant::now(), |_| {});
    }
}

/// RFC 3551 §4.5.11: a tone through both ends of a wire, in packets of 10 ms.
#[test]
fn what_fits_no_datagram_is_said_in_two_packets_and_heard() {
    let here = IpAddr::from([127, 0, 0, 1]);
    let start = |format, remote| {
        let negotiated = Negotiated { packets: 2, remote, ..leg(format, None).negotiated };
        let unbound = UnboundLeg::bind(&"37000-37998".parse::<Ports>().unwrap(), here).unwrap();
        unbound.start(negotiated, None, 7, Instant::now()).unwrap()
    };
    for (format, octets, ticks) in
        [(Format::L16Full, 960, 480), (Format::L16Cd, 882, 441), (Format::G722, 80, 80)]
    {
        let wire = std::net::UdpSocket::bind((here, 0)).unwrap();
        let (mut says, mut hears) =
            (start(format, wire.local_addr().unwrap()), start(format, wire.local_addr().unwrap()));
        let mut tone = crate::mixer::Tone::new(1_000.0, 8_000.0);
        let mut ear = crate::mixer::Goertzel::new(1_000.0, crate::media::RATE);
        let (mut before, begin) = (None, Instant::now());
        for n in 0..60 {
            says.say(&tone.next_frame());
            for _ in 0..2 {
                let mut packet = [0; 2_048];
                let length = wire.recv(&mut packet).unwrap();
                let number = u16::from_be_bytes([packet[2], packet[3]]);
                let time = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
                assert_eq!(length, 12 + octets, "{format:?}");
                if let Some((known, then)) = before.replace((number, time)) {
                    assert_eq!(
                        (number.wrapping_sub(known), time.wrapping_sub(then)),
                        (1, ticks),
                        "{format:?}"
                    );
                }
                wire.send_to(&packet[..length], hears.local()).unwrap();
            }
            let mut frame = crate::media::SILENCE;
            hears.receive(begin + crate::media::FRAME * n, |_| {});
            if hears.play(Worth::All, &mut frame) && n > 20 {
                ear.hear(&frame);
            }
        }
        assert!((6_500.0..9_000.0).contains(&ear.amplitude()), "{format:?}: {}", ear.amplitude());
        assert_eq!(hears.take_counters().lost, 0, "{format:?}");
    }
}
