//! For whom a proxy speaks — RFC 7239 §4 (Forwarded), §5.2 (for), §6 (nodes), and X-Forwarded-For, which it replaces (§7.4).
//!
//! In    who is at the other end, whom the operator trusts, and the fields of a request.
//! Out   the client: from the end of the list, where the nearest proxy wrote, the first that is no proxy of the operator's.
//! Errors none: what is hidden, or cannot be read, is the proxy's that said it.
//!
//! Anybody may write either field. A proxy adds to one of the two, and passes on what it does not know: where both are there and
//! disagree, nobody is believed.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, header};

use crate::Network;

/// The address of whoever asks.
pub(super) fn client(trusted: &[Network], peer: IpAddr, fields: &HeaderMap) -> IpAddr {
    if !is_in(trusted, peer) {
        return peer;
    }
    let nearest = |name: HeaderName, read: fn(&str) -> Vec<Option<IpAddr>>| {
        // Several fields are one list, in their order (RFC 9110 §5.3).
        let mut lines = fields.get_all(name).iter().peekable();
        lines.peek()?;
        let nodes: Vec<_> = lines.flat_map(|line| line.to_str().map_or_else(|_| vec![None], read)).collect();
        Some(follow(trusted, peer, nodes))
    };
    match (nearest(header::FORWARDED, forwarded), nearest(X_FORWARDED_FOR, addresses)) {
        (Some(one), Some(other)) if one != other => peer,
        (Some(client), _) | (None, Some(client)) => client,
        (None, None) => peer,
    }
}

/// From the nearest node on, as long as those are trusted who name the next.
fn follow(trusted: &[Network], peer: IpAddr, nodes: Vec<Option<IpAddr>>) -> IpAddr {
    let mut hop = peer;
    for node in nodes.into_iter().rev().take(MOST_HOPS) {
        let Some(node) = node else { return hop };
        hop = node;
        if !is_in(trusted, node) {
            break;
        }
    }
    hop
}

pub(super) fn is_in(networks: &[Network], ip: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(ip))
}

/// §4: the `for` of each element.
fn forwarded(line: &str) -> Vec<Option<IpAddr>> {
    let Some(elements) = split(line, ',') else { return vec![None] };
    let of = |element: &str| {
        let pairs = split(element, ';')?;
        let is_for = |pair: &&str| pair.trim().get(..4).is_some_and(|name| name.eq_ignore_ascii_case("for="));
        let mut all = pairs.into_iter().filter(is_for);
        let pair = all.next().filter(|_| all.next().is_none())?; // §4: each at most once
        node(&unquoted(pair.trim().get(4..)?)?)
    };
    // RFC 9110 §5.6.1: a list may have empty elements.
    elements.into_iter().filter(|element| !element.trim().is_empty()).map(of).collect()
}

fn addresses(line: &str) -> Vec<Option<IpAddr>> {
    line.split(',').map(str::trim).filter(|text| !text.is_empty()).map(node).collect()
}

