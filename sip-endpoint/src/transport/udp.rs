//! UDP — RFC 3261 §18.2.1: one task reads a socket, parses, and hands to shards.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::net::UdpSocket;

use crate::endpoint::Inlet;
use crate::flow::{Flow, Transport};

/// Reads until shutdown.
pub(crate) async fn read(socket: Arc<UdpSocket>, id: u64, local: SocketAddr, inlet: Inlet) {
    let mut buffer = vec![0; LARGEST];
    loop {
        let (length, remote) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            // An ICMP error of something that was sent; the socket is as good as before.
            Err(_) => continue,
        };
        let datagram = &buffer[..length];
        // Keepalives: a CRLF or two, or a zero byte.
        if datagram.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            continue;
        }
        let flow = Flow { transport: Transport::Udp, id, local, remote };
        inlet.take_datagram(Bytes::copy_from_slice(datagram), flow);
    }
}

/// Bytes of the largest datagram.
const LARGEST: usize = 65_535;
