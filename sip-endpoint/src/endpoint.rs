//! The endpoint: binds, starts shards, and sends what the application wants sent.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use shared_runtime::listen::{self, ListenError, Stack};
use shared_runtime::tls::{PeerCertificate, TlsPolicy};
use shared_runtime::{Shutdown, hex};
use sip_core::Message;
use sip_core::header::{Name, Via};
use sip_core::transaction::{ClientKey, Timers};
use tokio::sync::mpsc;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::application::Application;
use crate::callers::Callers;
use crate::flow::{Flow, Transport};
use crate::identity::{self, is_of};
use crate::inlet::Inlet;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::own::{is_local_ip, seen_ip};
use crate::resolve::{Naming, Resolver, Target};
use crate::sent::{Cancel, ReplyTo, SentRequest};
use crate::shard::{Input, Outgoing, Shard, refuse};
use crate::tap::Tap;
use crate::threads::Threads;
use crate::transport::connections::Entry;
use crate::transport::udp::{self, Udp};
use crate::transport::{Wires, accept, in_process, websocket};
use crate::via;
use crate::written::put_address;

/// Where an endpoint listens, its wires within the process, and what it bears.
#[derive(Default)]
pub struct Listeners {
    /// UDP addresses.
    pub udp: Vec<SocketAddr>,
    /// TCP addresses.
    pub tcp: Vec<SocketAddr>,
    /// TLS addresses.
    pub tls: Vec<SocketAddr>,
    /// Wires to other endpoints; their index is the argument of [`Endpoint::port`].
    pub ports: Vec<in_process::Port>,
    /// Threads of its own, 0 for half as many as the machine has cores.
    pub threads: usize,
    /// Bounds on its peers.
    pub limits: Limits,
    /// How names are looked up.
    pub naming: Naming,
    /// Whether servers that call us are asked for the certificate of their domain, and not people alone.
    pub asks_servers: bool,
    /// Who sees every message.
    pub tap: Option<Arc<dyn Tap>>,
}

/// Where an endpoint really listens.
#[derive(Debug, Clone, Default)]
pub struct Bound {
    /// UDP addresses.
    pub udp: Vec<SocketAddr>,
    /// TCP addresses.
    pub tcp: Vec<SocketAddr>,
    /// TLS addresses.
    pub tls: Vec<SocketAddr>,
}

/// Where random numbers come from.
pub type Random = fn() -> u64;

/// A running endpoint. Clones share it.
#[derive(Clone)]
pub struct Endpoint {
    inlet: Inlet,
    bound: Arc<Bound>,
    random: Random,
}

