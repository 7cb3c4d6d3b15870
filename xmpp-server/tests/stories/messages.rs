//! Rosters, presence, messages, cards — RFC 6121, XEP-0160, XEP-0054, XEP-0292, RFC 7081 §3.1.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::common::{Client, DOMAIN, Everybody, Served, attribute, befriend, serve, serve_again, serve_with};
use shared_auth::Profile;
use shared_model::FoundBy;
use shared_store::Store;
use xmpp_core::payload::mam::Otherwise;
use xmpp_server::Config;

async fn pair(served: &Served) -> (Client, Client) {
    (Client::online(served, "alice", "a").await, Client::online(served, "bob", "b").await)
}

#[tokio::test]
async fn a_roster_is_set_pushed_and_removed() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    alice
        .send("<iq type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='bob@example.org' name='Bob'><group>F</group></item></query></iq>")
        .await;
    let push = alice.expect(&["type='set'", "name='Bob'", "subscription='none'", "<group>F</group>"]).await;
    alice.expect(&["id='1'", "type='result'"]).await;
    let roster = alice.ask("get", "", "<query xmlns='jabber:iq:roster'/>").await;
    let version = attribute(&roster, "query", "ver");
    assert_eq!(
        attribute(&push, "query", "ver"),
        version,
        "RFC 6121 §2.6.3: in pushes, and for who did not ask for it"
    );
    let same = alice.ask("get", "", &format!("<query xmlns='jabber:iq:roster' ver='{version}'/>")).await;
    assert!(!same.contains("<query"), "{same}");
    let remove =
        "<query xmlns='jabber:iq:roster'><item jid='bob@example.org' subscription='remove'/></query>";
    alice.send(&format!("<iq type='set' id='2'>{remove}</iq>")).await;
    alice.expect(&["subscription='remove'"]).await;
    alice.expect(&["id='2'", "type='result'"]).await;
    assert!(alice.ask("set", "", remove).await.contains("item-not-found"));
    let foreign = alice.ask("get", "bob@example.org", "<query xmlns='jabber:iq:roster'/>").await;
    assert!(foreign.contains("forbidden"), "{foreign}");
}

#[tokio::test]
async fn subscriptions_lead_to_presence_and_end_with_it() {
    let served = serve().await;
    let (mut alice, mut bob) = pair(&served).await;
    befriend(&mut alice, &mut bob).await;
    alice.send("<presence><show>away</show></presence>").await;
    bob.expect(&["<presence", "from='alice@example.org/a'", "<show>away</show>"]).await;
    let mut second = Client::online(&served, "alice", "phone").await;
    second.expect(&["<presence", "from='bob@example.org/b'"]).await; // by probe
    bob.expect(&["<presence", "from='alice@example.org/phone'"]).await;
    drop(second);
    bob.expect(&["<presence", "type='unavailable'", "from='alice@example.org/phone'"]).await;
    bob.send("<presence type='unsubscribed' to='alice@example.org'/>").await;
    alice.expect(&["type='unsubscribed'", "from='bob@example.org'"]).await;
    alice.expect(&["<presence", "type='unavailable'", "from='bob@example.org/b'"]).await;
}

#[tokio::test]
async fn all_that_a_removal_causes_is_said_before_it_is_done() {
    let served = serve().await;
    let (mut alice, mut bob) = pair(&served).await;
    befriend(&mut alice, &mut bob).await;
    alice.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
    alice
        .send(
            "<iq type='set' id='1'><query xmlns='jabber:iq:roster'>\
             <item jid='bob@example.org' subscription='remove'/></query></iq>",
        )
        .await;
    let push = alice.next().await.unwrap();
    assert!(push.contains("subscription='remove'"), "{push}");
    let gone = alice.next().await.unwrap();
    assert!(gone.contains("from='bob@example.org/b'") && gone.contains("type='unavailable'"), "{gone}");
    let done = alice.next().await.unwrap();
    assert!(done.contains("id='1'") && done.contains("type='result'"), "{done}");
    alice.send("<presence type='subscribe' to='bob@example.org'/>").await;
    for type_ in ["unsubscribe", "unsubscribed", "unavailable", "subscribe"] {
        let said = bob.expect(&["<presence", "from='alice@example.org", "type='"]).await;
        assert!(said.contains(&format!("type='{type_}'")), "{type_}: {said}");
    }
}

