//! An endpoint whose application answers 200, and peers that speak raw SIP.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use prometheus::Registry;
use shared_runtime::Shutdown;
use shared_runtime::tls::{self, TlsPolicy};
use sip_core::Message;
use sip_core::header::Name;
use sip_core::message::{Framed, Framer};
use sip_core::transaction::Timers;
use sip_endpoint::{Application, Endpoint, Flow, Incoming, Listeners, Metrics};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A started endpoint.
pub(crate) struct Rig {
    pub(crate) endpoint: Endpoint,
    pub(crate) tls: TlsPolicy,
    pub(crate) requests: mpsc::UnboundedReceiver<Incoming>,
    pub(crate) lost: mpsc::UnboundedReceiver<Flow>,
    pub(crate) folder: PathBuf,
    registry: Registry,
    shutdown: Shutdown,
}

struct Friendly {
    requests: mpsc::UnboundedSender<Incoming>,
    lost: mpsc::UnboundedSender<Flow>,
}

impl Application for Friendly {
    fn request(&self, incoming: Incoming) {
        let status = if incoming.request.method() == "INVITE" { 180 } else { 200 };
        incoming.server.respond(Message::response(&incoming.request, status, ""));
        let _ = self.requests.send(incoming);
    }

    fn ack(&self, _ack: Message, _flow: Flow) {}

    fn flow_lost(&self, flow: Flow) {
        let _ = self.lost.send(flow);
    }
}

pub(crate) fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// One listener of each kind on loopback.
pub(crate) fn listeners() -> Listeners {
    Listeners { udp: vec![local(0)], tcp: vec![local(0)], tls: vec![local(0)], ..Listeners::default() }
}

impl Rig {
    pub(crate) async fn start(listeners: Listeners) -> Self {
        Self::start_with(listeners, tls::Config::default()).await
    }

    pub(crate) async fn start_with(listeners: Listeners, config: tls::Config) -> Self {
        tls::install_provider();
        let folder = folder();
        let tls = TlsPolicy::open(&config, &folder, &["example.org".to_owned()]).unwrap();
        Self::start_over(listeners, tls, folder).await
    }

    pub(crate) async fn start_over(listeners: Listeners, tls: TlsPolicy, folder: PathBuf) -> Self {
        let (sender, requests) = mpsc::unbounded_channel();
        let (loser, lost) = mpsc::unbounded_channel();
        let (registry, shutdown) = (Registry::new(), Shutdown::new());
        let endpoint = Endpoint::start(
            listeners,
            Timers { b: Duration::from_secs(3), ..Timers::default() },
            &tls,
            Metrics::new(&registry).unwrap(),
            shared_runtime::random,
            &shutdown,
            Arc::new(Friendly { requests: sender, lost: loser }),
        )
        .await
        .unwrap();
        Self { endpoint, tls, requests, lost, folder, registry, shutdown }
    }

    /// The next request that the application got.
    pub(crate) async fn request(&mut self) -> (Message, Flow) {
        let incoming = self.incoming().await;
        (incoming.request, incoming.flow)
    }

    /// As [`Rig::request`], with where its answer goes.
    pub(crate) async fn incoming(&mut self) -> Incoming {
        timeout(PATIENCE, self.requests.recv()).await.expect("no request came").unwrap()
    }

    /// The next flow that was lost.
    pub(crate) async fn lost(&mut self) -> Flow {
        timeout(PATIENCE, self.lost.recv()).await.expect("no flow was lost").unwrap()
    }

    pub(crate) async fn tcp(&self) -> Peer<TcpStream> {
        Peer::over(TcpStream::connect(self.endpoint.bound().tcp[0]).await.unwrap())
    }

    /// What one metric says: all its children together, or those whose labels contain `label`.
    pub(crate) fn metric(&self, name: &str, label: &str) -> f64 {
        let text = prometheus::TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap();
        text.lines()
            .filter(|line| line.starts_with(name) && line.contains(label))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.shutdown.begin();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A folder of this test alone.
pub(crate) fn folder() -> PathBuf {
    static SERIAL: AtomicU32 = AtomicU32::new(0);
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("cusax-wires-{}-{serial}", std::process::id()))
}

/// A peer on a stream.
pub(crate) struct Peer<S> {
    pub(crate) stream: S,
    framer: Framer,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self { stream, framer: Framer::default() }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// The next message; `None` when the connection is closed.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        loop {
            match self.framer.next_framed().unwrap() {
                Some(Framed::Message(bytes)) => return Some(Message::parse(bytes).unwrap()),
                Some(Framed::Ping) => continue,
                None => {}
            }
            let read = timeout(PATIENCE, self.stream.read_buf(self.framer.buffer())).await;
            // A reset is an end, too.
            if read.expect("nothing came").unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// The next message, which is this response or request.
    pub(crate) async fn expect(&mut self, what: &str) -> Message {
        let message = self.next().await.expect("the connection is closed");
        assert_eq!(word(&message), what);
        message
    }
}

/// The method of a request, the status of a response.
pub(crate) fn word(message: &Message) -> String {
    if message.is_request() { message.method().to_owned() } else { message.status().to_string() }
}

/// A request with this Via, apart from its branch.
pub(crate) fn request_via(method: &str, via: &str) -> Message {
    static SERIAL: AtomicU32 = AtomicU32::new(1);
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let mut request = Message::request(method, "sip:example.org");
    request.push(Name::Via, &format!("SIP/2.0/{via};branch=z9hG4bKpeer{serial}"));
    request.push(Name::MaxForwards, "70");
    request.push(Name::From, &format!("<sip:peer@example.net>;tag={serial}"));
    request.push(Name::To, "<sip:example.org>");
    request.push(Name::CallId, &format!("call-{serial}"));
    request.push(Name::CSeq, &format!("{serial} {method}"));
    request.push(Name::ContentLength, "0");
    request
}

/// An OPTIONS over TCP, as bytes.
pub(crate) fn options() -> Bytes {
    request_via("OPTIONS", "TCP 127.0.0.1:9").to_bytes()
}

/// Whether this machine speaks IPv6.
pub(crate) fn has_v6() -> bool {
    std::net::UdpSocket::bind("[::1]:0").is_ok()
}
