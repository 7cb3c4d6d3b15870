//! Yealink: `<mac>.cfg`, lines of `key = value` behind a version line; what a value says of the transport is a number.

use super::{Plan, line};
use crate::profile::{Calls, Change, shown_name};

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
    let on = |is: bool| if is { "1" } else { "0" };
    let (port, seconds) = (access.port.to_string(), plan.chosen.register_seconds.to_string());
    let domain = card.aor.host();
    let keys = [
        ("account.1.enable", "1"),
        ("account.1.label", shown_name(card)),
        ("account.1.display_name", shown_name(card)),
        ("account.1.user_name", card.aor.local()),
        ("account.1.auth_name", card.aor.local()),
        ("account.1.password", plan.password),
        ("account.1.sip_server.1.address", &domain),
        ("account.1.sip_server.1.port", &port),
        ("account.1.sip_server.1.transport_type", transport),
        ("account.1.sip_server.1.expires", &seconds),
        ("account.1.outbound_proxy_enable", "1"),
        ("account.1.outbound_proxy.1.address", &plan.parts.host),
        ("account.1.outbound_proxy.1.port", &port),
        ("account.1.nat.udp_update_enable", "1"), // what keeps a NAT open, over UDP
        ("account.1.nat.udp_update_time", "30"),
        ("account.1.subscribe_mwi", "1"), // at the own AOR (RFC 3842)
        ("account.1.codec.g722.enable", "1"),
        ("account.1.codec.g722.priority", "1"),
        ("account.1.codec.pcma.enable", "1"),
        ("account.1.codec.pcma.priority", "2"),
        ("account.1.codec.pcmu.enable", "1"),
        ("account.1.codec.pcmu.priority", "3"),
        ("account.1.srtp_encryption", srtp),
        ("account.1.video.enable", on(plan.chosen.video)),
        ("account.1.conf_type", "2"),
        ("account.1.conf_uri", &plan.parts.conference_factory),
        ("features.text_message.enable", on(plan.chosen.sip_messages)),
        ("remote_phonebook.data.1.name", card.aor.domain()),
        ("remote_phonebook.data.1.url", &format!("{}/directory.xml", plan.folder)),
        ("static.security.trust_certificates", "1"),
    ];
    let mailbox = plan.chosen.voicemail.as_deref().map(|number| ("voice_mail.number.1", number));
    let lines = keys.iter().chain(mailbox.iter()).map(|(key, value)| format!("{key} = {}\n", line(value)));
    std::iter::once("#!version:1.0.0.1\n".to_owned()).chain(lines).chain(clock(plan)).collect()
}

/// The time zone: hours, and changes as month, week, day of the week from Monday, hour.
fn clock(plan: &Plan<'_>) -> Vec<String> {
    let Some(zone) = &plan.chosen.time_zone else { return Vec::new() };
    let (sign, minutes) = (if zone.offset < 0 { '-' } else { '+' }, zone.offset.abs() / 60);
    let hours = match (minutes / 60, minutes % 60) {
        (hours, 0) => format!("{sign}{hours}"),
        (hours, minutes) => format!("{sign}{hours}:{minutes}"),
    };
    let mut lines = vec![format!("local_time.time_zone = {hours}\n")];
    match &zone.summer {
        None => lines.push("local_time.summer_time = 0\n".to_owned()),
        Some(summer) => {
            let at = |it: Change| format!("{}/{}/{}/{}", it.month, it.week, it.iso_day(), it.hour);
            lines.push("local_time.summer_time = 1\nlocal_time.dst_time_type = 1\n".to_owned());
            lines.push(format!("local_time.start_time = {}\n", at(summer.begins)));
            lines.push(format!("local_time.end_time = {}\n", at(summer.ends)));
            lines.push(format!("local_time.offset_time = {}\n", summer.saved / 60));
        }
    }
    lines
}
