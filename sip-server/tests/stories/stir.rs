//! Calls to other domains are signed, and those from them verified (RFC 8224, RFC 8225, RFC 8588).

use std::path::PathBuf;

use crate::common::{DOMAIN, PASSWORD, Phone, Served, new_folder, serve_in};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, UnparsedPublicKey,
};
use axum::routing::get;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use rcgen::{BasicConstraints, CertificateParams, CustomExtension, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use shared_runtime::tls::{self, TlsPolicy};
use shared_runtime::{Shutdown, http, unix_millis};
use shared_store::Store;
use sip_core::Message;
use sip_core::header::Name;
use sip_server::numbers::NumberConfig;
use sip_server::{Config, StirConfig, TrunkConfig, Verify};

/// A signer whose certificate is fetched over HTTPS, and the folder of a server that believes it.
struct Signer {
    folder: PathBuf,
    key: KeyPair,
    /// Where its certificate is, and where one is whose maker nobody knows.
    url: String,
    unknown: String,
    shutdown: Shutdown,
}

fn ca() -> (Issuer<'static, KeyPair>, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = params.self_signed(&key).unwrap().pem();
    (Issuer::new(params, key), pem)
}

/// RFC 8226 §9: a list with one service provider code.
fn certificate(issuer: &Issuer<'_, KeyPair>, key: &KeyPair) -> String {
    let mut params = CertificateParams::new(vec!["peer.example".to_owned()]).unwrap();
    let list = vec![0x30, 0x08, 0xa0, 0x06, 0x16, 0x04, b'1', b'2', b'3', b'4'];
    params.custom_extensions.push(CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 26], list));
    params.signed_by(key, issuer).unwrap().pem()
}

impl Signer {
    async fn start() -> Self {
        tls::install_provider();
        let (folder, key, shutdown) = (new_folder(), KeyPair::generate().unwrap(), Shutdown::new());
        std::fs::create_dir_all(&folder).unwrap();
        let ((issuer, root), (stranger, _)) = (ca(), ca());
        std::fs::write(folder.join("roots.pem"), root).unwrap();
        std::fs::write(folder.join("sign.pem"), key.serialize_pem()).unwrap();
        let (good, bad) = (certificate(&issuer, &key), certificate(&stranger, &key));
        // The server believes what its own CA vouches for.
        let policy = TlsPolicy::open(&tls::Config::default(), &folder, &["localhost".to_owned()]).unwrap();
        let router = axum::Router::new()
            .route("/good", get(|| async { good }))
            .route("/unknown", get(|| async { bad }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        http::serve_tls(listener, policy.server(&[]), router, &shutdown);
        Self { folder, key, url: format!("{base}/good"), unknown: format!("{base}/unknown"), shutdown }
    }

    async fn serve(&self, verify: Verify) -> Served {
        self.serve_with(verify, Config::default()).await
    }

    async fn serve_with(&self, verify: Verify, config: Config) -> Served {
        let stir = StirConfig {
            key: Some(self.folder.join("sign.pem")),
            certificate_url: Some(self.url.clone()),
            verify,
            trust: Some(self.folder.join("roots.pem")),
            hosts: vec!["localhost".to_owned()],
        };
        let served = serve_in(Store::in_memory(), self.folder.clone(), Config { stir, ..config }).await;
        served.populate().await;
        served
    }

    /// An Identity header, made by other code than the server's.
    fn identity(&self, url: &str, orig: Value, dest: Value, iat: i64) -> String {
        let header = json!({"alg": "ES256", "ppt": "shaken", "typ": "passport", "x5u": url});
        let claims = json!({"attest": "A", "dest": dest, "iat": iat, "orig": orig, "origid": "o"});
        format!("{};info=<{url}>;alg=ES256;ppt=\"shaken\"", self.token(&header, &claims))
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &self.key.serialize_der()).unwrap();
        let signature = key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", BASE64.encode(signature))
    }
}

impl Drop for Signer {
    fn drop(&mut self) {
        self.shutdown.begin();
    }
}

fn now() -> i64 {
    unix_millis() / 1_000
}

const CALLER: &str = "<sip:+12155551212@peer.example;user=phone>;tag=1";

/// A stranger's call to bob.
fn call(stranger: &Phone, identity: Option<&str>) -> Message {
    let bob = format!("sip:bob@{DOMAIN}");
    let mut call = stranger.request("INVITE", &bob, &bob);
    call.set(Name::From, CALLER);
    if let Some(identity) = identity {
        call.push(Name::Identity, identity);
    }
    call
}

#[tokio::test]
async fn a_call_to_another_domain_is_signed() {
    let signer = Signer::start().await;
    let served = signer.serve(Verify::Off).await;
    let (alice, foreign) = (Phone::new("alice", &served).await, Phone::new("x", &served).await);
    let at = foreign.line.local();
    for (from, to, orig, dest, is_number) in [
        (
            "sip:+15550197@example.org;user=phone",
            "sip:+1-215-555-1213@peer.example;user=phone",
            json!({"tn": "15550197"}),
            json!({"tn": ["12155551213"]}),
            true,
        ),
        (
            "sip:alice@example.org",
            "sip:Carol@Peer.example:5070",
            json!({"uri": "sip:alice@example.org"}),
            json!({"uri": ["sip:carol@peer.example"]}),
            false,
        ),
    ] {
        let mut call = alice.request("INVITE", &format!("sip:x@{at}"), to);
        call.set(Name::From, &format!("<{from}>;tag=1"));
        let (busy, incoming) = tokio::join!(alice.ask(call, PASSWORD), async {
            let incoming = foreign.expect("INVITE").await;
            foreign.respond(&incoming, 486).await;
            foreign.expect("ACK").await;
            incoming
        });
        assert_eq!(busy.status(), 486);
        let identity = incoming.value(Name::Identity).expect("it is not signed");
        let (token, params) = identity.split_once(';').unwrap();
        let ppt = if is_number { ";ppt=shaken" } else { "" };
        assert_eq!(params, format!("info=<{}>;alg=ES256{ppt}", signer.url));
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, signer.key.public_key_raw());
        key.verify(signed.as_bytes(), &BASE64.decode(signature).unwrap()).expect("the signature is wrong");
        let read = |part: &str| serde_json::from_slice::<Value>(&BASE64.decode(part).unwrap()).unwrap();
        let (header, claims) = signed.split_once('.').unwrap();
        assert_eq!(read(header)["x5u"], signer.url);
        let claims = read(claims);
        assert_eq!((&claims["orig"], &claims["dest"]), (&orig, &dest));
        assert!((now() - claims["iat"].as_i64().unwrap()).abs() < 30);
        assert_eq!(claims["attest"] == "A", is_number);
    }
    // Who hides is not named by a signature.
    let mut call = alice.request("INVITE", &format!("sip:x@{at}"), "sip:x@peer.example");
    call.set(Name::From, "<sip:anonymous@anonymous.invalid>;tag=1");
    let asked = alice.ask_proving(call, PASSWORD);
    let (_, ()) = tokio::join!(asked, async {
        let incoming = foreign.expect("INVITE").await;
        assert_eq!(incoming.value(Name::Identity), None);
        foreign.respond(&incoming, 486).await;
    });
}

