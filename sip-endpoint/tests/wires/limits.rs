//! What a connection may do, and what it may not: RFC 3261 §18.3, RFC 5626 §3.5.1, and our own bounds.

use std::time::Duration;

use sip_core::header::Name;
use sip_endpoint::{Limits, Listeners};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use crate::rig::{PATIENCE, Rig, listeners, options, request_via};

async fn with_limits(limits: Limits) -> Rig {
    Rig::start(Listeners { limits, ..listeners() }).await
}

#[tokio::test]
async fn split_and_joined_messages_are_answered_and_pings_too() {
    let rig = with_limits(Limits::default()).await;
    let mut peer = rig.tcp().await;
    let joined = [options(), options()].concat();
    for part in joined.chunks(100) {
        peer.send(part).await;
    }
    peer.expect("200").await;
    peer.expect("200").await;
    peer.send(b"\r\n\r\n").await;
    let mut pong = [0; 2];
    timeout(PATIENCE, peer.stream.read_exact(&mut pong)).await.expect("no pong").unwrap();
    assert_eq!(&pong, b"\r\n");
    assert_eq!(rig.metric("sip_endpoint_connections{", "tcp"), 1.0);
}

#[tokio::test]
async fn what_has_no_frames_is_answered_400_and_closed() {
    let mut rig = with_limits(Limits::default()).await;
    let mut peer = rig.tcp().await;
    let mut request = request_via("OPTIONS", "TCP 127.0.0.1:9");
    request.remove(Name::ContentLength);
    peer.send(&request.to_bytes()).await;
    let answer = peer.expect("400").await;
    assert_eq!(answer.reason(), "Missing Content-Length");
    assert!(peer.next().await.is_none(), "the connection goes on");
    rig.lost().await;
    let mut scanner = rig.tcp().await;
    scanner.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(scanner.next().await.is_none());
    assert_eq!(rig.metric("sip_endpoint_connections_refused_total", "garbage"), 2.0);
}

#[tokio::test]
async fn a_message_over_the_bound_is_answered_413_and_closed() {
    let rig = with_limits(Limits { message_bytes: 2_000, ..Limits::default() }).await;
    let long = |sent: usize| {
        let mut request = request_via("MESSAGE", "TCP 127.0.0.1:9");
        request.set_body("text/plain", vec![b'x'; 50_000].into());
        let bytes = request.to_bytes();
        bytes.slice(..bytes.len() - 50_000 + sent)
    };
    // Whole, or only begun: the answer does not wait for what will be too long.
    for sent in [50_000, 2_000] {
        let mut peer = rig.tcp().await;
        peer.send(&long(sent)).await;
        peer.expect("413").await;
        assert!(peer.next().await.is_none(), "the connection goes on");
    }
    let mut peer = rig.tcp().await;
    let mut endless = request_via("MESSAGE", "TCP 127.0.0.1:9");
    endless.set(Name::ContentLength, "4294967295");
    peer.send(&endless.to_bytes()).await;
    peer.expect("413").await;
}

#[tokio::test]
async fn a_network_has_only_so_many_connections() {
    let rig = with_limits(Limits { connections_per_network: 2, ..Limits::default() }).await;
    let mut first = rig.tcp().await;
    let mut second = rig.tcp().await;
    for peer in [&mut first, &mut second] {
        peer.send(&options()).await;
        peer.expect("200").await;
    }
    assert!(rig.tcp().await.next().await.is_none(), "a third is served");
    assert_eq!(rig.metric("sip_endpoint_connections_refused_total", "network"), 1.0);
}

#[tokio::test]
async fn who_proves_nothing_is_closed_and_who_does_stays() {
    let mut rig = with_limits(Limits { unproven: Duration::from_millis(300), ..Limits::default() }).await;
    let (mut known, mut stranger) = (rig.tcp().await, rig.tcp().await);
    known.send(&options()).await;
    let (_, flow) = rig.request().await;
    rig.endpoint.mark_trusted(&flow);
    stranger.send(&options()).await;
    stranger.expect("200").await;
    assert!(stranger.next().await.is_none());
    assert_ne!(rig.lost().await, flow);
    assert_eq!(rig.metric("sip_endpoint_connections_refused_total", "unproven"), 1.0);
    // The known one is older than the stranger was.
    known.expect("200").await;
    known.send(&options()).await;
    known.expect("200").await;
}

#[tokio::test]
async fn who_says_nothing_whole_is_closed() {
    let rig = with_limits(Limits { greeting: Duration::from_millis(200), ..Limits::default() }).await;
    let mut silent = rig.tcp().await;
    let mut dripping = rig.tcp().await;
    dripping.send(&options()).await;
    dripping.expect("200").await;
    dripping.send(b"OPTIONS sip:").await;
    assert!(silent.next().await.is_none());
    assert!(dripping.next().await.is_none());
    assert_eq!(rig.metric("sip_endpoint_connections_refused_total", "silent"), 2.0);
}
