//! Which way a message takes when the first is gone or too narrow: RFC 3261 §18.1.1 (size), §18.2.2 (responses).

use std::net::SocketAddr;

use bytes::Bytes;
use sip_core::Message;
use sip_core::header::Name;
use sip_core::transaction::Failure;
use sip_endpoint::{Answer, Target, Transport};
use tokio::net::{TcpListener, UdpSocket};
use tokio::time::timeout;

use crate::rig::{PATIENCE, Peer, Rig, listeners, local, request_via, word};

/// §18.2.2: the connection that the request came by is gone, so that a new one goes to the port of the Via.
#[tokio::test]
async fn a_response_finds_its_peer_after_the_connection_is_gone() {
    let mut rig = Rig::start(listeners()).await;
    let listener = TcpListener::bind(local(0)).await.unwrap();
    // The host of the Via leads elsewhere; the address is the one that the request came from.
    let via = format!("TCP 192.0.2.1:{}", listener.local_addr().unwrap().port());
    let mut peer = rig.tcp().await;
    peer.send(&request_via("INVITE", &via).to_bytes()).await;
    peer.expect("100").await;
    peer.expect("180").await;
    let incoming = rig.incoming().await;
    drop(peer);
    assert_eq!(rig.lost().await, incoming.flow);
    incoming.server.respond(Message::response(&incoming.request, 200, ""));
    let (socket, _) = timeout(PATIENCE, listener.accept()).await.expect("nobody called").unwrap();
    let answer = Peer::over(socket).expect("200").await;
    assert_eq!(answer.top_via().unwrap().params.value("received"), Some("127.0.0.1"));
}

