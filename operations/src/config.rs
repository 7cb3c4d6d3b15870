//! `[operations]`: where metrics are served, and how much of the timeline is kept.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;
use shared_runtime::config::Key;

/// `[operations]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Where metrics and health are served, in the clear. Default 127.0.0.1:9478.
    pub listen: Vec<SocketAddr>,
    /// Entries of the timeline that are kept of one account, the newest. Default 1,000; 0 writes no timeline.
    pub timeline_entries: usize,
    /// How long an entry of the timeline is kept. Default seven days.
    #[serde(with = "shared_runtime::config::duration")]
    pub timeline_keep: Duration,
}

/// Every key of `[operations]`.
pub const KEYS: &[Key] = &[
    Key::new(
        "operations.listen",
        "[\"127.0.0.1:9478\"]",
        "/metrics, /healthz, /readyz, in the clear; [] closes it",
    ),
    Key::new(
        "operations.timeline_entries",
        "1000",
        "entries of the timeline kept of one account, the newest; 0: no timeline is written",
    ),
    Key::new("operations.timeline_keep", "\"7d\"", "how long an entry of the timeline is kept"),
];

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 9478))],
            timeline_entries: 1_000,
            timeline_keep: Duration::from_secs(7 * 86_400),
        }
    }
}
