//! What somebody was told a moment ago, so that who asks often is not answered often. Pure.
//!
//! In    numbers of packets, their octets, instants. Out whether it is time. State the numbers of the last [`PAUSE`], and
//!       the octets of a second.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The numbers of a moment.
#[derive(Debug, Default)]
pub(super) struct Lately {
    numbers: VecDeque<(u16, Instant)>,
    /// When the second began, and its octets.
    second: Option<(Instant, usize)>,
}

impl Lately {
    /// Whether this number is due, with so many octets; if so, it counts.
    pub(super) fn is_due(&mut self, number: u16, octets: usize, now: Instant) -> bool {
        while self.numbers.front().is_some_and(|(_, then)| now.duration_since(*then) >= PAUSE) {
            self.numbers.pop_front();
        }
        let (_, spent) = match &mut self.second {
            Some(second) if now.duration_since(second.0) < SECOND => second,
            second => second.insert((now, 0)),
        };
        if *spent + octets > MOST || self.numbers.iter().any(|(known, _)| *known == number) {
            return false;
        }
        *spent += octets;
        self.numbers.push_back((number, now));
        true
    }
}

/// Between two answers about one number.
const PAUSE: Duration = Duration::from_millis(100);
const SECOND: Duration = Duration::from_secs(1);
/// Octets of a second: a third of what pictures are.
const MOST: usize = 64 * 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_comes_once_in_a_moment_and_not_too_much_in_a_second() {
        let (mut lately, now) = (Lately::default(), Instant::now());
        assert!(lately.is_due(7, 1_000, now) && lately.is_due(8, 1_000, now));
        assert!(!lately.is_due(7, 1_000, now + PAUSE / 2) && lately.is_due(7, 1_000, now + PAUSE));
        let sent = (100..200).filter(|number| lately.is_due(*number, 1_200, now + PAUSE)).count();
        assert_eq!(sent, (MOST - 3_000) / 1_200);
        assert!(lately.is_due(900, 1_200, now + SECOND));
        assert_eq!(lately.numbers.len(), 1);
    }
}
