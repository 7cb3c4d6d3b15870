//! Message carbons — XEP-0280: who gets a copy of what.

use crate::common::{Client, DOMAIN, Served, serve};

const ENABLE: &str = "<enable xmlns='urn:xmpp:carbons:2'/>";

async fn copied(served: &Served, user: &str, resource: &str) -> Client {
    let mut client = Client::online(served, user, resource).await;
    assert!(client.ask("set", "", ENABLE).await.contains("type='result'"));
    client
}

#[tokio::test]
async fn every_enabled_resource_sees_both_sides_once() {
    let served = serve().await;
    let mut desk = copied(&served, "alice", "desk").await;
    let mut phone = copied(&served, "alice", "phone").await;
    let mut plain = Client::online(&served, "alice", "plain").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    for client in [&mut desk, &mut phone] {
        client.expect(&["<presence", "alice@example.org/plain"]).await;
    }
    for resource in ["desk", "phone"] {
        plain.expect(&["<presence", &format!("from='alice@example.org/{resource}'")]).await;
    }
    desk.send("<message type='chat' id='1' to='bob@example.org'><body>hi</body></message>").await;
    bob.expect(&["<body>hi"]).await;
    let sent = phone.next().await.unwrap();
    for part in [
        "from='alice@example.org'",
        "to='alice@example.org/phone'",
        "type='chat'",
        "<sent xmlns='urn:xmpp:carbons:2'",
    ] {
        assert!(sent.contains(part), "{part}: {sent}");
    }
    assert!(
        sent.contains("<message xmlns='jabber:client' from='alice@example.org/desk' to='bob@example.org'")
    );
    bob.send("<message type='chat' to='alice@example.org/desk'><body>yo</body></message>").await;
    assert!(desk.next().await.unwrap().contains("from='bob@example.org/b'"), "itself, and no copy");
    let received = phone.next().await.unwrap();
    assert!(
        received.contains("<received xmlns='urn:xmpp:carbons:2'") && received.contains("<body>yo"),
        "{received}"
    );
    desk.expect_nothing().await;
    phone.expect_nothing().await;
    plain.expect_nothing().await;
    // Disabled again, it gets none.
    assert!(phone.ask("set", "", "<disable xmlns='urn:xmpp:carbons:2'/>").await.contains("result"));
    desk.send("<message type='chat' to='bob@example.org'><body>more</body></message>").await;
    bob.expect(&["more"]).await;
    phone.expect_nothing().await;
    assert!(phone.ask("set", "bob@example.org", ENABLE).await.contains("not-allowed"));
    let info = phone.ask("get", DOMAIN, "<query xmlns='http://jabber.org/protocol/disco#info'/>").await;
    assert!(info.contains("var='urn:xmpp:carbons:2'"), "{info}");
}

#[tokio::test]
async fn what_is_private_or_of_the_moment_is_not_copied() {
    let served = serve().await;
    let mut desk = copied(&served, "alice", "desk").await;
    let mut phone = copied(&served, "alice", "phone").await;
    desk.expect(&["<presence", "alice@example.org/phone"]).await;
    let mut bob = Client::online(&served, "bob", "b").await;
    for content in [
        "<body>1</body><private xmlns='urn:xmpp:carbons:2'/>",
        "<body>2</body><no-copy xmlns='urn:xmpp:hints'/>",
        "<body>3</body><received xmlns='urn:xmpp:carbons:2'/>",
    ] {
        desk.send(&format!("<message type='chat' to='bob@example.org'>{content}</message>")).await;
        bob.expect(&["<message"]).await;
        bob.send(&format!("<message type='chat' to='alice@example.org/desk'>{content}</message>")).await;
        desk.expect(&["<message"]).await;
    }
    bob.send("<message type='headline' to='alice@example.org'><body>news</body></message>").await;
    assert!(phone.next().await.unwrap().contains("news"), "itself, since all get headlines");
    phone.expect_nothing().await;
}

#[tokio::test]
async fn a_message_to_oneself_comes_once_to_each() {
    let served = serve().await;
    let mut desk = copied(&served, "alice", "desk").await;
    let mut phone = copied(&served, "alice", "phone").await;
    desk.expect(&["<presence", "alice@example.org/phone"]).await;
    desk.send("<message type='chat' to='alice@example.org/phone'><body>note</body></message>").await;
    assert!(phone.next().await.unwrap().contains("<body>note"));
    phone.expect_nothing().await;
    desk.expect_nothing().await;
}
