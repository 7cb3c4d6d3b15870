//! Record-Route — RFC 3261 §16.6, item 4; RFC 5658 (one entry for each side).
//!
//! In    a request that begins a dialog, with the flows of its two sides.
//! Out   two entries: the upper faces the callee, the lower the caller. Each names its side's flow, so that a request
//! inside the dialog goes over the connection that the other side opened.

use sip_core::header::Name;
use sip_core::{Message, Uri};
use sip_endpoint::{Endpoint, Flow, Transport};

use crate::flow_token::FlowTokens;

/// Puts our two entries on top, if the request begins a dialog. `asked` is the URI that the caller asked for.
pub(crate) fn record_route(
    request: &mut Message,
    asked: &str,
    tokens: &FlowTokens,
    endpoint: &Endpoint,
    caller: &Flow,
    callee: &Flow,
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
        let face = seen(side, other);
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
            &format!("<{scheme}:{}@{address}{transport};lr>", tokens.token(side, request.call_id())),
        );
    }
}
