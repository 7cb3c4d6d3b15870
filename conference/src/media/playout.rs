//! Play-out: from packets that come late, twice or not at all to one frame every 20 ms.
//!
//! In    packets with their sequence numbers and timestamps, as they arrive; a tick every 20 ms of our clock.
//! Out   a frame a tick, or nothing while there is too little.
//! State at most [`SLOTS`] packets, and what was decoded and not played yet.
//! Errors a late or doubled packet is dropped and counted; what is missing is concealed, by the packet after it if that
//! knows (Opus) and else by what was said before.
//!
//! **Delay** adapts: what matters is how little was in hand at the worst tick of two seconds. Running dry raises what is
//! wanted there, quiet times lower it. Of too much a period of the voice is left out now and then, of too little one is
//! said twice. The same corrects the drift of the sender's clock, whatever its sign.
//! **Pauses** of the sender (RFC 3389, RFC 6716 §2.1.9, RFC 4733) are no losses: they are filled and waited for.

use super::bursts::{Bursts, Spread};
use super::codec::{Decoder, Format, LONGEST};
use super::fifo::Fifo;
use super::{FRAME, Frame, RATE, SAMPLES, opus};
use std::time::Duration;

/// What a packet is to the play-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Sound, and how loud the sender says it is (RFC 6464: 0 loudest, 127 silence).
    Sound(Option<u8>),
    /// The sender pauses; noise of this level, 0 to 127 below the loudest, stands for it (RFC 3389).
    Noise(u8),
    /// Something else took the place of sound (RFC 4733).
    Event,
}

/// What of a sender's sound is worth decoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worth {
    /// All of it.
    All,
    /// What its encoder takes for voice (RFC 6716 §4.2.3), and a taste of the rest: music is none.
    Voice,
    /// Nothing: time passes and nothing is heard.
    Nothing,
}

/// What a leg's listener has in hand.
pub struct Playout {
    format: Format,
    slots: Box<[Slot; SLOTS]>,
    held: usize,
    /// What is played next; `None` until a packet came.
    next: Option<Next>,
    newest: u16,
    /// Samples of the last packet of sound that came.
    duration: usize,
    fifo: Fifo,
    is_playing: bool,
    /// Ticks that were waited for enough.
    waited: usize,
    /// Samples invented since there was nothing left, for what may come late.
    owed: usize,
    filler: Filler,
    /// Packets without voice that were passed over since one was decoded; `None` if all are.
    untasted: Option<u8>,
    target: usize,
    low: usize,
    window: u32,
    /// Samples to be left out (positive) or put in.
    surplus: isize,
    /// Frames until the next may be made shorter or longer.
    rest: u32,
    seed: u32,
    lost: u64,
    late: u64,
    bursts: Bursts,
}

#[derive(Debug, Clone, Copy)]
struct Next {
    sequence: u16,
    timestamp: u32,
}

#[derive(Debug, Clone)]
struct Slot {
    kind: Option<Kind>,
    sequence: u16,
    timestamp: u32,
    payload: Vec<u8>,
}

/// What stands in for sound when nothing is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filler {
    /// What was said last: packets are late or lost.
    Conceal,
    /// What was said last, fading: the last packet said that a pause begins.
    Pause,
    /// Noise of this amplitude.
    Noise(i16),
    /// Nothing.
    Silence,
}

impl Playout {
    /// Nothing heard yet.
    pub fn new(format: Format) -> Self {
        let slot = || Slot { kind: None, sequence: 0, timestamp: 0, payload: Vec::new() };
        Self {
            format,
            slots: Box::new(std::array::from_fn(|_| slot())),
            held: 0,
            next: None,
            newest: 0,
            duration: SAMPLES,
            fifo: Fifo::new(),
            is_playing: false,
            waited: 0,
            owed: 0,
            filler: Filler::Silence,
            untasted: None,
            target: LEAST_TARGET * 2,
            low: usize::MAX,
            window: 0,
            surplus: 0,
            rest: 0,
            seed: 1,
            lost: 0,
            late: 0,
            bursts: Bursts::default(),
        }
    }

    /// Another sender or another format: what was held is of no use.
    pub fn restart(&mut self, format: Format) {
        self.format = format;
        self.clear();
        self.fifo.clear();
        (self.is_playing, self.next) = (false, None);
    }

