//! Who sees whom — RFC 7667 §3.7, RFC 4585 §6.3.1, RFC 5104 §4.3.1, RFC 3550 §6.4. Pure: no socket, no clock.
//!
//! In    RTP and reports of legs, who speaks, instants. Out packets for legs, and requests and reports for them.
//! State what each leg shows ([`Source`]) and sees ([`Stream`]), what it can be sent ([`Bandwidth`]), who spoke before whom.
//! Errors what is no RTP of the leg's payload type, or of no medium of its, is dropped.
//!
//! Everybody sees who speaks, and as many of those who spoke before as they have streams for; what is shown on screens comes
//! first ([`choose`]). Who cannot take even the least of it sees nothing for a while ([`Strain`]). A stream goes on showing the one before until the next has sent a whole picture, which is asked for at
//! the switch and again each half second.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::Codec;
use super::bandwidth::Bandwidth;
use super::choose::{Candidate, Place as ViewNow, choose};
use super::feedback::{self, Wish};
use super::rtp::Rtp;
use super::seat::Seat;
use super::source::{Place, Source, locate};
use super::strain::Strain;
use super::stream::{Origin, Stream};
use super::transport::Arrivals;
use crate::media::rtcp;
use crate::mixer::LegId;

/// A packet for a leg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Out {
    /// Pictures.
    Picture(LegId, Vec<u8>),
    /// A request, or a report.
    Request(LegId, Vec<u8>),
}

/// All legs with pictures of one conference.
#[derive(Debug)]
pub struct Switch {
    legs: HashMap<LegId, Leg>,
    /// Who spoke last is first; who never did, in the order of coming.
    order: Vec<LegId>,
    /// An instant, and its NTP time.
    clock: (Instant, u64),
    /// When it was looked last at what everybody can take.
    looked: Instant,
    /// Pictures began.
    has_news: bool,
}

#[derive(Debug)]
struct Leg {
    seat: Seat,
    sources: Vec<Source>,
    streams: Vec<Stream>,
    /// Streams that nobody sees now, such as those of a call on hold.
    parked: Vec<Stream>,
    bandwidth: Bandwidth,
    strain: Strain,
    arrivals: Arrivals,
    /// How long its sound waits before it is mixed.
    waits: Duration,
    joined: Instant,
    /// When it was told last how its pictures come.
    told: Instant,
}

impl Switch {
    /// Nobody yet; `ntp` is the time of `now`, by which pictures and sound go together.
    pub fn new(now: Instant, ntp: u64) -> Self {
        Self { legs: HashMap::new(), order: Vec::new(), clock: (now, ntp), looked: now, has_news: false }
    }

    /// A leg with pictures comes.
    pub fn add(&mut self, id: LegId, seat: Seat, now: Instant, out: &mut Vec<Out>) {
        let leg = Leg {
            sources: Source::of_all(&seat.shows, Vec::new()),
            streams: Stream::of_all(&seat.views, Vec::new()).0,
            parked: Vec::new(),
            seat,
            bandwidth: Bandwidth::default(),
            strain: Strain::default(),
            arrivals: Arrivals::default(),
            waits: Duration::ZERO,
            joined: now,
            told: now,
        };
        self.legs.insert(id, leg);
        self.order.retain(|known| *known != id);
        self.order.push(id);
        self.choose(now, out);
    }

