//! Many at once: nobody is lost, nobody is doubled.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::common::failing::{Fault, failing_records};
use crate::common::{Client, DOMAIN, PATIENCE, Served, serve, serve_over, serve_with};
use shared_store::{Expected, Query, Store};
use xmpp_core::payload::mam::Otherwise;
use xmpp_server::Config;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_meets_a_login_comes_once() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::login(&served, "bob", "b").await;
    let sender = async {
        for n in 0..300 {
            alice.send(&format!("<message to='bob@example.org'><body>n{n};</body></message>")).await;
        }
        alice.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
    };
    let receiver = async {
        for _ in 0..20 {
            bob.send("<presence/><presence type='unavailable'/>").await;
            tokio::task::yield_now().await;
        }
        bob.send("<presence/>").await;
        let mut seen = HashSet::new();
        while seen.len() < 300 {
            let message = bob.expect(&["<message"]).await;
            let n = message.split("<body>").nth(1).unwrap().split(';').next().unwrap().to_owned();
            assert!(seen.insert(n.clone()), "{n} came twice");
        }
        bob.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
    };
    tokio::join!(sender, receiver);
}

/// Somebody writes without a pause while the other comes and goes: whatever waits, whatever is live, all of it comes once and in the
/// order in which it was sent (RFC 6120 §10.1).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waited_comes_before_what_is_said_at_a_login() {
    for archive in [Otherwise::Always, Otherwise::Never] {
        let config = Config { archive, ..Config::default() };
        let served = serve_with(config, Store::in_memory()).await;
        let mut alice = Client::online(&served, "alice", "a").await;
        let (is_over, heard) = (AtomicBool::new(false), AtomicUsize::new(0));
        let sender = async {
            let mut sent = 0;
            while !is_over.load(Ordering::Relaxed) {
                // No more than fits among the messages that wait.
                if sent < heard.load(Ordering::Relaxed) + 500 {
                    alice
                        .send(&format!("<message to='bob@example.org'><body>n{sent};</body></message>"))
                        .await;
                    sent += 1;
                }
                tokio::task::yield_now().await;
            }
            alice.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
            sent
        };
        let receiver = async {
            let mut seen: Vec<usize> = Vec::new();
            for round in 0..12 {
                let mut bob = Client::login(&served, "bob", &format!("r{round}")).await;
                bob.send("<presence/>").await;
                let enough = seen.len() + 700;
                while let Some(text) = bob.next().await {
                    if let Some(body) = text.split("<body>n").nth(1) {
                        seen.push(body.split(';').next().unwrap().parse().unwrap());
                        heard.store(seen.len(), Ordering::Relaxed);
                        if seen.len() == enough {
                            bob.send("</stream:stream>").await;
                        }
                    }
                }
            }
            is_over.store(true, Ordering::Relaxed);
            seen
        };
        let (sent, mut seen) = tokio::join!(sender, receiver);
        let mut bob = Client::login(&served, "bob", "last").await;
        bob.send("<presence/>").await;
        while let Ok(text) =
            timeout(Duration::from_secs(if seen.len() < sent { 8 } else { 0 }), bob.expect(&["<message"]))
                .await
        {
            seen.push(text.split("<body>n").nth(1).unwrap().split(';').next().unwrap().parse().unwrap());
        }
        let odd = seen.iter().enumerate().find(|(at, n)| at != *n).map_or(sent, |(at, _)| at);
        let some = &seen[odd.saturating_sub(3)..(odd + 10).min(seen.len())];
        assert_eq!(odd, sent, "{archive:?}: each once, in order: {some:?}");
    }
}

/// A server that asks its store before it gives bob what waited, and how that is held up.
async fn hesitant(archive: Otherwise) -> ([Served; 2], Fault) {
    let before = serve().await;
    let daily = br#"{"id":"one","text":"of the day"}"#;
    let records = &before.store.records;
    records.put("announcements", "standing", "of-the-day", daily, Expected::Anything).await.unwrap();
    records.put("bob@example.org", "settings", "of-the-day", b"one", Expected::Anything).await.unwrap();
    let (store, fault) = failing_records(&before.store);
    let config = Config { archive, ..Config::default() };
    let served = serve_over(&before, config, store).await;
    ([served, before], fault)
}

fn say(to: &str, text: &str) -> String {
    format!("<message type='chat' to='bob@example.org{to}'><body>{text};</body></message>")
}

