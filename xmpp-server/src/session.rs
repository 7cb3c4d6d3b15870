//! A bound resource: its reading task, its writing task, and what ends them — RFC 6120 §4.4, RFC 6121 §4.
//!
//! In    stanzas of the client, one by one; stanzas for it, from the outbox.
//! Out   routed stanzas; bytes.
//! State the last presence, to whom presence was sent directly, and whether messages that waited were given.
//! Errors stream errors. When the session ends for whatever reason, contacts learn that it is gone, and messages that
//!        the socket did not take go where a message for somebody away goes.

use std::collections::HashSet;
use std::sync::Arc;

use shared_model::{Correlation, Fact, SessionEvent};
use tokio::io::{AsyncReadExt, AsyncWriteExt, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use xmpp_core::payload::roster::Change;
use xmpp_core::stream::{CLOSE, Negotiation, Request, StreamCondition, StreamError};
use xmpp_core::xml::Framer;
use xmpp_core::{ErrorKind, Jid, Kind, Stanza, StanzaError};

use crate::c2s::{Io, Login, WRITE_PATIENCE, close, linger};
use crate::router::{Outgoing, Session};
use crate::server::Server;
use crate::{features, presence, route};

/// Binds the resource and serves it to its end.
pub(crate) async fn run(server: Arc<Server>, login: Login) {
    let Login { io, framer, mut negotiation, identity, request, jid, stream } = login;
    let (mut reader, writer) = tokio::io::split(io);
    let (outbox, inbox) = mpsc::channel(server.config.outbox.max(1));
    let (end, mut ended) = watch::channel(None);
    let serial = server.new_serial();
    let session = Session {
        jid: jid.clone(),
        account: identity.account,
        serial,
        outbox: outbox.clone(),
        end: Arc::new(end),
        presence: None,
        priority: 0,
        is_interested: false,
    };
    let write = tokio::spawn(write(Arc::clone(&server), writer, inbox, jid.to_bare()));
    let mut out = String::new();
    if server.router.bind(session, server.config.resources).is_err() {
        // RFC 6120 §7.6.2.1
        negotiation.unbound(&request, &ErrorKind::ResourceConstraint.into(), &mut out);
        let why =
            StreamError::because(StreamCondition::ResourceConstraint, "too many resources of this account");
        finish(outbox, write, Some(out + &why.print())).await;
        return;
    }
    negotiation.bound(&request, &jid, &mut out);
    let _ = outbox.send(raw(out)).await; // the writer's end is noticed below
    server.metrics.sessions.inc();
    let tell = |event| server.bus.publish(Fact::new(Correlation::of_stream(&stream), event));
    let (account, bare, resource) =
        (identity.account, identity.jid.clone(), jid.resource().unwrap_or("").to_owned());
    tell(SessionEvent::Bound {
        account,
        jid: bare.clone(),
        resource: resource.clone(),
        stream: stream.clone(),
    });
    tracing::info!(how = identity.how.as_str(), "session bound");

    let mut client = Client {
        server: &server,
        jid: jid.clone(),
        serial,
        outbox: outbox.clone(),
        is_available: false,
        is_given: false,
        directed: HashSet::new(),
        tell: &|available| {
            let (jid, resource) = (bare.clone(), resource.clone());
            tell(SessionEvent::PresenceChanged { account, jid, resource, available });
        },
    };
    let why = tokio::select! {
        why = client.read(&mut reader, framer, negotiation) => why,
        () = outbox.closed() => None,
        why = ended.wait_for(Option::is_some) => why.ok().and_then(|why| why.clone()),
        () = server.shutdown.begun() => Some(StreamCondition::SystemShutdown.into()),
    };
    let is_replaced = !server.router.unbind(&jid, serial);
    client.leave(is_replaced).await;
    server.metrics.sessions.dec();
    tell(SessionEvent::Ended {
        account,
        jid: bare.clone(),
        resource: resource.clone(),
        stream: stream.clone(),
    });
    if let Some(why) = &why {
        server.metrics.stream_errors.inc();
        tracing::debug!(condition = why.condition.as_str(), "session ended by us");
    }
    drop(client);
    finish(outbox, write, why.map(|why| why.print())).await;
    linger(&mut reader).await;
}

/// Sends the last words and waits for the writer.
async fn finish(outbox: mpsc::Sender<Outgoing>, write: tokio::task::JoinHandle<()>, last: Option<String>) {
    let last = last.unwrap_or_default() + CLOSE;
    let _ = timeout(std::time::Duration::from_secs(1), outbox.send(raw(last))).await; // a full outbox has no last words
    drop(outbox);
    let _ = write.await; // it does not panic, and nobody cancels it
}

fn raw(text: String) -> Outgoing {
    Outgoing { bytes: text.into(), keep: None, waited: None }
}

/// Empties the outbox into the socket, many stanzas a write. What the socket does not take is kept.
async fn write(
    server: Arc<Server>,
    mut io: WriteHalf<Box<dyn Io>>,
    mut inbox: mpsc::Receiver<Outgoing>,
    user: Jid,
) {
    let mut batch: Vec<Outgoing> = Vec::new();
    let mut buffer = Vec::new();
    let mut is_broken = false;
    while inbox.recv_many(&mut batch, 128).await > 0 {
        buffer.clear();
        for outgoing in &batch {
            buffer.extend_from_slice(&outgoing.bytes);
        }
        let sent = timeout(WRITE_PATIENCE, async {
            io.write_all(&buffer).await?;
            io.flush().await
        });
        if !matches!(sent.await, Ok(Ok(()))) {
            is_broken = true;
            break;
        }
        let waited: Vec<String> = batch.drain(..).filter_map(|outgoing| outgoing.waited).collect();
        if !waited.is_empty()
            && let Err(error) = server.offline.given(user.as_str(), &waited).await
        {
            tracing::error!(%error, "messages that were given could not be forgotten");
        }
        buffer.shrink_to(16_384);
    }
    if is_broken {
        inbox.close();
        while let Some(outgoing) = inbox.recv().await {
            batch.push(outgoing);
        }
        let had_waiting = batch.iter().any(|outgoing| outgoing.waited.is_some());
        for message in batch.drain(..).filter(|o| o.waited.is_none()).filter_map(|o| o.keep) {
            route::keep(&server, &user, &message).await;
        }
        if had_waiting {
            let _ = server.offline.given(user.as_str(), &[]).await; // forgets nothing: they wait again
        }
    }
    close(&mut io).await;
}

struct Client<'a> {
    server: &'a Server,
    jid: Jid,
    serial: u64,
    outbox: mpsc::Sender<Outgoing>,
    is_available: bool,
    is_given: bool,
    /// To whom presence was sent directly, and who must learn that it is gone (RFC 6121 §4.6).
    directed: HashSet<Jid>,
    tell: &'a (dyn Fn(bool) + Send + Sync),
}

