//! A server with an empty store on free ports, and clients that speak raw XML.

pub(crate) mod counted;
pub(crate) mod failing;
pub(crate) mod http;
pub(crate) mod rooms;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use base64::Engine;
use shared_auth::{Auth, NewAccount, Profile};
use shared_model::{AccountId, Aor, BareJid, Domains, Fact, FoundBy, Pending, Unavailable, Visibility};
use shared_runtime::Shutdown;
use shared_runtime::bus::Bus;
use shared_runtime::tls::{self, TlsPolicy};
use shared_store::Store;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use xmpp_core::xml::{Frame, Framer, Limits};
use xmpp_server::{Config, Parts, XmppServer};

/// The domain of all tests.
pub(crate) const DOMAIN: &str = "example.org";
/// The domain of its rooms.
pub(crate) const ROOMS: &str = "conference.example.org";
/// Everybody's password.
pub(crate) const PASSWORD: &str = "correct horse";
/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

static SERIAL: AtomicU32 = AtomicU32::new(0);

/// What the first element of this name says in an attribute.
pub(crate) fn attribute(xml: &str, element: &str, name: &str) -> String {
    let after = |text: &str, mark: &str| text.split_once(mark).map(|(_, rest)| rest.to_owned());
    let rest = after(xml, &format!("<{element}")).and_then(|rest| after(&rest, &format!(" {name}='")));
    rest.and_then(|rest| rest.split('\'').next().map(str::to_owned))
        .unwrap_or_else(|| panic!("no {name} of {element} in {xml}"))
}

/// A running server.
pub(crate) struct Served {
    pub(crate) server: XmppServer,
    pub(crate) store: Store,
    pub(crate) auth: Auth,
    pub(crate) bus: Bus<Fact>,
    pub(crate) tls: TlsPolicy,
    pub(crate) shutdown: Shutdown,
    pub(crate) folder: PathBuf,
    pub(crate) registry: prometheus::Registry,
    pub(crate) domain: String,
}

/// What makes one server differ from others.
pub(crate) struct Site {
    pub(crate) domain: &'static str,
    /// Further domains of accounts.
    pub(crate) others: Vec<&'static str>,
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) tls: tls::Config,
    pub(crate) name_servers: Vec<SocketAddr>,
}

