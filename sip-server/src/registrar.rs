//! Registrar — RFC 3261 §10.3 (steps 1 to 8), RFC 5626 §6 (outbound), RFC 5627 §5.1 (GRUU), RFC 3327 (Path), RFC 3608.
//!
//! In    a REGISTER, and who proved to have sent it.
//! Out   200 with everything that is bound, once the change is durable; facts about what is bound and what is not.
//! State bindings, in the store.
//! Errors 403 for somebody else's AOR and for a registration by a third party, 439 for outbound through a proxy that lacks
//! it, 404 for a domain that is not ours, 400 for what cannot be read, 420 for an
//! extension that is required and not here, 423 below the shortest interval, 500 out of order, 503 without a store.
//! Not here: push.

use shared_auth::Identity;
use shared_model::{Aor, BindingEvent, Spec};
use shared_runtime::unix_millis;
use shared_store::{Binding, BindingUpdate, StoreError};
use sip_core::header::{Name, NameAddr};
use sip_core::{Message, Uri};
use sip_endpoint::{Flow, Transport};

use crate::flow_token;
use crate::gruu::Gruus;
use crate::server::Server;

/// RFC 3327.
pub(crate) const PATH: Spec = Spec::rfc(3327).complete();
/// RFC 3608.
pub(crate) const SERVICE_ROUTE: Spec = Spec::rfc(3608).note("one route, as configured");
/// RFC 3840.
pub(crate) const CAPABILITIES: Spec =
    Spec::rfc(3840).note("kept with the contact and told again; not searched by");
/// RFC 5626.
pub(crate) const OUTBOUND: Spec =
    Spec::rfc(5626).note("registrar, authoritative proxy, keepalives; edge only as the first hop itself");
/// RFC 5627.
pub(crate) const GRUU: Spec = Spec::rfc(5627).note("public and temporary; no reg events of them");

/// Carries out a REGISTER.
pub(crate) async fn register(
    server: &Server,
    request: &Message,
    flow: &Flow,
    identity: &Identity,
) -> Message {
    update(server, request, flow, identity).await.unwrap_or_else(|refusal| *refusal)
}

async fn update(
    server: &Server,
    request: &Message,
    flow: &Flow,
    identity: &Identity,
) -> Result<Message, Box<Message>> {
    let refuse = |status, reason: &str| Box::new(Message::response(request, status, reason));
    refuse_unknown_extensions(request)?;
    let aor = address_of_record(request).ok_or_else(|| refuse(400, "Bad To"))?;
    if aor != identity.aor {
        return Err(refuse(403, "Not Your Address Of Record"));
    }
    if address_in(request, Name::From).is_none_or(|from| from != aor) {
        return Err(refuse(403, "No Registration By Third Parties"));
    }
    let now = unix_millis();
    let current =
        server.store.bindings.by_aor(&aor, now).await.map_err(|error| Box::new(failure(request, &error)))?;
    let contacts: Vec<&str> = request.elements(Name::Contact).collect();
    let outbound = outbound(request).map_err(|status| refuse(status, ""))?;
    let mut change = BindingUpdate {
        call_id: request.call_id().to_owned(),
        cseq: request.cseq().map_or(0, |(number, _)| number),
        limit: server.config.contacts,
        ..BindingUpdate::default()
    };
    if contacts.contains(&"*") {
        if contacts.len() > 1 || request.value(Name::Expires).map(str::trim) != Some("0") {
            return Err(refuse(400, "Contact * Needs Expires 0 And No Other Contact"));
        }
        change.remove_all = true;
    }
    for contact in contacts.into_iter().filter(|contact| *contact != "*") {
        let contact = NameAddr::parse(contact).ok_or_else(|| refuse(400, "Bad Contact"))?;
        let mut binding = read(server, request, flow, identity, &contact, outbound)?;
        // §10.3, step 7: contacts compare as URIs, so that an equal one in other words is the same binding.
        if binding.instance.is_empty()
            && let Some(same) =
                current.iter().find(|old| old.instance.is_empty() && is_same(&old.contact, contact.uri))
        {
            binding.key.clone_from(&same.key);
        }
        match lifetime(server, request, &contact)? {
            0 => change.remove.push(binding.key),
            seconds => {
                binding.expires = now + seconds * 1_000;
                change.set.push(binding);
            }
        }
    }
    if change.set.len() > 1 && change.set.iter().any(|binding| binding.reg_id.is_some()) {
        // RFC 5626 §6: one REGISTER registers one flow.
        return Err(refuse(400, "More Than One Contact With reg-id"));
    }
    let is_change = change.remove_all || !change.set.is_empty() || !change.remove.is_empty();
    let bindings = if is_change {
        let committed = server
            .store
            .bindings
            .commit(&aor, &change, now)
            .await
            .map_err(|error| Box::new(failure(request, &error)))?;
        tell(server, request, &change.set, &committed.removed, now);
        if !change.set.is_empty() {
            server.awaited.tell(&aor);
        }
        committed.bindings
    } else {
        current
    };
    server.metrics.registrations.inc();
    Ok(success(server, request, &bindings, outbound, now))
}

