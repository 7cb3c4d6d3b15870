//! What is counted of trunks. Their names are the operator's, so that labels are few.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

/// The families.
pub(crate) struct Families {
    up: IntGaugeVec,
    registered: IntGaugeVec,
    calls: IntCounterVec,
    failures: IntCounterVec,
}

/// One trunk's children.
pub(crate) struct TrunkMetrics {
    pub(crate) up: IntGauge,
    pub(crate) registered: IntGauge,
    pub(crate) calls_out: IntCounter,
    pub(crate) calls_in: IntCounter,
    pub(crate) failures: IntCounter,
}

impl Families {
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let gauges = |name: &str, help: &str| {
            let family = IntGaugeVec::new(Opts::new(name, help), &["trunk"])?;
            registry.register(Box::new(family.clone())).map(|()| family)
        };
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let family = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(family.clone())).map(|()| family)
        };
        Ok(Self {
            up: gauges("sip_server_trunk_up", "Whether a trunk answers.")?,
            registered: gauges("sip_server_trunk_registered", "Whether a trunk's registrar knows us.")?,
            calls: counters(
                "sip_server_trunk_calls_total",
                "Calls to and from a trunk.",
                &["trunk", "direction"],
            )?,
            failures: counters(
                "sip_server_trunk_failures_total",
                "Calls that a trunk did not take, so that another way was tried.",
                &["trunk"],
            )?,
        })
    }

    pub(crate) fn of(&self, trunk: &str) -> TrunkMetrics {
        let made = TrunkMetrics {
            up: self.up.with_label_values(&[trunk]),
            registered: self.registered.with_label_values(&[trunk]),
            calls_out: self.calls.with_label_values(&[trunk, "out"]),
            calls_in: self.calls.with_label_values(&[trunk, "in"]),
            failures: self.failures.with_label_values(&[trunk]),
        };
        made.up.set(1);
        made
    }
}
