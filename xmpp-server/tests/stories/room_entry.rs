//! Entering rooms, being seen in them, and going — XEP-0045 §6, §7.

use crate::common::rooms::{INFO, INSTANT, ROOM, configure, fact, item, room};
use crate::common::{Client, ROOMS, attribute, serve, serve_with};
use shared_model::RoomEvent;
use shared_store::Store;
use xmpp_server::{Config, Creators};

#[tokio::test]
async fn presence_of_who_is_not_inside_makes_nobody_enter() {
    let served = serve().await;
    let (_alice, _bob) = room(&served).await;
    let mut carol = Client::online(&served, "carol", "c").await;
    for to in [ROOM, "nowhere@conference.example.org"] {
        carol.send(&format!("<presence to='{to}/Carol' id='p1'><show>away</show></presence>")).await;
        let told = carol.expect(&["<presence", "type='unavailable'", "id='p1'"]).await;
        for code in ["110", "307", "333"] {
            assert!(told.contains(&format!("code='{code}'")), "{told}");
        }
    }
    assert!(carol.ask("get", "nowhere@conference.example.org", INFO).await.contains("item-not-found"));
}

#[tokio::test]
async fn ones_own_presence_says_what_became_of_ones_wish() {
    let served = serve().await;
    let (mut alice, _bob) = room(&served).await;
    let rules = [("whois", "anyone"), ("persistentroom", "1")];
    assert!(alice.ask("set", ROOM, &configure(&rules)).await.contains("result"));
    let mut carol = Client::online(&served, "carol", "c").await;
    carol
        .send(&format!(
            "<presence to='{ROOM}/Carol ' id='p1'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
        ))
        .await;
    let own = carol.expect(&["code='110'"]).await;
    for part in ["code='100'", "code='170'", "code='210'", "id='p1'", &format!("from='{ROOM}/Carol'")] {
        assert!(own.contains(part), "{part}: {own}");
    }
    let seen = alice.expect(&["<presence", "/Carol'"]).await;
    assert!(!seen.contains("code=") && !seen.contains("id='p1'"), "{seen}");
}

#[tokio::test]
async fn what_one_does_in_a_room_is_answered_under_the_id_that_one_gave() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    let mut phone = Client::online(&served, "bob", "phone").await;
    phone.enter(ROOM, "Bob").await;
    bob.expect(&["<presence", "/Bob'"]).await;
    alice.expect(&["<presence", "/Bob'"]).await;
    let presence = |nick: &str, rest: &str| format!("<presence to='{ROOM}/{nick}' {rest}");
    bob.send(&presence("Bob", "id='s1'><show>away</show></presence>")).await;
    bob.expect(&["<show>away", "id='s1'", "code='110'"]).await;
    assert!(!alice.expect(&["<show>away"]).await.contains(" id='s1'"));
    bob.send(&presence("Alice", "id='n0'/>")).await;
    bob.expect(&["type='error'", "id='n0'", "<conflict"]).await;
    bob.send(&presence("Robert", "id='n1'/>")).await;
    assert!(!bob.expect(&["code='303'"]).await.contains("id='n1'"), "that is the old nick's end");
    bob.expect(&["/Robert'", "id='n1'", "code='110'"]).await;
    phone.expect(&["/Robert'", "code='110'"]).await;
    // One client of two goes, then the other.
    phone.send(&presence("Robert", "id='l1' type='unavailable'/>")).await;
    phone.expect(&["type='unavailable'", "id='l1'", "code='110'"]).await;
    bob.send(&presence("Robert", "id='l2' type='unavailable'/>")).await;
    bob.expect(&["type='unavailable'", "id='l2'", "code='110'"]).await;
    let gone = alice.expect(&["type='unavailable'", "role='none'"]).await;
    assert!(!gone.contains(" id='l"), "{gone}");
}

