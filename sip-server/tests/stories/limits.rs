//! Limits on spend hold while a call is up: it ends when its caller's money is used up (RFC 3326 says why).

use std::time::Duration;

use crate::common::{Behind, PASSWORD};
use crate::cost::{answered, call, rows, served_with};
use sip_core::Message;
use sip_core::header::Name;
use sip_server::CostConfig;
use sip_server::numbers::Money;
use sip_server::records::CallResult;

/// Its tariff is 0.60 a minute, by the second.
const BY_THE_SECOND: &str = "0700000000";

fn per_day(limit: &str) -> CostConfig {
    CostConfig { per_day: Money::parse(limit), ..CostConfig::default() }
}

fn number(message: &Message) -> u32 {
    message.cseq().unwrap().0
}

#[tokio::test]
async fn a_call_ends_when_its_callers_money_is_used_up() {
    let (served, carrier, alice) = served_with(per_day("0.04"), Behind::default()).await;
    let (sent, ok) = answered(&alice, &carrier, BY_THE_SECOND).await;
    // Both sides said something since, whose numbers are taken.
    alice.send(&alice.in_dialog("INFO", number(&sent) + 41, &sent, &ok)).await;
    let info = carrier.expect("INFO").await;
    carrier.respond(&info, 200).await;
    alice.expect("200").await;
    let mut back = carrier.request("INFO", &alice.contact(), "");
    back.set(Name::From, ok.value(Name::To).unwrap());
    back.set(Name::To, sent.value(Name::From).unwrap());
    back.set(Name::CallId, sent.call_id());
    back.set(Name::CSeq, "7001 INFO");
    let routes: Vec<&str> = ok.elements(Name::RecordRoute).collect();
    back.push(Name::Route, &routes.join(", "));
    carrier.send(&back).await;
    let info = alice.expect("INFO").await;
    alice.respond(&info, 200).await;
    carrier.expect("200").await;

    let at_carrier = carrier.expect("BYE").await;
    carrier.respond(&at_carrier, 200).await;
    let at_alice = alice.expect("BYE").await;
    alice.respond(&at_alice, 200).await;
    for (phone, bye) in [(&carrier, &at_carrier), (&alice, &at_alice)] {
        let reason = bye.value(Name::Reason).unwrap_or_default();
        assert!(reason.starts_with("SIP;cause=403;text=\""), "{reason}");
        assert_eq!(reason.contains("0.04 EUR"), phone.name == "alice", "{reason}");
        assert_eq!(bye.call_id(), sent.call_id());
    }
    assert_eq!((at_carrier.from_tag(), at_carrier.to_tag()), (sent.from_tag(), ok.to_tag()));
    assert_eq!((at_alice.from_tag(), at_alice.to_tag()), (ok.to_tag(), sent.from_tag()));
    assert_eq!(at_alice.uri(), alice.contact());
    assert!(number(&at_carrier) > number(&sent) + 41 && number(&at_alice) > 7_001);
    // It is over: the carrier hears of nothing more.
    alice.send(&alice.in_dialog("INVITE", 9_000, &sent, &ok)).await;
    alice.expect("481").await;
    let mut rows_of = rows(&served).await;
    for _ in 0..50 {
        if !rows_of.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        rows_of = rows(&served).await;
    }
    assert_eq!((rows_of.len(), rows_of[0].result), (1, CallResult::CutOff));
    assert!(Money::parse(&rows_of[0].cost) <= Money::parse("0.04"), "{}", rows_of[0].cost);
    let told = served.told.take();
    let said = |words: &str| told.iter().any(|text| text.contains(words));
    assert!(said("Your call ends within a minute") && said("Your call was ended"), "{told:?}");
}

#[tokio::test]
async fn of_calls_that_share_what_is_left_the_older_goes_on() {
    let (_served, carrier, alice) = served_with(per_day("0.225"), Behind::default()).await;
    let _first = answered(&alice, &carrier, BY_THE_SECOND).await;
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    // Five times as dear.
    let (second, _) = answered(&alice, &carrier, "0600000000").await;
    let first_to_end = carrier.expect("BYE").await;
    assert_eq!(first_to_end.call_id(), second.call_id(), "the younger one ends first");
    carrier.respond(&first_to_end, 200).await;
    let its = alice.expect("BYE").await;
    assert_eq!(its.call_id(), second.call_id());
    alice.respond(&its, 200).await;
}

#[tokio::test]
async fn a_call_with_a_price_of_its_own_lasts() {
    let (served, carrier, alice) = served_with(per_day("0.05"), Behind::default()).await;
    let dialog = answered(&alice, &carrier, "0800000000").await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    crate::cost::hang_up(&alice, &carrier, &dialog).await;
    let rows = rows(&served).await;
    assert_eq!((rows[0].result, rows[0].cost.as_str()), (CallResult::Completed, "0.05"));
}

/// Else a caller whose carrier takes no BYE, by a number of their own choice or otherwise, would talk for nothing.
#[tokio::test]
async fn a_call_whose_carrier_refuses_its_end_stays_in_the_books() {
    let (served, carrier, alice) = served_with(per_day("0.03"), Behind::default()).await;
    // A call that leaves no number for its end does not begin.
    let mut endless = call(&alice, BY_THE_SECOND);
    endless.set(Name::CSeq, "2147483647 INVITE");
    assert_eq!(alice.ask(endless, PASSWORD).await.status(), 400);
    let (sent, ok) = answered(&alice, &carrier, BY_THE_SECOND).await;
    alice.send(&alice.in_dialog("INFO", (1 << 31) - 1, &sent, &ok)).await;
    alice.expect("400").await;
    let refused = carrier.expect("BYE").await;
    carrier.respond(&refused, 403).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(rows(&served).await.is_empty(), "it goes on, and costs");
    let another = alice.ask(call(&alice, "0140000000"), PASSWORD).await;
    assert_eq!(another.status(), 403);
    let again = carrier.expect("BYE").await;
    assert!(number(&again) > number(&sent));
    carrier.respond(&again, 481).await;
    let its = alice.expect("BYE").await;
    alice.respond(&its, 200).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let rows = rows(&served).await;
    let row = rows.iter().find(|row| row.result == CallResult::CutOff).expect("no row");
    assert!(Money::parse(&row.cost) > Money::parse("0.06"), "{}", row.cost);
}
