//! What facts become, what is passed over, and what is said of what was lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use operations::Config;
use shared_model::{
    AccountEvent, Audio, BindingChange, BindingEvent, CallEvent, CallOutcome, ConferenceEvent, Correlation,
    LeaveReason, LoginEvent, Participant, Protocol, RoomEvent, SessionEvent, UnboundWhy,
};
use shared_store::{Archive, Entry, Page, Query, StoreError};

use crate::house::{House, events};

fn bound(house: &House, change: BindingChange) -> BindingEvent {
    BindingEvent::Bound {
        account: house.alice,
        aor: "alice@example.org".parse().unwrap(),
        contact: "sip:alice@192.0.2.1".to_owned(),
        expires_seconds: 600,
        change,
    }
}

fn denied(house: &House) -> LoginEvent {
    LoginEvent::Denied {
        account: Some(house.alice),
        protocol: Protocol::Xmpp,
        from: [192, 0, 2, 1].into(),
        reason: "wrong-proof",
    }
}

#[tokio::test]
async fn a_call_is_in_the_timelines_of_both_under_one_correlation() {
    let house = House::new(Config::default()).await;
    let (call_id, at) = ("a84b4c76e66710".to_owned(), Correlation::of_call("a84b4c76e66710"));
    let (from, to) = (Some(house.alice), Some(house.bob));
    let to_uri = "sip:bob@example.org".to_owned();
    house.tell(
        at,
        CallEvent::Attempted {
            call_id: call_id.clone(),
            from,
            from_uri: "sip:alice@example.org".to_owned(),
            is_anonymous: false,
            to,
            to_uri,
        },
    );
    house.tell(at, CallEvent::Ringing { call_id: call_id.clone() });
    let outcome = CallOutcome::Cancelled;
    house.tell(at, CallEvent::Ended { call_id: call_id.clone(), outcome, reason: None });
    let (caller, text) = (house.alice, "Missed call".to_owned());
    house.tell(at, CallEvent::ToldInChat { call_id: call_id.clone(), caller, callee: to, text });
    for account in [house.alice, house.bob] {
        let entries = house.until(account, |entries| entries.len() == 4).await;
        assert_eq!(events(&entries), ["call_begun", "call_ringing", "call_cancelled", "call_told"]);
        assert!(entries.iter().all(|entry| entry.what.correlation == at), "{entries:?}");
        assert!(entries.iter().all(|entry| entry.what.call_id.as_deref() == Some(&call_id)));
        let protocols: Vec<_> = entries.iter().map(|entry| entry.what.protocol.as_ref()).collect();
        assert_eq!(protocols, ["sip", "sip", "sip", "xmpp"]);
    }
}

#[tokio::test]
async fn a_room_is_in_the_timeline_of_the_account_whose_jid_it_says() {
    let house = House::new(Config::default()).await;
    let room: shared_model::RoomAddress = "dev@conference.example.org".parse().unwrap();
    let at = Correlation::of_room(&room);
    for jid in ["alice.chat@example.org", "stranger@example.net"] {
        let (room, jid) = (room.clone(), jid.parse().unwrap());
        let reason = LeaveReason::Kicked;
        house.tell(at, RoomEvent::OccupantRemoved { room, jid, nick: "al".to_owned(), reason });
    }
    let entries = house.until(house.alice, |entries| !entries.is_empty()).await;
    assert_eq!(events(&entries), ["room_kicked"]);
    assert_eq!(entries[0].what.room.as_deref(), Some("dev@conference.example.org"));
    house.tell(at, ConferenceEvent::RecordingChanged { room, is_recorded: true });
}

/// RFC 3261 §12: who uses a Call-ID again has another tag.
#[tokio::test]
async fn both_calls_of_one_call_id_are_found_by_it() {
    let house = House::new(Config::default()).await;
    let names = ["known".to_owned(), shared_model::second_call("known", "t2")];
    for call_id in &names {
        let call_id = call_id.clone();
        let attempted = CallEvent::Attempted {
            call_id: call_id.clone(),
            from: Some(house.alice),
            from_uri: "sip:alice@example.org".to_owned(),
            is_anonymous: false,
            to: Some(house.bob),
            to_uri: "sip:bob@example.org".to_owned(),
        };
        house.tell(Correlation::of_call(&call_id), attempted);
    }
    for account in [house.alice, house.bob] {
        house.until(account, |entries| entries.len() == 2).await;
    }
    let found = house.trace.about("known", None).await.unwrap().entries;
    assert_eq!(events(&found), ["call_begun"; 4]);
    let second = house.trace.about(&names[1], None).await.unwrap().entries;
    assert!(second.len() == 2 && second.iter().all(|it| it.what.call_id.as_ref() == Some(&names[1])));
}

