//! Whether a trunk is up: what it answered last, counted.
//!
//! In    that it answered, or did not. Out whether that changed anything.
//! A trunk that is down is tried last and not never: all may be down, and a call is worth trying.

/// A trunk's health. It is up until it proved not to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Health {
    failures: u8,
}

impl Health {
    pub(crate) fn is_up(self) -> bool {
        self.failures < ENOUGH
    }

    /// It answered: anything but 408 and 503 says that somebody is there. What it is now, if that is new.
    pub(crate) fn answered(&mut self) -> Option<bool> {
        let was_up = std::mem::take(self).is_up();
        (!was_up).then_some(true)
    }

    /// It did not answer, or said that it cannot.
    pub(crate) fn failed(&mut self) -> Option<bool> {
        let was_up = self.is_up();
        self.failures = self.failures.saturating_add(1);
        (was_up && !self.is_up()).then_some(false)
    }
}

/// Failures in a row, for one datagram may be lost.
const ENOUGH: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_failures_in_a_row_are_down_and_one_answer_is_up() {
        let mut health = Health::default();
        assert_eq!((health.failed(), health.answered(), health.failed()), (None, None, None));
        assert_eq!((health.failed(), health.is_up(), health.failed()), (Some(false), false, None));
        assert_eq!((health.answered(), health.is_up(), health.answered()), (Some(true), true, None));
    }
}
