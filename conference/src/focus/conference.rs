//! One conference: the task that owns a room's call — RFC 4353 §3, RFC 4579 (call control).
//!
//! In    [`Input`]s, silence that the mixer noticed, deadlines. Out responses, BYE, NOTIFY, commands, facts.
//! State legs, subscriptions, the room as it was last known. Ends when neither leg nor subscription is left.
//! Errors one function, one status: see `request`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use shared_model::{
    BareJid, ConferenceEvent, ConferenceSnapshot, Correlation, Fact, RoomAddress, RoomEvent, RoomSnapshot,
};
use sip_core::Message;
use sip_core::header::Name;
use sip_core::sdp::Direction;
use sip_endpoint::Incoming;
use tokio::sync::mpsc;

use super::admission::caller;
use super::answer::{self, Agreed, Origin};
use super::dialog::Dialog;
use super::document::View;
use super::notifier::{BRIEFEST, Subscription, Wanted, Way, Wrong};
use super::participant::{Participant, Unacknowledged};
use super::policy::{self, Refusal, Removal, Voice};
use super::{Focus, Input};
use crate::media::leg::{RtpLeg, UnboundLeg};
use crate::mixer::{Command, LegId, Mixer, Spoken};

/// The task's own state.
pub(super) struct Conference {
    focus: Arc<Focus>,
    room: RoomAddress,
    /// The room as it was last known; `None` until it answered for the first time.
    snapshot: Option<RoomSnapshot>,
    participants: Vec<Participant>,
    subscriptions: Vec<Subscription>,
    mixer: Mixer,
    inbox: mpsc::Sender<Input>,
    /// Names legs and subscriptions.
    next: u64,
}

impl Conference {
    /// Starts the task of a room; what it hears goes into the answer.
    pub(super) fn start(focus: &Arc<Focus>, room: RoomAddress) -> mpsc::Sender<Input> {
        let (inbox, inputs) = mpsc::channel(INBOX);
        let (notices, heard) = mpsc::channel(NOTICES);
        let parts = focus.parts();
        let mixer = Mixer::start(&parts.config, parts.metrics.mixer(), notices);
        let conference = Self {
            focus: Arc::clone(focus),
            room,
            snapshot: None,
            participants: Vec::new(),
            subscriptions: Vec::new(),
            mixer,
            inbox: inbox.clone(),
            next: 0,
        };
        parts.shutdown.spawn(conference.run(inputs, heard));
        inbox
    }

    async fn run(mut self, mut inputs: mpsc::Receiver<Input>, mut heard: mpsc::Receiver<Spoken>) {
        let shutdown = self.focus.parts().shutdown.clone();
        loop {
            let deadline = self.deadline().unwrap_or_else(|| Instant::now() + IDLE);
            tokio::select! {
                Some(input) = inputs.recv() => self.hear(input).await,
                Some(Spoken::Silent(leg)) = heard.recv() => self.hang_up(leg, "No Media").await,
                () = tokio::time::sleep_until(deadline.into()) => self.timeout().await,
                () = shutdown.begun() => break,
            }
            self.notify().await;
            if self.is_over() && inputs.is_empty() {
                break;
            }
        }
        self.focus.forget(&self.room, &self.inbox);
        inputs.close();
        for leg in self.participants.iter().map(|participant| participant.leg).collect::<Vec<_>>() {
            self.hang_up(leg, "Conference Over").await;
        }
        // What came between the last look and the forgetting begins a new conference.
        while let Some(input) = inputs.recv().await {
            if matches!(input, Input::Request(_))
                && !shutdown.is_begun()
                && self.focus.deliver(self.room.clone(), input).is_err()
            {
                tracing::warn!(room = %self.room, "a request was lost to an overloaded conference");
            }
        }
    }

    fn is_over(&self) -> bool {
        self.participants.is_empty() && self.subscriptions.is_empty()
    }

    async fn hear(&mut self, input: Input) {
        match input {
            Input::Request(incoming) => self.request(*incoming).await,
            Input::Ack(ack) => self.ack(&ack).await,
            Input::Room(event) => self.room_changed(&event).await,
            Input::Refresh => {
                self.refresh().await;
                self.apply_rules().await;
            }
            Input::AccountEnded(account) => {
                let is_theirs =
                    |p: &Participant| p.caller.card.as_ref().is_some_and(|card| card.account == account);
                self.hang_up_where(is_theirs, "Account Disabled").await;
            }
            Input::Unsubscribed(id) => self.subscriptions.retain(|subscription| subscription.id != id),
            Input::Snapshot(sender) => {
                let joined = self.participants.iter().filter(|participant| participant.is_joined);
                let participants = joined.map(Participant::shown).collect();
                // Whoever asked may have gone.
                let _ = sender.send(ConferenceSnapshot { room: self.room.clone(), participants });
            }
        }
    }

