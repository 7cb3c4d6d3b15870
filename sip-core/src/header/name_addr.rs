//! `name-addr` and `addr-spec` with parameters — RFC 3261 §20.10, §25.1: From, To, Contact, Route, Call-Info.

use std::borrow::Cow;

use super::Params;
use crate::cut;

/// An address with its name and parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameAddr<'a> {
    /// The display name as it stands, quotes taken off; empty if there is none.
    pub display: &'a str,
    /// The URI as it stands.
    pub uri: &'a str,
    /// The header's parameters. Without angle brackets all parameters are the header's, none the URI's (§20).
    pub params: Params<'a>,
}

impl<'a> NameAddr<'a> {
    /// Reads one address; `None` if it has no URI.
    pub fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim_ascii();
        if let Some(quoted) = text.strip_prefix('"') {
            let end = end_of_quote(quoted)?;
            return Self::bracketed(&quoted[..end], quoted[end + 1..].trim_ascii_start());
        }
        // Before a bracket there are tokens; a scheme's colon that comes first says that there is no bracket.
        match memchr::memchr2(b'<', b':', text.as_bytes()) {
            Some(at) if text.as_bytes()[at] == b'<' => {
                let display = text[..at].trim_ascii_end();
                // A display name that is no token wants quotes. Those marks are refused that make it mean something
                // else to others; that accents and dots go without quotes is common.
                if display.contains(['"', ',', ';', '>', '\\']) {
                    return None;
                }
                Self::bracketed(display, &text[at..])
            }
            _ => Self::bare(text),
        }
    }

    /// The display name as people read it: without the backslashes that quoting wants.
    pub fn display_name(&self) -> Cow<'a, str> {
        super::auth::unescape_quoted(self.display)
    }

    fn bracketed(display: &'a str, rest: &'a str) -> Option<Self> {
        let (uri, params) = cut::once(rest.strip_prefix('<')?, b'>')?;
        // RFC 4475 §3.1.2.14: spaces inside the brackets are not allowed, and mean nothing.
        let (uri, params) = (uri.trim_ascii(), params.trim_ascii());
        let is_whole = params.is_empty() || params.starts_with(';');
        (is_whole && is_uri(uri)).then_some(Self { display, uri, params: Params(params) })
    }

    /// §20: a URI with a comma, a question mark or a semicolon stands in brackets; what follows a semicolon here is a
    /// parameter of the header.
    fn bare(text: &'a str) -> Option<Self> {
        let (uri, params) = cut::before(text, b';');
        let uri = uri.trim_ascii_end();
        (is_uri(uri) && !uri.contains(['?', ','])).then_some(Self {
            display: "",
            uri,
            params: Params(params),
        })
    }
}

/// Whether it has a scheme and something after it, and neither space nor control character.
fn is_uri(text: &str) -> bool {
    let has_scheme = cut::find(text, b':').is_some_and(|colon| colon > 0 && colon + 1 < text.len());
    has_scheme && cut::is_clean(text)
}

fn end_of_quote(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form() {
        let quoted = NameAddr::parse(r#""Bob \"<x>" <sip:b@x;transport=tcp>;tag=1"#).unwrap();
        assert_eq!((quoted.display, quoted.uri), (r#"Bob \"<x>"#, "sip:b@x;transport=tcp"));
        assert_eq!(quoted.display_name(), "Bob \"<x>");
        assert_eq!(quoted.params.value("tag"), Some("1"));
        let bare = NameAddr::parse("sip:b@x;tag=2").unwrap();
        assert_eq!((bare.uri, bare.params.value("tag")), ("sip:b@x", Some("2")));
        assert_eq!(NameAddr::parse("The Bob<sip:b@x>").unwrap().display, "The Bob");
        assert_eq!(NameAddr::parse("B\u{f6}b. <sip:b@x>").unwrap().display, "B\u{f6}b.");
        let odd = NameAddr::parse("sip:b@x ; note=\"<a;b>\" ;tag=3").unwrap();
        assert_eq!((odd.uri, odd.params.value("tag")), ("sip:b@x", Some("3")));
        assert_eq!(
            NameAddr::parse("\"\" <sip:b@x?Route=%3Csip:c%3E>").unwrap().uri,
            "sip:b@x?Route=%3Csip:c%3E"
        );
        assert_eq!(
            NameAddr::parse("<http://[2001:db8::1]/a,b;c>;p").unwrap().uri,
            "http://[2001:db8::1]/a,b;c"
        );
    }

    #[test]
    fn refuses_what_has_no_uri() {
        for wrong in [
            "",
            "Bob",
            "\"Bob <sip:b@x>",
            "<sip:b@x",
            "Bob sip:b@x",
            "<>",
            "<sip:a b>",
            "sip:",
            ":x",
            "Bell, A <sip:b@x>",
            "\"Bob\" x <sip:b@x>",
            "\"Bob\" sip:b@x",
            "<sip:b@x>x",
            "<sip:b@x> <sip:c@x>",
            "sip:b@x?Route=%3Csip:c%3E",
            "sip:b@x,sip:c@x",
            "Tel: Bob <sip:b@x>",
            "<sip:b\0@x>",
        ] {
            assert_eq!(NameAddr::parse(wrong), None, "{wrong}");
        }
    }
}
