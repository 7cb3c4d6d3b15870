//! Logging in by a token — XEP-0484.

use crate::common::{Client, PASSWORD, Served, attribute, serve};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use shared_model::BareJid;

const BIND: &str = "<bind xmlns='urn:xmpp:bind:0'><tag>App</tag></bind>";
const AGENT: &str = "<user-agent id='d4565fa7'/>";

fn request(mechanism: &str) -> String {
    format!("<request-token xmlns='urn:xmpp:fast:0' mechanism='{mechanism}'/>")
}

/// Logs in with the password and asks for a token; what the success says.
async fn by_password(served: &Served, requests: &str) -> String {
    let mut client = Client::connect_tls(served).await;
    client.open().await;
    let proof = STANDARD.encode(format!("\0alice\0{PASSWORD}"));
    client
        .send(&format!(
            "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>{proof}</initial-response>\
             {AGENT}{BIND}{requests}</authenticate>"
        ))
        .await;
    client.expect(&["<success"]).await
}

/// Logs in with a token; what comes of it.
async fn by_token(served: &Served, mechanism: &str, token: &str, attributes: &str) -> (Client, String) {
    let mut client = Client::connect_tls(served).await;
    client.open().await;
    let binding = match mechanism {
        "HT-SHA-256-EXPR" => client.exporter.clone(),
        "HT-SHA-256-ENDP" => served.tls.server_end_point(None),
        _ => Vec::new(),
    };
    let key = hmac::Key::new(hmac::HMAC_SHA256, token.as_bytes());
    let tag = |word: &[u8]| hmac::sign(&key, &[word, &binding].concat());
    let proof = STANDARD.encode([b"alice\0", tag(b"Initiator").as_ref()].concat());
    client
        .send(&format!(
            "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='{mechanism}'><initial-response>{proof}</initial-response>\
             {AGENT}{BIND}<fast xmlns='urn:xmpp:fast:0'{attributes}/></authenticate>"
        ))
        .await;
    let outcome = client.next().await.unwrap();
    if outcome.contains("<success") {
        let expected = STANDARD.encode(tag(b"Responder"));
        assert!(
            outcome.contains(&format!("<additional-data>{expected}<")),
            "the server proves itself too: {outcome}"
        );
    }
    (client, outcome)
}

#[tokio::test]
async fn a_password_is_exchanged_for_a_token_and_that_logs_in_at_once() {
    let served = serve().await;
    let mut client = Client::connect_tls(&served).await;
    let features = client.open().await;
    let offer = "<fast xmlns='urn:xmpp:fast:0'><mechanism>HT-SHA-256-EXPR</mechanism><mechanism>HT-SHA-256-ENDP\
                 </mechanism><mechanism>HT-SHA-256-NONE</mechanism></fast>";
    assert!(features.contains(offer), "{features}");
    assert!(!Client::connect(&served).await.open().await.contains("urn:xmpp:fast"), "not in the clear");
    assert!(!by_password(&served, "").await.contains("<token"), "nobody asked");
    assert!(!by_password(&served, &request("HT-SHA-256-UNIQ")).await.contains("<token"), "not offered");
    for mechanism in ["HT-SHA-256-EXPR", "HT-SHA-256-ENDP", "HT-SHA-256-NONE"] {
        let success = by_password(&served, &request(mechanism)).await;
        let token = attribute(&success, "token", "token");
        assert!(attribute(&success, "token", "expiry").ends_with('Z'));
        let (mut client, outcome) = by_token(&served, mechanism, &token, "").await;
        assert!(outcome.contains("<bound") && outcome.contains("alice@example.org/App/"), "{outcome}");
        assert!(!outcome.contains("<token"), "it is new");
        client.expect(&["features"]).await;
        assert!(client.ask("get", "example.org", "<ping xmlns='urn:xmpp:ping'/>").await.contains("result"));
        let (_, wrong) = by_token(&served, mechanism, "another", "").await;
        assert!(wrong.contains("<failure") && wrong.contains("<not-authorized"), "{wrong}");
    }
}

#[tokio::test]
async fn a_token_ends_when_the_client_says_so_or_the_password_is_another() {
    let served = serve().await;
    let mechanism = "HT-SHA-256-EXPR";
    let token = attribute(&by_password(&served, &request(mechanism)).await, "token", "token");
    assert!(by_token(&served, mechanism, &token, " invalidate='true'").await.1.contains("<success"));
    assert!(by_token(&served, mechanism, &token, "").await.1.contains("<not-authorized"));
    let token = attribute(&by_password(&served, &request(mechanism)).await, "token", "token");
    let jid: BareJid = "alice@example.org".parse().unwrap();
    let card = served.auth.directory.by_jid(&jid).await.unwrap().unwrap();
    served.auth.book.set_password(card.account, "another").await.unwrap();
    let (_, expired) = by_token(&served, mechanism, &token, "").await;
    assert!(expired.contains("<failure") && expired.contains("<credentials-expired"), "{expired}");
}

#[tokio::test]
async fn a_tokens_mechanism_is_for_tokens_alone() {
    let served = serve().await;
    let mut client = Client::connect_tls(&served).await;
    client.open().await;
    for (mechanism, fast) in [("HT-SHA-256-NONE", ""), ("PLAIN", "<fast xmlns='urn:xmpp:fast:0'/>")] {
        client
            .send(&format!(
                "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='{mechanism}'><initial-response>AA==</initial-response>\
                 {AGENT}{fast}</authenticate>"
            ))
            .await;
        assert!(client.expect(&["<failure"]).await.contains("invalid-mechanism"));
    }
}
