//! The call of a room as RFC 4575 writes it, for an occupant who asks — XEP-0298 0.2, section 6 (a document beside no Jingle
//! session), section 7 (`urn:xmpp:coin:1` in disco).
//!
//! In    iq of type get with `<conference-info xmlns='urn:ietf:params:xml:ns:conference-info'/>`, to the room.
//! Out   the whole document, as much of it as the asker may see: the focus knows who that is.
//! State none. Errors `not-acceptable` for who is not inside (XEP-0045 §7.3 has it so), `item-not-found` while there is no
//!        call, `wait` while the focus does not answer.
//! Not here: documents that come unasked; who does not ask sees hats.

use std::time::Duration;

use shared_model::{BareJid, RoomAddress, RoomDirectory, Spec};
use xmpp_core::{Element, ErrorKind, Stanza, StanzaError};

use super::Rooms;
use crate::route::{pass, refuse};
use crate::server::Server;

/// XEP-0298.
pub(crate) const SPEC: Spec = Spec::xep(298, "0.2").note("the document, for occupants who ask; no Jingle");
/// What disco says of a room.
pub(super) const COIN: &str = "urn:xmpp:coin:1";

/// Whether somebody asks for the document.
pub(super) fn is_meant(stanza: &Stanza) -> bool {
    stanza.is_type("get")
        && stanza.to.as_ref().is_some_and(xmpp_core::Jid::is_bare)
        && stanza.find("conference-info", DOCUMENT).is_some()
}

impl Rooms {
    /// Answers who asks for the document.
    pub(super) async fn tell_call(&self, server: &Server, stanza: &Stanza, local: &str) {
        match self.document(server, stanza, local).await {
            Ok(document) => pass(server, stanza.result(Some(&document))),
            Err(error) => refuse(server, stanza, &error),
        }
    }

    async fn document(&self, server: &Server, stanza: &Stanza, local: &str) -> Result<Element, StanzaError> {
        let missing = || StanzaError::from(ErrorKind::ItemNotFound);
        let unavailable = |_| StanzaError::from(ErrorKind::RemoteServerTimeout);
        let room: RoomAddress = self.address(local).ok_or_else(missing)?;
        let asker = stanza.from.as_ref().and_then(|from| from.bare_str().parse::<BareJid>().ok());
        let asker = asker.ok_or(ErrorKind::JidMalformed)?;
        let snapshot = self.room(&room).await.map_err(unavailable)?.ok_or_else(missing)?;
        if !snapshot.occupants.iter().any(|occupant| occupant.jid == asker) {
            return Err(ErrorKind::NotAcceptable.into());
        }
        let calls = server.calls.get().ok_or_else(missing)?;
        let document = tokio::time::timeout(PATIENCE, calls.document(&room, &asker)).await;
        let document = document.map_err(|_| ErrorKind::RemoteServerTimeout)?.map_err(unavailable)?;
        let document = document.ok_or_else(missing)?;
        // A declaration of XML stands at the start of a file alone.
        let text = document.split_once("?>").map_or(document.as_str(), |(_, rest)| rest).trim();
        Element::parse(text, "").map_err(|_| ErrorKind::InternalServerError.into())
    }
}

const DOCUMENT: &str = "urn:ietf:params:xml:ns:conference-info";
const PATIENCE: Duration = Duration::from_secs(5);
