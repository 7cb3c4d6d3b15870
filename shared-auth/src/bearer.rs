//! What a browser or a program holds after somebody proved who they are: sessions of pages, tokens of the API (RFC 6750).
//!
//! ```text
//! cusax_ account (32 hexadecimal digits) _ secret (26 letters and digits)
//! ```
//!
//! In    whose it is, what it may do (words of the issuer's), its name, its time.
//! Out   a text, shown once; later what it stands for, as often as it is shown.
//! State one record each under the account and the hash of the text, at most [`MOST`] an account; a new one pushes out the one
//!       that ends first.
//! Errors whatever is not good is `None`: unknown, expired, revoked, of a disabled or removed account, or older than the main
//!        password, but for a device's.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared_model::AccountId;
use shared_runtime::hex;
use shared_store::{Account, DigestAlgorithm, Expected, Records, StoreError};

use crate::AccountCard;
use crate::cache::{AccountCache, Name};
use crate::fingerprint::{is_same, main_fingerprint};
use crate::hash::{digest_hash, random_letters};

/// Issues bearers and knows them again. Clones share the store.
#[derive(Clone)]
pub struct Bearers {
    records: Arc<dyn Records>,
    cache: Arc<AccountCache>,
}

/// Who holds a bearer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// A browser or a program of somebody who knew the main password; it ends with that password.
    Person,
    /// A thing that was given it, such as a desk phone, and would not know what to do without.
    Device,
}

/// What is known of a session or a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bearer {
    /// What it is called in lists; of no use to whoever wants to show it.
    pub id: String,
    /// Whose it is.
    pub account: AccountId,
    /// What it may do, in the issuer's words.
    pub scopes: Vec<String>,
    /// What people call it: a browser, a program.
    pub name: String,
    /// When it was issued, milliseconds since 1970.
    pub created: i64,
    /// When it ends, milliseconds since 1970.
    pub expires: i64,
    /// The main password under which it was issued; `None` for a device, which outlives it.
    password: Option<String>,
}

impl Bearer {
    /// Whether the password holds under which it was issued, if there was one.
    fn is_of_password_of(&self, account: &Account) -> bool {
        self.password.as_ref().is_none_or(|kept| is_same(kept, &main_fingerprint(account)))
    }
}

impl Bearers {
    pub(crate) fn new(records: Arc<dyn Records>, cache: Arc<AccountCache>) -> Self {
        Self { records, cache }
    }