    /// Takes the packet numbered `sequence`.
    pub fn insert(&mut self, sequence: u16, timestamp: u32, kind: Kind, payload: &[u8]) {
        let ahead = match self.next {
            Some(next) => sequence.wrapping_sub(next.sequence).cast_signed(),
            None => 0,
        };
        if self.next.is_none() {
            self.begin_at(sequence, timestamp);
        } else if ahead < 0 && ahead > -RESTART {
            if self.is_playing || self.held == 0 || usize::from(ahead.unsigned_abs()) + self.held > SLOTS {
                self.bursts.was_late(ahead.unsigned_abs());
                return self.late += 1;
            }
            // Nothing was played yet: the first to arrive was not the first that was sent.
            self.next = Some(Next { sequence, timestamp });
        } else if ahead < 0 || ahead >= SLOTS as i16 {
            // A sender that began anew may number from anywhere.
            self.clear();
            self.begin_at(sequence, timestamp);
        }
        let slot = &mut self.slots[usize::from(sequence) % SLOTS];
        if slot.kind.is_some() {
            return self.late += 1;
        }
        slot.payload.clear();
        slot.payload.extend_from_slice(&payload[..payload.len().min(LARGEST)]);
        (slot.kind, slot.sequence, slot.timestamp) = (Some(kind), sequence, timestamp);
        if self.held == 0 || sequence.wrapping_sub(self.newest).cast_signed() > 0 {
            self.newest = sequence;
        }
        self.held += 1;
        if let Kind::Sound(_) = kind {
            self.duration = self.format.samples_of(payload).max(1);
        }
    }

    /// How loud the sender says that the next packet is (RFC 6464); `None` if it does not say, or there is none.
    pub fn level(&self) -> Option<u8> {
        let slot = &self.slots[usize::from(self.next?.sequence) % SLOTS];
        match slot.kind {
            Some(Kind::Sound(level)) => level,
            _ => None,
        }
    }

    /// The next 20 ms into `out`; false, and silence, if there is nothing to play.
    pub fn take(&mut self, worth: Worth, decoder: &mut Decoder, out: &mut Frame) -> bool {
        out.fill(0);
        self.untasted = (worth == Worth::Voice).then(|| self.untasted.unwrap_or(0));
        let mut decoder = (worth != Worth::Nothing).then_some(decoder);
        if !self.is_playing && !self.begin() {
            return false;
        }
        for _ in 0..SLOTS {
            if self.in_hand() <= MOST {
                break;
            }
            // A burst came: what is oldest goes.
            self.pull(decoder.as_deref_mut());
            self.fifo.clear();
        }
        self.rest = self.rest.saturating_sub(1);
        let is_off =
            self.rest == 0 && self.surplus.unsigned_abs() >= TOLERANCE && self.filler == Filler::Conceal;
        // To compare periods takes more samples, if they are there; it is not worth running dry for.
        let wanted = if is_off && self.held > 0 { Fifo::NEEDED } else { SAMPLES };
        for _ in 0..SLOTS * 2 {
            if self.fifo.len() >= wanted || (self.fifo.len() >= SAMPLES && self.held == 0) {
                break;
            }
            if !self.pull(decoder.as_deref_mut()) {
                self.is_playing = false;
                self.fifo.clear();
                return false;
            }
        }
        self.play_frame(is_off, out);
        self.adapt();
        true
    }

    /// How long what comes now will have waited when it is played, from its first sample on.
    pub fn delay(&self) -> Duration {
        FRAME + Duration::from_micros(self.in_hand() as u64 * 1_000_000 / RATE as u64)
    }

