//! A conference as other services see it: who is in the call, and who is heard (RFC 4575 §5.6).

use crate::{AccountId, BareJid, Deed, ModerationError, Pending, RoomAddress, Unavailable};

/// What a participant of a call can do with sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Audio {
    /// Hears and is heard.
    SendReceive,
    /// Hears; the mixer drops what they say.
    Muted,
    /// On hold: neither hears nor is heard.
    OnHold,
}

/// One leg of a conference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participant {
    /// Whose leg it is, if the proxy proved it. For the operator: it is shown to nobody.
    pub account: Option<AccountId>,
    /// The JID bound to that account; anonymous callers have none.
    pub jid: Option<BareJid>,
    /// The SIP URI of the leg, as shown in the conference document; anonymous callers have an opaque one.
    pub uri: String,
    /// The name to show, possibly empty.
    pub display_name: String,
    /// What they can do with sound.
    pub audio: Audio,
    /// Whether they see or show pictures.
    pub has_video: bool,
    /// Whether they want to speak.
    pub is_hand_up: bool,
    /// Whether their sound is encrypted on its way to and from the mixer.
    pub is_encrypted: bool,
    /// How much louder than they are others hear them, in decibels; negative is quieter.
    pub gain: i8,
}

/// A conference at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConferenceSnapshot {
    /// The room whose call this is.
    pub room: RoomAddress,
    /// Everybody in the call by the Call-ID of their leg, in the order of joining.
    pub participants: Vec<(String, Participant)>,
    /// Whether it is being recorded.
    pub is_recorded: bool,
}

/// Why nobody came into a call who was called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallOutError {
    /// The room's rules do not let them be called, or they did not take the call; says why.
    #[error("{0}")]
    Refused(String),
    /// Whoever could call does not answer.
    #[error("no calls can be made now")]
    Unavailable,
}

/// Answers who is in a room's call now, calls others into it, and has it recorded. The focus implements it; the chat server and the API ask it.
pub trait ConferenceDirectory: Send + Sync {
    /// The room's call at this moment, or `None` if nobody is in it.
    fn conference<'a>(
        &'a self,
        room: &'a RoomAddress,
    ) -> Pending<'a, Result<Option<ConferenceSnapshot>, Unavailable>>;

    /// The conference document (RFC 4575 §4) as `viewer` may see it, or `None` if there is no call.
    fn document<'a>(
        &'a self,
        _room: &'a RoomAddress,
        _viewer: &'a BareJid,
    ) -> Pending<'a, Result<Option<String>, Unavailable>> {
        Box::pin(async { Ok(None) })
    }

    /// Calls `callee`, a SIP URI, into the room's call for `asker`, who has the rights of a REFER to it. The answer comes when
    /// the call was taken, or will not be.
    fn call_out<'a>(
        &'a self,
        _room: &'a RoomAddress,
        _asker: &'a BareJid,
        _callee: &'a str,
    ) -> Pending<'a, Result<(), CallOutError>> {
        Box::pin(async { Err(CallOutError::Unavailable) })
    }

    /// Does something to somebody in the room's call for `asker`, who moderates the room: to an occupant of its chat by the nick, or to whoever
    /// only calls by the name that they show.
    fn adjust<'a>(
        &'a self,
        _room: &'a RoomAddress,
        _asker: &'a BareJid,
        _whom: &'a str,
        _deed: Deed,
    ) -> Pending<'a, Result<(), ModerationError>> {
        Box::pin(async { Err(ModerationError::Unavailable) })
    }

    /// Has the room's call recorded, or not any more, for `asker`, who moderates the room, or for the operator. Everybody in the call is
    /// told, and so is the chat.
    fn record<'a>(
        &'a self,
        _room: &'a RoomAddress,
        _asker: Option<&'a BareJid>,
        _is_wanted: bool,
    ) -> Pending<'a, Result<(), ModerationError>> {
        Box::pin(async { Err(ModerationError::Unavailable) })
    }
}
