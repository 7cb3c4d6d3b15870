//! Pictures in offers and answers — RFC 3264 §6, RFC 7741 §6 (VP8), RFC 6184 §8.2.2 (H.264), RFC 4585 §4 and RFC 5104 §7 (what
//! may be asked for), RFC 8843 (a browser's, in its bundle).
//!
//! In    an offer whose sound was taken. Out which of its media carries pictures, and what the answer says of it.
//! State none. Errors a medium that cannot be had is refused with port 0, and the call goes on without pictures.
//!
//! One medium with `m=video` is taken, in VP8 if it is offered, else in H.264. Our own offers are in [`offer`].

pub(super) mod offer;

use std::net::SocketAddr;

use sip_core::sdp::{Direction, Media, Sdp};

use super::answer;
use super::sdes::{self, Keys};
use crate::media::srtp::Crypto;
use crate::media::video::Codec;
use crate::media::video::room::Way;

/// What we say of our pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ours {
    /// Where they are to be sent.
    pub(super) port: u16,
    /// The source of what we send.
    pub(super) ssrc: u32,
    /// The most that a leg should send, in kbit/s.
    pub(super) limit: u32,
    /// How they are protected now, on a leg that had pictures before.
    pub(super) crypto: Option<Crypto>,
}

/// What offer and answer came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Agreed {
    pub(super) codec: Codec,
    pub(super) payload_type: u8,
    pub(super) way: Way,
    /// As we see it.
    pub(super) direction: Direction,
}

/// A medium with pictures that was taken.
pub(super) struct Chosen {
    /// Which one of the offer's.
    pub(super) at: usize,
    pub(super) agreed: Agreed,
    /// What the answer says of it, but for what is said of browsers.
    pub(super) text: String,
}

/// Whether an offer has pictures that could be taken.
pub(super) fn is_offered(offer: &str) -> bool {
    Sdp::parse(offer).is_some_and(|sdp| sdp.media.iter().any(|media| codec(media).is_some()))
}

/// Takes pictures of an offer. `bundle` are the media in a browser's bundle.
pub(super) fn choose(media: &[Media<'_>], ours: &Ours, keys: &Keys, bundle: Option<&str>) -> Option<Chosen> {
    media.iter().enumerate().find_map(|(at, media)| take(at, media, ours, keys, bundle))
}

fn take(at: usize, media: &Media<'_>, ours: &Ours, keys: &Keys, bundle: Option<&str>) -> Option<Chosen> {
    let (number, payload_type, codec) = codec(media)?;
    let is_in_bundle = |bundle: &str| {
        let mid = media.attribute("mid");
        mid.is_some_and(|mid| bundle.split_ascii_whitespace().any(|in_it| in_it == mid))
    };
    let protection = match (media.protocol, bundle) {
        ("UDP/TLS/RTP/SAVPF" | "UDP/TLS/RTP/SAVP", Some(bundle)) => {
            is_in_bundle(bundle).then_some(())?;
            None
        }
        (_, Some(_)) => return None,
        (_, None) => {
            let keys = Keys { secrecy: keys.secrecy, now: ours.crypto, random: keys.random };
            answer::protection(media, &keys).ok()?
        }
    };
    let agreed = agreed(media, codec, payload_type, protection.map(|(_, crypto)| crypto))?;
    let mut text = format!("m=video {} {} {number}\r\n{}", ours.port, media.protocol, limit(ours));
    text.push_str(&format!("a=rtpmap:{number} {}\r\n", codec.rtpmap()));
    if let Some(parameters) = media.attribute_of(number) {
        text.push_str(&format!("a=fmtp:{number} {parameters}\r\n"));
    }
    // RFC 4585 §4.2.1: what was offered, for this format or for all.
    let offered: Vec<&str> = media.values("rtcp-fb").collect();
    for wish in WISHES {
        if [number, "*"].iter().any(|of| offered.contains(&format!("{of} {wish}").as_str())) {
            text.push_str(&format!("a=rtcp-fb:{number} {wish}\r\n"));
        }
    }
    if let Some((tag, crypto)) = &protection {
        text.push_str(&sdes::print(tag, crypto.suite, &crypto.ours));
    }
    if agreed.way.reports.is_none() {
        text.push_str("a=rtcp-mux\r\n");
    }
    text.push_str(&format!("a={}\r\n", agreed.direction.as_str()));
    if bundle.is_some() {
        text.push_str(&beside_bundle(ours.ssrc));
    }
    Some(Chosen { at, agreed, text })
}

/// What a medium of theirs comes to.
fn agreed(media: &Media<'_>, codec: Codec, payload_type: u8, crypto: Option<Crypto>) -> Option<Agreed> {
    let remote = SocketAddr::new(media.connection?, media.port);
    let reports = media.attribute("rtcp-mux").is_none().then(|| answer::reports(media, remote));
    let direction = answer::direction_of(media).mirrored();
    Some(Agreed { codec, payload_type, way: Way { remote, reports, crypto }, direction })
}

/// What we say of how much should be sent at most (RFC 8866 §5.8, RFC 3890).
fn limit(ours: &Ours) -> String {
    match ours.limit {
        0 => String::new(),
        most => format!("b=AS:{most}\r\nb=TIAS:{}\r\n", u64::from(most) * 1_000),
    }
}

/// What we say to browsers of the source that we send.
fn beside_bundle(ssrc: u32) -> String {
    format!("a=msid:cusax pictures\r\na=ssrc:{ssrc} cname:{ssrc:08x}\r\n")
}

/// The format that pictures are taken in: VP8 before H.264 in packetization mode 1.
fn codec<'a>(media: &Media<'a>) -> Option<(&'a str, u8, Codec)> {
    if media.kind != "video" || media.port == 0 {
        return None;
    }
    let known = media.formats.iter().filter_map(|text| {
        let payload_type: u8 = text.parse().ok().filter(|number| *number < 128)?;
        let codec = Codec::of_rtpmap(media.rtpmap(text)?)?;
        let mode = media.parameter(text, "packetization-mode");
        (codec == Codec::Vp8 || mode == Some("1")).then_some((*text, payload_type, codec))
    });
    known.min_by_key(|(_, _, codec)| *codec != Codec::Vp8)
}

