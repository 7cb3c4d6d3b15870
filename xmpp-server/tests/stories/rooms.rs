//! Rooms — XEP-0045, and what RFC 7081 §4 adds.

use crate::common::rooms::{INSTANT, ROOM, configure, fact, item, room};
use crate::common::{Client, ROOMS, attribute, serve, serve_again};
use shared_model::{Affiliation, LeaveReason, Role, RoomAddress, RoomDirectory, RoomEvent};
use xmpp_server::{Config, CreateError, RoomOptions};

#[tokio::test]
async fn a_new_room_is_locked_until_its_owner_configures_it() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    alice.enter(ROOM, "Alice").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    bob.send(&format!("<presence to='{ROOM}/Bob'><x xmlns='http://jabber.org/protocol/muc'/></presence>"))
        .await;
    assert!(bob.expect(&["type='error'"]).await.contains("item-not-found"));
    let form = alice.ask("get", ROOM, "<query xmlns='http://jabber.org/protocol/muc#owner'/>").await;
    assert!(form.contains("muc#roomconfig_membersonly"));
    alice.ask("set", ROOM, INSTANT).await;
    bob.enter(ROOM, "Bob").await;
}

#[tokio::test]
async fn messages_subject_and_history_reach_everybody() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    bob.send(&format!("<message type='groupchat' to='{ROOM}' id='m1'><body>hi</body></message>")).await;
    for client in [&mut alice, &mut bob] {
        let message = client.expect(&["<body>hi</body>"]).await;
        assert!(message.contains(&format!("from='{ROOM}/Bob'")) && message.contains("id='m1'"), "{message}");
        assert!(message.contains("urn:xmpp:occupant-id:0") && message.contains("urn:xmpp:sid:0"));
    }
    bob.send(&format!("<message type='groupchat' to='{ROOM}'><subject>s</subject></message>")).await;
    assert!(bob.expect(&["type='error'"]).await.contains("forbidden"));
    alice.send(&format!("<message type='groupchat' to='{ROOM}'><subject>Plans</subject></message>")).await;
    bob.expect(&["<subject>Plans</subject>"]).await;
    let mut carol = Client::online(&served, "carol", "c").await;
    carol
        .send(&format!("<presence to='{ROOM}/Carol'><x xmlns='http://jabber.org/protocol/muc'/></presence>"))
        .await;
    carol.expect(&["code='110'"]).await;
    let old = carol.expect(&["<message"]).await;
    assert!(old.contains("<body>hi</body>") && old.contains("urn:xmpp:delay"), "{old}");
    carol.expect(&["<subject>Plans</subject>"]).await;
    let mut quiet = Client::online(&served, "carol", "d").await;
    quiet
        .send(&format!("<presence to='{ROOM}/D'><x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x></presence>"))
        .await;
    quiet.expect(&["code='110'"]).await;
    assert!(quiet.expect(&["<message"]).await.contains("<subject>"));
    let mut outside = Client::online(&served, "alice", "x").await;
    outside.send(&format!("<message type='groupchat' to='{ROOM}' id='o'><body>x</body></message>")).await;
    assert!(outside.expect(&["id='o'"]).await.contains("not-acceptable"));
}

