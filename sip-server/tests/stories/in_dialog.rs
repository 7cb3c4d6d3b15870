//! Where requests inside a dialog go: the remaining Route, the remote target (RFC 3261 §12.2.1.1, §16.12), and nowhere for strangers.

use std::time::Duration;

use crate::common::{DOMAIN, Line, PASSWORD, Phone, Served, serve, serve_domain};
use shared_auth::{NewAccount, Profile};
use shared_model::{Aor, BareJid};
use shared_store::Store;
use sip_core::Message;
use sip_core::header::Name;
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// An answer with another Contact, and with Record-Routes of others above ours.
fn ok(invite: &Message, contact: &str, others: &[&str]) -> Message {
    let mut response = Message::response(invite, 200, "");
    response.ensure_to_tag("far");
    for route in others.iter().copied().chain(invite.values(Name::RecordRoute)) {
        response.push(Name::RecordRoute, route);
    }
    response.push(Name::Contact, &format!("<{contact}>"));
    response
}

/// alice calls somebody of another domain, at whose door `edge` is; it answers with that. The INVITE and its 2xx.
async fn call_out(alice: &Phone, edge: &Phone, contact: &str, others: &[&str]) -> (Message, Message) {
    let call = alice.request("INVITE", &edge.contact(), &edge.contact());
    let (asked, ()) = tokio::join!(alice.ask_with(call, PASSWORD), async {
        let invite = edge.expect("INVITE").await;
        edge.send(&ok(&invite, contact, others)).await;
    });
    let (answer, invite) = asked;
    assert_eq!(answer.status(), 200);
    (invite, answer)
}

/// The ACK and the BYE of who called come here, and nobody else gets them.
async fn hangs_up(alice: &Phone, far: &Phone, (invite, answer): &(Message, Message), number: u32) -> Message {
    alice.send(&alice.in_dialog("ACK", number, invite, answer)).await;
    let ack = far.expect("ACK").await;
    alice.send(&alice.in_dialog("BYE", number + 1, invite, answer)).await;
    let bye = far.expect("BYE").await;
    assert_eq!(ack.uri(), bye.uri());
    far.respond(&bye, 200).await;
    alice.expect("200").await;
    bye
}

fn cseq(message: &Message) -> u32 {
    message.cseq().unwrap().0
}

#[tokio::test]
async fn a_proxy_that_did_not_record_itself_is_out_of_the_dialog() {
    let served = serve().await;
    let alice = Phone::registered("alice", &served).await;
    let (edge, far) = (Phone::new("edge", &served).await, Phone::new("far", &served).await);
    let dialog = call_out(&alice, &edge, &far.contact(), &[]).await;
    let bye = hangs_up(&alice, &far, &dialog, cseq(&dialog.0)).await;
    assert_eq!((bye.uri(), bye.value(Name::Route)), (&*far.contact(), None));
}

#[tokio::test]
async fn the_next_of_the_route_gets_it_and_a_strict_one_as_it_likes() {
    let served = serve().await;
    let alice = Phone::registered("alice", &served).await;
    let (edge, next) = (Phone::new("edge", &served).await, Phone::new("next", &served).await);
    let far = "sip:far@far.example";
    let loose = format!("<{};lr>", next.contact());
    let dialog = call_out(&alice, &edge, far, &[&loose]).await;
    let bye = hangs_up(&alice, &next, &dialog, cseq(&dialog.0)).await;
    assert_eq!((bye.uri(), bye.value(Name::Route)), (far, Some(&*loose)));
    let strict = format!("<{}>", next.contact());
    let dialog = call_out(&alice, &edge, far, &[&strict]).await;
    let bye = hangs_up(&alice, &next, &dialog, cseq(&dialog.0)).await;
    assert_eq!((bye.uri(), bye.value(Name::Route)), (&*next.contact(), Some(&*format!("<{far}>"))));
}

/// A call from another domain that came by `edge` from `far`; bob takes it. The INVITE as bob got it.
async fn call_in(edge: &Phone, far: &Phone, bob: &Phone) -> Message {
    let mut call = edge.request("INVITE", &format!("sip:bob@{DOMAIN}"), &format!("sip:bob@{DOMAIN}"));
    call.set(Name::From, "<sip:far@far.example>;tag=far");
    call.set(Name::Contact, &format!("<{}>", far.contact()));
    edge.send(&call).await;
    let invite = bob.expect("INVITE").await;
    bob.respond(&invite, 200).await;
    edge.expect("200").await;
    invite
}

