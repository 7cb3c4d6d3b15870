//! What the door counts: `shared_auth_proofs_total{protocol, outcome}`, `shared_auth_outside_total{source, outcome}`.

use prometheus::{IntCounterVec, Opts, Registry};
use shared_model::Protocol;

use crate::Source;

pub(crate) struct Metrics {
    proofs: Option<IntCounterVec>,
    outside: Option<IntCounterVec>,
}

impl Metrics {
    /// Registers the counters. Without them (a name registered twice) logins work and are not counted.
    pub(crate) fn register(registry: &Registry) -> Self {
        let counter = |name, help, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels).ok();
            counter.filter(|counter| registry.register(Box::new(counter.clone())).is_ok())
        };
        Self {
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
