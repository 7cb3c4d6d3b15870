//! What is tried when a branch comes to nothing — RFC 3263 §4.3 (another server), RFC 5626 §7 (another flow), RFC 3261 §16.7,
//! item 4 (where a redirect leads), another trunk or the proof that it asks for, and at last the callee's mailbox.
//!
//! In    a branch and its answer, or its silence. Out a new branch in its place, if there is one.
//! State what was tried, in the [`Forwarding`]; nothing is tried twice.

use std::collections::VecDeque;
use std::time::Instant;

use shared_auth::AccountCard;
use shared_model::Aor;
use sip_core::proxy::Action;
use sip_core::transaction::Failure;
use sip_core::{Message, Uri};
use sip_endpoint::Answer;

use super::fork::{Forwarding, Started};
use super::redirect::{self, Onward};
use crate::caller;
use crate::cost::{self, Asked};
use crate::destination::{self, Found as Led};
use crate::dialogs::Ahead;
use crate::features::Destination;
use crate::features::history_info::{Found, Station};
use crate::location::{Branch, Way};
use crate::numbers::Dialled;
use crate::sips;
use crate::trunks::{Trunk, wait_of};
use crate::voicemail;
use crate::wishes;

impl Forwarding<'_> {
    /// What a trunk's answer says of the trunk. `None` if it asked who we are, and was told in a request of its own; a
    /// caller cannot answer for us, so that for them a challenge is a trunk that does not work.
    pub(super) async fn heard_by_trunk(&mut self, id: usize, answer: Answer) -> Option<Answer> {
        let Some(Started { branch, .. }) = self.started.get(id) else { return Some(answer) };
        let Some(trunk) = branch.trunk.clone() else { return Some(answer) };
        let response = match &answer {
            Answer::Response(response) => response,
            Answer::Failed(failure) => {
                trunk.note_failed("a call could not be sent");
                self.note_refusal(
                    &trunk,
                    match failure {
                        Failure::Timeout => "no answer",
                        Failure::Unreachable => "no connection",
                    },
                );
                return Some(answer);
            }
        };
        match response.status() {
            401 | 407 => {
                // §22.2: what proves who we are is another request.
                let branch = Branch { ahead: branch.ahead + 1, ..branch.clone() };
                let was_answer = self.proving.contains(&id);
                let is_answerable = self.proving.len() < MOST_CHALLENGES
                    && trunk.credentials.as_ref().is_some_and(|own| own.challenged(response, was_answer));
                if is_answerable && !self.context.is_closing() {
                    self.proving.push(self.started.len());
                    if self.request.method() != "INVITE" {
                        self.note_ahead(branch.ahead).await;
                    }
                    Box::pin(self.start_one(branch, 1)).await;
                    return None;
                }
                tracing::warn!(trunk = trunk.name(), "the trunk does not take our credentials");
                trunk.note_trouble("a call's credentials were not taken");
                self.note_refusal(&trunk, "our credentials were not taken");
                let failed = Message::response(&self.request, 503, "Trunk Not Available");
                return Some(Answer::Response(Box::new(failed)));
            }
            status @ (408 | 503) => {
                trunk.note_failed(format!("a call got {status}"));
                wait_of(response).into_iter().for_each(|time| trunk.rest(time));
            }
            _ => trunk.note_answered(),
        }
        if response.status() >= 300 {
            self.note_refusal(&trunk, &format!("{} {}", response.status(), response.reason()));
        }
        Some(answer)
    }

    /// What a carrier said that did not take a call: the caller's timeline tells it, since the answer that they get may be another's.
    fn note_refusal(&mut self, trunk: &Trunk, said: &str) {
        if self.call_ended_here() || self.refusals.len() >= MOST_REFUSALS {
            return;
        }
        let said: String = said.chars().filter(|c| !c.is_control()).take(LONGEST_REFUSAL).collect();
        tracing::info!(trunk = trunk.name(), said, "a trunk did not take a call");
        self.refusals.push(format!("{}: {}", trunk.name(), said.trim_end()));
    }

    /// Whether it is no call that begins, or one that we ended ourselves.
    fn call_ended_here(&self) -> bool {
        self.request.method() != "INVITE" || self.request.is_in_dialog() || self.context.is_closing()
    }

    /// What follows in the dialog is counted on from here (§12.2.1.1), by another process too.
    pub(super) async fn note_ahead(&self, all: u32) {
        if self.request.is_in_dialog() {
            let of_invite = if self.request.method() == "INVITE" { all } else { self.route.ahead_of_invite };
            let ahead = Ahead { all, of_invite };
            self.server.dialogs.went_ahead(&self.request, ahead, Instant::now());
            self.server.calls.went_ahead(&self.request, ahead).await;
        }
    }

    /// Trunks that said nothing in time are cancelled, and others tried in their place.
    pub(super) async fn pass_silent_over(&mut self, actions: &mut Vec<Action>) {
        let now = Instant::now();
        let (over, left) = std::mem::take(&mut self.silent).into_iter().partition(|(until, _)| *until <= now);
        self.silent = left;
        let over: Vec<(Instant, usize)> = over;
        for (_, id) in over {
            if let Some(trunk) = self.started.get(id).and_then(|one| one.branch.trunk.clone()) {
                trunk.note_failed("a call got no answer");
                self.note_refusal(&trunk, "no answer");
            }
            if self.try_another_way(id, &Answer::Failed(Failure::Timeout)).await {
                if let Some(Started { cancel, .. }) = self.started.get(id) {
                    cancel.send(&self.cancel_reason()).await;
                }
                self.context.redirected(id, actions);
            }
        }
    }

    /// A way that fails is followed by the next: to another address of a server (RFC 3263 §4.3), by another flow of a
    /// device (RFC 5626 §7).
    pub(super) async fn try_another_way(&mut self, id: usize, answer: &Answer) -> bool {
        let (is_server_failure, is_flow_failure) = match answer {
            Answer::Response(response) => (response.status() == 503, matches!(response.status(), 408 | 430)),
            Answer::Failed(_) => (true, true),
        };
        let is_trunk_failure = match answer {
            Answer::Response(response) => matches!(response.status(), 408 | 500 | 502..=504),
            Answer::Failed(_) => true,
        };
        if self.context.is_closing() || !(is_server_failure || is_flow_failure || is_trunk_failure) {
            return false;
        }
        let Some(Started { branch, .. }) = self.started.get_mut(id) else { return false };
        if branch.to == Destination::Foreign && is_server_failure {
            self.server.endpoint().failed(&branch.flow);
        }
        let mut others = std::mem::take(&mut branch.others);
        let branch = branch.clone();
        while let Some(way) = others.pop() {
            let next = match way {
                Way::Server(target) if is_server_failure => {
                    self.server.endpoint().flow_to(&target).map(|flow| Branch { flow, ..branch.clone() })
                }
                Way::Device(device) if is_flow_failure => {
                    Some(Branch { history: branch.history.clone(), ..*device })
                }
                Way::Trunk(trunk, target) if is_trunk_failure => {
                    if let Some(failed) = &branch.trunk {
                        failed.metrics.failures.inc();
                    }
                    let dialled = self.route.outside.as_ref().map(|outside| &outside.dialled);
                    dialled.and_then(|dialled| destination::to_trunk(self.server, &trunk, &target, dialled))
                }
                Way::Server(_) | Way::Device(_) | Way::Trunk(..) => None,
            };
            if let Some(next) = next {
                Box::pin(self.start_one(Branch { others, ..next }, 1)).await;
                return true;
            }
        }
        is_trunk_failure && Box::pin(self.try_carriers(id)).await
    }

    /// The peer that a zone named for a number fails: carriers take it, as if there were no zone (RFC 3263 §4.3). That costs what it costs,
    /// which the caller is told and asked now.
    async fn try_carriers(&mut self, id: usize) -> bool {
        let Some(number) = self.route.number.take() else { return false };
        let found = destination::by_trunks(self.server, Dialled::Number(number)).await;
        let Ok(Led { groups, outside: Some(mut outside), .. }) = found else { return false };
        let Some(payer) = self.route.payer().map(|payer| payer.account) else { return false };
        // The peer's phone does not ring while the caller is asked.
        if let Some(Started { cancel, .. }) = self.started.get(id) {
            cancel.send(&self.cancel_reason()).await;
        }
        outside.number = caller::number(self.server, &self.request, payer).await;
        let rate = outside.rate;
        self.route.outside = Some(outside);
        let asked =
            Asked { server: self.server, request: &self.request, flow: &self.flow, handle: &self.handle };
        match cost::admit(asked, &self.route).await {
            Ok(charge) => {
                self.call = self.server.calls.goes_out(
                    self.call.take(),
                    (&self.request, &mut self.route),
                    rate,
                    charge,
                );
                self.start(groups.into_iter().flatten().take(1).collect()).await;
                true
            }
            Err(refusal) => {
                self.route.outside = None;
                self.is_cancelled |= refusal.status() == 487;
                self.refusal = Some(refusal);
                false
            }
        }
    }

    /// Puts the callee's mailbox behind the targets, if there is one and it is not tried yet.
    pub(super) async fn is_taken_elsewhere(&mut self, groups: &mut VecDeque<Vec<Branch>>) -> bool {
        let is_wanted = self
            .wishes
            .as_ref()
            .is_none_or(|wishes| !wishes.disposition.one_only && wishes::suits(wishes, voicemail::FEATURES));
        if self.mailbox.is_some() || !is_wanted || self.context.is_closing() {
            return false;
        }
        let Some(callee) = self.route.callee.clone() else { return false };
        let (branch, why) = match self.route.mailbox.take() {
            Some((branch, why)) => (Some(branch), why),
            None => {
                let silence = if self.started.is_empty() { 480 } else { 408 };
                let why = self.context.best().unwrap_or(silence);
                (voicemail::branch(self.server, &self.request, &callee).await, why)
            }
        };
        let Some(mut branch) = branch else { return false };
        self.mailbox.clone_from(&branch.uri);
        // RFC 7044 §7.1: whose mailbox it is, and why the call comes there.
        let mut history = self.stations(Vec::new(), (self.request.uri(), None), Some(&callee));
        leave(&mut history, why);
        let uri = branch.uri.as_deref().unwrap_or_default();
        branch.history = self.stations(history, (uri, Some(Found::OtherUser)), None);
        groups.push_back(vec![branch]);
        true
    }

    pub(super) fn is_mailbox(&self, id: usize) -> bool {
        self.mailbox.is_some() && self.started.get(id).is_some_and(|one| one.branch.uri == self.mailbox)
    }

    /// Follows a redirect (§16.7, item 4), if policy wants it and it leads to somewhere new.
    pub(super) async fn follow(&mut self, id: usize, response: &Message) -> bool {
        let is_the_callers = self.wishes.as_ref().is_some_and(|wishes| wishes.disposition.passes_redirects);
        let may_follow = self.server.config.redirect.is_follow()
            && !is_the_callers
            && !self.context.is_closing()
            && !self.request.is_in_dialog()
            && self.redirects < redirect::MOST;
        let Some(Started { branch, .. }) = self.started.get(id).filter(|_| may_follow) else { return false };
        let mut history = match branch.history.is_empty() {
            true => self.stations(Vec::new(), (self.request.uri(), None), None),
            false => branch.history.clone(),
        };
        leave(&mut history, response.status());
        let targets = redirect::targets(response, |uri| self.tried.contains(uri));
        let (mut groups, mut last) = (VecDeque::<Vec<Branch>>::new(), None);
        for Onward { q, uri, found } in targets {
            let mut branches = self.redirected(&uri).await;
            for branch in &mut branches {
                let callee = branch.callee.clone();
                branch.history = self.stations(history.clone(), (&uri, found), callee.as_deref());
            }
            match groups.back_mut().filter(|_| last == Some(q)) {
                Some(group) => group.extend(branches),
                None if branches.is_empty() => {}
                None => {
                    groups.push_back(branches);
                    last = Some(q);
                }
            }
            self.tried.insert(uri);
        }
        let Some(first) = groups.pop_front() else { return false };
        self.redirects += 1;
        self.later.append(&mut groups);
        self.start(first).await;
        true
    }

    /// Where a request was before its first target: nowhere, unless the number plan or another name led there.
    pub(super) fn first_stations(&self, branch: &Branch) -> Vec<Station> {
        let asked = self.request.uri();
        match (&branch.callee, &branch.uri) {
            _ if self.request.is_in_dialog() => Vec::new(),
            (Some(callee), _) if self.is_other_name(asked, callee) => {
                self.stations(Vec::new(), (asked, None), Some(callee))
            }
            (None, Some(uri)) if branch.to == Destination::Trusted && self.request.method() == "INVITE" => {
                let room = self.stations(Vec::new(), (asked, None), None);
                self.stations(room, (uri, Some(Found::SameUser)), None)
            }
            _ => Vec::new(),
        }
    }

    /// The stations of a request that came from some to a URI, and so to whoever is called by it. §10.4 of RFC 7044: by another name or
    /// number of theirs too.
    fn stations(
        &self,
        mut before: Vec<Station>,
        (uri, found): (&str, Option<Found>),
        callee: Option<&AccountCard>,
    ) -> Vec<Station> {
        let domain = self.server.domains.main();
        before.push(Station::new(uri, found, domain));
        if let Some(callee) = callee.filter(|callee| self.is_other_name(uri, callee)) {
            before.push(Station::new(&callee.aor.to_sip_uri(), Some(Found::SameUser), domain));
        }
        before
    }

    /// Whether a callee is called by a URI that is not their AOR, and none of a device of theirs.
    fn is_other_name(&self, uri: &str, callee: &AccountCard) -> bool {
        Uri::parse(uri).is_some_and(|uri| {
            let aor = || Aor::new(&uri.user_unescaped(), self.server.domain_of(&uri));
            let is_aor = uri.is_sip() && aor().is_ok_and(|aor| aor == callee.aor);
            !is_aor && !uri.params.has("gr")
        })
    }

    /// Where the target of a redirect leads: devices of somebody of ours, or where the caller may go.
    async fn redirected(&self, target: &str) -> Vec<Branch> {
        let Some(uri) = Uri::parse(target) else { return Vec::new() };
        if uri.is_sips() != sips::is_asked(self.request.uri()) {
            // RFC 5630 §5.3: the caller decides.
            return Vec::new();
        }
        match destination::find(self.server, &uri, self.route.is_trusted).await {
            // Whoever is called may not send the caller where they would pay.
            Ok(found) if found.outside.is_some() => Vec::new(),
            Ok(found) => {
                let groups = match &self.wishes {
                    // §7.2.4 of RFC 3841: what a redirect adds is sorted too.
                    Some(wishes) => wishes::arrange(wishes, found.groups, Vec::new()).0,
                    None => found.groups,
                };
                let mut branches: Vec<_> = groups.into_iter().flatten().take(MOST_BRANCHES).collect();
                for branch in branches.iter_mut().filter(|branch| branch.uri.is_none()) {
                    branch.uri = Some(target.to_owned());
                }
                branches
            }
            Err(nowhere) => {
                tracing::debug!(?nowhere, "a redirect leads nowhere");
                Vec::new()
            }
        }
    }
}

/// The last station sent the request on.
fn leave(history: &mut [Station], status: u16) {
    if let Some(last) = history.last_mut() {
        last.status = Some(status);
    }
}

/// What trunks said that is kept of one call, and characters of each.
const MOST_REFUSALS: usize = 8;
const LONGEST_REFUSAL: usize = 80;
/// Challenges of trunks that one request answers.
const MOST_CHALLENGES: usize = 4;
/// Branches that one redirect may start.
const MOST_BRANCHES: usize = 10;
