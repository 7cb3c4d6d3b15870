//! Documents that may be larger than memory: tags one by one, and whole elements where the reader asks for one.
//!
//! In    bytes of a document, from wherever they are buffered. Comments and processing instructions are passed over.
//! Out   [`Piece`]s; with [`Document::rest`] the tree of the element that was opened last.
//! Errors [`XmlError`]: `over a limit` for a tag, a text or a tree of more bytes than was allowed, before it is in memory; a
//!        document type is refused, and with it every entity that is not one of the five.
//! Not here: streams of the network, which are stricter ([`super::Framer`]).

use std::io::{self, BufRead, Read};

use quick_xml::events::Event;
use quick_xml::reader::NsReader;

use super::element::{element, push_text};
use super::{Element, Node, XmlError, escape};

/// A document that is read from front to back.
pub struct Document<R> {
    reader: NsReader<Bounded<R>>,
    buffer: Vec<u8>,
    most: usize,
    depth: usize,
}

/// A tag of a document.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// An element begins: its name and its attributes.
    Open(Element),
    /// The element that was opened last, and is open still, ends.
    Close,
}

enum Part {
    Piece(Piece),
    Text(String),
    End,
}

impl<R: BufRead> Document<R> {
    /// Reads a document in which no tag, no text and no tree that is asked for has more than `most` bytes.
    pub fn new(inner: R, most: usize) -> Self {
        let mut reader = NsReader::from_reader(Bounded { inner, left: most, is_over: false });
        reader.config_mut().expand_empty_elements = true;
        Self { reader, buffer: Vec::new(), most, depth: 0 }
    }

    /// The next tag; `None` at the end of the document. Text between tags is passed over.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator ends after an error, and so does whoever reads here"
    )]
    pub fn next(&mut self) -> Result<Option<Piece>, XmlError> {
        loop {
            self.reader.get_mut().left = self.most;
            match self.part()? {
                Part::Piece(piece) => return Ok(Some(piece)),
                Part::Text(_) => {}
                Part::End if self.depth == 0 => return Ok(None),
                Part::End => return Err(XmlError::NotWellFormed("the document ends too early")),
            }
        }
    }

    /// The whole of the element whose beginning was read last.
    pub fn rest(&mut self, opened: Element) -> Result<Element, XmlError> {
        self.reader.get_mut().left = self.most;
        let mut open = vec![opened];
        loop {
            match self.part()? {
                Part::Piece(Piece::Open(_)) if open.len() >= DEEPEST => {
                    return Err(XmlError::OverLimit("depth of elements"));
                }
                Part::Piece(Piece::Open(element)) => open.push(element),
                Part::Text(text) => push_text(&mut open, &text),
                Part::Piece(Piece::Close) => {
                    let Some(closed) = open.pop() else { return Err(XmlError::NotWellFormed("a tag")) };
                    match open.last_mut() {
                        Some(parent) => parent.nodes.push(Node::Element(closed)),
                        None => return Ok(closed),
                    }
                }
                Part::End => return Err(XmlError::NotWellFormed("the document ends too early")),
            }
        }
    }

    /// Passes over the rest of the element whose beginning was read last, however large it is.
    pub fn skip(&mut self) -> Result<(), XmlError> {
        let outside = self.depth.saturating_sub(1);
        while self.depth > outside {
            if self.next()?.is_none() {
                return Err(XmlError::NotWellFormed("the document ends too early"));
            }
        }
        Ok(())
    }

    fn part(&mut self) -> Result<Part, XmlError> {
        loop {
            self.buffer.clear();
            let read = self.reader.read_resolved_event_into(&mut self.buffer);
            let Ok((resolved, event)) = read else {
                let is_over = self.reader.get_ref().is_over;
                let not_sound = XmlError::NotWellFormed("a document");
                return Err(if is_over { XmlError::OverLimit("bytes of an element") } else { not_sound });
            };
            return Ok(match event {
                Event::Start(tag) | Event::Empty(tag) => {
                    self.depth += 1;
                    Part::Piece(Piece::Open(element(&resolved, &tag)?))
                }
                Event::End(_) => {
                    self.depth = self.depth.saturating_sub(1);
                    Part::Piece(Piece::Close)
                }
                Event::Text(text) => Part::Text(text.xml10_content().into_owned()),
                Event::CData(text) => Part::Text(text.xml10_content().into_owned()),
                Event::GeneralRef(name) => {
                    Part::Text(escape::unescape(&format!("&{};", name.into_inner()))?.into_owned())
                }
                Event::Eof => Part::End,
                Event::Comment(_) | Event::PI(_) | Event::Decl(_) => continue,
                Event::DocType(_) => return Err(XmlError::Restricted("a document type")),
            });
        }
    }
}

