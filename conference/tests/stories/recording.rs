//! Recordings over real sockets: who may, who is told, and what is in the file.
#[allow(dead_code, reason = "each test file uses its part")]
use std::path::PathBuf;
use std::time::Duration;

use crate::house::{House, jid, loudest_in, occupant, tone_in};
use conference::Config;
use shared_model::{ConferenceDirectory, ConferenceEvent, Event, Fact, ModerationError, Role};
use shared_runtime::bus::{Heard, Subscription};

fn folder() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("cusax-recordings-{:016x}", shared_runtime::random()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

async fn changed(facts: &mut Subscription<Fact>) -> bool {
    let heard = async {
        loop {
            if let Some(Heard::Fact(fact)) = facts.next().await
                && let Event::Conference(ConferenceEvent::RecordingChanged { is_recorded, .. }) = fact.event
            {
                return is_recorded;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), heard).await.unwrap()
}

fn files(folder: &PathBuf) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

async fn finished(folder: &PathBuf) -> Vec<u8> {
    let there = async {
        loop {
            let whole =
                files(folder).into_iter().find(|file| file.extension().is_some_and(|ext| ext == "ogg"));
            if let Some(file) = whole {
                return std::fs::read(file).unwrap();
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), there).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_holds_what_everybody_said() {
    let folder = folder();
    let house =
        House::start_with(Config { prompts: false, recordings: folder.clone(), ..Config::default() }).await;
    house.occupants(vec![occupant("alice", Role::Moderator), occupant("bob", Role::Participant)]);
    let mut facts = house.bus.subscribe();
    let mut phones = [house.call("alice", 440.0).await, house.call("bob", 700.0).await];
    phones[1].press("*7");
    crate::house::talk::<2>(&mut phones, 20);
    assert!(files(&folder).is_empty(), "bob does not moderate");
    phones[0].press("*7");
    assert!(changed(&mut facts).await, "the room is told");
    crate::house::talk::<2>(&mut phones, 240);
    assert!(files(&folder).iter().all(|file| file.extension().unwrap() == "part"), "it is not whole yet");
    phones[0].press("*7");
    assert!(!changed(&mut facts).await);
    let file = finished(&folder).await;
    for (hertz, is_there) in [(440.0, true), (700.0, true), (1_100.0, false)] {
        assert_eq!(tone_in(&file, hertz) > 1_000.0, is_there, "{hertz}: {}", tone_in(&file, hertz));
    }
    house.stop().await;
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_joins_hears_of_it_and_the_last_who_leaves_ends_it() {
    let folder = folder();
    let house = House::start_with(Config { recordings: folder.clone(), ..Config::default() }).await;
    house.occupants(vec![occupant("alice", Role::Moderator)]);
    let mut facts = house.bus.subscribe();
    let mut alice = house.call("alice", 440.0).await;
    alice.press("*7");
    assert!(changed(&mut facts).await);
    let mut bob = house.silent_phone("bob").await;
    assert_eq!(bob.invite(crate::house::URI).await.status(), 200);
    // "You are in the conference" takes a second and a bit, "this conference is being recorded" two more.
    assert!(bob.loudness(60) > 100.0 && bob.loudness(75) > 100.0, "bob hears two prompts");
    for phone in [&mut alice, &mut bob] {
        assert_eq!(phone.send("BYE", &[]).await.status(), 200);
    }
    assert!(!changed(&mut facts).await);
    finished(&folder).await;
    house.stop().await;
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_before_the_notice_is_over_is_not_recorded() {
    let folder = folder();
    let house =
        House::start_with(Config { prompts: false, recordings: folder.clone(), ..Config::default() }).await;
    house.occupants(vec![occupant("alice", Role::Moderator)]);
    let mut facts = house.bus.subscribe();
    let mut alice = [house.call("alice", 440.0).await];
    let mut bob = [house.call("bob", 700.0).await];
    alice[0].press("*7");
    assert!(changed(&mut facts).await);
    crate::house::talk::<1>(&mut alice, 50);
    assert!(bob[0].loudness(100) > 100.0, "the notice is spoken whatever `conference.prompts` says");
    crate::house::talk::<1>(&mut bob, 100);
    alice[0].press("*7");
    assert!(!changed(&mut facts).await);
    assert!(bob[0].loudness(60) > 100.0, "and so is the end");
    let file = finished(&folder).await;
    assert!(loudest_in(&file, 700.0) > 3_000.0 && loudest_in(&file, 440.0) < 1_500.0);
    house.stop().await;
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_on_hold_hears_of_it_when_they_are_back() {
    let folder = folder();
    let house =
        House::start_with(Config { prompts: false, recordings: folder.clone(), ..Config::default() }).await;
    house.occupants(vec![occupant("alice", Role::Moderator)]);
    let mut facts = house.bus.subscribe();
    let mut alice = house.call("alice", 440.0).await;
    let mut bob = house.call("bob", 700.0).await;
    assert_eq!(bob.send_offer("INVITE", "inactive").await.status(), 200);
    alice.press("*7");
    assert!(changed(&mut facts).await);
    assert!(alice.loudness(150) > 100.0 && bob.loudness(10) < 10.0);
    assert_eq!(bob.send_offer("INVITE", "sendrecv").await.status(), 200);
    assert!(bob.loudness(100) > 100.0);
    house.stop().await;
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_tape_ends_the_recording_for_all_and_another_may_begin() {
    let folder = folder();
    let recording_longest = Duration::from_millis(200);
    let config =
        Config { prompts: false, recordings: folder.clone(), recording_longest, ..Config::default() };
    let house = House::start_with(config).await;
    house.occupants(vec![occupant("alice", Role::Moderator)]);
    let mut facts = house.bus.subscribe();
    let mut alice = house.call("alice", 440.0).await;
    for _ in 0..2 {
        alice.press("*7");
        assert!(changed(&mut facts).await);
        assert!(!changed(&mut facts).await, "without a key");
        assert!(alice.loudness(60) > 100.0, "the end is said");
    }
    assert_eq!(files(&folder).iter().filter(|file| file.extension().unwrap() == "ogg").count(), 2);
    house.stop().await;
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_folder_nobody_is_recorded_or_told_so() {
    let nowhere = PathBuf::from("/nonexistent/folder");
    for recordings in [PathBuf::new(), nowhere] {
        let house = House::start_with(Config { prompts: false, recordings, ..Config::default() }).await;
        house.occupants(vec![occupant("alice", Role::Moderator)]);
        let mut facts = house.bus.subscribe();
        let mut alice = house.call("alice", 440.0).await;
        alice.press("*7*9");
        house.until(|participant| participant.is_hand_up).await;
        house.stop().await;
        while let Some(heard) = facts.next().await {
            let Heard::Fact(fact) = heard else { continue };
            let is_recording =
                matches!(fact.event, Event::Conference(ConferenceEvent::RecordingChanged { .. }));
            assert!(!is_recording);
            if matches!(fact.event, Event::Conference(ConferenceEvent::ParticipantLeft { .. })) {
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_moderates_has_the_call_recorded_from_outside_it() {
    let folder = folder();
    let house =
        House::start_with(Config { prompts: false, recordings: folder.clone(), ..Config::default() }).await;
    house.occupants(vec![occupant("alice", Role::Moderator), occupant("bob", Role::Participant)]);
    let room = crate::house::ROOM.parse().unwrap();
    let record = async |asker: Option<&str>, is_wanted| {
        house.focus.record(&room, asker.map(jid).as_ref(), is_wanted).await
    };
    assert_eq!(record(Some("alice"), true).await, Err(ModerationError::Nobody), "nobody is in the call");
    let mut facts = house.bus.subscribe();
    let mut bob = [house.call("bob", 700.0).await];
    assert!(matches!(record(Some("bob"), true).await, Err(ModerationError::Refused(_))));
    assert_eq!(record(Some("alice"), true).await, Ok(()));
    assert!(changed(&mut facts).await, "the room is told");
    assert!(bob[0].loudness(75) > 100.0, "and so is the call");
    assert_eq!(record(None, true).await, Ok(()), "it is recorded already");
    crate::house::talk::<1>(&mut bob, 50);
    assert_eq!(record(None, false).await, Ok(()), "the operator ends it");
    assert!(!changed(&mut facts).await);
    assert!(tone_in(&finished(&folder).await, 700.0) > 1_000.0);
    house.stop().await;
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_recorded_where_nobody_keeps_it() {
    let house = House::start().await;
    house.occupants(vec![occupant("alice", Role::Moderator)]);
    let _alice = house.call("alice", 440.0).await;
    let room = crate::house::ROOM.parse().unwrap();
    let refused = house.focus.record(&room, None, true).await;
    assert_eq!(refused, Err(ModerationError::Refused("conference.recordings names no folder")));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_only_sends_is_on_the_recording() {
    let folder = folder();
    let house =
        House::start_with(Config { prompts: false, recordings: folder.clone(), ..Config::default() }).await;
    house.occupants(vec![occupant("alice", Role::Moderator)]);
    let mut facts = house.bus.subscribe();
    let mut alice = house.call("alice", 440.0).await;
    let mut player = house.phone_of("bob", 700.0).await;
    assert_eq!(player.invite_to(crate::house::URI, "sendonly").await.status(), 200);
    alice.press("*7");
    assert!(changed(&mut facts).await);
    crate::house::talk::<1>(std::slice::from_mut(&mut player), 100);
    alice.press("*7");
    assert!(!changed(&mut facts).await);
    let file = finished(&folder).await;
    assert!(tone_in(&file, 700.0) > 1_000.0, "it cannot be told by sound: {}", tone_in(&file, 700.0));
    house.stop().await;
    std::fs::remove_dir_all(folder).unwrap();
}
