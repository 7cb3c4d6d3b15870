//! What another server may do here, and may not: RFC 6120 §4.9, §8.1.2.2, §13.7.2; XEP-0220 §2.2, §2.6, §3.1.

use std::time::Duration;

use tokio::net::TcpListener;
use xmpp_server::{Config, FederationConfig};

use super::peer::Peer;
use super::world::{OURS, THEIRS, World, config, metric, quick, until, verified};
use crate::common::{Client, attribute};

const KEY: &str = "<db:result from='example.net' to='example.org'>abc</db:result>";

#[tokio::test]
async fn nothing_is_served_before_tls_nor_before_a_proof() {
    let world = World::new().await;
    let ours = world.serve(OURS, quick()).await;
    let address = ours.server.s2s()[0];
    let mut peer = Peer::connect(address).await;
    let features = peer.open(THEIRS, OURS).await;
    assert!(
        features.contains("<required") && !features.contains("EXTERNAL") && !features.contains("<dialback")
    );
    peer.send(KEY).await;
    assert!(peer.expect(&["<result", "type='error'"]).await.contains("policy-violation"));
    peer.send("<message from='a@example.net' to='alice@example.org'/>").await;
    peer.expect_stream_error("not-authorized").await;
    let (mut peer, features) = Peer::secured(address, THEIRS, OURS, None).await;
    assert!(!features.contains("EXTERNAL") && features.contains("<errors/>"), "{features}");
    peer.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>").await;
    peer.expect(&["<failure", "invalid-mechanism"]).await;
    peer.send("<iq type='get' id='1' from='example.net' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>")
        .await;
    peer.expect_stream_error("not-authorized").await;
}

#[tokio::test]
async fn headers_are_judged() {
    let world = World::new().await;
    let deny = FederationConfig { deny: vec!["*.bad.example".into()], ..quick() };
    let ours = world.serve(OURS, deny).await;
    for (from, to, condition) in [
        (THEIRS, "elsewhere.example", "host-unknown"),
        (THEIRS, "alice@example.org", "improper-addressing"),
        ("a.bad.example", OURS, "policy-violation"),
        ("conference.example.org", OURS, "policy-violation"),
        (OURS, "conference.example.org", "policy-violation"),
    ] {
        let mut peer = Peer::connect(ours.server.s2s()[0]).await;
        let error = peer.open(from, to).await;
        assert!(error.contains(condition), "{from} {to}: {error}");
        assert_eq!(peer.next().await, None);
        assert!(!peer.attribute("id").is_empty(), "an error has a header before it");
    }
}

#[tokio::test]
async fn a_certificate_speaks_for_its_domains_alone() {
    let world = World::new().await;
    let ours = world.serve(OURS, verified()).await;
    let address = ours.server.s2s()[0];
    let tls = world.certified(THEIRS);
    let (mut other, error) = Peer::secured(address, "other.example", OURS, Some(&tls)).await;
    assert!(error.contains("not-authorized"), "{error}");
    assert_eq!(other.next().await, None);
    // A certificate of an authority that nobody knows here.
    let unknown = super::authority::Authority::new();
    let (_, error) = Peer::secured(address, THEIRS, OURS, Some(&unknown.tls(&[THEIRS]))).await;
    assert!(error.contains("not-authorized"), "{error}");
    let (mut liar, _) = Peer::secured(address, THEIRS, OURS, Some(&tls)).await;
    liar.send(
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>b3RoZXIuZXhhbXBsZQ==</auth>",
    )
    .await;
    liar.expect(&["<failure", "invalid-authzid"]).await;

    let mut alice = Client::online(&ours, "alice", "a").await;
    let mut peer = Peer::proven(address, THEIRS, OURS, &tls).await;
    peer.send(
        "<message from='bob@example.net/b' to='alice@example.org' type='chat'><body>hi</body></message>",
    )
    .await;
    alice.expect(&["<message", "from='bob@example.net/b'", "<body>hi</body>"]).await;
    // XEP-0220 §2.6: further domains on the same stream, and a certificate spares the question.
    peer.send("<message from='room@conference.example.net' to='alice@example.org'/>").await;
    peer.expect_stream_error("invalid-from").await;
    let mut peer = Peer::proven(address, THEIRS, OURS, &tls).await;
    peer.send("<db:result from='conference.example.net' to='example.org'>k</db:result>").await;
    peer.expect(&["<result", "from='example.org' to='conference.example.net' type='valid'"]).await;
    peer.send("<message from='room@conference.example.net/x' to='alice@example.org/a' type='groupchat'><body>all</body></message>").await;
    alice.expect(&["from='room@conference.example.net/x'", "<body>all</body>"]).await;
    peer.send("<db:result from='other.example' to='example.org'>k</db:result>").await;
    assert!(peer.expect(&["<result", "type='error'"]).await.contains("not-authorized"));
    peer.send("<db:result from='example.net' to='elsewhere.example'>k</db:result>").await;
    assert!(peer.expect(&["<result", "type='error'"]).await.contains("item-not-found"));
    peer.send("<message from='bob@example.net' to='alice@conference.example.org'/>").await;
    peer.expect_stream_error("improper-addressing").await;
}

