//! What name servers shall say of the domain — RFC 3263 §4.1 and RFC 2782 (SIP), RFC 6120 §3.2.1 and XEP-0368 (XMPP),
//! RFC 6764 §3 (CardDAV) — as a zone file (RFC 1035 §5).
//!
//! In    the domain, the host, its addresses, and where the faces listen; names in A-labels, as name servers have them (RFC 5890 §2.3.2.1).
//! Out   records, the protected ways before the others; none for what does not listen.
//! Not here: reading a zone back (`cusax doctor`).

use std::fmt::Write;
use std::net::IpAddr;

use crate::Ports;

/// What the records say.
pub struct Zone<'a> {
    /// The domain of addresses.
    pub domain: &'a str,
    /// The host that all services are on.
    pub host: &'a str,
    /// Its addresses; none: the zone says them already.
    pub addresses: &'a [IpAddr],
    /// Hosts of rooms and other services of XMPP, the rooms first.
    pub services: &'a [String],
    /// Where the faces listen.
    pub ports: Ports,
    /// XMPP of other servers, with STARTTLS and with direct TLS.
    pub federation: (Option<u16>, Option<u16>),
}

impl Zone<'_> {
    /// The zone file.
    pub fn print(&self) -> String {
        let mut out = format!("$ORIGIN {}.\n$TTL 3600\n", self.domain);
        let is_foreign = !is_within(self.host, self.domain);
        for address in self.addresses {
            let kind = if address.is_ipv4() { "A" } else { "AAAA" };
            if is_foreign {
                // Data that is out of the zone is ignored, or refused.
                let _ = writeln!(out, "; of another zone: {}. IN {kind} {address}", self.host);
            }
            let own = (!is_foreign).then_some(self.host);
            for name in own.into_iter().chain(self.services.iter().map(String::as_str)) {
                line(&mut out, name, kind, &address.to_string());
            }
        }
        let rooms = self.services.first().map(String::as_str);
        for domain in std::iter::once(self.domain).chain(rooms) {
            self.sip(&mut out, domain);
        }
        self.srv(&mut out, "_xmpps-client._tcp", self.domain, self.ports.xmpp_tls, 0);
        self.srv(&mut out, "_xmpp-client._tcp", self.domain, self.ports.xmpp, 10);
        let services = self.services.iter().map(String::as_str);
        for domain in std::iter::once(self.domain).chain(services) {
            self.srv(&mut out, "_xmpps-server._tcp", domain, self.federation.1, 0);
            self.srv(&mut out, "_xmpp-server._tcp", domain, self.federation.0, 10);
        }
        if self.ports.https.is_some() {
            self.srv(&mut out, "_carddavs._tcp", self.domain, self.ports.https, 0);
            line(
                &mut out,
                &format!("_carddavs._tcp.{}", self.domain),
                "TXT",
                "\"path=/.well-known/carddav\"",
            );
        }
        out
    }

    /// RFC 3263 §4.1: the NAPTR records say which transport is liked best.
    fn sip(&self, out: &mut String, domain: &str) {
        let ways = [
            ("SIPS+D2T", "_sips._tcp", self.ports.sip_tls, 10),
            ("SIP+D2T", "_sip._tcp", self.ports.sip_tcp, 20),
            ("SIP+D2U", "_sip._udp", self.ports.sip_udp, 30),
        ];
        for (service, name, port, order) in ways {
            if port.is_some() {
                let value = format!("{order} 0 \"s\" \"{service}\" \"\" {name}.{domain}.");
                line(out, domain, "NAPTR", &value);
            }
            self.srv(out, name, domain, port, 0);
        }
    }

    fn srv(&self, out: &mut String, service: &str, domain: &str, port: Option<u16>, priority: u16) {
        if let Some(port) = port {
            line(out, &format!("{service}.{domain}"), "SRV", &format!("{priority} 5 {port} {}.", self.host));
        }
    }
}

/// Whether a host stands in the zone of a domain.
fn is_within(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn line(out: &mut String, name: &str, kind: &str, value: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(out, "{name}. IN {kind} {value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_listens_is_there_and_nothing_else() {
        let zone = Zone {
            domain: "example.org",
            host: "a.example.org",
            addresses: &["192.0.2.1".parse().unwrap()],
            services: &["conference.example.org".to_owned(), "upload.example.org".to_owned()],
            ports: Ports { sip_tls: Some(5061), sip_udp: Some(5060), xmpp: Some(5222), ..Ports::default() },
            federation: (Some(5269), None),
        };
        let wanted = "\
$ORIGIN example.org.
$TTL 3600
a.example.org. IN A 192.0.2.1
conference.example.org. IN A 192.0.2.1
upload.example.org. IN A 192.0.2.1
example.org. IN NAPTR 10 0 \"s\" \"SIPS+D2T\" \"\" _sips._tcp.example.org.
_sips._tcp.example.org. IN SRV 0 5 5061 a.example.org.
example.org. IN NAPTR 30 0 \"s\" \"SIP+D2U\" \"\" _sip._udp.example.org.
_sip._udp.example.org. IN SRV 0 5 5060 a.example.org.
conference.example.org. IN NAPTR 10 0 \"s\" \"SIPS+D2T\" \"\" _sips._tcp.conference.example.org.
_sips._tcp.conference.example.org. IN SRV 0 5 5061 a.example.org.
conference.example.org. IN NAPTR 30 0 \"s\" \"SIP+D2U\" \"\" _sip._udp.conference.example.org.
_sip._udp.conference.example.org. IN SRV 0 5 5060 a.example.org.
_xmpp-client._tcp.example.org. IN SRV 10 5 5222 a.example.org.
_xmpp-server._tcp.example.org. IN SRV 10 5 5269 a.example.org.
_xmpp-server._tcp.conference.example.org. IN SRV 10 5 5269 a.example.org.
_xmpp-server._tcp.upload.example.org. IN SRV 10 5 5269 a.example.org.
";
        assert_eq!(zone.print(), wanted);
        let elsewhere = Zone { host: "h.example.net", ..zone };
        let printed = elsewhere.print();
        assert!(printed.contains("; of another zone: h.example.net. IN A 192.0.2.1\n"), "{printed}");
        assert!(!printed.lines().any(|line| line.starts_with("h.example.net")), "{printed}");
        assert!(printed.contains("\nconference.example.org. IN A 192.0.2.1\n"), "{printed}");
    }
}
