//! Registrar — RFC 3261 §10.3 (steps 1 to 8), RFC 5626 §6 (outbound), RFC 5627 §5.1 (GRUU), RFC 3327 (Path), RFC 3608.
//!
//! In    a REGISTER, and who proved to have sent it.
//! Out   200 with everything that is bound, once the change is durable; facts about what is bound and what is not.
//! State bindings, in the store.
//! Errors 403 for somebody else's AOR, for a registration by a third party, and for a contact that is somebody else's or elsewhere, 439 for outbound through a proxy that lacks
//! it, 404 for a domain that is not ours, 400 for what cannot be read, 420 for an
//! extension that is required and not here, 423 below the shortest interval, 555 for a push service that is not known, 500 out of order, 503 without a store.
//! Not here: what becomes of pushes ([`crate::push`]).

mod answer;
mod contact;
mod outbound;

use std::time::{Duration, Instant};

use shared_auth::Identity;
use shared_model::{Aor, BindingChange, BindingEvent, ProtectedEvent, Protection, Proved, Spec, UnboundWhy};
use shared_runtime::unix_millis;
use shared_store::{Binding, BindingUpdate, is_protected};
use sip_core::header::{Name, NameAddr};
use sip_core::{Message, Uri};
use sip_endpoint::Flow;

use crate::push::{Offer, without_push};
use crate::server::Server;
use crate::suspension;

/// RFC 3327.
pub(crate) const PATH: Spec = Spec::rfc(3327).complete();
/// RFC 3608.
pub(crate) const SERVICE_ROUTE: Spec = Spec::rfc(3608).note("one route, as configured");
/// RFC 3840.
pub(crate) const CAPABILITIES: Spec =
    Spec::rfc(3840).note("kept with the contact, told again, and searched by (RFC 3841)");
/// RFC 5626.
pub(crate) const OUTBOUND: Spec =
    Spec::rfc(5626).note("registrar, authoritative proxy, keepalives; edge only as the first hop itself");
