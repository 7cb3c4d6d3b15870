//! XMPP without I/O: bounded XML, addresses, stanzas, the negotiation of a stream, and payloads.
//!
//! ```text
//! bytes ── xml::Framer ──▶ Frame ── stream::Negotiation ──▶ Stanza ── payload::* ──▶ typed values
//! ```
//!
//! Nothing here opens a socket, reads a clock or rolls dice: those are the caller's, and arguments here.
//! Network bytes never panic; what is wrong with them has a name that RFC 6120 §4.9.3 gives.

pub mod jid;
pub mod ns;
pub mod payload;
pub mod stanza;
pub mod stream;
pub mod xml;

pub use jid::Jid;
pub use stanza::{ErrorKind, Kind, Stanza, StanzaError};
pub use xml::Element;
