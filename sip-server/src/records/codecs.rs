//! Which codecs two sides agreed on — RFC 3264 §6, RFC 8866 §6.6, RFC 3551 §6 (static payload types).
//!
//! In    the body of a 2xx, or of its INVITE if that has none. Out names such as `PCMU`, `opus`, each once, at most eight; and whether
//! pictures may flow.

use sip_core::Message;
use sip_core::sdp::{Direction, Sdp};

use crate::relay::sdp_of;

/// The codecs that a message describes.
pub(crate) fn codecs_of(message: &Message) -> Vec<String> {
    let Some(sdp) = sdp_of(message).and_then(Sdp::parse) else { return Vec::new() };
    let mut codecs: Vec<String> = Vec::new();
    for medium in sdp.media.iter().filter(|medium| medium.port != 0) {
        for format in &medium.formats {
            let mapped = medium.rtpmap(format).and_then(|encoding| encoding.split('/').next());
            let name = mapped.or_else(|| static_name(format));
            let Some(name) = name.filter(|name| !name.eq_ignore_ascii_case("telephone-event")) else {
                continue;
            };
            let is_word = name.len() <= 32
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
            if is_word && codecs.len() < MOST && !codecs.iter().any(|known| known == name) {
                codecs.push(name.to_owned());
            }
        }
    }
    codecs
}

/// Whether a message describes pictures that somebody may send (RFC 8866 §6.7).
pub(crate) fn has_video(message: &Message) -> bool {
    let Some(sdp) = sdp_of(message).and_then(Sdp::parse) else { return false };
    sdp.media.iter().any(|m| m.kind == "video" && m.port != 0 && m.direction != Direction::Inactive)
}

fn static_name(format: &str) -> Option<&'static str> {
    Some(match format {
        "0" => "PCMU",
        "3" => "GSM",
        "8" => "PCMA",
        "9" => "G722",
        "18" => "G729",
        "26" => "JPEG",
        "34" => "H263",
        _ => return None,
    })
}

const MOST: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_once_and_refused_media_do_not_count() {
        let mut message = Message::request("INVITE", "sip:b@x");
        let sdp = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 96 0 101 8\r\n\
            a=rtpmap:96 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\na=rtpmap:8 PCMA/8000\r\nm=video 0 RTP/AVP 34\r\n\
            m=audio 9 RTP/AVP 0\r\n";
        message.set_body("Application/SDP; charset=utf-8", sdp.into());
        assert_eq!(codecs_of(&message), ["opus", "PCMU", "PCMA"]);
        assert!(!has_video(&message), "it is refused");
        message.set_body("application/sdp", sdp.replace("m=video 0", "m=video 9").into());
        assert!(has_video(&message));
        let held = sdp.replace("m=video 0 RTP/AVP 34\r\n", "m=video 9 RTP/AVP 34\r\na=inactive\r\n");
        message.set_body("application/sdp", held.into());
        assert!(!has_video(&message), "nobody sends");
        message.set_body("text/plain", sdp.into());
        assert!(codecs_of(&message).is_empty());
    }
}
