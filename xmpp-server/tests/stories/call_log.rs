//! Calls as chat: what became of a call is a message of the conversation, archived for both, and anonymous callers stay so.

use crate::common::{Client, Served, serve};
use shared_model::{AccountId, CallEvent, CallOutcome, Correlation, Fact};

async fn account(served: &Served, name: &str) -> AccountId {
    let jid = format!("{name}@example.org").parse().unwrap();
    served.auth.directory.by_jid(&jid).await.unwrap().unwrap().account
}

/// The facts of one call of alice to bob.
async fn call(served: &Served, id: &str, is_anonymous: bool, is_answered: bool, outcome: CallOutcome) {
    let (call_id, to_uri) = (id.to_owned(), "sip:bob@sip.example.org".to_owned());
    let (from, to) = (Some(account(served, "alice").await), Some(account(served, "bob").await));
    let tell = |event| served.bus.publish(Fact::new(Correlation::of_call(id), event));
    tell(CallEvent::Attempted {
        call_id: call_id.clone(),
        from,
        from_uri: String::new(),
        is_anonymous,
        to,
        to_uri,
    });
    if is_answered {
        tell(CallEvent::Answered { call_id: call_id.clone(), has_video: false });
    }
    tell(CallEvent::Ended { call_id, outcome, reason: None });
}

#[tokio::test]
async fn both_sides_find_their_calls_in_the_conversation() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    alice.ask("set", "", "<enable xmlns='urn:xmpp:carbons:2'/>").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    call(&served, "c1", false, true, CallOutcome::Completed).await;
    let got = bob.expect(&["<message", "from='alice@example.org'"]).await;
    for part in ["<body>Call, 0 s</body>", "id='c1' outcome='answered' seconds='0'", "<stanza-id"] {
        assert!(got.contains(part), "{part}: {got}");
    }
    let sent = alice.expect(&["<message", "<sent xmlns='urn:xmpp:carbons:2'"]).await;
    assert!(sent.contains("to='bob@example.org'") && sent.contains("outcome='answered'"), "{sent}");

    call(&served, "c2", false, false, CallOutcome::Cancelled).await;
    bob.expect(&["<body>Missed call</body>", "outcome='missed'"]).await;
    alice.expect(&["<sent xmlns='urn:xmpp:carbons:2'", "outcome='missed'"]).await;
    let all = "<query xmlns='urn:xmpp:mam:2' queryid='q'/>";
    for (client, with) in [(&mut alice, "to='bob@example.org'"), (&mut bob, "from='alice@example.org'")] {
        client.send(&format!("<iq type='set' id='all'>{all}</iq>")).await;
        for id in ["c1", "c2"] {
            client.expect(&["<result xmlns='urn:xmpp:mam:2'", &format!("id='{id}'"), with]).await;
        }
        client.expect(&["id='all'", "complete='true'"]).await;
    }
}

#[tokio::test]
async fn who_calls_anonymously_is_named_to_nobody() {
    let served = serve().await;
    let mut bob = Client::online(&served, "bob", "b").await;
    call(&served, "c3", true, false, CallOutcome::NoAnswer).await;
    let got = bob.expect(&["<message", "Missed call, from somebody who stays unknown"]).await;
    assert!(got.contains("from='example.org'") && !got.contains("alice"), "{got}");
}

#[tokio::test]
async fn a_caller_who_is_blocked_leaves_nothing_with_the_callee() {
    let served = serve().await;
    let mut bob = Client::online(&served, "bob", "b").await;
    let block = "<block xmlns='urn:xmpp:blocking'><item jid='alice@example.org'/></block>";
    assert!(bob.ask("set", "", block).await.contains("type='result'"));
    call(&served, "c4", false, false, CallOutcome::Refused(603)).await;
    call(&served, "c5", true, false, CallOutcome::Cancelled).await;
    // Facts come in order: the second, which is nobody's, is the first that bob hears of.
    let got = bob.expect(&["<message"]).await;
    assert!(got.contains("id='c5'"), "{got}");
}
