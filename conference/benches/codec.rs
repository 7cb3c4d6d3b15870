//! Opus alone, as the mixer uses it: microseconds to encode and to decode 20 ms of speech.
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
    println!(
        "opus: {:.0} us to encode and {:.0} us to decode 20 ms ({samples} samples)",
        each(encoding),
        each(begun.elapsed())
    );
}

const FRAMES: usize = 5_000;
