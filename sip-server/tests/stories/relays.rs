//! Calls that a relay carries: a node that speaks the ng protocol, and calls that go on when none does.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::common::{DOMAIN, PASSWORD, PATIENCE, Phone, Served, serve_with};
use sip_core::Message;
use sip_core::header::Name;
use sip_server::{Config, RelayConfig, Relayed};
use tokio::net::UdpSocket;

/// A node that puts its own address into what it is shown; of each command the first datagram is lost.
struct Node {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
    /// It takes no offer.
    refuses: Arc<AtomicBool>,
}

impl Node {
    async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let node =
            Self { address: socket.local_addr().unwrap(), heard: Arc::default(), refuses: Arc::default() };
        let (heard, refuses) = (Arc::clone(&node.heard), Arc::clone(&node.refuses));
        tokio::spawn(async move {
            let (mut buffer, mut lost) = (vec![0; 65_535], Vec::new());
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                let (cookie, command) = text.split_once(' ').unwrap();
                if !lost.contains(&cookie.to_owned()) {
                    lost.push(cookie.to_owned());
                    continue;
                }
                heard.lock().unwrap().push(command.to_owned());
                let sdp = field(command, "sdp").map_or(String::new(), |sdp| {
                    let sdp = sdp.replace("10.0.0.1", "192.0.2.50").replace("127.0.0.1", "192.0.2.50");
                    format!("3:sdp{}:{sdp}", sdp.len())
                });
                let is_refused = refuses.load(Ordering::Relaxed);
                let result = if is_refused { "5:error".to_owned() } else { format!("2:ok{sdp}") };
                let answer = format!("{cookie} d6:result{result}e");
                socket.send_to(answer.as_bytes(), from).await.unwrap();
            }
        });
        node
    }

    /// The next that is asked.
    async fn next(&self) -> (String, Option<String>, Option<String>) {
        let begin = Instant::now();
        while self.heard.lock().unwrap().is_empty() {
            assert!(begin.elapsed() < PATIENCE, "nothing is asked");
            tokio::task::yield_now().await;
        }
        let first = self.heard.lock().unwrap().remove(0);
        told(&first)
    }

    /// What was asked since the last time: the command, and the tags of who offers and who answers.
    fn take(&self) -> Vec<(String, Option<String>, Option<String>)> {
        let heard = std::mem::take(&mut *self.heard.lock().unwrap());
        heard.iter().map(|one| told(one)).collect()
    }
}

/// A command, and the tags of who offers and who answers.
fn told(command: &str) -> (String, Option<String>, Option<String>) {
    let [what, from, to] = ["command", "from-tag", "to-tag"].map(|name| field(command, name));
    (what.unwrap(), from, to)
}

/// A text of a dictionary.
fn field(dictionary: &str, name: &str) -> Option<String> {
    let (_, rest) = dictionary.split_once(&format!("{}:{name}", name.len()))?;
    let (length, rest) = rest.split_once(':')?;
    Some(rest[..length.parse::<usize>().ok()?].to_owned())
}

async fn serve(nodes: Vec<SocketAddr>) -> Served {
    let timeout = Duration::from_millis(200);
    let rtpengine = RelayConfig { nodes, timeout, calls: Relayed::Nat };
    serve_with(Config { rtpengine, ..Config::default() }).await
}

fn sdp(ip: &str) -> String {
    format!("v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n")
}

fn with(mut message: Message, ip: &str) -> Message {
    message.set_body("application/sdp", sdp(ip).into());
    message
}

fn ip_in(message: &Message) -> String {
    let text = String::from_utf8_lossy(message.body()).into_owned();
    text.lines().find_map(|line| line.strip_prefix("c=IN IP4 ")).unwrap_or_default().to_owned()
}

fn answered(phone: &Phone, request: &Message, ip: &str) -> Message {
    responded(phone, request, 200, ip)
}

fn responded(phone: &Phone, request: &Message, status: u16, ip: &str) -> Message {
    let mut response = Message::response(request, status, "");
    response.ensure_to_tag(&format!("{}tag", phone.name));
    request.values(Name::RecordRoute).for_each(|route| response.push(Name::RecordRoute, route));
    response.push(Name::Contact, &format!("<{}>", phone.contact()));
    with(response, ip)
}

