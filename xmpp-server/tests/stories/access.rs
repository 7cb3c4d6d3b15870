//! Who has access to an account, and by what keys — XEP-0494, XEP-0480.

use std::time::Duration;

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use shared_auth::{Auth, DigestAlgorithm, NewAccount, Profile, ScramHash, ScramVerifier};
use shared_model::{AccountId, BareJid};
use shared_runtime::bus::Bus;
use shared_store::Store;
use xmpp_server::Config;

use crate::common::{Client, PASSWORD, Served, attribute, serve, serve_with};

const LIST: &str = "<list xmlns='urn:xmpp:cam:0'/>";
const TOKEN: &str = "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>";

/// Logs in as an installation that says which it is.
async fn installed(
    served: &Served,
    user: &str,
    password: &str,
    id: &str,
    requests: &str,
) -> (Client, String) {
    let mut client = Client::connect_tls(served).await;
    client.open().await;
    let proof = STANDARD.encode(format!("\0{user}\0{password}"));
    client
        .send(&format!(
            "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>{proof}</initial-response>\
             <user-agent id='{id}'><software>Gajim</software><device>The {id}</device></user-agent>\
             <bind xmlns='urn:xmpp:bind:0'/>{requests}</authenticate>"
        ))
        .await;
    let success = client.expect(&["<success"]).await;
    client.expect(&["features"]).await;
    (client, success)
}

/// Logs in by a token; whether that is believed.
async fn by_token(served: &Served, id: &str, token: &str) -> bool {
    let mut client = Client::connect_tls(served).await;
    client.open().await;
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, token.as_bytes()), b"Initiator");
    let proof = STANDARD.encode([b"alice\0", tag.as_ref()].concat());
    client
        .send(&format!(
            "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='HT-SHA-256-NONE'><initial-response>{proof}</initial-response>\
             <user-agent id='{id}'/><bind xmlns='urn:xmpp:bind:0'/><fast xmlns='urn:xmpp:fast:0'/></authenticate>"
        ))
        .await;
    client.next().await.unwrap().contains("<success")
}

/// What a list says of one client.
fn of(list: &str, part: &str) -> String {
    let found = list.split("<client ").find(|client| client.contains(part));
    format!("<client {}", found.unwrap_or_else(|| panic!("no {part} in {list}")))
}

fn revoke(id: &str) -> String {
    format!("<revoke xmlns='urn:xmpp:cam:0' id='{id}'/>")
}

async fn account(served: &Served) -> AccountId {
    let jid: BareJid = "alice@example.org".parse().unwrap();
    served.auth.directory.by_jid(&jid).await.unwrap().unwrap().account
}