/// A request of the side that was called.
fn back(bob: &Phone, invite: &Message, method: &str) -> Message {
    let mut request = bob.request(method, invite.value(Name::Contact).unwrap().trim_matches(['<', '>']), "");
    request.push(Name::Route, &invite.elements(Name::RecordRoute).collect::<Vec<_>>().join(", "));
    request.set(Name::From, &format!("{};tag=bobtag", invite.value(Name::To).unwrap()));
    request.set(Name::To, invite.value(Name::From).unwrap());
    request.set(Name::CallId, invite.call_id());
    request
}

#[tokio::test]
async fn a_caller_behind_a_proxy_is_answered_where_it_is() {
    let served = serve().await;
    let bob = Phone::registered("bob", &served).await;
    let (edge, far) = (Phone::new("edge", &served).await, Phone::new("far", &served).await);
    let invite = call_in(&edge, &far, &bob).await;
    bob.send(&back(&bob, &invite, "BYE")).await;
    let bye = far.expect("BYE").await;
    far.respond(&bye, 200).await;
    bob.expect("200").await;
}

#[tokio::test]
async fn a_phone_that_names_another_port_is_there_from_then_on() {
    let served = serve().await;
    let (alice, bob) = (Phone::registered("alice", &served).await, Phone::registered("bob", &served).await);
    let other = Phone::new("bob", &served).await;
    let call = alice.request("INVITE", &format!("sip:bob@{DOMAIN}"), &format!("sip:bob@{DOMAIN}"));
    let ((answer, invite), ()) = tokio::join!(alice.ask_with(call, PASSWORD), async {
        let invite = bob.expect("INVITE").await;
        bob.send(&ok(&invite, &other.contact(), &[])).await;
    });
    let number = cseq(&invite);
    hangs_up(&alice, &other, &(invite, answer), number).await;
    rows(&served, 1).await;
}

#[tokio::test]
async fn a_phone_that_changed_its_network_in_a_call_is_reached_in_the_new_one() {
    for over_tcp in [true, false] {
        let served = serve().await;
        let phone = async || match over_tcp {
            true => Phone::over_tcp("bob", &served).await,
            false => Phone::new("bob", &served).await,
        };
        // Behind a NAT: what it says of itself is no address of here.
        let register = async |phone: &Phone, contact: &str| {
            let mut request = phone.request("REGISTER", &format!("sip:{DOMAIN}"), &phone.aor());
            request.set(Name::Contact, &format!("<{contact}>"));
            assert_eq!(phone.ask(request, PASSWORD).await.status(), 200);
        };
        let (alice, old) = (Phone::registered("alice", &served).await, phone().await);
        let (before, after) = ("sip:bob@10.255.0.1:5060", "sip:bob@10.255.0.2:5060");
        register(&old, before).await;
        let call = alice.request("INVITE", &format!("sip:bob@{DOMAIN}"), &format!("sip:bob@{DOMAIN}"));
        let ((answer, invite), incoming) = tokio::join!(alice.ask_with(call, PASSWORD), async {
            let incoming = old.expect("INVITE").await;
            old.send(&ok(&incoming, before, &[])).await;
            incoming
        });
        alice.send(&alice.in_dialog("ACK", cseq(&invite), &invite, &answer)).await;
        old.expect("ACK").await;
        drop(old);
        let new = phone().await;
        register(&new, after).await;
        let mut again = back(&new, &incoming, "INVITE");
        again.set(Name::From, &format!("{};tag=far", incoming.value(Name::To).unwrap()));
        again.set(Name::Contact, &format!("<{after}>"));
        new.send(&again).await;
        let refresh = alice.expect("INVITE").await;
        alice.respond(&refresh, 200).await;
        let fine = new.expect("200").await;
        assert_eq!(fine.status(), 200);
        let mut bye = alice.in_dialog("BYE", cseq(&invite) + 1, &invite, &answer);
        bye.set_uri(after);
        alice.send(&bye).await;
        let bye = new.expect("BYE").await;
        new.respond(&bye, 200).await;
        alice.expect("200").await;
        rows(&served, 1).await;
    }
}

