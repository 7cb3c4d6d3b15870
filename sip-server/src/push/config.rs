//! `[sip.push]`.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use shared_runtime::config::{Key, duration};

/// `[sip.push]`: how sleeping devices are woken (RFC 8599).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PushConfig {
    /// Where pushes are POSTed as JSON. Default none: no device is woken, and `pn-` parameters mean nothing.
    pub url: Option<String>,
    /// A file with the token that goes along as `Authorization: Bearer`. Default none.
    pub token_file: Option<PathBuf>,
    /// Push services that the gateway knows, as in `pn-provider`. Default `apns`, `fcm`, `webpush`.
    pub providers: Vec<String>,
    /// The public key of the gateway that `webpush` clients are told (RFC 8292). Default none.
    pub vapid: Option<String>,
    /// How long a request waits for the device that was woken. Default `20s`.
    #[serde(with = "duration")]
    pub wait: Duration,
    /// How long after the last sign of life a device counts as awake, and is not woken. Default `40s`.
    #[serde(with = "duration")]
    pub awake: Duration,
    /// How long one device is not woken again. Default `5s`.
    #[serde(with = "duration")]
    pub interval: Duration,
    /// How long before its binding ends a device is woken to refresh it. Default `150s`.
    #[serde(with = "duration")]
    pub refresh: Duration,
    /// How long the gateway may take. Default `5s`.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// Pushes that may be under way at once. Default 500.
    pub outstanding: usize,
}

impl PushConfig {
    /// §5.6.1.1: the shortest binding of a device that is woken to refresh it.
    pub(crate) fn shortest_binding(&self) -> i64 {
        let shortest = self.refresh + self.refresh / 2;
        i64::try_from(shortest.as_millis().div_ceil(1_000)).unwrap_or(i64::MAX)
    }
}

impl Default for PushConfig {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            url: None,
            token_file: None,
            providers: ["apns", "fcm", "webpush"].map(str::to_owned).to_vec(),
            vapid: None,
            wait: seconds(20),
            awake: seconds(40),
            interval: seconds(5),
            refresh: seconds(150),
            timeout: seconds(5),
            outstanding: 500,
        }
    }
}

/// Every key of `[sip.push]`.
pub(crate) const PUSH_KEYS: &[Key] = &[
    Key::new(
        "sip.push.url",
        "",
        "where pushes to sleeping devices are POSTed as JSON (RFC 8599); none: nobody is woken",
    ),
    Key::new("sip.push.token_file", "", "file with the token that goes along as Authorization: Bearer"),
    Key::new(
        "sip.push.providers",
        "[\"apns\", \"fcm\", \"webpush\"]",
        "push services that the gateway knows; a device of another is answered 555",
    ),
    Key::new("sip.push.vapid", "", "the gateway's public key that webpush clients are told (RFC 8292)"),
    Key::new("sip.push.wait", "\"20s\"", "how long a request waits for the device that was woken; then 480"),
    Key::new(
        "sip.push.awake",
        "\"40s\"",
        "how long after the last sign of life on its connection a device counts as awake, and is not woken",
    ),
    Key::new("sip.push.interval", "\"5s\"", "how long one device is not woken again"),
    Key::new(
        "sip.push.refresh",
        "\"150s\"",
        "how long before its binding ends a device is woken to refresh it; shorter bindings than half as much again get 423",
    ),
    Key::new("sip.push.timeout", "\"5s\"", "how long the gateway may take"),
    Key::new(
        "sip.push.outstanding",
        "500",
        "pushes that may be under way at once; beyond them a device is not woken",
    ),
];
