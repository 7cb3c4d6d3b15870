//! Whom each stream shows, and in which layer — RFC 7667 §3.7; RFC 8853 (layers). Pure.
//!
//! In    who may be seen, in the order of having spoken; the streams of a viewer, and what it can take.
//! Out   for each stream the layer that it shows from the next whole picture on, or nobody.
//! State none. Errors there is always the first, in its least layer, however little a viewer can take; but what was said of
//!       a stream holds for that stream ([`View::takes`]), and who is much too great for it has none.
//!
//! Where there is a limit, a greater layer is chosen only when it is known how much of it comes: the first packets of every layer
//! are few.
//!
//! What somebody shows (slides) goes to streams for that, or else before all faces. A stream goes on showing whom it shows
//! as long as they are among those that are seen, so that nobody jumps from place to place.

use super::Codec;
use super::seat::{Content, View};
use super::source::Pace;
use super::strain::exceeds;
use super::stream::Origin;
use crate::mixer::LegId;

/// A camera or screen that may be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) leg: LegId,
    pub(super) source: usize,
    pub(super) codec: Codec,
    pub(super) content: Content,
    /// How much comes of each layer; nothing while none does.
    pub(super) layers: Vec<Option<Pace>>,
}

impl Candidate {
    /// Bits a second of a layer.
    pub(super) fn bits(&self, layer: usize) -> u64 {
        self.layers.get(layer).copied().flatten().map_or(0, |pace| pace.bits)
    }
}

/// A stream as it is now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) view: View,
    /// Whom it shows, or will show.
    pub(super) now: Option<Origin>,
}

/// Whom each of a viewer's streams shall show.
pub(super) fn choose(candidates: &[&Candidate], places: &[Place], takes: Option<u64>) -> Vec<Option<Origin>> {
    let mut chosen = vec![None; places.len()];
    let has_slides = places.iter().any(|place| place.view.content == Some(Content::Slides));
    let of =
        |content: Content| candidates.iter().filter(move |candidate| candidate.content == content).copied();
    let for_slides: Vec<_> = of(Content::Slides).collect();
    let faces = of(Content::Face);
    let for_all: Vec<_> = match has_slides {
        true => faces.collect(),
        false => for_slides.iter().copied().chain(faces).collect(),
    };
    let mut wanted = Vec::new();
    for (is_meant, pool) in [(true, &for_slides), (false, &for_all)] {
        let here = |at: &usize| (places[*at].view.content == Some(Content::Slides)) == is_meant;
        let mut free: Vec<usize> = (0..places.len()).filter(here).collect();
        let seen = &pool[..free.len().min(pool.len())];
        let is_at =
            |at: &usize, one: &Candidate| places[*at].now.is_some_and(|now| now.is_of(one.leg, one.source));
        let mut new = Vec::new();
        for (rank, one) in seen.iter().enumerate() {
            match free.iter().position(|at| is_at(at, one)) {
                Some(known) => wanted.push((rank, free.remove(known), *one)),
                None => new.push((rank, *one)),
            }
        }
        wanted.extend(new.into_iter().zip(free).map(|((rank, one), at)| (rank, at, one)));
    }
    // The stable sort keeps slides before the face of the same rank.
    wanted.sort_by_key(|(rank, at, _)| (*rank, places[*at].view.content != Some(Content::Slides)));
    let mut left = takes;
    let mut is_first = true;
    for (_, at, one) in wanted {
        let now = places[at].now.filter(|now| now.is_of(one.leg, one.source)).map(|now| now.layer);
        let here = Some(places[at].view.takes).filter(|bits| *bits > 0);
        let most = left.into_iter().chain(here).min();
        let layer = match is_first {
            true => Some(greatest(&one.layers, now, most))
                .filter(|layer| !here.is_some_and(|here| exceeds(one.bits(*layer), here))),
            false => least(&one.layers).filter(|layer| most.is_none_or(|most| one.bits(*layer) <= most)),
        };
        let Some(layer) = layer else { continue };
        is_first = false;
        left = left.map(|left| left.saturating_sub(one.bits(layer)));
        chosen[at] = Some(Origin { leg: one.leg, source: one.source, layer });
    }
    chosen
}

/// The greatest layer that can be taken, and a greater one than now only if there is room to spare; the least if none can.
fn greatest(layers: &[Option<Pace>], now: Option<usize>, left: Option<u64>) -> usize {
    let bits_now = now.and_then(|now| layers.get(now).copied().flatten()).map(|pace| pace.bits);
    let fits = |Pace { bits, is_known }: Pace| {
        let needs = if bits_now.is_some_and(|now| bits > now) { bits + bits / 8 } else { bits };
        left.is_none_or(|left| is_known && needs <= left)
    };
    let live = layers.iter().enumerate().filter_map(|(at, pace)| Some((at, (*pace)?)));
    let best = live.filter(|(_, pace)| fits(*pace)).max_by_key(|(_, pace)| pace.bits);
    best.map(|(at, _)| at).or_else(|| least(layers)).unwrap_or(0)
}

