//! Opus alone, as the mixer uses it: microseconds to encode and to decode 20 ms of speech, and the memory that the state of a leg's pair takes.
//!
//! `cargo bench -p conference --bench codec` prints a line and fails nothing; with `--features c-opus` it is of the C library.

use std::time::Instant;

use conference::media::Frame;
use conference::media::codec::{Decoder, Encoder, Encoding, Format, LARGEST_PAYLOAD, LONGEST};
use conference::mixer::Prompt;

fn main() {
    let speech: Vec<Frame> = (0..).map_while(|at| Prompt::Pin.frame(at)).collect();
    let frames = speech.iter().cycle().take(FRAMES);
    let mut encoder = Encoder::new(Encoding::of(Format::Opus)).expect("memory");
    let begun = Instant::now();
    let encoded: Vec<Vec<u8>> = frames
        .map(|frame| {
            let mut payload = [0; LARGEST_PAYLOAD];
            let octets = encoder.encode(frame, &mut payload);
            payload[..octets].to_vec()
        })
        .collect();
    let encoding = begun.elapsed();
    let mut decoder = Decoder::new(Format::Opus).expect("memory");
    let (begun, mut samples) = (Instant::now(), 0);
    for payload in &encoded {
        samples += decoder.decode(payload, &mut [0; LONGEST]);
    }
    let each = |all: std::time::Duration| all.as_secs_f64() * 1e6 / FRAMES as f64;
    let decoding = begun.elapsed();
    println!(
        "opus: {:.0} us to encode and {:.0} us to decode 20 ms ({samples} samples), {:.0} KiB an encoder and a decoder",
        each(encoding),
        each(decoding),
        state(&speech)
    );
}

/// KiB of an encoder and a decoder that were used.
fn state(speech: &[Frame]) -> f64 {
    let before = resident();
    let pairs: Vec<_> = (0..PAIRS)
        .filter_map(|_| {
            let mut pair = (Encoder::new(Encoding::of(Format::Opus))?, Decoder::new(Format::Opus)?);
            let mut payload = [0; LARGEST_PAYLOAD];
            let octets = pair.0.encode(speech.first()?, &mut payload);
            pair.1.decode(&payload[..octets], &mut [0; LONGEST]);
            Some(pair)
        })
        .collect();
    (resident() - before) / pairs.len() as f64
}

/// KiB of memory of this process that is no file's.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("RssAnon")).expect("proc(5)");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("proc(5)")
}

const PAIRS: usize = 200;
const FRAMES: usize = 5_000;
