//! Lists by role or affiliation — XEP-0045 §8.5 (voice), §9.2 (bans), §9.5 (members), §9.8 (moderators), §10.5, §10.8
//! (owners, admins), §17.4 (what items hold).
//!
//! In    one item of `muc#admin` with a role or an affiliation.
//! Out   occupants of that role, or all of that affiliation with their reserved nicks and why they have it.
//! Errors `forbidden`: roles are for moderators; bans for admins; in a semi-anonymous room members are for admins and for
//!        moderators, owners and admins for owners. In a non-anonymous room members and whom the configuration names
//!        (`muc#roomconfig_getmemberlist`) read all three.

use shared_model::{Affiliation, Role};
use xmpp_core::payload::muc::Item;
use xmpp_core::{Element, ErrorKind, Jid, StanzaError, ns};

use super::admin::{parse_affiliation, parse_role};
use super::room::Room;

impl Room {
    /// The list that is asked for.
    pub(crate) fn list(&self, query: &Element, from: &Jid) -> Result<Element, StanzaError> {
        let asked = query.get("item").ok_or(ErrorKind::BadRequest)?;
        let out = Element::new("query", ns::MUC_ADMIN);
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
        if !self.may_list(affiliation, from) {
            return Err(ErrorKind::Forbidden.into());
        }
        let items = self.affiliations.iter().filter(|(_, a)| **a == affiliation).map(|(jid, _)| {
            let nick = self.nicks_reserved.get(jid).filter(|_| affiliation != Affiliation::Outcast);
            let item = Element::new("item", ns::MUC_ADMIN)
                .with("affiliation", affiliation.as_str())
                .with("jid", jid)
                .with_some("nick", nick);
            match self.reasons.get(jid) {
                Some(reason) => item.text_child("reason", reason.clone()),
                None => item,
            }
        });
        Ok(out.children_from(items))
    }

    fn may_list(&self, affiliation: Affiliation, from: &Jid) -> bool {
        let mine = self.affiliation(from);
        let needed = if affiliation >= Affiliation::Admin { Affiliation::Owner } else { Affiliation::Admin };
        if mine >= needed {
            return true;
        }
        let role = self.occupant(from).map(|occupant| occupant.role);
        let is_named = role.is_some_and(|role| self.config.list_members.contains(role));
        match affiliation {
            Affiliation::Outcast | Affiliation::None => false,
            _ if self.config.non_anonymous => is_named || (role.is_none() && mine.is_member()),
            Affiliation::Member => is_named && role == Some(Role::Moderator),
            Affiliation::Admin | Affiliation::Owner => false,
        }
    }
}
