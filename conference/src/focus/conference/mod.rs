//! One conference: the task that owns a room's call — RFC 4353 §3, RFC 4579 (call control).
//!
//! In    [`Input`]s, silence that the mixer noticed, deadlines. Out responses, BYE, NOTIFY, commands, facts.
//! State legs, subscriptions, the room as it was last known. Ends when neither leg nor subscription is left.
//! Errors one function, one status: see `request`.

mod about;
mod again;
mod calls;
mod departed;
mod dial;
mod hearing;
mod keys;
mod law;
mod mailbox;
mod moderate;
mod payer;
mod pictures;
mod recording;
mod refer;
mod refresh;
mod sound;
mod watchers;

use std::sync::Arc;
use std::time::{Duration, Instant};

use shared_model::{ConferenceEvent, ConferenceSnapshot, Correlation, Fact, RoomAddress, RoomSnapshot};
use sip_core::Message;
use sip_core::header::Name;
use sip_core::subscription::stopping;
use sip_endpoint::Incoming;
use tokio::sync::mpsc;
use tracing::Instrument;

use super::document::Seen;
use super::notifier::{Subscription, Way};
use super::participant::{Participant, Unacknowledged};
use super::policy::Revoked;
use super::session::{Due, Session};
use super::{Focus, Input};
use crate::labels::ConferenceSpan;
use crate::media::quality::Quality;
use crate::media::video::room::PictureRoom;
use crate::mixer::{LegId, Mixer, Spoken};
use about::{ALLOW, EXTENSIONS};
use departed::{Departed, End};
use dial::Dialling;
use mailbox::Mailbox;
use recording::Recording;
use refer::Referring;
use sound::Gone;

pub(super) use again::Asking;
pub(super) use mailbox::Fate;
pub(super) use payer::Payer;
pub(super) use pictures::{Screen, Source};

/// The task's own state.
pub(super) struct Conference {
    focus: Arc<Focus>,
    room: RoomAddress,
    /// The room as it was last known; `None` until it answered for the first time.
    snapshot: Option<RoomSnapshot>,
    participants: Vec<Participant>,
    /// Calls of ours that nobody answered yet.
    dialling: Vec<Dialling>,
    /// People who were asked to call, and have not come yet.
    referring: Vec<Referring>,
    revoked: Revoked,
    subscriptions: Vec<Subscription>,
    departed: Departed,
    /// Room and participants with their contacts, as the subscriptions' documents tell them.
    told: (Option<RoomSnapshot>, Vec<Seen>),
    /// Who speaks, as the mixer told last.
    speaker: Option<LegId>,
    /// When somebody is to be told what they could not be told yet.
    telling: Option<Instant>,
    /// It takes a message, and is nothing else.
    mailbox: Option<Mailbox>,
    recording: Option<Recording>,
    pictures: PictureRoom,
    /// Legs that are out of the mix, and of which the mixer is to say how their sound went.
    gone: Vec<(LegId, Gone)>,
    mixer: Mixer,
    inbox: mpsc::Sender<Input>,
    /// Names legs and subscriptions.
    next: u64,
}

impl Conference {
    /// Starts the task of a room; what it hears goes into the answer.
    /// Nothing if the mixer is overloaded.
    pub(super) fn start(focus: &Arc<Focus>, room: RoomAddress) -> Option<mpsc::Sender<Input>> {
        let (inbox, inputs) = mpsc::channel(INBOX);
        let (notices, heard) = mpsc::channel(NOTICES);
        let parts = focus.parts();
        let mixer = focus.mixers().open(notices)?;
        let mailbox = focus.tickets().take(&room, Instant::now()).map(Mailbox::of);
        let conference = Self {
            focus: Arc::clone(focus),
            room,
            snapshot: None,
            participants: Vec::new(),
            dialling: Vec::new(),
            referring: Vec::new(),
            revoked: Revoked::default(),
            subscriptions: Vec::new(),
            departed: Departed::default(),
            told: (None, Vec::new()),
            speaker: None,
            telling: None,
            mailbox,
            recording: None,
            pictures: PictureRoom::new(&parts.metrics),
            gone: Vec::new(),
            mixer,
            inbox: inbox.clone(),
            next: 0,
        };
        let span = ConferenceSpan { room: &conference.room }.open();
        parts.shutdown.spawn(conference.run(inputs, heard).instrument(span));
        Some(inbox)
    }

