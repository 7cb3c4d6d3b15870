//! What is in a file of Opus in Ogg.

use conference::media::{SAMPLES, opus};
use conference::mixer::Goertzel;
use ogg::PacketReader;

/// How loud a tone is in a file, in the mean of its second half.
pub(crate) fn tone_in(file: &[u8], hertz: f64) -> f64 {
    let pieces = pieces(file, hertz);
    let half = &pieces[pieces.len() / 2..];
    half.iter().sum::<f64>() / half.len() as f64
}

/// How loud a tone is where it is loudest.
#[allow(dead_code, reason = "each test file uses its part")]
pub(crate) fn loudest_in(file: &[u8], hertz: f64) -> f64 {
    pieces(file, hertz).into_iter().fold(0.0, f64::max)
}

/// How loud a tone is, each tenth of a second.
fn pieces(file: &[u8], hertz: f64) -> Vec<f64> {
    let mut reader = PacketReader::new(std::io::Cursor::new(file));
    let (mut decoder, mut samples) = (opus::Decoder::new().unwrap(), Vec::new());
    while let Some(packet) = reader.read_packet().unwrap() {
        let mut frame = [0; SAMPLES];
        if !packet.data.starts_with(b"Opus") && decoder.decode(&packet.data, &mut frame).is_some() {
            samples.extend_from_slice(&frame);
        }
    }
    samples
        .chunks_exact(4_800)
        .map(|piece| {
            let mut ear = Goertzel::new(hertz, 48_000);
            ear.hear(piece);
            ear.amplitude()
        })
        .collect()
}