/// RFC 5627.
pub(crate) const GRUU: Spec = Spec::rfc(5627).note("public and temporary");

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
    let aor = address_in(server, request, Name::To).ok_or_else(|| refuse(400, "Bad To"))?;
    if !server.domains.has(aor.domain()) {
        return Err(refuse(404, "Domain Not Served"));
    }
    if aor != identity.aor {
        return Err(refuse(403, "Not Your Address Of Record"));
    }
    if address_in(server, request, Name::From).is_none_or(|from| from != aor) {
        return Err(refuse(403, "No Registration By Third Parties"));
    }
    let now = unix_millis();
    let current = server
        .store
        .bindings
        .by_aor(&aor, now)
        .await
        .map_err(|error| Box::new(answer::failure(request, &error)))?;
    let contacts: Vec<&str> = request.elements(Name::Contact).collect();
    let outbound = outbound::used(request).map_err(|status| refuse(status, ""))?;
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
    if contacts.len() > 2 * server.config.contacts {
        // As many as may be taken away and put in their place: each is looked at, and may be looked up.
        return Err(refuse(403, "Too Many Contacts"));
    }
    let mut offers = Vec::new();
    for contact in contacts.into_iter().filter(|contact| *contact != "*") {
        let contact = NameAddr::parse(contact).ok_or_else(|| refuse(400, "Bad Contact"))?;
        let seconds = contact::lifetime(server, request, &contact)?;
        let wanted = (outbound, seconds > 0);
        let mut binding = contact::read(server, request, flow, identity, &contact, wanted).await?;
        // §10.3, step 7: contacts compare as URIs, so that an equal one in other words is the same binding. Who removes one
        // need not say of which instance it was.
        let may_be = |old: &&Binding| old.instance.is_empty() || seconds == 0;
        if binding.instance.is_empty()
            && let Some(same) =
                current.iter().filter(may_be).find(|old| contact::is_same(&old.contact, contact.uri))
        {
            binding.key.clone_from(&same.key);
        }
        // One device that says now, or says no more, which instance it is: the same contact at the same place.
        let is_other_name = |old: &&Binding| {
            old.reg_id.is_none()
                && binding.reg_id.is_none()
                && old.instance.is_empty() != binding.instance.is_empty()
                && old.key != binding.key
                && old.flow == binding.flow
                && contact::is_same(&old.contact, contact.uri)
        };
        change.remove.extend(current.iter().filter(is_other_name).map(|old| old.key.clone()));
        if let Some((push, uri)) = server.push.as_ref().zip(Uri::parse(contact.uri)) {
            offers.extend(Offer::judge(push, request, &contact, &uri, seconds)?);
        }
        match seconds {
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
        if !change.set.is_empty() {
            server.suspension.bind(flow, &aor);
        }
        let committed = server
            .store
            .bindings
            .commit(&aor, &change, now)
            .await
            .map_err(|error| Box::new(answer::failure(request, &error)))?;
        tell(server, request, (&current, &change.set), &committed.removed, now);
        tell_protection(server, request, (flow, identity.how.proved()), &change.set);
        server.awaited.tell(&aor);
        if let Some(longest) =
            change.set.iter().filter(|bound| bound.path.is_empty()).map(|bound| bound.expires).max()
        {
            let lifetime = Duration::from_millis(u64::try_from(longest - now).unwrap_or(0));
            server.tenants.bind(flow, &aor, lifetime, Instant::now());
        }
        if !change.set.is_empty() {
            suspension::check(server, flow).await;
        }
        committed.bindings
    } else {
        current
    };
    server.metrics.registrations.inc();
    let mut response = answer::success(server, request, &bindings, outbound, now);
    if let Some(push) = &server.push {
        offers.iter().for_each(|offer| offer.tell(server, push, &bindings, &mut response));
    }
    Ok(response)
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

/// The address in To or From; an address of this machine stands for our main domain, as phones without a name server write it.
fn address_in(server: &Server, request: &Message, name: Name) -> Option<Aor> {
    let address = NameAddr::parse(request.value(name)?)?;
    let uri = Uri::parse(address.uri).filter(Uri::is_sip)?;
    let host = if server.is_our_host(&uri) { server.domain_of(&uri) } else { uri.host };
    Aor::new(&uri.user_unescaped(), host).ok()
}

fn tell(
    server: &Server,
    request: &Message,
    (before, bound): (&[Binding], &[Binding]),
    removed: &[Binding],
    now: i64,
) {
    for binding in bound {
        let change = match before.iter().find(|old| old.key == binding.key) {
            None => BindingChange::Made,
            Some(old) if old.contact == binding.contact && old.flow == binding.flow => {
                BindingChange::Refreshed
            }
            Some(_) => BindingChange::Moved,
        };
        let expires_seconds = u32::try_from((binding.expires - now) / 1_000).unwrap_or(0);
        let (account, aor, contact) = (binding.account, binding.aor.clone(), without_push(&binding.contact));
        server.facts.binding(
            request.call_id(),
            BindingEvent::Bound { account, aor, contact, expires_seconds, change },
        );
    }
    for binding in removed {
        tell_unbound(server, binding);
    }
}

/// Says what protects the connection that contacts were bound by, and what proved whose they are.
fn tell_protection(server: &Server, request: &Message, (flow, proved): (&Flow, Proved), bound: &[Binding]) {
    let agreed = server.endpoint().protection(flow);
    let protection = agreed.map(|(version, suite)| Protection { version, suite });
    for binding in bound {
        let (account, key) = (binding.account, binding.key.clone());
        let is_open = protection.is_none() && !is_protected(&binding.contact);
        let event = ProtectedEvent::Phone { account, key, protection, is_open, proved };
        server.facts.protected(request.call_id(), event);
    }
}

/// Says that a binding is gone.
pub(crate) fn tell_unbound(server: &Server, binding: &Binding) {
    let (account, aor, contact) = (binding.account, binding.aor.clone(), without_push(&binding.contact));
    let why = if binding.expires <= unix_millis() { UnboundWhy::Expired } else { UnboundWhy::Removed };
    server.facts.binding(&binding.call_id, BindingEvent::Unbound { account, aor, contact, why });
    let key = binding.key.clone();
    server.facts.protected(&binding.call_id, ProtectedEvent::PhoneGone { account, key });
}

/// What Require may ask for, and Supported tells.
const EXTENSIONS: [&str; 4] = ["path", "outbound", "gruu", "pref"];
