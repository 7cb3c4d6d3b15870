//! What a login asks of the store.

use std::time::Duration;

use crate::common::counted::counted;
use crate::common::failing::failing_records;
use crate::common::{Client, PASSWORD, befriend, befriend_afar, serve, serve_over};
use crate::pubsub::interested;
use xmpp_server::Config;

#[tokio::test]
async fn a_login_asks_the_store_four_times_however_many_contacts_there_are() {
    let before = serve().await;
    let mut alice = Client::online(&before, "alice", "a").await;
    let mut bob = Client::online(&before, "bob", "b").await;
    let mut carol = Client::online(&before, "carol", "c").await;
    befriend(&mut alice, &mut bob).await;
    befriend_afar(&mut alice, &mut carol, "alice@example.org", "carol@example.org").await;

    let (store, asked) = counted(&before.store);
    let served = serve_over(&before, Config::default(), store).await;
    let mut carol = Client::online(&served, "carol", "c").await;
    carol.ask("get", "example.org", "<ping xmlns='urn:xmpp:ping'/>").await;
    asked.take();

    let mut alice = Client::login(&served, "alice", "a").await;
    let own = [
        "alice@example.org blocking list",
        "alice@example.org archive preferences",
        "alice@example.org vcard avatar",
        "alice@example.org settings undisturbed",
    ];
    assert_eq!(asked.take(), [format!("get {}", own.join(", "))]);
    alice.send("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>").await;
    alice.expect(&["id='roster'", "bob@example.org", "carol@example.org"]).await;
    assert_eq!(asked.take(), ["list alice@example.org roster"]);
    alice.send("<presence/>").await;
    alice.expect(&["<presence", "from='carol@example.org/c'"]).await;
    carol.expect(&["<presence", "from='alice@example.org/a'"]).await;
    alice.ask("get", "example.org", "<ping xmlns='urn:xmpp:ping'/>").await;
    let mut asked = asked.take();
    // Nothing, if carol's roster was read a moment ago.
    asked.retain(|what| what != "get carol@example.org roster alice@example.org");
    assert_eq!(asked, ["page alice@example.org#offline"], "bob is away, and nothing of his is read");
}

#[tokio::test]
async fn the_last_items_of_all_contacts_are_four_questions() {
    let before = serve().await;
    let mut alice = Client::online(&before, "alice", "a").await;
    let mut bob = Client::online(&before, "bob", "b").await;
    let mut carol = Client::online(&before, "carol", "c").await;
    befriend(&mut alice, &mut bob).await;
    befriend_afar(&mut alice, &mut carol, "alice@example.org", "carol@example.org").await;
    for (client, node) in [(&mut alice, "urn:other"), (&mut bob, "urn:mood"), (&mut carol, "urn:mood")] {
        let publish =
            format!("<publish node='{node}'><item id='1'><t xmlns='urn:t'>glad</t></item></publish>");
        let publish = format!("<pubsub xmlns='http://jabber.org/protocol/pubsub'>{publish}</pubsub>");
        assert!(client.ask("set", "", &publish).await.contains("type='result'"));
    }

    let (store, asked) = counted(&before.store);
    let served = serve_over(&before, Config::default(), store).await;
    let mut alice = interested(&served, "alice", "a", "urn:mood").await;
    for from in ["from='bob@example.org'", "from='carol@example.org'"] {
        alice.expect(&["pubsub#event", "glad", from]).await;
    }
    let all = asked.take();
    let of_nodes: Vec<&String> = all.iter().filter(|what| what.contains("pubsub")).collect();
    assert_eq!(
        of_nodes,
        [
            "among alice@example.org,bob@example.org,carol@example.org pubsub urn:mood",
            "get bob@example.org pubsub/urn:mood 1, carol@example.org pubsub/urn:mood 1",
        ]
    );
    let lists = all.iter().filter(|what| what.contains("bob@example.org blocking"));
    assert_eq!(lists.count(), 1, "whether they are blocked: {all:?}");
    let rosters = all.iter().filter(|what| what.contains("bob@example.org roster"));
    assert_eq!(rosters.count(), 1, "and whose nodes may be seen: {all:?}");
}

#[tokio::test]
async fn a_store_that_is_overloaded_for_a_moment_is_asked_again() {
    let before = serve().await;
    let (store, fault) = failing_records(&before.store);
    let served = serve_over(&before, Config::default(), store).await;
    let mut alice = Client::connect(&served).await;
    alice.authenticate("alice", PASSWORD).await;
    fault.blind(true);
    alice.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>").await;
    fault.met().await;
    fault.blind(false);
    alice.expect(&["id='b'", "type='result'"]).await;
    fault.blind(true);
    alice.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>").await;
    fault.met().await;
    fault.blind(false);
    alice.expect(&["id='r'", "type='result'"]).await;
    // It does not recover, and she is told.
    tokio::time::sleep(Duration::from_millis(1_500)).await; // what was read a moment ago is known
    fault.blind(true);
    let refused = alice.ask("get", "", "<query xmlns='jabber:iq:roster'/>").await;
    assert!(refused.contains("type='wait'") && refused.contains("<resource-constraint"), "{refused}");
}
