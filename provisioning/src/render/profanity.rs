//! Profanity: a group of `~/.local/share/profanity/accounts`. The password is asked for.

use super::{Plan, line};

pub(super) fn render(plan: &Plan<'_>) -> String {
    let (parts, jid) = (plan.parts, line(plan.card.jid.as_str()));
    format!(
        "[{group}]\nenabled=true\njid={jid}\nserver={host}\nport={port}\ntls.policy=force\nresource=profanity\n\
         muc.service={rooms}\nmuc.nick={nick}\n",
        group = jid.replace(['[', ']'], ""),
        host = parts.host,
        port = parts.ports.xmpp.unwrap_or(5222),
        rooms = parts.rooms_domain,
        nick = line(plan.card.jid.local()),
    )
}
