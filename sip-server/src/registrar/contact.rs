//! One Contact of a REGISTER — RFC 3261 §10.3 steps 6 and 7: what is bound, how it is reached, for how long.

use std::net::SocketAddr;
use std::time::Duration;

use shared_auth::Identity;
use shared_runtime::unix_millis;
use shared_store::Binding;
use sip_core::header::{Name, NameAddr};
use sip_core::{Message, Uri};
use sip_endpoint::{Flow, Transport};
use tokio::time::timeout;

use super::outbound::Outbound;
use crate::destination;
use crate::flow_token;
use crate::in_dialog::address;
use crate::server::Server;

/// The binding that a contact makes, but for its end; `is_kept` says that it is not to be removed.
pub(super) async fn read(
    server: &Server,
    request: &Message,
    flow: &Flow,
    identity: &Identity,
    contact: &NameAddr<'_>,
    (outbound, is_kept): (Outbound, bool),
) -> Result<Binding, Box<Message>> {
    let refuse = |reason| Box::new(Message::response(request, 400, reason));
    let Some(uri) = Uri::parse(contact.uri).filter(Uri::is_sip) else {
        return Err(refuse("Contact Is Not A SIP URI"));
    };
    let is_aor = uri.headers.is_empty() && uri.user_unescaped() == identity.aor.local();
    let is_here = server.endpoint().is_own(uri.host, uri.port);
    if is_here || server.domains.has(uri.host) && (uri.params.has("gr") || is_aor) {
        // RFC 5627 §5.1: a contact that is the AOR, or a GRUU of it, would lead back here. With headers it is another
        // URI (RFC 3261 §19.1.4), which RFC 4475 §3.3.14 wants bound.
        return Err(Box::new(Message::response(request, 403, "Contact Leads Back Here")));
    }
    if uri.is_sips() && matches!(flow.transport, Transport::Udp | Transport::Tcp | Transport::Ws) {
        // RFC 5630 §5.3: what would have to be reached by TLS came without.
        return Err(refuse("SIPS Contact Without TLS"));
    }
    let instance = contact.params.value("+sip.instance").unwrap_or_default().to_owned();
    let reg_id = match contact.params.value("reg-id").map(str::parse) {
        None => None,
        // RFC 5626 §11.1: neither 0 nor beyond 31 bits; §6: none without an instance.
        Some(Ok(id @ 1..0x8000_0000)) => Some(id).filter(|_| outbound != Outbound::Ignored),
        Some(_) => return Err(refuse("Bad reg-id")),
    };
    if is_kept && reg_id.is_none() && is_somebody_elses(server, &uri, identity).await {
        return Err(Box::new(Message::response(request, 403, "Contact Is Somebody Else's")));
    }
    let way = match is_kept {
        true => way_to(server, request, flow, &uri, reg_id).await,
        false => Ok(*flow),
    };
    let Ok(way) = way else {
        return Err(Box::new(Message::response(request, 403, "Contact Is Elsewhere")));
    };
    let key = match (instance.as_str(), reg_id) {
        ("", _) => contact.uri.to_owned(),
        (instance, reg_id) => format!("{instance} {}", reg_id.unwrap_or(0)),
    };
    let is_theirs = |param: &&str| {
        let name = param.split('=').next().unwrap_or_default().trim();
        !["expires", "q", "pub-gruu", "temp-gruu"].iter().any(|ours| name.eq_ignore_ascii_case(ours))
    };
    let parameters: Vec<&str> = contact.params.raw().filter(is_theirs).collect();
    Ok(Binding {
        account: identity.account,
        aor: identity.aor.clone(),
        key,
        contact: contact.uri.to_owned(),
        instance,
        reg_id,
        parameters: parameters.join(";"),
        path: path(request).ok_or_else(|| refuse("Bad Path"))?,
        flow: flow_token::name(&way),
        received: (flow.transport != Transport::InProcess).then_some(flow.remote),
        call_id: request.call_id().to_owned(),
        cseq: request.cseq().map_or(0, |(number, _)| number),
        q: preference(contact).ok_or_else(|| refuse("Bad q"))?,
        expires: 0,
        node: server.node.clone(),
        user_agent: request
            .value(Name::UserAgent)
            .unwrap_or_default()
            .chars()
            .take(LONGEST_USER_AGENT)
            .collect(),
        updated: unix_millis(),
        by: identity.bound_by(),
        name: contact.display_name().chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect(),
    })
}

/// The Path, topmost first: each hop stands in the Route of what goes there (RFC 3327 §5.3). None if that could not be.
fn path(request: &Message) -> Option<Vec<String>> {
    let is_sip = |hop: &str| {
        let uri = NameAddr::parse(hop).and_then(|hop| Uri::parse(hop.uri));
        uri.is_some_and(|uri| uri.is_sip() && !uri.host.is_empty())
    };
    request.elements(Name::Path).map(|hop| is_sip(hop).then(|| hop.to_owned())).collect()
}

