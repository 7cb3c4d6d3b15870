//! One TLS policy for every listener and every client connection (RFC 7081 §7: no half is weaker than the other).
//!
//! In    `[tls]` and the host names that are served.
//! Out   `rustls` configurations that share one certificate resolver, one list of versions and suites.
//! State the current certificate, swapped whole by [`TlsPolicy::reload`]; open connections keep theirs.
//! Errors [`TlsError`] names the file. Without a certificate a local CA is made in the data folder, with a warning.
//! Not here: ACME, SNI with several certificates.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::digest;
use rustls::client::ResolvesClientCert;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SignatureScheme};
use serde::Deserialize;

use crate::config::Key;

mod authorities;
mod local_ca;
mod peer;
mod revocation;

pub use peer::PeerCertificate;
use revocation::{Revocations, Unrevoked};

/// `[tls]`: what protects every connection.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Config {
    /// PEM file with the certificate and its chain. Default: none, and a local CA is made.
    pub certificate: Option<PathBuf>,
    /// PEM file with the private key of the certificate.
    pub key: Option<PathBuf>,
    /// PEM file with the roots of clients that prove who they are by a certificate. Default: none, and none is asked for.
    pub client_ca: Option<PathBuf>,
    /// PEM file with roots of servers that are believed beside those of the system. Default: none.
    pub trust: Option<PathBuf>,
    /// PEM files with lists of certificates that were revoked (RFC 5280 §5), of clients and of other servers. They are read again
    /// with the certificate. Default: none.
    pub revoked: Vec<PathBuf>,
    /// Refuse passwords on unencrypted connections from anywhere but loopback. Default true.
    pub require: bool,
}

/// Every key of `[tls]`.
pub const KEYS: &[Key] = &[
    Key::new(
        "tls.certificate",
        "",
        "PEM file with the certificate and its chain; none: a local CA in data_dir",
    ),
    Key::new("tls.key", "", "PEM file with the certificate's private key"),
    Key::new(
        "tls.client_ca",
        "",
        "PEM file with the roots of clients' certificates; none: none is asked for",
    ),
    Key::new("tls.trust", "", "PEM file with roots of other servers that are believed beside the system's"),
    Key::new(
        "tls.revoked",
        "[]",
        "PEM files with revocation lists for certificates of clients and other servers",
    ),
    Key::new("tls.require", "true", "refuse passwords on unencrypted connections from anywhere but loopback"),
];

impl Default for Config {
    fn default() -> Self {
        Self {
            certificate: None,
            key: None,
            client_ca: None,
            trust: None,
            revoked: Vec::new(),
            require: true,
        }
    }
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("{0}: {1}")]
    File(PathBuf, std::io::Error),
    /// A file does not hold what it should.
    #[error("{0}: {1}")]
    Content(PathBuf, String),
    /// One of `tls.certificate` and `tls.key` is given and the other is not.
    #[error("tls.certificate and tls.key go together; only one is given")]
    HalfGiven,
    /// The local CA could not be made.
    #[error("cannot make a local CA: {0}")]
    LocalCa(#[from] rcgen::Error),
    /// The key does not belong to the certificate, or is of a kind that is not supported.
    #[error("tls.key: {0}")]
    Key(rustls::Error),
}

/// The one source of TLS configurations. Clones share the certificate.
#[derive(Clone)]
pub struct TlsPolicy {
    current: Arc<Current>,
    files: Files,
    clients: Option<Arc<dyn ClientCertVerifier>>,
    trust: Option<Arc<RootCertStore>>,
    revocations: Arc<Revocations>,
    require: bool,
}

/// Where the certificate comes from, and the CA's certificate if it is ours.
#[derive(Clone)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    local_ca: Option<PathBuf>,
}

/// The certificate that new handshakes are answered with.
#[derive(Debug)]
struct Current {
    key: ArcSwap<CertifiedKey>,
    /// Whether our own CA made it, whom no stranger believes.
    is_local: bool,
}

