//! The store in PostgreSQL: for many machines.
//!
//! State a schema of ours in the database that the URL names.
//! Errors when no connection of the pool is free for [`PATIENCE`], [`StoreError::Overloaded`], or why none can be made; so, too, where one
//!        says nothing for [`ANSWER`]: whether what it was to write is written then is not known.
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
#[path = "../sql/records.rs"]
mod records;

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection as _, Postgres};

use crate::{Entry, Store, StoreError};
pub(crate) use alone::Alone;
use migrations::MIGRATIONS;

pub(super) type Connection = sqlx::PgConnection;

/// How a migration's transaction begins; the lock inside it keeps other nodes out.
const BEGIN: &str = "BEGIN";

/// Opens the database that `url` names.
pub(crate) async fn open(url: &str) -> Result<Store, StoreError> {
    let options = PgConnectOptions::from_str(url)?.application_name("cusax").disable_statement_logging();
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(PATIENCE)
        // It is asked whether it lives when it comes back; who takes it soon after need not ask again.
        .test_before_acquire(false)
        .before_acquire(|conn, meta| {
            Box::pin(async move {
                let is_trusted = meta.idle_for < TRUSTED_FOR;
                Ok(is_trusted || sqlx::Connection::ping(conn).await.is_ok())
            })
        })
        .connect_lazy_with(options.clone());
    let database = Database { pool, options };
    migrate::migrate(&mut *database.reader().await?).await?;
    Ok(Store {
        accounts: Arc::new(accounts::Accounts(database.clone())),
        bindings: Arc::new(bindings::Bindings(database.clone())),
        records: Arc::new(records::Records(database.clone())),
        archive: Arc::new(archive::Archive(database)),
    })
}

/// The connections to one database.
#[derive(Clone)]
struct Database {
    pool: PgPool,
    options: PgConnectOptions,
}

impl Database {
    /// A connection for reading.
    async fn reader(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        match self.pool.acquire().await {
            Ok(connection) => Ok(connection),
            Err(sqlx::Error::PoolTimedOut) => Err(self.why_none().await),
            Err(error) => Err(error.into()),
        }
    }

    /// Why there is no connection: all are busy, or none can be made.
    async fn why_none(&self) -> StoreError {
        let made = tokio::time::timeout(LOOK, self.options.connect()).await;
        let (host, port) = (self.options.get_host(), self.options.get_port());
        match made {
            Ok(Ok(_)) => StoreError::Overloaded,
            Ok(Err(error)) => StoreError::Backend(format!("no connection to {host}:{port}: {error}")),
            Err(_) => StoreError::Backend(format!("no connection to {host}:{port}: no answer")),
        }
    }

    /// Waits no longer than [`ANSWER`] for a database that has taken a connection and is silent: a machine that hangs, a network that
    /// drops what is sent, somebody's lock.
    async fn in_time<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let (host, port) = (self.options.get_host(), self.options.get_port());
        let silent = || StoreError::Backend(format!("no answer from {host}:{port} in {ANSWER:?}"));
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
            let done = transact(&mut connection, work).await;
            if let Err(StoreError::ReadOnly(_)) = &done {
                // It stays so, though the database takes writes again, or another one does under its name.
                connection.close_on_drop();
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

    /// Appends entries of archives, in a transaction of their own.
    async fn append(&self, entries: &[Entry]) -> Result<(), StoreError> {
        let entries = entries.to_vec();
        self.write(|conn| Box::pin(async move { archive::append(conn, &entries).await })).await
    }
}

async fn transact<T, W>(connection: &mut Connection, work: W) -> Result<T, StoreError>
where
    W: for<'c> FnOnce(&'c mut Connection) -> BoxFuture<'c, Result<T, StoreError>>,
{
    let mut transaction = connection.begin().await?;
    // Dropped without a commit, it is rolled back.
    let value = work(&mut transaction).await?;
    transaction.commit().await?;
    Ok(value)
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
/// How long one is tried for, to say why there is none.
const LOOK: Duration = Duration::from_secs(1);
const CONNECTIONS: u32 = 16;
/// For how long a connection that lived is not asked.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

#[cfg(test)]
mod server;
#[cfg(test)]
mod tests;
