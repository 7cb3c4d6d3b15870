//! The door over real sockets: rates, scanners, and guesses that count where failed logins do.

use crate::common::{DOMAIN, PASSWORD, Phone, serve, serve_with};
use shared_store::Expected;
use sip_core::Message;
use sip_core::header::Name;
use sip_server::numbers::NumberConfig;
use sip_server::{Config, GuardConfig, TrunkConfig};

/// More than a second's requests.
const AT_ONCE: usize = 60;

fn guarded(rate: u32) -> Config {
    Config { guard: GuardConfig { rate, exempt: Vec::new(), ..GuardConfig::default() }, ..Config::default() }
}

fn options(phone: &Phone) -> Message {
    let uri = format!("sip:{DOMAIN}");
    phone.request("OPTIONS", &uri, &uri)
}

#[tokio::test]
async fn a_source_that_asks_too_much_is_told_to_wait_and_its_calls_go_on() {
    let served = serve_with(guarded(20)).await;
    let (alice, bob) = (Phone::new("alice", &served).await, Phone::registered("bob", &served).await);
    let uri = format!("sip:bob@{DOMAIN}");
    let ((ok, sent), ()) =
        tokio::join!(alice.ask_with(alice.request("INVITE", &uri, &uri), PASSWORD), async {
            let invite = bob.expect("INVITE").await;
            bob.respond(&invite, 200).await;
        });
    alice.send(&alice.in_dialog("ACK", sent.cseq().unwrap().0, &sent, &ok)).await;
    bob.expect("ACK").await;
    for _ in 0..AT_ONCE {
        alice.send(&options(&alice)).await;
    }
    let mut refused = Vec::new();
    for _ in 0..AT_ONCE {
        refused.push(alice.receive().await);
    }
    refused.retain(|answer| answer.status() == 503);
    assert_eq!(refused.first().expect("a 503").value(Name::RetryAfter), Some("5"));
    alice.send(&alice.in_dialog("BYE", 9_000, &sent, &ok)).await;
    let bye = bob.expect("BYE").await;
    bob.respond(&bye, 200).await;
    assert_eq!(alice.expect("200").await.cseq().unwrap().1, "BYE");
}

#[tokio::test]
async fn scanners_and_guessers_are_throttled_and_challenges_count_nowhere() {
    let served = serve_with(guarded(0)).await;
    let alice = Phone::new("alice", &served).await;
    let uri = format!("sip:bob@{DOMAIN}");
    for _ in 0..30 {
        alice.send(&alice.request("OPTIONS", &uri, &uri)).await;
        alice.expect("407").await;
    }
    assert_eq!(alice.register("60").await.status(), 200, "thirty challenges are no failures");
    let ask = |from: &Phone, method: &str, uri: &str| {
        let mut request = from.request(method, uri, uri);
        request.set(Name::From, "<sip:guesser@elsewhere.example>;tag=1");
        request
    };
    let guess = |from: &Phone, uri: &str| ask(from, "OPTIONS", uri);
    for n in 0..5 {
        alice.send(&guess(&alice, &format!("sip:user{n}@{DOMAIN}"))).await;
        alice.expect("404").await;
        alice.send(&guess(&alice, &format!("sip:{n}@192.0.2.1"))).await;
        alice.expect("403").await;
    }
    // From then on nobody is told from somebody who is away, nor from somebody who is here unless they are called.
    let mut heard = Vec::new();
    for (method, user) in [
        ("OPTIONS", "user9"),
        ("OPTIONS", "bob"),
        ("OPTIONS", "alice"),
        ("INVITE", "user9"),
        ("INVITE", "bob"),
    ] {
        alice.send(&ask(&alice, method, &format!("sip:{user}@{DOMAIN}"))).await;
        let refused = alice.expect("480").await;
        heard.push((refused.reason().to_owned(), refused.value(Name::RetryAfter).map(str::to_owned)));
    }
    heard.dedup();
    assert_eq!(heard.len(), 1, "{heard:?}");
    // Who is there is called all the same, and a datagram, which anybody may have sent, shuts no door.
    alice.send(&ask(&alice, "INVITE", &format!("sip:alice@{DOMAIN}"))).await;
    alice.expect("INVITE").await;
    let bob = Phone::new("bob", &served).await;
    assert_eq!(bob.register("60").await.status(), 200);
}

#[tokio::test]
async fn who_guesses_names_over_a_connection_guesses_passwords() {
    let served = serve_with(guarded(0)).await;
    let bob = Phone::new("bob", &served).await;
    assert_eq!(bob.register("60").await.status(), 200);
    let scanner = Phone::over_tcp("alice", &served).await;
    for n in 0..10 {
        let uri = format!("sip:user{n}@{DOMAIN}");
        let mut request = scanner.request("OPTIONS", &uri, &uri);
        request.set(Name::From, "<sip:guesser@elsewhere.example>;tag=1");
        scanner.send(&request).await;
        scanner.expect("404").await;
    }
    // And went on for a while.
    for _ in 0..5 {
        served.auth.authenticator.guessed(scanner.line.local().ip(), true);
    }
    let carol = Phone::new("carol", &served).await;
    assert_eq!(carol.register("60").await.status(), 503);
    assert_eq!(bob.register("60").await.status(), 200, "known there");
}

