//! `[auth]` of the configuration.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
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

/// Addresses that share a prefix, such as `192.0.2.0/24` or `2001:db8::/32`; an address alone is a network of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    bits: u128,
    prefix: u8,
    is_v4: bool,
}

impl Network {
    /// The network of `prefix` bits around an address.
    pub fn around(ip: IpAddr, prefix: u8) -> Self {
        let (bits, width, is_v4) = match ip.to_canonical() {
            IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 32, true),
            IpAddr::V6(v6) => (v6.to_bits(), 128, false),
        };
        let prefix = prefix.min(width);
        let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
        Self { bits: bits & mask, prefix, is_v4 }
    }

    /// Whether the address is inside.
    pub fn contains(&self, ip: IpAddr) -> bool {
        Self::around(ip, self.prefix) == *self
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = self.prefix;
        match self.is_v4 {
            true => write!(f, "{}/{prefix}", Ipv4Addr::from_bits((self.bits >> 96) as u32)),
            false => write!(f, "{}/{prefix}", Ipv6Addr::from_bits(self.bits)),
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is not a network such as \"192.0.2.0/24\"");
        let (ip, prefix) = text.split_once('/').map_or((text, None), |(ip, prefix)| (ip, Some(prefix)));
        let ip: IpAddr = ip.parse().map_err(|_| bad())?;
        let width = if ip.is_ipv4() { 32 } else { 128 };
        let prefix: u8 = prefix.map_or(Ok(width), str::parse).map_err(|_| bad())?;
        if prefix > width { Err(bad()) } else { Ok(Self::around(ip, prefix)) }
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_what_shares_their_prefix() {
        let home: Network = "192.0.2.0/24".parse().unwrap();
        assert_eq!(home.to_string(), "192.0.2.0/24");
        assert_eq!("2001:db8:1::/32".parse::<Network>().unwrap().to_string(), "2001:db8::/32");
        assert!(home.contains("192.0.2.77".parse().unwrap()));
        assert!(home.contains("::ffff:192.0.2.77".parse().unwrap()));
        assert!(!home.contains("192.0.3.1".parse().unwrap()));
        assert!(!"::/0".parse::<Network>().unwrap().contains("192.0.2.1".parse().unwrap()));
        assert!("127.0.0.1".parse::<Network>().unwrap().contains("127.0.0.1".parse().unwrap()));
        assert!("192.0.2.0/33".parse::<Network>().is_err() && "home".parse::<Network>().is_err());
    }
}
