//! Video — forwarded as it comes (RFC 7667 §3.7, a selective forwarding middlebox), never decoded.
//!
//! In    RTP of legs that send pictures. Out the pictures of who spoke last, to who sees one stream or several; requests for
//!       whole pictures, reports, feedback.
//! State [`switch`]: who sees whom; [`room`]: sockets. Nothing of it runs on a mixer's thread.
//! Not here: retransmission by a stream of its own (RFC 4588), layers inside a stream (SVC), forward error correction.

mod bandwidth;
mod choose;
pub mod feedback;
mod lately;
pub mod room;
mod rtp;
pub mod seat;
mod source;
mod strain;
mod stream;
pub mod switch;
pub mod transport;
mod window;

/// What pictures are encoded with. Only legs of one codec see one another: nothing is transcoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// RFC 7741.
    Vp8,
    /// RFC 6184, packetization mode 1.
    H264,
}

impl Codec {
    /// The codec that an `a=rtpmap` names.
    pub fn of_rtpmap(encoding: &str) -> Option<Self> {
        if encoding.eq_ignore_ascii_case("VP8/90000") {
            return Some(Self::Vp8);
        }
        encoding.eq_ignore_ascii_case("H264/90000").then_some(Self::H264)
    }

    /// What an `a=rtpmap` says.
    pub fn rtpmap(self) -> &'static str {
        match self {
            Self::Vp8 => "VP8/90000",
            Self::H264 => "H264/90000",
        }
    }

    /// Whether a payload begins a picture that needs no other.
    pub fn begins_whole_picture(self, payload: &[u8]) -> bool {
        match self {
            Self::Vp8 => vp8_begins(payload).unwrap_or(false),
            Self::H264 => h264_begins(payload),
        }
    }
}

/// RFC 7741 §4.2 (descriptor: S = 1, PID = 0), §4.3 (P = 0).
fn vp8_begins(payload: &[u8]) -> Option<bool> {
    let (first, mut rest) = payload.split_first()?;
    if first & 0x1f != 0x10 {
        return Some(false);
    }
    if first & 0x80 != 0 {
        let (extension, after) = rest.split_first()?;
        rest = after;
        if extension & 0x80 != 0 {
            let picture = rest.first()?;
            rest = rest.get(if picture & 0x80 != 0 { 2 } else { 1 }..)?;
        }
        if extension & 0x40 != 0 {
            rest = rest.get(1..)?;
        }
        if extension & 0x30 != 0 {
            rest = rest.get(1..)?;
        }
    }
    Some(rest.first()? & 1 == 0)
}

/// RFC 6184 §5.4: a sequence's parameters or an IDR slice, alone, among several (§5.7.1) or in its first part (§5.8).
fn h264_begins(payload: &[u8]) -> bool {
    let is_key = |unit: u8| matches!(unit & 0x1f, 5 | 7);
    match payload.first().map(|unit| unit & 0x1f) {
        Some(24) => {
            let mut rest = &payload[1..];
            while let [high, low, unit, ..] = rest {
                if is_key(*unit) {
                    return true;
                }
                let size = usize::from(u16::from_be_bytes([*high, *low]));
                rest = rest.get(2 + size..).unwrap_or_default();
            }
            false
        }
        Some(28) => payload.get(1).is_some_and(|head| head & 0x80 != 0 && is_key(*head)),
        Some(unit) => is_key(unit),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_a_whole_picture_by_its_first_octets() {
        for (payload, is_whole) in [
            (&[0x10, 0x00][..], true),
            (&[0x10, 0x01], false),
            (&[0x00, 0x00], false),
            (&[0x11, 0x00], false),
            (&[0x90, 0x80, 0x81, 0x02, 0x00], true),
            (&[0x90, 0xe0, 0x01, 0x05, 0x20, 0x01], false),
            (&[0x90, 0xf0, 0x81, 0x02, 0x05, 0x20, 0x10], true),
            (&[0x90], false),
            (&[], false),
        ] {
            assert_eq!(Codec::Vp8.begins_whole_picture(payload), is_whole, "{payload:x?}");
        }
        for (payload, is_whole) in [
            (&[0x67, 1][..], true),
            (&[0x65, 1], true),
            (&[0x41, 1], false),
            (&[24, 0, 2, 0x41, 9, 0, 1, 0x68], false),
            (&[24, 0, 2, 0x41, 9, 0, 1, 0x65], true),
            (&[24, 0xff, 0xff, 0x41], false),
            (&[28, 0x85], true),
            (&[28, 0x05], false),
            (&[], false),
        ] {
            assert_eq!(Codec::H264.begins_whole_picture(payload), is_whole, "{payload:x?}");
        }
    }
}
