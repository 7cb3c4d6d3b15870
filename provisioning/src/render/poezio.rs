//! poezio: `~/.config/poezio/poezio.cfg`. The password is asked for.

use super::{Plan, line};

pub(super) fn render(plan: &Plan<'_>) -> String {
    let parts = plan.parts;
    let ca = if parts.ca.is_some() { "ca_cert_path = ca.pem\n" } else { "" };
    format!(
        "[Poezio]\njid = {jid}\ncustom_host = {host}\ncustom_port = {port}\n{ca}force_encryption = true\ndefault_nick = {nick}\n",
        jid = line(plan.card.jid.as_str()),
        host = parts.host,
        port = parts.ports.xmpp.unwrap_or(5222),
        nick = line(plan.card.jid.local()),
    )
}
