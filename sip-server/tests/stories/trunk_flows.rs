//! The connection that a registration with a carrier was made by, and what comes of its loss (RFC 5626 §4.4.1, RFC 5923).

use std::time::Duration;

use crate::common::{DOMAIN, Line, PATIENCE, serve_with};
use sip_core::Message;
use sip_core::header::Name;
use sip_server::numbers::NumberConfig;
use sip_server::{Config, TrunkConfig};
use tokio::net::TcpListener;
use tokio::time::timeout;

/// The next connection of ours, and the REGISTER that comes by it, granted for an hour.
async fn registered(exchange: &TcpListener) -> (Line, Message) {
    let (stream, remote) = timeout(PATIENCE, exchange.accept()).await.expect("no connection").unwrap();
    let line = Line::stream("TCP", exchange.local_addr().unwrap(), stream);
    let request = Message::parse(timeout(PATIENCE, line.receive()).await.expect("no REGISTER")).unwrap();
    assert_eq!(request.method(), "REGISTER");
    let mut granted = Message::response(&request, 200, "");
    granted.push(Name::Contact, request.value(Name::Contact).unwrap());
    granted.push(Name::Expires, "3600");
    line.send(&granted.to_bytes(), remote).await;
    (line, request)
}

#[tokio::test]
async fn a_registration_is_made_anew_when_its_connection_is_lost() {
    let exchange = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let trunk = TrunkConfig {
        name: "carrier".to_owned(),
        server: format!("sip:{};transport=tcp", exchange.local_addr().unwrap()),
        user: "us".to_owned(),
        register: true,
        probe: Duration::ZERO,
        ..TrunkConfig::default()
    };
    let numbers = NumberConfig { country: "33".to_owned(), ..NumberConfig::default() };
    let _served = serve_with(Config { numbers, trunks: vec![trunk], ..Config::default() }).await;
    let (line, first) = registered(&exchange).await;
    // It is heard.
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(line);
    let (line, second) = registered(&exchange).await;
    assert_eq!(first.call_id(), second.call_id(), "{DOMAIN} has one registration");
    assert!(second.cseq().unwrap().0 > first.cseq().unwrap().0);
    // A carrier that closes again at once is not stormed: the next waits for longer.
    let then = std::time::Instant::now();
    drop(line);
    let _third = registered(&exchange).await;
    assert!(then.elapsed() >= Duration::from_secs(1), "{:?}", then.elapsed());
}
