//! Certificates of signers — RFC 8224 §7.2, §7.3, RFC 8226 §9: fetched where a PASSporT says, and believed or not.
//!
//! In    a URL from a stranger. Out a public key, and what it speaks for.
//! State what was fetched, as long as its server says, at most [`MOST`] and [`LONGEST`].
//! Errors [`Unusable`]. Only `https` is fetched; time, bytes and the number of fetches at once are bounded.
//! Not here: single numbers and ranges of a TNAuthList: whoever may sign numbers is believed about each; revocation.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use dashmap::DashMap;
use rustls::RootCertStore;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;
use shared_model::Pending;
use shared_runtime::fetch::{FetchError, Fetched, Fetcher};
use tokio::sync::Semaphore;
use x509_parser::extensions::GeneralName;

use super::passport::Party;

/// Fetches certificates.
pub(crate) trait CertificateSource: Send + Sync {
    /// What is at a URL.
    fn fetch<'a>(&'a self, url: &'a str) -> Pending<'a, Result<Fetched, FetchError>>;
}

impl CertificateSource for Fetcher {
    fn fetch<'a>(&'a self, url: &'a str) -> Pending<'a, Result<Fetched, FetchError>> {
        Box::pin(self.get(url))
    }
}

/// Why a certificate proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unusable {
    /// It could not be fetched: 436.
    Missing,
    /// It is none, its key is of another kind, or nobody whom we believe vouches for it: 437.
    Unsupported,
}

/// A signer's certificate that is believed.
#[derive(Debug)]
pub(super) struct Signer {
    key: Vec<u8>,
    /// Domains that it speaks for (RFC 5922 §7.1).
    domains: Vec<String>,
    /// Whether it speaks for numbers (RFC 8226 §9).
    has_numbers: bool,
}

impl Signer {
    /// Whether it may speak for a caller (RFC 8224 §8.2, §8.4).
    pub(super) fn speaks_for(&self, caller: &Party) -> bool {
        match caller {
            Party::Number(_) => self.has_numbers,
            Party::Address(uri) => {
                let host = uri.rsplit_once('@').map_or("", |(_, host)| host);
                self.domains.iter().any(|domain| domain.eq_ignore_ascii_case(host))
            }
        }
    }

    /// Whether it made a signature.
    pub(super) fn made(&self, signature: &[u8], signed: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.key).verify(signed, signature).is_ok()
    }
}

/// Signers by the URL of their certificate.
pub(super) struct Signers {
    source: Arc<dyn CertificateSource>,
    /// Hosts that are asked; none: all.
    hosts: Vec<String>,
    roots: RootCertStore,
    known: DashMap<Box<str>, (Arc<Signer>, Instant)>,
    under_way: Semaphore,
}

impl Signers {
    pub(super) fn new(source: Arc<dyn CertificateSource>, hosts: Vec<String>, roots: RootCertStore) -> Self {
        Self { source, hosts, roots, known: DashMap::new(), under_way: Semaphore::new(AT_ONCE) }
    }

    /// The signer whose certificate is at a URL.
    pub(super) async fn find(&self, url: &str) -> Result<Arc<Signer>, Unusable> {
        let now = Instant::now();
        if let Some(known) = self.known.get(url).filter(|known| known.1 > now) {
            return Ok(Arc::clone(&known.0));
        }
        let host = https_host(url).ok_or(Unusable::Missing)?;
        if !self.hosts.is_empty() && !self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host)) {
            tracing::debug!(host, "a signer's certificate is at none of sip.stir.hosts");
            return Err(Unusable::Missing);
        }
        // Strangers make us fetch; who is one too many goes without.
        let _place = self.under_way.try_acquire().map_err(|_| Unusable::Missing)?;
        let fetched = self.source.fetch(url).await.map_err(|error| {
            tracing::debug!(%error, "a signer's certificate could not be fetched");
            Unusable::Missing
        })?;
        if !fetched.is_success() {
            return Err(Unusable::Missing);
        }
        let signer =
            Arc::new(judge(&fetched.body, &self.roots, UnixTime::now()).ok_or(Unusable::Unsupported)?);
        let kept = fetched.max_age.unwrap_or(USUAL).min(LONGEST);
        self.known.retain(|_, known| known.1 > now);
        if self.known.len() < MOST && !kept.is_zero() {
            self.known.insert(url.into(), (Arc::clone(&signer), now + kept));
        }
        Ok(signer)
    }
}

