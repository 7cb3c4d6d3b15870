//! Streams — RFC 6120 §4 (header, features, errors), and the receiving entity's negotiation of one (§5, §6, §7).

mod error;
mod header;
pub mod inline;
pub mod management;
mod negotiation;

pub use error::{StreamCondition, StreamError};
pub use header::{CLOSE, print_header};
pub use negotiation::{Negotiation, Offer, Request, SaslFailure};
