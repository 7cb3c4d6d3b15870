//! How often each account may do something in a minute, such as ask the directory.
//!
//! State a count for each account that asked in this minute, at most [`MOST`]; more accounts than that are told to wait.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use shared_model::AccountId;

/// Counts of this minute.
pub(crate) struct Rate {
    often: u32,
    minute: Mutex<Minute>,
}

#[derive(Default)]
struct Minute {
    began: Option<Instant>,
    counts: HashMap<AccountId, u32>,
}

impl Rate {
    /// So many times a minute.
    pub(crate) fn new(often: u32) -> Self {
        Self { often, minute: Mutex::default() }
    }

    /// Counts once more, or says how long to wait.
    pub(crate) fn may(&self, asker: AccountId, now: Instant) -> Result<(), Duration> {
        let mut minute = self.minute.lock().unwrap_or_else(PoisonError::into_inner);
        let age = minute.began.map_or(MINUTE, |began| now.saturating_duration_since(began));
        if age >= MINUTE {
            *minute = Minute { began: Some(now), counts: HashMap::new() };
        }
        let left = MINUTE.saturating_sub(if age >= MINUTE { Duration::ZERO } else { age });
        if minute.counts.len() >= MOST && !minute.counts.contains_key(&asker) {
            return Err(left);
        }
        let count = minute.counts.entry(asker).or_default();
        *count += 1;
        if *count > self.often { Err(left) } else { Ok(()) }
    }
}

const MINUTE: Duration = Duration::from_secs(60);
/// Accounts that ask in one minute.
const MOST: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_holds_so_many_questions_of_one_account_and_the_next_as_many() {
        let (rate, now) = (Rate::new(120), Instant::now());
        assert!((0..120).all(|_| rate.may(AccountId(1), now).is_ok()));
        assert_eq!(rate.may(AccountId(1), now + Duration::from_secs(20)), Err(Duration::from_secs(40)));
        assert!(rate.may(AccountId(2), now).is_ok());
        assert!(rate.may(AccountId(1), now + MINUTE).is_ok());
    }
}
