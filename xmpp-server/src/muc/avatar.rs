//! A room's card and avatar — XEP-0486 0.1.0, sections 3.2 (publish), 3.3 (discover), 3.4 (retrieve), 5.1 (several photos).
//!
//! In    `vcard-temp` for the room: a set by an owner, a get by whoever may ask the room.
//! Out   the card as it was set; hashes of its photos for disco; code 104 when it changes.
//! State the card is a record of its own, collection `rooms.card`; the hashes are kept with the room.
//! Errors `forbidden` to others, `not-acceptable` for a card that is too large or whose photo is none.

use shared_model::Affiliation;
use xmpp_core::{Element, ErrorKind, Jid, Stanza, StanzaError, ns};

use super::room::{Effects, Question, Room};
use crate::avatar::sha1;
use crate::features::store_failed;
use crate::route;
use crate::server::Server;

impl Room {
    /// §3.2: an empty card takes the avatar away.
    pub(crate) fn set_card(
        &mut self,
        card: &Element,
        from: &Jid,
        out: &mut Effects,
    ) -> Result<(), StanzaError> {
        if self.affiliation(from) != Affiliation::Owner {
            let why = "only owners set the card of a room";
            return Err(StanzaError::because(ErrorKind::Forbidden, why));
        }
        let text = card.to_string();
        if text.len() > LARGEST {
            return Err(StanzaError::because(ErrorKind::NotAcceptable, "the card is larger than 192 KiB"));
        }
        let photos = card.children().filter(|child| child.is("PHOTO", ns::VCARD_TEMP));
        let binaries = photos.filter_map(|photo| photo.text_of("BINVAL"));
        let binaries = binaries.map(|binary| binary.split_whitespace().collect::<String>());
        let hashes: Option<Vec<String>> = binaries.map(|binary| sha1(&binary)).collect();
        self.photos = hashes.ok_or_else(|| {
            StanzaError::because(ErrorKind::NotAcceptable, "the photo of the card is not base64")
        })?;
        self.has_card = card.children().next().is_some();
        out.card = Some(self.has_card.then_some(text));
        out.save = true;
        self.say_configured(vec![104], out);
        Ok(())
    }

    /// §3.4: the card is read from the store by whoever answers.
    pub(crate) fn ask_card(&self, iq: &Stanza, out: &mut Effects) {
        if self.has_card {
            out.questions.push((iq.clone(), Question::Card, false));
        } else {
            out.stanzas.push(iq.result(Some(&Element::new("vCard", ns::VCARD_TEMP))));
        }
    }
}

/// Answers with the card of the room `owner`.
pub(crate) async fn answer(server: &Server, owner: &Jid, iq: &Stanza) {
    let local = owner.local().unwrap_or_default();
    let record = server.store.records.get(owner.domain(), COLLECTION, local).await;
    match record.map_err(|error| store_failed(&error)) {
        Ok(record) => {
            let text = record.as_ref().and_then(|record| std::str::from_utf8(&record.value).ok());
            let card = text.and_then(|text| Element::parse(text, "").ok());
            let card = card.unwrap_or_else(|| Element::new("vCard", ns::VCARD_TEMP));
            route::reply(server, iq.result(Some(&card))).await;
        }
        Err(error) => route::refuse(server, iq, &error),
    }
}

pub(crate) const COLLECTION: &str = "rooms.card";
/// Bytes of a card.
const LARGEST: usize = 196_608;
