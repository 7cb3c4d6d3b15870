//! What waits for one domain — RFC 6120 §10.1 (in order): bounded, and handed from stream to stream.
//!
//! In    stanzas, from any task, without waiting. Out batches, in order; what a stream could not write comes first again.
//! Errors a full queue gives the stanza back.

use std::collections::VecDeque;

use xmpp_core::Stanza;

use crate::queue::{self, Receiver, Sender, Weighs};

/// The end of a queue that streams read.
pub(crate) struct Queue {
    inbox: Receiver<Stanza>,
    /// Taken out already, and not written.
    again: VecDeque<Stanza>,
}

impl Weighs for Stanza {
    fn weight(&self) -> usize {
        self.size()
    }
}

impl Queue {
    /// A queue for so many stanzas and bytes.
    pub(crate) fn new(most: usize, bytes: usize) -> (Sender<Stanza>, Self) {
        let (sender, inbox) = queue::bounded(most, bytes);
        (sender, Self { inbox, again: VecDeque::new() })
    }

    /// Puts stanzas before all others.
    pub(crate) fn put_first(&mut self, stanzas: Vec<Stanza>) {
        for stanza in stanzas.into_iter().rev() {
            self.again.push_front(stanza);
        }
    }

    /// Waits for stanzas. None: there will be none. Cancel safe.
    pub(crate) async fn next(&mut self, batch: &mut Vec<Stanza>) -> usize {
        if self.again.is_empty() {
            return self.inbox.recv_many(batch, LARGEST_BATCH).await;
        }
        let count = self.again.len().min(LARGEST_BATCH);
        batch.extend(self.again.drain(..count));
        count
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.again.is_empty() && self.inbox.is_empty()
    }

    /// Takes no more, and gives what waits.
    pub(crate) fn drain(mut self) -> Vec<Stanza> {
        self.inbox.close();
        let mut all: Vec<Stanza> = self.again.into();
        while let Some(stanza) = self.inbox.try_recv() {
            all.push(stanza);
        }
        all
    }
}

/// Stanzas in one write.
const LARGEST_BATCH: usize = 64;

#[cfg(test)]
mod tests {
    use xmpp_core::Kind;

    use super::*;

    #[tokio::test]
    async fn keeps_the_order_whatever_was_not_written() {
        let (sender, mut queue) = Queue::new(4, 1024);
        let stanza = |id: &str| Stanza::new(Kind::Message, None).with_id(Some(id));
        for id in ["1", "2", "3", "4"] {
            sender.try_send(stanza(id)).unwrap();
        }
        assert!(sender.try_send(stanza("5")).is_err(), "it is full");
        let mut batch = Vec::new();
        assert_eq!(queue.next(&mut batch).await, 4);
        sender.try_send(stanza("5")).unwrap();
        queue.put_first(batch.split_off(1));
        let mut batch = Vec::new();
        assert_eq!(queue.next(&mut batch).await, 3);
        queue.put_first(batch);
        assert!(!queue.is_empty());
        let ids: Vec<_> = queue.drain().into_iter().filter_map(|stanza| stanza.id).collect();
        assert_eq!(ids.concat(), "2345");
        assert!(sender.try_send(stanza("6")).is_err(), "nobody reads it any more");
    }
}
