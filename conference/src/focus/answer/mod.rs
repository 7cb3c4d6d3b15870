//! Answers to offers — RFC 3264 §6 (answer), §8 (changes); RFC 8866 (text).
//!
//! In    an offer, and where our leg listens.
//! Out   the answer's text, what the leg shall speak, and whether the peer is on hold.
//! Errors why no medium of the offer can be had: 488, whose Warning says it (RFC 3261 §20.43).
//!
//! Pictures are taken beside the sound where that is wanted ([`video`]).
//! One audio medium is taken, in the first format of the offer that we know, and an encrypted one before others
//! (RFC 4568, with RFC 8643 where keys are offered without insistence, or RFC 5763); MSRP and whatever else are refused with
//! port 0 (S-35). Beside the sound are taken: keys (RFC 4733), comfort noise (RFC 3389), how loud
//! packets are (RFC 6464), reports on the same port (RFC 5761) or another (RFC 3605), and the wishes of an Opus
//! receiver (RFC 7587 §6.1).

use std::net::{IpAddr, SocketAddr, UdpSocket};

use sip_core::sdp::{Direction, Media, Sdp};

use super::bundle;
use super::dtls;
use super::lines::{Lines, What};
use super::sdes::{self, Keys};
use super::video;
use super::xr;
use crate::config::Secrecy;
use crate::media::codec::{Encoding, Format, USUAL_BITS};
use crate::media::leg::{Negotiated, RtpLeg};
use crate::media::srtp::Crypto;
use crate::media::web::{Credentials, Peer, Role, Theirs};

/// What a browser's medium says of itself (RFC 8839 §5, RFC 8122 §5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Browser {
    pub(super) fingerprint: String,
    /// Its name and password of checks: others mean that it checks anew (RFC 8839 §4.4.1.1.1); and where it may be.
    pub(super) ice: Theirs,
}

impl Browser {
    /// Whom a leg waits for; who offered chooses among addresses (RFC 8445 §6.1.1).
    pub(super) fn peer(&self, role: Role) -> Peer {
        Peer { fingerprint: self.fingerprint.clone(), ice: self.ice.clone(), role }
    }
}

/// What we say of ourselves to a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ours {
    pub(super) ice: Credentials,
    pub(super) fingerprint: String,
    /// Whether we check as a full agent.
    pub(super) is_full: bool,
}

impl Ours {
    /// What the session says of us (RFC 8839 §5.3, §5.6).
    pub(super) fn lines(&self) -> String {
        let ice = if self.is_full { "a=ice-options:ice2" } else { "a=ice-lite" };
        format!("{ice}\r\na=fingerprint:{}\r\n", self.fingerprint)
    }
}

/// What offer and answer came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Agreed {
    pub(super) negotiated: Negotiated,
    /// It is a browser's.
    pub(super) browser: Option<Browser>,
    /// As we see it.
    pub(super) direction: Direction,
    /// The pictures that were taken beside the sound.
    pub(super) pictures: Option<video::Agreed>,
    /// The answer; empty when the answer was theirs.
    pub(super) text: String,
    /// All media as they are from now on.
    pub(super) lines: Lines,
}

impl Agreed {
    /// It, if the peer has an address of our family: where it wants its sound, or where it calls from, since a telephone with
    /// addresses of both families names one of them.
    pub(super) fn between(self, ours: IpAddr, source: Option<IpAddr>) -> Result<Self, Unfit> {
        let wanted = self.negotiated.remote.ip();
        let is_ours = |ip: IpAddr| ip.is_ipv4() == ours.is_ipv4();
        // A browser has candidates of both.
        let can = self.browser.is_some() || wanted.is_unspecified() || is_ours(wanted);
        if can || source.is_some_and(is_ours) { Ok(self) } else { Err(Unfit::NoAddress) }
    }
}

/// What tells one of our descriptions from another (RFC 8866 §5.2).
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    pub(super) session: u64,
    pub(super) version: u64,
    pub(super) local: SocketAddr,
}

