//! REGISTER over real sockets (RFC 3261 §10.3).

use crate::common::{
    DOMAIN, Line, PASSWORD, PATIENCE, Phone, serve, serve_over, serve_with, that_may_be_away,
};
use crate::dns::Dns;
use shared_store::Store;
use sip_core::Message;
use sip_core::header::Name;
use sip_server::Config;
use tokio::net::TcpListener;
use tokio::time::timeout;

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

/// §10.3, steps 6 and 7: one Call-ID counts upwards, and a REGISTER is carried out whole or not at all.
#[tokio::test]
async fn what_comes_late_or_is_bad_in_part_changes_nothing() {
    let served = serve().await;
    let alice = Phone::new("alice", &served).await;
    let register = |number: u32, contacts: &str| {
        let mut request = alice.request("REGISTER", &format!("sip:{DOMAIN}"), &alice.aor());
        request.set(Name::CallId, "one-device");
        request.set(Name::CSeq, &format!("{number} REGISTER"));
        request.set(Name::Contact, contacts);
        request.push(Name::Expires, if contacts == "*" { "0" } else { "600" });
        request
    };
    let [desk, sofa] = ["<sip:alice@127.0.0.1:1001>", "<sip:alice@127.0.0.1:1002>"];
    let both = format!("{desk}, {sofa}");
    let bound = async |request: Message| {
        let answer = alice.ask(request, PASSWORD).await;
        (answer.status(), answer.elements(Name::Contact).count())
    };
    assert_eq!(bound(register(20, desk)).await, (200, 1));
    for (number, contacts) in [(20, desk), (19, desk), (10, &both), (5, "*")] {
        let (status, _) = bound(register(number, contacts)).await;
        assert_eq!(status, 500, "{number} {contacts}");
    }
    let brief = alice.ask(register(21, &format!("{sofa};expires=600, {desk};expires=5")), PASSWORD).await;
    assert_eq!((brief.status(), brief.value(Name::MinExpires)), (423, Some("60")));
    for bad in
        ["<mailto:alice@127.0.0.1>", "<sip:alice@127.0.0.1:1003>;q=7", "<sip:alice@127.0.0.1:1003>;reg-id=0"]
    {
        assert_eq!(bound(register(22, &format!("{sofa}, {bad}"))).await.0, 400, "{bad}");
    }
    let fetch = alice.request("REGISTER", &format!("sip:{DOMAIN}"), &alice.aor());
    let ask = |mut fetch: Message| {
        fetch.remove(Name::Contact);
        bound(fetch)
    };
    assert_eq!(ask(fetch).await, (200, 1), "the first alone is bound");
    assert_eq!(bound(register(23, &both)).await, (200, 2));
    // Another Call-ID is another device, or the same after a restart, and counts from where it likes.
    let mut anew = register(1, desk);
    anew.set(Name::CallId, "after-a-restart");
    assert_eq!(bound(anew).await, (200, 2));
}