#[tokio::test]
async fn a_call_that_is_not_signed_well_is_refused_where_that_is_required() {
    let signer = Signer::start().await;
    let served = signer.serve(Verify::Require).await;
    let (stranger, bob) = (Phone::new("x", &served).await, Phone::registered("bob", &served).await);
    let (orig, dest) = (json!({"tn": "12155551212"}), json!({"uri": ["sip:bob@example.org"]}));
    let (url, iat) = (&signer.url, now());
    let good = signer.identity(url, orig.clone(), dest.clone(), iat);
    let other_signature = {
        let other = signer.identity(url, orig.clone(), dest.clone(), iat - 1);
        let signed = &good[..good.rfind('.').unwrap()];
        let signature = other.split(';').next().unwrap().rsplit_once('.').unwrap().1.to_owned();
        format!("{signed}.{signature};info=<{url}>;alg=ES256;ppt=shaken")
    };
    let nowhere = url.replace("/good", "/nowhere");
    for (identity, status) in [
        (None, 428),
        (Some(good.replace("ppt=\"shaken\"", "ppt=div")), 428),
        (Some(signer.identity(&nowhere, orig.clone(), dest.clone(), iat)), 436),
        (Some(signer.identity("http://localhost/good", orig.clone(), dest.clone(), iat)), 436),
        (Some(signer.identity("https://elsewhere.example/good", orig.clone(), dest.clone(), iat)), 436),
        (Some(signer.identity(&signer.unknown, orig.clone(), dest.clone(), iat)), 437),
        (Some(signer.identity(url, json!({"tn": "12155550000"}), dest.clone(), iat)), 438),
        (Some(signer.identity(url, orig.clone(), json!({"uri": ["sip:carol@example.org"]}), iat)), 438),
        (Some(other_signature), 438),
        (Some("nonsense".to_owned()), 438),
        (Some(signer.identity(url, orig.clone(), dest.clone(), iat - 120)), 403),
    ] {
        let call = call(&stranger, identity.as_deref());
        stranger.send(&call).await;
        let refused = stranger.receive().await;
        assert_eq!(refused.status(), status, "{identity:?}");
        stranger.send(&Message::ack(&call, &refused)).await;
    }
    let call = call(&stranger, Some(&good));
    stranger.send(&call).await;
    let incoming = bob.expect("INVITE").await;
    assert_eq!(
        incoming.value(Name::From),
        Some("<sip:+12155551212;verstat=TN-Validation-Passed@peer.example;user=phone>;tag=1")
    );
    bob.respond(&incoming, 486).await;
    assert_eq!(stranger.expect("486").await.value(Name::From), Some(CALLER), "its own From comes back");
}

