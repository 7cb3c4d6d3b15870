//! Writes rows in groups: many callers wait for one commit, at once after a pause and every [`INTERVAL`] under load. A commit
//! for each call would cost more than the call.
//!
//! A row and what its sides see of it in their histories are one commit.
//!
//! State a bounded queue; whoever finds it full waits. Rows beyond those that are kept go now and then.
//! Errors rows that the store does not take are given to it again; those that it never takes are told to the log, and their calls go on.

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
        match insist(&*archive, &entries, &rows).await {
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

/// Writes rows, which may be there already, until the store takes them: a database that restarts costs nobody's bill. While there is room for
/// those that come meanwhile; at shutdown it has no time.
async fn insist(
    archive: &dyn Archive,
    entries: &[Entry],
    rows: &mpsc::Receiver<Waiting>,
) -> Result<(), StoreError> {
    for left in (0..TRIES).rev() {
        match archive.append(entries).await {
            Ok(()) => break,
            Err(error) if left == 0 || rows.is_closed() || rows.len() > MOST_WAITING / 2 => {
                return Err(error);
            }
            Err(error) => {
                tracing::warn!(%error, "rows of calls are not written yet");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
    Ok(())
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
/// How often a store is given the same rows, and how long it is left alone between.
const TRIES: usize = 60;
const AGAIN: Duration = Duration::from_secs(1);
/// Rows after which those that are too old are looked for.
const TRIM_AFTER: usize = 10_000;
/// Rows that are removed in one transaction: more than one commit brings.
const TRIM_AT_ONCE: usize = 1_000;
/// Sides of a call.
const SIDES: usize = 2;
/// How long a call waits for its row.
const PATIENCE: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use shared_store::Page;

    use super::*;

    /// An archive that refuses so many times.
    struct Refusing(Arc<dyn Archive>, AtomicUsize);

    #[async_trait::async_trait]
    impl Archive for Refusing {
        async fn append(&self, entries: &[Entry]) -> Result<(), StoreError> {
            let refuses = |left: usize| left.checked_sub(1);
            match self.1.fetch_update(Ordering::SeqCst, Ordering::SeqCst, refuses) {
                Ok(_) => Err(StoreError::Backend("it restarts".to_owned())),
                Err(_) => self.0.append(entries).await,
            }
        }
        async fn entry(&self, owner: &str, id: &str) -> Result<Option<Entry>, StoreError> {
            self.0.entry(owner, id).await
        }
        async fn page(&self, owner: &str, query: &Query) -> Result<Page, StoreError> {
            self.0.page(owner, query).await
        }
        async fn replace(&self, owner: &str, id: &str, body: &[u8]) -> Result<bool, StoreError> {
            self.0.replace(owner, id, body).await
        }
        async fn remove(&self, owner: &str, ids: &[String]) -> Result<u64, StoreError> {
            self.0.remove(owner, ids).await
        }
        async fn remove_owner(&self, owner: &str) -> Result<u64, StoreError> {
            self.0.remove_owner(owner).await
        }
        async fn remove_older(&self, kind: &str, time: i64, max: usize) -> Result<u64, StoreError> {
            self.0.remove_older(kind, time, max).await
        }
        async fn trim(&self, owner: &str, keep: usize, max: usize) -> Result<u64, StoreError> {
            self.0.trim(owner, keep, max).await
        }
    }

    #[tokio::test]
    async fn rows_that_a_store_refuses_for_a_while_are_written_when_it_is_back() {
        let mut store = Store::in_memory();
        let kept = Arc::clone(&store.archive);
        store.archive = Arc::new(Refusing(Arc::clone(&kept), AtomicUsize::new(2)));
        let shutdown = Shutdown::new();
        let (writer, task) = Writer::new(&store, 100, shutdown.clone());
        tokio::spawn(task);
        let row = Entry {
            owner: OWNER.to_owned(),
            id: "1".to_owned(),
            with: String::new(),
            time: 1,
            kind: "call".to_owned(),
            body: Vec::new(),
        };
        writer.write(vec![row]).await;
        tokio::time::sleep(2 * AGAIN).await;
        assert!(kept.entry(OWNER, "1").await.unwrap().is_some());
    }
}
