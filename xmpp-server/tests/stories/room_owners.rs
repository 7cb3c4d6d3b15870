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
    // XEP-0141 §4.2.
    let whole = xmpp_core::Element::parse(&form, "").unwrap();
    let query = whole.find("query", xmpp_core::ns::MUC_OWNER).unwrap();
    let x = xmpp_core::payload::form::Form::parse(query.find("x", xmpp_core::ns::FORM).unwrap()).unwrap();
    assert_eq!((x.pages.len(), x.misplaced()), (4, Vec::<&str>::new()), "each field is on one page");
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

/// A command about hats, with these fields handed in.
fn hats(word: &str, fields: &[(&str, &str)]) -> String {
    let fields: String = fields
        .iter()
        .map(|(var, value)| format!("<field var='hats#{var}'><value>{value}</value></field>"))
        .collect();
    let form = format!(
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:hats:commands</value></field>{fields}</x>"
    );
    let form = if fields.is_empty() { String::new() } else { form };
    format!(
        "<command xmlns='http://jabber.org/protocol/commands' node='urn:xmpp:hats:commands:{word}' action='execute'>{form}</command>"
    )
}

#[tokio::test]
async fn owners_give_hats_and_everybody_sees_them() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    assert!(alice.ask("set", ROOM, &configure(&[("persistentroom", "1")])).await.contains("result"));
    let before = bob.ask("get", ROOM, INFO).await;
    assert!(before.contains("urn:xmpp:hats:0") && !before.contains("hats#hash"), "{before}");
    let form = alice.ask("set", ROOM, &hats("create", &[])).await;
    assert!(form.contains("status='executing'") && form.contains("var='hats#hue'"), "{form}");
    let uri = "urn:example:hats#teacher";
    let create = hats("create", &[("title", "Teacher"), ("uri", uri), ("hue", "171.4")]);
    assert!(bob.ask("set", ROOM, &create).await.contains("forbidden"));
    for wrong in [
        hats("create", &[("uri", uri)]),
        hats("create", &[("title", "T"), ("uri", "no uri")]),
        hats("create", &[("title", "T"), ("uri", uri), ("hue", "361")]),
        hats("create", &[("title", "In the call"), ("uri", "urn:cusax:call:0#audio")]),
    ] {
        assert!(alice.ask("set", ROOM, &wrong).await.contains("bad-request"), "{wrong}");
    }
    assert!(alice.ask("set", ROOM, &create).await.contains("status='completed'"));
    bob.expect(&["<message", "code='104'"]).await;
    let assign = |uri: &str| hats("assign", &[("jid", "bob@example.org"), ("uri", uri)]);
    assert!(alice.ask("set", ROOM, &assign("urn:example:other")).await.contains("item-not-found"));
    assert!(alice.ask("set", ROOM, &assign(uri)).await.contains("status='completed'"));
    let shown = bob.expect(&["<presence", "/Bob'", "urn:xmpp:hats:0"]).await;
    assert!(
        shown.contains("title='Teacher'") && shown.contains("hue='171.4'") && shown.contains(uri),
        "{shown}"
    );
    let listed = bob.ask("set", ROOM, &hats("list", &[])).await;
    assert!(listed.contains("Teacher") && !listed.contains("hats#jid"), "{listed}");
    assert!(bob.ask("set", ROOM, &hats("list-assigned", &[])).await.contains("forbidden"));
    assert!(alice.ask("set", ROOM, &hats("list-assigned", &[])).await.contains("bob@example.org"));
    let node =
        "<query xmlns='http://jabber.org/protocol/disco#items' node='http://jabber.org/protocol/commands'/>";
    let commands = bob.ask("get", ROOM, node).await;
    assert!(commands.contains("commands:list'") && !commands.contains("commands:create"), "{commands}");
    assert!(bob.ask("get", ROOM, INFO).await.contains("hats#hash"));
    // They are kept with the room.
    let again = serve_again(&served, Config::default()).await;
    let mut carol = Client::online(&again, "carol", "c").await;
    let mut dave = Client::online(&again, "bob", "b").await;
    dave.enter(ROOM, "Bob").await;
    carol.knock("Carol").await;
    carol.expect(&["<presence", "/Bob'", uri]).await;
    // Another title, and the end of it.
    let mut owner = Client::online(&again, "alice", "a").await;
    let update = hats("create", &[("title", "Professor"), ("uri", uri)]);
    assert!(owner.ask("set", ROOM, &update).await.contains("status='completed'"));
    carol.expect(&["<presence", "/Bob'", "Professor"]).await;
    assert!(owner.ask("set", ROOM, &hats("destroy", &[("uri", uri)])).await.contains("status='completed'"));
    let bare = carol.expect(&["<presence", "/Bob'"]).await;
    assert!(!bare.contains("urn:xmpp:hats:0"), "{bare}");
    let unassign = hats("unassign", &[("jid", "bob@example.org"), ("uri", uri)]);
    assert!(owner.ask("set", ROOM, &unassign).await.contains("item-not-found"));
}

#[tokio::test]
async fn nobody_lets_a_domain_in_and_nobody_takes_voice() {
    let served = serve().await;
    let (mut alice, _bob) = room(&served).await;
    let mut carol = Client::online(&served, "carol", "c").await;
    let register = "<query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
         <value>http://jabber.org/protocol/muc#register</value></field><field var='muc#register_roomnick'><value>Carol</value>\
         </field></x></query>";
    let kind = |moderated, members| configure(&[("moderatedroom", moderated), ("membersonly", members)]);
    // XEP-0045 §5.1.2: a member of a moderated room has voice; who is nobody there asks for it.
    assert!(alice.ask("set", ROOM, &kind("1", "0")).await.contains("result"));
    assert!(carol.ask("set", ROOM, register).await.contains("result"));
    alice.expect(&["muc#register_allow", "carol@example.org"]).await;
    assert!(carol.enter(ROOM, "Carol").await.contains("role='visitor'"));
    carol.send(&format!("<presence type='unavailable' to='{ROOM}/Carol'/>")).await;
    // §9.3: members are people.
    assert!(alice.ask("set", ROOM, &kind("0", "1")).await.contains("result"));
    let invite = "<x xmlns='http://jabber.org/protocol/muc#user'><invite to='example.org'/></x>";
    alice.send(&format!("<message to='{ROOM}' id='i'>{invite}</message>")).await;
    alice.expect(&["<message", "type='error'", "<jid-malformed"]).await;
    carol.knock("Carol").await;
    carol.expect(&["<presence", "type='error'", "<registration-required"]).await;
}
