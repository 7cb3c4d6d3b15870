//! Participants of one conference, for `tests/load/conference/run.py`: some talk, the others are silent, all listen.
//!
//! `speakers LEGS TALKERS SECONDS [levels]` prints the ports of its legs as a JSON line, reads for each leg a line `address type` (where
//! to send, and Opus' payload type there), says `measuring`, and at the end what it measured, as JSON lines.
//!
//! With `levels` each packet says how loud it is (RFC 6464), as extension 1.
//!
//! The floor is what the codecs alone would cost a server of such a conference, in CPU-ms a second, measured at the end with the codec
//! library and the settings of the service. While the talkers talk: an encode of what all others hear and one of what each talker hears;
//! in the pauses one encode of silence, for all. Where levels are sent a decode of each who talks; where not, of all, always, since
//! nothing else says how loud they are. What is encoded because somebody just spoke is not of the floor, nor is any packet.
//!
//! Talkers say the same speech for 0.8 s and are silent for 0.5 s, all at once; it is encoded beforehand. The time from the
//! first packet of speech to the first packet with speech in it that a silent leg gets is the latency. A few legs decode what
//! they get, the others count it, so that the machine is the server's.
//!
//! Missing is what RTP timestamps say was to be heard, and was not, between the first packet that a leg got while it was measured and the end:
//! who fell silent, or got nothing, misses all that the leg beside it got. How late the machine itself is comes beside it: a thread that does nothing but wake up each 20 ms counts how often it
//! did by more than 5 ms, which is what a tick of the mixer is called late for.

use std::collections::HashMap;
use std::io::BufRead;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use conference::media::codec::{Decoder, Encoder, Encoding, Format, LARGEST_PAYLOAD, LONGEST};
use conference::media::{FRAME, Frame, SAMPLES, SILENCE};
use conference::mixer::Prompt;

fn main() {
    let has_levels = std::env::args().any(|word| word == "levels");
    let arguments: Vec<u64> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let [legs, talkers, seconds] = arguments[..] else {
        eprintln!("speakers LEGS TALKERS SECONDS [levels]");
        std::process::exit(2);
    };
    let bind = || UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let sockets: Vec<UdpSocket> = (0..legs).map(|_| bind()).collect();
    let ports: Vec<u16> = sockets.iter().map(|socket| socket.local_addr().expect("bound").port()).collect();
    println!("{}", serde_json::json!({ "ports": ports }));
    let lines = std::io::stdin().lock().lines().map_while(Result::ok);
    let targets: Vec<(SocketAddr, u8)> = lines.take(legs as usize).filter_map(|line| target(&line)).collect();
    assert_eq!(targets.len(), legs as usize, "a line for each leg");

    let shared =
        Arc::new(Shared { begin: Instant::now(), onset: AtomicU64::new(0), heard: Mutex::default() });
    let mut counted = Vec::new();
    for (n, socket) in sockets.iter().enumerate() {
        let socket = socket.try_clone().expect("another handle");
        if (talkers..talkers + LISTENERS).contains(&(n as u64)) {
            let (leg, shared) = ((n as u64 - talkers) as u16, Arc::clone(&shared));
            std::thread::spawn(move || listen(leg, &socket, &shared));
        } else {
            counted.push(socket);
        }
    }
    let (counter, clock) = (Arc::clone(&shared), Arc::clone(&shared));
    std::thread::spawn(move || count(&counted, &counter));
    std::thread::spawn(move || wake_up(&clock));
    let (speech, silence) = packets();
    let mut sent = 0;
    let (warm, all) = (WARM_UP, WARM_UP + seconds * 50);
    for tick in 0..all {
        if tick == warm {
            *shared.heard.lock().expect("no thread panics") = Heard::default();
            println!("measuring");
        }
        let place = (tick % (TALK + PAUSE)) as usize;
        for slot in 0..SLOTS {
            let due = shared.begin + FRAME * tick as u32 + FRAME * slot as u32 / SLOTS as u32;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            for n in (slot..legs as usize).step_by(SLOTS) {
                let talks = (n as u64) < talkers && place < TALK as usize;
                if talks && n == 0 && place == 0 {
                    shared.onset.store(shared.begin.elapsed().as_micros() as u64, Ordering::Release);
                }
                let payload =
                    if talks { &speech[place % speech.len()] } else { &silence[place % silence.len()] };
                let (to, kind) = targets[n];
                let level = has_levels.then_some(if talks { SPEECH_LEVEL } else { SILENCE_LEVEL });
                let packet = packet(kind, tick, n as u32, level, payload);
                sent += u64::from(sockets[n].send_to(&packet, to).is_ok());
            }
        }
    }
    let heard = shared.heard.lock().expect("no thread panics");
    let mut latencies = heard.latencies.clone();
    latencies.sort_unstable();
    let at = |part: f64| {
        let last = latencies.len().saturating_sub(1);
        latencies.get((last as f64 * part) as usize).map_or(0.0, |micros| *micros as f64 / 1_000.0)
    };
    println!(
        "{}",
        serde_json::json!({
            "sent": sent, "received": heard.packets, "missing": heard.missing(legs), "late": heard.late, "latencies": latencies.len(),
            "p50": at(0.5), "p99": at(0.99), "floor": floor(legs as f64, talkers as f64, has_levels),
        })
    );
}

