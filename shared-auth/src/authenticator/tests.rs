//! Logins of every kind, against a store in memory.

mod devices;
mod guesses;
mod keys_alone;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use shared_model::{AccountId, Event, Protocol};
use shared_runtime::bus::Heard;
use shared_store::{DigestAlgorithm, Store};

use super::*;
use crate::{Auth, BookError, Channel, DeviceName, NewAccount, OnWire, Plus, Profile, Qop};

struct House {
    auth: Auth,
    bus: Bus<Fact>,
    alice: AccountId,
    folder: std::path::PathBuf,
}

impl Drop for House {
    fn drop(&mut self) {
        // A folder that stays behind in a temporary place harms nobody.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

const LOCALHOST: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const XMPP: Origin = Origin::new(Protocol::Xmpp, LOCALHOST);
const SIP: Origin = Origin { protocol: Protocol::Sip, ..XMPP };

/// A house where `sip:alice@phones.example.org` and `wonder@example.org` are one account with the password `pencil`.
async fn house() -> House {
    house_with(Config { iterations: 4096, ..Config::default() }).await
}

async fn house_with(config: Config) -> House {
    let folder =
        std::env::temp_dir().join(format!("cusax-auth-{}", shared_runtime::hex(&hash::random::<8>())));
    let bus = Bus::new();
    let auth = Auth::open(&config, &Store::in_memory(), &folder, &bus, &prometheus::Registry::new()).unwrap();
    let new = NewAccount {
        aor: "alice@phones.example.org".parse().unwrap(),
        jid: "wonder@example.org".parse().unwrap(),
        profile: Profile::default(),
    };
    let alice = auth.book.create(new, "pencil").await.unwrap().account;
    House { auth, bus, alice, folder }
}

fn plain(name: &str, password: &str) -> Proof {
    Proof::Plain {
        name: name.to_owned(),
        domain: "example.org".to_owned(),
        password: password.to_owned(),
        authzid: String::new(),
    }
}

/// What a client with this password sends for a challenge.
pub(crate) fn answer(challenge: &Challenge, user: &str, password: &str, nc: u32) -> DigestProof {
    let mut proof = DigestProof {
        username: user.to_owned(),
        realm: challenge.realm.clone(),
        nonce: challenge.nonce.clone(),
        uri: "sip:phones.example.org".to_owned(),
        response: String::new(),
        algorithm: challenge.algorithm,
        qop: Some(Qop { cnonce: "c".to_owned(), nc: format!("{nc:08x}"), body: None }),
        method: "REGISTER".to_owned(),
    };
    let parts = [user.as_bytes(), challenge.realm.as_bytes(), password.as_bytes()];
    proof.response = proof.expected(&hash::digest_hash(proof.algorithm, &parts));
    proof
}

/// Speaks SCRAM as a client with this password would.
async fn scram(
    house: &House,
    name: &str,
    password: &str,
    hash: ScramHash,
    channel: &Channel,
) -> Result<Identity, Denied> {
    let (last, expected) = last_of_scram(house, name, password, hash, channel).await?;
    let server_final = last.server_final().to_owned();
    let identity = house.auth.authenticator.verify(Proof::Scram(last), XMPP).await?;
    assert_eq!(server_final, expected);
    Ok(identity)
}

/// Its last message, and what the server is to say to it.
async fn last_of_scram(
    house: &House,
    name: &str,
    password: &str,
    hash: ScramHash,
    channel: &Channel,
) -> Result<(ScramFinal, String), Denied> {
    let plus = if channel.bindings.is_empty() { Plus::No } else { Plus::Yes };
    let gs2 = if plus == Plus::Yes { "p=tls-exporter,," } else { "n,," };
    let bare = format!("n={name},r=clientnonce");
    let start = ScramStart::parse(format!("{gs2}{bare}").as_bytes(), hash, plus, channel)?;
    let exchange = house.auth.authenticator.begin_scram(start, "example.org", XMPP).await?;
    let first = exchange.server_first().to_owned();
    let field = |index: usize| first.split(',').nth(index).unwrap()[2..].to_owned();
    let salt = STANDARD.decode(field(1)).unwrap();
    let salted = hash::scram_salted(hash, password.as_bytes(), &salt, field(2).parse().unwrap());
    let client_key = hash::scram_hmac(hash, &salted, b"Client Key");
    let data = channel.bindings.first().map_or(&[][..], |(_, data)| data);
    let without_proof = format!("c={},r={}", STANDARD.encode([gs2.as_bytes(), data].concat()), field(0));
    let signed = format!("{bare},{first},{without_proof}");
    let signature = hash::scram_hmac(hash, &hash::scram_hash(hash, &client_key), signed.as_bytes());
    let proof: Vec<u8> = client_key.iter().zip(signature).map(|(k, s)| k ^ s).collect();
    let last = exchange.finish(format!("{without_proof},p={}", STANDARD.encode(proof)).as_bytes())?;
    let server_key = hash::scram_hmac(hash, &salted, b"Server Key");
    Ok((last, format!("v={}", STANDARD.encode(hash::scram_hmac(hash, &server_key, signed.as_bytes())))))
}

#[tokio::test]
async fn one_password_opens_every_door() {
    let house = house().await;
    let authenticator = &house.auth.authenticator;
    for hash in [ScramHash::Sha1, ScramHash::Sha256, ScramHash::Sha512] {
        let identity = scram(&house, "wonder", "pencil", hash, &Channel::default()).await.unwrap();
        assert_eq!((identity.account, identity.how), (house.alice, How::Scram(hash)));
        let bound = Channel { bindings: vec![("tls-exporter", vec![9; 32])], ..Channel::default() };
        let identity = scram(&house, "wonder", "pencil", hash, &bound).await.unwrap();
        assert_eq!(identity.how, How::ScramPlus(hash));
    }
    for challenge in authenticator.challenges("phones.example.org", false, LOCALHOST) {
        let proof = answer(&challenge, "alice", "pencil", 1);
        let fresh = authenticator.verify(Proof::Digest(proof), SIP).await;
        // All challenges share a nonce, so that the second algorithm repeats the first one's count.
        assert!(matches!(fresh, Ok(_) | Err(Denied::Replayed)), "{fresh:?}");
    }
    let identity = authenticator.verify(plain("wonder", "pencil"), XMPP).await.unwrap();
    assert_eq!(identity.aor.as_str(), "alice@phones.example.org");
    let acts_as = |authzid: &str| Proof::Plain {
        name: "wonder".into(),
        domain: "example.org".into(),
        password: "pencil".into(),
        authzid: authzid.into(),
    };
    assert!(authenticator.verify(acts_as("wonder@example.org"), XMPP).await.is_ok());
    assert_eq!(authenticator.verify(acts_as("bob@example.org"), XMPP).await, Err(Denied::ForeignAuthzid));
}

#[tokio::test]
async fn every_digest_algorithm_is_verified() {
    let house = house().await;
    for wanted in [DigestAlgorithm::Md5, DigestAlgorithm::Sha256, DigestAlgorithm::Sha512_256] {
        let challenges = house.auth.authenticator.challenges("phones.example.org", false, LOCALHOST);
        let challenge = challenges.into_iter().find(|challenge| challenge.algorithm == wanted).unwrap();
        let proof = Proof::Digest(answer(&challenge, "alice", "pencil", 1));
        let identity = house.auth.authenticator.verify(proof, SIP).await.unwrap();
        assert_eq!(identity.how, How::Digest(wanted));
    }
}

#[tokio::test]
async fn strangers_cannot_tell_unknown_from_wrong_from_disabled() {
    let house = house().await;
    let authenticator = &house.auth.authenticator;
    assert_eq!(authenticator.verify(plain("nobody", "x"), XMPP).await, Err(Denied::UnknownAccount));
    assert_eq!(authenticator.verify(plain("wonder", "x"), XMPP).await, Err(Denied::WrongProof));
    let salt = async |name: &str| {
        let start = ScramStart::parse(
            format!("n,,n={name},r=x").as_bytes(),
            ScramHash::Sha256,
            Plus::No,
            &Channel::default(),
        );
        let exchange = authenticator.begin_scram(start.unwrap(), "example.org", XMPP).await.unwrap();
        exchange.server_first().split_once(",s=").unwrap().1.to_owned()
    };
    assert_eq!(salt("nobody").await, salt("nobody").await);
    assert_ne!(salt("nobody").await, salt("somebody").await);
    assert_eq!(salt("wonder").await.len(), salt("nobody").await.len());
    house.auth.book.set_enabled(house.alice, false).await.unwrap();
    assert_eq!(authenticator.verify(plain("wonder", "pencil"), XMPP).await, Err(Denied::Disabled));
    assert_eq!(
        scram(&house, "wonder", "pencil", ScramHash::Sha256, &Channel::default()).await,
        Err(Denied::Disabled)
    );
    for denied in [Denied::UnknownAccount, Denied::WrongProof, Denied::Disabled, Denied::BadToken] {
        assert_eq!(denied.on_wire(), OnWire::Refused);
    }
}

#[tokio::test]
async fn a_digest_is_good_once() {
    let house = house().await;
    let authenticator = &house.auth.authenticator;
    let challenge = authenticator.challenges("phones.example.org", false, LOCALHOST).remove(0);
    let verify = async |proof: DigestProof| authenticator.verify(Proof::Digest(proof), SIP).await.map(|_| ());
    assert_eq!(verify(answer(&challenge, "alice", "pencil", 1)).await, Ok(()));
    assert_eq!(verify(answer(&challenge, "alice", "pencil", 1)).await, Err(Denied::Replayed));
    assert_eq!(verify(answer(&challenge, "alice", "pencil", 2)).await, Ok(()));
    assert_eq!(verify(answer(&challenge, "alice", "wrong", 3)).await, Err(Denied::WrongProof));
    let other_realm = authenticator.challenges("elsewhere.example.org", false, LOCALHOST).remove(0);
    assert_eq!(verify(answer(&other_realm, "alice", "pencil", 1)).await, Err(Denied::UnknownAccount));
    let forged = Challenge { nonce: "A".repeat(43), ..challenge.clone() };
    assert_eq!(verify(answer(&forged, "alice", "pencil", 1)).await, Err(Denied::ForeignNonce));
    let moved = DigestProof { method: "INVITE".to_owned(), ..answer(&challenge, "alice", "pencil", 4) };
    assert_eq!(verify(moved).await, Err(Denied::WrongProof));
}

#[tokio::test]
async fn an_old_nonce_is_stale_only_for_who_knows_the_password() {
    let config = Config { iterations: 4096, nonce_lifetime: Duration::ZERO, ..Config::default() };
    let house = house_with(config).await;
    let authenticator = &house.auth.authenticator;
    let old = Nonce { made: 1, random: [1; 8] }.to_text("phones.example.org", &authenticator.keys);
    let challenge = Challenge {
        nonce: old,
        ..authenticator.challenges("phones.example.org", false, LOCALHOST).remove(0)
    };
    let verify = async |password| {
        authenticator.verify(Proof::Digest(answer(&challenge, "alice", password, 1)), SIP).await.unwrap_err()
    };
    assert_eq!(verify("pencil").await.on_wire(), OnWire::ChallengeStale);
    assert_eq!(verify("wrong").await, Denied::WrongProof);
}

#[tokio::test]
async fn logins_are_told_as_facts() {
    let house = house().await;
    let mut facts = house.bus.subscribe();
    assert!(house.auth.authenticator.verify(plain("wonder", "wrong"), XMPP).await.is_err());
    let Some(Heard::Fact(fact)) = facts.next().await else { panic!("no fact") };
    let expected = LoginEvent::Denied {
        account: Some(house.alice),
        protocol: Protocol::Xmpp,
        from: XMPP.ip,
        reason: "wrong-proof",
    };
    assert_eq!(fact.event, Event::Login(expected));

    // Who may not show a password is somebody all the same, and is guessing nothing.
    for _ in 0..20 {
        house.auth.authenticator.refuse_unencrypted("alice", "phones.example.org", SIP).await;
        let Some(Heard::Fact(fact)) = facts.next().await else { panic!("no fact") };
        let (account, from) = (Some(house.alice), SIP.ip);
        let expected = LoginEvent::Denied { account, protocol: Protocol::Sip, from, reason: "unencrypted" };
        assert_eq!(fact.event, Event::Login(expected));
    }
    assert!(house.auth.authenticator.verify(plain("wonder", "pencil"), XMPP).await.is_ok());
}

#[tokio::test]
async fn a_token_logs_in_once() {
    let house = house().await;
    let hour = Duration::from_secs(3600);
    let text = house
        .auth
        .tokens
        .issue("phone", Some(house.alice), "", hour, shared_runtime::unix_millis())
        .await
        .unwrap();
    let proof = || Proof::Token { purpose: "phone".to_owned(), text: text.clone(), spent: Spent::Now };
    let origin = Origin { protocol: Protocol::Provisioning, ..XMPP };
    assert_eq!(house.auth.authenticator.verify(proof(), origin).await.unwrap().how, How::Token);
    assert_eq!(house.auth.authenticator.verify(proof(), origin).await, Err(Denied::BadToken));
}

#[tokio::test]
async fn a_password_change_changes_every_door() {
    let house = house().await;
    house.auth.book.set_password(house.alice, "new secret").await.unwrap();
    let authenticator = &house.auth.authenticator;
    assert_eq!(authenticator.verify(plain("wonder", "pencil"), XMPP).await, Err(Denied::WrongProof));
    assert!(scram(&house, "wonder", "new secret", ScramHash::Sha1, &Channel::default()).await.is_ok());
    let challenge = authenticator.challenges("phones.example.org", false, LOCALHOST).remove(0);
    assert!(
        authenticator.verify(Proof::Digest(answer(&challenge, "alice", "new secret", 1)), SIP).await.is_ok()
    );
    let ha1 = house.auth.book.ha1(house.alice, DigestAlgorithm::Md5).await.unwrap().unwrap();
    let parts: [&[u8]; 3] = [b"alice", b"phones.example.org", b"new secret"];
    assert_eq!(ha1, shared_runtime::hex(&hash::digest_hash(DigestAlgorithm::Md5, &parts)));
}

/// The median times of `rounds` wrong proofs of each kind, taken in turns so that whatever else the machine does meets
/// all of them.
async fn medians<const N: usize>(
    house: &House,
    proofs: [&dyn Fn() -> Proof; N],
    origin: Origin,
) -> [Duration; N] {
    let mut times: [Vec<Duration>; N] = std::array::from_fn(|_| Vec::new());
    for _ in 0..101 {
        for (proof, times) in proofs.iter().zip(&mut times) {
            let (proof, begun) = (proof(), Instant::now());
            house.auth.authenticator.verify(proof, origin).await.unwrap_err();
            times.push(begun.elapsed());
        }
    }
    times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2]
    })
}

