//! Sessions that load an XMPP server, ours or another: they log in by SCRAM-SHA-1, and then chat, confer or wait.
//!
//! ```text
//! load ADDRESS DOMAIN tls|plain login    N          N sessions one after another, each with roster and presence
//! load ADDRESS DOMAIN tls|plain messages N RATE     N messages between 25 pairs, RATE a second; 0: as fast as they go
//! load ADDRESS DOMAIN tls|plain room     N OCCUPANTS  N messages of one occupant to all
//! load ADDRESS DOMAIN tls|plain idle     N          N sessions that wait until standard input ends
//! load ADDRESS DOMAIN tls|plain forward  FOLDER     the floor: what stands there in the place of a server
//! ```
//!
//! Prints `ready`, works when a line comes on standard input, and prints one line of JSON: `units` done, `seconds`, and
//! the `p50` and `p99` of the way of a message in milliseconds. `run.py` starts the servers and reads their CPU time.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a program of the tests")]

use std::io::BufRead;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::pki_types::ServerName;
use shared_runtime::tls::judge;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

mod forwarder;

const PASSWORD: &str = "correct-horse-battery";
/// Accounts `user0`, `user1`, … that each server has.
const ACCOUNTS: usize = 100;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let [address, domain, security, what, numbers @ ..] = words.as_slice() else {
        return; // a run of all benches, which means the others
    };
    rustls::crypto::aws_lc_rs::default_provider().install_default().unwrap();
    let at = At { address: address.clone(), domain: domain.clone(), is_tls: security == "tls" };
    if let ("forward", [folder]) = (what.as_str(), numbers) {
        let (certificate, key) =
            (Path::new(folder).join("certificate.pem"), Path::new(folder).join("key.pem"));
        return forwarder::forward(&at.address, at.is_tls.then_some((&certificate, &key)));
    }
    let numbers: Vec<usize> = numbers.iter().map(|number| number.parse().unwrap()).collect();
    tokio::runtime::Runtime::new().unwrap().block_on(load(&at, what, &numbers));
}

async fn load(at: &At, what: &str, numbers: &[usize]) {
    match (what, numbers) {
        ("login", [sessions]) => login(at, *sessions).await,
        ("messages", [messages, rate]) => messages_of_pairs(at, *messages, *rate).await,
        ("room", [messages, occupants]) => room(at, *messages, *occupants).await,
        ("idle", [sessions]) => idle(at, *sessions).await,
        other => panic!("{other:?}"),
    }
}

/// Where the server is.
#[derive(Clone)]
struct At {
    address: String,
    domain: String,
    is_tls: bool,
}

async fn login(at: &At, sessions: usize) {
    ready();
    let begun = Instant::now();
    for number in 0..sessions {
        let mut session = Session::open(at, number % ACCOUNTS, "login").await;
        session.ask("<query xmlns='jabber:iq:roster'/>").await;
        session.send("<presence/>").await;
        session.until("<presence").await;
        session.send("</stream:stream>").await;
    }
    done(sessions, begun, Vec::new());
}

/// Each message says when it was sent, so that its receiver knows how long it took.
async fn messages_of_pairs(at: &At, messages: usize, rate: usize) {
    const PAIRS: usize = 25;
    let (heard, mut times) = mpsc::unbounded_channel();
    let epoch = Instant::now();
    let mut senders = Vec::new();
    for pair in 0..PAIRS {
        let mut receiver = Session::open(at, 2 * pair + 1, "r").await;
        receiver.send("<presence/>").await;
        receiver.until("<presence").await;
        let to = receiver.jid.clone();
        let (sender, told) = (Session::open(at, 2 * pair, "s").await, heard.clone());
        tokio::spawn(async move { receiver.hear(epoch, told).await });
        senders.push((sender, to));
    }
    ready();
    let begun = Instant::now();
    let each = messages / PAIRS;
    for (number, (mut sender, to)) in senders.into_iter().enumerate() {
        tokio::spawn(async move {
            let gap = Duration::from_secs_f64(if rate == 0 { 0.0 } else { PAIRS as f64 / rate as f64 });
            let first = begun + gap.mul_f64(number as f64 / PAIRS as f64);
            for message in 0..each {
                if rate > 0 {
                    tokio::time::sleep_until((first + gap.mul_f64(message as f64)).into()).await;
                }
                let sent = epoch.elapsed().as_micros();
                let text =
                    format!("at={sent};and some more words, as people write them to each other all day long");
                sender
                    .send(&format!(
                        "<message to='{to}' type='chat' id='m{message}'><body>{text}</body></message>"
                    ))
                    .await;
            }
            sender.linger().await;
        });
    }
    let mut took = Vec::new();
    while took.len() < each * PAIRS {
        match tokio::time::timeout(Duration::from_secs(20), times.recv()).await {
            Ok(Some(time)) => took.push(time),
            _ => break,
        }
    }
    done(took.len(), begun, took);
}

