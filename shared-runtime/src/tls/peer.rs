//! Who the certificate at the other end says it is — RFC 5280 §4.2.1.6 (subjectAltName).

use std::net::IpAddr;

use aws_lc_rs::digest;
use x509_parser::extensions::GeneralName;

/// What a peer's certificate holds. Whoever made the connection verified it against the roots.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PeerCertificate {
    /// URIs of the subjectAltName.
    pub uris: Vec<String>,
    /// Host names of the subjectAltName.
    pub hosts: Vec<String>,
    /// Mail addresses of the subjectAltName.
    pub emails: Vec<String>,
    /// IP addresses of the subjectAltName.
    pub ips: Vec<IpAddr>,
    /// SHA-256 of the whole certificate.
    pub fingerprint: [u8; 32],
}

impl PeerCertificate {
    /// Reads a certificate; `None` if it is none.
    pub fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
        let mut read = Self::default();
        let hash = digest::digest(&digest::SHA256, der);
        read.fingerprint.copy_from_slice(hash.as_ref());
        let names = certificate.subject_alternative_name().ok()?;
        for name in names.iter().flat_map(|names| &names.value.general_names) {
            match name {
                GeneralName::URI(uri) => read.uris.push((*uri).to_owned()),
                GeneralName::DNSName(host) => read.hosts.push((*host).to_owned()),
                GeneralName::RFC822Name(email) => read.emails.push((*email).to_owned()),
                GeneralName::IPAddress(bytes) => read.ips.extend(ip_of(bytes)),
                _ => {}
            }
        }
        Some(read)
    }

    /// The fingerprint in hexadecimal.
    pub fn fingerprint_hex(&self) -> String {
        crate::hex(&self.fingerprint)
    }
}

fn ip_of(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    #[test]
    fn reads_every_kind_of_name() {
        let mut params = CertificateParams::new(vec!["example.org".to_owned(), "::1".to_owned()]).unwrap();
        params.subject_alt_names.push(SanType::URI("sip:example.org".try_into().unwrap()));
        params.subject_alt_names.push(SanType::Rfc822Name("alice@example.org".try_into().unwrap()));
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let read = PeerCertificate::read(certificate.der()).unwrap();
        assert_eq!(
            (read.hosts, read.uris),
            (vec!["example.org".to_owned()], vec!["sip:example.org".to_owned()])
        );
        assert_eq!(read.emails, ["alice@example.org"]);
        assert_eq!(read.ips, ["::1".parse::<IpAddr>().unwrap()]);
        assert_eq!(read.fingerprint, digest::digest(&digest::SHA256, certificate.der()).as_ref());
        assert!(PeerCertificate::read(b"no certificate").is_none());
    }
}
