//! `[sip.guard]`.

use std::time::Duration;

use serde::Deserialize;
use shared_auth::Network;
use shared_runtime::config::Key;

/// `[sip.guard]`: what is refused before anything is done for it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct GuardConfig {
    /// Requests a second from one address (IPv6: /64) outside calls; beyond them 503. Zero: no limit. Default 500.
    pub rate: u32,
    /// Networks that are never refused, such as those of proxies before us. Default this machine.
    pub exempt: Vec<Network>,
    /// Parts of the User-Agent of scanners.
    pub scanners: Vec<String>,
    /// How long requests may wait for their turn before new ones get 503. Zero: no limit. Default `100ms`.
    #[serde(with = "shared_runtime::config::duration")]
    pub late: Duration,
}

/// Every key of `[sip.guard]`.
pub(crate) const KEYS: &[Key] = &[
    Key::new(
        "sip.guard.rate",
        "500",
        "requests a second from one address outside calls; beyond them 503; 0: no limit",
    ),
    Key::new("sip.guard.exempt", "[\"127.0.0.0/8\", \"::1\"]", "networks that are never refused"),
    Key::new(
        "sip.guard.scanners",
        "[\"friendly-scanner\", \"sipvicious\", \"sipcli\", \"sip-scan\", \"sundayddr\", \"vaxsipuseragent\", \"pplsip\", \"eyebeam-scan\"]",
        "parts of the User-Agent of scanners; they get 403 and count as failed proofs",
    ),
    Key::new(
        "sip.guard.late",
        "\"100ms\"",
        "how long requests may wait for their turn before new ones get 503; 0s: no limit",
    ),
];

const SCANNERS: [&str; 8] = [
    "friendly-scanner",
    "sipvicious",
    "sipcli",
    "sip-scan",
    "sundayddr",
    "vaxsipuseragent",
    "pplsip",
    "eyebeam-scan",
];

impl Default for GuardConfig {
    fn default() -> Self {
        let this_machine = |ip: std::net::IpAddr, prefix| Network::around(ip, prefix);
        Self {
            rate: 500,
            exempt: vec![
                this_machine(std::net::Ipv4Addr::LOCALHOST.into(), 8),
                this_machine(std::net::Ipv6Addr::LOCALHOST.into(), 128),
            ],
            scanners: SCANNERS.map(str::to_owned).to_vec(),
            late: Duration::from_millis(100),
        }
    }
}