    /// What a leg may show and see changed.
    pub fn change(&mut self, id: LegId, seat: Seat, now: Instant, out: &mut Vec<Out>) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let was = std::mem::replace(&mut leg.seat, seat);
        let mut before = std::mem::take(&mut leg.streams);
        before.append(&mut leg.parked);
        (leg.streams, leg.parked) = Stream::of_all(&leg.seat.views, before);
        if was.payload_type != leg.seat.payload_type {
            // What is sent again is to be what was sent, to its head.
            leg.streams.iter_mut().for_each(|stream| stream.seen = None);
        }
        if was.shows != leg.seat.shows {
            leg.sources = Source::of_all(&leg.seat.shows, std::mem::take(&mut leg.sources));
            // What was the second may be the first now.
            for stream in self.legs.values_mut().flat_map(|leg| &mut leg.streams) {
                stream.seen = stream.seen.filter(|seen| seen.leg != id);
            }
        }
        self.choose(now, out);
    }

    /// Whether pictures began since the last call.
    pub fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.has_news)
    }

    /// Whose pictures come that may be seen, each as often as they have cameras and screens.
    pub fn live(&self, now: Instant) -> Vec<(LegId, Codec)> {
        let shown = self.legs.iter().filter(|(_, leg)| leg.seat.is_shown);
        let live = shown.flat_map(|(id, leg)| {
            leg.sources.iter().filter(|source| source.is_live(now)).map(|_| (*id, leg.seat.codec))
        });
        live.collect()
    }

    /// By which sources pictures come that may be seen: of each leg the first camera or screen, and of its layers the first.
    pub fn sources(&self) -> Vec<(LegId, u32)> {
        let shown = self.legs.iter().filter(|(_, leg)| leg.seat.is_shown);
        let first =
            |leg: &Leg| leg.sources.iter().flat_map(|source| &source.layers).find_map(|layer| layer.ssrc);
        shown.filter_map(|(id, leg)| Some((*id, first(leg)?))).collect()
    }

    /// A leg's sound waits for so long before it is mixed.
    pub fn sound_waits(&mut self, id: LegId, waits: Duration) {
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.waits = waits;
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

    /// Whether a packet is one of a leg's pictures.
    pub fn is_of(&self, id: LegId, packet: &[u8]) -> bool {
        let kind = Rtp::read(packet).map(|rtp| rtp.payload_type);
        self.legs.get(&id).is_some_and(|leg| kind == Some(leg.seat.payload_type))
    }

    /// Pictures of a leg.
    pub fn picture(&mut self, from: LegId, packet: &[u8], now: Instant, out: &mut Vec<Out>) {
        let Some(rtp) = Rtp::read(packet) else { return };
        let Some(sender) = self.legs.get_mut(&from) else { return };
        if rtp.payload_type != sender.seat.payload_type {
            return;
        }
        sender.note_arrival(from, &rtp, now, out);
        if !sender.seat.is_shown {
            return;
        }
        let origin = match locate(&mut sender.sources, &sender.seat, &rtp, now) {
            Some(Place::Known(source, layer)) => Origin { leg: from, source, layer },
            Some(Place::New(source, layer)) => {
                let origin = Origin { leg: from, source, layer };
                self.begin(origin, now, out);
                origin
            }
            None => return,
        };
        let Some(sender) = self.legs.get_mut(&from) else { return };
        let since = now.duration_since(sender.joined);
        if !sender.layer_mut(origin).hear(&rtp, packet, since, now) {
            return;
        }
        // Its sound waits before it is mixed, and the picture goes with that.
        let shown = sender.layer_mut(origin).instant_of(rtp.timestamp).unwrap_or(now) + sender.waits;
        let is_whole = sender.seat.codec.begins_whole_picture(rtp.payload);
        if is_whole {
            sender.layer_mut(origin).hear_whole();
        }
        let (mut is_awaited, clock) = (false, self.clock);
        for (id, viewer) in self.legs.iter_mut().filter(|(id, _)| **id != from) {
            for stream in &mut viewer.streams {
                if stream.next == Some(origin) {
                    match is_whole {
                        true => stream.turn_to(origin, &rtp, now),
                        false => is_awaited = true,
                    }
                }
                if stream.seen == Some(origin) {
                    let bandwidth = &mut viewer.bandwidth;
                    out.extend(send(*id, &viewer.seat, stream, bandwidth, &rtp, now));
                    let report = stream.report(rtp.timestamp, now, || ntp(clock, shown));
                    out.extend(report.map(|sent| {
                        let report = rtcp::compose(stream.view.ssrc, &viewer.seat.cname(), Some(sent), &[]);
                        Out::Request(*id, report)
                    }));
                }
            }
        }
        if is_awaited {
            self.ask(origin, now, out);
        }
        self.report(from, now, out);
        if now.duration_since(self.looked) >= LOOKS {
            self.looked = now;
            self.choose(now, out);
        }
    }

    /// What a leg says of what it sees, and of what it sends.
    pub fn wish(&mut self, from: LegId, report: &[u8], now: Instant, out: &mut Vec<Out>) {
        let Some(viewer) = self.legs.get_mut(&from) else { return };
        for (ssrc, ntp) in rtcp::senders(report) {
            let layers = viewer.sources.iter_mut().flat_map(|source| &mut source.layers);
            layers.filter(|layer| layer.ssrc == Some(ssrc)).for_each(|layer| layer.told(ntp, now));
        }
        for wish in feedback::read(report) {
            match wish {
                Wish::WholePicture(ssrc) => {
                    if let Some(seen) = self.seen(from, ssrc).and_then(|(_, stream)| stream.seen) {
                        self.ask(seen, now, out);
                    }
                }
                Wish::Again(ssrc, lost) => self.send_again(from, ssrc, lost, now, out),
                Wish::AtMost(bits) => self.learn(from, |bandwidth| bandwidth.tell(bits)),
                Wish::Arrived(arrivals) => self.learn(from, |bandwidth| bandwidth.hear(&arrivals, now)),
            }
        }
    }

    fn learn(&mut self, of: LegId, what: impl FnOnce(&mut Bandwidth)) {
        if let Some(leg) = self.legs.get_mut(&of) {
            what(&mut leg.bandwidth);
        }
    }

    /// The stream of this source. Who sees one alone means that, whatever they call it.
    fn seen(&self, viewer: LegId, ssrc: u32) -> Option<(usize, &Stream)> {
        let streams = &self.legs.get(&viewer)?.streams;
        let known = streams.iter().enumerate().find(|(_, stream)| stream.view.ssrc == ssrc);
        known.or_else(|| streams.iter().enumerate().next().filter(|_| streams.len() == 1))
    }

    /// Tells a sender once a second how its pictures come, and how much whoever sees them can take.
    fn report(&mut self, id: LegId, now: Instant, out: &mut Vec<Out>) {
        let Some(sender) = self.legs.get(&id) else { return };
        if now.duration_since(sender.told) < REPORTS {
            return;
        }
        // Who sends several layers sends something for everybody.
        let has_layers = sender.sources.iter().any(|source| source.layers.len() > 1);
        let viewers = self.legs.values().filter(|_| !has_layers);
        let most_can_take = bits_for_most(viewers.filter_map(|viewer| viewer.share_of(id)).collect());
        let Some(sender) = self.legs.get_mut(&id) else { return };
        sender.told = now;
        let layers = sender.sources.iter_mut().flat_map(|source| &mut source.layers);
        let blocks: Vec<_> = layers.filter_map(|layer| layer.block(now)).collect();
        let theirs: Vec<u32> = blocks.iter().map(|block| block.ssrc).collect();
        let seat = &sender.seat;
        let mut report = seat.us().begin(&blocks);
        let limit = Some(seat.limit).filter(|limit| *limit > 0);
        if let Some(most) = limit.into_iter().chain(most_can_take).min() {
            report.extend(feedback::at_most(seat.ssrc, &theirs, most.max(LEAST)));
        }
        out.push(Out::Request(id, report));
    }

    /// What was sent is sent again, what never came is asked for: each once in a moment, however often somebody asks.
    fn send_again(&mut self, viewer: LegId, ssrc: u32, lost: Vec<u16>, now: Instant, out: &mut Vec<Out>) {
        let Some((at, stream)) = self.seen(viewer, ssrc) else { return };
        let Some(origin) = stream.seen.filter(|seen| seen.leg != viewer) else { return };
        let [Some(sender), Some(leg)] = self.legs.get_disjoint_mut([&origin.leg, &viewer]) else { return };
        let (ours, layer, stream) = (sender.seat.us(), sender.layer_mut(origin), &mut leg.streams[at]);
        let mut missing = Vec::new();
        for lost in lost {
            let theirs = stream.theirs(lost);
            match layer.sent.packet(theirs) {
                Some(packet) => {
                    if stream.repeated.is_due(theirs, packet.len(), now)
                        && let Some(rtp) = Rtp::read(packet)
                    {
                        out.extend(send(viewer, &leg.seat, stream, &mut leg.bandwidth, &rtp, now));
                    }
                }
                None if layer.sent.awaits(theirs) && layer.missed.is_due(theirs, 4, now) => {
                    missing.push(theirs);
                }
                None => {}
            }
        }
        if let Some(theirs) = layer.ssrc.filter(|_| !missing.is_empty()) {
            out.push(Out::Request(origin.leg, feedback::nack(ours, theirs, &missing)));
        }
    }

    /// Whom each stream shows from the next whole picture on, for which they are asked.
    fn choose(&mut self, now: Instant, out: &mut Vec<Out>) {
        for origin in self.assign(now) {
            self.ask(origin, now, out);
        }
    }

    /// The same; whose whole pictures are waited for.
    fn assign(&mut self, now: Instant) -> Vec<Origin> {
        let mut candidates = Vec::new();
        for id in &self.order {
            let Some(leg) = self.legs.get(id).filter(|leg| leg.seat.is_shown) else { continue };
            let live = leg.sources.iter().enumerate().filter(|(_, source)| source.is_live(now));
            candidates.extend(live.map(|(source, shown)| Candidate {
                leg: *id,
                source,
                codec: leg.seat.codec,
                content: shown.content(),
                layers: shown.layers.iter().map(|layer| layer.pace(now)).collect(),
            }));
        }
        let mut wanted = Vec::new();
        for (id, leg) in &mut self.legs {
            let fits = |one: &&Candidate| one.leg != *id && one.codec == leg.seat.codec && leg.seat.sees;
            let fitting: Vec<&Candidate> = candidates.iter().filter(fits).collect();
            let of = |stream: &Stream| ViewNow { view: stream.view, now: stream.next.or(stream.seen) };
            let views: Vec<ViewNow> = leg.streams.iter().map(of).collect();
            let mut chosen = choose(&fitting, &views, leg.bandwidth.bits(leg.seat.takes));
            let bits_of = |origin: &Origin| {
                let shown = fitting.iter().find(|one| origin.is_of(one.leg, one.source));
                shown.map_or(0, |one| one.bits(origin.layer))
            };
            let needs = chosen.iter().flatten().map(bits_of).sum();
            if leg.strain.is_too_much(needs, leg.seat.takes, &mut leg.bandwidth, now) {
                chosen.fill(None);
            }
            for (stream, best) in leg.streams.iter_mut().zip(chosen) {
                let is_there = |seen: &Origin| fitting.iter().any(|one| seen.is_of(one.leg, one.source));
                stream.seen = stream.seen.filter(|seen| best.is_some() && is_there(seen));
                stream.next = best.filter(|best| stream.seen != Some(*best));
                wanted.extend(stream.next);
            }
        }
        wanted.sort_unstable();
        wanted.dedup();
        wanted
    }

    /// A layer begins, or begins anew: whoever sees it waits for a whole picture, and their streams go on from where they are.
    fn begin(&mut self, layer: Origin, now: Instant, out: &mut Vec<Out>) {
        self.has_news = true;
        let streams = self.legs.values_mut().flat_map(|leg| &mut leg.streams);
        streams.filter(|stream| stream.seen == Some(layer)).for_each(|stream| stream.seen = None);
        // Its first picture may be a whole one.
        for origin in self.assign(now).into_iter().filter(|origin| *origin != layer) {
            self.ask(origin, now, out);
        }
    }

    /// Asks a sender for a whole picture, at most twice a second.
    fn ask(&mut self, origin: Origin, now: Instant, out: &mut Vec<Out>) {
        let Some(sender) = self.legs.get_mut(&origin.leg) else { return };
        let (ours, by_fir) = (sender.seat.us(), sender.seat.by_fir);
        if let Some((theirs, number)) = sender.layer_mut(origin).is_askable(now) {
            let request = match by_fir {
                true => feedback::fir(ours, theirs, number),
                false => feedback::pli(ours, theirs),
            };
            out.push(Out::Request(origin.leg, request));
        }
    }
}

