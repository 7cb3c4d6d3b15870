//! Calls of a conference: joining, changing, leaving — RFC 4579 §5.1, RFC 3261 §13.3, §14.2, §15; RFC 3264.

use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime};

use shared_model::ConferenceEvent;
use sip_core::Message;
use sip_core::header::Name;
use sip_core::sdp::Direction;
use sip_endpoint::Incoming;

use super::super::admission::{Caller, caller, came_from, device};
use super::super::answer::{self, Agreed, Origin, Ours, Unfit};
use super::super::dialog::Dialog;
use super::super::document::Person;
use super::super::dtls;
use super::super::keys::{Pin, is_pin};
use super::super::named::{Names, Relation, is_early_only, relation};
use super::super::notifier::{Subscription, Way};
use super::super::offer::{self, Offered};
use super::super::participant::{AtTheDoor, Participant, Unacknowledged};
use super::super::policy::{self, Refusal};
use super::super::sdes::Keys;
use super::super::session::{Session, too_brief};
use super::super::video;
use super::departed::{End, languages};
use super::{Conference, Source};
use crate::config::Secrecy;
use crate::labels::LegSpan;
use crate::media::dtls::Dtls;
use crate::media::leg::{RtpLeg, UnboundLeg};
use crate::media::ports::PortsError;
use crate::media::srtp::Crypto;
use crate::media::web::{Credentials, Role, Theirs};
use crate::mixer::{Command, LegId, Prompt};

/// A browser that checks anew: what we say of ourselves then, what it says, and whether that is other than before.
struct Anew {
    ours: Option<Ours>,
    theirs: Theirs,
    is_other: bool,
}

impl Conference {
    /// What an INVITE in the place of this would be refused with (RFC 3261 §11.2).
    pub(super) async fn would_refuse(
        &mut self,
        request: &Message,
        leg: Option<usize>,
    ) -> Option<(u16, &'static str)> {
        if leg.is_some() || self.mailbox.is_some() {
            return None;
        }
        let caller = caller(request, &self.focus.parts().accounts).await;
        let jid = caller.card.as_ref().map(|card| &card.jid);
        self.refresh().await;
        let strangers = self.focus.parts().config.strangers || caller.is_by_number;
        let refusal = match &self.snapshot {
            Some(snapshot) => policy::admit(snapshot, jid, strangers).err()?,
            None => Refusal::NoSuchRoom,
        };
        // Who has to type a PIN is let in to type it.
        (refusal != Refusal::PinWanted).then(|| refusal.status())
    }

