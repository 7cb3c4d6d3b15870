//! What the endpoint counts.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::flow::Transport;

/// Children of the endpoint's metrics.
#[derive(Clone)]
pub struct Metrics {
    received: [IntCounter; 4],
    /// Messages that could not be read.
    pub(crate) malformed: IntCounter,
    /// Messages that a full queue dropped.
    pub(crate) dropped: IntCounter,
    /// Open connections.
    pub(crate) connections: IntGauge,
    /// Live transactions.
    pub(crate) transactions: IntGauge,
}

impl Metrics {
    /// Registers the metrics on `registry`.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let received = IntCounterVec::new(
            Opts::new("sip_endpoint_messages_received_total", "SIP messages that came, by transport."),
            &["transport"],
        )?;
        registry.register(Box::new(received.clone()))?;
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone())).map(|()| counter)
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone())).map(|()| gauge)
        };
        Ok(Self {
            received: ["udp", "tcp", "tls", "in_process"].map(|name| received.with_label_values(&[name])),
            malformed: counter("sip_endpoint_messages_malformed_total", "Messages that could not be read.")?,
            dropped: counter("sip_endpoint_messages_dropped_total", "Messages that a full queue dropped.")?,
            connections: gauge("sip_endpoint_connections", "Open connections.")?,
            transactions: gauge("sip_endpoint_transactions", "Live transactions.")?,
        })
    }

    pub(crate) fn received(&self, transport: Transport) {
        let slot = match transport {
            Transport::Udp => 0,
            Transport::Tcp => 1,
            Transport::Tls => 2,
            Transport::InProcess => 3,
        };
        self.received[slot].inc();
    }
}