/// §9.1, §17.1.1.2, §18.2.2: whoever has a call may close the connection that it came by, and be cancelled by another.
#[tokio::test]
async fn a_call_outlives_its_connection_and_is_cancelled_by_another() {
    let mut rig = Rig::start(listeners()).await;
    let listener = TcpListener::bind(local(0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let accept = || async { Peer::over(timeout(PATIENCE, listener.accept()).await.unwrap().unwrap().0) };
    let target = Target { transport: Transport::Tcp, address, host: "127.0.0.1".to_owned() };
    let flow = rig.endpoint.flow_to(&target).unwrap();
    let mut call = rig.endpoint.request(request_via("INVITE", "UDP x"), flow, "0").await;
    let mut peer = accept().await;
    let invite = peer.expect("INVITE").await;
    peer.send(&Message::response(&invite, 180, "").to_bytes()).await;
    assert!(matches!(call.next().await, Some(Answer::Response(ringing)) if ringing.status() == 180));
    drop(peer);
    rig.lost().await;
    call.cancel().send("").await;
    let mut peer = accept().await;
    let cancel = peer.expect("CANCEL").await;
    assert_eq!(cancel.value(Name::Via), invite.value(Name::Via));
    peer.send(&Message::response(&cancel, 200, "").to_bytes()).await;
    drop(peer);
    rig.lost().await;
    // Its answer comes by a connection of its own, and the ACK goes where the INVITE went.
    let mut answering = rig.tcp().await;
    answering.send(&Message::response(&invite, 487, "").to_bytes()).await;
    accept().await.expect("ACK").await;
    assert_eq!(call.last().await.unwrap().status(), 487);
}

/// Who comes from the same address by another connection gets nothing of it.
#[tokio::test]
async fn a_response_goes_to_nobody_else() {
    let mut rig = Rig::start(listeners()).await;
    let nowhere = TcpListener::bind(local(0)).await.unwrap().local_addr().unwrap();
    let via = format!("TCP {nowhere}");
    let mut peer = rig.tcp().await;
    let mut neighbour = rig.tcp().await;
    peer.send(&request_via("INVITE", &via).to_bytes()).await;
    peer.expect("100").await;
    let incoming = rig.incoming().await;
    drop(peer);
    rig.lost().await;
    incoming.server.respond(Message::response(&incoming.request, 200, ""));
    rig.lost().await;
    neighbour.send(&request_via("OPTIONS", &via).to_bytes()).await;
    let first = neighbour.next().await.unwrap();
    assert_eq!(first.cseq().unwrap().1, "OPTIONS", "the neighbour got another's answer");
}

#[tokio::test]
async fn a_request_on_a_connection_that_is_gone_fails_at_once() {
    let mut rig = Rig::start(listeners()).await;
    let closed = TcpListener::bind(local(0)).await.unwrap().local_addr().unwrap();
    let target = Target { transport: Transport::Tcp, address: closed, host: "127.0.0.1".to_owned() };
    let flow = rig.endpoint.flow_to(&target).unwrap();
    rig.lost().await;
    let sent = rig.endpoint.request(request_via("OPTIONS", "UDP x"), flow, "0").await;
    assert_eq!(sent.last().await.unwrap_err(), Failure::Unreachable);
}

fn large() -> Message {
    let mut request = request_via("OPTIONS", "UDP x");
    request.set_body("text/plain", Bytes::from(vec![b'x'; 1_500]));
    request
}

/// A UDP socket, and a TCP listener on the same port if `has_tcp`.
async fn peer(has_tcp: bool) -> (UdpSocket, Option<TcpListener>, Target) {
    loop {
        let listener = TcpListener::bind(local(0)).await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        // Another test may hold the UDP port of that number.
        let Ok(socket) = UdpSocket::bind(address).await else { continue };
        let target = Target { transport: Transport::Udp, address, host: "127.0.0.1".to_owned() };
        return (socket, has_tcp.then_some(listener), target);
    }
}

#[tokio::test]
async fn a_large_request_goes_by_tcp_and_a_small_one_by_udp() {
    let rig = Rig::start(listeners()).await;
    let (socket, listener, target) = peer(true).await;
    let flow = rig.endpoint.flow_for(&target, large().to_bytes().len()).unwrap();
    let sent = rig.endpoint.request(large(), flow, "0").await;
    let (stream, _) = timeout(PATIENCE, listener.unwrap().accept()).await.expect("nobody called").unwrap();
    let mut stream = Peer::over(stream);
    let request = stream.expect("OPTIONS").await;
    assert_eq!(request.top_via().unwrap().transport, "TCP");
    stream.send(&Message::response(&request, 200, "").to_bytes()).await;
    assert_eq!(sent.last().await.unwrap().status(), 200);

    let flow = rig.endpoint.flow_for(&target, 1_300).unwrap();
    let _sent = rig.endpoint.request(request_via("OPTIONS", "UDP x"), flow, "0").await;
    let mut buffer = vec![0; 65_535];
    timeout(PATIENCE, socket.recv(&mut buffer)).await.expect("no datagram came").unwrap();
}

#[tokio::test]
async fn a_large_request_goes_by_udp_where_tcp_is_refused() {
    let rig = Rig::start(listeners()).await;
    let (socket, _, target) = peer(false).await;
    // The second time TCP is known to be refused there.
    for _ in 0..2 {
        let flow = rig.endpoint.flow_for(&target, large().to_bytes().len()).unwrap();
        let sent = rig.endpoint.request(large(), flow, "0").await;
        let mut buffer = vec![0; 65_535];
        let (length, from) =
            timeout(PATIENCE, socket.recv_from(&mut buffer)).await.expect("no datagram came").unwrap();
        let request = Message::parse(Bytes::copy_from_slice(&buffer[..length])).unwrap();
        let via = request.top_via().unwrap();
        assert_eq!((via.transport, via.port), ("UDP", Some(from.port())));
        assert!(via.params.has("rport"));
        let answer = Message::response(&request, 200, "");
        socket.send_to(&answer.to_bytes(), from).await.unwrap();
        assert_eq!(word(&sent.last().await.unwrap()), "200");
    }
}

#[tokio::test]
async fn a_request_that_no_datagram_holds_fails_at_once_where_tcp_is_refused() {
    let rig = Rig::start(listeners()).await;
    let (_socket, _, target) = peer(false).await;
    let mut request = large();
    request.set_body("text/plain", Bytes::from(vec![b'x'; 65_507]));
    for _ in 0..2 {
        let flow = rig.endpoint.flow_for(&target, request.to_bytes().len()).unwrap();
        let sent = rig.endpoint.request(request.clone(), flow, "0").await;
        let failed = timeout(PATIENCE, sent.last()).await.expect("nobody was told");
        assert_eq!(failed.unwrap_err(), Failure::Unreachable);
    }
}
