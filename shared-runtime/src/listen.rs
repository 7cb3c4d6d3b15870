//! Binding sockets, with errors that name the listener.

use std::net::SocketAddr;

use tokio::net::{TcpListener, UdpSocket};

/// A listener could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("{listener}: cannot listen on {address}: {reason}")]
pub struct ListenError {
    /// The configuration key, such as `sip.udp`.
    pub listener: &'static str,
    /// The address that was asked for.
    pub address: SocketAddr,
    /// What the system said.
    pub reason: std::io::Error,
}

/// Binds a TCP listener for the configuration key `listener`. Port 0 takes a free port.
pub async fn tcp(listener: &'static str, address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|reason| ListenError { listener, address, reason })
}

/// Binds a UDP socket for the configuration key `listener`. Port 0 takes a free port.
pub async fn udp(listener: &'static str, address: SocketAddr) -> Result<UdpSocket, ListenError> {
    UdpSocket::bind(address).await.map_err(|reason| ListenError { listener, address, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_named_with_its_listener() {
        let first = tcp("sip.tcp", SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let taken = first.local_addr().unwrap();
        let text = tcp("xmpp.c2s", taken).await.unwrap_err().to_string();
        assert!(text.starts_with(&format!("xmpp.c2s: cannot listen on {taken}: ")), "{text}");
    }
}
