//! A queue between tasks, bounded in things and in their bytes, that holds no memory while it is empty: most sessions are idle.
//!
//! In    things, from any number of senders. Out the same in their order, as many at once as the reader wants.
//! State what waits, and who waits for it. Each thing has its size and no more: tokio's `mpsc` keeps a block of 32 places from its
//!       beginning.
//! Errors a queue that is full says so, or lets the sender wait; one whose reader is gone gives everything back.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;

/// What has a size.
pub(crate) trait Weighs {
    /// Bytes, about.
    fn weight(&self) -> usize;
}

/// A queue of so many things and bytes at most; what goes over in bytes is the last that it takes.
pub(crate) fn bounded<T: Weighs>(most: usize, bytes: usize) -> (Sender<T>, Receiver<T>) {
    let waiting =
        Waiting { things: VecDeque::new(), bytes: 0, reader: None, has_writers: false, is_closed: false };
    let (senders, most, bytes) = (AtomicUsize::new(1), most.max(1), bytes.max(1));
    let shared = Arc::new(Shared { waiting: Mutex::new(waiting), room: Notify::new(), senders, most, bytes });
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

/// Why something is not in a queue; it is given back.
#[derive(Debug)]
pub(crate) enum Unsent<T> {
    /// There is no room.
    Full(T),
    /// Nobody reads any more.
    Closed(T),
}

/// Who puts things in. The queue ends with the last one.
pub(crate) struct Sender<T>(Arc<Shared<T>>);

/// Who takes things out.
pub(crate) struct Receiver<T>(Arc<Shared<T>>);

struct Shared<T> {
    waiting: Mutex<Waiting<T>>,
    /// Rings when there is room again, if somebody waits for it.
    room: Notify,
    senders: AtomicUsize,
    most: usize,
    bytes: usize,
}

struct Waiting<T> {
    things: VecDeque<T>,
    /// Of all of them.
    bytes: usize,
    reader: Option<Waker>,
    has_writers: bool,
    is_closed: bool,
}

impl<T: Weighs> Sender<T> {
    /// Puts something in, if there is room.
    pub(crate) fn try_send(&self, thing: T) -> Result<(), Unsent<T>> {
        let mut waiting = self.0.lock();
        if waiting.is_closed {
            return Err(Unsent::Closed(thing));
        }
        if self.0.is_full(&waiting, self.0.bytes) {
            return Err(Unsent::Full(thing));
        }
        waiting.bytes += thing.weight();
        waiting.things.push_back(thing);
        let reader = waiting.reader.take();
        drop(waiting);
        if let Some(reader) = reader {
            reader.wake();
        }
        Ok(())
    }

    /// Puts something in, as soon as there is room. An error: nobody reads any more.
    pub(crate) async fn send(&self, thing: T) -> Result<(), T> {
        let mut rest = match self.try_send(thing) {
            Ok(()) => return Ok(()),
            Err(Unsent::Closed(thing)) => return Err(thing),
            Err(Unsent::Full(thing)) => thing,
        };
        loop {
            if !self.has_room(usize::MAX).await {
                return Err(rest);
            }
            match self.try_send(rest) {
                Ok(()) => return Ok(()),
                Err(Unsent::Closed(thing)) => return Err(thing),
                Err(Unsent::Full(thing)) => rest = thing,
            }
        }
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().things.is_empty()
    }

    /// Whether so many bytes wait for somebody who reads.
    pub(crate) fn has(&self, bytes: usize) -> bool {
        let waiting = self.0.lock();
        !waiting.is_closed && waiting.bytes >= bytes
    }

    /// Waits until there is room and fewer bytes than these wait; false when nobody reads any more.
    pub(crate) async fn has_room(&self, bytes: usize) -> bool {
        let bytes = bytes.min(self.0.bytes);
        loop {
            // In a box: seldom waited for, and part of what waits for it.
            let mut rings = Box::pin(self.0.room.notified());
            {
                let mut waiting = self.0.lock();
                if waiting.is_closed {
                    return false;
                }
                if !self.0.is_full(&waiting, bytes) {
                    return true;
                }
                waiting.has_writers = true;
                rings.as_mut().enable();
            }
            rings.await;
        }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.senders.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.0.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            let reader = self.0.lock().reader.take();
            if let Some(reader) = reader {
                reader.wake();
            }
        }
    }
}

impl<T: Weighs> Receiver<T> {
    /// Takes at least one thing and at most so many, a piece of bytes at once, and says how many; none when nothing more comes. Cancel safe.
    pub(crate) async fn recv_many(&mut self, into: &mut Vec<T>, most: usize) -> usize {
        std::future::poll_fn(|context| self.poll_many(context, into, most)).await
    }

    fn poll_many(&mut self, context: &Context<'_>, into: &mut Vec<T>, most: usize) -> Poll<usize> {
        let mut waiting = self.0.lock();
        let mut taken = 0;
        let is_of_piece = |thing: &&T| {
            let goes = taken < LARGEST_PIECE;
            taken += if goes { thing.weight() } else { 0 };
            goes
        };
        let count = waiting.things.iter().take(most).take_while(is_of_piece).count();
        if count == 0 {
            if waiting.is_closed || self.0.senders.load(Ordering::Acquire) == 0 {
                return Poll::Ready(0);
            }
            if !waiting.reader.as_ref().is_some_and(|reader| reader.will_wake(context.waker())) {
                waiting.reader = Some(context.waker().clone());
            }
            return Poll::Pending;
        }
        if into.is_empty() && count == waiting.things.len() {
            *into = std::mem::take(&mut waiting.things).into(); // its memory goes with it
        } else {
            into.extend(waiting.things.drain(..count));
        }
        waiting.bytes -= taken;
        let has_writers = std::mem::take(&mut waiting.has_writers);
        drop(waiting);
        if has_writers {
            self.0.room.notify_waiters();
        }
        Poll::Ready(count)
    }

