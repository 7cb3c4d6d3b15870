//! Browsers' sound: one UDP port for all of them — RFC 7983 §7 (what a datagram is, by its first octet), RFC 8445 (ICE, as a full
//! agent or a lite one), RFC 5763 and RFC 5764 (keys by DTLS), RFC 9143 and RFC 5761 (all of a leg on one port).
//!
//! In    datagrams of all browsers; legs that begin and end.
//! Out   to each leg its packets, its keys and where it is; answers to checks and handshakes.
//! State legs by the names that checks carry, and by the addresses that proved themselves; at most [`addresses::MOST_ADDRESSES`] a leg.
//! Errors what is from no such address is dropped; a leg that does not read in time loses packets, as in a net.
//! A peer that answers no check for 30 s, or as a lite agent sees it sends none, has withdrawn its consent (RFC 7675 §5.1): nothing is
//! sent to it. As a full agent nothing but checks goes to an address before it answered one; hellos that are quicker than that wait,
//! at most [`MOST_EARLY`] of them.
//!
//! One thread reads the port and does the handshakes, so that no mixer waits for a signature; it ends with the last handle.

mod addresses;
mod agent;
mod ice;

pub use agent::{Role, Theirs};
pub use ice::Credentials;
pub(super) use ice::{answer_pinhole, ask_pinhole};

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use addresses::{Claim, has_room};
use agent::Agent;
use ice::{Check, Reply, Verdict};

use super::dtls::{Fingerprint, Handshake, Identity, Shaken, Side};
use super::rtcp;
use super::srtp::Crypto;

/// The port of all browsers.
pub struct WebPort {
    socket: Arc<UdpSocket>,
    local: SocketAddr,
    identity: Arc<Identity>,
    orders: Sender<Order>,
    is_full: bool,
}

/// Whom a leg waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Of its certificate.
    pub fingerprint: String,
    /// What it says of its checks.
    pub ice: Theirs,
    /// Whether we choose among its addresses: it was our offer.
    pub role: Role,
}

/// One browser's leg, as whoever mixes it has it.
pub struct WebWire {
    socket: Arc<UdpSocket>,
    local: SocketAddr,
    ours: Credentials,
    fingerprint: String,
    is_full: bool,
    random: fn() -> u64,
    orders: Sender<Order>,
    /// Where the port brings what comes, once it knows whose it is.
    begun: Option<mpsc::Sender<Event>>,
    inbox: mpsc::Receiver<Event>,
    target: Option<SocketAddr>,
}

/// Where a browser's pictures come.
pub struct WebPictures {
    pub(super) socket: Arc<UdpSocket>,
    pub(super) inbox: mpsc::Receiver<Event>,
}

/// What comes for a leg.
pub enum Event {
    /// A packet of RTP or RTCP, protected.
    Packet(Vec<u8>),
    /// Both sides are proved: with these keys.
    Keys(Crypto),
    /// Another certificate came than was signalled.
    Impostor,
    /// Where the peer is now, if it is anywhere.
    Target(Option<SocketAddr>),
}

enum Order {
    Begin {
        ours: Credentials,
        peer: Peer,
        events: mpsc::Sender<Event>,
        random: fn() -> u64,
    },
    /// Packets of this payload type of a leg, and its reports, go there, too.
    Pictures {
        name: String,
        payload_type: u8,
        events: mpsc::Sender<Event>,
    },
    /// The leg that began as the first is the second from now on.
    Renew(String, Credentials, Theirs),
    End(String),
}

