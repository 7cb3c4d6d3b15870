//! Whom a certificate proves — RFC 8446 §4.4.2; that the other side has its key (§4.4.3) is looked at here for all.
//!
//! In    what was shown in a handshake, and a judge: a function that says whether it is believed.
//! Out   verifiers for `rustls` that ask the judge, and [`Servers`], who judges other servers by the roots that we believe.
//! Errors those of the judge, which end the handshake.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};

use super::revocation::Revocations;

/// What the other side shows of itself.
#[derive(Debug, Clone, Copy)]
pub struct Chain<'a> {
    /// Its certificate.
    pub leaf: &'a CertificateDer<'a>,
    /// Those above it, as far as they were sent.
    pub above: &'a [CertificateDer<'a>],
    /// When it is judged.
    pub now: UnixTime,
}

impl<'a> Chain<'a> {
    /// What a session says that the other side showed, judged now.
    pub fn shown(chain: &'a [CertificateDer<'a>]) -> Option<Self> {
        let (leaf, above) = chain.split_first()?;
        Some(Self { leaf, above, now: UnixTime::now() })
    }

    /// Every certificate of it.
    pub(super) fn all(self) -> impl Iterator<Item = &'a CertificateDer<'a>> {
        std::iter::once(self.leaf).chain(self.above)
    }
}

/// Judges servers, by the names that we call them by.
pub fn of_servers(
    judge: impl Fn(Chain<'_>, &ServerName<'_>) -> Result<(), Error> + Send + Sync + 'static,
) -> Arc<dyn ServerCertVerifier> {
    Arc::new(Judged { judge, hints: Vec::new(), provider: provider() })
}

/// Judges clients, who need not show a certificate. `hints` are whom one that is asked for shall be of; none: of anybody.
pub(super) fn of_clients(
    hints: Vec<DistinguishedName>,
    judge: impl Fn(Chain<'_>) -> Result<(), Error> + Send + Sync + 'static,
) -> Arc<dyn ClientCertVerifier> {
    Arc::new(Judged { judge, hints, provider: provider() })
}

/// Judges other servers, whichever side calls: by the roots of the system, our own CA and `tls.trust`, and by `tls.revoked`.
#[derive(Clone)]
pub struct Servers {
    roots: Arc<RootCertStore>,
    /// `None`: there are no roots.
    as_client: Option<Arc<dyn ClientCertVerifier>>,
    revocations: Arc<Revocations>,
}

impl Servers {
    pub(super) fn new(roots: RootCertStore, revocations: &Arc<Revocations>) -> Self {
        let roots = Arc::new(roots);
        let as_client = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), provider());
        Self { roots, as_client: as_client.build().ok(), revocations: Arc::clone(revocations) }
    }

    /// Whether there are roots at all.
    pub fn has_roots(&self) -> bool {
        !self.roots.is_empty()
    }

    /// Whether the roots stand behind the certificate of a server that we call, whatever it names.
    pub fn vouch_for(&self, chain: Chain<'_>) -> Result<(), Error> {
        let leaf = ParsedCertificate::try_from(chain.leaf)?;
        let provider = provider();
        let algorithms = provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&leaf, &self.roots, chain.above, chain.now, algorithms)?;
        self.revocations.refuse(chain)
    }

    /// The same of one that calls us, or may: a server's certificate is often for servers alone, whichever side of a
    /// connection the server is on, and may be for clients alone.
    pub fn vouch_for_caller(&self, chain: Chain<'_>) -> Result<(), Error> {
        let as_client = |inner: &Arc<dyn ClientCertVerifier>| {
            inner.verify_client_cert(chain.leaf, chain.above, chain.now)
        };
        match &self.as_client {
            Some(inner) if as_client(inner).is_ok() => self.revocations.refuse(chain),
            _ => self.vouch_for(chain),
        }
    }

    /// Whether the certificate of a server that we call is believed, and names it (RFC 9525).
    pub fn judge(&self, chain: Chain<'_>, name: &ServerName<'_>) -> Result<(), Error> {
        self.vouch_for(chain)?;
        verify_server_name(&ParsedCertificate::try_from(chain.leaf)?, name)
    }
}

/// Asks a judge about the chain, and looks itself whether the other side has the key.
struct Judged<J> {
    judge: J,
    hints: Vec<DistinguishedName>,
    provider: Arc<CryptoProvider>,
}

impl<J> Judged<J> {
    fn check_12(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn check_13(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl<J> fmt::Debug for Judged<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Judged").field("hints", &self.hints.len()).finish_non_exhaustive()
    }
}

impl<J> ServerCertVerifier for Judged<J>
where
    J: Fn(Chain<'_>, &ServerName<'_>) -> Result<(), Error> + Send + Sync,
{
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        (self.judge)(Chain { leaf, above, now }, name).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_12(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_13(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

impl<J> ClientCertVerifier for Judged<J>
where
    J: Fn(Chain<'_>) -> Result<(), Error> + Send + Sync,
{
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        (self.judge)(Chain { leaf, above, now }).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_12(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_13(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

/// With what this process encrypts.
fn provider() -> Arc<CryptoProvider> {
    let provider = CryptoProvider::get_default().cloned();
    provider.unwrap_or_else(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
}
