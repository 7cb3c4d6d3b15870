//! What is done to a request on its way to one branch, and to its responses on their way back. One specification is one
//! file and one line in [`TABLE`]; the order of the table is the order of the work.

pub mod asserted_identity;
pub mod call_info;
pub mod chat;
pub mod history_info;
pub mod privacy;
pub mod referred_by;
pub mod session_timer;

use shared_auth::{AccountCard, Identity};
use shared_model::{Aor, BareJid, Domains};
use sip_core::Message;

/// What a feature may know of the request that it changes.
#[derive(Debug, Clone, Copy)]
pub struct Passage<'a> {
    /// Who sent it, if proved.
    pub caller: Option<&'a Identity>,
    /// Whose side of its dialog sent it, if it is in one.
    pub sender: Option<&'a Aor>,
    /// Who sent it, as another domain says that proved to be theirs, or as a trusted peer says of one of ours.
    pub vouched: Option<&'a BareJid>,
    /// Which of its addresses the caller prefers, if it is one of its own; as it stands in P-Asserted-Identity.
    pub asserted: Option<&'a str>,
    /// Whether what it asserts is believed: it came from inside the trust domain (RFC 3325).
    pub from_trusted: bool,
    /// Whether another domain that gets it is inside.
    pub to_trusted: bool,
    /// Whether the sender wants to stay unknown (RFC 3323).
    pub is_anonymous: bool,
    /// Whether it begins a dialog or stands alone; false inside a dialog.
    pub is_initial: bool,
    /// Whether an endpoint of ours sent it, such as the focus.
    pub is_ours: bool,
    /// Where it goes.
    pub to: Destination,
    /// The domains that are ours.
    pub domains: &'a Domains,
    /// Where it was, and last where it is, unless that is all.
    pub history: &'a [history_info::Station],
    /// Where our users find each other's cards: a URL with `{aor}` in it.
    pub card: Option<&'a str>,
    /// How long sessions last.
    pub session: session_timer::Policy,
}

/// What a feature may know of the response that it changes.
#[derive(Debug, Clone, Copy)]
pub struct Reply<'a> {
    /// The request, as it came.
    pub request: &'a Message,
    /// Whose device answered, if it is one of ours.
    pub callee: Option<&'a AccountCard>,
    /// Who answered, as another domain says that proved to be theirs.
    pub vouched: Option<&'a BareJid>,
    /// Who answered.
    pub from: Destination,
    /// Whether what it asserts is believed.
    pub from_trusted: bool,
    /// Whether who gets it is inside the trust domain.
    pub to_trusted: bool,
    /// As [`Passage::card`], if who gets it is a user of ours.
    pub card: Option<&'a str>,
    /// How long sessions last.
    pub session: session_timer::Policy,
}

/// Who gets the request, or sent the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// A device of one of our accounts.
    Device,
    /// An endpoint of ours, such as the focus: inside the trust domain (RFC 3325 §2).
    Trusted,
    /// Another domain.
    Foreign,
}

/// A feature: its name, and what it does.
pub struct Feature {
    /// The module.
    pub name: &'static str,
    /// Changes the copy that goes to one branch.
    pub request: fn(&mut Message, &Passage<'_>),
    /// Changes a response on its way back.
    pub response: fn(&mut Message, &Reply<'_>),
}

/// Every feature, in the order of the work.
pub const TABLE: &[Feature] = &[
    Feature {
        name: "asserted_identity",
        request: asserted_identity::apply,
        response: asserted_identity::apply_to_response,
    },
    Feature { name: "referred_by", request: referred_by::apply, response: |_, _| {} },
    Feature { name: "call_info", request: call_info::apply, response: call_info::apply_to_response },
    Feature { name: "history_info", request: history_info::apply, response: |_, _| {} },
    Feature {
        name: "session_timer",
        request: session_timer::apply,
        response: session_timer::apply_to_response,
    },
    Feature { name: "privacy", request: privacy::apply, response: privacy::apply_to_response },
];

/// Applies every feature to the copy for one branch.
pub fn apply(request: &mut Message, passage: &Passage<'_>) {
    for feature in TABLE {
        (feature.request)(request, passage);
    }
}

/// Applies every feature to a response.
pub fn apply_to_response(response: &mut Message, reply: &Reply<'_>) {
    for feature in TABLE {
        (feature.response)(response, reply);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::LazyLock;

    use shared_auth::How;
    use shared_model::AccountId;

    use super::*;

    pub(crate) const SESSION: session_timer::Policy =
        session_timer::Policy { expires: Some(1_800), shortest: 90 };

    pub(crate) fn alice() -> Identity {
        Identity {
            account: AccountId(1),
            version: 1,
            aor: Aor::new("100", "example.org").unwrap(),
            jid: BareJid::new("alice", "example.org").unwrap(),
            how: How::Plain,
            app: None,
            token: None,
        }
    }

    pub(crate) fn bob() -> AccountCard {
        AccountCard {
            account: AccountId(2),
            aor: Aor::new("200", "example.org").unwrap(),
            jid: BareJid::new("bob", "example.org").unwrap(),
            name: String::new(),
            numbers: Vec::new(),
            video: false,
            admin: false,
            enabled: true,
        }
    }

    static DOMAINS: LazyLock<Domains> = LazyLock::new(|| Domains::new("x", []));

    pub(crate) fn passage(caller: Option<&Identity>) -> Passage<'_> {
        Passage {
            caller,
            sender: None,
            vouched: None,
            asserted: None,
            from_trusted: false,
            to_trusted: false,
            is_anonymous: false,
            is_initial: true,
            is_ours: false,
            to: Destination::Device,
            domains: &DOMAINS,
            history: &[],
            card: None,
            session: SESSION,
        }
    }

    pub(crate) fn reply<'a>(request: &'a Message, callee: Option<&'a AccountCard>) -> Reply<'a> {
        Reply {
            request,
            callee,
            vouched: None,
            from: Destination::Device,
            from_trusted: false,
            to_trusted: false,
            card: None,
            session: SESSION,
        }
    }
}
