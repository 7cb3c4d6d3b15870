//! Calls as chat: what became of a call stands in the conversation of its two parties (RFC 7081 §3, S-30; B-04).
//!
//! In    facts of calls. Out a message of each call that is over: text for readers, and for programs
//!       `<call xmlns='urn:cusax:call:0' id='…' outcome='answered|missed|declined|busy' seconds='133'/>`, the seconds for an
//!       answered one. It is archived for both, shown to the callee's devices and copied to the caller's.
//! State calls under way, bounded; a call that began when there were too many leaves no message.
//! Errors none: a call whose facts were missed leaves no message, and its row in the records all the same. Of a call that a proxy
//!       before us forked to several accounts each reads what became of the whole: facts do not say whose branch it was.
//! An anonymous caller is named to nobody: the callee hears of the call from the domain. A caller whom the callee blocks
//! leaves nothing with the callee. Not here: calls with numbers and rooms, which have no conversation of two.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use shared_model::{AccountId, Branches, CallEvent, CallOutcome, Correlation, Event, Fact};
use shared_runtime::bus::{Heard, Subscription};
use xmpp_core::{Element, Jid, Kind, Stanza, ns};

use crate::features::carbons;
use crate::server::Server;
use crate::{archive, blocking, route};

/// Writes down what became of calls, until shutdown.
pub(crate) async fn follow(server: Arc<Server>, mut facts: Subscription<Fact>) {
    let mut calls = Calls::default();
    loop {
        let heard = tokio::select! {
            heard = facts.next() => heard,
            () = server.shutdown.begun() => return,
        };
        match heard {
            None => return,
            Some(Heard::Fact(Fact { event: Event::Call(event), .. })) => {
                if let Some((call, outcome)) = calls.take(event, Instant::now()) {
                    for callee in call.branches.callees() {
                        write(&server, &call, *callee, outcome).await;
                    }
                }
            }
            Some(Heard::Fact(_)) => {}
            Some(Heard::Missed(missed)) => {
                tracing::debug!(missed, "facts were missed; calls may leave no message")
            }
        }
    }
}

/// Calls under way, by their Call-ID.
#[derive(Default)]
struct Calls(HashMap<String, Call>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Call {
    id: String,
    from: AccountId,
    branches: Branches,
    is_anonymous: bool,
    answered: Option<Instant>,
}

/// What became of a call, as people say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// After so many seconds.
    Answered(u64),
    Missed,
    Declined,
    Busy,
}

impl Calls {
    /// Takes an event; a call that it ends.
    fn take(&mut self, event: CallEvent, now: Instant) -> Option<(Call, Outcome)> {
        match event {
            CallEvent::Attempted { call_id, from, is_anonymous, to, .. } => {
                if let Some(call) = self.0.get_mut(&call_id) {
                    call.branches.reach(to);
                } else if let Some(from) = from
                    && self.0.len() < MOST_CALLS
                {
                    let branches = Branches::new(Some(from), to);
                    let call = Call { id: call_id.clone(), from, branches, is_anonymous, answered: None };
                    self.0.insert(call_id, call);
                }
                None
            }
            CallEvent::Answered { call_id, .. } => {
                let call = self.0.get_mut(&call_id)?;
                call.branches.answer();
                call.answered.get_or_insert(now);
                None
            }
            CallEvent::Ended { call_id, outcome, .. } => {
                if !self.0.get_mut(&call_id)?.branches.end(outcome) {
                    return None;
                }
                let call = self.0.remove(&call_id)?;
                let outcome = match (call.answered, outcome) {
                    (Some(answered), _) => Outcome::Answered(now.duration_since(answered).as_secs()),
                    (None, CallOutcome::Refused(603)) => Outcome::Declined,
                    (None, CallOutcome::Refused(486 | 600)) => Outcome::Busy,
                    (None, _) => Outcome::Missed,
                };
                Some((call, outcome))
            }
            CallEvent::Ringing { .. } | CallEvent::ToldInChat { .. } => None,
        }
    }
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Self::Answered(_) => "answered",
            Self::Missed => "missed",
            Self::Declined => "declined",
            Self::Busy => "busy",
        }
    }

    fn text(self) -> String {
        match self {
            Self::Answered(seconds) if seconds < 60 => format!("Call, {seconds} s"),
            Self::Answered(seconds) => format!("Call, {} min {} s", seconds / 60, seconds % 60),
            Self::Missed => "Missed call".to_owned(),
            Self::Declined => "Call declined".to_owned(),
            Self::Busy => "Missed call: busy".to_owned(),
        }
    }
}

