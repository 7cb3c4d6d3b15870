//! The shared throttle: failed proofs, counted over all protocols together.
//!
//! In    names and addresses whose proof failed or held, and the moment. A token names nobody.
//! Out   for how long nothing more is looked at from there.
//! State bounded counts; a count halves every [`HALVING`] and is forgotten when nothing is left of it. They lie in shards, so
//!       that proofs seldom meet at a lock; a full shard forgets the lighter half of its counts at once, so that a flood
//!       of new names costs each of them little, and pushes out no name that is being guessed at.
//! Not here: ordinary challenges, which are no failures (P-15).
//!
//! | counted | what | slows |
//! |---|---|---|
//! | an account in a network | failures | that account there: a phone with an old password shuts out nobody else |
//! | an account in a place | failures where it was proved lately | it there, more leniently |
//! | a network | accounts that failed there, guesses at names over connections | names that were not proved there lately |
//! | an account | networks in which it failed | it where it was not proved lately, so that strangers lock no owner out |
//! | a network | failed tokens and links | what is answered to such from there, and trying names by a link; a good one is heard |
//! | a network | guesses at names | what strangers hear of names; a datagram proves no address, so that these count here alone |
//!
//! On a stream of chat a name's failures by several mechanisms are one, since a client tries a mistyped password by each (up to seven:
//! SCRAM of three hashes, with and without channel binding, and PLAIN); not where delays begun. So ten may be seventy guesses, once.
//!
//! Networks are /32 of IPv4 and /64 of IPv6; where an account was proved is known by /24 and /48, since a phone comes back to its provider
//! and not to its address.

mod slowed;
mod told;

use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::Network;
pub(crate) use slowed::Gauge;
pub use slowed::{SlowedAccount, SlowedAccounts};
pub(crate) use told::{Before, PACE, Told};