async fn room(at: &At, messages: usize, occupants: usize) {
    let (heard, mut times) = mpsc::unbounded_channel();
    let epoch = Instant::now();
    let room = format!("load{}@conference.{}", std::process::id(), at.domain);
    let mut speaker = None;
    for number in 0..occupants {
        let mut session = Session::open(at, number % ACCOUNTS, &format!("room{number}")).await;
        let enter = "<x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x>";
        session.send(&format!("<presence to='{room}/n{number}'>{enter}</presence>")).await;
        session.until("<subject").await;
        if number == 0 {
            let form = "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query>";
            session.send(&format!("<iq type='set' id='own' to='{room}'>{form}</iq>")).await;
            session.until("id='own'").await;
            speaker = Some(session);
        } else {
            let told = heard.clone();
            tokio::spawn(async move { session.hear(epoch, told).await });
        }
    }
    let (mut speaker, units) = (speaker.unwrap(), messages * (occupants - 1));
    ready();
    let begun = Instant::now();
    let mut took = Vec::with_capacity(units);
    for message in 0..messages {
        let text =
            format!("at={};something that everybody in the room should know", epoch.elapsed().as_micros());
        speaker
            .send(&format!(
                "<message to='{room}' type='groupchat' id='m{message}'><body>{text}</body></message>"
            ))
            .await;
        // One after another: what is measured is the way of one message to all.
        while took.len() < (message + 1) * (occupants - 1) {
            match tokio::time::timeout(Duration::from_secs(20), times.recv()).await {
                Ok(Some(time)) => took.push(time),
                _ => return done(took.len(), begun, took),
            }
        }
    }
    done(took.len(), begun, took);
}

async fn idle(at: &At, sessions: usize) {
    let begun = Instant::now();
    let mut waiting = Vec::with_capacity(sessions);
    for number in 0..sessions {
        waiting.push(Session::open(at, number % ACCOUNTS, &format!("idle{number}")).await);
    }
    done(waiting.len(), begun, Vec::new());
    ready(); // ends when standard input does
}

/// Says that all is in place, and waits for the word to begin.
fn ready() {
    println!("ready");
    let _ = std::io::stdin().lock().read_line(&mut String::new()); // a closed input is a word, too
}

