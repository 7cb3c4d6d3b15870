//! A mix of ten legs, five of G.711 and five of Opus, all speaking over real sockets: microseconds a tick.
//!
//! `cargo bench -p conference` prints a line and fails nothing.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use conference::media::codec::{Encoder, Encoding, Format, LARGEST_PAYLOAD};
use conference::media::leg::{Negotiated, UnboundLeg};
use conference::media::ports::Ports;
use conference::mixer::{Gate, LegId, Legs, Peer, Tone};

fn main() {
    let ports: Ports = "35000-35998".parse().expect("a range");
    let ip = IpAddr::from([127, 0, 0, 1]);
    let mut legs = Legs::new(Duration::from_secs(60));
    let mut phones = Vec::new();
    for n in 0..LEGS {
        let format = if n % 2 == 0 { Format::Pcmu } else { Format::Opus };
        let phone = UdpSocket::bind(SocketAddr::new(ip, 0)).expect("a free port");
        phone.set_nonblocking(true).expect("a socket that does not block");
        let leg = UnboundLeg::bind(&ports, ip).expect("a free pair");
        let mixer = leg.local();
        let remote = phone.local_addr().expect("bound");
        let negotiated = Negotiated {
            encoding: Encoding::of(format),
            payload_type: 96,
            packets: 1,
            remote,
            reports: None,
            events: None,
            noise: None,
            level: None,
            crypto: None,
            dtls: None,
            extended: Default::default(),
        };
        let leg = leg.start(negotiated, None, n, Instant::now()).expect("memory");
        legs.add(LegId(n), leg, Gate::Open, Peer::Speaks);
        let tone = Tone::new(300.0 + 100.0 * n as f64, 2_000.0);
        phones.push((phone, mixer, Encoder::new(Encoding::of(format)).expect("memory"), tone));
    }
    let (mut sequence, mut worst, mut sum) = (0_u16, Duration::ZERO, Duration::ZERO);
    for _ in 0..TICKS {
        for (phone, mixer, encoder, tone) in &mut phones {
            let mut payload = [0; LARGEST_PAYLOAD];
            let octets = encoder.encode(&tone.next_frame(), &mut payload);
            let mut packet = vec![0x80, 96];
            packet.extend(sequence.to_be_bytes());
            packet.extend([0; 8]);
            packet.extend(&payload[..octets]);
            phone.send_to(&packet, *mixer).expect("loopback takes it");
            while phone.recv_from(&mut [0; 2_048]).is_ok() {}
        }
        sequence = sequence.wrapping_add(1);
        let start = Instant::now();
        legs.tick(start, |_| true);
        worst = worst.max(start.elapsed());
        sum += start.elapsed();
    }
    let mean = sum.as_secs_f64() * 1e6 / f64::from(TICKS);
    println!(
        "mix of {LEGS} speaking legs: {mean:.0} µs a tick (worst {} µs), 20000 µs a tick to spend",
        worst.as_micros()
    );
}

const LEGS: u64 = 10;
const TICKS: u32 = 500;
