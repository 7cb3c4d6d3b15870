//! URIs — RFC 3261 §19.1 (SIP and SIPS), RFC 3966 (tel), RFC 5954 (hosts); any other scheme is kept as it is.
//!
//! In    a URI's text. Out its parts, borrowed; comparison as RFC 3261 §19.1.4 and RFC 3966 §4 say.
//! Not here: what a user part that is a telephone number means (§19.1.6).

mod compare;

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::cut;
use crate::header::Params;

/// A URI divided into its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uri<'a> {
    /// The scheme as it stands.
    pub scheme: &'a str,
    /// The user part, escapes and all; for `tel:` the number. Empty if there is none.
    pub user: &'a str,
    /// The password in the user part, which nobody should send.
    pub password: Option<&'a str>,
    /// The host, IPv6 in brackets; empty for schemes without one.
    pub host: &'a str,
    /// The port.
    pub port: Option<u16>,
    /// The URI's parameters.
    pub params: Params<'a>,
    /// What follows the question mark.
    pub headers: &'a str,
    /// What follows the colon of a scheme other than `sip`, `sips` and `tel`.
    pub opaque: &'a str,
}

impl<'a> Uri<'a> {
    /// Divides a URI; `None` if it is not one.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (scheme, rest) = cut::once(text, b':')?;
        let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        if !is_scheme || rest.is_empty() || !cut::is_clean(text) {
            return None;
        }
        let opaque = Self {
            scheme,
            user: "",
            password: None,
            host: "",
            port: None,
            params: Params(""),
            headers: "",
            opaque: rest,
        };
        if opaque.is_tel() {
            let (user, params) = cut::before(rest, b';');
            return is_number(user).then_some(Self { user, params: Params(params), opaque: "", ..opaque });
        }
        if !opaque.is_sip() {
            return Some(opaque);
        }
        // The user part may hold `;` and `?`; an `@` is escaped wherever it is none of ours (§25.1), so that the one
        // that stands there divides.
        let (user, password, rest) = match cut::once(rest, b'@') {
            None => ("", None, rest),
            Some((info, rest)) => {
                let (user, password) =
                    cut::once(info, b':').map_or((info, None), |(user, password)| (user, Some(password)));
                if user.is_empty() || password.is_some_and(|password| password.contains(':')) {
                    return None;
                }
                (user, password, rest)
            }
        };
        let (rest, headers) = cut::once(rest, b'?').unwrap_or((rest, ""));
        let (host_port, params) = cut::before(rest, b';');
        let (host, port) = split_host_port(host_port)?;
        let is_divided = cut::find(params, b'@').is_none() && cut::find(headers, b'@').is_none();
        let params = Params(params);
        is_divided.then_some(Self { user, password, host, port, params, headers, opaque: "", ..opaque })
    }

    /// Whether it is `sip:` or `sips:`.
    pub fn is_sip(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("sip") || self.is_sips()
    }

    /// Whether it is `sips:`.
    pub fn is_sips(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("sips")
    }

    /// Whether it is `tel:`.
    pub fn is_tel(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("tel")
    }

    /// The user part with escapes undone (§19.1.4: `%61lice` is `alice`).
    pub fn user_unescaped(&self) -> Cow<'a, str> {
        unescape(self.user)
    }

    /// The transport parameter.
    pub fn transport(&self) -> Option<&'a str> {
        self.params.value("transport")
    }
}

