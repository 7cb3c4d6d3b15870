//! Between a codec's rate and 48 kHz: a polyphase low-pass, of 3.6 kHz for 8 kHz (the band of a telephone) and of
//! 7.2 kHz for 16 kHz.
//!
//! In    one frame's worth of samples at a time. Out the same 20 ms at the other rate. State the filter's history.

use std::sync::LazyLock;

use super::{Frame, SAMPLES};

/// A rate below 48 kHz.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Narrow {
    /// 8 kHz.
    Eight,
    /// 16 kHz.
    Sixteen,
}

/// The lower rate to 48 kHz.
#[derive(Debug, Clone)]
pub struct Upsampler {
    rate: Narrow,
    history: [f32; PHASE_TAPS],
}

/// 48 kHz to the lower rate.
#[derive(Debug, Clone)]
pub struct Downsampler {
    rate: Narrow,
    history: [f32; MOST_TAPS],
}

impl Narrow {
    /// How many samples at 48 kHz stand for one.
    pub const fn ratio(self) -> usize {
        match self {
            Self::Eight => 6,
            Self::Sixteen => 3,
        }
    }

    fn low_pass(self, hertz: f64) -> Vec<f32> {
        low_pass(self.ratio() * PHASE_TAPS, hertz / 48_000.0)
    }

    fn taps(self) -> &'static [f32] {
        static EIGHT: LazyLock<Vec<f32>> = LazyLock::new(|| Narrow::Eight.low_pass(3_600.0));
        static SIXTEEN: LazyLock<Vec<f32>> = LazyLock::new(|| Narrow::Sixteen.low_pass(7_200.0));
        match self {
            Self::Eight => &EIGHT,
            Self::Sixteen => &SIXTEEN,
        }
    }
}

impl Upsampler {
    /// A filter that has heard silence.
    pub fn new(rate: Narrow) -> Self {
        Self { rate, history: [0.0; PHASE_TAPS] }
    }

    /// How many samples come out for one.
    pub fn ratio(&self) -> usize {
        self.rate.ratio()
    }

    /// Writes [`Narrow::ratio`] samples to `out` for each of `narrow`.
    pub fn process(&mut self, narrow: &[i16], out: &mut [i16]) {
        let (ratio, taps) = (self.rate.ratio(), self.rate.taps());
        for (sample, wide) in narrow.iter().zip(out.chunks_exact_mut(ratio)) {
            self.history.copy_within(1.., 0);
            self.history[PHASE_TAPS - 1] = f32::from(*sample);
            for (phase, out) in wide.iter_mut().enumerate() {
                let sum: f32 = (0..PHASE_TAPS)
                    .map(|tap| taps[tap * ratio + phase] * self.history[PHASE_TAPS - 1 - tap])
                    .sum();
                *out = round(sum * ratio as f32);
            }
        }
    }
}

impl Downsampler {
    /// A filter that has heard silence.
    pub fn new(rate: Narrow) -> Self {
        Self { rate, history: [0.0; MOST_TAPS] }
    }

    /// Brings a whole frame into `room`; what it takes there.
    pub fn frame<'a>(&mut self, wide: &Frame, room: &'a mut [i16; SAMPLES / 3]) -> &'a [i16] {
        let out = &mut room[..SAMPLES / self.rate.ratio()];
        self.process(wide, out);
        out
    }

    /// Writes one sample to `out` for every [`Narrow::ratio`] of `wide`.
    pub fn process(&mut self, wide: &[i16], out: &mut [i16]) {
        let (ratio, taps) = (self.rate.ratio(), self.rate.taps());
        let history = &mut self.history[..taps.len()];
        for (some, out) in wide.chunks_exact(ratio).zip(out) {
            history.copy_within(ratio.., 0);
            for (slot, sample) in history[taps.len() - ratio..].iter_mut().zip(some) {
                *slot = f32::from(*sample);
            }
            let sum: f32 = taps.iter().zip(history.iter().rev()).map(|(tap, sample)| tap * sample).sum();
            *out = round(sum);
        }
    }
}

pub(super) fn round(sample: f32) -> i16 {
    // `as` saturates.
    sample.round() as i16
}

/// A windowed sinc (Blackman) with unit gain at zero frequency, that ends at a part of the rate that it works at.
pub(super) fn low_pass(count: usize, part: f64) -> Vec<f32> {
    let cut = part * 2.0;
    let middle = (count - 1) as f64 / 2.0;
    let tap = |n: usize| {
        let x = (n as f64 - middle) * cut;
        let sinc = if x == 0.0 { 1.0 } else { (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x) };
        let turn = 2.0 * std::f64::consts::PI * n as f64 / (count - 1) as f64;
        sinc * (0.42 - 0.5 * turn.cos() + 0.08 * (2.0 * turn).cos())
    };
    let taps: Vec<f64> = (0..count).map(tap).collect();
    let sum: f64 = taps.iter().sum();
    taps.into_iter().map(|tap| (tap / sum) as f32).collect()
}

/// Taps of each phase; the whole filter has `ratio` times as many: 2 ms of delay at 8 kHz, 1 ms at 16 kHz.
const PHASE_TAPS: usize = 16;
const MOST_TAPS: usize = PHASE_TAPS * Narrow::Eight.ratio();

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::media) fn tone(hertz: f64, rate: f64, samples: usize) -> Vec<i16> {
        let step = 2.0 * std::f64::consts::PI * hertz / rate;
        (0..samples).map(|n| ((n as f64 * step).sin() * 10_000.0) as i16).collect()
    }

    pub(in crate::media) fn loudness(samples: &[i16]) -> f64 {
        (samples.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / samples.len() as f64).sqrt()
    }

    #[test]
    fn speech_passes_in_both_directions() {
        let both = [(Narrow::Eight, 8_000.0, 2_500.0), (Narrow::Sixteen, 16_000.0, 5_000.0)];
        for (rate, hertz_of_rate, highest) in both {
            for hertz in [300.0, 1_000.0, highest] {
                let narrow = tone(hertz, hertz_of_rate, 3_200);
                let mut wide = vec![0; 3_200 * rate.ratio()];
                Upsampler::new(rate).process(&narrow, &mut wide);
                let mut back = vec![0; 3_200];
                Downsampler::new(rate).process(&wide, &mut back);
                let gain = loudness(&back[400..]) / loudness(&narrow[400..]);
                assert!((0.9..1.1).contains(&gain), "{hertz} Hz came back {gain} times as loud at {rate:?}");
            }
        }
    }

    #[test]
    fn what_would_alias_is_gone() {
        for (rate, hertz) in [(Narrow::Eight, 6_000.0), (Narrow::Sixteen, 12_000.0)] {
            let mut narrow = vec![0; 9_600 / rate.ratio()];
            Downsampler::new(rate).process(&tone(hertz, 48_000.0, 9_600), &mut narrow);
            assert!(loudness(&narrow[400..]) < 70.0, "{hertz} Hz folded: {}", loudness(&narrow[400..]));
        }
    }
}