fn refuse_unknown_extensions(request: &Message) -> Result<(), Box<Message>> {
    let unknown: Vec<&str> = request.elements(Name::Require).filter(|option| !is_known(option)).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let mut response = Message::response(request, 420, "");
    response.push(Name::Unsupported, &unknown.join(", "));
    Err(Box::new(response))
}

fn is_known(option: &str) -> bool {
    EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(option))
}

fn supports(request: &Message, option: &str) -> bool {
    request.elements(Name::Supported).any(|known| known.eq_ignore_ascii_case(option))
}

/// The AOR that To names (§10.3, step 5).
pub(crate) fn address_of_record(request: &Message) -> Option<Aor> {
    address_in(request, Name::To)
}

fn address_in(request: &Message, name: Name) -> Option<Aor> {
    let address = NameAddr::parse(request.value(name)?)?;
    let uri = Uri::parse(address.uri).filter(Uri::is_sip)?;
    Aor::new(&uri.user_unescaped(), uri.host).ok()
}

/// Whether RFC 5626 §6 applies to a REGISTER: its first hop, we or an edge proxy, keeps the flow; the status that
/// refuses it otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outbound {
    /// It applies, and the client knows it.
    Used,
    /// reg-id is stored, for the client may know it without saying so; or it is ignored with the flow.
    Unsaid,
    /// reg-id is ignored.
    Ignored,
}

fn outbound(request: &Message) -> Result<Outbound, u16> {
    let has_reg_id = request
        .elements(Name::Contact)
        .filter_map(NameAddr::parse)
        .any(|contact| contact.params.has("reg-id") && contact.params.has("+sip.instance"));
    let is_first_hop = request.elements(Name::Via).count() == 1;
    let is_kept_by_edge = request
        .elements(Name::Path)
        .last()
        .and_then(NameAddr::parse)
        .and_then(|edge| Uri::parse(edge.uri))
        .is_some_and(|edge| edge.params.has("ob"));
    let is_said = supports(request, "outbound");
    match (has_reg_id, is_first_hop || is_kept_by_edge, is_said) {
        (true, true, true) => Ok(Outbound::Used),
        (true, false, true) => Err(439),
        (true, true, false) => Ok(Outbound::Unsaid),
        _ => Ok(Outbound::Ignored),
    }
}

