//! Between content namespaces — RFC 6120 §4.8.3: what is `jabber:server` between servers is `jabber:client` to clients.
//!
//! Inside this crate stanzas are those of clients. Whatever inherits the content namespace needs no change; what names it
//! is written anew.
//!
//! In    a frame of another content namespace; a stanza that leaves for one. Out the same in the other namespace.
//! Prefixes that the stream declares and the stanza does not use are dropped: a server declares `db` for all of them.

use std::borrow::Cow;

use bytes::Bytes;

use super::{ParseError, Stanza};
use crate::ns;
use crate::xml::{Element, Head, Node};

impl Stanza {
    /// Reads a frame of a stream whose content namespace is `content_ns`, as [`Stanza::from_frame`] does.
    pub fn from_foreign_frame(
        content_ns: &str,
        head: Head,
        content: Bytes,
    ) -> Result<Self, (ParseError, Option<Box<Self>>)> {
        let (head, content) = match head.ns == content_ns {
            true => enter(content_ns, head, content),
            false if head.ns == ns::CLIENT => return Err((ParseError::InvalidNamespace, None)),
            false => (head, content),
        };
        Self::from_frame(&head, content)
    }

    /// Prints for a stream of another content namespace, which names none: its elements inherit it.
    pub fn to_foreign_bytes(&self) -> Bytes {
        if !self.mentions(ns::CLIENT) {
            return self.to_bytes();
        }
        let other = self.attributes_only();
        let children = self.children();
        Self { other, ..self.clone().with_content(&children) }.to_bytes()
    }
}

fn enter(content_ns: &str, mut head: Head, content: Bytes) -> (Head, Bytes) {
    ns::CLIENT.clone_into(&mut head.ns);
    let text = std::str::from_utf8(&content).unwrap_or_default();
    let is_named = memchr::memmem::find(&content, content_ns.as_bytes()).is_some();
    let rewritten = is_named.then(|| Element::parse_content(text, content_ns, &head.prefixes).ok()).flatten();
    let content = match rewritten {
        Some(children) => {
            let mut out = String::with_capacity(content.len());
            for mut child in children {
                rename(&mut child, content_ns);
                child.print(ns::CLIENT, &mut out);
            }
            out.into()
        }
        None => content,
    };
    if !head.prefixes.is_empty() {
        head.prefixes = used(&head, &content).into_owned();
    }
    (head, content)
}

fn rename(element: &mut Element, from: &str) {
    if element.ns == from {
        ns::CLIENT.clone_into(&mut element.ns);
    }
    for node in &mut element.nodes {
        if let Node::Element(child) = node {
            rename(child, from);
        }
    }
}

/// The declarations that the content or an attribute has a use for.
fn used<'a>(head: &'a Head, content: &[u8]) -> Cow<'a, str> {
    let is_used = |prefix: &str| {
        let mark = format!("{prefix}:");
        memchr::memmem::find(content, mark.as_bytes()).is_some()
            || head.attributes.iter().any(|(name, _)| name.starts_with(&mark))
    };
    // ` xmlns:a='…' xmlns:b='…'`, where no value holds an apostrophe.
    let parts: Vec<&str> = head.prefixes.split('\'').collect();
    let all = parts.chunks_exact(2);
    let prefix =
        |declaration: &str| declaration.trim_start_matches(" xmlns:").trim_end_matches('=').to_owned();
    if all.clone().all(|pair| is_used(&prefix(pair[0]))) {
        return Cow::Borrowed(&head.prefixes);
    }
    let kept = all.filter(|pair| is_used(&prefix(pair[0])));
    Cow::Owned(kept.fold(String::new(), |text, pair| text + pair[0] + "'" + pair[1] + "'"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{Frame, Framer, Limits};

    fn entered(stanza: &str) -> String {
        let mut framer = Framer::new(Limits::default());
        framer.push(
            b"<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
              xmlns:db='jabber:server:dialback' xmlns:f='urn:f' version='1.0'>",
        );
        framer.push(stanza.as_bytes());
        framer.next().unwrap();
        let Some(Frame::Element(head, content)) = framer.next().unwrap() else { panic!() };
        let stanza = Stanza::from_foreign_frame(ns::SERVER, head, content).unwrap();
        String::from_utf8(stanza.to_bytes().to_vec()).unwrap()
    }

    #[test]
    fn what_inherits_the_namespace_passes_as_it_is() {
        let text = "<message from='a@x' to='b@y'><body>db is no prefix</body></message>";
        assert_eq!(entered(text), text);
    }

    #[test]
    fn what_names_the_namespace_is_written_anew() {
        let text = "<message to='b@y'><body xmlns='jabber:server'>x</body><forwarded xmlns='urn:xmpp:forward:0'>\
                    <s:message xmlns:s='jabber:server'><s:body/></s:message></forwarded></message>";
        let wanted = "<message to='b@y'><body>x</body><forwarded xmlns='urn:xmpp:forward:0'>\
                      <message xmlns='jabber:client'><body/></message></forwarded></message>";
        assert_eq!(entered(text), wanted);
    }

    #[test]
    fn prefixes_stay_where_they_are_used() {
        assert_eq!(entered("<iq><f:x/></iq>"), "<iq xmlns:f='urn:f'><f:x/></iq>");
        assert_eq!(entered("<iq f:a='1'/>"), "<iq xmlns:f='urn:f' f:a='1'/>");
    }

    #[test]
    fn refuses_other_namespaces() {
        let head = Head { name: "message".into(), ns: ns::CLIENT.into(), ..Head::default() };
        let refused = Stanza::from_foreign_frame(ns::SERVER, head, Bytes::new());
        assert_eq!(refused.unwrap_err().0, ParseError::InvalidNamespace);
    }

    #[test]
    fn leaves_without_naming_the_namespace_of_clients_on_top() {
        let text = "<message to='b@y' xml:lang='de'><body xmlns='jabber:client'>x</body>\
                    <forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'/></forwarded></message>";
        let printed = Stanza::parse(text).unwrap().with_raw(text_of(text)).to_foreign_bytes();
        let wanted = "<message to='b@y'><body>x</body><forwarded xmlns='urn:xmpp:forward:0'>\
                      <message xmlns='jabber:client'/></forwarded></message>";
        assert_eq!(String::from_utf8(printed.to_vec()).unwrap(), wanted);
    }

    fn text_of(stanza: &str) -> Bytes {
        let (_, content) = stanza.split_once('>').unwrap();
        content.strip_suffix("</message>").unwrap().to_owned().into()
    }
}
