//! TCP and TLS — RFC 3261 §18, RFC 5626 §4.4.1 (keepalive): each connection is one task that owns its stream.
//!
//! In    bytes; framed messages go to shards and wait while these are full, so that a fast peer is slowed.
//! Out   messages from the outbox.
//! State what of a message is not whole; an idle connection keeps no buffer.
//! Errors what has no frames is answered 400, what is too long 413, and the connection is closed; one that is slow,
//! silent or unproven for too long is closed; a peer that does not read is closed.

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustls::CommonState;
use shared_runtime::tls::PeerCertificate;
use sip_core::message::{Framed, Framer, StreamFault};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use super::connections::{Entry, Seat};
use super::patience::Patience;
use crate::flow::{Flow, Transport};
use crate::inlet::Inlet;
use crate::metrics::Refused;

/// Both ends of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
}

/// A connection that others see, and that its task serves.
pub(crate) struct Opened {
    pub(crate) flow: Flow,
    pub(crate) outbox: mpsc::Receiver<Bytes>,
    /// Whether we opened it.
    is_own: bool,
    _seat: Seat,
}

impl Opened {
    /// Enters a connection that a peer opened.
    pub(crate) fn enter(inlet: &Inlet, transport: Transport, ends: Ends, seat: Seat) -> Self {
        Self::enter_as(inlet, transport, ends, seat, "")
    }

    /// Enters a connection to `host` that we open.
    pub(crate) fn enter_own(inlet: &Inlet, transport: Transport, ends: Ends, seat: Seat, host: &str) -> Self {
        Self::enter_as(inlet, transport, ends, seat, host)
    }

    fn enter_as(inlet: &Inlet, transport: Transport, ends: Ends, seat: Seat, host: &str) -> Self {
        let (sender, outbox) = mpsc::channel(OUTBOX);
        let Ends { local, remote } = ends;
        let flow = Flow { transport, id: inlet.wires.connections.next_id(), local, remote };
        inlet.wires.connections.enter(Entry::new(flow, sender, host));
        inlet.wires.metrics.connections(transport).inc();
        Self { flow, outbox, is_own: !host.is_empty(), _seat: seat }
    }

    /// What its peer proved by what it showed in the handshake, and what protects it since.
    pub(crate) fn certified(&self, inlet: &Inlet, session: &CommonState) {
        let protection = shared_runtime::tls::protection(session);
        inlet.wires.connections.change(self.flow.id, |entry| entry.protection = protection);
        let chain = session.peer_certificates().unwrap_or_default();
        let proof = match self.is_own {
            // The handshake verified it.
            true => chain.first().and_then(|leaf| PeerCertificate::read(leaf)).map(|leaf| (leaf, false)),
            false => inlet.callers.judge(chain).map(|proof| (proof.certificate, proof.is_of_people)),
        };
        if let Some((certificate, is_of_people)) = proof {
            let certificate = Some(Arc::new(certificate));
            inlet.wires.connections.change(self.flow.id, |entry| {
                (entry.certificate, entry.is_of_people) = (certificate, is_of_people);
            });
        }
    }

    /// It could not be opened: others are tried before this target for a while.
    pub(crate) async fn fail(self, inlet: &Inlet) {
        inlet.resolver.failed_at(self.flow.transport, self.flow.remote);
        inlet.wires.connections.leave(&self.flow);
        self.ended(inlet).await;
    }

    /// Serves it in a task of its own until it ends. The task is made of what serving needs: whatever opened the
    /// connection is over by then, and takes no memory while the connection is idle.
    pub(crate) fn start<S>(self, stream: S, inlet: Inlet)
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (reader, writer) = tokio::io::split(stream);
        inlet.shutdown.clone().spawn(self.run(reader, writer, inlet));
    }

    async fn run<S>(mut self, reader: ReadHalf<S>, writer: WriteHalf<S>, inlet: Inlet)
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        {
            let (pongs, pong) = mpsc::channel(1);
            let patience = Patience::new(&inlet.wires.limits, self.is_own, Instant::now());
            let mut writing = std::pin::pin!(write(writer, &mut self.outbox, pong));
            tokio::select! {
                () = read(reader, self.flow, &inlet, pongs, patience) => {
                    // Without its entry the outbox ends, once what is in it is written.
                    inlet.wires.connections.leave(&self.flow);
                    // An error says that the peer does not read what was its answer.
                    let _ = timeout(LINGER, &mut writing).await;
                }
                () = &mut writing => {}
                () = inlet.shutdown.begun() => {}
            }
        }
        inlet.wires.connections.leave(&self.flow);
        self.ended(&inlet).await;
    }

    pub(crate) async fn ended(self, inlet: &Inlet) {
        inlet.wires.metrics.connections(self.flow.transport).dec();
        inlet.flow_lost(self.flow).await;
    }
}

