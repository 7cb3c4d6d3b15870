//! `[auth]` of the configuration.

use std::time::Duration;

use serde::Deserialize;
use shared_runtime::Network;
use shared_runtime::config::Key;
use shared_store::DigestAlgorithm;

use crate::outside::ldap::{LDAP_KEYS, LdapConfig};
use crate::outside::oidc::{OIDC_KEYS, OidcConfig};

/// `[auth]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Config {
    /// How long a Digest nonce is good for. Default 5 min.
    #[serde(with = "shared_runtime::config::duration")]
    pub nonce_lifetime: Duration,
    /// Digest algorithms in the order of the challenges. Default SHA-512-256, SHA-256, MD5.
    pub algorithms: Vec<DigestAlgorithm>,
    /// Networks whose failed proofs are not throttled, such as `192.0.2.0/24`. Default none.
    pub throttle_exempt: Vec<Network>,
    /// PBKDF2 rounds for new passwords, at least 4096. Default 10000.
    pub iterations: u32,
    /// How long a client that logged in by a password may do so by a token instead (XEP-0484). Default 14 d.
    #[serde(with = "shared_runtime::config::duration")]
    pub token_lifetime: Duration,
    /// `[auth.ldap]`.
    pub ldap: LdapConfig,
    /// `[auth.oidc]`.
    pub oidc: OidcConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            nonce_lifetime: Duration::from_secs(300),
            algorithms: vec![DigestAlgorithm::Sha512_256, DigestAlgorithm::Sha256, DigestAlgorithm::Md5],
            throttle_exempt: Vec::new(),
            iterations: 10_000,
            token_lifetime: Duration::from_secs(14 * 86_400),
            ldap: LdapConfig::default(),
            oidc: OidcConfig::default(),
        }
    }
}

/// Every key of `[auth]`.
pub fn keys() -> Vec<Key> {
    [OWN_KEYS, LDAP_KEYS, OIDC_KEYS].concat()
}

const OWN_KEYS: &[Key] = &[
    Key::new("auth.nonce_lifetime", "\"5m\"", "How long a Digest nonce is good for."),
    Key::new(
        "auth.algorithms",
        "[\"SHA-512-256\", \"SHA-256\", \"MD5\"]",
        "Digest algorithms, in the order of the challenges.",
    ),
    Key::new("auth.throttle_exempt", "[]", "Networks that are never throttled, such as \"192.0.2.0/24\"."),
    Key::new("auth.iterations", "10000", "PBKDF2 rounds of SCRAM for new passwords, at least 4096."),
    Key::new(
        "auth.token_lifetime",
        "\"14d\"",
        "How long a client may log in by a token instead of a password.",
    ),
];
