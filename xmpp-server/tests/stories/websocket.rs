//! Streams over WebSockets — RFC 7395: an element a frame, and how a stream ends that breaks the rules.

use base64::Engine;
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::common::{PASSWORD, PATIENCE, Served, serve};

const OPEN: &str = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='example.org' version='1.0'/>";
const CLOSE: &str = "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>";
const BIND: &str = "<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
    <resource>w</resource></bind></iq>";

struct Browser(WebSocketStream<TcpStream>);

impl Browser {
    /// Serves the route and connects.
    async fn connect(served: &Served) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let route = served.server.websocket_route("/xmpp-websocket");
        shared_runtime::http::serve_plain(listener, route, &served.shutdown);
        let url = format!("ws://{address}/xmpp-websocket");
        let socket = TcpStream::connect(address).await.unwrap();
        let refused = tokio_tungstenite::client_async(url.as_str(), socket).await;
        assert!(refused.is_err(), "the subprotocol is missing");
        let mut request = url.as_str().into_client_request().unwrap();
        request.headers_mut().insert("Sec-WebSocket-Protocol", "xmpp".parse().unwrap());
        let socket = TcpStream::connect(address).await.unwrap();
        let (socket, answer) = tokio_tungstenite::client_async(request, socket).await.unwrap();
        assert_eq!(answer.headers()["sec-websocket-protocol"], "xmpp");
        Self(socket)
    }

    /// The same, with a bound resource.
    async fn login(served: &Served) -> Self {
        let mut browser = Self::connect(served).await;
        let proof = base64::engine::general_purpose::STANDARD.encode(format!("\0alice\0{PASSWORD}"));
        let auth = format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{proof}</auth>");
        browser
            .say(
                OPEN,
                &["<open xmlns='urn:ietf:params:xml:ns:xmpp-framing'", "<stream:features xmlns:stream="],
            )
            .await;
        browser.say(&auth, &["<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'"]).await;
        browser.say(OPEN, &["<open ", "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"]).await;
        browser.say(BIND, &["<jid>alice@example.org/w</jid>"]).await;
        browser
    }

    /// Sends a frame; what comes must be frames with these in them.
    async fn say(&mut self, text: &str, expected: &[&str]) {
        self.0.send(Message::text(text)).await.unwrap();
        for part in expected {
            let frame = self.next().await.into_text().unwrap();
            assert!(frame.contains(part) && !frame.contains("starttls"), "{part}: {frame}");
        }
    }

    async fn next(&mut self) -> Message {
        timeout(PATIENCE, self.0.next()).await.expect("in time").expect("a frame").unwrap()
    }
}

#[tokio::test]
async fn a_stream_in_frames_is_a_stream() {
    let served = serve().await;
    let mut browser = Browser::login(&served).await;
    let ping =
        "<iq xmlns='jabber:client' type='get' id='p' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>";
    browser.say(ping, &["<iq xmlns='jabber:client'"]).await;
    browser.say(&format!("<?xml version='1.0'?>{ping}"), &["id='p'"]).await;
    browser.say(&format!("{ping}{ping}"), &["id='p'", "id='p'"]).await;
    browser.say(CLOSE, &[CLOSE]).await;
}

#[tokio::test]
async fn a_frame_that_is_not_whole_or_too_large_ends_the_stream_with_its_error() {
    let served = serve().await;
    for (frame, condition, code) in [
        ("<a".to_owned(), "not-well-formed", None),
        ("<message xmlns='jabber:client'><body>".to_owned(), "not-well-formed", None),
        ("<presence xmlns='jabber:client'/><iq".to_owned(), "not-well-formed", None),
        ("hello".to_owned(), "not-well-formed", None),
        (
            format!("<message xmlns='jabber:client'><body>{}</body></message>", "x".repeat(300_000)),
            "policy-violation",
            Some(1009),
        ),
        (
            format!("<message xmlns='jabber:client'><body>{}</body></message>", "x".repeat(3_000_000)),
            "policy-violation",
            Some(1009),
        ),
    ] {
        let browser = Browser::login(&served).await;
        let (mut said, mut heard) = browser.0.split();
        let talk = async {
            let _ = said.send(Message::text(&frame)).await; // it is not read to its end
            std::future::pending::<()>().await;
        };
        let listen = async {
            let mut next =
                async || timeout(PATIENCE, heard.next()).await.expect("in time").expect("a frame").unwrap();
            let error = next().await.into_text().unwrap();
            assert!(error.starts_with("<stream:error xmlns:stream=") && error.contains(condition), "{error}");
            assert_eq!(next().await.into_text().unwrap(), CLOSE);
            let Message::Close(why) = next().await else { panic!("the socket is closed") };
            assert_eq!(why.map(|why| u16::from(why.code)), code, "{condition}");
        };
        tokio::select! { () = talk => {}, () = listen => {} }
    }
}