impl Origin {
    /// The source of our sound, which names us in all reports.
    pub(super) fn source(&self) -> u32 {
        RtpLeg::source_of(self.session)
    }
}

/// Why an offer cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfit {
    /// It is no description.
    NotSdp,
    /// No audio is wanted.
    NoAudio,
    /// Audio over something that we do not carry.
    Transport,
    /// Encrypted audio without a key that we can use.
    NoKey,
    /// A browser's audio without all that it takes.
    NotWhole,
    /// Audio of a telephone, whose handshake cannot be had.
    NoHandshake,
    /// Audio that is not encrypted, which it must be.
    InTheClear,
    /// Audio without an address, or with one that cannot reach ours.
    NoAddress,
    /// Audio in formats that we do not know.
    Format,
}

impl Unfit {
    /// The code and text of the Warning (RFC 3261 §20.43).
    pub(super) fn warning(self) -> (u16, &'static str) {
        match self {
            Self::NotSdp => (399, "The body is no session description"),
            Self::NoAudio => (304, "Media type not available: only audio is"),
            Self::Transport => (302, "Incompatible transport protocol"),
            Self::NoKey => (399, "No crypto line can be used"),
            Self::NotWhole => {
                (399, "DTLS-SRTP with ICE takes rtcp-mux, a sha-256 fingerprint, and setup actpass or active")
            }
            Self::NoHandshake => (
                399,
                "DTLS-SRTP takes a fingerprint (SHA-1 to SHA-512), and setup actpass, active or passive",
            ),
            Self::InTheClear => (399, "Sound must be encrypted here: RTP/SAVP with a crypto line"),
            Self::NoAddress => (301, "Incompatible network address formats"),
            Self::Format => (305, "Incompatible media format: Opus, G722, PCMU, PCMA and L16 are known"),
        }
    }
}

/// Answers an offer.
pub(super) fn answer(
    offer: &str,
    origin: Origin,
    keys: &Keys,
    ours: Option<&Ours>,
    pictures: Option<&video::Ours>,
) -> Result<Agreed, Unfit> {
    let takes = video::Limits::of(offer);
    let mut offer = Sdp::parse(offer).ok_or(Unfit::NotSdp)?;
    let has_port = if ours.is_some() { bundle::spread(&mut offer) } else { Vec::new() };
    dtls::spread(&mut offer);
    xr::spread(&mut offer);
    let (at, chosen) = choose_among(&offer.media, keys, ours.is_some())?;
    let direction = direction_of(&offer.media[at]).mirrored();
    let group = chosen.browser.as_ref().map(|_| bundle::of(&offer).unwrap_or_default());
    let pictures = pictures.and_then(|pictures| video::choose(&offer.media, &takes, pictures, keys, group));
    let seen = pictures.iter().flat_map(|pictures| pictures.texts.iter().map(|(at, _)| *at));
    let taken: Vec<usize> = std::iter::once(at).chain(seen).collect();
    let bundled = group.map(|group| bundle::answered(group, &offer.media, &has_port, &taken));
    let bundled = bundled.unwrap_or_default();
    // RFC 9143 §7.3.3: without a bundle, what has no port of its own is nowhere.
    let is_lost = |at: &usize| bundled.is_empty() && has_port.get(*at) == Some(&false);
    if is_lost(&at) {
        return Err(Unfit::NoAddress);
    }
    let pictures = pictures.filter(|pictures| !pictures.texts.iter().any(|(at, _)| is_lost(at)));
    let mut text = head(origin);
    if let (Some(ours), Some(_)) = (ours, group) {
        text.push_str(&bundled);
        text.push_str(&ours.lines());
    }
    for (other, media) in offer.media.iter().enumerate() {
        let of_pictures = |pictures: &video::Chosen| {
            pictures.texts.iter().find(|(at, _)| *at == other).map(|(_, text)| text.clone())
        };
        let said = match other == at {
            true => Some(audio(media, &chosen, direction, origin)),
            false => pictures.as_ref().and_then(of_pictures),
        };
        match said {
            Some(said) => {
                text.push_str(&said);
                if let (Some(ours), Some(_)) = (ours, &chosen.browser) {
                    text.push_str(&medium_of(ours, media, origin.local));
                }
            }
            None => text.push_str(&media.refusal()),
        }
    }
    let of_pictures = |other: usize| pictures.iter().flat_map(|one| &one.texts).any(|(at, _)| *at == other);
    let lines = Lines::of(&offer.media, |other| match other {
        _ if other == at => What::Sound,
        _ if of_pictures(other) => What::Pictures,
        _ => What::Nothing,
    });
    let pictures = pictures.map(|pictures| pictures.agreed);
    let Chosen { negotiated, browser, .. } = chosen;
    Ok(Agreed { negotiated, browser, direction, pictures, text, lines })
}

