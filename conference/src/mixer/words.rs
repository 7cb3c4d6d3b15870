//! What a leg is told, piece by piece: prompts, numbers, and sound that was kept (RFC 7845).
//!
//! In    names, numbers, a file. Out frames at 48 kHz. State of a file its packets, and the decoder.
//! Errors a packet that is none is silence.

use std::sync::LazyLock;

use super::prompts::{Prompt, cut, samples};
use crate::media::ogg::packets;
use crate::media::{Frame, SILENCE, opus};

/// One piece.
pub enum Word {
    /// A prompt.
    Prompt(Prompt),
    /// A word of a number: up to 20, 30, 40 or 50.
    Number(u8),
    /// What somebody said.
    Sound(Box<Sound>),
}

/// A file of Opus in Ogg, of one channel, whose packets are of 20 ms.
pub struct Sound {
    packets: Vec<Vec<u8>>,
    decoder: Option<opus::Decoder>,
}

impl Sound {
    /// Reads a file; nothing if nothing is in it.
    pub fn open(file: &[u8]) -> Option<Self> {
        let packets = packets(file);
        (!packets.is_empty()).then_some(Self { packets, decoder: None })
    }

    /// Frames are asked for in order; the first begins anew.
    fn frame(&mut self, at: usize) -> Option<Frame> {
        if at == 0 {
            self.decoder = opus::Decoder::new();
        }
        let (packet, mut frame) = (self.packets.get(at)?, SILENCE);
        let decoded = self.decoder.as_mut().and_then(|decoder| decoder.decode(packet, &mut frame));
        Some(if decoded.is_some() { frame } else { SILENCE })
    }
}

impl Word {
    /// The words of a number, as far as they are known: beyond 59 it is more than 59.
    pub fn number(number: usize) -> Vec<Self> {
        let mut words = match u8::try_from(number).unwrap_or(u8::MAX).min(MOST) {
            number @ ..=20 => vec![Self::Number(number)],
            number if number % 10 == 0 => vec![Self::Number(number)],
            number => vec![Self::Number(number / 10 * 10), Self::Number(number % 10)],
        };
        if number > usize::from(MOST) {
            words.insert(0, Self::Prompt(Prompt::MoreThan));
        }
        words
    }

    /// The frame that begins `at` frames from the start; `None` after the end.
    pub(super) fn frame(&mut self, at: usize) -> Option<Frame> {
        match self {
            Self::Prompt(prompt) => prompt.frame(at),
            Self::Number(number @ ..=20) => cut(NUMBERS.get(usize::from(*number))?, at),
            Self::Number(number) => cut(NUMBERS.get(usize::from(*number / 10) + 18)?, at),
            Self::Sound(sound) => sound.frame(at),
        }
    }

    pub(super) fn is(&self, prompt: Prompt) -> bool {
        matches!(self, Self::Prompt(own) if *own == prompt)
    }

    /// Whether somebody has a right to hear it.
    pub(super) fn is_notice(&self) -> bool {
        matches!(self, Self::Prompt(prompt) if prompt.is_notice())
    }
}

/// From 0 to 20, 30, 40, 50.
static NUMBERS: LazyLock<[Vec<i16>; 24]> = LazyLock::new(|| {
    [
        samples(include_bytes!("../../prompts/numbers/0.wav")),
        samples(include_bytes!("../../prompts/numbers/1.wav")),
        samples(include_bytes!("../../prompts/numbers/2.wav")),
        samples(include_bytes!("../../prompts/numbers/3.wav")),
        samples(include_bytes!("../../prompts/numbers/4.wav")),
        samples(include_bytes!("../../prompts/numbers/5.wav")),
        samples(include_bytes!("../../prompts/numbers/6.wav")),
        samples(include_bytes!("../../prompts/numbers/7.wav")),
        samples(include_bytes!("../../prompts/numbers/8.wav")),
        samples(include_bytes!("../../prompts/numbers/9.wav")),
        samples(include_bytes!("../../prompts/numbers/10.wav")),
        samples(include_bytes!("../../prompts/numbers/11.wav")),
        samples(include_bytes!("../../prompts/numbers/12.wav")),
        samples(include_bytes!("../../prompts/numbers/13.wav")),
        samples(include_bytes!("../../prompts/numbers/14.wav")),
        samples(include_bytes!("../../prompts/numbers/15.wav")),
        samples(include_bytes!("../../prompts/numbers/16.wav")),
        samples(include_bytes!("../../prompts/numbers/17.wav")),
        samples(include_bytes!("../../prompts/numbers/18.wav")),
        samples(include_bytes!("../../prompts/numbers/19.wav")),
        samples(include_bytes!("../../prompts/numbers/20.wav")),
        samples(include_bytes!("../../prompts/numbers/30.wav")),
        samples(include_bytes!("../../prompts/numbers/40.wav")),
        samples(include_bytes!("../../prompts/numbers/50.wav")),
    ]
});

/// The largest number that there are words for.
const MOST: u8 = 59;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::ogg::Writer;

    #[test]
    fn numbers_are_said() {
        for number in [0, 7, 20, 21, 30, 45, 59, 1_000] {
            for mut word in Word::number(number) {
                let frames = (0..).map_while(|at| word.frame(at)).count();
                assert!((10..50).contains(&frames), "{number}: {frames} frames");
            }
        }
        let words: Vec<u8> = Word::number(45)
            .iter()
            .map(|word| if let Word::Number(number) = word { *number } else { 0 })
            .collect();
        assert_eq!(words, [40, 5]);
    }

    #[test]
    fn what_was_kept_is_heard_and_heard_again() {
        let mut writer = Writer::begin(Vec::new(), 7).unwrap();
        let mut tone = crate::mixer::Tone::new(700.0, 6_000.0);
        (0..50).for_each(|_| writer.write(&tone.next_frame()).unwrap());
        let mut word = Word::Sound(Box::new(Sound::open(&writer.finish().unwrap()).unwrap()));
        for _ in 0..2 {
            let mut ear = crate::mixer::Goertzel::new(700.0, 48_000);
            let frames = (0..).map_while(|at| word.frame(at)).inspect(|frame| ear.hear(frame)).count();
            assert!(frames == 50 && ear.amplitude() > 3_000.0, "{frames} frames, {}", ear.amplitude());
        }
    }

    #[test]
    fn what_is_no_such_file_is_nothing() {
        let file = Writer::begin(Vec::new(), 7).unwrap().finish().unwrap();
        for garbage in [&file[..0], &file[..30], b"OggS", &[0x7f; 900]] {
            assert!(Sound::open(garbage).is_none());
        }
    }
}
