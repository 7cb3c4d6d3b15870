//! Bytes in, first-level elements out, under limits — RFC 6120 §4.2, §11.
//!
//! ```text
//! <?xml?> <stream:stream …>   <message>…</message> ␠ <iq/>   </stream:stream>
//!         Open                Element                Element  Close
//! ```
//!
//! In    [`Framer::push`]: whatever the socket gave, cut anywhere.
//! Out   [`Framer::next`]: the next whole [`Frame`]; the inside of an element is a slice of what came in.
//! State one buffer that never holds more than one unfinished element within [`Limits::bytes`], and the names and
//!       prefixes open in it.
//! Errors [`XmlError`]; after one the framer is of no more use.
//! Not here: what the elements mean (`stream`), trees (`element`).

use bytes::{Bytes, BytesMut};

use super::scope::{Head, Scope};
use super::tag::{Tag, TagKind};
use super::{XmlError, escape};
use crate::ns;

/// What one element may cost before it is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one first-level element.
    pub bytes: usize,
    /// Elements inside elements.
    pub depth: usize,
    /// Attributes of one element, namespace declarations among them.
    pub attributes: usize,
    /// Prefixes that are bound at one place.
    pub prefixes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 262_144, depth: 64, attributes: 64, prefixes: 64 }
    }
}

/// One step of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// The stream's start tag: its attributes, among them `xmlns` if there is one, which is the content namespace
    /// (§4.8.2); and the prefixes that it declares.
    Open(Head),
    /// A first-level element.
    Element(Head, Bytes),
    /// The stream's end tag.
    Close,
}

/// The push parser of one stream.
#[derive(Debug)]
pub struct Framer {
    limits: Limits,
    buffer: BytesMut,
    /// Where the token begins that is being looked at, and up to where its end was looked for.
    token: usize,
    scanned: usize,
    quote: Option<u8>,
    is_open: bool,
    /// The stream's own qualified name, default namespace and prefixes.
    stream_name: String,
    stream_default: String,
    head: Option<(Head, usize)>,
    /// Qualified names of open elements, as ranges of the buffer.
    names: Vec<(usize, usize)>,
    scope: Scope,
}

