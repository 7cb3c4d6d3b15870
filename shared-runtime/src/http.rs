//! HTTP for whoever has a router: over TLS for people and clients, in the clear for operators on loopback.
//!
//! In    an `axum::Router` and bound listeners.
//! Out   served connections; [`Peer`] tells a handler who asks: the other end, or for whom a trusted proxy speaks. One that keeps time
//!       itself says so by its [`Deadline`].
//! State who is connected, counted by network and bounded; trusted proxies are counted in all alone.
//! Errors a failed handshake ends that connection alone; who is slow is closed, or told 408; whom we keep waiting is told 503;
//!       who names no host or several is told 400; who is one too many is closed.

mod forwarded;
mod guests;
mod host;
mod preface;
mod range;
mod whole;

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::{IntCounterVec, Opts, Registry, TextEncoder};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tower_service::Service;

use crate::{Network, Seldom, Shutdown};
use guests::{Full, Guest, Guests};
pub use range::{Range, is_known};
use whole::Watched;

/// Who asks, and what carries it.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// The other end of the connection, or the client that a trusted proxy speaks for; the port is the connection's.
    pub address: SocketAddr,
    /// Our end.
    pub local: SocketAddr,
    /// Whether it is TLS.
    pub is_protected: bool,
}

impl Peer {
    /// Whoever asks this, as far as `trusted` proxies say.
    fn asking(self, trusted: &[Network], fields: &HeaderMap) -> Self {
        let client = forwarded::client(trusted, self.address.ip(), fields);
        match client == self.address.ip() {
            true => self,
            false => Self { address: SocketAddr::new(client, self.address.port()), ..self },
        }
    }

    fn of(socket: &TcpStream, address: SocketAddr, is_protected: bool) -> Self {
        // A socket that has no address any more is closed; nothing will be sent by it.
        let local = socket.local_addr().unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)));
        Self { address, local, is_protected }
    }
}

/// The time that the answer to one request may take, as an extension of the request. A handler that reads a long body, or
/// waits before it answers, waives it, and keeps time itself.
#[derive(Debug, Clone, Default)]
pub struct Deadline(Arc<AtomicBool>);

