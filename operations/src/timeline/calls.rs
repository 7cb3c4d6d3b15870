//! Calls under way: whose a Call-ID is — facts after the first do not say it again.
//!
//! In    the beginning of a call. Out both sides, until it is over.
//! State at most [`MOST`] calls; the oldest gives its place, and what follows of it is told to nobody.

use std::collections::{HashMap, VecDeque};

use shared_model::{Branches, CallOutcome};

/// Calls by their Call-ID.
#[derive(Default)]
pub(super) struct Calls {
    live: HashMap<String, (u64, Call)>,
    order: VecDeque<(u64, String)>,
    next: u64,
}

/// A call under way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Call {
    /// Its sides that are accounts of ours.
    pub(super) branches: Branches,
    /// The side that is not, as entries are found by it.
    pub(super) stranger: Option<String>,
    pub(super) has_rung: bool,
}

impl Call {
    /// How it ended, in words.
    pub(super) fn ending(&self, outcome: CallOutcome) -> (&'static str, String) {
        let rung = if self.has_rung { "after it rang" } else { "before it rang" };
        match outcome {
            CallOutcome::Completed if self.branches.is_answered() => {
                ("call_ended", "it is over: hung up".to_owned())
            }
            CallOutcome::Completed => ("call_ended", "it is over".to_owned()),
            CallOutcome::Cancelled => ("call_cancelled", format!("the caller gave up {rung} (487)")),
            CallOutcome::NoAnswer => ("call_missed", format!("nobody answered, {rung} (408)")),
            CallOutcome::Refused(status) => {
                let meaning = match status {
                    404 => "nobody has that address",
                    403 => "it is not allowed",
                    480 => "no device of theirs is registered, or none wants it",
                    486 | 600 => "busy",
                    488 | 606 => "no sound that both sides know",
                    502..=504 => "the way there is broken",
                    603 => "declined",
                    607 => "not wanted",
                    _ => "refused",
                };
                ("call_refused", format!("{meaning} ({status})"))
            }
        }
    }
}

impl Calls {
    /// A call begins that is not known.
    pub(super) fn begin(&mut self, call_id: &str, call: Call) {
        self.next += 1;
        self.live.insert(call_id.to_owned(), (self.next, call));
        self.order.push_back((self.next, call_id.to_owned()));
        while self.live.len() > MOST || self.order.len() > 2 * MOST {
            let Some((number, oldest)) = self.order.pop_front() else { break };
            if self.live.get(&oldest).is_some_and(|(it, _)| *it == number) {
                self.live.remove(&oldest);
            }
        }
    }

    /// A call that is under way.
    pub(super) fn get(&mut self, call_id: &str) -> Option<&mut Call> {
        self.live.get_mut(call_id).map(|(_, call)| call)
    }

    /// It is over.
    pub(super) fn end(&mut self, call_id: &str) -> Option<Call> {
        self.live.remove(call_id).map(|(_, call)| call)
    }
}

/// Calls under way that are followed.
const MOST: usize = 50_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_gives_its_place() {
        let mut calls = Calls::default();
        for n in 0..=MOST {
            calls.begin(&n.to_string(), Call::default());
        }
        assert_eq!(calls.live.len(), MOST);
        assert_eq!(calls.get("0"), None);
        for n in 0..10 * MOST {
            calls.begin("again", Call::default());
            assert!(calls.end("again").is_some(), "{n}");
        }
        assert!(calls.order.len() <= 2 * MOST);
    }
}
