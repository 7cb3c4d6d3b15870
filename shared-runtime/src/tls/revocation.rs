//! Certificates that their issuers took back — RFC 5280 §5 (certificate revocation lists), read from the operator's files.
//!
//! In    PEM files with one list or several each. Out whether a certificate is on one of them: by its issuer and its serial number.
//! State what the files said at the start or the last reload; lists are believed since they are the operator's, however old.
//! Errors [`TlsError`] names the file that is no list.
//! Not here: fetching lists, OCSP, lists that somebody else than the issuer signs (§5.2.5), signatures of lists.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use rustls::{CertificateError, Error};
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use super::TlsError;
use super::judge::Chain;

/// An issuer's name in DER, and a serial number.
type Named = (Vec<u8>, Vec<u8>);

/// Every certificate that is on a list.
pub(super) struct Revocations {
    files: Vec<PathBuf>,
    revoked: ArcSwap<HashSet<Named>>,
}

impl Revocations {
    pub(super) fn open(files: &[PathBuf]) -> Result<Self, TlsError> {
        let revoked = ArcSwap::from_pointee(load(files)?);
        Ok(Self { files: files.to_vec(), revoked })
    }

    /// Reads the files again; on an error what was known stays.
    pub(super) fn reload(&self) -> Result<(), TlsError> {
        self.revoked.store(Arc::new(load(&self.files)?));
        Ok(())
    }

    /// Whether there are no lists.
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// An error if a certificate of a chain is on a list.
    pub(super) fn refuse(&self, chain: Chain<'_>) -> Result<(), Error> {
        let is_revoked = chain.all().any(|certificate| self.name(certificate));
        if is_revoked { Err(Error::InvalidCertificate(CertificateError::Revoked)) } else { Ok(()) }
    }

    /// Whether a certificate is on a list. One that cannot be read is on none, and proves nothing either.
    fn name(&self, certificate: &CertificateDer<'_>) -> bool {
        let revoked = self.revoked.load();
        if revoked.is_empty() {
            return false;
        }
        let Ok((_, certificate)) = x509_parser::parse_x509_certificate(certificate) else { return false };
        revoked.contains(&(certificate.issuer().as_raw().to_vec(), certificate.raw_serial().to_vec()))
    }
}

fn load(files: &[PathBuf]) -> Result<HashSet<Named>, TlsError> {
    let mut all = HashSet::new();
    for file in files {
        read(file, &mut all)?;
    }
    Ok(all)
}

fn read(file: &Path, all: &mut HashSet<Named>) -> Result<(), TlsError> {
    let content = |text: String| TlsError::Content(file.to_owned(), text);
    let failed = |error: rustls::pki_types::pem::Error| match error {
        rustls::pki_types::pem::Error::Io(error) => TlsError::File(file.to_owned(), error),
        other => content(other.to_string()),
    };
    let mut lists = 0;
    for list in CertificateRevocationListDer::pem_file_iter(file).map_err(failed)? {
        let list = list.map_err(failed)?;
        let (_, list) =
            CertificateRevocationList::from_der(&list).map_err(|error| content(error.to_string()))?;
        let issuer = list.issuer().as_raw();
        all.extend(
            list.iter_revoked_certificates().map(|entry| (issuer.to_vec(), entry.raw_serial().to_vec())),
        );
        lists += 1;
    }
    if lists == 0 { Err(content("holds no certificate revocation list".to_owned())) } else { Ok(()) }
}
