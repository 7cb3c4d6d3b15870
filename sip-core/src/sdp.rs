//! SDP — RFC 8866, and offer and answer for audio — RFC 3264.
//!
//! In    the text of a session description. Out its media, borrowed, and an answer's text.
//! Not here: bundles, simulcast, ICE: lines that are not understood are passed over.

use std::net::IpAddr;

/// A session description divided into its media.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sdp<'a> {
    /// The `c=` of the session.
    pub connection: Option<IpAddr>,
    /// The direction of the session, which media inherit.
    pub direction: Direction,
    /// `a=` lines of the session without their `a=`.
    pub attributes: Vec<&'a str>,
    /// Each `m=` with its lines.
    pub media: Vec<Media<'a>>,
}

/// One `m=`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media<'a> {
    /// `audio`, `video`, `message`, …
    pub kind: &'a str,
    /// Where the other end listens; 0 refuses the medium.
    pub port: u16,
    /// `RTP/AVP`, …
    pub protocol: &'a str,
    /// Payload types or formats, in the order of preference.
    pub formats: Vec<&'a str>,
    /// The medium's own `c=`, or the session's.
    pub connection: Option<IpAddr>,
    /// Who sends.
    pub direction: Direction,
    /// `a=` lines without their `a=`.
    pub attributes: Vec<&'a str>,
}

/// Who sends, as the author of the description sees it (RFC 8866 §6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Both.
    SendReceive,
    /// The author.
    SendOnly,
    /// The reader.
    ReceiveOnly,
    /// Nobody.
    Inactive,
}

impl Direction {
    /// The attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SendReceive => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::ReceiveOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// What an answer may say at most (RFC 3264 §6.1).
    pub fn mirrored(self) -> Self {
        match self {
            Self::SendOnly => Self::ReceiveOnly,
            Self::ReceiveOnly => Self::SendOnly,
            other => other,
        }
    }

    fn parse(attribute: &str) -> Option<Self> {
        [Self::SendReceive, Self::SendOnly, Self::ReceiveOnly, Self::Inactive]
            .into_iter()
            .find(|direction| direction.as_str() == attribute)
    }
}

impl<'a> Sdp<'a> {
    /// Divides a description; `None` if it is not one, or has more than [`MOST_MEDIA`] media, or too many attributes or formats.
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
        if lines.next()? != "v=0" {
            return None;
        }
        let direction = Direction::SendReceive;
        let mut sdp = Self { connection: None, direction, attributes: Vec::new(), media: Vec::new() };
        for line in lines {
            let (kind, value) = line.split_once('=')?;
            match (kind, sdp.media.last_mut()) {
                ("m", _) => {
                    if sdp.media.len() == MOST_MEDIA {
                        return None;
                    }
                    let medium = Media::parse(value, sdp.connection, sdp.direction)?;
                    sdp.media.push(medium);
                }
                ("c", None) => sdp.connection = connection(value),
                ("c", Some(medium)) => medium.connection = connection(value),
                ("a", None) => match Direction::parse(value) {
                    Some(direction) => sdp.direction = direction,
                    None => push(&mut sdp.attributes, value)?,
                },
                ("a", Some(medium)) => match Direction::parse(value) {
                    Some(direction) => medium.direction = direction,
                    None => push(&mut medium.attributes, value)?,
                },
                _ => {}
            }
        }
        Some(sdp)
    }
}

impl<'a> Media<'a> {
    fn parse(value: &'a str, connection: Option<IpAddr>, direction: Direction) -> Option<Self> {
        let mut words = value.split_ascii_whitespace();
        let kind = words.next()?;
        // `port/count` asks for several ports; the first is enough.
        let port = words.next()?.split('/').next()?.parse().ok()?;
        let protocol = words.next()?;
        let formats: Vec<&str> = words.take(MOST_FORMATS + 1).collect();
        if formats.len() > MOST_FORMATS {
            return None;
        }
        Some(Self { kind, port, protocol, formats, connection, direction, attributes: Vec::new() })
    }

