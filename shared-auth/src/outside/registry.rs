//! Accounts of people who are kept elsewhere: made, changed, ended and given back as is said there.
//!
//! In    a [`Person`], or an account whose person is gone. Out the account; a fact for each change, by the book; an
//!       [`OutsideChange`] for whoever keeps a record of changes.
//! Errors [`RegistryError`]; numbers that cannot be an account's are left out, for the rest of a person is good.
//! Not here: taking over an account that is somebody else's, whatever its name.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use shared_model::{AccountId, Aor, BareJid};
use shared_store::{Account, StoreError, Taken};
use tokio::sync::mpsc;

use super::{Link, Links, Missing, Policy, Source};
use crate::cache::AccountCache;
use crate::metrics::Metrics;
use crate::{AccountBook, AccountCard, BookError, Denied, NewAccount, Profile};

/// What is known of somebody elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Where they are kept.
    pub source: Source,
    /// What never changes about them there and is never another's: an entry's UUID, an issuer's subject.
    pub subject: String,
    /// The user name, in lower case and fit for an address.
    pub user: String,
    /// The name to show.
    pub name: String,
    /// Telephone numbers that may be E.164, if they are said there.
    pub numbers: Option<Vec<String>>,
    /// Whether they administer the service, if that is said there.
    pub admin: Option<bool>,
}

impl Person {
    /// What an account is to have that has `before`.
    fn profile(&self, before: &Profile) -> Profile {
        let (name, numbers) = (self.name.clone(), self.numbers.clone().unwrap_or(before.numbers.clone()));
        Profile { name, numbers, video: before.video, admin: self.admin.unwrap_or(before.admin) }
    }
}

/// Makes accounts of people, and keeps them as these are.
pub(crate) struct Registry {
    pub(crate) domain: String,
    pub(crate) cache: Arc<AccountCache>,
    pub(crate) book: Arc<AccountBook>,
    pub(crate) links: Links,
    pub(crate) metrics: Arc<Metrics>,
    /// Whoever keeps a record of changes.
    pub(crate) record: mpsc::Sender<OutsideChange>,
}

/// What became of an account by what is said elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutsideChange {
    /// Who said it.
    pub source: Source,
    /// Of which account.
    pub account: AccountId,
    /// `created`, `changed`, `linked`, `ended`, `returned`.
    pub what: &'static str,
    /// The account as it was, if it was there.
    pub before: Option<AccountCard>,
}

/// Why somebody from elsewhere has no account here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RegistryError {
    /// An account of this name is not theirs: made here, or another's elsewhere.
    #[error("an account of this name is somebody else's")]
    NotTheirs,
    /// Nobody new gets in.
    #[error("accounts are not made for people who are new")]
    Uninvited,
    /// The account could not be made or changed.
    #[error(transparent)]
    Book(#[from] BookError),
}

impl From<StoreError> for RegistryError {
    fn from(error: StoreError) -> Self {
        Self::Book(error.into())
    }
}

impl From<RegistryError> for Denied {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::NotTheirs | RegistryError::Uninvited => Self::Foreign(error.to_string()),
            RegistryError::Book(error) => Self::Unavailable(error.to_string()),
        }
    }
}

impl Registry {
    /// The account of somebody, made or taken as the policy has it, and what is known of them written into it.
    pub(crate) async fn admit(&self, person: &Person, policy: Policy) -> Result<AccountId, RegistryError> {
        if person.source == Source::Oidc
            && let Some(account) = self.links.by_subject(&person.subject).await?
            && let Some(account) = self.cache.store().by_id(account).await?
            && let Some(link) = self.links.of(account.id, person.source).await?
        {
            self.refresh(&account, &link, person).await?;
            return Ok(account.id);
        }
        let aor = Aor::new(&person.user, &self.domain).map_err(|_| BookError::BadName)?;
        let Some(account) = self.cache.store().by_aor(&aor).await? else {
            return if policy.creates() {
                self.create(aor, person).await
            } else {
                Err(RegistryError::Uninvited)
            };
        };
        match self.links.of(account.id, person.source).await? {
            Some(link) if link.person.subject == person.subject => {
                self.refresh(&account, &link, person).await?
            }
            None if policy.links() => {
                self.links.put(account.id, &Link::to(person)).await?;
                self.tell(account.id, person.source, "linked", Some(&account));
            }
            _ => return Err(RegistryError::NotTheirs),
        }
        Ok(account.id)
    }

