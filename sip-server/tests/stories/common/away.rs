//! A store whose accounts cannot be read for a while, as when its database comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use shared_model::{AccountId, Aor, BareJid};
use shared_store::{Account, AccountPage, Accounts, Along, Store, StoreError};

/// Whether it is away now.
#[derive(Clone, Default)]
pub(crate) struct Away(Arc<AtomicBool>);

impl Away {
    pub(crate) fn set(&self, is_away: bool) {
        self.0.store(is_away, Ordering::SeqCst);
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.0.load(Ordering::SeqCst) { Err(StoreError::Overloaded) } else { Ok(()) }
    }
}

/// The same store, whose accounts may be away.
pub(crate) fn that_may_be_away(store: &Store) -> (Store, Away) {
    let away = Away::default();
    let accounts = Arc::new(Remote { inner: Arc::clone(&store.accounts), away: away.clone() });
    (Store { accounts, ..store.clone() }, away)
}

struct Remote {
    inner: Arc<dyn Accounts>,
    away: Away,
}

#[async_trait::async_trait]
impl Accounts for Remote {
    async fn create(&self, account: &Account) -> Result<(), StoreError> {
        self.inner.create(account).await
    }

    async fn by_id(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        self.away.check()?;
        self.inner.by_id(id).await
    }

    async fn by_aor(&self, aor: &Aor) -> Result<Option<Account>, StoreError> {
        self.away.check()?;
        self.inner.by_aor(aor).await
    }

    async fn by_jid(&self, jid: &BareJid) -> Result<Option<Account>, StoreError> {
        self.inner.by_jid(jid).await
    }

    async fn by_number(&self, number: &str) -> Result<Option<Account>, StoreError> {
        self.away.check()?;
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