    async fn request(&mut self, incoming: Incoming) {
        let request = &incoming.request;
        let reply = |status, reason| incoming.server.respond(Message::response(request, status, reason));
        // §8.2.2.3: we have no extensions that somebody could insist on.
        if let Some(wanted) = request.elements(Name::Require).next() {
            let mut response = Message::response(request, 420, "");
            response.push(Name::Unsupported, wanted);
            return incoming.server.respond(response);
        }
        let leg = self.participants.iter().position(|participant| participant.dialog.has(request));
        let subscription = self
            .subscriptions
            .iter()
            .position(|subscription| matches!(&subscription.way, Way::Own(dialog) if dialog.has(request)));
        if request.is_in_dialog() && leg.is_none() && subscription.is_none() {
            return reply(481, "");
        }
        let dialog = match (leg, subscription) {
            (Some(at), _) => Some(&mut self.participants[at].dialog),
            (None, Some(at)) => match &mut self.subscriptions[at].way {
                Way::Own(dialog) => Some(&mut **dialog),
                Way::Leg(_) => None,
            },
            (None, None) => None,
        };
        if let Some(dialog) = dialog
            && !dialog.accept(request, incoming.flow)
        {
            // §12.2.2: out of order.
            return reply(500, "");
        }
        match (request.method(), leg) {
            ("INVITE", None) if !request.is_in_dialog() => self.invite(incoming).await,
            ("INVITE" | "UPDATE", Some(at)) => self.change(at, incoming).await,
            ("BYE", Some(at)) => {
                reply(200, "");
                self.leave(at, "noresource").await;
            }
            ("SUBSCRIBE", leg) => self.subscribe(incoming, leg, subscription).await,
            ("OPTIONS", _) => incoming.server.respond(self.describe(Message::response(request, 200, ""))),
            ("MESSAGE", _) => {
                // S-02: chat goes to the room, not to its call.
                reply(405, "Chat Is At The Room's JID");
            }
            _ => {
                let mut response = Message::response(request, 405, "");
                response.push(Name::Allow, ALLOW);
                incoming.server.respond(response);
            }
        }
    }

    /// RFC 4579 §5.1: a call to the conference URI joins.
    async fn invite(&mut self, incoming: Incoming) {
        let request = &incoming.request;
        let refuse = |status, reason| incoming.server.respond(Message::response(request, status, reason));
        let caller = caller(request, &self.focus.parts().accounts).await;
        let jid = caller.card.as_ref().map(|card| &card.jid);
        let voice = match self.admit(jid).await {
            Ok(voice) => voice,
            Err(refusal) => {
                let (status, reason) = refusal.status();
                tracing::info!(room = %self.room, reason, "call refused");
                return refuse(status, reason);
            }
        };
        if self.participants.len() >= MOST_LEGS {
            return refuse(486, "Conference Is Full");
        }
        let Ok(offer) = std::str::from_utf8(request.body()) else { return refuse(400, "Body Is Not UTF-8") };
        let ip = self.local_ip(answer::media_ip(offer));
        let Ok(leg) = UnboundLeg::bind(self.focus.ports(), bind_ip(&self.focus, ip)) else {
            tracing::warn!("no RTP port is free");
            return refuse(503, "No Media Port Is Free");
        };
        let local = std::net::SocketAddr::new(ip, leg.local().port());
        let origin = Origin { session: self.random(), version: 1, local };
        let agreed = match offer.is_empty() {
            true => None,
            false => match answer::answer(offer, origin) {
                Some(agreed) => Some(agreed),
                None => return refuse(488, ""),
            },
        };
        if incoming.server.is_cancelled() {
            return refuse(487, "");
        }
        let mut response = self.describe(Message::response(request, 200, ""));
        for route in request.elements(Name::RecordRoute) {
            response.push(Name::RecordRoute, route);
        }
        let Some(dialog) = Dialog::begun_by(request, &response, incoming.flow) else {
            return refuse(400, "No Contact To Call");
        };
        let body = agreed.as_ref().map_or_else(|| answer::offer(origin), |agreed| agreed.text.clone());
        response.set_body("application/sdp", body.into());
        let id = LegId(self.name());
        let mut participant = Participant {
            leg: id,
            dialog,
            caller,
            voice,
            direction: Direction::SendReceive,
            origin,
            unanswered: None,
            unacknowledged: None,
            is_joined: false,
        };
        match agreed {
            Some(agreed) => self.join(&mut participant, leg, agreed).await,
            None => participant.unanswered = Some(leg),
        }
        participant.unacknowledged = Some(Unacknowledged::send(response, incoming.server, Instant::now()));
        self.participants.push(participant);
    }

