//! A store whose accounts cannot be read for a while, as when its database comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use shared_model::{AccountId, Aor, BareJid};
use shared_store::{Account, AccountPage, Accounts, Store, StoreError};

/// Whether it fails now.
#[derive(Clone, Default)]
pub(crate) struct Fault(Arc<AtomicBool>);

impl Fault {
    pub(crate) fn set(&self, fails: bool) {
        self.0.store(fails, Ordering::SeqCst);
    }

    fn check(&self) -> Result<(), StoreError> {
        match self.0.load(Ordering::SeqCst) {
            true => Err(StoreError::Overloaded),
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

struct Failing {
    inner: Arc<dyn Accounts>,
    fault: Fault,
}

#[async_trait::async_trait]
impl Accounts for Failing {
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

    async fn update(&self, account: &Account) -> Result<(), StoreError> {
        self.inner.update(account).await
    }

    async fn remove(&self, id: AccountId) -> Result<bool, StoreError> {
        self.inner.remove(id).await
    }

    async fn list(&self, after: Option<&Aor>, max: usize) -> Result<AccountPage, StoreError> {
        self.inner.list(after, max).await
    }
}
