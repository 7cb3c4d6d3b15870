//! Whose certificate it is — RFC 6120 §13.7.1.2 and §13.7.2.1, RFC 9525 §6 (formerly RFC 6125): names in certificates of
//! servers, and how they are compared.
//!
//! In    the chain that the other side showed. Out a [`Certificate`] that the roots stand behind, which says whether it is
//!       a domain's: by DNS-ID (a wildcard for one whole label), by SRV-ID `_xmpp-server`, or by XmppAddr.
//! A certificate that nobody stands behind ends no handshake: it proves nothing, and dialback may (XEP-0220).
//! One that is on a list of revoked ones (`tls.revoked`) is not believed, nor what it issued.
//! Not here: common names (RFC 9525 §2).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, ClientConfig, Error, ServerConfig};
use shared_model::Domains;
use shared_runtime::names::to_ascii;
use shared_runtime::tls::judge::{Chain, Servers};
use shared_runtime::tls::{PeerCertificate, TlsPolicy};
use xmpp_core::Jid;

/// What protects streams between servers, and judges who is at the other end.
pub(super) struct Trust {
    servers: Servers,
    /// For those who connect to us.
    pub(super) server: Arc<ServerConfig>,
    /// For connections of our main domain and of what stands beside it.
    main: Clients,
    /// For those of other domains of ours, which may have certificates of their own.
    others: HashMap<Box<str>, Clients>,
}

/// For connections of ours that begin without TLS, and for those that begin with it (XEP-0368 §3).
struct Clients {
    plain: Arc<ClientConfig>,
    direct: Arc<ClientConfig>,
}

/// A certificate that the roots stand behind.
#[derive(Debug, Clone)]
pub(super) struct Certificate(PeerCertificate);

impl Trust {
    pub(super) fn new(policy: &TlsPolicy, domains: &Domains) -> Self {
        // Whoever has the key of a certificate is taken; who is believed is judged behind the handshake.
        let clients_of = |domain: &str| {
            let plain = policy.mutual_client(|_, _| Ok(()), Some(domain));
            let mut direct = ClientConfig::clone(&plain);
            direct.alpn_protocols = vec![ALPN.to_vec()];
            Clients { plain, direct: Arc::new(direct) }
        };
        let others = domains.iter().filter(|domain| *domain != domains.main());
        let others = others.map(|domain| (domain.into(), clients_of(domain))).collect();
        let main = clients_of(domains.main());
        Self { servers: policy.servers(), server: policy.judging_server(&[ALPN], |_| Ok(())), main, others }
    }

    /// What a connection in the name of a domain of ours uses.
    pub(super) fn client(&self, ours: &str, is_direct: bool) -> &Arc<ClientConfig> {
        let clients = self.others.get(ours).unwrap_or(&self.main);
        if is_direct { &clients.direct } else { &clients.plain }
    }

    /// The certificate at the other end, if the roots stand behind it now.
    pub(super) fn judge(&self, chain: Option<&[CertificateDer<'_>]>) -> Option<Certificate> {
        let chain = Chain::shown(chain?)?;
        match self.servers.vouch_for_caller(chain) {
            Ok(()) => PeerCertificate::read(chain.leaf).map(Certificate),
            Err(Error::InvalidCertificate(CertificateError::Revoked)) => {
                tracing::info!("a certificate of another server was revoked");
                None
            }
            Err(error) => {
                tracing::debug!(%error, "a certificate of another server is not believed");
                None
            }
        }
    }
}

impl Certificate {
    /// Whether it is this domain's.
    pub(super) fn is_of(&self, domain: &str) -> bool {
        if let Ok(ip) = domain.trim_matches(['[', ']']).parse::<IpAddr>() {
            return self.0.ips.contains(&ip);
        }
        let Some(ascii) = to_ascii(domain) else { return false };
        let is_dns_id = |host: &String| match host.strip_prefix("*.") {
            // RFC 9525 §6.3: for one label, and not for the top of all.
            Some(rest) => {
                rest.contains('.')
                    && ascii.split_once('.').is_some_and(|(_, above)| above.eq_ignore_ascii_case(rest))
            }
            None => host.eq_ignore_ascii_case(&ascii),
        };
        let is_other = |(kind, text): &(String, String)| match kind.as_str() {
            SRV_NAME => {
                text.get(..SERVICE.len()).zip(text.get(SERVICE.len()..)).is_some_and(|(service, name)| {
                    service.eq_ignore_ascii_case(SERVICE) && name.eq_ignore_ascii_case(&ascii)
                })
            }
            XMPP_ADDR => text.parse::<Jid>().is_ok_and(|jid| jid.as_str() == domain),
            _ => false,
        };
        self.0.hosts.iter().any(is_dns_id) || self.0.others.iter().any(is_other)
    }

