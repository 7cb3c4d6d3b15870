//! Pictures in our own offers — RFC 3264 §5, RFC 7741 §6, RFC 6184 §8.2.2, RFC 4585 §4.2.
//!
//! In    where we listen; what was answered. Out the medium of the offer; what was agreed on.
//! State none. Errors an answer that refuses the medium, or names neither codec, is nothing: the call has sound alone.

use sip_core::sdp::Media;

use super::{
    Agreed, Limits, Ours, TRANSPORT_WIDE, WISHES, agreed, beside_bundle, codec, layers, limit, section,
};
use crate::focus::sdes;
use crate::media::srtp::{Crypto, MasterKey, Suite};
use crate::media::video::Codec;
use crate::media::video::seat::Extensions;

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

/// The media of a browser, in the bundle beside its sound, each followed by `ways`: the first for both, the others for more
/// of those that it sees.
pub(in crate::focus) fn media_of_browser(ours: &Ours, ways: &str) -> String {
    let one = |at: usize| {
        let direction = if at == 1 { "sendrecv" } else { "sendonly" };
        let (begin, beside) = (begin(ours, "UDP/TLS/RTP/SAVPF"), beside_bundle(ours, at, at == 1));
        let extmaps = layers::extmaps(&EXTENSIONS);
        let whole: String =
            [VP8, H264].map(|number| format!("a=rtcp-fb:{number} {TRANSPORT_WIDE}\r\n")).concat();
        format!("{begin}{whole}a=rtcp-mux\r\na={direction}\r\na=mid:{at}\r\n{extmaps}{beside}{ways}")
    };
    (1..=ours.streams.max(1)).map(one).collect()
}

/// What an answer says of the media that we offered, from the second on; `protected` says how one is, or that it is less
/// than it must be.
pub(in crate::focus) fn answered(
    media: &[Media<'_>],
    takes: &Limits,
    ours: &Ours,
    protected: impl Fn(&Media<'_>) -> Option<Option<Crypto>>,
) -> Option<Agreed> {
    let mut taken: Option<Agreed> = None;
    for (at, media) in media.iter().enumerate().skip(1).take(ours.streams.max(1)) {
        let Some((_, payload_type, codec)) = codec(media) else { continue };
        let known = match &mut taken {
            Some(known) if (known.codec, known.payload_type) != (codec, payload_type) => continue,
            Some(known) => known,
            None => {
                let Some(crypto) = protected(media) else { continue };
                let extensions = layers::extensions(media);
                let Some(first) = agreed(media, codec, payload_type, crypto, extensions) else { continue };
                taken.insert(first)
            }
        };
        known.takes = takes.of_pictures();
        let section = section(media, at, takes.at(at), ours, known);
        known.sections.push(section);
    }
    taken
}

fn begin(ours: &Ours, profile: &str) -> String {
    let mut text = format!("m=video {} {profile} {VP8} {H264}\r\n{}", ours.port, limit(ours));
    for (number, codec) in [(VP8, Codec::Vp8), (H264, Codec::H264)] {
        text.push_str(&format!("a=rtpmap:{number} {}\r\n", codec.rtpmap()));
        for wish in WISHES {
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
/// Our numbers of extensions, beside that of levels.
const EXTENSIONS: Extensions = Extensions { mid: Some(2), rid: None, transport: Some(3) };

#[cfg(test)]
mod tests {
    use sip_core::sdp::Sdp;

    use super::*;

    const OURS: Ours = Ours { port: 20_002, ssrc: 7, cname: 1, limit: 0, streams: 3, crypto: None };
    const HEAD: &str =
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n";

    fn read(media: &str) -> Option<Agreed> {
        let text = format!("{HEAD}{media}");
        answered(&Sdp::parse(&text).unwrap().media, &Limits::default(), &OURS, |_| Some(None))
    }

    #[test]
    fn what_we_offer_can_be_answered() {
        let text = medium(&Offer { ours: OURS, keys: Vec::new() }, "RTP/AVP");
        let taken = read(&text).unwrap();
        assert_eq!((taken.codec, taken.payload_type, taken.way.reports), (Codec::Vp8, VP8, None));
        assert_eq!((taken.sections.len(), taken.sections[0].view.ssrc), (1, 8));
        assert_eq!(read(&text.replace("VP8", "AV1")).unwrap().codec, Codec::H264);
        assert_eq!(read(&text.replace("20002", "0")), None);
    }

    #[test]
    fn a_browser_is_offered_several() {
        let text = media_of_browser(&OURS, "");
        let taken = read(&text).unwrap();
        assert_eq!(taken.sections.iter().map(|section| section.view.ssrc).collect::<Vec<_>>(), [8, 9, 10]);
        assert_eq!(taken.extensions, EXTENSIONS);
        assert!(text.contains("a=mid:3\r\n") && text.contains("a=msid:cusax-2 pictures-2"), "{text}");
    }
}
