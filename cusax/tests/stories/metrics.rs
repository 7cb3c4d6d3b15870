//! What a monitoring system sees of the process itself.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use sip_core::Message;
use sip_core::header::Name;

use crate::service::{DOMAIN, Service};

fn metrics(service: &Service) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", service.port("operations.listen"))).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn the_process_tells_its_release_and_what_it_costs() {
    let service = Service::start();
    let text = metrics(&service);
    let version = env!("CARGO_PKG_VERSION");
    assert!(text.contains(&format!("cusax_build_info{{version=\"{version}\"}} 1")), "{text}");
    #[cfg(target_os = "linux")]
    for name in ["process_open_fds", "process_resident_memory_bytes", "process_cpu_seconds_total"] {
        assert!(text.lines().any(|line| line.starts_with(name)), "{name}: {text}");
    }
}

#[test]
fn requests_are_counted_by_method_and_transport_and_answers_by_class() {
    let service = Service::start();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let server = SocketAddr::from(([127, 0, 0, 1], service.port("sip.udp")));
    let at = socket.local_addr().unwrap();
    for (method, uri) in [
        ("OPTIONS", format!("sip:{DOMAIN}")),
        ("OPTIONS", "tel:+1".to_owned()),
        ("INVITE", "sip:x@192.0.2.1".to_owned()),
    ] {
        let mut request = Message::request(method, &uri);
        request.push(Name::Via, &format!("SIP/2.0/UDP {at};rport;branch=z9hG4bK{method}{}", uri.len()));
        request.push(Name::MaxForwards, "70");
        request.push(Name::From, "<sip:friend@elsewhere.example>;tag=1");
        request.push(Name::To, &format!("<{uri}>"));
        request.push(Name::CallId, &format!("counted-{method}-{}", uri.len()));
        request.push(Name::CSeq, &format!("1 {method}"));
        request.push(Name::ContentLength, "0");
        socket.send_to(&request.to_bytes(), server).unwrap();
        // A 100 is sent before anybody looks at the request.
        let mut answer = [0; 4_096];
        while answer.starts_with(b"SIP/2.0 1") || answer[0] == 0 {
            socket.recv(&mut answer).unwrap();
        }
    }
    let text = metrics(&service);
    for line in [
        "sip_server_requests_total{method=\"OPTIONS\",transport=\"udp\"} 2",
        "sip_server_requests_total{method=\"INVITE\",transport=\"udp\"} 1",
        "sip_server_responses_total{class=\"2xx\",method=\"OPTIONS\"} 1",
        "sip_server_responses_total{class=\"4xx\",method=\"OPTIONS\"} 1",
        "sip_server_responses_total{class=\"4xx\",method=\"INVITE\"} 1",
        "sip_server_answer_seconds_count 0",
        "sip_server_ring_seconds_count 0",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}: {text}");
    }
}
