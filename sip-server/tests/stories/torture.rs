//! The torture messages of RFC 4475 and RFC 5118 against a started server, over UDP and over TCP.
//!
//! Each message goes to a server of its own, since several have the same branch. What that server then does is in
//! `tests/conformance/*/reactions.txt`; whatever it is, the next OPTIONS from the same place is answered.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::common::{PASSWORD, Served, credentials, serve_domain};
use crate::conformance::{Case, rfc4475, rfc5118};
use bytes::Bytes;
use shared_auth::{NewAccount, Profile};
use shared_model::{Aor, BareJid};
use shared_store::Store;
use sip_core::header::{Name, NameAddr};
use sip_core::message::{Framed, Framer};
use sip_core::{Message, Uri};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

#[tokio::test]
async fn every_message_of_rfc_4475_gets_its_reaction_over_udp() {
    for case in rfc4475() {
        torture(&case, &case.server, Carrier::Datagrams).await;
    }
}

#[tokio::test]
async fn every_message_of_rfc_4475_gets_its_reaction_over_tcp() {
    for case in rfc4475() {
        torture(&case, &case.stream, Carrier::Stream).await;
    }
}

#[tokio::test]
async fn every_message_of_rfc_5118_gets_its_reaction() {
    for case in rfc5118() {
        torture(&case, &case.server, Carrier::Datagrams).await;
        torture(&case, &case.stream, Carrier::Stream).await;
    }
}

enum Carrier {
    Datagrams,
    Stream,
}

async fn torture(case: &Case, reactions: &[String], carrier: Carrier) {
    println!("{}: {reactions:?}", case.name);
    let served = serve_accounts().await;
    let phone = Phone::registered(&served).await;
    let mut peer = match carrier {
        Carrier::Datagrams => Peer::on_datagrams(&served, &case.bytes).await,
        Carrier::Stream => Peer::on_stream(&served).await,
    };
    let mut sent = readable(&case.bytes);
    let call_id = sent.as_ref().map(|sent| sent.call_id().to_owned()).unwrap_or_default();
    let mut is_connected = true;
    peer.send(&case.bytes).await;
    for (turn, reaction) in reactions.iter().enumerate() {
        match reaction.as_str() {
            // The OPTIONS below is answered first and alone.
            "dropped" => {}
            "waits" => is_connected = false,
            "closed" => {
                while peer.receive().await.is_some() {}
                is_connected = false;
            }
            "forwarded" => {
                let forwarded = phone.receive(&call_id).await;
                compare(&case.name, sent.as_ref().unwrap(), &forwarded);
                phone.respond(&forwarded, 486).await;
                let answer = peer.answer(&call_id).await;
                assert_eq!(answer.status(), 486, "{}", case.name);
                peer.acknowledge(sent.as_ref().unwrap(), &answer).await;
            }
            wanted => {
                let answer = peer.answer(&call_id).await;
                let got = format!("{} {}", answer.status(), answer.reason());
                assert!(got == wanted || got.split(' ').next() == Some(wanted), "{}: {got}", case.name);
                check_details(&case.name, &answer);
                if turn + 1 < reactions.len() {
                    sent = sent.map(|sent| proved(sent, &answer));
                    peer.send(&sent.as_ref().unwrap().to_bytes()).await;
                } else if let Some(sent) =
                    sent.as_ref().filter(|sent| case.parser == "valid" && sent.is_request())
                {
                    peer.acknowledge(sent, &answer).await;
                }
            }
        }
    }
    let mut again = if is_connected { peer } else { Peer::on_stream(&served).await };
    again.send(&options().to_bytes()).await;
    let alive = again.receive().await.unwrap();
    assert_eq!((alive.call_id(), alive.status()), (ALIVE, 200), "{}: nothing else came", case.name);
}

/// What an answer says beside its status.
fn check_details(name: &str, answer: &Message) {
    match (name, answer.status()) {
        ("bext01", 420) => {
            let unsupported: Vec<&str> = answer.elements(Name::Unsupported).collect();
            assert_eq!(unsupported, ["noProxiesSupportThis", "norDoAnyProxiesSupportThis"]);
        }
        ("cparam01" | "cparam02" | "regescrt", 200) => {
            let contacts: Vec<_> = answer.elements(Name::Contact).filter_map(NameAddr::parse).collect();
            let uri = match name {
                "cparam01" => "sip:+19725552222@gw1.example.net",
                "cparam02" => "sip:+19725552222@gw1.example.net;unknownparam",
                _ => "sip:user@example.com?Route=%3Csip:sip.example.com%3E",
            };
            assert!(contacts.iter().any(|contact| contact.uri == uri), "{contacts:?}");
        }
        _ => {}
    }
}

