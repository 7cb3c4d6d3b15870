//! WebFinger — RFC 7033 §4 (query), §4.3 (rel), §4.4 (JRD), §5 (CORS).
//!
//! In    `resource=acct:alice@example.org`, or the account's `sip:` or `xmpp:` URI; `rel` as often as one likes (§4.3); a
//!       proof, perhaps, whose name is of the resource's domain unless it says another.
//! Out   for everybody the same thin answer for every name of our domain, so that nobody learns who has an account; for
//! the proven account its JID, AOR, and where its configuration is.
//! Errors 400 without a resource, 404 for other domains, 401 for a proof that is wrong.

use std::sync::Arc;

use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use shared_auth::Spent;
use shared_model::Address;
use shared_runtime::http::Peer;

use crate::Face;
use crate::access::{Fields, prove_of};
use crate::answer::{private, public, unkept};

pub(crate) async fn answer(
    State(parts): State<Arc<Face>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Query(asked): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Response {
    let Some((_, resource)) = asked.iter().find(|(name, _)| name == "resource") else {
        return (StatusCode::BAD_REQUEST, "resource is missing or no URI\n").into_response();
    };
    let Some((scheme, rest)) = resource.split_once(':') else {
        return (StatusCode::BAD_REQUEST, "resource is missing or no URI\n").into_response();
    };
    let address = rest.parse::<Address>().ok().filter(|_| ["acct", "sip", "xmpp"].contains(&scheme));
    let Some(address) = address.filter(|address| parts.domains.has(address.domain())) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let link = |rel: &str, href: String| json!({ "rel": rel, "href": href });
    let provisioning = json!({
        "rel": "urn:cusax:provisioning", "type": "application/json", "href": parts.url("/provision/cusax.json"),
    });
    if !headers.contains_key(header::AUTHORIZATION) {
        let thin = json!({ "subject": resource, "links": wanted(&asked, vec![provisioning]) });
        return public(JRD, thin.to_string());
    }
    let card =
        match prove_of(&parts, peer, &headers, (&Fields::default(), Spent::Now), address.domain()).await {
            Ok(proved) => proved.card,
            Err(refused) => return refused,
        };
    if *card.aor != address && *card.jid != address {
        return unkept(StatusCode::FORBIDDEN.into_response());
    }
    let links = vec![
        provisioning,
        link("urn:cusax:sip", card.aor.to_sip_uri()),
        link("urn:cusax:xmpp", card.jid.to_xmpp_uri()),
        json!({ "rel": "vcard", "type": "text/vcard", "href": parts.url(&format!("/directory/cards/{}.vcf", card.account)) }),
    ];
    let whole = json!({
        "subject": resource, "aliases": [card.aor.to_sip_uri(), card.jid.to_xmpp_uri()],
        "links": wanted(&asked, links),
    });
    private(JRD, whole.to_string())
}

/// §4.3: the links of the relations that are asked for; all if none is.
fn wanted(asked: &[(String, String)], mut links: Vec<Value>) -> Vec<Value> {
    let rels: Vec<&str> =
        asked.iter().filter(|(name, _)| name == "rel").map(|(_, rel)| rel.as_str()).collect();
    links.retain(|link| rels.is_empty() || rels.iter().any(|rel| link["rel"] == *rel));
    links
}

const JRD: &str = "application/jrd+json";