    /// RFC 4579 §5.1: a call to the conference URI joins.
    pub(super) async fn invite(&mut self, incoming: Incoming) {
        let request = &incoming.request;
        let refuse = |status, reason| incoming.server.respond(Message::response(request, status, reason));
        let relation = match relation(request) {
            Ok(relation) => relation,
            Err(status) => return refuse(status, ""),
        };
        let named = match &relation {
            Some(Relation::Replaces(names) | Relation::Joins(names)) => match self.leg_named(names) {
                Some(at) => Some(at),
                // RFC 3891 §3, RFC 3911 §4: no such dialog.
                None => return refuse(481, ""),
            },
            None => None,
        };
        let replaced = named.filter(|_| matches!(relation, Some(Relation::Replaces(_))));
        if replaced.is_some() && is_early_only(request) {
            return refuse(486, "It Is Answered"); // RFC 3891 §3
        }
        let is_full = self.participants.len() + self.dialling.len() >= self.focus.parts().config.legs;
        if replaced.is_none() && is_full {
            return refuse(486, "Conference Is Full");
        }
        let session = match Session::asked_by(request, Instant::now()) {
            Ok(session) => session,
            Err(least) => return incoming.server.respond(too_brief(request, least)),
        };
        let caller = caller(request, &self.focus.parts().accounts).await;
        if replaced.is_some_and(|at| !self.may_replace(at, &caller, request)) {
            return refuse(403, "That Call Is Another's");
        }
        if let Err((status, reason)) = self.opens_for(&caller) {
            return refuse(status, reason);
        }
        let source = came_from(request, &incoming.flow);
        let jid = caller.card.as_ref().map(|card| &card.jid);
        let admitted = self.admit(jid, caller.is_by_number).await;
        let is_at_door = admitted == Err(Refusal::PinWanted) && self.may_type_pin(&caller.guesser(source));
        let voice = match admitted {
            Ok(voice) => voice,
            Err(_) if is_at_door => self.voice(jid),
            Err(refusal) => {
                let (status, reason) = refusal.status();
                let account = caller.card.as_ref().map(|card| card.account);
                LegSpan { call: request.call_id(), account }
                    .open()
                    .in_scope(|| tracing::info!(reason, "call refused"));
                return refuse(status, reason);
            }
        };
        // Who takes another's place comes in by their own right. Who has that by a PIN alone shows it first, and takes nobody's place before.
        let account = |caller: &Caller| caller.card.as_ref().map(|card| card.account);
        // A device has one leg: what calls again was cut off from it.
        let device = device(request).filter(|_| account(&caller).is_some());
        let is_again = |p: &Participant| {
            device.is_some() && p.device == device && account(&p.caller) == account(&caller)
        };
        let replaced = replaced.or_else(|| self.participants.iter().position(is_again));
        let is_own = replaced.is_some_and(|at| {
            let theirs = account(&self.participants[at].caller);
            theirs.is_some() && theirs == account(&caller)
        });
        let replaced = replaced.filter(|_| is_own || !is_at_door);
        if replaced.is_none() && is_full {
            return refuse(486, "Conference Is Full");
        }
        let Ok(offer) = std::str::from_utf8(request.body()) else { return refuse(400, "Body Is Not UTF-8") };
        let ip = self.focus.local_ip(answer::media_ip(offer), source);
        let is_browser = answer::is_browser(offer);
        let mut leg = match self.wire(ip, is_browser) {
            Ok(leg) => leg,
            Err(error) => return incoming.server.respond(no_wire(request, error)),
        };
        let ours = ours(&leg);
        let local = std::net::SocketAddr::new(ip, leg.local().port());
        let origin = Origin { session: self.random(), version: 1, local };
        let browsers = ours.as_ref().map(|_| local.port());
        let mut pictures = match offer.is_empty() {
            true => self.pictures_at(origin, browsers),
            false => self.pictures_for(offer, origin, browsers),
        };
        let our_pictures = pictures.as_ref().map(|(ours, _)| ours);
        let agreed = match offer.is_empty() {
            true => None,
            false => {
                let keys = Keys { dtls: Some(self.handshake(None, source)), ..self.keys(&caller, None) };
                let agreed = answer::answer(offer, origin, &keys, ours.as_ref(), our_pictures);
                match agreed.and_then(|agreed| agreed.between(ip, source)) {
                    Ok(agreed) => Some(agreed),
                    Err(unfit) => return incoming.server.respond(self.not_acceptable(request, unfit)),
                }
            }
        };
        if incoming.server.is_cancelled() {
            return refuse(487, "");
        }
        let mut response = self.taken(request, 200);
        for route in request.elements(Name::RecordRoute) {
            response.push(Name::RecordRoute, route);
        }
        if let Some(session) = &session {
            session.tell(&mut response);
        }
        let Some(dialog) = Dialog::begun_by(request, &response, incoming.flow) else {
            return refuse(400, "No Contact To Call");
        };
        let offered = match &agreed {
            None => self.offered(&caller, None, pictures.as_ref().map(|(ours, _)| *ours)),
            Some(_) => Offered::default(),
        };
        let secrecy = self.focus.parts().secrecy(&caller);
        let offer = || offer::offer(origin, secrecy, &offered);
        let body = agreed.as_ref().map_or_else(offer, |agreed| agreed.text.clone());
        let offered = offered.saying(&body);
        response.set_body("application/sdp", body.into());
        let id = LegId(self.name());
        let mut participant = Participant::new(id, dialog, caller, voice, origin);
        participant.offered = offered;
        participant.has_screen = super::again::says_video(request);
        if let Some(browser) = agreed.as_ref().and_then(|agreed| agreed.browser.as_ref()) {
            leg.expect(browser.peer(Role::Controlled));
            participant.their_ice = Some(browser.ice.clone());
        }
        participant.first_ice = ours.as_ref().map(|ours| ours.ice.clone());
        participant.web = ours;
        participant.session = session;
        (participant.source, participant.device) = (source, device);
        participant.languages = languages(request);
        if is_at_door {
            participant.pin =
                Some(AtTheDoor { keys: Pin::default(), until: Instant::now() + LONGEST_AT_DOOR });
        }
        let replaced = replaced.map(|at| self.participants[at].leg);
        let before = self.participants.iter().find(|participant| Some(participant.leg) == replaced);
        if let Some(before) = before.filter(|_| is_own) {
            (participant.muted, participant.is_hand_up) = (before.muted, before.is_hand_up);
        }
        match agreed {
            Some(agreed) => self.begin(&mut participant, leg, agreed, pictures.take()).await,
            None => (participant.unanswered, participant.unseen) = (Some(leg), pictures.take()),
        }
        let has_offer = participant.unanswered.is_some();
        participant.unacknowledged =
            Some(Unacknowledged::send(response, incoming.server, has_offer, Instant::now()));
        self.participants.push(participant);
        if let Some(leg) = replaced {
            self.hang_up(leg, "Replaced").await;
        }
    }

