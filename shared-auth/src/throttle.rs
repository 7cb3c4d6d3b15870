//! The shared throttle: failed proofs, counted per account and per network over all protocols together.
//!
//! In    names and addresses whose proof failed, and the moment.
//! Out   for how long nothing more is looked at from there.
//! State bounded counts; a count halves every [`HALVING`] and is forgotten when nothing is left of it.
//! Not here: ordinary challenges, which are no failures (P-15).
//!
//! Networks are /32 of IPv4 and /64 of IPv6. An account bears more failures than a network, lest a stranger lock its
//! owner out cheaply.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::Network;

/// Counts of failed proofs.
pub(crate) struct Throttle {
    exempt: Vec<Network>,
    hasher: RandomState,
    accounts: Mutex<HashMap<u64, Count>>,
    networks: Mutex<HashMap<Network, Count>>,
}

#[derive(Clone, Copy)]
struct Count {
    failures: u32,
    last: Instant,
}

impl Throttle {
    pub(crate) fn new(exempt: Vec<Network>) -> Self {
        Self { exempt, hasher: RandomState::new(), accounts: Mutex::default(), networks: Mutex::default() }
    }

    /// For how long nothing is looked at for this name or from this address.
    pub(crate) fn wait(&self, name: Option<&str>, ip: IpAddr, now: Instant) -> Option<Duration> {
        if self.is_exempt(ip) {
            return None;
        }
        let by_account =
            name.and_then(|name| wait_of(&self.accounts, &self.account(name), FREE_PER_ACCOUNT, now));
        let by_network = wait_of(&self.networks, &network(ip), FREE_PER_NETWORK, now);
        by_account.max(by_network)
    }

    /// Counts a failed proof.
    pub(crate) fn failed(&self, name: Option<&str>, ip: IpAddr, now: Instant) {
        if !self.is_exempt(ip) {
            if let Some(name) = name {
                count(&self.accounts, self.account(name), now);
            }
            count(&self.networks, network(ip), now);
        }
    }

    /// A proof held: the account's count begins anew. The network's does not, or one account would free all guesses.
    pub(crate) fn succeeded(&self, name: Option<&str>) {
        if let Some(name) = name {
            let account = self.account(name);
            self.accounts.lock().unwrap_or_else(PoisonError::into_inner).remove(&account);
        }
    }

    fn is_exempt(&self, ip: IpAddr) -> bool {
        self.exempt.iter().any(|network| network.contains(ip))
    }

    fn account(&self, name: &str) -> u64 {
        self.hasher.hash_one(name)
    }
}

fn network(ip: IpAddr) -> Network {
    let prefix = if ip.to_canonical().is_ipv4() { 32 } else { 64 };
    Network::around(ip, prefix)
}

impl Count {
    /// What is left of the failures after a time without any.
    fn decayed(self, now: Instant) -> u32 {
        let halvings = now.saturating_duration_since(self.last).as_secs() / HALVING.as_secs();
        self.failures.checked_shr(u32::try_from(halvings).unwrap_or(u32::MAX)).unwrap_or(0)
    }
}

fn wait_of<K: std::hash::Hash + Eq>(
    counts: &Mutex<HashMap<K, Count>>,
    key: &K,
    free: u32,
    now: Instant,
) -> Option<Duration> {
    let count = *counts.lock().unwrap_or_else(PoisonError::into_inner).get(key)?;
    let beyond = count.decayed(now).checked_sub(free)?;
    let delay = Duration::from_secs(1 << beyond.min(20)).min(LONGEST_DELAY);
    (count.last + delay).checked_duration_since(now).filter(|left| !left.is_zero())
}

fn count<K: std::hash::Hash + Eq + Copy>(counts: &Mutex<HashMap<K, Count>>, key: K, now: Instant) {
    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    if counts.len() >= MOST_COUNTS && !counts.contains_key(&key) {
        counts.retain(|_, count| count.decayed(now) > 0);
        // All of them are fresh: the one that waits longest goes, found in a sample so that a flood costs little.
        if counts.len() >= MOST_COUNTS
            && let Some(oldest) =
                counts.iter().take(64).min_by_key(|(_, count)| count.last).map(|(key, _)| *key)
        {
            counts.remove(&oldest);
        }
    }
    let failures = counts.get(&key).map_or(0, |count| count.decayed(now)).saturating_add(1);
    counts.insert(key, Count { failures, last: now });
}

/// Failures of an account before the first delay.
const FREE_PER_ACCOUNT: u32 = 20;
/// Failures from a network before the first delay.
const FREE_PER_NETWORK: u32 = 10;
/// Delays double from one second up to this.
const LONGEST_DELAY: Duration = Duration::from_secs(900);
/// After so long without failures half of them are forgiven.
const HALVING: Duration = Duration::from_secs(600);
/// Names and networks that are counted, each.
const MOST_COUNTS: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    const IP: &str = "192.0.2.1";

    fn fail(throttle: &Throttle, name: &str, times: u32, now: Instant) {
        (0..times).for_each(|_| throttle.failed(Some(name), IP.parse().unwrap(), now));
    }

    #[test]
    fn delays_double_and_fade() {
        let (throttle, now) = (Throttle::new(Vec::new()), Instant::now());
        let wait = |now| throttle.wait(Some("alice"), IP.parse().unwrap(), now);
        fail(&throttle, "alice", FREE_PER_NETWORK - 1, now);
        assert_eq!(wait(now), None);
        fail(&throttle, "alice", 1, now);
        assert_eq!(wait(now), Some(Duration::from_secs(1)));
        fail(&throttle, "alice", 3, now);
        assert_eq!(wait(now), Some(Duration::from_secs(8)));
        assert_eq!(wait(now + Duration::from_secs(8)), None);
        fail(&throttle, "alice", 30, now);
        assert_eq!(wait(now), Some(LONGEST_DELAY));
        assert_eq!(wait(now + 10 * HALVING), None);
    }

    #[test]
    fn a_network_is_throttled_whatever_names_it_tries_and_others_are_not() {
        let (throttle, now) = (Throttle::new(Vec::new()), Instant::now());
        (0..20).for_each(|n| throttle.failed(Some(&format!("user{n}")), IP.parse().unwrap(), now));
        assert!(throttle.wait(Some("fresh"), IP.parse().unwrap(), now).is_some());
        assert!(throttle.wait(Some("fresh"), "192.0.2.2".parse().unwrap(), now).is_none());
    }

    #[test]
    fn an_account_is_throttled_wherever_the_guesses_come_from() {
        let (throttle, now) = (Throttle::new(Vec::new()), Instant::now());
        (0..=FREE_PER_ACCOUNT)
            .for_each(|n| throttle.failed(Some("alice"), format!("10.0.0.{n}").parse().unwrap(), now));
        assert!(throttle.wait(Some("alice"), "10.9.9.9".parse().unwrap(), now).is_some());
        throttle.succeeded(Some("alice"));
        assert!(throttle.wait(Some("alice"), "10.9.9.9".parse().unwrap(), now).is_none());
    }

    #[test]
    fn exempt_networks_are_never_throttled() {
        let (throttle, now) = (Throttle::new(vec!["192.0.2.0/24".parse().unwrap()]), Instant::now());
        fail(&throttle, "alice", 100, now);
        assert_eq!(throttle.wait(Some("alice"), IP.parse().unwrap(), now), None);
    }
}
