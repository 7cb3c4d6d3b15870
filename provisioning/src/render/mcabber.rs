//! mcabber: `~/.mcabber/mcabberrc`. The password is asked for.

use super::{Plan, line};

pub(super) fn render(plan: &Plan<'_>) -> String {
    let parts = plan.parts;
    format!(
        "set jid = {jid}\nset server = {host}\nset port = {port}\nset tls = 1\nset muc_server = {rooms}\nset nickname = {nick}\n",
        jid = line(plan.card.jid.as_str()),
        host = parts.host,
        port = parts.ports.xmpp.unwrap_or(5222),
        rooms = parts.rooms_domain,
        nick = line(plan.card.jid.local()),
    )
}
