//! Calls under way: whose a Call-ID is — facts after the first do not say it again.
//!
//! In    the beginning of a call. Out both sides, until it is over.
//! State at most [`MOST`] calls; the oldest gives its place, and what follows of it is told to nobody.

use std::collections::{HashMap, VecDeque};

use shared_model::AccountId;

/// Calls by their Call-ID.
#[derive(Default)]
pub(super) struct Calls {
    live: HashMap<String, (u64, Call)>,
    order: VecDeque<(u64, String)>,
    next: u64,
}

/// The two sides of a call, as far as they are accounts of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) from: Option<AccountId>,
    pub(super) to: Option<AccountId>,
    /// The side that is not, as entries are found by it.
    pub(super) stranger: Option<String>,
    pub(super) has_rung: bool,
    pub(super) is_answered: bool,
}

impl Call {
    /// Both sides; one who calls themself once.
    pub(super) fn sides(&self) -> impl Iterator<Item = AccountId> + use<> {
        self.from.into_iter().chain(self.to.filter(|to| Some(*to) != self.from))
    }
}

impl Calls {
    /// A call begins. Whether it was not known: an INVITE may come again, or spiral.
    pub(super) fn begin(&mut self, call_id: &str, call: Call) -> bool {
        if self.live.contains_key(call_id) {
            return false;
        }
        self.next += 1;
        self.live.insert(call_id.to_owned(), (self.next, call));
        self.order.push_back((self.next, call_id.to_owned()));
        while self.live.len() > MOST || self.order.len() > 2 * MOST {
            let Some((number, oldest)) = self.order.pop_front() else { break };
            if self.live.get(&oldest).is_some_and(|(it, _)| *it == number) {
                self.live.remove(&oldest);
            }
        }
        true
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
            assert!(calls.begin(&n.to_string(), Call::default()));
        }
        assert!(!calls.begin("7", Call::default()), "it is known");
        assert_eq!(calls.live.len(), MOST);
        assert_eq!(calls.get("0"), None);
        for n in 0..10 * MOST {
            calls.begin("again", Call::default());
            assert!(calls.end("again").is_some(), "{n}");
        }
        assert!(calls.order.len() <= 2 * MOST);
    }
}
