//! Asking for voice — XEP-0045 §7.13 (a visitor asks), §8.6 (a moderator decides), §16.5.2 (`muc#request`).
//!
//! In    a form of a visitor, or of a moderator who hands in the one that the room showed.
//! Out   the form for every moderator; voice, with the presence of §8.3.
//! Errors `not-acceptable` to who is not inside; `resource-constraint` to who asks again within a minute.

use shared_model::Role;
use xmpp_core::payload::form::{Field, Form};
use xmpp_core::{ErrorKind, Jid, Kind, Stanza, StanzaError};

use super::room::{Effects, Room};

impl Room {
    /// A form of this type.
    pub(crate) fn ask_for_voice(
        &mut self,
        form: &Form,
        message: &Stanza,
        from: &Jid,
        now: i64,
        out: &mut Effects,
    ) -> Result<(), StanzaError> {
        let asker = self.occupant(from).cloned().ok_or(ErrorKind::NotAcceptable)?;
        if form.type_ == "cancel" {
            return Ok(());
        }
        if asker.role == Role::Moderator {
            self.decide_on_voice(form, &asker.nick, out);
            return Ok(());
        }
        if form.value("muc#role") != Some(Role::Participant.as_str()) {
            return Err(ErrorKind::BadRequest.into());
        }
        if asker.role.has_voice() {
            return Ok(());
        }
        if asker.asked_at.is_some_and(|at| now - at < ASK_AGAIN_MILLIS) {
            return Err(StanzaError::because(
                ErrorKind::ResourceConstraint,
                "the moderators have been asked",
            ));
        }
        if let Some(occupant) = self.occupants.iter_mut().find(|occupant| occupant.jid == *from) {
            occupant.asked_at = Some(now);
        }
        let mut shown = Form::new("form", VOICE_REQUEST)
            .with(Field::new("muc#role", "list-single", "Requested role", Role::Participant.as_str()))
            .with(Field::new("muc#jid", "jid-single", "Who asks", asker.jid.as_str()))
            .with(Field::new("muc#roomnick", "text-single", "Nick", asker.nick.as_str()))
            .with(Field::new("muc#request_allow", "boolean", "Grant voice?", "0"));
        shown.title = "Somebody asks for voice".to_owned();
        let ask = Stanza::new(Kind::Message, None).with_id(message.id.as_deref()).with(&shown.to_element());
        for moderator in self.occupants.iter().filter(|occupant| occupant.role == Role::Moderator) {
            out.stanzas.push(ask.clone().addressed(Some(&self.jid), Some(&moderator.jid)));
        }
        Ok(())
    }

    /// Only a visitor is given voice: who became more meanwhile stays what they are.
    fn decide_on_voice(&mut self, form: &Form, actor: &str, out: &mut Effects) {
        let nick = form.value("muc#roomnick").unwrap_or_default().to_owned();
        let is_it = |jid: &str| self.by_nick(&nick).is_some_and(|asker| asker.jid.as_str() == jid);
        let is_same = form.value("muc#jid").is_none_or(is_it);
        let is_visitor = self.by_nick(&nick).is_some_and(|asker| asker.role == Role::Visitor);
        if form.truth("muc#request_allow") == Some(true) && is_visitor && is_same {
            self.set_role(&nick, Role::Participant, Some(actor), None, out);
        }
    }
}

pub(crate) const VOICE_REQUEST: &str = "http://jabber.org/protocol/muc#request";
/// After how long a visitor may ask again.
const ASK_AGAIN_MILLIS: i64 = 60_000;
