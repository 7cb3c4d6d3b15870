//! `name-addr` and `addr-spec` with parameters — RFC 3261 §20.10, §25.1: From, To, Contact, Route, Call-Info.

use super::Params;

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
        let text = text.trim();
        let (display, rest) = if let Some(quoted) = text.strip_prefix('"') {
            let end = end_of_quote(quoted)?;
            (&quoted[..end], quoted[end + 1..].trim_start())
        } else {
            match text.find('<') {
                Some(open) => (text[..open].trim(), &text[open..]),
                None => ("", text),
            }
        };
        let (uri, params) = if let Some(inner) = rest.strip_prefix('<') {
            inner.split_once('>')?
        } else if display.is_empty() {
            rest.find(';').map_or((rest, ""), |at| rest.split_at(at))
        } else {
            return None;
        };
        let (uri, params) = (uri.trim(), params.trim());
        let has_scheme =
            uri.split_once(':').is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty());
        let is_whole = params.is_empty() || params.starts_with(';');
        (has_scheme && is_whole && !uri.contains(char::is_whitespace)).then_some(Self {
            display,
            uri,
            params: Params(params),
        })
    }
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
        assert_eq!(quoted.params.value("tag"), Some("1"));
        let bare = NameAddr::parse("sip:b@x;tag=2").unwrap();
        assert_eq!((bare.uri, bare.params.value("tag")), ("sip:b@x", Some("2")));
        assert_eq!(NameAddr::parse("The Bob<sip:b@x>").unwrap().display, "The Bob");
    }

    #[test]
    fn refuses_what_has_no_uri() {
        for wrong in ["", "Bob", "\"Bob <sip:b@x>", "<sip:b@x", "Bob sip:b@x", "<>", "<sip:a b>"] {
            assert_eq!(NameAddr::parse(wrong), None, "{wrong}");
        }
    }
}