#[tokio::test]
async fn a_key_is_judged_by_the_domain_s_own_server() {
    let world = World::new().await;
    let ours = world.serve(OURS, quick()).await;
    let mut alice = Client::online(&ours, "alice", "a").await;
    let authoritative = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.announce(THEIRS, authoritative.local_addr().unwrap());
    let tls = world.certified(THEIRS);
    for (verdict, is_believed) in [("valid", true), ("invalid", false)] {
        let (mut peer, _) = Peer::secured(ours.server.s2s()[0], THEIRS, OURS, None).await;
        peer.send(KEY).await;
        // The verdict of somebody who was not asked.
        peer.send("<db:verify from='example.net' to='example.org' id='x' type='valid'/>").await;
        let mut asked = Peer::accept(&authoritative).await;
        asked.answer("v1", "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").await;
        asked.expect(&["<starttls"]).await;
        asked.send("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").await;
        let mut asked = asked.protect_server(&tls).await;
        asked.answer("v2", "").await;
        let question = asked.expect(&["<verify", "from='example.org' to='example.net'", ">abc<"]).await;
        let id = attribute(&question, "verify", "id");
        assert_eq!(id, peer.attribute("id"), "the id of the stream that the key came on");
        asked.send("<db:verify from='example.net' to='example.org' id='other' type='valid'/>").await;
        asked
            .send(&format!("<db:verify from='example.net' to='example.org' id='{id}' type='{verdict}'/>"))
            .await;
        peer.expect(&["<result", &format!("type='{verdict}'")]).await;
        if is_believed {
            peer.send(
                "<message from='bob@example.net' to='alice@example.org' type='chat'><body>k</body></message>",
            )
            .await;
            alice.expect(&["<body>k</body>"]).await;
        } else {
            peer.expect_stream_error("not-authorized").await;
        }
    }
    // A domain that cannot be asked.
    let (mut peer, _) = Peer::secured(ours.server.s2s()[0], "nowhere.example", OURS, None).await;
    peer.send("<db:result from='nowhere.example' to='example.org'>abc</db:result>").await;
    assert!(peer.expect(&["<result", "type='error'"]).await.contains("remote-server-not-found"));
    alice.expect_nothing().await;
}

