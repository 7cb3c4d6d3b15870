//! A served face on a free port, a store in memory, and a client that trusts the local CA.

pub(crate) mod chat;
pub(crate) mod counted;
pub(crate) mod rooms;

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use provisioning::{Parts, Ports, router};
use shared_auth::{Auth, NewAccount, Profile};
use shared_model::{AccountId, Domains, Fact};
use shared_runtime::tls::{self, TlsPolicy};
use shared_runtime::{Shutdown, bus::Bus, http};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A served face, and the account `sip:alice@example.org` whose JID is `wonder@example.org`, password `pencil`.
pub(crate) struct House {
    pub(crate) auth: Auth,
    pub(crate) alice: AccountId,
    tls: TlsPolicy,
    pub(crate) port: u16,
    pub(crate) records: Arc<dyn shared_store::Records>,
    pub(crate) archive: Arc<dyn shared_store::Archive>,
    pub(crate) bindings: Arc<dyn shared_store::Bindings>,
    pub(crate) asked: Arc<counted::Asked>,
    pub(crate) bus: Bus<Fact>,
    pub(crate) registry: prometheus::Registry,
    pub(crate) chat: Arc<chat::Chat>,
    pub(crate) rooms: Arc<rooms::Rooms>,
    pub(crate) calls: Arc<rooms::Calls>,
    shutdown: Shutdown,
    folder: PathBuf,
}

impl Drop for House {
    fn drop(&mut self) {
        self.shutdown.begin();
        // A folder that stays behind in a temporary place harms nobody.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub(crate) async fn house(name: &str) -> House {
    house_with(name, |_| {}).await
}

/// A house that differs in this.
pub(crate) async fn house_with(name: &str, differs: impl FnOnce(&mut Parts)) -> House {
    house_behind(name, &[], differs).await
}

/// The same, which believes these proxies.
pub(crate) async fn house_behind(name: &str, proxies: &[&str], differs: impl FnOnce(&mut Parts)) -> House {
    tls::install_provider();
    let folder = std::env::temp_dir().join(format!("cusax-provisioning-{name}-{}", std::process::id()));
    let config = shared_auth::Config { iterations: 4096, ..Default::default() };
    let (store, asked) = (shared_store::Store::in_memory(), Arc::<counted::Asked>::default());
    let store = shared_store::Store {
        accounts: Arc::new(counted::Counted(store.accounts, Arc::clone(&asked))),
        records: Arc::new(counted::Counted(store.records, Arc::clone(&asked))),
        ..store
    };
    let (bus, shutdown, registry) = (Bus::new(), Shutdown::new(), prometheus::Registry::new());
    let mut auth = Auth::open(&config, &store, &folder, &bus, &prometheus::Registry::new()).unwrap();
    let names = ["example.org", "example.net", "conference.example.org"].map(str::to_owned);
    auth.bans.serve(names, ["203.0.113.77".parse().unwrap()]);
    let new = NewAccount {
        aor: "alice@example.org".parse().unwrap(),
        jid: "wonder@example.org".parse().unwrap(),
        profile: Profile::default(),
    };
    let alice = auth.book.create(new, "pencil").await.unwrap().account;
    let tls = TlsPolicy::open(&tls::Config::default(), &folder, &["localhost".to_owned()]).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let chat = Arc::new(chat::Chat::default());
    let (rooms, calls) = (Arc::new(rooms::Rooms::default()), Arc::new(rooms::Calls::default()));
    let mut parts = Parts {
        domains: Domains::new("example.org", ["example.net"]),
        rooms_domain: "conference.example.org".to_owned(),
        host: "localhost".to_owned(),
        ports: Ports { sip_tls: Some(5061), xmpp: Some(5222), https: Some(port), ..Ports::default() },
        public_url: None,
        auth: auth.clone(),
        conference_factory: "sip:adhoc@conference.example.org".to_owned(),
        uploads: "https://files.example.org/upload/".to_owned(),
        turn: Vec::new(),
        ca: None,
        config: provisioning::Config { users_invite: true, ..provisioning::Config::default() },
        metrics: provisioning::Metrics::new(&registry).unwrap(),
        bus: bus.clone(),
        shutdown: shutdown.clone(),
        bindings: store.bindings.clone(),
        rooms: Some(rooms.clone()),
        conferences: Some(calls.clone()),
        own_chat: Some(chat.clone()),
        notices: Some(chat.clone()),
        registrations: Some(Arc::new(chat::Registrar(store.bindings.clone()))),
        room_keeping: Some(rooms.clone()),
        room_moderation: Some(rooms.clone()),
        call_moderation: Some(calls.clone()),
        telephony: Some(Arc::new(rooms::Carriers)),
        timelines: Some(Arc::new(rooms::Past(alice))),
        search: Some(Arc::new(rooms::Past(alice))),
        doctor: Some(Arc::new(rooms::Past(alice))),
        records: store.records.clone(),
        archive: store.archive.clone(),
    };
    differs(&mut parts);
    let trusted: Vec<_> = proxies.iter().map(|proxy| proxy.parse().unwrap()).collect();
    let keeper = http::Doorkeeper::new(&trusted, &prometheus::Registry::new()).unwrap();
    keeper.serve_tls(listener, tls.server(&[b"http/1.1"]), router(parts), &shutdown);
    let (records, archive, bindings) = (store.records, store.archive, store.bindings);
    House {
        auth,
        alice,
        tls,
        port,
        records,
        archive,
        bindings,
        asked,
        bus,
        registry,
        chat,
        rooms,
        calls,
        shutdown,
        folder,
    }
}

impl House {
    /// Sends one request with a form and reads the answer whole, its head included; `@BASIC@` stands for alice's password.
    pub(crate) async fn ask(&self, head: &str, body: &str) -> String {
        let (head, proof) = match head.strip_suffix(" @BASIC@") {
            Some(head) => (head, basic("alice:pencil")),
            None => (head, String::new()),
        };
        self.send(head, &format!("Content-Type: application/x-www-form-urlencoded\r\n{proof}"), body).await
    }

