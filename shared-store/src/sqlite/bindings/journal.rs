//! Writes bindings to the file, many REGISTERs with one statement and one fsync.
//!
//! In    rows in the order of the changes. Out who waits hears that they are on the disk.
//! State rows that wait, at most [`LONGEST_QUEUE`]; beyond it REGISTERs are refused as overload.
//! Errors what cannot be written is undone in memory: the AORs concerned are read again from the file.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::TryStreamExt;
use shared_model::Aor;
use sqlx::{QueryBuilder, Row as _, Sqlite};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::index::Index;
use crate::StoreError;
use crate::sqlite::{Connection, packed};

/// One row as it will be: with a body, or gone.
pub(super) struct Row {
    aor: Box<str>,
    key: Box<str>,
    body: Option<Box<[u8]>>,
}

/// Waits until rows are on the disk.
pub(super) struct Written(oneshot::Receiver<Result<(), StoreError>>);

/// The way to the writing task, which ends with it.
pub(super) struct Journal {
    shared: Arc<Shared>,
}

struct Shared {
    waiting: Mutex<Waiting>,
    wake: Notify,
}

#[derive(Default)]
struct Waiting {
    rows: Vec<Row>,
    callers: Vec<oneshot::Sender<Result<(), StoreError>>>,
    is_closed: bool,
}

impl Row {
    pub(super) fn set(aor: &Aor, key: &str, body: Box<[u8]>) -> Self {
        Self { aor: aor.as_str().into(), key: key.into(), body: Some(body) }
    }

    pub(super) fn gone(aor: &Aor, key: &str) -> Self {
        Self { aor: aor.as_str().into(), key: key.into(), body: None }
    }
}

impl Written {
    pub(super) async fn done(self) -> Result<(), StoreError> {
        self.0.await.map_err(|_| StoreError::Overloaded)?
    }
}

impl Journal {
    /// Starts the task that owns `conn`.
    pub(super) fn start(conn: Connection, index: Arc<Index>) -> Self {
        let shared = Arc::new(Shared { waiting: Mutex::default(), wake: Notify::new() });
        tokio::spawn(write_all(conn, index, Arc::clone(&shared)));
        Self { shared }
    }

    /// Queues rows; they are written after all that were queued before.
    pub(super) fn push(&self, rows: Vec<Row>) -> Result<Written, StoreError> {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.shared.lock();
        if waiting.rows.len() + rows.len() > LONGEST_QUEUE {
            return Err(StoreError::Overloaded);
        }
        let was_idle = waiting.callers.is_empty();
        waiting.rows.extend(rows);
        waiting.callers.push(sender);
        drop(waiting);
        if was_idle {
            self.shared.wake.notify_one();
        }
        Ok(Written(receiver))
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.shared.lock().is_closed = true;
        self.shared.wake.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn write_all(mut conn: Connection, index: Arc<Index>, shared: Arc<Shared>) {
    let mut last = Instant::now();
    loop {
        shared.wake.notified().await;
        // Whoever comes within the interval shares this write; the first after a pause does not wait.
        tokio::time::sleep_until(last + INTERVAL).await;
        let (rows, callers, is_closed) = {
            let mut waiting = shared.lock();
            (std::mem::take(&mut waiting.rows), std::mem::take(&mut waiting.callers), waiting.is_closed)
        };
        last = Instant::now();
        let outcome = write(&mut conn, &rows).await;
        if let Err(error) = &outcome {
            tracing::error!(%error, "bindings cannot be written; the disk may be full");
            undo(&mut conn, &index, &rows).await;
        }
        for caller in callers {
            // A caller that went away loses the answer, not the binding.
            let _ = caller.send(outcome.clone());
        }
        if is_closed {
            return;
        }
    }
}

/// Writes the newest of each row, in one transaction.
async fn write(conn: &mut Connection, rows: &[Row]) -> Result<(), StoreError> {
    let newest: HashMap<(&str, &str), Option<&[u8]>> =
        rows.iter().map(|row| ((&*row.aor, &*row.key), row.body.as_deref())).collect();
    let (set, gone): (Vec<_>, Vec<_>) = newest.into_iter().partition(|(_, body)| body.is_some());
    let statements = set.len().div_ceil(ROWS) + gone.len();
    if statements > 1 {
        sqlx::query("BEGIN IMMEDIATE").execute(&mut *conn).await?;
    }
    let outcome = run(conn, &set, &gone).await;
    if statements > 1 {
        let end = if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" };
        sqlx::query(end).execute(&mut *conn).await?;
    }
    outcome
}

type Named<'a> = ((&'a str, &'a str), Option<&'a [u8]>);

async fn run(conn: &mut Connection, set: &[Named<'_>], gone: &[Named<'_>]) -> Result<(), StoreError> {
    for ((aor, key), _) in gone {
        sqlx::query("DELETE FROM binding WHERE aor = $1 AND binding_key = $2")
            .bind(*aor)
            .bind(*key)
            .execute(&mut *conn)
            .await?;
    }
    for rows in set.chunks(ROWS) {
        let mut insert: QueryBuilder<Sqlite> =
            QueryBuilder::new("INSERT OR REPLACE INTO binding (aor, binding_key, expires, body) ");
        insert.push_values(rows, |mut values, ((aor, key), body)| {
            let body = body.unwrap_or_default();
            values.push_bind(*aor).push_bind(*key).push_bind(packed::expires(body)).push_bind(body);
        });
        insert.build().execute(&mut *conn).await?;
    }
    Ok(())
}

/// Lets memory say what the file says.
async fn undo(conn: &mut Connection, index: &Index, rows: &[Row]) {
    for row in rows {
        let mut bodies = Vec::new();
        let read = load(conn, Some(&row.aor), |_, body| bodies.push(Box::from(body))).await;
        match read {
            Ok(()) => index.replace(&row.aor, bodies),
            Err(error) => tracing::error!(%error, "bindings cannot be read"),
        }
    }
}

/// Reads the rows of one AOR, or all.
pub(super) async fn load(
    conn: &mut Connection,
    aor: Option<&str>,
    mut each: impl FnMut(&str, &[u8]),
) -> Result<(), StoreError> {
    let query = match aor {
        Some(aor) => sqlx::query("SELECT aor, body FROM binding WHERE aor = $1").bind(aor),
        None => sqlx::query("SELECT aor, body FROM binding"),
    };
    let mut rows = query.fetch(conn);
    while let Some(row) = rows.try_next().await? {
        each(row.try_get::<&str, _>(0)?, row.try_get::<&[u8], _>(1)?);
    }
    Ok(())
}

/// Rows that may wait.
const LONGEST_QUEUE: usize = 65_536;
/// The least time between two writes: a phone does not notice it, and a busy registrar saves most of its fsyncs.
const INTERVAL: Duration = Duration::from_millis(20);
/// Rows of one statement.
const ROWS: usize = 128;
