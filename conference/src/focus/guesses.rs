//! Who guesses PINs: after three wrong ones, by whatever legs, a caller waits before they may type at that room again.
//!
//! State at most [`MOST`] callers; when there are more, nobody new may type until the first are forgotten.

use std::time::{Duration, Instant};

use dashmap::DashMap;
use shared_model::RoomAddress;

/// Callers whose PINs were wrong: how often, and since when.
#[derive(Debug, Default)]
pub(super) struct Guesses(DashMap<(RoomAddress, String), (u8, Instant)>);

impl Guesses {
    /// A caller's PIN was wrong. Whether that was once too often.
    pub(super) fn wrong(&self, room: &RoomAddress, caller: &str, now: Instant) -> bool {
        self.0.retain(|_, (_, since)| now.duration_since(*since) < PAUSE);
        let place = (room.clone(), caller.to_owned());
        if !self.0.contains_key(&place) && self.0.len() >= MOST {
            return true;
        }
        let mut guessed = self.0.entry(place).or_insert((0, now));
        *guessed = (guessed.0.saturating_add(1), now);
        guessed.0 >= TRIES
    }

    /// A caller's PIN was right.
    pub(super) fn right(&self, room: &RoomAddress, caller: &str) {
        self.0.remove(&(room.clone(), caller.to_owned()));
    }

    /// Whether a caller may type a PIN.
    pub(super) fn may_type(&self, room: &RoomAddress, caller: &str, now: Instant) -> bool {
        let guessed = self.0.get(&(room.clone(), caller.to_owned())).map(|guessed| *guessed);
        match guessed {
            Some((tries, since)) => tries < TRIES || now.duration_since(since) >= PAUSE,
            None => self.0.len() < MOST,
        }
    }
}

/// How long a guesser waits.
const PAUSE: Duration = Duration::from_secs(300);
/// Wrong PINs of one caller at one room.
const TRIES: u8 = 3;
const MOST: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guesser_waits_at_that_room_and_others_do_not() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        let room: RoomAddress = "dev@conference.example.org".parse().unwrap();
        assert!(!guesses.wrong(&room, "sip:a@x", now) && !guesses.wrong(&room, "sip:a@x", now));
        assert!(guesses.may_type(&room, "sip:a@x", now));
        assert!(guesses.wrong(&room, "sip:a@x", now), "by whichever leg");
        assert!(!guesses.may_type(&room, "sip:a@x", now) && guesses.may_type(&room, "sip:b@x", now));
        assert!(guesses.may_type(&"ops@conference.example.org".parse().unwrap(), "sip:a@x", now));
        assert!(guesses.may_type(&room, "sip:a@x", now + PAUSE));
        assert!(!guesses.wrong(&room, "sip:b@x", now) && !guesses.wrong(&room, "sip:b@x", now));
        guesses.right(&room, "sip:b@x");
        assert!(!guesses.wrong(&room, "sip:b@x", now), "who knew it begins anew");
    }
}
