//! Opus — RFC 6716, carried as RFC 7587 says; always mono at 48 kHz here.
//!
//! In    packets of at most 1,275 octets a frame. Out frames of 20 ms, and back.
//! State the codec's own, behind a pointer: the library is a translation of libopus with C's face, so this file is the
//! one place where `unsafe` stands. Each call passes a live state and slices with their true lengths.
#![expect(
    unsafe_code,
    reason = "the codec has a C face; every call here passes a live state and true lengths"
)]

use std::ptr::NonNull;

#[allow(clippy::unsafe_removed_from_name, reason = "the name of the crate, not of what it does here")]
use unsafe_libopus as lib;

use super::{Frame, RATE, SAMPLES};

/// Opus to frames.
pub struct Decoder(NonNull<lib::OpusDecoder>);

/// Frames to Opus.
pub struct Encoder(NonNull<lib::OpusEncoder>);

// SAFETY: the states hold no reference to anything of the thread that made them, and `&mut self` keeps calls apart.
unsafe impl Send for Decoder {}
// SAFETY: as above.
unsafe impl Send for Encoder {}

impl Decoder {
    /// A decoder that has heard silence; `None` if there is no memory.
    pub fn new() -> Option<Self> {
        let mut error = 0;
        // SAFETY: `error` outlives the call; the result is checked for null.
        let state = unsafe { lib::opus_decoder_create(RATE as i32, 1, &mut error) };
        NonNull::new(state).map(Self)
    }

    /// Decodes one packet into at most `out.len()` samples; how many there were, or `None` if it is not Opus.
    /// An empty packet stands for a lost one: the decoder conceals `out.len()` samples.
    pub fn decode(&mut self, packet: &[u8], out: &mut [i16]) -> Option<usize> {
        let data = if packet.is_empty() { std::ptr::null() } else { packet.as_ptr() };
        let length = i32::try_from(packet.len()).ok()?;
        let room = i32::try_from(out.len()).ok()?;
        // SAFETY: the state is live; `data` holds `length` octets; `out` has `room` samples of one channel.
        let samples = unsafe { lib::opus_decode(self.0.as_ptr(), data, length, out.as_mut_ptr(), room, 0) };
        usize::try_from(samples).ok()
    }
}

impl Encoder {
    /// An encoder for speech; `None` if there is no memory.
    pub fn new() -> Option<Self> {
        let mut error = 0;
        // SAFETY: `error` outlives the call; the result is checked for null.
        let state =
            unsafe { lib::opus_encoder_create(RATE as i32, 1, lib::OPUS_APPLICATION_VOIP, &mut error) };
        let encoder = NonNull::new(state).map(Self)?;
        // SAFETY: the state is live, and the request takes one integer.
        unsafe {
            lib::opus_encoder_ctl!(encoder.0.as_ptr(), lib::OPUS_SET_COMPLEXITY_REQUEST, COMPLEXITY);
            lib::opus_encoder_ctl!(encoder.0.as_ptr(), lib::OPUS_SET_BITRATE_REQUEST, BITS_A_SECOND);
        }
        Some(encoder)
    }

    /// Encodes one frame into `out`; how many octets it took.
    pub fn encode(&mut self, frame: &Frame, out: &mut [u8]) -> Option<usize> {
        let room = i32::try_from(out.len()).ok()?;
        // SAFETY: the state is live; `frame` has `SAMPLES` samples of one channel; `out` has `room` octets.
        let octets = unsafe {
            lib::opus_encode(self.0.as_ptr(), frame.as_ptr(), SAMPLES as i32, out.as_mut_ptr(), room)
        };
        usize::try_from(octets).ok()
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: the state is live and not used again.
        unsafe { lib::opus_decoder_destroy(self.0.as_ptr()) }
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: the state is live and not used again.
        unsafe { lib::opus_encoder_destroy(self.0.as_ptr()) }
    }
}

/// 0 to 10; at 5 a mono voice costs half of 10 and sounds the same at this rate.
const COMPLEXITY: i32 = 5;
const BITS_A_SECOND: i32 = 32_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_comes_back_as_loud() {
        let (mut encoder, mut decoder) = (Encoder::new().unwrap(), Decoder::new().unwrap());
        let mut heard = 0.0;
        for n in 0..50 {
            let frame: Frame = std::array::from_fn(|i| {
                ((((n * SAMPLES + i) as f64) * 440.0 * std::f64::consts::TAU / 48_000.0).sin() * 8_000.0)
                    as i16
            });
            let mut packet = [0; 400];
            let octets = encoder.encode(&frame, &mut packet).unwrap();
            let mut out = [0; SAMPLES];
            assert_eq!(decoder.decode(&packet[..octets], &mut out), Some(SAMPLES));
            heard = out.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / SAMPLES as f64;
        }
        assert!((4_000.0..8_000.0).contains(&heard.sqrt()), "{}", heard.sqrt());
    }

    #[test]
    fn what_is_not_opus_is_refused_and_harms_nothing() {
        let mut decoder = Decoder::new().unwrap();
        let mut out = [0; SAMPLES * 6];
        for garbage in [&[0xff_u8, 0xff, 0xff][..], &[3, 0], &[0x7f; 1500]] {
            let _either = decoder.decode(garbage, &mut out);
        }
        assert_eq!(decoder.decode(&[], &mut out[..SAMPLES]), Some(SAMPLES), "concealment");
    }
}
