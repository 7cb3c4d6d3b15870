//! What an endpoint bears of its peers: `[sip.limits]`.

use std::time::Duration;

use serde::Deserialize;

/// Bounds on connections and messages. Each has a stated answer: a connection too many is closed before it costs
/// anything, a message too long is answered 413, a peer that is too slow or proves nothing is closed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Connections of the whole endpoint. Default 50,000.
    pub connections: usize,
    /// Connections from one network: an IPv4 /24, an IPv6 /64. Default 1,000.
    pub connections_per_network: usize,
    /// Bytes of one message on a stream. Default 262,144.
    pub message_bytes: usize,
    /// How long a new connection may go without a whole message, and a message may be on its way. Default `30s`.
    #[serde(with = "shared_runtime::config::duration")]
    pub greeting: Duration,
    /// How long a connection may last whose peer neither proves who it is nor has a call. Default `120s`.
    #[serde(with = "shared_runtime::config::duration")]
    pub unproven: Duration,
    /// How long a connection may be silent: a little more than the longest registration. Default `3700s`.
    #[serde(with = "shared_runtime::config::duration")]
    pub idle: Duration,
    /// How often a WebSocket's peer is pinged; one that does not answer until the next time is closed. Default `30s`.
    #[serde(with = "shared_runtime::config::duration")]
    pub websocket_ping: Duration,
    /// Whether a TCP connection stands for what its peer says in `alias` (RFC 5923). Anybody on that address could say
    /// so. Default false.
    pub tcp_alias: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 50_000,
            connections_per_network: 1_000,
            message_bytes: 256 * 1024,
            greeting: Duration::from_secs(30),
            unproven: Duration::from_secs(120),
            idle: Duration::from_secs(3_700),
            websocket_ping: Duration::from_secs(30),
            tcp_alias: false,
        }
    }
}
