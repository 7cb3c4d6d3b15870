//! Trunks over real sockets: a carrier that asks who we are, that is silent, that calls (RFC 3261 §10.2, §22.3, RFC 3325).

use std::time::Duration;

use crate::common::{DOMAIN, PASSWORD, Phone, Served, serve_with};
use crate::cost::rows;
use shared_auth::{DigestAlgorithm, DigestProof, Qop};
use shared_model::{CallEvent, Event};
use shared_runtime::bus::Heard;
use sip_core::Message;
use sip_core::header::{AuthParams, Name};
use sip_server::numbers::NumberConfig;
use sip_server::{CallerId, Config, TrunkConfig};

const SECRET: &str = "between us";
const NEVER: Duration = Duration::ZERO;

fn trunk(name: &str, carrier: &Phone) -> TrunkConfig {
    TrunkConfig {
        name: name.to_owned(),
        server: format!("sip:{}", carrier.address()),
        // Once, at the start.
        probe: Duration::from_secs(3_600),
        ..TrunkConfig::default()
    }
}

fn config(trunks: Vec<TrunkConfig>) -> Config {
    let numbers = NumberConfig { country: "33".to_owned(), ..NumberConfig::default() };
    Config { numbers, trunks, ..Config::default() }
}

/// A file with the password, which goes with the test.
struct Secret(std::path::PathBuf);

