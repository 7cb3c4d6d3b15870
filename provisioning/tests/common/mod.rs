//! A served face on a free port, a store in memory, and a client that trusts the local CA.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    dead_code,
    reason = "a test fails by panicking, and none uses all of this"
)]

use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use provisioning::{Parts, Ports, router};
use shared_auth::{Auth, NewAccount, Profile};
use shared_model::AccountId;
use shared_runtime::tls::{self, TlsPolicy};
use shared_runtime::{Shutdown, bus::Bus, http};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

/// A served face, and the account `sip:alice@example.org` whose JID is `wonder@example.org`, password `pencil`.
pub(crate) struct House {
    pub(crate) auth: Auth,
    pub(crate) alice: AccountId,
    tls: TlsPolicy,
    pub(crate) port: u16,
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
    tls::install_provider();
    let folder = std::env::temp_dir().join(format!("cusax-provisioning-{name}-{}", std::process::id()));
    let config = shared_auth::Config { iterations: 4096, ..Default::default() };
    let store = shared_store::Store::in_memory();
    let auth = Auth::open(&config, &store, &folder, &Bus::new(), &prometheus::Registry::new()).unwrap();
    let new = NewAccount {
        aor: "alice@example.org".parse().unwrap(),
        jid: "wonder@example.org".parse().unwrap(),
        profile: Profile::default(),
    };
    let alice = auth.book.create(new, "pencil").await.unwrap().account;
    let tls = TlsPolicy::open(&tls::Config::default(), &folder, &["localhost".to_owned()]).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let parts = Parts {
        domain: "example.org".to_owned(),
        rooms_domain: "conference.example.org".to_owned(),
        host: "localhost".to_owned(),
        ports: Ports { sip_tls: Some(5061), xmpp: Some(5222), https: Some(port), ..Ports::default() },
        public_url: None,
        auth: auth.clone(),
        conference_factory: "sip:adhoc@conference.example.org".to_owned(),
        turn: Vec::new(),
        ca: None,
        records: store.records.clone(),
        archive: store.archive.clone(),
    };
    let shutdown = Shutdown::new();
    http::serve_tls(listener, tls.server(&[b"http/1.1"]), router(parts), &shutdown);
    House { auth, alice, tls, port, shutdown, folder }
}

impl House {
    /// Sends one request and reads the answer whole, its head included.
    pub(crate) async fn ask(&self, head: &str, body: &str) -> String {
        let socket = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let connector = TlsConnector::from(self.tls.client(&[]));
        let mut stream = connector.connect("localhost".try_into().unwrap(), socket).await.unwrap();
        let length = body.len();
        let request = format!(
            "{head} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n"
        );
        let request =
            request.replace("@BASIC@ HTTP/1.1\r\n", &format!("HTTP/1.1\r\n{}", basic("alice:pencil")));
        stream.write_all(format!("{request}\r\n{body}").as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // The answer is whole even where the other side ends without close_notify.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }
}

pub(crate) fn basic(pair: &str) -> String {
    format!("Authorization: Basic {}\r\n", BASE64_STANDARD.encode(pair))
}
