//! Streams over WebSockets — RFC 7395 §3: an element a frame, `<open/>` and `<close/>` in place of the stream's tags.
//!
//! ```text
//! browser ⇄ frames ⇄ bridge ⇄ the bytes of a stream, in process ⇄ c2s
//! ```
//!
//! In    an upgrade that asks for the subprotocol `xmpp`; text frames, each one element (§3.3.3).
//! Out   text frames, each parsable by itself.
//! State a framer of what goes out, and two small buffers a connection.
//! Errors an upgrade without the subprotocol is answered 400, one too many 503; a frame that is binary or does not begin with
//!        `<` ends the stream with `bad-format`, a foreign header with `invalid-namespace` (§3.3.2), as c2s says it.

use std::sync::Arc;

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use shared_runtime::http::Peer;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{Duration, timeout};
use xmpp_core::Element;
use xmpp_core::ns;
use xmpp_core::xml::{Frame, Framer, Head, Limits, escape_attribute};

use crate::c2s;
use crate::server::Server;

/// The route by which browsers come.
pub(crate) fn route(path: &str, server: Arc<Server>) -> Router {
    Router::new().route(path, get(upgrade)).with_state(server)
}

async fn upgrade(
    State(server): State<Arc<Server>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    asked: WebSocketUpgrade,
) -> Response {
    // §3.1: the client MUST include "xmpp".
    if !asked.requested_protocols().any(|protocol| protocol == SUBPROTOCOL) {
        return (StatusCode::BAD_REQUEST, "the WebSocket subprotocol here is \"xmpp\"\n").into_response();
    }
    let Some(place) = server.admit(peer.address.ip()) else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let limit = server.config.stanza_bytes;
    asked.protocols([SUBPROTOCOL]).max_message_size(limit).max_frame_size(limit).on_upgrade(
        move |socket| async move {
            server.metrics.connections.inc();
            let (ours, theirs) = tokio::io::duplex(BUFFER);
            let security = c2s::Security::Outside { is_protected: peer.is_protected };
            let stream = c2s::serve(Arc::clone(&server), Box::new(theirs), (peer.address, place), security);
            server.shutdown.spawn(stream);
            server.shutdown.spawn(bridge(socket, ours));
        },
    )
}

/// Carries elements both ways until either side ends.
async fn bridge(mut socket: WebSocket, stream: DuplexStream) {
    let (mut from_server, mut to_server) = tokio::io::split(stream);
    let mut framer = outgoing();
    let mut chunk = vec![0_u8; 4096];
    loop {
        tokio::select! {
            frame = socket.recv() => {
                let text = match frame {
                    Some(Ok(Message::Text(text))) => text,
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                    // Not XML: c2s names it.
                    Some(Ok(Message::Binary(_))) => "not text".into(),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                };
                let step = incoming(&text);
                if step.is_header {
                    framer.restart();
                }
                if to_server.write_all(step.bytes.as_bytes()).await.is_err() {
                    break;
                }
            }
            read = from_server.read(&mut chunk) => {
                let Ok(length @ 1..) = read else { break };
                framer.push(&chunk[..length]);
                loop {
                    match framer.next() {
                        Ok(Some(frame)) => {
                            if socket.send(Message::Text(print(&frame).into())).await.is_err() {
                                return;
                            }
                        }
                        Ok(None) => break,
                        Err(error) => {
                            tracing::error!(%error, "what a stream says cannot be framed");
                            return;
                        }
                    }
                }
            }
        }
    }
    let _ = timeout(LINGER, socket.send(Message::Close(None))).await; // the peer may be gone
}

pub(super) fn outgoing() -> Framer {
    Framer::new(Limits { bytes: usize::MAX, depth: 256, attributes: 1000, prefixes: 1000 })
}

/// A frame as the bytes of a stream.
struct Incoming {
    bytes: String,
    is_header: bool,
}

