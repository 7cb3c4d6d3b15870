//! The plan of ports on one page — RFC 7081 §3.2: each, its protocol, what it is for; and a firewall that lets them in.

use std::fmt::Write;

use super::{Face, Ward};

/// One line of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The first port; 0 if the system chooses it.
    pub first: u16,
    /// The last port.
    pub last: u16,
    /// `tcp` or `udp`.
    pub transport: &'static str,
    /// The key that says it.
    pub key: &'static str,
    /// What it is for.
    pub purpose: &'static str,
    /// Whether strangers are to reach it.
    pub is_public: bool,
}

/// Every port of the service.
pub fn plan(ward: &Ward) -> Vec<Planned> {
    let of = |face: &Face| {
        let (transport, purpose) = PURPOSES
            .iter()
            .find(|(name, ..)| *name == face.name)
            .map_or(("tcp", ""), |(_, transport, purpose)| (*transport, *purpose));
        let port = face.address.port();
        let is_public = face.name != "operations.listen" && !face.address.ip().is_loopback();
        Planned { first: port, last: port, transport, key: face.name, purpose, is_public }
    };
    let (first, last) = ward.rtp_ports;
    let sound = Planned {
        first,
        last,
        transport: "udp",
        key: "conference.rtp_ports",
        purpose: "sound and pictures of rooms' calls (RTP, RTCP)",
        is_public: !ward.is_private(),
    };
    ward.faces.iter().map(of).chain([sound]).collect()
}

/// A table for nftables that lets in what is for strangers, and nothing else that is new.
pub fn firewall(plan: &[Planned]) -> String {
    let mut out = String::from(
        "table inet cusax {\n  chain input {\n    type filter hook input priority filter; policy drop;\n    \
         ct state established,related accept\n    iif lo accept\n    meta l4proto { icmp, ipv6-icmp } accept\n    \
         tcp dport 22 accept comment \"ssh\"\n",
    );
    for Planned { first, last, transport, purpose, .. } in plan.iter().filter(|p| p.is_public && p.first != 0)
    {
        let ports = if first == last { first.to_string() } else { format!("{first}-{last}") };
        // Writing to a string does not fail.
        let _ = writeln!(out, "    {transport} dport {ports} accept comment \"{purpose}\"");
    }
    out + "  }\n}"
}

const PURPOSES: &[(&str, &str, &str)] = &[
    ("sip.udp", "udp", "calls: SIP"),
    ("sip.tcp", "tcp", "calls: SIP"),
    ("sip.tls", "tcp", "calls: SIP over TLS, the one port that a telephone needs"),
    ("xmpp.c2s", "tcp", "chat: clients, with STARTTLS"),
    ("xmpp.c2s_tls", "tcp", "chat: clients, with TLS from the first byte"),
    ("xmpp.s2s", "tcp", "chat: other servers, with STARTTLS"),
    ("xmpp.s2s_tls", "tcp", "chat: other servers, with TLS from the first byte"),
    ("http.https", "tcp", "provisioning, pages, API, and both halves over WebSocket"),
    ("conference.media", "udp", "sound and pictures of browsers"),
    ("operations.listen", "tcp", "metrics and health, for this machine or a network of operators"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_firewall_lets_in_what_is_public() {
        let line = |first, last, is_public| Planned {
            first,
            last,
            transport: "udp",
            key: "k",
            purpose: "calls",
            is_public,
        };
        let rules = firewall(&[line(5060, 5060, true), line(20_000, 29_999, true), line(9478, 9478, false)]);
        assert!(rules.contains("udp dport 5060 accept comment \"calls\"\n"), "{rules}");
        assert!(rules.contains("udp dport 20000-29999 accept"), "{rules}");
        assert!(!rules.contains("9478"), "{rules}");
    }
}
