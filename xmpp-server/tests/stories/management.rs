//! Stream management — XEP-0198: acks, resumption, and that nothing is lost or doubled when connections die.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::common::counted::{Asked, counted};
use crate::common::rooms::{INSTANT, ROOM};
use crate::common::{Client, DOMAIN, Served, serve, serve_over, serve_with};
use shared_store::{Query, Store};
use xmpp_core::payload::mam::Otherwise;
use xmpp_server::Config;

const ASK: &str = "<r xmlns='urn:xmpp:sm:3'/>";

fn ack(h: u32) -> String {
    format!("<a xmlns='urn:xmpp:sm:3' h='{h}'/>")
}

fn message(to: &str, body: &str) -> String {
    format!("<message type='chat' to='{to}@example.org'><body>{body}</body></message>")
}

#[tokio::test]
async fn both_sides_count_stanzas_and_ack_them() {
    let served = serve().await;
    let mut client = Client::connect(&served).await;
    client.authenticate("alice", crate::common::PASSWORD).await;
    client.send("<enable xmlns='urn:xmpp:sm:3'/>").await;
    client.expect(&["<failed", "unexpected-request"]).await;
    client.bind("a").await;
    client.send("<resume xmlns='urn:xmpp:sm:3' previd='x' h='0'/>").await;
    client.expect(&["<failed", "unexpected-request"]).await;
    client.send("<enable xmlns='urn:xmpp:sm:3'/>").await;
    let enabled = client.expect(&["<enabled"]).await;
    assert!(!enabled.contains("resume"), "{enabled}");
    client.send(&format!("<presence/>{ASK}")).await;
    client.expect(&["<presence"]).await;
    client.expect(&["<a ", "h='1'"]).await;
    client.send(&(ack(1) + "<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")).await;
    client.expect(&["id='p'"]).await;
    client.expect(&["<r "]).await;
    client.send(&(ack(3) + ASK)).await;
    let error = client.expect(&["<error", "streams"]).await;
    assert!(error.contains("<undefined-condition") && error.contains("handled-count-too-high"), "{error}");
    assert!(error.contains("h='3'") && error.contains("send-count='2'"), "{error}");
}

#[tokio::test]
async fn a_lost_connection_is_resumed_where_it_was() {
    let served = serve().await;
    let mut bob = Client::online(&served, "bob", "b").await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let id = alice.manage().await;
    bob.send("<presence to='alice@example.org'/>").await;
    alice.expect(&["<presence", "bob@example.org/b"]).await;
    alice.send(&(message("bob", "one") + &ack(1))).await;
    bob.expect(&["one"]).await;
    bob.send(&message("alice", "two")).await;
    alice.expect(&["two"]).await;
    drop(alice);
    bob.send(&message("alice", "three")).await;
    bob.expect_nothing().await; // neither an error nor unavailable presence
    let (mut alice, resumed) = Client::resume(&served, "alice", &id, 1).await;
    assert!(
        resumed.starts_with("<resumed") && resumed.contains("h='1'") && resumed.contains(&id),
        "{resumed}"
    );
    for body in ["two", "three"] {
        let next = alice.stanza().await.unwrap();
        assert!(next.contains(body), "{body}: {next}");
    }
    // Its presence was never lost, and its counters go on.
    alice.send(&(ack(3) + &message("bob", "four") + ASK)).await;
    bob.expect(&["four"]).await;
    alice.expect(&["<a ", "h='2'"]).await;
    // Another connection takes it while this one is still there.
    let (mut third, resumed) = Client::resume(&served, "alice", &id, 3).await;
    assert!(resumed.starts_with("<resumed"), "{resumed}");
    alice.expect_stream_error("conflict").await;
    third.send(&message("bob", "five")).await;
    bob.expect(&["five", "from='alice@example.org/a'"]).await;
}