    async fn run(mut self, mut inputs: mpsc::Receiver<Input>, mut heard: mpsc::Receiver<Spoken>) {
        let shutdown = self.focus.parts().shutdown.clone();
        let news = self.pictures.news();
        loop {
            let deadline = self.deadline().unwrap_or_else(|| Instant::now() + IDLE);
            tokio::select! {
                Some(input) = inputs.recv() => self.hear(input).await,
                Some(spoken) = heard.recv() => self.notice(spoken).await,
                () = news.notified() => self.offer_more().await,
                () = tokio::time::sleep_until(deadline.into()) => self.timeout().await,
                () = shutdown.begun() => break,
            }
            self.end_unpaid().await;
            self.notify().await;
            if self.is_over() && inputs.is_empty() {
                break;
            }
        }
        self.end_recording().await;
        self.focus.forget(&self.room, &self.inbox);
        self.stop_dialling().await;
        self.stop_referring(None, 487).await;
        // RFC 6665 §4.1.3: who watches may subscribe anew at once.
        self.end_subscriptions(|_| true, &stopping(shared_runtime::random())).await;
        inputs.close();
        for leg in self.participants.iter().map(|participant| participant.leg).collect::<Vec<_>>() {
            self.hang_up(leg, "Conference Over").await;
        }
        // What came between the last look and the forgetting begins a new conference.
        while let Some(input) = inputs.recv().await {
            let begins = match input {
                Input::Request(_) => true,
                Input::CallOut(..) => !shutdown.is_begun(),
                _ => false,
            };
            match input {
                Input::Request(incoming) if shutdown.is_begun() => {
                    incoming.server.respond(Message::response(&incoming.request, 503, "Stopping"));
                }
                _ if begins && self.focus.deliver(self.room.clone(), input).is_err() => {
                    tracing::warn!("a request was lost to an overloaded conference");
                }
                _ => {}
            }
        }
        self.hear_the_last(&mut heard).await;
    }

    fn is_over(&self) -> bool {
        let is_calling = !self.dialling.is_empty() || !self.referring.is_empty();
        self.participants.is_empty() && self.subscriptions.is_empty() && !is_calling
    }

    /// What the mixer noticed.
    async fn notice(&mut self, spoken: Spoken) {
        match spoken {
            Spoken::Silent(leg) => self.end_silent(leg).await,
            Spoken::Impostor(leg) => self.end_impostor(leg).await,
            Spoken::Key(leg, key) => self.press(leg, key).await,
            Spoken::Prompted(leg, serial) => {
                let ending = self.participants.iter().find(|p| p.leg == leg).and_then(|p| p.ending);
                if let Some((_, reason)) = ending {
                    self.hang_up(leg, reason).await;
                } else if self.mailbox.is_some() {
                    self.prompted_at_mailbox(leg, serial).await;
                }
            }
            Spoken::Speaker(leg) => {
                self.speaker = leg;
                if let Some(leg) = leg {
                    self.pictures.speak(leg);
                }
            }
            Spoken::Gone(leg, quality) => {
                let mos = quality.mos();
                self.focus.parts().metrics.call_quality(mos, quality.there.and_then(|heard| heard.mos()));
                self.tell_sound(leg, &quality);
                let Quality { received, lost, lost_there, there, round_trip, jitter, .. } = quality;
                tracing::info!(
                    leg = leg.0,
                    received,
                    lost,
                    lost_there,
                    ?there,
                    ?round_trip,
                    ?jitter,
                    mos,
                    "leg's sound"
                );
            }
        }
    }

