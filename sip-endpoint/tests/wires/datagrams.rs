//! UDP: several sockets a port, our address as the peer knows it (RFC 3581 §4), STUN (RFC 5626 §8), both families.

use std::net::SocketAddr;

use bytes::Bytes;
use sip_core::Message;
use sip_core::header::Name;
use sip_core::transaction::Failure;
use sip_endpoint::{Listeners, Target, Transport};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::rig::{PATIENCE, Rig, has_v6, local, request_via, word};

/// Sends a request to `server` and waits for what comes, and where it comes from.
async fn ask(socket: &UdpSocket, server: SocketAddr, request: &Message) -> (Message, SocketAddr) {
    socket.send_to(&request.to_bytes(), server).await.unwrap();
    receive(socket).await
}

async fn receive(socket: &UdpSocket) -> (Message, SocketAddr) {
    let mut buffer = vec![0; 65_535];
    let (length, from) =
        timeout(PATIENCE, socket.recv_from(&mut buffer)).await.expect("nothing came").unwrap();
    (Message::parse(Bytes::copy_from_slice(&buffer[..length])).unwrap(), from)
}

async fn on(address: &str) -> Rig {
    let udp = vec![address.parse().unwrap()];
    Rig::start(Listeners { udp, ..Listeners::default() }).await
}

#[tokio::test]
async fn many_peers_are_answered_from_one_port() {
    let rig = on("127.0.0.1:0").await;
    let server = rig.endpoint.bound().udp[0];
    for _ in 0..32 {
        let peer = UdpSocket::bind(local(0)).await.unwrap();
        let request = request_via("OPTIONS", &format!("UDP {};rport", peer.local_addr().unwrap()));
        let (answer, from) = ask(&peer, server, &request).await;
        assert_eq!((word(&answer).as_str(), from), ("200", server));
        // RFC 3581 §4: both parameters, whatever the sent-by says.
        let via = answer.top_via().unwrap();
        assert_eq!(via.params.value("received"), Some("127.0.0.1"));
        assert_eq!(via.params.value("rport"), Some(peer.local_addr().unwrap().port().to_string().as_str()));
    }
    assert_eq!(rig.metric("sip_endpoint_messages_received_total", "udp"), 32.0);
}

#[tokio::test]
async fn without_rport_the_answer_goes_to_the_port_of_the_via() {
    let rig = on("127.0.0.1:0").await;
    let (sender, listener) =
        (UdpSocket::bind(local(0)).await.unwrap(), UdpSocket::bind(local(0)).await.unwrap());
    let port = listener.local_addr().unwrap().port();
    let request = request_via("OPTIONS", &format!("UDP peer.invalid:{port}"));
    sender.send_to(&request.to_bytes(), rig.endpoint.bound().udp[0]).await.unwrap();
    let (answer, _) = receive(&listener).await;
    assert_eq!(answer.top_via().unwrap().params.value("received"), Some("127.0.0.1"));
}

#[tokio::test]
async fn a_wildcard_listener_speaks_from_the_address_that_it_was_spoken_to() {
    let mut rig = on("0.0.0.0:0").await;
    let port = rig.endpoint.bound().udp[0].port();
    let peer = UdpSocket::bind(local(0)).await.unwrap();
    let server = SocketAddr::from(([127, 0, 0, 2], port));
    let request = request_via("OPTIONS", &format!("UDP {};rport", peer.local_addr().unwrap()));
    let (_, from) = ask(&peer, server, &request).await;
    assert_eq!(from, server, "the response");
    // The flow by its name, as a binding keeps it.
    let (_, flow) = rig.request().await;
    let flow = rig.endpoint.flow(Transport::Udp, flow.id, flow.remote).unwrap();
    let _sent = rig.endpoint.request(request_via("INFO", "UDP x"), flow, "0").await;
    let (later, from) = receive(&peer).await;
    assert_eq!(from, server, "a later request");
    let via = later.top_via().unwrap();
    assert_eq!((via.host, via.port), ("127.0.0.2", Some(port)));
}