/// Whether a proxy's copy has all that is not the proxy's in order and byte for byte.
fn compare(name: &str, sent: &Message, forwarded: &Message) {
    let is_the_proxys = |line: &[u8]| {
        let name = line.split(|byte| matches!(byte, b':' | b' ' | b'\t')).next().unwrap_or_default();
        OURS.contains(&Name::of(name))
    };
    let lines = |message: &Message| -> Vec<String> {
        let bytes = message.to_bytes();
        let head = &bytes[..bytes.len() - message.body().len()];
        let lines = head.split(|byte| *byte == b'\n').skip(1).filter(|line| !is_the_proxys(line));
        lines.map(|line| line.escape_ascii().to_string()).collect()
    };
    assert_eq!(lines(sent), lines(forwarded), "{name}");
    assert_eq!(sent.body(), forwarded.body(), "{name}");
    assert_eq!(sent.method(), forwarded.method(), "{name}");
    // The topmost Via below ours has `received`; those below it are as they were.
    let below = |message: &Message, skip| -> Vec<String> {
        message.elements(Name::Via).skip(skip).map(str::to_owned).collect()
    };
    assert_eq!(below(sent, 1), below(forwarded, 2), "{name}");
}

/// The request once more, with what the challenge asks for.
fn proved(mut request: Message, challenge: &Message) -> Message {
    let user = NameAddr::parse(request.value(Name::To).unwrap())
        .and_then(|to| Uri::parse(to.uri))
        .map(|to| to.user_unescaped().into_owned())
        .filter(|user| ACCOUNTS.contains(&user.as_str()))
        .unwrap_or_else(|| ACCOUNTS[0].to_owned());
    let offer = challenge.values(Name::WwwAuthenticate).find(|offer| offer.contains("=SHA-256")).unwrap();
    request.push(Name::Authorization, &credentials(&user, offer, &request, PASSWORD));
    let (number, method) = request.cseq().map(|(number, method)| (number, method.to_owned())).unwrap();
    request.set(Name::CSeq, &format!("{} {method}", number + 1));
    let via = request.pop_front(Name::Via).unwrap();
    request.push_front(Name::Via, &via.replace("z9hG4bK", "z9hG4bKproved"));
    request
}

fn readable(bytes: &[u8]) -> Option<Message> {
    match Message::parse(Bytes::copy_from_slice(bytes)) {
        Ok(message) => Some(message),
        Err(malformed) => malformed.readable.map(|message| *message),
    }
}

fn options() -> Message {
    let mut request = Message::request("OPTIONS", &format!("sip:{TORTURED}"));
    request.push(Name::Via, "SIP/2.0/UDP alive.example.net;rport;branch=z9hG4bKalive");
    request.push(Name::MaxForwards, "70");
    request.push(Name::From, "<sip:caller@alive.example.net>;tag=1");
    request.push(Name::To, &format!("<sip:{TORTURED}>"));
    request.push(Name::CallId, ALIVE);
    request.push(Name::CSeq, "1 OPTIONS");
    request.push(Name::ContentLength, "0");
    request
}

async fn serve_accounts() -> Served {
    let served = serve_domain(TORTURED, Store::in_memory()).await;
    for name in ACCOUNTS {
        let (aor, jid) = (Aor::new(name, TORTURED).unwrap(), BareJid::new(name, TORTURED).unwrap());
        served
            .auth
            .book
            .create(NewAccount { aor, jid, profile: Profile::default() }, PASSWORD)
            .await
            .unwrap();
    }
    served
}

/// Where the message comes from and its answers go.
enum Peer {
    Datagrams(UdpSocket, SocketAddr),
    Stream(TcpStream, Box<Framer>),
}

impl Peer {
    /// Most of the messages have no rport, so that their answers go to the port that their Via says (RFC 3261 §18.2.2):
    /// the socket has that port, on an address of the loopback network that is nobody else's.
    async fn on_datagrams(served: &Served, bytes: &[u8]) -> Self {
        let port = readable(bytes).and_then(|message| message.top_via()?.port).unwrap_or(5060);
        let process = std::process::id();
        let free = (1..=254).find_map(|last| {
            let address = Ipv4Addr::new(127, 64 + (process >> 8) as u8 % 128, process as u8, last);
            std::net::UdpSocket::bind((address, port)).ok()
        });
        let socket = free.unwrap_or_else(|| panic!("some address of 127.0.0.0/8 has its port {port} free"));
        socket.set_nonblocking(true).unwrap();
        Self::Datagrams(UdpSocket::from_std(socket).unwrap(), served.server.bound().udp[0])
    }