impl TlsPolicy {
    /// Loads the certificate, or makes a local CA in `data_dir/tls` that certifies `names` and loopback.
    pub fn open(config: &Config, data_dir: &Path, names: &[String]) -> Result<Self, TlsError> {
        let files = match (&config.certificate, &config.key) {
            (Some(certificate), Some(key)) => {
                Files { certificate: certificate.clone(), key: key.clone(), local_ca: None }
            }
            (None, None) => local_ca::certify(&data_dir.join("tls"), names)?,
            _ => return Err(TlsError::HalfGiven),
        };
        let key = ArcSwap::from_pointee(files.load()?);
        let current = Arc::new(Current { key, is_local: files.local_ca.is_some() });
        let revocations = Arc::new(Revocations::open(&config.revoked)?);
        let clients = config.client_ca.as_deref().map(authorities::clients).transpose()?;
        let clients = clients.map(|inner| {
            let revocations = Arc::clone(&revocations);
            Arc::new(Unrevoked { inner, revocations }) as Arc<dyn ClientCertVerifier>
        });
        let trust = config.trust.as_deref().map(authorities::read).transpose()?.map(Arc::new);
        Ok(Self { current, files, clients, trust, revocations, require: config.require })
    }

    /// Reads the files again; new handshakes use what is there now. On an error the old certificate stays.
    pub fn reload(&self) -> Result<(), TlsError> {
        let key = self.files.load()?;
        self.revocations.reload()?;
        self.current.key.store(Arc::new(key));
        Ok(())
    }

    /// Whether a certificate was revoked, as far as `tls.revoked` says. Those of clients that [`TlsPolicy::mutual_server`] asks
    /// are looked at in the handshake.
    pub fn is_revoked(&self, certificate: &CertificateDer<'_>) -> bool {
        self.revocations.name(certificate)
    }

    /// Whether passwords are refused on unencrypted connections from anywhere but loopback.
    pub fn is_required(&self) -> bool {
        self.require
    }

    /// The local CA's certificate, for clients to trust; `None` if a certificate was given.
    pub fn local_ca(&self) -> Option<&Path> {
        self.files.local_ca.as_deref()
    }

    /// What a listener uses. `alpn` are the protocols offered, most wanted first; empty offers none.
    pub fn server(&self, alpn: &[&[u8]]) -> Arc<ServerConfig> {
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(&self.current) as _;
        let mut config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(resolver);
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Arc::new(config)
    }

    /// As [`TlsPolicy::server`]; clients are asked for a certificate if `tls.client_ca` is given, and need none.
    pub fn mutual_server(&self, alpn: &[&[u8]]) -> Arc<ServerConfig> {
        let Some(clients) = &self.clients else { return self.server(alpn) };
        self.judging_server(alpn, Arc::clone(clients))
    }

    /// As [`TlsPolicy::server`]; clients are asked for a certificate, which `clients` judges.
    pub fn judging_server(&self, alpn: &[&[u8]], clients: Arc<dyn ClientCertVerifier>) -> Arc<ServerConfig> {
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(&self.current) as _;
        let mut config =
            ServerConfig::builder().with_client_cert_verifier(clients).with_cert_resolver(resolver);
        // A session that is resumed brings its certificate back unjudged: it may be revoked or over by now.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Arc::new(config)
    }

    /// What a connection to another server uses whose name `verifier` judges. It shows our certificate to a server that
    /// asks for one of its kind.
    pub fn mutual_client(&self, verifier: Arc<dyn ServerCertVerifier>) -> Arc<ClientConfig> {
        let ours: Arc<dyn ResolvesClientCert> = Arc::clone(&self.current) as _;
        let builder = ClientConfig::builder().dangerous().with_custom_certificate_verifier(verifier);
        Arc::new(builder.with_client_cert_resolver(ours))
    }

    /// Whom we believe about servers: the system's roots, our own CA, and `tls.trust`.
    pub fn roots(&self) -> RootCertStore {
        authorities::servers(self.local_ca(), self.trust.as_deref())
    }

    /// What a connection to another server uses: the system's roots, our own CA, and `tls.trust`.
    pub fn client(&self, alpn: &[&[u8]]) -> Arc<ClientConfig> {
        let roots = self.roots();
        let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Arc::new(config)
    }

    /// The channel binding `tls-server-end-point` of the current certificate (RFC 5929 §4.1).
    pub fn server_end_point(&self) -> Vec<u8> {
        self.current.key.load().cert.first().map(|leaf| end_point(leaf)).unwrap_or_default()
    }
}

