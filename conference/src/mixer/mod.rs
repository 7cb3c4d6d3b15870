//! The mixer: every participant hears the sum of the others.
//!
//! In    one frame from each leg that speaks, every 20 ms.
//! Out   for each leg the sum less its own (N-1); legs that said nothing share one sum, encoded once a format.
//! State the legs and their gates. One task owns it; nothing is locked, and a tick allocates nothing.

mod legs;
mod task;
mod tone;

pub use legs::{Gate, LegId, Legs, Spoken};
pub use task::{Command, Heard, Mixer};
pub use tone::{Goertzel, Tone};
