//! External components — XEP-0114 1.6, section 3: programs beside the server that are domains of their own.
//!
//! In    connections to `xmpp.components`; stanzas for a component's domain.
//! Out   routed stanzas of that domain, to users here and to other domains alike.
//! State who is connected: one stream a name, and its queue.
//! Errors `host-unknown` for a name that is not configured, `not-authorized` for a wrong hash. A new stream of a name ends the
//!        one before it with `conflict`, since that may be dead and not know it. Stanzas for a component that is not there
//!        are answered with `remote-server-timeout`, those that its queue cannot hold with `resource-constraint`.
//! Not here: TLS: components are on this machine, or on a net that may be trusted.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use aws_lc_rs::{constant_time, digest};
use dashmap::DashMap;
use serde::Deserialize;
use shared_model::Spec;
use shared_runtime::config::Key;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout, timeout_at};
use xmpp_core::stream::component::{Component, Request};
use xmpp_core::stream::{CLOSE, StreamCondition, StreamError, print_component_header};
use xmpp_core::xml::{Framer, Limits};
use xmpp_core::{ErrorKind, Jid, Stanza, StanzaError};

use crate::c2s::{Io, WRITE_PATIENCE, close, linger};
use crate::half_open::Place;
use crate::queue::{Sender, Unsent};
use crate::route;
use crate::s2s::{Counted, Queue, Returned, Writer};
use crate::server::{Server, tune};

pub(crate) const SPEC: Spec = Spec::xep(114, "1.6").complete();

/// One of `[[xmpp.component]]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ComponentConfig {
    /// The domain that it is, such as `gateway.example.org`.
    pub domain: String,
    /// A file with the secret that we share, in its first line.
    pub secret_file: PathBuf,
}

pub(crate) const KEYS: &[Key] = &[
    Key::new(
        "xmpp.components",
        "[]",
        "where external components connect (XEP-0114), in the clear: loopback, say",
    ),
    Key::new(
        "xmpp.component",
        "[]",
        "external components, each a [[xmpp.component]]: domain = \"gateway.example.org\", secret_file",
    ),
];

impl ComponentConfig {
    /// What is wrong with it, in a server of these domains.
    pub(crate) fn faults(&self, taken: &[&str]) -> Vec<String> {
        let mut faults = Vec::new();
        let mut fault = |what: String| faults.push(format!("`xmpp.component` of `{}`: {what}", self.domain));
        match Jid::new(None, &self.domain, None) {
            Err(_) => fault("that is not a domain".to_owned()),
            Ok(jid) if taken.contains(&jid.as_str()) => fault("that domain is served here".to_owned()),
            Ok(_) => {}
        }
        match std::fs::read_to_string(&self.secret_file) {
            Err(error) => fault(format!("cannot read secret_file {}: {error}", self.secret_file.display())),
            Ok(text) if first_line(&text).is_empty() => fault("secret_file has no secret".to_owned()),
            Ok(_) => {}
        }
        faults
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default().trim()
}

/// Every component, there or not.
pub(crate) struct Components {
    secrets: HashMap<String, Vec<u8>>,
    streams: DashMap<String, Stream>,
}

/// A component that is there.
struct Stream {
    stanzas: Sender<Stanza>,
    serial: u64,
    /// Tells it that another takes its place.
    replaced: watch::Sender<bool>,
}

impl Components {
    /// Reads the secrets.
    pub(crate) fn open(configured: &[ComponentConfig]) -> std::io::Result<Self> {
        let mut secrets = HashMap::new();
        for component in configured {
            let name = Jid::new(None, &component.domain, None).map_err(std::io::Error::other)?;
            let text = std::fs::read_to_string(&component.secret_file)?;
            secrets.insert(name.as_str().to_owned(), first_line(&text).as_bytes().to_vec());
        }
        Ok(Self { secrets, streams: DashMap::new() })
    }

    /// Whether a domain is a component's.
    pub(crate) fn knows(&self, domain: &str) -> bool {
        self.secrets.contains_key(domain)
    }

    /// The domains, in order.
    pub(crate) fn domains(&self) -> Vec<String> {
        let mut domains: Vec<String> = self.secrets.keys().cloned().collect();
        domains.sort();
        domains
    }

    /// Puts a stanza into the queue of the component that it is for.
    pub(crate) fn send(&self, stanza: Stanza) -> Result<(), Returned> {
        let Some(domain) = stanza.to.as_ref().map(Jid::domain) else { return Ok(()) };
        let back =
            |stanza, kind: ErrorKind, text: &str| Err(Box::new((stanza, StanzaError::because(kind, text))));
        let Some(stream) = self.streams.get(domain) else {
            return back(stanza, ErrorKind::RemoteServerTimeout, "the component is not there");
        };
        match stream.stanzas.try_send(stanza) {
            Ok(()) => Ok(()),
            Err(Unsent::Full(stanza)) => {
                back(stanza, ErrorKind::ResourceConstraint, "too much waits for the component")
            }
            Err(Unsent::Closed(stanza)) => {
                back(stanza, ErrorKind::RemoteServerTimeout, "the component is not there")
            }
        }
    }

