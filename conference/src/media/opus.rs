//! Opus — RFC 6716, carried as RFC 7587 says; always mono at 48 kHz here.
//!
//! In    packets of at most 1,275 octets a frame. Out frames of 20 ms, and back.
//! State the codec's own, behind a pointer: the library is a translation of libopus with C's face, or with the feature `c-opus` libopus
//! itself, so this file is the one place where `unsafe` stands. Each call passes a live state and slices with their true lengths.
//!
//! The translation lost a cast in the concealment of speech (`silk/PLC.rs` and `CNG.rs` of version 0.2.0 limit samples to
//! 0x8000 where -32768 is meant), so that one lost packet is a bang at full scale. It is never asked to conceal: not for a
//! lost packet, not by one that only begins a pause, not for the part of a lost packet that the next one does not know.
#![expect(
    unsafe_code,
    reason = "the codec has a C face; every call here passes a live state and true lengths"
)]

use std::ptr::NonNull;

#[cfg(feature = "c-opus")]
use libopus_sys as lib;
#[cfg(not(feature = "c-opus"))]
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

    /// Decodes one packet into at most `out.len()` samples; how many there were, or `None` if it is not Opus or says only
    /// that a pause begins (§3.1 allows such a packet, and RFC 6716 §2.1.9 gives it a meaning).
    pub fn decode(&mut self, packet: &[u8], out: &mut [i16]) -> Option<usize> {
        // The library would conceal: see above.
        let is_sound = packet.len() > PAUSE;
        is_sound.then(|| self.run(packet, out, 0)).flatten()
    }

    /// Decodes what a packet says of the one before it, which was lost, into `out`; `None` if it says nothing of it.
    pub fn decode_lost(&mut self, next: &[u8], out: &mut [i16]) -> Option<usize> {
        let knows = has_redundancy(next) && samples_of(next) == out.len();
        knows.then(|| self.run(next, out, 1)).flatten()
    }

    fn run(&mut self, packet: &[u8], out: &mut [i16], is_lost: i32) -> Option<usize> {
        let length = i32::try_from(packet.len()).ok().filter(|length| *length > 0)?;
        let room = i32::try_from(out.len()).ok()?;
        // SAFETY: the state is live; `packet` holds `length` octets; `out` has `room` samples of one channel.
        let samples = unsafe {
            lib::opus_decode(self.0.as_ptr(), packet.as_ptr(), length, out.as_mut_ptr(), room, is_lost)
        };
        usize::try_from(samples).ok()
    }
}

#[allow(clippy::unnecessary_cast, reason = "the two libraries have the same numbers in two types")]
impl Encoder {
    /// An encoder for speech of so many bits a second; `None` if there is no memory. With redundancy each packet says the
    /// one before it again, coarsely (RFC 6716 §2.1.7).
    pub fn new(bits_a_second: i32, has_redundancy: bool) -> Option<Self> {
        let mut error = 0;
        // SAFETY: `error` outlives the call; the result is checked for null.
        let state = unsafe {
            lib::opus_encoder_create(RATE as i32, 1, lib::OPUS_APPLICATION_VOIP as i32, &mut error)
        };
        let mut encoder = NonNull::new(state).map(Self)?;
        encoder.set(lib::OPUS_SET_COMPLEXITY_REQUEST as i32, COMPLEXITY);
        encoder.set(lib::OPUS_SET_BITRATE_REQUEST as i32, bits_a_second);
        if has_redundancy {
            encoder.set(lib::OPUS_SET_INBAND_FEC_REQUEST as i32, 1);
            encoder.set(lib::OPUS_SET_PACKET_LOSS_PERC_REQUEST as i32, LOSS);
        }
        Some(encoder)
    }

    /// The same, which says of silence but one packet in 400 ms, and between them that a pause goes on ([`PAUSE`]).
    pub fn with_pauses(mut self) -> Self {
        self.set(lib::OPUS_SET_DTX_REQUEST as i32, 1);
        self
    }

