//! Message carbons — XEP-0280 1.0.1, sections 4 and 5 (enable, disable), 6.1 (which), 7 (received), 8 (sent), 9 (private).
//!
//! A resource that enabled carbons gets a copy of what the user's other resources send and receive.
//!
//! In    a message that a local user sent, or that was delivered to some of their resources.
//! Out   `<sent/>` or `<received/>` around it, for each enabled resource but those concerned.
//! State a mark at the session, lost with it. A copy that a client does not get is gone, if another has the message.
//! Errors `not-allowed` for somebody else's carbons. What may not be copied passes unchanged.
//! Not here: errors are copied whatever they answer, so that `urn:xmpp:carbons:rules:0` is not claimed.

use std::sync::Arc;

use shared_model::Spec;
use xmpp_core::payload::forward;
use xmpp_core::{Element, ErrorKind, Jid, Kind, Stanza, ns};

use super::{Answer, Answered, Feature, Request};
use crate::router::Among;
use crate::router::Router;
use crate::server::Server;

const SPEC: Spec = Spec::xep(280, "1.0.1").complete();

pub(super) const FEATURE: Feature = Feature {
    specs: &[SPEC, Spec::xep(297, "1.0").complete()],
    takes: &[("enable", ns::CARBONS), ("disable", ns::CARBONS)],
    server: &[ns::CARBONS],
    account: &[],
    answer: |server, request| Box::pin(async { answer(server, request) }),
};

fn answer(server: &Server, request: &Request) -> Answered {
    request.own_account().ok_or(ErrorKind::NotAllowed)?;
    if !request.is_set {
        return Err(ErrorKind::BadRequest.into());
    }
    let wants = request.payload.name == "enable";
    server.router.mark(&request.from, |session| session.wants_carbons = wants);
    Ok(Answer::default())
}

/// §8: copies for the sender's other resources. A message to oneself is copied where it arrives.
pub(crate) fn copy_sent(router: &Router, sender: &Jid, message: &Stanza) {
    let is_to_self = message.to.as_ref().is_some_and(|to| to.bare_str() == sender.bare_str());
    if !is_to_self {
        copy(router, sender, message, ("sent", None), |resource| resource == sender);
    }
}

/// §7: copies for the recipient's resources that did not get it, of what those that `got` it have, too.
pub(crate) fn copy_received(
    router: &Router,
    user: &Jid,
    message: &Stanza,
    got: &[Jid],
    among: Option<&Arc<Among>>,
) {
    let is_private = |from: &Jid| {
        message.find("x", ns::MUC_USER).is_some_and(|x| x.get("invite").is_none()) && !from.is_bare()
    };
    if message.from.as_ref().is_some_and(is_private) {
        return; // §6.1: the room sends it to every client that is inside
    }
    let sender = message.from.as_ref();
    let knows = |resource: &Jid| got.contains(resource) || Some(resource) == sender;
    copy(router, user, message, ("received", among), knows);
}

fn copy(
    router: &Router,
    user: &Jid,
    message: &Stanza,
    (direction, among): (&str, Option<&Arc<Among>>),
    knows: impl Fn(&Jid) -> bool,
) {
    let wanting = router.those(user.bare_str(), |session| session.wants_carbons && !knows(&session.jid));
    if wanting.is_empty() || !is_eligible(message) {
        return;
    }
    let content = forward::wrap(&Element::new(direction, ns::CARBONS), &message.to_bytes(), None);
    let carbon = Stanza::new(Kind::Message, message.type_.as_deref()).with_raw(content);
    let from = user.to_bare();
    for session in wanting {
        session.push_copy(&carbon.clone().addressed(Some(&from), Some(&session.jid)), among);
    }
}

/// §6.1.
pub(crate) fn is_eligible(message: &Stanza) -> bool {
    if message.kind != Kind::Message || message.mentions(ns::CARBONS) {
        return false; // private, or a copy itself
    }
    if message.mentions(ns::HINTS) && message.find("no-copy", ns::HINTS).is_some() {
        return false;
    }
    match message.type_.as_deref().unwrap_or("normal") {
        "chat" | "error" => true,
        "groupchat" | "headline" => false,
        _ => message.mentions("<body") || SAYING.iter().any(|ns| message.mentions(ns)),
    }
}

/// What is conversation without a body (§6.1): receipts, chat states, markers, invitations, reactions, retractions, calls.
const SAYING: &[&str] = &[
    ns::RECEIPTS,
    ns::CHAT_STATES,
    ns::MARKERS,
    ns::DIRECT_INVITE,
    ns::MUC_USER,
    ns::RETRACT,
    "urn:xmpp:reactions:0",
    "urn:xmpp:jingle-message:0",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_what_section_6_1_lists() {
        let eligible = |text: &str| is_eligible(&Stanza::parse(text).unwrap());
        for yes in [
            "<message type='chat'/>",
            "<message><body>x</body></message>",
            "<message><received xmlns='urn:xmpp:receipts' id='1'/></message>",
            "<message><x xmlns='jabber:x:conference' jid='r@x'/></message>",
            "<message type='error'/>",
            "<message><reactions xmlns='urn:xmpp:reactions:0' id='1'><reaction>x</reaction></reactions></message>",
        ] {
            assert!(eligible(yes), "{yes}");
        }
        for no in [
            "<message/>",
            "<message type='groupchat'><body>x</body></message>",
            "<message type='headline'><body>x</body></message>",
            "<message type='chat'><body>x</body><private xmlns='urn:xmpp:carbons:2'/></message>",
            "<message type='chat'><body>x</body><no-copy xmlns='urn:xmpp:hints'/></message>",
            "<message type='chat'><sent xmlns='urn:xmpp:carbons:2'/></message>",
        ] {
            assert!(!eligible(no), "{no}");
        }
    }
}