#[tokio::test]
async fn an_owner_sees_every_client_and_ends_the_access_of_one_that_was_lost() {
    let served = serve().await;
    let alice = account(&served).await;
    let phone = served.auth.book.add_app_password(alice, "PHONE", 0).await.unwrap();
    served.auth.book.add_app_password(alice, "TABLET", 0).await.unwrap();
    let (mut desk, _) = installed(&served, "alice", PASSWORD, "desk", "").await;
    let (mut lost, success) = installed(&served, "alice+PHONE", &phone, "phone", TOKEN).await;
    let token = attribute(&success, "token", "token");
    let mut old = Client::login(&served, "alice", "old").await;

    let list = desk.ask("get", "", LIST).await;
    let of_desk = of(&list, "The desk");
    for part in [
        "connected='true'",
        "type='session'",
        "<software>Gajim</software>",
        "<first-seen>",
        "<auth><password/></auth>",
        "<permission status='unrestricted'/>",
    ] {
        assert!(of_desk.contains(part), "{part}: {of_desk}");
    }
    let of_phone = of(&list, "The phone");
    assert!(of_phone.contains("<auth><grant/><fast/></auth><permission status='normal'/>"), "{of_phone}");
    assert!(!of_phone.contains("id='phone'"), "nobody learns how an installation calls itself: {of_phone}");
    let of_tablet = of(&list, "TABLET");
    assert!(of_tablet.contains("connected='false'") && of_tablet.contains("type='access'"), "{of_tablet}");
    assert!(
        of(&list, ">old<").contains("<auth><password/></auth>"),
        "one that says nothing of itself: {list}"
    );

    // An app password is not the account.
    let refused = lost.ask("set", "", &revoke(&attribute(&of_desk, "client", "id"))).await;
    assert!(refused.contains("<forbidden"), "{refused}");
    let refused = desk.ask("set", "", &revoke(&attribute(&of_desk, "client", "id"))).await;
    assert!(refused.contains("<password-reset-required xmlns='urn:xmpp:cam:0'/>"), "{refused}");
    assert!(desk.ask("set", "", &revoke("nobody")).await.contains("<item-not-found"));
    assert!(desk.ask("set", "", &revoke("app-password:nobody")).await.contains("<item-not-found"));
    assert!(desk.ask("set", "", "<revoke xmlns='urn:xmpp:cam:0'/>").await.contains("<bad-request"));
    let mut bob = Client::login(&served, "bob", "b").await;
    assert!(bob.ask("get", "alice@example.org", LIST).await.contains("<forbidden"));

    let done = desk.ask("set", "", &revoke(&attribute(&of_phone, "client", "id"))).await;
    assert!(done.contains("type='result'"), "{done}");
    lost.expect_stream_error("not-authorized").await;
    assert!(!by_token(&served, "phone", &token).await);
    let names = served.auth.book.app_passwords(alice).await.unwrap();
    assert_eq!(names.iter().map(|device| device.name.as_str()).collect::<Vec<_>>(), ["TABLET"]);
    assert!(desk.ask("set", "", &revoke(&attribute(&of_tablet, "client", "id"))).await.contains("result"));
    let list = desk.ask("get", "", LIST).await;
    assert!(!list.contains("phone") && !list.contains("TABLET"), "{list}");

    // Who knew a password that is another now is put out, and can be taken off the list.
    let (mut thief, _) = installed(&served, "alice", PASSWORD, "thief", "").await;
    served.auth.book.set_password(alice, "another horse").await.unwrap();
    for client in [&mut thief, &mut desk, &mut old] {
        client.expect_stream_error("not-authorized").await;
    }
    let (mut desk, _) = installed(&served, "alice", "another horse", "desk", "").await;
    let id = attribute(&of(&desk.ask("get", "", LIST).await, "The thief"), "client", "id");
    assert!(desk.ask("set", "", &revoke(&id)).await.contains("result"));
}

#[tokio::test]
async fn who_comes_by_an_old_password_that_a_cache_still_holds_is_put_out_when_it_is_known() {
    let served = serve().await;
    let alice = account(&served).await;
    let mut before = Client::login(&served, "alice", "before").await;
    // As `cusax user password` does, beside this process.
    let (config, bus, registry) = (shared_auth::Config::default(), Bus::new(), prometheus::Registry::new());
    let beside = Auth::open(&config, &served.store, &served.folder, &bus, &registry).unwrap();
    beside.book.set_password(alice, "another horse").await.unwrap();
    tokio::time::sleep(Duration::from_millis(2)).await;
    let mut thief = Client::login(&served, "alice", "thief").await;
    let (auth, store, bus) = (served.auth.clone(), served.store.clone(), served.bus.clone());
    let (shutdown, stop) = (served.shutdown.clone(), served.shutdown.clone());
    stop.spawn(async move { auth.follow_others(store, bus, shutdown).await });
    before.expect_stream_error("not-authorized").await;
    thief.expect_stream_error("not-authorized").await;
    let (mut desk, _) = installed(&served, "alice", "another horse", "desk", "").await;
    assert!(desk.ask("get", "", LIST).await.contains("type='result'"));
}

#[tokio::test]
async fn nothing_is_noted_where_the_operator_wants_that() {
    let config = Config { clients_for: Duration::ZERO, ..Config::default() };
    let served = serve_with(config, Store::in_memory()).await;
    let (mut desk, _) = installed(&served, "alice", PASSWORD, "desk", "").await;
    let list = desk.ask("get", "", LIST).await;
    assert!(
        !list.contains("Gajim") && list.contains("connected='true'"),
        "a session, while it lasts: {list}"
    );
}

