//! TCP and TLS — RFC 3261 §18, RFC 5626 §4.4.1 (keepalive): each connection is one task that owns its stream.
//!
//! In    bytes; framed messages go to shards and wait while these are full, so that a fast peer is slowed.
//! Out   messages from the outbox.
//! Errors a connection that says nothing whole in [`GREETING`] is closed, one that is silent for [`IDLE`] too; what has
//! no frames is closed; a peer that does not read is closed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustls::pki_types::ServerName;
use sip_core::message::{Framed, Framer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::StreamEntry;
use crate::endpoint::Inlet;
use crate::flow::{Flow, Transport};

/// Accepts until shutdown.
pub(crate) async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, inlet: Inlet) {
    let handshakes = Arc::new(Semaphore::new(MOST_HANDSHAKES));
    loop {
        let (socket, remote) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors: others must close first.
                tracing::warn!(%error, "cannot accept a SIP connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let is_too_many = inlet.wires.streams.len() >= MOST_CONNECTIONS
            || inlet.wires.streams_from(remote.ip()) >= MOST_FROM_ONE;
        if is_too_many {
            continue;
        }
        let Ok(local) = socket.local_addr() else { continue };
        let (inlet, tls) = (inlet.clone(), tls.clone());
        let permit = Arc::clone(&handshakes).acquire_owned().await;
        inlet.shutdown.clone().spawn(async move {
            // Small messages must not wait for more; an error leaves them waiting.
            let _ = socket.set_nodelay(true);
            match tls {
                None => {
                    drop(permit);
                    let (flow, outbox) = enter(&inlet, Transport::Tcp, local, remote);
                    run(socket, flow, outbox, inlet).await;
                }
                Some(tls) => {
                    let Ok(Ok(stream)) = timeout(HANDSHAKE, tls.accept(socket)).await else { return };
                    drop(permit);
                    let (flow, outbox) = enter(&inlet, Transport::Tls, local, remote);
                    run(stream, flow, outbox, inlet).await;
                }
            }
        });
    }
}

/// Opens a connection; messages wait in its outbox until it stands. A connection that fails is told as a lost flow.
pub(crate) fn connect(
    inlet: &Inlet,
    transport: Transport,
    remote: SocketAddr,
    host: &str,
    tls: Option<TlsConnector>,
) -> Flow {
    let local = SocketAddr::new(crate::endpoint::local_ip(remote), 0);
    let (flow, outbox) = enter(inlet, transport, local, remote);
    let (inlet, host) = (inlet.clone(), host.to_owned());
    inlet.shutdown.clone().spawn(async move {
        let Ok(Ok(socket)) = timeout(CONNECT, TcpStream::connect(remote)).await else {
            return leave(&inlet, flow).await;
        };
        // As above.
        let _ = socket.set_nodelay(true);
        match tls {
            None => run(socket, flow, outbox, inlet).await,
            Some(tls) => {
                let Ok(name) = ServerName::try_from(host) else { return leave(&inlet, flow).await };
                match timeout(HANDSHAKE, tls.connect(name, socket)).await {
                    Ok(Ok(stream)) => run(stream, flow, outbox, inlet).await,
                    _ => leave(&inlet, flow).await,
                }
            }
        }
    });
    flow
}

fn enter(
    inlet: &Inlet,
    transport: Transport,
    local: SocketAddr,
    remote: SocketAddr,
) -> (Flow, mpsc::Receiver<Bytes>) {
    let (outbox, messages) = mpsc::channel(OUTBOX);
    let flow = Flow { transport, id: inlet.wires.next_stream(), local, remote };
    inlet.wires.streams.insert(flow.id, StreamEntry { flow, outbox });
    inlet.wires.metrics.connections.inc();
    (flow, messages)
}

async fn leave(inlet: &Inlet, flow: Flow) {
    inlet.wires.streams.remove(&flow.id);
    inlet.wires.metrics.connections.dec();
    inlet.flow_lost(flow).await;
}

async fn run<S>(stream: S, flow: Flow, outbox: mpsc::Receiver<Bytes>, inlet: Inlet)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (reader, writer) = tokio::io::split(stream);
    let (pongs, pong) = mpsc::channel(4);
    tokio::select! {
        () = read(reader, flow, &inlet, pongs) => {}
        () = write(writer, outbox, pong) => {}
        () = inlet.shutdown.begun() => {}
    }
    leave(&inlet, flow).await;
}

async fn read(mut reader: impl AsyncRead + Unpin, flow: Flow, inlet: &Inlet, pongs: mpsc::Sender<()>) {
    let mut framer = Framer::default();
    let mut patience = GREETING;
    loop {
        match timeout(patience, reader.read_buf(framer.buffer())).await {
            Ok(Ok(1..)) => {}
            _ => return,
        }
        loop {
            match framer.next_framed() {
                Ok(Some(Framed::Message(bytes))) => {
                    patience = IDLE;
                    inlet.take_framed(bytes, flow).await;
                }
                Ok(Some(Framed::Ping)) => {
                    // A full queue holds pongs enough.
                    let _ = pongs.try_send(());
                }
                Ok(None) => break,
                Err(fault) => {
                    tracing::debug!(%fault, ?flow, "a SIP stream has no frames");
                    inlet.wires.metrics.malformed.inc();
                    return;
                }
            }
        }
    }
}

async fn write(
    mut writer: impl AsyncWrite + Unpin,
    mut outbox: mpsc::Receiver<Bytes>,
    mut pong: mpsc::Receiver<()>,
) {
    loop {
        let bytes = tokio::select! {
            bytes = outbox.recv() => match bytes {
                Some(bytes) => bytes,
                None => return,
            },
            Some(()) = pong.recv() => Bytes::from_static(b"\r\n"),
        };
        let written = async {
            writer.write_all(&bytes).await?;
            writer.flush().await
        };
        if !matches!(timeout(WRITE, written).await, Ok(Ok(()))) {
            return;
        }
    }
}

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long connecting may take; less than Timer B, so that another target can be tried.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a new connection may go without a whole message.
const GREETING: Duration = Duration::from_secs(30);
/// How long a connection may be silent: a little more than the longest registration.
const IDLE: Duration = Duration::from_secs(3_700);
/// How long a peer may take to read one message.
const WRITE: Duration = Duration::from_secs(30);
/// Messages that wait for a connection.
const OUTBOX: usize = 256;
/// Handshakes under way at once.
const MOST_HANDSHAKES: usize = 256;
/// Connections of the whole endpoint.
const MOST_CONNECTIONS: usize = 50_000;
/// Connections from one address.
const MOST_FROM_ONE: usize = 1_000;
