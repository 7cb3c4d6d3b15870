//! A leg's codec: which formats there are, and their coders behind one face.
//!
//! In    an RTP payload. Out samples at 48 kHz, and back. State each coder's filters and predictors.
//! Errors a payload that is not of its format yields nothing; the play-out conceals the gap.
//! L16 at 44.1 and 48 kHz is sent in packets of 10 ms, since 20 do not fit a datagram.
//! Not here: L16 of two channels (RFC 3551 §6, type 10), of which 10 ms do not fit either.

use super::conceal::Conceal;
use super::rational::{Rational, Way};
use super::resample::{Downsampler, Narrow, Upsampler};
use super::{Frame, SAMPLES, g711, g722, opus};

/// The formats that a leg may negotiate, in the order of our preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// RFC 7587, `opus/48000/2`.
    Opus,
    /// RFC 3551 §4.5.2, `G722/8000`, static payload type 9.
    G722,
    /// RFC 3551, `PCMU/8000`, static payload type 0.
    Pcmu,
    /// RFC 3551, `PCMA/8000`, static payload type 8.
    Pcma,
    /// RFC 3551 §4.5.11, `L16/16000`.
    L16Wide,
    /// RFC 3551 §4.5.11, `L16/8000`.
    L16,
    /// RFC 3551 §4.5.11, `L16/48000`.
    L16Full,
    /// RFC 3551 §4.5.11, `L16/44100`, static payload type 11.
    L16Cd,
}

impl Format {
    /// All formats, most wanted first.
    pub const ALL: [Self; 8] = [
        Self::Opus,
        Self::G722,
        Self::Pcmu,
        Self::Pcma,
        Self::L16Wide,
        Self::L16,
        Self::L16Full,
        Self::L16Cd,
    ];

    /// The format that an `a=rtpmap` names (RFC 8866 §6.6), such as `opus/48000/2`; names compare without case.
    pub fn of_rtpmap(encoding: &str) -> Option<Self> {
        let mut parts = encoding.split('/');
        let (name, rate, channels) = (parts.next()?, parts.next()?, parts.next());
        match (name.to_ascii_lowercase().as_str(), rate, channels) {
            ("opus", "48000", _) => Some(Self::Opus),
            ("g722", "8000", None | Some("1")) => Some(Self::G722),
            ("pcmu", "8000", None | Some("1")) => Some(Self::Pcmu),
            ("pcma", "8000", None | Some("1")) => Some(Self::Pcma),
            ("l16", "16000", None | Some("1")) => Some(Self::L16Wide),
            ("l16", "8000", None | Some("1")) => Some(Self::L16),
            ("l16", "48000", None | Some("1")) => Some(Self::L16Full),
            ("l16", "44100", None | Some("1")) => Some(Self::L16Cd),
            _ => None,
        }
    }

    /// The format of a static payload type without `a=rtpmap` (RFC 3551 §6).
    pub fn of_static(payload_type: u8) -> Option<Self> {
        match payload_type {
            0 => Some(Self::Pcmu),
            8 => Some(Self::Pcma),
            9 => Some(Self::G722),
            11 => Some(Self::L16Cd),
            _ => None,
        }
    }

