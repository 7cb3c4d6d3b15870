//! The accounts of the last moments, so that a proxy asks the store once for many requests.
//!
//! Own writes empty it at once, and other processes' writes (`cusax user disable`) about a second later, when they are heard
//! of ([`announce`](crate::announce)); if they are not, after [`FRESH`]. Bounded; when full it is emptied.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use shared_model::{AccountId, Aor, BareJid};
use shared_store::{Account, Accounts, StoreError};

/// What an account is looked up by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Name {
    Id(AccountId),
    Aor(Aor),
    Jid(BareJid),
    Number(String),
}

/// Accounts by name, remembered for a moment.
pub(crate) struct AccountCache {
    store: Arc<dyn Accounts>,
    known: DashMap<Name, (Option<Arc<Account>>, Instant)>,
    /// How often something was forgotten: an answer of before is not remembered.
    forgotten: AtomicU64,
}

impl AccountCache {
    pub(crate) fn new(store: Arc<dyn Accounts>) -> Self {
        Self { store, known: DashMap::new(), forgotten: AtomicU64::new(0) }
    }

    /// The accounts behind the cache.
    pub(crate) fn store(&self) -> &dyn Accounts {
        &*self.store
    }

    /// The account with this name, as it was when it was last heard to have changed.
    pub(crate) async fn find(&self, name: Name) -> Result<Option<Arc<Account>>, StoreError> {
        match self.remembered(&name) {
            Some(known) => Ok(known),
            None => self.ask(name).await,
        }
    }

    /// The account with this name, as it is in the store; it is remembered.
    pub(crate) async fn ask(&self, name: Name) -> Result<Option<Arc<Account>>, StoreError> {
        let (asked, forgotten) = (Instant::now(), self.forgotten.load(Ordering::SeqCst));
        let found = match &name {
            Name::Id(id) => self.store.by_id(*id).await,
            Name::Aor(aor) => self.store.by_aor(aor).await,
            Name::Jid(jid) => self.store.by_jid(jid).await,
            Name::Number(number) => self.store.by_number(number).await,
        }?;
        let found = found.map(Arc::new);
        if self.known.len() >= MOST_KNOWN {
            self.known.clear();
        }
        self.known.insert(name.clone(), (found.clone(), asked));
        // The answer may be older than a write that was made meanwhile.
        if self.forgotten.load(Ordering::SeqCst) != forgotten {
            self.known.remove(&name);
        }
        Ok(found)
    }

    /// The account with this name, or that there is none, if the store was asked a moment ago.
    pub(crate) fn remembered(&self, name: &Name) -> Option<Option<Arc<Account>>> {
        let is_fresh = |(account, at): &(Option<_>, Instant)| {
            at.elapsed() < if account.is_some() { FRESH } else { FRESH_NOBODY }
        };
        self.known.get(name).filter(|entry| is_fresh(entry)).map(|entry| entry.0.clone())
    }

    /// Forgets an account whose names stay, after a write.
    pub(crate) fn forget(&self, account: &Account) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        let numbers = account.numbers.iter().cloned().map(Name::Number);
        let names = [Name::Id(account.id), Name::Aor(account.aor.clone()), Name::Jid(account.jid.clone())];
        for name in names.into_iter().chain(numbers) {
            self.known.remove(&name);
        }
    }

    /// Forgets everything, after a write.
    pub(crate) fn clear(&self) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.known.clear();
    }
}

/// How old an answer may be.
const FRESH: Duration = Duration::from_secs(30);
/// How old the answer may be that there is none: who was just created wants to log in.
const FRESH_NOBODY: Duration = Duration::from_secs(1);
const MOST_KNOWN: usize = 65_536;
