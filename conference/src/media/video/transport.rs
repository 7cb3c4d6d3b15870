//! How packets of a whole transport came — draft-holmer-rmcat-transport-wide-cc-extensions-01, §2 (numbers), §3.1 (feedback). Pure.
//!
//! ```text
//! |      base number      |    count of packets   |   chunks: 0 | what (2) | how many (13)
//! |  time of reference, 64 ms (24)    | feedback (8)|           1 | 1 | seven times what (2)
//! what: 0 did not come, 1 came within 63.75 ms of the one before, 2 came at another time
//! ```
//! In    numbers of packets with their instants; feedback of a peer. Out feedback, ten times a second; when each packet came,
//!       by the peer's clock. State what came since the last feedback, at most [`MOST`].
//! Errors feedback that is cut off says what it says until there.

use std::time::{Duration, Instant};

use super::feedback::{Us, about_transport};

/// What came of a sender since it was told last.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    begun: Option<Instant>,
    came: Vec<(u16, Instant)>,
    /// The number after the last that it was told of.
    next: Option<u16>,
    told: Option<Instant>,
    count: u8,
}

/// One packet of ours in a feedback: its number, and when it came, in microseconds of the peer's clock.
pub type Arrival = (u16, Option<i64>);

impl Arrivals {
    /// A packet came; feedback for `theirs` if that is due.
    pub(super) fn hear(&mut self, number: u16, ours: Us, theirs: u32, now: Instant) -> Option<Vec<u8>> {
        let begun = *self.begun.get_or_insert(now);
        self.came.push((number, now));
        let told = *self.told.get_or_insert(now);
        let is_due = now.duration_since(told) >= INTERVAL || self.came.len() >= MOST / 2;
        is_due.then(|| self.print(ours, theirs, begun, now)).flatten()
    }

    fn print(&mut self, ours: Us, theirs: u32, begun: Instant, now: Instant) -> Option<Vec<u8>> {
        self.told = Some(now);
        let mut came = std::mem::take(&mut self.came);
        let first = came.first()?.0;
        let base =
            came.iter().map(|(number, _)| *number).min_by_key(|number| number.wrapping_sub(first) as i16)?;
        // What was lost since the last feedback is told of, too, unless that is a sender that began anew.
        let base = self.next.filter(|next| usize::from(base.wrapping_sub(*next)) < MOST / 2).unwrap_or(base);
        came.retain(|(number, _)| usize::from(number.wrapping_sub(base)) < MOST);
        came.sort_by_key(|(number, _)| number.wrapping_sub(base));
        came.dedup_by_key(|(number, _)| *number);
        let last = came.last()?.0;
        self.next = Some(last.wrapping_add(1));
        let micros = |then: Instant| then.duration_since(begun).as_micros() as i64;
        let reference = micros(came.first()?.1) / REFERENCE;
        let mut before = reference * REFERENCE;
        let mut whats = vec![0_u8; usize::from(last.wrapping_sub(base)) + 1];
        let mut deltas = Vec::new();
        for (number, then) in came {
            let delta = (micros(then) - before) / TICK;
            let what = &mut whats[usize::from(number.wrapping_sub(base))];
            match (u8::try_from(delta), i16::try_from(delta)) {
                (Ok(small), _) => {
                    deltas.push(small);
                    *what = SMALL;
                }
                (_, Ok(large)) => {
                    deltas.extend(large.to_be_bytes());
                    *what = LARGE;
                }
                // Further apart than can be said: as if it had not come.
                _ => continue,
            }
            before += delta * TICK;
        }
        let mut body = base.to_be_bytes().to_vec();
        body.extend((whats.len() as u16).to_be_bytes());
        body.extend(&(reference as u32).to_be_bytes()[1..]);
        body.push(self.count);
        self.count = self.count.wrapping_add(1);
        body.extend(chunks(&whats).into_iter().flat_map(u16::to_be_bytes));
        body.extend(deltas);
        body.resize(body.len().next_multiple_of(4), 0);
        Some(about_transport(ours, theirs, &body))
    }
}

fn chunks(mut whats: &[u8]) -> Vec<u16> {
    let mut chunks = Vec::new();
    while let Some(first) = whats.first() {
        let run = whats.iter().take_while(|what| *what == first).count().min(0x1fff);
        let taken = if run >= 7 || run == whats.len() {
            chunks.push(u16::from(*first) << 13 | run as u16);
            run
        } else {
            let seven = whats.iter().take(7).enumerate();
            chunks.push(seven.fold(0xc000, |chunk, (n, what)| chunk | u16::from(*what) << (12 - 2 * n)));
            whats.len().min(7)
        };
        whats = &whats[taken..];
    }
    chunks
}

