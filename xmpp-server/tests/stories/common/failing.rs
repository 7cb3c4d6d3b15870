//! A store whose accounts or certificates cannot be read, or whose rooms cannot be written, for a while, as when its database comes back;
//! or which is long about what somebody was told at a login, or slow for all.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use shared_model::{AccountId, Aor, BareJid};
use shared_store::{
    Account, AccountPage, Accounts, Along, Archive, Entry, Page, Place, Query, Record, RecordChange, Records,
    Store, StoreError,
};
use tokio::sync::{Notify, Semaphore};

/// Whether it fails now.
#[derive(Clone, Default)]
pub(crate) struct Fault {
    fails: Arc<AtomicBool>,
    met: Arc<Notify>,
    hangs: Arc<AtomicBool>,
    is_blind: Arc<AtomicBool>,
    slow: Arc<Mutex<Option<Slow>>>,
    waiting: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

/// So many are served at once, in turn, for so long each.
type Slow = (Arc<Semaphore>, Duration);

impl Fault {
    pub(crate) fn set(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
    }

    /// From now on certificates are never read to their end; what somebody was told is not read, and nothing archived, until it is
    /// [`Fault::over`].
    pub(crate) fn hang(&self) {
        self.hangs.store(true, Ordering::SeqCst);
    }

    /// Whether what a session begins with cannot be read: rosters, and whom accounts block.
    pub(crate) fn blind(&self, is_blind: bool) {
        self.is_blind.store(is_blind, Ordering::SeqCst);
    }

    /// What a session begins with, and what users keep, takes so long, of so many at once.
    pub(crate) fn slow(&self, at_once: usize, each: Duration) {
        *self.slow.lock().unwrap() = Some((Arc::new(Semaphore::new(at_once)), each));
    }

    /// How many asked at once since it is slow.
    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }

    async fn look(&self) -> Result<(), StoreError> {
        let slow = self.slow.lock().unwrap().clone();
        if let Some((places, each)) = slow {
            self.most.fetch_max(self.waiting.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let place = places.acquire().await.unwrap();
            tokio::time::sleep(each).await;
            drop(place);
            self.waiting.fetch_sub(1, Ordering::SeqCst);
        }
        if self.is_blind.load(Ordering::SeqCst) {
            self.met.notify_one();
            return Err(StoreError::Overloaded);
        }
        Ok(())
    }

    pub(crate) fn over(&self) {
        self.hangs.store(false, Ordering::SeqCst);
    }

    /// Waits until somebody met it.
    pub(crate) async fn met(&self) {
        self.met.notified().await;
    }

    fn check(&self) -> Result<(), StoreError> {
        match self.fails.load(Ordering::SeqCst) {
            true => {
                self.met.notify_one();
                Err(StoreError::Overloaded)
            }
            false => Ok(()),
        }
    }
}

/// The same store, whose accounts fail to be read while there is a fault.
pub(crate) fn failing(store: &Store) -> (Store, Fault) {
    let fault = Fault::default();
    let accounts = Arc::new(Failing { inner: Arc::clone(&store.accounts), fault: fault.clone() });
    (Store { accounts, ..store.clone() }, fault)
}

/// The same store, whose rooms fail to be written, and certificates to be read, while there is a fault.
pub(crate) fn failing_records(store: &Store) -> (Store, Fault) {
    let fault = Fault::default();
    let records = Arc::new(Failing { inner: Arc::clone(&store.records), fault: fault.clone() });
    (Store { records, ..store.clone() }, fault)
}

/// The same store, whose archive fails to be read by id while there is a fault.
pub(crate) fn failing_archive(store: &Store) -> (Store, Fault) {
    let fault = Fault::default();
    let archive = Arc::new(Failing { inner: Arc::clone(&store.archive), fault: fault.clone() });
    (Store { archive, ..store.clone() }, fault)
}

struct Failing<T: ?Sized> {
    inner: Arc<T>,
    fault: Fault,
}

#[async_trait::async_trait]
impl Accounts for Failing<dyn Accounts> {
    async fn create(&self, account: &Account) -> Result<(), StoreError> {
        self.inner.create(account).await
    }