fn read(
    server: &Server,
    request: &Message,
    flow: &Flow,
    identity: &Identity,
    contact: &NameAddr<'_>,
    outbound: Outbound,
) -> Result<Binding, Box<Message>> {
    let refuse = |reason| Box::new(Message::response(request, 400, reason));
    let Some(uri) = Uri::parse(contact.uri).filter(Uri::is_sip) else {
        return Err(refuse("Contact Is Not A SIP URI"));
    };
    let is_aor = uri.headers.is_empty() && uri.user_unescaped() == identity.aor.local();
    if uri.host.eq_ignore_ascii_case(&server.domain) && (uri.params.has("gr") || is_aor) {
        // RFC 5627 §5.1: a contact that is the AOR, or a GRUU of it, would lead back here. With headers it is another
        // URI (RFC 3261 §19.1.4), which RFC 4475 §3.3.14 wants bound.
        return Err(Box::new(Message::response(request, 403, "Contact Leads Back Here")));
    }
    let instance = contact.params.value("+sip.instance").unwrap_or_default().to_owned();
    let reg_id = match contact.params.value("reg-id").map(str::parse) {
        None => None,
        // RFC 5626 §11.1: neither 0 nor beyond 31 bits; §6: none without an instance.
        Some(Ok(id @ 1..0x8000_0000)) => Some(id).filter(|_| outbound != Outbound::Ignored),
        Some(_) => return Err(refuse("Bad reg-id")),
    };
    let key = match (instance.as_str(), reg_id) {
        ("", _) => contact.uri.to_owned(),
        (instance, reg_id) => format!("{instance} {}", reg_id.unwrap_or(0)),
    };
    let parameters: Vec<String> = contact
        .params
        .iter()
        .filter(|(name, _)| {
            !["expires", "q", "pub-gruu", "temp-gruu"].iter().any(|ours| name.eq_ignore_ascii_case(ours))
        })
        .map(|(name, value)| value.map_or(name.to_owned(), |value| format!("{name}=\"{value}\"")))
        .collect();
    Ok(Binding {
        account: identity.account,
        aor: identity.aor.clone(),
        key,
        contact: contact.uri.to_owned(),
        instance,
        reg_id,
        parameters: parameters.join(";"),
        path: request.elements(Name::Path).map(str::to_owned).collect(),
        flow: flow_token::name(&way_to(server, request, flow, &uri, reg_id)),
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
    })
}

/// How a contact is reached from here. The flow that its REGISTER came by, if a NAT is in between or the client keeps the
/// flow (RFC 5626); otherwise, over UDP, the address that the contact names (RFC 3261 §16.6, item 7), or its Path does.
fn way_to(server: &Server, request: &Message, flow: &Flow, contact: &Uri<'_>, reg_id: Option<u32>) -> Flow {
    let source = flow.remote.ip().to_canonical();
    let path = request.elements(Name::Path).next().and_then(NameAddr::parse);
    let path = path.and_then(|path| Uri::parse(path.uri));
    let target = path.as_ref().unwrap_or(contact);
    let is_direct = request.top_via().is_some_and(|via| {
        via.port.unwrap_or(5060) == flow.remote.port() && address_of(via.host) == Some(source)
    });
    let is_udp = flow.transport == Transport::Udp
        && !target.is_sips()
        && target.transport().is_none_or(|transport| transport.eq_ignore_ascii_case("udp"));
    if !is_udp || !is_direct || reg_id.is_some() || address_of(target.host) != Some(source) {
        return *flow;
    }
    let remote = std::net::SocketAddr::new(flow.remote.ip(), target.port.unwrap_or(5060));
    server.endpoint().flow(Transport::Udp, flow.id, remote).unwrap_or(*flow)
}

fn address_of(host: &str) -> Option<std::net::IpAddr> {
    host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().ok().map(|ip| ip.to_canonical())
}

/// q in thousandths; 1.0 when it is not given (§10.2.1.2).
fn preference(contact: &NameAddr<'_>) -> Option<u16> {
    let Some(q) = contact.params.value("q") else { return Some(1_000) };
    let q: f32 = q.parse().ok().filter(|q| (0.0..=1.0).contains(q))?;
    Some((q * 1_000.0).round() as u16)
}

