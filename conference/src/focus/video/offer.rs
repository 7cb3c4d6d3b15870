//! Pictures in our own offers — RFC 3264 §5, RFC 7741 §6, RFC 6184 §8.2.2, RFC 4585 §4.2.
//!
//! In    where we listen; what was answered. Out the medium of the offer; what was agreed on.
//! State none. Errors an answer that refuses the medium, or names neither codec, is nothing: the call has sound alone.

use sip_core::sdp::{Direction, Media};

use super::{
    Agreed, Limits, Ours, TRANSPORT_WIDE, WISHES, agreed, beside_bundle, codec, layers, limit, section,
};
use crate::focus::lines::{Line, Lines};
use crate::focus::sdes;
use crate::media::srtp::{Crypto, MasterKey, Suite};
use crate::media::video::Codec;
use crate::media::video::seat::{Content, Extensions};

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

/// A medium with pictures in an offer within a call: as it is agreed on, or one more that is to be seen.
pub(in crate::focus) fn medium_again(
    (line, lines): (&Line, &mut Lines),
    at: usize,
    offer: &Offer,
    agreed: Option<&Agreed>,
    is_browser: bool,
) -> String {
    let ours = &offer.ours;
    let extensions = agreed.map_or(EXTENSIONS, |agreed| agreed.extensions);
    let section = agreed.and_then(|agreed| agreed.sections.iter().find(|section| section.at == at));
    let mut codecs = vec![(Codec::Vp8, VP8), (Codec::H264, H264)];
    codecs.sort_by_key(|(codec, _)| agreed.is_some_and(|agreed| agreed.codec != *codec));
    let (mut numbers, mut maps) = (String::new(), String::new());
    for (codec, usual) in codecs {
        let number = agreed.filter(|agreed| agreed.codec == codec).map(|agreed| agreed.payload_type);
        let known = line.format_of(codec.rtpmap(), number);
        if known.is_none() && is_browser {
            continue;
        }
        let number = known.map_or_else(|| lines.take_number(usual), |known| known.number.clone());
        let parameters = known.and_then(|known| known.parameters.as_deref());
        let parameters = parameters.or((codec == Codec::H264).then_some(H264_PARAMETERS));
        numbers.push_str(&format!(" {number}"));
        maps.push_str(&format!("a=rtpmap:{number} {}\r\n", codec.rtpmap()));
        maps.extend(parameters.map(|parameters| format!("a=fmtp:{number} {parameters}\r\n")));
        let whole = extensions.transport.filter(|_| is_browser).map(|_| TRANSPORT_WIDE);
        maps.extend(WISHES.into_iter().chain(whole).map(|wish| format!("a=rtcp-fb:{number} {wish}\r\n")));
    }
    let mut text = format!("m=video {} {}{numbers}\r\n{}", ours.port, line.protocol, limit(ours));
    for (n, (suite, key)) in offer.keys.iter().enumerate() {
        text.push_str(&sdes::print(&(n + 1).to_string(), *suite, key));
    }
    let direction = match section {
        // One more that is to be seen: whether they show themselves is theirs to say.
        None => Direction::SendOnly,
        Some(section) if is_browser => section.direction,
        Some(_) => Direction::SendReceive,
    };
    text.push_str(&format!("{maps}a=rtcp-mux\r\na={}\r\n", direction.as_str()));
    if let Some(section) = section.filter(|section| section.shown.content == Content::Slides) {
        text.push_str(if section.is_said { "a=content:slides\r\n" } else { "" });
    }
    if is_browser {
        let rids = section.map_or(&[][..], |section| &section.shown.rids);
        text.push_str(&layers::accepted(rids));
        text.push_str(&layers::extmaps(&extensions));
        let first = agreed.and_then(|agreed| agreed.sections.first()).map_or(at, |section| section.at);
        text.push_str(&beside_bundle(ours, at, at == first));
    }
    text
}

/// What an answer says of the media that we offered at these places; `protected` says how one is, or that it is less than it
/// must be.
pub(in crate::focus) fn answered(
    media: &[Media<'_>],
    places: &[usize],
    takes: &Limits,
    ours: &Ours,
    protected: impl Fn(&Media<'_>) -> Option<Option<Crypto>>,
) -> Option<Agreed> {
    let mut taken: Option<Agreed> = None;
    for (at, media) in places.iter().filter_map(|at| Some((*at, media.get(*at)?))) {
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
    text + &format!("a=fmtp:{H264} {H264_PARAMETERS}\r\n")
}

/// The format that one more medium for a browser has: as a description says it, and its usual number.
pub(in crate::focus) fn format(codec: Codec) -> (&'static str, Option<&'static str>, u8) {
    match codec {
        Codec::Vp8 => (codec.rtpmap(), None, VP8),
        Codec::H264 => (codec.rtpmap(), Some(H264_PARAMETERS), H264),
    }
}

const H264_PARAMETERS: &str = "packetization-mode=1;profile-level-id=42e01f;level-asymmetry-allowed=1";

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
        answered(&Sdp::parse(&text).unwrap().media, &[1, 2, 3], &Limits::default(), &OURS, |_| Some(None))
    }

    #[test]
    fn what_we_offer_can_be_answered() {
        let text = medium(&Offer { ours: OURS, keys: Vec::new() }, "RTP/AVP");
        let taken = read(&text).unwrap();
        assert_eq!((taken.codec, taken.payload_type, taken.way.reports), (Codec::Vp8, VP8, None));
        assert_eq!((taken.sections.len(), taken.sections[0].view.ssrc), (1, 8));
        assert!(!taken.by_fir && read(&text.replace("nack pli", "nack")).unwrap().by_fir);
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
