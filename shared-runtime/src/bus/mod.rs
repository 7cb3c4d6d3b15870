//! The bus of facts: whoever publishes does not know who listens.
//!
//! Facts are bounded and lossy: a listener that is too slow is told how many it missed and asks for a snapshot.

mod local;

pub use local::{Bus, Heard, Subscription};