#[tokio::test]
async fn only_the_owner_resumes_and_only_in_time() {
    let config = Config { resume_timeout: Duration::from_millis(200), ..Config::default() };
    let served = serve_with(config, Store::in_memory()).await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let id = alice.manage().await;
    let (mut bob, answer) = Client::resume(&served, "bob", &id, 0).await;
    assert!(answer.contains("<item-not-found") && !answer.contains(" h="), "{answer}");
    bob.bind("b").await; // XEP-0198 §5: the client may bind at this point
    bob.send("<presence/>").await;
    bob.expect(&["<presence"]).await;
    let (mut other, answer) = Client::resume(&served, "alice", &id, 9).await;
    assert!(answer.contains("handled-count-too-high"), "{answer}");
    assert_eq!(other.next().await, None);
    alice.send("<presence to='bob@example.org'/>").await;
    bob.expect(&["<presence", "alice@example.org/a"]).await;
    drop(alice);
    bob.expect(&["<presence", "type='unavailable'", "alice@example.org/a"]).await;
    let (_, answer) = Client::resume(&served, "alice", &id, 0).await;
    assert!(answer.contains("<failed") && answer.contains("h='1'"), "{answer}");
}

#[tokio::test]
async fn what_was_not_acked_goes_to_another_resource_or_waits_or_comes_back() {
    let config = Config { resume_timeout: Duration::from_millis(100), ..Config::default() };
    let served = serve_with(config, Store::in_memory()).await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut phone = Client::online(&served, "bob", "phone").await;
    phone.manage().await;
    alice.send(&message("bob/phone", "x").replace("bob/phone@example.org", "bob@example.org/phone")).await;
    alice
        .send("<iq type='get' id='v' to='bob@example.org/phone'><query xmlns='jabber:iq:version'/></iq>")
        .await;
    phone.expect(&["jabber:iq:version"]).await;
    drop(phone);
    // The iq comes back, the message waits for the next resource.
    assert!(alice.expect(&["id='v'"]).await.contains("service-unavailable"));
    let mut desk = Client::login(&served, "bob", "desk").await;
    desk.send("<presence/>").await;
    desk.expect(&["<body>x</body>", "urn:xmpp:delay"]).await;
    // A clean end loses what was not acked as little.
    desk.manage().await;
    alice.send(&message("bob", "y")).await;
    desk.expect(&["<body>y"]).await;
    desk.send("</stream:stream>").await;
    while desk.next().await.is_some() {}
    let mut again = Client::login(&served, "bob", "again").await;
    again.send("<presence/>").await;
    again.expect(&["<body>y"]).await;
    again.expect_nothing().await;
}

/// Bob's phone, which acknowledges nothing; and what he has beside it.
async fn phone_and_desk(served: &Served) -> (Client, Client) {
    let mut phone = Client::online(served, "bob", "phone").await;
    phone.manage().await;
    let mut desk = Client::online(served, "bob", "desk").await;
    phone.expect(&["<presence", "bob@example.org/desk"]).await;
    desk.send("<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>").await;
    desk.expect(&["id='c'"]).await;
    (phone, desk)
}

/// Loses the phone, and waits until nobody waits for it any more.
async fn lose(alice: &mut Client, phone: Client) {
    alice
        .send("<iq type='get' id='v' to='bob@example.org/phone'><query xmlns='jabber:iq:version'/></iq>")
        .await;
    drop(phone);
    alice.expect(&["id='v'", "service-unavailable"]).await;
}

#[tokio::test]
async fn what_another_client_has_is_not_given_to_it_again() {
    let config = Config { resume_timeout: Duration::from_millis(100), ..Config::default() };
    let served = serve_with(config, Store::in_memory()).await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let to_phone =
        |body: &str| format!("<message type='chat' to='bob@example.org/phone'><body>{body}</body></message>");
    let (mut phone, mut desk) = phone_and_desk(&served).await;
    alice.send(&message("bob", "to both")).await;
    alice.send(&to_phone("copied")).await;
    for client in [&mut phone, &mut desk] {
        client.expect(&["<body>to both"]).await;
        client.expect(&["<body>copied"]).await;
    }
    lose(&mut alice, phone).await;
    desk.expect(&["<presence", "type='unavailable'", "bob@example.org/phone"]).await;
    tokio::time::sleep(Duration::from_millis(300)).await; // what goes elsewhere goes after that
    desk.expect_nothing().await;
    // Who had no copy gets it.
    desk.send("<iq type='set' id='d'><disable xmlns='urn:xmpp:carbons:2'/></iq>").await;
    desk.expect(&["id='d'"]).await;
    let mut phone = Client::online(&served, "bob", "phone").await;
    phone.manage().await;
    desk.expect(&["<presence", "bob@example.org/phone"]).await;
    alice.send(&to_phone("for the phone")).await;
    phone.expect(&["<body>for the phone"]).await;
    lose(&mut alice, phone).await;
    desk.expect(&["<body>for the phone", "urn:xmpp:delay"]).await;
}

