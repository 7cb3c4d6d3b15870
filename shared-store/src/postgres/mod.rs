//! The store in PostgreSQL: for many machines.
//!
//! State a schema of ours in the database that the URL names.
//! Errors when no connection of the pool is free for [`PATIENCE`], [`StoreError::Overloaded`].
//!
//! Every write is a transaction; PostgreSQL itself commits those that wait in groups. What must not interleave takes
//! an advisory lock by name, which ends with the transaction.

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
use sqlx::{ConnectOptions, Postgres};

use crate::{Entry, Store, StoreError};
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
        .connect_with(options)
        .await?;
    migrate::migrate(&mut *pool.acquire().await?).await?;
    let database = Database { pool };
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
}

impl Database {
    /// A connection for reading.
    async fn reader(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        Ok(self.pool.acquire().await?)
    }

    /// Runs `work` in a transaction, whole or not at all; returns when it is on the disk.
    async fn write<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut Connection) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
    {
        let mut transaction = self.pool.begin().await?;
        // Dropped without a commit, it is rolled back.
        let value = work(&mut transaction).await?;
        transaction.commit().await?;
        Ok(value)
    }

    /// Appends entries of archives, in a transaction of their own.
    async fn append(&self, entries: &[Entry]) -> Result<(), StoreError> {
        let entries = entries.to_vec();
        self.write(|conn| Box::pin(async move { archive::append(conn, &entries).await })).await
    }
}

/// Keeps other transactions that lock the same name waiting until this one ends.
async fn lock(conn: &mut Connection, name: &str) -> Result<(), StoreError> {
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))").bind(name).execute(conn).await?;
    Ok(())
}

/// How long a caller waits for a connection.
const PATIENCE: Duration = Duration::from_secs(10);
const CONNECTIONS: u32 = 16;
/// For how long a connection that lived is not asked.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

#[cfg(test)]
mod server;
#[cfg(test)]
mod tests;
