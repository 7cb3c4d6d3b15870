//! What an operator sees of a service: the timeline of each account, and a doctor.
//!
//! In    facts of the bus, from every service of the process.
//! Out   entries in the store, and readers of them that need no running server.
//!       Findings of what is wrong with a service, and what to do.
//! Not here: metrics of other crates and logs, which are theirs.

mod config;
pub mod doctor;
mod metrics;
pub mod timeline;

pub use config::{Config, KEYS};
