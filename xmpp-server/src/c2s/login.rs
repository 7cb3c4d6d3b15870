//! A client's stream up to the bound resource — RFC 6120 §6 (SASL), §7 (bind).
//!
//! In    a connection, encrypted or not yet. Out who it is and the resource, or the session that it takes up again.
//! State the framer, the negotiation and the proof under way; all of it is small and its number is bounded.
//! Errors stream errors, always behind a header of ours (RFC 6120 §4.9.1.2). A login that takes longer than
//!        `xmpp.login_timeout` ends with `connection-timeout`, however often bytes trickle in.

mod proven;

use std::net::SocketAddr;
use std::sync::Arc;

use shared_auth::{Identity, Tried};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};
use xmpp_core::stream::{
    CLOSE, Negotiation, Offer, Registrants, Request, SaslFailure, StreamCondition, StreamError, print_header,
};
use xmpp_core::xml::{Framer, Limits};
use xmpp_core::{ErrorKind, Jid};

use super::binding::Binding;
use super::register::Registration;
use super::sasl::{self, Exchange, PlainFor, Step};
use super::upgrade::Upgrades;
use super::{Io, WRITE_PATIENCE, accept_tls, close, linger};
use crate::access::Access;
use crate::admission::{CROWDED, Stage};
use crate::guests::Seat;
use crate::half_open::Place;
use crate::server::Server;
use crate::session::{Begin, Door, Login, Success, Takeover, Transport};

/// How a connection gets on after its client proved who it is.
pub(super) enum Proven {
    /// With a resource of its own.
    Bound(Box<Login>),
    /// With a session that it had before.
    Back(Arc<Door>, Box<Takeover>),
}

/// What a client asks for when it has proved who it is.
enum Wish {
    Bind { how: Begin, jid: Jid },
    Resume { session: Arc<Door>, h: u32, success: Option<Success> },
}

pub(super) struct Connection<'a> {
    server: &'a Server,
    io: Box<dyn Io>,
    peer: SocketAddr,
    place: &'a Place,
    deadline: Instant,
    binding: Option<Binding>,
    pub(super) has_starttls: bool,
    framer: Framer,
    pub(super) negotiation: Negotiation,
    exchange: Option<Exchange>,
    tried: Tried,
    registration: Registration,
    identity: Option<Identity>,
    /// What is to be done before the success.
    upgrades: Option<Upgrades>,
    /// How the client came in, as its owner sees it.
    access: Access,
    /// A guest's place.
    seat: Option<Seat>,
    /// The one resource that a certificate allows.
    only: Option<String>,
    stream: String,
    out: String,
}

