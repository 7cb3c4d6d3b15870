//! The tree of one framed element, for payloads that are looked into. Prints with namespaces in canonical form.
//!
//! In    XML that the framer let through, or values to be printed.
//! Out   [`Element`]: names bound to namespaces, prefixes gone; printing declares `xmlns` wherever it changes.
//! Errors [`XmlError`]; no deeper than the framer allowed, and never deeper than 256.
//! Not here: attribute prefixes other than `xml:`, which are kept as written and may lose their binding.

use std::fmt;

use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;

use super::{XmlError, escape};

/// An element with its namespace, attributes and content.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Element {
    /// The local name.
    pub name: String,
    /// The namespace.
    pub ns: String,
    /// Attributes in order.
    pub attributes: Vec<(String, String)>,
    /// Elements and text in order.
    pub nodes: Vec<Node>,
}

/// What stands inside an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// An element.
    Element(Element),
    /// Text, unescaped.
    Text(String),
}

impl Element {
    /// An empty element.
    pub fn new(name: &str, ns: &str) -> Self {
        Self { name: name.to_owned(), ns: ns.to_owned(), ..Self::default() }
    }

    /// Adds an attribute.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.attributes.push((name.to_owned(), value.to_string()));
        self
    }

    /// Adds an attribute if there is a value.
    #[must_use]
    pub fn with_some(self, name: &str, value: Option<impl fmt::Display>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Adds a child.
    #[must_use]
    pub fn child(mut self, child: Element) -> Self {
        self.nodes.push(Node::Element(child));
        self
    }

    /// Adds children.
    #[must_use]
    pub fn children_from(mut self, children: impl IntoIterator<Item = Element>) -> Self {
        self.nodes.extend(children.into_iter().map(Node::Element));
        self
    }

    /// Adds text.
    #[must_use]
    pub fn text_node(mut self, text: impl Into<String>) -> Self {
        self.nodes.push(Node::Text(text.into()));
        self
    }

    /// Adds a child of the same namespace that holds text alone.
    #[must_use]
    pub fn text_child(self, name: &str, text: impl Into<String>) -> Self {
        let child = Self::new(name, &self.ns).text_node(text);
        self.child(child)
    }

    /// An attribute's value.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Whether it has this name and namespace.
    pub fn is(&self, name: &str, ns: &str) -> bool {
        self.name == name && self.ns == ns
    }

    /// Child elements in order.
    pub fn children(&self) -> impl Iterator<Item = &Element> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The first child of this name in the same namespace.
    pub fn get(&self, name: &str) -> Option<&Element> {
        self.find(name, &self.ns)
    }

    /// The first child of this name and namespace.
    pub fn find(&self, name: &str, ns: &str) -> Option<&Element> {
        self.children().find(|child| child.is(name, ns))
    }

    /// The text directly inside.
    pub fn text(&self) -> String {
        self.nodes
            .iter()
            .filter_map(|node| if let Node::Text(text) = node { Some(text.as_str()) } else { None })
            .collect()
    }

    /// The text of a child of the same namespace.
    pub fn text_of(&self, name: &str) -> Option<String> {
        self.get(name).map(Element::text)
    }

    /// Prints, where `inherited` is the default namespace that already holds.
    pub fn print(&self, inherited: &str, out: &mut String) {
        out.push('<');
        out.push_str(&self.name);
        if self.ns != inherited {
            print_attribute("xmlns", &self.ns, out);
        }
        for (name, value) in &self.attributes {
            print_attribute(name, value, out);
        }
        if self.nodes.is_empty() {
            out.push_str("/>");
            return;
        }
        out.push('>');
        for node in &self.nodes {
            match node {
                Node::Element(child) => child.print(&self.ns, out),
                Node::Text(text) => escape::escape_text(text, out),
            }
        }
        out.push_str("</");
        out.push_str(&self.name);
        out.push('>');
    }

    /// Reads one whole element; `inherited` is the default namespace around it.
    pub fn parse(text: &str, inherited: &str) -> Result<Self, XmlError> {
        let wrapped = Self::parse_content(text, inherited, "")?;
        wrapped.into_iter().next().ok_or(XmlError::NotWellFormed("no element"))
    }

    /// Reads the elements between a start and an end tag; `prefixes` are declarations that hold around them.
    pub fn parse_content(content: &str, inherited: &str, prefixes: &str) -> Result<Vec<Self>, XmlError> {
        let mut wrapped = String::with_capacity(content.len() + 64);
        wrapped.push_str("<w");
        print_attribute("xmlns", inherited, &mut wrapped);
        wrapped.push_str(prefixes);
        wrapped.push('>');
        wrapped.push_str(content);
        wrapped.push_str("</w>");
        let root = read(&wrapped)?;
        Ok(root
            .nodes
            .into_iter()
            .filter_map(|n| if let Node::Element(e) = n { Some(e) } else { None })
            .collect())
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        self.print("", &mut out);
        f.write_str(&out)
    }
}

