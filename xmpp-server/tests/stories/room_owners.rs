//! What owners of rooms do — XEP-0045 §10, XEP-0486.

use crate::common::rooms::{INFO, INSTANT, ROOM, configure, item, room};
use crate::common::{Client, serve, serve_again};
use shared_model::{RoomAddress, RoomDirectory};
use xmpp_server::{Config, RoomOptions};

#[tokio::test]
async fn the_form_holds_every_rule_and_changes_are_told_by_code() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    let form = alice.ask("get", ROOM, "<query xmlns='http://jabber.org/protocol/muc#owner'/>").await;
    for field in [
        "roomname",
        "roomdesc",
        "lang",
        "publicroom",
        "persistentroom",
        "membersonly",
        "moderatedroom",
        "passwordprotectedroom",
        "roomsecret",
        "whois",
        "allowinvites",
        "changesubject",
        "allowpm",
        "presencebroadcast",
        "getmemberlist",
        "maxusers",
        "roomowners",
        "roomadmins",
    ] {
        assert!(form.contains(&format!("'muc#roomconfig_{field}'")), "{field}: {form}");
    }
    assert!(
        form.contains("'muc#maxhistoryfetch'") && form.contains("<value>alice@example.org</value>"),
        "{form}"
    );
    let kept = configure(&[("persistentroom", "1"), ("whois", "anyone"), ("lang", "en")]);
    assert!(alice.ask("set", ROOM, &kept).await.contains("result"));
    let told = bob.expect(&["<message", "<status"]).await;
    for code in ["170", "172", "104"] {
        assert!(told.contains(&format!("code='{code}'")), "{told}");
    }
    assert!(!form.contains("enablelogging"), "a temporary room keeps nothing: {form}");
    let form = alice.ask("get", ROOM, "<query xmlns='http://jabber.org/protocol/muc#owner'/>").await;
    assert!(form.contains("'muc#roomconfig_enablelogging'"), "{form}");
    let info = bob.ask("get", ROOM, INFO).await;
    assert!(info.contains("urn:xmpp:mam:2") && info.contains("muc#roominfo_lang"), "{info}");
    alice.ask("set", ROOM, &configure(&[("enablelogging", "0"), ("whois", "moderators")])).await;
    let told = bob.expect(&["<message", "<status"]).await;
    assert!(told.contains("code='171'") && told.contains("code='173'"), "{told}");
    assert!(!bob.ask("get", ROOM, INFO).await.contains("urn:xmpp:mam:2"));
    bob.say("not kept").await;
    alice.expect(&["not kept"]).await;
    let entries =
        served.store.archive.page(ROOM, &shared_store::Query { max: 10, ..Default::default() }).await;
    assert!(entries.unwrap().entries.is_empty());
    let nonsense = configure(&[("allowpm", "some")]);
    assert!(alice.ask("set", ROOM, &nonsense).await.contains("not-acceptable"));
}

#[tokio::test]
async fn what_was_said_in_a_room_that_is_kept_no_more_is_not_left_to_the_next_of_its_name() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    assert!(alice.ask("set", ROOM, &configure(&[("persistentroom", "1")])).await.contains("result"));
    alice.say("among us").await;
    bob.expect(&["among us"]).await;
    assert!(alice.ask("set", ROOM, &configure(&[("persistentroom", "0")])).await.contains("result"));
    bob.expect(&["<status code='171'"]).await;
    for (client, nick) in [(&mut bob, "Bob"), (&mut alice, "Alice")] {
        client.send(&format!("<presence type='unavailable' to='{ROOM}/{nick}'/>")).await;
        client.expect(&["type='unavailable'", "code='110'"]).await;
    }
    let mut carol = Client::online(&served, "carol", "c").await;
    let own = carol.enter(ROOM, "Carol").await;
    assert!(own.contains("code='201'"), "it is another room: {own}");
    assert!(carol.ask("set", ROOM, &configure(&[("persistentroom", "1")])).await.contains("result"));
    carol.send(&format!("<iq type='set' id='m' to='{ROOM}'><query xmlns='urn:xmpp:mam:2'/></iq>")).await;
    while let Some(said) = carol.next().await {
        assert!(!said.contains("among us"), "{said}");
        if said.contains("id='m'") {
            assert!(said.contains("type='result'"), "{said}");
            break;
        }
    }
}

#[tokio::test]
async fn the_form_holds_the_lists_of_owners_and_admins_whole() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    let lists = configure(&[("roomowners", "alice@example.org"), ("roomadmins", "bob@example.org")]);
    assert!(alice.ask("set", ROOM, &lists).await.contains("result"));
    bob.expect(&["affiliation='admin'", "role='moderator'", "code='110'"]).await;
    assert!(alice.ask("set", ROOM, &configure(&[("roomowners", "")])).await.contains("conflict"));
    assert!(
        alice.ask("set", ROOM, &configure(&[("roomadmins", "not a jid @")])).await.contains("jid-malformed")
    );
    assert!(alice.ask("set", ROOM, &configure(&[("roomadmins", "")])).await.contains("result"));
    bob.expect(&["affiliation='none'", "code='110'"]).await;
    let snapshot = served.server.rooms().room(&ROOM.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(snapshot.affiliations.len(), 1);
}

