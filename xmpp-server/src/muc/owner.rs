//! What owners do — XEP-0045 §10.1 (create), §10.2 (configure), §10.9 (destroy).
//!
//! In    `muc#owner`; the form holds the lists of owners and admins as well, whole.
//! Out   the form; the new rules with code 104 and those of §10.2.1; changed affiliations; the end of the room, which names
//!       another venue if the owner does, and leaves a tombstone where clients would come back (`tombstone`).
//! Errors `forbidden` to all others, `not-acceptable` for a form that cannot hold, `conflict` for a room without owner.

use std::collections::BTreeMap;

use shared_model::{Affiliation, LeaveReason, RoomEvent};
use xmpp_core::payload::form::{Field, Form};
use xmpp_core::payload::muc::{Item, user};
use xmpp_core::{Element, ErrorKind, Jid, Kind, Stanza, StanzaError, ns};

use super::config::{self, RoomConfig};
use super::presence::Removal;
use super::room::{Effects, Room, bare};
use super::tombstone::Tombstone;

impl Room {
    fn check_owner(&self, from: &Jid) -> Result<(), StanzaError> {
        let is_owner = self.affiliation(from) == Affiliation::Owner;
        if is_owner { Ok(()) } else { Err(ErrorKind::Forbidden.into()) }
    }

    /// §10.2: the form as it stands.
    pub(crate) fn configuration_form(&self, from: &Jid) -> Result<Element, StanzaError> {
        self.check_owner(from)?;
        let form = LISTS.iter().fold(self.config.to_form(), |form, (var, affiliation, label)| {
            let listed = self.affiliations.iter().filter(|(_, a)| *a == affiliation);
            let values = listed.map(|(jid, _)| jid.clone()).collect();
            form.with(Field { values, ..Field::new(var, "jid-multi", label, "") })
        });
        Ok(Element::new("query", ns::MUC_OWNER).child(form.laid_out(config::pages()).to_element()))
    }

    /// A form handed in, or the end of the room.
    pub(crate) fn own(
        &mut self,
        query: &Element,
        from: &Jid,
        now: i64,
        out: &mut Effects,
    ) -> Result<(), StanzaError> {
        self.check_owner(from)?;
        if let Some(destroy) = query.get("destroy") {
            if destroy.attribute("jid").is_some_and(|venue| venue.parse::<Jid>().is_err()) {
                return Err(ErrorKind::JidMalformed.into());
            }
            self.destroy(destroy, now, out);
            return Ok(());
        }
        let form = query.find("x", ns::FORM).and_then(Form::parse).ok_or(ErrorKind::BadRequest)?;
        match form.type_.as_str() {
            "submit" => self.configure(&form, from, out),
            "cancel" => {
                if self.is_locked {
                    self.destroy(&Element::new("destroy", ns::MUC_OWNER), now, out); // §10.1.3
                }
                Ok(())
            }
            _ => Err(ErrorKind::BadRequest.into()),
        }
    }

    fn configure(&mut self, form: &Form, from: &Jid, out: &mut Effects) -> Result<(), StanzaError> {
        let next = self.config.submitted(form, self.most_history)?;
        let changes = self.submitted_lists(form, &next)?;
        self.check_owners(changes.iter().map(|(jid, affiliation)| (jid.bare_str(), *affiliation)))?;
        let before = std::mem::replace(&mut self.config, next);
        self.is_locked = false;
        if !self.config.moderated {
            self.voices.clear();
        }
        out.save = true;
        out.forget |= before.persistent && !self.config.persistent;
        self.say_configured(self.codes_of(&before), out);
        if self.config.members_only && !before.members_only {
            self.remove_strangers(out);
        }
        self.tell_visibility(&before.broadcast, out);
        let actor = self.occupant(from).map(|occupant| occupant.nick.clone());
        for (jid, affiliation) in changes {
            self.set_affiliation(&jid, affiliation, actor.as_deref(), None, out);
        }
        Ok(())
    }

    /// §10.2.1.
    fn codes_of(&self, before: &RoomConfig) -> Vec<u16> {
        let mut codes = Vec::new();
        if before.is_archived() != self.config.is_archived() {
            codes.push(if self.config.is_archived() { 170 } else { 171 });
        }
        if before.non_anonymous != self.config.non_anonymous {
            codes.push(if self.config.non_anonymous { 172 } else { 173 });
        }
        codes.push(104);
        codes
    }