#[tokio::test]
async fn of_what_no_client_acknowledged_one_copy_waits() {
    let config = Config { resume_timeout: Duration::from_millis(100), ..Config::default() };
    let served = serve_with(config, Store::in_memory()).await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let (mut phone, mut desk) = phone_and_desk(&served).await;
    desk.manage().await;
    alice.send(&message("bob", "to both")).await;
    alice.send("<message type='chat' to='bob@example.org/phone'><body>copied</body></message>").await;
    for client in [&mut phone, &mut desk] {
        client.expect(&["<body>copied"]).await;
    }
    lose(&mut alice, phone).await;
    drop(desk);
    let mut again = Client::login(&served, "bob", "again").await;
    while served.server.sessions() > 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    again.send("<presence/>").await;
    again.expect(&["<body>to both"]).await;
    again.expect(&["<body>copied"]).await;
    again.expect_nothing().await;
}

/// What no archive has waits in the store for a client that is lost, and for no other that has it.
#[tokio::test]
async fn what_waits_for_a_lost_client_is_not_given_to_one_that_has_it() {
    let resume_timeout = Duration::from_millis(500);
    let config = Config { archive: Otherwise::Never, resume_timeout, ..Config::default() };
    let served = serve_with(config, Store::in_memory()).await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let (mut phone, mut desk) = phone_and_desk(&served).await;
    alice.send(&message("bob", "before")).await;
    phone.expect(&["<body>before"]).await;
    desk.expect(&["<body>before"]).await;
    drop(phone);
    until_stored(&served, 1).await;
    alice.send(&message("bob", "after")).await;
    alice.send("<message type='chat' to='bob@example.org/phone'><body>copied</body></message>").await;
    desk.expect(&["<body>after"]).await;
    desk.expect(&["<body>copied"]).await;
    until_stored(&served, 3).await;
    desk.expect(&["<presence", "type='unavailable'", "bob@example.org/phone"]).await;
    until_stored(&served, 0).await;
    desk.expect_nothing().await;
}

/// The same where no client has it: one copy waits, however many were stored.
#[tokio::test]
async fn of_what_waits_for_two_lost_clients_one_copy_stays() {
    let resume_timeout = Duration::from_millis(500);
    let config = Config { archive: Otherwise::Never, resume_timeout, ..Config::default() };
    let served = serve_with(config, Store::in_memory()).await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let (phone, mut desk) = phone_and_desk(&served).await;
    desk.manage().await;
    alice.send(&message("bob", "to both")).await;
    desk.expect(&["<body>to both"]).await;
    drop((phone, desk));
    until_stored(&served, 1).await;
    while served.server.sessions() > 1 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(stored(&served).await, 1);
    let mut again = Client::login(&served, "bob", "again").await;
    again.send("<presence/>").await;
    again.expect(&["<body>to both"]).await;
    again.expect_nothing().await;
}

/// A client that comes back late gets what waits for it once, whoever else waited for it and is over.
#[tokio::test]
async fn what_waits_for_two_lost_clients_comes_once_to_who_resumes() {
    let config = Config { archive: Otherwise::Never, ..Config::default() };
    let served = serve_with(config, Store::in_memory()).await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut phone = Client::online(&served, "bob", "phone").await;
    let id = phone.manage().await;
    let mut desk = Client::online(&served, "bob", "desk").await;
    desk.send("<enable xmlns='urn:xmpp:sm:3' resume='true' max='1'/>").await;
    desk.expect(&["<enabled"]).await;
    alice.send(&message("bob", "before")).await;
    phone.expect(&["<body>before"]).await;
    desk.expect(&["<body>before"]).await;
    drop((phone, desk));
    until_stored(&served, 1).await;
    alice.send(&message("bob", "after")).await;
    until_stored(&served, 2).await;
    while served.server.sessions() > 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (mut phone, resumed) = Client::resume(&served, "bob", &id, 0).await;
    assert!(resumed.starts_with("<resumed"), "{resumed}");
    phone.expect(&["<body>before"]).await;
    let next = phone.expect(&["<message"]).await;
    assert!(next.contains("<body>after"), "{next}");
    phone.send("<iq type='get' id='last' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>").await;
    loop {
        let next = phone.stanza().await.unwrap();
        assert!(!next.starts_with("<message"), "{next}");
        if next.contains("id='last'") {
            break;
        }
    }
}

