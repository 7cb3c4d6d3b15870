//! Connections that proved nothing, by where they come from — RFC 6120 §13.12 (denial of service).
//!
//! In    an address. Out a place, or none when its network has as many as it may.
//! State a count for each network that has any: of IPv4 a /32, and its /24 with [`WIDER`] times as many; of IPv6 a /64, and its
//!       /48 likewise. Bounded by the connections that there may be in all.
//!
//! One network that opens thousands and says nothing takes a part of the room, and the rest is there for others.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use shared_auth::Network;

/// All that are half open on the listeners of one kind.
pub(crate) struct HalfOpen {
    counts: Arc<Mutex<HashMap<Network, usize>>>,
    most: usize,
}

/// A place that is free again when it is dropped.
pub(crate) struct Place {
    counts: Arc<Mutex<HashMap<Network, usize>>>,
    networks: [Network; 2],
}

impl HalfOpen {
    /// Room for so many of one network.
    pub(crate) fn new(most: usize) -> Self {
        Self { counts: Arc::default(), most }
    }

    /// A place for one more.
    pub(crate) fn admit(&self, ip: IpAddr) -> Option<Place> {
        let networks = networks(ip);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for (network, most) in networks.iter().zip([self.most, self.most.saturating_mul(WIDER)]) {
            if counts.get(network).is_some_and(|count| *count >= most) {
                return None;
            }
        }
        for network in networks {
            *counts.entry(network).or_default() += 1;
        }
        drop(counts);
        Some(Place { counts: Arc::clone(&self.counts), networks })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for network in self.networks {
            if let Entry::Occupied(mut count) = counts.entry(network) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
        }
    }
}

fn networks(ip: IpAddr) -> [Network; 2] {
    let (near, wide) = if ip.to_canonical().is_ipv4() { (32, 24) } else { (64, 48) };
    [Network::around(ip, near), Network::around(ip, wide)]
}

/// How many times as much a wider network may have: many live behind it.
const WIDER: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_takes_its_part_and_no_more() {
        let open = HalfOpen::new(2);
        let admit = |ip: &str| open.admit(ip.parse().unwrap());
        let (first, _second) = (admit("192.0.2.1"), admit("::ffff:192.0.2.1"));
        assert!(first.is_some() && admit("192.0.2.1").is_none());
        let others: Vec<Place> = (2..9)
            .flat_map(|n| [admit(&format!("192.0.2.{n}")), admit(&format!("192.0.2.{n}"))])
            .flatten()
            .collect();
        assert_eq!(others.len(), 6, "the /24 has room for eight");
        assert!(admit("192.0.3.1").is_some());
        drop(first);
        assert!(admit("192.0.2.1").is_some());
        let _six = (admit("2001:db8::1"), admit("2001:db8::2"));
        assert!(admit("2001:db8::3").is_none() && admit("2001:db8:0:1::1").is_some());
        drop(others);
        drop(_second);
        drop(_six);
        assert!(open.counts.lock().unwrap().is_empty());
    }
}
