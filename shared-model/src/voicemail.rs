//! Voicemail — RFC 7081 §3, RFC 3842: the call half takes what callers say, the chat half keeps it and tells its owner.

use std::time::Duration;

use crate::{BareJid, Pending, Unavailable};

/// What a caller said to somebody who did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoiceMessage {
    /// Who called, if the proxy proved them and they do not stay unknown.
    pub from: Option<BareJid>,
    /// How they are shown: a name, an address, or a number.
    pub caller: String,
    /// What they said.
    pub said: Result<Said, Unrecorded>,
}

/// What was recorded of a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// How long it is.
    pub duration: Duration,
    /// Opus in Ogg (RFC 7845).
    pub sound: Vec<u8>,
}

/// What a caller said could not be recorded: all that there is of it is that they called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it could not be recorded")]
pub struct Unrecorded;

/// What waits in a mailbox (RFC 3842 §5.2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Messages that were not heard.
    pub new: u32,
    /// Messages that were, and are still there.
    pub old: u32,
}

/// A voice message that is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeptMessage {
    /// What it is asked for by.
    pub id: String,
    /// How the caller is shown; empty if that is not known.
    pub caller: String,
    /// How long it is.
    pub duration: Duration,
    /// When it was left, milliseconds since 1970; 0 if that is not known.
    pub at: i64,
    /// When it goes, milliseconds since 1970.
    pub until: i64,
    /// Whether its owner heard it.
    pub is_heard: bool,
}

/// Keeps voice messages. The chat server implements it; the focus, which takes them, asks it.
pub trait VoiceMessages: Send + Sync {
    /// Whether an account wants that callers whom it does not answer may leave a message.
    fn wants<'a>(&'a self, owner: &'a BareJid) -> Pending<'a, bool>;
    /// Keeps a message, and tells its owner: also of one that could not be recorded or kept, which is an error.
    fn keep<'a>(&'a self, owner: &'a BareJid, message: VoiceMessage) -> Pending<'a, Result<(), Unavailable>>;
    /// What waits for an account.
    fn waiting<'a>(&'a self, owner: &'a BareJid) -> Pending<'a, Result<Waiting, Unavailable>>;
}

/// Answers where calls go that an account does not take. The focus implements it; the proxy asks it.
pub trait Mailboxes: Send + Sync {
    /// The URI of a mailbox for one call; `None` if the account wants none.
    fn mailbox<'a>(&'a self, owner: &'a BareJid) -> Pending<'a, Option<String>>;
    /// Where an account asks what waits for it.
    fn watched(&self) -> String;
}
