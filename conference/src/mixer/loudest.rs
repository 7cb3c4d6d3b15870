//! Who is speaking: the one voice that was loudest for a while.
//!
//! In    how loud each leg is, every tick. Out changes of the active speaker, at most one a second.
//! State the speaker, and a rival with how long they were louder.

use super::LegId;

/// The active speaker of a conference.
#[derive(Debug, Default)]
pub(super) struct Loudest {
    speaker: Option<LegId>,
    rival: Option<LegId>,
    /// Ticks for which the rival was louder.
    ahead: u32,
    /// Ticks since the last change.
    since: u32,
}

impl Loudest {
    /// Hears who is loudest now; `Some` if another speaks.
    pub(super) fn hear(&mut self, now: Option<LegId>) -> Option<Option<LegId>> {
        self.since = self.since.saturating_add(1);
        if now == self.speaker {
            self.ahead = 0;
            return None;
        }
        if now != self.rival {
            (self.rival, self.ahead) = (now, 0);
        }
        self.ahead += 1;
        // Silence must last longer than the pause between two sentences.
        let enough = if now.is_some() { AHEAD } else { PAUSE };
        if self.ahead < enough || self.since < LEAST {
            return None;
        }
        (self.speaker, self.ahead, self.since) = (now, 0, 0);
        Some(now)
    }

    /// A leg is gone.
    pub(super) fn forget(&mut self, leg: LegId) {
        if self.speaker == Some(leg) {
            self.speaker = None;
        }
    }
}

/// 200 ms.
const AHEAD: u32 = 10;
/// Two seconds.
const PAUSE: u32 = 100;
/// A second.
const LEAST: u32 = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cough_changes_nothing_and_a_sentence_does() {
        let (one, two) = (Some(LegId(1)), Some(LegId(2)));
        let mut loudest = Loudest::default();
        let mut told = Vec::new();
        let mut ticks = |count: usize, who| told.extend((0..count).filter_map(|_| loudest.hear(who)));
        ticks(60, one);
        ticks(5, two);
        ticks(100, one);
        ticks(30, two);
        ticks(99, None);
        ticks(1, two);
        ticks(100, None);
        assert_eq!(told, [one, two, None]);
    }

    #[test]
    fn a_change_comes_once_a_second_at_most() {
        let mut loudest = Loudest::default();
        let changes = (0..500).filter_map(|n| loudest.hear(Some(LegId(n / 11)))).count();
        assert!(changes <= 10, "{changes}");
    }
}
