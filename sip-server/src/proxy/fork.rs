//! Forks a request to its branches and brings one answer back — RFC 3261 §16.6 to §16.10.
//!
//! In    a routed request, answers of its branches, a CANCEL, a device that registers while others ring.
//! Out   copies, each with what the features put in; responses; CANCELs that say why (RFC 3326); facts about the call.
//! State the response context, and what has been tried.
//! Errors when nobody answers: the best refusal; 408 if there is none; 487 if the caller gave up.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use shared_model::{Domains, PushEvent, idn};
use sip_core::Message;
use sip_core::header::{AuthParams, Name};
use sip_core::preferences::{Search, Wishes};
use sip_core::proxy::{Action, ResponseContext, loop_key, prepare_copy, share_breadth};
use sip_core::transaction::Failure;
use sip_endpoint::{Answer, Cancel, ReplyTo, ServerHandle};
use tokio::sync::mpsc;

use super::ahead;
use super::patience::{Patience, ended, gone, is_tied, over};
use super::record_route::{Side, callee_followed, caller_followed, record_route};
use super::relayed::Offer;
use crate::awaited::{Waiting, bound};
use crate::destination::{self, Outside};
use crate::features::{self, Destination, Passage};
use crate::flow_token::Followed;
use crate::location::Branch;
use crate::push::Bucket;
use crate::records::Begun;
use crate::routing::{Astray, Route};
use crate::server::Server;
use crate::sips;
use crate::stir;
use crate::trunks::caller_id::{Shown, asserted_by};
use crate::trust::is_trusted_peer;
use crate::voicemail;
use crate::wishes;

/// A branch under way.
pub(crate) struct Started {
    pub(super) branch: Branch,
    /// How it is cancelled.
    pub(super) cancel: Cancel,
    /// Its copy has a relay's addresses.
    pub(super) is_relayed: bool,
}

/// One request under way.
pub(crate) struct Forwarding<'a> {
    pub(super) server: &'a Server,
    pub(super) request: Message,
    pub(super) flow: sip_endpoint::Flow,
    pub(super) handle: ServerHandle,
    pub(super) route: Box<Route>,
    pub(super) context: ResponseContext,
    /// What the caller wants of it, if it begins something.
    pub(super) wishes: Option<Box<Wishes>>,
    /// The call, until it is answered, if this begins one.
    pub(super) call: Option<Begun>,
    /// Each branch that was started.
    pub(super) started: Vec<Started>,
    /// Targets that were tried: a redirect leads to none of them again, a late device is not rung twice.
    pub(super) tried: HashSet<String>,
    /// Where redirects lead, less wanted than what is tried now.
    pub(super) later: VecDeque<Vec<Branch>>,
    /// Redirects that were followed.
    pub(super) redirects: usize,
    /// Devices that are being woken.
    pub(super) bucket: Bucket,
    pub(super) queue: mpsc::Sender<(usize, Answer)>,
    pub(super) loop_key: String,
    /// Branches that may be open at once (RFC 5393 §5).
    pub(super) breadth: usize,
    /// Branches that answer a trunk's challenge.
    pub(super) proving: Vec<usize>,
    /// Branches to trunks that have not said a word, and until when they may be silent.
    pub(super) silent: Vec<(Instant, usize)>,
    /// What trunks that did not take the call said.
    pub(super) refusals: Vec<String>,
    /// Why carriers may not take what the peer of a number did not.
    pub(super) refusal: Option<Box<Message>>,
    /// The URI of the callee's mailbox for this call, once it is asked for.
    pub(super) mailbox: Option<String>,
    /// The mailbox took the call.
    pub(super) is_left_message: bool,
    /// Our Via of the branch that a 2xx came by.
    pub(super) won: Option<String>,
    /// The caller gave up.
    pub(super) is_cancelled: bool,
    /// Nobody answered in time.
    pub(super) is_timed_out: bool,
    /// A device of the callee could not be reached.
    pub(super) is_unreached: bool,
    /// What a relay made of the offer.
    pub(super) offer: Offer,
    /// The tag of who answered first: the relay has their answer, and that of nobody else.
    pub(super) winner: Option<String>,
    pub(super) has_rung: bool,
    /// The caller hears something.
    pub(super) has_sounded: bool,
    pub(super) began: Instant,
}

