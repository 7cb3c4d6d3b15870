//! Whether relays relay — XEP-0215 (what clients are told), RFC 8656 §7 (Allocate), RFC 8489 §9.2 (its proof): a call out of a network
//! that lets nothing in needs one.
//!
//! In    what the running service hands an account of its main domain: STUN and TURN servers, a name and a password.
//! Out   a place at each TURN server, taken and given back; an answer of each STUN server.
//! Errors what each server said; a name or a password that it refuses means another secret there than in `xmpp.turn.secret_file`.
//! Not here: what a server lets through; networks between it and clients.

mod stun;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio_rustls::TlsConnector;

use super::chat::{PATIENCE, Talk};
use super::patient::Patient;
use super::{Findings, Ward};
use stun::{Method, Request, Response};

pub(super) async fn check(ward: &Ward, found: &mut Findings) {
    if ward.running.is_none() {
        return found.no_server();
    }
    if ward.relays == 0 {
        return found.note(
            "no STUN or TURN server is told to clients: calls between networks that let nothing in have no sound",
            "run a TURN server, and name it in xmpp.turn.services",
        );
    }
    let (Ok((auth, _)), Ok(Some(_))) = (&ward.auth, &ward.tls) else {
        return found.unchecked("not checked: the store or the certificate cannot be read");
    };
    if ward.reach("xmpp.c2s_tls").is_none() {
        return found.note("not tried: xmpp.c2s_tls listens nowhere, and clients learn of relays there", "");
    }
    let patient = match ward.patients.admit(auth, ward.domains.main()).await {
        Ok(patient) => patient,
        Err(error) => return found.unchecked(format!("no account to ask with could be made: {error}")),
    };
    let told = tokio::time::timeout(PATIENCE, ask(ward, &patient)).await;
    // First, since relays may be slow; a password for them is good without the account.
    if let Err(error) = patient.discharge(auth).await {
        found.warning(
            format!("the account that asked could not be removed: {error}"),
            "the next look takes it away, and so does a start of the server",
        );
    }
    let services = match told.unwrap_or_else(|_| Err("chat did not answer in time".to_owned())) {
        Ok(services) => services,
        Err(what) => return found.error(what, super::patient::LOG),
    };
    if services.is_empty() {
        return found.error(
            "clients are told of no STUN or TURN server, though xmpp.turn.services names some",
            "restart the server, which reads its configuration then",
        );
    }
    for service in services.iter().take(MOST) {
        let tried = tokio::time::timeout(PATIENCE, service.attempt(ward)).await;
        match tried.unwrap_or_else(|_| Err(Fault::Silent("no answer in time".to_owned()))) {
            Ok(said) => found.ok(format!("{} {said}", service.name())),
            Err(fault) => found.error(format!("{}: {fault}", service.name()), fault.remedy()),
        }
    }
}

/// A server as clients are told of it.
#[derive(Debug, PartialEq, Eq)]
struct Service {
    kind: String,
    host: String,
    port: u16,
    is_udp: bool,
    /// A name and a password.
    credentials: Option<(String, String)>,
}

/// Why a server is of no use.
#[derive(Debug, PartialEq, Eq)]
enum Fault {
    /// Nothing came.
    Silent(String),
    /// It does not take the name and the password.
    Refused(u16, String),
    /// It takes them, and has no place.
    NoPlace(u16, String),
    /// Clients get nothing to prove themselves with.
    NoPassword,
    /// What came means nothing.
    Nonsense,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Silent(why) => f.write_str(why),
            Self::Refused(code, words) => {
                write!(f, "it refuses the name and the password that clients get: {code} {words}")
            }
            Self::NoPlace(code, words) => write!(f, "it gives no place: {code} {words}"),
            Self::NoPassword => f.write_str("it asks for a password, and clients get none"),
            Self::Nonsense => f.write_str("what it answers is no STUN"),
        }
    }
}

impl Fault {
    fn remedy(&self) -> &'static str {
        match self {
            Self::Silent(_) => {
                "see that it runs, and that its port is open; then look at its name in the DNS"
            }
            Self::Refused(..) => {
                "give both the same secret: static-auth-secret there, the first line of xmpp.turn.secret_file here; and the same time"
            }
            Self::NoPlace(..) => "look at its quotas, and at its range of ports",
            Self::NoPassword => "name a file with its secret in xmpp.turn.secret_file",
            Self::Nonsense => "see whose port it is that xmpp.turn.services names",
        }
    }
}

/// XEP-0215 §3.1.
async fn ask(ward: &Ward, patient: &Patient) -> Result<Vec<Service>, String> {
    let mut line = Talk::log_in(ward, patient).await?;
    let domain = patient.aor.domain();
    line.say(&format!("<iq type='get' id='r' to='{domain}'><services xmlns='urn:xmpp:extdisco:2'/></iq>"))
        .await?;
    line.until("</iq>", "no list of STUN and TURN servers came").await?;
    let services = line.heard().split("<service ").skip(1).filter_map(Service::read).collect();
    line.say("</stream:stream>").await?;
    Ok(services)
}

