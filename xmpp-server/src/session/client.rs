//! What a bound client sends — RFC 6120 §8.1 (addresses), §10.3 (no `to`), RFC 6121 §4 (presence), XEP-0198 §4 (acks).
//!
//! In    elements, one by one.
//! Out   routed stanzas; answers in the outbox.
//! State whether presence was sent and to whom directly, and whether messages that waited were given.
//! Errors stream errors for what no client may send; all else is answered as a stanza.

mod giving;

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::io::AsyncRead;
use tokio::sync::oneshot;
use tokio::time::Instant;
use xmpp_core::payload::blocking::own_block;
use xmpp_core::payload::caps::Caps;
use xmpp_core::payload::roster::Change;
use xmpp_core::stream::{Negotiation, Request, StreamCondition, StreamError};
use xmpp_core::xml::Framer;
use xmpp_core::{ErrorKind, Jid, Kind, Stanza, StanzaError, ns};

use super::managed::Managed;
use super::pulse::Heard;
use super::{Door, Ended, Teller};
use crate::archive;
use crate::blocking::{blocks, is_exempt};
use crate::caps::Notify;
use crate::features::{carbons, last, not_now};
use crate::guests::{self, Pace, Passage};
use crate::pubsub;
use crate::queue::Sender;
use crate::rate::{self, Rate};
use crate::router::{Directed, Outgoing, What};
use crate::server::Server;
use crate::voicemail::heard;
use crate::{callers, features, halves, presence, reach, route, standing};

pub(crate) use giving::{Given, give_again, give_later, give_waiting, given};

pub(super) struct Client<'a> {
    server: &'a Arc<Server>,
    jid: Jid,
    serial: u64,
    outbox: Sender<Outgoing>,
    pub(super) managed: Managed,
    heard: Arc<Heard>,
    is_available: bool,
    is_given: bool,
    directed: Arc<Directed>,
    teller: Arc<Teller>,
    /// What the last presence said of the client, and the id of the question that was asked about it.
    caps: Option<(Caps, String)>,
    /// Nodes whose last items it was sent since it is here.
    given_last: Notify,
    /// A first presence that waits until calls reach the account, too.
    held: Option<Box<Held>>,
    /// How fast it is read: bytes and stanzas.
    rates: (Rate, Rate),
    /// How fast a guest may speak; others have none.
    pub(super) pace: Option<Pace>,
}

struct Held {
    presence: Stanza,
    registered: oneshot::Receiver<()>,
    until: Instant,
}

impl<'a> Client<'a> {
    /// A client that has just bound its resource.
    pub(super) fn new(
        server: &'a Arc<Server>,
        (jid, serial): (Jid, u64),
        outbox: Sender<Outgoing>,
        managed: Managed,
        heard: Arc<Heard>,
        teller: Arc<Teller>,
    ) -> Self {
        let mut sessions = server.router.sessions(jid.bare_str()).into_iter();
        let of_router = sessions.find(|session| session.serial == serial);
        let directed = of_router.map(|session| session.directed).unwrap_or_default();
        Self {
            server,
            jid,
            serial,
            outbox,
            managed,
            heard,
            is_available: false,
            is_given: false,
            directed,
            teller,
            caps: None,
            given_last: Notify::default(),
            held: None,
            rates: (Rate::new(server.config.rate), Rate::new(server.config.stanza_rate)),
            pace: None,
        }
    }