/// What the threads of a run share.
struct Shared {
    begin: Instant,
    /// When the last speech began, in microseconds since the beginning.
    onset: AtomicU64,
    heard: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    packets: u64,
    /// What each leg got.
    legs: HashMap<u16, Span>,
    latencies: Vec<u64>,
    /// How often the machine woke a thread too late.
    late: u64,
}

/// Packets of a leg, and their first and last timestamp.
#[derive(Default)]
struct Span {
    packets: u64,
    ends: Option<(u32, u32)>,
}

impl Heard {
    fn packet(&mut self, leg: u16, datagram: &[u8]) {
        let stamp = u32::from_be_bytes([datagram[4], datagram[5], datagram[6], datagram[7]]);
        let span = self.legs.entry(leg).or_default();
        span.packets += 1;
        let (first, _) = *span.ends.get_or_insert((stamp, stamp));
        span.ends = Some((first, stamp));
        self.packets += 1;
    }

    fn missing(&self, legs: u64) -> u64 {
        let frames = |span: &Span| {
            span.ends.map_or(0, |(first, last)| u64::from(last.wrapping_sub(first)) / SAMPLES as u64 + 1)
        };
        let longest = self.legs.values().map(frames).max().unwrap_or(0);
        let of = |span: &Span| {
            // At the ends it may be a tick or two, as they are read.
            let whole = if longest - frames(span) > AT_THE_ENDS { longest } else { frames(span) };
            whole.saturating_sub(span.packets)
        };
        let silent = legs.saturating_sub(self.legs.len() as u64);
        self.legs.values().map(of).sum::<u64>() + silent * longest.max(1)
    }
}

/// Notes how late a thread wakes up that has nothing to do.
fn wake_up(shared: &Shared) {
    for tick in 0.. {
        let due = shared.begin + FRAME * tick;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let is_late = due.elapsed() > LATE;
        shared.heard.lock().expect("no thread panics").late += u64::from(is_late);
    }
}

/// Counts what comes, now and then: a wake-up for each packet would cost more than it does.
fn count(sockets: &[UdpSocket], shared: &Shared) {
    let mut datagram = [0; 2_048];
    for socket in sockets {
        socket.set_nonblocking(true).expect("a socket that does not block");
    }
    loop {
        for (leg, socket) in (LISTENERS as u16..).zip(sockets) {
            while let Ok((length, _)) = socket.recv_from(&mut datagram) {
                if is_sound(&datagram[..length]) {
                    shared.heard.lock().expect("no thread panics").packet(leg, &datagram);
                }
            }
        }
        std::thread::sleep(FRAME * 5);
    }
}

fn is_sound(datagram: &[u8]) -> bool {
    datagram.len() >= 12 && !(192..=223).contains(&datagram[1])
}

fn listen(leg: u16, socket: &UdpSocket, shared: &Shared) {
    let (mut datagram, mut quiet) = ([0; 2_048], 0);
    let mut decoder = Decoder::new(Format::Opus).expect("memory");
    while let Ok(length) = socket.recv(&mut datagram) {
        if !is_sound(&datagram[..length]) {
            continue;
        }
        let now = shared.begin.elapsed().as_micros() as u64;
        let is_speech = is_loud(&mut decoder, &datagram[12..length]);
        let onset = shared.onset.load(Ordering::Acquire);
        let mut heard = shared.heard.lock().expect("no thread panics");
        heard.packet(leg, &datagram);
        if is_speech && quiet >= 8 && onset > 0 && now - onset < 800_000 {
            heard.latencies.push(now - onset);
        }
        quiet = if is_speech { 0 } else { quiet + 1 };
    }
}

