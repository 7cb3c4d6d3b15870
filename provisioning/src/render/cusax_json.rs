//! `cusax.json`: one account whole — RFC 7081 §2, §3.4 (both halves and their relationship), §6 (feature switches), §7 (floor).
//!
//! Its grammar is `cusax.schema.json`, served beside it.

use serde_json::{Value, json};

use super::Plan;
use crate::profile::{Calls, shown_name};

pub(super) fn render(plan: &Plan<'_>) -> String {
    let (parts, card, chosen) = (plan.parts, plan.card, &plan.chosen);
    let sip: Vec<Value> = parts
        .sip()
        .iter()
        .map(|access| json!({ "transport": access.transport, "port": access.port }))
        .collect();
    let srtp = match chosen.srtp {
        Calls::Required => "required",
        Calls::Preferred => "preferred",
        Calls::Off => "off",
    };
    let relationship = match chosen.linked {
        true => json!({
            "linked": true, "calls": card.aor.to_sip_uri(), "chat": card.jid.to_xmpp_uri(),
            "call_info": format!("<{}>;purpose=impp", card.jid.to_xmpp_uri()),
        }),
        false => json!({ "linked": false }),
    };
    json!({
        "$schema": parts.url("/provision/cusax.schema.json"),
        "version": 1,
        "name": shown_name(card),
        "security": { "tls_minimum": "1.2", "sip_and_xmpp_alike": true, "srtp": srtp },
        "sip": {
            "aor": card.aor.to_sip_uri(), "username": card.aor.local(), "realm": card.aor.host(),
            "registrar": parts.registrar(), "host": parts.host, "access": sip, "numbers": card.numbers,
            "register_seconds": chosen.register_seconds, "conference_factory": parts.conference_factory,
            "features": {
                "calls": true, "video": chosen.video, "messaging": chosen.sip_messages, "presence": chosen.sip_presence,
            },
        },
        "xmpp": {
            "jid": card.jid, "host": parts.host, "starttls_port": parts.ports.xmpp, "tls_port": parts.ports.xmpp_tls,
            "rooms": parts.rooms_domain, "web_client": parts.web_client(&card.jid),
            "features": { "messaging": true, "presence": true, "calls": chosen.xmpp_calls },
        },
        "relationship": relationship,
        "turn": { "services": parts.turn, "credentials": "urn:xmpp:extdisco:2" },
        "directory": {
            "aor": parts.url("/directory/aor/"), "jid": parts.url("/directory/jid/"),
            "number": parts.url("/directory/number/"), "carddav": parts.url("/directory/dav/"),
        },
    })
    .to_string()
}
