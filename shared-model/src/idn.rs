//! Internationalised domains — RFC 5890 §2.3.2.1 (A-label, U-label), RFC 5891 §5 (lookup), mapped as UTS 46 says.
//!
//! In    a domain as somebody wrote it: `münchen.example`, `MÜNCHEN.example.`, `xn--mnchen-3ya.example`.
//! Out   [`to_unicode`]: its compared form, in U-labels, which addresses hold (RFC 7622 §3.2). [`to_ascii`]: the form of name
//!       servers, certificates, SIP URIs and links, in A-labels.
//! Errors `None` for what is no domain: a forbidden character, an A-label that stands for nothing, a label over 63 bytes in A-labels.
//! Not here: IP addresses in brackets, which are nobody's domain.
//!
//! The two forms of one domain are one domain: whoever compares, compares the first.

use std::borrow::Cow;

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

/// A domain in its compared form: in lower case, in U-labels, without a trailing dot. `None` if it is no domain.
pub fn to_unicode(domain: &str) -> Option<Cow<'_, str>> {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    if !needs_idna(domain) {
        let is_label = |label: &str| {
            !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        };
        let is_lower = !domain.bytes().any(|b| b.is_ascii_uppercase());
        let name = || if is_lower { Cow::Borrowed(domain) } else { Cow::Owned(domain.to_ascii_lowercase()) };
        return domain.split('.').all(is_label).then(name);
    }
    let (name, outcome) = Uts46::new().to_unicode(domain.as_bytes(), NOT_IN_NAMES, Hyphens::Allow);
    outcome.ok()?;
    in_ascii(&name)?;
    Some(Cow::Owned(name.strip_suffix('.').unwrap_or(&name).to_owned()))
}

/// The same domain in A-labels and in lower case, as name servers, certificates and URIs have it; what is none stays as it is.
pub fn to_ascii(domain: &str) -> Cow<'_, str> {
    if !needs_idna(domain) && !domain.bytes().any(|b| b.is_ascii_uppercase()) {
        return Cow::Borrowed(domain);
    }
    in_ascii(domain).map_or(Cow::Borrowed(domain), Cow::Owned)
}

fn in_ascii(domain: &str) -> Option<String> {
    // Other scripts have full stops of their own (UTS 46 §2.3).
    let domain = domain.strip_suffix(['.', '\u{3002}', '\u{ff0e}', '\u{ff61}']).unwrap_or(domain).as_bytes();
    let name = Uts46::new().to_ascii(domain, NOT_IN_NAMES, Hyphens::Allow, DnsLength::Verify);
    Some(name.ok()?.into_owned())
}

/// Whether a domain is not the same in both forms, or looks so.
pub(crate) fn needs_idna(domain: &str) -> bool {
    let is_a_label = |label: &str| label.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("xn--"));
    !domain.is_ascii() || domain.split('.').any(is_a_label)
}

/// Letters, digits, hyphens, dots, and the underscore of services.
const NOT_IN_NAMES: AsciiDenyList = AsciiDenyList::new(true, "!\"#$%&'()*+,/:;<=>?@[\\]^`{|}~");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_domain_are_one() {
        for (one, unicode, ascii) in [
            ("münchen.example", "münchen.example", "xn--mnchen-3ya.example"),
            ("XN--Mnchen-3ya.Example.", "münchen.example", "xn--mnchen-3ya.example"),
            ("MÜNCHEN.example", "münchen.example", "xn--mnchen-3ya.example"),
            ("mu\u{308}nchen.example", "münchen.example", "xn--mnchen-3ya.example"),
            ("faß.example", "faß.example", "xn--fa-hia.example"),
            ("हिन्दी.example", "हिन्दी.example", "xn--j2bd4cyah0f.example"),
            ("ｅｘａｍｐｌｅ。org", "example.org", "example.org"),
            ("example.org。", "example.org", "example.org"),
            ("Example.ORG", "example.org", "example.org"),
            ("_xmpp._tcp.example.org", "_xmpp._tcp.example.org", "_xmpp._tcp.example.org"),
            ("192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ] {
            assert_eq!(to_unicode(one).as_deref(), Some(unicode), "{one}");
            assert_eq!(to_ascii(one), ascii, "{one}");
            assert_eq!(to_unicode(ascii).as_deref(), Some(unicode), "{one}: it comes back");
        }
    }

    #[test]
    fn what_is_no_domain_has_no_form() {
        let long = "ü".repeat(60);
        for wrong in [
            "",
            "a..b",
            "ü..b",
            "a b",
            "ü b",
            "xn--ü",
            "xn--99999999",
            "xn--abc-",
            "a/ü",
            "a\u{200b}/ü",
            long.as_str(),
        ] {
            assert_eq!(to_unicode(wrong), None, "{wrong}");
        }
        assert_eq!(to_ascii("[::1]"), "[::1]");
    }
}