#[tokio::test]
async fn what_happened_is_found_by_call_room_address_and_stranger() {
    let house = House::new(Config::default()).await;
    let room: shared_model::RoomAddress = "dev@conference.example.org".parse().unwrap();
    let (call_id, at) = ("a84b4c76@192.0.2.1".to_owned(), Correlation::of_call("a84b4c76@192.0.2.1"));
    let (from, to) = (Some(house.alice), Some(house.bob));
    let to_uri = "sip:bob@example.org".to_owned();
    house.tell(
        at,
        CallEvent::Attempted {
            call_id: call_id.clone(),
            from,
            from_uri: "sip:alice@example.org".to_owned(),
            is_anonymous: false,
            to,
            to_uri,
        },
    );
    house.tell(at, CallEvent::Ringing { call_id: call_id.clone() });
    let of_room = Correlation::of_room(&room);
    for jid in ["bob.chat@example.org", "guest@elsewhere.example"] {
        let (room, jid, nick) = (room.clone(), jid.parse().unwrap(), "al".to_owned());
        house.tell(of_room, RoomEvent::OccupantRemoved { room, jid, nick, reason: LeaveReason::Kicked });
    }
    let leg = Participant {
        account: Some(house.alice),
        jid: None,
        uri: "sip:alice@example.org".to_owned(),
        display_name: String::new(),
        audio: Audio::SendReceive,
        has_video: false,
        is_hand_up: false,
        gain: 0,
        is_encrypted: true,
    };
    let by_phone = Participant { account: None, uri: "sip:+33123@carrier.example".to_owned(), ..leg.clone() };
    for (call_id, participant) in [("leg", leg), ("other", by_phone)] {
        let (at, room, call_id) = (Correlation::of_call(call_id), room.clone(), call_id.to_owned());
        house.tell(at, ConferenceEvent::ParticipantJoined { room, call_id, participant });
    }
    let from_carrier = Correlation::of_call("c7");
    house.tell(
        from_carrier,
        CallEvent::Attempted {
            call_id: "c7".to_owned(),
            from: None,
            from_uri: "sip:+3312345@carrier.example;user=phone".to_owned(),
            is_anonymous: false,
            to,
            to_uri: "sip:bob@example.org".to_owned(),
        },
    );
    house.tell(from_carrier, CallEvent::Ringing { call_id: "c7".to_owned() });
    let own = Correlation::of_account(house.alice);
    house.tell(own, denied(&house));
    let nobody = LoginEvent::Denied {
        account: None,
        protocol: Protocol::Sip,
        from: [192, 0, 2, 1].into(),
        reason: "unknown-account",
    };
    house.tell(Correlation(0), nobody);
    house.tell(own, AccountEvent::Changed { account: house.alice });
    house.until(house.alice, |entries| events(entries).contains(&"account_changed")).await;

    let found = async |sought: &str, since| house.trace.about(sought, since).await.unwrap().entries;
    let sorted = |entries: &[operations::timeline::Entry]| {
        let mut names: Vec<_> = entries.iter().map(|entry| entry.what.event.to_string()).collect();
        names.sort();
        names
    };
    for call in [&call_id, &at.to_string()] {
        let entries = found(call, None).await;
        assert_eq!(sorted(&entries), ["call_begun", "call_begun", "call_ringing", "call_ringing"], "{call}");
        let whose: Vec<_> = entries.iter().filter_map(|entry| entry.account).collect();
        assert!(whose.contains(&house.alice) && whose.contains(&house.bob));
    }
    let in_room = ["leg_joined", "leg_joined", "room_kicked", "room_kicked"];
    for name in [
        "dev@conference.example.org",
        "xmpp:dev@conference.example.org?join",
        "sip:dev@conference.example.org",
    ] {
        assert_eq!(sorted(&found(name, None).await), in_room, "{name}");
    }
    let by_address = found("::ffff:192.0.2.1", None).await;
    assert_eq!(events(&by_address), ["login_failed", "login_failed"], "{by_address:?}");
    let nobodys = by_address.iter().find(|entry| entry.account.is_none()).unwrap();
    assert_eq!(nobodys.what.text, "sip login from 192.0.2.1 failed: nobody has that name");
    let guest = found("xmpp:Guest@elsewhere.example/phone", None).await;
    assert_eq!(
        guest[0].what.text,
        "guest@elsewhere.example: al was removed by a moderator of dev@conference.example.org"
    );
    assert_eq!((guest.len(), guest[0].account), (1, None));
    assert_eq!(events(&found("sip:+33123@carrier.example", None).await), ["leg_joined"]);
    assert_eq!(found("guest@elsewhere.example", Some(shared_runtime::unix_millis() + 1)).await, []);
    for nothing in
        ["", "192.0.2.2", "a84b4c76", "nobody@elsewhere.example", "\u{0}' OR 1", &"x".repeat(5_000)]
    {
        assert_eq!(found(nothing, None).await, [], "{nothing}");
    }
    for name in ["+33 1 23-45", "tel:+3312345", "sips:+3312345@Carrier.example;user=phone"] {
        assert_eq!(events(&found(name, None).await), ["call_begun", "call_ringing"], "{name}");
    }
    // What goes with an account is found no more.
    house.tell(own, AccountEvent::Removed { account: house.alice });
    house.until(house.alice, <[_]>::is_empty).await;
    let left = found(&call_id, None).await;
    assert!(left.len() == 2 && left.iter().all(|entry| entry.account == Some(house.bob)), "{left:?}");
}

