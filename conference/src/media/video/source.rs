//! What one camera or screen sends, in one layer or several — RFC 3550 §6.4 (reception), RFC 8851 (names of layers), RFC 8853.
//!
//! In    packets with their instants. Out which layer they are of, whether they are new; what comes each second.
//! State for each layer its last packets, its count, what it was asked for. Errors a number that had a packet has no other.

use std::time::{Duration, Instant};

use super::lately::Lately;
use super::rtp::Rtp;
use super::seat::{Content, Seat, Shown};
use super::window::Window;
use crate::media::reception::{Block, Reception};

/// One camera or screen.
#[derive(Debug)]
pub(super) struct Source {
    shown: Shown,
    pub(super) layers: Vec<Layer>,
    /// When a second began, and how often layers began in it.
    begins: Option<(Instant, u32)>,
}

/// One size of its pictures.
#[derive(Debug, Default)]
pub(super) struct Layer {
    /// The source that it comes by, once it did.
    pub(super) ssrc: Option<u32>,
    /// What was sent last, for who lost some.
    pub(super) sent: Window,
    heard: Option<Instant>,
    asked: Option<Instant>,
    /// Nothing whole came since it was asked for.
    is_awaited: bool,
    /// The number of the last command (RFC 5104 §4.3.1.1).
    command: u8,
    /// What it was asked for again.
    pub(super) missed: Lately,
    reception: Option<Reception>,
    rate: Rate,
    /// The instant that a timestamp stands for, had it come without delay.
    anchor: Option<(u32, Instant)>,
    /// The last report of the sender: the middle of its NTP time, and when it came.
    report: Option<(u32, Instant)>,
}

/// How much of a layer comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    /// In a second.
    pub(super) bits: u64,
    /// Of a whole second; otherwise of the part of the first that came so far, which says little of the next.
    pub(super) is_known: bool,
}

/// Octets of this second and the one before.
#[derive(Debug, Default)]
struct Rate {
    second: Option<Instant>,
    octets: usize,
    before: Option<usize>,
}

/// Where a packet is at home.
pub(super) enum Place {
    Known(usize, usize),
    /// It begins, or begins anew.
    New(usize, usize),
}

impl Source {
    pub(super) fn of(shown: &Shown) -> Self {
        let layers = (0..shown.rids.len().max(1)).map(|_| Layer::default()).collect();
        Self { shown: shown.clone(), layers, begins: None }
    }

    /// A layer begins, or begins anew; false if layers do so too often, which costs everybody a look at whom they see.
    fn begin(&mut self, layer: usize, rtp: &Rtp<'_>, now: Instant) -> bool {
        let begins = match &mut self.begins {
            Some(begins) if now.duration_since(begins.0) < SECOND => begins,
            begins => begins.insert((now, 0)),
        };
        begins.1 += 1;
        if begins.1 > MOST_BEGINS {
            return false;
        }
        self.layers[layer].begin(rtp, now);
        true
    }

    pub(super) fn content(&self) -> Content {
        self.shown.content
    }

    /// Whether pictures come: nobody waits for a camera that is off.
    pub(super) fn is_live(&self, now: Instant) -> bool {
        let heard = self.layers.iter().filter_map(|layer| layer.heard);
        heard.max().is_some_and(|heard| now.duration_since(heard) < FROZEN)
    }

    /// What was known of a source is kept if it is described alike.
    pub(super) fn of_all(shows: &[Shown], mut before: Vec<Self>) -> Vec<Self> {
        let mut one = |shown: &Shown| match before.iter().position(|known| known.shown == *shown) {
            Some(at) => before.swap_remove(at),
            None => Self::of(shown),
        };
        shows.iter().map(&mut one).collect()
    }
}

/// The source and layer of a packet: by the number that is known, by what is written beside it, by the description.
pub(super) fn locate(sources: &mut [Source], seat: &Seat, rtp: &Rtp<'_>, now: Instant) -> Option<Place> {
    for (at, source) in sources.iter().enumerate() {
        if let Some(layer) = source.layers.iter().position(|layer| layer.ssrc == Some(rtp.ssrc)) {
            let is_anew = source.layers[layer].sent.begins_anew(rtp.sequence);
            return match is_anew {
                true => sources[at].begin(layer, rtp, now).then_some(Place::New(at, layer)),
                false => Some(Place::Known(at, layer)),
            };
        }
    }
    let mid = rtp.text(seat.extensions.mid);
    let is_meant = |source: &Source| match mid {
        Some(mid) => source.shown.mid.as_deref() == Some(mid),
        None => source.shown.ssrcs.contains(&rtp.ssrc),
    };
    let at = sources.iter().position(is_meant).or((sources.len() == 1).then_some(0))?;
    let source = &mut sources[at];
    let layer = match source.shown.rids.is_empty() {
        true => 0,
        false => {
            let rid = rtp.text(seat.extensions.rid)?;
            source.shown.rids.iter().position(|known| known == rid)?
        }
    };
    source.begin(layer, rtp, now).then_some(Place::New(at, layer))
}