/// What a browser says of its checks.
pub(super) fn ice_of(offer: &str) -> Option<Theirs> {
    let mut sdp = Sdp::parse(offer)?;
    bundle::spread(&mut sdp);
    let media = sdp.media.iter().find(|media| media.kind == "audio" && media.port != 0)?;
    ice(media)
}

fn ice(media: &Media<'_>) -> Option<Theirs> {
    let word = |name| media.attribute(name).map(str::to_owned);
    let ice = Credentials { name: word("ice-ufrag")?, password: word("ice-pwd")? };
    let candidates = media.values("candidate").filter_map(candidate).take(MOST_CANDIDATES).collect();
    Some(Theirs { ice, candidates, is_lite: media.attribute("ice-lite").is_some() })
}

/// RFC 8839 §5.1: an address of the first component over UDP; names of a local net (mDNS) are passed over.
fn candidate(line: &str) -> Option<(SocketAddr, u32)> {
    let words: Vec<&str> = line.split_ascii_whitespace().take(6).collect();
    let [_, "1", transport, priority, ip, port] = words[..] else { return None };
    let address = SocketAddr::new(ip.parse().ok()?, port.parse().ok()?);
    transport.eq_ignore_ascii_case("udp").then_some((address, priority.parse().ok()?))
}

/// Whether an offer is a browser's: it has keys of a handshake, and ICE as browsers have it. All others are telephones, for which ICE is
/// left out of the answer (RFC 8839 §4.2.5).
pub(super) fn is_browser(offer: &str) -> bool {
    let Some(mut sdp) = Sdp::parse(offer) else { return false };
    bundle::spread(&mut sdp);
    sdp.media.iter().any(|media| media.kind == "audio" && dtls::is_of(media) && browser(media).is_ok())
}

/// What we say of the medium to a browser: we wait for its hello (RFC 5763 §5), and have one candidate.
fn medium_of(ours: &Ours, media: &Media<'_>, local: SocketAddr) -> String {
    let mid = media.attribute("mid").map_or(String::new(), |mid| format!("a=mid:{mid}\r\n"));
    mid + &ways(ours, local, "passive")
}

/// Who says hello, and our one candidate.
pub(super) fn ways(ours: &Ours, local: SocketAddr, setup: &str) -> String {
    let (ip, port) = (local.ip(), local.port());
    let Credentials { name, password } = &ours.ice;
    format!(
        "a=setup:{setup}\r\na=ice-ufrag:{name}\r\na=ice-pwd:{password}\r\n\
         a=candidate:1 1 udp 2130706431 {ip} {port} typ host\r\na=end-of-candidates\r\n"
    )
}

