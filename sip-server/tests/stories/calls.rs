//! Calls over real sockets (RFC 3261 §16), and who is announced to whom (RFC 7081 §3.5).

use std::time::Duration;

use crate::common::{Behind, DOMAIN, Line, PASSWORD, Phone, new_folder, serve, serve_with, start_with};
use crate::dns::Dns;
use shared_model::{AccountId, Aor, FoundBy, Pending, Unavailable, Visibility};
use shared_store::Store;
use sip_core::Message;
use sip_core::header::Name;
use sip_server::{Config, TimerConfig};

fn to(name: &str) -> String {
    format!("sip:{name}@{DOMAIN}")
}

fn invite(from: &Phone, callee: &str) -> Message {
    from.request("INVITE", &to(callee), &to(callee))
}

#[tokio::test]
async fn a_call_rings_is_answered_and_ends() {
    let served = serve().await;
    let (alice, bob) = (Phone::new("alice", &served).await, Phone::registered("bob", &served).await);
    let call = async { alice.ask_with(invite(&alice, "bob"), PASSWORD).await };
    let answer = async {
        let incoming = bob.expect("INVITE").await;
        bob.respond(&incoming, 180).await;
        incoming
    };
    let ((ringing, sent), incoming) = tokio::join!(call, answer);
    assert_eq!(ringing.status(), 180);
    assert_eq!(incoming.uri(), bob.contact());
    assert_eq!(incoming.value(Name::MaxForwards), Some("69"));
    assert_eq!(incoming.elements(Name::RecordRoute).count(), 2);
    bob.respond(&incoming, 200).await;
    let ok = alice.expect("200").await;

    let in_dialog = |method: &str, number: u32| {
        let mut request = Message::request(method, ok.value(Name::Contact).unwrap().trim_matches(['<', '>']));
        let via = sent.value(Name::Via).unwrap().replace("z9hG4bK", &format!("z9hG4bK{method}"));
        request.push(Name::Via, &via);
        let mut routes: Vec<&str> = ok.elements(Name::RecordRoute).collect();
        routes.reverse();
        request.push(Name::Route, &routes.join(", "));
        request.push(Name::From, sent.value(Name::From).unwrap());
        request.push(Name::To, ok.value(Name::To).unwrap());
        request.push(Name::CallId, sent.call_id());
        request.push(Name::CSeq, &format!("{number} {method}"));
        request
    };
    alice.send(&in_dialog("ACK", sent.cseq().unwrap().0)).await;
    let ack = bob.expect("ACK").await;
    assert_eq!(ack.elements(Name::Route).count(), 0, "both routes were ours");
    alice.send(&in_dialog("BYE", 9_000)).await;
    let bye = bob.expect("BYE").await;
    bob.respond(&bye, 200).await;
    assert_eq!(alice.expect("200").await.cseq().unwrap().1, "BYE");
}

#[tokio::test]
async fn the_proven_caller_is_announced_and_a_forged_claim_is_not() {
    let served = serve().await;
    let (alice, bob) = (Phone::new("alice", &served).await, Phone::registered("bob", &served).await);
    let mut call = invite(&alice, "bob");
    call.push(Name::CallInfo, "<xmpp:carol.chat@example.org>;purpose=impp");
    call.push(Name::PAssertedIdentity, "<sip:carol@example.org>");
    let asked = alice.ask(call, PASSWORD);
    let answered = async {
        let incoming = bob.expect("INVITE").await;
        bob.respond(&incoming, 486).await;
        incoming
    };
    let (refused, incoming) = tokio::join!(asked, answered);
    assert_eq!(refused.status(), 486);
    let told: Vec<&str> = incoming.values(Name::CallInfo).collect();
    assert_eq!(told, ["<xmpp:alice.chat@example.org>;purpose=impp"]);
    assert_eq!(incoming.value(Name::PAssertedIdentity), Some("<sip:alice@example.org>"));
    assert!(incoming.value(Name::ProxyAuthorization).is_none(), "credentials for us stay with us");
}