/// A reader that gives so many bytes and no more until it is told otherwise.
struct Bounded<R> {
    inner: R,
    left: usize,
    is_over: bool,
}

impl<R: BufRead> Read for Bounded<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let from = self.fill_buf()?;
        let length = from.len().min(out.len());
        out[..length].copy_from_slice(&from[..length]);
        self.consume(length);
        Ok(length)
    }
}

impl<R: BufRead> BufRead for Bounded<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let buffered = self.inner.fill_buf()?;
        if self.left == 0 && !buffered.is_empty() {
            self.is_over = true;
            return Err(io::Error::other("over a limit"));
        }
        Ok(&buffered[..buffered.len().min(self.left)])
    }

    fn consume(&mut self, amount: usize) {
        self.left = self.left.saturating_sub(amount);
        self.inner.consume(amount);
    }
}

/// Elements inside elements.
const DEEPEST: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str, most: usize) -> Document<&[u8]> {
        Document::new(text.as_bytes(), most)
    }

    #[test]
    fn tags_come_one_by_one_and_trees_where_they_are_asked_for() {
        let text = "<?xml version='1.0'?><!-- x --><a xmlns='u'> <b x='1'><c>t&amp;<![CDATA[<]]></c></b><d/><e><f/></e></a>\n";
        let mut document = document(text, 100);
        let Some(Piece::Open(a)) = document.next().unwrap() else { unreachable!() };
        assert!(a.is("a", "u"));
        let Some(Piece::Open(b)) = document.next().unwrap() else { unreachable!() };
        let b = document.rest(b).unwrap();
        assert_eq!((b.attribute("x"), b.text_of("c").as_deref()), (Some("1"), Some("t&<")));
        let Some(Piece::Open(d)) = document.next().unwrap() else { unreachable!() };
        assert_eq!(document.rest(d).unwrap(), Element::new("d", "u"));
        assert!(matches!(document.next(), Ok(Some(Piece::Open(_)))));
        document.skip().unwrap();
        assert_eq!(document.next(), Ok(Some(Piece::Close)));
        assert_eq!(document.next(), Ok(None));
    }

    #[test]
    fn what_is_too_large_is_never_in_memory() {
        let long = "x".repeat(200);
        let mut tree = document_of(&format!("<a><b><c>{long}</c></b></a>"));
        let Ok(Some(Piece::Open(a))) = tree.next() else { unreachable!() };
        assert_eq!(tree.rest(a), Err(XmlError::OverLimit("bytes of an element")));
        let mut many = document_of(&format!("<a>{}</a>", "<b/>".repeat(200)));
        let mut tags = 0;
        while many.next().unwrap().is_some() {
            tags += 1;
        }
        assert_eq!(tags, 402, "many small ones are no trouble");
    }

    fn document_of(text: &str) -> Document<io::Cursor<Vec<u8>>> {
        Document::new(io::Cursor::new(text.as_bytes().to_vec()), 100)
    }

    #[test]
    fn what_is_no_document_is_refused() {
        for bad in [
            "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
            "<a>",
            "<a><b></a>",
            "<p:a/>",
            "<a>&b;</a>",
            "<a x=1/>",
        ] {
            let mut document = document(bad, 100);
            let mut seen = 0;
            let refused = loop {
                match document.next() {
                    Err(_) => break true,
                    Ok(None) => break false,
                    Ok(_) => seen += 1,
                }
                assert!(seen < 10);
            };
            assert!(refused, "{bad}");
        }
    }
}
