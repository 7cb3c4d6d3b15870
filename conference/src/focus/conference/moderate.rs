//! What an administrator of the service, or from the chat a moderator of the room, does to a leg, where no chat room can do it for them — S-40;
//! RFC 4575 tells those who watch.
//!
//! In    a Call-ID, or a name, and a deed. Out BYE, or a gate that closes; the fact that the leg changed; the same deed in the chat, where the operator wants
//!       that (S-40 the other way, A-9).
//! State the revocation of an account's voice, or of a leg's that has none.
//! Errors who moderates the room keeps their voice; a voice that the room itself gives to members alone is the room's to give.

use std::collections::BTreeSet;

use shared_model::{BareJid, Deed, ModerationError};
use sip_core::Uri;

use super::super::participant::Participant;
use super::super::policy::{self, Voice};
use super::Conference;
use crate::mixer::Command;

impl Conference {
    pub(super) async fn moderate(&mut self, call_id: &str, deed: Deed) -> Result<(), ModerationError> {
        let named = self.participants.iter().position(|p| p.is_joined && p.dialog.call_id == call_id);
        let at = named.ok_or(ModerationError::Nobody)?;
        let jid = self.participants[at].jid().cloned();
        match (deed, &jid) {
            (Deed::Kick, _) => {
                let leg = self.participants[at].leg;
                self.hang_up(leg, "Removed From The Call").await;
                return Ok(());
            }
            (Deed::Gain(step), _) => {
                self.change_gain(at, step).await;
                return Ok(());
            }
            (Deed::Mute, Some(jid)) => {
                if self.snapshot.as_ref().is_some_and(|room| policy::moderates(room, jid)) {
                    return Err(ModerationError::Refused("who moderates a room keeps their voice"));
                }
                self.revoked.revoke(jid);
            }
            (Deed::Unmute, Some(jid)) => {
                self.revoked.grant(jid);
                self.lift_mute(jid).await;
            }
            (Deed::Mute | Deed::Unmute, None) => self.participants[at].is_silenced = deed == Deed::Mute,
        }
        if let Some(jid) = &jid {
            self.follow_in_chat(jid, deed);
        }
        let mut occupants = self.snapshot.iter().flat_map(|room| &room.occupants);
        let is_in_chat = occupants.any(|it| jid.as_ref() == Some(&it.jid));
        let voice = self.voice(jid.as_ref());
        let meant: Vec<usize> = match &jid {
            Some(jid) => {
                (0..self.participants.len()).filter(|at| self.participants[*at].jid() == Some(jid)).collect()
            }
            None => vec![at],
        };
        for at in meant {
            self.participants[at].voice = voice;
            let (leg, gate) = (self.participants[at].leg, self.participants[at].gate());
            self.mixer.tell(Command::SetGate(leg, gate)).await;
            self.seat_anew(at);
            self.tell_changed(at);
        }
        // To whom is in the chat it gives a voice, which is heard of as a fact, often later than this.
        if deed == Deed::Unmute && voice == Voice::Revoked && !is_in_chat {
            return Err(ModerationError::Refused("the room is moderated: a voice is given in its chat"));
        }
        Ok(())
    }

    /// A moderator of the room does something to somebody, on all their legs: an occupant by the nick, or whoever only calls by their name.
    pub(super) async fn adjust(
        &mut self,
        asker: &BareJid,
        whom: &str,
        deed: Deed,
    ) -> Result<(), ModerationError> {
        let Some(room) = self.snapshot.as_ref().filter(|room| policy::moderates(room, asker)) else {
            return Err(ModerationError::Refused("only moderators do that"));
        };
        // Who may remove whom is the room's to say, or of a REFER.
        if deed == Deed::Kick {
            return Err(ModerationError::Refused("the room removes people"));
        }
        let occupant = room.occupants.iter().find(|occupant| occupant.nick == whom);
        // Who wants to stay unknown is not known by a nick either.
        let jid = |p: &Participant| p.jid().filter(|_| !p.caller.is_anonymous).cloned();
        let is_meant = |p: &Participant| match occupant {
            Some(occupant) => jid(p).as_ref() == Some(&occupant.jid),
            // Whose name the room hides is known by their nick alone.
            None if jid(p).is_some_and(|jid| room.occupants.iter().any(|it| it.jid == jid)) => false,
            None => p.caller.display_name == whom || user_of(&p.caller.uri).as_deref() == Some(whom),
        };
        let legs = self.participants.iter().filter(|p| p.is_joined && is_meant(p));
        let legs: Vec<String> = legs.map(|p| p.dialog.call_id.clone()).collect();
        if legs.is_empty() {
            return Err(ModerationError::Nobody);
        }
        let mut done = Ok(());
        for call_id in legs {
            done = done.and(self.moderate(&call_id, deed).await);
        }
        done
    }

    /// What was done to somebody in the call is done to them in the chat, by its own law, if they are there and the operator wants it.
    pub(super) fn follow_in_chat(&self, jid: &BareJid, deed: Deed) {
        let parts = self.focus.parts();
        let is_wanted = match deed {
            Deed::Kick => parts.config.kick_from_chat,
            Deed::Mute | Deed::Unmute => parts.config.mute_in_chat,
            Deed::Gain(_) => false,
        };
        let Some(chat) = parts.chat.clone().filter(|_| is_wanted) else { return };
        let occupants = self.snapshot.iter().flat_map(|room| &room.occupants);
        let nicks: BTreeSet<String> =
            occupants.filter(|it| it.jid == *jid).map(|it| it.nick.clone()).collect();
        let room = self.room.clone();
        parts.shutdown.spawn(async move {
            for nick in nicks {
                match chat.moderate(&room, &nick, deed).await {
                    Ok(()) | Err(ModerationError::Nobody) => {}
                    Err(error) => {
                        tracing::warn!(%room, ?deed, %error, "what was done in the call was not done in the chat")
                    }
                }
            }
        });
    }
}

/// The number or name of who calls, as people write it.
fn user_of(uri: &str) -> Option<String> {
    Some(Uri::parse(uri)?.user_unescaped().into_owned())
}
