//! The crowd: how many PBKDF2 rounds real accounts have, so that nobody's answer has a number that somebody could have.
//!
//! A password keeps the rounds of the day on which it was set, and SCRAM says them before any proof (RFC 5802 §5.1). If
//! nobody always had today's number, every other number would tell that there is an account. So do the rounds that a typed
//! password costs where an account has keys of SCRAM alone.
//!
//! State the rounds of at most [`MOST`] accounts and today's, read again after [`FRESH`], for whoever asks then: somebody
//!       or nobody, so that the time tells nothing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use shared_store::{Account, Accounts, ScramHash, StoreError};

use crate::authenticator::cheapest_key_alone;
use crate::keys::Keys;

pub(crate) struct Crowd {
    today: u32,
    seen: Mutex<Option<Seen>>,
}

/// What some accounts have.
#[derive(Clone)]
pub(crate) struct Seen {
    /// Never none. The order is the accounts', so that a choice stays while they stay.
    pub(crate) rounds: Arc<[u32]>,
    /// What it costs to hold a password against an account without HA1.
    pub(crate) keys_alone: Arc<[(ScramHash, u32)]>,
    at: Instant,
}

impl Crowd {
    pub(crate) fn new(today: u32) -> Self {
        Self { today, seen: Mutex::new(None) }
    }

    /// What accounts have, as of the last [`FRESH`].
    pub(crate) async fn seen(&self, accounts: &dyn Accounts, keys: &Keys) -> Result<Seen, StoreError> {
        if let Some(seen) = self.last().filter(|seen| seen.at.elapsed() < FRESH) {
            return Ok(seen);
        }
        let at = Instant::now();
        let page = accounts.list(None, MOST).await?.accounts;
        let main = page.iter().filter_map(|account| account.credentials.scram.first());
        let rounds = main.map(|verifier| verifier.iterations).chain([self.today]).collect();
        let cost = |account: &Account| {
            cheapest_key_alone(account, keys).map(|verifier| (verifier.hash, verifier.iterations))
        };
        let keys_alone = page.iter().filter_map(cost).collect();
        let seen = Seen { rounds, keys_alone, at };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen.clone());
        Ok(seen)
    }

    fn last(&self) -> Option<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

const MOST: usize = 256;
const FRESH: Duration = Duration::from_secs(60);
