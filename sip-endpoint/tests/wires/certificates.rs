//! Certificates of both sides: RFC 5922 (SIP domains), RFC 5923 (reuse), and a new certificate without a restart.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    Certificate, CertificateParams, CertificateRevocationListParams, ExtendedKeyUsagePurpose, Issuer,
    KeyIdMethod, KeyPair, RevokedCertParams, SanType,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use shared_runtime::tls::{self, PeerCertificate, TlsPolicy};
use sip_core::header::Name;
use sip_endpoint::{Flow, Limits, Listeners, Target, Transport};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::rig::{Peer, Rig, folder, listeners, request_via};

/// The number of every certificate that is made here.
const SERIAL: u64 = 4711;

/// A folder with a CA of its own, made as the service makes it.
fn authority() -> (PathBuf, PathBuf) {
    tls::install_provider();
    let folder = folder();
    let policy = TlsPolicy::open(&tls::Config::default(), &folder, &[]).unwrap();
    (folder.clone(), policy.local_ca().unwrap().to_owned())
}

/// An endpoint whose certificate is for `domain`, by the CA in this folder.
async fn serving(domain: &str, folder: PathBuf, config: tls::Config, listeners: Listeners) -> Rig {
    let policy = TlsPolicy::open(&config, &folder, &[domain.to_owned()]).unwrap();
    Rig::start_over(listeners, policy, folder).await
}

/// What a client shows.
type Shown = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// A certificate of a person, by the CA in this folder.
fn person(folder: &Path) -> Shown {
    let uri = SanType::URI("sip:alice@example.org".try_into().unwrap());
    let mail = SanType::Rfc822Name("alice@example.org".try_into().unwrap());
    certify(folder, ExtendedKeyUsagePurpose::ClientAuth, vec![uri, mail])
}

/// A certificate of a server, by the CA in this folder.
fn server(folder: &Path, domain: &str) -> Shown {
    let host = SanType::DnsName(domain.try_into().unwrap());
    certify(folder, ExtendedKeyUsagePurpose::ServerAuth, vec![host])
}

fn certify(folder: &Path, usage: ExtendedKeyUsagePurpose, names: Vec<SanType>) -> Shown {
    let (certificate, key) = certified(folder, usage, names);
    (vec![certificate.der().clone()], PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap())
}

fn certified(folder: &Path, usage: ExtendedKeyUsagePurpose, names: Vec<SanType>) -> (Certificate, KeyPair) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.serial_number = Some(SERIAL.into());
    params.extended_key_usages = vec![usage];
    params.subject_alt_names = names;
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, &issuer(folder)).unwrap(), key)
}

fn issuer(folder: &Path) -> Issuer<'static, KeyPair> {
    let read = |name: &str| std::fs::read_to_string(folder.join("tls").join(name)).unwrap();
    Issuer::from_ca_cert_pem(&read("ca.pem"), KeyPair::from_pem(&read("ca.key")).unwrap()).unwrap()
}

