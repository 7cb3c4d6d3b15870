//! Stanzas — RFC 6120 §8: the three kinds, their common attributes, and their errors.
//!
//! A [`Stanza`] is routed without looking inside: its top attributes are typed, its content is the bytes that came in.
//!
//! In    a [`Frame::Element`](crate::xml::Frame) of the content namespace.
//! Out   a [`Stanza`] that prints itself with other addresses and the same content.
//! Errors [`ParseError`] for addresses and kinds; [`StanzaError`] is the answer that a stanza gets (§8.3).

mod border;
mod error;

use bytes::Bytes;

pub use error::{ErrorKind, StanzaError};

use crate::jid::{Jid, JidError};
use crate::ns;
use crate::xml::{Element, Head, escape_attribute, print_attribute};

/// The three kinds of stanzas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Push (§8.2.1).
    Message,
    /// Publish and subscribe (§8.2.2).
    Presence,
    /// Request and response (§8.2.3).
    Iq,
}

impl Kind {
    /// The element's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Presence => "presence",
            Self::Iq => "iq",
        }
    }
}

/// A message, presence or iq.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stanza {
    /// Which kind.
    pub kind: Kind,
    /// For whom; none means the sender's own account.
    pub to: Option<Jid>,
    /// From whom.
    pub from: Option<Jid>,
    /// The sender's name for it.
    pub id: Option<String>,
    /// The attribute `type`.
    pub type_: Option<String>,
    /// Other attributes and declarations of prefixes, ready to be printed.
    other: String,
    content: Bytes,
}

/// Why a first-level element is not a stanza.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// RFC 6120 §4.9.3.10: one of the three kinds, but of another namespace.
    #[error("not in the content namespace of the stream")]
    InvalidNamespace,
    /// RFC 6120 §4.9.3.24: none of the three kinds.
    #[error("none of message, presence and iq")]
    UnknownKind,
    /// RFC 6120 §8.1.1: `to` is no JID.
    #[error("the address in 'to' is none: {0}")]
    BadTo(JidError),
    /// RFC 6120 §8.1.2: `from` is no JID.
    #[error("the address in 'from' is none: {0}")]
    BadFrom(JidError),
}

impl Stanza {
    /// An empty stanza.
    pub fn new(kind: Kind, type_: Option<&str>) -> Self {
        let type_ = type_.map(str::to_owned);
        Self { kind, to: None, from: None, id: None, type_, other: String::new(), content: Bytes::new() }
    }

    /// Bytes of what it holds, without its addresses.
    pub fn size(&self) -> usize {
        self.other.len() + self.content.len()
    }

    /// Reads a framed element. An unreadable `to` leaves the rest usable: it is returned beside the error, so that the
    /// stanza can be answered with `jid-malformed` (§8.3.3.8). So does a `from` whose domain can be read, which is then all of it.
    pub fn from_frame(head: &Head, content: Bytes) -> Result<Self, (ParseError, Option<Box<Self>>)> {
        let kind = match head.name.as_str() {
            "message" => Kind::Message,
            "presence" => Kind::Presence,
            "iq" => Kind::Iq,
            _ => return Err((ParseError::UnknownKind, None)),
        };
        if head.ns != ns::CLIENT {
            return Err((ParseError::InvalidNamespace, None));
        }
        let mut stanza = Self { content, other: head.prefixes.clone(), ..Self::new(kind, None) };
        let mut wrong = None;
        for (name, value) in &head.attributes {
            match name.as_str() {
                "to" => match value.parse() {
                    Ok(jid) => stanza.to = Some(jid),
                    Err(error) => wrong = Some(ParseError::BadTo(error)),
                },
                "from" => match value.parse() {
                    Ok(jid) => stanza.from = Some(jid),
                    Err(error) => {
                        stanza.from = Jid::domain_in(value);
                        wrong = Some(ParseError::BadFrom(error));
                    }
                },
                "id" => stanza.id = Some(value.clone()),
                "type" => stanza.type_ = Some(value.clone()),
                _ => print_attribute(name, value, &mut stanza.other),
            }
        }
        match wrong {
            Some(error) => Err((error, Some(Box::new(stanza)))),
            None => Ok(stanza),
        }
    }

    /// Reads one stanza from text that this type printed.
    pub fn parse(text: &str) -> Option<Self> {
        let element = Element::parse(text, ns::CLIENT).ok()?;
        let head = Head {
            name: element.name,
            ns: element.ns,
            attributes: element.attributes,
            prefixes: String::new(),
        };
        let mut content = String::new();
        for node in &element.nodes {
            if let crate::xml::Node::Element(child) = node {
                child.print(ns::CLIENT, &mut content);
            }
        }
        Self::from_frame(&head, content.into()).ok()
    }

