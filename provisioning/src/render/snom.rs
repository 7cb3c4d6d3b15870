//! Snom: XML of `settings`, one element a key, `idx` the identity if it is one's, `perm` that the user may not change it.

use super::Plan;
use crate::answer::escape_xml;
use crate::profile::{Calls, Change, shown_name};

pub(super) fn render(plan: &Plan<'_>) -> String {
    let (card, on) = (plan.card, |is: bool| if is { "on" } else { "off" });
    let savp = match plan.chosen.srtp {
        Calls::Off => "off",
        Calls::Preferred => "optional",
        Calls::Required => "mandatory",
    };
    let seconds = plan.chosen.register_seconds.to_string();
    let domain = card.aor.host();
    let keys = [
        ("user_active", "on"),
        ("user_realname", shown_name(card)),
        ("user_name", card.aor.local()),
        ("user_pname", card.aor.local()),
        ("user_pass", plan.password),
        ("user_host", &domain),
        ("user_outbound", &plan.parts.registrar()),
        ("user_expiry", &seconds),
        ("user_srtp", on(plan.chosen.srtp != Calls::Off)),
        ("user_savp", savp),
        ("user_conf_uri", &plan.parts.conference_factory),
        ("codec_priority_list", "g722,pcma,pcmu,telephone-event"),
        ("keepalive_interval", "30"),
    ];
    let mut out =
        String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<settings>\n  <phone-settings>\n");
    let mailbox = plan.chosen.voicemail.as_deref().map(|number| ("user_mailbox", number));
    for (key, value) in keys.into_iter().chain(mailbox) {
        out.push_str(&format!("    <{key} idx=\"1\" perm=\"R\">{}</{key}>\n", escape_xml(value)));
    }
    let book = escape_xml(&format!("url {}/directory.xml", plan.folder));
    out.push_str(&format!("    <dkey_directory perm=\"R\">{book}</dkey_directory>\n"));
    out.push_str(&clock(plan));
    out.push_str("  </phone-settings>\n</settings>\n");
    out
}

/// The time zone: seconds, and changes as month, week, day of the week from Monday, time.
fn clock(plan: &Plan<'_>) -> String {
    let Some(zone) = &plan.chosen.time_zone else { return String::new() };
    let at = |it: Change| format!("{:02}.{:02}.{:02} {:02}:00:00", it.month, it.week, it.iso_day(), it.hour);
    let summer = zone.summer.as_ref();
    let dst = summer.map(|summer| format!("{} {} {}", summer.saved, at(summer.begins), at(summer.ends)));
    format!(
        "    <timezone perm=\"R\"></timezone>\n    <utc_offset perm=\"R\">{:+}</utc_offset>\n    <dst perm=\"R\">{}</dst>\n",
        zone.offset,
        dst.unwrap_or_default()
    )
}
