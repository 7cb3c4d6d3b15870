//! Which nonce counts were used (RFC 7616 §3.4, `nc`): the defence against replay.
//!
//! In    a nonce of ours and the count that came with it.
//! Out   whether this count is seen for the first time.
//! State for each nonce in use the highest count and a window of 64 below it; bounded. When full, the nonce that was
//!       used first goes, and whatever is as old and not remembered counts as stale. So does what was made before this
//!       process began, of which nobody remembers the counts, unless the clock was set back behind that moment.
//! Not here: other nodes' counts; a request is replayed to the node that it was sent to, or is stopped by its branch.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use crate::nonce::Nonce;

/// Counts seen, in shards by nonce.
pub(crate) struct Replay {
    /// When the process began, milliseconds since 1970.
    begun: u64,
    shards: Vec<Mutex<Shard>>,
}

#[derive(Default)]
struct Shard {
    seen: HashMap<Nonce, Window>,
    in_order: VecDeque<Nonce>,
    /// Nonces made up to this moment and not in `seen` may have been forgotten.
    forgotten: u64,
}

struct Window {
    highest: u32,
    /// Bit `n` says that `highest - n` was used.
    used: u64,
}

/// What the counts say about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Never seen.
    Fresh,
    /// Seen, or too far below what was seen.
    Replayed,
    /// Cannot be told any more.
    Forgotten,
}

impl Replay {
    /// Remembers from `now` on, milliseconds since 1970.
    pub(crate) fn new(now: i64) -> Self {
        let begun = u64::try_from(now).unwrap_or(0);
        Self { begun, shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    /// Uses a count of a nonce at `now`.
    pub(crate) fn count(&self, nonce: Nonce, count: u32, now: i64) -> Verdict {
        if nonce.made < self.begun && u64::try_from(now).is_ok_and(|now| now >= self.begun) {
            return Verdict::Forgotten;
        }
        let shard = &self.shards[usize::from(nonce.random[0]) % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner).count(nonce, count)
    }
}

impl Shard {
    fn count(&mut self, nonce: Nonce, count: u32) -> Verdict {
        if let Some(window) = self.seen.get_mut(&nonce) {
            return window.count(count);
        }
        if nonce.made <= self.forgotten {
            return Verdict::Forgotten;
        }
        if self.in_order.len() >= NONCES_PER_SHARD
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.seen.remove(&oldest);
            self.forgotten = self.forgotten.max(oldest.made);
        }
        self.in_order.push_back(nonce);
        self.seen.insert(nonce, Window { highest: count, used: 1 });
        Verdict::Fresh
    }
}

impl Window {
    fn count(&mut self, count: u32) -> Verdict {
        if count > self.highest {
            self.used = self.used.checked_shl(count - self.highest).unwrap_or(0) | 1;
            self.highest = count;
            return Verdict::Fresh;
        }
        match 1_u64.checked_shl(self.highest - count) {
            Some(bit) if self.used & bit == 0 => {
                self.used |= bit;
                Verdict::Fresh
            }
            _ => Verdict::Replayed,
        }
    }
}

const SHARDS: usize = 16;
/// 16 × 8192 nonces in use at once, about 10 MB.
const NONCES_PER_SHARD: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;

    fn nonce(made: u64) -> Nonce {
        Nonce { made, random: [0; 8] }
    }

    #[test]
    fn a_count_is_good_once_in_whatever_order() {
        let replay = Replay::new(0);
        for (count, expected) in [
            (1, Verdict::Fresh),
            (1, Verdict::Replayed),
            (5, Verdict::Fresh),
            (3, Verdict::Fresh),
            (3, Verdict::Replayed),
            (100, Verdict::Fresh),
            (36, Verdict::Replayed),
            (37, Verdict::Fresh),
        ] {
            assert_eq!(replay.count(nonce(1), count, 2), expected, "{count}");
        }
    }

    #[test]
    fn what_was_made_before_the_process_began_is_stale() {
        let replay = Replay::new(1_000);
        assert_eq!(replay.count(nonce(999), 1, 1_001), Verdict::Forgotten);
        assert_eq!(replay.count(nonce(1_000), 1, 1_001), Verdict::Fresh);
        assert_eq!(
            replay.count(nonce(500), 1, 501),
            Verdict::Fresh,
            "a clock that was set back stops nobody"
        );
    }

    #[test]
    fn what_was_forgotten_is_never_fresh_again() {
        let mut shard = Shard::default();
        for made in 1..=NONCES_PER_SHARD as u64 + 1 {
            assert_eq!(shard.count(nonce(made), 1), Verdict::Fresh);
        }
        assert_eq!(shard.count(nonce(1), 1), Verdict::Forgotten);
        assert_eq!(shard.count(nonce(2), 1), Verdict::Replayed);
        assert_eq!(shard.seen.len(), NONCES_PER_SHARD);
    }
}
