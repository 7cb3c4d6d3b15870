//! What documents say, to whom.

use super::*;
use shared_model::{Affiliation, Audio, Role, RoomAccess};
use sip_core::sdp::Direction;

const OUTLINE: Outline<'_> =
    Outline { host: "conference.example.org", chat: true, join: true, call: false, video: true, most: 9 };

fn snapshot() -> RoomSnapshot {
    let occupant = |nick: &str, name: &str| Occupant {
        nick: nick.to_owned(),
        jid: format!("{name}@example.org").parse().unwrap(),
        role: Role::Participant,
        affiliation: Affiliation::None,
    };
    RoomSnapshot {
        room: "dev@conference.example.org".parse().unwrap(),
        name: "R&D".to_owned(),
        subject: String::new(),
        description: String::new(),
        access: RoomAccess::default(),
        affiliations: Vec::new(),
        occupants: vec![occupant("Al", "alice"), occupant("Bo", "bob")],
    }
}

fn alice(audio: Audio) -> Seen {
    let participant = Participant {
        account: None,
        jid: "alice@example.org".parse().ok(),
        uri: "sip:alice@example.org".to_owned(),
        display_name: "Alice".to_owned(),
        audio,
        has_video: false,
        is_hand_up: false,
        gain: 0,
        is_encrypted: false,
    };
    let contact = "sip:alice@192.0.2.1".to_owned();
    let since = Some(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_109_966_400));
    Seen {
        participant,
        contact,
        is_speaking: false,
        is_called: false,
        video: None,
        since,
        sources: [None; 2],
        languages: String::new(),
        referred: None,
        names: None,
        stage: Stage::There,
    }
}

#[test]
fn shows_who_has_text_and_who_has_audio() {
    let room = snapshot();
    let text = View::of(&room.room, Some(&room), &[alice(Audio::SendReceive)], &Viewer::Trusted, OUTLINE)
        .full("sip:dev@x", 0);
    assert!(text.contains("<display-text>R&amp;D</display-text>"), "{text}");
    assert!(text.contains("<uri>xmpp:dev@conference.example.org?join</uri><purpose>grouptextchat</purpose>"));
    let (alice, bob) = text.split_once("entity=\"xmpp:bob@example.org\"").unwrap();
    assert!(alice.contains("<type>audio</type>") && alice.contains("<type>text</type>"));
    assert!(bob.contains("<type>text</type>") && !bob.contains("<type>audio</type>"));
    assert!(text.contains("<user-count>2</user-count>"));
}

#[test]
fn shows_where_devices_are_to_moderators_and_their_owner_alone() {
    let room = snapshot();
    let mut empty = room.clone();
    empty.occupants.clear();
    let seen = |viewer| {
        View::of(&room.room, Some(&empty), &[alice(Audio::SendReceive)], &viewer, OUTLINE)
            .full("sip:dev@x", 0)
    };
    let of = |name: &str| Viewer::Ordinary(format!("{name}@example.org").parse().ok());
    assert!(seen(Viewer::Trusted).contains("192.0.2.1") && seen(of("alice")).contains("192.0.2.1"));
    let to_bob = seen(of("bob"));
    assert!(
        !to_bob.contains("192.0.2.1") && to_bob.contains("entity=\"sip:alice@example.org;opaque="),
        "{to_bob}"
    );
    let entity = to_bob.split("entity=\"").find(|rest| rest.starts_with("sip:alice@example.org;")).unwrap();
    let uri = sip_core::Uri::parse(entity.split('"').next().unwrap()).unwrap();
    assert_eq!(uri.host, "example.org", "phones read it as a SIP URI");
}

#[test]
fn says_who_speaks_and_whose_hand_is_up() {
    let room = snapshot();
    let text = |seen: Seen| {
        View::of(&room.room, Some(&room), &[seen], &Viewer::Trusted, OUTLINE).full("sip:dev@x", 0)
    };
    let quiet = alice(Audio::Muted);
    let clear = "</endpoint><unencrypted xmlns=\"urn:cusax:call:0\"/></user>";
    assert!(text(quiet.clone()).contains(clear) && !text(quiet.clone()).contains("speaking"));
    let mut busy = Seen { is_speaking: true, video: Some(Direction::SendOnly), ..quiet };
    busy.participant.is_hand_up = true;
    let text = text(busy);
    assert!(text.contains(
        "<media id=\"3\"><type>video</type><label>video</label><status>sendonly</status></media></endpoint>"
    ));
    let end = "<hand-raised xmlns=\"urn:cusax:call:0\"/><speaking xmlns=\"urn:cusax:call:0\"/>";
    assert!(text.contains(&format!("</endpoint>{end}<unencrypted")), "{text}");
}

