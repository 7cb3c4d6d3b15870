//! Who is told who calls: trust domains and preferred identities (RFC 3325), privacy (RFC 3323).

use crate::common::{DOMAIN, PASSWORD, Phone, Served, serve, serve_with};
use shared_auth::{DigestAlgorithm, DigestProof, Qop};
use sip_core::Message;
use sip_core::header::{AuthParams, Name};
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

/// A call by who gives no name, to this user part.
fn nameless(phone: &Phone, callee: &str) -> Message {
    let uri = format!("sip:{callee}@{DOMAIN}");
    let mut call = phone.request("INVITE", &uri, &uri);
    call.set(Name::From, "\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=1");
    call.push(Name::Privacy, "id");
    call
}

#[tokio::test]
async fn a_phone_of_ours_that_gives_no_name_is_asked_and_calls_as_its_account() {
    let served = serve().await;
    let bob = Phone::registered("bob", &served).await;
    let over_tcp = Phone::over_tcp("alice", &served).await;
    assert_eq!(over_tcp.register("3600").await.status(), 200);
    let by_wish = Phone::new("alice", &served).await;
    for (alice, wish) in [
        (Phone::registered("alice", &served).await, None),
        (over_tcp, None),
        (by_wish, Some("<sip:alice@example.org>")),
    ] {
        let mut call = nameless(&alice, "bob");
        if let Some(wish) = wish {
            call.push(Name::PPreferredIdentity, wish);
        }
        let (busy, incoming) = tokio::join!(alice.ask_with(call, PASSWORD), async {
            let incoming = bob.expect("INVITE").await;
            bob.respond(&incoming, 486).await;
            bob.expect("ACK").await;
            incoming
        });
        let (busy, sent) = busy;
        assert_eq!(busy.status(), 486);
        assert!(sent.value(Name::ProxyAuthorization).is_some(), "it was asked");
        assert_eq!(incoming.value(Name::PAssertedIdentity), None, "bob does not see who it is");
        assert!(incoming.value(Name::From).unwrap().contains("anonymous.invalid"));
    }
}

#[tokio::test]
async fn who_gives_no_name_and_wants_where_strangers_may_not_go_is_asked_and_suspected_of_nothing() {
    let served = serve().await;
    let stranger = Phone::new("alice", &served).await;
    for _ in 0..12 {
        for callee in ["112", "+33140000000"] {
            stranger.send(&nameless(&stranger, callee)).await;
            stranger.expect("407").await;
        }
        let mut elsewhere = nameless(&stranger, "x");
        elsewhere.set_uri("sip:x@192.0.2.1");
        stranger.send(&elsewhere).await;
        stranger.expect("407").await;
    }
    assert_eq!(stranger.register("3600").await.status(), 200, "nobody is locked out");
    // Who has no account calls our users as before.
    let (bob, outside) = (Phone::registered("bob", &served).await, Phone::new("outside", &served).await);
    outside.send(&nameless(&outside, "bob")).await;
    let incoming = bob.expect("INVITE").await;
    bob.respond(&incoming, 486).await;
    outside.expect("486").await;
}

#[tokio::test]
async fn a_stranger_shows_nobody_of_ours_in_any_scheme_or_script_or_by_an_older_header() {
    let served = serve().await;
    let (bob, stranger) = (Phone::registered("bob", &served).await, Phone::new("outside", &served).await);
    let call = |from: &str| {
        let mut call = nameless(&stranger, "bob");
        call.set(Name::From, &format!("<{from}>;tag=1"));
        call.push(Name::RemotePartyId, "\"Alice\" <sip:alice@example.org>;party=calling;screen=yes");
        call
    };
    for (from, status) in [
        ("sip:alice@example.org\u{3002}", "400"),
        ("xmpp:alice@example.org", "407"),
        ("im:alice%40EXAMPLE.org", "407"),
        ("sip:news@pubsub.example.org", "407"),
        ("xmpp:visitor@Guests.Elsewhere.example", "407"),
    ] {
        stranger.send(&call(from)).await;
        stranger.expect(status).await;
    }
    stranger.send(&call("xmpp:alice@other.example")).await;
    let incoming = bob.expect("INVITE").await;
    assert_eq!(incoming.value(Name::RemotePartyId), None);
    bob.respond(&incoming, 486).await;
    stranger.expect("486").await;
}

