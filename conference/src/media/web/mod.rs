//! Browsers' sound: one UDP port for all of them — RFC 7983 §7 (what a datagram is, by its first octet), RFC 8445 (ICE, as a lite
//! agent), RFC 5763 and RFC 5764 (keys by DTLS), RFC 8843 and RFC 5761 (all of a leg on one port).
//!
//! In    datagrams of all browsers; legs that begin and end.
//! Out   to each leg its packets, its keys and where it is; answers to checks and handshakes.
//! State legs by the names that checks carry, and by the addresses that proved themselves; at most [`MOST_ADDRESSES`] a leg.
//! Errors what is from no such address is dropped; a leg that does not read in time loses packets, as in a net.
//! A peer that sends no check for 30 s has withdrawn its consent (RFC 7675 §5.1): nothing is sent to it until the next.
//!
//! One thread reads the port and does the handshakes, so that no mixer waits for a signature; it ends with the last handle.

mod dtls;
mod ice;

pub use dtls::Identity;
pub use ice::Credentials;

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use dtls::Handshake;
use ice::Check;

use super::srtp::Crypto;

/// The port of all browsers.
pub struct WebPort {
    socket: Arc<UdpSocket>,
    local: SocketAddr,
    identity: Arc<Identity>,
    orders: Sender<Order>,
}

/// One browser's leg, as whoever mixes it has it.
pub struct WebWire {
    socket: Arc<UdpSocket>,
    local: SocketAddr,
    ours: Credentials,
    fingerprint: String,
    orders: Sender<Order>,
    /// Where the port brings what comes, once it knows whose it is.
    begun: Option<mpsc::Sender<Event>>,
    inbox: mpsc::Receiver<Event>,
    target: Option<SocketAddr>,
}

/// What comes for a leg.
pub(super) enum Event {
    /// A packet of RTP or RTCP, protected.
    Packet(Vec<u8>),
    /// Both sides are proved: with these keys.
    Keys(Crypto),
    /// Where the peer is now, if it is anywhere.
    Target(Option<SocketAddr>),
}

enum Order {
    Begin {
        ours: Credentials,
        fingerprint: String,
        events: mpsc::Sender<Event>,
    },
    /// The leg that began as the first is the second from now on.
    Renew(String, Credentials),
    End(String),
}