impl Deadline {
    /// The handler keeps time itself from now on.
    pub fn waive(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Serves `router` over TLS until shutdown; nobody speaks for others.
pub fn serve_tls(listener: TcpListener, tls: Arc<rustls::ServerConfig>, router: Router, shutdown: &Shutdown) {
    Doorkeeper::default().serve_tls(listener, tls, router, shutdown);
}

/// Whom listeners believe about others, and how often they had no place.
#[derive(Clone, Default)]
pub struct Doorkeeper {
    trusted: Arc<[Network]>,
    is_preface_asked: bool,
    refused: Option<IntCounterVec>,
    kept_out: Option<KeptOut>,
}

/// Says of whom nothing is taken.
pub type KeptOut = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

impl Doorkeeper {
    /// Believes these proxies; counts in metrics.
    pub fn new(trusted: &[Network], registry: &Registry) -> Result<Self, prometheus::Error> {
        let refused = IntCounterVec::new(Opts::new(REFUSED, REFUSED_HELP), &["reason"])?;
        registry.register(Box::new(refused.clone()))?;
        for full in [Full::Network, Full::All, Full::KeptOut] {
            refused.with_label_values(&[full.as_str()]);
        }
        Ok(Self { trusted: trusted.into(), refused: Some(refused), ..Self::default() })
    }

    /// Closes what comes from whom it says, and answers 403 to those for whom a proxy speaks; proxies themselves are heard.
    pub fn keeping_out(self, whom: KeptOut) -> Self {
        Self { kept_out: Some(whom), ..self }
    }

    /// Whether trusted proxies begin by the PROXY protocol, each connection: it is read of nobody, or demanded of all of them.
    pub fn asking_preface(self, is_preface_asked: bool) -> Self {
        Self { is_preface_asked, ..self }
    }

    /// Serves `router` over TLS until shutdown.
    pub fn serve_tls(
        &self,
        listener: TcpListener,
        tls: Arc<rustls::ServerConfig>,
        router: Router,
        shutdown: &Shutdown,
    ) {
        let (tls, keeper) = (Some(TlsAcceptor::from(tls)), self.clone());
        let door = Door { tls, router, keeper, guests: Guests::default(), patience: PATIENCE };
        door.open(listener, shutdown);
    }

    fn keeps_out(&self, ip: IpAddr) -> bool {
        self.kept_out.as_ref().is_some_and(|whom| whom(ip.to_canonical()))
    }

    fn trusts(&self, ip: IpAddr) -> bool {
        forwarded::is_in(&self.trusted, ip)
    }

    fn refuse(&self, full: Full, ip: IpAddr) {
        tracing::debug!(client = %crate::Redacted(&ip), why = full.as_str(), "no place for an HTTP connection");
        if let Some(refused) = &self.refused {
            refused.with_label_values(&[full.as_str()]).inc();
        }
    }
}

/// Serves `router` in the clear until shutdown.
pub fn serve_plain(listener: TcpListener, router: Router, shutdown: &Shutdown) {
    let keeper = Doorkeeper::default();
    let door = Door { tls: None, router, keeper, guests: Guests::default(), patience: PATIENCE };
    door.open(listener, shutdown);
}

/// What the work stands on: answers whether it is there now.
pub type Footing = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

/// `/metrics` in Prometheus' text format, `/healthz` (the process answers), `/readyz` (it takes new work, and what that stands on
/// answered a moment ago).
pub fn operations(registry: Registry, footing: Footing, shutdown: &Shutdown) -> Router {
    let ready = Ready { footing, last: Arc::default(), stop: shutdown.clone() };
    Router::new()
        .route("/metrics", get(metrics).with_state(registry))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(move || async move { ready.say().await }))
}

/// Whether new work is taken.
#[derive(Clone)]
struct Ready {
    footing: Footing,
    /// What was found, and when; who looks holds it, so that others wait for what that finds.
    last: Arc<tokio::sync::Mutex<Option<(bool, Instant)>>>,
    stop: Shutdown,
}

impl Ready {
    async fn say(&self) -> (StatusCode, &'static str) {
        if self.stop.is_begun() {
            return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
        }
        let mut last = self.last.lock().await;
        let stands = match last.filter(|(_, at)| at.elapsed() < FRESH) {
            Some((stands, _)) => stands,
            None => {
                let stands = tokio::time::timeout(LOOK, (self.footing)()).await.unwrap_or(false);
                *last = Some((stands, Instant::now()));
                stands
            }
        };
        match stands {
            true => (StatusCode::OK, "ok\n"),
            false => (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n"),
        }
    }
}

async fn metrics(State(registry): State<Registry>) -> impl IntoResponse {
    match TextEncoder::new().encode_to_string(&registry.gather()) {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// What one listener leads to.
struct Door {
    tls: Option<TlsAcceptor>,
    router: Router,
    keeper: Doorkeeper,
    guests: Guests,
    /// How long a handshake, a request's head, and a request may take, each.
    patience: Duration,
}

impl Door {
    /// Accepts until shutdown; who is inside then finishes the request under way.
    fn open(self, listener: TcpListener, shutdown: &Shutdown) {
        let (door, stop) = (Arc::new(self), shutdown.clone());
        shutdown.spawn(async move {
            let mut failed = Seldom::default();
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = stop.begun() => return,
                };
                let (socket, peer) = match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        // Out of descriptors, most likely: give the others time to close some.
                        if let Some(times) = failed.say(Instant::now()) {
                            tracing::warn!(%error, times, "an HTTP connection could not be accepted");
                        }
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                };
                // Who is one too many is closed at once, and holds up nobody. A proxy comes for many.
                let network = (!door.keeper.trusts(peer.ip())).then_some(peer.ip());
                if network.is_some_and(|ip| door.keeper.keeps_out(ip)) {
                    door.keeper.refuse(Full::KeptOut, peer.ip());
                    continue;
                }
                match door.guests.admit(network) {
                    Ok(guest) => {
                        stop.spawn(Arc::clone(&door).receive(socket, peer, guest, stop.clone()));
                    }
                    Err(full) => door.keeper.refuse(full, peer.ip()),
                }
            }
        });
    }

