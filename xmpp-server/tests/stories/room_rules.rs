//! Moderators, admins and those who ask them — XEP-0045 §7.8, §7.10, §7.13, §8, §9.

use crate::common::rooms::{INFO, INSTANT, ROOM, configure, item, items, room};
use crate::common::{Client, attribute, serve, serve_over};
use xmpp_server::Config;

#[tokio::test]
async fn a_ban_may_name_a_domain() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    let member = alice.ask("set", ROOM, &item("jid='example.org' affiliation='member'")).await;
    assert!(member.contains("not-allowed"), "{member}");
    assert!(
        alice.ask("set", ROOM, &item("jid='example.org' affiliation='outcast'")).await.contains("result")
    );
    let gone = bob.expect(&["type='unavailable'"]).await;
    assert!(gone.contains("code='301'") && gone.contains("<reason>why"), "{gone}");
    bob.knock("Bob").await;
    assert!(bob.expect(&["type='error'"]).await.contains("forbidden"));
    assert!(alice.ask("get", ROOM, &item("affiliation='outcast'")).await.contains("<reason>why"));
    alice.ask("set", ROOM, &item("jid='bob@example.org' affiliation='member'")).await;
    bob.enter(ROOM, "Bob").await;
    alice.ask("set", ROOM, &item("jid='example.org' affiliation='none'")).await;
    let mut carol = Client::online(&served, "carol", "c").await;
    carol.enter(ROOM, "Carol").await;
}

#[tokio::test]
async fn a_room_keeps_an_owner_whatever_is_asked_at_once() {
    let served = serve().await;
    let (mut alice, _bob) = room(&served).await;
    alice.ask("set", ROOM, &item("jid='bob@example.org' affiliation='owner'")).await;
    let both =
        items(&["jid='alice@example.org' affiliation='none'", "jid='bob@example.org' affiliation='admin'"]);
    assert!(alice.ask("set", ROOM, &both).await.contains("conflict"));
    let over = items(&[
        "jid='alice@example.org' affiliation='admin'",
        "jid='carol@example.org' affiliation='owner'",
    ]);
    assert!(alice.ask("set", ROOM, &over).await.contains("result"));
    let last = configure(&[("roomowners", "")]);
    assert!(alice.ask("set", ROOM, &last).await.contains("forbidden"), "she is an admin now");
}

#[tokio::test]
async fn lists_are_for_those_who_may_read_them() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    let mut carol = Client::online(&served, "carol", "c").await;
    let admins = items(&[
        "jid='bob@example.org' affiliation='admin'",
        "jid='carol@example.org' affiliation='member' nick='Caz'",
    ]);
    assert!(alice.ask("set", ROOM, &admins).await.contains("result"));
    let members = bob.ask("get", ROOM, &item("affiliation='member'")).await;
    assert!(members.contains("jid='carol@example.org'") && members.contains("nick='Caz'"), "{members}");
    assert!(members.contains("<reason>why"), "{members}");
    assert!(bob.ask("get", ROOM, &item("affiliation='owner'")).await.contains("forbidden"), "§10.5");
    assert!(carol.ask("get", ROOM, &item("affiliation='member'")).await.contains("forbidden"));
    let node = "<query xmlns='http://jabber.org/protocol/disco#info' node='x-roomuser-item'/>";
    assert!(carol.ask("get", ROOM, node).await.contains("name='Caz'"));
    alice.ask("set", ROOM, &configure(&[("whois", "anyone")])).await;
    for list in ["owner", "admin", "member"] {
        let list = carol.ask("get", ROOM, &item(&format!("affiliation='{list}'"))).await;
        assert!(list.contains("<item"), "{list}");
    }
    assert!(carol.ask("get", ROOM, &item("affiliation='outcast'")).await.contains("forbidden"));
    carol.enter(ROOM, "Caz").await;
    alice.ask("set", ROOM, &configure(&[("getmemberlist", "moderator")])).await;
    assert!(carol.ask("get", ROOM, &item("affiliation='member'")).await.contains("forbidden"));
    let voices = bob.ask("get", ROOM, &item("role='participant'")).await;
    assert!(voices.contains("nick='Caz'") && voices.contains("jid='carol@example.org/c'"), "{voices}");
    assert!(carol.ask("get", ROOM, &item("role='participant'")).await.contains("forbidden"));
    let both = item("nick='Caz' role='visitor' affiliation='member'");
    assert!(alice.ask("set", ROOM, &both).await.contains("bad-request"), "§17.4");
}

