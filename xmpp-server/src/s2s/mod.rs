//! Federation: streams to and from other servers — RFC 6120 §10.4, XEP-0220 (dialback), XEP-0288 (both ways).
//!
//! ```text
//! route ─ send ─▶ ways: (ours, theirs) ─┬─ link ─ resolve ─ connect ─ outbound ─▶ stream ═▶ another server
//!                                       └─ a stream of theirs that goes both ways ═▶
//! another server ═▶ inbound ─▶ stream ─ from_afar ─▶ route
//! ```
//!
//! In    stanzas for other domains, without waiting; connections of other servers.
//! Out   stanzas in order for each pair of domains; stanzas that nobody takes go back to their senders.
//! State the ways out, one queue a pair of domains; pairs that could not be joined lately.
//! Errors [`Returned`]: federation is off, the domain is denied, its queue is full, or it failed a moment ago.
//! Not here: pairs of ours on one stream (each has its own, as most servers do, since then each is
//! proven by certificate).

mod acks;
mod config;
mod connect;
mod dialback;
mod failure;
mod inbound;
mod lanes;
mod link;
mod outbound;
mod policy;
mod queue;
mod resolve;
mod stream;
mod troubles;
mod trust;
mod turns;
mod writer;

use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use prometheus::IntGauge;
use shared_model::{Domains, Spec};
use shared_runtime::names::Names;
use shared_runtime::tls::TlsPolicy;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use xmpp_core::stream::limits::StreamLimits;
use xmpp_core::stream::server::Pair;
use xmpp_core::{ErrorKind, Stanza, StanzaError};

pub(crate) use config::KEYS;
pub use config::{FederationConfig, Security};
pub(crate) use queue::Queue;
pub(crate) use writer::Writer;

use crate::Config;
use crate::half_open::HalfOpen;
use crate::queue::{Sender, Unsent};
use crate::server::{Server, tune};
use acks::Earlier;
use dialback::{Keys, MOST_QUESTIONS};
use failure::Failure;
use policy::Policy;
use troubles::Troubles;
use trust::Trust;
use turns::Turns;

pub(crate) const SPECS: &[Spec] = &[
    Spec::xep(220, "1.1.1").complete(),
    Spec::xep(185, "1.0").complete(),
    Spec::xep(288, "1.0.1")
        .complete()
        .note("takes keys of further domains that way, and sends none, as it may"),
    Spec::xep(178, "1.2").complete(),
];

/// All streams to and from other servers.
pub(crate) struct Federation {
    server: Weak<Server>,
    is_on: bool,
    config: FederationConfig,
    policy: Policy,
    names: Names,
    trust: Trust,
    keys: Keys,
    ways: DashMap<Pair, Way>,
    /// The pairs that each stream of others offered to take.
    offered: DashMap<u64, Vec<Pair>>,
    troubles: Troubles,
    half_open: HalfOpen,
    questions: Semaphore,
    turns: Turns,
    /// How far streams of others came.
    earlier: Earlier,
    /// What we take of one stream (XEP-0478).
    limits: StreamLimits,
}

/// What the federation is made of, before there is a server.
pub(crate) struct Ground {
    names: Names,
    trust: Trust,
    keys: Keys,
}

impl Ground {
    /// Reads the secret's file, if there is one. Nobody is asked anything.
    pub(crate) fn open(
        config: &FederationConfig,
        name_servers: &[SocketAddr],
        tls: &TlsPolicy,
        domains: &Domains,
    ) -> std::io::Result<Self> {
        let keys = Keys::open(config.secret_file.as_deref())?;
        Ok(Self { names: Names::new(name_servers), trust: Trust::new(tls, domains), keys })
    }
}

/// A queue, and whose it is.
struct Way {
    stanzas: Sender<Stanza>,
    /// The link or the stream that empties it.
    serial: u64,
}

/// Who serves a stream.
enum Side {
    /// A link of ours, for one pair.
    Ours { serial: u64, pair: Pair },
    /// Nobody but itself; what goes back by it is put in here.
    Theirs { serial: u64, back: Sender<Stanza> },
}

/// A stanza that goes to nobody, and what its sender is told.
pub(crate) type Returned = Box<(Stanza, StanzaError)>;

