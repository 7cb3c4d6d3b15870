//! Credentials and challenges — RFC 3261 §20.7, §20.44, RFC 7616 §3: a scheme and `name=value` divided by commas.

use std::borrow::Cow;

use super::Elements;

/// The parameters after a scheme.
#[derive(Debug, Clone, Copy)]
pub struct AuthParams<'a> {
    /// The scheme, such as `Digest`.
    pub scheme: &'a str,
    rest: &'a str,
}

impl<'a> AuthParams<'a> {
    /// Divides the scheme from its parameters.
    pub fn parse(value: &'a str) -> Option<Self> {
        let (scheme, rest) = value.trim().split_once(|c: char| c.is_ascii_whitespace())?;
        Some(Self { scheme, rest })
    }

    /// Every parameter with its value, in order: quotes taken off and escapes undone.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, Cow<'a, str>)> + use<'a> {
        let divide = |param: &'a str| {
            let at = memchr::memchr(b'=', param.as_bytes())?;
            Some((param[..at].trim_ascii(), unescape(param[at + 1..].trim_ascii())))
        };
        Elements::new(self.rest).filter_map(divide)
    }

    /// One parameter, quotes taken off and escapes undone. Names compare without case.
    pub fn value(&self, name: &str) -> Option<Cow<'a, str>> {
        self.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

fn unescape(value: &str) -> Cow<'_, str> {
    let inner = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    inner.map_or(Cow::Borrowed(value), unescape_quoted)
}

/// What stands in quotes, as it is meant (§25.1, `quoted-pair`).
pub(super) fn unescape_quoted(inner: &str) -> Cow<'_, str> {
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Cow::Borrowed(inner);
    }
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        out.push(if c == '\\' { chars.next().unwrap_or('\\') } else { c });
    }
    Cow::Owned(out)
}

/// Puts a text in quotes (§25.1, `quoted-string`).
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_tokens_and_quotes() {
        let auth = AuthParams::parse(r#"Digest username="a\"b, c", qop=auth,NC = 00000001"#).unwrap();
        assert_eq!(auth.scheme, "Digest");
        assert_eq!(auth.value("username").as_deref(), Some("a\"b, c"));
        assert_eq!(auth.value("nc").as_deref(), Some("00000001"));
        assert_eq!(auth.value("qop").as_deref(), Some("auth"));
        assert_eq!(auth.value("nonce"), None);
        assert_eq!(quote(r#"a"\"#), r#""a\"\\""#);
    }
}
