//! Two calls with one Call-ID, told apart by their callers' tags — RFC 3261 §12: who knows the Call-ID of another's call neither ends it
//! nor takes its place.

use shared_model::{CallEvent, Event, Fact};
use shared_runtime::bus::{Heard, Subscription};
use sip_core::Message;
use sip_core::header::Name;
use sip_server::CostConfig;

use crate::common::{Behind, DOMAIN, PASSWORD, Phone, serve};
use crate::cost::{self, rows};

/// What is told of the next call that begins or ends.
async fn told(facts: &mut Subscription<Fact>) -> String {
    let next = async {
        loop {
            let Some(Heard::Fact(Fact { event: Event::Call(event), .. })) = facts.next().await else {
                continue;
            };
            match event {
                CallEvent::Attempted { call_id, .. } => return format!("begins {call_id}"),
                CallEvent::Answered { call_id, .. } => return format!("answered {call_id}"),
                CallEvent::Ended { call_id, .. } => return format!("ends {call_id}"),
                _ => {}
            }
        }
    };
    tokio::time::timeout(crate::common::PATIENCE, next).await.expect("it is told")
}

/// Calls, and is answered with this status.
async fn call(from: &Phone, to: &Phone, call_id: &str, status: u16) -> (Message, Message) {
    let uri = format!("sip:{}@{DOMAIN}", to.name);
    let mut invite = from.request("INVITE", &uri, &uri);
    invite.set(Name::CallId, call_id);
    invite.set(Name::From, &format!("<{}>;tag={}", from.aor(), from.address().port()));
    let asked = async {
        let (answer, sent) = from.ask_with(invite, PASSWORD).await;
        assert_eq!(answer.status(), status, "{}", String::from_utf8_lossy(&answer.to_bytes()));
        (answer, sent)
    };
    let ((answer, sent), ()) = tokio::join!(asked, async {
        let incoming = to.expect("INVITE").await;
        to.respond(&incoming, status).await;
    });
    if status == 200 {
        from.send(&from.in_dialog("ACK", sent.cseq().unwrap().0, &sent, &answer)).await;
    }
    to.expect("ACK").await;
    (sent, answer)
}

async fn hang_up(from: &Phone, to: &Phone, (sent, ok): &(Message, Message)) {
    from.send(&from.in_dialog("BYE", 9_000, sent, ok)).await;
    let bye = to.expect("BYE").await;
    to.respond(&bye, 200).await;
    assert_eq!(from.expect("200").await.cseq().unwrap().1, "BYE");
}

#[tokio::test]
async fn who_calls_by_the_call_id_of_another_touches_nothing_of_theirs() {
    let served = serve().await;
    let (alice, bob) = (Phone::new("alice", &served).await, Phone::registered("bob", &served).await);
    let other = Phone::new("alice", &served).await;
    let mut facts = served.bus.subscribe();
    let first = call(&alice, &bob, "known", 200).await;
    assert_eq!([told(&mut facts).await, told(&mut facts).await], ["begins known", "answered known"]);
    // It is refused, and another is answered and ended: those are the other's.
    let name = |call: &(Message, Message)| format!("known;from-tag={}", call.0.from_tag().unwrap());
    let refused = name(&call(&other, &bob, "known", 486).await);
    assert_eq!(
        [told(&mut facts).await, told(&mut facts).await],
        [format!("begins {refused}"), format!("ends {refused}")]
    );
    let second = call(&other, &bob, "known", 200).await;
    hang_up(&other, &bob, &second).await;
    let second = name(&second);
    for what in ["begins", "answered", "ends"] {
        assert_eq!(told(&mut facts).await, format!("{what} {second}"));
    }
    assert_eq!(rows(&served).await.len(), 2, "the first goes on");
    hang_up(&alice, &bob, &first).await;
    assert_eq!(told(&mut facts).await, "ends known");
    let statuses: Vec<_> = rows(&served).await.iter().map(|row| row.status).collect();
    assert_eq!(statuses, [486, 200, 200]);
}

/// Both names of a call are its caller's choice: a free one of the same does not take the place of the one that costs.
#[tokio::test]
async fn a_second_call_by_the_same_names_takes_no_bill_away() {
    let (served, carrier, alice) = cost::served_with(CostConfig::default(), Behind::default()).await;
    let (other, bob) = (Phone::new("alice", &served).await, Phone::registered("bob", &served).await);
    let charged = cost::call(&alice, "0140000000");
    let same = |mut invite: Message| {
        invite.set(Name::From, charged.value(Name::From).unwrap());
        invite.set(Name::CallId, charged.call_id());
        other.ask_with(invite, PASSWORD)
    };
    let is_up = tokio::sync::Notify::new();
    let first = async {
        let answer = alice.ask_with(charged.clone(), PASSWORD).await;
        is_up.notify_one();
        answer
    };
    let ((ok, sent), (free, _), ()) = tokio::join!(first, same(cost::call(&other, "bob")), async {
        let (invite, rung) = (carrier.expect("INVITE").await, bob.expect("INVITE").await);
        let mut ok = Message::response(&invite, 200, "");
        for route in invite.values(Name::RecordRoute) {
            ok.push(Name::RecordRoute, route);
        }
        ok.push(Name::Contact, &format!("<{}>", carrier.contact()));
        carrier.send(&ok).await;
        is_up.notified().await;
        bob.respond(&rung, 200).await;
    });
    assert_eq!((ok.status(), free.status()), (200, 200));
    alice.send(&alice.in_dialog("ACK", sent.cseq().unwrap().0, &sent, &ok)).await;
    carrier.expect("ACK").await;
    // Of a call that is answered there is no second.
    assert_eq!(same(cost::call(&other, "bob")).await.0.status(), 482);
    cost::hang_up(&alice, &carrier, &(sent, ok)).await;
    let rows = rows(&served).await;
    let row = rows.iter().map(|row| (row.cost.as_str(), row.class.as_str())).collect::<Vec<_>>();
    assert_eq!(row, [("0.15", "pstn")]);
}
