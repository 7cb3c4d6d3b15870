//! SIPS — RFC 5630 §5.3: who is called by a `sips:` URI is reached by TLS on every hop, or not at all; a device that registered a
//! `sips:` contact and is called by a `sip:` URI is reached by TLS, under a `sip:` URI.
//!
//! In    the URI that was asked for, and branches. Out those that may be taken.
//! Errors none is left: 480 with Warning 380 ([`crate::destination::Nowhere::NotSecure`]).
//! Not here: what leads to other domains, which the resolver asks for TLS (RFC 3263 §4.1); the telephone network, in which there is
//! none: a call to a number, and above all one for help, ends being SIPS at our gateway.

use std::borrow::Cow;

use shared_model::Spec;
use sip_core::Uri;
use sip_endpoint::Transport;

use crate::features::Destination;
use crate::location::{Branch, Way};

/// RFC 5630.
pub(crate) const SIPS: Spec = Spec::rfc(5630).note("registrar and proxy");

/// Whether a URI asks for TLS on every hop.
pub(crate) fn is_asked(uri: &str) -> bool {
    Uri::parse(uri).is_some_and(|uri| uri.is_sips())
}

/// Whether a branch may be taken by a request that asks for TLS on every hop: its way is protected, and a device registered a
/// `sips:` contact.
pub(crate) fn is_secure(branch: &Branch) -> bool {
    let is_protected =
        matches!(branch.flow.transport, Transport::Tls | Transport::Wss | Transport::InProcess);
    let is_by_contact = || branch.uri.as_deref().is_some_and(is_asked);
    is_protected && (branch.to != Destination::Device || is_by_contact())
}

/// What of a branch may be taken: a device by the best of its ways that are protected.
pub(crate) fn secured(branch: Branch) -> Option<Branch> {
    if branch.to != Destination::Device {
        return is_secure(&branch).then_some(branch);
    }
    let mut ways = branch.ways().filter(is_secure);
    let first = ways.next()?;
    let mut others: Vec<Way> = ways.map(|way| Way::Device(Box::new(way))).collect();
    others.reverse();
    Some(Branch { others, ..first })
}

/// A contact as the Request-URI of a request that asked for `asked`.
pub(crate) fn as_asked<'a>(contact: &'a str, asked: &str) -> Cow<'a, str> {
    match contact.split_at_checked("sips".len()) {
        Some((scheme, rest))
            if scheme.eq_ignore_ascii_case("sips") && rest.starts_with(':') && !is_asked(asked) =>
        {
            Cow::Owned(["sip", rest].concat())
        }
        _ => Cow::Borrowed(contact),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_is_called_by_the_scheme_that_was_asked_for() {
        assert_eq!(as_asked("sips:b@x;p", "sip:b@y"), "sip:b@x;p");
        assert_eq!(as_asked("sips:b@x", "sips:b@y"), "sips:b@x");
        assert_eq!(as_asked("sip:b@x", "sip:b@y"), "sip:b@x");
        assert_eq!(as_asked("sipsy:b@x", "sip:b@y"), "sipsy:b@x");
    }
}
