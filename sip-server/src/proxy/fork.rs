//! Forks a request to its branches and brings one answer back.

use std::sync::Arc;
use std::time::Duration;

use shared_model::{CallEvent, CallOutcome};
use sip_core::Message;
use sip_core::header::Name;
use sip_core::proxy::{Action, ResponseContext, loop_key, prepare_copy};
use sip_core::transaction::Failure;
use sip_endpoint::{Answer, Cancel, Flow, ReplyTo, ServerHandle};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::record_route;
use crate::features::{self, Passage};
use crate::location::Branch;
use crate::routing::Route;
use crate::server::Server;

/// One request under way.
pub(crate) struct Forwarding {
    server: Arc<Server>,
    request: Message,
    flow: Flow,
    handle: ServerHandle,
    route: Route,
    context: ResponseContext,
    cancels: Vec<Cancel>,
    /// The way of each branch.
    flows: Vec<Flow>,
    queue: mpsc::Sender<(usize, Answer)>,
    loop_key: String,
    /// The caller gave up.
    is_cancelled: bool,
    /// Nobody answered in time.
    is_timed_out: bool,
    has_rung: bool,
}

/// Forwards until there is an answer. Ends when every branch has ended, or its time is up.
pub(crate) async fn forward(
    server: Arc<Server>,
    request: Message,
    flow: Flow,
    handle: ServerHandle,
    route: Route,
) {
    let (queue, answers) = mpsc::channel(ANSWERS);
    let loop_key = loop_key(&request);
    Forwarding {
        server,
        request,
        flow,
        handle,
        route,
        context: ResponseContext::new(),
        cancels: Vec::new(),
        flows: Vec::new(),
        queue,
        loop_key,
        is_cancelled: false,
        is_timed_out: false,
        has_rung: false,
    }
    .run(answers)
    .await;
}

impl Forwarding {
    async fn run(mut self, mut answers: mpsc::Receiver<(usize, Answer)>) {
        let is_invite = self.request.method() == "INVITE";
        let timers = self.server.config.timers.clone();
        let patience = if is_invite { timers.no_answer.min(timers.c) } else { timers.b + SLACK };
        let mut deadline = Instant::now() + patience;
        let mut groups = std::mem::take(&mut self.route.groups).into_iter();
        self.start(groups.next().unwrap_or_default()).await;
        loop {
            let mut actions = Vec::new();
            tokio::select! {
                Some((id, answer)) = answers.recv() => self.take(id, answer, &mut actions),
                () = self.handle.cancelled(), if !self.is_cancelled => {
                    self.is_cancelled = true;
                    deadline = Instant::now() + timers.b;
                    self.context.close(&mut actions);
                }
                () = tokio::time::sleep_until(deadline) => {
                    if self.context.is_closing() {
                        // The branches had their time to end (§9.1: 64*T1 after the CANCEL).
                        break;
                    }
                    self.is_timed_out = true;
                    deadline = Instant::now() + timers.b;
                    self.context.close(&mut actions);
                }
            }
            let mut is_exhausted = false;
            for action in actions {
                match action {
                    Action::Respond(response) => self.respond(*response),
                    Action::Cancel(id) => {
                        if let Some(cancel) = self.cancels.get(id).filter(|_| is_invite) {
                            cancel.send().await;
                        }
                    }
                    Action::Exhausted => is_exhausted = true,
                }
            }
            if is_exhausted {
                match groups.next().filter(|_| !self.context.is_closing()) {
                    Some(group) => {
                        deadline = Instant::now() + patience;
                        self.start(group).await;
                    }
                    None => break,
                }
            }
            if self.context.is_answered() && !self.context.has_open_branch() {
                break;
            }
        }
        self.conclude();
    }

    async fn start(&mut self, group: Vec<Branch>) {
        for branch in group {
            let id = self.context.start();
            let request = self.copy_for(&branch);
            let reply = ReplyTo { queue: self.queue.clone(), tag: id };
            let cancel =
                self.server.endpoint().request_into(request, branch.flow, &self.loop_key, reply).await;
            self.cancels.push(cancel);
            self.flows.push(branch.flow);
        }
    }