    /// Starts a leg's sound and tells the world.
    async fn join(&mut self, participant: &mut Participant, leg: UnboundLeg, agreed: Agreed) {
        participant.direction = agreed.direction;
        let rtp: Option<RtpLeg> = leg.start(agreed.negotiated, self.random(), Instant::now());
        let Some(rtp) = rtp else { return tracing::error!("no memory for a codec") };
        self.mixer.tell(Command::Add(participant.leg, Box::new(rtp), participant.gate())).await;
        participant.is_joined = true;
        let call_id = participant.dialog.call_id.clone();
        tracing::info!(room = %self.room, call = %call_id, "participant joined");
        let shown = participant.shown();
        self.publish(
            &call_id.clone(),
            ConferenceEvent::ParticipantJoined { room: self.room.clone(), call_id, participant: shown },
        );
    }

    /// A re-INVITE or UPDATE: hold, resume, another address or codec (RFC 3264 §8).
    async fn change(&mut self, at: usize, incoming: Incoming) {
        let request = &incoming.request;
        let participant = &mut self.participants[at];
        if request.method() == "INVITE" && participant.unacknowledged.is_some() {
            // §14.2: one INVITE at a time.
            return incoming.server.respond(Message::response(request, 491, ""));
        }
        participant.origin.version += 1;
        let offer = String::from_utf8_lossy(request.body()).into_owned();
        let mut body = String::new();
        if !offer.is_empty() {
            let Some(agreed) = answer::answer(&offer, participant.origin) else {
                return incoming.server.respond(Message::response(request, 488, ""));
            };
            participant.direction = agreed.direction;
            let (leg, gate) = (participant.leg, participant.gate());
            self.mixer.tell(Command::Renegotiate(leg, agreed.negotiated)).await;
            self.mixer.tell(Command::SetGate(leg, gate)).await;
            body = agreed.text;
            self.tell_changed(at);
        } else if request.method() == "INVITE" {
            body = answer::offer(participant.origin);
        }
        let mut response = self.describe(Message::response(request, 200, ""));
        if !body.is_empty() {
            response.set_body("application/sdp", body.into());
        }
        match request.method() {
            "INVITE" => {
                let sent = Unacknowledged::send(response, incoming.server, Instant::now());
                self.participants[at].unacknowledged = Some(sent);
            }
            _ => incoming.server.respond(response),
        }
    }

    async fn ack(&mut self, ack: &Message) {
        let Some(at) = self.participants.iter().position(|participant| participant.dialog.has(ack)) else {
            return;
        };
        self.participants[at].unacknowledged = None;
        let text = std::str::from_utf8(ack.body()).unwrap_or_default();
        let agreed = answer::answered(text);
        let leg = self.participants[at].unanswered.take();
        match (leg, agreed) {
            (Some(leg), Some(agreed)) => {
                let mut participant = self.participants.remove(at);
                self.join(&mut participant, leg, agreed).await;
                self.participants.insert(at, participant);
            }
            (Some(_), None) => self.hang_up_at(at, "No Answer To Our Offer").await,
            (None, Some(agreed)) => {
                let participant = &mut self.participants[at];
                participant.direction = agreed.direction;
                let (leg, gate) = (participant.leg, participant.gate());
                self.mixer.tell(Command::Renegotiate(leg, agreed.negotiated)).await;
                self.mixer.tell(Command::SetGate(leg, gate)).await;
                self.tell_changed(at);
            }
            (None, None) => {}
        }
    }

