//! Sockets of pictures: one task a leg reads, and forwards under a short lock to whoever sees it.
//!
//! In    RTP and RTCP of legs, on ports of their own or on that of all browsers. Out the same, as [`Switch`] says.
//! State the switch; for each leg its way and its keys. Nothing of it is known to the mixer's threads.
//! Errors what is forged, or of nobody, is dropped and counted; a full send buffer drops the packet, as a net would.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use super::Codec;
use super::seat::Seat;
use super::switch::{Out, Switch};
use crate::media::latch::Latch;
use crate::media::leg::Waits;
use crate::media::ports::{PortPair, Ports, PortsError};
use crate::media::rtcp;
use crate::media::srtp::{Crypto, Srtp};
use crate::media::web::{Event, WebPictures};
use crate::metrics::Metrics;
use crate::mixer::LegId;

/// What offer and answer agreed on for the pictures of a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// Where the other end said it listens.
    pub remote: SocketAddr,
    /// Where it said it listens for reports; `None` if on the same port (RFC 5761).
    pub reports: Option<SocketAddr>,
    /// How packets are protected, if they are by keys in the description.
    pub crypto: Option<Crypto>,
}

/// Ports that wait for their offer and answer.
pub struct UnboundPictures(PortPair);

impl UnboundPictures {
    /// Takes the next free pair of `ports` on `ip`.
    pub fn bind(ports: &Ports, ip: IpAddr) -> Result<Self, PortsError> {
        ports.bind(ip).map(Self)
    }

    /// Where the other end shall send.
    pub fn port(&self) -> u16 {
        self.0.rtp.local_addr().map_or(0, |local| local.port())
    }
}

/// The pictures of one conference. Clones share them.
#[derive(Clone)]
pub struct PictureRoom {
    state: Arc<Mutex<State>>,
    metrics: Metrics,
    /// Pictures begin.
    news: Arc<Notify>,
}

struct State {
    switch: Switch,
    wires: HashMap<LegId, Wire>,
    out: Vec<Out>,
}

struct Wire {
    line: Line,
    /// How long its sound waits.
    waits: Waits,
    srtp: Option<Srtp>,
}

#[expect(clippy::large_enum_variant, reason = "one a leg")]
enum Line {
    Ports { pair: Arc<PortPair>, latch: Latch, reports: Option<Latch>, caller: Option<IpAddr> },
    Web { socket: Arc<std::net::UdpSocket>, target: Option<SocketAddr> },
}

/// The pictures of one leg; gone with their last word.
pub struct Pictures {
    id: LegId,
    room: PictureRoom,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Pictures {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.room.with(|state, now| {
            state.wires.remove(&self.id);
            state.switch.remove(self.id, now, &mut state.out);
        });
    }
}

impl PictureRoom {
    /// Nobody's pictures.
    pub fn new(metrics: &Metrics) -> Self {
        let now = Instant::now();
        let switch = Switch::new(now, rtcp::ntp_of(now));
        let state = State { switch, wires: HashMap::new(), out: Vec::new() };
        Self { state: Arc::new(Mutex::new(state)), metrics: metrics.clone(), news: Arc::default() }
    }

    /// A phone's pictures come. `caller` is the address that the call came from, or the one that a Contact names, which is not
    /// `is_seen`.
    pub fn join(
        &self,
        id: LegId,
        ports: UnboundPictures,
        way: Way,
        (caller, is_seen): (Option<IpAddr>, bool),
        seat: Seat,
        waits: Waits,
    ) -> std::io::Result<Pictures> {
        let now = Instant::now();
        let readers = [tokio_of(&ports.0.rtp)?, tokio_of(&ports.0.rtcp)?];
        let is_proved = way.crypto.is_some();
        let latch = Latch::new(way.remote, caller, is_proved, now);
        let latch = if is_seen { latch } else { latch.with_unseen_caller() };
        let reports = way.reports.map(|remote| Latch::new(remote, caller, is_proved, now));
        let line = Line::Ports { pair: Arc::new(ports.0), latch, reports, caller };
        self.sit(id, Wire { line, waits, srtp: way.crypto.and_then(Srtp::new) }, seat);
        let tasks = readers.map(|socket| tokio::spawn(read(self.clone(), id, socket))).into();
        Ok(Pictures { id, room: self.clone(), tasks })
    }

