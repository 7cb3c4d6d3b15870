//! How much somebody can be sent — after draft-ietf-rmcat-gcc-02 §5 and §6, made simple; REMB where the peer counts itself. Pure.
//!
//! In    packets that depart, with their instants; how they came; what the peer says that it can take.
//! Out   bits a second. State the packets under way, the least delay of late, and the estimate.
//!
//! Without a sign of a queue the estimate grows by a twelfth a second; where packets wait longer than at the best of late, it
//! falls below what came; where more than a tenth is lost, it falls by half of that part.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::transport::Arrival;

/// What a leg can take.
#[derive(Debug, Default)]
pub(super) struct Bandwidth {
    begun: Option<Instant>,
    /// The number of the first packet of `departed`.
    first: u16,
    /// Packets in their order, with their octets, until it is known how they came.
    departed: VecDeque<Option<(Instant, usize)>>,
    /// The peer's own estimate.
    told: Option<u64>,
    estimate: Option<f64>,
    /// Microseconds that packets took at the best, in this and the last [`LATELY`]; by two clocks, so that they mean nothing
    /// alone.
    best: [Option<i64>; 2],
    turned: Option<Instant>,
    /// Bits a second that came.
    came: Option<f64>,
    lost: f64,
    heard: Option<Instant>,
    fell: Option<Instant>,
}

impl Bandwidth {
    /// A packet departs; its number.
    pub(super) fn depart(&mut self, octets: usize, now: Instant) -> u16 {
        self.begun.get_or_insert(now);
        if self.departed.len() == MOST {
            self.departed.pop_front();
            self.first = self.first.wrapping_add(1);
        }
        self.departed.push_back(Some((now, octets)));
        self.first.wrapping_add(self.departed.len() as u16 - 1)
    }

    /// The peer says what it can take.
    pub(super) fn tell(&mut self, bits: u64) {
        self.told = Some(bits);
    }

    /// Bits a second; `most` is what was agreed on, 0 if nothing was.
    pub(super) fn bits(&self, most: u64) -> Option<u64> {
        let most = Some(most).filter(|most| *most > 0);
        self.told.into_iter().chain(self.estimate.map(|bits| bits as u64)).chain(most).min()
    }

    /// What was learnt holds no more; packets go on to be numbered.
    pub(super) fn forget(&mut self) {
        let (begun, first, departed) = (self.begun, self.first, std::mem::take(&mut self.departed));
        *self = Self { begun, first, departed, ..Self::default() };
    }

    /// How packets came.
    pub(super) fn hear(&mut self, arrivals: &[Arrival], now: Instant) {
        let Some(begun) = self.begun else { return };
        let (mut bits, mut delays, mut lost) = (0, Vec::new(), 0);
        for (number, came) in arrivals {
            let known = self.departed.get_mut(usize::from(number.wrapping_sub(self.first)));
            let Some((then, octets)) = known.and_then(Option::take) else { continue };
            match came {
                Some(came) => {
                    bits += octets * 8;
                    delays.push(came - then.duration_since(begun).as_micros() as i64);
                }
                None => lost += 1,
            }
        }
        let all = delays.len() + lost;
        if all == 0 {
            return;
        }
        self.lost += (lost as f64 / all as f64 - self.lost) * WEIGHT;
        let since = self.heard.map_or(Duration::from_millis(100), |heard| now.duration_since(heard));
        let since = since.clamp(Duration::from_millis(20), Duration::from_secs(1)).as_secs_f64();
        self.heard = Some(now);
        let now_came = bits as f64 / since;
        let came = self.came.map_or(now_came, |came| came + (now_came - came) * WEIGHT);
        self.came = Some(came);
        let queue = self.queue(&delays, now);
        let estimate = self.estimate.get_or_insert(START);
        let may_fall = self.fell.is_none_or(|fell| now.duration_since(fell) >= CALM);
        if queue > LONGEST_QUEUE || self.lost > 0.1 {
            if may_fall {
                let lower = match queue > LONGEST_QUEUE {
                    true => came * 0.85,
                    false => *estimate * (1.0 - self.lost / 2.0),
                };
                (*estimate, self.fell) = (estimate.min(lower.max(LEAST)), Some(now));
            }
        } else if self.lost < 0.02 {
            *estimate = (*estimate * (1.0 + since / 12.0)).min(GREATEST);
        }
    }

