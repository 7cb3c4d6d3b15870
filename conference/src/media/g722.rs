//! G.722 at 64 kbit/s — ITU-T G.722; payload type 9 of RFC 3551 §4.5.2, whose RTP clock counts 8,000 a second although
//! the codec has 16,000 samples.
//!
//! In    one octet for two samples at 16 kHz. Out samples, and back. State the predictors of both bands.

use ezk_g722::libg722::{Bitrate, decoder, encoder};

/// G.722 to samples.
pub struct Decoder(decoder::Decoder);

/// Samples to G.722.
pub struct Encoder(encoder::Encoder);

impl Decoder {
    /// A decoder that has heard silence.
    pub fn new() -> Self {
        Self(decoder::Decoder::new(Bitrate::Mode1_64000, false, false))
    }

    /// Two samples an octet.
    pub fn decode(&mut self, payload: &[u8]) -> Vec<i16> {
        self.0.decode(payload)
    }
}

impl Encoder {
    /// An encoder that has heard silence.
    pub fn new() -> Self {
        Self(encoder::Encoder::new(Bitrate::Mode1_64000, false, false))
    }

    /// One octet for two samples.
    pub fn encode(&mut self, samples: &[i16]) -> Vec<u8> {
        self.0.encode(samples)
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_octets_are_sound() {
        let mut decoder = Decoder::new();
        let mut seed = 7_u32;
        for length in [0, 1, 160, 5_000] {
            let payload: Vec<u8> = (0..length)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (seed >> 24) as u8
                })
                .collect();
            assert_eq!(decoder.decode(&payload).len(), length * 2);
        }
    }
}
