//! The focus — RFC 4353 §3: the SIP user agent at the middle of a conference, one for all rooms of a service.
//!
//! In    requests to `sip:room@conference.<domain>` from an [`Endpoint`] behind the proxy; facts about rooms.
//! Out   responses, BYE and NOTIFY; commands to the room's mixer; `ConferenceEvent` facts.
//! State one task for each room in which somebody is, or which somebody watches ([`conference`]); it ends with the last.
//! Errors a room that is overloaded answers 503.
//! Not here: authentication; who calls is what the proxy asserts (RFC 3325).

mod admission;
mod again;
mod announcements;
mod answer;
mod answered;
mod body;
mod bundle;
mod conference;
mod dialog;
mod document;
mod dtls;
mod early;
mod guesses;
mod keys;
mod lamps;
mod lines;
mod made;
mod mailboxes;
mod moment;
mod named;
mod notifier;
mod offer;
mod participant;
pub mod policy;
mod reliable;
mod sdes;
mod session;
mod video;
mod xr;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;

use dashmap::{DashMap, Entry};
use shared_auth::{Audit, BoundBy, Directory};
use shared_model::{
    AccountId, BareJid, CallOutError, ConferenceDirectory, ConferenceSnapshot, Deed, Fact, Moderation,
    ModerationError, OwnChat, Pending, RoomAddress, RoomDirectory, RoomEvent, Unavailable, VoiceMessages,
};
use shared_runtime::{Redacted, Shutdown, bus::Bus};
use sip_core::header::Name;
use sip_core::{Message, Uri};
use sip_endpoint::{Application, Endpoint, Flow, Incoming};
use tokio::sync::{mpsc, oneshot};

use crate::Config;
use crate::config::{Ice, Secrecy};
use crate::media::handshakes::Handshakes;
use crate::media::ports::{Ports, PortsError};
use crate::media::web::WebPort;
use crate::metrics::Metrics;
use crate::mixer::{LegId, Mixers};
use admission::Caller;
use announcements::Desk;
use answered::Answered;
use conference::{Conference, Fate};
use guesses::Guesses;
use lamps::Lamps;
use made::Made;
use mailboxes::Tickets;

/// What a focus works with.
pub struct Parts {
    /// `[conference]`.
    pub config: Config,
    /// The host of rooms and their calls, such as `conference.example.org`.
    pub domain: String,
    /// Answers what a room is like.
    pub rooms: Arc<dyn RoomDirectory>,
    /// Moderates the chat of rooms; without it who is removed from a call stays there.
    pub chat: Option<Arc<dyn Moderation>>,
    /// Keeps what is said to mailboxes; without it there are none.
    pub messages: Option<Arc<dyn VoiceMessages>>,
    /// What accounts keep; without it nobody hears their mailbox by a call.
    pub own_chat: Option<Arc<dyn OwnChat>>,
    /// Domains whose accounts have another rule than `conference.srtp`.
    pub srtp: HashMap<String, Secrecy>,
    /// Answers whose AOR a caller has.
    pub accounts: Directory,
    /// Notes what owners of mailboxes erase.
    pub audit: Audit,
    /// Where facts go.
    pub bus: Bus<Fact>,
    /// What is counted.
    pub metrics: Metrics,
    /// Where keys come from: random numbers that nobody can guess.
    pub random: fn() -> u64,
    /// Stops the rooms.
    pub shutdown: Shutdown,
}

impl Parts {
    /// Whether the sound of a call of theirs is to be encrypted.
    fn secrecy(&self, caller: &Caller) -> Secrecy {
        let own = caller.card.as_ref().and_then(|card| self.srtp.get(card.aor.domain()));
        own.copied().unwrap_or(self.config.srtp)
    }

    /// Ends when who answered nothing to a service that stops is waited for no longer. Cancel safe.
    async fn goodbye(&self) {
        self.shutdown.begun().await;
        tokio::time::sleep(GOODBYE).await;
    }
}

/// The focus of all rooms.
pub struct Focus {
    parts: Parts,
    ports: Ports,
    mixers: Mixers,
    /// The port of browsers; none if it could not be bound.
    web: WebPort,
    handshakes: Handshakes,
    guesses: Guesses,
    desk: Desk,
    made: Made,
    tickets: Tickets,
    lamps: Lamps,
    answered: Answered,
    endpoint: OnceLock<Endpoint>,
    conferences: DashMap<RoomAddress, mpsc::Sender<Input>>,
    /// What a conference that is started here holds.
    own: Weak<Self>,
}

