//! Whose certificate it is — RFC 5922 §7: SIP domains in a certificate, and how they are compared.
//!
//! In    a server's certificate and the domain that was asked for (§7.3: the URI's, not what DNS made of it).
//! Out   whether the certificate is that domain's.
//! Errors another domain's certificate ends the handshake.
//! Not here: who calls us (`callers`).

use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use shared_runtime::tls::PeerCertificate;
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

/// Judges servers that we call.
#[derive(Debug)]
pub(crate) struct SipDomains {
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
}

impl SipDomains {
    pub(crate) fn new(roots: RootCertStore) -> Self {
        let provider = CryptoProvider::get_default().cloned();
        let provider = provider.unwrap_or_else(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
        Self { roots, provider }
    }

    /// Whether the roots stand behind a server's certificate, whatever it names.
    pub(crate) fn stand_behind(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let certificate = ParsedCertificate::try_from(leaf)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&certificate, &self.roots, intermediates, now, algorithms)
    }
}

impl ServerCertVerifier for SipDomains {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.stand_behind(end_entity, intermediates, now)?;
        let peer = PeerCertificate::read(end_entity).ok_or(CertificateError::BadEncoding)?;
        if !is_of(&peer, &server_name.to_str()) {
            return Err(CertificateError::NotValidForName.into());
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
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
