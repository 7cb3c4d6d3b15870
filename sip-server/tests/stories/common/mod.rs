//! A server with an empty store on free ports, and phones that speak raw SIP.

mod away;
mod line;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use shared_auth::{Auth, NewAccount, Profile};
use shared_model::{
    Announcements, Aor, Availability, BareJid, CalledBy, Domains, Fact, Mailboxes, MayRing, Notices, Pending,
    Visibility, idn,
};
use shared_runtime::Shutdown;
use shared_runtime::bus::Bus;
use shared_runtime::tls::{self, TlsPolicy};
use shared_store::Store;
use sip_core::Message;
use sip_core::header::{AuthParams, Name};
use sip_server::{Config, Hosted, Needs, SipServer};
use tokio::time::timeout;

pub(crate) use away::that_may_be_away;
pub(crate) use line::Line;

pub(crate) const DOMAIN: &str = "example.org";
/// In a data folder, the roots of clients.
pub(crate) const CLIENT_CA: &str = "clients.pem";
/// In a data folder, the roots of other servers.
pub(crate) const TRUST: &str = "trust.pem";
/// In a data folder, a certificate and its key, where the server has one of another's making.
pub(crate) const CERTIFICATE: [&str; 2] = ["server.pem", "server.key"];
pub(crate) const PASSWORD: &str = "correct horse";
/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

static SERIAL: AtomicU32 = AtomicU32::new(0);

/// A running server.
pub(crate) struct Served {
    pub(crate) server: SipServer,
    pub(crate) store: Store,
    pub(crate) auth: Auth,
    pub(crate) bus: Bus<Fact>,
    pub(crate) told: Arc<Told>,
    pub(crate) shutdown: Shutdown,
    /// What comes before it.
    pub(crate) goodbye: Shutdown,
    /// Who vouches for its TLS certificate.
    pub(crate) roots: rustls::RootCertStore,
    folder: PathBuf,
}

impl Served {
    /// Ends it and starts another over the same store and data folder, as after a crash.
    pub(crate) async fn restart(self) -> Self {
        self.restart_with(Config::default()).await
    }

    /// As [`Served::restart`], with this configuration but for its listeners.
    pub(crate) async fn restart_with(self, config: Config) -> Self {
        self.shutdown.begin();
        let (store, folder) = (self.store.clone(), self.folder.clone());
        // What is left of the first must not take the folder away.
        std::mem::forget(self);
        serve_in(store, folder, config).await
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.shutdown.begin();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A chat half in which carol is not to be disturbed by alice, nor alice by carol, and bob has blocked carol.
struct Chat;

impl Availability for Chat {
    fn may_ring<'a>(&'a self, callee: &'a BareJid, caller: CalledBy<'a>) -> Pending<'a, MayRing> {
        let caller = match caller {
            CalledBy::Unknown => None,
            CalledBy::Hidden(caller) | CalledBy::Shown(caller) => Some(caller.local()),
        };
        let answer = match (callee.local(), caller) {
            ("carol.chat", Some("alice.chat")) | ("alice.chat", Some("carol.chat")) => MayRing::DoNotDisturb,
            ("bob.chat", Some("carol.chat")) => MayRing::Blocked,
            _ => MayRing::Yes,
        };
        Box::pin(async move { answer })
    }
}

/// What the chat half was told to say; a question is answered with the next of the answers.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) said: std::sync::Mutex<Vec<String>>,
    pub(crate) answers: std::sync::Mutex<Vec<Option<&'static str>>>,
}

impl Told {
    /// What was said since the last time, with the JIDs.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.said.lock().unwrap())
    }
}

impl Notices for Told {
    fn tell<'a>(&'a self, to: &'a BareJid, text: &'a str) -> Pending<'a, ()> {
        self.said.lock().unwrap().push(format!("{to}: {text}"));
        Box::pin(async {})
    }

    fn ask<'a>(&'a self, to: &'a BareJid, text: &'a str, patience: Duration) -> Pending<'a, Option<String>> {
        self.said.lock().unwrap().push(format!("{to}? {text}"));
        let answer = self.answers.lock().unwrap().pop();
        Box::pin(async move {
            match answer {
                Some(answer) => answer.map(str::to_owned),
                // Nobody answers: what asks has to end by itself.
                None => {
                    tokio::time::sleep(patience).await;
                    None
                }
            }
        })
    }
}

/// Starts a server with alice, bob and carol. The JIDs are other names than the addresses of record.
pub(crate) async fn serve() -> Served {
    serve_with(Config::default()).await
}