#[test]
fn legs_of_one_person_are_endpoints_before_what_we_say_of_them() {
    let room = snapshot();
    let mut secret = alice(Audio::SendReceive);
    (secret.participant.is_encrypted, secret.contact) = (true, "sip:alice@192.0.2.2".to_owned());
    let clear = Seen { is_speaking: true, ..alice(Audio::SendReceive) };
    for viewer in [Viewer::Trusted, Viewer::Ordinary(None)] {
        let text = |legs: &[Seen]| {
            let document = View::of(&room.room, Some(&room), legs, &viewer, OUTLINE).full("sip:dev@x", 0);
            document.split("<user ").skip(1).find(|user| user.contains("<type>audio")).unwrap().to_owned()
        };
        assert!(text(std::slice::from_ref(&secret)).contains("</endpoint><encrypted"));
        let both = text(&[secret.clone(), clear.clone()]);
        let (endpoints, marks) = both.rsplit_once("</endpoint>").unwrap();
        assert_eq!(endpoints.matches("<endpoint ").count(), 3, "two of sound, one of text: {both}");
        assert!(!endpoints.contains(OURS), "{both}");
        assert!(
            marks.starts_with("<speaking") && marks.contains("<unencrypted") && !marks.contains("<encrypted")
        );
        let entities: BTreeSet<&str> = endpoints.split("<endpoint entity=\"").skip(1).collect();
        assert_eq!(entities.len(), 3, "{both}");
    }
}

#[test]
fn says_since_when_and_by_which_source_somebody_is_heard_and_what_could_be_had() {
    let room = snapshot();
    let view = |seen: &Seen, outline| {
        View::of(&room.room, Some(&room), std::slice::from_ref(seen), &Viewer::Trusted, outline)
    };
    let quiet = alice(Audio::SendReceive);
    let heard = Seen {
        sources: [Some(4_000_000_000), Some(7)],
        video: Some(Direction::SendReceive),
        ..quiet.clone()
    };
    let (before, after) = (view(&quiet, OUTLINE), view(&heard, OUTLINE));
    let text = after.full("sip:dev@x", 0);
    // §6: the order of elements is the schema's.
    let endpoint = "<status>connected</status><joining-method>dialed-in</joining-method>\
        <joining-info><when>2005-03-04T20:00:00Z</when></joining-info>\
        <media id=\"1\"><type>audio</type><label>audio</label><src-id>4000000000</src-id><status>sendrecv</status></media>\
        <media id=\"3\"><type>video</type><label>video</label><src-id>7</src-id><status>sendrecv</status></media></endpoint>";
    assert!(text.contains(endpoint), "{text}");
    let entry =
        |kind: &str| format!("<entry label=\"{kind}\"><type>{kind}</type><status>sendrecv</status></entry>");
    let all = ["audio", "text", "video"].map(entry).concat();
    let end = "</available-media></conference-description><host-info>\
        <display-text>conference.example.org</display-text></host-info><conference-state>";
    assert!(text.contains(&format!("</maximum-user-count><available-media>{all}{end}")), "{text}");
    assert!(text.contains("<active>true</active><locked>false</locked></conference-state>"));
    let bare = view(&quiet, Outline { chat: false, video: false, ..OUTLINE }).full("sip:dev@x", 0);
    assert!(bare.contains(&format!("<available-media>{}{end}", entry("audio"))), "{bare}");
    assert!(!bare.contains("src-id"));
    // That somebody is heard changes their user alone.
    let (news, _) = after.partial(&before, "sip:dev@x", 1).unwrap();
    assert!(news.contains("<src-id>4000000000</src-id>") && news.matches("<user ").count() == 1, "{news}");
    assert!(!news.contains("available-media"));
}