    /// What will carry a leg: ports of its own, or a part of the browsers'.
    pub(super) fn wire(&self, ip: IpAddr, is_browser: bool) -> Result<UnboundLeg, PortsError> {
        match is_browser {
            true => Ok(UnboundLeg::web(self.focus.web().open(self.focus.parts().random))),
            false => {
                let leg = UnboundLeg::bind(self.focus.ports(), self.focus.bind_ip(ip))?;
                Ok(leg.with_handshakes(self.focus.handshakes()))
            }
        }
    }

    /// The leg whose dialog is named.
    fn leg_named(&self, names: &Names) -> Option<usize> {
        let Names { call_id, to_tag, from_tag } = names;
        self.participants.iter().position(|p| p.dialog.is_named(call_id, to_tag, from_tag))
    }

    /// Starts a leg's pictures, if it has some, and its sound.
    pub(super) async fn begin(
        &mut self,
        participant: &mut Participant,
        leg: UnboundLeg,
        mut agreed: Agreed,
        pictures: Option<(video::Ours, Source)>,
    ) {
        if let Some((agreed, pictures)) = agreed.pictures.take().zip(pictures) {
            self.show(participant, pictures, agreed);
        }
        self.join(participant, leg, agreed).await;
    }

    /// Starts a leg's sound and tells the world.
    async fn join(&mut self, participant: &mut Participant, leg: UnboundLeg, agreed: Agreed) {
        participant.direction = agreed.direction;
        participant.is_source = agreed.direction == Direction::ReceiveOnly;
        participant.crypto = agreed.negotiated.crypto;
        (participant.sound, participant.lines) = (Some(agreed.negotiated), agreed.lines);
        let rtp: Option<RtpLeg> =
            leg.start(agreed.negotiated, participant.source, participant.origin.session, Instant::now());
        let Some(mut rtp) = rtp else { return tracing::error!("no codec, or no key for its packets") };
        rtp.tell_waits(&participant.waits);
        let (gate, peer) = (participant.gate(), participant.peer());
        self.mixer.tell(Command::Add(participant.leg, Box::new(rtp), gate, peer)).await;
        if participant.pin.is_some() {
            return self.say(participant.leg, Prompt::Pin).await;
        }
        self.joined(participant).await;
    }

    /// Somebody at the door comes in.
    pub(super) async fn enter(&mut self, leg: LegId) {
        let Some(at) = self.participants.iter().position(|participant| participant.leg == leg) else {
            return;
        };
        let mut participant = self.participants.remove(at);
        participant.pin = None;
        self.mixer.tell(Command::SetGate(leg, participant.gate())).await;
        self.joined(&mut participant).await;
        self.participants.insert(at, participant);
        self.seat_anew(at);
    }

