//! What one source of pictures sent last, each number once — RFC 3550 §5.1, RFC 3711 §9.1 (one key and index, one packet).
//! Pure.
//!
//! In    packets with their numbers, numbers that somebody lost. Out the packets again, the same octets.
//! State the packets with the [`KEPT`] newest numbers, of [`MOST`] octets at the most, of which the oldest go first. Errors a
//! number that is taken, or older than these, is nobody's.

use std::collections::VecDeque;

/// The last packets of a source.
#[derive(Debug, Default)]
pub(super) struct Window {
    newest: Option<u16>,
    /// In the order of coming; nothing of a packet whose number alone is known.
    packets: VecDeque<(u16, Vec<u8>)>,
    octets: usize,
}

impl Window {
    /// Whether a number is so far back, or ahead, that its source counts anew (RFC 3550 §A.1).
    pub(super) fn begins_anew(&self, sequence: u16) -> bool {
        self.newest.is_some_and(|newest| !(-DROPOUT..RESTART).contains(&behind(newest, sequence)))
    }

    /// Keeps a packet; false if its number was used, or is too old for that to be known.
    pub(super) fn keep(&mut self, sequence: u16, packet: &[u8]) -> bool {
        let newest = *self.newest.get_or_insert(sequence);
        if behind(newest, sequence) >= KEPT || self.is_used(sequence) {
            return false;
        }
        if behind(newest, sequence) < 0 {
            self.newest = Some(sequence);
            self.packets.retain(|(known, packet)| {
                let is_kept = (0..KEPT).contains(&behind(sequence, *known));
                self.octets -= if is_kept { 0 } else { packet.len() };
                is_kept
            });
        }
        self.octets += packet.len();
        self.packets.push_back((sequence, packet.to_vec()));
        let mut oldest = self.packets.iter_mut();
        while self.octets > MOST
            && let Some((_, packet)) = oldest.next()
        {
            self.octets -= std::mem::take(packet).len();
        }
        true
    }

    /// The packet of a number.
    pub(super) fn packet(&self, sequence: u16) -> Option<&[u8]> {
        let known = self.packets.iter().find(|(known, _)| *known == sequence);
        known.map(|(_, packet)| &packet[..]).filter(|packet| !packet.is_empty())
    }

    fn is_used(&self, sequence: u16) -> bool {
        self.packets.iter().any(|(known, _)| *known == sequence)
    }

    /// Whether a packet of this number may still come.
    pub(super) fn awaits(&self, sequence: u16) -> bool {
        let is_near = self.newest.is_some_and(|newest| (1..KEPT).contains(&behind(newest, sequence)));
        is_near && !self.is_used(sequence)
    }
}

/// How far back a number is; below zero for what is newer.
fn behind(newest: u16, sequence: u16) -> i32 {
    i32::from(newest.wrapping_sub(sequence) as i16)
}

/// Numbers that are known.
const KEPT: i32 = 128;
/// Octets of packets that are kept: a tenth of a second of ten megabits.
const MOST: usize = 128 * 1_024;
/// Who counts from so far back begins anew, or from so far ahead: no net loses so many and goes on.
const RESTART: i32 = 1_024;
const DROPOUT: i32 = 3_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_packet() {
        let mut window = Window::default();
        assert!(window.keep(65_535, b"a") && window.keep(1, b"c") && window.keep(0, b"b"));
        assert!(!window.keep(0, b"other") && window.awaits(65_534) && !window.awaits(2));
        assert_eq!((window.packet(0), window.packet(2)), (Some(&b"b"[..]), None));
        assert!(window.keep(127, b"d"));
        assert_eq!((window.packet(65_535), window.packet(0)), (None, Some(&b"b"[..])));
        assert!(!window.keep(65_535, b"other"), "nobody knows any more what it was");
        assert!(window.keep(500, b"e") && window.packet(127).is_none());
        assert_eq!((window.begins_anew(400), window.begins_anew(65_000)), (false, true));
        assert_eq!((window.begins_anew(3_500), window.begins_anew(3_501)), (false, true));
        for sequence in 501..1_500 {
            assert!(window.keep(sequence, b"x"));
        }
        assert_eq!((window.packets.len(), window.octets), (KEPT as usize, KEPT as usize));
    }

    #[test]
    fn great_packets_are_kept_for_less_long_and_their_numbers_are_known_on() {
        let mut window = Window::default();
        for sequence in 0..100 {
            assert!(window.keep(sequence, &[7; 2_000]));
        }
        assert_eq!(window.octets, MOST / 2_000 * 2_000);
        assert!(window.packet(99).is_some() && window.packet(0).is_none());
        assert!(!window.keep(0, b"other") && !window.awaits(0));
    }
}
