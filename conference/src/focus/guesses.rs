//! Who guessed PINs: after three wrong ones a caller waits before they may type at that room again.
//!
//! State at most [`MOST`] callers; when there are more, nobody new may type until the first are forgotten.

use std::time::{Duration, Instant};

use dashmap::DashMap;
use shared_model::RoomAddress;

/// Callers whose PINs were wrong.
#[derive(Debug, Default)]
pub(super) struct Guesses(DashMap<(RoomAddress, String), Instant>);

impl Guesses {
    /// A caller's PIN was wrong too often.
    pub(super) fn wrong(&self, room: &RoomAddress, caller: &str, now: Instant) {
        self.0.retain(|_, since| now.duration_since(*since) < PAUSE);
        if self.0.len() < MOST {
            self.0.insert((room.clone(), caller.to_owned()), now);
        }
    }

    /// Whether a caller may type a PIN.
    pub(super) fn may_type(&self, room: &RoomAddress, caller: &str, now: Instant) -> bool {
        let since = self.0.get(&(room.clone(), caller.to_owned())).map(|since| *since);
        match since {
            Some(since) => now.duration_since(since) >= PAUSE,
            None => self.0.len() < MOST,
        }
    }
}

/// How long a guesser waits.
const PAUSE: Duration = Duration::from_secs(300);
const MOST: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guesser_waits_at_that_room_and_others_do_not() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        let room: RoomAddress = "dev@conference.example.org".parse().unwrap();
        guesses.wrong(&room, "sip:a@x", now);
        assert!(!guesses.may_type(&room, "sip:a@x", now) && guesses.may_type(&room, "sip:b@x", now));
        assert!(guesses.may_type(&"ops@conference.example.org".parse().unwrap(), "sip:a@x", now));
        assert!(guesses.may_type(&room, "sip:a@x", now + PAUSE));
    }
}