    /// Takes elements until the stream ends, or something interrupts it between two of them.
    pub(super) async fn read(
        &mut self,
        io: &mut (impl AsyncRead + Unpin),
        framer: &mut Framer,
        negotiation: &mut Negotiation,
        door: &Door,
    ) -> Ended {
        let mut out = String::new();
        let (mut is_fresh, mut is_looked_at, mut says_much) = (false, false, false);
        loop {
            let mut over = None;
            let is_held = loop {
                // Who does not read the answers is asked no further.
                if over.is_none() && self.outbox.has(MOST_UNREAD) {
                    break true;
                }
                let frame = match framer.next() {
                    Ok(Some(frame)) => frame,
                    Ok(None) => break false,
                    Err(error) => return Ended::Because(error.into()),
                };
                // Of the first that was read, who waited knows.
                if over.is_none() && !std::mem::take(&mut is_looked_at) {
                    over = door.call().map(Ended::from);
                }
                is_fresh = false;
                self.heard.note(Instant::now());
                let request = negotiation.handle(frame, "", &mut out);
                if !out.is_empty() {
                    let words = Outgoing::words(std::mem::take(&mut out));
                    let _ = Box::pin(self.outbox.send(words)).await; // its end is noticed elsewhere
                }
                let taken = match request {
                    Err(error) => Err(error),
                    Ok(Some(Request::Close)) => return Ended::Closed,
                    Ok(Some(Request::Active(is_active))) => {
                        Box::pin(self.set_active(is_active)).await;
                        Ok(())
                    }
                    Ok(Some(Request::Manage(command))) => {
                        Box::pin(self.managed.take(self.server, &self.jid, &self.outbox, command)).await
                    }
                    // What it says is done to the end, and what it asks nobody would read.
                    Ok(Some(Request::Stanza(stanza, _)))
                        if self.is_deaf(over.as_ref()) && is_question(&stanza) =>
                    {
                        Ok(())
                    }
                    Ok(Some(Request::Stanza(stanza, wrong))) => {
                        self.server.metrics.stanzas.inc();
                        // In a box: what a session holds while it waits should be small.
                        let taken = Box::pin(self.take(*stanza, wrong)).await;
                        self.managed.count();
                        self.rates.1.spend(1);
                        taken
                    }
                    Ok(_) => Ok(()),
                };
                if let Err(error) = taken {
                    return Ended::Because(error);
                }
            };
            if let Some(over) = over {
                return over;
            }
            // A long element on a slow line is something said; and who counts nothing says with any byte that it is there.
            if std::mem::take(&mut is_fresh) && (framer.is_inside() || !self.managed.is_on()) {
                self.heard.note(Instant::now());
            }
            let ((bytes, stanzas), outbox) = (&mut self.rates, &self.outbox);
            let reading = async {
                stanzas.ready().await;
                outbox.has_room(MOST_UNREAD).await;
                match is_held {
                    true => Ok(None),
                    false => bytes.read(io, says_much, |read| framer.push(read)).await.map(Some),
                }
            };
            let read = tokio::select! {
                biased;
                call = door.called() => return call.into(),
                read = reading => read,
                presence = waited(&mut self.held) => {
                    Box::pin(self.present(presence)).await;
                    continue;
                }
            };
            match read {
                Ok(Some(0)) | Err(_) => return Ended::Lost,
                Ok(None) => {}
                Ok(Some(length)) => {
                    (is_fresh, is_looked_at) = (true, true);
                    // Who sends much is read in large pieces while it lasts.
                    says_much = rate::says_much(length, says_much);
                }
            }
        }
    }

