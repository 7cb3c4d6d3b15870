//! Jitsi desktop's provisioning: Java properties, by GET, or by POST with the fields `username` and `password`.
//!
//! The SIP account names its XMPP account by the end of a node id (`cusax.XMPP_ACCOUNT_ID`), so node ids are long and
//! unique; calls are off on XMPP, presence and messages are off on SIP (RFC 7081 §2).

use std::sync::Arc;

use axum::Form;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use shared_auth::AccountCard;
use shared_runtime::http::Peer;

use crate::access::{Fields, prove};
use crate::answer::private;
use crate::{Face, Parts, profile};

pub(crate) async fn get(
    state: State<Arc<Face>>,
    peer: ConnectInfo<Peer>,
    Query(fields): Query<Fields>,
    headers: HeaderMap,
) -> Response {
    answer(state, peer, &headers, &fields).await
}

pub(crate) async fn post(
    state: State<Arc<Face>>,
    peer: ConnectInfo<Peer>,
    headers: HeaderMap,
    Form(fields): Form<Fields>,
) -> Response {
    answer(state, peer, &headers, &fields).await
}

async fn answer(
    State(parts): State<Arc<Face>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: &HeaderMap,
    fields: &Fields,
) -> Response {
    match prove(&parts, peer, headers, fields).await {
        // ISO 8859-1 by Java's rule; everything else is escaped.
        Ok(card) => private("text/plain; charset=ISO-8859-1", render(&parts, &card)),
        Err(refused) => refused,
    }
}

fn render(parts: &Parts, card: &AccountCard) -> String {
    // Decimal digits of the account's id: stable, unique, and longer than any other node's.
    let number = card.account.0 % 10_u128.pow(18) + 10_u128.pow(18);
    let sip = format!("net.java.sip.communicator.impl.protocol.sip.acc{number}");
    let xmpp = format!("net.java.sip.communicator.impl.protocol.jabber.acc{number}");
    let access = parts.sip();
    let (transport, port) = access.first().map_or(("udp", 5060), |access| (access.transport, access.port));
    let (port, xmpp_port) = (port.to_string(), parts.ports.xmpp.unwrap_or(5222).to_string());
    let name = profile::shown_name(card);
    let transport = transport.to_uppercase();
    let (sip_uid, xmpp_uid) = (
        format!("SIP:{}@{}", card.aor.local(), card.aor.domain()),
        format!("Jabber:{}@{}", card.jid, parts.host),
    );
    let link = format!("acc{number}");
    let sip_keys: [(&str, &str); 14] = [
        ("", &format!("acc{number}")),
        ("ACCOUNT_UID", &sip_uid),
        ("PROTOCOL_NAME", "SIP"),
        ("USER_ID", card.aor.as_str()),
        ("SERVER_ADDRESS", card.aor.domain()),
        ("PROXY_ADDRESS", &parts.host),
        ("PROXY_PORT", &port),
        ("PROXY_AUTO_CONFIG", "false"),
        ("PREFERRED_TRANSPORT", &transport),
        ("ACCOUNT_DISPLAY_NAME", &format!("{name} (telephony)")),
        ("DISPLAY_NAME", name),
        ("IS_PRESENCE_ENABLED", "false"),
        ("DEFAULT_ENCRYPTION", "true"),
        ("cusax.XMPP_ACCOUNT_ID", &link),
    ];
    let xmpp_keys: [(&str, &str); 10] = [
        ("", &format!("acc{number}")),
        ("ACCOUNT_UID", &xmpp_uid),
        ("PROTOCOL_NAME", "Jabber"),
        ("USER_ID", card.jid.as_str()),
        ("SERVER_ADDRESS", &parts.host),
        ("SERVER_PORT", &xmpp_port),
        ("IS_SERVER_OVERRIDDEN", "true"),
        ("ALLOW_NON_SECURE", "false"),
        ("CALLING_DISABLED", "true"),
        ("ACCOUNT_DISPLAY_NAME", &format!("{name} (chat)")),
    ];
    let mut out = String::new();
    for (node, keys) in [(&sip, &sip_keys[..]), (&xmpp, &xmpp_keys[..])] {
        for (key, value) in keys {
            let dot = if key.is_empty() { "" } else { "." };
            out.push_str(&format!("{node}{dot}{key}={}\n", escape(value)));
        }
    }
    out.push_str("net.java.sip.communicator.impl.protocol.sip.MESSAGING_DISABLED=true\n");
    out
}

/// Java properties: backslashes and line ends escaped, `${` kept from being a placeholder, others as `\uXXXX`.
fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for unit in value.replace("${", "$ {").encode_utf16() {
        match unit {
            0x5c => out.push_str("\\\\"),
            // Java drops blanks between the equals sign and the value.
            0x20 if out.is_empty() => out.push_str("\\ "),
            0x20..=0x7e => out.push(char::from(unit as u8)),
            unit => out.push_str(&format!("\\u{unit:04x}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_begin_a_line_or_a_placeholder() {
        assert_eq!(escape("a\nb=${password}\\é😀"), "a\\u000ab=$ {password}\\\\\\u00e9\\ud83d\\ude00");
    }

    #[test]
    fn a_leading_blank_is_part_of_the_value() {
        assert_eq!(escape(" Alice B"), "\\ Alice B");
    }
}
