//! A room and its call — RFC 7081 §4.

use crate::common::rooms::{ROOM, room};
use crate::common::{Client, serve};
use shared_model::{
    Audio, BareJid, CallOutError, ConferenceDirectory, ConferenceEvent, ConferenceSnapshot, Correlation,
    Deed, Fact, ModerationError, Participant, Pending, RoomAddress, RoomEvent, Unavailable,
};

#[tokio::test]
async fn occupants_wear_what_they_do_in_the_call() {
    let served = serve().await;
    let (mut alice, _bob) = room(&served).await;
    let tell = |participant: Participant, call_id: &str, is_new: bool| {
        let room: RoomAddress = ROOM.parse().unwrap();
        let call_id = call_id.to_owned();
        let correlation = Correlation::of_room(&room);
        served.bus.publish(if is_new {
            Fact::new(correlation, ConferenceEvent::ParticipantJoined { room, call_id, participant })
        } else {
            Fact::new(correlation, ConferenceEvent::ParticipantLeft { room, call_id, participant })
        });
    };
    let bobs = Participant {
        account: None,
        jid: Some("bob@example.org".parse().unwrap()),
        uri: "sip:bob@sip.example.org".into(),
        display_name: "Bob".into(),
        audio: Audio::Muted,
        has_video: false,
        is_hand_up: false,
        gain: 0,
        is_encrypted: false,
    };
    tell(bobs.clone(), "c1", true);
    alice.expect(&["<presence", "/Bob'", "urn:cusax:call:0#muted"]).await;
    let (is_hand_up, is_encrypted) = (true, true);
    tell(Participant { is_hand_up, is_encrypted, ..bobs.clone() }, "c1", true);
    alice.expect(&["<presence", "urn:cusax:call:0#hand", "urn:cusax:call:0#encrypted"]).await;
    let recorded = |is_recorded| {
        let room: RoomAddress = ROOM.parse().unwrap();
        let changed = ConferenceEvent::RecordingChanged { room: room.clone(), is_recorded };
        served.bus.publish(Fact::new(Correlation::of_room(&room), changed));
    };
    recorded(true);
    let notice = alice.expect(&["<message", "The call is being recorded."]).await;
    assert!(notice.contains(&format!("from='{ROOM}'")) && notice.contains("recorded='true'"), "{notice}");
    let mut late = Client::online(&served, "carol", "c").await;
    late.send(&format!("<presence to='{ROOM}/Carol'><x xmlns='http://jabber.org/protocol/muc'/></presence>"))
        .await;
    late.expect(&["<message", "The call is being recorded."]).await;
    recorded(false);
    alice.expect(&["<message", "not recorded any more"]).await;
    let guest = Participant { jid: None, uri: "sip:+331@pstn.example".into(), ..bobs.clone() };
    tell(guest.clone(), "c2", true);
    let notice = alice.expect(&["<call", "sip:+331@pstn.example"]).await;
    assert!(notice.contains("<body>Bob (sip:+331@pstn.example) is in the call.</body>"), "{notice}");
    let loud = Participant { audio: Audio::SendReceive, ..guest.clone() };
    tell(loud.clone(), "c2", true);
    let notice = alice.expect(&["<call", "audio='audio'"]).await;
    assert!(!notice.contains("<body"), "nobody came or went: {notice}");
    late.send(&format!("<presence type='unavailable' to='{ROOM}/Carol'/>")).await;
    late.send(&format!("<presence to='{ROOM}/Carol'><x xmlns='http://jabber.org/protocol/muc'/></presence>"))
        .await;
    late.expect(&["<body>In the call, and not in this room: Bob (sip:+331@pstn.example).</body>"]).await;
    tell(loud, "c2", false);
    alice.expect(&["<body>Bob (sip:+331@pstn.example) left the call.</body>"]).await;
    // A second device of Bob's, in the clear and with pictures.
    tell(Participant { has_video: true, audio: Audio::SendReceive, ..bobs.clone() }, "c3", true);
    let both = alice.expect(&["<presence", "/Bob'", "#audio", "#video", "#hand", "#unencrypted"]).await;
    assert!(!both.contains("#muted") && !both.contains("#encrypted"), "{both}");
    tell(bobs.clone(), "c3", false);
    tell(bobs, "c1", false);
    alice.expect(&["<presence", "/Bob'", "#muted"]).await;
    assert!(!alice.expect(&["<presence", "/Bob'"]).await.contains("urn:xmpp:hats:0"));
}

/// A focus that says who is in the call.
struct Call(Vec<(String, Participant)>);