#[tokio::test]
async fn an_unlocked_room_is_needed_for_everything_but_owning_it() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    alice.enter(ROOM, "Alice").await;
    assert!(bob.ask("get", ROOM, INFO).await.contains("item-not-found"));
    bob.send(&format!("<message to='{ROOM}' id='m1'><x xmlns='jabber:x:data' type='submit'/></message>"))
        .await;
    assert!(bob.expect(&["id='m1'"]).await.contains("item-not-found"));
    bob.send(&format!("<message type='groupchat' to='{ROOM}' id='m2'><body>hi</body></message>")).await;
    assert!(bob.expect(&["id='m2'"]).await.contains("item-not-found"));
    // §10.1.3: whoever leaves it unconfigured hears that it is no more.
    alice.send(&format!("<presence type='unavailable' to='{ROOM}/Alice'/>")).await;
    let gone = alice.expect(&["<presence", "type='unavailable'", "110"]).await;
    assert!(gone.contains("<destroy"), "{gone}");
    alice.enter(ROOM, "Alice").await;
    alice.ask("set", ROOM, INSTANT).await;
    assert!(bob.ask("get", ROOM, INFO).await.contains("muc_open"));
}

#[tokio::test]
async fn only_those_inside_learn_who_is_inside() {
    let served = serve().await;
    let (_alice, mut bob) = room(&served).await;
    let mut carol = Client::online(&served, "carol", "c").await;
    let items = "<query xmlns='http://jabber.org/protocol/disco#items'/>";
    assert!(!carol.ask("get", ROOM, items).await.contains("<item"));
    let seen = bob.ask("get", ROOM, items).await;
    assert!(seen.contains("/Alice'") && seen.contains("/Bob'"), "{seen}");
    assert!(carol.ask("get", &format!("{ROOM}/Bob"), INFO).await.contains("bad-request"), "§6.6");
    let traffic = "<query xmlns='http://jabber.org/protocol/disco#info' node='http://jabber.org/protocol/muc#traffic'/>";
    assert!(carol.ask("get", ROOM, traffic).await.contains("service-unavailable"));
}

#[tokio::test]
async fn the_owner_of_an_open_room_may_show_who_is_inside() {
    let served = serve().await;
    let (mut alice, _bob) = room(&served).await;
    let mut carol = Client::online(&served, "carol", "c").await;
    let form = alice.ask("get", ROOM, "<query xmlns='http://jabber.org/protocol/muc#owner'/>").await;
    assert!(form.contains("var='public_list'"), "{form}");
    let set = |value: &str| {
        configure(&[])
            .replace("</x>", &format!("<field var='public_list'><value>{value}</value></field></x>"))
    };
    let items = "<query xmlns='http://jabber.org/protocol/disco#items'/>";
    assert!(alice.ask("set", ROOM, &set("1")).await.contains("result"));
    let seen = carol.ask("get", ROOM, items).await;
    assert!(seen.contains("/Alice'") && seen.contains("/Bob'") && !seen.contains("alice@"), "{seen}");
    for (closes, opens) in [
        (&[("membersonly", "1")][..], &[("membersonly", "0")][..]),
        (&[("publicroom", "0")], &[("publicroom", "1")]),
        (&[("passwordprotectedroom", "1"), ("roomsecret", "x")], &[("passwordprotectedroom", "0")]),
    ] {
        assert!(alice.ask("set", ROOM, &configure(closes)).await.contains("result"));
        assert!(!carol.ask("get", ROOM, items).await.contains("<item"), "{closes:?}");
        assert!(alice.ask("set", ROOM, &configure(opens)).await.contains("result"));
    }
    assert!(carol.ask("get", ROOM, items).await.contains("/Alice'"));
    alice.ask("set", ROOM, &configure(&[("presencebroadcast", "participant")])).await;
    assert!(
        !carol.ask("get", ROOM, items).await.contains("/Alice'"),
        "whose presence is not shown is not listed"
    );
    alice.ask("set", ROOM, &item("jid='carol@example.org' affiliation='outcast'")).await;
    assert!(!carol.ask("get", ROOM, items).await.contains("<item"));
}

