//! What a focus does beyond answering calls: it calls, ends, replaces and makes them, and lets none grow too old or too many.
#[allow(dead_code, reason = "each test file uses its part")]
use std::time::Duration;

use crate::house::{Hands, House, URI, occupant};
use conference::Config;
use shared_model::{Affiliation, Audio, CallOutError, ConferenceDirectory, Deed, Role};
use sip_core::{Message, Name};
use sip_endpoint::Incoming;

fn quiet() -> Config {
    Config { prompts: false, ..Config::default() }
}

async fn called(house: &mut House, method: &str) -> Incoming {
    let incoming = tokio::time::timeout(Duration::from_secs(10), house.called.recv()).await.unwrap().unwrap();
    assert_eq!(incoming.request.method(), method);
    incoming
}

fn pick_up(incoming: &Incoming, body: &str) {
    let mut response = Message::response(&incoming.request, 200, "");
    response.set(Name::To, "<sip:bob@example.org>;tag=bobs");
    response.push(Name::Contact, "<sip:bob@192.0.2.7>");
    if !body.is_empty() {
        response.set_body("application/sdp", body.to_owned().into());
    }
    incoming.server.respond(response);
}

const BROWSER: &str = "v=0\r\na=group:BUNDLE 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n\
    a=ice-ufrag:them\r\na=ice-pwd:theirpassword\r\na=fingerprint:sha-256 AB:CD\r\na=setup:active\r\na=rtcp-mux\r\n";
