//! Who of a room is in its call — RFC 7081 §4, XEP-0317 0.2 (hats).
//!
//! In    facts of the focus ([`ConferenceEvent`]).
//! Out   an occupant who is in the call wears hats in their presence: `urn:cusax:call:0#audio`, `#muted` or `#hold`; `#hand`
//!       while they want to speak, `#encrypted` if their sound is, on its way to the mixer.
//!       Participants without an occupant stand in a message of the room without body, `<call xmlns='urn:cusax:call:0'>`
//!       with one `<participant uri='' name='' audio=''/>` each, sent when that changes and to who enters. A client
//!       that knows neither shows nothing new. When a recording begins or ends, a message says so in words.
//! State the legs of the call; gone with the room's task. A focus that restarts tells all its legs anew.
//! Hats that owners give are [`super::hats`]'.

use std::sync::Arc;

use std::collections::HashSet;

use shared_model::{Audio, ConferenceEvent, Event, Fact, Participant};
use shared_runtime::bus::{Heard, Subscription};
use xmpp_core::{Element, Jid, Kind, Stanza, ns};

use super::presence::Said;
use super::room::{Effects, Room};
use super::task::Command;
use crate::server::Server;

/// Passes what the focus says on to the rooms.
pub(crate) async fn follow_conferences(server: Arc<Server>, mut facts: Subscription<Fact>) {
    loop {
        let heard = tokio::select! {
            heard = facts.next() => heard,
            () = server.shutdown.begun() => return,
        };
        let event = match heard {
            None => return,
            Some(Heard::Fact(Fact { event: Event::Conference(event), .. })) => event,
            Some(Heard::Fact(_)) => continue,
            Some(Heard::Missed(missed)) => {
                tracing::warn!(missed, "facts were missed; every room asks its call");
                server.rooms.ask_calls(&server).await;
                continue;
            }
        };
        let (room, command) = match event {
            ConferenceEvent::ParticipantJoined { room, call_id, participant }
            | ConferenceEvent::ParticipantChanged { room, call_id, participant } => {
                (room, Command::Call(call_id, Some(participant)))
            }
            ConferenceEvent::ParticipantLeft { room, call_id, .. } => (room, Command::Call(call_id, None)),
            ConferenceEvent::RecordingChanged { room, is_recorded } => {
                (room, Command::Recording(is_recorded))
            }
        };
        server.rooms.tell(&room, command).await;
    }
}

impl super::Rooms {
    /// Brings every room up to date with its call. What the focus does not say stays as it is known.
    async fn ask_calls(&self, server: &Server) {
        let Some(calls) = server.calls.get() else { return };
        let rooms: Vec<_> = self.tasks.iter().map(|entry| entry.key().clone()).collect();
        for room in rooms.iter().filter_map(|local| self.address(local)) {
            match calls.conference(&room).await {
                Ok(call) => {
                    let (legs, is_recorded) =
                        call.map(|call| (call.participants, call.is_recorded)).unwrap_or_default();
                    self.tell(&room, Command::Calls(legs)).await;
                    self.tell(&room, Command::Recording(is_recorded)).await;
                }
                Err(unavailable) => tracing::warn!(%room, %unavailable, "the call was not asked"),
            }
        }
    }

    async fn tell(&self, room: &shared_model::RoomAddress, command: Command) {
        if room.domain() == self.domain
            && let Some(task) = self.task(room.local())
        {
            let _ = task.send(command).await; // a room that ended has nobody to show it to
        }
    }
}

impl Room {
    /// A leg is there, changed, or left.
    pub(crate) fn call_changed(&mut self, call_id: String, now: Option<Participant>, out: &mut Effects) {
        let had_notice = self.call_notice();
        let at = self.call.iter().position(|(id, _)| *id == call_id);
        let before = at.map(|at| self.call.remove(at).1);
        if let Some(participant) = &now {
            if self.call.len() >= MOST_LEGS {
                return;
            }
            self.call.insert(at.unwrap_or(self.call.len()), (call_id, participant.clone()));
        }
        if before == now {
            return;
        }
        let concerned = |jid: &Jid| {
            [&before, &now]
                .into_iter()
                .flatten()
                .any(|p| p.jid.as_ref().is_some_and(|p| p.as_str() == jid.bare_str()))
        };
        let changed: Vec<_> = self.nicks().filter(|occupant| concerned(&occupant.jid)).cloned().collect();
        for occupant in &changed {
            self.broadcast_presence(occupant, occupant.role, &Said::default(), out);
        }
        let notice = self.call_notice();
        if notice != had_notice {
            let message = notice.unwrap_or_else(|| notice_of(&[]));
            self.broadcast(&message.addressed(Some(&self.jid), None), out);
        }
    }

