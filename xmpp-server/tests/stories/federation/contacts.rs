//! Contacts in other domains: RFC 6121 §3, §4; what is archived and kept for who is away; personal events (XEP-0163).

use xmpp_server::FederationConfig;

use super::peer::Peer;
use super::world::{OURS, THEIRS, World, two, verified};
use crate::common::{Client, Served, attribute, befriend_afar};

#[tokio::test]
async fn subscriptions_lead_to_presence_across_domains_and_end_with_it() {
    let (_world, ours, theirs) = two().await;
    let mut alice = Client::online(&ours, "alice", "a").await;
    let mut bob = Client::online(&theirs, "bob", "b").await;
    befriend_afar(&mut alice, &mut bob, "alice@example.org", "bob@example.net").await;
    alice.send("<presence><show>away</show></presence>").await;
    bob.expect(&["<presence", "from='alice@example.org/a'", "<show>away</show>"]).await;
    // A resource that comes asks the other server (§4.3), and is shown there.
    let mut phone = Client::online(&ours, "alice", "phone").await;
    phone.expect(&["<presence", "from='bob@example.net/b'", "to='alice@example.org/phone'"]).await;
    bob.expect(&["<presence", "from='alice@example.org/phone'"]).await;
    drop(phone);
    bob.expect(&["<presence", "type='unavailable'", "from='alice@example.org/phone'"]).await;
    // §4.3.2, rule 3: nobody is there.
    drop(bob);
    alice.expect(&["<presence", "type='unavailable'", "from='bob@example.net/b'"]).await;
    alice.send("<presence type='probe' id='p1' to='bob@example.net'/>").await;
    let answer = alice.expect(&["<presence", "id='p1'"]).await;
    assert!(answer.contains("type='unavailable'") && answer.contains("to='alice@example.org/a'"), "{answer}");
    let mut laptop = Client::online(&ours, "alice", "laptop").await;
    laptop.expect(&["<presence", "type='unavailable'", "from='bob@example.net'"]).await;
    let mut bob = Client::online(&theirs, "bob", "b").await;
    alice.expect(&["<presence", "from='bob@example.net/b'"]).await;
    bob.send("<presence type='unsubscribed' to='alice@example.org'/>").await;
    alice.expect(&["type='unsubscribed'", "from='bob@example.net'"]).await;
    alice.expect(&["<presence", "type='unavailable'", "from='bob@example.net/b'"]).await;
    let roster = alice.ask("get", "", "<query xmlns='jabber:iq:roster'/>").await;
    assert!(roster.contains("jid='bob@example.net'") && roster.contains("subscription='from'"), "{roster}");
}

#[tokio::test]
async fn when_the_server_stops_contacts_elsewhere_hear_who_is_gone() {
    let (_world, ours, theirs) = two().await;
    let mut alice = Client::online(&ours, "alice", "a").await;
    let mut bob = Client::online(&theirs, "bob", "b").await;
    befriend_afar(&mut alice, &mut bob, "alice@example.org", "bob@example.net").await;
    let mut phones = Vec::new();
    for n in 0..18 {
        let mut phone = Client::online(&ours, "alice", &format!("p{n}")).await;
        bob.expect(&["<presence", &format!("from='alice@example.org/p{n}'")]).await;
        phone.send("<presence to='bob@example.net/b'><show>chat</show></presence>").await;
        bob.expect(&["<show>chat</show>"]).await;
        phones.push(phone);
    }
    ours.shutdown.begin();
    let mut gone = std::collections::BTreeSet::new();
    while gone.len() < 19 {
        let presence = bob.expect(&["<presence", "type='unavailable'"]).await;
        gone.insert(attribute(&presence, "presence", "from"));
    }
}

#[tokio::test]
async fn a_stranger_s_probe_learns_that_there_is_nothing_to_see() {
    let world = World::new().await;
    let ours = world.serve(OURS, verified()).await;
    let _alice = Client::online(&ours, "alice", "a").await;
    let mut peer = both_ways(&world, &ours).await;
    for name in ["alice", "nobody"] {
        peer.send(&format!(
            "<presence type='probe' id='{name}' from='bob@example.net' to='{name}@example.org'/>"
        ))
        .await;
        let answer = peer.expect(&["<presence", &format!("id='{name}'")]).await;
        let whom = format!("from='{name}@example.org' to='bob@example.net'");
        assert!(answer.contains("type='unsubscribed'") && answer.contains(&whom), "{answer}");
    }
}