#[tokio::test]
async fn a_flood_of_refreshes_and_failures_is_few_entries() {
    let house = House::new(Config::default()).await;
    let at = Correlation(1);
    house.tell(at, bound(&house, BindingChange::Made));
    for _ in 0..1_000 {
        house.tell(at, bound(&house, BindingChange::Refreshed));
        house.tell(at, denied(&house));
        tokio::task::yield_now().await; // the listener keeps up
    }
    let (account, jid) = (house.alice, "alice.chat@example.org".parse().unwrap());
    let (resource, stream) = ("phone".to_owned(), "s1".to_owned());
    house.tell(at, SessionEvent::Bound { account, jid, resource, stream });
    let entries = house.until(house.alice, |entries| events(entries).contains(&"session_opened")).await;
    let events = events(&entries);
    assert_eq!(events[0], "registration_made");
    assert_eq!(events.iter().filter(|event| **event == "login_failed").count(), 5, "{events:?}");
    assert_eq!(events.len(), 7, "{events:?}");
    assert_eq!(house.counted("operations_timeline_dropped_total"), 995.0);
}

#[tokio::test]
async fn the_newest_stay_and_the_old_go() {
    let config = Config { timeline_entries: 20, ..Config::default() };
    let house = House::new(config).await;
    for n in 0..110 {
        let why = UnboundWhy::Expired;
        let aor = "alice@example.org".parse().unwrap();
        let contact = format!("sip:{n}@192.0.2.1");
        let unbound = BindingEvent::Unbound { account: house.alice, aor, contact, why };
        house.tell(Correlation(n), unbound);
    }
    let has_last = |entries: &[operations::timeline::Entry]| {
        entries.len() < 50 && entries.last().is_some_and(|entry| entry.what.text.contains("sip:109@"))
    };
    let entries = house.until(house.alice, has_last).await;
    assert!(entries.len() >= 20, "{}", entries.len());
}

#[tokio::test]
async fn what_came_too_fast_is_counted_and_said() {
    let house = House::new(Config::default()).await;
    house.tell(Correlation(1), bound(&house, BindingChange::Made));
    house.until(house.alice, |entries| entries.len() == 1).await;
    // Without a pause, so that the listener cannot keep up with the bus, which holds 4,096.
    for _ in 0..6_000 {
        house.tell(Correlation(1), bound(&house, BindingChange::Refreshed));
    }
    let entries = house.until(house.alice, |entries| entries.len() == 2).await;
    assert_eq!(entries[1].what.event, "facts_missed");
    let missed = house.counted("operations_facts_missed_total");
    assert!(missed >= 1_904.0 && entries[1].what.text.starts_with(&format!("{missed} facts")), "{entries:?}");
}

#[tokio::test]
async fn a_store_that_refuses_loses_entries_and_that_is_said_afterwards() {
    let refuses = Arc::new(AtomicBool::new(true));
    let switch = Arc::clone(&refuses);
    let house = House::with(Config::default(), |store| {
        Arc::new(Moody { archive: Arc::clone(&store.archive), refuses: switch }) as _
    })
    .await;
    house.tell(Correlation(1), bound(&house, BindingChange::Made));
    while house.counted("operations_timeline_dropped_total") < 1.0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    refuses.store(false, Ordering::SeqCst);
    house.tell(Correlation(1), bound(&house, BindingChange::Moved));
    let entries = house.until(house.alice, |entries| !entries.is_empty()).await;
    assert_eq!(events(&entries), ["entries_lost", "registration_moved"]);
    assert_eq!(entries[0].what.text, "1 entries could not be written to the store");
}

