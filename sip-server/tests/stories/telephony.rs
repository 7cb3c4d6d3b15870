//! Trunks and numbers as the operator sees them: what a lookup says is what a call does.

use std::time::Duration;

use crate::common::{DOMAIN, PASSWORD, Phone, serve_with};
use shared_model::{Aor, Meaning};
use sip_core::Message;
use sip_core::header::Name;
use sip_server::numbers::{Class, Money, NumberConfig, TariffConfig};
use sip_server::{AccountCost, Config, CostConfig, TrunkConfig};

fn config(carrier: &Phone, dead: &Phone) -> Config {
    let trunk = |name: &str, phone: &Phone, prefix: &str| TrunkConfig {
        name: name.to_owned(),
        server: format!("sip:{}", phone.address()),
        prefixes: vec![prefix.to_owned()],
        probe: Duration::from_millis(50),
        register: name == "near",
        user: "us".to_owned(),
        ..TrunkConfig::default()
    };
    let tariff = TariffConfig {
        prefix: "+33".to_owned(),
        setup: Money::parse("0.10").unwrap(),
        minute: Money::parse("0.02").unwrap(),
        ..TariffConfig::default()
    };
    let numbers = NumberConfig {
        country: "33".to_owned(),
        extensions: [("42".to_owned(), "bob".to_owned())].into(),
        tariffs: vec![tariff],
        ..NumberConfig::default()
    };
    let bobs = AccountCost {
        account: format!("bob@{DOMAIN}"),
        allow: Some(vec![Class::Free]),
        ..AccountCost::default()
    };
    let cost = CostConfig { accounts: vec![bobs], ..CostConfig::default() };
    let trunks = vec![trunk("near", carrier, "+33"), trunk("far", dead, "+")];
    Config { numbers, trunks, cost, ..Config::default() }
}

#[tokio::test]
async fn a_lookup_says_where_a_number_goes_and_what_it_costs() {
    let (carrier, dead) = (Phone::alone("carrier").await, Phone::alone("dead").await);
    let served = serve_with(config(&carrier, &dead)).await;
    let telephony = served.server.telephony();
    let look = async |text: &str| telephony.look_up(text, None).await.unwrap();
    let route = look("01 55 50 19 80").await;
    assert_eq!(route.meaning, Meaning::Number("+33155501980".to_owned()));
    assert_eq!(route.trunks, ["near", "far"], "the longest prefix first");
    let price = route.price.unwrap();
    assert_eq!((price.class.as_str(), price.setup.as_str(), price.minute.as_str()), ("pstn", "0.10", "0.02"));
    assert_eq!(look("+4930123456").await.trunks, ["far"]);
    assert_eq!(look("tel:+33-1-5550-1980").await.trunks, ["near", "far"]);
    assert_eq!(look("urn:service:sos").await.meaning, Meaning::Emergency("112".to_owned()));
    let bob: Aor = format!("bob@{DOMAIN}").parse().unwrap();
    for ours in ["bob", "42", &format!("sip:bob@{DOMAIN}")] {
        let route = look(ours).await;
        assert_eq!((route.account, route.trunks.len(), route.price), (Some(bob.clone()), 0, None), "{ours}");
    }
    let alice: Aor = format!("alice@{DOMAIN}").parse().unwrap();
    let allowed =
        async |dialled: &str, who: &Aor| telephony.look_up(dialled, Some(who)).await.unwrap().is_allowed;
    assert!(allowed("0155501980", &alice).await && !allowed("0155501980", &bob).await);
    assert!(allowed("112", &bob).await && allowed("42", &bob).await);
    for nothing in ["", "nobody", "sip:x@elsewhere.example", "\u{0}", "@", "sip:"] {
        let route = look(nothing).await;
        assert_eq!(
            (route.meaning, route.account, route.trunks.len()),
            (Meaning::Name, None, 0),
            "{nothing:?}"
        );
    }
    assert!(telephony.plan().contains(&("extensions", vec!["42 → bob".to_owned()])));
}

#[tokio::test]
async fn a_trunk_is_shown_as_it_is_now() {
    let (mut carrier, dead) = (Phone::alone("carrier").await, Phone::alone("dead").await);
    let served = serve_with(config(&carrier, &dead)).await;
    carrier.move_to(&served);
    let telephony = served.server.telephony();
    let register = carrier.expect("REGISTER").await;
    carrier.respond(&register, 403).await;
    let probe = carrier.expect("OPTIONS").await;
    carrier.respond(&probe, 200).await;
    let shown = async {
        loop {
            let trunks = telephony.trunks();
            if trunks[0].answered.is_some() {
                return trunks;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let trunks = tokio::time::timeout(crate::common::PATIENCE, shown).await.unwrap();
    assert_eq!(
        (trunks[0].name.as_str(), trunks[0].is_registered, trunks[0].is_probed),
        ("near", Some(false), true)
    );
    assert_eq!(trunks[0].failed.as_ref().unwrap().1, "REGISTER got 403");
    assert!(trunks[0].is_up && trunks[0].addresses == [carrier.address().to_string()]);
    assert_eq!((trunks[1].is_registered, trunks[1].calls), (None, (0, 0)));
}

/// RFC 3261 §21.5.4: whoever says when it can again is asked nothing until then, if there is another.
#[tokio::test]
async fn a_trunk_that_wants_to_be_left_alone_for_a_while_is() {
    let (mut first, mut second) = (Phone::alone("first").await, Phone::alone("second").await);
    let trunk = |name: &str, phone: &Phone, priority| TrunkConfig {
        name: name.to_owned(),
        server: format!("sip:{}", phone.address()),
        probe: Duration::ZERO,
        priority,
        ..TrunkConfig::default()
    };
    let trunks = vec![trunk("first", &first, 1), trunk("second", &second, 2)];
    let numbers = NumberConfig { country: "33".to_owned(), ..NumberConfig::default() };
    let served = serve_with(Config { numbers, trunks, ..Config::default() }).await;
    first.move_to(&served);
    second.move_to(&served);
    let alice = Phone::new("alice", &served).await;
    let number = format!("sip:0140000000@{DOMAIN}");
    let call = || alice.ask(alice.request("INVITE", &number, &number), PASSWORD);
    let busy = async || {
        let invite = second.expect("INVITE").await;
        second.respond(&invite, 486).await;
        second.expect("ACK").await;
    };
    let resting = async {
        let invite = first.expect("INVITE").await;
        let mut refusal = Message::response(&invite, 503, "");
        refusal.ensure_to_tag("first");
        refusal.push(Name::RetryAfter, "60 (a move)");
        first.send(&refusal).await;
        first.expect("ACK").await;
        busy().await;
    };
    let (refused, ()) = tokio::join!(call(), resting);
    assert_eq!(refused.status(), 486);
    let (refused, ()) = tokio::join!(call(), busy());
    assert_eq!(refused.status(), 486);
    let early = tokio::time::timeout(Duration::from_millis(100), first.receive()).await;
    assert!(early.is_err(), "{early:?}");
}
