//! Large requests — RFC 3261 §18.1.1: over 1,300 bytes they go by TCP, and by UDP where there is no TCP.
//!
//! State which connections were opened instead of UDP, and the UDP flow that they stand for.

use std::time::{Duration, Instant};

use dashmap::DashMap;
use sip_core::Message;
use sip_core::header::Name;

use crate::flow::{Flow, Transport};
use crate::own::seen_ip;

/// Flows to go back to.
#[derive(Default)]
pub(crate) struct Fallbacks(DashMap<u64, (Flow, Instant)>);

impl Fallbacks {
    /// If `connection` does not come about, what was to go by it goes by `udp`.
    pub(crate) fn put(&self, connection: &Flow, udp: Flow) {
        let now = Instant::now();
        if self.0.len() >= MOST {
            self.0.retain(|_, (_, since)| now.duration_since(*since) < LONGEST);
        }
        // What is not remembered is told as unreachable, which the sender can deal with.
        if self.0.len() < MOST {
            self.0.insert(connection.id, (udp, now));
        }
    }

    pub(crate) fn of(&self, connection: &Flow) -> Option<Flow> {
        if !connection.transport.is_stream() {
            return None;
        }
        self.0.get(&connection.id).map(|entry| entry.0)
    }
}

/// Whether a request of so many bytes is too large for a datagram whose path is not known.
pub(crate) fn is_large(bytes: usize) -> bool {
    bytes > LARGEST_DATAGRAM
}

/// Whether no datagram holds a request, and it has no other way.
pub(crate) fn is_beyond_datagrams(request: &Message, flow: &Flow) -> bool {
    let is_beyond = flow.transport == Transport::Udp
        && is_large(request.body().len())
        && request.to_bytes().len() > BEYOND_DATAGRAMS;
    if is_beyond {
        tracing::warn!(
            method = request.method(),
            body = request.body().len(),
            "a request is larger than a datagram, and there is no TCP to who should get it"
        );
    }
    is_beyond
}

/// Says in the topmost Via that the request goes by UDP now; it stays the same transaction.
pub(crate) fn by_udp(request: &mut Message, udp: &Flow) {
    let Some(branch) = request.top_via().and_then(|via| via.branch()).map(str::to_owned) else { return };
    request.pop_front(Name::Via);
    let (ip, port) = (seen_ip(udp), udp.local.port());
    let address = std::net::SocketAddr::new(ip, port);
    request.push_top(Name::Via, &format!("SIP/2.0/UDP {address};rport;branch={branch}"));
}

/// RFC 3261 §18.1.1.
const LARGEST_DATAGRAM: usize = 1_300;
/// RFC 768 in IPv4: 65,535 less both heads.
const BEYOND_DATAGRAMS: usize = 65_507;
/// Connections that are remembered.
const MOST: usize = 4_096;
/// Longer than a connection takes to come about or not.
const LONGEST: Duration = Duration::from_secs(60);
