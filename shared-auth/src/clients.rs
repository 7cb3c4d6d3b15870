//! Which clients have access to an account, as its owner sees them, and how one loses it — XEP-0494 0.1.0, section 3.
//!
//! In    an installation of a client that logged in, with what it says of itself; the wish to see them all, or to end one.
//! Out   one [`Client`] for each installation that was seen, for each that holds a token, and for each app password of which
//!       no installation is known.
//! State one record an installation, collection `client` of the account's JID, under the hash of its id as its token is
//!       ([`crate::fast`]); bounded in number, in the length of words, and in time (section 6).
//! Errors [`RevokeError`]. Who knows the main password keeps access until it is another: nothing is revoked by halves.
//! Not here: sessions, which the services have and end.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared_model::BareJid;
use shared_store::{Account, Expected, Record, Records, StoreError};

use crate::cache::{AccountCache, Name};
use crate::fast::{FastTokens, key};
use crate::fingerprint::{fingerprints, is_same};
use crate::{AccountBook, BookError, How, Identity};

/// Notes and lists clients. Clones share the store.
#[derive(Clone)]
pub struct Clients {
    records: Arc<dyn Records>,
    cache: Arc<AccountCache>,
    book: Arc<AccountBook>,
    fast: FastTokens,
}

/// An installation of a client, as it calls itself (XEP-0388 §2.4).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Installation {
    /// Its own, and stable.
    pub id: String,
    /// The name of the software, possibly empty.
    pub software: String,
    /// The name of the device, possibly empty.
    pub device: String,
}

/// A client that has access.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Client {
    /// What it is revoked by; it tells nothing of how the installation calls itself.
    pub id: String,
    /// The name of the software, possibly empty.
    pub software: String,
    /// The name of the device, or of its app password; possibly empty.
    pub device: String,
    /// When it was first seen, milliseconds since 1970, as far as that is known.
    pub first_seen: Option<i64>,
    /// When it was last seen.
    pub last_seen: Option<i64>,
    /// Whether it knows the main password as it is now.
    pub has_password: bool,
    /// The app password that it knows.
    pub app: Option<String>,
    /// Whether it holds a token.
    pub has_token: bool,
    /// Whether it showed a certificate.
    pub has_certificate: bool,
    /// Whether a provider's word let it in last, which proves no password; taking its access ends its sessions, and the provider may
    /// let it in again.
    pub is_by_provider: bool,
}

/// What went with a client's access; its sessions are to end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Revoked {
    /// The client as [`Clients::id_of`] names it.
    pub client: Option<String>,
    /// The app password that is gone.
    pub app: Option<String>,
}

/// Why a client keeps its access.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RevokeError {
    /// Nothing of this id has access.
    #[error("there is no client of this id")]
    Unknown,
    /// XEP-0494 §3.2: it knows the main password.
    #[error("the client knows the password; it keeps its access until that is another")]
    PasswordKnown,
    /// It has a certificate, which its issuer has to revoke.
    #[error("the client has a certificate; whoever issued it can revoke it")]
    Certified,
    /// The app password could not be removed.
    #[error(transparent)]
    Book(#[from] BookError),
}

impl From<StoreError> for RevokeError {
    fn from(error: StoreError) -> Self {
        Self::Book(error.into())
    }
}

/// What is stored of an installation.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    software: String,
    device: String,
    first: i64,
    last: i64,
    /// The fingerprint of the password that it proved last.
    password: Option<String>,
    /// The name of that password, if it is not the main one.
    app: Option<String>,
    certificate: bool,
    #[serde(default)]
    provider: bool,
}

impl Clients {
    pub(crate) fn new(
        records: Arc<dyn Records>,
        cache: Arc<AccountCache>,
        book: Arc<AccountBook>,
        fast: FastTokens,
    ) -> Self {
        Self { records, cache, book, fast }
    }

    /// What names an installation here.
    pub fn id_of(installation: &str) -> String {
        key(installation)
    }

    /// What names an app password of which no installation is known.
    pub fn id_of_app(name: &str) -> String {
        format!("{APP}{name}")
    }

