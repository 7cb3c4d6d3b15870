//! Clients that vanish and leave their connection open — XEP-0198 §4, XEP-0199 §4.2: they are noticed, what they did not get is
//! not lost, and who is merely slow stays.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep};
use xmpp_server::Config;

use crate::common::{Client, DOMAIN, PASSWORD, Served, befriend, serve_with};
use shared_store::Store;

/// Asks soon where something waits, and never for silence alone.
fn prompt() -> Config {
    Config { ack_timeout: Duration::from_millis(400), idle_timeout: Duration::ZERO, ..Config::default() }
}

/// Asks soon who is silent.
fn curious() -> Config {
    Config { idle_timeout: Duration::from_millis(200), ..prompt() }
}

fn message(to: &str, body: &str) -> String {
    format!("<message type='chat' to='{to}@example.org'><body>{body}</body></message>")
}

fn metric(served: &Served, name: &str) -> f64 {
    let families = served.registry.gather();
    let family = families.iter().find(|family| family.name() == name).unwrap();
    let metric = &family.get_metric()[0];
    metric.get_counter().get_value() + metric.get_gauge().get_value()
}

#[tokio::test]
async fn who_does_not_ack_is_resumed_on_another_connection() {
    let served = serve_with(prompt(), Store::in_memory()).await;
    let mut bob = Client::online(&served, "bob", "b").await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let id = alice.manage().await;
    bob.send(&message("alice", "one")).await;
    alice.expect(&["one"]).await;
    alice.expect(&["<r "]).await;
    // Something on the way keeps the line warm, and nobody is there any more.
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(300) {
        alice.send(" ").await;
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(alice.next().await, None, "whitespace is no answer");
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(metric(&served, "xmpp_server_silent_clients_total"), 1.0);
    assert_eq!(metric(&served, "xmpp_server_detached_sessions"), 1.0);
    bob.send(&message("alice", "two")).await;
    bob.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
    let (mut alice, answer) = Client::resume(&served, "alice", &id, 0).await;
    assert!(answer.contains("<resumed"), "{answer}");
    assert!(alice.stanza().await.unwrap().contains("one"));
    assert!(alice.stanza().await.unwrap().contains("two"));
    alice.expect(&["<r "]).await;
    alice.send("<a xmlns='urn:xmpp:sm:3' h='2'/>").await;
    sleep(Duration::from_millis(700)).await;
    alice.expect_nothing().await;
}

#[tokio::test]
async fn who_is_silent_is_asked_and_stays_while_it_answers() {
    let served = serve_with(curious(), Store::in_memory()).await;
    let mut managed = Client::online(&served, "alice", "a").await;
    managed.manage().await;
    let mut plain = Client::login(&served, "bob", "b").await;
    for _ in 0..4 {
        managed.expect(&["<r "]).await;
        managed.send("<a xmlns='urn:xmpp:sm:3' h='0'/>").await;
        let ping = plain.expect(&["<iq", "type='get'", "urn:xmpp:ping", "to='bob@example.org/b'"]).await;
        let id = crate::common::attribute(&ping, "iq", "id");
        plain.send(&format!("<iq type='result' to='{DOMAIN}' id='{id}'/>")).await;
    }
    assert_eq!(metric(&served, "xmpp_server_silent_clients_total"), 0.0);
    managed.expect(&["<r "]).await;
    assert_eq!(managed.next().await, None);
    plain.expect_stream_error("connection-timeout").await;
    assert_eq!(metric(&served, "xmpp_server_silent_clients_total"), 2.0);
}

#[tokio::test]
async fn contacts_learn_that_a_client_without_management_is_gone() {
    let served = serve_with(curious(), Store::in_memory()).await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    befriend(&mut alice, &mut bob).await;
    loop {
        let heard = bob.next().await.expect("bob answers, and stays");
        if heard.contains("type='unavailable'") {
            assert!(heard.contains("alice@example.org/a"), "{heard}");
            break;
        }
        if heard.contains("urn:xmpp:ping") {
            let id = crate::common::attribute(&heard, "iq", "id");
            bob.send(&format!("<iq type='result' to='{DOMAIN}' id='{id}'/>")).await;
        }
    }
}

/// A connection whose system takes little before its program reads.
async fn narrow(served: &Served) -> Client {
    Client::over(served, narrow_socket(served).await)
}

async fn narrow_socket(served: &Served) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    socket.connect(served.server.c2s()[0]).await.unwrap()
}