#[tokio::test]
async fn time_does_not_tell_who_has_an_account_or_an_app_password() {
    let throttle_exempt = vec!["127.0.0.1".parse().unwrap()];
    let house = house_with(Config { iterations: 4096, throttle_exempt, ..Config::default() }).await;
    for name in ["A", "B", "C", "D", "E"] {
        house.auth.book.add_app_password(house.alice, name, 0).await.unwrap();
    }
    let plain = medians(
        &house,
        [
            &|| plain("wonder", "x"),
            &|| plain("nobody", "x"),
            &|| plain("wonder+A", "x"),
            &|| plain("wonder+XX", "x"),
            &|| plain("nobody+XX", "x"),
        ],
        XMPP,
    );
    let challenge = house.auth.authenticator.challenges("phones.example.org", false, LOCALHOST).remove(0);
    let digest = |user: &'static str| {
        let challenge = challenge.clone();
        move || Proof::Digest(answer(&challenge, user, "x", 1))
    };
    let (known, unknown, app) = (digest("alice"), digest("nobody"), digest("alice+XX"));
    let digest = medians(&house, [&known, &unknown, &app], SIP);
    for medians in [&plain.await[..], &digest.await[..]] {
        let (least, most) = (medians.iter().min().unwrap(), medians.iter().max().unwrap());
        assert!(*most < 2 * *least, "{medians:?}");
    }
}

