//! How fast a room speaks — XEP-0500 0.1.1 §5 (configuration, disco), §6 (limits); XEP-0502 0.1.0 §3.1, §4 (activity).
//!
//! In    messages with a body, and the clock.
//! Out   whether one comes too early after the speaker's last, and how many an hour there were in the last day.
//! State for each speaker when they spoke last, while that matters; 25 counters. Gone with the room's task: activity is shown when
//!       the room has been up for an hour.
//! Errors `policy-violation` of the type `wait`, with the duration. Admins and owners are never too fast.

use std::collections::HashMap;

use shared_model::{Affiliation, Spec};
use xmpp_core::{Element, ErrorKind, Jid, StanzaError, ns};

use super::room::Room;

pub(crate) const SPECS: &[Spec] = &[Spec::xep(500, "0.1.1").complete(), Spec::xep(502, "0.1.0").complete()];

/// What is known of the room's pace.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// When each spoke last, milliseconds since 1970, by bare JID.
    spoke: HashMap<String, i64>,
    /// Messages in this hour, and in those before it.
    hours: [u32; HOURS + 1],
    /// Which hour the first is, and which it was when counting began; hours since 1970.
    hour: i64,
    began: i64,
}

impl Pace {
    /// Counts a message.
    fn count(&mut self, now: i64) {
        self.shift(now);
        self.hours[0] = self.hours[0].saturating_add(1);
    }

    /// Messages an hour, over whole hours; none before there is one.
    fn an_hour(&mut self, now: i64) -> Option<f64> {
        self.shift(now);
        let known = usize::try_from(self.hour - self.began).unwrap_or(0).min(HOURS);
        let sum: u64 = self.hours[1..=known].iter().map(|count| u64::from(*count)).sum();
        #[expect(clippy::cast_precision_loss, reason = "an approximation, of numbers that are small")]
        (known > 0).then(|| sum as f64 / known as f64)
    }

    fn shift(&mut self, now: i64) {
        let hour = now.div_euclid(HOUR);
        if self.began == 0 {
            (self.began, self.hour) = (hour, hour);
        }
        let passed = usize::try_from(hour - self.hour).unwrap_or(0).min(HOURS + 1);
        if passed > 0 {
            self.hours.rotate_right(passed.min(HOURS));
            let emptied = if passed > HOURS { HOURS + 1 } else { passed };
            self.hours[..emptied].fill(0);
            self.hour = hour;
        }
    }

    /// Whether somebody may speak; if so, they did.
    fn may_speak(&mut self, who: &str, duration: i64, now: i64) -> bool {
        if self.spoke.get(who).is_some_and(|last| now - last < duration) {
            return false;
        }
        if self.spoke.len() >= MOST_SPEAKERS {
            self.spoke.retain(|_, last| now - *last < duration);
        }
        self.spoke.insert(who.to_owned(), now);
        true
    }
}

impl Room {
    /// A message is to be said.
    pub(crate) fn keep_pace(
        &mut self,
        speaker: &Jid,
        children: &[Element],
        now: i64,
    ) -> Result<(), StanzaError> {
        if !children.iter().any(|child| child.is("body", ns::CLIENT)) {
            return Ok(());
        }
        let seconds = self.config.slow_mode;
        let is_slow =
            seconds > 0 && !matches!(self.affiliation(speaker), Affiliation::Admin | Affiliation::Owner);
        if is_slow && !self.pace.may_speak(speaker.bare_str(), i64::from(seconds) * 1000, now) {
            let why = format!("this room is slow: one message in {seconds} seconds");
            return Err(StanzaError::because(ErrorKind::PolicyViolation, why).for_now());
        }
        if !children.iter().any(|child| child.is("replace", CORRECTION)) {
            self.pace.count(now);
        }
        Ok(())
    }

    /// Messages an hour, of a room that everybody may know of.
    pub(crate) fn activity(&mut self, now: i64) -> Option<String> {
        let is_shown = self.config.persistent && self.config.public;
        is_shown.then(|| self.pace.an_hour(now)).flatten().map(|rate| format!("{rate:.2}"))
    }
}

/// XEP-0308.
const CORRECTION: &str = "urn:xmpp:message-correct:0";
const HOUR: i64 = 3_600_000;
const HOURS: usize = 24;
const MOST_SPEAKERS: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_activity_is_that_of_whole_hours_of_the_last_day() {
        let mut pace = Pace::default();
        let at = |hour: i64| (1_000 + hour) * HOUR + 5;
        assert_eq!(pace.an_hour(at(0)), None);
        for _ in 0..6 {
            pace.count(at(0));
        }
        assert_eq!(pace.an_hour(at(0)), None, "the hour is not over");
        assert_eq!(pace.an_hour(at(1)), Some(6.0));
        assert_eq!(pace.an_hour(at(2)), Some(3.0));
        assert_eq!(pace.an_hour(at(24)), Some(0.25));
        assert_eq!(pace.an_hour(at(25)), Some(0.0));
        pace.count(at(25));
        assert_eq!(pace.an_hour(at(400)), Some(0.0));
    }

    #[test]
    fn each_waits_for_themselves() {
        let mut pace = Pace::default();
        assert!(pace.may_speak("a@x", 1000, 0) && pace.may_speak("b@x", 1000, 1));
        assert!(!pace.may_speak("a@x", 1000, 999) && pace.may_speak("a@x", 1000, 1000));
    }
}
