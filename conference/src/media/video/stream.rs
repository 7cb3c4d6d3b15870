//! A stream that somebody sees: one source of ours, whose numbers go on from one sender to the next — RFC 3550 §5.1, RFC 7667 §3.7.
//!
//! In    packets of whoever is seen there. Out the same as packets of this stream. State how its numbers are shifted, and the
//!       last of them. Errors what is older than the picture by which somebody came in sight is nothing.

use std::time::{Duration, Instant};

use super::lately::Lately;
use super::rtp::{Head, Rtp};
use super::seat::View;
use crate::media::rtcp::Sent;
use crate::mixer::LegId;

/// A layer of what somebody shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Origin {
    pub(super) leg: LegId,
    pub(super) source: usize,
    pub(super) layer: usize,
}

impl Origin {
    pub(super) fn is_of(self, leg: LegId, source: usize) -> bool {
        self.leg == leg && self.source == source
    }
}

/// One stream of a viewer.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) view: View,
    /// Whom it shows.
    pub(super) seen: Option<Origin>,
    /// Whom it will show, with their next whole picture.
    pub(super) next: Option<Origin>,
    /// What it was sent again.
    pub(super) repeated: Lately,
    /// What is added to the numbers of whom it shows.
    shift: (u16, u32),
    /// The first of their packets that it showed: what is older is not its.
    first: u16,
    /// The last numbers that it was sent, and when.
    last: Option<(u16, u32, Instant)>,
    packets: u32,
    octets: u32,
    reported: Option<Instant>,
}

impl Stream {
    pub(super) fn of(view: View) -> Self {
        Self {
            view,
            seen: None,
            next: None,
            repeated: Lately::default(),
            shift: (0, 0),
            first: 0,
            last: None,
            packets: 0,
            octets: 0,
            reported: None,
        }
    }

    /// The streams of these views, and those of others that were before. A source's numbers go on for as long as its key lasts,
    /// whatever becomes of its view meanwhile (RFC 3711 §9.1).
    pub(super) fn of_all(views: &[View], mut before: Vec<Self>) -> (Vec<Self>, Vec<Self>) {
        let mut one = |view: &View| match before.iter().position(|known| known.view.ssrc == view.ssrc) {
            Some(at) => {
                let known = before.swap_remove(at);
                if known.view.content == view.content {
                    Self { view: *view, ..known }
                } else {
                    Self { view: *view, seen: None, next: None, ..known }
                }
            }
            None => Self::of(*view),
        };
        let streams = views.iter().map(&mut one).collect();
        before.iter_mut().for_each(|unseen| (unseen.seen, unseen.next) = (None, None));
        before.truncate(MOST_PARKED);
        (streams, before)
    }

    /// Their number of one of this stream's.
    pub(super) fn theirs(&self, ours: u16) -> u16 {
        ours.wrapping_sub(self.shift.0)
    }

    /// From this packet on it shows another; its numbers go on.
    pub(super) fn turn_to(&mut self, origin: Origin, rtp: &Rtp<'_>, now: Instant) {
        let (sequence, timestamp) = match self.last {
            Some((sequence, timestamp, then)) => {
                let ticks = (now.duration_since(then).as_millis() as u32).saturating_mul(90).max(1);
                (sequence.wrapping_add(1), timestamp.wrapping_add(ticks))
            }
            None => (rtp.sequence, rtp.timestamp),
        };
        self.shift = (sequence.wrapping_sub(rtp.sequence), timestamp.wrapping_sub(rtp.timestamp));
        (self.seen, self.next, self.first) = (Some(origin), None, rtp.sequence);
    }

    /// Whether a packet is from before they were seen.
    pub(super) fn is_before(&self, rtp: &Rtp<'_>) -> bool {
        (rtp.sequence.wrapping_sub(self.first) as i16) < 0
    }

    /// A packet of whom it shows, as one of its own.
    pub(super) fn rewrite(
        &mut self,
        rtp: &Rtp<'_>,
        payload_type: u8,
        transport: Option<(u8, u16)>,
        now: Instant,
    ) -> Vec<u8> {
        // Far enough on, what is older than the first is not known by its number any more.
        if rtp.sequence.wrapping_sub(self.first) > HALF {
            self.first = rtp.sequence.wrapping_sub(HALF);
        }
        let sequence = rtp.sequence.wrapping_add(self.shift.0);
        let timestamp = rtp.timestamp.wrapping_add(self.shift.1);
        let is_newer = |last: u16| (sequence.wrapping_sub(last) as i16) > 0;
        if self.last.is_none_or(|(last, ..)| is_newer(last)) {
            self.last = Some((sequence, timestamp, now));
        }
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(rtp.payload.len() as u32);
        rtp.after(&Head { payload_type, sequence, timestamp, ssrc: self.view.ssrc, transport })
    }

    /// What a report says of it, once a second: `theirs` is a timestamp of whom it shows, and `ntp` its time.
    pub(super) fn report(&mut self, theirs: u32, now: Instant, ntp: impl FnOnce() -> u64) -> Option<Sent> {
        if self.reported.is_some_and(|reported| now.duration_since(reported) < REPORTS) {
            return None;
        }
        self.reported = Some(now);
        let timestamp = theirs.wrapping_add(self.shift.1);
        Some(Sent { ntp: ntp(), timestamp, packets: self.packets, octets: self.octets })
    }
}

/// Streams of a leg that are kept while nobody sees them.
const MOST_PARKED: usize = 16;
/// Numbers that a packet may be late by.
const HALF: u16 = 0x4000;
/// Between two reports of a stream.
const REPORTS: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_on_after_nobody_saw_for_a_while() {
        let now = Instant::now();
        let view = |ssrc| View { ssrc, content: None, takes: 0 };
        let (mut streams, _) = Stream::of_all(&[view(1), view(2)], Vec::new());
        streams[0].last = Some((2_899, 7, now));
        let (none, parked) = Stream::of_all(&[], streams);
        assert!(none.is_empty() && parked.len() == 2);
        let (streams, parked) = Stream::of_all(&[view(2), view(1)], parked);
        assert!(parked.is_empty());
        assert_eq!(streams[1].last, Some((2_899, 7, now)), "one key, one use of each number");
    }
}
