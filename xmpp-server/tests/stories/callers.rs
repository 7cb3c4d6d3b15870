//! Who may call whom, and by what — RFC 7081 §2, §3.5; XEP-0166 §5, XEP-0353 §3.1.

use shared_model::{BareJid, CalledBy, MayRing};
use shared_store::Store;
use xmpp_server::{Config, OwnCalls};

use crate::common::{Client, DOMAIN, ROOMS, Served, attribute, befriend, serve, serve_with};

fn propose(id: &str) -> String {
    format!(
        "<message to='alice@example.org' id='{id}'><propose xmlns='urn:xmpp:jingle-message:0' id='c-{id}'>\
         <description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/></propose></message>"
    )
}

fn initiate(app: &str) -> String {
    format!(
        "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='s' initiator='bob@example.org/b'>\
         <content creator='initiator' name='c'><description xmlns='{app}'/></content></jingle>"
    )
}

const RTP: &str = "urn:xmpp:jingle:apps:rtp:1";
const FILES: &str = "urn:xmpp:jingle:apps:file-transfer:5";
const NODE: &str = "urn:cusax:callers:0";

async fn may(served: &Served, caller: Option<&str>) -> bool {
    let jid = |name: &str| -> BareJid { format!("{name}@example.org").parse().unwrap() };
    let caller = caller.map(jid);
    let answer = served
        .server
        .availability()
        .may_ring(&jid("alice"), caller.as_ref().map_or(CalledBy::Unknown, CalledBy::Shown))
        .await;
    assert!(matches!(answer, MayRing::Yes | MayRing::Blocked));
    answer == MayRing::Yes
}

/// Alice says by whom she may be called; the answer.
async fn choose(alice: &mut Client, whom: &str) -> String {
    let command = "http://jabber.org/protocol/commands";
    let asked = format!("<command xmlns='{command}' node='{NODE}' action='execute'/>");
    let form = alice.ask("set", DOMAIN, &asked).await;
    let session = attribute(&form, "command", "sessionid");
    let filled = format!(
        "<command xmlns='{command}' node='{NODE}' sessionid='{session}'><x xmlns='jabber:x:data' type='submit'>\
         <field var='callers'><value>{whom}</value></field></x></command>"
    );
    alice.ask("set", DOMAIN, &filled).await
}

#[tokio::test]
async fn an_account_says_by_whom_it_may_be_called() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    let mut carol = Client::online(&served, "carol", "c").await;
    assert!(may(&served, None).await && may(&served, Some("carol")).await);
    befriend(&mut alice, &mut bob).await;
    assert!(choose(&mut alice, "nobody").await.contains("bad-payload"));
    assert!(choose(&mut alice, "service").await.contains("completed"));
    assert!(!may(&served, None).await && may(&served, Some("carol")).await);
    assert!(choose(&mut alice, "contacts").await.contains("completed"));
    assert!(may(&served, Some("bob")).await && !may(&served, Some("carol")).await);
    // The same holds for calls by XMPP, and for nothing else.
    carol.send(&propose("1")).await;
    assert!(carol.expect(&["<message", "id='1'"]).await.contains("service-unavailable"));
    let refused = carol.ask("set", "alice@example.org/a", &initiate(RTP)).await;
    assert!(refused.contains("service-unavailable"), "{refused}");
    alice.expect_nothing().await;
    carol.send("<message to='alice@example.org/a'><body>may I call?</body></message>").await;
    alice.expect(&["may I call"]).await;
    carol.send(&format!("<iq type='set' id='f' to='alice@example.org/a'>{}</iq>", initiate(FILES))).await;
    alice.expect(&["<iq", "id='f'"]).await;
    bob.send(&propose("2")).await;
    alice.expect(&["<message", "id='2'"]).await;
    // It is kept, and others' wishes are their own.
    assert!(choose(&mut alice, "everybody").await.contains("completed"));
    carol.send(&propose("3")).await;
    alice.expect(&["<message", "id='3'"]).await;
}

