//! `[sip.stir]`.

use std::path::PathBuf;

use serde::Deserialize;
use shared_runtime::config::Key;

/// `[sip.stir]`: signed calls (RFC 8224).
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct StirConfig {
    /// A PEM file with the P-256 key that calls to other domains are signed with. Default none: none is signed.
    pub key: Option<PathBuf>,
    /// Where others find its certificate. Needed with `key`.
    pub certificate_url: Option<String>,
    /// What becomes of signatures on calls from outside. Default `off`.
    pub verify: Verify,
    /// A PEM file with the roots of signers that are believed. Needed unless `verify` is `off`.
    pub trust: Option<PathBuf>,
    /// Hosts that certificates are fetched from, since strangers name the URL. Default none: any host.
    pub hosts: Vec<String>,
}

impl StirConfig {
    /// Which key is wanted beside another.
    pub(crate) fn fault(&self) -> Option<String> {
        if self.key.is_some() != self.certificate_url.is_some() {
            return Some(
                "sip.stir.key and sip.stir.certificate_url go together; only one is given".to_owned(),
            );
        }
        let is_blind = self.verify != Verify::Off && self.trust.is_none();
        is_blind.then(|| "sip.stir.verify needs sip.stir.trust".to_owned())
    }
}

/// What becomes of signatures on calls from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verify {
    /// They are not looked at.
    #[default]
    Off,
    /// The callee is told (`verstat`): passed, which a phone shows as verified, for attestation A alone.
    Tell,
    /// The callee is told, and calls without a good one are refused.
    Require,
}

/// Every key of `[sip.stir]`.
pub(crate) const STIR_KEYS: &[Key] = &[
    Key::new(
        "sip.stir.key",
        "",
        "PEM file with the P-256 key that calls to other domains are signed with (RFC 8224); none: none is",
    ),
    Key::new("sip.stir.certificate_url", "", "where others find the certificate of this key"),
    Key::new(
        "sip.stir.verify",
        "\"off\"",
        "what becomes of signatures on calls from outside: off, tell (the callee, by verstat: passed for attestation A alone), require (refuse calls without)",
    ),
    Key::new("sip.stir.trust", "", "PEM file with the roots of signers that are believed"),
    Key::new(
        "sip.stir.hosts",
        "[]",
        "hosts that certificates are fetched from, for strangers name the URL; none: any",
    ),
];
