//! WebSockets — RFC 7118: browsers come by HTTP, and one frame is one message.
//!
//! In    an upgrade that asks for the subprotocol `sip`; text and binary frames, each one message (§4.2, §5).
//! Out   text frames, and binary ones for what is not UTF-8; a Ping now and then (§6), a CRLF for a double CRLF.
//! State one small buffer a connection.
//! Errors an upgrade without the subprotocol is answered 400, one too many 503; a frame that is too long, is
//! not UTF-8 or is none ends the connection with 1009, 1007 or 1002, a peer that does not answer a Ping is closed.

use std::time::Duration;

use axum::Router;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use shared_runtime::http::Peer;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::{self, error::ProtocolError};

use super::accept::{admit, canonical};
use super::patience::Patience;
use super::stream::{self, Ends, Opened};
use crate::flow::Transport;
use crate::inlet::Inlet;
use crate::metrics::Refused;

/// The route by which browsers come.
pub(crate) fn route(path: &str, inlet: Inlet) -> Router {
    Router::new().route(path, get(upgrade)).with_state(inlet)
}

async fn upgrade(
    State(inlet): State<Inlet>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    asked: WebSocketUpgrade,
) -> Response {
    // §4.1: the client MUST include "sip".
    if !asked.requested_protocols().any(|protocol| protocol == SUBPROTOCOL) {
        return (StatusCode::BAD_REQUEST, "the WebSocket subprotocol here is \"sip\"\n").into_response();
    }
    let Some(seat) = admit(&inlet, canonical(peer.address)) else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let limit = inlet.wires.limits.message_bytes;
    asked
        .protocols([SUBPROTOCOL])
        .read_buffer_size(BUFFER)
        .write_buffer_size(0)
        .max_message_size(limit)
        .max_frame_size(limit)
        .on_upgrade(move |socket| async move {
            let transport = if peer.is_protected { Transport::Wss } else { Transport::Ws };
            inlet.wires.websocket_ports.insert(peer.local.port());
            let ends = Ends { local: canonical(peer.local), remote: canonical(peer.address) };
            let opened = Opened::enter(&inlet, transport, ends, seat);
            inlet.shutdown.clone().spawn(run(socket, opened, inlet));
        })
}

/// Serves one connection until it ends.
async fn run(socket: WebSocket, opened: Opened, inlet: Inlet) {
    let patience = Patience::new(&inlet.wires.limits, false, Instant::now());
    let mut connection = Connection { socket, opened, patience, is_pinged: false };
    let mut last = None;
    match connection.serve(&inlet).await {
        End::Other => {}
        End::Fault(code) => last = Some(CloseFrame { code, reason: Utf8Bytes::default() }),
        End::Ours(reason) => {
            tracing::debug!(?reason, flow = ?connection.opened.flow, "a SIP WebSocket is cut off");
            inlet.wires.metrics.refused(reason);
        }
    }
    inlet.wires.connections.leave(&connection.opened.flow);
    // An error says that the peer is gone already.
    let _ = timeout(LINGER, connection.socket.send(Message::Close(last))).await;
    connection.opened.ended(&inlet).await;
}

struct Connection {
    socket: WebSocket,
    opened: Opened,
    patience: Patience,
    /// A Ping is under way.
    is_pinged: bool,
}

/// Who ended a connection.
enum End {
    /// The peer, or the shutdown.
    Other,
    /// The peer, by a frame that is none (RFC 6455 §7.4.1).
    Fault(u16),
    Ours(Refused),
}

impl End {
    /// After nothing more could be read.
    fn of(error: axum::Error) -> Self {
        match error.into_inner().downcast_ref() {
            Some(tungstenite::Error::Capacity(_)) => Self::Fault(close_code::SIZE),
            Some(tungstenite::Error::Utf8(_)) => Self::Fault(close_code::INVALID),
            Some(tungstenite::Error::Protocol(fault))
                if *fault != ProtocolError::ResetWithoutClosingHandshake =>
            {
                Self::Fault(close_code::PROTOCOL)
            }
            _ => Self::Other,
        }
    }
}

impl Connection {
    async fn serve(&mut self, inlet: &Inlet) -> End {
        let every = inlet.wires.limits.websocket_ping;
        let mut ping = Instant::now() + every;
        loop {
            let (deadline, reason) = self.patience.deadline();
            let step = tokio::select! {
                frame = self.socket.recv() => match frame {
                    Some(Ok(frame)) => self.take(frame, inlet).await,
                    Some(Err(error)) => Err(End::of(error)),
                    None => Err(End::Other),
                },
                bytes = self.opened.outbox.recv() => match bytes {
                    Some(bytes) => self.send(frame_of(bytes)).await,
                    None => Err(End::Other),
                },
                () = sleep_until(ping) => {
                    ping += every;
                    self.ping().await
                }
                () = sleep_until(deadline) => self.tire(reason, inlet),
                () = inlet.shutdown.begun() => Err(End::Other),
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    async fn take(&mut self, frame: Message, inlet: &Inlet) -> Result<(), End> {
        self.is_pinged = false;
        self.patience.heard(Instant::now(), false);
        inlet.wires.connections.heard(self.opened.flow.id);
        let bytes = match frame {
            Message::Text(text) => Bytes::from(text),
            Message::Binary(bytes) => bytes,
            // Pings are answered below us.
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
            Message::Close(_) => {
                // The answer below us waits for the next turn (RFC 6455 §5.5.1).
                let _ = timeout(LINGER, self.socket.recv()).await;
                return Err(End::Other);
            }
        };
        match &bytes[..] {
            b"\r\n\r\n" => self.send(Message::Text(Utf8Bytes::from_static("\r\n"))).await,
            b"\r\n" | b"" => Ok(()),
            _ => {
                self.patience.has_spoken();
                inlet.take_framed(bytes, self.opened.flow).await;
                Ok(())
            }
        }
    }

    async fn send(&mut self, frame: Message) -> Result<(), End> {
        match timeout(WRITE, self.socket.send(frame)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Other),
            Err(_) => Err(End::Ours(Refused::Stalled)),
        }
    }

    async fn ping(&mut self) -> Result<(), End> {
        if std::mem::replace(&mut self.is_pinged, true) {
            return Err(End::Ours(Refused::Silent));
        }
        self.send(Message::Ping(Bytes::new())).await
    }

    /// Patience is at its end, unless the peer proved who it is meanwhile.
    fn tire(&mut self, reason: Refused, inlet: &Inlet) -> Result<(), End> {
        if reason == Refused::Unproven && stream::is_trusted(inlet, &self.opened.flow) {
            self.patience.trust();
            return Ok(());
        }
        Err(End::Ours(reason))
    }
}

/// §4.2: text if it is UTF-8 as a whole, binary otherwise.
fn frame_of(bytes: Bytes) -> Message {
    match Utf8Bytes::try_from(bytes.clone()) {
        Ok(text) => Message::Text(text),
        Err(_) => Message::Binary(bytes),
    }
}

/// RFC 7118 §4.1.
const SUBPROTOCOL: &str = "sip";
/// Bytes that a connection reads at once, and keeps while it is idle.
const BUFFER: usize = 2 * 1024;
/// How long a peer may take to read one message.
const WRITE: Duration = Duration::from_secs(30);
/// How long the last frame of a connection may take.
const LINGER: Duration = Duration::from_secs(2);
