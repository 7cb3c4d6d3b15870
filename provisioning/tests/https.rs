//! The face over real HTTPS: a listener on a free port, a store in memory, a client that trusts the local CA.

#![allow(clippy::unwrap_used, reason = "clippy excuses test functions, not the functions that they call")]

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use provisioning::{PURPOSE, Parts, Ports, router};
use shared_auth::{Auth, NewAccount, Profile};
use shared_model::AccountId;
use shared_runtime::tls::{self, TlsPolicy};
use shared_runtime::{Shutdown, bus::Bus, http, unix_millis};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

/// A served face, and the account `sip:alice@example.org` whose JID is `wonder@example.org`, password `pencil`.
struct House {
    auth: Auth,
    alice: AccountId,
    tls: TlsPolicy,
    port: u16,
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

async fn house(name: &str) -> House {
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
        auth: auth.clone(),
    };
    let shutdown = Shutdown::new();
    http::serve_tls(listener, tls.server(&[b"http/1.1"]), router(parts), &shutdown);
    House { auth, alice, tls, port, shutdown, folder }
}

impl House {
    /// Sends one request and reads the answer whole, its head included.
    async fn ask(&self, head: &str, body: &str) -> String {
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

fn basic(pair: &str) -> String {
    format!("Authorization: Basic {}\r\n", BASE64_STANDARD.encode(pair))
}

#[tokio::test]
async fn a_password_opens_both_halves_and_nothing_else_does() {
    let house = house("password").await;
    let whole = house.ask("GET /provision/cusax.json @BASIC@", "").await;
    assert!(whole.starts_with("HTTP/1.1 200") && whole.contains("no-store"), "{whole}");
    assert!(whole.contains("sip:alice@example.org") && whole.contains("wonder@example.org"), "{whole}");
    let refused = house.ask("GET /provision/cusax.json", "").await;
    assert!(refused.starts_with("HTTP/1.1 401") && refused.contains("www-authenticate: Basic"), "{refused}");
}

#[tokio::test]
async fn a_token_opens_linphones_document_once_and_the_password_is_not_in_it() {
    let house = house("token").await;
    let minute = Duration::from_secs(60);
    let token = house.auth.tokens.issue(PURPOSE, Some(house.alice), "", minute, unix_millis()).await.unwrap();
    let path = format!("GET /provision/linphone.xml?token={token}");
    let first = house.ask(&path, "").await;
    assert!(first.starts_with("HTTP/1.1 200") && first.contains("name=\"ha1\""), "{first}");
    assert!(!first.contains("pencil"), "{first}");
    assert!(house.ask(&path, "").await.starts_with("HTTP/1.1 401"));
}

#[tokio::test]
async fn jitsi_posts_its_form_and_a_form_too_long_is_refused() {
    let house = house("form").await;
    let path = "POST /provision/jitsi.properties";
    let keys = house.ask(path, "username=alice&password=pencil").await;
    assert!(keys.contains("cusax.XMPP_ACCOUNT_ID=acc") && keys.contains("CALLING_DISABLED=true"), "{keys}");
    let long = format!("username=alice&password={}", "x".repeat(9000));
    assert!(house.ask(path, &long).await.starts_with("HTTP/1.1 413"));
}

#[tokio::test]
async fn strangers_learn_from_webfinger_nothing_about_who_exists() {
    let house = house("webfinger").await;
    let path = "GET /.well-known/webfinger?resource=acct:";
    let known = house.ask(&format!("{path}alice@example.org"), "").await;
    let unknown = house.ask(&format!("{path}nobod@example.org"), "").await;
    let body = |answer: &str| answer.split("\r\n\r\n").nth(1).map(str::to_owned);
    assert_eq!(body(&known).map(|text| text.replace("alice", "nobod")), body(&unknown));
    let own = house.ask(&format!("{path}alice@example.org @BASIC@"), "").await;
    assert!(own.contains("xmpp:wonder@example.org"), "{own}");
}

#[tokio::test]
async fn host_meta_names_the_ways_that_browsers_go() {
    let house = house("ways").await;
    let port = house.port;
    let xrd = house.ask("GET /.well-known/host-meta", "").await;
    let links = [
        format!(
            "<Link rel='urn:xmpp:alt-connections:websocket' href='wss://localhost:{port}/xmpp-websocket'/>"
        ),
        format!("<Link rel='urn:xmpp:alt-connections:xbosh' href='https://localhost:{port}/http-bind'/>"),
    ];
    assert!(links.iter().all(|link| xrd.contains(link)), "{xrd}");
    let jrd = house.ask("GET /.well-known/host-meta.json", "").await;
    assert!(jrd.contains("access-control-allow-origin: *"), "{jrd}");
    let text = jrd.split("\r\n\r\n").nth(1).unwrap();
    let jrd: serde_json::Value = serde_json::from_str(text).unwrap();
    assert_eq!(jrd["links"][1]["href"], format!("wss://localhost:{port}/xmpp-websocket"));
    assert_eq!(jrd["links"][2]["rel"], "urn:xmpp:alt-connections:xbosh");
}
