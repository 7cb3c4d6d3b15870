//! Pairs of domains that could not be joined lately — RFC 6120 §3.3 (reconnection: not at once, and less and less often).
//!
//! In    a failure, or a stream that stands. Out what a sender is told meanwhile.
//! State a bounded map; who is not in it is tried.

use std::time::{Duration, Instant};

use dashmap::DashMap;
use xmpp_core::StanzaError;
use xmpp_core::stream::server::Pair;

#[derive(Default)]
pub(super) struct Troubles(DashMap<Pair, Trouble>);

struct Trouble {
    error: StanzaError,
    failures: u32,
    until: Instant,
}

impl Troubles {
    pub(super) fn add(&self, pair: &Pair, error: &StanzaError) {
        let now = Instant::now();
        if self.0.len() >= MOST {
            self.0.retain(|_, trouble| trouble.until > now);
        }
        if self.0.len() >= MOST {
            return; // it is tried again, which is what happens without a list
        }
        let mut trouble = self.0.entry(pair.clone()).or_insert_with(|| Trouble {
            error: error.clone(),
            failures: 0,
            until: now,
        });
        trouble.error = error.clone();
        trouble.until = now + pause(trouble.failures);
        trouble.failures += 1;
    }

    /// Why the pair is not tried now, if it is not.
    pub(super) fn of(&self, pair: &Pair) -> Option<StanzaError> {
        let trouble = self.0.get(pair)?;
        (trouble.until > Instant::now()).then(|| trouble.error.clone())
    }

    pub(super) fn clear(&self, pair: &Pair) {
        self.0.remove(pair);
    }
}

fn pause(failures: u32) -> Duration {
    LONGEST.min(FIRST.saturating_mul(2_u32.saturating_pow(failures)))
}

/// After the first failure; then twice as long each time.
const FIRST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(300);
/// Pairs that are remembered.
const MOST: usize = 10_000;

#[cfg(test)]
mod tests {
    use xmpp_core::ErrorKind;

    use super::*;

    #[test]
    fn a_pair_rests_longer_each_time_until_it_is_joined() {
        let troubles = Troubles::default();
        let error: StanzaError = ErrorKind::RemoteServerTimeout.into();
        let [a, b] = ["a.example", "b.example"].map(|theirs| Pair::new("ours.example", theirs));
        troubles.add(&a, &error);
        assert_eq!((troubles.of(&a), troubles.of(&b)), (Some(error.clone()), None));
        troubles.clear(&a);
        assert_eq!(troubles.of(&a), None);
        let pauses: Vec<u64> = [0, 1, 2, 7, 8, 99].map(|failures| pause(failures).as_secs()).into();
        assert_eq!(pauses, [2, 4, 8, 256, 300, 300]);
    }
}
