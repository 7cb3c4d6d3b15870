//! Answers to offers — RFC 3264 §6 (answer), §8 (changes); RFC 8866 (text); and our own offers (RFC 3261 §13.3.1).
//!
//! In    an offer, and where our leg listens.
//! Out   the answer's text, what the leg shall speak, and whether the peer is on hold.
//! Errors `None` when no medium of the offer can be had: 488.
//!
//! One audio medium over plain RTP is taken, in the first format of the offer that we know; MSRP, video and whatever
//! else are refused with port 0 (S-35).

use std::net::{IpAddr, SocketAddr, UdpSocket};

use sip_core::sdp::{Direction, Media, Sdp};

use crate::media::codec::Format;
use crate::media::leg::Negotiated;

/// What offer and answer came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Agreed {
    pub(super) negotiated: Negotiated,
    /// As we see it.
    pub(super) direction: Direction,
    /// The answer; empty when the answer was theirs.
    pub(super) text: String,
}

/// What tells one of our descriptions from another (RFC 8866 §5.2).
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    pub(super) session: u64,
    pub(super) version: u64,
    pub(super) local: SocketAddr,
}

/// Answers an offer.
pub(super) fn answer(offer: &str, origin: Origin) -> Option<Agreed> {
    let offer = Sdp::parse(offer)?;
    let (at, chosen) = offer.media.iter().enumerate().find_map(|(at, media)| Some((at, choose(media)?)))?;
    let direction = direction_of(&offer.media[at]).mirrored();
    let mut text = head(origin);
    for (other, media) in offer.media.iter().enumerate() {
        match other == at {
            true => text.push_str(&audio(media, chosen, direction, origin.local.port())),
            false => text.push_str(&media.refusal()),
        }
    }
    Some(Agreed { negotiated: chosen, direction, text })
}

/// An offer of everything that we speak.
pub(super) fn offer(origin: Origin) -> String {
    let types = [(Format::Opus, 96), (Format::Pcmu, 0), (Format::Pcma, 8)];
    let list: Vec<String> = types.iter().map(|(_, number)| number.to_string()).collect();
    let mut text = head(origin);
    text.push_str(&format!("m=audio {} RTP/AVP {} 101\r\n", origin.local.port(), list.join(" ")));
    for (format, number) in types {
        text.push_str(&format!("a=rtpmap:{number} {}\r\n", format.rtpmap()));
    }
    text.push_str("a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n");
    text
}

/// Reads the answer to our offer.
pub(super) fn answered(answer: &str) -> Option<Agreed> {
    let answer = Sdp::parse(answer)?;
    let media = answer.media.first()?;
    Some(Agreed {
        negotiated: choose(media)?,
        direction: direction_of(media).mirrored(),
        text: String::new(),
    })
}

/// Our IP as the peer's media should reach it: what the system would use towards it.
pub(super) fn local_ip(towards: Option<IpAddr>) -> IpAddr {
    let remote = SocketAddr::new(towards.unwrap_or(IpAddr::from([127, 0, 0, 1])), 9);
    let any = if remote.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    // Connecting a datagram socket sends nothing; it asks the routing table.
    let asked = UdpSocket::bind(any).and_then(|socket| {
        socket.connect(remote)?;
        socket.local_addr()
    });
    asked.map_or(IpAddr::from([127, 0, 0, 1]), |local| local.ip())
}

/// Where an offer wants its sound.
pub(super) fn media_ip(offer: &str) -> Option<IpAddr> {
    Sdp::parse(offer)?.media.iter().find(|media| media.kind == "audio")?.connection
}

fn choose(media: &Media<'_>) -> Option<Negotiated> {
    if media.kind != "audio" || media.port == 0 || !matches!(media.protocol, "RTP/AVP" | "RTP/AVPF") {
        return None;
    }
    let remote = SocketAddr::new(media.connection?, media.port);
    media.formats.iter().find_map(|text| {
        let payload_type: u8 = text.parse().ok().filter(|number| *number < 128)?;
        let format = match media.rtpmap(text) {
            Some(encoding) => Format::of_rtpmap(encoding)?,
            None => Format::of_static(payload_type)?,
        };
        Some(Negotiated { format, payload_type, remote })
    })
}