/// A verifier as RFC 5802 §3 has it, with SHA-1.
fn old_key(password: &str) -> ScramVerifier {
    let mut salted = [0_u8; 20];
    let rounds = std::num::NonZeroU32::new(4096).unwrap();
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA1, rounds, b"salty salty salt", password.as_bytes(), &mut salted);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salted);
    let client_key = hmac::sign(&key, b"Client Key");
    let stored = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, client_key.as_ref());
    ScramVerifier {
        hash: ScramHash::Sha1,
        salt: b"salty salty salt".to_vec(),
        iterations: 4096,
        stored_key: stored.as_ref().to_vec(),
        server_key: hmac::sign(&key, b"Server Key").as_ref().to_vec(),
    }
}

/// An account that came from another server.
async fn moved(served: &Served) -> AccountId {
    let (aor, jid) = ("dave@sip.example.org".parse().unwrap(), "dave@example.org".parse().unwrap());
    let card =
        served.auth.book.create_locked(NewAccount { aor, jid, profile: Profile::default() }).await.unwrap();
    assert_eq!(served.auth.book.adopt(card.account, vec![old_key(PASSWORD)]).await.unwrap(), 1);
    card.account
}

/// Proves the password by SCRAM-SHA-1 and asks for upgrades; what comes of it.
async fn by_scram(served: &Served, upgrades: &[&str]) -> (Client, String) {
    let mut client = Client::connect_tls(served).await;
    let features = client.open().await;
    assert!(
        features.contains("<upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-256</upgrade>"),
        "{features}"
    );
    let bare = "n=dave,r=clientnonce";
    let upgrades: String = upgrades
        .iter()
        .map(|task| format!("<upgrade xmlns='urn:xmpp:sasl:upgrade:0'>{task}</upgrade>"))
        .collect();
    client
        .send(&format!(
            "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='SCRAM-SHA-1'>{upgrades}<initial-response>{}\
             </initial-response><user-agent id='desk'/><bind xmlns='urn:xmpp:bind:0'/></authenticate>",
            STANDARD.encode(format!("n,,{bare}"))
        ))
        .await;
    let challenge = client.expect(&["<challenge"]).await;
    let first = STANDARD.decode(challenge.split('>').nth(1).unwrap().split('<').next().unwrap()).unwrap();
    let first = String::from_utf8(first).unwrap();
    let nonce = first.split(',').next().unwrap().to_owned();
    let mut salted = [0_u8; 20];
    let rounds = std::num::NonZeroU32::new(4096).unwrap();
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA1, rounds, b"salty salty salt", PASSWORD.as_bytes(), &mut salted);
    let hmac =
        |key: &[u8], text: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key), text);
    let client_key = hmac(&salted, b"Client Key");
    let stored = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, client_key.as_ref());
    let without_proof = format!("c=biws,{nonce}");
    let signature = hmac(stored.as_ref(), format!("{bare},{first},{without_proof}").as_bytes());
    let proof: Vec<u8> = client_key.as_ref().iter().zip(signature.as_ref()).map(|(k, s)| k ^ s).collect();
    let response = STANDARD.encode(format!("{without_proof},p={}", STANDARD.encode(proof)));
    client.send(&format!("<response xmlns='urn:xmpp:sasl:2'>{response}</response>")).await;
    let outcome = client.next().await.unwrap();
    (client, outcome)
}

fn next(task: &str) -> String {
    format!("<next xmlns='urn:xmpp:sasl:2' task='{task}'/>")
}

fn answer(hash: &[u8]) -> String {
    let hash = STANDARD.encode(hash);
    format!(
        "<task-data xmlns='urn:xmpp:sasl:2'><hash xmlns='urn:xmpp:scram-upgrade:0'>{hash}</hash></task-data>"
    )
}

/// Computes what a task asks for.
fn salted(data: &str, algorithm: pbkdf2::Algorithm, length: usize) -> Vec<u8> {
    let salt = data.split("<salt").nth(1).unwrap().split('>').nth(1).unwrap().split('<').next().unwrap();
    let rounds = std::num::NonZeroU32::new(attribute(data, "salt", "iterations").parse().unwrap()).unwrap();
    let mut salted = vec![0_u8; length];
    pbkdf2::derive(algorithm, rounds, &STANDARD.decode(salt).unwrap(), PASSWORD.as_bytes(), &mut salted);
    salted
}

