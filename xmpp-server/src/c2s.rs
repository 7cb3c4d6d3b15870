//! Connections of clients — RFC 6120 §5 (STARTTLS), XEP-0368 (direct TLS).
//!
//! In    a socket, or what carries a stream in its place. Out a bound session ([`crate::session`]), or the end.
//! State none of its own: [`login`] has what is known before the resource is bound.
//! Errors a handshake that fails, or takes longer than `xmpp.login_timeout`, closes the socket; all else the login says.

mod binding;
pub(crate) mod bosh;
mod login;
pub(crate) mod oauth;
pub(crate) mod register;
mod sasl;
mod upgrade;
pub(crate) mod websocket;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::LazyConfigAcceptor;
use tracing::Instrument;
use xmpp_core::stream::{CLOSE, Negotiation, StreamCondition, StreamError, print_header};

use crate::admission::{CROWDED, Stage};
use crate::half_open::Place;
use crate::labels::StreamSpan;
use crate::server::Server;
use crate::session;
use binding::Binding;
pub(crate) use binding::{is_welcome, tls_of, xmpp_names};
use login::{Connection, Proven};
pub use sasl::{PlainFor, ScramName};
pub(crate) use upgrade::SPEC as UPGRADES;

/// When TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Security {
    /// When the client asks.
    StartTls,
    /// With the first byte.
    Direct,
    /// It is the affair of what carries the stream.
    Outside {
        /// Whether that is TLS.
        is_protected: bool,
    },
}

/// A socket of any kind.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// Serves one connection to its end. Its place among those that proved nothing is free when it did.
pub(crate) async fn serve(
    server: Arc<Server>,
    socket: Box<dyn Io>,
    (peer, place): (SocketAddr, Place),
    security: Security,
) {
    server.metrics.unproven.inc();
    // In boxes, which are gone when the session begins: it lasts much longer.
    let login = tokio::select! {
        biased;
        login = Box::pin(log_in(&server, socket, (peer, &place), security)) => login,
        () = place.left() => {
            server.metrics.refused_connections.inc();
            None
        }
    };
    server.metrics.unproven.dec();
    drop(place);
    match login {
        Some(Proven::Bound(login)) => {
            let span = StreamSpan { stream: &login.stream, account: login.identity.account }.open();
            // A task of its own: what the login needed is gone while the session lasts.
            let session = session::run(Arc::clone(&server), login).instrument(span);
            server.shutdown.spawn(session);
        }
        Some(Proven::Back(session, takeover)) => session.take_over(takeover),
        None => {}
    }
}

async fn log_in(
    server: &Server,
    socket: Box<dyn Io>,
    who: (SocketAddr, &Place),
    security: Security,
) -> Option<Proven> {
    let deadline = Instant::now() + server.config.login_timeout;
    match security {
        Security::StartTls => Connection::new(server, socket, who, deadline, None).log_in().await,
        Security::Outside { is_protected } => {
            // There is nothing of the TLS connection to bind to here.
            let binding = is_protected.then(Binding::default);
            let mut connection = Connection::new(server, socket, who, deadline, binding);
            connection.has_starttls = false;
            connection.negotiation = Negotiation::new(connection.offer());
            connection.log_in().await
        }
        Security::Direct => {
            let (io, binding) = Box::pin(accept_tls(server, socket, who.1, deadline)).await?;
            Connection::new(server, io, who, deadline, Some(binding)).log_in().await
        }
    }
}

async fn accept_tls(
    server: &Server,
    socket: impl Io + 'static,
    place: &Place,
    deadline: Instant,
) -> Option<(Box<dyn Io>, Binding)> {
    let hello = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), socket);
    let hello = timeout_at(deadline, hello).await.ok()?.ok()?;
    // Here are its signature and its key exchange; what follows is cheap, and waits for the client.
    #[expect(clippy::async_yields_async, reason = "the rest has no turn")]
    let begun = async { hello.into_stream(Arc::clone(&server.tls_c2s)) };
    let stream = place.served(server.admission.turn(Stage::Handshake, begun)).await;
    let stream = stream.inspect_err(|_| server.metrics.refused_connections.inc()).ok()?;
    let stream = timeout_at(deadline, stream).await.ok()?.ok()?;
    // RFC 7590 §3.6: an operator can see what protects whom.
    let connection = stream.get_ref().1;
    let (version, suite) = (connection.protocol_version(), connection.negotiated_cipher_suite());
    tracing::debug!(?version, suite = ?suite.map(|suite| suite.suite()), "a client's connection is encrypted");
    let binding = Binding::of(server, &stream);
    let io: Box<dyn Io> = Box::new(stream);
    let binding = timeout_at(deadline, binding.judged(server)).await.ok()?;
    Some((io, binding))
}

/// Says to a client for which there is no room that it is so (RFC 6120 §4.9.3.17), if its socket takes that at once, and nobody
/// keeps it out for good. A few are listened to meanwhile, whose header would else reset what they are told.
pub(crate) async fn turn_away(
    server: Arc<Server>,
    mut socket: TcpStream,
    peer: SocketAddr,
    security: Security,
) {
    let Ok(_place) = server.admission.farewells.try_acquire() else { return };
    if security != Security::StartTls || server.auth.bans.keeps_out(peer.ip()) {
        return;
    }
    let mut out = String::new();
    print_header(&server.domain, &server.new_id(), None, &mut out);
    out.push_str(&StreamError::because(StreamCondition::ResourceConstraint, CROWDED).print());
    out.push_str(CLOSE);
    if socket.try_write(out.as_bytes()).is_ok() {
        close(&mut socket).await;
        linger(&mut socket).await;
    }
}

/// Reads what the peer still sends. A socket that is closed over unread bytes is reset, and takes the stream error that
/// is on its way with it.
pub(crate) async fn linger(io: &mut (impl AsyncRead + Unpin)) {
    let (mut rest, mut nowhere) = (io.take(MOST_LINGERED), tokio::io::sink());
    let _ = timeout(LINGERING, tokio::io::copy(&mut rest, &mut nowhere)).await; // who goes on talking is cut off
}

/// Says goodbye to a socket.
pub(crate) async fn close(io: &mut (impl AsyncWrite + Unpin)) {
    let _ = timeout(std::time::Duration::from_secs(2), io.shutdown()).await; // the peer may be gone
}

/// How long, and how much, a peer may go on talking after the stream's end.
const LINGERING: std::time::Duration = std::time::Duration::from_secs(1);
const MOST_LINGERED: u64 = 1_048_576;
/// How long a write may wait for the peer's window.
pub(crate) const WRITE_PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);