    /// The copy that goes to one branch (§16.6).
    fn copy_for(&self, branch: &Branch) -> Message {
        let mut request = self.request.clone();
        prepare_copy(&mut request, branch.uri.as_deref());
        for hop in branch.path.iter().rev() {
            request.push_front(Name::Route, hop);
        }
        remove_our_credentials(&mut request, &self.server.domain);
        let passage = Passage {
            caller: self.route.caller.as_ref(),
            is_anonymous: self.route.is_anonymous,
            is_initial: !self.request.is_in_dialog(),
            to: self.route.to,
        };
        features::apply(&mut request, &passage);
        record_route(&mut request, &self.server.tokens, self.server.endpoint(), &self.flow, &branch.flow);
        request
    }

    fn take(&mut self, id: usize, answer: Answer, actions: &mut Vec<Action>) {
        match answer {
            Answer::Response(mut response) => {
                response.pop_front(Name::Via);
                self.note_dialog(id, &response);
                self.context.response(id, *response, actions);
            }
            Answer::Failed(failure) => {
                // §16.8, §16.9: a branch that is silent counts as 408, one that cannot be reached as 503.
                let status = if failure == Failure::Timeout { 408 } else { 503 };
                self.context.failed(id, Message::response(&self.request, status, ""), actions);
            }
        }
    }

    /// A call that begins or ends is remembered, for peers that drop our Record-Route.
    fn note_dialog(&self, id: usize, response: &Message) {
        if !(200..300).contains(&response.status()) {
            return;
        }
        match self.request.method() {
            "INVITE" if !self.request.is_in_dialog() => {
                if let Some(callee) = self.flows.get(id) {
                    self.server.dialogs.begin(response, self.flow, *callee, std::time::Instant::now());
                }
            }
            "BYE" => self.server.dialogs.end(self.request.call_id()),
            _ => {}
        }
    }

    fn respond(&mut self, response: Message) {
        let status = response.status();
        if self.request.method() == "INVITE" && !self.request.is_in_dialog() {
            let call_id = self.request.call_id().to_owned();
            if status == 180 && !std::mem::replace(&mut self.has_rung, true) {
                self.server.facts.call(&call_id, CallEvent::Ringing { call_id: call_id.clone() });
            }
            if (200..300).contains(&status) {
                self.server.facts.call(&call_id, CallEvent::Answered { call_id: call_id.clone() });
            }
        }
        // RFC 4320 §4.1: nothing provisional but 100 for other requests than INVITE.
        if status >= 200 || self.request.method() == "INVITE" {
            if status >= 200 {
                self.server.metrics.response(status);
            }
            self.handle.respond(response);
        }
    }

    /// The last word, if there was none.
    fn conclude(&mut self) {
        let otherwise = Message::response(&self.request, if self.is_cancelled { 487 } else { 408 }, "");
        let Some(mut best) = self.context.conclude(otherwise) else { return };
        if self.is_timed_out && !self.is_cancelled && best.status() == 487 {
            // The branches ended because we cancelled them, which is not what the caller asks about.
            best = Message::response(&self.request, 408, "");
        }
        let is_late_timeout = best.status() == 408 && self.request.method() != "INVITE";
        let call_id = self.request.call_id().to_owned();
        if self.request.method() == "INVITE" && !self.request.is_in_dialog() {
            let outcome = match best.status() {
                _ if self.is_cancelled => CallOutcome::Cancelled,
                408 => CallOutcome::NoAnswer,
                status => CallOutcome::Refused(status),
            };
            self.server.facts.call(&call_id, CallEvent::Ended { call_id: call_id.clone(), outcome });
        }
        // RFC 4320 §4.2: the caller's own Timer F has fired; a 408 would only come too late.
        if !is_late_timeout {
            self.respond(best);
        }
    }
}

/// RFC 3261 §22.3: credentials for our realm were for us.
fn remove_our_credentials(request: &mut Message, realm: &str) {
    let is_ours = request
        .value(Name::ProxyAuthorization)
        .and_then(sip_core::header::AuthParams::parse)
        .is_some_and(|auth| auth.value("realm").as_deref() == Some(realm));
    if is_ours {
        request.remove(Name::ProxyAuthorization);
    }
}

/// Answers of all branches that wait.
const ANSWERS: usize = 64;
/// How much longer than Timer F we wait for it to be told.
const SLACK: Duration = Duration::from_secs(3);
