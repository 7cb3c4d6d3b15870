//! Grandstream: `cfg<mac>.xml`, XML whose elements are the numbers of settings.

use super::Plan;
use crate::answer::escape_xml;
use crate::profile::{Calls, shown_name};

pub(super) fn render(plan: &Plan<'_>) -> String {
    let (card, access) = (plan.card, plan.parts.best_sip());
    let transport = match access.transport {
        "udp" => "0",
        "tcp" => "1",
        _ => "2",
    };
    let srtp = match plan.chosen.srtp {
        Calls::Off => "0",
        Calls::Preferred => "1",
        Calls::Required => "2",
    };
    let minutes = (plan.chosen.register_seconds / 60).max(1).to_string();
    let book = plan.folder.strip_prefix("https://").unwrap_or(plan.folder);
    let domain = card.aor.host();
    let keys = [
        ("P271", "1"),                                            // account 1 is active
        ("P270", shown_name(card)),                               // its name
        ("P47", &domain),                                         // SIP server
        ("P48", &format!("{}:{}", plan.parts.host, access.port)), // outbound proxy
        ("P35", card.aor.local()),                                // SIP user
        ("P36", card.aor.local()),                                // user to prove
        ("P34", plan.password),                                   // password
        ("P3", shown_name(card)),                                 // name to show
        ("P32", &minutes),                                        // minutes of a registration
        ("P130", transport),                                      // 0 UDP, 1 TCP, 2 TLS
        ("P2329", "0"),                                           // sip: over TLS as well, not sips:
        ("P52", "2"),                                             // NAT: nothing but to keep it open
        ("P99", "1"),                                             // subscribes for waiting messages
        ("P57", "9"),                                             // first G.722,
        ("P58", "8"),                                             // then PCMA,
        ("P59", "0"),                                             // then PCMU
        ("P2318", &plan.parts.conference_factory),                // where conferences are made
        ("P183", srtp),                                           // 0 never, 1 if the other can, 2 always
        ("P330", "3"),                                            // phonebook by HTTPS
        ("P331", book), // its folder: host and path, without a scheme
    ];
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<gs_provision version=\"1\">\n");
    out.push_str(&format!("  <mac>{}</mac>\n  <config version=\"1\">\n", escape_xml(plan.mac)));
    let zone = plan.chosen.time_zone.as_ref().map(|zone| zone.text.as_str());
    // A zone of its own, as POSIX writes it, which DHCP does not replace.
    let clock = zone.map(|zone| [("P64", "customize"), ("P246", zone), ("P143", "0")]);
    let mailbox = plan.chosen.voicemail.as_deref().map(|number| ("P33", number));
    for (key, value) in keys.into_iter().chain(mailbox).chain(clock.into_iter().flatten()) {
        out.push_str(&format!("    <{key}>{}</{key}>\n", escape_xml(value)));
    }
    out.push_str("  </config>\n</gs_provision>\n");
    out
}
