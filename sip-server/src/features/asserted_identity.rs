//! P-Asserted-Identity — RFC 3325 §5 (proxy behaviour), §9.1, §9.2; the trust domain is this service.
//!
//! In    a request on its way, a response on its way back.
//! Out   ours is the only assertion: what came from outside is taken off. A caller of several identities prefers one by
//! P-Preferred-Identity (§9.2), which is removed; accounts have one AOR, so there is nothing to choose.
//! An assertion goes to our own endpoints always, and to devices unless the sender wants to stay unknown (§7).

use shared_model::Spec;
use sip_core::Message;
use sip_core::header::Name;

use super::{Destination, Passage, Reply, privacy};

/// RFC 3325.
pub const SPEC: Spec = Spec::rfc(3325)
    .note("asserted towards our devices and the focus, both ways; removed towards others and from strangers");

/// Takes foreign assertions off and puts ours on.
pub fn apply(request: &mut Message, passage: &Passage<'_>) {
    strip(request);
    let may_tell = match passage.to {
        Destination::Trusted => true,
        Destination::Device => !passage.is_anonymous,
        Destination::Foreign => false,
    };
    if let Some(caller) = passage.caller.filter(|_| may_tell) {
        request.push(Name::PAssertedIdentity, &format!("<{}>", caller.aor.to_sip_uri()));
    }
}

/// The same for who answered. What the focus says of itself stays.
pub fn apply_to_response(response: &mut Message, reply: &Reply<'_>) {
    if reply.from == Destination::Trusted {
        return;
    }
    let hides = privacy::is_wished(response);
    strip(response);
    let tells_who = response.status() > 100 && (reply.to_trusted || !hides);
    if let Some(callee) = reply.callee.filter(|_| tells_who && reply.request.method() == "INVITE") {
        response.push(Name::PAssertedIdentity, &format!("<{}>", callee.aor.to_sip_uri()));
    }
}

fn strip(message: &mut Message) {
    message.remove(Name::PAssertedIdentity);
    message.remove(Name::PPreferredIdentity);
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bob, reply};
    use super::*;

    fn answered(privacy: &str, to_trusted: bool) -> Option<String> {
        let (request, bob) = (Message::request("INVITE", "sip:b@x"), bob());
        let mut response = Message::response(&request, 200, "");
        response.push(Name::PAssertedIdentity, "<sip:mallory@x>");
        response.push(Name::Privacy, privacy);
        apply_to_response(&mut response, &Reply { to_trusted, ..reply(&request, Some(&bob)) });
        assert!(response.values(Name::PAssertedIdentity).count() < 2);
        response.value(Name::PAssertedIdentity).map(str::to_owned)
    }

    #[test]
    fn who_answers_is_asserted_by_us_unless_they_hide() {
        assert_eq!(answered("none", false).as_deref(), Some("<sip:200@example.org>"));
        assert_eq!(answered("id", false), None);
        assert_eq!(answered("id", true).as_deref(), Some("<sip:200@example.org>"));
    }
}