#[tokio::test]
async fn who_hides_and_who_is_not_proven_is_not_announced() {
    let served = serve().await;
    let (alice, bob) = (Phone::new("alice", &served).await, Phone::registered("bob", &served).await);
    let mut hidden = invite(&alice, "bob");
    hidden.push(Name::Privacy, "id");
    let (_, incoming) = tokio::join!(alice.ask(hidden, PASSWORD), async {
        let incoming = bob.expect("INVITE").await;
        bob.respond(&incoming, 486).await;
        bob.expect("ACK").await;
        incoming
    });
    assert!(incoming.value(Name::CallInfo).is_none() && incoming.value(Name::PAssertedIdentity).is_none());

    let mut foreign = invite(&alice, "bob");
    foreign.set(Name::From, "<sip:someone@elsewhere.example>;tag=1");
    foreign.push(Name::CallInfo, "<xmpp:alice.chat@example.org>;purpose=impp");
    alice.send(&foreign).await;
    let incoming = bob.expect("INVITE").await;
    assert!(incoming.value(Name::CallInfo).is_none());
}

#[tokio::test]
async fn all_phones_ring_and_the_losers_are_cancelled() {
    let served = serve().await;
    let alice = Phone::new("alice", &served).await;
    let (desk, mobile) = (Phone::registered("bob", &served).await, Phone::registered("bob", &served).await);
    let asked = alice.ask(invite(&alice, "bob"), PASSWORD);
    let story = async {
        let (at_desk, at_mobile) = (desk.expect("INVITE").await, mobile.expect("INVITE").await);
        desk.respond(&at_desk, 180).await;
        mobile.respond(&at_mobile, 200).await;
        let cancel = desk.expect("CANCEL").await;
        desk.respond(&cancel, 200).await;
        desk.respond(&at_desk, 487).await;
        desk.expect("ACK").await;
    };
    let (first, ()) = tokio::join!(asked, story);
    let last = if first.status() == 180 { alice.receive().await } else { first };
    assert_eq!(last.status(), 200);
}

#[tokio::test]
async fn a_caller_who_gives_up_ends_the_ringing() {
    let served = serve().await;
    let (alice, bob) = (Phone::new("alice", &served).await, Phone::registered("bob", &served).await);
    let ((ringing, sent), incoming) = tokio::join!(alice.ask_with(invite(&alice, "bob"), PASSWORD), async {
        let incoming = bob.expect("INVITE").await;
        bob.respond(&incoming, 180).await;
        incoming
    });
    assert_eq!(ringing.status(), 180);
    alice.send(&Message::cancel(&sent)).await;
    assert_eq!(alice.expect("200").await.cseq().unwrap().1, "CANCEL");
    let cancel = bob.expect("CANCEL").await;
    bob.respond(&cancel, 200).await;
    bob.respond(&incoming, 487).await;
    alice.expect("487").await;
}

#[tokio::test]
async fn nobody_speaks_for_others_and_nothing_is_relayed_for_strangers() {
    let served = serve().await;
    let alice = Phone::new("alice", &served).await;
    let mut forged = invite(&alice, "bob");
    forged.set(Name::From, "<sip:bob@example.org>;tag=1");
    assert_eq!(alice.ask(forged, PASSWORD).await.status(), 403);
    let mut relay = alice.request("INVITE", "sip:victim@192.0.2.1", "sip:victim@192.0.2.1");
    relay.set(Name::From, "<sip:someone@elsewhere.example>;tag=1");
    alice.send(&relay).await;
    alice.expect("403").await;
    assert_eq!(alice.ask(invite(&alice, "nobody"), PASSWORD).await.status(), 404);
    assert_eq!(alice.ask(invite(&alice, "bob"), PASSWORD).await.status(), 480);
    let message = alice.request("MESSAGE", &to("bob"), &to("bob"));
    let refused = alice.ask(message, PASSWORD).await;
    assert_eq!((refused.status(), refused.reason()), (405, "Write To bob.chat@example.org"));
    assert_eq!(refused.value(Name::CallInfo), Some("<xmpp:bob.chat@example.org>;purpose=impp"));
    let mut abroad = invite(&alice, "bob");
    abroad.set(Name::From, "<sip:ceo@bank.example>;tag=1");
    let (challenge, sent) = (alice.ask(invite(&alice, "nobody"), PASSWORD).await, abroad);
    assert_eq!(challenge.status(), 404);
    assert_eq!(alice.ask_proving(sent, PASSWORD).await.status(), 403, "a user of ours with another's From");
    let mut own_number = invite(&alice, "nobody");
    own_number.set(Name::From, "<sip:+15550197@example.org>;tag=1");
    assert_eq!(alice.ask(own_number, PASSWORD).await.status(), 404, "her own number is hers");
}

