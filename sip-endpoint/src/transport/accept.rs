//! Connections that peers open — RFC 3261 §18.2: admitted or not, then handed to a task of their own.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use shared_runtime::Seldom;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::connections::{Refusal, Seat};
use super::stream::{self, Ends, Opened};
use crate::flow::Transport;
use crate::inlet::Inlet;
use crate::metrics::Refused;

/// Accepts until shutdown.
pub(crate) async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, inlet: Inlet) {
    let mut failed = Seldom::default();
    loop {
        let (socket, remote) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors: others must close first.
                if let Some(times) = failed.say(Instant::now()) {
                    tracing::warn!(%error, times, "a SIP connection could not be accepted");
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        // One that is refused is closed here, before it costs a handshake.
        let Some(seat) = admit(&inlet, remote) else { continue };
        let Ok(local) = socket.local_addr() else { continue };
        let ends = Ends { local: canonical(local), remote: canonical(remote) };
        stream::tune(&socket);
        match tls.clone() {
            None => Opened::enter(&inlet, Transport::Tcp, ends, seat).start(socket, inlet.clone()),
            Some(tls) => {
                inlet.shutdown.spawn(shake_hands(socket, ends, tls, seat, inlet.clone()));
            }
        }
    }
}

async fn shake_hands(socket: TcpStream, ends: Ends, tls: TlsAcceptor, seat: Seat, inlet: Inlet) {
    let Ok(Ok(stream)) = timeout(HANDSHAKE, tls.accept(socket)).await else {
        return inlet.wires.metrics.refused(Refused::Handshake);
    };
    let opened = Opened::enter(&inlet, Transport::Tls, ends, seat);
    opened.certified(&inlet, stream.get_ref().1);
    opened.start(stream, inlet);
}

/// A place for a connection of this peer, unless a bound says no.
pub(crate) fn admit(inlet: &Inlet, remote: SocketAddr) -> Option<Seat> {
    let refused = match inlet.wires.connections.admit(remote.ip()) {
        Ok(seat) => return Some(seat),
        Err(Refusal::Full) => Refused::Full,
        Err(Refusal::Network) => Refused::Network,
    };
    inlet.wires.metrics.refused(refused);
    tracing::debug!(?refused, "a SIP connection was refused");
    None
}

/// IPv4 as IPv4, also where an IPv6 socket brought it.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::new(ip.into(), address.port()),
        // A link-local address keeps its scope.
        IpAddr::V6(_) => address,
    }
}

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
