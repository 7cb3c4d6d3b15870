//! One TLS policy for every listener and every client connection (RFC 7081 §7: no half is weaker than the other).
//!
//! In    `[tls]` and the host names that are served.
//! Out   `rustls` configurations that share one certificate resolver, one list of versions and suites.
//! State the current certificates, swapped by [`TlsPolicy::reload`]; open connections keep theirs. A client that names a
//!       host (RFC 6066 §3) gets the certificate that names it too, and the first one otherwise.
//! Errors [`TlsError`] names the file, and the domain where it is one's own. What cannot be read ends the start; at a reload the
//!        old one stays in its place, and all others are taken. Without a certificate a local CA is made in the data folder, with
//!        a warning.
//! Not here: ACME.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus::{IntGauge, Registry};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SignatureScheme};
use serde::Deserialize;

use crate::Shutdown;
use crate::config::Key;

mod authorities;
mod ends;
pub mod judge;
mod local_ca;
mod peer;
mod protection;
mod resumption;
mod revocation;

use ends::Ends;
use judge::{Chain, Servers};
pub use peer::PeerCertificate;
use protection::end_point;
pub use protection::protection;
use revocation::Revocations;

/// `[tls]`: what protects every connection.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Config {
    /// PEM file with the certificate and its chain. Default: none, and a local CA is made.
    pub certificate: Option<PathBuf>,
    /// PEM file with the private key of the certificate.
    pub key: Option<PathBuf>,
    /// Further certificates, of domains that have their own.
    #[serde(skip)]
    pub others: Vec<Files>,
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
            others: Vec::new(),
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
    /// One of the local CA's two files is there alone, as after a restore that was not whole.
    #[error(
        "{} is missing, and the other file of the local CA is there: put it back, or remove both for a new CA that clients must trust", .0.display()
    )]
    HalfCa(PathBuf),
    /// The key does not belong to the certificate, or is of a kind that is not supported.
    #[error("{0}: {1}")]
    Key(PathBuf, rustls::Error),
    /// Something is wrong with the certificate that a domain has for itself.
    #[error("the certificate of {0}: {1}")]
    Of(String, Box<TlsError>),
}

/// Whom `[tls]` believes, and whom not.
struct Authorities {
    revocations: Arc<Revocations>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
    trust: Option<Arc<RootCertStore>>,
}

impl Authorities {
    fn read(config: &Config) -> Result<Self, TlsError> {
        Ok(Self {
            revocations: Arc::new(Revocations::open(&config.revoked)?),
            clients: config.client_ca.as_deref().map(authorities::clients).transpose()?,
            trust: config.trust.as_deref().map(authorities::read).transpose()?.map(Arc::new),
        })
    }
}

/// What a reload could not read, each thing by name: there the old one stays.
#[derive(Debug)]
pub struct Unread(pub Vec<TlsError>);

/// The one source of TLS configurations. Clones share the certificate.
#[derive(Clone)]
pub struct TlsPolicy {
    current: Arc<Current>,
    files: Vec<Files>,
    local_ca: Option<PathBuf>,
    /// Whom the local CA certifies, and in which folder.
    certified: Option<(PathBuf, Arc<[String]>)>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
    trust: Option<Arc<RootCertStore>>,
    revocations: Arc<Revocations>,
    /// What the last reading could not read.
    unread: Arc<Mutex<Vec<String>>>,
    stale: IntGauge,
    ends: Ends,
    require: bool,
}

/// Where a certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The domain that has it for itself; `None`: it is that of `[tls]`.
    pub domain: Option<String>,
    /// PEM file with the certificate and its chain.
    pub certificate: PathBuf,
    /// PEM file with its private key.
    pub key: PathBuf,
}

/// What new handshakes are answered with.
#[derive(Debug)]
struct Current {
    keys: ArcSwap<Keys>,
    /// Whether our own CA made the first, whom no stranger believes.
    is_local: bool,
    /// How often the keys were replaced.
    generation: AtomicU64,
}