/// Leaves, whatever was said before.
async fn leave(client: &mut Client) {
    client.send(&format!("<presence type='unavailable' to='{ROOM}/x'/>")).await;
    client.expect(&["type='unavailable'", "code='110'"]).await;
}

/// §5.1: whom moderators gave a voice has it the next time, in a moderated room.
#[tokio::test]
async fn a_moderated_room_knows_who_has_a_voice() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    alice.ask("set", ROOM, &configure(&[("moderatedroom", "1"), ("persistentroom", "1")])).await;
    let mut carol = Client::online(&served, "carol", "c").await;
    assert!(carol.enter(ROOM, "Carol").await.contains("role='visitor'"));
    alice.ask("set", ROOM, &item("nick='Carol' role='participant'")).await;
    leave(&mut carol).await;
    assert!(carol.enter(ROOM, "Caz").await.contains("role='participant'"), "by whatever nick");
    // It outlives the process, too.
    let again = serve_over(&served, Config::default(), served.store.clone()).await;
    let mut later = Client::online(&again, "carol", "later").await;
    assert!(later.enter(ROOM, "Carol").await.contains("role='participant'"));
    // Whoever had their voice taken has none, until they become somebody else to the room.
    alice.ask("set", ROOM, &item("jid='bob@example.org' affiliation='member'")).await;
    alice.ask("set", ROOM, &item("nick='Bob' role='visitor'")).await;
    leave(&mut bob).await;
    assert!(bob.enter(ROOM, "Bob").await.contains("role='visitor'"));
    alice.ask("set", ROOM, &item("jid='bob@example.org' affiliation='none'")).await;
    alice.ask("set", ROOM, &item("jid='bob@example.org' affiliation='member'")).await;
    leave(&mut bob).await;
    assert!(bob.enter(ROOM, "Bob").await.contains("role='participant'"));
    // A kick ends it.
    alice.ask("set", ROOM, &item("nick='Caz' role='none'")).await;
    carol.expect(&["type='unavailable'", "code='307'"]).await;
    assert!(carol.enter(ROOM, "Carol").await.contains("role='visitor'"));
    // A room that is moderated no more forgets.
    alice.ask("set", ROOM, &item("nick='Carol' role='participant'")).await;
    alice.ask("set", ROOM, &configure(&[("moderatedroom", "0")])).await;
    alice.ask("set", ROOM, &configure(&[("moderatedroom", "1")])).await;
    leave(&mut carol).await;
    assert!(carol.enter(ROOM, "Carol").await.contains("role='visitor'"));
}

#[tokio::test]
async fn a_ban_frees_the_nick_that_was_reserved() {
    let served = serve().await;
    let (mut alice, _bob) = room(&served).await;
    alice.ask("set", ROOM, &item("jid='carol@example.org' affiliation='member' nick='Caz'")).await;
    let mut dave = Client::online(&served, "bob", "second").await;
    dave.knock("Caz").await;
    assert!(dave.expect(&["type='error'"]).await.contains("conflict"));
    alice.ask("set", ROOM, &item("jid='carol@example.org' affiliation='outcast'")).await;
    dave.enter(ROOM, "Caz").await;
}

#[tokio::test]
async fn who_becomes_a_member_of_a_closed_room_is_invited() {
    let served = serve().await;
    let (mut alice, _bob) = room(&served).await;
    let secret = [("membersonly", "1"), ("passwordprotectedroom", "1"), ("roomsecret", "1234")];
    alice.ask("set", ROOM, &configure(&secret)).await;
    let mut carol = Client::online(&served, "carol", "c").await;
    alice.ask("set", ROOM, &item("jid='carol@example.org' affiliation='member'")).await;
    let invited = carol.expect(&["<invite"]).await;
    assert!(invited.contains("<password>1234") && invited.contains("<reason>why"), "{invited}");
    assert!(invited.contains(&format!("from='{ROOM}'")), "{invited}");
}