    async fn create(&self, aor: Aor, person: &Person) -> Result<AccountId, RegistryError> {
        let jid = BareJid::new(aor.local(), aor.domain()).map_err(|_| BookError::BadName)?;
        let account = AccountId(u128::from_be_bytes(crate::hash::random()));
        // First, so that whoever dies between the two leaves no account that belongs to nobody.
        self.links.put(account, &Link::to(person)).await?;
        let new = |profile| NewAccount { aor: aor.clone(), jid: jid.clone(), profile };
        let profile = person.profile(&Profile { video: true, ..Profile::default() });
        let mut made = self.book.create_locked_as(account, new(profile.clone())).await;
        if made.as_ref().is_err_and(is_of_numbers) {
            tell_of_numbers(account);
            made = self.book.create_locked_as(account, new(Profile { numbers: Vec::new(), ..profile })).await;
        }
        if let Err(error) = made {
            self.links.forget(account, person.source).await?;
            return Err(error.into());
        }
        self.tell(account, person.source, "created", None);
        Ok(account)
    }

    /// Writes what changed about somebody; an account that ended because they were gone is theirs again.
    async fn refresh(&self, account: &Account, link: &Link, person: &Person) -> Result<(), RegistryError> {
        // What a directory says of somebody holds, whoever else knows them.
        let is_kept =
            person.source != Source::Ldap && self.links.of(account.id, Source::Ldap).await?.is_some();
        if link.person != *person && !is_kept {
            let Account { id, numbers, video, admin, .. } = account.clone();
            let before = Profile { name: String::new(), numbers: numbers.clone(), video, admin };
            let profile = person.profile(&before);
            match self.book.set_profile(id, profile.clone()).await {
                Err(error) if is_of_numbers(&error) => {
                    tell_of_numbers(id);
                    self.book.set_profile(id, Profile { numbers, ..profile }).await?;
                }
                set => set?,
            }
            self.tell(id, person.source, "changed", Some(account));
        }
        if link.ended {
            self.book.set_enabled(account.id, true).await?;
            self.tell(account.id, person.source, "returned", Some(account));
        }
        let now = Link { lasting: link.lasting.clone(), ..Link::to(person) };
        if *link != now {
            self.links.put(account.id, &now).await?;
        }
        Ok(())
    }

    /// Ends the account of somebody who is gone elsewhere: both halves hear of it.
    pub(crate) async fn end(
        &self,
        account: AccountId,
        link: &Link,
        how: Missing,
    ) -> Result<(), RegistryError> {
        let source = link.person.source;
        let Some(there) = self.cache.store().by_id(account).await? else {
            return Ok(self.links.forget(account, source).await?);
        };
        match how {
            Missing::Remove => self.book.remove(account).await?,
            // Whoever was disabled here stays so when they are back there.
            Missing::Disable if link.ended || !there.enabled => return Ok(()),
            Missing::Disable => {
                self.links.put(account, &Link { ended: true, ..link.clone() }).await?;
                self.book.set_enabled(account, false).await?;
            }
        }
        self.tell(account, source, "ended", Some(&there));
        Ok(())
    }

    fn tell(&self, account: AccountId, source: Source, what: &'static str, before: Option<&Account>) {
        self.metrics.outside(source, what);
        tracing::info!(%account, source = source.as_str(), what, "an account follows what is said elsewhere");
        let before = before.map(AccountCard::from);
        if self.record.try_send(OutsideChange { source, account, what, before }).is_err() {
            tracing::warn!(%account, "a change by what is said elsewhere is in this log alone");
        }
    }
}

/// Whether it is the numbers that an account cannot have.
fn is_of_numbers(error: &BookError) -> bool {
    matches!(error, BookError::BadNumber(_) | BookError::Store(StoreError::Taken(Taken::Number(_))))
}

fn tell_of_numbers(account: AccountId) {
    tracing::warn!(%account, "the numbers of somebody from elsewhere are left out: not E.164, or another's");
}

#[cfg(test)]
mod tests {
    use shared_runtime::bus::Bus;
    use shared_store::Store;

    use super::*;
    use crate::{Auth, metrics};

    /// A registry over a store of its own, and what it tells.
    fn registry() -> (Auth, Registry, mpsc::Receiver<OutsideChange>) {
        let folder = std::env::temp_dir().join(format!("cusax-outside-{:016x}", shared_runtime::random()));
        let config = crate::Config { iterations: 4096, ..Default::default() };
        let counted = prometheus::Registry::new();
        let auth = Auth::open(&config, &Store::in_memory(), &folder, &Bus::new(), &counted).unwrap();
        // The keys are read; a folder that stays behind in a temporary place harms nobody.
        let _ = std::fs::remove_dir_all(&folder);
        let (record, changes) = mpsc::channel(64);
        let registry = Registry {
            domain: "example.org".to_owned(),
            cache: Arc::clone(&auth.cache),
            book: Arc::clone(&auth.book),
            links: auth.links.clone(),
            metrics: Arc::new(metrics::Metrics::register(&counted)),
            record,
        };
        (auth, registry, changes)
    }

