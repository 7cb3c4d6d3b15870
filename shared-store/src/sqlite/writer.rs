//! The one writer of a SQLite file: many waiting callers, one fsync.
//!
//! In    closures over the connection, through a bounded queue; a full queue slows the callers.
//! Out   each closure's answer, after the commit that holds its work.
//! Errors a closure that fails is rolled back alone (a savepoint, but for the first and for single statements); a commit that fails fails all of its group.
//!
//! A statement that nobody else waits behind is a transaction by itself: each further one is an exchange with the thread of the connection.

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use super::Connection;
use crate::StoreError;

/// The way to the writing task; it ends when the last clone is gone.
#[derive(Clone)]
pub(super) struct Writer {
    queue: mpsc::Sender<Job>,
}

/// What is to be done, and how much that is: asked when its turn comes.
type Job = Box<dyn FnOnce() -> (Extent, Work) + Send>;

type Work = Box<dyn for<'c> FnOnce(&'c mut Connection) -> BoxFuture<'c, Done> + Send>;

/// How much a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// One statement, which leaves nothing behind when it fails: it needs no savepoint.
    OneStatement,
    /// One statement of many rows, some of which it leaves behind when it fails.
    OneOfMany,
    /// As many as it likes.
    Statements,
}

/// Work that was done and waits for its commit.
struct Done {
    is_kept: bool,
    /// Answers the caller, given how the commit went.
    answer: Box<dyn FnOnce(Result<(), StoreError>) + Send>,
}

impl Writer {
    /// Starts the task that owns `conn`.
    pub(super) fn start(conn: Connection) -> Self {
        let (queue, jobs) = mpsc::channel(LONGEST_QUEUE);
        tokio::spawn(write_all(conn, jobs));
        Self { queue }
    }

    /// Runs `work` with others in one transaction.
    pub(super) async fn run<T, W>(&self, extent: Extent, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut Connection) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
    {
        self.run_late(move || (extent, work)).await
    }

    /// As [`Writer::run`], for what says how much it is when its turn comes.
    pub(super) async fn run_late<T, W>(
        &self,
        prepare: impl FnOnce() -> (Extent, W) + Send + 'static,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut Connection) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let job: Job = Box::new(move || {
            let (extent, work) = prepare();
            let work: Work = Box::new(move |conn| {
                Box::pin(async move {
                    let outcome = work(conn).await;
                    let is_kept = outcome.is_ok();
                    let answer = Box::new(move |committed: Result<(), StoreError>| {
                        // A caller that went away loses the answer, not the work.
                        let _ = sender.send(outcome.and_then(|value| committed.map(|()| value)));
                    });
                    Done { is_kept, answer }
                })
            });
            (extent, work)
        });
        self.queue.send(job).await.map_err(|_| StoreError::Overloaded)?;
        receiver.await.map_err(|_| StoreError::Overloaded)?
    }
}

async fn write_all(mut conn: Connection, mut jobs: mpsc::Receiver<Job>) {
    while let Some(first) = jobs.recv().await {
        let (extent, first) = first();
        if extent != Extent::Statements && jobs.is_empty() {
            (first(&mut conn).await.answer)(Ok(()));
            continue;
        }
        if let Err(error) = sqlx::query("BEGIN IMMEDIATE").execute(&mut conn).await {
            // The job is dropped, and its caller hears that the store is overloaded.
            tracing::warn!(%error, "cannot begin to write");
            continue;
        }
        // The first needs no savepoint: what came before it is the transaction's beginning.
        let done = first(&mut conn).await;
        if !done.is_kept {
            roll_back(&mut conn).await;
            (done.answer)(Ok(()));
            continue;
        }
        let mut group = vec![done];
        while group.len() < LARGEST_GROUP
            && let Ok(job) = jobs.try_recv()
        {
            let (extent, work) = job();
            group.push(match extent {
                Extent::OneStatement => work(&mut conn).await,
                Extent::OneOfMany | Extent::Statements => run_in_savepoint(&mut conn, work).await,
            });
        }
        let committed = commit(&mut conn).await;
        for done in group {
            (done.answer)(committed.clone());
        }
    }
}

async fn run_in_savepoint(conn: &mut Connection, work: Work) -> Done {
    let begun = sqlx::query("SAVEPOINT job").execute(&mut *conn).await;
    let done = work(&mut *conn).await;
    let end = if done.is_kept { "RELEASE job" } else { "ROLLBACK TO job; RELEASE job" };
    let ended = sqlx::raw_sql(end).execute(conn).await;
    match begun.and(ended) {
        Ok(_) => done,
        Err(error) => {
            let answer = done.answer;
            Done { is_kept: false, answer: Box::new(move |_| answer(Err(error.into()))) }
        }
    }
}

async fn commit(conn: &mut Connection) -> Result<(), StoreError> {
    let committed = sqlx::query("COMMIT").execute(&mut *conn).await;
    if let Err(error) = &committed {
        tracing::error!(%error, "cannot commit; the disk may be full");
        roll_back(conn).await;
    }
    Ok(committed.map(|_| ())?)
}

async fn roll_back(conn: &mut Connection) {
    // It fails if what failed before ended the transaction, which is what it is for.
    let _ = sqlx::query("ROLLBACK").execute(conn).await;
}

/// Writers that wait before further ones are slowed.
const LONGEST_QUEUE: usize = 1024;
/// Writers that share one fsync.
const LARGEST_GROUP: usize = 256;
