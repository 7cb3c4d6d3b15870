//! Single-use tokens: whoever holds one may do one thing once, such as fetch a phone's configuration.
//!
//! In    what for, whose account if any, and for how long.
//! Out   a text of 32 characters, shown once; the store keeps its hash alone.
//! Errors an unknown, used or expired token is `None`, and so is an account's whose main password changed since: nobody
//!        learns which.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use shared_model::AccountId;
use shared_runtime::hex;
use shared_store::{Account, Expected, FullKey, Record, Records, StoreError};

use crate::cache::{AccountCache, Name};
use crate::fingerprint::{is_same, main_fingerprint};
use crate::hash::{digest_hash, random};

/// Issues and takes tokens. Clones share the store.
#[derive(Clone)]
pub struct Tokens {
    records: Arc<dyn Records>,
    cache: Arc<AccountCache>,
}

/// What a token stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Whose it is; `None` for invitations.
    pub account: Option<AccountId>,
    /// What the issuer wants to find again.
    pub note: String,
    /// When it ends, milliseconds since 1970.
    pub expires: i64,
    /// The main password under which an account's was issued.
    #[serde(default)]
    password: Option<String>,
    /// Where it is kept, if it is not used up.
    #[serde(skip)]
    place: Option<FullKey>,
}

impl Token {
    /// Where it is kept, for who uses it up along with what it is good for.
    pub(crate) fn place(&self) -> Option<&FullKey> {
        self.place.as_ref()
    }

    /// Whether it is good still, and the account, as it is now, has the password under which it was issued.
    pub(crate) fn fits(&self, account: &Account, now: i64) -> bool {
        let is_its = |password: &String| is_same(password, &main_fingerprint(account));
        self.expires > now && self.account == Some(account.id) && self.password.as_ref().is_none_or(is_its)
    }
}

impl Tokens {
    pub(crate) fn new(records: Arc<dyn Records>, cache: Arc<AccountCache>) -> Self {
        Self { records, cache }
    }

    /// Makes a token for `purpose` that is good once, for `lifetime` from `now` (milliseconds since 1970).
    pub async fn issue(
        &self,
        purpose: &str,
        account: Option<AccountId>,
        note: &str,
        lifetime: Duration,
        now: i64,
    ) -> Result<String, StoreError> {
        let text = URL_SAFE_NO_PAD.encode(random::<24>());
        let expires = now.saturating_add(i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX));
        let password = match account {
            Some(account) => Some(self.password_of(account).await?.ok_or(StoreError::NoSuchAccount)?),
            None => None,
        };
        let token = Token { account, note: note.to_owned(), expires, password, place: None };
        let value = serde_json::to_vec(&token).map_err(|error| StoreError::Backend(error.to_string()))?;
        self.records.put(OWNER, purpose, &key(&text), &value, Expected::Absent).await?;
        Ok(text)
    }

    /// Uses a token up and answers what it stands for.
    pub async fn take(&self, purpose: &str, text: &str, now: i64) -> Result<Option<Token>, StoreError> {
        Ok(self.taken(purpose, text, now).await?.map(|(token, _)| token))
    }

    /// Looks at a token without using it up, as a landing page does.
    pub async fn peek(&self, purpose: &str, text: &str, now: i64) -> Result<Option<Token>, StoreError> {
        Ok(self.shown(purpose, text, now).await?.map(|(token, _)| token))
    }

    /// Uses a token up; what it stands for, and whose it is.
    pub(crate) async fn taken(&self, purpose: &str, text: &str, now: i64) -> Result<Shown, StoreError> {
        let record = self.records.take(OWNER, purpose, &key(text)).await?;
        self.judge(record, now).await
    }

    /// The same, and it stays.
    pub(crate) async fn shown(&self, purpose: &str, text: &str, now: i64) -> Result<Shown, StoreError> {
        let place = (OWNER.to_owned(), purpose.to_owned(), key(text));
        let record = self.records.get(&place.0, &place.1, &place.2).await?;
        let judged = self.judge(record, now).await?;
        Ok(judged.map(|(token, account)| (Token { place: Some(place), ..token }, account)))
    }

    /// Whether nobody has used up a token that was shown.
    pub(crate) async fn is_unspent(&self, (owner, purpose, key): &FullKey) -> Result<bool, StoreError> {
        Ok(self.records.get(owner, purpose, key).await?.is_some())
    }

    /// The token, if it is good still, by its account as it is in the store.
    async fn judge(&self, record: Option<Record>, now: i64) -> Result<Shown, StoreError> {
        let Some(token) = record.and_then(|record| read(&record.value, now)) else { return Ok(None) };
        let Some(id) = token.account else { return Ok(Some((token, None))) };
        let account = self.cache.ask(Name::Id(id)).await?.filter(|account| token.fits(account, now));
        Ok(account.map(|account| (token, Some(account))))
    }

    /// A fingerprint of an account's main password, as it is in the store.
    async fn password_of(&self, account: AccountId) -> Result<Option<String>, StoreError> {
        let account = self.cache.ask(Name::Id(account)).await?;
        Ok(account.map(|account| main_fingerprint(&account)))
    }

    /// Takes back all tokens of an account for `purpose`, as when it is removed, and those of others that ended.
    pub async fn forget(&self, purpose: &str, account: AccountId, now: i64) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let page = self.records.list(OWNER, purpose, after.as_deref(), PAGE).await?;
            for record in &page {
                if read(&record.value, now).is_none_or(|token| token.account == Some(account)) {
                    self.records.delete(OWNER, purpose, &record.key).await?;
                }
            }
            if page.len() < PAGE {
                return Ok(());
            }
            after = page.last().map(|record| record.key.clone());
        }
    }
}

