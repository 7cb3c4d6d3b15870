//! Whether we are late: how long requests wait from their arrival to their turn.
//!
//! When they wait too long, more of them are refused than are taken, so that those that are taken are in time: what is done
//! levels off and does not collapse. One in [`TAKEN`] is taken all the same, by which we notice that it is over.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The lateness of late, a moving mean.
pub(crate) struct Load {
    /// Microseconds; zero is no limit.
    most: u64,
    /// Microseconds times [`PART`].
    mean: AtomicU64,
    refused: AtomicU64,
}

impl Load {
    pub(crate) fn new(most: Duration) -> Self {
        let most = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        Self { most, mean: AtomicU64::new(0), refused: AtomicU64::new(0) }
    }

    /// A request waited so long. Two that say so at the same moment may count as one.
    pub(crate) fn waited(&self, waited: Duration) {
        let micros = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX).min(LONGEST);
        let mean = self.mean.load(Ordering::Relaxed);
        self.mean.store(mean - mean / PART + micros, Ordering::Relaxed);
    }

    /// Whether the next request that begins something is refused.
    pub(crate) fn refuses(&self) -> bool {
        if self.most == 0 || self.mean.load(Ordering::Relaxed) / PART <= self.most {
            return false;
        }
        !self.refused.fetch_add(1, Ordering::Relaxed).is_multiple_of(TAKEN)
    }
}

/// How many of the last requests the mean is of, about.
const PART: u64 = 32;
/// One in so many is taken while we are late.
const TAKEN: u64 = 4;
/// Ten minutes, in microseconds.
const LONGEST: u64 = 600_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_are_refused_while_we_are_late_and_none_when_it_is_over() {
        let load = Load::new(Duration::from_millis(500));
        let say = |millis, times: usize| (0..times).for_each(|_| load.waited(Duration::from_millis(millis)));
        let refused = || (0..40).filter(|_| load.refuses()).count();
        say(5_000, 1);
        assert_eq!(refused(), 0, "one late request is an accident");
        say(1_000, 100);
        assert_eq!(refused(), 30);
        say(1, 100);
        assert_eq!(refused(), 0);
        say(u64::MAX, 100);
        assert!(!Load::new(Duration::ZERO).refuses());
    }
}