fn in_dialog(sent: &Message, ok: &Message, method: &str, number: u32) -> Message {
    let mut request = Message::request(method, ok.value(Name::Contact).unwrap().trim_matches(['<', '>']));
    let via = sent.value(Name::Via).unwrap().replace("z9hG4bK", &format!("z9hG4bK{method}{number}"));
    request.push(Name::Via, &via);
    let mut routes: Vec<&str> = ok.elements(Name::RecordRoute).collect();
    routes.reverse();
    request.push(Name::Route, &routes.join(", "));
    request.push(Name::From, sent.value(Name::From).unwrap());
    request.push(Name::To, ok.value(Name::To).unwrap());
    request.push(Name::CallId, sent.call_id());
    request.push(Name::CSeq, &format!("{number} {method}"));
    request.push(Name::Contact, sent.value(Name::Contact).unwrap());
    request
}

/// Alice calls bob; what he got, what she got, and what she sent.
async fn call(alice: &Phone, bob: &Phone, offer: Option<&str>, answer: &str) -> (Message, Message, Message) {
    let uri = format!("sip:bob@{DOMAIN}");
    let mut invite = alice.request("INVITE", &uri, &uri);
    if let Some(ip) = offer {
        invite = with(invite, ip);
    }
    let asked = async { alice.ask_with(invite, PASSWORD).await };
    let taken = async {
        let incoming = bob.expect("INVITE").await;
        bob.send(&answered(bob, &incoming, answer)).await;
        incoming
    };
    let ((ok, sent), incoming) = tokio::join!(asked, taken);
    assert_eq!(ok.status(), 200);
    (incoming, ok, sent)
}

#[tokio::test]
async fn a_call_from_behind_a_nat_goes_through_a_relay_until_it_is_over() {
    let (silent, node) = (UdpSocket::bind("127.0.0.1:0").await.unwrap(), Node::start().await);
    let served = serve(vec![silent.local_addr().unwrap(), node.address]).await;
    let (alice, bob) = (Phone::new("alice", &served).await, Phone::registered("bob", &served).await);
    let (incoming, ok, sent) = call(&alice, &bob, Some("10.0.0.1"), "127.0.0.1").await;
    assert_eq!((ip_in(&incoming), ip_in(&ok)), ("192.0.2.50".to_owned(), "192.0.2.50".to_owned()));
    let hers = sent.from_tag().map(str::to_owned);
    let his = ok.to_tag().map(str::to_owned);
    let said =
        |what: &str, from: &Option<String>, to: &Option<String>| (what.to_owned(), from.clone(), to.clone());
    assert_eq!(node.take(), [said("offer", &hers, &None), said("answer", &hers, &his)]);
    alice.send(&in_dialog(&sent, &ok, "ACK", sent.cseq().unwrap().0)).await;
    bob.expect("ACK").await;

    // A new offer of the call goes through the same node, whatever it says.
    alice.send(&with(in_dialog(&sent, &ok, "INVITE", 8_000), "127.0.0.1")).await;
    let again = bob.expect("INVITE").await;
    assert_eq!(ip_in(&again), "192.0.2.50");
    bob.send(&answered(&bob, &again, "127.0.0.1")).await;
    assert_eq!(ip_in(&alice.expect("200").await), "192.0.2.50");
    assert_eq!(node.take(), [said("offer", &hers, &his), said("answer", &hers, &his)]);
    alice.send(&in_dialog(&sent, &ok, "ACK", 8_000)).await;
    bob.expect("ACK").await;

    alice.send(&in_dialog(&sent, &ok, "BYE", 9_000)).await;
    let bye = bob.expect("BYE").await;
    bob.respond(&bye, 200).await;
    alice.expect("200").await;
    assert_eq!(node.next().await, said("delete", &None, &None));

    // Who is where they say needs none.
    let (incoming, ok, _) = call(&alice, &bob, Some("127.0.0.1"), "127.0.0.1").await;
    assert_eq!(
        (ip_in(&incoming), ip_in(&ok), node.take().len()),
        ("127.0.0.1".into(), "127.0.0.1".into(), 0)
    );
}

#[tokio::test]
async fn an_offer_in_the_answer_is_answered_in_the_ack() {
    let node = Node::start().await;
    let rtpengine =
        RelayConfig { nodes: vec![node.address], calls: Relayed::All, timeout: Duration::from_millis(200) };
    let served = serve_with(Config { rtpengine, ..Config::default() }).await;
    let (alice, bob) = (Phone::new("alice", &served).await, Phone::registered("bob", &served).await);
    let (_, ok, sent) = call(&alice, &bob, None, "127.0.0.1").await;
    assert_eq!(ip_in(&ok), "192.0.2.50");
    alice.send(&with(in_dialog(&sent, &ok, "ACK", sent.cseq().unwrap().0), "10.0.0.1")).await;
    assert_eq!(ip_in(&bob.expect("ACK").await), "192.0.2.50");
    let (hers, his) = (sent.from_tag().map(str::to_owned), ok.to_tag().map(str::to_owned));
    let expected = [("offer", &his, &hers), ("answer", &his, &hers)];
    assert_eq!(node.take(), expected.map(|(what, from, to)| (what.to_owned(), from.clone(), to.clone())));
}

