//! The wires: everything that bytes go out on and come in by.

pub(crate) mod in_process;
pub(crate) mod stream;
pub(crate) mod udp;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use dashmap::DashMap;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use crate::flow::{Flow, Transport};
use crate::metrics::Metrics;

/// All sockets and connections of one endpoint.
pub(crate) struct Wires {
    pub(crate) udp: Vec<(Arc<UdpSocket>, SocketAddr)>,
    pub(crate) ports: Vec<mpsc::Sender<Bytes>>,
    pub(crate) streams: DashMap<u64, StreamEntry>,
    next_stream: AtomicU64,
    pub(crate) metrics: Metrics,
}

/// A connection as others see it.
pub(crate) struct StreamEntry {
    pub(crate) flow: Flow,
    pub(crate) outbox: mpsc::Sender<Bytes>,
}

impl Wires {
    pub(crate) fn new(
        udp: Vec<(Arc<UdpSocket>, SocketAddr)>,
        ports: Vec<mpsc::Sender<Bytes>>,
        metrics: Metrics,
    ) -> Self {
        Self { udp, ports, streams: DashMap::new(), next_stream: AtomicU64::new(1), metrics }
    }

    /// Sends without waiting. A full socket drops a datagram; a peer that does not read its stream loses it.
    pub(crate) fn send(&self, flow: Flow, bytes: Bytes) {
        let is_sent = match flow.transport {
            Transport::Udp => self
                .udp
                .get(flow.id as usize)
                .is_some_and(|(socket, _)| socket.try_send_to(&bytes, flow.remote).is_ok()),
            Transport::InProcess => {
                self.ports.get(flow.id as usize).is_some_and(|port| port.try_send(bytes).is_ok())
            }
            Transport::Tcp | Transport::Tls => {
                let result = self.streams.get(&flow.id).map(|entry| entry.outbox.try_send(bytes));
                if let Some(Err(mpsc::error::TrySendError::Full(_))) = result {
                    // Removing the entry drops its outbox, and the connection's task ends.
                    self.streams.remove(&flow.id);
                }
                matches!(result, Some(Ok(())))
            }
        };
        if !is_sent {
            self.metrics.dropped.inc();
            tracing::debug!(?flow, "a message could not be sent");
        }
    }

    /// Whether the flow can still carry anything.
    pub(crate) fn is_open(&self, flow: &Flow) -> bool {
        match flow.transport {
            Transport::Udp => self.udp.len() > flow.id as usize,
            Transport::InProcess => self.ports.len() > flow.id as usize,
            Transport::Tcp | Transport::Tls => self.streams.contains_key(&flow.id),
        }
    }

    /// Some flow, for what is sent by its Via alone.
    pub(crate) fn any_flow(&self) -> Option<Flow> {
        let (_, local) = self.udp.first()?;
        Some(Flow { transport: Transport::Udp, id: 0, local: *local, remote: *local })
    }

    /// The UDP flow to an address: the first socket of its family.
    pub(crate) fn udp_flow(&self, remote: SocketAddr) -> Option<Flow> {
        let (id, (_, local)) =
            self.udp.iter().enumerate().find(|(_, (_, local))| local.is_ipv4() == remote.is_ipv4())?;
        Some(Flow { transport: Transport::Udp, id: id as u64, local: *local, remote })
    }

    /// An open connection to an address, if there is one.
    pub(crate) fn stream_to(&self, transport: Transport, remote: SocketAddr) -> Option<Flow> {
        self.streams
            .iter()
            .find(|entry| entry.flow.transport == transport && entry.flow.remote == remote)
            .map(|entry| entry.flow)
    }

    /// Connections from one address.
    pub(crate) fn streams_from(&self, ip: IpAddr) -> usize {
        self.streams.iter().filter(|entry| entry.flow.remote.ip() == ip).count()
    }

    pub(crate) fn next_stream(&self) -> u64 {
        self.next_stream.fetch_add(1, Ordering::Relaxed)
    }
}