/// What a conference's task hears.
pub(crate) enum Input {
    /// A request, and how it is answered.
    Request(Box<Incoming>),
    /// The ACK of a 2xx.
    Ack(Box<Message>),
    /// Something happened in the room.
    Room(RoomEvent),
    /// Facts were missed: ask anew.
    Refresh,
    /// An account may not take part any more.
    AccountEnded(AccountId),
    /// What proved an account proves it no more, since a moment (milliseconds since 1970).
    ProofEnded(AccountId, BoundBy, i64),
    /// A call of ours was answered, or will not be.
    Dialled(LegId, Option<Box<Message>>),
    /// Whoever was asked to call the conference answered.
    Referred(u64, u16),
    /// An offer of ours within a call was answered, or will not be.
    Offered(LegId, String, Option<Box<Message>>),
    /// A refresh of ours was answered, or nobody will answer it.
    Refreshed(LegId, Option<Box<Message>>),
    /// What takes a recording takes no more: it is full, or its disk failed.
    Recorded(u64),
    /// What was said to a mailbox was kept, or was not.
    MessageWas(Fate),
    /// A NOTIFY found nobody: its subscription is over.
    Unsubscribed(u64),
    /// Somebody asks who is in.
    Snapshot(oneshot::Sender<ConferenceSnapshot>),
    /// An administrator of the service does something to the leg of a Call-ID.
    Moderate(String, Deed, oneshot::Sender<Result<(), ModerationError>>),
    /// Somebody who moderates the room makes another louder or quieter.
    Adjust(BareJid, String, Deed, oneshot::Sender<Result<(), ModerationError>>),
    /// Somebody who moderates the room, or the operator, wants its call recorded or not any more.
    Record(Option<BareJid>, bool, oneshot::Sender<Result<(), ModerationError>>),
    /// Somebody outside the call asks for one to a SIP URI.
    CallOut(BareJid, String, oneshot::Sender<Result<(), CallOutError>>),
    /// Somebody of the room asks for the conference document.
    Document(BareJid, oneshot::Sender<String>),
}

impl Focus {
    /// A focus that waits for its endpoint.
    pub fn new(parts: Parts) -> Result<Arc<Self>, PortsError> {
        let ports = parts.config.rtp_ports.parse()?;
        let ip = parts.config.media.ip();
        UdpSocket::bind((ip, 0)).map_err(|error| PortsError::NotOurs(ip, error.kind()))?;
        let threads = match parts.config.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        let mixers = Mixers::start(threads, parts.config.silence_timeout, &parts.metrics)
            .map_err(|error| PortsError::NoThread(error.kind()))?;
        let media = parts.config.media;
        let pairs = (parts.config.ice == Ice::Full).then_some(parts.config.ice_pairs);
        let web = WebPort::start(media, pairs).map_err(|error| PortsError::Taken(media, error.kind()))?;
        let handshakes = Handshakes::start(Arc::clone(web.identity()))
            .map_err(|error| PortsError::NoThread(error.kind()))?;
        let desk = Desk::new((parts.random)());
        let (endpoint, conferences, guesses) = (OnceLock::new(), DashMap::new(), Guesses::default());
        Ok(Arc::new_cyclic(|own| Self {
            parts,
            ports,
            mixers,
            web,
            handshakes,
            guesses,
            desk,
            made: Made::default(),
            tickets: Tickets::default(),
            lamps: Lamps::default(),
            answered: Answered::default(),
            endpoint,
            conferences,
            own: own.clone(),
        }))
    }

    /// What [`Endpoint::start`] takes as the application of `focus`.
    pub fn application(focus: &Arc<Self>) -> Arc<dyn Application> {
        Arc::new(Door(Arc::clone(focus)))
    }

    /// Gives the focus the endpoint that it was started as the application of. Only the first counts.
    pub fn attach(&self, endpoint: Endpoint) {
        // A second endpoint would be a mistake of whoever composes; the first goes on working.
        let _ = self.endpoint.set(endpoint);
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }

    pub(crate) fn ports(&self) -> &Ports {
        &self.ports
    }

