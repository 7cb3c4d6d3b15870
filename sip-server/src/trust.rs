//! The trust domain — RFC 3325 §2.3: peers whose P-Asserted-Identity is believed, and who are told ours (RFC 3324).
//!
//! In    the flow of a request or response. Out whether its peer is configured as trusted.
//! Not here: devices, which prove who they are; endpoints of this process, which are trusted anyway.

use sip_endpoint::{Flow, Transport};

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
