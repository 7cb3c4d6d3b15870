//! REGISTER over real sockets (RFC 3261 §10.3).

use crate::common::{DOMAIN, PASSWORD, Phone, serve, serve_over};
use sip_core::header::Name;

#[tokio::test]
async fn a_contact_is_bound_refreshed_and_removed() {
    let served = serve().await;
    let alice = Phone::new("alice", &served).await;
    let bound = alice.register("600").await;
    assert_eq!(bound.status(), 200);
    let contact = bound.value(Name::Contact).unwrap();
    assert!(contact.starts_with(&format!("<{}>;expires=", alice.contact())), "{contact}");
    assert_eq!(alice.register("600").await.elements(Name::Contact).count(), 1, "the same binding");
    assert_eq!(alice.register("0").await.elements(Name::Contact).count(), 0);
    assert_eq!(alice.register("5").await.status(), 423);
}

#[tokio::test]
async fn a_star_removes_everything_and_only_with_expires_0() {
    let served = serve().await;
    let alice = Phone::registered("alice", &served).await;
    let star = |expires: &str| {
        let mut request = alice.request("REGISTER", &format!("sip:{DOMAIN}"), &format!("sip:alice@{DOMAIN}"));
        request.set(Name::Contact, "*");
        request.push(Name::Expires, expires);
        request
    };
    assert_eq!(alice.ask(star("60"), PASSWORD).await.status(), 400);
    let removed = alice.ask(star("0"), PASSWORD).await;
    assert_eq!((removed.status(), removed.elements(Name::Contact).count()), (200, 0));
}

#[tokio::test]
async fn every_algorithm_is_offered_and_wrong_proofs_look_alike() {
    let served = serve().await;
    let (alice, nobody) = (Phone::new("alice", &served).await, Phone::new("nobody", &served).await);
    let register = |phone: &Phone| {
        phone.request("REGISTER", &format!("sip:{DOMAIN}"), &format!("sip:{}@{DOMAIN}", phone.name))
    };
    alice.send(&register(&alice)).await;
    let challenge = alice.expect("401").await;
    let offered: Vec<&str> = challenge.values(Name::WwwAuthenticate).collect();
    assert_eq!(offered.len(), 3);
    assert!(
        offered[0].contains("SHA-512-256") && offered[1].contains("SHA-256") && offered[2].contains("MD5")
    );
    assert_eq!(alice.ask(register(&alice), "wrong").await.status(), 401);
    assert_eq!(nobody.ask(register(&nobody), "wrong").await.status(), 401);
}

#[tokio::test]
async fn nobody_registers_for_somebody_else() {
    let served = serve().await;
    let alice = Phone::new("alice", &served).await;
    let request = alice.request("REGISTER", &format!("sip:{DOMAIN}"), &format!("sip:bob@{DOMAIN}"));
    assert_eq!(alice.ask(request, PASSWORD).await.status(), 403);
}

#[tokio::test]
async fn a_binding_survives_the_server() {
    let served = serve().await;
    let bob = Phone::registered("bob", &served).await;
    let store = served.store.clone();
    drop(served);
    let again = serve_over(store).await;
    assert_eq!(
        again.store.bindings.by_aor(&format!("bob@{DOMAIN}").parse().unwrap(), 0).await.unwrap().len(),
        1
    );
    let stranger = Phone::new("stranger", &again).await;
    let mut call = stranger.request("INVITE", &format!("sip:bob@{DOMAIN}"), &format!("sip:bob@{DOMAIN}"));
    call.set(Name::From, "<sip:someone@elsewhere.example>;tag=1");
    stranger.send(&call).await;
    bob.expect("INVITE").await;
}

#[tokio::test]
async fn a_contact_is_rung_where_it_says_and_behind_a_nat_where_it_came_from() {
    let served = serve().await;
    let (alice, registering) = (Phone::new("alice", &served).await, Phone::new("bob", &served).await);
    let listening = Phone::new("bob", &served).await;
    let uri = format!("sip:bob@{DOMAIN}");
    let register = |via: Option<&str>| {
        let mut request = registering.request("REGISTER", &format!("sip:{DOMAIN}"), &uri);
        request.set(Name::Contact, &format!("<{}>", listening.contact()));
        if let Some(via) = via {
            request.set(Name::Via, via);
        }
        request
    };
    let call = async |rung: &Phone| {
        let (busy, ()) = tokio::join!(alice.ask(alice.request("INVITE", &uri, &uri), PASSWORD), async {
            let incoming = rung.expect("INVITE").await;
            rung.respond(&incoming, 486).await;
            rung.expect("ACK").await;
        });
        assert_eq!(busy.status(), 486);
    };
    assert_eq!(registering.ask(register(None), PASSWORD).await.status(), 200);
    call(&listening).await;
    let behind_nat = "SIP/2.0/UDP 10.1.1.1:5060;rport;branch=z9hG4bKbehindnat";
    assert_eq!(registering.ask(register(Some(behind_nat)), PASSWORD).await.status(), 200);
    call(&registering).await;
}

#[tokio::test]
async fn an_address_of_ours_stands_for_the_domain_and_another_domain_is_not_served() {
    let served = serve().await;
    let alice = Phone::new("alice", &served).await;
    let address = served.server.bound().udp[0];
    let (registrar, own) = (format!("sip:{address}"), format!("sip:alice@{address}"));
    let bound = alice.ask(alice.request("REGISTER", &registrar, &own), PASSWORD).await;
    assert_eq!(bound.status(), 200);
    assert!(bound.value(Name::Date).is_some_and(|date| date.ends_with(" GMT")), "§10.3, step 8");
    let mut request = alice.request("REGISTER", &registrar, "sip:alice@elsewhere.example");
    request.set(Name::From, "<sip:alice@elsewhere.example>;tag=1");
    assert_eq!(alice.ask(request, PASSWORD).await.status(), 404);
}

#[tokio::test]
async fn who_removes_a_contact_need_not_name_its_instance() {
    let served = serve().await;
    let alice = Phone::new("alice", &served).await;
    let register = |contact: &str| {
        let mut request = alice.request("REGISTER", &format!("sip:{DOMAIN}"), &format!("sip:alice@{DOMAIN}"));
        request.set(Name::Contact, contact);
        request
    };
    let contact = alice.contact();
    let with =
        format!("<{contact}>;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000a95a0e128>\";expires=600");
    assert_eq!(alice.ask(register(&with), PASSWORD).await.elements(Name::Contact).count(), 1);
    let removed = alice.ask(register(&format!("<{contact}>;expires=0")), PASSWORD).await;
    assert_eq!((removed.status(), removed.elements(Name::Contact).count()), (200, 0));
}

#[tokio::test]
async fn a_phone_that_says_its_instance_from_now_on_is_bound_once() {
    let served = serve().await;
    let bob = Phone::registered("bob", &served).await;
    let named =
        bob.register_as(";+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-00000000000b>\";audio;x=1").await;
    let contacts: Vec<&str> = named.elements(Name::Contact).collect();
    assert!(contacts.len() == 1 && contacts[0].contains(";audio;x=1"), "{contacts:?}");
    let bare = bob.register_as("").await;
    assert_eq!(bare.elements(Name::Contact).count(), 1);
}