    fn person(source: Source, subject: &str, user: &str) -> Person {
        let (subject, user) = (subject.to_owned(), user.to_owned());
        Person { source, subject, name: user.clone(), user, numbers: None, admin: None }
    }

    async fn local(auth: &Auth, name: &str, number: &str) -> AccountId {
        let address = format!("{name}@example.org");
        let profile = Profile { numbers: vec![number.to_owned()], ..Profile::default() };
        let new = NewAccount { aor: address.parse().unwrap(), jid: address.parse().unwrap(), profile };
        auth.book.create(new, "pencil").await.unwrap().account
    }

    #[tokio::test]
    async fn an_account_is_made_changed_ended_and_given_back_and_each_is_told() {
        let (auth, registry, mut changes) = registry();
        let alice = Person { admin: Some(true), ..person(Source::Ldap, "1", "alice") };
        let id = registry.admit(&alice, Policy::Create).await.unwrap();
        assert_eq!(registry.admit(&alice, Policy::Create).await, Ok(id));
        assert_eq!(auth.book.set_password(id, "own").await, Err(BookError::KeptElsewhere(Source::Ldap)));
        let renamed = Person { name: "Alice".to_owned(), admin: Some(false), ..alice };
        registry.admit(&renamed, Policy::Create).await.unwrap();
        let card = auth.directory.by_id(id).await.unwrap().unwrap();
        assert!(card.name == "Alice" && !card.admin && card.enabled);
        let link = registry.links.of(id, Source::Ldap).await.unwrap().unwrap();
        registry.end(id, &link, Missing::Disable).await.unwrap();
        assert!(!auth.directory.by_id(id).await.unwrap().unwrap().enabled);
        registry.admit(&renamed, Policy::Create).await.unwrap();
        assert!(auth.directory.by_id(id).await.unwrap().unwrap().enabled);
        registry.end(id, &link, Missing::Remove).await.unwrap();
        assert_eq!(auth.directory.by_id(id).await, Ok(None));
        assert_eq!(registry.links.of(id, Source::Ldap).await, Ok(None));
        let told = std::iter::from_fn(|| changes.try_recv().ok()).map(|change| change.what);
        assert_eq!(told.collect::<Vec<_>>(), ["created", "changed", "ended", "returned", "ended"]);
    }

    #[tokio::test]
    async fn nobody_gets_what_is_somebody_elses() {
        let (auth, registry, _changes) = registry();
        let root = local(&auth, "root", "+33123456789").await;
        let impostor = person(Source::Ldap, "1", "root");
        assert_eq!(registry.admit(&impostor, Policy::Create).await, Err(RegistryError::NotTheirs));
        let taken =
            Person { numbers: Some(vec!["+33123456789".to_owned()]), ..person(Source::Ldap, "2", "bob") };
        let bob = registry.admit(&taken, Policy::Create).await.unwrap();
        assert!(auth.directory.by_id(bob).await.unwrap().unwrap().numbers.is_empty(), "the number is root's");
        let heir = person(Source::Ldap, "3", "bob");
        assert_eq!(registry.admit(&heir, Policy::Both).await, Err(RegistryError::NotTheirs), "another bob");
        let stranger = person(Source::Oidc, "i 1", "eve");
        assert_eq!(registry.admit(&stranger, Policy::Never).await, Err(RegistryError::Uninvited));
        assert_eq!(registry.admit(&stranger, Policy::Link).await, Err(RegistryError::Uninvited));
        let linked = person(Source::Oidc, "i 2", "root");
        assert_eq!(registry.admit(&linked, Policy::Link).await, Ok(root));
        let renamed = person(Source::Oidc, "i 2", "eve");
        assert_eq!(registry.admit(&renamed, Policy::Create).await, Ok(root), "the subject says whose it is");
        assert_eq!(auth.book.keeper(root).await, Ok(None), "a password that is ours stays ours");
    }

    #[tokio::test]
    async fn whom_the_operator_disabled_nobody_else_enables() {
        let (auth, registry, _changes) = registry();
        let alice = person(Source::Ldap, "1", "alice");
        let id = registry.admit(&alice, Policy::Create).await.unwrap();
        auth.book.set_enabled(id, false).await.unwrap();
        let link = registry.links.of(id, Source::Ldap).await.unwrap().unwrap();
        registry.end(id, &link, Missing::Disable).await.unwrap();
        registry.admit(&alice, Policy::Create).await.unwrap();
        assert!(!auth.directory.by_id(id).await.unwrap().unwrap().enabled);
    }
}
