//! Polycom (Poly): `<mac>.cfg` names the file that holds the settings, which are attributes.

use super::Plan;
use crate::answer::escape_xml;
use crate::profile::{Calls, Change, shown_name};

/// The first file that the phone asks for.
pub(super) fn first(plan: &Plan<'_>) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n<APPLICATION CONFIG_FILES=\"{}-cusax.cfg\" MISC_FILES=\"\" LOG_FILE_DIRECTORY=\"\"/>\n",
        escape_xml(plan.mac)
    )
}

/// The file that it names.
pub(super) fn render(plan: &Plan<'_>) -> String {
    let (card, access) = (plan.card, plan.parts.best_sip());
    let transport = match access.transport {
        "udp" => "UDPOnly",
        "tcp" => "TCPOnly",
        _ => "TLS",
    };
    let on = |is: bool| if is { "1" } else { "0" };
    let (port, seconds) = (access.port.to_string(), plan.chosen.register_seconds.to_string());
    let (domain, mailbox) = (card.aor.host(), plan.chosen.voicemail.as_deref());
    let keys = [
        ("reg.1.address", card.aor.as_str()),
        ("reg.1.label", shown_name(card)),
        ("reg.1.displayName", shown_name(card)),
        ("reg.1.auth.userId", card.aor.local()),
        ("reg.1.auth.password", plan.password),
        ("reg.1.server.1.address", &domain),
        ("reg.1.server.1.expires", &seconds),
        ("reg.1.outboundProxy.address", &plan.parts.host),
        ("reg.1.outboundProxy.port", &port),
        ("reg.1.outboundProxy.transport", transport),
        ("reg.1.srtp.offer", on(plan.chosen.srtp != Calls::Off)),
        ("reg.1.srtp.require", on(plan.chosen.srtp == Calls::Required)),
        ("nat.keepalive.interval", "30"),
        ("msg.mwi.1.subscribe", card.aor.as_str()),
        // Without a number, what waits is heard in the chat and on the page.
        ("msg.mwi.1.callBackMode", if mailbox.is_some() { "contact" } else { "disabled" }),
        ("voice.codecPref.G722", "1"),
        ("voice.codecPref.G711_A", "2"),
        ("voice.codecPref.G711_Mu", "3"),
        ("video.enable", on(plan.chosen.video)),
        ("feature.presence.enabled", on(plan.chosen.sip_presence)),
        ("feature.messaging.enabled", on(plan.chosen.sip_messages)),
    ];
    let mut out = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n<polycomConfig>\n  <cusax\n",
    );
    for (key, value) in keys.into_iter().chain(mailbox.map(|number| ("msg.mwi.1.callBack", number))) {
        out.push_str(&format!("    {key}=\"{}\"\n", escape_xml(value)));
    }
    for (key, value) in clock(plan) {
        out.push_str(&format!("    tcpIpApp.sntp.{key}=\"{value}\"\n"));
    }
    out.push_str("  />\n</polycomConfig>\n");
    out
}

/// The time zone: seconds; changes on the first such day of the week, from Sunday as 1, that is not before a date, or on the last.
fn clock(plan: &Plan<'_>) -> Vec<(String, i32)> {
    let Some(zone) = &plan.chosen.time_zone else { return Vec::new() };
    let own = |key: &str, value: i32| (key.to_owned(), value);
    let mut keys = vec![own("gmtOffset.overrideDHCP", 1), own("gmtOffset", zone.offset)];
    keys.push(own("daylightSavings.enable", zone.summer.is_some().into()));
    let Some(summer) = &zone.summer else { return keys };
    keys.push(own("daylightSavings.fixedDayEnable", 0));
    let change = |name: &str, it: Change| {
        [
            ("month", it.month.into()),
            ("date", i32::from(it.week.min(4) - 1) * 7 + 1),
            ("dayOfWeek", i32::from(it.day) + 1),
            ("dayOfWeek.lastInMonth", (it.week == 5).into()),
            ("time", it.hour.into()),
        ]
        .map(|(key, value)| (format!("daylightSavings.{name}.{key}"), value))
    };
    keys.extend(change("start", summer.begins));
    keys.extend(change("stop", summer.ends));
    keys
}
