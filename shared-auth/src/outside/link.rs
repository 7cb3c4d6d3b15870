//! Which account is whose elsewhere.
//!
//! In    an account and where it came from. Out the link, one or all of a source.
//! State one record for each account and source; it holds what was last heard, so that only what changed there is written here.
//! Errors the store's; a record that cannot be read is none.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use shared_model::AccountId;
use shared_store::{Expected, Record, Records, StoreError};

use super::Person;

/// Who keeps an account's person and password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A directory of people.
    Ldap,
}

impl Source {
    pub(crate) const ALL: [Self; 1] = [Self::Ldap];

    /// The word in logs, labels and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ldap => "ldap",
        }
    }
}

/// What ties an account to somebody elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Whose it is, as was last heard.
    pub person: Person,
    /// Whether the account was disabled because they were gone there.
    pub ended: bool,
}

impl Link {
    pub(super) fn to(person: &Person) -> Self {
        Self { person: person.clone(), ended: false }
    }
}

/// The links. Clones share the store.
#[derive(Clone)]
pub struct Links {
    records: Arc<dyn Records>,
}

impl Links {
    pub(crate) fn new(records: Arc<dyn Records>) -> Self {
        Self { records }
    }

    /// What ties an account to this source.
    pub async fn of(&self, account: AccountId, source: Source) -> Result<Option<Link>, StoreError> {
        let record = self.records.get(OWNER, source.as_str(), &account.to_string()).await?;
        Ok(record.as_ref().and_then(read).map(|(_, link)| link))
    }

    /// Who keeps the password of an account, if it is not us.
    pub async fn keeper(&self, account: AccountId) -> Result<Option<Source>, StoreError> {
        for source in Source::ALL {
            if self.of(account, source).await?.is_some() {
                return Ok(Some(source));
            }
        }
        Ok(None)
    }

    /// All links of a source.
    pub(crate) async fn all(&self, source: Source) -> Result<Vec<(AccountId, Link)>, StoreError> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = self.records.list(OWNER, source.as_str(), after.as_deref(), PAGE).await?;
            let is_last = page.len() < PAGE;
            after = page.last().map(|record| record.key.clone());
            all.extend(page.iter().filter_map(read));
            if is_last {
                return Ok(all);
            }
        }
    }

    pub(crate) async fn put(&self, account: AccountId, link: &Link) -> Result<(), StoreError> {
        let value = serde_json::to_vec(link).map_err(|error| StoreError::Backend(error.to_string()))?;
        let key = account.to_string();
        self.records.put(OWNER, link.person.source.as_str(), &key, &value, Expected::Anything).await.map(drop)
    }

    /// Nothing ties an account that is removed.
    pub(crate) async fn forget_all(&self, account: AccountId) -> Result<(), StoreError> {
        for source in Source::ALL {
            self.forget(account, source).await?;
        }
        Ok(())
    }

    pub(crate) async fn forget(&self, account: AccountId, source: Source) -> Result<(), StoreError> {
        // Of two that forget the same one is second.
        self.records.delete(OWNER, source.as_str(), &account.to_string()).await.map(drop)
    }
}

fn read(record: &Record) -> Option<(AccountId, Link)> {
    Some((record.key.parse().ok()?, serde_json::from_slice(&record.value).ok()?))
}

const OWNER: &str = "outside";
/// Records read at once.
const PAGE: usize = 500;
