//! The shared throttle: failed proofs, counted per account and per network over all protocols together.
//!
//! In    names and addresses whose proof failed, and the moment. A token names nobody and counts for its network alone.
//! Out   for how long nothing more is looked at from there.
//! State bounded counts; a count halves every [`HALVING`] and is forgotten when nothing is left of it. They lie in shards, so
//!       that proofs seldom meet at a lock; a full shard forgets the lighter half of its counts at once, so that a flood
//!       of new names costs each of them little, and pushes out no name that is being guessed at.
//! Not here: ordinary challenges, which are no failures (P-15).
//!
//! Networks are /32 of IPv4 and /64 of IPv6. An account bears more failures than a network, lest a stranger lock its
//! owner out cheaply.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::Network;

/// Counts of failed proofs.
pub(crate) struct Throttle {
    exempt: Vec<Network>,
    accounts: Counts<u64>,
    networks: Counts<Network>,
}

/// Counts in shards by their key's hash.
struct Counts<K> {
    hasher: RandomState,
    shards: [Mutex<HashMap<K, Count>>; SHARDS],
}

#[derive(Clone, Copy)]
struct Count {
    failures: u32,
    last: Instant,
}

impl Throttle {
    pub(crate) fn new(exempt: Vec<Network>) -> Self {
        Self { exempt, accounts: Counts::new(), networks: Counts::new() }
    }

    /// For how long nothing is looked at for this name, if the proof has one, or from this address.
    pub(crate) fn wait(&self, name: Option<&str>, ip: IpAddr, now: Instant) -> Option<Duration> {
        if self.is_exempt(ip) {
            return None;
        }
        let by_account = name.and_then(|name| self.accounts.wait(&self.account(name), FREE_PER_ACCOUNT, now));
        let by_network = self.networks.wait(&network(ip), FREE_PER_NETWORK, now);
        by_account.max(by_network)
    }

    /// Counts a failed proof.
    pub(crate) fn failed(&self, name: Option<&str>, ip: IpAddr, now: Instant) {
        if !self.is_exempt(ip) {
            if let Some(name) = name {
                self.accounts.count(self.account(name), now);
            }
            self.networks.count(network(ip), now);
        }
    }

    /// A proof held: the account's count begins anew. The network's does not, or one account would free all guesses.
    pub(crate) fn succeeded(&self, name: Option<&str>) {
        if let Some(name) = name {
            let account = self.account(name);
            self.accounts.shard(&account).remove(&account);
        }
    }

    /// Networks from which nothing is looked at now: their failures, and for how long.
    pub(crate) fn slowed_networks(&self, now: Instant) -> Vec<(Network, u32, Duration)> {
        let mut slowed = Vec::new();
        for shard in &self.networks.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            slowed.extend(shard.iter().filter_map(|(network, count)| {
                Some((*network, count.decayed(now), count.wait(FREE_PER_NETWORK, now)?))
            }));
        }
        slowed
    }

    /// For how long nothing is looked at for a name.
    pub(crate) fn wait_of_account(&self, name: &str, now: Instant) -> Option<Duration> {
        self.accounts.wait(&self.account(name), FREE_PER_ACCOUNT, now)
    }

    /// A network's count begins anew; false if there was none.
    pub(crate) fn lift_network(&self, network: &Network) -> bool {
        self.networks.shard(network).remove(network).is_some()
    }

    fn is_exempt(&self, ip: IpAddr) -> bool {
        self.exempt.iter().any(|network| network.contains(ip))
    }

    fn account(&self, name: &str) -> u64 {
        self.accounts.hasher.hash_one(name)
    }
}

impl<K: Hash + Eq + Copy> Counts<K> {
    fn new() -> Self {
        Self { hasher: RandomState::new(), shards: std::array::from_fn(|_| Mutex::default()) }
    }

    fn shard(&self, key: &K) -> MutexGuard<'_, HashMap<K, Count>> {
        // The remainder is less than the number of shards.
        let at = self.hasher.hash_one(key) as usize % SHARDS;
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, key: &K, free: u32, now: Instant) -> Option<Duration> {
        let count = *self.shard(key).get(key)?;
        count.wait(free, now)
    }

    fn count(&self, key: K, now: Instant) {
        let mut shard = self.shard(&key);
        let failures = shard.get(&key).map_or(0, |count| count.decayed(now)).saturating_add(1);
        if shard.len() >= MOST_PER_SHARD && !shard.contains_key(&key) {
            forget_lighter_half(&mut shard, now);
        }
        shard.insert(key, Count { failures, last: now });
    }
}

/// Forgets half of the counts: those of the fewest failures, and among equals those that failed longest ago.
fn forget_lighter_half<K>(counts: &mut HashMap<K, Count>, now: Instant) {
    let weight = |count: &Count| (count.decayed(now), count.last);
    let mut weights: Vec<_> = counts.values().map(weight).collect();
    let half = weights.len() / 2;
    let (_, median, heavier) = weights.select_nth_unstable(half);
    let median = *median;
    // All that weigh more stay, and of those that weigh as much only as many as there is room for.
    let mut room = half.saturating_sub(heavier.iter().filter(|weight| **weight > median).count());
    counts.retain(|_, count| match weight(count).cmp(&median) {
        Ordering::Less => false,
        Ordering::Greater => true,
        Ordering::Equal => {
            let stays = room > 0;
            room -= usize::from(stays);
            stays
        }
    });
}