#[tokio::test]
async fn keys_of_ours_are_known_and_no_others() {
    let world = World::new().await;
    let ours = world.serve(OURS, quick()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.announce(THEIRS, listener.local_addr().unwrap());
    let mut alice = Client::online(&ours, "alice", "a").await;
    alice.send("<message to='bob@example.net' id='1'/>").await;
    let tls = world.certified(THEIRS);
    let mut called = Peer::accept(&listener).await;
    called.answer("s1", "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").await;
    called.expect(&["<starttls"]).await;
    called.send("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").await;
    let mut called = called.protect_server(&tls).await;
    called.answer("s2", "<dialback xmlns='urn:xmpp:features:dialback'/>").await;
    let shown = called.expect(&["<result"]).await;
    let key = shown.split('>').nth(1).unwrap().trim_end_matches("</result").to_owned();
    let (mut asking, _) = Peer::secured(ours.server.s2s()[0], THEIRS, OURS, None).await;
    for (id, key, to, wanted) in [
        ("s2", key.as_str(), OURS, "type='valid'"),
        ("s3", key.as_str(), OURS, "type='invalid'"),
        ("s2", "abc", OURS, "type='invalid'"),
        ("s2", key.as_str(), "conference.example.org", "type='invalid'"),
        ("s2", key.as_str(), "elsewhere.example", "item-not-found"),
    ] {
        asking.send(&format!("<db:verify from='example.net' to='{to}' id='{id}'>{key}</db:verify>")).await;
        let answer = asking.expect(&["<verify", &format!("id='{id}'"), "to='example.net'"]).await;
        assert!(answer.contains(wanted), "{answer}");
    }
}

#[tokio::test]
async fn a_stream_that_goes_both_ways_carries_what_was_waiting() {
    let world = World::new().await;
    let ours = world.serve(OURS, verified()).await;
    let tls = world.certified(THEIRS);
    // Nobody could reach example.net: it comes itself (XEP-0288).
    let (mut peer, features) = Peer::secured(ours.server.s2s()[0], THEIRS, OURS, Some(&tls)).await;
    assert!(features.contains("urn:xmpp:features:bidi"), "{features}");
    peer.send("<bidi xmlns='urn:xmpp:bidi'/><auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>").await;
    peer.expect(&["<success"]).await;
    peer.open(THEIRS, OURS).await;
    let mut alice = Client::online(&ours, "alice", "a").await;
    peer.send(
        "<iq type='get' id='1' from='bob@example.net/b' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>",
    )
    .await;
    peer.expect(&["<iq", "id='1'", "type='result'", "to='bob@example.net/b'"]).await;
    alice.send("<message to='bob@example.net' type='chat'><body>by your own way</body></message>").await;
    peer.expect(&["<message", "by your own way"]).await;
    // Without it, the stream goes one way.
    let other = world.certified("example.com");
    let mut one_way = Peer::proven(ours.server.s2s()[0], "example.com", OURS, &other).await;
    one_way.send("<iq type='get' id='2' from='carol@example.com/c' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>").await;
    one_way.send("<db:result from='example.com' to='example.org'>k</db:result>").await;
    let next = one_way.next().await.unwrap();
    assert!(next.starts_with("<result"), "no stanza comes back: {next}");
}

#[tokio::test]
async fn strangers_are_bounded() {
    let world = World::new().await;
    let federation = FederationConfig { unproven: 2, timeout: Duration::from_millis(700), ..quick() };
    let tight = Config { unproven_bytes: 2000, ..config(federation) };
    let ours = world.serve_with(OURS, world.certified(OURS), tight).await;
    let address = ours.server.s2s()[0];
    let mut first = Peer::connect(address).await;
    first.open(THEIRS, OURS).await;
    let mut second = Peer::connect(address).await;
    second.open(THEIRS, OURS).await;
    let mut third = Peer::connect(address).await;
    assert_eq!(third.open(THEIRS, OURS).await, "", "two are enough");
    assert_eq!(metric(&ours, "xmpp_server_refused_connections_total"), 1);
    second.send(&format!("<starttls xmlns='{}'/>", "x".repeat(3000))).await;
    second.expect_stream_error("policy-violation").await;
    first.expect_stream_error("connection-timeout").await;
    until("room for others", || metric(&ours, "xmpp_server_s2s_unproven_connections") == 0).await;
    let mut later = Peer::connect(address).await;
    assert!(later.open(THEIRS, OURS).await.contains("starttls"), "there is room again");
    let mut burst = Vec::new();
    for _ in 0..20 {
        burst.push(tokio::net::TcpStream::connect(address).await.unwrap());
    }
    let refused = || metric(&ours, "xmpp_server_refused_connections_total");
    until("one of twenty has room", || refused() == 20).await;
    assert_eq!(metric(&ours, "xmpp_server_s2s_unproven_connections"), 2);
}

#[tokio::test]
async fn nothing_is_relayed_for_strangers() {
    let world = World::new().await;
    let ours = world.serve(OURS, verified()).await;
    let other = world.serve("example.com", verified()).await;
    let mut carol = Client::online(&other, "carol", "c").await;
    let tls = world.certified(THEIRS);
    let mut peer = Peer::proven(ours.server.s2s()[0], THEIRS, OURS, &tls).await;
    peer.send(
        "<message from='bob@example.net' to='carol@example.com' type='chat'><body>pass on</body></message>",
    )
    .await;
    peer.expect_stream_error("improper-addressing").await;
    carol.expect_nothing().await;
}

#[tokio::test]
async fn a_bad_address_is_answered_and_an_iq_without_id_too() {
    let world = World::new().await;
    let ours = world.serve(OURS, verified()).await;
    let tls = world.certified(THEIRS);
    let (mut peer, _) = Peer::secured(ours.server.s2s()[0], THEIRS, OURS, Some(&tls)).await;
    peer.send("<bidi xmlns='urn:xmpp:bidi'/><auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>").await;
    peer.expect(&["<success"]).await;
    peer.open(THEIRS, OURS).await;
    peer.send("<message from='bob@example.net/b' to='a b@example.org' id='1'><body>x</body></message>").await;
    peer.expect(&["<message", "type='error'", "id='1'", "jid-malformed", "to='bob@example.net/b'"]).await;
    peer.send(
        "<message from='bob@example.net/&#9;' to='alice@example.org' id='tab'><body>x</body></message>",
    )
    .await;
    peer.expect(&["<message", "type='error'", "id='tab'", "jid-malformed", "to='example.net'"]).await;
    peer.send("<iq type='get' from='bob@example.net/b' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>")
        .await;
    peer.expect(&["<iq", "type='error'", "bad-request"]).await;
    peer.send("<iq type='maybe' id='3' from='bob@example.net/b' to='example.org'/>").await;
    peer.expect(&["<iq", "type='error'", "bad-request"]).await;
    peer.send("<message from='bob@example.net/b' to='nobody@example.org' id='4' type='chat'><body>x</body></message>").await;
    peer.expect(&["<message", "type='error'", "id='4'", "service-unavailable"]).await;
}
