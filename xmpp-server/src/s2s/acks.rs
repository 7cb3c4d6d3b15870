//! What was sent to another server and is not acknowledged — XEP-0198 §4 (acks), §5 (what an earlier stream handled).
//!
//! ```text
//! off ─ ask ─▶ asked ─ enabled ─▶ on ─ a stanza ─▶ waits ─ ack ─▶ done
//! held ─ the count of the stream before ─▶ ask: what it lacks comes first
//!   └─── the stream before goes on ──────▶ on: what it lacks is sent again
//! ```
//!
//! In    stanzas as they are written; acks, and what the other side knows of an earlier stream.
//! Out   words for the writer; what waits when the stream ends.
//! State the queue of what waits, as long as the queue that it came from; the writer takes no more while it is full.
//! Errors [`TooHigh`]: an ack of more than was sent.
//!
//! No stanza is sent before the other side has said how it knows the stream, so that there is always something to ask for. Between
//! servers a lost connection is followed by another one. Who gave the last stream an id is asked how much of it was
//! handled, and gets the rest; what went back on it waits a moment for the asking, which says how much of that was. Of what nobody can tell, presence is sent again, for that changes nothing, and senders of messages
//! and requests learn that it is not known whether they arrived: nothing is lost in silence, and nothing comes twice.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dashmap::DashMap;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};
use xmpp_core::stream::management::{self, TooHigh, Unacked};
use xmpp_core::{ErrorKind, Kind, Stanza, StanzaError};

use super::queue::Queue;
use crate::route;
use crate::server::Server;

/// What others know their earlier streams by, and how much of each was handled: a bounded number of the last ones.
#[derive(Default)]
pub(super) struct Earlier {
    counts: DashMap<String, Arc<Count>>,
    order: Mutex<VecDeque<String>>,
}

/// How much of a stream of another server is handled.
pub(super) struct Count {
    /// The domains that it speaks for.
    theirs: Vec<String>,
    /// Another stream asks for the count: this one is to end.
    pub(super) stop: Notify,
    handled: watch::Sender<Option<u32>>,
    /// What the other side had of ours when it lost the stream, once another one says so.
    told: watch::Sender<Option<u32>>,
}

impl Earlier {
    /// A stream that speaks for these domains is known as `id`.
    pub(super) fn begin(&self, id: &str, theirs: Vec<String>) -> Arc<Count> {
        let (handled, told) = (watch::Sender::new(None), watch::Sender::new(None));
        let count = Arc::new(Count { theirs, stop: Notify::new(), handled, told });
        self.counts.insert(id.to_owned(), Arc::clone(&count));
        let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        order.push_back(id.to_owned());
        if order.len() > MOST_EARLIER
            && let Some(oldest) = order.pop_front()
        {
            self.counts.remove(&oldest);
        }
        count
    }

    /// Ends a stream that one of these domains had, of which it handled so many stanzas of ours, and tells how much we did.
    pub(super) async fn end(&self, id: &str, theirs: &[String], h: u32) -> Option<u32> {
        let count = self.counts.get(id).map(|count| Arc::clone(&count))?;
        if !count.theirs.iter().any(|domain| theirs.contains(domain)) {
            return None;
        }
        count.told.send_replace(Some(h));
        count.stop.notify_one();
        let mut handled = count.handled.subscribe();
        let ended = timeout(ENDING, handled.wait_for(Option::is_some)).await;
        ended.ok()?.ok().and_then(|handled| *handled)
    }
}

impl Count {
    /// The stream is over.
    pub(super) fn end(&self, handled: u32) {
        self.handled.send_replace(Some(handled));
    }

    /// What the other side had of ours, if it says so soon: who lost a stream that carried something makes another.
    pub(super) async fn told(&self) -> Option<u32> {
        let mut told = self.told.subscribe();
        let told = timeout(TELLING, told.wait_for(Option::is_some)).await;
        told.ok()?.ok().and_then(|told| *told)
    }
}

/// What is counted on one stream.
pub(crate) struct Acks {
    inner: Mutex<Inner>,
    changed: Notify,
    most: usize,
}

struct Inner {
    phase: Phase,
    unacked: Unacked<Stanza>,
    /// When an ack was asked for that did not come.
    asked: Option<Instant>,
    /// Whether any came.
    is_acked: bool,
    /// Whether the other side was ever asked to count.
    has_asked: bool,
}

enum Phase {
    Off,
    /// Nothing is sent before the other side says what it has.
    Held,
    /// The other side is to be asked to count, and gets these first.
    Ask(Vec<Stanza>),
    /// It was asked.
    Asked,
    /// These words, which it asked for, begin it.
    Begin(String),
    /// What waits is sent again.
    Again,
    On,
}

