//! Between two occupants — XEP-0045 §7.5 (private messages), §6.6, §17.4 (iq), §11.1, §18.1.2 (what comes back);
//! XEP-0410 1.1.0, §3.3 (self-ping).
//!
//! In    messages and iqs for `room@service/nick`.
//! Out   the same from the sender's nick, to all clients of the nick, or for an iq to one; answers to the client that asked.
//! State who asked whom and was not answered yet: bounded, the oldest is forgotten.
//! Errors `not-acceptable` to who is not inside, `bad-request` where they ask what a nick is (§6.6), `item-not-found` for
//!        a nick that nobody has, `forbidden` where the room says who may.

use std::collections::VecDeque;

use xmpp_core::xml::Node;
use xmpp_core::{Element, ErrorKind, Jid, Stanza, StanzaError, ns};

use super::presence::Removal;
use super::room::{Effects, Room};
use super::speak::strip;

/// Questions that are not answered yet.
#[derive(Default)]
pub(crate) struct Questions(VecDeque<Question>);

struct Question {
    id: Option<String>,
    /// The client that asked.
    asker: Jid,
    /// Whose client, or which account, was asked: a bare address.
    asked: String,
}

impl Questions {
    fn put(&mut self, id: Option<String>, asker: &Jid, asked: &Jid) {
        if self.0.len() >= MOST_QUESTIONS {
            self.0.pop_front();
        }
        self.0.push_back(Question { id, asker: asker.clone(), asked: asked.bare_str().to_owned() });
    }

    /// Who of these clients asked that account with this id.
    fn take(&mut self, id: Option<&str>, askers: &[Jid], asked: &Jid) -> Option<Jid> {
        let is_it = |question: &Question| {
            question.id.as_deref() == id
                && question.asked == asked.bare_str()
                && askers.contains(&question.asker)
        };
        let at = self.0.iter().position(is_it)?;
        self.0.remove(at).map(|question| question.asker)
    }
}

impl Room {
    /// §7.5.
    pub(crate) fn private_message(
        &mut self,
        message: &Stanza,
        from: &Jid,
        nick: &str,
        out: &mut Effects,
    ) -> Result<(), StanzaError> {
        let speaker = self.occupant(from).ok_or(ErrorKind::NotAcceptable)?;
        if message.is_type("groupchat") {
            return Err(ErrorKind::BadRequest.into());
        }
        if !self.config.private_messages.include(speaker.role) {
            let why = "this room does not let you send private messages";
            return Err(StanzaError::because(ErrorKind::Forbidden, why));
        }
        let hearers = self.clients(nick);
        if hearers.is_empty() {
            return Err(ErrorKind::ItemNotFound.into());
        }
        let mut content = strip(message.children());
        content.push(Element::new("x", ns::MUC_USER));
        content.push(self.occupant_id(&speaker.jid));
        let from = self.occupant_jid(&speaker.nick);
        let copy = message.clone().with_content(&content);
        let begin = out.stanzas.len();
        out.stanzas.extend(hearers.iter().map(|hearer| copy.clone().addressed(Some(&from), Some(hearer))));
        out.private.push(begin..out.stanzas.len());
        out.causes.push(message.clone());
        Ok(())
    }

    /// A message that could not be delivered, or that a client refuses. Who cannot be reached is inside no more (§18.1.2);
    /// other errors go to whose message it was.
    pub(crate) fn returned(&mut self, error: &Stanza, from: &Jid, nick: Option<&str>, out: &mut Effects) {
        let Some(occupant) = self.occupant(from) else { return };
        let condition = error.find("error", ns::CLIENT).and_then(|error| {
            error.children().find(|child| child.ns == ns::STANZAS).map(|condition| condition.name.clone())
        });
        if condition.is_some_and(|condition| UNREACHABLE.contains(&condition.as_str())) {
            return self.remove(from, &Removal::broken(), out);
        }
        let by = self.occupant_jid(&occupant.nick);
        for sender in nick.map(|nick| self.clients(nick)).unwrap_or_default() {
            let sees = self.occupant(&sender).is_some_and(|sender| self.sees_jids(sender));
            let error = if sees { error.clone() } else { unaddressed(error.clone()) };
            out.stanzas.push(error.addressed(Some(&by), Some(&sender)));
        }
    }