async fn write(server: &Server, call: &Call, to: AccountId, outcome: Outcome) {
    let (Some(caller), Some(callee)) = (jid_of(server, call.from).await, jid_of(server, to).await) else {
        return;
    };
    let seconds = match outcome {
        Outcome::Answered(seconds) => Some(seconds.to_string()),
        _ => None,
    };
    let what = Element::new("call", NS).with("id", &call.id).with("outcome", outcome.word());
    let what = seconds.iter().fold(what, |what, seconds| what.with("seconds", seconds));
    let say = |from: &Jid, text: &str| {
        Stanza::new(Kind::Message, Some("chat"))
            .addressed(Some(from), Some(&callee))
            .with_id(Some(&server.new_id()))
            .with(&Element::new("body", ns::CLIENT).text_node(text))
            .with(&what)
    };
    let text = outcome.text();
    let tell = |callee| {
        let (call_id, caller, text) = (call.id.clone(), call.from, text.clone());
        let told = CallEvent::ToldInChat { call_id, caller, callee, text };
        server.bus.publish(Fact::new(Correlation::of_call(&call.id), told));
    };
    if call.is_anonymous || blocking::blocks(server, &callee, &caller).await {
        if call.is_anonymous
            && let Some(domain) = server.voice_to(&callee)
        {
            route::route(server, say(&domain, &format!("{text}, from somebody who stays unknown"))).await;
        }
        keep(server, say(&caller, &text), &caller, None).await;
        return tell(call.is_anonymous.then_some(to));
    }
    keep(server, say(&caller, &text), &caller, Some(&callee)).await;
    tell(Some(to));
}

/// Archives a message for the caller, and for the callee if they are to hear of it, and shows it to both.
async fn keep(server: &Server, message: Stanza, caller: &Jid, callee: Option<&Jid>) {
    match archive::keep(server, &message, Some(caller), callee).await {
        Ok(archived) => {
            let _turn = archived.turn;
            let sent = archive::with_id(message.clone(), archived.by_sender.as_deref(), caller);
            if let Some(callee) = callee {
                let received = archive::with_id(message, archived.by_recipient.as_deref(), callee);
                route::deliver_message(server, callee, received).await;
            }
            carbons::copy_sent(&server.router, caller, &sent);
        }
        Err(error) => tracing::error!(%error, "what became of a call could not be archived"),
    }
}

async fn jid_of(server: &Server, account: AccountId) -> Option<Jid> {
    let card = server.auth.directory.by_id(account).await;
    let card =
        card.inspect_err(|error| tracing::error!(%error, "an account of a call cannot be read")).ok()??;
    card.jid.as_str().parse().ok()
}

/// Ours.
const NS: &str = "urn:cusax:call:0";
/// Calls under way that are followed.
const MOST_CALLS: usize = 50_000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn attempted(id: &str, to: u128) -> CallEvent {
        CallEvent::Attempted {
            call_id: id.to_owned(),
            from: Some(AccountId(1)),
            from_uri: String::new(),
            is_anonymous: false,
            to: Some(AccountId(to)),
            to_uri: "sip:bob@x".to_owned(),
        }
    }

    #[test]
    fn a_call_ends_once_and_says_how() {
        let (mut calls, now) = (Calls::default(), Instant::now());
        let mut ended = |id: &str, answer: bool, outcome| {
            assert_eq!(calls.take(attempted(id, 2), now), None);
            if answer {
                calls.take(CallEvent::Answered { call_id: id.to_owned(), has_video: false }, now);
            }
            let end = CallEvent::Ended { call_id: id.to_owned(), outcome, reason: None };
            let said = calls.take(end.clone(), now + Duration::from_secs(133)).map(|(_, outcome)| outcome);
            assert_eq!(calls.take(end, now), None, "once");
            said
        };
        assert_eq!(ended("1", true, CallOutcome::Completed), Some(Outcome::Answered(133)));
        assert_eq!(ended("2", false, CallOutcome::Cancelled), Some(Outcome::Missed));
        assert_eq!(ended("3", false, CallOutcome::NoAnswer), Some(Outcome::Missed));
        assert_eq!(ended("4", false, CallOutcome::Refused(603)), Some(Outcome::Declined));
        assert_eq!(ended("5", false, CallOutcome::Refused(486)), Some(Outcome::Busy));
        assert_eq!(Outcome::Answered(133).text(), "Call, 2 min 13 s");
        assert_eq!(
            calls.take(
                CallEvent::Ended { call_id: "6".into(), outcome: CallOutcome::NoAnswer, reason: None },
                now
            ),
            None
        );
    }

    /// RFC 3261 §16.6, §8.2.2.2: a proxy before us may fork one INVITE to two of ours.
    #[test]
    fn a_forked_call_ends_with_its_last_branch() {
        let (mut calls, now) = (Calls::default(), Instant::now());
        let ended = |outcome| CallEvent::Ended { call_id: "1".to_owned(), outcome, reason: None };
        for to in [2, 3] {
            calls.take(attempted("1", to), now);
        }
        assert_eq!(calls.take(ended(CallOutcome::Refused(486)), now), None, "the other one rings");
        calls.take(CallEvent::Answered { call_id: "1".to_owned(), has_video: false }, now);
        assert_eq!(calls.take(ended(CallOutcome::Cancelled), now), None, "it is answered");
        let (call, outcome) =
            calls.take(ended(CallOutcome::Completed), now + Duration::from_secs(5)).unwrap();
        assert_eq!(outcome, Outcome::Answered(5));
        assert_eq!(call.branches.callees(), [AccountId(2), AccountId(3)]);
        assert!(calls.0.is_empty());
    }
}