/// RFC 8224 §4.1.1: the signature alone, over what the request says.
#[tokio::test]
async fn a_signature_alone_is_verified_over_what_the_request_says() {
    let signer = Signer::start().await;
    let served = signer.serve(Verify::Require).await;
    let (stranger, bob) = (Phone::new("x", &served).await, Phone::registered("bob", &served).await);
    let iat = now();
    let sdp = "v=0\r\na=fingerprint:sha-256 AB:CD\r\n";
    let compact = |iat: i64| {
        let claims = json!({
            "dest": {"uri": ["sip:bob@example.org"]},
            "iat": iat,
            "mky": [{"alg": "sha-256", "dig": "ABCD"}],
            "orig": {"tn": "12155551212"},
        });
        let header = json!({"alg": "ES256", "typ": "passport", "x5u": signer.url});
        let full = signer.token(&header, &claims);
        format!("..{};info=<{}>", full.rsplit_once('.').unwrap().1, signer.url)
    };
    let date = |at: i64| {
        let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
        printer.timestamp_to_rfc9110_string(&jiff::Timestamp::from_second(at).unwrap()).unwrap()
    };
    let good = compact(iat);
    for (identity, at, body, status) in [
        (good.clone(), None, sdp, 438),
        (good.clone(), Some(iat + 1), sdp, 438),
        (good.clone(), Some(iat), "v=0\r\n", 438),
        (format!("{good};ppt=shaken"), Some(iat), sdp, 438),
        (compact(iat - 120), Some(iat - 120), sdp, 403),
        (format!("..;info=<{}>", signer.url), Some(iat), sdp, 438),
        (good.clone(), Some(iat), sdp, 486),
    ] {
        let mut call = call(&stranger, Some(&identity));
        if let Some(at) = at {
            call.push(Name::Date, &date(at));
        }
        call.set_body("application/sdp", body.into());
        stranger.send(&call).await;
        if status == 486 {
            let incoming = bob.expect("INVITE").await;
            assert!(incoming.value(Name::From).unwrap().contains("verstat=TN-Validation-Passed"));
            bob.respond(&incoming, 486).await;
        }
        let refused = stranger.receive().await;
        assert_eq!(refused.status(), status, "{identity} {at:?}");
        stranger.send(&Message::ack(&call, &refused)).await;
    }
}

#[tokio::test]
async fn a_callee_is_told_what_a_signature_is() {
    let signer = Signer::start().await;
    let served = signer.serve(Verify::Tell).await;
    let (stranger, bob) = (Phone::new("x", &served).await, Phone::registered("bob", &served).await);
    let dest = json!({"uri": ["sip:bob@example.org"]});
    let wrong = signer.identity(&signer.url, json!({"tn": "1"}), dest, now());
    for (identity, verstat) in [(None, "No-TN-Validation"), (Some(wrong.as_str()), "TN-Validation-Failed")] {
        let mut call = call(&stranger, identity);
        // A stranger's own word for it is worth nothing.
        let forged = CALLER.replace("@peer", ";verstat=TN-Validation-Passed@peer");
        call.set(Name::From, &forged);
        stranger.send(&call).await;
        let incoming = bob.expect("INVITE").await;
        let told = CALLER.replace("@peer", &format!(";verstat={verstat}@peer"));
        assert_eq!(incoming.value(Name::From), Some(told.as_str()));
        bob.respond(&incoming, 486).await;
        bob.expect("ACK").await;
        let refused = stranger.expect("486").await;
        stranger.send(&Message::ack(&call, &refused)).await;
    }
}

