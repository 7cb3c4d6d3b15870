//! One tick of the mixer, without clock or socket of its own: hear all, sum, say to all.

use std::time::{Duration, Instant};

use crate::media::codec::{Encoder, Format, LARGEST_PAYLOAD};
use crate::media::leg::{Counters, Negotiated, RtpLeg};
use crate::media::{Frame, SAMPLES, SILENCE};

/// A leg's name in its mixer; never used twice in one conference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LegId(pub u64);

/// What may pass: from the mix to the leg, and from the leg into the mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// Hears and is heard.
    Open,
    /// Hears; what it says is dropped.
    Muted,
    /// On hold: neither hears nor is heard (RFC 3264 §8.4).
    Closed,
}

/// What a tick noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoken {
    /// No packet came from this leg for longer than allowed; said once.
    Silent(LegId),
}

/// All legs of one conference, and what the mix needs between ticks.
pub struct Legs {
    legs: Vec<Leg>,
    total: Box<[i32; SAMPLES]>,
    /// Encoders of the sum of all, for those who said nothing, one a format.
    shared: [Option<Encoder>; 3],
    patience: Duration,
}

struct Leg {
    id: LegId,
    rtp: RtpLeg,
    gate: Gate,
    heard: Frame,
    /// Ticks that this leg still counts as speaking; zero keeps its frame out of the mix.
    speaking: u8,
    is_reported: bool,
}

impl Legs {
    /// No legs; one that sends nothing for `patience` is reported.
    pub fn new(patience: Duration) -> Self {
        Self { legs: Vec::new(), total: Box::new([0; SAMPLES]), shared: [const { None }; 3], patience }
    }

    /// Adds a leg.
    pub fn add(&mut self, id: LegId, rtp: RtpLeg, gate: Gate) {
        self.legs.push(Leg { id, rtp, gate, heard: SILENCE, speaking: 0, is_reported: false });
    }

    /// Takes a leg out; its sockets close when the answer is dropped.
    pub fn remove(&mut self, id: LegId) -> Option<RtpLeg> {
        let position = self.legs.iter().position(|leg| leg.id == id)?;
        Some(self.legs.remove(position).rtp)
    }

    /// Opens or closes a leg.
    pub fn set_gate(&mut self, id: LegId, gate: Gate) {
        if let Some(leg) = self.legs.iter_mut().find(|leg| leg.id == id) {
            leg.gate = gate;
        }
    }

    /// Changes what offer and answer agreed on.
    pub fn renegotiate(&mut self, id: LegId, negotiated: Negotiated) {
        if let Some(leg) = self.legs.iter_mut().find(|leg| leg.id == id) {
            leg.rtp.renegotiate(negotiated);
        }
    }

    /// How many legs there are.
    pub fn len(&self) -> usize {
        self.legs.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.legs.is_empty()
    }

    /// Moves 20 ms of sound. `notice` hears what the focus should know.
    pub fn tick(&mut self, now: Instant, mut notice: impl FnMut(Spoken)) -> Counters {
        self.total.fill(0);
        for leg in &mut self.legs {
            leg.listen(now, &mut self.total);
            if leg.gate != Gate::Closed
                && now.duration_since(leg.rtp.last_heard()) > self.patience
                && !leg.is_reported
            {
                leg.is_reported = true;
                notice(Spoken::Silent(leg.id));
            }
        }
        let everybody = clip(&self.total, None);
        let mut encoded: [Option<(usize, [u8; LARGEST_PAYLOAD])>; 3] = [None; 3];
        let mut counters = Counters::default();
        for leg in &mut self.legs {
            if leg.gate == Gate::Closed {
                leg.rtp.skip();
            } else if leg.is_in_mix() {
                leg.rtp.say(&clip(&self.total, Some(&leg.heard)));
            } else {
                let slot = slot(leg.rtp.negotiated().format);
                let encoder = &mut self.shared[slot];
                let (octets, payload) = encoded[slot].get_or_insert_with(|| {
                    let mut payload = [0; LARGEST_PAYLOAD];
                    if encoder.is_none() {
                        *encoder = Encoder::new(leg.rtp.negotiated().format);
                    }
                    let octets =
                        encoder.as_mut().map_or(0, |encoder| encoder.encode(&everybody, &mut payload));
                    (octets, payload)
                });
                leg.rtp.send(&payload[..*octets]);
            }
            counters.add(leg.rtp.take_counters());
        }
        counters
    }
}

impl Leg {
    fn listen(&mut self, now: Instant, total: &mut [i32; SAMPLES]) {
        let is_playing = self.rtp.hear(now, &mut self.heard);
        let is_loud = is_playing && self.gate == Gate::Open && energy(&self.heard) > QUIET;
        self.speaking = if is_loud { HANGOVER } else { self.speaking.saturating_sub(1) };
        if self.is_in_mix() {
            for (sum, sample) in total.iter_mut().zip(&self.heard) {
                *sum += i32::from(*sample);
            }
        }
    }

    fn is_in_mix(&self) -> bool {
        self.speaking > 0 && self.gate == Gate::Open
    }
}

impl Counters {
    fn add(&mut self, more: Self) {
        self.received += more.received;
        self.lost += more.lost;
        self.sent += more.sent;
        self.rejected += more.rejected;
    }
}

/// The sum, less one's own, within 16 bits.
fn clip(total: &[i32; SAMPLES], own: Option<&Frame>) -> Frame {
    std::array::from_fn(|n| {
        let others = total[n] - own.map_or(0, |own| i32::from(own[n]));
        others.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
    })
}

/// Mean square of a frame.
fn energy(frame: &Frame) -> i64 {
    frame.iter().map(|sample| i64::from(*sample).pow(2)).sum::<i64>() / SAMPLES as i64
}

fn slot(format: Format) -> usize {
    match format {
        Format::Opus => 0,
        Format::Pcmu => 1,
        Format::Pcma => 2,
    }
}

/// Mean square below which a frame is silence: -60 dB of full scale.
const QUIET: i64 = 33 * 33;
/// Ticks that a speaker stays in the mix after the last loud frame: 300 ms.
const HANGOVER: u8 = 15;
