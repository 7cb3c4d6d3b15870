//! Rooms kept from outside: made, ended, and who is what in them; and which rooms say something of whom.

use crate::common::counted::counted;
use crate::common::rooms::{ROOM, room};
use crate::common::{ROOMS, serve, serve_again, serve_over};
use shared_model::{Affiliated, Affiliation, KeptPart, NewRoom, RoomAddress, RoomError, RoomKeeping};
use shared_store::Expected;
use xmpp_server::{Config, RoomOptions};

fn new(room: &str, owner: &str) -> NewRoom {
    NewRoom {
        room: room.parse().unwrap(),
        name: "Board".to_owned(),
        members_only: true,
        moderated: false,
        hidden: true,
        password: None,
        owners: vec![owner.parse().unwrap()],
    }
}

fn whom(jid: &str, affiliation: Affiliation) -> Affiliated {
    Affiliated { jid: jid.to_owned(), affiliation, reason: Some("so it is".to_owned()) }
}

#[tokio::test]
async fn an_administrator_of_the_service_says_who_is_what_in_a_room_and_ends_it() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    let (rooms, dev): (_, RoomAddress) = (served.server.rooms(), ROOM.parse().unwrap());
    let set = async |jid: &str, to| rooms.affiliate(&dev, whom(jid, to)).await;
    assert_eq!(set("bob@example.org", Affiliation::Admin).await, Ok(Affiliation::None));
    bob.expect(&["<presence", "/Bob'", "affiliation='admin'", "role='moderator'"]).await;
    assert_eq!(set("bad.example", Affiliation::Outcast).await, Ok(Affiliation::None));
    for (jid, to) in [
        ("alice@example.org", Affiliation::Member),
        ("bad.example", Affiliation::Member),
        ("a@b@c", Affiliation::Member),
    ] {
        assert!(matches!(set(jid, to).await, Err(RoomError::Refused(_))), "{jid}");
    }
    let kept = rooms.kept(&dev).await.unwrap();
    let known: Vec<_> = kept.affiliations.iter().map(|it| (it.jid.as_str(), it.affiliation)).collect();
    let all = [
        ("alice@example.org", Affiliation::Owner),
        ("bad.example", Affiliation::Outcast),
        ("bob@example.org", Affiliation::Admin),
    ];
    assert_eq!(known, all);
    assert_eq!(kept.affiliations[1].reason.as_deref(), Some("so it is"));
    assert_eq!(set("bob@example.org", Affiliation::Outcast).await, Ok(Affiliation::Admin));
    bob.expect(&["type='unavailable'", "code='301'", "so it is"]).await;
    rooms.destroy(&dev, "we move").await.unwrap();
    alice.expect(&["type='unavailable'", "<destroy", "we move"]).await;
    assert_eq!(rooms.kept(&dev).await, Err(RoomError::Nothing));
    assert_eq!(rooms.destroy(&dev, "").await, Err(RoomError::Nothing));
    assert_eq!(rooms.kept(&"dev@other.example".parse().unwrap()).await, Err(RoomError::Nothing));
}

#[tokio::test]
async fn rooms_are_made_as_the_administrator_wants_them() {
    let served = serve().await;
    let rooms = served.server.rooms();
    rooms.make(new("board@conference.example.org", "carol@example.org")).await.unwrap();
    let again = rooms.make(new("board@conference.example.org", "bob@example.org")).await;
    assert_eq!(again, Err(RoomError::Exists));
    let elsewhere = rooms.make(new("board@other.example", "bob@example.org")).await;
    assert!(matches!(elsewhere, Err(RoomError::Refused(_))), "{elsewhere:?}");
    // What was answered is there after a restart.
    let again = serve_again(&served, Config::default()).await;
    let kept = again.server.rooms().kept(&"board@conference.example.org".parse().unwrap()).await.unwrap();
    assert!(kept.is_persistent && kept.affiliations.len() == 1, "{kept:?}");
}

#[tokio::test]
async fn whose_rooms_there_are_is_known_without_reading_them_all() {
    let before = serve().await;
    let rooms = before.server.rooms();
    for at in 0..300 {
        let address = format!("other{at}@conference.example.org").parse().unwrap();
        let owners = vec!["bob@example.org".parse().unwrap()];
        rooms.create(&address, RoomOptions { owners, ..RoomOptions::default() }).await.unwrap();
    }
    for name in ["one", "two"] {
        let room = format!("{name}@conference.example.org");
        rooms.make(new(&room, "bob@example.org")).await.unwrap();
        rooms
            .affiliate(&room.parse().unwrap(), whom("alice@example.org", Affiliation::Member))
            .await
            .unwrap();
    }
    let two: RoomAddress = "two@conference.example.org".parse().unwrap();
    // One that was kept before there was an index.
    let records = &before.store.records;
    let kept = records.get(ROOMS, "rooms", "two").await.unwrap().unwrap();
    let old = String::from_utf8(kept.value).unwrap().replace("\"indexed\":true", "\"indexed\":false");
    records.put(ROOMS, "rooms", "two", old.as_bytes(), Expected::Anything).await.unwrap();
    assert!(records.delete(ROOMS, "rooms of alice@example.org", "two").await.unwrap());

    let (store, asked) = counted(&before.store);
    let served = serve_over(&before, Config::default(), store).await;
    asked.take_all();
    let (own, alice) = (served.server.own_chat(), "alice@example.org".parse().unwrap());
    let page = own.kept(&alice, KeptPart::Rooms, None).await.unwrap();
    assert_eq!(page.entries.len(), 2, "{page:?}");
    assert_eq!(asked.take_all().len(), 2, "the index, and the two rooms together");

    let rooms = served.server.rooms();
    let of = async |jid: &str| {
        let (mut all, mut from) = (Vec::new(), None::<String>);
        loop {
            let (page, next) = rooms.rooms_of(jid, from.as_deref()).await.unwrap();
            assert!(page.len() <= 50, "a page is bounded");
            all.extend(page);
            from = next;
            if from.is_none() {
                return all;
            }
        }
    };
    assert_eq!(of("bob@example.org").await.len(), 302);
    // It follows what becomes of the rooms.
    rooms.affiliate(&two, whom("alice@example.org", Affiliation::None)).await.unwrap();
    rooms.affiliate(&two, whom("bad.example", Affiliation::Outcast)).await.unwrap();
    assert_eq!(of("alice@example.org").await.len(), 1);
    assert_eq!(of("bad.example").await, [(two.clone(), Affiliation::Outcast)]);
    rooms.destroy(&two, "").await.unwrap();
    assert!(of("bad.example").await.is_empty());
    let left = served.store.records.list(ROOMS, "rooms of bad.example", None, 9).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
}