    /// Packets that never came, since the last call.
    pub fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }

    /// Packets that came too late or twice, since the last call.
    pub fn take_late(&mut self) -> u64 {
        std::mem::take(&mut self.late)
    }

    /// How what was missing was spread since the sender began, with durations in packets of [`Self::packet`].
    pub(super) fn spread(&self) -> Spread {
        self.bursts.spread()
    }

    /// Another sender: what the one before lost is not its.
    pub fn count_anew(&mut self) {
        self.bursts = Bursts::default();
    }

    /// How long the last packet of sound was.
    pub fn packet(&self) -> Duration {
        Duration::from_micros(self.duration as u64 * 1_000_000 / RATE as u64)
    }

    /// How long sound shall wait, as it goes now, and how long it may at most.
    pub fn waits(&self) -> (Duration, Duration) {
        let time = |samples: usize| Duration::from_micros(samples as u64 * 1_000_000 / RATE as u64);
        (time(self.target), time(MOST))
    }

    /// Samples that are held, as far as is known before they are decoded.
    fn in_hand(&self) -> usize {
        let packets = match self.next {
            Some(next) if self.held > 0 => usize::from(self.newest.wrapping_sub(next.sequence)) + 1,
            _ => 0,
        };
        self.fifo.len() + packets.min(SLOTS) * self.duration
    }

    fn begin_at(&mut self, sequence: u16, timestamp: u32) {
        self.bursts.begin_anew();
        self.next = Some(Next { sequence, timestamp });
    }

    fn clear(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.kind = None);
        self.held = 0;
    }

    /// Whether there is enough to begin, or was waited for long enough.
    fn begin(&mut self) -> bool {
        if self.held == 0 {
            return false;
        }
        self.waited += 1;
        let enough = self.target + SAMPLES;
        if self.in_hand() < enough && self.waited * SAMPLES < enough {
            return false;
        }
        self.is_playing = true;
        (self.waited, self.owed, self.low, self.window, self.surplus) = (0, 0, usize::MAX, 0, 0);
        true
    }

    /// Moves the next packet, or what stands in for it, to what is decoded. False if it is time to give up.
    fn pull(&mut self, decoder: Option<&mut Decoder>) -> bool {
        let Some(next) = self.next else { return false };
        let at = usize::from(next.sequence) % SLOTS;
        if let Some(kind) = self.slots[at].kind.take() {
            self.held -= 1;
            self.bursts.was_there();
            self.play(at, kind, next, decoder);
            return true;
        }
        if self.held > 0 {
            self.pass_over(next, decoder);
            return true;
        }
        self.fill(decoder)
    }

    fn play(&mut self, at: usize, kind: Kind, next: Next, decoder: Option<&mut Decoder>) {
        let slot = &self.slots[at];
        let (sequence, timestamp) = (slot.sequence.wrapping_add(1), slot.timestamp);
        let ticks = match kind {
            Kind::Event => {
                self.filler = Filler::Silence;
                0
            }
            Kind::Noise(level) => {
                self.filler = Filler::Noise(amplitude(level));
                0
            }
            Kind::Sound(_) => {
                // A pause that ends while sound is still in hand keeps its length, up to a frame.
                let pause = timestamp.wrapping_sub(next.timestamp).cast_signed();
                if pause > 0 && self.owed == 0 && self.filler != Filler::Conceal {
                    let samples = self.format.samples(pause as usize);
                    self.fifo.push(&[0; SAMPLES][..samples.min(SAMPLES)]);
                }
                let mut samples = [0; LONGEST];
                let is_voice = self.format != Format::Opus || opus::may_be_voice(&slot.payload);
                let is_passed_over = self.untasted.is_some_and(|untasted| !is_voice && untasted < TASTE);
                self.untasted = self.untasted.map(|untasted| if is_passed_over { untasted + 1 } else { 0 });
                let ticks = self.format.ticks_of(&slot.payload);
                let count = match decoder.filter(|_| !is_passed_over) {
                    Some(decoder) => decoder.decode(&slot.payload, &mut samples),
                    None => self.format.samples_of(&slot.payload),
                };
                self.fifo.push(&samples[..count]);
                let is_pause = self.format == Format::Opus && slot.payload.len() <= opus::PAUSE;
                self.filler = if is_pause { Filler::Pause } else { Filler::Conceal };
                ticks
            }
        };
        self.owed = 0;
        self.next = Some(Next { sequence, timestamp: timestamp.wrapping_add(ticks) });
    }

    /// The next packet is missing, though later ones are there.
    fn pass_over(&mut self, next: Next, decoder: Option<&mut Decoder>) {
        let missing = (1..SLOTS as u16)
            .find(|ahead| self.slots[usize::from(next.sequence.wrapping_add(*ahead)) % SLOTS].kind.is_some());
        let missing = missing.unwrap_or(1);
        let after = &self.slots[usize::from(next.sequence.wrapping_add(missing)) % SLOTS];
        if missing > CONCEALED {
            self.bursts.were_missing(missing);
            self.lost += u64::from(missing);
            self.next = Some(Next { sequence: after.sequence, timestamp: after.timestamp });
            return;
        }
        self.bursts.were_missing(1);
        self.lost += 1;
        let ticks = self.format.ticks(self.duration);
        let (sequence, timestamp) = (next.sequence.wrapping_add(1), next.timestamp.wrapping_add(ticks));
        self.next = Some(Next { sequence, timestamp });
        let count = self.duration.min(LONGEST);
        if self.owed >= count {
            // It was concealed already, while it might still have come.
            self.owed -= count;
            return;
        }
        let mut samples = [0; LONGEST];
        if let Some(decoder) = decoder {
            let knows = missing == 1 && matches!(after.kind, Some(Kind::Sound(_)));
            decoder.conceal(knows.then_some(after.payload.as_slice()), &mut samples[..count]);
        }
        self.fifo.push(&samples[..count]);
    }

    /// Nothing is held: something stands in for what may still come. False after too long.
    fn fill(&mut self, decoder: Option<&mut Decoder>) -> bool {
        let most = match self.filler {
            Filler::Conceal => usize::from(CONCEALED),
            Filler::Pause | Filler::Silence => 50,
            Filler::Noise(_) => 500,
        };
        if self.owed >= most * SAMPLES {
            return false;
        }
        if self.owed == 0 && self.filler == Filler::Conceal {
            self.target = (self.target + LEAST_TARGET).min(MOST_TARGET);
        }
        let mut frame = [0; SAMPLES];
        match (self.filler, decoder) {
            (Filler::Conceal | Filler::Pause, Some(decoder)) => decoder.conceal(None, &mut frame),
            // As wide as the sound that it stands for: of what is above, a telephone would hear nothing.
            (Filler::Noise(amplitude), Some(_)) => {
                for held in frame.chunks_mut(self.format.samples(1).max(1)) {
                    self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    held.fill(((self.seed >> 16) as i16 as i32 * i32::from(amplitude) / 32_768) as i16);
                }
            }
            _ => {}
        }
        self.owed += SAMPLES;
        self.fifo.push(&frame);
        true
    }

    /// Takes a frame of what is decoded, shorter or longer if that is due and not heard.
    fn play_frame(&mut self, is_off: bool, out: &mut Frame) {
        let most = self.surplus.unsigned_abs();
        let changed = match (is_off, self.surplus > 0) {
            (false, _) => None,
            (true, true) => self.fifo.take_shorter(most, out).map(usize::cast_signed),
            (true, false) => self.fifo.take_longer(most, out).map(|lag| -lag.cast_signed()),
        };
        match changed {
            Some(changed) => {
                self.surplus -= changed;
                self.rest = REST;
            }
            None => self.fifo.take(out),
        }
    }

    /// Looks at what was in hand at the worst of many ticks.
    fn adapt(&mut self) {
        if self.filler != Filler::Conceal {
            return;
        }
        self.low = self.low.min(self.in_hand());
        self.window += 1;
        if self.window < WINDOW {
            return;
        }
        let off = self.low as isize - self.target as isize;
        self.surplus = off;
        self.target = self.target.saturating_sub(EASE).max(LEAST_TARGET);
        (self.low, self.window) = (usize::MAX, 0);
    }
}

