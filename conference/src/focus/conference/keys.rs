//! What keys do in a conference: muting, hands, PINs — and what is said to callers.

use std::time::{Duration, Instant};

use shared_model::BareJid;
use sip_core::Message;
use sip_core::header::Name;
use sip_endpoint::Incoming;

use super::super::keys::{Step, Wish, key_of_info};
use super::super::participant::MutedBy;
use super::super::policy;
use super::Conference;
use crate::mixer::{Command, LegId, MOST_GAIN, Prompt};

impl Conference {
    /// A key by SIP INFO.
    pub(super) async fn info(&mut self, at: usize, incoming: Incoming) {
        let request = &incoming.request;
        let body = String::from_utf8_lossy(request.body());
        let key = key_of_info(request.value(Name::ContentType).unwrap_or_default(), &body);
        if body.is_empty() || key.is_some() {
            incoming.server.respond(Message::response(request, 200, ""));
        } else {
            let mut response = Message::response(request, 415, "");
            response.push(Name::Accept, "application/dtmf-relay, application/dtmf");
            incoming.server.respond(response);
        }
        if let Some(key) = key {
            let leg = self.participants[at].leg;
            self.press(leg, key).await;
        }
    }

    /// A key was pressed.
    pub(super) async fn press(&mut self, leg: LegId, key: char) {
        let Some(at) = self.participants.iter().position(|participant| participant.leg == leg) else {
            return;
        };
        if self.mailbox.is_some() {
            return self.press_at_mailbox(leg, key).await;
        }
        let participant = &mut self.participants[at];
        if participant.pin.is_some() {
            return self.type_pin(at, key).await;
        }
        match participant.keys.press(key).filter(|_| participant.is_joined) {
            Some(Wish::Mute) => {
                participant.muted = participant.muted.is_none().then_some(MutedBy::Themselves);
                self.mute_changed(at).await;
            }
            Some(Wish::Hand) => {
                participant.is_hand_up = !participant.is_hand_up;
                let prompt = if participant.is_hand_up { Prompt::HandRaised } else { Prompt::HandLowered };
                self.tell_changed(at);
                self.say(leg, prompt).await;
            }
            Some(Wish::Quieter) => self.change_gain(at, -GAIN_STEP).await,
            Some(Wish::Louder) => self.change_gain(at, GAIN_STEP).await,
            Some(Wish::MuteOthers) if self.moderates(at) => {
                let others = |(n, p): (usize, &super::Participant)| {
                    (n != at && p.is_joined && p.muted.is_none()).then_some(n)
                };
                for other in self.participants.iter().enumerate().filter_map(others).collect::<Vec<_>>() {
                    self.participants[other].muted = Some(MutedBy::Moderator);
                    self.mute_changed(other).await;
                }
            }
            Some(Wish::Record) if self.moderates(at) => self.switch_recording().await,
            Some(Wish::MuteOthers | Wish::Record) | None => {}
        }
    }

    /// Somebody is heard louder or quieter, as far as it goes.
    pub(super) async fn change_gain(&mut self, at: usize, step: i8) {
        let participant = &mut self.participants[at];
        let gain = participant.gain.saturating_add(step).clamp(-MOST_GAIN, MOST_GAIN);
        if std::mem::replace(&mut participant.gain, gain) != gain {
            self.mixer.tell(Command::SetGain(self.participants[at].leg, gain)).await;
            self.tell_changed(at);
        }
    }

    /// Says something to a leg, if prompts are wanted.
    pub(super) async fn say(&self, leg: LegId, prompt: Prompt) {
        if self.focus.parts().config.prompts {
            self.mixer.tell(Command::Prompt(leg, prompt)).await;
        }
    }

    /// Tells who is left that nobody else is there.
    pub(super) async fn say_if_alone(&self) {
        let mut joined = self.participants.iter().filter(|participant| participant.is_joined);
        if let (Some(alone), None) = (joined.next(), joined.next()) {
            self.say(alone.leg, Prompt::Alone).await;
        }
    }

    /// S-40: to whom the room gives a voice, whoever muted all does not keep it from.
    pub(super) async fn lift_mute(&mut self, jid: &BareJid) {
        for at in 0..self.participants.len() {
            let participant = &mut self.participants[at];
            if participant.jid() == Some(jid) && participant.muted == Some(MutedBy::Moderator) {
                participant.muted = None;
                self.mute_changed(at).await;
            }
        }
    }

    async fn mute_changed(&mut self, at: usize) {
        let participant = &self.participants[at];
        let (leg, gate) = (participant.leg, participant.gate());
        let prompt = if participant.muted.is_some() { Prompt::Muted } else { Prompt::Unmuted };
        self.mixer.tell(Command::SetGate(leg, gate)).await;
        self.tell_changed(at);
        self.say(leg, prompt).await;
    }

    async fn type_pin(&mut self, at: usize, key: char) {
        let right = self.snapshot.as_ref().and_then(|room| room.access.password.clone()).unwrap_or_default();
        let participant = &mut self.participants[at];
        let (leg, guesser) = (participant.leg, participant.caller.guesser(participant.source));
        let Some(pin) = &mut participant.pin else { return };
        let step = match pin.keys.press(key, &right) {
            // By another leg of theirs they guessed too often meanwhile.
            Step::Right if !self.focus.guesses().may_type(&self.room, &guesser, Instant::now()) => Step::Over,
            step @ (Step::Wrong | Step::Over) => {
                let is_over = self.focus.guesses().wrong(&self.room, &guesser, Instant::now());
                if is_over { Step::Over } else { step }
            }
            step => step,
        };
        self.mixer.tell(Command::Hush(leg)).await;
        match step {
            Step::Typing => {}
            Step::Right => {
                self.focus.guesses().right(&self.room, &guesser);
                self.enter(leg).await;
            }
            Step::Wrong => {
                for prompt in [Prompt::WrongPin, Prompt::Pin] {
                    self.say(leg, prompt).await;
                }
            }
            Step::Over => {
                self.participants[at].span().in_scope(|| tracing::info!("three PINs were wrong"));
                self.say(leg, Prompt::WrongPin).await;
                self.end(at, "Wrong PIN").await;
            }
        }
    }

    /// Hangs up after what a leg is being told.
    pub(super) async fn end(&mut self, at: usize, reason: &'static str) {
        if !self.focus.parts().config.prompts {
            return self.hang_up_at(at, reason).await;
        }
        let participant = &mut self.participants[at];
        participant.ending = Some((Instant::now() + LONGEST_GOODBYE, reason));
        let (leg, gate) = (participant.leg, participant.gate());
        self.seat_anew(at);
        self.mixer.tell(Command::SetGate(leg, gate)).await;
    }

    /// Whether somebody moderates the room.
    fn moderates(&self, at: usize) -> bool {
        let jid = self.participants[at].caller.card.as_ref().map(|card| &card.jid);
        self.snapshot.as_ref().zip(jid).is_some_and(|(room, jid)| policy::moderates(room, jid))
    }
}

/// Decibels of one key.
const GAIN_STEP: i8 = 3;
/// A leg that is to end is not told anything for longer.
const LONGEST_GOODBYE: Duration = Duration::from_secs(5);