    /// Notes at `now` (milliseconds since 1970) that an installation logged in. It is written at most once an hour while nothing
    /// but the hour changes.
    pub async fn note(&self, who: &Identity, is: &Installation, now: i64) -> Result<(), StoreError> {
        let (owner, key) = (who.jid.as_str(), key(&is.id));
        let before = self.records.get(owner, COLLECTION, &key).await?;
        let is_new = before.is_none();
        let before = before.and_then(|record| read(&record)).unwrap_or_default();
        let (software, device) = (bounded(&is.software), bounded(&is.device));
        let mut seen = Seen { software, device, ..before.clone() };
        match who.how {
            // What it proved once is what the token stands for; a provider's word proves no password.
            How::Fast(_) | How::Token | How::Anonymous => {}
            How::Oidc => seen.provider = true,
            How::Certificate => seen.certificate = true,
            _ => {
                seen.provider = false;
                let account = self.cache.find(Name::Id(who.account)).await?;
                seen.app.clone_from(&who.app);
                seen.password = account.and_then(|account| fingerprint(&account, who.app.as_deref()));
            }
        }
        if !is_new && seen == before && now.saturating_sub(before.last) < NOTED_EVERY {
            return Ok(());
        }
        if is_new {
            seen.first = now;
            self.make_room(owner).await?;
        }
        seen.last = now;
        let value = serde_json::to_vec(&seen).map_err(|error| StoreError::Backend(error.to_string()))?;
        self.records.put(owner, COLLECTION, &key, &value, Expected::Anything).await.map(drop)
    }

    /// Every client that has access, those unseen for `keep` forgotten on the way unless they hold a token.
    pub async fn list(&self, jid: &BareJid, keep: Duration, now: i64) -> Result<Vec<Client>, StoreError> {
        let account = self.cache.find(Name::Jid(jid.clone())).await?.ok_or(StoreError::NoSuchAccount)?;
        let mut tokens = self.fast.holders(jid, now).await?;
        let keep = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
        let mut all = Vec::new();
        for record in self.records.list(jid.as_str(), COLLECTION, None, MOST).await? {
            let token =
                tokens.iter().position(|(key, _)| *key == record.key).map(|at| tokens.swap_remove(at));
            match read(&record).filter(|seen| token.is_some() || now.saturating_sub(seen.last) < keep) {
                Some(seen) => all.push(seen.to_client(&record.key, &account, token.is_some())),
                None => drop(self.records.delete(jid.as_str(), COLLECTION, &record.key).await?),
            }
        }
        all.extend(tokens.into_iter().map(|(id, renewed)| Client {
            id,
            last_seen: Some(renewed),
            has_token: true,
            ..Client::default()
        }));
        let unknown =
            account.app_passwords.iter().filter(|app| !all.iter().any(|c| c.app.as_ref() == Some(&app.name)));
        let unknown: Vec<Client> = unknown
            .map(|app| Client {
                id: Self::id_of_app(&app.name),
                device: app.name.clone(),
                first_seen: Some(app.created),
                app: Some(app.name.clone()),
                ..Client::default()
            })
            .collect();
        all.extend(unknown);
        Ok(all)
    }

    /// Ends the access of one client: its token, and its app password, which may be that of others too.
    pub async fn revoke(&self, jid: &BareJid, id: &str, now: i64) -> Result<Revoked, RevokeError> {
        let account = self.cache.find(Name::Jid(jid.clone())).await?.ok_or(StoreError::NoSuchAccount)?;
        if let Some(app) = id.strip_prefix(APP) {
            self.remove_app(&account, app).await?;
            return Ok(Revoked { client: None, app: Some(app.to_owned()) });
        }
        let all = self.list(jid, Duration::MAX, now).await?;
        let client = all.into_iter().find(|client| client.id == id).ok_or(RevokeError::Unknown)?;
        if client.has_password {
            return Err(RevokeError::PasswordKnown);
        }
        if client.has_certificate {
            return Err(RevokeError::Certified);
        }
        if let Some(app) = &client.app {
            self.remove_app(&account, app).await?;
        }
        self.fast.revoke(jid, id).await?;
        self.records.delete(jid.as_str(), COLLECTION, id).await?;
        Ok(Revoked { client: Some(client.id), app: client.app })
    }

    async fn remove_app(&self, account: &Account, app: &str) -> Result<(), RevokeError> {
        self.book.remove_app_password(account.id, app).await.map_err(|error| match error {
            BookError::NoSuchApp => RevokeError::Unknown,
            other => other.into(),
        })
    }