    pub(crate) fn mixers(&self) -> &Mixers {
        &self.mixers
    }

    fn web(&self) -> &WebPort {
        &self.web
    }

    fn handshakes(&self) -> &Handshakes {
        &self.handshakes
    }

    /// Where the sound and the pictures of browsers come.
    pub fn media(&self) -> SocketAddr {
        self.web.local()
    }

    fn desk(&self) -> &Desk {
        &self.desk
    }

    fn made(&self) -> &Made {
        &self.made
    }

    fn tickets(&self) -> &Tickets {
        &self.tickets
    }

    fn lamps(&self) -> &Lamps {
        &self.lamps
    }

    fn answered(&self) -> &Answered {
        &self.answered
    }

    fn lamp_contact(&self) -> String {
        let parts = &self.parts;
        format!("<sip:{}@{}>", parts.config.voicemail, parts.domain)
    }

    fn guesses(&self) -> &Guesses {
        &self.guesses
    }

    /// Where our media are, as a peer sees us that wants its sound at one address and calls from the other: `advertised`, for
    /// peers that have an address of its family, or what the system would use towards it, or towards everybody.
    fn local_ip(&self, offered: Option<IpAddr>, source: Option<IpAddr>) -> IpAddr {
        let config = &self.parts.config;
        let peer = || [offered, source].into_iter().flatten().filter(|ip| !ip.is_unspecified());
        let bound = Some(config.media.ip()).filter(|ip| !ip.is_unspecified());
        let reaches =
            |ours: &IpAddr| peer().any(|ip| ip.is_ipv4() == ours.is_ipv4()) || peer().next().is_none();
        let advertised = config.advertised.filter(|ours| bound.is_some() || reaches(ours));
        // Who calls from loopback and wants its sound elsewhere may be behind a proxy of ours, and not here.
        let is_known = |ip: &IpAddr| Some(*ip) == offered || !ip.is_loopback();
        let routed = || peer().filter(is_known).chain(EVERYBODY).find_map(answer::local_ip);
        advertised.or(bound).or_else(routed).unwrap_or(Ipv4Addr::LOCALHOST.into())
    }

    /// The address to bind: the configured one, or any of the family that is advertised.
    fn bind_ip(&self, advertised: IpAddr) -> IpAddr {
        match self.parts.config.media.ip() {
            ip if !ip.is_unspecified() => ip,
            _ if advertised.is_ipv4() => Ipv4Addr::UNSPECIFIED.into(),
            _ => Ipv6Addr::UNSPECIFIED.into(),
        }
    }

    pub(crate) fn endpoint(&self) -> Option<&Endpoint> {
        self.endpoint.get()
    }

    /// Tells the conference of `room`, if there is one, what it must not miss: waits a while if it is busy.
    pub(crate) async fn insist(&self, room: &RoomAddress, input: Input) {
        let inbox = self.conferences.get(room).map(|inbox| inbox.clone());
        if let Some(inbox) = inbox
            && inbox.send_timeout(input, PATIENCE).await.is_err_and(|error| !inbox_is_gone(&error))
        {
            tracing::warn!(room = %Redacted(room), "a conference is overloaded; a fact was lost");
        }
    }

    /// Tells the conference of `room`, if there is one.
    pub(crate) fn tell(&self, room: &RoomAddress, input: Input) {
        let inbox = self.conferences.get(room).map(|inbox| inbox.clone());
        if let Some(inbox) = inbox
            && inbox.try_send(input).is_err()
        {
            tracing::warn!(room = %Redacted(room), "a conference is overloaded; a fact was lost");
        }
    }

    /// Tells every conference.
    pub(crate) fn tell_all(&self, input: impl Fn() -> Input) {
        let rooms: Vec<RoomAddress> = self.conferences.iter().map(|entry| entry.key().clone()).collect();
        for room in rooms {
            self.tell(&room, input());
        }
    }

    /// Forgets a conference whose inbox this is.
    pub(crate) fn forget(&self, room: &RoomAddress, inbox: &mpsc::Sender<Input>) {
        if self.conferences.remove_if(room, |_, known| known.same_channel(inbox)).is_some() {
            self.made.forget(room);
        }
    }