impl Service {
    /// From the attributes of its element, as our server prints them.
    fn read(text: &str) -> Option<Self> {
        let text = text.split('>').next()?;
        let value = |name: &str| {
            let (_, rest) = text.split_once(&format!("{name}="))?;
            let quote = rest.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
            rest[1..].split(quote).next().map(str::to_owned)
        };
        Some(Self {
            kind: value("type")?,
            host: value("host")?,
            port: value("port")?.parse().ok()?,
            is_udp: value("transport").as_deref() == Some("udp"),
            credentials: value("username").zip(value("password")),
        })
    }

    fn name(&self) -> String {
        let way = if self.is_udp { "udp" } else { "tcp" };
        format!("{}:{}:{} ({way})", self.kind, self.host, self.port)
    }

    /// What it gave.
    async fn attempt(&self, ward: &Ward) -> Result<String, Fault> {
        let mut line = Line::to(self, ward).await.map_err(|error| Fault::Silent(error.to_string()))?;
        if !self.kind.starts_with("turn") {
            let seen = line.ask(Method::Binding, |request| request).await?;
            let mapped = seen.mapped.ok_or(Fault::Nonsense)?;
            return Ok(format!("sees this machine come from {mapped}"));
        }
        let first = line.ask(Method::Allocate, Request::for_udp).await?;
        let Some((code, words)) = first.error.clone() else {
            let relayed = first.relayed.ok_or(Fault::Nonsense)?;
            return Ok(format!("relays at {relayed}, for everybody and without a password"));
        };
        if code != 401 || first.realm.is_empty() {
            return Err(Fault::NoPlace(code, words));
        }
        let (user, password) = self.credentials.as_ref().ok_or(Fault::NoPassword)?;
        let key = stun::key(user, &first.realm, password);
        let second =
            line.ask(Method::Allocate, |request| request.for_udp().proven(user, &key, &first)).await?;
        match second.error {
            Some((code @ (400 | 401 | 403 | 431 | 441), words)) => return Err(Fault::Refused(code, words)),
            Some((code, words)) => return Err(Fault::NoPlace(code, words)),
            None => {}
        }
        let relayed = second.relayed.ok_or(Fault::Nonsense)?;
        // RFC 8656 §8: the place is given back; if that is not heard, it ends by itself in ten minutes.
        let _ = line.ask(Method::Refresh, |request| request.lasting(0).proven(user, &key, &first)).await;
        Ok(format!("relays at {relayed} with the name and the password that clients get"))
    }
}

/// A way to a server.
enum Line {
    Udp(UdpSocket),
    Stream(Box<dyn Both>),
}

trait Both: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Both for T {}

impl Line {
    async fn to(service: &Service, ward: &Ward) -> io::Result<Self> {
        let place = (service.host.as_str(), service.port);
        if service.is_udp {
            let mut all = tokio::net::lookup_host(place).await?;
            let server = all.next().ok_or_else(|| io::Error::other("its name has no address"))?;
            let own: SocketAddr = match server {
                SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
                SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
            };
            let socket = UdpSocket::bind(own).await?;
            socket.connect(server).await?;
            return Ok(Self::Udp(socket));
        }
        let stream = TcpStream::connect(place).await?;
        if !service.kind.ends_with("ns") {
            return Ok(Self::Stream(Box::new(stream)));
        }
        let Ok(Some(tls)) = &ward.tls else { return Err(io::Error::other("the certificate cannot be read")) };
        let name = ServerName::try_from(service.host.clone()).map_err(io::Error::other)?;
        let stream = TlsConnector::from(tls.client(&[])).connect(name, stream).await?;
        Ok(Self::Stream(Box::new(stream)))
    }

    /// One request and its response.
    async fn ask(
        &mut self,
        method: Method,
        build: impl FnOnce(Request) -> Request,
    ) -> Result<Response, Fault> {
        let silent = |error: io::Error| Fault::Silent(error.to_string());
        let random =
            [shared_runtime::random().to_be_bytes(), shared_runtime::random().to_be_bytes()].concat();
        let mut transaction = [0; 12];
        transaction.copy_from_slice(&random[..12]);
        let request = build(Request::new(method, transaction));
        let read = |bytes: &[u8]| stun::read(bytes, method, request.transaction);
        match self {
            Self::Udp(socket) => {
                let mut bytes = [0; LONGEST];
                // RFC 8489 §6.2.1: again after 500 ms, and after twice as long each time.
                let mut pause = Duration::from_millis(500);
                loop {
                    socket.send(request.bytes()).await.map_err(silent)?;
                    let until = tokio::time::Instant::now() + pause;
                    while let Ok(came) = tokio::time::timeout_at(until, socket.recv(&mut bytes)).await {
                        if let Some(response) = read(&bytes[..came.map_err(silent)?]) {
                            return Ok(response);
                        }
                    }
                    pause *= 2;
                }
            }
            Self::Stream(stream) => {
                stream.write_all(request.bytes()).await.map_err(silent)?;
                stream.flush().await.map_err(silent)?;
                let mut bytes = vec![0; stun::HEADER];
                stream.read_exact(&mut bytes).await.map_err(silent)?;
                let length =
                    stun::length(&bytes).filter(|length| *length <= LONGEST).ok_or(Fault::Nonsense)?;
                bytes.resize(length, 0);
                stream.read_exact(&mut bytes[stun::HEADER..]).await.map_err(silent)?;
                read(&bytes).ok_or(Fault::Nonsense)
            }
        }
    }
}

/// Servers that are tried.
const MOST: usize = 16;
/// Bytes of a response.
const LONGEST: usize = 2048;