#[tokio::test]
async fn a_port_that_nobody_listens_at_is_known_at_once_and_costs_others_nothing() {
    let (v4, v6, both) = ("127.0.0.1:0", "[::1]:0", "[::]:0");
    let ways = [(v4, v4), ("0.0.0.0:0", v4), (v6, v6), (both, v4), (both, v6)];
    for (server, there) in ways.into_iter().take(if has_v6() { 5 } else { 2 }) {
        let rig = on(server).await;
        let closed = UdpSocket::bind(there).await.unwrap().local_addr().unwrap();
        let peer = UdpSocket::bind(there).await.unwrap();
        let send = async |method: &str, address: SocketAddr| {
            let target = Target { transport: Transport::Udp, address, host: String::new() };
            let flow = rig.endpoint.flow_to(&target).unwrap();
            rig.endpoint.request(request_via(method, "UDP x"), flow, "0").await
        };
        for method in ["INVITE", "INFO"] {
            let refused = send(method, closed).await;
            // What goes out while the error comes in.
            let others = [
                send(method, peer.local_addr().unwrap()).await,
                send(method, peer.local_addr().unwrap()).await,
            ];
            let failed = timeout(PATIENCE, refused.last()).await.expect("waited for");
            assert_eq!(failed.err(), Some(Failure::Unreachable), "{method} from {server} to {there}");
            for _ in &others {
                let (request, from) = receive(&peer).await;
                let answer = Message::response(&request, 200, "");
                peer.send_to(&answer.to_bytes(), from).await.unwrap();
            }
            for other in others {
                assert_eq!(other.last().await.unwrap().status(), 200, "{method} from {server} to {there}");
            }
        }
    }
}

#[tokio::test]
async fn stun_is_answered_on_sips_port() {
    use rtc_stun::message::{BINDING_REQUEST, BINDING_SUCCESS, Getter, Message, TransactionId};
    let rig = on("0.0.0.0:0").await;
    let server = local(rig.endpoint.bound().udp[0].port());
    let peer = UdpSocket::bind(local(0)).await.unwrap();
    let mut request = Message::new();
    request.build(&[Box::new(TransactionId::new()), Box::new(BINDING_REQUEST)]).unwrap();
    peer.send_to(&request.raw, server).await.unwrap();
    let mut response = Message::new();
    response.raw = vec![0; 1_500];
    let (length, from) = timeout(PATIENCE, peer.recv_from(&mut response.raw)).await.unwrap().unwrap();
    response.raw.truncate(length);
    response.decode().unwrap();
    let mut mapped = rtc_stun::xoraddr::XorMappedAddress::default();
    mapped.get_from(&response).unwrap();
    assert_eq!((from, response.typ), (server, BINDING_SUCCESS));
    assert_eq!(
        (mapped.ip, mapped.port),
        (peer.local_addr().unwrap().ip(), peer.local_addr().unwrap().port())
    );
    assert_eq!(rig.metric("sip_endpoint_messages", ""), 0.0, "it is no SIP message");
}

#[tokio::test]
async fn ipv6_hosts_stand_in_brackets() {
    if !has_v6() {
        return;
    }
    let mut rig = on("[::1]:0").await;
    let server = rig.endpoint.bound().udp[0];
    let peer = UdpSocket::bind("[::1]:0").await.unwrap();
    let request = request_via("OPTIONS", &format!("UDP {}", peer.local_addr().unwrap()));
    let (answer, _) = ask(&peer, server, &request).await;
    assert_eq!(answer.value(Name::Via), request.value(Name::Via), "sent-by is the source: nothing to add");
    rig.request().await;
    let target =
        Target { transport: Transport::Udp, address: peer.local_addr().unwrap(), host: "::1".to_owned() };
    let flow = rig.endpoint.flow_to(&target).unwrap();
    let _sent = rig.endpoint.request(request_via("INFO", "UDP x"), flow, "0").await;
    let (later, _) = receive(&peer).await;
    assert_eq!(later.top_via().unwrap().host, "[::1]");
    assert!(rig.endpoint.is_own("[::1]", Some(server.port())));
}

#[tokio::test]
async fn a_dual_stack_listener_takes_both_families() {
    if !has_v6() {
        return;
    }
    let rig = on("[::]:0").await;
    let port = rig.endpoint.bound().udp[0].port();
    for (ours, server) in [("[::1]:0", format!("[::1]:{port}")), ("127.0.0.1:0", format!("127.0.0.1:{port}"))]
    {
        let peer = UdpSocket::bind(ours).await.unwrap();
        let request = request_via("OPTIONS", &format!("UDP {};rport", peer.local_addr().unwrap()));
        let (answer, from) = ask(&peer, server.parse().unwrap(), &request).await;
        assert_eq!((word(&answer), from.to_string()), ("200".to_owned(), server));
        let received = answer.top_via().unwrap().params.value("received").unwrap().to_owned();
        assert_eq!(received, peer.local_addr().unwrap().ip().to_string());
        let target =
            Target { transport: Transport::Udp, address: peer.local_addr().unwrap(), host: String::new() };
        let flow = rig.endpoint.flow_to(&target).unwrap();
        let _sent = rig.endpoint.request(request_via("INFO", "UDP x"), flow, "0").await;
        assert_eq!(word(&receive(&peer).await.0), "INFO");
    }
}
