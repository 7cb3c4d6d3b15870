//! Invitations: whoever holds the link does one thing once — makes an account, or sets a new password for one.
//!
//! ```text
//! create ─▶ text, shown once ─▶ peek, as often as one likes ─▶ accept or reset or take, once
//! ```
//!
//! In    who invites, what the invitation opens, for how long; then the text, and what the invited one chose.
//! Out   the text once; what an unspent one opens; the new account.
//! State one record an invitation under the hash of its text, so that who reads the store can use none; one for each account
//!       that has a contact to add (XEP-0379), until the chat server asks for it by [`Invites::take_contact`].
//! Errors [`InviteError`]. Spent, expired, revoked and forged texts are all [`InviteError::Spent`]: nobody learns which.
//! Not here: links, pages, `xmpp:` URIs (`provisioning`), registration in band (XEP-0401, XEP-0445: `xmpp-server`).
//!
//! Accepting survives `kill -9`: the invitation is claimed for an account's id first, then the account is made, then the
//! invitation is removed. A claim whose account is there is spent; one whose account is not there is free after a minute.
//! A reset ends with the password that it is to replace.

mod rules;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared_model::{AccountId, Aor, BareJid, Domains, ProvisioningEvent};
use shared_runtime::hex;
use shared_store::{DigestAlgorithm, Expected, RecordChange, Records, StoreError, Taken};

pub(crate) use rules::check_grammar;
pub use rules::{NameError, WeakPassword, check_name, check_password, check_shown_name, is_trial_name};

use crate::cache::{AccountCache, Name};
use crate::fingerprint::{is_same, main_fingerprint};
use crate::hash::{digest_hash, random, random_letters};
use crate::{AccountBook, AccountCard, BookError, NewAccount, Profile};

/// Makes invitations and takes them back. Clones share the store.
#[derive(Clone)]
pub struct Invites {
    records: Arc<dyn Records>,
    cache: Arc<AccountCache>,
    book: Arc<AccountBook>,
}

/// What the holder of an invitation may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Opens {
    /// Make an account.
    Account {
        /// The user name that it will have; `None` lets the invited one choose.
        user: Option<String>,
        /// The domain that it will be of; `None`: the service's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        domain: Option<String>,
        /// The name to show, possibly empty; the invited one may choose another.
        name: String,
        /// Whether it will administer the service.
        admin: bool,
        /// Who will be its first contact (XEP-0379): the one who invites.
        contact: Option<BareJid>,
    },
    /// Set a new password.
    Password {
        /// For this account.
        account: AccountId,
    },
    /// Become a contact of an account that is there, by one that has an account already (XEP-0379).
    Contact {
        /// The one who invites.
        contact: BareJid,
    },
}

/// An invitation without its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invite {
    /// What it is called in lists; of no use to whoever wants to accept it.
    pub id: String,
    /// What it opens.
    pub opens: Opens,
    /// Who made it; `None` for the operator.
    pub by: Option<AccountId>,
    /// When it was made, milliseconds since 1970.
    pub created: i64,
    /// When it ends, milliseconds since 1970.
    pub expires: i64,
}

impl Invite {
    /// The domain of ours that the account will be of; `None` for what makes no account, and for a domain that is not served any more.
    pub fn domain<'a>(&self, domains: &'a Domains) -> Option<&'a str> {
        match &self.opens {
            Opens::Account { domain: Some(domain), .. } => domains.find(domain),
            Opens::Account { domain: None, .. } => Some(domains.main()),
            Opens::Password { .. } | Opens::Contact { .. } => None,
        }
    }
}

/// What the invited one chose.
#[derive(Clone, Copy)]
pub struct Wish<'a> {
    /// The user name; not looked at where the invitation says it.
    pub user: &'a str,
    /// The name to show; empty takes the invitation's.
    pub name: &'a str,
    /// The password.
    pub password: &'a str,
}