    /// A browser's pictures come, beside its sound.
    pub fn join_web(&self, id: LegId, web: WebPictures, seat: Seat, waits: Waits) -> Pictures {
        let line = Line::Web { socket: web.socket, target: None };
        self.sit(id, Wire { line, waits, srtp: None }, seat);
        let tasks = vec![tokio::spawn(read_web(self.clone(), id, web.inbox))];
        Pictures { id, room: self.clone(), tasks }
    }

    /// Rings when pictures begin.
    pub fn news(&self) -> Arc<Notify> {
        Arc::clone(&self.news)
    }

    /// Whose pictures come that may be seen, each as often as they have cameras and screens.
    pub fn live(&self, now: Instant) -> Vec<(LegId, Codec)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).switch.live(now)
    }

    /// By which sources pictures come: of each leg the first, and of its layers the least.
    pub fn sources(&self) -> Vec<(LegId, u32)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).switch.sources()
    }

    /// Somebody else speaks.
    pub fn speak(&self, id: LegId) {
        self.with(|state, now| state.switch.speak(id, now, &mut state.out));
    }

    fn sit(&self, id: LegId, wire: Wire, seat: Seat) {
        self.with(|state, now| {
            state.wires.insert(id, wire);
            state.switch.add(id, seat, now, &mut state.out);
        });
    }

    /// Does something with the state, and sends what came of it.
    fn with(&self, what: impl FnOnce(&mut State, Instant)) {
        // Nothing panics under the lock; if something did, the state is as good as any.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        what(state, Instant::now());
        let (mut pictures, mut requests) = (0, 0);
        for out in state.out.drain(..) {
            match out {
                Out::Picture(to, packet) => {
                    pictures += u64::from(state.wires.get_mut(&to).is_some_and(|wire| wire.send(&packet)));
                }
                Out::Request(to, packet) => {
                    requests += u64::from(state.wires.get_mut(&to).is_some_and(|wire| wire.ask(&packet)));
                }
            }
        }
        if state.switch.take_news() {
            self.news.notify_one();
        }
        self.metrics.pictures(pictures, requests);
    }

    fn hear(&self, id: LegId, datagram: &[u8], source: Option<SocketAddr>) {
        self.with(|state, now| {
            let Some(wire) = state.wires.get_mut(&id) else { return };
            let is_report = rtcp::is_rtcp(datagram);
            let opened = match (&mut wire.srtp, is_report) {
                (Some(srtp), true) => srtp.open_report(datagram).ok().map(Some),
                (Some(srtp), false) => srtp.open(datagram).ok().map(Some),
                // What is not protected is no browser's.
                (None, _) => matches!(wire.line, Line::Ports { .. }).then_some(None),
            };
            // What is neither a picture nor a report proves no address.
            let is_meant = |packet: &[u8]| match is_report {
                true => rtcp::is_whole(packet),
                false => state.switch.is_of(id, packet),
            };
            let opened = opened.filter(|opened| is_meant(opened.as_deref().unwrap_or(datagram)));
            let Some(opened) = opened.filter(|_| wire.believes(source, is_report, now)) else {
                return self.metrics.pictures_forged();
            };
            let packet = opened.as_deref().unwrap_or(datagram);
            state.switch.sound_waits(id, wire.waits.get());
            match is_report {
                true => state.switch.wish(id, packet, now, &mut state.out),
                false => state.switch.picture(id, packet, now, &mut state.out),
            }
        });
    }

    fn hear_web(&self, id: LegId, event: Event) {
        match event {
            Event::Packet(packet) => self.hear(id, &packet, None),
            Event::Impostor => {} // who mixes ends the call
            Event::Keys(crypto) => self.change_wire(id, |wire| wire.srtp = Srtp::new(crypto)),
            Event::Target(now) => self.change_wire(id, |wire| {
                if let Line::Web { target, .. } = &mut wire.line {
                    *target = now;
                }
            }),
        }
    }

    fn change_wire(&self, id: LegId, change: impl FnOnce(&mut Wire)) {
        self.with(|state, _| {
            if let Some(wire) = state.wires.get_mut(&id) {
                change(wire);
            }
        });
    }
}

impl Pictures {
    /// What a leg may show and see changed.
    pub fn seat(&self, seat: Seat) {
        self.room.with(|state, now| state.switch.change(self.id, seat, now, &mut state.out));
    }

