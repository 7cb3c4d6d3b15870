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

#[cfg(test)]
mod tests {
    use super::*;

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