    async fn on_stream(served: &Served) -> Self {
        Self::Stream(TcpStream::connect(served.server.bound().tcp[0]).await.unwrap(), Box::default())
    }

    async fn send(&mut self, bytes: &[u8]) {
        match self {
            Self::Datagrams(socket, server) => {
                socket.send_to(bytes, *server).await.unwrap();
            }
            Self::Stream(stream, _) => stream.write_all(bytes).await.unwrap(),
        }
    }

    /// The next message that is no 100; `None` when the stream is closed.
    async fn receive(&mut self) -> Option<Message> {
        loop {
            let bytes = timeout(PATIENCE, self.next()).await.expect("something comes")?;
            let message = readable(&bytes).expect("the server writes what can be read");
            if message.status() != 100 {
                return Some(message);
            }
        }
    }

    async fn next(&mut self) -> Option<Bytes> {
        match self {
            Self::Datagrams(socket, _) => {
                let mut buffer = vec![0; 65_535];
                let length = socket.recv(&mut buffer).await.unwrap();
                Some(Bytes::copy_from_slice(&buffer[..length]))
            }
            Self::Stream(stream, framer) => loop {
                if let Some(Framed::Message(bytes)) = framer.next_framed().unwrap() {
                    return Some(bytes);
                }
                if stream.read_buf(framer.buffer()).await.unwrap_or(0) == 0 {
                    return None;
                }
            },
        }
    }

    /// The answer to a call.
    async fn answer(&mut self, call_id: &str) -> Message {
        loop {
            let message = self.receive().await.expect("the stream is open");
            if message.call_id() == call_id {
                return message;
            }
        }
    }

    /// Acknowledges a refusal of an INVITE, so that it does not come again.
    async fn acknowledge(&mut self, sent: &Message, answer: &Message) {
        if sent.method() == "INVITE" && answer.status() >= 300 {
            self.send(&Message::ack(sent, answer).to_bytes()).await;
        }
    }
}

/// The phone of `user`.
struct Phone {
    socket: UdpSocket,
    server: SocketAddr,
}

impl Phone {
    async fn registered(served: &Served) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let phone = Self { socket, server: served.server.bound().udp[0] };
        let at = phone.socket.local_addr().unwrap();
        let user = format!("<sip:{}@{TORTURED}>", ACCOUNTS[0]);
        let mut request = Message::request("REGISTER", &format!("sip:{TORTURED}"));
        request.push(Name::Via, &format!("SIP/2.0/UDP {at};branch=z9hG4bKphone"));
        request.push(Name::From, &format!("{user};tag=1"));
        request.push(Name::To, &user);
        request.push(Name::CallId, "phone");
        request.push(Name::CSeq, "1 REGISTER");
        request.push(Name::Contact, &format!("<sip:{}@{at}>", ACCOUNTS[0]));
        phone.send(&request).await;
        let challenge = phone.receive("phone").await;
        phone.send(&proved(request, &challenge)).await;
        let bound = phone.receive("phone").await;
        assert_eq!((bound.status(), bound.reason()), (200, "OK"));
        phone
    }

    async fn send(&self, message: &Message) {
        self.socket.send_to(&message.to_bytes(), self.server).await.unwrap();
    }

    async fn receive(&self, call_id: &str) -> Message {
        let mut buffer = vec![0; 65_535];
        loop {
            let length =
                timeout(PATIENCE, self.socket.recv(&mut buffer)).await.expect("something comes").unwrap();
            let message = Message::parse(Bytes::copy_from_slice(&buffer[..length])).unwrap();
            if message.call_id() == call_id && message.method() != "ACK" {
                return message;
            }
        }
    }

    async fn respond(&self, request: &Message, status: u16) {
        self.send(&Message::response(request, status, "")).await;
    }
}

/// What a proxy adds, changes or takes off (RFC 3261 §16.6, RFC 4028 §8.1, RFC 5393 §5.3.3).
const OURS: [Name; 8] = [
    Name::Via,
    Name::MaxForwards,
    Name::MaxBreadth,
    Name::SessionExpires,
    Name::MinSe,
    Name::Route,
    Name::RecordRoute,
    Name::ContentLength,
];
/// The domain that most of the messages are about.
const TORTURED: &str = "example.com";
/// Users of it who are in the messages; the first has a phone.
const ACCOUNTS: [&str; 3] = ["user", "j.user", "watson"];
/// Call-ID of the OPTIONS that asks whether the server still serves.
const ALIVE: &str = "alive@alive.example.net";
/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(10);
