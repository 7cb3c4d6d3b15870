//! Blocking — XEP-0191, XEP-0377: pushes, and what a block does to presence, messages, requests and calls.

use crate::common::{Client, DOMAIN, befriend, serve, serve_again};
use shared_model::{BareJid, CalledBy, MayRing};
use xmpp_server::Config;

const LIST: &str = "<blocklist xmlns='urn:xmpp:blocking'/>";

fn command(name: &str, jid: &str) -> String {
    format!("<{name} xmlns='urn:xmpp:blocking'><item jid='{jid}'/></{name}>")
}

#[tokio::test]
async fn the_list_is_kept_and_pushed_to_who_asked_for_it() {
    let served = serve().await;
    let mut desk = Client::online(&served, "alice", "desk").await;
    let mut phone = Client::online(&served, "alice", "phone").await;
    desk.expect(&["<presence", "alice@example.org/phone"]).await;
    assert!(!desk.ask("get", "", LIST).await.contains("<item"));
    assert!(phone.ask("set", "", &command("block", "bob@example.org")).await.contains("type='result'"));
    let push = desk.expect(&["<iq", "type='set'"]).await;
    assert!(push.contains("<block xmlns='urn:xmpp:blocking'><item jid='bob@example.org'/>"), "{push}");
    phone.expect_nothing().await;
    for (command, condition) in [
        ("<block xmlns='urn:xmpp:blocking'/>", "bad-request"),
        ("<block xmlns='urn:xmpp:blocking'><item/></block>", "bad-request"),
        ("<block xmlns='urn:xmpp:blocking'><item jid='@'/></block>", "jid-malformed"),
    ] {
        assert!(phone.ask("set", "", command).await.contains(condition), "{command}");
    }
    assert!(phone.ask("get", "carol@example.org", LIST).await.contains("forbidden"));
    served.shutdown.begin();
    let served = serve_again(&served, Config::default()).await;
    let mut desk = Client::online(&served, "alice", "desk").await;
    assert!(desk.ask("get", "", LIST).await.contains("<item jid='bob@example.org'/>"));
    assert!(desk.ask("set", "", "<unblock xmlns='urn:xmpp:blocking'/>").await.contains("result"));
    desk.expect(&["<unblock xmlns='urn:xmpp:blocking'/>"]).await;
    assert!(!desk.ask("get", "", LIST).await.contains("<item"));
}

#[tokio::test]
async fn who_is_blocked_sees_somebody_offline_and_is_not_heard() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    befriend(&mut alice, &mut bob).await;
    bob.send("<presence to='alice@example.org/a'/>").await;
    alice.expect(&["<presence", "from='bob@example.org/b'"]).await;
    assert!(alice.ask("set", "", &command("block", "bob@example.org")).await.contains("result"));
    bob.expect(&["<presence", "type='unavailable'", "from='alice@example.org/a'"]).await;
    // In: errors for what may be answered, silence for the rest.
    bob.send("<message id='m' type='chat' to='alice@example.org'><body>x</body></message>").await;
    assert!(bob.expect(&["id='m'"]).await.contains("service-unavailable"));
    bob.send("<iq id='i' type='get' to='alice@example.org/a'><ping xmlns='urn:xmpp:ping'/></iq>").await;
    assert!(bob.expect(&["id='i'"]).await.contains("service-unavailable"));
    bob.send("<iq id='c' type='get' to='alice@example.org'><vCard xmlns='vcard-temp'/></iq>").await;
    assert!(bob.expect(&["id='c'"]).await.contains("service-unavailable"));
    bob.send("<presence><show>xa</show></presence><presence to='alice@example.org/a'/><presence type='probe' to='alice@example.org'/>").await;
    bob.expect(&["<show>xa"]).await;
    bob.expect_nothing().await;
    // Out: refused.
    alice.send("<message id='o' to='bob@example.org'><body>x</body></message>").await;
    let refused = alice.next().await.unwrap();
    assert!(
        refused.contains("not-acceptable") && refused.contains("<blocked xmlns='urn:xmpp:blocking:errors'/>"),
        "{refused}"
    );
    alice.send("<presence><show>away</show></presence>").await;
    assert!(alice.next().await.unwrap().contains("from='alice@example.org/a'"), "their own echo alone");
    bob.expect_nothing().await;
    // A new session does not see them either.
    let mut second = Client::online(&served, "alice", "second").await;
    second.expect(&["<presence", "from='alice@example.org/a'"]).await;
    second.expect_nothing().await;
    // Back again, both see each other.
    assert!(alice.ask("set", "", &command("unblock", "bob@example.org")).await.contains("result"));
    bob.expect(&["<presence", "from='alice@example.org/a'", "away"]).await;
    alice.expect(&["<presence", "from='bob@example.org/b'", "xa"]).await;
    bob.send("<message type='chat' to='alice@example.org/a'><body>again</body></message>").await;
    alice.expect(&["again"]).await;
}

