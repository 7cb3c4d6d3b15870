//! What is slowed down now, for administrators and for metrics.
//!
//! Out   networks, and accounts, as of one moment; how many there are of each.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts};

use super::{Count, FREE, FREE_IN_PLACE, Throttle};
use crate::Network;

/// Accounts that are slowed down, as of one moment.
pub struct SlowedAccounts {
    hasher: RandomState,
    all: HashMap<u64, SlowedAccount>,
}

/// For how long nothing is looked at for an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SlowedAccount {
    /// From wherever it was not proved lately.
    pub wait: Option<Duration>,
    /// From these networks, whoever else comes from there: the longest first.
    pub networks: Vec<(Network, Duration)>,
}

impl SlowedAccounts {
    /// An account by the names that it has; `None`: it is as fast as any.
    pub fn of(&self, names: &[&str]) -> Option<SlowedAccount> {
        let found = names.iter().filter_map(|name| self.all.get(&self.hasher.hash_one(*name)));
        found.cloned().reduce(|mut one, mut other| {
            one.wait = one.wait.max(other.wait);
            one.networks.append(&mut other.networks);
            one.order();
            one
        })
    }
}

impl SlowedAccount {
    fn order(&mut self) {
        self.networks.sort_by_key(|(network, wait)| (std::cmp::Reverse(*wait), network.to_string()));
        self.networks.dedup_by_key(|(network, _)| *network);
        self.networks.truncate(MOST_NETWORKS);
    }
}

impl Throttle {
    /// Networks from which not everything is looked at now: their failures, and for how long.
    pub(crate) fn slowed_networks(&self, now: Instant) -> Vec<(Network, u32, Duration)> {
        let mut slowed: HashMap<Network, (u32, Duration)> = HashMap::new();
        let mut add = |network: Network, count: &Count| {
            if let Some(wait) = count.wait(FREE, now) {
                let most = slowed.entry(network).or_default();
                *most = (most.0.max(count.decayed(now)), most.1.max(wait));
            }
        };
        for counts in [&self.networks, &self.nameless] {
            counts.each(|network, count| add(*network, count));
        }
        self.pairs.each(|(_, network), count| add(*network, count));
        slowed.into_iter().map(|(network, (failures, wait))| (network, failures, wait)).collect()
    }

    /// Accounts of which not everything is looked at now.
    pub(crate) fn slowed_accounts(&self, now: Instant) -> SlowedAccounts {
        let mut all: HashMap<u64, SlowedAccount> = HashMap::new();
        self.accounts.each(|account, count| {
            if let Some(wait) = count.wait(FREE, now) {
                all.entry(*account).or_default().wait = Some(wait);
            }
        });
        for (counts, free) in [(&self.pairs, FREE), (&self.places, FREE_IN_PLACE)] {
            counts.each(|(account, network), count| {
                if let Some(wait) = count.wait(free, now) {
                    all.entry(*account).or_default().networks.push((*network, wait));
                }
            });
        }
        all.values_mut().for_each(SlowedAccount::order);
        SlowedAccounts { hasher: self.accounts.hasher.clone(), all }
    }
}

/// `shared_auth_slowed{what}`, counted when it is asked for.
pub(crate) struct Gauge {
    throttle: Arc<Throttle>,
    gauge: IntGaugeVec,
}

impl Gauge {
    pub(crate) fn new(throttle: Arc<Throttle>) -> Result<Self, prometheus::Error> {
        let about = "Names, whether or not somebody has them, and networks of which proofs wait, since too many failed.";
        Ok(Self { throttle, gauge: IntGaugeVec::new(Opts::new("shared_auth_slowed", about), &["what"])? })
    }
}

impl Collector for Gauge {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let now = Instant::now();
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let names = self.throttle.slowed_accounts(now).all.len();
        self.gauge.with_label_values(&["name"]).set(count(names));
        self.gauge.with_label_values(&["network"]).set(count(self.throttle.slowed_networks(now).len()));
        self.gauge.collect()
    }
}

/// Networks that are named of one account.
const MOST_NETWORKS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_that_is_slowed_in_one_network_alone_is_told_with_it() {
        let (throttle, now) = (Arc::new(Throttle::new(Vec::new())), Instant::now());
        (0..=FREE).for_each(|_| throttle.failed(Some("alice"), "192.0.2.1".parse().unwrap(), now));
        let told = throttle.slowed_accounts(now);
        let network = "192.0.2.1/32".parse().unwrap();
        let slowed = SlowedAccount { wait: None, networks: vec![(network, Duration::from_secs(2))] };
        assert_eq!(told.of(&["alice@phones", "alice"]), Some(slowed));
        assert_eq!(told.of(&["bob"]), None);
        let gauge = Gauge::new(Arc::clone(&throttle)).unwrap();
        let told = gauge.collect();
        let values: Vec<f64> = told[0].get_metric().iter().map(|one| one.get_gauge().get_value()).collect();
        assert_eq!(values, [1.0, 1.0]);
        throttle.lift_account("alice");
        assert_eq!(throttle.slowed_accounts(now).of(&["alice"]), None);
    }
}
