//! `[sip.records]`.

use serde::Deserialize;
use shared_runtime::config::Key;

/// `[sip.records]`: calls as they are written down.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RecordConfig {
    /// Rows that are kept, the newest; zero writes none. Default 1000000.
    pub keep: usize,
}

/// Every key of `[sip.records]`.
pub(crate) const KEYS: &[Key] =
    &[Key::new("sip.records.keep", "1000000", "rows of calls that are kept, the newest; 0 writes none")];

impl Default for RecordConfig {
    fn default() -> Self {
        Self { keep: 1_000_000 }
    }
}
