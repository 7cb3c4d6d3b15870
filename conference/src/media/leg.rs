//! An RTP leg — RFC 3550 §5.1 (packets), §6 (reports), §11 (ports); RFC 3551 (profile); RFC 4961 (symmetric); RFC 5761 (one
//! port for both); RFC 3711 (protection); RFC 3389, RFC 4733 and RFC 6464 beside the sound.
//!
//! In    datagrams from the other end, read when the mixer's tick comes: no task, no lock, no queue but the kernel's, or for
//! a browser that of the port that all browsers share ([`WebWire`]).
//! Out   one packet a tick to where the other end is, and a report every five seconds; keys that were pressed.
//! State play-out, coders, our numbering, whom it believes ([`Latch`]), what either end says of the other.
//! Errors what is not RTP, of another payload type or from another source is dropped and counted, and takes nobody's place. A full send
//! buffer drops the packet, as a net would.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rtc_rtp::header::Header;
use rtc_shared::marshal::Unmarshal;

use super::codec::{Decoder, Encoder, Encoding};
use super::dtls::Dtls;
use super::events::Events;
use super::handshakes::{Association, Handshakes};
use super::latch::Latch;
use super::playout::{Kind, Playout, Worth};
use super::ports::{Ports, PortsError};
use super::quality::{Counters, Quality};
use super::reception::Reception;
use super::srtp::{Crypto, Distrust, Srtp};
use super::web::{Event, Peer, WebWire};
use super::xr::{self, Extended};
use super::{Frame, rtcp};
use secured::Secured;
pub use waits::Waits;
use wire::{Wire, read, send, unpadded};

/// What offer and answer agreed on for one leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Negotiated {
    /// What we send; the codec is that of both directions.
    pub encoding: Encoding,
    /// The codec's payload type, 0 to 127, in both directions.
    pub payload_type: u8,
    /// Packets that a frame is sent in: several where the peer, or a datagram, takes no 20 ms at once.
    pub packets: u8,
    /// Where the other end said it listens; what it sends from wins (RFC 4961).
    pub remote: SocketAddr,
    /// Where it said it listens for reports; `None` if on the same port as for sound (RFC 5761).
    pub reports: Option<SocketAddr>,
    /// The payload type of keys (RFC 4733), if they may come.
    pub events: Option<u8>,
    /// The payload type of comfort noise (RFC 3389), if it may come, and go.
    pub noise: Option<u8>,
    /// The header extension that says how loud a packet is (RFC 6464), if it may come.
    pub level: Option<u8>,
    /// How packets are protected, if they are by keys of the description.
    pub crypto: Option<Crypto>,
    /// The handshake that makes the keys, if one does; a browser's is of its port.
    pub dtls: Option<Dtls>,
    /// What is reported beside the counts of RFC 3550 (RFC 3611).
    pub extended: xr::Wanted,
}

impl Negotiated {
    /// Whether packets are protected, a browser's aside.
    pub fn is_encrypted(&self) -> bool {
        self.crypto.is_some() || self.dtls.is_some()
    }
}

/// One leg's sound.
pub struct RtpLeg {
    wire: Wire,
    local: SocketAddr,
    negotiated: Negotiated,
    srtp: Option<Box<Srtp>>,
    /// Who shakes hands, and the associations that were begun.
    handshakes: Option<Handshakes>,
    secured: Option<Box<Secured>>,
    is_impostor: bool,
    latch: Latch,
    reports: Option<Latch>,
    decoder: Decoder,
    /// Our own encoder, once we said what nobody else hears.
    encoder: Option<(Encoding, Encoder)>,
    playout: Playout,
    events: Events,
    sender: Option<Sender>,
    extended: Extended,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    /// What comes next ends a pause in which nothing was sent.
    is_paused: bool,
    /// Ticks of a pause in which noise stands for silence.
    hushed: u32,
    packets: u32,
    octets: u32,
    begun: Instant,
    last_heard: Instant,
    /// When the last report came of who had sent sound.
    last_report: Instant,
    next_report: Instant,
    next_look: Instant,
    seed: u32,
    counters: Counters,
    quality: Quality,
    waits: Waits,
    /// It was said that somebody else floods it.
    is_flooded: bool,
}

/// Whom we receive.
struct Sender {
    reception: Reception,
    /// The last SR: the middle of its NTP time, and when it came.
    report: Option<(u32, Instant)>,
}

