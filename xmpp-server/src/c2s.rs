//! A client's connection up to the bound resource — RFC 6120 §5 (STARTTLS), §6 (SASL), §7 (bind), XEP-0368 (direct TLS).
//!
//! In    a socket. Out a bound session ([`crate::session`]), or a stream error and the end.
//! State the framer, the negotiation and the proof under way; all of it is small and its number is bounded.
//! Errors stream errors, always behind a header of ours (RFC 6120 §4.9.1.2). A login that takes longer than
//!        `xmpp.login_timeout` ends with `connection-timeout`, however often bytes trickle in.

mod binding;
pub(crate) mod bosh;
pub(crate) mod oauth;
pub(crate) mod register;
mod sasl;
mod upgrade;
pub(crate) mod websocket;

use std::net::SocketAddr;
use std::sync::Arc;

use aws_lc_rs::digest;
use shared_auth::{How, Ht, Identity};
use shared_model::AccountId;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;
use tracing::Instrument;
use xmpp_core::payload::delay::date_time;
use xmpp_core::stream::inline::{Inline, UserAgent};
use xmpp_core::stream::management;
use xmpp_core::stream::{
    CLOSE, Negotiation, Offer, Registrants, Request, SaslFailure, StreamCondition, StreamError, print_header,
};
use xmpp_core::xml::{Framer, Limits};
use xmpp_core::{Element, ErrorKind, Jid, ns};

use crate::access::Access;
use crate::guests::Seat;
use crate::half_open::Place;
use crate::labels::StreamSpan;
use crate::server::Server;
use crate::session::{self, Begin, Login, Success, Takeover, Transport};
use binding::Binding;
pub(crate) use binding::{is_welcome, tls_of, xmpp_names};
use register::Registration;
pub use sasl::ScramName;
use sasl::{Exchange, Step};
pub(crate) use upgrade::SPEC as UPGRADES;
use upgrade::{Left, Upgrades};

/// When TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Security {
    /// When the client asks.
    StartTls,
    /// With the first byte.
    Direct,
    /// It is the affair of what carries the stream.
    Outside {
        /// Whether that is TLS.
        is_protected: bool,
    },
}

/// A socket of any kind.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// How a connection gets on after its client proved who it is.
enum Proven {
    /// With a resource of its own.
    Bound(Box<Login>),
    /// With a session that it had before.
    Back(mpsc::Sender<Box<Takeover>>, Box<Takeover>),
}

/// Serves one connection to its end. Its place among those that proved nothing is free when it did.
pub(crate) async fn serve(
    server: Arc<Server>,
    socket: Box<dyn Io>,
    (peer, place): (SocketAddr, Place),
    security: Security,
) {
    server.metrics.unproven.inc();
    let deadline = Instant::now() + server.config.login_timeout;
    // In boxes, which are gone when the session begins: it lasts much longer.
    let login = match security {
        Security::StartTls => Box::pin(Connection::new(&server, socket, peer, deadline, None).log_in()).await,
        Security::Outside { is_protected } => {
            // There is nothing of the TLS connection to bind to here.
            let binding = is_protected.then(Binding::default);
            let mut connection = Connection::new(&server, socket, peer, deadline, binding);
            connection.has_starttls = false;
            connection.negotiation = Negotiation::new(connection.offer());
            Box::pin(connection.log_in()).await
        }
        Security::Direct => match accept_tls(&server, socket, deadline).await {
            Some((io, binding)) => {
                Box::pin(Connection::new(&server, io, peer, deadline, Some(binding)).log_in()).await
            }
            None => None,
        },
    };
    server.metrics.unproven.dec();
    drop(place);
    match login {
        Some(Proven::Bound(login)) => {
            let span = StreamSpan { stream: &login.stream, account: login.identity.account }.open();
            session::run(server, *login).instrument(span).await;
        }
        Some(Proven::Back(session, takeover)) => {
            let _ = session.send(takeover).await; // it may end at this moment, and the client logs in anew
        }
        None => {}
    }
}

