//! Legs with pictures of one conference, for `tests/load/conference/video.py`: the first sends, all others see it.
//!
//! `viewers LEGS SECONDS KBITS` prints the ports of its legs as a JSON line, reads for each leg a line `address type` (where
//! pictures are to be sent, and their payload type there), says `measuring`, and at the end what came, as a JSON line.
//!
//! The pictures are packets of 1,200 octets that look like VP8, a whole picture each second; they are counted, not decoded.

use std::io::BufRead;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

fn main() {
    let arguments: Vec<u64> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let [legs, seconds, kbits] = arguments[..] else {
        eprintln!("viewers LEGS SECONDS KBITS");
        std::process::exit(2);
    };
    let sockets: Vec<UdpSocket> =
        (0..legs).map(|_| UdpSocket::bind("127.0.0.1:0").expect("a free port")).collect();
    let ports: Vec<u16> = sockets.iter().map(|socket| socket.local_addr().expect("bound").port()).collect();
    println!("{}", serde_json::json!({ "ports": ports }));
    let lines = std::io::stdin().lock().lines().map_while(Result::ok);
    let targets: Vec<(SocketAddr, u8)> = lines.take(legs as usize).filter_map(|line| target(&line)).collect();
    assert_eq!(targets.len(), legs as usize, "a line for each leg");

    let counts = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    let counted = Arc::clone(&counts);
    let mut sockets = sockets.into_iter();
    let camera = sockets.next().expect("a leg");
    std::thread::spawn(move || count(&sockets.collect::<Vec<_>>(), &counted));

    let gap = Duration::from_secs_f64(PACKET as f64 * 8.0 / (kbits as f64 * 1_000.0));
    let (target, kind) = targets[0];
    let (begin, mut number, mut measured) = (Instant::now(), 0_u32, None);
    while begin.elapsed() < WARM_UP + Duration::from_secs(seconds) {
        if measured.is_none() && begin.elapsed() >= WARM_UP {
            counts.iter().for_each(|count| count.store(0, Ordering::Relaxed));
            measured = Some(number);
            println!("measuring");
        }
        let is_whole = begin.elapsed().as_millis() % 1_000 < 2 * gap.as_millis().max(1);
        camera.send_to(&packet(kind, number, is_whole, begin), target).expect("loopback");
        number += 1;
        std::thread::sleep((gap * number).saturating_sub(begin.elapsed()));
    }
    // What is under way comes within a moment.
    std::thread::sleep(Duration::from_millis(200));
    let [packets, octets] = [&counts[0], &counts[1]].map(|count| count.load(Ordering::Relaxed));
    let sent = u64::from(number - measured.unwrap_or(0));
    println!("{}", serde_json::json!({ "sent": sent, "received": packets, "octets": octets }));
}

/// Counts what comes, now and then: a wake-up for each packet would cost more than it does.
fn count(sockets: &[UdpSocket], counts: &[AtomicU64; 2]) {
    let mut datagram = [0; 2_048];
    for socket in sockets {
        socket.set_nonblocking(true).expect("a socket that does not block");
    }
    loop {
        for socket in sockets {
            while let Ok((length, _)) = socket.recv_from(&mut datagram) {
                // Reports are not pictures.
                if !(192..=223).contains(&datagram[1]) {
                    counts[0].fetch_add(1, Ordering::Relaxed);
                    counts[1].fetch_add(length as u64, Ordering::Relaxed);
                }
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn target(line: &str) -> Option<(SocketAddr, u8)> {
    let (address, kind) = line.trim().split_once(' ')?;
    Some((address.parse().ok()?, kind.parse().ok()?))
}

fn packet(kind: u8, number: u32, is_whole: bool, begin: Instant) -> Vec<u8> {
    let mut packet = vec![0x80, 0x80 | kind];
    packet.extend((number as u16).to_be_bytes());
    packet.extend((begin.elapsed().as_millis() as u32 * 90).to_be_bytes());
    packet.extend(7_u32.to_be_bytes());
    packet.extend([0x10, u8::from(!is_whole)]);
    packet.resize(PACKET, 0);
    packet
}

/// Octets of a packet.
const PACKET: usize = 1_200;
/// Before anything is measured.
const WARM_UP: Duration = Duration::from_secs(2);
