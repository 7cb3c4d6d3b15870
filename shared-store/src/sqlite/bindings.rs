//! Bindings in one file: all in memory, and on the disk before they are acknowledged.
//!
//! In    REGISTERs, one after another for an AOR. Out answers from memory; nothing is read from the file after the start.
//! State [`Index`]; a queue of rows that wait for the disk, written by [`journal`] in groups.
//! Errors rows that cannot be written are read again from the file, so that memory says what is durable.
//! Not here: other processes that write bindings; the data folder's lock keeps other servers out.

mod index;
mod journal;

use std::sync::Arc;

use shared_model::Aor;
use tokio::sync::OnceCell;

use super::Connection;
use crate::{Binding, BindingUpdate, Committed, StoreError};
use index::Index;
use journal::Journal;

/// The bindings of one file. They are read when somebody first asks, for most commands never do.
pub(super) struct Bindings {
    options: sqlx::sqlite::SqliteConnectOptions,
    opened: OnceCell<(Arc<Index>, Journal)>,
}

impl Bindings {
    pub(super) fn new(options: sqlx::sqlite::SqliteConnectOptions) -> Self {
        Self { options, opened: OnceCell::new() }
    }

    async fn opened(&self) -> Result<&(Arc<Index>, Journal), StoreError> {
        self.opened
            .get_or_try_init(|| async {
                let mut conn: Connection = sqlx::ConnectOptions::connect(&self.options).await?;
                let index = Arc::new(Index::default());
                journal::load(&mut conn, None, |aor, body| index.insert(aor, body)).await?;
                let journal = Journal::start(conn, Arc::clone(&index));
                Ok((index, journal))
            })
            .await
    }
}

#[async_trait::async_trait]
impl crate::Bindings for Bindings {
    async fn commit(&self, aor: &Aor, update: &BindingUpdate, now: i64) -> Result<Committed, StoreError> {
        let (index, journal) = self.opened().await?;
        let (committed, written) = index.apply(aor, update, now, |rows| journal.push(rows))?;
        written.done().await?;
        Ok(committed)
    }

    async fn by_aor(&self, aor: &Aor, now: i64) -> Result<Vec<Binding>, StoreError> {
        self.opened().await?.0.live(aor, now)
    }

    async fn ending(&self, after: i64, until: i64, max: usize) -> Result<Vec<Binding>, StoreError> {
        self.opened().await?.0.ending(after, until, max)
    }

    async fn expire(&self, now: i64, max: usize) -> Result<Vec<Binding>, StoreError> {
        let (index, journal) = self.opened().await?;
        let (expired, written) = index.expire(now, max, |rows| journal.push(rows))?;
        if let Some(written) = written {
            written.done().await?;
        }
        Ok(expired)
    }
}

#[cfg(test)]
mod tests;