/// A wire that waits for its offer and answer.
pub struct UnboundLeg {
    wire: Wire,
    local: SocketAddr,
    handshakes: Option<Handshakes>,
}

impl UnboundLeg {
    /// Takes the next free pair of `ports` on `ip`.
    pub fn bind(ports: &Ports, ip: IpAddr) -> Result<Self, PortsError> {
        let ports = ports.bind(ip)?;
        let local = ports.rtp.local_addr().map_err(|_| PortsError::AllTaken)?;
        Ok(Self { wire: Wire::Ports(ports), local, handshakes: None })
    }

    /// The same, whose keys may come of a handshake.
    pub fn with_handshakes(self, handshakes: &Handshakes) -> Self {
        Self { handshakes: Some(handshakes.clone()), ..self }
    }

    /// A browser's.
    pub fn web(wire: WebWire) -> Self {
        let local = wire.local();
        Self { wire: Wire::Web(Box::new(wire)), local, handshakes: None }
    }

    /// The wire of a browser.
    pub fn as_web(&self) -> Option<&WebWire> {
        match &self.wire {
            Wire::Web(wire) => Some(wire),
            Wire::Ports(_) => None,
        }
    }

    /// This is the browser.
    pub fn expect(&mut self, peer: Peer) {
        if let Wire::Web(wire) = &mut self.wire {
            wire.begin(peer);
        }
    }

    /// Where the other end shall send, as far as the socket knows.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Starts the leg. `caller` is the address that the call came from; `seed` is random: our SSRC and the beginnings of
    /// sequence numbers and timestamps (RFC 3550 §5.1). `None` if there is no memory for the decoder, or a key is wrong.
    pub fn start(
        self,
        negotiated: Negotiated,
        caller: Option<IpAddr>,
        seed: u64,
        now: Instant,
    ) -> Option<RtpLeg> {
        let format = negotiated.encoding.format;
        let is_proved = negotiated.crypto.is_some() || matches!(self.wire, Wire::Web(_));
        let srtp = match negotiated.crypto {
            Some(crypto) => Some(Box::new(Srtp::new(crypto)?)),
            None => None,
        };
        let mut leg = RtpLeg {
            srtp,
            handshakes: self.handshakes,
            secured: None,
            is_impostor: false,
            wire: self.wire,
            local: self.local,
            negotiated,
            latch: Latch::new(negotiated.remote, caller, is_proved, now),
            reports: negotiated.reports.map(|remote| Latch::new(remote, caller, is_proved, now)),
            decoder: Decoder::new(format)?,
            encoder: None,
            playout: Playout::new(format),
            events: Events::default(),
            sender: None,
            extended: Extended::default(),
            ssrc: (seed >> 32) as u32,
            sequence: seed as u16 & 0x7fff,
            timestamp: (seed >> 16) as u32,
            is_paused: false,
            hushed: 0,
            packets: 0,
            octets: 0,
            begun: now,
            last_heard: now,
            last_report: now,
            next_report: now + FIRST_REPORT,
            next_look: now,
            seed: seed as u32,
            counters: Counters::default(),
            quality: Quality::default(),
            waits: Waits::default(),
            is_flooded: false,
        };
        leg.secure(false);
        Some(leg)
    }
}

impl RtpLeg {
    /// The source of a leg that starts with this seed.
    pub fn source_of(seed: u64) -> u32 {
        (seed >> 32) as u32
    }

    /// Where the other end shall send, as far as the socket knows.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// How its sound is encoded now: towards who loses packets, with redundancy if they can use it.
    pub fn encoding(&self) -> Encoding {
        let Encoding { has_redundancy, .. } = self.negotiated.encoding;
        let is_lossy = self.quality.lost_there >= LOSSY;
        Encoding { has_redundancy: has_redundancy && is_lossy, ..self.negotiated.encoding }
    }

    /// From now on it says there how long its sound waits.
    pub fn tell_waits(&mut self, waits: &Waits) {
        self.waits = waits.clone();
    }

    /// When the last sign of life came: sound, or a report of who sent some before and only listens now (RFC 3550 §6.3.5); the start
    /// of the leg if none did.
    pub fn last_sign(&self) -> Instant {
        self.last_heard.max(self.last_report)
    }

    /// Nothing was to be heard until now, so that silence counts from here.
    pub fn forgive_silence(&mut self, now: Instant) {
        self.last_heard = now;
    }

