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
        Self { users_invite: false, addresses: Vec::new(), audit: Duration::from_secs(365 * 86_400) }
    }
}

/// Every key of `[provisioning]`.
pub const KEYS: &[Key] = &[
    Key::new(
        "provisioning.users_invite",
        "false",
        "whether accounts may invite people to accounts, who become their contacts",
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
