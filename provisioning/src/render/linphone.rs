//! Linphone's remote provisioning: XML of `lpconfig.xsd`, fetched with GET.
//!
//! The password is never there: `ha1` stands in its place, for the algorithm that the client is told. Whoever proves himself
//! by a password gets the `ha1` of that password, and a token gets that of a password which is this device's alone.

use shared_auth::{DigestAlgorithm, ha1_of};

use super::Plan;
use crate::answer::escape_xml;
use crate::profile::{Calls, shown_name};

pub(super) fn render(plan: &Plan<'_>) -> String {
    let (parts, card, chosen) = (plan.parts, plan.card, &plan.chosen);
    // A password that was proved or made can be prepared.
    let ha1 = ha1_of(&card.aor, plan.password, DigestAlgorithm::Sha256).unwrap_or_default();
    let bit = |is: bool| if is { "1" } else { "0" };
    let seconds = chosen.register_seconds.to_string();
    let proxy = format!("<{}>", parts.registrar());
    let identity = format!("\"{}\" <{}>", shown_name(card).replace(['"', '\\'], ""), card.aor.to_sip_uri());
    let domain = card.aor.host();
    let sections: [(&str, &[(&str, &str)]); 6] = [
        ("misc", &[("transient_provisioning", "1")]),
        (
            "sip",
            &[
                ("default_proxy", "0"),
                ("register_only_when_network_is_up", "0"),
                ("media_encryption", if chosen.srtp == Calls::Off { "none" } else { "srtp" }),
                ("media_encryption_mandatory", bit(chosen.srtp == Calls::Required)),
            ],
        ),
        ("video", &[("capture", bit(chosen.video)), ("display", bit(chosen.video))]),
        ("ui", &[("disable_chat_feature", bit(!chosen.sip_messages))]),
        (
            "proxy_0",
            &[
                ("reg_proxy", &proxy),
                ("reg_route", &proxy),
                ("reg_identity", &identity),
                ("reg_expires", &seconds),
                ("reg_sendregister", "1"),
                ("publish", bit(chosen.sip_presence)),
                ("realm", &domain),
                ("conference_factory_uri", &parts.conference_factory),
                // Since liblinphone 5.1 the one above is of chat rooms alone, which are off here.
                ("audio_video_conference_factory_uri", &parts.conference_factory),
            ],
        ),
        (
            "auth_info_0",
            &[
                ("username", card.aor.local()),
                ("domain", &domain),
                ("realm", &domain),
                ("ha1", &ha1),
                ("algorithm", DigestAlgorithm::Sha256.as_str()),
            ],
        ),
    ];
    let mut out = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<config xmlns=\"http://www.linphone.org/xsds/lpconfig.xsd\">\n",
    );
    for (section, entries) in sections {
        out.push_str(&format!("  <section name=\"{section}\">\n"));
        for (name, value) in entries {
            let value = escape_xml(value);
            out.push_str(&format!("    <entry name=\"{name}\" overwrite=\"true\">{value}</entry>\n"));
        }
        out.push_str("  </section>\n");
    }
    out.push_str("</config>\n");
    out
}
