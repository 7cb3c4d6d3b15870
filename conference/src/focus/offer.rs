//! Our own offers, and what is answered to them — RFC 3264 §5 (offers), RFC 3261 §13.3.1 (in a 2xx), RFC 4568 §5.1.3 (whose key),
//! RFC 5763 §5 and RFC 8839 (browsers).
//!
//! In    where our leg listens and what it may show; the answer to an offer of ours.
//! Out   the offer's text; what was agreed on.
//! State none. Errors an answer that is none, or protects less than it must, is nothing.

use sip_core::sdp::{Media, Sdp};

use super::answer::{
    Agreed, LEVEL, Origin, Ours, beside_sound, choose, direction_of, head, is_browser, ways,
};
use super::bundle;
use super::dtls;
use super::lines::{Lines, What};
use super::sdes::{self, Keys};
use super::video;
use super::xr;
use crate::config::Secrecy;
use crate::media::codec::Format;
use crate::media::leg::Negotiated;
use crate::media::srtp::{Crypto, MasterKey, Suite};

/// An offer of ours: its media, and its keys, by their tags from 1.
#[derive(Debug, Clone, Default)]
pub(super) struct Offered {
    pub(super) sound: Vec<(Suite, MasterKey)>,
    /// The handshake of its sound, if it has one.
    pub(super) dtls: Option<dtls::Ours>,
    /// The second medium, if there is one.
    pub(super) pictures: Option<video::offer::Offer>,
    pub(super) lines: Lines,
}

impl Offered {
    /// The same, as this text of ours says it.
    pub(super) fn saying(self, text: &str) -> Self {
        let lines = Sdp::parse(text).map_or_else(Lines::default, |sdp| Lines::of_ours(&sdp.media));
        Self { lines, ..self }
    }
}

/// An offer of everything that we speak, with our keys.
pub(super) fn offer(origin: Origin, secrecy: Secrecy, offered: &Offered) -> String {
    // RFC 8643: who cannot encrypt passes over the keys, unless it must be.
    let profile = match (&offered.dtls, secrecy) {
        (Some(_), _) => "UDP/TLS/RTP/SAVP",
        (None, Secrecy::Required) => "RTP/SAVP",
        (None, _) => "RTP/AVP",
    };
    let types = Format::ALL.map(|format| (format, payload_type(format)));
    let list: Vec<String> = types.iter().map(|(_, number)| number.to_string()).collect();
    let mut text = head(origin);
    text.push_str(&format!("m=audio {} {profile} {} 101 13\r\n", origin.local.port(), list.join(" ")));
    for (n, (suite, key)) in offered.sound.iter().enumerate() {
        text.push_str(&sdes::print(&(n + 1).to_string(), *suite, key));
    }
    text.extend(offered.dtls.as_ref().map(dtls::offer));
    for (format, number) in types {
        text.push_str(&format!("a=rtpmap:{number} {}\r\n", format.rtpmap()));
    }
    text.push_str("a=fmtp:96 useinbandfec=1\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n");
    text.extend(xr::print(xr::OF_PHONES));
    text.push_str(&format!("a=extmap:1/recvonly {LEVEL}\r\na=ptime:20\r\na=rtcp-mux\r\na=sendrecv\r\n"));
    if let Some(pictures) = &offered.pictures {
        text.push_str(&video::offer::medium(pictures, profile));
    }
    text
}

/// An offer to a browser: one port for all, keys by DTLS.
pub(super) fn offer_to_browser(origin: Origin, ours: &Ours, pictures: Option<&video::Ours>) -> String {
    let formats =
        [Format::Opus, Format::G722, Format::Pcmu, Format::Pcma].map(|format| (format, payload_type(format)));
    let list: Vec<String> = formats.iter().map(|(_, number)| number.to_string()).collect();
    let mut text = head(origin);
    let mids: Vec<String> =
        (0..=pictures.map_or(0, |ours| ours.streams.max(1))).map(|mid| mid.to_string()).collect();
    let mids = mids.join(" ");
    text.push_str(&format!("a=group:BUNDLE {mids}\r\n{}", ours.lines()));
    text.push_str(&format!("m=audio {} UDP/TLS/RTP/SAVPF {} 101\r\n", origin.local.port(), list.join(" ")));
    for (format, number) in formats {
        text.push_str(&format!("a=rtpmap:{number} {}\r\n", format.rtpmap()));
    }
    text.push_str("a=fmtp:96 useinbandfec=1\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n");
    text.extend(xr::print(xr::OF_BROWSERS));
    text.push_str(&format!("a=extmap:1/recvonly {LEVEL}\r\na=rtcp-mux\r\na=sendrecv\r\na=mid:0\r\n"));
    text.push_str(&beside_sound(origin));
    text.push_str(&ways(ours, origin.local, "actpass"));
    if let Some(pictures) = pictures {
        text.push_str(&video::offer::media_of_browser(pictures, &ways(ours, origin.local, "actpass")));
    }
    text
}

