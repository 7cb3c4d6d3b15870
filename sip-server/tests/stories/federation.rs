//! Two services of ours: who calls and who answers is told across domains (RFC 7081 §3.5) where these prove who they are.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use shared_auth::{NewAccount, Profile};
use shared_model::{Aor, BareJid};
use shared_store::Store;
use sip_core::Message;
use sip_core::header::Name;
use sip_server::Config;

use crate::common::{CERTIFICATE, Line, PASSWORD, Phone, Served, TRUST, new_folder, start};
use crate::dns::Dns;

const ONE: &str = "one.example";
const TWO: &str = "two.example";

/// Who certifies domains.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn certify(&self, domain: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![domain.to_owned(), "localhost".to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// What a server shows that calls another.
    fn shown(&self, domain: &str) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let (certificate, key) = self.certify(domain);
        (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }

    /// A server of a domain with alice, bob and carol, which name servers know, and which trusts another domain.
    async fn serve(&self, domain: &'static str, trusted: &str, dns: &Dns) -> Served {
        let folder = new_folder();
        std::fs::create_dir_all(&folder).unwrap();
        let (certificate, key) = self.certify(domain);
        for (name, text) in [TRUST, CERTIFICATE[0], CERTIFICATE[1]].into_iter().zip([
            self.pem.clone(),
            certificate.pem(),
            key.serialize_pem(),
        ]) {
            std::fs::write(folder.join(name), text).unwrap();
        }
        let trusted_domains = vec![trusted.to_owned()];
        let config = Config { dns: vec![dns.address], trusted_domains, ..Config::default() };
        let served = start(domain, Store::in_memory(), folder, config).await;
        for name in ["alice", "bob", "carol"] {
            let aor = Aor::new(name, domain).unwrap();
            let jid = BareJid::new(&format!("{name}.chat"), domain).unwrap();
            let account = NewAccount { aor, jid, profile: Profile::default() };
            served.auth.book.create(account, PASSWORD).await.unwrap();
        }
        dns.srv(&format!("_sips._tcp.{domain}"), 1, 1, served.server.bound().tls[0].port(), domain);
        dns.host(domain, "127.0.0.1");
        served
    }
}

async fn two_services() -> (Authority, Dns, Served, Served) {
    let (authority, dns) = (Authority::new(), Dns::start().await);
    let one = authority.serve(ONE, TWO, &dns).await;
    let two = authority.serve(TWO, ONE, &dns).await;
    (authority, dns, one, two)
}

async fn phone(name: &str, domain: &'static str, served: &Served) -> Phone {
    let mut phone = Phone::new(name, served).await;
    phone.domain = domain;
    assert_eq!(phone.register("600").await.status(), 200);
    phone
}

fn told(message: &Message) -> Vec<&str> {
    message.values(Name::CallInfo).collect()
}

#[tokio::test]
async fn who_calls_and_who_answers_is_told_from_domain_to_domain() {
    let (_authority, _dns, one, two) = two_services().await;
    let (alice, bob) = (phone("alice", ONE, &one).await, phone("bob", TWO, &two).await);
    for (caller, callee) in [(&alice, &bob), (&bob, &alice)] {
        let mut call = caller.request("INVITE", &callee.aor(), &callee.aor());
        call.push(Name::CallInfo, &format!("<xmpp:boss@{}>;purpose=impp", caller.domain));
        let (ringing, incoming) = tokio::join!(caller.ask(call, PASSWORD), async {
            let incoming = callee.expect("INVITE").await;
            callee.respond(&incoming, 180).await;
            incoming
        });
        let jid = |phone: &Phone| format!("<xmpp:{}.chat@{}>;purpose=impp", phone.name, phone.domain);
        assert_eq!(told(&incoming), [jid(caller)]);
        assert_eq!((ringing.status(), told(&ringing)), (180, vec![jid(callee).as_str()]));
        callee.respond(&incoming, 200).await;
        assert_eq!(told(&caller.expect("200").await), [jid(callee)]);
    }
    let mut hidden = alice.request("INVITE", &bob.aor(), &bob.aor());
    hidden.push(Name::Privacy, "id");
    let (_, incoming) = tokio::join!(alice.ask(hidden, PASSWORD), async {
        let incoming = bob.expect("INVITE").await;
        bob.respond(&incoming, 486).await;
        incoming
    });
    assert!(told(&incoming).is_empty());
}