    /// Issues one for `lifetime` from `now` (milliseconds since 1970).
    pub async fn issue(
        &self,
        (account, holder): (AccountId, Holder),
        name: &str,
        scopes: &[&str],
        lifetime: Duration,
        now: i64,
    ) -> Result<(String, Bearer), StoreError> {
        let whole = self.cache.find(Name::Id(account)).await?.ok_or(StoreError::NoSuchAccount)?;
        self.make_room(account, now).await?;
        let text = format!("{PREFIX}{account}_{}", random_letters::<26>());
        let (hash, lifetime) = (hash_of(&text), i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX));
        let bearer = Bearer {
            id: hash[..ID_LENGTH].to_owned(),
            account,
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            name: name.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect(),
            created: now,
            expires: now.saturating_add(lifetime),
            password: (holder == Holder::Person).then(|| main_fingerprint(&whole)),
        };
        let value = serde_json::to_vec(&bearer).map_err(|error| StoreError::Backend(error.to_string()))?;
        self.records.put(OWNER, COLLECTION, &format!("{account}-{hash}"), &value, Expected::Absent).await?;
        Ok((text, bearer))
    }

    /// What the text stands for, and the account as it is now.
    pub async fn find(&self, text: &str, now: i64) -> Result<Option<(Bearer, AccountCard)>, StoreError> {
        let account = text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_'));
        let Some(account) = account.and_then(|(account, _)| account.parse::<AccountId>().ok()) else {
            return Ok(None);
        };
        let key = format!("{account}-{}", hash_of(text));
        let Some(record) = self.records.get(OWNER, COLLECTION, &key).await? else { return Ok(None) };
        let Some(bearer) = read(&record.value).filter(|bearer| bearer.expires > now) else {
            return Ok(None);
        };
        let Some(mut whole) = self.cache.find(Name::Id(account)).await? else { return Ok(None) };
        if !bearer.is_of_password_of(&whole) {
            // It may be newer than what is remembered of the account.
            match self.cache.store().by_id(account).await? {
                Some(now) => whole = Arc::new(now),
                None => return Ok(None),
            }
        }
        let is_good = whole.enabled && bearer.is_of_password_of(&whole);
        Ok(is_good.then(|| (bearer, AccountCard::from(&*whole))))
    }

    /// What an account has that is good.
    pub async fn list(&self, account: AccountId, now: i64) -> Result<Vec<Bearer>, StoreError> {
        let Some(whole) = self.cache.find(Name::Id(account)).await? else { return Ok(Vec::new()) };
        let all = self.records.list(OWNER, COLLECTION, Some(&format!("{account}-")), 2 * MOST).await?;
        let own = all.iter().take_while(|record| record.key.starts_with(&account.to_string()));
        let is_good = |bearer: &Bearer| bearer.expires > now && bearer.is_of_password_of(&whole);
        Ok(own.filter_map(|record| read(&record.value)).filter(is_good).collect())
    }

    /// Takes one back by its id. False if the account has none of it.
    pub async fn revoke(&self, account: AccountId, id: &str) -> Result<bool, StoreError> {
        if id.len() != ID_LENGTH {
            return Ok(false);
        }
        let prefix = format!("{account}-{id}");
        let next = self.records.list(OWNER, COLLECTION, Some(&prefix), 1).await?;
        match next.first().filter(|record| record.key.starts_with(&prefix)) {
            Some(record) => self.records.delete(OWNER, COLLECTION, &record.key).await,
            None => Ok(false),
        }
    }

    /// Takes back those of one scope that began before a moment; how many.
    pub async fn end_older(&self, account: AccountId, scope: &str, moment: i64) -> Result<usize, StoreError> {
        let prefix = format!("{account}-");
        let is_meant =
            |bearer: &Bearer| bearer.created <= moment && bearer.scopes.iter().any(|it| it == scope);
        let mut ended = 0;
        for record in self.records.list(OWNER, COLLECTION, Some(&prefix), 2 * MOST).await? {
            if record.key.starts_with(&prefix) && read(&record.value).as_ref().is_some_and(is_meant) {
                ended += usize::from(self.records.delete(OWNER, COLLECTION, &record.key).await?);
            }
        }
        Ok(ended)
    }

    /// Takes back all that an account has, as when it is removed.
    pub async fn forget(&self, account: AccountId) -> Result<(), StoreError> {
        let prefix = format!("{account}-");
        for record in self.records.list(OWNER, COLLECTION, Some(&prefix), 2 * MOST).await? {
            if record.key.starts_with(&prefix) {
                self.records.delete(OWNER, COLLECTION, &record.key).await?;
            }
        }
        Ok(())
    }

    /// Whether a text may have been a bearer once. One that is, and is not good, was not guessed: there are 2^130 of an account.
    pub fn is_well_formed(text: &str) -> bool {
        let parts = text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_'));
        parts.is_some_and(|(account, secret)| {
            account.len() == 32
                && account.parse::<AccountId>().is_ok()
                && secret.len() == 26
                && secret.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        })
    }

    /// What a form must carry that is sent with a bearer in a cookie, so that no other site can send it.
    pub fn form_key(text: &str) -> String {
        hex(&digest_hash(DigestAlgorithm::Sha256, &[b"form", text.as_bytes()])[..16])
    }

    async fn make_room(&self, account: AccountId, now: i64) -> Result<(), StoreError> {
        let prefix = format!("{account}-");
        let all = self.records.list(OWNER, COLLECTION, Some(&prefix), 2 * MOST).await?;
        let mut own: Vec<_> = all.iter().take_while(|record| record.key.starts_with(&prefix)).collect();
        let ends = |value: &[u8]| read(value).map_or(0, |bearer| bearer.expires);
        own.sort_by_key(|record| ends(&record.value));
        let surplus = (own.len() + 1).saturating_sub(MOST);
        for (at, record) in own.iter().enumerate() {
            if at < surplus || ends(&record.value) <= now {
                self.records.delete(OWNER, COLLECTION, &record.key).await?;
            }
        }
        Ok(())
    }
}

