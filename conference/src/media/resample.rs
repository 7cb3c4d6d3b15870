//! Between 8 kHz and 48 kHz: a polyphase low-pass of 3.4 kHz, the band of a telephone.
//!
//! In    one frame's worth of samples at a time. Out the same 20 ms at the other rate. State the filter's history.

/// How many samples at 48 kHz stand for one at 8 kHz.
const RATIO: usize = 6;
/// Taps of each phase; the whole filter has `RATIO` times as many, 2 ms of delay.
const PHASE_TAPS: usize = 16;
const TAPS: usize = RATIO * PHASE_TAPS;

/// 8 kHz to 48 kHz.
#[derive(Debug, Clone)]
pub struct Upsampler {
    taps: [f32; TAPS],
    history: [f32; PHASE_TAPS],
}

/// 48 kHz to 8 kHz.
#[derive(Debug, Clone)]
pub struct Downsampler {
    taps: [f32; TAPS],
    history: [f32; TAPS],
}

impl Upsampler {
    /// A filter that has heard silence.
    pub fn new() -> Self {
        Self { taps: low_pass(), history: [0.0; PHASE_TAPS] }
    }

    /// Writes six samples to `out` for each of `narrow`.
    pub fn process(&mut self, narrow: &[i16], out: &mut [i16]) {
        for (sample, wide) in narrow.iter().zip(out.chunks_exact_mut(RATIO)) {
            self.history.copy_within(1.., 0);
            self.history[PHASE_TAPS - 1] = f32::from(*sample);
            for (phase, out) in wide.iter_mut().enumerate() {
                let sum: f32 = (0..PHASE_TAPS)
                    .map(|tap| self.taps[tap * RATIO + phase] * self.history[PHASE_TAPS - 1 - tap])
                    .sum();
                *out = round(sum * RATIO as f32);
            }
        }
    }
}

impl Downsampler {
    /// A filter that has heard silence.
    pub fn new() -> Self {
        Self { taps: low_pass(), history: [0.0; TAPS] }
    }

    /// Writes one sample to `out` for every six of `wide`.
    pub fn process(&mut self, wide: &[i16], out: &mut [i16]) {
        for (six, out) in wide.chunks_exact(RATIO).zip(out) {
            self.history.copy_within(RATIO.., 0);
            for (slot, sample) in self.history[TAPS - RATIO..].iter_mut().zip(six) {
                *slot = f32::from(*sample);
            }
            let sum: f32 =
                self.taps.iter().zip(self.history.iter().rev()).map(|(tap, sample)| tap * sample).sum();
            *out = round(sum);
        }
    }
}

impl Default for Upsampler {
    fn default() -> Self {
        Self::new()
    }
}

impl Default for Downsampler {
    fn default() -> Self {
        Self::new()
    }
}

fn round(sample: f32) -> i16 {
    // `as` saturates.
    sample.round() as i16
}

/// A windowed sinc (Blackman) with unit gain at zero frequency.
fn low_pass() -> [f32; TAPS] {
    let cut = 3_600.0 / 48_000.0 * 2.0;
    let middle = (TAPS - 1) as f64 / 2.0;
    let mut taps = [0.0_f64; TAPS];
    for (n, tap) in taps.iter_mut().enumerate() {
        let x = (n as f64 - middle) * cut;
        let sinc = if x == 0.0 { 1.0 } else { (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x) };
        let turn = 2.0 * std::f64::consts::PI * n as f64 / (TAPS - 1) as f64;
        *tap = sinc * (0.42 - 0.5 * turn.cos() + 0.08 * (2.0 * turn).cos());
    }
    let sum: f64 = taps.iter().sum();
    taps.map(|tap| (tap / sum) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hertz: f64, rate: f64, samples: usize) -> Vec<i16> {
        let step = 2.0 * std::f64::consts::PI * hertz / rate;
        (0..samples).map(|n| ((n as f64 * step).sin() * 10_000.0) as i16).collect()
    }

    fn loudness(samples: &[i16]) -> f64 {
        (samples.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / samples.len() as f64).sqrt()
    }

    #[test]
    fn speech_passes_in_both_directions() {
        for hertz in [300.0, 1_000.0, 2_500.0] {
            let narrow = tone(hertz, 8_000.0, 1_600);
            let mut wide = vec![0; 9_600];
            Upsampler::new().process(&narrow, &mut wide);
            let mut back = vec![0; 1_600];
            Downsampler::new().process(&wide, &mut back);
            let gain = loudness(&back[400..]) / loudness(&narrow[400..]);
            assert!((0.9..1.1).contains(&gain), "{hertz} Hz came back {gain} times as loud");
        }
    }

    #[test]
    fn what_would_alias_is_gone() {
        let mut narrow = vec![0; 1_600];
        Downsampler::new().process(&tone(6_000.0, 48_000.0, 9_600), &mut narrow);
        assert!(loudness(&narrow[400..]) < 70.0, "6 kHz folded to 2 kHz: {}", loudness(&narrow[400..]));
    }
}
