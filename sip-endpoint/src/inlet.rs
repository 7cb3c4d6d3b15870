//! The way in: what came by a wire is read, stamped with where it came from, and handed to its shard.
//!
//! In    the bytes of one message, and the flow that they came by.
//! Out   a message for one shard; a malformed request is answered here, without a transaction (RFC 3261 §8.2.7).
//! Errors a full shard drops a datagram and slows a stream.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use shared_runtime::Shutdown;
use sip_core::Message;
use sip_core::header::{Name, Via};
use sip_core::transaction::ClientKey;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;

use crate::application::Application;
use crate::callers::Callers;
use crate::flow::{Flow, Transport};
use crate::identity::is_of;
use crate::resolve::{Resolver, Target};
use crate::shard::Input;
use crate::tap::Way;
use crate::transport::connections::Entry;
use crate::transport::{Wires, connect, fallback};
use crate::via;

/// The way in: from wires to shards. What transports hold of the endpoint.
#[derive(Clone)]
pub(crate) struct Inlet {
    pub(crate) wires: Arc<Wires>,
    pub(crate) shutdown: Shutdown,
    pub(crate) resolver: Resolver,
    pub(crate) tls: TlsConnector,
    pub(crate) callers: Arc<Callers>,
    pub(crate) shards: Arc<[mpsc::Sender<Input>]>,
    pub(crate) application: Arc<dyn Application>,
}

impl Inlet {
    /// Takes a datagram that came then. A full shard drops it.
    pub(crate) fn take_datagram(&self, bytes: Bytes, flow: Flow, came: Instant) {
        let Some((message, flow)) = self.read(bytes, flow) else { return };
        if self.shard_of(&message).try_send(Input::Message(Box::new(message), flow, came)).is_err() {
            self.wires.metrics.dropped.inc();
        }
    }

    /// Takes the beginning of a datagram of ours that was not delivered there (RFC 3261 §18.4). Only who saw the request knows its branch, so
    /// that nobody ends another's with an error that he made up. A full shard drops it: the request then waits for its time.
    pub(crate) fn take_undelivered(&self, quoted: &[u8], to: SocketAddr) {
        let Some((branch, method)) = request_in(quoted) else { return };
        tracing::debug!(method, "a request could not be delivered");
        let input = Input::Undelivered(ClientKey::new(branch, method), to);
        let _ = self.shard_of_branch(branch).try_send(input);
    }

    /// Takes a message from a stream. Waits while its shard is full.
    pub(crate) async fn take_framed(&self, bytes: Bytes, flow: Flow) {
        let Some((message, flow)) = self.read(bytes, flow) else { return };
        // An error says that the endpoint stopped.
        let _ = self.shard_of(&message).send(Input::Message(Box::new(message), flow, Instant::now())).await;
    }

    /// A connection is closed: tells every shard, and the application.
    pub(crate) async fn flow_lost(&self, flow: Flow) {
        for shard in self.shards.iter() {
            // As above.
            let _ = shard.send(Input::FlowLost(flow)).await;
        }
        self.application.flow_lost(flow);
    }

    /// Parses and stamps; a malformed request, and one that the application answers at once, need no transaction
    /// (RFC 3261 §8.2.7).
    fn read(&self, bytes: Bytes, flow: Flow) -> Option<(Message, Flow)> {
        self.wires.metrics.received(flow.transport);
        self.wires.show(Way::Received, &flow, &bytes);
        match Message::parse(bytes) {
            Ok(message) if !message.is_request() => Some((message, flow)),
            Ok(mut message) => {
                self.note_alias(&message, &flow);
                let flow = stamp(&mut message, flow);
                if let Some(answer) = self.application.at_once(&message, &flow) {
                    self.wires.send(flow, answer.to_bytes());
                    return None;
                }
                Some((message, flow))
            }
            Err(malformed) => {
                self.wires.metrics.malformed.inc();
                tracing::debug!(fault = malformed.reason, ?flow, "malformed message");
                self.answer_malformed(*malformed.readable?, flow, (malformed.status, malformed.reason));
                None
            }
        }
    }

