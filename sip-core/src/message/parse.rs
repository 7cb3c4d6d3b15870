//! From bytes to a message — RFC 3261 §7, §25.1.

use bytes::{Bytes, BytesMut};
use memchr::memchr;

use super::{Field, LARGEST_HEAD, MOST_HEADERS, Message, Piece, Start};
use crate::header::{Name, NameAddr};

/// What is wrong with a message.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{status} {reason}")]
pub struct Malformed {
    /// The status that answers it: 400, 413, 505.
    pub status: u16,
    /// What is wrong, fit for a reason phrase.
    pub reason: &'static str,
    /// What could be read. An answer can be built if it has a Via.
    pub readable: Option<Box<Message>>,
}

impl Message {
    /// Reads one message. Without a Content-Length the body is all that follows; bytes after it are ignored
    /// (RFC 3261 §18.3, datagrams).
    pub fn parse(buffer: Bytes) -> Result<Self, Malformed> {
        let (message, fault) = read(buffer)?;
        match fault.or_else(|| message.missing()) {
            None => Ok(message),
            Some((status, reason)) => Err(Malformed { status, reason, readable: Some(Box::new(message)) }),
        }
    }

    /// What every message must have (RFC 3261 §8.1.1, §20), and what of it cannot be read.
    fn missing(&self) -> Option<Fault> {
        let via = self.elements(Name::Via).next();
        if via.is_none() {
            return Some((400, "Missing Via"));
        }
        if self.top_via().is_none() {
            return Some((400, "Bad Via"));
        }
        for (name, absent, bad) in
            [(Name::From, "Missing From", "Bad From"), (Name::To, "Missing To", "Bad To")]
        {
            match self.value(name) {
                None => return Some((400, absent)),
                Some(value) if NameAddr::parse(value).is_none() => return Some((400, bad)),
                Some(_) if self.values(name).count() > 1 => return Some((400, bad)),
                Some(_) => {}
            }
        }
        if self.call_id().is_empty() {
            return Some((400, "Missing Call-ID"));
        }
        let Some(cseq) = self.value(Name::CSeq) else { return Some((400, "Missing CSeq")) };
        match crate::header::cseq(cseq) {
            None => Some((400, "Bad CSeq")),
            Some((_, method)) if self.is_request() && method != self.method() => {
                Some((400, "CSeq Method Differs From Request Method"))
            }
            Some(_) if self.values(Name::CSeq).count() > 1 => Some((400, "More Than One CSeq")),
            Some(_) if self.values(Name::CallId).count() > 1 => Some((400, "More Than One Call-ID")),
            Some(_) => None,
        }
    }
}

