//! Pictures in offers and answers — RFC 3264 §6, RFC 7741 §6 (VP8), RFC 6184 §8.2.2 (H.264), RFC 4585 §4 and RFC 5104 §7 (what
//! may be asked for), RFC 9143 (a browser's, in its bundle), RFC 4796 (slides), RFC 8851 and RFC 8853 (layers), RFC 8285.
//!
//! In    an offer whose sound was taken. Out which of its media carry pictures, and what the answer says of each.
//! State none. Errors a medium that cannot be had is refused with port 0, and the call goes on without it.
//!
//! One medium with `m=video` is taken, in VP8 if it is offered, else in H.264; of a browser's bundle as many of that codec as
//! `conference.video_streams` says. Our own offers are in [`offer`].

mod layers;
pub(super) mod offer;

use std::net::SocketAddr;

use sip_core::sdp::{Direction, Media, Sdp};

use super::answer;
use super::bundle;
use super::sdes::{self, Keys};
use crate::media::srtp::Crypto;
use crate::media::video::Codec;
use crate::media::video::room::Way;
use crate::media::video::seat::{Content, Extensions, Shown, View};

/// What we say of our pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ours {
    /// Where they are to be sent.
    pub(super) port: u16,
    /// The source of what we send in the description's first medium; of the next the next.
    pub(super) ssrc: u32,
    /// What names us (RFC 3550 §6.5.1).
    pub(super) cname: u32,
    /// The most that a leg should send, in kbit/s.
    pub(super) limit: u32,
    /// Media of a browser that are taken.
    pub(super) streams: usize,
    /// How they are protected now, on a leg that had pictures before.
    pub(super) crypto: Option<Crypto>,
}

impl Ours {
    fn ssrc_of(&self, at: usize) -> u32 {
        self.ssrc.wrapping_add(at as u32)
    }
}

/// What offer and answer came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Agreed {
    pub(super) codec: Codec,
    pub(super) payload_type: u8,
    pub(super) way: Way,
    pub(super) extensions: Extensions,
    /// They know FIR, and not PLI.
    pub(super) by_fir: bool,
    /// What they take of all of it at most, in bits a second; 0: nothing was said.
    pub(super) takes: u64,
    /// At least one; several of a browser.
    pub(super) sections: Vec<Section>,
}

/// One medium.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    /// Its place among the media.
    pub(super) at: usize,
    /// It was said what it is of.
    pub(super) is_said: bool,
    /// As we see it.
    pub(super) direction: Direction,
    /// What they send.
    pub(super) shown: Shown,
    /// What they see, and what they take of it at most.
    pub(super) view: View,
}

/// Media with pictures that were taken.
pub(super) struct Chosen {
    pub(super) agreed: Agreed,
    /// Which of the offer's, and what the answer says of each, but for what is said of browsers.
    pub(super) texts: Vec<(usize, String)>,
}

/// Whether an offer has pictures that could be taken.
pub(super) fn is_offered(offer: &str) -> bool {
    Sdp::parse(offer).is_some_and(|mut sdp| {
        bundle::spread(&mut sdp);
        sdp.media.iter().any(|media| codec(media).is_some())
    })
}

