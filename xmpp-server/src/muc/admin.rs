//! Roles and affiliations — XEP-0045 §8.2 to §8.5 (moderators), §9 (admins), §10.3 to §10.8 (owners).
//!
//! In    items of `muc#admin`.
//! Out   changed presence of whom it concerns, with codes; an invitation for new members of a members-only room (§9.5);
//!       facts, which the room's call follows. Lists with nicks and reasons (`lists`).
//! State affiliations and why they were given, by bare JID; a ban may name a whole domain (§9.2).
//! Errors §5.1.1, §5.2.1 (who may): `forbidden`, `not-allowed` against the more privileged, `conflict` for the last owner.

use std::collections::BTreeSet;

use shared_model::{Affiliation, LeaveReason, Role, RoomEvent};
use xmpp_core::payload::muc::{Item, user};
use xmpp_core::{Element, ErrorKind, Jid, Kind, Stanza, StanzaError, ns};

use super::presence::{Removal, Said};
use super::room::{Effects, Room, bare};

/// One item of a request, read.
pub(super) enum Change {
    Role(String, Role),
    /// A nick beside an affiliation is to be reserved; an empty one is to be free again (§9.5).
    Affiliation(Jid, Affiliation, Option<String>),
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
        self.check_owners(changes.iter().filter_map(|(change, _)| match change {
            Change::Affiliation(jid, affiliation, _) => Some((jid.bare_str(), *affiliation)),
            Change::Role(..) => None,
        }))?;
        let actor = self.occupant(from).map(|occupant| occupant.nick.clone());
        let actor = actor.as_deref();
        for (change, reason) in changes {
            let reason = reason.as_deref();
            match change {
                Change::Role(nick, role) => self.set_role(&nick, role, actor, reason, out),
                Change::Affiliation(jid, affiliation, nick) => {
                    let before = self.affiliation(&jid);
                    self.set_affiliation(&jid, affiliation, actor, reason, out);
                    self.reserve(&jid, nick, out);
                    let is_new = before == Affiliation::None && affiliation == Affiliation::Member;
                    let is_inside = self.occupants.iter().any(|o| o.jid.bare_str() == jid.as_str());
                    if is_new && self.config.members_only && !is_inside {
                        self.invite_member(&jid, reason, out);
                    }
                }
            }
        }
        Ok(())
    }

    fn reserve(&mut self, jid: &Jid, nick: Option<String>, out: &mut Effects) {
        match nick {
            None => return,
            Some(nick) if nick.is_empty() => {
                self.nicks_reserved.remove(jid.bare_str());
            }
            Some(nick) => {
                self.nicks_reserved.insert(jid.bare_str().to_owned(), nick);
            }
        }
        out.save = true;
    }

    fn read(&self, item: &Element) -> Result<Change, StanzaError> {
        let role =
            item.attribute("role").map(|word| parse_role(word).ok_or(ErrorKind::BadRequest)).transpose()?;
        let affiliation =
            item.attribute("affiliation").map(|w| parse_affiliation(w).ok_or(ErrorKind::BadRequest));
        match (role, affiliation.transpose()?, item.attribute("nick"), item.attribute("jid")) {
            (Some(role), None, Some(nick), _) => Ok(Change::Role(nick.to_owned(), role)),
            (None, Some(affiliation), nick, Some(jid)) => {
                let jid: Jid = jid.parse().map_err(|_| ErrorKind::JidMalformed)?;
                let jid = jid.to_bare();
                let nick = nick.filter(|_| affiliation.is_member()).map(|nick| match nick.trim() {
                    "" => Ok(String::new()),
                    nick => self.free_nick(&jid, nick),
                });
                Ok(Change::Affiliation(jid, affiliation, nick.transpose()?))
            }
            (None, Some(affiliation), Some(nick), None) => {
                let occupant = self.by_nick(nick).ok_or(ErrorKind::ItemNotFound)?;
                Ok(Change::Affiliation(occupant.jid.to_bare(), affiliation, None))
            }
            _ => Err(ErrorKind::BadRequest.into()), // §17.4, rule 4
        }
    }

    /// §5.1.1 and §5.2.1: the tables of privileges.
    pub(super) fn check(&self, change: &Change, from: &Jid) -> Result<(), StanzaError> {
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
                if is_demotion && theirs >= Affiliation::Admin {
                    return Err(ErrorKind::NotAllowed.into()); // §8.4, §9.7: by nobody, themselves included
                }
                Ok(())
            }
            Change::Affiliation(jid, affiliation, _) => {
                if mine < Affiliation::Admin {
                    return Err(ErrorKind::Forbidden.into());
                }
                if jid.local().is_none() && affiliation.is_member() {
                    return Err(ErrorKind::NotAllowed.into()); // a domain can be banned, and no more
                }
                if *affiliation == Affiliation::Outcast && jid.bare_str() == from.bare_str() {
                    return Err(ErrorKind::Conflict.into()); // §9.1
                }
                if *affiliation >= Affiliation::Admin && mine < Affiliation::Owner {
                    return Err(ErrorKind::Forbidden.into()); // §10.5, §10.8: lists of owners
                }
                let theirs = self.affiliation(jid);
                if theirs >= Affiliation::Admin && mine < Affiliation::Owner {
                    return Err(ErrorKind::NotAllowed.into());
                }
                if self.affiliations.len() >= MOST_AFFILIATIONS && theirs == Affiliation::None {
                    return Err(ErrorKind::ResourceConstraint.into());
                }
                Ok(())
            }
        }
    }

    /// §10.5: a room that has an owner has one after these changes, too.
    pub(crate) fn check_owners<'a>(
        &self,
        changes: impl Iterator<Item = (&'a str, Affiliation)>,
    ) -> Result<(), StanzaError> {
        let owners = self.affiliations.iter().filter(|(_, a)| **a == Affiliation::Owner);
        let mut owners: BTreeSet<String> = owners.map(|(jid, _)| jid.clone()).collect();
        let had_one = !owners.is_empty();
        for (jid, affiliation) in changes {
            match affiliation {
                Affiliation::Owner => owners.insert(jid.to_owned()),
                _ => owners.remove(jid),
            };
        }
        if had_one && owners.is_empty() { Err(ErrorKind::Conflict.into()) } else { Ok(()) }
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
        out.save |= self.remember_role(first, role);
        if role == Role::None {
            let removal = Removal { actor, reason, ..Removal::new(LeaveReason::Kicked) };
            return self.remove_nick(first, &removal, out);
        }
        self.change_role(first, role, &Said { actor, reason, ..Said::default() }, Shown::IfOther, out);
    }

    /// Gives all clients of an occupant a role, and tells.
    fn change_role(&mut self, jid: &Jid, role: Role, said: &Said<'_>, shown: Shown, out: &mut Effects) {
        let Some(nick) = self.occupant(jid).map(|occupant| occupant.nick.clone()) else { return };
        let mut before = role;
        for client in self.occupants.iter_mut().filter(|client| client.nick == nick) {
            before = std::mem::replace(&mut client.role, role);
            client.asked_at = None;
        }
        let Some(occupant) = self.occupant(jid).cloned() else { return };
        if before != role || shown == Shown::Always {
            self.broadcast_presence(&occupant, before, said, out);
        }
        // The room's call remembers whom it does not hear beyond their leaving: who gives a voice, gives it there too.
        let is_given = shown == Shown::IfOther && role.has_voice();
        if let Some(jid) = bare(jid).filter(|_| before != role || is_given) {
            out.facts.push(RoomEvent::RoleChanged { room: self.address.clone(), jid, nick, role });
        }
    }

    /// An account is gone. A ban stays: it is of the name.
    pub(crate) fn forget_account(&mut self, jid: &Jid, out: &mut Effects) {
        let affiliation = self.affiliations.get(jid.bare_str()).copied();
        if affiliation.is_some_and(|affiliation| affiliation != Affiliation::Outcast) {
            self.set_affiliation(jid, Affiliation::None, None, None, out);
        }
        let had_more = self.nicks_reserved.remove(jid.bare_str()).is_some()
            | self.requests.remove(jid.bare_str()).is_some()
            | self.voices.forget(jid)
            | self.hats.forget(jid);
        out.save |= had_more;
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
        let before = self.affiliations.get(jid.bare_str()).copied().unwrap_or(Affiliation::None);
        if before == affiliation {
            return;
        }
        match affiliation {
            Affiliation::None => self.affiliations.remove(jid.bare_str()),
            other => self.affiliations.insert(jid.bare_str().to_owned(), other),
        };
        match reason.filter(|reason| !reason.is_empty() && affiliation != Affiliation::None) {
            Some(reason) => {
                let reason = reason.chars().take(LONGEST_REASON).collect();
                self.reasons.insert(jid.bare_str().to_owned(), reason);
            }
            None => {
                self.reasons.remove(jid.bare_str());
            }
        }
        self.voices.forget(jid);
        if !affiliation.is_member() {
            self.nicks_reserved.remove(jid.bare_str()); // §9.1
        }
        out.save = true;
        if let Some(jid) = bare(jid) {
            out.facts.push(RoomEvent::AffiliationChanged { room: self.address.clone(), jid, affiliation });
        }
        let is_whole_domain = jid.local().is_none();
        let concerns = |o: &Jid| {
            o.bare_str() == jid.as_str()
                || (is_whole_domain && o.domain() == jid.as_str() && self.affiliation(o) == affiliation)
        };
        let inside: Vec<Jid> =
            self.occupants.iter().map(|o| o.jid.clone()).filter(|full| concerns(full)).collect();
        for full in &inside {
            if affiliation == Affiliation::Outcast {
                let removal = Removal { actor, reason, ..Removal::new(LeaveReason::Banned) };
                self.remove_nick(full, &removal, out);
            } else if self.config.members_only && !affiliation.is_member() {
                let removal = Removal { actor, reason, ..Removal::new(LeaveReason::NotMember) };
                self.remove_nick(full, &removal, out);
            } else {
                let said = Said { actor, reason, ..Said::default() };
                self.change_role(full, self.role_of(affiliation), &said, Shown::Always, out);
            }
        }
        if inside.is_empty() {
            self.tell_absent_change(jid, affiliation, reason, out);
        }
    }

    /// §9.3, §10.3: those inside learn of a change to somebody who is not.
    fn tell_absent_change(
        &self,
        jid: &Jid,
        affiliation: Affiliation,
        reason: Option<&str>,
        out: &mut Effects,
    ) {
        let item = Item {
            affiliation: affiliation.as_str(),
            role: "none",
            jid: Some(jid.as_str()),
            reason,
            ..Item::default()
        };
        let message = Stanza::new(Kind::Message, None).with(&user(Some(&item), &[]));
        for viewer in self.occupants.iter().filter(|viewer| self.sees_jids(viewer)) {
            out.stanzas.push(message.clone().addressed(Some(&self.jid), Some(&viewer.jid)));
        }
    }
}

/// Whether a change that is none is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    IfOther,
    Always,
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
pub(super) const MOST_AFFILIATIONS: usize = 10_000;
/// Characters of a reason that is kept.
const LONGEST_REASON: usize = 500;