impl Federation {
    pub(crate) fn new(server: Weak<Server>, config: &Config, ground: Ground) -> Self {
        let Ground { names, trust, keys } = ground;
        let federation = &config.federation;
        Self {
            server,
            is_on: !config.s2s.is_empty() || !config.s2s_tls.is_empty(),
            config: federation.clone(),
            policy: Policy::new(&federation.allow, &federation.deny),
            names,
            trust,
            keys,
            ways: DashMap::new(),
            offered: DashMap::new(),
            troubles: Troubles::default(),
            half_open: HalfOpen::new(config.unproven_per_network, config.federation.unproven),
            questions: Semaphore::new(MOST_QUESTIONS),
            turns: Turns::default(),
            earlier: Earlier::default(),
            limits: StreamLimits { bytes: config.stanza_bytes as u64, idle: federation.idle.as_secs() },
        }
    }

    /// The server, while it is there.
    pub(crate) fn server(&self) -> Option<Arc<Server>> {
        self.server.upgrade()
    }

    /// Serves those who come to this listener.
    pub(crate) fn listen(server: &Arc<Server>, listener: TcpListener, is_direct: bool) {
        server.shutdown.spawn(inbound::accept(Arc::clone(server), listener, is_direct));
    }

    /// Puts a stanza into the queue for its domain; both its addresses are set, and `from` is ours.
    pub(crate) fn send(&self, stanza: Stanza) -> Result<(), Returned> {
        let (Some(from), Some(to)) = (&stanza.from, &stanza.to) else { return Ok(()) };
        let pair = Pair::new(from.domain(), to.domain());
        let back =
            |stanza, kind: ErrorKind, text: &str| Err(Box::new((stanza, StanzaError::because(kind, text))));
        let Some(server) = self.server.upgrade().filter(|_| self.is_on) else {
            return back(stanza, ErrorKind::RemoteServerNotFound, "this server does not federate");
        };
        if !self.policy.admits(&pair.theirs) {
            return back(stanza, ErrorKind::NotAllowed, "this server does not speak with that domain"); // §8.3.3.10
        }
        let many = self.ways.len() >= MOST_WAYS;
        // The map's lock is held from the look to the put, so that whoever empties a queue knows when it is the last.
        match self.ways.entry(pair) {
            Entry::Occupied(way) => match way.get().stanzas.try_send(stanza) {
                Ok(()) => Ok(()),
                Err(Unsent::Full(stanza) | Unsent::Closed(stanza)) => {
                    server.metrics.s2s_returned.inc();
                    back(stanza, ErrorKind::ResourceConstraint, "too much waits for that domain")
                }
            },
            Entry::Vacant(_) if many => back(stanza, ErrorKind::ResourceConstraint, "too many domains"),
            Entry::Vacant(place) => {
                if let Some(error) = self.troubles.of(place.key()) {
                    server.metrics.s2s_returned.inc();
                    return Err(Box::new((stanza, error)));
                }
                let (stanzas, mut queue) = Queue::new(self.config.queue, server.config.waiting_bytes);
                let by = stanza.from.as_ref().map(|from| from.bare_str().to_owned());
                queue.put_first(vec![stanza]);
                let serial = server.new_serial();
                self.begin(&server, (place.key().clone(), by.unwrap_or_default()), serial, queue);
                place.insert(Way { stanzas, serial });
                Ok(())
            }
        }
    }

    /// Begins a link for who wrote first.
    fn begin(&self, server: &Arc<Server>, (pair, by): (Pair, String), serial: u64, queue: Queue) {
        server.shutdown.spawn(link::run(Arc::clone(server), (pair, by), serial, queue));
    }

    /// A stream of another server on which the pair is proven takes what goes back, if nothing else does.
    fn offer(&self, pair: &Pair, serial: u64, stanzas: &Sender<Stanza>) {
        let Entry::Vacant(place) = self.ways.entry(pair.clone()) else { return };
        drop(place.insert(Way { stanzas: stanzas.clone(), serial }));
        let mut offered = self.offered.entry(serial).or_default();
        if !offered.contains(pair) {
            offered.push(pair.clone());
        }
    }

    /// Takes away every way of a stream, unless something waits in its queue. Whether there is none left.
    fn retire(&self, side: &Side) -> bool {
        let (Side::Ours { serial, .. } | Side::Theirs { serial, .. }) = side;
        // Each is looked at, whatever was found of the others.
        let kept = self.pairs(side).iter().filter(|pair| !self.retire_way(pair, *serial)).count();
        kept == 0
    }

    /// Whose ways may be a stream's.
    fn pairs(&self, side: &Side) -> Vec<Pair> {
        match side {
            Side::Ours { pair, .. } => vec![pair.clone()],
            Side::Theirs { serial, .. } => {
                self.offered.get(serial).map(|pairs| pairs.clone()).unwrap_or_default()
            }
        }
    }

