//! Roles and affiliations — XEP-0045 §8.2 to §8.5 (moderators), §9 (admins), §10.3 to §10.8 (owners).
//!
//! In    items of `muc#admin`.
//! Out   changed presence of whom it concerns, with codes; facts, which the room's call follows.
//! Errors §5.1.1, §5.2.1 (who may): `forbidden`, `not-allowed` against the more privileged, `conflict` for the last owner.

use shared_model::{Affiliation, LeaveReason, Role, RoomEvent};
use xmpp_core::payload::muc::Item;
use xmpp_core::{Element, ErrorKind, Jid, Kind, Stanza, StanzaError, ns};

use super::room::{Effects, Room, bare};

/// One item of a request, read.
enum Change {
    Role(String, Role),
    Affiliation(Jid, Affiliation),
}

impl Room {
    /// Does all items or none.
    pub(crate) fn administer(
        &mut self,
        query: &Element,
        from: &Jid,
        out: &mut Effects,
    ) -> Result<(), StanzaError> {
        let items: Vec<&Element> = query.children().filter(|child| child.is("item", ns::MUC_ADMIN)).collect();
        if items.is_empty() || items.len() > MOST_ITEMS {
            return Err(ErrorKind::BadRequest.into());
        }
        let mut changes = Vec::new();
        for item in items {
            let change = self.read(item)?;
            self.check(&change, from)?;
            changes.push((change, item.text_of("reason")));
        }
        let actor = self.occupant(from).map(|occupant| occupant.nick.clone());
        for (change, reason) in changes {
            match change {
                Change::Role(nick, role) => {
                    self.set_role(&nick, role, actor.as_deref(), reason.as_deref(), out)
                }
                Change::Affiliation(jid, affiliation) => {
                    self.set_affiliation(&jid, affiliation, actor.as_deref(), reason.as_deref(), out);
                }
            }
        }
        Ok(())
    }

    fn read(&self, item: &Element) -> Result<Change, StanzaError> {
        let role =
            item.attribute("role").map(|word| parse_role(word).ok_or(ErrorKind::BadRequest)).transpose()?;
        let affiliation =
            item.attribute("affiliation").map(|w| parse_affiliation(w).ok_or(ErrorKind::BadRequest));
        match (role, affiliation.transpose()?, item.attribute("nick"), item.attribute("jid")) {
            (Some(role), None, Some(nick), _) => Ok(Change::Role(nick.to_owned(), role)),
            (None, Some(affiliation), _, Some(jid)) => {
                let jid: Jid = jid.parse().map_err(|_| ErrorKind::JidMalformed)?;
                Ok(Change::Affiliation(jid.to_bare(), affiliation))
            }
            (None, Some(affiliation), Some(nick), None) => {
                let occupant = self.by_nick(nick).ok_or(ErrorKind::ItemNotFound)?;
                Ok(Change::Affiliation(occupant.jid.to_bare(), affiliation))
            }
            _ => Err(ErrorKind::BadRequest.into()),
        }
    }

    /// §5.1.1 and §5.2.1: the tables of privileges.
    fn check(&self, change: &Change, from: &Jid) -> Result<(), StanzaError> {
        let mine = self.affiliation(from);
        match change {
            Change::Role(nick, role) => {
                if self.occupant(from).is_none_or(|me| me.role != Role::Moderator) {
                    return Err(ErrorKind::Forbidden.into());
                }
                let whom = self.by_nick(nick).ok_or(ErrorKind::ItemNotFound)?;
                let theirs = self.affiliation(&whom.jid);
                let touches_moderator = *role == Role::Moderator || whom.role == Role::Moderator;
                // §8.2, §8.4: nobody above one's own affiliation; moderators are made and unmade by admins.
                if theirs > mine || (touches_moderator && mine < Affiliation::Admin) {
                    return Err(ErrorKind::NotAllowed.into());
                }
                let is_demotion = matches!(role, Role::Visitor | Role::Participant);
                if is_demotion && theirs >= Affiliation::Admin && whom.jid.bare_str() != from.bare_str() {
                    return Err(ErrorKind::NotAllowed.into()); // §8.4, §9.7: an admin is a moderator
                }
                Ok(())
            }
            Change::Affiliation(jid, affiliation) => {
                if mine < Affiliation::Admin {
                    return Err(ErrorKind::Forbidden.into());
                }
                let theirs = self.affiliation(jid);
                let needs_owner = theirs >= Affiliation::Admin || *affiliation >= Affiliation::Admin;
                if needs_owner && mine < Affiliation::Owner {
                    return Err(ErrorKind::NotAllowed.into());
                }
                let owners = self.affiliations.values().filter(|a| **a == Affiliation::Owner).count();
                if theirs == Affiliation::Owner && *affiliation != Affiliation::Owner && owners == 1 {
                    return Err(ErrorKind::Conflict.into()); // §10.5: a room has an owner
                }
                if *affiliation == Affiliation::Outcast && jid.bare_str() == from.bare_str() {
                    return Err(ErrorKind::Conflict.into()); // §9.1
                }
                if self.affiliations.len() >= MOST_AFFILIATIONS && theirs == Affiliation::None {
                    return Err(ErrorKind::ResourceConstraint.into());
                }
                Ok(())
            }
        }
    }