impl ConferenceDirectory for Call {
    fn conference<'a>(
        &'a self,
        room: &'a RoomAddress,
    ) -> Pending<'a, Result<Option<ConferenceSnapshot>, Unavailable>> {
        let (room, participants) = (room.clone(), self.0.clone());
        Box::pin(async move { Ok(Some(ConferenceSnapshot { room, participants, is_recorded: true })) })
    }

    fn document<'a>(
        &'a self,
        room: &'a RoomAddress,
        viewer: &'a BareJid,
    ) -> Pending<'a, Result<Option<String>, Unavailable>> {
        let document = format!(
            "<?xml version=\"1.0\"?>\r\n<conference-info xmlns=\"urn:ietf:params:xml:ns:conference-info\" \
             entity=\"{}\" state=\"full\" version=\"0\"><users><user entity=\"xmpp:{viewer}\"/></users></conference-info>",
            room.to_sip_uri()
        );
        Box::pin(async move { Ok(Some(document)) })
    }
}

#[tokio::test]
async fn occupants_who_ask_are_told_of_the_call() {
    let served = serve().await;
    let (mut alice, _bob) = room(&served).await;
    let ask = "<conference-info xmlns='urn:ietf:params:xml:ns:conference-info'/>";
    assert!(alice.ask("get", ROOM, ask).await.contains("item-not-found"), "there is no focus");
    served.server.attach_calls(std::sync::Arc::new(Call(Vec::new())));
    let told = alice.ask("get", ROOM, ask).await;
    assert!(told.contains("type='result'") && told.contains("entity='xmpp:alice@example.org'"), "{told}");
    let mut carol = Client::online(&served, "carol", "c").await;
    assert!(carol.ask("get", ROOM, ask).await.contains("not-acceptable"), "carol is not inside");
    let info = alice.ask("get", ROOM, "<query xmlns='http://jabber.org/protocol/disco#info'/>").await;
    assert!(info.contains("urn:xmpp:coin:1"));
}

/// A focus that says what it was asked to do to whom, for whom; it knows Guest alone.
struct Asked(tokio::sync::mpsc::UnboundedSender<(String, String, Deed)>);

impl ConferenceDirectory for Asked {
    fn conference<'a>(
        &'a self,
        _: &'a RoomAddress,
    ) -> Pending<'a, Result<Option<ConferenceSnapshot>, Unavailable>> {
        Box::pin(async { Ok(None) })
    }

    fn adjust<'a>(
        &'a self,
        _: &'a RoomAddress,
        asker: &'a BareJid,
        whom: &'a str,
        deed: Deed,
    ) -> Pending<'a, Result<(), ModerationError>> {
        self.0.send((asker.to_string(), whom.to_owned(), deed)).unwrap();
        let is_there = whom == "Guest" || whom == "Bob";
        Box::pin(async move { if is_there { Ok(()) } else { Err(ModerationError::Nobody) } })
    }
}

/// XEP-0045 §8.3, §8.4, S-40.
#[tokio::test]
async fn a_moderator_deals_with_one_person_in_the_call_by_a_word() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    let say =
        |text: &str| format!("<message type='groupchat' to='{ROOM}' id='c'><body>{text}</body></message>");
    alice.send(&say("/gain Bob +3")).await;
    alice.expect(&["<message", "Not done: the other half does not answer."]).await;
    let (asked, mut wishes) = tokio::sync::mpsc::unbounded_channel();
    served.server.attach_calls(std::sync::Arc::new(Asked(asked)));
    for (text, whom, deed, told) in [
        ("/mute Guest", "Guest", Deed::Mute, "Guest is muted in the call."),
        ("/unmute Guest", "Guest", Deed::Unmute, "Guest is heard in the call."),
        (
            "/gain Bob -3",
            "Bob",
            Deed::Gain(-3),
            "Bob is heard 3 dB quieter than before, as far as that goes.",
        ),
        ("/mute Nobody", "Nobody", Deed::Mute, "Not done: nobody of that name is there."),
    ] {
        alice.send(&say(text)).await;
        alice.expect(&["<message", &format!("<body>{told}</body>")]).await;
        assert_eq!(wishes.recv().await.unwrap(), ("alice@example.org".to_owned(), whom.to_owned(), deed));
    }
    // An occupant's voice is the room's, whose call follows it.
    alice.send(&say("/mute Bob")).await;
    bob.expect(&["<presence", "/Bob'", "role='visitor'"]).await;
    alice.expect(&["<message", "<body>Bob has no voice any more.</body>"]).await;
    alice.send(&say("/unmute Bob")).await;
    bob.expect(&["<presence", "/Bob'", "role='participant'"]).await;
    for (text, told) in
        [("/mute Alice", "is not yours to give or take"), ("/gain Bob 99", "Not done: it is /mute NAME")]
    {
        alice.send(&say(text)).await;
        alice.expect(&["<message", told]).await;
    }
    bob.send(&say("/mute Alice")).await;
    let told = bob.expect(&["<message"]).await;
    assert!(told.contains("only moderators do that"), "nothing was said to all before: {told}");
    assert!(wishes.try_recv().is_err(), "nothing else was asked of the focus");
}