/// Our IP as the peer's media should reach it: what the system would use towards it; `None` if it has no way there.
pub(super) fn local_ip(towards: IpAddr) -> Option<IpAddr> {
    let any = if towards.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    // Connecting a datagram socket sends nothing; it asks the routing table.
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect((towards, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// Where an offer wants its sound.
pub(super) fn media_ip(offer: &str) -> Option<IpAddr> {
    Sdp::parse(offer)?.media.iter().find(|media| media.kind == "audio")?.connection
}

/// What was taken of one medium.
pub(super) struct Chosen<'a> {
    pub(super) negotiated: Negotiated,
    pub(super) browser: Option<Browser>,
    /// Lines about what is beside the sound.
    beside: Vec<String>,
    /// Formats beside that of the sound.
    formats: Vec<&'a str>,
}

impl Chosen<'_> {
    fn is_encrypted(&self) -> bool {
        self.negotiated.is_encrypted() || self.browser.is_some()
    }
}

/// The first encrypted medium that can be had, or else the first. When none can, what was nearest to it says why.
fn choose_among<'a>(media: &[Media<'a>], keys: &Keys, is_web: bool) -> Result<(usize, Chosen<'a>), Unfit> {
    let (mut unfit, mut plain) = (Unfit::NoAudio, None);
    for (at, media) in media.iter().enumerate() {
        match choose(media, keys, is_web) {
            Ok(chosen) if chosen.is_encrypted() => return Ok((at, chosen)),
            Ok(chosen) => plain = plain.or(Some((at, chosen))),
            Err(Unfit::NoAudio) => {}
            Err(reason) => unfit = reason,
        }
    }
    plain.ok_or(unfit)
}

/// The line of a medium that protects it, and how. `None` if it is not protected.
pub(super) fn protection<'a>(media: &Media<'a>, keys: &Keys) -> Result<Option<(&'a str, Crypto)>, Unfit> {
    let must_be = match media.protocol {
        "RTP/AVP" | "RTP/AVPF" => false,
        "RTP/SAVP" | "RTP/SAVPF" if keys.secrecy != Secrecy::Off => true,
        _ => return Err(Unfit::Transport),
    };
    let line = sdes::choose(media).filter(|_| keys.secrecy != Secrecy::Off);
    let ours = line.and_then(|line| keys.ours(line.suite));
    match line.zip(ours) {
        Some((line, ours)) => Ok(Some((line.tag, Crypto { suite: line.suite, theirs: line.key, ours }))),
        None if must_be => Err(Unfit::NoKey),
        None if keys.secrecy == Secrecy::Required => Err(Unfit::InTheClear),
        None => Ok(None),
    }
}

/// A browser's medium, if it has all that it needs: ICE, a fingerprint of a kind that we know, one port for all, and a
/// role that lets us wait.
fn browser(media: &Media<'_>) -> Result<Browser, Unfit> {
    let has = |name| media.attribute(name).is_some_and(|value| !value.is_empty());
    let fingerprint =
        media.values("fingerprint").find(|value| value.to_ascii_lowercase().starts_with("sha-256 "));
    let may_wait = media.attribute("setup").is_none_or(|setup| setup == "actpass" || setup == "active");
    let is_whole = has("ice-ufrag") && has("ice-pwd") && media.attribute("rtcp-mux").is_some() && may_wait;
    let fingerprint = fingerprint.filter(|_| is_whole).ok_or(Unfit::NotWhole)?;
    Ok(Browser { fingerprint: fingerprint.to_owned(), ice: ice(media).ok_or(Unfit::NotWhole)? })
}