impl Secret {
    fn new() -> Self {
        let file = std::env::temp_dir().join(format!("cusax-trunk-{:016x}", shared_runtime::random()));
        std::fs::write(&file, format!("{SECRET}\n")).unwrap();
        Self(file)
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Answers the first probe; after it the carrier is known by its address.
async fn answer_probe(carrier: &mut Phone, served: &Served) {
    carrier.move_to(served);
    let probe = carrier.expect("OPTIONS").await;
    carrier.respond(&probe, 200).await;
    // What comes next is no answer to a probe any more: the server has read ours before it reads a request after it.
}

fn call(from: &Phone, dialled: &str) -> Message {
    let uri = format!("sip:{dialled}@{DOMAIN}");
    from.request("INVITE", &uri, &uri)
}

fn challenge(request: &Message, status: u16, nonce: &str) -> Message {
    let mut response = Message::response(request, status, "");
    let name = if status == 401 { Name::WwwAuthenticate } else { Name::ProxyAuthenticate };
    response
        .push(name, &format!("Digest realm=\"carrier\", nonce=\"{nonce}\", algorithm=SHA-256, qop=\"auth\""));
    response
}

/// The count of a request's credentials, which must be right.
fn proved(request: &Message, nonce: &str) -> String {
    let auth =
        request.value(Name::Authorization).or(request.value(Name::ProxyAuthorization)).expect("credentials");
    let auth = AuthParams::parse(auth).unwrap();
    let value = |name: &str| auth.value(name).unwrap().into_owned();
    let (cnonce, nc) = (value("cnonce"), value("nc"));
    assert_eq!(
        (value("nonce").as_str(), value("username").as_str(), value("uri").as_str()),
        (nonce, "us", request.uri())
    );
    let proof = DigestProof {
        username: "us".to_owned(),
        realm: "carrier".to_owned(),
        nonce: nonce.to_owned(),
        uri: request.uri().to_owned(),
        response: String::new(),
        algorithm: DigestAlgorithm::Sha256,
        qop: Some(Qop { cnonce, nc: nc.clone(), body: None }),
        method: request.method().to_owned(),
    };
    assert_eq!(value("response"), proof.answered(SECRET).response);
    nc
}

#[tokio::test]
async fn we_register_prove_who_we_are_and_refresh() {
    let (mut carrier, secret) = (Phone::alone("carrier").await, Secret::new());
    let ours = TrunkConfig {
        user: "us".to_owned(),
        password_file: Some(secret.0.clone()),
        register: true,
        probe: NEVER,
        ..trunk("carrier", &carrier)
    };
    let served = serve_with(config(vec![ours])).await;
    carrier.move_to(&served);
    let first = carrier.expect("REGISTER").await;
    carrier.send(&challenge(&first, 401, "n1")).await;
    let again = carrier.expect("REGISTER").await;
    assert_eq!(proved(&again, "n1"), "00000001");
    assert_eq!(again.call_id(), first.call_id());
    assert!(again.cseq().unwrap().0 > first.cseq().unwrap().0);
    let mut brief = Message::response(&again, 423, "");
    brief.push(Name::MinExpires, "7200");
    carrier.send(&brief).await;
    let longer = carrier.expect("REGISTER").await;
    assert_eq!(longer.value(Name::Expires), Some("7200"));
    let mut granted = Message::response(&longer, 200, "");
    granted.push(
        Name::Contact,
        &format!("<sip:other@192.0.2.1>;expires=7200, {};expires=1", longer.value(Name::Contact).unwrap()),
    );
    carrier.send(&granted).await;
    let refresh = carrier.expect("REGISTER").await;
    assert_eq!(proved(&refresh, "n1"), "00000003", "from the start, with the next count");
}

#[tokio::test]
async fn a_call_goes_out_with_our_credentials_and_the_callers_number() {
    let (mut carrier, secret) = (Phone::alone("carrier").await, Secret::new());
    let ours = TrunkConfig {
        user: "us".to_owned(),
        password_file: Some(secret.0.clone()),
        from: CallerId::Number,
        ..trunk("carrier", &carrier)
    };
    let served = serve_with(config(vec![ours])).await;
    answer_probe(&mut carrier, &served).await;
    let alice = Phone::new("alice", &served).await;
    let story = async {
        let asked = carrier.expect("INVITE").await;
        carrier.send(&challenge(&asked, 407, "n1")).await;
        carrier.expect("ACK").await;
        let invite = carrier.expect("INVITE").await;
        assert_eq!(proved(&invite, "n1"), "00000001");
        carrier.respond(&invite, 200).await;
        invite
    };
    let sent = call(&alice, "0140000000");
    let from = sent.value(Name::From).unwrap().to_owned();
    let ((ok, sent), invite) = tokio::join!(alice.ask_with(sent, PASSWORD), story);
    assert_eq!(invite.uri(), format!("sip:+33140000000@{};user=phone", carrier.address()));
    assert_eq!(invite.value(Name::PAssertedIdentity), Some("<sip:+15550197@example.org;user=phone>"));
    assert!(
        invite.value(Name::From).unwrap().starts_with("<sip:+15550197@127.0.0.1>;tag=alice"),
        "{invite:?}"
    );
    assert_eq!((ok.status(), ok.value(Name::From)), (200, Some(from.as_str())), "the caller sees their own");
    alice.send(&alice.in_dialog("ACK", sent.cseq().unwrap().0, &sent, &ok)).await;
    carrier.expect("ACK").await;
    // Inside the dialog the carrier may ask too, and is answered from the start.
    alice.send(&alice.in_dialog("BYE", 9_000, &sent, &ok)).await;
    let bye = carrier.expect("BYE").await;
    assert_eq!(proved(&bye, "n1"), "00000002");
    carrier.respond(&bye, 200).await;
    alice.expect("200").await;
}

fn number(message: &Message) -> u32 {
    message.cseq().unwrap().0
}

/// An answer that begins, or goes on with, the dialog of an INVITE.
fn answer(invite: &Message, status: u16, carrier: &Phone) -> Message {
    let mut response = Message::response(invite, status, "");
    response.ensure_to_tag("there");
    for route in invite.values(Name::RecordRoute) {
        response.push(Name::RecordRoute, route);
    }
    response.push(Name::Contact, &format!("<{}>", carrier.contact()));
    response
}

#[tokio::test]
async fn what_goes_with_credentials_is_counted_on_and_the_caller_sees_its_own_numbers() {
    let (mut carrier, secret) = (Phone::alone("carrier").await, Secret::new());
    let ours = TrunkConfig {
        user: "us".to_owned(),
        password_file: Some(secret.0.clone()),
        ..trunk("carrier", &carrier)
    };
    let served = serve_with(config(vec![ours])).await;
    answer_probe(&mut carrier, &served).await;
    let alice = Phone::new("alice", &served).await;
    let story = async {
        let asked = carrier.expect("INVITE").await;
        carrier.send(&challenge(&asked, 407, "n1")).await;
        carrier.expect("ACK").await;
        let invite = carrier.expect("INVITE").await;
        assert_eq!(number(&invite), number(&asked) + 1, "RFC 3261 §22.2");
        let mut early = answer(&invite, 183, &carrier);
        early.push(Name::Require, "100rel");
        early.push_other("RSeq", "7");
        carrier.send(&early).await;
        invite
    };
    let ((early, sent), invite) = tokio::join!(alice.ask_with(call(&alice, "0140000000"), PASSWORD), story);
    assert_eq!((early.status(), number(&early)), (183, number(&sent)));
    let mut prack = alice.in_dialog("PRACK", number(&sent) + 1, &sent, &early);
    prack.push_other("RAck", &format!("7 {} INVITE", number(&sent)));
    alice.send(&prack).await;
    let at_carrier = carrier.expect("PRACK").await;
    assert_eq!(number(&at_carrier), number(&prack) + 1);
    assert_eq!(at_carrier.other_values("RAck").next(), Some(&*format!("7 {} INVITE", number(&invite))));
    carrier.respond(&at_carrier, 200).await;
    assert_eq!(number(&alice.expect("200").await), number(&prack));
    carrier.send(&answer(&invite, 200, &carrier)).await;
    let ok = alice.expect("200").await;
    assert_eq!(number(&ok), number(&sent));
    // The same once more, whose ACK was lost.
    carrier.send(&answer(&invite, 200, &carrier)).await;
    assert_eq!(number(&alice.expect("200").await), number(&sent));
    alice.send(&alice.in_dialog("ACK", number(&sent), &sent, &ok)).await;
    assert_eq!(number(&carrier.expect("ACK").await), number(&invite));
    // Inside the dialog the carrier asks once more.
    let info = alice.in_dialog("INFO", number(&prack) + 1, &sent, &ok);
    alice.send(&info).await;
    let asked = carrier.expect("INFO").await;
    assert_eq!(number(&asked), number(&info) + 1);
    carrier.send(&challenge(&asked, 407, "n2")).await;
    let again = carrier.expect("INFO").await;
    assert_eq!((number(&again), proved(&again, "n2").as_str()), (number(&info) + 2, "00000001"));
    carrier.respond(&again, 200).await;
    assert_eq!(number(&alice.expect("200").await), number(&info));
    // What the carrier sends has its own numbers.
    let mut from_there =
        carrier.request("INFO", invite.value(Name::Contact).unwrap().trim_matches(['<', '>']), "");
    from_there.push(Name::Route, &invite.elements(Name::RecordRoute).collect::<Vec<_>>().join(", "));
    from_there.set(Name::From, ok.value(Name::To).unwrap());
    from_there.set(Name::To, sent.value(Name::From).unwrap());
    from_there.set(Name::CallId, sent.call_id());
    carrier.send(&from_there).await;
    let here = alice.expect("INFO").await;
    assert_eq!(number(&here), number(&from_there));
    alice.respond(&here, 200).await;
    carrier.expect("200").await;
    // A re-INVITE that is not asked for proof, since it has some: its ACK has its number.
    let refresh = alice.in_dialog("INVITE", number(&info) + 1, &sent, &ok);
    alice.send(&refresh).await;
    let refreshed = carrier.expect("INVITE").await;
    assert_eq!(number(&refreshed), number(&info) + 3);
    carrier.send(&answer(&refreshed, 200, &carrier)).await;
    alice.expect("200").await;
    alice.send(&alice.in_dialog("ACK", number(&refresh), &sent, &ok)).await;
    assert_eq!(number(&carrier.expect("ACK").await), number(&refreshed), "§13.2.2.4");
    alice.send(&alice.in_dialog("BYE", number(&info) + 2, &sent, &ok)).await;
    let bye = carrier.expect("BYE").await;
    assert_eq!(number(&bye), number(&info) + 4, "higher than all before");
    carrier.respond(&bye, 200).await;
    alice.expect("200").await;
}

#[tokio::test]
async fn what_was_counted_on_before_the_answer_counts_after_it() {
    let (mut carrier, secret) = (Phone::alone("carrier").await, Secret::new());
    let ours = TrunkConfig {
        user: "us".to_owned(),
        password_file: Some(secret.0.clone()),
        ..trunk("carrier", &carrier)
    };
    let served = serve_with(config(vec![ours])).await;
    answer_probe(&mut carrier, &served).await;
    let alice = Phone::new("alice", &served).await;
    let story = async {
        let invite = carrier.expect("INVITE").await;
        let mut early = answer(&invite, 183, &carrier);
        // Of another tag there is another dialog, with numbers of its own (RFC 3261 §12).
        early.set(Name::To, answer(&invite, 200, &carrier).value(Name::To).unwrap());
        early.push(Name::Require, "100rel");
        early.push_other("RSeq", "7");
        carrier.send(&early).await;
        invite
    };
    let ((early, sent), invite) = tokio::join!(alice.ask_with(call(&alice, "0140000000"), PASSWORD), story);
    // Of all requests it asks proof for the PRACK alone.
    let mut prack = alice.in_dialog("PRACK", number(&sent) + 1, &sent, &early);
    prack.push_other("RAck", &format!("7 {} INVITE", number(&sent)));
    alice.send(&prack).await;
    let asked = carrier.expect("PRACK").await;
    assert_eq!(number(&asked), number(&prack));
    carrier.send(&challenge(&asked, 407, "n1")).await;
    let proved = carrier.expect("PRACK").await;
    assert_eq!(number(&proved), number(&prack) + 1);
    assert_eq!(proved.other_values("RAck").next(), Some(&*format!("7 {} INVITE", number(&invite))));
    carrier.respond(&proved, 200).await;
    alice.expect("200").await;
    alice.send(&alice.in_dialog("UPDATE", number(&prack) + 1, &sent, &early)).await;
    let update = carrier.expect("UPDATE").await;
    assert_eq!(number(&update), number(&proved) + 1, "while it rings");
    carrier.respond(&update, 200).await;
    alice.expect("200").await;
    carrier.send(&answer(&invite, 200, &carrier)).await;
    let ok = alice.expect("200").await;
    alice.send(&alice.in_dialog("ACK", number(&sent), &sent, &ok)).await;
    assert_eq!(number(&carrier.expect("ACK").await), number(&invite), "the INVITE went as it came");
    alice.send(&alice.in_dialog("BYE", number(&prack) + 2, &sent, &ok)).await;
    let bye = carrier.expect("BYE").await;
    assert_eq!(number(&bye), number(&update) + 1, "when it was answered");
    carrier.respond(&bye, 200).await;
    alice.expect("200").await;
}

#[tokio::test]
async fn what_was_counted_on_inside_a_dialog_is_known_to_the_next_process() {
    let (mut carrier, secret) = (Phone::alone("carrier").await, Secret::new());
    let ours = TrunkConfig {
        user: "us".to_owned(),
        password_file: Some(secret.0.clone()),
        ..trunk("carrier", &carrier)
    };
    let served = serve_with(config(vec![ours.clone()])).await;
    answer_probe(&mut carrier, &served).await;
    let mut alice = Phone::new("alice", &served).await;
    let ((ok, sent), _) = tokio::join!(alice.ask_with(call(&alice, "0140000000"), PASSWORD), async {
        let asked = carrier.expect("INVITE").await;
        carrier.send(&challenge(&asked, 407, "n1")).await;
        carrier.expect("ACK").await;
        let invite = carrier.expect("INVITE").await;
        carrier.send(&answer(&invite, 200, &carrier)).await;
    });
    alice.send(&alice.in_dialog("ACK", number(&sent), &sent, &ok)).await;
    carrier.expect("ACK").await;
    // The carrier asks again for the re-INVITE, whose 2xx has its ACK from the next process.
    let again = alice.in_dialog("INVITE", number(&sent) + 1, &sent, &ok);
    alice.send(&again).await;
    let asked = carrier.expect("INVITE").await;
    carrier.send(&challenge(&asked, 407, "n2")).await;
    carrier.expect("ACK").await;
    let proved = carrier.expect("INVITE").await;
    assert_eq!(number(&proved), number(&again) + 2);
    carrier.send(&answer(&proved, 200, &carrier)).await;
    alice.expect("200").await;
    let served = served.restart_with(config(vec![ours])).await;
    answer_probe(&mut carrier, &served).await;
    alice.move_to(&served);
    alice.send(&alice.in_dialog("ACK", number(&again), &sent, &ok)).await;
    assert_eq!(number(&carrier.expect("ACK").await), number(&proved));
    alice.send(&alice.in_dialog("BYE", number(&again) + 1, &sent, &ok)).await;
    let bye = carrier.expect("BYE").await;
    assert_eq!(number(&bye), number(&proved) + 1, "higher than all before");
    // Asked by the next process, it is counted on there too.
    carrier.send(&challenge(&bye, 407, "n3")).await;
    let bye = carrier.expect("BYE").await;
    assert_eq!(number(&bye), number(&proved) + 2);
    carrier.respond(&bye, 200).await;
    alice.expect("200").await;
}

#[tokio::test]
async fn a_call_that_was_proved_is_cancelled_by_its_own_number() {
    let (mut carrier, secret) = (Phone::alone("carrier").await, Secret::new());
    let ours = TrunkConfig {
        user: "us".to_owned(),
        password_file: Some(secret.0.clone()),
        ..trunk("carrier", &carrier)
    };
    let served = serve_with(config(vec![ours])).await;
    answer_probe(&mut carrier, &served).await;
    let alice = Phone::new("alice", &served).await;
    let story = async {
        let asked = carrier.expect("INVITE").await;
        carrier.send(&challenge(&asked, 407, "n1")).await;
        carrier.expect("ACK").await;
        let invite = carrier.expect("INVITE").await;
        assert_eq!(number(&invite), number(&asked) + 1);
        carrier.send(&answer(&invite, 180, &carrier)).await;
        invite
    };
    let ((ringing, sent), invite) = tokio::join!(alice.ask_with(call(&alice, "0140000000"), PASSWORD), story);
    assert_eq!((ringing.status(), number(&ringing)), (180, number(&sent)));
    alice.send(&Message::cancel(&sent)).await;
    alice.expect("200").await;
    let cancel = carrier.expect("CANCEL").await;
    assert_eq!(number(&cancel), number(&invite));
    carrier.respond(&cancel, 200).await;
    carrier.send(&answer(&invite, 487, &carrier)).await;
    assert_eq!(number(&carrier.expect("ACK").await), number(&invite));
    let ended = alice.expect("487").await;
    assert_eq!(number(&ended), number(&sent));
}

#[tokio::test]
async fn a_carrier_that_does_not_take_us_is_not_the_callers_business() {
    let (mut carrier, secret) = (Phone::alone("carrier").await, Secret::new());
    let ours = TrunkConfig {
        user: "us".to_owned(),
        password_file: Some(secret.0.clone()),
        ..trunk("carrier", &carrier)
    };
    let served = serve_with(config(vec![ours])).await;
    answer_probe(&mut carrier, &served).await;
    let alice = Phone::new("alice", &served).await;
    let story = async {
        for nonce in ["n1", "n2"] {
            let asked = carrier.expect("INVITE").await;
            carrier.send(&challenge(&asked, 407, nonce)).await;
            carrier.expect("ACK").await;
        }
    };
    let (refused, ()) = tokio::join!(alice.ask(call(&alice, "0140000000"), PASSWORD), story);
    assert_eq!(refused.status(), 500, "no third attempt, and no challenge that the caller cannot answer");
}

#[tokio::test]
async fn the_next_trunk_takes_the_call_when_one_refuses_or_is_silent() {
    let (mut first, mut second) = (Phone::alone("first").await, Phone::alone("second").await);
    let quick = Duration::from_millis(200);
    let served = serve_with(config(vec![
        TrunkConfig { answer: quick, probe: NEVER, ..trunk("first", &first) },
        TrunkConfig { priority: 2, probe: NEVER, ..trunk("second", &second) },
    ]))
    .await;
    first.move_to(&served);
    second.move_to(&served);
    let alice = Phone::new("alice", &served).await;
    let refusing = async {
        let invite = first.expect("INVITE").await;
        first.respond(&invite, 503).await;
        first.expect("ACK").await;
        let invite = second.expect("INVITE").await;
        second.respond(&invite, 486).await;
        second.expect("ACK").await;
    };
    let mut facts = served.bus.subscribe();
    let (busy, ()) = tokio::join!(alice.ask(call(&alice, "0140000000"), PASSWORD), refusing);
    assert_eq!(busy.status(), 486);
    let row = rows(&served).await.remove(0);
    assert_eq!((row.trunk.as_deref(), row.status), (Some("second"), 486), "who was tried last");
    let reason = loop {
        let Some(Heard::Fact(fact)) = facts.next().await else { panic!("no facts") };
        if let Event::Call(CallEvent::Ended { reason, .. }) = fact.event {
            break reason.unwrap();
        }
    };
    assert_eq!(reason, "first: 503 Service Unavailable; second: 486 Busy Here");
    // One failure is an accident, so that it is asked again; this time it says nothing, but late.
    let silent = async {
        let at_first = first.expect("INVITE").await;
        let at_second = second.expect("INVITE").await;
        second.respond(&at_second, 180).await;
        first.respond(&at_first, 180).await;
        let cancel = loop {
            let message = first.receive().await;
            if message.method() == "CANCEL" {
                break message;
            }
        };
        first.respond(&cancel, 200).await;
        first.respond(&at_first, 487).await;
        second.respond(&at_second, 486).await;
    };
    let (ringing, ()) = tokio::join!(alice.ask(call(&alice, "0140000000"), PASSWORD), silent);
    assert_eq!(ringing.status(), 180);
}

#[tokio::test]
async fn a_trunk_that_answers_no_probe_is_tried_last() {
    let (mut first, mut second) = (Phone::alone("first").await, Phone::alone("second").await);
    let served = serve_with(config(vec![
        TrunkConfig { probe: Duration::from_millis(50), ..trunk("first", &first) },
        TrunkConfig { priority: 2, probe: NEVER, ..trunk("second", &second) },
    ]))
    .await;
    first.move_to(&served);
    second.move_to(&served);
    // The third probe is sent when the answer to the second was heard.
    for _ in 0..2 {
        let probe = first.expect("OPTIONS").await;
        first.respond(&probe, 503).await;
    }
    first.expect("OPTIONS").await;
    let alice = Phone::new("alice", &served).await;
    let story = async {
        let invite = second.expect("INVITE").await;
        second.respond(&invite, 486).await;
    };
    let (busy, ()) = tokio::join!(alice.ask(call(&alice, "0140000000"), PASSWORD), story);
    assert_eq!(busy.status(), 486);
}

#[tokio::test]
async fn a_call_comes_in_by_its_number_and_goes_nowhere_else() {
    let mut carrier = Phone::alone("carrier").await;
    let served = serve_with(config(vec![trunk("carrier", &carrier)])).await;
    answer_probe(&mut carrier, &served).await;
    let bob = Phone::registered("bob", &served).await;
    let incoming = |uri: &str| {
        let mut request = carrier.request("INVITE", uri, uri);
        request.set(Name::From, "<sip:+4930123456@carrier.example>;tag=c");
        request.push(Name::PAssertedIdentity, "<sip:+4930123456@carrier.example>, <sip:alice@example.org>");
        request
    };
    for uri in ["sip:+15550198@example.org", "sip:15550198@example.org;user=phone", "tel:+1-555-0198"] {
        let story = async {
            let invite = bob.expect("INVITE").await;
            bob.respond(&invite, 486).await;
            bob.expect("ACK").await;
            invite
        };
        carrier.send(&incoming(uri)).await;
        let invite = story.await;
        carrier.expect("486").await;
        assert_eq!(invite.value(Name::PAssertedIdentity), Some("<sip:+4930123456@carrier.example>"), "{uri}");
    }
    for (uri, status) in [
        ("sip:+33140000000@example.org", "404"),
        ("sip:112@example.org", "404"),
        ("sip:victim@192.0.2.1", "403"),
    ] {
        carrier.send(&incoming(uri)).await;
        carrier.expect(status).await;
    }
    let mut forged = incoming("sip:+15550198@example.org");
    for from in [
        "<sip:alice@example.org>",
        "<xmpp:alice@example.org>",
        "<sip:news@pubsub.example.org>",
        "<sip:alice@example.org\u{3002}>",
    ] {
        forged.set(Name::From, &format!("{from};tag=c"));
        carrier.send(&forged).await;
        carrier.expect("403").await;
    }
}

#[tokio::test]
async fn only_our_own_go_out_and_only_by_number() {
    let mut carrier = Phone::alone("carrier").await;
    let served = serve_with(config(vec![trunk("carrier", &carrier)])).await;
    answer_probe(&mut carrier, &served).await;
    let alice = Phone::new("alice", &served).await;
    let mut foreign = call(&alice, "+33140000000");
    foreign.set(Name::From, "<sip:someone@elsewhere.example>;tag=1");
    alice.send(&foreign).await;
    let refused = alice.expect("403").await;
    alice.send(&Message::ack(&foreign, &refused)).await;
    assert_eq!(refused.reason(), "No Relaying");
    let by_address = format!("sip:+33140000000@{}", carrier.address());
    let refused = alice.ask(alice.request("INVITE", &by_address, &by_address), PASSWORD).await;
    assert_eq!((refused.status(), refused.reason()), (403, "Dial The Number"));
    let mut by_route = call(&alice, "+33140000000");
    by_route.push(Name::Route, &format!("<sip:{};lr>", carrier.address()));
    assert_eq!(alice.ask(by_route, PASSWORD).await.status(), 403);
    let uri = format!("sip:+33140000000@{DOMAIN}");
    assert_eq!(alice.ask(alice.request("OPTIONS", &uri, &uri), PASSWORD).await.status(), 405);
    // A callee does not send a caller where they would pay.
    let bob = Phone::registered("bob", &served).await;
    let (passed, ()) = tokio::join!(alice.ask(call(&alice, "bob"), PASSWORD), async {
        let invite = bob.expect("INVITE").await;
        let mut moved = Message::response(&invite, 302, "");
        moved.push(Name::Contact, &format!("<{uri}>"));
        bob.send(&moved).await;
    });
    assert_eq!(passed.status(), 302);
    // Help is for everybody of ours, and is dialled as it is, however many passwords were wrong.
    for _ in 0..12 {
        alice.ask(call(&alice, "bob"), "an old password").await;
    }
    assert_eq!(alice.ask(call(&alice, "bob"), PASSWORD).await.reason(), "Too Many Failed Attempts");
    let (answered, ()) = tokio::join!(alice.ask(call(&alice, "112"), PASSWORD), async {
        let invite = carrier.expect("INVITE").await;
        assert_eq!(invite.uri(), format!("sip:112@{};user=phone", carrier.address()));
        carrier.respond(&invite, 200).await;
    });
    assert_eq!(answered.status(), 200);
    // Nor is that a way to guess: not without end, and not by another domain's 112.
    let mut last = String::new();
    for _ in 0..12 {
        last = alice.ask(call(&alice, "112"), "a guess").await.reason().to_owned();
    }
    assert_eq!(last, "Too Many Failed Attempts");
}
