//! The limiter: many voices at once become quieter together, and none is clipped.
//!
//! In    the sum of frames, wider than 16 bits. Out a frame. State the gain that the last frame ended with.
//!
//! The gain goes down before a peak, within 1.7 ms, and comes back at 12 dB a second.

use crate::media::{Frame, SAMPLES};

/// A sum of voices, before it is made to fit.
pub(super) type Sum = [i32; SAMPLES];

/// Makes sums fit into 16 bits.
#[derive(Debug, Clone)]
pub(super) struct Limiter {
    gain: f32,
}

impl Limiter {
    pub(super) fn new() -> Self {
        Self { gain: 1.0 }
    }

    /// The next 20 ms.
    pub(super) fn frame(&mut self, sum: &Sum) -> Frame {
        let peak = |block: &[i32]| block.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
        if self.gain >= 1.0 && peak(sum) <= LIMIT as u32 {
            return std::array::from_fn(|n| sum[n] as i16);
        }
        let needs: [f32; BLOCKS] =
            std::array::from_fn(|n| LIMIT / (peak(&sum[n * BLOCK..(n + 1) * BLOCK]) as f32).max(LIMIT));
        let mut frame = [0; SAMPLES];
        for n in 0..BLOCKS {
            let next = needs.get(n + 1).copied().unwrap_or(1.0);
            let end = (self.gain * RELEASE).min(1.0).min(needs[n]).min(next);
            let begin = self.gain.min(needs[n]);
            for m in 0..BLOCK {
                let gain = begin + (end - begin) * m as f32 / BLOCK as f32;
                // `as` saturates.
                frame[n * BLOCK + m] = (sum[n * BLOCK + m] as f32 * gain) as i16;
            }
            self.gain = end;
        }
        frame
    }
}

/// Samples that have one gain at their end: 1.7 ms.
const BLOCK: usize = SAMPLES / BLOCKS;
const BLOCKS: usize = 12;
/// The loudest sample that comes out: -0.3 dB.
const LIMIT: f32 = 31_650.0;
/// By how much the gain grows in a block: 12 dB a second.
const RELEASE: f32 = 1.0023;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::RATE;
    use crate::mixer::{Goertzel, Tone};

    #[test]
    fn what_fits_is_not_touched() {
        let frame = Tone::new(440.0, 30_000.0).next_frame();
        assert_eq!(Limiter::new().frame(&frame.map(i32::from)), frame);
    }

    #[test]
    fn five_loud_voices_are_not_distorted() {
        let mut limiter = Limiter::new();
        let mut tones = [300.0, 450.0, 700.0, 900.0, 1_100.0].map(|hertz| Tone::new(hertz, 20_000.0));
        let (mut voice, mut distortion) = (Goertzel::new(300.0, RATE), Goertzel::new(2_350.0, RATE));
        for n in 0..100 {
            let mut sum = [0; SAMPLES];
            for tone in &mut tones {
                sum.iter_mut().zip(tone.next_frame()).for_each(|(sum, sample)| *sum += i32::from(sample));
            }
            let frame = limiter.frame(&sum);
            assert!(frame.iter().all(|sample| sample.unsigned_abs() <= 31_651), "frame {n}");
            if n >= 50 {
                voice.hear(&frame);
                distortion.hear(&frame);
            }
        }
        assert!(voice.amplitude() > 4_000.0, "{}", voice.amplitude());
        assert!(distortion.amplitude() < voice.amplitude() / 30.0, "{}", distortion.amplitude());
    }

    #[test]
    fn quiet_comes_back_slowly() {
        let mut limiter = Limiter::new();
        limiter.frame(&[100_000; SAMPLES]);
        let after = limiter.frame(&[10_000; SAMPLES]);
        assert!((3_000..4_000).contains(&after[0]), "{}", after[0]);
        (0..60).for_each(|_| {
            limiter.frame(&[10_000; SAMPLES]);
        });
        assert_eq!(limiter.frame(&[10_000; SAMPLES])[0], 10_000);
    }
}
