//! HTTP for whoever has a router: over TLS for people and clients, in the clear for operators on loopback.
//!
//! In    an `axum::Router` and bound listeners.
//! Out   served connections; [`Peer`] tells a handler who asks. One that keeps time itself says so by its [`Deadline`].
//! State who is connected, counted by network and bounded.
//! Errors a failed handshake ends that connection alone; who is slow is closed, or told 408; who is one too many is closed.

mod range;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, State};
use axum::http::{Request, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::{Registry, TextEncoder};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tower_service::Service;

use crate::Shutdown;
pub use range::Range;

/// Who asks, and what carries it.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// The other end of the connection.
    pub address: SocketAddr,
    /// Our end.
    pub local: SocketAddr,
    /// Whether it is TLS.
    pub is_protected: bool,
}

impl Peer {
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

/// Serves `router` over TLS until shutdown.
pub fn serve_tls(listener: TcpListener, tls: Arc<rustls::ServerConfig>, router: Router, shutdown: &Shutdown) {
    let door =
        Door { tls: Some(TlsAcceptor::from(tls)), router, guests: Guests::default(), patience: PATIENCE };
    door.open(listener, shutdown);
}

/// Serves `router` in the clear until shutdown.
pub fn serve_plain(listener: TcpListener, router: Router, shutdown: &Shutdown) {
    let door = Door { tls: None, router, guests: Guests::default(), patience: PATIENCE };
    door.open(listener, shutdown);
}

/// `/metrics` in Prometheus' text format, `/healthz` (the process answers), `/readyz` (it takes new work).
pub fn operations(registry: Registry, shutdown: &Shutdown) -> Router {
    let ready = shutdown.clone();
    Router::new()
        .route("/metrics", get(metrics).with_state(registry))
        .route("/healthz", get(|| async { "ok\n" }))
        .route(
            "/readyz",
            get(move || async move {
                if ready.is_begun() {
                    (StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
                } else {
                    (StatusCode::OK, "ok\n")
                }
            }),
        )
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
    guests: Guests,
    /// How long a handshake, a request's head, and a request may take, each.
    patience: Duration,
}

impl Door {
    /// Accepts until shutdown; who is inside then finishes the request under way.
    fn open(self, listener: TcpListener, shutdown: &Shutdown) {
        let (door, stop) = (Arc::new(self), shutdown.clone());
        shutdown.spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = stop.begun() => return,
                };
                let (socket, peer) = match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept an HTTP connection");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                };
                // Who is one too many is closed at once, and holds up nobody.
                if let Some(guest) = door.guests.admit(peer.ip()) {
                    stop.spawn(Arc::clone(&door).receive(socket, peer, guest, stop.clone()));
                }
            }
        });
    }

    async fn receive(self: Arc<Self>, socket: TcpStream, address: SocketAddr, _guest: Guest, stop: Shutdown) {
        // Small messages of a WebSocket must not wait for more; an error leaves them waiting.
        let _ = socket.set_nodelay(true);
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
        let service = service_fn(|mut request: Request<Incoming>| {
            let deadline = Deadline::default();
            request.extensions_mut().insert(ConnectInfo(peer));
            request.extensions_mut().insert(deadline.clone());
            let answer = self.router.clone().call(request);
            async move {
                let mut answer = std::pin::pin!(answer);
                // A router does not fail; what takes too long is a body that does not come.
                let answered = match tokio::time::timeout(self.patience, &mut answer).await {
                    Err(_) if !deadline.0.load(Ordering::Relaxed) => Err(StatusCode::REQUEST_TIMEOUT),
                    Err(_) => Ok(answer.await),
                    Ok(answered) => Ok(answered),
                };
                Ok::<_, Infallible>(match answered {
                    Ok(Ok(response)) => response,
                    Err(status) => status.into_response(),
                })
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

/// Who is connected to one listener, by network: /32 of IPv4 and /64 of IPv6.
#[derive(Clone, Default)]
struct Guests(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    all: usize,
    by_network: HashMap<IpAddr, usize>,
}

/// A place that is free again when it is dropped.
struct Guest {
    guests: Guests,
    network: IpAddr,
}

impl Guests {
    /// A place, unless all are taken or those of this network.
    fn admit(&self, ip: IpAddr) -> Option<Guest> {
        let network = match ip.to_canonical() {
            IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
            v4 => v4,
        };
        let mut inside = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let here = inside.by_network.get(&network).copied().unwrap_or(0);
        if here >= MOST_OF_NETWORK || inside.all >= MOST {
            return None;
        }
        inside.all += 1;
        inside.by_network.insert(network, here + 1);
        Some(Guest { guests: self.clone(), network })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut inside = self.guests.0.lock().unwrap_or_else(PoisonError::into_inner);
        inside.all -= 1;
        if let Entry::Occupied(mut here) = inside.by_network.entry(self.network) {
            *here.get_mut() -= 1;
            if *here.get() == 0 {
                here.remove();
            }
        }
    }
}

/// How long a handshake, a request's head, and a request may take, each.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections of one listener.
const MOST: usize = 4096;
/// Connections of one network: an office behind one address has fewer people who ask at once.
const MOST_OF_NETWORK: usize = 256;

#[cfg(test)]
mod tests {
    use axum::Extension;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn serve(patience: Duration) -> (SocketAddr, Shutdown) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, shutdown) = (listener.local_addr().unwrap(), Shutdown::new());
        let router = Router::new()
            .route("/", get(|ConnectInfo(peer): ConnectInfo<Peer>| async move { peer.address.to_string() }))
            .route("/slow", axum::routing::post(slow))
            .route("/echo", axum::routing::post(|body: String| async { body }));
        let door = Door { tls: None, router, guests: Guests::default(), patience };
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
        read.await.expect("the server closes").unwrap();
        answer
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
        assert!(say(address, &ask("hurry")).await.starts_with("HTTP/1.1 408"));
        shutdown.finish(Duration::from_secs(5)).await;
    }

    #[test]
    fn places_are_counted_by_network_and_in_all() {
        let guests = Guests::default();
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let mut inside: Vec<_> =
            (0..MOST_OF_NETWORK).map(|_| guests.admit(ip("2001:db8::1")).unwrap()).collect();
        assert!(guests.admit(ip("2001:db8::2")).is_none(), "the same network");
        assert!(
            guests.admit(ip("::ffff:192.0.2.1")).is_some() && guests.admit(ip("2001:db8:0:1::1")).is_some()
        );
        inside.pop();
        assert!(guests.admit(ip("2001:db8::2")).is_some());
        let networks = (MOST / MOST_OF_NETWORK) as u32 + 1;
        let many = (0..networks)
            .flat_map(|n| (0..MOST_OF_NETWORK).map(move |_| IpAddr::from((n + 1).to_be_bytes())));
        inside.extend(many.filter_map(|ip| guests.admit(ip)));
        assert_eq!(inside.len(), MOST);
        drop(inside);
        let inside = guests.0.lock().unwrap();
        assert!(inside.all == 0 && inside.by_network.is_empty());
    }
}
