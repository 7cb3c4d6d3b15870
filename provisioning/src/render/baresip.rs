//! baresip: a line of `accounts`, and what `config` must say for it.
//!
//! `accounts` is one line an account, `"name" <uri>;parameter=value`; names lose their quotes and backslashes, since
//! baresip 1.0 knows no escapes, and a password that ends at a space or a semicolon is none: its file gets a word. baresip verifies servers only if it is told to (`sip_verify_server`).

use super::{Plan, line};
use crate::profile::{Calls, shown_name};

/// `~/.baresip/accounts`.
pub(super) fn accounts(plan: &Plan<'_>) -> String {
    let (card, access) = (plan.card, plan.parts.best_sip());
    let name = line(shown_name(card)).replace(['"', '\\', '<', '>', ';'], "");
    let mediaenc = match plan.chosen.srtp {
        Calls::Required => ";mediaenc=srtp-mand",
        Calls::Preferred => ";mediaenc=srtp",
        Calls::Off => "",
    };
    let video = if plan.chosen.video { "" } else { ";video_codecs=" };
    format!(
        "\"{name}\" <{uri};transport={transport}>;auth_user={user};auth_pass={password};outbound=\"{outbound}\";\
         regint={seconds}{mediaenc}{video}\n",
        uri = card.aor.to_sip_uri(),
        transport = access.transport,
        user = line(card.aor.local()),
        password = plan.password,
        outbound = plan.parts.registrar(),
        seconds = plan.chosen.register_seconds,
    )
}

/// Lines for `~/.baresip/config`.
pub(super) fn config(plan: &Plan<'_>) -> String {
    let srtp = if plan.chosen.srtp == Calls::Off { "" } else { "module srtp.so\n" };
    let ca = match plan.parts.ca {
        Some(_) => {
            "# The service has an authority of its own: put /provision/ca.pem where baresip is started.\nsip_cafile ca.pem\n"
        }
        None => "sip_cafile /etc/ssl/certs/ca-certificates.crt\n",
    };
    format!(
        "# Beside what `baresip` wrote itself.\n{ca}sip_verify_server yes\n{srtp}module opus.so\nmodule g711.so\n"
    )
}