impl Endpoint {
    /// Binds every listener and starts. `application` gets the endpoint itself through the cell that it may hold.
    pub async fn start(
        listeners: Listeners,
        timers: Timers,
        tls: &TlsPolicy,
        metrics: Metrics,
        random: Random,
        shutdown: &Shutdown,
        application: Arc<dyn Application>,
    ) -> Result<Self, ListenError> {
        let mut bound = Bound::default();
        let mut udp = Udp::default();
        let threads =
            match listeners.udp.first() {
                None => Threads::ambient(),
                Some(address) => Threads::start(listeners.threads, shutdown)
                    .map_err(|reason| ListenError { listener: "sip.udp", address: *address, reason })?,
            };
        let count = threads.count();
        for address in &listeners.udp {
            let stack = Stack::beside(*address, &listeners.udp);
            let sockets = listen::udp_group("sip.udp", *address, stack, count)?;
            let refused = |reason| ListenError { listener: "sip.udp", address: *address, reason };
            let sockets = threads.adopt(sockets).map_err(refused)?;
            bound.udp.push(udp.push(sockets).map_err(refused)?);
        }
        let mut streams = Vec::new();
        let servers = tls.servers();
        let callers = Callers::new(tls, &servers, listeners.asks_servers);
        let acceptor = TlsAcceptor::from(callers.listener());
        for (listener, addresses, acceptor) in
            [("sip.tcp", listeners.tcp, None), ("sip.tls", listeners.tls, Some(acceptor))]
        {
            for (socket, address) in listen::tcp(listener, &addresses)?.into_iter().zip(addresses) {
                let local =
                    socket.local_addr().map_err(|reason| ListenError { listener, address, reason })?;
                if acceptor.is_some() {
                    bound.tls.push(local)
                } else {
                    bound.tcp.push(local)
                }
                streams.push((socket, acceptor.clone()));
            }
        }
        let (outgoing, incoming): (Vec<_>, Vec<_>) =
            listeners.ports.into_iter().map(|port| (port.outgoing, port.incoming)).unzip();
        let wires = Arc::new(Wires::new(udp, outgoing, listeners.limits, metrics, listeners.tap));

        let (inboxes, inputs): (Vec<_>, Vec<_>) = (0..count).map(|_| mpsc::channel(INBOX)).unzip();
        let resolver = Resolver::new(&listeners.naming, random);
        let inlet = Inlet {
            wires,
            shutdown: shutdown.clone(),
            resolver,
            tls: TlsConnector::from(
                tls.mutual_client(move |chain, domain| identity::judge(&servers, chain, domain), None),
            ),
            callers,
            shards: inboxes.into(),
            application,
        };
        for (index, (inbox, inputs)) in inlet.shards.iter().zip(inputs).enumerate() {
            let shard = Shard { inlet: inlet.clone(), inbox: inbox.clone() };
            shutdown.spawn_on(until_shutdown(shutdown, shard.run(timers, inputs)), threads.of(index));
        }
        for (index, (listener, socket)) in inlet.wires.udp.sockets().enumerate() {
            // The sockets of a listener come one after another, one a thread.
            let read = udp::read(socket, listener, inlet.clone());
            shutdown.spawn_on(until_shutdown(shutdown, read), threads.of(index));
        }
        for (listener, acceptor) in streams {
            spawn_until_shutdown(shutdown, accept::accept(listener, acceptor, inlet.clone()));
        }
        for (id, incoming) in incoming.into_iter().enumerate() {
            spawn_until_shutdown(shutdown, in_process::read(id as u64, incoming, inlet.clone()));
        }
        Ok(Self { inlet, bound: Arc::new(bound), random })
    }

    /// Where it listens.
    pub fn bound(&self) -> &Bound {
        &self.bound
    }

    /// The flow of the wire with this index.
    pub fn port(&self, index: usize) -> Flow {
        in_process::flow(index as u64)
    }

    /// Finds where URIs lead.
    pub fn resolver(&self) -> &Resolver {
        &self.inlet.resolver
    }

    /// How long messages of a flow's socket wait from their arrival to their turn: a mean of the last ones, nothing after a
    /// pause.
    pub fn lateness(&self, flow: &Flow) -> std::time::Duration {
        self.inlet.wires.lateness.mean(flow, Instant::now())
    }

    /// A random number.
    pub fn random(&self) -> u64 {
        (self.random)()
    }

    /// Whether a flow can still carry anything.
    pub fn is_open(&self, flow: &Flow) -> bool {
        self.inlet.wires.is_open(flow)
    }

    /// How long nothing came by a connection, to the second: keepalives count. `None` for datagrams, and for what is
    /// closed.
    pub fn silence(&self, flow: &Flow) -> Option<std::time::Duration> {
        flow.transport.is_stream().then(|| self.inlet.wires.connections.silence(flow.id))?
    }

    /// The certificate that the peer of a flow showed, verified against `tls.client_ca`, or against the roots if it is a
    /// server's. `None` if it showed none that proves anything.
    pub fn peer_certificate(&self, flow: &Flow) -> Option<Arc<PeerCertificate>> {
        self.inlet
            .wires
            .connections
            .with(flow.id, |entry| entry.certificate.clone())
            .filter(|_| flow.transport.is_stream())?
    }

    /// The version of TLS and the suite of a flow, where it is TLS of ours: not of a WebSocket, nor of datagrams.
    pub fn protection(&self, flow: &Flow) -> Option<(&'static str, &'static str)> {
        let is_tls = flow.transport == Transport::Tls;
        is_tls.then(|| self.inlet.wires.connections.with(flow.id, |entry| entry.protection)).flatten()?
    }

    /// The certificate of a person that the peer of a flow showed when it opened the connection, verified against
    /// `tls.client_ca`.
    pub fn client_certificate(&self, flow: &Flow) -> Option<Arc<PeerCertificate>> {
        let of_client = |entry: &Entry| entry.certificate.clone().filter(|_| entry.is_of_people);
        let is_tls = matches!(flow.transport, Transport::Tls | Transport::Wss);
        is_tls.then(|| self.inlet.wires.connections.with(flow.id, of_client)).flatten()?
    }