impl<'a> Connection<'a> {
    pub(super) fn new(
        server: &'a Server,
        io: Box<dyn Io>,
        (peer, place): (SocketAddr, &'a Place),
        deadline: Instant,
        binding: Option<Binding>,
    ) -> Self {
        let limits = Limits { bytes: server.config.unproven_bytes, depth: 8, attributes: 32, prefixes: 16 };
        let mut connection = Self {
            server,
            io,
            peer,
            place,
            deadline,
            binding,
            has_starttls: true,
            framer: Framer::new(limits),
            negotiation: Negotiation::new(Offer::default()),
            exchange: None,
            tried: Tried::default(),
            registration: Registration::default(),
            identity: None,
            upgrades: None,
            access: Access::default(),
            seat: None,
            only: None,
            stream: String::new(),
            out: String::new(),
        };
        connection.negotiation = Negotiation::new(connection.offer());
        connection
    }

    pub(super) fn offer(&self) -> Offer {
        let is_secure = self.binding.is_some();
        let require_tls = !is_secure && self.server.tls.is_required() && !self.peer.ip().is_loopback();
        let (mechanisms, channel_bindings) = match require_tls {
            true => (Vec::new(), Vec::new()),
            false => (
                sasl::mechanisms(
                    self.binding.as_ref(),
                    &self.server.config.scram,
                    true,
                    self.server.takes_tokens(),
                ),
                sasl::channel_bindings(self.binding.as_ref()),
            ),
        };
        let fast = sasl::fast_mechanisms(self.binding.as_ref());
        let (domain, others) = (self.server.domain.clone(), self.server.domains.all());
        let kept_elsewhere = self.server.auth.authenticator.kept_elsewhere();
        let about = self.server.about.get().cloned().unwrap_or_default();
        let starttls = !is_secure && self.has_starttls;
        let registration = match (self.server.config.invitations, self.server.config.registration) {
            _ if require_tls => Registrants::Nobody,
            (true, _) => Registrants::Invited,
            (false, true) => Registrants::Anybody,
            (false, false) => Registrants::Nobody,
        };
        let upgrades = match mechanisms.is_empty() {
            true => Vec::new(),
            false => sasl::upgrades(self.binding.as_ref(), &self.server.config.scram),
        };
        let guests = self.server.config.guests.domain.clone();
        Offer {
            domain,
            others,
            kept_elsewhere,
            is_plain_elsewhere: self.server.config.plain == PlainFor::Directory,
            guests,
            starttls,
            require_tls,
            mechanisms,
            registration,
            fast,
            upgrades,
            channel_bindings,
            about,
        }
    }

    /// Up to the bound resource; `None` when the stream ended before.
    pub(super) async fn log_in(mut self) -> Option<Proven> {
        match self.negotiate().await {
            Ok(Some(wish)) => {
                let Self { io, framer, negotiation, identity, stream, access, seat, .. } = self;
                let transport = Transport { io, framer, negotiation };
                Some(match wish {
                    Wish::Bind { how, jid } => {
                        let identity = identity?;
                        Proven::Bound(Box::new(Login { transport, identity, access, seat, how, jid, stream }))
                    }
                    Wish::Resume { session, h, success } => {
                        Proven::Back(session, Box::new(Takeover { transport, access, h, success }))
                    }
                })
            }
            Ok(None) => None,
            Err(error) => {
                self.server.metrics.stream_errors.inc();
                if !self.negotiation.has_header {
                    let id = self.server.new_id();
                    self.out.clear();
                    print_header(self.negotiation.domain(), &id, None, &mut self.out);
                }
                self.out.push_str(&error.print());
                self.out.push_str(CLOSE);
                let _ = self.flush().await; // the peer may be gone, and we are going
                close(&mut self.io).await;
                linger(&mut self.io).await;
                None
            }
        }
    }

    async fn negotiate(&mut self) -> Result<Option<Wish>, StreamError> {
        loop {
            while let Some(frame) = self.framer.next()? {
                let id = self.server.new_id();
                if matches!(frame, xmpp_core::xml::Frame::Open(_)) {
                    self.stream.clone_from(&id);
                }
                match self.negotiation.handle(frame, &id, &mut self.out)? {
                    None => {}
                    Some(Request::StartTls) if self.start_tls().await => {}
                    Some(Request::StartTls) => return Ok(None),
                    Some(Request::Auth { mechanism, initial }) => {
                        let inline = self.negotiation.inline();
                        let who = (self.peer.ip(), self.negotiation.domain());
                        let binding = self.binding.as_ref();
                        let step = Exchange::begin(mechanism, binding, inline, who, self.server);
                        self.exchange = Some(step);
                        match initial {
                            Some(initial) => {
                                if let Some(wish) = self.step(&initial).await? {
                                    return Ok(Some(wish));
                                }
                            }
                            None => self.negotiation.challenge("", &mut self.out),
                        }
                    }
                    Some(Request::Response(text)) => {
                        if let Some(wish) = self.step(&text).await? {
                            return Ok(Some(wish));
                        }
                    }
                    Some(Request::Task(name)) => self.task(&name)?,
                    Some(Request::TaskData(data)) => {
                        if let Some(wish) = self.task_data(&data).await? {
                            return Ok(Some(wish));
                        }
                    }
                    Some(Request::Register(request)) => {
                        let answer = {
                            let (ip, domain) = (self.peer.ip(), self.negotiation.domain());
                            self.registration.answer(self.server, (ip, domain), &request).await
                        };
                        if let Some(answer) = answer {
                            self.out.push_str(&String::from_utf8_lossy(&answer.to_bytes()));
                        }
                    }
                    Some(Request::Bind { request, resource }) => match self.choose(resource) {
                        Ok(jid) => return Ok(Some(Wish::Bind { how: Begin::Request(request), jid })),
                        Err(kind) => self.negotiation.unbound(&request, &kind.into(), &mut self.out),
                    },
                    Some(Request::Resume { previd, h }) => {
                        let account = self.identity.as_ref().map(|identity| identity.account);
                        let account = account.ok_or(StreamCondition::NotAuthorized)?;
                        if let Some(session) = self.server.resumables.find(&previd, account) {
                            return Ok(Some(Wish::Resume { session, h, success: None }));
                        }
                        let handled = self.server.resumables.handled(&previd, account);
                        self.negotiation.not_resumed(ErrorKind::ItemNotFound, handled, &mut self.out);
                    }
                    Some(Request::Stanza(..) | Request::Manage(_) | Request::Active(_) | Request::Close) => {
                        self.out.push_str(CLOSE);
                        let _ = self.flush().await; // the peer asked to end
                        close(&mut self.io).await;
                        return Ok(None);
                    }
                }
            }
            if self.flush().await.is_err() {
                return Ok(None);
            }
            let mut chunk = [0_u8; 4096];
            let read = tokio::select! {
                read = timeout_at(self.deadline, self.io.read(&mut chunk)) => read,
                () = self.server.shutdown.begun() => return Err(StreamCondition::SystemShutdown.into()),
            };
            match read {
                Err(_) => {
                    return Err(StreamError::because(
                        StreamCondition::ConnectionTimeout,
                        "the login took too long",
                    ));
                }
                Ok(Ok(0) | Err(_)) => return Ok(None),
                Ok(Ok(length)) => self.framer.push(&chunk[..length]),
            }
        }
    }

    /// RFC 6120 §5.4.3.3. False when the handshake failed, or when bytes came behind `<starttls/>`: they may be an
    /// attacker's, who wants them taken for the client's.
    async fn start_tls(&mut self) -> bool {
        if self.flush().await.is_err() || self.framer.restart() {
            return false;
        }
        let plain = std::mem::replace(&mut self.io, Box::new(tokio::io::empty()));
        let Some((io, binding)) = accept_tls(self.server, plain, self.place, self.deadline).await else {
            return false;
        };
        self.io = io;
        self.binding = Some(binding);
        let offer = self.offer();
        self.negotiation.secured(offer);
        true
    }

    async fn step(&mut self, text: &str) -> Result<Option<Wish>, StreamError> {
        let Some(exchange) = self.exchange.take() else { return Err(StreamCondition::NotAuthorized.into()) };
        let step = exchange.step(self.server, text, &mut self.tried);
        let step = self.place.served(self.server.admission.turn(Stage::Proof, step)).await;
        let crowded = StreamError::because(StreamCondition::ResourceConstraint, CROWDED);
        match step.map_err(|_| crowded)? {
            Step::Challenge(exchange, text) => {
                self.exchange = Some(*exchange);
                self.negotiation.challenge(&text, &mut self.out);
            }
            Step::Guest(identity, seat) => {
                self.seat = Some(seat);
                return Ok(self.proven(identity, None, None).await);
            }
            // The door knows accounts of every domain; this stream serves one.
            Step::Proven(identity, ..) | Step::Certified(identity, _)
                if identity.jid.domain() != self.negotiation.domain() =>
            {
                self.negotiation.refuse(SaslFailure::NotAuthorized, &mut self.out)?;
            }
            Step::Proven(identity, additional, due) => {
                return Ok(self.proven(identity, additional, due).await);
            }
            Step::Certified(identity, only) => {
                self.only = only;
                return Ok(self.proven(identity, None, None).await);
            }
            Step::Failed(failure) => self.negotiation.refuse(failure, &mut self.out)?,
        }
        Ok(None)
    }

    async fn flush(&mut self) -> Result<(), ()> {
        if self.out.is_empty() {
            return Ok(());
        }
        let text = std::mem::take(&mut self.out);
        let write = async {
            self.io.write_all(text.as_bytes()).await?;
            self.io.flush().await
        };
        match timeout(WRITE_PATIENCE, write).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(()),
        }
    }
}