/// RFC 3389 §3: so many decibels below the loudest; uniform noise is 4.8 dB below its peak.
fn amplitude(level: u8) -> i16 {
    (32_767.0 * 10_f32.powf((4.8 - f32::from(level & 0x7f)) / 20.0)).min(4_000.0) as i16
}

/// Packets that are held: 640 ms of the usual ones.
const SLOTS: usize = 32;
/// Octets of a payload that are kept: 20 ms of L16 at 48 kHz, which may come in fragments.
const LARGEST: usize = SAMPLES * 2;
/// Samples in hand at the worst tick: at least 10 ms are wanted, at most 120; 20 at the beginning.
const LEAST_TARGET: usize = SAMPLES / 2;
const MOST_TARGET: usize = SAMPLES * 6;
/// What is in hand at most, 240 ms.
const MOST: usize = SAMPLES * 12;
/// Ticks that are looked at together: 2 s. What is wanted falls by 1 ms each time.
const WINDOW: u32 = 100;
const EASE: usize = SAMPLES / 20;
/// Samples off target that are left alone: less than 7.5 ms.
const TOLERANCE: usize = SAMPLES * 3 / 8;
/// Frames between two that are made shorter or longer: 100 ms.
const REST: u32 = 5;
/// Packets without voice that are passed over before one is decoded: what is loud and no voice is heard so much late.
const TASTE: u8 = 4;
/// Packets in a row that are concealed.
const CONCEALED: u16 = 5;
/// A packet this far behind is late; further behind, the sender began anew.
const RESTART: i16 = 100;

#[cfg(test)]
mod tests;