pub(super) fn choose<'a>(media: &Media<'a>, keys: &Keys, is_web: bool) -> Result<Chosen<'a>, Unfit> {
    if media.kind != "audio" || media.port == 0 {
        return Err(Unfit::NoAudio);
    }
    let (mut protected, mut of_browser, mut handshake) = (None, None, None);
    match &keys.dtls {
        _ if is_web && dtls::is_of(media) => of_browser = Some(browser(media)?),
        Some(ours) if dtls::is_of(media) => handshake = Some((dtls::choose(media, ours)?, ours)),
        _ => protected = protection(media, keys)?,
    }
    let remote = SocketAddr::new(media.connection.ok_or(Unfit::NoAddress)?, media.port);
    let known = media.formats.iter().find_map(|text| {
        let payload_type: u8 = text.parse().ok().filter(|number| *number < 128)?;
        let format = match media.rtpmap(text) {
            Some(encoding) => Format::of_rtpmap(encoding)?,
            None => Format::of_static(payload_type)?,
        };
        Some((*text, payload_type, format))
    });
    let (text, payload_type, format) = known.ok_or(Unfit::Format)?;
    let (mut beside, mut formats) = (Vec::new(), Vec::new());
    if let Some((tag, crypto)) = &protected {
        beside.push(sdes::print(tag, crypto.suite, &crypto.ours));
    }
    if let Some((dtls, ours)) = &handshake {
        beside.push(dtls::print(ours, dtls.side));
    }
    let events = events(media, format);
    if let Some((format, encoding)) = events {
        beside.push(format!("a=rtpmap:{format} {encoding}\r\na=fmtp:{format} 0-16\r\n"));
        formats.push(format);
    }
    let noise = noise(media, format);
    if let Some(number) = noise {
        if media.rtpmap(number).is_some() {
            beside.push(format!("a=rtpmap:{number} CN/{}\r\n", format.clock()));
        }
        formats.push(number);
    }
    let level = media.values("extmap").find_map(level);
    if let Some(id) = level {
        beside.push(format!("a=extmap:{id}/recvonly {LEVEL}\r\n"));
    }
    let extended = xr::wanted(media);
    beside.extend(xr::print(extended));
    let is_one_port = media.attribute("rtcp-mux").is_some();
    if is_one_port {
        beside.push("a=rtcp-mux\r\n".to_owned());
    }
    let number = |text: &str| text.parse().ok().filter(|number: &u8| *number < 128);
    let negotiated = Negotiated {
        encoding: encoding(media, text, format),
        packets: format.packets(longest(media)),
        payload_type,
        remote,
        reports: (!is_one_port).then(|| reports(media, remote)),
        events: events.and_then(|(format, _)| number(format)),
        noise: noise.and_then(number),
        level,
        crypto: protected.map(|(_, crypto)| crypto),
        dtls: handshake.map(|(dtls, _)| dtls),
        extended,
    };
    Ok(Chosen { negotiated, browser: of_browser, beside, formats })
}

/// Keys: with the clock of the codec if that is offered (RFC 4733 §2.1), else with any.
fn events<'a>(media: &Media<'a>, format: Format) -> Option<(&'a str, &'a str)> {
    let all = || {
        media.formats.iter().filter_map(|text| {
            let encoding = media.rtpmap(text)?;
            let (name, clock) = encoding.split_once('/')?;
            name.eq_ignore_ascii_case("telephone-event").then_some((*text, encoding, clock))
        })
    };
    let of_clock = all().find(|(.., clock)| clock.parse() == Ok(format.clock()));
    of_clock.or_else(|| all().next()).map(|(text, encoding, _)| (text, encoding))
}

/// Milliseconds of the longest packet that the peer takes (RFC 8866 §6.4).
fn longest(media: &Media<'_>) -> u32 {
    media.attribute("maxptime").and_then(|most| most.trim().parse().ok()).unwrap_or(u32::MAX)
}

/// Comfort noise, by the clock of the codec (RFC 3389 §5.1), unless silence is to be sent as it is (RFC 3108 §5.6.2.7).
fn noise<'a>(media: &Media<'a>, format: Format) -> Option<&'a str> {
    let is_unwanted = media.attribute("silenceSupp").is_some_and(|wish| wish.starts_with("off"));
    if is_unwanted || format == Format::Opus {
        return None;
    }
    let wanted = format!("CN/{}", format.clock());
    media.formats.iter().copied().find(|text| match media.rtpmap(text) {
        Some(encoding) => encoding.strip_suffix("/1").unwrap_or(encoding).eq_ignore_ascii_case(&wanted),
        None => *text == "13" && format.clock() == 8_000,
    })
}

/// The number of the extension that says how loud a packet is; two-byte headers are not read (RFC 8285 §4.3).
fn level(extmap: &str) -> Option<u8> {
    let (id, name) = extmap.split_once(' ')?;
    let id = id.split('/').next()?.parse().ok().filter(|id| (1..15).contains(id))?;
    name.split(' ').next().filter(|name| *name == LEVEL).map(|_| id)
}

