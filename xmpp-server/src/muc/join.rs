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

use super::presence::{Removal, Said};
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
            // §10.1.3: who made the room leaves it before it was configured.
            Some("unavailable")
                if self.is_locked && self.occupants.len() == 1 && self.occupant(from).is_some() =>
            {
                self.destroy(&Element::new("destroy", ns::MUC_OWNER), now, out);
                Ok(())
            }
            Some("unavailable") => {
                let farewell = own_elements(stanza);
                let (farewell, id) = (farewell.as_slice(), stanza.id.as_deref());
                self.remove(from, &Removal { farewell, id, ..Removal::new(LeaveReason::Left) }, out);
                Ok(())
            }
            Some("error") => {
                self.remove(from, &Removal::broken(), out);
                Ok(())
            }
            Some("probe") => self.probe(from, nick.unwrap_or_default(), out),
            Some(_) => Err(ErrorKind::BadRequest.into()),
            None => {
                let nick = Nick::of(nick.unwrap_or_default()).ok_or(ErrorKind::JidMalformed)?; // §7.2.1
                let entrance = stanza.find("x", ns::MUC);
                match (self.occupant(from).cloned(), entrance) {
                    (Some(occupant), _) if occupant.nick != nick.text => {
                        self.rename(&occupant, &nick, stanza, out)
                    }
                    (Some(occupant), None) => {
                        self.change_status(from, stanza, out);
                        self.tell_oneself(&occupant.jid, stanza, &[], out);
                        Ok(())
                    }
                    // The client forgot that it is inside, and gets what it would get if it were not (§7.2.1).
                    (Some(occupant), Some(entrance)) => {
                        self.change_status(from, stanza, out);
                        let said =
                            Said { id: stanza.id.as_deref(), codes: self.warnings(), ..Said::default() };
                        self.welcome(&occupant, &said, &HistoryWish::parse(&entrance), now, out);
                        Ok(())
                    }
                    (None, Some(entrance)) => self.enter(stanza, from, &nick, &entrance, now, out),
                    (None, None) => {
                        out.stanzas.extend(not_inside(stanza));
                        Ok(())
                    }
                }
            }
        }
    }

    /// What one who enters is warned of (§7.2.3, §7.2.12).
    fn warnings(&self) -> &'static [u16] {
        match (self.config.non_anonymous, self.config.is_archived()) {
            (true, true) => &[100, 170],
            (true, false) => &[100],
            (false, true) => &[170],
            (false, false) => &[],
        }
    }

    fn enter(
        &mut self,
        stanza: &Stanza,
        from: &Jid,
        nick: &Nick<'_>,
        entrance: &Element,
        now: i64,
        out: &mut Effects,
    ) -> Result<(), StanzaError> {
        let is_new = !self.was_entered && self.affiliations.is_empty() && self.is_locked;
        if is_new {
            self.affiliations.insert(from.bare_str().to_owned(), Affiliation::Owner);
            out.facts.push(RoomEvent::Created { room: self.address.clone() });
        }
        let affiliation = self.affiliation(from);
        self.admit(from, nick.text, affiliation, entrance)?;
        self.was_entered = true;
        let earlier = self.by_nick(nick.text).map(|client| client.role);
        let role = earlier.unwrap_or_else(|| self.role_at_entry(from, affiliation));
        let occupant = Occupant {
            nick: nick.text.to_owned(),
            jid: from.clone(),
            role,
            presence: own_elements(stanza),
            asked_at: None,
        };
        self.occupants.push(occupant.clone());
        let mut codes = self.warnings().to_vec();
        if is_new {
            codes.push(201);
        }
        codes.extend(nick.code());
        let said = Said { codes: &codes, id: stanza.id.as_deref(), ..Said::default() };
        self.welcome(&occupant, &said, &HistoryWish::parse(entrance), now, out);
        let others = self.viewers_of(&occupant).filter(|viewer| viewer.jid != *from);
        self.tell_presence(&occupant, others, &Said::default(), out);
        if let Some(jid) = bare(from).filter(|_| earlier.is_none()) {
            let (room, nick) = (self.address.clone(), nick.text.to_owned());
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
        entrance: &Element,
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
            && entrance.text_of("password").as_ref() != Some(password)
        {
            return Err(ErrorKind::NotAuthorized.into());
        }
        let is_anothers = self.by_nick(nick).is_some_and(|other| other.jid.bare_str() != from.bare_str());
        if is_anothers || !self.may_have_nick(from, nick) {
            return Err(ErrorKind::Conflict.into());
        }
        // §7.2.9: admins find room, up to a bound.
        let reserve = if affiliation >= Affiliation::Admin { ROOM_FOR_ADMINS } else { 0 };
        if self.occupants.len() >= self.config.max_users + reserve {
            return Err(ErrorKind::ServiceUnavailable.into());
        }
        Ok(())
    }

    /// Others' presence, one's own, history, subject: in this order (§7.1).
    fn welcome(&self, to: &Occupant, said: &Said<'_>, wish: &HistoryWish, now: i64, out: &mut Effects) {
        for other in self.seen_by(to) {
            out.stanzas.push(self.presence_for(other, to, &Said::default()));
        }
        let me = self.occupant(&to.jid).unwrap_or(to);
        out.stanzas.push(self.presence_for(me, to, said));
        self.send_history(&to.jid, wish, now, out);
        out.stanzas.push(self.subject_message().addressed(Some(&self.subject_from()), Some(&to.jid)));
        if let Some(notice) = self.call_notice() {
            out.stanzas.push(notice.addressed(Some(&self.jid), Some(&to.jid)));
        }
        if self.is_recorded {
            out.stanzas.push(self.recording_notice().addressed(Some(&self.jid), Some(&to.jid)));
        }
    }

    /// §7.6: everybody learns that the old nick is gone (303) and who has the new one.
    fn rename(
        &mut self,
        before: &Occupant,
        nick: &Nick<'_>,
        stanza: &Stanza,
        out: &mut Effects,
    ) -> Result<(), StanzaError> {
        if self.by_nick(nick.text).is_some() || !self.may_have_nick(&before.jid, nick.text) {
            return Err(ErrorKind::Conflict.into());
        }
        if self.config.moderated && before.role == Role::Visitor {
            return Err(ErrorKind::NotAllowed.into());
        }
        self.tell_rename(before, nick.text, out);
        for client in self.occupants.iter_mut().filter(|client| client.nick == before.nick) {
            client.nick = nick.text.to_owned();
        }
        self.change_status(&before.jid, stanza, out);
        self.tell_oneself(&before.jid, stanza, nick.code(), out);
        if let Some(jid) = bare(&before.jid) {
            let (room, before, nick) = (self.address.clone(), before.nick.clone(), nick.text.to_owned());
            out.facts.push(RoomEvent::NickChanged { room, jid, before, nick });
        }
        Ok(())
    }

    /// Takes what one shows, and shows it to the others.
    fn change_status(&mut self, from: &Jid, stanza: &Stanza, out: &mut Effects) {
        let Some(occupant) = self.occupants.iter_mut().find(|occupant| occupant.jid == *from) else { return };
        occupant.presence = own_elements(stanza);
        let changed = occupant.clone();
        let others = self.viewers_of(&changed).filter(|viewer| viewer.jid != *from);
        self.tell_presence(&changed, others, &Said::default(), out);
    }

    /// Shows a client its own presence, which answers its own.
    fn tell_oneself(&self, client: &Jid, stanza: &Stanza, codes: &[u16], out: &mut Effects) {
        if let Some(me) = self.occupant(client) {
            let own = Said { codes, id: stanza.id.as_deref(), ..Said::default() };
            out.stanzas.push(self.presence_for(me, me, &own));
        }
    }
}

