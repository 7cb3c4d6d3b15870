//! WebSockets over TLS: RFC 7118.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::ServerName;
use shared_runtime::{Shutdown, http, listen};
use sip_core::header::Name;
use sip_endpoint::{Limits, Listeners, Transport};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::rig::{PATIENCE, Rig, listeners, local, request_via, word};

type Browser = WebSocketStream<TlsStream<TcpStream>>;

/// An endpoint with a WebSocket route on HTTPS.
async fn start(limits: Limits) -> (Rig, SocketAddr, Shutdown) {
    let rig = Rig::start(Listeners { limits, ..listeners() }).await;
    let listener = listen::tcp("http.https", &[local(0)]).unwrap().remove(0);
    let address = listener.local_addr().unwrap();
    let shutdown = Shutdown::new();
    http::serve_tls(
        listener,
        rig.tls.server(&[b"http/1.1"]),
        rig.endpoint.websocket_route("/sip"),
        &shutdown,
    );
    (rig, address, shutdown)
}

async fn upgrade(rig: &Rig, address: SocketAddr, subprotocol: Option<&str>) -> Result<Browser, Error> {
    let connector = tokio_rustls::TlsConnector::from(rig.tls.client(&[b"http/1.1"]));
    let socket = TcpStream::connect(address).await.unwrap();
    let stream = connector.connect(ServerName::try_from("localhost").unwrap(), socket).await.unwrap();
    let mut request = format!("wss://localhost:{}/sip", address.port()).into_client_request().unwrap();
    if let Some(subprotocol) = subprotocol {
        request.headers_mut().insert("Sec-WebSocket-Protocol", subprotocol.parse().unwrap());
    }
    let (browser, response) = client_async(request, stream).await?;
    assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "sip");
    Ok(browser)
}

async fn next(browser: &mut Browser) -> Option<Message> {
    timeout(PATIENCE, browser.next()).await.expect("nothing came")?.ok()
}

/// The next SIP message; pings are passed over.
async fn message(browser: &mut Browser) -> sip_core::Message {
    loop {
        match next(browser).await.expect("the connection is closed") {
            Message::Text(text) => return sip_core::Message::parse(bytes::Bytes::from(text)).unwrap(),
            Message::Binary(bytes) => return sip_core::Message::parse(bytes).unwrap(),
            _ => {}
        }
    }
}

/// RFC 7118 §8.1: what a browser sends. It does not know its address and needs no Content-Length.
fn from_browser(method: &str) -> sip_core::Message {
    let mut request = request_via(method, "WSS df7jal23ls0d.invalid");
    request.remove(Name::ContentLength);
    request
}

#[tokio::test]
async fn one_frame_is_one_message_text_or_binary_both_ways() {
    let (mut rig, address, _stop) = start(Limits::default()).await;
    let mut browser = upgrade(&rig, address, Some("sip")).await.unwrap();
    let text = String::from_utf8(from_browser("OPTIONS").to_bytes().to_vec()).unwrap();
    browser.send(Message::text(text)).await.unwrap();
    let answer = message(&mut browser).await;
    let via = answer.top_via().unwrap();
    assert_eq!((word(&answer).as_str(), via.transport, via.host), ("200", "WSS", "df7jal23ls0d.invalid"));
    // §5.3: what is in front of us is not told.
    assert!(!via.params.has("received"));
    browser.send(Message::binary(from_browser("OPTIONS").to_bytes())).await.unwrap();
    assert_eq!(word(&message(&mut browser).await), "200");

    let (_, flow) = rig.request().await;
    assert_eq!(flow.transport, Transport::Wss);
    assert!(flow.is_private() && flow.transport.is_protected());
    let mut later = request_via("MESSAGE", "UDP x");
    later.set_body("application/octet-stream", bytes::Bytes::from_static(b"\xff\xfe"));
    let sent = rig.endpoint.request(later, flow, "0").await;
    let Some(Message::Binary(bytes)) = next(&mut browser).await else { panic!("§4.2: not UTF-8 is binary") };
    let request = sip_core::Message::parse(bytes).unwrap();
    let via = request.top_via().unwrap();
    assert_eq!((via.transport, via.port), ("WSS", Some(address.port())));
    assert!(rig.endpoint.is_own(via.host, via.port), "our own Via is known as ours");
    let answer = sip_core::Message::response(&request, 200, "");
    browser.send(Message::binary(answer.to_bytes())).await.unwrap();
    assert_eq!(sent.last().await.unwrap().status(), 200);
    assert_eq!(rig.metric("sip_endpoint_connections{", "wss"), 1.0);
    assert_eq!(rig.metric("sip_endpoint_messages_received_total", "wss"), 3.0);
}

