//! In which conversations messages wait to be heard: clients mark all that they display, and mailboxes are empty mostly.
//!
//! In    what a look at a mailbox found; that one changed. Out whether a look is worth while.
//! State accounts that were looked at, at most [`MOST`]; forgotten when their mailbox changes.
//! A message whose time is over still counts here; whoever looks then learns it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;

/// What is known of all mailboxes.
#[derive(Default)]
pub(crate) struct Unheard {
    known: DashMap<String, Arc<[String]>>,
    /// How many changes there were, so that none is missed between a look and what is remembered of it.
    changes: AtomicU64,
}

/// A look that was begun.
pub(super) struct Look(u64);

impl Unheard {
    /// Whether nothing waits in a conversation of an account, as far as that is known.
    pub(super) fn is_none_in(&self, owner: &str, chat: &str) -> bool {
        self.known.get(owner).is_some_and(|chats| !chats.iter().any(|known| known == chat))
    }

    /// Before a mailbox is read.
    pub(super) fn look(&self) -> Look {
        Look(self.changes.load(Ordering::Acquire))
    }

    /// The conversations in which a message waited when the mailbox was read.
    pub(super) fn learn(&self, owner: &str, Look(before): Look, mut chats: Vec<String>) {
        chats.sort_unstable();
        chats.dedup();
        if self.known.len() >= MOST {
            self.known.clear();
        }
        // Under the map's lock, which whoever changes something takes after counting.
        let entry = self.known.entry(owner.to_owned());
        if self.changes.load(Ordering::Acquire) == before {
            entry.insert(chats.into());
        }
    }

    /// A mailbox is not as it was.
    pub(super) fn changed(&self, owner: &str) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.known.remove(owner);
    }
}

const MOST: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_meanwhile_is_not_known() {
        let unheard = Unheard::default();
        assert!(!unheard.is_none_in("a@x", "b@x"));
        unheard.learn("a@x", unheard.look(), vec!["c@x".to_owned(), "c@x".to_owned()]);
        assert!(unheard.is_none_in("a@x", "b@x") && !unheard.is_none_in("a@x", "c@x"));
        unheard.changed("a@x");
        assert!(!unheard.is_none_in("a@x", "b@x"));
        let look = unheard.look();
        unheard.changed("a@x");
        unheard.learn("a@x", look, Vec::new());
        assert!(!unheard.is_none_in("a@x", "b@x"));
    }
}
