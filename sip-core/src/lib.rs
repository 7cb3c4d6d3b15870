//! SIP without I/O — RFC 3261: messages, headers, URIs, the four transactions, the proxy's core, SDP.
//!
//! Nothing here has a socket, a clock or dice: instants and random numbers are arguments.

mod cut;
pub mod dialog;
mod fnv;
pub mod header;
pub mod message;
pub mod preferences;
pub mod privacy;
pub mod proxy;
pub mod sdp;
pub mod status;
pub mod subscription;
pub mod transaction;
pub mod uri;

pub use header::Name;
pub use message::{Framer, Malformed, Message};
pub use uri::Uri;