const SOUND: &str = "v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 40000 RTP/AVP 0\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_participant_has_somebody_called_and_a_moderator_has_them_removed() {
    let mut house = House::start().await;
    house.occupants(vec![occupant("carol", Role::Moderator), occupant("bob", Role::Participant)]);
    let mut alice = house.call("alice", 440.0).await;
    let mut watcher = house.watch("carol").await;
    watcher.document().await;
    let asked = [("Refer-To", "<sip:bob@example.org>"), ("Referred-By", "<sip:alice@example.org>")];
    let accepted = alice.send("REFER", &asked).await;
    assert_eq!(accepted.status(), 202);
    let incoming = called(&mut house, "INVITE").await;
    let invite = &incoming.request;
    assert_eq!(invite.uri(), "sip:bob@example.org");
    assert!(invite.value(Name::Contact).unwrap().contains(";isfocus"), "{invite:?}");
    assert!(
        invite.value(Name::From).unwrap().starts_with("\"Development\" <sip:dev@conference.example.org>")
    );
    assert!(String::from_utf8_lossy(invite.body()).contains("opus/48000/2"));
    assert_eq!(invite.value(Name::CallInfo), Some("<xmpp:dev@conference.example.org>;purpose=impp"));
    assert_eq!(invite.value(Name::ReferredBy), Some("<sip:alice@example.org>"));
    assert!(invite.elements(Name::Supported).all(|option| option != "100rel"), "it sends no PRACK");
    let trying = alice.request("NOTIFY").await;
    assert_eq!(trying.body().as_ref(), b"SIP/2.0 100 Trying\r\n");
    assert!(trying.value(Name::Event).unwrap().starts_with("refer;id="));
    let dialled = watcher.document().await;
    assert!(dialled.contains("<status>dialing-out</status></endpoint>"), "RFC 4575 §5.7.3: {dialled}");
    pick_up(&incoming, SOUND);
    house.until_audio("bob", Audio::SendReceive).await;
    let done = alice.request("NOTIFY").await;
    assert_eq!(done.body().as_ref(), b"SIP/2.0 200 OK\r\n");
    assert!(done.value(Name::SubscriptionState).unwrap().starts_with("terminated"));
    assert!(watcher.document().await.contains("<joining-method>dialed-out</joining-method>"));

    let remove = [("Refer-To", "<sip:bob@example.org;method=BYE>"), ("Refer-Sub", "false")];
    assert_eq!(alice.send("REFER", &remove).await.status(), 403);
    let mut carol = house.silent_phone("carol").await;
    assert_eq!(
        carol.send("REFER", &[("Refer-To", "<sip:nobody@example.org;method=BYE>")]).await.status(),
        404
    );
    house.affiliations(vec![(crate::house::jid("bob"), Affiliation::Owner)]);
    let mut carol = house.silent_phone("carol").await;
    assert_eq!(
        carol.send("REFER", &remove).await.status(),
        403,
        "XEP-0045 §8.2: an owner is more than she is"
    );
    house.affiliations(Vec::new());
    assert_eq!(house.done_in_chat(), []);
    let mut carol = house.silent_phone("carol").await;
    assert_eq!(carol.send("REFER", &remove).await.status(), 202);
    let bye = called(&mut house, "BYE").await.request;
    assert_eq!((bye.uri(), bye.to_tag()), ("sip:bob@192.0.2.7", Some("bobs")));
    let gone = watcher.document().await;
    let booted = "<status>disconnected</status><joining-method>dialed-out</joining-method>";
    assert!(gone.contains(booted) && gone.contains("<disconnection-method>booted<"), "{gone}");
    let why = "<reason>Reason: SIP;cause=200;text=&quot;Removed By A Moderator&quot;</reason>";
    assert!(gone.contains(why), "{gone}");
    assert!(watcher.document().await.contains("<user entity=\"sip:bob@example.org\" state=\"deleted\"/>"));
    assert_eq!(house.happened_in_chat(1).await, [("bob".to_owned(), Deed::Kick)], "he leaves the chat, too");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_between_two_comes_into_the_conference() {
    let mut house = House::start().await;
    let mut alice = house.call("alice", 440.0).await;
    let bob = "sip:bob@example.org?Replaces=7%40x%3Bto-tag%3Dbobs%3Bfrom-tag%3Dalices&Require=replaces";
    assert_eq!(alice.send("REFER", &[("Refer-To", &format!("<{bob}>"))]).await.status(), 202);
    for is_browser in [false, true] {
        let incoming = called(&mut house, "INVITE").await;
        let said = |name| incoming.request.other_values(name).next().map(str::to_owned);
        assert_eq!(incoming.request.uri(), "sip:bob@example.org");
        assert_eq!(said("Replaces").as_deref(), Some("7@x;to-tag=bobs;from-tag=alices"));
        assert_eq!(incoming.request.value(Name::Require), Some("replaces"));
        match is_browser {
            true => pick_up(&incoming, BROWSER),
            false => incoming.server.respond(Message::response(&incoming.request, 488, "")),
        }
    }
    house.until_audio("bob", Audio::SendReceive).await;
    let two = format!("<{bob}&Join=7%40x%3Bto-tag%3Dbobs%3Bfrom-tag%3Dalices>");
    assert_eq!(alice.send("REFER", &[("Refer-To", &two)]).await.status(), 400);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_occupant_of_the_chat_room_has_somebody_called() {
    let mut house = House::start().await;
    let (focus, room) = (house.focus.clone(), crate::house::ROOM.parse().unwrap());
    let ask = |name: &'static str, uri: &'static str| {
        let (focus, room) = (focus.clone(), crate::house::ROOM.parse().unwrap());
        tokio::spawn(async move { focus.call_out(&room, &crate::house::jid(name), uri).await })
    };
    let why = |answer: Result<_, CallOutError>| answer.unwrap_err().to_string();
    // Nobody is in the call yet.
    let busy = ask("alice", "sip:bob@example.org");
    let incoming = called(&mut house, "INVITE").await;
    assert_eq!(incoming.request.uri(), "sip:bob@example.org");
    assert_eq!(incoming.request.value(Name::ReferredBy), None, "the room may hide who asks");
    incoming.server.respond(Message::response(&incoming.request, 486, ""));
    assert_eq!(why(busy.await.unwrap()), "486 Busy Here");
    let taken = ask("alice", "sip:bob@example.org");
    pick_up(&called(&mut house, "INVITE").await, SOUND);
    assert_eq!(taken.await.unwrap(), Ok(()));
    house.until_audio("bob", Audio::SendReceive).await;
    // The rights are those of a REFER.
    house.affiliations(vec![(crate::house::jid("carol"), Affiliation::Outcast)]);
    for (asker, uri, status) in [
        ("nobody", "sip:bob@example.org", "403 This Needs An Account"),
        ("carol", "sip:bob@example.org", "403 Banned From This Room"),
        ("alice", "sip:carol@example.org", "403 Banned From This Room"),
        ("alice", "sip:dan@elsewhere.example", "403 Only Moderators Call Who Has No Account Here"),
        ("alice", "sip:other@conference.example.org", "403 A Conference Does Not Call A Conference"),
    ] {
        assert_eq!(why(ask(asker, uri).await.unwrap()), status, "{asker}, {uri}");
    }
    house.occupants(vec![occupant("alice", Role::Moderator)]);
    let outside = ask("alice", "sip:dan@elsewhere.example");
    pick_up(&called(&mut house, "INVITE").await, SOUND);
    assert_eq!(outside.await.unwrap(), Ok(()), "moderators let in whom they like");
    let elsewhere = "dev@elsewhere.example".parse().unwrap();
    let stray = focus.call_out(&elsewhere, &crate::house::jid("alice"), "sip:bob@example.org").await;
    assert_eq!(stray, Err(CallOutError::Unavailable));
    assert_eq!(focus.conference(&room).await.unwrap().unwrap().participants.len(), 2);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_a_number_called_is_named_to_the_proxy_and_hears_its_words() {
    let mut house = House::start_with(Config { strangers: true, ..quiet() }).await;
    let (focus, room) = (house.focus.clone(), crate::house::ROOM.parse().unwrap());
    let ask = tokio::spawn(async move {
        focus.call_out(&room, &crate::house::jid("alice"), "sip:+33899000000@example.org").await
    });
    let incoming = called(&mut house, "INVITE").await;
    let by_alice = Some("<sip:alice@example.org>");
    assert_eq!(incoming.request.value(Name::PAssertedIdentity), by_alice);
    assert_eq!(
        (incoming.request.value(Name::Privacy), incoming.request.value(Name::ReferredBy)),
        (None, None)
    );
    let refuse = |incoming: &Incoming| {
        let mut refusal = Message::response(&incoming.request, 403, "");
        refusal.push(Name::Warning, "399 example.org \"Calls of class premium are not allowed for you\"");
        incoming.server.respond(refusal);
    };
    refuse(&incoming);
    let why = ask.await.unwrap().unwrap_err().to_string();
    assert_eq!(why, "403 Calls of class premium are not allowed for you");
    // By REFER, from inside and from outside a call.
    let mut inside = house.call("alice", 440.0).await;
    let mut outside = house.silent_phone("alice").await;
    for phone in [&mut inside, &mut outside] {
        let asked = [("Refer-To", "<tel:0899;phone-context=+33>"), ("Privacy", "id")];
        assert_eq!(phone.send("REFER", &asked).await.status(), 202);
        let incoming = called(&mut house, "INVITE").await;
        assert_eq!(incoming.request.uri(), "tel:0899;phone-context=+33");
        assert_eq!(incoming.request.value(Name::PAssertedIdentity), by_alice);
        assert_eq!(incoming.request.value(Name::Privacy), Some("id"), "whoever hides is shown to nobody");
        refuse(&incoming);
        phone.request("NOTIFY").await;
        let told = phone.request("NOTIFY").await;
        let words = b"SIP/2.0 403 Calls of class premium are not allowed for you\r\n";
        assert_eq!(told.body().as_ref(), words);
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_keys_of_a_handshake_and_no_ice_is_called_once_more() {
    let mut house = House::start().await;
    let mut alice = house.call("alice", 440.0).await;
    assert_eq!(alice.send("REFER", &[("Refer-To", "<sip:bob@example.org>")]).await.status(), 202);
    let incoming = called(&mut house, "INVITE").await;
    incoming.server.respond(Message::response(&incoming.request, 488, ""));
    let hands = Hands::new("active");
    for is_last in [false, true] {
        let incoming = called(&mut house, "INVITE").await;
        let offer = String::from_utf8_lossy(incoming.request.body()).into_owned();
        assert!(offer.contains(" UDP/TLS/RTP/SAVP") && offer.contains("a=setup:actpass"), "{offer}");
        assert_eq!(offer.contains("a=ice-ufrag"), !is_last, "{offer}");
        pick_up(&incoming, &hands.description(40_000, "UDP/TLS/RTP/SAVP", "sendrecv"));
        if !is_last {
            called(&mut house, "BYE").await;
        }
    }
    house.until(|p| p.jid == Some(crate::house::jid("bob")) && p.is_encrypted).await;
    alice.request("NOTIFY").await;
    assert_eq!(alice.request("NOTIFY").await.body().as_ref(), b"SIP/2.0 200 OK\r\n");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_in_the_call_as_long_as_who_had_it_called() {
    let mut house = House::start_with(Config { strangers: true, ..quiet() }).await;
    let (mut alice, _carol) = (house.call("alice", 440.0).await, house.call("carol", 700.0).await);
    for uri in ["<tel:+33140000000>", "<sip:bob@example.org>"] {
        assert_eq!(alice.send("REFER", &[("Refer-To", uri)]).await.status(), 202);
        pick_up(&called(&mut house, "INVITE").await, SOUND);
        alice.request("NOTIFY").await;
        assert_eq!(alice.request("NOTIFY").await.body().as_ref(), b"SIP/2.0 200 OK\r\n");
    }
    assert_eq!(alice.send("BYE", &[]).await.status(), 200);
    // She comes back from another telephone, and goes for good.
    let mut again = house.call("alice", 440.0).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(again.send("BYE", &[]).await.status(), 200);
    let ended = tokio::time::timeout(Duration::from_secs(20), house.called.recv()).await.unwrap().unwrap();
    let reason = ended.request.value(Name::Reason).unwrap();
    assert!(reason.contains("Who Asked For This Call Has Gone"), "{reason}");
    house.until_audio("bob", Audio::SendReceive).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_becomes_of_a_call_that_is_asked_for_is_told() {
    let mut house = House::start().await;
    let mut alice = house.call("alice", 440.0).await;
    let refer = [("Refer-To", "<sip:bob@example.org>")];
    // Who refuses a phone's offer is offered a browser's.
    assert_eq!(alice.send("REFER", &refer).await.status(), 202);
    let incoming = called(&mut house, "INVITE").await;
    incoming.server.respond(Message::response(&incoming.request, 488, ""));
    let incoming = called(&mut house, "INVITE").await;
    let offer = String::from_utf8_lossy(incoming.request.body()).into_owned();
    assert!(offer.contains(" UDP/TLS/RTP/SAVPF ") && offer.contains("a=setup:actpass"), "{offer}");
    pick_up(&incoming, BROWSER);
    house.until(|p| p.jid == Some(crate::house::jid("bob")) && p.is_encrypted).await;
    alice.request("NOTIFY").await;
    assert_eq!(alice.request("NOTIFY").await.body().as_ref(), b"SIP/2.0 200 OK\r\n");
    for (status, line) in [(486, "SIP/2.0 486 Busy Here\r\n"), (200, "SIP/2.0 488 Not Acceptable Here\r\n")] {
        assert_eq!(alice.send("REFER", &refer).await.status(), 202);
        let incoming = called(&mut house, "INVITE").await;
        match status {
            200 => pick_up(&incoming, ""),
            status => incoming.server.respond(Message::response(&incoming.request, status, "")),
        }
        alice.request("NOTIFY").await;
        assert_eq!(String::from_utf8_lossy(alice.request("NOTIFY").await.body()), line);
        if status == 200 {
            called(&mut house, "BYE").await;
        }
    }
    house.affiliations(vec![(crate::house::jid("bob"), Affiliation::Outcast)]);
    house.happens(shared_model::RoomEvent::AffiliationChanged {
        room: crate::house::ROOM.parse().unwrap(),
        jid: crate::house::jid("bob"),
        affiliation: Affiliation::Outcast,
    });
    let mut refused = house.silent_phone("carol").await;
    assert_eq!(refused.send("REFER", &refer).await.status(), 403, "whom the room bans is not called");
    for (name, to, status) in [
        ("stranger", "<sip:carol@example.org>", 403),
        ("alice", "<tel:+33123456789>", 403),
        ("alice", "<mailto:bob@example.org>", 501),
        ("alice", "<sip:other@conference.example.org>", 403),
        ("alice", "<sip:somebody@elsewhere.example>", 403),
        ("alice", "<sip:+15550100@elsewhere.example>", 403),
        ("alice", "<sip:+15550100@example.org>", 202),
    ] {
        let mut phone = house.silent_phone(name).await;
        assert_eq!(phone.send("REFER", &[("Refer-To", to)]).await.status(), status, "{to}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_takes_the_place_of_another_of_the_same_account() {
    let house = House::start().await;
    let mut first = house.call("alice", 440.0).await;
    first.press("*6");
    house.until_audio("alice", Audio::Muted).await;
    let names = first.names();
    let mut bob = house.silent_phone("bob").await;
    assert_eq!(bob.invite_with("Join", &names).await.status(), 200);
    for name in ["Replaces", "Join"] {
        let mut bob = house.silent_phone("bob").await;
        assert_eq!(bob.invite_with(name, "nothing;to-tag=1;from-tag=2").await.status(), 481);
    }
    let mut second = house.silent_phone("alice").await;
    let early = format!("{names};early-only");
    assert_eq!(second.invite_with("Replaces", &early).await.status(), 486, "RFC 3891 §3");
    assert_eq!(second.invite_with("Replaces", &names).await.status(), 200);
    let bye = first.request("BYE").await;
    assert!(bye.value(Name::Reason).unwrap().contains("Replaced"));
    house.until_audio("alice", Audio::Muted).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_calls_again_has_one_leg() {
    let house = House::start().await;
    let mut phones = Vec::new();
    for instance in ["a1", "b2"] {
        let mut phone = house.silent_phone("alice").await;
        phone.features = format!(";+sip.instance=\"<urn:uuid:{instance}>\"");
        assert_eq!(phone.invite(URI).await.status(), 200);
        phones.push(phone);
    }
    // It fell, and knows nothing of its first call.
    let mut again = house.silent_phone("alice").await;
    again.features = phones[0].features.clone();
    assert_eq!(again.invite(URI).await.status(), 200);
    assert!(phones[0].request("BYE").await.value(Name::Reason).unwrap().contains("Replaced"));
    // Another account's device of that name is another.
    let mut bob = house.silent_phone("bob").await;
    bob.features = again.features.clone();
    assert_eq!(bob.invite(URI).await.status(), 200);
    let text = house.watch("bob").await.document().await;
    assert_eq!(text.matches("<media id=\"1\">").count(), 3, "{text}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attended_transfer_puts_somebody_else_in_the_place_of_a_leg() {
    let house = House::start().await;
    let mut alice = house.call("alice", 440.0).await;
    alice.press("*6");
    house.until_audio("alice", Audio::Muted).await;
    let names = alice.names();
    house.affiliations(vec![(crate::house::jid("carol"), Affiliation::Outcast)]);
    let mut carol = house.silent_phone("carol").await;
    assert_eq!(
        carol.invite_with("Replaces", &names).await.status(),
        403,
        "by her own right she may not come"
    );
    let mut bob = house.silent_phone("bob").await;
    assert_eq!(bob.invite_with("Replaces", &names).await.status(), 403, "RFC 3891 §3: he was not sent");
    let mut bob = house.silent_phone("bob").await;
    let sent = [("Replaces", names.as_str()), ("Referred-By", "<sip:alice@example.org>")];
    assert_eq!(bob.invite_with_all(&sent).await.status(), 200);
    let bye = alice.request("BYE").await;
    assert!(bye.value(Name::Reason).unwrap().contains("Replaced"));
    // The key that alice pressed was hers.
    house.until_audio("bob", Audio::SendReceive).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_to_the_factory_makes_a_conference_without_a_room() {
    let house = House::start().await;
    let mut alice = house.silent_phone("alice").await;
    assert_eq!(alice.invite("sip:adhoc@conference.example.org").await.status(), 200);
    assert!(alice.uri.starts_with("sip:adhoc-"), "{}", alice.uri);
    let made = alice.uri.clone();
    let mut bob = house.silent_phone("bob").await;
    assert_eq!(bob.invite(&made).await.status(), 200);
    assert_eq!(house.invite("stranger", &made).await, 403);
    assert_eq!(alice.send("SUBSCRIBE", &[("Event", "conference")]).await.status(), 200);
    let text = alice.document().await;
    assert!(text.contains("sip:bob@example.org") && !text.contains("grouptextchat"), "{text}");
    let mut phones = [alice, bob];
    crate::house::talk::<2>(&mut phones, 20);
    let heard = crate::house::talk::<2>(&mut phones, 50);
    assert_eq!(heard, [[true; 2]; 2], "both say the same tone, and hear the other");
    // Its maker moderates it, and it is gone with the last.
    let [alice, bob] = &mut phones;
    let remove = [("Refer-To", "<sip:bob@example.org;method=BYE>"), ("Refer-Sub", "false")];
    assert_eq!(alice.send("REFER", &remove).await.status(), 202);
    bob.request("BYE").await;
    assert_eq!(alice.send("SUBSCRIBE", &[("Event", "conference"), ("Expires", "0")]).await.status(), 200);
    assert_eq!(alice.send("BYE", &[]).await.status(), 200);
    let gone = async { while house.invite("carol", &made).await != 404 {} };
    tokio::time::timeout(Duration::from_secs(10), gone).await.unwrap();
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_have_an_age() {
    let house = House::start().await;
    let mut alice = house.silent_phone("alice").await;
    let brief = alice.invite_with("Session-Expires", "30").await;
    assert_eq!(brief.status(), 200, "who does not know timers is not refused");
    let mut bob = house.silent_phone("bob").await;
    bob.supported = "timer, replaces".to_owned();
    let refused = bob.invite_with("Session-Expires", "30").await;
    assert_eq!((refused.status(), refused.value(Name::MinSe)), (422, Some("90")));
    let taken = bob.invite_with("Session-Expires", "1800;refresher=uac").await;
    assert_eq!(taken.value(Name::SessionExpires), Some("1800;refresher=uac"));
    assert_eq!(taken.value(Name::Require), Some("timer"));
    let again = bob.send("UPDATE", &[("Session-Expires", "900;refresher=uac")]).await;
    assert_eq!((again.status(), again.value(Name::SessionExpires)), (200, Some("900;refresher=uac")));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_calls_to_one_room_are_busy_beyond_its_limit() {
    let house = House::start_with(Config { legs: 5, ..quiet() }).await;
    let mut alice = house.silent_phone("alice").await;
    let statuses = alice.flood(1_000).await;
    assert_eq!(statuses.into_iter().collect::<Vec<_>>(), [(200, 5), (486, 995)]);
    assert_eq!(house.invite("bob", URI).await, 486);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_changes_at_once_are_told_together() {
    let house = House::start().await;
    let mut watcher = house.watch("carol").await;
    watcher.document().await;
    let mut alice = house.call("alice", 440.0).await;
    assert!(watcher.document().await.contains("version=\"1\""), "the first change at once");
    for _ in 0..10 {
        alice.press("*9");
        house.until(|participant| participant.is_hand_up).await;
        alice.press("*9");
        house.until(|participant| !participant.is_hand_up).await;
    }
    alice.press("*6");
    house.until_audio("alice", Audio::Muted).await;
    let mut documents = Vec::new();
    while documents.last().is_none_or(|text: &String| !text.contains("muted-via-focus")) {
        documents.push(watcher.document().await);
    }
    assert!(documents.len() <= 3, "{} for 21 changes", documents.len());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_legs_of_one_account_are_two_endpoints_of_one_user() {
    let house = House::start().await;
    let (_first, _second) = (house.call("alice", 440.0).await, house.call("alice", 700.0).await);
    let text = house.watch("alice").await.document().await;
    assert_eq!(text.matches("<user entity=").count(), 1, "{text}");
    assert_eq!(text.matches("<media id=\"1\">").count(), 2, "{text}");
    assert!(text.contains("<user-count>1</user-count>"));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_occupant_who_asks_in_the_chat_is_told_what_a_watcher_is() {
    let house = House::start().await;
    let room = crate::house::ROOM.parse().unwrap();
    let document = |name: &str| {
        let viewer = crate::house::jid(name);
        let (focus, room) = (&house.focus, &room);
        async move { focus.document(room, &viewer).await.unwrap() }
    };
    assert_eq!(document("carol").await, None, "there is no call");
    let _alice = house.call("alice", 440.0).await;
    house.until_audio("alice", Audio::SendReceive).await;
    let told = document("carol").await.unwrap();
    assert_eq!(told, house.watch("carol").await.document().await);
    assert!(told.contains("<media id=\"1\">"));
    house.stop().await;
}
