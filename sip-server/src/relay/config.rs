//! `[sip.rtpengine]`.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;
use shared_runtime::config::{Key, duration};

/// `[sip.rtpengine]`: relays of sound and pictures for calls that cannot go from end to end.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RelayConfig {
    /// Where rtpengine listens for its ng protocol (`--listen-ng`), such as `127.0.0.1:22222`; several share the calls, and one
    /// that is away is passed over. Default none: nothing is relayed.
    pub nodes: Vec<SocketAddr>,
    /// Which calls are relayed. Default `nat`.
    pub calls: Relayed,
    /// How long one try may take; each node gets two. Default `400ms`.
    #[serde(with = "duration")]
    pub timeout: Duration,
}

/// Which calls are relayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Relayed {
    /// Those where one of both is behind a NAT: its description or its contact names another address than it comes from, and
    /// one of a net of its own.
    Nat,
    /// All but those of browsers, which find their way by themselves.
    All,
}

/// Every key of `[sip.rtpengine]`.
pub(crate) const KEYS: &[Key] = &[
    Key::new(
        "sip.rtpengine.nodes",
        "[]",
        "addresses at which rtpengine listens for its ng protocol, such as \"127.0.0.1:22222\"",
    ),
    Key::new("sip.rtpengine.calls", "\"nat\"", "which calls are relayed: those that a NAT hinders, or all"),
    Key::new("sip.rtpengine.timeout", "\"400ms\"", "how long one try may take; each node gets two"),
];

impl Default for RelayConfig {
    fn default() -> Self {
        Self { nodes: Vec::new(), calls: Relayed::Nat, timeout: Duration::from_millis(400) }
    }
}