    /// Whether the client hears nothing any more of what it asks.
    fn is_deaf(&self, over: Option<&Ended>) -> bool {
        match over {
            None | Some(Ended::Taken(_)) => false,
            Some(Ended::Lost | Ended::Silent) => !self.managed.is_resumable(),
            Some(Ended::Closed | Ended::Because(_)) => true,
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
            // RFC 6120 §8.3.3.8, presence too: a client waits for the room whose name or nick is none.
            route::tell(self.server, &stanza, &error);
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
        if let Some(pace) = &mut self.pace {
            pace.wait().await;
            match guests::passage(self.server, &stanza) {
                Passage::Granted => Box::pin(self.guest(stanza)).await,
                Passage::Refused(error) => route::refuse(self.server, &stanza, &error),
                Passage::Ignored => {}
            }
            return Ok(());
        }
        if let Some(to) = &stanza.to
            && self.blocks(to)
        {
            route::tell(self.server, &stanza, &own_block()); // XEP-0191 §3.3
            return Ok(());
        }
        if stanza.kind == Kind::Iq && self.is_answer_of_caps(&stanza) {
            return Ok(());
        }
        if stanza.kind == Kind::Presence && stanza.type_.is_none() {
            let avatar = self.server.router.avatar(self.jid.bare_str());
            stanza = crate::avatar::with_hash(stanza, avatar.as_deref().unwrap_or_default());
        }
        // All but a message in boxes of their own: messages are many, and what is made for each should be small.
        match (stanza.kind, &stanza.to) {
            (Kind::Presence, None) => Box::pin(self.presence(stanza)).await,
            (Kind::Presence, Some(to)) => {
                let to = to.clone();
                Box::pin(self.directed_presence(stanza, &to)).await;
            }
            // RFC 6120 §10.3.3: without `to`, an iq is for the account.
            (Kind::Iq, None) => {
                let target = features::Target::Account(self.jid.to_bare());
                Box::pin(features::answer(self.server, target, stanza)).await;
            }
            (Kind::Message, _) => {
                if stanza.to.is_none() {
                    stanza.to = Some(self.jid.to_bare()); // §10.3.1
                }
                self.message(stanza).await;
            }
            _ => Box::pin(route::route(self.server, stanza)).await,
        }
        Ok(())
    }

    /// What a guest says in a room, or asks the service.
    async fn guest(&mut self, stanza: Stanza) {
        match (stanza.kind, stanza.to.clone()) {
            (Kind::Presence, Some(to)) => self.directed_presence(stanza, &to).await,
            _ => route::route(self.server, stanza).await,
        }
    }

    /// Whether the account blocks somebody.
    fn blocks(&self, other: &Jid) -> bool {
        let list = self.server.router.blocked(self.jid.bare_str());
        list.is_some_and(|list| list.names(other)) && !is_exempt(&self.jid, other)
    }

    /// XEP-0352 §4.2: while nobody looks, what can wait is withheld; what was is sent before anything that follows.
    async fn set_active(&self, is_active: bool) {
        self.heard.rest(!is_active);
        self.server.router.mark(&self.jid, |session| session.is_inactive = !is_active);
        if is_active {
            let wake = Outgoing { bytes: bytes::Bytes::new(), what: What::Wake };
            let _ = self.outbox.send(wake).await; // a writer that is gone ends the connection
        }
    }

    /// XEP-0115 §6.2, XEP-0163 §4.3: learns what the client wants to hear of, and sends the last of it.
    async fn look_at_caps(&mut self, presence: &Stanza, is_initial: bool) {
        let Some(caps) = Caps::of(presence) else { return };
        if is_initial {
            self.given_last = Notify::default();
        }
        let is_same = self.caps.as_ref().is_some_and(|(known, _)| *known == caps);
        if is_same && !is_initial {
            return;
        }
        let id = self.server.new_id();
        let known = self.server.known_caps.get(&caps);
        let question = crate::caps::question(&caps, &id);
        self.caps = Some((caps, id));
        match known {
            Some(notify) => self.interested(notify),
            None => {
                let server = self.server.voice_to(&self.jid);
                self.server
                    .router
                    .send_copy(&self.jid, &question.addressed(server.as_ref(), Some(&self.jid)));
            }
        }
    }

    /// Whether an iq answers the question about the client's capabilities.
    fn is_answer_of_caps(&mut self, iq: &Stanza) -> bool {
        let is_answer = matches!(iq.type_.as_deref(), Some("result" | "error"));
        let Some((caps, _)) = self.caps.as_ref().filter(|(_, id)| is_answer && iq.id.as_ref() == Some(id))
        else {
            return false;
        };
        if let Some(info) = iq.find("query", ns::DISCO_INFO) {
            let notify = self.server.known_caps.learn(caps, &info);
            self.interested(notify);
        }
        true
    }

    /// XEP-0060 §12.2: the last of a node is sent but once, however often a client says what it is interested in while it is here.
    fn interested(&mut self, notify: Notify) {
        self.server.router.mark(&self.jid, |session| session.notify = Arc::clone(&notify));
        let new: BTreeSet<String> = notify.difference(&self.given_last).cloned().collect();
        self.given_last = notify;
        let (server, jid) = (Arc::clone(self.server), self.jid.clone());
        // Not in this task: a roster may be long, and the client goes on.
        tokio::spawn(async move { pubsub::send_last(&server, &jid, &new).await });
    }

    /// The sender's pass of a message: kept, delivered, copied.
    async fn message(&mut self, message: Stanza) {
        let Some(to) = message.to.clone() else { return };
        if message.is_type("groupchat") {
            return Box::pin(route::route(self.server, message)).await;
        }
        if to.as_str() == self.jid.bare_str() && Box::pin(pubsub::decide(self.server, &message)).await {
            return;
        }
        heard::look_at(self.server, &self.jid, &message);
        let message = archive::without_false_ids(self.server, message);
        let is_local = self.server.is_home(to.domain()) && to.local().is_some();
        if is_local && blocks(self.server, &to, &self.jid).await {
            return route::refuse(self.server, &message, &ErrorKind::ServiceUnavailable.into());
        }
        if is_local && let Some(error) = callers::refuses(self.server, &to, &message).await {
            return route::refuse(self.server, &message, &error);
        }
        if is_local && route::is_for_nobody(self.server, &to, &message) {
            return route::refuse(self.server, &message, &ErrorKind::ServiceUnavailable.into());
        }
        let archived =
            match archive::keep(self.server, &message, Some(&self.jid), is_local.then_some(&to)).await {
                Ok(archived) => archived,
                Err(error) => {
                    tracing::error!(%error, "a message could not be archived");
                    return route::refuse(self.server, &message, &not_now());
                }
            };
        let _turn = archived.turn;
        // For the sender's other clients, if there are any.
        let sent = self
            .server
            .router
            .has_several(self.jid.bare_str())
            .then(|| archive::with_id(message.clone(), archived.by_sender.as_deref(), &self.jid));
        if is_local {
            let is_to_self = to.bare_str() == self.jid.bare_str();
            let id = if is_to_self { archived.by_sender } else { archived.by_recipient };
            route::deliver_message(self.server, &to, archive::with_id(message, id.as_deref(), &to)).await;
        } else {
            Box::pin(route::route(self.server, message)).await;
        }
        if let Some(sent) = sent {
            carbons::copy_sent(&self.server.router, &self.jid, &sent);
        }
    }

    /// RFC 6121 §4.2, §4.4, §4.5.
    async fn presence(&mut self, stanza: Stanza) {
        match stanza.type_.as_deref() {
            None => {
                if let Some(stanza) = self.hold(stanza).await {
                    self.present(stanza).await;
                }
            }
            Some("unavailable") => {
                self.held = None;
                self.unavailable(stanza).await;
            }
            _ => route::refuse(self.server, &stanza, &ErrorKind::BadRequest.into()),
        }
    }

    /// Keeps a first presence back while no call would reach the account, if the operator wants that (RFC 7081 §2).
    async fn hold(&mut self, presence: Stanza) -> Option<Stanza> {
        if self.is_available || self.server.config.presence_gate.is_zero() {
            return Some(presence);
        }
        if let Some(held) = &mut self.held {
            held.presence = presence;
            return None;
        }
        let account = self.managed.account();
        // It listens before it looks, so that a registration between the two is not missed.
        let registered = self.server.halves.registered(account);
        let is_callable = halves::is_callable(self.server, account).await.unwrap_or_else(|error| {
            tracing::error!(%error, "whether an account is registered is not known");
            true
        });
        if is_callable {
            return Some(presence);
        }
        let until = Instant::now() + self.server.config.presence_gate;
        self.held = Some(Box::new(Held { presence, registered, until }));
        None
    }

    async fn present(&mut self, stanza: Stanza) {
        let priority = priority_of(&stanza);
        self.server.router.update(&self.jid, self.serial, |session| {
            session.presence = Some(Arc::new(stanza.clone().detached()));
            session.priority = priority;
            session.is_given &= priority >= 0;
        });
        let is_initial = !std::mem::replace(&mut self.is_available, true);
        if is_initial && self.pace.is_none() {
            reach::learn(self.server, self.managed.account()).await;
        }
        if is_initial {
            presence::arrive(self.server, (&self.jid, self.serial), &stanza).await;
            self.teller.shown(self.server, true);
            if self.pace.is_none() {
                standing::greet(self.server, &self.jid).await;
            }
        } else {
            // The log has why.
            let _ = presence::broadcast(self.server, &self.jid, &stanza, false).await;
        }
        self.look_at_caps(&stanza, is_initial).await;
        if priority < 0 {
            // From now on messages wait again (RFC 6121 §8.5.2.1.1).
            self.is_given = false;
        } else if !std::mem::replace(&mut self.is_given, true) {
            self.give().await;
        }
    }

    async fn directed_presence(&mut self, stanza: Stanza, to: &Jid) {
        match stanza.type_.as_deref() {
            None => {
                if self.directed.put(to, MOST_DIRECTED) {
                    route::route(self.server, stanza).await;
                }
            }
            Some("unavailable") => {
                self.directed.remove(to);
                route::route(self.server, stanza).await;
            }
            // RFC 6121 §4.3: a probe of a client's own is routed, or answered here; XEP-0045 §17.3.
            Some("error" | "probe") => route::route(self.server, stanza).await,
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
            session.is_given = false;
        });
        self.is_given = false;
        if std::mem::take(&mut self.is_available) {
            // Who was not told hears it when they ask next; the log has why.
            let _ = presence::broadcast(self.server, &self.jid, &stanza, false).await;
            self.teller.shown(self.server, false);
            if self
                .server
                .router
                .sessions(self.jid.bare_str())
                .iter()
                .all(|session| session.presence.is_none())
            {
                last::remember(self.server, &self.jid, &stanza).await;
            }
        }
        for to in self.directed.take() {
            if self.blocks(&to) {
                continue; // XEP-0191 §3.3: who is blocked was told then
            }
            route::route(self.server, stanza.clone().addressed(Some(&self.jid), Some(&to))).await;
        }
    }

