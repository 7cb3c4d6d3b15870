//! Parameters — RFC 3261 §25.1, `generic-param`: `;name`, `;name=token`, `;name="quoted"`.

use crate::cut;
use crate::message::is_token_text;

/// What follows a value: zero or more parameters, each beginning with a semicolon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Params<'a>(pub &'a str);

impl<'a> Params<'a> {
    /// Every parameter as it stands, in order; empty ones are passed over.
    pub fn raw(self) -> impl Iterator<Item = &'a str> + Clone {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            rest = rest.trim_start_matches(|c: char| c == ';' || c.is_ascii_whitespace());
            if rest.is_empty() {
                return None;
            }
            let (param, after) = rest.split_at(end_of(rest));
            rest = after;
            Some(param.trim_ascii_end())
        })
    }

    /// Every parameter with its value, in order; quotes are taken off, escapes inside them stay.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> + Clone {
        let divide = |param: &'a str| match cut::once(param, b'=') {
            Some((name, value)) => (name.trim_ascii_end(), Some(unquote(value.trim_ascii_start()))),
            None => (param, None),
        };
        self.raw().map(divide).filter(|(name, _)| !name.is_empty())
    }

    /// The value of a parameter; `None` if it is absent or has none. Names compare without case.
    pub fn value(self, name: &str) -> Option<&'a str> {
        self.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).and_then(|(_, value)| value)
    }

    /// Whether every semicolon has a parameter, every name is a token, and every quote ends.
    pub fn is_well_formed(self) -> bool {
        let mut rest = self.0.trim_ascii();
        while let Some(after) = rest.strip_prefix(';') {
            let end = end_of(after);
            let name = after[..end].split('=').next().unwrap_or_default();
            if !is_token_text(name.trim_ascii()) {
                return false;
            }
            rest = &after[end..];
        }
        rest.is_empty() && !self.has_open_quote()
    }

    /// Whether a quote does not end, so that it would swallow a parameter that is added.
    pub fn has_open_quote(self) -> bool {
        self.raw().last().is_some_and(|param| semicolon(param) == Err(Quote::Open))
    }

    /// Whether the parameter is there.
    pub fn has(self, name: &str) -> bool {
        self.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
    }
}

fn end_of(text: &str) -> usize {
    semicolon(text).unwrap_or(text.len())
}

/// Where the next semicolon is that is in no quotes; the error says whether a quote is left open.
fn semicolon(text: &str) -> Result<usize, Quote> {
    match memchr::memchr2(b';', b'"', text.as_bytes()) {
        None => return Err(Quote::Closed),
        Some(at) if text.as_bytes()[at] == b';' => return Ok(at),
        Some(_) => {}
    }
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b';' if !is_quoted => return Ok(at),
            _ => {}
        }
    }
    Err(if is_quoted { Quote::Open } else { Quote::Closed })
}

#[derive(PartialEq, Eq)]
enum Quote {
    Open,
    Closed,
}

fn unquote(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_tokens_quotes_and_flags() {
        let params = Params(r#";lr; Q=0.5 ;+sip.instance="<urn:uuid:1;2>""#);
        assert!(params.has("LR") && params.value("lr").is_none());
        assert_eq!(params.value("q"), Some("0.5"));
        assert_eq!(params.value("+sip.instance"), Some("<urn:uuid:1;2>"));
        assert_eq!(params.iter().count(), 3);
    }

    #[test]
    fn a_semicolon_without_a_parameter_is_noticed() {
        for right in ["", ";a", " ;a=b ; c", r#";a=";" ;b"#] {
            assert!(Params(right).is_well_formed(), "{right}");
        }
        for wrong in [";", ";;a", ";a;", "a", ";=b", ";a b", ";a,b", ";a=\"b;c"] {
            assert!(!Params(wrong).is_well_formed(), "{wrong}");
        }
    }
}