#[tokio::test]
async fn kick_ban_and_voice_show_their_codes_and_are_told_as_facts() {
    let served = serve().await;
    let mut facts = served.bus.subscribe();
    let (mut alice, mut bob) = room(&served).await;
    assert!(bob.ask("set", ROOM, &item("nick='Alice' role='none'")).await.contains("forbidden"));
    assert!(alice.ask("set", ROOM, &item("nick='Bob' role='visitor'")).await.contains("result"));
    bob.expect(&["role='visitor'", "code='110'"]).await;
    let is_visitor = |event: &RoomEvent| matches!(event, RoomEvent::RoleChanged { role: Role::Visitor, .. });
    fact(&mut facts, is_visitor).await;
    bob.send(&format!("<message type='groupchat' to='{ROOM}' id='v'><body>x</body></message>")).await;
    assert!(bob.expect(&["id='v'"]).await.contains("forbidden"));
    alice.ask("set", ROOM, &item("nick='Bob' role='none'")).await;
    let gone = bob.expect(&["type='unavailable'"]).await;
    assert!(
        gone.contains("code='307'") && gone.contains("<reason>why</reason>") && gone.contains("nick='Alice'")
    );
    fact(&mut facts, |e| matches!(e, RoomEvent::OccupantRemoved { reason: LeaveReason::Kicked, .. })).await;
    bob.enter(ROOM, "Bob").await;
    alice.ask("set", ROOM, &item("jid='bob@example.org' affiliation='outcast'")).await;
    assert!(bob.expect(&["type='unavailable'"]).await.contains("code='301'"));
    fact(&mut facts, |e| matches!(e, RoomEvent::OccupantRemoved { reason: LeaveReason::Banned, .. })).await;
    bob.send(&format!("<presence to='{ROOM}/Bob'><x xmlns='http://jabber.org/protocol/muc'/></presence>"))
        .await;
    assert!(bob.expect(&["type='error'"]).await.contains("forbidden"));
    let banned = alice.ask("get", ROOM, &item("affiliation='outcast'")).await;
    assert!(banned.contains("jid='bob@example.org'"), "{banned}");
    let last_owner = alice.ask("set", ROOM, &item("jid='alice@example.org' affiliation='none'")).await;
    assert!(last_owner.contains("conflict"), "{last_owner}");
}

#[tokio::test]
async fn a_voice_that_is_given_to_who_came_back_is_told_though_no_role_changes() {
    let served = serve().await;
    let mut facts = served.bus.subscribe();
    let (mut alice, mut bob) = room(&served).await;
    alice.ask("set", ROOM, &item("nick='Bob' role='visitor'")).await;
    bob.expect(&["role='visitor'", "code='110'"]).await;
    bob.send(&format!("<presence type='unavailable' to='{ROOM}/Bob'/>")).await;
    bob.expect(&["type='unavailable'", "code='110'"]).await;
    bob.enter(ROOM, "Bob").await;
    // The call holds what the room forgot: it must hear of a role that the room takes bob to have.
    assert!(alice.ask("set", ROOM, &item("nick='Bob' role='participant'")).await.contains("result"));
    fact(&mut facts, |e| matches!(e, RoomEvent::RoleChanged { role: Role::Participant, .. })).await;
}

#[tokio::test]
async fn a_session_that_ends_leaves_its_rooms() {
    let served = serve().await;
    let mut facts = served.bus.subscribe();
    let (mut alice, bob) = room(&served).await;
    drop(bob);
    alice.expect(&["type='unavailable'", "/Bob'"]).await;
    fact(&mut facts, |e| matches!(e, RoomEvent::OccupantRemoved { reason: LeaveReason::Left, .. })).await;
}

