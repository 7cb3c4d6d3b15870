//! The period at which a voice repeats itself: where it can be cut, repeated or gone on with unheard.
//!
//! In    samples at 48 kHz. Out the lag at which they are most like themselves, and how like. Pure.

/// The best lag of [`SHORTEST`] to `longest`, and how like the samples are there, -1 to 1. `like` compares at one lag.
pub(super) fn best_lag(longest: usize, like: impl Fn(usize) -> f32) -> (usize, f32) {
    let best = |from: usize, to: usize, step: usize| {
        let lags = (from.max(SHORTEST)..=to.min(longest)).step_by(step).map(|lag| (lag, like(lag)));
        lags.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((SHORTEST, 0.0))
    };
    let (near, _) = best(SHORTEST, longest, COARSE);
    best(near.saturating_sub(COARSE), near + COARSE, 1)
}

/// How like two pieces are, -1 to 1: every third sample is looked at.
pub(super) fn likeness(one: impl Iterator<Item = i16>, two: impl Iterator<Item = i16>) -> f32 {
    let (mut product, mut first, mut second) = (0.0, 1.0, 1.0);
    for (one, two) in one.zip(two).step_by(3) {
        let (one, two) = (f32::from(one), f32::from(two));
        product += one * two;
        first += one * one;
        second += two * two;
    }
    product / f32::sqrt(first * second)
}

/// Samples of the shortest and the longest period: 200 Hz and 66 Hz. A higher voice repeats itself within them.
pub(super) const SHORTEST: usize = 240;
pub(super) const LONGEST: usize = 720;
const COARSE: usize = 6;
