//! Feedback about pictures — RFC 4585 §6.2.1 (generic NACK), §6.3.1 (PLI), RFC 5104 §4.3.1 (FIR), and REMB (§2 of
//! draft-alvestrand-rmcat-remb-03, which browsers speak); [`transport`] is about all packets of a transport. Pure.
//!
//! In    compound packets of RTCP. Out what a viewer asks for; requests of ours to who sends pictures, which begin with a report
//!       and our name (RFC 3550 §6.1): whether they may be shorter (RFC 5506) would have to be agreed on.
//! Errors what is none, or cut off, is passed over.

use super::transport::{self, Arrival};
use crate::media::reception::Block;
use crate::media::rtcp;

/// Whoever asks: our source, and what names us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Us {
    /// The source of our reports.
    pub ssrc: u32,
    /// The same for all that we send to one peer.
    pub cname: u32,
}

impl Us {
    /// What begins a compound packet: a report with these blocks about nothing that is sent, and our name.
    pub(super) fn begin(self, blocks: &[Block]) -> Vec<u8> {
        rtcp::compose(self.ssrc, &format!("{:08x}", self.cname), None, blocks)
    }
}

/// What somebody who sees pictures asks for, or says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// A picture of this source that needs no other.
    WholePicture(u32),
    /// Packets of this source with these sequence numbers, again.
    Again(u32, Vec<u16>),
    /// Not more than so many bits a second.
    AtMost(u64),
    /// How packets of the transport came.
    Arrived(Vec<Arrival>),
}

/// The wishes of a compound packet, each once; at most [`MOST_LOST`] lost packets, and [`MOST_WISHES`], in all of it.
pub fn read(mut packet: &[u8]) -> Vec<Wish> {
    let mut wishes = Vec::new();
    let mut lost = 0;
    while let [first, kind, high, low, ..] = packet {
        let length = (usize::from(u16::from_be_bytes([*high, *low])) + 1) * 4;
        let Some(one) = packet.get(..length) else { break };
        let source = one.get(8..).and_then(source);
        let body = one.get(12..).unwrap_or_default();
        match (*kind, first & 0x1f) {
            (PAYLOAD, PLI) => wish(&mut wishes, source.map(Wish::WholePicture)),
            // RFC 5104 §4.3.1.1: whose pictures are wanted is in the entries.
            (PAYLOAD, FIR) => {
                body.chunks(8)
                    .for_each(|entry| wish(&mut wishes, self::source(entry).map(Wish::WholePicture)));
            }
            (PAYLOAD, APPLICATION) => wish(&mut wishes, estimate(one).map(Wish::AtMost)),
            (TRANSPORT, NACK) => add_lost(&mut wishes, source, body, &mut lost),
            (TRANSPORT, APPLICATION) => wish(&mut wishes, transport::read(body).map(Wish::Arrived)),
            _ => {}
        }
        packet = &packet[length..];
    }
    wishes
}

fn wish(wishes: &mut Vec<Wish>, wish: Option<Wish>) {
    wishes.extend(wish.filter(|wish| wishes.len() < MOST_WISHES && !wishes.contains(wish)));
}

fn source(octets: &[u8]) -> Option<u32> {
    octets.first_chunk().map(|octets| u32::from_be_bytes(*octets))
}

/// §6.2.1: a packet, and which of the 16 after it.
fn add_lost(wishes: &mut Vec<Wish>, source: Option<u32>, mut entries: &[u8], count: &mut usize) {
    let Some(source) = source else { return };
    let known = wishes.iter().position(|wish| matches!(wish, Wish::Again(of, _) if *of == source));
    let mut lost = match known.map(|at| wishes.remove(at)) {
        Some(Wish::Again(_, lost)) => lost,
        _ => Vec::new(),
    };
    while let Some((&[a, b, c, d], rest)) = entries.split_first_chunk::<4>() {
        let (first, mask) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        let after = (0..16).filter(|bit| mask >> bit & 1 == 1).map(|bit| first.wrapping_add(bit + 1));
        for number in std::iter::once(first).chain(after) {
            if *count < MOST_LOST && !lost.contains(&number) {
                lost.push(number);
                *count += 1;
            }
        }
        entries = rest;
    }
    wish(wishes, (!lost.is_empty()).then_some(Wish::Again(source, lost)));
}

/// draft-alvestrand-rmcat-remb-03, §2.2: a mantissa of 18 bits, and an exponent.
fn estimate(packet: &[u8]) -> Option<u64> {
    let rest = packet.get(12..)?.strip_prefix(REMB)?;
    let bits = u32::from_be_bytes([0, *rest.get(1)?, *rest.get(2)?, *rest.get(3)?]);
    u64::from(bits & 0x3_ffff).checked_shl(bits >> 18)
}

