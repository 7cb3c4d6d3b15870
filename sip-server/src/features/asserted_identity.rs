//! P-Asserted-Identity — RFC 3325 §5 (proxy behaviour), §7, §9.1, §9.2; the trust domain is this service, and the peers
//! that are configured as trusted.
//!
//! In    a request on its way, a response on its way back.
//! Out   ours is the only assertion but for that of a trusted peer: what came from outside is taken off. A caller of
//! several addresses prefers one by P-Preferred-Identity (§9.2), which is removed.
//! An assertion goes to our own endpoints and to trusted peers always, and to devices unless the sender wants to stay
//! unknown (§7).
//! The focus is told beside it what proved the caller, since a leg ends with that.
//! Remote-Party-ID, which phones believed before there was this header, and P-Asserted-Service (RFC 6050 §4.1) go the same way. What proxies of
//! one network tell each other (RFC 7315 §5) goes from trusted peers to trusted peers alone.

use shared_model::Spec;
use sip_core::Message;
use sip_core::header::Name;

use super::{Destination, Passage, Reply, privacy};

/// RFC 3325.
pub const SPEC: Spec = Spec::rfc(3325).note(
    "asserted towards devices, the focus and trusted peers; believed from these peers, but not about whose mailbox it is; removed elsewhere",
);

/// RFC 6050.
pub const SERVICE: Spec = Spec::rfc(6050)
    .note("P-Asserted-Service of whoever is not trusted is taken off (§4.1); none is asserted");

/// Takes foreign assertions off and puts ours on.
pub fn apply(request: &mut Message, passage: &Passage<'_>) {
    // Who has the focus call somebody pays for that, which is nobody's word but a proof's.
    let is_refer = request.method() == "REFER" && passage.to == Destination::Trusted;
    let is_believed = passage.from_trusted && passage.caller.is_none() && !is_refer;
    request.remove_all(&WISHES);
    let may_tell = match passage.to {
        Destination::Trusted => true,
        Destination::Device => !passage.is_anonymous,
        Destination::Foreign => passage.to_trusted,
    };
    if !(is_believed && may_tell) {
        request.remove_all(&CLAIMS);
    }
    if !(passage.from_trusted && passage.to_trusted) {
        request.remove_all(&OF_NETWORKS);
    }
    if passage.to == Destination::Trusted {
        request.remove_other(PROVED_BY);
        if let Some(caller) = passage.caller {
            request.push_other(PROVED_BY, &caller.bound_by().word());
        }
    }
    if let Some(caller) = passage.caller.filter(|_| may_tell) {
        let usual = || format!("<{}>", caller.aor.to_sip_uri());
        request.push(Name::PAssertedIdentity, &passage.asserted.map_or_else(usual, str::to_owned));
    }
}

/// The same for who answered. What the focus says of itself stays.
pub fn apply_to_response(response: &mut Message, reply: &Reply<'_>) {
    if reply.from == Destination::Trusted {
        return;
    }
    let hides = privacy::is_wished(response);
    if reply.from_trusted && (reply.to_trusted || !hides) {
        response.remove_all(&WISHES);
        if !reply.to_trusted {
            response.remove_all(&OF_NETWORKS);
        }
        return;
    }
    strip(response);
    let tells_who = response.status() > 100 && (reply.to_trusted || !hides);
    if let Some(callee) = reply.callee.filter(|_| tells_who && reply.request.method() == "INVITE") {
        response.push(Name::PAssertedIdentity, &format!("<{}>", callee.aor.to_sip_uri()));
    }
}

/// Takes off what says who sent a message: of somebody who is not known to be trusted.
pub(crate) fn strip(message: &mut Message) {
    for names in [&WISHES[..], &CLAIMS, &OF_NETWORKS] {
        message.remove_all(names);
    }
}

/// For the first proxy alone (RFC 3325 §9.2, RFC 6050 §4.2).
const WISHES: [Name; 2] = [Name::PPreferredIdentity, Name::PPreferredService];
const CLAIMS: [Name; 3] = [Name::PAssertedIdentity, Name::RemotePartyId, Name::PAssertedService];
/// What proved the caller, for the focus alone.
const PROVED_BY: &str = "P-Proved-By";
const OF_NETWORKS: [Name; 3] = [Name::PCalledPartyId, Name::PChargingVector, Name::PAccessNetworkInfo];

#[cfg(test)]
mod tests {
    use super::super::tests::{alice, bob, passage, reply};
    use super::*;
    use shared_auth::Identity;

