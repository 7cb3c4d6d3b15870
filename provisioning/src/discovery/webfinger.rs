//! WebFinger — RFC 7033 §4 (query), §4.4 (JRD), §5 (CORS).
//!
//! In    `resource=acct:alice@example.org`, or the account's `sip:` or `xmpp:` URI; a proof, perhaps.
//! Out   for everybody the same thin answer for every name of our domain, so that nobody learns who has an account; for
//! the proven account its JID, AOR, and where its configuration is.
//! Errors 400 without a resource, 404 for other domains, 401 for a proof that is wrong.

use std::sync::Arc;

use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use shared_model::Address;
use shared_runtime::http::Peer;

use crate::Face;
use crate::access::{Fields, prove};
use crate::answer::{private, public};

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Resource {
    resource: String,
}

pub(crate) async fn answer(
    State(parts): State<Arc<Face>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Query(resource): Query<Resource>,
    headers: HeaderMap,
) -> Response {
    let Some((scheme, rest)) = resource.resource.split_once(':') else {
        return (StatusCode::BAD_REQUEST, "resource is missing or no URI\n").into_response();
    };
    let address = rest.parse::<Address>().ok().filter(|_| ["acct", "sip", "xmpp"].contains(&scheme));
    let Some(address) = address.filter(|address| address.domain() == parts.domain) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let provisioning = json!({ "rel": "urn:cusax:provisioning", "type": "application/json", "href": parts.url("/provision/cusax.json") });
    if !headers.contains_key(header::AUTHORIZATION) {
        let thin = json!({ "subject": resource.resource, "links": [provisioning] });
        return public(JRD, thin.to_string());
    }
    let card = match prove(&parts, peer, &headers, &Fields::default()).await {
        Ok(proved) => proved.card,
        Err(refused) => return refused,
    };
    if *card.aor != address && *card.jid != address {
        return StatusCode::FORBIDDEN.into_response();
    }
    let whole = json!({
        "subject": resource.resource,
        "aliases": [card.aor.to_sip_uri(), card.jid.to_xmpp_uri()],
        "links": [
            provisioning,
            { "rel": "urn:cusax:sip", "href": card.aor.to_sip_uri() },
            { "rel": "urn:cusax:xmpp", "href": card.jid.to_xmpp_uri() },
        ],
    });
    private(JRD, whole.to_string())
}

const JRD: &str = "application/jrd+json";