#[tokio::test]
async fn a_number_reaches_its_account() {
    let served = serve().await;
    let (alice, bob) = (Phone::new("alice", &served).await, Phone::registered("bob", &served).await);
    let call = alice.request("INVITE", "sip:+15550198@example.org", "sip:+15550198@example.org");
    let (_, incoming) = tokio::join!(alice.ask(call, PASSWORD), async {
        let incoming = bob.expect("INVITE").await;
        bob.respond(&incoming, 486).await;
        incoming
    });
    assert_eq!(incoming.uri(), bob.contact());
}

#[tokio::test]
async fn a_malformed_request_is_answered_with_its_fault_and_the_next_is_served() {
    let served = serve().await;
    let alice = Phone::new("alice", &served).await;
    let mut broken = alice.request("OPTIONS", &format!("sip:{DOMAIN}"), &format!("sip:{DOMAIN}"));
    broken.remove(Name::CSeq);
    alice.send(&broken).await;
    assert_eq!(alice.expect("400").await.reason(), "Missing CSeq");
    alice.send_text(&[0xff; 2_000]).await;
    alice.send(&alice.request("OPTIONS", &format!("sip:{DOMAIN}"), &format!("sip:{DOMAIN}"))).await;
    alice.expect("200").await;
    let mut demanding = alice.request("OPTIONS", &format!("sip:{DOMAIN}"), &format!("sip:{DOMAIN}"));
    demanding.push_other("Require", "nothing-known");
    alice.send(&demanding).await;
    assert_eq!(alice.expect("420").await.value(Name::Unsupported), Some("nothing-known"));
    let mut tired = alice.request("OPTIONS", &to("bob"), &to("bob"));
    tired.set(Name::MaxForwards, "0");
    alice.send(&tired).await;
    alice.expect("483").await;
}

#[tokio::test]
async fn who_does_not_want_to_be_called_is_not_rung() {
    let served = serve().await;
    let (alice, bob) = (Phone::new("alice", &served).await, Phone::registered("bob", &served).await);
    let carol = Phone::registered("carol", &served).await;
    let busy = alice.ask(invite(&alice, "carol"), PASSWORD).await;
    assert_eq!((busy.status(), busy.reason()), (486, "Do Not Disturb"));
    assert_eq!(carol.ask(invite(&carol, "bob"), PASSWORD).await.status(), 603);
    // What rings is another's call.
    let (refused, ()) = tokio::join!(alice.ask(invite(&alice, "bob"), PASSWORD), async {
        let incoming = bob.expect("INVITE").await;
        bob.respond(&incoming, 480).await;
    });
    assert_eq!(refused.status(), 480);
}

#[tokio::test]
async fn too_many_requests_are_refused_at_once_and_served_again_later() {
    let served = serve_with(Config { requests: 1, ..Config::default() }).await;
    let (alice, bob) = (Phone::new("alice", &served).await, Phone::registered("bob", &served).await);
    let (ringing, incoming) = tokio::join!(alice.ask(invite(&alice, "bob"), PASSWORD), async {
        let incoming = bob.expect("INVITE").await;
        bob.respond(&incoming, 180).await;
        incoming
    });
    assert_eq!(ringing.status(), 180);
    let options = || bob.request("OPTIONS", &format!("sip:{DOMAIN}"), &format!("sip:{DOMAIN}"));
    bob.send(&options()).await;
    assert_eq!(bob.expect("503").await.value(Name::RetryAfter), Some("5"));
    bob.respond(&incoming, 486).await;
    bob.expect("ACK").await;
    alice.expect("486").await;
    // The place is given back when the call's task has ended, a moment after its answer.
    let mut last = 503;
    for _ in 0..100 {
        bob.send(&options()).await;
        last = bob.receive().await.status();
        if last == 200 {
            break;
        }
    }
    assert_eq!(last, 200);
}

