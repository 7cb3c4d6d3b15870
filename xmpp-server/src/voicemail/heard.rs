//! When a voice message was heard — XEP-0333 1.0.0 (§4.2, §5), XEP-0490 1.0.1 (§4.1, §4.2).
//!
//! In    markers that clients of the owner send; what they publish as displayed; fetches of the sound by whoever has its address.
//! Out   messages that count as heard: those of that conversation up to the one that was displayed. Playing one on the own page, and
//!       removing it, are the owner's word itself ([`super::kept`]).
//! State that clients of an account send markers, collection `voicemail-settings`.
//! Errors none: a sign that is lost, or means nothing, leaves the message new, and the next sign of that conversation counts for both.
//!
//! A fetch is a weak sign, for many clients fetch what is small without being asked. It counts for accounts alone whose clients have
//! never said what they displayed, neither by a marker of a voice message nor by XEP-0490: there nothing else would ever come.

use std::sync::{Arc, OnceLock};

use shared_store::{Expected, Position, Query, StoreError};
use tokio::sync::mpsc;
use xmpp_core::{Element, Jid, Stanza, ns};

use super::{SETTINGS, kept};
use crate::server::Server;

/// Signs that messages were heard, on their way to who judges them.
#[derive(Default)]
pub(crate) struct Signs(OnceLock<mpsc::Sender<Sign>>);

/// What was seen.
pub(crate) enum Sign {
    /// Somebody fetched a file that the service left.
    Fetched { owner: String, id: String },
    /// A client displayed the message of this id, and what came before it.
    Marked { owner: Jid, chat: Jid, message: String },
    /// The same, of what the archive of the owner has under this id.
    Displayed { owner: Jid, chat: Jid, archived: String },
}

impl Signs {
    /// Where they come from now on; whoever asks first gets them.
    pub(crate) fn listen(&self) -> Option<mpsc::Receiver<Sign>> {
        let (sender, signs) = mpsc::channel(WAITING);
        self.0.set(sender).ok().map(|()| signs)
    }

    /// Nobody waits for what comes of it.
    pub(crate) fn give(&self, sign: Sign) {
        if let Some(listener) = self.0.get() {
            let _ = listener.try_send(sign); // when too many wait, the next of that conversation counts for this one
        }
    }
}

/// Looks at a message that a client sends.
pub(crate) fn look_at(server: &Server, from: &Jid, message: &Stanza) {
    let Some(to) = message.to.as_ref().filter(|_| message.mentions(CHAT_MARKERS)) else { return };
    let displayed = message.find("displayed", CHAT_MARKERS);
    if let Some(id) = displayed.as_ref().and_then(|displayed| displayed.attribute("id")) {
        let (owner, chat) = (from.to_bare(), to.to_bare());
        server.signs.give(Sign::Marked { owner, chat, message: id.to_owned() });
    }
}

/// Whether a message is a marker and nothing else: who speaks by the domain gets them by the domain.
pub(crate) fn is_marker(message: &Stanza) -> bool {
    message.mentions(CHAT_MARKERS)
        && message.find("displayed", CHAT_MARKERS).is_some()
        && message.find("body", ns::CLIENT).is_none()
}

/// Looks at what an owner published on its node of what was displayed.
pub(crate) fn published(server: &Server, owner: &Jid, chat: &str, item: Option<&Element>) {
    let displayed = item.and_then(|item| item.find("displayed", MDS_NODE));
    let id = displayed.and_then(|displayed| displayed.find("stanza-id", ns::STANZA_ID));
    let id = id.filter(|id| id.attribute("by") == Some(owner.bare_str()));
    if let (Some(id), Ok(chat)) = (id.and_then(|id| id.attribute("id")), chat.parse::<Jid>()) {
        let (owner, chat) = (owner.to_bare(), chat.to_bare());
        server.signs.give(Sign::Displayed { owner, chat, archived: id.to_owned() });
    }
}

/// Judges signs, until shutdown.
pub(crate) async fn follow(server: Arc<Server>, mut signs: mpsc::Receiver<Sign>) {
    loop {
        let sign = tokio::select! {
            sign = signs.recv() => sign,
            () = server.shutdown.begun() => return,
        };
        let Some(sign) = sign else { return };
        if let Err(error) = judge(&server, sign).await {
            tracing::warn!(%error, "a message that was heard counts as new");
        }
    }
}