#[tokio::test]
async fn a_caller_that_changed_its_network_in_a_call_is_reached_in_the_new_one() {
    for over_tcp in [true, false] {
        let served = serve().await;
        let phone = async || match over_tcp {
            true => Phone::over_tcp("alice", &served).await,
            false => Phone::new("alice", &served).await,
        };
        let register = async |phone: &Phone, contact: &str| {
            let mut request = phone.request("REGISTER", &format!("sip:{DOMAIN}"), &phone.aor());
            request.set(Name::Contact, &format!("<{contact}>"));
            assert_eq!(phone.ask(request, PASSWORD).await.status(), 200);
        };
        let (bob, old) = (Phone::registered("bob", &served).await, phone().await);
        let (before, after) = ("sip:alice@10.255.0.1:5060", "sip:alice@10.255.0.2:5060");
        register(&old, before).await;
        let mut call = old.request("INVITE", &format!("sip:bob@{DOMAIN}"), &format!("sip:bob@{DOMAIN}"));
        call.set(Name::Contact, &format!("<{before}>"));
        let ((answer, invite), incoming) = tokio::join!(old.ask_with(call, PASSWORD), async {
            let incoming = bob.expect("INVITE").await;
            bob.respond(&incoming, 200).await;
            incoming
        });
        old.send(&old.in_dialog("ACK", cseq(&invite), &invite, &answer)).await;
        bob.expect("ACK").await;
        drop(old);
        let new = phone().await;
        register(&new, after).await;
        let mut again = new.in_dialog("INVITE", cseq(&invite) + 1, &invite, &answer);
        again.set(Name::Contact, &format!("<{after}>"));
        new.send(&again).await;
        let refresh = bob.expect("INVITE").await;
        bob.respond(&refresh, 200).await;
        let fine = new.expect("200").await;
        new.send(&new.in_dialog("ACK", cseq(&again), &invite, &fine)).await;
        bob.expect("ACK").await;
        let mut bye = back(&bob, &incoming, "BYE");
        bye.set(Name::From, answer.value(Name::To).unwrap());
        bye.set_uri(after);
        bob.send(&bye).await;
        let bye = new.expect("BYE").await;
        new.respond(&bye, 200).await;
        bob.expect("200").await;
        rows(&served, 1).await;
    }
}

/// alice calls bob, who is on a connection that closes then, and said that he is at this address: what she hears to a re-INVITE that is
/// answered there with this.
async fn refused_where_bob_says_he_is(at: &Phone, served: &Served, status: u16) -> Message {
    let (alice, bob) = (Phone::registered("alice", served).await, Phone::over_tcp("bob", served).await);
    assert_eq!(bob.register("3600").await.status(), 200);
    let call = alice.request("INVITE", &format!("sip:bob@{DOMAIN}"), &format!("sip:bob@{DOMAIN}"));
    let ((answer, invite), ()) = tokio::join!(alice.ask_with(call, PASSWORD), async {
        let incoming = bob.expect("INVITE").await;
        bob.send(&ok(&incoming, &at.contact(), &[])).await;
    });
    drop(bob);
    let mut number = cseq(&invite);
    loop {
        number += 1;
        // Until the server knows that it is closed.
        alice.send(&alice.in_dialog("INVITE", number, &invite, &answer)).await;
        let Ok(asked) = timeout(Duration::from_millis(500), at.receive()).await else { continue };
        at.respond(&asked, status).await;
        if status >= 300 {
            at.expect("ACK").await;
        }
        loop {
            let heard = alice.receive().await;
            if cseq(&heard) == number {
                return heard;
            }
        }
    }
}

#[tokio::test]
async fn a_refusal_of_whoever_is_where_a_lost_phone_says_it_is_ends_no_call() {
    let served = serve().await;
    let elsewhere = UdpSocket::bind("127.0.0.2:0").await.unwrap();
    let stranger = Phone::over("s", &served, Line::Udp(elsewhere));
    for status in [481, 408, 404] {
        assert_eq!(refused_where_bob_says_he_is(&stranger, &served, status).await.status(), 430);
    }
    let taken = refused_where_bob_says_he_is(&stranger, &served, 200).await;
    assert_eq!(taken.status(), 200, "who takes it is bob");
    // From its own host it is the phone's own word.
    let restarted = Phone::new("bob", &served).await;
    for status in [481, 408] {
        assert_eq!(refused_where_bob_says_he_is(&restarted, &served, status).await.status(), status);
    }
}

