//! What an archive has in one order, its user's clients get in the same — XEP-0313 §4.3.4 (synchronising by the last id), XEP-0359.
//!
//! In    the accounts that a message concerns. Out their turn, until it is dropped: when the message is in the archives and with the
//!       sessions. Different accounts do not wait for each other.
//! State one lock for each account that somebody has the turn of, or waits for.
//! Errors a turn that does not come in [`PATIENCE`] is done without: order is worth less than the message.

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::timeout;

/// Whose turn it is.
#[derive(Debug, Default)]
pub(crate) struct InOrder(Arc<DashMap<Box<str>, Arc<Mutex<()>>>>);

/// The turn of a message in one or two accounts.
#[derive(Debug)]
pub(crate) struct Turn {
    held: Vec<(Box<str>, OwnedMutexGuard<()>)>,
    all: InOrder,
}

impl InOrder {
    /// Waits until nobody else does a thing of this name, however long that takes: what has a bound on how many wait.
    pub(crate) async fn alone(&self, name: &str) -> Turn {
        let lock = Arc::clone(&self.0.entry(name.into()).or_default());
        Turn { held: vec![(name.into(), lock.lock_owned().await)], all: Self(Arc::clone(&self.0)) }
    }

    /// Waits for the turn of a message in these accounts. First come, first served.
    pub(crate) async fn turn(&self, mut accounts: Vec<&str>) -> Turn {
        // Whoever waits for two waits for them in one order, so that nobody waits in a circle.
        accounts.sort_unstable();
        accounts.dedup();
        let mut turn = Turn { held: Vec::with_capacity(accounts.len()), all: Self(Arc::clone(&self.0)) };
        for account in accounts {
            let lock = Arc::clone(&self.0.entry(account.into()).or_default());
            // Most wait for nobody, and look at no clock.
            let lock = match lock.try_lock_owned() {
                Ok(held) => {
                    turn.held.push((account.into(), held));
                    continue;
                }
                Err(_) => Arc::clone(&self.0.entry(account.into()).or_default()),
            };
            match Box::pin(timeout(PATIENCE, lock.lock_owned())).await {
                Ok(held) => turn.held.push((account.into(), held)),
                Err(_) => tracing::error!(account, "the message before this one is not delivered yet"),
            }
        }
        turn
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        for (account, held) in self.held.drain(..) {
            drop(held);
            self.all.0.remove_if(&account, |_, lock| Arc::strong_count(lock) == 1);
        }
    }
}

/// How long a turn is waited for: longer than the store is.
const PATIENCE: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn turns_come_in_the_order_in_which_they_are_asked_for_and_leave_nothing() {
        let order = Arc::new(InOrder::default());
        let first = order.turn(vec!["b", "a"]).await;
        let (said, mut heard) = tokio::sync::mpsc::unbounded_channel();
        for (number, accounts) in [(1, vec!["a"]), (2, vec!["a", "b"]), (3, vec!["b", "b"])] {
            let (order, said) = (Arc::clone(&order), said.clone());
            tokio::spawn(async move {
                let _turn = order.turn(accounts).await;
                said.send(number).unwrap();
            });
            tokio::task::yield_now().await;
        }
        let other = order.turn(vec!["c"]).await;
        assert!(heard.try_recv().is_err(), "others wait, and c does not");
        drop((first, other));
        let mut came =
            [heard.recv().await.unwrap(), heard.recv().await.unwrap(), heard.recv().await.unwrap()];
        assert!(came.iter().position(|it| *it == 1) < came.iter().position(|it| *it == 2), "{came:?}");
        came.sort_unstable();
        tokio::task::yield_now().await;
        assert_eq!((came, order.0.len()), ([1, 2, 3], 0));
    }
}
