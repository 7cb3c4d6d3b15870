//! URIs — RFC 3261 §19.1 (SIP and SIPS), RFC 3966 (tel); any other scheme is kept as it is.
//!
//! In    a URI's text. Out its parts, borrowed; comparison as §19.1.4 says.

use std::borrow::Cow;

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
}

impl<'a> Uri<'a> {
    /// Divides a URI; `None` if it is not one.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.split_once(':')?;
        let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        if !is_scheme || rest.is_empty() {
            return None;
        }
        if scheme.eq_ignore_ascii_case("tel") {
            let (user, params) = rest.find(';').map_or((rest, ""), |at| rest.split_at(at));
            return Some(Self {
                scheme,
                user,
                password: None,
                host: "",
                port: None,
                params: Params(params),
                headers: "",
            });
        }
        if !scheme.eq_ignore_ascii_case("sip") && !scheme.eq_ignore_ascii_case("sips") {
            return Some(Self {
                scheme,
                user: "",
                password: None,
                host: "",
                port: None,
                params: Params(""),
                headers: "",
            });
        }
        // The user part may hold `;` and `?`, so the host begins after the last `@` before any that headers hold.
        let (userinfo, rest) = match rest.find('@') {
            Some(at) => (Some(&rest[..at]), &rest[at + 1..]),
            None => (None, rest),
        };
        let (user, password) = match userinfo {
            Some("") => return None,
            Some(info) => {
                info.split_once(':').map_or((info, None), |(user, password)| (user, Some(password)))
            }
            None => ("", None),
        };
        let (rest, headers) = rest.split_once('?').unwrap_or((rest, ""));
        let (host_port, params) = rest.find(';').map_or((rest, ""), |at| rest.split_at(at));
        let (host, port) = split_host_port(host_port)?;
        Some(Self { scheme, user, password, host, port, params: Params(params), headers })
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

    /// Whether both name the same resource (§19.1.4).
    pub fn is_same(&self, other: &Uri<'_>) -> bool {
        if !self.scheme.eq_ignore_ascii_case(other.scheme) || !self.is_sip() {
            return false;
        }
        let is_same_party = unescape(self.user) == unescape(other.user)
            && self.password.map(unescape) == other.password.map(unescape)
            && self.host.eq_ignore_ascii_case(other.host)
            && self.port == other.port;
        // A parameter in both must match; these must be in both or in neither.
        let is_same_value = |name: &str| {
            let (mine, theirs) = (self.params.value(name), other.params.value(name));
            match (mine, theirs) {
                (Some(mine), Some(theirs)) => mine.eq_ignore_ascii_case(theirs),
                _ => mine == theirs,
            }
        };
        let are_shared_same = self.params.iter().all(|(name, value)| {
            let theirs = other.params.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            theirs.is_none_or(|(_, theirs)| match (value, theirs) {
                (Some(mine), Some(theirs)) => mine.eq_ignore_ascii_case(theirs),
                (mine, theirs) => mine == theirs,
            })
        });
        is_same_party
            && are_shared_same
            && ["user", "ttl", "method", "maddr", "transport"].into_iter().all(is_same_value)
            && self.headers.eq_ignore_ascii_case(other.headers)
    }
}

/// Undoes `%41`; what is not an escape, or would not be UTF-8, stays.
pub fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
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

/// Divides `host`, `host:port`, `[v6]:port`. White space around the colon is a Via's (§25.1).
pub fn split_host_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = if text.starts_with('[') {
        let end = text.find(']')? + 1;
        text[1..end - 1].parse::<std::net::Ipv6Addr>().ok()?;
        (&text[..end], &text[end..])
    } else {
        let end = text.find(':').unwrap_or(text.len());
        (text[..end].trim_end(), &text[end..])
    };
    let is_host = host.starts_with('[') || (!host.is_empty() && host.bytes().all(is_host_byte));
    let port = match port.trim() {
        "" => None,
        port => Some(port.strip_prefix(':')?.trim().parse::<u16>().ok()?),
    };
    is_host.then_some((host, port))
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._".contains(&byte)
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

    /// RFC 3261 §19.1.4, the examples.
    #[test]
    fn compares_as_19_1_4_shows() {
        let same = |a: &str, b: &str| Uri::parse(a).unwrap().is_same(&Uri::parse(b).unwrap());
        assert!(same("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"));
        assert!(same("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"));
        assert!(same("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"));
        assert!(!same("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"));
        assert!(!same("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"));
        assert!(!same("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"));
        assert!(!same("sip:carol@chicago.com;security=off", "sip:carol@chicago.com;security=on"));
        assert!(!same("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"));
    }
}
