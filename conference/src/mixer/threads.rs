//! The mixer's threads: each owns whole conferences and ticks every 20 ms by one absolute clock.
//!
//! In    commands of the focus, in order, to the thread that its conference is pinned to.
//! Out   notices to the focus; sound. State the legs of the conferences of a thread; no lock, nothing shared.
//! Errors a tick that begins more than 5 ms late is counted; ticks that were missed are made up for, up to ten of them.
//! A conference ends when its last [`Mixer`] is dropped, a thread when the [`Mixers`] are.
//!
//! Real threads, since a clock must not wait for whatever else a runtime's thread does.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use rustix::process::setpriority_process;
use rustix::thread::gettid;
use tokio::sync::mpsc::{self, error::TryRecvError};

use super::legs::{Gate, LegId, Legs, Peer, Spoken};
use super::prompts::Prompt;
use super::tape::Tape;
use super::words::Word;
use crate::media::FRAME;
use crate::media::leg::{Negotiated, RtpLeg};
use crate::metrics::{Metrics, MixerMetrics};

/// What the focus tells its mixer.
pub enum Command {
    /// A leg joins.
    Add(LegId, Box<RtpLeg>, Gate, Peer),
    /// A leg leaves.
    Remove(LegId),
    /// A leg's gate opens or closes.
    SetGate(LegId, Gate),
    /// What a leg says is made louder or quieter by so many decibels.
    SetGain(LegId, i8),
    /// A leg's offer and answer changed.
    Renegotiate(LegId, Box<Negotiated>, Peer),
    /// A leg is told something.
    Prompt(LegId, Prompt),
    /// A leg is told this, instead of what it is being told; its end is told with this number.
    Tell(LegId, Vec<Word>, u64),
    /// What it is told stops.
    Hush(LegId),
    /// The mix is written down for who knows of it, or not any more.
    Record(Option<Tape>),
    /// The mix is written down, and every leg is told so, whenever it can be.
    Announce(Tape),
}

/// What the mixer tells the focus.
pub type Heard = Spoken;

/// The threads of all conferences.
pub struct Mixers {
    threads: Vec<Thread>,
    next: AtomicU64,
}

struct Thread {
    inbox: mpsc::Sender<(u64, Order)>,
    load: Arc<AtomicUsize>,
}

enum Order {
    Open(Weak<Handle>, mpsc::Sender<Heard>),
    Tell(Box<Command>),
}

/// The handle of one conference's mixer.
pub struct Mixer {
    handle: Arc<Handle>,
    inbox: mpsc::Sender<(u64, Order)>,
}

