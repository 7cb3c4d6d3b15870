//! `[provisioning]`: what people may do by themselves.

use serde::Deserialize;
use shared_runtime::config::Key;

/// `[provisioning]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Whether accounts may invite people to accounts, who become their contacts. Default: no.
    pub users_invite: bool,
}

/// Every key of `[provisioning]`.
pub const KEYS: &[Key] = &[Key::new(
    "provisioning.users_invite",
    "false",
    "whether accounts may invite people to accounts, who become their contacts",
)];
