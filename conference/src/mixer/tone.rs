//! Pure tones: made for announcements and tests, found by frequency (Goertzel's algorithm).

use std::f64::consts::TAU;

use crate::media::{Frame, RATE};

/// A sine that goes on from frame to frame.
#[derive(Debug, Clone)]
pub struct Tone {
    step: f64,
    phase: f64,
    amplitude: f64,
}

impl Tone {
    /// A tone of so many hertz, with a peak of `amplitude` in samples' units (0 to 32767).
    pub fn new(hertz: f64, amplitude: f64) -> Self {
        Self { step: TAU * hertz / RATE as f64, phase: 0.0, amplitude }
    }

    /// The next 20 ms.
    pub fn next_frame(&mut self) -> Frame {
        std::array::from_fn(|_| {
            let sample = self.phase.sin() * self.amplitude;
            self.phase = (self.phase + self.step) % TAU;
            sample as i16
        })
    }
}

/// How much of one frequency is in what was heard.
#[derive(Debug, Clone)]
pub struct Goertzel {
    coefficient: f64,
    one: f64,
    two: f64,
    heard: usize,
}

impl Goertzel {
    /// Listens for so many hertz among samples at `rate` a second.
    pub fn new(hertz: f64, rate: usize) -> Self {
        Self { coefficient: 2.0 * (TAU * hertz / rate as f64).cos(), one: 0.0, two: 0.0, heard: 0 }
    }

    /// Listens to samples.
    pub fn hear(&mut self, samples: &[i16]) {
        for sample in samples {
            let now = f64::from(*sample) + self.coefficient * self.one - self.two;
            (self.two, self.one) = (self.one, now);
        }
        self.heard += samples.len();
    }

    /// The tone's peak amplitude in samples' units, over all that was heard.
    pub fn amplitude(&self) -> f64 {
        let power = self.one.powi(2) + self.two.powi(2) - self.coefficient * self.one * self.two;
        power.max(0.0).sqrt() * 2.0 / self.heard.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_tone_that_is_there_and_no_other() {
        let mut tone = Tone::new(440.0, 8_000.0);
        let (mut there, mut absent) = (Goertzel::new(440.0, RATE), Goertzel::new(880.0, RATE));
        for _ in 0..25 {
            let frame = tone.next_frame();
            there.hear(&frame);
            absent.hear(&frame);
        }
        assert!((there.amplitude() - 8_000.0).abs() < 100.0, "{}", there.amplitude());
        assert!(absent.amplitude() < 50.0, "{}", absent.amplitude());
    }
}
