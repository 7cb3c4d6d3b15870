//! XML as XMPP allows it — RFC 6120 §11: no comments, no processing instructions, no DTD, no entities but the five.
//!
//! [`Framer`] turns bytes into [`Frame`]s under [`Limits`]; [`Element`] is the bounded tree of one frame, and prints
//! itself so that any other stream understands it. Only the framer meets bytes from the network.

mod document;
mod element;
mod escape;
mod framer;
mod scope;
mod tag;

pub use document::{Document, Piece};
pub use element::{Element, Node};
pub use escape::{escape_attribute, escape_text, is_xml_char, unescape};
pub use framer::{Frame, Framer, Limits};
pub use scope::Head;

pub(crate) use element::print_attribute;

/// What is wrong with the bytes of a stream, by the stream error that answers it (RFC 6120 §4.9.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// §4.9.3.13: not XML, or not XML with namespaces.
    #[error("not well-formed: {0}")]
    NotWellFormed(&'static str),
    /// §4.9.3.18: XML that XMPP does not allow.
    #[error("restricted XML: {0}")]
    Restricted(&'static str),
    /// §4.9.3.22: not UTF-8.
    #[error("not UTF-8")]
    UnsupportedEncoding,
    /// §4.9.3.14: over one of our limits.
    #[error("over a limit: {0}")]
    OverLimit(&'static str),
    /// §4.9.3.2: the stream element has a prefix other than `stream`.
    #[error("the prefix of the stream element must be 'stream'")]
    BadNamespacePrefix,
    /// §4.9.3.10: the stream element, or the default namespace, is another one than ours.
    #[error("unknown namespace of the stream")]
    InvalidNamespace,
    /// §4.9.3.1: an element where none is expected, or text between stanzas.
    #[error("unexpected: {0}")]
    BadFormat(&'static str),
}