#[tokio::test]
async fn nobody_has_as_many_salts_as_somebody() {
    let house = house().await;
    house.auth.book.add_app_password(house.alice, "PHONE", 0).await.unwrap();
    let salt = async |name: &str, hash| {
        let message = format!("n,,n={name},r=x");
        let start = ScramStart::parse(message.as_bytes(), hash, Plus::No, &Channel::default()).unwrap();
        let exchange = house.auth.authenticator.begin_scram(start, "example.org", XMPP).await.unwrap();
        exchange.server_first().split_once(",s=").unwrap().1.to_owned()
    };
    for user in ["wonder", "nobody"] {
        let mut salts = std::collections::HashSet::new();
        for name in [user.to_owned(), format!("{user}+PHONE"), format!("{user}+XX")] {
            for hash in [ScramHash::Sha1, ScramHash::Sha256, ScramHash::Sha512] {
                let asked = salt(&name, hash).await;
                assert_eq!(salt(&name.to_uppercase(), hash).await, asked, "{name}");
                assert!(salts.insert(asked), "{name} {hash:?}");
            }
        }
    }
}

#[tokio::test]
async fn nobody_has_as_many_rounds_as_some_account() {
    let store = Store::in_memory();
    let folder =
        std::env::temp_dir().join(format!("cusax-auth-{}", shared_runtime::hex(&hash::random::<8>())));
    let open = |iterations| {
        let config = Config { iterations, ..Config::default() };
        Auth::open(&config, &store, &folder, &Bus::new(), &prometheus::Registry::new()).unwrap()
    };
    let old = open(4096);
    for name in ["alice", "bob", "carol"] {
        let aor = format!("{name}@example.org");
        let new =
            NewAccount { aor: aor.parse().unwrap(), jid: aor.parse().unwrap(), profile: Profile::default() };
        old.book.create(new, "pencil").await.unwrap();
    }
    let auth = open(5000);
    let rounds = async |name: &str| {
        let message = format!("n,,n={name},r=x");
        let start =
            ScramStart::parse(message.as_bytes(), ScramHash::Sha256, Plus::No, &Channel::default()).unwrap();
        let exchange = auth.authenticator.begin_scram(start, "example.org", XMPP).await.unwrap();
        exchange.server_first().rsplit_once(",i=").unwrap().1.parse::<u32>().unwrap()
    };
    assert_eq!(rounds("alice").await, 4096);
    let mut old_rounds = 0;
    for n in 0..64 {
        let name = format!("nobody{n}");
        let first = rounds(&name).await;
        assert_eq!(rounds(&name).await, first);
        old_rounds += usize::from(first == 4096);
    }
    assert!((16..64).contains(&old_rounds), "{old_rounds} of 64");
    let _ = std::fs::remove_dir_all(folder);
}