#[tokio::test]
async fn invitations_are_answered_and_nobody_declines_what_was_not_offered() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    let mut carol = Client::online(&served, "carol", "c").await;
    let message = |x: &str| {
        format!(
            "<message to='{ROOM}' id='i1'><x xmlns='http://jabber.org/protocol/muc#user'>{x}</x></message>"
        )
    };
    carol.send(&message("<decline to='bob@example.org'><reason>spam</reason></decline>")).await;
    carol.send(&message("<invite to='bob@example.org'/>")).await;
    assert!(carol.expect(&["type='error'"]).await.contains("forbidden"), "she is not inside");
    bob.send(&message("<invite to='nobody@example.org'/>")).await;
    let unknown = bob.expect(&["<message"]).await;
    assert!(
        unknown.contains("item-not-found") && unknown.contains("id='i1'"),
        "no decline came before: {unknown}"
    );
    bob.send(&message(
        "<invite to='carol@example.org'><reason>come</reason><continue thread='t1'/></invite>",
    ))
    .await;
    let invited = carol.expect(&["<invite"]).await;
    for part in ["from='bob@example.org/b'", "<reason>come", "thread='t1'", "jabber:x:conference"] {
        assert!(invited.contains(part), "{part}: {invited}");
    }
    let decline = message("<decline to='bob@example.org/b'><reason>busy</reason></decline>");
    carol.send(&decline).await;
    let declined = bob.expect(&["<decline"]).await;
    assert!(declined.contains("from='carol@example.org'") && declined.contains("busy"), "{declined}");
    carol.send(&decline).await;
    carol.ask("get", ROOM, "<query xmlns='http://jabber.org/protocol/disco#info'/>").await;
    bob.expect_nothing().await;
    alice.expect_nothing().await;
}

#[tokio::test]
async fn a_visitor_asks_for_voice_and_a_moderator_gives_it() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    alice.ask("set", ROOM, &configure(&[("moderatedroom", "1")])).await;
    let mut carol = Client::online(&served, "carol", "c").await;
    assert!(carol.enter(ROOM, "Carol").await.contains("role='visitor'"));
    let form = |fields: &str| {
        format!(
            "<message to='{ROOM}' id='v1'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
             <value>http://jabber.org/protocol/muc#request</value></field>{fields}</x></message>"
        )
    };
    let ask = form("<field var='muc#role'><value>participant</value></field>");
    carol.send(&ask).await;
    let shown = alice.expect(&["muc#request_allow"]).await;
    assert!(shown.contains("carol@example.org/c") && shown.contains("<value>Carol<"), "{shown}");
    carol.send(&ask).await;
    assert!(carol.expect(&["id='v1'"]).await.contains("resource-constraint"), "she asked a moment ago");
    let allow = |nick: &str| {
        form(&format!(
            "<field var='muc#roomnick'><value>{nick}</value></field>\
             <field var='muc#request_allow'><value>true</value></field>"
        ))
    };
    bob.send(&allow("Carol")).await;
    assert!(bob.expect(&["id='v1'"]).await.contains("bad-request"), "he is no moderator");
    alice.send(&allow("Carol")).await;
    carol.expect(&["role='participant'", "code='110'"]).await;
    carol.say("at last").await;
    alice.expect(&["at last"]).await;
    alice.send(&allow("Alice")).await;
    alice.expect_nothing().await;
}

#[tokio::test]
async fn admins_decide_who_becomes_a_member_of_a_closed_room() {
    let served = serve().await;
    let (mut alice, _bob) = room(&served).await;
    alice.ask("set", ROOM, &configure(&[("membersonly", "1")])).await;
    let mut carol = Client::online(&served, "carol", "c").await;
    let register = "<query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
        <value>http://jabber.org/protocol/muc#register</value></field><field var='muc#register_roomnick'><value>Caz</value></field></x></query>";
    assert!(carol.ask("set", ROOM, register).await.contains("type='result'"));
    let shown = alice.expect(&["muc#register_allow"]).await;
    assert!(shown.contains("carol@example.org") && shown.contains("<value>Caz<"), "{shown}");
    carol.knock("Caz").await;
    assert!(carol.expect(&["type='error'"]).await.contains("registration-required"), "not yet");
    let decide = |word: &str| {
        format!(
            "<message to='{ROOM}' id='r1'><x xmlns='jabber:x:data' type='submit'>\
             <field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#register</value></field>\
             <field var='muc#register_roomnick'><value>Caz</value></field>\
             <field var='muc#register_allow'><value>{word}</value></field></x></message>"
        )
    };
    carol.send(&decide("1")).await;
    assert!(carol.expect(&["id='r1'"]).await.contains("forbidden"));
    alice.send(&decide("0")).await;
    alice.send(&decide("1")).await;
    assert!(alice.expect(&["id='r1'"]).await.contains("item-not-found"), "it was refused before");
    assert!(carol.ask("set", ROOM, register).await.contains("type='result'"));
    alice.expect(&["muc#register_allow"]).await;
    alice.send(&decide("1")).await;
    carol.expect(&["<invite"]).await;
    assert!(carol.enter(ROOM, "Caz").await.contains("affiliation='member'"));
}

