//! Who sees whom — RFC 7667 §3.7, RFC 4585 §6.3.1, RFC 5104 §4.3.1. Pure: no socket, no clock.
//!
//! In    RTP and wishes of legs, who speaks, instants. Out packets for legs, and requests for senders.
//! State for each leg whom it sees, and how its stream's numbers go on from one sender to the next; the last packets of
//!       each sender, for those who lost some.
//! Errors what is no RTP of the leg's payload type is dropped.
//!
//! Everybody sees who speaks, who speaks sees who spoke before. A leg goes on seeing the one before until the next has
//! sent a whole picture, which is asked for at the switch and again each half second.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::Codec;
use super::feedback::{self, Wish};
use super::lately::Lately;
use super::window::Window;
use crate::media::reception::Reception;
use crate::media::rtcp;
use crate::mixer::LegId;

/// A packet for a leg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Out {
    /// Pictures.
    Picture(LegId, Vec<u8>),
    /// A request to who sends pictures.
    Request(LegId, Vec<u8>),
}

/// What is known of a leg when it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat {
    /// What it sends and sees.
    pub codec: Codec,
    /// Its payload type, in both directions.
    pub payload_type: u8,
    /// The source of what it sees.
    pub ssrc: u32,
    /// What it is told to send at most, in bits a second; 0: it is told nothing.
    pub limit: u64,
    /// Whether others may see it.
    pub is_shown: bool,
    /// Whether it may see others.
    pub sees: bool,
}

/// All legs with pictures of one conference.
#[derive(Debug, Default)]
pub struct Switch {
    legs: HashMap<LegId, Leg>,
    /// Who spoke last is first; who never did, in the order of coming.
    order: Vec<LegId>,
}

#[derive(Debug)]
struct Leg {
    seat: Seat,
    /// The source that it sends by, once it did.
    source: Option<u32>,
    /// What it sent last, for who lost some.
    sent: Window,
    asked: Option<Instant>,
    /// What it was asked for again.
    missed: Lately,
    /// What it was sent again.
    repeated: Lately,
    joined: Instant,
    reception: Option<Reception>,
    /// When it was told last how its pictures come.
    told: Instant,
    /// What it said that it can take, in bits a second.
    takes: Option<u64>,
    /// Whom it sees.
    seen: Option<LegId>,
    /// Whom it will see, with their next whole picture.
    next: Option<LegId>,
    /// What is added to the numbers of whom it sees.
    shift: (u16, u32),
    /// The first of their packets that it saw: what is older is not its.
    first: u16,
    /// The last numbers that it was sent, and when.
    last: Option<(u16, u32, Instant)>,
}

impl Switch {
    /// A leg with pictures comes.
    pub fn add(&mut self, id: LegId, seat: Seat, now: Instant, out: &mut Vec<Out>) {
        let leg = Leg {
            seat,
            source: None,
            sent: Window::default(),
            asked: None,
            missed: Lately::default(),
            repeated: Lately::default(),
            joined: now,
            reception: None,
            told: now,
            takes: None,
            seen: None,
            next: None,
            shift: (0, 0),
            first: 0,
            last: None,
        };
        self.legs.insert(id, leg);
        self.order.retain(|known| *known != id);
        self.order.push(id);
        self.choose(now, out);
    }

    /// What a leg may show and see changed.
    pub fn change(&mut self, id: LegId, seat: Seat, now: Instant, out: &mut Vec<Out>) {
        if let Some(leg) = self.legs.get_mut(&id) {
            if leg.seat.payload_type != seat.payload_type {
                // What is sent again is to be what was sent, to its head.
                leg.seen = None;
            }
            leg.seat = Seat { ssrc: leg.seat.ssrc, ..seat };
            self.choose(now, out);
        }
    }

    /// A leg is gone.
    pub fn remove(&mut self, id: LegId, now: Instant, out: &mut Vec<Out>) {
        self.legs.remove(&id);
        self.order.retain(|known| *known != id);
        self.choose(now, out);
    }

    /// Somebody else speaks. When nobody does, who spoke last is seen on.
    pub fn speak(&mut self, id: LegId, now: Instant, out: &mut Vec<Out>) {
        if let Some(at) = self.order.iter().position(|known| *known == id) {
            self.order[..=at].rotate_right(1);
            self.choose(now, out);
        }
    }