/// As [`serve`], with this configuration but for its listeners.
pub(crate) async fn serve_with(config: Config) -> Served {
    let served = serve_in(Store::in_memory(), new_folder(), config).await;
    served.populate().await;
    served
}

impl Served {
    /// Makes alice, bob and carol.
    pub(crate) async fn populate(&self) {
        for name in ["alice", "bob", "carol"] {
            let (aor, jid) =
                (Aor::new(name, DOMAIN).unwrap(), BareJid::new(&format!("{name}.chat"), DOMAIN).unwrap());
            let number = format!("+155501{}", name.as_bytes()[0]);
            let profile = Profile { numbers: vec![number], ..Profile::default() };
            self.auth.book.create(NewAccount { aor, jid, profile }, PASSWORD).await.unwrap();
        }
    }
}

/// Starts a server over this store.
pub(crate) async fn serve_over(store: Store) -> Served {
    serve_in(store, new_folder(), Config::default()).await
}

/// Starts a server of this domain over this store.
pub(crate) async fn serve_domain(domain: &str, store: Store) -> Served {
    start(domain, store, new_folder(), Config::default()).await
}

/// A data folder of this test alone.
pub(crate) fn new_folder() -> PathBuf {
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("cusax-sip-{}-{serial}", std::process::id()))
}

/// Starts a server over this store and data folder.
pub(crate) async fn serve_in(store: Store, folder: PathBuf, sip: Config) -> Served {
    start(DOMAIN, store, folder, sip).await
}

pub(crate) async fn start(domain: &str, store: Store, folder: PathBuf, sip: Config) -> Served {
    start_with(domain, store, folder, sip, Behind::default()).await
}

/// What else of the process is behind the proxy.
#[derive(Default)]
pub(crate) struct Behind {
    pub(crate) hosted: Vec<Hosted>,
    pub(crate) mailboxes: Option<Arc<dyn Mailboxes>>,
    pub(crate) announcements: Option<Arc<dyn Announcements>>,
    /// By whom accounts are found; every account of their domain, if nobody says.
    pub(crate) visibility: Option<Arc<dyn Visibility>>,
    /// Domains of accounts besides the main one.
    pub(crate) domains: Vec<&'static str>,
    /// What becomes of chat there.
    pub(crate) chat: HashMap<String, sip_server::Chat>,
}

/// Starts a server that has this behind it.
pub(crate) async fn start_with(
    domain: &str,
    store: Store,
    folder: PathBuf,
    sip: Config,
    behind: Behind,
) -> Served {
    tls::install_provider();
    let (bus, registry) = (Bus::new(), prometheus::Registry::new());
    let (shutdown, goodbye) = (Shutdown::new(), Shutdown::new());
    let config = shared_auth::Config { iterations: 4096, ..shared_auth::Config::default() };
    std::fs::create_dir_all(&folder).unwrap();
    let auth = Auth::open(&config, &store, &folder, &bus, &registry).unwrap();
    let given = |name: &str| Some(folder.join(name)).filter(|file| file.exists());
    // Whose CA is there proves its clients.
    let (client_ca, trust) = (given(CLIENT_CA), given(TRUST));
    let [certificate, key] = CERTIFICATE.map(given);
    let config = tls::Config { client_ca, trust, certificate, key, ..tls::Config::default() };
    let tls = TlsPolicy::open(&config, &folder, &[idn::to_ascii(domain).into_owned()]).unwrap();
    let any = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    let notices = Arc::new(Told::default());
    let server = SipServer::start(Needs {
        config: Config { udp: any.clone(), tcp: any.clone(), tls: any, ..sip },
        domains: Domains::new(domain, behind.domains),
        chat: behind.chat,
        auth: auth.clone(),
        store: store.clone(),
        bus: bus.clone(),
        tls: &tls,
        registry: &registry,
        hosted: behind.hosted,
        services: Domains::new(&format!("pubsub.{domain}"), ["guests.elsewhere.example"]),
        mailboxes: behind.mailboxes,
        announcements: behind.announcements,
        availability: Some(Arc::new(Chat)),
        notices: Some(Arc::clone(&notices) as _),
        visibility: behind.visibility.unwrap_or_else(|| Arc::new(())),
        goodbye: goodbye.clone(),
        shutdown: shutdown.clone(),
    })
    .await
    .unwrap();
    let roots = tls.roots();
    Served { server, store, auth, bus, told: notices, shutdown, goodbye, roots, folder }
}

/// A phone on a socket of its own.
pub(crate) struct Phone {
    pub(crate) name: String,
    pub(crate) line: Line,
    /// Whose domain it is of.
    pub(crate) domain: &'static str,
    server: SocketAddr,
    serial: AtomicU32,
}

