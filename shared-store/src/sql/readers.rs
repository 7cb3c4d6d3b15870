//! The connections to one database: of a file those that read beside the writer, of a server all.
//!
//! In    whoever wants one, at most [`CONNECTIONS`] at once; others wait in order.
//! Out   a connection, which comes back when it is dropped: at once, and without a word to it.
//! State connections that nobody uses, the one that was used last on top: its thread and its pages are warm.
//! Errors who waits longer than [`PATIENCE`] hears [`StoreError::Overloaded`].
//!
//! Each statement is one way to the connection and back. A pool of the library asks a connection whether it lives before and after each
//! use, which makes it three, and waits without end for one that is silent; here that is asked once in [`TRUSTED_FOR`], for [`LOOK`].

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use sqlx::Connection as _;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{CONNECTIONS, Connection, LOOK, Options, PATIENCE, TRUSTED_FOR, connect};
use crate::StoreError;

/// Connections of one database.
pub(super) struct Readers {
    options: Options,
    places: Semaphore,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    conn: Connection,
    /// When it was seen to live.
    seen: Instant,
}

/// A connection in somebody's hands.
pub(super) struct Reader<'a> {
    readers: &'a Readers,
    /// There until it is dropped.
    held: Option<Idle>,
    /// It is as it was taken, or its work came to an end.
    pub(super) is_sound: bool,
    _place: SemaphorePermit<'a>,
}

impl Readers {
    pub(super) fn new(options: Options) -> Self {
        Self { options, places: Semaphore::new(CONNECTIONS), idle: Mutex::default() }
    }

    /// A connection of one's own.
    pub(super) async fn take(&self) -> Result<Reader<'_>, StoreError> {
        let place = match self.places.try_acquire() {
            Ok(place) => place,
            Err(_) => {
                let waiting = tokio::time::timeout(PATIENCE, self.places.acquire());
                waiting.await.map_err(|_| StoreError::Overloaded)?.map_err(|_| StoreError::Overloaded)?
            }
        };
        let idle = self.idle().pop();
        let held = match self.living(idle).await {
            Some(idle) => idle,
            None => Idle { conn: connect(&self.options).await?, seen: Instant::now() },
        };
        Ok(Reader { readers: self, held: Some(held), is_sound: true, _place: place })
    }

    async fn living(&self, idle: Option<Idle>) -> Option<Idle> {
        let mut idle = idle?;
        if idle.seen.elapsed() >= TRUSTED_FOR {
            let asked = tokio::time::timeout(LOOK, idle.conn.ping()).await;
            if !matches!(asked, Ok(Ok(()))) {
                // Others that were made before lie as dead there.
                self.forget_idle();
                return None;
            }
            idle.seen = Instant::now();
        }
        Some(idle)
    }

    /// Closes the connections that nobody uses.
    pub(super) fn forget_idle(&self) {
        self.idle().clear();
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for Reader<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.held.as_ref().expect("it is taken out when this is dropped").conn
    }
}

impl DerefMut for Reader<'_> {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.held.as_mut().expect("it is taken out when this is dropped").conn
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        // Before its place is free. A statement that nobody waits for any more ends with the row that its thread is at.
        let held = self.held.take().filter(|_| self.is_sound);
        self.readers.idle().extend(held);
    }
}
