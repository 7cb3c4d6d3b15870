//! Roles that outlast a visit — XEP-0045 §5.1: a moderated room knows whom its moderators gave a voice, or took it from.
//!
//! In    a role that a moderator gave; who enters.
//! Out   the role to enter with, where it is another than the affiliation's.
//! State voices by bare JID, for 30 days since they were last of use, 1,000 a room, of which the one longest without use goes first;
//!       kept with the room. A new affiliation, and a room that is moderated no more, forget them, and a kick forgets a voice.
//! Not here: moderators without an affiliation come back as participants.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use shared_model::{Affiliation, Role};
use xmpp_core::Jid;

use super::room::Room;

/// Whom moderators gave a voice, or took it from, by bare JID.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Voices(BTreeMap<String, Voice>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Voice {
    is_given: bool,
    /// When it was of use last, milliseconds since 1970.
    at: i64,
}

impl Voices {
    /// Nobody has another role than their affiliation's.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// One is as their affiliation says; whether they were not.
    pub(crate) fn forget(&mut self, jid: &Jid) -> bool {
        self.0.remove(jid.bare_str()).is_some()
    }

    fn put(&mut self, jid: &Jid, is_given: bool, now: i64) {
        self.0.retain(|_, voice| now - voice.at < LASTS_MILLIS);
        if self.0.len() >= MOST_VOICES && !self.0.contains_key(jid.bare_str()) {
            let oldest = self.0.iter().min_by_key(|(_, voice)| voice.at).map(|(jid, _)| jid.clone());
            oldest.and_then(|oldest| self.0.remove(&oldest));
        }
        self.0.insert(jid.bare_str().to_owned(), Voice { is_given, at: now });
    }

    /// Whether one has a voice, where that was said.
    fn of(&mut self, jid: &Jid, now: i64) -> Option<bool> {
        let voice = self.0.get_mut(jid.bare_str()).filter(|voice| now - voice.at < LASTS_MILLIS)?;
        voice.at = now;
        Some(voice.is_given)
    }
}

impl Room {
    /// The role that somebody enters with.
    pub(crate) fn role_at_entry(&mut self, jid: &Jid, affiliation: Affiliation) -> Role {
        let role = self.role_of(affiliation);
        let is_open = self.config.moderated && affiliation < Affiliation::Admin;
        match self.voices.of(jid, self.now).filter(|_| is_open) {
            Some(true) => Role::Participant,
            Some(false) => Role::Visitor,
            None => role,
        }
    }

    /// A moderator gave somebody a role; whether that changes what is kept.
    pub(crate) fn remember_role(&mut self, jid: &Jid, role: Role) -> bool {
        let affiliation = self.affiliation(jid);
        if !self.config.moderated || affiliation >= Affiliation::Admin {
            return false;
        }
        let has_voice = match role {
            Role::None if self.voices.of(jid, self.now) == Some(true) => return self.voices.forget(jid),
            Role::None => return false,
            role => role.has_voice(),
        };
        if has_voice == self.role_of(affiliation).has_voice() {
            return self.voices.forget(jid);
        }
        self.voices.put(jid, has_voice, self.now);
        true
    }
}

const LASTS_MILLIS: i64 = 30 * 86_400_000;
const MOST_VOICES: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voice_lasts_a_while_and_the_oldest_makes_room() {
        let mut voices = Voices::default();
        let jid = |n: usize| format!("u{n}@x").parse::<Jid>().unwrap();
        for n in 0..=MOST_VOICES {
            voices.put(&jid(n), true, i64::try_from(n).unwrap());
        }
        assert_eq!(voices.0.len(), MOST_VOICES);
        assert_eq!(voices.of(&jid(0), 2_000), None);
        assert_eq!(voices.of(&jid(1), 2_000), Some(true));
        assert_eq!(voices.of(&jid(1), LASTS_MILLIS + 1_000), Some(true), "it was of use meanwhile");
        assert_eq!(voices.of(&jid(2), LASTS_MILLIS + 1_000), None);
    }
}
