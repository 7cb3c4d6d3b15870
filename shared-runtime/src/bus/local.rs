//! The bus within one process.
//!
//! In    a fact, published without waiting.
//! Out   a clone of it for every subscription that existed then: at once after a pause, and within [`LINGER`] while facts come
//!       thick. To wake each listener for each fact cost a call more than its messages.
//! State the last [`DEPTH`] facts.
//! Errors none: a publisher is never slowed, a slow listener hears [`Heard::Missed`].

use std::time::Duration;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::Instant;

/// The publishing end; clones publish to the same listeners.
#[derive(Debug)]
pub struct Bus<F>(broadcast::Sender<F>);

/// The listening end.
#[derive(Debug)]
pub struct Subscription<F> {
    facts: broadcast::Receiver<F>,
    /// Nobody wakes the listener before.
    rests_until: Instant,
}

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
        Subscription { facts: self.0.subscribe(), rests_until: Instant::now() }
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
        let heard = match self.facts.try_recv() {
            // What is there already is no reason to rest anew.
            Ok(fact) => return Some(Heard::Fact(fact)),
            Err(TryRecvError::Lagged(missed)) => Err(RecvError::Lagged(missed)),
            Err(TryRecvError::Closed) => Err(RecvError::Closed),
            Err(TryRecvError::Empty) => {
                if Instant::now() < self.rests_until {
                    tokio::time::sleep_until(self.rests_until).await;
                }
                let heard = self.facts.recv().await;
                self.rests_until = Instant::now() + LINGER;
                heard
            }
        };
        match heard {
            Ok(fact) => Some(Heard::Fact(fact)),
            Err(RecvError::Lagged(missed)) => Some(Heard::Missed(missed)),
            Err(RecvError::Closed) => None,
        }
    }
}

/// How long a listener that was woken is not woken again.
const LINGER: Duration = Duration::from_millis(5);
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

    #[tokio::test(start_paused = true)]
    async fn who_was_woken_hears_together_what_came_since() {
        let bus = Bus::new();
        let mut listener = bus.subscribe();
        let began = Instant::now();
        let hearing = tokio::spawn(async move {
            let mut heard = Vec::new();
            while let Some(fact) = listener.next().await {
                heard.push((fact, began.elapsed()));
            }
            heard
        });
        for fact in 0..3 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            bus.publish(fact);
        }
        drop(bus);
        let heard = hearing.await.unwrap();
        let (facts, times): (Vec<_>, Vec<_>) = heard.into_iter().unzip();
        assert_eq!(facts, [0, 1, 2].map(Heard::Fact));
        assert_eq!(times[0], Duration::from_millis(1), "at once after a pause");
        assert!(times[1] >= times[0] + LINGER && times[1] == times[2], "{times:?}");
        assert!(times[2] < times[0] + LINGER * 2, "{times:?}");
    }

    #[tokio::test]
    async fn ends_with_the_last_publisher() {
        let bus = Bus::<u8>::new();
        let mut listener = bus.subscribe();
        drop(bus);
        assert_eq!(listener.next().await, None);
    }
}