/// A nick as the room has it.
struct Nick<'a> {
    text: &'a str,
    is_changed: bool,
}

impl<'a> Nick<'a> {
    /// §17.1: neither empty nor made of blanks and signs that show nothing; blanks at its ends would make two nicks look
    /// the same, and are taken off.
    fn of(asked: &'a str) -> Option<Self> {
        let text = asked.trim();
        is_visible(text).then_some(Self { text, is_changed: text != asked })
    }

    /// §7.2.2: one learns that one's nick is another than was asked for.
    fn code(&self) -> &'static [u16] {
        if self.is_changed { &[210] } else { &[] }
    }
}

/// §7.2.18: presence of one who is not inside and does not ask to enter. They thought they were, and are told otherwise.
pub(crate) fn not_inside(stanza: &Stanza) -> Option<Stanza> {
    let item = Item { affiliation: "none", role: "none", ..Item::default() };
    let gone = Stanza::new(Kind::Presence, Some("unavailable")).with(&user(Some(&item), &[110, 307, 333]));
    let gone = gone.with_id(stanza.id.as_deref());
    Some(gone.addressed(Some(stanza.to.as_ref()?), Some(stanza.from.as_ref()?)))
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

/// Clients of admins and owners beyond the bound of a room.
const ROOM_FOR_ADMINS: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_enters_and_each_costs_what_is_on_the_wire() {
        let mut room = Room::new("crowd@conference.x".parse().unwrap(), 0, false);
        let enter = |n: usize| {
            let text = format!(
                "<presence from='u{n}@x/r' to='crowd@conference.x/n{n}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
            );
            Stanza::parse(&text).unwrap()
        };
        let instant = "<iq type='set' id='1' from='u0@x/r' to='crowd@conference.x'><query xmlns='http://jabber.org/protocol/muc#owner'>\
                       <x xmlns='jabber:x:data' type='submit'/></query></iq>";
        for n in 0..200 {
            let mut out = Effects::default();
            room.handle(&enter(n), 1_000, &mut out).unwrap();
            // All who are inside, oneself, and the subject; and oneself for all who are inside.
            assert_eq!(out.stanzas.len(), n + 2 + n, "{n}");
            if n == 0 {
                room.handle(&Stanza::parse(instant).unwrap(), 1_000, &mut Effects::default()).unwrap();
            }
        }
        let mut out = Effects::default();
        let away =
            Stanza::parse("<presence from='u7@x/r' to='crowd@conference.x/n7'><show>away</show></presence>");
        room.handle(&away.unwrap(), 1_000, &mut out).unwrap();
        assert_eq!(out.stanzas.len(), 200);
        // Made once for those who see the address, and once for those who do not.
        let mut made: Vec<Vec<u8>> = out
            .stanzas
            .iter()
            .map(|stanza| stanza.clone().addressed(None, None).to_bytes().to_vec())
            .collect();
        made.sort();
        made.dedup();
        assert_eq!(made.len(), 3, "for oneself, for the owner, for all others");
    }
}