    /// The stream that these bytes came on cannot go on; if they are a request, it is told why.
    pub(crate) fn refuse(&self, bytes: Bytes, flow: Flow, status: u16) {
        self.wires.metrics.malformed.inc();
        tracing::debug!(status, ?flow, "a SIP stream has no frames, or too large ones");
        let (request, reason) = match Message::parse(bytes) {
            Ok(message) => (message, ""),
            Err(malformed) => match malformed.readable {
                Some(readable) => (*readable, malformed.reason),
                None => return,
            },
        };
        let reason = match status {
            413 => "",
            _ if request.value(Name::ContentLength).is_none() => "Missing Content-Length",
            _ => reason,
        };
        self.answer_malformed(request, flow, (status, reason));
    }

    /// The flow to a target: a socket, an open connection, or one that is being opened.
    pub(crate) fn flow_to(&self, target: &Target) -> Option<Flow> {
        match target.transport {
            Transport::Udp => self.wires.udp.flow_to(target.address),
            Transport::InProcess => None,
            // A browser cannot be called up; it is reached by the connection that it opened (RFC 7118 §5).
            transport @ (Transport::Ws | Transport::Wss) => {
                self.wires.connections.to(transport, target.address, |_| true)
            }
            transport => {
                let open =
                    self.wires.connections.to(transport, target.address, |entry| leads_to(entry, target));
                open.or_else(|| connect::connect(self, transport, target.address, &target.host))
            }
        }
    }

    /// As [`Inlet::flow_to`], for a request of so many bytes: large ones go by TCP if it can be had (RFC 3261 §18.1.1).
    pub(crate) fn flow_for(&self, target: &Target, bytes: usize) -> Option<Flow> {
        self.flow_to(target).map(|flow| self.sized(flow, bytes))
    }

    /// The flow of a request of so many bytes to a server that this flow leads to.
    pub(crate) fn sized(&self, flow: Flow, bytes: usize) -> Flow {
        if flow.transport != Transport::Udp || !fallback::is_large(bytes) {
            return flow;
        }
        let host = flow.remote.ip().to_string();
        let by_tcp = Target { transport: Transport::Tcp, address: flow.remote, host };
        if self.resolver.is_failed(&by_tcp) {
            return flow;
        }
        let Some(connection) = self.flow_to(&by_tcp) else { return flow };
        self.wires.fallbacks.put(&connection, flow);
        connection
    }

    /// Where a response goes whose connection is gone (RFC 3261 §18.2.2): to the port of the Via, at the address that
    /// the request came from and nowhere else.
    pub(crate) fn way_back(&self, flow: &Flow, bytes: &Bytes) -> Option<Flow> {
        if !matches!(flow.transport, Transport::Tcp | Transport::Tls) || !bytes.starts_with(b"SIP/2.0 ") {
            return None;
        }
        let response = Message::parse(bytes.clone()).ok()?;
        let via = response.top_via()?;
        let port = via.port.unwrap_or(if flow.transport == Transport::Tls { 5061 } else { 5060 });
        self.flow_to(&Target {
            transport: flow.transport,
            address: SocketAddr::new(flow.remote.ip(), port),
            host: via.host.trim_matches(['[', ']']).to_owned(),
        })
    }

    /// Where what is left of a call goes whose connection is gone that we opened: to the same address (RFC 3261 §9.1), by another.
    pub(crate) fn way_again(&self, flow: &Flow, host: &str) -> Option<Flow> {
        self.flow_to(&Target { transport: flow.transport, address: flow.remote, host: host.to_owned() })
    }