impl WebPort {
    /// Binds the port and starts its thread. Of each leg so many pairs are checked at most; none: we are a lite agent.
    pub fn start(address: SocketAddr, pairs: Option<usize>) -> std::io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let socket = Arc::new(socket);
        let local = socket.local_addr()?;
        let identity =
            Identity::new().ok_or_else(|| std::io::Error::other("no certificate could be made"))?;
        let identity = Arc::new(identity);
        // Two orders for each leg, whose number the focus bounds: no more can wait.
        let (orders, inbox) = channel();
        let reader = Reader {
            socket: Arc::clone(&socket),
            identity: Arc::clone(&identity),
            legs: HashMap::new(),
            asked: BTreeSet::new(),
            addresses: HashMap::new(),
            renewed: HashMap::new(),
            pairs,
        };
        std::thread::Builder::new().name("web-media".to_owned()).spawn(move || reader.run(&inbox))?;
        Ok(Self { socket, local, identity, orders, is_full: pairs.is_some() })
    }

    /// Where the port is bound.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Our certificate.
    pub(crate) fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// Where the pictures of the leg that began with `first` come, from now on.
    pub fn pictures(&self, first: &Credentials, payload_type: u8) -> WebPictures {
        let (events, inbox) = mpsc::channel(PICTURES);
        // If the port's thread is gone, no pictures come.
        let _ = self.orders.send(Order::Pictures { name: first.name.clone(), payload_type, events });
        WebPictures { socket: Arc::clone(&self.socket), inbox }
    }

    /// New credentials for the leg that began with `first`, whose peer begins to check anew (RFC 8445 §9). Its DTLS stays.
    pub fn renew(&self, first: &Credentials, ours: &Credentials, theirs: &Theirs) {
        // If the port's thread is gone, nothing comes, and the leg ends for its silence.
        let _ = self.orders.send(Order::Renew(first.name.clone(), ours.clone(), theirs.clone()));
    }

    /// A leg that waits for its offer and answer.
    pub fn open(&self, random: fn() -> u64) -> WebWire {
        let (sender, inbox) = mpsc::channel(INBOX);
        WebWire {
            socket: Arc::clone(&self.socket),
            local: self.local,
            ours: Credentials::new(random),
            fingerprint: self.identity.fingerprint.clone(),
            is_full: self.is_full,
            random,
            orders: self.orders.clone(),
            begun: Some(sender),
            inbox,
            target: None,
        }
    }
}

impl WebWire {
    /// Where the port is bound.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Our credentials of this leg.
    pub fn ours(&self) -> &Credentials {
        &self.ours
    }

    /// Our fingerprint.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Whether we check as a full agent.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// Begins to listen for a browser. Only the first counts.
    pub fn begin(&mut self, peer: Peer) {
        if let Some(events) = self.begun.take() {
            let (ours, random) = (self.ours.clone(), self.random);
            // If the port's thread is gone, nothing comes, and the leg ends for its silence.
            let _ = self.orders.send(Order::Begin { ours, peer, events, random });
        }
    }

    /// The next thing that came; where the peer is, is remembered.
    pub(super) fn next(&mut self) -> Option<Event> {
        let event = self.inbox.try_recv().ok()?;
        if let Event::Target(target) = event {
            self.target = target;
        }
        Some(event)
    }

    /// Sends a protected packet to where the peer is; false if that is nowhere.
    pub(super) fn send(&self, packet: &[u8]) -> bool {
        self.target.is_some_and(|target| self.socket.send_to(packet, target).is_ok())
    }

    /// Where the peer is.
    pub(super) fn target(&self) -> Option<SocketAddr> {
        self.target
    }
}

impl Drop for WebWire {
    fn drop(&mut self) {
        // A port that is gone has forgotten it.
        let _ = self.orders.send(Order::End(self.ours.name.clone()));
    }
}

/// What the port's thread owns.
struct Reader {
    socket: Arc<UdpSocket>,
    identity: Arc<Identity>,
    legs: HashMap<String, Leg>,
    /// Which legs sent a check where: only from there an answer counts (RFC 8445 §7.2.5.2.1).
    asked: BTreeSet<(SocketAddr, String)>,
    /// Whose each address is that proved itself.
    addresses: HashMap<SocketAddr, Claim>,
    /// Under which name a leg began that has another now.
    renewed: HashMap<String, String>,
    /// Pairs of a leg that are checked at most.
    pairs: Option<usize>,
}

