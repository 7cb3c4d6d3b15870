//! Accounts of people who are kept elsewhere: made, changed, ended and given back as is said there.
//!
//! In    a [`Person`], or an account whose person is gone. Out the account; a fact for each change, by the book; an
//!       [`OutsideChange`] for whoever keeps a record of changes.
//! Errors [`RegistryError`]; a number that cannot be an account's is left out, for the rest of a person is good, and one that is another's is
//!       asked for again when the person is next read. Whose account ended elsewhere gives theirs to who has it there now.
//! Not here: taking over an account that is somebody else's, whatever its name.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use shared_model::{AccountId, Aor, BareJid};
use shared_runtime::{Redacted, unix_millis};
use shared_store::{Account, Expected, StoreError, Taken};
use tokio::sync::mpsc;

use super::{Link, Links, Missing, Policy, Source};
use crate::book::bare_number;
use crate::cache::AccountCache;
use crate::fast::forget_tokens;
use crate::metrics::Metrics;
use crate::{
    AccountBook, AccountCard, Bearers, BookError, Denied, NameError, NewAccount, Profile, check_name,
};

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
    /// The groups that they are in there, by their short names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// The further domain of ours whose keeper keeps them; empty: the main one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub domain: String,
}

impl Person {
    /// The same but for some of the numbers, which are in normal form.
    fn without(&self, numbers: &[String]) -> Self {
        let mut same = self.clone();
        if let Some(own) = &mut same.numbers {
            own.retain(|number| !numbers.contains(&bare_number(number)));
        }
        same
    }

    /// What an account is to have that has `before`. Which of the numbers is the first, by which it calls, is the account's to say.
    fn profile(&self, before: &Profile) -> Profile {
        let mut said: Vec<String> = Vec::new();
        for number in self.numbers.iter().flatten().map(|number| bare_number(number)) {
            if !said.contains(&number) {
                said.push(number);
            }
        }
        let is_same =
            said.len() == before.numbers.len() && before.numbers.iter().all(|own| said.contains(own));
        let numbers = if self.numbers.is_none() || is_same { before.numbers.clone() } else { said };
        let name = self.name.clone();
        Profile { name, numbers, video: before.video, admin: self.admin.unwrap_or(before.admin) }
    }
}

/// Makes accounts of people, and keeps them as these are.
pub(crate) struct Registry {
    /// The domain that its people are of.
    pub(crate) domain: String,
    /// What their links say of that ([`Person::domain`]).
    pub(crate) mark: String,
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
    /// Nobody new gets such a name from a provider, who gives people the names that they choose.
    #[error(transparent)]
    Name(#[from] NameError),
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
            RegistryError::NotTheirs | RegistryError::Uninvited | RegistryError::Name(_) => {
                Self::Foreign(error.to_string())
            }
            RegistryError::Book(error) => Self::Unavailable(error.to_string()),
        }
    }
}

/// Whose profile is written.
enum Whose<'a> {
    New(AccountId, &'a Aor, &'a BareJid),
    Known(&'a Account, Source),
}

impl Registry {
    /// All links of a source that are of this domain.
    pub(crate) async fn linked(&self, source: Source) -> Result<Vec<(AccountId, Link)>, StoreError> {
        let mut links = self.links.all(source).await?;
        links.retain(|(_, link)| link.person.domain == self.mark);
        Ok(links)
    }

    /// The account of somebody, made or taken as the policy has it, and what is known of them written into it.
    pub(crate) async fn admit(&self, person: &Person, policy: Policy) -> Result<AccountId, RegistryError> {
        self.admit_with(person, policy, None).await
    }

    /// The same for who signs in anew: what they bring to be asked about later takes the place of what is kept, if it is nothing too.
    pub(crate) async fn admit_with(
        &self,
        person: &Person,
        policy: Policy,
        brought: Option<Brought<'_>>,
    ) -> Result<AccountId, RegistryError> {
        let person = &Person { domain: self.mark.clone(), ..person.clone() };
        for _ in 1..TRIES {
            match self.try_to_admit(person, policy, brought).await {
                // Somebody was first: another sign-in of theirs, or the reading that found them.
                Err(RegistryError::Book(BookError::Store(
                    StoreError::Conflict | StoreError::Taken(Taken::Aor | Taken::Jid),
                ))) => {}
                other => return other,
            }
        }
        self.try_to_admit(person, policy, brought).await
    }

