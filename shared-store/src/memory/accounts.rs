//! Accounts in memory, ordered by AOR.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use shared_model::{AccountId, Aor, BareJid};

use super::archive::Archive;
use super::lock;
use super::records::Records;
use crate::{Account, AccountPage, Along, StoreError, Taken};

pub(super) struct Accounts {
    accounts: Mutex<BTreeMap<Aor, Account>>,
    records: Arc<Records>,
    archive: Arc<Archive>,
}

impl Accounts {
    /// With what changes along with them.
    pub(super) fn new(records: Arc<Records>, archive: Arc<Archive>) -> Self {
        Self { accounts: Mutex::default(), records, archive }
    }

    fn find(&self, is_meant: impl Fn(&Account) -> bool) -> Option<Account> {
        lock(&self.accounts).values().find(|account| is_meant(account)).cloned()
    }
}

#[async_trait::async_trait]
impl crate::Accounts for Accounts {
    async fn create(&self, account: &Account) -> Result<(), StoreError> {
        let mut accounts = lock(&self.accounts);
        refuse_taken(&accounts, account)?;
        if accounts.values().any(|other| other.id == account.id) {
            return Err(StoreError::Taken(Taken::Id));
        }
        accounts.insert(account.aor.clone(), Account { version: 1, ..account.clone() });
        Ok(())
    }

    async fn by_id(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        Ok(self.find(|account| account.id == id))
    }

    async fn by_aor(&self, aor: &Aor) -> Result<Option<Account>, StoreError> {
        Ok(lock(&self.accounts).get(aor).cloned())
    }

    async fn by_jid(&self, jid: &BareJid) -> Result<Option<Account>, StoreError> {
        Ok(self.find(|account| account.jid == *jid))
    }

    async fn by_number(&self, number: &str) -> Result<Option<Account>, StoreError> {
        Ok(self.find(|account| account.numbers.iter().any(|own| own == number)))
    }

    async fn do_others_begin_with(&self, number: &str, own: AccountId) -> Result<bool, StoreError> {
        let begins = |account: &Account| {
            account.aor.as_str().starts_with(number) || account.numbers.iter().any(|n| n.starts_with(number))
        };
        Ok(self.find(|account| account.id != own && begins(account)).is_some())
    }

    async fn update_along(&self, account: &Account, along: &Along) -> Result<(), StoreError> {
        let mut accounts = lock(&self.accounts);
        let old = accounts.values().find(|other| other.id == account.id).ok_or(StoreError::NoSuchAccount)?;
        if old.version != account.version {
            return Err(StoreError::Conflict);
        }
        let old_aor = old.aor.clone();
        refuse_taken(&accounts, account)?;
        self.records.make_along(along)?;
        self.archive.add(&along.entries);
        accounts.remove(&old_aor);
        accounts.insert(account.aor.clone(), Account { version: account.version + 1, ..account.clone() });
        Ok(())
    }

    async fn remove(&self, id: AccountId) -> Result<bool, StoreError> {
        let mut accounts = lock(&self.accounts);
        let before = accounts.len();
        accounts.retain(|_, account| account.id != id);
        Ok(accounts.len() < before)
    }

    async fn list(&self, after: Option<&Aor>, max: usize) -> Result<AccountPage, StoreError> {
        let accounts = lock(&self.accounts);
        let mut rest =
            accounts.values().skip_while(|account| after.is_some_and(|after| account.aor <= *after));
        let page = rest.by_ref().take(max).cloned().collect();
        Ok(AccountPage { accounts: page, more: rest.next().is_some() })
    }
}

/// Names the first thing of `account` that another account has.
fn refuse_taken(accounts: &BTreeMap<Aor, Account>, account: &Account) -> Result<(), StoreError> {
    let mut others = accounts.values().filter(|other| other.id != account.id);
    let taken = others.find_map(|other| {
        if other.aor == account.aor {
            return Some(Taken::Aor);
        }
        if other.jid == account.jid {
            return Some(Taken::Jid);
        }
        account.numbers.iter().find(|number| other.numbers.contains(number)).cloned().map(Taken::Number)
    });
    taken.map_or(Ok(()), |taken| Err(StoreError::Taken(taken)))
}