    /// §8.2 to §8.5, §9.6, §9.7.
    pub(crate) fn set_role(
        &mut self,
        nick: &str,
        role: Role,
        actor: Option<&str>,
        reason: Option<&str>,
        out: &mut Effects,
    ) {
        let clients = self.clients(nick);
        let Some(first) = clients.first() else { return };
        if role == Role::None {
            return self.remove_nick(first, LeaveReason::Kicked, actor, reason, out);
        }
        let mut is_other = false;
        for client in self.occupants.iter_mut().filter(|client| client.nick == nick) {
            is_other |= std::mem::replace(&mut client.role, role) != role;
        }
        if is_other {
            self.show_change(first, actor, reason, out);
            self.tell_role(first, out);
        }
    }

    /// All clients of an occupant leave at once: each learns it, and so do the others, once.
    pub(crate) fn remove_nick(
        &mut self,
        jid: &Jid,
        why: LeaveReason,
        actor: Option<&str>,
        reason: Option<&str>,
        out: &mut Effects,
    ) {
        let Some(nick) = self.occupant(jid).map(|occupant| occupant.nick.clone()) else { return };
        self.remove(jid, why, actor, reason, &[], out);
        self.occupants.retain(|client| client.nick != nick); // they were told with the first
    }

    /// §9.1 to §9.4, §10.3 to §10.8.
    pub(crate) fn set_affiliation(
        &mut self,
        jid: &Jid,
        affiliation: Affiliation,
        actor: Option<&str>,
        reason: Option<&str>,
        out: &mut Effects,
    ) {
        let before = self.affiliation(jid);
        if before == affiliation {
            return;
        }
        match affiliation {
            Affiliation::None => self.affiliations.remove(jid.bare_str()),
            other => self.affiliations.insert(jid.bare_str().to_owned(), other),
        };
        out.save = true;
        if let Some(jid) = bare(jid) {
            out.facts.push(RoomEvent::AffiliationChanged { room: self.address.clone(), jid, affiliation });
        }
        let inside: Vec<Jid> =
            self.occupants.iter().map(|o| o.jid.clone()).filter(|o| o.to_bare() == *jid).collect();
        for full in &inside {
            if affiliation == Affiliation::Outcast {
                self.remove_nick(full, LeaveReason::Banned, actor, reason, out);
            } else if self.config.members_only && !affiliation.is_member() {
                self.remove_nick(full, LeaveReason::NotMember, actor, reason, out);
            } else {
                let role = self.role_of(affiliation);
                let mut is_other = false;
                let nick = self.occupant(full).map(|occupant| occupant.nick.clone()).unwrap_or_default();
                for client in self.occupants.iter_mut().filter(|client| client.nick == nick) {
                    is_other |= std::mem::replace(&mut client.role, role) != role;
                }
                self.show_change(full, actor, reason, out);
                if is_other {
                    self.tell_role(full, out);
                }
            }
        }
        if inside.is_empty() {
            self.tell_absent_change(jid, affiliation, out);
        }
    }

