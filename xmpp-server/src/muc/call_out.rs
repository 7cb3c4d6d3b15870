//! `/call bob` in a room: people are called into the room's call — RFC 4579 §5.5 asked for from the chat.
//!
//! In    what stands after `/call` in the message of an occupant with voice: nicks, addresses (a JID or an
//!       AOR), numbers, and names of the asker's domain.
//! Out   calls that the focus makes, by the rights of a REFER to it; who asked, and nobody else, is told of each what it came to.
//! Errors askers without an account here, words that name nobody, more than [`MOST`] of them, and what the focus refuses, in words to who asked.

use std::sync::Arc;

use shared_auth::AccountCard;
use shared_model::{BareJid, CallOutError, RoomAddress};
use shared_store::StoreError;
use xmpp_core::{Element, Jid, Kind, Stanza, ns};

use super::room::{Effects, Room};
use crate::route;
use crate::server::Server;

/// A call that an occupant asks for.
pub(crate) struct CallOut {
    asker: Jid,
    /// As the asker wrote it.
    word: String,
    /// The real JID of the occupant that the word names, if it names one.
    occupant: Option<Jid>,
}

impl Room {
    /// Calls those whom these words name.
    pub(crate) fn call_out(&self, message: &Stanza, words: &str, asker: &Jid, out: &mut Effects) {
        // A nick may have spaces.
        let words = match self.by_nick(words) {
            Some(_) => vec![words],
            None => words.split_whitespace().take(MOST + 1).collect(),
        };
        let is_sane = |word: &&str| word.len() <= LONGEST_WORD;
        let text = if words.len() > MOST {
            format!("Not called: that is more than {MOST} at once.")
        } else if !words.iter().all(is_sane) {
            "Not called: nobody has so long a name.".to_owned()
        } else {
            out.calls.extend(words.iter().map(|word| CallOut {
                asker: asker.clone(),
                word: (*word).to_owned(),
                occupant: self.by_nick(word).map(|occupant| occupant.jid.clone()),
            }));
            format!("Calling {}.", words.join(", "))
        };
        out.stanzas.push(notice(&self.jid, asker, message.id.as_deref(), text));
    }
}

/// Asks the focus for a call, and tells who wanted it what became of it.
pub(crate) async fn call(server: &Arc<Server>, room: &RoomAddress, jid: &Jid, call: &CallOut) {
    let text = match attempt(server, room, call).await {
        Ok(()) => format!("{} is in the call.", call.word),
        Err(why) => format!("{} is not in the call: {why}", call.word),
    };
    route::pass(server, notice(jid, &call.asker, None, text));
}

async fn attempt(server: &Server, room: &RoomAddress, call: &CallOut) -> Result<(), String> {
    let failed = |error: StoreError| {
        tracing::error!(%error, "whom to call cannot be read");
        "accounts cannot be read now".to_owned()
    };
    // Calls go by the rights of somebody of ours, and on their bill.
    let asker = server.account(&call.asker).await.map_err(failed)?;
    let asker = asker.ok_or("you have no account of this service")?;
    let calls = server.calls.get().ok_or_else(|| CallOutError::Unavailable.to_string())?;
    let uri = uri(server, call, &asker).await.map_err(failed)?.ok_or("nobody of that name can be called")?;
    calls.call_out(room, &asker.jid, &uri).await.map_err(|error| error.to_string())
}

/// Where a word leads.
async fn uri(server: &Server, call: &CallOut, asker: &AccountCard) -> Result<Option<String>, StoreError> {
    let directory = &server.auth.directory;
    let card = if let Some(occupant) = &call.occupant {
        server.account(occupant).await?
    } else if let known @ Some(_) = directory.uri_of(&call.word, &asker.aor.host()).await? {
        return Ok(known);
    } else if let Ok(jid) = format!("{}@{}", call.word, asker.jid.domain()).parse::<BareJid>() {
        // Somebody of the asker's own domain, by their name alone.
        directory.by_jid(&jid).await?
    } else {
        None
    };
    Ok(card.filter(|card| !card.aor.as_str().is_empty()).map(|card| card.aor.to_sip_uri()))
}

/// A word of the room to one client alone.
pub(super) fn notice(room: &Jid, asker: &Jid, id: Option<&str>, text: String) -> Stanza {
    Stanza::new(Kind::Message, Some("groupchat"))
        .with_id(id)
        .with(&Element::new("body", ns::CLIENT).text_node(text))
        .addressed(Some(room), Some(asker))
}

/// Calls that one message asks for.
const MOST: usize = 10;
/// Bytes of a name, address or number.
const LONGEST_WORD: usize = 256;
