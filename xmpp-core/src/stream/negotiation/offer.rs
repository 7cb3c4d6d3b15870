//! What a stream offers to whom nobody knows yet — RFC 6120 §4.3.2; XEP-0175 1.2, section 3 (guests).

use std::sync::Arc;

use crate::xml::Element;

/// What the stream may offer now.
#[derive(Debug, Clone, Default)]
pub struct Offer {
    /// The domain that is served.
    pub domain: String,
    /// Others that are served here too; a stream is for the one that its header names.
    pub others: Arc<[Box<str>]>,
    /// Domains whose passwords somebody else keeps: SCRAM is offered for no stream to one.
    pub kept_elsewhere: Arc<[Box<str>]>,
    /// PLAIN is offered for streams to those domains alone.
    pub is_plain_elsewhere: bool,
    /// STARTTLS is possible.
    pub starttls: bool,
    /// STARTTLS is demanded.
    pub require_tls: bool,
    /// SASL mechanisms, most wanted first; empty while TLS is demanded.
    pub mechanisms: Vec<&'static str>,
    /// The domain of guests, to which a stream offers ANONYMOUS alone; empty: there is none.
    pub guests: String,
    /// Who may make an account before any proof.
    pub registration: Registrants,
    /// SASL mechanisms for tokens (XEP-0484), most wanted first; empty where no token may be shown.
    pub fast: Vec<&'static str>,
    /// Tasks by which a client gives what the account lacks (XEP-0480).
    pub upgrades: Vec<&'static str>,
    /// Channel bindings by their SASL names (XEP-0440).
    pub channel_bindings: Vec<&'static str>,
    /// What the server says of itself in every list: its capabilities (XEP-0115 §6.3, XEP-0390 §5.2), its limits.
    pub about: Vec<Element>,
}

impl Offer {
    /// The stream is for a domain, if that is served.
    pub(super) fn for_domain(&mut self, name: &str) {
        if self.others.iter().any(|other| **other == *name) {
            name.clone_into(&mut self.domain);
        }
        if self.kept_elsewhere.iter().any(|domain| **domain == *self.domain) {
            self.mechanisms.retain(|mechanism| !mechanism.starts_with("SCRAM-"));
            self.upgrades.clear();
        } else if self.is_plain_elsewhere {
            self.mechanisms.retain(|mechanism| *mechanism != "PLAIN");
        }
    }

    /// The stream is a guest's.
    pub(super) fn for_guests(&mut self) {
        let is_open = !self.mechanisms.is_empty();
        self.mechanisms = is_open.then_some("ANONYMOUS").into_iter().collect();
        self.domain = std::mem::take(&mut self.guests);
        self.registration = Registrants::Nobody;
        self.fast.clear();
        self.upgrades.clear();
        self.channel_bindings.clear();
    }
}

/// Who may make an account before any proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Registrants {
    /// Nobody.
    #[default]
    Nobody,
    /// Whoever comes, and nobody brings an invitation.
    Anybody,
    /// Whoever has an invitation (XEP-0445); perhaps others, too.
    Invited,
}
