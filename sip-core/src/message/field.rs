//! One header of a message: where its line stands and where its value does, in the message's buffer or in its own.

use super::lines::split_line;
use super::valid_prefix;
use crate::header::Name;

/// One header.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) name: Name,
    /// The whole line as it goes out, without its last line break.
    line: Span,
    /// The value as it is read: unfolded, trimmed, UTF-8.
    value: Span,
    /// What both spans are of; without it, the buffer of the message.
    own: Option<Box<[u8]>>,
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

    fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start as usize..self.end as usize]
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
        Some(Self {
            name,
            line: Span::new(from, to),
            value: Span::new(start, start + trimmed.len()),
            own: None,
        })
    }

    /// A line that is folded or not UTF-8: it goes out as it came, and beside it stands what is read.
    #[cold]
    fn unusual(name: Name, line: &[u8], value: &[u8]) -> Self {
        let unfolded = unfold(value);
        let read = String::from_utf8_lossy(&unfolded);
        if is_well_folded(line) {
            return Self::own(name, [line, read.as_bytes()].concat(), line.len(), line.len());
        }
        // A lone CR or LF is a line break to some peers and none to others, so that it does not go on.
        let name_text = split_line(line).map_or(&line[..0], |(name, _)| name);
        let mended = [name_text, b": ", &unfolded].concat();
        let end = mended.len();
        Self::own(name, [&mended[..], read.as_bytes()].concat(), end, end)
    }

    /// A header of ours. Whatever the value came from, a header is one line.
    pub(super) fn new(name: Name, text: &str, value: &str) -> Self {
        let mut line = Vec::with_capacity(text.len() + 2 + value.len());
        line.extend_from_slice(text.as_bytes());
        line.extend_from_slice(b": ");
        let start = line.len();
        line.extend(value.bytes().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }));
        let end = line.len();
        Self::own(name, line, end, start)
    }

    fn own(name: Name, bytes: Vec<u8>, line_end: usize, value_start: usize) -> Self {
        let value = Span::new(value_start, bytes.len());
        Self { name, line: Span::new(0, line_end), value, own: Some(bytes.into_boxed_slice()) }
    }

    /// The line as it goes out.
    #[inline]
    pub(super) fn line<'a>(&'a self, buffer: &'a [u8]) -> &'a [u8] {
        self.line.of(self.own.as_deref().unwrap_or(buffer))
    }

    /// The value as it is read.
    #[inline]
    pub(super) fn value<'a>(&'a self, buffer: &'a [u8]) -> &'a str {
        valid_prefix(self.value.of(self.own.as_deref().unwrap_or(buffer)))
    }

    /// Whether the line has this name, whatever its case.
    pub(super) fn is_named(&self, name: &str, buffer: &[u8]) -> bool {
        split_line(self.line(buffer)).is_some_and(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// The same header, byte for byte, for a message with another buffer.
    pub(super) fn carried(&self, buffer: &[u8]) -> Self {
        self.followed_by("", buffer)
    }

    /// The same header with this after its value, all before it byte for byte.
    pub(super) fn followed_by(&self, more: &str, buffer: &[u8]) -> Self {
        let line = [self.line(buffer), more.as_bytes()].concat();
        let end = line.len();
        Self::own(self.name, [&line, self.value(buffer).as_bytes(), more.as_bytes()].concat(), end, end)
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
        (field.value(line).to_owned(), field.line(line).to_vec())
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
        let field = Field::read(line, 0, line.len()).unwrap().followed_by(";x", line);
        assert_eq!(field.line(b""), b"From: J\xfcrgen <sip:j@x>;tag=1;x");
        assert_eq!(field.carried(b"").value(b""), "J\u{fffd}rgen <sip:j@x>;tag=1;x");
    }

    #[test]
    fn a_lone_cr_or_lf_does_not_go_on() {
        assert_eq!(read(b"X: a\rEvil: b"), ("a Evil: b".to_owned(), b"X: a Evil: b".to_vec()));
        assert_eq!(read(b"X: a\n b"), ("a b".to_owned(), b"X: a b".to_vec()));
        assert_eq!(read(b"X: a\r\r\n b\r"), ("a b".to_owned(), b"X: a b".to_vec()));
        assert_eq!(read(b"X:\ra"), ("a".to_owned(), b"X: a".to_vec()));
    }
}
