//! Proof, binding and resumption in one exchange — XEP-0388, XEP-0386, XEP-0198 §9.

use crate::common::{Client, DOMAIN, PASSWORD, Served, attribute, serve};
use base64::Engine;

fn authenticate(user: &str, password: &str, requests: &str) -> String {
    let proof = base64::engine::general_purpose::STANDARD.encode(format!("\0{user}\0{password}"));
    format!(
        "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>{proof}</initial-response>\
         <user-agent id='d4565fa7'><software>S</software></user-agent>{requests}</authenticate>"
    )
}

async fn opened(served: &Served) -> Client {
    let mut client = Client::connect(served).await;
    let features = client.open().await;
    for part in [
        "<authentication xmlns='urn:xmpp:sasl:2'><mechanism>SCRAM-SHA-512",
        "<bind xmlns='urn:xmpp:bind:0'>",
        "<sm xmlns='urn:xmpp:sm:3'/>",
    ] {
        assert!(features.contains(part), "{part}: {features}");
    }
    client
}

const BIND: &str = "<bind xmlns='urn:xmpp:bind:0'><tag>App</tag><enable xmlns='urn:xmpp:carbons:2'/><enable xmlns='urn:xmpp:sm:3' resume='true'/></bind>";

#[tokio::test]
async fn a_proof_alone_needs_no_new_header() {
    let served = serve().await;
    let mut client = opened(&served).await;
    client.send(&authenticate("alice", "wrong", "")).await;
    let failure = client.expect(&["<failure"]).await;
    assert!(
        failure.contains("xmlns='urn:xmpp:sasl:2'")
            && failure.contains("<not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"),
        "{failure}"
    );
    client.send(&authenticate("alice", PASSWORD, "")).await;
    let success = client.next().await.unwrap();
    assert!(success.contains("<authorization-identifier>alice@example.org<"), "{success}");
    assert!(client.next().await.unwrap().contains("xmpp-bind"), "features follow");
    client.bind("a").await;
    assert!(client.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await.contains("result"));
}

#[tokio::test]
async fn one_exchange_binds_enables_and_later_resumes() {
    let served = serve().await;
    let mut bob = Client::online(&served, "bob", "b").await;
    bob.send("<message type='chat' to='alice@example.org'><body>before</body></message>").await;
    bob.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
    let mut alice = opened(&served).await;
    alice.send(&authenticate("alice", PASSWORD, BIND)).await;
    let success = alice.next().await.unwrap();
    for part in [
        "<authorization-identifier>alice@example.org/App/",
        "<bound xmlns='urn:xmpp:bind:0'>",
        "<enabled xmlns='urn:xmpp:sm:3'",
        "<metadata xmlns='urn:xmpp:mam:2'><start id=",
    ] {
        assert!(success.contains(part), "{part}: {success}");
    }
    let features = alice.next().await.unwrap();
    assert!(features.contains("features") && !features.contains("xmpp-bind"), "{features}");
    assert!(!features.contains("urn:xmpp:sm:3"), "what is on is not offered: {features}");
    let jid = success.split("identifier>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let id = attribute(&success, "enabled", "id");
    // What waited is in the archive, which the client was told of.
    alice.send("<presence/>").await;
    assert!(alice.stanza().await.unwrap().contains("<presence"));
    bob.send("<message type='chat' to='alice@example.org'><body>now</body></message>").await;
    assert!(alice.stanza().await.unwrap().contains("<body>now"));
    drop(alice);
    let mut again = opened(&served).await;
    let resume = format!("<resume xmlns='urn:xmpp:sm:3' previd='{id}' h='1'/>{BIND}");
    again.send(&authenticate("alice", PASSWORD, &resume)).await;
    let success = again.next().await.unwrap();
    assert!(
        success.contains("<resumed xmlns='urn:xmpp:sm:3'")
            && success.contains(&jid)
            && !success.contains("<bound"),
        "{success}"
    );
    assert!(again.stanza().await.unwrap().contains("<body>now"), "no features, what was not acked");
    // A resumption that fails does not keep from binding; the same installation has one session.
    let mut other = opened(&served).await;
    let resume = format!("<resume xmlns='urn:xmpp:sm:3' previd='none' h='0'/>{BIND}");
    other.send(&authenticate("alice", PASSWORD, &resume)).await;
    let success = other.next().await.unwrap();
    assert!(
        success.contains("<failed")
            && success.contains("item-not-found")
            && success.contains("<bound")
            && success.contains(&jid),
        "{success}"
    );
    again.expect_stream_error("conflict").await;
}
