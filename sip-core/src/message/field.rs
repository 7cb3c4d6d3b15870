//! One header of a message: where its line stands and where its value does, in the message's buffer or in its own.

use super::lines::split_line;
use crate::header::{Elements, Name, NameAddr, Params, Via};

/// One header.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) name: Name,
    /// The whole line as it goes out, without its last line break.
    line: Span,
    /// The value as it is read: unfolded, trimmed, UTF-8.
    value: Span,
    mark: Mark,
    own: Own,
}

/// What the spans are of.
#[derive(Debug, Clone)]
enum Own {
    /// The head of the message.
    No,
    Text(Box<str>),
    /// A line that is folded or not UTF-8, and its value as it is read.
    Odd(Box<(Vec<u8>, String)>),
}

/// What is asked for most, and where it stands: the tag of a From or To, the branch of a Via.
#[derive(Debug, Clone, Copy)]
enum Mark {
    /// Nobody looked.
    Unread,
    None,
    At(Span),
}

#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    // A message is smaller than 4 GiB: datagrams and the framer see to that.
    fn new(start: usize, end: usize) -> Self {
        Self { start: start as u32, end: end as u32 }
    }

    fn of(self, text: &str) -> &str {
        &text[self.start as usize..self.end as usize]
    }
}

impl Field {
    /// Reads the line that stands at these places; `None` if it is no header.
    #[inline]
    pub(super) fn read(buffer: &[u8], from: usize, to: usize) -> Option<Self> {
        let line = &buffer[from..to];
        let (name, after_colon) = split_line(line)?;
        let name = Name::of(name);
        let value = &line[after_colon..];
        let left = value.len() - value.trim_ascii_start().len();
        let start = from + after_colon + left;
        let trimmed = value[left..].trim_ascii_end();
        if !is_usual(line)
            && (memchr::memchr2(b'\r', b'\n', line).is_some() || std::str::from_utf8(trimmed).is_err())
        {
            return Some(Self::unusual(name, line, trimmed));
        }
        let (line, value) = (Span::new(from, to), Span::new(start, start + trimmed.len()));
        Some(Self { name, line, value, mark: Mark::Unread, own: Own::No })
    }

    /// A line that is folded or not UTF-8: it goes out as it came, and beside it stands what is read.
    #[cold]
    fn unusual(name: Name, line: &[u8], value: &[u8]) -> Self {
        let unfolded = unfold(value);
        let read = String::from_utf8_lossy(&unfolded).into_owned();
        if is_well_folded(line) {
            return Self::odd(name, line.to_vec(), read);
        }
        // A lone CR or LF is a line break to some peers and none to others, so that it does not go on.
        let name_text = split_line(line).map_or(&line[..0], |(name, _)| name);
        Self::odd(name, [name_text, b": ", &unfolded].concat(), read)
    }

    fn odd(name: Name, line: Vec<u8>, value: String) -> Self {
        let (line_at, value_at) = (Span::new(0, line.len()), Span::new(0, value.len()));
        let own = Own::Odd(Box::new((line, value)));
        Self { name, line: line_at, value: value_at, mark: Mark::Unread, own }.marked("")
    }

    /// A header of ours. Whatever the value came from, a header is one line.
    pub(super) fn new(name: Name, text: &str, value: &str) -> Self {
        let mut line = String::with_capacity(text.len() + 2 + value.len());
        line.push_str(text);
        line.push_str(": ");
        let start = line.len();
        if memchr::memchr2(b'\r', b'\n', value.as_bytes()).is_none() {
            line.push_str(value);
        } else {
            line.extend(value.chars().map(|char| if matches!(char, '\r' | '\n') { ' ' } else { char }));
        }
        let (line_at, value_at) = (Span::new(0, line.len()), Span::new(start, line.len()));
        let own = Own::Text(line.into_boxed_str());
        Self { name, line: line_at, value: value_at, mark: Mark::Unread, own }.marked("")
    }

    /// The line as it goes out.
    #[inline]
    pub(super) fn line<'a>(&'a self, head: &'a str) -> &'a [u8] {
        match &self.own {
            Own::Odd(odd) => &odd.0,
            own => self.line.of(own.text(head)).as_bytes(),
        }
    }

