//! A leg's codec: which formats there are, and their coders behind one face.
//!
//! In    an RTP payload. Out samples at 48 kHz, and back. State each coder's filters and predictors.
//! Errors a payload that is not of its format yields nothing; the play-out conceals the gap.

use super::resample::{Downsampler, Upsampler};
use super::{Frame, SAMPLES, g711, opus};

/// The formats that a leg may negotiate, in the order of our preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// RFC 7587, `opus/48000/2`.
    Opus,
    /// RFC 3551, `PCMU/8000`, static payload type 0.
    Pcmu,
    /// RFC 3551, `PCMA/8000`, static payload type 8.
    Pcma,
}

impl Format {
    /// All formats, most wanted first.
    pub const ALL: [Self; 3] = [Self::Opus, Self::Pcmu, Self::Pcma];

    /// The format that an `a=rtpmap` names (RFC 8866 §6.6), such as `opus/48000/2`; names compare without case.
    pub fn of_rtpmap(encoding: &str) -> Option<Self> {
        let mut parts = encoding.split('/');
        let (name, rate) = (parts.next()?, parts.next()?);
        match (name.to_ascii_lowercase().as_str(), rate) {
            ("opus", "48000") => Some(Self::Opus),
            ("pcmu", "8000") => Some(Self::Pcmu),
            ("pcma", "8000") => Some(Self::Pcma),
            _ => None,
        }
    }

    /// The format of a static payload type without `a=rtpmap` (RFC 3551 §6).
    pub fn of_static(payload_type: u8) -> Option<Self> {
        match payload_type {
            0 => Some(Self::Pcmu),
            8 => Some(Self::Pcma),
            _ => None,
        }
    }

    /// What an `a=rtpmap` says.
    pub fn rtpmap(self) -> &'static str {
        match self {
            Self::Opus => "opus/48000/2",
            Self::Pcmu => "PCMU/8000",
            Self::Pcma => "PCMA/8000",
        }
    }

    /// Ticks of the RTP clock in a frame of 20 ms.
    pub fn frame_ticks(self) -> u32 {
        match self {
            Self::Opus => 960,
            Self::Pcmu | Self::Pcma => 160,
        }
    }

    /// Samples at 48 kHz for one tick of the RTP clock.
    pub fn samples_a_tick(self) -> usize {
        match self {
            Self::Opus => 1,
            Self::Pcmu | Self::Pcma => 6,
        }
    }
}

/// Payloads to samples.
pub enum Decoder {
    /// Opus.
    Opus(opus::Decoder),
    /// G.711 with its table.
    G711(fn(u8) -> i16, Box<Upsampler>),
}

/// Frames to payloads.
pub enum Encoder {
    /// Opus.
    Opus(opus::Encoder),
    /// G.711 with its table.
    G711(fn(i16) -> u8, Box<Downsampler>),
}

impl Decoder {
    /// A decoder for `format`; `None` if there is no memory.
    pub fn new(format: Format) -> Option<Self> {
        Some(match format {
            Format::Opus => Self::Opus(opus::Decoder::new()?),
            Format::Pcmu => Self::G711(g711::ulaw_to_linear, Box::default()),
            Format::Pcma => Self::G711(g711::alaw_to_linear, Box::default()),
        })
    }

    /// Decodes one payload into `out`; how many samples at 48 kHz there were. Never more than [`LONGEST`].
    pub fn decode(&mut self, payload: &[u8], out: &mut [i16; LONGEST]) -> usize {
        match self {
            Self::Opus(opus) => opus.decode(payload, out).unwrap_or(0),
            Self::G711(table, up) => {
                let mut narrow = [0; LONGEST / 6];
                let taken = payload.len().min(narrow.len());
                for (sample, octet) in narrow.iter_mut().zip(payload) {
                    *sample = table(*octet);
                }
                up.process(&narrow[..taken], &mut out[..taken * 6]);
                taken * 6
            }
        }
    }

    /// Fills `out` with what may have been lost.
    pub fn conceal(&mut self, out: &mut Frame) {
        match self {
            Self::Opus(opus) => {
                if opus.decode(&[], out).is_none() {
                    out.fill(0);
                }
            }
            Self::G711(_, up) => up.process(&[0; SAMPLES / 6], out),
        }
    }
}

impl Encoder {
    /// An encoder for `format`; `None` if there is no memory.
    pub fn new(format: Format) -> Option<Self> {
        Some(match format {
            Format::Opus => Self::Opus(opus::Encoder::new()?),
            Format::Pcmu => Self::G711(g711::linear_to_ulaw, Box::default()),
            Format::Pcma => Self::G711(g711::linear_to_alaw, Box::default()),
        })
    }

    /// Encodes one frame into `out`; how many octets it took.
    pub fn encode(&mut self, frame: &Frame, out: &mut [u8; LARGEST_PAYLOAD]) -> usize {
        match self {
            Self::Opus(opus) => opus.encode(frame, out).unwrap_or(0),
            Self::G711(table, down) => {
                let mut narrow = [0; SAMPLES / 6];
                down.process(frame, &mut narrow);
                for (octet, sample) in out.iter_mut().zip(&narrow) {
                    *octet = table(*sample);
                }
                narrow.len()
            }
        }
    }
}

/// Samples of the longest packet that is played: 120 ms (RFC 6716 §2.1.4).
pub const LONGEST: usize = SAMPLES * 6;
/// Octets of the largest payload that is sent.
pub const LARGEST_PAYLOAD: usize = 400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints_rtpmaps() {
        for format in Format::ALL {
            assert_eq!(Format::of_rtpmap(format.rtpmap()), Some(format));
        }
        assert_eq!(Format::of_rtpmap("OPUS/48000/2"), Some(Format::Opus));
        assert_eq!(Format::of_rtpmap("opus/8000"), None);
        assert_eq!(Format::of_rtpmap("telephone-event/8000"), None);
        assert_eq!(Format::of_static(18), None);
    }

    #[test]
    fn every_format_carries_a_frame() {
        for format in Format::ALL {
            let (mut encoder, mut decoder) = (Encoder::new(format).unwrap(), Decoder::new(format).unwrap());
            let mut payload = [0; LARGEST_PAYLOAD];
            let octets = encoder.encode(&[1_000; SAMPLES], &mut payload);
            assert_eq!(decoder.decode(&payload[..octets], &mut [0; LONGEST]), SAMPLES, "{format:?}");
        }
    }

    #[test]
    fn a_payload_that_is_too_long_is_cut() {
        let mut decoder = Decoder::new(Format::Pcmu).unwrap();
        assert_eq!(decoder.decode(&[0xff; 60_000], &mut [0; LONGEST]), LONGEST);
    }
}