    /// Changes what was agreed on, as a re-INVITE does. Numbering goes on; a new address is latched anew.
    pub fn renegotiate(&mut self, negotiated: Negotiated, now: Instant) {
        let format = negotiated.encoding.format;
        if format != self.negotiated.encoding.format
            && let Some(decoder) = Decoder::new(format)
        {
            self.decoder = decoder;
            self.playout.restart(format);
            self.sender = None;
        }
        let (goes_on, is_dtls) = (self.goes_on(&negotiated), negotiated.dtls.is_some());
        if is_dtls && !goes_on {
            self.srtp = None;
        }
        let is_proved = negotiated.crypto.is_some() || self.wire.is_web() || (is_dtls && self.srtp.is_some());
        match (&mut self.srtp, negotiated.crypto) {
            _ if self.wire.is_web() || is_dtls => {}
            (Some(srtp), Some(crypto)) => {
                if !srtp.change(crypto) {
                    tracing::warn!("a key of a wrong length was agreed on; the old one stays");
                }
            }
            (srtp, crypto) => *srtp = crypto.and_then(Srtp::new).map(Box::new),
        }
        self.latch.describe(negotiated.remote, is_proved, now);
        match (&mut self.reports, negotiated.reports) {
            (Some(latch), Some(remote)) => latch.describe(remote, is_proved, now),
            (reports, remote) => *reports = remote.map(|remote| Latch::new(remote, None, is_proved, now)),
        }
        self.negotiated = negotiated;
        self.secure(goes_on);
    }

    /// Reads what came since the last tick. `press` hears the keys.
    pub fn receive(&mut self, now: Instant, mut press: impl FnMut(char)) {
        self.take_keys();
        let mut datagram = [0; LARGEST_DATAGRAM];
        // What others send fills the kernel's queue, and would displace what the peer sends.
        let (mut own, mut foreign, mut shaken) = (0, 0, 0);
        while own < MOST_A_TICK && foreign < MOST_FOREIGN {
            let (came, source) = match &mut self.wire {
                Wire::Ports(ports) => match read(&ports.rtp, &mut datagram) {
                    Some((length, source)) => (&datagram[..length], source),
                    None => break,
                },
                Wire::Web(wire) => match wire.next() {
                    Some(Event::Packet(packet)) => {
                        let Some(source) = wire.target() else { continue };
                        let room = packet.len().min(datagram.len());
                        datagram[..room].copy_from_slice(&packet[..room]);
                        (&datagram[..room], source)
                    }
                    Some(Event::Keys(crypto)) => {
                        self.srtp = Srtp::new(crypto).map(Box::new);
                        continue;
                    }
                    Some(Event::Impostor) => return self.meet_impostor(),
                    Some(Event::Target(_)) => continue,
                    None => break,
                },
            };
            let is_own = source == self.latch.target() || self.wire.is_web();
            *(if is_own { &mut own } else { &mut foreign }) += 1;
            if self.secured.is_some() && Association::is_meant(came) {
                shaken += usize::from(!is_own);
                if is_own || shaken <= MOST_A_TICK {
                    self.shake(came, source, now);
                }
            } else if rtcp::is_rtcp(came) {
                self.open_report(came, source, now);
            } else if let Some(key) = self.open(came, source, now) {
                press(key);
            }
        }
        if foreign == MOST_FOREIGN && !std::mem::replace(&mut self.is_flooded, true) {
            tracing::warn!(
                port = self.local.port(),
                "somebody else floods the port of a leg: what its peer sends may be lost"
            );
        }
    }

    /// Reads what came on the port of reports, and reports if it is time.
    pub fn report(&mut self, now: Instant) {
        let is_shaking = self.secured.as_ref().is_some_and(|secured| secured.is_shaking_reports());
        if now >= self.next_look || is_shaking {
            // To look costs a call into the system, and a report can wait.
            self.next_look = now + LOOKS;
            self.waits.set(self.playout.delay());
            let mut datagram = [0; LARGEST_DATAGRAM];
            for _ in 0..MOST_A_TICK {
                let Wire::Ports(ports) = &self.wire else { break };
                let Some((length, source)) = read(&ports.rtcp, &mut datagram) else { break };
                match self.secured.is_some() && Association::is_meant(&datagram[..length]) {
                    true => self.shake_reports(&datagram[..length], source, now),
                    false => self.open_report(&datagram[..length], source, now),
                }
            }
        }
        if now < self.next_report {
            return;
        }
        // §6.3.1: between half and one and a half times the interval.
        self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.next_report =
            now + REPORTS / 2 + REPORTS.mul_f64(f64::from(self.seed >> 8) / f64::from(1 << 24));
        self.send_report(now);
    }

