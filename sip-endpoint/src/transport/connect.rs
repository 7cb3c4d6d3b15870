//! Connections that we open — RFC 3261 §18.1.1.

use std::net::SocketAddr;
use std::time::Duration;

use rustls::pki_types::ServerName;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::stream::{self, Ends, Opened};
use crate::flow::{Flow, Transport};
use crate::inlet::Inlet;

/// Opens a connection; messages wait in its outbox until it stands. A connection that fails is told as a lost flow.
/// `None` if we have opened all that we may.
pub(crate) fn connect(inlet: &Inlet, transport: Transport, remote: SocketAddr, host: &str) -> Option<Flow> {
    let local = SocketAddr::new(crate::own::local_ip(remote), 0);
    let seat = inlet.wires.connections.admit_own()?;
    // Who names no host names an address.
    let host = if host.is_empty() { remote.ip().to_string() } else { host.to_owned() };
    let opened = Opened::enter_own(inlet, transport, Ends { local, remote }, seat, &host);
    let flow = opened.flow;
    let inlet = inlet.clone();
    let tls = (transport == Transport::Tls).then(|| inlet.tls.clone());
    inlet.shutdown.clone().spawn(async move {
        let Ok(Ok(socket)) = timeout(CONNECT, TcpStream::connect(remote)).await else {
            return opened.fail(&inlet).await;
        };
        stream::tune(&socket);
        // An error leaves the socket as the system made it, which works too.
        let _ = SockRef::from(&socket).set_tcp_user_timeout(Some(UNHEARD));
        match tls {
            None => opened.start(socket, inlet),
            Some(tls) => {
                let Ok(name) = ServerName::try_from(host) else { return opened.fail(&inlet).await };
                match timeout(HANDSHAKE, tls.connect(name, socket)).await {
                    Ok(Ok(stream)) => {
                        opened.certified(&inlet, stream.get_ref().1);
                        opened.start(stream, inlet);
                    }
                    _ => opened.fail(&inlet).await,
                }
            }
        }
    });
    Some(flow)
}

/// How long what we sent may be without a sign that it came: then the connection is dead, and another is opened for what follows.
const UNHEARD: Duration = Duration::from_secs(10);
/// How long connecting may take; less than Timer B, so that another target can be tried.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
