//! What another server did not acknowledge when its connection died — XEP-0198 §4, §5: sent again when it says that it has not
//! got it, given back when it cannot say, and never twice.

use std::net::SocketAddr;
use std::time::Duration;

use shared_runtime::tls;
use shared_store::Store;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use xmpp_server::{Config, FederationConfig};

use super::delivery::greet_with;
use super::peer::Peer;
use super::world::{OURS, THEIRS, World, config, metric, quick, verified};
use crate::common::failing::failing_archive;
use crate::common::{Client, Site, attribute, serve_site};

const SM: &str = "<sm xmlns='urn:xmpp:sm:3'/>";

fn message(id: &str) -> String {
    format!("<message to='bob@example.net' type='chat' id='{id}'><body>x</body></message>")
}

fn ack(h: u32) -> String {
    format!("<a xmlns='urn:xmpp:sm:3' h='{h}'/>")
}

async fn peer_of(listener: &TcpListener, tls: &tls::Config) -> Peer {
    greet_with(listener, tls, SM).await
}

#[tokio::test]
async fn what_the_other_side_says_it_lacks_is_sent_again() {
    let world = World::new().await;
    let ours = world.serve(OURS, verified()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.announce(THEIRS, listener.local_addr().unwrap());
    let tls = world.certified(THEIRS);
    let mut alice = Client::online(&ours, "alice", "a").await;
    alice.send(&message("1")).await;
    let mut peer = peer_of(&listener, &tls).await;
    let enable = peer.next().await.unwrap();
    assert!(enable.starts_with("<enable "), "{enable}");
    peer.send("<enabled xmlns='urn:xmpp:sm:3' id='first'/>").await;
    peer.expect(&["<message", "id='1'"]).await;
    peer.expect(&["<r "]).await;
    peer.send(&ack(1)).await;
    alice.send(&(message("2") + &message("3"))).await;
    peer.expect(&["id='3'"]).await;
    drop(peer);
    alice.send(&message("4")).await;
    let mut peer = peer_of(&listener, &tls).await;
    let resume = peer.next().await.unwrap();
    assert!(resume.starts_with("<resume ") && resume.contains("previd='first'"), "{resume}");
    // It had the second, and its ack was lost.
    peer.send("<failed xmlns='urn:xmpp:sm:3' h='2'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>")
        .await;
    assert!(peer.next().await.unwrap().starts_with("<enable "));
    peer.send("<enabled xmlns='urn:xmpp:sm:3' id='second'/>").await;
    for id in ["3", "4"] {
        let got = peer.next().await.unwrap();
        let got = if got.starts_with("<r ") { peer.next().await.unwrap() } else { got };
        assert!(got.contains(&format!("id='{id}'")), "{id} was next: {got}");
    }
    peer.send(&ack(2)).await;
    alice.send(&message("5")).await;
    peer.expect(&["id='5'"]).await;
    // One that really goes on where it was.
    drop(peer);
    let mut peer = peer_of(&listener, &tls).await;
    peer.expect(&["<resume ", "previd='second'"]).await;
    peer.send("<resumed xmlns='urn:xmpp:sm:3' previd='second' h='2'/>").await;
    peer.expect(&["<message", "id='5'"]).await;
    peer.expect(&["<r "]).await;
    peer.send(&ack(4)).await;
    peer.expect_stream_error("handled-count-too-high").await;
    alice.expect_nothing().await;
}

#[tokio::test]
async fn an_ack_of_what_was_never_sent_ends_the_stream() {
    let world = World::new().await;
    let ours = world.serve(OURS, verified()).await;
    let mut peer = Peer::proven(ours.server.s2s()[0], THEIRS, OURS, &world.certified(THEIRS)).await;
    peer.send(&format!("<enable xmlns='urn:xmpp:sm:3'/>{}<r xmlns='urn:xmpp:sm:3'/>", ack(0))).await;
    peer.expect(&["<enabled"]).await;
    peer.expect(&["<a ", "h='0'"]).await;
    peer.send(&ack(4_000_000)).await;
    peer.expect_stream_error("handled-count-too-high").await;
}

/// What went back on the other side's stream: whoever asks what was handled of it says what arrived.
#[tokio::test]
async fn what_went_back_on_a_lost_stream_is_told_by_the_next() {
    let world = World::new().await;
    let ours = world.serve(OURS, verified()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.announce(THEIRS, listener.local_addr().unwrap());
    let (address, tls) = (ours.server.s2s()[0], world.certified(THEIRS));
    let mut alice = Client::online(&ours, "alice", "a").await;
    let mut peer = Peer::both_ways(address, THEIRS, OURS, &tls).await;
    peer.send("<enable xmlns='urn:xmpp:sm:3'/>").await;
    let enabled = peer.expect(&["<enabled"]).await;
    let id = attribute(&enabled, "enabled", "id");
    alice.send(&(message("1") + &message("2") + &message("3"))).await;
    peer.expect(&["id='3'"]).await;
    drop(peer);
    alice.send(&message("4")).await;
    // It had two of the three, and comes again at once.
    let mut again = Peer::both_ways(address, THEIRS, OURS, &tls).await;
    again.send(&format!("<resume xmlns='urn:xmpp:sm:3' previd='{id}' h='2'/>")).await;
    again.expect(&["<failed", "h='0'"]).await;
    let mut back = greet_with(&listener, &tls, "").await;
    for id in ["3", "4"] {
        let got = back.next().await.unwrap();
        assert!(got.contains(&format!("id='{id}'")), "{id} was next: {got}");
    }
    alice.expect_nothing().await;
}

#[tokio::test]
async fn of_what_nobody_can_tell_the_sender_learns() {
    let world = World::new().await;
    let ours = world.serve(OURS, verified()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.announce(THEIRS, listener.local_addr().unwrap());
    let tls = world.certified(THEIRS);
    let mut alice = Client::online(&ours, "alice", "a").await;
    alice.send(&message("1")).await;
    let mut peer = peer_of(&listener, &tls).await;
    peer.send("<enabled xmlns='urn:xmpp:sm:3'/>").await;
    peer.expect(&["<r "]).await;
    peer.send(&ack(1)).await;
    alice.send("<presence to='bob@example.net/b' id='here'/>").await;
    alice.send(&message("2")).await;
    peer.expect(&["id='2'"]).await;
    drop(peer);
    let mut peer = peer_of(&listener, &tls).await;
    peer.expect(&["<enable "]).await;
    peer.send("<enabled xmlns='urn:xmpp:sm:3'/>").await;
    peer.expect(&["<presence", "id='here'"]).await;
    let error = alice.expect(&["<message", "type='error'", "id='2'"]).await;
    assert!(error.contains("remote-server-timeout") && error.contains("may have arrived"), "{error}");
    assert!(metric(&ours, "xmpp_server_s2s_returned_total") == 1);
}

#[tokio::test]
async fn a_server_that_does_not_ack_is_left_for_a_new_connection() {
    let world = World::new().await;
    let prompt = Config { ack_timeout: Duration::from_millis(300), ..config(verified()) };
    let ours = world.serve_with(OURS, world.certified(OURS), prompt).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.announce(THEIRS, listener.local_addr().unwrap());
    let tls = world.certified(THEIRS);
    let mut alice = Client::online(&ours, "alice", "a").await;
    alice.send(&message("1")).await;
    let mut silent = peer_of(&listener, &tls).await;
    silent.send("<enabled xmlns='urn:xmpp:sm:3' id='x'/>").await;
    silent.expect(&["<r "]).await;
    let mut peer = peer_of(&listener, &tls).await;
    peer.expect(&["<resume "]).await;
    peer.send("<failed xmlns='urn:xmpp:sm:3' h='0'/>").await;
    peer.expect(&["<enable "]).await;
    peer.send("<enabled xmlns='urn:xmpp:sm:3' id='y'/>").await;
    peer.expect(&["<message", "id='1'"]).await;
    drop(silent);
}

#[tokio::test]
async fn a_server_that_says_other_things_instead_of_acks_is_left() {
    let world = World::new().await;
    let prompt = Config { ack_timeout: Duration::from_millis(200), ..config(verified()) };
    let ours = world.serve_with(OURS, world.certified(OURS), prompt).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.announce(THEIRS, listener.local_addr().unwrap());
    let tls = world.certified(THEIRS);
    let mut alice = Client::online(&ours, "alice", "a").await;
    alice.send(&message("1")).await;
    let mut talker = peer_of(&listener, &tls).await;
    talker.send("<enabled xmlns='urn:xmpp:sm:3'/>").await;
    talker.expect(&["<r "]).await;
    // No id was given, so that nobody can be asked what became of the message.
    let talks = async {
        loop {
            talker.send(" ").await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let error = tokio::select! {
        () = talks => unreachable!(),
        error = alice.expect(&["<message", "type='error'", "id='1'"]) => error,
    };
    assert!(error.contains("may have arrived"), "{error}");
}

#[tokio::test]
async fn a_server_that_offers_acks_and_never_begins_gets_its_stanzas() {
    let world = World::new().await;
    let prompt = Config { ack_timeout: Duration::from_millis(200), ..config(verified()) };
    let ours = world.serve_with(OURS, world.certified(OURS), prompt).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.announce(THEIRS, listener.local_addr().unwrap());
    let tls = world.certified(THEIRS);
    let mut alice = Client::online(&ours, "alice", "a").await;
    alice.send(&message("1")).await;
    let mut mute = peer_of(&listener, &tls).await;
    assert!(mute.next().await.unwrap().starts_with("<enable "));
    let got = mute.next().await.unwrap();
    assert!(got.contains("id='1'"), "{got}");
    alice.send(&message("2")).await;
    let got = mute.next().await.unwrap();
    assert!(got.contains("id='2'"), "it is the same stream: {got}");
}

#[tokio::test]
async fn who_is_in_a_room_stays_in_it_when_a_connection_is_lost() {
    let world = World::new().await;
    let ours = world.serve(OURS, verified()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.announce(THEIRS, listener.local_addr().unwrap());
    let tls = world.certified(THEIRS);
    let mut alice = Client::online(&ours, "alice", "a").await;
    let room = "dev@conference.example.org";
    alice.enter(room, "Alice").await;
    let instant = "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query>";
    assert!(alice.ask("set", room, instant).await.contains("type='result'"));
    let mut theirs = Peer::proven(ours.server.s2s()[0], THEIRS, "conference.example.org", &tls).await;
    let join = format!(
        "<presence from='bob@example.net/b' to='{room}/Bob'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
    );
    theirs.send(&join).await;
    let mut peer = peer_of(&listener, &tls).await;
    peer.send("<enabled xmlns='urn:xmpp:sm:3'/>").await;
    alice.expect(&["<presence", "/Bob'"]).await;
    alice.send(&format!("<message to='{room}' type='groupchat' id='said'><body>x</body></message>")).await;
    alice.send(&format!("<message to='{room}/Bob' type='chat' id='told'><body>y</body></message>")).await;
    peer.expect(&["<message", "id='told'"]).await;
    drop(peer);
    let mut peer = peer_of(&listener, &tls).await;
    peer.send("<enabled xmlns='urn:xmpp:sm:3'/>").await;
    peer.expect(&["<presence"]).await;
    let error = alice.expect(&["<message", "type='error'", "id='told'"]).await;
    assert!(error.contains("may have arrived"), "{error}");
    alice.send(&format!("<message to='{room}' type='groupchat' id='more'><body>z</body></message>")).await;
    let next = alice.next().await.unwrap();
    assert!(next.contains("id='more'"), "nobody left: {next}");
    peer.expect(&["<message", "id='more'"]).await;
}

/// A way to a server that breaks after so many bytes have gone there, and then after more.
async fn fragile(to: SocketAddr, breaks: Vec<usize>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut breaks = breaks.into_iter();
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(to).await.unwrap();
            let mut left = breaks.next().unwrap_or(usize::MAX);
            tokio::spawn(async move {
                let (mut from, mut back) = client.into_split();
                let (mut answers, mut there) = server.into_split();
                let up = async {
                    let mut chunk = [0_u8; 700];
                    while let Ok(length @ 1..) = from.read(&mut chunk).await {
                        let length = length.min(left);
                        left -= length;
                        if there.write_all(&chunk[..length]).await.is_err() || left == 0 {
                            break;
                        }
                    }
                };
                let down = tokio::io::copy(&mut answers, &mut back);
                // Both ways at once: what is under way in either is lost.
                tokio::select! {
                    () = up => {}
                    _ = down => {}
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn connections_between_servers_that_die_lose_and_double_nothing() {
    let world = World::new().await;
    let ours = world.serve(OURS, verified()).await;
    let theirs = serve_site(Site {
        domain: THEIRS,
        config: config(verified()),
        tls: world.certified(THEIRS),
        name_servers: vec![world.dns.address],
        ..Site::default()
    })
    .await;
    let address = fragile(theirs.server.s2s()[0], vec![9_000, 14_000, 11_000, 20_000]).await;
    world.announce(THEIRS, address);
    let mut alice = Client::online(&ours, "alice", "a").await;
    let mut bob = Client::online(&theirs, "bob", "b").await;
    for n in 0..400 {
        alice
            .send(&format!(
                "<message to='bob@example.net/b' type='chat' id='m{n}'><body>{n}</body></message>"
            ))
            .await;
    }
    for n in 0..400 {
        let got = bob.next().await.unwrap();
        assert_eq!(attribute(&got, "message", "id"), format!("m{n}"), "each once and in order");
    }
    bob.expect_nothing().await;
    alice.expect_nothing().await;
    assert_eq!(metric(&ours, "xmpp_server_s2s_returned_total"), 0);
}

#[tokio::test]
async fn others_learn_how_much_of_their_last_stream_was_handled() {
    let world = World::new().await;
    let ours = world.serve(OURS, FederationConfig { ..quick() }).await;
    let mut alice = Client::online(&ours, "alice", "a").await;
    let (tls, address) = (world.certified(THEIRS), ours.server.s2s()[0]);
    let mut first = Peer::proven(address, THEIRS, OURS, &tls).await;
    first.send("<enable xmlns='urn:xmpp:sm:3'/>").await;
    let id = attribute(&first.expect(&["<enabled"]).await, "enabled", "id");
    let message = |id: &str| format!("<message from='b@example.net' to='alice@example.org/a' id='{id}'/>");
    first.send(&(message("1") + &message("2"))).await;
    alice.expect(&["id='2'"]).await;
    let resume = format!("<resume xmlns='urn:xmpp:sm:3' previd='{id}' h='0'/>");
    let other = world.certified("example.com");
    let mut stranger = Peer::proven(address, "example.com", OURS, &other).await;
    stranger.send(&resume).await;
    let failed = stranger.expect(&["<failed", "item-not-found"]).await;
    assert!(!failed.contains(" h="), "it is not theirs: {failed}");
    // The first connection is still there, as it is when one side does not know that it broke.
    let mut second = Peer::proven(address, THEIRS, OURS, &tls).await;
    second.send(&resume).await;
    second.expect(&["<failed", "h='2'"]).await;
    first.expect(&["<a ", "h='2'"]).await;
    first.expect_stream_error("conflict").await;
    second.send("<enable xmlns='urn:xmpp:sm:3'/>").await;
    second.expect(&["<enabled"]).await;
    second.send(&(message("3") + "<r xmlns='urn:xmpp:sm:3'/>")).await;
    second.expect(&["<a ", "h='1'"]).await;
    second.send("</stream:stream>").await;
    second.expect(&["<a ", "h='1'"]).await;
}

/// RFC 6120 §10.1: order is due between any two, so that who waits for the store keeps nobody else; and what is counted is done.
#[tokio::test]
async fn what_takes_its_time_keeps_nobody_else_and_is_not_counted_before() {
    let world = World::new().await;
    let (store, fault) = failing_archive(&Store::in_memory());
    let (tls, name_servers) = (world.certified(OURS), vec![world.dns.address]);
    let site = Site { domain: OURS, config: config(verified()), tls, name_servers, store, ..Site::default() };
    let ours = serve_site(site).await;
    let mut alice = Client::online(&ours, "alice", "a").await;
    let mut peer = Peer::both_ways(ours.server.s2s()[0], THEIRS, OURS, &world.certified(THEIRS)).await;
    peer.send("<enable xmlns='urn:xmpp:sm:3'/>").await;
    peer.expect(&["<enabled"]).await;
    fault.hang();
    let written = |id: usize| {
        format!(
            "<message from='b@example.net/b' to='alice@example.org' type='chat' id='m{id}'><body>x</body></message>"
        )
    };
    let ping =
        "<iq type='get' from='c@example.net/c' to='example.org' id='ping'><ping xmlns='urn:xmpp:ping'/></iq>";
    let ask = "<r xmlns='urn:xmpp:sm:3'/>";
    peer.send(&((0..30).map(written).collect::<String>() + ping + ask)).await;
    let mut said = String::new();
    while !said.contains("id='ping'") {
        said = peer.next().await.unwrap();
        assert!(!said.starts_with("<a "), "nothing is done yet: {said}");
    }
    fault.over();
    for id in 0..30 {
        let next = alice.expect(&["<message"]).await;
        assert!(next.contains(&format!("id='m{id}'")), "m{id} is next: {next}");
    }
    peer.expect(&["<a ", "h='31'"]).await;
}