impl Default for Site {
    fn default() -> Self {
        Self {
            domain: DOMAIN,
            others: Vec::new(),
            config: Config { s2s: Vec::new(), ..Config::default() },
            store: Store::in_memory(),
            tls: tls::Config::default(),
            name_servers: Vec::new(),
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Starts a server with alice, bob and carol.
pub(crate) async fn serve() -> Served {
    serve_with(Config::default(), Store::in_memory()).await
}

/// Starts a server with these bounds over this store.
pub(crate) async fn serve_with(config: Config, store: Store) -> Served {
    serve_site(Site { config: Config { s2s: Vec::new(), ..config }, store, ..Site::default() }).await
}

/// Starts a server that may have others beside it.
pub(crate) async fn serve_site(site: Site) -> Served {
    tls::install_provider();
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("cusax-xmpp-{}-{serial}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    serve_in(folder, site).await
}

/// Starts a server over the store of another, with its key file.
pub(crate) async fn serve_again(other: &Served, config: Config) -> Served {
    serve_over(other, config, other.store.clone()).await
}

/// Starts a server over the store of another in another's hands, with its key file.
pub(crate) async fn serve_over(other: &Served, config: Config, store: Store) -> Served {
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("cusax-xmpp-{}-{serial}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy(other.folder.join("auth.key"), folder.join("auth.key")).unwrap();
    let config = Config { s2s: Vec::new(), ..config };
    serve_in(folder, Site { config, store, ..Site::default() }).await
}

async fn serve_in(folder: PathBuf, site: Site) -> Served {
    let Site { domain, others, config, store, tls, name_servers } = site;
    let registry = prometheus::Registry::new();
    let bus = Bus::new();
    let auth = Auth::open(&shared_auth::Config::default(), &store, &folder, &bus, &registry).unwrap();
    for (name, number) in [("alice", "+33123456789"), ("bob", "+33123456780"), ("carol", "+33123456781")] {
        let aor: Aor = format!("{name}@sip.{domain}").parse().unwrap();
        let jid: BareJid = format!("{name}@{domain}").parse().unwrap();
        let numbers = vec![number.to_owned()];
        let profile = Profile { name: name.to_owned(), numbers, video: false, admin: false };
        let _ = auth.book.create(NewAccount { aor, jid, profile }, PASSWORD).await; // there is one after a restart
    }
    let rooms_domain = format!("conference.{domain}");
    let names: Vec<String> =
        [domain, &rooms_domain].into_iter().chain(others.iter().copied()).map(str::to_owned).collect();
    let tls = TlsPolicy::open(&tls, &folder, &names).unwrap();
    let shutdown = Shutdown::new();
    let free = vec!["127.0.0.1:0".parse().unwrap()];
    let config = Config { c2s: free.clone(), c2s_tls: free, ..config };
    let parts = Parts {
        config,
        data_dir: folder.clone(),
        domains: Domains::new(domain, others),
        rooms_domain,
        name_servers,
        auth: auth.clone(),
        store: store.clone(),
        tls: tls.clone(),
        bus: bus.clone(),
        registry: &registry,
        shutdown: shutdown.clone(),
    };
    let server = XmppServer::start(parts).await.unwrap();
    Served { server, store, auth, bus, tls, shutdown, registry, domain: domain.to_owned(), folder }
}

/// Says of every account the same.
pub(crate) struct Everybody(pub(crate) FoundBy);

impl Visibility for Everybody {
    fn found_by<'a>(&'a self, _: AccountId, _: &'a Aor) -> Pending<'a, Result<FoundBy, Unavailable>> {
        Box::pin(async { Ok(self.0) })
    }
}

trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// One stream.
pub(crate) struct Client {
    io: Box<dyn Io>,
    framer: Framer,
    domain: String,
    /// The channel binding of a TLS connection.
    pub(crate) exporter: Vec<u8>,
}

/// A client that takes larger answers than it may send stanzas.
fn framer() -> Framer {
    Framer::new(Limits { bytes: 2 << 20, ..Limits::default() })
}

impl Client {
    /// Connects and says nothing.
    pub(crate) async fn connect(served: &Served) -> Self {
        let socket = TcpStream::connect(served.server.c2s()[0]).await.unwrap();
        Self { io: Box::new(socket), framer: framer(), domain: served.domain.clone(), exporter: Vec::new() }
    }

    /// Connects with TLS from the first byte.
    pub(crate) async fn connect_tls(served: &Served) -> Self {
        let socket = TcpStream::connect(served.server.c2s_tls()[0]).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(served.tls.client(&[b"xmpp-client"]));
        let name = rustls::pki_types::ServerName::try_from(DOMAIN).unwrap();
        let stream = connector.connect(name, socket).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"xmpp-client"[..]));
        let exporter =
            stream.get_ref().1.export_keying_material([0_u8; 32], b"EXPORTER-Channel-Binding", Some(b""));
        Self {
            io: Box::new(stream),
            framer: framer(),
            domain: served.domain.clone(),
            exporter: exporter.unwrap().to_vec(),
        }
    }

    /// Speaks over a connection that somebody else made.
    pub(crate) fn over(served: &Served, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        Self { io: Box::new(io), framer: framer(), domain: served.domain.clone(), exporter: Vec::new() }
    }

    /// The same, to another domain.
    pub(crate) fn to(self, domain: &str) -> Self {
        Self { domain: domain.to_owned(), ..self }
    }

    /// Begins the stream anew, as after a proof.
    pub(crate) async fn restart(&mut self) {
        self.framer = framer();
        self.open().await;
    }

    /// Upgrades after `<proceed/>`.
    pub(crate) async fn upgrade(self, served: &Served) -> Self {
        let connector = tokio_rustls::TlsConnector::from(served.tls.client(&[]));
        let name = rustls::pki_types::ServerName::try_from(DOMAIN).unwrap();
        let stream = connector.connect(name, self.io).await.unwrap();
        Self { io: Box::new(stream), framer: framer(), domain: self.domain, exporter: Vec::new() }
    }

    /// Logs in with PLAIN and binds a resource.
    pub(crate) async fn login(served: &Served, user: &str, resource: &str) -> Self {
        let mut client = Self::connect(served).await;
        client.authenticate(user, PASSWORD).await;
        client.bind(resource).await;
        client
    }

    /// Logs in and is available; everything that comes with it is read.
    pub(crate) async fn online(served: &Served, user: &str, resource: &str) -> Self {
        let mut client = Self::login(served, user, resource).await;
        client.send("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>").await;
        client.expect(&["id='roster'"]).await;
        client.send("<presence/>").await;
        client.expect(&["<presence", &format!("from='{user}@{}/{resource}'", served.domain)]).await;
        client
    }

    /// Opens the stream and proves who it is.
    pub(crate) async fn authenticate(&mut self, user: &str, password: &str) {
        self.open().await;
        self.prove(user, password).await;
    }

    /// Proves who it is on a stream that is open.
    pub(crate) async fn prove(&mut self, user: &str, password: &str) {
        let proof = base64::engine::general_purpose::STANDARD.encode(format!("\0{user}\0{password}"));
        self.send(&format!(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{proof}</auth>"
        ))
        .await;
        self.expect(&["<success"]).await;
        self.restart().await;
    }

    /// Binds a resource.
    pub(crate) async fn bind(&mut self, resource: &str) {
        self.send(&format!(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{resource}</resource></bind></iq>"
        ))
        .await;
        self.expect(&["id='bind'", "type='result'", resource]).await;
    }

    /// Sends a header and reads the features.
    pub(crate) async fn open(&mut self) -> String {
        self.send(&format!(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
             xmlns:stream='http://etherx.jabber.org/streams' to='{}' version='1.0'>",
            self.domain
        ))
        .await;
        self.expect(&["features"]).await
    }

    /// Sends bytes as they are.
    pub(crate) async fn send(&mut self, text: &str) {
        self.send_bytes(text.as_bytes()).await;
    }

    /// Sends bytes as they are; the peer may be gone.
    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        let _ = self.io.write_all(bytes).await;
        let _ = self.io.flush().await;
    }

    /// The next element as text; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<String> {
        loop {
            match self.framer.next().expect("the server writes XML") {
                Some(Frame::Element(head, content)) => {
                    let mut text = format!("<{} xmlns='{}'", head.name, head.ns);
                    for (name, value) in &head.attributes {
                        text.push_str(&format!(" {name}='{value}'"));
                    }
                    return Some(format!(
                        "{text}>{}</{}>",
                        String::from_utf8(content.to_vec()).unwrap(),
                        head.name
                    ));
                }
                Some(Frame::Open(_)) => {}
                Some(Frame::Close) => return None,
                None => {
                    let mut chunk = [0_u8; 4096];
                    let read = timeout(PATIENCE, self.io.read(&mut chunk))
                        .await
                        .expect("the server answers in time");
                    match read {
                        Ok(0) | Err(_) => return None,
                        Ok(length) => self.framer.push(&chunk[..length]),
                    }
                }
            }
        }
    }

    /// The next element that holds all of these; what comes before it is passed over.
    pub(crate) async fn expect(&mut self, parts: &[&str]) -> String {
        let mut passed = Vec::new();
        while let Some(text) = self.next().await {
            if parts.iter().all(|part| text.contains(part)) {
                return text;
            }
            passed.push(text);
        }
        panic!("the stream ended without {parts:?}; it said {passed:#?}");
    }

    /// Asserts that nothing came before the answer to a ping that is sent now.
    pub(crate) async fn expect_nothing(&mut self) {
        let id = format!("quiet{}", SERIAL.fetch_add(1, Ordering::Relaxed));
        let domain = &self.domain;
        self.send(&format!("<iq type='get' id='{id}' to='{domain}'><ping xmlns='urn:xmpp:ping'/></iq>"))
            .await;
        let next = self.next().await.unwrap();
        assert!(next.contains(&id), "nothing was expected, and this came: {next}");
    }

    /// Asserts that the stream ends with this error.
    pub(crate) async fn expect_stream_error(&mut self, condition: &str) {
        let error = self.expect(&["<error", "streams"]).await;
        assert!(error.contains(condition), "{condition} was expected: {error}");
        assert_eq!(self.next().await, None);
    }

    /// An iq, and what answers it.
    pub(crate) async fn ask(&mut self, type_: &str, to: &str, payload: &str) -> String {
        let id = format!("q{}", SERIAL.fetch_add(1, Ordering::Relaxed));
        let to = if to.is_empty() { String::new() } else { format!(" to='{to}'") };
        self.send(&format!("<iq type='{type_}' id='{id}'{to}>{payload}</iq>")).await;
        self.expect(&["<iq", &format!("id='{id}'")]).await
    }

    /// Enters a room and reads up to the subject.
    pub(crate) async fn enter(&mut self, room: &str, nick: &str) -> String {
        self.send(&format!(
            "<presence to='{room}/{nick}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
        ))
        .await;
        let own = self.expect(&["<presence", "code='110'"]).await;
        self.expect(&["<subject"]).await;
        own
    }
}

/// Stream management as a client does it.
impl Client {
    /// Enables it, resumable; the id of the session.
    pub(crate) async fn manage(&mut self) -> String {
        self.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>").await;
        let enabled = self.expect(&["<enabled", "resume='true'"]).await;
        enabled.split(" id='").nth(1).unwrap().split('\'').next().unwrap().to_owned()
    }