/// The same while another client has not said that it has it: it stays in the store until that is known.
#[tokio::test]
async fn what_another_client_may_have_stays_until_it_says_so() {
    let resume_timeout = Duration::from_millis(500);
    let config = Config { archive: Otherwise::Never, resume_timeout, ..Config::default() };
    let served = serve_with(config, Store::in_memory()).await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let (phone, mut desk) = phone_and_desk(&served).await;
    desk.manage().await;
    alice.send(&message("bob", "to both")).await;
    desk.expect(&["<body>to both"]).await;
    drop(phone);
    until_stored(&served, 1).await;
    desk.expect(&["<presence", "type='unavailable'", "bob@example.org/phone"]).await;
    while served.server.sessions() > 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(stored(&served).await, 1, "nobody said that they have it");
    quiet(&mut desk).await;
    let mut third = Client::login(&served, "bob", "third").await;
    third.send("<presence/>").await;
    quiet(&mut third).await;
    desk.send(&ack(2)).await; // the message, and the phone's end
    until_stored(&served, 0).await;
    quiet(&mut third).await;
}

#[tokio::test]
async fn what_an_occupant_has_by_one_client_is_not_given_to_it_again() {
    let config = Config { resume_timeout: Duration::from_millis(100), ..Config::default() };
    let served = serve_with(config, Store::in_memory()).await;
    let mut alice = Client::online(&served, "alice", "a").await;
    alice.enter(ROOM, "Alice").await;
    assert!(alice.ask("set", ROOM, INSTANT).await.contains("type='result'"));
    let (mut phone, mut desk) = phone_and_desk(&served).await;
    phone.enter(ROOM, "Bob").await;
    desk.enter(ROOM, "Bob").await;
    alice.send(&format!("<message type='chat' to='{ROOM}/Bob'><body>between us</body></message>")).await;
    for client in [&mut phone, &mut desk] {
        client.expect(&["<body>between us"]).await;
    }
    lose(&mut alice, phone).await;
    desk.expect(&["<presence", "type='unavailable'", "from='bob@example.org/phone'"]).await;
    tokio::time::sleep(Duration::from_millis(300)).await; // what goes elsewhere goes after that
    quiet(&mut desk).await;
    // Who has it by none of them finds it.
    desk.manage().await;
    alice.send(&format!("<message type='chat' to='{ROOM}/Bob'><body>again</body></message>")).await;
    desk.expect(&["<body>again"]).await;
    drop(desk);
    let mut again = Client::login(&served, "bob", "again").await;
    while served.server.sessions() > 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    again.send("<presence/>").await;
    again.expect(&["<body>again"]).await;
    again.expect_nothing().await;
}

/// How many messages wait for bob in the store.
async fn stored(served: &Served) -> usize {
    let query = Query { max: 1000, ..Query::default() };
    served.store.archive.page("bob@example.org#offline", &query).await.unwrap().entries.len()
}

async fn until_stored(served: &Served, count: usize) {
    let look = async {
        while stored(served).await != count {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), look).await.expect("so many wait");
}

/// Nothing but presence comes before the answer to a ping.
async fn quiet(client: &mut Client) {
    client.send("<iq type='get' id='quiet' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>").await;
    loop {
        match client.next().await.unwrap() {
            text if text.starts_with("<presence") => {}
            text => return assert!(text.contains("id='quiet'"), "{text}"),
        }
    }
}