#[tokio::test]
async fn moderators_stay_below_admins() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    let mut carol = Client::online(&served, "carol", "c").await;
    carol.enter(ROOM, "Carol").await;
    alice.ask("set", ROOM, &item("nick='Bob' role='moderator'")).await;
    bob.expect(&["role='moderator'", "code='110'"]).await;
    assert!(bob.ask("set", ROOM, &item("nick='Alice' role='none'")).await.contains("not-allowed"));
    assert!(bob.ask("set", ROOM, &item("nick='Alice' role='visitor'")).await.contains("not-allowed"));
    assert!(bob.ask("set", ROOM, &item("nick='Carol' role='moderator'")).await.contains("not-allowed"));
    assert!(bob.ask("set", ROOM, &item("nick='Nobody' role='none'")).await.contains("item-not-found"));
    assert!(
        bob.ask("set", ROOM, &item("jid='carol@example.org' affiliation='member'"))
            .await
            .contains("forbidden")
    );
    assert!(bob.ask("set", ROOM, INSTANT).await.contains("forbidden"));
    bob.send(&format!("<iq type='set' id='hush' to='{ROOM}'>{}</iq>", item("nick='Carol' role='visitor'")))
        .await;
    let seen = bob.expect(&["<presence", "/Carol'", "role='visitor'"]).await;
    assert!(seen.contains("jid='carol@example.org/c'"), "a moderator sees real addresses: {seen}");
}

#[tokio::test]
async fn a_slow_room_hears_each_once_in_a_while() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    let form = alice.ask("get", ROOM, "<query xmlns='http://jabber.org/protocol/muc#owner'/>").await;
    assert!(form.contains("<range min='0'/>") && form.contains("roomconfig_slow_mode_duration"), "{form}");
    assert!(
        alice.ask("set", ROOM, &configure(&[("slow_mode_duration", "3600")])).await.contains("type='result'")
    );
    bob.expect(&["code='104'"]).await;
    let info = bob.ask("get", ROOM, INFO).await;
    assert!(
        info.contains("var='muc#roominfo_slow_mode_duration'") && info.contains("<value>3600</value>"),
        "{info}"
    );
    let say = |text: &str| {
        format!("<message type='groupchat' to='{ROOM}' id='{text}'><body>{text}</body></message>")
    };
    for text in ["one", "two"] {
        bob.send(&say(text)).await;
    }
    bob.expect(&["<body>one</body>"]).await;
    let refused = bob.expect(&["id='two'", "type='error'"]).await;
    assert!(
        refused.contains("type='wait'") && refused.contains("policy-violation") && refused.contains("3600"),
        "{refused}"
    );
    // What is no message does not count, and owners are never too fast.
    bob.send(&format!("<message type='groupchat' to='{ROOM}'><active xmlns='http://jabber.org/protocol/chatstates'/></message>")).await;
    bob.expect(&["<active"]).await;
    for text in ["three", "four"] {
        alice.send(&say(text)).await;
        bob.expect(&[&format!("<body>{text}</body>")]).await;
    }
}

#[tokio::test]
async fn the_command_call_invites_all_to_the_rooms_call() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    bob.send(&format!("<message type='groupchat' to='{ROOM}' id='c'><body>/call</body></message>")).await;
    for client in [&mut alice, &mut bob] {
        let invitation =
            client.expect(&["<message", "type='groupchat'", "<invite xmlns='urn:xmpp:call-invites:0'"]).await;
        assert!(invitation.contains("<external uri='sip:dev@conference.example.org'/>"), "{invitation}");
        assert!(
            invitation.contains("Bob invites") && invitation.contains(&format!("from='{ROOM}'")),
            "{invitation}"
        );
        assert!(invitation.contains("<stanza-id") && !invitation.contains("/call"), "{invitation}");
    }
}