/// Reads a browser's answer; we wait for its hello, so that it must say it.
pub(super) fn answered_by_browser(text: &str, offered: &Offered) -> Option<Agreed> {
    let takes = video::Limits::of(text);
    let mut answer = Sdp::parse(text)?;
    bundle::spread(&mut answer);
    xr::spread(&mut answer);
    let lines = offered.lines.answered(&answer.media);
    let media = answer.media.get(*lines.of_what(What::Sound).first()?)?;
    let keys = Keys { secrecy: Secrecy::Off, now: None, random: || 0, dtls: None };
    let is_active = media.attribute("setup") == Some("active");
    let chosen = choose(media, &keys, true).ok().filter(|chosen| is_active && chosen.browser.is_some())?;
    let (negotiated, browser) = (chosen.negotiated, chosen.browser);
    let direction = direction_of(media).mirrored();
    let places = lines.of_what(What::Pictures);
    let pictures = offered.pictures.as_ref().and_then(|offer| {
        video::offer::answered(&answer.media, &places, &takes, &offer.ours, |_| Some(None))
    });
    Some(Agreed { negotiated, browser, pictures, direction, text: String::new(), lines })
}

/// Whether an answer to an offer for browsers is of a telephone that has the handshake, and not ICE.
pub(super) fn is_of_secured(text: &str) -> bool {
    let is_it = |media: &Media<'_>| media.kind == "audio" && media.port != 0 && dtls::is_of(media);
    !is_browser(text) && Sdp::parse(text).is_some_and(|sdp| sdp.media.iter().any(is_it))
}

/// Reads the answer to our offer, in which our keys had these tags.
pub(super) fn answered(text: &str, secrecy: Secrecy, offered: &Offered) -> Option<Agreed> {
    let mut answer = Sdp::parse(text)?;
    xr::spread(&mut answer);
    dtls::spread(&mut answer);
    let lines = offered.lines.answered(&answer.media);
    let media = answer.media.get(*lines.of_what(What::Sound).first()?)?;
    let dtls = match &offered.dtls {
        Some(ours) if dtls::is_of(media) => Some(dtls::choose(media, ours).ok()?),
        None if !dtls::is_of(media) => None,
        _ => return None,
    };
    let crypto = match dtls {
        Some(_) => None,
        None => protected(media, secrecy, &offered.sound)?,
    };
    let keys = Keys { secrecy: Secrecy::Off, now: None, random: || 0, dtls: None };
    let plain = Media { protocol: "RTP/AVP", ..media.clone() };
    let pictures = offered.pictures.as_ref().and_then(|offer| {
        let (places, takes) = (lines.of_what(What::Pictures), video::Limits::of(text));
        let places = &places[..places.len().min(1)];
        let protected = |media: &Media<'_>| protected(media, secrecy, &offer.keys);
        video::offer::answered(&answer.media, places, &takes, &offer.ours, protected)
    });
    Some(Agreed {
        browser: None,
        pictures,
        negotiated: Negotiated { crypto, dtls, ..choose(&plain, &keys, false).ok()?.negotiated },
        direction: direction_of(media).mirrored(),
        text: String::new(),
        lines,
    })
}

/// How an answer protects a medium, if it does; nothing if that is less than it must be.
fn protected(media: &Media<'_>, secrecy: Secrecy, offered: &[(Suite, MasterKey)]) -> Option<Option<Crypto>> {
    let line = sdes::choose(media);
    // The suite and the tag are those of one line of ours (RFC 4568 §5.1.3).
    let ours = line.and_then(|line| offered.get(line.tag.parse::<usize>().ok()?.checked_sub(1)?));
    let crypto = line.zip(ours).filter(|(line, (suite, _))| line.suite == *suite);
    let crypto = crypto.map(|(line, (suite, key))| Crypto { suite: *suite, theirs: line.key, ours: *key });
    let is_enough = crypto.is_some() || (secrecy != Secrecy::Required && line.is_none());
    is_enough.then_some(crypto)
}

/// The payload types of our own offers.
pub(super) fn payload_type(format: Format) -> u8 {
    match format {
        Format::Opus => 96,
        Format::G722 => 9,
        Format::Pcmu => 0,
        Format::Pcma => 8,
        Format::L16Wide => 97,
        Format::L16 => 98,
        Format::L16Full => 99,
        Format::L16Cd => 11,
    }
}