#[tokio::test]
async fn requests_of_strangers_leave_room_for_contacts() {
    let world = World::new().await;
    let ours = world.serve(OURS, verified()).await;
    let mut peer = both_ways(&world, &ours).await;
    for n in 0..110 {
        peer.send(&format!("<presence type='subscribe' from='s{n}@example.net' to='alice@example.org'/>"))
            .await;
    }
    peer.send("<iq type='get' id='1' from='example.net' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>")
        .await;
    peer.expect(&["<iq", "id='1'"]).await;
    let mut alice = Client::login(&ours, "alice", "a").await;
    alice.send("<presence/><iq type='get' id='2' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>").await;
    let mut requests = 0;
    loop {
        let next = alice.next().await.unwrap();
        if next.contains("id='2'") {
            break;
        }
        requests += usize::from(next.contains("type='subscribe'"));
    }
    assert_eq!(requests, 100);
}

/// A stream of theirs by which ours answers.
async fn both_ways(world: &World, ours: &Served) -> Peer {
    let tls = world.certified(THEIRS);
    let (mut peer, _) = Peer::secured(ours.server.s2s()[0], THEIRS, OURS, Some(&tls)).await;
    peer.send("<bidi xmlns='urn:xmpp:bidi'/><auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>").await;
    peer.expect(&["<success"]).await;
    peer.open(THEIRS, OURS).await;
    peer
}

#[tokio::test]
async fn what_comes_from_afar_is_kept_and_archived() {
    let (_world, ours, theirs) = two().await;
    let mut alice = Client::online(&ours, "alice", "a").await;
    alice
        .send("<message to='bob@example.net' type='chat' id='1'><body>are you there?</body></message>")
        .await;
    // The answer to a later question shows that the message is there.
    let features = alice.ask("get", THEIRS, "<query xmlns='http://jabber.org/protocol/disco#info'/>").await;
    assert!(features.contains("msgoffline"), "{features}");
    let mut bob = Client::login(&theirs, "bob", "b").await;
    bob.send("<presence/>").await;
    let late = bob.expect(&["<message", "are you there?", "urn:xmpp:delay"]).await;
    assert!(late.contains("from='alice@example.org/a'") && late.contains("<stanza-id"), "{late}");
    // False ids of other servers do not come through (XEP-0359 §5).
    bob.send("<message to='alice@example.org' type='chat' id='2'><body>I am</body><stanza-id xmlns='urn:xmpp:sid:0' id='x' by='alice@example.org'/></message>").await;
    let got = alice.expect(&["<message", "I am"]).await;
    assert!(!got.contains("id='x'") && got.contains("by='alice@example.org'"), "{got}");
    for (client, with) in [(&mut alice, "bob@example.net"), (&mut bob, "alice@example.org")] {
        let form = format!(
            "<query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field>\
             <field var='with'><value>{with}</value></field></x></query>"
        );
        client.send(&format!("<iq type='set' id='mam'>{form}</iq>")).await;
        client.expect(&["<message", "urn:xmpp:mam:2", "are you there?"]).await;
        client.expect(&["<message", "urn:xmpp:mam:2", "I am"]).await;
        client.expect(&["id='mam'", "type='result'"]).await;
    }
}

#[tokio::test]
async fn who_is_blocked_elsewhere_is_not_heard() {
    let (_world, ours, theirs) = two().await;
    let mut alice = Client::online(&ours, "alice", "a").await;
    let mut bob = Client::online(&theirs, "bob", "b").await;
    alice.ask("set", "", "<block xmlns='urn:xmpp:blocking'><item jid='example.net'/></block>").await;
    bob.send("<message to='alice@example.org' type='chat' id='1'><body>x</body></message>").await;
    bob.expect(&["<message", "type='error'", "id='1'", "service-unavailable"]).await;
    bob.send("<presence to='alice@example.org/a'/>").await;
    bob.ask("get", OURS, "<ping xmlns='urn:xmpp:ping'/>").await;
    alice.expect_nothing().await;
}

