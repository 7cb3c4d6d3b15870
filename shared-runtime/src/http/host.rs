//! The Host field — RFC 9112 section 3.2: what every request must say, once.
//!
//! In    a request's version and fields. Out whether it may be served. State none.

use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Version, header};

/// Whether a server answers anything but 400.
pub(super) fn is_said(version: Version, fields: &HeaderMap) -> bool {
    let mut hosts = fields.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => is_host(host),
        (None, _) => version < Version::HTTP_11,
        _ => false,
    }
}

/// RFC 9110 §7.2: a host, which may be empty, and perhaps a port.
fn is_host(value: &HeaderValue) -> bool {
    let Ok(text) = value.to_str() else { return false };
    text.is_empty() || text.parse::<Authority>().is_ok_and(|host| !host.as_str().contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_one_host() {
        let said = |version, hosts: &[&str]| {
            let mut fields = HeaderMap::new();
            for host in hosts {
                fields.append(header::HOST, HeaderValue::from_bytes(host.as_bytes()).unwrap());
            }
            is_said(version, &fields)
        };
        for good in ["example.org", "example.org:8443", "[2001:db8::1]:443", "192.0.2.1", ""] {
            assert!(said(Version::HTTP_11, &[good]), "{good}");
        }
        for bad in ["a b", "a@b", "a/b", "[::1", "a:b:c", "\u{e9}"] {
            assert!(!said(Version::HTTP_11, &[bad]), "{bad}");
        }
        assert!(!said(Version::HTTP_11, &[]) && said(Version::HTTP_10, &[]));
        assert!(!said(Version::HTTP_11, &["a", "a"]) && !said(Version::HTTP_10, &["a", "b"]));
    }
}
