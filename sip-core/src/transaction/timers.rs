//! Timer values — RFC 3261 table 4.

use std::time::Duration;

/// The values that all others come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timers {
    /// Round-trip estimate; 500 ms.
    pub t1: Duration,
    /// Longest interval between retransmissions of other requests than INVITE, and of final responses; 4 s.
    pub t2: Duration,
    /// Longest time a message stays in the net; 5 s.
    pub t4: Duration,
    /// Timers B, F, H, L, M: how long a transaction lives without an answer; 32 s.
    pub b: Duration,
    /// Timer D: how long answers to a final response are absorbed; 32 s.
    pub d: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            b: Duration::from_secs(32),
            d: Duration::from_secs(32),
        }
    }
}