    /// What an `a=rtpmap` says.
    pub fn rtpmap(self) -> &'static str {
        match self {
            Self::Opus => "opus/48000/2",
            Self::G722 => "G722/8000",
            Self::Pcmu => "PCMU/8000",
            Self::Pcma => "PCMA/8000",
            Self::L16Wide => "L16/16000",
            Self::L16 => "L16/8000",
            Self::L16Full => "L16/48000",
            Self::L16Cd => "L16/44100",
        }
    }

    /// Packets that a frame is sent in towards who takes packets of so many milliseconds at most. Frames of Opus are not cut.
    pub fn packets(self, most: u32) -> u8 {
        let longest = if matches!(self, Self::L16Full | Self::L16Cd) { 10 } else { 20 };
        match most.min(longest) {
            _ if self == Self::Opus => 1,
            20.. => 1,
            // Of 44.1 kHz, 5 ms are no whole samples.
            10.. => 2,
            _ if self == Self::L16Cd => 2,
            _ => 4,
        }
    }

    /// The rate of the RTP clock, ticks a second.
    pub fn clock(self) -> u32 {
        self.frame_ticks() * 50
    }

    /// Ticks of the RTP clock in a frame of 20 ms.
    pub fn frame_ticks(self) -> u32 {
        match self {
            Self::Opus | Self::L16Full => 960,
            Self::L16Cd => 882,
            Self::L16Wide => 320,
            Self::G722 | Self::Pcmu | Self::Pcma | Self::L16 => 160,
        }
    }

    /// Samples at 48 kHz that a payload holds, without decoding it; never more than [`LONGEST`].
    pub fn samples_of(self, payload: &[u8]) -> usize {
        let samples = match self {
            Self::Opus => opus::samples_of(payload),
            Self::G722 | Self::Pcmu | Self::Pcma => payload.len() * 6,
            Self::L16Wide | Self::L16 | Self::L16Full | Self::L16Cd => self.samples(payload.len() / 2),
        };
        samples.min(LONGEST)
    }

    /// Samples at 48 kHz for so many ticks of the RTP clock.
    pub fn samples(self, ticks: usize) -> usize {
        ticks.saturating_mul(SAMPLES) / self.frame_ticks() as usize
    }

    /// Ticks of the RTP clock that a payload lasts.
    pub fn ticks_of(self, payload: &[u8]) -> u32 {
        match self {
            Self::Opus => self.ticks(self.samples_of(payload)),
            Self::G722 | Self::Pcmu | Self::Pcma => payload.len() as u32,
            Self::L16Wide | Self::L16 | Self::L16Full | Self::L16Cd => payload.len() as u32 / 2,
        }
    }

    /// Ticks of the RTP clock for so many samples at 48 kHz.
    pub fn ticks(self, samples: usize) -> u32 {
        let ticks = self.frame_ticks() as usize;
        ((samples * ticks + SAMPLES / 2) / SAMPLES) as u32
    }
}

/// How sound is encoded for a leg. Legs for which it is the same can share one encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Encoding {
    /// The codec.
    pub format: Format,
    /// Bits a second, for codecs that can choose: Opus.
    pub bits_a_second: i32,
    /// Whether each packet says the one before it again: Opus towards who loses packets.
    pub has_redundancy: bool,
    /// Whether silence is not sent but now and then: Opus towards who wishes that.
    pub has_pauses: bool,
}

impl Encoding {
    /// As a codec is spoken when nobody asks for anything else.
    pub fn of(format: Format) -> Self {
        Self { format, bits_a_second: USUAL_BITS, has_redundancy: false, has_pauses: false }
    }
}

/// Payloads to samples.
pub enum Decoder {
    /// Opus, and whether its last packet was of speech.
    Opus(opus::Decoder, Conceal, bool),
    /// Others, which have a rate of their own.
    Wave(Wave, Box<Upsampler>, Conceal),
    /// L16 of 48 kHz, or of 44.1 kHz.
    Linear(Option<Box<Rational>>, Conceal),
}

/// What tells the simple codecs apart.
pub enum Wave {
    /// G.711 with its table.
    G711(fn(u8) -> i16),
    /// G.722.
    G722(Box<g722::Decoder>),
    /// Samples of 16 bits in network order.
    L16,
}

/// Frames to payloads.
pub enum Encoder {
    /// Opus.
    Opus(opus::Encoder),
    /// G.711 with its table.
    G711(fn(i16) -> u8, Box<Downsampler>),
    /// G.722.
    G722(Box<g722::Encoder>, Box<Downsampler>),
    /// Samples of 16 bits in network order.
    L16(Box<Downsampler>),
    /// The same at 48 kHz, or at 44.1 kHz.
    Linear(Option<Box<Rational>>),
}

