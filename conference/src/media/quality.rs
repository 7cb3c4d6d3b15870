//! What a leg did, and how well both ends hear each other — RFC 3550 §6.4 (what reports say), ITU-T G.107 (what a listener would).
//!
//! In    counts of packets, and the other end's reports. Out a mean opinion score. State none. Errors none.

use std::time::Duration;

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
}

impl Quality {
    /// What a listener would say of it, 1 (bad) to 4.5 (good): the simplified E-model of ITU-T G.107, by delay and loss.
    pub fn mos(&self) -> f64 {
        let there_and_here = self.round_trip.unwrap_or_default() / 2 + self.jitter * 2;
        let delay = there_and_here.as_secs_f64() * 1_000.0;
        let delayed = 0.024 * delay + if delay > 177.3 { 0.11 * (delay - 177.3) } else { 0.0 };
        let here = self.lost as f64 / (self.lost + self.received).max(1) as f64;
        let loss = here.max(f64::from(self.lost_there) / 256.0);
        let rating = (93.2 - delayed - 30.0 * (1.0 + 15.0 * loss).ln()).clamp(0.0, 100.0);
        1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6
    }
}