impl Framer {
    /// A framer at the start of a stream.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            buffer: BytesMut::new(),
            token: 0,
            scanned: 0,
            quote: None,
            is_open: false,
            stream_name: String::new(),
            stream_default: String::new(),
            head: None,
            names: Vec::new(),
            scope: Scope::default(),
        }
    }

    /// Takes what the socket gave.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether an element is begun and not whole: after a `None` of [`Framer::next`], for white space between elements is not kept.
    pub fn is_inside(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Other limits from the next element on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Expects a new stream header, as after STARTTLS and SASL (RFC 6120 §4.3.3). `true` if bytes were waiting that
    /// came before the restart: after STARTTLS they are an attack and must not be read (RFC 6120 §5.3.1). White space is
    /// no attack, though §5.3.4 forbids it there, and is forgotten: there are clients that end the request with a line.
    pub fn restart(&mut self) -> bool {
        let had_bytes = self.buffer.iter().any(|byte| !byte.is_ascii_whitespace());
        let mut rest = std::mem::take(&mut self.buffer);
        if !had_bytes {
            rest.clear();
        }
        *self = Self::new(self.limits);
        self.buffer = rest;
        had_bytes
    }

    /// The next frame, or `None` until more bytes are pushed.
    #[allow(clippy::should_implement_trait, reason = "a fallible pull, not an iterator")]
    pub fn next(&mut self) -> Result<Option<Frame>, XmlError> {
        loop {
            let Some(&first) = self.buffer.get(self.token) else { return self.wait() };
            if !self.is_open && is_wide(&self.buffer) {
                return Err(XmlError::UnsupportedEncoding);
            }
            if first != b'<' {
                let Some(length) = memchr::memchr(b'<', &self.buffer[self.scanned..]) else {
                    self.scanned = self.buffer.len();
                    if self.names.is_empty() {
                        self.check_space(self.scanned)?;
                        self.skip(self.scanned);
                    }
                    return self.wait();
                };
                let end = self.scanned + length;
                if self.names.is_empty() {
                    self.check_space(end)?;
                    self.skip(end);
                } else {
                    let text = utf8(&self.buffer[self.token..end])?;
                    if memchr::memmem::find(text.as_bytes(), b"]]>").is_some() {
                        return Err(XmlError::NotWellFormed("']]>' in text"));
                    }
                    escape::check(text)?;
                    self.token = end;
                    self.scanned = end;
                }
                continue;
            }
            if let Some(frame) = match self.markup_end()? {
                Markup::Unfinished => return self.wait(),
                Markup::Skipped => None,
                Markup::Tag(end) => self.tag(end)?,
            } {
                return Ok(Some(frame));
            }
        }
    }

    /// Whoever waits may wait for long, without the memory of what was there.
    fn wait(&mut self) -> Result<Option<Frame>, XmlError> {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        if self.buffer.len() > self.limits.bytes {
            return Err(XmlError::OverLimit("bytes of one element"));
        }
        Ok(None)
    }

    /// Between elements only white space may stand.
    fn check_space(&self, end: usize) -> Result<(), XmlError> {
        let is_space = self.buffer[..end].iter().all(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n'));
        if is_space { Ok(()) } else { Err(XmlError::NotWellFormed("text outside of elements")) }
    }

    fn skip(&mut self, end: usize) {
        let _ = self.buffer.split_to(end);
        self.token = 0;
        self.scanned = 0;
    }

    /// Looks for the end of what begins with `<`.
    fn markup_end(&mut self) -> Result<Markup, XmlError> {
        let rest = &self.buffer[self.token..];
        match rest.get(1) {
            None => return Ok(Markup::Unfinished),
            Some(b'!') => return self.bang(),
            Some(b'?') if self.is_open || !self.names.is_empty() => {
                return Err(XmlError::Restricted("a processing instruction"));
            }
            Some(b'?') => return self.declaration(),
            Some(_) => {}
        }
        self.scanned = self.scanned.max(self.token + 1);
        while let Some(&byte) = self.buffer.get(self.scanned) {
            match (self.quote, byte) {
                (Some(quote), byte) if quote == byte => self.quote = None,
                (None, b'\'' | b'"') => self.quote = Some(byte),
                (None, b'>') => {
                    self.scanned += 1;
                    return Ok(Markup::Tag(self.scanned));
                }
                (_, b'<') => return Err(XmlError::NotWellFormed("'<' inside a tag")),
                _ => {}
            }
            self.scanned += 1;
        }
        Ok(Markup::Unfinished)
    }

    /// `<!`: CDATA is XML that XMPP allows; comments and DTDs are not (RFC 6120 §11.1).
    fn bang(&mut self) -> Result<Markup, XmlError> {
        const CDATA: &[u8] = b"<![CDATA[";
        let rest = &self.buffer[self.token..];
        if !rest.starts_with(&CDATA[..rest.len().min(CDATA.len())]) {
            return Err(XmlError::Restricted("a comment or a document type"));
        }
        if self.names.is_empty() && rest.len() >= CDATA.len() {
            return Err(XmlError::NotWellFormed("text outside of elements"));
        }
        let from = self.scanned.max(self.token + CDATA.len()).min(self.buffer.len());
        let Some(at) = memchr::memmem::find(&self.buffer[from..], b"]]>") else {
            self.scanned = self.buffer.len().saturating_sub(2).max(self.token);
            return Ok(Markup::Unfinished);
        };
        let text = utf8(&self.buffer[self.token..from + at])?;
        if !text.chars().all(escape::is_xml_char) {
            return Err(XmlError::NotWellFormed("a character that XML forbids"));
        }
        self.token = from + at + 3;
        self.scanned = self.token;
        Ok(Markup::Skipped)
    }

    /// `<?xml …?>`, which may stand at the very start alone (RFC 6120 §11.4).
    fn declaration(&mut self) -> Result<Markup, XmlError> {
        let Some(end) = memchr::memmem::find(&self.buffer, b"?>") else { return Ok(Markup::Unfinished) };
        let text = utf8(&self.buffer[..end])?;
        let Some(inner) = text.strip_prefix("<?xml").filter(|rest| rest.starts_with(super::tag::is_space))
        else {
            return Err(XmlError::Restricted("a processing instruction"));
        };
        let tag = format!("<xml {}>", inner.trim());
        let tag = Tag::lex(&tag, 3)?;
        for (name, value) in &tag.attributes {
            match *name {
                "version" if *value == "1.0" => {}
                "encoding" if value.eq_ignore_ascii_case("utf-8") => {}
                "encoding" => return Err(XmlError::UnsupportedEncoding),
                "standalone" => {}
                _ => return Err(XmlError::NotWellFormed("the XML declaration")),
            }
        }
        self.skip(end + 2);
        Ok(Markup::Skipped)
    }

    fn tag(&mut self, end: usize) -> Result<Option<Frame>, XmlError> {
        if end > self.limits.bytes {
            return Err(XmlError::OverLimit("bytes of one element"));
        }
        let start = std::mem::replace(&mut self.token, end);
        if self.buffer[start + 1] == b'/' {
            return self.end_tag(start, end);
        }
        let depth = self.names.len() + usize::from(self.is_open);
        if depth >= self.limits.depth {
            return Err(XmlError::OverLimit("depth of elements"));
        }
        let (kind, name_length) = {
            let tag = Tag::lex(utf8(&self.buffer[start..end])?, self.limits.attributes)?;
            self.scope.bind(depth, &tag, self.limits.prefixes)?;
            self.scope.check(&tag)?;
            if self.names.is_empty() {
                let (mut head, default) = self.scope.head(&tag, &self.stream_default)?;
                if !self.is_open {
                    self.stream_name = tag.name.to_owned();
                    self.stream_default = default;
                    self.scope.declare(&mut head.prefixes);
                } else if default != head.ns && tag.attributes.iter().any(|(name, _)| *name == "xmlns") {
                    return Err(XmlError::BadNamespacePrefix);
                } else {
                    self.scope.declare(&mut head.prefixes);
                }
                self.head = Some((head, end));
            }
            (tag.kind, tag.name.len())
        };
        if !self.is_open {
            return self.open(kind, end).map(Some);
        }
        if kind == TagKind::Empty {
            self.scope.leave(depth);
            return Ok(if self.names.is_empty() { self.finish(end, end) } else { None });
        }
        self.names.push((start + 1, start + 1 + name_length));
        Ok(None)
    }

    fn open(&mut self, kind: TagKind, end: usize) -> Result<Frame, XmlError> {
        let (mut head, _) = self.head.take().unwrap_or_default();
        if head.name != "stream" || head.ns != ns::STREAM {
            return Err(XmlError::InvalidNamespace);
        }
        if self.stream_name != "stream:stream" {
            return Err(XmlError::BadNamespacePrefix);
        }
        if kind == TagKind::Empty {
            return Err(XmlError::BadFormat("a stream that ends where it begins"));
        }
        self.is_open = true;
        if !self.stream_default.is_empty() {
            head.attributes.push(("xmlns".to_owned(), self.stream_default.clone()));
        }
        self.skip(end);
        Ok(Frame::Open(head))
    }

    fn end_tag(&mut self, start: usize, end: usize) -> Result<Option<Frame>, XmlError> {
        let text = utf8(&self.buffer[start..end])?;
        let name = text[2..text.len() - 1].trim_end_matches(super::tag::is_space);
        let Some((from, to)) = self.names.pop() else {
            if !self.is_open || name != self.stream_name {
                return Err(XmlError::NotWellFormed("an end tag without its start tag"));
            }
            self.skip(end);
            return Ok(Some(Frame::Close));
        };
        if self.buffer[from..to] != *name.as_bytes() {
            return Err(XmlError::NotWellFormed("an end tag of another element"));
        }
        let depth = self.names.len() + 1;
        self.scope.leave(depth);
        Ok(if self.names.is_empty() { self.finish(start, end) } else { None })
    }

    /// The first-level element ends: its content reaches from its start tag to `content_end`.
    fn finish(&mut self, content_end: usize, end: usize) -> Option<Frame> {
        let (mut head, content_start) = self.head.take()?;
        let whole = self.buffer.split_to(end).freeze();
        self.token = 0;
        self.scanned = 0;
        let content = whole.slice(content_start.min(content_end)..content_end);
        let is_used = head.attributes.iter().any(|(name, _)| name.starts_with("stream:"))
            || memchr::memmem::find(&content, b"stream:").is_some();
        if is_used {
            self.scope.declare_stream(&mut head.prefixes);
        }
        Some(Frame::Element(head, content))
    }
}

enum Markup {
    Unfinished,
    Skipped,
    Tag(usize),
}

/// RFC 6120 §11.6: UTF-16 or UTF-32, by its byte-order mark or its first `<` (XML 1.0 appendix F.1).
fn is_wide(start: &[u8]) -> bool {
    matches!(start, [0 | 0xfe | 0xff, ..] | [b'<', 0, ..])
}

fn utf8(bytes: &[u8]) -> Result<&str, XmlError> {
    std::str::from_utf8(bytes).map_err(|_| XmlError::UnsupportedEncoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
                        xmlns:stream='http://etherx.jabber.org/streams' to='a.example' version='1.0'>";

    fn frames(text: &[u8], step: usize) -> Result<Vec<Frame>, XmlError> {
        let mut framer = Framer::new(Limits { bytes: 1000, depth: 8, attributes: 8, prefixes: 4 });
        let mut out = Vec::new();
        for chunk in OPEN.as_bytes().chunks(step).chain(text.chunks(step)) {
            framer.push(chunk);
            while let Some(frame) = framer.next()? {
                out.push(frame);
            }
        }
        Ok(out)
    }

    #[test]
    fn frames_do_not_depend_on_how_the_bytes_are_cut() {
        let text = " <message to='b'><body>x &amp; y</body><![CDATA[<]]>]]></message>\n<iq/></stream:stream>";
        let text = text.replace("]]>]]>", "]]>");
        let whole = frames(text.as_bytes(), 10_000).unwrap();
        assert_eq!(whole.len(), 4);
        assert_eq!(whole[3], Frame::Close);
        for step in 1..40 {
            assert_eq!(frames(text.as_bytes(), step).unwrap(), whole, "{step}");
        }
        let Frame::Element(head, content) = &whole[1] else { panic!("{whole:?}") };
        assert_eq!(
            (head.name.as_str(), head.ns.as_str(), head.attribute("to")),
            ("message", ns::CLIENT, Some("b"))
        );
        assert_eq!(&content[..], b"<body>x &amp; y</body><![CDATA[<]]>");
    }

    #[test]
    fn names_the_error_that_rfc_6120_names() {
        use XmlError::*;
        type IsRight = fn(&XmlError) -> bool;
        let cases: &[(&str, IsRight)] = &[
            ("<!-- x -->", |e| matches!(e, Restricted(_))),
            ("<iq><!-- x --></iq>", |e| matches!(e, Restricted(_))),
            ("<?php x?>", |e| matches!(e, Restricted(_))),
            ("<!DOCTYPE x>", |e| matches!(e, Restricted(_))),
            ("<iq>&lol;</iq>", |e| matches!(e, Restricted(_))),
            ("<iq></message>", |e| matches!(e, NotWellFormed(_))),
            ("<a:iq/>", |e| matches!(e, NotWellFormed(_))),
            ("<iq a:b='c'/>", |e| matches!(e, NotWellFormed(_))),
            ("<iq><a xmlns:x='u'/><x:b/></iq>", |e| matches!(e, NotWellFormed(_))),
            ("<iq xmlns:x='u' xmlns:y='u' x:a='' y:a=''/>", |e| matches!(e, NotWellFormed(_))),
            ("hello<iq/>", |e| matches!(e, NotWellFormed(_))),
            ("<iq>\u{1}</iq>", |e| matches!(e, NotWellFormed(_))),
            ("<a><a><a><a><a><a><a><a><a>", |e| matches!(e, OverLimit(_))),
            ("<a b1='' b2='' b3='' b4='' b5='' b6='' b7='' b8='' b9=''/>", |e| matches!(e, OverLimit(_))),
            ("<a xmlns:a='1' xmlns:b='2' xmlns:c='3' xmlns:d='4'/>", |e| matches!(e, OverLimit(_))),
        ];
        for (text, is_right) in cases {
            let error = frames(text.as_bytes(), 3).unwrap_err();
            assert!(is_right(&error), "{text}: {error:?}");
        }
        assert_eq!(frames(b"<iq>\xff</iq>", 3), Err(UnsupportedEncoding));
        assert!(matches!(frames(format!("<{}", "a".repeat(2000)).as_bytes(), 100), Err(OverLimit(_))));
    }

    #[test]
    fn checks_the_stream_element() {
        let open = |text: &str| {
            let mut framer = Framer::new(Limits::default());
            framer.push(text.as_bytes());
            framer.next()
        };
        assert_eq!(
            open("<stream xmlns='http://etherx.jabber.org/streams'>"),
            Err(XmlError::BadNamespacePrefix)
        );
        assert_eq!(open("<stream:stream xmlns:stream='wrong'>"), Err(XmlError::InvalidNamespace));
        assert_eq!(open("<?xml version='1.0' encoding='latin1'?><a>"), Err(XmlError::UnsupportedEncoding));
        assert!(open("GET / HTTP/1.1\r\n").is_err());
    }

    /// RFC 6120 §11.6.
    #[test]
    fn a_stream_in_another_encoding_is_told_so() {
        let header = format!("\u{feff}{OPEN}");
        let (marked, bare) = (header.encode_utf16(), OPEN.encode_utf16());
        let little: Vec<u8> = marked.clone().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = marked.flat_map(u16::to_be_bytes).collect();
        let unmarked: Vec<u8> = bare.flat_map(u16::to_le_bytes).collect();
        let widest: Vec<u8> = OPEN.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect();
        for bytes in [little, big, unmarked, widest] {
            for step in [1, 3, bytes.len()] {
                let mut framer = Framer::new(Limits::default());
                let first = bytes.chunks(step).find_map(|chunk| {
                    framer.push(chunk);
                    framer.next().transpose()
                });
                assert_eq!(first, Some(Err(XmlError::UnsupportedEncoding)), "{:?}", &bytes[..4]);
            }
        }
    }

    #[test]
    fn content_may_use_the_prefix_of_the_stream_and_may_bind_it_anew() {
        for (stanza, told) in [
            ("<iq><stream:x/></iq>", " xmlns:stream='http://etherx.jabber.org/streams'"),
            ("<iq stream:a='1'/>", " xmlns:stream='http://etherx.jabber.org/streams'"),
            ("<iq xmlns:stream='urn:s'><stream:x/></iq>", " xmlns:stream='urn:s'"),
            ("<iq><x/></iq>", ""),
        ] {
            let mut framer = Framer::new(Limits::default());
            framer.push(OPEN.as_bytes());
            framer.push(stanza.as_bytes());
            let Ok(Some(Frame::Open(_))) = framer.next() else { panic!() };
            let Ok(Some(Frame::Element(head, content))) = framer.next() else { panic!() };
            assert_eq!(head.prefixes, told, "{stanza}");
            let text = std::str::from_utf8(&content).unwrap();
            assert!(crate::Element::parse_content(text, &head.ns, &head.prefixes).is_ok(), "{stanza}");
        }
    }

    #[test]
    fn redeclares_prefixes_of_the_stream() {
        let mut framer = Framer::new(Limits::default());
        framer.push(OPEN.replace(" to=", " xmlns:f='urn:f' to=").as_bytes());
        framer.push(b"<message><f:x/></message>");
        let Ok(Some(Frame::Open(head))) = framer.next() else { panic!() };
        assert_eq!(head.prefixes, " xmlns:f='urn:f'");
        let Ok(Some(Frame::Element(head, _))) = framer.next() else { panic!() };
        assert_eq!(head.prefixes, " xmlns:f='urn:f'");
    }
}
