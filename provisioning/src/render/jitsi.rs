//! Jitsi desktop's provisioning: Java properties, by GET, or by POST with the fields `username` and `password`.
//!
//! The SIP account names its XMPP account by the end of a node id (`cusax.XMPP_ACCOUNT_ID`), so node ids are long and
//! unique; calls are off on XMPP, presence and messages are off on SIP (RFC 7081 §2).

use super::Plan;
use crate::profile::{Calls, shown_name};

pub(super) fn render(plan: &Plan<'_>) -> String {
    let (parts, card, chosen) = (plan.parts, plan.card, &plan.chosen);
    // Decimal digits of the account's id: stable, unique, and longer than any other node's.
    let number = card.account.0 % 10_u128.pow(18) + 10_u128.pow(18);
    let sip = format!("net.java.sip.communicator.impl.protocol.sip.acc{number}");
    let xmpp = format!("net.java.sip.communicator.impl.protocol.jabber.acc{number}");
    let access = parts.best_sip();
    let (port, xmpp_port) = (access.port.to_string(), parts.ports.xmpp.unwrap_or(5222).to_string());
    let (name, transport) = (shown_name(card), access.transport.to_uppercase());
    let word = |is: bool| if is { "true" } else { "false" };
    let savp = match chosen.srtp {
        Calls::Required => "1",
        Calls::Preferred => "2",
        Calls::Off => "0",
    };
    let seconds = chosen.register_seconds.to_string();
    let domain = card.aor.host();
    let user = format!("{}@{domain}", card.aor.local());
    let (sip_uid, xmpp_uid) = (format!("SIP:{user}"), format!("Jabber:{}@{}", card.jid, parts.host));
    let link = format!("acc{number}");
    let (telephony, chat) = (format!("{name} (telephony)"), format!("{name} (chat)"));
    let mut sip_keys: Vec<(&str, &str)> = vec![
        ("", &link),
        ("ACCOUNT_UID", &sip_uid),
        ("PROTOCOL_NAME", "SIP"),
        ("USER_ID", &user),
        ("SERVER_ADDRESS", &domain),
        ("PROXY_ADDRESS", &parts.host),
        ("PROXY_PORT", &port),
        ("PROXY_AUTO_CONFIG", "false"),
        ("PREFERRED_TRANSPORT", &transport),
        ("ACCOUNT_DISPLAY_NAME", &telephony),
        ("DISPLAY_NAME", name),
        ("IS_PRESENCE_ENABLED", word(chosen.sip_presence)),
        ("VIDEO_CALLING_DISABLED", word(!chosen.video)),
        ("SUBSCRIPTION_EXPIRATION", &seconds),
        ("DEFAULT_ENCRYPTION", word(chosen.srtp != Calls::Off)),
        ("SAVP_OPTION", savp),
    ];
    if chosen.linked {
        sip_keys.push(("cusax.XMPP_ACCOUNT_ID", &link));
    }
    let xmpp_keys: [(&str, &str); 10] = [
        ("", &link),
        ("ACCOUNT_UID", &xmpp_uid),
        ("PROTOCOL_NAME", "Jabber"),
        ("USER_ID", card.jid.as_str()),
        ("SERVER_ADDRESS", &parts.host),
        ("SERVER_PORT", &xmpp_port),
        ("IS_SERVER_OVERRIDDEN", "true"),
        ("ALLOW_NON_SECURE", "false"),
        ("CALLING_DISABLED", word(!chosen.xmpp_calls)),
        ("ACCOUNT_DISPLAY_NAME", &chat),
    ];
    let mut out = String::new();
    for (node, keys) in [(&sip, &sip_keys[..]), (&xmpp, &xmpp_keys[..])] {
        for (key, value) in keys {
            let dot = if key.is_empty() { "" } else { "." };
            out.push_str(&format!("{node}{dot}{key}={}\n", escape(value)));
        }
    }
    let messages = word(!chosen.sip_messages);
    out.push_str(&format!("net.java.sip.communicator.impl.protocol.sip.MESSAGING_DISABLED={messages}\n"));
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
