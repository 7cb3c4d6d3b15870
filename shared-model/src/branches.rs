//! The branches of one call — RFC 3261 §16.6, §8.2.2.2: a proxy before us may fork one INVITE to several of ours, and facts name
//! the call alone, not the branch.
//!
//! In    the facts of one call ([`crate::CallEvent`]). Out its sides, and whether it is over.
//! State the accounts, at most [`MOST_CALLED`] callees, and how many INVITEs are open.

use crate::{AccountId, CallOutcome};

/// The sides of a call under way, as far as they are accounts of ours, and its INVITEs that nobody answered yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Branches {
    from: Option<AccountId>,
    to: Vec<AccountId>,
    open: u32,
    is_answered: bool,
}

impl Branches {
    /// Of a call by this account, with one INVITE.
    pub fn new(from: Option<AccountId>, to: Option<AccountId>) -> Self {
        let mut branches = Self { from, ..Self::default() };
        branches.reach(to);
        branches
    }

    /// Another INVITE of it goes to somebody. Whether they are a side that was not known.
    pub fn reach(&mut self, to: Option<AccountId>) -> bool {
        self.open = self.open.saturating_add(1);
        let new = to.filter(|to| self.to.len() < MOST_CALLED && self.sides().all(|side| side != *to));
        self.to.extend(new);
        new.is_some()
    }

    /// One is answered. Whether it is the first.
    pub fn answer(&mut self) -> bool {
        self.open = self.open.saturating_sub(1);
        !std::mem::replace(&mut self.is_answered, true)
    }

    /// One ends without an answer, or a side hung up. Whether the call is over: another INVITE of it may be answered yet, or was.
    pub fn end(&mut self, outcome: CallOutcome) -> bool {
        if outcome == CallOutcome::Completed {
            return true;
        }
        self.open = self.open.saturating_sub(1);
        self.open == 0 && !self.is_answered
    }

    /// Both sides; one who calls themself once.
    pub fn sides(&self) -> impl Iterator<Item = AccountId> {
        self.from.into_iter().chain(self.callees().iter().copied())
    }

    /// Who is called, but for who calls themself.
    pub fn callees(&self) -> &[AccountId] {
        &self.to
    }

    /// Whether somebody answered.
    pub fn is_answered(&self) -> bool {
        self.is_answered
    }
}

/// Callees of one call.
const MOST_CALLED: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_over_with_its_last_branch_or_when_a_side_hangs_up() {
        let (alice, bob, carol) = (AccountId(1), AccountId(2), AccountId(3));
        let mut call = Branches::new(Some(alice), Some(bob));
        assert!(call.reach(Some(carol)) && !call.reach(Some(carol)), "it spirals");
        assert!(!call.reach(Some(alice)) && !call.reach(None));
        assert_eq!(call.sides().collect::<Vec<_>>(), [alice, bob, carol]);
        let mut refused = call.clone();
        let ends: Vec<bool> = (0..5).map(|_| refused.end(CallOutcome::Refused(486))).collect();
        assert_eq!(ends, [false, false, false, false, true]);
        assert!(call.answer() && !call.answer() && call.is_answered());
        assert!((0..5).all(|_| !call.end(CallOutcome::Cancelled)), "the others");
        assert!(call.end(CallOutcome::Completed));
    }

    #[test]
    fn callees_are_bounded() {
        let mut call = Branches::new(None, None);
        assert_eq!((0..99).filter(|n| call.reach(Some(AccountId(*n)))).count(), MOST_CALLED);
    }
}