    /// An iq to an occupant goes to the real address, and neither learns the other's (§17.4).
    pub(crate) fn private_iq(
        &mut self,
        iq: &Stanza,
        from: &Jid,
        nick: &str,
        out: &mut Effects,
    ) -> Result<(), StanzaError> {
        if matches!(iq.type_.as_deref(), Some("result" | "error")) {
            self.answer(iq, from, nick, out);
            return Ok(());
        }
        let Some(asker) = self.occupant(from) else {
            let is_disco = iq.mentions(ns::DISCO_INFO) || iq.mentions(ns::DISCO_ITEMS);
            return Err(if is_disco { ErrorKind::BadRequest } else { ErrorKind::NotAcceptable }.into());
        };
        let asked = self.by_nick(nick).ok_or(ErrorKind::ItemNotFound)?;
        if asker.nick == nick && iq.is_type("get") && iq.find("ping", ns::PING).is_some() {
            out.stanzas.push(iq.result(None)); // whichever of one's clients has the nick as well
            return Ok(());
        }
        // A card is the account's, which answers for it.
        let is_card = iq.mentions(ns::VCARD_TEMP) || iq.mentions(ns::VCARD4);
        let to = if is_card && iq.is_type("get") { asked.jid.to_bare() } else { asked.jid.clone() };
        let by = self.occupant_jid(&asker.nick);
        self.questions.put(iq.id.clone(), from, &to);
        out.stanzas.push(iq.clone().addressed(Some(&by), Some(&to)));
        Ok(())
    }

    /// An answer goes to the client that asked. An account answers for its cards with its bare address.
    fn answer(&mut self, iq: &Stanza, from: &Jid, nick: &str, out: &mut Effects) {
        let is_theirs = |jid: &Jid| jid == from || (from.is_bare() && jid.bare_str() == from.as_str());
        let Some(by) = self.occupants.iter().find(|occupant| is_theirs(&occupant.jid)) else { return };
        let by = self.occupant_jid(&by.nick);
        let askers = self.clients(nick);
        if let Some(asker) = self.questions.take(iq.id.as_deref(), &askers, from) {
            let sees = self.occupant(&asker).is_some_and(|asker| self.sees_jids(asker));
            let iq = if sees { iq.clone() } else { unaddressed(iq.clone()) };
            out.stanzas.push(iq.addressed(Some(&by), Some(&asker)));
        }
    }
}

/// An answer without the addresses that a card or an error names: who may not see whose nick it is learns it from these neither
/// (§17.4).
fn unaddressed(iq: Stanza) -> Stanza {
    let is_card = |payload: &Element| matches!(payload.ns.as_str(), ns::VCARD_TEMP | ns::VCARD4);
    let mut children = iq.children();
    for error in children.iter_mut().filter(|child| child.is("error", ns::CLIENT)) {
        error.attributes.retain(|(name, _)| name != "by"); // RFC 6120 §8.3.1
    }
    for card in children.iter_mut().filter(|payload| is_card(payload)) {
        card.nodes.retain(|node| match node {
            Node::Element(part) => !["JABBERID", "TEL", "impp", "tel"].contains(&part.name.as_str()),
            Node::Text(_) => true,
        });
    }
    iq.with_content(&children)
}

/// §18.1.2: conditions that say that nobody is there.
const UNREACHABLE: &[&str] = &[
    "gone",
    "item-not-found",
    "recipient-unavailable",
    "redirect",
    "remote-server-not-found",
    "remote-server-timeout",
];
const MOST_QUESTIONS: usize = 500;
