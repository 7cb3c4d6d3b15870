//! Trunks: ways into the telephone network, and calls that come from there.
//!
//! ```text
//! number ─▶ select ─▶ branch ─▶ caller_id, credentials ─▶ carrier      out: failing over to the next
//! carrier ─▶ source ─▶ inbound ─▶ account, room                        in: recognised by where it comes from
//! keeper: finds the carrier, registers there, asks it whether it is up
//! ```
//!
//! State one small struct a trunk; its health and its registration are machines of their own.
//! Nothing goes out for a stranger: only a proven account's call has a trunk among its branches (`routing`).

pub(crate) mod caller_id;
mod config;
mod credentials;
mod health;
pub(crate) mod inbound;
mod keeper;
mod metrics;
mod registration;
mod select;
mod trunk;

pub(crate) use config::KEYS;
pub use config::{CallerId, TrunkConfig, Written};
pub(crate) use keeper::{keep, look_up, wait_of};
pub(crate) use trunk::{Trunk, Trunks};
