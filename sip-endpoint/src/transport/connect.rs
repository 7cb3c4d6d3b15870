//! Connections that we open — RFC 3261 §18.1.1.

use std::net::SocketAddr;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::stream::{self, Opened};
use crate::flow::{Flow, Transport};
use crate::inlet::Inlet;

/// Opens a connection; messages wait in its outbox until it stands. A connection that fails is told as a lost flow.
pub(crate) fn connect(
    inlet: &Inlet,
    transport: Transport,
    remote: SocketAddr,
    host: &str,
    tls: Option<TlsConnector>,
) -> Flow {
    let local = SocketAddr::new(crate::own::local_ip(remote), 0);
    let seat = inlet.wires.connections.admit_own();
    let opened = Opened::enter_own(inlet, transport, local, remote, seat);
    let flow = opened.flow;
    let (inlet, host) = (inlet.clone(), host.to_owned());
    inlet.shutdown.clone().spawn(async move {
        let Ok(Ok(socket)) = timeout(CONNECT, TcpStream::connect(remote)).await else {
            return opened.fail(&inlet).await;
        };
        stream::tune(&socket);
        match tls {
            None => opened.run(socket, inlet).await,
            Some(tls) => {
                let Ok(name) = ServerName::try_from(host) else { return opened.fail(&inlet).await };
                match timeout(HANDSHAKE, tls.connect(name, socket)).await {
                    Ok(Ok(stream)) => opened.run(stream, inlet).await,
                    _ => opened.fail(&inlet).await,
                }
            }
        }
    });
    flow
}

/// How long connecting may take; less than Timer B, so that another target can be tried.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
