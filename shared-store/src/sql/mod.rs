//! What SQLite and PostgreSQL share: the statements, which both understand, and the way to a schema's newest version.
//!
//! `accounts.rs`, `records.rs`, `archive.rs` and `migrate.rs` here are compiled once inside each backend,
//! whose module gives them `Connection` and `Database`: one text, so the two cannot drift apart. Bindings are each backend's
//! own: a file has one process that knows them all, a database has many.
//!
//! A parameter behind `LIMIT` is cast: SQLite plans for the number that is bound there, and so prepares the statement anew each time.

use crate::StoreError;

/// A stored body is JSON of ours; anything else is a damaged database.
pub(crate) fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(body)
        .map_err(|error| StoreError::Backend(format!("a stored value is damaged: {error}")))
}

/// The body to store.
pub(crate) fn write<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|error| StoreError::Backend(error.to_string()))
}

/// A bound as SQL wants it.
pub(crate) fn limit(max: usize) -> i64 {
    i64::try_from(max).unwrap_or(i64::MAX)
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::PoolTimedOut => Self::Overloaded,
            sqlx::Error::Database(error) if error.code().is_some_and(|code| READ_ONLY.contains(&&*code)) => {
                Self::ReadOnly(error.to_string())
            }
            other => Self::Backend(other.to_string()),
        }
    }
}

/// `read_only_sql_transaction` of PostgreSQL, `SQLITE_READONLY`.
const READ_ONLY: [&str; 2] = ["25006", "8"];