/// RFC 3608 §6.3: of who is registered, and of nobody else.
#[tokio::test]
async fn a_service_route_goes_to_who_is_registered() {
    let route = "sip:edge.example.org;lr";
    let served = serve_with(Config { service_route: Some(route.to_owned()), ..Config::default() }).await;
    let alice = Phone::new("alice", &served).await;
    let told = |answer: &Message| answer.other_values("Service-Route").map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(told(&alice.register("600").await), [format!("<{route}>")]);
    let refused = alice.register("5").await;
    assert_eq!((refused.status(), told(&refused)), (423, Vec::new()));
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

/// A REGISTER by UDP with this contact.
async fn registered_with(bob: &Phone, contact: &str, expires: u32) -> Message {
    let mut request = bob.request("REGISTER", &format!("sip:{DOMAIN}"), &bob.aor());
    request.set(Name::Contact, &format!("<{contact}>;expires={expires}"));
    bob.ask(request, PASSWORD).await
}

/// alice calls bob, and whoever is rung there is busy.
async fn rings(alice: &Phone, rung: &Phone) {
    let uri = format!("sip:bob@{DOMAIN}");
    let (busy, ()) = tokio::join!(alice.ask(alice.request("INVITE", &uri, &uri), PASSWORD), async {
        let incoming = rung.expect("INVITE").await;
        rung.respond(&incoming, 486).await;
        rung.expect("ACK").await;
    });
    assert_eq!(busy.status(), 486);
}

#[tokio::test]
async fn a_contact_with_a_name_is_the_phones_own_host_or_none() {
    let dns = Dns::start().await;
    dns.host("desk.example", "127.0.0.1");
    dns.host("away.example", "192.0.2.7");
    let served = serve_with(Config { dns: vec![dns.address], ..Config::default() }).await;
    let (alice, bob) = (Phone::new("alice", &served).await, Phone::new("bob", &served).await);
    let listening = Phone::new("bob", &served).await;
    let by_name = format!("sip:bob@desk.example:{}", listening.address().port());
    assert_eq!(registered_with(&bob, &by_name, 3_600).await.status(), 200);
    rings(&alice, &listening).await;
    assert_eq!(registered_with(&bob, &by_name, 0).await.status(), 200);
    let refused = registered_with(&bob, "sip:bob@away.example", 3_600).await;
    assert_eq!((refused.status(), refused.reason()), (403, "Contact Is Elsewhere"));
    assert_eq!(registered_with(&bob, "sip:bob@away.example", 0).await.status(), 200, "it may be removed");
    // Names that are known to the phone alone, or to nobody: it is where it registered from.
    let asked = dns.queries();
    for own in ["sip:bob@laptop", "sip:bob@k3f8.invalid", "sip:bob@laptop.local"] {
        assert_eq!(registered_with(&bob, own, 3_600).await.status(), 200);
        rings(&alice, &bob).await;
        assert_eq!(registered_with(&bob, own, 0).await.status(), 200);
    }
    assert_eq!(dns.queries(), asked, "nobody is asked about them");
    assert_eq!(registered_with(&bob, "sip:bob@nowhere.example", 3_600).await.status(), 200);
    rings(&alice, &bob).await;
}

#[tokio::test]
async fn nobody_registers_another_account_for_their_contact() {
    let served = serve().await;
    let (alice, bob) = (Phone::new("alice", &served).await, Phone::new("bob", &served).await);
    let to_carol = registered_with(&bob, &format!("sip:carol@{DOMAIN}"), 3_600).await;
    assert_eq!((to_carol.status(), to_carol.reason()), (403, "Contact Is Somebody Else's"));
    assert_eq!(registered_with(&bob, &format!("sip:carol@{DOMAIN}"), 0).await.status(), 200);
    // A device that writes our domain for its own host.
    assert_eq!(registered_with(&bob, &format!("sip:k3f8@{DOMAIN}"), 3_600).await.status(), 200);
    rings(&alice, &bob).await;
}

#[tokio::test]
async fn a_contact_by_tcp_is_called_by_tcp_whatever_it_registered_by() {
    let served = serve().await;
    let (alice, bob) = (Phone::new("alice", &served).await, Phone::new("bob", &served).await);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let bound = registered_with(&bob, &format!("sip:bob@{at};transport=tcp"), 3_600).await;
    assert_eq!(bound.status(), 200);
    let uri = format!("sip:bob@{DOMAIN}");
    let (busy, ()) = tokio::join!(alice.ask(alice.request("INVITE", &uri, &uri), PASSWORD), async {
        let (stream, _) = timeout(PATIENCE, listener.accept()).await.expect("nobody calls").unwrap();
        let bob = Phone::over("bob", &served, Line::stream("TCP", at, stream));
        let incoming = bob.expect("INVITE").await;
        assert_eq!(incoming.uri(), format!("sip:bob@{at};transport=tcp"));
        bob.respond(&incoming, 486).await;
        bob.expect("ACK").await;
    });
    assert_eq!(busy.status(), 486);
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

#[tokio::test]
async fn who_comes_while_the_store_is_away_is_told_to_come_again() {
    let (store, away) = that_may_be_away(&Store::in_memory());
    let served = serve_over(store).await;
    served.populate().await;
    let (alice, bob) = (Phone::new("alice", &served).await, Phone::registered("bob", &served).await);
    away.set(true);
    let to = format!("sip:alice@{DOMAIN}");
    for answer in [alice.register("600").await, bob.ask(bob.request("INVITE", &to, &to), PASSWORD).await] {
        assert_eq!((answer.status(), answer.value(Name::RetryAfter)), (503, Some("5")));
    }
    away.set(false);
    assert_eq!(alice.register("600").await.status(), 200);
}

#[tokio::test]
async fn an_account_binds_so_many_contacts_and_no_more() {
    let served = serve_with(Config { contacts: 2, ..Config::default() }).await;
    let alice = Phone::new("alice", &served).await;
    let register = |from: u16, count: u16| {
        let mut request = alice.request("REGISTER", &format!("sip:{DOMAIN}"), &format!("sip:alice@{DOMAIN}"));
        let contacts: Vec<_> =
            (from..from + count).map(|port| format!("<sip:alice@127.0.0.1:{port}>")).collect();
        request.set(Name::Contact, &contacts.join(", "));
        request
    };
    let bound = async |request: Message| {
        let answer = alice.ask(request, PASSWORD).await;
        (answer.status(), answer.elements(Name::Contact).count())
    };
    assert_eq!(bound(register(1_000, 2)).await, (200, 2));
    assert_eq!(bound(register(1_000, 2)).await, (200, 2), "the same two");
    assert_eq!(bound(register(2_000, 1)).await.0, 403, "a third");
    assert_eq!(bound(register(3_000, 3)).await.0, 403, "more than fit");
    assert_eq!(bound(register(4_000, 5)).await.0, 403, "more than are looked at");
    // Nothing of what was refused is bound; what goes makes room in the same request.
    let mut moved = register(1_000, 3);
    moved.set(
        Name::Contact,
        "<sip:alice@127.0.0.1:1000>;expires=0, <sip:alice@127.0.0.1:1001>, <sip:alice@127.0.0.1:1002>",
    );
    assert_eq!(bound(moved).await, (200, 2));
}