#[tokio::test]
async fn a_stranger_by_the_name_of_somebody_who_is_blocked_rings_nothing() {
    let served = serve().await;
    let (_bob, stranger) = (Phone::registered("bob", &served).await, Phone::new("outside", &served).await);
    let mut call = nameless(&stranger, "bob");
    call.set(Name::From, "<sip:carol.chat@Evil.example>;tag=1");
    stranger.send(&call).await;
    stranger.expect("603").await;
}

/// RFC 3325 §5: what a trusted peer asserts of our people counts here, and what is at their expense takes their proof.
#[tokio::test]
async fn a_trusted_peer_is_believed_about_our_people() {
    let trusted_networks = vec!["127.0.0.0/8".parse().unwrap()];
    for (is_trusted, config) in
        [(true, Config { trusted_networks, ..Config::default() }), (false, Config::default())]
    {
        let served = serve_with(config).await;
        let bob = Phone::registered("bob", &served).await;
        let alice = "<sip:alice@example.org>";
        for (from, asserted, to, answer) in [
            (alice, Some(alice), "sip:bob@example.org", 486),
            ("<sip:anonymous@anonymous.invalid>", Some(alice), "sip:bob@example.org", 486),
            (alice, Some("<tel:+15550197>"), "sip:bob@example.org", 486),
            ("<sip:carol@example.org>", Some("<sip:carol@example.org>"), "sip:bob@example.org", 603),
            ("<sip:carol@example.org>", Some(alice), "sip:bob@example.org", 407),
            ("<sip:x@peer.example>", Some(alice), "sip:bob@example.org", 486),
            (alice, Some("<tel:+15550197>, <sip:carol@example.org>"), "sip:bob@example.org", 407),
            (alice, Some("<sip:x@peer.example>"), "sip:bob@example.org", 407),
            (alice, None, "sip:bob@example.org", 407),
            (alice, Some(alice), "sip:+33140000000@example.org", 407),
            (alice, Some(alice), "sip:x@192.0.2.1", 407),
        ] {
            let peer = Phone::new("peer", &served).await;
            let mut call = peer.request("INVITE", to, to);
            call.set(Name::From, &format!("{from};tag=1"));
            asserted.iter().for_each(|asserted| call.push(Name::PAssertedIdentity, asserted));
            peer.send(&call).await;
            let answer = match is_trusted || !from.ends_with("@example.org>") {
                true => answer,
                false => 407,
            };
            if answer == 486 {
                let incoming = bob.expect("INVITE").await;
                let (jid, is_shown) =
                    ("<xmpp:alice.chat@example.org>;purpose=impp", is_trusted && from == alice);
                assert_eq!(incoming.value(Name::CallInfo), is_shown.then_some(jid), "{from} {asserted:?}");
                bob.respond(&incoming, 486).await;
                bob.expect("ACK").await;
            }
            let answered = peer.expect(&answer.to_string()).await;
            peer.send(&Message::ack(&call, &answered)).await;
        }
        let peer = Phone::new("peer", &served).await;
        let mut refer = peer.request("REFER", &bob.aor(), &bob.aor());
        refer.set(Name::From, "<sip:alice@example.org>;tag=1");
        refer.push(Name::PAssertedIdentity, alice);
        refer.push(Name::ReferTo, "<sip:+33140000000@example.org>");
        peer.send(&refer).await;
        peer.expect("407").await;
    }
}

