//! Whose domain is whose: those of accounts, of rooms, of guests, of services and components.

use xmpp_core::Jid;

use crate::server::Server;

impl Server {
    /// Whether accounts of ours may be of a domain.
    pub(crate) fn is_home(&self, domain: &str) -> bool {
        self.domains.has(domain)
    }

    /// The domain of ours that speaks to somebody: their own, or the main one.
    pub(crate) fn home_of(&self, somebody: &Jid) -> &str {
        self.domains.find(somebody.domain()).unwrap_or(&self.domain)
    }

    /// [`Server::home_of`] as an address.
    pub(crate) fn voice_to(&self, somebody: &Jid) -> Option<Jid> {
        Jid::new(None, self.home_of(somebody), None).ok()
    }

    /// Whether a domain is that of guests.
    pub(crate) fn is_of_guests(&self, domain: &str) -> bool {
        !self.config.guests.domain.is_empty() && domain == self.config.guests.domain
    }

    /// Whether a domain is served here.
    pub(crate) fn hosts(&self, domain: &str) -> bool {
        let is_own = self.is_home(domain) || domain == self.rooms_domain || self.is_of_guests(domain);
        is_own || self.service(domain).is_some() || self.components.knows(domain)
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use xmpp_core::Jid;

    /// One makes addresses, the other compares the domains of the configuration with them.
    #[test]
    fn addresses_and_the_configuration_have_one_form_of_a_domain() {
        for domain in [
            "example.org",
            "Example.ORG",
            "münchen.example",
            "MÜNCHEN.example.",
            "XN--Mnchen-3ya.example",
            "mu\u{308}nchen.example",
            "faß.example",
            "हिन्दी.example",
            "_xmpp.example.org",
            "xn--a.example",
            "a b.example",
            "a..example",
            "ü_.example",
            "ü!.example",
        ] {
            let jid = format!("u@{domain}").parse::<Jid>().ok();
            let of_jid = jid.map(|jid| jid.domain().to_owned());
            let of_name = shared_model::idn::to_unicode(domain).map(Cow::into_owned);
            assert_eq!(of_jid, of_name, "{domain}");
        }
    }
}