    /// How loud the sender says that what comes next is (RFC 6464); `None` if it does not say.
    pub fn level(&self) -> Option<u8> {
        self.playout.level()
    }

    /// Plays the next 20 ms; false, and silence, if there is nothing, or if it is not wanted.
    pub fn play(&mut self, worth: Worth, frame: &mut Frame) -> bool {
        self.playout.take(worth, &mut self.decoder, frame) && worth != Worth::Nothing
    }

    /// What happened since the last call.
    pub fn take_counters(&mut self) -> Counters {
        self.counters.lost += self.playout.take_lost();
        self.counters.late += self.playout.take_late();
        self.quality.received += self.counters.received;
        self.quality.lost += self.counters.lost;
        self.quality.sent += self.counters.sent;
        self.quality.disbelieved += self.counters.forged + self.counters.replayed;
        std::mem::take(&mut self.counters)
    }

    /// How well it went, until now.
    pub fn quality(&self, now: Instant) -> Quality {
        Quality { silent_for: now.saturating_duration_since(self.last_heard), ..self.quality }
    }

    /// One datagram, protected or not; the key if one was pressed.
    fn open(&mut self, datagram: &[u8], source: SocketAddr, now: Instant) -> Option<char> {
        let Some(srtp) = &mut self.srtp else {
            return (!self.has_secret()).then(|| self.hear(datagram, source, now)).flatten();
        };
        match srtp.open(datagram) {
            Ok(opened) => return self.hear(&opened, source, now),
            Err(Distrust::Replayed) => self.counters.replayed += 1,
            Err(Distrust::Forged) => self.counters.forged += 1,
        }
        None
    }

    /// One datagram of reports, protected or not.
    fn open_report(&mut self, datagram: &[u8], source: SocketAddr, now: Instant) {
        let has_secret = self.has_secret();
        let Some(srtp) = self.srtp_of_reports() else {
            if !has_secret {
                self.hear_report(datagram, source, now);
            }
            return;
        };
        match srtp.open_report(datagram) {
            Ok(opened) => self.hear_report(&opened, source, now),
            Err(Distrust::Replayed) => self.counters.replayed += 1,
            Err(Distrust::Forged) => self.counters.forged += 1,
        }
    }

    /// One datagram on the port of sound; the key if one was pressed.
    fn hear(&mut self, datagram: &[u8], source: SocketAddr, now: Instant) -> Option<char> {
        let mut rest = datagram;
        let header = Header::unmarshal(&mut rest).ok().filter(|header| header.version == 2);
        let payload = header.as_ref().and_then(|header| unpadded(rest, header.padding));
        let (Some(header), Some(payload)) = (header, payload) else {
            self.counters.rejected += 1;
            return None;
        };
        let negotiated = &self.negotiated;
        let kind = match header.payload_type {
            kind if kind == negotiated.payload_type => Kind::Sound(self.level_in(&header)),
            kind if Some(kind) == negotiated.events => Kind::Event,
            kind if Some(kind) == negotiated.noise => Kind::Noise(payload.first().copied().unwrap_or(127)),
            _ => {
                self.counters.rejected += 1;
                return None;
            }
        };
        // A browser proved its addresses, and may change from one to another (RFC 8445 §8.1.1).
        if !self.wire.is_web() && !self.latch.believes(source, now) {
            self.counters.forged += 1;
            return None;
        }
        self.last_heard = now;
        self.counters.received += 1;
        let (sequence, timestamp) = (header.sequence_number, header.timestamp);
        let sender = match &mut self.sender {
            Some(sender) if sender.reception.ssrc == header.ssrc => sender,
            sender => {
                self.playout.restart(negotiated.encoding.format);
                self.playout.count_anew();
                self.events.restart();
                self.waits.set_source(header.ssrc);
                sender.insert(Sender { reception: Reception::new(header.ssrc, sequence), report: None })
            }
        };
        let clock = u128::from(negotiated.encoding.format.clock());
        let arrival = now.duration_since(self.begun).as_micros() * clock / 1_000_000;
        sender.reception.hear(sequence, timestamp, arrival as u32);
        self.playout.insert(sequence, timestamp, kind, payload);
        if kind == Kind::Event { self.events.hear(timestamp, payload) } else { None }
    }

