//! Finding targets by a name server: RFC 3263.

use std::net::SocketAddr;

use sip_core::Uri;
use sip_endpoint::{Listeners, Naming, ResolveError, Target, Transport};
use tokio::net::{TcpListener, UdpSocket};

use crate::dns::Dns;
use crate::rig::{Rig, listeners, local, request_via};

async fn asking(dns: &Dns) -> Rig {
    let naming = Naming { servers: vec![dns.address], ..Naming::default() };
    Rig::start(Listeners { naming, ..listeners() }).await
}

async fn targets(rig: &Rig, uri: &str) -> Result<Vec<Target>, ResolveError> {
    rig.endpoint.resolver().targets(&Uri::parse(uri).unwrap()).await
}

/// Targets in short: `udp 192.0.2.1:5060`.
async fn found(rig: &Rig, uri: &str) -> Vec<String> {
    let word = |transport| match transport {
        Transport::Wss => "wss",
        other => other.as_param(),
    };
    let all = targets(rig, uri).await.unwrap();
    all.iter().map(|target| format!("{} {}", word(target.transport), target.address)).collect()
}

/// §4.1 and §4.2: numbers and explicit ports need no NAPTR and no SRV.
#[tokio::test]
async fn numbers_and_ports_are_taken_as_they_are() {
    let dns = Dns::start().await;
    dns.host("host.example", "192.0.2.7");
    dns.host("host.example", "2001:db8::7");
    dns.srv("_sip._udp.host.example", 1, 1, 9, "wrong.example");
    let rig = asking(&dns).await;
    for (uri, wanted) in [
        ("sip:192.0.2.1", "udp 192.0.2.1:5060"),
        ("sips:192.0.2.1", "tls 192.0.2.1:5061"),
        ("sip:192.0.2.1;transport=TCP", "tcp 192.0.2.1:5060"),
        ("sips:192.0.2.1;transport=tcp", "tls 192.0.2.1:5061"),
        ("sip:[2001:db8::1]:5070;transport=tls", "tls [2001:db8::1]:5070"),
        ("sip:192.0.2.1;transport=ws", "ws 192.0.2.1:80"),
        ("sips:192.0.2.1;transport=ws", "wss 192.0.2.1:443"),
        ("sip:elsewhere.example;maddr=192.0.2.9", "udp 192.0.2.9:5060"),
    ] {
        assert_eq!(found(&rig, uri).await, [wanted], "{uri}");
    }
    assert_eq!(dns.queries(), 0);
    assert_eq!(found(&rig, "sip:host.example:5062").await, ["udp 192.0.2.7:5062", "udp [2001:db8::7]:5062"]);
    assert_eq!(targets(&rig, "sip:host.example;transport=sctp").await, Err(ResolveError::NoTransport));
    assert_eq!(targets(&rig, "sips:host.example;transport=udp").await, Err(ResolveError::NoTransport));
    assert_eq!(targets(&rig, "tel:+1").await, Err(ResolveError::NotSip));
    assert_eq!(targets(&rig, "sip:nowhere.example").await, Err(ResolveError::NoAddress));
}

/// §4.1, the example: the server's order of transports, then SRV, then addresses.
#[tokio::test]
async fn naptr_leads_to_srv_and_srv_to_addresses() {
    let dns = Dns::start().await;
    dns.naptr("example.com", 50, "SIPS+D2T", "_sips._tcp.example.com");
    dns.naptr("example.com", 90, "SIP+D2T", "_sip._tcp.example.com");
    dns.naptr("example.com", 100, "SIP+D2U", "_sip._udp.example.com");
    dns.srv("_sips._tcp.example.com", 0, 1, 5061, "server1.example.com");
    dns.srv("_sip._tcp.example.com", 20, 1, 5060, "server2.example.com");
    dns.srv("_sip._tcp.example.com", 10, 1, 5070, "server1.example.com");
    dns.host("server1.example.com", "192.0.2.1");
    dns.host("server2.example.com", "192.0.2.2");
    let rig = asking(&dns).await;
    let wanted = ["tls 192.0.2.1:5061", "tcp 192.0.2.1:5070", "tcp 192.0.2.2:5060"];
    assert_eq!(found(&rig, "sip:user@example.com").await, wanted);
    assert_eq!(found(&rig, "sips:user@example.com").await, wanted[..1]);
    assert_eq!(found(&rig, "sip:user@example.com;transport=tcp").await, wanted[1..]);
    // RFC 5922 §7.3: the name to be proved is the one that was asked for.
    assert!(
        targets(&rig, "sip:example.com").await.unwrap().iter().all(|target| target.host == "example.com")
    );
    let before = dns.queries();
    found(&rig, "sip:other@example.com").await;
    assert_eq!(dns.queries(), before, "what was told is remembered");
}