    /// §9.3, §10.3: those inside learn of a change to somebody who is not.
    fn tell_absent_change(&self, jid: &Jid, affiliation: Affiliation, out: &mut Effects) {
        let item = Item {
            affiliation: affiliation.as_str(),
            role: "none",
            jid: Some(jid.as_str()),
            ..Item::default()
        };
        let message = Stanza::new(Kind::Message, None).with(&xmpp_core::payload::muc::user(Some(&item), &[]));
        for viewer in self.occupants.iter().filter(|viewer| self.sees_jids(viewer)) {
            out.stanzas.push(message.clone().addressed(Some(&self.jid), Some(&viewer.jid)));
        }
    }

    fn show_change(&self, jid: &Jid, actor: Option<&str>, reason: Option<&str>, out: &mut Effects) {
        let Some(occupant) = self.occupant(jid) else { return };
        for viewer in &self.occupants {
            let is_self = viewer.nick == occupant.nick;
            let real = (self.sees_jids(viewer) || is_self).then(|| jid.as_str());
            let affiliation = self.affiliation(jid).as_str();
            let item =
                Item { affiliation, role: occupant.role.as_str(), jid: real, nick: None, actor, reason };
            let codes: &[u16] = if is_self { &[110] } else { &[] };
            let mut content = occupant.presence.clone();
            content.push(xmpp_core::payload::muc::user(Some(&item), codes));
            content.push(self.occupant_id(jid));
            content.extend(self.hats(jid));
            let presence = Stanza::new(Kind::Presence, None).with_content(&content);
            out.stanzas.push(presence.addressed(Some(&self.occupant_jid(&occupant.nick)), Some(&viewer.jid)));
        }
    }

    fn tell_role(&self, jid: &Jid, out: &mut Effects) {
        if let Some((occupant, jid)) = self.occupant(jid).zip(bare(jid)) {
            let (room, nick, role) = (self.address.clone(), occupant.nick.clone(), occupant.role);
            out.facts.push(RoomEvent::RoleChanged { room, jid, nick, role });
        }
    }

    /// §8.5, §9.2, §9.5, §10.5, §10.8: a list by role or affiliation.
    pub(crate) fn list(&self, query: &Element, from: &Jid) -> Result<Element, StanzaError> {
        let asked = query.get("item").ok_or(ErrorKind::BadRequest)?;
        let out = Element::new("query", ns::MUC_ADMIN);
        let mine = self.affiliation(from);
        if let Some(role) = asked.attribute("role").and_then(parse_role) {
            if self.occupant(from).is_none_or(|me| me.role != Role::Moderator) {
                return Err(ErrorKind::Forbidden.into());
            }
            let items = self.nicks().filter(|occupant| occupant.role == role).map(|occupant| {
                let affiliation = self.affiliation(&occupant.jid).as_str();
                let (jid, nick) = (Some(occupant.jid.as_str()), Some(occupant.nick.as_str()));
                Item { affiliation, role: role.as_str(), jid, nick, ..Item::default() }
                    .to_element(ns::MUC_ADMIN)
            });
            return Ok(out.children_from(items));
        }
        let affiliation =
            asked.attribute("affiliation").and_then(parse_affiliation).ok_or(ErrorKind::BadRequest)?;
        // §9.5: members of a members-only room may see who else is one.
        let is_member_list =
            affiliation == Affiliation::Member && self.config.members_only && mine.is_member();
        if mine < Affiliation::Admin && !is_member_list {
            return Err(ErrorKind::Forbidden.into());
        }
        let items = self.affiliations.iter().filter(|(_, a)| **a == affiliation).map(|(jid, _)| {
            Element::new("item", ns::MUC_ADMIN).with("affiliation", affiliation.as_str()).with("jid", jid)
        });
        Ok(out.children_from(items))
    }
}

pub(crate) fn parse_role(word: &str) -> Option<Role> {
    [Role::None, Role::Visitor, Role::Participant, Role::Moderator]
        .into_iter()
        .find(|role| role.as_str() == word)
}

pub(crate) fn parse_affiliation(word: &str) -> Option<Affiliation> {
    use Affiliation::{Admin, Member, None, Outcast, Owner};
    [Outcast, None, Member, Admin, Owner].into_iter().find(|affiliation| affiliation.as_str() == word)
}

const MOST_ITEMS: usize = 500;
const MOST_AFFILIATIONS: usize = 10_000;
