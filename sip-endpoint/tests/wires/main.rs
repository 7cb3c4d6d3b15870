//! The endpoint over real sockets: what comes and goes on each transport, and what is refused.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "a test may keep more of the rig than it looks at")]

mod certificates;
mod datagrams;
#[path = "../../../tests/support/dns.rs"]
mod dns;
mod limits;
mod names;
mod rig;
mod ways;
mod websockets;
