//! Retraction by the author — XEP-0424 0.4.2, sections 4 (tombstones), 5 (rules).
//!
//! In    `<retract/>` with the stanza-id of a message, of whoever wrote it.
//! Out   the message in history and archive becomes a tombstone, before the retraction is said; the retraction is kept.
//! Errors `forbidden` to who did not write it. Of a message that neither history nor archive holds, clients judge by the occupant id.

use xmpp_core::payload::delay::date_time;
use xmpp_core::{Element, ErrorKind, Stanza, StanzaError, ns};

use super::room::{Effects, Occupant, Room};

impl Room {
    /// A message on its way to all retracts an earlier one, if it says so.
    pub(crate) fn retract(
        &mut self,
        message: &Stanza,
        children: &[Element],
        speaker: &Occupant,
        now: i64,
        out: &mut Effects,
    ) -> Result<(), StanzaError> {
        let Some(retract) = children.iter().find(|child| child.is("retract", ns::RETRACT)) else {
            return Ok(());
        };
        let id = retract.attribute("id").ok_or(ErrorKind::BadRequest)?.to_owned();
        let Some(earlier) = self.earlier(&id) else { return Ok(()) };
        let author = earlier.find("occupant-id", ns::OCCUPANT_ID);
        if author.as_ref() != Some(&self.occupant_id(&speaker.jid)) {
            let why = "only its author retracts a message; moderators moderate it";
            return Err(StanzaError::because(ErrorKind::Forbidden, why));
        }
        let tombstone = Element::new("retracted", ns::RETRACT)
            .with_some("id", message.id.as_ref())
            .with("stamp", date_time(now));
        self.bury(id, tombstone, out);
        Ok(())
    }
}
