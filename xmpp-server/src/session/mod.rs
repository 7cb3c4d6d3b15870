//! A bound resource, over one connection or several — RFC 6120 §4.4, XEP-0198 §5 (resumption), §7 (closure).
//!
//! ```text
//! bound ─▶ served ─ clean end, error ────────────────────────────▶ left
//!            │ ▲ └─ lost or silent, not resumable ───────────────────────▶ left
//!            │ └─── <resume/> on another connection ─┐              ▲
//!            └───── lost ──────────────────────▶ detached ─ time ──┘
//! ```
//!
//! In    stanzas of the client ([`client`]); stanzas for it, from the outbox ([`outlet`]); other connections ([`resume`]).
//! Out   routed stanzas; bytes.
//! State what a stream knows of its client: presence, counters of stanzas, what was sent and not acked.
//! Errors stream errors. When the session ends for whatever reason, contacts learn that it is gone, and stanzas that the
//!        client did not get go where those for somebody away go.

mod client;
mod connection;
mod door;
mod managed;
mod outlet;
mod pulse;
mod resume;
mod teller;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use shared_store::StoreError;
use tokio::time::Instant;
use xmpp_core::Jid;
use xmpp_core::stream::inline::{self, InlineBind};
use xmpp_core::stream::{Negotiation, StreamCondition, StreamError};
use xmpp_core::xml::Framer;
use xmpp_core::{Element, ErrorKind, Stanza, ns};

pub(crate) use client::{Given, give_again, give_later, give_waiting};
pub(crate) use door::Door;
pub(crate) use managed::SPEC as MANAGEMENT;
pub(crate) use resume::{Resumables, Takeover};

use crate::access::Access;
use crate::admission::{CROWDED, Crowded, Stage};
use crate::c2s::{Io, linger};
use crate::guests::Seat;
use crate::queue::{self, Sender};
use crate::router::{Outgoing, Personal, Session, What};
use crate::server::Server;
use crate::{abusers, archive, avatar, blocking, features, guests, own_chat, route, undisturbed};
use client::Client;
use connection::{Connection, refuse, refuse_io};
use door::Call;
use managed::Managed;
use outlet::{Broken, Outlet};
use teller::Teller;

/// A connection whose client proved who it is, and what was read from it.
pub(crate) struct Transport {
    pub(crate) io: Box<dyn Io>,
    pub(crate) framer: Framer,
    pub(crate) negotiation: Negotiation,
}

/// A proven stream that asks for a resource.
pub(crate) struct Login {
    pub(crate) transport: Transport,
    pub(crate) identity: shared_auth::Identity,
    /// By what the client is in.
    pub(crate) access: Access,
    /// A guest's place, for as long as the session lasts.
    pub(crate) seat: Option<Seat>,
    /// How the session begins.
    pub(crate) how: Begin,
    /// The resource that was chosen.
    pub(crate) jid: Jid,
    /// The id that we gave the stream.
    pub(crate) stream: String,
}

/// How a session begins.
pub(crate) enum Begin {
    /// With an iq that is to be answered (RFC 6120 §7).
    Request(Box<Stanza>),
    /// Together with the proof (XEP-0386).
    Inline(Box<InlineBind>, Box<Success>),
}

/// What a success by XEP-0388 says beside who somebody is.
pub(crate) struct Success {
    /// What the mechanism adds.
    pub(crate) additional: Option<String>,
    /// Why an earlier stream was not resumed.
    pub(crate) failed: Option<Element>,
    /// A token in place of the password (XEP-0484).
    pub(crate) token: Option<Element>,
}

impl Success {
    /// The success for a JID, around these answers.
    pub(crate) fn print(&self, jid: &str, answers: &str) -> String {
        let mut all = String::new();
        if let Some(failed) = &self.failed {
            failed.print(ns::SASL2, &mut all);
        }
        all.push_str(answers);
        if let Some(token) = &self.token {
            token.print(ns::SASL2, &mut all);
        }
        inline::success(self.additional.as_deref(), jid, &all)
    }
}