impl Decoder {
    /// A decoder for `format`; `None` if there is no memory.
    pub fn new(format: Format) -> Option<Self> {
        let wave = |wave, rate| Self::Wave(wave, Box::new(Upsampler::new(rate)), Conceal::new());
        Some(match format {
            Format::Opus => Self::Opus(opus::Decoder::new()?, Conceal::new(), false),
            Format::G722 => wave(Wave::G722(Box::default()), Narrow::Sixteen),
            Format::Pcmu => wave(Wave::G711(g711::ulaw_to_linear), Narrow::Eight),
            Format::Pcma => wave(Wave::G711(g711::alaw_to_linear), Narrow::Eight),
            Format::L16Wide => wave(Wave::L16, Narrow::Sixteen),
            Format::L16 => wave(Wave::L16, Narrow::Eight),
            Format::L16Full => Self::Linear(None, Conceal::new()),
            Format::L16Cd => Self::Linear(Some(Box::new(Rational::new(Way::Up))), Conceal::new()),
        })
    }

    /// Decodes one payload into `out`; how many samples at 48 kHz there were. Never more than [`LONGEST`].
    pub fn decode(&mut self, payload: &[u8], out: &mut [i16; LONGEST]) -> usize {
        match self {
            Self::Opus(opus, conceal, was_speech) => {
                let count = opus.decode(payload, out).unwrap_or(0);
                if count > 0 {
                    let is_speech = opus::is_speech(payload);
                    if std::mem::replace(was_speech, is_speech) && !is_speech {
                        // The decoder may have concealed how one goes over into the other.
                        conceal.fill(&mut out[..CHANGE.min(count)]);
                        conceal.hear(&mut out[CHANGE.min(count)..count]);
                    } else {
                        conceal.hear(&mut out[..count]);
                    }
                }
                count
            }
            Self::Wave(wave, up, conceal) => {
                let (mut narrow, ratio) = ([0; LONGEST / 3], up.ratio());
                let taken = wave.decode(payload, &mut narrow[..LONGEST / ratio]);
                let wide = &mut out[..taken * ratio];
                up.process(&narrow[..taken], wide);
                conceal.hear(wide);
                taken * ratio
            }
            Self::Linear(None, conceal) => {
                let taken = linear(payload, out);
                conceal.hear(&mut out[..taken]);
                taken
            }
            Self::Linear(Some(up), conceal) => {
                let mut narrow = [0; LONGEST];
                let taken = linear(payload, &mut narrow);
                let count = up.process(&narrow[..taken], out);
                conceal.hear(&mut out[..count]);
                count
            }
        }
    }

    /// Fills `out` with what was lost. If the packet after it is there, it may know.
    pub fn conceal(&mut self, next: Option<&[u8]>, out: &mut [i16]) {
        match self {
            Self::Opus(opus, conceal, _) => match next.and_then(|next| opus.decode_lost(next, out)) {
                Some(_) => conceal.hear(out),
                None => conceal.fill(out),
            },
            Self::Wave(_, _, conceal) | Self::Linear(_, conceal) => conceal.fill(out),
        }
    }
}

impl Wave {
    /// Decodes as much as `out` takes; how many samples there were.
    fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> usize {
        match self {
            Self::G711(table) => {
                let taken = payload.len().min(out.len());
                for (sample, octet) in out.iter_mut().zip(payload) {
                    *sample = table(*octet);
                }
                taken
            }
            Self::G722(decoder) => {
                let samples = decoder.decode(&payload[..payload.len().min(out.len() / 2)]);
                out[..samples.len()].copy_from_slice(&samples);
                samples.len()
            }
            Self::L16 => linear(payload, out),
        }
    }
}

/// Reads samples of 16 bits in network order, as many as `out` takes; how many there were.
fn linear(payload: &[u8], out: &mut [i16]) -> usize {
    let pairs = payload.chunks_exact(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]]));
    out.iter_mut().zip(pairs).map(|(sample, pair)| *sample = pair).count()
}