#[tokio::test]
async fn configuration_guards_the_door() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    let rules = [("membersonly", "1"), ("whois", "anyone"), ("roomname", "Team")];
    alice.ask("set", ROOM, &configure(&rules)).await;
    bob.expect(&["code='172'", "code='104'"]).await;
    assert!(bob.expect(&["type='unavailable'"]).await.contains("code='322'"));
    bob.send(&format!("<presence to='{ROOM}/Bob'><x xmlns='http://jabber.org/protocol/muc'/></presence>"))
        .await;
    assert!(bob.expect(&["type='error'"]).await.contains("registration-required"));
    let invite = "<x xmlns='http://jabber.org/protocol/muc#user'><invite to='bob@example.org'><reason>come</reason></invite></x>";
    alice.send(&format!("<message to='{ROOM}'>{invite}</message>")).await;
    let invited = bob.expect(&["<invite"]).await;
    assert!(invited.contains("come") && invited.contains("jabber:x:conference"), "{invited}");
    assert!(bob.enter(ROOM, "Bob").await.contains("code='100'"));
    let secret = [("membersonly", "0"), ("passwordprotectedroom", "1"), ("roomsecret", "1234")];
    alice.ask("set", ROOM, &configure(&secret)).await;
    let mut carol = Client::online(&served, "carol", "c").await;
    carol
        .send(&format!("<presence to='{ROOM}/C'><x xmlns='http://jabber.org/protocol/muc'/></presence>"))
        .await;
    assert!(carol.expect(&["type='error'"]).await.contains("not-authorized"));
    carol
        .send(&format!("<presence to='{ROOM}/C'><x xmlns='http://jabber.org/protocol/muc'><password>1234</password></x></presence>"))
        .await;
    carol.expect(&["code='110'"]).await;
    assert!(bob.ask("set", ROOM, &configure(&secret)).await.contains("forbidden"));
}

#[tokio::test]
async fn a_room_names_its_call_and_hides_it_from_strangers() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    let ask = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
    let info = bob.ask("get", ROOM, ask).await;
    assert!(
        info.contains("var='audio-video-uri'") && info.contains(&format!("<value>sip:{ROOM}</value>")),
        "{info}"
    );
    assert!(info.contains("muc#roominfo_audio-video-uri"));
    alice.ask("set", ROOM, &configure(&[("membersonly", "1")])).await;
    let info = bob.ask("get", ROOM, ask).await;
    assert!(!info.contains("audio-video-uri"), "{info}");
    assert!(alice.ask("get", ROOM, ask).await.contains("audio-video-uri"));
    let items = bob.ask("get", ROOMS, "<query xmlns='http://jabber.org/protocol/disco#items'/>").await;
    assert!(items.contains(ROOM));
}

