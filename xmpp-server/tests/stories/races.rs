//! Many at once: nobody is lost, nobody is doubled.

use std::collections::HashSet;

use crate::common::{Client, DOMAIN, serve};

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
