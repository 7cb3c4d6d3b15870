//! Hostile input against the binary: mutated datagrams and streams leave it serving, and its memory where it was.
//!
//! The mutations are those of the torture messages (RFC 4475, RFC 5118) and of messages that a phone would send, from a
//! seed that is always the same.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use crate::conformance;
use crate::service::{DOMAIN, Service};
use bytes::Bytes;
use sip_core::Message;
use sip_core::header::Name;

#[test]
fn mutated_datagrams_and_streams_leave_it_serving_and_its_memory_where_it_was() {
    let service = Service::start();
    service.add_account("alice");
    let mut dice = Dice(SEED);
    let seeds = seeds();
    let peer = Peer::new(&service);

    // What the first of everything costs (buffers, tables, threads' arenas) is not what this is about.
    datagrams(&peer, &seeds, &mut dice, DATAGRAMS / 4);
    streams(&peer, &seeds, &mut dice, STREAMS / 4);
    let before = settled(&service, &peer);

    datagrams(&peer, &seeds, &mut dice, DATAGRAMS);
    streams(&peer, &seeds, &mut dice, STREAMS);
    let after = settled(&service, &peer);

    println!("resident: {before} KiB before, {after} KiB after");
    assert!(after <= before + MOST_GROWTH, "resident: {before} KiB before, {after} KiB after");
}

/// Sends mutations by the hundred, and waits each time for the answer to an OPTIONS, so that none is lost unread.
fn datagrams(peer: &Peer, seeds: &[Vec<u8>], dice: &mut Dice, count: usize) {
    for turn in 0..count {
        let bytes = dice.mutate(seeds);
        // The system refuses what is larger than a datagram may be; so do we.
        let _ = peer.hostile.send_to(&bytes, peer.udp);
        if turn % 100 == 99 {
            peer.expect_alive();
        }
    }
    peer.expect_alive();
}

/// Sends several mutations a stream, cut anywhere; some streams are left in the middle of a message.
fn streams(peer: &Peer, seeds: &[Vec<u8>], dice: &mut Dice, count: usize) {
    for turn in 0..count {
        let mut stream = TcpStream::connect(peer.tcp).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        for _ in 0..=dice.below(3) {
            let bytes = dice.mutate(seeds);
            let (first, second) = bytes.split_at(dice.below(bytes.len() + 1));
            // The server may have closed the stream by now.
            let _ = stream.write_all(first).and_then(|()| stream.write_all(second));
        }
        let mut answers = [0; 4_096];
        let _ = stream.read(&mut answers);
        if turn % 100 == 99 {
            peer.expect_alive();
        }
    }
}

/// KiB that are resident once what the last messages began is over: the least that was seen while the server was asked
/// again and again, for longer than a transaction lives (RFC 3261 §17.1.1.2, 64 T1).
fn settled(service: &Service, peer: &Peer) -> u64 {
    let resident = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", service.process_id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    let end = std::time::Instant::now() + LONGEST_TRANSACTION;
    let mut least = u64::MAX;
    while std::time::Instant::now() < end {
        peer.expect_alive();
        least = least.min(resident());
        // Nobody writes here: waiting for it is waiting for time to pass.
        let _ = peer.silence.recv(&mut [0; 1]);
    }
    least.min(resident())
}

struct Peer {
    udp: SocketAddr,
    tcp: SocketAddr,
    /// Where hostile datagrams come from; answers to it are not read.
    hostile: UdpSocket,
    /// Where OPTIONS come from.
    friendly: UdpSocket,
    silence: UdpSocket,
}

impl Peer {
    fn new(service: &Service) -> Self {
        let bind = || UdpSocket::bind("127.0.0.1:0").unwrap();
        let (hostile, friendly, silence) = (bind(), bind(), bind());
        friendly.set_read_timeout(Some(PATIENCE)).unwrap();
        silence.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let at = |listener| SocketAddr::from(([127, 0, 0, 1], service.port(listener)));
        Self { udp: at("sip.udp"), tcp: at("sip.tcp"), hostile, friendly, silence }
    }

    /// An OPTIONS is answered, over UDP and over TCP.
    fn expect_alive(&self) {
        let (mut request, id) = (Message::request("OPTIONS", &format!("sip:{DOMAIN}")), fresh());
        let at = self.friendly.local_addr().unwrap();
        request.push(Name::Via, &format!("SIP/2.0/UDP {at};rport;branch=z9hG4bKalive{id}"));
        request.push(Name::MaxForwards, "70");
        request.push(Name::From, "<sip:friend@elsewhere.example>;tag=1");
        request.push(Name::To, &format!("<sip:{DOMAIN}>"));
        request.push(Name::CallId, &format!("alive-{id}"));
        request.push(Name::CSeq, "1 OPTIONS");
        request.push(Name::ContentLength, "0");
        let is_answer = |bytes: &[u8]| {
            let answer = Message::parse(Bytes::copy_from_slice(bytes));
            answer.is_ok_and(|answer| answer.status() == 200 && answer.call_id() == format!("alive-{id}"))
        };
        let mut buffer = [0; 65_535];
        let is_alive = (0..ATTEMPTS).any(|_| {
            self.friendly.send_to(&request.to_bytes(), self.udp).unwrap();
            self.friendly.recv(&mut buffer).is_ok_and(|length| is_answer(&buffer[..length]))
        });
        assert!(is_alive, "an OPTIONS over UDP is answered");
        let mut stream = TcpStream::connect(self.tcp).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        request.set(Name::Via, &format!("SIP/2.0/TCP {at};branch=z9hG4bKstream{id}"));
        stream.write_all(&request.to_bytes()).unwrap();
        let length = stream.read(&mut buffer).unwrap_or(0);
        assert!(is_answer(&buffer[..length]), "an OPTIONS over TCP is answered");
    }
}

