//! A SIP message — RFC 3261 §7: one buffer, and where in it each header stands.
//!
//! In    the bytes of one message.
//! Out   the start line, headers in order, the body; what is not touched is printed byte for byte as it came.
//! State a shared buffer and one small entry a header, which says where tag or branch stand, too, if it has one; parsing
//! allocates once, for the list of headers, and once more for each header that is folded or not UTF-8.
//! Errors [`Malformed`] says what is wrong in words fit for a reason phrase, and keeps what could be read, so that a
//! request with a Via is answered and not met with silence.

mod build;
mod check;
mod edit;
mod field;
mod framer;
mod lines;
mod parse;

use crate::header::{Elements, Name};
use bytes::{BufMut, Bytes, BytesMut};
use bytestring::ByteString;

pub(crate) use check::is_token_text;
use field::Field;
pub use framer::Framed;
pub use framer::{Framer, StreamFault};
pub use parse::Malformed;

/// One request or response.
#[derive(Debug, Clone)]
pub struct Message {
    /// All before the body. What is not UTF-8 there is masked, and stands in a field, or a piece, of its own.
    head: ByteString,
    start: Start,
    fields: Vec<Field>,
    body: Bytes,
}

/// The start line.
#[derive(Debug, Clone)]
enum Start {
    Request { method: Piece, uri: Piece },
    Response { status: u16, reason: Piece },
}

/// Text in the message's own head, text that was put in later, or a reason phrase that is not UTF-8.
#[derive(Debug, Clone)]
enum Piece {
    Here(u32, u32),
    Own(Box<str>),
    Raw(Box<[u8]>),
}

impl Message {
    /// Whether it is a request.
    pub fn is_request(&self) -> bool {
        matches!(self.start, Start::Request { .. })
    }

    /// The method of a request; empty for a response.
    pub fn method(&self) -> &str {
        match &self.start {
            Start::Request { method, .. } => self.text(method),
            Start::Response { .. } => "",
        }
    }

    /// The Request-URI; empty for a response.
    pub fn uri(&self) -> &str {
        match &self.start {
            Start::Request { uri, .. } => self.text(uri),
            Start::Response { .. } => "",
        }
    }

    /// The status code of a response, 100 to 699; 0 for a request.
    pub fn status(&self) -> u16 {
        match self.start {
            Start::Response { status, .. } => status,
            Start::Request { .. } => 0,
        }
    }

    /// The reason phrase of a response.
    pub fn reason(&self) -> &str {
        match &self.start {
            Start::Response { reason, .. } => self.text(reason),
            Start::Request { .. } => "",
        }
    }

    /// The value of the first header of this name, unfolded and trimmed; bytes that are not UTF-8 read as U+FFFD.
    pub fn value(&self, name: Name) -> Option<&str> {
        self.values(name).next()
    }

    /// The values of all headers of this name, in order.
    pub fn values(&self, name: Name) -> impl Iterator<Item = &str> {
        self.fields.iter().filter(move |field| field.name == name).map(|field| field.value(&self.head))
    }

    /// The elements of a header that is a list, in order, whether they stand in one header or in several
    /// (RFC 3261 §7.3.1).
    pub fn elements(&self, name: Name) -> impl Iterator<Item = &str> {
        self.values(name).flat_map(Elements::new)
    }

    /// The values of all headers of this name, whether it has a [`Name`] or not; it compares without case.
    pub fn other_values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let known = Name::of(name.as_bytes());
        self.fields
            .iter()
            .filter(move |field| {
                field.name == known && (known != Name::Other || field.is_named(name, &self.head))
            })
            .map(|field| field.value(&self.head))
    }

    /// How many headers there are.
    pub fn header_count(&self) -> usize {
        self.fields.len()
    }

    /// What follows the empty line.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The Call-ID; empty if there is none.
    pub fn call_id(&self) -> &str {
        self.value(Name::CallId).unwrap_or_default()
    }

    /// The number and the method of the CSeq.
    pub fn cseq(&self) -> Option<(u32, &str)> {
        crate::header::cseq(self.value(Name::CSeq)?)
    }

    /// Whether To has a tag: the request is inside a dialog.
    pub fn is_in_dialog(&self) -> bool {
        self.to_tag().is_some()
    }

    /// The tag of To.
    pub fn to_tag(&self) -> Option<&str> {
        self.mark(Name::To)
    }

    /// The tag of From.
    pub fn from_tag(&self) -> Option<&str> {
        self.mark(Name::From)
    }

    /// The topmost Via.
    pub fn top_via(&self) -> Option<crate::header::Via<'_>> {
        crate::header::Via::parse(self.elements(Name::Via).next()?)
    }

    /// The branch of the topmost Via.
    pub fn top_branch(&self) -> Option<&str> {
        self.mark(Name::Via)
    }

    fn mark(&self, name: Name) -> Option<&str> {
        self.fields.iter().find(|field| field.name == name)?.mark(&self.head)
    }

    /// The message as it goes out.
    pub fn to_bytes(&self) -> Bytes {
        // Exactly what is needed: a transaction keeps its last answer for half a minute.
        let start = match &self.start {
            Start::Request { method, uri } => self.bytes(method).len() + self.bytes(uri).len() + 11,
            Start::Response { reason, .. } => self.bytes(reason).len() + 14,
        };
        let fields: usize = self.fields.iter().map(|field| field.line(&self.head).len() + 2).sum();
        let mut out = BytesMut::with_capacity(start + fields + 2 + self.body.len());
        self.print(&mut out);
        out.freeze()
    }

    /// Appends the message as it goes out.
    pub fn print(&self, out: &mut BytesMut) {
        match &self.start {
            Start::Request { method, uri } => {
                out.put_slice(self.bytes(method));
                out.put_u8(b' ');
                out.put_slice(self.bytes(uri));
                out.put_slice(b" SIP/2.0\r\n");
            }
            Start::Response { status, reason } => {
                out.put_slice(b"SIP/2.0 ");
                out.put_slice(&[
                    b'0' + (status / 100) as u8,
                    b'0' + (status / 10 % 10) as u8,
                    b'0' + (status % 10) as u8,
                ]);
                out.put_u8(b' ');
                out.put_slice(self.bytes(reason));
                out.put_slice(b"\r\n");
            }
        }
        for field in &self.fields {
            out.put_slice(field.line(&self.head));
            out.put_slice(b"\r\n");
        }
        out.put_slice(b"\r\n");
        out.put_slice(&self.body);
    }

    fn bytes<'a>(&'a self, piece: &'a Piece) -> &'a [u8] {
        match piece {
            Piece::Raw(bytes) => bytes,
            piece => self.text(piece).as_bytes(),
        }
    }

    /// The piece as text; what is not UTF-8 is read up to the first byte that is not. Methods and URIs always are.
    fn text<'a>(&'a self, piece: &'a Piece) -> &'a str {
        match piece {
            Piece::Here(start, end) => &self.head[*start as usize..*end as usize],
            Piece::Own(text) => text,
            Piece::Raw(bytes) => valid_prefix(bytes),
        }
    }
}

/// As much of the bytes as is UTF-8.
fn valid_prefix(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_else(|error| {
        bytes.get(..error.valid_up_to()).and_then(|valid| std::str::from_utf8(valid).ok()).unwrap_or_default()
    })
}

/// Bytes of a header section that are read.
pub const LARGEST_HEAD: usize = 64 * 1024;
/// Bytes of a body that are read.
pub const LARGEST_BODY: usize = 1024 * 1024;
/// Headers of a message.
pub const MOST_HEADERS: usize = 256;

#[cfg(test)]
mod tests;
