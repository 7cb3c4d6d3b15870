//! Concealment for codecs that have none of their own: what was said last goes on at its pitch and fades away, as in
//! ITU-T G.711 appendix I.
//!
//! In    decoded samples at 48 kHz as they are played. Out samples in place of those that never came.
//! State the last 40 ms, and how far a concealment got. What comes back after a gap is faded in over what was invented.

use super::{SAMPLES, pitch};

/// What was heard last, and how it goes on.
#[derive(Debug, Clone)]
pub struct Conceal {
    history: Box<[i16; HISTORY]>,
    /// Samples of the period that is repeated; zero while nothing is concealed.
    period: usize,
    /// Samples invented since the last true one.
    invented: usize,
}

impl Conceal {
    /// Nothing was heard.
    pub fn new() -> Self {
        Self { history: Box::new([0; HISTORY]), period: 0, invented: 0 }
    }

    /// Hears true samples. The first ones after a gap are faded into what was invented.
    pub fn hear(&mut self, samples: &mut [i16]) {
        if self.period != 0 {
            let mut invented = [0; JOIN];
            self.invent(&mut invented);
            for (n, (sample, invented)) in samples.iter_mut().zip(&invented).enumerate() {
                let share = n as f32 / JOIN as f32;
                *sample = (f32::from(*sample) * share + f32::from(*invented) * (1.0 - share)) as i16;
            }
            (self.period, self.invented) = (0, 0);
        }
        let kept = samples.len().min(HISTORY);
        self.history.copy_within(kept.., 0);
        self.history[HISTORY - kept..].copy_from_slice(&samples[samples.len() - kept..]);
    }

    /// Invents samples.
    pub fn fill(&mut self, out: &mut [i16]) {
        if self.period == 0 {
            self.period = self.pitch();
        }
        self.invent(out);
    }

    fn invent(&mut self, out: &mut [i16]) {
        let period = &self.history[HISTORY - self.period..];
        for slot in out {
            let gain = 1.0 - self.invented.saturating_sub(FULL) as f32 / FADE as f32;
            *slot = (f32::from(period[self.invented % self.period]) * gain.max(0.0)) as i16;
            self.invented += 1;
        }
    }

    /// The lag at which the last samples are most like those before them.
    fn pitch(&self) -> usize {
        let end = |lag: usize| self.history[HISTORY - WINDOW - lag..HISTORY - lag].iter().copied();
        pitch::best_lag(pitch::LONGEST, |lag| pitch::likeness(end(0), end(lag))).0
    }
}

impl Default for Conceal {
    fn default() -> Self {
        Self::new()
    }
}

/// 40 ms.
const HISTORY: usize = SAMPLES * 2;
/// What is compared: 20 ms.
const WINDOW: usize = SAMPLES;
/// Samples at full loudness: 10 ms; then it fades for 50 ms.
const FULL: usize = SAMPLES / 2;
const FADE: usize = SAMPLES * 5 / 2;
/// Samples over which true sound comes back: 4 ms.
const JOIN: usize = SAMPLES / 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mixer::{Goertzel, Tone};

    #[test]
    fn a_tone_goes_on_and_fades_away() {
        let (mut tone, mut conceal) = (Tone::new(150.0, 8_000.0), Conceal::new());
        for _ in 0..5 {
            conceal.hear(&mut tone.next_frame());
        }
        let mut gap = [[0; SAMPLES]; 5];
        let loudness: Vec<f64> = gap
            .iter_mut()
            .map(|frame| {
                conceal.fill(frame);
                let mut ear = Goertzel::new(150.0, super::super::RATE);
                ear.hear(frame);
                ear.amplitude()
            })
            .collect();
        assert!(loudness[0] > 6_000.0, "{loudness:?}");
        assert!(loudness.is_sorted_by(|a, b| a >= b) && loudness[4] < 100.0, "{loudness:?}");
    }

    #[test]
    fn true_sound_comes_back_without_a_step() {
        let (mut tone, mut conceal) = (Tone::new(150.0, 8_000.0), Conceal::new());
        for _ in 0..5 {
            conceal.hear(&mut tone.next_frame());
        }
        let mut lost = [0; SAMPLES];
        conceal.fill(&mut lost);
        let mut back = [-8_000; SAMPLES];
        conceal.hear(&mut back);
        assert!((i32::from(back[0]) - i32::from(lost[SAMPLES - 1])).abs() < 600, "{} {}", back[0], lost[959]);
        assert_eq!(back[JOIN], -8_000);
    }
}
