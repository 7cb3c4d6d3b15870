//! Whom we believe: roots for servers that we call, and for clients that call us.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use super::TlsError;

/// Every certificate of a PEM file; there is at least one.
pub(super) fn read(path: &Path) -> Result<RootCertStore, TlsError> {
    let failed = |error: rustls::pki_types::pem::Error| match error {
        rustls::pki_types::pem::Error::Io(error) => TlsError::File(path.to_owned(), error),
        other => TlsError::Content(path.to_owned(), other.to_string()),
    };
    let content = |text: String| TlsError::Content(path.to_owned(), text);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(failed)? {
        roots.add(certificate.map_err(failed)?).map_err(|error| content(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(content("holds no certificate".to_owned()));
    }
    Ok(roots)
}

/// The roots of the system and of our own CA, as far as they can be read, and those that were given.
pub(super) fn servers(local_ca: Option<&Path>, given: Option<&RootCertStore>) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for file in [Some(Path::new(SYSTEM_ROOTS)), local_ca].into_iter().flatten() {
        if let Ok(certificates) = CertificateDer::pem_file_iter(file) {
            roots.add_parsable_certificates(certificates.flatten());
        }
    }
    roots.extend(given.into_iter().flat_map(|given| given.roots.iter().cloned()));
    roots
}

/// Asks clients for a certificate of these roots, and takes those without one too. One that is not of these roots ends
/// the handshake.
pub(super) fn clients(path: &Path) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    WebPkiClientVerifier::builder(Arc::new(read(path)?))
        .allow_unauthenticated()
        .build()
        .map_err(|error| TlsError::Content(path.to_owned(), error.to_string()))
}

/// Where Debian and its kin keep the roots.
const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";
