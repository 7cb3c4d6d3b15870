//! What the endpoint counts.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use crate::flow::Transport;

/// Children of the endpoint's metrics.
#[derive(Clone)]
pub struct Metrics {
    received: [IntCounter; Transport::ALL.len()],
    connections: [IntGauge; Transport::ALL.len()],
    refused: [IntCounter; Refused::ALL.len()],
    /// Messages that could not be read.
    pub(crate) malformed: IntCounter,
    /// Messages that a full queue dropped.
    pub(crate) dropped: IntCounter,
    /// Datagrams that the system dropped since a socket was full.
    pub(crate) overflows: IntCounter,
    /// Live transactions.
    pub(crate) transactions: IntGauge,
}

/// Why a connection was refused, or closed before its peer wanted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The endpoint has all that it bears.
    Full,
    /// The peer's network has its share.
    Network,
    /// Its handshake failed or took too long.
    Handshake,
    /// It said nothing whole in time.
    Silent,
    /// Its peer proved nothing in time.
    Unproven,
    /// It carried what is not SIP, or too much of it.
    Garbage,
    /// Its peer did not read.
    Stalled,
}

impl Refused {
    const ALL: [Self; 7] = [
        Self::Full,
        Self::Network,
        Self::Handshake,
        Self::Silent,
        Self::Unproven,
        Self::Garbage,
        Self::Stalled,
    ];

    fn as_label(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Network => "network",
            Self::Handshake => "handshake",
            Self::Silent => "silent",
            Self::Unproven => "unproven",
            Self::Garbage => "garbage",
            Self::Stalled => "stalled",
        }
    }
}

impl Metrics {
    /// Registers the metrics on `registry`.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let family = |name: &str, help: &str, label: &str| {
            let family = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(family.clone())).map(|()| family)
        };
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone())).map(|()| counter)
        };
        let received = family(
            "sip_endpoint_messages_received_total",
            "SIP messages that came, by transport.",
            "transport",
        )?;
        let refused = family(
            "sip_endpoint_connections_refused_total",
            "Connections that were refused or cut off, by reason.",
            "reason",
        )?;
        let connections = IntGaugeVec::new(
            Opts::new("sip_endpoint_connections", "Open connections, by transport."),
            &["transport"],
        )?;
        registry.register(Box::new(connections.clone()))?;
        let transactions = IntGauge::new("sip_endpoint_transactions", "Live transactions.")?;
        registry.register(Box::new(transactions.clone()))?;
        Ok(Self {
            received: Transport::ALL.map(|of| received.with_label_values(&[of.as_label()])),
            connections: Transport::ALL.map(|of| connections.with_label_values(&[of.as_label()])),
            refused: Refused::ALL.map(|of| refused.with_label_values(&[of.as_label()])),
            malformed: counter("sip_endpoint_messages_malformed_total", "Messages that could not be read.")?,
            dropped: counter("sip_endpoint_messages_dropped_total", "Messages that a full queue dropped.")?,
            overflows: counter(
                "sip_endpoint_overflows_total",
                "Datagrams that the system dropped since a socket's buffer was full.",
            )?,
            transactions,
        })
    }

    pub(crate) fn received(&self, transport: Transport) {
        self.received[transport as usize].inc();
    }

    pub(crate) fn connections(&self, transport: Transport) -> &IntGauge {
        &self.connections[transport as usize]
    }

    pub(crate) fn refused(&self, reason: Refused) {
        self.refused[reason as usize].inc();
    }
}
