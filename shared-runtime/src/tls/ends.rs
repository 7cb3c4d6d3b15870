//! When the certificates end that listeners show: a metric, and the log from two weeks before (RFC 5280 §4.1.2.5).
//!
//! In    the certificates as they were read, and the moment.
//! Out   a gauge for each, and those that end soon or have ended.
//! State what the gauges say. Errors what is no certificate has no end.

use prometheus::{IntGaugeVec, Opts};

use super::{Files, Keys, PeerCertificate};

/// The gauges. Clones share them.
#[derive(Clone)]
pub(super) struct Ends(IntGaugeVec);

/// A certificate that ends soon.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ending {
    /// Whose it is, as the label says.
    pub(super) domain: String,
    /// Whole days until then; below zero if it has ended.
    pub(super) days: i64,
}

impl Ends {
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        IntGaugeVec::new(Opts::new(NAME, HELP), &["domain"]).map(Self)
    }

    pub(super) fn collector(&self) -> Box<IntGaugeVec> {
        Box::new(self.0.clone())
    }

    /// Shows when each certificate ends. `now` is seconds since 1970; those of `files` and `keys` are in one order.
    pub(super) fn note(&self, files: &[Files], keys: &Keys, now: i64) -> Vec<Ending> {
        let mut soon = Vec::new();
        let keys = std::iter::once(Some(&keys.first)).chain(keys.others.iter().map(Option::as_ref));
        for (files, key) in files.iter().zip(keys) {
            let domain = files.domain.clone().unwrap_or_default();
            let leaf = key.and_then(|key| PeerCertificate::read(key.cert.first()?));
            let Some(until) = leaf.map(|leaf| leaf.not_after) else { continue };
            self.0.with_label_values(&[&domain]).set(until);
            let days = until.saturating_sub(now).div_euclid(DAY);
            if days < SOON {
                soon.push(Ending { domain, days });
            }
        }
        soon
    }
}

impl Ending {
    pub(super) fn tell(&self) {
        let Self { domain, days } = self;
        match days {
            0.. => tracing::warn!(%domain, days, "a certificate ends soon"),
            _ => tracing::warn!(%domain, "a certificate has ended: every client that looks refuses it"),
        }
    }
}

const NAME: &str = "shared_runtime_certificate_ends_seconds";
const HELP: &str = "When the certificate of a domain ends, since 1970; without a domain: that of `[tls]`.";
const DAY: i64 = 86_400;
/// Days before the end from which on it is told.
const SOON: i64 = 14;
