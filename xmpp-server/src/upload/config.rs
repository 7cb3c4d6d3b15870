//! `[xmpp.upload]`: what accounts may leave here, and for how long.

use std::time::Duration;

use serde::Deserialize;
use shared_runtime::config::{Key, duration};

/// `[xmpp.upload]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct UploadConfig {
    /// Whether files are taken at all. Default true.
    pub enabled: bool,
    /// Where clients reach `/upload` of `[http]`, without a slash at the end, such as `https://files.example.org`; empty:
    /// the domain, and the port of `[http]`. Default empty.
    pub url: String,
    /// Bytes of one file. Default 104857600 (100 MiB).
    pub max_bytes: u64,
    /// Bytes of all files of one account. Default 1073741824 (1 GiB).
    pub quota: u64,
    /// Other domains whose users may leave files here as well, each under a quota of its own. Default none.
    pub foreign_domains: Vec<String>,
    /// Bytes of all files of all users of these domains. Default 10737418240 (10 GiB).
    pub foreign_quota: u64,
    /// How long a file is kept. Default 30 d.
    #[serde(with = "duration")]
    pub expiry: Duration,
}

impl Default for UploadConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            url: String::new(),
            max_bytes: 104_857_600,
            quota: 1_073_741_824,
            foreign_domains: Vec::new(),
            foreign_quota: 10_737_418_240,
            expiry: Duration::from_secs(30 * 86_400),
        }
    }
}

/// Every key of `[xmpp.upload]`.
pub(crate) const KEYS: [Key; 7] = [
    Key::new("xmpp.upload.enabled", "true", "accounts leave files for others at /upload of [http]"),
    Key::new(
        "xmpp.upload.url",
        "\"\"",
        "where clients reach /upload; empty: the domain and the port of [http]",
    ),
    Key::new("xmpp.upload.max_bytes", "104857600", "bytes of one file"),
    Key::new("xmpp.upload.quota", "1073741824", "bytes of all files of one account"),
    Key::new("xmpp.upload.foreign_domains", "[]", "other domains whose users leave files here as well"),
    Key::new(
        "xmpp.upload.foreign_quota",
        "10737418240",
        "bytes of all files of all users of xmpp.upload.foreign_domains",
    ),
    Key::new("xmpp.upload.expiry", "\"30d\"", "how long a file is kept"),
];
