//! HTTP for whoever has a router: over TLS for people and clients, in the clear for operators on loopback.
//!
//! In    an `axum::Router` and bound listeners.
//! Out   served connections; [`Peer`] tells a handler who asks.
//! Errors a failed handshake ends that connection alone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::serve::{IncomingStream, Listener};
use prometheus::{Registry, TextEncoder};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::Shutdown;

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

impl axum::extract::connect_info::Connected<IncomingStream<'_, Secured>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Secured>) -> Self {
        Self::of(stream.io().get_ref().0, *stream.remote_addr(), true)
    }
}

impl axum::extract::connect_info::Connected<IncomingStream<'_, TcpListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        Self::of(stream.io(), *stream.remote_addr(), false)
    }
}

impl Peer {
    fn of(socket: &TcpStream, address: SocketAddr, is_protected: bool) -> Self {
        // A socket that has no address any more is closed; nothing will be sent by it.
        let local = socket.local_addr().unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)));
        Self { address, local, is_protected }
    }
}

/// Serves `router` over TLS until shutdown.
pub fn serve_tls(listener: TcpListener, tls: Arc<rustls::ServerConfig>, router: Router, shutdown: &Shutdown) {
    let secured = Secured::start(listener, tls, shutdown);
    let stop = shutdown.clone();
    let service = router.into_make_service_with_connect_info::<Peer>();
    shutdown.spawn(async move {
        let served = axum::serve(secured, service).with_graceful_shutdown(async move { stop.begun().await });
        // axum's own accept loop does not fail; what ends it is the shutdown.
        let _ = served.await;
    });
}

/// Serves `router` in the clear until shutdown.
pub fn serve_plain(listener: TcpListener, router: Router, shutdown: &Shutdown) {
    let stop = shutdown.clone();
    let service = router.into_make_service_with_connect_info::<Peer>();
    shutdown.spawn(async move {
        let served = axum::serve(listener, service).with_graceful_shutdown(async move { stop.begun().await });
        // As above.
        let _ = served.await;
    });
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

/// A listener whose connections have finished their TLS handshake; slow ones do not hold up the others.
struct Secured {
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    address: SocketAddr,
}

impl Secured {
    fn start(listener: TcpListener, tls: Arc<rustls::ServerConfig>, shutdown: &Shutdown) -> Self {
        let (done, ready) = mpsc::channel(16);
        let address = listener.local_addr().unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)));
        let acceptor = TlsAcceptor::from(tls);
        let stop = shutdown.clone();
        shutdown.spawn(async move {
            tokio::select! {
                () = stop.begun() => {}
                () = accept(listener, acceptor, done) => {}
            }
        });
        Self { ready, address }
    }
}

impl Listener for Secured {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(connection) => connection,
            // The accept loop ended, so the process stops, and the graceful shutdown ends this wait.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        Ok(self.address)
    }
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    done: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    let handshakes = Arc::new(Semaphore::new(MOST_HANDSHAKES));
    loop {
        let Ok(permit) = Arc::clone(&handshakes).acquire_owned().await else { return };
        let (socket, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept an HTTPS connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        // Small messages of a WebSocket must not wait for more; an error leaves them waiting.
        let _ = socket.set_nodelay(true);
        let (acceptor, done) = (acceptor.clone(), done.clone());
        tokio::spawn(async move {
            let _held = permit;
            if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(socket)).await {
                // An error says that the server stops.
                let _ = done.send((stream, peer)).await;
            }
        });
    }
}

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Handshakes under way at once; more wait in the kernel's backlog.
const MOST_HANDSHAKES: usize = 256;