/// A list of the CA in this folder that takes back the certificate with this number.
fn take_back(folder: &Path, serial: u64) -> String {
    let (this_update, next_update) = (rcgen::date_time_ymd(2024, 1, 1), rcgen::date_time_ymd(2124, 1, 1));
    let entry = RevokedCertParams {
        serial_number: serial.into(),
        revocation_time: this_update,
        reason_code: None,
        invalidity_date: None,
    };
    let list = CertificateRevocationListParams {
        this_update,
        next_update,
        crl_number: 1_u64.into(),
        issuing_distribution_point: None,
        revoked_certs: vec![entry],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    list.signed_by(&issuer(folder)).unwrap().pem().unwrap()
}

async fn connect(rig: &Rig, proof: Option<&Path>) -> std::io::Result<Peer<TlsStream<TcpStream>>> {
    connect_showing(rig, proof.map(person)).await
}

async fn connect_showing(rig: &Rig, proof: Option<Shown>) -> std::io::Result<Peer<TlsStream<TcpStream>>> {
    let builder = rustls::ClientConfig::builder().with_root_certificates(rig.tls.roots());
    let config = match proof {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
        None => builder.with_no_client_auth(),
    };
    let socket = TcpStream::connect(rig.endpoint.bound().tls[0]).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    Ok(Peer::over(TlsConnector::from(Arc::new(config)).connect(name, socket).await?))
}

fn options() -> bytes::Bytes {
    request_via("OPTIONS", "TLS 127.0.0.1:9").to_bytes()
}

#[tokio::test]
async fn a_clients_certificate_is_asked_for_and_not_demanded() {
    let (friends, ca) = authority();
    let (strangers, _) = authority();
    let config = tls::Config { client_ca: Some(ca), ..tls::Config::default() };
    let mut rig = serving("example.org", folder(), config, listeners()).await;

    let mut nobody = connect(&rig, None).await.unwrap();
    nobody.send(&options()).await;
    nobody.expect("200").await;
    let (_, flow) = rig.request().await;
    assert_eq!(rig.endpoint.peer_certificate(&flow), None);

    let mut alice = connect(&rig, Some(&friends)).await.unwrap();
    alice.send(&options()).await;
    alice.expect("200").await;
    let (_, flow) = rig.request().await;
    let certificate = rig.endpoint.peer_certificate(&flow).unwrap();
    assert_eq!(certificate.uris, ["sip:alice@example.org"]);
    assert_eq!(certificate.emails, ["alice@example.org"]);
    assert_eq!(certificate.fingerprint_hex().len(), 64);

    // TLS 1.3 clients hear of the refusal with what they read first.
    if let Ok(mut eve) = connect(&rig, Some(&strangers)).await {
        assert!(eve.next().await.is_none(), "a stranger's certificate was believed");
    }
    for folder in [friends, strangers] {
        std::fs::remove_dir_all(folder).unwrap();
    }
}

/// RFC 3261 §26.3.2.2: servers are judged by the roots of servers, and what they prove is no person.
#[tokio::test]
async fn a_server_that_calls_proves_its_domain_and_nobody_is_turned_away() {
    let (servers, ca) = authority();
    let (strangers, _) = authority();
    let config = tls::Config { trust: Some(ca), ..tls::Config::default() };
    for asks_servers in [true, false] {
        let listeners = Listeners { asks_servers, ..listeners() };
        let mut rig = serving("example.org", folder(), config.clone(), listeners).await;
        let shown = [None, Some(person(&strangers)), Some(server(&strangers, "b.example"))];
        for (who, shown) in shown.into_iter().enumerate() {
            let mut client = connect_showing(&rig, shown).await.unwrap();
            client.send(&options()).await;
            client.expect("200").await;
            let (_, flow) = rig.request().await;
            assert_eq!(rig.endpoint.peer_certificate(&flow), None, "{who}");
        }
        let mut b = connect_showing(&rig, Some(server(&servers, "b.example"))).await.unwrap();
        b.send(&options()).await;
        b.expect("200").await;
        let (_, flow) = rig.request().await;
        assert_eq!(rig.endpoint.is_peer(&flow, "b.example"), asks_servers);
        assert!(!rig.endpoint.is_peer(&flow, "c.example"));
        assert!(rig.endpoint.client_certificate(&flow).is_none(), "it is no person's");
    }
    for folder in [servers, strangers] {
        std::fs::remove_dir_all(folder).unwrap();
    }
}

/// Where there are people's certificates as well, each kind is judged by its own roots.
#[tokio::test]
async fn people_and_servers_are_judged_apart() {
    let ((servers, server_ca), (people, client_ca)) = (authority(), authority());
    let config = tls::Config { trust: Some(server_ca), client_ca: Some(client_ca), ..tls::Config::default() };
    let listeners = Listeners { asks_servers: true, ..listeners() };
    let mut rig = serving("example.org", folder(), config, listeners).await;
    for (shown, is_person) in
        [(person(&people), true), (server(&servers, "b.example"), false), (person(&servers), false)]
    {
        let mut peer = connect_showing(&rig, Some(shown)).await.unwrap();
        peer.send(&options()).await;
        peer.expect("200").await;
        let (_, flow) = rig.request().await;
        assert_eq!(rig.endpoint.client_certificate(&flow).is_some(), is_person);
    }
    let (strangers, _) = authority();
    if let Ok(mut eve) = connect(&rig, Some(&strangers)).await {
        assert!(eve.next().await.is_none(), "as before, where there are people's certificates");
    }
    for folder in [servers, people, strangers] {
        std::fs::remove_dir_all(folder).unwrap();
    }
}

/// The target of a rig's TLS listener, as this host.
fn target(rig: &Rig, host: &str) -> Target {
    Target { transport: Transport::Tls, address: rig.endpoint.bound().tls[0], host: host.to_owned() }
}

async fn is_reached(from: &mut Rig, target: &Target) -> Option<Flow> {
    let flow = from.endpoint.flow_to(target).unwrap();
    let request = request_via("OPTIONS", "UDP x");
    let sent = from.endpoint.request(request, flow, "0").await;
    sent.last().await.is_ok().then_some(flow)
}

#[tokio::test]
async fn a_server_is_the_domain_that_was_asked_for_or_it_is_not_spoken_to() {
    let (folder_b, ca_b) = authority();
    let server = serving("b.example", folder_b, tls::Config::default(), listeners()).await;
    let trusting = tls::Config { trust: Some(ca_b), ..tls::Config::default() };
    let mut client = Rig::start_with(listeners(), trusting).await;
    let mut wary = Rig::start(listeners()).await;
    assert!(is_reached(&mut client, &target(&server, "b.example")).await.is_some());
    assert!(is_reached(&mut client, &target(&server, "127.0.0.1")).await.is_some(), "an address in it");
    assert!(is_reached(&mut client, &target(&server, "c.example")).await.is_none(), "another domain");
    assert!(is_reached(&mut wary, &target(&server, "b.example")).await.is_none(), "an unknown CA");
}

/// RFC 5280 §5: whatever its issuer said before.
#[tokio::test]
async fn a_server_whose_certificate_was_revoked_is_neither_called_nor_believed() {
    let (folder_b, ca_b) = authority();
    let (certificate, key) = certified(
        &folder_b,
        ExtendedKeyUsagePurpose::ServerAuth,
        vec![SanType::DnsName("b.example".try_into().unwrap())],
    );
    let [file, key_file, list] = ["b.pem", "b.key", "revoked.pem"].map(|name| folder_b.join(name));
    std::fs::write(&file, certificate.pem()).unwrap();
    std::fs::write(&key_file, key.serialize_pem()).unwrap();
    let config =
        tls::Config { certificate: Some(file), key: Some(key_file.clone()), ..tls::Config::default() };
    let server = serving("b.example", folder_b.clone(), config, listeners()).await;
    for (serial, is_believed) in [(SERIAL + 1, true), (SERIAL, false)] {
        std::fs::write(&list, take_back(&folder_b, serial)).unwrap();
        let config =
            tls::Config { trust: Some(ca_b.clone()), revoked: vec![list.clone()], ..tls::Config::default() };
        let listeners = Listeners { asks_servers: true, ..listeners() };
        let mut rig = serving("example.org", folder(), config, listeners).await;
        assert_eq!(is_reached(&mut rig, &target(&server, "b.example")).await.is_some(), is_believed);
        let shown = (vec![certificate.der().clone()], PrivateKeyDer::from_pem_file(&key_file).unwrap());
        let mut b = connect_showing(&rig, Some(shown)).await.unwrap();
        b.send(&options()).await;
        b.expect("200").await;
        let (_, flow) = rig.request().await;
        assert_eq!(rig.endpoint.is_peer(&flow, "b.example"), is_believed);
    }
}

/// RFC 5923 §5, over TLS: B sends to A by the connection that A opened, for A's own domain alone.
#[tokio::test]
async fn a_proved_connection_is_used_both_ways() {
    let ((folder_a, ca_a), (folder_b, ca_b)) = (authority(), authority());
    let config =
        |ca: PathBuf| tls::Config { client_ca: Some(ca.clone()), trust: Some(ca), ..tls::Config::default() };
    let mut a = serving("a.example", folder_a, config(ca_b), listeners()).await;
    let mut b = serving("b.example", folder_b, config(ca_a), listeners()).await;
    assert!(is_reached(&mut a, &target(&b, "b.example")).await.is_some());
    let (request, from_a) = b.request().await;
    assert!(request.top_via().unwrap().params.has("alias"));
    assert!(b.endpoint.peer_certificate(&from_a).unwrap().hosts.contains(&"a.example".to_owned()));
    assert_eq!(b.endpoint.flow_to(&target(&a, "a.example")), Some(from_a));
    assert_ne!(b.endpoint.flow_to(&target(&a, "c.example")), Some(from_a), "A is not C");
    // What goes there arrives.
    assert_eq!(is_reached(&mut b, &target(&a, "a.example")).await, Some(from_a));
    assert_eq!(a.request().await.0.method(), "OPTIONS");
}

/// RFC 5923 over TCP proves nothing, and so is a matter of policy.
#[tokio::test]
async fn an_alias_over_tcp_is_believed_by_policy_alone() {
    for tcp_alias in [false, true] {
        let limits = Limits { tcp_alias, ..Limits::default() };
        let mut rig = Rig::start(Listeners { limits, ..listeners() }).await;
        let mut peer = rig.tcp().await;
        let mut request = request_via("OPTIONS", "TCP 127.0.0.1:9");
        let via = format!("{};alias", request.value(Name::Via).unwrap());
        request.set(Name::Via, &via);
        peer.send(&request.to_bytes()).await;
        let (_, flow) = rig.request().await;
        let address = "127.0.0.1:9".parse().unwrap();
        let target = Target { transport: Transport::Tcp, address, host: "127.0.0.1".to_owned() };
        assert_eq!(rig.endpoint.flow_to(&target) == Some(flow), tcp_alias);
    }
}

#[tokio::test]
async fn a_new_certificate_reaches_new_connections() {
    let rig = Rig::start(listeners()).await;
    let shown = |peer: &Peer<TlsStream<TcpStream>>| {
        let session = peer.stream.get_ref().1;
        PeerCertificate::read(&session.peer_certificates().unwrap()[0]).unwrap().fingerprint
    };
    let mut before = connect(&rig, None).await.unwrap();
    // Another process certifies anew in the same folder, as a renewal does.
    TlsPolicy::open(&tls::Config::default(), &rig.folder, &["renewed.example".to_owned()]).unwrap();
    rig.tls.reload().unwrap();
    let after = connect(&rig, None).await.unwrap();
    assert_ne!(shown(&before), shown(&after));
    before.send(&options()).await;
    before.expect("200").await;
}
