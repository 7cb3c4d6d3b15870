//! From bytes to a message — RFC 3261 §7, §25.1.

use bytes::Bytes;
use bytestring::ByteString;
use memchr::memchr;

use super::check::Fault;
use super::field::Field;
use super::lines::{Length, Lines, is_token};
use super::{LARGEST_HEAD, MOST_HEADERS, Message, Piece, Start};
use crate::header::Name;

/// What is wrong with a message.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{status} {reason}")]
pub struct Malformed {
    /// The status that answers it: 400, 501, 505.
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
        let (mut message, fault, last) = read(buffer)?;
        match fault.or_else(|| message.check()).or(last) {
            None => Ok(message),
            Some((status, reason)) => Err(Malformed { status, reason, readable: Some(Box::new(message)) }),
        }
    }
}

/// Reads whatever can be read; the first thing that is wrong goes beside it, and what is wrong with the end, which is
/// told if nothing else is.
fn read(buffer: Bytes) -> Result<(Message, Option<Fault>, Option<Fault>), Malformed> {
    let hopeless = |reason| Malformed { status: 400, reason, readable: None };
    // Empty lines before the start line are ignored (§7.5).
    let start = buffer.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(buffer.len());
    let mut lines = Lines { buffer: &buffer, at: start };
    let (from, to) = lines.next().ok_or(hopeless("Empty Message"))?;
    let (start, mut fault) = start_line(&buffer, from, to).map_err(hopeless)?;
    let mut fields = Vec::with_capacity(USUAL_HEADERS);
    let mut length = Length::Unsaid;
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
        match Field::read(&buffer, from, to) {
            Some(field) => {
                if field.name == Name::ContentLength {
                    length = length.and(field.read_value(&buffer));
                }
                fields.push(field);
            }
            None => fault = fault.or(Some((400, "Bad Header Line"))),
        }
    }
    let last = if has_end { None } else { Some((400, "Headers Without End")) };
    let mut body = buffer.slice(lines.at..);
    let head = text_of(buffer.slice(..lines.at));
    match length {
        Length::Unsaid => {}
        Length::Bytes(length) if length as usize <= body.len() => body.truncate(length as usize),
        Length::Bytes(_) => fault = fault.or(Some((400, "Body Shorter Than Content-Length"))),
        Length::Bad => fault = fault.or(Some((400, "Bad Content-Length"))),
        Length::Contradictory => fault = fault.or(Some((400, "More Than One Content-Length"))),
    }
    Ok((Message { head, start, fields, body }, fault, last))
}

/// The bytes as text of the same length. What is not UTF-8 becomes a question mark, which nobody sees: it is read, and goes out, from
/// the field that has it.
fn text_of(head: Bytes) -> ByteString {
    if let Ok(text) = ByteString::try_from(head.clone()) {
        return text;
    }
    let mut text = String::with_capacity(head.len());
    for chunk in head.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '?'));
    }
    text.into()
}

/// `Method SP Request-URI SP SIP-Version` or `SIP-Version SP Status-Code SP Reason-Phrase`. Spaces that should not be
/// there are passed over, and do not go on (RFC 4475 §3.1.2.9, §3.1.2.10).
fn start_line(buffer: &[u8], from: usize, to: usize) -> Result<(Start, Option<Fault>), &'static str> {
    let line = &buffer[from..to];
    let first = memchr(b' ', line).ok_or("Bad Start Line")?;
    if line[..first].eq_ignore_ascii_case(b"SIP/2.0") {
        return status_line(buffer, from + first + 1, to).map(|start| (start, None));
    }
    if first == 0 || !line[..first].iter().all(|byte| is_token(*byte)) {
        return Err("Bad Method");
    }
    let method = Piece::Here(from as u32, (from + first) as u32);
    // A start line is not folded, so that line breaks are no spaces here.
    let rest = trim_blanks(&line[first..]);
    let last = memchr::memrchr(b' ', rest).map_or(0, |blank| blank + 1);
    let (uri, version) = if is_version(&rest[last..]) {
        (trim_blanks(&rest[..last]), &rest[last..])
    } else {
        (rest, &rest[..0])
    };
    let uri_from = from + first + line[first..].iter().take_while(|byte| is_blank(**byte)).count();
    let is_uri = uri.iter().all(|byte| !matches!(byte, 0..=b' ' | b'<' | b'>' | b'"' | 0x7f));
    let fault = if version.is_empty() {
        Some((400, "Bad SIP-Version"))
    } else if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        Some((505, "Version Not Supported"))
    } else if uri.is_empty() || !is_uri || std::str::from_utf8(uri).is_err() {
        Some((400, "Bad Request-URI"))
    } else {
        None
    };
    let uri = Piece::Here(uri_from as u32, (uri_from + uri.len()) as u32);
    Ok((Start::Request { method, uri }, fault))
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn trim_blanks(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && is_blank(*first)
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && is_blank(*last)
    {
        text = rest;
    }
    text
}

fn status_line(buffer: &[u8], from: usize, to: usize) -> Result<Start, &'static str> {
    let rest = &buffer[from..to];
    let code = rest.iter().take_while(|byte| is_blank(**byte)).count();
    let digits = rest[code..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let end = code + digits;
    let status = rest[code..end]
        .iter()
        .fold(0_u16, |status, digit| status.saturating_mul(10).saturating_add(u16::from(digit - b'0')));
    let is_alone = rest.get(end).is_none_or(|byte| *byte == b' ');
    if digits != 3 || !is_alone || !(100..700).contains(&status) {
        return Err("Bad Status-Code");
    }
    let reason = rest.get(end + 1..).unwrap_or_default();
    if memchr::memchr2(b'\r', b'\n', reason).is_some() {
        return Err("Bad Reason-Phrase");
    }
    let reason = match std::str::from_utf8(reason) {
        Ok(_) => Piece::Here((to - reason.len()) as u32, to as u32),
        Err(_) => Piece::Raw(reason.into()),
    };
    Ok(Start::Response { status, reason })
}

/// `SIP-Version  =  "SIP" "/" 1*DIGIT "." 1*DIGIT`, of any number.
fn is_version(text: &[u8]) -> bool {
    let Some((name, number)) = text.split_at_checked(4) else { return false };
    let is_number = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    name.eq_ignore_ascii_case(b"SIP/")
        && memchr(b'.', number).is_some_and(|dot| is_number(&number[..dot]) && is_number(&number[dot + 1..]))
}

/// Headers of most messages.
const USUAL_HEADERS: usize = 24;
