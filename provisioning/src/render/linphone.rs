//! Linphone's remote provisioning: XML of `lpconfig.xsd`, fetched with GET.
//!
//! The password is never there: `ha1` stands in its place, for the algorithm that the client is told.
//! Whoever proves himself by a password gets the `ha1` of that password, so that an app password yields no more than
//! itself; a token stands for the account and gets that of the main one.
//! Errors 404 for an account that has no such verifier.

use std::sync::Arc;

use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use shared_auth::{AccountCard, DigestAlgorithm, ha1_of};
use shared_runtime::http::Peer;

use crate::access::{Fields, given_password, prove};
use crate::answer::{escape_xml, private};
use crate::{Face, Parts, profile};

pub(crate) async fn answer(
    State(parts): State<Arc<Face>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Query(fields): Query<Fields>,
    headers: HeaderMap,
) -> Response {
    let card = match prove(&parts, peer, &headers, &fields).await {
        Ok(card) => card,
        Err(refused) => return refused,
    };
    if let Some(password) = given_password(&headers, &fields) {
        return match ha1_of(&card.aor, &password, DigestAlgorithm::Sha256) {
            Some(ha1) => private("application/xml", render(&parts, &card, &ha1)),
            None => StatusCode::NOT_FOUND.into_response(),
        };
    }
    match parts.auth.book.ha1(card.account, None, DigestAlgorithm::Sha256).await {
        Ok(Some(ha1)) => private("application/xml", render(&parts, &card, &ha1)),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

fn render(parts: &Parts, card: &AccountCard, ha1: &str) -> String {
    let proxy = format!("<{}>", parts.registrar());
    let identity =
        format!("\"{}\" <{}>", profile::shown_name(card).replace(['"', '\\'], ""), card.aor.to_sip_uri());
    let sections: [(&str, &[(&str, &str)]); 4] = [
        ("misc", &[("transient_provisioning", "1")]),
        (
            "sip",
            &[
                ("default_proxy", "0"),
                ("register_only_when_network_is_up", "0"),
                ("media_encryption", "none"),
            ],
        ),
        (
            "proxy_0",
            &[
                ("reg_proxy", &proxy),
                ("reg_route", &proxy),
                ("reg_identity", &identity),
                ("reg_expires", "3600"),
                ("reg_sendregister", "1"),
                ("publish", "0"),
                ("realm", card.aor.domain()),
            ],
        ),
        (
            "auth_info_0",
            &[
                ("username", card.aor.local()),
                ("domain", card.aor.domain()),
                ("realm", card.aor.domain()),
                ("ha1", ha1),
                ("algorithm", DigestAlgorithm::Sha256.as_str()),
            ],
        ),
    ];
    let mut out = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<config xmlns=\"http://www.linphone.org/xsds/lpconfig.xsd\">\n",
    );
    for (section, entries) in sections {
        out.push_str(&format!("  <section name=\"{section}\">\n"));
        for (name, value) in entries {
            let value = escape_xml(value);
            out.push_str(&format!("    <entry name=\"{name}\" overwrite=\"true\">{value}</entry>\n"));
        }
        out.push_str("  </section>\n");
    }
    out.push_str("</config>\n");
    out
}