/// Counts of failed proofs.
pub(crate) struct Throttle {
    exempt: Vec<Network>,
    pairs: Counts<(u64, Network)>,
    accounts: Counts<u64>,
    networks: Counts<Network>,
    nameless: Counts<Network>,
    guesses: Counts<Network>,
    /// Failures of accounts in places where they are known.
    places: Counts<(u64, Network)>,
    /// Failures of who called for help.
    urgent: Counts<(u64, Network)>,
    /// Accounts, each with a place in which it was proved.
    known: Counts<(u64, Network)>,
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
        Self {
            exempt,
            pairs: Counts::new(),
            accounts: Counts::new(),
            networks: Counts::new(),
            nameless: Counts::new(),
            guesses: Counts::new(),
            places: Counts::new(),
            urgent: Counts::new(),
            known: Counts::new(),
        }
    }

    /// For how long nothing is looked at for this name from this address, or, without a name, no token.
    pub(crate) fn wait(&self, name: Option<&str>, ip: IpAddr, now: Instant) -> Option<Duration> {
        if self.is_exempt(ip) {
            return None;
        }
        let network = network(ip);
        let Some(name) = name else { return self.nameless.wait(&network, FREE, now) };
        let pair = (self.account(name), network);
        let own = self.pairs.wait(&pair, FREE, now);
        if self.is_known(pair.0, ip, now) {
            return own.max(self.places.wait(&(pair.0, place(ip)), FREE_IN_PLACE, now));
        }
        own.max(self.accounts.wait(&pair.0, FREE, now)).max(self.networks.wait(&network, FREE, now))
    }

    /// Counts a failed proof.
    pub(crate) fn failed(&self, name: Option<&str>, ip: IpAddr, now: Instant) {
        if self.is_exempt(ip) {
            return;
        }
        let network = network(ip);
        let Some(name) = name else {
            self.nameless.count(network, now);
            return;
        };
        let pair = (self.account(name), network);
        let failures = self.pairs.count(pair, now);
        if self.is_known(pair.0, ip, now) {
            self.places.count((pair.0, place(ip)), now);
            return;
        }
        // Who goes on counts again, and where many fail all do: or an attack that lasts would be forgiven while it does.
        let is_again = failures % FREE == 1;
        if is_again || self.networks.has(&network, FREE, now) {
            self.networks.count(network, now);
        }
        if is_again || self.accounts.has(&pair.0, FREE, now) {
            self.accounts.count(pair.0, now);
        }
    }

    /// Whether so much failed, of this name or there, that delays begin.
    pub(crate) fn is_suspect(&self, name: &str, ip: IpAddr, now: Instant) -> bool {
        let (account, network) = (self.account(name), network(ip));
        self.pairs.has(&(account, network), FREE, now)
            || self.accounts.has(&account, FREE, now)
            || self.networks.has(&network, FREE, now)
    }

    /// For how long even a call for help is not looked at: as many guesses as anybody has, and no more.
    pub(crate) fn wait_in_need(&self, name: Option<&str>, ip: IpAddr, now: Instant) -> Option<Duration> {
        self.urgent.wait(&self.in_need(name, ip), FREE, now)
    }

    /// Counts a failed proof of who called for help.
    pub(crate) fn failed_in_need(&self, name: Option<&str>, ip: IpAddr, now: Instant) {
        self.urgent.count(self.in_need(name, ip), now);
    }

    fn in_need(&self, name: Option<&str>, ip: IpAddr) -> (u64, Network) {
        (self.account(name.unwrap_or_default()), network(ip))
    }

    /// A proof held: what failed for this name there is forgiven, and the two belong together for some days.
    pub(crate) fn succeeded(&self, name: Option<&str>, ip: IpAddr, now: Instant) {
        let Some(name) = name else { return };
        let pair = (self.account(name), network(ip));
        self.pairs.shard(&pair).remove(&pair);
        self.known.count((pair.0, place(ip)), now);
    }

    /// Counts a question for a name that nobody has; `is_seen` where a connection proves the address.
    pub(crate) fn guessed(&self, ip: IpAddr, is_seen: bool, now: Instant) {
        if !self.is_exempt(ip) {
            self.guesses.count(network(ip), now);
            if is_seen {
                self.networks.count(network(ip), now);
            }
        }
    }

    /// For how long strangers there do not hear which names there are.
    pub(crate) fn wait_of_guesser(&self, ip: IpAddr, now: Instant) -> Option<Duration> {
        if self.is_exempt(ip) { None } else { self.guesses.wait(&network(ip), FREE, now) }
    }

    /// An account's counts begin anew.
    pub(crate) fn lift_account(&self, name: &str) {
        let account = self.account(name);
        self.accounts.shard(&account).remove(&account);
        for counts in [&self.pairs, &self.places, &self.urgent] {
            counts.forget(|(its, _)| *its == account);
        }
    }

    /// A network's counts begin anew; false if there were none.
    pub(crate) fn lift_network(&self, network: &Network) -> bool {
        let of_network = [&self.networks, &self.nameless, &self.guesses];
        let had = of_network.map(|counts| counts.shard(network).remove(network).is_some());
        self.pairs.forget(|(_, its)| its == network) || had.contains(&true)
    }

    fn is_known(&self, account: u64, ip: IpAddr, now: Instant) -> bool {
        let pair = (account, place(ip));
        let shard = self.known.shard(&pair);
        shard.get(&pair).is_some_and(|known| now.saturating_duration_since(known.last) < KNOWN_FOR)
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

    /// Whether it has reached this many.
    fn has(&self, key: &K, many: u32, now: Instant) -> bool {
        self.shard(key).get(key).is_some_and(|count| count.decayed(now) >= many)
    }

    /// One more; how many it is then.
    fn count(&self, key: K, now: Instant) -> u32 {
        let mut shard = self.shard(&key);
        let failures = shard.get(&key).map_or(0, |count| count.decayed(now)).saturating_add(1);
        if shard.len() >= MOST_PER_SHARD && !shard.contains_key(&key) {
            forget_lighter_half(&mut shard, now);
        }
        shard.insert(key, Count { failures, last: now });
        failures
    }

    fn each(&self, mut see: impl FnMut(&K, &Count)) {
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.iter().for_each(|(key, count)| see(key, count));
        }
    }

    /// Whether there were such.
    fn forget(&self, is_such: impl Fn(&K) -> bool) -> bool {
        let mut had = false;
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let before = shard.len();
            shard.retain(|key, _| !is_such(key));
            had |= shard.len() < before;
        }
        had
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

