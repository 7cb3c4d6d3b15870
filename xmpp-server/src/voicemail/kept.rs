//! Voice messages that are kept, one record each, collection `voicemail` of their owner.
//!
//! In    what was left, what became of it. Out what waits, and facts of it, by which the lamps of phones (RFC 3842) change.
//! State the records, and the files that they are of; what is gone is forgotten when it is looked for.
//! Errors the store's; a message that is not there is [`OwnChatError::Nothing`].

use serde::{Deserialize, Serialize};
use shared_model::{BareJid, Correlation, Fact, KeptMessage, MailboxEvent, OwnChatError, Waiting};
use shared_runtime::unix_millis;
use shared_store::{Expected, StoreError};

use crate::server::Server;

/// A message that waits, or was heard. What older records lack is empty.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(super) is_heard: bool,
    /// When its file goes, milliseconds since 1970.
    pub(super) until: i64,
    /// How the caller is shown.
    #[serde(default)]
    pub(super) caller: String,
    /// The bare JID of the conversation that has it.
    #[serde(default)]
    pub(super) chat: String,
    /// The id of the chat message.
    #[serde(default)]
    pub(super) message: String,
    /// Its length.
    #[serde(default)]
    pub(super) millis: u64,
    /// When it was left, milliseconds since 1970, which is just before the archive has it.
    #[serde(default)]
    pub(super) at: i64,
}

/// All of an account, by the id of their files, the oldest first.
pub(crate) async fn all(server: &Server, owner: &str) -> Result<Vec<(String, Kept)>, StoreError> {
    let (now, mut all) = (unix_millis(), Vec::new());
    for record in server.store.records.list(owner, COLLECTION, None, MOST).await? {
        match serde_json::from_slice::<Kept>(&record.value) {
            Ok(kept) if kept.until > now => all.push((record.key, kept)),
            _ => {
                server.store.records.delete(owner, COLLECTION, &record.key).await?;
            }
        }
    }
    all.sort_by_key(|(_, kept)| kept.at);
    Ok(all)
}

/// What waits.
pub(crate) async fn waiting(server: &Server, owner: &str) -> Result<Waiting, StoreError> {
    let mut waiting = Waiting::default();
    for (_, kept) in all(server, owner).await? {
        *if kept.is_heard { &mut waiting.old } else { &mut waiting.new } += 1;
    }
    Ok(waiting)
}

/// All of an account as its page shows them, the newest first.
pub(crate) async fn shown(server: &Server, owner: &str) -> Result<Vec<KeptMessage>, StoreError> {
    let shown = all(server, owner).await?.into_iter().rev().map(|(id, kept)| KeptMessage {
        id,
        caller: kept.caller,
        duration: std::time::Duration::from_millis(kept.millis),
        at: kept.at,
        until: kept.until,
        is_heard: kept.is_heard,
    });
    Ok(shown.collect())
}

/// What one sounds like.
pub(crate) async fn sound(server: &Server, owner: &str, id: &str) -> Result<Vec<u8>, OwnChatError> {
    one(server, owner, id).await?;
    match server.uploads.left_here(owner, id).await {
        Ok(sound) => sound.ok_or(OwnChatError::Nothing),
        Err(error) => {
            tracing::error!(%error, "a voice message cannot be read");
            Err(OwnChatError::Unavailable)
        }
    }
}

/// One was heard, or is to wait again.
pub(crate) async fn mark(server: &Server, owner: &str, id: &str, is_heard: bool) -> Result<(), OwnChatError> {
    // Somebody else who changes it meanwhile, or removes it, has the word: it is looked at again.
    for _ in 0..TRIES {
        let (kept, version) = one(server, owner, id).await?;
        if kept.is_heard == is_heard {
            return Ok(());
        }
        let value = serde_json::to_vec(&Kept { is_heard, ..kept }).unwrap_or_default();
        let expected = Expected::Version(version);
        let put = server.store.records.put(owner, COLLECTION, id, &value, expected).await;
        server.unheard.changed(owner);
        match put {
            Ok(_) => {
                tell(server, owner).await;
                return Ok(());
            }
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(unkept(error)),
        }
    }
    Err(OwnChatError::Unavailable)
}

/// One and its file go.
pub(crate) async fn remove(server: &Server, owner: &str, id: &str) -> Result<(), OwnChatError> {
    one(server, owner, id).await?;
    server.uploads.take_back(owner, id).await;
    let removed = server.store.records.delete(owner, COLLECTION, id).await;
    server.unheard.changed(owner);
    removed.map_err(unkept)?;
    tell(server, owner).await;
    Ok(())
}

pub(super) async fn note(server: &Server, owner: &str, id: &str, kept: &Kept) -> Result<(), StoreError> {
    let value = serde_json::to_vec(kept).unwrap_or_default();
    let put = server.store.records.put(owner, COLLECTION, id, &value, Expected::Anything).await;
    server.unheard.changed(owner);
    put.map(drop)
}

/// Says on the bus what waits now.
pub(super) async fn tell(server: &Server, owner: &str) {
    let (Ok(jid), Ok(waiting)) = (owner.parse::<BareJid>(), waiting(server, owner).await) else { return };
    let account = server.auth.directory.by_jid(&jid).await;
    if let Ok(Some(card)) = account {
        let changed = MailboxEvent::Changed { owner: jid, waiting };
        server.bus.publish(Fact::new(Correlation::of_account(card.account), changed));
    }
}

/// One as it is, and its version.
async fn one(server: &Server, owner: &str, id: &str) -> Result<(Kept, u64), OwnChatError> {
    let record = server.store.records.get(owner, COLLECTION, id).await.map_err(unkept)?;
    let kept = record.and_then(|record| {
        let kept = serde_json::from_slice::<Kept>(&record.value).ok()?;
        (kept.until > unix_millis()).then_some((kept, record.version))
    });
    kept.ok_or(OwnChatError::Nothing)
}

fn unkept(error: StoreError) -> OwnChatError {
    tracing::error!(%error, "the store does not answer for a mailbox");
    OwnChatError::Unavailable
}

const COLLECTION: &str = "voicemail";
/// How often a change is tried that others came before.
const TRIES: u32 = 4;
/// Messages of one account that are counted.
const MOST: usize = 1_000;
