//! What an administrator of the service does to legs that no chat room can speak for.

use crate::house::{House, ROOM, jid, occupant};
use conference::Config;
use shared_model::{
    Affiliation, Audio, ConferenceDirectory, Deed, Moderation, ModerationError, Role, RoomEvent,
};

/// The Call-ID of somebody's leg.
async fn leg(house: &House, name: &str) -> String {
    let snapshot = house.focus.conference(&ROOM.parse().unwrap()).await.unwrap().unwrap();
    let is_theirs = |uri: &str| uri.contains(name);
    snapshot.participants.into_iter().find(|(_, p)| is_theirs(&p.uri)).map(|(id, _)| id).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leg_is_muted_for_good_given_its_voice_back_and_ended() {
    let house = House::start().await;
    let room = ROOM.parse().unwrap();
    let _bob = house.call("bob", 880.0).await;
    let mut alice = house.call("alice", 440.0).await;
    let (focus, id) = (house.focus.clone(), leg(&house, "alice").await);
    assert_eq!(focus.moderate(&room, "nobody", Deed::Kick).await, Err(ModerationError::Nobody));
    focus.moderate(&room, &id, Deed::Mute).await.unwrap();
    house.until_audio("alice", Audio::Muted).await;
    alice.press("*6");
    alice.press("*6");
    assert_eq!(alice.send("BYE", &[]).await.status(), 200);
    let mut again = house.call("alice", 440.0).await;
    house.until_audio("alice", Audio::Muted).await;
    let id = leg(&house, "alice").await;
    focus.moderate(&room, &id, Deed::Unmute).await.unwrap();
    house.until_audio("alice", Audio::SendReceive).await;
    focus.moderate(&room, &id, Deed::Kick).await.unwrap();
    let bye = again.request("BYE").await;
    assert!(String::from_utf8_lossy(&bye.to_bytes()).contains("Removed From The Call"));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_moderates_the_room_keeps_their_voice() {
    let house = House::start().await;
    house.affiliations(vec![(crate::house::jid("alice"), Affiliation::Owner)]);
    let _alice = house.call("alice", 440.0).await;
    let id = leg(&house, "alice").await;
    let refused = house.focus.moderate(&ROOM.parse().unwrap(), &id, Deed::Mute).await;
    assert!(matches!(refused, Err(ModerationError::Refused(_))), "{refused:?}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_muted_in_the_call_has_no_voice_in_the_chat_where_that_is_wanted() {
    for is_wanted in [true, false] {
        let config = Config { prompts: false, mute_in_chat: is_wanted, ..Config::default() };
        let house = House::start_with(config).await;
        house.occupants(vec![occupant("alice", Role::Participant)]);
        let (_alice, _bob) = (house.call("alice", 440.0).await, house.call("bob", 880.0).await);
        let (focus, room) = (house.focus.clone(), ROOM.parse().unwrap());
        for name in ["alice", "bob"] {
            focus.moderate(&room, &leg(&house, name).await, Deed::Mute).await.unwrap();
            house.until_audio(name, Audio::Muted).await;
        }
        // As the room does, whether the focus asks for it or who asks both, and tells: later than the focus is asked.
        let happens = |role| {
            let (room, nick) = (ROOM.parse().unwrap(), "alice".to_owned());
            house.happens(RoomEvent::RoleChanged { room, jid: jid("alice"), nick, role });
        };
        happens(Role::Visitor);
        focus.moderate(&room, &leg(&house, "alice").await, Deed::Unmute).await.unwrap();
        if is_wanted {
            assert_eq!(
                house.happened_in_chat(2).await,
                [("alice".to_owned(), Deed::Mute), ("alice".to_owned(), Deed::Unmute)]
            );
        }
        happens(Role::Participant);
        house.until_audio("alice", Audio::SendReceive).await;
        assert_eq!(house.done_in_chat().len(), if is_wanted { 2 } else { 0 }, "bob is not in the chat");
        house.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_a_moderator_mutes_by_a_key_the_chat_gives_a_voice() {
    let house = House::start().await;
    house.affiliations(vec![(jid("alice"), Affiliation::Owner)]);
    house.occupants(["bob", "carol"].map(|name| occupant(name, Role::Participant)).into());
    let mut alice = house.call("alice", 440.0).await;
    let (_bob, mut carol) = (house.call("bob", 880.0).await, house.call("carol", 660.0).await);
    carol.press("*6");
    house.until_audio("carol", Audio::Muted).await;
    alice.press("*5");
    house.until_audio("bob", Audio::Muted).await;
    for name in ["carol", "bob"] {
        // As the room tells of a voice that is given to who has one.
        let (room, nick, role) = (ROOM.parse().unwrap(), name.to_owned(), Role::Participant);
        house.happens(RoomEvent::RoleChanged { room, jid: jid(name), nick, role });
    }
    house.until_audio("bob", Audio::SendReceive).await;
    let there = house.focus.conference(&ROOM.parse().unwrap()).await.unwrap().unwrap().participants;
    let carols = there.into_iter().find(|(_, p)| p.jid == Some(jid("carol"))).unwrap();
    assert_eq!(carols.1.audio, Audio::Muted, "who muted themselves is not heard before they want to be");
    carol.press("*6");
    house.until_audio("carol", Audio::SendReceive).await;
    house.stop().await;
}

/// S-40: a moderator of the room mutes one caller, and makes them louder, who is in the call alone, by the name that they show; occupants by
/// their nick.
#[tokio::test(flavor = "multi_thread")]
async fn a_moderator_of_the_room_deals_with_one_caller_by_their_name() {
    let house = House::start_with(Config { strangers: true, ..Config::default() }).await;
    house.affiliations(vec![(jid("alice"), Affiliation::Owner)]);
    house.occupants(vec![occupant("bob", Role::Participant)]);
    let (room, focus) = (ROOM.parse().unwrap(), house.focus.clone());
    let (_bob, _guest) = (house.call("bob", 880.0).await, house.call("stranger", 440.0).await);
    let mut watcher = house.watch("carol").await;
    watcher.document().await;
    let (owner, other) = (jid("alice"), jid("carol"));
    let refused = focus.adjust(&room, &other, "stranger", Deed::Mute).await;
    assert!(matches!(refused, Err(ModerationError::Refused(_))), "{refused:?}");
    assert_eq!(focus.adjust(&room, &owner, "nobody", Deed::Mute).await, Err(ModerationError::Nobody));
    let refused = focus.adjust(&room, &owner, "stranger", Deed::Kick).await;
    assert!(matches!(refused, Err(ModerationError::Refused(_))), "that is the room's: {refused:?}");
    focus.adjust(&room, &owner, "stranger", Deed::Mute).await.unwrap();
    let sounds =
        |audio| move |it: &shared_model::Participant| it.uri.contains("stranger") && it.audio == audio;
    house.until(sounds(Audio::Muted)).await;
    while !watcher.document().await.contains("muted-via-focus") {}
    focus.adjust(&room, &owner, "stranger", Deed::Unmute).await.unwrap();
    house.until(sounds(Audio::SendReceive)).await;
    for (whom, step, gain) in [("stranger", 6, 6), ("stranger", 12, 12), ("bob", -3, -3)] {
        focus.adjust(&room, &owner, whom, Deed::Gain(step)).await.unwrap();
        house.until(|it| it.uri.contains(whom) && it.gain == gain).await;
    }
    house.stop().await;
}