#[tokio::test]
async fn admins_and_owners_do_not_take_their_own_voice_and_are_told_why_something_is_not_theirs() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    for role in ["visitor", "participant"] {
        let own = alice.ask("set", ROOM, &item(&format!("nick='Alice' role='{role}'"))).await;
        assert!(own.contains("not-allowed"), "§8.4, §9.7: {own}");
    }
    alice.ask("set", ROOM, &item("jid='bob@example.org' affiliation='admin'")).await;
    bob.expect(&["affiliation='admin'", "code='110'"]).await;
    let own = bob.ask("set", ROOM, &item("jid='bob@example.org' affiliation='outcast'")).await;
    assert!(own.contains("conflict"), "§9.1: {own}");
    for affiliation in ["admin", "owner"] {
        let item = item(&format!("jid='carol@example.org' affiliation='{affiliation}'"));
        assert!(bob.ask("set", ROOM, &item).await.contains("forbidden"), "§10.5, §10.8");
    }
    assert!(
        bob.ask("set", ROOM, &item("jid='alice@example.org' affiliation='none'"))
            .await
            .contains("not-allowed")
    );
}

#[tokio::test]
async fn what_refuses_a_private_message_reaches_its_sender_and_names_nobody() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    let mut carol = Client::online(&served, "carol", "c").await;
    carol.enter(ROOM, "Carol").await;
    bob.expect(&["<presence", "/Carol'"]).await;
    let block = format!("<block xmlns='urn:xmpp:blocking'><item jid='{ROOM}/Carol'/></block>");
    assert!(bob.ask("set", "", &block).await.contains("result"));
    carol.send(&format!("<message to='{ROOM}/Bob' type='chat' id='pm'><body>psst</body></message>")).await;
    let refused = carol.expect(&["<message", "type='error'", "id='pm'"]).await;
    assert!(refused.contains(&format!("from='{ROOM}/Bob'")) && !refused.contains("bob@"), "{refused}");
    carol
        .send(&format!("<iq type='get' id='v' to='{ROOM}/Alice'><query xmlns='jabber:iq:version'/></iq>"))
        .await;
    let asked = alice.expect(&["<iq", "jabber:iq:version"]).await;
    let (from, id) = (attribute(&asked, "iq", "from"), attribute(&asked, "iq", "id"));
    alice
        .send(&format!(
            "<iq type='error' id='{id}' to='{from}'><error type='cancel' by='alice@example.org/a'>\
             <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
        ))
        .await;
    let answer = carol.expect(&["<iq", "id='v'"]).await;
    assert!(answer.contains("service-unavailable") && !answer.contains("alice@example.org"), "{answer}");
    carol.send("<message to='conference.example.org' id='zz'><body>x</body></message>").await;
    carol.expect(&["<message", "type='error'", "id='zz'", "service-unavailable"]).await;
}

#[tokio::test]
async fn the_subject_of_a_closed_room_is_for_who_may_enter() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    let mut carol = Client::online(&served, "carol", "c").await;
    alice.send(&format!("<message type='groupchat' to='{ROOM}'><subject>merger</subject></message>")).await;
    bob.expect(&["<subject>merger"]).await;
    assert!(carol.ask("get", ROOM, INFO).await.contains("merger"), "an open room's is for all");
    assert!(
        alice
            .ask("set", ROOM, &configure(&[("passwordprotectedroom", "1"), ("roomsecret", "x")]))
            .await
            .contains("result")
    );
    assert!(!carol.ask("get", ROOM, INFO).await.contains("merger"));
    assert!(bob.ask("get", ROOM, INFO).await.contains("merger"), "who is inside sees it");
}

#[tokio::test]
async fn a_room_holds_somebody() {
    let served = serve().await;
    let (mut alice, _bob) = room(&served).await;
    assert!(alice.ask("set", ROOM, &configure(&[("maxusers", "0")])).await.contains("not-acceptable"));
    assert!(alice.ask("set", ROOM, &configure(&[("maxusers", "2")])).await.contains("type='result'"));
}

#[tokio::test]
async fn who_enters_again_gets_what_entering_gives() {
    let served = serve().await;
    let (_alice, mut bob) = room(&served).await;
    bob.knock("Bob").await;
    let first = bob.expect(&["<presence", "from='dev@conference"]).await;
    assert!(first.contains("/Alice'"), "the others come first: {first}");
    bob.expect(&["code='110'"]).await;
    bob.expect(&["<subject"]).await;
}

#[tokio::test]
async fn a_room_is_not_destroyed_for_a_place_that_is_none() {
    let served = serve().await;
    let (mut alice, _bob) = room(&served).await;
    let destroy = "<query xmlns='http://jabber.org/protocol/muc#owner'><destroy jid='@@'/></query>";
    assert!(alice.ask("set", ROOM, destroy).await.contains("jid-malformed"));
    assert!(alice.ask("get", ROOM, INFO).await.contains("type='result'"));
}
