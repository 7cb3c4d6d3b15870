//! What the conference counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge, Registry};

use crate::media::leg::Counters;

/// Children of all metrics of the conference, registered once.
#[derive(Clone)]
pub struct Metrics {
    legs: IntGauge,
    received: IntCounter,
    lost: IntCounter,
    sent: IntCounter,
    rejected: IntCounter,
    lateness: Histogram,
}

/// One mixer's share of the metrics.
#[derive(Clone)]
pub struct MixerMetrics {
    all: Metrics,
    legs: Arc<AtomicI64>,
}

impl Metrics {
    /// Registers the conference's metrics on `registry`.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone())).map(|()| counter)
        };
        let legs = IntGauge::new("conference_legs", "Legs that are in a mix.")?;
        registry.register(Box::new(legs.clone()))?;
        let buckets = vec![0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1];
        let options =
            HistogramOpts::new("conference_tick_lateness_seconds", "How late a mixer's tick began.");
        let lateness = Histogram::with_opts(options.buckets(buckets))?;
        registry.register(Box::new(lateness.clone()))?;
        Ok(Self {
            legs,
            lateness,
            received: counter("conference_rtp_received_total", "RTP packets that were played.")?,
            lost: counter("conference_rtp_lost_total", "RTP packets that never came.")?,
            sent: counter("conference_rtp_sent_total", "RTP packets sent.")?,
            rejected: counter("conference_rtp_rejected_total", "Datagrams that were no RTP of their leg.")?,
        })
    }

    /// A new mixer's share.
    pub fn mixer(&self) -> MixerMetrics {
        MixerMetrics { all: self.clone(), legs: Arc::default() }
    }
}

impl MixerMetrics {
    pub(crate) fn legs_set(&self, now: usize) {
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        self.all.legs.add(now - self.legs.swap(now, Ordering::Relaxed));
    }

    pub(crate) fn lateness(&self, late: Duration) {
        self.all.lateness.observe(late.as_secs_f64());
    }

    pub(crate) fn count(&self, counters: Counters) {
        self.all.received.inc_by(counters.received);
        self.all.lost.inc_by(counters.lost);
        self.all.sent.inc_by(counters.sent);
        self.all.rejected.inc_by(counters.rejected);
    }
}