    async fn receive(
        self: Arc<Self>,
        mut socket: TcpStream,
        mut address: SocketAddr,
        mut guest: Guest,
        stop: Shutdown,
    ) {
        // Small messages of a WebSocket must not wait for more; an error leaves them waiting.
        let _ = socket.set_nodelay(true);
        if self.keeper.is_preface_asked && self.keeper.trusts(address.ip()) {
            let said = tokio::time::timeout(self.patience, preface::read(&mut socket)).await;
            let Ok(Ok(client)) = said else { return };
            if let Some(client) = client {
                address = client;
                if self.keeper.keeps_out(client.ip()) {
                    return self.keeper.refuse(Full::KeptOut, client.ip());
                }
                if !self.keeper.trusts(client.ip())
                    && let Err(full) = guest.is_of(client.ip())
                {
                    return self.keeper.refuse(full, client.ip());
                }
            }
        }
        let peer = Peer::of(&socket, address, self.tls.is_some());
        match &self.tls {
            None => self.converse(socket, peer, stop).await,
            Some(tls) => {
                // A failed handshake ends this connection alone.
                if let Ok(Ok(stream)) = tokio::time::timeout(self.patience, tls.accept(socket)).await {
                    self.converse(stream, peer, stop).await;
                }
            }
        }
    }

    async fn converse(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: Peer,
        stop: Shutdown,
    ) {
        let service = service_fn(|request: Request<Incoming>| {
            let deadline = Deadline::default();
            let is_named = host::is_said(request.version(), request.headers());
            let (head, body) = request.into_parts();
            let (body, whole) = Watched::new(body);
            let mut request = Request::from_parts(head, body);
            let peer = peer.asking(&self.keeper.trusted, request.headers());
            request.extensions_mut().insert(ConnectInfo(peer));
            request.extensions_mut().insert(deadline.clone());
            // Whom a proxy speaks for is known now, and a connection may be older than what keeps them out.
            let is_kept_out = self.keeper.keeps_out(peer.address.ip());
            if is_kept_out {
                self.keeper.refuse(Full::KeptOut, peer.address.ip());
            }
            let answer = (!is_kept_out).then(|| self.router.clone().call(request));
            async move {
                let Some(answer) = answer else {
                    return Ok((StatusCode::FORBIDDEN, [(header::CONNECTION, "close")]).into_response());
                };
                if !is_named {
                    return Ok((StatusCode::BAD_REQUEST, [(header::CONNECTION, "close")]).into_response());
                }
                let mut answer = std::pin::pin!(answer);
                let late = match tokio::time::timeout(self.patience, &mut answer).await {
                    Ok(answered) => return answered,
                    Err(_) if deadline.0.load(Ordering::Relaxed) => return answer.await,
                    // RFC 9110 §15.5.9: 408 is for a request that did not come whole; a browser may send it again by itself.
                    Err(_) if whole.is() => StatusCode::SERVICE_UNAVAILABLE,
                    Err(_) => StatusCode::REQUEST_TIMEOUT,
                };
                Ok::<_, Infallible>(late.into_response())
            }
        });
        let mut builder = http1::Builder::new();
        // Also between requests: nobody keeps a connection that they do not use.
        builder.timer(TokioTimer::new()).header_read_timeout(self.patience);
        let connection = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
        tokio::pin!(connection);
        // An error ends this connection alone, and its peer knows.
        tokio::select! {
            _ = &mut connection => {}
            () = stop.begun() => {
                connection.as_mut().graceful_shutdown();
                // It ends, well or not, within the deadlines of its requests.
                let _ = connection.await;
            }
        }
    }
}

/// How long a handshake, a request's head, and a request may take, each.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long what the work stands on may take to answer.
const LOOK: Duration = Duration::from_secs(3);
/// How old its answer may be.
const FRESH: Duration = Duration::from_secs(1);
const REFUSED: &str = "shared_runtime_http_refused_total";
const REFUSED_HELP: &str = "HTTPS connections that were closed at once: too many of one network, or in all, or of a network that is banned.";

#[cfg(test)]
mod tests {
    use axum::Extension;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn serve(patience: Duration) -> (SocketAddr, Shutdown) {
        serve_behind(&[], patience).await
    }

