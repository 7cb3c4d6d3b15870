//! Writes rows in groups: many callers wait for one commit, at once after a pause and every [`INTERVAL`] under load. A commit
//! for each call would cost more than the call.
//!
//! State a bounded queue; whoever finds it full waits. Rows beyond those that are kept go now and then.
//! Errors a row that the store does not take is told to the log, and its call goes on.

use std::sync::Arc;
use std::time::Duration;

use shared_runtime::Shutdown;
use shared_store::{Archive, Entry};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::record::OWNER;

/// The way to the writer.
#[derive(Clone)]
pub(crate) struct Writer(mpsc::Sender<(Entry, oneshot::Sender<()>)>);

impl Writer {
    /// A writer, and the task that does its work until shutdown.
    pub(crate) fn new(
        archive: Arc<dyn Archive>,
        keep: usize,
        shutdown: Shutdown,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (queue, rows) = mpsc::channel(MOST_WAITING);
        (Self(queue), write(archive, keep, rows, shutdown))
    }

    /// Ends when the row is durable, or the store had its time.
    pub(crate) async fn write(&self, row: Entry) {
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
    mut rows: mpsc::Receiver<(Entry, oneshot::Sender<()>)>,
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
        match archive.append(&entries).await {
            // Whoever does not wait any more needs no telling.
            Ok(()) => waiting.into_iter().for_each(|done: oneshot::Sender<()>| {
                let _ = done.send(());
            }),
            Err(error) => tracing::error!(%error, rows = entries.len(), "rows of calls are lost"),
        }
        since_trimmed = since_trimmed.saturating_add(entries.len());
        if since_trimmed >= TRIM_AFTER {
            since_trimmed = 0;
            match archive.trim(OWNER, keep, TRIM_AT_ONCE).await {
                // There may be more: the next commit goes between.
                Ok(removed) if removed >= TRIM_AT_ONCE as u64 => since_trimmed = TRIM_AFTER,
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "old rows of calls could not be removed"),
            }
        }
    }
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
/// How long a call waits for its row.
const PATIENCE: Duration = Duration::from_secs(3);