    async fn joined(&mut self, participant: &mut Participant) {
        if self.mailbox.is_some() {
            return self.greet(participant).await;
        }
        (participant.is_joined, participant.since) = (true, Some(SystemTime::now()));
        let is_first = !self.participants.iter().any(|other| other.is_joined);
        self.say(participant.leg, if is_first { Prompt::Alone } else { Prompt::Entry }).await;
        let call_id = participant.dialog.call_id.clone();
        participant.span().in_scope(|| tracing::info!("participant joined"));
        let shown = participant.shown();
        self.publish(
            &call_id.clone(),
            ConferenceEvent::ParticipantJoined { room: self.room.clone(), call_id, participant: shown },
        );
        let referred = self.tell_came(&participant.caller).await;
        participant.referred = participant.referred.take().or(referred);
    }

    /// A re-INVITE or UPDATE: hold, resume, another address or codec (RFC 3264 §8).
    pub(super) async fn change(&mut self, at: usize, incoming: Incoming) {
        let request = &incoming.request;
        let participant = &mut self.participants[at];
        let offers = request.method() == "INVITE" || !request.body().is_empty();
        if offers && participant.has_offered() {
            // §14.2, RFC 3311 §5.2: one offer at a time, and none while ours in a 2xx waits for its ACK.
            return incoming.server.respond(Message::response(request, 491, ""));
        }
        if request.method() == "INVITE" {
            // §14.1: who asks again has had our 2xx, whose ACK comes by another way.
            participant.unacknowledged = None;
        }
        let session = match Session::asked_by(request, Instant::now()) {
            Ok(session) => session,
            Err(least) => return incoming.server.respond(too_brief(request, least)),
        };
        participant.origin.version += 1;
        let offer = String::from_utf8_lossy(request.body()).into_owned();
        let mut body = String::new();
        if !offer.is_empty() {
            let anew = self.check_anew(at, &offer);
            let participant = &self.participants[at];
            let (origin, now) = (participant.origin, participant.crypto);
            let ours = anew.as_ref().map_or(&participant.web, |anew| &anew.ours).clone();
            let known = participant.our_pictures();
            let browsers = ours.as_ref().map(|_| origin.local.port());
            let fresh = match known {
                Some(_) => None,
                None => self.pictures_for(&offer, origin, browsers),
            };
            let our_pictures = known.as_ref().or(fresh.as_ref().map(|(ours, _)| ours));
            let dtls = Some(self.handshake(participant.dtls(), participant.source));
            let keys = Keys { dtls, ..self.keys(&participant.caller, now) };
            let agreed = match answer::answer(&offer, origin, &keys, ours.as_ref(), our_pictures) {
                Ok(agreed) => agreed,
                Err(unfit) => {
                    // §14.2: all is as if it had not been asked.
                    self.participants[at].origin.version -= 1;
                    return incoming.server.respond(self.not_acceptable(request, unfit));
                }
            };
            body = agreed.text.clone();
            if let Some(anew) = anew {
                self.begin_anew(at, anew);
            }
            let before = self.participants[at].wish();
            self.renegotiate(at, agreed, fresh).await;
            self.participants[at].wishes_other_than(before);
        } else if request.method() == "INVITE" {
            let offered = self.offered_again(at);
            body = self.offer_again(at, &offered);
            self.participants[at].offered = offered;
        }
        self.participants[at].session = session;
        let mut response = self.taken(request, 200);
        if let Some(session) = &session {
            session.tell(&mut response);
        }
        if !body.is_empty() {
            response.set_body("application/sdp", body.into());
        }
        match request.method() {
            "INVITE" => {
                let sent = Unacknowledged::send(response, incoming.server, offer.is_empty(), Instant::now());
                self.participants[at].unacknowledged = Some(sent);
            }
            _ => incoming.server.respond(response),
        }
    }

    /// RFC 8839 §4.4.1.1.1: a browser with other credentials checks anew, and is told new ones of ours, which hold once its offer is
    /// taken; until then the old ones do (RFC 8445 §9).
    fn check_anew(&self, at: usize, offer: &str) -> Option<Anew> {
        let participant = &self.participants[at];
        let (mut ours, theirs) = (participant.web.clone()?, answer::ice_of(offer)?);
        let is_other = participant.their_ice.as_ref().is_some_and(|known| known.ice != theirs.ice);
        if is_other {
            ours.ice = Credentials::new(self.focus.parts().random);
        }
        Some(Anew { ours: Some(ours), theirs, is_other })
    }