    /// XEP-0114 §3: the hash of the stream's id and the secret, in lower-case hexadecimal.
    fn is_right(&self, name: &str, id: &str, shown: &str) -> bool {
        let Some(secret) = self.secrets.get(name) else { return false };
        let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &[id.as_bytes(), secret].concat());
        let hex = hash.as_ref().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        constant_time::verify_slices_are_equal(hex.as_bytes(), shown.as_bytes()).is_ok()
    }
}

/// Takes connections until the process stops.
pub(crate) async fn accept(server: Arc<Server>, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = server.shutdown.begun() => return,
        };
        match accepted {
            Ok((socket, peer)) => {
                // Dropped: memory before the handshake is capped.
                let Some(place) = server.admit(peer.ip()) else { continue };
                server.shutdown.spawn(serve(Arc::clone(&server), socket, (peer, place)));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
}

async fn serve(server: Arc<Server>, socket: TcpStream, (peer, place): (SocketAddr, Place)) {
    tune(&socket);
    let unproven = Counted::new(&server.metrics.unproven);
    let limits = Limits { bytes: server.config.unproven_bytes, depth: 8, attributes: 32, prefixes: 16 };
    let mut arrival = Arrival {
        io: Box::new(socket),
        framer: Framer::new(limits),
        machine: Component::default(),
        name: String::new(),
        id: server.new_id(),
    };
    let deadline = Instant::now() + server.config.login_timeout;
    let shaken = tokio::select! {
        shaken = arrival.shake_hands(&server, deadline) => shaken,
        () = server.shutdown.begun() => Err(StreamCondition::SystemShutdown.into()),
    };
    drop((unproven, place));
    match shaken {
        Ok(true) => talk(server, arrival).await,
        Ok(false) => {}
        Err(error) => {
            tracing::warn!(%peer, component = arrival.name, condition = error.condition.as_str(), "a component is refused");
            server.metrics.stream_errors.inc();
            arrival.refuse(&error).await;
        }
    }
}

struct Arrival {
    io: Box<dyn Io>,
    framer: Framer,
    machine: Component,
    name: String,
    id: String,
}

impl Arrival {
    /// Until the secret is shown. False when the connection ended before.
    async fn shake_hands(&mut self, server: &Server, deadline: Instant) -> Result<bool, StreamError> {
        loop {
            while let Some(frame) = self.framer.next()? {
                let mut out = String::new();
                match self.machine.handle(frame)? {
                    Request::Greet(name) if server.components.knows(&name) => {
                        self.machine.greet(&name, &self.id, &mut out);
                        self.name = name;
                    }
                    Request::Greet(_) => return Err(StreamCondition::HostUnknown.into()),
                    Request::Handshake(shown) if server.components.is_right(&self.name, &self.id, &shown) => {
                        self.machine.accepted(&mut out);
                        return Ok(self.write(&out).await);
                    }
                    Request::Handshake(_) | Request::Stanza(..) => {
                        return Err(StreamCondition::NotAuthorized.into());
                    }
                    Request::Close => return Ok(false),
                }
                if !self.write(&out).await {
                    return Ok(false);
                }
            }
            let mut chunk = [0_u8; 4096];
            match timeout_at(deadline, self.io.read(&mut chunk)).await {
                Err(_) => return Err(StreamCondition::ConnectionTimeout.into()),
                Ok(Ok(0) | Err(_)) => return Ok(false),
                Ok(Ok(length)) => self.framer.push(&chunk[..length]),
            }
        }
    }

    async fn refuse(mut self, error: &StreamError) {
        let mut out = String::new();
        if !self.machine.has_header {
            print_component_header(&self.name, &self.id, &mut out);
        }
        self.write(&(out + &error.print() + CLOSE)).await;
        close(&mut self.io).await;
        linger(&mut self.io).await;
    }

    async fn write(&mut self, text: &str) -> bool {
        let written = timeout(WRITE_PATIENCE, self.io.write_all(text.as_bytes())).await;
        matches!(written, Ok(Ok(())))
    }
}

/// Serves a component to its end.
async fn talk(server: Arc<Server>, arrival: Arrival) {
    let Arrival { io, mut framer, mut machine, name, .. } = arrival;
    let _there = Counted::new(&server.metrics.components);
    framer.set_limits(Limits { bytes: server.config.stanza_bytes, ..Limits::default() });
    let (stanzas, queue) = Queue::new(server.config.outbox, server.config.waiting_bytes);
    let (replaced, mut ousted) = watch::channel(false);
    let serial = server.new_serial();
    if let Some(before) = server.components.streams.insert(name.clone(), Stream { stanzas, serial, replaced })
    {
        let _ = before.replaced.send(true); // it may be gone this moment
    }
    tracing::info!(component = name, "component connected");
    let (mut reader, io) = tokio::io::split(io);
    let (words, spoken) = mpsc::channel(1);
    let (stop, stopped) = oneshot::channel();
    let (breaks, mut broken) = oneshot::channel();
    let last = Arc::new(AtomicI64::new(0));
    let leaves = Arc::new(AtomicBool::new(false));
    let writer = Writer {
        too_large: None,
        acks: None,
        queue,
        spoken,
        io,
        last,
        sent: server.metrics.component_sent.clone(),
        leaves: Arc::clone(&leaves),
    };
    let mut write = tokio::spawn(writer.run(stopped, breaks));
    let interrupt = std::pin::pin!(async {
        tokio::select! {
            _ = ousted.wait_for(|is_ousted| *is_ousted) => {
                Err(StreamError::because(StreamCondition::Conflict, "replaced by a new connection"))
            }
            _ = &mut broken => Ok(()),
            () = server.parted() => Err(StreamCondition::SystemShutdown.into()),
        }
    });
    let why = listen(&server, &mut reader, &mut framer, &mut machine, interrupt).await.err();
    let is_mine = server.components.streams.remove_if(&name, |_, stream| stream.serial == serial).is_some();
    tracing::info!(component = name, is_replaced = !is_mine, "component gone");
    let farewell = why.as_ref().map(StreamError::print).unwrap_or_default() + CLOSE;
    // When we stop, who is gone is said before.
    leaves.store(server.is_parted(), Ordering::Relaxed);
    let _ = timeout(LAST_WORDS, words.send(farewell)).await; // who does not read hears no last words
    drop(words);
    let written = match timeout(LAST_WORDS, &mut write).await {
        Ok(written) => written,
        Err(_) => {
            drop(stop);
            write.await
        }
    };
    let (queue, mut io) =
        written.unwrap_or_else(|_| unreachable!("a writer does not panic, and nobody cancels it"));
    if let Some(io) = &mut io {
        close(io).await;
    }
    for stanza in queue.drain() {
        route::leave(&server, stanza); // to its successor, or back
    }
    if why.is_some() {
        server.metrics.stream_errors.inc();
        if io.is_some() {
            linger(&mut reader).await;
        }
    }
}

/// Takes stanzas until the stream ends, or something interrupts it between two of them.
async fn listen(
    server: &Server,
    reader: &mut (impl AsyncReadExt + Unpin),
    framer: &mut Framer,
    machine: &mut Component,
    mut interrupt: impl Future<Output = Result<(), StreamError>> + Unpin,
) -> Result<(), StreamError> {
    let mut chunk = vec![0_u8; 4096];
    loop {
        while let Some(frame) = framer.next()? {
            match machine.handle(frame)? {
                Request::Stanza(stanza, None) => {
                    server.metrics.component_received.inc();
                    route::from_afar(server, *stanza).await;
                }
                Request::Stanza(stanza, Some(error)) => route::give_back(server, &stanza, &error),
                Request::Close => return Ok(()),
                Request::Greet(_) | Request::Handshake(_) => return Err(StreamCondition::BadFormat.into()),
            }
        }
        let read = tokio::select! {
            read = reader.read(&mut chunk) => read,
            ended = &mut interrupt => return ended,
        };
        match read {
            Ok(0) | Err(_) => return Ok(()),
            Ok(length) => framer.push(&chunk[..length]),
        }
    }
}

/// How long the last words may take.
const LAST_WORDS: std::time::Duration = std::time::Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    /// XEP-0114 §3, example 2, with a secret that the XEP does not tell; the hash is that of `sha1sum`.
    #[test]
    fn knows_the_hash_of_id_and_secret() {
        let secrets = HashMap::from([("plays.shakespeare.lit".to_owned(), b"s3cr3t".to_vec())]);
        let components = Components { secrets, streams: DashMap::new() };
        let hash = "ba33290100f616a33656a931798d6c9011cfa840";
        assert!(components.is_right("plays.shakespeare.lit", "3BF96D32", hash));
        assert!(!components.is_right("plays.shakespeare.lit", "3BF96D33", hash));
        assert!(!components.is_right("plays.shakespeare.lit", "3BF96D32", &hash.to_uppercase()));
        assert!(!components.is_right("other.lit", "3BF96D32", hash));
    }
}
