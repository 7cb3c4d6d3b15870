//! How long a connection is borne — RFC 5626 §4.4.1 leaves it to us.
//!
//! In    what happened on a connection, and when. Out the instant at which it is closed, and why.

use std::time::Duration;

use tokio::time::Instant;

use crate::limits::Limits;
use crate::metrics::Refused;

/// What is known of one connection's conduct.
pub(super) struct Patience {
    opened: Instant,
    /// When something came last.
    heard: Instant,
    /// When the message began that is not whole yet.
    partial: Option<Instant>,
    has_spoken: bool,
    is_trusted: bool,
    greeting: Duration,
    unproven: Duration,
    idle: Duration,
}

impl Patience {
    pub(super) fn new(limits: &Limits, is_trusted: bool, now: Instant) -> Self {
        Self {
            opened: now,
            heard: now,
            partial: None,
            // What we opened, we opened to speak ourselves.
            has_spoken: is_trusted,
            is_trusted,
            greeting: limits.greeting,
            unproven: limits.unproven,
            idle: limits.idle,
        }
    }

    /// Bytes came; `is_partial` says that a message is on its way.
    pub(super) fn heard(&mut self, now: Instant, is_partial: bool) {
        self.heard = now;
        self.partial = if is_partial { self.partial.or(Some(now)) } else { None };
    }

    /// A whole message came.
    pub(super) fn has_spoken(&mut self) {
        self.has_spoken = true;
        self.partial = None;
    }

    /// The peer is known.
    pub(super) fn trust(&mut self) {
        self.is_trusted = true;
    }

    /// When it ends.
    pub(super) fn deadline(&self) -> (Instant, Refused) {
        let idle = (self.heard + self.idle, Refused::Silent);
        let partial = self.partial.map(|since| (since + self.greeting, Refused::Silent));
        let silent = (!self.has_spoken).then_some((self.opened + self.greeting, Refused::Silent));
        let unproven = (!self.is_trusted).then_some((self.opened + self.unproven, Refused::Unproven));
        let first =
            |one: (Instant, Refused), other: (Instant, Refused)| if other.0 < one.0 { other } else { one };
        [partial, silent, unproven].into_iter().flatten().fold(idle, first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound_ends_a_connection_and_is_named() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut patience = Patience::new(&Limits::default(), false, start);
        assert_eq!(patience.deadline(), (at(30), Refused::Silent), "nothing whole came");
        patience.has_spoken();
        patience.heard(at(10), false);
        assert_eq!(patience.deadline(), (at(120), Refused::Unproven));
        patience.heard(at(11), true);
        patience.heard(at(40), true);
        assert_eq!(
            patience.deadline(),
            (at(41), Refused::Silent),
            "a message that drips is timed from its start"
        );
        patience.has_spoken();
        patience.trust();
        assert_eq!(patience.deadline(), (at(40 + 3_700), Refused::Silent));
    }

    #[test]
    fn what_we_opened_may_stay_silent() {
        let start = Instant::now();
        let patience = Patience::new(&Limits::default(), true, start);
        assert_eq!(patience.deadline().0, start + Duration::from_secs(3_700));
    }
}
