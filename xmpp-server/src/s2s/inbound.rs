//! Streams that other servers open, up to the moment when a domain is proven or shows a key — RFC 6120 §4, §5, §6 (EXTERNAL),
//! XEP-0178 §3, XEP-0368 (TLS from the first byte).
//!
//! In    a socket. Out a [`Stream`], or a stream error and the end.
//! State the machine and the framer; both are small, and the number of connections that proved nothing is bounded.
//! Errors stream errors, behind a header of ours (RFC 6120 §4.9.1.2): `host-unknown` for a domain that is not served here,
//!        `policy-violation` for one that is not spoken with, `connection-timeout` for one that takes too long.

use std::net::SocketAddr;
use std::sync::Arc;

use shared_runtime::Seldom;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;
use xmpp_core::stream::server::{Greeting, Receiving, Request, Said};
use xmpp_core::stream::{CLOSE, SaslFailure, StreamCondition, StreamError};
use xmpp_core::xml::{Framer, Limits};

use super::acks::lost;
use super::config::Security;
use super::queue::Queue;
use super::stream::{Machine, Stream, serve as serve_stream};
use super::trust::Certificate;
use super::{Counted, Side, dialback, tune};
use crate::c2s::{Io, WRITE_PATIENCE, close, linger};
use crate::half_open::Place;
use crate::server::Server;

/// A connection that proved nothing, while it is counted, and its place.
pub(super) struct Unproven {
    _counted: Counted,
    _place: Place,
}

/// Takes connections until the process stops.
pub(super) async fn accept(server: Arc<Server>, listener: TcpListener, is_direct: bool) {
    let (mut failed, mut refused) = (Seldom::default(), Seldom::default());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = server.shutdown.begun() => return,
        };
        match accepted {
            Ok((socket, peer)) => {
                let config = &server.federation.config;
                let is_over = |gauge: &prometheus::IntGauge, most: usize| {
                    gauge.get() >= i64::try_from(most).unwrap_or(i64::MAX)
                };
                if is_over(&server.metrics.s2s_unproven, config.unproven)
                    || is_over(&server.metrics.s2s_streams_in, config.streams)
                {
                    // Dropped: what strangers cost is capped.
                    server.metrics.refused_connections.inc();
                    if let Some(times) = refused.say(std::time::Instant::now()) {
                        tracing::warn!(times, "connections of other servers are refused: there are too many");
                    }
                    continue;
                }
                let is_banned = server.auth.bans.keeps_out(peer.ip());
                let place = (!is_banned).then(|| server.federation.half_open.admit(peer.ip())).flatten();
                let Some(place) = place else {
                    server.metrics.refused_connections.inc();
                    continue;
                };
                tune(&socket);
                // Counted here, so that the next one is not taken before this one counts.
                let counted = Counted::new(&server.metrics.s2s_streams_in);
                let unproven =
                    Unproven { _counted: Counted::new(&server.metrics.s2s_unproven), _place: place };
                let counts = (counted, unproven);
                let task = serve(Arc::clone(&server), Box::new(socket), peer, counts, is_direct);
                server.shutdown.spawn(task);
            }
            Err(error) => {
                // Out of descriptors, most likely: give the others time to close some.
                if let Some(times) = failed.say(std::time::Instant::now()) {
                    tracing::warn!(%error, times, "a connection could not be accepted");
                }
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
}

/// Serves one connection to its end.
async fn serve(
    server: Arc<Server>,
    socket: Box<dyn Io>,
    peer: SocketAddr,
    (_counted, unproven): (Counted, Unproven),
    is_direct: bool,
) {
    let deadline = Instant::now() + server.federation.config.timeout;
    let limits = Limits { bytes: server.config.unproven_bytes, depth: 8, attributes: 32, prefixes: 16 };
    let mut arrival = Arrival {
        server: &server,
        io: socket,
        framer: Framer::new(limits),
        machine: Receiving::default(),
        out: String::new(),
        deadline,
        certificate: None,
        is_secure: false,
        id: String::new(),
    };
    if is_direct && arrival.protect().await.is_none() {
        return;
    }
    let first = match arrival.negotiate().await {
        Ok(Some(first)) => first,
        Ok(None) => return,
        Err(error) => {
            tracing::debug!(%peer, condition = error.condition.as_str(), text = error.text, "a stream is refused");
            return arrival.refuse(&error).await;
        }
    };
    let Arrival { io, framer, machine, certificate, id, .. } = arrival;
    let unproven = machine.talk.proven().is_empty().then_some((unproven, deadline));
    let limits = machine.limits();
    let machine = Machine::Received(Box::new(machine));
    let counts = false; // if they count, they say so
    let stream = Stream { limits, counts, io, framer, machine, id, certificate, first: first.0, unproven };
    let (back, queue) = Queue::new(server.federation.config.queue, server.config.waiting_bytes);
    let serial = server.new_serial();
    let (mut queue, _, mut left) =
        serve_stream(&server, stream, Side::Theirs { serial, back }, queue, None).await;
    queue.put_first(lost(&server, &mut left).await);
    server.federation.inherit(serial, queue);
}

/// What ends the negotiation: a domain is proven, or this was said.
struct First(Option<Said>);

struct Arrival<'a> {
    server: &'a Server,
    io: Box<dyn Io>,
    framer: Framer,
    machine: Receiving,
    out: String,
    deadline: Instant,
    certificate: Option<Certificate>,
    is_secure: bool,
    id: String,
}