#[tokio::test]
async fn a_request_waits_for_who_is_away_until_it_is_answered() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    alice.send("<presence type='subscribe' to='bob@example.org'><status>me</status></presence>").await;
    alice.expect(&["jabber:iq:roster", "ask='subscribe'"]).await;
    for _ in 0..2 {
        let mut bob = Client::login(&served, "bob", "b").await;
        let roster = bob.ask("get", "", "<query xmlns='jabber:iq:roster'/>").await;
        assert!(!roster.contains("alice"), "a request that waits is not shown: {roster}");
        bob.send("<presence/>").await;
        bob.expect(&["type='subscribe'", "from='alice@example.org'", "<status>me</status>"]).await;
    }
    let mut bob = Client::online(&served, "bob", "b").await;
    bob.send("<presence type='unsubscribed' to='alice@example.org'/>").await;
    alice.expect(&["type='unsubscribed'"]).await;
}

#[tokio::test]
async fn a_pre_approval_answers_for_the_user() {
    let served = serve().await;
    let (mut alice, mut bob) = pair(&served).await;
    bob.send("<presence type='subscribed' to='alice@example.org'/>").await;
    bob.expect(&["jabber:iq:roster", "approved='true'"]).await;
    alice.send("<presence type='subscribe' to='bob@example.org'/>").await;
    // §2.1.6: who holds what was pushed last holds what is true.
    alice.expect(&["jabber:iq:roster", "ask='subscribe'"]).await;
    alice.expect(&["type='subscribed'", "from='bob@example.org'"]).await;
    alice.expect(&["jabber:iq:roster", "subscription='to'"]).await;
    alice.expect(&["<presence", "from='bob@example.org/b'"]).await;
}

#[tokio::test]
async fn directed_presence_is_taken_back_at_the_end() {
    let served = serve().await;
    let (mut alice, mut bob) = pair(&served).await;
    alice.send("<presence to='bob@example.org/b'/>").await;
    bob.expect(&["<presence", "from='alice@example.org/a'"]).await;
    drop(alice);
    bob.expect(&["<presence", "type='unavailable'", "from='alice@example.org/a'"]).await;
}

#[tokio::test]
async fn messages_follow_the_rules_of_section_8() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut desk = Client::online(&served, "bob", "desk").await;
    let mut phone = Client::online(&served, "bob", "phone").await;
    phone.send("<presence><priority>5</priority></presence>").await;
    phone.expect(&["<priority>5"]).await;
    desk.expect(&["<priority>5"]).await;
    // Bare: the highest priority. Full: that one. A full that is not there: as bare.
    for (to, body) in
        [("bob@example.org", "one"), ("bob@example.org/gone", "two"), ("bob@example.org/phone", "three")]
    {
        alice.send(&format!("<message type='chat' to='{to}'><body>{body}</body></message>")).await;
        let got = phone.next().await.unwrap();
        assert!(got.contains(body) && got.contains("from='alice@example.org/a'"), "{got}");
    }
    alice.send("<message type='chat' to='bob@example.org/desk'><body>four</body></message>").await;
    assert!(desk.next().await.unwrap().contains("four"));
    alice.send("<message type='headline' to='bob@example.org'><body>news</body></message>").await;
    desk.expect(&["news"]).await;
    phone.expect(&["news"]).await;
    for (stanza, condition) in [
        (
            "<message type='groupchat' id='g' to='bob@example.org'><body>x</body></message>",
            "service-unavailable",
        ),
        ("<message id='g' to='nobody@example.org'><body>x</body></message>", "service-unavailable"),
        // §8.5.3.2.1, §8.5.4: only chat goes on to the account.
        ("<message id='g' to='bob@example.org/gone'><body>x</body></message>", "service-unavailable"),
        ("<message type='normal' id='g' to='bob@example.org/gone'/>", "service-unavailable"),
        ("<message id='g' to='a@elsewhere.example'><body>x</body></message>", "remote-server-not-found"),
        ("<message id='g' to='a b@example.org'><body>x</body></message>", "jid-malformed"),
        (
            "<iq type='get' id='g' to='bob@example.org/gone'><ping xmlns='urn:xmpp:ping'/></iq>",
            "service-unavailable",
        ),
        (
            "<iq type='get' id='g' to='nobody@example.org'><ping xmlns='urn:xmpp:ping'/></iq>",
            "service-unavailable",
        ),
        ("<iq type='wrong' id='g' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>", "bad-request"),
        ("<iq type='get' id='g' to='example.org'/>", "bad-request"),
        ("<iq type='get' id='g' to='example.org'><x xmlns='urn:none'/></iq>", "service-unavailable"),
    ] {
        alice.send(stanza).await;
        let answer = alice.expect(&["type='error'", "id='g'"]).await;
        assert!(answer.contains(condition), "{stanza} got {answer}");
    }
    // What was refused, nobody has; what answers a message is for who reads the account.
    for payload in [
        "<received xmlns='urn:xmpp:receipts' id='1'/>",
        "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>",
    ] {
        alice.send(&format!("<message to='bob@example.org/gone'>{payload}</message>")).await;
        assert!(phone.expect(&["<message"]).await.contains(payload.split(' ').next().unwrap()), "{payload}");
    }
    alice.send("<message type='error' to='nobody@example.org'/><presence to='nobody@example.org'/>").await;
    alice.expect_nothing().await;
}