    /// Pictures of a leg.
    pub fn picture(&mut self, from: LegId, packet: &[u8], now: Instant, out: &mut Vec<Out>) {
        let Some(rtp) = Rtp::read(packet) else { return };
        let Some(sender) = self.legs.get_mut(&from) else { return };
        if rtp.payload_type != sender.seat.payload_type || !sender.seat.is_shown {
            return;
        }
        if sender.source.replace(rtp.ssrc) != Some(rtp.ssrc) || sender.sent.begins_anew(rtp.sequence) {
            sender.sent = Window::default();
            sender.asked = None;
            sender.reception = Some(Reception::new(rtp.ssrc, rtp.sequence));
            self.lose_sight(from, now, out);
        }
        let Some(sender) = self.legs.get_mut(&from) else { return };
        let arrival = now.duration_since(sender.joined).as_millis() as u32;
        if let Some(reception) = &mut sender.reception {
            reception.hear(rtp.sequence, rtp.timestamp, arrival.wrapping_mul(90));
        }
        if !sender.sent.keep(rtp.sequence, packet) {
            return;
        }
        let is_whole = sender.seat.codec.begins_whole_picture(rtp.payload);
        for (id, viewer) in self.legs.iter_mut().filter(|(id, _)| **id != from) {
            if viewer.next == Some(from) && is_whole {
                viewer.turn_to(from, &rtp, now);
            }
            if viewer.seen == Some(from)
                && let Some(packet) = viewer.rewrite(&rtp, now)
            {
                out.push(Out::Picture(*id, packet));
            }
        }
        self.ask_again(from, now, out);
        self.report(from, now, out);
    }

    /// What a leg says of what it sees.
    pub fn wish(&mut self, from: LegId, report: &[u8], now: Instant, out: &mut Vec<Out>) {
        let Some(viewer) = self.legs.get_mut(&from) else { return };
        let wishes = feedback::read(report);
        if let Some(Wish::AtMost(bits)) = wishes.iter().rfind(|wish| matches!(wish, Wish::AtMost(_))) {
            viewer.takes = Some(*bits);
        }
        let Some(seen) = viewer.seen else { return };
        let shift = viewer.shift.0;
        for wish in wishes {
            match wish {
                Wish::WholePicture => self.ask(seen, now, out),
                Wish::AtMost(_) => {}
                Wish::Again(lost) => self.send_again(from, seen, lost, shift, now, out),
            }
        }
    }

    /// Tells a sender once a second how its pictures come, and how much whoever sees it can take.
    fn report(&mut self, id: LegId, now: Instant, out: &mut Vec<Out>) {
        let viewers = self.legs.values().filter(|leg| leg.seen == Some(id));
        let least = viewers.filter_map(|leg| leg.takes).min();
        let Some(sender) = self.legs.get_mut(&id) else { return };
        let Some(reception) = &mut sender.reception else { return };
        if now.duration_since(sender.told) < REPORTS {
            return;
        }
        sender.told = now;
        let ours = sender.seat.ssrc;
        let mut report = rtcp::compose(ours, &format!("{ours:08x}"), None, Some(reception.report()));
        let limit = Some(sender.seat.limit).filter(|limit| *limit > 0);
        if let Some(most) = limit.into_iter().chain(least).min() {
            report.extend(feedback::at_most(ours, reception.ssrc, most.max(LEAST)));
        }
        out.push(Out::Request(id, report));
    }

    /// What was sent is sent again, what never came is asked for: each once in a moment, however often somebody asks.
    fn send_again(
        &mut self,
        viewer: LegId,
        seen: LegId,
        lost: Vec<u16>,
        shift: u16,
        now: Instant,
        out: &mut Vec<Out>,
    ) {
        if seen == viewer {
            return;
        }
        let [Some(sender), Some(viewer_leg)] = self.legs.get_disjoint_mut([&seen, &viewer]) else { return };
        let mut missing = Vec::new();
        for theirs in lost.into_iter().map(|lost| lost.wrapping_sub(shift)) {
            match sender.sent.packet(theirs) {
                Some(packet) => {
                    if viewer_leg.repeated.is_due(theirs, packet.len(), now)
                        && let Some(rtp) = Rtp::read(packet)
                        && let Some(packet) = viewer_leg.rewrite(&rtp, now)
                    {
                        out.push(Out::Picture(viewer, packet));
                    }
                }
                None if sender.sent.awaits(theirs) && sender.missed.is_due(theirs, 4, now) => {
                    missing.push(theirs);
                }
                None => {}
            }
        }
        if let Some(theirs) = sender.source.filter(|_| !missing.is_empty()) {
            out.push(Out::Request(seen, feedback::nack(sender.seat.ssrc, theirs, &missing)));
        }
    }