/// Why an invitation was not made or not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InviteError {
    /// There is no such invitation, or not any more.
    #[error("this invitation is not good, or not any more")]
    Spent,
    /// The user name cannot be used.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The password is too easy to guess.
    #[error(transparent)]
    Weak(#[from] WeakPassword),
    /// One account may have so many open invitations.
    #[error("at most {MOST_OF_ONE} invitations of one account are open at once")]
    TooMany,
    /// The account was not made or not changed.
    #[error(transparent)]
    Book(#[from] BookError),
}

impl From<StoreError> for InviteError {
    fn from(error: StoreError) -> Self {
        Self::Book(error.into())
    }
}

/// What is stored.
#[derive(Clone, Serialize, Deserialize)]
struct Kept {
    invite: Invite,
    claim: Option<Claim>,
    /// The main password that a reset is to replace.
    #[serde(default)]
    password: Option<String>,
}

/// Somebody is accepting it.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Claim {
    account: AccountId,
    since: i64,
}

impl Invites {
    pub(crate) fn new(records: Arc<dyn Records>, cache: Arc<AccountCache>, book: Arc<AccountBook>) -> Self {
        Self { records, cache, book }
    }

    /// Makes an invitation that is good once, for `lifetime` from `now` (milliseconds since 1970). Its text is 26 letters and
    /// digits (XEP-0401 §5.1) and is not kept.
    pub async fn create(
        &self,
        domains: &Domains,
        opens: Opens,
        by: Option<AccountId>,
        lifetime: Duration,
        now: i64,
    ) -> Result<(String, Invite), InviteError> {
        // Administrators alone reset passwords, as many as there are people who forget theirs, and invite whom they will.
        let is_admins = match by {
            Some(by) => self.cache.find(Name::Id(by)).await?.is_some_and(|account| account.admin),
            None => false,
        };
        let counts = |opens: &Opens| match opens {
            Opens::Account { contact: None, .. } => !is_admins,
            Opens::Account { .. } | Opens::Contact { .. } => true,
            Opens::Password { .. } => false,
        };
        let of_one = |invite: &&Invite| by.is_some() && invite.by == by && counts(&invite.opens);
        if counts(&opens) && self.list(now).await?.iter().filter(of_one).count() >= MOST_OF_ONE {
            return Err(InviteError::TooMany);
        }
        let password = match &opens {
            Opens::Password { account } => {
                if let Some(source) = self.book.keeper(*account).await? {
                    return Err(BookError::KeptElsewhere(source).into());
                }
                Some(self.password_of(*account).await?.ok_or(StoreError::NoSuchAccount)?)
            }
            Opens::Account { .. } | Opens::Contact { .. } => None,
        };
        let text = random_letters::<26>();
        let (key, lifetime) = (key(&text), i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX));
        let expires = now.saturating_add(lifetime);
        let invite = Invite { id: key[..ID_LENGTH].to_owned(), opens, by, created: now, expires };
        if let Opens::Account { user: Some(user), .. } = &invite.opens {
            check_grammar(user)?;
            self.refuse_taken(domains, user, &invite, now).await?;
        }
        let kept = Kept { invite, claim: None, password };
        self.records.put(OWNER, COLLECTION, &key, &write(&kept)?, Expected::Absent).await?;
        Ok((text, kept.invite))
    }

    /// A name that somebody has, or that an open invitation keeps, is nobody else's.
    async fn refuse_taken(
        &self,
        domains: &Domains,
        user: &str,
        wanted: &Invite,
        now: i64,
    ) -> Result<(), InviteError> {
        // To a domain that is not served it opens nothing, and keeps nothing.
        let Some(aor) = wanted.domain(domains).and_then(|domain| Aor::new(user, domain).ok()) else {
            return Ok(());
        };
        match self.is_taken(&aor).await? || self.holds(domains, &aor, now).await? {
            true => Err(StoreError::Taken(Taken::Aor).into()),
            false => Ok(()),
        }
    }

    async fn is_taken(&self, aor: &Aor) -> Result<bool, StoreError> {
        let accounts = self.cache.store();
        Ok(accounts.by_aor(aor).await?.is_some() || accounts.by_jid(&BareJid(aor.0.clone())).await?.is_some())
    }

    /// Whether an open invitation keeps this name for whoever has it (XEP-0401 §6.2, XEP-0445 §5).
    pub async fn holds(&self, domains: &Domains, aor: &Aor, now: i64) -> Result<bool, StoreError> {
        let is_for = |invite: &Invite| match &invite.opens {
            Opens::Account { user: Some(user), .. } => {
                user == aor.local() && invite.domain(domains) == Some(aor.domain())
            }
            _ => false,
        };
        Ok(self.list(now).await?.iter().any(is_for))
    }

    /// Refuses names of an account that an open invitation keeps.
    pub async fn check_free(
        &self,
        domains: &Domains,
        (aor, jid): (&Aor, &BareJid),
        now: i64,
    ) -> Result<(), BookError> {
        match self.holds(domains, aor, now).await? || self.holds(domains, &Aor(jid.0.clone()), now).await? {
            true => Err(BookError::Invited),
            false => Ok(()),
        }
    }

    /// What the text opens, if it is unspent. Looking spends nothing, so pages, previews and crawlers may.
    pub async fn peek(&self, text: &str, now: i64) -> Result<Option<Invite>, StoreError> {
        Ok(self.find(text, now).await?.map(|(kept, _)| kept.invite))
    }

    /// Makes the account `user@domain`, AOR and JID, in the domain that the invitation says ([`Invite::domain`]), and spends it; of
    /// many callers one succeeds. A wish that is refused, because of its name or its password, spends nothing.
    pub async fn accept(
        &self,
        text: &str,
        domains: &Domains,
        wish: Wish<'_>,
        now: i64,
    ) -> Result<AccountCard, InviteError> {
        self.accept_shown(text, domains, wish, now, now).await
    }

    /// The same of an invitation that was looked at earlier, at `shown`: it has not expired since (XEP-0445 §4).
    pub async fn accept_shown(
        &self,
        text: &str,
        domains: &Domains,
        wish: Wish<'_>,
        shown: i64,
        now: i64,
    ) -> Result<AccountCard, InviteError> {
        let (kept, version) = self.find(text, shown).await?.ok_or(InviteError::Spent)?;
        if self.is_spent(&kept, now).await? {
            return Err(InviteError::Spent);
        }
        let domain = kept.invite.domain(domains).ok_or(InviteError::Spent)?;
        let Opens::Account { user, name, admin, contact, .. } = kept.invite.opens.clone() else {
            return Err(InviteError::Spent);
        };
        let (user, is_kept) = match user {
            Some(user) => (user, true),
            None => (check_name(wish.user)?, false),
        };
        check_password(wish.password, &user)?;
        let aor = Aor::new(&user, domain).map_err(|_| NameError::Characters)?;
        let jid = BareJid(aor.0.clone());
        if self.is_taken(&aor).await? || (!is_kept && self.holds(domains, &aor, now).await?) {
            return Err(StoreError::Taken(Taken::Aor).into());
        }
        let name = if wish.name.trim().is_empty() { name } else { check_shown_name(wish.name)? };
        let profile = Profile { name, admin, ..Profile::default() };
        let id = AccountId(u128::from_be_bytes(random()));
        self.claim(text, &kept, version, Claim { account: id, since: now }, contact.as_ref()).await?;
        match self.book.create_as(id, NewAccount { aor, jid, profile }, wish.password).await {
            Ok(card) => {
                self.forget(text).await;
                self.book.note(id, ProvisioningEvent::InvitationFollowed { account: id });
                Ok(card)
            }
            Err(error) => {
                self.release(text, kept, id).await;
                Err(error.into())
            }
        }
    }

    /// Sets the password that an invitation of that kind is for, and spends it.
    pub async fn reset(&self, text: &str, password: &str, now: i64) -> Result<AccountCard, InviteError> {
        let (kept, version) = self.find(text, now).await?.ok_or(InviteError::Spent)?;
        let Opens::Password { account: id } = kept.invite.opens else { return Err(InviteError::Spent) };
        let account = self.cache.find(Name::Id(id)).await?.ok_or(InviteError::Spent)?;
        check_password(password, account.aor.local())?;
        self.claim(text, &kept, version, Claim { account: id, since: now }, None).await?;
        match self.book.set_password(id, password).await {
            Ok(()) => {
                self.forget(text).await;
                Ok(AccountCard::from(&*account))
            }
            Err(error) => {
                self.release(text, kept, id).await;
                Err(error.into())
            }
        }
    }

    /// Spends an invitation and answers what it was, as when somebody who has an account becomes a contact by it.
    pub async fn take(&self, text: &str, now: i64) -> Result<Option<Invite>, StoreError> {
        if self.find(text, now).await?.is_none() {
            return Ok(None);
        }
        let record = self.records.take(OWNER, COLLECTION, &key(text)).await?;
        Ok(record.and_then(|record| read(&record.value)).map(|kept| kept.invite))
    }

    /// Who shall be the first contact of a new account, said once: the one who invited it.
    pub async fn take_contact(&self, account: AccountId) -> Result<Option<BareJid>, StoreError> {
        let account = account.to_string();
        // Taking is a write, and most have none.
        if self.records.get(OWNER, CONTACTS, &account).await?.is_none() {
            return Ok(None);
        }
        let record = self.records.take(OWNER, CONTACTS, &account).await?;
        Ok(record.and_then(|record| std::str::from_utf8(&record.value).ok()?.parse().ok()))
    }

    /// Every open invitation, in no order that tells anything. Those that ended are removed on the way.
    pub async fn list(&self, now: i64) -> Result<Vec<Invite>, StoreError> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let records = self.records.list(OWNER, COLLECTION, after.as_deref(), PAGE).await?;
            let is_last = records.len() < PAGE;
            after = records.last().map(|record| record.key.clone());
            for record in records {
                match read(&record.value).filter(|kept| kept.invite.expires > now) {
                    Some(kept) if !self.is_spent(&kept, now).await? => all.push(kept.invite),
                    Some(_) => {}
                    // What is not removed now is removed the next time.
                    None => drop(self.records.delete(OWNER, COLLECTION, &record.key).await),
                }
            }
            if is_last || all.len() >= MOST {
                return Ok(all);
            }
        }
    }

    /// Takes an invitation back by its id. False if there is none.
    pub async fn revoke(&self, id: &str) -> Result<bool, StoreError> {
        if id.len() != ID_LENGTH {
            return Ok(false);
        }
        let next = self.records.list(OWNER, COLLECTION, Some(id), 1).await?;
        match next.first().filter(|record| record.key.starts_with(id)) {
            Some(record) => self.records.delete(OWNER, COLLECTION, &record.key).await,
            None => Ok(false),
        }
    }

    async fn find(&self, text: &str, now: i64) -> Result<Option<(Kept, u64)>, StoreError> {
        let Some(record) = self.records.get(OWNER, COLLECTION, &key(text)).await? else { return Ok(None) };
        let Some(kept) = read(&record.value).filter(|kept| kept.invite.expires > now) else {
            return Ok(None);
        };
        let is_good = !self.is_spent(&kept, now).await? && !self.is_shut(&kept.invite).await?;
        Ok(is_good.then_some((kept, record.version)))
    }

    /// Whether an account is disabled that it leads to, that of a password or the one that invites, or who made it is disabled or
    /// gone. While it is so, nobody comes in by it.
    async fn is_shut(&self, invite: &Invite) -> Result<bool, StoreError> {
        let makes_or_resets = !matches!(invite.opens, Opens::Contact { .. });
        if let Some(by) = invite.by.filter(|_| makes_or_resets)
            && self.cache.find(Name::Id(by)).await?.is_none_or(|account| !account.enabled)
        {
            return Ok(true);
        }
        let whose = match &invite.opens {
            Opens::Password { account } => Name::Id(*account),
            Opens::Account { contact: Some(contact), .. } | Opens::Contact { contact } => {
                Name::Jid(contact.clone())
            }
            Opens::Account { contact: None, .. } => return Ok(false),
        };
        Ok(self.cache.find(whose).await?.is_some_and(|account| !account.enabled))
    }

    async fn is_spent(&self, kept: &Kept, now: i64) -> Result<bool, StoreError> {
        if let (Opens::Password { account }, Some(password)) = (&kept.invite.opens, &kept.password)
            && !self.password_of(*account).await?.is_some_and(|now| is_same(password, &now))
        {
            return Ok(true);
        }
        let Some(claim) = kept.claim else { return Ok(false) };
        let is_young = now.saturating_sub(claim.since) < CLAIM_MILLIS;
        let makes = matches!(kept.invite.opens, Opens::Account { .. });
        Ok(is_young || (makes && self.cache.store().by_id(claim.account).await?.is_some()))
    }

    /// A fingerprint of an account's main password, as it is in the store.
    async fn password_of(&self, account: AccountId) -> Result<Option<String>, StoreError> {
        let account = self.cache.store().by_id(account).await?;
        Ok(account.map(|account| main_fingerprint(&account)))
    }

    /// Keeps others from accepting it meanwhile. With it goes the note of the contact, which must not be lost.
    async fn claim(
        &self,
        text: &str,
        kept: &Kept,
        version: u64,
        claim: Claim,
        contact: Option<&BareJid>,
    ) -> Result<(), InviteError> {
        let kept = Kept { claim: Some(claim), ..kept.clone() };
        let claimed = RecordChange::put(COLLECTION, &key(text), &write(&kept)?);
        let mut changes = vec![claimed.expecting(Expected::Version(version))];
        changes.extend(contact.map(|contact| {
            RecordChange::put(CONTACTS, &claim.account.to_string(), contact.as_str().as_bytes())
        }));
        match self.records.commit(OWNER, &changes).await {
            Ok(_) => Ok(()),
            Err(StoreError::Conflict) => Err(InviteError::Spent),
            Err(error) => Err(error.into()),
        }
    }

    /// Nothing came of a claim. If this fails, it is free again after a minute.
    async fn release(&self, text: &str, kept: Kept, account: AccountId) {
        let Ok(value) = write(&Kept { claim: None, ..kept }) else { return };
        let changes = [
            RecordChange::put(COLLECTION, &key(text), &value),
            RecordChange::delete(CONTACTS, &account.to_string()),
        ];
        if let Err(error) = self.records.commit(OWNER, &changes).await {
            tracing::warn!(%error, "an invitation that was refused cannot be used for a minute");
        }
    }

    /// It was accepted. What stays behind is spent all the same, since its account is there.
    async fn forget(&self, text: &str) {
        if let Err(error) = self.records.delete(OWNER, COLLECTION, &key(text)).await {
            tracing::warn!(%error, "a spent invitation stays in the store until it expires");
        }
    }
}

fn write(kept: &Kept) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(kept).map_err(|error| StoreError::Backend(error.to_string()))
}

fn read(value: &[u8]) -> Option<Kept> {
    serde_json::from_slice(value).ok()
}

fn key(text: &str) -> String {
    hex(&digest_hash(DigestAlgorithm::Sha256, &[text.as_bytes()]))
}

const OWNER: &str = "shared-auth";
const COLLECTION: &str = "invite";
const CONTACTS: &str = "invited-by";
/// Hexadecimal digits of a hash that name an invitation.
const ID_LENGTH: usize = 16;
/// Milliseconds after which a claim that came to nothing is free again.
const CLAIM_MILLIS: i64 = 60_000;
/// Open invitations of one account; the operator's and administrators' are not counted.
const MOST_OF_ONE: usize = 20;
/// Invitations that are listed.
const MOST: usize = 10_000;
/// Records read at once.
const PAGE: usize = 500;

#[cfg(test)]
mod tests;
