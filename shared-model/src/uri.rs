//! What a URI names, as people, clients and operators write it: the address or the number without what is around it.

use std::net::IpAddr;

/// A text without the scheme of its URI (RFC 3261 §19.1.1, RFC 3966 §3, RFC 5122 §2.2, RFC 3860 §3) and the angle brackets around it; what
/// has none of these stays as it is.
pub fn without_scheme(text: &str) -> &str {
    let text = text.trim();
    let text = text.strip_prefix('<').map_or(text, |it| it.strip_suffix('>').unwrap_or(it).trim());
    match text.split_once(':') {
        Some((scheme, rest)) if SCHEMES.iter().any(|known| known.eq_ignore_ascii_case(scheme)) => rest,
        _ => text,
    }
}

/// The digits of a telephone number, as people and URIs write it; a network address is none.
pub fn number_in(text: &str) -> Option<String> {
    let text = text.trim();
    let digits: String = text.chars().filter(|c| !" -()./".contains(*c)).collect();
    let number = digits.strip_prefix('+').unwrap_or(&digits);
    let is_number = number.len() > 1 && number.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && text.parse::<IpAddr>().is_err()).then(|| number.to_owned())
}

const SCHEMES: [&str; 5] = ["sip", "sips", "tel", "xmpp", "im"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_goes_in_any_case_and_nothing_else_does() {
        for (text, bare) in [
            (" sip:alice@example.org ", "alice@example.org"),
            ("SIPS:alice@example.org;transport=tls", "alice@example.org;transport=tls"),
            ("<sip:alice@example.org>", "alice@example.org"),
            ("<tel:+33123", "+33123"),
            ("xmpp:alice@example.org?message", "alice@example.org?message"),
            ("im:alice@example.org", "alice@example.org"),
            ("mailto:alice@example.org", "mailto:alice@example.org"),
            ("alice@example.org:5060", "alice@example.org:5060"),
            ("2001:db8::1", "2001:db8::1"),
            ("sip", "sip"),
            ("<>", ""),
            ("", ""),
        ] {
            assert_eq!(without_scheme(text), bare, "{text}");
        }
    }

    #[test]
    fn a_number_is_digits_however_they_are_parted() {
        for (text, number) in [
            ("+33 1 55-50 (19) 80", Some("33155501980")),
            ("1980", Some("1980")),
            ("192.0.2.7", None),
            ("2001:db8::1", None),
            ("a84b4c76", None),
            ("+", None),
            ("", None),
        ] {
            assert_eq!(number_in(text).as_deref(), number, "{text}");
        }
    }
}
