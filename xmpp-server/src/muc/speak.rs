//! Messages to all — XEP-0045 §7.4 (messages), §7.9 (earlier history), §8.1 (subject).
//!
//! In    messages for the room itself; forms and invitations among them go to who handles them.
//! Out   copies from `room@service/nick` with a stanza-id (XEP-0359).
//! Errors `not-acceptable` from who is not inside, `forbidden` without voice, `item-not-found` while the room is locked.

use shared_model::{Affiliation, Role, RoomEvent};
use xmpp_core::payload::form::Form;
use xmpp_core::{Element, ErrorKind, Jid, Kind, Stanza, StanzaError, ns};

use super::register::REGISTRATION;
use super::room::{Effects, Occupant, Room, Subject};
use super::voice::VOICE_REQUEST;
use super::{call_command, call_moderation};

impl Room {
    /// A message to the room itself.
    pub(crate) fn message(
        &mut self,
        message: &Stanza,
        from: &Jid,
        now: i64,
        out: &mut Effects,
    ) -> Result<(), StanzaError> {
        if message.is_type("groupchat") {
            // §17.2, rule 3: officially a locked room is not there yet.
            let stranger = if self.is_locked { ErrorKind::ItemNotFound } else { ErrorKind::NotAcceptable };
            let speaker = self.occupant(from).cloned().ok_or(stranger)?;
            let children = message.children();
            let has = |name: &str| children.iter().any(|child| child.is(name, ns::CLIENT));
            // §8.1: a subject alone changes the subject; with a body or thread it is but a message.
            if has("subject") && !has("body") && !has("thread") {
                return self.change_subject(message, &speaker, &children, now, out);
            }
            return self.say(message, &speaker, children, now, out);
        }
        if self.is_locked && self.affiliation(from) != Affiliation::Owner {
            return Err(ErrorKind::ItemNotFound.into()); // §17.2, rule 3
        }
        if let Some(x) = message.find("x", ns::MUC_USER) {
            return self.mediate(message, &x, from, out);
        }
        let form = message.find("x", ns::FORM).as_ref().and_then(Form::parse).ok_or(ErrorKind::BadRequest)?;
        match form.value("FORM_TYPE") {
            Some(VOICE_REQUEST) => self.ask_for_voice(&form, message, from, now, out),
            Some(REGISTRATION) => self.decide_on_member(&form, from, out),
            _ => Err(ErrorKind::BadRequest.into()),
        }
    }

    fn say(
        &mut self,
        message: &Stanza,
        speaker: &Occupant,
        children: Vec<Element>,
        now: i64,
        out: &mut Effects,
    ) -> Result<(), StanzaError> {
        if !speaker.role.has_voice() {
            return Err(ErrorKind::Forbidden.into()); // §7.4
        }
        self.keep_pace(&speaker.jid, &children, now)?;
        if let Some(words) = call_command::asked(&children) {
            if words.is_empty() {
                self.invite_to_call(message, &speaker.jid, &speaker.nick, now, out);
            } else {
                self.call_out(message, &words, &speaker.jid, out);
            }
            return Ok(());
        }
        if let Some(wish) = call_moderation::asked(&children) {
            self.moderate_call(message, wish, speaker, out);
            return Ok(());
        }
        self.retract(message, &children, speaker, now, out)?;
        let id = crate::archive::new_id(now);
        // §7.9: an owner brings what was said before the room was made, with its times; nobody delays in the room's name.
        let is_owner = self.affiliation(&speaker.jid) == Affiliation::Owner;
        let earlier = children.iter().find(|child| child.ns == ns::DELAY && is_owner).cloned();
        let mut content = strip(children);
        content.extend(earlier.filter(|delay| delay.attribute("from") != Some(self.jid.as_str())));
        content.push(self.occupant_id(&speaker.jid));
        content.push(Element::new("stanza-id", ns::STANZA_ID).with("id", &id).with("by", &self.jid));
        let copy =
            message.clone().with_content(&content).addressed(Some(&self.occupant_jid(&speaker.nick)), None);
        if crate::archive::is_worth_keeping(message) {
            self.remember(&copy, &id, &speaker.jid, now, out);
        }
        self.broadcast(&copy, out);
        out.causes.push(message.clone());
        Ok(())
    }

    fn change_subject(
        &mut self,
        message: &Stanza,
        speaker: &Occupant,
        children: &[Element],
        now: i64,
        out: &mut Effects,
    ) -> Result<(), StanzaError> {
        let may = speaker.role == Role::Moderator
            || (self.config.anyone_changes_subject && speaker.role.has_voice());
        if !may {
            return Err(ErrorKind::Forbidden.into());
        }
        let text = children
            .iter()
            .find(|child| child.is("subject", ns::CLIENT))
            .map(Element::text)
            .unwrap_or_default();
        self.subject = Subject { text: text.clone(), nick: speaker.nick.clone(), time: now };
        out.save = true;
        let id = crate::archive::new_id(now);
        let mut content = strip(children.to_vec());
        content.push(self.occupant_id(&speaker.jid));
        content.push(Element::new("stanza-id", ns::STANZA_ID).with("id", &id).with("by", &self.jid));
        let copy =
            message.clone().with_content(&content).addressed(Some(&self.occupant_jid(&speaker.nick)), None);
        self.remember(&copy, &id, &speaker.jid, now, out);
        self.broadcast(&copy, out);
        out.facts.push(RoomEvent::SubjectChanged { room: self.address.clone(), subject: text });
        Ok(())
    }

    /// §7.2.15: the subject, which ends the entrance; empty if there is none.
    pub(crate) fn subject_message(&self) -> Stanza {
        let subject = Element::new("subject", ns::CLIENT);
        let subject =
            if self.subject.text.is_empty() { subject } else { subject.text_node(self.subject.text.clone()) };
        let message = Stanza::new(Kind::Message, Some("groupchat")).with(&subject);
        if self.subject.time == 0 {
            return message;
        }
        message.with(&xmpp_core::payload::delay::delay(self.jid.as_str(), self.subject.time))
    }

    /// Who set the subject, or the room.
    pub(crate) fn subject_from(&self) -> Jid {
        if self.subject.nick.is_empty() { self.jid.clone() } else { self.occupant_jid(&self.subject.nick) }
    }
}

/// Content without what only a room may add (XEP-0359 §5, XEP-0421 §6, XEP-0203 §4).
pub(crate) fn strip(children: Vec<Element>) -> Vec<Element> {
    let is_theirs = |child: &Element| {
        !matches!(child.ns.as_str(), ns::OCCUPANT_ID | ns::MUC_USER | ns::DELAY)
            && !child.is("stanza-id", ns::STANZA_ID)
    };
    children.into_iter().filter(is_theirs).collect()
}
