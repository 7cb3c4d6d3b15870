//! mcabber: `~/.mcabber/mcabberrc`. The password is asked for.

use super::{Plan, line};

pub(super) fn render(plan: &Plan<'_>) -> String {
    let parts = plan.parts;
    let ca = if parts.ca.is_some() { "set ssl_ca = ca.pem\n" } else { "" };
    format!(
        "set jid = {jid}\nset server = {host}\nset port = {port}\nset tls = 1\n{ca}set nickname = {nick}\n",
        jid = line(plan.card.jid.as_str()),
        host = parts.host,
        port = parts.ports.xmpp.unwrap_or(5222),
        nick = line(plan.card.jid.local()),
    )
}
