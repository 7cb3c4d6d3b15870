//! Streams over WebSockets — RFC 7395 §3: an element a frame, `<open/>` and `<close/>` in place of the stream's tags.
//!
//! ```text
//! browser ⇄ frames ⇄ bridge ⇄ the bytes of a stream, in process ⇄ c2s
//! ```
//!
//! In    an upgrade that asks for the subprotocol `xmpp`; text frames, each one element (§3.3.3).
//! Out   text frames, each parsable by itself.
//! State a framer for each way, and two small buffers a connection.
//! Errors an upgrade without the subprotocol is answered 400, one too many 503. What else is wrong ends the stream, as c2s says it
//!        (§3.5): a foreign header by `invalid-namespace` (§3.3.2), a frame that is binary, does not begin with `<` or is not whole
//!        by `not-well-formed` (§3.3.3), one over `xmpp.stanza_bytes` by `policy-violation`, with the code 1009 of RFC 6455 §7.4.1.
//!        Several elements in one frame are taken.

use std::sync::Arc;

use axum::Router;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use shared_runtime::http::Peer;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{Duration, timeout};
use tokio_tungstenite::tungstenite;
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
            server.shutdown.spawn(bridge(socket, ours, limit));
        },
    )
}

/// Carries elements both ways until either side ends.
async fn bridge(mut socket: WebSocket, stream: DuplexStream, limit: usize) {
    let (mut from_server, mut to_server) = tokio::io::split(stream);
    let (mut framer, mut whole) = (outgoing(), Whole::new());
    let mut chunk = vec![0_u8; 4096];
    let mut is_too_large = false;
    loop {
        tokio::select! {
            frame = socket.recv(), if !is_too_large => {
                let text = match frame {
                    Some(Ok(Message::Text(text))) => text,
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                    // Not XML: c2s names it.
                    Some(Ok(Message::Binary(_))) => "not text".into(),
                    Some(Err(error)) if is_over_limit(&error) => {
                        is_too_large = true;
                        if exceed(&mut to_server, limit).await.is_err() {
                            break;
                        }
                        continue;
                    }
                    Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                };
                let mut step = incoming(&text);
                if step.is_header {
                    framer.restart();
                } else if !whole.is(&step.bytes) {
                    step.bytes = NOT_WHOLE.to_owned();
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
    let why = is_too_large.then(|| CloseFrame { code: close_code::SIZE, reason: "over a limit".into() });
    let _ = timeout(LINGER, socket.send(Message::Close(why))).await; // the peer may be gone
    if is_too_large {
        // What it still sends is not read: a socket that is closed over that is reset, and takes the error with it.
        tokio::time::sleep(LINGER).await;
    }
}

/// Whether a frame is larger than may be: the layer below reads no further.
fn is_over_limit(error: &axum::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<tungstenite::Error>() {
            return matches!(error, tungstenite::Error::Capacity(_));
        }
        cause = error.source();
    }
    false
}

/// Lets c2s see an element that is too large, for it to say so.
async fn exceed(to_server: &mut (impl AsyncWriteExt + Unpin), limit: usize) -> std::io::Result<()> {
    to_server.write_all(b"<too-large").await?;
    let spaces = [b' '; 1024];
    for _ in 0..=limit / spaces.len() {
        to_server.write_all(&spaces).await?;
    }
    Ok(())
}

/// Looks whether each frame is whole.
struct Whole(Framer);

impl Whole {
    fn new() -> Self {
        let mut framer = outgoing();
        framer.push(HEADER.as_bytes());
        Self(framer)
    }

    /// Whether what a frame begins ends in it. Of what is no XML at all c2s says more.
    fn is(&mut self, text: &str) -> bool {
        self.0.push(text.as_bytes());
        loop {
            match self.0.next() {
                Ok(Some(_)) => {}
                Ok(None) => return !self.0.is_inside(),
                Err(_) => return true,
            }
        }
    }
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
    // §3.3.3 lets each frame have one.
    let text = match text.strip_prefix("<?xml ").and_then(|rest| rest.split_once("?>")) {
        Some((_, rest)) => rest.trim_start(),
        None => text,
    };
    let plain = |bytes: &str| Incoming { bytes: bytes.to_owned(), is_header: false };
    if !text.starts_with('<') {
        return plain(NOT_WHOLE);
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
/// What stands around every frame.
const HEADER: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";
/// What c2s sees in place of a frame that is not whole, or no XML.
const NOT_WHOLE: &str = "</not-whole>";
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
        assert!(
            incoming("<?xml version='1.0'?> <open xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>").is_header
        );
        assert_eq!(incoming("<presence xmlns='jabber:client'/>").bytes, "<presence xmlns='jabber:client'/>");
    }

    #[test]
    fn a_frame_is_whole_or_it_is_not() {
        let is = |text: &str| Whole::new().is(text);
        assert!(is("<r xmlns='urn:xmpp:sm:3'/>") && is("<a/> <b>x</b> ") && is("no XML") && is("<a></b>"));
        assert!(!is("<a") && !is("<a><b></b>") && !is("<a/><b"));
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
