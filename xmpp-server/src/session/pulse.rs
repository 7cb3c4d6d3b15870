//! Whether a client is still there — XEP-0198 §4 (`<r/>`), XEP-0199 §4.2 (server to client), RFC 6120 §4.6.4 (a broken stream).
//!
//! ```text
//! heard ─ silent for `idle_timeout` ─▶ asked ─ an element ─▶ heard
//!                                        └─ none for `ack_timeout`, and what is on the way had time ─▶ gone
//! ```
//!
//! In    the moment of each element of the client, and of each part of a long one; bytes that were written; questions that were asked.
//! Out   [`Look`]: wait until then, ask now, or give up.
//! State two moments and two sums of bytes, for the time of one connection.
//! Where stanzas are counted, whitespace is no element: a network's box or a frozen program's thread sends it for a client that
//! reads nothing. Where they are not, any byte will do: who sends some may have no answer to a ping. A client
//! that is merely slow has the time that its line takes for what was written before the question.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// When a client last said something: noted by who reads, looked at by who writes.
pub(super) struct Heard {
    base: Instant,
    nanos: AtomicU64,
    /// Nobody looks at it (XEP-0352).
    is_resting: AtomicBool,
}

impl Heard {
    pub(super) fn new(base: Instant) -> Arc<Self> {
        Arc::new(Self { base, nanos: AtomicU64::new(0), is_resting: AtomicBool::new(false) })
    }

    /// An element, or a part of one, came at `now`; or any byte, if nothing is counted.
    pub(super) fn note(&self, now: Instant) {
        let nanos = now.saturating_duration_since(self.base).as_nanos();
        self.nanos.store(u64::try_from(nanos).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Whether nobody looks at the client, which is then asked less often.
    pub(super) fn rest(&self, is_resting: bool) {
        self.is_resting.store(is_resting, Ordering::Relaxed);
    }

    fn last(&self) -> Instant {
        self.base + Duration::from_nanos(self.nanos.load(Ordering::Relaxed))
    }
}

/// What is to be done about a silence.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Nothing before this moment.
    Wait(Instant),
    /// To ask whether it is there.
    Ask,
    /// It is not there any more.
    Gone,
}

/// What is known of one connection's client.
pub(super) struct Pulse {
    heard: Arc<Heard>,
    /// How long an answer may take; zero: for ever.
    patience: Duration,
    /// After how long a silence it is asked; zero: never.
    idle: Duration,
    asked: Option<Instant>,
    /// Bytes that were before the last question, and not before the one before.
    ahead: u64,
    /// Bytes since the last question.
    since: u64,
}

impl Pulse {
    pub(super) fn new(heard: Arc<Heard>, patience: Duration, idle: Duration) -> Self {
        Self { heard, patience, idle, asked: None, ahead: 0, since: 0 }
    }

    pub(super) fn heard(&self) -> Arc<Heard> {
        Arc::clone(&self.heard)
    }

    /// A connection begins.
    pub(super) fn begin(&mut self, now: Instant) {
        self.heard.note(now);
        (self.asked, self.ahead, self.since) = (None, 0, 0);
    }

    /// So many bytes are on their way.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.since = self.since.saturating_add(bytes as u64);
    }

    /// A question goes behind what was written.
    pub(super) fn asks(&mut self, now: Instant) {
        self.asked = Some(now);
        self.ahead = std::mem::take(&mut self.since);
    }

    /// When the answer to an open question is due at the latest.
    pub(super) fn due(&self, now: Instant) -> Instant {
        if self.patience.is_zero() {
            return now + LONGEST;
        }
        let line = Duration::from_secs(self.ahead / SLOWEST).min(self.patience * MOST_PATIENT);
        self.asked.unwrap_or(now).max(self.heard.last()) + self.patience + line
    }

    /// Looks at the silence. Whether a question is open is known by who counts acks; without them any element answers.
    pub(super) fn look(&self, now: Instant, is_unacked: Option<bool>) -> Look {
        let heard = self.heard.last();
        let is_open = is_unacked.unwrap_or_else(|| self.asked.is_some_and(|asked| heard < asked));
        let (due, then) = if is_open {
            (self.due(now), Look::Gone)
        } else if self.idle.is_zero() || self.patience.is_zero() {
            (now + LONGEST, Look::Ask)
        } else {
            let times = if self.heard.is_resting.load(Ordering::Relaxed) { RESTING } else { 1 };
            (heard + self.idle * times, Look::Ask)
        };
        if now < due { Look::Wait(due) } else { then }
    }
}

/// How much longer a client may be silent while nobody looks at it.
const RESTING: u32 = 3;
/// Bytes a second of the slowest line that anybody has.
const SLOWEST: u64 = 1_024;
/// What a slow line may add to the time for an answer, as so many times of it.
const MOST_PATIENT: u32 = 9;
/// When nothing is asked, it is looked anew after this.
const LONGEST: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);
    const IDLE: Duration = Duration::from_secs(300);

    fn pulse(start: Instant) -> Pulse {
        let mut pulse = Pulse::new(Heard::new(start), PATIENCE, IDLE);
        pulse.begin(start);
        pulse
    }

    #[tokio::test]
    async fn a_silent_client_is_asked_and_given_up() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut pulse = pulse(start);
        for managed in [None, Some(false)] {
            assert_eq!(pulse.look(at(299), managed), Look::Wait(at(300)));
            assert_eq!(pulse.look(at(300), managed), Look::Ask);
        }
        pulse.asks(at(300));
        assert_eq!(pulse.look(at(359), None), Look::Wait(at(360)));
        assert_eq!(pulse.look(at(360), None), Look::Gone);
        pulse.heard().rest(true);
        assert_eq!(pulse.look(at(360), Some(false)), Look::Wait(at(900)), "nobody looks at it");
        pulse.heard().rest(false);
        pulse.heard().note(at(359));
        assert_eq!(pulse.look(at(360), None), Look::Wait(at(659)), "any element answers a ping");
        assert_eq!(pulse.look(at(360), Some(true)), Look::Wait(at(419)), "but an ack is still owed");
        assert_eq!(pulse.look(at(419), Some(true)), Look::Gone);
    }

    #[tokio::test]
    async fn a_slow_line_has_time_for_what_is_on_it_and_not_for_ever() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut pulse = pulse(start);
        pulse.wrote(20_480);
        pulse.asks(at(0));
        assert_eq!(pulse.look(at(79), Some(true)), Look::Wait(at(80)));
        assert_eq!(pulse.look(at(80), Some(true)), Look::Gone);
        pulse.wrote(1_000_000_000);
        pulse.asks(at(80));
        assert_eq!(pulse.look(at(81), Some(true)), Look::Wait(at(80 + 600)));
        pulse.asks(at(700));
        assert_eq!(pulse.look(at(760), Some(true)), Look::Gone, "what was before was read");
    }

    #[tokio::test]
    async fn nobody_is_asked_who_may_be_silent() {
        let start = Instant::now();
        let mut pulse = Pulse::new(Heard::new(start), Duration::ZERO, IDLE);
        let later = start + Duration::from_secs(9_999);
        assert_eq!(pulse.look(later, None), Look::Wait(later + LONGEST));
        pulse.asks(later);
        assert_eq!(pulse.look(later + PATIENCE, Some(true)), Look::Wait(later + PATIENCE + LONGEST));
    }
}
