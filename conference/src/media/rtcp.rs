//! Reports about RTP — RFC 3550 §6.4 (SR, RR), §6.5 (SDES with CNAME), §6.6 (BYE); RFC 5761 §4 (on one port with RTP).
//!
//! ```text
//! |V=2|P|  count  |      type     |            length             |   length in words, less one
//! ```
//! In    what we sent and received; compound packets of the peer. Out a compound packet; what the peer says of us.
//! Errors what is no RTCP yields nothing; the rest of a compound packet after a wrong length is passed over.
//! Not here: feedback, APP; what extended reports say is in [`xr`].

use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};

use super::reception::Block;
use super::xr;

/// What a report of ours says of what we send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Seconds since 1900, and 2^-32 of them.
    pub ntp: u64,
    /// The RTP timestamp of the same instant.
    pub timestamp: u32,
    /// Since the beginning.
    pub packets: u32,
    /// Octets of payload since the beginning.
    pub octets: u32,
}

/// What a compound packet of the peer says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// The middle of the NTP time of an SR.
    pub report: Option<u32>,
    /// About what we send.
    pub block: Option<Block>,
    /// What extended reports say of it.
    pub extended: xr::Told,
    /// The peer stops sending.
    pub is_bye: bool,
}

/// A compound packet: SR, or RR while nothing is sent, then SDES. Of more than 31 blocks the first 31 are said.
pub fn compose(ssrc: u32, cname: &str, sent: Option<Sent>, blocks: &[Block]) -> Vec<u8> {
    let mut out = Vec::with_capacity(96);
    let blocks = &blocks[..blocks.len().min(31)];
    let count = blocks.len() as u8;
    let kind = if sent.is_some() { SENDER } else { RECEIVER };
    begin(&mut out, count, kind, ssrc);
    if let Some(sent) = sent {
        out.extend(sent.ntp.to_be_bytes());
        for number in [sent.timestamp, sent.packets, sent.octets] {
            out.extend(number.to_be_bytes());
        }
    }
    for block in blocks {
        let lost = (u32::from(block.fraction) << 24) | (block.lost.cast_unsigned() & 0xff_ffff);
        for number in [block.ssrc, lost, block.highest, block.jitter, block.last_report, block.delay] {
            out.extend(number.to_be_bytes());
        }
    }
    finish(&mut out, 0);
    let start = out.len();
    begin(&mut out, 1, DESCRIPTION, ssrc);
    let cname = &cname.as_bytes()[..cname.len().min(255)];
    out.extend([CNAME, cname.len() as u8]);
    out.extend(cname);
    // §6.5: a null octet ends the list, and more of them fill the word.
    out.push(0);
    finish(&mut out, start);
    out
}

/// Reads a compound packet for whoever sends as `ours`.
pub fn read(mut packet: &[u8], ours: u32) -> Option<Told> {
    let mut told = Told::default();
    let mut is_first = true;
    while let Some((head, rest)) = packet.split_first_chunk::<4>() {
        if head[0] >> 6 != 2 || (is_first && !matches!(head[1], SENDER..=RECEIVER)) {
            break;
        }
        let length = usize::from(u16::from_be_bytes([head[2], head[3]])) * 4;
        let Some((body, after)) = rest.split_at_checked(length) else { break };
        is_first = false;
        match head[1] {
            SENDER => {
                told.report = word(body, 4).zip(word(body, 8)).map(|(high, low)| (high << 16) | (low >> 16));
                told.block = blocks(body, 24, head[0] & 0x1f, ours).or(told.block);
            }
            RECEIVER => told.block = blocks(body, 4, head[0] & 0x1f, ours).or(told.block),
            GOODBYE => told.is_bye = true,
            xr::XR => xr::read(body, ours, &mut told.extended),
            _ => {}
        }
        packet = after;
    }
    (!is_first).then_some(told)
}

