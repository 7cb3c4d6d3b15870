//! `[xmpp.turn]`: services beside this one that clients need for calls — RFC 7064, RFC 7065 (their URIs), and the passwords
//! that a TURN server and this one agree on without talking (coturn's `use-auth-secret`).
//!
//! ```text
//! user name = <seconds since 1970 at which it ends>:<account>     password = base64(HMAC-SHA-1(secret, user name))
//! ```

use std::path::PathBuf;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use shared_model::AccountId;
use shared_runtime::config::{Key, duration};

/// `[xmpp.turn]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct TurnConfig {
    /// URIs of STUN and TURN servers, such as `turn:turn.example.org:3478?transport=udp` and `turns:turn.example.org:5349`.
    /// Default none.
    pub services: Vec<String>,
    /// A file with the secret that is shared with the TURN servers, in its first line. Default none: clients get no passwords.
    pub secret_file: Option<PathBuf>,
    /// How long a password is good. Default 12 h.
    #[serde(with = "duration")]
    pub lifetime: Duration,
}

impl Default for TurnConfig {
    fn default() -> Self {
        Self { services: Vec::new(), secret_file: None, lifetime: Duration::from_secs(12 * 3600) }
    }
}

/// Every key of `[xmpp.turn]`.
pub(crate) const KEYS: [Key; 3] = [
    Key::new("xmpp.turn.services", "[]", "URIs of STUN and TURN servers that clients are told of"),
    Key::new(
        "xmpp.turn.secret_file",
        "",
        "file with the secret shared with the TURN servers, in its first line",
    ),
    Key::new("xmpp.turn.lifetime", "\"12h\"", "how long a password for a TURN server is good"),
];

impl TurnConfig {
    /// What no type says: each fault names its key.
    pub(crate) fn faults(&self) -> Vec<String> {
        let bad = |uri: &&String| Service::parse(uri).is_none();
        let is_none =
            |uri: &String| format!("`xmpp.turn.services`: `{uri}` is not a URI of RFC 7064 or RFC 7065");
        let mut faults: Vec<String> = self.services.iter().filter(bad).map(is_none).collect();
        if let Some(Err(error)) = self.secret_file.as_ref().map(std::fs::read_to_string) {
            faults.push(format!("`xmpp.turn.secret_file`: {error}"));
        }
        faults
    }
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Service {
    /// `stun`, `stuns`, `turn` or `turns`.
    pub(crate) type_: &'static str,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// `udp` or `tcp`.
    pub(crate) transport: &'static str,
}

impl Service {
    /// Reads a URI; without port and transport those of the scheme hold (RFC 7065 §3.1).
    fn parse(uri: &str) -> Option<Self> {
        let (scheme, rest) = uri.split_once(':')?;
        let type_ = ["stun", "stuns", "turn", "turns"].into_iter().find(|type_| *type_ == scheme)?;
        let is_tls = type_.ends_with("ns");
        let (place, transport) = match rest.split_once('?') {
            None => (rest, if is_tls { "tcp" } else { "udp" }),
            Some((place, "transport=udp")) => (place, "udp"),
            Some((place, "transport=tcp")) => (place, "tcp"),
            Some(_) => return None,
        };
        let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, Some(port.strip_prefix(':')?)),
            None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
        };
        let port = match port {
            Some(port) => port.parse().ok()?,
            None if is_tls => 5349,
            None => 3478,
        };
        let is_host =
            !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:".contains(&b));
        is_host.then(|| Self { type_, host: host.to_owned(), port, transport })
    }

    /// Whether it asks for a password.
    pub(crate) fn is_relay(&self) -> bool {
        self.type_.starts_with("turn")
    }
}

/// What clients are told.
pub(crate) struct Turn {
    pub(crate) services: Vec<Service>,
    secret: Option<hmac::Key>,
    lifetime: Duration,
}

/// A name and a password for a while.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) username: String,
    pub(crate) password: String,
    /// When they end, milliseconds since 1970.
    pub(crate) expires: i64,
}

impl Turn {
    /// Reads the secret, if there is one. An error names the key.
    pub(crate) fn open(config: &TurnConfig) -> Result<Self, String> {
        if let Some(fault) = config.faults().into_iter().next() {
            return Err(fault);
        }
        let text = config.secret_file.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
        let secret =
            text.as_deref().and_then(|text| text.lines().next()).map(str::trim).filter(|s| !s.is_empty());
        Ok(Self {
            services: config.services.iter().filter_map(|uri| Service::parse(uri)).collect(),
            secret: secret
                .map(|secret| hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes())),
            lifetime: config.lifetime,
        })
    }

    /// A name and a password for an account from `now` (milliseconds since 1970); none where no secret is shared.
    pub(crate) fn credentials(&self, account: AccountId, now: i64) -> Option<Credentials> {
        let lifetime = i64::try_from(self.lifetime.as_secs()).unwrap_or(i64::MAX);
        let seconds = now.div_euclid(1000).saturating_add(lifetime);
        let username = format!("{seconds}:{account}");
        let tag = hmac::sign(self.secret.as_ref()?, username.as_bytes());
        Some(Credentials { password: STANDARD.encode(tag), username, expires: seconds.saturating_mul(1000) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_those_of_rfc_7064_and_rfc_7065() {
        let service = |type_, host: &str, port, transport| {
            Some(Service { type_, host: host.to_owned(), port, transport })
        };
        assert_eq!(Service::parse("stun:example.org"), service("stun", "example.org", 3478, "udp"));
        assert_eq!(Service::parse("turns:example.org"), service("turns", "example.org", 5349, "tcp"));
        assert_eq!(
            Service::parse("turn:192.0.2.1:80?transport=tcp"),
            service("turn", "192.0.2.1", 80, "tcp")
        );
        assert_eq!(Service::parse("turn:[2001:db8::1]:81"), service("turn", "2001:db8::1", 81, "udp"));
        assert_eq!(Service::parse("stuns:[2001:db8::1]"), service("stuns", "2001:db8::1", 5349, "tcp"));
        for bad in
            ["", "turn", "turn:", "http://x", "turn:x:y", "turn:x?transport=sctp", "turn:a b", "turn:[::1"]
        {
            assert_eq!(Service::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_password_is_what_coturn_computes() {
        let secret = Some(hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"north"));
        let turn = Turn { services: Vec::new(), secret, lifetime: Duration::from_secs(60) };
        let it = turn.credentials(AccountId(1), 1_000_500).unwrap();
        assert_eq!(it.username, format!("1060:{}", AccountId(1)));
        assert_eq!(it.expires, 1_060_000);
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"north");
        assert_eq!(it.password, STANDARD.encode(hmac::sign(&key, it.username.as_bytes())));
        assert!(Turn { secret: None, ..turn }.credentials(AccountId(1), 0).is_none());
    }
}
