//! What an operator sees of a service: the timeline of each account.
//!
//! In    facts of the bus, from every service of the process.
//! Out   entries in the store, and readers of them that need no running server.
//! Not here: metrics of other crates and logs, which are theirs.

mod config;
mod metrics;
pub mod timeline;

pub use config::{Config, KEYS};
