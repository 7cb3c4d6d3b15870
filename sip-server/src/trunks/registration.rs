//! Our registration with a carrier — RFC 3261 §10.2 (UAC), §10.2.4 (refreshing), §10.2.8 (423), RFC 5626 §4.5 (backoff).
//!
//! In    what became of a REGISTER, the time, a random number. Out when the next is due.
//! State what was granted, and how often it failed in a row.
//! Not here: the message and its credentials (`keeper`, `credentials`); unregistering when we stop, for another node or
//! the same one a moment later wants the registration to last.

use std::time::{Duration, Instant};

/// One registration.
#[derive(Debug, Clone)]
pub(crate) struct Registration {
    /// What is asked for.
    wish: Duration,
    due: Instant,
    until: Option<Instant>,
    failures: u32,
    /// When it was granted last.
    granted: Option<Instant>,
    /// Connections in a row that were lost soon after it was granted.
    losses: u32,
}

/// What became of a REGISTER, once challenges were answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// 2xx, for so long.
    Granted(Duration),
    /// 423, and what it should be at least (§10.2.8).
    TooBrief(Duration),
    /// Any other final answer: asking again soon does not help.
    Refused,
    /// No answer, or a failure that may pass.
    Failed,
    /// A failure that will not pass before so long (§20.33).
    Later(Duration),
}

impl Registration {
    /// It begins at once.
    pub(crate) fn new(wish: Duration, now: Instant) -> Self {
        Self { wish, due: now, until: None, failures: 0, granted: None, losses: 0 }
    }

    /// When a REGISTER is due.
    pub(crate) fn due(&self) -> Instant {
        self.due
    }

    /// What the REGISTER asks for.
    pub(crate) fn wish(&self) -> Duration {
        self.wish
    }

    /// Whether the carrier knows us.
    pub(crate) fn is_held(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// Goes on after an outcome.
    pub(crate) fn ended(&mut self, outcome: Outcome, now: Instant, random: u64) {
        match outcome {
            Outcome::Granted(granted) => {
                self.failures = 0;
                self.until = Some(now + granted);
                self.granted = Some(now);
                self.due =
                    now + granted.checked_sub(EARLY).map_or(granted / 2, |early| early.max(granted / 2));
            }
            Outcome::TooBrief(least) if least > self.wish && least <= LONGEST => {
                self.wish = least;
                self.due = now;
            }
            Outcome::TooBrief(_) | Outcome::Refused => self.due = now + self.backoff(random).max(LONG),
            Outcome::Failed => self.due = now + self.backoff(random),
            Outcome::Later(wait) => self.due = now + self.backoff(random).max(wait.min(LONGEST_WAIT)),
        }
    }

    /// The connection that it was made by is lost: it is made anew soon, and later and later with a carrier that closes each at once.
    pub(crate) fn lost(&mut self, now: Instant, random: u64) {
        let is_soon = self.granted.is_some_and(|granted| now.saturating_duration_since(granted) < STEADY);
        self.losses = if is_soon { self.losses.saturating_add(1) } else { 0 };
        self.due = self.due.min(now + wait(BREATH, self.losses, random));
    }

    fn backoff(&mut self, random: u64) -> Duration {
        let wait = wait(BASE, self.failures, random);
        self.failures = self.failures.saturating_add(1);
        wait
    }
}

/// RFC 5626 §4.5: doubled with each time, and somewhere between the half and the whole of it.
fn wait(base: Duration, times: u32, random: u64) -> Duration {
    let half = base.saturating_mul(1 << times.min(16)).min(LONGEST_BACKOFF) / 2;
    half + half.mul_f64((random % 1_000) as f64 / 1_000.0)
}

/// How long before its end a registration is refreshed.
const EARLY: Duration = Duration::from_secs(60);
/// The longest registration that a carrier may demand.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);
const BASE: Duration = Duration::from_secs(4);
/// How long a lost connection is waited over at most, the first time.
const BREATH: Duration = Duration::from_secs(1);
/// A connection that lasted as long was not closed because we registered.
const STEADY: Duration = Duration::from_secs(60);
const LONGEST_BACKOFF: Duration = Duration::from_secs(300);
/// The longest that a registrar is left alone because it said so.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);
/// How long a refusal stands at least.
const LONG: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_registration_is_refreshed_before_it_ends() {
        let now = Instant::now();
        let mut registration = Registration::new(seconds(3_600), now);
        assert!(registration.due() == now && !registration.is_held(now));
        registration.ended(Outcome::Granted(seconds(600)), now, 0);
        assert_eq!(registration.due() - now, seconds(540));
        assert!(registration.is_held(now + seconds(599)) && !registration.is_held(now + seconds(600)));
        registration.ended(Outcome::Granted(seconds(60)), now, 0);
        assert_eq!(registration.due() - now, seconds(30), "a short one half way");
    }

