//! Record-Route — RFC 3261 §16.6, item 4; RFC 5658 (one entry for each side).
//!
//! In    a request that begins a dialog, with the flows of its two sides.
//! Out   two entries: the upper faces the callee, the lower the caller. Each names its side's flow, so that a request
//! inside the dialog goes over the connection that the other side opened, and says how far what that side says of itself is followed.
//! What a server of another domain sees over TLS has our domain for its host: it may have to connect to us, and proves that by the
//! name (RFC 5922 §7.1), which no certificate has an address for.

use shared_model::idn;
use sip_core::header::{Name, NameAddr};
use sip_core::{Message, Uri};
use sip_endpoint::{Flow, Transport};

use crate::features::Destination;
use crate::flow_token::Followed;
use crate::in_dialog::{address, is_at};
use crate::location::Branch;
use crate::server::Server;

/// One side of a dialog.
#[derive(Clone, Copy)]
pub(crate) struct Side<'a> {
    pub(crate) flow: &'a Flow,
    /// How far its Contact is followed.
    pub(crate) reach: Followed,
    /// How much higher our CSeq is there than the caller's.
    pub(crate) ahead: u32,
}

/// How far the Contact of who sent a request is followed: only if no NAT changed its address on the way. A device of ours keeps the
/// connection that it opened; servers of others, which are known by name, listen.
pub(crate) fn caller_followed(request: &Message, flow: &Flow, is_device: bool) -> Followed {
    let Some(via) = request.top_via() else { return Followed::Nowhere };
    let ip = address(via.host);
    let is_unchanged = ip == Some(flow.remote.ip().to_canonical());
    let is_port = via.port.unwrap_or(DEFAULT_PORT) == flow.remote.port();
    match (flow.transport, is_device) {
        (Transport::Ws | Transport::Wss | Transport::InProcess, _) => Followed::Nowhere,
        (Transport::Udp, true) if is_unchanged && is_port => Followed::OnItsHost,
        (Transport::Udp, false) if ip.is_none() || (is_unchanged && is_port) => Followed::Anywhere,
        (Transport::Tcp | Transport::Tls, false) if ip.is_none() || is_unchanged => Followed::Anywhere,
        _ => Followed::Nowhere,
    }
}

/// How far the target that a branch leads to is followed. Carriers are where the call went: what they say of themselves is often
/// wrong.
pub(super) fn callee_followed(branch: &Branch) -> Followed {
    let is_at_contact =
        || branch.uri.as_deref().and_then(Uri::parse).is_some_and(|uri| is_at(&uri, &branch.flow));
    match branch.to {
        Destination::Foreign if branch.trunk.is_none() => Followed::Anywhere,
        Destination::Device
            if branch.flow.transport == Transport::Udp && branch.path.is_empty() && is_at_contact() =>
        {
            Followed::OnItsHost
        }
        Destination::Foreign | Destination::Device | Destination::Trusted => Followed::Nowhere,
    }
}

/// Puts our two entries on top, if the request begins a dialog. `asked` is the URI that the caller asked for.
pub(crate) fn record_route(
    request: &mut Message,
    asked: &str,
    server: &Server,
    [caller, callee]: [Side<'_>; 2],
) {
    if request.is_in_dialog() || !matches!(request.method(), "INVITE" | "SUBSCRIBE" | "REFER") {
        return;
    }
    let is_sips = |uri| Uri::parse(uri).is_some_and(|uri| uri.is_sips());
    let is_secure = is_sips(asked) || is_sips(request.uri());
    let domain = domain(request, asked, server);
    // An endpoint in this process has no address; it sees that of the other side.
    let seen =
        |side: &Flow, other: &Flow| if side.transport == Transport::InProcess { *other } else { *side };
    for (side, other) in [(caller, callee), (callee, caller)] {
        let face = seen(side.flow, other.flow);
        let host = match domain {
            Some(domain) if face.transport == Transport::Tls && side.reach == Followed::Anywhere => {
                idn::to_ascii(domain).into_owned()
            }
            _ => server.endpoint().address_on(&face).to_string(),
        };
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
                "<{scheme}:{}@{host}{transport};lr>",
                server.tokens.token(side.flow, side.reach, side.ahead, request.call_id())
            ),
        );
    }
}

/// The domain of ours that a call has to do with; none if it was asked for by an address, since then nobody may know us by name.
fn domain<'a>(request: &Message, asked: &str, server: &'a Server) -> Option<&'a str> {
    let asked = Uri::parse(asked).filter(|uri| address(uri.host).is_none())?;
    let caller = || {
        let from = NameAddr::parse(request.value(Name::From)?)?;
        server.domains.find(Uri::parse(from.uri)?.host)
    };
    Some(server.domains.find(asked.host).or_else(caller).unwrap_or(server.domains.main()))
}

/// Of a Via that names none.
const DEFAULT_PORT: u16 = 5060;