    /// Whom each leg sees from the next whole picture on.
    fn choose(&mut self, now: Instant, out: &mut Vec<Out>) {
        let shown: Vec<(LegId, Codec)> = self
            .order
            .iter()
            .filter_map(|id| Some((*id, self.legs.get(id)?.seat)))
            .filter(|(_, seat)| seat.is_shown)
            .map(|(id, seat)| (id, seat.codec))
            .collect();
        let mut wanted = Vec::new();
        for (id, leg) in &mut self.legs {
            let fits = |(other, codec): &&(LegId, Codec)| other != id && *codec == leg.seat.codec;
            let best = shown.iter().find(fits).map(|(id, _)| *id).filter(|_| leg.seat.sees);
            if leg.seen.is_some_and(|seen| best.is_none() || !shown.iter().any(|(id, _)| *id == seen)) {
                leg.seen = None;
            }
            leg.next = best.filter(|best| leg.seen != Some(*best));
            wanted.extend(leg.next);
        }
        wanted.sort_unstable();
        wanted.dedup();
        for id in wanted {
            self.ask(id, now, out);
        }
    }

    /// A sender begins anew: whoever sees it waits for a whole picture, and their streams go on from where they are.
    fn lose_sight(&mut self, of: LegId, now: Instant, out: &mut Vec<Out>) {
        let mut is_seen = false;
        for viewer in self.legs.values_mut().filter(|viewer| viewer.seen == Some(of)) {
            (viewer.seen, is_seen) = (None, true);
        }
        if is_seen {
            self.choose(now, out);
        }
    }

    /// Asks a sender for a whole picture, at most twice a second.
    fn ask(&mut self, id: LegId, now: Instant, out: &mut Vec<Out>) {
        let Some(sender) = self.legs.get_mut(&id) else { return };
        let Some(theirs) = sender.source else { return };
        if sender.asked.is_none_or(|asked| now.duration_since(asked) >= PAUSE) {
            sender.asked = Some(now);
            out.push(Out::Request(id, feedback::pli(sender.seat.ssrc, theirs)));
        }
    }

    /// Asks again while somebody waits.
    fn ask_again(&mut self, id: LegId, now: Instant, out: &mut Vec<Out>) {
        if self.legs.values().any(|leg| leg.next == Some(id)) {
            self.ask(id, now, out);
        }
    }
}

impl Leg {
    /// From this packet on it sees another; its stream goes on.
    fn turn_to(&mut self, sender: LegId, rtp: &Rtp<'_>, now: Instant) {
        let (sequence, timestamp) = match self.last {
            Some((sequence, timestamp, then)) => {
                let ticks = (now.duration_since(then).as_millis() as u32).saturating_mul(90).max(1);
                (sequence.wrapping_add(1), timestamp.wrapping_add(ticks))
            }
            None => (rtp.sequence, rtp.timestamp),
        };
        self.shift = (sequence.wrapping_sub(rtp.sequence), timestamp.wrapping_sub(rtp.timestamp));
        (self.seen, self.next, self.first) = (Some(sender), None, rtp.sequence);
    }

