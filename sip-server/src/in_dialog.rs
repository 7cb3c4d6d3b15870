//! Where a request inside a dialog goes — RFC 3261 §16.6 (items 6 and 7) and §16.12, RFC 5626 §5.3, RFC 5627 §5.3.
//!
//! In    a request whose entries of ours are off its Route, their tokens, and the flow that it came by.
//! Out   one branch. A device of ours that registered the remote target since is at its binding's flow, as one that changed its network
//!       in a call (RFC 3261 §12.2.1.2). A peer that is reached where it says it is: the next Route entry, or else the remote target. Any other, which
//!       may be behind a NAT or at the end of a connection of its own: the flow that its side of the dialog began on.
//! Errors 481 for strangers, who have no token of this dialog and are in none that is remembered; 430 if the connection is gone and
//!       nothing leads to its peer, or to another host than it was seen at, which refuses: that may be anybody's, and a 481 or 408 of
//!       its would end a call that is up (RFC 3261 §12.2.1.2, RFC 5626 §5.3.1). What the peer's own host answers is the peer's word (RFC 5057 §5.1).
//!       407 for a REFER that has the focus call somebody who is not here.
//!
//! Nothing is relayed for strangers: a request goes elsewhere than along the flow only if it came from the other side of the dialog.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use shared_model::BareJid;
use sip_core::header::{Name, NameAddr};
use sip_core::{Message, Uri};
use sip_endpoint::{Flow, Transport};

use crate::authenticate::Asker;
use crate::caller;
use crate::destination;
use crate::dialogs::Ahead;
use crate::features::{Destination, privacy};
use crate::flow_token::Followed;
use crate::location::Branch;
use crate::numbers::Dialled;
use crate::push;
use crate::routing::{Astray, Route, answer, next_hop};
use crate::server::Server;

