//! How late we are: how long messages wait from their arrival to their turn, as a moving mean.
//!
//! In    of each message how long it waited, by the socket that it came from: datagrams since the system took them in, others since
//! they were read. Each datagram socket has a queue of its own, so that one that is full says nothing of another; connections have one mean, and what
//! this process says to itself another.
//! Out   a mean that rises over [`RISES`] messages and falls over [`FALLS`], since one long wait may be an accident and a short one
//! shows that the queue is short; nothing once no message came for [`STALE`].
//! Whoever decides what is refused under overload (RFC 7339 calls it the throttling algorithm) asks this.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::flow::{Flow, Transport};
use crate::transport::udp;

#[derive(Debug)]
pub(crate) struct Lateness {
    begun: Instant,
    lanes: [Lane; LANES],
}

/// What some sockets have together.
#[derive(Debug, Default)]
struct Lane {
    /// Microseconds times [`RISES`].
    mean: AtomicU64,
    /// When the last message was counted, in microseconds since the beginning.
    last: AtomicU64,
}

impl Default for Lateness {
    fn default() -> Self {
        Self { begun: Instant::now(), lanes: Default::default() }
    }
}

impl Lateness {
    /// A message of this flow waited so long. Two that say so at the same moment may count as one.
    pub(crate) fn waited(&self, flow: &Flow, waited: Duration, now: Instant) {
        let lane = self.lane(flow);
        let waited = micros(waited).min(LONGEST);
        let mean = if self.is_stale(lane, now) { 0 } else { lane.mean.load(Ordering::Relaxed) };
        let over = if waited * RISES < mean { FALLS } else { RISES };
        lane.mean.store(mean - mean / over + waited * RISES / over, Ordering::Relaxed);
        lane.last.store(micros(now - self.begun), Ordering::Relaxed);
    }

    /// The mean of a socket's messages.
    pub(crate) fn mean(&self, flow: &Flow, now: Instant) -> Duration {
        let lane = self.lane(flow);
        if self.is_stale(lane, now) {
            return Duration::ZERO;
        }
        Duration::from_micros(lane.mean.load(Ordering::Relaxed) / RISES)
    }

    fn lane(&self, flow: &Flow) -> &Lane {
        let at = match flow.transport {
            Transport::InProcess => 0,
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => 1,
            Transport::Udp => 2 + udp::listener_of(flow) % (LANES - 2),
        };
        &self.lanes[at]
    }

    fn is_stale(&self, lane: &Lane, now: Instant) -> bool {
        micros(now - self.begun).saturating_sub(lane.last.load(Ordering::Relaxed)) > micros(STALE)
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Means; of more datagram sockets than fit, some share one.
const LANES: usize = 16;
/// Messages over which the mean rises, about.
const RISES: u64 = 64;
/// Messages over which it falls.
const FALLS: u64 = 8;
/// A queue that nothing came out of for so long is another queue.
const STALE: Duration = Duration::from_millis(500);
/// Microseconds: ten seconds.
const LONGEST: u64 = 10_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(listener: u64) -> Flow {
        let nowhere = ([127, 0, 0, 1], 1).into();
        Flow { transport: Transport::Udp, id: listener, local: nowhere, remote: nowhere }
    }

    #[test]
    fn the_mean_follows_what_messages_waited_and_is_forgotten() {
        let lateness = Lateness::default();
        let now = Instant::now();
        let say = |millis, times: usize| {
            (0..times).for_each(|_| lateness.waited(&flow(0), Duration::from_millis(millis), now))
        };
        say(1_000, 1);
        assert!(lateness.mean(&flow(0), now) < Duration::from_millis(20), "one late message is an accident");
        say(1_000, 500);
        assert!(lateness.mean(&flow(0), now) > Duration::from_millis(900));
        say(0, 30);
        assert!(lateness.mean(&flow(0), now) < Duration::from_millis(20));
        say(u64::MAX, 500);
        assert_eq!(lateness.mean(&flow(1), now), Duration::ZERO, "another socket is not late");
        assert!(lateness.mean(&flow(0), now) <= Duration::from_secs(10));
        let later = now + Duration::from_secs(1);
        assert_eq!(lateness.mean(&flow(0), later), Duration::ZERO);
        lateness.waited(&flow(0), Duration::ZERO, later);
        assert_eq!(
            lateness.mean(&flow(0), later),
            Duration::ZERO,
            "what was before the pause does not count"
        );
    }
}