#[tokio::test]
async fn wrong_tokens_lock_out_nobody_elses_token() {
    let house = house().await;
    let now = shared_runtime::unix_millis();
    let hour = Duration::from_secs(3600);
    let right = house.auth.tokens.issue("phone", Some(house.alice), "", hour, now).await.unwrap();
    let from = |n: u8| {
        Origin::new(Protocol::Provisioning, std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, n)))
    };
    let token =
        |text: &str| Proof::Token { purpose: "phone".to_owned(), text: text.to_owned(), spent: Spent::Now };
    for n in 0..30 {
        assert!(house.auth.authenticator.verify(token("wrong"), from(n % 4)).await.is_err());
    }
    assert!(house.auth.authenticator.verify(token(&right), from(9)).await.is_ok());
}

#[tokio::test]
async fn a_password_that_changes_ends_what_its_token_was_about_to_fetch() {
    let house = house().await;
    let now = shared_runtime::unix_millis();
    let hour = Duration::from_secs(3600);
    let text = house.auth.tokens.issue("phone", Some(house.alice), "", hour, now).await.unwrap();
    let proof = Proof::Token { purpose: "phone".to_owned(), text: text.clone(), spent: Spent::Later };
    let from = Origin::new(Protocol::Provisioning, std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));
    let proved = house.auth.authenticator.verify(proof, from).await.unwrap();
    house.auth.book.set_password(house.alice, "another-battery").await.unwrap();
    let card = house.auth.directory.by_id(house.alice).await.unwrap().unwrap();
    let name = DeviceName::Like("linphone");
    let token = proved.token.as_deref();
    let fetched = house.auth.fetch_password(&card, name, token, now, |_| serde_json::Value::Null).await;
    assert_eq!(fetched.map(drop), Err(BookError::Spent));
}