/// Lines of a medium about one format.
trait Formats<'a> {
    /// What `a=fmtp` says of it.
    fn attribute_of(&self, number: &str) -> Option<&'a str>;
}

impl<'a> Formats<'a> for Media<'a> {
    fn attribute_of(&self, number: &str) -> Option<&'a str> {
        self.values("fmtp").find_map(|line| line.strip_prefix(number)?.strip_prefix(' '))
    }
}

/// What we listen to, and ask for (RFC 4585 §4.2, RFC 5104 §7.1).
const WISHES: [&str; 4] = ["nack", "nack pli", "ccm fir", "goog-remb"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secrecy;

    fn chosen(video: &str, bundle: Option<&str>) -> Option<Chosen> {
        let offer =
            format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{video}");
        let sdp = Sdp::parse(&offer).unwrap();
        let ours = Ours { port: 20_002, ssrc: 7, limit: 1_500, crypto: None };
        choose(&sdp.media, &ours, &Keys { secrecy: Secrecy::Preferred, now: None, random: || 7 }, bundle)
    }

    #[test]
    fn pictures_are_taken_in_vp8_or_else_in_h264_of_mode_1() {
        let both = "m=video 4002 RTP/AVPF 97 98 96\r\na=rtpmap:97 H264/90000\r\na=fmtp:97 packetization-mode=1\r\n\
            a=rtpmap:98 VP8/90000\r\na=rtcp-fb:* nack pli\r\na=rtpmap:96 VP9/90000\r\na=sendonly\r\n";
        let chosen_of = chosen(both, None).unwrap();
        assert_eq!((chosen_of.agreed.codec, chosen_of.agreed.payload_type), (Codec::Vp8, 98));
        assert_eq!(chosen_of.agreed.way.reports, "192.0.2.1:4003".parse().ok());
        for line in ["m=video 20002 RTP/AVPF 98\r\n", "b=AS:1500", "a=rtcp-fb:98 nack pli", "a=recvonly"] {
            assert!(chosen_of.text.contains(line), "{line}: {}", chosen_of.text);
        }
        let h264 = both.replace("98 VP8", "98 AV1");
        let chosen_of = chosen(&h264, None).unwrap();
        assert_eq!(chosen_of.agreed.codec, Codec::H264);
        assert!(chosen_of.text.contains("a=fmtp:97 packetization-mode=1\r\n"));
        assert!(chosen(&h264.replace("mode=1", "mode=0"), None).is_none());
        assert!(chosen(&both.replace("4002", "0"), None).is_none());
        assert!(chosen(both, Some("0 1")).is_none(), "a browser's pictures are in its bundle");
    }

    #[test]
    fn a_browsers_pictures_come_beside_its_sound() {
        let video = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\na=mid:1\r\na=rtcp-mux\r\n";
        let taken = chosen(video, Some("0 1")).unwrap();
        assert!(taken.text.contains("a=ssrc:7 ") && taken.agreed.way.crypto.is_none());
        assert!(chosen(video, Some("0 2")).is_none() && chosen(video, None).is_none());
    }

    #[test]
    fn pictures_with_keys_have_keys_of_their_own() {
        let video = "m=video 4002 RTP/SAVP 96\r\na=rtpmap:96 VP8/90000\r\n\
            a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n";
        let taken = chosen(video, None).unwrap();
        assert!(
            taken.agreed.way.crypto.is_some() && taken.text.contains("a=crypto:3 AES_CM_128_HMAC_SHA1_80")
        );
    }
}