fn is_loud(decoder: &mut Decoder, payload: &[u8]) -> bool {
    let mut samples = [0; LONGEST];
    let count = decoder.decode(payload, &mut samples);
    samples[..count].iter().any(|sample| sample.unsigned_abs() > LOUD)
}

fn target(line: &str) -> Option<(SocketAddr, u8)> {
    let (address, kind) = line.trim().split_once(' ')?;
    Some((address.parse().ok()?, kind.parse().ok()?))
}

fn packet(kind: u8, tick: u64, ssrc: u32, level: Option<u8>, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, kind];
    packet.extend((tick as u16).to_be_bytes());
    packet.extend((tick as u32 * SAMPLES as u32).to_be_bytes());
    packet.extend((ssrc + 1).to_be_bytes());
    if let Some(level) = level {
        packet[0] |= 0x10;
        packet.extend([0xbe, 0xde, 0, 1, 0x10, level, 0, 0]);
    }
    packet.extend(payload);
    packet
}

/// CPU-ms a second that codecs cost at least.
fn floor(legs: f64, talkers: f64, has_levels: bool) -> f64 {
    let (speech, (packets, quiet_packets)) = (speech(), packets());
    let silence = vec![SILENCE; speech.len()];
    let mut encoder = Encoder::new(Encoding::of(Format::Opus)).expect("memory");
    let mut encode = |frame: &Frame| encoder.encode(frame, &mut [0; LARGEST_PAYLOAD]);
    let (encoding, quiet) = (least(&speech, &mut encode), least(&silence, &mut encode));
    let mut decoder = Decoder::new(Format::Opus).expect("memory");
    let mut decode = |packet: &Vec<u8>| decoder.decode(packet, &mut [0; LONGEST]);
    let (decoding, of_silence) = (least(&packets, &mut decode), least(&quiet_packets, &mut decode));
    let silent = |legs: f64| if has_levels { 0.0 } else { legs * of_silence };
    let talk = talkers * decoding + silent(legs - talkers) + (talkers + 1.0) * encoding;
    let pause = silent(legs) + quiet;
    let (of_talk, of_pause) = (TALK as f64, PAUSE as f64);
    50.0 * (talk * of_talk + pause * of_pause) / (of_talk + of_pause)
}

/// Milliseconds of one, in the round in which the machine did least else.
fn least<T>(all: &[T], mut one: impl FnMut(&T) -> usize) -> f64 {
    let mut round = || {
        let begin = Instant::now();
        std::hint::black_box(all.iter().map(&mut one).sum::<usize>());
        begin.elapsed().as_secs_f64() * 1_000.0 / all.len() as f64
    };
    (0..ROUNDS).map(|_| round()).fold(f64::INFINITY, f64::min)
}

/// Loud from its first frame.
fn speech() -> Vec<Frame> {
    (6..).map_while(|at| Prompt::Pin.frame(at)).collect()
}

/// Speech, and the faint noise of a microphone.
fn packets() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let encode = |frames: &[Frame]| -> Vec<Vec<u8>> {
        let mut encoder = Encoder::new(Encoding::of(Format::Opus)).expect("memory");
        let mut one = |frame: &Frame| {
            let mut payload = [0; LARGEST_PAYLOAD];
            let octets = encoder.encode(frame, &mut payload);
            payload[..octets].to_vec()
        };
        frames.iter().map(&mut one).collect()
    };
    let mut seed = 1_u32;
    let noise = |_| {
        let mut frame = SILENCE;
        for sample in &mut frame {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *sample = (seed >> 29) as i16 - 4;
        }
        frame
    };
    let silence: Vec<Frame> = (0..50).map(noise).collect();
    (encode(&speech()), encode(&silence))
}

/// Rounds of all of the speech.
const ROUNDS: usize = 20;
/// Ticks before anything is measured.
const WARM_UP: u64 = 130;
/// Ticks of speech, and of the pause after it.
const TALK: u64 = 40;
const PAUSE: u64 = 25;
/// Legs send at so many moments of a tick.
const SLOTS: usize = 20;
/// Legs that decode what they get.
const LISTENERS: u64 = 5;
/// What is said of how loud it is (RFC 6464 §3): voice at -20 dBov, and none at -70.
const SPEECH_LEVEL: u8 = 0x80 | 20;
const SILENCE_LEVEL: u8 = 70;
/// Frames that a leg may have got less than another because its packets are read later: they are read each 100 ms.
const AT_THE_ENDS: u64 = 6;
/// What a tick of the mixer is called late for.
const LATE: Duration = Duration::from_millis(5);
/// A sample that is speech.
const LOUD: u16 = 1_000;
