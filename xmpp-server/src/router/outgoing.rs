//! What a session's writer gets, and what becomes of it when the client does not get it (XEP-0198 §4, RFC 6121 §8.5).

use std::sync::Arc;

use bytes::Bytes;
use xmpp_core::{Kind, Stanza};

use super::Among;
use crate::offline::Came;
use crate::queue::Weighs;

/// What a session's writer gets.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// Ready for the wire.
    pub(crate) bytes: Bytes,
    pub(crate) what: What,
}

/// What becomes of something when the client does not get it.
#[derive(Debug)]
pub(crate) enum What {
    /// Words of the stream itself. They are not stanzas, and nobody counts them.
    Words,
    /// `<enabled/>`: from here on stanzas are counted (XEP-0198 §4).
    Enabled,
    /// A stanza that is of the moment.
    Fleeting,
    /// A stanza of the moment that can wait while nobody looks (XEP-0352); a later one under the same name takes its place.
    Deferrable(String),
    /// The last words of the stream: what is behind them is not written.
    End,
    /// Somebody looks: nothing waits any more.
    Wake,
    /// Acks are still owed: who writes may ask for them.
    Nudge,
    /// A stanza that somebody waits for, or that goes elsewhere.
    Kept(Box<Kept>),
    /// The same, of which other sessions of the account have a copy, too.
    Shared(Arc<Among>),
    /// A copy for who only listens (XEP-0280): the message itself goes elsewhere if nobody gets it.
    Copied(Arc<Among>),
    /// A message that waited under this id. It is forgotten when the client has it.
    Waited(String),
    /// A message for a client without connection, which waits under this id, too. It is forgotten when the client has it. Other sessions
    /// may have a copy.
    Stored(Box<Stanza>, String, Option<Arc<Among>>),
}

/// A stanza that somebody waits for, and when it came.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) stanza: Stanza,
    pub(crate) came: Came,
}

impl Weighs for Outgoing {
    fn weight(&self) -> usize {
        self.bytes.len()
    }
}

impl What {
    /// The client has it. The id under which it waits.
    pub(crate) fn had(self) -> Option<String> {
        match self {
            Self::Waited(id) => Some(id),
            Self::Stored(_, id, among) => {
                among.iter().for_each(|among| among.had());
                Some(id)
            }
            Self::Shared(among) | Self::Copied(among) => {
                among.had();
                None
            }
            _ => None,
        }
    }
}

impl Outgoing {
    /// Words of the stream itself.
    pub(crate) fn words(text: String) -> Self {
        Self { bytes: text.into(), what: What::Words }
    }
}

/// Whether somebody waits for a stanza, or it goes elsewhere, when a client does not get it.
pub(crate) fn is_kept(stanza: &Stanza) -> bool {
    match stanza.kind {
        Kind::Message => !stanza.is_type("error") && !stanza.is_type("groupchat"),
        Kind::Iq => stanza.is_type("get") || stanza.is_type("set"),
        Kind::Presence => false,
    }
}