    /// The addresses, set.
    #[must_use]
    pub fn addressed(mut self, from: Option<&Jid>, to: Option<&Jid>) -> Self {
        self.from = from.cloned();
        self.to = to.cloned();
        self
    }

    /// In a language, where the sender named none (RFC 6120 §8.1.5). It is a tag, which needs no escapes.
    #[must_use]
    pub fn in_language(mut self, tag: &str) -> Self {
        if !self.other.contains(" xml:lang=") {
            print_attribute("xml:lang", tag, &mut self.other);
        }
        self
    }

    /// The id, set.
    #[must_use]
    pub fn with_id(mut self, id: Option<&str>) -> Self {
        self.id = id.map(str::to_owned);
        self
    }

    /// A further element at the end of the content.
    #[must_use]
    pub fn with(mut self, child: &Element) -> Self {
        let mut content = String::from_utf8_lossy(&self.content).into_owned();
        child.print(ns::CLIENT, &mut content);
        self.content = content.into();
        self
    }

    /// The content replaced by these elements.
    #[must_use]
    pub fn with_content(mut self, children: &[Element]) -> Self {
        let mut content = String::new();
        for child in children {
            child.print(ns::CLIENT, &mut content);
        }
        self.content = content.into();
        self.other.clear();
        self
    }

    /// The content replaced by these bytes, which are sound XML in the content namespace.
    #[must_use]
    pub fn with_raw(mut self, content: Bytes) -> Self {
        self.content = content;
        self.other.clear();
        self
    }

    /// The content without the elements that are not `kept`. If all are, it stays the bytes that it is.
    #[must_use]
    pub fn retain(self, kept: impl Fn(&Element) -> bool) -> Self {
        let children = self.children();
        if children.iter().all(&kept) {
            return self;
        }
        let other = self.attributes_only();
        let children: Vec<Element> = children.into_iter().filter(|child| kept(child)).collect();
        Self { other, ..self.with_content(&children) }
    }

    /// The other attributes without declarations, which printed elements have no need of.
    fn attributes_only(&self) -> String {
        self.other.split_inclusive("' ").filter(|part| !part.trim_start().starts_with("xmlns:")).collect()
    }

    /// The same with its content copied out of the buffer that it came in, to be kept for long.
    #[must_use]
    pub fn detached(mut self) -> Self {
        self.content = Bytes::copy_from_slice(&self.content);
        self
    }

    /// Whether `type` is this.
    pub fn is_type(&self, type_: &str) -> bool {
        self.type_.as_deref() == Some(type_)
    }

    /// Whether the content mentions these bytes: a cheap no, before [`Stanza::children`].
    pub fn mentions(&self, needle: &str) -> bool {
        holds(&self.content, needle.as_bytes())
    }

    /// Whether the content may have an element of this namespace: a cheap no, which is given neither where character references
    /// may spell it nor where a prefix declared around the content may stand for it.
    pub fn may_have(&self, ns: &str) -> bool {
        self.mentions(ns) || self.mentions("&#") || self.other.contains("xmlns:")
    }

    /// The elements inside.
    pub fn children(&self) -> Vec<Element> {
        let text = std::str::from_utf8(&self.content).unwrap_or_default();
        let declared: String = self.prefixes();
        Element::parse_content(text, ns::CLIENT, &declared).unwrap_or_default()
    }

    /// The first element inside with this name and namespace.
    pub fn find(&self, name: &str, ns: &str) -> Option<Element> {
        if ns != ns::CLIENT && !self.may_have(ns) {
            return None;
        }
        self.children().into_iter().find(|child| child.is(name, ns))
    }

    /// The declarations of prefixes among the other attributes.
    fn prefixes(&self) -> String {
        self.other.split_inclusive("' ").fold(String::new(), |mut out, part| {
            let part = part.strip_suffix(' ').unwrap_or(part);
            if part.trim_start().starts_with("xmlns:") {
                out.push(' ');
                out.push_str(part.trim_start());
            }
            out
        })
    }

    /// The result of a request, with the addresses turned (§8.2.3).
    pub fn result(&self, payload: Option<&Element>) -> Self {
        let mut reply = Self::new(self.kind, Some("result")).with_id(self.id.as_deref());
        reply.to = self.from.clone();
        reply.from = self.to.clone();
        match payload {
            Some(payload) => reply.with(payload),
            None => reply,
        }
    }

    /// The error that answers this stanza, or `None` when it may not be answered: errors, and results (§8.3.1).
    pub fn error(&self, error: &StanzaError) -> Option<Self> {
        if self.is_type("error") || (self.kind == Kind::Iq && self.is_type("result")) {
            return None;
        }
        let mut reply = Self::new(self.kind, Some("error")).with_id(self.id.as_deref());
        reply.to = self.from.clone();
        reply.from = self.to.clone();
        Some(reply.with(&error.to_element()))
    }

