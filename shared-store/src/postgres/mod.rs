//! The store in PostgreSQL: for many machines.
//!
//! State a schema of ours in the database that the URL names.
//! Errors when no connection of the pool is free for [`PATIENCE`], [`StoreError::Overloaded`], or why none can be made; so, too, where one
//!        says nothing for [`ANSWER`]: what it was to write is not written then, but where it was asked to commit already.
//!
//! Every write is a transaction; PostgreSQL itself commits those that wait in groups. What must not interleave takes
//! an advisory lock by name, which ends with the transaction.

mod alone;
mod lists;
mod migrations;

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
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection as _};

use crate::{Entry, Store, StoreError};
pub(crate) use alone::Alone;
use migrations::MIGRATIONS;
use readers::{Reader, Readers};

pub(super) type Connection = sqlx::PgConnection;
pub(super) type Options = PgConnectOptions;

/// How a statement begins that inserts many rows.
const INSERT_MANY: &str = "INSERT INTO";
/// How a migration's transaction begins; the lock inside it keeps other nodes out.
const BEGIN: &str = "BEGIN";

/// Opens the database that `url` names.
pub(crate) async fn open(url: &str) -> Result<Store, StoreError> {
    let options = PgConnectOptions::from_str(url)?.application_name("cusax").disable_statement_logging();
    migrate::migrate(&mut connect(&options).await?).await?;
    // What was given up here is given up there.
    let options = options.options([("statement_timeout", STATEMENT.as_millis().to_string())]);
    let database = Database(Arc::new(Readers::new(options)));
    Ok(Store {
        accounts: Arc::new(accounts::Accounts(database.clone())),
        bindings: Arc::new(bindings::Bindings(database.clone())),
        records: Arc::new(records::Records(database.clone())),
        archive: Arc::new(archive::Archive(database)),
    })
}

/// The connections to one database.
#[derive(Clone)]
struct Database(Arc<Readers>);

impl Database {
    /// A connection for reading.
    async fn reader(&self) -> Result<Reader<'_>, StoreError> {
        self.0.take().await
    }

    /// Waits no longer than [`ANSWER`] for a database that has taken a connection and is silent: a machine that hangs, a network that
    /// drops what is sent, somebody's lock.
    async fn in_time<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let silent = || StoreError::Backend(format!("the database does not answer in {ANSWER:?}"));
        tokio::time::timeout(ANSWER, work).await.unwrap_or_else(|_| Err(silent()))
    }

    /// Runs `work` in a transaction, whole or not at all; returns when it is on the disk.
    async fn write<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut Connection) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
    {
        self.in_time(async {
            let mut connection = self.reader().await?;
            // Given up in the middle, it would keep its transaction and what that locks.
            connection.is_sound = false;
            let done = transact(&mut connection, work).await;
            // One that takes no writes stays so, though the database takes them again, or another one does under its name.
            connection.is_sound = !matches!(done, Err(StoreError::ReadOnly(_) | StoreError::Backend(_)));
            if matches!(done, Err(StoreError::ReadOnly(_))) {
                self.0.forget_idle(); // those beside it were made of the same database
            }
            done
        })
        .await
    }

    /// The same for one statement, which may have to wait for a lock.
    async fn write_one<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut Connection) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
    {
        self.write(work).await
    }

    /// Appends entries of archives, in a transaction of their own. Where its answer is lost it is done once more: what is there by its
    /// id stays as it is.
    async fn append(&self, entries: &[Entry]) -> Result<(), StoreError> {
        let once = async || {
            let entries = entries.to_vec();
            self.write(|conn| Box::pin(async move { archive::append(conn, &entries).await })).await
        };
        let begun = Instant::now();
        match once().await {
            Err(StoreError::Backend(_)) if begun.elapsed() < PATIENCE => {
                tokio::time::sleep(AGAIN).await;
                once().await
            }
            done => done,
        }
    }
}

async fn transact<T, W>(connection: &mut Connection, work: W) -> Result<T, StoreError>
where
    W: for<'c> FnOnce(&'c mut Connection) -> BoxFuture<'c, Result<T, StoreError>>,
{
    let mut transaction = connection.begin().await?;
    match work(&mut transaction).await {
        Ok(value) => {
            transaction.commit().await?;
            Ok(value)
        }
        Err(error) => {
            // Where that fails the connection is of no use, which its next use finds.
            let _ = transaction.rollback().await;
            Err(error)
        }
    }
}

/// A connection; why there is none, by name.
async fn connect(options: &Options) -> Result<Connection, StoreError> {
    let (host, port) = (options.get_host(), options.get_port());
    match tokio::time::timeout(PATIENCE, options.connect()).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(StoreError::Backend(format!("no connection to {host}:{port}: {error}"))),
        Err(_) => Err(StoreError::Backend(format!("no connection to {host}:{port}: no answer"))),
    }
}

/// Keeps other transactions that lock the same name waiting until this one ends.
async fn lock(conn: &mut Connection, name: &str) -> Result<(), StoreError> {
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))").bind(name).execute(conn).await?;
    Ok(())
}

/// How long a caller waits for a connection: less than whoever waits for the caller.
const PATIENCE: Duration = Duration::from_secs(4);
/// How long a caller waits for what a connection was asked: less than clients wait before they ask again.
const ANSWER: Duration = Duration::from_secs(15);
/// How long one may take to say that it lives.
const LOOK: Duration = Duration::from_secs(1);
const CONNECTIONS: usize = 16;
/// How long a statement may take there: less than its caller waits.
const STATEMENT: Duration = Duration::from_secs(14);
/// How long a database that restarts is left alone.
const AGAIN: Duration = Duration::from_millis(500);
/// For how long one that lived is not asked.
const TRUSTED_FOR: Duration = Duration::from_millis(250);

#[cfg(test)]
mod server;
#[cfg(test)]
mod tests;