impl TlsPolicy {
    /// Loads the certificate, or makes a local CA in `data_dir/tls` that certifies `names` and loopback.
    pub fn open(config: &Config, data_dir: &Path, names: &[String]) -> Result<Self, TlsError> {
        match given(config)? {
            Some(files) => Self::load(config, files, None, Missing::Refuses),
            None => {
                let folder = data_dir.join("tls");
                let (files, ca) = local_ca::certify(&folder, names)?;
                let certified = Some((folder, names.into()));
                Ok(Self { certified, ..Self::load(config, files, Some(ca), Missing::Refuses)? })
            }
        }
    }

    /// As [`TlsPolicy::open`] for whoever looks at the service from beside it: nothing is made. `None` if no certificate is given
    /// and no server made one yet. A domain's own certificate that cannot be read is left out, and [`TlsPolicy::unread`] says so.
    pub fn look(config: &Config, data_dir: &Path) -> Result<Option<Self>, TlsError> {
        match given(config)? {
            Some(files) => Self::load(config, files, None, Missing::Passes).map(Some),
            None => {
                Authorities::read(config)?;
                let found = local_ca::find(&data_dir.join("tls"));
                found.map(|(files, ca)| Self::load(config, files, Some(ca), Missing::Passes)).transpose()
            }
        }
    }

    fn load(
        config: &Config,
        first: Files,
        local_ca: Option<PathBuf>,
        missing: Missing,
    ) -> Result<Self, TlsError> {
        let files: Vec<Files> = std::iter::once(first).chain(config.others.iter().cloned()).collect();
        let (keys, mut faults) = Keys::load(&files, None)?;
        if missing == Missing::Refuses && !faults.is_empty() {
            return Err(faults.remove(0));
        }
        let unread = Arc::new(Mutex::new(faults.iter().map(ToString::to_string).collect()));
        let keys = ArcSwap::from_pointee(keys);
        let current = Arc::new(Current { keys, is_local: local_ca.is_some(), generation: AtomicU64::new(0) });
        let Authorities { revocations, clients, trust } = Authorities::read(config)?;
        let require = config.require;
        let stale = IntGauge::new(STALE, STALE_HELP).map_err(|_| TlsError::HalfGiven)?;
        let (ends, certified) = (Ends::new().map_err(|_| TlsError::HalfGiven)?, None);
        Ok(Self {
            current,
            files,
            local_ca,
            certified,
            clients,
            trust,
            revocations,
            unread,
            stale,
            ends,
            require,
        })
    }