#[tokio::test]
async fn a_call_that_is_up_ends_though_nothing_begins_any_more() {
    let served = serve_with(Config { requests: 8, ..Config::default() }).await;
    let (alice, bob) = (Phone::new("alice", &served).await, Phone::registered("bob", &served).await);
    let ((ok, sent), ()) = tokio::join!(alice.ask_with(invite(&alice, "bob"), PASSWORD), async {
        let incoming = bob.expect("INVITE").await;
        bob.respond(&incoming, 200).await;
    });
    alice.send(&alice.in_dialog("ACK", sent.cseq().unwrap().0, &sent, &ok)).await;
    bob.expect("ACK").await;
    // Calls ring until no more may.
    let mut ringing = Vec::new();
    loop {
        let another = Phone::new("alice", &served).await;
        let status = {
            let mut asked = std::pin::pin!(another.ask(invite(&another, "bob"), PASSWORD));
            loop {
                tokio::select! {
                    answer = &mut asked => break answer.status(),
                    incoming = bob.expect("INVITE") => bob.respond(&incoming, 180).await,
                }
            }
        };
        if status == 503 {
            break;
        }
        assert_eq!(status, 180);
        ringing.push(another);
    }
    assert!((4..=7).contains(&ringing.len()), "{}", ringing.len());
    alice.send(&alice.in_dialog("BYE", 9_000, &sent, &ok)).await;
    let bye = bob.expect("BYE").await;
    bob.respond(&bye, 200).await;
    alice.expect("200").await;
}

#[tokio::test]
async fn who_calls_a_sips_uri_stays_on_tls() {
    let served = serve().await;
    let phone = async |name| {
        let line = Line::tls(served.server.bound().tls[0], served.roots.clone(), None).await;
        Phone::over(name, &served, line)
    };
    let (alice, bob) = (phone("alice").await, phone("bob").await);
    let mut register = bob.request("REGISTER", &format!("sips:{DOMAIN}"), &bob.aor());
    register.set(Name::Contact, &format!("<sips:bob@{}>", bob.line.local()));
    assert_eq!(bob.ask(register, PASSWORD).await.status(), 200);
    let uri = format!("sips:bob@{DOMAIN}");
    let (answer, routes) = tokio::join!(alice.ask(alice.request("INVITE", &uri, &uri), PASSWORD), async {
        let incoming = bob.expect("INVITE").await;
        bob.respond(&incoming, 486).await;
        incoming.elements(Name::RecordRoute).map(str::to_owned).collect::<Vec<_>>()
    });
    assert_eq!(answer.status(), 486);
    assert!(routes.len() == 2 && routes.iter().all(|route| route.starts_with("<sips:")), "{routes:?}");
}

#[tokio::test]
async fn privacy_may_be_required_and_what_goes_on_has_its_breadth() {
    let served = serve().await;
    let (alice, bob) = (Phone::new("alice", &served).await, Phone::registered("bob", &served).await);
    let mut call = invite(&alice, "bob");
    call.push(Name::Privacy, "id");
    call.push(Name::ProxyRequire, "privacy");
    let (refused, ()) = tokio::join!(alice.ask(call, PASSWORD), async {
        let incoming = bob.expect("INVITE").await;
        assert_eq!(incoming.value(Name::ProxyRequire), None, "RFC 3323 §5: it is done");
        assert_eq!(incoming.values(Name::MaxBreadth).count(), 1, "RFC 5393 §5.3.3");
        bob.respond(&incoming, 486).await;
    });
    assert_eq!(refused.status(), 486);
    let mut strange = invite(&alice, "bob");
    strange.push(Name::ProxyRequire, "privacy, magic");
    let refused = alice.ask(strange, PASSWORD).await;
    assert_eq!((refused.status(), refused.value(Name::Unsupported)), (420, Some("magic")));
}

