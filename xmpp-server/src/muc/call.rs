//! Who of a room is in its call — RFC 7081 §4, XEP-0317 0.2 (hats).
//!
//! In    facts of the focus ([`ConferenceEvent`]).
//! Out   an occupant who is in the call wears hats in their presence: `urn:cusax:call:0#audio`, `#muted` or `#hold`; `#video`
//!       with pictures, `#hand` while they want to speak, `#encrypted` or `#unencrypted` on their way to the mixer. No hat says text:
//!       that is what an occupant has.
//!       Participants without an occupant stand in a message of the room, `<call xmlns='urn:cusax:call:0'>` with one
//!       `<participant uri='' name='' audio=''/>` each, sent when that changes and to who enters; in words, too, when one
//!       comes or goes, and to who enters. When a recording begins or ends, a message says so in words.
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
        let had: Vec<Participant> = self.alone_in_call().into_iter().cloned().collect();
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
        let alone = self.alone_in_call();
        if alone.iter().copied().ne(&had) {
            // One person may have several legs.
            let there = |who: &Participant| alone.iter().any(|it| it.uri == who.uri);
            let was_there = |who: &Participant| had.iter().any(|it| it.uri == who.uri);
            let text = match (&before, &now) {
                (None, Some(who)) if there(who) && !was_there(who) => Some("is in the call"),
                (Some(who), None) if was_there(who) && !there(who) => Some("left the call"),
                _ => None,
            };
            let who = now.as_ref().or(before.as_ref()).map(name_of).unwrap_or_default();
            let text = text.map(|text| format!("{who} {text}."));
            let notice = notice_of(&alone, text.as_deref());
            self.broadcast(&notice.addressed(Some(&self.jid), None), out);
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

    /// What an occupant's presence says of the call: hats that nobody gives. Several legs of one account are one person.
    pub(super) fn call_hats(&self, jid: &Jid) -> Option<Vec<Element>> {
        let is_theirs = |p: &&Participant| p.jid.as_ref().is_some_and(|p| p.as_str() == jid.bare_str());
        let legs: Vec<_> = self.call.iter().map(|(_, participant)| participant).filter(is_theirs).collect();
        let has = |what: fn(&Participant) -> bool| legs.iter().any(|leg| what(leg));
        let (sound, title) = match () {
            () if legs.is_empty() => return None,
            () if has(|leg| leg.audio == Audio::SendReceive) => (Audio::SendReceive, "In the call"),
            () if has(|leg| leg.audio == Audio::Muted) => (Audio::Muted, "In the call, muted"),
            () => (Audio::OnHold, "In the call, on hold"),
        };
        let hat = |word: &str, title: &str| {
            let uri = format!("{CALL}#{word}");
            Element::new("hat", ns::HATS).with("uri", uri).with("title", title)
        };
        let secrecy = match has(|leg| !leg.is_encrypted) {
            true => hat("unencrypted", "Not encrypted to the mixer"),
            false => hat("encrypted", "Encrypted to the mixer"),
        };
        let video = has(|leg| leg.has_video).then(|| hat("video", "With pictures"));
        let hand = has(|leg| leg.is_hand_up).then(|| hat("hand", "Hand raised"));
        Some([Some(hat(word(sound), title)), video, hand, Some(secrecy)].into_iter().flatten().collect())
    }

    /// Participants whom no occupant stands for, for who comes in; `None` if there are none.
    pub(crate) fn call_notice(&self) -> Option<Stanza> {
        let alone = self.alone_in_call();
        let names: Vec<_> = alone.iter().take(MOST_NAMES).map(|participant| name_of(participant)).collect();
        let more = match alone.len() - names.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let text = format!("In the call, and not in this room: {}{more}.", names.join(", "));
        (!alone.is_empty()).then(|| notice_of(&alone, Some(&text)))
    }

    fn alone_in_call(&self) -> Vec<&Participant> {
        let inside: HashSet<&str> = self.occupants.iter().map(|occupant| occupant.jid.bare_str()).collect();
        let is_inside = |p: &Participant| p.jid.as_ref().is_some_and(|jid| inside.contains(jid.as_str()));
        self.call.iter().map(|(_, p)| p).filter(|p| !is_inside(p)).collect()
    }
}

/// As people read it. The URI of who is anonymous has no name in it that says anything.
fn name_of(participant: &Participant) -> String {
    let uri: String =
        participant.uri.split(';').next().unwrap_or_default().chars().take(LONGEST_NAME).collect();
    match participant.display_name.trim() {
        "" => uri,
        name => format!("{name} ({uri})"),
    }
}

fn notice_of(participants: &[&Participant], text: Option<&str>) -> Stanza {
    let call = Element::new("call", CALL).children_from(participants.iter().map(|participant| {
        Element::new("participant", CALL)
            .with("uri", &participant.uri)
            .with_some("name", (!participant.display_name.is_empty()).then_some(&participant.display_name))
            .with("audio", word(participant.audio))
            .with_some("video", participant.has_video.then_some("true"))
            .with_some("hand", participant.is_hand_up.then_some("raised"))
            .with_some("encrypted", participant.is_encrypted.then_some("true"))
    }));
    let hint = Element::new("no-store", ns::HINTS);
    let notice = Stanza::new(Kind::Message, Some("groupchat"));
    let notice = match text {
        Some(text) => notice.with(&Element::new("body", ns::CLIENT).text_node(text)),
        None => notice,
    };
    notice.with(&call).with(&hint)
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
/// Who is named to who comes in.
const MOST_NAMES: usize = 10;
/// Characters of an address in words.
const LONGEST_NAME: usize = 100;
