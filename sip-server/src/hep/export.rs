//! From the tap to the capture server.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use shared_model::Correlation;
use shared_runtime::Shutdown;
use sip_core::Message;
use sip_endpoint::{Flow, Tap, Transport, Way};
use tokio::net::{UdpSocket, lookup_host};
use tokio::sync::mpsc;

use super::HepConfig;
use super::packet::Packet;

/// The tap's end: puts copies into the queue.
pub(crate) struct Exporter {
    queue: mpsc::Sender<Copy>,
    dropped: IntCounter,
}

/// One message that was seen.
struct Copy {
    way: Way,
    flow: Flow,
    time: Duration,
    bytes: Bytes,
}

/// The task's end.
struct Sender {
    to: String,
    id: u32,
    password: String,
    sent: IntCounter,
    dropped: IntCounter,
    socket: Option<UdpSocket>,
}

impl Exporter {
    /// Starts, if there is somewhere to send to.
    pub(crate) fn start(
        config: &HepConfig,
        registry: &Registry,
        shutdown: &Shutdown,
    ) -> Result<Option<Self>, String> {
        let faults = config.faults();
        if !faults.is_empty() {
            return Err(faults.join("; "));
        }
        let Some(to) = config.host_port() else { return Ok(None) };
        let family = IntCounterVec::new(
            Opts::new(
                "sip_server_hep_packets_total",
                "Copies of messages for the capture server, by outcome.",
            ),
            &["outcome"],
        );
        let family = family.and_then(|family| registry.register(Box::new(family.clone())).map(|()| family));
        let family = family.map_err(|error| error.to_string())?;
        let (sent, dropped) = (family.with_label_values(&["sent"]), family.with_label_values(&["dropped"]));
        let password = config.password_file.as_ref().map(std::fs::read_to_string).transpose();
        let password = password.map_err(|error| error.to_string())?.unwrap_or_default();
        let (queue, copies) = mpsc::channel(MOST_WAITING);
        let sender = Sender {
            to: to.to_owned(),
            id: config.id,
            password: password.lines().next().unwrap_or_default().to_owned(),
            sent,
            dropped: dropped.clone(),
            socket: None,
        };
        let stop = shutdown.clone();
        shutdown.spawn(async move {
            tokio::select! {
                () = sender.run(copies) => {}
                () = stop.begun() => {}
            }
        });
        Ok(Some(Self { queue, dropped }))
    }
}

impl Tap for Exporter {
    fn seen(&self, way: Way, flow: &Flow, bytes: &Bytes) {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        if self.queue.try_send(Copy { way, flow: *flow, time, bytes: bytes.clone() }).is_err() {
            self.dropped.inc();
        }
    }
}

impl Sender {
    async fn run(mut self, mut copies: mpsc::Receiver<Copy>) {
        let mut look_again = tokio::time::Instant::now();
        while let Some(copy) = copies.recv().await {
            if self.socket.is_none() && look_again <= tokio::time::Instant::now() {
                look_again = tokio::time::Instant::now() + LOOK_AGAIN;
                self.socket = connect(&self.to).await;
            }
            let is_sent = self.send(&copy).await;
            if is_sent { &self.sent } else { &self.dropped }.inc();
        }
    }

    async fn send(&self, copy: &Copy) -> bool {
        let Some(socket) = &self.socket else { return false };
        let (from, to) = match copy.way {
            Way::Received => (copy.flow.remote, copy.flow.local),
            Way::Sent => (copy.flow.local, copy.flow.remote),
        };
        let call_id = Message::parse(copy.bytes.clone())
            .ok()
            .map(|message| Correlation::of_call(message.call_id()).to_string());
        let packet = Packet {
            from,
            to,
            is_udp: copy.flow.transport == Transport::Udp,
            time: copy.time,
            id: self.id,
            password: &self.password,
            correlation: call_id.as_deref().unwrap_or_default(),
            payload: &copy.bytes,
        };
        // While the socket is full the queue fills, and then drops; a port that is closed says so with the next datagram.
        match packet.print() {
            Some(packet) => socket.send(&packet).await.is_ok(),
            None => false,
        }
    }
}

async fn connect(to: &str) -> Option<UdpSocket> {
    let found = lookup_host(to).await.map(|mut addresses| addresses.next());
    let connected = match found {
        Ok(Some(address)) => bind(address).await,
        Ok(None) => Err(std::io::Error::other("no address")),
        Err(error) => Err(error),
    };
    connected.inspect_err(|error| tracing::warn!(%error, to, "the capture server cannot be found")).ok()
}

async fn bind(to: SocketAddr) -> std::io::Result<UdpSocket> {
    let any: SocketAddr = if to.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(to).await?;
    Ok(socket)
}

/// Copies that wait: a few megabytes at most, for they share the buffers of messages under way.
const MOST_WAITING: usize = 4_096;
/// How often a name is looked up that leads nowhere.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