async fn accept_tls(
    server: &Server,
    socket: impl Io + 'static,
    deadline: Instant,
) -> Option<(Box<dyn Io>, Binding)> {
    let acceptor = TlsAcceptor::from(Arc::clone(&server.tls_c2s));
    let stream = timeout_at(deadline, acceptor.accept(socket)).await.ok()?.ok()?;
    // RFC 7590 §3.6: an operator can see what protects whom.
    let connection = stream.get_ref().1;
    let (version, suite) = (connection.protocol_version(), connection.negotiated_cipher_suite());
    tracing::debug!(?version, suite = ?suite.map(|suite| suite.suite()), "a client's connection is encrypted");
    let binding = Binding::of(server, &stream);
    let io: Box<dyn Io> = Box::new(stream);
    let binding = timeout_at(deadline, binding.judged(server)).await.ok()?;
    Some((io, binding))
}

/// What a client asks for when it has proved who it is.
enum Wish {
    Bind { how: Begin, jid: Jid },
    Resume { session: mpsc::Sender<Box<Takeover>>, h: u32, success: Option<Success> },
}

struct Connection<'a> {
    server: &'a Server,
    io: Box<dyn Io>,
    peer: SocketAddr,
    deadline: Instant,
    binding: Option<Binding>,
    has_starttls: bool,
    framer: Framer,
    negotiation: Negotiation,
    exchange: Option<Exchange>,
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
    fn new(
        server: &'a Server,
        io: Box<dyn Io>,
        peer: SocketAddr,
        deadline: Instant,
        binding: Option<Binding>,
    ) -> Self {
        let limits = Limits { bytes: server.config.unproven_bytes, depth: 8, attributes: 32, prefixes: 16 };
        let mut connection = Self {
            server,
            io,
            peer,
            deadline,
            binding,
            has_starttls: true,
            framer: Framer::new(limits),
            negotiation: Negotiation::new(Offer::default()),
            exchange: None,
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

    fn offer(&self) -> Offer {
        let is_secure = self.binding.is_some();
        let require_tls = !is_secure && self.server.tls.is_required() && !self.peer.ip().is_loopback();
        let (mechanisms, channel_bindings) = match require_tls {
            true => (Vec::new(), Vec::new()),
            false => (
                sasl::mechanisms(
                    self.binding.as_ref(),
                    &self.server.config.scram,
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
    async fn log_in(mut self) -> Option<Proven> {
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
                        let certificate = access.certificate;
                        Proven::Back(session, Box::new(Takeover { transport, certificate, h, success }))
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
                        let (hashes, tokens) = (self.server.scram(who.1), self.server.takes_tokens());
                        let binding = self.binding.as_ref();
                        let step = Exchange::begin(mechanism, binding, inline, who, hashes, tokens);
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
                    Some(Request::Task(name)) => self.task(&name).await?,
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
        let Some((io, binding)) = accept_tls(self.server, plain, self.deadline).await else { return false };
        self.io = io;
        self.binding = Some(binding);
        let offer = self.offer();
        self.negotiation.secured(offer);
        true
    }

    async fn step(&mut self, text: &str) -> Result<Option<Wish>, StreamError> {
        let Some(exchange) = self.exchange.take() else { return Err(StreamCondition::NotAuthorized.into()) };
        match exchange.step(self.server, text).await {
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

    /// Somebody proved who they are.
    async fn proven(
        &mut self,
        identity: Identity,
        additional: Option<String>,
        due: Option<Ht>,
    ) -> Option<Wish> {
        let asked = self.negotiation.inline().map(|inline| inline.upgrades.clone());
        let upgrades =
            Upgrades::wanted(self.server, &identity, asked.as_deref(), &self.offer().upgrades).await;
        let own = self.binding.as_ref().and_then(|binding| binding.own.clone());
        let own = own.filter(|_| identity.how == How::Certificate);
        self.access = Access::of(&identity).certified(own);
        self.access.is_protected = self.binding.is_some();
        self.access.protection = self.binding.as_ref().and_then(|binding| binding.protection);
        self.identity = Some(identity);
        if let Some(upgrades) = upgrades {
            self.negotiation.go_on(upgrades.task(), additional.as_deref(), &mut self.out);
            self.upgrades = Some(upgrades);
            return None;
        }
        if let Some(inline) = self.negotiation.take_inline() {
            return self.succeed(inline, additional, due).await;
        }
        self.negotiation.proven(additional.as_deref(), &mut self.out);
        self.framer.restart();
        self.framer.set_limits(self.limits());
        None
    }

    /// What a stanza of who proved who they are may have. Guests proved nothing.
    fn limits(&self) -> Limits {
        let config = &self.server.config;
        let bytes = if self.access.is_guest { config.unproven_bytes } else { config.stanza_bytes };
        Limits { bytes, ..Limits::default() }
    }

    /// A task of XEP-0480 that is done next.
    async fn task(&mut self, name: &str) -> Result<(), StreamError> {
        let data = match &mut self.upgrades {
            Some(upgrades) => upgrades.begin(self.server, name).await,
            None => None,
        };
        match data {
            Some(data) => self.negotiation.task_data(data, &mut self.out),
            None => self.negotiation.refuse(SaslFailure::MalformedRequest, &mut self.out)?,
        }
        Ok(())
    }

    async fn task_data(&mut self, data: &[Element]) -> Result<Option<Wish>, StreamError> {
        let Some(upgrades) = self.upgrades.take() else {
            return Err(StreamCondition::NotAuthorized.into());
        };
        match upgrades.finish(self.server, data).await {
            Some(Left::More(upgrades)) => {
                self.negotiation.go_on(upgrades.task(), None, &mut self.out);
                self.upgrades = Some(*upgrades);
            }
            Some(Left::Nothing) => {
                let Some(inline) = self.negotiation.take_inline() else {
                    return Err(StreamCondition::NotAuthorized.into());
                };
                return Ok(self.succeed(inline, None, None).await);
            }
            None => self.negotiation.refuse(SaslFailure::MalformedRequest, &mut self.out)?,
        }
        Ok(None)
    }

    /// Somebody proved who they are, and what comes before the success is done.
    async fn succeed(&mut self, inline: Inline, additional: Option<String>, due: Option<Ht>) -> Option<Wish> {
        self.framer.set_limits(self.limits());
        let identity = self.identity.as_ref()?;
        let account = identity.account;
        let asked = inline.request_token.as_deref().filter(|name| self.negotiation.offers_fast(name));
        // A token would outlive the certificate.
        let asked = asked.filter(|_| !self.access.is_certified);
        let mechanism = asked.and_then(Ht::parse).or(due);
        if let Some(agent) = &inline.user_agent {
            self.access.note(self.server, identity, agent).await;
        }
        let wanted = inline.user_agent.as_ref().map(|agent| agent.id.as_str()).zip(mechanism);
        let token = hand_out_token(self.server, identity, wanted).await;
        self.begin(inline, account, additional, token)
    }

    /// XEP-0388 §2.6: what was asked for beside the proof. Resumption comes before binding (XEP-0386 §3.2).
    fn begin(
        &mut self,
        inline: Inline,
        account: AccountId,
        additional: Option<String>,
        token: Option<Element>,
    ) -> Option<Wish> {
        let mut failed = None;
        let jid = self.choose(None).ok()?;
        if let Some((previd, h)) = inline.resume {
            if let Some(session) = self.server.resumables.find(&previd, account) {
                return Some(Wish::Resume {
                    session,
                    h,
                    success: Some(Success { additional, failed: None, token }),
                });
            }
            let handled = self.server.resumables.handled(&previd, account);
            failed = Some(management::failed(ErrorKind::ItemNotFound, handled));
        }
        let success = Success { additional, failed, token };
        if let Some(bind) = inline.bind {
            let resource =
                resource_of(bind.tag.as_deref(), inline.user_agent.as_ref(), &self.server.new_id());
            let resource = self.only.as_ref().unwrap_or(&resource);
            let jid = jid.to_bare().with_resource(resource).unwrap_or(jid);
            return Some(Wish::Bind { how: Begin::Inline(Box::new(bind), Box::new(success)), jid });
        }
        let text = success.print(jid.bare_str(), "");
        self.negotiation.succeeded(&text, &mut self.out);
        None
    }

    /// §7.6, §7.7: the resource that was asked for, or one of ours; the one that a certificate allows (XEP-0257 §3).
    fn choose(&self, resource: Option<String>) -> Result<Jid, ErrorKind> {
        let identity = self.identity.as_ref().ok_or(ErrorKind::BadRequest)?;
        let bare: Jid = identity.jid.as_str().parse().map_err(|_| ErrorKind::BadRequest)?;
        if self.only.is_some() && resource.is_some() && resource != self.only {
            return Err(ErrorKind::NotAllowed); // RFC 6120 §7.7.2.3
        }
        let resource = self.only.clone().or(resource).unwrap_or_else(|| self.server.new_id());
        bare.with_resource(&resource).map_err(|_| ErrorKind::BadRequest)
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

/// XEP-0484 §3.3, §3.5: a token for an installation that wants one, or whose token is due. A login does not fail for want
/// of it.
async fn hand_out_token(server: &Server, who: &Identity, wanted: Option<(&str, Ht)>) -> Option<Element> {
    let (client, mechanism) = wanted?;
    match server.auth.authenticator.issue_fast(who.account, client, mechanism, who.app.as_deref()).await {
        Ok(token) => {
            let element = Element::new("token", ns::FAST).with("expiry", date_time(token.expires));
            Some(element.with("token", token.text))
        }
        Err(error) => {
            tracing::error!(%error, "a token could not be handed out");
            None
        }
    }
}

/// XEP-0386 §3.2.1: the software's name and an id of ours; the same for the same installation, so that it takes the place
/// of its earlier session, and without telling others how the installation is named.
fn resource_of(tag: Option<&str>, user_agent: Option<&UserAgent>, random: &str) -> String {
    let id = match user_agent {
        Some(agent) => {
            let text = format!("{}\0{}", agent.id, tag.unwrap_or_default());
            let hash = digest::digest(&digest::SHA256, text.as_bytes());
            shared_runtime::hex(&hash.as_ref()[..8])
        }
        None => random.to_owned(),
    };
    let tag: String = tag.unwrap_or_default().chars().take(LONGEST_TAG).collect();
    if tag.is_empty() { id } else { format!("{tag}/{id}") }
}

/// Reads what the peer still sends. A socket that is closed over unread bytes is reset, and takes the stream error that
/// is on its way with it.
pub(crate) async fn linger(io: &mut (impl AsyncRead + Unpin)) {
    let (mut rest, mut nowhere) = (io.take(MOST_LINGERED), tokio::io::sink());
    let _ = timeout(LINGERING, tokio::io::copy(&mut rest, &mut nowhere)).await; // who goes on talking is cut off
}

/// Says goodbye to a socket.
pub(crate) async fn close(io: &mut (impl AsyncWrite + Unpin)) {
    let _ = timeout(std::time::Duration::from_secs(2), io.shutdown()).await; // the peer may be gone
}

/// Characters of a client's name in its resource.
const LONGEST_TAG: usize = 64;
/// How long, and how much, a peer may go on talking after the stream's end.
const LINGERING: std::time::Duration = std::time::Duration::from_secs(1);
const MOST_LINGERED: u64 = 1_048_576;
/// How long a write may wait for the peer's window.
pub(crate) const WRITE_PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);