/// Tells `theirs` not to send more than so many bits a second, together.
pub fn at_most(ours: u32, theirs: &[u32], bits_a_second: u64) -> Vec<u8> {
    let theirs = &theirs[..theirs.len().min(MOST_WISHES)];
    let exponent = (64 - bits_a_second.leading_zeros()).saturating_sub(18);
    let bits = exponent << 18 | (bits_a_second >> exponent) as u32;
    let mut packet = vec![0x80 | APPLICATION, PAYLOAD, 0, 4 + theirs.len() as u8];
    packet.extend_from_slice(&ours.to_be_bytes());
    packet.extend_from_slice(&[0; 4]);
    packet.extend_from_slice(REMB);
    packet.extend_from_slice(&((theirs.len() as u32) << 24 | bits).to_be_bytes());
    theirs.iter().for_each(|theirs| packet.extend_from_slice(&theirs.to_be_bytes()));
    packet
}

/// §6.3.1: asks `theirs` for a whole picture.
pub fn pli(ours: Us, theirs: u32) -> Vec<u8> {
    about(PAYLOAD, PLI, ours, theirs, &[])
}

/// RFC 5104 §4.3.1.1: commands `theirs` to send a whole picture; the same command said again has the same `number`.
pub fn fir(ours: Us, theirs: u32, number: u8) -> Vec<u8> {
    let [a, b, c, d] = theirs.to_be_bytes();
    // §4.3.1.2: whose pictures are wanted is in the entry alone.
    about(PAYLOAD, FIR, ours, 0, &[a, b, c, d, number, 0, 0, 0])
}

/// §6.2.1: asks `theirs` for packets again.
pub fn nack(ours: Us, theirs: u32, lost: &[u16]) -> Vec<u8> {
    let entries: Vec<u8> = lost.iter().flat_map(|lost| [(lost >> 8) as u8, *lost as u8, 0, 0]).collect();
    about(TRANSPORT, NACK, ours, theirs, &entries)
}

/// Tells how packets of the whole transport came.
pub(super) fn about_transport(ours: Us, theirs: u32, body: &[u8]) -> Vec<u8> {
    about(TRANSPORT, APPLICATION, ours, theirs, body)
}

fn about(kind: u8, format: u8, ours: Us, theirs: u32, rest: &[u8]) -> Vec<u8> {
    let mut packet = ours.begin(&[]);
    packet.extend_from_slice(&[0x80 | format, kind]);
    packet.extend_from_slice(&(2 + rest.len() as u16 / 4).to_be_bytes());
    packet.extend_from_slice(&ours.ssrc.to_be_bytes());
    packet.extend_from_slice(&theirs.to_be_bytes());
    packet.extend_from_slice(rest);
    packet
}

const TRANSPORT: u8 = 205;
const PAYLOAD: u8 = 206;
const NACK: u8 = 1;
const PLI: u8 = 1;
const FIR: u8 = 4;
const APPLICATION: u8 = 15;
const REMB: &[u8] = b"REMB";
/// Packets that one datagram asks for again.
const MOST_LOST: usize = 64;
/// Wishes of one datagram, and sources that one wish of ours is about.
const MOST_WISHES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const US: Us = Us { ssrc: 1, cname: 7 };

    #[test]
    fn what_is_asked_is_read() {
        assert_eq!(read(&pli(US, 2)), [Wish::WholePicture(2)]);
        assert_eq!(read(&nack(US, 2, &[9, 700])), [Wish::Again(2, vec![9, 700])]);
        let mut several = nack(US, 2, &[65_535]);
        let end = several.len();
        several[end - 1] = 0b101;
        several.extend(pli(US, 2));
        assert_eq!(read(&several), [Wish::Again(2, vec![65_535, 0, 2]), Wish::WholePicture(2)]);
        let many: Vec<u16> = (0..50).collect();
        let greedy =
            [nack(US, 2, &many), nack(US, 2, &many), nack(US, 2, &[900; 9]), nack(US, 2, &many[9..])]
                .concat();
        assert_eq!(read(&greedy), [Wish::Again(2, many.into_iter().chain([900]).collect())]);
        let far: Vec<u16> = (100..200).collect();
        let greedy = [nack(US, 2, &far), nack(US, 2, &[7])].concat();
        assert_eq!(read(&greedy), [Wish::Again(2, (100..100 + MOST_LOST as u16).collect())]);
        for bits in [1, 150_000, 262_143, 262_144, 1_500_000, 90_000_000] {
            let [Wish::AtMost(read)] = read(&at_most(1, &[2, 3], bits))[..] else { panic!("{bits}") };
            assert!(read <= bits && read * 100 >= bits * 99, "{bits}: {read}");
        }
        let fir = [0x84, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 7, 0, 0, 0];
        assert_eq!(read(&fir), [Wish::WholePicture(2)]);
        assert!(super::fir(US, 2, 7).ends_with(&fir));
        for length in 0..fir.len() {
            assert_eq!(read(&fir[..length]), [], "{length}");
        }
        let far: Vec<u8> = (0..90).flat_map(|of| nack(US, of, &[7])).collect();
        assert_eq!(read(&far).len(), MOST_WISHES);
    }
}
