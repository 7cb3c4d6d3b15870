//! Registration — XEP-0045 1.35.5, sections 7.10 (register), 7.12 (reserved nick), 9.9 (who decides), 16.5.1.
//!
//! In    `jabber:iq:register`; `disco#info` for the node `x-roomuser-item`; forms of admins who decide.
//! Out   membership and a reserved nick, or what is reserved. In a members-only or moderated room admins are asked: those inside, or if
//!       there are none, those outside.
//! State reserved nicks and requests, kept with the room. Nobody else enters under a reserved nick (§7.2.8).
//! Errors `not-allowed` in a members-only room that is not shown, `conflict` for a nick of another's, `jid-malformed` for
//!        one that cannot be, `bad-request` for what is no such form, `forbidden` for who is banned, and for who decides and is no admin.

use shared_model::Affiliation;
use xmpp_core::payload::disco::Info;
use xmpp_core::payload::form::{Field, Form};
use xmpp_core::{Element, ErrorKind, Jid, Kind, Stanza, StanzaError, ns};

use super::admin::MOST_AFFILIATIONS;
use super::room::{Effects, Room};

impl Room {
    /// The form, or what is registered (§7.10, examples 69 and 70).
    pub(crate) fn registration(&self, from: &Jid) -> Result<Element, StanzaError> {
        self.may_register(from)?;
        let query = Element::new("query", ns::REGISTER);
        if let Some(nick) = self.nicks_reserved.get(from.bare_str()) {
            return Ok(query
                .child(Element::new("registered", ns::REGISTER))
                .text_child("username", nick.clone()));
        }
        let form = Form::new("form", REGISTRATION).with(Field::new(
            "muc#register_roomnick",
            "text-single",
            "Nick to reserve",
            "",
        ));
        Ok(query
            .text_child("instructions", "Choose the nick that shall be yours in this room.")
            .child(form.to_element()))
    }

    /// The form handed in, or the end of the registration.
    pub(crate) fn register(
        &mut self,
        query: &Element,
        from: &Jid,
        out: &mut Effects,
    ) -> Result<(), StanzaError> {
        if query.get("remove").is_some() {
            let was_asked = self.requests.remove(from.bare_str()).is_some();
            let had_nick = self.nicks_reserved.remove(from.bare_str()).is_some();
            if !was_asked && !had_nick && self.affiliation(from) != Affiliation::Member {
                return Err(ErrorKind::RegistrationRequired.into());
            }
            if self.affiliation(from) == Affiliation::Member {
                self.set_affiliation(&from.to_bare(), Affiliation::None, None, None, out);
            }
            out.save = true;
            return Ok(());
        }
        self.may_register(from)?;
        let form = query.find("x", ns::FORM).and_then(Form::parse).ok_or(ErrorKind::BadRequest)?;
        if form.type_ == "cancel" {
            return Ok(());
        }
        let is_ours = form.type_ == "submit" && form.value("FORM_TYPE") == Some(REGISTRATION);
        let nick = form.value("muc#register_roomnick").filter(|nick| is_ours && !nick.trim().is_empty());
        let nick = self.free_nick(from, nick.ok_or(ErrorKind::BadRequest)?)?;
        if self.affiliation(from) == Affiliation::None {
            self.may_be_member(from)?;
            // Who becomes a member of a moderated room has voice in it (§5.1.2), which is not theirs to take.
            if self.config.members_only || self.config.moderated {
                return self.request_membership(from, nick, out);
            }
        }
        self.admit_member(&from.to_bare(), nick, None, out);
        Ok(())
    }

    /// A nick that may be reserved for somebody, prepared.
    pub(crate) fn free_nick(&self, jid: &Jid, nick: &str) -> Result<String, StanzaError> {
        let nick = self.jid.with_resource(nick.trim()).map_err(|_| ErrorKind::JidMalformed)?;
        let nick = nick.resource().unwrap_or_default().to_owned();
        let is_anothers = self.by_nick(&nick).is_some_and(|other| other.jid.bare_str() != jid.bare_str());
        if is_anothers || !self.may_have_nick(jid, &nick) {
            return Err(ErrorKind::Conflict.into());
        }
        if self.nicks_reserved.len() >= MOST_RESERVED {
            return Err(ErrorKind::ResourceConstraint.into());
        }
        Ok(nick)
    }

    fn admit_member(&mut self, jid: &Jid, nick: String, actor: Option<&str>, out: &mut Effects) {
        self.nicks_reserved.insert(jid.bare_str().to_owned(), nick);
        if self.affiliation(jid) == Affiliation::None {
            self.set_affiliation(jid, Affiliation::Member, actor, None, out);
        }
        out.save = true;
    }

