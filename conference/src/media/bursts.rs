//! Times with many losses and times with few — RFC 3611 §4.7.2. Pure.
//!
//! In    of each packet in its order whether it was there to be played; what comes after it was waited for. Out parts of 256, and
//!       mean durations.
//! State counts, and the run of missing packets that is not over. Errors none.
//!
//! A burst begins and ends with a missing packet and has no [`GMIN`] packets in a row that were there; one missing packet alone is
//! none. What is between bursts is a gap.

use super::xr::GMIN;

/// What was missing, and how it was spread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Bursts {
    gaps: Periods,
    bursts: Periods,
    /// A run that began with a missing packet and may be a burst: until the last that was missing.
    run: Part,
    /// How many were there since.
    since: u32,
    is_gap: bool,
    /// Which of the last 64 were missing; the lowest bit is the last.
    recent: u64,
    late: u64,
}

/// Packets, and how many of them were missing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Part {
    all: u64,
    missing: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Periods {
    count: u64,
    part: Part,
}

/// Parts of 256, and mean durations in packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Spread {
    /// Never came.
    pub(super) lost: u8,
    /// Came too late.
    pub(super) discarded: u8,
    /// Missing in bursts, and how long those are.
    pub(super) burst: (u8, u64),
    /// Missing in gaps, and how long those are.
    pub(super) gap: (u8, u64),
}

impl Bursts {
    /// The next packet was there.
    pub(super) fn was_there(&mut self) {
        self.recent <<= 1;
        if self.run.all == 0 {
            return self.add_gap(Part { all: 1, missing: 0 });
        }
        self.since += 1;
        if self.since >= u32::from(GMIN) {
            self.end_run();
        }
    }

    /// The next packets were not.
    pub(super) fn were_missing(&mut self, count: u16) {
        for _ in 0..count {
            self.recent = self.recent << 1 | 1;
            self.run.all += u64::from(self.since) + 1;
            self.run.missing += 1;
            self.since = 0;
        }
    }

    /// One came after all: the last but so many before it, from 1 for the last.
    pub(super) fn was_late(&mut self, behind: u16) {
        let Some(bit) = behind.checked_sub(1).filter(|bit| *bit < 64).map(|bit| 1_u64 << bit) else { return };
        if self.recent & bit != 0 {
            self.recent &= !bit;
            self.late += 1;
        }
    }

    /// Numbers go on from elsewhere: what comes late is late for another place.
    pub(super) fn begin_anew(&mut self) {
        self.recent = 0;
    }

    /// How it is now. What is before the first packet and after the last is taken to be there.
    pub(super) fn spread(mut self) -> Spread {
        self.end_run();
        let (gaps, bursts) = (self.gaps, self.bursts);
        let all = gaps.part.all + bursts.part.all;
        let missing = gaps.part.missing + bursts.part.missing;
        let late = self.late.min(missing);
        let mean = |periods: Periods| periods.part.all.checked_div(periods.count).unwrap_or(0);
        Spread {
            lost: part(missing - late, all),
            discarded: part(late, all),
            burst: (part(bursts.part.missing, bursts.part.all), mean(bursts)),
            gap: (part(gaps.part.missing, gaps.part.all), mean(gaps)),
        }
    }

    /// The run of missing packets is over, and those that came since are of a gap.
    fn end_run(&mut self) {
        match (self.run.missing, self.since) {
            (0, _) => {}
            (1, since) => self.add_gap(Part { all: self.run.all + u64::from(since), missing: 1 }),
            (_, since) => {
                self.bursts.count += 1;
                self.bursts.part.all += self.run.all;
                self.bursts.part.missing += self.run.missing;
                self.is_gap = false;
                if since > 0 {
                    self.add_gap(Part { all: since.into(), missing: 0 });
                }
            }
        }
        (self.run, self.since) = (Part::default(), 0);
    }

    fn add_gap(&mut self, part: Part) {
        if !std::mem::replace(&mut self.is_gap, true) {
            self.gaps.count += 1;
        }
        self.gaps.part.all += part.all;
        self.gaps.part.missing += part.missing;
    }
}

/// §4.7.1: the whole part of 256ths, at most 255.
fn part(of: u64, all: u64) -> u8 {
    of.saturating_mul(256).checked_div(all).unwrap_or(0).min(255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `1` was there, `0` was lost, `X` came too late.
    fn after(story: &str) -> Spread {
        let mut bursts = Bursts::default();
        for packet in story.bytes() {
            match packet {
                b'1' => bursts.was_there(),
                b'0' => bursts.were_missing(1),
                _ => {
                    bursts.were_missing(1);
                    bursts.was_late(1);
                }
            }
        }
        bursts.spread()
    }

    #[test]
    fn the_example_of_the_specification() {
        // §4.7.2, of 64 packets of 10 ms: gaps of 230 and 290 ms around a burst of 120 ms.
        let spread = after("11110111111111111111111X111X1011110111111111111111111X1111111111");
        assert_eq!((spread.lost, spread.discarded), (12, 12));
        assert_eq!(spread.burst, (85, 12));
        assert_eq!(spread.gap, (9, 26));
    }

    #[test]
    fn what_is_whole_has_no_burst_and_what_is_not_there_no_gap() {
        assert_eq!(after("1111"), Spread { gap: (0, 4), ..Spread::default() });
        assert_eq!(after("0000"), Spread { lost: 255, burst: (255, 4), ..Spread::default() });
        assert_eq!(after(""), Spread::default());
        assert_eq!(
            after("10"),
            Spread { lost: 128, gap: (128, 2), ..Spread::default() },
            "one alone is no burst"
        );
    }

    #[test]
    fn what_comes_late_is_counted_once() {
        let mut bursts = Bursts::default();
        (0..200).for_each(|_| bursts.was_there());
        bursts.were_missing(2);
        bursts.was_there();
        for behind in [1, 2, 2, 0, 64, 65, u16::MAX] {
            bursts.was_late(behind);
        }
        assert_eq!((bursts.late, bursts.spread().discarded), (1, 1));
        bursts.were_missing(u16::MAX);
        bursts.was_late(64);
        assert_eq!(bursts.late, 2);
    }
}
