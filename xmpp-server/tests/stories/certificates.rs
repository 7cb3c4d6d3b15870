//! Clients that prove who they are by a certificate — XEP-0178 §2.

use std::sync::Arc;

use crate::common::{Client, DOMAIN, PASSWORD, Served, Site, serve, serve_site};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType, SerialNumber};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use shared_model::{Event, ProtectedEvent, Protection, Proved, Strength};
use shared_runtime::bus::Heard;
use shared_runtime::tls;
use tokio::net::TcpStream;

/// A CA for clients, in a file of its own.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: std::path::PathBuf,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        let file = std::env::temp_dir().join(format!("cusax-clients-{name}-{}.pem", std::process::id()));
        std::fs::write(&file, certificate.pem()).unwrap();
        Self { issuer: Issuer::new(params, key), file }
    }

    /// Connects with a certificate that names these addresses.
    async fn connect(&self, served: &Served, addresses: &[&str]) -> Client {
        self.connect_as(served, addresses, None).await
    }

    /// The same, with this serial number.
    async fn connect_as(&self, served: &Served, addresses: &[&str], serial: Option<u64>) -> Client {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        let name = |address: &&str| SanType::OtherName((vec![1, 3, 6, 1, 5, 5, 7, 8, 5], (*address).into()));
        params.subject_alt_names = addresses.iter().map(name).collect();
        params.serial_number = serial.map(SerialNumber::from);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let config = rustls::ClientConfig::builder()
            .with_root_certificates(served.tls.roots())
            .with_client_auth_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let socket = TcpStream::connect(served.server.c2s_tls()[0]).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        Client::over(served, connector.connect(ServerName::try_from(DOMAIN).unwrap(), socket).await.unwrap())
    }
}

async fn served(authority: &Authority) -> Served {
    let tls = tls::Config { client_ca: Some(authority.file.clone()), ..tls::Config::default() };
    serve_site(Site { tls, ..Site::default() }).await
}

/// EXTERNAL with this authorization identity.
pub(crate) async fn external(client: &mut Client, authzid: &str) -> String {
    let features = client.open().await;
    assert!(features.contains("<mechanism>EXTERNAL</mechanism>"), "{features}");
    let text = if authzid.is_empty() { "=".to_owned() } else { STANDARD.encode(authzid) };
    client
        .send(&format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>{text}</auth>"))
        .await;
    client.next().await.unwrap()
}

#[tokio::test]
async fn a_certificate_is_as_good_as_a_password() {
    let authority = Authority::new("good");
    let served = served(&authority).await;
    let mut alice = authority.connect(&served, &["alice@example.org"]).await;
    assert!(external(&mut alice, "").await.contains("<success"));
    let mut both = authority.connect(&served, &["alice@example.org", "bob@example.org"]).await;
    assert!(external(&mut both, "bob@example.org").await.contains("<success"));
}

#[tokio::test]
async fn nobody_is_who_the_certificate_does_not_name() {
    let authority = Authority::new("others");
    let served = served(&authority).await;
    for (names, authzid, failure) in [
        (&["alice@example.org"][..], "bob@example.org", "invalid-authzid"),
        (&["alice@example.org", "bob@example.org"][..], "", "invalid-authzid"),
        (&["nobody@example.org"][..], "", "not-authorized"),
        (&["alice@elsewhere.example"][..], "", "invalid-authzid"),
    ] {
        let mut client = authority.connect(&served, names).await;
        let answer = external(&mut client, authzid).await;
        assert!(answer.contains("<failure") && answer.contains(failure), "{names:?}: {answer}");
    }
    // Without a certificate there is nothing to refer to.
    let mut client = Client::connect_tls(&served).await;
    assert!(!client.open().await.contains("EXTERNAL"));
}

/// RFC 5280 §5.
#[tokio::test]
async fn a_certificate_that_was_taken_back_lets_nobody_in() {
    let authority = Authority::new("revoked");
    let file = authority.file.with_extension("crl");
    let list = |serials: &[u64]| {
        let serials = serials.iter().map(|serial| SerialNumber::from(*serial));
        std::fs::write(&file, crate::federation::authority::list(serials, &authority.issuer)).unwrap();
    };
    list(&[7]);
    let tls = tls::Config {
        client_ca: Some(authority.file.clone()),
        revoked: vec![file.clone()],
        ..tls::Config::default()
    };
    let served = serve_site(Site { tls, ..Site::default() }).await;
    let mut alice = authority.connect_as(&served, &["alice@example.org"], Some(8)).await;
    assert!(external(&mut alice, "").await.contains("<success"));
    list(&[7, 8]);
    served.tls.reload().unwrap();
    let mut alice = authority.connect_as(&served, &["alice@example.org"], Some(8)).await;
    alice.send("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='example.org' version='1.0'>").await;
    assert_eq!(alice.next().await, None, "the handshake ended");
    let mut bob = authority.connect_as(&served, &["bob@example.org"], Some(9)).await;
    assert!(external(&mut bob, "").await.contains("<success"));
    std::fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn what_protects_a_session_is_told_when_it_begins() {
    let served = serve().await;
    let mut facts = served.bus.subscribe();
    // From this machine one comes in the clear, too.
    let _clear = Client::login(&served, "bob", "clear").await;
    let mut alice = Client::connect_tls(&served).await;
    alice.open().await;
    alice.prove("alice", PASSWORD).await;
    alice.bind("safe").await;
    let told = async {
        let mut told = Vec::new();
        while told.len() < 2 {
            if let Some(Heard::Fact(fact)) = facts.next().await
                && let Event::Protected(event) = fact.event
            {
                told.push(event);
            }
        }
        told
    };
    let told = tokio::time::timeout(std::time::Duration::from_secs(10), told).await.unwrap();
    let proved = Proved { by: "PLAIN", strength: Some(Strength::Password) };
    let safe = Some(Protection { version: "TLS 1.3", suite: "TLS_AES_256_GCM_SHA384" });
    for (name, resource, protection, is_open, told) in
        [("bob", "clear", None, true, &told[0]), ("alice", "safe", safe, false, &told[1])]
    {
        let jid = format!("{name}@example.org").parse().unwrap();
        let account = served.auth.directory.by_jid(&jid).await.unwrap().unwrap().account;
        let resource = resource.to_owned();
        assert_eq!(*told, ProtectedEvent::Chat { account, resource, protection, is_open, proved });
    }
}