    /// An account has so many installations; the one unseen for longest gives way.
    async fn make_room(&self, owner: &str) -> Result<(), StoreError> {
        let records = self.records.list(owner, COLLECTION, None, MOST).await?;
        if records.len() < MOST {
            return Ok(());
        }
        let last = |record: &&Record| read(record).map_or(0, |seen| seen.last);
        if let Some(oldest) = records.iter().min_by_key(last) {
            self.records.delete(owner, COLLECTION, &oldest.key).await?;
        }
        Ok(())
    }
}

impl Seen {
    fn to_client(&self, id: &str, account: &Account, has_token: bool) -> Client {
        let now = fingerprint(account, self.app.as_deref());
        let is_good = self.password.as_ref().zip(now).is_some_and(|(kept, now)| is_same(kept, &now));
        Client {
            id: id.to_owned(),
            software: self.software.clone(),
            device: self.device.clone(),
            first_seen: Some(self.first),
            last_seen: Some(self.last),
            has_password: is_good && self.app.is_none(),
            app: self.app.clone().filter(|_| is_good),
            has_token,
            has_certificate: self.certificate,
            is_by_provider: self.provider,
        }
    }
}

/// The fingerprint of the main password, or of the app password of this name.
fn fingerprint(account: &Account, app: Option<&str>) -> Option<String> {
    let at = match app {
        None => 0,
        Some(app) => 1 + account.app_passwords.iter().position(|known| known.name == app)?,
    };
    fingerprints(account).into_iter().nth(at)
}

fn read(record: &Record) -> Option<Seen> {
    serde_json::from_slice(&record.value).ok()
}

fn bounded(word: &str) -> String {
    word.chars().filter(|c| !c.is_control()).take(LONGEST_WORD).collect()
}

const COLLECTION: &str = "client";
/// What an id begins with that is no installation's.
const APP: &str = "app-password:";
/// Installations of one account.
const MOST: usize = 64;
/// Characters of the names of a software and a device.
const LONGEST_WORD: usize = 100;
/// Milliseconds between two notes that say the same.
const NOTED_EVERY: i64 = 3_600_000;

#[cfg(test)]
mod tests {
    use shared_runtime::bus::Bus;
    use shared_store::Store;

    use super::*;
    use crate::{Auth, Config, NewAccount, Profile};

    #[tokio::test]
    async fn whom_a_provider_let_in_knows_no_password_and_loses_its_access() {
        let folder = std::env::temp_dir().join(format!("cusax-clients-{}", std::process::id()));
        let (config, registry) =
            (Config { iterations: 4096, ..Config::default() }, prometheus::Registry::new());
        let auth = Auth::open(&config, &Store::in_memory(), &folder, &Bus::new(), &registry).unwrap();
        let (aor, jid) = ("alice@x".parse().unwrap(), "alice@x".parse().unwrap());
        let new = NewAccount { aor, jid, profile: Profile::default() };
        let card = auth.book.create(new, "pencil").await.unwrap();
        let who = |how| Identity {
            account: card.account,
            version: 1,
            aor: card.aor.clone(),
            jid: card.jid.clone(),
            how,
            app: None,
            token: None,
        };
        let is = Installation { id: "one".to_owned(), ..Installation::default() };
        let listed = || async { auth.clients.list(&card.jid, Duration::MAX, 9).await.unwrap().remove(0) };
        auth.clients.note(&who(How::Oidc), &is, 1).await.unwrap();
        let client = listed().await;
        assert!(client.is_by_provider && !client.has_password, "{client:?}");
        // Once it proved the password, it knows it, whoever lets it in later.
        auth.clients.note(&who(How::Plain), &is, 2).await.unwrap();
        assert!(listed().await.has_password && !listed().await.is_by_provider);
        auth.clients.note(&who(How::Oidc), &is, 3).await.unwrap();
        assert!(listed().await.has_password && listed().await.is_by_provider);
        let id = Clients::id_of("one");
        assert_eq!(auth.clients.revoke(&card.jid, &id, 4).await, Err(RevokeError::PasswordKnown));
        auth.book.set_password(card.account, "another one").await.unwrap();
        assert!(!listed().await.has_password);
        assert!(auth.clients.revoke(&card.jid, &id, 5).await.is_ok());
        assert!(auth.clients.list(&card.jid, Duration::MAX, 9).await.unwrap().is_empty());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