#[tokio::test]
async fn messages_for_who_is_away_come_once_in_order_and_survive_a_restart() {
    let served = serve_with(Config { offline: 3, ..Config::default() }, Store::in_memory()).await;
    let mut alice = Client::online(&served, "alice", "a").await;
    for body in ["one", "two", "three"] {
        alice.send(&format!("<message to='bob@example.org'><body>{body}</body></message>")).await;
    }
    alice.send("<message to='bob@example.org' id='full'><body>four</body></message>").await;
    assert!(alice.expect(&["id='full'", "type='error'"]).await.contains("service-unavailable"));
    served.shutdown.begin();
    let served = serve_again(&served, Config::default()).await;
    let mut bob = Client::login(&served, "bob", "b").await;
    bob.send("<presence/>").await;
    for body in ["one", "two", "three"] {
        let message = bob.expect(&["<message"]).await;
        assert!(message.contains(body) && message.contains("urn:xmpp:delay"), "{message}");
    }
    bob.expect_nothing().await;
    drop(bob);
    let mut bob = Client::online(&served, "bob", "b").await;
    bob.expect_nothing().await;
}

#[tokio::test]
async fn a_negative_priority_gets_no_messages_of_the_bare_address() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::login(&served, "bob", "b").await;
    bob.send("<presence><priority>-1</priority></presence>").await;
    bob.expect(&["<priority>"]).await;
    alice.send("<message to='bob@example.org'><body>later</body></message>").await;
    alice.expect_nothing().await;
    bob.expect_nothing().await;
    bob.send("<presence/>").await;
    bob.expect(&["<message", "later"]).await;
}

#[tokio::test]
async fn order_between_two_parties_is_kept() {
    let served = serve().await;
    let (mut alice, mut bob) = pair(&served).await;
    let all: String =
        (0..500).map(|n| format!("<message to='bob@example.org/b'><body>n{n};</body></message>")).collect();
    alice.send(&all).await;
    for n in 0..500 {
        assert!(bob.next().await.unwrap().contains(&format!("n{n};")));
    }
}

#[tokio::test]
async fn a_card_holds_our_numbers_and_refuses_others() {
    let served = serve().await;
    let (mut alice, mut bob) = pair(&served).await;
    let set = "<vCard xmlns='vcard-temp'><FN>Alice</FN><TEL><WORK/><FAX/><NUMBER>+49 30 1234567</NUMBER></TEL></vCard>";
    assert!(alice.ask("set", "", set).await.contains("type='result'"));
    let card = bob.ask("get", "alice@example.org", "<vCard xmlns='vcard-temp'/>").await;
    for part in [
        "<WORK/><VOICE/><NUMBER>sip:alice@sip.example.org</NUMBER>",
        "<HOME/><VOICE/><NUMBER>alice@sip.example.org</NUMBER>",
        "<NUMBER>+33123456789</NUMBER>",
        "<NUMBER>+49301234567</NUMBER>",
        "<FN>Alice</FN>",
    ] {
        assert!(card.contains(part), "{part}: {card}");
    }
    assert!(!card.contains("VIDEO") && !card.contains("PREF"));
    let four = bob.ask("get", "alice@example.org", "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'/>").await;
    for part in [
        "<uri>sip:alice@sip.example.org</uri>",
        "<uri>tel:+33123456789</uri>",
        "<uri>xmpp:alice@example.org</uri>",
    ] {
        assert!(four.contains(part), "{part}: {four}");
    }
    for (number, why) in [
        ("12", "fragment"),
        ("sip:bob@sip.example.org", "somebody else"),
        ("bob@example.org", "somebody else"),
        ("b@sip.example.or", "fragment"),
        ("bob@sip.exam(ple) .org", "somebody else"),
        ("tel:+33 1 23 45 67 80", "somebody else"),
        ("+33 1 23 45", "the beginning of one"), // contained in bob's number, which readers take for equal
    ] {
        let set = format!("<vCard xmlns='vcard-temp'><TEL><NUMBER>{number}</NUMBER></TEL></vCard>");
        let answer = alice.ask("set", "", &set).await;
        assert!(answer.contains("not-acceptable") && answer.contains(why), "{answer}");
    }
    assert!(alice.ask("set", "bob@example.org", set).await.contains("forbidden"));
}

