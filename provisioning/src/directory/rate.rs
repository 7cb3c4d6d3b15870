//! How often each account may do something in a minute, such as ask the directory, or in an hour.
//!
//! State a count for each account that asked in this while, at most [`MOST`]; more accounts than that are told to wait.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use shared_model::AccountId;

/// Counts of this while.
pub(crate) struct Rate {
    often: u32,
    length: Duration,
    now: Mutex<While>,
}

#[derive(Default)]
struct While {
    began: Option<Instant>,
    counts: HashMap<AccountId, u32>,
}

impl Rate {
    /// So many times a minute.
    pub(crate) fn new(often: u32) -> Self {
        Self { often, length: MINUTE, now: Mutex::default() }
    }

    /// So many times an hour.
    pub(crate) fn an_hour(often: u32) -> Self {
        Self { length: 60 * MINUTE, ..Self::new(often) }
    }

    /// Counts once more, or says how long to wait.
    pub(crate) fn may(&self, asker: AccountId, now: Instant) -> Result<(), Duration> {
        let mut all = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let age = all.began.map_or(self.length, |began| now.saturating_duration_since(began));
        if age >= self.length {
            *all = While { began: Some(now), counts: HashMap::new() };
        }
        let left = self.length.saturating_sub(if age >= self.length { Duration::ZERO } else { age });
        if all.counts.len() >= MOST && !all.counts.contains_key(&asker) {
            return Err(left);
        }
        let count = all.counts.entry(asker).or_default();
        *count += 1;
        if *count > self.often { Err(left) } else { Ok(()) }
    }
}

const MINUTE: Duration = Duration::from_secs(60);
/// Accounts that ask in one while.
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
        let seldom = Rate::an_hour(1);
        assert!(
            seldom.may(AccountId(1), now).is_ok() && seldom.may(AccountId(1), now + 59 * MINUTE).is_err()
        );
        assert!(seldom.may(AccountId(1), now + 60 * MINUTE).is_ok());
    }
}