/// Who sent the reports of a compound packet about what they send, and at which NTP time each was made.
pub fn senders(mut packet: &[u8]) -> impl Iterator<Item = (u32, u64)> {
    std::iter::from_fn(move || {
        loop {
            let (head, rest) = packet.split_first_chunk::<4>().filter(|(head, _)| head[0] >> 6 == 2)?;
            let length = usize::from(u16::from_be_bytes([head[2], head[3]])) * 4;
            let (body, after) = rest.split_at_checked(length)?;
            packet = after;
            if head[1] == SENDER {
                let [ssrc, high, low] = [word(body, 0)?, word(body, 4)?, word(body, 8)?];
                return Some((ssrc, u64::from(high) << 32 | u64::from(low)));
            }
        }
    })
}

/// Whether a datagram on a port of both is RTCP: the types 64 to 95 of RTP with the marker bit are never RTP there.
pub fn is_rtcp(datagram: &[u8]) -> bool {
    matches!(datagram, [first, 192..=223, ..] if first >> 6 == 2)
}

/// Whether a datagram is made of parts of RTCP from its beginning to its end (RFC 3550 §A.2).
pub fn is_whole(mut packet: &[u8]) -> bool {
    while let [first, kind, high, low, ..] = packet {
        let length = (usize::from(u16::from_be_bytes([*high, *low])) + 1) * 4;
        match packet.get(length..).filter(|_| first >> 6 == 2 && (192..=223).contains(kind)) {
            Some([]) => return true,
            Some(rest) => packet = rest,
            None => return false,
        }
    }
    false
}

/// The NTP time of an instant, which reports about sound and about pictures share: the system's clock is asked once, so that
/// a step of it does not part them.
pub fn ntp_of(instant: Instant) -> u64 {
    static BEGIN: LazyLock<(Instant, Duration)> = LazyLock::new(|| {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        (Instant::now(), since_1970.unwrap_or_default())
    });
    let (begin, time) = *BEGIN;
    match instant.checked_duration_since(begin) {
        Some(after) => ntp(time + after),
        None => ntp(time.saturating_sub(begin.duration_since(instant))),
    }
}

/// NTP time of a time since 1970.
pub fn ntp(since_1970: Duration) -> u64 {
    let fraction = (u64::from(since_1970.subsec_nanos()) << 32) / 1_000_000_000;
    ((since_1970.as_secs() + BETWEEN) << 32) | fraction
}

/// The time there and back, from a block of the peer's: §6.4.1, A minus LSR minus DLSR.
pub fn round_trip(block: &Block, now: u64) -> Option<Duration> {
    let arrival = (now >> 16) as u32;
    let trip = arrival.wrapping_sub(block.last_report).wrapping_sub(block.delay);
    let is_sane = block.last_report != 0 && trip < 60 << 16;
    is_sane.then(|| Duration::from_micros(u64::from(trip) * 1_000_000 / 65_536))
}

fn begin(out: &mut Vec<u8>, count: u8, kind: u8, ssrc: u32) {
    out.extend([0x80 | count, kind, 0, 0]);
    out.extend(ssrc.to_be_bytes());
}

/// Fills the last word and writes the length.
fn finish(out: &mut Vec<u8>, start: usize) {
    out.resize(out.len().next_multiple_of(4), 0);
    let words = ((out.len() - start) / 4 - 1) as u16;
    out[start + 2..start + 4].copy_from_slice(&words.to_be_bytes());
}

fn blocks(body: &[u8], start: usize, count: u8, ours: u32) -> Option<Block> {
    (0..usize::from(count)).find_map(|n| {
        let at = start + n * 24;
        let lost = word(body, at + 4)?;
        Some(Block {
            ssrc: word(body, at).filter(|ssrc| *ssrc == ours)?,
            fraction: (lost >> 24) as u8,
            lost: (lost << 8).cast_signed() >> 8,
            highest: word(body, at + 8)?,
            jitter: word(body, at + 12)?,
            last_report: word(body, at + 16)?,
            delay: word(body, at + 20)?,
        })
    })
}

