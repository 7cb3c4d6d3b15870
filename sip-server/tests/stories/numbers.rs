//! What people dial over real sockets: every way of dialling a number leads to one place (RFC 3966, RFC 5031).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::common::{DOMAIN, PASSWORD, Phone, serve_with};
use crate::dns::Dns;
use sip_core::header::Name;
use sip_server::numbers::NumberConfig;
use sip_server::{Config, TimerConfig, TrunkConfig};

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(code, target)| ((*code).to_owned(), (*target).to_owned())).collect()
}

fn config() -> Config {
    let numbers = NumberConfig {
        country: "1".to_owned(),
        national: vec!["1".to_owned(), String::new()],
        international: vec!["011".to_owned()],
        extensions: map(&[("42", "bob")]),
        short_codes: map(&[("*98", "+1 555 0198")]),
        direct: map(&[("+1 555 0000", "bob@example.org")]),
        ..NumberConfig::default()
    };
    Config { numbers, ..Config::default() }
}

#[tokio::test]
async fn a_number_is_found_however_it_is_dialled() {
    let served = serve_with(config()).await;
    let (alice, bob) = (Phone::new("alice", &served).await, Phone::registered("bob", &served).await);
    for uri in [
        "sip:5550198@example.org",
        "sip:1-555-0198@example.org;user=phone",
        "sip:01115550198@example.org",
        "tel:+1-555-0198",
        "tel:555.0198;phone-context=example.org",
        "sip:42@example.org",
        "sip:*98@example.org",
        "sip:5550000@example.org",
    ] {
        let (refused, incoming) =
            tokio::join!(alice.ask(alice.request("INVITE", uri, uri), PASSWORD), async {
                let incoming = bob.expect("INVITE").await;
                bob.respond(&incoming, 486).await;
                bob.expect("ACK").await;
                incoming
            });
        assert_eq!((refused.status(), incoming.uri()), (486, bob.contact().as_str()), "{uri}");
        // RFC 7044 §10.4: bob sees which of his numbers was called.
        let asked = match uri.strip_prefix("tel:") {
            Some(number) => format!("<sip:{number}@{DOMAIN};user=phone>;index=1"),
            None => format!("<{uri}>;index=1"),
        };
        let history: Vec<&str> = incoming.elements(Name::HistoryInfo).collect();
        assert_eq!(history, [asked.as_str(), "<sip:bob@example.org>;index=1.1;rc=1"]);
    }
}

#[tokio::test]
async fn what_is_nobodys_number_is_told_so_and_help_is_never_somebody() {
    let served = serve_with(config()).await;
    let alice = Phone::new("alice", &served).await;
    for (uri, reason) in [
        ("sip:5550111@example.org", "Not Found"),
        ("tel:5550198;phone-context=elsewhere.example", "Not Found"),
        ("sip:911@example.org", "No Emergency Services Here"),
        ("urn:service:sos", "No Emergency Services Here"),
    ] {
        let refused = alice.ask(alice.request("INVITE", uri, uri), PASSWORD).await;
        assert_eq!((refused.status(), refused.reason()), (404, reason), "{uri}");
    }
    let other = alice.request("INVITE", "urn:service:counseling", "urn:service:counseling");
    assert_eq!(alice.ask(other, PASSWORD).await.status(), 416);
}

#[tokio::test]
async fn a_caller_may_write_their_own_number_as_they_dial_it() {
    let served = serve_with(config()).await;
    let (alice, bob) = (Phone::new("alice", &served).await, Phone::registered("bob", &served).await);
    let uri = format!("sip:bob@{DOMAIN}");
    let mut call = alice.request("INVITE", &uri, &uri);
    call.set(Name::From, &format!("<sip:5550197@{DOMAIN};user=phone>;tag=1"));
    let (refused, ()) = tokio::join!(alice.ask(call, PASSWORD), async {
        let incoming = bob.expect("INVITE").await;
        bob.respond(&incoming, 486).await;
    });
    assert_eq!(refused.status(), 486);
    let mut call = alice.request("INVITE", &uri, &uri);
    call.set(Name::From, &format!("<sip:5550198@{DOMAIN};user=phone>;tag=1"));
    assert_eq!(alice.ask(call, PASSWORD).await.status(), 403, "bob's number is bob's");
}