fn network(ip: IpAddr) -> Network {
    let prefix = if ip.to_canonical().is_ipv4() { 32 } else { 64 };
    Network::around(ip, prefix)
}

impl Count {
    /// For how long nothing is looked at.
    fn wait(self, free: u32, now: Instant) -> Option<Duration> {
        let beyond = self.decayed(now).checked_sub(free)?;
        let delay = Duration::from_secs(1 << beyond.min(20)).min(LONGEST_DELAY);
        (self.last + delay).checked_duration_since(now).filter(|left| !left.is_zero())
    }

    /// What is left of the failures after a time without any.
    fn decayed(self, now: Instant) -> u32 {
        let halvings = now.saturating_duration_since(self.last).as_secs() / HALVING.as_secs();
        self.failures.checked_shr(u32::try_from(halvings).unwrap_or(u32::MAX)).unwrap_or(0)
    }
}

/// Failures of an account before the first delay.
const FREE_PER_ACCOUNT: u32 = 20;
/// Failures from a network before the first delay.
const FREE_PER_NETWORK: u32 = 10;
/// Delays double from one second up to this.
const LONGEST_DELAY: Duration = Duration::from_secs(900);
/// After so long without failures half of them are forgiven.
const HALVING: Duration = Duration::from_secs(600);
const SHARDS: usize = 64;
/// 64 × 1024 names are counted, and as many networks.
const MOST_PER_SHARD: usize = 1024;

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
    fn what_is_slowed_is_told_and_lifted() {
        let (throttle, now) = (Throttle::new(Vec::new()), Instant::now());
        fail(&throttle, "alice", FREE_PER_ACCOUNT + 2, now);
        let slowed = throttle.slowed_networks(now);
        let home = network(IP.parse().unwrap());
        assert_eq!(slowed, [(home, FREE_PER_ACCOUNT + 2, LONGEST_DELAY)]);
        assert_eq!(throttle.wait_of_account("alice", now), Some(Duration::from_secs(4)));
        assert!(throttle.lift_network(&home) && !throttle.lift_network(&home));
        throttle.succeeded(Some("alice"));
        assert_eq!(throttle.wait(Some("alice"), IP.parse().unwrap(), now), None);
        assert!(throttle.slowed_networks(now).is_empty());
    }

    #[test]
    fn exempt_networks_are_never_throttled() {
        let (throttle, now) = (Throttle::new(vec!["192.0.2.0/24".parse().unwrap()]), Instant::now());
        fail(&throttle, "alice", 100, now);
        assert_eq!(throttle.wait(Some("alice"), IP.parse().unwrap(), now), None);
    }

    #[test]
    fn proofs_without_a_name_lock_nobody_else_out() {
        let (throttle, now) = (Throttle::new(Vec::new()), Instant::now());
        (0..100).for_each(|n| throttle.failed(None, format!("10.0.0.{n}").parse().unwrap(), now));
        assert_eq!(throttle.wait(None, "10.9.9.9".parse().unwrap(), now), None);
        fail(&throttle, "alice", 1, now);
        (0..30).for_each(|_| throttle.failed(None, IP.parse().unwrap(), now));
        assert!(throttle.wait(None, IP.parse().unwrap(), now).is_some());
    }

    #[test]
    fn a_flood_of_names_is_bounded_and_frees_no_guesser() {
        let (throttle, now) = (Throttle::new(Vec::new()), Instant::now());
        (0..=FREE_PER_ACCOUNT)
            .for_each(|n| throttle.failed(Some("alice"), format!("10.0.0.{n}").parse().unwrap(), now));
        for n in 0..4 * SHARDS * MOST_PER_SHARD {
            throttle.accounts.count(throttle.account(&format!("user{n}")), now);
        }
        assert!(throttle.wait(Some("alice"), "10.9.9.9".parse().unwrap(), now).is_some());
        let most = throttle.accounts.shards.iter().map(|shard| shard.lock().unwrap().len()).max();
        assert!(most <= Some(MOST_PER_SHARD));
    }

    #[test]
    fn a_full_throttle_counts_as_fast_as_an_empty_one() {
        let (throttle, now) = (Throttle::new(Vec::new()), Instant::now());
        let time = |from: u64, to: u64| {
            let begun = Instant::now();
            (from..to).for_each(|key| throttle.accounts.count(key, now));
            begun.elapsed()
        };
        let filling = time(0, (SHARDS * MOST_PER_SHARD) as u64);
        let flooding = time(1 << 32, (1 << 32) + (SHARDS * MOST_PER_SHARD) as u64);
        assert!(flooding < 5 * filling, "{flooding:?} against {filling:?}");
    }
}
