//! The store in one SQLite file: the default, for one machine.
//!
//! State a file in WAL mode with `synchronous = FULL`: what was committed is on the disk.
//! Errors a database that another process holds for more than [`BUSY`] answers [`StoreError::Overloaded`].
//!
//! One task writes ([`writer`]), others read beside it; bindings have a way of their own ([`bindings`]). Commands of other processes write too; SQLite orders them.

mod appends;
mod damage;
mod lists;
mod migrations;
mod packed;
mod writer;

#[path = "../sql/accounts.rs"]
mod accounts;
#[path = "../sql/archive.rs"]
mod archive;
mod bindings;
#[path = "../sql/migrate.rs"]
mod migrate;
#[path = "../sql/readers.rs"]
mod readers;
#[path = "../sql/records.rs"]
mod records;

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection as _};

use crate::{Entry, Store, StoreError, private};
use appends::Appends;
pub(crate) use damage::damage;
use migrations::MIGRATIONS;
use readers::{Reader, Readers};
use writer::{Extent, Writer};

pub(super) type Connection = sqlx::SqliteConnection;
pub(super) type Options = SqliteConnectOptions;

/// How a statement begins that inserts many rows: what it did before it fails is its transaction's to take back, so that SQLite keeps no
/// copies of pages for that.
const INSERT_MANY: &str = "INSERT OR FAIL INTO";
/// How a migration's transaction begins: no other process may migrate meanwhile.
const BEGIN: &str = "BEGIN IMMEDIATE";

/// Opens the file that `url` names, creating it and its folder if need be.
pub(crate) async fn open(url: &str) -> Result<Store, StoreError> {
    let options = SqliteConnectOptions::from_str(url)?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY)
        // What a statement of many rows might take back went to a file of its own otherwise: more writes than its rows.
        .pragma("temp_store", "memory")
        // What a burst leaves of the write-ahead file is given back when it is begun anew.
        .pragma("journal_size_limit", JOURNAL_KEPT)
        // What was removed is gone from the file too, and not a free page of it.
        .pragma("secure_delete", "ON")
        .disable_statement_logging();
    let file = options.get_filename();
    if let Some(folder) = file.parent() {
        // SQLite makes the files beside it with the mode of the database.
        let made = private::make_private_folder(folder).and_then(|()| private::make_file(file));
        made.map_err(|error| StoreError::Backend(error.to_string()))?;
    }
    let mut conn = options.connect().await?;
    migrate::migrate(&mut conn).await?;
    let readers = Arc::new(Readers::new(options.clone()));
    let writer = Writer::start(conn);
    let database = Database { readers, appends: Appends::new(writer.clone()), writer };
    Ok(Store {
        accounts: Arc::new(accounts::Accounts(database.clone())),
        bindings: Arc::new(bindings::Bindings::new(options)),
        records: Arc::new(records::Records(database.clone())),
        archive: Arc::new(archive::Archive(database)),
    })
}

/// Puts what stands beside the file into it, so that it is whole by itself: nobody else may be at work.
pub(crate) async fn settle(url: &str) -> Result<(), StoreError> {
    let options = SqliteConnectOptions::from_str(url)?.busy_timeout(BUSY).disable_statement_logging();
    let mut conn = options.connect().await?;
    let (is_busy, ..): (i64, i64, i64) =
        sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut conn).await?;
    conn.close().await?;
    if is_busy != 0 { Err(StoreError::Overloaded) } else { Ok(()) }
}

/// The readers and the writer of one file.
#[derive(Clone)]
struct Database {
    readers: Arc<Readers>,
    writer: Writer,
    appends: Appends,
}

impl Database {
    /// A connection for reading.
    async fn reader(&self) -> Result<Reader<'_>, StoreError> {
        self.readers.take().await
    }

    /// A file answers: who reads it is waited for.
    async fn in_time<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        work.await
    }

    /// Runs `work` in a transaction, whole or not at all; returns when it is on the disk.
    async fn write<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut Connection) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
    {
        self.writer.run(Extent::Statements, work).await
    }

    /// The same for one statement.
    async fn write_one<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut Connection) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
    {
        self.writer.run(Extent::OneStatement, work).await
    }

    /// Appends entries of archives; returns when they are on the disk.
    async fn append(&self, entries: &[Entry]) -> Result<(), StoreError> {
        self.appends.append(entries.to_vec()).await
    }
}

async fn connect(options: &Options) -> Result<Connection, StoreError> {
    Ok(options.connect().await?)
}

/// SQLite has one writer at a time, so that nothing need be locked beyond the transaction.
async fn lock(_conn: &mut Connection, _name: &str) -> Result<(), StoreError> {
    Ok(())
}

/// Who reads at once.
const CONNECTIONS: usize = 4;
/// How long a caller waits for a connection.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long one may take to say that it lives.
const LOOK: Duration = Duration::from_secs(10);
/// For how long one that lived is not asked.
const TRUSTED_FOR: Duration = Duration::from_secs(30);
/// How long to wait for another process's write.
const BUSY: Duration = Duration::from_secs(10);
/// Bytes of the write-ahead file that stay for the next writes: 64 MiB.
const JOURNAL_KEPT: &str = "67108864";

#[cfg(test)]
mod tests;
