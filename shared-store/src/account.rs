//! The shape of accounts: one person, with one AOR, one JID, numbers, and what proves them.
//!
//! In    whole accounts; what a verifier holds is opaque here.
//! Out   accounts by id, AOR, JID or number.
//! Errors [`StoreError::Taken`](crate::StoreError::Taken) names what is not unique;
//!        [`StoreError::Conflict`](crate::StoreError::Conflict) says that the version read is not the newest.

use std::fmt;

use serde::{Deserialize, Serialize};
use shared_model::{AccountId, Aor, BareJid};

use crate::{Entry, StoreError};

/// Accounts by id, AOR, JID and number, each unique.
#[async_trait::async_trait]
pub trait Accounts: Send + Sync {
    /// Adds an account, with version 1 whatever its `version` says.
    async fn create(&self, account: &Account) -> Result<(), StoreError>;
    /// The account with this id.
    async fn by_id(&self, id: AccountId) -> Result<Option<Account>, StoreError>;
    /// The account with this address of record.
    async fn by_aor(&self, aor: &Aor) -> Result<Option<Account>, StoreError>;
    /// The account with this JID.
    async fn by_jid(&self, jid: &BareJid) -> Result<Option<Account>, StoreError>;
    /// The account with this number, E.164 with its plus.
    async fn by_number(&self, number: &str) -> Result<Option<Account>, StoreError>;
    /// Whether another account than `own` has a number or an AOR that begins with this number, E.164 with its plus.
    async fn do_others_begin_with(&self, number: &str, own: AccountId) -> Result<bool, StoreError>;
    /// Replaces the account whose version is still `account.version`; the stored version is one higher. What is done along with it is
    /// in the same transaction: [`StoreError::Conflict`] where a record is spent that is not there.
    async fn update_along(&self, account: &Account, along: &Along) -> Result<(), StoreError>;
    /// Removes the account and frees its names. False if there was none.
    async fn remove(&self, id: AccountId) -> Result<bool, StoreError>;
    /// At most `max` accounts in the order of their AORs, beginning after `after`.
    async fn list(&self, after: Option<&Aor>, max: usize) -> Result<AccountPage, StoreError>;

    /// The same change alone.
    async fn update(&self, account: &Account) -> Result<(), StoreError> {
        self.update_along(account, &Along::default()).await
    }
}

/// What is done along with the change of an account.
#[derive(Debug, Clone, Default)]
pub struct Along {
    /// Records that must be there and go, as a token that pays for the change.
    pub spent: Vec<FullKey>,
    /// Records that are written, whatever is there.
    pub put: Vec<(FullKey, Vec<u8>)>,
    /// What archives get, as that of the audit.
    pub entries: Vec<Entry>,
}

/// Owner, collection and key of a record.
pub type FullKey = (String, String, String);

/// One person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Never reused.
    pub id: AccountId,
    /// What people dial.
    pub aor: Aor,
    /// What people chat with.
    pub jid: BareJid,
    /// The name to show, possibly empty.
    pub display_name: String,
    /// Telephone numbers, E.164 with their plus; the first is the main one.
    pub numbers: Vec<String>,
    /// Whether the account may make video calls (S-15).
    pub video: bool,
    /// Whether the account administers the service.
    pub admin: bool,
    /// Whether it may log in.
    pub enabled: bool,
    /// What proves the main password.
    pub credentials: Credentials,
    /// Further passwords, each for one device.
    pub app_passwords: Vec<AppPassword>,
    /// Counts the changes; 1 when new.
    pub version: u64,
}

/// One page of accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountPage {
    /// In the order of their AORs.
    pub accounts: Vec<Account>,
    /// Whether there are more.
    pub more: bool,
}

/// A further password, for one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppPassword {
    /// Unique in the account.
    pub name: String,
    /// What proves it.
    pub credentials: Credentials,
    /// When it was made, milliseconds since 1970.
    pub created: i64,
    /// Whether it is good for chat, too; those of before are.
    #[serde(default = "yes")]
    pub opens_chat: bool,
}

fn yes() -> bool {
    true
}

/// What proves one password: every verifier that any protocol needs, written together.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Credentials {
    /// One for each hash; none of a device that only calls.
    pub scram: Vec<ScramVerifier>,
    /// One for each algorithm, encrypted.
    pub ha1: Vec<SealedHa1>,
    /// The Digest realm inside the HA1: the AOR's domain.
    pub realm: String,
}

impl Credentials {
    /// Whether anything is kept of a password: of a directory's nothing is.
    pub fn has_keys(&self) -> bool {
        !(self.scram.is_empty() && self.ha1.is_empty())
    }
}

/// The hash of a SCRAM mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ScramHash {
    /// SCRAM-SHA-1 (RFC 5802).
    Sha1,
    /// SCRAM-SHA-256 (RFC 7677).
    Sha256,
    /// SCRAM-SHA-512.
    Sha512,
}

/// What a server keeps of a password for SCRAM (RFC 5802 §3).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScramVerifier {
    /// Of the mechanism.
    pub hash: ScramHash,
    /// Random, at least 16 bytes.
    #[serde(with = "crate::hex")]
    pub salt: Vec<u8>,
    /// PBKDF2 rounds, at least 4096.
    pub iterations: u32,
    /// `H(ClientKey)`.
    #[serde(with = "crate::hex")]
    pub stored_key: Vec<u8>,
    /// `HMAC(SaltedPassword, "Server Key")`.
    #[serde(with = "crate::hex")]
    pub server_key: Vec<u8>,
}

/// The algorithm of HTTP Digest (RFC 7616 §6.1, RFC 8760).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DigestAlgorithm {
    /// 128 bits; for the clients that know nothing else.
    #[serde(rename = "MD5")]
    Md5,
    /// 256 bits.
    #[serde(rename = "SHA-256")]
    Sha256,
    /// SHA-512 truncated to 256 bits (FIPS 180-4).
    #[serde(rename = "SHA-512-256")]
    Sha512_256,
}

impl DigestAlgorithm {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
            Self::Sha512_256 => "SHA-512-256",
        }
    }

    /// Reads the word on the wire, in any case.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Md5, Self::Sha256, Self::Sha512_256]
            .into_iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(word))
    }
}

/// `H(user:realm:password)`, which is as good as the password, encrypted with a key that is not in the database.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedHa1 {
    /// Whose hash it is.
    pub algorithm: DigestAlgorithm,
    /// Nonce and ciphertext.
    #[serde(with = "crate::hex")]
    pub sealed: Vec<u8>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({} scram, {} ha1, realm {})", self.scram.len(), self.ha1.len(), self.realm)
    }
}

impl fmt::Debug for ScramVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScramVerifier({:?}, {} rounds)", self.hash, self.iterations)
    }
}

impl fmt::Debug for SealedHa1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedHa1({})", self.algorithm.as_str())
    }
}