    async fn try_to_admit(
        &self,
        person: &Person,
        policy: Policy,
        brought: Option<Brought<'_>>,
    ) -> Result<AccountId, RegistryError> {
        if person.source == Source::Oidc
            && let Some(account) = self.links.by_subject(&person.subject).await?
            && let Some(account) = self.cache.store().by_id(account).await?
            && let Some(link) = self.links.read(account.id, person.source).await?
        {
            self.refresh(&account, link, person, brought).await?;
            return Ok(account.id);
        }
        let aor = Aor::new(&person.user, &self.domain).map_err(|_| BookError::BadName)?;
        let Some(account) = self.cache.store().by_aor(&aor).await? else {
            return if policy.creates() {
                self.create(aor, person, brought).await
            } else {
                Err(RegistryError::Uninvited)
            };
        };
        match self.links.read(account.id, person.source).await? {
            Some(link) if link.0.person.subject == person.subject => {
                self.refresh(&account, link, person, brought).await?
            }
            None if policy.links() => {
                let link = new_link(account.id, person, brought);
                self.links.put(account.id, &link, Expected::Absent).await?;
                self.tell(account.id, person.source, "linked", Some(&account));
            }
            _ => return Err(RegistryError::NotTheirs),
        }
        Ok(account.id)
    }

    async fn create(
        &self,
        aor: Aor,
        person: &Person,
        brought: Option<Brought<'_>>,
    ) -> Result<AccountId, RegistryError> {
        if person.source == Source::Oidc {
            check_name(&person.user)?;
        }
        let jid = BareJid::new(aor.local(), aor.domain()).map_err(|_| BookError::BadName)?;
        let account = AccountId(u128::from_be_bytes(crate::hash::random()));
        // First, so that whoever dies between the two leaves no account that belongs to nobody.
        self.links.put(account, &new_link(account, person, brought), Expected::Absent).await?;
        let profile = person.profile(&Profile { video: true, ..Profile::default() });
        let taken = match self.write(Whose::New(account, &aor, &jid), profile).await {
            Ok(taken) => taken,
            Err(error) => {
                self.links.forget(account, person.source).await?;
                return Err(error);
            }
        };
        if !taken.is_empty() {
            tell_of_numbers(account, &taken);
            let link = new_link(account, &person.without(&taken), brought);
            self.links.put(account, &link, Expected::Anything).await?;
        }
        self.tell(account, person.source, "created", None);
        Ok(account)
    }

    /// Writes a profile with those of its numbers that can be the account's; which of them are another's.
    async fn write(&self, whose: Whose<'_>, mut profile: Profile) -> Result<Vec<String>, RegistryError> {
        let mut taken = Vec::new();
        // Each may be given up by another first, and then turn out to be a third one's.
        for _ in 0..2 * profile.numbers.len() {
            match self.try_to_write(&whose, profile.clone()).await {
                Err(BookError::BadNumber(bad)) => profile.numbers.retain(|number| *number != bad),
                Err(BookError::Store(StoreError::Taken(Taken::Number(number)))) => {
                    if !self.give_up(&number).await? {
                        profile.numbers.retain(|own| *own != number);
                        taken.push(number);
                    }
                }
                written => return Ok(written.map(|()| taken)?),
            }
        }
        Ok(self.try_to_write(&whose, profile).await.map(|()| taken)?)
    }

    async fn try_to_write(&self, whose: &Whose<'_>, profile: Profile) -> Result<(), BookError> {
        match whose {
            Whose::New(account, aor, jid) => {
                let new = NewAccount { aor: (*aor).clone(), jid: (*jid).clone(), profile };
                self.book.create_locked_as(*account, new).await?;
            }
            Whose::Known(account, _) if profile == profile_of(account) => {}
            Whose::Known(account, source) => {
                self.book.set_profile(account.id, profile).await?;
                self.tell(account.id, *source, "changed", Some(account));
            }
        }
        Ok(())
    }

    /// Takes a number from an account that ended because its person was gone elsewhere; false if it is anybody else's. It is theirs
    /// again when they are back, if nobody else has it then.
    async fn give_up(&self, number: &str) -> Result<bool, RegistryError> {
        let Some(holder) = self.cache.store().by_number(number).await? else { return Ok(true) };
        for source in Source::ALL {
            let Some((link, expected)) = self.links.read(holder.id, source).await? else { continue };
            if !link.ended || holder.enabled || link.person.domain != self.mark {
                continue;
            }
            let without = Link { person: link.person.without(&[number.to_owned()]), ..link };
            self.links.put(holder.id, &without, expected).await?;
            let mut profile = profile_of(&holder);
            profile.numbers.retain(|own| own != number);
            self.book.set_profile(holder.id, profile).await?;
            self.tell(holder.id, source, "changed", Some(&holder));
            return Ok(true);
        }
        Ok(false)
    }