    /// Tells those inside and other services that the rules are others.
    pub(crate) fn say_configured(&self, codes: Vec<u16>, out: &mut Effects) {
        let notice = Stanza::new(Kind::Message, Some("groupchat")).with(&user(None, &codes));
        self.broadcast(&notice.addressed(Some(&self.jid), None), out);
        out.facts.push(RoomEvent::ConfigurationChanged { room: self.address.clone() });
    }

    /// The changes of affiliation that whole lists of owners and admins ask for (§10.5, §10.8).
    fn submitted_lists(
        &self,
        form: &Form,
        next: &RoomConfig,
    ) -> Result<Vec<(Jid, Affiliation)>, StanzaError> {
        let mut wanted: BTreeMap<String, (Jid, Affiliation)> = BTreeMap::new();
        let mut gone = Vec::new();
        for (var, affiliation, _) in LISTS {
            let Some(field) = form.fields.iter().find(|field| field.var == *var) else { continue };
            if field.values.len() > MOST_LISTED {
                return Err(ErrorKind::NotAcceptable.into());
            }
            for text in field.values.iter().filter(|text| !text.trim().is_empty()) {
                let jid = text.trim().parse::<Jid>().map_err(|_| ErrorKind::JidMalformed)?.to_bare();
                if jid.local().is_none() {
                    return Err(ErrorKind::NotAcceptable.into());
                }
                wanted.entry(jid.to_string()).or_insert((jid, *affiliation));
            }
            gone.extend(self.affiliations.iter().filter(|(_, a)| *a == affiliation).map(|(jid, _)| jid));
        }
        let otherwise = if next.members_only { Affiliation::Member } else { Affiliation::None };
        for jid in gone {
            if !wanted.contains_key(jid)
                && let Ok(parsed) = jid.parse()
            {
                wanted.insert(jid.clone(), (parsed, otherwise));
            }
        }
        let is_new = |(jid, affiliation): &(Jid, Affiliation)| self.affiliation(jid) != *affiliation;
        Ok(wanted.into_values().filter(is_new).collect())
    }

    /// §10.2: a room that became members-only sends others away, with 322.
    fn remove_strangers(&mut self, out: &mut Effects) {
        let is_stranger = |jid: &Jid| !self.affiliation(jid).is_member();
        let strangers: Vec<Jid> = self.nicks().map(|o| o.jid.clone()).filter(is_stranger).collect();
        for jid in strangers {
            let removal = Removal { codes: &[322], ..Removal::new(LeaveReason::NotMember) };
            self.remove_nick(&jid, &removal, out);
        }
    }

    /// §10.9.
    pub(super) fn destroy(&mut self, destroy: &Element, now: i64, out: &mut Effects) {
        let mut told = Element::new("destroy", ns::MUC_USER).with_some("jid", destroy.attribute("jid"));
        for name in ["reason", "password"] {
            if let Some(text) = destroy.text_of(name) {
                told = told.text_child(name, text);
            }
        }
        let item = Item { affiliation: "none", role: "none", ..Item::default() };
        for occupant in std::mem::take(&mut self.occupants) {
            let x = user(Some(&item), &[110]).child(told.clone());
            let gone = Stanza::new(Kind::Presence, Some("unavailable")).with(&x);
            out.stanzas.push(gone.addressed(Some(&self.occupant_jid(&occupant.nick)), Some(&occupant.jid)));
            if let Some(jid) = bare(&occupant.jid) {
                let (room, nick, reason) = (self.address.clone(), occupant.nick, LeaveReason::Destroyed);
                out.facts.push(RoomEvent::OccupantRemoved { room, jid, nick, reason });
            }
        }
        self.is_destroyed = true;
        out.tombstone = Tombstone::of(self, destroy, now);
        out.facts.push(RoomEvent::Destroyed { room: self.address.clone() });
    }

    /// §11.2: the service stops, and everybody is told that it is not their doing.
    pub(crate) fn close(&mut self, out: &mut Effects) {
        let item = Item { affiliation: "none", role: "none", ..Item::default() };
        let gone = Stanza::new(Kind::Presence, Some("unavailable")).with(&user(Some(&item), &[110, 332]));
        for occupant in std::mem::take(&mut self.occupants) {
            let nick = self.occupant_jid(&occupant.nick);
            out.stanzas.push(gone.clone().addressed(Some(&nick), Some(&occupant.jid)));
        }
    }
}

/// Fields that hold whole lists, owners first: who is in both is an owner.
const LISTS: &[(&str, Affiliation, &str)] = &[
    ("muc#roomconfig_roomowners", Affiliation::Owner, "Owners, all of them"),
    ("muc#roomconfig_roomadmins", Affiliation::Admin, "Admins, all of them"),
];
const MOST_LISTED: usize = 500;
