//! The call of a chat room: `sip:room@conference.<domain>` beside `room@conference.<domain>` (RFC 7081 §4).

pub mod config;
pub mod media;
pub mod metrics;
pub mod mixer;

pub use config::{Config, KEYS};
