//! What the caller is told, and what is noted of it — RFC 3261 §16.7 (items 8 and 9), RFC 4320.
//!
//! In    answers of branches, and the end of all of them. Out responses, dressed by the features; facts and records of the call.
//! Errors when nobody answers: the best refusal; 408 if there is none; 487 if the caller gave up; 480 if nobody woke.

use std::time::Instant;

use shared_model::{CallEvent, CallOutcome};
use sip_core::Message;
use sip_core::header::{Name, Via};
use sip_endpoint::{Answer, Flow};

use super::fork::{Forwarding, RETRY_AFTER, Started};
use crate::dialogs::Party;
use crate::facts;
use crate::features::{self, Destination, Reply, privacy};
use crate::hang_up::Ends;
use crate::records::has_video;
use crate::routing::Astray;
use crate::trust::{is_trusted_peer, vouched_callee};

impl Forwarding<'_> {
    /// What the features make of a response on its way to the caller.
    pub(super) fn dress(&self, id: usize, response: &mut Message) {
        let Some(Started { branch, .. }) = self.started.get(id) else { return };
        let target = branch.uri.as_deref().unwrap_or(self.request.uri());
        let vouched = match branch.to {
            Destination::Foreign => vouched_callee(self.server, response, &branch.flow, target),
            _ => None,
        };
        let reply = Reply {
            request: &self.request,
            callee: branch.callee.as_deref(),
            vouched: vouched.as_ref(),
            from_trusted: branch.to == Destination::Foreign && is_trusted_peer(self.server, &branch.flow),
            to_trusted: self.flow.transport == sip_endpoint::Transport::InProcess
                || self.is_from_trusted_peer(),
            from: branch.to,
            card: self.server.config.card().filter(|_| self.route.caller.is_some()),
            session: self.server.config.session(),
        };
        features::apply_to_response(response, &reply);
        if let Some(trunk) = branch.trunk.as_ref().filter(|_| self.route.outside.is_some()) {
            trunk.restore_caller(&self.request, response);
        }
        let is_call = self.request.method() == "INVITE" && !self.request.is_in_dialog();
        if is_call
            && self.is_strangers()
            && let Some(from) = self.request.value(Name::From)
        {
            // Who was marked sees its own From.
            response.set(Name::From, from);
        }
    }

    /// Whatever the other side says to a BYE, or if it says nothing: the call is over (§15.1.1), and its row is written
    /// before whoever hung up hears so. But a carrier that refuses one goes on, and so does what the call costs (RFC 5057 §5.1), or a
    /// BYE that is wrong on purpose would end the bill alone; and who refuses where a peer was guessed to be is not the peer.
    pub(super) async fn note_end(&self, id: usize, answer: &Answer) {
        let is_last = match answer {
            Answer::Response(response) => match response.status() {
                300.. if self.route.astray == Some(Astray::Guessed) => false,
                408 | 481 | 200..300 => true,
                300.. => !self.is_to_carrier(id),
                _ => false,
            },
            Answer::Failed(_) => true,
        };
        if is_last && self.request.method() == "BYE" && self.went_across(id) {
            self.server.dialogs.end(&self.request);
            self.end_relay();
            self.server.calls.ended(&self.request, self.began).await;
        }
    }

    fn is_to_carrier(&self, id: usize) -> bool {
        self.started.get(id).is_some_and(|started| started.branch.trunk.is_some())
    }

    /// Whether a request in a dialog went to its other side: a caller who sends the BYE back to itself ends nothing.
    fn went_across(&self, id: usize) -> bool {
        let Some(Started { branch, .. }) = self.started.get(id) else { return false };
        let endpoint = self.server.endpoint();
        let is_there = |flow: &Flow| endpoint.is_open(flow) && self.route.astray != Some(Astray::Retargeted);
        let carrier = |flow: &Flow| self.server.trunks.source(flow, endpoint).map(|trunk| trunk.name());
        self.server.dialogs.is_across(&self.request, (&self.flow, &branch.flow), carrier, is_there)
    }

    /// A call that begins or ends is remembered, for peers that drop our Record-Route.
    pub(super) fn note_dialog(&mut self, id: usize, response: &Message) {
        if !(200..300).contains(&response.status()) {
            return;
        }
        match self.request.method() {
            "INVITE" if !self.request.is_in_dialog() => {
                if let Some(Started { branch, .. }) = self.started.get(id) {
                    // A connection that carries a call lasts, whoever its peer is.
                    self.server.endpoint().mark_trusted(&self.flow);
                    let caller = self.route.caller.as_ref().map(|caller| caller.aor.clone());
                    let callee = branch.callee.as_ref().map(|callee| callee.aor.clone());
                    let of = |flow, aor, is_hidden| Party { flow, aor, is_hidden };
                    let parties = (
                        of(self.flow, caller, self.route.is_anonymous),
                        of(branch.flow, callee, privacy::is_wished(response)),
                    );
                    self.server.dialogs.begin(response, parties, branch.ahead, Instant::now());
                    if let Some(mut call) = self.call.take() {
                        call.is_left_message = self.is_left_message;
                        if call.is_charged() && self.server.config.cost.has_limits() {
                            let is_ours = |entry: &str| self.server.is_own_entry(entry, response.call_id());
                            let (caller, callee) = ((&self.request, self.flow), (response, branch.flow));
                            call.ends = Ends::new(caller, callee, is_ours).map(Box::new);
                        }
                        self.server.calls.answered(
                            call,
                            response,
                            branch.trunk.as_ref().map(|trunk| trunk.name()),
                        );
                    }
                }
            }
            "INVITE" | "UPDATE" => self.server.calls.refreshed(&self.request),
            _ => {}
        }
    }

    pub(super) fn respond(&mut self, response: Message) {
        let status = response.status();
        if self.request.method() == "INVITE" && !self.request.is_in_dialog() {
            let call_id = self.route.call.clone();
            if matches!(status, 180 | 183) && !self.has_sounded {
                self.has_sounded = true;
                self.server.metrics.rings.observe(self.began.elapsed().as_secs_f64());
            }
            if status == 180 && !std::mem::replace(&mut self.has_rung, true) {
                self.server.facts.call(&call_id, CallEvent::Ringing { call_id: call_id.clone() });
            }
            if (200..300).contains(&status) {
                self.server.metrics.answers.observe(self.began.elapsed().as_secs_f64());
                let event = match self.is_left_message {
                    false => {
                        CallEvent::Answered { call_id: call_id.clone(), has_video: has_video(&response) }
                    }
                    // The callee missed it, whatever a mailbox is told.
                    true => CallEvent::Ended {
                        call_id: call_id.clone(),
                        outcome: CallOutcome::NoAnswer,
                        reason: Some("a mailbox took it".to_owned()),
                    },
                };
                self.server.facts.call(&call_id, event);
            }
        }
        if (200..300).contains(&status)
            && let Some(via) = self.won.take()
            && let Some(branch) = Via::parse(&via).and_then(|via| via.branch())
        {
            self.server.passed.keep(branch, &response, &self.handle, Instant::now());
        }
        // RFC 4320 §4.1: nothing provisional but 100 for other requests than INVITE.
        if status >= 200 || self.request.method() == "INVITE" {
            if status >= 200 {
                self.server.metrics.response(self.request.method(), status);
            }
            self.handle.respond(response);
        }
    }

    /// The last word, if there was none.
    pub(super) async fn conclude(&mut self) {
        let otherwise = match (self.is_cancelled, self.started.is_empty()) {
            (true, _) => 487,
            // RFC 8599 §5.6.2: nobody woke.
            (false, true) => 480,
            (false, false) => 408,
        };
        let otherwise = Message::response(&self.request, otherwise, "");
        let is_nowhere =
            self.context.best() == Some(503) && self.is_unreached && !self.request.is_in_dialog();
        // §16.7, item 6: it is of every request through us where our own endpoint is full, whom no other stands in for.
        let is_ours = |started: &Started| started.branch.to == Destination::Trusted;
        let is_full = self.context.best() == Some(503) && self.started.iter().all(is_ours);
        let Some(mut best) = self.context.conclude(otherwise) else { return };
        if is_full {
            best = Message::response(&self.request, 503, "");
            best.push(Name::RetryAfter, RETRY_AFTER);
        }
        if is_nowhere {
            // §21.4.18: we know the callee, and nowhere where a device of theirs takes it; a 500 would say that it is us.
            best = Message::response(&self.request, 480, "");
        }
        if let Some(refusal) = self.refusal.take() {
            best = *refusal;
        }
        if self.is_cancelled && best.status() == 408 {
            // A branch that did not answer its CANCEL in time is no more than that (§9.1).
            best = Message::response(&self.request, 487, "");
        }
        if self.is_timed_out && !self.is_cancelled && best.status() == 487 {
            // The branches ended because we cancelled them, which is not what the caller asks about.
            best = Message::response(&self.request, 408, "");
        }
        let is_late_timeout = best.status() == 408 && self.request.method() != "INVITE";
        let call_id = self.route.call.clone();
        if self.request.method() == "INVITE" && !self.request.is_in_dialog() {
            let outcome = match best.status() {
                _ if self.is_cancelled => CallOutcome::Cancelled,
                408 => CallOutcome::NoAnswer,
                status => CallOutcome::Refused(status),
            };
            let said = self.refusals.iter().cloned().chain(facts::reason(&best));
            let reason = said.reduce(|all, one| all + "; " + &one);
            self.server.facts.call(&call_id, CallEvent::Ended { call_id: call_id.clone(), outcome, reason });
            self.end_relay();
        }
        if let Some(call) = self.call.take() {
            let trunk = self.started.iter().rev().find_map(|started| started.branch.trunk.as_ref());
            let trunk = trunk.map(|trunk| trunk.name());
            self.server.calls.unanswered(call, best.status(), self.is_cancelled, trunk).await;
        }
        // RFC 4320 §4.2: the caller's own Timer F has fired; a 408 would only come too late.
        if !is_late_timeout {
            self.respond(best);
        }
    }
}
