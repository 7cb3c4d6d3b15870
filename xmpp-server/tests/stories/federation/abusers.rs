//! Lists of abusers that another domain publishes — XEP-0060, XEP-0377.

use xmpp_server::Config;

use super::world::{OURS, THEIRS, World, config, metric, until, verified};
use crate::common::{Client, PASSWORD, Served, befriend_afar};

const SERVICE: &str = "pubsub.example.net";
const ROOM: &str = "open@conference.example.org";

fn pubsub(inner: &str) -> String {
    format!("<pubsub xmlns='http://jabber.org/protocol/pubsub'>{inner}</pubsub>")
}

fn hash(text: &str) -> String {
    shared_runtime::hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()).as_ref())
}

async fn publish(keeper: &mut Client, who: &str) {
    let report = "<report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:spam'/>";
    let item = format!("<publish node='bans'><item id='{}'>{report}</item></publish>", hash(who));
    let answer = keeper.ask("set", SERVICE, &pubsub(&item)).await;
    assert!(answer.contains("type='result'"), "{answer}");
}

/// Asks again until a message of this client is refused, or not any more.
async fn until_refused(client: &mut Client, is_refused: bool) {
    for _ in 0..200 {
        client.send("<message type='chat' to='alice@example.org'><body>spam</body></message>").await;
        client.send("<iq type='get' id='after' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>").await;
        let first = client.expect(&["from='"]).await;
        let was_refused = first.contains("<policy-violation");
        if was_refused {
            client.expect(&["id='after'"]).await;
        }
        if was_refused == is_refused {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("refused: {is_refused} did not happen");
}

async fn two() -> (World, Served, Served) {
    let world = World::new().await;
    let theirs = world.serve(THEIRS, verified()).await;
    let lists = Config { block_lists: vec![format!("{SERVICE}/bans")], ..config(verified()) };
    let ours = world.serve_with(OURS, world.certified(OURS), lists).await;
    (world, ours, theirs)
}

#[tokio::test]
async fn who_is_listed_reaches_nobody_but_those_who_know_them() {
    let (_world, ours, theirs) = two().await;
    let mut keeper = Client::online(&theirs, "alice", "k").await;
    let create = "<create node='bans'/><configure><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>\
                  http://jabber.org/protocol/pubsub#node_config</value></field>\
                  <field var='pubsub#access_model'><value>open</value></field>\
                  <field var='pubsub#max_items'><value>100</value></field></x></configure>";
    assert!(keeper.ask("set", SERVICE, &pubsub(create)).await.contains("type='result'"));
    publish(&mut keeper, "bob@example.net").await;
    let mut alice = Client::online(&ours, "alice", "a").await;
    alice.enter(ROOM, "alice").await;
    let instant = "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query>";
    alice.ask("set", ROOM, instant).await;

    // Who was listed before we asked.
    let mut bob = Client::online(&theirs, "bob", "b").await;
    until_refused(&mut bob, true).await;
    assert!(metric(&ours, "xmpp_server_abusers_refused_total") > 0);
    bob.send(&format!("<presence to='{ROOM}/bob'><x xmlns='http://jabber.org/protocol/muc'/></presence>"))
        .await;
    bob.expect(&["<presence", "type='error'", "<policy-violation"]).await;
    bob.send("<presence type='subscribe' to='alice@example.org'/>").await;
    bob.ask("get", "example.org", "<ping xmlns='urn:xmpp:ping'/>").await;
    alice.expect_nothing().await;

    // Who is listed from now on, and their domain.
    let mut carol = Client::online(&theirs, "carol", "c").await;
    befriend_afar(&mut alice, &mut carol, "alice@example.org", "carol@example.net").await;
    publish(&mut keeper, THEIRS).await;
    let mut keeper_too = Client::online(&theirs, "alice", "too").await;
    until_refused(&mut keeper_too, true).await;
    carol.send("<message type='chat' to='alice@example.org'><body>it is me</body></message>").await;
    alice.expect(&["<body>it is me</body>", "from='carol@example.net/c'"]).await;

    for who in [THEIRS, "bob@example.net"] {
        let retract = format!("<retract node='bans' notify='1'><item id='{}'/></retract>", hash(who));
        assert!(keeper.ask("set", SERVICE, &pubsub(&retract)).await.contains("type='result'"));
    }
    until_refused(&mut bob, false).await;
}

#[tokio::test]
async fn whom_an_administrator_bans_reaches_nobody_not_even_those_who_know_them() {
    let (_world, ours, theirs) = two().await;
    let mut alice = Client::online(&ours, "alice", "a").await;
    let mut carol = Client::online(&theirs, "carol", "c").await;
    befriend_afar(&mut alice, &mut carol, "alice@example.org", "carol@example.net").await;
    let day = std::time::Duration::from_secs(86_400);
    for who in ["carol@example.net", THEIRS] {
        ours.auth.bans.make(who.parse().unwrap(), "spam", day).await.unwrap();
        carol.send("<message type='chat' to='alice@example.org'><body>it is me</body></message>").await;
        carol.expect(&["type='error'", "<policy-violation"]).await;
        ours.auth.bans.lift(&who.parse().unwrap()).await.unwrap();
    }
    carol.send("<message type='chat' to='alice@example.org'><body>again</body></message>").await;
    alice.expect(&["<body>again</body>"]).await;
}

#[tokio::test]
async fn occupants_of_a_domain_that_is_banned_go_out_of_rooms_at_once() {
    let (_world, ours, theirs) = two().await;
    let mut alice = Client::online(&ours, "alice", "a").await;
    alice.enter(ROOM, "alice").await;
    let instant = "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query>";
    alice.ask("set", ROOM, instant).await;
    let mut bob = Client::online(&theirs, "bob", "b").await;
    bob.enter(ROOM, "bob").await;
    alice.expect(&["<presence", &format!("from='{ROOM}/bob'")]).await;
    let day = std::time::Duration::from_secs(86_400);
    ours.auth.bans.make(THEIRS.parse().unwrap(), "spam", day).await.unwrap();
    let from = format!("from='{ROOM}/bob'");
    let gone = [from.as_str(), "type='unavailable'", "code='307'"];
    alice.expect(&gone).await;
    bob.expect(&gone).await;
    alice.send(&format!("<message to='{ROOM}' type='groupchat'><body>among us</body></message>")).await;
    alice.expect(&["<body>among us</body>"]).await;
    bob.expect_nothing().await;
}

#[tokio::test]
async fn a_network_that_is_banned_loses_its_sessions_and_finds_no_place() {
    let (_world, ours, _theirs) = two().await;
    let mut alice = Client::online(&ours, "alice", "a").await;
    let mut late = Client::connect(&ours).await;
    late.open().await;
    // No administrator can mean this machine; where the tests come from is written by hand.
    let kept = br#"{"reason":"test","since":0,"until":9000000000000}"#;
    let records = &ours.store.records;
    records.put("cusax", "bans", "127.0.0.0/8", kept, shared_store::Expected::Anything).await.unwrap();
    ours.auth.bans.load().await.unwrap();
    alice.expect_stream_error("policy-violation").await;
    // Who was connected, and proves only now who they are, comes too late.
    late.prove("bob", PASSWORD).await;
    late.bind("late").await;
    late.expect_stream_error("policy-violation").await;
    let refused = metric(&ours, "xmpp_server_refused_connections_total");
    let _none = tokio::net::TcpStream::connect(ours.server.c2s()[0]).await.unwrap();
    until("it is closed", || metric(&ours, "xmpp_server_refused_connections_total") > refused).await;
}

#[tokio::test]
async fn a_list_that_is_not_there_lists_nobody() {
    let (_world, ours, theirs) = two().await;
    let mut bob = Client::online(&theirs, "bob", "b").await;
    let mut alice = Client::online(&ours, "alice", "a").await;
    bob.send("<message type='chat' to='alice@example.org'><body>hello</body></message>").await;
    alice.expect(&["<body>hello</body>"]).await;
    until("the list is asked for", || metric(&ours, "xmpp_server_s2s_sent_total") > 0).await;
}