/// Parts of a text at a sign that stands in no quoted string; `None` if a quote is not closed.
fn split(text: &str, at: char) -> Option<Vec<&str>> {
    let (mut parts, mut start, mut is_quoted, mut is_escaped) = (Vec::new(), 0, false, false);
    for (index, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            c if c == at && !is_quoted => {
                parts.push(&text[start..index]);
                start = index + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    (!is_quoted).then_some(parts)
}

/// RFC 9110 §5.6.4.
fn unquoted(value: &str) -> Option<String> {
    let Some(inner) = value.strip_prefix('"') else { return Some(value.to_owned()) };
    let (mut out, mut is_escaped) = (String::new(), false);
    for c in inner.strip_suffix('"')?.chars() {
        if c == '\\' && !is_escaped {
            is_escaped = true;
        } else {
            is_escaped = false;
            out.push(c);
        }
    }
    Some(out)
}

/// §6: an address, with a port or without; `None` for `unknown` and names that hide it.
fn node(text: &str) -> Option<IpAddr> {
    let plain = |text: &str| {
        let bracketed =
            || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
        text.parse::<IpAddr>().ok().or_else(bracketed)
    };
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    // §6.3: a port may be hidden.
    let without_port = || text.rsplit_once(":_").and_then(|(name, _)| plain(name));
    plain(text).or_else(with_port).or_else(without_port).map(|ip| ip.to_canonical())
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Proxies in a row that are followed.
const MOST_HOPS: usize = 16;

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn ask(fields: &[(&'static str, &str)]) -> String {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "2001:db8:f::/48".parse().unwrap()];
        let mut all = HeaderMap::new();
        for (name, value) in fields {
            all.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        client(&trusted, "10.0.0.1".parse().unwrap(), &all).to_string()
    }

    #[test]
    fn the_nearest_that_is_no_proxy_of_ours_is_the_client() {
        for (name, value, wanted) in [
            ("x-forwarded-for", "192.0.2.1", "192.0.2.1"),
            ("x-forwarded-for", "203.0.113.9, 192.0.2.1, 10.0.0.2", "192.0.2.1"),
            ("x-forwarded-for", "192.0.2.1:4711", "192.0.2.1"),
            ("x-forwarded-for", "2001:db8::1", "2001:db8::1"),
            ("x-forwarded-for", "::ffff:192.0.2.1", "192.0.2.1"),
            ("x-forwarded-for", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
            ("forwarded", "for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
            ("forwarded", "for=192.0.2.43, For=\"[2001:db8:cafe::17]:47011\"", "2001:db8:cafe::17"),
            ("forwarded", "for=192.0.2.43,, for=10.0.0.2 ;host=\"a,b\"", "192.0.2.43"),
            ("forwarded", "for=\"192.0.2.43:_port\"", "192.0.2.43"),
            ("forwarded", "for=192.0.2.43, for=\"[2001:db8:f::1]\"", "192.0.2.43"),
        ] {
            assert_eq!(ask(&[(name, value)]), wanted, "{name}: {value}");
        }
        assert_eq!(ask(&[("x-forwarded-for", "192.0.2.1"), ("x-forwarded-for", "10.0.0.2")]), "192.0.2.1");
    }

    #[test]
    fn what_is_hidden_or_not_understood_is_the_proxys() {
        for value in ["unknown", "_hidden", "for=unknown", "192.0.2.1, unknown", "", "x", "\u{e9}"] {
            assert_eq!(ask(&[("x-forwarded-for", value)]), "10.0.0.1", "{value}");
        }
        for value in ["for=_x", "for=\"", "for=\", for=192.0.2.1", "by=192.0.2.1", "for=1.2.3.4;for=1.2.3.5"]
        {
            assert_eq!(ask(&[("forwarded", value)]), "10.0.0.1", "{value}");
        }
        assert_eq!(ask(&[("forwarded", "for=192.0.2.1, for=_x, for=10.0.0.9")]), "10.0.0.9");
        let ports = ":_".repeat(100_000);
        assert_eq!(ask(&[("x-forwarded-for", &format!("192.0.2.1{ports}"))]), "10.0.0.1");
        assert_eq!(ask(&[("forwarded", &format!("for=\"192.0.2.1{ports}\""))]), "10.0.0.1");
        let long = vec!["10.0.0.2"; 40].join(", ");
        assert_eq!(ask(&[("x-forwarded-for", &format!("192.0.2.1, {long}"))]), "10.0.0.2");
    }

    #[test]
    fn a_field_that_the_proxy_does_not_write_is_believed_by_nobody() {
        let own = ("x-forwarded-for", "192.0.2.1");
        assert_eq!(ask(&[own, ("forwarded", "for=203.0.113.9")]), "10.0.0.1");
        assert_eq!(ask(&[own, ("forwarded", "for=203.0.113.9, for=192.0.2.1")]), "192.0.2.1");
    }

    #[test]
    fn a_stranger_speaks_for_nobody() {
        let fields = HeaderMap::from_iter([(X_FORWARDED_FOR, HeaderValue::from_static("203.0.113.9"))]);
        let stranger: IpAddr = "192.0.2.1".parse().unwrap();
        assert_eq!(client(&[], stranger, &fields), stranger);
        assert_eq!(client(&["10.0.0.0/8".parse().unwrap()], stranger, &fields), stranger);
    }
}
