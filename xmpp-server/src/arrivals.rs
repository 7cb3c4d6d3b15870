//! How many come from where whom nobody invited: new accounts, and guests.
//!
//! In    an address, and how many of its network may come in an hour.
//! Out   whether one more may.
//! State a count for each network (a /32 of IPv4, a /64 of IPv6), for an hour from its first. Bounded: when it is full of counts
//!       that are younger, nobody of another network comes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use shared_auth::Network;

/// What somebody comes as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Arrival {
    /// With an account that is made just now.
    Account,
    /// Without one.
    Guest,
}

/// Counts of the last hour.
#[derive(Default)]
pub(crate) struct Arrivals {
    counts: Mutex<HashMap<(Arrival, Network), Count>>,
}

struct Count {
    since: Instant,
    come: usize,
}

impl Arrivals {
    /// Counts one more; false, and none is counted, if as many came as may.
    pub(crate) fn admit(&self, what: Arrival, ip: IpAddr, most: usize, now: Instant) -> bool {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (what, network(ip));
        let is_young = |count: &Count| now.saturating_duration_since(count.since) < HOUR;
        if counts.len() >= MOST_NETWORKS && !counts.contains_key(&key) {
            counts.retain(|_, count| is_young(count));
            if counts.len() >= MOST_NETWORKS {
                return false;
            }
        }
        let count = counts.entry(key).or_insert(Count { since: now, come: 0 });
        if !is_young(count) {
            *count = Count { since: now, come: 0 };
        }
        let may = count.come < most;
        count.come += usize::from(may);
        may
    }

    /// One that was admitted did not come after all.
    pub(crate) fn forget(&self, what: Arrival, ip: IpAddr) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&(what, network(ip))) {
            count.come = count.come.saturating_sub(1);
        }
    }
}

fn network(ip: IpAddr) -> Network {
    let prefix = if ip.to_canonical().is_ipv4() { 32 } else { 64 };
    Network::around(ip, prefix)
}

const HOUR: Duration = Duration::from_secs(3600);
/// Networks that are counted at once.
const MOST_NETWORKS: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_so_many_an_hour_and_one_that_did_not_come_is_none() {
        let (arrivals, now) = (Arrivals::default(), Instant::now());
        let admit = |ip: &str, later: u64| {
            arrivals.admit(Arrival::Account, ip.parse().unwrap(), 2, now + Duration::from_secs(later))
        };
        assert!(admit("2001:db8::1", 0) && admit("2001:db8::2", 1) && !admit("2001:db8::3", 2));
        assert!(admit("2001:db8:0:1::1", 2), "another network");
        arrivals.forget(Arrival::Account, "2001:db8::9".parse().unwrap());
        assert!(admit("2001:db8::3", 3) && !admit("2001:db8::3", 4));
        assert!(admit("2001:db8::3", 3601));
        let guest = arrivals.admit(Arrival::Guest, "2001:db8::1".parse().unwrap(), 1, now);
        assert!(guest, "guests are counted apart");
        for n in 0..MOST_NETWORKS {
            admit(&format!("10.{}.{}.1", n / 256, n % 256), 3700);
        }
        assert!(!admit("192.0.2.1", 3701), "it is full");
        assert!(admit("192.0.2.1", 7400), "those are old");
    }
}