fn read(value: &[u8]) -> Option<Bearer> {
    serde_json::from_slice(value).ok()
}

fn hash_of(text: &str) -> String {
    hex(&digest_hash(DigestAlgorithm::Sha256, &[text.as_bytes()]))
}

const OWNER: &str = "shared-auth";
const COLLECTION: &str = "bearer";
const PREFIX: &str = "cusax_";
/// Hexadecimal digits of a hash that name a bearer.
const ID_LENGTH: usize = 16;
/// Characters of a bearer's name.
const LONGEST_NAME: usize = 64;
/// Sessions and tokens of one account.
const MOST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Auth, Config, NewAccount, Profile};

    #[tokio::test]
    async fn a_bearer_is_good_until_it_ends_is_revoked_or_the_password_changes() {
        let folder = std::env::temp_dir().join(format!("cusax-bearer-{}", random_letters::<12>()));
        let (store, bus) = (shared_store::Store::in_memory(), shared_runtime::bus::Bus::new());
        let config = Config { iterations: 4096, ..Config::default() };
        let auth = Auth::open(&config, &store, &folder, &bus, &prometheus::Registry::new()).unwrap();
        let named = |name: &str| NewAccount {
            aor: format!("{name}@example.org").parse().unwrap(),
            jid: format!("{name}@example.org").parse().unwrap(),
            profile: Profile::default(),
        };
        let alice = auth.book.create(named("alice"), "pencil").await.unwrap().account;
        let bob = auth.book.create(named("bob"), "pencil").await.unwrap().account;
        let bearers = &auth.bearers;
        let hour = Duration::from_secs(3600);
        let (text, made) =
            bearers.issue((alice, Holder::Person), "Firefox\n", &["account"], hour, 0).await.unwrap();
        assert_eq!(made.name, "Firefox");
        assert_eq!(bearers.find(&text, 1).await.unwrap().unwrap().0, made);
        assert!(bearers.find(&text, 3_600_000).await.unwrap().is_none());
        assert!(Bearers::is_well_formed(&text));
        for forged in ["", "cusax_", "cusax_1_x", &text[..text.len() - 1], &text.replace("cusax_", "")] {
            assert!(bearers.find(forged, 1).await.unwrap().is_none(), "{forged}");
            assert!(!Bearers::is_well_formed(forged), "{forged}");
        }
        assert_eq!(bearers.revoke(bob, &made.id).await, Ok(false), "it is another's");
        assert_eq!(bearers.list(alice, 1).await.unwrap(), std::slice::from_ref(&made));
        assert!(bearers.list(bob, 1).await.unwrap().is_empty());
        assert_eq!(bearers.revoke(alice, &made.id).await, Ok(true));
        assert!(bearers.find(&text, 1).await.unwrap().is_none());
        let (text, _) = bearers.issue((alice, Holder::Person), "", &[], hour, 0).await.unwrap();
        auth.book.add_app_password(alice, "PHONE", 0).await.unwrap();
        assert!(bearers.find(&text, 1).await.unwrap().is_some(), "an app password changes nothing");
        let (phone, _) = bearers.issue((alice, Holder::Device), "", &[], hour, 0).await.unwrap();
        auth.book.set_password(alice, "pen").await.unwrap();
        assert!(bearers.find(&text, 1).await.unwrap().is_none());
        let left = bearers.list(alice, 1).await.unwrap();
        assert_eq!(left.len(), 1, "what is over is in no list");
        assert!(bearers.find(&phone, 1).await.unwrap().is_some(), "a phone on a desk goes on");
        let (text, _) = bearers.issue((alice, Holder::Person), "", &[], hour, 0).await.unwrap();
        auth.book.set_enabled(alice, false).await.unwrap();
        assert!(bearers.find(&text, 1).await.unwrap().is_none());
        for _ in 0..=MOST {
            bearers.issue((bob, Holder::Person), "", &[], hour, 0).await.unwrap();
        }
        assert_eq!(bearers.list(bob, 1).await.unwrap().len(), MOST);
        bearers.forget(bob).await.unwrap();
        assert!(bearers.list(bob, 1).await.unwrap().is_empty());
        // A folder that stays behind in a temporary place harms nobody.
        let _ = std::fs::remove_dir_all(&folder);
    }
}