#[tokio::test]
async fn rooms_are_listed_page_by_page() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    for name in ["a", "b", "c", "d"] {
        let room = format!("{name}@{ROOMS}");
        alice.enter(&room, "A").await;
        let hidden = if name == "c" { "0" } else { "1" };
        alice.ask("set", &room, &configure(&[("publicroom", hidden), ("roomname", name)])).await;
    }
    let page = |set: &str| {
        format!(
            "<query xmlns='http://jabber.org/protocol/disco#items'>\
             <set xmlns='http://jabber.org/protocol/rsm'>{set}</set></query>"
        )
    };
    let first = alice.ask("get", ROOMS, &page("<max>2</max>")).await;
    assert!(first.contains("jid='a@") && first.contains("jid='b@") && !first.contains("jid='d@"), "{first}");
    assert!(first.contains("<count>3</count>"), "{first}");
    let next = alice.ask("get", ROOMS, &page(&format!("<max>2</max><after>b@{ROOMS}</after>"))).await;
    assert!(next.contains("jid='d@") && !next.contains("jid='c@"), "a hidden room is not listed: {next}");
    assert!(next.contains("index='2'"), "{next}");
    let lost = alice.ask("get", ROOMS, &page("<after>x@y</after>")).await;
    assert!(lost.contains("item-not-found"), "{lost}");
}

#[tokio::test]
async fn whose_presence_is_not_shown_is_not_seen() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    let moderated = configure(&[("moderatedroom", "1"), ("presencebroadcast", "moderator")]);
    alice.send(&format!("<iq type='set' id='hide' to='{ROOM}'>{moderated}</iq>")).await;
    let unseen = alice.expect(&["<presence", "/Bob'"]).await;
    assert!(unseen.contains("type='unavailable'"), "bob is a participant, and is hidden now: {unseen}");
    let mut carol = Client::online(&served, "carol", "c").await;
    carol.knock("Carol").await;
    assert!(carol.expect(&["<presence"]).await.contains("/Alice'"));
    assert!(carol.expect(&["<presence"]).await.contains("code='110'"), "bob does not come between");
    alice.ask("set", ROOM, &item("nick='Carol' role='moderator'")).await;
    assert!(bob.expect(&["<presence", "/Carol'"]).await.contains("role='moderator'"));
    alice.ask("set", ROOM, &item("nick='Carol' role='participant'")).await;
    assert!(bob.expect(&["<presence", "/Carol'"]).await.contains("type='unavailable'"));
    assert!(carol.expect(&["code='110'", "role='participant'"]).await.contains("/Carol'"));
}

#[tokio::test]
async fn answers_and_pings_find_the_client_among_those_of_a_nick() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    let mut phone = Client::online(&served, "bob", "phone").await;
    phone.enter(ROOM, "Bob").await;
    let ping = "<ping xmlns='urn:xmpp:ping'/>";
    assert!(phone.ask("get", &format!("{ROOM}/Bob"), ping).await.contains("type='result'"));
    let version = "<query xmlns='jabber:iq:version'/>";
    phone.send(&format!("<iq type='get' id='v1' to='{ROOM}/Alice'>{version}</iq>")).await;
    alice.expect(&["id='v1'", &format!("from='{ROOM}/Bob'")]).await;
    alice.send(&format!("<iq type='result' id='v1' to='{ROOM}/Bob'><query xmlns='jabber:iq:version'><name>a</name></query></iq>")).await;
    phone.expect(&["id='v1'", "<name>a</name>"]).await;
    alice.send(&format!("<iq type='result' id='v1' to='{ROOM}/Bob'/>")).await;
    alice.ask("get", ROOM, ping).await;
    bob.expect(&["<presence", "/Bob'"]).await; // the phone's
    bob.expect_nothing().await;
}

#[tokio::test]
async fn who_cannot_be_reached_is_inside_no_more() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    alice.send(&format!("<message type='chat' to='{ROOM}/Bob' id='pm'><body>psst</body></message>")).await;
    bob.expect(&["psst"]).await;
    let error = |condition: &str| {
        format!(
            "<message type='error' to='{ROOM}/Alice' id='pm'><error type='cancel'>\
             <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
        )
    };
    bob.send(&error("not-acceptable")).await;
    let back = alice.expect(&["type='error'", "id='pm'"]).await;
    assert!(back.contains(&format!("from='{ROOM}/Bob'")) && back.contains("not-acceptable"), "{back}");
    bob.send(&error("recipient-unavailable")).await;
    let gone = alice.expect(&["type='unavailable'", "/Bob'"]).await;
    assert!(gone.contains("code='333'"), "{gone}");
    bob.expect(&["type='unavailable'", "code='333'", "code='110'"]).await;
}

