//! One tick of the mixer, without clock of its own: hear all, sum, say to all.

use std::time::{Duration, Instant};

use super::limiter::{Limiter, Sum};
use super::loudest::Loudest;
use super::prompts::Prompt;
use super::shared::Shared;
use super::tape::Tape;
use super::words::Word;
use crate::media::leg::{Negotiated, RtpLeg};
use crate::media::playout::Worth;
use crate::media::quality::{Counters, Quality};
use crate::media::{Frame, SAMPLES, SILENCE};

/// A leg's name in its mixer; never used twice in one conference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LegId(pub u64);

/// What may pass: from the mix to the leg, and from the leg into the mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// Hears and is heard.
    Open,
    /// Hears; what it says is dropped.
    Muted,
    /// Before the door: hears prompts alone.
    Waiting,
    /// On hold: neither hears nor is heard (RFC 3264 §8.4).
    Closed,
}

/// Whether sound is to come from the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// It sends, and silence is a fault.
    Speaks,
    /// It said that it only listens.
    Listens,
    /// It said that it only sends, as a player of music does: silence is a fault, and nothing is sent to it.
    OnlySpeaks,
}

/// What a tick noticed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Spoken {
    /// No packet came from this leg for longer than allowed; said once.
    Silent(LegId),
    /// It has another certificate than was signalled; said once.
    Impostor(LegId),
    /// A key was pressed.
    Key(LegId, char),
    /// All that a leg was told was said; which number the last that stood instead of others had.
    Prompted(LegId, u64),
    /// Another one speaks, or nobody does.
    Speaker(Option<LegId>),
    /// A leg was taken out; so well it went.
    Gone(LegId, Quality),
}

/// All legs of one conference, and what the mix needs between ticks.
pub struct Legs {
    legs: Vec<Leg>,
    total: Box<Sum>,
    limiter: Limiter,
    shared: Shared,
    loudest: Loudest,
    patience: Duration,
    /// Ticks since somebody spoke last, and how loud it is where nobody speaks, in decibels below the loudest.
    silence: u32,
    noise: u8,
    /// Leveled legs that may be decoded this tick, by how loud they are.
    candidates: Vec<(u8, usize)>,
    /// Where the mix is written down, if it is.
    tape: Option<Tape>,
    /// Whether legs are told of that; who was not yet is not on the tape.
    is_announced: bool,
    /// Whether somebody was: the tape begins then.
    is_rolling: bool,
    /// Of what is written down.
    taped: Limiter,
}

/// What a leg was told of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    /// The prompt waits, or is being said.
    Soon,
    Knows,
}

struct Leg {
    id: LegId,
    rtp: RtpLeg,
    gate: Gate,
    peer: Peer,
    heard: Box<Frame>,
    /// Ticks that this leg still counts as speaking; zero keeps its frame out of the mix.
    speaking: u8,
    /// What its sound is multiplied by.
    gain: f32,
    /// Mean square of what it said, over the last fifth of a second.
    loudness: f32,
    limiter: Limiter,
    /// What it is told, and how many frames of the first were said.
    words: Vec<Word>,
    said: usize,
    /// The number of what it was told last instead of others.
    serial: u64,
    recording: Told,
    worth: Worth,
    is_reported: bool,
}

impl Legs {
    /// No legs; one that sends nothing for `patience` is reported.
    pub fn new(patience: Duration) -> Self {
        Self {
            legs: Vec::new(),
            total: Box::new([0; SAMPLES]),
            limiter: Limiter::new(),
            shared: Shared::default(),
            loudest: Loudest::default(),
            patience,
            silence: 0,
            noise: NO_NOISE,
            candidates: Vec::new(),
            tape: None,
            is_announced: false,
            is_rolling: false,
            taped: Limiter::new(),
        }
    }

    /// Adds a leg.
    pub fn add(&mut self, id: LegId, rtp: RtpLeg, gate: Gate, peer: Peer) {
        self.legs.push(Leg {
            id,
            rtp,
            gate,
            peer,
            heard: Box::new(SILENCE),
            speaking: 0,
            gain: 1.0,
            loudness: 0.0,
            limiter: Limiter::new(),
            words: Vec::new(),
            said: 0,
            serial: 0,
            recording: Told::Nothing,
            worth: Worth::Nothing,
            is_reported: false,
        });
    }

