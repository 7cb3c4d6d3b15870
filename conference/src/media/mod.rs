//! Sound: frames, codecs, and the RTP legs that carry them.
//!
//! Inside the house sound is always one [`Frame`]: 20 ms of mono at 48 kHz, 16-bit. A leg turns packets of its codec
//! into frames and back; the mixer sees frames alone.

mod bursts;
pub mod codec;
pub mod conceal;
pub mod dtls;
pub mod events;
mod fifo;
pub mod g711;
pub mod g722;
pub mod handshakes;
pub mod latch;
pub mod leg;
pub mod ogg;
pub mod opus;
mod pitch;
pub mod playout;
pub mod ports;
pub mod quality;
mod rational;
pub mod reception;
pub mod resample;
pub mod rtcp;
pub mod srtp;
pub mod video;
pub mod web;
pub mod xr;

/// Samples a second inside the house.
pub const RATE: usize = 48_000;
/// Samples in a frame.
pub const SAMPLES: usize = RATE / 50;
/// How long a frame lasts.
pub const FRAME: std::time::Duration = std::time::Duration::from_millis(20);

/// 20 ms of mono at 48 kHz.
pub type Frame = [i16; SAMPLES];

/// 20 ms of nothing.
pub const SILENCE: Frame = [0; SAMPLES];
