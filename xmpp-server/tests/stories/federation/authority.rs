//! A CA that all servers of a test believe.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, RevokedCertParams, SerialNumber,
};
use shared_runtime::tls;

/// The CA, and a folder for what it makes.
pub(crate) struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    /// Serial numbers by the first name of a certificate.
    serials: Mutex<Vec<(String, SerialNumber)>>,
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Authority {
    pub(crate) fn new() -> Self {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("cusax-authority-{}-{serial}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, format!("authority {serial}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(folder.join("ca.pem"), certificate.pem()).unwrap();
        Self { folder, issuer: Issuer::new(params, key), serials: Mutex::default() }
    }

    /// The `[tls]` of a server with these names. Its certificate is for servers alone, as those of today's CAs are.
    pub(crate) fn tls(&self, names: &[&str]) -> tls::Config {
        let (certificate, key) = self.issue(names);
        tls::Config {
            certificate: Some(certificate),
            key: Some(key),
            trust: Some(self.path("ca.pem")),
            ..tls::Config::default()
        }
    }

    fn issue(&self, names: &[&str]) -> (PathBuf, PathBuf) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names.clone()).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let name = &names[0];
        let mut serials = self.serials.lock().unwrap();
        let serial = SerialNumber::from(1_000 + serials.len() as u64);
        params.serial_number = Some(serial.clone());
        serials.push((name.clone(), serial));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let (at, key_at) = (self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")));
        std::fs::write(&at, certificate.pem()).unwrap();
        std::fs::write(&key_at, key.serialize_pem()).unwrap();
        (at, key_at)
    }

    /// The list of certificates that are taken back: those of these names.
    pub(crate) fn revoke(&self, names: &[&str]) -> PathBuf {
        let serials = self.serials.lock().unwrap();
        let revoked = serials.iter().filter(|(name, _)| names.contains(&name.as_str()));
        let file = self.path("revoked.pem");
        std::fs::write(&file, list(revoked.map(|(_, serial)| serial.clone()), &self.issuer)).unwrap();
        file
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        Path::new(&self.folder).join(name)
    }
}

/// A list of revoked certificates, as PEM.
pub(crate) fn list(serials: impl Iterator<Item = SerialNumber>, issuer: &Issuer<'static, KeyPair>) -> String {
    let revoked = |serial_number| RevokedCertParams {
        serial_number,
        revocation_time: rcgen::date_time_ymd(2024, 1, 1),
        reason_code: None,
        invalidity_date: None,
    };
    let list = CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(2024, 1, 1),
        next_update: rcgen::date_time_ymd(2124, 1, 1),
        crl_number: SerialNumber::from(1_u64),
        issuing_distribution_point: None,
        revoked_certs: serials.map(revoked).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    list.signed_by(issuer).unwrap().pem().unwrap()
}