/// Forwards until there is an answer. Ends when every branch has ended, or its time is up.
pub(crate) async fn forward(
    server: Arc<Server>,
    request: Message,
    flow: sip_endpoint::Flow,
    handle: ServerHandle,
    mut route: Box<Route>,
) {
    let breadth = match sip_core::proxy::breadth(&request) {
        Ok(breadth) => breadth,
        Err(status) => return handle.respond(Message::response(&request, status, "")),
    };
    let mut context = ResponseContext::new();
    let mut wishes = None;
    if !request.is_in_dialog() {
        let Ok(wanted) = Wishes::of(&request) else {
            return handle.respond(Message::response(&request, 400, "Too Many Preferences"));
        };
        let (groups, asleep) = (std::mem::take(&mut route.groups), std::mem::take(&mut route.asleep));
        (route.groups, route.asleep) = wishes::arrange(&wanted, groups, asleep);
        if wanted.disposition.keeps_branches {
            context.keep_others();
        }
        wishes = Some(Box::new(wanted));
    }
    let (queue, answers) = mpsc::channel(ANSWERS);
    let loop_key = loop_key(&request);
    let bucket = Bucket::fill(&server, std::mem::take(&mut route.asleep), &request);
    if let (Some(callee), Some(provider), "INVITE") = (&route.callee, bucket.provider(), request.method()) {
        let sent = PushEvent::ForCall { account: callee.account, provider: provider.to_owned() };
        server.facts.push(&route.call, sent);
    }
    let call = server.calls.begin(&request, &mut route);
    if request.is_in_dialog() {
        server.calls.heard(&request);
    }
    let is_call = request.method() == "INVITE" && !request.is_in_dialog();
    let late = route.callee.as_ref().filter(|_| is_call || bucket.is_waiting());
    let late = late.map(|callee| server.awaited.wait(callee.aor.clone()));
    let mut forwarding = Forwarding {
        server: &server,
        request,
        flow,
        handle,
        route,
        context,
        wishes,
        call,
        started: Vec::new(),
        tried: HashSet::new(),
        later: VecDeque::new(),
        redirects: 0,
        bucket,
        queue,
        loop_key,
        breadth,
        proving: Vec::new(),
        silent: Vec::new(),
        refusals: Vec::new(),
        refusal: None,
        mailbox: None,
        is_left_message: false,
        won: None,
        is_cancelled: false,
        is_timed_out: false,
        is_unreached: false,
        offer: Offer::default(),
        winner: None,
        has_rung: false,
        has_sounded: false,
        began: Instant::now(),
    };
    forwarding.run(answers, late).await;
}

/// What ended a wait.
enum Woken {
    Answer(usize, Answer),
    Cancelled,
    LateDevice,
    FewerComing,
    Silence,
    TimeIsUp,
}