#[tokio::test]
async fn who_is_named_after_the_command_call_is_called_and_the_asker_alone_is_told() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    let say =
        |text: &str| format!("<message type='groupchat' to='{ROOM}' id='c'><body>{text}</body></message>");
    bob.send(&say("/call Alice")).await;
    bob.expect(&["Alice is not in the call: no calls can be made now"]).await;
    let (asked, mut calls) = tokio::sync::mpsc::unbounded_channel();
    served.server.attach_calls(std::sync::Arc::new(Dialled(asked)));
    for (word, uri) in [
        ("Alice", "sip:alice@sip.example.org"),
        ("xmpp:carol@example.org", "sip:carol@sip.example.org"),
        ("carol", "sip:carol@sip.example.org"),
        ("sip:dan@other.example", "sip:dan@other.example"),
        ("+49-30-123", "sip:+4930123@sip.example.org"),
    ] {
        bob.send(&say(&format!("/call {word}"))).await;
        let calling = bob.expect(&["<message", &format!("<body>Calling {word}.</body>")]).await;
        assert!(calling.contains(&format!("from='{ROOM}'")) && calling.contains("id='c'"), "{calling}");
        assert_eq!(calls.recv().await.unwrap(), ("bob@example.org".to_owned(), uri.to_owned()));
        let refused = word.starts_with('+');
        let outcome = if refused { "is not in the call: 403 No" } else { "is in the call." };
        bob.expect(&["<message", &format!("<body>{word} {outcome}</body>")]).await;
    }
    bob.send(&say("/call Alice carol@example.org nobody")).await;
    bob.expect(&["Calling Alice, carol@example.org, nobody."]).await;
    bob.expect(&["nobody is not in the call: nobody of that name can be called"]).await;
    bob.send(&say(&format!("/call {}", "a ".repeat(11)))).await;
    bob.expect(&["Not called: that is more than 10 at once."]).await;
    // A word of another meaning is said.
    bob.send(&say("/callers are welcome")).await;
    bob.expect(&["<body>/callers are welcome</body>"]).await;
    let said = alice.expect(&["<message"]).await;
    assert!(said.contains("/callers are welcome"), "nothing else was said to all: {said}");
}

/// A focus that calls everybody but numbers.
struct Dialled(tokio::sync::mpsc::UnboundedSender<(String, String)>);

impl ConferenceDirectory for Dialled {
    fn conference<'a>(
        &'a self,
        _room: &'a RoomAddress,
    ) -> Pending<'a, Result<Option<ConferenceSnapshot>, Unavailable>> {
        Box::pin(async { Ok(None) })
    }

    fn call_out<'a>(
        &'a self,
        _room: &'a RoomAddress,
        asker: &'a BareJid,
        callee: &'a str,
    ) -> Pending<'a, Result<(), CallOutError>> {
        self.0.send((asker.to_string(), callee.to_owned())).unwrap();
        Box::pin(async move {
            if callee.contains('+') { Err(CallOutError::Refused("403 No".to_owned())) } else { Ok(()) }
        })
    }
}

/// On one thread, so that nobody reads before so many facts are there that some are dropped.
#[tokio::test]
async fn dropped_facts_are_made_up_for_by_asking_the_focus() {
    let served = serve().await;
    let (mut alice, _bob) = room(&served).await;
    let bobs = Participant {
        account: None,
        jid: Some("bob@example.org".parse().unwrap()),
        uri: "sip:bob@sip.example.org".into(),
        display_name: "Bob".into(),
        audio: Audio::SendReceive,
        has_video: false,
        is_hand_up: false,
        gain: 0,
        is_encrypted: false,
    };
    let address: RoomAddress = ROOM.parse().unwrap();
    served.server.attach_calls(std::sync::Arc::new(Call(vec![("c1".to_owned(), bobs)])));
    for _ in 0..5_000 {
        let room = address.clone();
        served.bus.publish(Fact::new(Correlation(0), RoomEvent::Created { room }));
    }
    alice.expect(&["<presence", "/Bob'", "urn:cusax:call:0#audio"]).await;
    alice.expect(&["<message", "The call is being recorded.", "recorded='true'"]).await;
}
