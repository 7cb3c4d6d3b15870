//! What a client's TLS connection can be bound to, and what its certificate says — RFC 9266, RFC 5929 §4, RFC 6120 §13.7.1, XEP-0257
//! 0.3, section 3 (certificates that accounts gave).

use std::sync::Arc;

use rustls::ServerConfig;
use shared_auth::{Certificates, Channel};
use shared_model::{BareJid, Protection};
use shared_runtime::tls::{PeerCertificate, TlsPolicy};
use shared_runtime::unix_millis;
use shared_store::StoreError;
use tokio_rustls::server::TlsStream;
use xmpp_core::Jid;

use crate::server::Server;

/// What a TLS connection can be bound to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Binding {
    /// `tls-exporter` (RFC 9266), on TLS 1.3.
    pub(crate) exporter: Option<Vec<u8>>,
    /// `tls-server-end-point` (RFC 5929 §4).
    pub(crate) end_point: Vec<u8>,
    /// Addresses that the client's certificate names, if it showed one that may let it in.
    pub(crate) names: Vec<String>,
    /// What names that certificate, if nobody but the account that gave it stands behind it.
    pub(crate) own: Option<String>,
    /// Whether it is worth a try.
    pub(crate) is_certified: bool,
    /// What the handshake agreed on, if that was ours.
    pub(crate) protection: Option<Protection>,
}

impl Binding {
    pub(crate) fn channel(&self) -> Channel {
        let exporter = self.exporter.iter().map(|data| ("tls-exporter", data.clone()));
        let end_point = Some(&self.end_point).filter(|data| !data.is_empty());
        let end_point = end_point.map(|data| ("tls-server-end-point", data.clone()));
        Channel { bindings: exporter.chain(end_point).collect(), mechanisms: Vec::new() }
    }

    pub(crate) fn of<S>(server: &Server, stream: &TlsStream<S>) -> Self {
        let (_, connection) = stream.get_ref();
        // RFC 9266 §4.2: on TLS 1.2 the exporter is unique only with extended master secrets; it is not offered there.
        let is_13 = connection.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3);
        let exporter = connection.export_keying_material([0_u8; 32], b"EXPORTER-Channel-Binding", Some(b""));
        let exporter = exporter.ok().filter(|_| is_13).map(|key| key.to_vec());
        let end_point = server.tls.server_end_point(connection.server_name());
        let shown = connection.peer_certificates().and_then(<[_]>::first);
        let shown = shown.and_then(|der| Some((PeerCertificate::read(der)?, Certificates::fingerprint(der))));
        let agreed = shared_runtime::tls::protection(connection);
        let protection = agreed.map(|(version, suite)| Protection { version, suite });
        let bare = Self { exporter, end_point, protection, ..Self::default() };
        match shown {
            // One that is over lets nobody in (§3).
            Some((certificate, _)) if server.takes_certificates && is_over(&certificate) => bare,
            Some((certificate, fingerprint)) if server.takes_certificates => {
                let names = xmpp_names(&certificate).into_iter().filter(|name| server.is_home(name.domain()));
                Self { names: names.map(|name| name.to_string()).collect(), own: Some(fingerprint), ..bare }
            }
            Some((certificate, _)) => {
                let names = names_of(certificate);
                Self { is_certified: !names.is_empty(), names, ..bare }
            }
            None => bare,
        }
    }

    /// A certificate that an account gave is worth a try if that account has it in its list, or has to say who it is.
    pub(crate) async fn judged(mut self, server: &Server) -> Self {
        if let Some(fingerprint) = &self.own {
            self.is_certified = self.names.is_empty();
            for name in self.names.iter().take(MOST_NAMES).filter_map(|name| name.parse().ok()) {
                self.is_certified =
                    self.is_certified || is_welcome(server, &name, fingerprint).await == Ok(true);
            }
        }
        self
    }
}

fn is_over(certificate: &PeerCertificate) -> bool {
    certificate.not_after <= unix_millis() / 1000
}

/// Whether a certificate is in the list of somebody's account.
pub(crate) async fn is_welcome(server: &Server, user: &Jid, fingerprint: &str) -> Result<bool, StoreError> {
    let Ok(account) = user.bare_str().parse::<BareJid>() else { return Ok(false) };
    let found = server.auth.certificates.find(&account, fingerprint).await;
    let found = found
        .inspect_err(|error| tracing::error!(%error, "the certificates of an account could not be read"));
    Ok(found?.is_some())
}

/// What protects clients' connections. Whose certificate lets them in is judged behind each handshake, so that one that was resumed may
/// bring it back.
pub(crate) fn tls_of(policy: &TlsPolicy, takes_certificates: bool) -> Arc<ServerConfig> {
    if !takes_certificates {
        return policy.mutual_server(ALPN);
    }
    let plain = policy.server(ALPN);
    let mut asking = ServerConfig::clone(&policy.judging_server(ALPN, |_| Ok(())));
    asking.session_storage = Arc::clone(&plain.session_storage);
    asking.ticketer = Arc::clone(&plain.ticketer);
    asking.send_tls13_tickets = 1; // who comes back comes back once
    Arc::new(asking)
}

/// RFC 6120 §13.7.1.4: the XMPP addresses of a certificate.
pub(crate) fn xmpp_names(certificate: &PeerCertificate) -> Vec<Jid> {
    let xmpp = certificate.others.iter().filter(|(kind, _)| kind == XMPP_ADDR);
    xmpp.filter_map(|(_, name)| name.parse().ok()).collect()
}

/// RFC 6120 §13.7.1.4: XMPP addresses; mail addresses where there are none.
fn names_of(certificate: PeerCertificate) -> Vec<String> {
    let xmpp = certificate.others.into_iter().filter(|(kind, _)| kind == XMPP_ADDR).map(|(_, name)| name);
    let xmpp: Vec<String> = xmpp.collect();
    if xmpp.is_empty() { certificate.emails } else { xmpp }
}

/// `id-on-xmppAddr`.
const XMPP_ADDR: &str = "1.3.6.1.5.5.7.8.5";
/// XEP-0368 §3.
const ALPN: &[&[u8]] = &[b"xmpp-client"];
/// Names of one certificate whose accounts are looked at.
const MOST_NAMES: usize = 4;
