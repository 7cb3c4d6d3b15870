//! Whose certificate it is — RFC 5922 §7: SIP domains in a certificate, and how they are compared.
//!
//! In    a server's certificate and the domain that was asked for (§7.3: the URI's, not what DNS made of it).
//! Out   whether the certificate is that domain's.
//! Errors another domain's certificate ends the handshake.
//! Not here: who calls us (`callers`).

use std::net::IpAddr;

use rustls::pki_types::ServerName;
use rustls::{CertificateError, Error};
use shared_runtime::tls::PeerCertificate;
use shared_runtime::tls::judge::{Chain, Servers};
use sip_core::Uri;

/// Whether a certificate is a domain's (§7.2: as a whole and without wildcards), or an address's.
pub(crate) fn is_of(certificate: &PeerCertificate, host: &str) -> bool {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return certificate.ips.contains(&ip);
    }
    let host = host.trim_end_matches('.');
    domains(certificate).any(|domain| domain.eq_ignore_ascii_case(host))
}

/// §7.1: SIP URIs without a user are domains; host names are, if there is no such URI.
fn domains(certificate: &PeerCertificate) -> impl Iterator<Item = &str> {
    let of_uris = || certificate.uris.iter().filter_map(|uri| domain_of(uri));
    let has_uri = of_uris().next().is_some();
    let of_hosts = certificate.hosts.iter().map(String::as_str).filter(move |_| !has_uri);
    of_uris().chain(of_hosts)
}

fn domain_of(uri: &str) -> Option<&str> {
    Uri::parse(uri)
        .filter(|uri| uri.scheme.eq_ignore_ascii_case("sip") && uri.user.is_empty())
        .map(|uri| uri.host)
}

/// Judges a server that we call: whether the roots stand behind its certificate, and it is the domain's.
pub(crate) fn judge(servers: &Servers, chain: Chain<'_>, domain: &ServerName<'_>) -> Result<(), Error> {
    servers.vouch_for(chain)?;
    let peer = PeerCertificate::read(chain.leaf).ok_or(CertificateError::BadEncoding)?;
    if is_of(&peer, &domain.to_str()) { Ok(()) } else { Err(CertificateError::NotValidForName.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(uris: &[&str], hosts: &[&str]) -> PeerCertificate {
        let owned = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
        PeerCertificate { uris: owned(uris), hosts: owned(hosts), ..PeerCertificate::default() }
    }

    /// RFC 5922 §7.1 and §7.2, rule by rule.
    #[test]
    fn finds_and_compares_domains() {
        let by_host = certificate(&[], &["Example.com"]);
        assert!(is_of(&by_host, "example.com") && is_of(&by_host, "EXAMPLE.COM."));
        assert!(!is_of(&by_host, "foo.example.com") && !is_of(&by_host, "com"), "no suffixes");
        assert!(!is_of(&certificate(&[], &["*.example.com"]), "foo.example.com"), "no wildcards");
        let by_uri = certificate(&["SIP:example.com"], &["other.example"]);
        assert!(is_of(&by_uri, "example.com"));
        assert!(!is_of(&by_uri, "other.example"), "a SIP URI makes host names none");
        let user = certificate(
            &["sip:alice@example.com", "sips:example.net", "https://example.net"],
            &["a.example"],
        );
        assert!(!is_of(&user, "example.com") && !is_of(&user, "example.net") && is_of(&user, "a.example"));
    }

    #[test]
    fn an_address_is_an_address() {
        let loopback =
            PeerCertificate { ips: vec!["::1".parse().unwrap()], ..certificate(&[], &["127.0.0.1"]) };
        assert!(is_of(&loopback, "::1") && !is_of(&loopback, "127.0.0.1"));
    }
}
