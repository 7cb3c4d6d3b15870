//! Who sent a request — RFC 3261 §22.3, RFC 3325 §5, RFC 7081 §3.5: what is told of a caller is proved first.
//!
//! In    a request from outside a dialog, and what it came over.
//! Out   a proved identity; whom of ours a trusted peer asserts; nobody, for other domains' users who claim nothing of ours. Who gives no name is asked if a device of ours
//!       registered from where they call, or they prefer an address of ours.
//! Errors 400 for a From that cannot be read; 407 for whom a proof is asked; 403 for a From that is not the proved account's, whatever its domain.

use std::sync::Arc;
use std::time::Instant;

use shared_auth::{AccountCard, Identity, Origin};
use shared_model::{AccountId, Aor, BareJid, Protocol, idn};
use sip_core::header::{AuthParams, Name, NameAddr};
use sip_core::{Message, Uri};
use sip_endpoint::{Flow, Transport};

use crate::authenticate::{Asker, Door, prove};
use crate::destination;
use crate::numbers::Dialled;
use crate::routing::unavailable;
use crate::server::Server;
use crate::trust::{self, is_trusted_peer};

/// Who sent it: proved for users of our domains, nobody for others; our own endpoints are believed.
pub(crate) async fn who(
    server: &Server,
    request: &Message,
    flow: &Flow,
) -> Result<Option<Identity>, Box<Message>> {
    if flow.transport == Transport::InProcess {
        return Ok(None);
    }
    let Some(from) = sender(request) else {
        // A phone shows what it makes of it, which may be a name of ours. A call for help passes.
        let passes = is_trusted_peer(server, flow) || server.is_emergency(request);
        return if passes { Ok(None) } else { Err(Box::new(Message::response(request, 400, "Bad From"))) };
    };
    let is_asked = claims_ours(server, Some(&from))
        || request.value(Name::ProxyAuthorization).is_some()
        || (is_nameless(request) && (prefers_ours(server, request) || tenant(server, flow).is_some()));
    if !is_asked {
        return Ok(None);
    }
    let identity = prove_as(server, request, flow, Asker::Proxy).await?;
    match is_own(server, &from, &identity).await {
        true => Ok(Some(identity)),
        false => Err(Box::new(Message::response(request, 403, "From Is Not Yours"))),
    }
}

/// Whether a request does not say who sent it, nor prove it: From names nobody (RFC 3323 §4.1.1.3), and there are no credentials.
pub(crate) fn is_nameless(request: &Message) -> bool {
    request.value(Name::ProxyAuthorization).is_none()
        && sender(request).as_ref().is_some_and(sip_core::privacy::is_nobody)
}

/// Whether a caller wants to be known by an address of ours.
fn prefers_ours(server: &Server, request: &Message) -> bool {
    let wish = request.elements(Name::PPreferredIdentity).next().and_then(NameAddr::parse);
    wish.and_then(|wish| Uri::parse(wish.uri)).is_some_and(|wish| server.is_our_host(&wish))
}

/// Whose device a request came from, if one registered from there.
fn tenant(server: &Server, flow: &Flow) -> Option<Aor> {
    server.tenants.at(flow, Instant::now())
}

/// Whether a request comes without the proof that it will be asked for.
pub(crate) fn is_unproved(server: &Server, request: &Message, flow: &Flow) -> bool {
    let is_proved_by_wire = || server.endpoint().client_certificate(flow).is_some();
    if flow.transport == Transport::InProcess || request.is_in_dialog() || is_proved_by_wire() {
        return false;
    }
    match request.method() {
        "ACK" | "CANCEL" => false,
        "REGISTER" => request.value(Name::Authorization).is_none(),
        _ => {
            request.value(Name::ProxyAuthorization).is_none()
                && claims_ours(server, sender(request).as_ref())
                && server.trunks.source(flow, server.endpoint()).is_none()
        }
    }
}

fn sender(request: &Message) -> Option<Uri<'_>> {
    let from = NameAddr::parse(request.value(Name::From).unwrap_or_default())?;
    Uri::parse(from.uri)
}