/// What the receiver wishes (RFC 7587 §6.1). Rates fall into few classes, so that receivers can share an encoder.
fn encoding(media: &Media<'_>, text: &str, format: Format) -> Encoding {
    if format != Format::Opus {
        return Encoding::of(format);
    }
    let most = media.parameter(text, "maxaveragebitrate").and_then(|bits| bits.parse().ok());
    let bits_a_second = match most.unwrap_or(USUAL_BITS) {
        ..20_000 => 12_000,
        20_000..USUAL_BITS => 20_000,
        _ => USUAL_BITS,
    };
    let has_redundancy = media.parameter(text, "useinbandfec") == Some("1");
    let has_pauses = media.parameter(text, "usedtx") == Some("1");
    Encoding { format, bits_a_second, has_redundancy, has_pauses }
}

/// Where the peer listens for reports: where it says (RFC 3605), or on the next port (RFC 3550 §11).
pub(super) fn reports(media: &Media<'_>, remote: SocketAddr) -> SocketAddr {
    let mut words = media.attribute("rtcp").unwrap_or_default().split_ascii_whitespace();
    let port = words.next().and_then(|port| port.parse().ok());
    let ip = words.nth(2).and_then(|ip| ip.parse().ok());
    SocketAddr::new(ip.unwrap_or(remote.ip()), port.unwrap_or(remote.port().wrapping_add(1)))
}

/// The direction, where RFC 2543's way to hold, an address of zeros, means that nothing is wanted.
pub(super) fn direction_of(media: &Media<'_>) -> Direction {
    match media.connection {
        // A browser that hides where it is writes zeros, and means nothing by it.
        Some(ip) if ip.is_unspecified() && media.attribute("ice-ufrag").is_none() => Direction::Inactive,
        _ => media.direction,
    }
}

fn audio(media: &Media<'_>, chosen: &Chosen<'_>, direction: Direction, origin: Origin) -> String {
    let port = origin.local.port();
    let beside = chosen.browser.as_ref().map(|_| beside_sound(origin)).unwrap_or_default();
    let number = chosen.negotiated.payload_type;
    let format = chosen.negotiated.encoding.format;
    let also: String = chosen.formats.iter().map(|format| format!(" {format}")).collect();
    let wishes = match format {
        Format::Opus => format!("a=fmtp:{number} useinbandfec=1\r\n"),
        _ => String::new(),
    };
    let ptime = 20 / chosen.negotiated.packets.max(1);
    // What does not fit a datagram is not wanted either (RFC 8866 §6.4).
    let most = if format.packets(u32::MAX) > 1 { "a=maxptime:10\r\n" } else { "" };
    format!(
        "m=audio {port} {} {number}{also}\r\na=rtpmap:{number} {}\r\n{wishes}{}a=ptime:{ptime}\r\n{most}a={}\r\n{beside}",
        media.protocol,
        format.rtpmap(),
        chosen.beside.concat(),
        direction.as_str()
    )
}

/// What we say to browsers of the source of our sound, which goes with the first of our pictures (RFC 8830 §2).
pub(super) fn beside_sound(origin: Origin) -> String {
    let ssrc = origin.source();
    format!("a=msid:cusax sound\r\na=ssrc:{ssrc} cname:{ssrc:08x}\r\n")
}

pub(super) fn head(origin: Origin) -> String {
    let ip = origin.local.ip();
    let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
    // RFC 8866 §5.2: numbers of at most 63 bits are what old parsers bear.
    let session = origin.session >> 1;
    format!(
        "v=0\r\no=cusax {session} {} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n",
        origin.version
    )
}

/// Addresses of a browser that are read.
const MOST_CANDIDATES: usize = 100;
/// RFC 6464 §4.
pub(super) const LEVEL: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";

#[cfg(test)]
mod tests;
