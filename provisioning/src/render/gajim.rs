//! Gajim and Dino read no file: what to enter, for whoever sets up somebody else's machine. The password is asked for.

use super::{Plan, line};

pub(super) fn render(plan: &Plan<'_>) -> String {
    let (parts, jid) = (plan.parts, &plan.card.jid);
    let port = |port: Option<u16>| port.map_or("none".to_owned(), |port| port.to_string());
    format!(
        "Address: {address}\nServer: {host}\nPort (STARTTLS): {starttls}\nPort (TLS): {tls}\nRooms: {rooms}\nLink: {uri}\n\
         Calls: {calls}\n",
        address = line(jid.as_str()),
        host = parts.host,
        starttls = port(parts.ports.xmpp),
        tls = port(parts.ports.xmpp_tls),
        rooms = parts.rooms_domain,
        uri = jid.to_xmpp_uri(),
        calls =
            if plan.chosen.xmpp_calls { "by chat" } else { "by the telephone of the account, not by chat" },
    )
}
