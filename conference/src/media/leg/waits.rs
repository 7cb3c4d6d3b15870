//! How long sound waits before it is mixed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How long sound waits before it is mixed, which pictures beside it want to know; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Waits(Arc<AtomicU32>);

impl Waits {
    pub(super) fn set(&self, waits: Duration) {
        self.0.store(waits.as_micros() as u32, Ordering::Relaxed);
    }

    /// As it was half a second ago at the most.
    pub fn get(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed).into())
    }
}