    /// Takes away the way of a pair, unless something waits in its queue. Whether it is not this one's any more.
    fn retire_way(&self, pair: &Pair, serial: u64) -> bool {
        let is_empty = |way: &Way| way.stanzas.is_empty();
        self.ways.remove_if(pair, |_, way| way.serial == serial && is_empty(way));
        self.ways.get(pair).is_none_or(|way| way.serial != serial)
    }

    /// A stream that others' stanzas went by is over: what waits, and what follows, goes by links.
    fn inherit(&self, serial: u64, queue: Queue) {
        let (_, offered) = self.offered.remove(&serial).unwrap_or_default();
        let Some(server) = self.server.upgrade() else { return };
        let mut links = Vec::new();
        for pair in offered {
            if self.ways.get(&pair).is_none_or(|way| way.serial != serial) {
                continue;
            }
            let (stanzas, queue) = Queue::new(self.config.queue, server.config.waiting_bytes);
            let serial = server.new_serial();
            self.ways.insert(pair.clone(), Way { stanzas, serial });
            links.push((pair, serial, queue, Vec::new()));
        }
        for stanza in queue.drain() {
            let is_of = |pair: &Pair| {
                stanza.from.as_ref().is_some_and(|from| from.domain() == pair.ours)
                    && stanza.to.as_ref().is_some_and(|to| to.domain() == pair.theirs)
            };
            if let Some((.., waiting)) = links.iter_mut().find(|(pair, ..)| is_of(pair)) {
                waiting.push(stanza);
            }
        }
        for (pair, serial, mut queue, waiting) in links {
            queue.put_first(waiting);
            self.begin(&server, (pair, String::new()), serial, queue);
        }
    }

    /// No stream could be made: the way is gone, and for a while nobody tries again, unless it is our own fault.
    fn failed(&self, pair: &Pair, serial: u64, failure: &Failure) {
        if *failure != Failure::Crowded {
            self.troubles.add(pair, &failure.of_stanza());
        }
        self.ways.remove_if(pair, |_, way| way.serial == serial);
    }

    /// The other domain is there.
    fn recovered(&self, pair: &Pair) {
        self.troubles.clear(pair);
    }
}

/// Something that is counted while it is there.
pub(crate) struct Counted(IntGauge);

impl Counted {
    pub(crate) fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Pairs of domains with a queue.
const MOST_WAYS: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn streams_look_at_their_own_ways_alone_and_what_waits_keeps_its_way() {
        const OTHERS: u64 = 1_000;
        shared_runtime::tls::install_provider();
        let folder = std::env::temp_dir().join(format!("cusax-ways-{}", std::process::id()));
        let tls = TlsPolicy::open(&shared_runtime::tls::Config::default(), &folder, &[]).unwrap();
        let config = Config::default();
        let ground = Ground::open(&config.federation, &[], &tls, &Domains::new("x", [])).unwrap();
        let it = Federation::new(Weak::new(), &config, ground);
        std::fs::remove_dir_all(folder).unwrap();
        let (stanzas, _queue) = Queue::new(1, 1024);
        for n in 0..OTHERS {
            it.offer(&Pair::new("x", &format!("d{n}.example")), n, &stanzas);
        }
        let side = Side::Theirs { serial: OTHERS, back: stanzas.clone() };
        let own = [Pair::new("x", "a.example"), Pair::new("x", "b.example")];
        for pair in own.iter().chain(&own) {
            it.offer(pair, OTHERS, &stanzas);
        }
        it.offer(&Pair::new("x", "d0.example"), OTHERS, &stanzas); // which another has
        assert!(it.pairs(&side) == own && own.iter().all(|pair| it.ways.contains_key(pair)));
        assert!(it.retire(&side) && !own.iter().any(|pair| it.ways.contains_key(pair)));
        it.inherit(OTHERS, Queue::new(1, 1024).1);
        stanzas.try_send(Stanza::new(xmpp_core::Kind::Message, None)).unwrap();
        assert!(!it.retire(&Side::Ours { serial: 0, pair: Pair::new("x", "d0.example") }));
        assert!(
            it.retire(&Side::Ours { serial: 1, pair: Pair::new("x", "d0.example") }),
            "another has it by now"
        );
        assert_eq!((it.ways.len() as u64, it.offered.len() as u64), (OTHERS, OTHERS));
    }
}