    /// One of the requests that take an integer.
    fn set(&mut self, request: i32, value: i32) {
        // SAFETY: the state is live, and the request takes one integer.
        #[cfg(feature = "c-opus")]
        unsafe {
            lib::opus_encoder_ctl(self.0.as_ptr(), request, value);
        }
        // SAFETY: as above.
        #[cfg(not(feature = "c-opus"))]
        unsafe {
            lib::opus_encoder_ctl!(self.0.as_ptr(), request, value);
        }
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

/// Samples at 48 kHz in a packet, by its first octets (RFC 6716 §3.1, table 2).
pub fn samples_of(packet: &[u8]) -> usize {
    let Some(first) = packet.first() else { return 0 };
    let configuration = first >> 3;
    let frame = match configuration {
        0..12 => [480, 960, 1_920, 2_880][usize::from(configuration % 4)],
        12..16 => [480, 960][usize::from(configuration % 2)],
        _ => [120, 240, 480, 960][usize::from(configuration % 4)],
    };
    let frames = match first & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => packet.get(1).map_or(0, |second| usize::from(second & 0x3f)),
    };
    frame * frames
}

/// Whether a packet is of speech, or of speech with music above it, and not of music alone (table 2).
pub fn is_speech(packet: &[u8]) -> bool {
    packet.first().is_some_and(|first| first >> 3 < 16)
}

/// Whether a packet of one or two short frames of speech says the frame before it again: its second bit, after that of
/// voice activity (§4.2.3, §4.2.4).
fn has_redundancy(packet: &[u8]) -> bool {
    let is_short = packet
        .first()
        .is_some_and(|first| first & 3 < 2 && matches!(first >> 3, 0 | 1 | 4 | 5 | 8 | 9 | 12..16));
    is_short && packet.get(1).is_some_and(|second| second & 0x40 != 0)
}

/// Whether a packet may have voice in it: not if it is one frame of speech whose encoder says that nobody speaks, by the first
/// bits of the frame (§4.2.3): of each 20 ms of each channel one, and whether the frame before is said again.
pub fn may_be_voice(packet: &[u8]) -> bool {
    let [first, second, ..] = *packet else { return true };
    if !is_speech(packet) || first & 3 != 0 {
        return true;
    }
    let frames = samples_of(packet).div_ceil(SAMPLES);
    let active = |at: usize| second << at >> (8 - frames) != 0;
    let is_stereo = first & 4 != 0;
    active(0) || (is_stereo && active(frames + 1))
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

/// Octets of a packet whose frame has none or one: nothing but that a pause begins.
pub const PAUSE: usize = 2;
/// 0 to 10; at 5 a mono voice costs half of 10 and sounds the same at this rate.
const COMPLEXITY: i32 = 5;
/// Packets of a hundred that an encoder with redundancy counts as lost.
const LOSS: i32 = 10;

#[cfg(test)]
#[allow(clippy::unnecessary_cast, reason = "as above")]
mod tests {
    use super::*;

    #[test]
    fn a_tone_comes_back_as_loud() {
        let (mut encoder, mut decoder) = (Encoder::new(32_000, false).unwrap(), Decoder::new().unwrap());
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

    /// Speech with each third packet lost, as `lost` makes up for it from the packet after; how far that is from what was
    /// said, of the power of what was said.
    fn error_of(has_redundancy: bool, mut lost: impl FnMut(&mut Decoder, &[u8], &mut Frame)) -> f64 {
        let mut encoder = Encoder::new(32_000, has_redundancy).unwrap();
        let (mut whole, mut lossy) = (Decoder::new().unwrap(), Decoder::new().unwrap());
        let (mut power, mut error, mut is_lost, mut said) = (0.0, 0.0, false, [0; SAMPLES]);
        for n in 0.. {
            let Some(frame) = crate::mixer::Prompt::Entry.frame(n) else { break };
            let (mut packet, mut heard) = ([0; 400], [0; SAMPLES]);
            let octets = encoder.encode(&frame, &mut packet).unwrap();
            if is_lost {
                lost(&mut lossy, &packet[..octets], &mut heard);
                for (said, heard) in said.iter().zip(&heard) {
                    power += f64::from(*said).powi(2);
                    error += (f64::from(*said) - f64::from(*heard)).powi(2);
                }
            }
            whole.decode(&packet[..octets], &mut said).unwrap();
            is_lost = n % 3 == 2;
            if !is_lost {
                lossy.decode(&packet[..octets], &mut heard).unwrap();
            }
        }
        error / power
    }

    #[test]
    fn a_packet_says_what_was_lost_before_it() {
        let (mut told, mut all) = (0, 0);
        let error = error_of(true, |decoder, next, heard| {
            all += 1;
            told += usize::from(decoder.decode_lost(next, heard).is_some());
        });
        assert!(told * 10 >= all * 8 && error < 0.2, "{told} of {all}, {error}");
        let error =
            error_of(false, |decoder, next, heard| assert_eq!(decoder.decode_lost(next, heard), None));
        assert_eq!(error, 1.0, "silence, and no bang");
    }

    /// What a sender of two channels sends is folded into one.
    #[test]
    fn a_packet_of_two_channels_is_heard() {
        let mut error = 0;
        // SAFETY: `error` outlives the call; the result is checked for null.
        let state = unsafe {
            lib::opus_encoder_create(RATE as i32, 2, lib::OPUS_APPLICATION_AUDIO as i32, &mut error)
        };
        let mut stereo = Encoder(NonNull::new(state).unwrap());
        stereo.set(lib::OPUS_SET_FORCE_CHANNELS_REQUEST as i32, 2);
        let (mut decoder, mut heard) = (Decoder::new().unwrap(), 0.0);
        for n in 0..50 {
            let sample =
                |at: usize| ((n * SAMPLES + at) as f64 * 440.0 * std::f64::consts::TAU / 48_000.0).sin();
            // On the left alone.
            let both: [i16; SAMPLES * 2] =
                std::array::from_fn(|at| if at % 2 == 0 { (sample(at / 2) * 8_000.0) as i16 } else { 0 });
            let mut packet = [0; 400];
            // SAFETY: the state is live; `both` has `SAMPLES` samples of each of two channels; `packet` has 400 octets.
            let octets =
                unsafe { lib::opus_encode(state, both.as_ptr(), SAMPLES as i32, packet.as_mut_ptr(), 400) };
            let packet = &packet[..usize::try_from(octets).unwrap()];
            assert_eq!((packet[0] & 4, samples_of(packet)), (4, SAMPLES), "two channels");
            let mut out = [0; SAMPLES];
            assert_eq!(decoder.decode(packet, &mut out), Some(SAMPLES));
            heard = out.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / SAMPLES as f64;
        }
        assert!((2_000.0..4_000.0).contains(&heard.sqrt()), "half as loud: {}", heard.sqrt());
    }

    #[test]
    fn silence_is_a_packet_in_400_ms() {
        let mut encoder = Encoder::new(32_000, false).unwrap().with_pauses();
        let sent =
            (0..150).filter(|_| encoder.encode(&crate::media::SILENCE, &mut [0; 400]).unwrap() > PAUSE);
        assert!((5..=20).contains(&sent.count()));
    }

    #[test]
    fn what_is_not_opus_is_refused_and_harms_nothing() {
        let mut decoder = Decoder::new().unwrap();
        let mut out = [0; SAMPLES * 6];
        for garbage in [&[0xff_u8, 0xff, 0xff][..], &[3, 0], &[0x7f; 1500]] {
            let _either = decoder.decode(garbage, &mut out);
        }
        assert_eq!((decoder.decode(&[], &mut out), decoder.decode(&[0x48], &mut out)), (None, None));
    }
}
