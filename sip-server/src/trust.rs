//! The trust domain — RFC 3325 §2.3: peers whose P-Asserted-Identity is believed, and who are told ours (RFC 3324).
//!
//! In    the flow of a request or response. Out whether its peer is configured as trusted; whether it speaks for the users of a domain.
//! Not here: devices, which prove who they are; endpoints of this process, which are trusted anyway.

use shared_model::{BareJid, idn};
use sip_core::header::{Name, NameAddr};
use sip_core::{Message, Uri};
use sip_endpoint::{Flow, Transport};

use crate::features::call_info;
use crate::server::Server;
use crate::stir::{self, Verstat};

/// Whether a flow leads to a trusted peer: from a network that is named, or with a certificate of a domain that is.
pub(crate) fn is_trusted_peer(server: &Server, flow: &Flow) -> bool {
    let config = &server.config;
    if flow.transport == Transport::InProcess {
        return false;
    }
    let ip = flow.remote.ip().to_canonical();
    config.trusted_networks.iter().any(|network| network.contains(ip))
        || config.trusted_domains.iter().any(|domain| server.endpoint().is_peer(flow, domain))
}

/// Who calls, as their own domain says: it proved to be the one of From, by its certificate, its signature, or because its peer is trusted.
pub(crate) fn vouched_caller(
    server: &Server,
    request: &Message,
    flow: &Flow,
    verstat: Option<Verstat>,
) -> Option<BareJid> {
    let from = NameAddr::parse(request.value(Name::From)?).and_then(|from| Uri::parse(from.uri))?;
    let is_signed = || verstat == Some(Verstat::Passed) && stir::is_of_domain(&from);
    let is_call = request.method() == "INVITE" && !request.is_in_dialog();
    (is_call && (speaks_for(server, flow, &from) || is_signed()) && is_foreign(server, &from))
        .then(|| call_info::claimed(request, from.host))?
}

/// Who answers a call, as the domain says that was called.
pub(crate) fn vouched_callee(
    server: &Server,
    response: &Message,
    flow: &Flow,
    target: &str,
) -> Option<BareJid> {
    let target = Uri::parse(target)?;
    (is_foreign(server, &target) && speaks_for(server, flow, &target))
        .then(|| call_info::claimed(response, target.host))?
}

fn speaks_for(server: &Server, flow: &Flow, uri: &Uri<'_>) -> bool {
    server.endpoint().is_peer(flow, &idn::to_ascii(uri.host)) || is_trusted_peer(server, flow)
}

/// Nobody says but we who is one of ours.
fn is_foreign(server: &Server, uri: &Uri<'_>) -> bool {
    uri.is_sip() && !server.is_our_host(uri) && server.hosted(uri.host).is_none()
}
