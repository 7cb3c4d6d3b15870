//! Tokens in place of a password, one installation of a client each — XEP-0484 0.2.0, sections 3.3 to 3.6, 5.1; the mechanisms
//! are HT-SHA-256 of draft-schmaus-kitten-sasl-ht-09.
//!
//! ```text
//! C: name NUL HMAC-SHA-256(token, "Initiator" ‖ binding)      FastStart → Authenticator::begin_fast
//! S: HMAC-SHA-256(token, "Responder" ‖ binding)               FastFinal::answer, once verify said yes
//! ```
//!
//! In    a proof by a token; a wish for one, of who proved who they are.
//! Out   who it is; a token, shown once; whether it is time for another.
//! State one record an installation, collection `fast` of the account's JID: the token in use and one that was handed out and
//!       not used yet, sealed as HA1s are. The first use of the new one ends the old one.
//! Errors [`Denied::Expired`] for a token that was good and is not any more: too old, or a password was changed or removed
//!        since. An unknown installation costs as much as a wrong token.
//! Not here: counts against replay, since TLS early data are not taken.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use shared_model::{AccountId, BareJid};
use shared_runtime::hex;
use shared_store::{Account, Expected, Records, StoreError};

use crate::Denied;
use crate::fingerprint::{fingerprints, is_same};
use crate::hash::{digest_hash, random};
use crate::keys::Keys;

/// What a token is bound to. A token is good for the mechanism that it was asked for with, and for no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Ht {
    /// Nothing.
    None,
    /// The exporter of TLS (RFC 9266).
    Expr,
    /// The server's certificate (RFC 5929 §4).
    Endp,
}

impl Ht {
    const ALL: [(&'static str, Self); 3] =
        [("HT-SHA-256-EXPR", Self::Expr), ("HT-SHA-256-ENDP", Self::Endp), ("HT-SHA-256-NONE", Self::None)];

    /// The mechanism of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, it)| *it)
    }

    /// The name of the mechanism.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, it)| *it == self).map_or("", |(name, _)| name)
    }
}

/// The client's one message, and what it came with.
pub struct FastStart {
    /// The name to log in with.
    pub name: String,
    /// The domain where the name has none.
    pub domain: String,
    /// What names the installation of the client.
    pub client: String,
    /// The mechanism.
    pub mechanism: Ht,
    /// What the connection is bound to; empty for [`Ht::None`].
    pub binding: Vec<u8>,
    /// The client's MAC.
    pub mac: Vec<u8>,
    /// The token is to be good for this once, and not again (§3.6).
    pub invalidate: bool,
}

impl FastStart {
    /// Reads `name NUL mac`.
    pub fn parse(message: &[u8]) -> Result<(String, Vec<u8>), Denied> {
        let malformed = Denied::Malformed("a name and a MAC were expected");
        let at = message.iter().position(|byte| *byte == 0).ok_or(malformed.clone())?;
        let name = std::str::from_utf8(&message[..at]).map_err(|_| malformed.clone())?;
        let mac = &message[at + 1..];
        if name.is_empty() || name.len() > LONGEST_NAME || mac.len() != MAC_LENGTH {
            return Err(malformed);
        }
        Ok((name.to_owned(), mac.to_vec()))
    }
}

/// The client's message, held against what is kept.
pub struct FastFinal {
    pub(crate) login: Option<String>,
    pub(crate) outcome: Result<(), Denied>,
    pub(crate) mechanism: Ht,
    pub(crate) client: String,
    pub(crate) invalidate: bool,
    /// The app password by which its first one was asked for.
    pub(crate) app: Option<String>,
    /// Whether the token is one that was not used before.
    is_new: bool,
    /// Whether it is time for another (§3.5).
    is_due: bool,
    answer: Vec<u8>,
}

impl FastFinal {
    /// What proves that we know the token, too; to be sent only when `Authenticator::verify` believed the proof.
    pub fn answer(&self) -> &[u8] {
        &self.answer
    }

    /// The mechanism for which a new token is to be handed out with the success, if one is.
    pub fn due(&self) -> Option<Ht> {
        (self.is_due && !self.invalidate).then_some(self.mechanism)
    }
}

/// A token as the client gets it.
#[derive(Debug, PartialEq, Eq)]
pub struct FastToken {
    /// The secret.
    pub text: String,
    /// When it ends, milliseconds since 1970.
    pub expires: i64,
}

