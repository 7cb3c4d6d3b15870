//! poezio: `~/.config/poezio/poezio.cfg`. The password is asked for.
//!
//! Its library (slixmpp 1.8) asks for a host that is named at 5222, whatever port is said: another port is found by the SRV record of the
//! domain (RFC 6120 §3.2.1), which it looks for where no host is named.

use super::{Plan, line};

pub(super) fn render(plan: &Plan<'_>) -> String {
    let (parts, jid) = (plan.parts, &plan.card.jid);
    let host = match parts.ports.xmpp.unwrap_or(STANDARD) {
        STANDARD if parts.host != jid.domain() => format!("custom_host = {}\n", parts.host),
        _ => String::new(),
    };
    let ca = if parts.ca.is_some() { CA } else { "" };
    format!(
        "[Poezio]\njid = {address}\n{host}{ca}force_encryption = true\ndefault_nick = {nick}\n",
        address = line(jid.as_str()),
        nick = line(jid.local()),
    )
}

const STANDARD: u16 = 5222;
/// It is looked for where poezio is started.
const CA: &str = "# The whole path of that file:\nca_cert_path = ca.pem\n";
