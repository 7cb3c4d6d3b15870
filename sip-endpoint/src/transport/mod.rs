//! The wires: everything that bytes go out on and come in by.

pub(crate) mod accept;
pub(crate) mod connect;
pub(crate) mod connections;
pub(crate) mod fallback;
pub(crate) mod in_process;
mod patience;
pub(crate) mod stream;
mod stun;
pub(crate) mod udp;
pub(crate) mod websocket;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use dashmap::DashSet;
use tokio::sync::mpsc;

use crate::flow::{Flow, Transport};
use crate::lateness::Lateness;
use crate::limits::Limits;
use crate::metrics::{Metrics, Refused};
use crate::tap::{Tap, Way};
use crate::wire_log;
use connections::Connections;
use fallback::Fallbacks;
use udp::Udp;

/// All sockets and connections of one endpoint.
pub(crate) struct Wires {
    pub(crate) udp: Udp,
    pub(crate) ports: Vec<mpsc::Sender<Bytes>>,
    pub(crate) connections: Arc<Connections>,
    /// Where large requests go whose connection does not come about.
    pub(crate) fallbacks: Fallbacks,
    /// Ports that WebSockets were accepted on.
    pub(crate) websocket_ports: DashSet<u16>,
    pub(crate) limits: Limits,
    pub(crate) metrics: Metrics,
    pub(crate) lateness: Lateness,
    pub(crate) tap: Option<Arc<dyn Tap>>,
}

impl Wires {
    pub(crate) fn new(
        udp: Udp,
        ports: Vec<mpsc::Sender<Bytes>>,
        limits: Limits,
        metrics: Metrics,
        tap: Option<Arc<dyn Tap>>,
    ) -> Self {
        let connections = Arc::new(Connections::new(limits.connections, limits.connections_per_network));
        Self {
            udp,
            ports,
            connections,
            fallbacks: Fallbacks::default(),
            websocket_ports: DashSet::new(),
            limits,
            metrics,
            lateness: Lateness::default(),
            tap,
        }
    }

    /// Sends without waiting. A full socket drops a datagram; a peer that does not read its stream loses it.
    pub(crate) fn send(&self, flow: Flow, bytes: Bytes) {
        if !self.try_send(flow, bytes) {
            self.note_dropped(flow);
        }
    }

    /// As [`Wires::send`], and says whether it was sent.
    pub(crate) fn try_send(&self, flow: Flow, bytes: Bytes) -> bool {
        self.show(Way::Sent, &flow, &bytes);
        match flow.transport {
            Transport::Udp => self.udp.send(&flow, &bytes),
            Transport::InProcess => {
                self.ports.get(flow.id as usize).is_some_and(|port| port.try_send(bytes).is_ok())
            }
            _ => self.send_on_connection(&flow, bytes),
        }
    }

    /// Shows a message to whoever wants to see it.
    pub(crate) fn show(&self, way: Way, flow: &Flow, bytes: &Bytes) {
        wire_log::note(way, flow, bytes);
        if let Some(tap) = self.tap.as_ref().filter(|_| flow.transport != Transport::InProcess) {
            tap.seen(way, flow, bytes);
        }
    }

    pub(crate) fn note_dropped(&self, flow: Flow) {
        self.metrics.dropped.inc();
        tracing::debug!(?flow, "a message could not be sent");
    }

    fn send_on_connection(&self, flow: &Flow, bytes: Bytes) -> bool {
        let result = self.connections.with(flow.id, |entry| entry.outbox.try_send(bytes));
        if let Some(Err(mpsc::error::TrySendError::Full(_))) = result {
            // Taking the entry out drops its outbox, and the connection's task ends.
            self.metrics.refused(Refused::Stalled);
            self.connections.leave(flow);
        }
        matches!(result, Some(Ok(())))
    }

    /// Whether the flow can still carry anything.
    pub(crate) fn is_open(&self, flow: &Flow) -> bool {
        match flow.transport {
            Transport::Udp => self.udp.is_open(flow),
            Transport::InProcess => self.ports.len() > flow.id as usize,
            _ => self.connections.is_open(flow.id),
        }
    }

    /// An open connection to an address, if there is one.
    pub(crate) fn stream_to(&self, transport: Transport, remote: SocketAddr) -> Option<Flow> {
        self.connections.to(transport, remote, |_| true)
    }
}