    /// RFC 5923 §5: the peer says that what goes to its sent-by may go by this connection. It is believed over TLS if a
    /// certificate says who it is, and over TCP by policy; never for another address than the one that it comes from.
    fn note_alias(&self, request: &Message, flow: &Flow) {
        let is_believed = || match flow.transport {
            Transport::Tls => {
                self.wires.connections.with(flow.id, |entry| entry.certificate.is_some()) == Some(true)
            }
            Transport::Tcp => self.wires.limits.tcp_alias,
            _ => false,
        };
        if !flow.transport.is_stream() || !is_believed() {
            return;
        }
        if let Some(via) = request.top_via().filter(|via| via.params.has("alias")) {
            let port = via.port.unwrap_or(if flow.transport == Transport::Tls { 5061 } else { 5060 });
            self.wires.connections.alias(flow, SocketAddr::new(flow.remote.ip(), port));
        }
    }

    fn answer_malformed(&self, mut request: Message, flow: Flow, (status, reason): (u16, &str)) {
        if request.is_request() && request.method() != "ACK" && request.top_via().is_some() {
            let flow = stamp(&mut request, flow);
            let mut response = Message::response(&request, status, reason);
            response.ensure_content_length();
            self.wires.send(flow, response.to_bytes());
        }
    }

    /// The shard of a message: its topmost branch decides, which a request shares with its CANCEL, its ACK, and its
    /// responses.
    pub(crate) fn shard_of(&self, message: &Message) -> &mpsc::Sender<Input> {
        self.shard_of_branch(message.top_branch().unwrap_or_else(|| message.call_id()))
    }

    fn shard_of_branch(&self, branch: &str) -> &mpsc::Sender<Input> {
        let mut hasher = DefaultHasher::new();
        branch.hash(&mut hasher);
        &self.shards[(hasher.finish() % self.shards.len() as u64) as usize]
    }
}

/// Whether an open connection is one to this target. A certificate is asked for the target's domain (RFC 5923 §5); an
/// address that is written out is its own name.
fn leads_to(entry: &Entry, target: &Target) -> bool {
    let is_called = *entry.host == target.host;
    let is_proved = || entry.certificate.as_ref().is_some_and(|certificate| is_of(certificate, &target.host));
    let is_address = || target.host.parse() == Ok(entry.flow.remote.ip());
    entry.flow.transport != Transport::Tls || is_called || is_proved() || is_address()
}

/// Branch and method of the request of ours that a quotation begins with, which ends anywhere: our Via is its first header.
fn request_in(quoted: &[u8]) -> Option<(&str, &str)> {
    let mut lines = quoted.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\r\n"));
    let mut line = || std::str::from_utf8(lines.next()?).ok();
    let (method, _) = line()?.split_once(' ')?;
    let via = line()?.strip_prefix("Via: ")?;
    // Of a response the first word is the version, which is no method.
    Some((Via::parse(via.trim_end())?.branch()?, method))
}

fn stamp(request: &mut Message, flow: Flow) -> Flow {
    match flow.transport {
        // RFC 7118 §5.3: who is in front of a WebSocket is nobody's business.
        Transport::InProcess | Transport::Ws | Transport::Wss => flow,
        Transport::Udp => Flow { remote: via::stamp(request, flow.remote), ..flow },
        Transport::Tcp | Transport::Tls => {
            via::stamp(request, flow.remote);
            flow
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_delivered_is_known_by_its_branch() {
        let mut request = Message::request("INVITE", "sip:b@192.0.2.1");
        request.push(Name::From, "<sip:\u{e4}@x>");
        request.push_top(Name::Via, "SIP/2.0/UDP 192.0.2.9:5060;rport;branch=z9hG4bK7f.0");
        let bytes = request.to_bytes();
        let whole = Some(("z9hG4bK7f.0", "INVITE"));
        let till_via = bytes.windows(2).enumerate().filter(|(_, two)| *two == b"\r\n").nth(1).unwrap().0 + 2;
        for length in 0..=bytes.len() {
            let known = request_in(&bytes[..length]);
            assert_eq!(known, whole.filter(|_| length >= till_via), "{length} bytes");
        }
        for other in
            [&b"\xff\xfe"[..], b"\r\n\r\n", b"a b\r\nVia: x\r\n", b"a\nb\n", b"INVITE x\r\nTo: y\r\n"]
        {
            assert_eq!(request_in(other), None, "{other:?}");
        }
    }
}
