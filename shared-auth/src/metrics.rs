//! What the door counts: `shared_auth_proofs_total{protocol, outcome}`, `shared_auth_outside_total{source, outcome}`,
//! `shared_auth_slowed{what}`.

use std::sync::Arc;

use prometheus::{IntCounterVec, Opts, Registry};
use shared_model::Protocol;

use crate::Source;
use crate::throttle::{Gauge, Throttle};

pub(crate) struct Metrics {
    proofs: Option<IntCounterVec>,
    outside: Option<IntCounterVec>,
    registry: Registry,
}

impl Metrics {
    /// Registers the counters. Without them (a name registered twice) logins work and are not counted.
    pub(crate) fn register(registry: &Registry) -> Self {
        let counter = |name, help, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels).ok();
            counter.filter(|counter| registry.register(Box::new(counter.clone())).is_ok())
        };
        Self {
            registry: registry.clone(),
            proofs: counter(
                "shared_auth_proofs_total",
                "Proofs of identity, by protocol and outcome.",
                &["protocol", "outcome"],
            ),
            outside: counter(
                "shared_auth_outside_total",
                "Questions to other keepers of people, and what became of accounts by the answers.",
                &["source", "outcome"],
            ),
        }
    }

    /// Registers how many are slowed down; without it they are, and are not counted.
    pub(crate) fn register_throttle(&self, throttle: Arc<Throttle>) {
        let _ = Gauge::new(throttle).and_then(|gauge| self.registry.register(Box::new(gauge)));
    }

    /// Counts one proof; `outcome` is `accepted` or a reason's word.
    pub(crate) fn proof(&self, protocol: Protocol, outcome: &str) {
        if let Some(proofs) = &self.proofs {
            proofs.with_label_values(&[protocol.as_str(), outcome]).inc();
        }
    }

    /// Counts what another keeper of people answered, or what became of an account by it.
    pub(crate) fn outside(&self, source: Source, outcome: &str) {
        if let Some(outside) = &self.outside {
            outside.with_label_values(&[source.as_str(), outcome]).inc();
        }
    }
}