    /// A packet of whom it sees, as one of its own stream. `None` for one from before it saw them.
    fn rewrite(&mut self, rtp: &Rtp<'_>, now: Instant) -> Option<Vec<u8>> {
        if (rtp.sequence.wrapping_sub(self.first) as i16) < 0 {
            return None;
        }
        // Far enough on, what is older than the first is not known by its number any more.
        if rtp.sequence.wrapping_sub(self.first) > HALF {
            self.first = rtp.sequence.wrapping_sub(HALF);
        }
        let sequence = rtp.sequence.wrapping_add(self.shift.0);
        let timestamp = rtp.timestamp.wrapping_add(self.shift.1);
        let is_newer = |last: u16| (sequence.wrapping_sub(last) as i16) > 0;
        if self.last.is_none_or(|(last, ..)| is_newer(last)) {
            self.last = Some((sequence, timestamp, now));
        }
        let mut packet = Vec::with_capacity(HEAD + rtp.payload.len());
        packet.push(0x80 | rtp.padding);
        packet.push(rtp.marker | self.seat.payload_type);
        packet.extend_from_slice(&sequence.to_be_bytes());
        packet.extend_from_slice(&timestamp.to_be_bytes());
        packet.extend_from_slice(&self.seat.ssrc.to_be_bytes());
        packet.extend_from_slice(rtp.payload);
        Some(packet)
    }
}

/// What is read of a packet (RFC 3550 §5.1). Contributing sources and extensions are for whoever negotiated them.
struct Rtp<'a> {
    padding: u8,
    marker: u8,
    payload_type: u8,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    /// With its padding, if it has one.
    payload: &'a [u8],
}

impl<'a> Rtp<'a> {
    fn read(packet: &'a [u8]) -> Option<Self> {
        let (head, rest) = packet.split_first_chunk::<HEAD>()?;
        if head[0] >> 6 != 2 {
            return None;
        }
        let mut payload = rest.get(usize::from(head[0] & 0x0f) * 4..)?;
        if head[0] & 0x10 != 0 {
            let words = u16::from_be_bytes([*payload.get(2)?, *payload.get(3)?]);
            payload = payload.get(4 + usize::from(words) * 4..)?;
        }
        Some(Self {
            padding: head[0] & 0x20,
            marker: head[1] & 0x80,
            payload_type: head[1] & 0x7f,
            sequence: u16::from_be_bytes([head[2], head[3]]),
            timestamp: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
            ssrc: u32::from_be_bytes([head[8], head[9], head[10], head[11]]),
            payload,
        })
    }
}