    /// Brings a message to the conference of `room`, starting one if need be. What does not fit is given back.
    pub(crate) fn deliver(self: &Arc<Self>, room: RoomAddress, input: Input) -> Result<(), Box<Input>> {
        let inbox = match self.conferences.entry(room.clone()) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(free) => match Conference::start(self, room) {
                Some(inbox) => free.insert(inbox).clone(),
                None => return Err(Box::new(input)),
            },
        };
        inbox.try_send(input).map_err(|refused| Box::new(refused.into_inner()))
    }

    /// The room that a request is for; `None` if its Request-URI is none of our rooms.
    fn room_of(&self, message: &Message) -> Option<RoomAddress> {
        let uri = Uri::parse(message.uri()).filter(Uri::is_sip)?;
        RoomAddress::new(&uri.user_unescaped(), &self.parts.domain).ok()
    }

    fn receive(self: &Arc<Self>, mut incoming: Incoming) {
        if matches!(incoming.request.method(), "INVITE" | "UPDATE")
            && let Err(unread) = body::describe_only(&mut incoming.request)
        {
            return incoming.server.respond(unread.answer(&incoming.request));
        }
        if incoming.request.method() == "PRACK" {
            match self.desk.acknowledged(incoming) {
                Ok(()) => return,
                Err(other) => incoming = *other,
            }
        }
        if let Err(other) = self.desk.take(incoming) {
            incoming = *other;
        } else {
            return;
        }
        let is_outside = !incoming.request.is_in_dialog();
        let is_begun = incoming.request.method() == "INVITE" && is_outside;
        let is_watched = incoming.request.method() == "SUBSCRIBE" && is_outside;
        if (is_begun || is_watched) && self.parts.shutdown.is_begun() {
            let mut later = Message::response(&incoming.request, 503, "Stopping");
            later.push(Name::RetryAfter, "5");
            return incoming.server.respond(later);
        }
        let Some(room) = self.room_of(&incoming.request) else {
            // §12.2.2: of a dialog that is not there, or not any more.
            let status = if is_outside { 404 } else { 481 };
            return incoming.server.respond(Message::response(&incoming.request, status, ""));
        };
        if lamps::is_meant(&incoming.request) && room.local() == self.parts.config.voicemail {
            return self.light(incoming);
        }
        if let Some(what) = self.desk.meant(&room) {
            return self.announce(incoming, what);
        }
        let room = match is_begun {
            true => self.begins(room),
            false => Some(room),
        };
        let Some(room) = room else {
            return incoming.server.respond(Message::response(&incoming.request, 503, ""));
        };
        if let Err(refused) = self.deliver(room, Input::Request(Box::new(incoming)))
            && let Input::Request(incoming) = *refused
        {
            incoming.server.respond(Message::response(&incoming.request, 503, ""));
        }
    }
}

impl Focus {
    /// What a call to `room` is to: names stand for conferences without a room, and for the mailbox of whoever calls. `None` if there are too
    /// many.
    fn begins(&self, room: RoomAddress) -> Option<RoomAddress> {
        let Parts { config, domain, random, own_chat, .. } = &self.parts;
        let is_called = |name: &str| !name.is_empty() && room.local() == name;
        if is_called(&config.factory) {
            self.made.make(domain, random())
        } else if is_called(&config.voicemail) && own_chat.is_some() {
            self.tickets.make((&config.voicemail, domain), None, random(), Instant::now())
        } else {
            Some(room)
        }
    }
}