/// What waits for a session that just came is on disk, and so is given to nobody else who has no copy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_one_client_is_given_to_no_other() {
    for archive in [Otherwise::Always, Otherwise::Never] {
        let ([served, _before], fault) = hesitant(archive).await;
        let mut alice = Client::online(&served, "alice", "a").await;
        let mut phone = Client::online(&served, "bob", "phone").await;
        fault.hang();
        let mut desk = Client::login(&served, "bob", "desk").await;
        desk.send("<presence/>").await;
        desk.expect(&["<presence", "from='bob@example.org/desk'"]).await;
        alice.send(&(say("/desk", "n0") + &say("/phone", "n1"))).await;
        let next = phone.expect(&["<message"]).await;
        assert!(next.contains("n1;"), "{archive:?}, it is for the desk: {next}");
        fault.over();
        let next = desk.expect(&["<message"]).await;
        assert!(next.contains("n0;"), "{archive:?}: {next}");
        for client in [&mut phone, &mut desk] {
            client.expect_nothing().await;
        }
    }
}

/// A session that just came is about to be given what waited, and what is said to it goes behind that and to nobody else, but what is
/// of the moment. Who shows no presence waits for nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waited_comes_before_what_is_said_to_the_session_that_just_came() {
    for archive in [Otherwise::Always, Otherwise::Never] {
        let ([served, _before], fault) = hesitant(archive).await;
        let mut alice = Client::online(&served, "alice", "a").await;
        for n in 0..3 {
            alice.send(&say("", &format!("n{n}"))).await;
        }
        let mut quiet = Client::login(&served, "bob", "quiet").await;
        alice.send(&say("/quiet", "at once")).await;
        quiet.expect(&["<message", "at once"]).await;
        let mut copied = Client::login(&served, "bob", "copied").await;
        copied.ask("set", "", "<enable xmlns='urn:xmpp:carbons:2'/>").await;

        fault.hang();
        let mut phone = Client::login(&served, "bob", "phone").await;
        phone.send("<presence/>").await;
        phone.expect(&["<presence", "from='bob@example.org/phone'"]).await;
        alice.send(&(say("/phone", "n3") + &say("", "n4") + &say("/phone", "n5"))).await;
        let moment = "<body>now;</body><no-store xmlns='urn:xmpp:hints'/>";
        alice.send(&format!("<message type='chat' to='bob@example.org/phone'>{moment}</message>")).await;
        let first = phone.expect(&["<message"]).await;
        assert!(first.contains("now;"), "{archive:?}: {first}");
        for n in 3..6 {
            copied.expect(&["<received", &format!("n{n};")]).await;
        }
        fault.over();
        for n in 0..6 {
            let next = phone.expect(&["<message"]).await;
            assert!(next.contains(&format!("<body>n{n};")), "{archive:?}, {n}: {next}");
        }

        fault.hang();
        let mut desk = Client::login(&served, "bob", "desk").await;
        desk.send("<presence/>").await;
        desk.expect(&["<presence", "from='bob@example.org/desk'"]).await;
        alice.send(&(say("/desk", "n6") + &say("/phone", "n7"))).await;
        let next = phone.expect(&["<message"]).await;
        assert!(next.contains("n7;"), "{archive:?}, it is for the desk: {next}");
        fault.over();
        let next = desk.expect(&["<message"]).await;
        assert!(next.contains("n6;"), "{archive:?}: {next}");

        fault.hang();
        let mut lost = Client::login(&served, "bob", "lost").await;
        lost.send("<enable xmlns='urn:xmpp:sm:3'/><presence/>").await;
        lost.expect(&["<presence", "from='bob@example.org/lost'"]).await;
        alice.send(&say("/lost", "n8")).await;
        copied.expect(&["<received", "n8;"]).await;
        drop(lost);
        fault.over();
        // One of his clients has it, and so nobody is given it again.
        for client in [&mut phone, &mut desk] {
            client.expect(&["type='unavailable'", "from='bob@example.org/lost'"]).await;
        }
        for client in [&mut quiet, &mut phone, &mut desk] {
            client.expect_nothing().await;
        }
    }
}

