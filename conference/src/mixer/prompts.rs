//! What the focus says to callers: WAV files in `conference/prompts`, whose README says how they are made.
//!
//! In    a prompt's name. Out frames at 48 kHz. State none but the samples, read once.

use std::sync::LazyLock;

use crate::media::resample::{Narrow, Upsampler};
use crate::media::{Frame, SAMPLES};

/// What can be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prompt {
    /// Somebody joined: they hear it.
    Entry,
    /// Nobody else is in the conference.
    Alone,
    /// The PIN is wanted.
    Pin,
    /// The PIN was wrong.
    WrongPin,
    /// They muted themselves.
    Muted,
    /// They are heard again.
    Unmuted,
    /// They raised their hand.
    HandRaised,
    /// They lowered it.
    HandLowered,
    /// The conference is over.
    Ended,
    /// What is said is written down from now on.
    Recording,
    /// It is not any more.
    RecordingEnded,
    /// Who was called does not answer: a message may be left after the tone at its end.
    Voicemail,
    /// The call that they make costs something.
    Charged,
    /// It does, and 1 makes it.
    ConfirmCharge,
    /// They may not make it.
    CallRefused,
    /// Nothing is in their mailbox.
    MailboxEmpty,
    /// Nobody can say what is in it.
    MailboxClosed,
    /// What keys do there.
    MailboxKeys,
    /// A message of it is gone.
    MailboxErased,
    /// That was the last.
    MailboxLast,
    /// What is in it follows.
    YouHave,
    /// One that was not heard.
    NewMessage,
    /// Several.
    NewMessages,
    /// One that was.
    OldMessage,
    /// Several.
    OldMessages,
    /// Its number follows.
    Message,
    /// The number that called follows.
    From,
    /// It was left now.
    JustNow,
    /// After one.
    MinuteAgo,
    /// After how many.
    MinutesAgo,
    /// After one.
    HourAgo,
    /// After how many.
    HoursAgo,
    /// After one.
    DayAgo,
    /// After how many.
    DaysAgo,
    /// The call ends.
    Goodbye,
    /// What they said to a mailbox could not be kept.
    NotKept,
    /// A number follows that there are no words above.
    MoreThan,
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

/// By the order of the names above.
static SAMPLES_OF: LazyLock<[Vec<i16>; 37]> = LazyLock::new(|| {
    [
        samples(include_bytes!("../../prompts/entry.wav")),
        samples(include_bytes!("../../prompts/alone.wav")),
        samples(include_bytes!("../../prompts/pin.wav")),
        samples(include_bytes!("../../prompts/wrong-pin.wav")),
        samples(include_bytes!("../../prompts/muted.wav")),
        samples(include_bytes!("../../prompts/unmuted.wav")),
        samples(include_bytes!("../../prompts/hand-raised.wav")),
        samples(include_bytes!("../../prompts/hand-lowered.wav")),
        samples(include_bytes!("../../prompts/ended.wav")),
        samples(include_bytes!("../../prompts/recording.wav")),
        samples(include_bytes!("../../prompts/recording-ended.wav")),
        samples(include_bytes!("../../prompts/voicemail.wav")),
        samples(include_bytes!("../../prompts/charged.wav")),
        samples(include_bytes!("../../prompts/confirm-charge.wav")),
        samples(include_bytes!("../../prompts/call-refused.wav")),
        samples(include_bytes!("../../prompts/mailbox-empty.wav")),
        samples(include_bytes!("../../prompts/mailbox-closed.wav")),
        samples(include_bytes!("../../prompts/mailbox-keys.wav")),
        samples(include_bytes!("../../prompts/mailbox-erased.wav")),
        samples(include_bytes!("../../prompts/mailbox-last.wav")),
        samples(include_bytes!("../../prompts/you-have.wav")),
        samples(include_bytes!("../../prompts/new-message.wav")),
        samples(include_bytes!("../../prompts/new-messages.wav")),
        samples(include_bytes!("../../prompts/old-message.wav")),
        samples(include_bytes!("../../prompts/old-messages.wav")),
        samples(include_bytes!("../../prompts/message.wav")),
        samples(include_bytes!("../../prompts/from.wav")),
        samples(include_bytes!("../../prompts/just-now.wav")),
        samples(include_bytes!("../../prompts/minute-ago.wav")),
        samples(include_bytes!("../../prompts/minutes-ago.wav")),
        samples(include_bytes!("../../prompts/hour-ago.wav")),
        samples(include_bytes!("../../prompts/hours-ago.wav")),
        samples(include_bytes!("../../prompts/day-ago.wav")),
        samples(include_bytes!("../../prompts/days-ago.wav")),
        samples(include_bytes!("../../prompts/goodbye.wav")),
        samples(include_bytes!("../../prompts/not-kept.wav")),
        samples(include_bytes!("../../prompts/more-than.wav")),
    ]
});

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
        use Prompt::*;
        for prompt in [
            Entry,
            Alone,
            Pin,
            WrongPin,
            Muted,
            Unmuted,
            HandRaised,
            HandLowered,
            Ended,
            Recording,
            RecordingEnded,
            Voicemail,
            Charged,
            ConfirmCharge,
            CallRefused,
            MailboxEmpty,
            MailboxClosed,
            MailboxKeys,
            MailboxErased,
            MailboxLast,
            YouHave,
            NewMessage,
            NewMessages,
            OldMessage,
            OldMessages,
            Message,
            From,
            JustNow,
            MinuteAgo,
            MinutesAgo,
            HourAgo,
            HoursAgo,
            DayAgo,
            DaysAgo,
            Goodbye,
            NotKept,
            MoreThan,
        ] {
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
