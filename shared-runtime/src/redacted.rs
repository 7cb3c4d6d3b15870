//! Addresses and bodies in logs.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

/// Shows its content in logs only if the operator allowed that; otherwise a short, stable mark by which two lines
/// about the same thing can be told to be about the same thing.
pub struct Redacted<T>(pub T);

static SHOWN: AtomicBool = AtomicBool::new(true);

/// Whether [`Redacted`] values are shown. Process-wide; `telemetry.redact = true` turns it off.
pub(crate) fn show(shown: bool) {
    SHOWN.store(shown, Ordering::Relaxed);
}

impl<T: fmt::Display> fmt::Display for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if SHOWN.load(Ordering::Relaxed) {
            return self.0.fmt(f);
        }
        let text = self.0.to_string();
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        write!(f, "‹{hash:016x}›")
    }
}

impl<T: fmt::Display> fmt::Debug for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
