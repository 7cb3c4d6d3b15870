//! Moderation from outside: what an administrator of the service does to somebody in a room or in its call.

use crate::{Pending, RoomAddress};

/// What is done to somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Deed {
    /// They hear and are not heard.
    Mute,
    /// They may be heard again.
    Unmute,
    /// They are out.
    Kick,
    /// Others in the call hear them louder by so many decibels, or quieter if that is negative.
    Gain(i8),
}

/// Why it was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModerationError {
    /// No such room, or nobody of that name in it.
    #[error("nobody of that name is there")]
    Nobody,
    /// The room's law does not let it be done; says why.
    #[error("{0}")]
    Refused(&'static str),
    /// Whoever could do it does not answer.
    #[error("the other half does not answer")]
    Unavailable,
}

/// Moderates as a room's law lets an owner do it. Rooms implement it for occupants, by their nick; the focus for legs, by their Call-ID.
pub trait Moderation: Send + Sync {
    /// Does something to somebody.
    fn moderate<'a>(
        &'a self,
        room: &'a RoomAddress,
        whom: &'a str,
        deed: Deed,
    ) -> Pending<'a, Result<(), ModerationError>>;
}
