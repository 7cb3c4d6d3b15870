//! Who is slowed down now, and how that is lifted, for administrators.
//!
//! In    an account or a network. Out for how long nothing is looked at for it, or from there; that it begins anew.

use std::time::{Duration, Instant};

use super::Authenticator;
use crate::{AccountCard, Network, SlowedAccounts};

/// A network from which too many proofs failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slowed {
    /// Which.
    pub network: Network,
    /// Failed proofs, of which some are forgiven with time.
    pub failures: u32,
    /// For how long not everything from there is looked at.
    pub wait: Duration,
}

impl Authenticator {
    /// At most `most` networks that are slowed down, the longest first.
    pub fn slowed(&self, most: usize) -> Vec<Slowed> {
        let mut all: Vec<Slowed> = self
            .throttle
            .guesses()
            .slowed_networks(Instant::now())
            .into_iter()
            .map(|(network, failures, wait)| Slowed { network, failures, wait })
            .collect();
        all.sort_by_key(|slowed| std::cmp::Reverse((slowed.wait, slowed.failures)));
        all.truncate(most);
        all
    }

    /// The accounts that are slowed down now.
    pub fn slowed_accounts(&self) -> SlowedAccounts {
        self.throttle.guesses().slowed_accounts(Instant::now())
    }

    /// Forgets the failures that were counted for an account.
    pub fn lift_account(&self, card: &AccountCard) {
        for name in [card.aor.as_str(), card.jid.as_str()] {
            self.throttle.lift_account(name);
        }
    }

    /// Forgets the failures that were counted in a network; false if none were.
    pub fn lift_network(&self, network: &Network) -> bool {
        self.throttle.lift_network(network)
    }
}
