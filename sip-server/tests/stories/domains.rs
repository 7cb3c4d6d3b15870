//! Several domains in one service: whoever has the same name in two of them is two people.

use std::collections::HashMap;

use shared_auth::{NewAccount, Profile};
use shared_model::{Aor, BareJid};
use shared_store::Store;
use sip_core::header::{AuthParams, Name};
use sip_server::{Chat, Config};

use super::common::{Behind, DOMAIN, PASSWORD, Phone, Served, new_folder, serve_with, start_with};

const OTHER: &str = "example.net";

/// alice, bob and carol of the main domain, and one more bob of another.
async fn serve() -> Served {
    let behind = Behind {
        domains: vec![OTHER],
        chat: HashMap::from([(OTHER.to_owned(), Chat::Pass)]),
        ..Behind::default()
    };
    let served = start_with(DOMAIN, Store::in_memory(), new_folder(), Config::default(), behind).await;
    served.populate().await;
    let (aor, jid) = (Aor::new("bob", OTHER).unwrap(), BareJid::new("robert", OTHER).unwrap());
    served.auth.book.create(NewAccount { aor, jid, profile: Profile::default() }, PASSWORD).await.unwrap();
    served
}

async fn bob_of(domain: &'static str, served: &Served) -> Phone {
    let mut bob = Phone::new("bob", served).await;
    bob.domain = domain;
    assert_eq!(bob.register("3600").await.status(), 200, "{domain}");
    bob
}

#[tokio::test]
async fn each_name_is_called_in_its_own_domain() {
    let served = serve().await;
    let (here, there) = (bob_of(DOMAIN, &served).await, bob_of(OTHER, &served).await);
    let alice = Phone::new("alice", &served).await;
    for (bob, other) in [(&there, &here), (&here, &there)] {
        // However the domain is written.
        let uri = format!("sip:bob@{}", bob.domain.to_uppercase());
        let call = alice.ask(alice.request("INVITE", &uri, &uri), PASSWORD);
        let (refused, incoming) = tokio::join!(call, async {
            let incoming = bob.expect("INVITE").await;
            bob.respond(&incoming, 486).await;
            bob.expect("ACK").await;
            incoming
        });
        assert_eq!((refused.status(), incoming.uri()), (486, bob.contact().as_str()));
        assert_ne!(incoming.uri(), other.contact());
    }
}

#[tokio::test]
async fn whoever_calls_from_another_domain_is_proven_and_announced_there() {
    let served = serve().await;
    let (bob, there) = (bob_of(DOMAIN, &served).await, bob_of(OTHER, &served).await);
    let uri = bob.aor();
    let call = there.ask(there.request("INVITE", &uri, &uri), PASSWORD);
    let (_, incoming) = tokio::join!(call, async {
        let incoming = bob.expect("INVITE").await;
        bob.respond(&incoming, 486).await;
        incoming
    });
    let told: Vec<&str> = incoming.values(Name::CallInfo).collect();
    assert_eq!(told, ["<xmpp:robert@example.net>;purpose=impp"]);
    assert_eq!(incoming.value(Name::PAssertedIdentity), Some("<sip:bob@example.net>"));
    assert!(incoming.value(Name::ProxyAuthorization).is_none(), "credentials for us stay with us");
}

#[tokio::test]
async fn nobody_is_their_namesake() {
    let served = serve().await;
    let there = bob_of(OTHER, &served).await;
    // Challenged in the domain that From names, and the proof of another does not count there.
    let uri = "sip:alice@example.org";
    there.send(&there.request("INVITE", uri, uri)).await;
    let challenge = there.expect("407").await;
    let asked = AuthParams::parse(challenge.value(Name::ProxyAuthenticate).unwrap()).unwrap();
    assert_eq!(asked.value("realm").as_deref(), Some(OTHER));
    let mut forged = there.request("INVITE", uri, uri);
    forged.set(Name::From, "<sip:bob@example.org>;tag=1");
    assert_eq!(there.ask_proving(forged, PASSWORD).await.status(), 407, "the proof is of another realm");
    let alice = Phone::registered("alice", &served).await;
    let mut wishing = there.request("INVITE", uri, uri);
    wishing.push(Name::PPreferredIdentity, "<sip:bob@example.org>");
    let (_, incoming) = tokio::join!(there.ask(wishing, PASSWORD), async {
        let incoming = alice.expect("INVITE").await;
        alice.respond(&incoming, 486).await;
        alice.expect("ACK").await;
        incoming
    });
    assert_eq!(
        incoming.value(Name::PAssertedIdentity),
        Some("<sip:bob@example.net>"),
        "not the one that he wished"
    );
    let mut third = there.request("REGISTER", "sip:example.net", "sip:bob@example.org");
    third.push(Name::Expires, "60");
    assert_eq!(there.ask(third, PASSWORD).await.status(), 403, "a registration by somebody else");
    let mut stranger = Phone::new("bob", &served).await;
    stranger.domain = "example.com";
    assert_eq!(stranger.register("60").await.status(), 404);
}