    /// Shows in metrics how much the last reload left as it was, and when certificates end; warns of what ends soon.
    pub fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        self.tell_ends();
        registry.register(self.ends.collector())?;
        registry.register(Box::new(self.stale.clone()))
    }

    fn tell_ends(&self) {
        let soon = self.ends.note(&self.files, &self.current.keys.load(), crate::unix_millis() / 1_000);
        soon.iter().for_each(ends::Ending::tell);
    }

    /// Reads the files again; new handshakes use what is there now. Where one cannot be read, what it held before stays. One of the local
    /// CA that ends soon is made anew.
    pub fn reload(&self) -> Result<(), Unread> {
        let before = self.current.keys.load_full();
        let mut unmade = None;
        if let Some((folder, names)) = self.certified.as_ref().filter(|_| self.is_due()) {
            unmade = local_ca::certify(folder, names).err();
        }
        let mut faults = match Keys::load(&self.files, Some(&before)) {
            Ok((keys, faults)) => {
                self.current.keys.store(Arc::new(keys));
                self.current.generation.fetch_add(1, Ordering::Release);
                faults
            }
            Err(error) => vec![error],
        };
        self.tell_ends();
        faults.extend(unmade);
        faults.extend(self.revocations.reload().err());
        let told = faults.iter().map(ToString::to_string).collect::<Vec<_>>();
        self.stale.set(i64::try_from(told.len()).unwrap_or(i64::MAX));
        *self.unread.lock().unwrap_or_else(PoisonError::into_inner) = told;
        if faults.is_empty() { Ok(()) } else { Err(Unread(faults)) }
    }

    /// Makes what the local CA certifies anew before it ends, and warns of what else ends soon, until shutdown.
    pub async fn keep(self, shutdown: Shutdown) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(BETWEEN_LOOKS) => {}
                () = shutdown.begun() => return,
            }
            if !self.is_due() {
                self.tell_ends();
                continue;
            }
            match self.reload() {
                Ok(()) => tracing::info!("the local CA's certificate was about to end, and was made anew"),
                Err(Unread(faults)) => faults.iter().for_each(|error| {
                    tracing::error!(%error, "the local CA's certificate is about to end, and cannot be made anew");
                }),
            }
        }
    }

    /// Whether the certificate that the local CA made is to be made anew.
    fn is_due(&self) -> bool {
        let keys = self.current.keys.load();
        let leaf = keys.first.cert.first().and_then(|leaf| PeerCertificate::read(leaf));
        self.certified.is_some() && leaf.is_some_and(|leaf| local_ca::is_due(leaf.not_after))
    }

    /// What the last reading of the files could not read, in words.
    pub fn unread(&self) -> Vec<String> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether `tls.client_ca` says whose clients' certificates count.
    pub fn has_client_ca(&self) -> bool {
        self.clients.is_some()
    }

    /// Whether `tls.client_ca` stands behind a person's certificate, and it was not revoked; `None` where there is no such CA.
    pub fn vouch_for_person(&self, chain: Chain<'_>) -> Option<Result<(), rustls::Error>> {
        let verified = self.clients.as_ref()?.verify_client_cert(chain.leaf, chain.above, chain.now);
        Some(verified.and_then(|_| self.revocations.refuse(chain)))
    }

    /// Whether passwords are refused on unencrypted connections from anywhere but loopback.
    pub fn is_required(&self) -> bool {
        self.require
    }

    /// The local CA's certificate, for clients to trust; `None` if a certificate was given.
    pub fn local_ca(&self) -> Option<&Path> {
        self.local_ca.as_deref()
    }

    /// What a listener uses. `alpn` are the protocols offered, most wanted first; empty offers none.
    pub fn server(&self, alpn: &[&[u8]]) -> Arc<ServerConfig> {
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(&self.current) as _;
        let mut config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(resolver);
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        resumption::allow(&mut config, &self.current);
        Arc::new(config)
    }

    /// As [`TlsPolicy::server`]; clients are asked for a certificate if `tls.client_ca` is given, and need none.
    pub fn mutual_server(&self, alpn: &[&[u8]]) -> Arc<ServerConfig> {
        let Some(clients) = &self.clients else { return self.server(alpn) };
        let policy = self.clone();
        let judge = move |chain: Chain<'_>| policy.vouch_for_person(chain).unwrap_or(Ok(()));
        self.asking_server(alpn, judge::of_clients(clients.root_hint_subjects().to_vec(), judge))
    }

    /// As [`TlsPolicy::server`]; clients are asked for a certificate of anybody, which `judge` judges, and need none.
    pub fn judging_server(
        &self,
        alpn: &[&[u8]],
        judge: impl Fn(Chain<'_>) -> Result<(), rustls::Error> + Send + Sync + 'static,
    ) -> Arc<ServerConfig> {
        // Whom we believe is a long list, and no secret: they show what they have.
        self.asking_server(alpn, judge::of_clients(Vec::new(), judge))
    }

    fn asking_server(&self, alpn: &[&[u8]], clients: Arc<dyn ClientCertVerifier>) -> Arc<ServerConfig> {
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(&self.current) as _;
        let mut config =
            ServerConfig::builder().with_client_cert_verifier(clients).with_cert_resolver(resolver);
        // A session that is resumed brings its certificate back unjudged: it may be revoked or over by now.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Arc::new(config)
    }

    /// What a connection to another server uses whose name `judge` judges. It shows our certificate to a server that
    /// asks for one of its kind: that of the domain in whose name we speak, or the first.
    pub fn mutual_client(
        &self,
        judge: impl Fn(Chain<'_>, &ServerName<'_>) -> Result<(), rustls::Error> + Send + Sync + 'static,
        domain: Option<&str>,
    ) -> Arc<ClientConfig> {
        let ours = Arc::new(Shown { current: Arc::clone(&self.current), domain: domain.map(str::to_owned) });
        let builder = ClientConfig::builder().dangerous();
        let builder = builder.with_custom_certificate_verifier(judge::of_servers(judge));
        Arc::new(self.unresumed(builder.with_client_cert_resolver(ours)))
    }

    /// Nobody judges a session that is resumed: there is none where certificates may be revoked.
    fn unresumed(&self, mut config: ClientConfig) -> ClientConfig {
        if !self.revocations.is_empty() {
            config.resumption = Resumption::disabled();
        }
        config
    }

    /// Judges other servers.
    pub fn servers(&self) -> Servers {
        Servers::new(self.roots(), &self.revocations)
    }

    /// Whom we believe about servers: the system's roots, our own CA, and `tls.trust`.
    pub fn roots(&self) -> RootCertStore {
        authorities::servers(self.local_ca(), self.trust.as_deref())
    }

    /// What a connection to another server uses: the system's roots, our own CA, and `tls.trust`, without what was revoked.
    pub fn client(&self, alpn: &[&[u8]]) -> Arc<ClientConfig> {
        let servers = self.servers();
        let builder = ClientConfig::builder().dangerous().with_custom_certificate_verifier(
            judge::of_servers(move |chain, name| servers.judge(chain, name)),
        );
        let mut config = self.unresumed(builder.with_no_client_auth());
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Arc::new(config)
    }

    /// The channel binding `tls-server-end-point` (RFC 5929 §4.1) of the current certificate for a client that named this host.
    pub fn server_end_point(&self, named: Option<&str>) -> Vec<u8> {
        self.current.keys.load().of(named).cert.first().map(|leaf| end_point(leaf)).unwrap_or_default()
    }
}

