//! Writes rows in groups: many callers wait for one commit, at once after a pause and every [`INTERVAL`] under load. A commit
//! for each call would cost more than the call.
//!
//! A row and what its sides see of it in their histories are one commit.
//!
//! State a bounded queue; whoever finds it full waits. Rows beyond those that are kept go now and then.
//! Errors a row that the store does not take is told to the log, and its call goes on.

use std::sync::Arc;
use std::time::Duration;

use shared_runtime::Shutdown;
use shared_store::{Archive, Entry, Position, Query, Store, StoreError};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::histories;
use super::record::{HISTORY, OWNER};

/// The way to the writer.
#[derive(Clone)]
pub(crate) struct Writer(mpsc::Sender<Waiting>);

/// Entries of one call, and who waits for them.
type Waiting = (Vec<Entry>, oneshot::Sender<()>);

impl Writer {
    /// A writer, and the task that does its work until shutdown.
    pub(crate) fn new(
        store: &Store,
        keep: usize,
        shutdown: Shutdown,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (queue, rows) = mpsc::channel(MOST_WAITING);
        let (archive, records) = (Arc::clone(&store.archive), Arc::clone(&store.records));
        let task = async move {
            // Before new rows, so that histories are in the order of their calls.
            if let Err(error) = histories::begin(&*archive, &*records).await {
                tracing::error!(%error, "earlier calls are not in the histories of accounts");
            }
            write(archive, keep, rows, shutdown).await;
        };
        (Self(queue), task)
    }

    /// Ends when the row is durable, or the store had its time.
    pub(crate) async fn write(&self, row: Vec<Entry>) {
        let (done, is_done) = oneshot::channel();
        let written = async {
            if self.0.send((row, done)).await.is_ok() {
                // An error says that the row is lost, which the log has.
                let _ = is_done.await;
            }
        };
        if tokio::time::timeout(PATIENCE, written).await.is_err() {
            tracing::warn!("the store takes long for the row of a call");
        }
    }
}

async fn write(
    archive: Arc<dyn Archive>,
    keep: usize,
    mut rows: mpsc::Receiver<Waiting>,
    shutdown: Shutdown,
) {
    let mut since_trimmed = usize::MAX;
    let mut next = Instant::now();
    loop {
        let first = tokio::select! {
            first = rows.recv() => first,
            () = shutdown.begun(), if !rows.is_closed() => {
                // What waits is still written; there is nobody to acknowledge more.
                rows.close();
                continue;
            }
        };
        let Some(first) = first else { return };
        if !rows.is_closed() {
            tokio::time::sleep_until(next).await;
        }
        next = Instant::now() + INTERVAL;
        let others = std::iter::from_fn(|| rows.try_recv().ok()).take(BATCH - 1);
        let (entries, waiting): (Vec<_>, Vec<_>) = std::iter::once(first).chain(others).unzip();
        let calls = entries.len();
        let entries: Vec<Entry> = entries.into_iter().flatten().collect();
        match archive.append(&entries).await {
            // Whoever does not wait any more needs no telling.
            Ok(()) => waiting.into_iter().for_each(|done: oneshot::Sender<()>| {
                let _ = done.send(());
            }),
            Err(error) => tracing::error!(%error, rows = calls, "rows of calls are lost"),
        }
        since_trimmed = since_trimmed.saturating_add(calls);
        if since_trimmed >= TRIM_AFTER {
            since_trimmed = 0;
            match trim(&*archive, keep).await {
                // There may be more: the next commit goes between.
                Ok(removed) if removed >= TRIM_AT_ONCE as u64 => since_trimmed = TRIM_AFTER,
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "old rows of calls could not be removed"),
            }
        }
    }
}

/// Removes rows that are too old, and what histories have of calls that are older than the oldest row.
async fn trim(archive: &dyn Archive, keep: usize) -> Result<u64, StoreError> {
    let removed = archive.trim(OWNER, keep, TRIM_AT_ONCE).await?;
    if removed == 0 {
        return Ok(0);
    }
    let oldest = Query { position: Position::First, max: 1, most_counted: 0, ..Query::default() };
    if let Some(oldest) = archive.page(OWNER, &oldest).await?.entries.first() {
        archive.remove_older(HISTORY, oldest.time, SIDES * TRIM_AT_ONCE).await?;
    }
    Ok(removed)
}

/// Between the beginnings of two commits.
const INTERVAL: Duration = Duration::from_millis(20);
/// Rows of one commit.
const BATCH: usize = 256;
const MOST_WAITING: usize = 4_096;
/// Rows after which those that are too old are looked for.
const TRIM_AFTER: usize = 10_000;
/// Rows that are removed in one transaction: more than one commit brings.
const TRIM_AT_ONCE: usize = 1_000;
/// Sides of a call.
const SIDES: usize = 2;
/// How long a call waits for its row.
const PATIENCE: Duration = Duration::from_secs(3);