/// Takes pictures of an offer. `group` are the media in a browser's bundle; `takes` is what each medium takes at most.
pub(super) fn choose(
    media: &[Media<'_>],
    takes: &Limits,
    ours: &Ours,
    keys: &Keys,
    group: Option<&str>,
) -> Option<Chosen> {
    let mut chosen: Option<Chosen> = None;
    for (at, media) in media.iter().enumerate() {
        let Some((number, payload_type, codec)) = codec(media) else { continue };
        let Some(protection) = protection(media, ours, keys, group) else { continue };
        let crypto = protection.map(|(_, crypto)| crypto);
        let taken = match &mut chosen {
            None => {
                let extensions = group.map(|_| layers::extensions(media)).unwrap_or_default();
                let Some(first) = agreed(media, codec, payload_type, crypto, extensions) else { continue };
                chosen.insert(Chosen { agreed: first, texts: Vec::new() })
            }
            Some(taken) => {
                let known = (taken.agreed.codec, taken.agreed.payload_type);
                let is_more = group.is_some() && taken.agreed.sections.len() < ours.streams;
                if known != (codec, payload_type) || !is_more {
                    continue;
                }
                taken
            }
        };
        taken.agreed.takes = takes.of_pictures();
        let section = section(media, at, takes.at(at), ours, &taken.agreed);
        let tag = protection.map(|(tag, crypto)| sdes::print(tag, crypto.suite, &crypto.ours));
        let text = text(media, at, number, ours, &taken.agreed, &section, group.is_some());
        taken.texts.push((at, text + &tag.unwrap_or_default()));
        taken.agreed.sections.push(section);
    }
    chosen
}

/// The line of a medium that protects it, and how; nothing if it cannot be had.
fn protection<'a>(
    media: &Media<'a>,
    ours: &Ours,
    keys: &Keys,
    group: Option<&str>,
) -> Option<Option<(&'a str, Crypto)>> {
    match (media.protocol, group) {
        ("UDP/TLS/RTP/SAVPF" | "UDP/TLS/RTP/SAVP", Some(group)) => {
            bundle::is_in(group, media).then_some(None)
        }
        (_, Some(_)) => None,
        (_, None) => {
            let keys = Keys { secrecy: keys.secrecy, now: ours.crypto, random: keys.random, dtls: None };
            answer::protection(media, &keys).ok()
        }
    }
}

/// What a first medium of theirs comes to, without its section.
fn agreed(
    media: &Media<'_>,
    codec: Codec,
    payload_type: u8,
    crypto: Option<Crypto>,
    extensions: Extensions,
) -> Option<Agreed> {
    let remote = SocketAddr::new(media.connection?, media.port);
    let reports = media.attribute("rtcp-mux").is_none().then(|| answer::reports(media, remote));
    let way = Way { remote, reports, crypto };
    let number = payload_type.to_string();
    let by_fir = is_understood(media, &number, "ccm fir") && !is_understood(media, &number, "nack pli");
    Some(Agreed { codec, payload_type, way, extensions, by_fir, takes: 0, sections: Vec::new() })
}

/// What a medium is for. The second that somebody sends by is what they show, as browsers say nothing of it.
fn section(media: &Media<'_>, at: usize, takes: u64, ours: &Ours, agreed: &Agreed) -> Section {
    let direction = answer::direction_of(media).mirrored();
    let said = layers::content(media);
    let is_second = agreed.sections.iter().any(|section| receives(section.direction));
    let content = said.unwrap_or(if is_second { Content::Slides } else { Content::Face });
    let rids = match receives(direction) && agreed.extensions.rid.is_some() {
        true => layers::offered(media),
        false => Vec::new(),
    };
    let mid = media.attribute("mid").map(str::to_owned);
    let shown = Shown { content, mid, rids, ssrcs: layers::sources(media) };
    let content = said.filter(|content| *content == Content::Slides);
    let view = View { ssrc: ours.ssrc_of(at), content, takes };
    Section { at, is_said: said.is_some(), direction, shown, view }
}

/// Whether pictures come to us.
pub(super) fn receives(ours: Direction) -> bool {
    matches!(ours, Direction::SendReceive | Direction::ReceiveOnly)
}