/// Writes them; how many octets that took.
fn to_linear(samples: &[i16], out: &mut [u8; LARGEST_PAYLOAD]) -> usize {
    for (pair, sample) in out.chunks_exact_mut(2).zip(samples) {
        pair.copy_from_slice(&sample.to_be_bytes());
    }
    samples.len() * 2
}

impl Encoder {
    /// An encoder; `None` if there is no memory.
    pub fn new(encoding: Encoding) -> Option<Self> {
        let down = |rate| Box::new(Downsampler::new(rate));
        Some(match encoding.format {
            Format::Opus => {
                let opus = opus::Encoder::new(encoding.bits_a_second, encoding.has_redundancy)?;
                Self::Opus(if encoding.has_pauses { opus.with_pauses() } else { opus })
            }
            Format::G722 => Self::G722(Box::default(), down(Narrow::Sixteen)),
            Format::Pcmu => Self::G711(g711::linear_to_ulaw, down(Narrow::Eight)),
            Format::Pcma => Self::G711(g711::linear_to_alaw, down(Narrow::Eight)),
            Format::L16Wide => Self::L16(down(Narrow::Sixteen)),
            Format::L16 => Self::L16(down(Narrow::Eight)),
            Format::L16Full => Self::Linear(None),
            Format::L16Cd => Self::Linear(Some(Box::new(Rational::new(Way::Down)))),
        })
    }

    /// Encodes one frame into `out`; how many octets it took.
    pub fn encode(&mut self, frame: &Frame, out: &mut [u8; LARGEST_PAYLOAD]) -> usize {
        let mut narrow = [0; SAMPLES / 3];
        match self {
            // 20 ms in 400 octets are 160 kbit/s, more than is ever asked for.
            Self::Opus(opus) => opus.encode(frame, &mut out[..400]).unwrap_or(0),
            Self::G711(table, down) => {
                let narrow = down.frame(frame, &mut narrow);
                out.iter_mut().zip(narrow).map(|(octet, sample)| *octet = table(*sample)).count()
            }
            Self::G722(encoder, down) => {
                let octets = encoder.encode(down.frame(frame, &mut narrow));
                let taken = octets.len().min(out.len());
                out[..taken].copy_from_slice(&octets[..taken]);
                taken
            }
            Self::L16(down) => to_linear(down.frame(frame, &mut narrow), out),
            Self::Linear(None) => to_linear(frame, out),
            Self::Linear(Some(down)) => {
                let mut narrow = [0; SAMPLES];
                let count = down.process(frame, &mut narrow);
                to_linear(&narrow[..count], out)
            }
        }
    }
}

