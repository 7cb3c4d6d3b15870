//! What a handshake agreed on: in words (RFC 8446 §4.1.3, §B.4), and what channels are bound to (RFC 5929 §4.1).

use aws_lc_rs::digest;
use rustls::pki_types::CertificateDer;

/// The version that a handshake agreed on, as people write it, and the registered name of its suite (RFC 8446 §B.4).
pub fn protection(session: &rustls::CommonState) -> Option<(&'static str, &'static str)> {
    let version = match session.protocol_version()? {
        rustls::ProtocolVersion::TLSv1_3 => "TLS 1.3",
        rustls::ProtocolVersion::TLSv1_2 => "TLS 1.2",
        other => other.as_str()?,
    };
    let suite = session.negotiated_cipher_suite()?.suite().as_str()?;
    // The library writes what is 1.3's with its version.
    let suite = SUITES.iter().find(|(written, _)| *written == suite).map_or(suite, |(_, name)| name);
    Some((version, suite))
}

const SUITES: [(&str, &str); 3] = [
    ("TLS13_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"),
    ("TLS13_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384"),
    ("TLS13_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256"),
];

/// RFC 5929 §4.1: the certificate hashed by its signature's hash, MD5 and SHA-1 replaced by SHA-256.
pub(super) fn end_point(leaf: &CertificateDer<'_>) -> Vec<u8> {
    let oid = x509_parser::parse_x509_certificate(leaf)
        .map(|(_, certificate)| certificate.signature_algorithm.algorithm.to_id_string())
        .unwrap_or_default();
    let hash = match oid.as_str() {
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => &digest::SHA384,
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" | "1.3.101.112" => &digest::SHA512,
        _ => &digest::SHA256,
    };
    digest::digest(hash, leaf).as_ref().to_vec()
}