    async fn hear(&mut self, input: Input) {
        match input {
            Input::Request(incoming) => {
                self.request(*incoming).await;
                // Who held us, and does no more, sees what began meanwhile.
                self.offer_more().await;
            }
            Input::Ack(ack) => {
                self.ack(&ack).await;
                self.offer_more().await;
            }
            Input::Room(event) => self.room_changed(&event).await,
            Input::Refresh => {
                self.refresh().await;
                if let Some(snapshot) = &self.snapshot {
                    self.revoked.forgive(snapshot);
                }
                self.apply_rules().await;
                self.end_disabled().await;
            }
            Input::AccountEnded(account) => self.account_ended(account).await,
            Input::ProofEnded(account, ended, at) => self.proof_ended(account, &ended, at).await,
            Input::Referred(id, status) => self.referred(id, status).await,
            Input::Dialled(leg, answer) => self.dialled(leg, answer).await,
            Input::Offered(leg, call_id, answer) => {
                self.offer_answered(leg, &call_id, answer).await;
                self.offer_more().await;
            }
            Input::MessageWas(fate) => self.message_was(fate).await,
            Input::Recorded(number) => self.recorded(number).await,
            Input::Record(asker, is_wanted, sender) => {
                // Whoever asked may have gone.
                let _ = sender.send(self.record(asker.as_ref(), is_wanted).await);
            }
            Input::Refreshed(leg, answer) => self.refreshed(leg, answer).await,
            Input::Document(viewer, sender) => {
                // Whoever asked may have gone.
                let _ = sender.send(self.document_for(&viewer));
            }
            Input::CallOut(asker, uri, outcome) => self.call_out(&asker, &uri, outcome).await,
            Input::Unsubscribed(id) => {
                self.subscriptions.retain(|subscription| subscription.id != id);
                self.forget_told(id);
            }
            Input::Adjust(asker, whom, deed, sender) => {
                // Whoever asked may have gone.
                let _ = sender.send(self.adjust(&asker, &whom, deed).await);
            }
            Input::Moderate(call_id, deed, sender) => {
                // Whoever asked may have gone.
                let _ = sender.send(self.moderate(&call_id, deed).await);
            }
            Input::Snapshot(sender) => {
                let joined = self.participants.iter().filter(|participant| participant.is_joined);
                let participants = joined.map(|p| (p.dialog.call_id.clone(), p.shown())).collect();
                // Whoever asked may have gone.
                let (room, is_recorded) = (self.room.clone(), self.recording.is_some());
                let _ = sender.send(ConferenceSnapshot { room, participants, is_recorded });
            }
        }
    }