/// What does not fit into an outbox is kept at once, and what lies there when the session has ended: it waits as it came.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_overflows_an_outbox_waits_behind_what_lies_there() {
    let config = Config { outbox: 4, rate: 1 << 30, archive: Otherwise::Never, ..Config::default() };
    let served = serve_with(config, Store::in_memory()).await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut slow = Client::online(&served, "bob", "slow").await;
    slow.send("<enable xmlns='urn:xmpp:sm:3'/>").await;
    slow.expect(&["<enabled"]).await;
    let waiting = async || {
        let page = served.store.archive.page("bob@example.org#offline", &Query::default()).await;
        page.unwrap().count.unwrap()
    };
    // Sockets take much by themselves, and what it did not acknowledge it has not.
    let (long, mut sent, mut behind) = ("x".repeat(200_000), 0, 0);
    while behind < 4 {
        alice
            .send(&format!("<message type='chat' to='bob@example.org'><body>n{sent};{long}</body></message>"))
            .await;
        alice.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
        sent += 1;
        behind += usize::from(behind > 0 || waiting().await > 0);
    }
    drop(slow);
    let end = Instant::now() + PATIENCE;
    while waiting().await < sent {
        assert!(Instant::now() < end, "all of it waits");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut bob = Client::login(&served, "bob", "b").await;
    bob.send("<presence/>").await;
    for n in 0..sent {
        let next = bob.expect(&["<message"]).await;
        assert!(next.contains(&format!("<body>n{n};")), "{n} of {sent}: {}", &next[..200]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_given_more_than_an_outbox_holds_by_anothers_end_is_waited_for() {
    let config = Config { outbox: 4, rate: 1 << 30, archive: Otherwise::Never, ..Config::default() };
    let served = serve_with(config, Store::in_memory()).await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut other = Client::online(&served, "bob", "other").await;
    let mut gone = Client::login(&served, "bob", "gone").await;
    gone.send("<enable xmlns='urn:xmpp:sm:3'/>").await;
    gone.expect(&["<enabled"]).await;
    gone.send("<presence><priority>1</priority></presence>").await;
    gone.expect(&["<presence", "<priority>1</priority>"]).await;
    other.expect(&["<presence", "<priority>1</priority>"]).await;
    let long = "x".repeat(100_000);
    let say = async |alice: &mut Client, n: usize| {
        let text = format!("<message type='chat' to='bob@example.org'><body>n{n};{long}</body></message>");
        alice.send(&text).await;
        alice.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
    };
    for n in 0..40 {
        say(&mut alice, n).await;
        gone.expect(&["<message", &format!("<body>n{n};")]).await;
    }
    // None of them was acknowledged. What comes while the other is given them comes behind.
    gone.send("</stream:stream>").await;
    assert_eq!(gone.next().await, None);
    other.expect(&["<message", "<body>n0;"]).await;
    for n in 40..44 {
        say(&mut alice, n).await;
    }
    for n in 1..44 {
        let next = other.expect(&["<message"]).await;
        assert!(next.contains(&format!("<body>n{n};")), "{n}: {}", &next[..200]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_make_a_room_at_once_one_owns_it() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    for n in 0..20 {
        let join = |nick: &str| {
            format!(
                "<presence to='r{n}@conference.example.org/{nick}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
            )
        };
        let (for_alice, for_bob) = (join("A"), join("B"));
        tokio::join!(alice.send(&for_alice), bob.send(&for_bob));
        let room = format!("r{n}@conference.example.org");
        let one = alice.expect(&["<presence", &room]).await;
        let other = bob.expect(&["<presence", &room]).await;
        let owners = [&one, &other].iter().filter(|p| p.contains("code='201'")).count();
        assert_eq!(owners, 1, "{one}\n{other}");
    }
}

#[tokio::test]
async fn of_two_connections_that_take_a_session_the_newer_has_it() {
    let before = serve().await;
    let (store, fault) = failing_records(&before.store);
    let served = Arc::new(serve_over(&before, Config::default(), store).await);
    let mut alice = Client::online(&served, "alice", "a").await;
    let id = alice.manage().await;
    tokio::time::sleep(Duration::from_millis(1_500)).await; // what was read a moment ago is known
    fault.slow(1, Duration::from_secs(4));
    // While the session is at this, nobody takes it.
    alice.send("<iq type='get' id='slow'><query xmlns='jabber:iq:roster'/></iq>").await;
    let come = || {
        let (served, id) = (Arc::clone(&served), id.clone());
        tokio::spawn(async move { Client::resume(&served, "alice", &id, 0).await })
    };
    let older = come();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let newer = come();
    let (_newer, resumed) = newer.await.unwrap();
    assert!(resumed.starts_with("<resumed"), "{resumed:?}");
    let (_older, refused) = older.await.unwrap();
    assert!(refused.contains("<conflict"), "{refused:?}");
    alice.expect_stream_error("conflict").await;
}