#[tokio::test]
async fn cards_and_questions_cross_and_what_is_private_does_not() {
    let (_world, ours, theirs) = two().await;
    let mut alice = Client::online(&ours, "alice", "a").await;
    let mut bob = Client::online(&theirs, "bob", "b").await;
    let card = bob.ask("get", "alice@example.org", "<vCard xmlns='vcard-temp'/>").await;
    assert!(card.contains("sip:alice@sip.example.org"), "{card}");
    for (payload, condition) in [
        ("<query xmlns='jabber:iq:roster'/>", "forbidden"),
        ("<query xmlns='http://jabber.org/protocol/disco#info'/>", "service-unavailable"),
        ("<query xmlns='urn:xmpp:mam:2'/>", "error"),
        ("<query xmlns='jabber:iq:last'/>", "forbidden"),
        ("<query xmlns='jabber:iq:private'><x xmlns='urn:x'/></query>", "error"),
        ("<blocklist xmlns='urn:xmpp:blocking'/>", "error"),
    ] {
        let answer = bob.ask("get", "alice@example.org", payload).await;
        assert!(answer.contains("type='error'") && answer.contains(condition), "{payload}: {answer}");
    }
    for payload in ["<vCard xmlns='vcard-temp'><FN>x</FN></vCard>", "<enable xmlns='urn:xmpp:carbons:2'/>"] {
        let answer = bob.ask("set", "alice@example.org", payload).await;
        assert!(answer.contains("type='error'"), "{payload}: {answer}");
    }
    // A client answers a client.
    bob.send("<iq type='get' id='v' to='alice@example.org/a'><query xmlns='jabber:iq:version'/></iq>").await;
    let asked = alice.expect(&["jabber:iq:version", "from='bob@example.net/b'"]).await;
    assert!(asked.contains("id='v'"));
    alice.send("<iq type='result' id='v' to='bob@example.net/b'><query xmlns='jabber:iq:version'><name>t</name></query></iq>").await;
    bob.expect(&["<iq", "id='v'", "type='result'", "<name>t</name>"]).await;
}

fn pubsub(inner: &str) -> String {
    format!("<pubsub xmlns='http://jabber.org/protocol/pubsub'>{inner}</pubsub>")
}

fn mood(id: &str, text: &str) -> String {
    pubsub(&format!("<publish node='urn:mood'><item id='{id}'><t xmlns='urn:t'>{text}</t></item></publish>"))
}

/// Says what it wants to hear of, and answers whoever asks.
async fn answer_caps(client: &mut Client, asker: &str) {
    let question = client.expect(&["disco#info", &format!("from='{asker}'")]).await;
    let id = crate::common::attribute(&question, "iq", "id");
    client
        .send(&format!(
            "<iq type='result' id='{id}' to='{asker}'><query xmlns='http://jabber.org/protocol/disco#info'>\
             <feature var='urn:mood+notify'/></query></iq>"
        ))
        .await;
}

#[tokio::test]
async fn personal_events_reach_interested_contacts_elsewhere() {
    let (_world, ours, theirs) = two().await;
    let mut alice = Client::online(&ours, "alice", "a").await;
    let mut bob = Client::online(&theirs, "bob", "b").await;
    befriend_afar(&mut alice, &mut bob, "alice@example.org", "bob@example.net").await;
    alice.ask("set", "", &mood("1", "glad")).await;
    bob.send("<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:c' ver='mood='/></presence>").await;
    answer_caps(&mut bob, THEIRS).await; // his own server asks for itself
    answer_caps(&mut bob, "alice@example.org").await;
    let last = bob.expect(&["pubsub#event", "glad"]).await;
    assert!(last.contains("from='alice@example.org'") && last.contains("type='headline'"), "{last}");
    alice.ask("set", "", &mood("2", "sad")).await;
    bob.expect(&["pubsub#event", "sad", "to='bob@example.net/b'"]).await;
    // He may read it, a stranger may not.
    let items = pubsub("<items node='urn:mood'/>");
    assert!(bob.ask("get", "alice@example.org", &items).await.contains("sad"));
    let mut carol = Client::online(&theirs, "carol", "c").await;
    let refused = carol.ask("get", "alice@example.org", &items).await;
    assert!(refused.contains("presence-subscription-required"), "{refused}");
    // Gone, he hears nothing; alice hears of his.
    bob.send("<presence type='unavailable'/>").await;
    alice.expect(&["type='unavailable'", "from='bob@example.net/b'"]).await;
    bob.expect(&["type='unavailable'", "from='bob@example.net/b'"]).await;
    alice.ask("set", "", &mood("3", "mad")).await;
    bob.expect_nothing().await;
}

