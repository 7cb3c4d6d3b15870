//! Sessions that another connection may take — XEP-0198 §5: who owns which id, and what was handled of those that ended.
//!
//! In    a session that is resumable, or ends; a connection that asks for one by its id.
//! Out   the way to the session's task, which answers the connection.
//! State a sharded map of living sessions, and a bounded list of ended ones.
//! Errors an id that is nobody's, or another account's, is not there.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use dashmap::DashMap;
use shared_model::AccountId;

use super::{Door, Success, Transport};
use crate::access::Access;

/// A connection that takes a session.
pub(crate) struct Takeover {
    pub(crate) transport: Transport,
    /// By what it is in.
    pub(crate) access: Access,
    /// How many stanzas of ours the client has.
    pub(crate) h: u32,
    /// The success that the resumption stands in, if it came with the proof.
    pub(crate) success: Option<Success>,
}

/// All resumable sessions of this node.
#[derive(Default)]
pub(crate) struct Resumables {
    living: DashMap<String, (AccountId, Arc<Door>)>,
    ended: Mutex<VecDeque<(String, AccountId, u32)>>,
}

impl Resumables {
    /// Begins to be resumable under `id`.
    pub(super) fn begin(&self, id: &str, account: AccountId, door: Arc<Door>) {
        self.living.insert(id.to_owned(), (account, door));
    }

    /// Is resumable no more; the client may still ask how much was handled.
    pub(super) fn end(&self, id: &str, account: AccountId, handled: u32) {
        self.living.remove(id);
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.len() == MOST_ENDED {
            ended.pop_front();
        }
        ended.push_back((id.to_owned(), account, handled));
    }

    /// The way to a session of this account.
    pub(crate) fn find(&self, id: &str, account: AccountId) -> Option<Arc<Door>> {
        self.living.get(id).filter(|living| living.0 == account).map(|living| Arc::clone(&living.1))
    }

    /// How many stanzas a session had handled when it ended.
    pub(crate) fn handled(&self, id: &str, account: AccountId) -> Option<u32> {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.iter().find(|(old, owner, _)| old == id && *owner == account).map(|(.., handled)| *handled)
    }
}

/// Ended sessions that are remembered.
const MOST_ENDED: usize = 4096;
