//! Stanzas of another server on their way to whom they are for — RFC 6120 §10.1 (order between any two entities), XEP-0198 §4 (`h`).
//!
//! In    stanzas in the order of their stream, and what became of them.
//! Out   each routed: what is for one account, room or domain in order, and nobody waits for what is for others. How many of the first
//!       are handled, without a gap: as many as the other side may forget.
//! State [`LANES`] lines, each a task that is begun when there is something for it; [`MOST`] stanzas in all of them.
//! Errors beyond these the stream is slowed. A stanza at which the code fails is told of and counted: sent again, it would fail again.

use std::collections::{BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use shared_model::Pending;
use shared_runtime::Shutdown;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::Instrument;
use xmpp_core::Stanza;

use crate::route;
use crate::server::Server;

/// What is done with a stanza.
type Work = Arc<dyn Fn(Stanza) -> Pending<'static, ()> + Send + Sync>;
/// Where stanzas of a line wait.
type Line = mpsc::Sender<(u64, Stanza)>;

/// What of one stream is under way.
pub(super) struct Lanes {
    work: Work,
    shutdown: Shutdown,
    lines: Vec<Option<Line>>,
    done: mpsc::Sender<u64>,
    told: mpsc::Receiver<u64>,
    /// Stanzas that came.
    came: u64,
    /// The first so many are handled.
    handled: u64,
    /// Others that are.
    ahead: BTreeSet<u64>,
    /// After how many stanzas the other side asked for an ack, and has none.
    asked: VecDeque<u64>,
    /// From where on it counts, and what it had counted before.
    counts: Option<(u64, u32)>,
}

impl Lanes {
    pub(super) fn new(server: &Arc<Server>) -> Self {
        let of = Arc::clone(server);
        let work = move |stanza| -> Pending<'static, ()> {
            let server = Arc::clone(&of);
            Box::pin(async move { route::from_afar(&server, stanza).await })
        };
        Self::doing(Arc::new(work), server.shutdown.clone())
    }

    fn doing(work: Work, shutdown: Shutdown) -> Self {
        let (done, told) = mpsc::channel(MOST);
        Self {
            work,
            shutdown,
            lines: Vec::new(),
            done,
            told,
            came: 0,
            handled: 0,
            ahead: BTreeSet::new(),
            asked: VecDeque::new(),
            counts: None,
        }
    }

    /// Hands a stanza on. Waits while there are too many under way.
    pub(super) async fn put(&mut self, stanza: Stanza) {
        while self.under_way() >= MOST as u64 {
            self.one().await;
        }
        let number = self.came;
        self.came += 1;
        // A line ends with its stream alone, and has a place for all that may be under way.
        let _ = self.line_of(&stanza).send((number, stanza)).await;
    }

    fn under_way(&self) -> u64 {
        self.came - self.handled - self.ahead.len() as u64
    }

    /// A stanza came of which nothing is left to be done.
    pub(super) fn pass_over(&mut self) {
        self.note(self.came);
        self.came += 1;
    }

    /// A stanza was handled. Cancel safe.
    pub(super) async fn one(&mut self) {
        if let Some(done) = self.told.recv().await {
            self.note(done);
        }
    }

    /// What is under way is handled, if it is in time.
    pub(super) async fn end(&mut self) {
        self.lines.clear();
        let rest = async {
            while self.handled < self.came {
                self.one().await;
            }
        };
        if timeout(PATIENCE, rest).await.is_err() {
            tracing::warn!(
                "a stream ends before what it brought is handled; the other server may send it again"
            );
        }
    }

    /// From now on the other side counts, and goes on from there.
    pub(super) fn count_from(&mut self, before: u32) {
        self.counts = Some((self.came, before));
    }

    /// How many are handled since it counts; `None` if it does not.
    pub(super) fn h(&self) -> Option<u32> {
        let (since, before) = self.counts?;
        #[expect(clippy::cast_possible_truncation, reason = "XEP-0198 §4: modulo 2^32")]
        let handled = self.handled.saturating_sub(since) as u32;
        Some(before.wrapping_add(handled))
    }

    /// The other side asks for an ack: due when all that came before it is handled.
    pub(super) fn ask(&mut self) {
        if self.asked.len() < MOST_ASKED {
            self.asked.push_back(self.came);
        }
    }

    /// The ack that is due, if one is.
    pub(super) fn due(&mut self) -> Option<u32> {
        let mut is_due = false;
        while self.asked.front().is_some_and(|after| *after <= self.handled) {
            self.asked.pop_front();
            is_due = true;
        }
        self.h().filter(|_| is_due)
    }

    fn note(&mut self, done: u64) {
        self.ahead.insert(done);
        while self.ahead.remove(&self.handled) {
            self.handled += 1;
        }
    }

    fn line_of(&mut self, stanza: &Stanza) -> &Line {
        let mut hasher = DefaultHasher::new();
        stanza.to.as_ref().map(|to| to.bare_str()).hash(&mut hasher);
        let at = (hasher.finish() % LANES as u64) as usize;
        self.lines.resize(LANES, None);
        self.lines[at].get_or_insert_with(|| begin(&self.work, &self.shutdown, self.done.clone()))
    }
}

