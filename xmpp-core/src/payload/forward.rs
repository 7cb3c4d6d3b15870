//! Stanzas inside stanzas — XEP-0297 1.0, section 3: a whole stanza, and when it was first delivered.
//!
//! In    an element to be around it, and a stanza as it is printed. Out bytes for [`Stanza::with_raw`]; nothing is parsed.
//!
//! [`Stanza::with_raw`]: crate::Stanza::with_raw

use bytes::Bytes;

use crate::ns;
use crate::xml::Element;

/// `outer` with `<forwarded/>` as its content, and in that a `<delay/>` if there is one, and the stanza.
pub fn wrap(outer: &Element, stanza: &[u8], delay: Option<&Element>) -> Bytes {
    let mut head = String::with_capacity(256 + stanza.len());
    outer.print(ns::CLIENT, &mut head);
    head.truncate(head.len() - "/>".len()); // it is empty
    head.push_str("><forwarded");
    crate::xml::print_attribute("xmlns", ns::FORWARD, &mut head);
    head.push('>');
    if let Some(delay) = delay {
        delay.print(ns::FORWARD, &mut head);
    }
    // A stanza is printed without the namespace of the stream that it is on.
    let name = stanza.iter().position(|byte| matches!(byte, b' ' | b'>' | b'/')).unwrap_or(stanza.len());
    let mut out = head.into_bytes();
    out.extend_from_slice(&stanza[..name]);
    out.extend_from_slice(b" xmlns='jabber:client'");
    out.extend_from_slice(&stanza[name..]);
    out.extend_from_slice(b"</forwarded></");
    out.extend_from_slice(outer.name.as_bytes());
    out.push(b'>');
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, Stanza};

    #[test]
    fn what_is_inside_is_read_again() {
        let inner = Stanza::parse("<message to='a@x'><body>h&amp;i</body><x xmlns='u'/></message>").unwrap();
        let outer = Element::new("sent", ns::CARBONS).with("id", "'");
        let delay = Element::new("delay", ns::DELAY);
        let message =
            Stanza::new(Kind::Message, None).with_raw(wrap(&outer, &inner.to_bytes(), Some(&delay)));
        let sent = message.find("sent", ns::CARBONS).unwrap();
        let forwarded = sent.find("forwarded", ns::FORWARD).unwrap();
        assert!(forwarded.find("delay", ns::DELAY).is_some());
        let found = forwarded.find("message", ns::CLIENT).unwrap();
        assert_eq!((found.text_of("body").unwrap().as_str(), found.attribute("to")), ("h&i", Some("a@x")));
    }
}
