//! What survives a restart: four shapes of data, in SQLite, PostgreSQL or memory.
//!
//! In    typed values and the moment at which they are written; no shape reads a clock.
//! Out   what was stored. Acknowledged means durable: a returned `Ok` survives `kill -9`.
//! State all that the service must not forget, and nothing else.
//! Errors [`StoreError`]; a refused write leaves nothing behind.
//! Not here: credentials' meaning (`shared-auth`), caches (their owners), routing state (the bus).
//!
//! | shape | key → value |
//! |---|---|
//! | [`Accounts`] | id, AOR, JID, number → [`Account`] |
//! | [`Bindings`] | AOR × contact → [`Binding`] |
//! | [`Records`] | (owner, collection, key) → bytes and a version |
//! | [`Archive`] | (owner, id) → an [`Entry`], paged as RSM pages |

#![allow(clippy::duplicate_mod, reason = "sql/ is compiled inside each backend, with that backend's types")]

mod account;
mod alone;
mod archive;
mod binding;
#[cfg(any(test, feature = "contract"))]
#[allow(clippy::unwrap_used, reason = "a suite of assertions")]
pub mod contract;
mod hex;
mod lock;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
mod private;
mod record;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::sync::Arc;
use std::time::Duration;

pub use account::{
    Account, AccountPage, Accounts, Along, AppPassword, Credentials, DigestAlgorithm, FullKey, ScramHash,
    ScramVerifier, SealedHa1,
};
pub use alone::{Alone, AloneError};
pub use archive::{Archive, Entry, Page, Position, Query};
pub use binding::{Binding, BindingUpdate, Bindings, BoundBy, Committed, is_protected};
pub use lock::{DataFolderLock, LockError};
pub use private::make_private_folder;
pub use record::{Expected, Place, Record, RecordChange, Records};

/// The four shapes of one database. Clones share it.
#[derive(Clone)]
pub struct Store {
    /// Who may log in, and how they prove it. For `shared-auth` alone.
    pub accounts: Arc<dyn Accounts>,
    /// Where devices are.
    pub bindings: Arc<dyn Bindings>,
    /// Small things under a key: rosters, vCards, room configurations.
    pub records: Arc<dyn Records>,
    /// What was said and who called, in order.
    pub archive: Arc<dyn Archive>,
}

impl Store {
    /// Opens the database that `url` names, and brings its schema up to date.
    ///
    /// `sqlite:///var/lib/cusax/cusax.db` (created if absent), `postgres://user@host/database`, or `memory:`, which
    /// forgets everything with the process.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        Self::knows(url)?;
        match url.split_once(':').map_or(url, |(scheme, _)| scheme) {
            "memory" => Ok(Self::in_memory()),
            #[cfg(feature = "sqlite")]
            "sqlite" => sqlite::open(url).await,
            #[cfg(feature = "postgres")]
            "postgres" | "postgresql" => postgres::open(url).await,
            other => Err(StoreError::UnknownScheme(other.to_owned())),
        }
    }

    /// What the last one who works on a store does: where it is one file, that file is whole afterwards, and may be copied alone.
    pub async fn settle(url: &str) -> Result<(), StoreError> {
        match url.split_once(':').map_or(url, |(scheme, _)| scheme) {
            #[cfg(feature = "sqlite")]
            "sqlite" => sqlite::settle(url).await,
            _ => Ok(()),
        }
    }

    /// What is damaged in a store that is one file, looked at beside whoever uses it, for no longer than so; nothing of others, which look
    /// after themselves. [`StoreError::Overloaded`]: it is too large for that time.
    #[cfg_attr(not(feature = "sqlite"), expect(unused_variables, reason = "no store is one file"))]
    pub async fn damage(url: &str, within: Duration) -> Result<Vec<String>, StoreError> {
        match url.split_once(':').map_or(url, |(scheme, _)| scheme) {
            #[cfg(feature = "sqlite")]
            "sqlite" => sqlite::damage(url, within).await,
            _ => Ok(Vec::new()),
        }
    }

    /// Whether [`Store::open`] can make something of this URL.
    pub fn knows(url: &str) -> Result<(), StoreError> {
        match url.split_once(':').map_or(url, |(scheme, _)| scheme) {
            "memory" => Ok(()),
            #[cfg(feature = "sqlite")]
            "sqlite" if url.trim_start_matches("sqlite:").trim_matches('/').is_empty() => {
                Err(StoreError::NoFile)
            }
            #[cfg(feature = "sqlite")]
            "sqlite" => Ok(()),
            #[cfg(feature = "postgres")]
            "postgres" | "postgresql" => Ok(()),
            other => Err(StoreError::UnknownScheme(other.to_owned())),
        }
    }

    /// An empty store that forgets everything with the process.
    pub fn in_memory() -> Self {
        memory::store()
    }
}

/// Why the store did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another account has the address or number already.
    #[error("the {0} belongs to another account")]
    Taken(Taken),
    /// No account has this id.
    #[error("there is no such account")]
    NoSuchAccount,
    /// What was to be replaced is no longer what the caller had read.
    #[error("somebody else changed it meanwhile")]
    Conflict,
    /// RFC 3261 §10.3, step 7: the Call-ID is known and its CSeq is not higher.
    #[error("a newer registration is there already")]
    OutOfOrder,
    /// The bound that the caller gave would be passed.
    #[error("more than {0} are not allowed")]
    TooMany(usize),
    /// A page was asked for relative to an entry that is not there (XEP-0059 §2.4).
    #[error("there is no such entry")]
    NoSuchEntry,
    /// More writers wait than the queue holds; try again later.
    #[error("the store is overloaded")]
    Overloaded,
    /// It is there to be read alone: a standby, or one that was made so.
    #[error("the store takes no writes: {0}")]
    ReadOnly(String),
    /// The URL's scheme names no backend of this build.
    #[error("no store is called `{0}`; known are sqlite, postgres and memory")]
    UnknownScheme(String),
    /// The URL's path is empty.
    #[error("a file is missing, as in sqlite:///var/lib/cusax/cusax.db")]
    NoFile,
    /// The database was written by a newer release.
    #[error(
        "the database has schema version {found}, and this release knows {known}: start the newer release that wrote it, or bring back the backup of before"
    )]
    NewerSchema {
        /// The database's version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The database said no; its words.
    #[error("the database refused: {0}")]
    Backend(String),
}

/// Which of an account's names is not unique.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// The account's id.
    Id,
    /// The address of record.
    Aor,
    /// The JID.
    Jid,
    /// This number, E.164.
    Number(String),
}

impl std::fmt::Display for Taken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id => f.write_str("account id"),
            Self::Aor => f.write_str("address of record"),
            Self::Jid => f.write_str("JID"),
            Self::Number(number) => write!(f, "number {number}"),
        }
    }
}