/// Alice and bob, whose messages nobody archives; bob's session can be resumed under the id, and he reads nothing of 100 messages.
async fn unread(before: &Served) -> (Served, Asked, Client, Client, String) {
    let (store, asked) = counted(&before.store);
    let config = Config { archive: Otherwise::Never, ..Config::default() };
    let served = serve_over(before, config, store).await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    let id = bob.manage().await;
    for n in 0..100 {
        alice.send(&message("bob", &format!("n{n};"))).await;
    }
    alice.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
    bob.expect(&["<body>n99;"]).await;
    assert_eq!(stored(&served).await, 0, "a client that is there gets them from memory");
    asked.take();
    (served, asked, alice, bob, id)
}

/// The server dies while a session waits for its client: what nobody archives comes at the next login, once, in order.
#[tokio::test]
async fn what_waits_without_a_connection_outlives_a_kill() {
    let before = serve().await;
    let (served, asked, mut alice, bob, _) = unread(&before).await;
    drop(bob);
    until_stored(&served, 100).await;
    let writes =
        asked.take().into_iter().filter(|what| what.starts_with("write archive")).collect::<Vec<_>>();
    assert_eq!(writes, ["write archive bob@example.org#offline, 100 entries"], "one commit for all");
    for n in 100..104 {
        let to = if n % 2 == 0 { "bob@example.org" } else { "bob@example.org/b" };
        alice.send(&format!("<message type='chat' to='{to}'><body>n{n};</body></message>")).await;
        alice.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
        assert_eq!(stored(&served).await, n + 1, "before its sender hears that it was taken");
    }
    alice
        .send("<message to='bob@example.org'><body>x</body><no-store xmlns='urn:xmpp:hints'/></message>")
        .await;
    alice.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
    assert_eq!(stored(&served).await, 104);
    // Nothing that the first process has in memory reaches the second.
    let again = serve_over(&before, Config::default(), before.store.clone()).await;
    let mut bob = Client::login(&again, "bob", "c").await;
    bob.send("<presence/>").await;
    for n in 0..104 {
        assert!(bob.expect(&["<message"]).await.contains(&format!("<body>n{n};")), "{n}");
    }
    bob.expect_nothing().await;
    drop(served);
}

#[tokio::test]
async fn what_was_stored_without_a_connection_comes_once_to_who_resumes() {
    let before = serve().await;
    let (served, _, mut alice, bob, id) = unread(&before).await;
    drop(bob);
    until_stored(&served, 100).await;
    alice.send(&message("bob", "n100;")).await;
    alice.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
    // Another of his clients is given nothing that the first may still get.
    let mut desk = Client::login(&served, "bob", "desk").await;
    desk.send("<presence/>").await;
    quiet(&mut desk).await;
    let (mut bob, resumed) = Client::resume(&served, "bob", &id, 40).await;
    assert!(resumed.starts_with("<resumed"), "{resumed}");
    for n in 40..=100 {
        assert!(bob.stanza().await.unwrap().contains(&format!("<body>n{n};")), "{n}");
    }
    until_stored(&served, 61).await;
    bob.send(&ack(101)).await;
    until_stored(&served, 0).await;
    bob.send("</stream:stream>").await;
    while let Some(text) = bob.next().await {
        assert!(!text.contains("<body>"), "{text}");
    }
    quiet(&mut desk).await;
}

/// The server dies while what waited is being given: what the client did not ack waits still.
#[tokio::test]
async fn what_was_given_and_not_acked_waits_after_a_kill() {
    let before = serve().await;
    let served = serve_over(&before, Config::default(), before.store.clone()).await;
    let mut alice = Client::online(&served, "alice", "a").await;
    for n in 0..3 {
        alice.send(&message("bob", &format!("n{n};"))).await;
    }
    alice.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
    let mut bob = Client::login(&served, "bob", "b").await;
    bob.manage().await;
    bob.send("<presence/>").await;
    bob.expect(&["<body>n2;"]).await;
    bob.send(&ack(2)).await; // his own presence, and one message
    until_stored(&served, 2).await;
    let again = serve_over(&before, Config::default(), before.store.clone()).await;
    let mut bob = Client::login(&again, "bob", "c").await;
    bob.send("<presence/>").await;
    for n in 1..3 {
        assert!(bob.expect(&["<message"]).await.contains(&format!("<body>n{n};")), "{n}");
    }
    bob.expect_nothing().await;
    drop(served);
}

