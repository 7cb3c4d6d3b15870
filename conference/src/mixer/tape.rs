//! A mix, written down — beside the mixer, on a thread of its own, so that no tick waits for an encoder or a disk.
//!
//! In    the sum of all legs, frame by frame. Out Opus in Ogg ([`Writer`]), and how long somebody spoke.
//! State a queue of [`QUEUE`] frames: when it is full, what comes is lost, and silence of the same length stands for it.
//!       Silence at the end is left out of a message, whose caller may be gone before that is noticed.
//! Errors what takes the bytes fails: the recording ends, and says why.
//!
//! The thread ends when the tape is dropped, or is full.

use std::io::{self, Write};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::media::ogg::Writer;
use crate::media::{FRAME, Frame, SILENCE};

/// What a mixer puts its frames on.
pub struct Tape {
    frames: mpsc::Sender<(u32, Box<Frame>)>,
    /// Frames that were lost since the last one that was not.
    lost: u32,
}

/// What becomes of silence at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    /// It is written.
    Kept,
    /// It is left out.
    Cut,
}

/// What was written.
#[derive(Debug)]
pub struct Recorded<W> {
    /// What took the bytes.
    pub out: W,
    /// How long it is.
    pub duration: Duration,
    /// For how long of that somebody was heard.
    pub spoken: Duration,
}

/// Brings a recording that ended.
pub type Ending<W> = oneshot::Receiver<io::Result<Recorded<W>>>;

impl Tape {
    /// Begins a recording of at most `longest`; `serial` is random.
    pub fn begin<W: Write + Send + 'static>(
        out: W,
        serial: u32,
        longest: Duration,
        tail: Tail,
    ) -> io::Result<(Self, Ending<W>)> {
        let (frames, inbox) = mpsc::channel(QUEUE);
        let (sender, ending) = oneshot::channel();
        let write = move || {
            // Whoever wanted it may have gone.
            let _ = sender.send(write(out, serial, (longest, tail), inbox));
        };
        std::thread::Builder::new().name("recorder".to_owned()).spawn(write)?;
        Ok((Self { frames, lost: 0 }, ending))
    }

    /// Puts on a frame; false when no more is taken.
    pub(super) fn put(&mut self, frame: &Frame) -> bool {
        match self.frames.try_reserve() {
            Ok(place) => {
                place.send((std::mem::take(&mut self.lost), Box::new(*frame)));
                true
            }
            Err(mpsc::error::TrySendError::Full(())) => {
                self.lost += 1;
                true
            }
            Err(mpsc::error::TrySendError::Closed(())) => false,
        }
    }
}

fn write<W: Write>(
    out: W,
    serial: u32,
    (longest, tail): (Duration, Tail),
    mut inbox: mpsc::Receiver<(u32, Box<Frame>)>,
) -> io::Result<Recorded<W>> {
    let mut writer = Writer::begin(out, serial)?;
    let (mut spoken, mut quiet) = (0, 0);
    'all: while let Some((lost, frame)) = inbox.blocking_recv() {
        let silence = (0..lost).map(|_| &SILENCE);
        for frame in silence.chain([&*frame]) {
            if writer.duration() + FRAME * quiet >= longest {
                break 'all;
            }
            let is_silent = frame.iter().all(|sample| *sample == 0);
            if is_silent && tail == Tail::Cut {
                quiet += 1;
                continue;
            }
            for _ in 0..std::mem::take(&mut quiet) {
                writer.write(&SILENCE)?;
            }
            writer.write(frame)?;
            spoken += u32::from(!is_silent);
        }
    }
    drop(inbox);
    let (duration, spoken) = (writer.duration(), FRAME * spoken);
    Ok(Recorded { out: writer.finish()?, duration, spoken })
}

/// Two seconds.
const QUEUE: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mixer::Tone;

    #[test]
    fn what_is_lost_to_a_slow_disk_leaves_its_time() {
        let (frames, inbox) = mpsc::channel(2);
        let mut tape = Tape { frames, lost: 0 };
        let mut tone = Tone::new(700.0, 6_000.0);
        for _ in 0..5 {
            assert!(tape.put(&tone.next_frame()));
        }
        let writing =
            std::thread::spawn(move || write(Vec::new(), 7, (Duration::from_secs(9), Tail::Kept), inbox));
        while tape.frames.capacity() == 0 {
            std::thread::yield_now();
        }
        assert!(tape.put(&tone.next_frame()));
        drop(tape);
        let recorded = writing.join().unwrap().unwrap();
        assert_eq!((recorded.duration, recorded.spoken), (FRAME * 6, FRAME * 3));
    }

    #[test]
    fn a_full_tape_takes_no_more() {
        let (mut tape, mut ending) = Tape::begin(Vec::new(), 7, FRAME * 3, Tail::Kept).unwrap();
        while tape.put(&SILENCE) {
            std::thread::yield_now();
        }
        let recorded = loop {
            match ending.try_recv() {
                Ok(recorded) => break recorded.unwrap(),
                Err(_) => std::thread::yield_now(),
            }
        };
        assert_eq!((recorded.duration, recorded.spoken), (FRAME * 3, Duration::ZERO));
    }

    #[test]
    fn a_message_ends_with_what_was_said_last() {
        let mut tone = Tone::new(700.0, 6_000.0);
        let mut recorded = |silence: [usize; 2], tail, longest| {
            let (frames, inbox) = mpsc::channel(100);
            let mut tape = Tape { frames, lost: 0 };
            for length in silence {
                assert!(tape.put(&tone.next_frame()));
                (0..length).for_each(|_| assert!(tape.put(&SILENCE)));
            }
            drop(tape);
            let recorded = write(Vec::new(), 7, (FRAME * longest, tail), inbox).unwrap();
            (recorded.duration, recorded.spoken)
        };
        assert_eq!(recorded([5, 20], Tail::Cut, 90), (FRAME * 7, FRAME * 2));
        assert_eq!(recorded([5, 20], Tail::Kept, 90), (FRAME * 27, FRAME * 2));
        assert_eq!(recorded([20, 5], Tail::Cut, 10), (FRAME, FRAME), "silence counts where it goes on");
    }
}