#[tokio::test]
async fn what_a_client_that_stopped_reading_did_not_get_waits_for_it() {
    let served = serve_with(prompt(), Store::in_memory()).await;
    let mut bob = Client::online(&served, "bob", "b").await;
    let mut alice = narrow(&served).await;
    alice.authenticate("alice", PASSWORD).await;
    alice.bind("a").await;
    alice.send("<presence/>").await;
    alice.expect(&["<presence"]).await;
    let long = "x".repeat(100_000);
    // More than the systems between them hold.
    for n in 0..200 {
        bob.send(&message("alice", &format!("{n} {long}"))).await;
    }
    bob.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
    let began = Instant::now();
    while metric(&served, "xmpp_server_sessions") > 1.0 {
        assert!(began.elapsed() < Duration::from_secs(20), "the session goes on");
        sleep(Duration::from_millis(20)).await;
    }
    drop(alice);
    bob.send(&message("alice", "last")).await;
    bob.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
    let mut again = Client::login(&served, "alice", "a").await;
    again.send("<presence/>").await;
    // Some may be on their way to the queue still, so that order is not what is looked at here.
    let (mut numbers, mut has_last) = (BTreeSet::new(), false);
    let is_whole = |numbers: &BTreeSet<u32>| {
        let first = numbers.first().copied().unwrap_or_default();
        numbers.contains(&199) && numbers.len() == 200 - first as usize
    };
    while !has_last || !is_whole(&numbers) {
        let got = again.expect(&["<body>"]).await;
        let body = got.split("<body>").nth(1).unwrap().split([' ', '<']).next().unwrap();
        match body {
            "last" => has_last = true,
            number => assert!(numbers.insert(number.parse().unwrap()), "{number} came twice"),
        }
    }
    again.expect_nothing().await;
}

#[tokio::test]
async fn who_reads_slowly_stays() {
    let served = serve_with(prompt(), Store::in_memory()).await;
    let mut bob = Client::online(&served, "bob", "b").await;
    let socket = narrow_socket(&served).await;
    let (here, mut slow) = tokio::io::duplex(2_048);
    let mut alice = Client::over(&served, here);
    // Between the client and the server: a line of 100 KiB a second.
    tokio::spawn(async move {
        let (mut from, mut to) = socket.into_split();
        let (mut out, mut back) = tokio::io::split(&mut slow);
        let up = async {
            let _ = tokio::io::copy(&mut out, &mut to).await;
        };
        let down = async {
            let mut chunk = [0_u8; 2_048];
            while let Ok(length) = from.read(&mut chunk).await {
                if length == 0 || back.write_all(&chunk[..length]).await.is_err() {
                    break;
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::join!(up, down);
    });
    alice.authenticate("alice", PASSWORD).await;
    alice.bind("a").await;
    alice.send("<presence/>").await;
    alice.expect(&["<presence"]).await;
    alice.manage().await;
    let long = "x".repeat(20_000);
    for n in 0..10 {
        bob.send(&message("alice", &format!("{n} {long}"))).await;
    }
    let (mut handled, began) = (0, Instant::now());
    while handled < 10 {
        let heard = alice.next().await.expect("it stays");
        if heard.contains("<body>") {
            handled += 1;
        } else if heard.starts_with("<r ") {
            alice.send(&format!("<a xmlns='urn:xmpp:sm:3' h='{handled}'/>")).await;
        }
    }
    assert!(began.elapsed() > Duration::from_millis(1_000), "the line is slow: {:?}", began.elapsed());
    assert_eq!(metric(&served, "xmpp_server_silent_clients_total"), 0.0);
}

#[tokio::test]
async fn who_sends_anything_and_counts_nothing_stays() {
    let served = serve_with(curious(), Store::in_memory()).await;
    let mut plain = Client::login(&served, "bob", "b").await;
    let began = Instant::now();
    // Longer than silence and an answer may take together.
    while began.elapsed() < Duration::from_millis(1_500) {
        plain.send(" ").await;
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(metric(&served, "xmpp_server_silent_clients_total"), 0.0);
    plain.expect_stream_error("connection-timeout").await;
}

#[tokio::test]
async fn a_long_stanza_on_a_slow_line_is_something_said() {
    let served = serve_with(prompt(), Store::in_memory()).await;
    let mut bob = Client::online(&served, "bob", "b").await;
    let mut alice = Client::online(&served, "alice", "a").await;
    alice.manage().await;
    bob.send(&message("alice", "one")).await;
    alice.expect(&["<r "]).await;
    // The answer is behind something long.
    let long = message("bob", &"x".repeat(3_000));
    for part in long.as_bytes().chunks(200) {
        alice.send(std::str::from_utf8(part).unwrap()).await;
        sleep(Duration::from_millis(100)).await;
    }
    alice.send("<a xmlns='urn:xmpp:sm:3' h='1'/>").await;
    bob.expect(&["xxx"]).await;
    assert_eq!(metric(&served, "xmpp_server_silent_clients_total"), 0.0);
}
