//! A telephone number or address that is not the account's own, as a user writes it into a card (S-16).
//!
//! In    the text, and the domains of this service.
//! Out   its normal form: a number of E.164 with its plus, or an address by the grammar of RFC 3261 §25.1.
//! Errors a sentence that says what is wrong with it.
//!
//! Jitsi drops blanks and parentheses from what holds an `@`, and takes a caller for whoever has a number that is
//! *contained* in `user@host`. So the text is judged without them, and nothing passes that is a part of an address of ours.
//! Not here: whether a number is another account's, which the directory knows.

use shared_model::idn;

/// What a user may write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Foreign {
    /// A number of E.164, and the parameters that a `tel:` URI had, such as `;ext=5` (RFC 3966 §3).
    Number(String, String),
    /// An address elsewhere, with its scheme if it has one.
    Address(String),
}

impl Foreign {
    /// Reads a text. `domains` are ours.
    pub(crate) fn read(text: &str, domains: &[&str]) -> Result<Self, String> {
        match text.contains('@') {
            true => address(text, domains).map(Self::Address),
            false => number(text),
        }
    }

    /// As it is kept.
    pub(crate) fn into_text(self) -> String {
        match self {
            Self::Number(number, parameters) if parameters.is_empty() => number,
            Self::Number(number, parameters) => format!("tel:{number}{parameters}"),
            Self::Address(address) => address,
        }
    }
}

fn address(text: &str, domains: &[&str]) -> Result<String, String> {
    let normal: String = text.chars().filter(|c| !c.is_whitespace() && !matches!(c, '(' | ')')).collect();
    let bare = ["sip:", "sips:"].iter().find_map(|scheme| strip_scheme(&normal, scheme));
    let has_scheme = bare.is_some();
    let bare = bare.unwrap_or(&normal);
    let bad = |why: &str| Err(format!("the tel '{text}' {why}"));
    let Some((user, rest)) = bare.split_once('@') else { return bad(FRAGMENT) };
    let end = rest.find([';', '?']).unwrap_or(rest.len());
    let (place, rest) = rest.split_at(end);
    let (host, port) = place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port)));
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let name = idn::to_unicode(&host).unwrap_or_default();
    if domains.contains(&&*name) {
        return bad("is the address of somebody else on this service");
    }
    if user.is_empty() || !is_user(user) || !rest.bytes().all(is_parameter) {
        return bad("is not a SIP address: write it as name@domain, or as sip:name@domain");
    }
    if place.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok() {
        // It may well be a listener of ours, by one of its many names.
        return bad("names a machine by its number: write its domain");
    }
    if port.is_some_and(|port| !matches!(port.parse::<u16>(), Ok(port) if port > 0)) {
        return bad("has no port after its colon");
    }
    if !is_domain(&host) {
        return bad(FRAGMENT);
    }
    // Without scheme it is found in every `x@domain` of ours that goes on where it ends.
    if !has_scheme
        && domains.iter().any(|ours| ours.starts_with(&*name) || idn::to_ascii(ours).starts_with(&host))
    {
        return bad("is a fragment of addresses on this service: write it whole, or with sip: before it");
    }
    Ok(normal)
}

fn number(text: &str) -> Result<Foreign, String> {
    let bad = |why: &str| Err(format!("the tel '{text}' {why}"));
    let bare = strip_scheme(text, "tel:");
    let end = bare.and_then(|bare| bare.find(';')).unwrap_or(bare.unwrap_or(text).len());
    let (written, parameters) = bare.unwrap_or(text).split_at(end);
    let written = written.trim();
    if !written.chars().all(|c| c.is_ascii_digit() || " -.()/+".contains(c))
        || !parameters.bytes().all(is_parameter)
    {
        return bad(FRAGMENT);
    }
    let digits: String = written.chars().filter(char::is_ascii_digit).collect();
    let digits = match (written.starts_with('+'), digits.strip_prefix("00")) {
        (true, _) => digits.as_str(),
        (false, Some(digits)) => digits,
        (false, None) => {
            return bad("is a fragment: write it with + and the country, such as +33123456789");
        }
    };
    if !(7..=15).contains(&digits.len()) || digits.starts_with('0') {
        return bad("is not a whole number of E.164: 7 to 15 digits after the +");
    }
    Ok(Foreign::Number(format!("+{digits}"), parameters.to_owned()))
}

/// `text` after `scheme`, if it begins so in whatever case.
pub(super) fn strip_scheme<'a>(text: &'a str, scheme: &str) -> Option<&'a str> {
    text.get(..scheme.len()).filter(|head| head.eq_ignore_ascii_case(scheme)).map(|_| &text[scheme.len()..])
}

/// RFC 3261 §25.1 `user`, less the parentheses that a reader drops. No password (§19.1.1).
fn is_user(user: &str) -> bool {
    user.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.!~*'%&=+$,;?/".contains(&byte))
}

/// `uri-parameters` and `headers`.
fn is_parameter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.!~*'%&=+$,;?/:[]".contains(&byte)
}

/// RFC 3261 §25.1 `hostname`, of at least two labels.
fn is_domain(host: &str) -> bool {
    let is_label = |label: &str| {
        let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(is_inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let top = host.rsplit('.').next().unwrap_or_default();
    host.contains('.') && host.split('.').all(is_label) && top.starts_with(|c: char| c.is_ascii_alphabetic())
}

const FRAGMENT: &str = "is a fragment: write a whole address or a whole number";

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &[&str] = &["example.org", "conference.example.org", "localhost"];

    fn read(text: &str) -> Result<String, String> {
        Foreign::read(text, OURS).map(Foreign::into_text)
    }

    #[test]
    fn nothing_passes_that_a_reader_finds_in_an_address_of_ours() {
        for (text, why) in [
            ("b@example.or", "fragment"),
            ("bob@example .org", "somebody else"),
            ("bob@exam(ple).org", "somebody else"),
            ("bob@example\u{a0}.org", "somebody else"),
            ("<sip:bob@example.org>", "SIP address"),
            ("sip:bob@127.0.0.1", "write its domain"),
            ("sip:bob@[::1]:5060", "write its domain"),
            ("bob@localhost", "somebody else"),
            ("BOB@LOCALHOST:5060", "somebody else"),
            ("bob@EXAMPLE.org.;transport=tls", "somebody else"),
            ("sips:bob@example.org?subject=x", "somebody else"),
            ("a@b@example.org", "fragment"),
            ("bob:secret@other.net", "SIP address"),
            ("bob@other.net:x", "port"),
            ("bob@-.net", "fragment"),
            ("mailto:bob@other.net", "SIP address"),
            ("bob@", "fragment"),
            ("@other.net", "SIP address"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(why) && error.contains(text), "{text}: {error}");
        }
    }

    #[test]
    fn whole_addresses_and_numbers_pass_in_their_normal_form() {
        for (text, normal) in [
            ("sip:me@other.net", "sip:me@other.net"),
            ("me@other.net", "me@other.net"),
            ("sip:me@example.or", "sip:me@example.or"),
            ("sip:me@sub.example.org:5061;transport=tls", "sip:me@sub.example.org:5061;transport=tls"),
            ("+33 (1) 98-76.54/32", "+33198765432"),
            ("tel:0033198765432", "+33198765432"),
            ("tel:+33198765432;ext=5", "tel:+33198765432;ext=5"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(normal));
        }
    }

    #[test]
    fn fragments_of_numbers_are_refused() {
        for text in ["123", "a", "0123456789", "+12", "sip:bob", "+0123456789", "+33198765432;ext=5", ""] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