/// The direction, where RFC 2543's way to hold, an address of zeros, means that nothing is wanted.
fn direction_of(media: &Media<'_>) -> Direction {
    match media.connection {
        Some(ip) if ip.is_unspecified() => Direction::Inactive,
        _ => media.direction,
    }
}

fn audio(media: &Media<'_>, chosen: Negotiated, direction: Direction, port: u16) -> String {
    let number = chosen.payload_type;
    let events = media.formats.iter().find(|format| {
        media.rtpmap(format).is_some_and(|encoding| encoding.eq_ignore_ascii_case("telephone-event/8000"))
    });
    let (also, lines) = match events {
        Some(format) => (
            format!(" {format}"),
            format!("a=rtpmap:{format} telephone-event/8000\r\na=fmtp:{format} 0-16\r\n"),
        ),
        None => (String::new(), String::new()),
    };
    format!(
        "m=audio {port} {} {number}{also}\r\na=rtpmap:{number} {}\r\n{lines}a=ptime:20\r\na={}\r\n",
        media.protocol,
        chosen.format.rtpmap(),
        direction.as_str()
    )
}

fn head(origin: Origin) -> String {
    let ip = origin.local.ip();
    let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
    // RFC 8866 §5.2: numbers of at most 63 bits are what old parsers bear.
    let session = origin.session >> 1;
    format!(
        "v=0\r\no=cusax {session} {} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n",
        origin.version
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        Origin { session: 8, version: 1, local: "192.0.2.9:20000".parse().unwrap() }
    }

    const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
        m=message 2855 TCP/MSRP *\r\nm=audio 4000 RTP/AVP 18 8 101\r\na=rtpmap:101 telephone-event/8000\r\n\
        m=video 4002 RTP/AVP 97\r\n";

    #[test]
    fn takes_the_first_known_audio_and_refuses_the_rest() {
        let agreed = answer(OFFER, origin()).unwrap();
        let remote = "192.0.2.1:4000".parse().unwrap();
        assert_eq!(agreed.negotiated, Negotiated { format: Format::Pcma, payload_type: 8, remote });
        let media: Vec<&str> = agreed.text.lines().filter(|line| line.starts_with("m=")).collect();
        assert_eq!(media, ["m=message 0 TCP/MSRP *", "m=audio 20000 RTP/AVP 8 101", "m=video 0 RTP/AVP 97"]);
        assert!(agreed.text.contains("o=cusax 4 1 IN IP4 192.0.2.9\r\n"));
    }

    #[test]
    fn hold_is_mirrored() {
        let held = OFFER.replace("m=video", "a=sendonly\r\nm=video");
        assert_eq!(answer(&held, origin()).unwrap().direction, Direction::ReceiveOnly);
        let old = OFFER.replace("c=IN IP4 192.0.2.1", "c=IN IP4 0.0.0.0");
        assert_eq!(answer(&old, origin()).unwrap().direction, Direction::Inactive);
    }

    #[test]
    fn nothing_to_speak_is_no_answer() {
        assert_eq!(answer(&OFFER.replace("18 8 101", "18"), origin()), None);
        assert_eq!(answer(&OFFER.replace("RTP/AVP 18", "RTP/SAVP 18"), origin()), None);
        assert_eq!(answer("rubbish", origin()), None);
    }

    #[test]
    fn our_offer_can_be_answered() {
        let agreed = answer(&offer(origin()), origin()).unwrap();
        assert_eq!(agreed.negotiated.format, Format::Opus);
        assert_eq!(answered(&agreed.text).unwrap().negotiated.format, Format::Opus);
    }
}