/// What is logged, line by line.
#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn lines_about_a_proof_name_the_account_and_so_do_those_of_who_asked() {
    let house = house().await;
    // What is logged is known before somebody listens: tests beside this one ask for the same lines, and nobody listens there.
    assert!(house.auth.authenticator.verify(plain("wonder", "wrong"), XMPP).await.is_err());
    let log = Log::default();
    let writer = log.clone();
    let lines = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(lines);
    tracing::callsite::rebuild_interest_cache();
    let asking = tracing::info_span!("sip", call = "c1", account = tracing::field::Empty);
    let prove = async {
        assert!(house.auth.authenticator.verify(plain("wonder", "wrong"), XMPP).await.is_err());
        house.auth.authenticator.verify(plain("wonder", "pencil"), XMPP).await.unwrap();
        tracing::info!("call begins");
    };
    prove.instrument(asking).await;
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let account = house.alice.to_string();
    let field = |line: &serde_json::Value, span: usize, name: &str| line["spans"][span][name].clone();
    assert_eq!(lines[0]["fields"]["account"], account.as_str(), "denied: {text}");
    assert_eq!(lines[0]["fields"]["correlation"], Correlation::of_account(house.alice).to_string());
    assert_eq!(field(&lines[0], 0, "account"), serde_json::Value::Null, "nothing was proved yet");
    assert_eq!(field(&lines[1], 0, "account"), account.as_str(), "proved: {text}");
    assert_eq!(field(&lines[1], 0, "call"), "c1");
}