    fn begin_anew(&mut self, at: usize, anew: Anew) {
        let participant = &mut self.participants[at];
        if let (true, Some(ours), Some(first)) = (anew.is_other, &anew.ours, &participant.first_ice) {
            self.focus.web().renew(first, &ours.ice, &anew.theirs);
        }
        participant.web = anew.ours;
        participant.their_ice = Some(anew.theirs);
    }

    pub(super) async fn ack(&mut self, ack: &Message) {
        let Some(at) = self.participants.iter().position(|participant| participant.dialog.has(ack)) else {
            return;
        };
        let participant = &mut self.participants[at];
        if participant.unacknowledged.as_ref().is_some_and(|sent| !sent.is_acknowledged_by(ack)) {
            return; // it was overtaken by the next request
        }
        participant.unacknowledged = None;
        let text = std::str::from_utf8(ack.body()).unwrap_or_default();
        let offered = std::mem::take(&mut self.participants[at].offered);
        let agreed = match &self.participants[at].web {
            Some(_) => offer::answered_by_browser(text, &offered),
            None => offer::answered(text, self.secrecy_of(at), &offered),
        };
        let leg = self.participants[at].unanswered.take();
        match (leg, agreed) {
            (Some(leg), Some(agreed)) => {
                let mut participant = self.participants.remove(at);
                let pictures = participant.unseen.take();
                self.begin(&mut participant, leg, agreed, pictures).await;
                self.participants.insert(at, participant);
            }
            (Some(_), None) => self.hang_up_at(at, "No Answer To Our Offer").await,
            (None, Some(agreed)) => {
                let before = self.participants[at].wish();
                self.renegotiate(at, agreed, None).await;
                self.participants[at].wishes_other_than(before);
            }
            (None, None) => {}
        }
    }

    /// What offer and answer changed; `fresh` would carry pictures if there were none.
    pub(super) async fn renegotiate(
        &mut self,
        at: usize,
        agreed: Agreed,
        fresh: Option<(video::Ours, Source)>,
    ) {
        let participant = &mut self.participants[at];
        participant.direction = agreed.direction;
        participant.is_source &= agreed.direction == Direction::ReceiveOnly;
        participant.crypto = agreed.negotiated.crypto;
        (participant.sound, participant.lines) = (Some(agreed.negotiated), agreed.lines);
        let (leg, gate, peer) = (participant.leg, participant.gate(), participant.peer());
        self.mixer.tell(Command::Renegotiate(leg, Box::new(agreed.negotiated), peer)).await;
        self.mixer.tell(Command::SetGate(leg, gate)).await;
        self.renegotiate_pictures(at, agreed.pictures, fresh);
        if self.participants[at].is_joined {
            self.tell_changed(at);
        }
    }

    /// What a leg may be protected with, where it is protected so now.
    pub(super) fn keys(&self, caller: &Caller, now: Option<Crypto>) -> Keys {
        let parts = self.focus.parts();
        Keys { secrecy: parts.secrecy(caller), now, random: parts.random, dtls: None }
    }

    /// What its sound may be protected by, where it is protected so now.
    pub(super) fn handshake(&self, now: Option<Dtls>, source: Option<IpAddr>) -> dtls::Ours {
        dtls::Ours { fingerprint: self.focus.handshakes().fingerprint().to_owned(), now, source }
    }

    /// Whether the sound of who takes part is to be encrypted.
    pub(super) fn secrecy_of(&self, at: usize) -> Secrecy {
        self.focus.parts().secrecy(&self.participants[at].caller)
    }

    /// 488, and why (RFC 3261 §20.43).
    fn not_acceptable(&self, request: &Message, unfit: Unfit) -> Message {
        let mut response = Message::response(request, 488, "");
        let (code, text) = unfit.warning();
        response.push(Name::Warning, &format!("{code} {} \"{text}\"", self.focus.parts().domain));
        response
    }

    /// Whether the room's password can be typed on a phone, and by this caller now.
    fn may_type_pin(&self, caller: &str) -> bool {
        let password = self.snapshot.as_ref().and_then(|room| room.access.password.as_deref());
        password.is_some_and(is_pin) && self.focus.guesses().may_type(&self.room, caller, Instant::now())
    }

