//! Answers to calls of ours that come again, or too late — RFC 3261 §13.2.2.4 (an ACK for each 2xx that comes, and BYE to whom
//! nobody wants), §9.1 (a 2xx that crossed our CANCEL).
//!
//! In    a 2xx that nobody waits for any more. Out the ACK that it had, once more; to another callee's, or to that of a call
//!       that was given up, an ACK and a BYE.
//! State of each call of ours what was acknowledged, for [`LONGEST`] after nobody waits for it any more; at most [`MOST`] calls and [`MOST_OF_CALL`] answers of
//!       each. What is beyond is not answered, so that its callee ends it by itself (§13.3.1.4).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sip_core::Message;
use sip_core::header::{Name, NameAddr};
use sip_endpoint::Flow;

use super::Focus;
use super::dialog::Dialog;

/// Calls of ours, and how their answers were acknowledged.
#[derive(Default)]
pub(super) struct Answered(Mutex<HashMap<String, Call>>);

struct Call {
    /// Somebody waits for its answer.
    is_awaited: bool,
    /// By the tag of who answered.
    acks: Vec<(String, Message, Flow)>,
    since: Instant,
}

/// What a 2xx gets.
enum Due {
    /// The ACK that it had.
    Again(Box<Message>, Flow),
    /// An end.
    End,
    Nothing,
}

impl Answered {
    /// A call begins, whose answer somebody waits for.
    pub(super) fn begin(&self, invite: &Message) {
        self.with(|calls, now| {
            calls.retain(|_, call| {
                now.duration_since(call.since) < if call.is_awaited { LONGEST_AWAITED } else { LONGEST }
            });
            if let Some(call) = calls.get_mut(invite.call_id()) {
                (call.is_awaited, call.since) = (true, now);
            } else if calls.len() < MOST {
                let call = Call { is_awaited: true, acks: Vec::new(), since: now };
                calls.insert(invite.call_id().to_owned(), call);
            }
        });
    }

    /// A 2xx is acknowledged.
    fn keep(&self, answer: &Message, ack: Message, flow: Flow) {
        self.with(|calls, now| {
            if let (Some(call), Some(tag)) = (calls.get_mut(answer.call_id()), answer.to_tag()) {
                (call.is_awaited, call.since) = (false, now);
                let known = call.acks.iter().filter(|(_, known, _)| known.cseq() < ack.cseq()).count();
                if known >= MOST_OF_CALL {
                    call.acks.remove(0);
                }
                call.acks.push((tag.to_owned(), ack, flow));
            }
        });
    }

    /// Nobody waits for the answer any more.
    pub(super) fn give_up(&self, call_id: &str) {
        self.with(|calls, now| {
            if let Some(call) = calls.get_mut(call_id) {
                (call.is_awaited, call.since) = (false, now);
            }
        });
    }

    fn due(&self, answer: &Message) -> Due {
        let mut due = Due::Nothing;
        self.with(|calls, _| {
            let (Some(call), Some(tag)) = (calls.get(answer.call_id()), answer.to_tag()) else { return };
            let number = |message: &Message| message.cseq().map(|(number, _)| number);
            let is_it = |known: &str, ack: &Message| known == tag && number(ack) == number(answer);
            due = match call.acks.iter().find(|(known, ack, _)| is_it(known, ack)) {
                Some((_, ack, flow)) => Due::Again(Box::new(ack.clone()), *flow),
                None if call.is_awaited || call.acks.len() >= MOST_OF_CALL => Due::Nothing,
                None => Due::End,
            };
        });
        due
    }

    fn with(&self, what: impl FnOnce(&mut HashMap<String, Call>, Instant)) {
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), Instant::now());
    }
}

impl Focus {
    /// Sends the ACK of a 2xx, and knows it when the 2xx comes again.
    pub(super) fn acknowledge(&self, answer: &Message, ack: Message, flow: Flow) {
        if let Some(endpoint) = self.endpoint() {
            endpoint.send_ack(ack.clone(), flow);
        }
        self.answered().keep(answer, ack, flow);
    }

    /// Whoever waited for an answer has gone: a 2xx is ended.
    pub(super) async fn end_answer(&self, call_id: &str, answer: Option<&Message>) {
        self.answered().give_up(call_id);
        if let Some(answer) = answer.filter(|answer| (200..300).contains(&answer.status())) {
            self.stray(answer).await;
        }
    }

    /// A 2xx came that nobody waits for.
    pub(super) async fn stray(&self, answer: &Message) {
        let Some(endpoint) = self.endpoint() else { return };
        match self.answered().due(answer) {
            Due::Again(ack, flow) => endpoint.send_ack(*ack, flow),
            Due::End => {
                let flow = endpoint.port(0);
                let us = answer.value(Name::From).and_then(NameAddr::parse).map(|from| from.uri);
                let mut answer = answer.clone();
                if answer.value(Name::Contact).is_none_or(|contact| NameAddr::parse(contact).is_none()) {
                    // §12.1.2 has no other target; the way that is recorded may lead there all the same.
                    let them = answer.value(Name::To).and_then(NameAddr::parse).map(|to| to.uri.to_owned());
                    answer.set(Name::Contact, &format!("<{}>", them.unwrap_or_default()));
                }
                let us = us.map(str::to_owned);
                let answer = &answer;
                // From, Call-ID and CSeq of a response are those of its request.
                let dialog = Dialog::begun_with(answer, answer, flow);
                let Some((mut dialog, us)) = dialog.zip(us) else { return };
                let contact = format!("<{us}>");
                self.acknowledge(answer, dialog.ack(&contact), flow);
                let mut bye = dialog.request("BYE", &contact);
                bye.push(Name::Reason, "SIP;cause=200;text=\"Nobody Waits For This Answer\"");
                // What becomes of it changes nothing here.
                drop(endpoint.request(bye, flow, "0").await);
            }
            Due::Nothing => {}
        }
    }
}

/// Longer than a 2xx is sent again (64*T1).
const LONGEST: Duration = Duration::from_secs(40);
/// Longer than any answer is waited for.
const LONGEST_AWAITED: Duration = Duration::from_secs(150);
const MOST: usize = 4_096;
const MOST_OF_CALL: usize = 8;