    /// The call is recorded from now on, or is not any more: everybody reads it.
    pub(crate) fn recording_changed(&mut self, is_recorded: bool, out: &mut Effects) {
        if std::mem::replace(&mut self.is_recorded, is_recorded) == is_recorded {
            return;
        }
        self.broadcast(&self.recording_notice().addressed(Some(&self.jid), None), out);
    }

    /// Whether the call is recorded, in words.
    pub(crate) fn recording_notice(&self) -> Stanza {
        let text = match self.is_recorded {
            true => "The call is being recorded.",
            false => "The call is not recorded any more.",
        };
        Stanza::new(Kind::Message, Some("groupchat"))
            .with(&Element::new("body", ns::CLIENT).text_node(text))
            .with(&Element::new("call", CALL).with("recorded", self.is_recorded))
    }

    /// The legs that there are; whoever is not among them has left.
    pub(crate) fn calls_known(&mut self, legs: Vec<(String, Participant)>, out: &mut Effects) {
        let is_there = |id: &String| legs.iter().any(|(there, _)| there == id);
        let gone: Vec<_> = self.call.iter().map(|(id, _)| id).filter(|id| !is_there(id)).cloned().collect();
        for call_id in gone {
            self.call_changed(call_id, None, out);
        }
        for (call_id, participant) in legs {
            self.call_changed(call_id, Some(participant), out);
        }
    }

    /// What an occupant's presence says of the call: hats that nobody gives.
    pub(super) fn call_hats(&self, jid: &Jid) -> Option<Vec<Element>> {
        let is_theirs = |p: &&Participant| p.jid.as_ref().is_some_and(|p| p.as_str() == jid.bare_str());
        let leg = self.call.iter().map(|(_, participant)| participant).find(is_theirs)?;
        let title = match leg.audio {
            Audio::SendReceive => "In the call",
            Audio::Muted => "In the call, muted",
            Audio::OnHold => "In the call, on hold",
        };
        let hat = |word: &str, title: &str| {
            let uri = format!("{CALL}#{word}");
            Element::new("hat", ns::HATS).with("uri", uri).with("title", title)
        };
        let sound = hat(word(leg.audio), title);
        let hand = leg.is_hand_up.then(|| hat("hand", "Hand raised"));
        let secrecy = leg.is_encrypted.then(|| hat("encrypted", "Encrypted to the mixer"));
        Some([Some(sound), hand, secrecy].into_iter().flatten().collect())
    }

    /// Participants whom no occupant stands for; `None` if there are none.
    pub(crate) fn call_notice(&self) -> Option<Stanza> {
        if self.call.is_empty() {
            return None;
        }
        let inside: HashSet<&str> = self.occupants.iter().map(|occupant| occupant.jid.bare_str()).collect();
        let is_inside = |p: &Participant| p.jid.as_ref().is_some_and(|jid| inside.contains(jid.as_str()));
        let alone: Vec<&Participant> = self.call.iter().map(|(_, p)| p).filter(|p| !is_inside(p)).collect();
        (!alone.is_empty()).then(|| notice_of(&alone))
    }
}

fn notice_of(participants: &[&Participant]) -> Stanza {
    let call = Element::new("call", CALL).children_from(participants.iter().map(|participant| {
        Element::new("participant", CALL)
            .with("uri", &participant.uri)
            .with_some("name", (!participant.display_name.is_empty()).then_some(&participant.display_name))
            .with("audio", word(participant.audio))
            .with_some("hand", participant.is_hand_up.then_some("raised"))
            .with_some("encrypted", participant.is_encrypted.then_some("true"))
    }));
    let hint = Element::new("no-store", ns::HINTS);
    Stanza::new(Kind::Message, Some("groupchat")).with(&call).with(&hint)
}

fn word(audio: Audio) -> &'static str {
    match audio {
        Audio::SendReceive => "audio",
        Audio::Muted => "muted",
        Audio::OnHold => "hold",
    }
}

/// Our own extension: who is in the call and not in the room.
pub(super) const CALL: &str = "urn:cusax:call:0";
const MOST_LEGS: usize = 1000;
