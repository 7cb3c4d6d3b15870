//! A store that counts what it is asked: a look, or a change with all that goes along with it, is one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use shared_model::{AccountId, Aor, BareJid};
use shared_store::{Account, AccountPage, Accounts, Along, Place, Record, RecordChange, Records, StoreError};

/// Looks, and changes.
#[derive(Default)]
pub(crate) struct Asked {
    looks: AtomicUsize,
    changes: AtomicUsize,
}

impl Asked {
    /// How many there were since the last time: looks, and changes.
    pub(crate) fn take(&self) -> (usize, usize) {
        (self.looks.swap(0, Ordering::SeqCst), self.changes.swap(0, Ordering::SeqCst))
    }

    fn look(&self) {
        self.looks.fetch_add(1, Ordering::SeqCst);
    }

    fn change(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
    }
}

/// A shape, and who counts what it is asked.
pub(crate) struct Counted<T: ?Sized>(pub(crate) Arc<T>, pub(crate) Arc<Asked>);

type Answer<T> = Result<T, StoreError>;

#[async_trait::async_trait]
impl Accounts for Counted<dyn Accounts> {
    async fn create(&self, account: &Account) -> Answer<()> {
        self.1.change();
        self.0.create(account).await
    }
    async fn by_id(&self, id: AccountId) -> Answer<Option<Account>> {
        self.1.look();
        self.0.by_id(id).await
    }
    async fn by_aor(&self, aor: &Aor) -> Answer<Option<Account>> {
        self.1.look();
        self.0.by_aor(aor).await
    }
    async fn by_jid(&self, jid: &BareJid) -> Answer<Option<Account>> {
        self.1.look();
        self.0.by_jid(jid).await
    }
    async fn by_number(&self, number: &str) -> Answer<Option<Account>> {
        self.1.look();
        self.0.by_number(number).await
    }
    async fn do_others_begin_with(&self, number: &str, own: AccountId) -> Answer<bool> {
        self.1.look();
        self.0.do_others_begin_with(number, own).await
    }
    async fn update_along(&self, account: &Account, along: &Along) -> Answer<()> {
        self.1.change();
        self.0.update_along(account, along).await
    }
    async fn remove(&self, id: AccountId) -> Answer<bool> {
        self.1.change();
        self.0.remove(id).await
    }
    async fn list(&self, after: Option<&Aor>, max: usize) -> Answer<AccountPage> {
        self.1.look();
        self.0.list(after, max).await
    }
}

#[async_trait::async_trait]
impl Records for Counted<dyn Records> {
    async fn get(&self, owner: &str, collection: &str, key: &str) -> Answer<Option<Record>> {
        self.1.look();
        self.0.get(owner, collection, key).await
    }
    async fn several(&self, places: &[Place<'_>]) -> Answer<Vec<Option<Record>>> {
        self.1.look();
        self.0.several(places).await
    }
    async fn list(
        &self,
        owner: &str,
        collection: &str,
        after: Option<&str>,
        max: usize,
    ) -> Answer<Vec<Record>> {
        self.1.look();
        self.0.list(owner, collection, after, max).await
    }
    async fn among(&self, owners: &[&str], collection: &str, keys: &[&str]) -> Answer<Vec<(String, Record)>> {
        self.1.look();
        self.0.among(owners, collection, keys).await
    }
    async fn commit(&self, owner: &str, changes: &[RecordChange]) -> Answer<Vec<u64>> {
        self.1.change();
        self.0.commit(owner, changes).await
    }
    async fn take(&self, owner: &str, collection: &str, key: &str) -> Answer<Option<Record>> {
        self.1.change();
        self.0.take(owner, collection, key).await
    }
    async fn remove_owner(&self, owner: &str) -> Answer<u64> {
        self.1.change();
        self.0.remove_owner(owner).await
    }
}