    /// §9.9: admins are asked, once for each nick that somebody wants.
    fn request_membership(&mut self, from: &Jid, nick: String, out: &mut Effects) -> Result<(), StanzaError> {
        if self.requests.get(from.bare_str()) == Some(&nick) {
            return Ok(());
        }
        if self.requests.len() >= MOST_REQUESTS && !self.requests.contains_key(from.bare_str()) {
            return Err(ErrorKind::ResourceConstraint.into());
        }
        if self.requests.iter().any(|(jid, asked)| *asked == nick && jid != from.bare_str()) {
            return Err(ErrorKind::Conflict.into());
        }
        let mut form = Form::new("form", REGISTRATION)
            .with(Field::new("muc#jid", "jid-single", "Who asks", from.bare_str()))
            .with(Field::new("muc#register_roomnick", "text-single", "Nick", nick.as_str()))
            .with(Field::new("muc#register_allow", "boolean", "Make them a member?", "0"));
        form.title = "Somebody wants to become a member".to_owned();
        let ask = Stanza::new(Kind::Message, None).with(&form.to_element());
        let is_admin = |jid: &Jid| self.affiliation(jid) >= Affiliation::Admin;
        let mut asked: Vec<Jid> =
            self.occupants.iter().map(|occupant| occupant.jid.clone()).filter(is_admin).collect();
        if asked.is_empty() {
            let admins = self.affiliations.iter().filter(|(_, a)| **a >= Affiliation::Admin);
            asked = admins.filter_map(|(jid, _)| jid.parse().ok()).collect();
        }
        for admin in asked.iter().take(MOST_ASKED) {
            out.stanzas.push(ask.clone().addressed(Some(&self.jid), Some(admin)));
        }
        self.requests.insert(from.bare_str().to_owned(), nick);
        out.save = true;
        Ok(())
    }

    /// §9.9: an admin hands in the form.
    pub(crate) fn decide_on_member(
        &mut self,
        form: &Form,
        from: &Jid,
        out: &mut Effects,
    ) -> Result<(), StanzaError> {
        if self.affiliation(from) < Affiliation::Admin {
            return Err(ErrorKind::Forbidden.into());
        }
        let (Some(is_allowed), true) = (form.truth("muc#register_allow"), form.type_ == "submit") else {
            return Ok(()); // put off
        };
        let nick = form.value("muc#register_roomnick").unwrap_or_default();
        let asked = self.requests.iter().find(|(_, asked)| asked.as_str() == nick);
        let (asker, nick) =
            asked.map(|(jid, nick)| (jid.clone(), nick.clone())).ok_or(ErrorKind::ItemNotFound)?;
        self.requests.remove(&asker);
        out.save = true;
        if !is_allowed {
            return Ok(());
        }
        let asker: Jid = asker.parse().map_err(|_| ErrorKind::ItemNotFound)?;
        let nick = self.free_nick(&asker, &nick)?;
        let actor = self.occupant(from).map(|occupant| occupant.nick.clone());
        let was_stranger = self.affiliation(&asker) == Affiliation::None;
        self.admit_member(&asker, nick, actor.as_deref(), out);
        if was_stranger && self.config.members_only {
            self.invite_member(&asker, None, out);
        }
        Ok(())
    }

    fn may_register(&self, from: &Jid) -> Result<(), StanzaError> {
        match self.affiliation(from) {
            Affiliation::Outcast => Err(ErrorKind::Forbidden.into()),
            Affiliation::None if self.config.members_only && !self.config.public => {
                Err(ErrorKind::NotAllowed.into())
            }
            _ => Ok(()),
        }
    }

    /// Whether somebody who is nothing yet may become a member: no domain may, and there is a bound.
    pub(super) fn may_be_member(&self, jid: &Jid) -> Result<(), StanzaError> {
        if jid.local().is_none() {
            return Err(ErrorKind::JidMalformed.into());
        }
        if self.affiliations.len() >= MOST_AFFILIATIONS {
            return Err(ErrorKind::ResourceConstraint.into());
        }
        Ok(())
    }

    /// Whether a nick is nobody's, or theirs.
    pub(crate) fn may_have_nick(&self, jid: &Jid, nick: &str) -> bool {
        self.nicks_reserved.iter().all(|(owner, reserved)| reserved != nick || owner == jid.bare_str())
    }

    /// §7.12: the nick that is reserved for who asks.
    pub(crate) fn reserved_nick(&self, from: &Jid) -> Element {
        let nick = self.nicks_reserved.get(from.bare_str());
        let identities = nick.map(|nick| ("conference", "text", nick.clone())).into_iter().collect();
        Info { identities, ..Info::default() }.to_element(Some(RESERVED_NICK))
    }
}

/// The node of §7.12.
pub(crate) const RESERVED_NICK: &str = "x-roomuser-item";
pub(crate) const REGISTRATION: &str = "http://jabber.org/protocol/muc#register";
const MOST_RESERVED: usize = 10_000;
const MOST_REQUESTS: usize = 200;
/// Admins who are asked about one request.
const MOST_ASKED: usize = 20;