#[tokio::test]
async fn calls_within_the_service_go_by_telephone_if_the_operator_wants_that() {
    for own_calls in [OwnCalls::Warn, OwnCalls::Deny] {
        let served = serve_with(Config { own_calls, ..Config::default() }, Store::in_memory()).await;
        let mut alice = Client::online(&served, "alice", "a").await;
        let mut bob = Client::online(&served, "bob", "b").await;
        bob.send(&propose("1")).await;
        if own_calls == OwnCalls::Deny {
            let error = bob.expect(&["<message", "id='1'"]).await;
            assert!(error.contains("not-allowed") && error.contains("sip:alice@sip.example.org"), "{error}");
            let error = bob.ask("set", "alice@example.org/a", &initiate(RTP)).await;
            assert!(error.contains("not-allowed"), "{error}");
            alice.expect_nothing().await;
        } else {
            alice.expect(&["<propose", "id='c-1'"]).await;
            let warning = bob.expect(&["<message", "from='example.org'"]).await;
            assert!(warning.contains("sip:alice@sip.example.org"), "{warning}");
            bob.send(&propose("2")).await;
            alice.expect(&["id='c-2'"]).await;
            bob.expect_nothing().await;
        }
        bob.send(&format!("<iq type='set' id='f' to='alice@example.org/a'>{}</iq>", initiate(FILES))).await;
        alice.expect(&["<iq", "id='f'"]).await;
    }
}

#[tokio::test]
async fn the_operators_wish_holds_in_rooms_and_tells_nobody_who_a_nick_is() {
    let config = Config { own_calls: OwnCalls::Deny, ..Config::default() };
    let served = serve_with(config, Store::in_memory()).await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut carol = Client::online(&served, "carol", "c").await;
    let room = format!("dev@{ROOMS}");
    carol.enter(&room, "one").await;
    let instant = "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query>";
    assert!(carol.ask("set", &room, instant).await.contains("type='result'"));
    alice.enter(&room, "two").await;
    carol.expect(&["<presence", "/two'"]).await;
    // A moderator sees who has a nick, others do not.
    let refused = carol.ask("set", &format!("{room}/two"), &initiate(RTP)).await;
    assert!(refused.contains("not-allowed") && refused.contains("sip:alice@"), "{refused}");
    let refused = alice.ask("set", &format!("{room}/one"), &initiate(RTP)).await;
    assert!(refused.contains("not-allowed") && !refused.contains("carol"), "{refused}");
    carol.expect_nothing().await;
}

#[tokio::test]
async fn by_way_of_a_room_nobody_is_called_who_does_not_want_it() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut carol = Client::online(&served, "carol", "c").await;
    let room = format!("dev@{ROOMS}");
    carol.enter(&room, "carol").await;
    let instant = "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query>";
    assert!(carol.ask("set", &room, instant).await.contains("type='result'"));
    alice.enter(&room, "alice").await;
    carol.expect(&["<presence", "/alice'"]).await;
    let (there, to) = (format!("{room}/alice"), "to='alice@example.org'");
    let proposal = |id: &str| propose(id).replace(to, &format!("to='{there}' type='chat'"));
    carol.send(&proposal("1")).await;
    alice.expect(&["<propose", "id='c-1'"]).await;
    assert!(choose(&mut alice, "service").await.contains("completed"));
    carol.send(&proposal("s")).await;
    alice.expect(&["<propose", "id='c-s'"]).await;
    assert!(choose(&mut alice, "contacts").await.contains("completed"));
    carol.send(&proposal("2")).await;
    assert!(carol.expect(&["<message", "id='2'"]).await.contains("service-unavailable"));
    let refused = carol.ask("set", &there, &initiate(RTP)).await;
    assert!(refused.contains("service-unavailable") && refused.contains("/alice'"), "{refused}");
    alice.expect_nothing().await;
    carol.send(&format!("<message to='{there}' type='chat'><body>may I call?</body></message>")).await;
    alice.expect(&["may I call"]).await;
}
