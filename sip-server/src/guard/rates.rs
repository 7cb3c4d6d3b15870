//! How much each network asks: a bucket of a second's requests, which fills as fast as it may ask.
//!
//! State at most [`MOST`] networks; beyond them newcomers are not counted, and so not refused either.

use std::net::IpAddr;
use std::time::Instant;

use dashmap::DashMap;
use shared_auth::Network;

/// All buckets.
pub(crate) struct Rates {
    /// Requests a second; zero is no limit.
    rate: f64,
    buckets: DashMap<Network, Bucket>,
}

struct Bucket {
    left: f64,
    at: Instant,
}

impl Rates {
    pub(crate) fn new(rate: u32) -> Self {
        Self { rate: f64::from(rate), buckets: DashMap::new() }
    }

    /// Takes a request of an address; false if it is one too many.
    pub(crate) fn takes(&self, ip: IpAddr, now: Instant) -> bool {
        if self.rate == 0.0 {
            return true;
        }
        let network = Network::around(ip, if ip.is_ipv4() { 32 } else { 64 });
        if let Some(mut bucket) = self.buckets.get_mut(&network) {
            let filled = bucket.left + now.saturating_duration_since(bucket.at).as_secs_f64() * self.rate;
            bucket.left = filled.min(self.rate);
            bucket.at = now;
            let takes = bucket.left >= 1.0;
            if takes {
                bucket.left -= 1.0;
            }
            return takes;
        }
        if self.buckets.len() < MOST {
            self.buckets.insert(network, Bucket { left: self.rate - 1.0, at: now });
        }
        true
    }

    /// Forgets buckets that are full again.
    pub(crate) fn forget_quiet(&self, now: Instant) {
        self.buckets.retain(|_, bucket| now.saturating_duration_since(bucket.at).as_secs() < 1);
    }
}

/// Networks that are counted; each takes less than 100 bytes.
const MOST: usize = 65_536;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_holds_a_second_and_fills_again() {
        let (rates, now) = (Rates::new(10), Instant::now());
        let taken = |ip: &str, at| (0..20).filter(|_| rates.takes(ip.parse().unwrap(), at)).count();
        assert_eq!((taken("192.0.2.1", now), taken("192.0.2.2", now)), (10, 10));
        assert_eq!(taken("192.0.2.1", now + Duration::from_millis(500)), 5);
        assert_eq!(taken("192.0.2.1", now + Duration::from_secs(60)), 10);
        assert_eq!((taken("2001:db8::1", now), taken("2001:db8::2", now)), (10, 0), "one /64");
        rates.forget_quiet(now + Duration::from_secs(90));
        assert!(rates.buckets.is_empty());
        assert_eq!((0..99).filter(|_| Rates::new(0).takes("192.0.2.1".parse().unwrap(), now)).count(), 99);
    }

    #[test]
    fn a_flood_of_addresses_is_bounded() {
        let (rates, now) = (Rates::new(1), Instant::now());
        for n in 0..u32::try_from(2 * MOST).unwrap() {
            rates.takes(IpAddr::from(n.to_be_bytes()), now);
        }
        assert!(rates.buckets.len() <= MOST);
    }
}