/// §4.1: without NAPTR, SRV of every transport that we have, as we prefer; without SRV, the address.
#[tokio::test]
async fn without_naptr_services_are_asked_for_and_without_services_the_host() {
    let dns = Dns::start().await;
    dns.srv("_sip._udp.services.example", 0, 0, 5099, "a.services.example");
    dns.srv("_sips._tcp.services.example", 0, 0, 5098, "a.services.example");
    dns.host("a.services.example", "192.0.2.1");
    dns.host("plain.example", "192.0.2.3");
    dns.srv("_sip._udp.closed.example", 0, 0, 0, ".");
    dns.host("closed.example", "192.0.2.4");
    let rig = asking(&dns).await;
    assert_eq!(found(&rig, "sip:services.example").await, ["tls 192.0.2.1:5098", "udp 192.0.2.1:5099"]);
    assert_eq!(found(&rig, "sip:plain.example").await, ["udp 192.0.2.3:5060"]);
    assert_eq!(found(&rig, "sips:plain.example").await, ["tls 192.0.2.3:5061"]);
    // RFC 2782: a target of "." means that there decidedly is no such service.
    assert_eq!(targets(&rig, "sip:closed.example").await, Err(ResolveError::NoAddress));
}

#[tokio::test]
async fn targets_are_bounded() {
    let dns = Dns::start().await;
    for number in 0..12 {
        dns.srv("_sip._udp.big.example", number, 0, 5060, &format!("h{number}.big.example"));
        dns.host(&format!("h{number}.big.example"), &format!("192.0.2.{number}"));
        dns.host(&format!("h{number}.big.example"), &format!("198.51.100.{number}"));
    }
    let rig = asking(&dns).await;
    assert_eq!(found(&rig, "sip:big.example").await.len(), 16);
}

/// §4.3: what failed is tried last for a while, and stays in the list.
#[tokio::test]
async fn who_failed_is_tried_last() {
    let dns = Dns::start().await;
    // Nobody listens there: the port was taken and given back.
    let closed = TcpListener::bind(local(0)).await.unwrap().local_addr().unwrap();
    let open = TcpListener::bind(local(0)).await.unwrap();
    dns.srv("_sip._tcp.two.example", 1, 0, closed.port(), "a.two.example");
    dns.srv("_sip._tcp.two.example", 2, 0, open.local_addr().unwrap().port(), "a.two.example");
    dns.host("a.two.example", "127.0.0.1");
    let mut rig = asking(&dns).await;
    let uri = "sip:two.example;transport=tcp";
    let first = targets(&rig, uri).await.unwrap();
    assert_eq!(first[0].address, closed);
    let flow = rig.endpoint.flow_to(&first[0]).unwrap();
    assert_eq!(rig.lost().await, flow, "refused");
    let second = targets(&rig, uri).await.unwrap();
    assert_eq!((&second[0], &second[1]), (&first[1], &first[0]));
    // The transaction user says the same of a 503 or a timeout.
    rig.endpoint.resolver().failed(&first[1]);
    assert_eq!(targets(&rig, uri).await.unwrap(), first, "all grey: as before");
}

#[tokio::test]
async fn silence_of_the_name_servers_is_told_from_absence() {
    // A socket that nobody reads.
    let deaf = UdpSocket::bind(local(0)).await.unwrap();
    let naming = Naming { servers: vec![deaf.local_addr().unwrap()], ..Naming::default() };
    let rig = Rig::start(Listeners { naming, ..listeners() }).await;
    assert_eq!(targets(&rig, "sip:example.com:5060").await, Err(ResolveError::Silence));
}

#[tokio::test]
async fn a_found_target_is_reached() {
    let dns = Dns::start().await;
    let server = Rig::start(listeners()).await;
    let bound: SocketAddr = server.endpoint.bound().tcp[0];
    dns.srv("_sip._tcp.far.example", 1, 0, bound.port(), "a.far.example");
    dns.host("a.far.example", "127.0.0.1");
    let rig = asking(&dns).await;
    let target = targets(&rig, "sip:far.example").await.unwrap().remove(0);
    let flow = rig.endpoint.flow_to(&target).unwrap();
    let sent = rig.endpoint.request(request_via("OPTIONS", "UDP x"), flow, "0").await;
    assert_eq!(sent.last().await.unwrap().status(), 200);
}