#[tokio::test]
async fn a_domain_vouches_for_its_own_people_and_no_other() {
    let (authority, _dns, _one, two) = two_services().await;
    let bob = phone("bob", TWO, &two).await;
    let (proven, from_one) = ("evil.example", "sip:alice@one.example");
    let (own, alice) = ("<xmpp:x@evil.example>;purpose=impp", "<xmpp:alice.chat@one.example>;purpose=impp");
    let ours = "<xmpp:carol.chat@two.example>;purpose=impp";
    for (proof, from, claims, kept) in [
        (Some(proven), "sip:x@evil.example", vec![own], vec![own]),
        (Some(proven), "sip:x@evil.example", vec![ours, alice, own, own], vec![own]),
        (Some(proven), "sip:x@evil.example", vec![alice], vec![]),
        (Some(proven), "sip:x@evil.example", vec![ours], vec![]),
        (Some(proven), from_one, vec![alice], vec![]),
        (Some(proven), from_one, vec![own], vec![]),
        (None, from_one, vec![alice], vec![]),
        (None, "sip:x@evil.example", vec![own], vec![]),
        // A trusted peer passes on what strangers say of themselves.
        (Some(ONE), "sip:x@evil.example", vec![own], vec![]),
        (Some(ONE), from_one, vec![own, alice], vec![alice]),
    ] {
        let proof = proof.map(|domain| authority.shown(domain));
        let line = Line::tls(two.server.bound().tls[0], two.roots.clone(), proof).await;
        let peer = Phone::over("x", &two, line);
        let mut call = peer.request("INVITE", &bob.aor(), &bob.aor());
        call.set(Name::From, &format!("<{from}>;tag=1"));
        claims.iter().for_each(|claim| call.push(Name::CallInfo, claim));
        peer.send(&call).await;
        let incoming = bob.expect("INVITE").await;
        assert_eq!(told(&incoming), kept, "{from} {claims:?}");
        bob.respond(&incoming, 486).await;
        bob.expect("ACK").await;
        peer.expect("486").await;
    }
}

/// As nobody vouches for what comes by datagrams.
#[tokio::test]
async fn who_answers_without_proof_is_not_told() {
    let (_authority, dns, one, _two) = two_services().await;
    let (alice, far) = (phone("alice", ONE, &one).await, Phone::alone("far").await);
    dns.srv("_sip._udp.far.example", 1, 1, far.address().port(), "far.example");
    dns.host("far.example", "127.0.0.1");
    let call = alice.request("INVITE", "sip:far@far.example", "sip:far@far.example");
    let (ringing, ()) = tokio::join!(alice.ask(call, PASSWORD), async {
        let incoming = far.expect("INVITE").await;
        let mut ringing = Message::response(&incoming, 180, "");
        ringing.push(Name::CallInfo, "<xmpp:far@far.example>;purpose=impp");
        ringing.ensure_to_tag("far");
        far.line.send(&ringing.to_bytes(), one.server.bound().udp[0]).await;
    });
    assert_eq!((ringing.status(), told(&ringing)), (180, vec![]));
}

#[tokio::test]
async fn a_block_holds_for_who_calls_from_another_domain() {
    let (authority, _dns, one, two) = two_services().await;
    let (carol, bob) = (phone("carol", ONE, &one).await, phone("bob", TWO, &two).await);
    // The chat half of these stories has bob block who is carol in chat.
    let call = carol.request("INVITE", &bob.aor(), &bob.aor());
    assert_eq!(carol.ask(call, PASSWORD).await.status(), 603);
    let line = Line::tls(two.server.bound().tls[0], two.roots.clone(), None).await;
    let stranger = Phone::over("x", &two, line);
    let mut call = stranger.request("INVITE", &bob.aor(), &bob.aor());
    call.set(Name::From, "<sip:carol@one.example>;tag=1");
    call.push(Name::CallInfo, "<xmpp:carol.chat@one.example>;purpose=impp");
    stranger.send(&call).await;
    let incoming = bob.expect("INVITE").await;
    assert!(told(&incoming).is_empty(), "nobody proved that it is carol");
    drop(authority);
}

/// RFC 3325 §5: what a trusted domain asserts by its certificate is believed, and what another asserts is not.
#[tokio::test]
async fn a_trusted_domain_is_one_by_its_certificate() {
    let (authority, _dns, _one, two) = two_services().await;
    let bob = phone("bob", TWO, &two).await;
    for (domain, is_believed) in [(ONE, true), ("evil.example", false)] {
        let line =
            Line::tls(two.server.bound().tls[0], two.roots.clone(), Some(authority.shown(domain))).await;
        let peer = Phone::over("x", &two, line);
        let mut call = peer.request("INVITE", &bob.aor(), &bob.aor());
        call.set(Name::From, "<sip:x@one.example>;tag=1");
        call.push(Name::PAssertedIdentity, "<sip:x@one.example>");
        peer.send(&call).await;
        let incoming = bob.expect("INVITE").await;
        assert_eq!(incoming.value(Name::PAssertedIdentity).is_some(), is_believed, "{domain}");
        bob.respond(&incoming, 486).await;
        bob.expect("ACK").await;
        peer.expect("486").await;
    }
}