impl Files {
    fn load(&self) -> Result<CertifiedKey, TlsError> {
        let content = |path: &Path| {
            let path = path.to_owned();
            move |error: rustls::pki_types::pem::Error| match error {
                rustls::pki_types::pem::Error::Io(error) => TlsError::File(path, error),
                other => TlsError::Content(path, other.to_string()),
            }
        };
        let chain: Vec<_> = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect)
            .map_err(content(&self.certificate))?;
        if chain.is_empty() {
            return Err(TlsError::Content(self.certificate.clone(), "holds no certificate".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(content(&self.key))?;
        CertifiedKey::from_der(chain, key, &rustls::crypto::aws_lc_rs::default_provider())
            .map_err(TlsError::Key)
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.key.load_full())
    }
}

impl ResolvesClientCert for Current {
    /// A server names the roots that it believes (RFC 8446 §4.2.4). One that is made here is shown to those alone that
    /// believe its maker: others would end the handshake.
    fn resolve(&self, hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let key = self.key.load_full();
        let is_hinted = || {
            let (_, leaf) = x509_parser::parse_x509_certificate(key.cert.first()?).ok()?;
            Some(hints.contains(&leaf.issuer().as_raw()))
        };
        (!self.is_local || is_hinted().unwrap_or(false)).then_some(key)
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// RFC 5929 §4.1: the certificate hashed by its signature's hash, MD5 and SHA-1 replaced by SHA-256.
fn end_point(leaf: &CertificateDer<'_>) -> Vec<u8> {
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

/// Makes aws-lc-rs the one provider of the process. Called first thing in `main`; a second call changes nothing.
pub fn install_provider() {
    // An error says that a provider is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> PathBuf {
        let unique = format!("cusax-tls-{}-{:?}", std::process::id(), std::thread::current().id());
        let folder = std::env::temp_dir().join(unique);
        let _ = std::fs::remove_dir_all(&folder);
        folder
    }

    #[test]
    fn a_client_that_trusts_the_local_ca_trusts_every_listener() {
        install_provider();
        let folder = folder();
        let policy = TlsPolicy::open(&Config::default(), &folder, &["example.org".to_owned()]).unwrap();
        let name = "example.org".try_into().unwrap();
        let mut client = rustls::ClientConnection::new(policy.client(&[b"xmpp-client"]), name).unwrap();
        let mut server = rustls::ServerConnection::new(policy.server(&[b"xmpp-client"])).unwrap();
        for _ in 0..4 {
            let mut wire = Vec::new();
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut wire.as_slice()).unwrap();
            server.process_new_packets().unwrap();
            let mut wire = Vec::new();
            server.write_tls(&mut wire).unwrap();
            client.read_tls(&mut wire.as_slice()).unwrap();
            client.process_new_packets().unwrap();
        }
        assert!(!client.is_handshaking() && !server.is_handshaking());
        assert_eq!(client.alpn_protocol(), Some(&b"xmpp-client"[..]));
        assert_eq!(policy.server_end_point(), end_point(&client.peer_certificates().unwrap()[0]));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_local_ca_stays_and_a_reload_takes_the_new_certificate() {
        install_provider();
        let folder = folder();
        let first = TlsPolicy::open(&Config::default(), &folder, &["a.example".to_owned()]).unwrap();
        let ca = std::fs::read(first.local_ca().unwrap()).unwrap();
        let before = first.server_end_point();
        let second = TlsPolicy::open(&Config::default(), &folder, &["b.example".to_owned()]).unwrap();
        assert_eq!(std::fs::read(second.local_ca().unwrap()).unwrap(), ca);
        first.reload().unwrap();
        assert_ne!(first.server_end_point(), before);
        std::fs::write(folder.join("tls/server.pem"), "nothing").unwrap();
        assert!(first.reload().is_err(), "a bad file is refused and the old certificate stays");
        assert_eq!(first.server_end_point(), second.server_end_point());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn half_a_certificate_is_refused() {
        let config = Config { certificate: Some("/nowhere.pem".into()), ..Config::default() };
        assert!(matches!(TlsPolicy::open(&config, Path::new("/"), &[]), Err(TlsError::HalfGiven)));
    }
}