fn text(
    media: &Media<'_>,
    at: usize,
    number: &str,
    ours: &Ours,
    agreed: &Agreed,
    section: &Section,
    is_browser: bool,
) -> String {
    let mut text = format!("m=video {} {} {number}\r\n{}", ours.port, media.protocol, limit(ours));
    text.push_str(&format!("a=rtpmap:{number} {}\r\n", agreed.codec.rtpmap()));
    if let Some(parameters) = media.attribute_of(number) {
        text.push_str(&format!("a=fmtp:{number} {parameters}\r\n"));
    }
    let whole = agreed.extensions.transport.map(|_| TRANSPORT_WIDE);
    for wish in WISHES.into_iter().chain(whole) {
        if is_understood(media, number, wish) {
            text.push_str(&format!("a=rtcp-fb:{number} {wish}\r\n"));
        }
    }
    if agreed.way.reports.is_none() {
        text.push_str("a=rtcp-mux\r\n");
    }
    if let Some(content) = media.attribute("content").filter(|_| layers::content(media).is_some()) {
        text.push_str(&format!("a=content:{content}\r\n"));
    }
    text.push_str(&format!("a={}\r\n", section.direction.as_str()));
    if is_browser {
        text.push_str(&layers::accepted(&section.shown.rids));
        text.push_str(&layers::extmaps(&agreed.extensions));
        text.push_str(&beside_bundle(ours, at, agreed.sections.is_empty()));
    }
    text
}

/// RFC 4585 §4.2.1: what is offered, for this format or for all.
fn is_understood(media: &Media<'_>, number: &str, wish: &str) -> bool {
    media
        .values("rtcp-fb")
        .filter_map(|line| line.split_once(' '))
        .any(|(of, what)| [number, "*"].contains(&of) && what == wish)
}

/// What we say of how much should be sent at most (RFC 8866 §5.8, RFC 3890).
fn limit(ours: &Ours) -> String {
    match ours.limit {
        0 => String::new(),
        most => format!("b=AS:{most}\r\nb=TIAS:{}\r\n", u64::from(most) * 1_000),
    }
}

/// What a description takes at most, in bits a second; 0 where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Limits {
    /// All of it together (RFC 8866 §5.8).
    whole: u64,
    each: Vec<u64>,
}

impl Limits {
    pub(super) fn of(description: &str) -> Self {
        let mut limits = Self::default();
        for line in description.lines() {
            let number = |name: &str| line.strip_prefix(name)?.trim().parse::<u64>().ok();
            let kbits = number("b=AS:").or_else(|| number("b=CT:"));
            if line.starts_with("m=") {
                limits.each.push(0);
            } else if let Some(bits) = kbits.map(|kbits| kbits.saturating_mul(1_000)).or(number("b=TIAS:")) {
                let least = limits.each.last_mut().unwrap_or(&mut limits.whole);
                *least = if *least == 0 { bits } else { bits.min(*least) };
            }
        }
        limits
    }

    /// Of the medium at this place.
    fn at(&self, at: usize) -> u64 {
        self.each.get(at).copied().unwrap_or(0)
    }

    /// What all pictures together may take; 0 if the description says nothing of all.
    fn of_pictures(&self) -> u64 {
        match self.whole {
            0 => 0,
            whole => whole.saturating_sub(OF_SOUND).max(1),
        }
    }
}

/// What we say to browsers of the source that we send. The first goes with the sound (RFC 8830 §2).
fn beside_bundle(ours: &Ours, at: usize, is_first: bool) -> String {
    let (ssrc, cname) = (ours.ssrc_of(at), ours.cname);
    let stream = if is_first { "cusax".to_owned() } else { format!("cusax-{at}") };
    format!("a=msid:{stream} pictures-{at}\r\na=ssrc:{ssrc} cname:{cname:08x}\r\n")
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

/// Bits a second of the sound beside pictures, with its heads.
const OF_SOUND: u64 = 64_000;
/// What we listen to, and ask for (RFC 4585 §4.2, RFC 5104 §7.1).
const WISHES: [&str; 4] = ["nack", "nack pli", "ccm fir", "goog-remb"];
/// Where packets have numbers of the transport.
const TRANSPORT_WIDE: &str = "transport-cc";

#[cfg(test)]
mod tests;