/// Where an account is known.
fn place(ip: IpAddr) -> Network {
    let prefix = if ip.to_canonical().is_ipv4() { 24 } else { 48 };
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

/// What is counted before the first delay.
const FREE: u32 = 10;
/// Failures of an account in a place where it is known, before the first delay.
const FREE_IN_PLACE: u32 = 50;
/// For how long an account is known in a network.
const KNOWN_FOR: Duration = Duration::from_secs(7 * 86_400);
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
        fail(&throttle, "alice", FREE - 1, now);
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
    fn one_who_fails_shuts_out_nobody_else_of_the_same_network() {
        let (throttle, now) = (Throttle::new(Vec::new()), Instant::now());
        fail(&throttle, "alice", 30, now);
        let ip = IP.parse().unwrap();
        assert!(throttle.wait(Some("alice"), ip, now).is_some());
        assert_eq!([throttle.wait(Some("bob"), ip, now), throttle.wait(None, ip, now)], [None, None]);
        assert_eq!(throttle.wait(Some("alice"), "192.0.2.2".parse().unwrap(), now), None);
    }

    #[test]
    fn a_network_that_tries_many_names_is_throttled_but_for_names_that_are_known_there() {
        let (throttle, now) = (Throttle::new(Vec::new()), Instant::now());
        let ip = IP.parse().unwrap();
        throttle.succeeded(Some("alice"), ip, now);
        (0..=FREE).for_each(|n| fail(&throttle, &format!("user{n}"), 1, now));
        assert!(throttle.wait(Some("fresh"), ip, now).is_some());
        assert_eq!(throttle.wait(Some("alice"), ip, now), None);
        assert!(throttle.wait(Some("fresh"), "192.0.2.2".parse().unwrap(), now).is_none());
        // Who is known there may guess no faster than anybody.
        fail(&throttle, "alice", FREE, now);
        assert!(throttle.wait(Some("alice"), ip, now).is_some());
        assert!(
            throttle.wait(Some("fresh"), ip, now + Duration::from_secs(5)).is_none(),
            "it counted for alice"
        );
    }

    #[test]
    fn guesses_from_everywhere_slow_an_account_but_not_where_it_is_known() {
        let (throttle, now) = (Throttle::new(Vec::new()), Instant::now());
        let home = IP.parse().unwrap();
        throttle.succeeded(Some("alice"), home, now);
        (0..=FREE).for_each(|n| throttle.failed(Some("alice"), format!("10.0.0.{n}").parse().unwrap(), now));
        assert!(throttle.wait(Some("alice"), "10.9.9.9".parse().unwrap(), now).is_some());
        assert_eq!(throttle.wait(Some("alice"), home, now), None);
        let long_after = now + KNOWN_FOR;
        (0..=FREE)
            .for_each(|n| throttle.failed(Some("alice"), format!("10.0.0.{n}").parse().unwrap(), long_after));
        assert!(throttle.wait(Some("alice"), home, long_after).is_some());
        throttle.lift_account("alice");
        assert_eq!(throttle.wait(Some("alice"), "10.0.0.1".parse().unwrap(), long_after), None);
    }

    #[test]
    fn an_attack_that_goes_on_is_not_forgiven_while_it_does() {
        let throttle = Throttle::new(Vec::new());
        let begun = Instant::now();
        let (mut looked_at, hours) = (0, 24);
        for minute in 0..hours * 60 {
            let now = begun + Duration::from_secs(60 * minute);
            for n in 0..100 {
                let ip = format!("10.0.{n}.1").parse().unwrap();
                if throttle.wait(Some("alice"), ip, now).is_none() {
                    throttle.failed(Some("alice"), ip, now);
                    looked_at += 1;
                }
            }
        }
        assert!(looked_at < 1_000, "{looked_at}");
    }

    #[test]
    fn one_network_that_tries_many_names_for_long_is_not_forgiven_either() {
        let throttle = Throttle::new(Vec::new());
        let (begun, ip) = (Instant::now(), IP.parse().unwrap());
        let mut looked_at = 0;
        for minute in 0..24 * 60 {
            let now = begun + Duration::from_secs(60 * minute);
            for name in (0..500).map(|n| format!("user{n}")) {
                if throttle.wait(Some(&name), ip, now).is_none() {
                    throttle.failed(Some(&name), ip, now);
                    looked_at += 1;
                }
            }
        }
        assert!(looked_at < 1_000, "{looked_at}");
    }

    #[test]
    fn calls_for_help_are_looked_at_so_often_and_no_oftener() {
        let (throttle, now) = (Throttle::new(Vec::new()), Instant::now());
        let ip = IP.parse().unwrap();
        (0..FREE).for_each(|_| throttle.failed_in_need(Some("alice"), ip, now));
        assert!(throttle.wait_in_need(Some("alice"), ip, now).is_some());
        assert_eq!(throttle.wait_in_need(Some("bob"), ip, now), None);
    }

    #[test]
    fn neighbours_of_who_is_known_guess_no_faster_for_that() {
        let (throttle, now) = (Throttle::new(Vec::new()), Instant::now());
        throttle.succeeded(Some("alice"), IP.parse().unwrap(), now);
        let neighbour = |n| format!("192.0.2.{n}").parse().unwrap();
        (0..FREE_IN_PLACE).for_each(|n| throttle.failed(Some("alice"), neighbour(n), now));
        assert!(throttle.wait(Some("alice"), neighbour(200), now).is_some());
    }

    #[test]
    fn what_is_slowed_is_told_and_lifted() {
        let (throttle, now) = (Throttle::new(Vec::new()), Instant::now());
        fail(&throttle, "alice", FREE + 12, now);
        let home = network(IP.parse().unwrap());
        assert_eq!(throttle.slowed_networks(now), [(home, FREE + 12, LONGEST_DELAY)]);
        assert!(throttle.lift_network(&home) && !throttle.lift_network(&home));
        assert_eq!(throttle.wait(Some("alice"), IP.parse().unwrap(), now), None);
        assert!(throttle.slowed_networks(now).is_empty());
        (0..FREE + 2)
            .for_each(|n| throttle.failed(Some("alice"), format!("10.0.0.{n}").parse().unwrap(), now));
        let wait = |now| throttle.slowed_accounts(now).of(&["alice"]).and_then(|slowed| slowed.wait);
        assert_eq!(wait(now), Some(Duration::from_secs(32)));
        throttle.lift_account("alice");
        assert_eq!(wait(now), None);
    }

    #[test]
    fn exempt_networks_are_never_throttled() {
        let (throttle, now) = (Throttle::new(vec!["192.0.2.0/24".parse().unwrap()]), Instant::now());
        let ip = IP.parse().unwrap();
        fail(&throttle, "alice", 100, now);
        (0..100).for_each(|_| throttle.guessed(ip, true, now));
        assert_eq!(throttle.wait(Some("alice"), ip, now).or(throttle.wait_of_guesser(ip, now)), None);
    }

    #[test]
    fn proofs_without_a_name_lock_out_no_name() {
        let (throttle, now) = (Throttle::new(Vec::new()), Instant::now());
        let ip = IP.parse().unwrap();
        (0..30).for_each(|_| throttle.failed(None, ip, now));
        assert!(throttle.wait(None, ip, now).is_some());
        assert_eq!(throttle.wait(Some("alice"), ip, now), None);
        assert_eq!(throttle.wait(None, "10.9.9.9".parse().unwrap(), now), None);
    }

    #[test]
    fn datagrams_of_who_guesses_names_shut_no_other_door() {
        let (throttle, now) = (Throttle::new(Vec::new()), Instant::now());
        let ip = IP.parse().unwrap();
        (0..=FREE).for_each(|_| throttle.guessed(ip, false, now));
        assert!(throttle.wait_of_guesser(ip, now).is_some());
        assert_eq!([throttle.wait(Some("alice"), ip, now), throttle.wait(None, ip, now)], [None, None]);
        (0..=FREE).for_each(|_| throttle.guessed(ip, true, now));
        assert!(throttle.wait(Some("alice"), ip, now).is_some());
    }

    #[test]
    fn a_flood_of_names_is_bounded_and_frees_no_guesser() {
        let (throttle, now) = (Throttle::new(Vec::new()), Instant::now());
        (0..=FREE).for_each(|n| throttle.failed(Some("alice"), format!("10.0.0.{n}").parse().unwrap(), now));
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
            for key in from..to {
                throttle.accounts.count(key, now);
            }
            begun.elapsed()
        };
        let filling = time(0, (SHARDS * MOST_PER_SHARD) as u64);
        let flooding = time(1 << 32, (1 << 32) + (SHARDS * MOST_PER_SHARD) as u64);
        assert!(flooding < 5 * filling, "{flooding:?} against {filling:?}");
    }
}