    async fn request(&mut self, incoming: Incoming) {
        let request = &incoming.request;
        let reply = |status, reason| incoming.server.respond(Message::response(request, status, reason));
        // §8.2.2.3.
        let is_unknown = |option: &&str| !EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(option));
        let unknown: Vec<&str> = request.elements(Name::Require).filter(is_unknown).collect();
        if !unknown.is_empty() {
            let mut response = Message::response(request, 420, "");
            response.push(Name::Unsupported, &unknown.join(", "));
            return incoming.server.respond(response);
        }
        let leg = self.participants.iter().position(|participant| participant.dialog.has(request));
        let subscription = self
            .subscriptions
            .iter()
            .position(|subscription| matches!(&subscription.way, Way::Own(dialog) if dialog.has(request)));
        if request.method() == "SUBSCRIBE" && request.is_in_dialog() && refer::PACKAGE.is_of(request) {
            return self.subscribe_to_refer(incoming, leg).await;
        }
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
        let refusal = self.mailbox.as_ref().and_then(Mailbox::is_closed);
        let is_at_door = leg.is_some_and(|at| self.participants[at].pin.is_some());
        match (request.method(), leg) {
            // Who is inside, and who may come, is not for those before the door.
            ("SUBSCRIBE" | "REFER", Some(_)) if is_at_door => reply(403, "Give The PIN First"),
            ("SUBSCRIBE" | "REFER", _) if self.mailbox.is_some() => reply(403, "This Is A Mailbox"),
            ("INVITE", None) if refusal.is_some() => reply(refusal.unwrap_or(486), ""),
            ("INVITE", None) if self.mailbox.is_some() && !self.participants.is_empty() => reply(486, ""),
            ("INVITE", None) if !request.is_in_dialog() => self.invite(incoming).await,
            ("INVITE" | "UPDATE", Some(at)) => self.change(at, incoming).await,
            ("BYE", Some(at)) => {
                let end = End::departed(request);
                reply(200, "");
                self.leave(at, end).await;
            }
            ("REFER", leg) if leg.is_some() || !request.is_in_dialog() => self.refer(incoming, leg).await,
            ("INFO", Some(at)) => self.info(at, incoming).await,
            ("SUBSCRIBE", leg) => self.subscribe(incoming, leg, subscription).await,
            ("OPTIONS", leg) => {
                let response = match self.would_refuse(request, leg).await {
                    Some((status, reason)) => Message::response(request, status, reason),
                    None => self.taken(request, 200),
                };
                incoming.server.respond(response);
            }
            // §15.1.2, §12.2.2: of no dialog that there is.
            ("BYE" | "UPDATE" | "INFO", None) => reply(481, ""),
            // RFC 3262 §3: it acknowledges nothing that we sent.
            ("PRACK", _) => reply(481, ""),
            ("MESSAGE", _) => {
                // S-02: chat goes to the room, not to its call.
                let mut response = Message::response(request, 405, "Chat Is At The Room's JID");
                response.push(Name::Allow, ALLOW);
                incoming.server.respond(response);
            }
            _ => {
                let mut response = Message::response(request, 405, "");
                response.push(Name::Allow, ALLOW);
                incoming.server.respond(response);
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let legs = self.participants.iter().filter_map(|participant| participant.unacknowledged.as_ref());
        let subscriptions = self.subscriptions.iter().map(|subscription| subscription.expires);
        let typing = self.participants.iter().filter_map(|participant| Some(participant.pin.as_ref()?.until));
        let ending = self.participants.iter().filter_map(|participant| Some(participant.ending?.0));
        let sessions = self.participants.iter().filter_map(|participant| participant.session.as_ref());
        let sessions = sessions.map(Session::deadline);
        legs.map(Unacknowledged::deadline)
            .chain(sessions)
            .chain(subscriptions)
            .chain(typing)
            .chain(ending)
            .chain(self.participants.iter().filter_map(|participant| participant.asking.deadline()))
            .chain(self.participants.iter().filter_map(|participant| participant.payer.as_ref()?.deadline()))
            .chain(self.telling)
            .chain(self.departed.deadline())
            .chain(self.referring.iter().map(|referring| referring.until))
            .chain(self.mailbox.as_ref().and_then(|mailbox| mailbox.until))
            .min()
    }

    async fn timeout(&mut self) {
        let now = Instant::now();
        self.departed.timeout(now);
        let mut lost = Vec::new();
        for participant in &mut self.participants {
            if let Some(unacknowledged) = &mut participant.unacknowledged
                && !unacknowledged.timeout(now)
            {
                participant.unacknowledged = None;
                lost.push(participant.leg);
            }
        }
        let ended = self.participants.iter().filter_map(|participant| {
            let is_slow = participant.pin.as_ref().is_some_and(|pin| pin.until <= now);
            let ending = participant.ending.filter(|(until, _)| *until <= now);
            let reason = ending.map(|(_, reason)| reason).or(is_slow.then_some("No PIN"))?;
            Some((participant.leg, reason))
        });
        let ended: Vec<_> = ended.collect();
        if self.mailbox.as_ref().and_then(|mailbox| mailbox.until).is_some_and(|until| until <= now) {
            self.mailbox_is_over().await;
        }
        let due = |p: &Participant| Some((p.leg, p.session.as_ref()?.due(now)?));
        let due: Vec<_> = self.participants.iter().filter_map(due).collect();
        for (leg, due) in due {
            match due {
                Due::Refresh => self.refresh_session(leg).await,
                Due::Over => self.hang_up(leg, "Session Expired").await,
            }
        }
        for (leg, reason) in ended {
            self.hang_up(leg, reason).await;
        }
        self.stop_referring(Some(now), 408).await;
        if self.participants.iter().any(|p| p.asking.deadline().is_some_and(|next| next <= now)) {
            self.offer_more().await;
        }
        for leg in lost {
            // §13.3.1.4: without an ACK the session is ended.
            self.hang_up(leg, "No ACK").await;
        }
        self.end_subscriptions(|subscription| subscription.expires <= now, "timeout").await;
    }

    fn publish(&self, call_id: &str, event: ConferenceEvent) {
        if self.mailbox.is_some() {
            return;
        }
        self.focus.parts().bus.publish(Fact::new(Correlation::of_call(call_id), event));
    }

    fn random(&self) -> u64 {
        self.focus.endpoint().map_or(0, sip_endpoint::Endpoint::random)
    }

    fn name(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

/// Messages that wait for a conference: more than legs that call a full one at once.
const INBOX: usize = 2_048;
/// Notices of the mixer that wait.
const NOTICES: usize = 64;
/// How long to sleep when nothing is due.
const IDLE: Duration = Duration::from_secs(3600);
