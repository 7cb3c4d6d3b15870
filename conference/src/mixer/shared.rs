//! Encoders that listeners share: one for each way in which the same mix is encoded.
//!
//! In    the mix of a tick, and how a leg wants it. Out its payload, encoded at most once a tick for all who want the same.
//! State encoders with their predictors; one that nobody wanted for [`IDLE`] ticks is dropped.

use crate::media::Frame;
use crate::media::codec::{Encoder, Encoding, LARGEST_PAYLOAD};

/// The encoders of one conference's mix.
#[derive(Default)]
pub(super) struct Shared {
    buckets: Vec<Bucket>,
    tick: u64,
}

struct Bucket {
    encoding: Encoding,
    encoder: Encoder,
    encoded_at: u64,
    octets: usize,
    payload: [u8; LARGEST_PAYLOAD],
}

impl Shared {
    /// A new tick begins.
    pub(super) fn begin(&mut self) {
        self.tick += 1;
        let tick = self.tick;
        self.buckets.retain(|bucket| tick - bucket.encoded_at < IDLE);
    }

    /// `frame` as `encoding` wants it; nothing if there is no memory. Within a tick the first frame counts.
    pub(super) fn encode(&mut self, encoding: Encoding, frame: &Frame) -> &[u8] {
        let at = match self.buckets.iter().position(|bucket| bucket.encoding == encoding) {
            Some(at) => at,
            None => {
                let Some(encoder) = Encoder::new(encoding) else { return &[] };
                let payload = [0; LARGEST_PAYLOAD];
                self.buckets.push(Bucket { encoding, encoder, encoded_at: 0, octets: 0, payload });
                self.buckets.len() - 1
            }
        };
        let bucket = &mut self.buckets[at];
        if bucket.encoded_at != self.tick {
            bucket.octets = bucket.encoder.encode(frame, &mut bucket.payload);
            bucket.encoded_at = self.tick;
        }
        &bucket.payload[..bucket.octets]
    }

    /// How many encoders there are.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.buckets.len()
    }
}

/// Ten seconds.
const IDLE: u64 = 500;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::SAMPLES;
    use crate::media::codec::Format;

    #[test]
    fn the_same_is_encoded_once_and_what_nobody_wants_is_dropped() {
        let mut shared = Shared::default();
        shared.begin();
        let opus = Encoding::of(Format::Opus);
        let first = shared.encode(opus, &[1_000; SAMPLES]).to_vec();
        assert_eq!(shared.encode(opus, &[-9_000; SAMPLES]), first, "within a tick");
        shared.encode(Encoding { has_redundancy: true, ..opus }, &[0; SAMPLES]);
        shared.encode(Encoding::of(Format::Pcmu), &[0; SAMPLES]);
        assert_eq!(shared.len(), 3);
        for _ in 0..IDLE {
            shared.begin();
            shared.encode(opus, &[0; SAMPLES]);
        }
        assert_eq!(shared.len(), 1);
    }
}