/// The certificate that the configuration gives.
fn given(config: &Config) -> Result<Option<Files>, TlsError> {
    match (&config.certificate, &config.key) {
        (Some(certificate), Some(key)) => {
            Ok(Some(Files { domain: None, certificate: certificate.clone(), key: key.clone() }))
        }
        (None, None) => Ok(None),
        _ => Err(TlsError::HalfGiven),
    }
}

/// What becomes of a policy where a domain's own certificate cannot be read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Refuses,
    Passes,
}

impl Files {
    /// Whether a certificate and its key can be read, and are each other's.
    pub fn check(&self) -> Result<(), TlsError> {
        self.load().map(drop)
    }

    fn load(&self) -> Result<CertifiedKey, TlsError> {
        self.read().map_err(|error| match &self.domain {
            Some(domain) => TlsError::Of(domain.clone(), Box::new(error)),
            None => error,
        })
    }

    fn read(&self) -> Result<CertifiedKey, TlsError> {
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
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| {
            // Nobody is there to type the passphrase when a service starts.
            match std::fs::read_to_string(&self.key).is_ok_and(|text| text.contains("ENCRYPTED")) {
                true => TlsError::Content(
                    self.key.clone(),
                    "the key has a passphrase: store it without".to_owned(),
                ),
                false => content(&self.key)(error),
            }
        })?;
        CertifiedKey::from_der(chain, key, &rustls::crypto::aws_lc_rs::default_provider())
            .map_err(|error| TlsError::Key(self.key.clone(), error))
    }
}

