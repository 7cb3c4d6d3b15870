//! Guests of rooms, who have no account — XEP-0175.

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use xmpp_server::{Config, GuestsConfig};

use crate::common::{Client, DOMAIN, PASSWORD, ROOMS, Served, serve, serve_with};
use shared_store::Store;

const GUESTS: &str = "guest.example.org";
const ROOM: &str = "open@conference.example.org";

async fn serve_guests(most: usize, arrivals: usize) -> Served {
    let guests = GuestsConfig { domain: GUESTS.to_owned(), most, arrivals };
    serve_with(Config { guests, ..Config::default() }, Store::in_memory()).await
}

/// Opens a stream to the guests' domain; what is offered.
async fn knock(served: &Served) -> (Client, String) {
    let socket = TcpStream::connect(served.server.c2s()[0]).await.unwrap();
    let mut client = Client::over(served, socket).to(GUESTS);
    let features = client.open().await;
    (client, features)
}

const ANONYMOUS: &str = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>";

/// A guest with a resource, and its address.
async fn guest(served: &Served) -> (Client, String) {
    let (mut client, _) = knock(served).await;
    client.send(ANONYMOUS).await;
    client.expect(&["<challenge"]).await;
    client.send("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>").await;
    client.expect(&["<success"]).await;
    client.restart().await;
    let bound = client.ask("set", "", "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>").await;
    let jid = bound.split("<jid>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    (client, jid)
}

/// A room that alice made and anybody may enter.
async fn room(served: &Served) -> Client {
    let mut alice = Client::online(served, "alice", "a").await;
    alice.enter(ROOM, "alice").await;
    let instant = "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query>";
    assert!(alice.ask("set", ROOM, instant).await.contains("type='result'"));
    alice
}

#[tokio::test]
async fn a_guest_talks_in_a_room_and_nowhere_else() {
    let served = serve_guests(10, 10).await;
    let mut alice = room(&served).await;
    let mut bob = Client::online(&served, "bob", "b").await;
    let (_, features) = knock(&served).await;
    assert!(features.contains("<mechanism>ANONYMOUS</mechanism>"), "{features}");
    for other in ["PLAIN", "SCRAM", "HT-SHA", "<upgrade", "iq-register"] {
        assert!(!features.contains(other), "{other}: {features}");
    }
    let (mut guest, jid) = guest(&served).await;
    assert!(jid.contains("@guest.example.org/"), "{jid}");
    let inside = guest.enter(ROOM, "Juliet").await;
    assert!(inside.contains("role='participant'"), "{inside}");
    alice.expect(&["<presence", "/Juliet"]).await;
    guest.send(&format!("<message type='groupchat' to='{ROOM}'><body>hello</body></message>")).await;
    alice.expect(&["<body>hello</body>", "/Juliet"]).await;
    alice.send(&format!("<message type='chat' to='{ROOM}/Juliet'><body>aside</body></message>")).await;
    guest.expect(&["<body>aside</body>"]).await;
    guest.send(&format!("<message type='chat' to='{ROOM}/alice'><body>aside too</body></message>")).await;
    alice.expect(&["<body>aside too</body>"]).await;
    let pong = guest.ask("get", &format!("{ROOM}/Juliet"), "<ping xmlns='urn:xmpp:ping'/>").await;
    assert!(pong.contains("type='result'"), "XEP-0410: {pong}");
    let before = guest.ask("set", ROOM, "<query xmlns='urn:xmpp:mam:2'/>").await;
    assert!(!before.contains("<forbidden"), "what was said before is read by a query: {before}");
    for place in [DOMAIN, GUESTS, ROOMS] {
        let info = guest.ask("get", place, "<query xmlns='http://jabber.org/protocol/disco#info'/>").await;
        assert!(info.contains("type='result'"), "{place}: {info}");
    }

    guest.send(&format!("<message type='groupchat' to='{ROOM}'><body>/call +4930123</body></message>")).await;
    guest.expect(&["+4930123 is not in the call: you have no account of this service"]).await;

    for (type_, to, payload) in [
        ("get", "", "<query xmlns='jabber:iq:roster'/>"),
        ("set", "", "<query xmlns='jabber:iq:private'><x xmlns='y'/></query>"),
        ("set", "", "<query xmlns='urn:xmpp:mam:2'/>"),
        ("get", "alice@example.org", "<vCard xmlns='vcard-temp'/>"),
        ("get", "elsewhere.example", "<ping xmlns='urn:xmpp:ping'/>"),
        ("get", DOMAIN, "<query xmlns='jabber:iq:register'/>"),
        (
            "set",
            DOMAIN,
            "<command xmlns='http://jabber.org/protocol/commands' node='urn:cusax:voicemail:0'/>",
        ),
        ("get", "upload.example.org", "<request xmlns='urn:xmpp:http:upload:0' filename='a' size='1'/>"),
        ("get", "directory.example.org", "<query xmlns='jabber:iq:search'/>"),
        ("set", "pubsub.example.org", "<pubsub xmlns='http://jabber.org/protocol/pubsub'><create/></pubsub>"),
        ("set", ROOM, "<query xmlns='jabber:iq:register'/>"),
    ] {
        let refused = guest.ask(type_, to, payload).await;
        assert!(refused.contains("<forbidden"), "{to} {payload}: {refused}");
    }
    for stanza in [
        "<message type='chat' to='bob@example.org'><body>spam</body></message>",
        "<message type='chat' to='romeo@elsewhere.example'><body>spam</body></message>",
        "<presence type='subscribe' to='bob@example.org'/>",
        &format!(
            "<message to='{ROOM}'><x xmlns='http://jabber.org/protocol/muc#user'><invite to='bob@example.org'/></x></message>"
        ),
    ] {
        guest.send(stanza).await;
        if stanza.starts_with("<message") {
            guest.expect(&["<message", "type='error'", "<forbidden"]).await;
        }
    }
    guest.send("<presence/>").await;
    bob.expect_nothing().await;
    // Nobody reaches a guest but by the room.
    bob.send(&format!("<message type='chat' to='{jid}'><body>psst</body></message>")).await;
    bob.expect(&["<message", "type='error'", "<service-unavailable"]).await;
    guest.expect_nothing().await;
    drop(guest);
    alice.expect(&["<presence", "type='unavailable'", "/Juliet"]).await;
}

#[tokio::test]
async fn guests_make_no_rooms_and_come_back_as_somebody_else() {
    let served = serve_guests(10, 10).await;
    let (mut guest, jid) = guest(&served).await;
    guest.send("<presence to='new@conference.example.org/me'><x xmlns='http://jabber.org/protocol/muc'/></presence>").await;
    guest.expect(&["<presence", "type='error'"]).await;
    guest.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>").await;
    let enabled = guest.expect(&["<enabled"]).await;
    assert!(!enabled.contains("resume="), "{enabled}");
    let (_, other) = self::guest(&served).await;
    assert_ne!(jid.split('/').next(), other.split('/').next());
}

#[tokio::test]
async fn guests_are_few_and_a_network_sends_few_of_them() {
    let served = serve_guests(2, 3).await;
    let refused = async || {
        let (mut client, _) = knock(&served).await;
        client.send(&ANONYMOUS.replace("/>", ">=</auth>")).await;
        client.expect(&["<failure"]).await.contains("temporary-auth-failure")
    };
    let (one, _) = guest(&served).await;
    let (two, _) = guest(&served).await;
    assert!(refused().await, "no seat is free");
    drop((one, two));
    while served.server.sessions() > 0 {
        tokio::task::yield_now().await;
    }
    let (_three, _) = guest(&served).await;
    assert!(refused().await, "a seat is free, and this network sent as many as it may");
}

#[tokio::test]
async fn nobody_is_a_guest_unless_the_operator_wants_guests() {
    let served = serve().await;
    let mut client =
        Client::over(&served, TcpStream::connect(served.server.c2s()[0]).await.unwrap()).to(GUESTS);
    client.send(&format!("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='{GUESTS}' version='1.0'>")).await;
    client.expect_stream_error("host-unknown").await;
    // Where there are some, accounts do not become any.
    let served = serve_guests(10, 10).await;
    let mut alice = Client::connect(&served).await;
    alice.open().await;
    alice.send(ANONYMOUS).await;
    assert!(alice.expect(&["<failure"]).await.contains("invalid-mechanism"));
    let (mut guest, _) = knock(&served).await;
    let plain = format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{PASSWORD}</auth>");
    guest.send(&plain).await;
    assert!(guest.expect(&["<failure"]).await.contains("invalid-mechanism"));
}

/// As converse.js does: in a browser, the domain is that of guests.
#[tokio::test]
async fn a_browser_brings_a_guest() {
    let served = serve_guests(10, 10).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    shared_runtime::http::serve_plain(
        listener,
        served.server.websocket_route("/xmpp-websocket"),
        &served.shutdown,
    );
    let mut request = format!("ws://{address}/xmpp-websocket").into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", "xmpp".parse().unwrap());
    let socket = TcpStream::connect(address).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async(request, socket).await.unwrap();
    let open = format!("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='{GUESTS}' version='1.0'/>");
    let auth = ANONYMOUS.replace("/>", ">=</auth>");
    let bind =
        "<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
    let enter = format!(
        "<presence xmlns='jabber:client' to='{ROOM}/Juliet'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
    );
    let _alice = room(&served).await;
    for (said, expected) in [
        (open.as_str(), "<mechanism>ANONYMOUS</mechanism>"),
        (&auth, "<success"),
        (&open, "<bind"),
        (bind, "@guest.example.org/"),
        (&enter, "code='110'"),
    ] {
        socket.send(Message::text(said)).await.unwrap();
        loop {
            let frame = socket.next().await.expect("the server answers").unwrap();
            if frame.to_text().unwrap().contains(expected) {
                break;
            }
        }
    }
}
