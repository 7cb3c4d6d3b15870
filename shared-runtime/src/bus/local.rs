//! The bus within one process.
//!
//! In    a fact, published without waiting.
//! Out   a clone of it for every subscription that existed then.
//! State the last [`DEPTH`] facts.
//! Errors none: a publisher is never slowed, a slow listener hears [`Heard::Missed`].

use tokio::sync::broadcast;

/// The publishing end; clones publish to the same listeners.
#[derive(Debug)]
pub struct Bus<F>(broadcast::Sender<F>);

/// The listening end.
#[derive(Debug)]
pub struct Subscription<F>(broadcast::Receiver<F>);

/// What a listener hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard<F> {
    /// The next fact.
    Fact(F),
    /// So many facts were dropped before this listener read them; it should take a snapshot of what it follows.
    Missed(u64),
}

impl<F: Clone> Bus<F> {
    /// A bus that nobody listens to yet.
    pub fn new() -> Self {
        Self(broadcast::Sender::new(DEPTH))
    }

    /// Tells everybody who listens. Never waits.
    pub fn publish(&self, fact: F) {
        // An error says that nobody listens, which is no concern of the publisher.
        let _ = self.0.send(fact);
    }

    /// Hears every fact from now on.
    pub fn subscribe(&self) -> Subscription<F> {
        Subscription(self.0.subscribe())
    }
}

impl<F: Clone> Default for Bus<F> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F> Clone for Bus<F> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<F: Clone> Subscription<F> {
    /// Waits for the next fact; `None` when the last publisher is gone. Cancel safe.
    pub async fn next(&mut self) -> Option<Heard<F>> {
        match self.0.recv().await {
            Ok(fact) => Some(Heard::Fact(fact)),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Heard::Missed(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

/// Facts that a listener may lag behind.
const DEPTH: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_listener_is_told_what_it_missed() {
        let bus = Bus::new();
        let mut slow = bus.subscribe();
        for fact in 0..DEPTH + 3 {
            bus.publish(fact);
        }
        assert_eq!(slow.next().await, Some(Heard::Missed(3)));
        assert_eq!(slow.next().await, Some(Heard::Fact(3)));
    }

    #[tokio::test]
    async fn ends_with_the_last_publisher() {
        let bus = Bus::<u8>::new();
        let mut listener = bus.subscribe();
        drop(bus);
        assert_eq!(listener.next().await, None);
    }
}