/// The address that a request says it is from, as the chat half has addresses; it proves nothing.
pub(crate) fn claimed(request: &Message) -> Option<BareJid> {
    let from = sender(request)?;
    BareJid::new(&from.user_unescaped(), from.host).ok()
}

fn claims_ours(server: &Server, from: Option<&Uri<'_>>) -> bool {
    from.is_some_and(|from| server.is_our_host(from) || is_of_ours(server, from))
}

/// Whether an address is of a domain of ours, or of a service of one, in whatever scheme: a phone shows `xmpp:alice@example.org` as it
/// shows her AOR.
pub(crate) fn is_of_ours(server: &Server, address: &Uri<'_>) -> bool {
    let other = sip_core::uri::unescape(address.opaque);
    let other = other.rsplit_once('@').and_then(|(_, rest)| rest.split(['/', '?', ';']).next());
    let mut hosts = std::iter::once(address.host).chain(other);
    hosts.any(|host| server.domains.has(host) || server.hosted(host).is_some() || server.services.has(host))
}

/// The address that a caller prefers to be known by (RFC 3325 §9.2), as it stands in P-Asserted-Identity, if it is one of
/// its own.
pub(crate) async fn preferred(server: &Server, request: &Message, caller: &Identity) -> Option<String> {
    let wish = NameAddr::parse(request.elements(Name::PPreferredIdentity).next()?)?;
    let uri = Uri::parse(wish.uri).filter(|uri| !sip_core::privacy::is_nobody(uri))?;
    is_own(server, &uri, caller).await.then(|| format!("<{}>", wish.uri))
}

/// Whether a From is the account's own: its AOR, one of its numbers, or nobody's.
async fn is_own(server: &Server, from: &Uri<'_>, identity: &Identity) -> bool {
    if sip_core::privacy::is_nobody(from) {
        return true;
    }
    let user = from.user_unescaped();
    if !from.is_tel() && !server.is_our_host(from) {
        return false;
    }
    // An address of this machine stands for whatever domain they are of; a domain of ours stands for itself alone.
    let domain = server.domains.find(from.host).unwrap_or(identity.aor.domain());
    if Aor::new(&user, domain).is_ok_and(|aor| aor == identity.aor) {
        return true;
    }
    let Dialled::Number(number) = server.plan.read(from) else { return false };
    // A store that does not answer proves nothing.
    let owner = server.auth.directory.by_number(&number).await.ok().flatten();
    owner.is_some_and(|owner| owner.account == identity.account)
}

/// Whom of ours a trusted peer asserts to have sent a request, which counts as if we had asked them ourselves (RFC 3325 §5): a call of theirs
/// may come back to us by another proxy. It says whom they may reach here; what is at their expense takes a proof.
pub(crate) async fn asserted(server: &Server, request: &Message, flow: &Flow) -> Option<AccountCard> {
    let is_proven = request.value(Name::ProxyAuthorization).is_some();
    if is_proven || !matches!(request.method(), "INVITE" | "MESSAGE") || !is_trusted_peer(server, flow) {
        return None;
    }
    let card = account_of(server, &trust::asserted(request)?).await?;
    let from = sender(request)?;
    let is_theirs = sip_core::privacy::is_nobody(&from)
        || account_of(server, &from).await.is_some_and(|it| it.account == card.account);
    (is_theirs && card.enabled).then_some(card)
}

/// The account of ours that a URI names. A store that does not answer knows nobody.
async fn account_of(server: &Server, uri: &Uri<'_>) -> Option<AccountCard> {
    match uri.is_tel() || server.is_our_host(uri) {
        true => destination::account_of(server, uri).await.ok().flatten(),
        false => None,
    }
}