    /// Takes a leg out; its sockets close when the answer is dropped.
    pub fn remove(&mut self, id: LegId) -> Option<RtpLeg> {
        let position = self.legs.iter().position(|leg| leg.id == id)?;
        self.loudest.forget(id);
        Some(self.legs.remove(position).rtp)
    }

    /// Opens or closes a leg.
    pub fn set_gate(&mut self, id: LegId, gate: Gate, now: Instant) {
        let Some(leg) = self.find(id) else { return };
        if leg.gate == Gate::Closed && gate != Gate::Closed {
            leg.rtp.forgive_silence(now);
        }
        if gate == Gate::Closed {
            // What it did not hear to its end is said anew when it is back.
            leg.said = 0;
        }
        leg.gate = gate;
    }

    /// Makes what a leg says louder or quieter, in decibels; more than a few are not what a mix bears.
    pub fn set_gain(&mut self, id: LegId, decibels: i8) {
        let Some(leg) = self.find(id) else { return };
        let decibels = decibels.clamp(-MOST_GAIN, MOST_GAIN);
        leg.gain = 10_f32.powf(f32::from(decibels) / 20.0);
    }

    /// Changes what offer and answer agreed on.
    pub fn renegotiate(&mut self, id: LegId, negotiated: Negotiated, peer: Peer, now: Instant) {
        let Some(leg) = self.find(id) else { return };
        leg.rtp.renegotiate(negotiated, now);
        if leg.peer != peer {
            leg.rtp.forgive_silence(now);
            if leg.peer == Peer::OnlySpeaks {
                // It was told nothing so far.
                leg.recording = Told::Nothing;
            }
        }
        leg.peer = peer;
    }

    /// Says a prompt to a leg, after those that it is being told. More than a few are not kept.
    pub fn prompt(&mut self, id: LegId, prompt: Prompt) {
        let Some(leg) = self.find(id) else { return };
        if leg.words.len() < MOST_PROMPTS {
            leg.words.push(Word::Prompt(prompt));
        }
    }

    /// Says this to a leg, instead of what it is being told; its end is told with its number.
    pub fn tell(&mut self, id: LegId, words: Vec<Word>, serial: u64) {
        self.hush(id);
        let Some(leg) = self.find(id) else { return };
        leg.words.extend(words);
        leg.serial = serial;
    }

    /// Stops what a leg is being told.
    pub fn hush(&mut self, id: LegId) {
        let Some(leg) = self.find(id) else { return };
        leg.words.retain(Word::is_notice);
        leg.said = 0;
    }

    /// Writes the mix down for who knows of it, or does not any more, which is said to whoever was told that it is.
    pub fn record(&mut self, tape: Option<Tape>) {
        self.tape = tape;
        if std::mem::take(&mut self.is_announced) {
            self.legs.iter_mut().for_each(Leg::tell_end);
        }
    }

    /// Writes the mix down, and says so to each leg: at once, when it is back from hold, when it comes in.
    pub fn announce(&mut self, tape: Tape) {
        self.record(Some(tape));
        (self.is_announced, self.is_rolling, self.taped) = (true, false, Limiter::new());
    }

    /// How many legs there are.
    pub fn len(&self) -> usize {
        self.legs.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.legs.is_empty()
    }

    /// Moves 20 ms of sound. `notice` hears what the focus should know, and says whether the focus will hear of it.
    pub fn tick(&mut self, now: Instant, mut notice: impl FnMut(Spoken) -> bool) -> Counters {
        for leg in &mut self.legs {
            leg.rtp.receive(now, |key| {
                // A key that is lost to a busy focus is pressed again.
                let _ = notice(Spoken::Key(leg.id, key));
            });
            leg.rtp.report(now);
            let silence = now.duration_since(leg.rtp.last_sign());
            let is_silent = leg.peer != Peer::Listens && leg.gate != Gate::Closed && silence > self.patience;
            let wrong = match leg.rtp.is_impostor() {
                true => Some(Spoken::Impostor(leg.id)),
                false => is_silent.then_some(Spoken::Silent(leg.id)),
            };
            leg.is_reported = wrong.is_some_and(|wrong| leg.is_reported || notice(wrong));
        }
        self.choose();
        self.total.fill(0);
        for leg in &mut self.legs {
            leg.listen(&mut self.total);
        }
        let speakers = self.legs.iter().filter(|leg| leg.is_in_mix());
        let loudest = speakers.max_by(|a, b| a.loudness.total_cmp(&b.loudness)).map(|leg| leg.id);
        self.silence = if loudest.is_some() { 0 } else { self.silence.saturating_add(1) };
        if self.silence >= PAUSE && self.silence.is_multiple_of(PAUSE) {
            self.noise = self.background();
        }
        if let Some(speaker) = self.loudest.hear(loudest) {
            // Who speaks is told again with the next change.
            let _ = notice(Spoken::Speaker(speaker));
        }
        self.say(notice)
    }