    /// A leg sent nothing for too long, though it is not on hold.
    pub(super) async fn end_silent(&mut self, leg: LegId) {
        if let Some(participant) = self.participants.iter().find(|participant| participant.leg == leg) {
            let source = participant.source;
            let seconds = self.focus.parts().config.silence_timeout.as_secs();
            participant.span().in_scope(|| {
                tracing::info!(?source, seconds, "the caller's device sent no sound; the call is ended");
            });
        }
        self.hang_up(leg, "No Sound Came").await;
    }

    /// Whoever sends a leg's sound has not the certificate that was signalled (RFC 5763 §5).
    pub(super) async fn end_impostor(&mut self, leg: LegId) {
        if let Some(participant) = self.participants.iter().find(|participant| participant.leg == leg) {
            let source = participant.source;
            participant.span().in_scope(|| {
                tracing::warn!(
                    ?source,
                    "the caller's sound has another certificate than was signalled; the call is ended"
                );
            });
        }
        self.hang_up(leg, "Wrong Certificate").await;
    }

    pub(super) async fn hang_up_where(&mut self, is_meant: impl Fn(&Participant) -> bool, reason: &str) {
        let meant: Vec<LegId> = self.participants.iter().filter(|p| is_meant(p)).map(|p| p.leg).collect();
        for leg in meant {
            self.hang_up(leg, reason).await;
        }
    }

    pub(super) async fn hang_up(&mut self, leg: LegId, reason: &str) {
        self.hang_up_by(leg, reason, None).await;
    }

    /// Hangs up on somebody's wish.
    pub(super) async fn hang_up_by(&mut self, leg: LegId, reason: &str, by: Option<Person>) {
        if let Some(at) = self.participants.iter().position(|participant| participant.leg == leg) {
            self.end_at(at, reason, by).await;
        }
    }

    pub(super) async fn hang_up_at(&mut self, at: usize, reason: &str) {
        self.end_at(at, reason, None).await;
    }

    async fn end_at(&mut self, at: usize, reason: &str, by: Option<Person>) {
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
        self.leave(at, End::booted(reason, by)).await;
        self.send_all(vec![(None, bye, flow)]).await;
    }

    /// Takes a leg out of the mix and tells the world.
    pub(super) async fn leave(&mut self, at: usize, end: End) {
        let leg = self.participants[at].leg;
        let is_its = |subscription: &Subscription| matches!(subscription.way, Way::Leg(of) if of == leg);
        self.end_subscriptions(is_its, "noresource").await;
        let participant = self.participants.remove(at);
        if participant.is_joined {
            self.note_departed(&participant, end);
        }
        self.note_gone(&participant);
        self.mixer.tell(Command::Remove(leg)).await;
        let call_id = participant.dialog.call_id.clone();
        participant.span().in_scope(|| tracing::info!("participant left"));
        if participant.is_joined && self.mailbox.is_some() {
            self.end_mailbox(&participant).await;
        } else if participant.is_joined {
            let shown = participant.shown();
            self.publish(
                &call_id.clone(),
                ConferenceEvent::ParticipantLeft { room: self.room.clone(), call_id, participant: shown },
            );
            self.say_if_alone().await;
            if self.participants.iter().all(|participant| !participant.is_joined) {
                self.end_recording().await;
            }
        }
    }

    pub(super) fn tell_changed(&self, at: usize) {
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
}

/// What we say of ourselves to a browser, if the wire is for one.
pub(super) fn ours(leg: &UnboundLeg) -> Option<Ours> {
    let wire = leg.as_web()?;
    Some(Ours {
        ice: wire.ours().clone(),
        fingerprint: wire.fingerprint().to_owned(),
        is_full: wire.is_full(),
    })
}

/// RFC 3261 §21.5.4: no sockets now; another leg may end soon.
fn no_wire(request: &Message, error: PortsError) -> Message {
    tracing::warn!(%error, "a leg has no sockets for its sound");
    let mut response = Message::response(request, 503, "No Media Port Is Free");
    response.push(Name::RetryAfter, "5");
    response
}

/// How long a PIN is waited for.
const LONGEST_AT_DOOR: Duration = Duration::from_secs(60);
