//! What the audit says of a change: what was before, and what is after.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use shared_auth::{Holder, Origin, Profile, Proof};
use shared_model::Protocol;
use shared_runtime::unix_millis;

use crate::common::rooms::ROOM;
use crate::common::{House, house, sign_in};

/// Alice administers, and this is her token.
async fn token(house: &House) -> String {
    house.auth.book.set_profile(house.alice, Profile { admin: true, ..Profile::default() }).await.unwrap();
    let (holder, hour) = ((house.alice, Holder::Person), Duration::from_secs(3600));
    let scopes = ["account:read", "account:write", "admin:read", "admin:write"];
    house.auth.bearers.issue(holder, "test", &scopes, hour, unix_millis()).await.unwrap().0
}

/// Does it, and answers what the audit says of it.
async fn noted(house: &House, token: &str, head: &str, body: &str) -> (String, Value, Value) {
    let (status, answer) = house.call(token, head, body).await;
    assert!((200..300).contains(&status), "{head}: {status} {answer}");
    let (_, change) = house.auth.audit.page(None, 1).await.unwrap().remove(0);
    (change["what"].as_str().unwrap().to_owned(), change["before"].clone(), change["after"].clone())
}

#[tokio::test]
async fn every_change_says_what_was_and_what_is() {
    let house = house("audit-states").await;
    let token = token(&house).await;
    let nothing = Value::Null;
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x09\0\0\0\x09".to_vec();
    png.extend(b"\x08\x02\0\0\0\0\0\0\0\0\0\0\0IEND\xaeB`\x82");
    let picture = json!({ "picture": BASE64_STANDARD.encode(&png) }).to_string();
    let shown = json!({ "media_type": "image/png", "bytes": png.len() });
    let room = format!("POST /api/v1/rooms/{ROOM}/moderation");
    for (head, body, what, before, after) in [
        ("PUT /api/v1/account/picture", picture.as_str(), "picture changed", &nothing, &shown),
        ("DELETE /api/v1/account/picture", "", "picture removed", &shown, &nothing),
        (
            "POST /api/v1/account/blocked",
            r#"{"address":"eve@example.org"}"#,
            "block list changed",
            &json!({ "entries": 0 }),
            &json!({ "entries": 1 }),
        ),
        (
            "DELETE /api/v1/account/blocked/eve@example.org",
            "",
            "block list changed",
            &json!({ "entries": 1 }),
            &json!({ "entries": 0 }),
        ),
        (
            &room,
            r#"{"deed":"mute","call":"leg-2"}"#,
            "mute in a room",
            &json!({ "audio": "muted", "gain": 6 }),
            &json!({ "audio": "muted", "gain": 6 }),
        ),
    ] {
        let told = noted(&house, &token, head, body).await;
        assert_eq!(told, (what.to_owned(), before.clone(), after.clone()), "{head}");
    }
    let (_, before, after) =
        noted(&house, &token, "POST /api/v1/account/devices", r#"{"name":"DESK"}"#).await;
    assert!(
        before.is_null() && after["name"] == "DESK" && !after.to_string().contains("password"),
        "{after}"
    );
    let (_, before, after) = noted(&house, &token, "DELETE /api/v1/account/devices/DESK", "").await;
    assert!(before["name"] == "DESK" && after.is_null(), "{before}");
    let body = r#"{"name":"robot","scopes":["account:read"]}"#;
    let (_, before, after) = noted(&house, &token, "POST /api/v1/account/tokens", body).await;
    assert!(before.is_null() && after["scopes"][0] == "account:read", "{after}");
    let (_, sessions) = house.call(&token, "GET /api/v1/account/sessions", "").await;
    let robot = sessions["sessions"].as_array().unwrap().iter().find(|it| it["name"] == "robot").unwrap();
    let end = format!("DELETE /api/v1/account/sessions/{}", robot["id"].as_str().unwrap());
    let (_, before, after) = noted(&house, &token, &end, "").await;
    assert!(before["name"] == "robot" && after.is_null(), "{before}");
    let (_, before, _) = noted(&house, &token, "DELETE /api/v1/account/clients/token", "").await;
    assert_eq!(before["name"], "App <token>");
    let (_, made) = house.call(&token, "POST /api/v1/invites", r#"{"user":"carol"}"#).await;
    let back = format!("DELETE /api/v1/invites/{}", made["invite"]["id"].as_str().unwrap());
    let (_, before, after) = noted(&house, &token, &back, "").await;
    assert!(before["user"] == "carol" && after.is_null(), "{before}");
}

#[tokio::test]
async fn a_ban_that_is_lifted_is_told_as_it_was_and_the_page_shows_both_states() {
    let house = house("audit-bans").await;
    let token = token(&house).await;
    let guess = async |n: u32| {
        let proof = Proof::Plain {
            name: "alice".to_owned(),
            domain: "example.org".to_owned(),
            password: "wrong".to_owned(),
            authzid: String::new(),
        };
        let origin = Origin::new(Protocol::Provisioning, format!("198.51.100.{n}").parse().unwrap());
        assert!(house.auth.authenticator.verify(proof, origin).await.is_err());
    };
    for n in 0..24 {
        guess(n).await;
    }
    let lift = "POST /api/v1/bans/lift";
    let (what, before, after) = noted(&house, &token, lift, r#"{"address":"alice@example.org"}"#).await;
    assert!(what == "account freed" && before["seconds"].as_u64() > Some(0) && after.is_null(), "{before}");
    for _ in 0..12 {
        guess(7).await;
    }
    let network = house.call(&token, "GET /api/v1/bans", "").await.1["networks"][0]["network"].clone();
    let body = json!({ "network": network }).to_string();
    let (what, before, after) = noted(&house, &token, lift, &body).await;
    assert!(what == "network freed" && before["failures"].as_u64() > Some(0) && after.is_null(), "{before}");
    house.auth.authenticator.lift_account(&house.auth.directory.by_id(house.alice).await.unwrap().unwrap());
    noted(&house, &token, "PATCH /api/v1/account", r#"{"name":"Alice <b>"}"#).await;
    let (cookie, _) = sign_in(&house).await;
    let page = house.send("GET /admin/service", &cookie, "").await;
    assert!(page.contains("name: Alice &lt;b&gt;") && page.contains("failures: "), "{page}");
    assert!(!page.contains("aor: alice@example.org"), "what is the same is not told: {page}");
}