#[tokio::test]
async fn numbers_lead_to_other_domains_where_a_zone_says_so() {
    let dns = Dns::start().await;
    let mut config = config();
    config.dns = vec![dns.address];
    config.numbers.enum_zones = vec!["nothing.example".to_owned(), "e164.example".to_owned()];
    let served = serve_with(config).await;
    let (alice, gateway) = (Phone::new("alice", &served).await, Phone::new("gateway", &served).await);
    let port = gateway.address().port();
    dns.host("gateway.example", "127.0.0.1");
    let name = "3.3.3.0.5.5.5.1.e164.example";
    dns.telephone(name, (20, 1), "E2U+sip", "!^.*$!sip:late@gateway.example:9!");
    dns.telephone(name, (10, 1), "E2U+email:mailto", "!^.*$!mailto:early@gateway.example!");
    dns.telephone(name, (10, 2), "E2U+sip", &format!(r"!^\+1(\d+)$!sip:\1@gateway.example:{port}!"));
    dns.telephone("4.3.3.0.5.5.5.1.e164.example", (1, 1), "E2U+sip", "!^.*$!sip:nobody@example.org!");

    let uri = format!("sip:5550333@{DOMAIN}");
    let (refused, incoming) = tokio::join!(alice.ask(alice.request("INVITE", &uri, &uri), PASSWORD), async {
        let incoming = gateway.expect("INVITE").await;
        gateway.respond(&incoming, 486).await;
        incoming
    });
    assert_eq!(
        (refused.status(), incoming.uri()),
        (486, format!("sip:5550333@gateway.example:{port}").as_str())
    );

    // A lookup says what a call does.
    let telephony = served.server.telephony();
    let route = telephony.look_up("5550333", None).await.unwrap();
    assert_eq!(route.elsewhere, Some(format!("sip:5550333@gateway.example:{port}")));
    assert!(route.trunks.is_empty() && route.price.is_none(), "{route:?}");
    assert_eq!(telephony.look_up("5550334", None).await.unwrap().elsewhere, None, "nobody of ours");
    let back = format!("sip:5550334@{DOMAIN}");
    assert_eq!(alice.ask(alice.request("INVITE", &back, &back), PASSWORD).await.status(), 404, "no circles");
    let stranger = Phone::new("stranger", &served).await;
    let mut call = stranger.request("INVITE", &uri, &uri);
    call.set(Name::From, "<sip:someone@elsewhere.example>;tag=1");
    let refused = stranger.ask(call, PASSWORD).await;
    assert_eq!(refused.status(), 403, "nothing is relayed for strangers");
}

/// A peer that is down, or has no room, is passed over for the carrier (RFC 3263 §4.3); a record may name one of our own.
#[tokio::test]
async fn a_number_has_its_carrier_where_the_peer_of_its_zone_fails_and_may_be_one_of_ours() {
    let dns = Dns::start().await;
    let mut carrier = Phone::alone("carrier").await;
    let trunk = TrunkConfig {
        name: "carrier".to_owned(),
        server: format!("sip:{}", carrier.address()),
        probe: Duration::ZERO,
        ..TrunkConfig::default()
    };
    let timers = TimerConfig { b: Duration::from_secs(2), ..TimerConfig::default() };
    let mut config = Config { trunks: vec![trunk], timers, ..config() };
    config.dns = vec![dns.address];
    config.numbers.enum_zones = vec!["e164.example".to_owned()];
    let served = serve_with(config).await;
    carrier.move_to(&served);
    let (alice, bob) = (Phone::new("alice", &served).await, Phone::registered("bob", &served).await);
    let full = Phone::new("gateway", &served).await;
    let silent = Phone::new("silent", &served).await;
    dns.host("gateway.example", "127.0.0.1");
    for (name, port) in [("5", full.address().port()), ("6", silent.address().port()), ("7", 1)] {
        let name = format!("{name}.3.3.0.5.5.5.1.e164.example");
        dns.telephone(&name, (1, 1), "E2U+sip", &format!("!^.*$!sip:peer@gateway.example:{port}!"));
    }
    dns.telephone("8.3.3.0.5.5.5.1.e164.example", (1, 1), "E2U+sip", "!^.*$!sip:bob@example.org!");
    for dialled in ["5550335", "5550336", "5550337"] {
        let uri = format!("sip:{dialled}@{DOMAIN}");
        let (busy, ()) = tokio::join!(alice.ask(alice.request("INVITE", &uri, &uri), PASSWORD), async {
            if dialled == "5550335" {
                let invite = full.expect("INVITE").await;
                full.respond(&invite, 503).await;
            }
            let invite = carrier.expect("INVITE").await;
            assert!(invite.uri().contains(dialled), "{}", invite.uri());
            carrier.respond(&invite, 486).await;
            carrier.expect("ACK").await;
        });
        assert_eq!(busy.status(), 486, "{dialled}");
    }
    let uri = format!("sip:5550338@{DOMAIN}");
    let (busy, incoming) = tokio::join!(alice.ask(alice.request("INVITE", &uri, &uri), PASSWORD), async {
        let incoming = bob.expect("INVITE").await;
        bob.respond(&incoming, 486).await;
        incoming
    });
    assert_eq!((busy.status(), incoming.uri()), (486, bob.contact().as_str()));
}