/// Says by its life that a conference is there.
struct Handle {
    conference: u64,
    load: Arc<AtomicUsize>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.load.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Mixers {
    /// Starts so many threads, at least one. A leg that sends nothing for `patience` is reported.
    pub fn start(count: usize, patience: Duration, metrics: &Metrics) -> std::io::Result<Self> {
        let start = |index: usize| {
            let (inbox, orders) = mpsc::channel(ORDERS);
            let worker = Worker { conferences: HashMap::new(), patience, metrics: metrics.mixer() };
            std::thread::Builder::new().name(format!("mixer-{index}")).spawn(move || {
                go_first();
                worker.run(orders);
            })?;
            Ok(Thread { inbox, load: Arc::default() })
        };
        let threads = (0..count.max(1)).map(start).collect::<std::io::Result<_>>()?;
        Ok(Self { threads, next: AtomicU64::new(0) })
    }

    /// Opens a conference on the thread that has fewest. What it hears goes to `notices`; a full queue drops all but
    /// what is said again.
    pub fn open(&self, notices: mpsc::Sender<Heard>) -> Option<Mixer> {
        let thread = self.threads.iter().min_by_key(|thread| thread.load.load(Ordering::Relaxed))?;
        thread.load.fetch_add(1, Ordering::Relaxed);
        let conference = self.next.fetch_add(1, Ordering::Relaxed);
        let handle = Arc::new(Handle { conference, load: Arc::clone(&thread.load) });
        let order = Order::Open(Arc::downgrade(&handle), notices);
        thread.inbox.try_send((conference, order)).ok()?;
        Some(Mixer { handle, inbox: thread.inbox.clone() })
    }
}

impl Mixer {
    /// Tells the mixer something; waits while its queue is full. False if it has stopped.
    pub async fn tell(&self, command: Command) -> bool {
        self.inbox.send((self.handle.conference, Order::Tell(Box::new(command)))).await.is_ok()
    }
}

/// What a thread owns.
struct Worker {
    conferences: HashMap<u64, Conference>,
    patience: Duration,
    metrics: MixerMetrics,
}

struct Conference {
    legs: Legs,
    handle: Weak<Handle>,
    notices: mpsc::Sender<Heard>,
}

impl Worker {
    fn run(mut self, mut orders: mpsc::Receiver<(u64, Order)>) {
        let mut due = Instant::now();
        loop {
            if self.legs() == 0 {
                // Nobody is there to tick for.
                self.conferences.retain(|_, conference| conference.handle.strong_count() > 0);
                let Some((conference, order)) = orders.blocking_recv() else { return };
                self.obey(conference, order);
                due = Instant::now();
            }
            loop {
                match orders.try_recv() {
                    Ok((conference, order)) => self.obey(conference, order),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            due = self.tick(due);
            self.metrics.legs_set(self.legs());
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    }

    fn legs(&self) -> usize {
        self.conferences.values().map(|conference| conference.legs.len()).sum()
    }

    /// One tick of all conferences, if it is due; when the next is.
    fn tick(&mut self, due: Instant) -> Instant {
        let now = Instant::now();
        let Some(late) = now.checked_duration_since(due) else { return due };
        self.metrics.lateness(late);
        self.conferences.retain(|_, conference| conference.handle.strong_count() > 0);
        for conference in self.conferences.values_mut() {
            let Conference { legs, notices, .. } = conference;
            let counters = legs.tick(now, |notice| notices.try_send(notice).is_ok());
            self.metrics.count(counters);
        }
        self.metrics.spent(now.elapsed());
        if late > FRAME * MOST_MADE_UP { now + FRAME } else { due + FRAME }
    }

    fn obey(&mut self, conference: u64, order: Order) {
        let now = Instant::now();
        let command = match order {
            Order::Open(handle, notices) => {
                let legs = Legs::new(self.patience);
                self.conferences.insert(conference, Conference { legs, handle, notices });
                return;
            }
            Order::Tell(command) => *command,
        };
        let Some(Conference { legs, notices, .. }) = self.conferences.get_mut(&conference) else { return };
        match command {
            Command::Add(id, leg, gate, peer) => legs.add(id, *leg, gate, peer),
            Command::Remove(id) => {
                if let Some(mut leg) = legs.remove(id) {
                    self.metrics.count(leg.take_counters());
                    // Nobody waits for it: it is for the log.
                    let _ = notices.try_send(Spoken::Gone(id, leg.quality(now)));
                }
            }
            Command::SetGate(id, gate) => legs.set_gate(id, gate, now),
            Command::SetGain(id, decibels) => legs.set_gain(id, decibels),
            Command::Renegotiate(id, negotiated, peer) => legs.renegotiate(id, *negotiated, peer, now),
            Command::Prompt(id, prompt) => legs.prompt(id, prompt),
            Command::Tell(id, words, serial) => legs.tell(id, words, serial),
            Command::Hush(id) => legs.hush(id),
            Command::Record(tape) => legs.record(tape),
            Command::Announce(tape) => legs.announce(tape),
        }
    }
}

/// Puts this thread before others that want its processor, where the system lets us (`LimitNICE`, see packaging/cusax.service).
fn go_first() {
    if let Err(error) = setpriority_process(Some(gettid()), NICE) {
        tracing::info!(%error, "the mixer has no priority: while other programs have its processor, sound may come late");
    }
}

/// As sound servers of desktops have it.
const NICE: i32 = -11;
/// Commands that may wait for a thread.
const ORDERS: usize = 1_024;
/// Ticks that are made up for when a thread was held up.
const MOST_MADE_UP: u32 = 10;