/// Undoes `%41`; what is not an escape, or would not be UTF-8, stays.
pub fn unescape(text: &str) -> Cow<'_, str> {
    if cut::find(text, b'%').is_none() {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |offset: usize| bytes.get(at + offset).and_then(|byte| char::from(*byte).to_digit(16));
        match (bytes[at], hex(1), hex(2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, _, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// Divides `host`, `host:port`, `[v6]:port`. White space around the colon is a Via's, and a dot behind a name says nothing (§25.1).
pub fn split_host_port(text: &str) -> Option<(&str, Option<u16>)> {
    let end = match text.strip_prefix('[') {
        Some(inner) => inner.find(']')? + 2,
        None => cut::find(text, b':').unwrap_or(text.len()),
    };
    let (host, port) = (text[..end].trim_ascii_end(), text[end..].trim_ascii());
    let port = match port {
        "" => None,
        port => Some(port_number(port.strip_prefix(':')?.trim_ascii_start())?),
    };
    is_host(host).then_some((host.strip_suffix('.').unwrap_or(host), port))
}

/// Digits that are a number below 2¹⁶.
fn port_number(text: &str) -> Option<u16> {
    let number = text.bytes().try_fold(0_u32, |number, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        Some(number * 10 + u32::from(digit)).filter(|number| *number <= 0xffff)
    })?;
    if text.is_empty() { None } else { u16::try_from(number).ok() }
}

fn is_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return ipv6(inner).is_some();
    }
    // RFC 5954 §4.1: what looks like an IPv4 address is one. Underscores and leading hyphens are common in names.
    let (mut last, mut seen) = (DOT, 0);
    for byte in host.bytes() {
        let kind = HOST[byte as usize];
        seen |= kind | ((kind & last & DOT) << 1);
        last = kind;
    }
    seen & WRONG == 0 && !host.is_empty() && (seen & LETTER != 0 || is_ipv4(host))
}

/// Four numbers below 256, written as they are by themselves (RFC 3986 §3.2.2), of a text of digits and dots.
fn is_ipv4(text: &str) -> bool {
    let (mut parts, mut number, mut digits, mut leads_with_zero) = (1, 0_u32, 0, false);
    for byte in text.bytes() {
        if byte == b'.' {
            if digits == 0 {
                return false;
            }
            (parts, number, digits) = (parts + 1, 0, 0);
            continue;
        }
        leads_with_zero |= digits == 1 && number == 0;
        (number, digits) = (number * 10 + u32::from(byte - b'0'), digits + 1);
        if number > 255 || digits > 3 {
            return false;
        }
    }
    parts == 4 && digits > 0 && !leads_with_zero
}

// What a byte is in a host's name.
const DIGIT: u8 = 1;
const LETTER: u8 = 2;
const DOT: u8 = 4;
/// No part of a name; a dot behind a dot is one place above a dot.
const WRONG: u8 = 8;

static HOST: [u8; 256] = {
    let mut table = [WRONG; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'0'..=b'9' => DIGIT,
            b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'_' => LETTER,
            b'.' => DOT,
            _ => WRONG,
        };
        byte += 1;
    }
    table
};

/// An IPv6 address without its brackets. RFC 5118 §4.10: the grammar of RFC 3261 led to a third colon before an
/// embedded IPv4 address, which is passed over.
fn ipv6(text: &str) -> Option<Ipv6Addr> {
    text.parse().ok().or_else(|| {
        let (before, after) = text.split_once(":::")?;
        after.parse::<Ipv4Addr>().ok()?;
        format!("{before}::{after}").parse().ok()
    })
}

