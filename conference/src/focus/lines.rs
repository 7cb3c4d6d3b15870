//! The media of a session as they were described last — RFC 3264 §8 (their order and number stay), §8.3.2 (and what a payload
//! type means). Pure.
//!
//! In    descriptions. Out what each medium is for, and numbers for formats. State none.

use sip_core::sdp::Media;

/// All media, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Lines(pub(super) Vec<Line>);

/// One medium.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) what: What,
    pub(super) kind: String,
    pub(super) protocol: String,
    pub(super) mid: Option<String>,
    formats: Vec<Format>,
}

/// What a payload type means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) number: String,
    /// `VP8/90000`; of those that everybody knows it may be unsaid.
    encoding: Option<String>,
    pub(super) parameters: Option<String>,
}

/// What a medium is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Sound,
    Pictures,
    /// It is refused, or over.
    Nothing,
}

impl Lines {
    /// Of a description, each of whose media is for `what`.
    pub(super) fn of(media: &[Media<'_>], what: impl Fn(usize) -> What) -> Self {
        Self(media.iter().enumerate().map(|(at, media)| Line::of(media, what(at))).collect())
    }

    /// Of an offer of ours: all of it is for something.
    pub(super) fn of_ours(media: &[Media<'_>]) -> Self {
        Self::of(media, |at| match (media[at].kind, media[at].port) {
            (_, 0) => What::Nothing,
            ("audio", _) => What::Sound,
            _ => What::Pictures,
        })
    }

    /// What is left of an offer of ours when this is answered.
    pub(super) fn answered(&self, answer: &[Media<'_>]) -> Self {
        let mut lines = self.clone();
        for (at, line) in lines.0.iter_mut().enumerate() {
            if answer.get(at).is_none_or(|media| media.port == 0) {
                line.what = What::Nothing;
            }
        }
        lines
    }

    /// The places of those for this.
    pub(super) fn of_what(&self, what: What) -> Vec<usize> {
        (0..self.0.len()).filter(|at| self.0[*at].what == what).collect()
    }

    /// A number for a format that has none yet: the usual one, or a free one.
    pub(super) fn free(&self, usual: u8) -> String {
        let is_free = |number: &u8| {
            let mut known = self.0.iter().flat_map(|line| &line.formats);
            known.all(|format| format.number != number.to_string())
        };
        std::iter::once(usual).chain(DYNAMIC).find(is_free).unwrap_or(usual).to_string()
    }

    /// The same, which is taken then.
    pub(super) fn take_number(&mut self, usual: u8) -> String {
        let number = self.free(usual);
        if let Some(line) = self.0.first_mut() {
            line.formats.push(Format { number: number.clone(), encoding: None, parameters: None });
        }
        number
    }

    /// One more medium with pictures, whose format is that of others — the agreed one if there is one — or has this number.
    pub(super) fn add_pictures(
        &mut self,
        encoding: &str,
        parameters: Option<&str>,
        usual: u8,
        agreed: Option<u8>,
    ) {
        let known = self.0.iter().filter(|line| line.what == What::Pictures);
        let known = known.filter_map(|line| line.format_of(encoding, agreed)).next().cloned();
        let fresh = || Format {
            number: self.free(usual),
            encoding: Some(encoding.to_owned()),
            parameters: parameters.map(str::to_owned),
        };
        let formats = vec![known.unwrap_or_else(fresh)];
        let is_taken = |mid: &String| self.0.iter().any(|line| line.mid.as_ref() == Some(mid));
        let mid = (self.0.len()..).map(|mid| mid.to_string()).find(|mid| !is_taken(mid));
        let protocol = self.0.iter().find(|line| line.what == What::Sound).map(|line| line.protocol.clone());
        let (what, kind, protocol) = (What::Pictures, "video".to_owned(), protocol.unwrap_or_default());
        self.0.push(Line { what, kind, protocol, mid, formats });
    }
}

impl Line {
    fn of(media: &Media<'_>, what: What) -> Self {
        let format = |number: &&str| {
            let of_it = |line: &str| line.strip_prefix(*number)?.strip_prefix(' ').map(str::to_owned);
            Format {
                number: (*number).to_owned(),
                encoding: media.rtpmap(number).map(str::to_owned),
                parameters: media.values("fmtp").find_map(of_it),
            }
        };
        Self {
            what,
            kind: media.kind.to_owned(),
            protocol: media.protocol.to_owned(),
            mid: media.attribute("mid").map(str::to_owned),
            formats: media.formats.iter().map(format).collect(),
        }
    }

    /// How an encoding was described here.
    pub(super) fn format(&self, encoding: &str) -> Option<&Format> {
        let is_it =
            |format: &&Format| format.encoding.as_ref().is_some_and(|one| one.eq_ignore_ascii_case(encoding));
        self.formats.iter().find(is_it)
    }

    /// How an encoding was described here; of several ways, the one with this number.
    pub(super) fn format_of(&self, encoding: &str, agreed: Option<u8>) -> Option<&Format> {
        let number = agreed.map(|number| number.to_string());
        let is_agreed = |format: &&Format| {
            Some(&format.number) == number.as_ref()
                && format.encoding.as_ref().is_some_and(|one| one.eq_ignore_ascii_case(encoding))
        };
        self.formats.iter().find(is_agreed).or_else(|| self.format(encoding))
    }

    /// What a number means here.
    pub(super) fn meaning(&self, number: &str) -> Option<&str> {
        self.formats.iter().find(|format| format.number == number)?.encoding.as_deref()
    }

    /// How it stands in an offer that has no use for it.
    pub(super) fn refused(&self) -> String {
        let numbers: Vec<&str> = self.formats.iter().map(|format| &*format.number).collect();
        format!("m={} 0 {} {}\r\n{}", self.kind, self.protocol, numbers.join(" "), self.name())
    }

    /// Its name, if it has one.
    pub(super) fn name(&self) -> String {
        self.mid.as_ref().map_or(String::new(), |mid| format!("a=mid:{mid}\r\n"))
    }
}

/// RFC 3551 §6.
const DYNAMIC: std::ops::RangeInclusive<u8> = 96..=127;

#[cfg(test)]
mod tests {
    use sip_core::sdp::Sdp;

    use super::*;

    #[test]
    fn of_several_formats_of_one_encoding_the_agreed_one_is_named_again() {
        let text = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=video 9 RTP/AVP 97 98\r\n\
            a=rtpmap:97 H264/90000\r\na=fmtp:97 packetization-mode=0\r\n\
            a=rtpmap:98 H264/90000\r\na=fmtp:98 packetization-mode=1\r\n";
        let mut lines = Lines::of(&Sdp::parse(text).unwrap().media, |_| What::Pictures);
        assert_eq!(lines.0[0].format_of("H264/90000", Some(98)).unwrap().number, "98");
        assert_eq!(lines.0[0].format_of("H264/90000", None).unwrap().number, "97");
        assert_eq!(lines.0[0].format_of("VP8/90000", Some(98)), None);
        lines.add_pictures("H264/90000", None, 103, Some(98));
        assert_eq!(lines.0[1].formats[0].parameters.as_deref(), Some("packetization-mode=1"));
    }
}
