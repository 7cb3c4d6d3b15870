//! Which account is whose elsewhere.
//!
//! In    an account and where it came from. Out the link, one or all of a source.
//! State one record for each account and source; it holds what was last heard, so that only what changed there is written here.
//! Errors the store's; a record that cannot be read is none.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use shared_model::AccountId;
use shared_runtime::hex;
use shared_store::{DigestAlgorithm, Expected, Record, RecordChange, Records, StoreError};

use super::Person;
use crate::hash::digest_hash;

/// Who keeps an account's person and password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A directory of people.
    Ldap,
    /// A provider of OpenID Connect.
    Oidc,
}

impl Source {
    pub(crate) const ALL: [Self; 2] = [Self::Ldap, Self::Oidc];

    /// The word in logs, labels and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ldap => "ldap",
            Self::Oidc => "oidc",
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
    /// Whether it is about to be: written before anything else, so that an end that was cut short is made whole.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) ending: bool,
    /// What the provider can be asked about: whether they still may sign in there. Sealed for the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lasting: Option<Vec<u8>>,
    /// When that was given, or renewed: milliseconds since 1970.
    #[serde(default)]
    pub(crate) renewed: i64,
    /// It is being renewed, and the answer was not heard: the provider may have another in its place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) renewing: bool,
    /// When it turned out that the answer to a renewal was lost, milliseconds since 1970; zero: it was not.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) lost: i64,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl Link {
    pub(super) fn to(person: &Person) -> Self {
        let person = person.clone();
        Self { person, ended: false, ending: false, lasting: None, renewed: 0, renewing: false, lost: 0 }
    }
}

/// The links. Clones share the store.
#[derive(Clone)]
pub struct Links {
    pub(super) records: Arc<dyn Records>,
}

impl Links {
    /// Over these records.
    pub fn new(records: Arc<dyn Records>) -> Self {
        Self { records }
    }

    /// What ties an account to this source.
    pub async fn of(&self, account: AccountId, source: Source) -> Result<Option<Link>, StoreError> {
        Ok(self.read(account, source).await?.map(|(link, _)| link))
    }

    /// The same, with what is to be expected when it is written again.
    pub(crate) async fn read(
        &self,
        account: AccountId,
        source: Source,
    ) -> Result<Option<(Link, Expected)>, StoreError> {
        let record = self.records.get(OWNER, source.as_str(), &account.to_string()).await?;
        let expected = record.as_ref().map(|record| Expected::Version(record.version));
        Ok(record.as_ref().and_then(read).map(|(_, link)| link).zip(expected))
    }

    /// Who keeps the person of an account, if it is not us.
    pub(crate) async fn keeper(&self, account: AccountId) -> Result<Option<Source>, StoreError> {
        for source in Source::ALL {
            if self.of(account, source).await?.is_some() {
                return Ok(Some(source));
            }
        }
        Ok(None)
    }

    /// The groups that an account is in elsewhere.
    pub async fn groups(&self, account: AccountId) -> Result<Vec<String>, StoreError> {
        let mut groups: Vec<String> = Vec::new();
        for source in Source::ALL {
            let link = self.of(account, source).await?.filter(|link| !link.ended);
            for group in link.map(|link| link.person.groups).unwrap_or_default() {
                if !groups.contains(&group) {
                    groups.push(group);
                }
            }
        }
        Ok(groups)
    }

    /// Every account that is in a group elsewhere. The user name there is not asked: a provider may give it to somebody else.
    pub async fn grouped(&self) -> Result<Vec<(AccountId, Vec<String>)>, StoreError> {
        let mut grouped = Vec::new();
        for source in Source::ALL {
            let links = self.all(source).await?.into_iter();
            let links = links.filter(|(_, link)| !link.ended && !link.person.groups.is_empty());
            grouped.extend(links.map(|(account, link)| (account, link.person.groups)));
        }
        Ok(grouped)
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

    /// The account of somebody whom a provider may call otherwise one day.
    pub(crate) async fn by_subject(&self, subject: &str) -> Result<Option<AccountId>, StoreError> {
        let record = self.records.get(OWNER, SUBJECTS, &key_of(subject)).await?;
        Ok(record.and_then(|record| String::from_utf8(record.value).ok()?.parse().ok()))
    }

    /// Writes a link, if what is there is what is believed: [`StoreError::Conflict`] where it is not.
    pub(crate) async fn put(
        &self,
        account: AccountId,
        link: &Link,
        expected: Expected,
    ) -> Result<(), StoreError> {
        let value = serde_json::to_vec(link).map_err(|error| StoreError::Backend(error.to_string()))?;
        let (source, key) = (link.person.source, account.to_string());
        let mut changes = vec![RecordChange::put(source.as_str(), &key, &value).expecting(expected)];
        if source == Source::Oidc {
            changes.push(RecordChange::put(SUBJECTS, &key_of(&link.person.subject), key.as_bytes()));
        }
        self.records.commit(OWNER, &changes).await.map(drop)
    }

    /// Nothing ties an account that is removed.
    pub(crate) async fn forget_all(&self, account: AccountId) -> Result<(), StoreError> {
        for source in Source::ALL {
            self.forget(account, source).await?;
        }
        Ok(())
    }

    pub(crate) async fn forget(&self, account: AccountId, source: Source) -> Result<(), StoreError> {
        let Some(link) = self.of(account, source).await? else { return Ok(()) };
        let mut changes = vec![RecordChange::delete(source.as_str(), &account.to_string())];
        if source == Source::Oidc {
            changes.push(RecordChange::delete(SUBJECTS, &key_of(&link.person.subject)));
        }
        self.records.commit(OWNER, &changes).await.map(drop)
    }
}

fn key_of(subject: &str) -> String {
    hex(&digest_hash(DigestAlgorithm::Sha256, &[subject.as_bytes()]))
}

fn read(record: &Record) -> Option<(AccountId, Link)> {
    Some((record.key.parse().ok()?, serde_json::from_slice(&record.value).ok()?))
}

const OWNER: &str = "outside";
/// Accounts by the hash of a provider's subject.
const SUBJECTS: &str = "oidc-subject";
/// Records read at once.
const PAGE: usize = 500;
