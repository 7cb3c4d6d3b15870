//! What is due when: the timers of all transactions of a shard.
//!
//! In    instants and what has work then. Out the earliest, and what is due.
//! State one line for each of the delays that most timers have (RFC 3261 table 4: B, D, T4, T1), which is in order as it is
//! filled, and a heap for the rest. An entry is never taken out early; who gets it looks whether it still counts.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

use super::Timers;

/// Entries by instant.
#[derive(Debug)]
pub(super) struct Due<K> {
    lines: Vec<(Duration, VecDeque<(Instant, K)>)>,
    rest: BinaryHeap<Reverse<(Instant, K)>>,
}

impl<K: Ord> Due<K> {
    pub(super) fn new(timers: &Timers) -> Self {
        let mut delays = vec![timers.b, timers.d, timers.t4, timers.t1];
        delays.sort_unstable();
        delays.dedup();
        let lines = delays.into_iter().map(|delay| (delay, VecDeque::new())).collect();
        Self { lines, rest: BinaryHeap::new() }
    }

    /// `key` has work at `at`; `now` never goes back.
    pub(super) fn push(&mut self, now: Instant, at: Instant, key: K) {
        let delay = at.saturating_duration_since(now);
        match self.lines.iter_mut().find(|(known, _)| *known == delay) {
            Some((_, line)) => line.push_back((at, key)),
            None => self.rest.push(Reverse((at, key))),
        }
    }

    /// The earliest instant.
    pub(super) fn first(&self) -> Option<Instant> {
        let fronts = self.lines.iter().filter_map(|(_, line)| line.front().map(|(at, _)| *at));
        fronts.chain(self.rest.peek().map(|Reverse((at, _))| *at)).min()
    }

    /// The earliest entry, if it is due.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(Instant, K)> {
        let first = self.first().filter(|first| *first <= now)?;
        let is_first = |front: Option<&(Instant, K)>| front.is_some_and(|(at, _)| *at == first);
        if let Some((_, line)) = self.lines.iter_mut().find(|(_, line)| is_first(line.front())) {
            return line.pop_front();
        }
        self.rest.pop().map(|Reverse(entry)| entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_in_order_whatever_its_delay() {
        let timers = Timers::default();
        let (start, mut due) = (Instant::now(), Due::new(&timers));
        let seconds = Duration::from_secs;
        for (now, delay, key) in
            [(0, timers.b, 'b'), (0, seconds(7), 'x'), (1, timers.t4, '4'), (2, timers.b, 'c')]
        {
            due.push(start + seconds(now), start + seconds(now) + delay, key);
        }
        assert_eq!(due.first(), Some(start + seconds(6)));
        assert_eq!(due.pop(start + seconds(5)), None);
        let keys: Vec<char> =
            std::iter::from_fn(|| due.pop(start + seconds(99)).map(|(_, key)| key)).collect();
        assert_eq!(keys, ['4', 'x', 'b', 'c']);
        assert_eq!(due.first(), None);
    }
}