#[tokio::test]
async fn a_room_that_moved_says_where_to_and_stays_its_owners() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    alice.ask("set", ROOM, &configure(&[("persistentroom", "1")])).await;
    let destroy = "<query xmlns='http://jabber.org/protocol/muc#owner'><destroy jid='new@conference.example.org'>\
                   <reason>moved</reason><password>in</password></destroy></query>";
    assert!(alice.ask("set", ROOM, destroy).await.contains("result"));
    let told = bob.expect(&["<destroy"]).await;
    for part in ["jid='new@conference.example.org'", "<reason>moved", "<password>in", "code='110'"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let served = serve_again(&served, Config::default()).await;
    let mut bob = Client::online(&served, "bob", "b").await;
    bob.knock("Bob").await;
    let gone = bob.expect(&["type='error'"]).await;
    for part in ["<gone", "xmpp:new@conference.example.org?join", "moved"] {
        assert!(gone.contains(part), "{part}: {gone}");
    }
    assert!(!gone.contains(">in<"), "the password is for those who were inside");
    assert!(bob.ask("get", ROOM, INFO).await.contains("<gone"));
    let mut alice = Client::online(&served, "alice", "a").await;
    assert!(alice.enter(ROOM, "Alice").await.contains("code='201'"));
    alice.ask("set", ROOM, INSTANT).await;
    bob.enter(ROOM, "Bob").await;
}

#[tokio::test]
async fn the_operator_makes_a_room_where_one_was() {
    let served = serve().await;
    let (mut alice, _bob) = room(&served).await;
    alice.ask("set", ROOM, &configure(&[("persistentroom", "1")])).await;
    let destroy = "<query xmlns='http://jabber.org/protocol/muc#owner'><destroy/></query>";
    assert!(alice.ask("set", ROOM, destroy).await.contains("result"));
    let address: RoomAddress = ROOM.parse().unwrap();
    let mut carol = Client::online(&served, "carol", "c").await;
    carol.knock("Carol").await;
    assert!(carol.expect(&["type='error'"]).await.contains("<gone"));
    served.server.rooms().create(&address, RoomOptions::default()).await.unwrap();
    carol.enter(ROOM, "Carol").await;
}

#[tokio::test]
async fn a_room_has_an_avatar_that_its_owner_sets() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    alice.ask("set", ROOM, &configure(&[("persistentroom", "1")])).await;
    bob.expect(&["code='104'"]).await;
    let card =
        "<vCard xmlns='vcard-temp'><PHOTO><TYPE>image/png</TYPE><BINVAL>aGVsbG8=</BINVAL></PHOTO></vCard>";
    assert!(bob.ask("set", ROOM, card).await.contains("forbidden"));
    let broken = card.replace("aGVsbG8=", "!");
    assert!(alice.ask("set", ROOM, &broken).await.contains("not-acceptable"));
    assert!(alice.ask("set", ROOM, card).await.contains("type='result'"));
    bob.expect(&["code='104'"]).await;
    let hash = "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"; // of "hello"
    let info = bob.ask("get", ROOM, INFO).await;
    assert!(info.contains("var='vcard-temp'") && info.contains(hash), "{info}");
    assert!(bob.ask("get", ROOM, "<vCard xmlns='vcard-temp'/>").await.contains("aGVsbG8="));
    let served = serve_again(&served, Config::default()).await;
    let mut carol = Client::online(&served, "carol", "c").await;
    assert!(carol.ask("get", ROOM, "<vCard xmlns='vcard-temp'/>").await.contains("aGVsbG8="));
    let mut alice = Client::online(&served, "alice", "a").await;
    assert!(alice.ask("set", ROOM, "<vCard xmlns='vcard-temp'/>").await.contains("type='result'"));
    let info = carol.ask("get", ROOM, INFO).await;
    assert!(!info.contains("avatarhash"), "{info}");
    assert!(!carol.ask("get", ROOM, "<vCard xmlns='vcard-temp'/>").await.contains("PHOTO"));
}

#[tokio::test]
async fn reasons_and_requests_survive_a_restart() {
    let served = serve().await;
    let (mut alice, _bob) = room(&served).await;
    alice.ask("set", ROOM, &configure(&[("persistentroom", "1"), ("membersonly", "1")])).await;
    alice.ask("set", ROOM, &item("jid='x.example' affiliation='outcast'")).await;
    let served = serve_again(&served, Config::default()).await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let banned = alice.ask("get", ROOM, &item("affiliation='outcast'")).await;
    assert!(banned.contains("jid='x.example'") && banned.contains("<reason>why"), "{banned}");
}
