//! Who may look for another server now: name servers and hosts that do not answer hold sockets, and one account that writes to thousands
//! of domains may not hold up the others.
//!
//! State [`MOST`] turns, at most [`MOST_OF_ONE`] of them for who wrote first to each domain: an account, or a room.

use std::sync::Arc;

use dashmap::DashMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(super) struct Turns {
    all: Arc<Semaphore>,
    of_one: DashMap<Box<str>, Arc<Semaphore>>,
}

/// The turn of one link; dropping ends it.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    by: Box<str>,
    _own: Option<OwnedSemaphorePermit>,
    _of_all: Option<OwnedSemaphorePermit>,
}

impl Default for Turns {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(MOST)), of_one: DashMap::new() }
    }
}

impl Turns {
    /// A turn for who wrote first. Cancel safe.
    pub(super) async fn take(&self, by: &str) -> Turn<'_> {
        let own = Arc::clone(
            &*self.of_one.entry(by.into()).or_insert_with(|| Arc::new(Semaphore::new(MOST_OF_ONE))),
        );
        // From here on it is forgotten again, whatever becomes of the wait. Nobody closes a semaphore.
        let mut turn = Turn { turns: self, by: by.into(), _own: None, _of_all: None };
        turn._own = own.acquire_owned().await.ok();
        turn._of_all = Arc::clone(&self.all).acquire_owned().await.ok();
        turn
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self._own = None;
        // Whoever waits holds it, too.
        self.turns.of_one.remove_if(&self.by, |_, own| Arc::strong_count(own) == 1);
    }
}

/// Three sockets each.
const MOST: usize = 256;
/// A room with guests of many domains looks for all of them when it wakes.
const MOST_OF_ONE: usize = 32;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn who_writes_to_many_domains_holds_up_nobody_else_and_is_forgotten() {
        let turns = Turns::default();
        let mut taken = Vec::new();
        for _ in 0..MOST_OF_ONE {
            taken.push(turns.take("mallory@x").await);
        }
        let soon = Duration::from_millis(20);
        assert!(timeout(soon, turns.take("mallory@x")).await.is_err());
        assert!(timeout(soon, turns.take("alice@x")).await.is_ok());
        taken.pop();
        assert!(timeout(soon, turns.take("mallory@x")).await.is_ok());
        taken.clear();
        assert!(turns.of_one.is_empty());
        assert_eq!(turns.all.available_permits(), MOST);
    }
}
