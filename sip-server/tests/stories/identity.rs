//! Who is told who calls: trust domains and preferred identities (RFC 3325), privacy (RFC 3323).

use crate::common::{DOMAIN, PASSWORD, Phone, Served, serve, serve_with};
use sip_core::Message;
use sip_core::header::Name;
use sip_server::Config;

fn invite(from: &Phone) -> Message {
    let bob = format!("sip:bob@{DOMAIN}");
    from.request("INVITE", &bob, &bob)
}

/// What bob gets of a stranger's call with these headers.
async fn from_stranger(served: &Served, bob: &Phone, headers: &[(Name, &str)]) -> Message {
    let stranger = Phone::new("stranger", served).await;
    let mut call = invite(&stranger);
    call.set(Name::From, "<sip:x@peer.example>;tag=1");
    headers.iter().for_each(|(name, value)| call.push(*name, value));
    stranger.send(&call).await;
    let incoming = bob.expect("INVITE").await;
    bob.respond(&incoming, 486).await;
    bob.expect("ACK").await;
    stranger.expect("486").await;
    incoming
}

#[tokio::test]
async fn a_trusted_peer_says_who_calls_and_a_stranger_does_not() {
    let claim = [(Name::PAssertedIdentity, "<tel:+15550100>")];
    let served = serve().await;
    let bob = Phone::registered("bob", &served).await;
    assert_eq!(from_stranger(&served, &bob, &claim).await.value(Name::PAssertedIdentity), None);
    let trusted_networks = vec!["127.0.0.0/8".parse().unwrap()];
    let served = serve_with(Config { trusted_networks, ..Config::default() }).await;
    let bob = Phone::registered("bob", &served).await;
    let told = from_stranger(&served, &bob, &claim).await;
    assert_eq!(told.value(Name::PAssertedIdentity), Some("<tel:+15550100>"));
    let hidden = [claim[0], (Name::Privacy, "id")];
    assert_eq!(from_stranger(&served, &bob, &hidden).await.value(Name::PAssertedIdentity), None);
}

#[tokio::test]
async fn a_caller_chooses_among_its_own_addresses() {
    let served = serve().await;
    let (alice, bob) = (Phone::new("alice", &served).await, Phone::registered("bob", &served).await);
    for (preferred, asserted) in [
        ("<tel:+15550197>", "<tel:+15550197>"),
        ("<sip:carol@example.org>", "<sip:alice@example.org>"),
        ("<sip:anonymous@anonymous.invalid>", "<sip:alice@example.org>"),
        ("nonsense", "<sip:alice@example.org>"),
    ] {
        let mut call = invite(&alice);
        call.push(Name::PPreferredIdentity, preferred);
        let (busy, incoming) = tokio::join!(alice.ask(call, PASSWORD), async {
            let incoming = bob.expect("INVITE").await;
            bob.respond(&incoming, 486).await;
            bob.expect("ACK").await;
            incoming
        });
        assert_eq!(busy.status(), 486);
        assert_eq!(incoming.value(Name::PAssertedIdentity), Some(asserted), "{preferred}");
        assert_eq!(incoming.value(Name::PPreferredIdentity), None);
    }
}

#[tokio::test]
async fn a_caller_who_wants_no_name_has_none_and_one_who_insists_on_more_is_refused() {
    let served = serve().await;
    let (alice, bob) = (Phone::new("alice", &served).await, Phone::registered("bob", &served).await);
    let mut call = invite(&alice);
    call.push(Name::Privacy, "user;id");
    call.push(Name::Subject, "about alice");
    let from = call.value(Name::From).unwrap().to_owned();
    let (busy, incoming) = tokio::join!(alice.ask(call, PASSWORD), async {
        let incoming = bob.expect("INVITE").await;
        bob.respond(&incoming, 486).await;
        bob.expect("ACK").await;
        incoming
    });
    assert_eq!(
        (busy.status(), busy.value(Name::From)),
        (486, Some(from.as_str())),
        "its own From comes back"
    );
    assert!(
        incoming
            .value(Name::From)
            .unwrap()
            .starts_with("\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=")
    );
    assert!(!String::from_utf8_lossy(&incoming.to_bytes()).contains("about alice"));
    let mut call = invite(&alice);
    call.push(Name::Privacy, "session;critical");
    assert_eq!(alice.ask(call, PASSWORD).await.status(), 500);
}
