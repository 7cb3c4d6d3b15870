//! What owners do — XEP-0045 §10.1 (create), §10.2 (configure), §10.9 (destroy).
//!
//! In    `muc#owner`. Out the form; the new rules with code 104 and those of §10.2.1; the end of the room.
//! Errors `forbidden` to all others, `not-acceptable` for a form that cannot hold.

use shared_model::{Affiliation, LeaveReason, RoomEvent};
use xmpp_core::payload::form::Form;
use xmpp_core::payload::muc::{Item, user};
use xmpp_core::{Element, ErrorKind, Jid, Kind, Stanza, StanzaError, ns};

use super::room::{Effects, Room, bare};

impl Room {
    fn check_owner(&self, from: &Jid) -> Result<(), StanzaError> {
        let is_owner = self.affiliation(from) == Affiliation::Owner;
        if is_owner { Ok(()) } else { Err(ErrorKind::Forbidden.into()) }
    }

    /// §10.2: the form as it stands.
    pub(crate) fn configuration_form(&self, from: &Jid) -> Result<Element, StanzaError> {
        self.check_owner(from)?;
        Ok(Element::new("query", ns::MUC_OWNER).child(self.config.to_form().to_element()))
    }

    /// A form handed in, or the end of the room.
    pub(crate) fn own(
        &mut self,
        query: &Element,
        from: &Jid,
        _now: i64,
        out: &mut Effects,
    ) -> Result<(), StanzaError> {
        self.check_owner(from)?;
        if let Some(destroy) = query.get("destroy") {
            self.destroy(destroy, out);
            return Ok(());
        }
        let form = query.find("x", ns::FORM).and_then(Form::parse).ok_or(ErrorKind::BadRequest)?;
        if form.type_ == "cancel" {
            if self.is_locked {
                self.destroy(&Element::new("destroy", ns::MUC_OWNER), out); // §10.1.3
            }
            return Ok(());
        }
        let before = self.config.clone();
        self.config = before.submitted(&form, self.most_history)?;
        self.is_locked = false;
        out.save = true;
        let mut codes = Vec::new();
        if before.non_anonymous != self.config.non_anonymous {
            codes.push(if self.config.non_anonymous { 172 } else { 173 });
        }
        codes.push(104);
        let notice = Stanza::new(Kind::Message, Some("groupchat")).with(&user(None, &codes));
        self.broadcast(&notice.addressed(Some(&self.jid), None), out);
        out.facts.push(RoomEvent::ConfigurationChanged { room: self.address.clone() });
        if self.config.members_only && !before.members_only {
            self.remove_strangers(out);
        }
        Ok(())
    }

    /// §10.2.1: a room that became members-only sends others away, with 322.
    fn remove_strangers(&mut self, out: &mut Effects) {
        let is_stranger = |jid: &Jid| !self.affiliation(jid).is_member();
        let strangers: Vec<Jid> = self.nicks().map(|o| o.jid.clone()).filter(is_stranger).collect();
        for jid in strangers {
            let from = out.stanzas.len();
            self.remove_nick(&jid, LeaveReason::NotMember, None, None, out);
            for stanza in &mut out.stanzas[from..] {
                if let Some(x) = stanza.find("x", ns::MUC_USER) {
                    let mut x = x;
                    for node in &mut x.nodes {
                        if let xmpp_core::xml::Node::Element(status) = node
                            && status.attribute("code") == Some("321")
                        {
                            *status = Element::new("status", ns::MUC_USER).with("code", 322);
                        }
                    }
                    let rest = stanza.children().into_iter().filter(|child| child.ns != ns::MUC_USER);
                    let content: Vec<Element> = rest.chain([x]).collect();
                    *stanza = stanza.clone().with_content(&content);
                }
            }
        }
    }

    /// §10.9.
    fn destroy(&mut self, destroy: &Element, out: &mut Effects) {
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
        out.facts.push(RoomEvent::Destroyed { room: self.address.clone() });
    }
}
