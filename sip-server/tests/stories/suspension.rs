//! A binding lives with its flow: closed connections, and phones that come back (RFC 5626 §4.2, §5.3, §7).

use crate::common::{DOMAIN, Line, PASSWORD, Phone, serve};
use shared_model::{BindingEvent, Event, Fact};
use shared_runtime::bus::{Heard, Subscription};
use sip_core::header::Name;

/// A registration of one flow of bob's only device.
async fn flow(phone: &Phone, reg_id: u32) {
    let to = format!("sip:{}@{DOMAIN}", phone.name);
    let mut request = phone.request("REGISTER", &format!("sip:{DOMAIN}"), &to);
    let parameters =
        format!(";+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-00000000000b>\";reg-id={reg_id}");
    request.set(Name::Contact, &format!("<{}>{parameters}", phone.contact()));
    request.push(Name::Supported, "path, outbound");
    assert_eq!(phone.ask(request, PASSWORD).await.status(), 200);
}

/// The contact of the next binding that is told to be suspended.
async fn suspended(facts: &mut Subscription<Fact>) -> String {
    let next = async {
        loop {
            if let Some(Heard::Fact(Fact {
                event: Event::Binding(BindingEvent::Suspended { contact, aor, .. }),
                ..
            })) = facts.next().await
            {
                assert_eq!(aor.local(), "bob");
                return contact;
            }
        }
    };
    tokio::time::timeout(crate::common::PATIENCE, next).await.expect("nothing was suspended")
}

async fn call(from: &Phone, answers: &Phone) {
    let bob = format!("sip:bob@{DOMAIN}");
    let (busy, ()) = tokio::join!(from.ask(from.request("INVITE", &bob, &bob), PASSWORD), async {
        let incoming = answers.expect("INVITE").await;
        answers.respond(&incoming, 486).await;
        answers.expect("ACK").await;
    });
    assert_eq!(busy.status(), 486);
}

#[tokio::test]
async fn a_phone_whose_connection_closed_is_gone_until_it_registers_again() {
    let served = serve().await;
    let mut facts = served.bus.subscribe();
    let alice = Phone::new("alice", &served).await;
    let bob = Phone::over_tcp("bob", &served).await;
    flow(&bob, 1).await;
    call(&alice, &bob).await;
    let contact = bob.contact();
    drop(bob);
    assert_eq!(suspended(&mut facts).await, contact);
    let aor = format!("sip:bob@{DOMAIN}");
    assert_eq!(alice.ask(alice.request("INVITE", &aor, &aor), PASSWORD).await.status(), 480);
    let back = Phone::over_tcp("bob", &served).await;
    flow(&back, 1).await;
    call(&alice, &back).await;
}

#[tokio::test]
async fn a_call_takes_the_flow_that_is_left() {
    let served = serve().await;
    let mut facts = served.bus.subscribe();
    let alice = Phone::new("alice", &served).await;
    let left = Phone::new("bob", &served).await;
    let closed = Phone::over_tcp("bob", &served).await;
    flow(&left, 1).await;
    flow(&closed, 2).await;
    call(&alice, &closed).await;
    drop(closed);
    suspended(&mut facts).await;
    call(&alice, &left).await;
}

#[tokio::test]
async fn a_phone_that_hangs_up_its_connection_while_it_rings_frees_the_call() {
    let served = serve().await;
    let alice = Phone::new("alice", &served).await;
    let left = Phone::new("bob", &served).await;
    let ringing = Phone::over_tcp("bob", &served).await;
    flow(&left, 1).await;
    flow(&ringing, 2).await;
    let bob = format!("sip:bob@{DOMAIN}");
    let (busy, ()) = tokio::join!(alice.ask(alice.request("INVITE", &bob, &bob), PASSWORD), async {
        ringing.expect("INVITE").await;
        drop(ringing);
        let incoming = left.expect("INVITE").await;
        left.respond(&incoming, 486).await;
        left.expect("ACK").await;
    });
    assert_eq!(busy.status(), 486);
}

/// RFC 5626 §5.3: nobody could bring an answer there.
#[tokio::test]
async fn a_caller_whose_connection_closed_rings_nobody_any_more() {
    let served = serve().await;
    let bob = Phone::registered("bob", &served).await;
    let alice = Phone::over_tcp("alice", &served).await;
    let to = format!("sip:bob@{DOMAIN}");
    let mut call = alice.request("INVITE", &to, &to);
    call.set(Name::Via, "SIP/2.0/TCP 10.1.1.1:5060;rport;branch=z9hG4bKbehindnat");
    let (ringing, incoming) = tokio::join!(alice.ask_proving(call, PASSWORD), async {
        let incoming = bob.expect("INVITE").await;
        bob.respond(&incoming, 180).await;
        incoming
    });
    assert_eq!(ringing.status(), 180);
    drop(alice);
    let cancel = bob.expect("CANCEL").await;
    bob.respond(&cancel, 200).await;
    bob.respond(&incoming, 487).await;
    bob.expect("ACK").await;
}

#[tokio::test]
async fn a_phone_behind_an_edge_outlives_the_edges_connection() {
    let served = serve().await;
    let alice = Phone::new("alice", &served).await;
    let door = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let path = format!("<sip:127.0.0.1:{};transport=tcp;lr>", door.local_addr().unwrap().port());
    let edge = Phone::over_tcp("bob", &served).await;
    let mut request = edge.request("REGISTER", &format!("sip:{DOMAIN}"), &edge.aor());
    request.set(Name::Contact, "<sip:bob@192.0.2.7>");
    request.push(Name::Supported, "path");
    request.push(Name::Path, &path);
    assert_eq!(edge.ask(request, PASSWORD).await.status(), 200);
    call(&alice, &edge).await;
    drop(edge);
    let accepted = async {
        let (stream, _) = door.accept().await.unwrap();
        let local = stream.local_addr().unwrap();
        let edge = Phone::over("bob", &served, Line::stream("TCP", local, stream));
        let incoming = edge.expect("INVITE").await;
        assert_eq!((incoming.uri(), incoming.value(Name::Route)), ("sip:bob@192.0.2.7", Some(&*path)));
        edge.respond(&incoming, 486).await;
        edge
    };
    let bob = format!("sip:bob@{DOMAIN}");
    // Until the server has seen that the connection closed.
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let (busy, _edge) = tokio::join!(alice.ask(alice.request("INVITE", &bob, &bob), PASSWORD), accepted);
    assert_eq!(busy.status(), 486);
}