    /// Logs in and asks for an earlier session; the answer.
    pub(crate) async fn resume(served: &Served, user: &str, id: &str, h: u32) -> (Self, String) {
        let mut client = Self::connect(served).await;
        client.authenticate(user, PASSWORD).await;
        client.send(&format!("<resume xmlns='urn:xmpp:sm:3' previd='{id}' h='{h}'/>")).await;
        let answer = client.next().await.unwrap_or_default();
        (client, answer)
    }

    /// The next stanza; words of stream management are passed over.
    pub(crate) async fn stanza(&mut self) -> Option<String> {
        loop {
            match self.next().await {
                Some(text) if text.contains(" xmlns='urn:xmpp:sm:3'") && !text.starts_with("<message") => {}
                other => return other,
            }
        }
    }
}

/// Makes alice and bob see each other.
pub(crate) async fn befriend(alice: &mut Client, bob: &mut Client) {
    befriend_afar(alice, bob, "alice@example.org", "bob@example.org").await;
}

/// Makes two see each other who have these addresses.
pub(crate) async fn befriend_afar(one: &mut Client, other: &mut Client, his: &str, hers: &str) {
    let (from_one, from_other) = (format!("from='{his}'"), format!("from='{hers}'"));
    one.send(&format!("<presence type='subscribe' to='{hers}'/>")).await;
    other.expect(&["<presence", "type='subscribe'", &from_one]).await;
    other.send(&format!("<presence type='subscribed' to='{his}'/>")).await;
    one.expect(&["<presence", "type='subscribed'"]).await;
    other.send(&format!("<presence type='subscribe' to='{his}'/>")).await;
    one.expect(&["<presence", "type='subscribe'", &from_other]).await;
    one.send(&format!("<presence type='subscribed' to='{hers}'/>")).await;
    other.expect(&["<presence", "type='subscribed'"]).await;
    other.expect(&["jabber:iq:roster", "subscription='both'"]).await;
    one.expect(&["jabber:iq:roster", "subscription='both'"]).await;
}
