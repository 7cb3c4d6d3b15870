//! What the door counts: `shared_auth_proofs_total{protocol, outcome}`.

use prometheus::{IntCounterVec, Opts, Registry};
use shared_model::Protocol;

pub(crate) struct Metrics {
    proofs: Option<IntCounterVec>,
}

impl Metrics {
    /// Registers the counters. Without them (a name registered twice) logins work and are not counted.
    pub(crate) fn register(registry: &Registry) -> Self {
        let opts = Opts::new("shared_auth_proofs_total", "Proofs of identity, by protocol and outcome.");
        let proofs = IntCounterVec::new(opts, &["protocol", "outcome"]).ok();
        let proofs = proofs.filter(|proofs| registry.register(Box::new(proofs.clone())).is_ok());
        Self { proofs }
    }

    /// Counts one proof; `outcome` is `accepted` or a reason's word.
    pub(crate) fn proof(&self, protocol: Protocol, outcome: &str) {
        if let Some(proofs) = &self.proofs {
            proofs.with_label_values(&[protocol.as_str(), outcome]).inc();
        }
    }
}
