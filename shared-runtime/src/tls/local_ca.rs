//! The local CA: made once, kept in the data folder, so that clients trust it once.
//!
//! Out   `ca.pem`, `ca.key`, and `server.pem`, `server.key` of a certificate made anew at every start, and a month before its end.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use super::{Files, TlsError};

/// Certifies `names`, `localhost` and the loopback addresses by the CA in `folder`, making the CA if it is missing; where the
/// certificate is, and the CA's.
pub(super) fn certify(folder: &Path, names: &[String]) -> Result<(Files, PathBuf), TlsError> {
    certify_for(folder, names, LEAF_DAYS)
}

/// Whether a certificate that holds until then (seconds since 1970) is to be made anew.
pub(super) fn is_due(not_after: i64) -> bool {
    time::OffsetDateTime::now_utc().unix_timestamp() >= not_after.saturating_sub(RENEWED_BEFORE)
}

pub(super) fn certify_for(folder: &Path, names: &[String], days: i64) -> Result<(Files, PathBuf), TlsError> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| TlsError::File(folder.to_owned(), error))?;
    let ca = folder.join("ca.pem");
    let ca_key = folder.join("ca.key");
    // Who was killed between the two made no certificate by it, and nobody trusts it.
    let is_unfinished = ca_key.exists() && !ca.exists() && !files(folder).certificate.exists();
    // Half of it is a restore that was not whole: a new one is trusted by nobody who trusts the old one.
    if let (false, (true, false) | (false, true)) = (is_unfinished, (ca.exists(), ca_key.exists())) {
        let missing = if ca.exists() { ca_key } else { ca };
        return Err(TlsError::HalfCa(missing));
    }
    if !ca.exists() {
        make_ca(&ca, &ca_key)?;
        tracing::warn!(ca = %ca.display(), "no certificate is configured: made a local CA; clients must trust it");
    }
    let issuer_key = KeyPair::from_pem(&read(&ca_key)?)?;
    let issuer = Issuer::from_ca_cert_pem(&read(&ca)?, issuer_key)?;

    let mut all: Vec<String> = names.to_vec();
    all.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
    all.dedup();
    let mut params = CertificateParams::new(all)?;
    params.distinguished_name.push(DnType::CommonName, names.first().map_or("localhost", String::as_str));
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = validity(days);
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?;

    let files = files(folder);
    write(&files.certificate, &(certificate.pem() + &read(&ca)?))?;
    write(&files.key, &key.serialize_pem())?;
    Ok((files, ca))
}

/// The certificate that the last server made and the CA's, as far as all are there; makes nothing.
pub(super) fn find(folder: &Path) -> Option<(Files, PathBuf)> {
    let (files, ca) = (files(folder), folder.join("ca.pem"));
    [&files.certificate, &files.key, &ca].iter().all(|file| file.exists()).then_some((files, ca))
}

fn files(folder: &Path) -> Files {
    Files { domain: None, certificate: folder.join("server.pem"), key: folder.join("server.key") }
}

fn make_ca(ca: &Path, ca_key: &Path) -> Result<(), TlsError> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "cusax local CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = validity(3650);
    // The key of who was killed before the certificate was there is as good as another.
    let key = match ca_key.exists() {
        true => KeyPair::from_pem(&read(ca_key)?)?,
        false => KeyPair::generate()?,
    };
    let certificate = params.self_signed(&key)?;
    if !ca_key.exists() {
        write(ca_key, &key.serialize_pem())?;
    }
    write(ca, &certificate.pem())
}

/// From yesterday, for clocks that are slow, for so many days.
fn validity(days: i64) -> (time::OffsetDateTime, time::OffsetDateTime) {
    let now = time::OffsetDateTime::now_utc();
    (now - time::Duration::days(1), now + time::Duration::days(days))
}

fn read(path: &Path) -> Result<String, TlsError> {
    std::fs::read_to_string(path).map_err(|error| TlsError::File(path.to_owned(), error))
}

/// Writes whole or not at all, readable by the owner alone.
fn write(path: &Path, text: &str) -> Result<(), TlsError> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let failed = |error| TlsError::File(path.to_owned(), error);
    let draft = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)
        .map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    std::fs::rename(&draft, path).map_err(failed)
}

/// As long as clients bear.
const LEAF_DAYS: i64 = 397;
/// Seconds before its end at which a certificate is made anew.
const RENEWED_BEFORE: i64 = 30 * 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_ca_is_not_made_anew() {
        let folder =
            std::env::temp_dir().join(format!("cusax-ca-{}-{:x}", std::process::id(), crate::random()));
        certify(&folder, &["example.org".to_owned()]).unwrap();
        let (ca, key) = (folder.join("ca.pem"), folder.join("ca.key"));
        let (trusted, kept) = (std::fs::read(&ca).unwrap(), std::fs::read(&key).unwrap());
        std::fs::remove_file(&key).unwrap();
        let refused = certify(&folder, &["example.org".to_owned()]);
        assert!(matches!(refused, Err(TlsError::HalfCa(missing)) if missing == key));
        assert_eq!(std::fs::read(&ca).unwrap(), trusted);
        std::fs::write(&key, kept).unwrap();
        std::fs::remove_file(&ca).unwrap();
        let refused = certify(&folder, &["example.org".to_owned()]);
        assert!(matches!(refused, Err(TlsError::HalfCa(missing)) if missing == ca));
        std::fs::write(&ca, trusted).unwrap();
        certify(&folder, &["example.org".to_owned()]).unwrap();
        // As who was killed in the first start leaves it.
        ["ca.pem", "server.pem", "server.key"]
            .iter()
            .for_each(|it| std::fs::remove_file(folder.join(it)).unwrap());
        certify(&folder, &["example.org".to_owned()]).unwrap();
        std::fs::remove_dir_all(folder).unwrap();
    }
}