struct Leg {
    ours: Credentials,
    /// Those before, until a pair of the new ones is chosen: the peer goes on with what works (RFC 8445 §9).
    before: Option<Credentials>,
    handshake: Handshake,
    /// Our checks, if we are a full agent.
    agent: Option<Agent>,
    /// Where its checks went by its names of now.
    asked: HashSet<SocketAddr>,
    /// Records of addresses that did not consent yet.
    early: Vec<(SocketAddr, Vec<u8>)>,
    events: mpsc::Sender<Event>,
    /// The payload type of pictures, and where they go.
    pictures: Option<(u8, mpsc::Sender<Event>)>,
    keys: Option<Crypto>,
    /// Another certificate came, and there was no room to say so.
    is_impostor: bool,
    /// Addresses that proved themselves, the nominated one last.
    proved: Vec<SocketAddr>,
    target: Option<SocketAddr>,
    checked: Instant,
}

impl Reader {
    fn run(mut self, orders: &Receiver<Order>) {
        let mut datagram = [0; LARGEST];
        let mut looked = Instant::now();
        loop {
            // A timeout, or an error that an ICMP message caused, is nothing to read.
            let came = self.socket.recv_from(&mut datagram).ok();
            // What was ordered meanwhile holds for what came: a check may be as quick as the answer that asks for it.
            loop {
                match orders.try_recv() {
                    Ok(order) => self.obey(order),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            if let Some((length, source)) = came {
                self.hear(&datagram[..length], source, Instant::now());
            }
            if looked.elapsed() >= PATIENCE {
                looked = Instant::now();
                self.look(looked);
            }
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Begin { ours, peer, events, random } => {
                let (theirs, now) = (Fingerprint::parse(&peer.fingerprint), Instant::now());
                let Some(handshake) = Handshake::new(&self.identity, theirs, Side::Passive, now) else {
                    return tracing::error!("a DTLS handshake could not be set up");
                };
                let theirs = self.within(peer.ice);
                let agent = |most| Agent::new(peer.role, ours.clone(), &theirs, most, random, now);
                let leg = Leg {
                    agent: self.pairs.map(agent),
                    asked: HashSet::new(),
                    early: Vec::new(),
                    ours: ours.clone(),
                    before: None,
                    handshake,
                    events,
                    pictures: None,
                    keys: None,
                    is_impostor: false,
                    proved: Vec::new(),
                    target: None,
                    checked: now,
                };
                self.legs.insert(ours.name, leg);
            }
            Order::Pictures { name, payload_type, events } => {
                let Some(leg) = self.legs.get_mut(&name) else { return };
                let known = [leg.keys.map(Event::Keys), Some(Event::Target(leg.target))];
                // A new inbox has room.
                known.into_iter().flatten().for_each(|event| drop(events.try_send(event)));
                leg.pictures = Some((payload_type, events));
            }
            Order::Renew(first, ours, theirs) => {
                let theirs = self.within(theirs);
                let Some(leg) = self.legs.get_mut(&first) else { return };
                if let Some(agent) = &mut leg.agent {
                    agent.begin_anew(ours.clone(), &theirs, Instant::now());
                }
                for address in leg.asked.drain() {
                    self.asked.remove(&(address, first.clone()));
                }
                let before = std::mem::replace(&mut leg.ours, ours);
                self.renewed.insert(leg.ours.name.clone(), first);
                if let Some(oldest) = leg.before.replace(before) {
                    self.renewed.remove(&oldest.name);
                }
            }
            Order::End(name) => {
                let leg = self.legs.remove(&name);
                self.renewed.retain(|_, first| *first != name);
                for address in leg.iter().flat_map(|leg| &leg.asked) {
                    self.asked.remove(&(*address, name.clone()));
                }
                for address in leg.iter().flat_map(|leg| &leg.proved) {
                    // What another took since is theirs.
                    if self.addresses.get(address).is_some_and(|claim| claim.name == name) {
                        self.addresses.remove(address);
                    }
                }
            }
        }
    }

    /// RFC 7983 §7.
    fn hear(&mut self, datagram: &[u8], source: SocketAddr, now: Instant) {
        match datagram.first() {
            Some(0..=3) => match Reply::read(datagram) {
                Some(reply) => self.answered(&reply, source, now),
                None => self.check(datagram, source, now),
            },
            Some(20..=63) => {
                let Some(leg) = self.addresses.get(&source).and_then(|claim| self.legs.get_mut(&claim.name))
                else {
                    return;
                };
                match &leg.agent {
                    Some(agent) if !agent.is_valid(source) => {
                        if leg.early.len() < MOST_EARLY {
                            leg.early.push((source, datagram.to_vec()));
                        }
                    }
                    _ => leg.shake(&self.socket, datagram, source, now),
                }
            }
            Some(128..=191) => {
                if let Some(leg) = self.addresses.get(&source).and_then(|claim| self.legs.get(&claim.name)) {
                    leg.bring(datagram);
                }
            }
            _ => {}
        }
    }

    fn check(&mut self, datagram: &[u8], source: SocketAddr, now: Instant) {
        let Some(mut check) = Check::read(datagram) else { return };
        let (asked, is_nominated) = (check.name.clone(), check.is_nominated);
        let name = self.renewed.get(&asked).unwrap_or(&asked).clone();
        let Some(leg) = self.legs.get_mut(&name) else { return };
        let Some(password) = leg.password_of(&asked).map(str::to_owned) else { return };
        if !check.proves(&password) {
            return;
        }
        // A password proves whose check it is, not that it came from where it says: who may be in one call must not take
        // another's address by a forged source. An address that its owner does not prove any more is free.
        let owner = self.addresses.get(&source).filter(|claim| claim.name != name);
        if owner.is_some_and(|claim| now.duration_since(claim.checked) <= CONSENT) {
            return tracing::debug!("a check came from an address that is another leg's");
        }
        if !has_room(&mut leg.proved, &mut self.addresses, (&name, leg.target), source, now) {
            return;
        }
        let is_of_now = leg.ours.name == asked;
        let verdict = match &mut leg.agent {
            // What is checked by the names of before is answered, and asks for nothing more.
            Some(agent) if is_of_now => agent.hear(&check, source, now),
            _ => Verdict::Right,
        };
        let Some(answer) = check.answer(&password, source, verdict) else { return };
        if verdict == Verdict::Conflict {
            return send(&self.socket, &answer, source);
        }
        self.addresses.insert(source, Claim { name: name.clone(), checked: now });
        let is_old = leg.before.as_ref().is_some_and(|before| before.name == asked);
        if is_nominated && !is_old {
            leg.before = None;
        }
        send(&self.socket, &answer, source);
        if leg.agent.is_some() {
            return leg.go_on(&name, &mut self.asked, &self.socket, now);
        }
        leg.checked = now;
        // Until one is chosen, any that proved itself will do.
        if leg.target.is_none() || (is_nominated && !is_old && leg.target != Some(source)) {
            leg.target = Some(source);
            tell(leg, || Event::Target(leg.target));
        }
    }

    /// An answer to a check of ours.
    fn answered(&mut self, reply: &Reply, source: SocketAddr, now: Instant) {
        let is_theirs =
            |leg: &mut Leg| leg.agent.as_mut().is_some_and(|agent| agent.answered(reply, source, now));
        let from = self.asked.range((source, String::new())..).take_while(|(asked, _)| *asked == source);
        let mut names = from.map(|(_, name)| name);
        let name = names.find(|name| self.legs.get_mut(*name).is_some_and(is_theirs)).cloned();
        let Some(name) = name else { return };
        let owner = self.addresses.get(&source).filter(|claim| claim.name != name);
        let is_free = owner.is_none_or(|claim| now.duration_since(claim.checked) > CONSENT);
        let Some(leg) = self.legs.get_mut(&name).filter(|_| is_free) else { return };
        if !has_room(&mut leg.proved, &mut self.addresses, (&name, leg.target), source, now) {
            return;
        }
        self.addresses.insert(source, Claim { name: name.clone(), checked: now });
        leg.go_on(&name, &mut self.asked, &self.socket, now);
        let (ready, early) =
            std::mem::take(&mut leg.early).into_iter().partition(|(from, _)| *from == source);
        leg.early = early;
        let ready: Vec<(SocketAddr, Vec<u8>)> = ready;
        ready.iter().for_each(|(from, record)| leg.shake(&self.socket, record, *from, now));
    }

    /// What they say of themselves, without what we cannot send to.
    fn within(&self, mut theirs: Theirs) -> Theirs {
        let is_ipv4 = self.socket.local_addr().is_ok_and(|local| local.is_ipv4());
        theirs.candidates.retain(|(address, _)| {
            let ip = address.ip();
            ip.is_ipv4() == is_ipv4 && address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast()
        });
        theirs
    }

    /// What is due without a datagram.
    fn look(&mut self, now: Instant) {
        for (name, leg) in &mut self.legs {
            leg.go_on(name, &mut self.asked, &self.socket, now);
            leg.tell_impostor();
            if let Some(target) = leg.target {
                let socket = &self.socket;
                leg.handshake.timeout(now, |record| send(socket, record, target));
                if leg.agent.is_none() && now.duration_since(leg.checked) > CONSENT {
                    leg.target = None;
                    tell(leg, || Event::Target(None));
                }
            }
        }
    }
}

impl Leg {
    /// Sound is for who mixes, pictures for who forwards, and reports, which may be about either, for both.
    fn bring(&self, datagram: &[u8]) {
        let is_report = rtcp::is_rtcp(datagram);
        let kind = datagram.get(1).map(|octet| octet & 0x7f);
        let pictures = self.pictures.as_ref().filter(|(of, _)| is_report || kind == Some(*of));
        if let Some((_, pictures)) = pictures {
            put(pictures, Event::Packet(datagram.to_vec()));
        }
        if is_report || pictures.is_none() {
            put(&self.events, Event::Packet(datagram.to_vec()));
        }
    }

    /// Checks what is due, notes where, and sends to where that says.
    fn go_on(
        &mut self,
        name: &str,
        asked: &mut BTreeSet<(SocketAddr, String)>,
        socket: &UdpSocket,
        now: Instant,
    ) {
        let Some(agent) = &mut self.agent else { return };
        if let Some((address, check)) = agent.poll(now) {
            if self.asked.insert(address) {
                asked.insert((address, name.to_owned()));
            }
            send(socket, &check, address);
        }
        let target = agent.target();
        if self.target != target {
            self.target = target;
            tell(self, || Event::Target(target));
        }
    }

    fn shake(&mut self, socket: &UdpSocket, datagram: &[u8], source: SocketAddr, now: Instant) {
        match self.handshake.hear(datagram, now, |record| send(socket, record, source)) {
            Some(Shaken::Keys(keys)) => {
                self.keys = Some(keys);
                tell(self, || Event::Keys(keys));
            }
            Some(Shaken::Impostor) => self.is_impostor = true,
            None => {}
        }
        self.tell_impostor();
    }

    /// Nothing else ends the call: it is said until there is room.
    fn tell_impostor(&mut self) {
        self.is_impostor = self.is_impostor && self.events.try_send(Event::Impostor).is_err();
    }

    /// What proves checks that name the leg so.
    fn password_of(&self, name: &str) -> Option<&str> {
        let known = [Some(&self.ours), self.before.as_ref()].into_iter().flatten();
        known.filter(|ours| ours.name == name).map(|ours| ours.password.as_str()).next()
    }
}

fn tell(leg: &Leg, event: impl Fn() -> Event) {
    put(&leg.events, event());
    if let Some((_, pictures)) = &leg.pictures {
        put(pictures, event());
    }
}

fn put(inbox: &mpsc::Sender<Event>, event: Event) {
    // A full inbox is a leg that does not read: its packets are lost, as in a net.
    let _ = inbox.try_send(event);
}

fn send(socket: &UdpSocket, datagram: &[u8], target: SocketAddr) {
    // What cannot be sent is sent again when the peer asks again.
    let _ = socket.send_to(datagram, target);
}

/// How long is waited for a datagram before orders and timers are looked at.
const PATIENCE: Duration = Duration::from_millis(20);
/// Things that wait for a leg: over half a second of packets.
const INBOX: usize = 64;
/// Octets of a datagram that is looked at.
const LARGEST: usize = 2_048;
/// Packets of pictures that wait: about a fifth of a second of a quick sender.
const PICTURES: usize = 512;
/// Records that wait for an answer to a check.
const MOST_EARLY: usize = 8;
/// RFC 7675 §5.1.
const CONSENT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests;