    /// RFC 6464 §3: one octet, a bit for voice and seven for the level.
    fn level_in(&self, header: &Header) -> Option<u8> {
        let extension = header.get_extension(self.negotiated.level?)?;
        extension.first().map(|octet| octet & 0x7f)
    }

    fn hear_report(&mut self, datagram: &[u8], source: SocketAddr, now: Instant) {
        let Some(told) = rtcp::read(datagram, self.ssrc) else { return self.counters.rejected += 1 };
        let latch = self.reports.as_mut().unwrap_or(&mut self.latch);
        if !self.wire.is_web() && !latch.believes(source, now) {
            return self.counters.forged += 1;
        }
        if self.sender.is_some() {
            self.last_report = now;
        }
        if let (Some(report), Some(sender)) = (told.report, &mut self.sender) {
            sender.report = Some((report, now));
        }
        if let Some(block) = told.block {
            self.quality.has_reported = true;
            self.quality.lost_there = block.fraction;
            self.quality.round_trip = rtcp::round_trip(&block, rtcp::ntp_of(now)).or(self.quality.round_trip);
        }
        self.extended.hear(&told.extended, now);
        let trip = told.extended.answer.and_then(|answer| xr::round_trip(answer, rtcp::ntp_of(now)));
        self.quality.round_trip = trip.or(self.quality.round_trip);
        self.quality.there = told.extended.heard.or(self.quality.there);
    }

    fn send_report(&mut self, now: Instant) {
        let block = self.sender.as_mut().map(|sender| {
            let mut block = sender.reception.report();
            if let Some((report, came)) = sender.report {
                block.last_report = report;
                block.delay = (now.duration_since(came).as_micros() * 65_536 / 1_000_000) as u32;
            }
            block
        });
        if let Some(block) = block {
            let clock = f64::from(self.negotiated.encoding.format.clock());
            self.quality.jitter = Duration::from_secs_f64(f64::from(block.jitter) / clock);
        }
        let sent = (self.packets > 0).then(|| rtcp::Sent {
            ntp: rtcp::ntp_of(now),
            timestamp: self.timestamp,
            packets: self.packets,
            octets: self.octets,
        });
        let mut packet = rtcp::compose(self.ssrc, &format!("{:08x}", self.ssrc), sent, block.as_slice());
        // Who sends reports about sound of its own needs no other time.
        let reference = sent.is_none().then(|| rtcp::ntp_of(now));
        let wanted = self.negotiated.extended;
        let heard = self.sender.as_ref().filter(|_| wanted.metrics);
        let heard = heard.map(|sender| (sender.reception.ssrc, self.quality.heard(&self.playout)));
        packet.extend(self.extended.print(self.ssrc, wanted, heard, reference, now));
        let has_secret = self.has_secret();
        let sealed = match self.srtp_of_reports() {
            Some(srtp) => srtp.seal_report(&packet).map(Vec::from),
            None if has_secret => None,
            None => Some(packet),
        };
        let Some(packet) = sealed else { return };
        // A report that cannot be sent is one that a net lost.
        let _ = match (&self.wire, &self.reports) {
            (Wire::Ports(ports), Some(latch)) => send(&ports.rtcp, &packet, latch.target()),
            (wire, _) => wire.send(&packet, self.latch.target()),
        };
    }
}

/// Octets of a datagram that is looked at.
const LARGEST_DATAGRAM: usize = 2_048;
/// Datagrams of the peer read a tick; ten times what a sender of 20 ms sends, so that a flood costs a bounded time.
const MOST_A_TICK: usize = 10;
/// Datagrams of others read a tick: about as many as the kernel's queue holds, a quarter of a millisecond.
const MOST_FOREIGN: usize = 200;
/// How often is looked for reports on their own port.
const LOOKS: Duration = Duration::from_millis(500);
/// §6.2: the least interval of reports, and half of it for the first.
const REPORTS: Duration = Duration::from_secs(5);
const FIRST_REPORT: Duration = Duration::from_millis(2_500);
/// Lost of 256 on the way to the peer from which redundancy is worth its octets: 2 %.
const LOSSY: u8 = 5;

mod say;
mod secured;
#[cfg(test)]
mod tests;
mod waits;
mod wire;