    /// Whether the peer of a flow proved by its certificate that it serves a SIP domain or address (RFC 5922 §7).
    /// A connection that we open for that name stands only if it does, and nothing leaves by it before.
    pub fn is_peer(&self, flow: &Flow, host: &str) -> bool {
        let is_called = || {
            let is_for = |entry: &Entry| !entry.host.is_empty() && entry.host.eq_ignore_ascii_case(host);
            flow.transport == Transport::Tls
                && self.inlet.wires.connections.with(flow.id, is_for) == Some(true)
        };
        self.peer_certificate(flow).is_some_and(|certificate| is_of(&certificate, host)) || is_called()
    }

    /// The peer of a flow proved who it is, or has a call: its connection may last. Without this it is closed after
    /// [`Limits::unproven`].
    pub fn mark_trusted(&self, flow: &Flow) {
        if flow.transport.is_stream() {
            self.inlet.wires.connections.change(flow.id, |entry| entry.is_trusted = true);
        }
    }

    /// The flow to a target: a socket, an open connection, or one that is being opened. `None` without a listener of
    /// its family and transport.
    pub fn flow_to(&self, target: &Target) -> Option<Flow> {
        self.inlet.flow_to(target)
    }

    /// As [`Endpoint::flow_to`], for a request that has so many bytes when it is sent: over 1,300 it goes by TCP and not
    /// by UDP, unless the other side takes no TCP (RFC 3261 §18.1.1).
    pub fn flow_for(&self, target: &Target, bytes: usize) -> Option<Flow> {
        self.inlet.flow_for(target, bytes)
    }

    /// What [`Endpoint::flow_for`] does, for a flow that is known already. Not for a device that registered: it is
    /// reached by the flow that it opened and by no other (RFC 5626 §5.3).
    pub fn sized(&self, flow: Flow, bytes: usize) -> Flow {
        self.inlet.sized(flow, bytes)
    }

    /// What a flow leads to did not answer, or answered 503: as [`Resolver::failed`].
    pub fn failed(&self, flow: &Flow) {
        self.inlet.resolver.failed_at(flow.transport, flow.remote);
    }

    /// Sends a request, other than ACK, in a transaction of its own, with a Via of ours on top. `suffix` goes into the
    /// branch after a dot, where a proxy puts what tells loops.
    pub async fn request(&self, request: Message, flow: Flow, suffix: &str) -> SentRequest {
        let (queue, answers) = mpsc::channel(ANSWERS);
        let cancel = self.request_into(request, flow, suffix, ReplyTo { queue, tag: 0 }).await;
        SentRequest { cancel, answers }
    }

    /// As [`Endpoint::request`], with the answers into a queue that several requests share.
    pub async fn request_into(
        &self,
        mut request: Message,
        flow: Flow,
        suffix: &str,
        reply: ReplyTo,
    ) -> Cancel {
        self.push_via(&mut request, &flow, suffix);
        request.ensure_content_length();
        let key = ClientKey::of(&request);
        let shard = self.inlet.shard_of(&request).clone();
        // A request without a CSeq has none.
        if let Some(key) = key.clone() {
            let outgoing = Outgoing { key, request: Box::new(request), flow, reply };
            // An error says that the endpoint stopped; the queue then says that nothing will come.
            let _ = shard.send(Input::Request(outgoing)).await;
        } else {
            refuse(&reply);
        }
        Cancel { key, shard }
    }

    /// An open flow by what names it: for UDP the socket and the peer's address, for others the connection.
    pub fn flow(&self, transport: Transport, id: u64, remote: SocketAddr) -> Option<Flow> {
        let wires = &self.inlet.wires;
        match transport {
            Transport::Udp => wires.udp.flow(id, remote),
            Transport::InProcess => Some(in_process::flow(id)).filter(|flow| wires.is_open(flow)),
            _ => wires.connections.with(id, |entry| entry.flow),
        }
    }

    /// The route by which browsers come (RFC 7118), to be joined to an HTTP router that knows its peers as
    /// [`shared_runtime::http::Peer`].
    pub fn websocket_route(&self, path: &str) -> axum::Router {
        websocket::route(path, self.inlet.clone())
    }

