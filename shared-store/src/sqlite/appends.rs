//! Entries of archives on their way to the writer: what waits at the same time is written by the same statements.
//!
//! In    entries, each caller's together. Out each caller hears when its entries are on the disk.
//! State what waits; the writer takes all of it with one job. Callers are sessions and rooms, which wait for an answer
//! before they bring more.
//! Errors what cannot be written fails for all that waited with it.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use super::writer::{Extent, Writer};
use super::{Connection, archive};
use crate::{Entry, StoreError};

/// The way of entries to the writer.
#[derive(Clone)]
pub(super) struct Appends {
    writer: Writer,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    entries: Vec<Entry>,
    callers: Vec<oneshot::Sender<Result<(), StoreError>>>,
}

impl Appends {
    pub(super) fn new(writer: Writer) -> Self {
        Self { writer, waiting: Arc::default() }
    }

    /// Appends entries with whatever others wait; returns when they are on the disk.
    pub(super) async fn append(&self, entries: Vec<Entry>) -> Result<(), StoreError> {
        let (sender, written) = oneshot::channel();
        let is_first = {
            let mut waiting = lock(&self.waiting);
            waiting.entries.extend(entries);
            waiting.callers.push(sender);
            waiting.callers.len() == 1
        };
        if is_first {
            // A task of its own, since others wait for it too: this caller may go away.
            tokio::spawn(write(self.writer.clone(), Arc::clone(&self.waiting)));
        }
        written.await.map_err(|_| StoreError::Overloaded)?
    }
}

async fn write(writer: Writer, waiting: Arc<Mutex<Waiting>>) {
    let callers = Arc::new(Mutex::new(Vec::new()));
    let taken_with = Arc::clone(&callers);
    let at_writer = Arc::clone(&waiting);
    let outcome = writer.run_late(move || {
        let taken = std::mem::take(&mut *lock(&at_writer));
        *lock(&taken_with) = taken.callers;
        let is_one = taken.entries.len() <= archive::ROWS;
        let extent = if is_one { Extent::OneOfMany } else { Extent::Statements };
        (extent, append(taken.entries))
    });
    let outcome = outcome.await;
    let mut told = std::mem::take(&mut *lock(&callers));
    if told.is_empty() {
        // The writer did not come to it: what waits now is what waited then.
        told = std::mem::take(&mut *lock(&waiting)).callers;
    }
    for caller in told {
        // A caller that went away loses the answer, not its entries.
        let _ = caller.send(outcome.clone());
    }
}

fn append(
    entries: Vec<Entry>,
) -> impl for<'c> FnOnce(&'c mut Connection) -> BoxFuture<'c, Result<(), StoreError>> + Send + 'static {
    move |conn| Box::pin(async move { archive::append(conn, &entries).await })
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
