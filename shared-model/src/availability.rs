//! Whether somebody wants to be called — RFC 7081 §2: the chat half knows who is busy and who is blocked, the call half rings.

use crate::{BareJid, Pending};

/// What the chat half says of ringing an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MayRing {
    /// Nothing speaks against it.
    Yes,
    /// They do not want to be disturbed now (RFC 6121 §4.7.2.1, `dnd`).
    DoNotDisturb,
    /// They have blocked who calls (XEP-0191).
    Blocked,
}

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CalledBy<'a> {
    /// Nobody who is known here.
    Unknown,
    /// Somebody of this service whom the callee is not to know (RFC 3323), or whom a stranger says to be: a block of theirs holds, and they are a
    /// stranger else.
    Hidden(&'a BareJid),
    /// Somebody of this service.
    Shown(&'a BareJid),
}

/// Answers whether an account may be rung. The chat server implements it; the proxy asks it before it rings.
pub trait Availability: Send + Sync {
    /// Whether `callee` may be rung by `caller`.
    fn may_ring<'a>(&'a self, callee: &'a BareJid, caller: CalledBy<'a>) -> Pending<'a, MayRing>;
}