#[tokio::test]
async fn the_service_s_nodes_are_made_here_and_read_from_afar() {
    let (_world, ours, theirs) = two().await;
    let mut alice = Client::online(&ours, "alice", "a").await;
    let mut bob = Client::online(&theirs, "bob", "b").await;
    const SERVICE: &str = "pubsub.example.org";
    for stranger in
        ["<create node='theirs'/>", "<publish node='theirs'><item><x xmlns='u'/></item></publish>"]
    {
        let answer = bob.ask("set", SERVICE, &pubsub(stranger)).await;
        assert!(answer.contains("type='error'"), "{answer}");
    }
    assert!(alice.ask("set", SERVICE, &pubsub("<create node='news'/>")).await.contains("type='result'"));
    let subscribe = pubsub("<subscribe node='news' jid='bob@example.net'/>");
    let subscribed = bob.ask("set", SERVICE, &subscribe).await;
    assert!(subscribed.contains("subscription='subscribed'"), "{subscribed}");
    let item = pubsub("<publish node='news'><item id='1'><n xmlns='urn:n'>extra</n></item></publish>");
    alice.ask("set", SERVICE, &item).await;
    bob.expect(&["pubsub#event", "extra", "from='pubsub.example.org'"]).await;
}

#[tokio::test]
async fn what_is_for_accounts_of_ours_is_refused_to_others() {
    let (_world, _ours, theirs) = two().await;
    let mut bob = Client::online(&theirs, "bob", "b").await;
    let info = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
    assert!(bob.ask("get", "directory.example.org", info).await.contains("category='directory'"));
    for (to, type_, payload) in [
        ("directory.example.org", "get", "<query xmlns='jabber:iq:search'/>"),
        ("directory.example.org", "set", "<query xmlns='jabber:iq:search'><last>alice</last></query>"),
        (
            OURS,
            "set",
            "<command xmlns='http://jabber.org/protocol/commands' node='http://jabber.org/protocol/admin#add-user'/>",
        ),
        (OURS, "get", "<services xmlns='urn:xmpp:extdisco:2'/>"),
        (
            OURS,
            "set",
            "<query xmlns='jabber:iq:register'><username>x</username><password>y</password></query>",
        ),
    ] {
        let answer = bob.ask(type_, to, payload).await;
        assert!(answer.contains("type='error'"), "{payload}: {answer}");
    }
}

#[tokio::test]
async fn whom_the_operator_denies_is_not_spoken_with() {
    let world = World::new().await;
    let deny = FederationConfig { allow: vec!["example.com".into()], ..verified() };
    let ours = world.serve(OURS, deny).await;
    let theirs = world.serve(THEIRS, verified()).await;
    let friend = world.serve("example.com", verified()).await;
    let mut alice = Client::online(&ours, "alice", "a").await;
    let mut bob = Client::online(&theirs, "bob", "b").await;
    let mut carol = Client::online(&friend, "carol", "c").await;
    bob.send("<message to='alice@example.org' type='chat' id='1'><body>x</body></message>").await;
    bob.expect(&["type='error'", "id='1'", "remote-server-timeout"]).await;
    alice.send("<message to='bob@example.net' type='chat' id='2'><body>x</body></message>").await;
    alice.expect(&["type='error'", "id='2'", "not-allowed"]).await;
    carol.send("<message to='alice@example.org' type='chat' id='3'><body>x</body></message>").await;
    alice.expect(&["<message", "id='3'"]).await;
}
