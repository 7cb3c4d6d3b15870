//! Messages — XEP-0045 §7.4 (to all), §7.5 (private), §7.8 (invitations), §7.13 (asking for voice), §8.1 (subject).
//!
//! In    messages for the room or an occupant.
//! Out   copies from `room@service/nick`; a stanza-id (XEP-0359) on what goes to all.
//! Errors `not-acceptable` from who is not inside, `forbidden` without voice, `item-not-found` for a nick that is not there.

use shared_model::{Affiliation, Role, RoomEvent};
use xmpp_core::payload::form::Form;
use xmpp_core::{Element, ErrorKind, Jid, Kind, Stanza, StanzaError, ns};

use super::room::{Effects, Occupant, Room, Subject};

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
            let speaker = self.occupant(from).cloned().ok_or(ErrorKind::NotAcceptable)?;
            let children = message.children();
            let has = |name: &str| children.iter().any(|child| child.is(name, ns::CLIENT));
            // §8.1: a subject alone changes the subject; with a body or thread it is but a message.
            if has("subject") && !has("body") && !has("thread") {
                return self.change_subject(message, &speaker, &children, now, out);
            }
            return self.say(message, &speaker, children, now, out);
        }
        if let Some(x) = message.find("x", ns::MUC_USER) {
            return self.mediate(&x, from, out);
        }
        if let Some(form) = message.find("x", ns::FORM).as_ref().and_then(Form::parse) {
            return self.ask_for_voice(&form, message, from, out);
        }
        Err(ErrorKind::BadRequest.into())
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
        let id = crate::archive::new_id(now);
        let mut content = strip(children);
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

    /// §7.5.
    pub(crate) fn private_message(
        &mut self,
        message: &Stanza,
        from: &Jid,
        nick: &str,
        out: &mut Effects,
    ) -> Result<(), StanzaError> {
        let speaker = self.occupant(from).ok_or(ErrorKind::NotAcceptable)?;
        if message.is_type("groupchat") {
            return Err(ErrorKind::BadRequest.into());
        }
        let hearers = self.clients(nick);
        if hearers.is_empty() {
            return Err(ErrorKind::ItemNotFound.into());
        }
        let mut content = strip(message.children());
        content.push(Element::new("x", ns::MUC_USER));
        content.push(self.occupant_id(&speaker.jid));
        let from = self.occupant_jid(&speaker.nick);
        let copy = message.clone().with_content(&content);
        out.stanzas.extend(hearers.iter().map(|hearer| copy.clone().addressed(Some(&from), Some(hearer))));
        Ok(())
    }

    /// An iq between occupants goes to the real address (§17.4 of older versions; what clients expect).
    pub(crate) fn private_iq(
        &mut self,
        iq: &Stanza,
        from: &Jid,
        nick: &str,
        out: &mut Effects,
    ) -> Result<(), StanzaError> {
        // An account answers for its cards with its bare address.
        let is_answer = matches!(iq.type_.as_deref(), Some("result" | "error"));
        let by_account = |o: &&Occupant| is_answer && from.is_bare() && o.jid.bare_str() == from.as_str();
        let asker = self.occupant(from).or_else(|| self.occupants.iter().find(by_account));
        let asker = asker.ok_or(ErrorKind::NotAcceptable)?;
        let asked = self.by_nick(nick).ok_or(ErrorKind::ItemNotFound)?;
        let is_self_ping = iq.is_type("get") && asked.jid == *from && iq.find("ping", ns::PING).is_some();
        if is_self_ping {
            out.stanzas.push(iq.result(None)); // XEP-0410 §3.3
            return Ok(());
        }
        // A card is the account's, which answers for it.
        let is_card = iq.mentions(ns::VCARD_TEMP) || iq.mentions(ns::VCARD4);
        let to = if is_card && iq.is_type("get") { asked.jid.to_bare() } else { asked.jid.clone() };
        let from = self.occupant_jid(&asker.nick);
        out.stanzas.push(iq.clone().addressed(Some(&from), Some(&to)));
        Ok(())
    }

    /// §7.8.2: an invitation or its refusal goes through the room.
    fn mediate(&mut self, x: &Element, from: &Jid, out: &mut Effects) -> Result<(), StanzaError> {
        for verb in ["invite", "decline"] {
            let Some(asked) = x.get(verb) else { continue };
            let to = asked.attribute("to").ok_or(ErrorKind::BadRequest)?;
            let to: Jid = to.parse().map_err(|_| ErrorKind::JidMalformed)?;
            if verb == "invite" {
                let inviter = self.occupant(from).ok_or(ErrorKind::Forbidden)?;
                let is_admin = self.affiliation(from) >= Affiliation::Admin;
                if self.config.members_only && !is_admin && !self.config.members_invite {
                    return Err(ErrorKind::Forbidden.into()); // §7.8.2
                }
                debug_assert!(inviter.jid == *from);
                if self.config.members_only && self.affiliation(&to) == Affiliation::None {
                    self.set_affiliation(&to.to_bare(), Affiliation::Member, None, None, out); // §7.8.2, members-only
                }
            }
            let mut passed = Element::new(verb, ns::MUC_USER).with("from", from);
            passed.nodes.clone_from(&asked.nodes);
            let mut content = Element::new("x", ns::MUC_USER).child(passed);
            if let Some(password) = self.config.password.as_ref().filter(|_| verb == "invite") {
                content = content.text_child("password", password.clone());
            }
            let mut message = Stanza::new(Kind::Message, None).with(&content);
            if verb == "invite" {
                // Clients that know but the direct kind see this one (XEP-0249).
                let direct = Element::new("x", ns::DIRECT_INVITE).with("jid", &self.jid);
                message = message.with(&direct.with_some("password", self.config.password.as_ref()));
            }
            out.stanzas.push(message.addressed(Some(&self.jid), Some(&to)));
        }
        Ok(())
    }

    /// §7.13, §8.6: a visitor asks for voice, the moderators are shown a form, one of them hands it in.
    fn ask_for_voice(
        &mut self,
        form: &Form,
        message: &Stanza,
        from: &Jid,
        out: &mut Effects,
    ) -> Result<(), StanzaError> {
        let asker = self.occupant(from).cloned().ok_or(ErrorKind::NotAcceptable)?;
        if form.value("FORM_TYPE") != Some(VOICE_REQUEST) {
            return Err(ErrorKind::BadRequest.into());
        }
        if asker.role == Role::Moderator {
            let nick = form.value("muc#roomnick").unwrap_or_default().to_owned();
            if form.truth("muc#request_allow") == Some(true) && self.by_nick(&nick).is_some() {
                self.set_role(&nick, Role::Participant, Some(&asker.nick), None, out);
            }
            return Ok(());
        }
        let field = xmpp_core::payload::form::Field::new;
        let shown = Form::new("form", VOICE_REQUEST)
            .with(field("muc#role", "list-single", "Requested role", "participant"))
            .with(field("muc#jid", "jid-single", "Who asks", asker.jid.as_str()))
            .with(field("muc#roomnick", "text-single", "Nick", asker.nick.as_str()))
            .with(field("muc#request_allow", "boolean", "Grant voice?", "0"));
        let ask = Stanza::new(Kind::Message, None).with_id(message.id.as_deref()).with(&shown.to_element());
        for moderator in self.occupants.iter().filter(|occupant| occupant.role == Role::Moderator) {
            out.stanzas.push(ask.clone().addressed(Some(&self.jid), Some(&moderator.jid)));
        }
        Ok(())
    }
}

/// Content without what only a room may add (XEP-0359 §5, XEP-0421 §6, XEP-0203 §4).
fn strip(children: Vec<Element>) -> Vec<Element> {
    let is_theirs = |child: &Element| {
        !matches!(child.ns.as_str(), ns::OCCUPANT_ID | ns::MUC_USER | ns::DELAY)
            && !child.is("stanza-id", ns::STANZA_ID)
    };
    children.into_iter().filter(is_theirs).collect()
}

const VOICE_REQUEST: &str = "http://jabber.org/protocol/muc#request";