    /// Until when it holds, in seconds since 1970.
    pub(super) fn not_after(&self) -> i64 {
        self.0.not_after
    }
}

/// XEP-0368 §3.
const ALPN: &[u8] = b"xmpp-server";
/// id-on-dnsSRV (RFC 4985 §2).
const SRV_NAME: &str = "1.3.6.1.5.5.7.8.7";
/// id-on-xmppAddr (RFC 6120 §13.7.1.4).
const XMPP_ADDR: &str = "1.3.6.1.5.5.7.8.5";
const SERVICE: &str = "_xmpp-server.";

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(hosts: &[&str], others: &[(&str, &str)]) -> Certificate {
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        let others = others.iter().map(|(kind, text)| ((*kind).to_owned(), (*text).to_owned())).collect();
        Certificate(PeerCertificate { hosts, others, ..PeerCertificate::default() })
    }

    /// RFC 9525 §6.3, RFC 6120 §13.7.1.2.2 (the examples there).
    #[test]
    fn names_are_compared_rule_by_rule() {
        let plain = certificate(&["IM.example.com"], &[]);
        assert!(plain.is_of("im.example.com"));
        for other in ["example.com", "a.im.example.com", "im.example.com.evil", "xim.example.com"] {
            assert!(!plain.is_of(other), "{other}");
        }
        let wildcard = certificate(&["*.example.com"], &[]);
        assert!(wildcard.is_of("conference.example.com"));
        for other in ["example.com", "a.b.example.com", "example.com.evil", ".example.com"] {
            assert!(!wildcard.is_of(other), "{other}");
        }
        for bad in ["*.com", "*", "*x.example.com", "x*.example.com", "a.*.example.com"] {
            let bad = certificate(&[bad], &[]);
            assert!(!bad.is_of("a.example.com") && !bad.is_of("example.com") && !bad.is_of("xa.example.com"));
        }
        let service = certificate(&[], &[(SRV_NAME, "_xmpp-server.Example.com")]);
        assert!(service.is_of("example.com") && !service.is_of("im.example.com"));
        assert!(!certificate(&[], &[(SRV_NAME, "_xmpp-client.example.com")]).is_of("example.com"));
        assert!(!certificate(&[], &[("1.2.3", "_xmpp-server.example.com")]).is_of("example.com"));
        let address = certificate(&["other.example"], &[(XMPP_ADDR, "Example.com")]);
        assert!(address.is_of("example.com") && !address.is_of("im.example.com"));
        assert!(!certificate(&[], &[(XMPP_ADDR, "juliet@example.com")]).is_of("example.com"));
        assert!(certificate(&["xn--bcher-kva.example"], &[]).is_of("bücher.example"));
    }

    #[test]
    fn an_address_is_an_address() {
        let ips = vec!["127.0.0.1".parse().unwrap()];
        let address = Certificate(PeerCertificate { ips, ..PeerCertificate::default() });
        assert!(address.is_of("127.0.0.1") && !address.is_of("127.0.0.2"));
        assert!(!certificate(&["127.0.0.1"], &[]).is_of("127.0.0.1"));
    }
}