fn incoming(text: &str) -> Incoming {
    let plain = |bytes: &str| Incoming { bytes: bytes.to_owned(), is_header: false };
    if !text.starts_with('<') {
        return plain("<bad-frame xmlns=''>"); // §3.3.3; it is no XML either
    }
    let name =
        text[1..].split(|c: char| c.is_whitespace() || matches!(c, '/' | '>')).next().unwrap_or_default();
    let local = name.rsplit(':').next().unwrap_or_default();
    if !matches!(local, "open" | "close" | "stream") {
        return plain(text);
    }
    let Ok(element) = Element::parse(text, "") else { return plain(text) };
    match (element.name.as_str(), element.ns.as_str()) {
        ("close", ns::FRAMING) => plain(xmpp_core::stream::CLOSE),
        ("open", framing) => {
            let ns = if framing == ns::FRAMING { ns::STREAM } else { framing }; // §3.3.2: the wrong one stays wrong
            let mut bytes = String::from("<stream:stream xmlns='jabber:client'");
            let stream = ("xmlns:stream".to_owned(), ns.to_owned());
            for (name, value) in [stream].iter().chain(&element.attributes) {
                attribute(name, value, &mut bytes);
            }
            Incoming { bytes: bytes + ">", is_header: true }
        }
        _ => plain(text),
    }
}

fn attribute(name: &str, value: &str, out: &mut String) {
    out.push(' ');
    out.push_str(name);
    out.push_str("='");
    escape_attribute(value, out);
    out.push('\'');
}

/// What c2s says, as frames that stand alone.
fn print(frame: &Frame) -> String {
    match frame {
        Frame::Close => format!("<close xmlns='{}'/>", ns::FRAMING),
        Frame::Open(head) => {
            let mut out = format!("<open xmlns='{}'", ns::FRAMING);
            for (name, value) in head.attributes.iter().filter(|(name, _)| name != "xmlns") {
                attribute(name, value, &mut out);
            }
            out + "/>"
        }
        Frame::Element(head, content) => element(head, content),
    }
}

pub(super) fn element(head: &Head, content: &[u8]) -> String {
    // The content of what is the stream's own declares its namespaces itself.
    let (name, ns) = match head.ns.as_str() {
        ns::STREAM => (format!("stream:{}", head.name), ("xmlns:stream", ns::STREAM)),
        ns => (head.name.clone(), ("xmlns", ns)),
    };
    let mut out = format!("<{name}");
    attribute(ns.0, ns.1, &mut out);
    for (name, value) in &head.attributes {
        attribute(name, value, &mut out);
    }
    out.push_str(&head.prefixes);
    if content.is_empty() {
        return out + "/>";
    }
    out.push('>');
    out.push_str(&String::from_utf8_lossy(content));
    out + "</" + &name + ">"
}

const SUBPROTOCOL: &str = "xmpp";
/// Bytes between the frames and the stream, each way.
const BUFFER: usize = 16_384;
/// How long a goodbye may take.
const LINGER: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_become_tags_and_elements_stay() {
        let open = incoming("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='x' version='1.0'/>");
        assert!(open.is_header);
        assert_eq!(
            open.bytes,
            "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='x' version='1.0'>"
        );
        assert!(incoming("<open xmlns='urn:wrong' to='x'/>").bytes.contains("xmlns:stream='urn:wrong'"));
        assert_eq!(
            incoming("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>").bytes,
            "</stream:stream>"
        );
        assert_eq!(incoming("<presence xmlns='jabber:client'/>").bytes, "<presence xmlns='jabber:client'/>");
    }

    #[test]
    fn each_frame_stands_alone() {
        let mut framer = outgoing();
        let mut header = String::new();
        xmpp_core::stream::print_header("x", "i", None, &mut header);
        let features = "<stream:features><bind xmlns='urn:b'/></stream:features>";
        framer.push(
            (header + features + "<message to='a@x'><body>&lt;</body></message></stream:stream>").as_bytes(),
        );
        let mut frames = Vec::new();
        while let Some(frame) = framer.next().unwrap() {
            frames.push(print(&frame));
        }
        assert_eq!(
            frames[0],
            "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' from='x' id='i' version='1.0' xml:lang='en'/>"
        );
        assert_eq!(
            frames[1],
            "<stream:features xmlns:stream='http://etherx.jabber.org/streams'><bind xmlns='urn:b'/></stream:features>"
        );
        assert_eq!(frames[2], "<message xmlns='jabber:client' to='a@x'><body>&lt;</body></message>");
        assert_eq!(frames[3], "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>");
    }
}
