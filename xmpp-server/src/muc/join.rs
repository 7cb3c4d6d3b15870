//! Entering, changing nick or status, leaving — XEP-0045 §7.1 to §7.2 (enter), §7.6 (nick), §7.7 (status), §7.14 (leave).
//!
//! In    presence for `room@service/nick`.
//! Out   what §7.2 orders: the others' presence, one's own with 110, history, the subject; facts.
//! Errors §7.2: `not-authorized` (password), `registration-required` (members only), `forbidden` (banned), `conflict`
//!        (nick), `service-unavailable` (full), `item-not-found` (locked), `jid-malformed` (no nick).
//! Several clients of one account may enter under one nick; to the others they are one occupant.

use shared_model::{Affiliation, LeaveReason, Role, RoomEvent};
use xmpp_core::payload::muc::{HistoryWish, Item, user};
use xmpp_core::{Element, ErrorKind, Jid, Kind, Stanza, StanzaError, ns};

use super::room::{Effects, Occupant, Room, bare};

impl Room {
    /// Presence for the room.
    pub(crate) fn presence(
        &mut self,
        stanza: &Stanza,
        from: &Jid,
        nick: Option<&str>,
        now: i64,
        out: &mut Effects,
    ) -> Result<(), StanzaError> {
        match stanza.type_.as_deref() {
            Some("unavailable") => {
                let farewell = own_elements(stanza);
                self.remove(from, LeaveReason::Left, None, None, &farewell, out);
                Ok(())
            }
            Some("error") => {
                self.remove(from, LeaveReason::Left, None, None, &[], out);
                Ok(())
            }
            Some(_) => Err(ErrorKind::BadRequest.into()),
            None => {
                // §7.2.1; a nick that nobody sees is none.
                let nick = nick.filter(|nick| is_visible(nick)).ok_or(ErrorKind::JidMalformed)?;
                let entrance = stanza.find("x", ns::MUC);
                match self.occupant(from).cloned() {
                    Some(occupant) if occupant.nick != nick => self.rename(&occupant, nick, stanza, out),
                    Some(_) if entrance.is_none() => {
                        self.change_status(from, stanza, out);
                        Ok(())
                    }
                    // The client forgot that it is inside, and asks for everything again.
                    Some(occupant) => {
                        self.change_status(from, stanza, out);
                        let wish = entrance.as_ref().map(HistoryWish::parse).unwrap_or_default();
                        self.welcome(&occupant, &[], &wish, now, out);
                        Ok(())
                    }
                    None => self.enter(stanza, from, nick, entrance.as_ref(), now, out),
                }
            }
        }
    }

    fn enter(
        &mut self,
        stanza: &Stanza,
        from: &Jid,
        nick: &str,
        entrance: Option<&Element>,
        now: i64,
        out: &mut Effects,
    ) -> Result<(), StanzaError> {
        let is_new = !self.was_entered && self.affiliations.is_empty() && self.is_locked;
        if is_new {
            self.affiliations.insert(from.bare_str().to_owned(), Affiliation::Owner);
            out.facts.push(RoomEvent::Created { room: self.address.clone() });
        }
        let affiliation = self.affiliation(from);
        self.admit(from, nick, affiliation, entrance)?;
        self.was_entered = true;
        let earlier = self.by_nick(nick).map(|client| client.role);
        let role = earlier.unwrap_or_else(|| self.role_of(affiliation));
        let occupant =
            Occupant { nick: nick.to_owned(), jid: from.clone(), role, presence: own_elements(stanza) };
        // §7.2.3: first everybody else to the one who enters, then the one who enters to everybody.
        self.occupants.push(occupant.clone());
        let mut codes = Vec::new();
        if self.config.non_anonymous {
            codes.push(100);
        }
        if is_new {
            codes.push(201);
        }
        for viewer in self.occupants.iter().filter(|viewer| viewer.jid != *from) {
            out.stanzas.push(self.presence_for(&occupant, viewer, &[]));
        }
        let wish = entrance.map(HistoryWish::parse).unwrap_or_default();
        self.welcome(&occupant, &codes, &wish, now, out);
        if let Some(jid) = bare(from).filter(|_| earlier.is_none()) {
            let (room, nick) = (self.address.clone(), nick.to_owned());
            out.facts.push(RoomEvent::OccupantJoined { room, jid, nick, role });
        }
        Ok(())
    }

