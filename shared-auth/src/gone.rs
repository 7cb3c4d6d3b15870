//! Accounts that are gone: a note of each, so that others erase what was theirs, and nobody has their names before.
//!
//! ```text
//! remove ─▶ note ─▶ account removed ─▶ others erase (rosters, archives, bindings) ─▶ erased: the names are free
//! ```
//!
//! In    the account that [`AccountBook::remove`](crate::AccountBook::remove) removes; who erased what was its.
//! Out   the list of what is still to erase; whether names are held.
//! State one record an account, written before the account is removed, so that `kill -9` between the two loses nothing. A
//!       note whose account is still there is not listed.
//! Errors the store's.
//! Not here: the erasing itself, which is its owners'. Where nobody erases, as without a chat server, names are free after
//!       [`HELD`]; whoever gets one then has no note of the one before.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use shared_model::{AccountId, Aor, BareJid};
use shared_store::{Account, Expected, Record, Records, StoreError};

use crate::cache::AccountCache;

/// An account that was removed, and what of it may still be somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// Its id, which nobody else gets.
    pub account: AccountId,
    /// What people dialled.
    pub aor: Aor,
    /// What people chatted with.
    pub jid: BareJid,
}

/// The notes. Clones share the store.
#[derive(Clone)]
pub struct GoneAccounts {
    records: Arc<dyn Records>,
    cache: Arc<AccountCache>,
}

/// What is stored, under the account's id.
#[derive(Serialize, Deserialize)]
struct Note {
    aor: Aor,
    jid: BareJid,
    /// Milliseconds since 1970.
    at: i64,
}

impl GoneAccounts {
    pub(crate) fn new(records: Arc<dyn Records>, cache: Arc<AccountCache>) -> Self {
        Self { records, cache }
    }

    /// The accounts that were removed and whose data are still to erase.
    pub async fn list(&self) -> Result<Vec<Gone>, StoreError> {
        let mut gone = Vec::new();
        for (account, note) in self.notes().await? {
            // Who dies between the note and the removal leaves an account, which has its data for a reason.
            if self.cache.store().by_id(account).await?.is_none() {
                gone.push(Gone { account, aor: note.aor, jid: note.jid });
            }
        }
        Ok(gone)
    }

    /// Everything of an account is erased: its names are free.
    pub async fn erased(&self, account: AccountId) -> Result<(), StoreError> {
        // Of two that erased the same one is second.
        self.records.delete(OWNER, COLLECTION, &account.to_string()).await.map(drop)
    }

    /// Notes that an account is about to be removed.
    pub(crate) async fn note(&self, account: &Account, now: i64) -> Result<(), StoreError> {
        let note = Note { aor: account.aor.clone(), jid: account.jid.clone(), at: now };
        let value = serde_json::to_vec(&note).map_err(|error| StoreError::Backend(error.to_string()))?;
        let key = account.id.to_string();
        self.records.put(OWNER, COLLECTION, &key, &value, Expected::Anything).await.map(drop)
    }

    /// Whether one of these names is that of an account whose data are being erased. Notes that are too old to hold names
    /// are dropped, lest what is erased late be the next owner's.
    pub(crate) async fn holds(&self, aor: &Aor, jid: &BareJid, now: i64) -> Result<bool, StoreError> {
        for (account, note) in self.notes().await? {
            if note.aor != *aor && note.jid != *jid {
                continue;
            }
            if now.saturating_sub(note.at) < HELD {
                return Ok(true);
            }
            self.erased(account).await?;
        }
        Ok(false)
    }

    async fn notes(&self) -> Result<Vec<(AccountId, Note)>, StoreError> {
        let (mut notes, mut after) = (Vec::new(), None);
        loop {
            let page = self.records.list(OWNER, COLLECTION, after.as_deref(), PAGE).await?;
            let is_last = page.len() < PAGE;
            after = page.last().map(|record| record.key.clone());
            notes.extend(page.iter().filter_map(read));
            if is_last {
                return Ok(notes);
            }
        }
    }
}

fn read(record: &Record) -> Option<(AccountId, Note)> {
    Some((record.key.parse().ok()?, serde_json::from_slice(&record.value).ok()?))
}

const OWNER: &str = "cusax";
const COLLECTION: &str = "gone";
/// Milliseconds that a note holds names at most: a day.
const HELD: i64 = 86_400_000;
/// Records read at once.
const PAGE: usize = 500;

#[cfg(test)]
mod tests {
    use shared_store::Store;

    use super::*;
    use crate::{Auth, BookError, Config, NewAccount, Profile};

    fn named(aor: &str, jid: &str) -> NewAccount {
        NewAccount { aor: aor.parse().unwrap(), jid: jid.parse().unwrap(), profile: Profile::default() }
    }

    #[tokio::test]
    async fn names_are_free_when_what_was_theirs_is_erased_or_after_a_day() {
        let folder = std::env::temp_dir()
            .join(format!("cusax-gone-{}", shared_runtime::hex(&crate::hash::random::<8>())));
        let (store, bus) = (Store::in_memory(), shared_runtime::bus::Bus::new());
        let config = Config { iterations: 4096, ..Config::default() };
        let auth = Auth::open(&config, &store, &folder, &bus, &prometheus::Registry::new()).unwrap();
        let (book, gone) = (&auth.book, &auth.gone);
        let alice = book.create(named("alice@a.org", "wonder@a.org"), "pencil").await.unwrap();
        let kept = store.accounts.by_id(alice.account).await.unwrap().unwrap();
        gone.note(&kept, shared_runtime::unix_millis()).await.unwrap();
        assert!(gone.list().await.unwrap().is_empty(), "the account is still there");
        book.remove(alice.account).await.unwrap();
        let note = Gone { account: alice.account, aor: alice.aor, jid: alice.jid };
        assert_eq!(gone.list().await.unwrap(), [note]);
        for (aor, jid) in [("alice@a.org", "x@a.org"), ("x@a.org", "wonder@a.org")] {
            assert_eq!(book.create(named(aor, jid), "pencil").await, Err(BookError::StillErased));
            assert_eq!(book.create_locked(named(aor, jid)).await, Err(BookError::StillErased));
        }
        book.create(named("wonder@a.org", "alice@a.org"), "pencil").await.unwrap();
        gone.erased(alice.account).await.unwrap();
        assert!(gone.list().await.unwrap().is_empty());
        let next = book.create(named("alice@a.org", "wonder@a.org"), "pencil").await.unwrap();
        assert_ne!(next.account, alice.account);
        let nobody = book.remove(alice.account).await;
        assert_eq!(nobody, Err(StoreError::NoSuchAccount.into()));
        assert!(gone.list().await.unwrap().is_empty(), "who is not there leaves no note");

        let old = store.accounts.by_id(next.account).await.unwrap().unwrap();
        book.remove(next.account).await.unwrap();
        gone.note(&old, shared_runtime::unix_millis() - HELD).await.unwrap();
        assert_eq!(gone.list().await.unwrap().len(), 1, "it is still to erase");
        book.create(named("alice@a.org", "wonder@a.org"), "pencil").await.unwrap();
        assert!(gone.list().await.unwrap().is_empty(), "what is there now is another's");
        // A folder that stays behind in a temporary place harms nobody.
        let _ = std::fs::remove_dir_all(&folder);
    }
}