/// A packet of whom a stream shows, for its viewer.
fn send(
    to: LegId,
    seat: &Seat,
    stream: &mut Stream,
    bandwidth: &mut Bandwidth,
    rtp: &Rtp<'_>,
    now: Instant,
) -> Option<Out> {
    if stream.is_before(rtp) {
        return None;
    }
    let transport = seat.extensions.transport.map(|id| (id, bandwidth.depart(rtp.octets(), now)));
    Some(Out::Picture(to, stream.rewrite(rtp, seat.payload_type, transport, now)))
}

/// What more than half of those who see somebody can take, of each of whom it is known: the others do without, or have a net
/// that drops some. Who can take next to nothing is not asked.
fn bits_for_most(mut shares: Vec<u64>) -> Option<u64> {
    let all = shares.len();
    shares.retain(|bits| *bits >= LEAST);
    shares.sort_unstable();
    match shares.len() {
        0 => (all > 0).then_some(LEAST),
        known => Some(shares[(known - 1) / 2]),
    }
}

/// The time of an instant.
fn ntp((instant, ntp): (Instant, u64), then: Instant) -> u64 {
    let since = then.duration_since(instant);
    ntp.wrapping_add((since.as_secs() << 32) + (u64::from(since.subsec_nanos()) << 32) / 1_000_000_000)
}

