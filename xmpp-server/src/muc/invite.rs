//! Invitations through the room — XEP-0045 §7.8.2 (mediated), §7.9 (continued), §9.5 (new members).
//!
//! In    `<invite/>` of an occupant, `<decline/>` of one who was invited.
//! Out   the invitation from the room, with the password if there is one, and with the direct form (XEP-0249) for clients
//!       that know but that; the refusal to who invited.
//! State who invited whom: bounded, the oldest is forgotten. A refusal of one who was not invited goes nowhere.
//! Errors `forbidden` to who may not invite, `item-not-found` for an account that is not there (looked up before sending),
//!        `not-acceptable` for too many at once.

use std::collections::VecDeque;

use shared_model::Affiliation;
use xmpp_core::{Element, ErrorKind, Jid, Kind, Stanza, StanzaError, ns};

use super::room::{Effects, Room};

/// An invitation, and what asked for it.
pub(crate) struct Invitation {
    pub(crate) message: Stanza,
    pub(crate) cause: Option<Stanza>,
}

/// Who invited whom: the inviter's full, the invitee's bare address.
#[derive(Default)]
pub(crate) struct Invited(VecDeque<(Jid, String)>);

impl Invited {
    fn put(&mut self, by: &Jid, to: &Jid) {
        if self.0.len() >= MOST_REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back((by.clone(), to.bare_str().to_owned()));
    }

    /// The inviter that an invitee means; each invitation is refused once.
    fn take(&mut self, invitee: &Jid, to: &Jid) -> Option<Jid> {
        let is_it = |(by, invited): &(Jid, String)| {
            invited == invitee.bare_str() && (by == to || (to.is_bare() && by.bare_str() == to.as_str()))
        };
        let at = self.0.iter().position(is_it)?;
        self.0.remove(at).map(|(by, _)| by)
    }
}

impl Room {
    /// §7.8.2: an invitation or its refusal goes through the room.
    pub(crate) fn mediate(
        &mut self,
        message: &Stanza,
        x: &Element,
        from: &Jid,
        out: &mut Effects,
    ) -> Result<(), StanzaError> {
        if let Some(decline) = x.get("decline") {
            self.decline(decline, from, out);
            return Ok(());
        }
        let invites: Vec<&Element> = x.children().filter(|child| child.is("invite", ns::MUC_USER)).collect();
        if invites.is_empty() {
            return Err(ErrorKind::BadRequest.into());
        }
        if invites.len() > MOST_AT_ONCE {
            return Err(ErrorKind::NotAcceptable.into());
        }
        self.occupant(from).ok_or(ErrorKind::Forbidden)?;
        let is_admin = self.affiliation(from) >= Affiliation::Admin;
        if self.config.members_only && !is_admin && !self.config.members_invite {
            return Err(ErrorKind::Forbidden.into());
        }
        for invite in invites {
            let to = invite.attribute("to").ok_or(ErrorKind::BadRequest)?;
            let to: Jid = to.parse().map_err(|_| ErrorKind::JidMalformed)?;
            if self.config.members_only && self.affiliation(&to) == Affiliation::None {
                self.may_be_member(&to)?;
                self.set_affiliation(&to.to_bare(), Affiliation::Member, None, None, out);
            }
            self.invited.put(from, &to);
            let mut passed = Element::new("invite", ns::MUC_USER).with("from", from);
            passed.nodes.clone_from(&invite.nodes);
            let invitation = self.invitation(passed, &to).with_id(message.id.as_deref());
            out.invitations.push(Invitation { message: invitation, cause: Some(message.clone()) });
        }
        Ok(())
    }

    fn decline(&mut self, decline: &Element, from: &Jid, out: &mut Effects) {
        let to = decline.attribute("to").and_then(|to| to.parse::<Jid>().ok());
        let Some(inviter) = to.and_then(|to| self.invited.take(from, &to)) else { return };
        let mut passed = Element::new("decline", ns::MUC_USER).with("from", from.to_bare());
        passed.nodes.clone_from(&decline.nodes);
        let message = Stanza::new(Kind::Message, None).with(&Element::new("x", ns::MUC_USER).child(passed));
        out.stanzas.push(message.addressed(Some(&self.jid), Some(&inviter)));
    }

    /// §9.5: somebody who became a member of a members-only room while outside is invited.
    pub(crate) fn invite_member(&self, jid: &Jid, reason: Option<&str>, out: &mut Effects) {
        let invite = Element::new("invite", ns::MUC_USER).with("from", &self.jid);
        let invite = match reason {
            Some(reason) => invite.text_child("reason", reason),
            None => invite,
        };
        out.invitations.push(Invitation { message: self.invitation(invite, jid), cause: None });
    }

    fn invitation(&self, invite: Element, to: &Jid) -> Stanza {
        let reason = invite.text_of("reason");
        let mut content = Element::new("x", ns::MUC_USER).child(invite);
        if let Some(password) = &self.config.password {
            content = content.text_child("password", password.clone());
        }
        let direct = Element::new("x", ns::DIRECT_INVITE)
            .with("jid", &self.jid)
            .with_some("password", self.config.password.as_ref())
            .with_some("reason", reason);
        Stanza::new(Kind::Message, None).with(&content).with(&direct).addressed(Some(&self.jid), Some(to))
    }
}

/// Invitations in one message.
const MOST_AT_ONCE: usize = 50;
const MOST_REMEMBERED: usize = 500;