    /// The value as it is read.
    #[inline]
    pub(super) fn value<'a>(&'a self, head: &'a str) -> &'a str {
        self.value.of(self.own.text(head))
    }

    /// The value as it is read, while the message has no head yet.
    pub(super) fn read_value<'a>(&'a self, buffer: &'a [u8]) -> &'a [u8] {
        match &self.own {
            Own::No => &buffer[self.value.start as usize..self.value.end as usize],
            own => self.value.of(own.text("")).as_bytes(),
        }
    }

    /// The tag of a From or To, the branch of the first Via of the line; nothing of other headers.
    #[inline]
    pub(super) fn mark<'a>(&'a self, head: &'a str) -> Option<&'a str> {
        match self.mark {
            Mark::At(span) => Some(span.of(self.own.text(head))),
            Mark::None => None,
            Mark::Unread => {
                let mut read = self.clone();
                read.note_mark(head);
                match read.mark {
                    Mark::At(span) => Some(span.of(self.own.text(head))),
                    _ => None,
                }
            }
        }
    }

    fn marked(mut self, head: &str) -> Self {
        self.note_mark(head);
        self
    }

    /// Looks where the mark stands, so that nobody looks again. Whether the value is what a From or To, or the first of a line of Vias,
    /// has to be: a tag of theirs can be read, or added. Others are not looked at.
    pub(super) fn note_mark(&mut self, head: &str) -> bool {
        let text = self.own.text(head);
        let value = self.value.of(text);
        let (mark, is_well) = match self.name {
            Name::From | Name::To => match NameAddr::parse(value) {
                Some(NameAddr { params: Params(""), .. }) => (None, true),
                Some(party) => {
                    let tag = party.params.iter().find(|(name, _)| name.eq_ignore_ascii_case("tag"));
                    let has_tag = tag.is_none_or(|(_, tag)| tag.is_some_and(|tag| !tag.is_empty()));
                    (tag.and_then(|(_, tag)| tag), has_tag && !party.params.has_open_quote())
                }
                None => (None, false),
            },
            Name::Via => match Elements::new(value).next().and_then(Via::parse) {
                Some(via) => (via.branch(), via.params.is_well_formed()),
                None => (None, false),
            },
            _ => return true,
        };
        self.mark = mark.map_or(Mark::None, |mark| {
            let start = mark.as_ptr() as usize - text.as_ptr() as usize;
            Mark::At(Span::new(start, start + mark.len()))
        });
        is_well
    }