    /// Where its phone listens, and its keys, are others now.
    pub fn renegotiate(&self, way: Way) {
        self.room.change_wire(self.id, |wire| {
            let (now, is_proved) = (Instant::now(), way.crypto.is_some());
            match (&mut wire.srtp, way.crypto) {
                // A browser's keys come by its handshake, and stay.
                _ if matches!(wire.line, Line::Web { .. }) => {}
                (Some(srtp), Some(crypto)) => {
                    if !srtp.change(crypto) {
                        tracing::warn!("a key of a wrong length was agreed on; the old one stays");
                    }
                }
                (srtp, crypto) => *srtp = crypto.and_then(Srtp::new),
            }
            if let Line::Ports { latch, reports, caller, .. } = &mut wire.line {
                latch.describe(way.remote, is_proved, now);
                match (reports, way.reports) {
                    (Some(reports), Some(remote)) => reports.describe(remote, is_proved, now),
                    // RFC 5761 §5.1.1: both ways on one port from now on, or not any more.
                    (reports, remote) => {
                        *reports = remote.map(|remote| Latch::new(remote, *caller, is_proved, now));
                    }
                }
            }
        });
    }
}

impl Wire {
    fn believes(&mut self, source: Option<SocketAddr>, is_report: bool, now: Instant) -> bool {
        match (&mut self.line, source) {
            (Line::Ports { reports: Some(latch), .. }, Some(source)) if is_report => {
                latch.believes(source, now)
            }
            (Line::Ports { latch, .. }, Some(source)) => latch.believes(source, now),
            // A browser proved its address to the port.
            (Line::Web { .. }, _) => true,
            (Line::Ports { .. }, None) => false,
        }
    }

    fn send(&mut self, packet: &[u8]) -> bool {
        let sealed = match &mut self.srtp {
            Some(srtp) => srtp.seal(packet),
            None => None,
        };
        match (&self.line, &sealed) {
            (Line::Ports { pair, latch, reports, .. }, sealed) => {
                let (now, target) = (Instant::now(), latch.target());
                // Who reports from there may be sent to there, and to nowhere else.
                let is_there = |reports: &Latch| {
                    reports.is_held() && reports.target().ip().to_canonical() == target.ip().to_canonical()
                };
                let may = latch.may_be_sent_much(now) || reports.as_ref().is_some_and(is_there);
                let packet = sealed.as_deref().unwrap_or(packet);
                may && target.port() != 0 && pair.rtp.send_to(packet, target).is_ok()
            }
            (Line::Web { socket, target: Some(target) }, Some(sealed)) => {
                socket.send_to(sealed, target).is_ok()
            }
            (Line::Web { .. }, _) => false,
        }
    }

    fn ask(&mut self, packet: &[u8]) -> bool {
        let sealed = match &mut self.srtp {
            Some(srtp) => srtp.seal_report(packet),
            None => None,
        };
        match (&self.line, &sealed) {
            (Line::Ports { pair, latch, reports, .. }, sealed) => {
                let packet = sealed.as_deref().unwrap_or(packet);
                let (socket, target) = match reports {
                    Some(reports) => (&pair.rtcp, reports.target()),
                    None => (&pair.rtp, latch.target()),
                };
                target.port() != 0 && socket.send_to(packet, target).is_ok()
            }
            (Line::Web { socket, target: Some(target) }, Some(sealed)) => {
                socket.send_to(sealed, target).is_ok()
            }
            (Line::Web { .. }, _) => false,
        }
    }
}

/// The same socket for a task; what it sends needs no waiting.
fn tokio_of(socket: &std::net::UdpSocket) -> std::io::Result<tokio::net::UdpSocket> {
    tokio::net::UdpSocket::from_std(socket.try_clone()?)
}

async fn read(room: PictureRoom, id: LegId, socket: tokio::net::UdpSocket) {
    let mut datagram = vec![0; LARGEST];
    loop {
        match socket.recv_from(&mut datagram).await {
            Ok((length, source)) => room.hear(id, &datagram[..length], Some(source)),
            // An ICMP message said that nobody listens there: not yet, or not any more.
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn read_web(room: PictureRoom, id: LegId, mut inbox: mpsc::Receiver<Event>) {
    while let Some(event) = inbox.recv().await {
        room.hear_web(id, event);
    }
}

/// Octets of a datagram that is looked at.
const LARGEST: usize = 2_048;
const PAUSE: Duration = Duration::from_millis(20);