    fn find(&mut self, id: LegId) -> Option<&mut Leg> {
        self.legs.iter_mut().find(|leg| leg.id == id)
    }

    /// Chooses who is decoded: whoever may be heard and does not say how loud they are, while they speak or may begin to, and
    /// the loudest of those who do.
    fn choose(&mut self) {
        self.candidates.clear();
        for (at, leg) in self.legs.iter_mut().enumerate() {
            let level = leg.rtp.level();
            leg.worth = match (leg.gate, level) {
                (Gate::Open, _) if leg.speaking > 0 => Worth::All,
                (Gate::Open, None) => Worth::Voice,
                _ => Worth::Nothing,
            };
            if let Some(level) = level.filter(|level| leg.gate == Gate::Open && *level < AUDIBLE) {
                self.candidates.push((level, at));
            }
        }
        self.candidates.sort_unstable();
        for (_, at) in self.candidates.iter().take(MOST_SPEAKERS) {
            self.legs[*at].worth = Worth::All;
        }
    }

    /// The loudest of what is too quiet to be mixed.
    fn background(&self) -> u8 {
        let open = self.legs.iter().filter(|leg| leg.gate == Gate::Open);
        let loudest = open.map(|leg| energy(&leg.heard)).fold(0.0, f32::max);
        // `as` saturates.
        (-10.0 * (loudest / FULL).log10()).min(f32::from(NO_NOISE)) as u8
    }

    fn say(&mut self, mut notice: impl FnMut(Spoken) -> bool) -> Counters {
        let everybody = self.limiter.frame(&self.total);
        self.write_down(&everybody);
        self.shared.begin();
        let mut counters = Counters::default();
        for leg in &mut self.legs {
            if self.is_announced {
                leg.tell_recording();
            }
            // What nobody would hear yet waits.
            let is_closed = leg.gate == Gate::Closed || leg.peer == Peer::OnlySpeaks;
            let is_deaf = is_closed || !leg.rtp.is_ready();
            let prompt = if is_deaf { None } else { leg.next_of_prompt() };
            match (leg.gate, prompt) {
                _ if is_closed => leg.rtp.skip(),
                (Gate::Waiting, prompt) => leg.rtp.say(&prompt.unwrap_or(SILENCE)),
                (_, Some(prompt)) => {
                    let sum = leg.others(&self.total);
                    let sum = std::array::from_fn(|n| sum[n] / BEHIND + i32::from(prompt[n]));
                    let frame = leg.limiter.frame(&sum);
                    leg.rtp.say(&frame);
                }
                (_, None) if leg.is_in_mix() => {
                    let frame = leg.limiter.frame(&leg.others(&self.total));
                    leg.rtp.say(&frame);
                }
                // RFC 3389 §5: it is the same for all, and need not be sent.
                (_, None) if self.silence >= PAUSE && leg.rtp.takes_noise() => leg.rtp.hush(self.noise),
                (_, None) => leg.rtp.send(self.shared.encode(leg.rtp.encoding(), &everybody)),
            }
            if leg.is_told() {
                leg.said = 0;
                // The focus waits for it with a deadline of its own.
                let _ = notice(Spoken::Prompted(leg.id, leg.serial));
            }
            counters.add(leg.rtp.take_counters());
        }
        counters
    }

    /// Puts a tick on the tape: what those say who know of it.
    fn write_down(&mut self, everybody: &Frame) {
        let Some(tape) = &mut self.tape else { return };
        let is_taken = if self.is_announced {
            self.is_rolling |= self.legs.iter().any(|leg| leg.recording == Told::Knows);
            if !self.is_rolling {
                return;
            }
            let mut sum = *self.total;
            for leg in self.legs.iter().filter(|leg| leg.is_in_mix() && leg.recording != Told::Knows) {
                sum.iter_mut().zip(leg.heard.iter()).for_each(|(sum, sample)| *sum -= i32::from(*sample));
            }
            tape.put(&self.taped.frame(&sum))
        } else {
            tape.put(everybody)
        };
        if !is_taken {
            self.tape = None;
        }
    }
}