    async fn subscribe(&mut self, incoming: Incoming, leg: Option<usize>, own: Option<usize>) {
        let request = &incoming.request;
        let wanted = match Wanted::read(request) {
            Ok(wanted) => wanted,
            Err(wrong) => return incoming.server.respond(refuse_subscription(request, wrong)),
        };
        let known = own.or_else(|| {
            let leg = self.participants[leg?].leg;
            let is_it = |subscription: &Subscription| {
                matches!(subscription.way, Way::Leg(of) if of == leg)
                    && subscription.event_id == wanted.event_id
            };
            self.subscriptions.iter().position(is_it)
        });
        let mut response = self.describe(Message::response(request, 200, ""));
        response.push(Name::Expires, &wanted.expires.as_secs().to_string());
        let expires = Instant::now() + wanted.expires;
        if let Some(at) = known {
            incoming.server.respond(response);
            self.subscriptions[at].expires = expires;
            self.subscriptions[at].forget();
        } else {
            let way = match leg {
                Some(at) => Way::Leg(self.participants[at].leg),
                None => {
                    let caller = caller(request, &self.focus.parts().accounts).await;
                    if let Err(refusal) = self.admit(caller.card.as_ref().map(|card| &card.jid)).await {
                        let (status, reason) = refusal.status();
                        return incoming.server.respond(Message::response(request, status, reason));
                    }
                    for route in request.elements(Name::RecordRoute) {
                        response.push(Name::RecordRoute, route);
                    }
                    match Dialog::begun_by(request, &response, incoming.flow) {
                        Some(dialog) => Way::Own(Box::new(dialog)),
                        None => {
                            return incoming.server.respond(Message::response(request, 400, "No Contact"));
                        }
                    }
                }
            };
            if self.subscriptions.len() >= MOST_SUBSCRIPTIONS {
                return incoming.server.respond(Message::response(request, 503, ""));
            }
            incoming.server.respond(response);
            let id = self.name();
            self.subscriptions.push(Subscription::new(id, way, wanted.event_id, expires));
        }
        if wanted.expires.is_zero() {
            // RFC 6665 §4.4.3: a fetch gets the whole, then the end.
            self.notify().await;
            self.end_subscriptions(|subscription| subscription.expires <= expires, "timeout").await;
        }
    }

    /// Tells every subscription what it does not know yet.
    async fn notify(&mut self) {
        let joined = self.participants.iter().filter(|participant| participant.is_joined);
        let shown: Vec<_> = joined.map(|p| (p.shown(), p.dialog.target().to_owned())).collect();
        let view = View::of(&self.room, self.snapshot.as_ref(), &shown);
        let entity = self.room.to_sip_uri();
        let (contact, now) = (self.contact(), Instant::now());
        let mut due = Vec::new();
        for subscription in self.subscriptions.iter_mut().filter(|subscription| subscription.is_behind(&view))
        {
            let Some((mut notify, flow)) = in_dialog(&mut self.participants, subscription, &contact) else {
                continue;
            };
            if subscription.tell(&view, &entity, &mut notify, now) {
                due.push((Some(subscription.id), notify, flow));
            }
        }
        self.send_all(due).await;
    }

    async fn end_subscriptions(&mut self, ends: impl Fn(&Subscription) -> bool, reason: &str) {
        let contact = self.contact();
        let (ended, kept) = self.subscriptions.drain(..).partition(|subscription| ends(subscription));
        self.subscriptions = kept;
        let ended: Vec<Subscription> = ended;
        let mut due = Vec::new();
        for mut subscription in ended {
            let Some((mut notify, flow)) = in_dialog(&mut self.participants, &mut subscription, &contact)
            else {
                continue;
            };
            subscription.end(reason, &mut notify);
            due.push((None, notify, flow));
        }
        self.send_all(due).await;
    }

    /// Sends requests and listens, beside this task, whether their subscriptions are still wanted.
    async fn send_all(&mut self, requests: Vec<(Option<u64>, Message, sip_endpoint::Flow)>) {
        let Some(endpoint) = self.focus.endpoint() else { return };
        for (subscription, request, flow) in requests {
            let sent = endpoint.request(request, flow, "0").await;
            let inbox = self.inbox.clone();
            tokio::spawn(async move {
                let is_gone = match sent.last().await {
                    // RFC 6665 §4.2.2: these end a subscription.
                    Ok(response) => {
                        matches!(response.status(), 404 | 405 | 410 | 416 | 480..=485 | 489 | 501 | 604)
                    }
                    Err(_) => true,
                };
                if let Some(id) = subscription.filter(|_| is_gone) {
                    // A conference that has ended has no subscriptions either.
                    let _ = inbox.send(Input::Unsubscribed(id)).await;
                }
            });
        }
    }