#[test]
fn says_where_else_the_conference_is_if_it_is_to() {
    let room = snapshot();
    let of = |chat, call| {
        let outline = Outline { chat, join: false, call, video: false, ..OUTLINE };
        View::of(&room.room, None, &[], &Viewer::Trusted, outline).full("sip:dev@x", 0)
    };
    let conf = "<conf-uris><entry><uri>sip:dev@conference.example.org</uri><purpose>participation</purpose></entry></conf-uris>";
    assert!(of(true, true).contains(&format!("{conf}<service-uris>")));
    assert!(!of(false, false).contains("-uris"));
    assert!(of(true, false).contains("<uri>xmpp:dev@conference.example.org</uri><purpose>grouptextchat<"));
}

#[test]
fn says_what_changed_and_nothing_else() {
    let room = snapshot();
    let view =
        |participants: &[_]| View::of(&room.room, Some(&room), participants, &Viewer::Trusted, OUTLINE);
    let (before, after) = (view(&[alice(Audio::SendReceive)]), view(&[alice(Audio::Muted)]));
    assert_eq!(before.partial(&before, "sip:dev@x", 1), None);
    let (muted, known) = after.partial(&before, "sip:dev@x", 1).unwrap();
    assert_eq!(known, after);
    assert!(muted.contains("state=\"partial\" version=\"1\"") && muted.contains("muted-via-focus"));
    assert!(!muted.contains("bob") && !muted.contains("conference-description"));
    let (left, _) = view(&[]).partial(&before, "sip:dev@x", 2).unwrap();
    assert!(left.contains("<user entity=\"sip:alice@example.org\" state=\"deleted\"/>"));
    assert!(left.contains("<user entity=\"xmpp:alice@example.org\" state=\"full\">"));
}

#[test]
fn what_is_too_long_for_one_document_comes_in_several() {
    let mut room = snapshot();
    room.occupants =
        (0..400).map(|n| Occupant { nick: format!("nick-{n}"), ..room.occupants[n % 2].clone() }).collect();
    let view = |room: &RoomSnapshot| View::of(&room.room, Some(room), &[], &Viewer::Ordinary(None), OUTLINE);
    let (all, none) = (view(&room), view(&RoomSnapshot { occupants: Vec::new(), ..room.clone() }));
    let (first, mut known) = all.first("sip:dev@x", 0);
    assert!(first.contains("state=\"full\" version=\"0\"") && first.contains("<user-count>400<"));
    let mut told = vec![first];
    while let Some((text, next)) = all.partial(&known, "sip:dev@x", told.len() as u32) {
        told.push(text);
        known = next;
    }
    assert!(told.len() > 2 && told.iter().all(|text| text.len() < LONGEST + 1_000));
    assert!(
        told[1].contains("<conference-info xmlns=\"urn:ietf:params:xml:ns:conference-info\"")
            && !told[1].contains("<conference-description>")
    );
    let users = |text: &String| text.matches("<user entity=").count();
    assert_eq!(told.iter().map(users).sum::<usize>(), 400, "each once");
    // All go at once.
    let mut deleted = 0;
    while let Some((text, next)) = none.partial(&known, "sip:dev@x", 9) {
        deleted += text.matches("state=\"deleted\"").count();
        known = next;
    }
    assert_eq!((deleted, known), (400, none));
}

/// How alice left, in the room's eyes.
fn left(nick: Option<&str>, by: Option<Person>) -> Seen {
    let seen = alice(Audio::SendReceive);
    let (when, reason) = (seen.since.unwrap(), Some("Reason: SIP;cause=200;text=\"Bye\"".to_owned()));
    let stage = Stage::Gone(Gone { method: Method::Booted, when, reason, by, nick: nick.map(str::to_owned) });
    Seen { stage, ..seen }
}