/// Octets of a header without sources and extensions.
const HEAD: usize = 12;
/// Between two requests to one sender.
const PAUSE: Duration = Duration::from_millis(500);
/// Between two reports to one sender.
const REPORTS: Duration = Duration::from_secs(1);
/// Bits a second that a sender may have, whatever a viewer can take: one slow viewer does not blind all.
const LEAST: u64 = 150_000;
/// Numbers that a packet may be late by.
const HALF: u16 = 0x4000;

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = &[0x10, 0x00, 7];
    const DELTA: &[u8] = &[0x10, 0x01, 7];

    fn seat(ssrc: u32) -> Seat {
        Seat { codec: Codec::Vp8, payload_type: 96, ssrc, limit: 1_500_000, is_shown: true, sees: true }
    }

    /// A packet with an extension, which nobody gets.
    fn packet(sequence: u16, ssrc: u32, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x90, 0x80 | 96];
        packet.extend_from_slice(&sequence.to_be_bytes());
        packet.extend_from_slice(&(u32::from(sequence) * 3_000).to_be_bytes());
        packet.extend_from_slice(&ssrc.to_be_bytes());
        packet.extend_from_slice(&[0xbe, 0xde, 0, 1, 0x10, 1, 0, 0]);
        packet.extend_from_slice(payload);
        packet
    }

    struct Story {
        switch: Switch,
        now: Instant,
    }

    impl Story {
        fn new(legs: u64) -> Self {
            let mut story = Self { switch: Switch::default(), now: Instant::now() };
            for id in 1..=legs {
                story.switch.add(LegId(id), seat(1_000 + id as u32), story.now, &mut Vec::new());
            }
            story
        }

        /// A leg sends; whom what reached, with its sequence number, and who was asked for a whole picture.
        fn send(&mut self, from: u64, sequence: u16, payload: &[u8]) -> (Vec<(u64, u16)>, Vec<u64>) {
            let mut out = Vec::new();
            let packet = packet(sequence, from as u32, payload);
            self.now += Duration::from_millis(33);
            self.switch.picture(LegId(from), &packet, self.now, &mut out);
            told(out)
        }

        fn speak(&mut self, id: u64) -> Vec<u64> {
            let mut out = Vec::new();
            self.now += PAUSE;
            self.switch.speak(LegId(id), self.now, &mut out);
            told(out).1
        }
    }

    fn told(out: Vec<Out>) -> (Vec<(u64, u16)>, Vec<u64>) {
        let (mut pictures, mut requests) = (Vec::new(), Vec::new());
        for one in out {
            match one {
                Out::Picture(LegId(to), packet) => {
                    let rtp = Rtp::read(&packet).unwrap();
                    assert_eq!((rtp.ssrc, packet[0]), (1_000 + to as u32, 0x80), "its own source, bare");
                    pictures.push((to, rtp.sequence));
                }
                Out::Request(LegId(to), asked) if feedback::read(&asked) == [Wish::WholePicture] => {
                    requests.push(to);
                }
                Out::Request(..) => {}
            }
        }
        pictures.sort_unstable();
        (pictures, requests)
    }

    #[test]
    fn everybody_sees_who_speaks_from_a_whole_picture_on() {
        let mut story = Story::new(3);
        assert_eq!(story.send(1, 10, DELTA), (vec![], vec![1]), "nobody can begin with that");
        assert_eq!(story.send(1, 11, KEY), (vec![(2, 11), (3, 11)], vec![]));
        assert_eq!(story.send(1, 12, DELTA).0, [(2, 12), (3, 12)]);
        // The one who is seen sees the next of the order.
        assert_eq!(story.send(2, 500, KEY), (vec![(1, 500)], vec![]));

        assert_eq!(story.speak(2), [2], "a whole picture is asked for");
        assert_eq!(story.send(1, 13, DELTA).0, [(2, 13), (3, 13)], "until then the old one is seen");
        assert_eq!(story.send(2, 501, DELTA).0, [(1, 501)]);
        assert_eq!(story.send(2, 502, KEY).0, [(1, 502), (3, 14)], "the stream's numbers go on");
        assert_eq!(story.send(1, 14, DELTA).0, [(2, 14)], "who speaks sees who spoke before");
    }

    #[test]
    fn who_lost_packets_gets_them_again_and_others_are_asked_for() {
        let mut story = Story::new(2);
        story.send(1, 10, KEY);
        story.send(1, 12, DELTA);
        let mut out = Vec::new();
        let report = feedback::nack(9, 1_002, &[10, 11]);
        story.switch.wish(LegId(2), &report, story.now, &mut out);
        assert!(matches!(&out[..], [Out::Picture(LegId(2), again), Out::Request(LegId(1), asked)]
            if feedback::read(asked) == [Wish::Again(vec![11])] && Rtp::read(again).unwrap().sequence == 10));
        // Who asks again and again is not answered again and again.
        let mut out = Vec::new();
        for _ in 0..9 {
            story.switch.wish(LegId(2), &[&report[..], &report].concat(), story.now, &mut out);
        }
        assert_eq!(out, []);
        story.now += Duration::from_millis(100);
        story.switch.wish(LegId(2), &[&report[..], &report].concat(), story.now, &mut out);
        assert_eq!(out.len(), 2);
        // What comes so late is forwarded in its place.
        assert_eq!(story.send(1, 11, DELTA).0, [(2, 11)]);
        let mut out = Vec::new();
        story.now += PAUSE;
        story.switch.wish(LegId(2), &feedback::pli(9, 1_002), story.now, &mut out);
        story.switch.wish(LegId(2), &feedback::pli(9, 1_002), story.now, &mut out);
        assert_eq!(told(out).1, [1], "not twice in half a second");
    }

    #[test]
    fn who_begins_anew_is_seen_from_a_whole_picture_on_and_no_number_has_two_packets() {
        let mut story = Story::new(2);
        assert_eq!(story.send(1, 10, KEY).0, [(2, 10)]);
        assert_eq!(story.send(1, 11, DELTA).0, [(2, 11)]);
        assert_eq!(story.send(1, 11, KEY).0, [], "another packet of a known number");
        let again = |story: &mut Story, number| {
            let mut out = Vec::new();
            story.switch.wish(LegId(2), &feedback::nack(9, 1_002, &[number]), story.now, &mut out);
            out.retain(|out| matches!(out, Out::Picture(..)));
            out
        };
        assert!(matches!(&again(&mut story, 11)[..], [Out::Picture(_, again)] if again.ends_with(DELTA)));

        // Another source of the same leg, with the same numbers.
        let of_another = |story: &mut Story, sequence, payload: &[u8]| {
            let mut out = Vec::new();
            story.switch.picture(LegId(1), &packet(sequence, 77, payload), story.now, &mut out);
            told(out)
        };
        assert_eq!(of_another(&mut story, 11, DELTA), (vec![], vec![1]), "a whole picture is asked for");
        assert_eq!(again(&mut story, 11), [], "nor is it sent again under the old number");
        assert_eq!(of_another(&mut story, 12, KEY).0, [(2, 12)], "the stream goes on");
        assert_eq!(of_another(&mut story, 11, KEY).0, []);
        assert_eq!(of_another(&mut story, 13, DELTA).0, [(2, 13)]);

        // The same source, which counts from far back.
        assert_eq!(of_another(&mut story, 60_000, DELTA), (vec![], vec![1]));
        assert_eq!(of_another(&mut story, 60_001, KEY).0, [(2, 14)]);
    }

    #[test]
    fn a_sender_is_told_how_much_its_viewers_can_take() {
        let mut story = Story::new(3);
        story.send(1, 10, KEY);
        let told = |story: &mut Story, sequence| {
            let mut out = Vec::new();
            story.now += REPORTS;
            story.switch.picture(LegId(1), &packet(sequence, 1, DELTA), story.now, &mut out);
            let reports = out.into_iter().filter_map(|out| match out {
                Out::Request(LegId(1), report) => Some(report),
                _ => None,
            });
            reports.map(|report| (rtcp::read(&report, 1).unwrap().block, feedback::read(&report))).next()
        };
        let (block, wishes) = told(&mut story, 12).unwrap();
        assert_eq!((block.unwrap().lost, block.unwrap().highest), (1, 12));
        assert!(matches!(wishes[..], [Wish::AtMost(1_499_000..=1_500_000)]));
        for (viewer, bits) in [(2, 400_000), (3, 20_000)] {
            let wish = feedback::at_most(9, 9, bits);
            story.switch.wish(LegId(viewer), &wish, story.now, &mut Vec::new());
        }
        let (_, wishes) = told(&mut story, 13).unwrap();
        assert!(matches!(wishes[..], [Wish::AtMost(149_000..=150_000)]), "no less for one: {wishes:?}");
        story.switch.remove(LegId(3), story.now, &mut Vec::new());
        let (_, wishes) = told(&mut story, 14).unwrap();
        assert!(matches!(wishes[..], [Wish::AtMost(399_000..=400_000)]));
    }

    #[test]
    fn codecs_do_not_mix_and_who_may_not_be_shown_is_not() {
        let mut story = Story::new(2);
        let other = Seat { codec: Codec::H264, payload_type: 97, ..seat(1_003) };
        story.switch.add(LegId(3), other, story.now, &mut Vec::new());
        assert_eq!(story.send(1, 10, KEY).0, [(2, 10)]);
        let hidden = Seat { is_shown: false, ..seat(1_001) };
        story.switch.change(LegId(1), hidden, story.now, &mut Vec::new());
        assert_eq!(story.send(1, 11, KEY).0, []);
        let blind = Seat { sees: false, ..seat(1_001) };
        story.switch.change(LegId(1), blind, story.now, &mut Vec::new());
        assert_eq!((story.send(1, 12, KEY).0, story.send(2, 5, KEY).0), (vec![(2, 11)], vec![]));
        story.switch.remove(LegId(1), story.now, &mut Vec::new());
        assert_eq!(story.send(1, 13, KEY).0, []);
    }

    #[test]
    fn no_packet_harms_a_switch() {
        let mut story = Story::new(2);
        story.send(1, 10, KEY);
        let whole = packet(11, 1, KEY);
        let mut out = Vec::new();
        for length in 0..whole.len() {
            story.switch.picture(LegId(1), &whole[..length], story.now, &mut out);
            story.switch.wish(LegId(2), &whole[..length], story.now, &mut out);
        }
        let mut long = whole.clone();
        (long[14], long[15]) = (0xff, 0xff);
        story.switch.picture(LegId(1), &long, story.now, &mut out);
        long[0] = 0x9f;
        story.switch.picture(LegId(1), &long, story.now, &mut out);
    }
}
