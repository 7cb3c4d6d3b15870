//! What a session hears from outside while it serves its client: that it is to end, that its connection is lost, that another
//! connection takes it — XEP-0198 §5 (resumption).
//!
//! In    whoever ends sessions, the connection's writer, and other connections. Out the session's task, which is woken once.
//! State what was said and not heard. All three are asked about together between two elements: while nothing was said, that is one
//!       look at one word.
//! Errors a connection that does not get the session is told: a newer one waits, or the session is over.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use xmpp_core::stream::{StreamCondition, StreamError};

use super::connection::refuse;
use super::outlet::Broken;
use super::resume::Takeover;

/// The door of one session.
#[derive(Default)]
pub(crate) struct Door {
    /// Something was said.
    is_rung: AtomicBool,
    said: Mutex<Said>,
    rings: Notify,
}

#[derive(Default)]
struct Said {
    end: Option<StreamError>,
    broken: Option<Broken>,
    takeover: Option<Box<Takeover>>,
    is_over: bool,
}

/// What interrupts a session.
pub(super) enum Call {
    /// It is to end.
    End(StreamError),
    /// Its connection is of no more use.
    Broken(Broken),
    /// Another connection takes it.
    Takeover(Box<Takeover>),
}

impl Door {
    /// Ends the session, if it has not ended meanwhile. The last word counts.
    pub(crate) fn end(&self, why: StreamError) {
        self.say(|said| said.end = Some(why));
    }

    /// The same, if nobody else said so before.
    pub(crate) fn end_unless_ended(&self, why: StreamError) {
        self.say(|said| {
            said.end.get_or_insert(why);
        });
    }

    /// Why the session is to end, if it is.
    pub(crate) fn ended(&self) -> Option<StreamError> {
        self.lock().end.clone()
    }

    /// Whether the session is to end.
    pub(crate) fn is_ended(&self) -> bool {
        self.is_rung.load(Ordering::Acquire) && self.lock().end.is_some()
    }

    /// Waits until the session is to end. Cancel safe.
    pub(crate) async fn to_end(&self) {
        self.until(|said| said.end.as_ref().map(drop)).await;
    }

    /// Brings another connection. Of two that wait the newer is the one that lives (§5: an old stream ends for a new one).
    pub(crate) fn take_over(&self, takeover: Box<Takeover>) {
        let mut refused = None;
        self.say(|said| {
            refused = match said.is_over {
                true => Some((takeover, StreamCondition::Reset)),
                false => said.takeover.replace(takeover).map(|older| (older, StreamCondition::Conflict)),
            }
        });
        if let Some((takeover, why)) = refused {
            refuse(takeover.transport, why.into());
        }
    }

    /// The connection is of no more use.
    pub(super) fn breaks(&self, how: Broken) {
        self.say(|said| {
            said.broken.get_or_insert(how);
        });
    }

    /// Another connection serves: what was said of the one before is over.
    pub(super) fn connects(&self) {
        let mut said = self.lock();
        said.broken = None;
        self.is_rung.store(said.end.is_some() || said.takeover.is_some(), Ordering::Release);
    }

    pub(super) fn is_broken(&self) -> bool {
        self.is_rung.load(Ordering::Acquire) && self.lock().broken.is_some()
    }

    /// Waits until the connection is of no more use. Cancel safe.
    pub(super) async fn to_break(&self) {
        self.until(|said| said.broken.map(drop)).await;
    }

    /// What was said that a session with a connection hears, without waiting.
    pub(super) fn call(&self) -> Option<Call> {
        if !self.is_rung.load(Ordering::Acquire) {
            return None;
        }
        Self::first(&mut self.lock())
    }

    /// Waits for what interrupts a session. Cancel safe.
    pub(super) async fn called(&self) -> Call {
        self.until(Self::first).await
    }

    /// Waits for what a session without connection hears: another one, or none when it is to end. Cancel safe.
    pub(super) async fn taken(&self) -> Option<Box<Takeover>> {
        self.until(|said| match (said.takeover.take(), &said.end) {
            (Some(takeover), _) => Some(Some(takeover)),
            (None, Some(_)) => Some(None),
            (None, None) => None,
        })
        .await
    }

    /// The session is over: nobody takes it any more.
    pub(super) fn close(&self) {
        let mut said = self.lock();
        said.is_over = true;
        let takeover = said.takeover.take();
        drop(said);
        if let Some(takeover) = takeover {
            refuse(takeover.transport, StreamCondition::Reset.into());
        }
    }

    fn first(said: &mut Said) -> Option<Call> {
        let broken = said.broken.map(Call::Broken);
        // Who comes to a session that ends is told why.
        broken
            .or_else(|| said.takeover.take().map(Call::Takeover))
            .or_else(|| said.end.clone().map(Call::End))
    }

    fn say(&self, what: impl FnOnce(&mut Said)) {
        let mut said = self.lock();
        what(&mut said);
        self.is_rung.store(true, Ordering::Release);
        drop(said);
        self.rings.notify_waiters();
    }

    async fn until<T>(&self, mut find: impl FnMut(&mut Said) -> Option<T>) -> T {
        loop {
            let mut rings = std::pin::pin!(self.rings.notified());
            {
                let mut said = self.lock();
                if let Some(found) = find(&mut said) {
                    return found;
                }
                rings.as_mut().enable();
            }
            rings.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