/// Binds the resource and serves it to its end.
///
/// What begins and what ends a session is in boxes of its own: there are many sessions, and most of them wait.
pub(crate) async fn run(server: Arc<Server>, login: Box<Login>) {
    let Some((mut begun, connection)) = Box::pin(begin(&server, login)).await else { return };
    let (left, why) = begun.life.live(&mut begun.client, connection).await;
    Box::pin(end(begun, left, why)).await;
}

/// A session that is bound.
struct Begun<'a> {
    life: Life<'a>,
    client: Client<'a>,
    outbox: Sender<Outgoing>,
    /// A guest's place, for as long as the session lasts.
    _seat: Option<Seat>,
}

/// Binds the resource; nothing, when it may not be, and the client was told.
async fn begin(server: &Arc<Server>, login: Box<Login>) -> Option<(Box<Begun<'_>>, Box<Connection>)> {
    let Login { mut transport, identity, access, seat, how, jid, stream } = *login;
    let (outbox, inbox) = queue::bounded(server.config.outbox, server.config.waiting_bytes);
    let door = Arc::<Door>::default();
    let serial = server.new_serial();
    let (is_guest, certificate) = (access.is_guest, access.certificate.clone());
    let guarded = access.guarded();
    let refused = match server.admission.turn(Stage::Bind, personal(server, &jid)).await {
        Ok(Ok(personal)) => {
            let (sender, door) = (outbox.clone(), Arc::clone(&door));
            let session = Session::new(jid.clone(), identity.account, serial, sender, door, personal);
            let session = Session { access: Arc::new(access), ..session };
            let bound = server.router.bind(session, server.config.resources);
            bound.err().map(|_| "too many resources of this account")
        }
        Ok(Err(error)) => {
            tracing::error!(%error, "what an account wants could not be read");
            Some(NOT_WHOLE)
        }
        Err(Crowded) => Some(CROWDED),
    };
    let outlet = Outlet::new(inbox, Arc::clone(&door), &server.config);
    let mut out = String::new();
    if let Some(words) = refused {
        // RFC 6120 §7.6.2.1
        if let Begin::Request(request) = &how {
            transport.negotiation.unbound(request, &ErrorKind::ResourceConstraint.into(), &mut out);
        }
        let why = StreamError::because(StreamCondition::ResourceConstraint, words);
        let connection = Connection::start(server, transport, outlet, (&jid, &door));
        let (_, mut reader) = connection.finish(outbox, out + &why.print()).await;
        linger(&mut reader).await;
        return None;
    }
    server.metrics.sessions.inc();
    let (bare, resource) = (identity.jid.clone(), jid.resource().unwrap_or("").to_owned());
    let teller = Arc::new(Teller { is_guest, account: identity.account, jid: bare, resource, stream });
    teller.bound(server);
    teller.protected(server, guarded);
    tracing::info!(how = identity.how.as_str(), "session bound");

    let resumable = if is_guest { Duration::ZERO } else { server.config.resume_timeout };
    let mut stream_management =
        Managed::new(identity.account, outlet.unacked(), Arc::clone(&door), resumable);
    let mut is_inactive = false;
    let first = match how {
        Begin::Request(request) => {
            transport.negotiation.bound(&request, &jid, &mut out);
            Outgoing::words(out)
        }
        Begin::Inline(bind, success) => {
            is_inactive = bind.is_inactive;
            let begun = begin_inline(server, &jid, *bind, &success, &mut stream_management).await;
            if stream_management.is_on() {
                transport.negotiation.managed();
            }
            transport.negotiation.begun(&begun, &mut out);
            // Stanzas are counted from here on, if they are.
            let what = if stream_management.is_on() { What::Enabled } else { What::Words };
            Outgoing { bytes: out.into(), what }
        }
    };
    let _ = outbox.send(first).await; // there is room for the first
    let heard = outlet.heard();
    heard.rest(is_inactive);
    let mut client = Client::new(
        server,
        (jid.clone(), serial),
        outbox.clone(),
        stream_management,
        heard,
        Arc::clone(&teller),
    );
    client.pace = is_guest.then(guests::Pace::new);
    let life = Life { server, jid: jid.clone(), serial, door: Arc::clone(&door), teller, last: "lost" };
    life.look_at_password();
    life.look_at_network();
    life.look_at_certificate(certificate.as_deref()).await;
    let connection = Connection::start(server, transport, outlet, (&jid, &door));
    Some((Box::new(Begun { life, client, outbox, _seat: seat }), connection))
}

