//! A mix, written down — beside the mixer, on a thread of its own, so that no tick waits for an encoder or a disk.
//!
//! In    the sum of all legs, frame by frame. Out Opus in Ogg ([`Writer`]), and how long somebody spoke.
//! State a queue of [`QUEUE`] frames: when it is full, what comes is lost, and silence of the same length stands for it.
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
    ) -> io::Result<(Self, Ending<W>)> {
        let (frames, inbox) = mpsc::channel(QUEUE);
        let (sender, ending) = oneshot::channel();
        let write = move || {
            // Whoever wanted it may have gone.
            let _ = sender.send(write(out, serial, longest, inbox));
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
    longest: Duration,
    mut inbox: mpsc::Receiver<(u32, Box<Frame>)>,
) -> io::Result<Recorded<W>> {
    let mut writer = Writer::begin(out, serial)?;
    let mut spoken = 0;
    'all: while let Some((lost, frame)) = inbox.blocking_recv() {
        let silence = (0..lost).map(|_| &SILENCE);
        for frame in silence.chain([&*frame]) {
            if writer.duration() >= longest {
                break 'all;
            }
            writer.write(frame)?;
            spoken += u32::from(frame.iter().any(|sample| *sample != 0));
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
        let writing = std::thread::spawn(move || write(Vec::new(), 7, Duration::from_secs(9), inbox));
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
        let (mut tape, mut ending) = Tape::begin(Vec::new(), 7, FRAME * 3).unwrap();
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
}