pub(crate) fn print_attribute(name: &str, value: &str, out: &mut String) {
    out.push(' ');
    out.push_str(name);
    out.push_str("='");
    escape::escape_attribute(value, out);
    out.push('\'');
}

fn read(text: &str) -> Result<Element, XmlError> {
    let mut reader = NsReader::from_str(text);
    let mut open: Vec<Element> = Vec::new();
    loop {
        let (resolved, event) =
            reader.read_resolved_event().map_err(|_| XmlError::NotWellFormed("a fragment"))?;
        let closed = match event {
            Event::Start(tag) => {
                if open.len() == DEEPEST {
                    return Err(XmlError::OverLimit("depth of elements"));
                }
                open.push(element(&resolved, &tag)?);
                None
            }
            Event::Empty(tag) => Some(element(&resolved, &tag)?),
            Event::End(_) => open.pop(),
            Event::Text(text) => {
                push_text(&mut open, &text.xml10_content());
                None
            }
            Event::CData(text) => {
                push_text(&mut open, &text.xml10_content());
                None
            }
            Event::GeneralRef(name) => {
                push_text(&mut open, &escape::unescape(&format!("&{};", name.into_inner()))?);
                None
            }
            Event::Eof => return Err(XmlError::NotWellFormed("an element without end")),
            _ => return Err(XmlError::Restricted("a comment or a processing instruction")),
        };
        let Some(closed) = closed else { continue };
        match open.last_mut() {
            Some(parent) => parent.nodes.push(Node::Element(closed)),
            None => return Ok(closed),
        }
    }
}

pub(super) fn element(resolved: &ResolveResult<'_>, tag: &BytesStart<'_>) -> Result<Element, XmlError> {
    let ns = match resolved {
        ResolveResult::Bound(ns) => escape::unescape(ns.as_ref())?.into_owned(),
        ResolveResult::Unbound => String::new(),
        ResolveResult::Unknown(_) => return Err(XmlError::NotWellFormed("a prefix that nothing binds")),
    };
    let mut element = Element { ns, name: tag.local_name().as_ref().to_owned(), ..Element::default() };
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|_| XmlError::NotWellFormed("an attribute"))?;
        let name: &str = attribute.key.as_ref();
        if name != "xmlns" && !name.starts_with("xmlns:") {
            element.attributes.push((name.to_owned(), escape::unescape(&attribute.value)?.into_owned()));
        }
    }
    Ok(element)
}

pub(super) fn push_text(open: &mut [Element], text: &str) {
    let Some(parent) = open.last_mut() else { return };
    match parent.nodes.last_mut() {
        Some(Node::Text(before)) => before.push_str(text),
        _ if text.is_empty() => {}
        _ => parent.nodes.push(Node::Text(text.to_owned())),
    }
}

/// Elements inside elements.
const DEEPEST: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_printed() {
        let it = Element::new("a", "u")
            .with("x", "1 < 2 & 'q'\n")
            .text_node("é < & >")
            .child(Element::new("b", "v").child(Element::new("c", "u")))
            .text_child("d", "t");
        assert_eq!(Element::parse(&it.to_string(), "").unwrap(), it);
    }

    #[test]
    fn binds_prefixes_and_prints_without_them() {
        let it = Element::parse_content("<p:a><b/><p:c/></p:a>", "u", " xmlns:p='v'").unwrap();
        assert_eq!(it[0].to_string(), "<a xmlns='v'><b xmlns='u'/><c/></a>");
        assert!(Element::parse("<q:a/>", "").is_err());
    }
}
