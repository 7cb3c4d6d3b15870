//! `cusax.json`: one account whole — RFC 7081 §2, §3.4 (both halves and their relationship), §6 (feature switches), §7 (floor).

use std::sync::Arc;

use axum::extract::{ConnectInfo, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Value, json};
use shared_auth::AccountCard;
use shared_runtime::http::Peer;

use crate::access::{Fields, prove};
use crate::answer::private;
use crate::{Face, Parts, profile};

pub(crate) async fn answer(
    State(parts): State<Arc<Face>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Query(fields): Query<Fields>,
    headers: HeaderMap,
) -> Response {
    match prove(&parts, peer, &headers, &fields).await {
        Ok(card) => private("application/json", render(&parts, &card).to_string()),
        Err(refused) => refused,
    }
}

fn render(parts: &Parts, card: &AccountCard) -> Value {
    let sip: Vec<Value> = parts
        .sip()
        .iter()
        .map(|access| json!({ "transport": access.transport, "port": access.port }))
        .collect();
    json!({
        "version": 1,
        "name": profile::shown_name(card),
        "security": { "tls_minimum": "1.2", "sip_and_xmpp_alike": true },
        "sip": {
            "aor": card.aor.to_sip_uri(), "username": card.aor.local(), "realm": card.aor.domain(),
            "registrar": parts.registrar(), "host": parts.host, "access": sip, "numbers": card.numbers,
            "features": { "calls": true, "video": card.video, "messaging": false, "presence": false },
        },
        "xmpp": {
            "jid": card.jid, "host": parts.host, "starttls_port": parts.ports.xmpp, "tls_port": parts.ports.xmpp_tls,
            "rooms": parts.rooms_domain,
            "features": { "messaging": true, "presence": true, "calls": false },
        },
        "relationship": {
            "linked": true, "calls": card.aor.to_sip_uri(), "chat": card.jid.to_xmpp_uri(),
            "call_info": format!("<{}>;purpose=impp", card.jid.to_xmpp_uri()),
        },
    })
}
