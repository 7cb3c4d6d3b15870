//! Links of invitations: to their page, and for chat apps — XEP-0401 0.6.0 (§5.1), XEP-0445 (§3).
//!
//! In    a token, and what is known of who is invited and by whom. Out a link. Pages, the API and the command line write the same.

use shared_model::BareJid;

use crate::profile;

/// Where the page of an invitation is.
pub fn invite_link(public_url: Option<&str>, host: &str, port: Option<u16>, token: &str) -> String {
    profile::link(public_url, host, port, &format!("/invite/{token}"))
}

/// What chat apps understand: XEP-0401 §5.1 where somebody invites, XEP-0445 §3 where the service does.
pub fn app_uri(domain: &str, token: &str, user: Option<&str>, contact: Option<&BareJid>) -> String {
    let named = user.and_then(|user| BareJid::new(user, domain).ok());
    match (contact, named) {
        (Some(contact), None) => format!("{}?roster;preauth={token};ibr=y", contact.to_xmpp_uri()),
        (_, Some(named)) => format!("{}?register;preauth={token}", named.to_xmpp_uri()),
        (None, None) => format!("xmpp:{domain}?register;preauth={token}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apps_are_told_what_the_specifications_show() {
        let romeo = "romeo@example.com".parse().unwrap();
        let uri = |user, contact| app_uri("example.com", "TOKEN", user, contact);
        assert_eq!(uri(None, Some(&romeo)), "xmpp:romeo@example.com?roster;preauth=TOKEN;ibr=y");
        assert_eq!(uri(Some("juliet"), None), "xmpp:juliet@example.com?register;preauth=TOKEN");
        assert_eq!(uri(None, None), "xmpp:example.com?register;preauth=TOKEN");
    }
}