/// The session is over: everybody who has to know learns it, and what the client did not get goes elsewhere.
async fn end(begun: Box<Begun<'_>>, left: Left, why: Option<StreamError>) {
    let Begun { life, mut client, outbox, _seat } = *begun;
    let Life { server, jid, serial, door, teller, last } = life;
    door.close();
    client.managed.end(server);
    let is_replaced = !server.router.unbind(&jid, serial);
    client.leave(is_replaced).await;
    server.metrics.sessions.dec();
    teller.ended(server, why.as_ref().map_or(last, |why| why.condition.as_str()));
    if let Some(why) = &why {
        server.metrics.stream_errors.inc();
        tracing::debug!(condition = why.condition.as_str(), "session ended by us");
    }
    drop(client);
    match left {
        Left::Connected(connection) => {
            let last = why.map(|why| why.print()).unwrap_or_default();
            let (outlet, mut reader) = connection.finish(outbox, last).await;
            outlet.give_up(server, (&jid, serial), false).await;
            linger(&mut reader).await;
        }
        Left::Detached(outlet) => outlet.give_up(server, (&jid, serial), true).await,
    }
}

/// Why a session ends that would be half of one: whom its account blocks, or who sees it, is not known.
pub(crate) const NOT_WHOLE: &str = "the store does not answer; come again";

/// How long a store is left alone that did not answer: not as long for all, lest they come again at once.
pub(crate) fn soon() -> Duration {
    Duration::from_millis(1_000 + shared_runtime::random() % 2_000)
}

/// What an account wants: another session of it knows; the store is asked for the first.
async fn personal(server: &Server, jid: &Jid) -> Result<Personal, StoreError> {
    if let Some(personal) = server.router.personal(jid.bare_str()) {
        return Ok(personal);
    }
    let of = jid.bare_str();
    let places = [blocking::place(of), archive::place(of), avatar::place(of), undisturbed::place(of)];
    let mut found =
        features::once_more(|| server.store.records.several(&places), |_| true).await?.into_iter();
    let mut next = || found.next().flatten();
    Ok(Personal {
        blocked: Arc::new(blocking::listed(next().as_ref())),
        archiving: Arc::new(archive::said(server, next())),
        avatar: avatar::hash(next()),
        is_undisturbed: next().is_some(),
    })
}

/// XEP-0386 §3.2: what a session begins with, and the success that says so.
async fn begin_inline(
    server: &Server,
    jid: &Jid,
    bind: InlineBind,
    success: &Success,
    stream_management: &mut Managed,
) -> String {
    server.router.mark(jid, |session| {
        session.wants_carbons = bind.carbons;
        session.is_inactive = bind.is_inactive;
    });
    // The archive has them, and says so below.
    if let Err(error) = server.offline.forget_archived(jid.bare_str()).await {
        tracing::error!(%error, "messages that are archived could not be forgotten");
    }
    let mut bound = String::from("<bound xmlns='urn:xmpp:bind:0'>");
    if let Some((resume, max)) = bind.manage {
        bound.push_str(&stream_management.enable(server, resume, max));
    }
    match features::mam::metadata(server, &jid.to_bare(), archive::KIND).await {
        Ok(metadata) => metadata.print(ns::BIND2, &mut bound),
        Err(error) => tracing::error!(condition = error.kind.as_str(), "the archive has no metadata"),
    }
    success.print(jid.as_str(), &(bound + "</bound>"))
}

