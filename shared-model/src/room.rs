//! A room as other services see it: who is in it, who may be, and under which rules (XEP-0045 §5).

use serde::{Deserialize, Serialize};

use crate::{BareJid, Pending, RoomAddress};

/// What an occupant may do during this visit (XEP-0045 §5.1). Ordered by privilege.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Not in the room.
    None,
    /// Hears, and has no voice in a moderated room.
    Visitor,
    /// Has voice.
    Participant,
    /// Has voice, grants and revokes it, and kicks.
    Moderator,
}

/// What somebody is to the room for good (XEP-0045 §5.2). Ordered by privilege.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Affiliation {
    /// Banned.
    Outcast,
    /// Nobody in particular.
    None,
    /// May enter a members-only room.
    Member,
    /// Administers members and bans.
    Admin,
    /// Owns the configuration.
    Owner,
}

impl Role {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Visitor => "visitor",
            Self::Participant => "participant",
            Self::Moderator => "moderator",
        }
    }

    /// Whether the occupant may be heard: everybody but visitors.
    pub fn has_voice(self) -> bool {
        self >= Self::Participant
    }
}

impl Affiliation {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Outcast => "outcast",
            Self::None => "none",
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// Whether a members-only room lets them in.
    pub fn is_member(self) -> bool {
        self >= Self::Member
    }
}

/// The rules of entry and speech of a room.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RoomAccess {
    /// Only those with an affiliation of member or more may enter.
    pub members_only: bool,
    /// Those without affiliation enter as visitors.
    pub moderated: bool,
    /// The room is not listed, and its SIP URI is shown to members alone.
    pub hidden: bool,
    /// What must be given on entry, in text or in digits: the password of the chat and the PIN of the call.
    pub password: Option<String>,
    /// Everybody sees everybody's real address; otherwise moderators alone do (XEP-0045 §4.2).
    pub non_anonymous: bool,
}

/// One in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occupant {
    /// The name under which the room knows them; unique in the room.
    pub nick: String,
    /// Whose occupant it is.
    pub jid: BareJid,
    /// For this visit.
    pub role: Role,
    /// For good.
    pub affiliation: Affiliation,
}

/// A room at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomSnapshot {
    /// Which room.
    pub room: RoomAddress,
    /// Its natural-language name, possibly empty.
    pub name: String,
    /// The current subject, possibly empty.
    pub subject: String,
    /// What it is for, in the words of its owners, possibly empty.
    pub description: String,
    /// Rules of entry and speech.
    pub access: RoomAccess,
    /// Everybody with an affiliation other than none.
    pub affiliations: Vec<(BareJid, Affiliation)>,
    /// Everybody inside, in the order of entry; one account may be inside under several nicks.
    pub occupants: Vec<Occupant>,
}

impl RoomSnapshot {
    /// What `jid` is to the room for good.
    pub fn affiliation(&self, jid: &BareJid) -> Affiliation {
        self.affiliations
            .iter()
            .find(|(who, _)| who == jid)
            .map_or(Affiliation::None, |(_, affiliation)| *affiliation)
    }
}

/// The other half does not answer; what was known last still holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the other half does not answer")]
pub struct Unavailable;

/// Answers what a room is like now. The chat server implements it; the focus asks it.
pub trait RoomDirectory: Send + Sync {
    /// The room at this moment, or `None` if there is no such room.
    fn room<'a>(&'a self, room: &'a RoomAddress) -> Pending<'a, Result<Option<RoomSnapshot>, Unavailable>>;

    /// At most `max` rooms behind an address, hidden ones too, in the order of their addresses, that have a text in their address or
    /// name, whatever its case; for the operator.
    fn rooms<'a>(
        &'a self,
        _text: &'a str,
        _after: Option<&'a RoomAddress>,
        _max: usize,
    ) -> Pending<'a, Result<Vec<RoomAddress>, Unavailable>> {
        Box::pin(async { Err(Unavailable) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn privileges_are_ordered() {
        assert!(Affiliation::Outcast < Affiliation::None && Affiliation::Owner.is_member());
        assert!(!Role::Visitor.has_voice() && Role::Moderator.has_voice());
    }
}
