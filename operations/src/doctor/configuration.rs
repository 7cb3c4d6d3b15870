//! Whether both halves are protected alike — RFC 7081 §7: no half may be weaker than the other.

use super::{Findings, Ward};

pub(super) fn check(ward: &Ward, found: &mut Findings) {
    let has = |name: &str| ward.faces.iter().any(|face| face.name == name);
    if !ward.requires_tls {
        let text = "tls.require is false: both halves take passwords in the clear from anywhere";
        let remedy = "set tls.require = true, unless this is a laboratory";
        if ward.is_private() { found.note(text, remedy) } else { found.warning(text, remedy) }
    }
    match (has("sip.tls"), has("xmpp.c2s") || has("xmpp.c2s_tls")) {
        (true, true) => {
            found.ok("calls and chat can both be protected by TLS, by one certificate and one policy")
        }
        (false, true) => found.warning(
            "sip.tls listens nowhere: chat can be protected, and what is dialled cannot",
            "give sip.tls an address, such as 0.0.0.0:5061",
        ),
        (true, false) => found.warning(
            "xmpp listens nowhere: accounts have one half",
            "give xmpp.c2s an address, such as 0.0.0.0:5222",
        ),
        (false, false) => {
            found.error("neither half listens for TLS", "give sip.tls and xmpp.c2s_tls addresses");
        }
    }
    if ward.digests.iter().all(|word| word.eq_ignore_ascii_case("MD5")) {
        found.warning(
            "auth.algorithms has MD5 alone: what telephones prove is weaker than what chat proves",
            "put SHA-256 before it (RFC 8760)",
        );
    } else if ward.digests.iter().any(|word| word.eq_ignore_ascii_case("MD5")) {
        found.note("MD5 is offered to telephones, after stronger ones; many know nothing else", "");
    }
    if !has("http.https") {
        found.warning("http.https listens nowhere: no client can configure itself", "give it an address");
    }
}