    /// §7.2.5 to §7.2.10: who may not enter, and why.
    fn admit(
        &self,
        from: &Jid,
        nick: &str,
        affiliation: Affiliation,
        entrance: Option<&Element>,
    ) -> Result<(), StanzaError> {
        if affiliation == Affiliation::Outcast {
            return Err(ErrorKind::Forbidden.into());
        }
        if self.is_locked && affiliation != Affiliation::Owner {
            return Err(ErrorKind::ItemNotFound.into());
        }
        if self.config.members_only && !affiliation.is_member() {
            return Err(ErrorKind::RegistrationRequired.into());
        }
        if let Some(password) = &self.config.password
            && affiliation != Affiliation::Owner
            && entrance.and_then(|x| x.text_of("password")).as_ref() != Some(password)
        {
            return Err(ErrorKind::NotAuthorized.into());
        }
        let is_anothers = self.by_nick(nick).is_some_and(|other| other.jid.bare_str() != from.bare_str());
        if is_anothers || !self.may_have_nick(from, nick) {
            return Err(ErrorKind::Conflict.into());
        }
        if self.occupants.len() >= self.config.max_users && affiliation < Affiliation::Admin {
            return Err(ErrorKind::ServiceUnavailable.into());
        }
        Ok(())
    }

    /// Others' presence, one's own, history, subject: in this order (§7.2).
    fn welcome(&self, to: &Occupant, codes: &[u16], wish: &HistoryWish, now: i64, out: &mut Effects) {
        for other in self.nicks().filter(|other| other.nick != to.nick) {
            out.stanzas.push(self.presence_for(other, to, &[]));
        }
        let me = self.occupant(&to.jid).unwrap_or(to);
        out.stanzas.push(self.presence_for(me, to, codes));
        self.send_history(&to.jid, wish, now, out);
        out.stanzas.push(self.subject_message().addressed(Some(&self.subject_from()), Some(&to.jid)));
        if let Some(notice) = self.call_notice() {
            out.stanzas.push(notice.addressed(Some(&self.jid), Some(&to.jid)));
        }
    }

    /// §7.6: everybody learns that the old nick is gone (303) and who has the new one.
    fn rename(
        &mut self,
        before: &Occupant,
        nick: &str,
        stanza: &Stanza,
        out: &mut Effects,
    ) -> Result<(), StanzaError> {
        if self.by_nick(nick).is_some() || !self.may_have_nick(&before.jid, nick) {
            return Err(ErrorKind::Conflict.into());
        }
        if self.config.moderated && before.role == Role::Visitor {
            return Err(ErrorKind::NotAllowed.into());
        }
        let affiliation = self.affiliation(&before.jid).as_str();
        for viewer in &self.occupants {
            let is_self = viewer.nick == before.nick;
            let jid = (self.sees_jids(viewer) || is_self).then(|| before.jid.as_str());
            let role = before.role.as_str();
            let item = Item { affiliation, role, jid, nick: Some(nick), ..Item::default() };
            let codes: &[u16] = if is_self { &[303, 110] } else { &[303] };
            let gone = Stanza::new(Kind::Presence, Some("unavailable"))
                .with_content(&[user(Some(&item), codes), self.occupant_id(&before.jid)]);
            out.stanzas.push(gone.addressed(Some(&self.occupant_jid(&before.nick)), Some(&viewer.jid)));
        }
        for client in self.occupants.iter_mut().filter(|client| client.nick == before.nick) {
            client.nick = nick.to_owned();
        }
        self.change_status(&before.jid, stanza, out);
        if let Some(jid) = bare(&before.jid) {
            let (room, role) = (self.address.clone(), before.role);
            out.facts.push(RoomEvent::RoleChanged { room, jid, nick: nick.to_owned(), role });
        }
        Ok(())
    }

    fn change_status(&mut self, from: &Jid, stanza: &Stanza, out: &mut Effects) {
        if let Some(occupant) = self.occupants.iter_mut().find(|occupant| occupant.jid == *from) {
            occupant.presence = own_elements(stanza);
            let changed = occupant.clone();
            self.broadcast_presence(&changed, &[], out);
        }
    }
}

/// What a client says of itself, without what only a room may say.
fn own_elements(stanza: &Stanza) -> Vec<Element> {
    let is_own = |child: &Element| {
        !child.ns.starts_with(ns::MUC)
            && child.ns != ns::OCCUPANT_ID
            && child.ns != ns::HATS
            && child.ns != ns::DELAY
    };
    stanza.children().into_iter().filter(is_own).collect()
}

/// §17.1: neither empty nor made of blanks and signs that show nothing.
fn is_visible(nick: &str) -> bool {
    let is_blank = |c: char| {
        c.is_whitespace()
            || c.is_control()
            || matches!(
                c,
                '\u{ad}' | '\u{115f}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{3164}' | '\u{feff}'
            )
    };
    !nick.chars().all(is_blank)
}