    /// The encoding of a payload type, `opus/48000/2`, by its `a=rtpmap`.
    pub fn rtpmap(&self, payload_type: &str) -> Option<&'a str> {
        self.attributes.iter().find_map(|attribute| {
            let (known, encoding) = attribute.strip_prefix("rtpmap:")?.split_once(' ')?;
            (known == payload_type).then_some(encoding.trim())
        })
    }

    /// The value of the first attribute of this name: `x` of `a=name:x`, nothing of `a=name`.
    pub fn attribute(&self, name: &str) -> Option<&'a str> {
        self.values(name).next()
    }

    /// The values of all attributes of this name, in their order.
    pub fn values<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'a str> + 's {
        self.attributes.iter().filter_map(move |attribute| match attribute.split_once(':') {
            Some((known, value)) => (known == name).then_some(value.trim()),
            None => (*attribute == name).then_some(""),
        })
    }

    /// A parameter of a payload type's `a=fmtp`, such as `1` of `useinbandfec=1` (RFC 8866 §6.15).
    pub fn parameter(&self, payload_type: &str, name: &str) -> Option<&'a str> {
        let (_, list) = self
            .values("fmtp")
            .filter_map(|value| value.split_once(' '))
            .find(|(of, _)| *of == payload_type)?;
        list.split(';').find_map(|pair| {
            let (known, value) = pair.trim().split_once('=')?;
            known.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// How this medium is refused in an answer: port 0, the same formats (RFC 3264 §6), and its name (RFC 5888 §9.1).
    pub fn refusal(&self) -> String {
        let mid = self.attribute("mid").map_or(String::new(), |mid| format!("a=mid:{mid}\r\n"));
        format!("m={} 0 {} {}\r\n{mid}", self.kind, self.protocol, self.formats.join(" "))
    }
}

fn connection(value: &str) -> Option<IpAddr> {
    // A multicast address carries `/ttl`.
    value.split_ascii_whitespace().nth(2)?.split('/').next()?.parse().ok()
}

/// One attribute more; nothing if there are too many, since readers look through all for each.
fn push<'a>(attributes: &mut Vec<&'a str>, value: &'a str) -> Option<()> {
    attributes.push(value);
    (attributes.len() <= MOST_ATTRIBUTES).then_some(())
}

/// Attributes of a medium, or of the whole, that are read.
const MOST_ATTRIBUTES: usize = 512;
/// Formats of a medium that are read.
const MOST_FORMATS: usize = 128;
/// Media that are read.
pub const MOST_MEDIA: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
        m=audio 4000 RTP/AVP 96 0 101\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\na=sendonly\r\n\
        m=message 2855 TCP/MSRP *\r\nc=IN IP6 2001:db8::1\r\n";

    #[test]
    fn divides_an_offer() {
        let sdp = Sdp::parse(OFFER).unwrap();
        let audio = &sdp.media[0];
        assert_eq!((audio.kind, audio.port, audio.direction), ("audio", 4000, Direction::SendOnly));
        assert_eq!(audio.rtpmap("96"), Some("opus/48000/2"));
        assert_eq!(audio.rtpmap("0"), None);
        assert_eq!(audio.connection, "192.0.2.1".parse().ok());
        assert_eq!(sdp.media[1].connection, "2001:db8::1".parse().ok());
        assert_eq!(sdp.media[1].refusal(), "m=message 0 TCP/MSRP *\r\n");
    }

    #[test]
    fn finds_attributes_and_parameters_by_their_names() {
        let text =
            format!("{}a=rtcp-mux\r\na=fmtp:96 a=1; useinbandfec=1\r\na=rtcp:9 IN IP4 192.0.2.2\r\n", OFFER);
        let text = text.replace("t=0 0\r\n", "t=0 0\r\na=group:BUNDLE 0\r\n");
        let sdp = Sdp::parse(&text).unwrap();
        let last = &sdp.media[1];
        assert_eq!(sdp.attributes, ["group:BUNDLE 0"]);
        assert_eq!(
            (last.attribute("rtcp-mux"), last.attribute("rtcp")),
            (Some(""), Some("9 IN IP4 192.0.2.2"))
        );
        assert_eq!((last.attribute("rt"), sdp.media[0].attribute("rtcp-mux")), (None, None));
        assert_eq!(last.parameter("96", "UseInbandFec"), Some("1"));
        assert_eq!((last.parameter("97", "a"), last.parameter("96", "b")), (None, None));
    }

    #[test]
    fn refuses_what_is_no_description() {
        for wrong in ["", "v=1\r\n", "hello", "v=0\r\nm=audio x RTP/AVP 0\r\n", "v=0\r\nrubbish\r\n"] {
            assert_eq!(Sdp::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Sdp::parse(&format!("v=0\r\n{}", "m=audio 1 RTP/AVP 0\r\n".repeat(17))), None);
    }

    #[test]
    fn an_answer_mirrors_the_direction() {
        assert_eq!(Direction::SendOnly.mirrored(), Direction::ReceiveOnly);
        assert_eq!(Direction::Inactive.mirrored(), Direction::Inactive);
    }

    #[test]
    fn a_description_that_is_too_long_to_look_through_is_none() {
        let many = |count| format!("{OFFER}{}", "a=rid:1 send\r\n".repeat(count));
        assert!(Sdp::parse(&many(MOST_ATTRIBUTES)).is_some());
        assert!(Sdp::parse(&many(MOST_ATTRIBUTES + 1)).is_none());
        let formats = |count| format!("{OFFER}m=audio 9 RTP/AVP{}\r\n", " 0".repeat(count));
        assert!(
            Sdp::parse(&formats(MOST_FORMATS)).is_some() && Sdp::parse(&formats(MOST_FORMATS + 1)).is_none()
        );
    }
}
