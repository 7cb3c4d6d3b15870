//! The crowd: how many PBKDF2 rounds real accounts have, so that nobody's answer has a number that somebody could have.
//!
//! A password keeps the rounds of the day on which it was set, and SCRAM says them before any proof (RFC 5802 §5.1). If
//! nobody always had today's number, every other number would tell that there is an account.
//!
//! State the rounds of at most [`MOST`] accounts and today's, read again after [`FRESH`], for whoever asks then: somebody
//!       or nobody, so that the time tells nothing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use shared_store::{Accounts, StoreError};

pub(crate) struct Crowd {
    today: u32,
    seen: Mutex<Option<Seen>>,
}

#[derive(Clone)]
struct Seen {
    rounds: Arc<[u32]>,
    at: Instant,
}

impl Crowd {
    pub(crate) fn new(today: u32) -> Self {
        Self { today, seen: Mutex::new(None) }
    }

    /// Rounds that accounts have, never none. The order is the accounts', so that a choice stays while they stay.
    pub(crate) async fn rounds(&self, accounts: &dyn Accounts) -> Result<Arc<[u32]>, StoreError> {
        if let Some(seen) = self.seen().filter(|seen| seen.at.elapsed() < FRESH) {
            return Ok(seen.rounds);
        }
        let at = Instant::now();
        let page = accounts.list(None, MOST).await?;
        let main = page.accounts.iter().filter_map(|account| account.credentials.scram.first());
        let rounds: Arc<[u32]> = main.map(|verifier| verifier.iterations).chain([self.today]).collect();
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Seen { rounds: Arc::clone(&rounds), at });
        Ok(rounds)
    }

    fn seen(&self) -> Option<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

const MOST: usize = 256;
const FRESH: Duration = Duration::from_secs(60);
