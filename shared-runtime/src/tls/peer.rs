//! Who the certificate at the other end says it is — RFC 5280 §4.2.1.6 (subjectAltName).

use std::net::IpAddr;

use aws_lc_rs::digest;
use x509_parser::asn1_rs::{Any, FromDer, Tag};
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
    /// Names of other kinds that are text, each with the dotted number of its kind.
    pub others: Vec<(String, String)>,
    /// Until when it holds, in seconds since 1970.
    pub not_after: i64,
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
        read.not_after = certificate.validity().not_after.timestamp();
        let names = certificate.subject_alternative_name().ok()?;
        for name in names.iter().flat_map(|names| &names.value.general_names) {
            match name {
                GeneralName::URI(uri) => read.uris.push((*uri).to_owned()),
                GeneralName::DNSName(host) => read.hosts.push((*host).to_owned()),
                GeneralName::RFC822Name(email) => read.emails.push((*email).to_owned()),
                GeneralName::IPAddress(bytes) => read.ips.extend(ip_of(bytes)),
                GeneralName::OtherName(kind, value) => {
                    read.others.extend(text_of(value).map(|text| (kind.to_id_string(), text)));
                }
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

/// The text inside `[0] EXPLICIT ANY`.
fn text_of(value: &[u8]) -> Option<String> {
    let (_, tagged) = Any::from_der(value).ok()?;
    let (_, inner) = Any::from_der(tagged.data).ok()?;
    let is_text = matches!(inner.tag(), Tag::Utf8String | Tag::Ia5String);
    String::from_utf8(inner.data.to_vec()).ok().filter(|_| is_text)
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
        let other = (vec![1, 3, 6, 1, 5, 5, 7, 8, 5], "example.org".into());
        params.subject_alt_names.push(SanType::OtherName(other));
        params.not_after = rcgen::date_time_ymd(2100, 1, 1);
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let read = PeerCertificate::read(certificate.der()).unwrap();
        assert_eq!(
            (read.hosts, read.uris),
            (vec!["example.org".to_owned()], vec!["sip:example.org".to_owned()])
        );
        assert_eq!(read.emails, ["alice@example.org"]);
        assert_eq!(read.ips, ["::1".parse::<IpAddr>().unwrap()]);
        assert_eq!(read.fingerprint, digest::digest(&digest::SHA256, certificate.der()).as_ref());
        assert_eq!(read.others, [("1.3.6.1.5.5.7.8.5".to_owned(), "example.org".to_owned())]);
        assert_eq!(read.not_after, 4_102_444_800);
        assert!(PeerCertificate::read(b"no certificate").is_none());
    }

    #[test]
    fn text_of_other_names_is_utf8_or_ia5() {
        assert_eq!(text_of(b"\xA0\x04\x16\x02hi").as_deref(), Some("hi"));
        for wrong in [&b"\xA0\x04\x04\x02hi"[..], b"\xA0\x04\x16\x09hi", b"\xA0", b""] {
            assert_eq!(text_of(wrong), None, "{wrong:?}");
        }
    }
}
