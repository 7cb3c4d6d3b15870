//! Play-out: from packets that come late, twice or not at all to one frame every 20 ms.
//!
//! In    decoded packets with their sequence numbers, as they arrive.
//! Out   a frame a tick, or nothing while there is too little.
//! State at most [`MOST`] samples and the next sequence number.
//! Errors a late or doubled packet is dropped and counted; a gap is concealed; what would wait longer than [`MOST`] is
//! dropped from the front, so that delay never grows for good.

use super::codec::{Decoder, LONGEST};
use super::{Frame, SAMPLES};

/// What a leg's listener has in hand.
pub struct Playout {
    samples: Box<[i16; MOST]>,
    start: usize,
    len: usize,
    expected: Option<u16>,
    /// Playing, or gathering until there is enough.
    playing: bool,
    lost: u64,
}

impl Playout {
    /// Nothing heard yet.
    pub fn new() -> Self {
        Self { samples: Box::new([0; MOST]), start: 0, len: 0, expected: None, playing: false, lost: 0 }
    }

    /// Takes the packet numbered `sequence`. Older than expected is dropped; a small gap is concealed.
    pub fn insert(&mut self, sequence: u16, payload: &[u8], decoder: &mut Decoder) {
        if let Some(expected) = self.expected {
            let ahead = sequence.wrapping_sub(expected);
            match ahead {
                0 => {}
                1..=CONCEALED => {
                    self.lost += u64::from(ahead);
                    for _ in 0..ahead {
                        let mut frame = [0; SAMPLES];
                        decoder.conceal(&mut frame);
                        self.push(&frame);
                    }
                }
                // A jump forward: a new talk spurt or a long loss; begin anew.
                _ if ahead < 0x8000 => {}
                // Late or doubled; but a sender that restarts may number from anywhere.
                _ if ahead > 0u16.wrapping_sub(RESTART) => return,
                _ => {}
            }
        }
        self.expected = Some(sequence.wrapping_add(1));
        let mut samples = [0; LONGEST];
        let count = decoder.decode(payload, &mut samples);
        self.push(&samples[..count]);
    }

    /// The next 20 ms into `out`; false, and silence, if there is nothing to play.
    pub fn take(&mut self, out: &mut Frame) -> bool {
        if !self.playing && self.len >= DEPTH {
            self.playing = true;
        }
        if !self.playing || self.len < SAMPLES {
            self.playing = false;
            out.fill(0);
            return false;
        }
        for slot in out.iter_mut() {
            *slot = self.samples[self.start];
            self.start = (self.start + 1) % MOST;
        }
        self.len -= SAMPLES;
        true
    }

    /// Packets that never came, since the last call.
    pub fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }

    fn push(&mut self, samples: &[i16]) {
        for sample in samples {
            self.samples[(self.start + self.len) % MOST] = *sample;
            if self.len < MOST {
                self.len += 1;
            } else {
                self.start = (self.start + 1) % MOST;
            }
        }
        if self.len > MOST - SAMPLES {
            // The sender's clock is faster than ours, or a burst came: return to the wanted delay.
            let surplus = self.len - DEPTH;
            self.start = (self.start + surplus) % MOST;
            self.len = DEPTH;
        }
    }
}

impl Default for Playout {
    fn default() -> Self {
        Self::new()
    }
}

/// Samples gathered before playing: 40 ms.
const DEPTH: usize = SAMPLES * 2;
/// Samples kept at most: 240 ms.
const MOST: usize = SAMPLES * 12;
/// Packets in a row that are concealed.
const CONCEALED: u16 = 5;
/// A packet this far behind is late; further behind, the sender began anew.
const RESTART: u16 = 100;

#[cfg(test)]
mod tests {
    use super::super::codec::Format;
    use super::*;

    fn play(order: &[u16]) -> (usize, u64) {
        let (mut playout, mut decoder) = (Playout::new(), Decoder::new(Format::Pcmu).unwrap());
        for sequence in order {
            playout.insert(*sequence, &[0; 160], &mut decoder);
        }
        let frames = (0..50).filter(|_| playout.take(&mut [0; SAMPLES])).count();
        (frames, playout.take_lost())
    }

    #[test]
    fn plays_what_comes_in_order_across_the_wrap() {
        assert_eq!(play(&[65_534, 65_535, 0, 1]), (4, 0));
    }

    #[test]
    fn waits_until_there_is_enough() {
        assert_eq!(play(&[1]), (0, 0));
    }

    #[test]
    fn conceals_a_gap_and_drops_the_late_and_the_doubled() {
        assert_eq!(play(&[1, 2, 4, 3, 4, 5]), (5, 1));
    }

    #[test]
    fn a_sender_that_restarts_is_heard() {
        assert_eq!(play(&[5_000, 5_001, 7, 8]), (4, 0));
    }

    #[test]
    fn delay_never_grows_for_good() {
        let order: Vec<u16> = (0..200).collect();
        assert!(play(&order).0 <= MOST / SAMPLES);
    }
}
