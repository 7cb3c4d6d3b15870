//! What leaves for another domain arrives, in order, or comes back: RFC 6120 §8.3.3.16, §8.3.3.17, §10.1, §10.4.

use std::time::Duration;

use shared_runtime::tls;
use tokio::net::TcpListener;
use xmpp_server::{Config, FederationConfig, Security};

use super::peer::Peer;
use super::world::{OURS, THEIRS, World, config, metric, quick, two, until, verified};
use crate::common::Client;

#[tokio::test]
async fn messages_pass_both_ways_by_certificate() {
    let (_world, ours, theirs) = two().await;
    let mut alice = Client::online(&ours, "alice", "a").await;
    let mut bob = Client::online(&theirs, "bob", "b").await;
    alice
        .send("<message to='bob@example.net' type='chat' id='1'><body>good &amp; morning</body></message>")
        .await;
    let got = bob.expect(&["<message", "id='1'"]).await;
    assert!(
        got.contains("from='alice@example.org/a'") && got.contains("<body>good &amp; morning</body>"),
        "{got}"
    );
    assert!(!got.contains("jabber:server"), "{got}");
    bob.send("<message to='alice@example.org/a' type='chat' id='2'><body>and you</body></message>").await;
    alice.expect(&["<message", "id='2'", "from='bob@example.net/b'"]).await;
    // XEP-0288: the answer came the way that the question went.
    assert_eq!(
        (metric(&ours, "xmpp_server_s2s_streams_out"), metric(&theirs, "xmpp_server_s2s_streams_out")),
        (1, 0)
    );
    let pong = bob.ask("get", OURS, "<ping xmlns='urn:xmpp:ping'/>").await;
    assert!(pong.contains("type='result'"), "{pong}");
}

#[tokio::test]
async fn order_is_kept_while_the_stream_is_made_and_after() {
    let (_world, ours, theirs) = two().await;
    let mut alice = Client::online(&ours, "alice", "a").await;
    let mut bob = Client::online(&theirs, "bob", "b").await;
    for n in 0..200 {
        alice
            .send(&format!(
                "<message to='bob@example.net/b' type='chat' id='m{n}'><body>{n}</body></message>"
            ))
            .await;
        if n == 100 {
            bob.expect(&["id='m50'"]).await;
        }
    }
    for n in 51..200 {
        let got = bob.next().await.unwrap();
        assert!(got.contains(&format!("id='m{n}'")), "{n} was next: {got}");
    }
}

#[tokio::test]
async fn servers_whose_certificates_nobody_believes_prove_themselves_by_dialback() {
    let world = World::new().await;
    // Each has a CA of its own, which the other does not know.
    let ours = world.serve_with(OURS, tls::Config::default(), config(quick())).await;
    let theirs = world.serve_with(THEIRS, tls::Config::default(), config(quick())).await;
    let mut alice = Client::online(&ours, "alice", "a").await;
    let mut bob = Client::online(&theirs, "bob", "b").await;
    alice.send("<message to='bob@example.net' type='chat'><body>hello</body></message>").await;
    bob.expect(&["<message", "hello", "from='alice@example.org/a'"]).await;
    bob.send("<message to='alice@example.org' type='chat'><body>welcome</body></message>").await;
    alice.expect(&["<message", "welcome"]).await;
    // Whoever wants certificates gets none, and sends nothing.
    let strict = world.serve("example.com", verified()).await;
    let mut carol = Client::online(&strict, "carol", "c").await;
    carol.send("<message to='bob@example.net' type='chat' id='x'><body>psst</body></message>").await;
    let error = carol.expect(&["type='error'", "id='x'"]).await;
    assert!(error.contains("remote-server-timeout") && error.contains("certificate"), "{error}");
    bob.send("<message to='carol@example.com' type='chat' id='y'><body>psst</body></message>").await;
    let error = bob.expect(&["type='error'", "id='y'"]).await;
    assert!(error.contains("remote-server-timeout"), "{error}");
    carol.expect_nothing().await;
}

