//! Identity from outside: accounts whose people, and whose passwords, another system keeps (P-2).
//!
//! In    a directory that is read again and again; names and passwords that are not ours to verify.
//! Out   accounts that come, change and end with what is said there; who proved themselves there.
//! State a [`Link`] for each account that came from there.
//! Errors where the other system does not answer, nobody is proved, and nobody is removed.
//!
//! SCRAM and SIP Digest need a verifier, which nobody gives away: such an account logs in by PLAIN over TLS, by pages, and
//! everywhere by app passwords, which are ours.

pub(crate) mod ldap;
mod link;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use shared_model::{AccountId, Aor, BareJid};
use shared_runtime::Shutdown;
use shared_runtime::tls::TlsPolicy;
use shared_store::{Account, StoreError, Taken};

use crate::authenticator::{Login, identify};
use crate::cache::{AccountCache, Name};
use crate::metrics::Metrics;
use crate::{AccountBook, BookError, Denied, How, Identity, NewAccount, Profile};

pub use ldap::{LdapConfig, LdapError, Missing};
pub use link::{Link, Links, Source};

use ldap::{Ldap, sync};

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
    /// Telephone numbers that may be E.164.
    pub numbers: Vec<String>,
    /// Whether they administer the service, if that is said there.
    pub admin: Option<bool>,
}

impl Person {
    /// What an account is to have that has `before`.
    fn profile(&self, before: &Profile) -> Profile {
        let (name, numbers) = (self.name.clone(), self.numbers.clone());
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
}

/// Why somebody from elsewhere has no account here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RegistryError {
    /// An account of this name is not theirs: made here, or another's elsewhere.
    #[error("an account of this name is somebody else's")]
    NotTheirs,
    /// The account could not be made or changed.
    #[error(transparent)]
    Book(#[from] BookError),
}

impl From<StoreError> for RegistryError {
    fn from(error: StoreError) -> Self {
        Self::Book(error.into())
    }
}

impl Registry {
    /// The account of somebody, made if there is none, and what is known of them written into it.
    pub(crate) async fn admit(&self, person: &Person) -> Result<AccountId, RegistryError> {
        let aor = Aor::new(&person.user, &self.domain).map_err(|_| BookError::BadName)?;
        let Some(account) = self.cache.store().by_aor(&aor).await? else {
            return self.create(aor, person).await;
        };
        match self.links.of(account.id, person.source).await? {
            Some(link) if link.person.subject == person.subject => {
                self.refresh(&account, &link, person).await?
            }
            Some(_) | None => return Err(RegistryError::NotTheirs),
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
        self.count(account, person.source, "created");
        Ok(account)
    }

    /// Writes what changed about somebody; an account that ended because they were gone is theirs again.
    async fn refresh(&self, account: &Account, link: &Link, person: &Person) -> Result<(), RegistryError> {
        if link.person != *person {
            let Account { id, numbers, video, admin, .. } = account.clone();
            let profile = person.profile(&Profile { name: String::new(), numbers: Vec::new(), video, admin });
            match self.book.set_profile(id, profile.clone()).await {
                Err(error) if is_of_numbers(&error) => {
                    tell_of_numbers(id);
                    self.book.set_profile(id, Profile { numbers, ..profile }).await?;
                }
                set => set?,
            }
            self.count(id, person.source, "changed");
        }
        if link.ended {
            self.book.set_enabled(account.id, true).await?;
            self.count(account.id, person.source, "returned");
        }
        let now = Link::to(person);
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
        self.count(account, source, "ended");
        Ok(())
    }

    fn count(&self, account: AccountId, source: Source, what: &'static str) {
        self.metrics.outside(source, what);
        tracing::info!(%account, source = source.as_str(), what, "an account follows what is said elsewhere");
    }
}

/// Whether it is the numbers that an account cannot have.
fn is_of_numbers(error: &BookError) -> bool {
    matches!(error, BookError::BadNumber(_) | BookError::Store(StoreError::Taken(Taken::Number(_))))
}

fn tell_of_numbers(account: AccountId) {
    tracing::warn!(%account, "the numbers of somebody from elsewhere are left out: not E.164, or another's");
}

/// What the door asks when a password is none of ours, and what keeps accounts as they are elsewhere.
pub(crate) struct Outside {
    pub(crate) ldap: Option<Arc<Ldap>>,
    pub(crate) registry: Arc<Registry>,
}

impl Outside {
    /// Opens what is configured; `None` if nothing is.
    pub(crate) fn open(
        ldap: &LdapConfig,
        tls: &TlsPolicy,
        registry: Registry,
    ) -> Result<Option<Self>, LdapError> {
        let ldap = Ldap::open(ldap, tls)?.map(Arc::new);
        Ok(ldap.is_some().then(|| Self { ldap, registry: Arc::new(registry) }))
    }

    /// Whether somebody else keeps passwords.
    pub(crate) fn knows_passwords(&self) -> bool {
        self.ldap.is_some()
    }

    /// A password that is none of ours. The directory is asked whoever is asked for, lest the time tell whose account is ours;
    /// who is ours alone is refused whether or not it answers, so that nobody guesses unthrottled while it is silent.
    pub(crate) async fn plain(
        &self,
        account: Option<&Account>,
        login: &Login,
        password: &str,
        authzid: &str,
    ) -> Result<Identity, Denied> {
        let refused = identify(account, false, authzid, How::Bind);
        let (Some(ldap), None) = (&self.ldap, &login.app) else { return refused };
        let user = match (account, &login.name) {
            (Some(account), _) => account.aor.local(),
            (None, Name::Jid(jid)) if jid.domain() == self.registry.domain => jid.local(),
            (None, Name::Aor(aor)) if aor.domain() == self.registry.domain => aor.local(),
            _ => return refused,
        };
        let proved = ldap.prove(user, password).await;
        let Some(account) = account else {
            let Some(person) = proved? else { return refused };
            let account = self.registry.admit(&person).await.map_err(|error| match error {
                RegistryError::NotTheirs => Denied::UnknownAccount,
                error => Denied::Unavailable(error.to_string()),
            })?;
            let account = self.registry.cache.find(Name::Id(account)).await?;
            return identify(account.as_deref(), true, authzid, How::Bind);
        };
        let Some(link) = self.registry.links.of(account.id, Source::Ldap).await? else { return refused };
        let is_theirs = proved?.is_some_and(|person| person.subject == link.person.subject);
        identify(Some(account), is_theirs, authzid, How::Bind)
    }

    /// Keeps accounts as they are elsewhere, until shutdown.
    pub(crate) fn follow(&self, shutdown: &Shutdown) {
        if let Some(ldap) = &self.ldap {
            shutdown.spawn(sync::follow(Arc::clone(ldap), Arc::clone(&self.registry), shutdown.clone()));
        }
    }
}