    #[test]
    fn what_is_too_brief_is_asked_for_longer_and_at_once_but_only_once() {
        let now = Instant::now();
        let mut registration = Registration::new(seconds(60), now);
        registration.ended(Outcome::TooBrief(seconds(300)), now, 0);
        assert_eq!((registration.wish(), registration.due()), (seconds(300), now));
        registration.ended(Outcome::TooBrief(seconds(300)), now, 0);
        assert!(registration.due() - now >= LONG);
        registration.ended(Outcome::TooBrief(seconds(u64::from(u32::MAX))), now, 0);
        assert_eq!(registration.wish(), seconds(300));
    }

    #[test]
    fn what_loses_its_connection_is_made_anew_and_no_storm() {
        let now = Instant::now();
        let mut registration = Registration::new(seconds(3_600), now);
        registration.ended(Outcome::Granted(seconds(3_600)), now, 0);
        let later = now + STEADY;
        registration.lost(later, 999);
        assert!(registration.due() > later && registration.due() - later <= BREATH);
        let mut last = Duration::ZERO;
        for _ in 0..8 {
            registration.ended(Outcome::Granted(seconds(3_600)), later, 0);
            registration.lost(later, 500);
            let wait = registration.due() - later;
            assert!(wait > last, "{wait:?}");
            last = wait;
        }
        assert!(last > seconds(60) && registration.is_held(later));
    }

    #[test]
    fn failures_wait_longer_and_longer_and_a_held_registration_stays_held() {
        let now = Instant::now();
        let mut registration = Registration::new(seconds(3_600), now);
        registration.ended(Outcome::Granted(seconds(3_600)), now, 0);
        let mut last = Duration::ZERO;
        for _ in 0..6 {
            registration.ended(Outcome::Failed, now, 500);
            let wait = registration.due() - now;
            assert!(wait > last, "{wait:?}");
            last = wait;
        }
        assert!(registration.is_held(now));
        (0..20).for_each(|_| registration.ended(Outcome::Failed, now, 999));
        assert!(registration.due() - now <= LONGEST_BACKOFF);
        let mut busy = Registration::new(seconds(3_600), now);
        busy.ended(Outcome::Later(seconds(7)), now, 0);
        assert_eq!(busy.due() - now, seconds(7));
        busy.ended(Outcome::Later(seconds(1)), now, 0);
        assert_eq!(busy.due() - now, seconds(4), "never sooner than it would be");
        busy.ended(Outcome::Later(seconds(u64::from(u32::MAX))), now, 0);
        assert_eq!(busy.due() - now, LONGEST_WAIT);
        let mut refused = Registration::new(seconds(3_600), now);
        refused.ended(Outcome::Refused, now, 0);
        assert_eq!(refused.due() - now, LONG);
        refused.ended(Outcome::Granted(seconds(3_600)), now, 0);
        refused.ended(Outcome::Failed, now, 0);
        assert_eq!(refused.due() - now, seconds(2), "an answer ends the row");
    }
}