    async fn room_changed(&mut self, event: &RoomEvent) {
        if let Some(snapshot) = &mut self.snapshot {
            policy::learn(snapshot, event);
        }
        match policy::removal(event) {
            Some(Removal::Of(jid)) => {
                let is_theirs = |p: &Participant| p.caller.card.as_ref().is_some_and(|card| card.jid == jid);
                self.hang_up_where(is_theirs, "Removed From The Room").await;
            }
            Some(Removal::All) => {
                self.hang_up_where(|_| true, "Room Destroyed").await;
                return self.end_subscriptions(|_| true, "noresource").await;
            }
            None => {}
        }
        if matches!(event, RoomEvent::ConfigurationChanged { .. } | RoomEvent::Created { .. }) {
            self.refresh().await;
        }
        self.apply_rules().await;
    }

    /// Holds every leg to the room's rules as they are known now.
    async fn apply_rules(&mut self) {
        let Some(snapshot) = &self.snapshot else { return };
        let mut changed = Vec::new();
        let mut banned = Vec::new();
        for (at, participant) in self.participants.iter_mut().enumerate() {
            let jid = participant.caller.card.as_ref().map(|card| &card.jid);
            if policy::admit(snapshot, jid) == Err(Refusal::Banned) {
                banned.push(participant.leg);
            }
            let voice = policy::voice(snapshot, jid);
            if participant.voice != voice {
                participant.voice = voice;
                changed.push(at);
            }
        }
        for at in changed {
            let (leg, gate) = (self.participants[at].leg, self.participants[at].gate());
            self.mixer.tell(Command::SetGate(leg, gate)).await;
            self.tell_changed(at);
        }
        for leg in banned {
            self.hang_up(leg, "Banned").await;
        }
    }

    /// Asks the room anew; what was known stays if it does not answer.
    async fn refresh(&mut self) {
        match self.focus.parts().rooms.room(&self.room).await {
            Ok(snapshot) => self.snapshot = snapshot,
            Err(unavailable) => tracing::debug!(room = %self.room, %unavailable, "the room was not asked"),
        }
    }

    /// Whether somebody may join or watch. While the chat half is down, what was known last holds; a room of which
    /// nothing is known admits accounts of ours.
    async fn admit(&mut self, jid: Option<&BareJid>) -> Result<Voice, Refusal> {
        match self.focus.parts().rooms.room(&self.room).await {
            Ok(snapshot) => self.snapshot = snapshot,
            Err(_) if self.snapshot.is_none() => {
                return jid.map(|_| Voice::Granted).ok_or(Refusal::MembersOnly);
            }
            Err(_) => {}
        }
        policy::admit(self.snapshot.as_ref().ok_or(Refusal::NoSuchRoom)?, jid)
    }

    fn deadline(&self) -> Option<Instant> {
        let legs = self.participants.iter().filter_map(|participant| participant.unacknowledged.as_ref());
        let subscriptions = self.subscriptions.iter().map(|subscription| subscription.expires);
        legs.map(Unacknowledged::deadline).chain(subscriptions).min()
    }

    async fn timeout(&mut self) {
        let now = Instant::now();
        let mut lost = Vec::new();
        for participant in &mut self.participants {
            if let Some(unacknowledged) = &mut participant.unacknowledged
                && !unacknowledged.timeout(now)
            {
                participant.unacknowledged = None;
                lost.push(participant.leg);
            }
        }
        for leg in lost {
            // §13.3.1.4: without an ACK the session is ended.
            self.hang_up(leg, "No ACK").await;
        }
        self.end_subscriptions(|subscription| subscription.expires <= now, "timeout").await;
    }

    async fn hang_up_where(&mut self, is_meant: impl Fn(&Participant) -> bool, reason: &str) {
        let meant: Vec<LegId> = self.participants.iter().filter(|p| is_meant(p)).map(|p| p.leg).collect();
        for leg in meant {
            self.hang_up(leg, reason).await;
        }
    }

    async fn hang_up(&mut self, leg: LegId, reason: &str) {
        if let Some(at) = self.participants.iter().position(|participant| participant.leg == leg) {
            self.hang_up_at(at, reason).await;
        }
    }

    async fn hang_up_at(&mut self, at: usize, reason: &str) {
        let contact = self.contact();
        let leg = self.participants[at].leg;
        self.end_subscriptions(
            |subscription| matches!(subscription.way, Way::Leg(of) if of == leg),
            "noresource",
        )
        .await;
        let dialog = &mut self.participants[at].dialog;
        let mut bye = dialog.request("BYE", &contact);
        // RFC 3326: why, for whoever looks at the call.
        bye.push(Name::Reason, &format!("SIP;cause=200;text=\"{reason}\""));
        let flow = dialog.flow;
        self.leave(at, "noresource").await;
        self.send_all(vec![(None, bye, flow)]).await;
    }

