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

/// Who calls, as their own domain says: the one whose certificate the connection showed, or that a trusted peer asserts the caller to be
/// of, since what it passes on of strangers is their word alone.
pub(crate) fn vouched_caller(server: &Server, request: &Message, flow: &Flow) -> Option<BareJid> {
    let from = NameAddr::parse(request.value(Name::From)?).and_then(|from| Uri::parse(from.uri))?;
    if request.method() != "INVITE" || request.is_in_dialog() {
        return None;
    }
    let theirs = match is_of(server, flow, &from) {
        true => from,
        false if is_trusted_peer(server, flow) => asserted(request)?,
        false => return None,
    };
    is_foreign(server, &theirs).then(|| call_info::claimed(request, theirs.host))?
}

/// Who answers a call, as the domain says that was called.
pub(crate) fn vouched_callee(
    server: &Server,
    response: &Message,
    flow: &Flow,
    target: &str,
) -> Option<BareJid> {
    let target = Uri::parse(target)?;
    (is_foreign(server, &target) && is_of(server, flow, &target))
        .then(|| call_info::claimed(response, target.host))?
}

/// Whom a request asserts to have sent it: by their address, if by several (RFC 3325 §9.1).
pub(crate) fn asserted(request: &Message) -> Option<Uri<'_>> {
    let all = || {
        let read = request.elements(Name::PAssertedIdentity).filter_map(NameAddr::parse);
        read.filter_map(|asserted| Uri::parse(asserted.uri))
    };
    all().find(Uri::is_sip).or_else(|| all().next())
}

fn is_of(server: &Server, flow: &Flow, uri: &Uri<'_>) -> bool {
    server.endpoint().is_peer(flow, &idn::to_ascii(uri.host))
}

/// Nobody says but we who is one of ours.
fn is_foreign(server: &Server, uri: &Uri<'_>) -> bool {
    uri.is_sip() && !server.is_our_host(uri) && server.hosted(uri.host).is_none()
}
