//! The store that forgets everything with the process: for tests, and for `cusax demo`.
//!
//! Each shape is one map behind one lock, held for the time of one operation and never over an await.

mod accounts;
mod archive;
mod bindings;
mod records;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Store;

/// An empty store.
pub(crate) fn store() -> Store {
    let (records, archive) = <(Arc<records::Records>, Arc<archive::Archive>)>::default();
    Store {
        accounts: Arc::new(accounts::Accounts::new(Arc::clone(&records), Arc::clone(&archive))),
        bindings: Arc::new(bindings::Bindings::default()),
        records,
        archive,
    }
}

/// Locks, and goes on with what is there if a holder panicked: every operation checks before it changes.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn keeps_the_contract() {
        crate::contract::run(&super::store()).await;
    }
}
