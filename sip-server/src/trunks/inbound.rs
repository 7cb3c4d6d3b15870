//! Calls from a trunk: whom a direct number means — RFC 3261 §8.2.2.1, §10.3 (a contact of ours as Request-URI).
//!
//! In    a request from a trunk. Out branches to an account or a room, as for any stranger: never another trunk's.
//! Errors 404 for numbers of nobody; 403 for a From that is the name of an account or a service of ours, or that cannot be read and has one.
//! A carrier that calls the contact that we registered says in To which number was dialled; one that writes numbers
//! without their plus is understood.

use shared_model::Spec;
use sip_core::header::{Name, NameAddr};
use sip_core::{Message, Uri};
use sip_endpoint::Flow;

use super::trunk::Trunk;
use crate::caller;
use crate::destination::{self, Found, Nowhere};
use crate::numbers::Dialled;
use crate::server::Server;

/// RFC 7315 §4.2, §5.
pub(crate) const CALLED_PARTY: Spec = Spec::rfc(7315).note(
    "P-Called-Party-ID towards the focus: which number of a room a carrier's call came to; it, P-Charging-Vector and P-Access-Network-Info go from trusted peers to trusted peers alone (§5)",
);

/// Finds whom a call from a trunk is for.
pub(crate) async fn find(
    server: &Server,
    request: &Message,
    uri: &Uri<'_>,
    trunk: &Trunk,
) -> Result<Found, Nowhere> {
    if !uri.is_tel() && !server.is_our_host(uri) {
        return destination::find(server, uri, false).await;
    }
    let to = NameAddr::parse(request.value(Name::To).unwrap_or_default());
    let to = to.and_then(|to| Uri::parse(to.uri)).map(|to| to.user_unescaped());
    let (mut found, domain) = (Err(Nowhere::Nobody), server.domain_of(uri));
    for dialled in dialled(&uri.user_unescaped(), to.as_deref(), trunk) {
        found = destination::by_name(server, (dialled, domain), number_of(server, dialled)).await;
        if !matches!(found, Err(Nowhere::Nobody)) {
            break;
        }
    }
    found
}

/// What may say whom the call is for, the best first.
fn dialled<'a>(requested: &'a str, to: Option<&'a str>, trunk: &'a Trunk) -> Vec<&'a str> {
    let config = trunk.config();
    let is_our_contact = requested.is_empty() || (!config.user.is_empty() && requested == config.user);
    let first = if is_our_contact { to } else { Some(requested) };
    let named = first.filter(|name| !name.is_empty() && *name != config.user);
    named.or(config.number.as_deref()).into_iter().collect()
}

/// Carriers write numbers with a plus, as people here dial, or as digits alone.
fn number_of(server: &Server, dialled: &str) -> Dialled {
    match server.plan.normalise(dialled) {
        Dialled::Name => server.plan.normalise(&format!("+{}", dialled.trim_start_matches('+'))),
        // Nobody calls for help through us from there.
        Dialled::Emergency(_) => Dialled::Name,
        known => known,
    }
}

/// The number that somebody of elsewhere says that they call with, E.164 with its plus. Carriers write it as they like, others with its
/// plus.
pub(crate) fn caller_number(server: &Server, uri: &Uri<'_>, flow: &Flow) -> Option<String> {
    let user = uri.user_unescaped();
    let by_trunk = || server.trunks.source(flow, server.endpoint.get()?);
    if !user.starts_with('+') && by_trunk().is_none() {
        return None;
    }
    match number_of(server, &user) {
        Dialled::Number(number) => Some(number),
        Dialled::Emergency(_) | Dialled::Ours(_) | Dialled::Name => None,
    }
}

/// Whether From claims to be an account of ours by its name. Numbers of ours may come from there: a call may have been
/// sent on by somebody out there.
pub(crate) fn claims_ours(server: &Server, request: &Message) -> bool {
    let said = request.value(Name::From).unwrap_or_default();
    let Some(from) = NameAddr::parse(said).and_then(|from| Uri::parse(from.uri)) else {
        // A phone shows what it makes of it.
        let said = said.to_ascii_lowercase();
        return server.domains.iter().any(|domain| said.contains(domain));
    };
    caller::is_of_ours(server, &from)
        && !sip_core::privacy::is_nobody(&from)
        && number_of(server, &from.user_unescaped()) == Dialled::Name
}

#[cfg(test)]
mod tests {
    use super::super::TrunkConfig;
    use super::*;

    #[test]
    fn what_was_dialled_stands_in_the_request_uri_or_behind_our_contact_in_to() {
        let number = Some("+331".to_owned());
        let server = "sip:carrier.example".to_owned();
        let trunk = Trunk::bare(TrunkConfig {
            name: "t".into(),
            user: "us".into(),
            server,
            number,
            ..TrunkConfig::default()
        });
        assert_eq!(dialled("+332", Some("+333"), &trunk), ["+332"]);
        assert_eq!(dialled("us", Some("+333"), &trunk), ["+333"]);
        assert_eq!(dialled("us", Some("us"), &trunk), ["+331"]);
        assert_eq!(dialled("", None, &trunk), ["+331"]);
    }
}
