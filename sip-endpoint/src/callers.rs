//! Whose certificate it is that a peer shows who calls us — RFC 3261 §26.3.1 (people), §26.3.2.2 and RFC 5922 §7 (servers).
//!
//! In    the chain that was shown. Out whether it proves a person, by `tls.client_ca`, or a server, by the roots that we believe about servers.
//! Errors where there is `tls.client_ca`, one that proves neither ends the handshake; without it, it proves nothing: telephones show what
//!       their makers gave them. One that was revoked proves nobody.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use shared_runtime::tls::judge::{Chain, Servers};
use shared_runtime::tls::{PeerCertificate, TlsPolicy};

/// Judges who calls us.
pub(crate) struct Callers {
    policy: TlsPolicy,
    servers: Option<Servers>,
}

/// A certificate that somebody stands behind whom we believe.
pub(crate) struct Proof {
    pub(crate) certificate: PeerCertificate,
    /// Whether `tls.client_ca` does: what it names are people.
    pub(crate) is_of_people: bool,
}

impl Callers {
    /// Servers are asked as well if `asks_servers`, and if there are roots to judge them by.
    pub(crate) fn new(policy: &TlsPolicy, servers: &Servers, asks_servers: bool) -> Arc<Self> {
        let servers = Some(servers).filter(|servers| asks_servers && servers.has_roots());
        Arc::new(Self { policy: policy.clone(), servers: servers.cloned() })
    }

    /// What the listener uses: it asks for a certificate, and demands none.
    pub(crate) fn listener(self: &Arc<Self>) -> Arc<ServerConfig> {
        if self.servers.is_none() {
            return self.policy.mutual_server(&[]);
        }
        let callers = Arc::clone(self);
        self.policy.judging_server(&[], move |chain| match callers.policy.vouch_for_person(chain) {
            Some(Err(_)) if callers.is_servers(chain) => Ok(()),
            Some(verdict) => verdict,
            None => Ok(()),
        })
    }

    /// What a chain proves, if anything.
    pub(crate) fn judge(&self, chain: &[CertificateDer<'_>]) -> Option<Proof> {
        let chain = Chain::shown(chain)?;
        let is_of_people = self.policy.vouch_for_person(chain).is_some_and(|verdict| verdict.is_ok());
        if !is_of_people && !self.is_servers(chain) {
            return None;
        }
        PeerCertificate::read(chain.leaf).map(|certificate| Proof { certificate, is_of_people })
    }

    fn is_servers(&self, chain: Chain<'_>) -> bool {
        self.servers.as_ref().is_some_and(|servers| servers.vouch_for_caller(chain).is_ok())
    }
}
