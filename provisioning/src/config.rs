//! `[provisioning]`: what people may do by themselves.

use std::net::IpAddr;
use std::time::Duration;

use serde::Deserialize;
use shared_runtime::config::Key;

/// `[provisioning]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Whether accounts may invite people to accounts, who become their contacts. Default: no.
    pub users_invite: bool,
    /// Whom people ask who forgot their password: plain words, such as "the help desk, +33 1 55 50 19 80". Default: whoever runs the service.
    pub contact: String,
    /// Whether who forgot their password is sent a link to a new one by chat, where another device of theirs may be signed in. Whoever
    /// reads an account's chat can then take the account, with the password of one device too. Default: no.
    pub reset_by_chat: bool,
    /// Addresses at which clients and other servers reach this host. Given, `host-meta.json` names all ways to chat with TLS, and who
    /// reads it asks no name servers (XEP-0487): `xmpp.c2s_tls` must listen, and `xmpp.s2s_tls` where there is federation. Default none.
    pub addresses: Vec<IpAddr>,
    /// How long it is kept who changed what, with the names of accounts that were removed since; 0 keeps the newest 100,000 changes.
    /// Default 365 d.
    #[serde(with = "shared_runtime::config::duration")]
    pub audit: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            users_invite: false,
            contact: String::new(),
            reset_by_chat: false,
            addresses: Vec::new(),
            audit: Duration::from_secs(365 * 86_400),
        }
    }
}

/// Every key of `[provisioning]`.
pub const KEYS: &[Key] = &[
    Key::new(
        "provisioning.users_invite",
        "false",
        "whether accounts may invite people to accounts, who become their contacts",
    ),
    Key::new("provisioning.contact", "\"\"", "whom people ask who forgot their password, in plain words"),
    Key::new(
        "provisioning.reset_by_chat",
        "false",
        "whether who forgot their password is sent a link by chat: who reads an account's chat can then take it",
    ),
    Key::new(
        "provisioning.addresses",
        "[]",
        "addresses at which this host is reached; given, host-meta.json names all ways to chat with TLS",
    ),
    Key::new(
        "provisioning.audit",
        "\"365d\"",
        "how long it is kept who changed what, accounts that were removed since included; \"0s\": the newest 100,000 changes",
    ),
];