    /// The same without a length of ours: how long the body is the headers say.
    pub(crate) async fn send_unmeasured(&self, head: &str, headers: &str, body: &str) -> String {
        self.exchange(
            &format!("{head} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n{body}")
                .into_bytes(),
        )
        .await
    }

    /// Sends one request with these headers, each with its line end; without one of its own the `Host` is the name of this machine.
    pub(crate) async fn send(&self, head: &str, headers: &str, body: &str) -> String {
        self.send_bytes(head, headers, body.as_bytes()).await
    }

    /// The same with a body that is no text; what is none in the answer is replaced.
    pub(crate) async fn send_bytes(&self, head: &str, headers: &str, body: &[u8]) -> String {
        let (length, port) = (body.len(), self.port);
        let host =
            if headers.contains("Host: ") { String::new() } else { format!("Host: localhost:{port}\r\n") };
        let request = format!(
            "{head} HTTP/1.1\r\n{host}Connection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
        );
        self.exchange(&[request.as_bytes(), body].concat()).await
    }

    /// Sends one request, and leaves the answer to be read.
    pub(crate) async fn open(&self, request: &[u8]) -> TlsStream<TcpStream> {
        let socket = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let connector = TlsConnector::from(self.tls.client(&[]));
        let mut stream = connector.connect("localhost".try_into().unwrap(), socket).await.unwrap();
        stream.write_all(request).await.unwrap();
        stream
    }

    async fn exchange(&self, request: &[u8]) -> String {
        let mut stream = self.open(request).await;
        let mut answer = Vec::new();
        // The answer is whole even where the other side ends without close_notify; one that is empty says why.
        let read = stream.read_to_end(&mut answer).await;
        match read {
            Err(error) if answer.is_empty() => format!("no answer: {error}"),
            _ => String::from_utf8_lossy(&answer).into_owned(),
        }
    }

    /// Sends JSON with a token; the status and what came back.
    pub(crate) async fn call(&self, token: &str, head: &str, body: &str) -> (u16, serde_json::Value) {
        let headers = format!("Content-Type: application/json\r\nAuthorization: Bearer {token}\r\n");
        let answer = self.send(head, &headers, body).await;
        let status = answer[9..12].parse().unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let body = if head.contains("transfer-encoding: chunked") { &unchunked(body) } else { body };
        (status, serde_json::from_str(body).unwrap_or_default())
    }
}

/// RFC 9112 §7.1; empty if it broke off.
fn unchunked(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        let Some(chunk) = rest.get(..size) else { break };
        if size == 0 {
            return whole;
        }
        whole.push_str(chunk);
        body = &rest[size + 2..];
    }
    String::new()
}

/// Signs in; the cookie, and the key of forms.
pub(crate) async fn sign_in(house: &House) -> (String, String) {
    let answer = house.ask("POST /sign-in", "user=alice&password=pencil").await;
    assert!(answer.starts_with("HTTP/1.1 303"), "{answer}");
    let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    assert!(["Secure", "HttpOnly", "SameSite=Strict"].iter().all(|it| cookie.contains(it)), "{cookie}");
    let cookie = format!("Cookie: {}\r\n", cookie.split(';').next().unwrap());
    let page = house.send("GET /account", &cookie, "").await;
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    let key = page.split("name=\"key\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    (cookie, key)
}

pub(crate) fn basic(pair: &str) -> String {
    format!("Authorization: Basic {}\r\n", BASE64_STANDARD.encode(pair))
}