/// The least layer of those that come; the first while none do.
fn least(layers: &[Option<Pace>]) -> Option<usize> {
    let live = layers.iter().enumerate().filter_map(|(at, pace)| Some((at, (*pace)?)));
    live.min_by_key(|(_, pace)| pace.bits).map(|(at, _)| at).or((!layers.is_empty()).then_some(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(leg: u64, source: usize, content: Content, layers: &[u64]) -> Candidate {
        let pace = |bits: &u64| (*bits > 0).then_some(Pace { bits: *bits, is_known: true });
        let layers = layers.iter().map(pace).collect();
        Candidate { leg: LegId(leg), source, codec: Codec::Vp8, content, layers }
    }

    fn face(leg: u64) -> Candidate {
        candidate(leg, 0, Content::Face, &[500])
    }

    fn places(now: &[Option<(u64, usize)>], content: &[Option<Content>]) -> Vec<Place> {
        let one = |(now, content): (&Option<(u64, usize)>, &Option<Content>)| Place {
            view: View { ssrc: 0, content: *content, takes: 0 },
            now: now.map(|(leg, layer)| Origin { leg: LegId(leg), source: 0, layer }),
        };
        now.iter().zip(content).map(one).collect()
    }

    fn chosen(candidates: &[Candidate], places: &[Place], takes: Option<u64>) -> Vec<Option<(u64, usize)>> {
        let candidates: Vec<&Candidate> = candidates.iter().collect();
        let chosen = choose(&candidates, places, takes);
        chosen.into_iter().map(|origin| origin.map(|origin| (origin.leg.0, origin.layer))).collect()
    }

    #[test]
    fn who_spoke_last_is_seen_and_nobody_changes_places() {
        let all = [face(4), face(2), face(1), face(3)];
        let two = places(&[Some((1, 0)), Some((2, 0))], &[None; 2]);
        assert_eq!(
            chosen(&all, &two, None),
            [Some((4, 0)), Some((2, 0))],
            "the place of who left is used again"
        );
        let five = places(&[None; 5], &[None; 5]);
        assert_eq!(chosen(&all[..2], &five, None), [Some((4, 0)), Some((2, 0)), None, None, None]);
    }

    #[test]
    fn slides_have_their_own_place_or_the_first() {
        let all = [face(4), candidate(1, 1, Content::Slides, &[500]), face(2)];
        assert_eq!(chosen(&all, &places(&[None], &[None]), None), [Some((1, 0))]);
        let apart = places(&[None; 2], &[None, Some(Content::Slides)]);
        assert_eq!(chosen(&all, &apart, None), [Some((4, 0)), Some((1, 0))]);
        assert_eq!(chosen(&all[..1], &apart, None), [Some((4, 0)), None], "no face among the slides");
    }

    #[test]
    fn layers_fit_what_a_viewer_can_take() {
        let layers = |leg| candidate(leg, 0, Content::Face, &[100, 400, 1_600]);
        let all = [layers(4), layers(2), layers(1)];
        let three = places(&[None; 3], &[None; 3]);
        for (takes, expected) in [
            (None, [Some((4, 2)), Some((2, 0)), Some((1, 0))]),
            (Some(900), [Some((4, 1)), Some((2, 0)), Some((1, 0))]),
            (Some(500), [Some((4, 1)), Some((2, 0)), None]),
            (Some(20), [Some((4, 0)), None, None]),
        ] {
            assert_eq!(chosen(&all, &three, takes), expected, "{takes:?}");
        }
        let low = places(&[Some((4, 0))], &[None]);
        assert_eq!(chosen(&all, &low, Some(420)), [Some((4, 0))], "no room to spare");
        let middle = places(&[Some((4, 1))], &[None]);
        assert_eq!(chosen(&all, &middle, Some(420)), [Some((4, 1))]);
        let silent = [candidate(4, 0, Content::Face, &[100, 0, 0])];
        assert_eq!(chosen(&silent, &middle, None), [Some((4, 0))], "what does not come is not waited for");
    }

    #[test]
    fn what_was_said_of_a_stream_holds_for_it_however_much_all_may_have() {
        let layers = candidate(4, 0, Content::Face, &[40, 200]);
        let mut two = places(&[None; 2], &[None; 2]);
        two.iter_mut().for_each(|place| place.view.takes = 150);
        let plain = |bits| candidate(2, 0, Content::Face, &[bits]);
        for (all, expected) in [
            (vec![layers.clone(), plain(100)], [Some((4, 0)), Some((2, 0))]),
            (vec![layers.clone(), plain(160)], [Some((4, 0)), None]),
            (vec![plain(290), layers.clone()], [Some((2, 0)), None]),
            (vec![plain(310), layers.clone()], [None, Some((4, 0))]),
            (vec![plain(310)], [None, None]),
        ] {
            assert_eq!(chosen(&all, &two, Some(300)), expected, "{all:?}");
        }
    }

    #[test]
    fn what_is_not_known_yet_is_no_reason_to_choose_more() {
        let pace = |bits, is_known| Some(Pace { bits, is_known });
        let mut one = candidate(4, 0, Content::Face, &[40, 20]);
        one.layers = vec![pace(20, false), pace(10, false)];
        let here = places(&[None], &[None]);
        assert_eq!(chosen(&[one.clone()], &here, Some(150)), [Some((4, 1))]);
        assert_eq!(chosen(&[one.clone()], &here, None), [Some((4, 0))], "without a limit nobody waits");
        one.layers = vec![pace(120, true), pace(40, true)];
        assert_eq!(chosen(&[one], &here, Some(150)), [Some((4, 0))]);
    }
}
