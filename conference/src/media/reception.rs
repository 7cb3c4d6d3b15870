//! What a receiver knows of a sender — RFC 3550 §6.4.1 and appendix A.1, A.3, A.8.
//!
//! In    sequence numbers, timestamps and instants of packets. Out a report block. State counts and the jitter.

/// One sender, as we receive it.
#[derive(Debug, Clone, PartialEq)]
pub struct Reception {
    /// Whom we receive.
    pub ssrc: u32,
    base: u16,
    /// What would follow a number that was far from all others.
    far: Option<u16>,
    highest: u32,
    received: u32,
    transit: Option<u32>,
    /// Times 16, in ticks of the RTP clock.
    jitter: u32,
    expected_before: u32,
    received_before: u32,
}

/// A report block (§6.4.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Block {
    /// Whose packets it is about.
    pub ssrc: u32,
    /// Lost of 256 since the last report.
    pub fraction: u8,
    /// Lost in all; 24 bits with a sign.
    pub lost: i32,
    /// The highest sequence number with its cycles.
    pub highest: u32,
    /// Mean deviation of the transit time, in ticks of the RTP clock.
    pub jitter: u32,
    /// The middle of the NTP time of the last SR, or 0.
    pub last_report: u32,
    /// Since then, in 65,536ths of a second.
    pub delay: u32,
}

impl Reception {
    /// The first packet came.
    pub fn new(ssrc: u32, sequence: u16) -> Self {
        let highest = u32::from(sequence);
        Self {
            ssrc,
            base: sequence,
            far: None,
            highest,
            received: 0,
            transit: None,
            jitter: 0,
            expected_before: 0,
            received_before: 0,
        }
    }

    /// A packet came, at `arrival` in ticks of the RTP clock.
    pub fn hear(&mut self, sequence: u16, timestamp: u32, arrival: u32) {
        let ahead = sequence.wrapping_sub(self.highest as u16).cast_signed();
        if !(-MISORDER..DROPOUT).contains(&ahead) {
            // A.1: two in line say that the sender counts anew; one is nothing.
            if self.far != Some(sequence) {
                self.far = Some(sequence.wrapping_add(1));
                return;
            }
            *self = Self::new(self.ssrc, sequence);
        } else if ahead > 0 {
            self.highest = self.highest.wrapping_add(u32::from(ahead.unsigned_abs()));
        }
        self.received = self.received.wrapping_add(1);
        let transit = arrival.wrapping_sub(timestamp);
        if let Some(before) = self.transit.replace(transit) {
            // A.8: a sixteenth of the difference.
            let difference = transit.wrapping_sub(before).cast_signed().unsigned_abs().min(0xffff);
            self.jitter = self.jitter.wrapping_add(difference).wrapping_sub((self.jitter + 8) >> 4);
        }
    }

    /// The block of the next report.
    pub fn report(&mut self) -> Block {
        let expected = self.highest.wrapping_sub(u32::from(self.base)).wrapping_add(1);
        let lost = expected.wrapping_sub(self.received).cast_signed().clamp(-0x80_0000, 0x7f_ffff);
        let expected_now = expected.wrapping_sub(self.expected_before);
        let received_now = self.received.wrapping_sub(self.received_before);
        (self.expected_before, self.received_before) = (expected, self.received);
        let lost_now = expected_now.saturating_sub(received_now);
        let fraction =
            (u64::from(lost_now) * 256).checked_div(expected_now.into()).unwrap_or(0).min(255) as u8;
        let jitter = self.jitter >> 4;
        Block { ssrc: self.ssrc, fraction, lost, highest: self.highest, jitter, ..Block::default() }
    }
}

/// A.1: how far ahead, and behind, a number may be.
const DROPOUT: i16 = 3_000;
const MISORDER: i16 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_counts_anew_lost_nothing_by_it() {
        let mut reception = Reception::new(7, 10);
        let mut hear = |numbers: &[u16]| {
            numbers.iter().for_each(|n| reception.hear(*n, u32::from(*n) * 160, u32::from(*n) * 160));
            let block = reception.report();
            (block.lost, block.highest)
        };
        assert_eq!(hear(&[10, 11, 12]), (0, 12));
        assert_eq!(hear(&[20_000, 13]), (0, 13), "one is nothing");
        assert_eq!(hear(&[20_000, 20_001, 20_002]), (0, 20_002));
        assert_eq!(hear(&[5, 6, 8]), (1, 8));
    }

    #[test]
    fn counts_what_was_lost_across_the_wrap() {
        let mut reception = Reception::new(7, 65_530);
        for n in 0..100_u16 {
            if n % 4 != 3 {
                reception.hear(65_530_u16.wrapping_add(n), u32::from(n) * 160, u32::from(n) * 160);
            }
        }
        let block = reception.report();
        // The last one is lost too, which nobody can know yet.
        assert_eq!((block.lost, block.fraction, block.highest), (24, 62, 65_530 + 98));
        assert_eq!((block.ssrc, block.jitter), (7, 0));
        let again = reception.report();
        assert_eq!((again.lost, again.fraction), (24, 0));
    }

    #[test]
    fn jitter_nears_the_mean_difference() {
        let mut reception = Reception::new(7, 0);
        for n in 0..500_u32 {
            reception.hear(n as u16, n * 160, n * 160 + (n % 2) * 80);
        }
        let jitter = reception.report().jitter;
        assert!((70..=80).contains(&jitter), "{jitter}");
    }

    #[test]
    fn more_than_were_sent_are_no_loss() {
        let mut reception = Reception::new(7, 5);
        (0..10).for_each(|_| reception.hear(5, 0, 0));
        let block = reception.report();
        assert_eq!((block.lost, block.fraction), (-9, 0));
    }
}
