//! Samples between decoding and playing, taken out at the pace of the clock or, a period of the voice at a time, faster or
//! slower: the pitch stays.

use super::{Frame, SAMPLES, pitch};

/// Decoded and not played yet.
#[derive(Debug, Clone)]
pub(super) struct Fifo {
    samples: Box<[i16; CAPACITY]>,
    start: usize,
    len: usize,
}

impl Fifo {
    pub(super) fn new() -> Self {
        Self { samples: Box::new([0; CAPACITY]), start: 0, len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    /// Adds at the end; what there is no room for is dropped.
    pub(super) fn push(&mut self, samples: &[i16]) {
        let samples = &samples[..samples.len().min(CAPACITY - self.len)];
        let end = (self.start + self.len) % CAPACITY;
        let (first, second) = samples.split_at(samples.len().min(CAPACITY - end));
        self.samples[end..end + first.len()].copy_from_slice(first);
        self.samples[..second.len()].copy_from_slice(second);
        self.len += samples.len();
    }

    /// Takes a frame.
    pub(super) fn take(&mut self, out: &mut Frame) {
        let whole = self.start..self.start + SAMPLES;
        match self.samples.get(whole).filter(|_| self.len >= SAMPLES) {
            Some(samples) => out.copy_from_slice(samples),
            None => out.iter_mut().enumerate().for_each(|(n, slot)| *slot = self.at(n)),
        }
        self.drop(SAMPLES);
    }

    /// Takes a frame and leaves out a period of the voice in it, of at most `most` samples: how many, or nothing taken if
    /// it would be heard.
    pub(super) fn take_shorter(&mut self, most: usize, out: &mut Frame) -> Option<usize> {
        let lag = self.period(most)?;
        for (n, slot) in out.iter_mut().enumerate() {
            *slot = fade(self.at(n), self.at(n + lag), n);
        }
        self.drop(SAMPLES + lag);
        Some(lag)
    }

    /// Takes a frame and says a period of the voice in it twice: how many samples were not taken.
    pub(super) fn take_longer(&mut self, most: usize, out: &mut Frame) -> Option<usize> {
        let lag = self.period(most)?;
        for (n, slot) in out.iter_mut().enumerate() {
            *slot = match n.checked_sub(lag) {
                Some(again) => fade(self.at(n), self.at(again), again),
                None => self.at(n),
            };
        }
        self.drop(SAMPLES - lag);
        Some(lag)
    }

    /// What is needed to take a frame shorter or longer by any period.
    pub(super) const NEEDED: usize = SAMPLES + pitch::LONGEST;

    /// The period of what comes next, if it repeats itself or is too quiet for it to matter.
    fn period(&self, most: usize) -> Option<usize> {
        if self.len < Self::NEEDED || most < pitch::SHORTEST {
            return None;
        }
        let from = |start: usize| (start..start + JOIN).map(|n| self.at(n));
        let like = |lag: usize| pitch::likeness(from(0), from(lag));
        let (lag, likeness) = pitch::best_lag(most.min(pitch::LONGEST), like);
        let is_quiet = (0..SAMPLES).step_by(5).all(|n| self.at(n).unsigned_abs() < QUIET);
        (is_quiet || likeness > ALIKE).then_some(lag)
    }

    fn drop(&mut self, count: usize) {
        let gone = count.min(self.len);
        self.start = (self.start + gone) % CAPACITY;
        self.len -= gone;
    }

    /// One sample; the last one stands for those after it.
    fn at(&self, n: usize) -> i16 {
        match self.len {
            0 => 0,
            len => self.samples[(self.start + n.min(len - 1)) % CAPACITY],
        }
    }
}

/// The longest packet, a frame before it and a frame of a pause; a power of two, so that the remainder costs nothing.
const CAPACITY: usize = 8_192;

/// From one sample to another, over the first samples of a frame.
fn fade(from: i16, to: i16, n: usize) -> i16 {
    if n >= JOIN {
        return to;
    }
    let share = n as f32 / JOIN as f32;
    (f32::from(from) * (1.0 - share) + f32::from(to) * share) as i16
}

/// Samples over which one period goes over into another: 5 ms.
const JOIN: usize = SAMPLES / 4;
/// How like two periods are of which one is enough.
const ALIKE: f32 = 0.8;
/// Samples that are all smaller than this are quiet: -48 dB.
const QUIET: u16 = 130;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mixer::{Goertzel, Tone};

    #[test]
    fn a_tone_is_shorter_or_longer_and_still_the_same_tone() {
        for hertz in [150.0, 440.0, 1_100.0] {
            for is_shorter in [true, false] {
                let (mut fifo, mut tone) = (Fifo::new(), Tone::new(hertz, 8_000.0));
                let (mut ear, mut changed) = (Goertzel::new(hertz, super::super::RATE), 0);
                let mut last = 0_i16;
                for n in 0..50 {
                    while fifo.len() < Fifo::NEEDED {
                        fifo.push(&tone.next_frame());
                    }
                    let mut frame = [0; SAMPLES];
                    if n % 3 == 0 {
                        let lag = match is_shorter {
                            true => fifo.take_shorter(2_000, &mut frame),
                            false => fifo.take_longer(2_000, &mut frame),
                        };
                        changed += lag.unwrap();
                    } else {
                        fifo.take(&mut frame);
                    }
                    let steps = std::iter::once(last).chain(frame).zip(frame);
                    let steepest = steps.map(|(a, b)| (i32::from(a) - i32::from(b)).abs()).max().unwrap();
                    // A sine's steepest step, and a little.
                    let allowed = 8_000.0 * std::f64::consts::TAU * hertz / 48_000.0 * 1.2 + 20.0;
                    assert!(n == 0 || f64::from(steepest) < allowed, "{hertz}: a step of {steepest} at {n}");
                    last = frame[SAMPLES - 1];
                    ear.hear(&frame);
                }
                assert!(changed > 17 * 240);
                assert!(ear.amplitude() > 6_500.0, "{hertz} {is_shorter}: {}", ear.amplitude());
            }
        }
    }

    #[test]
    fn noise_is_not_cut_unless_it_is_quiet() {
        let mut seed = 5_u32;
        let mut noise = |amplitude: i32| -> Vec<i16> {
            let mut next = || {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (((seed >> 16) as i32 - 32_768) * amplitude / 32_768) as i16
            };
            (0..2_000).map(|_| next()).collect()
        };
        for (amplitude, is_cut) in [(5_000, false), (100, true)] {
            let mut fifo = Fifo::new();
            fifo.push(&noise(amplitude));
            assert_eq!(fifo.take_shorter(720, &mut [0; SAMPLES]).is_some(), is_cut);
        }
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_what_is_missing_repeats_the_last() {
        let mut fifo = Fifo::new();
        fifo.push(&[7; 20_000]);
        assert_eq!(fifo.len(), CAPACITY);
        fifo.clear();
        fifo.push(&[9; 10]);
        let mut frame = [0; SAMPLES];
        fifo.take(&mut frame);
        assert_eq!((frame, fifo.len()), ([9; SAMPLES], 0));
    }
}