#[tokio::test]
async fn who_offers_in_an_answer_from_behind_a_nat_is_relayed() {
    let node = Node::start().await;
    let served = serve(vec![node.address]).await;
    let (alice, bob) = (Phone::new("alice", &served).await, Phone::registered("bob", &served).await);
    let (_, ok, sent) = call(&alice, &bob, None, "10.0.0.1").await;
    assert_eq!(ip_in(&ok), "192.0.2.50");
    alice.send(&with(in_dialog(&sent, &ok, "ACK", sent.cseq().unwrap().0), "127.0.0.1")).await;
    assert_eq!(ip_in(&bob.expect("ACK").await), "192.0.2.50");
    let (_, ok, _) = call(&alice, &bob, None, "127.0.0.1").await;
    assert_eq!(ip_in(&ok), "127.0.0.1", "and who is where they say is not");
}

#[tokio::test]
async fn an_offer_in_a_provisional_answer_is_answered_in_its_prack() {
    let node = Node::start().await;
    let served = serve(vec![node.address]).await;
    let (alice, bob) = (Phone::new("alice", &served).await, Phone::registered("bob", &served).await);
    let uri = format!("sip:bob@{DOMAIN}");
    let early = async {
        let incoming = bob.expect("INVITE").await;
        let early = responded(&bob, &incoming, 183, "10.0.0.1");
        bob.send(&early).await;
    };
    let ((early, sent), ()) =
        tokio::join!(alice.ask_with(alice.request("INVITE", &uri, &uri), PASSWORD), early);
    assert_eq!((early.status(), ip_in(&early)), (183, "192.0.2.50".to_owned()));
    alice.send(&with(in_dialog(&sent, &early, "PRACK", 8_000), "127.0.0.1")).await;
    let prack = bob.expect("PRACK").await;
    assert_eq!(ip_in(&prack), "192.0.2.50");
    bob.respond(&prack, 200).await;
    // The next offers anew.
    alice.send(&with(in_dialog(&sent, &early, "PRACK", 8_001), "127.0.0.1")).await;
    assert_eq!(ip_in(&bob.expect("PRACK").await), "192.0.2.50");
    let asked: Vec<String> = node.take().into_iter().map(|(what, ..)| what).collect();
    assert_eq!(asked, ["offer", "answer", "offer"]);
}

#[tokio::test]
async fn a_call_that_nobody_takes_leaves_nothing_at_the_relay() {
    let node = Node::start().await;
    let served = serve(vec![node.address]).await;
    let (alice, bob) = (Phone::new("alice", &served).await, Phone::registered("bob", &served).await);
    let uri = format!("sip:bob@{DOMAIN}");
    let invite = with(alice.request("INVITE", &uri, &uri), "10.0.0.1");
    let refused = async {
        let incoming = bob.expect("INVITE").await;
        bob.respond(&incoming, 486).await;
    };
    let (answer, ()) = tokio::join!(alice.ask(invite, PASSWORD), refused);
    assert_eq!(answer.status(), 486);
    assert_eq!((node.next().await.0, node.next().await.0), ("offer".to_owned(), "delete".to_owned()));
}

#[tokio::test]
async fn whoever_answers_too_late_moves_nothing_at_the_relay() {
    let node = Node::start().await;
    let served = serve(vec![node.address]).await;
    let (alice, desk) = (Phone::new("alice", &served).await, Phone::registered("bob", &served).await);
    let mobile = Phone::registered("bob", &served).await;
    let uri = format!("sip:bob@{DOMAIN}");
    let invite = with(alice.request("INVITE", &uri, &uri), "10.0.0.1");
    let story = async {
        let (at_desk, at_mobile) = (desk.expect("INVITE").await, mobile.expect("INVITE").await);
        mobile.send(&answered(&mobile, &at_mobile, "127.0.0.1")).await;
        at_desk
    };
    let (ok, at_desk) = tokio::join!(alice.ask(invite, PASSWORD), story);
    assert_eq!(ip_in(&ok), "192.0.2.50");
    assert_eq!((node.next().await.0, node.next().await.0), ("offer".to_owned(), "answer".to_owned()));
    desk.send(&responded(&desk, &at_desk, 183, "127.0.0.1")).await;
    desk.send(&answered(&desk, &at_desk, "127.0.0.1")).await;
    let other = alice.expect("200").await;
    assert_ne!(other.to_tag(), ok.to_tag());
    assert_eq!(ip_in(&other), "127.0.0.1");
    assert_eq!(node.take().len(), 0);
}