    /// Whether the line has this name, whatever its case.
    pub(super) fn is_named(&self, name: &str, head: &str) -> bool {
        split_line(self.line(head)).is_some_and(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// The same header, byte for byte, for a message with another head.
    pub(super) fn carried(&self, head: &str) -> Self {
        self.followed_by("", head)
    }

    /// The same header with this after its value, all before it byte for byte.
    pub(super) fn followed_by(&self, more: &str, head: &str) -> Self {
        if let Own::Odd(odd) = &self.own {
            let line = [&odd.0, more.as_bytes()].concat();
            return Self::odd(self.name, line, [&odd.1, more].concat());
        }
        let text = self.own.text(head);
        let line = [self.line.of(text), more].concat();
        if self.value.end != self.line.end {
            // White space behind the value goes out with it, and is not read.
            return Self::odd(self.name, line.into_bytes(), [self.value.of(text), more].concat());
        }
        let value = Span::new((self.value.start - self.line.start) as usize, line.len());
        let (line_at, own) = (Span::new(0, line.len()), Own::Text(line.into_boxed_str()));
        Self { name: self.name, line: line_at, value, mark: Mark::Unread, own }.marked("")
    }
}

impl Own {
    #[inline]
    fn text<'a>(&'a self, head: &'a str) -> &'a str {
        match self {
            Self::No => head,
            Self::Text(text) => text,
            Self::Odd(odd) => &odd.1,
        }
    }
}

/// Whether it is ASCII without line breaks. No byte ends the loop early, so that many are looked at in one step.
#[inline]
fn is_usual(line: &[u8]) -> bool {
    !line.iter().fold(false, |is_odd, byte| is_odd | !byte.is_ascii() | (*byte == b'\r') | (*byte == b'\n'))
}

/// Whether every line break within is CRLF and followed by white space.
fn is_well_folded(line: &[u8]) -> bool {
    memchr::memchr2_iter(b'\r', b'\n', line).all(|at| match line[at] {
        b'\r' => matches!(line.get(at + 1..at + 3), Some([b'\n', b' ' | b'\t'])),
        _ => at > 0 && line[at - 1] == b'\r',
    })
}

/// §7.3.1: a line break followed by white space is one space.
fn unfold(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut was_break = false;
    for byte in value {
        match byte {
            b'\r' | b'\n' => was_break = true,
            b' ' | b'\t' if was_break => {}
            byte => {
                if std::mem::take(&mut was_break) {
                    out.push(b' ');
                }
                out.push(*byte);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &[u8]) -> (String, Vec<u8>) {
        let field = Field::read(line, 0, line.len()).unwrap();
        let head = String::from_utf8_lossy(line);
        (field.value(&head).to_owned(), field.line(&head).to_vec())
    }

    #[test]
    fn a_folded_value_is_read_unfolded_and_goes_out_folded() {
        let line = b"To : \"A\"\r\n\t <sip:a@b>\r\n ;tag=1  ";
        assert_eq!(read(line), ("\"A\" <sip:a@b> ;tag=1".to_owned(), line.to_vec()));
    }

    #[test]
    fn bytes_that_are_not_utf8_hide_nothing_behind_them_and_go_out_as_they_came() {
        let line = b"From: J\xfcrgen <sip:j@x>;tag=1";
        assert_eq!(read(line), ("J\u{fffd}rgen <sip:j@x>;tag=1".to_owned(), line.to_vec()));
        let field = Field::read(line, 0, line.len()).unwrap().followed_by(";x", "");
        assert_eq!(field.line(""), b"From: J\xfcrgen <sip:j@x>;tag=1;x");
        assert_eq!(field.carried("").value(""), "J\u{fffd}rgen <sip:j@x>;tag=1;x");
    }

    #[test]
    fn tag_and_branch_are_where_they_stand_whatever_was_put_behind() {
        let line = "From: \"a;tag=0\" <sip:a@x;tag=9>;p;TAG=1  ";
        let mut field = Field::read(line.as_bytes(), 0, line.len()).unwrap();
        assert_eq!(field.mark(line), Some("1"));
        field.note_mark(line);
        assert_eq!(field.mark(line), Some("1"));
        let more = field.followed_by(";x", line);
        assert_eq!((more.mark(""), more.value("")), (Some("1"), "\"a;tag=0\" <sip:a@x;tag=9>;p;TAG=1;x"));
        assert_eq!(Field::new(Name::To, "To", "<sip:a@x>").followed_by(";tag=2", "").mark(""), Some("2"));
        assert_eq!(Field::new(Name::To, "To", "<sip:a@x;tag=2>").mark(""), None);
        let via = Field::new(Name::Via, "Via", "SIP/2.0/UDP a;branch=z9hG4bK1;x, SIP/2.0/UDP b;branch=2");
        assert_eq!(via.mark(""), Some("z9hG4bK1"));
        assert_eq!(Field::new(Name::Contact, "Contact", "<sip:a@x>;tag=1").mark(""), None);
    }

    #[test]
    fn a_lone_cr_or_lf_does_not_go_on() {
        assert_eq!(read(b"X: a\rEvil: b"), ("a Evil: b".to_owned(), b"X: a Evil: b".to_vec()));
        assert_eq!(read(b"X: a\n b"), ("a b".to_owned(), b"X: a b".to_vec()));
        assert_eq!(read(b"X: a\r\r\n b\r"), ("a b".to_owned(), b"X: a b".to_vec()));
        assert_eq!(read(b"X:\ra"), ("a".to_owned(), b"X: a".to_vec()));
    }
}