    async fn serve_behind(trusted: &[Network], patience: Duration) -> (SocketAddr, Shutdown) {
        serve_by(Doorkeeper::new(trusted, &Registry::new()).unwrap(), patience).await
    }

    async fn serve_by(keeper: Doorkeeper, patience: Duration) -> (SocketAddr, Shutdown) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, shutdown) = (listener.local_addr().unwrap(), Shutdown::new());
        let router = Router::new()
            .route("/", get(|ConnectInfo(peer): ConnectInfo<Peer>| async move { peer.address.to_string() }))
            .route("/slow", axum::routing::post(slow))
            .route("/echo", axum::routing::post(|body: String| async { body }));
        let door = Door { tls: None, router, keeper, guests: Guests::default(), patience };
        door.open(listener, &shutdown);
        (address, shutdown)
    }

    /// Waits longer than others may, if it is told to say so.
    async fn slow(Extension(deadline): Extension<Deadline>, body: String) -> String {
        if body == "waive" {
            deadline.waive();
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        body
    }

    /// Everything that comes until the server closes.
    async fn say(address: SocketAddr, text: &str) -> String {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let read = tokio::time::timeout(Duration::from_secs(10), socket.read_to_string(&mut answer));
        match read.await.expect("the server closes") {
            Err(error) if error.kind() != std::io::ErrorKind::ConnectionReset => panic!("{error}"),
            _ => answer, // closed, also before it was read
        }
    }

    #[tokio::test]
    async fn a_request_that_is_not_finished_is_not_waited_for() {
        let (address, shutdown) = serve(Duration::from_millis(100)).await;
        let whole = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        assert!(
            say(address, whole).await.contains("127.0.0.1:"),
            "answered, and closed when nothing more came"
        );
        assert!(!say(address, "GET / HTTP/1.1\r\nHost: x\r\nX-").await.contains("200"));
        assert!(!say(address, "").await.contains("200"));
        let body = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf";
        assert!(say(address, body).await.starts_with("HTTP/1.1 408"));
        shutdown.finish(Duration::from_secs(5)).await;
    }

    #[tokio::test]
    async fn a_handler_that_keeps_time_itself_is_waited_for() {
        let (address, shutdown) = serve(Duration::from_millis(100)).await;
        let ask = |body: &str| {
            let length = body.len();
            format!("POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}")
        };
        assert!(say(address, &ask("waive")).await.starts_with("HTTP/1.1 200"));
        let late = say(address, &ask("hurry")).await;
        assert!(
            late.starts_with("HTTP/1.1 503"),
            "the request came whole, and it is we who are late: {late}"
        );
        shutdown.finish(Duration::from_secs(5)).await;
    }

    #[tokio::test]
    async fn a_request_without_a_host_or_with_two_is_refused_and_the_connection_closed() {
        let (address, shutdown) = serve(Duration::from_secs(5)).await;
        for bad in ["", "Host: x\r\nHost: x\r\n", "Host: a b\r\n"] {
            let answer =
                say(address, &format!("GET / HTTP/1.1\r\n{bad}\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n")).await;
            assert!(answer.starts_with("HTTP/1.1 400") && !answer.contains("200 OK"), "{bad}: {answer}");
        }
        assert!(say(address, "GET / HTTP/1.0\r\n\r\n").await.starts_with("HTTP/1.0 200"));
        shutdown.finish(Duration::from_secs(5)).await;
    }

    #[tokio::test]
    async fn a_trusted_proxy_names_the_client_of_each_request() {
        let (address, shutdown) = serve_behind(&["127.0.0.1".parse().unwrap()], Duration::from_secs(5)).await;
        let ask = |fields: &str| format!("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}\r\n");
        let named = say(address, &ask("X-Forwarded-For: 203.0.113.9, 192.0.2.1\r\n")).await;
        assert!(named.contains("192.0.2.1:") && !named.contains("203.0.113.9"), "{named}");
        assert!(say(address, &ask("Forwarded: for=\"[2001:db8::7]\"\r\n")).await.contains("[2001:db8::7]:"));
        assert!(say(address, &ask("")).await.contains("127.0.0.1:"));
        assert!(
            say(address, &(PREFACE.to_owned() + &ask(""))).await.starts_with("HTTP/1.1 400"),
            "not asked"
        );
        shutdown.finish(Duration::from_secs(5)).await;
    }

    #[tokio::test]
    async fn who_is_kept_out_is_closed_and_whom_a_proxy_speaks_for_is_told() {
        let whole = |field: &str| format!("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{field}\r\n");
        let keeper = |trusted: &[Network], out: &'static str| {
            let whom: KeptOut = Arc::new(move |ip| ip.to_string() == out);
            Doorkeeper::new(trusted, &Registry::new()).unwrap().keeping_out(whom)
        };
        let patience = Duration::from_secs(5);
        let (address, shutdown) = serve_by(keeper(&[], "127.0.0.1"), patience).await;
        let mut socket = TcpStream::connect(address).await.unwrap();
        assert!(matches!(socket.read(&mut [0; 1]).await, Ok(0) | Err(_)), "it is closed");
        shutdown.begin();
        let proxy: Network = "127.0.0.1".parse().unwrap();
        let (address, shutdown) = serve_by(keeper(&[proxy], "192.0.2.1"), patience).await;
        for (field, status) in
            [("X-Forwarded-For: 192.0.2.1\r\n", "403"), ("X-Forwarded-For: 192.0.2.2\r\n", "200")]
        {
            let said = say(address, &whole(field)).await;
            assert!(said.starts_with(&format!("HTTP/1.1 {status}")), "{field}: {said}");
        }
        shutdown.begin();
    }

    #[tokio::test]
    async fn a_proxy_whose_first_bytes_name_the_client_always_begins_with_them() {
        let patience = Duration::from_secs(5);
        let whole = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n";
        let keeper = |trusted: &str| {
            let trusted = [trusted.parse().unwrap()];
            Doorkeeper::new(&trusted, &Registry::new()).unwrap().asking_preface(true)
        };
        let (address, shutdown) = serve_by(keeper("127.0.0.1"), patience).await;
        // Whom they name is no proxy, and speaks for nobody else.
        let named = say(address, &(PREFACE.to_owned() + whole)).await;
        assert!(named.ends_with("127.0.0.2:9"), "{named}");
        assert_eq!(say(address, whole).await, "");
        shutdown.finish(patience).await;
        let (address, shutdown) = serve_by(keeper("192.0.2.1"), patience).await;
        assert!(
            say(address, &(PREFACE.to_owned() + whole)).await.starts_with("HTTP/1.1 400"),
            "a stranger's"
        );
        assert!(say(address, whole).await.contains("127.0.0.1:"));
        shutdown.finish(patience).await;
    }

    /// 127.0.0.2, port 9.
    const PREFACE: &str =
        "\r\n\r\n\0\r\nQUIT\n\u{21}\u{11}\0\u{c}\u{7f}\0\0\u{2}\u{7f}\0\0\u{1}\0\u{9}\0\u{50}";

    #[tokio::test]
    async fn who_is_asked_for_work_says_whether_the_store_answers() {
        let stands = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stands);
        let footing: Footing = Arc::new(move || {
            let stands = asked.load(Ordering::Relaxed);
            Box::pin(async move { stands })
        });
        let shutdown = Shutdown::new();
        let ready = Ready { footing, last: Arc::default(), stop: shutdown.clone() };
        assert_eq!(ready.say().await.0, StatusCode::SERVICE_UNAVAILABLE);
        stands.store(true, Ordering::Relaxed);
        assert_eq!(ready.say().await.0, StatusCode::SERVICE_UNAVAILABLE, "it asked a moment ago");
        let later = Ready { last: Arc::default(), ..ready.clone() };
        assert_eq!(later.say().await, (StatusCode::OK, "ok\n"));
        shutdown.begin();
        assert_eq!(later.say().await, (StatusCode::SERVICE_UNAVAILABLE, "stopping\n"));
    }
}