/// Samples of the longest packet that is played: 120 ms (RFC 6716 §2.1.4).
pub const LONGEST: usize = SAMPLES * 6;
/// Octets of the largest frame that is sent: 20 ms of L16 at 48 kHz.
pub const LARGEST_PAYLOAD: usize = SAMPLES * 2;
/// Octets of the largest packet that it is sent in.
pub const LARGEST_PACKET: usize = LARGEST_PAYLOAD / 2;
/// Samples in which a decoder goes over from speech to music: 5 ms.
const CHANGE: usize = SAMPLES / 4;
/// Bits a second of Opus when the peer names no limit.
pub const USUAL_BITS: i32 = 32_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mixer::{Goertzel, Tone};

    #[test]
    fn reads_and_prints_rtpmaps() {
        for format in Format::ALL {
            assert_eq!(Format::of_rtpmap(format.rtpmap()), Some(format));
        }
        assert_eq!(Format::of_rtpmap("OPUS/48000/2"), Some(Format::Opus));
        for unknown in
            ["opus/8000", "telephone-event/8000", "L16/16000/2", "L16/44100/2", "G722/16000", "PCMU"]
        {
            assert_eq!(Format::of_rtpmap(unknown), None, "{unknown}");
        }
        assert_eq!(Format::of_static(18), None);
        assert_eq!((Format::of_static(11), Format::of_static(10)), (Some(Format::L16Cd), None));
        assert_eq!((Format::G722.clock(), Format::L16Wide.clock()), (8_000, 16_000));
        assert_eq!((Format::L16Cd.clock(), Format::L16Full.clock()), (44_100, 48_000));
        assert_eq!((Format::L16Cd.samples(441), Format::L16Cd.ticks(480)), (480, 441));
    }

    #[test]
    fn the_parts_of_a_frame_are_alike_and_whole() {
        for format in Format::ALL.into_iter().filter(|format| *format != Format::Opus) {
            let mut payload = [0; LARGEST_PAYLOAD];
            let octets = Encoder::new(Encoding::of(format)).unwrap().encode(&[0; SAMPLES], &mut payload);
            for most in [u32::MAX, 20, 19, 10, 5, 1] {
                let parts = usize::from(format.packets(most));
                let part = &payload[..octets / parts];
                assert!(octets.is_multiple_of(parts) && part.len() <= LARGEST_PACKET, "{format:?} at {most}");
                assert_eq!(
                    format.ticks_of(part) * parts as u32,
                    format.frame_ticks(),
                    "{format:?} at {most}"
                );
            }
        }
    }

    #[test]
    fn every_format_carries_a_tone() {
        for format in Format::ALL {
            let mut encoder = Encoder::new(Encoding::of(format)).unwrap();
            let mut decoder = Decoder::new(format).unwrap();
            let (mut tone, mut ear) =
                (Tone::new(1_000.0, 8_000.0), Goertzel::new(1_000.0, super::super::RATE));
            for n in 0..25 {
                let (mut payload, mut samples) = ([0; LARGEST_PAYLOAD], [0; LONGEST]);
                let octets = encoder.encode(&tone.next_frame(), &mut payload);
                assert_eq!(decoder.decode(&payload[..octets], &mut samples), SAMPLES, "{format:?}");
                if n > 5 {
                    ear.hear(&samples[..SAMPLES]);
                }
            }
            assert!((6_500.0..9_000.0).contains(&ear.amplitude()), "{format:?}: {}", ear.amplitude());
        }
    }

    #[test]
    fn no_lost_packet_is_a_bang() {
        // Speech, since music is concealed otherwise.
        for format in Format::ALL {
            let mut encoder =
                Encoder::new(Encoding { has_redundancy: true, ..Encoding::of(format) }).unwrap();
            let mut decoder = Decoder::new(format).unwrap();
            let mut before = 0;
            for n in 0.. {
                let Some(frame) = crate::mixer::Prompt::Entry.frame(n) else { break };
                let (mut payload, mut out) = ([0; LARGEST_PAYLOAD], [0; LONGEST]);
                let octets = encoder.encode(&frame, &mut payload);
                match n % 8 {
                    7 => decoder.conceal(None, &mut out[..SAMPLES]),
                    // A pause begins, and a wrong packet comes.
                    5 => assert_eq!(decoder.decode(&[], &mut out), 0),
                    _ => drop(decoder.decode(&payload[..octets], &mut out)),
                }
                let peak = out.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
                assert!(n % 8 != 7 || peak <= before + 4_000, "{format:?} at {n}: {peak} after {before}");
                before = peak;
            }
        }
        let mut opus = Decoder::new(Format::Opus).unwrap();
        assert_eq!(opus.decode(&[0x48, 0], &mut [0; LONGEST]), 0);
    }

    #[test]
    fn a_payload_that_is_too_long_is_cut() {
        for format in
            [Format::Pcmu, Format::G722, Format::L16, Format::L16Wide, Format::L16Full, Format::L16Cd]
        {
            let mut decoder = Decoder::new(format).unwrap();
            assert_eq!(decoder.decode(&[0xff; 60_000], &mut [0; LONGEST]), LONGEST, "{format:?}");
            assert_eq!(decoder.decode(&[], &mut [0; LONGEST]), 0);
        }
    }
}
