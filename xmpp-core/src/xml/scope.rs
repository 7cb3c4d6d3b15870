//! Prefixes in scope while an element is framed — Namespaces in XML 1.0, sections 3, 5, 6.
//!
//! In    tags in document order. Out whether their names are bound, and the owned [`Head`] of those that matter.
//! Errors a prefix that nothing binds, or that may not be bound so, is `not-well-formed`.

use std::borrow::Cow;

use super::tag::{Tag, split_name};
use super::{XmlError, escape};
use crate::ns;

/// A start tag of the first or second level.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Head {
    /// The name without prefix.
    pub name: String,
    /// The namespace that the name is bound to.
    pub ns: String,
    /// Qualified names and values of attributes, namespace declarations left out.
    pub attributes: Vec<(String, String)>,
    /// Declarations of prefixes that the content may use, ready to be printed into a start tag.
    pub prefixes: String,
}

impl Head {
    /// The value of an attribute by its qualified name.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// What is bound: (depth at which, prefix, namespace), innermost last.
#[derive(Debug, Default)]
pub(super) struct Scope(Vec<(usize, String, String)>);

impl Scope {
    /// Binds the prefixes that a tag at `depth` declares.
    pub(super) fn bind(&mut self, depth: usize, tag: &Tag<'_>, most: usize) -> Result<(), XmlError> {
        for (name, value) in &tag.attributes {
            let Some(prefix) = name.strip_prefix("xmlns:") else { continue };
            let uri = escape::unescape(value)?;
            if uri.is_empty() || prefix == "xmlns" || (prefix == "xml") != (uri == ns::XML) {
                return Err(XmlError::NotWellFormed("a prefix that may not be bound so"));
            }
            if self.0.len() == most {
                return Err(XmlError::OverLimit("namespace prefixes"));
            }
            self.0.push((depth, prefix.to_owned(), uri.into_owned()));
        }
        Ok(())
    }

    /// The element at `depth` ends, and what it bound with it.
    pub(super) fn leave(&mut self, depth: usize) {
        self.0.retain(|(bound, ..)| *bound < depth);
    }

    /// Every name of the tag is bound, and no attribute stands twice under two prefixes (§6.3).
    pub(super) fn check(&self, tag: &Tag<'_>) -> Result<(), XmlError> {
        self.lookup(split_name(tag.name).0)?;
        let is_prefixed = |name: &&str| name.contains(':') && !name.starts_with("xmlns:");
        let mut seen: Vec<(&str, &str)> = Vec::new();
        for name in tag.attributes.iter().map(|(name, _)| *name).filter(is_prefixed) {
            let (prefix, local) = split_name(name);
            let expanded = (self.lookup(prefix)?, local);
            if seen.contains(&expanded) {
                return Err(XmlError::NotWellFormed("an attribute given twice"));
            }
            seen.push(expanded);
        }
        Ok(())
    }

    /// The owned form of a start tag, and the default namespace inside it.
    pub(super) fn head(&self, tag: &Tag<'_>, inherited: &str) -> Result<(Head, String), XmlError> {
        let (prefix, local) = split_name(tag.name);
        let own = tag
            .attributes
            .iter()
            .find(|(name, _)| *name == "xmlns")
            .map(|(_, value)| escape::unescape(value));
        let default = own.transpose()?.map_or_else(|| inherited.to_owned(), Cow::into_owned);
        let ns = if prefix.is_empty() { default.clone() } else { self.lookup(prefix)?.to_owned() };
        let mut head = Head { name: local.to_owned(), ns, ..Head::default() };
        for (name, value) in &tag.attributes {
            if *name != "xmlns" && !name.starts_with("xmlns:") {
                head.attributes.push(((*name).to_owned(), escape::unescape(value)?.into_owned()));
            }
        }
        Ok((head, default))
    }

    /// Prints the declarations in scope, the stream's among them: other streams do not know these. Its own prefix is left out,
    /// since next to nothing uses it: see [`Scope::declare_stream`].
    pub(super) fn declare(&self, out: &mut String) {
        for (at, (_, prefix, uri)) in self.0.iter().enumerate() {
            let is_hidden = self.0[at + 1..].iter().any(|(_, later, _)| later == prefix);
            let is_own = prefix == "stream" && uri == ns::STREAM;
            if !is_own && prefix != "xml" && !is_hidden {
                declare(prefix, uri, out);
            }
        }
    }

    /// Prints the declaration of the stream's own prefix, unless it was bound anew and printed so.
    pub(super) fn declare_stream(&self, out: &mut String) {
        if self.lookup("stream").is_ok_and(|uri| uri == ns::STREAM) && !out.contains(" xmlns:stream=") {
            declare("stream", ns::STREAM, out);
        }
    }

    fn lookup(&self, prefix: &str) -> Result<&str, XmlError> {
        match prefix {
            "" => Ok(""),
            "xml" => Ok(ns::XML),
            _ => {
                let found = self.0.iter().rev().find(|(_, bound, _)| bound == prefix);
                found
                    .map(|(_, _, uri)| uri.as_str())
                    .ok_or(XmlError::NotWellFormed("a prefix that nothing binds"))
            }
        }
    }
}

fn declare(prefix: &str, uri: &str, out: &mut String) {
    out.push_str(" xmlns:");
    out.push_str(prefix);
    out.push_str("='");
    escape::escape_attribute(uri, out);
    out.push('\'');
}
