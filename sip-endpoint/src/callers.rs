//! Whose certificate it is that a peer shows who calls us — RFC 3261 §26.3.1 (people), §26.3.2.2 and RFC 5922 §7 (servers).
//!
//! In    the chain that was shown. Out whether it proves a person, by `tls.client_ca`, or a server, by the roots that we believe about servers.
//! Errors where there is `tls.client_ca`, one that proves neither ends the handshake; without it, it proves nothing: telephones show what
//!       their makers gave them. One that was revoked proves nobody.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig, SignatureScheme};
use shared_runtime::tls::{PeerCertificate, TlsPolicy};

use crate::identity::SipDomains;

/// Judges who calls us.
pub(crate) struct Callers {
    policy: TlsPolicy,
    servers: Option<Servers>,
}

/// Judges servers that call us.
struct Servers {
    domains: Arc<SipDomains>,
    /// The same roots, for certificates that are for clients alone.
    as_client: Arc<dyn ClientCertVerifier>,
}

/// A certificate that somebody stands behind whom we believe.
pub(crate) struct Proof {
    pub(crate) certificate: PeerCertificate,
    /// Whether `tls.client_ca` does: what it names are people.
    pub(crate) is_of_people: bool,
}

impl Callers {
    /// Servers are asked as well if `asks_servers`, and if there are roots to judge them by.
    pub(crate) fn new(policy: &TlsPolicy, domains: &Arc<SipDomains>, asks_servers: bool) -> Arc<Self> {
        let as_client = |roots: RootCertStore| WebPkiClientVerifier::builder(Arc::new(roots)).build().ok();
        let servers = asks_servers.then(|| policy.roots()).and_then(as_client);
        let servers = servers.map(|as_client| Servers { domains: Arc::clone(domains), as_client });
        Arc::new(Self { policy: policy.clone(), servers })
    }

    /// What the listener uses.
    pub(crate) fn listener(self: &Arc<Self>) -> Arc<ServerConfig> {
        match &self.servers {
            None => self.policy.mutual_server(&[]),
            Some(servers) => {
                let inner = Arc::clone(&servers.as_client);
                self.policy.judging_server(&[], Arc::new(Asking { callers: Arc::clone(self), inner }))
            }
        }
    }

    /// What a chain proves, if anything.
    pub(crate) fn judge(&self, chain: &[CertificateDer<'_>]) -> Option<Proof> {
        let (leaf, intermediates) = chain.split_first()?;
        let now = UnixTime::now();
        let people = self.policy.people();
        let is_of_people =
            people.is_some_and(|people| people.verify_client_cert(leaf, intermediates, now).is_ok());
        let is_servers = || {
            let is_revoked = |certificate: &CertificateDer<'_>| self.policy.is_revoked(certificate);
            self.servers.as_ref().is_some_and(|servers| servers.stand_behind(leaf, intermediates, now))
                && !chain.iter().any(is_revoked)
        };
        if !is_of_people && !is_servers() {
            return None;
        }
        PeerCertificate::read(leaf).map(|certificate| Proof { certificate, is_of_people })
    }
}

impl Servers {
    /// A server's certificate is often for servers alone, whichever side of a connection the server is on.
    fn stand_behind(&self, leaf: &CertificateDer<'_>, above: &[CertificateDer<'_>], now: UnixTime) -> bool {
        self.domains.stand_behind(leaf, above, now).is_ok()
            || self.as_client.verify_client_cert(leaf, above, now).is_ok()
    }
}

/// Asks for a certificate, and demands none.
struct Asking {
    callers: Arc<Callers>,
    inner: Arc<dyn ClientCertVerifier>,
}

impl std::fmt::Debug for Asking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Asking").field(&self.inner).finish()
    }
}

impl ClientCertVerifier for Asking {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[] // whom we believe is a long list, and no secret: they show what they have
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let Some(people) = self.callers.policy.people() else { return Ok(ClientCertVerified::assertion()) };
        let chain: Vec<_> = std::iter::once(end_entity).chain(intermediates).cloned().collect();
        match self.callers.judge(&chain) {
            Some(_) => Ok(ClientCertVerified::assertion()),
            None => people.verify_client_cert(end_entity, intermediates, now),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
