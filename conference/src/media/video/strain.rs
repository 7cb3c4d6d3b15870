//! A viewer who can take less than the least that comes: it sees nothing for a while, so that its sound comes through, and
//! nobody else sees less for it. Pure.
//!
//! In    bits a second that it would be sent, what it can take, instants. Out whether it is sent nothing.
//! State since when it is too much; until when nothing is sent, [`FIRST`] and then twice as long each time, [`LONGEST`] at most.

use std::time::{Duration, Instant};

use super::bandwidth::Bandwidth;

/// How one viewer bears it.
#[derive(Debug)]
pub(super) struct Strain {
    since: Option<Instant>,
    until: Option<Instant>,
    /// How long nothing is sent the next time.
    pause: Duration,
    tried: Option<Instant>,
}

/// Whether so many bits a second are too many for who takes so many: what is a little more may pass, or will be less once the
/// sender is told.
pub(super) fn exceeds(needs: u64, takes: u64) -> bool {
    needs > takes.saturating_mul(2)
}

impl Default for Strain {
    fn default() -> Self {
        Self { since: None, until: None, pause: FIRST, tried: None }
    }
}

impl Strain {
    /// Whether nothing is sent to who would be sent `needs`; `most` is what was agreed on, 0 if nothing was.
    pub(super) fn is_too_much(
        &mut self,
        needs: u64,
        most: u64,
        bandwidth: &mut Bandwidth,
        now: Instant,
    ) -> bool {
        if most > 0 && exceeds(needs, most) {
            // What was agreed on does not change by trying.
            return true;
        }
        if let Some(until) = self.until {
            if now < until {
                return true;
            }
            // While nothing is sent nothing is learnt, and what was learnt before is old: it is tried.
            bandwidth.forget();
            (self.since, self.until, self.tried) = (None, None, Some(now));
        }
        if !bandwidth.bits(most).is_some_and(|bits| exceeds(needs, bits)) {
            self.since = None;
            if self.tried.is_some_and(|tried| now.duration_since(tried) >= LONGEST) {
                self.pause = FIRST;
            }
            return false;
        }
        let since = *self.since.get_or_insert(now);
        if now.duration_since(since) < PATIENCE {
            return false;
        }
        self.until = Some(now + self.pause);
        self.pause = (self.pause * 2).min(LONGEST);
        true
    }
}

/// How long it may be too much: a sender that is told sends less by then.
const PATIENCE: Duration = Duration::from_secs(3);
const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_cannot_take_it_sees_nothing_for_a_while_and_is_tried_again() {
        let (mut strain, mut bandwidth, begin) = (Strain::default(), Bandwidth::default(), Instant::now());
        let mut at = |second: u64, told: Option<u64>| {
            told.into_iter().for_each(|bits| bandwidth.tell(bits));
            strain.is_too_much(1_000_000, 0, &mut bandwidth, begin + Duration::from_secs(second))
        };
        assert!(!at(0, None) && !at(1, Some(300_000)) && !at(3, None), "it may pass");
        assert!(at(4, None) && at(13, None));
        assert!(!at(14, None), "it is tried without what was known");
        assert!(!at(15, Some(300_000)) && at(18, None) && at(37, None) && !at(38, None), "for longer");
        assert!(!at(39, Some(900_000)) && !at(98, None));
        assert!(!at(99, Some(300_000)) && at(102, None) && !at(112, None), "it went well for long");
    }

    #[test]
    fn what_was_agreed_on_holds_at_once_and_for_good() {
        let (mut strain, mut bandwidth, now) = (Strain::default(), Bandwidth::default(), Instant::now());
        assert!(strain.is_too_much(150_000, 1_000, &mut bandwidth, now));
        assert!(strain.is_too_much(150_000, 1_000, &mut bandwidth, now + LONGEST * 9));
        assert!(!strain.is_too_much(150_000, 100_000, &mut bandwidth, now), "nearly is enough");
    }
}
