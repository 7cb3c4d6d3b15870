//! What the conference counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use prometheus::{Counter, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::media::quality::Counters;

/// Children of all metrics of the conference, registered once.
#[derive(Clone)]
pub struct Metrics {
    legs: IntGauge,
    received: IntCounter,
    lost: IntCounter,
    sent: IntCounter,
    late: IntCounter,
    rejected: IntCounter,
    forged: IntCounter,
    replayed: IntCounter,
    lateness: Histogram,
    late_ticks: IntCounter,
    mixing: Counter,
    quality: Histogram,
    told: Histogram,
    pictures: IntCounter,
    requests: IntCounter,
    pictures_forged: IntCounter,
    voice_messages: IntCounterVec,
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
        let options = HistogramOpts::new(
            "conference_leg_mos",
            "What a listener would say of a leg that ended, 1 (bad) to 4.5 (good).",
        );
        let scores = vec![1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.3];
        let quality = Histogram::with_opts(options.buckets(scores.clone()))?;
        registry.register(Box::new(quality.clone()))?;
        let options = HistogramOpts::new(
            "conference_leg_told_mos",
            "What a leg that ended said that a listener there would say (RFC 3611), 1 (bad) to 5 (good).",
        );
        let told = Histogram::with_opts(options.buckets(scores))?;
        registry.register(Box::new(told.clone()))?;
        let mixing =
            Counter::new("conference_mixing_seconds_total", "Time that mixers spent in their ticks.")?;
        registry.register(Box::new(mixing.clone()))?;
        let options =
            Opts::new("conference_voice_messages_total", "Messages to mailboxes, by what became of them.");
        let voice_messages = IntCounterVec::new(options, &["outcome"])?;
        registry.register(Box::new(voice_messages.clone()))?;
        Ok(Self {
            voice_messages,
            legs,
            lateness,
            mixing,
            quality,
            told,
            late_ticks: counter("conference_ticks_late_total", "Ticks that began over 5 ms late.")?,
            late: counter("conference_rtp_late_total", "RTP packets that came too late or twice.")?,
            forged: counter(
                "conference_rtp_forged_total",
                "RTP packets from a source that was not signalled, or whose protection was wrong.",
            )?,
            replayed: counter("conference_rtp_replayed_total", "Protected RTP packets that came before.")?,
            received: counter("conference_rtp_received_total", "RTP packets that were played.")?,
            lost: counter("conference_rtp_lost_total", "RTP packets that never came.")?,
            sent: counter("conference_rtp_sent_total", "RTP packets sent.")?,
            pictures: counter(
                "conference_video_forwarded_total",
                "RTP packets of pictures that were forwarded.",
            )?,
            requests: counter("conference_video_requests_total", "Requests to who sends pictures.")?,
            pictures_forged: counter(
                "conference_video_forged_total",
                "Packets of pictures from a source that was not signalled, or whose protection was wrong.",
            )?,
            rejected: counter("conference_rtp_rejected_total", "Datagrams that were no RTP of their leg.")?,
        })
    }

    pub(crate) fn call_quality(&self, mos: f64, told: Option<f64>) {
        self.quality.observe(mos);
        told.into_iter().for_each(|mos| self.told.observe(mos));
    }

    pub(crate) fn voice_message(&self, outcome: &str) {
        self.voice_messages.with_label_values(&[outcome]).inc();
    }

    pub(crate) fn pictures(&self, forwarded: u64, requests: u64) {
        self.pictures.inc_by(forwarded);
        self.requests.inc_by(requests);
    }

    pub(crate) fn pictures_forged(&self) {
        self.pictures_forged.inc();
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
        if late > LATE {
            self.all.late_ticks.inc();
        }
    }

    pub(crate) fn spent(&self, time: Duration) {
        self.all.mixing.inc_by(time.as_secs_f64());
    }

    pub(crate) fn count(&self, counters: Counters) {
        self.all.received.inc_by(counters.received);
        self.all.lost.inc_by(counters.lost);
        self.all.late.inc_by(counters.late);
        self.all.forged.inc_by(counters.forged);
        self.all.replayed.inc_by(counters.replayed);
        self.all.sent.inc_by(counters.sent);
        self.all.rejected.inc_by(counters.rejected);
    }
}

/// A tick that begins later than this is counted.
const LATE: Duration = Duration::from_millis(5);