/// What a token stands for, and the account, if it is one's; none: it is good for nothing.
type Shown = Option<(Token, Option<Arc<Account>>)>;

fn read(value: &[u8], now: i64) -> Option<Token> {
    serde_json::from_slice(value).ok().filter(|token: &Token| token.expires > now)
}

fn key(text: &str) -> String {
    hex(&digest_hash(shared_store::DigestAlgorithm::Sha256, &[text.as_bytes()]))
}

const OWNER: &str = "shared-auth";
/// Records read at once.
const PAGE: usize = 500;

#[cfg(test)]
mod tests {
    use shared_store::{Account, Credentials, ScramHash, ScramVerifier, Store};

    use super::*;

    fn account(id: u128) -> Account {
        let address = format!("a{id}@example.org");
        Account {
            id: AccountId(id),
            aor: address.parse().unwrap(),
            jid: address.parse().unwrap(),
            display_name: String::new(),
            numbers: Vec::new(),
            video: false,
            admin: false,
            enabled: true,
            credentials: Credentials::default(),
            app_passwords: Vec::new(),
            version: 1,
        }
    }

    async fn tokens() -> (Tokens, Store) {
        let store = Store::in_memory();
        for id in [1, 2] {
            store.accounts.create(&account(id)).await.unwrap();
        }
        let cache = Arc::new(AccountCache::new(Arc::clone(&store.accounts)));
        (Tokens::new(Arc::clone(&store.records), cache), store)
    }

    #[tokio::test]
    async fn a_token_ends_with_the_password_and_with_the_account() {
        let (tokens, store) = tokens().await;
        let (one, minute) = (Some(AccountId(1)), Duration::from_secs(60));
        let text = tokens.issue("phone", one, "", minute, 0).await.unwrap();
        let mut changed = store.accounts.by_id(AccountId(1)).await.unwrap().unwrap();
        changed.credentials.scram = vec![ScramVerifier {
            hash: ScramHash::Sha1,
            salt: vec![1],
            iterations: 4096,
            stored_key: vec![2],
            server_key: vec![3],
        }];
        store.accounts.update(&changed).await.unwrap();
        assert_eq!(tokens.peek("phone", &text, 1).await, Ok(None));
        assert_eq!(tokens.take("phone", &text, 1).await, Ok(None));
        let text = tokens.issue("phone", one, "", minute, 0).await.unwrap();
        assert!(tokens.peek("phone", &text, 1).await.unwrap().is_some());
        store.accounts.remove(AccountId(1)).await.unwrap();
        assert_eq!(tokens.take("phone", &text, 1).await, Ok(None));
        assert_eq!(tokens.issue("phone", one, "", minute, 0).await, Err(StoreError::NoSuchAccount));
        let nobodys = tokens.issue("invite", None, "", minute, 0).await.unwrap();
        assert!(tokens.take("invite", &nobodys, 1).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_token_is_good_once_for_its_purpose_and_its_time() {
        let (tokens, _store) = tokens().await;
        let account = Some(AccountId(1));
        let minute = Duration::from_secs(60);
        let text = tokens.issue("phone", account, "n", minute, 0).await.unwrap();
        assert_eq!(tokens.take("invite", &text, 1).await, Ok(None));
        assert!(tokens.peek("phone", &text, 1).await.unwrap().is_some());
        assert_eq!(tokens.take("phone", &text, 1).await.unwrap().unwrap().account, account);
        assert_eq!(tokens.take("phone", &text, 1).await, Ok(None));
        let late = tokens.issue("phone", account, "n", minute, 0).await.unwrap();
        assert_eq!(tokens.take("phone", &late, 60_000).await, Ok(None));
    }

    #[tokio::test]
    async fn tokens_go_with_their_account_and_others_stay() {
        let (tokens, _store) = tokens().await;
        let minute = Duration::from_secs(60);
        let own = tokens.issue("phone", Some(AccountId(1)), "", minute, 0).await.unwrap();
        let other = tokens.issue("phone", Some(AccountId(2)), "", minute, 0).await.unwrap();
        tokens.forget("phone", AccountId(1), 1).await.unwrap();
        assert_eq!(tokens.peek("phone", &own, 1).await, Ok(None));
        assert!(tokens.peek("phone", &other, 1).await.unwrap().is_some());
    }
}