#[tokio::test]
async fn an_iq_without_id_is_not_forwarded() {
    let served = serve().await;
    let (mut alice, mut bob) = pair(&served).await;
    alice.send("<iq type='get' to='bob@example.org/b'><ping xmlns='urn:xmpp:ping'/></iq>").await;
    assert!(alice.expect(&["<iq", "type='error'"]).await.contains("bad-request"));
    alice.send("<iq type='result' to='bob@example.org/b'/>").await;
    alice.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
    bob.expect_nothing().await;
}

#[tokio::test]
async fn what_came_while_a_client_took_no_messages_comes_when_it_takes_them_again() {
    let served = serve().await;
    let (mut alice, mut bob) = pair(&served).await;
    for round in ["one", "two"] {
        bob.send("<presence><priority>-1</priority></presence>").await;
        bob.expect(&["<priority>-1"]).await;
        alice.send(&format!("<message to='bob@example.org'><body>{round}</body></message>")).await;
        alice.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
        bob.send("<presence><priority>0</priority></presence>").await;
        assert!(bob.expect(&["<message"]).await.contains(round));
    }
}

#[tokio::test]
async fn what_a_user_wrote_into_a_card_is_there_on_the_next_get() {
    let served = serve().await;
    let (mut alice, mut bob) = pair(&served).await;
    let set = "<vCard xmlns='vcard-temp'><FN>Alice</FN><PHOTO><TYPE>image/png</TYPE><BINVAL>AAAA</BINVAL></PHOTO>\
        <TEL><CELL/><NUMBER>+491511234567</NUMBER></TEL><TEL><VOICE/><WORK/><PREF/><NUMBER>+49301234567</NUMBER></TEL>\
        <TEL><FAX/><NUMBER>+33 1 23 45 67 89</NUMBER></TEL><JABBERID>z@z.org</JABBERID></vCard>";
    assert!(alice.ask("set", "", set).await.contains("type='result'"));
    let card = bob.ask("get", "alice@example.org", "<vCard xmlns='vcard-temp'/>").await;
    for part in
        ["+491511234567", "+49301234567", "+33123456789", "<JABBERID>alice@example.org</JABBERID>", "z@z.org"]
    {
        assert!(card.contains(part), "{part}: {card}");
    }
    // The other form keeps what it cannot say, and what it alone can.
    let set = "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'><fn><text>Alice</text></fn>\
        <gender><sex>F</sex></gender><tz><text>+01:00</text></tz>\
        <group name='w'><tel><uri>tel:+491511234567</uri></tel><anniversary><date>20090808</date></anniversary></group>\
        <impp><uri>xmpp:z@z.org</uri></impp><impp><uri>sip:me@other.net</uri></impp></vcard>";
    assert!(alice.ask("set", "", set).await.contains("type='result'"));
    let four = bob.ask("get", "alice@example.org", "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'/>").await;
    for part in [
        "<sex>F</sex>",
        "+01:00",
        "20090808",
        "tel:+491511234567",
        "xmpp:z@z.org",
        "sip:me@other.net",
        "<uri>xmpp:alice@example.org</uri>",
        "<uri>sip:alice@sip.example.org</uri>",
    ] {
        assert!(four.contains(part), "{part}: {four}");
    }
    let card = bob.ask("get", "alice@example.org", "<vCard xmlns='vcard-temp'/>").await;
    assert!(card.contains("BINVAL") && !card.contains("gender"), "{card}");
    assert!(alice.ask("set", "", "<vCard xmlns='vcard-temp'><FN>Al</FN></vCard>").await.contains("result"));
    let four = bob.ask("get", "alice@example.org", "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'/>").await;
    assert!(four.contains("<sex>F</sex>") && four.contains("<text>Al</text>"), "{four}");
    for impp in ["xmpp:bob@example.org", "sip:bob@sip.example.org"] {
        let set = format!(
            "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'><group><impp><uri>{impp}</uri></impp></group></vcard>"
        );
        assert!(alice.ask("set", "", &set).await.contains("somebody else"), "{impp}");
    }
}

