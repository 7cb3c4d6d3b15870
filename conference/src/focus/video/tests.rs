//! Offers with pictures.

use super::*;
use crate::config::Secrecy;

const OURS: Ours = Ours { port: 20_002, ssrc: 7, cname: 1, limit: 1_500, streams: 3, crypto: None };

fn chosen(video: &str, bundle: Option<&str>) -> Option<Chosen> {
    let offer = format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{video}");
    let sdp = Sdp::parse(&offer).unwrap();
    let keys = Keys { secrecy: Secrecy::Preferred, now: None, random: || 7, dtls: None };
    choose(&sdp.media, &Limits::of(&offer), &OURS, &keys, bundle)
}

#[test]
fn pictures_are_taken_in_vp8_or_else_in_h264_of_mode_1() {
    let both = "m=video 4002 RTP/AVPF 97 98 96\r\na=rtpmap:97 H264/90000\r\na=fmtp:97 packetization-mode=1\r\n\
        a=rtpmap:98 VP8/90000\r\na=rtcp-fb:* nack pli\r\na=rtpmap:96 VP9/90000\r\na=sendonly\r\n";
    let taken = chosen(both, None).unwrap();
    assert_eq!((taken.agreed.codec, taken.agreed.payload_type), (Codec::Vp8, 98));
    assert_eq!(taken.agreed.way.reports, "192.0.2.1:4003".parse().ok());
    for line in ["m=video 20002 RTP/AVPF 98\r\n", "b=AS:1500", "a=rtcp-fb:98 nack pli", "a=recvonly"] {
        assert!(taken.texts[0].1.contains(line), "{line}: {}", taken.texts[0].1);
    }
    let h264 = both.replace("98 VP8", "98 AV1");
    let taken = chosen(&h264, None).unwrap();
    assert_eq!(taken.agreed.codec, Codec::H264);
    assert!(taken.texts[0].1.contains("a=fmtp:97 packetization-mode=1\r\n"));
    assert!(chosen(&h264.replace("mode=1", "mode=0"), None).is_none());
    assert!(chosen(&both.replace("4002", "0"), None).is_none());
    assert!(chosen(both, Some("0 1")).is_none(), "a browser's pictures are in its bundle");
    assert_eq!(chosen(&both.repeat(2), None).unwrap().texts.len(), 1, "a phone has one");
}

#[test]
fn who_knows_fir_and_not_pli_is_asked_by_fir() {
    for (lines, by_fir) in [
        ("a=rtcp-fb:96 ccm fir\r\n", true),
        ("a=rtcp-fb:* ccm fir\r\na=rtcp-fb:96 nack\r\n", true),
        ("a=rtcp-fb:96 ccm fir\r\na=rtcp-fb:* nack pli\r\n", false),
        ("a=rtcp-fb:97 ccm fir\r\n", false),
        ("", false),
    ] {
        let video = format!("m=video 4002 RTP/AVPF 96\r\na=rtpmap:96 VP8/90000\r\n{lines}");
        assert_eq!(chosen(&video, None).unwrap().agreed.by_fir, by_fir, "{lines}");
    }
}

const WEB: &str = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\na=rtcp-mux\r\na=rtcp-fb:96 transport-cc\r\n\
    a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n\
    a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n";

#[test]
fn a_browsers_pictures_come_beside_its_sound() {
    let video = format!("{WEB}a=mid:1\r\n");
    let taken = chosen(&video, Some("0 1")).unwrap();
    for line in ["a=ssrc:7 cname:00000001", "a=extmap:3 http", "a=rtcp-fb:96 transport-cc"] {
        assert!(taken.texts[0].1.contains(line), "{line}: {}", taken.texts[0].1);
    }
    assert!(taken.agreed.way.crypto.is_none());
    assert!(chosen(&video, Some("0 2")).is_none() && chosen(&video, None).is_none());
}

#[test]
fn a_browser_has_as_many_as_are_allowed_each_with_a_source_of_its_own() {
    let video: String = [
        ("1", "sendrecv"),
        ("2", "sendonly\r\na=content:slides"),
        ("3", "recvonly\r\nb=AS:300"),
        ("4", "recvonly"),
    ]
    .map(|(mid, lines)| format!("{WEB}a=mid:{mid}\r\na={lines}\r\n"))
    .concat();
    let taken = chosen(&video, Some("0 1 2 3 4")).unwrap();
    let sections = &taken.agreed.sections;
    assert_eq!(taken.texts.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [0, 1, 2], "three at the most");
    assert_eq!(sections.iter().map(|one| one.view.ssrc).collect::<Vec<_>>(), [7, 8, 9]);
    assert_eq!((sections[0].shown.content, sections[1].shown.content), (Content::Face, Content::Slides));
    assert_eq!(sections.iter().map(|one| one.view.takes).collect::<Vec<_>>(), [0, 0, 300_000]);
    assert!(taken.texts[1].1.contains("a=content:slides\r\na=recvonly"));
    let quiet = video.replace("a=content:slides\r\n", "");
    let second = &chosen(&quiet, Some("0 1 2 3 4")).unwrap().agreed.sections[1];
    assert_eq!(
        (second.shown.content, second.view.content),
        (Content::Slides, None),
        "the second is what they show"
    );
}

#[test]
fn what_the_whole_takes_holds_for_each() {
    let limits = |text: &str| Limits::of(&format!("v=0\r\n{text}"));
    let some = limits("m=audio 9 x 0\r\nm=video 9 x 1\r\nb=AS:300\r\nb=X-YZ:1\r\n");
    assert_eq!((some.of_pictures(), some.at(0), some.at(1), some.at(2)), (0, 0, 300_000, 0));
    let whole = limits("b=AS:500\r\nb=TIAS:464000\r\nm=video 9 x 1\r\nm=video 9 x 1\r\nb=AS:100\r\n");
    assert_eq!((whole.of_pictures(), whole.at(0), whole.at(1)), (400_000, 0, 100_000));
    assert_eq!(limits("b=AS:1\r\nm=video 9 x 1\r\n").of_pictures(), 1, "next to nothing is something");
    let offer = "b=AS:464\r\nm=video 4002 RTP/AVPF 98\r\na=rtpmap:98 VP8/90000\r\n";
    assert_eq!(chosen(offer, None).unwrap().agreed.takes, 400_000);
}

#[test]
fn layers_are_taken_by_their_names() {
    let layers = "a=mid:1\r\na=rid:h send\r\na=rid:l send\r\na=simulcast:send h;l\r\n";
    let taken = chosen(&format!("{WEB}{layers}"), Some("0 1")).unwrap();
    assert_eq!(taken.agreed.sections[0].shown.rids, ["h", "l"]);
    let text = &taken.texts[0].1;
    for line in
        ["a=rid:h recv", "a=simulcast:recv h;l", "a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"]
    {
        assert!(text.contains(line), "{line}: {text}");
    }
    let unnamed = format!("{WEB}{layers}").replace("sdes:rtp-stream-id", "x");
    let taken = chosen(&unnamed, Some("0 1")).unwrap();
    assert!(taken.agreed.sections[0].shown.rids.is_empty() && !taken.texts[0].1.contains("simulcast"));
}

#[test]
fn pictures_with_keys_have_keys_of_their_own() {
    let video = "m=video 4002 RTP/SAVP 96\r\na=rtpmap:96 VP8/90000\r\n\
        a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n";
    let taken = chosen(video, None).unwrap();
    assert!(taken.agreed.way.crypto.is_some());
    assert!(taken.texts[0].1.contains("a=crypto:3 AES_CM_128_HMAC_SHA1_80"));
}