impl WebPort {
    /// Binds the port and starts its thread.
    pub fn start(address: SocketAddr) -> std::io::Result<Self> {
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
            addresses: HashMap::new(),
            renewed: HashMap::new(),
        };
        std::thread::Builder::new().name("web-media".to_owned()).spawn(move || reader.run(&inbox))?;
        Ok(Self { socket, local, identity, orders })
    }

    /// New credentials for the leg that began with `first`, whose peer begins to check anew (RFC 8445 §9). Its DTLS stays.
    pub fn renew(&self, first: &Credentials, random: fn() -> u64) -> Credentials {
        let ours = Credentials::new(random);
        // If the port's thread is gone, nothing comes, and the leg ends for its silence.
        let _ = self.orders.send(Order::Renew(first.name.clone(), ours.clone()));
        ours
    }

    /// A leg that waits for its offer and answer.
    pub fn open(&self, random: fn() -> u64) -> WebWire {
        let (sender, inbox) = mpsc::channel(INBOX);
        WebWire {
            socket: Arc::clone(&self.socket),
            local: self.local,
            ours: Credentials::new(random),
            fingerprint: self.identity.fingerprint.clone(),
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

    /// Begins to listen for a browser whose certificate has this fingerprint. Only the first counts.
    pub fn begin(&mut self, fingerprint: String) {
        if let Some(events) = self.begun.take() {
            // If the port's thread is gone, nothing comes, and the leg ends for its silence.
            let _ = self.orders.send(Order::Begin { ours: self.ours.clone(), fingerprint, events });
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
    /// Whose each address is that proved itself.
    addresses: HashMap<SocketAddr, Claim>,
    /// Under which name a leg began that has another now.
    renewed: HashMap<String, String>,
}

/// Whose an address is.
struct Claim {
    name: String,
    /// When they last proved it.
    checked: Instant,
}

struct Leg {
    ours: Credentials,
    /// Those before, until a pair of the new ones is chosen: the peer goes on with what works (RFC 8445 §9).
    before: Option<Credentials>,
    handshake: Handshake,
    events: mpsc::Sender<Event>,
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
            Order::Begin { ours, fingerprint, events } => {
                let Some(handshake) = Handshake::new(&self.identity, &fingerprint) else {
                    return tracing::error!("a DTLS handshake could not be set up");
                };
                let (proved, target, checked) = (Vec::new(), None, Instant::now());
                let (name, before) = (ours.name.clone(), None);
                let leg = Leg { ours, before, handshake, events, proved, target, checked };
                self.legs.insert(name, leg);
            }
            Order::Renew(first, ours) => {
                let Some(leg) = self.legs.get_mut(&first) else { return };
                let before = std::mem::replace(&mut leg.ours, ours);
                self.renewed.insert(leg.ours.name.clone(), first);
                if let Some(oldest) = leg.before.replace(before) {
                    self.renewed.remove(&oldest.name);
                }
            }
            Order::End(name) => {
                let leg = self.legs.remove(&name);
                self.renewed.retain(|_, first| *first != name);
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
            Some(0..=3) => self.check(datagram, source, now),
            Some(20..=63) => {
                let Some(leg) = self.addresses.get(&source).and_then(|claim| self.legs.get_mut(&claim.name))
                else {
                    return;
                };
                let socket = &self.socket;
                let keys = leg.handshake.hear(datagram, now, |record| send(socket, record, source));
                if let Some(keys) = keys {
                    tell(leg, Event::Keys(keys));
                }
            }
            Some(128..=191) => {
                if let Some(leg) = self.addresses.get(&source).and_then(|claim| self.legs.get(&claim.name)) {
                    tell(leg, Event::Packet(datagram.to_vec()));
                }
            }
            _ => {}
        }
    }

    fn check(&mut self, datagram: &[u8], source: SocketAddr, now: Instant) {
        let Some(check) = Check::read(datagram) else { return };
        let (asked, is_nominated) = (check.name.clone(), check.is_nominated);
        let name = self.renewed.get(&asked).unwrap_or(&asked).clone();
        let Some(leg) = self.legs.get_mut(&name) else { return };
        let Some(password) = leg.password_of(&asked) else { return };
        let Some(answer) = check.answer(password, source) else { return };
        // A password proves whose check it is, not that it came from where it says: who may be in one call must not take
        // another's address by a forged source. An address that its owner does not prove any more is free.
        let owner = self.addresses.get(&source).filter(|claim| claim.name != name);
        if owner.is_some_and(|claim| now.duration_since(claim.checked) <= CONSENT) {
            return tracing::debug!("a check came from an address that is another leg's");
        }
        if !leg.proved.contains(&source) {
            if leg.proved.len() >= MOST_ADDRESSES {
                return;
            }
            leg.proved.push(source);
        }
        self.addresses.insert(source, Claim { name, checked: now });
        leg.checked = now;
        let is_old = leg.before.as_ref().is_some_and(|before| before.name == asked);
        if is_nominated && !is_old {
            leg.before = None;
        }
        // Until one is chosen, any that proved itself will do.
        if leg.target.is_none() || (is_nominated && !is_old && leg.target != Some(source)) {
            leg.target = Some(source);
            tell(leg, Event::Target(leg.target));
        }
        send(&self.socket, &answer, source);
    }

    /// What is due without a datagram.
    fn look(&mut self, now: Instant) {
        for leg in self.legs.values_mut() {
            if let Some(target) = leg.target {
                let socket = &self.socket;
                leg.handshake.timeout(now, |record| send(socket, record, target));
                if now.duration_since(leg.checked) > CONSENT {
                    leg.target = None;
                    tell(leg, Event::Target(None));
                }
            }
        }
    }
}

impl Leg {
    /// What proves checks that name the leg so.
    fn password_of(&self, name: &str) -> Option<&str> {
        let known = [Some(&self.ours), self.before.as_ref()].into_iter().flatten();
        known.filter(|ours| ours.name == name).map(|ours| ours.password.as_str()).next()
    }
}

fn tell(leg: &Leg, event: Event) {
    // A full inbox is a leg that does not read: its packets are lost, as in a net.
    let _ = leg.events.try_send(event);
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
const MOST_ADDRESSES: usize = 16;
/// RFC 7675 §5.1.
const CONSENT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::dtls::Identity;
    use super::*;
    use crate::media::srtp::Srtp;

    struct Browser {
        socket: UdpSocket,
        port: SocketAddr,
        identity: Identity,
        handshake: Handshake,
    }

    impl Browser {
        fn new(port: SocketAddr) -> Self {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
            let identity = Identity::new().unwrap();
            let handshake = Handshake::client(&identity);
            Self { socket, port, identity, handshake }
        }

        fn send(&self, datagram: &[u8]) {
            self.socket.send_to(datagram, self.port).unwrap();
        }

        /// What comes within a moment.
        fn receive(&self) -> Option<Vec<u8>> {
            let mut datagram = [0; LARGEST];
            let length = self.socket.recv(&mut datagram).ok()?;
            Some(datagram[..length].to_vec())
        }

        /// As a browser does: what is not answered is sent again.
        fn shake(&mut self) -> Crypto {
            let (socket, port) = (&self.socket, self.port);
            self.handshake.begin(|record| drop(socket.send_to(record, port)));
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_secs(20) {
                let datagram = self.receive();
                let (socket, port) = (&self.socket, self.port);
                let send = |record: &[u8]| drop(socket.send_to(record, port));
                let keys = match datagram {
                    Some(datagram) => self.handshake.hear(&datagram, Instant::now(), send),
                    None => {
                        self.handshake.timeout(Instant::now(), send);
                        None
                    }
                };
                if let Some(keys) = keys {
                    return keys;
                }
            }
            panic!("no keys");
        }
    }

    fn until<T>(wire: &mut WebWire, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
        let begin = Instant::now();
        loop {
            match wire.next() {
                Some(event) => {
                    if let Some(found) = wanted(event) {
                        return found;
                    }
                }
                None => std::thread::yield_now(),
            }
            assert!(begin.elapsed() < Duration::from_secs(20));
        }
    }

    #[test]
    fn browsers_on_one_port_prove_themselves_and_get_keys_of_their_own() {
        let port = WebPort::start("127.0.0.1:0".parse().unwrap()).unwrap();
        let mut legs: Vec<(WebWire, Browser, Crypto, Crypto)> = (0..3)
            .map(|_| {
                let (mut wire, mut browser) = (port.open(shared_runtime::random), Browser::new(port.local));
                wire.begin(browser.identity.fingerprint.clone());
                let ours = wire.ours().clone();
                // The port hears of the leg a little later than the browser may.
                while wire.target().is_none() {
                    browser.send(&ice::tests::check(&ours.name, &ours.password, true));
                    wire.next();
                }
                let there = browser.shake();
                let here = until(&mut wire, |event| match event {
                    Event::Keys(keys) => Some(keys),
                    _ => None,
                });
                (wire, browser, here, there)
            })
            .collect();
        for (wire, browser, here, there) in &mut legs {
            assert_eq!((here.ours, here.theirs), (there.theirs, there.ours));
            assert_eq!(wire.target(), browser.socket.local_addr().ok());
            let (mut ours, mut theirs) = (Srtp::new(*here).unwrap(), Srtp::new(*there).unwrap());
            let packet = [0x80, 111, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9, 1, 2, 3];
            browser.send(&theirs.seal(&packet).unwrap());
            let came = until(wire, |event| match event {
                Event::Packet(packet) => Some(packet),
                _ => None,
            });
            assert_eq!(ours.open(&came).unwrap(), packet.as_slice());
            assert!(wire.send(&ours.seal(&packet).unwrap()));
        }
    }

    #[test]
    fn who_does_not_know_the_password_gets_nothing_and_brings_nothing() {
        let port = WebPort::start("127.0.0.1:0".parse().unwrap()).unwrap();
        let (mut wire, browser, stranger) =
            (port.open(shared_runtime::random), Browser::new(port.local), Browser::new(port.local));
        wire.begin(browser.identity.fingerprint.clone());
        let ours = wire.ours().clone();
        stranger.send(&ice::tests::check(&ours.name, "guessed", true));
        stranger.send(&[0x80, 111, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9]);
        stranger.send(b"\x16\xfe\xff");
        while wire.target().is_none() {
            browser.send(&ice::tests::check(&ours.name, &ours.password, false));
            wire.next();
        }
        assert_eq!(wire.target(), browser.socket.local_addr().ok());
        stranger.socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        assert!(stranger.socket.recv(&mut [0; 100]).is_err(), "no answer");
        assert!(!matches!(wire.next(), Some(Event::Packet(_))));
    }

    #[test]
    fn a_leg_is_checked_anew_and_keeps_its_way_until_another_is_chosen() {
        let port = WebPort::start("127.0.0.1:0".parse().unwrap()).unwrap();
        let (old, new) = (Browser::new(port.local), Browser::new(port.local));
        let mut wire = port.open(shared_runtime::random);
        wire.begin(old.identity.fingerprint.clone());
        let first = wire.ours().clone();
        let check = |from: &Browser, ours: &Credentials, is_nominated| {
            from.send(&ice::tests::check(&ours.name, &ours.password, is_nominated));
            from.receive()
        };
        while check(&old, &first, true).is_none() {}
        let mut renewed = first.clone();
        // Credentials of the last restart but one are worth nothing.
        let forgotten = port.renew(&first, shared_runtime::random);
        for _ in 0..2 {
            renewed = port.renew(&first, shared_runtime::random);
        }
        while check(&new, &renewed, false).is_none() {}
        assert!(renewed != first);
        assert!(check(&new, &forgotten, true).is_none() && check(&new, &first, true).is_none());
        wire.next();
        assert_eq!(wire.target(), old.socket.local_addr().ok(), "nothing was chosen yet");
        assert!(check(&new, &renewed, true).is_some());
        while wire.next().is_some() {}
        assert_eq!(wire.target(), new.socket.local_addr().ok());
        drop(wire);
        while check(&new, &renewed, false).is_some() {}
    }

    #[test]
    fn a_forged_source_takes_no_address_of_another_leg() {
        let port = WebPort::start("127.0.0.1:0".parse().unwrap()).unwrap();
        let browsers = [Browser::new(port.local), Browser::new(port.local)];
        let mut wires = browsers.each_ref().map(|browser| {
            let mut wire = port.open(shared_runtime::random);
            wire.begin(browser.identity.fingerprint.clone());
            let ours = wire.ours().clone();
            while wire.target().is_none() {
                browser.send(&ice::tests::check(&ours.name, &ours.password, true));
                wire.next();
            }
            wire
        });
        let [victim, _] = &browsers;
        while victim.receive().is_some() {}
        // The other knows its own password, and says that it sends from the victim's address.
        let other = wires[1].ours().clone();
        victim.send(&ice::tests::check(&other.name, &other.password, true));
        assert_eq!(victim.receive(), None, "no answer");
        let packet = [0x80, 111, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9, 1, 2, 3];
        victim.send(&packet);
        let came = until(&mut wires[0], |event| match event {
            Event::Packet(packet) => Some(packet),
            _ => None,
        });
        assert_eq!(came, packet);
        wires[1].next();
        assert_eq!(wires[1].target(), browsers[1].socket.local_addr().ok());
    }
}
