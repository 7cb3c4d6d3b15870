//! One server for one database: what a second one with another data folder, or on another machine, is refused by.
//!
//! In    the URL of a store, and what for.
//! Out   a guard. Of a file the operating system frees it with the process; of PostgreSQL its connection does.
//! Errors [`AloneError`] says who holds it.
//! Not here: commands beside a running server, which need no lock; the database orders their writes.

use std::path::PathBuf;

use crate::lock::{LockError, LockedFile};
use crate::{Store, StoreError};

/// Holds a database for one server, until dropped.
pub struct Alone(Held);

enum Held {
    /// Of a store in memory, which nobody else sees.
    Nothing,
    #[cfg_attr(not(feature = "sqlite"), allow(dead_code, reason = "no store is a file"))]
    File(#[allow(dead_code, reason = "held until dropped")] LockedFile),
    #[cfg(feature = "postgres")]
    Postgres(Box<crate::postgres::Alone>),
}

/// Why a server may not serve from a database.
#[derive(Debug, thiserror::Error)]
pub enum AloneError {
    /// Another server does.
    #[error(
        "the store is served by {0} already: two servers on one store know nothing of each other's phones and chats; give this one a store of its own"
    )]
    Served(String),
    /// The lock beside the file cannot be made.
    #[error(transparent)]
    Lock(LockError),
    /// The database does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Holds the database that `url` names for one server; `purpose` is told to the next one.
    pub async fn alone(url: &str, purpose: &str) -> Result<Alone, AloneError> {
        Self::knows(url)?;
        match url.split_once(':').map_or(url, |(scheme, _)| scheme) {
            #[cfg(feature = "postgres")]
            "postgres" | "postgresql" => {
                let held = crate::postgres::Alone::begin(url).await?;
                Ok(Alone(Held::Postgres(Box::new(held))))
            }
            "sqlite" => {
                let file = Self::file(url)?.ok_or(StoreError::NoFile)?;
                if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                    let io = |error| AloneError::Lock(LockError::Io { folder: folder.to_owned(), error });
                    crate::make_private_folder(folder).map_err(io)?;
                }
                // However it is called, it is one file.
                let file = file.canonicalize().unwrap_or(file);
                let mut lock = file.clone().into_os_string();
                lock.push(".lock");
                match LockedFile::acquire(&PathBuf::from(lock), &file, purpose) {
                    Ok(held) => Ok(Alone(Held::File(held))),
                    Err(LockError::Held { holder, .. }) => Err(AloneError::Served(holder)),
                    Err(error) => Err(AloneError::Lock(error)),
                }
            }
            _ => Ok(Alone(Held::Nothing)),
        }
    }

    /// The file that `url` names, where it is one of SQLite, with what is escaped in it.
    pub fn file(url: &str) -> Result<Option<PathBuf>, StoreError> {
        Self::knows(url)?;
        match url.split_once(':') {
            #[cfg(feature = "sqlite")]
            Some(("sqlite", _)) => {
                let options: sqlx::sqlite::SqliteConnectOptions = url.parse()?;
                Ok(Some(options.get_filename().to_owned()))
            }
            _ => Ok(None),
        }
    }
}

impl Alone {
    /// Ends when another server has the database: one in PostgreSQL forgets who held it when it is started anew. Cancel safe.
    pub async fn lost(&mut self) {
        match &mut self.0 {
            #[cfg(feature = "postgres")]
            Held::Postgres(held) => held.lost().await,
            Held::Nothing | Held::File(_) => std::future::pending().await,
        }
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_for_one_server_however_it_is_written() {
        let folder = std::env::temp_dir().join(format!("cusax alone {}", std::process::id()));
        let plain = format!("sqlite://{}/x.db", folder.display());
        let escaped = plain.replace(' ', "%20") + "?mode=rwc";
        let first = Store::alone(&plain, "cusax serve").await.unwrap();
        assert!(matches!(Store::alone(&escaped, "cusax serve").await, Err(AloneError::Served(_))));
        assert_eq!(Store::file(&escaped), Ok(Some(folder.join("x.db"))));
        drop(first);
        assert!(Store::alone(&escaped, "cusax serve").await.is_ok());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