/// RFC 6350 §6.2.1: a vCard4 has one.
#[tokio::test]
async fn who_wrote_no_name_into_a_card_has_that_of_the_account() {
    let served = serve().await;
    let (mut alice, mut bob) = pair(&served).await;
    let temp = "<vCard xmlns='vcard-temp'/>";
    let four = "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'/>";
    let (as_temp, as_four) = ("<FN>alice</FN>", "<fn><text>alice</text></fn>");
    let photo = "<PHOTO><TYPE>image/png</TYPE><BINVAL>AAAA</BINVAL></PHOTO>";
    // Nobody wrote a card, and somebody wrote another part of it.
    for inner in ["", photo] {
        if !inner.is_empty() {
            let set = format!("<vCard xmlns='vcard-temp'>{inner}</vCard>");
            assert!(alice.ask("set", "", &set).await.contains("type='result'"));
        }
        let card = bob.ask("get", "alice@example.org", temp).await;
        assert!(card.contains(as_temp) && card.matches("<FN>").count() == 1, "{card}");
        let card = bob.ask("get", "alice@example.org", four).await;
        assert!(card.contains(as_four) && card.matches("<fn>").count() == 1, "{card}");
        let own = alice.ask("get", "alice@example.org", temp).await;
        assert!(!own.contains("<FN>"), "what she writes back is hers alone: {own}");
    }
    let id = served.auth.directory.by_jid(&"alice@example.org".parse().unwrap()).await.unwrap();
    let id = id.unwrap().account;
    let named = |name: &str| Profile { name: name.to_owned(), ..Profile::default() };
    served.auth.book.set_profile(id, named("Alice A.")).await.unwrap();
    assert!(bob.ask("get", "alice@example.org", temp).await.contains("<FN>Alice A.</FN>"), "it follows");
    served.server.attach_visibility(Arc::new(Everybody(FoundBy::Nobody)));
    let card = bob.ask("get", "alice@example.org", four).await;
    assert!(card.contains(as_four) && !card.contains("Alice A."), "who is found by nobody: {card}");
    served.auth.book.set_profile(id, named("")).await.unwrap();
    assert!(!bob.ask("get", "alice@example.org", temp).await.contains("<FN>"));
    for (inner, name) in [
        ("", "alice"),
        ("<NICKNAME>Al</NICKNAME>", "Al"),
        (
            "<N><FAMILY>Liddell</FAMILY><GIVEN>Alice</GIVEN><MIDDLE/></N><NICKNAME>Al</NICKNAME>",
            "Alice Liddell",
        ),
        ("<FN>A. L.</FN><NICKNAME>Al</NICKNAME>", "A. L."),
    ] {
        let set = format!("<vCard xmlns='vcard-temp'>{inner}</vCard>");
        assert!(alice.ask("set", "", &set).await.contains("type='result'"));
        let card = bob.ask("get", "alice@example.org", four).await;
        assert!(card.contains(&format!("<fn><text>{name}</text></fn>")), "{name}: {card}");
    }
}

#[tokio::test]
async fn the_server_says_what_it_is() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let info = alice.ask("get", DOMAIN, "<query xmlns='http://jabber.org/protocol/disco#info'/>").await;
    assert!(info.contains("category='server'") && info.contains("urn:xmpp:ping"), "{info}");
    let items = alice.ask("get", DOMAIN, "<query xmlns='http://jabber.org/protocol/disco#items'/>").await;
    assert!(items.contains("conference.example.org"));
    let own = alice.ask("get", "", "<query xmlns='http://jabber.org/protocol/disco#info'/>").await;
    assert!(own.contains("category='account'"));
    let bobs =
        alice.ask("get", "bob@example.org", "<query xmlns='http://jabber.org/protocol/disco#info'/>").await;
    assert!(bobs.contains("service-unavailable"));
    assert!(alice.ask("get", DOMAIN, "<query xmlns='jabber:iq:version'/>").await.contains("cusax"));
    assert!(alice.ask("get", DOMAIN, "<time xmlns='urn:xmpp:time'/>").await.contains("<utc>"));
    assert!(
        alice
            .ask("set", DOMAIN, "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'/>")
            .await
            .contains("result")
    );
}

