//! STUN and TURN servers that clients are told of — XEP-0215.

use crate::common::{Client, DOMAIN, attribute, serve, serve_with};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use shared_store::Store;
use xmpp_server::{Config, TurnConfig};

const INFO: &str = "<query xmlns='http://jabber.org/protocol/disco#info'/>";

#[tokio::test]
async fn clients_get_passwords_for_a_while() {
    let file = std::env::temp_dir().join(format!("cusax-turn-{}", std::process::id()));
    std::fs::write(&file, "north wind\n").unwrap();
    let services =
        ["stun:stun.example.org", "turn:turn.example.org:3479?transport=tcp", "turns:turn.example.org"];
    let turn = TurnConfig {
        services: services.map(str::to_owned).to_vec(),
        secret_file: Some(file.clone()),
        ..TurnConfig::default()
    };
    let served = serve_with(Config { turn, ..Config::default() }, Store::in_memory()).await;
    std::fs::remove_file(file).unwrap();
    let mut alice = Client::online(&served, "alice", "a").await;
    assert!(alice.ask("get", DOMAIN, INFO).await.contains("urn:xmpp:extdisco:2"));
    let all = alice.ask("get", DOMAIN, "<services xmlns='urn:xmpp:extdisco:2'/>").await;
    assert!(all.contains("type='stun' host='stun.example.org' port='3478' transport='udp'/>"), "{all}");
    assert!(all.contains("type='turns' host='turn.example.org' port='5349' transport='tcp'"), "{all}");
    let ask = "<services xmlns='urn:xmpp:extdisco:2' type='turn'/>";
    let relays = alice.ask("get", DOMAIN, ask).await;
    assert!(!relays.contains("type='stun'") && !relays.contains("type='turns'"), "{relays}");
    let (name, password) =
        (attribute(&relays, "service ", "username"), attribute(&relays, "service ", "password"));
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"north wind");
    assert_eq!(password, STANDARD.encode(hmac::sign(&key, name.as_bytes())));
    let ends: i64 = name.split(':').next().unwrap().parse().unwrap();
    let now = shared_runtime::unix_millis() / 1000;
    assert!((now + 43_190..=now + 43_200).contains(&ends), "{name} at {now}");
    assert!(attribute(&relays, "service ", "expires").ends_with('Z'));
    let credentials = |host: &str, type_: &str| {
        format!(
            "<credentials xmlns='urn:xmpp:extdisco:2'><service host='{host}' type='{type_}'/></credentials>"
        )
    };
    let given = alice.ask("get", DOMAIN, &credentials("turn.example.org", "turn")).await;
    assert!(given.contains("port='3479'") && given.contains("password="), "{given}");
    for (host, type_) in [("turn.example.com", "turn"), ("stun.example.org", "stun")] {
        assert!(alice.ask("get", DOMAIN, &credentials(host, type_)).await.contains("item-not-found"));
    }
}

#[tokio::test]
async fn where_there_is_none_nothing_is_claimed() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    assert!(!alice.ask("get", DOMAIN, INFO).await.contains("extdisco"));
    let none = alice.ask("get", DOMAIN, "<services xmlns='urn:xmpp:extdisco:2'/>").await;
    assert!(none.contains("service-unavailable"), "{none}");
}