/// So many calls are over, with their rows.
async fn rows(served: &Served, count: usize) {
    let all = async {
        while served.store.archive.page("calls", &shared_store::Query::default()).await.unwrap().entries.len()
            < count
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(crate::common::PATIENCE, all).await.expect("the call has no row");
}

#[tokio::test]
async fn a_stranger_sends_nobody_else_anything_through_us() {
    let served = serve().await;
    let bob = Phone::registered("bob", &served).await;
    let stranger = Phone::new("s", &served).await;
    // Not on the callee's host, another port of which may be the callee's.
    let elsewhere = UdpSocket::bind("127.0.0.2:0").await.unwrap();
    let victim = Phone::over("v", &served, Line::Udp(elsewhere));
    let invite = call_in(&stranger, &stranger, &bob).await;
    // Whoever calls sees both of our entries, and may turn them round or leave one out.
    let routes: Vec<&str> = invite.elements(Name::RecordRoute).collect();
    let orders = [&[1][..], &[0, 1], &[1, 0], &[1, 1]];
    for route in orders.map(|order| order.iter().map(|at| routes[*at]).collect::<Vec<_>>().join(", ")) {
        let mut request = stranger.request("INFO", &victim.contact(), "");
        request.push(Name::Route, &route);
        request.set(Name::From, invite.value(Name::From).unwrap());
        request.set(Name::To, &format!("{};tag=bobtag", invite.value(Name::To).unwrap()));
        request.set(Name::CallId, invite.call_id());
        stranger.send(&request).await;
        let heard = timeout(Duration::from_millis(150), victim.receive()).await;
        assert!(heard.is_err(), "{route}: {heard:?}");
    }
}

/// Another domain's server that opened a TLS connection: what it records is an address, which no certificate names.
#[tokio::test]
async fn a_server_that_came_by_tls_is_answered_along_its_connection_and_sees_our_name() {
    let served = serve().await;
    let bob = Phone::registered("bob", &served).await;
    let line = Line::tls(served.server.bound().tls[0], served.roots.clone(), None).await;
    let edge = Phone::over("edge", &served, line);
    let uri = format!("sip:bob@{DOMAIN}");
    let mut call = edge.request("INVITE", &uri, &uri);
    call.set(Name::From, "<sip:far@far.example>;tag=far");
    // It listens elsewhere.
    let recorded = format!("<sip:{};transport=tls;lr>", Phone::alone("door").await.address());
    call.push(Name::RecordRoute, &recorded);
    edge.send(&call).await;
    let invite = bob.expect("INVITE").await;
    bob.respond(&invite, 200).await;
    let answer = edge.expect("200").await;
    let ours: Vec<&str> = answer.elements(Name::RecordRoute).filter(|route| *route != recorded).collect();
    assert!(ours[1].ends_with(&format!("@{DOMAIN};transport=tls;lr>")), "{ours:?}");
    assert!(!ours[0].contains(DOMAIN), "bob's phone knows an address: {ours:?}");
    bob.send(&back(&bob, &invite, "BYE")).await;
    let bye = edge.expect("BYE").await;
    edge.respond(&bye, 200).await;
    bob.expect("200").await;
    // What it sends by the name comes here.
    let mut update = edge.request("INFO", &bob.contact(), &uri);
    update.set(Name::CallId, call.call_id());
    update.set(Name::From, "<sip:far@far.example>;tag=far");
    update.set(Name::To, answer.value(Name::To).unwrap());
    for route in ours.iter().rev() {
        update.push(Name::Route, route);
    }
    edge.send(&update).await;
    bob.expect("INFO").await;
}

#[tokio::test]
async fn our_name_in_a_route_is_written_as_every_server_reads_it() {
    let (domain, written) = ("münchen.example", "xn--mnchen-3ya.example");
    let served = serve_domain(domain, Store::in_memory()).await;
    let (aor, jid) = (Aor::new("bob", domain).unwrap(), BareJid::new("bob", domain).unwrap());
    let bobs = NewAccount { aor, jid, profile: Profile::default() };
    served.auth.book.create(bobs, PASSWORD).await.unwrap();
    let mut bob = Phone::new("bob", &served).await;
    bob.domain = written;
    assert_eq!(bob.register("600").await.status(), 200);
    let line = Line::tls(served.server.bound().tls[0], served.roots.clone(), None).await;
    let edge = Phone::over("edge", &served, line);
    let uri = format!("sip:bob@{written}");
    let mut call = edge.request("INVITE", &uri, &uri);
    call.set(Name::From, "<sip:far@far.example>;tag=far");
    edge.send(&call).await;
    let invite = bob.expect("INVITE").await;
    bob.respond(&invite, 200).await;
    let answer = edge.expect("200").await;
    let ours: Vec<&str> = answer.elements(Name::RecordRoute).collect();
    assert!(ours[1].ends_with(&format!("@{written};transport=tls;lr>")), "{ours:?}");
}