/// Begins a line, which ends when nobody writes to it and it is empty: what it took is handled, whatever becomes of the stream.
fn begin(work: &Work, shutdown: &Shutdown, done: mpsc::Sender<u64>) -> Line {
    let (line, mut stanzas) = mpsc::channel::<(u64, Stanza)>(MOST);
    let work = Arc::clone(work);
    let works = async move {
        while let Some((number, stanza)) = stanzas.recv().await {
            // Whoever waits behind it, and the whole stream, would wait for ever.
            if AssertUnwindSafe(work(stanza)).catch_unwind().await.is_err() {
                tracing::error!("a stanza of another server could not be handled: a fault of this service");
            }
            let _ = done.send(number).await; // the stream may be gone
        }
    };
    shutdown.spawn(works.in_current_span());
    line
}

/// Lines of one stream.
const LANES: usize = 32;
/// Stanzas of one stream that are under way or wait for it.
const MOST: usize = 64;
/// Acks that the other side may wait for; what it asks beyond them the next ones answer.
const MOST_ASKED: usize = 64;
/// How long what is under way may take once its stream is over.
const PATIENCE: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::sync::Semaphore;
    use xmpp_core::{Jid, Kind};

    use super::*;

    fn message(to: &str, id: usize) -> Stanza {
        let mut stanza = Stanza::new(Kind::Message, None);
        stanza.to = Some(to.parse::<Jid>().unwrap());
        stanza.id = Some(id.to_string());
        stanza
    }

    /// Whom something was for, and its id.
    type Seen = Arc<Mutex<Vec<(String, String)>>>;

    /// Lanes in which whoever is slow waits for the gate; what was done, in order.
    fn gated(gate: &Arc<Semaphore>) -> (Lanes, Seen) {
        let (gate, seen) = (Arc::clone(gate), Seen::default());
        let noted = Arc::clone(&seen);
        let work = move |stanza: Stanza| -> Pending<'static, ()> {
            let (gate, noted) = (Arc::clone(&gate), Arc::clone(&noted));
            Box::pin(async move {
                let to = stanza.to.unwrap().bare_str().to_owned();
                if to.starts_with("slow") {
                    gate.acquire().await.unwrap().forget();
                }
                noted.lock().unwrap().push((to, stanza.id.unwrap()));
            })
        };
        (Lanes::doing(Arc::new(work), Shutdown::new()), seen)
    }

    #[tokio::test]
    async fn nobody_waits_for_what_is_for_others_and_what_is_counted_has_no_gap() {
        let gate = Arc::new(Semaphore::new(0));
        let (mut lanes, seen) = gated(&gate);
        lanes.put(message("early@x", 0)).await;
        lanes.count_from(7);
        for id in 1..=3 {
            lanes.put(message("slow@x/r", id)).await;
        }
        lanes.put(message("quick@x", 4)).await;
        lanes.ask();
        while !seen.lock().unwrap().iter().any(|(to, _)| to == "quick@x") {
            lanes.one().await;
        }
        assert_eq!((lanes.h(), lanes.due()), (Some(7), None), "the first of them is not handled");
        gate.add_permits(1);
        while lanes.handled < 2 {
            lanes.one().await;
        }
        assert_eq!((lanes.h(), lanes.due()), (Some(8), None));
        gate.add_permits(2);
        while lanes.handled < 5 {
            lanes.one().await;
        }
        assert_eq!((lanes.due(), lanes.due()), (Some(11), None), "it asked once");
    }

    #[tokio::test]
    async fn a_stanza_at_which_the_code_fails_holds_nobody_up() {
        let work = |stanza: Stanza| -> Pending<'static, ()> {
            Box::pin(async move { assert_ne!(stanza.id.as_deref(), Some("0"), "as a fault would") })
        };
        let mut lanes = Lanes::doing(Arc::new(work), Shutdown::new());
        for id in 0..2 {
            lanes.put(message("one@x", id)).await;
        }
        let handled = async {
            while lanes.handled < 2 {
                lanes.one().await;
            }
        };
        timeout(Duration::from_secs(5), handled).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_for_one_is_done_in_order_and_there_is_an_end_of_what_waits() {
        let gate = Arc::new(Semaphore::new(0));
        let (mut lanes, seen) = gated(&gate);
        for id in 0..MOST {
            lanes.put(message("slow@x", id)).await;
        }
        assert!(timeout(Duration::from_millis(50), lanes.put(message("quick@x", MOST))).await.is_err());
        gate.add_permits(MOST);
        lanes.end().await;
        let done: Vec<String> = seen.lock().unwrap().iter().map(|(_, id)| id.clone()).collect();
        assert_eq!(done, (0..MOST).map(|id| id.to_string()).collect::<Vec<_>>());
        assert_eq!(lanes.handled, MOST as u64);
    }
}