#[tokio::test]
async fn private_messages_are_for_whom_the_owner_says() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    let ask = |to: &str| format!("<message type='chat' to='{ROOM}/{to}' id='pm'><body>psst</body></message>");
    alice.ask("set", ROOM, &configure(&[("allowpm", "moderators")])).await;
    bob.send(&ask("Alice")).await;
    assert!(bob.expect(&["id='pm'"]).await.contains("forbidden"));
    alice.send(&ask("Bob")).await;
    bob.expect(&["psst"]).await;
    alice.send(&ask("Nobody")).await;
    assert!(alice.expect(&["id='pm'", "type='error'"]).await.contains("item-not-found"));
    alice.send(&ask("Bob").replace("chat", "groupchat")).await;
    assert!(alice.expect(&["id='pm'", "type='error'"]).await.contains("bad-request"));
}

#[tokio::test]
async fn a_full_room_has_places_for_admins() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    alice.ask("set", ROOM, &configure(&[("maxusers", "2")])).await;
    let mut carol = Client::online(&served, "carol", "c").await;
    carol.knock("Carol").await;
    assert!(carol.expect(&["type='error'"]).await.contains("service-unavailable"));
    alice.ask("set", ROOM, &item("jid='carol@example.org' affiliation='admin'")).await;
    carol.enter(ROOM, "Carol").await;
    bob.expect(&["<presence", "/Carol'"]).await;
}

#[tokio::test]
async fn occupants_are_told_that_the_service_stops() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    served.shutdown.begin();
    for client in [&mut alice, &mut bob] {
        client.expect(&["type='unavailable'", "code='332'", "code='110'"]).await;
        client.expect_stream_error("system-shutdown").await;
    }
}

#[tokio::test]
async fn rooms_are_made_by_whom_the_operator_lets() {
    let config = Config { room_creators: Creators::Admins, ..Config::default() };
    let served = serve_with(config, Store::in_memory()).await;
    let mut alice = Client::online(&served, "alice", "a").await;
    alice.knock("A").await;
    let refused = alice.expect(&["type='error'"]).await;
    assert!(refused.contains("not-allowed"), "{refused}");
    assert_eq!(attribute(&refused, "presence", "from"), format!("{ROOM}/A"));
}

#[tokio::test]
async fn history_is_what_one_wishes_for() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    for body in ["one", "two", "three"] {
        alice.say(body).await;
        bob.expect(&["<body>"]).await;
    }
    let mut carol = Client::online(&served, "carol", "c").await;
    for (wish, expected) in [
        ("maxstanzas='1'", &["three"][..]),
        ("maxchars='0'", &[]),
        ("seconds='3600' maxstanzas='2'", &["two", "three"]),
        ("since='2999-01-01T00:00:00Z'", &[]),
        ("since='1970-01-01T00:00:00Z'", &["one", "two", "three"]),
    ] {
        carol.send(&format!("<presence to='{ROOM}/Carol'><x xmlns='http://jabber.org/protocol/muc'><history {wish}/></x></presence>")).await;
        carol.expect(&["code='110'"]).await;
        for body in expected {
            let old = carol.next().await.unwrap();
            assert!(
                old.contains(&format!("<body>{body}<")) && old.contains("urn:xmpp:delay"),
                "{wish}: {old}"
            );
        }
        assert!(carol.next().await.unwrap().contains("<subject"), "{wish}");
        carol.send(&format!("<presence type='unavailable' to='{ROOM}/Carol'/>")).await;
        carol.expect(&["type='unavailable'", "code='110'"]).await;
    }
}

