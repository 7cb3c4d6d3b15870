//! What a medium says of its pictures beside their codec — RFC 8853 §5 (`a=simulcast`), RFC 8851 §4 (`a=rid`), RFC 4796 §5
//! (`a=content`), RFC 8285 §5 (`a=extmap`), RFC 5576 (`a=ssrc`). Pure.
//!
//! In    a medium of theirs. Out names of layers, content, extensions, sources; our lines about them.
//! Errors what is not understood is passed over; of layers the first [`MOST_LAYERS`] are taken, of sources [`MOST_SOURCES`].

use sip_core::sdp::Media;

use crate::media::video::seat::{Content, Extensions};

/// The layers that are offered: of alternatives the first, and those that begin in silence, too.
pub(super) fn offered(media: &Media<'_>) -> Vec<String> {
    let mut words = media.attribute("simulcast").unwrap_or_default().split_ascii_whitespace();
    let list = words.find(|word| *word == "send").and_then(|_| words.next()).unwrap_or_default();
    let is_sent = |name: &str| {
        let mut rids = media.values("rid").map(|rid| rid.split_ascii_whitespace());
        rids.any(|mut rid| rid.next() == Some(name) && rid.next() == Some("send"))
    };
    let name = |layer: &'_ str| layer.split(',').next().map(|name| name.trim_start_matches('~').to_owned());
    let is_name =
        |name: &String| name.len() <= LONGEST_NAME && name.bytes().all(|octet| octet.is_ascii_alphanumeric());
    let names = list.split(';').filter_map(name).filter(|name| is_name(name) && is_sent(name));
    let names: Vec<String> = names.take(MOST_LAYERS).collect();
    // One layer is none.
    if names.len() > 1 { names } else { Vec::new() }
}

/// What an answer says of layers.
pub(super) fn accepted(rids: &[String]) -> String {
    if rids.is_empty() {
        return String::new();
    }
    let lines: String = rids.iter().map(|rid| format!("a=rid:{rid} recv\r\n")).collect();
    format!("{lines}a=simulcast:recv {}\r\n", rids.join(";"))
}

/// What the pictures are of, if that is said.
pub(super) fn content(media: &Media<'_>) -> Option<Content> {
    media.attribute("content")?.split(',').find_map(|word| match word.trim() {
        "slides" => Some(Content::Slides),
        "main" | "speaker" => Some(Content::Face),
        _ => None,
    })
}

/// The extensions that we know. Two-byte heads are not written (RFC 8285 §4.3).
pub(super) fn extensions(media: &Media<'_>) -> Extensions {
    let of = |wanted: &str| {
        media.values("extmap").find_map(|line| {
            let (id, name) = line.split_once(' ')?;
            let id = id.split('/').next()?.parse().ok().filter(|id| (1..15).contains(id))?;
            (name.split(' ').next() == Some(wanted)).then_some(id)
        })
    };
    Extensions { mid: of(MID), rid: of(RID), transport: of(TRANSPORT) }
}

/// Our lines about extensions.
pub(super) fn extmaps(extensions: &Extensions) -> String {
    let all = [(extensions.mid, MID), (extensions.rid, RID), (extensions.transport, TRANSPORT)];
    all.iter().filter_map(|(id, name)| Some(format!("a=extmap:{} {name}\r\n", (*id)?))).collect()
}

/// The sources that a description names.
pub(super) fn sources(media: &Media<'_>) -> Vec<u32> {
    let mut sources = Vec::new();
    for source in media.values("ssrc").filter_map(|line| line.split(' ').next()?.parse().ok()) {
        if sources.len() < MOST_SOURCES && !sources.contains(&source) {
            sources.push(source);
        }
    }
    sources
}

/// RFC 9143 §15, RFC 8852 §4.1, and the draft's §2.
const MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
const RID: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
const TRANSPORT: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
const MOST_LAYERS: usize = 3;
const MOST_SOURCES: usize = 8;
const LONGEST_NAME: usize = 16;

#[cfg(test)]
mod tests {
    use sip_core::sdp::Sdp;

    use super::*;

    #[test]
    fn layers_are_those_that_are_described_and_sent() {
        for (simulcast, expected) in [
            ("send h;l", &["h", "l"][..]),
            ("recv x send h,m;~l", &["h", "l"]),
            ("send h;unknown", &[]),
            ("send h;r", &[]),
            ("send h;l;m;4", &["h", "l", "m"]),
            ("send", &[]),
            ("", &[]),
        ] {
            let text = format!(
                "v=0\r\nm=video 9 x 96\r\na=rid:h send pt=96\r\na=rid:l send\r\na=rid:m send\r\na=rid:4 send\r\n\
                 a=rid:r recv\r\na=simulcast:{simulcast}\r\n"
            );
            assert_eq!(offered(&Sdp::parse(&text).unwrap().media[0]), expected, "{simulcast}");
        }
    }
}
