//! One device among many: outbound flows (RFC 5626), GRUUs (RFC 5627), and who may register what.

use std::time::Duration;

use crate::common::{Behind, DOMAIN, PASSWORD, Phone, new_folder, serve, start_with};
use shared_auth::{NewAccount, Profile};
use shared_model::{Aor, BareJid};
use shared_store::Store;
use sip_core::Message;
use sip_core::header::{Name, NameAddr};
use sip_server::Config;

const INSTANCE: &str = "\"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>\"";

fn register(phone: &Phone, parameters: &str, supported: &str) -> Message {
    let to = format!("sip:{}@{DOMAIN}", phone.name);
    let mut request = phone.request("REGISTER", &format!("sip:{DOMAIN}"), &to);
    request.set(Name::Contact, &format!("<{}>{parameters}", phone.contact()));
    request.push(Name::Supported, supported);
    request
}

async fn flow(phone: &Phone, reg_id: u32) {
    let parameters = format!(";+sip.instance={INSTANCE};reg-id={reg_id}");
    let bound = phone.ask(register(phone, &parameters, "path, outbound"), PASSWORD).await;
    assert_eq!((bound.status(), bound.value(Name::Require)), (200, Some("outbound")));
}

fn invite(from: &Phone, uri: &str) -> Message {
    from.request("INVITE", uri, uri)
}

#[tokio::test]
async fn a_device_with_two_flows_rings_once_and_by_the_other_when_one_fails() {
    let served = serve().await;
    let alice = Phone::new("alice", &served).await;
    let (old, new) = (Phone::new("bob", &served).await, Phone::new("bob", &served).await);
    flow(&old, 1).await;
    flow(&new, 2).await;
    let bob = format!("sip:bob@{DOMAIN}");
    let story = async {
        let at_new = new.expect("INVITE").await;
        new.respond(&at_new, 430).await;
        new.expect("ACK").await;
        let at_old = old.expect("INVITE").await;
        old.respond(&at_old, 486).await;
    };
    let (busy, ()) = tokio::join!(alice.ask(invite(&alice, &bob), PASSWORD), story);
    assert_eq!(busy.status(), 486);
    // An answer of the device ends it: the other flow is not tried.
    let (busy, ()) = tokio::join!(alice.ask(invite(&alice, &bob), PASSWORD), async {
        let at_new = new.expect("INVITE").await;
        new.respond(&at_new, 486).await;
        new.expect("ACK").await;
    });
    assert_eq!(busy.status(), 486);
    old.expect("ACK").await;
    let options = alice.request("OPTIONS", &bob, &bob);
    let (_, ()) = tokio::join!(alice.ask(options, PASSWORD), async {
        let asked = new.expect("OPTIONS").await;
        new.respond(&asked, 200).await;
    });
}

/// RFC 3327 §5.3: what is bound there goes into the Route of every call.
#[tokio::test]
async fn a_path_that_cannot_be_read_is_not_bound() {
    let served = serve().await;
    let bob = Phone::new("bob", &served).await;
    for (path, status) in [
        ("banana", 400),
        ("<tel:+1>;lr", 400),
        ("<sip:edge.example.org;lr>, <sip:>", 400),
        ("<sip:p1.example.org;lr>, \"Edge\" <sips:p2.example.org;lr>;x=1", 200),
    ] {
        let mut request = register(&bob, "", "path");
        request.push(Name::Path, path);
        assert_eq!(bob.ask(request, PASSWORD).await.status(), status, "{path}");
    }
}

