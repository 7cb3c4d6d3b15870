//! The mixer: every participant hears the sum of the others.
//!
//! In    one frame from each leg that speaks, every 20 ms.
//! Out   for each leg the sum less its own (N-1); legs that said nothing share one sum, encoded once for all who want it
//! encoded alike.
//! State the legs and their gates. One thread owns a conference; nothing is locked, and a tick allocates little.

mod legs;
mod limiter;
mod loudest;
mod prompts;
mod shared;
mod tape;
mod threads;
mod tone;
mod words;

pub use legs::{Gate, LegId, Legs, MOST_GAIN, Peer, Spoken};
pub use prompts::Prompt;
pub use tape::{Ending, Recorded, Tail, Tape};
pub use threads::{Command, Heard, Mixer, Mixers};
pub use tone::{Goertzel, Tone};
pub use words::{Sound, Word};