#[tokio::test]
async fn a_kept_room_survives_a_restart_with_its_history() {
    let served = serve().await;
    let (mut alice, _bob) = room(&served).await;
    alice.ask("set", ROOM, &configure(&[("persistentroom", "1"), ("roomname", "Team")])).await;
    alice.ask("set", ROOM, &item("jid='carol@example.org' affiliation='member'")).await;
    alice.send(&format!("<message type='groupchat' to='{ROOM}'><body>kept</body></message>")).await;
    alice.expect(&["kept"]).await;
    served.shutdown.begin();
    alice.expect_stream_error("system-shutdown").await;
    let served = serve_again(&served, Config::default()).await;
    let snapshot = served.server.rooms().room(&ROOM.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(snapshot.name, "Team");
    assert_eq!(snapshot.affiliation(&"carol@example.org".parse().unwrap()), Affiliation::Member);
    let mut bob = Client::online(&served, "bob", "b").await;
    bob.send(&format!("<presence to='{ROOM}/Bob'><x xmlns='http://jabber.org/protocol/muc'/></presence>"))
        .await;
    bob.expect(&["<body>kept</body>", "urn:xmpp:delay"]).await;
}

#[tokio::test]
async fn a_destroyed_room_is_gone() {
    let served = serve().await;
    let mut facts = served.bus.subscribe();
    let (mut alice, mut bob) = room(&served).await;
    let destroy = "<query xmlns='http://jabber.org/protocol/muc#owner'><destroy jid='new@conference.example.org'><reason>moved</reason></destroy></query>";
    assert!(bob.ask("set", ROOM, destroy).await.contains("forbidden"));
    alice.ask("set", ROOM, destroy).await;
    assert!(bob.expect(&["<destroy"]).await.contains("moved"));
    fact(&mut facts, |event| matches!(event, RoomEvent::Destroyed { .. })).await;
    assert!(
        bob.ask("get", ROOM, "<query xmlns='http://jabber.org/protocol/disco#info'/>").await.contains(
            "<gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>xmpp:new@conference.example.org?join<"
        )
    );
}

#[tokio::test]
async fn clients_of_one_account_share_a_nick() {
    let served = serve().await;
    let mut facts = served.bus.subscribe();
    let (mut alice, mut bob) = room(&served).await;
    let mut phone = Client::online(&served, "bob", "phone").await;
    phone.enter(ROOM, "Bob").await;
    alice.expect(&["<presence", "/Bob'"]).await;
    alice.send(&format!("<message type='groupchat' to='{ROOM}'><body>both</body></message>")).await;
    alice.send(&format!("<message type='chat' to='{ROOM}/Bob'><body>private</body></message>")).await;
    for client in [&mut bob, &mut phone] {
        client.expect(&["<body>both</body>"]).await;
        client.expect(&["<body>private</body>"]).await;
    }
    let snapshot = served.server.rooms().room(&ROOM.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(snapshot.occupants.len(), 2);
    phone.send(&format!("<presence type='unavailable' to='{ROOM}/Bob'/>")).await;
    phone.expect(&["type='unavailable'", "code='110'"]).await;
    let remains = alice.expect(&["<presence", "/Bob'"]).await;
    assert!(!remains.contains("unavailable"), "{remains}");
    phone.enter(ROOM, "Bob").await;
    alice.ask("set", ROOM, &item("nick='Bob' role='none'")).await;
    for client in [&mut bob, &mut phone] {
        client.expect(&["type='unavailable'", "code='307'", "code='110'"]).await;
    }
    let mut removed = 0;
    let is_either =
        |e: &RoomEvent| matches!(e, RoomEvent::OccupantRemoved { .. } | RoomEvent::SubjectChanged { .. });
    while let RoomEvent::OccupantRemoved { reason, .. } = fact(&mut facts, is_either).await {
        assert_eq!(reason, LeaveReason::Kicked);
        removed += 1;
        alice.send(&format!("<message type='groupchat' to='{ROOM}'><subject>end</subject></message>")).await;
    }
    assert_eq!(removed, 1);
}

#[tokio::test]
async fn a_room_that_another_process_made_is_found() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let other = serve_again(&served, Config::default()).await;
    let options = RoomOptions { members_only: true, ..RoomOptions::default() };
    other.server.rooms().create(&ROOM.parse().unwrap(), options).await.unwrap();
    alice
        .send(&format!("<presence to='{ROOM}/A'><x xmlns='http://jabber.org/protocol/muc'/></presence>"))
        .await;
    assert!(alice.expect(&["type='error'"]).await.contains("registration-required"));
    assert!(served.server.rooms().room(&ROOM.parse().unwrap()).await.unwrap().is_some());
}

#[tokio::test]
async fn occupants_ask_each_other_through_the_room() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    alice.send(&format!("<iq type='get' id='card' to='{ROOM}/Bob'><vCard xmlns='vcard-temp'/></iq>")).await;
    let card = alice.expect(&["id='card'"]).await;
    assert!(
        card.contains(&format!("from='{ROOM}/Bob'")) && card.contains("sip:bob@sip.example.org"),
        "{card}"
    );
    bob.send(&format!("<iq type='get' id='hers' to='{ROOM}/Alice'><vCard xmlns='vcard-temp'/></iq>")).await;
    let card = bob.expect(&["id='hers'", "type='result'"]).await;
    assert!(
        !card.contains("alice@") && !card.contains("TEL"),
        "§17.4: bob may not see whose nick it is: {card}"
    );
    alice
        .send(&format!("<iq type='get' id='v' to='{ROOM}/Bob'><query xmlns='jabber:iq:version'/></iq>"))
        .await;
    bob.expect(&["jabber:iq:version", &format!("from='{ROOM}/Alice'")]).await;
    bob.send(&format!("<iq type='result' id='v' to='{ROOM}/Alice'><query xmlns='jabber:iq:version'><name>b</name></query></iq>"))
        .await;
    alice.expect(&["id='v'", "<name>b</name>", &format!("from='{ROOM}/Bob'")]).await;
    let pong = alice.ask("get", &format!("{ROOM}/Alice"), "<ping xmlns='urn:xmpp:ping'/>").await;
    assert!(pong.contains("type='result'"));
    bob.send(&format!("<presence type='unavailable' to='{ROOM}/Bob'/>")).await;
    bob.expect(&["code='110'"]).await;
    let outside = bob.ask("get", &format!("{ROOM}/Alice"), "<ping xmlns='urn:xmpp:ping'/>").await;
    assert!(outside.contains("not-acceptable"));
}

