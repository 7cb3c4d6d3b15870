//! Clients that are woken — XEP-0357. Carol's client plays the push service.

use crate::common::{Client, DOMAIN, ROOMS, attribute, serve, serve_again, serve_with};
use shared_store::Store;
use xmpp_server::Config;

const SERVICE: &str = "carol@example.org/push";

fn enable(node: &str, inside: &str) -> String {
    format!("<enable xmlns='urn:xmpp:push:0' jid='{SERVICE}' node='{node}'>{inside}</enable>")
}

async fn answer(service: &mut Client, iq: &str, error: Option<&str>) {
    let id = attribute(iq, "iq", "id");
    let (type_, inside) = match error {
        None => ("result", String::new()),
        Some(name) => (
            "error",
            format!("<error type='cancel'><{name} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"),
        ),
    };
    service.send(&format!("<iq type='{type_}' id='{id}' to='{DOMAIN}'>{inside}</iq>")).await;
}

async fn write(from: &mut Client, body: &str) {
    from.send(&format!("<message to='alice@example.org' type='chat'><body>{body}</body></message>")).await;
}

#[tokio::test]
async fn a_client_that_is_gone_is_woken_by_its_service() {
    let served = serve().await;
    let mut service = Client::online(&served, "carol", "push").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    let mut alice = Client::online(&served, "alice", "phone").await;
    let info = alice.ask("get", "", "<query xmlns='http://jabber.org/protocol/disco#info'/>").await;
    assert!(info.contains("urn:xmpp:push:0"), "{info}");
    let options = "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
                   <value>http://jabber.org/protocol/pubsub#publish-options</value></field>\
                   <field var='secret'><value>s3cret</value></field></x>";
    assert!(alice.ask("set", "", &enable("n1", options)).await.contains("type='result'"));
    assert!(bob.ask("set", "alice@example.org", &enable("n1", "")).await.contains("forbidden"));
    assert!(alice.ask("set", "", "<enable xmlns='urn:xmpp:push:0'/>").await.contains("bad-request"));
    write(&mut bob, "seen").await;
    alice.expect(&["seen"]).await;
    service.expect_nothing().await;
    alice.send("</stream:stream>").await;
    assert_eq!(alice.next().await, None);
    write(&mut bob, "private words").await;
    let push = service.expect(&["urn:xmpp:push:0"]).await;
    for part in [
        "type='set'",
        "from='example.org'",
        "node='n1'",
        "urn:xmpp:push:summary",
        "<field var='message-count'><value>1<",
        "<publish-options>",
        "<value>s3cret<",
    ] {
        assert!(push.contains(part), "{part}: {push}");
    }
    assert!(!push.contains("private words") && !push.contains("bob@"), "who and what stay here: {push}");
}

#[tokio::test]
async fn who_does_not_look_is_woken_and_who_looks_is_not() {
    let served = serve_with(Config { push_details: true, ..Config::default() }, Store::in_memory()).await;
    let mut service = Client::online(&served, "carol", "push").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    let mut alice = Client::online(&served, "alice", "phone").await;
    let mut desk = Client::online(&served, "alice", "desk").await;
    alice.ask("set", "", &enable("n1", "")).await;
    alice.send("<inactive xmlns='urn:xmpp:csi:0'/>").await;
    alice.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
    bob.send("<message to='alice@example.org' type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>").await;
    write(&mut desk, "note to self").await;
    desk.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
    write(&mut bob, "words").await;
    let push = service.expect(&["urn:xmpp:push:0"]).await;
    assert!(push.contains("<value>bob@example.org/b<") && push.contains("<value>words<"), "{push}");
}

#[tokio::test]
async fn a_session_without_connection_is_woken() {
    let served = serve().await;
    let mut service = Client::online(&served, "carol", "push").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    let mut alice = Client::online(&served, "alice", "phone").await;
    alice.manage().await;
    alice.ask("set", "", &enable("n1", "")).await;
    drop(alice);
    // The connection is lost, which the server finds out when it reads from it.
    let mut pushed = false;
    for _ in 0..200 {
        write(&mut bob, "are you there").await;
        bob.send(&format!("<iq type='get' id='p' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>")).await;
        bob.expect(&["id='p'"]).await;
        service
            .send(&format!("<iq type='get' id='p' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>"))
            .await;
        if service.expect(&["<iq"]).await.contains("urn:xmpp:push:0") {
            pushed = true;
            break;
        }
    }
    assert!(pushed);
}

#[tokio::test]
async fn what_came_before_it_was_noticed_that_a_client_vanished_wakes_it() {
    let (ack_timeout, idle_timeout) = (std::time::Duration::from_millis(400), std::time::Duration::ZERO);
    let prompt = Config { ack_timeout, idle_timeout, ..Config::default() };
    let served = serve_with(prompt, Store::in_memory()).await;
    let mut service = Client::online(&served, "carol", "push").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    let mut alice = Client::online(&served, "alice", "phone").await;
    let mut tablet = Client::online(&served, "alice", "tablet").await;
    tablet.ask("set", "", &enable("n2", "")).await;
    alice.ask("set", "", &enable("n1", "")).await;
    alice.manage().await;
    for body in ["one", "two"] {
        bob.send(&format!("<message to='alice@example.org/phone' type='chat'><body>{body}</body></message>"))
            .await;
        alice.expect(&[body]).await;
    }
    // The line is open, and nobody is there any more who would ack.
    let push = service.expect(&["urn:xmpp:push:0"]).await;
    assert!(push.contains("node='n1'"), "{push}");
    assert_eq!(alice.next().await, None);
    service.expect_nothing().await;
}