impl Client<'_> {
    /// Takes stanzas until the stream ends; the error that ends it, if we end it.
    async fn read(
        &mut self,
        io: &mut (impl AsyncReadExt + Unpin),
        mut framer: Framer,
        mut negotiation: Negotiation,
    ) -> Option<StreamError> {
        let mut chunk = vec![0_u8; 4096];
        let mut out = String::new();
        loop {
            loop {
                let frame = match framer.next() {
                    Ok(Some(frame)) => frame,
                    Ok(None) => break,
                    Err(error) => return Some(error.into()),
                };
                match negotiation.handle(frame, "", &mut out) {
                    Err(error) => return Some(error),
                    Ok(Some(Request::Close)) => return None,
                    Ok(Some(Request::Stanza(stanza, wrong))) => {
                        self.server.metrics.stanzas.inc();
                        if let Err(error) = self.take(*stanza, wrong).await {
                            return Some(error);
                        }
                    }
                    Ok(_) => {}
                }
            }
            match io.read(&mut chunk).await {
                Ok(0) | Err(_) => return None,
                Ok(length) => framer.push(&chunk[..length]),
            }
        }
    }

    async fn take(&mut self, mut stanza: Stanza, wrong: Option<StanzaError>) -> Result<(), StreamError> {
        if let Some(from) = &stanza.from
            && *from != self.jid
            && from.as_str() != self.jid.bare_str()
        {
            return Err(StreamCondition::InvalidFrom.into()); // RFC 6120 §8.1.2.1
        }
        stanza.from = Some(self.jid.clone());
        if let Some(error) = wrong {
            route::refuse(self.server, &stanza, &error);
            return Ok(());
        }
        if stanza.kind == Kind::Iq
            && !matches!(stanza.type_.as_deref(), Some("get" | "set" | "result" | "error"))
        {
            stanza.type_ = Some("get".to_owned()); // so that the answer below has somebody to go to
            route::refuse(self.server, &stanza, &ErrorKind::BadRequest.into());
            return Ok(());
        }
        if stanza.kind == Kind::Iq && stanza.id.is_none() {
            // §8.1.3: nobody could answer it.
            route::refuse(self.server, &stanza, &ErrorKind::BadRequest.into());
            return Ok(());
        }
        match (stanza.kind, &stanza.to) {
            (Kind::Presence, None) => self.presence(stanza).await,
            (Kind::Presence, Some(to)) => {
                let to = to.clone();
                self.directed_presence(stanza, &to).await;
            }
            // RFC 6120 §10.3.3: without `to`, an iq is for the account.
            (Kind::Iq, None) => {
                let target = features::Target::Account(self.jid.to_bare());
                features::answer(self.server, target, stanza).await;
            }
            (Kind::Message, None) => {
                stanza.to = Some(self.jid.to_bare()); // §10.3.1
                route::route(self.server, stanza).await;
            }
            _ => route::route(self.server, stanza).await,
        }
        Ok(())
    }

    /// RFC 6121 §4.2, §4.4, §4.5.
    async fn presence(&mut self, stanza: Stanza) {
        match stanza.type_.as_deref() {
            None => {
                let priority = priority_of(&stanza);
                self.server.router.update(&self.jid, self.serial, |session| {
                    session.presence = Some(Arc::new(stanza.clone().detached()));
                    session.priority = priority;
                });
                let is_initial = !std::mem::replace(&mut self.is_available, true);
                presence::broadcast(self.server, &self.jid, &stanza, is_initial).await;
                if is_initial {
                    (self.tell)(true);
                }
                if priority < 0 {
                    // From now on messages wait again (RFC 6121 §8.5.2.1.1).
                    self.is_given = false;
                } else if !std::mem::replace(&mut self.is_given, true) {
                    give_waiting(self.server, &self.jid, &self.outbox).await;
                }
            }
            Some("unavailable") => self.unavailable(stanza).await,
            _ => route::refuse(self.server, &stanza, &ErrorKind::BadRequest.into()),
        }
    }

    async fn directed_presence(&mut self, stanza: Stanza, to: &Jid) {
        match stanza.type_.as_deref() {
            None => {
                if self.directed.len() < MOST_DIRECTED || self.directed.contains(to) {
                    self.directed.insert(to.clone());
                    route::route(self.server, stanza).await;
                }
            }
            Some("unavailable") => {
                self.directed.remove(to);
                route::route(self.server, stanza).await;
            }
            Some("error") => route::route(self.server, stanza).await,
            Some(type_) => match Change::from_type(type_) {
                // §3.1.2: subscriptions are between bare JIDs.
                Some(change) if to.to_bare().as_str() != self.jid.bare_str() => {
                    presence::send(self.server, &self.jid, &to.to_bare(), change, stanza).await;
                }
                _ => {}
            },
        }
    }

    async fn unavailable(&mut self, stanza: Stanza) {
        self.server.router.update(&self.jid, self.serial, |session| {
            session.presence = None;
            session.priority = 0;
        });
        self.is_given = false;
        if std::mem::take(&mut self.is_available) {
            presence::broadcast(self.server, &self.jid, &stanza, false).await;
            (self.tell)(false);
        }
        for to in std::mem::take(&mut self.directed) {
            route::route(self.server, stanza.clone().addressed(Some(&self.jid), Some(&to))).await;
        }
    }

    /// The stream ended. A session that was replaced leaves contacts to its successor, and rooms to nobody.
    async fn leave(&mut self, is_replaced: bool) {
        if is_replaced {
            self.is_available = false;
        }
        self.unavailable(Stanza::new(Kind::Presence, Some("unavailable"))).await;
    }
}

/// Offline messages, oldest first, before anything that comes later (XEP-0160 §3, step 6).
pub(crate) async fn give_waiting(server: &Server, user: &Jid, outbox: &mpsc::Sender<Outgoing>) {
    match server.offline.waiting(user.bare_str()).await {
        Ok(waiting) => {
            for (id, message) in waiting {
                let outgoing = Outgoing { bytes: message.to_bytes(), keep: None, waited: Some(id) };
                if outbox.send(outgoing).await.is_err() {
                    let _ = server.offline.given(user.bare_str(), &[]).await; // forgets nothing: they wait again
                    return;
                }
            }
        }
        Err(error) => tracing::error!(%error, "messages that wait could not be read"),
    }
}

/// RFC 6121 §4.7.2.3.
fn priority_of(presence: &Stanza) -> i8 {
    if !presence.mentions("<priority") {
        return 0;
    }
    let priority = presence.children().into_iter().find(|child| child.is("priority", xmpp_core::ns::CLIENT));
    priority.and_then(|priority| priority.text().trim().parse().ok()).unwrap_or(0)
}

/// Addresses that one session may send presence to directly, rooms among them.
const MOST_DIRECTED: usize = 1000;