    fn answered(privacy: &str, to_trusted: bool) -> Option<String> {
        let (request, bob) = (Message::request("INVITE", "sip:b@x"), bob());
        let mut response = Message::response(&request, 200, "");
        response.push(Name::PAssertedIdentity, "<sip:mallory@x>");
        response.push(Name::Privacy, privacy);
        response.push(Name::RemotePartyId, "<sip:mallory@x>;party=called;screen=yes");
        apply_to_response(&mut response, &Reply { to_trusted, ..reply(&request, Some(&bob)) });
        assert_eq!(response.value(Name::RemotePartyId), None);
        assert!(response.values(Name::PAssertedIdentity).count() < 2);
        response.value(Name::PAssertedIdentity).map(str::to_owned)
    }

    fn passed(passage: Passage<'_>) -> Vec<String> {
        passed_of("INVITE", passage)
    }

    fn passed_of(method: &str, passage: Passage<'_>) -> Vec<String> {
        let mut request = Message::request(method, "sip:b@x");
        request.push(Name::PAssertedIdentity, "<sip:somebody@peer.example>, <tel:+15550100>");
        request.push(Name::PPreferredIdentity, "<sip:mallory@x>");
        request.push(Name::PChargingVector, "icid-value=1");
        apply(&mut request, &passage);
        assert_eq!(request.value(Name::PPreferredIdentity), None);
        assert_eq!(
            request.value(Name::PChargingVector).is_some(),
            passage.from_trusted && passage.to_trusted
        );
        request.elements(Name::PAssertedIdentity).map(str::to_owned).collect()
    }

    #[test]
    fn a_trusted_peer_is_believed_and_told_and_a_stranger_is_neither() {
        let (alice, theirs) = (alice(), ["<sip:somebody@peer.example>", "<tel:+15550100>"]);
        let ours = ["<sip:100@example.org>"];
        let (nobody, caller) = (passage(None), passage(Some(&alice)));
        assert!(passed(nobody).is_empty());
        assert_eq!(passed(Passage { from_trusted: true, ..nobody }), theirs);
        assert!(
            passed(Passage { from_trusted: true, is_anonymous: true, ..nobody }).is_empty(),
            "the peer hides them"
        );
        assert_eq!(passed(Passage { from_trusted: true, ..caller }), ours, "a proof is worth more");
        let (foreign, asserted) = (Destination::Foreign, Some("<tel:+15550199>"));
        assert!(passed(Passage { to: foreign, ..caller }).is_empty());
        assert_eq!(passed(Passage { to: foreign, to_trusted: true, is_anonymous: true, ..caller }), ours);
        assert_eq!(passed(Passage { asserted, ..caller }), ["<tel:+15550199>"]);
        assert!(passed(Passage { to: foreign, from_trusted: true, ..nobody }).is_empty());
        let room = Destination::Trusted;
        assert_eq!(passed(Passage { to: room, from_trusted: true, ..nobody }), theirs);
        assert!(passed_of("REFER", Passage { to: room, from_trusted: true, ..nobody }).is_empty());
        assert_eq!(passed_of("REFER", Passage { to: room, ..caller }), ours);
    }

    #[test]
    fn what_phones_believed_before_is_believed_of_the_same() {
        let alice = alice();
        let shown = |passage: Passage<'_>| {
            let mut request = Message::request("INVITE", "sip:b@x");
            request.push(Name::RemotePartyId, "\"Root\" <sip:root@example.org>;party=calling;screen=yes");
            request.push(Name::PAssertedService, "urn:urn-7:3gpp-service.ims.icsi.mmtel");
            apply(&mut request, &passage);
            let is_shown = request.value(Name::RemotePartyId).is_some();
            assert_eq!(request.value(Name::PAssertedService).is_some(), is_shown);
            is_shown
        };
        assert!(!shown(passage(None)) && !shown(passage(Some(&alice))));
        let peer = Passage { from_trusted: true, ..passage(None) };
        assert!(shown(peer) && !shown(Passage { is_anonymous: true, ..peer }));
    }

    #[test]
    fn the_focus_alone_is_told_what_proved_a_caller_and_by_us_alone() {
        let (alice, desk) = (alice(), Identity { app: Some("DESK".to_owned()), ..alice() });
        let told = |passage: Passage<'_>| {
            let mut request = Message::request("INVITE", "sip:room@x");
            request.push_other(PROVED_BY, "otherwise");
            apply(&mut request, &passage);
            request.other_values(PROVED_BY).map(str::to_owned).collect::<Vec<_>>()
        };
        let room = Destination::Trusted;
        assert_eq!(told(Passage { to: room, ..passage(Some(&alice)) }), ["password"]);
        assert_eq!(told(Passage { to: room, ..passage(Some(&desk)) }), ["device:DESK"]);
        assert!(told(Passage { to: room, from_trusted: true, ..passage(None) }).is_empty());
    }

    #[test]
    fn who_answers_is_asserted_by_us_unless_they_hide() {
        assert_eq!(answered("none", false).as_deref(), Some("<sip:200@example.org>"));
        assert_eq!(answered("id", false), None);
        assert_eq!(answered("id", true).as_deref(), Some("<sip:200@example.org>"));
    }
}
