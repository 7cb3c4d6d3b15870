//! Targets that failed lately — RFC 3263 §4.3: others are tried before them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use dashmap::DashMap;

use super::Target;
use crate::flow::Transport;

pub(super) struct Greylist {
    until: DashMap<(Transport, SocketAddr), Instant>,
    length: Duration,
}

impl Greylist {
    pub(super) fn new(length: Duration) -> Self {
        Self { until: DashMap::new(), length }
    }

    pub(super) fn put(&self, transport: Transport, address: SocketAddr) {
        let now = Instant::now();
        if self.until.len() >= MOST {
            self.until.retain(|_, until| *until > now);
        }
        // Who is not remembered is tried again, which is what happens without a list.
        if self.until.len() < MOST {
            self.until.insert((transport, address), now + self.length);
        }
    }

    pub(super) fn holds(&self, target: &Target) -> bool {
        let key = (target.transport, target.address);
        let Some(until) = self.until.get(&key).map(|until| *until) else { return false };
        let is_grey = until > Instant::now();
        if !is_grey {
            self.until.remove(&key);
        }
        is_grey
    }
}

/// Targets that are remembered.
const MOST: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_grey_for_a_while_and_on_one_transport() {
        let target =
            |transport| Target { transport, address: "192.0.2.1:5060".parse().unwrap(), host: String::new() };
        let list = Greylist::new(Duration::from_secs(30));
        list.put(Transport::Udp, target(Transport::Udp).address);
        assert!(list.holds(&target(Transport::Udp)) && !list.holds(&target(Transport::Tcp)));
        let over = Greylist::new(Duration::ZERO);
        over.put(Transport::Udp, target(Transport::Udp).address);
        assert!(!over.holds(&target(Transport::Udp)) && over.until.is_empty());
    }
}
