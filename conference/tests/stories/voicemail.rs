//! Mailboxes over real sockets: a call that somebody did not take, and what was left.
#[allow(dead_code, reason = "each test file uses its part")]
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::house::{House, tone_in};
use conference::Config;
use shared_model::{Correlation, Fact, KeptMessage, MailboxEvent, Mailboxes, Said, Waiting};
use sip_core::Name;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_says_after_the_tone_is_kept() {
    let house = House::start_with(Config::default()).await;
    assert_eq!(house.focus.mailbox(&crate::house::jid("bob")).await, None, "who wants no messages gets none");
    house.messages.wanted.lock().unwrap().push(crate::house::jid("bob"));
    let uri = house.focus.mailbox(&crate::house::jid("bob")).await.unwrap();
    let mut alice = house.phone_of("alice", 700.0).await;
    let response = alice.invite(&uri).await;
    assert_eq!(response.status(), 200);
    assert!(!response.value(Name::Contact).unwrap().contains("isfocus"));
    assert_eq!(house.invite("carol", &uri).await, 486, "a mailbox is for one call");
    assert_eq!(alice.send("SUBSCRIBE", &[("Event", "conference")]).await.status(), 403);
    // The prompt takes four seconds.
    let mut phones = [alice];
    crate::house::talk::<1>(&mut phones, 330);
    let [alice] = &mut phones;
    assert_eq!(alice.send("BYE", &[]).await.status(), 200);
    let (owner, message) = house.messages.until(1).await.remove(0);
    assert_eq!((owner, message.from), (crate::house::jid("bob"), Some(crate::house::jid("alice"))));
    let Said { duration: length, sound } = message.said.unwrap();
    assert!((Duration::from_millis(1_500)..Duration::from_millis(4_500)).contains(&length), "{length:?}");
    assert!(tone_in(&sound, 700.0) > 2_000.0 && tone_in(&sound, 1_000.0) < 500.0);
    assert_eq!(house.invite("carol", &uri).await, 404, "and not for another later");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_ends_a_message_and_silence_is_none() {
    let house = House::start().await;
    house.messages.wanted.lock().unwrap().push(crate::house::jid("bob"));
    let uri = house.focus.mailbox(&crate::house::jid("bob")).await.unwrap();
    let mut stranger = house.phone_of("stranger", 700.0).await;
    assert_eq!(stranger.invite(&uri).await.status(), 200, "strangers may, as they may call");
    let mut phones = [stranger];
    crate::house::talk::<1>(&mut phones, 60);
    let [stranger] = &mut phones;
    stranger.press("#");
    stranger.request("BYE").await;
    let (_, message) = house.messages.until(1).await.remove(0);
    assert_eq!((message.from, message.caller.as_str()), (None, "stranger@example.org"));

    let uri = house.focus.mailbox(&crate::house::jid("bob")).await.unwrap();
    let mut silent = house.silent_phone("carol").await;
    assert_eq!(silent.invite(&uri).await.status(), 200);
    assert_eq!(silent.send("BYE", &[]).await.status(), 200);
    let messages = house.messages.clone();
    house.stop().await;
    assert_eq!(messages.kept.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_a_message_that_is_lost_hears_so() {
    let house = House::start_with(Config::default()).await;
    house.messages.wanted.lock().unwrap().push(crate::house::jid("bob"));
    house.messages.is_full.store(true, Ordering::Relaxed);
    let uri = house.focus.mailbox(&crate::house::jid("bob")).await.unwrap();
    let mut alice = house.phone_of("alice", 700.0).await;
    assert_eq!(alice.invite(&uri).await.status(), 200);
    let mut phones = [alice];
    crate::house::talk::<1>(&mut phones, 280);
    let [alice] = &mut phones;
    alice.press("#");
    let loudness = alice.loudness(50);
    assert!(loudness > 300.0, "it is said: {loudness}");
    let bye = alice.request("BYE").await;
    assert_eq!(bye.value(Name::Reason), Some("SIP;cause=200;text=\"Message Not Kept\""));
    assert_eq!(house.metric("conference_voice_messages_total"), 1.0);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_a_message_of_which_nobody_says_what_became_hears_that_it_is_lost() {
    let house = House::start_with(Config::default()).await;
    house.messages.wanted.lock().unwrap().push(crate::house::jid("bob"));
    house.messages.is_frozen.store(true, Ordering::Relaxed);
    let uri = house.focus.mailbox(&crate::house::jid("bob")).await.unwrap();
    let mut alice = house.phone_of("alice", 700.0).await;
    assert_eq!(alice.invite(&uri).await.status(), 200);
    let mut phones = [alice];
    crate::house::talk::<1>(&mut phones, 280);
    let [alice] = &mut phones;
    alice.press("#");
    // The store may take 15 s (its own bound).
    assert!(alice.loudness(16 * 50) < 100.0, "nothing is said before");
    let bye = tokio::time::timeout(Duration::from_secs(15), alice.request("BYE")).await.unwrap();
    assert_eq!(bye.value(Name::Reason), Some("SIP;cause=200;text=\"Message Not Kept\""));
    house.messages.is_frozen.store(false, Ordering::Relaxed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_before_the_tone_leaves_nothing() {
    let house = House::start_with(Config::default()).await;
    house.messages.wanted.lock().unwrap().push(crate::house::jid("bob"));
    let uri = house.focus.mailbox(&crate::house::jid("bob")).await.unwrap();
    let mut alice = house.phone_of("alice", 700.0).await;
    assert_eq!(alice.invite(&uri).await.status(), 200);
    let mut phones = [alice];
    crate::house::talk::<1>(&mut phones, 20);
    let [alice] = &mut phones;
    alice.press("#");
    let bye = alice.request("BYE").await;
    assert_eq!(bye.value(Name::Reason), Some("SIP;cause=200;text=\"No Message\""));
    let messages = house.messages.clone();
    house.stop().await;
    assert!(messages.kept.lock().unwrap().is_empty(), "nor is its owner told of one that is lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_ends_when_its_caller_vanishes() {
    let config = Config { prompts: false, silence_timeout: Duration::from_secs(3), ..Config::default() };
    let house = House::start_with(config).await;
    house.messages.wanted.lock().unwrap().push(crate::house::jid("bob"));
    let uri = house.focus.mailbox(&crate::house::jid("bob")).await.unwrap();
    let mut alice = house.phone_of("alice", 700.0).await;
    assert_eq!(alice.invite(&uri).await.status(), 200);
    let mut phones = [alice];
    crate::house::talk::<1>(&mut phones, 60);
    let (_, message) = house.messages.until(1).await.remove(0);
    let length = message.said.unwrap().duration;
    assert!((Duration::from_millis(900)..Duration::from_millis(1_800)).contains(&length), "{length:?}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_has_an_end() {
    let config = Config { prompts: false, voicemail_longest: Duration::from_secs(1), ..Config::default() };
    let house = House::start_with(config).await;
    house.messages.wanted.lock().unwrap().push(crate::house::jid("bob"));
    let uri = house.focus.mailbox(&crate::house::jid("bob")).await.unwrap();
    let mut alice = house.phone_of("alice", 700.0).await;
    assert_eq!(alice.invite(&uri).await.status(), 200);
    let mut phones = [alice];
    crate::house::talk::<1>(&mut phones, 60);
    phones[0].request("BYE").await;
    let (_, message) = house.messages.until(1).await.remove(0);
    assert!(message.said.unwrap().duration <= Duration::from_secs(1));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_takes_two_calls_at_once() {
    let house = House::start().await;
    house.messages.wanted.lock().unwrap().extend(["bob", "carol"].map(crate::house::jid));
    let mut callers = Vec::new();
    for status in [200, 200, 486] {
        let uri = house.focus.mailbox(&crate::house::jid("bob")).await.unwrap();
        let mut caller = house.silent_phone("stranger").await;
        assert_eq!(caller.invite(&uri).await.status(), status);
        callers.push(caller);
    }
    let uri = house.focus.mailbox(&crate::house::jid("carol")).await.unwrap();
    assert_eq!(house.invite("alice", &uri).await, 200, "carol's is another");
    assert_eq!(callers[0].send("BYE", &[]).await.status(), 200);
    let free = async {
        loop {
            let uri = house.focus.mailbox(&crate::house::jid("bob")).await.unwrap();
            if house.invite("alice", &uri).await == 200 {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), free).await.unwrap();
    house.stop().await;
}

/// Two messages of bob's, a tone each, the older one first; and one of alice's.
fn fill(house: &House) {
    for one in [(1_000, "bob", 440.0), (2_000, "bob", 600.0), (3_000, "alice", 800.0)] {
        leave(house, one);
    }
}

/// A message that is a tone.
fn leave(house: &House, (at, owner, hertz): (i64, &str, f64)) {
    let mut writer = conference::media::ogg::Writer::begin(Vec::new(), 7).unwrap();
    let mut tone = conference::mixer::Tone::new(hertz, 6_000.0);
    (0..50).for_each(|_| writer.write(&tone.next_frame()).unwrap());
    let message = KeptMessage { id: at.to_string(), at, ..KeptMessage::default() };
    let sound = writer.finish().unwrap();
    house.messages.old.lock().unwrap().push((crate::house::jid(owner), message, sound));
}

impl House {
    /// Waits until it holds for the messages that there are.
    async fn until_old(&self, holds: impl Fn(&[(&str, bool)]) -> bool) {
        let seen = async {
            loop {
                let old = self.messages.old.lock().unwrap().clone();
                let old: Vec<_> =
                    old.iter().map(|(_, message, _)| (message.id.as_str(), message.is_heard)).collect();
                if holds(&old) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), seen).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_hears_their_mailbox_and_nobody_elses() {
    let house = House::start_with(Config::default()).await;
    fill(&house);
    let mailboxes = house.focus.watched();
    assert_eq!(house.invite("stranger", &mailboxes).await, 403);
    let mut phones = [house.phone_of("bob", 440.0).await, house.silent_phone("carol").await];
    let response = phones[0].invite(&mailboxes).await;
    assert_eq!(response.status(), 200);
    assert!(!response.value(Name::Contact).unwrap().contains("isfocus"));
    // «You have 2 new messages. Message 1, many days ago», and its tone.
    let [bob, carol] = &mut phones;
    let mut heard = [0.0; 3];
    let begin = std::time::Instant::now();
    while !house.messages.old.lock().unwrap()[0].1.is_heard {
        assert!(begin.elapsed() < Duration::from_secs(20), "the first is never heard to its end");
        let now = bob.loudest([440.0, 600.0, 800.0], 10);
        heard = std::array::from_fn(|n| now[n].max(heard[n]));
    }
    assert!(heard[0] > 4_000.0 && heard[1] < 3_000.0 && heard[2] < 3_000.0, "{heard:?}");
    bob.press("1");
    house.until_old(|old| old == [("1000", true), ("2000", true), ("3000", false)]).await;
    // While the keys are said, the second goes; nothing is left but the first.
    bob.press("7");
    house.until_old(|old| old == [("1000", true), ("3000", false)]).await;
    bob.press("#");
    let bye = bob.request("BYE").await;
    assert_eq!(bye.value(Name::Reason), Some("SIP;cause=200;text=\"Mailbox Closed\""));
    assert_eq!(carol.invite(&mailboxes).await.status(), 200);
    assert_eq!(carol.request("BYE").await.value(Name::Reason), bye.value(Name::Reason), "hers is empty");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_is_told_what_waits_for_its_account() {
    let house = House::start().await;
    let mut bob = house.silent_phone("bob").await;
    bob.uri = house.focus.watched();
    let lamp = [("Event", "message-summary"), ("Expires", "600")];
    assert_eq!(bob.send("SUBSCRIBE", &lamp).await.status(), 200);
    let text = bob.document().await;
    assert_eq!(
        text,
        "Messages-Waiting: no\r\nMessage-Account: sip:bob@example.org\r\nVoice-Message: 0/0\r\n"
    );
    for (owner, new) in [("alice", 9), ("bob", 3)] {
        let waiting = Waiting { new, old: 1 };
        let changed = MailboxEvent::Changed { owner: crate::house::jid(owner), waiting };
        house.bus.publish(Fact::new(Correlation::of_call("x"), changed));
    }
    assert!(bob.document().await.contains("Voice-Message: 3/1"), "and nothing of alice's");
    let over = [("Event", "message-summary"), ("Expires", "0")];
    assert_eq!(bob.send("SUBSCRIBE", &over).await.status(), 200);
    let last = bob.request("NOTIFY").await;
    assert_eq!(last.value(Name::SubscriptionState), Some("terminated;reason=timeout"));
    assert_eq!(bob.send("SUBSCRIBE", &lamp).await.status(), 481);
    let mut stranger = house.silent_phone("stranger").await;
    stranger.uri = house.focus.watched();
    assert_eq!(stranger.send("SUBSCRIBE", &lamp).await.status(), 403);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lamp_stays_as_it_is_while_nobody_knows_what_waits() {
    let house = House::start().await;
    let lamp = [("Event", "message-summary"), ("Expires", "600")];
    let mut bob = house.silent_phone("bob").await;
    bob.uri = house.focus.watched();
    assert_eq!(bob.send("SUBSCRIBE", &lamp).await.status(), 200);
    assert!(bob.document().await.contains("Voice-Message: 0/0"));
    let changed =
        MailboxEvent::Changed { owner: crate::house::jid("bob"), waiting: Waiting { new: 3, old: 1 } };
    house.bus.publish(Fact::new(Correlation::of_call("x"), changed));
    assert!(bob.document().await.contains("Voice-Message: 3/1"));
    house.messages.is_down.store(true, Ordering::Relaxed);
    assert_eq!(bob.send("SUBSCRIBE", &lamp).await.status(), 200);
    assert!(bob.document().await.contains("Voice-Message: 3/1"), "not that nothing waits");
    let mut carol = house.silent_phone("carol").await;
    carol.uri = house.focus.watched();
    assert_eq!(carol.send("SUBSCRIBE", &lamp).await.status(), 200);
    assert_eq!(carol.document().await, "", "nothing is known");
    house.messages.is_down.store(false, Ordering::Relaxed);
    assert!(carol.document().await.contains("Voice-Message: 0/0"), "and is when it can be");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_too_many_erases_nothing_that_was_not_heard() {
    let house = House::start_with(Config::default()).await;
    fill(&house);
    let mut bob = house.phone_of("bob", 440.0).await;
    assert_eq!(bob.invite(&house.focus.watched()).await.status(), 200);
    // How many there are is said.
    bob.loudness(20);
    bob.press("7");
    bob.press("1");
    bob.loudness(50);
    bob.press("77");
    bob.press("#");
    bob.request("BYE").await;
    let left: Vec<String> =
        house.messages.old.lock().unwrap().iter().map(|(_, message, _)| message.id.clone()).collect();
    assert_eq!(left, ["2000", "3000"]);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_cannot_be_read_is_not_heard_and_can_be_erased() {
    let house = House::start_with(Config::default()).await;
    fill(&house);
    house.messages.old.lock().unwrap()[0].2 = b"no sound".to_vec();
    let mut bob = house.phone_of("bob", 440.0).await;
    assert_eq!(bob.invite(&house.focus.watched()).await.status(), 200);
    bob.loudness(20);
    bob.press("1");
    // «Message 1, many days ago», and what keys do.
    bob.loudness(6 * 50);
    house.until_old(|old| old[0] == ("1000", false)).await;
    bob.press("7");
    house.until_old(|old| old == [("2000", false), ("3000", false)]).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_while_its_owner_listens_is_heard_in_the_same_call() {
    let house = House::start_with(Config::default()).await;
    fill(&house);
    let mut bob = house.phone_of("bob", 440.0).await;
    assert_eq!(bob.invite(&house.focus.watched()).await.status(), 200);
    bob.loudness(20);
    bob.press("1");
    bob.loudness(20);
    leave(&house, (4_000, "bob", 800.0));
    // On from both that were there, and from the third.
    bob.press("111");
    let expected = [("1000", true), ("2000", true), ("3000", false), ("4000", true)];
    house.until_old(|old| old == expected).await;
    bob.press("77");
    house.until_old(|old| old == expected).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_its_owner_erases_by_a_key_is_noted() {
    let house = House::start_with(Config::default()).await;
    fill(&house);
    let mut bob = house.phone_of("bob", 440.0).await;
    assert_eq!(bob.invite(&house.focus.watched()).await.status(), 200);
    bob.loudness(20);
    bob.press("1");
    bob.loudness(20);
    bob.press("7");
    bob.press("#");
    bob.request("BYE").await;
    let noted = house.auth.audit.page(None, 10).await.unwrap();
    let noted: Vec<_> =
        noted.iter().map(|(_, entry)| ["who", "from", "what", "on"].map(|key| &entry[key])).collect();
    let expected = ["bob@example.org", "127.0.0.1", "voice message removed", "bob@example.org 1000"];
    assert_eq!(noted, [expected]);
    house.stop().await;
}
