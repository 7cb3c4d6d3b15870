//! A TLS client certificate proves who calls (RFC 3261 §26.3.1; subjectAltName as RFC 5922 §7 reads it).

use crate::common::{CLIENT_CA, DOMAIN, Line, Phone, Served, new_folder, serve, serve_in};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use shared_model::{Event, ProtectedEvent, Protection, Proved, Strength};
use shared_runtime::bus::Heard;
use shared_store::Store;
use sip_core::Message;
use sip_core::header::Name;
use sip_server::Config;

/// A CA for clients.
struct Authority(Issuer<'static, KeyPair>);

impl Authority {
    /// Makes one, and a server that believes it.
    async fn serve() -> (Self, Served) {
        let (folder, key) = (new_folder(), KeyPair::generate().unwrap());
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = params.self_signed(&key).unwrap();
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(CLIENT_CA), ca.pem()).unwrap();
        let served = serve_in(Store::in_memory(), folder, Config::default()).await;
        served.populate().await;
        (Self(Issuer::new(params, key)), served)
    }

    fn certify(&self, name: SanType) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names.push(name);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }

    async fn phone(&self, name: &str, served: &Served, proof: Option<SanType>) -> Phone {
        let proof = proof.map(|name| self.certify(name));
        let line = Line::tls(served.server.bound().tls[0], served.roots.clone(), proof).await;
        Phone::over(name, served, line)
    }
}

fn register(phone: &Phone) -> Message {
    phone.request("REGISTER", &format!("sip:{DOMAIN}"), &format!("sip:{}@{DOMAIN}", phone.name))
}

#[tokio::test]
async fn a_certificate_that_names_the_sender_is_proof_enough() {
    let (authority, served) = Authority::serve().await;
    let uri = SanType::URI(format!("sip:alice@{DOMAIN}").try_into().unwrap());
    let mail = SanType::Rfc822Name(format!("bob@{DOMAIN}").try_into().unwrap());
    let alice = authority.phone("alice", &served, Some(uri)).await;
    let bob = authority.phone("bob", &served, Some(mail)).await;
    for phone in [&alice, &bob] {
        phone.send(&register(phone)).await;
        phone.expect("200").await;
    }
    let to = format!("sip:bob@{DOMAIN}");
    let invite = alice.request("INVITE", &to, &to);
    alice.send(&invite).await;
    let incoming = bob.expect("INVITE").await;
    assert_eq!(incoming.value(Name::PAssertedIdentity), Some("<sip:alice@example.org>"));
    bob.respond(&incoming, 486).await;
    alice.expect("486").await;
    // It proves nobody else.
    alice.send(&Message::ack(&invite, &Message::response(&invite, 486, ""))).await;
    let mut other = alice.request("OPTIONS", &to, &to);
    other.set(Name::From, "<sip:carol@example.org>;tag=1");
    alice.send(&other).await;
    alice.expect("407").await;
    let mut other = register(&alice);
    other.set(Name::From, "<sip:bob@example.org>;tag=1");
    other.set(Name::To, "<sip:bob@example.org>");
    alice.send(&other).await;
    alice.expect("401").await;
}

#[tokio::test]
async fn who_shows_none_is_challenged_as_before() {
    let (authority, served) = Authority::serve().await;
    let alice = authority.phone("alice", &served, None).await;
    alice.send(&register(&alice)).await;
    alice.expect("401").await;
    let domain = SanType::URI(format!("sip:{DOMAIN}").try_into().unwrap());
    let server = authority.phone("alice", &served, Some(domain)).await;
    server.send(&register(&server)).await;
    server.expect("401").await;
}

#[tokio::test]
async fn what_protects_a_phone_is_told_with_its_registration() {
    let served = serve().await;
    let mut facts = served.bus.subscribe();
    // Who comes by datagrams is protected by nothing.
    assert_eq!(Phone::new("alice", &served).await.register("600").await.status(), 200);
    let line = Line::tls(served.server.bound().tls[0], served.roots.clone(), None).await;
    let bob = Phone::over("bob", &served, line);
    assert_eq!(bob.register("600").await.status(), 200);
    let mut told = async || {
        let next = async {
            loop {
                if let Some(Heard::Fact(fact)) = facts.next().await
                    && let Event::Protected(event) = fact.event
                {
                    return event;
                }
            }
        };
        tokio::time::timeout(crate::common::PATIENCE, next).await.unwrap()
    };
    let proved = Proved { by: "Digest SHA-256", strength: Some(Strength::Answer) };
    let clear = told().await;
    assert!(
        matches!(clear, ProtectedEvent::Phone { protection: None, is_open: true, proved: by, .. } if by == proved),
        "{clear:?}"
    );
    let aor = "bob@example.org".parse().unwrap();
    let kept = served.store.bindings.by_aor(&aor, shared_runtime::unix_millis()).await.unwrap();
    let (account, key) = (kept[0].account, kept[0].key.clone());
    let protection = Some(Protection { version: "TLS 1.3", suite: "TLS_AES_256_GCM_SHA384" });
    let phone = ProtectedEvent::Phone { account, key: key.clone(), protection, is_open: false, proved };
    assert_eq!(told().await, phone);
    assert_eq!(bob.register("0").await.status(), 200);
    assert_eq!(told().await, ProtectedEvent::PhoneGone { account, key });
}