#[tokio::test]
async fn who_calls_without_a_name_says_by_their_wish_where_they_are_known() {
    let served = serve().await;
    let (bob, there) = (bob_of(DOMAIN, &served).await, bob_of(OTHER, &served).await);
    let mut hidden = there.request("INVITE", &bob.aor(), &bob.aor());
    hidden.set(Name::From, "\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=1");
    hidden.push(Name::PPreferredIdentity, "<sip:bob@example.net>");
    hidden.push(Name::Privacy, "id");
    let (refused, incoming) = tokio::join!(there.ask(hidden, PASSWORD), async {
        let incoming = bob.expect("INVITE").await;
        bob.respond(&incoming, 486).await;
        incoming
    });
    assert_eq!(refused.status(), 486);
    assert!(incoming.value(Name::PAssertedIdentity).is_none() && incoming.value(Name::CallInfo).is_none());
}

#[tokio::test]
async fn chat_is_refused_or_passed_by_the_domain_of_whom_it_is_for() {
    let served = serve().await;
    let (alice, _) = (Phone::new("alice", &served).await, bob_of(DOMAIN, &served).await);
    let there = bob_of(OTHER, &served).await;
    for (method, status) in [("MESSAGE", 405), ("PUBLISH", 405), ("SUBSCRIBE", 489)] {
        let mut request = alice.request(method, "sip:bob@example.org", "sip:bob@example.org");
        if method != "MESSAGE" {
            request.push(Name::Event, "presence");
        }
        let refused = alice.ask(request, PASSWORD).await;
        assert_eq!(
            (refused.status(), refused.reason()),
            (status, "Write To bob.chat@example.org"),
            "{method}"
        );
        let packages = refused.value(Name::AllowEvents);
        assert_eq!(packages.unwrap_or_default(), if status == 489 { "conference, reg" } else { "" });
        let where_to = refused.value(Name::CallInfo).unwrap();
        assert!(where_to.starts_with("<xmpp:bob.chat@example.org>"), "{method}: {where_to}");
    }
    let passed = alice.ask(alice.request("MESSAGE", "sip:bob@example.net", "sip:bob@example.net"), PASSWORD);
    let (passed, ()) = tokio::join!(passed, async {
        let message = there.expect("MESSAGE").await;
        there.respond(&message, 202).await;
    });
    assert_eq!(passed.status(), 202);
}

/// Where chat passes to phones, a block holds for it, and who does not want to be disturbed is written to.
#[tokio::test]
async fn who_is_blocked_neither_writes_nor_watches() {
    let served = serve_with(Config { chat: Chat::Pass, ..Config::default() }).await;
    let (alice, carol) = (Phone::new("alice", &served).await, Phone::registered("carol", &served).await);
    let bob = Phone::registered("bob", &served).await;
    // In the chat half of these stories bob has blocked carol, and carol is not to be disturbed by alice.
    for (from, to, status) in [(&carol, &bob, 603), (&alice, &bob, 200), (&alice, &carol, 200)] {
        for method in ["MESSAGE", "SUBSCRIBE", "REFER"] {
            let mut request = from.request(method, &to.aor(), &to.aor());
            if method == "SUBSCRIBE" {
                request.push(Name::Event, "presence");
            }
            let passes = async {
                if status == 200 {
                    let passed = to.expect(method).await;
                    to.respond(&passed, 200).await;
                }
            };
            let (answer, ()) = tokio::join!(from.ask(request, PASSWORD), passes);
            assert_eq!(answer.status(), status, "{method} of {} to {}", from.name, to.name);
        }
    }
}