/// The host of an `https` URL. What a URL may hide its host behind is none.
fn https_host(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_at_checked(8)?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    let is_plain = scheme.eq_ignore_ascii_case("https://") && !authority.contains(['@', '\\']);
    Some(host).filter(|host| is_plain && !host.is_empty())
}

/// Reads a chain, PEM or one certificate in DER, and asks the roots.
fn judge(bytes: &[u8], roots: &RootCertStore, now: UnixTime) -> Option<Signer> {
    let mut chain: Vec<CertificateDer<'_>> = if bytes.starts_with(b"-----") {
        CertificateDer::pem_slice_iter(bytes).collect::<Result<_, _>>().ok()?
    } else {
        vec![CertificateDer::from(bytes.to_vec())]
    };
    if chain.is_empty() {
        return None;
    }
    let leaf = chain.remove(0);
    let provider = CryptoProvider::get_default()?;
    let algorithms = provider.signature_verification_algorithms.all;
    let parsed = ParsedCertificate::try_from(&leaf).ok()?;
    verify_server_cert_signed_by_trust_anchor(&parsed, roots, &chain, now, algorithms).ok()?;
    let (_, read) = x509_parser::parse_x509_certificate(&leaf).ok()?;
    let key = read.public_key();
    // A point on P-256, uncompressed.
    let is_p256 = key
        .algorithm
        .parameters
        .as_ref()
        .and_then(|curve| curve.as_oid().ok())
        .is_some_and(|oid| oid.to_id_string() == P256);
    let key = key.subject_public_key.data.to_vec();
    let has_numbers = read.extensions().iter().any(|extension| extension.oid.to_id_string() == TN_AUTH_LIST);
    let mut domains = Vec::new();
    let names = read.subject_alternative_name().ok()?;
    for name in names.iter().flat_map(|names| &names.value.general_names) {
        match name {
            GeneralName::DNSName(host) => domains.push((*host).to_owned()),
            GeneralName::URI(uri) => {
                domains.extend(uri.strip_prefix("sip:").filter(|host| !host.contains('@')).map(str::to_owned))
            }
            _ => {}
        }
    }
    is_p256.then_some(Signer { key, domains, has_numbers })
}

const P256: &str = "1.2.840.10045.3.1.7";
/// RFC 8226 §9.
const TN_AUTH_LIST: &str = "1.3.6.1.5.5.7.1.26";
/// How long a certificate is kept whose server does not say.
const USUAL: Duration = Duration::from_secs(3_600);
const LONGEST: Duration = Duration::from_secs(86_400);
const MOST: usize = 1_000;
/// Fetches at once.
const AT_ONCE: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts who is asked, and answers nobody.
    #[derive(Default)]
    struct Asked(std::sync::atomic::AtomicUsize);

    impl CertificateSource for Asked {
        fn fetch<'a>(&'a self, _url: &'a str) -> Pending<'a, Result<Fetched, FetchError>> {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Box::pin(async { Err(FetchError::TooSlow) })
        }
    }

    #[tokio::test]
    async fn strangers_make_nobody_ask_where_the_operator_does_not_want() {
        let source = Arc::new(Asked::default());
        let hosts = vec!["certificates.example".to_owned()];
        let signers =
            Signers::new(Arc::clone(&source) as Arc<dyn CertificateSource>, hosts, RootCertStore::empty());
        for url in [
            "http://certificates.example/a",
            "https://10.0.0.1/a",
            "https://certificates.example@10.0.0.1/a",
            "https://10.0.0.1\\@certificates.example/a",
            "https://certificates.example.evil/a",
            "https://:443/a",
        ] {
            assert_eq!(signers.find(url).await.unwrap_err(), Unusable::Missing, "{url}");
        }
        assert_eq!(source.0.load(std::sync::atomic::Ordering::Relaxed), 0);
        let _missing = signers.find("HTTPS://Certificates.example:8443?a").await.unwrap_err();
        assert_eq!(source.0.load(std::sync::atomic::Ordering::Relaxed), 1);
    }
}
