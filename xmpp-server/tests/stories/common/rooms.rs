//! What stories of rooms have in common.

use shared_model::{Event, Fact, RoomEvent};
use shared_runtime::bus::{Heard, Subscription};

use super::{Client, Served};

/// Where they play.
pub(crate) const ROOM: &str = "dev@conference.example.org";
/// The form that opens a room as it is.
pub(crate) const INSTANT: &str =
    "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query>";
/// What a client asks of a room before it enters.
pub(crate) const INFO: &str = "<query xmlns='http://jabber.org/protocol/disco#info'/>";

/// Alice owns an open room in which bob is.
pub(crate) async fn room(served: &Served) -> (Client, Client) {
    let mut alice = Client::online(served, "alice", "a").await;
    let own = alice.enter(ROOM, "Alice").await;
    assert!(
        own.contains("code='201'") && own.contains("affiliation='owner'") && own.contains("role='moderator'")
    );
    assert!(alice.ask("set", ROOM, INSTANT).await.contains("type='result'"));
    let mut bob = Client::online(served, "bob", "b").await;
    bob.enter(ROOM, "Bob").await;
    alice.expect(&["<presence", "/Bob'"]).await;
    (alice, bob)
}

/// A form for owners with these fields.
pub(crate) fn configure(fields: &[(&str, &str)]) -> String {
    let fields: String = fields
        .iter()
        .map(|(var, value)| format!("<field var='muc#roomconfig_{var}'><value>{value}</value></field>"))
        .collect();
    format!(
        "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'>\
         <field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>{fields}</x></query>"
    )
}

/// One item for moderators and admins.
pub(crate) fn item(attributes: &str) -> String {
    items(&[attributes])
}

/// Items for moderators and admins.
pub(crate) fn items(all: &[&str]) -> String {
    let items: String =
        all.iter().map(|attributes| format!("<item {attributes}><reason>why</reason></item>")).collect();
    format!("<query xmlns='http://jabber.org/protocol/muc#admin'>{items}</query>")
}

impl Client {
    /// Asks to enter and reads nothing.
    pub(crate) async fn knock(&mut self, nick: &str) {
        self.send(&format!(
            "<presence to='{ROOM}/{nick}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
        ))
        .await;
    }

    /// Says something to all.
    pub(crate) async fn say(&mut self, body: &str) {
        self.send(&format!("<message type='groupchat' to='{ROOM}'><body>{body}</body></message>")).await;
    }
}

/// The next such fact of a room.
pub(crate) async fn fact(facts: &mut Subscription<Fact>, wanted: impl Fn(&RoomEvent) -> bool) -> RoomEvent {
    loop {
        match facts.next().await.expect("the bus is open") {
            Heard::Fact(Fact { event: Event::Room(event), .. }) if wanted(&event) => return event,
            _ => {}
        }
    }
}
