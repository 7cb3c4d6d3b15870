//! Rooms whose occupants are of several domains: XEP-0045 §7, §8.2, §11.1, §18.1.2; XEP-0313 §6.1.2.

use std::time::Duration;

use tokio::net::TcpListener;
use xmpp_server::FederationConfig;

use super::delivery::greet;
use super::peer::Peer;
use super::world::{OURS, THEIRS, World, metric, two, until, verified};
use crate::common::Client;

const ROOM: &str = "dev@conference.example.org";
const INSTANT: &str =
    "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query>";

#[tokio::test]
async fn a_room_here_has_occupants_of_elsewhere() {
    let (_world, ours, theirs) = two().await;
    let mut alice = Client::online(&ours, "alice", "a").await;
    alice.enter(ROOM, "Alice").await;
    let persistent = INSTANT.replace(
        "<x xmlns='jabber:x:data' type='submit'/>",
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>\
         <field var='muc#roomconfig_persistentroom'><value>1</value></field></x>",
    );
    assert!(alice.ask("set", ROOM, &persistent).await.contains("type='result'"));
    let mut bob = Client::online(&theirs, "bob", "b").await;
    let own = bob.enter(ROOM, "Bob").await;
    assert!(
        own.contains("from='dev@conference.example.org/Bob'") && own.contains("to='bob@example.net/b'"),
        "{own}"
    );
    alice.expect(&["<presence", "/Bob'", "bob@example.net/b"]).await;
    bob.send(&format!("<message to='{ROOM}' type='groupchat' id='1'><body>hello</body></message>")).await;
    bob.expect(&["type='groupchat'", "hello", "from='dev@conference.example.org/Bob'"]).await;
    alice.expect(&["type='groupchat'", "hello"]).await;
    alice.send(&format!("<message to='{ROOM}' type='groupchat'><body>welcome</body></message>")).await;
    bob.expect(&["type='groupchat'", "welcome", "from='dev@conference.example.org/Alice'"]).await;
    // Private words, a question to an occupant, and the archive of the room.
    bob.send(&format!("<message to='{ROOM}/Alice' type='chat'><body>psst</body></message>")).await;
    alice.expect(&["psst", "from='dev@conference.example.org/Bob'"]).await;
    let info = bob.ask("get", ROOM, "<query xmlns='http://jabber.org/protocol/disco#info'/>").await;
    assert!(info.contains("muc_persistent"), "{info}");
    bob.send(&format!("<iq type='set' id='mam' to='{ROOM}'><query xmlns='urn:xmpp:mam:2'/></iq>")).await;
    let found = bob.expect(&["<message", "urn:xmpp:mam:2", "hello"]).await;
    assert!(found.contains("from='dev@conference.example.org' to='bob@example.net/b'"), "{found}");
    bob.expect(&["<iq", "id='mam'", "type='result'"]).await;
    // What his own server passed on of all that is not in his archive.
    bob.send("<iq type='set' id='own'><query xmlns='urn:xmpp:mam:2'/></iq>").await;
    let mut archived = String::new();
    loop {
        let next = bob.next().await.unwrap();
        if next.contains("id='own'") {
            break;
        }
        archived.push_str(&next);
    }
    assert!(!archived.contains("hello") && !archived.contains("welcome"), "{archived}");
    // A kick is heard.
    let kick = "<query xmlns='http://jabber.org/protocol/muc#admin'><item nick='Bob' role='none'><reason>late</reason></item></query>";
    assert!(alice.ask("set", ROOM, kick).await.contains("type='result'"));
    let gone = bob.expect(&["<presence", "type='unavailable'", "code='307'"]).await;
    assert!(gone.contains("late"), "{gone}");
}

#[tokio::test]
async fn strangers_enter_rooms_and_make_none() {
    let (_world, _ours, theirs) = two().await;
    let mut bob = Client::online(&theirs, "bob", "b").await;
    bob.send("<presence to='new@conference.example.org/Bob'><x xmlns='http://jabber.org/protocol/muc'/></presence>").await;
    let refused = bob.expect(&["<presence", "type='error'", "from='new@conference.example.org/Bob'"]).await;
    assert!(refused.contains("not-allowed"), "{refused}");
    bob.send("<iq type='get' id='1' to='new@conference.example.org'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>").await;
    bob.expect(&["<iq", "id='1'", "item-not-found"]).await;
    let rooms = bob
        .ask("get", "conference.example.org", "<query xmlns='http://jabber.org/protocol/disco#items'/>")
        .await;
    assert!(rooms.contains("type='result'"), "{rooms}");
}

#[tokio::test]
async fn an_invitation_crosses() {
    let (_world, ours, theirs) = two().await;
    let mut alice = Client::online(&ours, "alice", "a").await;
    alice.enter(ROOM, "Alice").await;
    alice.ask("set", ROOM, INSTANT).await;
    let mut bob = Client::online(&theirs, "bob", "b").await;
    alice.send(&format!("<message to='{ROOM}'><x xmlns='http://jabber.org/protocol/muc#user'><invite to='bob@example.net'/></x></message>")).await;
    bob.expect(&["<message", "from='dev@conference.example.org'", "<invite from='alice@example.org/a'"])
        .await;
}

#[tokio::test]
async fn who_cannot_be_reached_any_more_is_taken_out() {
    let world = World::new().await;
    let ours =
        world.serve(OURS, FederationConfig { timeout: Duration::from_millis(1500), ..verified() }).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.announce(THEIRS, listener.local_addr().unwrap());
    let mut alice = Client::online(&ours, "alice", "a").await;
    alice.enter(ROOM, "Alice").await;
    alice.ask("set", ROOM, INSTANT).await;
    let tls = world.certified(THEIRS);
    let mut peer = Peer::proven(ours.server.s2s()[0], THEIRS, "conference.example.org", &tls).await;
    peer.send(&format!("<presence from='bob@example.net/b' to='{ROOM}/Bob'><x xmlns='http://jabber.org/protocol/muc'/></presence>")).await;
    let mut back = greet(&listener, &tls).await;
    back.expect(&["<presence", "code='110'"]).await;
    alice.expect(&["<presence", "/Bob'"]).await;
    // Their machine goes without a word.
    drop((peer, back, listener));
    until("the loss is noticed", || metric(&ours, "xmpp_server_s2s_streams_out") == 0).await;
    alice.send(&format!("<message to='{ROOM}' type='groupchat'><body>anybody?</body></message>")).await;
    let gone = alice.expect(&["<presence", "type='unavailable'", "/Bob'"]).await;
    assert!(gone.contains("code='333'"), "{gone}");
}
