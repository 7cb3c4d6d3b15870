//! What the focus says to callers: WAV files in `conference/prompts`, whose README says how they are made.
//!
//! In    a prompt's name. Out frames at 48 kHz. State none but the samples, read once.

use std::sync::LazyLock;

use crate::media::resample::{Narrow, Upsampler};
use crate::media::{Frame, SAMPLES};

/// Makes the names, and reads the file of each.
macro_rules! prompts {
    ($($(#[$doc:meta])* $name:ident = $file:literal,)+) => {
        /// What can be said.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Prompt {
            $($(#[$doc])* $name,)+
        }

        #[cfg(test)]
        const ALL: &[Prompt] = &[$(Prompt::$name,)+];

        static SAMPLES_OF: LazyLock<Vec<Vec<i16>>> = LazyLock::new(|| {
            vec![$(samples(include_bytes!(concat!("../../prompts/", $file, ".wav"))),)+]
        });
    };
}

prompts! {
    /// Somebody joined: they hear it.
    Entry = "entry",
    /// Nobody else is in the conference.
    Alone = "alone",
    /// The PIN is wanted.
    Pin = "pin",
    /// The PIN was wrong.
    WrongPin = "wrong-pin",
    /// They muted themselves.
    Muted = "muted",
    /// They are heard again.
    Unmuted = "unmuted",
    /// They raised their hand.
    HandRaised = "hand-raised",
    /// They lowered it.
    HandLowered = "hand-lowered",
    /// The conference is over.
    Ended = "ended",
    /// What is said is written down from now on.
    Recording = "recording",
    /// It is not any more.
    RecordingEnded = "recording-ended",
    /// Who was called does not answer: a message may be left after the tone at its end.
    Voicemail = "voicemail",
    /// The call that they make costs something.
    Charged = "charged",
    /// It does, and 1 makes it.
    ConfirmCharge = "confirm-charge",
    /// They may not make it.
    CallRefused = "call-refused",
    /// Nothing is in their mailbox.
    MailboxEmpty = "mailbox-empty",
    /// Nobody can say what is in it.
    MailboxClosed = "mailbox-closed",
    /// What keys do there.
    MailboxKeys = "mailbox-keys",
    /// A message of it is gone.
    MailboxErased = "mailbox-erased",
    /// That was the last.
    MailboxLast = "mailbox-last",
    /// What is in it follows.
    YouHave = "you-have",
    /// One that was not heard.
    NewMessage = "new-message",
    /// Several.
    NewMessages = "new-messages",
    /// One that was.
    OldMessage = "old-message",
    /// Several.
    OldMessages = "old-messages",
    /// Its number follows.
    Message = "message",
    /// The number that called follows.
    From = "from",
    /// It was left now.
    JustNow = "just-now",
    /// After one.
    MinuteAgo = "minute-ago",
    /// After how many.
    MinutesAgo = "minutes-ago",
    /// After one.
    HourAgo = "hour-ago",
    /// After how many.
    HoursAgo = "hours-ago",
    /// After one.
    DayAgo = "day-ago",
    /// After how many.
    DaysAgo = "days-ago",
    /// The call ends.
    Goodbye = "goodbye",
    /// What they said to a mailbox could not be kept.
    NotKept = "not-kept",
    /// A number follows that there are no words above.
    MoreThan = "more-than",
}

impl Prompt {
    /// Whether somebody has a right to hear it.
    pub(super) fn is_notice(self) -> bool {
        matches!(self, Self::Recording | Self::RecordingEnded)
    }

    /// The frame that begins `at` frames from the start; `None` after the end.
    pub fn frame(self, at: usize) -> Option<Frame> {
        cut(&SAMPLES_OF[self as usize], at)
    }
}

/// A frame of samples; the last may be cut short.
pub(super) fn cut(samples: &[i16], at: usize) -> Option<Frame> {
    let samples = samples.get(at * SAMPLES..)?;
    let mut frame = [0; SAMPLES];
    let taken = samples.len().min(SAMPLES);
    frame[..taken].copy_from_slice(&samples[..taken]);
    (taken > 0).then_some(frame)
}

/// The samples of a WAV file of 16 kHz, one channel and 16 bits, at 48 kHz. Anything else is silence.
pub(super) fn samples(file: &[u8]) -> Vec<i16> {
    let narrow: Vec<i16> =
        data(file).chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    let mut wide = vec![0; narrow.len() * Narrow::Sixteen.ratio()];
    Upsampler::new(Narrow::Sixteen).process(&narrow, &mut wide);
    wide
}

fn data(file: &[u8]) -> &[u8] {
    let mut chunks = file.get(12..).unwrap_or_default();
    let mut is_ours = false;
    while let Some((head, rest)) = chunks.split_first_chunk::<8>() {
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let body = &rest[..length.min(rest.len())];
        match &head[..4] {
            // PCM, one channel, 16,000 a second.
            b"fmt " => is_ours = body.starts_with(&[1, 0, 1, 0, 0x80, 0x3e, 0, 0]),
            b"data" if is_ours => return body,
            _ => {}
        }
        // A chunk of odd length has an octet after it.
        chunks = rest.get(length.next_multiple_of(2)..).unwrap_or_default();
    }
    &[]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prompt_is_speech_of_some_length() {
        for prompt in ALL {
            let frames: Vec<Frame> = (0..).map_while(|at| prompt.frame(at)).collect();
            assert!((10..450).contains(&frames.len()), "{prompt:?}: {} frames", frames.len());
            let peak = frames.iter().flatten().map(|sample| sample.unsigned_abs()).max().unwrap();
            assert!((10_000..20_000).contains(&peak), "{prompt:?}: {peak}");
        }
    }

    #[test]
    fn what_is_no_such_file_is_silence() {
        let file = include_bytes!("../../prompts/muted.wav");
        for length in [0, 11, 20, 40] {
            assert!(data(&file[..length]).is_empty());
        }
        let mut stereo = file.to_vec();
        stereo[22] = 2;
        assert!(data(&stereo).is_empty());
    }
}