pub(crate) async fn route(
    server: &Server,
    request: &Message,
    came: &Flow,
    tokens: &[String],
) -> Result<Box<Route>, Box<Message>> {
    let endpoint = server.endpoint();
    let read = |token: &String| server.tokens.read(token, request.call_id(), endpoint);
    // The last of our entries is the one that faces the other side.
    let named = tokens.last().and_then(read);
    let is_anonymous = privacy::is_anonymous(request);
    let uri = Uri::parse(request.uri());
    if named.is_some()
        && let Some(uri) = &uri
        && let Some(route) = push::dialog(server, uri).await
    {
        return Ok(Box::new(Route { is_anonymous, ..route }));
    }
    let remembered = || server.dialogs.other_side(request).filter(|flow| endpoint.is_open(flow));
    let hosted = || uri.as_ref().and_then(|uri| server.hosted(uri.host));
    let along = named.and_then(|named| named.flow).or_else(remembered).or_else(hosted);
    let is_up = || server.dialogs.other_side(request).is_some() || server.calls.is_up(request);
    // A token proves that we gave it; with its connection gone there may be another way to the device, if the call is up.
    if along.is_none() && !(named.is_some() && is_up()) {
        return Err(answer(request, 481, ""));
    }
    let mut astray = None;
    let device = match at_gruu(server, uri.as_ref()).await {
        None => {
            let bound = at_binding(server, request, along.as_ref()).await;
            astray = bound.as_ref().filter(|bound| Some(bound.flow) != along).map(|_| Astray::Retargeted);
            bound
        }
        device => device,
    };
    let mut branch = match (device, along) {
        (Some(device), _) => device,
        (None, Some(flow)) => {
            let own = tokens.first().and_then(read).and_then(|first| first.flow);
            let is_other_side = own.is_some_and(|own| own != flow && is_from(came, &own));
            let reach = named.filter(|named| is_other_side && named.flow == Some(flow));
            let branch =
                direct(server, request, flow, reach.map_or(Followed::Nowhere, |named| named.reach)).await;
            astray = (branch.flow != flow).then_some(Astray::Retargeted);
            branch
        }
        (None, None) => {
            let seen = named.and_then(|named| named.remote);
            let branch = match seen.and_then(|seen| to_carrier(server, seen)) {
                Some(branch) => branch,
                None => next_hop(server, request, Destination::Device)
                    .await
                    .map_err(|_| answer(request, 430, "Flow Failed"))?,
            };
            let is_known = request.value(Name::Route).is_some()
                || named.is_some_and(|named| named.reach == Followed::Anywhere)
                || seen.is_some_and(|seen| seen.ip() == branch.flow.remote.ip().to_canonical());
            astray = Some(if is_known { Astray::FlowGone } else { Astray::Guessed });
            branch
        }
    };
    // A carrier may ask for proof inside a dialog too.
    branch.trunk = server.trunks.source(&branch.flow, endpoint).cloned();
    if branch.trunk.is_some() && request.method() == "INVITE" && !is_up() {
        // A call that begins is paid, and does not come with a tag.
        return Err(answer(request, 481, ""));
    }
    let ahead = match server.dialogs.ahead(request).or_else(|| server.calls.ahead(request)) {
        _ if branch.trunk.is_none() => Ahead::default(),
        Some(known) => known,
        None => Ahead::of(named.map_or(0, |named| named.ahead)),
    };
    branch.ahead = ahead.all;
    let is_to_focus = branch.to == Destination::Trusted;
    let groups = vec![vec![branch]];
    let is_refer = request.method() == "REFER";
    let sender = if is_refer { server.dialogs.own_aor(request) } else { None };
    // What an endpoint of ours calls elsewhere is by somebody's rights and on their bill, for which a dialog is not proof enough.
    let caller = match is_refer && is_to_focus && refers_elsewhere(server, request) {
        true => Some(caller::prove_as(server, request, came, Asker::Proxy).await?),
        false => None,
    };
    let is_told = request.method() == "INVITE" && server.config.call_info_in_dialog && !is_anonymous;
    let vouched = if is_told { shown(server, request).await } else { None };
    let ahead_of_invite = ahead.of_invite;
    let route =
        Route { groups, caller, vouched, sender, is_anonymous, astray, ahead_of_invite, ..Route::default() };
    Ok(Box::new(route))
}

/// The JID of whoever sends a request, if it is a side of ours that did not hide.
async fn shown(server: &Server, request: &Message) -> Option<BareJid> {
    let aor = server.dialogs.shown_aor(request)?;
    // A store that does not answer costs the cue alone.
    server.auth.directory.by_aor(&aor).await.ok()?.map(|card| card.jid)
}

/// Whether a REFER asks for a call to a number, or into another domain.
fn refers_elsewhere(server: &Server, request: &Message) -> bool {
    let leads_out = |address: NameAddr<'_>| {
        let Some(uri) = Uri::parse(address.uri) else { return false };
        let method = uri.params.value("method").or_else(|| address.params.value("method"));
        if method.is_some_and(|method| method.eq_ignore_ascii_case("BYE")) {
            return false;
        }
        let is_here = uri.is_sip() && (server.is_our_host(&uri) || server.hosted(uri.host).is_some());
        !is_here || matches!(server.plan.read(&uri), Dialled::Number(_) | Dialled::Emergency(_))
    };
    request.elements(Name::ReferTo).filter_map(NameAddr::parse).any(leads_out)
}

/// RFC 5627 §5.3: a GRUU becomes the contact inside a dialog too; the Path of its binding does not count.
async fn at_gruu(server: &Server, uri: Option<&Uri<'_>>) -> Option<Branch> {
    let uri = uri.filter(|uri| uri.params.has("gr") && server.is_our_host(uri))?;
    let found = Box::pin(destination::find(server, uri, false)).await.ok()?;
    let device = found.groups.into_iter().flatten().next()?;
    Some(Branch { path: Vec::new(), ..device })
}

