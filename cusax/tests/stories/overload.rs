//! Overload: a server that is late begins nothing new, goes on with what it began, and says so — RFC 3261 §21.5.4, RFC 7339 §5.10.

use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip_core::Message;
use sip_core::header::Name;

use crate::service::{DOMAIN, Service};

#[test]
fn what_waited_too_long_is_refused_until_the_queue_is_short_again() {
    let service = Service::start();
    let caller = Caller::new(&service);
    caller.send("OPTIONS", &format!("sip:{DOMAIN}"), "", 0);
    assert_eq!(caller.answers(1), [(200, 0)]);

    // While it stands still, its socket fills as that of a server that cannot keep up.
    signal(&service, "STOP");
    while !stands_still(&service) {
        std::thread::yield_now();
    }
    for number in 1..=OPTIONS {
        caller.send("OPTIONS", &format!("sip:{DOMAIN}"), "", number);
    }
    caller.send("INVITE", "urn:service:sos", "", OPTIONS + 1);
    caller.send("BYE", &format!("sip:alice@{DOMAIN}"), ";tag=made-up", OPTIONS + 2);
    std::thread::sleep(HELD_UP);
    signal(&service, "CONT");

    let mut answers = caller.answers(OPTIONS + 2);
    let statuses = |status| answers.iter().filter(|answer| answer.0 == status).count();
    assert!(statuses(503) > OPTIONS / 2, "{answers:?}");
    assert!(statuses(200) > 0, "one late request is an accident: {answers:?}");
    answers.retain(|answer| answer.1 > OPTIONS);
    let is_in_need = |answer: &&(u16, usize)| answer.1 == OPTIONS + 1;
    assert!(answers.iter().find(is_in_need).is_some_and(|answer| answer.0 != 503), "in need: {answers:?}");
    assert!(answers.contains(&(503, OPTIONS + 2)), "a tag alone is anybody's word: {answers:?}");

    let is_served = || {
        caller.send("OPTIONS", &format!("sip:{DOMAIN}"), "", OPTIONS + 3);
        caller.answers(1) == [(200, OPTIONS + 3)]
    };
    assert!((0..100).any(|_| is_served()), "it is over");
}

fn signal(service: &Service, name: &str) {
    let pid = service.process_id().to_string();
    assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
}

/// A signal is on its way when `kill` has ended: each thread stops for itself.
fn stands_still(service: &Service) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", service.process_id())).unwrap();
    let state = |stat: String| stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
    tasks
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("stat")).ok())
        .all(|stat| state(stat) == Some('T'))
}

struct Caller {
    socket: UdpSocket,
    server: SocketAddr,
}

impl Caller {
    fn new(service: &Service) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self { socket, server: SocketAddr::from(([127, 0, 0, 1], service.port("sip.udp"))) }
    }

    fn send(&self, method: &str, uri: &str, to_tag: &str, number: usize) {
        let mut request = Message::request(method, uri);
        let at = self.socket.local_addr().unwrap();
        let nonce = self.server.port();
        request.push(Name::Via, &format!("SIP/2.0/UDP {at};rport;branch=z9hG4bK{nonce}-{number}"));
        request.push(Name::MaxForwards, "70");
        request.push(Name::From, "<sip:friend@elsewhere.example>;tag=1");
        request.push(Name::To, &format!("<{uri}>{to_tag}"));
        request.push(Name::CallId, &format!("late-{number}"));
        request.push(Name::CSeq, &format!("1 {method}"));
        request.push(Name::Contact, &format!("<sip:friend@{at}>"));
        request.push(Name::ContentLength, "0");
        self.socket.send_to(&request.to_bytes(), self.server).unwrap();
    }

    /// The final answers to so many requests, each with its request's number.
    fn answers(&self, count: usize) -> Vec<(u16, usize)> {
        let mut answers = Vec::new();
        let end = Instant::now() + Duration::from_secs(20);
        let mut buffer = [0; 65_535];
        while answers.len() < count && Instant::now() < end {
            let Ok(length) = self.socket.recv(&mut buffer) else { break };
            let answer = Message::parse(Bytes::copy_from_slice(&buffer[..length])).unwrap();
            let number = answer.call_id().strip_prefix("late-").unwrap().parse().unwrap();
            if answer.status() >= 200 && !answers.contains(&(answer.status(), number)) {
                answers.push((answer.status(), number));
            }
        }
        answers
    }
}

/// Few enough for the smallest buffer that a system gives a socket.
const OPTIONS: usize = 100;
const HELD_UP: Duration = Duration::from_secs(1);