#[tokio::test]
async fn a_certificate_proves_the_address_that_it_names_and_no_other() {
    let house = house().await;
    let proof = |name: &str| Proof::Certificate { name: name.to_owned() };
    let alice = house.auth.authenticator.verify(proof("alice@phones.example.org"), SIP).await.unwrap();
    assert_eq!((alice.account, alice.how), (house.alice, How::Certificate));
    for other in ["alice@example.org", "wonder@example.org", "alice", ""] {
        assert_eq!(
            house.auth.authenticator.verify(proof(other), SIP).await,
            Err(Denied::UnknownAccount),
            "{other}"
        );
    }
    house.auth.book.set_enabled(house.alice, false).await.unwrap();
    let denied = house.auth.authenticator.verify(proof("alice@phones.example.org"), SIP).await;
    assert_eq!(denied, Err(Denied::Disabled));
}

#[tokio::test]
async fn a_certificate_of_its_own_lets_an_account_in_until_it_is_taken_away() {
    let house = house().await;
    let alice = house.auth.directory.by_id(house.alice).await.unwrap().unwrap().jid;
    let proof = |der: &[u8]| Proof::OwnCertificate {
        name: alice.to_string(),
        fingerprint: crate::Certificates::fingerprint(der),
    };
    let origin = Origin { protocol: Protocol::Xmpp, ..SIP };
    let verify = async |der: &[u8]| house.auth.authenticator.verify(proof(der), origin).await;
    assert_eq!(verify(b"phone").await, Err(Denied::WrongProof));
    house.auth.certificates.add(&alice, "phone", b"phone", true).await.unwrap();
    let identity = verify(b"phone").await.unwrap();
    assert_eq!((identity.account, identity.how), (house.alice, How::Certificate));
    assert_eq!(verify(b"other").await, Err(Denied::WrongProof));
    house.auth.certificates.remove(&alice, "phone").await.unwrap();
    assert_eq!(verify(b"phone").await, Err(Denied::WrongProof));
}

/// What a client with this token says, and what came of it.
async fn fast(
    house: &House,
    token: &str,
    client: &str,
    mechanism: Ht,
    invalidate: bool,
) -> Result<(Identity, Option<Ht>), Denied> {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, token.as_bytes());
    let mac = aws_lc_rs::hmac::sign(&key, b"Initiatorbound").as_ref().to_vec();
    let start = FastStart {
        name: "wonder".to_owned(),
        domain: "example.org".to_owned(),
        client: client.to_owned(),
        mechanism,
        binding: b"bound".to_vec(),
        mac,
        invalidate,
    };
    let last = house.auth.authenticator.begin_fast(start, XMPP).await?;
    let expected = aws_lc_rs::hmac::sign(&key, b"Responderbound");
    assert!(last.answer().is_empty() || last.answer() == expected.as_ref());
    let due = last.due();
    Ok((house.auth.authenticator.verify(Proof::Fast(last), XMPP).await?, due))
}