    /// Prints.
    pub fn to_bytes(&self) -> Bytes {
        let name = self.kind.as_str();
        let attributes = [
            ("from", self.from.as_ref().map(Jid::as_str)),
            ("to", self.to.as_ref().map(Jid::as_str)),
            ("type", self.type_.as_deref()),
            ("id", self.id.as_deref()),
        ];
        // Exact where nothing is escaped: then nothing is copied, and nothing but the text is kept.
        let of = |(name, value): &(&str, Option<&str>)| value.map_or(0, |value| name.len() + value.len() + 4);
        let around = if self.content.is_empty() { 3 } else { 5 + name.len() };
        let length = attributes.iter().map(of).sum::<usize>() + name.len() + around;
        let mut out = String::with_capacity(length + self.other.len() + self.content.len());
        out.push('<');
        out.push_str(name);
        for (name, value) in attributes {
            if let Some(value) = value {
                out.push(' ');
                out.push_str(name);
                out.push_str("='");
                escape_attribute(value, &mut out);
                out.push('\'');
            }
        }
        out.push_str(&self.other);
        let mut out = out.into_bytes();
        if self.content.is_empty() {
            out.extend_from_slice(b"/>");
        } else {
            out.push(b'>');
            out.extend_from_slice(&self.content);
            out.extend_from_slice(b"</");
            out.extend_from_slice(name.as_bytes());
            out.push(b'>');
        }
        out.into()
    }
}

/// Whether bytes hold others. Preparing to search takes twice as long as looking through a message of usual length, and a message
/// on its way is asked some twenty times.
fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    let Some((first, rest)) = needle.split_first() else { return true };
    if bytes.len() > SHORT {
        return memchr::memmem::find(bytes, needle).is_some();
    }
    memchr::memchr_iter(*first, bytes).any(|at| bytes[at + 1..].starts_with(rest))
}

/// Bytes of a content that is looked through without preparation.
const SHORT: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_other_addresses_around_the_same_content() {
        let it = Stanza::parse(
            "<message to='b@x' id='1' xml:lang='de'><body>h&amp;i</body><x xmlns='u'/></message>",
        )
        .unwrap();
        let from = "a@x/r".parse().unwrap();
        let it = Stanza { from: Some(from), ..it };
        let text = String::from_utf8(it.to_bytes().to_vec()).unwrap();
        assert_eq!(
            text,
            "<message from='a@x/r' to='b@x' id='1' xml:lang='de'><body>h&amp;i</body><x xmlns='u'/></message>"
        );
        assert_eq!(Stanza::parse(&text).unwrap(), it);
        assert!(it.find("x", "u").is_some() && it.find("y", "u").is_none());
    }

    #[test]
    fn is_printed_without_growing() {
        for text in [
            "<presence/>",
            "<iq to='b@x' type='get' id='1'/>",
            "<message from='a@x/r' a='b'><body>x</body></message>",
        ] {
            let bytes: Vec<u8> = Stanza::parse(text).unwrap().to_bytes().into();
            assert_eq!((bytes.len(), bytes.capacity()), (text.len(), text.len()), "{text}");
        }
    }

    #[test]
    fn finds_an_element_however_its_namespace_is_written() {
        for content in ["<x xmlns='u&#114;n:x'/>", "<p:x xmlns:p='urn:&#x78;'/>", "<x xmlns='urn:x'/>"] {
            let bare = Stanza::new(Kind::Message, None);
            let it = Stanza { content: Bytes::copy_from_slice(content.as_bytes()), ..bare };
            assert!(it.find("x", "urn:x").is_some(), "{content}");
        }
        let bare = Stanza::new(Kind::Message, None);
        let other = " xmlns:p='urn:x'".to_owned();
        let it = Stanza { other, content: Bytes::from_static(b"<p:x/>"), ..bare };
        assert!(it.find("x", "urn:x").is_some() && it.may_have("urn:x"), "a prefix of the stanza's own");
    }

    #[test]
    fn never_answers_an_error_or_a_result() {
        let error = StanzaError::new(ErrorKind::ServiceUnavailable);
        assert!(Stanza::new(Kind::Message, Some("error")).error(&error).is_none());
        assert!(Stanza::new(Kind::Iq, Some("result")).error(&error).is_none());
        assert!(Stanza::new(Kind::Iq, Some("get")).error(&error).is_some());
    }

    #[test]
    fn short_and_long_contents_are_searched_alike() {
        for before in [0, 1, 200, 250, 256, 300] {
            let content = "u".repeat(before) + "<a xmlns='urn:x'/>";
            for needle in ["urn:x", "'urn:x'/>", "<a", "uu", "", "urn:xx", "/>/>", "b"] {
                assert_eq!(
                    holds(content.as_bytes(), needle.as_bytes()),
                    content.contains(needle),
                    "{before} {needle}"
                );
            }
        }
        assert!(!holds(b"", b"u") && holds(b"", b""));
    }
}
