//! Moderated retraction — XEP-0425 0.3.0, sections 3 (request, broadcast), 4 (tombstones).
//!
//! In    `<moderate/>` with the stanza-id of a message, of a moderator.
//! Out   `<retract/>` to all; the message in history and archive becomes a tombstone, before anybody is told.
//! Errors `forbidden` to others, `item-not-found` for an id that the room does not know.

use shared_model::Role;
use xmpp_core::payload::delay::date_time;
use xmpp_core::{Element, ErrorKind, Jid, Kind, Stanza, StanzaError, ns};

use super::room::{Effects, Room};

/// A message that is retracted, and what is told of it.
pub(crate) struct Retraction {
    /// Its stanza-id.
    pub(crate) id: String,
    /// What stands in its place.
    pub(crate) tombstone: Element,
}

impl Room {
    /// A moderator's request.
    pub(crate) fn moderate(
        &mut self,
        moderate: &Element,
        from: &Jid,
        now: i64,
        out: &mut Effects,
    ) -> Result<(), StanzaError> {
        let id = moderate.attribute("id").ok_or(ErrorKind::BadRequest)?.to_owned();
        moderate.find("retract", ns::RETRACT).ok_or(ErrorKind::FeatureNotImplemented)?;
        let moderator = self.occupant(from).filter(|me| me.role == Role::Moderator).cloned();
        let Some(moderator) = moderator else {
            let why = "only moderators moderate the messages of others";
            return Err(StanzaError::because(ErrorKind::Forbidden, why));
        };
        if self.earlier(&id).is_none() {
            return Err(ErrorKind::ItemNotFound.into());
        }
        let by = self.occupant_jid(&moderator.nick);
        let moderated = Element::new("moderated", ns::MODERATE).with("by", &by).child(self.occupant_id(from));
        let filled = |element: Element| {
            let element = element.child(moderated.clone());
            match moderate.text_of("reason") {
                Some(reason) => element.text_child("reason", reason),
                None => element,
            }
        };
        let tombstone = filled(Element::new("retracted", ns::RETRACT).with("stamp", date_time(now)));
        let retract = filled(Element::new("retract", ns::RETRACT).with("id", &id));
        let own = crate::archive::new_id(now);
        let stanza_id = Element::new("stanza-id", ns::STANZA_ID).with("id", &own).with("by", &self.jid);
        let told =
            Stanza::new(Kind::Message, Some("groupchat")).with_id(Some(&own)).with(&retract).with(&stanza_id);
        let told = told.addressed(Some(&self.jid), None);
        self.bury(id, tombstone, out);
        self.remember(&told, &own, &self.jid.clone(), now, out);
        self.broadcast(&told, out);
        Ok(())
    }
}

impl Room {
    /// The id of a message that somebody who may retract wants retracted and that the history does not hold, so that it is looked
    /// for in the archive.
    pub(crate) fn wants_recalled(&self, stanza: &Stanza) -> Option<String> {
        if !self.config.is_archived() || !stanza.may_have(ns::RETRACT) {
            return None;
        }
        let role = self.occupant(stanza.from.as_ref()?)?.role;
        let asks = |child: &Element| match stanza.kind {
            Kind::Iq => role == Role::Moderator && child.is("moderate", ns::MODERATE),
            Kind::Message => role.has_voice() && child.is("retract", ns::RETRACT),
            Kind::Presence => false,
        };
        let id = stanza.children().iter().find(|child| asks(child))?.attribute("id")?.to_owned();
        self.earlier(&id).is_none().then_some(id)
    }

    /// What the room said under this id.
    pub(super) fn earlier(&self, id: &str) -> Option<&Stanza> {
        let said = self.history.iter().map(|(_, message)| message).chain(&self.recalled);
        said.into_iter().find(|message| has_id(message, id))
    }

    /// A tombstone stands for a message from now on.
    pub(super) fn bury(&mut self, id: String, tombstone: Element, out: &mut Effects) {
        if let Some((_, message)) = self.history.iter_mut().find(|(_, message)| has_id(message, &id)) {
            *message = buried(message.clone(), &tombstone);
        }
        out.retractions.push(Retraction { id, tombstone });
    }
}

/// A message without what it said (§4): its ids and its author's occupant id stay.
pub(crate) fn buried(message: Stanza, tombstone: &Element) -> Stanza {
    let stays = |child: &Element| child.is("stanza-id", ns::STANZA_ID) || child.ns == ns::OCCUPANT_ID;
    message.retain(stays).with(tombstone)
}

fn has_id(message: &Stanza, id: &str) -> bool {
    message.mentions(id)
        && message
            .children()
            .iter()
            .any(|c| c.is("stanza-id", ns::STANZA_ID) && c.attribute("id") == Some(id))
}
