//! An address as an operator writes it, or copies it from a phone: the URI that names it as well.
//!
//! In    a text. Out what it names, without the scheme, the parameters and the escapes of the URI (RFC 3261 §19.1.1 and §19.1.2,
//! RFC 5122 §2.2, RFC 3966 §3). Errors none: what is no URI of these stays as it is.

use shared_model::without_scheme;

/// The address or the number in `text`.
pub fn address_in(text: &str) -> String {
    let (text, bare) = (text.trim(), without_scheme(text));
    // Escapes are a URI's.
    if bare.len() == text.len() { text.to_owned() } else { unescaped(named(bare)) }
}

/// Who is named, without what the URI asks for behind that; a `;` or `?` before the `@` is of the user's name.
fn named(rest: &str) -> &str {
    let host = rest.find('@').map_or(0, |at| at + 1);
    let end = rest[host..].find([';', '?']).map_or(rest.len(), |end| host + end);
    &rest[..end]
}

fn unescaped(text: &str) -> String {
    let (mut out, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((first, behind)) = rest.split_first() {
        // Digits alone: the reader of numbers takes a sign as well.
        let digits = behind.get(..2).filter(|two| *first == b'%' && two.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|two| std::str::from_utf8(two).ok());
        match digits.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = &behind[2..];
            }
            None => {
                out.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_from_its_uri_too() {
        for (written, read) in [
            ("alice@example.org", "alice@example.org"),
            (" sip:alice@example.org ", "alice@example.org"),
            ("SIPS:j%C3%B6rg@example.org", "jörg@example.org"),
            ("xmpp:alice@example.org", "alice@example.org"),
            ("tel:+33123456789", "+33123456789"),
            ("mailto:alice@example.org", "mailto:alice@example.org"),
            ("sip:alice@example.org;transport=tls", "alice@example.org"),
            ("sips:a;b@example.org:5061?subject=x", "a;b@example.org:5061"),
            ("xmpp:alice@example.org?message", "alice@example.org"),
            ("tel:+33123456789;ext=5", "+33123456789"),
            ("sip:a%+f%-1@example.org", "a%+f%-1@example.org"),
            ("sip:a%zz%c3@example.org", "a%zz%c3@example.org"),
        ] {
            assert_eq!(address_in(written), read);
        }
    }
}