#[tokio::test]
async fn an_upgrade_without_the_subprotocol_is_refused() {
    let (rig, address, _stop) = start(Limits::default()).await;
    for subprotocol in [None, Some("xmpp")] {
        let refused = upgrade(&rig, address, subprotocol).await;
        assert!(matches!(refused, Err(Error::Http(answer)) if answer.status() == 400));
    }
    assert_eq!(rig.metric("sip_endpoint_connections{", "wss"), 0.0);
}

#[tokio::test]
async fn a_network_has_only_so_many_websockets() {
    let limits = Limits { connections_per_network: 1, ..Limits::default() };
    let (mut rig, address, _stop) = start(limits).await;
    let first = upgrade(&rig, address, Some("sip")).await.unwrap();
    let second = upgrade(&rig, address, Some("sip")).await;
    assert!(matches!(second, Err(Error::Http(answer)) if answer.status() == 503));
    drop(first);
    assert_eq!(rig.lost().await.transport, Transport::Wss);
}

#[tokio::test]
async fn pings_keep_it_open_and_silence_closes_it() {
    let limits = Limits { websocket_ping: Duration::from_millis(100), ..Limits::default() };
    let (mut rig, address, _stop) = start(limits).await;
    let mut browser = upgrade(&rig, address, Some("sip")).await.unwrap();
    browser.send(Message::text("\r\n\r\n")).await.unwrap();
    let (mut pings, mut has_pong) = (0, false);
    // A client that reads answers pings, and so stays for longer than two of them.
    while pings < 3 || !has_pong {
        match next(&mut browser).await.expect("the connection is closed") {
            Message::Ping(_) => pings += 1,
            Message::Text(text) if text.as_str() == "\r\n" => has_pong = true,
            other => panic!("{other:?}"),
        }
        browser.flush().await.unwrap();
    }
    // From here on it does not read, and nothing is answered.
    rig.lost().await;
    assert_eq!(rig.metric("sip_endpoint_connections_refused_total", "silent"), 1.0);
}

#[tokio::test]
async fn a_frame_that_is_too_long_ends_the_connection() {
    let (mut rig, address, _stop) = start(Limits { message_bytes: 4_000, ..Limits::default() }).await;
    let mut browser = upgrade(&rig, address, Some("sip")).await.unwrap();
    let mut long = from_browser("MESSAGE");
    long.set_body("text/plain", vec![b'x'; 5_000].into());
    browser.send(Message::binary(long.to_bytes())).await.unwrap();
    rig.lost().await;
    assert!(rig.requests.try_recv().is_err(), "it was served");
}

#[tokio::test]
async fn a_close_is_answered_and_what_is_no_frame_ends_with_its_code() {
    let (rig, address, _stop) = start(Limits { message_bytes: 4_096, ..Limits::default() }).await;
    let mut browser = upgrade(&rig, address, Some("sip")).await.unwrap();
    browser.send(Message::Close(None)).await.unwrap();
    assert!(matches!(next(&mut browser).await, Some(Message::Close(_))));
    for (frame, code) in [
        (vec![0x81, 0x82, 0, 0, 0, 0, 0xff, 0xfe], 1007),
        ([&[0x82, 0xfe, 0x20, 0x00, 0, 0, 0, 0][..], &[b'x'; 8_192]].concat(), 1009),
        (vec![0x81, 0x02, b'h', b'i'], 1002),
    ] {
        let mut browser = upgrade(&rig, address, Some("sip")).await.unwrap();
        browser.get_mut().write_all(&frame).await.unwrap();
        let last = next(&mut browser).await;
        assert!(
            matches!(&last, Some(Message::Close(Some(end))) if u16::from(end.code) == code),
            "{code}: {last:?}"
        );
    }
}