async fn read(
    mut reader: impl AsyncRead + Unpin,
    flow: Flow,
    inlet: &Inlet,
    pongs: mpsc::Sender<()>,
    mut patience: Patience,
) {
    let limit = inlet.wires.limits.message_bytes;
    let mut framer = Framer::default();
    loop {
        let (deadline, reason) = patience.deadline();
        let reading = poll_fn(|cx| poll_read(&mut reader, cx, framer.buffer()));
        match timeout_at(deadline, reading).await {
            Ok(Ok(1..)) => {}
            Ok(_) => return,
            Err(_) if reason == Refused::Unproven && is_trusted(inlet, &flow) => {
                patience.trust();
                continue;
            }
            Err(_) => {
                tracing::debug!(?reason, ?flow, "a SIP connection is cut off");
                return inlet.wires.metrics.refused(reason);
            }
        }
        let fault = loop {
            match framer.next_framed() {
                Ok(Some(Framed::Message(bytes))) if bytes.len() > limit => break Some((bytes, 413)),
                Ok(Some(Framed::Message(bytes))) => {
                    patience.has_spoken();
                    inlet.take_framed(bytes, flow).await;
                }
                Ok(Some(Framed::Ping)) => {
                    // A full queue holds a pong that answers this ping too.
                    let _ = pongs.try_send(());
                }
                Ok(None) if framer.buffer().len() > limit => {
                    break Some((framer.buffer().split().freeze(), 413));
                }
                Ok(None) => break None,
                Err(fault) => {
                    let status = if fault == StreamFault::NoLength { 400 } else { 413 };
                    break Some((framer.buffer().split().freeze(), status));
                }
            }
        };
        if let Some((bytes, status)) = fault {
            inlet.wires.metrics.refused(Refused::Garbage);
            return inlet.refuse(bytes, flow, status);
        }
        patience.heard(Instant::now(), !framer.buffer().is_empty());
        inlet.wires.connections.heard(flow.id);
        if framer.buffer().is_empty() {
            // What was read lives on in its messages; an idle connection holds none of it.
            *framer.buffer() = BytesMut::new();
        }
    }
}

pub(super) fn is_trusted(inlet: &Inlet, flow: &Flow) -> bool {
    inlet.wires.connections.with(flow.id, |entry| entry.is_trusted).unwrap_or(false)
}

/// Reads into `buffer` by way of the stack, so that a connection that waits has no buffer of its own.
fn poll_read(
    reader: &mut (impl AsyncRead + Unpin),
    cx: &mut Context<'_>,
    buffer: &mut BytesMut,
) -> Poll<std::io::Result<usize>> {
    let mut space = [const { MaybeUninit::uninit() }; READ];
    let mut read = ReadBuf::uninit(&mut space);
    ready!(Pin::new(reader).poll_read(cx, &mut read))?;
    buffer.extend_from_slice(read.filled());
    Poll::Ready(Ok(read.filled().len()))
}

/// Writes what the outbox holds, all that waits before one flush. Ends with the outbox.
async fn write(
    mut writer: impl AsyncWrite + Unpin,
    outbox: &mut mpsc::Receiver<Bytes>,
    mut pong: mpsc::Receiver<()>,
) {
    loop {
        let first = tokio::select! {
            bytes = outbox.recv() => match bytes {
                Some(bytes) => bytes,
                None => break,
            },
            Some(()) = pong.recv() => Bytes::from_static(b"\r\n"),
        };
        let written = async {
            writer.write_all(&first).await?;
            while let Ok(more) = outbox.try_recv() {
                writer.write_all(&more).await?;
            }
            writer.flush().await
        };
        if !matches!(timeout(WRITE, written).await, Ok(Ok(()))) {
            return;
        }
    }
    // An error says that the peer is gone already.
    let _ = timeout(LINGER, writer.shutdown()).await;
}

/// What every TCP socket gets: small messages do not wait for more, and a peer that vanished is noticed.
pub(crate) fn tune(socket: &TcpStream) {
    let keepalive = TcpKeepalive::new().with_time(PROBE_AFTER).with_interval(PROBE_EVERY);
    // An error leaves the socket as the system made it, which works too.
    let _ = socket.set_nodelay(true);
    let _ = SockRef::from(socket).set_tcp_keepalive(&keepalive);
    let _ = SockRef::from(socket).set_tcp_user_timeout(Some(UNHEARD));
}

/// How long a peer may take to read what waits for it.
const WRITE: Duration = Duration::from_secs(30);
/// How long the last words of a connection that we close may take.
const LINGER: Duration = Duration::from_secs(2);
/// Messages that wait for a connection.
const OUTBOX: usize = 256;
/// Bytes that are read at once.
const READ: usize = 8 * 1024;
/// How long what we sent may be without a sign that it came: then the connection is dead, and so is what is bound to it (RFC 5626 §4.4).
/// Less than Timer B, and longer than a telephone is in a tunnel.
const UNHEARD: Duration = Duration::from_secs(30);
/// When a silent peer is first probed, and how often then.
const PROBE_AFTER: Duration = Duration::from_secs(120);
const PROBE_EVERY: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_peer_that_is_silent_is_dead_before_a_request_to_it_is() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap());
        let (accepted, _peer) = tokio::join!(listener.accept(), peer);
        let (socket, _) = accepted.unwrap();
        tune(&socket);
        let limit = SockRef::from(&socket).tcp_user_timeout().unwrap().unwrap();
        assert!(limit < Duration::from_secs(32), "Timer B");
    }
}
