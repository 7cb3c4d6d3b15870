//! Call-Info with `purpose=impp` — RFC 7081 §3.5, RFC 6993 §2: who calls, as a JID.
//!
//! In    an INVITE on its way, and who proved to have sent it.
//! Out   exactly one impp entry, ours, first and on its own line, with the bare JID as `xmpp:` URI; or none.
//! Errors none: a claim that we cannot prove is taken off, whoever made it (it is a cue that people would trust).
//! Not here: other purposes, which pass untouched.

use shared_model::Spec;
use sip_core::Message;
use sip_core::header::{Name, NameAddr};

use super::Passage;

/// RFC 7081.
pub const SPEC: Spec =
    Spec::rfc(7081).note("service side: Call-Info, vCard tel, roominfo, conference, provisioning");
/// RFC 6993.
pub const PURPOSE: Spec = Spec::rfc(6993).complete();

/// Takes every impp entry off, and puts ours first if the caller is proved and does not hide.
pub fn apply(request: &mut Message, passage: &Passage<'_>) {
    request.retain_elements(Name::CallInfo, |entry| !is_impp(entry));
    let is_call = request.method() == "INVITE" && passage.is_initial;
    if let Some(caller) = passage.caller.filter(|_| is_call && !passage.is_anonymous) {
        request.push_front(Name::CallInfo, &format!("<{}>;purpose=impp", caller.jid.to_xmpp_uri()));
    }
}

fn is_impp(entry: &str) -> bool {
    let purpose = NameAddr::parse(entry).and_then(|entry| entry.params.value("purpose"));
    match purpose {
        Some(purpose) => purpose.eq_ignore_ascii_case("impp"),
        // What cannot be read could be read by somebody else.
        None => entry.to_ascii_lowercase().contains("impp"),
    }
}

#[cfg(test)]
mod tests {
    use shared_auth::{How, Identity};
    use shared_model::{AccountId, Aor, BareJid};

    use super::super::Destination;
    use super::*;

    fn alice() -> Identity {
        Identity {
            account: AccountId(1),
            aor: Aor::new("100", "example.org").unwrap(),
            jid: BareJid::new("alice", "example.org").unwrap(),
            how: How::Plain,
        }
    }

    fn pass(call_info: &[&str], caller: Option<&Identity>, is_anonymous: bool) -> Vec<String> {
        let mut request = Message::request("INVITE", "sip:b@x");
        for value in call_info {
            request.push(Name::CallInfo, value);
        }
        apply(&mut request, &Passage { caller, is_anonymous, is_initial: true, to: Destination::Device });
        request.values(Name::CallInfo).map(str::to_owned).collect()
    }

    #[test]
    fn a_proved_caller_is_announced_first_on_a_line_of_its_own() {
        let told =
            pass(&["<http://x/a.png>;purpose=icon, <xmpp:mallory@x>;purpose=IMPP"], Some(&alice()), false);
        assert_eq!(told, ["<xmpp:alice@example.org>;purpose=impp", "<http://x/a.png>;purpose=icon"]);
    }

    #[test]
    fn a_claim_of_a_stranger_is_taken_off() {
        assert!(pass(&["<xmpp:alice@example.org>;purpose=impp"], None, false).is_empty());
        assert!(pass(&["<xmpp:alice@example.org> ; Purpose = \"impp\""], None, false).is_empty());
    }

    #[test]
    fn who_hides_is_not_announced() {
        assert!(pass(&["<xmpp:alice@example.org>;purpose=impp"], Some(&alice()), true).is_empty());
    }
}
