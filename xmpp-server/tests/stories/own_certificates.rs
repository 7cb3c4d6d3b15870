//! Certificates that accounts give for their clients — XEP-0257.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{Certificate, CertificateParams, KeyPair, SanType};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use xmpp_server::Config;

use crate::certificates::external;
use crate::common::failing::failing_records;
use crate::common::{Client, DOMAIN, PASSWORD, Served, serve, serve_over};

/// What a device made for itself.
struct Device {
    key: KeyPair,
    certificate: Certificate,
}

impl Device {
    fn new(addresses: &[&str]) -> Self {
        Self::until(addresses, 2100)
    }

    fn until(addresses: &[&str], year: i32) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        let name = |address: &&str| SanType::OtherName((vec![1, 3, 6, 1, 5, 5, 7, 8, 5], (*address).into()));
        params.subject_alt_names = addresses.iter().map(name).collect();
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let certificate = params.self_signed(&key).unwrap();
        Self { key, certificate }
    }

    async fn connect(&self, served: &Served) -> Client {
        let key = PrivateKeyDer::Pkcs8(self.key.serialize_der().into());
        let config = rustls::ClientConfig::builder()
            .with_root_certificates(served.tls.roots())
            .with_client_auth_cert(vec![self.certificate.der().clone()], key)
            .unwrap();
        let socket = TcpStream::connect(served.server.c2s_tls()[0]).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        Client::over(served, connector.connect(ServerName::try_from(DOMAIN).unwrap(), socket).await.unwrap())
    }

    /// Logs in by the certificate.
    async fn login(&self, served: &Served, authzid: &str, resource: &str) -> Client {
        let mut client = self.connect(served).await;
        let answer = external(&mut client, authzid).await;
        assert!(answer.contains("<success"), "{answer}");
        client.restart().await;
        client.bind(resource).await;
        client
    }

    fn append(&self, name: &str, more: &str) -> String {
        let der = STANDARD.encode(self.certificate.der());
        let (one, other) = der.split_at(60);
        saslcert("append", &format!("<name>{name}</name>{more}<x509cert>\n {one}\n {other}\n</x509cert>"))
    }
}

fn saslcert(what: &str, inner: &str) -> String {
    format!("<{what} xmlns='urn:xmpp:saslcert:1'>{inner}</{what}>")
}

fn named(what: &str, name: &str) -> String {
    saslcert(what, &format!("<name>{name}</name>"))
}

/// Alice with her password, over TLS.
async fn alice(served: &Served) -> Client {
    let mut alice = Client::connect_tls(served).await;
    alice.authenticate("alice", PASSWORD).await;
    alice.bind("desk").await;
    alice
}

#[tokio::test]
async fn a_device_comes_in_by_what_its_owner_gave_until_that_is_revoked() {
    let served = serve().await;
    let mut alice = alice(&served).await;
    let disco = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
    assert!(alice.ask("get", DOMAIN, disco).await.contains("urn:xmpp:saslcert:1"));
    let device = Device::new(&["alice@example.org"]);
    // Nobody gave it yet, so that it is not worth a try.
    assert!(!device.connect(&served).await.open().await.contains("EXTERNAL"));
    let added = alice.ask("set", "", &device.append("Phone", "")).await;
    assert!(added.contains("type='result'"), "{added}");

    let mut phone = device.login(&served, "", "phone").await;
    let listed = phone.ask("get", "", &saslcert("items", "")).await;
    let der = STANDARD.encode(device.certificate.der());
    for part in ["<name>Phone</name>", &der, "<users><resource>phone</resource></users>"] {
        assert!(listed.contains(part), "{part}: {listed}");
    }
    assert!(!listed.contains("desk") && !listed.contains("no-cert-management"), "{listed}");
    let password =
        "<query xmlns='jabber:iq:register'><username>alice</username><password>new words</password></query>";
    assert!(phone.ask("set", DOMAIN, password).await.contains("<not-authorized"));

    // Section 2.3: its session goes on, and it comes in no more.
    assert!(alice.ask("set", "", &named("disable", "Phone")).await.contains("type='result'"));
    phone.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
    assert!(!device.connect(&served).await.open().await.contains("EXTERNAL"));
    assert!(alice.ask("set", "", &named("disable", "Phone")).await.contains("item-not-found"));

    // Section 2.4: its session ends, whatever it waits for.
    assert!(alice.ask("set", "", &device.append("Phone again", "")).await.contains("type='result'"));
    let mut again = device.login(&served, "alice@example.org", "again").await;
    assert!(alice.ask("set", "", &named("revoke", "Phone again")).await.contains("type='result'"));
    again.expect_stream_error("not-authorized").await;
    phone.expect_stream_error("not-authorized").await;
    assert!(
        alice.ask("get", "", &saslcert("items", "")).await.contains("<items xmlns='urn:xmpp:saslcert:1'/>")
    );
}

