//! What a leg did, and how well both ends hear each other — RFC 3550 §6.4 (what reports say), ITU-T G.107 (what a listener would).
//!
//! In    counts of packets, and the other end's reports. Out a mean opinion score; what we report of how we hear (RFC 3611 §4.7).
//! State none. Errors none.

use std::time::Duration;

use super::FRAME;
use super::playout::Playout;
use super::xr::Heard;

/// What a leg did since it was last asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets that were played.
    pub received: u64,
    /// Packets that never came.
    pub lost: u64,
    /// Packets that came too late or twice.
    pub late: u64,
    /// Packets sent.
    pub sent: u64,
    /// Datagrams that were no RTP of this leg.
    pub rejected: u64,
    /// Packets from a source that the leg does not believe, or whose protection is wrong.
    pub forged: u64,
    /// Protected packets that came before.
    pub replayed: u64,
}

/// How well both ends hear each other.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Quality {
    /// Packets that came.
    pub received: u64,
    /// How long ago the last of them came, or silence began to count.
    pub silent_for: Duration,
    /// Packets that never came.
    pub lost: u64,
    /// Packets that were sent there.
    pub sent: u64,
    /// Packets that came and were not believed.
    pub disbelieved: u64,
    /// Whether the peer ever said what it receives.
    pub has_reported: bool,
    /// Lost of 256 on the way to the peer, as it said last.
    pub lost_there: u8,
    /// There and back, if the peer told.
    pub round_trip: Option<Duration>,
    /// The mean deviation of the transit time.
    pub jitter: Duration,
    /// How the peer says that it hears (RFC 3611).
    pub there: Option<Heard>,
}

impl Quality {
    /// What a listener would say of it, 1 (bad) to 4.5 (good): the simplified E-model of ITU-T G.107, by delay and loss.
    pub fn mos(&self) -> f64 {
        let there_and_here = self.round_trip.unwrap_or_default() / 2 + self.jitter * 2;
        let here = self.lost as f64 / (self.lost + self.received).max(1) as f64;
        let there = self.there.map_or(0.0, |heard| f64::from(heard.lost) + f64::from(heard.discarded));
        score(rating(there_and_here, here.max(f64::from(self.lost_there).max(there) / 256.0)))
    }

    /// How we hear the peer, as we tell it.
    pub fn heard(&self, playout: &Playout) -> Heard {
        let (spread, packet) = (playout.spread(), playout.packet());
        let millis = |time: Duration| time.as_millis().min(u16::MAX.into()) as u16;
        let lasting = |packets: u64| millis(packet.saturating_mul(packets.min(u32::MAX.into()) as u32));
        let loss = (f64::from(spread.lost) + f64::from(spread.discarded)) / 256.0;
        // A frame is gathered before it is sent, and what came waits to be played.
        let inside = FRAME + playout.delay();
        let delay = self.round_trip.unwrap_or_default() / 2 + inside;
        let (listens, talks) = (rating(Duration::ZERO, loss), rating(delay, loss));
        let tenths = |rating| Some((score(rating) * 10.0).round().clamp(10.0, 50.0) as u8);
        let (waits, at_most) = playout.waits();
        Heard {
            lost: spread.lost,
            discarded: spread.discarded,
            burst: (spread.burst.0, lasting(spread.burst.1)),
            gap: (spread.gap.0, lasting(spread.gap.1)),
            round_trip: self.round_trip.map_or(0, millis),
            inside: millis(inside),
            rating: Some(talks.round() as u8),
            listening: tenths(listens),
            talking: tenths(talks),
            waits: (millis(waits), millis(at_most)),
        }
    }
}

/// R of the simplified E-model, 0 to 100.
fn rating(delay: Duration, loss: f64) -> f64 {
    let delay = delay.as_secs_f64() * 1_000.0;
    let delayed = 0.024 * delay + if delay > 177.3 { 0.11 * (delay - 177.3) } else { 0.0 };
    (93.2 - delayed - 30.0 * (1.0 + 15.0 * loss).ln()).clamp(0.0, 100.0)
}

/// The mean opinion score of an R.
fn score(rating: f64) -> f64 {
    1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6
}