/// How many seconds a contact asks for, within our bounds; 0 removes it (§10.3, step 7).
fn lifetime(server: &Server, request: &Message, contact: &NameAddr<'_>) -> Result<i64, Box<Message>> {
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

fn success(
    server: &Server,
    request: &Message,
    bindings: &[Binding],
    outbound: Outbound,
    now: i64,
) -> Message {
    let wants_gruu = supports(request, "gruu");
    let mut response = Message::response(request, 200, "");
    for binding in bindings {
        let left = ((binding.expires - now) / 1_000).max(1);
        let mut contact = format!("<{}>;expires={left}", binding.contact);
        if binding.q < 1_000 {
            contact.push_str(&format!(";q={:.3}", f32::from(binding.q) / 1_000.0));
        }
        if !binding.parameters.is_empty() {
            contact.push(';');
            contact.push_str(&binding.parameters);
        }
        if wants_gruu && !binding.instance.is_empty() {
            contact.push_str(&gruus(server, binding));
        }
        response.push(Name::Contact, &contact);
    }
    let path: Vec<&str> = request.elements(Name::Path).collect();
    if !path.is_empty() {
        response.push(Name::Path, &path.join(", "));
    }
    if let Some(route) = server.config.service_route.as_deref() {
        // RFC 3608 §6.3: where the client sends what it asks of us from now on.
        response.push_other("Service-Route", &format!("<{route}>"));
    }
    if outbound == Outbound::Used {
        response.push(Name::Require, "outbound");
        response.push_other("Flow-Timer", &FLOW_TIMER.to_string());
    }
    response.push(Name::Supported, &EXTENSIONS.join(", "));
    response
}

/// Both GRUUs of a binding, as parameters of its contact.
fn gruus(server: &Server, binding: &Binding) -> String {
    let mut nonce = [0; 12];
    nonce[..8].copy_from_slice(&shared_runtime::random().to_be_bytes());
    nonce[8..].copy_from_slice(&shared_runtime::random().to_be_bytes()[..4]);
    let public = Gruus::public(&binding.aor, &binding.instance);
    let temporary = server.gruus.temporary(binding, nonce);
    let temporary = temporary.map_or(String::new(), |gruu| format!(";temp-gruu=\"{gruu}\""));
    format!(";pub-gruu=\"{public}\"{temporary}")
}

fn tell(server: &Server, request: &Message, bound: &[Binding], removed: &[Binding], now: i64) {
    for binding in bound {
        let expires_seconds = u32::try_from((binding.expires - now) / 1_000).unwrap_or(0);
        let (account, aor, contact) = (binding.account, binding.aor.clone(), binding.contact.clone());
        server
            .facts
            .binding(request.call_id(), BindingEvent::Bound { account, aor, contact, expires_seconds });
    }
    for binding in removed {
        tell_unbound(server, binding);
    }
}

/// Says that a binding is gone.
pub(crate) fn tell_unbound(server: &Server, binding: &Binding) {
    let (account, aor, contact) = (binding.account, binding.aor.clone(), binding.contact.clone());
    server.facts.binding(&binding.call_id, BindingEvent::Unbound { account, aor, contact });
}

fn failure(request: &Message, error: &StoreError) -> Message {
    match error {
        StoreError::OutOfOrder => Message::response(request, 500, "CSeq Out Of Order"),
        StoreError::TooMany(_) => Message::response(request, 403, "Too Many Contacts"),
        other => {
            tracing::error!(error = %other, "a registration could not be stored");
            let mut response = Message::response(request, 503, "");
            response.push(Name::RetryAfter, "5");
            response
        }
    }
}

fn is_same(one: &str, other: &str) -> bool {
    one == other || Uri::parse(one).zip(Uri::parse(other)).is_some_and(|(one, other)| one.is_same(&other))
}

/// What Require may ask for, and Supported tells.
const EXTENSIONS: [&str; 3] = ["path", "outbound", "gruu"];
/// Seconds within which a client shows that its flow is alive (RFC 5626 §4.4): less than any NAT forgets.
const FLOW_TIMER: u32 = 25;
/// Seconds, for an Expires that cannot be read.
const DEFAULT_EXPIRES: i64 = 3_600;
/// Characters of a User-Agent that are kept.
const LONGEST_USER_AGENT: usize = 200;