    async fn by_id(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        self.fault.check()?;
        self.inner.by_id(id).await
    }

    async fn by_aor(&self, aor: &Aor) -> Result<Option<Account>, StoreError> {
        self.fault.check()?;
        self.inner.by_aor(aor).await
    }

    async fn by_jid(&self, jid: &BareJid) -> Result<Option<Account>, StoreError> {
        self.fault.check()?;
        self.inner.by_jid(jid).await
    }

    async fn by_number(&self, number: &str) -> Result<Option<Account>, StoreError> {
        self.fault.check()?;
        self.inner.by_number(number).await
    }

    async fn do_others_begin_with(&self, number: &str, own: AccountId) -> Result<bool, StoreError> {
        self.inner.do_others_begin_with(number, own).await
    }

    async fn update_along(&self, account: &Account, along: &Along) -> Result<(), StoreError> {
        self.inner.update_along(account, along).await
    }

    async fn remove(&self, id: AccountId) -> Result<bool, StoreError> {
        self.inner.remove(id).await
    }

    async fn list(&self, after: Option<&Aor>, max: usize) -> Result<AccountPage, StoreError> {
        self.inner.list(after, max).await
    }
}

#[async_trait::async_trait]
impl Records for Failing<dyn Records> {
    async fn get(&self, owner: &str, collection: &str, key: &str) -> Result<Option<Record>, StoreError> {
        while key == "of-the-day" && self.fault.hangs.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
        self.inner.get(owner, collection, key).await
    }

    async fn several(&self, places: &[Place<'_>]) -> Result<Vec<Option<Record>>, StoreError> {
        self.fault.look().await?;
        self.inner.several(places).await
    }

    async fn list(
        &self,
        owner: &str,
        collection: &str,
        after: Option<&str>,
        max: usize,
    ) -> Result<Vec<Record>, StoreError> {
        if collection == "roster" {
            self.fault.look().await?;
        }
        if collection == "certificates" {
            if self.fault.hangs.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            self.fault.check()?;
        }
        self.inner.list(owner, collection, after, max).await
    }

    async fn among(
        &self,
        owners: &[&str],
        collection: &str,
        keys: &[&str],
    ) -> Result<Vec<(String, Record)>, StoreError> {
        self.inner.among(owners, collection, keys).await
    }

    async fn commit(&self, owner: &str, changes: &[RecordChange]) -> Result<Vec<u64>, StoreError> {
        if changes.iter().any(|change| change.collection == "rooms") {
            self.fault.check()?;
        }
        self.inner.commit(owner, changes).await
    }

    async fn take(&self, owner: &str, collection: &str, key: &str) -> Result<Option<Record>, StoreError> {
        self.inner.take(owner, collection, key).await
    }

    async fn remove_owner(&self, owner: &str) -> Result<u64, StoreError> {
        self.inner.remove_owner(owner).await
    }
}

#[async_trait::async_trait]
impl Archive for Failing<dyn Archive> {
    async fn append(&self, entries: &[Entry]) -> Result<(), StoreError> {
        while self.fault.hangs.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
        self.inner.append(entries).await
    }

    async fn entry(&self, owner: &str, id: &str) -> Result<Option<Entry>, StoreError> {
        self.fault.check()?;
        self.inner.entry(owner, id).await
    }

    async fn page(&self, owner: &str, query: &Query) -> Result<Page, StoreError> {
        self.inner.page(owner, query).await
    }

    async fn replace(&self, owner: &str, id: &str, body: &[u8]) -> Result<bool, StoreError> {
        self.inner.replace(owner, id, body).await
    }

    async fn remove(&self, owner: &str, ids: &[String]) -> Result<u64, StoreError> {
        self.inner.remove(owner, ids).await
    }

    async fn remove_owner(&self, owner: &str) -> Result<u64, StoreError> {
        self.inner.remove_owner(owner).await
    }

    async fn remove_older(&self, kind: &str, time: i64, max: usize) -> Result<u64, StoreError> {
        self.inner.remove_older(kind, time, max).await
    }

    async fn trim(&self, owner: &str, keep: usize, max: usize) -> Result<u64, StoreError> {
        self.inner.trim(owner, keep, max).await
    }
}
