//! `/call` in a room — XEP-0482 0.1.0, sections 2.1 (an invitation with external URIs), 3.1 (its id is the room's); B-12.
//!
//! In    the message `/call` of an occupant with voice; whom words after it name is called ([`super::call_out`]).
//! Out   instead of it, from the room to all: an invitation to the room's call at its SIP address, with a line for clients that do not
//!       know invitations. It is archived as other messages are, under the id by which it is accepted.
//! Errors those of other messages: no voice, too fast.

use shared_model::Spec;
use xmpp_core::{Element, Jid, Kind, Stanza, ns};

use super::room::{Effects, Room};

pub(crate) const SPEC: Spec =
    Spec::xep(482, "0.1.0").note("archived and passed; rooms invite to their own call, by its SIP address");

/// What stands after `/call` in a message that begins with it: nothing if all are to be invited.
pub(crate) fn asked(children: &[Element]) -> Option<String> {
    let text = children.iter().find(|child| child.is("body", ns::CLIENT))?.text();
    let words = text.trim().strip_prefix("/call")?;
    (words.is_empty() || words.starts_with(char::is_whitespace)).then(|| words.trim().to_owned())
}

impl Room {
    /// Invites all to the room's call.
    pub(crate) fn invite_to_call(
        &mut self,
        message: &Stanza,
        asker: &Jid,
        nick: &str,
        now: i64,
        out: &mut Effects,
    ) {
        let uri = self.address.to_sip_uri();
        let invite = Element::new("invite", "urn:xmpp:call-invites:0")
            .with("video", "false")
            .child(Element::new("external", "urn:xmpp:call-invites:0").with("uri", &uri));
        let id = crate::archive::new_id(now);
        let invitation = Stanza::new(Kind::Message, Some("groupchat"))
            .with_id(Some(message.id.as_deref().unwrap_or(&id)))
            .with(&Element::new("body", ns::CLIENT).text_node(format!("{nick} invites to the call: {uri}")))
            .with(&invite)
            .with(&Element::new("stanza-id", ns::STANZA_ID).with("id", &id).with("by", &self.jid))
            .addressed(Some(&self.jid), None);
        self.remember(&invitation, &id, asker, now, out);
        self.broadcast(&invitation, out);
        out.causes.push(message.clone());
    }
}
