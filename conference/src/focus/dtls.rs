//! Handshakes of telephones in descriptions — RFC 5763 §5 (who says hello), §6.6 (what begins a new association), RFC 8122 §5
//! (fingerprints). Pure.
//!
//! ```text
//! a=setup:actpass
//! a=fingerprint:sha-256 AB:CD:…
//! ```
//! In    the lines of a medium. Out whose certificate is expected, and which side we are; our own lines.
//! Errors no fingerprint of a hash that we know, or another setup: the medium cannot be had.
//!
//! Not here: browsers, whose handshakes are behind ICE.

use std::net::IpAddr;

use sip_core::sdp::{Media, Sdp};

use super::answer::Unfit;
use crate::media::dtls::{Dtls, Fingerprint, Side};

/// What an association of ours may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ours {
    pub(super) fingerprint: String,
    /// As it is now.
    pub(super) now: Option<Dtls>,
    /// Where the call comes from.
    pub(super) source: Option<IpAddr>,
}

/// Writes beside each medium what the session says for all.
pub(super) fn spread(sdp: &mut Sdp<'_>) {
    for name in ["setup", "fingerprint"] {
        let is_it = |line: &&&str| line.split(':').next() == Some(name);
        let said: Vec<&str> = sdp.attributes.iter().filter(is_it).copied().collect();
        for media in sdp.media.iter_mut().filter(|media| media.attribute(name).is_none()) {
            media.attributes.extend(&said);
        }
    }
}

/// Whether a medium has its keys of a handshake.
pub(super) fn is_of(media: &Media<'_>) -> bool {
    matches!(media.protocol, "UDP/TLS/RTP/SAVP" | "UDP/TLS/RTP/SAVPF")
}

/// What is said of the association.
pub(super) fn choose(media: &Media<'_>, ours: &Ours) -> Result<Dtls, Unfit> {
    let theirs = Fingerprint::strongest(media.values("fingerprint")).ok_or(Unfit::NoHandshake)?;
    let kept = ours.now.filter(|now| now.theirs == theirs).map(|now| now.side);
    // Our hello finds nobody behind a NAT, whose own finds us.
    let is_there = ours.source.is_none_or(|source| Some(source.to_canonical()) == media.connection);
    let side = match media.attribute("setup") {
        Some("passive") => Side::Active,
        // RFC 4145 §4: what an offer means that does not say it.
        Some("active") | None => Side::Passive,
        Some("actpass") => kept.unwrap_or(if is_there { Side::Active } else { Side::Passive }),
        Some(_) => return Err(Unfit::NoHandshake),
    };
    Ok(Dtls { theirs, side })
}

/// Our lines of an answer.
pub(super) fn print(ours: &Ours, side: Side) -> String {
    let setup = match side {
        Side::Active => "active",
        Side::Passive => "passive",
    };
    lines(ours, setup)
}

/// Our lines of an offer.
pub(super) fn offer(ours: &Ours) -> String {
    lines(ours, "actpass")
}

fn lines(ours: &Ours, setup: &str) -> String {
    format!("a=setup:{setup}\r\na=fingerprint:{}\r\n", ours.fingerprint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(lines: &str, now: Option<Dtls>, source: &str) -> Result<Dtls, Unfit> {
        let text = format!(
            "v=0\r\nc=IN IP4 192.0.2.1\r\n{lines}m=audio 4000 UDP/TLS/RTP/SAVP 0\r\nm=audio 0 RTP/AVP 0\r\na=setup:holdconn\r\n"
        );
        let mut sdp = Sdp::parse(&text).unwrap();
        spread(&mut sdp);
        assert_eq!(sdp.media[1].attribute("setup"), Some("holdconn"), "its own stays");
        let ours = Ours { fingerprint: "sha-256 00".into(), now, source: source.parse().ok() };
        choose(&sdp.media[0], &ours)
    }

    fn fingerprint(octet: &str) -> String {
        format!("sha-1 {}", [octet; 20].join(":"))
    }

    #[test]
    fn each_setup_has_its_answer() {
        let theirs = Fingerprint::parse(&fingerprint("AB")).unwrap();
        let line = format!("a=fingerprint:{}\r\n", fingerprint("AB"));
        for (setup, source, side) in [
            ("a=setup:actpass\r\n", "192.0.2.1", Side::Active),
            ("a=setup:actpass\r\n", "unknown", Side::Active),
            ("a=setup:actpass\r\n", "198.51.100.7", Side::Passive),
            ("a=setup:passive\r\n", "198.51.100.7", Side::Active),
            ("a=setup:active\r\n", "192.0.2.1", Side::Passive),
            ("", "192.0.2.1", Side::Passive),
        ] {
            let came = chosen(&format!("{setup}{line}"), None, source);
            assert_eq!(came, Ok(Dtls { theirs, side }), "{setup} from {source}");
        }
        for wrong in ["a=setup:actpass\r\n", "a=setup:actpass\r\na=fingerprint:md5 00\r\n"] {
            assert_eq!(chosen(wrong, None, "192.0.2.1"), Err(Unfit::NoHandshake), "{wrong}");
        }
        let held = format!("a=setup:holdconn\r\n{line}");
        assert_eq!(chosen(&held, None, "192.0.2.1"), Err(Unfit::NoHandshake));
    }

    #[test]
    fn the_side_stays_while_the_certificate_does() {
        let theirs = Fingerprint::parse(&fingerprint("AB")).unwrap();
        let now = Dtls { theirs, side: Side::Passive };
        let again = |octet| format!("a=setup:actpass\r\na=fingerprint:{}\r\n", fingerprint(octet));
        assert_eq!(chosen(&again("AB"), Some(now), "192.0.2.1"), Ok(now));
        assert_eq!(chosen(&again("CD"), Some(now), "192.0.2.1").unwrap().side, Side::Active);
    }
}