/// A call that another proxy sends back to us for somebody else (RFC 3261 §16.3, item 4: a spiral is no loop).
#[tokio::test]
async fn a_call_comes_back_by_a_trusted_proxy() {
    let trusted_networks = vec!["127.0.0.0/8".parse().unwrap()];
    let served = serve_with(Config { trusted_networks, ..Config::default() }).await;
    let (alice, bob) = (Phone::new("alice", &served).await, Phone::registered("bob", &served).await);
    let proxy = Phone::new("proxy", &served).await;
    let away = format!("sip:p@{}", proxy.address());
    let (ok, ()) = tokio::join!(alice.ask(alice.request("INVITE", &away, &away), PASSWORD), async {
        let mut call = proxy.expect("INVITE").await;
        assert_eq!(call.value(Name::PAssertedIdentity), Some("<sip:alice@example.org>"));
        let via = format!("SIP/2.0/UDP {};branch=z9hG4bKspiral", proxy.address());
        call.push_front(Name::Via, &via);
        call.set_uri(&bob.aor());
        proxy.send(&call).await;
        let incoming = bob.expect("INVITE").await;
        assert_eq!(incoming.value(Name::CallInfo), Some("<xmpp:alice.chat@example.org>;purpose=impp"));
        assert_eq!(incoming.value(Name::PAssertedIdentity), Some("<sip:alice@example.org>"));
        bob.respond(&incoming, 200).await;
        let mut ok = proxy.expect("200").await;
        ok.pop_front(Name::Via);
        proxy.send(&ok).await;
    });
    assert_eq!(ok.status(), 200);
}

/// RFC 7616 §3.4.3: who proves the body, too, proves no other.
#[tokio::test]
async fn a_proof_of_the_body_is_of_that_body() {
    let served = serve().await;
    let (alice, bob) = (Phone::new("alice", &served).await, Phone::registered("bob", &served).await);
    for (body, is_taken) in [("v=0\r\n", true), ("v=1\r\n", false)] {
        let mut invite = alice.request("INVITE", "sip:bob@example.org", "sip:bob@example.org");
        invite.set_body("application/sdp", "v=0\r\n".into());
        alice.send(&invite).await;
        let challenge = alice.expect("407").await;
        alice.send(&Message::ack(&invite, &challenge)).await;
        let asked =
            challenge.values(Name::ProxyAuthenticate).find(|one| one.contains("=SHA-256,")).expect("SHA-256");
        let asked = AuthParams::parse(asked).unwrap();
        let value = |name: &str| asked.value(name).unwrap().into_owned();
        let proof = DigestProof {
            username: "alice".to_owned(),
            realm: value("realm"),
            nonce: value("nonce"),
            uri: invite.uri().to_owned(),
            response: String::new(),
            algorithm: DigestAlgorithm::Sha256,
            qop: Some(Qop { cnonce: "c".to_owned(), nc: "00000001".to_owned(), body: Some(body.into()) }),
            method: "INVITE".to_owned(),
        };
        let (realm, nonce, response) = (value("realm"), value("nonce"), proof.answered(PASSWORD).response);
        invite.push(
            Name::ProxyAuthorization,
            &format!(
                "Digest username=\"alice\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"sip:bob@example.org\", \
                 response=\"{response}\", algorithm=SHA-256, qop=auth-int, nc=00000001, cnonce=\"c\""
            ),
        );
        invite.set(Name::CSeq, "2 INVITE");
        let via = invite.pop_front(Name::Via).unwrap().replace("z9hG4bK", "z9hG4bKproved");
        invite.push_front(Name::Via, &via);
        alice.send(&invite).await;
        if is_taken {
            let incoming = bob.expect("INVITE").await;
            bob.respond(&incoming, 486).await;
        }
        let answer = alice.receive().await;
        assert_eq!(answer.status(), if is_taken { 486 } else { 407 });
        alice.send(&Message::ack(&invite, &answer)).await;
    }
}