#[tokio::test]
async fn who_asks_for_us_needs_no_further_hop() {
    let served = serve().await;
    let alice = Phone::new("alice", &served).await;
    let (ours, bobs) = (format!("sip:{DOMAIN}"), to("bob"));
    for (uri, status) in [(ours, 200), (bobs, 483)] {
        let mut options = alice.request("OPTIONS", &uri, &uri);
        options.set(Name::MaxForwards, "0");
        let answer = alice.ask(options, PASSWORD).await;
        assert_eq!(answer.status(), status, "{uri}");
        assert!(status != 200 || answer.value(Name::Accept).is_some(), "§11.2");
    }
}

#[tokio::test]
async fn an_answer_that_comes_again_is_heard_as_the_first_time() {
    let served = serve().await;
    let (alice, bob) = (Phone::new("alice", &served).await, Phone::registered("bob", &served).await);
    let (first, answer) = tokio::join!(alice.ask(invite(&alice, "bob"), PASSWORD), async {
        let incoming = bob.expect("INVITE").await;
        let mut answer = Message::response(&incoming, 200, "");
        for route in incoming.values(Name::RecordRoute) {
            answer.push(Name::RecordRoute, route);
        }
        answer.push(Name::Contact, &format!("<{}>", bob.contact()));
        answer.push(Name::PAssertedIdentity, "<sip:carol@example.org>");
        bob.send(&answer).await;
        answer
    });
    assert_eq!(first.status(), 200);
    assert!(first.values(Name::PAssertedIdentity).all(|asserted| !asserted.contains("carol")));
    bob.send(&answer).await;
    let again = alice.expect("200").await;
    assert_eq!(again.to_bytes(), first.to_bytes());
}

#[tokio::test]
async fn a_phone_that_is_gone_is_not_waited_for() {
    let served = serve().await;
    let (alice, bob) = (Phone::new("alice", &served).await, Phone::registered("bob", &served).await);
    drop(bob);
    assert_eq!(alice.ask(invite(&alice, "bob"), PASSWORD).await.status(), 480);
    // Another that rings is waited for.
    let desk = Phone::registered("bob", &served).await;
    let (ringing, ()) = tokio::join!(alice.ask(invite(&alice, "bob"), PASSWORD), async {
        let incoming = desk.expect("INVITE").await;
        desk.respond(&incoming, 180).await;
        desk.respond(&incoming, 486).await;
    });
    assert_eq!(ringing.status(), 180);
    alice.expect("486").await;
}

#[tokio::test]
async fn a_server_that_is_gone_or_silent_or_takes_nothing_is_followed_by_the_next() {
    for first_does in ["refuse", "say nothing", "be gone"] {
        let dns = Dns::start().await;
        let timers = TimerConfig { b: Duration::from_millis(700), ..TimerConfig::default() };
        let served = serve_with(Config { dns: vec![dns.address], timers, ..Config::default() }).await;
        let (first, next) = (Phone::new("far", &served).await, Phone::new("far", &served).await);
        for (priority, phone) in [(1, &first), (2, &next)] {
            dns.srv("_sip._udp.far.example", priority, 0, phone.address().port(), "a.far.example");
        }
        dns.host("a.far.example", "127.0.0.1");
        let alice = Phone::new("alice", &served).await;
        let call = alice.request("INVITE", "sip:far@far.example", "sip:far@far.example");
        let (answer, ()) = tokio::join!(alice.ask(call, PASSWORD), async {
            match first_does {
                "refuse" => {
                    let incoming = first.expect("INVITE").await;
                    first.respond(&incoming, 503).await;
                    first.expect("ACK").await;
                }
                "say nothing" => std::mem::forget(first),
                _ => drop(first),
            }
            let incoming = next.expect("INVITE").await;
            next.respond(&incoming, 200).await;
        });
        assert_eq!(answer.status(), 200, "{first_does}");
    }
}

/// §21.4.1: a Route that cannot be followed is the sender's fault, and is named.
#[tokio::test]
async fn a_route_that_cannot_be_read_is_named() {
    let served = serve().await;
    let alice = Phone::new("alice", &served).await;
    for (route, reason) in [("banana", "Bad Route"), ("<foo:bar;lr>", "Bad Route"), ("<sip:>", "Bad Route")] {
        let uri = format!("sip:bob@{DOMAIN}");
        let mut call = alice.request("INVITE", &uri, &uri);
        call.push(Name::Route, route);
        let refused = alice.ask(call, PASSWORD).await;
        assert_eq!((refused.status(), refused.reason()), (400, reason), "{route}");
    }
}