type Fault = (u16, &'static str);

/// Reads whatever can be read; the first thing that is wrong goes beside it.
fn read(buffer: Bytes) -> Result<(Message, Option<Fault>), Malformed> {
    let hopeless = |status, reason| Malformed { status, reason, readable: None };
    // Empty lines before the start line are ignored (§7.5).
    let start = buffer.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(buffer.len());
    let mut lines = Lines { buffer: &buffer, at: start };
    let (from, to) = lines.next().ok_or(hopeless(400, "Empty Message"))?;
    let (start, mut fault) = start_line(&buffer, from, to).ok_or(hopeless(400, "Bad Start Line"))?;
    let mut fields = Vec::with_capacity(USUAL_HEADERS);
    let mut has_end = false;
    for (from, to) in lines.by_ref() {
        if from == to {
            has_end = true;
            break;
        }
        if to > LARGEST_HEAD || fields.len() == MOST_HEADERS {
            fault = fault.or(Some((400, "Headers Too Large")));
            break;
        }
        match field(&buffer, from, to) {
            Some(field) => fields.push(field),
            None => fault = fault.or(Some((400, "Bad Header Line"))),
        }
    }
    if !has_end {
        fault = fault.or(Some((400, "Headers Without End")));
    }
    let at = lines.at;
    let mut message = Message { buffer: Bytes::new(), start, fields, body: buffer.slice(at..) };
    message.buffer = buffer;
    match body_length(&message) {
        Ok(length) => message.body.truncate(length),
        Err(wrong) => fault = fault.or(Some(wrong)),
    }
    Ok((message, fault))
}

/// How much of what follows the head is the body (§20.14).
fn body_length(message: &Message) -> Result<usize, Fault> {
    let mut lengths = message.values(Name::ContentLength).map(|value| value.trim().parse::<u32>());
    let Some(first) = lengths.next() else { return Ok(message.body.len()) };
    let length = first.map_err(|_| (400, "Bad Content-Length"))?;
    if lengths.any(|other| other != Ok(length)) {
        return Err((400, "More Than One Content-Length"));
    }
    if length as usize > message.body.len() {
        return Err((400, "Body Shorter Than Content-Length"));
    }
    Ok(length as usize)
}

/// `Method SP Request-URI SP SIP-Version` or `SIP-Version SP Status-Code SP Reason-Phrase`.
fn start_line(buffer: &Bytes, from: usize, to: usize) -> Option<(Start, Option<Fault>)> {
    let line = &buffer[from..to];
    let first = memchr(b' ', line)?;
    if line[..first].eq_ignore_ascii_case(b"SIP/2.0") {
        let rest = &line[first + 1..];
        let code = rest.get(..3)?;
        let status: u16 = std::str::from_utf8(code).ok()?.parse().ok()?;
        let is_alone = rest.get(3).is_none_or(|byte| *byte == b' ');
        if !is_alone || !(100..700).contains(&status) {
            return None;
        }
        let reason = (from + first + 5).min(to);
        return Some((Start::Response { status, reason: here(reason, to) }, None));
    }
    let last = memchr::memrchr(b' ', line)?;
    if first == 0 || !line[..first].iter().all(|byte| is_token(*byte)) {
        return None;
    }
    let version = &line[last + 1..];
    let mut fault = None;
    if version.get(..4).is_none_or(|name| !name.eq_ignore_ascii_case(b"SIP/")) {
        return None;
    }
    if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        fault = Some((505, "Version Not Supported"));
    }
    let uri = if last > first { (from + first + 1, from + last) } else { (from + last, from + last) };
    let text = &buffer[uri.0..uri.1];
    if text.is_empty() || text.iter().any(|byte| byte.is_ascii_whitespace() || *byte == b'<' || *byte == b'>')
    {
        fault = fault.or(Some((400, "Bad Request-URI")));
    }
    let method = here(from, from + first);
    Some((Start::Request { method, uri: here(uri.0, uri.1) }, fault))
}

fn field(buffer: &Bytes, from: usize, to: usize) -> Option<Field> {
    let line = &buffer[from..to];
    let colon = memchr(b':', line)?;
    let name = line[..colon].trim_ascii_end();
    if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
        return None;
    }
    let value = &line[colon + 1..];
    let trimmed = value.trim_ascii();
    let value = if memchr::memchr2(b'\n', b'\r', trimmed).is_some() {
        Piece::Other(unfold(trimmed))
    } else {
        let start = from + colon + 1 + (value.len() - value.trim_ascii_start().len());
        here(start.min(to), (start + trimmed.len()).min(to))
    };
    Some(Field { name: Name::of(name), line: here(from, to), value })
}

/// §7.3.1: a line break followed by white space is one space.
fn unfold(value: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(value.len());
    let mut was_break = false;
    for byte in value {
        match byte {
            b'\r' | b'\n' => was_break = true,
            b' ' | b'\t' if was_break => {}
            byte => {
                if std::mem::take(&mut was_break) {
                    out.extend_from_slice(b" ");
                }
                out.extend_from_slice(&[*byte]);
            }
        }
    }
    out.freeze()
}

/// The logical lines of the head: a line that begins with white space belongs to the one before it.
struct Lines<'a> {
    buffer: &'a [u8],
    at: usize,
}

impl Iterator for Lines<'_> {
    type Item = (usize, usize);

    /// Where the next line begins and ends, without its line break.
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

fn here(start: usize, end: usize) -> Piece {
    // A message is smaller than 4 GiB: datagrams and the framer see to that.
    Piece::Here(start as u32, end as u32)
}

/// Headers of most messages.
const USUAL_HEADERS: usize = 24;

/// RFC 3261 §25.1, `token`.
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}
