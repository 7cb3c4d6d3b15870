//! `[sip.hep]`.

use std::path::PathBuf;

use serde::Deserialize;
use shared_runtime::config::Key;

/// `[sip.hep]`: copies of messages for a capture server.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct HepConfig {
    /// Where copies go, such as `udp homer.example.org:9060`. Default nowhere.
    pub to: Option<String>,
    /// The id of this node among those that capture. Default 1.
    pub id: u32,
    /// A file with the password of the capture server, in its first line. Default none.
    pub password_file: Option<PathBuf>,
}

/// Every key of `[sip.hep]`.
pub(crate) const KEYS: &[Key] = &[
    Key::new(
        "sip.hep.to",
        "",
        "where copies of all messages go as HEP v3, such as \"udp homer.example.org:9060\"",
    ),
    Key::new("sip.hep.id", "1", "id of this node among those that capture"),
    Key::new("sip.hep.password_file", "", "file with the password of the capture server, in its first line"),
];

impl HepConfig {
    /// `host:port` of where copies go.
    pub(crate) fn host_port(&self) -> Option<&str> {
        let (transport, to) = self.to.as_deref()?.trim().split_once([' ', ':'])?;
        let to = to.trim_start_matches('/').trim();
        let (_, port) = to.rsplit_once(':')?;
        (transport.eq_ignore_ascii_case("udp") && port.parse::<u16>().is_ok()).then_some(to)
    }

    /// What is wrong with it.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if let Some(to) = self.to.as_ref().filter(|_| self.host_port().is_none()) {
            faults.push(format!("`sip.hep.to`: `{to}` is not \"udp host:port\""));
        }
        if let Some(Err(error)) = self.password_file.as_ref().map(std::fs::read_to_string) {
            faults.push(format!("`sip.hep.password_file`: {error}"));
        }
        faults
    }
}

impl Default for HepConfig {
    fn default() -> Self {
        Self { to: None, id: 1, password_file: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_go_to_a_host_and_port_by_udp() {
        let to = |text: &str| HepConfig { to: Some(text.to_owned()), ..HepConfig::default() };
        for right in ["udp homer:9060", "UDP homer:9060", "udp://homer:9060", "udp:homer:9060"] {
            assert_eq!(to(right).host_port(), Some("homer:9060"), "{right}");
        }
        assert_eq!(to("udp [::1]:9060").host_port(), Some("[::1]:9060"));
        for wrong in ["homer:9060", "tcp homer:9060", "udp homer", "udp homer:x", ""] {
            assert!(to(wrong).host_port().is_none() && !to(wrong).faults().is_empty(), "{wrong}");
        }
        assert!(HepConfig::default().faults().is_empty());
    }
}
