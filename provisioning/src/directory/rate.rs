//! How often each account may ask the directory: [`OFTEN`] times a minute.
//!
//! State a count for each account that asked in this minute, at most [`MOST`]; more accounts than that are told to wait.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use shared_model::AccountId;

/// Counts of this minute.
#[derive(Default)]
pub(crate) struct Rate(Mutex<Minute>);

#[derive(Default)]
struct Minute {
    began: Option<Instant>,
    counts: HashMap<AccountId, u32>,
}

impl Rate {
    /// Counts a question, or says how long to wait.
    pub(crate) fn may(&self, asker: AccountId, now: Instant) -> Result<(), Duration> {
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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
        if *count > OFTEN { Err(left) } else { Ok(()) }
    }
}

const MINUTE: Duration = Duration::from_secs(60);
/// Questions of one account in a minute.
const OFTEN: u32 = 120;
/// Accounts that ask in one minute.
const MOST: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_holds_so_many_questions_of_one_account_and_the_next_as_many() {
        let (rate, now) = (Rate::default(), Instant::now());
        assert!((0..OFTEN).all(|_| rate.may(AccountId(1), now).is_ok()));
        assert_eq!(rate.may(AccountId(1), now + Duration::from_secs(20)), Err(Duration::from_secs(40)));
        assert!(rate.may(AccountId(2), now).is_ok());
        assert!(rate.may(AccountId(1), now + MINUTE).is_ok());
    }
}
