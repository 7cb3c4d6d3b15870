//! Streams between servers, without I/O — RFC 6120 §4 to §6, XEP-0220 (dialback), XEP-0288 (both ways).
//!
//! ```text
//! Initiating ─ header, STARTTLS, EXTERNAL or a key ─▶ Receiving       negotiation, until a pair of domains is proven
//!     Talk   ◀──────── stanzas, keys, questions ────────▶ Talk         from then on, and the same on both sides
//! ```
//!
//! What is proven is a [`Pair`], never a stream: one stream may carry several pairs (XEP-0220 §2.6).
//! Not here: TLS, certificates, the making and judging of keys, and the choice of the stream that a stanza takes.

mod dialback;
mod initiating;
mod receiving;
mod talk;

pub use dialback::Verdict;
pub use initiating::{Ask, Initiating, Purpose, Refusal, Wish};
pub use receiving::{Greeting, Receiving, Request};
pub use talk::{Said, Talk};

/// A domain of ours and a domain of the other server.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pair {
    /// Served here.
    pub ours: String,
    /// Served there.
    pub theirs: String,
}

impl Pair {
    /// A pair of prepared domains.
    pub fn new(ours: &str, theirs: &str) -> Self {
        Self { ours: ours.to_owned(), theirs: theirs.to_owned() }
    }
}

/// A domain in an attribute, in its compared form.
pub(super) fn domain(text: Option<&str>) -> Option<String> {
    let jid: crate::Jid = text?.parse().ok()?;
    (jid.local().is_none() && jid.is_bare()).then(|| jid.domain().to_owned())
}
