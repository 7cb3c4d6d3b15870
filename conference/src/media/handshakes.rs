//! Handshakes of telephones, which have ports of their own — RFC 5763 §5 (who says hello), §6.7.2 (the way through whatever is between),
//! RFC 5764 §3 (an association for each port).
//!
//! In    associations that begin, and what their legs hear of them. Out records of ours, and the keys when both sides are proved.
//! State the handshakes of all legs, as long as these hold them; at most [`ORDERS`] things wait.
//! Errors what comes while too much waits is lost, as in a net, and is said again. A handshake that comes to nothing has no
//!       keys: nothing is sent, and the leg ends for its silence; at once, if another certificate than the signalled one came.
//!
//! One thread does them all, so that no mixer waits for a signature; it ends with the last handle.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::sync::{Arc, Weak, mpsc};
use std::time::{Duration, Instant};

use super::dtls::{Dtls, Handshake, Identity, Shaken, Side};
use super::latch::is_somebody;
use super::web::{answer_pinhole, ask_pinhole};

/// The thread of all of them; clones share it.
#[derive(Clone)]
pub struct Handshakes {
    orders: SyncSender<Order>,
    identity: Arc<Identity>,
    next: Arc<AtomicU64>,
}

/// One association, as its leg has it.
pub(super) struct Association {
    id: u64,
    orders: SyncSender<Order>,
    news: Receiver<Shaken>,
    /// Says by its life that the leg is there.
    life: Option<Arc<()>>,
}

enum Order {
    Begin(u64, Box<Shaking>, Dtls),
    /// A datagram of this association came from there.
    Heard(u64, SocketAddr, Vec<u8>),
    /// A leg is gone.
    End,
}

struct Shaking {
    handshake: Option<Handshake>,
    socket: UdpSocket,
    /// Where the peer is.
    target: SocketAddr,
    news: mpsc::Sender<Shaken>,
    life: Weak<()>,
}

impl Handshakes {
    /// Starts the thread.
    pub fn start(identity: Arc<Identity>) -> std::io::Result<Self> {
        let (orders, inbox) = sync_channel(ORDERS);
        let ours = Arc::clone(&identity);
        std::thread::Builder::new().name("handshakes".to_owned()).spawn(move || run(&ours, &inbox))?;
        Ok(Self { orders, identity, next: Arc::default() })
    }

    /// Our fingerprint.
    pub fn fingerprint(&self) -> &str {
        &self.identity.fingerprint
    }

    /// Begins an association of whoever is at `target`, as far as we know; nothing if the system has no socket for it.
    pub(super) fn begin(&self, dtls: Dtls, socket: &UdpSocket, target: SocketAddr) -> Option<Association> {
        let ((sender, news), life) = (channel(), Arc::new(()));
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let socket = socket.try_clone().ok()?;
        let shaking = Shaking { handshake: None, socket, target, news: sender, life: Arc::downgrade(&life) };
        self.orders.try_send(Order::Begin(id, Box::new(shaking), dtls)).ok()?;
        Some(Association { id, orders: self.orders.clone(), news, life: Some(life) })
    }
}

#[cfg(test)]
impl Handshakes {
    /// Handshakes whose thread takes no orders before what is returned with them is called.
    pub(super) fn busy() -> (Self, impl FnOnce()) {
        let identity = Arc::new(Identity::new().unwrap());
        let (orders, inbox) = sync_channel(0);
        let ours = Arc::clone(&identity);
        let start = move || drop(std::thread::spawn(move || run(&ours, &inbox)));
        (Self { orders, identity, next: Arc::default() }, start)
    }
}

impl Association {
    /// Whether a datagram is about the association, and no packet of it (RFC 7983 §7).
    pub(super) fn is_meant(datagram: &[u8]) -> bool {
        matches!(datagram.first(), Some(0..=3 | 20..=63))
    }

    /// A datagram about it came.
    pub(super) fn hear(&self, datagram: &[u8], source: SocketAddr) {
        let _ = self.orders.try_send(Order::Heard(self.id, source, datagram.to_vec())); // lost, as in a net
    }

    /// What came of it since the last call.
    pub(super) fn news(&self) -> Option<Shaken> {
        self.news.try_iter().last()
    }
}

impl Drop for Association {
    fn drop(&mut self) {
        self.life = None;
        let _ = self.orders.try_send(Order::End); // who has no room has work, and looks by itself
    }
}

fn run(identity: &Identity, orders: &Receiver<Order>) {
    let (mut all, mut looked) = (HashMap::new(), Instant::now());
    loop {
        let is_waiting = all.values().any(Shaking::is_waiting);
        let order = match is_waiting {
            true => orders.recv_timeout(PATIENCE),
            false => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match order {
            Ok(order) => obey(&mut all, identity, order),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let now = Instant::now();
        if now.duration_since(looked) >= PATIENCE {
            looked = now;
            sweep(&mut all);
            all.values_mut().for_each(|shaking| shaking.look(now));
        }
    }
}

fn obey(all: &mut HashMap<u64, Shaking>, identity: &Identity, order: Order) {
    match order {
        Order::Begin(id, mut shaking, dtls) => {
            shaking.begin(identity, dtls);
            all.insert(id, *shaking);
        }
        Order::Heard(id, source, datagram) => {
            if let Some(shaking) = all.get_mut(&id) {
                shaking.hear(&datagram, source);
            }
        }
        Order::End => sweep(all),
    }
}

/// Forgets those whose leg is gone, with their sockets.
fn sweep(all: &mut HashMap<u64, Shaking>) {
    all.retain(|_, shaking| shaking.life.strong_count() > 0);
}

impl Shaking {
    fn begin(&mut self, identity: &Identity, dtls: Dtls) {
        let Self { socket, target, .. } = self;
        self.handshake = Handshake::new(identity, Some(dtls.theirs), dtls.side, Instant::now());
        match (&mut self.handshake, dtls.side) {
            (Some(handshake), Side::Active) => handshake.begin(|record| send(socket, record, *target)),
            // Their hello may come through what lets answers in alone.
            (Some(_), Side::Passive) => {
                ask_pinhole().iter().for_each(|check| send(socket, check, *target));
            }
            (None, _) => tracing::error!("a DTLS handshake could not be set up"),
        }
    }

    fn hear(&mut self, datagram: &[u8], source: SocketAddr) {
        if matches!(datagram.first(), Some(0..=3)) {
            return answer_pinhole(datagram, source)
                .iter()
                .for_each(|answer| send(&self.socket, answer, source));
        }
        let Self { handshake: Some(handshake), socket, .. } = self else { return };
        self.target = source;
        let shaken = handshake.hear(datagram, Instant::now(), |record| send(socket, record, source));
        if let Some(shaken) = shaken {
            let _ = self.news.send(shaken); // the leg may have gone
        }
    }

    /// Says again what was not answered.
    fn look(&mut self, now: Instant) {
        let Self { handshake: Some(handshake), socket, target, .. } = self else { return };
        handshake.timeout(now, |record| send(socket, record, *target));
    }

    /// Whether it has a clock.
    fn is_waiting(&self) -> bool {
        self.handshake.as_ref().is_some_and(|handshake| !handshake.is_done())
    }
}

fn send(socket: &UdpSocket, datagram: &[u8], target: SocketAddr) {
    if is_somebody(target) {
        // What cannot be sent is sent again when it is not answered.
        let _ = socket.send_to(datagram, target);
    }
}

/// How long is waited before timers are looked at.
const PATIENCE: Duration = Duration::from_millis(50);
/// Things that wait for the thread.
const ORDERS: usize = 1_024;