#[tokio::test]
async fn a_service_that_refuses_is_not_asked_again() {
    let served = serve().await;
    let mut service = Client::online(&served, "carol", "push").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    let mut alice = Client::online(&served, "alice", "phone").await;
    alice.ask("set", "", &enable("n1", "")).await;
    alice.ask("set", "", &enable("n2", "")).await;
    alice.send("</stream:stream>").await;
    assert_eq!(alice.next().await, None);
    write(&mut bob, "one").await;
    for _ in 0..2 {
        let push = service.expect(&["urn:xmpp:push:0"]).await;
        let error = push.contains("node='n1'").then_some("item-not-found");
        answer(&mut service, &push, error).await;
    }
    service.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
    // Another process over the same store has no memory of whom it woke a moment ago.
    let again = serve_again(&served, Config::default()).await;
    let mut service = Client::online(&again, "carol", "push").await;
    let mut bob = Client::online(&again, "bob", "b").await;
    write(&mut bob, "two").await;
    assert!(service.expect(&["urn:xmpp:push:0"]).await.contains("node='n2'"));
    service.expect_nothing().await;
    let mut alice = Client::online(&again, "alice", "phone").await;
    let disable = format!("<disable xmlns='urn:xmpp:push:0' jid='{SERVICE}'/>");
    assert!(alice.ask("set", "", &disable).await.contains("type='result'"));
    assert!(again.store.records.list("alice@example.org", "push", None, 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_service_that_is_not_there_is_given_up_only_after_a_while() {
    let served = serve().await;
    let mut bob = Client::online(&served, "bob", "b").await;
    let mut alice = Client::online(&served, "alice", "phone").await;
    let far = "<enable xmlns='urn:xmpp:push:0' jid='push.nowhere.example' node='n'/>";
    let near = "<enable xmlns='urn:xmpp:push:0' jid='dave@example.org/none' node='n'/>";
    alice.ask("set", "", far).await;
    alice.ask("set", "", near).await;
    alice.send("</stream:stream>").await;
    assert_eq!(alice.next().await, None);
    write(&mut bob, "one").await;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        let left = served.store.records.list("alice@example.org", "push", None, 9).await.unwrap();
        if left.len() == 1 {
            assert!(left[0].key.starts_with("push.nowhere.example"), "{}", left[0].key);
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{left:?}");
        bob.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
    }
}

#[tokio::test]
async fn what_a_room_says_wakes_the_client_that_is_in_it_and_sleeps() {
    let served = serve().await;
    let mut service = Client::online(&served, "carol", "push").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    let mut alice = Client::online(&served, "alice", "phone").await;
    let room = format!("dev@{ROOMS}");
    bob.enter(&room, "bob").await;
    let instant = "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query>";
    bob.ask("set", &room, instant).await;
    alice.enter(&room, "alice").await;
    alice.ask("set", "", &enable("n1", "")).await;
    // Another client of hers that is not in the room.
    let mut tablet = Client::online(&served, "alice", "tablet").await;
    tablet.ask("set", "", &enable("n2", "")).await;
    tablet.send("</stream:stream>").await;
    let say = |body: &str| format!("<message to='{room}' type='groupchat'>{body}</message>");
    bob.send(&say("<body>seen</body>")).await;
    alice.expect(&["seen"]).await;
    service.expect_nothing().await;
    alice.send("<inactive xmlns='urn:xmpp:csi:0'/>").await;
    alice.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
    bob.send(&say("<composing xmlns='http://jabber.org/protocol/chatstates'/>")).await;
    bob.expect(&["composing"]).await;
    service.expect_nothing().await;
    bob.send(&say("<body>unseen</body>")).await;
    let push = service.expect(&["urn:xmpp:push:0"]).await;
    assert!(push.contains("node='n1'") && !push.contains("priority"), "{push}");
    bob.expect(&["unseen"]).await;
    service.expect_nothing().await;
}

#[tokio::test]
async fn a_call_wakes_at_once_and_urgently() {
    let served = serve().await;
    let mut service = Client::online(&served, "carol", "push").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    let mut alice = Client::online(&served, "alice", "phone").await;
    alice.ask("set", "", &enable("n1", "")).await;
    alice.send("</stream:stream>").await;
    assert_eq!(alice.next().await, None);
    write(&mut bob, "words").await;
    service.expect(&["urn:xmpp:push:0"]).await;
    bob.send(
        "<message to='alice@example.org' type='chat'><propose xmlns='urn:xmpp:jingle-message:0' id='c1'>\
         <description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/></propose><store xmlns='urn:xmpp:hints'/></message>",
    )
    .await;
    let asked = std::time::Instant::now();
    let push = service.expect(&["urn:xmpp:push:0"]).await;
    assert!(push.contains("<priority xmlns='tigase:push:priority:0'>high<"), "{push}");
    assert!(
        asked.elapsed() < std::time::Duration::from_secs(3),
        "it does not wait for the moment to be over"
    );
}