/// What the body of a feedback says, from its base number on.
pub(super) fn read(body: &[u8]) -> Option<Vec<Arrival>> {
    let (head, mut rest) = body.split_first_chunk::<8>()?;
    let mut number = u16::from_be_bytes([head[0], head[1]]);
    let count = usize::from(u16::from_be_bytes([head[2], head[3]])).min(MOST);
    let reference = i32::from_be_bytes([head[4], head[5], head[6], 0]) >> 8;
    let mut whats = Vec::with_capacity(count);
    while whats.len() < count {
        let (chunk, after) = rest.split_first_chunk::<2>()?;
        let chunk = u16::from_be_bytes(*chunk);
        match chunk >> 14 {
            0 | 1 => {
                let run = usize::from(chunk & 0x1fff).min(count - whats.len());
                whats.extend(std::iter::repeat_n((chunk >> 13 & 3) as u8, run));
            }
            2 => whats.extend((0..14).map(|n| (chunk >> (13 - n) & 1) as u8)),
            _ => whats.extend((0..7).map(|n| (chunk >> (12 - 2 * n) & 3) as u8)),
        }
        rest = after;
        if chunk & 0x9fff == 0 {
            // A run of nothing goes nowhere.
            return None;
        }
    }
    whats.truncate(count);
    let mut arrivals = Vec::with_capacity(count);
    let mut time = i64::from(reference) * REFERENCE;
    for what in whats {
        let delta = match what {
            SMALL => {
                let Some((delta, after)) = rest.split_first() else { break };
                rest = after;
                Some(i64::from(*delta))
            }
            LARGE => {
                let Some((delta, after)) = rest.split_first_chunk::<2>() else { break };
                rest = after;
                Some(i64::from(i16::from_be_bytes(*delta)))
            }
            _ => None,
        };
        time += delta.unwrap_or(0) * TICK;
        arrivals.push((number, delta.map(|_| time)));
        number = number.wrapping_add(1);
    }
    Some(arrivals)
}

const SMALL: u8 = 1;
const LARGE: u8 = 2;
/// Microseconds of a time of reference, and of a difference.
const REFERENCE: i64 = 64_000;
const TICK: i64 = 250;
/// Packets that one feedback tells of.
const MOST: usize = 1_024;
/// Between two feedbacks.
const INTERVAL: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    const US: Us = Us { ssrc: 1, cname: 1 };

    fn told(numbers: &[(u16, u64)]) -> Vec<Arrival> {
        let (mut arrivals, now) = (Arrivals::default(), Instant::now());
        let mut feedback = None;
        for (number, micros) in numbers {
            feedback = feedback.or(arrivals.hear(*number, US, 2, now + Duration::from_micros(*micros)));
        }
        let feedback = feedback.unwrap();
        let wishes = super::super::feedback::read(&feedback);
        let [super::super::feedback::Wish::Arrived(arrivals)] = &wishes[..] else { panic!("{wishes:?}") };
        arrivals.clone()
    }

    #[test]
    fn what_came_and_what_did_not_is_told() {
        let expected =
            [(65_534, Some(0)), (65_535, None), (0, Some(10_000)), (1, Some(5_000)), (2, Some(120_000))];
        assert_eq!(told(&[(65_534, 0), (1, 5_000), (0, 10_000), (2, 120_000)]), expected);
        let mut far = vec![(0, 0)];
        far.extend((100..130).map(|n| (n, u64::from(n) * 1_000)));
        let told = told(&far);
        assert_eq!((told.len(), told.iter().filter(|(_, came)| came.is_some()).count()), (101, 2));
        assert_eq!(told[100], (100, Some(100_000)));
    }

    #[test]
    fn feedback_goes_on_where_the_last_one_ended() {
        let (mut arrivals, now) = (Arrivals::default(), Instant::now());
        let at = |millis| now + Duration::from_millis(millis);
        assert!(arrivals.hear(7, US, 2, at(0)).is_none());
        assert!(arrivals.hear(8, US, 2, at(100)).is_some());
        let next = arrivals.hear(12, US, 2, at(200)).unwrap();
        let wishes = super::super::feedback::read(&next);
        let [super::super::feedback::Wish::Arrived(told)] = &wishes[..] else { panic!("{wishes:?}") };
        let numbers: Vec<_> = told.iter().map(|(number, came)| (*number, came.is_some())).collect();
        assert_eq!(numbers, [(9, false), (10, false), (11, false), (12, true)]);
    }

    #[test]
    fn no_feedback_harms() {
        let one_bit = [0, 5, 0, 3, 0, 0, 1, 0, 0xb0, 0, 4, 8];
        assert_eq!(read(&one_bit).unwrap(), [(5, Some(65_000)), (6, Some(67_000)), (7, None)]);
        for length in 0..one_bit.len() {
            read(&one_bit[..length]);
        }
        assert_eq!(read(&[0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0]), None, "a run of nothing");
        assert_eq!(read(&[0, 0, 0xff, 0xff, 0, 0, 0, 0, 0x1f, 0xff]).unwrap().len(), MOST);
    }
}