    /// The stream ended. A session that was replaced leaves contacts to its successor, and rooms to nobody.
    pub(super) async fn leave(&mut self, is_replaced: bool) {
        if is_replaced {
            self.is_available = false;
        }
        self.unavailable(Stanza::new(Kind::Presence, Some("unavailable"))).await;
    }
}

/// Whether a stanza changes nothing and wants an answer.
fn is_question(stanza: &Stanza) -> bool {
    stanza.kind == Kind::Iq
        && (stanza.is_type("get") || (stanza.is_type("set") && stanza.find("query", ns::MAM).is_some()))
}

/// The presence that was held back, when it may go; never, if there is none.
async fn waited(held: &mut Option<Box<Held>>) -> Stanza {
    match held {
        None => std::future::pending().await,
        Some(waiting) => {
            // An answer that nobody will give any more is one, too.
            let _ = Box::pin(tokio::time::timeout_at(waiting.until, &mut waiting.registered)).await;
        }
    }
    match held.take() {
        Some(held) => held.presence,
        None => std::future::pending().await,
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

/// Bytes of answers that a client may leave unread before it is asked no further.
const MOST_UNREAD: usize = 1024 * 1024;
/// Addresses that one session may send presence to directly, rooms among them.
const MOST_DIRECTED: usize = 1000;
