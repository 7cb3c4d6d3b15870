//! Links of invitations: to their page, and for chat apps — XEP-0401 0.6.0 (§5.1), XEP-0445 (§3).
//!
//! In    a token, and what is known of who is invited and by whom. Out a link. Pages, the API and the command line write the same.

use shared_auth::{Invite, Opens};
use shared_model::{BareJid, Domains, domain_in_xmpp_uri};

use crate::profile;

/// Where the page of an invitation is.
pub fn invite_link(public_url: Option<&str>, host: &str, port: Option<u16>, token: &str) -> String {
    profile::link(public_url, host, port, &format!("/invite/{token}"))
}

/// What chat apps understand: XEP-0401 §5.1 where somebody invites, XEP-0445 §3 where the service does. `None` for an invitation
/// that makes no account, or none of a domain of ours.
pub fn app_uri(domains: &Domains, token: &str, invite: &Invite) -> Option<String> {
    let domain = invite.domain(domains)?;
    let Opens::Account { user, contact, .. } = &invite.opens else { return None };
    let named = user.as_deref().and_then(|user| BareJid::new(user, domain).ok());
    // Apps register in the domain of who invites.
    let contact = contact.as_ref().filter(|contact| contact.domain() == domain);
    Some(match (contact, named) {
        (Some(contact), None) => format!("{}?roster;preauth={token};ibr=y", contact.to_xmpp_uri()),
        (_, Some(named)) => format!("{}?register;preauth={token}", named.to_xmpp_uri()),
        (None, None) => format!("xmpp:{}?register;preauth={token}", domain_in_xmpp_uri(domain)),
    })
}

/// An address as an operator writes it, without the scheme and the escapes of the URI that it was copied from (RFC 3261 §19.1.2,
/// RFC 5122 §2.2, RFC 3966 §3).
pub fn address_in(text: &str) -> String {
    let text = text.trim();
    let is_scheme =
        |word: &str| ["sip", "sips", "xmpp", "tel"].iter().any(|it| word.eq_ignore_ascii_case(it));
    match text.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) => unescaped(rest),
        _ => text.to_owned(),
    }
}

fn unescaped(text: &str) -> String {
    let (mut out, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((first, behind)) = rest.split_first() {
        let digits = behind.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match digits.filter(|_| *first == b'%').and_then(|two| u8::from_str_radix(two, 16).ok()) {
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
            ("sip:a%zz%c3@example.org", "a%zz%c3@example.org"),
        ] {
            assert_eq!(address_in(written), read);
        }
    }

    #[test]
    fn apps_are_told_what_the_specifications_show() {
        let domains = Domains::new("example.com", ["example.net"]);
        let uri = |user: Option<&str>, domain: Option<&str>, contact: Option<&str>| {
            let opens = Opens::Account {
                user: user.map(str::to_owned),
                domain: domain.map(str::to_owned),
                name: String::new(),
                admin: false,
                contact: contact.map(|contact| contact.parse().unwrap()),
            };
            let invite = Invite { id: String::new(), opens, by: None, created: 0, expires: 0 };
            app_uri(&domains, "TOKEN", &invite)
        };
        let (romeo, there) = (Some("romeo@example.com"), Some("example.net"));
        for (user, domain, contact, wanted) in [
            (None, None, romeo, "xmpp:romeo@example.com?roster;preauth=TOKEN;ibr=y"),
            (Some("juliet"), None, None, "xmpp:juliet@example.com?register;preauth=TOKEN"),
            (None, None, None, "xmpp:example.com?register;preauth=TOKEN"),
            (None, there, romeo, "xmpp:example.net?register;preauth=TOKEN"),
            (Some("juliet"), there, None, "xmpp:juliet@example.net?register;preauth=TOKEN"),
        ] {
            assert_eq!(uri(user, domain, contact).as_deref(), Some(wanted));
        }
        assert_eq!(uri(None, Some("gone.example"), None), None);
    }
}
