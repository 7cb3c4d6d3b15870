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

use shared_model::Spec;

pub use config::{Config, KEYS};

/// What this crate implements.
pub const SPECS: &[Spec] = &[
    Spec::rfc(8489).note("a client of Binding, and of long-term credentials with MD5, for the doctor"),
    Spec::rfc(8656).note("a client of Allocate and Refresh, for the doctor"),
];