/// RFC 3966 §3: digits, the signs of a keypad, visual separators, and escapes of them.
fn is_number(text: &str) -> bool {
    let rest = text.strip_prefix('+').unwrap_or(text);
    let is_sign = |byte: u8| byte.is_ascii_hexdigit() || b"*#%".contains(&byte);
    rest.bytes().any(is_sign) && rest.bytes().all(|byte| is_sign(byte) || compare::is_separator(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divides_what_the_rfc_shows() {
        let uri = Uri::parse("sips:alice:secret@[2001:db8::1]:5061;transport=tcp?subject=x").unwrap();
        assert_eq!(
            (uri.user, uri.password, uri.host, uri.port),
            ("alice", Some("secret"), "[2001:db8::1]", Some(5061))
        );
        assert_eq!((uri.transport(), uri.headers), (Some("tcp"), "subject=x"));
        let odd = Uri::parse("sip:a;b?c@host").unwrap();
        assert_eq!((odd.user, odd.host), ("a;b?c", "host"));
        assert_eq!(Uri::parse("tel:+1-201-555;phone-context=x").unwrap().user, "+1-201-555");
        assert_eq!(Uri::parse("nobodyKnowsThisScheme:totallyopaquecontent").unwrap().host, "");
        for wrong in ["", "sip:", "alice", "sip:@host", "sip:a@", "sip:a@b:x", "sip:a@[::1", "1sip:a"] {
            assert_eq!(Uri::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_at_sign_divides_wherever_else_it_is_escaped() {
        let odd = Uri::parse("sip:user;par=u%40example.net@example.com").unwrap();
        assert_eq!((odd.user, odd.host, odd.params.0), ("user;par=u%40example.net", "example.com", ""));
        assert_eq!(odd.user_unescaped(), "user;par=u@example.net");
        let embedded = Uri::parse("sip:sips%3Auser%40example.com@example.net").unwrap();
        assert_eq!(
            (embedded.user_unescaped().as_ref(), embedded.host),
            ("sips:user@example.com", "example.net")
        );
        let unusual = Uri::parse(
            "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com",
        )
        .unwrap();
        assert_eq!(unusual.user, "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*");
        assert_eq!(unusual.password, Some("&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"));
        for wrong in
            ["sip:a@b@c", "sip:a:b:c@host", "sip:a@b;x=c@d", "sip:a@b?x=c@d", "sip:a@b; lr", "sip:a@<b>"]
        {
            assert_eq!(Uri::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn addresses_of_ipv4_are_those_of_the_standard_library() {
        let parts = ["", "0", "00", "01", "9", "10", "99", "255", "256", "1000", "010"];
        for (first, second) in parts.iter().flat_map(|first| parts.map(|second| (first, second))) {
            for text in [
                format!("{first}.{second}.2.3"),
                format!("1.2.{second}.{first}"),
                format!("{first}.1.{second}"),
            ] {
                assert_eq!(is_ipv4(&text), text.parse::<Ipv4Addr>().is_ok(), "{text}");
            }
        }
        assert!(!is_ipv4("1.2.3.4.5") && !is_ipv4("1.2.3.4.") && !is_ipv4("1"));
    }

    /// RFC 5118 §4, RFC 5954 §4.
    #[test]
    fn hosts_are_names_or_addresses() {
        let rooted = Uri::parse("sip:alice@example.org.:5062").unwrap();
        assert_eq!((rooted.host, rooted.port), ("example.org", Some(5062)));
        let port = |text| Uri::parse(text).unwrap().port;
        assert_eq!((port("sip:[2001:db8::10:5070]"), port("sip:[2001:db8::10]:5070")), (None, Some(5070)));
        for right in [
            "sip:[::ffff:192.0.2.1]",
            "sip:a@[2001:db8:::192.0.2.1]",
            "sip:a@[2001:db8::192.0.2.1]:1",
            "sip:a.example.",
            "sip:3com.example",
            "sip:my_host",
            "sip:7f3a",
        ] {
            assert!(Uri::parse(right).is_some(), "{right}");
        }
        for wrong in [
            "sip:2001:db8::10",
            "sip:a@[2001:db8:::1]",
            "sip:a@[::1%25lo]",
            "sip:bob@444.555.666.777",
            "sip:1.2.3",
            "sip:a..b",
            "sip:.a",
            "sip:a@b:+5060",
            "sip:a@b:65536",
            "sip:a@b:",
            "sip:a@[::1]x",
            "sip:a@[]",
        ] {
            assert_eq!(Uri::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_tel_uri_has_a_number() {
        let tel = Uri::parse("tel:7042;phone-context=example.com").unwrap();
        assert_eq!((tel.user, tel.params.value("phone-context")), ("7042", Some("example.com")));
        for wrong in ["tel:", "tel:+", "tel:-", "tel:alice", "tel:;ext=1", "tel:+1+2"] {
            assert_eq!(Uri::parse(wrong), None, "{wrong}");
        }
    }
}