#[tokio::test]
async fn an_account_from_another_server_gets_the_keys_that_it_lacks() {
    let served = serve().await;
    let dave = moved(&served).await;
    let tasks = ["UPGR-SCRAM-SHA-256", "UPGR-SCRAM-SHA-512", "UPGR-SCRAM-SHA-1", "UPGR-BLOOP-42"];
    let (mut client, outcome) = by_scram(&served, &tasks).await;
    assert!(outcome.contains("<continue") && outcome.contains("<additional-data>"), "{outcome}");
    assert!(
        outcome.contains("<tasks><task>UPGR-SCRAM-SHA-512</task></tasks>"),
        "the strongest first: {outcome}"
    );
    client.send(&next("UPGR-SCRAM-SHA-512")).await;
    let data = client.expect(&["<task-data"]).await;
    client.send(&answer(&salted(&data, pbkdf2::PBKDF2_HMAC_SHA512, 64))).await;
    let outcome = client.expect(&["<continue"]).await;
    assert!(outcome.contains("<task>UPGR-SCRAM-SHA-256</task>"), "{outcome}");
    client.send(&next("UPGR-SCRAM-SHA-256")).await;
    let data = client.expect(&["<task-data"]).await;
    client.send(&answer(&salted(&data, pbkdf2::PBKDF2_HMAC_SHA256, 32))).await;
    let success = client.expect(&["<success"]).await;
    assert!(success.contains("dave@example.org") && success.contains("<bound"), "{success}");
    let mut hashes: Vec<_> = served.auth.book.verifiers(dave).await.unwrap().iter().map(|v| v.hash).collect();
    hashes.sort_unstable();
    assert_eq!(hashes, [ScramHash::Sha1, ScramHash::Sha256, ScramHash::Sha512]);
    let (_, outcome) = by_scram(&served, &tasks).await;
    assert!(outcome.contains("<success"), "nothing is lacking any more: {outcome}");
}

#[tokio::test]
async fn who_came_with_keys_alone_signs_in_by_plain_and_calls_from_then_on() {
    let served = serve().await;
    let dave = moved(&served).await;
    let plain = async |password: &str| {
        let mut client = Client::connect_tls(&served).await;
        client.open().await;
        let proof = STANDARD.encode(format!("\0dave\0{password}"));
        client
            .send(&format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{proof}</auth>"))
            .await;
        client.expect(&["urn:ietf:params:xml:ns:xmpp-sasl"]).await
    };
    let ha1 = async || served.auth.book.ha1(dave, DigestAlgorithm::Md5).await.unwrap();
    assert!(plain("wrong").await.contains("<not-authorized"));
    assert_eq!(ha1().await, None);
    let outcome = plain(PASSWORD).await;
    assert!(outcome.contains("<success"), "{outcome}");
    let aor = "dave@sip.example.org".parse().unwrap();
    assert_eq!(ha1().await, shared_auth::ha1_of(&aor, PASSWORD, DigestAlgorithm::Md5));
}

#[tokio::test]
async fn what_is_no_answer_to_a_task_lets_nobody_in_and_changes_no_key() {
    let served = serve().await;
    let dave = moved(&served).await;
    let task = "UPGR-SCRAM-SHA-256";
    let (mut client, _) = by_scram(&served, &[task]).await;
    client.send(&next("UPGR-SCRAM-SHA-512")).await;
    assert!(client.expect(&["<failure"]).await.contains("malformed-request"), "another task");
    let (mut client, _) = by_scram(&served, &[task]).await;
    client.send(&answer(&[0; 32])).await;
    assert!(client.expect(&["<failure"]).await.contains("malformed-request"), "before the task began");
    for hash in [&b""[..], &[0; 31], &[0; 64]] {
        let (mut client, _) = by_scram(&served, &[task]).await;
        client.send(&next(task)).await;
        client.expect(&["<task-data"]).await;
        client.send(&answer(hash)).await;
        assert!(client.expect(&["<failure"]).await.contains("malformed-request"), "{} bytes", hash.len());
    }
    let (mut client, _) = by_scram(&served, &[task]).await;
    client.send("<iq type='get' id='1'><list xmlns='urn:xmpp:cam:0'/></iq>").await;
    client.expect_stream_error("not-authorized").await;
    assert_eq!(served.auth.book.verifiers(dave).await.unwrap().len(), 1);
}