/// One that is kept.
#[derive(Serialize, Deserialize)]
struct Held {
    mechanism: Ht,
    sealed: Vec<u8>,
    issued: i64,
    expires: i64,
    /// Fingerprints of the passwords that there were.
    passwords: Vec<String>,
    /// The app password by which it was asked for; none is the main one, or no password.
    #[serde(default)]
    app: Option<String>,
}

/// §5.1: two slots.
#[derive(Default, Serialize, Deserialize)]
struct Slots {
    current: Option<Held>,
    new: Option<Held>,
}

/// All tokens of this kind. Clones share them.
#[derive(Clone)]
pub(crate) struct FastTokens {
    records: Arc<dyn Records>,
    keys: Arc<Keys>,
    lifetime: Duration,
}

impl FastTokens {
    pub(crate) fn new(records: Arc<dyn Records>, keys: Arc<Keys>, lifetime: Duration) -> Self {
        Self { records, keys, lifetime }
    }

    /// A new token for an installation. The one in use stays good until this one is used.
    pub(crate) async fn issue(
        &self,
        account: &Account,
        client: &str,
        mechanism: Ht,
        app: Option<&str>,
        now: i64,
    ) -> Result<FastToken, StoreError> {
        let text = URL_SAFE_NO_PAD.encode(random::<24>());
        let lifetime = i64::try_from(self.lifetime.as_millis()).unwrap_or(i64::MAX);
        let expires = now.saturating_add(lifetime);
        let held = || Held {
            mechanism,
            sealed: self.keys.seal(account.id, text.as_bytes()),
            issued: now,
            expires,
            passwords: fingerprints(account),
            app: app.map(str::to_owned),
        };
        self.make_room(&account.jid, client).await?;
        self.change(&account.jid, client, |slots| slots.new = Some(held())).await?;
        Ok(FastToken { text, expires })
    }

    /// Holds a message against what is kept for an account; `None` is nobody's.
    pub(crate) async fn compare(
        &self,
        start: FastStart,
        login: Option<(String, &BareJid)>,
        account: Option<&Account>,
        now: i64,
    ) -> Result<FastFinal, StoreError> {
        let slots = match &login {
            Some((_, jid)) => self.read(jid, &start.client).await?,
            None => Slots::default(),
        };
        let id = account.map_or(NOBODY, |account| account.id);
        let signed = |word: &[u8]| [word, &start.binding].concat();
        let mut found = None;
        for (held, is_new) in [(&slots.new, true), (&slots.current, false)] {
            let clear = held.as_ref().and_then(|held| self.keys.open_sealed(id, &held.sealed));
            // Where there is none, as much is computed.
            let secret = clear.as_ref().map_or(&b"nobody's token"[..], |clear| clear.as_slice());
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
            let fits = hmac::verify(&key, &signed(b"Initiator"), &start.mac).is_ok();
            if let Some(held) = held.as_ref().filter(|_| clear.is_some() && fits && found.is_none()) {
                found = Some((held, is_new, hmac::sign(&key, &signed(b"Responder")).as_ref().to_vec()));
            }
        }
        let mut last = FastFinal {
            login: login.map(|(text, _)| text),
            outcome: Err(Denied::WrongProof),
            mechanism: start.mechanism,
            client: start.client,
            invalidate: start.invalidate,
            app: None,
            is_new: false,
            is_due: false,
            answer: Vec::new(),
        };
        let (Some((held, is_new, answer)), Some(account)) = (found, account) else { return Ok(last) };
        if held.mechanism != start.mechanism {
            return Ok(last); // §3.4: bound to its mechanism
        }
        let there = fingerprints(account);
        let is_good = held.expires > now
            && held.passwords.iter().all(|kept| there.iter().any(|there| is_same(kept, there)));
        last.outcome = if is_good { Ok(()) } else { Err(Denied::Expired) };
        last.app.clone_from(&held.app);
        last.is_new = is_new;
        last.is_due = now.saturating_sub(held.issued) >= ROTATION_MILLIS;
        last.answer = answer;
        Ok(last)
    }