impl ConferenceDirectory for Focus {
    fn conference<'a>(
        &'a self,
        room: &'a RoomAddress,
    ) -> Pending<'a, Result<Option<ConferenceSnapshot>, Unavailable>> {
        Box::pin(async move {
            let inbox = self.conferences.get(room).map(|inbox| inbox.clone());
            let Some(inbox) = inbox else { return Ok(None) };
            let (sender, receiver) = oneshot::channel();
            inbox.try_send(Input::Snapshot(sender)).map_err(|_| Unavailable)?;
            let snapshot = receiver.await.map_err(|_| Unavailable)?;
            Ok(Some(snapshot).filter(|snapshot| !snapshot.participants.is_empty()))
        })
    }

    fn document<'a>(
        &'a self,
        room: &'a RoomAddress,
        viewer: &'a BareJid,
    ) -> Pending<'a, Result<Option<String>, Unavailable>> {
        Box::pin(async move {
            let inbox = self.conferences.get(room).map(|inbox| inbox.clone());
            let Some(inbox) = inbox else { return Ok(None) };
            let (sender, receiver) = oneshot::channel();
            inbox.try_send(Input::Document(viewer.clone(), sender)).map_err(|_| Unavailable)?;
            receiver.await.map(Some).map_err(|_| Unavailable)
        })
    }

    fn call_out<'a>(
        &'a self,
        room: &'a RoomAddress,
        asker: &'a BareJid,
        callee: &'a str,
    ) -> Pending<'a, Result<(), CallOutError>> {
        Box::pin(async move {
            let focus = self.own.upgrade().ok_or(CallOutError::Unavailable)?;
            if room.domain() != self.parts.domain || self.parts.shutdown.is_begun() {
                return Err(CallOutError::Unavailable);
            }
            let (sender, receiver) = oneshot::channel();
            let input = Input::CallOut(asker.clone(), callee.to_owned(), sender);
            focus.deliver(room.clone(), input).map_err(|_| CallOutError::Unavailable)?;
            receiver.await.map_err(|_| CallOutError::Unavailable)?
        })
    }

    fn adjust<'a>(
        &'a self,
        room: &'a RoomAddress,
        asker: &'a BareJid,
        whom: &'a str,
        deed: Deed,
    ) -> Pending<'a, Result<(), ModerationError>> {
        self.ask(room, move |sender| Input::Adjust(asker.clone(), whom.to_owned(), deed, sender))
    }

    fn record<'a>(
        &'a self,
        room: &'a RoomAddress,
        asker: Option<&'a BareJid>,
        is_wanted: bool,
    ) -> Pending<'a, Result<(), ModerationError>> {
        self.ask(room, move |sender| Input::Record(asker.cloned(), is_wanted, sender))
    }
}

impl Moderation for Focus {
    fn moderate<'a>(
        &'a self,
        room: &'a RoomAddress,
        call_id: &'a str,
        deed: Deed,
    ) -> Pending<'a, Result<(), ModerationError>> {
        self.ask(room, move |sender| Input::Moderate(call_id.to_owned(), deed, sender))
    }
}

impl Focus {
    /// Has a room's conference do something to somebody.
    fn ask<'a>(
        &'a self,
        room: &'a RoomAddress,
        input: impl FnOnce(oneshot::Sender<Result<(), ModerationError>>) -> Input + Send + 'a,
    ) -> Pending<'a, Result<(), ModerationError>> {
        Box::pin(async move {
            let inbox = self.conferences.get(room).map(|inbox| inbox.clone());
            let inbox = inbox.ok_or(ModerationError::Nobody)?;
            let (sender, receiver) = oneshot::channel();
            inbox.try_send(input(sender)).map_err(|_| ModerationError::Unavailable)?;
            receiver.await.map_err(|_| ModerationError::Nobody)?
        })
    }
}

/// Whether a conference ended meanwhile, which needs to be told nothing.
fn inbox_is_gone(error: &mpsc::error::SendTimeoutError<Input>) -> bool {
    matches!(error, mpsc::error::SendTimeoutError::Closed(_))
}

/// Addresses that nobody has (RFC 5737, RFC 3849): the way there is the way to whom we know nothing of.
const EVERYBODY: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))];
/// How long answers to the last NOTIFYs of a service that stops are waited for.
const GOODBYE: std::time::Duration = std::time::Duration::from_millis(500);
/// How long the bridge waits for a busy conference.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(1);

/// The focus as the endpoint sees it.
struct Door(Arc<Focus>);

impl Application for Door {
    fn request(&self, incoming: Incoming) {
        self.0.receive(incoming);
    }

    fn ack(&self, mut ack: Message, _flow: Flow) {
        // Nobody answers an ACK: what is not read in it is no answer to our offer.
        if body::describe_only(&mut ack).is_err() {
            ack.set_body("", bytes::Bytes::new());
        }
        if let Some(room) = self.0.room_of(&ack) {
            self.0.tell(&room, Input::Ack(Box::new(ack)));
        }
    }

    fn stray(&self, response: Message, _flow: Flow) {
        let focus = Arc::clone(&self.0);
        self.0.parts.shutdown.spawn(async move { focus.stray(&response).await });
    }
}