#[tokio::test]
async fn outbound_needs_a_first_hop_that_keeps_flows() {
    let served = serve().await;
    let bob = Phone::new("bob", &served).await;
    let parameters = format!(";+sip.instance={INSTANCE};reg-id=1");
    let through_a_proxy = |path: &str| {
        let mut request = register(&bob, &parameters, "path, outbound");
        request.push_last(Name::Via, "SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKedge");
        if !path.is_empty() {
            request.push(Name::Path, path);
        }
        request
    };
    assert_eq!(bob.ask(through_a_proxy(""), PASSWORD).await.status(), 439);
    assert_eq!(bob.ask(through_a_proxy("<sip:edge.example.org;lr>"), PASSWORD).await.status(), 439);
    assert_eq!(bob.ask(through_a_proxy("<sip:t@edge.example.org;lr;ob>"), PASSWORD).await.status(), 200);
    for (wrong, status) in [(";reg-id=0", 400), (";reg-id=x", 400), (";reg-id=3", 200)] {
        let bound = bob.ask(register(&bob, wrong, "outbound"), PASSWORD).await;
        assert_eq!((bound.status(), bound.value(Name::Require)), (status, None), "{wrong}");
    }
}

#[tokio::test]
async fn a_gruu_reaches_its_device_and_no_other() {
    let served = serve().await;
    let alice = Phone::new("alice", &served).await;
    let (desk, _mobile) = (Phone::new("bob", &served).await, Phone::registered("bob", &served).await);
    let bound = desk.ask(register(&desk, &format!(";+sip.instance={INSTANCE}"), "gruu"), PASSWORD).await;
    let contact = bound.elements(Name::Contact).find(|contact| contact.contains("pub-gruu")).unwrap();
    let contact = NameAddr::parse(contact).unwrap();
    let (public, temporary) =
        (contact.params.value("pub-gruu").unwrap(), contact.params.value("temp-gruu").unwrap());
    assert_eq!(public, "sip:bob@example.org;gr=urn:uuid:00000000-0000-1000-8000-000A95A0E128");
    assert!(!temporary.contains("bob"), "{temporary}");
    for gruu in [public, temporary] {
        let (busy, incoming) = tokio::join!(alice.ask(invite(&alice, gruu), PASSWORD), async {
            let incoming = desk.expect("INVITE").await;
            desk.respond(&incoming, 486).await;
            desk.expect("ACK").await;
            incoming
        });
        assert_eq!((busy.status(), incoming.uri()), (486, desk.contact().as_str()));
    }
    let elsewhere = "sip:bob@example.org;gr=urn:uuid:nowhere";
    assert_eq!(alice.ask(invite(&alice, elsewhere), PASSWORD).await.status(), 480);
    // A registration with another Call-ID ends the temporary one.
    assert_eq!(
        desk.ask(register(&desk, &format!(";+sip.instance={INSTANCE}"), "gruu"), PASSWORD).await.status(),
        200
    );
    assert_eq!(alice.ask(invite(&alice, temporary), PASSWORD).await.status(), 404);
    // One that is registered and cannot be reached is there.
    let lost = Phone::over_tcp("bob", &served).await;
    let bound = lost.ask(register(&lost, ";+sip.instance=\"<urn:uuid:lost>\"", "gruu"), PASSWORD).await;
    let contacts = bound.elements(Name::Contact).filter_map(NameAddr::parse);
    let mut gruus = contacts
        .filter_map(|contact| Some((contact.params.value("pub-gruu")?, contact.params.value("temp-gruu")?)));
    let (_, temporary) = gruus.find(|(public, _)| public.contains("lost")).unwrap();
    drop(lost);
    let mut status = 0;
    for _ in 0..50 {
        status = alice.ask(invite(&alice, temporary), PASSWORD).await.status();
        if status == 480 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(status, 480);
}

#[tokio::test]
async fn nobody_registers_by_a_third_party_or_a_contact_that_leads_back() {
    let served = serve().await;
    let bob = Phone::new("bob", &served).await;
    let mut by_alice = register(&bob, "", "path");
    by_alice.set(Name::From, "<sip:alice@example.org>;tag=1");
    assert_eq!(bob.ask(by_alice, PASSWORD).await.status(), 403);
    for contact in ["<sip:bob@example.org>", "<sip:x@example.org;gr=1>"] {
        let mut back = register(&bob, "", "path");
        back.set(Name::Contact, contact);
        assert_eq!(bob.ask(back, PASSWORD).await.status(), 403, "{contact}");
    }
    let mut demanding = register(&bob, "", "path");
    demanding.push(Name::Require, "gruu, levitation");
    let refused = bob.ask(demanding, PASSWORD).await;
    assert_eq!((refused.status(), refused.value(Name::Unsupported)), (420, Some("levitation")));
}

/// RFC 5589 §7.1, to a browser that has no GRUU and is nowhere but at the end of its connection.
#[tokio::test]
async fn an_attended_transfer_reaches_a_device_that_nobody_but_us_can() {
    const CONTACT: &str = "sip:x7k2@q9.invalid;transport=ws";
    let behind = Behind { domains: vec!["example.net"], ..Behind::default() };
    let served = start_with(DOMAIN, Store::in_memory(), new_folder(), Config::default(), behind).await;
    served.populate().await;
    for (name, domain) in [("dan", "example.net"), ("erin", DOMAIN)] {
        let (aor, jid) = (Aor::new(name, domain).unwrap(), BareJid::new(name, domain).unwrap());
        served
            .auth
            .book
            .create(NewAccount { aor, jid, profile: Profile::default() }, PASSWORD)
            .await
            .unwrap();
    }
    let (alice, erin) = (Phone::new("alice", &served).await, Phone::new("erin", &served).await);
    let bob = Phone::over_tcp("bob", &served).await;
    let mut bind = bob.request("REGISTER", &format!("sip:{DOMAIN}"), &bob.aor());
    bind.set(Name::Contact, &format!("<{CONTACT}>"));
    assert_eq!(bob.ask(bind, PASSWORD).await.status(), 200);
    // Alice calls bob to say who waits.
    let ((ok, sent), ()) = tokio::join!(alice.ask_with(invite(&alice, &bob.aor()), PASSWORD), async {
        let incoming = bob.expect("INVITE").await;
        let mut ok = Message::response(&incoming, 200, "");
        for route in incoming.values(Name::RecordRoute) {
            ok.push(Name::RecordRoute, route);
        }
        ok.push(Name::Contact, &format!("<{CONTACT}>"));
        bob.send(&ok).await;
    });
    assert_eq!(ok.status(), 200);
    alice.send(&alice.in_dialog("ACK", sent.cseq().unwrap().0, &sent, &ok)).await;
    bob.expect("ACK").await;
    let second = Phone::registered("bob", &served).await;
    let replacing = |from: &Phone, uri: &str, to_tag: &str, from_tag: &str| {
        let mut invite = invite(from, uri);
        let call = sent.call_id();
        invite.push_other("Replaces", &format!("{call};to-tag={to_tag};from-tag={from_tag}"));
        invite
    };
    let (alices, bobs) = (sent.from_tag().unwrap(), ok.to_tag().unwrap());
    // Who proves nothing, is of another domain, names no such call or no device of its party, gets no further than before.
    let mut stranger = Phone::new("stranger", &served).await;
    stranger.domain = "elsewhere.example";
    let mut dan = Phone::new("dan", &served).await;
    dan.domain = "example.net";
    for (who, uri, to_tag, from_tag, status) in [
        (&stranger, CONTACT, bobs, alices, 403),
        (&dan, CONTACT, bobs, alices, 404),
        (&erin, CONTACT, bobs, "another", 404),
        (&erin, CONTACT, alices, bobs, 404),
        (&erin, "sip:x7k3@q9.invalid;transport=ws", bobs, alices, 404),
    ] {
        let refused = who.ask(replacing(who, uri, to_tag, from_tag), PASSWORD).await;
        assert_eq!(refused.status(), status, "{} to {uri}: {to_tag} {from_tag}", who.name);
    }
    let take = erin.ask(replacing(&erin, CONTACT, bobs, alices), PASSWORD);
    let (taken, incoming) = tokio::join!(take, async {
        let incoming = bob.expect("INVITE").await;
        bob.respond(&incoming, 486).await;
        incoming
    });
    assert_eq!((taken.status(), incoming.uri()), (486, CONTACT));
    assert!(incoming.other_values("Replaces").next().is_some());
    tokio::select! {
        _ = second.receive() => panic!("no other device of his is meant"),
        () = tokio::time::sleep(Duration::from_millis(100)) => {}
    }
}
