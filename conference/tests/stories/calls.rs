//! Calls to a room over real sockets: a focus on one endpoint, phones on others, sound over RTP.
#[allow(dead_code, reason = "each test file uses its part")]
use crate::house::{House, ROOM, occupant};
use shared_model::{
    Affiliation, Audio, ConferenceDirectory, ConferenceEvent, Event, LeaveReason, Occupant, Role, RoomAccess,
    RoomEvent,
};
use sip_core::Name;

#[tokio::test(flavor = "multi_thread")]
async fn three_legs_hear_the_others_and_not_themselves() {
    let house = House::start().await;
    let mut phones = [
        house.call("alice", 440.0).await,
        house.call("bob", 700.0).await,
        house.call("carol", 1_100.0).await,
    ];
    let heard = crate::house::talk(&mut phones, 50);
    assert_eq!(heard, [[false, true, true], [true, false, true], [true, true, false]]);

    // Voice revoked: muted in the mix; granted: heard again.
    let bob = |role| RoomEvent::RoleChanged {
        room: ROOM.parse().unwrap(),
        jid: crate::house::jid("bob"),
        nick: "bob".into(),
        role,
    };
    house.occupants(vec![occupant("bob", Role::Visitor)]);
    house.happens(bob(Role::Visitor));
    house.until_audio("bob", Audio::Muted).await;
    crate::house::talk::<3>(&mut phones, 40);
    assert_eq!(crate::house::talk(&mut phones, 50)[0], [false, false, true]);
    house.happens(bob(Role::Participant));
    house.until_audio("bob", Audio::SendReceive).await;
    crate::house::talk::<3>(&mut phones, 10);
    assert_eq!(crate::house::talk(&mut phones, 50)[0], [false, true, true]);

    // Kicked from the room: the call ends.
    house.happens(RoomEvent::OccupantRemoved {
        room: ROOM.parse().unwrap(),
        jid: crate::house::jid("carol"),
        nick: "carol".into(),
        reason: LeaveReason::Kicked,
    });
    let bye = phones[2].request("BYE").await;
    assert_eq!(bye.call_id(), phones[2].call_id);
    crate::house::talk::<2>(&mut phones[..2], 30);
    assert_eq!(crate::house::talk(&mut phones[..2], 50), [[false, true], [true, false]]);
    let snapshot = house.focus.conference(&ROOM.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(snapshot.participants.len(), 2);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_room_decides_who_may_call() {
    let house = House::start().await;
    assert_eq!(house.invite("alice", "sip:nowhere@conference.example.org").await, 404);
    house.affiliations(vec![
        (crate::house::jid("bob"), Affiliation::Outcast),
        (crate::house::jid("carol"), Affiliation::Member),
    ]);
    assert_eq!(house.invite("bob", crate::house::URI).await, 403);
    assert_eq!(house.invite("alice", crate::house::URI).await, 200);
    house.access(RoomAccess { members_only: true, ..RoomAccess::default() });
    assert_eq!(house.invite("alice", crate::house::URI).await, 403);
    assert_eq!(house.invite("carol", crate::house::URI).await, 200);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_go_on_while_the_chat_half_is_down() {
    let house = House::start().await;
    house.room_is_down();
    assert_eq!(house.invite("alice", crate::house::URI).await, 200);
    assert_eq!(house.invite("stranger", crate::house::URI).await, 403);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_ends_watches_no_more() {
    let house = House::start().await;
    let mut bob = house.watch("bob").await;
    bob.document().await;
    let card = house.auth.directory.by_aor(&"bob@example.org".parse().unwrap()).await.unwrap().unwrap();
    house.auth.book.remove(card.account).await.unwrap();
    let last = bob.request("NOTIFY").await;
    assert_eq!(last.value(Name::SubscriptionState), Some("terminated;reason=rejected"));
    assert_eq!(bob.send("SUBSCRIBE", &[("Event", "conference")]).await.status(), 481);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_calls_a_number_of_the_room_needs_no_account_but_holds_to_its_rules() {
    let house = House::start().await;
    let number = ("P-Called-Party-ID", "<sip:+4930900@example.org>");
    let mut caller = house.phone_of("stranger", 440.0).await;
    caller.uri = crate::house::URI.to_owned();
    assert_eq!(caller.invite_with(number.0, number.1).await.status(), 200);
    // It becomes for members alone: who has no account is none.
    house.access(RoomAccess { members_only: true, ..RoomAccess::default() });
    house.happens(RoomEvent::ConfigurationChanged { room: ROOM.parse().unwrap() });
    caller.request("BYE").await;
    let mut next = house.phone_of("stranger", 440.0).await;
    next.uri = crate::house::URI.to_owned();
    assert_eq!(next.invite_with(number.0, number.1).await.status(), 403);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_hears_of_everybody() {
    let house = House::start().await;
    house.occupants(vec![occupant("bob", Role::Participant)]);
    let mut watcher = house.watch("carol").await;
    let full = watcher.request("NOTIFY").await;
    let text = String::from_utf8_lossy(full.body()).into_owned();
    assert!(text.contains("state=\"full\" version=\"0\""), "{text}");
    assert!(text.contains("xmpp:dev@conference.example.org?join") && text.contains("grouptextchat"));
    assert!(text.contains("xmpp:dev@conference.example.org/bob") && text.contains("<media id=\"2\">"));

    let mut alice = house.call("alice", 440.0).await;
    let partial = watcher.request("NOTIFY").await;
    let text = String::from_utf8_lossy(partial.body()).into_owned();
    assert!(text.contains("state=\"partial\" version=\"1\""), "{text}");
    assert!(text.contains("sip:alice@example.org") && text.contains("<media id=\"1\">"));

    // In the dialog of the call, as Jitsi does.
    assert_eq!(alice.send("SUBSCRIBE", &[("Event", "conference"), ("Expires", "600")]).await.status(), 200);
    assert!(String::from_utf8_lossy(alice.request("NOTIFY").await.body()).contains("state=\"full\""));
    let why = [("Reason", "Q.850;cause=16;text=\"Enough\"")];
    assert_eq!(alice.send("BYE", &why).await.status(), 200);
    // RFC 4575 §5.7.6, §5.7.7: how she left, before her endpoint is gone.
    let partial = watcher.document().await;
    assert!(partial.contains("<status>disconnected</status><joining-method>dialed-in<"), "{partial}");
    assert!(partial.contains("<disconnection-method>departed</disconnection-method>"), "{partial}");
    assert!(
        partial.contains("</when><reason>Reason: Q.850;cause=16;text=&quot;Enough&quot;</reason></disc"),
        "{partial}"
    );
    assert!(partial.contains("<user-count>1</user-count>"), "{partial}");
    let last = watcher.document().await;
    assert!(last.contains("<user entity=\"sip:alice@example.org\" state=\"deleted\"/>"), "{last}");
    let ended = alice.request("NOTIFY").await;
    assert!(ended.value(sip_core::Name::SubscriptionState).unwrap().starts_with("terminated"));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn joining_and_leaving_are_facts() {
    let house = House::start().await;
    let mut facts = house.bus.subscribe();
    let mut alice = house.call("alice", 440.0).await;
    alice.send("BYE", &[]).await;
    let mut told = Vec::new();
    while told.len() < 2 {
        if let Some(shared_runtime::bus::Heard::Fact(fact)) = facts.next().await
            && let Event::Conference(event) = fact.event
        {
            told.push(event);
        }
    }
    assert!(matches!(&told[0], ConferenceEvent::ParticipantJoined { participant, .. }
        if participant.jid == Some(crate::house::jid("alice"))));
    assert!(matches!(&told[1], ConferenceEvent::ParticipantLeft { .. }));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_what_a_room_can_hears_what_a_call_would() {
    let house = House::start().await;
    house.affiliations(vec![(crate::house::jid("bob"), Affiliation::Outcast)]);
    for (name, uri, status) in [
        ("alice", crate::house::URI, 200),
        ("bob", crate::house::URI, 403),
        ("alice", "sip:nowhere@conference.example.org", 404),
    ] {
        let mut phone = house.silent_phone(name).await;
        uri.clone_into(&mut phone.uri);
        assert_eq!(phone.send("OPTIONS", &[]).await.status(), status, "{name} {uri}");
    }
    let mut alice = house.silent_phone("alice").await;
    let chat = alice.send("MESSAGE", &[]).await;
    assert!(chat.status() == 405 && chat.value(Name::Allow).is_some(), "{chat:?}");
    for method in ["BYE", "UPDATE", "INFO"] {
        let mut alice = house.silent_phone("alice").await;
        assert_eq!(alice.send(method, &[]).await.status(), 481, "{method}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_insists_on_reliable_provisional_responses_is_answered_at_once() {
    let house = House::start().await;
    let mut alice = house.phone_of("alice", 440.0).await;
    let offer =
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
    let mandatory = ("Require", "100rel");
    let answer = alice.send_body_with("INVITE", "application/sdp", offer, mandatory).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    assert!(answer.elements(Name::Supported).any(|option| option == "100rel"));
    assert!(answer.elements(Name::Allow).any(|method| method == "PRACK"));
    assert_eq!(alice.send("PRACK", &[("RAck", "1 1 INVITE")]).await.status(), 481, "it acknowledges nothing");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hold_and_rubbish_are_answered() {
    let house = House::start().await;
    let mut alice = house.call("alice", 440.0).await;
    let held = alice.send_offer("UPDATE", "sendonly").await;
    assert_eq!(held.status(), 200);
    assert!(String::from_utf8_lossy(held.body()).contains("a=recvonly"));
    house.until_audio("alice", Audio::OnHold).await;
    let resumed = alice.send_offer("INVITE", "sendrecv").await;
    assert!(String::from_utf8_lossy(resumed.body()).contains("a=sendrecv"));
    house.until_audio("alice", Audio::SendReceive).await;
    assert_eq!(alice.send("OPTIONS", &[]).await.status(), 200);
    assert_eq!(alice.send("MESSAGE", &[]).await.status(), 405);
    assert_eq!(alice.send("SUBSCRIBE", &[("Event", "presence")]).await.status(), 489);
    assert_eq!(alice.send("INFO", &[("Require", "nothing-we-know")]).await.status(), 420);
    assert_eq!(alice.send("BYE", &[]).await.status(), 200);
    assert_eq!(alice.send("BYE", &[]).await.status(), 481);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invite_may_overtake_the_ack_before_it() {
    let house = House::start().await;
    let mut alice = house.call("alice", 440.0).await;
    let port = alice.media.local_addr().unwrap().port();
    let held = format!(
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\na=inactive\r\n"
    );
    assert_eq!(alice.send_body("INVITE", "application/sdp", &held).await.status(), 200);
    // Who asks again has had that answer (§14.1): its ACK is on its way, by another thread of the proxy.
    assert_eq!(alice.send_offer("INVITE", "sendrecv").await.status(), 200);
    house.until_audio("alice", Audio::SendReceive).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ban_ends_the_call_and_refuses_the_next() {
    let house = House::start().await;
    let mut bob = house.call("bob", 440.0).await;
    house.affiliations(vec![(crate::house::jid("bob"), Affiliation::Outcast)]);
    let (room, jid) = (ROOM.parse().unwrap(), crate::house::jid("bob"));
    house.happens(RoomEvent::AffiliationChanged { room, jid, affiliation: Affiliation::Outcast });
    bob.request("BYE").await;
    assert_eq!(house.invite("bob", crate::house::URI).await, 403);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_becomes_members_only_keeps_its_members_and_who_watches_by_right() {
    let house = House::start().await;
    let (mut alice, mut bob) = (house.call("alice", 440.0).await, house.call("bob", 700.0).await);
    let mut carol = house.watch("carol").await;
    carol.document().await;
    house.affiliations(vec![(crate::house::jid("alice"), Affiliation::Member)]);
    house.access(RoomAccess { members_only: true, ..RoomAccess::default() });
    house.happens(RoomEvent::ConfigurationChanged { room: ROOM.parse().unwrap() });
    bob.request("BYE").await;
    loop {
        let state = carol.request("NOTIFY").await.value(Name::SubscriptionState).unwrap().to_owned();
        if state == "terminated;reason=rejected" {
            break;
        }
    }
    house.until_audio("alice", Audio::SendReceive).await;
    house.affiliations(Vec::new());
    let (room, jid) = (ROOM.parse().unwrap(), crate::house::jid("alice"));
    house.happens(RoomEvent::AffiliationChanged { room, jid, affiliation: Affiliation::None });
    alice.request("BYE").await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destroyed_room_ends_every_call() {
    let house = House::start().await;
    let mut phones = [house.call("alice", 440.0).await, house.call("bob", 700.0).await];
    house.happens(RoomEvent::Destroyed { room: ROOM.parse().unwrap() });
    for phone in &mut phones {
        phone.request("BYE").await;
    }
    house.stop().await;
}

/// On one thread, so that the bridge cannot read before so many facts are there that some are dropped.
#[tokio::test]
async fn dropped_facts_are_made_up_for_by_asking() {
    let house = House::start().await;
    let mut bob = house.call("bob", 440.0).await;
    house.affiliations(vec![(crate::house::jid("bob"), Affiliation::Outcast)]);
    for _ in 0..5_000 {
        house.happens(RoomEvent::Created { room: "other@conference.example.org".parse().unwrap() });
    }
    bob.request("BYE").await;

    // Nobody hears that an account was disabled, and its leg ends.
    let account = house.auth.directory.by_jid(&crate::house::jid("alice")).await.unwrap().unwrap().account;
    house.auth.book.add_app_password(account, "DESK", 0).await.unwrap();
    let mut desk = leg_by(&house, "device:DESK").await;
    let mut alice = house.call("alice", 440.0).await;
    house.auth.book.remove_app_password(account, "DESK").await.unwrap();
    for _ in 0..5_000 {
        house.happens(RoomEvent::Created { room: "other@conference.example.org".parse().unwrap() });
    }
    desk.request("BYE").await;
    assert!(!alice.has_got("BYE"));
    house.auth.book.set_enabled(account, false).await.unwrap();
    for _ in 0..5_000 {
        house.happens(RoomEvent::Created { room: "other@conference.example.org".parse().unwrap() });
    }
    alice.request("BYE").await;
    house.stop().await;
}

/// A leg of alice's, by what the proxy says proved her.
async fn leg_by(house: &House, proof: &str) -> crate::house::Phone {
    let mut phone = house.phone_of("alice", 440.0).await;
    phone.uri = crate::house::URI.to_owned();
    assert_eq!(phone.invite_with("P-Proved-By", proof).await.status(), 200);
    phone
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leg_ends_with_the_password_that_it_came_by_and_others_go_on() {
    let house = House::start().await;
    let account = house.auth.directory.by_jid(&crate::house::jid("alice")).await.unwrap().unwrap().account;
    for device in ["DESK", "TABLET"] {
        house.auth.book.add_app_password(account, device, 0).await.unwrap();
    }
    let (mut main, mut desk) = (leg_by(&house, "password").await, leg_by(&house, "device:DESK").await);
    let (mut tablet, mut card) = (leg_by(&house, "device:TABLET").await, leg_by(&house, "otherwise").await);
    assert_eq!(tablet.send("SUBSCRIBE", &[("Event", "conference")]).await.status(), 200);
    house.auth.book.remove_app_password(account, "TABLET").await.unwrap();
    tablet.request("BYE").await;
    // What begins in the very millisecond may be by either.
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    house.auth.book.set_password(account, "another horse").await.unwrap();
    main.request("BYE").await;
    let again = leg_by(&house, "password").await;
    assert!(!desk.has_got("BYE") && !card.has_got("BYE"), "they came by what holds");
    drop((again, card));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_offer_is_taken_when_the_call_has_none() {
    let house = House::start().await;
    let mut alice = house.silent_phone("alice").await;
    let response = alice.send("INVITE", &[]).await;
    assert!(String::from_utf8_lossy(response.body()).contains("opus/48000/2"));
    alice.answer_in_ack();
    house.until_audio("alice", Audio::SendReceive).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_neither_watch_nor_join() {
    let house = House::start().await;
    assert_eq!(house.wish_to_watch("stranger").await, 403);
    assert_eq!(house.wish_to_watch("alice").await, 200);
    assert_eq!(house.invite("stranger", crate::house::URI).await, 403);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_semi_anonymous_room_shows_real_addresses_to_their_owners_and_moderators_alone() {
    let house = House::start().await;
    house.occupants(vec![occupant("alice", Role::Participant), occupant("bob", Role::Participant)]);
    let mut alice = house.call("alice", 440.0).await;
    house.until_audio("alice", Audio::SendReceive).await;
    let nick = |name: &str| format!("xmpp:dev@conference.example.org/{name}");
    let real = |name: &str| format!("xmpp:{name}@chat.example.org");

    let text = house.watch("carol").await.document().await;
    assert!(!text.contains("@chat.example.org") && !text.contains("sip:alice"), "{text}");
    let (in_call, in_chat) = text.split_once(&format!("<user entity=\"{}\"", nick("bob"))).unwrap();
    assert!(in_call.contains(&format!("<user entity=\"{}\"", nick("alice"))), "{text}");
    assert!(in_call.contains("<media id=\"1\">") && in_call.contains("<media id=\"2\">"));
    assert!(!in_chat.contains("<media id=\"1\">"));

    assert_eq!(alice.send("SUBSCRIBE", &[("Event", "conference")]).await.status(), 200);
    let text = alice.document().await;
    assert!(
        text.contains("<user entity=\"sip:alice@example.org\"") && text.contains(&real("alice")),
        "{text}"
    );
    assert!(!text.contains(&real("bob")) && text.contains(&nick("bob")), "{text}");

    house.occupants(vec![occupant("alice", Role::Participant), occupant("carol", Role::Moderator)]);
    let text = house.watch("carol").await.document().await;
    assert!(text.contains(&real("alice")) && text.contains("sip:alice@example.org"), "{text}");
    house.access(RoomAccess { non_anonymous: true, ..RoomAccess::default() });
    assert!(house.watch("bob").await.document().await.contains(&real("alice")));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_anonymous_have_no_name_no_contact_and_no_jid() {
    let house = House::start().await;
    house.occupants(vec![occupant("alice", Role::Participant), occupant("carol", Role::Moderator)]);
    let from = |uri: &'static str| vec![("From", uri)];
    let mut asked = from("<sip:alice@example.org>;tag=1");
    asked.push(("Privacy", "id"));
    let ways = [
        asked,
        from("<sip:anonymous@example.org>;tag=1"),
        from("\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=1"),
    ];
    for headers in ways {
        let mut watcher = house.watch("carol").await;
        watcher.document().await;
        let mut alice = house.silent_phone("alice").await;
        assert_eq!(alice.send("INVITE", &headers).await.status(), 200);
        alice.answer_in_ack();
        let text = watcher.document().await;
        assert!(text.contains("sip:anonymous-") && text.contains("<media id=\"1\">"), "{text}");
        assert!(!text.contains("alice"), "{headers:?}: {text}");
        let snapshot = house.focus.conference(&ROOM.parse().unwrap()).await.unwrap().unwrap();
        assert_eq!(snapshot.participants.last().unwrap().1.jid, None);
        // The room's rules hold for them all the same.
        house.happens(RoomEvent::OccupantRemoved {
            room: ROOM.parse().unwrap(),
            jid: crate::house::jid("alice"),
            nick: "al".into(),
            reason: LeaveReason::Kicked,
        });
        alice.request("BYE").await;
        assert!(!watcher.document().await.contains("alice"));
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_muted_stays_so_when_they_leave_the_chat_or_call_again() {
    let house = House::start().await;
    house.occupants(vec![occupant("bob", Role::Participant)]);
    let mut bob = house.call("bob", 440.0).await;
    house.until_audio("bob", Audio::SendReceive).await;
    let room = || ROOM.parse().unwrap();
    let role = |role| RoomEvent::RoleChanged {
        room: room(),
        jid: crate::house::jid("bob"),
        nick: "bob".into(),
        role,
    };
    house.happens(role(Role::Visitor));
    house.until_audio("bob", Audio::Muted).await;
    let mut watcher = house.watch("alice").await;
    assert!(watcher.document().await.contains("muted-via-focus"));
    house.occupants(Vec::new());
    house.happens(RoomEvent::OccupantRemoved {
        room: room(),
        jid: crate::house::jid("bob"),
        nick: "bob".into(),
        reason: LeaveReason::Left,
    });
    let text = watcher.document().await;
    assert!(text.contains("sip:bob@example.org") && text.contains("muted-via-focus"), "{text}");
    bob.send("BYE", &[]).await;
    let _again = house.call("bob", 440.0).await;
    house.until_audio("bob", Audio::Muted).await;
    // Coming back, under another nick even, gives no voice back; a moderator does.
    let (jid, nick, role_of) = (crate::house::jid("bob"), "bo2".to_owned(), Role::Participant);
    house.occupants(vec![Occupant { nick: nick.clone(), ..occupant("bob", role_of) }]);
    house.happens(RoomEvent::OccupantJoined { room: room(), jid, nick, role: role_of });
    let text = loop {
        let text = watcher.document().await;
        if text.contains("<media id=\"2\">") {
            break text;
        }
    };
    assert!(text.contains("muted-via-focus"), "{text}");
    house.happens(role(Role::Participant));
    house.until_audio("bob", Audio::SendReceive).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_an_offer_of_the_focus_waits_for_its_ack_no_other_is_taken() {
    let house = House::start().await;
    let mut alice = house.call("alice", 440.0).await;
    let asked = alice.send("INVITE", &[]).await;
    assert!(asked.status() == 200 && !asked.body().is_empty());
    assert_eq!(alice.send_offer("UPDATE", "sendonly").await.status(), 491);
    house.stop().await;
}