#[tokio::test]
async fn the_timeline_goes_with_its_account() {
    let house = House::new(Config::default()).await;
    house.tell(Correlation(1), bound(&house, BindingChange::Made));
    house.until(house.alice, |entries| entries.len() == 1).await;
    house.tell(Correlation(1), AccountEvent::Removed { account: house.alice });
    house.tell(Correlation(1), bound(&house, BindingChange::Moved));
    house.until(house.alice, <[_]>::is_empty).await;
    // What is told of others afterwards is written, and nothing of the one who is gone.
    house.tell(Correlation(1), AccountEvent::Changed { account: house.bob });
    house.until(house.bob, |entries| entries.len() == 1).await;
    house.until(house.alice, <[_]>::is_empty).await;
}

#[tokio::test]
async fn who_went_while_nobody_was_here_is_found_at_the_start() {
    // By the note of what is still to erase, and when others erased it by what ended lately.
    for is_erased in [false, true] {
        let mut house = House::new(Config::default()).await;
        house.tell(Correlation(1), bound(&house, BindingChange::Made));
        house.until(house.alice, |entries| entries.len() == 1).await;
        let (auth, alice) = (house.auth.clone(), house.alice);
        let removed = async move {
            auth.book.remove(alice).await.unwrap();
            if is_erased {
                auth.gone.erased(alice).await.unwrap();
            }
        };
        house.again(removed).await;
        house.until(house.alice, <[_]>::is_empty).await;
    }
}

#[tokio::test]
async fn who_went_among_facts_that_were_missed_is_looked_for() {
    let house = House::new(Config::default()).await;
    house.tell(Correlation(1), bound(&house, BindingChange::Made));
    house.until(house.alice, |entries| entries.len() == 1).await;
    house.auth.book.remove(house.alice).await.unwrap(); // of which this bus hears nothing
    for _ in 0..6_000 {
        house.tell(Correlation(1), bound(&house, BindingChange::Refreshed));
    }
    house.until(house.alice, |entries| events(entries) == ["facts_missed"]).await;
}

#[tokio::test]
async fn a_follower_sees_each_entry_once() {
    let house = House::new(Config::default()).await;
    let mut follow = house.trace.follow(house.alice, None);
    let mut seen = Vec::new();
    for change in [BindingChange::Made, BindingChange::Moved] {
        house.tell(Correlation(1), bound(&house, change));
        while seen
            .last()
            .is_none_or(|event| (change == BindingChange::Moved) != (event == "registration_moved"))
        {
            seen.extend(follow.next().await.unwrap().into_iter().map(|entry| entry.what.event.into_owned()));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    assert_eq!(seen, ["registration_made", "registration_moved"]);
    assert!(follow.next().await.unwrap().is_empty());
}

/// An archive that may refuse.
struct Moody {
    archive: Arc<dyn Archive>,
    refuses: Arc<AtomicBool>,
}

#[async_trait::async_trait]
impl Archive for Moody {
    async fn append(&self, entries: &[Entry]) -> Result<(), StoreError> {
        match self.refuses.load(Ordering::SeqCst) {
            true => Err(StoreError::Backend("the disk is full".to_owned())),
            false => self.archive.append(entries).await,
        }
    }
    async fn entry(&self, owner: &str, id: &str) -> Result<Option<Entry>, StoreError> {
        self.archive.entry(owner, id).await
    }
    async fn page(&self, owner: &str, query: &Query) -> Result<Page, StoreError> {
        self.archive.page(owner, query).await
    }
    async fn replace(&self, owner: &str, id: &str, body: &[u8]) -> Result<bool, StoreError> {
        self.archive.replace(owner, id, body).await
    }
    async fn remove(&self, owner: &str, ids: &[String]) -> Result<u64, StoreError> {
        self.archive.remove(owner, ids).await
    }
    async fn remove_owner(&self, owner: &str) -> Result<u64, StoreError> {
        self.archive.remove_owner(owner).await
    }
    async fn remove_older(&self, kind: &str, time: i64, max: usize) -> Result<u64, StoreError> {
        self.archive.remove_older(kind, time, max).await
    }
    async fn trim(&self, owner: &str, keep: usize, max: usize) -> Result<u64, StoreError> {
        self.archive.trim(owner, keep, max).await
    }
}