    /// Sends an ACK of a 2xx, which has no transaction, with a Via of ours on top.
    pub fn send_ack(&self, mut ack: Message, flow: Flow) {
        self.push_via(&mut ack, &flow, "0");
        ack.ensure_content_length();
        self.inlet.wires.send(flow, ack.to_bytes());
    }

    /// Sends a response without a transaction where its topmost Via says (RFC 3261 §18.2.2). Over UDP, or over an open
    /// connection to that address, or over the wire within the process if there is but one.
    pub fn send_stray(&self, response: &Message) {
        if let Some(flow) = response.top_via().and_then(|via| self.flow_of(&via)) {
            self.inlet.wires.send(flow, response.to_bytes());
        }
    }

    fn flow_of(&self, via: &Via<'_>) -> Option<Flow> {
        let wires = &self.inlet.wires;
        if via.host == in_process::HOST {
            return (wires.ports.len() == 1).then(|| in_process::flow(0));
        }
        let address = via::reply_address(via)?;
        match Transport::of_via(via.transport)? {
            Transport::Udp => wires.udp.flow_to(address),
            transport => wires.stream_to(transport, address),
        }
    }

    /// Our address as the peer of a flow should write it: the IP that it sees, and the port that we listen on.
    pub fn address_on(&self, flow: &Flow) -> SocketAddr {
        let listeners = match flow.transport {
            Transport::Udp | Transport::Ws | Transport::Wss => {
                return SocketAddr::new(seen_ip(flow), flow.local.port());
            }
            Transport::Tcp | Transport::InProcess => &self.bound.tcp,
            Transport::Tls => &self.bound.tls,
        };
        let port = listeners.first().map_or(flow.local.port(), SocketAddr::port);
        SocketAddr::new(seen_ip(flow), port)
    }

    /// Whether a Via is one of ours.
    pub fn is_own_via(&self, via: &Via<'_>) -> bool {
        via.host == in_process::HOST || self.is_own(via.host, via.port)
    }

    /// Whether an IP address and port are ones that we listen on.
    pub fn is_own(&self, host: &str, port: Option<u16>) -> bool {
        let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() else { return false };
        let is_websocket = port.is_some_and(|port| self.inlet.wires.websocket_ports.contains(&port));
        if is_websocket && is_local_ip(ip) {
            return true;
        }
        let all = [(&self.bound.udp, 5060), (&self.bound.tcp, 5060), (&self.bound.tls, 5061)];
        all.into_iter().any(|(bound, default)| {
            bound.iter().any(|local| {
                local.port() == port.unwrap_or(default)
                    && (local.ip() == ip || (local.ip().is_unspecified() && is_local_ip(ip)))
            })
        })
    }

    fn push_via(&self, request: &mut Message, flow: &Flow, suffix: &str) {
        let mut via = String::with_capacity(USUAL_VIA);
        via.push_str("SIP/2.0/");
        via.push_str(flow.transport.as_via());
        via.push(' ');
        match flow.transport {
            Transport::InProcess => via.push_str(in_process::HOST),
            _ => put_address(&mut via, self.address_on(flow)),
        }
        let is_own_tls = flow.transport == Transport::Tls && flow.local.port() == 0;
        via.push_str(match flow.transport {
            Transport::Udp => ";rport",
            // RFC 5923 §5: on a connection of ours, what the peer has for us may come back by it.
            _ if is_own_tls => ";alias",
            _ => "",
        });
        via.push_str(";branch=z9hG4bK");
        via.push_str(&hex(&self.random().to_be_bytes()));
        via.push('.');
        via.push_str(suffix);
        // §7.3.1; and what an ICMP error quotes of a request has it.
        request.push_top(Name::Via, &via);
    }
}

fn spawn_until_shutdown(shutdown: &Shutdown, task: impl Future<Output = ()> + Send + 'static) {
    shutdown.spawn(until_shutdown(shutdown, task));
}

fn until_shutdown<T>(shutdown: &Shutdown, task: T) -> impl Future<Output = ()> + Send + use<T>
where
    T: Future<Output = ()> + Send + 'static,
{
    let stop = shutdown.clone();
    async move {
        tokio::select! {
            () = task => {}
            () = stop.begun() => {}
        }
    }
}

/// Inputs that wait for a shard.
const INBOX: usize = 16_384;
/// Bytes of most Vias of ours.
const USUAL_VIA: usize = 96;
/// Answers that wait for whoever sent the request.
const ANSWERS: usize = 32;