    /// How much longer packets took than at the best of late.
    fn queue(&mut self, delays: &[i64], now: Instant) -> i64 {
        let Some(least) = delays.iter().min() else { return 0 };
        if self.turned.is_none_or(|turned| now.duration_since(turned) >= LATELY) {
            (self.best, self.turned) = ([None, self.best[0]], Some(now));
        }
        self.best[0] = Some(self.best[0].map_or(*least, |best| best.min(*least)));
        let best = self.best.into_iter().flatten().min().unwrap_or(*least);
        delays.iter().sum::<i64>() / delays.len() as i64 - best
    }
}

/// Packets under way that are known: over two seconds of a quick stream.
const MOST: usize = 2_048;
/// Bits a second of which nobody knows better yet.
const START: f64 = 2_500_000.0;
const LEAST: f64 = 100_000.0;
const GREATEST: f64 = 20_000_000.0;
/// How much a new figure counts.
const WEIGHT: f64 = 0.3;
/// Microseconds that packets may wait.
const LONGEST_QUEUE: i64 = 40_000;
const LATELY: Duration = Duration::from_secs(5);
/// Between two falls: what was sent before the first must be through.
const CALM: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests {
    use super::*;

    /// A net that lets so many bits a second through, in line, loses one packet of `loses`, and tells ten times a second.
    fn after(bandwidth: &mut Bandwidth, capacity: u64, sent: u64, loses: usize, seconds: u64) -> u64 {
        let begin = Instant::now();
        let (mut free, mut arrivals) = (0_u64, Vec::new());
        let gap = 1_200 * 8 * 1_000_000 / sent;
        for n in 0..seconds * 1_000_000 / gap {
            let (micros, now) = (n * gap, begin + Duration::from_micros(n * gap));
            let number = bandwidth.depart(1_200, now);
            free = free.max(micros) + 1_200 * 8 * 1_000_000 / capacity;
            let is_lost = loses > 0 && (n as usize).is_multiple_of(loses);
            // The peer's clock is another.
            arrivals.push((free, number, (!is_lost).then_some(free as i64 + 77_000_000)));
            if micros / 100_000 != (micros + gap) / 100_000 {
                let due: Vec<Arrival> = arrivals
                    .iter()
                    .filter(|(came, ..)| *came <= micros)
                    .map(|(_, n, came)| (*n, *came))
                    .collect();
                arrivals.retain(|(came, ..)| *came > micros);
                bandwidth.hear(&due, now);
            }
        }
        bandwidth.bits(0).unwrap()
    }

    #[test]
    fn a_narrow_net_is_noticed_and_a_wide_one_too() {
        let narrow = after(&mut Bandwidth::default(), 600_000, 1_200_000, 0, 4);
        assert!((300_000..700_000).contains(&narrow), "{narrow}");
        let wide = after(&mut Bandwidth::default(), 50_000_000, 1_200_000, 0, 4);
        assert!(wide > START as u64, "{wide}");
        let lossy = after(&mut Bandwidth::default(), 50_000_000, 1_200_000, 4, 4);
        assert!(lossy < 1_000_000, "{lossy}");
    }

    #[test]
    fn the_least_of_all_that_is_known_holds() {
        let mut bandwidth = Bandwidth::default();
        assert_eq!((bandwidth.bits(0), bandwidth.bits(900)), (None, Some(900)));
        bandwidth.tell(700);
        assert_eq!((bandwidth.bits(0), bandwidth.bits(500)), (Some(700), Some(500)));
        for _ in 0..MOST + 9 {
            bandwidth.depart(100, Instant::now());
        }
        assert_eq!(bandwidth.departed.len(), MOST);
        bandwidth.hear(&[(60_000, Some(i64::MAX)), (60_001, None)], Instant::now());
        assert_eq!(bandwidth.bits(0), Some(700), "of what never departed nothing is learnt");
    }
}