    /// The next thing; none when nothing more comes. Cancel safe.
    pub(crate) async fn recv(&mut self) -> Option<T> {
        let mut one = Vec::new();
        self.recv_many(&mut one, 1).await;
        one.pop()
    }

    /// The next thing, if one is there.
    pub(crate) fn try_recv(&mut self) -> Option<T> {
        let mut waiting = self.0.lock();
        let thing = waiting.things.pop_front();
        waiting.bytes -= thing.as_ref().map_or(0, Weighs::weight);
        let has_writers = thing.is_some() && std::mem::take(&mut waiting.has_writers);
        drop(waiting);
        if has_writers {
            self.0.room.notify_waiters();
        }
        thing
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().things.is_empty()
    }

    /// Nothing more comes in; what is in is still there.
    pub(crate) fn close(&mut self) {
        let mut waiting = self.0.lock();
        waiting.is_closed = true;
        let has_writers = std::mem::take(&mut waiting.has_writers);
        drop(waiting);
        if has_writers {
            self.0.room.notify_waiters();
        }
    }

    /// Whether nothing more comes in.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.lock().is_closed || self.0.senders.load(Ordering::Acquire) == 0
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut waiting = self.0.lock();
        waiting.is_closed = true;
        waiting.bytes = 0;
        let rest = std::mem::take(&mut waiting.things);
        drop(waiting);
        drop(rest); // and not under the lock
        self.0.room.notify_waiters();
    }
}

impl<T> Shared<T> {
    fn is_full(&self, waiting: &Waiting<T>, bytes: usize) -> bool {
        waiting.things.len() >= self.most || waiting.bytes >= bytes
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes that are taken at once, but for the last of them.
const LARGEST_PIECE: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    impl Weighs for i32 {
        fn weight(&self) -> usize {
            0
        }
    }

    impl Weighs for &str {
        fn weight(&self) -> usize {
            self.len()
        }
    }

    #[tokio::test]
    async fn bytes_are_bounded_too_and_come_in_pieces() {
        let piece = "x".repeat(LARGEST_PIECE);
        let (sender, mut receiver) = bounded(99, 8);
        sender.try_send("12345").unwrap();
        sender.try_send("678").unwrap();
        assert!(matches!(sender.try_send("9"), Err(Unsent::Full("9"))));
        assert!(sender.has(8) && !sender.has(9));
        assert!(timeout(Duration::from_millis(20), sender.has_room(4)).await.is_err());
        assert_eq!(receiver.try_recv(), Some("12345"));
        assert!(sender.has_room(4).await && !sender.has(4));
        sender.try_send("what is larger goes, where there is room for a byte").unwrap();
        let mut got = Vec::new();
        assert_eq!(receiver.recv_many(&mut got, 9).await, 2);
        assert!(sender.has_room(1).await);
        let (sender, mut receiver) = bounded(99, usize::MAX);
        for _ in 0..3 {
            sender.try_send(piece.as_str()).unwrap();
        }
        assert_eq!(receiver.recv_many(&mut got, 9).await, 1);
        assert!(sender.has(2 * LARGEST_PIECE) && !sender.has(2 * LARGEST_PIECE + 1));
    }

    #[tokio::test]
    async fn things_come_in_their_order_and_leave_no_memory() {
        let (sender, mut receiver) = bounded(9, 9);
        for number in 0..5 {
            sender.try_send(number).unwrap();
        }
        let mut got = Vec::new();
        assert_eq!(receiver.recv_many(&mut got, 2).await, 2);
        assert_eq!(receiver.recv_many(&mut got, 9).await, 3);
        assert_eq!(got, [0, 1, 2, 3, 4]);
        sender.try_send(5).unwrap();
        assert_eq!((receiver.recv().await, receiver.try_recv()), (Some(5), None));
        assert_eq!(receiver.0.lock().things.capacity(), 0);
    }

    #[tokio::test]
    async fn who_finds_it_full_may_wait_and_goes_on_when_there_is_room_or_nobody_reads() {
        let (sender, mut receiver) = bounded(1, 1);
        sender.try_send(1).unwrap();
        assert!(matches!(sender.try_send(2), Err(Unsent::Full(2))));
        let other = sender.clone();
        let waiting = tokio::spawn(async move { other.send(3).await });
        assert!(timeout(Duration::from_millis(20), sender.has_room(usize::MAX)).await.is_err());
        assert_eq!(receiver.recv().await, Some(1));
        waiting.await.unwrap().unwrap();
        let other = sender.clone();
        let waiting = tokio::spawn(async move { other.send(4).await });
        tokio::task::yield_now().await;
        receiver.close();
        assert_eq!(waiting.await.unwrap(), Err(4));
        assert!(!sender.has_room(usize::MAX).await);
        assert!(matches!(sender.try_send(5), Err(Unsent::Closed(5))));
        assert_eq!((receiver.recv().await, receiver.recv().await), (Some(3), None));
    }

    #[tokio::test]
    async fn a_reader_that_waits_hears_of_things_and_of_the_end() {
        let (sender, mut receiver) = bounded(1, 1);
        let reading = tokio::spawn(async move {
            let first = receiver.recv().await;
            (first, receiver.recv().await, receiver.is_closed())
        });
        tokio::task::yield_now().await;
        sender.clone().try_send("a").unwrap();
        tokio::task::yield_now().await;
        drop(sender);
        assert_eq!(reading.await.unwrap(), (Some("a"), None, true));
    }
}
