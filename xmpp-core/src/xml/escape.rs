//! Characters and references of XML 1.0 — productions 2 (Char), 66 (CharRef), 68 (EntityRef) and §4.6 (the five).
//!
//! In    raw text between tags or inside quotes, or text to be written.
//! Out   the other form.
//! Errors a character that XML forbids is `not-well-formed`, an entity that nobody declared is `restricted-xml`.

use std::borrow::Cow;

use super::XmlError;

/// Appends `text` fit to stand between tags.
pub fn escape_text(text: &str, out: &mut String) {
    escape(text, out, |byte| match byte {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        b'\r' => Some("&#13;"),
        _ => None,
    });
}

/// Appends `text` fit to stand in single quotes.
pub fn escape_attribute(text: &str, out: &mut String) {
    escape(text, out, |byte| match byte {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        b'\'' => Some("&apos;"),
        b'"' => Some("&quot;"),
        b'\t' => Some("&#9;"),
        b'\n' => Some("&#10;"),
        b'\r' => Some("&#13;"),
        _ => None,
    });
}

fn escape(text: &str, out: &mut String, replacement: impl Fn(u8) -> Option<&'static str>) {
    let mut written = 0;
    for (at, byte) in text.bytes().enumerate() {
        let (octets, replacement) = match (replacement(byte), byte) {
            (Some(replacement), _) => (1, replacement),
            // What XML has no way to write, wherever it came from, would end the stream of who reads it.
            (None, 0..=0x08 | 0x0b | 0x0c | 0x0e..=0x1f) => (1, UNWRITABLE),
            (None, 0xef) if matches!(text.as_bytes()[at..], [_, 0xbf, 0xbe | 0xbf, ..]) => (3, UNWRITABLE),
            _ => continue,
        };
        out.push_str(&text[written..at]);
        out.push_str(replacement);
        written = at + octets;
    }
    out.push_str(&text[written..]);
}

/// What stands for a character that XML 1.0 does not let appear.
const UNWRITABLE: &str = "\u{fffd}";

/// Whether XML 1.0 lets this character appear (production 2).
pub fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// Replaces references by what they stand for; borrows when there are none.
pub fn unescape(raw: &str) -> Result<Cow<'_, str>, XmlError> {
    let Some(first) = memchr::memchr(b'&', raw.as_bytes()) else { return Ok(Cow::Borrowed(raw)) };
    let mut out = String::with_capacity(raw.len());
    let (mut rest, mut at) = (raw, first);
    loop {
        out.push_str(&rest[..at]);
        let end =
            rest[at..].find(';').ok_or(XmlError::NotWellFormed("a reference without its semicolon"))? + at;
        out.push(reference(&rest[at + 1..end])?);
        rest = &rest[end + 1..];
        match memchr::memchr(b'&', rest.as_bytes()) {
            Some(next) => at = next,
            None => break,
        }
    }
    out.push_str(rest);
    Ok(Cow::Owned(out))
}

/// What stands between `&` and `;`.
fn reference(name: &str) -> Result<char, XmlError> {
    let number = match name {
        "lt" => return Ok('<'),
        "gt" => return Ok('>'),
        "amp" => return Ok('&'),
        "apos" => return Ok('\''),
        "quot" => return Ok('"'),
        _ => name.strip_prefix('#').ok_or(XmlError::Restricted("an entity other than the five of XML"))?,
    };
    let (digits, radix) = number.strip_prefix('x').map_or((number, 10), |hex| (hex, 16));
    let is_number = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    let code = if is_number { u32::from_str_radix(digits, radix).ok() } else { None };
    code.and_then(char::from_u32)
        .filter(|c| is_xml_char(*c))
        .ok_or(XmlError::NotWellFormed("a reference to a character that XML forbids"))
}

/// Checks raw text without building its unescaped form: characters and references.
pub(super) fn check(raw: &str) -> Result<(), XmlError> {
    let is_plain =
        raw.bytes().all(|b| (b >= 0x20 && b != b'&' && b < 0x80) || matches!(b, b'\t' | b'\n' | b'\r'));
    if is_plain {
        return Ok(());
    }
    if !raw.chars().all(is_xml_char) {
        return Err(XmlError::NotWellFormed("a character that XML forbids"));
    }
    unescape(raw).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unescapes_what_it_escaped() {
        let text = "a<b>&\"c'\r\n\té";
        for escape in [escape_text, escape_attribute] {
            let mut out = String::new();
            escape(text, &mut out);
            assert_eq!(unescape(&out).unwrap(), text);
        }
        assert_eq!(unescape("&#x41;&#66;").unwrap(), "AB");
    }

    #[test]
    fn refuses_foreign_entities_and_forbidden_characters() {
        assert!(matches!(unescape("&nbsp;"), Err(XmlError::Restricted(_))));
        for bad in ["&#0;", "&#x1F;", "&#xD800;", "&#;", "&#+65;", "&amp", "&#99999999999;"] {
            assert!(matches!(unescape(bad), Err(XmlError::NotWellFormed(_))), "{bad}");
        }
        assert!(check("\u{1}").is_err() && check("\u{FFFE}").is_err() && check("tab\tand é").is_ok());
    }

    #[test]
    fn what_xml_cannot_write_is_replaced() {
        let mut out = String::new();
        escape_text("a\0b\u{b}\u{fffe}c\u{ffff}\u{fffd}\u{ef3f}\t<", &mut out);
        assert_eq!(out, "a\u{fffd}b\u{fffd}\u{fffd}c\u{fffd}\u{fffd}\u{ef3f}\t&lt;");
        assert!(out.chars().all(is_xml_char));
    }
}
