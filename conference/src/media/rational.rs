//! Between 44.1 kHz and 48 kHz: a polyphase low-pass of 19 kHz, 160 phases one way and 147 the other.
//!
//! In    samples, as many as there are. Out those at the other rate: of every 441 there are 480, and back.
//! State the filter's history, and where between two samples the next one lies.

use std::sync::LazyLock;

use super::resample::{low_pass, round};

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From 44.1 kHz to 48 kHz.
    Up,
    /// From 48 kHz to 44.1 kHz.
    Down,
}

/// One way.
#[derive(Debug, Clone)]
pub struct Rational {
    way: Way,
    /// The newest first.
    history: [f32; TAPS],
    phase: usize,
}

impl Way {
    /// Samples that come out, for how many that go in.
    const fn ratio(self) -> (usize, usize) {
        match self {
            Self::Up => (160, 147),
            Self::Down => (147, 160),
        }
    }

    fn taps(self) -> &'static [f32] {
        static UP: LazyLock<Vec<f32>> = LazyLock::new(|| low_pass(160 * TAPS, 19_000.0 / 7_056_000.0));
        static DOWN: LazyLock<Vec<f32>> = LazyLock::new(|| low_pass(147 * TAPS, 19_000.0 / 7_056_000.0));
        match self {
            Self::Up => &UP,
            Self::Down => &DOWN,
        }
    }
}

impl Rational {
    /// A filter that has heard silence.
    pub fn new(way: Way) -> Self {
        Self { way, history: [0.0; TAPS], phase: 0 }
    }

    /// Writes what comes of `samples` to `out`, as far as there is room; how many that are.
    pub fn process(&mut self, samples: &[i16], out: &mut [i16]) -> usize {
        let ((up, down), taps, mut written) = (self.way.ratio(), self.way.taps(), 0);
        for sample in samples {
            self.history.copy_within(..TAPS - 1, 1);
            self.history[0] = f32::from(*sample);
            while self.phase < up {
                let phase = taps[self.phase..].iter().step_by(up);
                let sum: f32 = phase.zip(&self.history).map(|(tap, sample)| tap * sample).sum();
                if let Some(slot) = out.get_mut(written) {
                    *slot = round(sum * up as f32);
                    written += 1;
                }
                self.phase += down;
            }
            self.phase -= up;
        }
        written
    }
}

/// Taps of each phase: 0.4 ms of delay.
const TAPS: usize = 32;

#[cfg(test)]
mod tests {
    use super::super::resample::tests::{loudness, tone};
    use super::*;

    #[test]
    fn what_is_heard_passes_both_ways_and_nothing_is_lost_or_added() {
        for hertz in [100.0, 1_000.0, 12_000.0] {
            let narrow = tone(hertz, 44_100.0, 44_100);
            let (mut wide, mut back) = (vec![0; 48_000], vec![0; 44_100]);
            let (mut up, mut down) = (Rational::new(Way::Up), Rational::new(Way::Down));
            for (narrow, wide) in narrow.chunks(441).zip(wide.chunks_mut(480)) {
                assert_eq!(up.process(narrow, wide), 480);
            }
            for (wide, back) in wide.chunks(960).zip(back.chunks_mut(882)) {
                assert_eq!(down.process(wide, back), 882);
            }
            let gain = loudness(&back[400..]) / loudness(&narrow[400..]);
            assert!((0.9..1.1).contains(&gain), "{hertz} Hz came back {gain} times as loud");
        }
    }

    #[test]
    fn odd_lengths_come_to_the_same_and_no_room_is_no_harm() {
        let (mut up, mut out, mut all) = (Rational::new(Way::Up), [0; 4_000], 0);
        for length in [1, 0, 7, 440, 441, 3] {
            all += up.process(&vec![1_000; length], &mut out);
        }
        assert_eq!(all, (892_usize * 160).div_ceil(147));
        assert_eq!(up.process(&[1_000; 900], &mut out[..10]), 10);
        assert_eq!(up.process(&[], &mut out), 0);
    }
}
