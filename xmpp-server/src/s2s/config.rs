//! `[xmpp.federation]`: which other servers, how protected, and what they may cost.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use shared_runtime::config::{Key, duration};
use xmpp_core::Jid;

/// `[xmpp.federation]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct FederationConfig {
    /// What a stream must be before stanzas pass. Default `encrypted`.
    pub security: Security,
    /// Domains that alone are spoken with, such as `example.net`, or `*.example.net` for those below it. Default none: all
    /// that are not denied.
    pub allow: Vec<String>,
    /// Domains that are not spoken with, written likewise. Default none.
    pub deny: Vec<String>,
    /// Stanzas waiting for one domain; above, they go back to their senders. Default 4096.
    pub queue: usize,
    /// How long stanzas wait for a stream, and how long a stream may take to prove a domain. Default 30 s.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// How long a stream without stanzas stays open. Default 10 min.
    #[serde(with = "duration")]
    pub idle: Duration,
    /// Connections of others that have proved no domain, at once. Default 1000.
    pub unproven: usize,
    /// Connections of others at once. Default 10000.
    pub streams: usize,
    /// Bytes a second that are read from one stream; a faster one is slowed. Default 1048576.
    pub rate: usize,
    /// A file with the secret that dialback keys are made with, the same on every machine that serves the domain. Default:
    /// none, and one is made at every start.
    pub secret_file: Option<PathBuf>,
}

/// What a stream must be before stanzas pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// Protected by TLS, and the domain proven by its certificate.
    Verified,
    /// Protected by TLS; the domain proven by its certificate or by dialback.
    Encrypted,
    /// TLS where the other server has it. For laboratories.
    Optional,
}

impl Default for FederationConfig {
    fn default() -> Self {
        Self {
            security: Security::Encrypted,
            allow: Vec::new(),
            deny: Vec::new(),
            queue: 4096,
            timeout: Duration::from_secs(30),
            idle: Duration::from_secs(600),
            unproven: 1000,
            streams: 10_000,
            rate: 1_048_576,
            secret_file: None,
        }
    }
}

/// Every key of `[xmpp.federation]`.
pub(crate) const KEYS: &[Key] = &[
    Key::new(
        "xmpp.federation.security",
        "\"encrypted\"",
        "what a stream between servers must be: verified (TLS and a certificate of the domain), encrypted (TLS; dialback will do) \
         or optional",
    ),
    Key::new(
        "xmpp.federation.allow",
        "[]",
        "domains that alone are spoken with, such as \"example.net\" or \"*.example.net\"; none: all that are not denied",
    ),
    Key::new("xmpp.federation.deny", "[]", "domains that are not spoken with, written likewise"),
    Key::new("xmpp.federation.queue", "4096", "stanzas waiting for one domain; above, they go back"),
    Key::new("xmpp.federation.timeout", "\"30s\"", "how long stanzas wait for a stream to another server"),
    Key::new("xmpp.federation.idle", "\"10m\"", "how long a stream without stanzas stays open"),
    Key::new(
        "xmpp.federation.unproven",
        "1000",
        "connections of servers that have proved no domain, at once",
    ),
    Key::new("xmpp.federation.streams", "10000", "connections of other servers at once"),
    Key::new(
        "xmpp.federation.rate",
        "1048576",
        "bytes a second that are read from one stream of another server",
    ),
    Key::new(
        "xmpp.federation.secret_file",
        "",
        "file with the secret of dialback keys, the same on every machine of the domain; none: made at every start",
    ),
];

impl FederationConfig {
    /// What is wrong with it.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (key, list) in [("allow", &self.allow), ("deny", &self.deny)] {
            for pattern in list {
                let domain = pattern.strip_prefix("*.").unwrap_or(pattern);
                if Jid::new(None, domain, None).is_err() {
                    faults.push(format!(
                        "`xmpp.federation.{key}`: `{pattern}` is neither a domain nor `*.` and a domain"
                    ));
                }
            }
        }
        for (key, time) in [("timeout", self.timeout), ("idle", self.idle)] {
            if time.is_zero() {
                faults.push(format!("`xmpp.federation.{key}` is zero: nothing can happen in no time"));
            }
        }
        if let Some(Err(error)) = self.secret_file.as_ref().map(std::fs::read_to_string) {
            faults.push(format!("`xmpp.federation.secret_file`: {error}"));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_no_type_says() {
        let config = FederationConfig {
            allow: vec!["*.example.net".into(), "not a domain".into()],
            deny: vec!["*".into()],
            idle: Duration::ZERO,
            secret_file: Some("/nowhere/secret".into()),
            ..FederationConfig::default()
        };
        let faults = config.faults().join("\n");
        for part in ["`not a domain` is neither", "federation.deny`: `*`", "idle` is zero", "secret_file`: "]
        {
            assert!(faults.contains(part), "{part}: {faults}");
        }
        assert!(FederationConfig::default().faults().is_empty());
    }
}
