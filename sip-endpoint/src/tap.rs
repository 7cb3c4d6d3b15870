//! A tap: whoever wants to see what comes and goes, byte for byte, without standing in its way.

use bytes::Bytes;

use crate::flow::Flow;

/// Sees messages. It is called on the way of each and must not wait.
pub trait Tap: Send + Sync {
    /// A message came or went. Not of wires within the process, whose messages come or go by others too.
    fn seen(&self, way: Way, flow: &Flow, bytes: &Bytes);
}

/// Which way a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the peer to us.
    Received,
    /// From us to the peer.
    Sent,
}
