//! What carries a leg's packets.

use std::net::{SocketAddr, UdpSocket};

use super::LARGEST_DATAGRAM;
use crate::media::latch::is_somebody;
use crate::media::ports::PortPair;
use crate::media::web::WebWire;

/// What carries a leg's packets.
pub(super) enum Wire {
    /// A pair of ports of its own.
    Ports(PortPair),
    /// Its part of the port of all browsers.
    Web(Box<WebWire>),
}

impl Wire {
    /// Sends a packet; false if it cannot be.
    pub(super) fn send(&self, packet: &[u8], target: SocketAddr) -> bool {
        match self {
            Self::Ports(ports) => send(&ports.rtp, packet, target),
            Self::Web(wire) => wire.send(packet),
        }
    }

    pub(super) fn is_web(&self) -> bool {
        matches!(self, Self::Web(_))
    }
}

pub(super) fn send(socket: &UdpSocket, packet: &[u8], target: SocketAddr) -> bool {
    is_somebody(target) && socket.send_to(packet, target).is_ok()
}

/// The next datagram; an error, such as that of a port that nobody listens on (ICMP), is passed over.
pub(super) fn read(socket: &UdpSocket, datagram: &mut [u8; LARGEST_DATAGRAM]) -> Option<(usize, SocketAddr)> {
    match socket.recv_from(datagram) {
        Ok(read) => Some(read),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => None,
        Err(_) => socket.recv_from(datagram).ok(),
    }
}

/// The payload without its padding (RFC 3550 §5.1).
pub(super) fn unpadded(payload: &[u8], has_padding: bool) -> Option<&[u8]> {
    let padding = if has_padding { usize::from(payload.last().copied().unwrap_or(0)) } else { 0 };
    payload.get(..payload.len().checked_sub(padding)?)
}