#[tokio::test]
async fn what_a_carrier_signed_is_verified_and_what_it_did_not_is_told() {
    let signer = Signer::start().await;
    let mut carrier = Phone::alone("carrier").await;
    let trunk = TrunkConfig {
        name: "carrier".to_owned(),
        server: format!("sip:{}", carrier.address()),
        probe: std::time::Duration::ZERO,
        ..TrunkConfig::default()
    };
    let numbers = NumberConfig { country: "33".to_owned(), ..NumberConfig::default() };
    let config = Config { numbers, trunks: vec![trunk], ..Config::default() };
    let served = signer.serve_with(Verify::Tell, config).await;
    carrier.move_to(&served);
    let bob = Phone::registered("bob", &served).await;
    let (orig, dest) = (json!({"tn": "12155551212"}), json!({"tn": ["15550198"]}));
    let good = signer.identity(&signer.url, orig.clone(), dest, now());
    let to_another = signer.identity(&signer.url, orig, json!({"tn": ["15550197"]}), now());
    for (identity, verstat) in [
        (Some(good), "TN-Validation-Passed"),
        (Some(to_another), "TN-Validation-Failed"),
        (None, "No-TN-Validation"),
    ] {
        let number = format!("sip:+15550198@{DOMAIN};user=phone");
        let mut call = carrier.request("INVITE", &number, &number);
        call.set(Name::From, CALLER);
        if let Some(identity) = &identity {
            call.push(Name::Identity, identity);
        }
        carrier.send(&call).await;
        let incoming = bob.expect("INVITE").await;
        let told = CALLER.replace("@peer", &format!(";verstat={verstat}@peer"));
        assert_eq!(incoming.value(Name::From), Some(told.as_str()));
        bob.respond(&incoming, 486).await;
        bob.expect("ACK").await;
        let refused = carrier.expect("486").await;
        carrier.send(&Message::ack(&call, &refused)).await;
    }
}

/// RFC 8588: a carrier is told by which right a caller of ours shows a number.
#[tokio::test]
async fn a_call_by_a_carrier_is_signed_for_its_number() {
    let signer = Signer::start().await;
    let mut carrier = Phone::alone("carrier").await;
    let trunk = TrunkConfig {
        name: "carrier".to_owned(),
        server: format!("sip:{}", carrier.address()),
        probe: std::time::Duration::ZERO,
        ..TrunkConfig::default()
    };
    let numbers = NumberConfig { country: "33".to_owned(), ..NumberConfig::default() };
    let config = Config { numbers, trunks: vec![trunk], ..Config::default() };
    let served = signer.serve_with(Verify::Off, config).await;
    carrier.move_to(&served);
    let alice = Phone::new("alice", &served).await;
    let number = format!("sip:0140000000@{DOMAIN}");
    let (busy, incoming) =
        tokio::join!(alice.ask(alice.request("INVITE", &number, &number), PASSWORD), async {
            let incoming = carrier.expect("INVITE").await;
            carrier.respond(&incoming, 486).await;
            carrier.expect("ACK").await;
            incoming
        });
    assert_eq!(busy.status(), 486);
    let identity = incoming.value(Name::Identity).expect("it is not signed");
    assert!(identity.ends_with(";alg=ES256;ppt=shaken"), "{identity}");
    let claims = identity.split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&BASE64.decode(claims).unwrap()).unwrap();
    assert_eq!(
        (&claims["orig"], &claims["dest"]),
        (&json!({"tn": "15550197"}), &json!({"tn": ["33140000000"]}))
    );
    assert_eq!(claims["attest"], "A");
}

/// RFC 8588 §4: who signs B or C does not say that the number is the caller's, or knows nothing of it at all.
#[tokio::test]
async fn a_number_that_is_not_attested_whole_is_not_shown_as_verified() {
    let signer = Signer::start().await;
    let served = signer.serve(Verify::Tell).await;
    let (stranger, bob) = (Phone::new("x", &served).await, Phone::registered("bob", &served).await);
    for (attest, verstat) in
        [("A", "TN-Validation-Passed"), ("B", "No-TN-Validation"), ("C", "No-TN-Validation")]
    {
        let claims = json!({
            "attest": attest,
            "dest": {"uri": ["sip:bob@example.org"]},
            "iat": now(),
            "orig": {"tn": "12155551212"},
            "origid": "123e4567-e89b-12d3-a456-426655440000",
        });
        let header = json!({"alg": "ES256", "ppt": "shaken", "typ": "passport", "x5u": signer.url});
        let token = signer.token(&header, &claims);
        let identity = format!("{token};info=<{}>;alg=ES256;ppt=shaken", signer.url);
        let call = call(&stranger, Some(&identity));
        stranger.send(&call).await;
        let incoming = bob.expect("INVITE").await;
        let told = CALLER.replace("@peer", &format!(";verstat={verstat}@peer"));
        assert_eq!(incoming.value(Name::From), Some(told.as_str()), "{attest}");
        bob.respond(&incoming, 486).await;
        bob.expect("ACK").await;
        let refused = stranger.expect("486").await;
        stranger.send(&Message::ack(&call, &refused)).await;
    }
}
