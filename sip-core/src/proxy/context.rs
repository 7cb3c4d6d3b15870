//! The response context — RFC 3261 §16.7: many branches, one answer.
//!
//! In    responses and failures of branches, a CANCEL from the caller, the end of patience.
//! Out   [`Action`]s: what to send up, which branches to cancel.
//! State the best final response so far, and which branches are still open.
//! Not here: Timer C and the ringing bound, whose clocks the shell keeps; it says when they end.

use smallvec::SmallVec;

use crate::Message;
use crate::header::Name;

/// Names a branch within its context: its place in the target set.
pub type BranchId = usize;

/// What the shell does next.
#[derive(Debug)]
pub enum Action {
    /// Send this response to the caller.
    Respond(Box<Message>),
    /// Send a CANCEL on this branch, or as soon as it has a provisional response (§9.1).
    Cancel(BranchId),
    /// Every branch has ended without success in this round: try the next targets, or call `conclude`.
    Exhausted,
}

/// The state of one forwarded request.
#[derive(Debug, Default)]
pub struct ResponseContext {
    branches: SmallVec<[Branch; 4]>,
    best: Option<Box<Message>>,
    challenges: Vec<(Name, String)>,
    is_answered: bool,
    is_closing: bool,
    keeps_others: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Branch {
    Open,
    Cancelled,
    Ended,
}

impl ResponseContext {
    /// A request that has no branch yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A 2xx cancels no other branch: whoever called does (RFC 3841 §9.1, no-cancel).
    pub fn keep_others(&mut self) {
        self.keeps_others = true;
    }

    /// The status of the best refusal so far.
    pub fn best(&self) -> Option<u16> {
        self.best.as_ref().map(|best| best.status())
    }

    /// Another branch was started.
    pub fn start(&mut self) -> BranchId {
        self.branches.push(Branch::Open);
        self.branches.len() - 1
    }

    /// Whether a final response went to the caller.
    pub fn is_answered(&self) -> bool {
        self.is_answered
    }

    /// Whether some branch has no final response yet.
    pub fn has_open_branch(&self) -> bool {
        self.branches.iter().any(|branch| *branch != Branch::Ended)
    }

    /// Whether no further targets should be tried: it was answered, cancelled, or declined everywhere.
    pub fn is_closing(&self) -> bool {
        self.is_closing || self.is_answered
    }

    /// A branch answered; `response` has our Via no more.
    pub fn response(&mut self, id: BranchId, response: Message, out: &mut Vec<Action>) {
        match response.status() {
            // §16.7, item 5: 100 is for one hop.
            ..=100 => {}
            101..200 => {
                if !self.is_answered {
                    out.push(Action::Respond(Box::new(response)));
                }
            }
            200..300 => {
                self.end(id);
                // Every 2xx goes up, even after another (§16.7, item 5).
                self.is_answered = true;
                out.push(Action::Respond(Box::new(response)));
                if !self.keeps_others {
                    self.cancel_open(out);
                }
            }
            status => {
                self.end(id);
                if status >= 600 {
                    // §16.7, item 5: a 6xx ends the search, and goes up when the others have ended.
                    self.is_closing = true;
                    self.cancel_open(out);
                }
                self.keep_if_better(response);
                self.check_exhausted(out);
            }
        }
    }

    /// A branch found no answer; `instead` is the response that stands for that (§16.8, §16.9: 408 or 503).
    pub fn failed(&mut self, id: BranchId, instead: Message, out: &mut Vec<Action>) {
        if self.branches.get(id) == Some(&Branch::Ended) {
            return;
        }
        self.end(id);
        self.keep_if_better(instead);
        self.check_exhausted(out);
    }

    /// A branch was redirected, and its targets are tried in its place (§16.7, item 4): it has no response of its own.
    pub fn redirected(&mut self, id: BranchId, out: &mut Vec<Action>) {
        self.end(id);
        self.check_exhausted(out);
    }

    /// The targets of this round had their time: cancels every open branch; others may be tried after it.
    pub fn end_round(&mut self, out: &mut Vec<Action>) {
        self.cancel_open(out);
        self.check_exhausted(out);
    }

    /// The caller cancelled (§16.10), or patience ended: cancels every open branch and tries no more.
    pub fn close(&mut self, out: &mut Vec<Action>) {
        self.is_closing = true;
        self.cancel_open(out);
        self.check_exhausted(out);
    }

    /// Every target was tried: the best response goes up; `otherwise` if there is none.
    pub fn conclude(&mut self, otherwise: Message) -> Option<Message> {
        if std::mem::replace(&mut self.is_answered, true) {
            return None;
        }
        let mut best = self.best.take().map_or(otherwise, |best| *best);
        if matches!(best.status(), 401 | 407) {
            // §16.7, item 7: all challenges of all branches together.
            best.remove(Name::WwwAuthenticate);
            best.remove(Name::ProxyAuthenticate);
            for (name, challenge) in self.challenges.drain(..) {
                best.push(name, &challenge);
            }
        }
        if best.status() == 503 {
            // §16.7, item 6: a 503 of a branch says nothing of other requests through us.
            let mut softened = Message::response(&best, 500, "");
            softened.remove(Name::ContentLength);
            softened.push(Name::ContentLength, "0");
            best = softened;
        }
        Some(best)
    }