impl Forwarding<'_> {
    async fn run(&mut self, mut answers: mpsc::Receiver<(usize, Answer)>, mut late: Option<Waiting<'_>>) {
        let is_invite = self.request.method() == "INVITE";
        // Others bound their own ringing: a queue of a carrier's may take long (§16.6, item 11).
        let rings = self.route.callee.is_some();
        let mut patience = Patience::new(&self.server.config.timers, is_invite, rings, Instant::now());
        let is_tied = is_invite && self.route.caller.is_some() && is_tied(&self.request, &self.flow);
        // Once for all answers: each would put it off.
        let (server, flow) = (self.server, self.flow);
        let mut gone = is_tied.then(|| Box::pin(async move { gone(server, &flow).await }));
        let mut hurry = (!is_invite).then(|| Instant::now() + TRYING);
        let mut groups = destination::in_rounds(std::mem::take(&mut self.route.groups), self.breadth);
        let Some(first) = self.next(&mut groups).await else { return self.conclude().await };
        if !self.relay_again(&first).await {
            let mut response = Message::response(&self.request, 500, "");
            response.push(Name::RetryAfter, RETRY_AFTER);
            return self.respond(response);
        }
        self.start(first).await;
        patience.round(Instant::now());
        loop {
            let woken = tokio::select! {
                Some((id, answer)) = answers.recv() => Woken::Answer(id, answer),
                () = self.handle.cancelled(), if !self.is_cancelled => Woken::Cancelled,
                () = ended(gone.as_mut()), if is_tied && !self.is_cancelled => Woken::Cancelled,
                () = bound(late.as_mut()), if !self.context.is_closing() => Woken::LateDevice,
                () = self.bucket.dwindled(), if self.bucket.is_waiting() && !self.context.is_closing() => Woken::FewerComing,
                () = tokio::time::sleep_until(patience.deadline().into()) => Woken::TimeIsUp,
                () = over(self.silent.iter().map(|(until, _)| *until).min()) => Woken::Silence,
                () = over(hurry) => {
                    hurry = None;
                    self.handle.respond(Message::response(&self.request, 100, ""));
                    continue;
                }
            };
            let mut actions = Vec::new();
            match woken {
                Woken::Answer(id, answer) => {
                    patience.heard(&answer, Instant::now());
                    self.take(id, answer, &mut actions).await;
                    groups.append(&mut self.later);
                    let is_won = actions.iter().any(|action| matches!(action, Action::Cancel(_)));
                    if is_won && self.context.is_closing() && !patience.is_ending() {
                        patience.ending(Instant::now());
                    }
                }
                Woken::Cancelled => {
                    self.is_cancelled = true;
                    patience.ending(Instant::now());
                    self.context.close(&mut actions);
                }
                Woken::LateDevice => {
                    let was_waited_for = self.bucket.is_waiting();
                    let is_started = Box::pin(self.start_late(&mut groups)).await;
                    groups.append(&mut self.later);
                    if is_started && was_waited_for && !patience.is_ending() {
                        // Who was waited for has all the time that a phone has to ring; who comes by itself has what is left.
                        patience.round(Instant::now());
                    }
                }
                Woken::FewerComing => {}
                Woken::Silence => Box::pin(self.pass_silent_over(&mut actions)).await,
                // The branches had their time to end (§9.1: 64*T1 after the CANCEL).
                Woken::TimeIsUp if patience.is_ending() => match groups.pop_front() {
                    Some(group) if !self.context.is_closing() => {
                        patience.round(Instant::now());
                        self.start(group).await;
                    }
                    _ => break,
                },
                Woken::TimeIsUp if groups.is_empty() && !self.is_taken_elsewhere(&mut groups).await => {
                    self.is_timed_out = true;
                    // §16.8: who lost their network while they rang is not waited for.
                    patience.ending_round(Instant::now());
                    self.context.close(&mut actions);
                }
                Woken::TimeIsUp => {
                    patience.ending_round(Instant::now());
                    self.context.end_round(&mut actions);
                }
            }
            let is_exhausted = self.carry_out(actions, is_invite).await;
            let is_nobody_left = !self.context.has_open_branch() && !self.bucket.is_waiting();
            if is_exhausted || (groups.is_empty() && is_nobody_left) {
                match self.next(&mut groups).await {
                    Some(group) if group.is_empty() => {}
                    Some(group) => {
                        patience.round(Instant::now());
                        self.start(group).await;
                    }
                    None => break,
                }
            }
            if self.context.is_answered() && !self.context.has_open_branch() {
                break;
            }
        }
        self.conclude().await;
    }

    /// The next targets: nothing while devices are being woken, and the callee's mailbox after the last. `None` when there
    /// is nobody to try any more.
    async fn next(&mut self, groups: &mut VecDeque<Vec<Branch>>) -> Option<Vec<Branch>> {
        if self.context.is_closing() {
            return None;
        }
        if groups.is_empty() && !self.bucket.is_waiting() {
            self.is_taken_elsewhere(groups).await;
        }
        groups.pop_front().or_else(|| self.bucket.is_waiting().then(Vec::new))
    }

    /// Sends what the context wants sent. Whether every branch has ended.
    async fn carry_out(&mut self, actions: Vec<Action>, is_invite: bool) -> bool {
        let mut is_exhausted = false;
        for action in actions {
            match action {
                Action::Respond(response) => self.respond(*response),
                Action::Cancel(id) => {
                    if let Some(Started { cancel, .. }) = self.started.get(id).filter(|_| is_invite) {
                        cancel.send(&self.cancel_reason()).await;
                    }
                }
                Action::Exhausted => is_exhausted = true,
            }
        }
        is_exhausted && !self.context.has_open_branch()
    }

    /// Why a branch is cancelled (RFC 3326 §2): phones show no missed call for one that was answered elsewhere.
    pub(super) fn cancel_reason(&self) -> String {
        if self.is_cancelled {
            return self.handle.cancel_reason().to_owned();
        }
        if self.context.is_answered() {
            return "SIP;cause=200;text=\"Call completed elsewhere\"".to_owned();
        }
        if self.context.is_closing() && !self.is_timed_out {
            return "SIP;cause=603;text=\"Declined elsewhere\"".to_owned();
        }
        "SIP;cause=408;text=\"No answer\"".to_owned()
    }

    pub(super) async fn start(&mut self, group: Vec<Branch>) {
        let breadth = share_breadth(self.breadth, group.len());
        for branch in group {
            self.start_one(branch, breadth).await;
        }
    }

    pub(super) async fn start_one(&mut self, mut branch: Branch, breadth: usize) {
        if branch.to == Destination::Foreign {
            let bytes = self.request.to_bytes().len() + OUR_HEADERS + self.server.stir.bytes();
            branch.flow = self.server.endpoint().sized(branch.flow, bytes);
        }
        if branch.history.is_empty() {
            branch.history = self.first_stations(&branch);
        }
        self.tried.insert(branch.uri.clone().unwrap_or_else(|| self.request.uri().to_owned()));
        let is_again = self.request.method() == "INVITE" && self.request.is_in_dialog();
        if is_again && branch.trunk.is_some() && branch.ahead != self.route.ahead_of_invite {
            // Its ACK has its number (§13.2.2.4), whether or not it is asked for proof.
            self.note_ahead(branch.ahead).await;
            self.route.ahead_of_invite = branch.ahead;
        }
        let tag = self.context.start();
        let mut request = self.copy_for(&branch, breadth);
        let is_relayed = self.relay_offer(&branch, &mut request).await;
        let reply = ReplyTo { queue: self.queue.clone(), tag };
        let cancel = self.server.endpoint().request_into(request, branch.flow, &self.loop_key, reply).await;
        if let Some(trunk) = branch.trunk.as_ref().filter(|_| self.route.outside.is_some()) {
            if !self.proving.contains(&tag) {
                trunk.metrics.calls_out.inc();
            }
            self.silent.push((Instant::now() + trunk.config().answer, tag));
        } else if self.route.number.is_some() {
            self.silent.push((Instant::now() + PEER_ANSWERS, tag));
        }
        self.started.push(Started { branch, cancel, is_relayed });
    }

    /// Rings what has registered since, but for what `waiting` has for later. Whether there was something.
    async fn start_late(&mut self, waiting: &mut VecDeque<Vec<Branch>>) -> bool {
        let Some(callee) = self.route.callee.clone() else { return false };
        // A store that does not answer costs the late device this call, and no other.
        let device = self.route.device.as_ref();
        let Ok(devices) = destination::devices(self.server, &callee, device).await else { return false };
        self.bucket.keep(&devices.asleep);
        let mut is_started = false;
        let is_secure = sips::is_asked(self.request.uri());
        let suits = |branch| if is_secure { sips::secured(branch) } else { Some(branch) };
        let branches = devices.groups.into_iter().flatten().filter_map(suits);
        let disposition = self.wishes.as_ref().map(|wishes| wishes.disposition).unwrap_or_default();
        for branch in branches.filter(|branch| self.is_new(branch)).collect::<Vec<_>>() {
            if self.wishes.as_ref().is_some_and(|wishes| !wishes::suits(wishes, &branch.features))
                || (disposition.one_only && !self.started.is_empty())
            {
                continue;
            }
            let is_it = |known: &&mut Branch| known.uri == branch.uri || known.is_same_device(&branch);
            if let Some(known) = waiting.iter_mut().flatten().find(is_it) {
                // It has its turn, by where it is now.
                *known = branch;
                continue;
            }
            if disposition.search == Some(Search::Sequential) && self.context.has_open_branch() {
                self.later.push_back(vec![branch]);
                continue;
            }
            tracing::debug!("a device that registered while others ring is rung too");
            let is_in_dialog = self.request.is_in_dialog();
            let branch = if is_in_dialog { branch.within_dialog() } else { branch };
            self.start_one(branch, 1).await;
            is_started = true;
        }
        is_started
    }

    /// Whether a device was not rung yet, or was by a flow that is closed by now.
    fn is_new(&self, branch: &Branch) -> bool {
        let (mut known, is_in_dialog) = (false, self.request.is_in_dialog());
        for Started { branch: started, .. } in &self.started {
            if started.uri == branch.uri || is_in_dialog {
                known = true;
                if self.server.endpoint().is_open(&started.flow) {
                    return false;
                }
            }
        }
        known || is_in_dialog || branch.uri.as_ref().is_some_and(|uri| !self.tried.contains(uri))
    }

    /// The copy that goes to one branch (§16.6).
    fn copy_for(&self, branch: &Branch, breadth: usize) -> Message {
        let mut request = self.request.clone();
        let target = branch.uri.as_deref().map(|uri| sips::as_asked(uri, self.request.uri()));
        prepare_copy(&mut request, target.as_deref());
        for hop in branch.path.iter().rev() {
            request.push_front(Name::Route, hop);
        }
        sip_core::proxy::serve_strict_router(&mut request);
        ahead::count(&mut request, branch.ahead, self.route.ahead_of_invite);
        // RFC 5393 §5.3.3: in every request that goes on.
        request.set(Name::MaxBreadth, &breadth.to_string());
        // RFC 3323 §5: what was asked of us is done here.
        request.retain_elements(Name::ProxyRequire, |option| !option.eq_ignore_ascii_case("privacy"));
        remove_our_credentials(&mut request, &self.server.domains);
        features::apply(&mut request, &self.passage(branch));
        self.apply_trunks(&mut request, branch);
        self.sign_or_mark(&mut request, branch.to);
        let is_known = self.route.caller.is_some();
        let of_caller = match self.route.from_trunk {
            None => caller_followed(&self.request, &self.flow, is_known),
            Some(_) => Followed::Nowhere,
        };
        let sides = [
            Side { flow: &self.flow, reach: of_caller, ahead: 0 },
            Side { flow: &branch.flow, reach: callee_followed(branch), ahead: branch.ahead },
        ];
        record_route(&mut request, self.request.uri(), self.server, sides);
        request
    }

    /// What trunks want to see, and what they are believed.
    fn apply_trunks(&self, request: &mut Message, branch: &Branch) {
        if let Some(from) = self.route.from_trunk.as_ref().filter(|_| !self.route.is_anonymous) {
            for asserted in asserted_by(&self.request, from, &self.server.domains) {
                request.push(Name::PAssertedIdentity, &asserted);
            }
        }
        if branch.to == features::Destination::Trusted {
            // RFC 7315 §4.2: which of its addresses was called. Nobody says that to endpoints of ours but we.
            request.remove_other(CALLED);
            if self.route.is_to_rooms_number {
                request.push_other(CALLED, &format!("<{}>", self.request.uri()));
            }
        }
        let Some(trunk) = &branch.trunk else { return };
        if let Some(outside) = &self.route.outside {
            let number = outside.number.as_deref();
            let domain = self.route.payer().map_or(self.server.domains.main(), |payer| payer.aor.domain());
            let domain = &idn::to_ascii(domain);
            let shown = Shown { number, is_anonymous: self.route.is_anonymous, domain };
            trunk.show_caller(request, shown, &self.server.plan);
        }
        if let Some(credentials) = &trunk.credentials {
            credentials.put(request, self.server.endpoint().random());
        }
    }

    /// RFC 8224: calls of our users to other domains are signed, those of strangers are marked by what their signature is.
    fn sign_or_mark(&self, request: &mut Message, to: Destination) {
        let is_call = request.method() == "INVITE" && !request.is_in_dialog();
        let numbers = self.route.outside.as_ref().and_then(Outside::numbers);
        let is_ours = self.route.caller.is_some() || numbers.is_some();
        match (to, &self.route.caller) {
            (Destination::Foreign, _) if is_call && is_ours => {
                self.server.stir.sign(request, numbers, shared_runtime::unix_millis() / 1_000);
            }
            (Destination::Device | Destination::Trusted, None) if is_call && self.is_strangers() => {
                stir::mark(request, self.route.verstat);
            }
            _ => {}
        }
    }

    /// Whether nobody vouches for who sent the request.
    pub(super) fn is_strangers(&self) -> bool {
        self.route.caller.is_none() && !self.route.is_trusted && !is_trusted_peer(self.server, &self.flow)
    }

    fn passage<'a>(&'a self, branch: &'a Branch) -> Passage<'a> {
        Passage {
            caller: self.route.caller.as_ref(),
            sender: self.route.sender.as_ref(),
            vouched: self.route.vouched.as_ref(),
            asserted: self.route.asserted.as_deref(),
            from_trusted: self.is_from_trusted_peer()
                && !voicemail::opens(self.server, branch, &self.request),
            to_trusted: branch.to == Destination::Foreign && is_trusted_peer(self.server, &branch.flow),
            is_anonymous: self.route.is_anonymous,
            is_initial: !self.request.is_in_dialog(),
            is_ours: self.flow.transport == sip_endpoint::Transport::InProcess,
            to: branch.to,
            domains: &self.server.domains,
            history: &branch.history,
            card: self.server.config.card(),
            session: self.server.config.session(),
        }
    }

    /// Whether the request came from a trusted peer. Who proved to be a user of ours is a device, wherever it is, and a
    /// trunk is believed as its own configuration says.
    pub(super) fn is_from_trusted_peer(&self) -> bool {
        let is_known = self.route.caller.is_some() || self.route.from_trunk.is_some();
        !is_known && is_trusted_peer(self.server, &self.flow)
    }

    async fn take(&mut self, id: usize, answer: Answer, actions: &mut Vec<Action>) {
        self.silent.retain(|(_, silent)| *silent != id);
        let mut answer = answer;
        if let Answer::Response(response) = &mut answer
            && self.started.get(id).is_some_and(|one| one.branch.ahead > 0)
        {
            ahead::count_back(response, &self.request);
        }
        let answer = match self.heard_by_trunk(id, answer).await {
            Some(answer) => answer,
            None => return self.context.redirected(id, actions),
        };
        if self.try_another_way(id, &answer).await {
            return self.context.redirected(id, actions);
        }
        self.note_end(id, &answer).await;
        match answer {
            // Who it is that refuses, nobody knows (RFC 5626 §5.3.1): the dialog must not end with it.
            Answer::Response(response)
                if response.status() >= 300 && self.route.astray == Some(Astray::Guessed) =>
            {
                self.context.failed(id, Message::response(&self.request, 430, ""), actions);
            }
            Answer::Response(mut response) => {
                let branch = response.pop_front(Name::Via);
                if self.request.method() == "INVITE" && (200..300).contains(&response.status()) {
                    self.won = branch;
                }
                self.is_left_message |= self.is_mailbox(id) && (200..300).contains(&response.status());
                self.note_dialog(id, &response);
                if (300..400).contains(&response.status()) && Box::pin(self.follow(id, &response)).await {
                    return self.context.redirected(id, actions);
                }
                self.relay_answer(id, &mut response).await;
                self.dress(id, &mut response);
                self.context.response(id, *response, actions);
            }
            Answer::Failed(failure) => {
                self.is_unreached |= failure == Failure::Unreachable
                    && self.started.get(id).is_some_and(|one| one.branch.to == Destination::Device);
                // §16.8, §16.9: a branch that is silent counts as 408, one that cannot be reached as 503.
                let status = match failure {
                    // The device comes back: its dialog must not end with this (RFC 5626 §5.3.1, RFC 5057 §5.1).
                    _ if matches!(self.route.astray, Some(Astray::FlowGone | Astray::Guessed)) => 430,
                    Failure::Timeout => 408,
                    _ => 503,
                };
                self.context.failed(id, Message::response(&self.request, status, ""), actions);
            }
        }
    }
}

/// RFC 3261 §22.3: credentials for our realm were for us.
fn remove_our_credentials(request: &mut Message, domains: &Domains) {
    let is_ours = |auth: AuthParams<'_>| auth.value("realm").is_some_and(|realm| domains.has(&realm));
    request.retain_values(Name::ProxyAuthorization, |value| !AuthParams::parse(value).is_some_and(is_ours));
}

const CALLED: &str = "P-Called-Party-ID";
/// RFC 4320 §4.1: by now the sender of another request than INVITE asks at its longest interval (Timer E at T2).
const TRYING: Duration = Duration::from_millis(3_500);
/// How long the peer of a number may be silent, where carriers take it too.
const PEER_ANSWERS: Duration = Duration::from_secs(5);
/// Seconds, until another relay may be there.
pub(super) const RETRY_AFTER: &str = "5";
/// Answers of all branches that wait.
const ANSWERS: usize = 64;
/// Bytes of what is put on a request on its way: Via, two Record-Routes, an identity.
const OUR_HEADERS: usize = 400;