/// Whether a contact is a room or an account of ours. Of another's devices nobody may dispose, and a device that writes our domain for
/// its host is reached by its flow.
async fn is_somebody_elses(server: &Server, contact: &Uri<'_>, identity: &Identity) -> bool {
    if server.hosted(contact.host).is_some() {
        return true;
    }
    // A store that does not answer does not answer the registration either.
    server.domains.has(contact.host)
        && contact.headers.is_empty()
        && matches!(destination::account_of(server, contact).await, Ok(Some(account)) if account.account != identity.account)
}

/// A contact is on another host than its REGISTER came from. Nobody is sent elsewhere by what a device says of itself, and who
/// registered there would be rung in its place.
struct Elsewhere;

/// How a contact is reached from here. The flow that its REGISTER came by, if a NAT is in between or the client keeps the
/// flow (RFC 5626); otherwise, for what came by UDP, the address that the contact names (RFC 3261 §16.6, item 7), or its Path does, by
/// the transport that it names (RFC 3263 §4.1). A name that nobody knows is a device's own.
async fn way_to(
    server: &Server,
    request: &Message,
    flow: &Flow,
    contact: &Uri<'_>,
    reg_id: Option<u32>,
) -> Result<Flow, Elsewhere> {
    let source = flow.remote.ip().to_canonical();
    let path = request.elements(Name::Path).next().and_then(NameAddr::parse);
    let path = path.and_then(|path| Uri::parse(path.uri));
    let target = path.as_ref().unwrap_or(contact);
    let is_direct = request.top_via().is_some_and(|via| {
        via.port.unwrap_or(5060) == flow.remote.port() && address(via.host) == Some(source)
    });
    let named = match target.transport() {
        None => Transport::Udp,
        Some(name) if name.eq_ignore_ascii_case("udp") => Transport::Udp,
        Some(name) if name.eq_ignore_ascii_case("tcp") => Transport::Tcp,
        Some(_) => return Ok(*flow),
    };
    if flow.transport != Transport::Udp || !is_direct || target.is_sips() || reg_id.is_some() {
        return Ok(*flow);
    }
    let (transport, port) = match address(target.host) {
        Some(ip) if ip == source => (named, target.port.unwrap_or(5060)),
        Some(_) => return Ok(*flow),
        None if is_local(target.host) || server.is_our_host(target) => return Ok(*flow),
        None => {
            let found = timeout(PATIENCE, server.endpoint().resolver().targets(target)).await;
            let Ok(Ok(found)) = found else { return Ok(*flow) };
            let there = found.iter().find(|found| found.address.ip().to_canonical() == source);
            match there {
                Some(there) => (there.transport, there.address.port()),
                None if path.is_some() => return Ok(*flow),
                None => return Err(Elsewhere),
            }
        }
    };
    let remote = SocketAddr::new(flow.remote.ip(), port);
    Ok(match transport {
        Transport::Udp => server.endpoint().flow(Transport::Udp, flow.id, remote).unwrap_or(*flow),
        // The connection is opened when somebody calls.
        Transport::Tcp => Flow { transport, id: 0, remote, ..*flow },
        _ => *flow,
    })
}

/// For how long the name of a contact is looked up: a REGISTER is repeated after four seconds at most.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether a name means something only where the device is (RFC 6761 §6.4, RFC 6762 §3).
fn is_local(host: &str) -> bool {
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    last.len() == host.len()
        || ["invalid", "local", "localhost"].iter().any(|known| last.eq_ignore_ascii_case(known))
}

/// q in thousandths; 1.0 when it is not given (§10.2.1.2).
fn preference(contact: &NameAddr<'_>) -> Option<u16> {
    let Some(q) = contact.params.value("q") else { return Some(1_000) };
    let q: f32 = q.parse().ok().filter(|q| (0.0..=1.0).contains(q))?;
    Some((q * 1_000.0).round() as u16)
}

/// How many seconds a contact asks for, within our bounds; 0 removes it (§10.3, step 7).
pub(super) fn lifetime(
    server: &Server,
    request: &Message,
    contact: &NameAddr<'_>,
) -> Result<i64, Box<Message>> {
    let timers = &server.config.timers;
    let (shortest, longest) = (timers.min_expires.as_secs() as i64, timers.max_expires.as_secs() as i64);
    let asked = contact.params.value("expires").or_else(|| request.value(Name::Expires));
    // §20.19: a value that is malformed counts as 3600.
    let asked = asked.map_or(longest, |text| text.trim().parse::<u32>().map_or(DEFAULT_EXPIRES, i64::from));
    if asked > 0 && asked < shortest {
        let mut response = Message::response(request, 423, "");
        response.push(Name::MinExpires, &shortest.to_string());
        return Err(Box::new(response));
    }
    Ok(asked.min(longest))
}

/// Whether two contacts are equal as URIs.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    one == other || Uri::parse(one).zip(Uri::parse(other)).is_some_and(|(one, other)| one.is_same(&other))
}

/// Seconds, for an Expires that cannot be read.
const DEFAULT_EXPIRES: i64 = 3_600;
/// Characters of a display name that are kept.
const LONGEST_NAME: usize = 64;
/// Characters of a User-Agent that are kept.
const LONGEST_USER_AGENT: usize = 200;