impl Arrival<'_> {
    async fn negotiate(&mut self) -> Result<Option<First>, StreamError> {
        loop {
            while let Some(frame) = self.framer.next()? {
                match self.machine.handle(frame, &mut self.out)? {
                    None => {}
                    Some(Request::Greet { ours, theirs }) => {
                        self.greet(ours, theirs)?;
                        if !self.machine.talk.proven().is_empty() {
                            return Ok(self.flush().await.map(|()| First(None)));
                        }
                    }
                    Some(Request::StartTls) => {
                        let is_sent = self.flush().await.is_some();
                        // Bytes behind <starttls/> may be an attacker's (RFC 6120 §5.4.3.3).
                        if !is_sent || self.framer.restart() || self.protect().await.is_none() {
                            return Ok(None);
                        }
                        self.machine.secured();
                    }
                    Some(Request::External(said)) => self.external(said.as_deref())?,
                    Some(Request::Said(said)) => return Ok(self.flush().await.map(|()| First(Some(said)))),
                    Some(Request::Close) => {
                        self.out.push_str(CLOSE);
                        self.flush().await;
                        close(&mut self.io).await;
                        return Ok(None);
                    }
                }
            }
            if self.flush().await.is_none() {
                return Ok(None);
            }
            let mut chunk = [0_u8; 4096];
            let read = tokio::select! {
                read = timeout_at(self.deadline, self.io.read(&mut chunk)) => read,
                () = self.server.shutdown.begun() => return Err(StreamCondition::SystemShutdown.into()),
            };
            match read {
                Err(_) => {
                    let text = "no domain was proven in time";
                    return Err(StreamError::because(StreamCondition::ConnectionTimeout, text));
                }
                Ok(Ok(0) | Err(_)) => return Ok(None),
                Ok(Ok(length)) => self.framer.push(&chunk[..length]),
            }
        }
    }

    /// Whether they are served, and what they are offered.
    fn greet(&mut self, ours: Option<String>, theirs: Option<String>) -> Result<(), StreamError> {
        let ours = ours.filter(|ours| self.server.hosts(ours)).ok_or(StreamCondition::HostUnknown)?;
        let federation = &self.server.federation;
        let refused = |why: &str| Err(StreamError::because(StreamCondition::PolicyViolation, why));
        match &theirs {
            Some(theirs) if self.server.hosts(theirs) => return refused("that domain is served here"),
            Some(theirs) if !federation.policy.admits(theirs) => {
                return refused("this server does not speak with that domain");
            }
            _ => {}
        }
        let security = federation.config.security;
        let is_theirs = |theirs: &String| self.certificate.as_ref().is_some_and(|it| it.is_of(theirs));
        let external = theirs.as_ref().is_some_and(is_theirs);
        if self.is_secure && !external && security == Security::Verified {
            let why = "a certificate of the domain is needed";
            return Err(StreamError::because(StreamCondition::NotAuthorized, why));
        }
        let greeting = Greeting {
            limits: federation.limits,
            starttls: !self.is_secure,
            require_tls: !self.is_secure && security != Security::Optional,
            external,
            dialback: true,
        };
        self.id = self.server.new_id();
        self.machine.greet(greeting, &ours, theirs.as_deref(), &self.id, &mut self.out);
        Ok(())
    }

    /// XEP-0178 §3: the certificate was compared before EXTERNAL was offered.
    fn external(&mut self, said: Option<&str>) -> Result<(), StreamError> {
        let theirs = self.machine.named().map(|pair| pair.theirs).unwrap_or_default();
        if !dialback::is_authzid(said, &theirs) {
            return self.machine.refuse(SaslFailure::InvalidAuthzid, &mut self.out);
        }
        self.machine.proven(&mut self.out);
        self.framer.restart();
        Ok(())
    }

    /// TLS, and who is at the other end. None when the handshake failed.
    async fn protect(&mut self) -> Option<()> {
        let trust = &self.server.federation.trust;
        let plain = std::mem::replace(&mut self.io, Box::new(tokio::io::empty()));
        let acceptor = TlsAcceptor::from(Arc::clone(&trust.server));
        let stream = timeout_at(self.deadline, acceptor.accept(plain)).await.ok()?.ok()?;
        self.certificate = trust.judge(stream.get_ref().1.peer_certificates());
        self.io = Box::new(stream);
        self.is_secure = true;
        Some(())
    }

    async fn refuse(mut self, error: &StreamError) {
        self.server.metrics.stream_errors.inc();
        if !self.machine.has_header {
            self.out.clear();
            let id = self.server.new_id();
            self.machine.print_header(&self.server.domain, None, &id, &mut self.out);
        }
        self.out.push_str(&error.print());
        self.out.push_str(CLOSE);
        if self.flush().await.is_some() {
            close(&mut self.io).await;
            linger(&mut self.io).await;
        }
    }

    /// None when the socket takes nothing.
    async fn flush(&mut self) -> Option<()> {
        let text = std::mem::take(&mut self.out);
        let write = async {
            self.io.write_all(text.as_bytes()).await?;
            self.io.flush().await
        };
        timeout(WRITE_PATIENCE, write).await.ok()?.ok()
    }
}
