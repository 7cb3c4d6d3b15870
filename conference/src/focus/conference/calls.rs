//! Calls of a conference: joining, changing, leaving — RFC 4579 §5.1, RFC 3261 §13.3, §14.2, §15; RFC 3264.

use std::net::IpAddr;
use std::time::Instant;

use shared_model::ConferenceEvent;
use sip_core::Message;
use sip_core::header::Name;
use sip_core::sdp::Direction;
use sip_endpoint::Incoming;

use super::super::Focus;
use super::super::admission::caller;
use super::super::answer::{self, Agreed, Origin};
use super::super::dialog::Dialog;
use super::super::notifier::Way;
use super::super::participant::{Participant, Unacknowledged};
use super::Conference;
use crate::labels::LegSpan;
use crate::media::leg::{RtpLeg, UnboundLeg};
use crate::mixer::{Command, LegId};

impl Conference {
    /// RFC 4579 §5.1: a call to the conference URI joins.
    pub(super) async fn invite(&mut self, incoming: Incoming) {
        let request = &incoming.request;
        let refuse = |status, reason| incoming.server.respond(Message::response(request, status, reason));
        let caller = caller(request, &self.focus.parts().accounts).await;
        let jid = caller.card.as_ref().map(|card| &card.jid);
        let voice = match self.admit(jid).await {
            Ok(voice) => voice,
            Err(refusal) => {
                let (status, reason) = refusal.status();
                let account = caller.card.as_ref().map(|card| card.account);
                LegSpan { call: request.call_id(), account }
                    .open()
                    .in_scope(|| tracing::info!(reason, "call refused"));
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
    pub(super) async fn join(&mut self, participant: &mut Participant, leg: UnboundLeg, agreed: Agreed) {
        participant.direction = agreed.direction;
        let rtp: Option<RtpLeg> = leg.start(agreed.negotiated, self.random(), Instant::now());
        let Some(rtp) = rtp else { return tracing::error!("no memory for a codec") };
        self.mixer.tell(Command::Add(participant.leg, Box::new(rtp), participant.gate())).await;
        participant.is_joined = true;
        let call_id = participant.dialog.call_id.clone();
        participant.span().in_scope(|| tracing::info!("participant joined"));
        let shown = participant.shown();
        self.publish(
            &call_id.clone(),
            ConferenceEvent::ParticipantJoined { room: self.room.clone(), call_id, participant: shown },
        );
    }

    /// A re-INVITE or UPDATE: hold, resume, another address or codec (RFC 3264 §8).
    pub(super) async fn change(&mut self, at: usize, incoming: Incoming) {
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

    pub(super) async fn ack(&mut self, ack: &Message) {
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

    pub(super) async fn hang_up_where(&mut self, is_meant: impl Fn(&Participant) -> bool, reason: &str) {
        let meant: Vec<LegId> = self.participants.iter().filter(|p| is_meant(p)).map(|p| p.leg).collect();
        for leg in meant {
            self.hang_up(leg, reason).await;
        }
    }

    pub(super) async fn hang_up(&mut self, leg: LegId, reason: &str) {
        if let Some(at) = self.participants.iter().position(|participant| participant.leg == leg) {
            self.hang_up_at(at, reason).await;
        }
    }

    pub(super) async fn hang_up_at(&mut self, at: usize, reason: &str) {
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
    pub(super) async fn leave(&mut self, at: usize, reason: &str) {
        let leg = self.participants[at].leg;
        self.end_subscriptions(|subscription| matches!(subscription.way, Way::Leg(of) if of == leg), reason)
            .await;
        let participant = self.participants.remove(at);
        self.mixer.tell(Command::Remove(leg)).await;
        let call_id = participant.dialog.call_id.clone();
        participant.span().in_scope(|| tracing::info!("participant left"));
        if participant.is_joined {
            let shown = participant.shown();
            self.publish(
                &call_id.clone(),
                ConferenceEvent::ParticipantLeft { room: self.room.clone(), call_id, participant: shown },
            );
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

    /// The address that our descriptions name.
    pub(super) fn local_ip(&self, towards: Option<IpAddr>) -> IpAddr {
        let config = &self.focus.parts().config;
        let bound = Some(config.media.ip()).filter(|ip| !ip.is_unspecified());
        config.advertised.or(bound).unwrap_or_else(|| answer::local_ip(towards))
    }
}

/// The address to bind: the configured one, or any of the family that is advertised.
fn bind_ip(focus: &Focus, advertised: IpAddr) -> IpAddr {
    match focus.parts().config.media.ip() {
        ip if !ip.is_unspecified() => ip,
        _ if advertised.is_ipv4() => std::net::Ipv4Addr::UNSPECIFIED.into(),
        _ => std::net::Ipv6Addr::UNSPECIFIED.into(),
    }
}

const MOST_LEGS: usize = 200;