#[tokio::test]
async fn a_token_is_one_installations_and_one_mechanisms() {
    let house = house().await;
    let issue = || house.auth.authenticator.issue_fast(house.alice, "phone", Ht::Expr, None);
    let token = issue().await.unwrap().text;
    let identity = fast(&house, &token, "phone", Ht::Expr, false).await.unwrap().0;
    assert_eq!((identity.account, identity.how), (house.alice, How::Fast(Ht::Expr)));
    for (client, mechanism) in [("desk", Ht::Expr), ("phone", Ht::None)] {
        assert_eq!(fast(&house, &token, client, mechanism, false).await.unwrap_err(), Denied::WrongProof);
    }
    assert_eq!(fast(&house, "wrong", "phone", Ht::Expr, false).await.unwrap_err(), Denied::WrongProof);
    // §3.5: the old one is good until the new one is used.
    let newer = issue().await.unwrap().text;
    assert!(fast(&house, &token, "phone", Ht::Expr, false).await.is_ok());
    assert!(fast(&house, &newer, "phone", Ht::Expr, false).await.is_ok());
    assert_eq!(fast(&house, &token, "phone", Ht::Expr, false).await.unwrap_err(), Denied::WrongProof);
    // §3.6
    assert_eq!(fast(&house, &newer, "phone", Ht::Expr, true).await.unwrap().1, None);
    assert_eq!(fast(&house, &newer, "phone", Ht::Expr, false).await.unwrap_err(), Denied::WrongProof);
}

#[tokio::test]
async fn a_token_ends_with_its_time_and_with_the_password_that_it_was_for() {
    let house = house().await;
    let issue = || house.auth.authenticator.issue_fast(house.alice, "phone", Ht::Expr, None);
    let token = issue().await.unwrap().text;
    house.auth.book.add_app_password(house.alice, "PHONE", 0).await.unwrap();
    assert!(fast(&house, &token, "phone", Ht::Expr, false).await.is_ok(), "one more password harms nobody");
    let token = issue().await.unwrap().text;
    house.auth.book.remove_app_password(house.alice, "PHONE").await.unwrap();
    assert_eq!(fast(&house, &token, "phone", Ht::Expr, false).await.unwrap_err(), Denied::Expired);
    let token = issue().await.unwrap().text;
    house.auth.book.set_enabled(house.alice, false).await.unwrap();
    assert_eq!(fast(&house, &token, "phone", Ht::Expr, false).await.unwrap_err(), Denied::Disabled);
    house.auth.book.set_enabled(house.alice, true).await.unwrap();
    assert!(fast(&house, &token, "phone", Ht::Expr, false).await.is_ok());
    house.auth.book.set_password(house.alice, "quill").await.unwrap();
    assert_eq!(fast(&house, &token, "phone", Ht::Expr, false).await.unwrap_err(), Denied::Expired);
    let config = Config { iterations: 4096, token_lifetime: Duration::ZERO, ..Config::default() };
    let house = house_with(config).await;
    let token = house.auth.authenticator.issue_fast(house.alice, "phone", Ht::Expr, None).await.unwrap().text;
    assert_eq!(fast(&house, &token, "phone", Ht::Expr, false).await.unwrap_err(), Denied::Expired);
}

#[tokio::test]
async fn a_key_more_for_the_same_password_signs_nobody_else_out() {
    let house = house().await;
    let token = house.auth.authenticator.issue_fast(house.alice, "phone", Ht::Expr, None).await.unwrap().text;
    let holder = (house.alice, crate::Holder::Person);
    let now = unix_millis();
    let (bearer, _) =
        house.auth.bearers.issue(holder, "a", &["session"], Duration::from_secs(60), now).await.unwrap();
    let who = house.auth.authenticator.verify(plain("wonder", "pencil"), XMPP).await.unwrap();
    // XEP-0480: a client that knows the password hands over a key of one hash.
    let upgrade = house.auth.book.begin_upgrade(&who, ScramHash::Sha512);
    let salted = [7; 64];
    assert!(house.auth.book.finish_upgrade(upgrade, &salted).await.unwrap().is_some());
    assert!(fast(&house, &token, "phone", Ht::Expr, false).await.is_ok());
    assert!(house.auth.bearers.find(&bearer, now).await.unwrap().is_some());
    house.auth.book.set_password(house.alice, "quill").await.unwrap();
    assert_eq!(fast(&house, &token, "phone", Ht::Expr, false).await.unwrap_err(), Denied::Expired);
    assert!(house.auth.bearers.find(&bearer, now).await.unwrap().is_none());
}
