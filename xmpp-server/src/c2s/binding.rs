//! What a client's TLS connection can be bound to, and what its certificate says — RFC 9266, RFC 5929 §4, RFC 6120 §13.7.1.

use shared_auth::Channel;
use shared_runtime::tls::PeerCertificate;
use tokio_rustls::server::TlsStream;

use crate::server::Server;

/// What a TLS connection can be bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binding {
    /// `tls-exporter` (RFC 9266), on TLS 1.3.
    pub(crate) exporter: Option<Vec<u8>>,
    /// `tls-server-end-point` (RFC 5929 §4).
    pub(crate) end_point: Vec<u8>,
    /// Addresses that the client's certificate names, if it showed one that the operator's CA for clients made.
    pub(crate) names: Vec<String>,
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
        let shown = connection.peer_certificates().and_then(<[_]>::first);
        let names = shown.and_then(|shown| PeerCertificate::read(shown)).map(names_of).unwrap_or_default();
        Self { exporter, end_point: server.tls.server_end_point(connection.server_name()), names }
    }
}

/// RFC 6120 §13.7.1.4: XMPP addresses; mail addresses where there are none.
fn names_of(certificate: PeerCertificate) -> Vec<String> {
    let xmpp = certificate.others.into_iter().filter(|(kind, _)| kind == XMPP_ADDR).map(|(_, name)| name);
    let xmpp: Vec<String> = xmpp.collect();
    if xmpp.is_empty() { certificate.emails } else { xmpp }
}

/// `id-on-xmppAddr`.
const XMPP_ADDR: &str = "1.3.6.1.5.5.7.8.5";
