//! What one source of pictures sent last, each number once — RFC 3550 §5.1, RFC 3711 §9.1 (one key and index, one packet).
//! Pure.
//!
//! In    packets with their numbers, numbers that somebody lost. Out the packets again, the same octets.
//! State the packets with the [`KEPT`] newest numbers. Errors a number that is taken, or older than these, is nobody's.

use std::collections::VecDeque;

/// The last packets of a source.
#[derive(Debug, Default)]
pub(super) struct Window {
    newest: Option<u16>,
    packets: VecDeque<(u16, Vec<u8>)>,
}

impl Window {
    /// Whether a number is so far back that its source counts anew.
    pub(super) fn begins_anew(&self, sequence: u16) -> bool {
        self.newest.is_some_and(|newest| behind(newest, sequence) >= RESTART)
    }

    /// Keeps a packet; false if its number was used, or is too old for that to be known.
    pub(super) fn keep(&mut self, sequence: u16, packet: &[u8]) -> bool {
        let newest = *self.newest.get_or_insert(sequence);
        if behind(newest, sequence) >= KEPT || self.packet(sequence).is_some() {
            return false;
        }
        if behind(newest, sequence) < 0 {
            self.newest = Some(sequence);
            self.packets.retain(|(known, _)| (0..KEPT).contains(&behind(sequence, *known)));
        }
        self.packets.push_back((sequence, packet.to_vec()));
        true
    }

    /// The packet of a number.
    pub(super) fn packet(&self, sequence: u16) -> Option<&[u8]> {
        let known = self.packets.iter().find(|(known, _)| *known == sequence);
        known.map(|(_, packet)| &packet[..])
    }

    /// Whether a packet of this number may still come.
    pub(super) fn awaits(&self, sequence: u16) -> bool {
        self.newest.is_some_and(|newest| (1..KEPT).contains(&behind(newest, sequence)))
    }
}

/// How far back a number is; below zero for what is newer.
fn behind(newest: u16, sequence: u16) -> i32 {
    i32::from(newest.wrapping_sub(sequence) as i16)
}

/// Numbers whose packets are kept: about 150 KiB at the most.
const KEPT: i32 = 128;
/// Who counts from so far back begins anew.
const RESTART: i32 = 1_024;

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
        for sequence in 501..1_500 {
            assert!(window.keep(sequence, b"x"));
        }
        assert_eq!(window.packets.len(), KEPT as usize);
    }
}