impl Phone {
    pub(crate) async fn new(name: &str, served: &Served) -> Self {
        Self::over(name, served, Line::udp(served.server.bound().udp[0]).await)
    }

    /// A phone on a connection of its own.
    pub(crate) async fn over_tcp(name: &str, served: &Served) -> Self {
        Self::over(name, served, Line::tcp(served.server.bound().tcp[0]).await)
    }

    pub(crate) fn over(name: &str, served: &Served, line: Line) -> Self {
        let (name, server) = (name.to_owned(), served.server.bound().udp[0]);
        Self { name, line, domain: DOMAIN, server, serial: AtomicU32::new(1) }
    }

    /// Somebody who is there before the server is.
    pub(crate) async fn alone(name: &str) -> Self {
        let line = Line::udp(SocketAddr::from(([127, 0, 0, 1], 0))).await;
        let (name, server) = (name.to_owned(), line.local());
        Self { name, line, domain: DOMAIN, server, serial: AtomicU32::new(1) }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.line.local()
    }

    /// A phone that is registered.
    pub(crate) async fn registered(name: &str, served: &Served) -> Self {
        let phone = Self::new(name, served).await;
        assert_eq!(phone.register("3600").await.status(), 200);
        phone
    }

    /// Its address of record.
    pub(crate) fn aor(&self) -> String {
        format!("sip:{}@{}", self.name, self.domain)
    }

    pub(crate) fn contact(&self) -> String {
        format!("sip:{}@{}{}", self.name, self.line.local(), self.line.param())
    }

    /// Sends to another server from now on.
    pub(crate) fn move_to(&mut self, served: &Served) {
        self.server = served.server.bound().udp[0];
    }

    /// A request of this phone, outside any dialog.
    pub(crate) fn request(&self, method: &str, uri: &str, to: &str) -> Message {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let at = self.line.local();
        let mut request = Message::request(method, uri);
        request.push(
            Name::Via,
            &format!(
                "SIP/2.0/{} {at};rport;branch=z9hG4bK{}{serial}{}",
                self.line.via(),
                self.name,
                at.port()
            ),
        );
        request.push(Name::MaxForwards, "70");
        request.push(Name::From, &format!("<{}>;tag={}{serial}", self.aor(), self.name));
        request.push(Name::To, &format!("<{to}>"));
        request.push(Name::CallId, &format!("{}-{serial}-{}", self.name, at.port()));
        request.push(Name::CSeq, &format!("{serial} {method}"));
        request.push(Name::Contact, &format!("<{}>", self.contact()));
        request.push(Name::ContentLength, "0");
        request
    }

    pub(crate) async fn send(&self, message: &Message) {
        self.send_text(&message.to_bytes()).await;
    }

    pub(crate) async fn send_text(&self, text: &[u8]) {
        self.line.send(text, self.server).await;
    }

    /// The next message, 100 passed over.
    pub(crate) async fn receive(&self) -> Message {
        loop {
            let bytes = timeout(PATIENCE, self.line.receive()).await.unwrap_or_else(|_| {
                panic!("{} got nothing", self.name);
            });
            // The answer to a request without a CSeq has none either, and is read as far as it goes.
            let message = Message::parse(bytes).unwrap_or_else(|malformed| *malformed.readable.unwrap());
            if message.status() != 100 {
                return message;
            }
        }
    }

    /// The next message, which is this response or request.
    pub(crate) async fn expect(&self, what: &str) -> Message {
        let message = self.receive().await;
        let is =
            if message.is_request() { message.method().to_owned() } else { message.status().to_string() };
        assert_eq!(is, what, "{}: {}", self.name, String::from_utf8_lossy(&message.to_bytes()));
        message
    }

    /// Answers a request.
    pub(crate) async fn respond(&self, request: &Message, status: u16) {
        let mut response = Message::response(request, status, "");
        response.ensure_to_tag(&format!("{}tag", self.name));
        for route in request.values(Name::RecordRoute) {
            response.push(Name::RecordRoute, route);
        }
        response.push(Name::Contact, &format!("<{}>", self.contact()));
        self.send(&response).await;
    }

    /// Sends a request, answers its challenge, and waits for the answer.
    pub(crate) async fn ask(&self, request: Message, password: &str) -> Message {
        let (answer, _) = self.ask_with(request, password).await;
        answer
    }