fn done(units: usize, begun: Instant, mut took: Vec<Duration>) {
    took.sort();
    let part = |share: usize| took.get(took.len() * share / 100).map_or(0.0, |time| time.as_secs_f64() * 1e3);
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{{\"units\": {units}, \"seconds\": {seconds:.3}, \"p50\": {:.3}, \"p99\": {:.3}}}",
        part(50),
        part(99)
    );
}

/// One stream with a bound resource.
struct Session {
    reader: Box<dyn AsyncRead + Send + Unpin>,
    writer: Box<dyn AsyncWrite + Send + Unpin>,
    /// What came and was not looked at.
    text: String,
    jid: String,
    asked: usize,
}

impl Session {
    async fn open(at: &At, account: usize, resource: &str) -> Self {
        let socket = TcpStream::connect(&at.address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        let mut session = Self::over(socket);
        let header = format!(
            "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='{}' version='1.0'>",
            at.domain
        );
        if at.is_tls {
            session.send(&header).await;
            session.until("</stream:features>").await;
            session.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").await;
            session.until("<proceed").await;
            let Self { reader, writer, .. } = session;
            let name = ServerName::try_from(at.domain.clone()).unwrap();
            let stream = connector().connect(name, tokio::io::join(reader, writer)).await.unwrap();
            session = Self::over(stream);
        }
        session.send(&header).await;
        session.until("</stream:features>").await;
        session.prove(&format!("user{account}")).await;
        session.send(&header).await;
        session.until("</stream:features>").await;
        let bind =
            format!("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{resource}</resource></bind>");
        let bound = session.ask(&bind).await;
        session.jid = between(&bound, "<jid>", "</jid>").to_owned();
        session
    }

    fn over(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let (reader, writer): (ReadHalf<_>, WriteHalf<_>) = tokio::io::split(stream);
        let (reader, writer) = (Box::new(reader), Box::new(writer));
        Self { reader, writer, text: String::new(), jid: String::new(), asked: 0 }
    }

    /// SCRAM-SHA-1 (RFC 5802).
    async fn prove(&mut self, user: &str) {
        const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
        let bare = format!("n={user},r=fyko+d2lbbFgONRv9qkxdawL");
        let first = BASE64.encode(format!("n,,{bare}"));
        self.send(&format!("<auth xmlns='{SASL}' mechanism='SCRAM-SHA-1'>{first}</auth>")).await;
        let challenge = self.until("</challenge>").await;
        let challenge = challenge.split('>').nth_back(1).unwrap().split('<').next().unwrap();
        let server = String::from_utf8(BASE64.decode(challenge).unwrap()).unwrap();
        let part = |name: &str| {
            server.split(',').find_map(|part| part.strip_prefix(name)).unwrap_or_else(|| panic!("{server}"))
        };
        let (salt, rounds) = (BASE64.decode(part("s=")).unwrap(), part("i=").parse().unwrap());
        let mut salted = [0; 20];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA1, rounds, &salt, PASSWORD.as_bytes(), &mut salted);
        let sign = |key: &[u8], text: &[u8]| {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key), text)
        };
        let client = sign(&salted, b"Client Key");
        let stored = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, client.as_ref());
        let without_proof = format!("c=biws,r={}", part("r="));
        let signature = sign(stored.as_ref(), format!("{bare},{server},{without_proof}").as_bytes());
        let proof: Vec<u8> =
            client.as_ref().iter().zip(signature.as_ref()).map(|(one, other)| one ^ other).collect();
        let last = BASE64.encode(format!("{without_proof},p={}", BASE64.encode(proof)));
        self.send(&format!("<response xmlns='{SASL}'>{last}</response>")).await;
        self.until("<success").await;
        self.until(">").await;
        if !self.text.is_empty() {
            self.until("</success>").await;
        }
        self.text.clear();
    }

    async fn send(&mut self, text: &str) {
        self.writer.write_all(text.as_bytes()).await.unwrap();
        self.writer.flush().await.unwrap();
    }

    async fn ask(&mut self, payload: &str) -> String {
        self.asked += 1;
        let kind = if payload.contains("xmpp-bind") { "set" } else { "get" };
        let id = format!("a{}", self.asked);
        self.send(&format!("<iq type='{kind}' id='{id}'>{payload}</iq>")).await;
        loop {
            let answer = self.until("</iq>").await;
            if answer.contains(&id) {
                return answer;
            }
        }
    }

    /// Reads until these words came; what came up to their end.
    async fn until(&mut self, words: &str) -> String {
        loop {
            // Servers quote attributes in one of two ways.
            let found = [words.to_owned(), words.replace('\'', "\"")]
                .iter()
                .find_map(|words| self.text.find(words.as_str()).map(|at| at + words.len()));
            if let Some(end) = found {
                let rest = self.text.split_off(end);
                return std::mem::replace(&mut self.text, rest);
            }
            let reading = tokio::time::timeout(Duration::from_secs(20), self.more());
            assert!(reading.await.is_ok(), "no {words} in {}", self.text);
        }
    }

    async fn more(&mut self) {
        let mut bytes = [0; 16 * 1024];
        let length = self.reader.read(&mut bytes).await.unwrap();
        assert!(length > 0, "the server closed: {}", self.text);
        self.text.push_str(&String::from_utf8_lossy(&bytes[..length]));
    }

    /// Tells of each message that says when it was sent how long it took, until the stream ends.
    async fn hear(mut self, epoch: Instant, told: mpsc::UnboundedSender<Duration>) {
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = self.reader.read(&mut bytes).await {
            let now = epoch.elapsed();
            self.text.push_str(&String::from_utf8_lossy(&bytes[..length]));
            while let Some(at) = self.text.find("<body>at=") {
                let rest = &self.text[at + 9..];
                let Some(end) = rest.find(';') else { break };
                let sent = Duration::from_micros(rest[..end].parse().unwrap());
                let _ = told.send(now.saturating_sub(sent)); // nobody counts any more
                self.text.drain(..at + 9 + end);
            }
            // What is left is the beginning of one message at most.
            let keep = self.text.len().saturating_sub(2_048);
            let keep = (keep..self.text.len()).find(|at| self.text.is_char_boundary(*at)).unwrap_or(0);
            self.text.drain(..keep);
        }
    }

    /// Reads on, so that the server is not held up.
    async fn linger(mut self) {
        let mut bytes = [0; 4_096];
        while matches!(self.reader.read(&mut bytes).await, Ok(1..)) {}
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    text.split_once(before).and_then(|(_, rest)| rest.split_once(after)).unwrap_or_else(|| panic!("{text}")).0
}

/// What is measured is the server; whose certificate it is does not matter.
fn connector() -> tokio_rustls::TlsConnector {
    let config = rustls::ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(judge::of_servers(|_, _| Ok(())));
    tokio_rustls::TlsConnector::from(Arc::new(config.with_no_client_auth()))
}
