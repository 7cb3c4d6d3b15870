//! Streams — RFC 6120 §4 (header, features, errors), and their negotiation (§5, §6, §7): with clients
//! ([`Negotiation`]), with other servers ([`server`]), with components ([`component`]).

pub mod component;
mod error;
mod failure;
mod header;
pub mod inline;
pub mod limits;
pub mod management;
mod negotiation;
pub mod server;

pub use error::{StreamCondition, StreamError};
pub use failure::SaslFailure;
pub use header::{CLOSE, print_component_header, print_header, print_server_header};
pub use negotiation::{Negotiation, Offer, Registrants, Request};