#[tokio::test]
async fn a_scanner_is_known_by_its_name() {
    let served = serve_with(guarded(0)).await;
    let alice = Phone::new("alice", &served).await;
    let mut scan = options(&alice);
    scan.push(Name::UserAgent, "friendly-scanner");
    alice.send(&scan).await;
    alice.expect("403").await;
    alice.send(&options(&alice)).await;
    alice.expect("200").await;
}

#[tokio::test]
async fn a_tag_alone_lets_nobody_past_the_door() {
    let served = serve_with(guarded(0)).await;
    let stranger = Phone::new("x", &served).await;
    let bob = format!("sip:bob@{DOMAIN}");
    let mut request = stranger.request("INVITE", &bob, &bob);
    request.set(Name::To, &format!("<{bob}>;tag=made-up"));
    request.push(Name::UserAgent, "friendly-scanner");
    stranger.send(&request).await;
    stranger.expect("403").await;
}

#[tokio::test]
async fn whom_an_administrator_bans_calls_nobody_and_others_do() {
    let served = serve().await;
    let bans = &served.auth.bans;
    let day = std::time::Duration::from_secs(86_400);
    let (stranger, bob) = (Phone::new("eve", &served).await, Phone::registered("bob", &served).await);
    let call = |from: &str| {
        let uri = format!("sip:bob@{DOMAIN}");
        let mut invite = stranger.request("INVITE", &uri, &uri);
        invite.set(Name::From, &format!("<{from}>;tag=1"));
        invite
    };
    for (who, from) in
        [("eve@elsewhere.example", "sip:Eve@Elsewhere.example"), ("spam.example", "sip:anybody@spam.example")]
    {
        bans.make(who.parse().unwrap(), "spam", day).await.unwrap();
        stranger.send(&call(from)).await;
        stranger.expect("403").await;
    }
    stranger.send(&call("sip:adam@elsewhere.example")).await;
    let invite = bob.expect("INVITE").await;
    assert!(invite.value(Name::From).unwrap().contains("adam@"), "the first that comes");
    bob.respond(&invite, 486).await;
    stranger.expect("486").await;

    // No administrator can mean this machine; where the tests come from is written by hand.
    let alice = Phone::new("alice", &served).await;
    let kept = br#"{"reason":"test","since":0,"until":9000000000000}"#;
    served.store.records.put("cusax", "bans", "127.0.0.0/8", kept, Expected::Anything).await.unwrap();
    bans.load().await.unwrap();
    alice.send(&options(&alice)).await;
    alice.expect("403").await;
    bans.lift(&"127.0.0.0/8".parse().unwrap()).await.unwrap();
    assert_eq!(alice.register("60").await.status(), 200);
}

#[tokio::test]
async fn a_number_that_an_administrator_bans_calls_nobody_by_whatever_carrier_and_in_whatever_form() {
    let mut carrier = Phone::alone("carrier").await;
    let trunk = TrunkConfig {
        name: "carrier".to_owned(),
        server: format!("sip:{}", carrier.address()),
        probe: std::time::Duration::from_secs(3_600),
        ..TrunkConfig::default()
    };
    let numbers = NumberConfig { country: "33".to_owned(), ..NumberConfig::default() };
    let served = serve_with(Config { numbers, trunks: vec![trunk], ..Config::default() }).await;
    let day = std::time::Duration::from_secs(86_400);
    served.auth.bans.make("+33 1 23 45 67 89".parse().unwrap(), "sells", day).await.unwrap();
    let (stranger, bob) = (Phone::new("eve", &served).await, Phone::registered("bob", &served).await);
    let call = |by: &Phone, from: &str, asserted: Option<&str>| {
        let uri = format!("sip:bob@{DOMAIN}");
        let mut invite = by.request("INVITE", &uri, &uri);
        invite.set(Name::From, &format!("<{from}>;tag=1"));
        if let Some(asserted) = asserted {
            invite.push(Name::PAssertedIdentity, &format!("<{asserted}>"));
        }
        invite
    };
    for from in ["sip:+33123456789@other.example", "tel:+33-123-456-789", "sip:%2B33123456789@third.example"]
    {
        stranger.send(&call(&stranger, from, None)).await;
        stranger.expect("403").await;
    }
    carrier.move_to(&served);
    let probe = carrier.expect("OPTIONS").await;
    carrier.respond(&probe, 200).await;
    let nobody = "sip:anonymous@anonymous.invalid";
    for (from, asserted) in [
        ("sip:0123456789@carrier.example;user=phone", None),
        ("sip:33123456789@carrier.example", None),
        (nobody, Some("tel:+33123456789")),
        (nobody, Some("sip:0123456789@carrier.example")),
    ] {
        carrier.send(&call(&carrier, from, asserted)).await;
        carrier.expect("403").await;
    }
    // Of a stranger digits alone are a name.
    for (by, from) in
        [(&stranger, "sip:33123456789@other.example"), (&carrier, "sip:0123456780@carrier.example")]
    {
        by.send(&call(by, from, None)).await;
        let invite = bob.expect("INVITE").await;
        bob.respond(&invite, 486).await;
        bob.expect("ACK").await;
        by.expect("486").await;
    }
}
