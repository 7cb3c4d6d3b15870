//! How long archives remember — XEP-0313 1.1.3, section 7 (what is not kept for ever need not be; a page that begins with what is
//! gone is `item-not-found`).
//!
//! In    the clock, and accounts whose archive grew.
//! Out   messages of accounts and of rooms that are older than `archive_for` go, wherever they are; of each account that got one
//!       more than `archive_most`, the oldest.
//! State accounts whose archive grew since they were looked at: bounded; one that is not noted is looked at when it grows again.
//! Errors logged, and tried again at the next round.
//! Not here: rows of calls, messages that wait, files, each of which has its own term.

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use shared_runtime::unix_millis;
use shared_store::StoreError;

use crate::server::Server;
use crate::{archive, muc};

/// Accounts whose archive grew.
#[derive(Default)]
pub(crate) struct Grown(DashMap<String, ()>);

impl Grown {
    /// An archive has one more.
    pub(crate) fn note(&self, owner: &str) {
        if !self.0.contains_key(owner) && self.0.len() < MOST_GROWN {
            self.0.insert(owner.to_owned(), ());
        }
    }

    fn take(&self) -> Vec<String> {
        let all: Vec<String> = self.0.iter().map(|entry| entry.key().clone()).collect();
        for owner in &all {
            self.0.remove(owner);
        }
        all
    }
}

/// Forgets what is to be forgotten, until shutdown.
pub(crate) async fn keep_to_terms(server: Arc<Server>) {
    loop {
        if let Err(error) = round(&server).await {
            tracing::error!(%error, "archives could not be shortened");
        }
        tokio::select! {
            () = tokio::time::sleep(server.config.archive_round) => {}
            () = server.shutdown.begun() => return,
        }
    }
}

async fn round(server: &Server) -> Result<(), StoreError> {
    let (age, mut forgotten) = (server.config.archive_for, 0);
    if !age.is_zero() {
        let before = unix_millis().saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
        for kind in [archive::KIND, muc::ARCHIVED] {
            loop {
                let removed = server.store.archive.remove_older(kind, before, AT_ONCE).await?;
                forgotten += removed;
                if removed < AT_ONCE as u64 || server.shutdown.is_begun() {
                    break;
                }
                tokio::time::sleep(BREATH).await; // others want to write, too
            }
        }
    }
    let mut failed = None;
    if server.config.archive_most > 0 {
        for owner in server.archives_grown.take() {
            match shorten(server, &owner).await {
                Ok(removed) => forgotten += removed,
                Err(error) => {
                    server.archives_grown.note(&owner);
                    failed = Some(error);
                }
            }
        }
    }
    if forgotten > 0 {
        server.metrics.archive_forgotten.inc_by(forgotten);
        tracing::info!(forgotten, "archived messages whose time is over were removed");
    }
    failed.map_or(Ok(()), Err)
}

/// Removes what an account has too much, a portion at a time; how many messages that were.
async fn shorten(server: &Server, owner: &str) -> Result<u64, StoreError> {
    let mut forgotten = 0;
    loop {
        let removed = server.store.archive.trim(owner, server.config.archive_most, AT_ONCE).await?;
        forgotten += removed;
        if removed < AT_ONCE as u64 || server.shutdown.is_begun() {
            return Ok(forgotten);
        }
        tokio::time::sleep(BREATH).await; // others want to write, too
    }
}

/// Messages that are removed in one transaction.
const AT_ONCE: usize = 1000;
const BREATH: Duration = Duration::from_millis(20);
const MOST_GROWN: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_that_grew_is_looked_at_once() {
        let grown = Grown::default();
        grown.note("a@x");
        grown.note("a@x");
        assert_eq!(grown.take(), ["a@x"]);
        assert!(grown.take().is_empty());
    }
}