    fn end(&mut self, id: BranchId) {
        if let Some(branch) = self.branches.get_mut(id) {
            *branch = Branch::Ended;
        }
    }

    fn cancel_open(&mut self, out: &mut Vec<Action>) {
        for (id, branch) in self.branches.iter_mut().enumerate() {
            if *branch == Branch::Open {
                *branch = Branch::Cancelled;
                out.push(Action::Cancel(id));
            }
        }
    }

    fn check_exhausted(&self, out: &mut Vec<Action>) {
        if !self.is_answered && !self.has_open_branch() {
            out.push(Action::Exhausted);
        }
    }

    fn keep_if_better(&mut self, response: Message) {
        for name in [Name::WwwAuthenticate, Name::ProxyAuthenticate] {
            self.challenges.extend(response.values(name).map(|challenge| (name, challenge.to_owned())));
        }
        if self.best.as_ref().is_none_or(|best| rank(response.status()) < rank(best.status())) {
            self.best = Some(Box::new(response));
        }
    }
}

/// §16.7, item 6: 6xx first, then the lowest class, and in it those that tell the caller what to do; 503 and what
/// merely says that a branch was cancelled or silent come last.
fn rank(status: u16) -> (u8, u8) {
    let class = match status {
        600.. => 0,
        300..400 => 1,
        400..500 => 2,
        _ => 3,
    };
    let within = match status {
        401 | 407 | 415 | 420 | 484 => 0,
        487 | 408 => 2,
        503 => 2,
        _ => 1,
    };
    (class, within)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16) -> Message {
        let mut request = Message::request("INVITE", "sip:b@x");
        request.push(Name::To, "<sip:b@x>");
        Message::response(&request, status, "")
    }

    fn told(actions: Vec<Action>) -> Vec<String> {
        actions
            .iter()
            .map(|action| match action {
                Action::Respond(response) => response.status().to_string(),
                Action::Cancel(id) => format!("cancel {id}"),
                Action::Exhausted => "exhausted".to_owned(),
            })
            .collect()
    }

    fn run(answers: &[(usize, u16)]) -> (Vec<String>, Option<u16>) {
        let mut context = ResponseContext::new();
        for _ in 0..2 {
            context.start();
        }
        let mut out = Vec::new();
        for (id, status) in answers {
            context.response(*id, response(*status), &mut out);
        }
        let best = context.conclude(response(408)).map(|best| best.status());
        (told(out), best)
    }

    #[test]
    fn the_first_success_cancels_the_others() {
        assert_eq!(run(&[(0, 100), (0, 180), (1, 200), (0, 487)]).0, ["180", "200", "cancel 0"]);
        assert_eq!(run(&[(1, 200), (0, 200)]).0, ["200", "cancel 0", "200"], "both 2xx go up");
    }

    #[test]
    fn the_best_refusal_goes_up_when_all_have_refused() {
        assert_eq!(run(&[(0, 404), (1, 486)]), (vec!["exhausted".to_owned()], Some(404)));
        assert_eq!(run(&[(0, 500), (1, 486)]).1, Some(486));
        assert_eq!(run(&[(0, 486), (1, 401)]).1, Some(401));
        assert_eq!(run(&[(0, 503), (1, 503)]).1, Some(500), "a 503 is softened");
        assert_eq!(run(&[(0, 408), (1, 486)]).1, Some(486));
    }

    #[test]
    fn a_decline_everywhere_ends_the_search() {
        let (told, best) = run(&[(0, 603), (1, 487)]);
        assert_eq!((told, best), (vec!["cancel 1".to_owned(), "exhausted".to_owned()], Some(603)));
    }

    #[test]
    fn a_round_that_had_its_time_is_followed_by_another() {
        let mut context = ResponseContext::new();
        context.start();
        let mut out = Vec::new();
        context.end_round(&mut out);
        assert!(!context.is_closing());
        context.response(0, response(487), &mut out);
        let next = context.start();
        context.response(next, response(302), &mut out);
        context.redirected(next, &mut out);
        assert_eq!(told(out), ["cancel 0", "exhausted", "exhausted", "exhausted"]);
    }

    #[test]
    fn a_cancelled_call_waits_for_its_branches() {
        let mut context = ResponseContext::new();
        context.start();
        let mut out = Vec::new();
        context.close(&mut out);
        context.response(0, response(487), &mut out);
        assert_eq!(told(out), ["cancel 0", "exhausted"]);
        assert_eq!(context.conclude(response(408)).unwrap().status(), 487);
        assert!(context.conclude(response(408)).is_none(), "answered once");
    }
}