#[tokio::test]
async fn a_store_that_stumbles_takes_no_certificate_away_and_holds_no_login_for_ever() {
    let before = serve().await;
    let (store, fault) = failing_records(&before.store);
    let config = Config { login_timeout: Duration::from_millis(500), ..Config::default() };
    let served = serve_over(&before, config, store).await;
    let device = Device::new(&["alice@example.org"]);
    let mut alice = alice(&served).await;
    assert!(alice.ask("set", "", &device.append("Phone", "")).await.contains("type='result'"));
    let mut phone = device.connect(&served).await;
    assert!(external(&mut phone, "").await.contains("<success"));
    phone.restart().await;
    fault.set(true);
    phone.bind("phone").await;
    fault.met().await;
    phone.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
    fault.set(false);
    fault.hang();
    let mut late = device.connect(&served).await;
    late.send("<?xml version='1.0'?>").await;
    assert_eq!(late.next().await, None, "the login took too long");
}

#[tokio::test]
async fn what_could_let_nobody_in_is_not_taken() {
    let served = serve().await;
    let mut alice = alice(&served).await;
    let device = Device::new(&["alice@example.org"]);
    assert!(alice.ask("set", "", &device.append("Phone", "")).await.contains("type='result'"));
    let no_certificate = saslcert("append", "<name>x</name><x509cert>bm90aGluZw==</x509cert>");
    for (wish, condition) in [
        (Device::new(&[]).append("Phone", ""), "<conflict"),
        (device.append("Other", ""), "<conflict"),
        (Device::new(&[]).append("", ""), "<bad-request"),
        (Device::until(&[], 2001).append("Old", ""), "<not-acceptable"),
        (Device::new(&["bob@example.org"]).append("Bob", ""), "<not-acceptable"),
        (no_certificate, "<not-acceptable"),
        (saslcert("append", "<name>x</name>"), "<bad-request"),
        (named("revoke", "None"), "<item-not-found"),
    ] {
        let answer = alice.ask("set", "", &wish).await;
        assert!(answer.contains(condition), "{condition}: {answer}");
    }
    // Section 5.1, and of others.
    let mut open = Client::login(&served, "alice", "open").await;
    assert!(open.ask("get", "", &saslcert("items", "")).await.contains("<policy-violation"));
    assert!(alice.ask("get", "bob@example.org", &saslcert("items", "")).await.contains("<forbidden"));
    // Of nobody's but alice's list.
    let mut bob = device.connect(&served).await;
    assert!(external(&mut bob, "bob@example.org").await.contains("<invalid-authzid"));
}

#[tokio::test]
async fn a_bot_changes_nothing_and_says_who_it_is() {
    let served = serve().await;
    let mut alice = alice(&served).await;
    let device = Device::new(&[]);
    assert!(
        alice.ask("set", "", &device.append("Bot", "<no-cert-management/>")).await.contains("type='result'")
    );
    assert!(external(&mut device.connect(&served).await, "").await.contains("<invalid-authzid"));
    assert!(
        external(&mut device.connect(&served).await, "bob@example.org").await.contains("<not-authorized")
    );
    let mut bot = device.login(&served, "alice@example.org", "bot").await;
    assert!(bot.ask("get", "", &saslcert("items", "")).await.contains("<no-cert-management/>"));
    for wish in [Device::new(&[]).append("More", ""), named("disable", "Bot"), named("revoke", "Bot")] {
        assert!(bot.ask("set", "", &wish).await.contains("<forbidden"), "{wish}");
    }
}

/// Section 3.
#[tokio::test]
async fn a_whole_address_is_the_only_resource_there_is() {
    let served = serve().await;
    let mut alice = alice(&served).await;
    let device = Device::new(&["alice@example.org/phone"]);
    assert!(alice.ask("set", "", &device.append("Phone", "")).await.contains("type='result'"));
    let mut phone = device.connect(&served).await;
    assert!(external(&mut phone, "").await.contains("<success"));
    phone.restart().await;
    let bind = |inner: &str| format!("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>{inner}</bind>");
    let other = phone.ask("set", "", &bind("<resource>other</resource>")).await;
    assert!(other.contains("<not-allowed"), "{other}");
    assert!(phone.ask("set", "", &bind("")).await.contains("alice@example.org/phone</jid>"));
    let mut newer = device.login(&served, "alice@example.org", "phone").await;
    phone.expect_stream_error("conflict").await;

    // A session that was there before and is taken up by a certificate ends with it.
    let mut plain = Client::connect_tls(&served).await;
    plain.authenticate("alice", PASSWORD).await;
    plain.bind("roaming").await;
    let id = plain.manage().await;
    drop(plain);
    let mut back = device.connect(&served).await;
    assert!(external(&mut back, "").await.contains("<success"));
    back.restart().await;
    back.send(&format!("<resume xmlns='urn:xmpp:sm:3' previd='{id}' h='0'/>")).await;
    back.expect(&["<resumed"]).await;
    assert!(alice.ask("set", "", &named("revoke", "Phone")).await.contains("type='result'"));
    back.expect_stream_error("not-authorized").await;
    newer.expect_stream_error("not-authorized").await;
}