#[tokio::test]
async fn whose_offer_went_without_a_relay_answers_without() {
    let node = Node::start().await;
    let served = serve(vec![node.address]).await;
    let (alice, behind) = (Phone::new("alice", &served).await, Phone::new("bob", &served).await);
    let mut register = behind.request("REGISTER", &format!("sip:{DOMAIN}"), &format!("sip:bob@{DOMAIN}"));
    register.set(Name::Contact, "<sip:bob@10.0.0.1:5060>");
    assert_eq!(behind.ask(register, PASSWORD).await.status(), 200);
    // Who registered last is rung first, when nothing asks for a relay yet; times are told in milliseconds.
    tokio::time::sleep(Duration::from_millis(5)).await;
    let desk = Phone::registered("bob", &served).await;
    let uri = format!("sip:bob@{DOMAIN}");
    let invite = with(alice.request("INVITE", &uri, &uri), "127.0.0.1");
    let story = async {
        let (at_desk, at_behind) = (desk.expect("INVITE").await, behind.expect("INVITE").await);
        desk.send(&answered(&desk, &at_desk, "127.0.0.1")).await;
        (ip_in(&at_desk), ip_in(&at_behind))
    };
    let (ok, seen) = tokio::join!(alice.ask(invite, PASSWORD), story);
    assert_eq!(seen, ("127.0.0.1".to_owned(), "192.0.2.50".to_owned()));
    assert_eq!(ip_in(&ok), "127.0.0.1");
    assert_eq!(node.next().await.0, "offer");
    assert_eq!(node.take().len(), 0);
}

#[tokio::test]
async fn what_no_relay_takes_leaves_a_call_as_it_was() {
    let node = Node::start().await;
    let served = serve(vec![node.address]).await;
    let (alice, bob) = (Phone::new("alice", &served).await, Phone::registered("bob", &served).await);
    let (_, ok, sent) = call(&alice, &bob, Some("10.0.0.1"), "127.0.0.1").await;
    alice.send(&in_dialog(&sent, &ok, "ACK", sent.cseq().unwrap().0)).await;
    bob.expect("ACK").await;
    node.refuses.store(true, Ordering::Relaxed);
    alice.send(&with(in_dialog(&sent, &ok, "INVITE", 8_000), "10.0.0.1")).await;
    let refused = alice.expect("500").await;
    assert_eq!(refused.value(Name::RetryAfter), Some("5"));
    node.refuses.store(false, Ordering::Relaxed);
    alice.send(&with(in_dialog(&sent, &ok, "INVITE", 8_001), "10.0.0.1")).await;
    assert_eq!(ip_in(&bob.expect("INVITE").await), "192.0.2.50");
}

#[tokio::test]
async fn a_relay_that_refuses_is_followed_by_the_next() {
    let (full, node) = (Node::start().await, Node::start().await);
    full.refuses.store(true, Ordering::Relaxed);
    let served = serve(vec![full.address, node.address]).await;
    let (alice, bob) = (Phone::new("alice", &served).await, Phone::registered("bob", &served).await);
    // Calls are shared: one of several begins at the first.
    while full.take().is_empty() {
        let (incoming, ok, _) = call(&alice, &bob, Some("10.0.0.1"), "127.0.0.1").await;
        assert_eq!((ip_in(&incoming), ip_in(&ok)), ("192.0.2.50".to_owned(), "192.0.2.50".to_owned()));
    }
}

#[tokio::test]
async fn without_a_relay_calls_go_on_as_they_came() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let served = serve(vec![silent.local_addr().unwrap()]).await;
    let (alice, bob) = (Phone::new("alice", &served).await, Phone::registered("bob", &served).await);
    let begin = Instant::now();
    let (incoming, ok, _) = call(&alice, &bob, Some("10.0.0.1"), "127.0.0.1").await;
    assert_eq!((ip_in(&incoming), ip_in(&ok)), ("10.0.0.1".to_owned(), "127.0.0.1".to_owned()));
    assert!(begin.elapsed() < PATIENCE / 4, "{:?}", begin.elapsed());
}