#[tokio::test]
async fn what_cannot_be_delivered_comes_back() {
    let world = World::new().await;
    let federation = FederationConfig {
        timeout: Duration::from_millis(1500),
        deny: vec!["denied.example".into(), "*.denied.example".into()],
        ..verified()
    };
    let ours = world.serve(OURS, federation).await;
    let _theirs = world.serve(THEIRS, verified()).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.announce("closed.example", closed.local_addr().unwrap());
    drop(closed);
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.announce("silent.example", silent.local_addr().unwrap());
    world.dns.srv("_xmpp-server._tcp.no-service.example", 0, 0, 0, ".");
    world.dns.host("no-service.example", "127.0.0.1");
    // Its name leads to a server that does not serve it.
    world.announce("misled.example", _theirs.server.s2s()[0]);
    let mut alice = Client::online(&ours, "alice", "a").await;
    for (domain, condition) in [
        ("nowhere.example", "remote-server-not-found"),
        ("no-service.example", "remote-server-not-found"),
        ("closed.example", "remote-server-timeout"),
        ("silent.example", "remote-server-timeout"),
        ("misled.example", "remote-server-not-found"),
        ("denied.example", "not-allowed"),
        ("a.denied.example", "not-allowed"),
    ] {
        for stanza in [
            format!("<message to='x@{domain}' type='chat' id='m'><body>hi</body></message>"),
            format!("<iq to='x@{domain}/r' type='get' id='q'><ping xmlns='urn:xmpp:ping'/></iq>"),
            format!("<presence to='room@{domain}/nick' id='p'/>"),
        ] {
            alice.send(&stanza).await;
            let error = alice.expect(&["type='error'", &format!("@{domain}")]).await;
            assert!(
                error.contains(condition) && error.contains("to='alice@example.org/a'"),
                "{domain}: {error}"
            );
        }
    }
    // News of presence, and errors, come back to nobody.
    alice.send("<presence to='x@nowhere.example' type='unavailable'/>").await;
    alice.send("<message to='x@nowhere.example' type='error' id='e'/>").await;
    alice.expect_nothing().await;
    assert!(metric(&ours, "xmpp_server_s2s_returned_total") > 0);
}

#[tokio::test]
async fn a_full_queue_refuses_and_the_rest_goes_when_the_domain_is_there() {
    let world = World::new().await;
    let ours = world.serve(OURS, FederationConfig { queue: 3, ..quick() }).await;
    let late = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.announce(THEIRS, late.local_addr().unwrap());
    let mut alice = Client::online(&ours, "alice", "a").await;
    // The first is on its way to be written, three wait.
    for n in 0..6 {
        alice
            .send(&format!("<message to='bob@example.net' type='chat' id='m{n}'><body>x</body></message>"))
            .await;
    }
    for n in 4..6 {
        let error = alice.expect(&["type='error'", &format!("id='m{n}'")]).await;
        assert!(error.contains("resource-constraint"), "{error}");
    }
    let tls = world.certified(THEIRS);
    let mut peer = Peer::accept(&late).await;
    peer.answer("s1", "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").await;
    peer.expect(&["<starttls"]).await;
    peer.send("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").await;
    let mut peer = peer.protect_server(&tls).await;
    peer.answer("s2", "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>").await;
    let key = peer.expect(&["<result", "from='example.org' to='example.net'"]).await;
    assert_eq!(key.split('>').nth(1).unwrap().trim_end_matches("</result").len(), 64, "{key}");
    peer.send("<db:result from='example.net' to='example.org' type='valid'/>").await;
    for n in 0..4 {
        let got = peer.next().await.unwrap();
        assert!(got.contains(&format!("id='m{n}'")) && got.contains("xmlns='jabber:server'"), "{got}");
    }
}