/// What is left of a stream.
pub(super) struct Left {
    pub(super) unacked: Unacked<Stanza>,
    /// How the other side knows the stream, and how many stanzas of its own we had handled.
    pub(super) known_as: Option<(String, u32)>,
    /// What was never written.
    pub(super) unsent: Vec<Stanza>,
    /// Whether it acked anything.
    pub(super) is_acked: bool,
    /// Whether it never said what it has of the stream before, so that nothing was sent.
    pub(super) is_stuck: bool,
    /// How it asks for what we handled of it, if it is the other side's stream.
    pub(super) count: Option<Arc<Count>>,
}

impl Acks {
    /// Counts nothing yet; at most so many stanzas are to wait.
    pub(super) fn new(most: usize) -> Self {
        let inner = Inner {
            phase: Phase::Off,
            unacked: Unacked::default(),
            asked: None,
            is_acked: false,
            has_asked: false,
        };
        Self { inner: Mutex::new(inner), changed: Notify::new(), most: most.max(1) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing is sent until it is known what of these arrived.
    pub(super) fn hold(&self, unacked: Unacked<Stanza>) {
        let mut inner = self.inner();
        (inner.phase, inner.unacked, inner.asked) = (Phase::Held, unacked, Some(Instant::now()));
        inner.has_asked = true;
    }

    /// The other side offers to count.
    pub(super) fn ask(&self) {
        let mut inner = self.inner();
        (inner.phase, inner.asked) = (Phase::Ask(Vec::new()), Some(Instant::now()));
        inner.has_asked = true;
    }

    /// The other side counts from here on.
    pub(super) fn enabled(&self) {
        let mut inner = self.inner();
        if matches!(inner.phase, Phase::Asked) {
            (inner.phase, inner.asked) = (Phase::On, None);
            self.changed.notify_one();
        }
    }

    /// The other side asked for it: stanzas count from these words on.
    pub(super) fn begin(&self, words: String) {
        let mut inner = self.inner();
        if matches!(inner.phase, Phase::Off) {
            inner.phase = Phase::Begin(words);
            self.changed.notify_one();
        }
    }

    /// The other side tells how much of the stream before it handled, or that it does not count. What nobody can tell of any
    /// more, and may not be sent again, is given back.
    pub(super) fn told(&self, h: Option<u32>) -> Result<Vec<Stanza>, TooHigh> {
        let mut inner = self.inner();
        let is_held = matches!(inner.phase, Phase::Held);
        if let Some(h) = h.filter(|_| is_held) {
            inner.is_acked |= !inner.unacked.acknowledge(h)?.is_empty();
        }
        let waiting = std::mem::take(&mut inner.unacked).take();
        inner.asked = None;
        self.changed.notify_one();
        if !is_held {
            inner.phase = Phase::Off; // what was written is as it was without acks
            return Ok(Vec::new());
        }
        let (first, unsure) = match h {
            Some(_) => (waiting, Vec::new()),
            None => sorted(waiting),
        };
        (inner.phase, inner.asked) = (Phase::Ask(first), Some(Instant::now()));
        Ok(unsure)
    }

    /// The stream before goes on.
    pub(super) fn resumed(&self, h: u32) -> Result<(), TooHigh> {
        let mut inner = self.inner();
        if matches!(inner.phase, Phase::Held) {
            inner.is_acked |= !inner.unacked.acknowledge(h)?.is_empty();
            inner.unacked.reconnected();
            (inner.phase, inner.asked) = (Phase::Again, None);
            self.changed.notify_one();
        }
        Ok(())
    }

    /// What is to be written before anything else.
    pub(super) fn turn(&self, queue: &mut Queue) -> Vec<u8> {
        let mut inner = self.inner();
        match std::mem::replace(&mut inner.phase, Phase::On) {
            Phase::On => Vec::new(),
            Phase::Begin(words) => words.into_bytes(),
            Phase::Ask(first) => {
                queue.put_first(first);
                inner.phase = Phase::Asked;
                management::ENABLE.as_bytes().to_vec()
            }
            Phase::Again => inner.unacked.waiting().flat_map(|stanza| stanza.to_foreign_bytes()).collect(),
            still @ (Phase::Off | Phase::Held | Phase::Asked) => {
                inner.phase = still;
                Vec::new()
            }
        }
    }

    /// Whether stanzas may be taken from the queue.
    pub(super) fn may_take(&self) -> bool {
        let inner = self.inner();
        !matches!(inner.phase, Phase::Held | Phase::Asked) && inner.unacked.len() < self.most
    }

    /// Something changed that the writer waits for.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// These are about to be written. Whether they wait for an ack from now on, and whether to ask for one behind them.
    pub(super) fn count(&self, stanzas: &[Stanza], now: Instant) -> (bool, bool) {
        let mut inner = self.inner();
        if !matches!(inner.phase, Phase::On) {
            return (false, false);
        }
        for stanza in stanzas {
            inner.unacked.push(stanza.clone());
        }
        let asks = inner.unacked.ask();
        if asks {
            inner.asked = Some(now);
        }
        (true, asks)
    }

    /// The other side has so many.
    pub(super) fn acknowledge(&self, h: u32) -> Result<(), TooHigh> {
        let mut inner = self.inner();
        if !matches!(inner.phase, Phase::On) {
            // Nobody asked, and so there is nothing to have.
            let was_none_sent = matches!(inner.phase, Phase::Off | Phase::Begin(_)) && !inner.has_asked;
            return if h > 0 && was_none_sent { Err(TooHigh { h, sent: 0 }) } else { Ok(()) };
        }
        let free = inner.unacked.acknowledge(h)?;
        inner.is_acked |= !free.is_empty();
        if !inner.unacked.is_asked() {
            inner.asked = None;
        }
        // There may be room again, or more to ask for.
        self.changed.notify_one();
        Ok(())
    }

    /// Since when an ack is owed.
    pub(super) fn owed_since(&self) -> Option<Instant> {
        self.inner().asked
    }

    /// Whether the other side counts, or is to say whether it does.
    pub(super) fn is_begun(&self) -> bool {
        !matches!(self.inner().phase, Phase::Off)
    }

    /// The other side offered to count and does not say that it does: what it is sent is as it was without acks. Whether
    /// that was so.
    pub(super) fn go_without(&self) -> bool {
        let mut inner = self.inner();
        let was_asked = matches!(inner.phase, Phase::Asked);
        if was_asked {
            (inner.phase, inner.asked) = (Phase::Off, None);
            self.changed.notify_one();
        }
        was_asked
    }

    /// Whether stanzas wait for acks.
    pub(super) fn is_waiting(&self) -> bool {
        !self.inner().unacked.is_empty()
    }

    /// The stream is over.
    pub(super) fn take(&self, known_as: Option<(String, u32)>) -> Left {
        let mut inner = self.inner();
        let unacked = std::mem::take(&mut inner.unacked);
        let phase = std::mem::replace(&mut inner.phase, Phase::Off);
        let is_stuck = matches!(phase, Phase::Held | Phase::Asked);
        let unsent = if let Phase::Ask(first) = phase { first } else { Vec::new() };
        Left { unacked, known_as, unsent, is_acked: inner.is_acked, is_stuck, count: None }
    }
}

/// What may be sent again though it may have arrived, and what may not.
fn sorted(stanzas: Vec<Stanza>) -> (Vec<Stanza>, Vec<Stanza>) {
    stanzas.into_iter().partition(|stanza| stanza.kind == Kind::Presence)
}

/// What went back on a lost stream of another server: what is to be sent again, for it is told, or changes nothing.
pub(super) async fn lost(server: &Server, left: &mut Left) -> Vec<Stanza> {
    let h = match left.count.take().filter(|_| !left.unacked.is_empty()) {
        Some(count) => tokio::select! {
            h = count.told() => h,
            () = server.shutdown.begun() => None,
        },
        None => None,
    };
    // An ack of more than was sent tells nothing.
    match h.map(|h| left.unacked.acknowledge(h)) {
        Some(Ok(_)) => left.unacked.take(),
        _ => unknown(server, left.unacked.take()),
    }
}

/// Nobody can tell any more whether these arrived. What may be sent again is given back.
pub(super) fn unknown(server: &Server, stanzas: Vec<Stanza>) -> Vec<Stanza> {
    let why =
        "the connection was lost before the other server acknowledged this: it may have arrived, or not";
    let error = StanzaError::because(ErrorKind::RemoteServerTimeout, why);
    let (again, unsure) = sorted(stanzas);
    for stanza in unsure {
        let is_of_room = stanza.from.as_ref().is_some_and(|from| from.domain() == server.rooms_domain);
        // A room would take the error for the end of whom it spoke to (XEP-0045 §18.1.2), who is there as soon as there is
        // another connection. What it said to all is in its archive.
        if is_of_room && stanza.is_type("groupchat") {
            continue;
        }
        server.metrics.s2s_returned.inc();
        match is_of_room && stanza.kind == Kind::Message {
            true => {
                route::give_back(server, &stanza, &StanzaError::because(ErrorKind::ResourceConstraint, why))
            }
            false => route::give_back(server, &stanza, &error),
        }
    }
    again
}

/// Streams of others whose count is remembered.
const MOST_EARLIER: usize = 4096;
/// How long a stream may take to end for another.
const ENDING: Duration = Duration::from_secs(5);
/// How long what went back on a stream of the other side, which is lost, waits for it to say what it has.
const TELLING: Duration = Duration::from_secs(3);