impl Leg {
    fn listen(&mut self, total: &mut Sum) {
        let is_playing = self.rtp.play(self.worth, &mut self.heard);
        if is_playing && self.gain != 1.0 {
            // `as` saturates.
            self.heard.iter_mut().for_each(|sample| *sample = (f32::from(*sample) * self.gain) as i16);
        }
        let energy = if is_playing { energy(&self.heard) } else { 0.0 };
        self.loudness += (energy - self.loudness) / 10.0;
        let is_loud = self.gate == Gate::Open && energy > QUIET;
        self.speaking = if is_loud { HANGOVER } else { self.speaking.saturating_sub(1) };
        if self.is_in_mix() {
            for (sum, sample) in total.iter_mut().zip(self.heard.iter()) {
                *sum += i32::from(*sample);
            }
        }
    }

    fn is_in_mix(&self) -> bool {
        self.speaking > 0 && self.gate == Gate::Open
    }

    /// The sum, less one's own.
    fn others(&self, total: &Sum) -> Sum {
        match self.is_in_mix() {
            true => std::array::from_fn(|n| total[n] - i32::from(self.heard[n])),
            false => *total,
        }
    }

    fn tell_recording(&mut self) {
        if self.recording == Told::Nothing && matches!(self.gate, Gate::Open | Gate::Muted) {
            // Who takes no sound cannot be told by it.
            self.recording = if self.peer == Peer::OnlySpeaks { Told::Knows } else { Told::Soon };
            if self.recording == Told::Soon {
                self.words.push(Word::Prompt(Prompt::Recording));
            }
        }
    }

    /// It is not recorded any more. Who was not told yet that it is need not know.
    fn tell_end(&mut self) {
        let told = std::mem::replace(&mut self.recording, Told::Nothing);
        let waiting = self.words.iter().rposition(|word| word.is(Prompt::Recording));
        match (told, waiting) {
            (Told::Nothing, _) => {}
            _ if self.peer == Peer::OnlySpeaks => {}
            (Told::Soon, Some(at)) if at > 0 || self.said == 0 => drop(self.words.remove(at)),
            (Told::Soon | Told::Knows, _) => self.words.push(Word::Prompt(Prompt::RecordingEnded)),
        }
    }

    fn next_of_prompt(&mut self) -> Option<Frame> {
        while let Some(word) = self.words.first_mut() {
            if let Some(frame) = word.frame(self.said) {
                self.said += 1;
                return Some(frame);
            }
            if self.words.remove(0).is(Prompt::Recording) && self.recording == Told::Soon {
                self.recording = Told::Knows;
            }
            // One frame of silence divides prompts, and tells the end of the last.
            self.said = if self.words.is_empty() { TOLD } else { 0 };
        }
        None
    }

    fn is_told(&self) -> bool {
        self.said == TOLD
    }
}

impl Counters {
    pub(super) fn add(&mut self, more: Self) {
        self.received += more.received;
        self.lost += more.lost;
        self.late += more.late;
        self.sent += more.sent;
        self.rejected += more.rejected;
        self.forged += more.forged;
        self.replayed += more.replayed;
    }
}

/// Mean square of a frame.
fn energy(frame: &Frame) -> f32 {
    frame.iter().map(|sample| f32::from(*sample).powi(2)).sum::<f32>() / SAMPLES as f32
}

/// Mean square below which a frame is silence: -60 dB of full scale.
const QUIET: f32 = 33.0 * 33.0;
/// Mean square of the loudest (RFC 3389 §3.1).
const FULL: f32 = 32_767.0 * 32_767.0;
/// The level of nothing.
const NO_NOISE: u8 = 127;
/// Ticks of silence before noise stands for it, and between two looks at how loud that is: 200 ms.
const PAUSE: u32 = 10;
/// The level from which a packet is not worth decoding (RFC 6464: decibels below the loudest).
const AUDIBLE: u8 = 60;
/// Of those who say how loud they are, so many are decoded.
const MOST_SPEAKERS: usize = 8;
/// The most that a leg is made louder or quieter by, in decibels.
pub const MOST_GAIN: i8 = 12;
/// Ticks that a speaker stays in the mix after the last loud frame: 300 ms.
const HANGOVER: u8 = 15;
/// A prompt is heard over the others at a third of their loudness.
const BEHIND: i32 = 3;
/// Prompts that wait for a leg.
const MOST_PROMPTS: usize = 4;
/// What `said` is when the last prompt ended.
const TOLD: usize = usize::MAX;

#[cfg(test)]
mod tests;
