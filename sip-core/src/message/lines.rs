//! The lines of a header section — RFC 3261 §7.3.1 (folding), §25.1 (`HCOLON`), as message and framer both read them.
//!
//! In    bytes that begin with a start line.
//! Out   logical lines: one that begins with white space belongs to the one before it. A lone LF ends a line as CRLF
//! does, since there are peers that send it; a lone CR does not.

use memchr::memchr;

use crate::header::{Name, number};

/// Goes through logical lines; an empty one ends the header section.
pub(super) struct Lines<'a> {
    pub(super) buffer: &'a [u8],
    /// Where the next line begins.
    pub(super) at: usize,
}

impl Iterator for Lines<'_> {
    type Item = (usize, usize);

    /// Where the next line begins and ends, without its line break.
    #[inline]
    fn next(&mut self) -> Option<(usize, usize)> {
        let from = self.at;
        let mut search = from;
        loop {
            let feed = search + memchr(b'\n', self.buffer.get(search..)?)?;
            let end = if feed > from && self.buffer[feed - 1] == b'\r' { feed - 1 } else { feed };
            let is_folded = end > from && matches!(self.buffer.get(feed + 1), Some(b' ' | b'\t'));
            if !is_folded {
                self.at = feed + 1;
                return Some((from, end));
            }
            search = feed + 1;
        }
    }
}

/// Where the header section that begins at 0 ends, its empty line included. Nothing before `searched` ends it.
pub(super) fn end_of_head(buffer: &[u8], searched: usize) -> Option<usize> {
    let from = searched.saturating_sub(3);
    memchr::memchr_iter(b'\n', buffer.get(from..)?).find_map(|at| match &buffer[from + at + 1..] {
        [b'\n', ..] => Some(from + at + 2),
        [b'\r', b'\n', ..] => Some(from + at + 3),
        _ => None,
    })
}

/// Divides a line at its colon: the name, and where its value begins. `None` if the name is no token.
#[inline]
pub(super) fn split_line(line: &[u8]) -> Option<(&[u8], usize)> {
    let name_end = line.iter().position(|byte| !is_token(*byte))?;
    // `HCOLON` allows spaces and tabs before the colon, but no line break.
    let blanks = line[name_end..].iter().position(|byte| !matches!(byte, b' ' | b'\t'))?;
    let colon = name_end + blanks;
    (name_end > 0 && line[colon] == b':').then_some((&line[..name_end], colon + 1))
}

/// What the Content-Length of a header section says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// There is none.
    Unsaid,
    /// This many bytes.
    Bytes(u32),
    /// It is no number below 2³².
    Bad,
    /// There are several that differ, which is as good as none (RFC 4475 §3.3.9).
    Contradictory,
}

impl Length {
    /// Takes one more Content-Length into account.
    pub(super) fn and(self, value: &[u8]) -> Self {
        let said = std::str::from_utf8(value.trim_ascii()).ok().and_then(number);
        match (self, said) {
            (Self::Unsaid, Some(said)) => Self::Bytes(said),
            (Self::Unsaid, None) => Self::Bad,
            (Self::Bytes(before), said) if said != Some(before) => Self::Contradictory,
            (before, _) => before,
        }
    }

    /// What a header section says.
    pub(super) fn of(head: &[u8]) -> Self {
        Lines { buffer: head, at: 0 }
            .skip(1)
            .take_while(|(from, to)| from < to)
            .filter_map(|(from, to)| {
                let line = &head[from..to];
                let (name, value) = split_line(line)?;
                (Name::of(name) == Name::ContentLength).then(|| &line[value..])
            })
            .fold(Self::Unsaid, Self::and)
    }
}

/// RFC 3261 §25.1, `token`.
#[inline]
pub(crate) fn is_token(byte: u8) -> bool {
    TOKEN[byte as usize]
}

static TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let others = b"-.!%*_+`'~";
    let mut at = 0;
    while at < others.len() {
        table[others[at] as usize] = true;
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_tokens_and_the_colon_stands_on_their_line() {
        assert_eq!(split_line(b"X-!%*_+`'~. \t: v"), Some((&b"X-!%*_+`'~."[..], 14)));
        for wrong in [&b": v"[..], b"a b: v", b"a", b"a\r\n : v", b"", b"a(b): v"] {
            assert_eq!(split_line(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_length_is_found_in_every_form_and_nowhere_else() {
        let of = |head: &str| Length::of(format!("A B C\r\n{head}\r\n\r\n").as_bytes());
        for right in
            ["Content-Length: 5", "l : 05", "X: y\r\nCONTENT-LENGTH:\r\n\t5", "l:5\r\nContent-Length: 5"]
        {
            assert_eq!(of(right), Length::Bytes(5), "{right}");
        }
        assert_eq!(of("Subject: x\r\n Content-Length: 5"), Length::Unsaid, "folded into another header");
        assert_eq!(of("l: 5\r\nl: 6"), Length::Contradictory);
        for wrong in ["l: -5", "l: +5", "l: five", "l:", "l: 4294967296", "l: 5 6", "l: 0x5"] {
            assert_eq!(of(wrong), Length::Bad, "{wrong}");
        }
    }

    #[test]
    fn a_head_ends_at_its_first_empty_line() {
        assert_eq!(end_of_head(b"A\r\n\r\nB", 0), Some(5));
        assert_eq!(end_of_head(b"A\nB\n\nC", 0), Some(5));
        assert_eq!(end_of_head(b"A\r\nB\r\n", 0), None);
        assert_eq!(end_of_head(b"A\r\n\r\nB", 3), Some(5), "what was searched may end within it");
    }
}
