//! What calls cost their callers, and what is said and asked before they do — RFC 7081 §5, §7.
//!
//! ```text
//! a call to a number ─▶ admission ─▶ may they?  limits, spend   no: 403 with a Warning, and a chat message
//!                                 ─▶ do they want to?           a question by chat, or key 1; no: 603, silence: 403
//!                                 ─▶ do they know?              a chat message, then it rings
//! a charged call is up ─▶ watch   ─▶ what is left is used up?   a chat message a minute before, then a BYE to both sides
//! ```
//!
//! Where the operator wants it (`sip.cost.announce`), callers hear all three too ([`announce`]).

mod admission;
mod announce;
mod charges;
mod config;
mod limits;
mod spend;
mod watch;

pub(crate) use admission::{Asked, admit};
pub(crate) use charges::{Charge, Charges};
pub(crate) use config::KEYS;
pub use config::{AccountCost, CostConfig};
pub(crate) use spend::Spend;
pub(crate) use watch::watch;