/// The certificates, and the names that all but the first are for.
#[derive(Debug)]
struct Keys {
    first: Arc<CertifiedKey>,
    /// Those of domains that have their own, in the order of the files; `None`: it could never be read.
    others: Vec<Option<Arc<CertifiedKey>>>,
    by_name: HashMap<String, Arc<CertifiedKey>>,
}

impl Keys {
    /// Every certificate, and what is wrong with those that cannot be read: what was there `before` stands in for them. An error if
    /// there is no first one.
    fn load(files: &[Files], before: Option<&Self>) -> Result<(Self, Vec<TlsError>), TlsError> {
        let (main, rest) = files.split_first().ok_or(TlsError::HalfGiven)?;
        let mut faults = Vec::new();
        let first = match (main.load(), before) {
            (Ok(key), _) => Arc::new(key),
            (Err(error), Some(before)) => {
                faults.push(error);
                Arc::clone(&before.first)
            }
            (Err(error), None) => return Err(error),
        };
        let (mut others, mut by_name) = (Vec::new(), HashMap::new());
        for (at, files) in rest.iter().enumerate() {
            let key = match files.load() {
                Ok(key) => Some(Arc::new(key)),
                Err(error) => {
                    faults.push(error);
                    before.and_then(|before| before.others.get(at)?.clone())
                }
            };
            for name in key.as_deref().map(names_of).unwrap_or_default() {
                by_name.extend(key.clone().map(|key| (name, key)));
            }
            others.push(key);
        }
        Ok((Self { first, others, by_name }, faults))
    }

    /// The one that names a host, as it is or by a wildcard for its first label (RFC 6125 §6.4.3).
    fn of(&self, named: Option<&str>) -> &Arc<CertifiedKey> {
        let Some(named) = named.filter(|_| !self.by_name.is_empty()) else { return &self.first };
        let named = crate::names::to_ascii(named).unwrap_or_else(|| named.to_ascii_lowercase());
        let by_wildcard = || self.by_name.get(&format!("*.{}", named.split_once('.')?.1));
        self.by_name.get(&named).or_else(by_wildcard).unwrap_or(&self.first)
    }
}

/// The hosts that a certificate names, in lower case.
fn names_of(key: &CertifiedKey) -> Vec<String> {
    let leaf = key.cert.first().and_then(|leaf| PeerCertificate::read(leaf));
    leaf.into_iter().flat_map(|leaf| leaf.hosts).map(|name| name.to_ascii_lowercase()).collect()
}

impl ResolvesServerCert for Current {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(self.keys.load().of(hello.server_name())))
    }
}

/// The certificate that one of our domains shows to other servers.
#[derive(Debug)]
struct Shown {
    current: Arc<Current>,
    domain: Option<String>,
}

impl ResolvesClientCert for Shown {
    /// A server names the roots that it believes (RFC 8446 §4.2.4). One that is made here is shown to those alone that
    /// believe its maker: others would end the handshake.
    fn resolve(&self, hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let keys = self.current.keys.load();
        let key = Arc::clone(keys.of(self.domain.as_deref()));
        let is_local = self.current.is_local && Arc::ptr_eq(&key, &keys.first);
        let is_hinted = || {
            let (_, leaf) = x509_parser::parse_x509_certificate(key.cert.first()?).ok()?;
            Some(hints.contains(&leaf.issuer().as_raw()))
        };
        (!is_local || is_hinted().unwrap_or(false)).then_some(key)
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// How often it is looked whether a certificate ends soon.
const BETWEEN_LOOKS: Duration = Duration::from_secs(24 * 3600);
const STALE: &str = "shared_runtime_certificates_stale";
const STALE_HELP: &str =
    "Certificates and revocation lists that the last reload could not read: what was there before goes on.";

/// Makes aws-lc-rs the one provider of the process. Called first thing in `main`; a second call changes nothing.
pub fn install_provider() {
    // An error says that a provider is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

#[cfg(test)]
mod tests;
