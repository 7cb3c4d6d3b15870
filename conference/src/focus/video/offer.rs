//! Pictures in our own offers — RFC 3264 §5, RFC 7741 §6, RFC 6184 §8.2.2, RFC 4585 §4.2.
//!
//! In    where we listen; what was answered. Out the medium of the offer; what was agreed on.
//! State none. Errors an answer that refuses the medium, or names neither codec, is nothing: the call has sound alone.

use sip_core::sdp::Media;

use super::{Agreed, Ours, agreed, beside_bundle, codec, limit};
use crate::focus::sdes;
use crate::media::srtp::{Crypto, MasterKey, Suite};
use crate::media::video::Codec;

/// Pictures that an offer of ours names.
#[derive(Debug, Clone)]
pub(in crate::focus) struct Offer {
    pub(in crate::focus) ours: Ours,
    /// By their tags from 1.
    pub(in crate::focus) keys: Vec<(Suite, MasterKey)>,
}

/// The medium of a phone.
pub(in crate::focus) fn medium(offer: &Offer, profile: &str) -> String {
    let mut text = begin(&offer.ours, profile);
    for (n, (suite, key)) in offer.keys.iter().enumerate() {
        text.push_str(&sdes::print(&(n + 1).to_string(), *suite, key));
    }
    text + "a=rtcp-mux\r\na=sendrecv\r\n"
}

/// The medium of a browser, in the bundle beside its sound.
pub(in crate::focus) fn medium_of_browser(ours: &Ours) -> String {
    let beside = beside_bundle(ours.ssrc);
    format!("{}a=rtcp-mux\r\na=sendrecv\r\na=mid:1\r\n{beside}", begin(ours, "UDP/TLS/RTP/SAVPF"))
}

/// What an answer says of the medium that we offered.
pub(in crate::focus) fn answered(media: &Media<'_>, crypto: Option<Crypto>) -> Option<Agreed> {
    let (_, payload_type, codec) = codec(media)?;
    agreed(media, codec, payload_type, crypto)
}

fn begin(ours: &Ours, profile: &str) -> String {
    let mut text = format!("m=video {} {profile} {VP8} {H264}\r\n{}", ours.port, limit(ours));
    for (number, codec) in [(VP8, Codec::Vp8), (H264, Codec::H264)] {
        text.push_str(&format!("a=rtpmap:{number} {}\r\n", codec.rtpmap()));
        for wish in super::WISHES {
            text.push_str(&format!("a=rtcp-fb:{number} {wish}\r\n"));
        }
    }
    text + &format!(
        "a=fmtp:{H264} packetization-mode=1;profile-level-id=42e01f;level-asymmetry-allowed=1\r\n"
    )
}

/// Payload types of our own offers, beside those of sound.
const VP8: u8 = 102;
const H264: u8 = 103;

#[cfg(test)]
mod tests {
    use sip_core::sdp::Sdp;

    use super::*;

    #[test]
    fn what_we_offer_can_be_answered() {
        let ours = Ours { port: 20_002, ssrc: 7, limit: 0, crypto: None };
        let text = medium(&Offer { ours, keys: Vec::new() }, "RTP/AVP");
        let session = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";
        let text = format!("{session}{text}");
        let sdp = Sdp::parse(&text).unwrap();
        let read = answered(&sdp.media[0], None).unwrap();
        assert_eq!((read.codec, read.payload_type, read.way.reports), (Codec::Vp8, VP8, None));
        let h264 = text.replace("VP8", "AV1");
        assert_eq!(answered(&Sdp::parse(&h264).unwrap().media[0], None).unwrap().codec, Codec::H264);
        let refused = text.replace("20002", "0");
        assert_eq!(answered(&Sdp::parse(&refused).unwrap().media[0], None), None);
    }
}