fn word(body: &[u8], at: usize) -> Option<u32> {
    body.get(at..)?.first_chunk().map(|octets| u32::from_be_bytes(*octets))
}

const SENDER: u8 = 200;
const RECEIVER: u8 = 201;
const DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
const CNAME: u8 = 1;
/// Seconds from 1900 to 1970.
const BETWEEN: u64 = 2_208_988_800;

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: Block =
        Block { ssrc: 7, fraction: 25, lost: -3, highest: 70_000, jitter: 12, last_report: 9, delay: 65_536 };

    #[test]
    fn what_is_printed_can_be_read() {
        let sent = Sent { ntp: ntp(Duration::from_millis(1_500)), timestamp: 5, packets: 6, octets: 7 };
        for (cname, sent) in [("a", Some(sent)), ("focus@x", None), ("", Some(sent))] {
            let packet = compose(1, cname, sent, &[BLOCK]);
            assert!(packet.len().is_multiple_of(4) && is_rtcp(&packet));
            let told = read(&packet, 7).unwrap();
            assert_eq!(told.block, Some(BLOCK));
            assert_eq!(told.report, sent.map(|sent| (sent.ntp >> 16) as u32));
            assert_eq!(senders(&packet).next(), sent.map(|sent| (1, sent.ntp)));
            assert_eq!(read(&packet, 8).unwrap().block, None, "about somebody else");
        }
    }

    #[test]
    fn a_bye_after_a_report_is_heard() {
        let mut packet = compose(1, "a", None, &[]);
        packet.extend([0x81, 203, 0, 1, 0, 0, 0, 1]);
        assert!(read(&packet, 7).unwrap().is_bye);
    }

    #[test]
    fn whatever_is_cut_off_or_wrong_is_passed_over() {
        let whole = compose(1, "focus", None, &[BLOCK]);
        assert!(is_whole(&whole) && !is_whole(&[&whole[..], &[0x80]].concat()) && !is_whole(&[]));
        for length in 0..whole.len() {
            let told = read(&whole[..length], 7);
            assert!(told.is_none() || length >= 32, "{length}: {told:?}");
            assert!(!is_whole(&whole[..length]) || length == 32, "{length}");
        }
        assert_eq!(read(&[0x81, 203, 0, 1, 0, 0, 0, 1], 7), None, "§6.1: a report is first");
        assert_eq!(read(&[0x9f, 201, 0xff, 0xff, 0, 0], 7), None);
        assert!(!is_rtcp(&[0x80, 0]) && !is_rtcp(&[0x80]) && !is_rtcp(&[0x80, 96, 0]));
    }

    #[test]
    fn all_reports_have_one_clock() {
        let now = Instant::now();
        let apart = |later: Instant| (ntp_of(later).wrapping_sub(ntp_of(now)) as f64) / 2_f64.powi(32);
        assert!((apart(now + Duration::from_millis(1_250)) - 1.25).abs() < 1e-6);
        let before = now.checked_sub(Duration::from_secs(2)).unwrap();
        assert_eq!(ntp_of(before).wrapping_add(2 << 32), ntp_of(now));
        let system = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert!((ntp_of(Instant::now()).wrapping_sub(ntp(system)) as i64).unsigned_abs() < 1 << 32);
    }

    #[test]
    fn the_time_there_and_back() {
        let now = 100_u64 << 32;
        let block = Block { last_report: 97 << 16, delay: 2 << 16, ..BLOCK };
        assert_eq!(round_trip(&block, now), Some(Duration::from_secs(1)));
        assert_eq!(round_trip(&Block { last_report: 0, ..block }, now), None);
        assert_eq!(round_trip(&Block { delay: 3_000 << 16, ..block }, now), None, "a lie");
    }
}