/// §5.7.6, §5.7.7, and §6: the order of elements is the schema's.
#[test]
fn says_how_somebody_left_and_counts_them_no_more() {
    let room = snapshot();
    let by = Person { jid: "bob@example.org".parse().unwrap(), uri: "sip:bob@example.org".to_owned() };
    let text = |viewer: &Viewer, seen: &[Seen]| {
        View::of(&room.room, Some(&room), seen, viewer, OUTLINE).full("sip:dev@x", 0)
    };
    let seen = [left(Some("Al"), Some(by))];
    let full = text(&Viewer::Trusted, &seen);
    let endpoint = "<endpoint entity=\"sip:alice@192.0.2.1\"><status>disconnected</status>\
        <joining-method>dialed-in</joining-method><joining-info><when>2005-03-04T20:00:00Z</when></joining-info>\
        <disconnection-method>booted</disconnection-method><disconnection-info><when>2005-03-04T20:00:00Z</when>\
        <reason>Reason: SIP;cause=200;text=&quot;Bye&quot;</reason><by>sip:bob@example.org</by></disconnection-info></endpoint></user>";
    assert!(full.contains(endpoint), "{full}");
    assert!(
        full.contains("<user-count>2</user-count>") && full.contains("entity=\"xmpp:alice@example.org\"")
    );
    // Neither who left nor who had them leave has another name than their nick, also after they left the chat.
    for occupants in [room.occupants.clone(), room.occupants[1..].to_vec()] {
        let room = RoomSnapshot { occupants, ..room.clone() };
        let count = room.occupants.len();
        let masked = View::of(&room.room, Some(&room), &seen, &Viewer::Ordinary(None), OUTLINE).full("x", 0);
        let name = "xmpp:dev@conference.example.org/";
        assert!(
            !masked.contains("alice") && !masked.contains("sip:bob") && !masked.contains("192.0.2.1"),
            "{masked}"
        );
        assert!(
            masked.contains(&format!("<by>{name}Bo</by>"))
                && masked.contains(&format!("<user entity=\"{name}Al\""))
        );
        assert!(masked.contains("<disconnection-method>booted<"), "{masked}");
        assert!(masked.contains(&format!("<user-count>{count}</user-count>")), "{masked}");
    }
}

/// §5.7.9, §8.2.
#[test]
fn dialogs_are_for_moderators_alone() {
    let room = snapshot();
    let names = DialogNames { call_id: "a<b".to_owned(), from_tag: "f".to_owned(), to_tag: "t".to_owned() };
    let referred = Referred { when: std::time::UNIX_EPOCH, by: None };
    let seen = Seen {
        names: Some(names),
        languages: "de en-GB".to_owned(),
        referred: Some(referred),
        ..alice(Audio::SendReceive)
    };
    let text = |viewer| {
        View::of(&room.room, Some(&room), std::slice::from_ref(&seen), &viewer, OUTLINE).full("x", 0)
    };
    let call = "</media><call-info><sip><call-id>a&lt;b</call-id><from-tag>f</from-tag><to-tag>t</to-tag></sip></call-info></endpoint>";
    let moderator = |name: &str| Viewer::Moderator(format!("{name}@example.org").parse().unwrap());
    let full = text(moderator("bob"));
    assert!(full.contains(call), "{full}");
    assert!(full.contains("</roles><languages>de en-GB</languages><endpoint "), "{full}");
    assert!(full.contains("\"><referred><when>1970-01-01T00:00:00Z</when></referred><status>"), "{full}");
    for viewer in [Viewer::Trusted, Viewer::Ordinary("alice@example.org".parse().ok())] {
        assert!(!text(viewer).contains("call-info"));
    }
    let moderator = "bob@example.org".parse::<BareJid>().unwrap();
    let mut open = room.clone();
    open.access.non_anonymous = true;
    assert_eq!(Viewer::of(Some(&open), Some(&moderator)), Viewer::Trusted);
    open.occupants[1].role = Role::Moderator;
    assert_eq!(Viewer::of(Some(&open), Some(&moderator)), Viewer::Moderator(moderator));
    // RFC 3891 §8: nobody reads the names of a call that they may not end.
    open.affiliations = vec![("alice@example.org".parse().unwrap(), Affiliation::Owner)];
    for (name, reads) in [("bob", false), ("alice", true)] {
        let viewer = Viewer::Moderator(format!("{name}@example.org").parse().unwrap());
        let text =
            View::of(&room.room, Some(&open), std::slice::from_ref(&seen), &viewer, OUTLINE).full("x", 0);
        assert_eq!(text.contains("call-info"), reads, "{name}");
    }
}

/// §5.7.3.
#[test]
fn whom_the_focus_calls_is_dialled_and_not_counted() {
    let room = RoomSnapshot { occupants: Vec::new(), ..snapshot() };
    let seen = Seen { stage: Stage::Dialled, since: None, ..alice(Audio::OnHold) };
    let text = View::of(&room.room, Some(&room), &[seen], &Viewer::Trusted, OUTLINE).full("x", 0);
    assert!(text.contains("<status>dialing-out</status></endpoint></user>"), "{text}");
    assert!(text.contains("<user-count>0</user-count>"), "{text}");
}
