//! A flow — RFC 5626 §3: the way between us and one peer, in both directions.

use std::net::SocketAddr;

use serde::Deserialize;
use sip_core::transaction::Reliability;

/// What carries a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
    /// A protected stream.
    Tls,
    /// A WebSocket (RFC 7118).
    Ws,
    /// A protected WebSocket.
    Wss,
    /// Another endpoint in this process.
    InProcess,
}

/// One flow. Equal flows lead to the same peer over the same socket or connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flow {
    /// What carries it.
    pub transport: Transport,
    /// Which socket, connection or port of that transport.
    pub id: u64,
    /// Our end.
    pub local: SocketAddr,
    /// The peer's end.
    pub remote: SocketAddr,
}

impl Transport {
    /// Every transport, in the order of their declaration.
    pub(crate) const ALL: [Self; 6] = [Self::Udp, Self::Tcp, Self::Tls, Self::Ws, Self::Wss, Self::InProcess];

    /// The word in a metric's label.
    pub(crate) fn as_label(self) -> &'static str {
        match self {
            Self::InProcess => "in_process",
            Self::Wss => "wss",
            other => other.as_param(),
        }
    }

    /// Whether each of its flows is a connection.
    pub fn is_stream(self) -> bool {
        matches!(self, Self::Tcp | Self::Tls | Self::Ws | Self::Wss)
    }

    /// The word in a Via (RFC 3261 §20.42). In-process looks like TCP to whoever reads the Via.
    pub fn as_via(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp | Self::InProcess => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }

    /// The transport that a Via names.
    pub(crate) fn of_via(word: &str) -> Option<Self> {
        [Self::Udp, Self::Tcp, Self::Tls, Self::Ws, Self::Wss]
            .into_iter()
            .find(|transport| transport.as_via().eq_ignore_ascii_case(word))
    }

    /// The word in a `transport` parameter. RFC 7118 §5.2 has one for both kinds of WebSocket.
    pub fn as_param(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp | Self::InProcess => "tcp",
            Self::Tls => "tls",
            Self::Ws | Self::Wss => "ws",
        }
    }

    /// Whether it delivers by itself.
    pub fn reliability(self) -> Reliability {
        match self {
            Self::Udp => Reliability::Unreliable,
            _ => Reliability::Reliable,
        }
    }

    /// Whether a stranger on the way can read it.
    pub fn is_protected(self) -> bool {
        matches!(self, Self::Tls | Self::Wss | Self::InProcess)
    }
}

impl Flow {
    /// Whether it is a connection that we opened: another to the same peer can be.
    pub(crate) fn is_own(&self) -> bool {
        matches!(self.transport, Transport::Tcp | Transport::Tls) && self.local.port() == 0
    }

    /// Whether passwords may pass: protected, or not leaving the machine. What reaches a loopback address of ours came
    /// from this machine, whatever address of its own the sender took.
    pub fn is_private(&self) -> bool {
        let is_loopback = |end: SocketAddr| end.ip().to_canonical().is_loopback();
        self.transport.is_protected() || is_loopback(self.remote) || is_loopback(self.local)
    }
}