    /// Takes a leg out of the mix and tells the world.
    async fn leave(&mut self, at: usize, reason: &str) {
        let leg = self.participants[at].leg;
        self.end_subscriptions(|subscription| matches!(subscription.way, Way::Leg(of) if of == leg), reason)
            .await;
        let participant = self.participants.remove(at);
        self.mixer.tell(Command::Remove(leg)).await;
        let call_id = participant.dialog.call_id.clone();
        tracing::info!(room = %self.room, call = %call_id, "participant left");
        if participant.is_joined {
            let shown = participant.shown();
            self.publish(
                &call_id.clone(),
                ConferenceEvent::ParticipantLeft { room: self.room.clone(), call_id, participant: shown },
            );
        }
    }

    fn tell_changed(&self, at: usize) {
        let participant = &self.participants[at];
        let call_id = participant.dialog.call_id.clone();
        self.publish(
            &call_id.clone(),
            ConferenceEvent::ParticipantChanged {
                room: self.room.clone(),
                call_id,
                participant: participant.shown(),
            },
        );
    }

    fn publish(&self, call_id: &str, event: ConferenceEvent) {
        self.focus.parts().bus.publish(Fact::new(Correlation::of_call(call_id), event));
    }

    /// What a 2xx says about us: RFC 4579 §5.1 and RFC 3840 (`isfocus`).
    fn describe(&self, mut response: Message) -> Message {
        response.push(Name::Contact, &self.contact());
        response.push(Name::Allow, ALLOW);
        response.push(Name::AllowEvents, "conference");
        response.push(Name::Accept, "application/sdp");
        response.push(Name::Supported, "");
        response
    }

    fn contact(&self) -> String {
        format!("<{}>;isfocus", self.room.to_sip_uri())
    }

    /// The address that our descriptions name.
    fn local_ip(&self, towards: Option<std::net::IpAddr>) -> std::net::IpAddr {
        let config = &self.focus.parts().config;
        let bound = Some(config.media.ip()).filter(|ip| !ip.is_unspecified());
        config.advertised.or(bound).unwrap_or_else(|| answer::local_ip(towards))
    }

    fn random(&self) -> u64 {
        self.focus.endpoint().map_or(0, sip_endpoint::Endpoint::random)
    }

    fn name(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

/// Begins a NOTIFY in the subscription's dialog.
fn in_dialog(
    participants: &mut [Participant],
    subscription: &mut Subscription,
    contact: &str,
) -> Option<(Message, sip_endpoint::Flow)> {
    let dialog = match &mut subscription.way {
        Way::Own(dialog) => dialog,
        Way::Leg(leg) => &mut participants.iter_mut().find(|participant| participant.leg == *leg)?.dialog,
    };
    Some((dialog.request("NOTIFY", contact), dialog.flow))
}

fn refuse_subscription(request: &Message, wrong: Wrong) -> Message {
    let (status, name, value) = match wrong {
        Wrong::Event => (489, Name::AllowEvents, "conference".to_owned()),
        Wrong::Accept => (406, Name::Accept, super::notifier::DOCUMENT.to_owned()),
        Wrong::TooBrief => (423, Name::MinExpires, BRIEFEST.as_secs().to_string()),
    };
    let mut response = Message::response(request, status, "");
    response.push(name, &value);
    response
}

/// The address to bind: the configured one, or any of the family that is advertised.
fn bind_ip(focus: &Focus, advertised: std::net::IpAddr) -> std::net::IpAddr {
    match focus.parts().config.media.ip() {
        ip if !ip.is_unspecified() => ip,
        _ if advertised.is_ipv4() => std::net::Ipv4Addr::UNSPECIFIED.into(),
        _ => std::net::Ipv6Addr::UNSPECIFIED.into(),
    }
}

const ALLOW: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, SUBSCRIBE";
/// Messages that wait for a conference.
const INBOX: usize = 256;
/// Notices of the mixer that wait.
const NOTICES: usize = 64;
const MOST_LEGS: usize = 200;
const MOST_SUBSCRIPTIONS: usize = 1000;
/// How long to sleep when nothing is due.
const IDLE: Duration = Duration::from_secs(3600);
