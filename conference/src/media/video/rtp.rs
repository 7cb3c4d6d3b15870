//! Packets of pictures — RFC 3550 §5.1 (heads), RFC 8285 §4.2 and §4.3 (what is beside them). Pure.
//!
//! In    a packet. Out its head and payload, borrowed; a packet with another head and the same payload.
//! Errors what is cut off is nothing. Contributing sources are passed over.

/// What is read of a packet.
pub(super) struct Rtp<'a> {
    padding: u8,
    marker: u8,
    pub(super) payload_type: u8,
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    pub(super) ssrc: u32,
    /// The profile of what is beside the head, and its octets.
    beside: (u16, &'a [u8]),
    /// With its padding, if it has one.
    pub(super) payload: &'a [u8],
}

/// The head of a packet that is made of another.
pub(super) struct Head {
    pub(super) payload_type: u8,
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    pub(super) ssrc: u32,
    /// The extension of the transport's numbers, and its number.
    pub(super) transport: Option<(u8, u16)>,
}

impl<'a> Rtp<'a> {
    pub(super) fn read(packet: &'a [u8]) -> Option<Self> {
        let (head, rest) = packet.split_first_chunk::<HEAD>()?;
        if head[0] >> 6 != 2 {
            return None;
        }
        let mut payload = rest.get(usize::from(head[0] & 0x0f) * 4..)?;
        let mut beside = (0, &[][..]);
        if head[0] & 0x10 != 0 {
            let (words, after) = payload.split_first_chunk::<4>()?;
            let length = usize::from(u16::from_be_bytes([words[2], words[3]])) * 4;
            let (octets, rest) = after.split_at_checked(length)?;
            (beside, payload) = ((u16::from_be_bytes([words[0], words[1]]), octets), rest);
        }
        Some(Self {
            padding: head[0] & 0x20,
            marker: head[1] & 0x80,
            payload_type: head[1] & 0x7f,
            sequence: u16::from_be_bytes([head[2], head[3]]),
            timestamp: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
            ssrc: u32::from_be_bytes([head[8], head[9], head[10], head[11]]),
            beside,
            payload,
        })
    }

    /// An extension of the head by its number; nothing if none was agreed on.
    pub(super) fn extension(&self, wanted: Option<u8>) -> Option<&'a [u8]> {
        let (wanted, (profile, mut octets)) = (wanted?, self.beside);
        while let Some((first, rest)) = octets.split_first() {
            let (id, length, rest) = match profile {
                _ if *first == 0 => {
                    octets = rest;
                    continue;
                }
                ONE_BYTE if first >> 4 == 15 => return None,
                ONE_BYTE => (first >> 4, usize::from(first & 0x0f) + 1, rest),
                TWO_BYTES..=LAST_OF_TWO_BYTES => (*first, usize::from(*rest.first()?), &rest[1..]),
                _ => return None,
            };
            let (value, after) = rest.split_at_checked(length)?;
            if id == wanted {
                return Some(value);
            }
            octets = after;
        }
        None
    }

    /// The same as text.
    pub(super) fn text(&self, wanted: Option<u8>) -> Option<&'a str> {
        std::str::from_utf8(self.extension(wanted)?).ok()
    }

    /// Octets of pictures, as far as this packet says without being looked into.
    pub(super) fn octets(&self) -> usize {
        HEAD + self.payload.len()
    }

    /// The same payload after another head.
    pub(super) fn after(&self, head: &Head) -> Vec<u8> {
        let mut packet = Vec::with_capacity(HEAD + 8 + self.payload.len());
        let has_beside = if head.transport.is_some() { 0x10 } else { 0 };
        packet.extend([0x80 | self.padding | has_beside, self.marker | head.payload_type]);
        packet.extend(head.sequence.to_be_bytes());
        packet.extend(head.timestamp.to_be_bytes());
        packet.extend(head.ssrc.to_be_bytes());
        if let Some((id, number)) = head.transport {
            packet.extend(ONE_BYTE.to_be_bytes());
            packet.extend([0, 1, id << 4 | 1]);
            packet.extend(number.to_be_bytes());
            packet.push(0);
        }
        packet.extend_from_slice(self.payload);
        packet
    }
}

/// Octets of a head without sources and extensions.
const HEAD: usize = 12;
const ONE_BYTE: u16 = 0xbede;
const TWO_BYTES: u16 = 0x1000;
const LAST_OF_TWO_BYTES: u16 = 0x100f;

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(profile: u16, beside: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x90, 0x80 | 96, 0, 7, 0, 0, 0, 9, 0, 0, 0, 1];
        packet.extend(profile.to_be_bytes());
        packet.extend(((beside.len() / 4) as u16).to_be_bytes());
        packet.extend(beside);
        packet.extend([1, 2, 3]);
        packet
    }

    #[test]
    fn finds_what_is_beside_a_head() {
        let one = packet(ONE_BYTE, &[0x31, 1, 2, 0, 0x40, b'h', 0, 0]);
        let two = packet(TWO_BYTES, &[3, 2, 1, 2, 4, 1, b'h', 0]);
        for packet in [&one, &two] {
            let rtp = Rtp::read(packet).unwrap();
            assert_eq!((rtp.extension(Some(3)), rtp.text(Some(4))), (Some(&[1, 2][..]), Some("h")));
            assert_eq!(
                (rtp.extension(Some(5)), rtp.extension(None), rtp.payload),
                (None, None, &[1, 2, 3][..])
            );
            for length in 0..packet.len() {
                if let Some(rtp) = Rtp::read(&packet[..length]) {
                    rtp.extension(Some(9));
                }
            }
        }
        let stopped = packet(ONE_BYTE, &[0xf0, 0, 0x40, b'h']);
        assert_eq!(Rtp::read(&stopped).unwrap().text(Some(4)), None, "§4.2: 15 ends the list");
        let cut = packet(ONE_BYTE, &[0x4f, b'h', 0, 0]);
        assert_eq!(Rtp::read(&cut).unwrap().text(Some(4)), None);
    }

    #[test]
    fn another_head_keeps_what_the_picture_is() {
        let packet = packet(ONE_BYTE, &[0x31, 1, 2, 0]);
        let rtp = Rtp::read(&packet).unwrap();
        let head = Head { payload_type: 102, sequence: 1, timestamp: 2, ssrc: 3, transport: Some((5, 700)) };
        let again = rtp.after(&head);
        let read = Rtp::read(&again).unwrap();
        assert_eq!(
            (read.marker, read.payload_type, read.sequence, read.timestamp, read.ssrc),
            (0x80, 102, 1, 2, 3)
        );
        assert_eq!((read.extension(Some(5)), read.payload), (Some(&700_u16.to_be_bytes()[..]), rtp.payload));
        let bare = rtp.after(&Head { transport: None, ..head });
        assert_eq!((bare[0], bare.len()), (0x80, HEAD + 3));
    }
}