/// For whom an endpoint of ours calls: it asserts them as a member of our trust domain (RFC 3325 §5), and nobody outside of this
/// process is believed so.
pub(crate) async fn asker(
    server: &Server,
    request: &Message,
    flow: &Flow,
) -> Result<Option<AccountCard>, Box<Message>> {
    if flow.transport != Transport::InProcess || request.method() != "INVITE" {
        return Ok(None);
    }
    let asserted = request.elements(Name::PAssertedIdentity).next().and_then(NameAddr::parse);
    let aor = asserted.and_then(|asserted| Uri::parse(asserted.uri)).filter(Uri::is_sip);
    let Some(Ok(aor)) = aor.map(|uri| Aor::new(&uri.user_unescaped(), uri.host)) else { return Ok(None) };
    match server.auth.directory.by_aor(&aor).await {
        Ok(card) => Ok(card.filter(|card| card.enabled)),
        Err(error) => {
            tracing::error!(%error, "for whom a call is made cannot be read");
            Err(unavailable(request))
        }
    }
}

/// The number of an account that calls: the one that they wrote in From, or else the first of theirs.
pub(crate) async fn number(server: &Server, request: &Message, caller: AccountId) -> Option<String> {
    // A store that does not answer costs the number alone.
    let card = server.auth.directory.by_id(caller).await.ok().flatten()?;
    let from = NameAddr::parse(request.value(Name::From)?).and_then(|from| Uri::parse(from.uri));
    let written = match from.map(|from| server.plan.read(&from)) {
        Some(Dialled::Number(number)) => Some(number),
        _ => None,
    };
    written.filter(|number| card.numbers.contains(number)).or_else(|| card.numbers.first().cloned())
}

/// The realm in which a caller proves themselves: the domain that they say they are of, whose verifiers an account has.
fn realm_of<'a>(server: &'a Server, request: &Message, flow: &Flow) -> &'a str {
    let named = |uri: Option<Uri<'_>>| uri.and_then(|uri| server.domains.find(uri.host));
    let preferred = || {
        let wish = NameAddr::parse(request.elements(Name::PPreferredIdentity).next()?)?;
        named(Uri::parse(wish.uri))
    };
    let shown = || {
        let credentials = request.values(Name::ProxyAuthorization).filter_map(AuthParams::parse);
        credentials.filter_map(|auth| server.domains.find(&auth.value("realm")?)).next()
    };
    // Who calls without a name, or by number, says by their credentials or their wish where they are known.
    let bound = || tenant(server, flow).and_then(|aor| server.domains.find(aor.domain()));
    named(sender(request)).or_else(preferred).or_else(shown).or_else(bound).unwrap_or(server.domains.main())
}

/// Proves who sent a request, or says how to answer it.
pub(crate) async fn prove_as(
    server: &Server,
    request: &Message,
    flow: &Flow,
    asker: Asker,
) -> Result<Identity, Box<Message>> {
    let door = Door {
        authenticator: &server.auth.authenticator,
        realm: &idn::to_ascii(realm_of(server, request, flow)),
        certificate: server.endpoint().client_certificate(flow),
        challenges: server.config.challenge_policy(),
        is_urgent: server.is_emergency(request),
        is_us: &|uri| server.is_our_host(uri),
    };
    if server.is_tls_required && !flow.is_private() {
        tell_unencrypted(server, request, flow, door.realm);
        return Err(Box::new(Message::response(request, 403, "TLS Required")));
    }
    let identity = prove(&door, request, flow, asker).await?;
    server.endpoint().mark_trusted(flow);
    Ok(identity)
}

/// Tells of somebody of ours who may not show a password there. Beside the answer, whose time would say who is of ours; and of few, for
/// where a datagram came from, and whose name it has, is anybody's word.
fn tell_unencrypted(server: &Server, request: &Message, flow: &Flow, realm: &str) {
    let from = sender(request).filter(|from| claims_ours(server, Some(from)));
    if let Some(from) = from.filter(|_| server.guard.tells(Instant::now())) {
        let (name, realm) = (from.user_unescaped().into_owned(), realm.to_owned());
        let authenticator = Arc::clone(&server.auth.authenticator);
        let origin = Origin::new(Protocol::Sip, flow.remote.ip().to_canonical());
        server.shutdown.spawn(async move { authenticator.refuse_unencrypted(&name, &realm, origin).await });
    }
}