    /// Writes what changed about somebody; an account that ended because they were gone is theirs again.
    async fn refresh(
        &self,
        account: &Account,
        (link, expected): (Link, Expected),
        person: &Person,
        brought: Option<Brought<'_>>,
    ) -> Result<(), RegistryError> {
        // What a directory says of somebody holds, whoever else knows them.
        let is_kept =
            person.source != Source::Ldap && self.links.of(account.id, Source::Ldap).await?.is_some();
        let mut read = person.clone();
        if link.person != *person && !is_kept {
            let profile = person.profile(&profile_of(account));
            let taken = self.write(Whose::Known(account, person.source), profile).await?;
            read = person.without(&taken);
            if !taken.is_empty() && link.person != read {
                tell_of_numbers(account.id, &taken);
            }
        }
        if link.ended || (link.ending && !account.enabled) {
            self.book.set_enabled(account.id, true).await?;
            self.tell(account.id, person.source, "returned", Some(account));
        }
        let now = match brought {
            Some(_) => new_link(account.id, &read, brought),
            None => Link { person: read, ended: false, ending: false, ..link.clone() },
        };
        if link != now {
            // Somebody may be about to end it; who is first has the other try again.
            self.links.put(account.id, &now, expected).await?;
        }
        Ok(())
    }

    /// Ends the account of somebody who is gone elsewhere: both halves hear of it. Nothing is done if the link is not as it was
    /// `judged`: they signed in meanwhile. An end that failed half way is made whole when it is asked for again.
    pub(crate) async fn end(
        &self,
        account: AccountId,
        judged: &Link,
        how: Missing,
    ) -> Result<(), RegistryError> {
        let source = judged.person.source;
        let Some((link, expected)) = self.links.read(account, source).await? else { return Ok(()) };
        if link != *judged {
            return Ok(());
        }
        let Some(there) = self.cache.store().by_id(account).await? else {
            return Ok(self.links.forget(account, source).await?);
        };
        // Whoever was disabled here stays so when they are back there.
        if how == Missing::Disable && (link.ended || !(there.enabled || link.ending)) {
            return Ok(());
        }
        if !link.ending {
            let ending = Link { ending: true, ..link.clone() };
            match self.links.put(account, &ending, expected).await {
                Err(StoreError::Conflict) => return Ok(()),
                put => put?,
            }
        }
        match how {
            Missing::Remove => self.book.remove(account).await?,
            Missing::Disable => {
                self.book.set_enabled(account, false).await?;
                self.forget_sessions(&there).await?;
                if !self.is_marked(account, source).await? {
                    self.book.set_enabled(account, true).await?;
                    return Ok(());
                }
            }
        }
        self.tell(account, source, "ended", Some(&there));
        Ok(())
    }

    /// Writes that an account ended; false if its person signed in again meanwhile.
    async fn is_marked(&self, account: AccountId, source: Source) -> Result<bool, RegistryError> {
        let Some((link, expected)) = self.links.read(account, source).await? else { return Ok(false) };
        if !link.ending {
            return Ok(false);
        }
        match self.links.put(account, &Link { ended: true, ending: false, ..link }, expected).await {
            Err(StoreError::Conflict) => Ok(false),
            put => Ok(put.map(|()| true)?),
        }
    }

    /// What lets in without the password that is kept elsewhere does not outlive the end: an account without a password of ours
    /// has nothing else by which it would be known to be older.
    async fn forget_sessions(&self, account: &Account) -> Result<(), RegistryError> {
        Bearers::new(Arc::clone(&self.links.records), Arc::clone(&self.cache)).forget(account.id).await?;
        Ok(forget_tokens(&*self.links.records, &account.jid).await?)
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

/// What is sealed for an account by who signed in: what the provider can be asked about later, if it gave something.
pub(crate) type Brought<'a> = &'a (dyn Fn(AccountId) -> Option<Vec<u8>> + Sync);

fn new_link(account: AccountId, person: &Person, brought: Option<Brought<'_>>) -> Link {
    let lasting = brought.and_then(|brought| brought(account));
    let renewed = lasting.as_ref().map_or(0, |_| unix_millis());
    Link { lasting, renewed, ..Link::to(person) }
}

/// How often somebody is admitted who is changed from two sides at once.
const TRIES: usize = 4;

fn profile_of(account: &Account) -> Profile {
    let Account { display_name, numbers, video, admin, .. } = account.clone();
    Profile { name: display_name, numbers, video, admin }
}

fn tell_of_numbers(account: AccountId, taken: &[String]) {
    let numbers = Redacted(taken.join(", "));
    tracing::warn!(%account, %numbers, "numbers of somebody from elsewhere are another's: they are theirs when those give them up");
}

#[cfg(test)]
pub(super) mod tests;
