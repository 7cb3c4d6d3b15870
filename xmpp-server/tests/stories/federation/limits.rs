//! What servers tell each other that they take (XEP-0478), and whose certificate was taken back (RFC 5280 §5).

use tokio::net::TcpListener;

use super::delivery::greet_with;
use super::peer::Peer;
use super::world::{OURS, THEIRS, World, config, quick, verified};
use crate::common::{Client, attribute};
use xmpp_server::Config;

const LIMITS: &str = "<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>2000</max-bytes></limits>";

fn large(to: &str) -> String {
    format!("<message type='chat' id='large' to='{to}'><body>{}</body></message>", "x".repeat(3000))
}

fn small(to: &str) -> String {
    format!("<message type='chat' id='small' to='{to}'><body>x</body></message>")
}

#[tokio::test]
async fn what_is_too_large_for_another_server_goes_back_and_ends_no_stream() {
    let world = World::new().await;
    let ours = world.serve(OURS, quick()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.announce(THEIRS, listener.local_addr().unwrap());
    let mut alice = Client::online(&ours, "alice", "a").await;
    alice.send(&small("bob@example.net")).await;
    let mut peer = greet_with(&listener, &world.certified(THEIRS), LIMITS).await;
    peer.expect(&["id='small'"]).await;
    alice.send(&large("bob@example.net")).await;
    let error = alice.expect(&["type='error'", "id='large'"]).await;
    assert!(error.contains("<policy-violation") && error.contains("from='bob@example.net'"), "{error}");
    alice.send(&small("bob@example.net")).await;
    peer.expect(&["id='small'"]).await;
}

#[tokio::test]
async fn a_server_says_what_it_takes_and_heeds_what_comes_beside_bidi() {
    let world = World::new().await;
    let bounded = Config { stanza_bytes: 70_000, ..config(verified()) };
    let ours = world.serve_with(OURS, world.certified(OURS), bounded).await;
    let tls = world.certified(THEIRS);
    let (mut peer, features) = Peer::secured(ours.server.s2s()[0], THEIRS, OURS, Some(&tls)).await;
    let said = attribute(&features, "limits", "xmlns");
    assert_eq!(said, "urn:xmpp:stream-limits:0");
    assert!(features.contains("<max-bytes>70000</max-bytes><idle-seconds>600</idle-seconds>"), "{features}");
    peer.send(&format!("<bidi xmlns='urn:xmpp:bidi'>{LIMITS}</bidi>")).await;
    peer.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>").await;
    peer.expect(&["<success"]).await;
    assert!(peer.open(THEIRS, OURS).await.contains("<max-bytes>70000<"), "behind the proof, too");
    let mut alice = Client::online(&ours, "alice", "a").await;
    peer.send("<message from='bob@example.net' to='alice@example.org/a'><body>hi</body></message>").await;
    alice.expect(&["<body>hi</body>"]).await;
    alice.send(&large("bob@example.net")).await;
    alice.send(&small("bob@example.net")).await;
    let got = peer.expect(&["<message"]).await;
    assert!(got.contains("id='small'"), "{got}");
    alice.expect(&["type='error'", "id='large'", "<policy-violation"]).await;
}

#[tokio::test]
async fn whoever_wants_to_know_learns_which_stanzas_are_handled() {
    let world = World::new().await;
    let ours = world.serve(OURS, verified()).await;
    let mut alice = Client::online(&ours, "alice", "a").await;
    let tls = world.certified(THEIRS);
    let (mut peer, features) = Peer::secured(ours.server.s2s()[0], THEIRS, OURS, Some(&tls)).await;
    assert!(!features.contains("urn:xmpp:sm:3"), "nobody is known yet: {features}");
    peer.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>").await;
    peer.expect(&["<success"]).await;
    assert!(peer.open(THEIRS, OURS).await.contains("<sm xmlns='urn:xmpp:sm:3'/>"));
    let message = |id: &str| format!("<message from='b@example.net' to='alice@example.org/a' id='{id}'/>");
    peer.send("<r xmlns='urn:xmpp:sm:3'/>").await;
    peer.expect(&["<failed", "unexpected-request"]).await;
    peer.send(&message("before")).await;
    peer.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>").await;
    let enabled = peer.expect(&["<enabled"]).await;
    assert!(!enabled.contains("resume="), "{enabled}");
    peer.send(&(message("1") + &message("2") + "<a xmlns='urn:xmpp:sm:3' h='0'/><r xmlns='urn:xmpp:sm:3'/>"))
        .await;
    peer.expect(&["<a ", "h='2'"]).await;
    alice.expect(&["id='2'"]).await;
    for again in ["<enable xmlns='urn:xmpp:sm:3'/>", "<nonsense xmlns='urn:xmpp:sm:3'/>"] {
        peer.send(again).await;
        peer.expect(&["<failed"]).await;
    }
    peer.send("<resume xmlns='urn:xmpp:sm:3' previd='x' h='0'/>").await;
    peer.expect(&["<failed", "unexpected-request"]).await;
}

#[tokio::test]
async fn a_server_whose_certificate_was_taken_back_is_believed_no_more() {
    let world = World::new().await;
    let theirs = world.certified(THEIRS);
    let mut tls = world.certified(OURS);
    tls.revoked = vec![world.authority.revoke(&[])];
    let ours = world.serve_with(OURS, tls, config(quick())).await;
    let address = ours.server.s2s()[0];
    assert!(Peer::secured(address, THEIRS, OURS, Some(&theirs)).await.1.contains("EXTERNAL"));
    world.authority.revoke(&[THEIRS]);
    ours.tls.reload().unwrap();
    let (_, features) = Peer::secured(address, THEIRS, OURS, Some(&theirs)).await;
    assert!(!features.contains("EXTERNAL") && features.contains("<dialback"), "{features}");
    std::fs::write(world.authority.path("revoked.pem"), "nothing").unwrap();
    assert!(ours.tls.reload().is_err(), "what is no list is refused");
    let (_, features) = Peer::secured(address, THEIRS, OURS, Some(&theirs)).await;
    assert!(!features.contains("EXTERNAL"), "and what was known stays");
}