/// Bob is found by nobody, and others by whoever wants.
struct ShyBob;

impl Visibility for ShyBob {
    fn found_by<'a>(&'a self, _: AccountId, aor: &'a Aor) -> Pending<'a, Result<FoundBy, Unavailable>> {
        let by = if aor.local() == "bob" { FoundBy::Nobody } else { FoundBy::Domain };
        Box::pin(async move { Ok(by) })
    }
}

/// S-29: who writes to numbers and names hears of no JID that a search would not show.
#[tokio::test]
async fn who_is_found_by_nobody_is_not_named_to_who_writes() {
    let behind = Behind { visibility: Some(std::sync::Arc::new(ShyBob)), ..Behind::default() };
    let served = start_with(DOMAIN, Store::in_memory(), new_folder(), Config::default(), behind).await;
    served.populate().await;
    let alice = Phone::new("alice", &served).await;
    for (whom, reason) in [
        ("bob", "Use XMPP For Messages And Presence"),
        ("+15550198", "Use XMPP For Messages And Presence"),
        ("carol", "Write To carol.chat@example.org"),
        ("alice", "Write To alice.chat@example.org"),
    ] {
        let refused = alice.ask(alice.request("MESSAGE", &to(whom), &to(whom)), PASSWORD).await;
        assert_eq!((refused.status(), refused.reason()), (405, reason), "{whom}");
        assert_eq!(refused.value(Name::CallInfo).is_some(), reason.starts_with("Write"), "{whom}");
    }
}

/// re-INVITEs name their side where the operator wants it, and nobody who hid when the call began.
#[tokio::test]
async fn a_reinvite_names_its_side_where_that_is_wanted() {
    for (is_wanted, privacy) in [(false, None), (true, None), (true, Some("id"))] {
        let served = serve_with(Config { call_info_in_dialog: is_wanted, ..Config::default() }).await;
        let (alice, bob) = (Phone::new("alice", &served).await, Phone::registered("bob", &served).await);
        let mut call = invite(&alice, "bob");
        privacy.into_iter().for_each(|value| call.push(Name::Privacy, value));
        let ((ok, sent), incoming) = tokio::join!(alice.ask_with(call, PASSWORD), async {
            let incoming = bob.expect("INVITE").await;
            bob.respond(&incoming, 200).await;
            incoming
        });
        let number = sent.cseq().unwrap().0;
        alice.send(&alice.in_dialog("ACK", number, &sent, &ok)).await;
        bob.expect("ACK").await;
        let mut again = alice.in_dialog("INVITE", number + 1, &sent, &ok);
        again.push(Name::CallInfo, "<xmpp:carol.chat@example.org>;purpose=impp");
        alice.send(&again).await;
        let again = bob.expect("INVITE").await;
        let told: Vec<&str> = again.values(Name::CallInfo).collect();
        let expected = match is_wanted && privacy.is_none() {
            true => vec!["<xmpp:alice.chat@example.org>;purpose=impp"],
            false => Vec::new(),
        };
        assert_eq!(told, expected, "{is_wanted} {privacy:?}");
        bob.respond(&again, 200).await;
        alice.expect("200").await;
        // And the other way round.
        let mut back = bob.request("INVITE", &alice.contact(), "");
        back.set(Name::From, ok.value(Name::To).unwrap());
        back.set(Name::To, incoming.value(Name::From).unwrap());
        back.set(Name::CallId, incoming.call_id());
        let routes: Vec<&str> = incoming.elements(Name::RecordRoute).collect();
        back.push(Name::Route, &routes.join(", "));
        bob.send(&back).await;
        let back = alice.receive().await;
        let back = if back.is_request() { back } else { alice.expect("INVITE").await };
        let expected = is_wanted.then_some("<xmpp:bob.chat@example.org>;purpose=impp");
        assert_eq!(back.values(Name::CallInfo).next(), expected, "{is_wanted} {privacy:?}");
    }
}