#[tokio::test]
async fn a_server_that_goes_is_found_again() {
    let world = World::new().await;
    let ours = world.serve(OURS, verified()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.announce(THEIRS, listener.local_addr().unwrap());
    let mut alice = Client::online(&ours, "alice", "a").await;
    let tls = world.certified(THEIRS);
    alice.send("<message to='bob@example.net' type='chat' id='1'/>").await;
    let mut first = greet(&listener, &tls).await;
    first.expect(&["id='1'"]).await;
    drop(first);
    alice.send("<message to='bob@example.net' type='chat' id='2'/>").await;
    let mut second = greet(&listener, &tls).await;
    // What was said into the broken connection may be lost; what is said now is not.
    alice.send("<message to='bob@example.net' type='chat' id='3'/>").await;
    second.expect(&["id='3'"]).await;
}

/// Takes a connection of ours by dialback.
pub(crate) async fn greet(listener: &TcpListener, tls: &tls::Config) -> Peer {
    greet_with(listener, tls, "").await
}

/// The same, with these features beside it.
pub(crate) async fn greet_with(listener: &TcpListener, tls: &tls::Config, features: &str) -> Peer {
    let mut peer = Peer::accept(listener).await;
    peer.answer("s1", "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").await;
    peer.expect(&["<starttls"]).await;
    peer.send("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").await;
    let mut peer = peer.protect_server(tls).await;
    peer.answer("s2", &format!("<dialback xmlns='urn:xmpp:features:dialback'/>{features}")).await;
    let key = peer.expect(&["<result"]).await;
    let (to, from) =
        (crate::common::attribute(&key, "result", "from"), crate::common::attribute(&key, "result", "to"));
    peer.send(&format!("<db:result from='{from}' to='{to}' type='valid'/>")).await;
    peer
}

#[tokio::test]
async fn what_waits_when_we_stop_leaves_before_the_last_words() {
    let world = World::new().await;
    let ours = world.serve(OURS, verified()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.announce(THEIRS, listener.local_addr().unwrap());
    let mut alice = Client::online(&ours, "alice", "a").await;
    for id in ["1", "2", "3"] {
        alice.send(&format!("<message to='bob@example.net' type='chat' id='{id}'/>")).await;
    }
    alice.ask("get", OURS, "<ping xmlns='urn:xmpp:ping'/>").await;
    ours.shutdown.begin();
    let mut peer = greet(&listener, &world.certified(THEIRS)).await;
    for id in ["1", "2", "3"] {
        let got = peer.next().await.unwrap();
        assert!(got.contains(&format!("id='{id}'")), "{got}");
    }
    peer.expect_stream_error("system-shutdown").await;
}

#[tokio::test]
async fn tls_from_the_first_byte_is_taken_where_it_is_announced() {
    let world = World::new().await;
    let ours = world.serve(OURS, verified()).await;
    let free = vec!["127.0.0.1:0".parse().unwrap()];
    let direct = Config { s2s: Vec::new(), s2s_tls: free, federation: verified(), ..Config::default() };
    let theirs = world.serve_with(THEIRS, world.certified(THEIRS), direct).await;
    let port = theirs.server.s2s_tls()[0].port();
    // The plain service comes first, and nobody is there.
    world.dns.srv("_xmpp-server._tcp.example.net", 0, 0, 9, "nobody.example.net");
    world.dns.srv("_xmpps-server._tcp.example.net", 5, 0, port, "host.example.net");
    world.dns.host("host.example.net", "127.0.0.1");
    let mut alice = Client::online(&ours, "alice", "a").await;
    let mut bob = Client::online(&theirs, "bob", "b").await;
    alice.send("<message to='bob@example.net' type='chat'><body>direct</body></message>").await;
    bob.expect(&["direct"]).await;
}

#[tokio::test]
async fn without_srv_records_the_address_of_the_domain_is_taken() {
    let world = World::new().await;
    let ours = world.serve(OURS, FederationConfig { timeout: Duration::from_secs(2), ..verified() }).await;
    // Port 5269 of that address is nobody's.
    world.dns.host("plain.example", "127.0.0.111");
    let mut alice = Client::online(&ours, "alice", "a").await;
    alice.send("<message to='x@plain.example' id='1' type='chat'><body>hi</body></message>").await;
    let error = alice.expect(&["type='error'", "id='1'"]).await;
    assert!(error.contains("remote-server-timeout") && error.contains("cannot be reached"), "{error}");
}

#[tokio::test]
async fn a_silent_stream_is_closed_and_made_anew_when_it_is_needed() {
    let world = World::new().await;
    let idle = FederationConfig { idle: Duration::from_millis(400), ..verified() };
    let ours = world.serve(OURS, idle.clone()).await;
    let theirs = world.serve(THEIRS, verified()).await;
    let mut alice = Client::online(&ours, "alice", "a").await;
    let mut bob = Client::online(&theirs, "bob", "b").await;
    for n in 0..2 {
        alice
            .send(&format!("<message to='bob@example.net' type='chat' id='{n}'><body>x</body></message>"))
            .await;
        bob.expect(&[&format!("id='{n}'")]).await;
        until("the stream is closed", || {
            metric(&ours, "xmpp_server_s2s_streams_out") + metric(&theirs, "xmpp_server_s2s_streams_in") == 0
        })
        .await;
    }
    alice.expect_nothing().await;
}

#[tokio::test]
async fn a_server_that_stops_says_so() {
    let (world, ours, theirs) = two().await;
    let mut peer = Peer::proven(ours.server.s2s()[0], THEIRS, OURS, &world.certified(THEIRS)).await;
    assert!(ours.shutdown.finish(Duration::from_secs(5)).await, "all tasks end");
    peer.expect_stream_error("system-shutdown").await;
    assert!(theirs.shutdown.finish(Duration::from_secs(5)).await);
}

#[tokio::test]
async fn in_a_laboratory_streams_may_go_without_tls() {
    let world = World::new().await;
    let optional = FederationConfig { security: Security::Optional, ..quick() };
    let ours = world.serve(OURS, optional).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.announce(THEIRS, listener.local_addr().unwrap());
    let mut alice = Client::online(&ours, "alice", "a").await;
    alice.send("<message to='bob@example.net' type='chat' id='1'/>").await;
    let mut peer = Peer::accept(&listener).await;
    peer.answer("s1", "").await;
    peer.expect(&["<result"]).await;
    peer.send("<db:result from='example.net' to='example.org' type='valid'/>").await;
    peer.expect(&["<message", "id='1'"]).await;
}
