//! Transactions — RFC 3261 §17 with RFC 6026: four machines, and the layer that finds the right one.
//!
//! The contract of each machine is the same: `handle` one input at an instant, drain the effects, then wait for a
//! packet, a word of the transaction user, or `deadline`, until its [`Life`] is over.

mod client;
mod client_invite;
mod due;
mod key;
mod layer;
mod server;
mod server_invite;
mod timers;

pub use client::Client;
pub use client_invite::ClientInvite;
pub use key::{ClientKey, ServerKey};
pub use layer::{Event, Failure, Transactions};
pub use server::Server;
pub use server_invite::ServerInvite;
pub use timers::Timers;

use bytes::Bytes;

use crate::Message;

/// What a machine asks for, or tells.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Send these bytes where the transaction sends.
    Send(Bytes),
    /// Pass this response up.
    Pass(Message),
    /// Pass this ACK up: it acknowledges a 2xx.
    PassAck(Message),
    /// Nobody answered in time.
    TimedOut,
    /// The transport failed.
    Unreachable,
}

/// Whether a machine is terminated by the step that it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Life {
    /// It waits for more.
    GoesOn,
    /// It is terminated.
    IsOver,
}

/// Whether the transport delivers by itself (RFC 3261 §17: unreliable ones need retransmissions).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reliability {
    /// TCP, TLS, WebSocket, in-process.
    Reliable,
    /// UDP.
    Unreliable,
}

#[cfg(test)]
mod tests;