/// What is left of a session that ends.
enum Left {
    Connected(Box<Connection>),
    Detached(Outlet),
}

/// Why a connection serves its session no longer.
enum Ended {
    /// The client closed the stream.
    Closed,
    /// The socket is gone.
    Lost,
    /// The client does not answer.
    Silent,
    /// We end it.
    Because(StreamError),
    /// Another connection takes the session.
    Taken(Box<Takeover>),
}

impl From<Call> for Ended {
    fn from(call: Call) -> Self {
        match call {
            Call::End(why) => Self::Because(why),
            Call::Broken(Broken::Silent) => Self::Silent,
            Call::Broken(Broken::Lost) => Self::Lost,
            Call::Takeover(takeover) => Self::Taken(takeover),
        }
    }
}

struct Life<'a> {
    server: &'a Arc<Server>,
    jid: Jid,
    serial: u64,
    door: Arc<Door>,
    teller: Arc<Teller>,
    /// Why the last connection is gone, if no error says it.
    last: &'static str,
}

impl Life<'_> {
    /// Serves connection after connection, until there is to be none.
    async fn live(
        &mut self,
        client: &mut Client<'_>,
        mut connection: Box<Connection>,
    ) -> (Left, Option<StreamError>) {
        loop {
            let Connection { reader, framer, negotiation, .. } = &mut *connection;
            // What interrupts it waits until the stanza at hand is handled, so that none is half done.
            let ended = client.read(reader, framer, negotiation, &self.door).await;
            match Box::pin(self.follow(client, connection, ended)).await {
                ControlFlow::Continue(next) => connection = next,
                ControlFlow::Break(left) => return left,
            }
        }
    }

    /// The connection that follows one that ended, if there is one.
    async fn follow(
        &mut self,
        client: &mut Client<'_>,
        connection: Box<Connection>,
        ended: Ended,
    ) -> ControlFlow<(Left, Option<StreamError>), Box<Connection>> {
        let (takeover, mut outlet) = match ended {
            Ended::Closed => {
                self.last = "closed by the client";
                return ControlFlow::Break((Left::Connected(connection), None));
            }
            Ended::Because(why) => return ControlFlow::Break((Left::Connected(connection), Some(why))),
            Ended::Taken(takeover) => {
                if let Err(too_high) = client.managed.acknowledge(self.server, &self.jid, takeover.h).await {
                    refuse(takeover.transport, too_high.into());
                    return ControlFlow::Continue(connection);
                }
                let (outlet, io) = connection.halt().await;
                if !outlet.is_cut() {
                    refuse_io(io, StreamCondition::Conflict.into()); // §5: the old stream, if it is still open
                }
                (takeover, outlet)
            }
            ended @ (Ended::Lost | Ended::Silent) if client.managed.is_resumable() => {
                self.note(&ended);
                self.last = "connection lost, and not resumed in time";
                let why = match ended {
                    Ended::Silent => "the client does not answer",
                    _ => "connection lost",
                };
                self.teller.paused(self.server, Some(why));
                let (mut outlet, _) = connection.halt().await;
                self.server.metrics.detached.inc();
                self.server.router.mark(&self.jid, |session| session.is_detached = true);
                outlet.wake(self.server, &self.jid);
                outlet.store(self.server, (&self.jid, self.serial)).await;
                let back = self.detached(client, outlet).await;
                self.server.metrics.detached.dec();
                match back {
                    Ok(back) => back,
                    Err((outlet, why)) => return ControlFlow::Break((Left::Detached(outlet), why)),
                }
            }
            Ended::Lost => {
                self.last = "connection lost";
                return ControlFlow::Break((Left::Connected(connection), None));
            }
            Ended::Silent => {
                self.note(&Ended::Silent);
                let why = "the client did not answer in time"; // RFC 6120 §4.9.3.4
                let why = StreamError::because(StreamCondition::ConnectionTimeout, why);
                return ControlFlow::Break((Left::Connected(connection), Some(why)));
            }
        };
        self.server.metrics.resumptions.inc();
        self.teller.paused(self.server, None);
        self.teller.protected(self.server, takeover.access.guarded());
        self.server.router.mark(&self.jid, |session| {
            session.is_inactive = false;
            session.is_detached = false;
            session.access = Arc::new(session.access.resumed(&takeover.access));
        });
        self.look_at_password();
        self.look_at_network();
        self.look_at_certificate(takeover.access.certificate.as_deref()).await;
        let resumed = client.managed.resumed();
        outlet.resume(match &takeover.success {
            Some(success) => success.print(self.jid.as_str(), &resumed),
            None => resumed,
        });
        let mut transport = takeover.transport;
        transport.negotiation.resumed();
        ControlFlow::Continue(Connection::start(self.server, transport, outlet, (&self.jid, &self.door)))
    }

    /// A password that changed while its client came in lets it in no more.
    fn look_at_password(&self) {
        self.server.router.mark(&self.jid, |session| {
            if self.server.ended_passwords.opened(session) {
                let why = StreamError::because(StreamCondition::NotAuthorized, own_chat::ANOTHER_PASSWORD);
                session.door.end(why);
            }
        });
    }

    /// A network that was banned while its client came in has no session of it.
    fn look_at_network(&self) {
        self.server.router.mark(&self.jid, |session| {
            if abusers::is_kept_out(self.server, session) {
                session.door.end(abusers::network_refusal());
            }
        });
    }

    /// One that was taken away while its client came in lets it in no more. A store that does not say so took nothing away.
    async fn look_at_certificate(&self, fingerprint: Option<&str>) {
        if let Some(fingerprint) = fingerprint
            && crate::c2s::is_welcome(self.server, &self.jid, fingerprint).await == Ok(false)
        {
            let why = StreamError::because(StreamCondition::NotAuthorized, features::clients::REVOKED);
            self.server.router.mark(&self.jid, |session| {
                session.door.end(why);
            });
        }
    }

    fn note(&self, ended: &Ended) {
        if matches!(ended, Ended::Silent) {
            self.server.metrics.silent.inc();
            tracing::debug!("the client did not answer");
        }
    }

    /// §5, §7: without a connection, what is sent waits, and the client may come back for a time.
    async fn detached(
        &mut self,
        client: &mut Client<'_>,
        mut outlet: Outlet,
    ) -> Result<(Box<Takeover>, Outlet), (Outlet, Option<StreamError>)> {
        tracing::debug!("session detached");
        let deadline = Instant::now() + client.managed.patience();
        loop {
            let mut came = None;
            let takeover = tokio::select! {
                takeover = self.door.taken() => takeover,
                is_room = outlet.absorb() => {
                    came = Some(is_room);
                    None
                }
                () = tokio::time::sleep_until(deadline) => None,
                () = self.server.shutdown.begun() => None,
            };
            if let Some(is_room) = came {
                outlet.store(self.server, (&self.jid, self.serial)).await;
                if is_room {
                    continue;
                }
            }
            let Some(takeover) = takeover else { return Err((outlet, self.door.ended())) };
            match client.managed.acknowledge(self.server, &self.jid, takeover.h).await {
                Ok(()) => return Ok((takeover, outlet)),
                Err(too_high) => refuse(takeover.transport, too_high.into()),
            }
        }
    }
}

/// What nobody got goes back to who waits for it (XEP-0198 §4, RFC 6121 §8.5.3.2.3).
async fn undelivered(server: &Server, stanza: &Stanza) {
    if let Some(error) = stanza.error(&ErrorKind::ServiceUnavailable.into()) {
        route::reply(server, error).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_waits_is_small() {
        fn bytes<A, B, F>(_: impl Fn(A, B) -> F) -> usize {
            size_of::<F>()
        }
        let session = bytes(run);
        assert!(session < 4_096, "{session} bytes of each session's task");
    }
}
