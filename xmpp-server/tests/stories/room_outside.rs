//! Rooms from outside: the list of all of them, and what an administrator of the service does to occupants.

use crate::common::failing::failing_records;
use crate::common::rooms::{ROOM, configure, item, room};
use crate::common::{ROOMS, serve, serve_over};
use shared_model::{Deed, Event, Fact, Moderation, ModerationError, Role, RoomDirectory, RoomEvent};
use shared_runtime::bus::Heard;
use xmpp_server::{Config, CreateError, RoomOptions};

#[tokio::test]
async fn an_administrator_of_the_service_mutes_and_kicks_as_the_rooms_law_lets_an_owner() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    let (rooms, address) = (served.server.rooms(), ROOM.parse().unwrap());
    let mut facts = served.bus.subscribe();
    rooms.moderate(&address, "Bob", Deed::Mute).await.unwrap();
    let told = bob.expect(&["<presence", "/Bob'", "role='visitor'"]).await;
    assert!(told.contains("by a moderator or an administrator of the service"), "{told}");
    let followed = async {
        loop {
            if let Some(Heard::Fact(Fact {
                event: Event::Room(RoomEvent::RoleChanged { role, .. }), ..
            })) = facts.next().await
            {
                return role;
            }
        }
    };
    assert_eq!(followed.await, Role::Visitor, "the room's call follows");
    rooms.moderate(&address, "Bob", Deed::Unmute).await.unwrap();
    bob.expect(&["<presence", "/Bob'", "role='participant'"]).await;
    let refused = rooms.moderate(&address, "Alice", Deed::Mute).await;
    assert!(matches!(refused, Err(ModerationError::Refused(_))), "{refused:?}");
    rooms.moderate(&address, "Alice", Deed::Unmute).await.unwrap();
    assert_eq!(rooms.moderate(&address, "Nobody", Deed::Kick).await, Err(ModerationError::Nobody));
    for elsewhere in ["none@conference.example.org", "dev@other.example"] {
        let room = elsewhere.parse().unwrap();
        assert_eq!(rooms.moderate(&room, "Bob", Deed::Kick).await, Err(ModerationError::Nobody));
    }
    rooms.moderate(&address, "Bob", Deed::Kick).await.unwrap();
    bob.expect(&["type='unavailable'", "code='307'"]).await;
    alice.expect(&["type='unavailable'", "/Bob'", "code='307'"]).await;
    let owner = alice.ask("get", ROOM, &item("affiliation='owner'")).await;
    assert!(owner.contains("alice@example.org"), "{owner}");
}

#[tokio::test]
async fn every_room_is_listed_for_the_operator_hidden_or_not() {
    let served = serve().await;
    let (mut alice, _bob) = room(&served).await;
    assert!(alice.ask("set", ROOM, &configure(&[("publicroom", "0")])).await.contains("result"));
    let rooms = served.server.rooms();
    for name in ["a", "z"] {
        let address = format!("{name}@conference.example.org").parse().unwrap();
        rooms.create(&address, Default::default()).await.unwrap();
    }
    let all = rooms.rooms("", None, 10).await.unwrap();
    let locals: Vec<&str> = all.iter().map(|room| room.local()).collect();
    assert_eq!(locals, ["a", "dev", "z"]);
    assert_eq!(rooms.rooms("", Some(&all[0]), 1).await.unwrap(), [all[1].clone()]);
    assert!(rooms.rooms("", Some(&all[2]), 1).await.unwrap().is_empty());
    let named = RoomOptions { name: "Élan of the Zoo".to_owned(), ..RoomOptions::default() };
    rooms.create(&"q@conference.example.org".parse().unwrap(), named).await.unwrap();
    for (text, found) in [("éLAN", vec!["q"]), ("DEV", vec!["dev"]), ("z", vec!["q", "z"]), ("none", vec![])]
    {
        let all = rooms.rooms(text, None, 10).await.unwrap();
        assert_eq!(all.iter().map(|room| room.local()).collect::<Vec<_>>(), found, "{text}");
    }
    assert_eq!(rooms.rooms("z", None, 1).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_room_that_the_store_did_not_take_is_not_there() {
    let before = serve().await;
    let (store, fault) = failing_records(&before.store);
    let served = serve_over(&before, Config::default(), store).await;
    let (rooms, address) = (served.server.rooms(), ROOM.parse().unwrap());
    fault.set(true);
    let refused = rooms.create(&address, RoomOptions::default()).await;
    assert!(matches!(refused, Err(CreateError::Store(_))), "{refused:?}");
    assert_eq!(rooms.room(&address).await.unwrap(), None);
    fault.set(false);
    rooms.create(&address, RoomOptions::default()).await.unwrap();
    assert!(served.store.records.get(ROOMS, "rooms", "dev").await.unwrap().is_some());
}
