//! What calls cost their callers, and what is said and asked before they do — RFC 7081 §5, §7.
//!
//! ```text
//! a call to a number ─▶ admission ─▶ may they?  limits, spend   no: 403 with a Warning, and a chat message
//!                                 ─▶ do they want to?           a question by chat; no: 603, silence: 403
//!                                 ─▶ do they know?              a chat message, then it rings
//! ```
//!
//! Not here: a spoken announcement (S-41), which wants a media leg in the proxy's place.

mod admission;
mod charges;
mod config;
mod limits;
mod spend;

pub(crate) use admission::admit;
pub(crate) use charges::{Charge, Charges};
pub(crate) use config::KEYS;
pub use config::{AccountCost, CostConfig};
pub(crate) use spend::Spend;
