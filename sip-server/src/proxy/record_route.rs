//! Record-Route — RFC 3261 §16.6, item 4; RFC 5658 (one entry for each side).
//!
//! In    a request that begins a dialog, with the flows of its two sides.
//! Out   two entries: the upper faces the callee, the lower the caller. Each names its side's flow, so that a request
//! inside the dialog goes over the connection that the other side opened, and says whether that side is where it says it is.

use sip_core::header::Name;
use sip_core::{Message, Uri};
use sip_endpoint::{Endpoint, Flow, Transport};

use crate::features::Destination;
use crate::flow_token::FlowTokens;
use crate::in_dialog::{address, is_at};
use crate::location::Branch;

/// One side of a dialog.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    pub(super) flow: &'a Flow,
    /// It is reached where its Contact says.
    pub(super) is_direct: bool,
}

/// Whether who sent a request can be reached where its Contact says: no NAT changed its address on the way. A device of ours
/// keeps the connection that it opened; servers of others, which are known by name, listen.
pub(super) fn is_caller_direct(request: &Message, flow: &Flow, is_device: bool) -> bool {
    let Some(via) = request.top_via() else { return false };
    let Some(ip) = address(via.host) else { return !is_device };
    let is_unchanged = ip == flow.remote.ip().to_canonical();
    match flow.transport {
        Transport::Udp => is_unchanged && via.port.unwrap_or(DEFAULT_PORT) == flow.remote.port(),
        Transport::Tcp | Transport::Tls => is_unchanged && !is_device,
        Transport::Ws | Transport::Wss | Transport::InProcess => false,
    }
}

/// Whether a branch leads where its target says. Carriers are where the call went: what they say of themselves is often wrong.
pub(super) fn is_callee_direct(branch: &Branch) -> bool {
    let is_at_contact =
        || branch.uri.as_deref().and_then(Uri::parse).is_some_and(|uri| is_at(&uri, &branch.flow));
    match branch.to {
        Destination::Foreign => branch.trunk.is_none(),
        Destination::Device => {
            branch.flow.transport == Transport::Udp && branch.path.is_empty() && is_at_contact()
        }
        Destination::Trusted => false,
    }
}

/// Puts our two entries on top, if the request begins a dialog. `asked` is the URI that the caller asked for.
pub(super) fn record_route(
    request: &mut Message,
    asked: &str,
    tokens: &FlowTokens,
    endpoint: &Endpoint,
    [caller, callee]: [Side<'_>; 2],
) {
    if request.is_in_dialog() || !matches!(request.method(), "INVITE" | "SUBSCRIBE" | "REFER") {
        return;
    }
    let is_sips = |uri| Uri::parse(uri).is_some_and(|uri| uri.is_sips());
    let is_secure = is_sips(asked) || is_sips(request.uri());
    // An endpoint in this process has no address; it sees that of the other side.
    let seen =
        |side: &Flow, other: &Flow| if side.transport == Transport::InProcess { *other } else { *side };
    for (side, other) in [(caller, callee), (callee, caller)] {
        let face = seen(side.flow, other.flow);
        let address = endpoint.address_on(&face);
        let transport = match face.transport {
            Transport::Udp | Transport::InProcess => "",
            Transport::Tcp => ";transport=tcp",
            Transport::Tls => ";transport=tls",
            Transport::Ws | Transport::Wss => ";transport=ws",
        };
        // §16.6, item 4: who calls by TLS alone stays on TLS.
        let scheme = if is_secure && matches!(face.transport, Transport::Tls | Transport::Wss) {
            "sips"
        } else {
            "sip"
        };
        request.push_front(
            Name::RecordRoute,
            &format!(
                "<{scheme}:{}@{address}{transport};lr>",
                tokens.token(side.flow, side.is_direct, request.call_id())
            ),
        );
    }
}

/// Of a Via that names none.
const DEFAULT_PORT: u16 = 5060;
