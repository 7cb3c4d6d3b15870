//! What the service has to say to somebody — RFC 7081 §5: the call half knows what a call costs, the chat half says it.

use std::time::Duration;

use crate::{BareJid, Pending};

/// Says things to accounts, in the name of their domain. The chat server implements it; the proxy uses it before it rings
/// a number that costs something.
pub trait Notices: Send + Sync {
    /// Says something; who is away finds it at the next login.
    fn tell<'a>(&'a self, to: &'a BareJid, text: &'a str) -> Pending<'a, ()>;
    /// Asks something, and waits so long for what they write back. `None` if they write nothing, if nobody is there, or if
    /// another question waits for their answer.
    fn ask<'a>(&'a self, to: &'a BareJid, text: &'a str, patience: Duration) -> Pending<'a, Option<String>>;
}
