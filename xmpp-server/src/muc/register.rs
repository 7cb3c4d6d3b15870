//! Registration — XEP-0045 1.35.5, sections 7.10 (register), 7.12 (reserved nick), 9.9 to 9.10 (who decides).
//!
//! In    `jabber:iq:register`; `disco#info` for the node `x-roomuser-item`.
//! Out   membership and a reserved nick, or what is reserved.
//! State reserved nicks, kept with the room. Nobody else enters under one (§7.2.8).
//! Errors `not-allowed` where members are made by admins alone (a members-only room), `conflict` for a nick of another's,
//!        `jid-malformed` for one that cannot be, `forbidden` for who is banned.

use shared_model::Affiliation;
use xmpp_core::payload::disco::Info;
use xmpp_core::payload::form::{Field, Form};
use xmpp_core::{Element, ErrorKind, Jid, StanzaError, ns};

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
            self.nicks_reserved.remove(from.bare_str()).ok_or(ErrorKind::RegistrationRequired)?;
            if self.affiliation(from) == Affiliation::Member {
                self.set_affiliation(&from.to_bare(), Affiliation::None, None, None, out);
            }
            out.save = true;
            return Ok(());
        }
        self.may_register(from)?;
        let form = query.find("x", ns::FORM).and_then(Form::parse);
        let nick = match &form {
            Some(form) if form.type_ == "cancel" => return Ok(()),
            Some(form) => form.value("muc#register_roomnick").map(str::to_owned),
            None => query.text_of("username").or_else(|| query.text_of("nick")),
        };
        let nick = nick.filter(|nick| !nick.trim().is_empty()).ok_or(ErrorKind::NotAcceptable)?;
        let nick = self.jid.with_resource(&nick).map_err(|_| ErrorKind::JidMalformed)?;
        let nick = nick.resource().unwrap_or_default().to_owned();
        let is_anothers = self.by_nick(&nick).is_some_and(|other| other.jid.bare_str() != from.bare_str());
        if is_anothers || !self.may_have_nick(from, &nick) {
            return Err(ErrorKind::Conflict.into());
        }
        if self.nicks_reserved.len() >= MOST_RESERVED {
            return Err(ErrorKind::ResourceConstraint.into());
        }
        self.nicks_reserved.insert(from.bare_str().to_owned(), nick);
        if self.affiliation(from) == Affiliation::None {
            self.set_affiliation(&from.to_bare(), Affiliation::Member, None, None, out);
        }
        out.save = true;
        Ok(())
    }

    fn may_register(&self, from: &Jid) -> Result<(), StanzaError> {
        match self.affiliation(from) {
            Affiliation::Outcast => Err(ErrorKind::Forbidden.into()),
            Affiliation::None if self.config.members_only => Err(ErrorKind::NotAllowed.into()),
            _ => Ok(()),
        }
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
const REGISTRATION: &str = "http://jabber.org/protocol/muc#register";
const MOST_RESERVED: usize = 10_000;