#[tokio::test]
async fn what_was_stored_without_a_connection_goes_on_when_nobody_resumes() {
    let before = serve().await;
    let (store, _) = counted(&before.store);
    let resume_timeout = Duration::from_millis(300);
    let config = Config { archive: Otherwise::Never, resume_timeout, ..Config::default() };
    let served = serve_over(&before, config, store).await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    bob.manage().await;
    alice.send(&(message("bob", "n0;") + &message("bob", "n1;"))).await;
    bob.expect(&["n1;"]).await;
    drop(bob);
    let mut desk = Client::login(&served, "bob", "desk").await;
    desk.send("<presence/>").await;
    for n in 0..2 {
        assert!(desk.expect(&["<message"]).await.contains(&format!("<body>n{n};")), "{n}");
    }
    alice.send(&message("bob", "n2;")).await;
    assert!(desk.expect(&["<message"]).await.contains("n2;"));
    until_stored(&served, 0).await;
}

#[tokio::test]
async fn the_queue_has_a_bound() {
    let served = serve_with(Config { unacked: 20, ..Config::default() }, Store::in_memory()).await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    bob.manage().await;
    for n in 0..22 {
        alice.send(&message("bob", &format!("n{n};"))).await;
    }
    bob.expect_stream_error("resource-constraint").await;
    alice.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
    let mut bob = Client::login(&served, "bob", "c").await;
    bob.send("<presence/>").await;
    for n in 0..22 {
        bob.expect(&[&format!("n{n};")]).await;
    }
}

/// A thousand messages over connections that are cut at odd places: each comes exactly once, in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_die_lose_and_double_nothing() {
    const ALL: u32 = 1000;
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    let id = bob.manage().await;
    let sender = async {
        for n in 0..ALL {
            alice.send(&message("bob", &format!("n{n};"))).await;
            if n % 50 == 0 {
                alice.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
            }
        }
        alice
    };
    let receiver = async {
        let (mut handled, mut acked, mut cut) = (0_u32, 0_u32, 0_u32);
        let mut seen: BTreeMap<u32, u32> = BTreeMap::new();
        while seen.len() < ALL as usize {
            let text = bob.stanza().await.expect("the stream goes on");
            let n: u32 = text.split("<body>n").nth(1).unwrap().split(';').next().unwrap().parse().unwrap();
            *seen.entry(n).or_default() += 1;
            handled += 1;
            if handled % 7 == 0 {
                bob.send(&ack(handled)).await;
                acked = handled;
            }
            if handled % 97 == 0 {
                cut += 1;
                drop(bob);
                let answer;
                (bob, answer) = Client::resume(&served, "bob", &id, handled).await;
                assert!(answer.starts_with("<resumed"), "{answer}");
            }
        }
        assert!(seen.values().all(|times| *times == 1), "each once: {seen:?}");
        assert!(cut >= 10 && acked > 0);
        bob
    };
    let (mut alice, mut bob) = tokio::join!(sender, receiver);
    bob.send(&ack(ALL)).await;
    bob.send("<iq type='get' id='last'><ping xmlns='urn:xmpp:ping'/></iq>").await;
    assert!(bob.stanza().await.unwrap().contains("id='last'"), "nothing more came");
    alice.expect_nothing().await;
}

/// What a client did not get goes to one that is connected, before one that is not, whoever came first.
#[tokio::test]
async fn what_a_client_did_not_get_goes_to_one_that_is_there() {
    let config = Config { archive: Otherwise::Never, ..Config::default() };
    let served = serve_with(config, Store::in_memory()).await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut phone = Client::online(&served, "bob", "phone").await;
    phone.manage().await;
    drop(phone);
    let mut tablet = Client::login(&served, "bob", "tablet").await;
    tablet.manage().await;
    tablet.send("<presence><priority>9</priority></presence>").await;
    tablet.expect(&["<presence", "bob@example.org/tablet"]).await;
    let mut desk = Client::online(&served, "bob", "desk").await;
    alice.send(&message("bob", "for whoever is there")).await;
    alice.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
    // The tablet has it, says nothing of that, and leaves.
    tablet.send("</stream:stream>").await;
    desk.expect(&["for whoever is there"]).await;
}
