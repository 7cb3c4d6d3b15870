//! Messages on a stream — RFC 3261 §18.3 (Content-Length is the frame), RFC 5626 §3.5.1 (CRLF keepalive).
//!
//! In    bytes as they come, split and joined anyhow.
//! Out   whole messages, and pings to answer.
//! State at most one message that is not whole.
//! Errors [`StreamFault`]: after it the stream has no frames any more and is closed.

use bytes::{Buf, Bytes, BytesMut};

use super::lines::{Length, end_of_head};
use super::{LARGEST_BODY, LARGEST_HEAD};

/// Cuts a stream into messages.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: BytesMut,
    /// Where the search for the head's end goes on.
    searched: usize,
    /// How long the message is, once its head is whole.
    length: Option<usize>,
}

/// One thing from a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Framed {
    /// The bytes of one message.
    Message(Bytes),
    /// A double CRLF: the peer wants a CRLF back.
    Ping,
}

/// Why a stream has no frames any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StreamFault {
    /// The header section is longer than [`LARGEST_HEAD`].
    #[error("headers too large")]
    HeadTooLarge,
    /// The body is longer than [`LARGEST_BODY`].
    #[error("body too large")]
    BodyTooLarge,
    /// Content-Length is missing, no number, or said twice and differently.
    #[error("no Content-Length")]
    NoLength,
}

impl Framer {
    /// Where to put bytes that came.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The next whole thing, if there is one.
    pub fn next_framed(&mut self) -> Result<Option<Framed>, StreamFault> {
        if self.searched == 0 {
            if self.buffer.starts_with(b"\r\n\r\n") {
                self.buffer.advance(4);
                return Ok(Some(Framed::Ping));
            }
            // A single CRLF is a pong, or the beginning of a ping.
            while self.buffer.starts_with(b"\r\n") && self.buffer.len() > 2 && self.buffer[2] != b'\r' {
                self.buffer.advance(2);
            }
            if self.buffer.len() < 4 {
                return Ok(None);
            }
        }
        let length = match self.length {
            Some(length) => length,
            None => match self.measure()? {
                Some(length) => *self.length.insert(length),
                None => return Ok(None),
            },
        };
        if self.buffer.len() < length {
            return Ok(None);
        }
        (self.searched, self.length) = (0, None);
        Ok(Some(Framed::Message(self.buffer.split_to(length).freeze())))
    }

    /// The length of the message that the buffer begins with, once its head is there.
    fn measure(&mut self) -> Result<Option<usize>, StreamFault> {
        let Some(end) = end_of_head(&self.buffer, self.searched) else {
            self.searched = self.buffer.len();
            return if self.buffer.len() > LARGEST_HEAD { Err(StreamFault::HeadTooLarge) } else { Ok(None) };
        };
        if end > LARGEST_HEAD {
            return Err(StreamFault::HeadTooLarge);
        }
        match Length::of(&self.buffer[..end]) {
            Length::Bytes(length) if length as usize <= LARGEST_BODY => Ok(Some(end + length as usize)),
            Length::Bytes(_) => Err(StreamFault::BodyTooLarge),
            Length::Unsaid | Length::Bad | Length::Contradictory => Err(StreamFault::NoLength),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(chunks: &[&[u8]]) -> Result<Vec<Framed>, StreamFault> {
        let mut framer = Framer::default();
        let mut out = Vec::new();
        for chunk in chunks {
            framer.buffer().extend_from_slice(chunk);
            while let Some(framed) = framer.next_framed()? {
                out.push(framed);
            }
        }
        Ok(out)
    }

    const ONE: &[u8] = b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 3\r\n\r\nabc";

    #[test]
    fn split_and_joined_messages_come_out_whole() {
        let message = Framed::Message(Bytes::from_static(ONE));
        assert_eq!(frames(&[&[ONE, ONE].concat()]), Ok(vec![message.clone(), message.clone()]));
        let bytewise: Vec<&[u8]> = ONE.chunks(1).collect();
        assert_eq!(frames(&bytewise), Ok(vec![message]));
    }

    #[test]
    fn a_folded_length_and_lone_line_feeds_frame_as_they_parse() {
        let folded = b"A b c\r\nX: y\r\n Content-Length: 9\r\nl :\r\n 1\r\n\r\nz";
        assert_eq!(frames(&[folded]), Ok(vec![Framed::Message(Bytes::from_static(folded))]));
        let feeds = b"A b c\nl: 1\n\nz";
        assert_eq!(frames(&[feeds]), Ok(vec![Framed::Message(Bytes::from_static(feeds))]));
    }

    #[test]
    fn pings_are_told_and_pongs_are_swallowed() {
        assert_eq!(frames(&[b"\r\n\r\n"]), Ok(vec![Framed::Ping]));
        assert_eq!(frames(&[b"\r\n", b"\r\n"]), Ok(vec![Framed::Ping]));
        assert_eq!(frames(&[b"\r\n", ONE]).map(|all| all.len()), Ok(1));
    }

    #[test]
    fn what_has_no_length_or_too_much_of_it_ends_the_stream() {
        assert_eq!(frames(&[b"OPTIONS sip:a SIP/2.0\r\n\r\n"]), Err(StreamFault::NoLength));
        assert_eq!(frames(&[b"A\r\nl: 99999999\r\n\r\n"]), Err(StreamFault::BodyTooLarge));
        for wrong in ["l: -1", "l: +1", "l: one", "l: 1\r\nContent-Length: 2", "X: y\r\n l: 1"] {
            let text = format!("A\r\n{wrong}\r\n\r\nabc");
            assert_eq!(frames(&[text.as_bytes()]), Err(StreamFault::NoLength), "{wrong}");
        }
        assert_eq!(frames(&[&[b'x'; LARGEST_HEAD + 1]]), Err(StreamFault::HeadTooLarge));
    }
}
