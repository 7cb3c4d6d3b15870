//! How long sound waits before it is mixed, and by which source it comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// How long sound waits before it is mixed, which pictures beside it want to know, and its source; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Waits(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    micros: AtomicU32,
    /// The source (RFC 3550 §3, SSRC), and one more; 0 while nothing came.
    source: AtomicU64,
}

impl Waits {
    pub(super) fn set(&self, waits: Duration) {
        self.0.micros.store(waits.as_micros() as u32, Ordering::Relaxed);
    }

    /// As it was half a second ago at the most.
    pub fn get(&self) -> Duration {
        Duration::from_micros(self.0.micros.load(Ordering::Relaxed).into())
    }

    pub(super) fn set_source(&self, ssrc: u32) {
        self.0.source.store(u64::from(ssrc) + 1, Ordering::Relaxed);
    }

    /// By which source the sound comes, once some did.
    pub fn source(&self) -> Option<u32> {
        self.0.source.load(Ordering::Relaxed).checked_sub(1).map(|ssrc| ssrc as u32)
    }
}
