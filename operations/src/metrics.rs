//! What is counted of the timeline.

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

/// Children kept for the hot paths.
#[derive(Clone)]
pub(crate) struct Metrics {
    /// Entries that are in the store.
    pub(crate) written: IntCounter,
    /// Facts that came too fast to be read.
    pub(crate) missed: IntCounter,
    /// Entries that nobody will see: the queue was full, the store refused, or the account had too many.
    pub(crate) dropped_full: IntCounter,
    pub(crate) dropped_store: IntCounter,
    pub(crate) dropped_pace: IntCounter,
}

impl Metrics {
    /// Registers all; an error names the metric that is there already.
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let written = IntCounter::with_opts(Opts::new(
            "operations_timeline_entries_total",
            "Entries of the timeline that were written.",
        ))?;
        let missed = IntCounter::with_opts(Opts::new(
            "operations_facts_missed_total",
            "Facts that came too fast for the timeline.",
        ))?;
        let dropped = IntCounterVec::new(
            Opts::new(
                "operations_timeline_dropped_total",
                "Entries of the timeline that were not written, by why.",
            ),
            &["reason"],
        )?;
        registry.register(Box::new(written.clone()))?;
        registry.register(Box::new(missed.clone()))?;
        registry.register(Box::new(dropped.clone()))?;
        let dropped_by = |reason| dropped.with_label_values(&[reason]);
        Ok(Self {
            written,
            missed,
            dropped_full: dropped_by("full"),
            dropped_store: dropped_by("store"),
            dropped_pace: dropped_by("pace"),
        })
    }
}