#[tokio::test]
async fn an_owner_brings_what_was_said_before() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    let old = |by: &str| {
        format!(
            "<message type='groupchat' to='{ROOM}'><body>before</body>\
             <delay xmlns='urn:xmpp:delay' from='{by}' stamp='2004-09-29T01:54:37Z'/></message>"
        )
    };
    alice.send(&old("carol@example.org/x")).await;
    assert!(bob.expect(&["before"]).await.contains("2004-09-29"));
    bob.send(&old("carol@example.org/x")).await;
    assert!(!alice.expect(&["before", "/Bob'"]).await.contains("2004-09-29"), "only owners do");
    alice.send(&old(ROOM)).await;
    let twice = bob.expect(&["before", "/Bob'"]).await;
    assert!(!twice.contains("2004"));
    assert!(
        !bob.expect(&["before", "/Alice'"]).await.contains("2004-09-29"),
        "in the room's name nobody does"
    );
}

#[tokio::test]
async fn an_occupant_asks_what_anothers_presence_is_and_a_stranger_is_refused_by_the_room() {
    let served = serve().await;
    let (mut alice, _bob) = room(&served).await;
    let probe = |nick: &str| format!("<presence type='probe' to='{ROOM}/{nick}' id='p1'/>");
    alice.send(&probe("Bob")).await;
    let bob = alice.expect(&["<presence", &format!("from='{ROOM}/Bob'")]).await;
    assert!(bob.contains("role='participant'") && !bob.contains("type="), "{bob}");
    alice.send(&probe("Nobody")).await;
    alice.expect(&["<presence", &format!("from='{ROOM}/Nobody'"), "type='unavailable'"]).await;
    let mut carol = Client::online(&served, "carol", "c").await;
    carol.send(&probe("Bob")).await;
    let refused = carol.expect(&["<presence", "type='error'"]).await;
    assert!(refused.contains("not-acceptable") && refused.contains(&format!("by='{ROOM}'")), "{refused}");
}

#[tokio::test]
async fn who_joins_by_an_address_that_is_none_is_told() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let (long, tab) = (format!("{ROOM}/{}", "n".repeat(1_100)), format!("{ROOM}/&#9;"));
    for to in ["a b@conference.example.org/n", "x@a..b/n", long.as_str(), tab.as_str()] {
        alice
            .send(&format!(
                "<presence to='{to}' id='j1'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
            ))
            .await;
        let refused = alice.next().await.unwrap();
        assert!(refused.starts_with("<presence") && refused.contains("type='error'"), "{to}: {refused}");
        assert!(refused.contains("jid-malformed") && refused.contains("id='j1'"), "{to}: {refused}");
    }
    alice.send("<presence type='error' to='a b@conference.example.org/n'/>").await;
    alice.expect_nothing().await;
}

#[tokio::test]
async fn nicks_are_unique_and_change_with_code_303() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    bob.send(&format!("<presence to='{ROOM}/Alice'/>")).await;
    assert!(bob.expect(&["type='error'"]).await.contains("conflict"));
    bob.send(&format!("<presence to='{ROOM}/&#x200b; '/>")).await;
    assert!(bob.expect(&["type='error'"]).await.contains("jid-malformed"), "a nick that nobody sees");
    let mut facts = served.bus.subscribe();
    bob.send(&format!("<presence to='{ROOM}/Robert'/>")).await;
    let gone = alice.expect(&["type='unavailable'", "/Bob'"]).await;
    assert!(gone.contains("code='303'") && gone.contains("nick='Robert'"), "{gone}");
    alice.expect(&["<presence", "/Robert'"]).await;
    bob.expect(&["code='303'", "code='110'"]).await;
    // A name is no voice: the call hears of one who is inside all the time, and of no role.
    let told = fact(&mut facts, |_| true).await;
    let RoomEvent::NickChanged { before, nick, .. } = &told else { panic!("{told:?}") };
    assert_eq!((before.as_str(), nick.as_str()), ("Bob", "Robert"));
    alice.send(&format!("<message type='chat' to='{ROOM}/Robert'><body>psst</body></message>")).await;
    let private = bob.expect(&["psst"]).await;
    assert!(private.contains(&format!("from='{ROOM}/Alice'")) && private.contains("muc#user"));
    bob.send(&format!("<presence type='unavailable' to='{ROOM}/Robert'/>")).await;
    bob.expect(&["type='unavailable'", "code='110'"]).await;
    alice.expect(&["type='unavailable'", "/Robert'"]).await;
}