fn fresh() -> u32 {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

/// The torture messages, the same about our own domain, and what a phone sends.
fn seeds() -> Vec<Vec<u8>> {
    let torture: Vec<Vec<u8>> = conformance::rfc4475_files()
        .into_values()
        .chain(conformance::rfc5118().into_iter().map(|case| case.bytes))
        .collect();
    let ours =
        torture.iter().map(|bytes| replace(&replace(bytes, b"example.com", DOMAIN), b"user@", "alice@"));
    let phone = ["REGISTER", "INVITE", "OPTIONS", "SUBSCRIBE", "MESSAGE", "BYE", "ACK", "CANCEL", "NOTIFY", "REFER"]
        .map(|method| {
            format!(
                "{method} sip:alice@{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;rport;branch=z9hG4bK{method}\r\n\
                 Max-Forwards: 70\r\nFrom: \"A\" <sip:bob@elsewhere.example>;tag=1\r\nTo: <sip:alice@{DOMAIN}>\r\n\
                 Call-ID: normal-{method}\r\nCSeq: 1 {method}\r\nContact: <sip:bob@127.0.0.1:9>;expires=60\r\n\
                 Route: <sip:127.0.0.1;lr>\r\nEvent: reg\r\nRefer-To: <sip:c@{DOMAIN}>\r\nSupported: path, outbound\r\n\
                 Authorization: Digest username=\"alice\", realm=\"{DOMAIN}\", nonce=\"n\", uri=\"sip:{DOMAIN}\", \
                 response=\"r\", algorithm=MD5\r\nContent-Type: application/sdp\r\nContent-Length: 80\r\n\r\n\
                 v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n\r\n"
            )
            .into_bytes()
        });
    let mut all: Vec<Vec<u8>> = torture.iter().cloned().chain(ours).chain(phone).collect();
    // A map has no order, and a seed wants one.
    all.sort();
    all
}

fn replace(bytes: &[u8], what: &[u8], with: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(what.len()).position(|window| window == what) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(with.as_bytes());
        rest = &rest[at + what.len()..];
    }
    out.extend_from_slice(rest);
    out
}

/// Numbers that look like chance and are the same each time (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }

    /// One of the seeds with a few changes: bytes replaced, taken out, put in, doubled, cut off, or spliced.
    fn mutate(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(6) {
            let at = self.below(bytes.len());
            let end = at + self.below((bytes.len() - at).min(64) + 1);
            match self.below(8) {
                0 if !bytes.is_empty() => bytes[at] = self.below(256) as u8,
                1 => drop(bytes.drain(at..end)),
                2 => {
                    let twice: Vec<u8> = bytes[at..end].repeat(1 + self.below(40));
                    bytes.splice(at..at, twice);
                }
                3 => bytes.truncate(at),
                4 => {
                    let other = &seeds[self.below(seeds.len())];
                    bytes.truncate(at);
                    bytes.extend_from_slice(&other[self.below(other.len())..]);
                }
                5 => {
                    let word = WORDS[self.below(WORDS.len())];
                    bytes.splice(at..at, word.iter().copied());
                }
                6 => {
                    let word = WORDS[self.below(WORDS.len())];
                    bytes.splice(at..end, word.iter().copied());
                }
                _ => {
                    // Another branch, so that it is no retransmission of what came before.
                    let branch = format!("z9hG4bK{:x}", self.below(usize::MAX));
                    bytes = replace(&bytes, b"z9hG4bK", &branch);
                }
            }
        }
        bytes
    }
}

/// What parsers stumble over.
const WORDS: [&[u8]; 20] = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"\r\n\r\n",
    b"\r\n ",
    b"\"",
    b"<",
    b">",
    b";",
    b",",
    b"@",
    b"%00",
    b"%",
    b"-1",
    b"99999999999999999999",
    b"\xff\xfe",
    b"Content-Length: 4294967295\r\n",
    b"l: 0\r\n",
    b"Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK1, SIP/2.0/UDP 127.0.0.1:9\r\n",
];

const SEED: u64 = 0x5eed_0000_4475_5118;
const DATAGRAMS: usize = 10_000;
const STREAMS: usize = 1_000;
/// KiB that the same again may add: arenas and tables that grew a step, nothing that grows with each message. Were a
/// kilobyte kept of each message, it would be 11,000.
const MOST_GROWTH: u64 = 6_144;
/// A little more than 64 T1.
const LONGEST_TRANSACTION: Duration = Duration::from_secs(36);
/// How often an OPTIONS is sent before the server counts as dead; a full shard may drop a datagram.
const ATTEMPTS: usize = 5;
/// How long each attempt waits.
const PATIENCE: Duration = Duration::from_secs(4);