#[tokio::test]
async fn a_block_holds_for_who_is_away_and_for_calls() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    assert!(alice.ask("set", "", &command("block", "bob@example.org")).await.contains("result"));
    let (callee, caller): (BareJid, BareJid) =
        ("alice@example.org".parse().unwrap(), "bob@example.org".parse().unwrap());
    let carol: BareJid = "carol@example.org".parse().unwrap();
    let availability = served.server.availability();
    assert_eq!(availability.may_ring(&callee, CalledBy::Shown(&caller)).await, MayRing::Blocked);
    drop(alice);
    let mut bob = Client::online(&served, "bob", "b").await;
    while served.server.sessions() > 1 {
        bob.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
    }
    bob.send("<message id='m' to='alice@example.org'><body>x</body></message>").await;
    assert!(bob.expect(&["id='m'"]).await.contains("service-unavailable"));
    assert_eq!(availability.may_ring(&callee, CalledBy::Shown(&caller)).await, MayRing::Blocked);
    assert_eq!(
        availability.may_ring(&callee, CalledBy::Hidden(&caller)).await,
        MayRing::Blocked,
        "by any name"
    );
    assert_eq!(availability.may_ring(&callee, CalledBy::Shown(&carol)).await, MayRing::Yes);
    assert_eq!(availability.may_ring(&callee, CalledBy::Unknown).await, MayRing::Yes);
}

#[tokio::test]
async fn a_blocked_room_is_not_heard() {
    let served = serve().await;
    let room = "r@conference.example.org";
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    alice.enter(room, "A").await;
    alice.ask("set", room, "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query>").await;
    bob.enter(room, "B").await;
    alice.expect(&["<presence", "/B'"]).await;
    assert!(alice.ask("set", "", &command("block", &format!("{room}/B"))).await.contains("result"));
    bob.send(&format!("<message type='groupchat' to='{room}'><body>hear me</body></message>")).await;
    bob.expect(&["hear me"]).await;
    alice.expect_nothing().await;
}

#[tokio::test]
async fn a_report_is_kept_and_pushed_to_nobody() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    alice.ask("get", "", LIST).await;
    let block = "<block xmlns='urn:xmpp:blocking'><item jid='bob@example.org'><report xmlns='urn:xmpp:reporting:1' \
                 reason='urn:xmpp:reporting:spam'><text>buy</text></report></item></block>";
    assert!(alice.ask("set", "", block).await.contains("result"));
    assert!(!alice.expect(&["<block "]).await.contains("report"));
    let kept = served.store.records.list(DOMAIN, "reports", None, 10).await.unwrap();
    let text = String::from_utf8(kept[0].value.clone()).unwrap();
    assert!(text.contains("bob@example.org") && text.contains("spam") && text.contains("buy"), "{text}");
}

#[tokio::test]
async fn who_is_blocked_hears_of_no_event_of_the_account() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    befriend(&mut alice, &mut bob).await;
    let publish = |item: &str| {
        format!(
            "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:tt'><item id='{item}'>\
             <x xmlns='urn:tt'/></item></publish></pubsub>"
        )
    };
    assert!(alice.ask("set", "", &publish("one")).await.contains("type='result'"));
    let subscribe = "<pubsub xmlns='http://jabber.org/protocol/pubsub'><subscribe node='urn:tt' jid='bob@example.org'/></pubsub>";
    assert!(bob.ask("set", "alice@example.org", subscribe).await.contains("type='result'"));
    assert!(alice.ask("set", "", &publish("two")).await.contains("type='result'"));
    bob.expect(&["<message", "id='two'"]).await;
    assert!(alice.ask("set", "", &command("block", "bob@example.org")).await.contains("result"));
    assert!(alice.ask("set", "", &publish("three")).await.contains("type='result'"));
    bob.send("<iq type='get' id='p' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>").await;
    loop {
        let next = bob.next().await.unwrap();
        assert!(!next.contains("three"), "{next}");
        if next.contains("id='p'") {
            break;
        }
    }
    assert!(alice.ask("set", "", &command("unblock", "bob@example.org")).await.contains("result"));
    assert!(alice.ask("set", "", &publish("four")).await.contains("type='result'"));
    bob.expect(&["<message", "id='four'"]).await;
}

#[tokio::test]
async fn who_was_sent_presence_directly_sees_it_go_once_and_then_nothing() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    alice.send("<presence to='bob@example.org/b'/>").await;
    bob.expect(&["<presence", "from='alice@example.org/a'"]).await;
    assert!(alice.ask("set", "", &command("block", "bob@example.org")).await.contains("result"));
    bob.expect(&["<presence", "type='unavailable'", "from='alice@example.org/a'"]).await;
    alice.send("<presence to='bob@example.org/b'/><presence type='unavailable'/>").await;
    bob.expect_nothing().await;
}