/// The device of the other side that is bound with the remote target as its contact, unless that names the very flow.
async fn at_binding(server: &Server, request: &Message, along: Option<&Flow>) -> Option<Branch> {
    let uri = Uri::parse(request.uri())?;
    if along.is_some_and(|flow| is_at(&uri, flow)) || request.value(Name::Route).is_some() {
        return None;
    }
    let aor = server.dialogs.other_aor(request)?;
    let card = server.auth.directory.by_aor(&aor).await.ok()??;
    let devices = destination::devices(server, &Arc::new(card), None).await.ok()?;
    let is_it = |branch: &Branch| branch.uri.as_deref() == Some(request.uri());
    let mut bound = devices.groups.into_iter().flatten().flat_map(Branch::ways).filter(is_it);
    let first = bound.next()?;
    // Two homes may have the same address: it is the other side's own, unless that is nowhere else.
    let rest: Vec<Branch> = bound.collect();
    let is_along = |branch: &Branch| Some(&branch.flow) == along;
    (rest.is_empty() && !is_along(&first)).then(|| first.within_dialog())
}

/// A carrier that was seen there, by another connection: it is where calls go, whatever it says of itself.
fn to_carrier(server: &Server, seen: SocketAddr) -> Option<Branch> {
    let trunk = server.trunks.at(seen)?;
    let targets = trunk.targets();
    let target = targets.iter().find(|target| target.address == seen).or(targets.first())?;
    Some(Branch::along(server.endpoint().flow_to(target)?, Destination::Device))
}

/// Where the next Route entry or the remote target is, as far as these are followed; the flow is good enough if it is there, or if
/// nothing is found. Never to a carrier, who is reached by numbers alone.
async fn direct(server: &Server, request: &Message, flow: Flow, reach: Followed) -> Branch {
    let along = Branch::along(flow, destination_of(&flow));
    if reach == Followed::Nowhere || flow.transport == Transport::InProcess {
        return along;
    }
    let next = request.elements(Name::Route).next().and_then(NameAddr::parse).map(|route| route.uri);
    let Some(uri) = Uri::parse(next.unwrap_or(request.uri())) else { return along };
    if is_at(&uri, &flow) || server.is_our_host(&uri) || server.hosted(uri.host).is_some() {
        return along;
    }
    let is_its_host = address(uri.host) == Some(flow.remote.ip().to_canonical());
    // No certificate names an address, so that a new connection would prove nobody; this one was proven.
    if is_its_host && flow.transport == Transport::Tls {
        return along;
    }
    if reach == Followed::OnItsHost && !(is_its_host && server.dialogs.other_side(request).is_some()) {
        return along;
    }
    match destination::towards(server, &uri, Destination::Foreign).await {
        Ok(branch) => Branch { to: along.to, ..branch },
        Err(_) => along,
    }
}

fn destination_of(flow: &Flow) -> Destination {
    if flow.transport == Transport::InProcess { Destination::Trusted } else { Destination::Device }
}

/// Whether a URI names the very address that a flow leads to, by no other transport.
pub(crate) fn is_at(uri: &Uri<'_>, flow: &Flow) -> bool {
    let (usual, port) = match flow.transport {
        Transport::Tls => ("tls", 5061),
        Transport::Tcp => ("tcp", 5060),
        _ => ("udp", 5060),
    };
    address(uri.host) == Some(flow.remote.ip().to_canonical())
        && uri.port.unwrap_or(port) == flow.remote.port()
        && uri.transport().is_none_or(|transport| transport.eq_ignore_ascii_case(usual))
}

/// Whether a request came from a side of the dialog, which may have opened another connection since.
pub(crate) fn is_from(came: &Flow, own: &Flow) -> bool {
    let is_host = own.remote.ip().to_canonical() == came.remote.ip().to_canonical();
    is_host && (came.transport.is_stream() || own.remote.port() == came.remote.port())
}

/// The address that a host is written as.
pub(crate) fn address(host: &str) -> Option<IpAddr> {
    host.trim_matches(['[', ']']).parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}