impl Layer {
    fn begin(&mut self, rtp: &Rtp<'_>, now: Instant) {
        let reception = Some(Reception::new(rtp.ssrc, rtp.sequence));
        // Who begins anew by the same source may know the last command.
        let command = self.command;
        *self = Self { ssrc: Some(rtp.ssrc), heard: Some(now), reception, command, ..Self::default() };
    }

    /// Takes a packet; false if it came before. `since` is how long the leg has been there.
    pub(super) fn hear(&mut self, rtp: &Rtp<'_>, packet: &[u8], since: Duration, now: Instant) -> bool {
        if let Some(reception) = &mut self.reception {
            let arrival = (since.as_millis() as u32).wrapping_mul(90);
            reception.hear(rtp.sequence, rtp.timestamp, arrival);
        }
        self.rate.hear(rtp.octets(), now);
        self.heard = Some(now);
        let expected = self.instant_of(rtp.timestamp).unwrap_or(now);
        // What came earlier than expected came with less delay; the other way it is the clocks that drift, or the net.
        let instant = if now < expected { now } else { expected + now.duration_since(expected) / 512 };
        self.anchor = Some((rtp.timestamp, instant));
        self.sent.keep(rtp.sequence, packet)
    }

    /// When the picture of a timestamp would have come without delay.
    pub(super) fn instant_of(&self, timestamp: u32) -> Option<Instant> {
        let (known, instant) = self.anchor?;
        let ticks = timestamp.wrapping_sub(known).cast_signed();
        let apart = Duration::from_secs(1) * ticks.unsigned_abs() / 90_000;
        // A sender whose timestamps leap begins anew.
        let is_near = apart < LEAP;
        let instant = if ticks < 0 { instant.checked_sub(apart) } else { instant.checked_add(apart) };
        instant.filter(|_| is_near)
    }

    /// How much comes; `None` while nothing does.
    pub(super) fn pace(&self, now: Instant) -> Option<Pace> {
        self.rate.pace(now)
    }

    /// Whether it is time to ask for a whole picture: at most twice a second. Of which source, and by which number.
    pub(super) fn is_askable(&mut self, now: Instant) -> Option<(u32, u8)> {
        let ssrc = self.ssrc?;
        let is_due = self.asked.is_none_or(|asked| now.duration_since(asked) >= PAUSE);
        is_due.then(|| self.asked = Some(now))?;
        // RFC 5104 §4.3.1.1: a repetition has the number of what it repeats.
        if !std::mem::replace(&mut self.is_awaited, true) {
            self.command = self.command.wrapping_add(1);
        }
        Some((ssrc, self.command))
    }

    /// A whole picture came.
    pub(super) fn hear_whole(&mut self) {
        self.is_awaited = false;
    }

    /// A report of the sender came.
    pub(super) fn told(&mut self, ntp: u64, now: Instant) {
        self.report = Some(((ntp >> 16) as u32, now));
    }

    /// What a report says of it.
    pub(super) fn block(&mut self, now: Instant) -> Option<Block> {
        let mut block = self.reception.as_mut()?.report();
        if let Some((report, came)) = self.report {
            block.last_report = report;
            block.delay = (now.duration_since(came).as_micros() * 65_536 / 1_000_000) as u32;
        }
        Some(block)
    }
}

impl Rate {
    fn hear(&mut self, octets: usize, now: Instant) {
        match self.second {
            Some(second) if now.duration_since(second) < SECOND => self.octets += octets,
            Some(second) => {
                let is_next = now.duration_since(second) < SECOND * 2;
                self.before = is_next.then_some(self.octets);
                (self.second, self.octets) = (Some(now), octets);
            }
            None => (self.second, self.octets) = (Some(now), octets),
        }
    }

    fn pace(&self, now: Instant) -> Option<Pace> {
        let is_live = now.duration_since(self.second?) < SECOND * 2;
        let bits = self.before.unwrap_or(self.octets).max(1) as u64 * 8;
        is_live.then_some(Pace { bits, is_known: self.before.is_some() })
    }
}

/// Who sends nothing for so long is not seen.
const FROZEN: Duration = Duration::from_secs(5);
const LEAP: Duration = Duration::from_secs(10);
/// Between two requests to one layer.
pub(super) const PAUSE: Duration = Duration::from_millis(500);
const SECOND: Duration = Duration::from_secs(1);
/// How often layers of one source may begin in a second.
const MOST_BEGINS: u32 = 10;