#[tokio::test]
async fn the_operator_makes_a_room_once() {
    let served = serve().await;
    let rooms = served.server.rooms();
    let address: RoomAddress = ROOM.parse().unwrap();
    let options = RoomOptions {
        members_only: true,
        owners: vec!["alice@example.org".parse().unwrap()],
        ..RoomOptions::default()
    };
    rooms.create(&address, options.clone()).await.unwrap();
    assert_eq!(rooms.create(&address, options).await, Err(CreateError::Exists));
    assert!(rooms.room(&address).await.unwrap().unwrap().access.members_only);
    let mut alice = Client::online(&served, "alice", "a").await;
    assert!(!alice.enter(ROOM, "Alice").await.contains("code='201'"));
}

#[tokio::test]
async fn a_moderator_retracts_and_a_tombstone_stays() {
    let served = serve().await;
    let room = "mod@conference.example.org";
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    alice.enter(room, "A").await;
    let keep = "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'>\
                <field var='muc#roomconfig_persistentroom'><value>1</value></field></x></query>";
    assert!(alice.ask("set", room, keep).await.contains("result"));
    bob.enter(room, "B").await;
    bob.send(&format!("<message type='groupchat' to='{room}' id='m'><body>rude</body></message>")).await;
    let said = alice.expect(&["<body>rude"]).await;
    let id = attribute(&said, "stanza-id", "id");
    let moderate = format!(
        "<moderate xmlns='urn:xmpp:message-moderate:1' id='{id}'><retract xmlns='urn:xmpp:message-retract:1'/><reason>no</reason></moderate>"
    );
    assert!(bob.ask("set", room, &moderate).await.contains("forbidden"));
    assert!(alice.ask("set", room, &moderate.replace(&id, "none")).await.contains("item-not-found"));
    alice.send(&format!("<iq type='set' id='mod' to='{room}'>{moderate}</iq>")).await;
    let told = bob.expect(&["<retract", &id]).await;
    for part in [&format!("from='{room}'"), "<moderated", "by='mod@conference.example.org/A'", "<reason>no"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let kept = served.store.archive.entry(room, &id).await.unwrap().unwrap();
    let kept = String::from_utf8(kept.body).unwrap();
    assert!(kept.contains("<retracted") && !kept.contains("rude") && kept.contains("occupant-id"), "{kept}");
    let mut carol = Client::online(&served, "carol", "c").await;
    carol
        .send(&format!("<presence to='{room}/C'><x xmlns='http://jabber.org/protocol/muc'/></presence>"))
        .await;
    let history = carol.expect(&["<message", "urn:xmpp:delay"]).await;
    assert!(history.contains("<retracted") && !history.contains("rude"), "{history}");
}

#[tokio::test]
async fn who_registers_is_a_member_with_a_nick_of_their_own() {
    let served = serve().await;
    let room = "reg@conference.example.org";
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    let mut carol = Client::online(&served, "carol", "c").await;
    alice.enter(room, "A").await;
    let configure = |fields: &str| {
        format!(
            "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'>{fields}</x></query>"
        )
    };
    assert!(alice.ask("set", room, &configure("")).await.contains("result"));
    let query = "<query xmlns='jabber:iq:register'/>";
    assert!(bob.ask("get", room, query).await.contains("muc#register_roomnick"));
    let register = |nick: &str| {
        format!(
            "<query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
             <value>http://jabber.org/protocol/muc#register</value></field><field var='muc#register_roomnick'><value>{nick}</value></field></x></query>"
        )
    };
    for other in [
        "<query xmlns='jabber:iq:register'><username>B</username></query>".to_owned(),
        register("B").replace("muc#register<", "muc#roomconfig<"),
    ] {
        assert!(bob.ask("set", room, &other).await.contains("<bad-request"), "{other}");
    }
    assert!(bob.ask("set", room, &register("A")).await.contains("conflict"), "somebody has it");
    assert!(bob.ask("set", room, &register("B")).await.contains("type='result'"));
    let registered = bob.ask("get", room, query).await;
    assert!(registered.contains("<registered/>") && registered.contains("<username>B<"), "{registered}");
    let node = "<query xmlns='http://jabber.org/protocol/disco#info' node='x-roomuser-item'/>";
    assert!(bob.ask("get", room, node).await.contains("name='B'"));
    assert!(carol.ask("set", room, &register("B")).await.contains("conflict"));
    carol
        .send(&format!("<presence to='{room}/B'><x xmlns='http://jabber.org/protocol/muc'/></presence>"))
        .await;
    assert!(carol.expect(&["<presence", "type='error'"]).await.contains("conflict"));
    assert!(bob.enter(room, "B").await.contains("affiliation='member'"));
    let closed = "<field var='muc#roomconfig_membersonly'><value>1</value></field>\
                  <field var='muc#roomconfig_publicroom'><value>0</value></field>";
    assert!(alice.ask("set", room, &configure(closed)).await.contains("result"));
    assert!(carol.ask("get", room, query).await.contains("not-allowed"));
    let remove = "<query xmlns='jabber:iq:register'><remove/></query>";
    assert!(carol.ask("set", room, remove).await.contains("registration-required"));
    let unique = carol
        .ask("get", "conference.example.org", "<unique xmlns='http://jabber.org/protocol/muc#unique'/>")
        .await;
    assert!(unique.contains("</unique>"), "{unique}");
}

#[tokio::test]
async fn rooms_are_searched_by_words() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    let named = configure(&[("roomname", "Developers"), ("roomdesc", "Where the code is read")]);
    assert!(alice.ask("set", ROOM, &named).await.contains("type='result'"));
    let search = |inner: &str| format!("<search xmlns='urn:xmpp:channel-search:0:search'>{inner}</search>");
    let form = bob.ask("get", ROOMS, &search("")).await;
    assert!(form.contains("var='q'") && form.contains("var='key'"), "{form}");
    let words = |q: &str| {
        search(&format!(
            "<x xmlns='jabber:x:data' type='submit'><field var='q'><value>{q}</value></field></x>"
        ))
    };
    let found = bob.ask("get", ROOMS, &words("code")).await;
    for part in [
        "address='dev@conference.example.org'",
        "<name>Developers</name>",
        "<nusers>2</nusers>",
        "<is-open>true",
    ] {
        assert!(found.contains(part), "{part}: {found}");
    }
    assert!(!bob.ask("get", ROOMS, &words("poetry")).await.contains("<item"));
    assert!(bob.ask("get", ROOMS, &words("a")).await.contains("<invalid-search-terms"));
    let info = bob.ask("get", ROOMS, "<query xmlns='http://jabber.org/protocol/disco#info'/>").await;
    assert!(info.contains("urn:xmpp:channel-search:0:search"), "{info}");
    for _ in 0..20 {
        bob.ask("get", ROOMS, &words("code")).await;
    }
    let refused = bob.ask("get", ROOMS, &words("code")).await;
    for part in ["<resource-constraint", "type='wait'", "<rate-limit", "retry-after='60'"] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    assert!(alice.ask("get", ROOMS, &words("code")).await.contains("<item"), "others search still");
}