impl Leg {
    /// The layer of an origin that [`locate`] or [`choose`] named.
    fn layer_mut(&mut self, origin: Origin) -> &mut super::source::Layer {
        &mut self.sources[origin.source].layers[origin.layer]
    }

    /// Counts a packet by its number of the transport; tells how they came, if that is due.
    fn note_arrival(&mut self, id: LegId, rtp: &Rtp<'_>, now: Instant, out: &mut Vec<Out>) {
        let number = rtp.extension(self.seat.extensions.transport).and_then(|octets| octets.first_chunk());
        let Some(number) = number.map(|octets| u16::from_be_bytes(*octets)) else { return };
        let feedback = self.arrivals.hear(number, self.seat.us(), rtp.ssrc, now);
        out.extend(feedback.map(|feedback| Out::Request(id, feedback)));
    }

    /// What it can take of somebody that it sees: a part for each stream.
    fn share_of(&self, seen: LegId) -> Option<u64> {
        let is_seen = |stream: &&Stream| stream.seen.is_some_and(|origin| origin.leg == seen);
        let stream = self.streams.iter().find(is_seen)?;
        let open = self.streams.iter().filter(|stream| stream.seen.is_some()).count().max(1);
        let here = Some(stream.view.takes).filter(|bits| *bits > 0);
        let part = self.bandwidth.bits(self.seat.takes).map(|bits| bits / open as u64);
        here.into_iter().chain(part).min()
    }
}

/// Between two reports to one sender.
const REPORTS: Duration = Duration::from_secs(1);
/// Between two looks at what everybody can take.
const LOOKS: Duration = Duration::from_millis(500);
/// Bits a second that a sender may have, whatever its viewers can take.
const LEAST: u64 = 150_000;

#[cfg(test)]
mod tests;