#[tokio::test]
async fn a_card_is_published_and_set_in_one_place() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    let items = "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:vcard4'/></pubsub>";
    let card = bob.ask("get", "alice@example.org", items).await;
    assert!(
        card.contains("sip:alice@sip.example.org"),
        "the address for calls is in a card that nobody wrote: {card}"
    );
    let publish = |inner: &str| {
        format!(
            "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:xmpp:vcard4'><item id='current'>\
             <vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'>{inner}</vcard></item></publish></pubsub>"
        )
    };
    let answer = alice.ask("set", "", &publish("<fn><text>Alice A.</text></fn>")).await;
    assert!(
        answer.contains("type='result'") && answer.contains("<publish node='urn:xmpp:vcard4'"),
        "{answer}"
    );
    let temp = bob.ask("get", "alice@example.org", "<vCard xmlns='vcard-temp'/>").await;
    assert!(temp.contains("<FN>Alice A.</FN>"), "{temp}");
    assert!(
        alice.ask("set", "", "<vCard xmlns='vcard-temp'><FN>Alice B.</FN></vCard>").await.contains("result")
    );
    let card = bob.ask("get", "alice@example.org", items).await;
    assert!(card.contains("Alice B.") && card.contains("sip:alice@sip.example.org"), "{card}");
    let foreign = "<tel><uri>sip:bob@sip.example.org</uri></tel>";
    assert!(
        alice.ask("set", "", &publish(foreign)).await.contains("not-acceptable"),
        "somebody else's address"
    );
    let nobody = bob.ask("get", "nobody@example.org", items).await;
    assert!(nobody.contains("type='error'"), "{nobody}");
}

#[tokio::test]
async fn a_client_asks_what_a_contact_shows_and_a_stranger_learns_nothing() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    befriend(&mut alice, &mut bob).await;
    alice.send("<presence><show>dnd</show></presence>").await;
    bob.expect(&["<presence", "<show>dnd</show>"]).await;
    for to in ["alice@example.org", "alice@example.org/a"] {
        bob.send(&format!("<presence type='probe' to='{to}'/>")).await;
        let shown = bob.next().await.unwrap();
        assert!(shown.contains("from='alice@example.org/a'") && shown.contains("dnd"), "{to}: {shown}");
    }
    let mut carol = Client::online(&served, "carol", "c").await;
    carol.send("<presence type='probe' to='alice@example.org'/>").await;
    carol.expect_nothing().await;
    // §4.6.6: to whom presence was sent directly, that alone is said, and of that address alone.
    alice.send("<presence to='carol@example.org'><status>psst</status></presence>").await;
    carol.expect(&["psst"]).await;
    carol.send("<presence type='probe' to='alice@example.org/a'/>").await;
    let shown = carol.next().await.unwrap();
    assert!(shown.contains("from='alice@example.org/a'") && !shown.contains("type="), "{shown}");
    assert!(!shown.contains("dnd") && !shown.contains("psst"), "{shown}");
    carol.send("<presence type='probe' to='alice@example.org'/>").await;
    carol.expect_nothing().await;
    alice.send("<presence type='unavailable' to='carol@example.org'/>").await;
    carol.expect(&["type='unavailable'"]).await;
    carol.send("<presence type='probe' to='alice@example.org/a'/>").await;
    carol.expect_nothing().await;
}

/// Who reads slowly holds up neither who writes to it nor what comes in its order, and loses nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_slow_reader_keeps_nobody_else_waiting() {
    let config = Config { outbox: 8, rate: 1 << 30, archive: Otherwise::Never, ..Config::default() };
    let served = serve_with(config, Store::in_memory()).await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let long = "x".repeat(200_000);
    let say = |n: usize, text: &str| {
        format!("<message type='chat' to='bob@example.org'><body>n{n};{text}</body></message>")
    };
    // More than sockets of this machine take by themselves.
    for n in 0..100 {
        alice.send(&say(n, &long)).await;
    }
    alice.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
    let mut bob = Client::login(&served, "bob", "b").await;
    bob.send("<presence/>").await;
    bob.expect(&["<presence"]).await;
    let began = Instant::now();
    for n in 100..103 {
        alice.send(&say(n, "live")).await;
    }
    alice.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    for n in 0..103 {
        let next = bob.expect(&["<message"]).await;
        assert!(next.contains(&format!("<body>n{n};")), "{n}: {}", &next[..next.len().min(300)]);
    }
    bob.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
}