    /// A token was believed: the new one takes the place of the old one, and one that is to end ends.
    pub(crate) async fn used(&self, jid: &BareJid, last: &FastFinal) -> Result<(), StoreError> {
        if last.invalidate {
            return self.records.delete(jid.as_str(), COLLECTION, &key(&last.client)).await.map(drop);
        }
        if last.is_new {
            self.change(jid, &last.client, |slots| {
                if let Some(new) = slots.new.take() {
                    slots.current = Some(new);
                }
            })
            .await?;
        }
        Ok(())
    }

    /// The installations that hold a token which is not too old, by [`key`], each with the moment of its last renewal.
    pub(crate) async fn holders(&self, jid: &BareJid, now: i64) -> Result<Vec<(String, i64)>, StoreError> {
        let records = self.records.list(jid.as_str(), COLLECTION, None, MOST).await?;
        let renewed = |record: shared_store::Record| {
            let slots: Slots = serde_json::from_slice(&record.value).unwrap_or_default();
            let held = [slots.current, slots.new].into_iter().flatten().filter(|held| held.expires > now);
            held.map(|held| held.issued).max().map(|issued| (record.key, issued))
        };
        Ok(records.into_iter().filter_map(renewed).collect())
    }

    /// The token of an installation, by [`key`], is good no more. False if it had none.
    pub(crate) async fn revoke(&self, jid: &BareJid, installation: &str) -> Result<bool, StoreError> {
        self.records.delete(jid.as_str(), COLLECTION, installation).await
    }

    async fn read(&self, jid: &BareJid, client: &str) -> Result<Slots, StoreError> {
        let record = self.records.get(jid.as_str(), COLLECTION, &key(client)).await?;
        Ok(record.and_then(|record| serde_json::from_slice(&record.value).ok()).unwrap_or_default())
    }

    async fn change(
        &self,
        jid: &BareJid,
        client: &str,
        change: impl Fn(&mut Slots),
    ) -> Result<(), StoreError> {
        loop {
            let record = self.records.get(jid.as_str(), COLLECTION, &key(client)).await?;
            let expected = record.as_ref().map_or(Expected::Absent, |r| Expected::Version(r.version));
            let mut slots: Slots =
                record.and_then(|record| serde_json::from_slice(&record.value).ok()).unwrap_or_default();
            change(&mut slots);
            let value = serde_json::to_vec(&slots).map_err(|error| StoreError::Backend(error.to_string()))?;
            match self.records.put(jid.as_str(), COLLECTION, &key(client), &value, expected).await {
                Err(StoreError::Conflict) => {}
                other => return other.map(drop),
            }
        }
    }

    /// An account has so many installations; the one whose token ends first gives way.
    async fn make_room(&self, jid: &BareJid, client: &str) -> Result<(), StoreError> {
        let records = self.records.list(jid.as_str(), COLLECTION, None, MOST + 1).await?;
        if records.len() < MOST || records.iter().any(|record| record.key == key(client)) {
            return Ok(());
        }
        let ends = |record: &&shared_store::Record| {
            let slots: Slots = serde_json::from_slice(&record.value).unwrap_or_default();
            [slots.current, slots.new].into_iter().flatten().map(|held| held.expires).max().unwrap_or(0)
        };
        if let Some(oldest) = records.iter().min_by_key(ends) {
            self.records.delete(jid.as_str(), COLLECTION, &oldest.key).await?;
        }
        Ok(())
    }
}

/// Ends all tokens of an account.
pub(crate) async fn forget_tokens(records: &dyn Records, jid: &BareJid) -> Result<(), StoreError> {
    loop {
        let held = records.list(jid.as_str(), COLLECTION, None, MOST).await?;
        for record in &held {
            records.delete(jid.as_str(), COLLECTION, &record.key).await?;
        }
        if held.len() < MOST {
            return Ok(());
        }
    }
}

/// An installation under a name of one length, which does not tell how the client calls it.
pub(crate) fn key(client: &str) -> String {
    hex(&digest_hash(shared_store::DigestAlgorithm::Sha256, &[client.as_bytes()])[..16])
}

const COLLECTION: &str = "fast";
/// Installations of one account that hold tokens.
const MOST: usize = 32;
/// Age at which a token is replaced with the next login.
const ROTATION_MILLIS: i64 = 24 * 3_600_000;
const MAC_LENGTH: usize = 32;
const LONGEST_NAME: usize = 1023;
const NOBODY: AccountId = AccountId(0);