async fn judge(server: &Server, sign: Sign) -> Result<(), StoreError> {
    let (owner, chat) = match &sign {
        Sign::Fetched { owner, id } => {
            let new = kept::all(server, owner).await?.into_iter().filter(|(_, kept)| !kept.is_heard);
            let is_new = new.into_iter().any(|(known, _)| known == *id);
            if !is_new || says_what_it_displayed(server, owner).await? {
                return Ok(());
            }
            return hear(server, owner, std::slice::from_ref(id)).await;
        }
        Sign::Marked { owner, chat, .. } | Sign::Displayed { owner, chat, .. } => (owner, chat),
    };
    if server.unheard.is_none_in(owner.bare_str(), chat.as_str()) {
        return Ok(());
    }
    let look = server.unheard.look();
    let all = kept::all(server, owner.bare_str()).await?;
    let waits = all.iter().filter(|(_, kept)| !kept.is_heard).map(|(_, kept)| kept.chat.clone());
    server.unheard.learn(owner.bare_str(), look, waits.collect());
    let new: Vec<_> = all.iter().filter(|(_, kept)| !kept.is_heard && kept.chat == chat.as_str()).collect();
    if new.is_empty() {
        return Ok(());
    }
    let until = match &sign {
        Sign::Marked { message, .. } => {
            let itself = all.iter().find(|(_, kept)| kept.message == *message && kept.chat == chat.as_str());
            match itself {
                Some((_, kept)) => Some(kept.at),
                None => when(server, owner, chat, message).await?,
            }
        }
        Sign::Displayed { archived, .. } => {
            let entry = server.store.archive.entry(owner.bare_str(), archived).await?;
            entry.filter(|entry| entry.with == chat.as_str()).map(|entry| entry.time)
        }
        Sign::Fetched { .. } => None,
    };
    let Some(until) = until else { return Ok(()) };
    let heard: Vec<String> =
        new.iter().filter(|(_, kept)| kept.at <= until).map(|(id, _)| id.clone()).collect();
    if matches!(sign, Sign::Marked { .. }) && !heard.is_empty() {
        server.store.records.put(owner.bare_str(), SETTINGS, MARKS, b"1", Expected::Anything).await?;
    }
    hear(server, owner.bare_str(), &heard).await
}

/// When a message of a conversation came that has this id, if it is among the newest.
async fn when(server: &Server, owner: &Jid, chat: &Jid, message: &str) -> Result<Option<i64>, StoreError> {
    let query = Query {
        with: Some(chat.as_str().to_owned()),
        position: Position::Last,
        max: LOOKED_AT,
        most_counted: 0,
        ..Query::default()
    };
    let page = server.store.archive.page(owner.bare_str(), &query).await?;
    let found = page.entries.iter().rev().find(|entry| {
        let stanza = std::str::from_utf8(&entry.body).ok().and_then(Stanza::parse);
        stanza.is_some_and(|stanza| stanza.id.as_deref() == Some(message))
    });
    Ok(found.map(|entry| entry.time))
}

/// Whether clients of an account say what they displayed.
async fn says_what_it_displayed(server: &Server, owner: &str) -> Result<bool, StoreError> {
    if server.store.records.get(owner, SETTINGS, MARKS).await?.is_some() {
        return Ok(true);
    }
    let Ok(user) = owner.parse::<Jid>() else { return Ok(false) };
    // While that is not known, a message had better wait than be lost sight of.
    Ok(crate::pubsub::has_node(server, &user, MDS_NODE).await.unwrap_or(true))
}

async fn hear(server: &Server, owner: &str, ids: &[String]) -> Result<(), StoreError> {
    for id in ids {
        // One that was removed meanwhile waits no more.
        let _ = kept::mark(server, owner, id, true).await;
    }
    Ok(())
}

/// XEP-0333.
pub(crate) const CHAT_MARKERS: &str = "urn:xmpp:chat-markers:0";
/// XEP-0490.
pub(crate) const MDS_NODE: &str = "urn:xmpp:mds:displayed:0";
const MARKS: &str = "marks";
/// Signs that wait.
const WAITING: usize = 256;
/// Entries of a conversation among which a displayed message is looked for.
const LOOKED_AT: usize = 100;