    /// As [`Phone::ask`], with the request that was answered at last.
    pub(crate) async fn ask_with(&self, mut request: Message, password: &str) -> (Message, Message) {
        self.send(&request).await;
        let first = self.receive().await;
        let (from, to) = match first.status() {
            401 => (Name::WwwAuthenticate, Name::Authorization),
            407 => (Name::ProxyAuthenticate, Name::ProxyAuthorization),
            _ => return (first, request),
        };
        if request.method() == "INVITE" {
            self.send(&Message::ack(&request, &first)).await;
        }
        let credentials = first
            .values(from)
            .find(|challenge| challenge.contains("algorithm=SHA-256"))
            .map(|challenge| self.credentials(challenge, &request, password))
            .expect("a challenge of SHA-256");
        request.push(to, &credentials);
        let (number, method) = request.cseq().map(|(number, method)| (number, method.to_owned())).unwrap();
        request.set(Name::CSeq, &format!("{} {method}", number + 1_000));
        let via = request.pop_front(Name::Via).unwrap().replace("z9hG4bK", "z9hG4bKagain");
        request.push_front(Name::Via, &via);
        self.send(&request).await;
        let answer = self.receive().await;
        if request.method() == "INVITE" && answer.status() >= 300 {
            self.send(&Message::ack(&request, &answer)).await; // or it comes again after T1
        }
        (answer, request)
    }

    /// Sends a request with credentials from the start, under a nonce that a REGISTER is given.
    pub(crate) async fn ask_proving(&self, mut request: Message, password: &str) -> Message {
        let probe = self.request("REGISTER", &format!("sip:{}", self.domain), &self.aor());
        self.send(&probe).await;
        let challenge = self.expect("401").await;
        let challenge =
            challenge.values(Name::WwwAuthenticate).find(|text| text.contains("algorithm=SHA-256"));
        let credentials = self.credentials(challenge.unwrap(), &request, password);
        request.push(Name::ProxyAuthorization, &credentials);
        self.send(&request).await;
        self.receive().await
    }

    /// The same request with an answer to a challenge.
    pub(crate) fn proving(&self, mut request: Message, challenge: &Message) -> Message {
        let name = if challenge.status() == 401 { Name::WwwAuthenticate } else { Name::ProxyAuthenticate };
        let asked = challenge.values(name).find(|text| text.contains("algorithm=SHA-256")).unwrap();
        let credentials = self.credentials(asked, &request, PASSWORD);
        let name = if challenge.status() == 401 { Name::Authorization } else { Name::ProxyAuthorization };
        request.push(name, &credentials);
        request
    }

    /// Registers with further parameters of the Contact.
    pub(crate) async fn register_as(&self, parameters: &str) -> Message {
        let mut request = self.request("REGISTER", &format!("sip:{}", self.domain), &self.aor());
        request.set(Name::Contact, &format!("<{}>{parameters}", self.contact()));
        self.ask(request, PASSWORD).await
    }

    /// A request inside the dialog that a 2xx began, of the side that sent the INVITE.
    pub(crate) fn in_dialog(&self, method: &str, number: u32, invite: &Message, ok: &Message) -> Message {
        let target = ok.value(Name::Contact).unwrap().trim_matches(['<', '>']);
        let mut request = self.request(method, target, "");
        let mut routes: Vec<&str> = ok.elements(Name::RecordRoute).collect();
        routes.reverse();
        if !routes.is_empty() {
            request.push(Name::Route, &routes.join(", "));
        }
        request.set(Name::From, invite.value(Name::From).unwrap());
        request.set(Name::To, ok.value(Name::To).unwrap());
        request.set(Name::CallId, invite.call_id());
        request.set(Name::CSeq, &format!("{number} {method}"));
        request
    }

    pub(crate) async fn register(&self, expires: &str) -> Message {
        let mut request = self.request("REGISTER", &format!("sip:{}", self.domain), &self.aor());
        request.push(Name::Expires, expires);
        self.ask(request, PASSWORD).await
    }

    fn credentials(&self, challenge: &str, request: &Message, password: &str) -> String {
        credentials(&self.name, challenge, request, password)
    }
}

/// What answers a challenge of SHA-256.
pub(crate) fn credentials(user: &str, challenge: &str, request: &Message, password: &str) -> String {
    let challenge = AuthParams::parse(challenge).unwrap();
    let (realm, nonce) = (challenge.value("realm").unwrap(), challenge.value("nonce").unwrap());
    let hash = |text: String| -> String {
        digest(&SHA256, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let ha1 = hash(format!("{user}:{realm}:{password}"));
    let ha2 = hash(format!("{}:{}", request.method(), request.uri()));
    let response = hash(format!("{ha1}:{nonce}:00000001:c:auth:{ha2}"));
    format!(
        "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{}\", response=\"{response}\", \
         algorithm=SHA-256, qop=auth, nc=00000001, cnonce=\"c\"",
        request.uri(),
    )
}
