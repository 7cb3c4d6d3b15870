//! Archives of users — XEP-0313 1.1.3, sections 3 (archives), 6 (rules); XEP-0359 0.7.0 (stanza ids); XEP-0334 1.0.0 (hints).
//!
//! In    a message that a local user sends or gets.
//! Out   the ids under which it is kept in the sender's archive and in the recipient's: both in one commit, before anybody
//!       gets the message, and the turn in which it is to be delivered.
//! State the archive of the bare JID; what its user wants kept is a record, at hand in every session.
//! Errors those of the store: the message is refused, since what is acknowledged must be durable.
//! Not here: queries (`features::mam`), rooms (`muc`).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde::{Deserialize, Serialize};
use shared_runtime::{random, unix_millis};
use shared_store::{Entry, Expected, Place, Record, Records, StoreError};
use xmpp_core::payload::mam::{Otherwise, Preferences};
use xmpp_core::{Element, Jid, Stanza, ns};

use crate::in_order::Turn;
use crate::offline::Offline;
use crate::server::Server;

/// Under which ids a message is kept.
#[derive(Debug, Default)]
pub(crate) struct Archived {
    pub(crate) by_sender: Option<String>,
    pub(crate) by_recipient: Option<String>,
    /// Until it is dropped, no other message of theirs that is kept is archived and delivered.
    pub(crate) turn: Option<Turn>,
}

/// Keeps a message for its sender, its recipient or both, where they are users of ours who want it.
pub(crate) async fn keep(
    server: &Server,
    message: &Stanza,
    sender: Option<&Jid>,
    recipient: Option<&Jid>,
) -> Result<Archived, StoreError> {
    let mut archived = Archived::default();
    // §6.1.1: what is said in a room, its archive has.
    if message.is_type("groupchat") {
        return Ok(archived);
    }
    let is_worth_it = is_worth_keeping(message);
    let mut of_sender = None;
    if let (Some(sender), Some(to)) = (sender, &message.to)
        && is_worth_it
        && wants(server, sender, to).await?
    {
        of_sender = Some((sender, to));
    }
    let mut of_recipient = None;
    if let (Some(recipient), Some(from)) = (recipient, &message.from)
        && is_worth_it
        && sender.is_none_or(|sender| sender.bare_str() != recipient.bare_str())
        && wants(server, recipient, from).await?
        && Box::pin(server.account(recipient)).await?.is_some()
    {
        of_recipient = Some((recipient, from));
    }
    // What no archive has is delivered in turn, too, if it can wait: behind what a login is being given.
    let owners = of_sender.iter().chain(&of_recipient).map(|(owner, _)| owner.bare_str());
    let behind = recipient.filter(|_| Offline::is_kept(message)).map(Jid::bare_str);
    let accounts: Vec<&str> = owners.chain(behind).collect();
    if !accounts.is_empty() {
        archived.turn = Some(server.in_order.turn(accounts).await);
    }
    let now = unix_millis();
    let made = |(owner, with): (&Jid, &Jid)| entry(owner, with, message, now);
    let (by_sender, by_recipient) = (of_sender.map(made), of_recipient.map(made));
    archived.by_sender = by_sender.as_ref().map(|entry| entry.id.clone());
    archived.by_recipient = by_recipient.as_ref().map(|entry| entry.id.clone());
    let entries: Vec<Entry> = by_sender.into_iter().chain(by_recipient).collect();
    if !entries.is_empty() {
        server.store.archive.append(&entries).await?;
    }
    if server.config.archive_most > 0 {
        entries.iter().for_each(|entry| server.archives_grown.note(&entry.owner));
    }
    Ok(archived)
}

/// A message for its recipient, who is a user of ours, as their archive is to have it, if it is: for whoever appends it to the archive.
pub(crate) async fn received(
    server: &Server,
    message: &Stanza,
    recipient: &Jid,
) -> Result<Option<Entry>, StoreError> {
    let Some(from) = message.from.as_ref().filter(|_| is_worth_keeping(message)) else { return Ok(None) };
    if !wants(server, recipient, from).await? || server.account(recipient).await?.is_none() {
        return Ok(None);
    }
    let entry = entry(recipient, from, message, unix_millis());
    if server.config.archive_most > 0 {
        server.archives_grown.note(&entry.owner);
    }
    Ok(Some(entry))
}

/// The message with the id under which an archive has it (XEP-0359 §3).
pub(crate) fn with_id(message: Stanza, id: Option<&str>, by: &Jid) -> Stanza {
    match id {
        Some(id) => {
            message.with(&Element::new("stanza-id", ns::STANZA_ID).with("id", id).with("by", by.bare_str()))
        }
        None => message,
    }
}

/// Whether the archive of an account has a message that was given its id there.
pub(crate) fn has(message: &Stanza, owner: &str) -> bool {
    let is_its =
        |child: &Element| child.is("stanza-id", ns::STANZA_ID) && child.attribute("by") == Some(owner);
    message.mentions(ns::STANZA_ID) && message.children().iter().any(is_its)
}

/// The message without ids that only this server may give (XEP-0359 §5, rule 4).
pub(crate) fn without_false_ids(server: &Server, message: Stanza) -> Stanza {
    if !message.mentions(ns::STANZA_ID) {
        return message;
    }
    let is_ours = |by: &str| by.parse::<Jid>().is_ok_and(|by| server.hosts(by.domain()));
    message
        .retain(|child| !child.is("stanza-id", ns::STANZA_ID) || !child.attribute("by").is_some_and(is_ours))
}

/// A new id, which nobody can foretell (§3). Ids of one archive are in the order of time, and those of one millisecond in that of
/// their coming.
pub(crate) fn new_id(now: i64) -> String {
    static LAST: AtomicI64 = AtomicI64::new(0);
    let next = |last: i64| (now << 16).max(last + 1);
    let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)));
    let place = next(last.unwrap_or_default());
    format!("{:016x}{:04x}{:016x}", place >> 16, place & 0xffff, random())
}

fn entry(owner: &Jid, with: &Jid, message: &Stanza, now: i64) -> Entry {
    Entry {
        owner: owner.bare_str().to_owned(),
        id: new_id(now),
        with: with.bare_str().to_owned(),
        time: now,
        kind: KIND.to_owned(),
        body: message.to_bytes().to_vec(),
    }
}

/// Whether a user wants messages with somebody kept.
async fn wants(server: &Server, user: &Jid, with: &Jid) -> Result<bool, StoreError> {
    let preferences = match server.router.archiving(user.bare_str()) {
        Some(preferences) => preferences,
        None => Arc::new(Box::pin(read(server, user)).await?.0),
    };
    match preferences.decide(with) {
        Some(decided) => Ok(decided),
        None => Ok(Box::pin(server.rosters.get(user.bare_str(), &with.to_bare())).await?.is_listed),
    }
}

/// What conversation is made of: said, or about what was said (§6.1.1), unless the sender asks otherwise.
pub(crate) fn is_worth_keeping(message: &Stanza) -> bool {
    if matches!(message.type_.as_deref(), Some("error" | "headline")) {
        return false;
    }
    if message.mentions(ns::HINTS) {
        let hint = |name: &str| message.find(name, ns::HINTS).is_some();
        if hint("no-store") || hint("no-permanent-store") {
            return false;
        }
        if hint("store") {
            return true;
        }
    }
    message.mentions("<body") || KEPT.iter().any(|ns| message.mentions(ns))
}

/// A user's preferences as they are kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    default: String,
    always: Vec<String>,
    never: Vec<String>,
}

/// What a user wants kept, and the version of that, if they ever said.
pub(crate) async fn read(server: &Server, user: &Jid) -> Result<(Preferences, Option<u64>), StoreError> {
    let record = server.store.records.get(user.bare_str(), COLLECTION, KEY).await?;
    let version = record.as_ref().map(|record| record.version);
    Ok((said(server, record), version))
}

/// Where the preferences of an account are.
pub(crate) fn place(owner: &str) -> Place<'_> {
    Place { owner, collection: COLLECTION, key: KEY }
}

/// What a user said; what the operator does, if they never did.
pub(crate) fn said(server: &Server, record: Option<Record>) -> Preferences {
    let otherwise = server.config.archive;
    let never_said = || Preferences { default: otherwise, always: Vec::new(), never: Vec::new() };
    record.and_then(|record| preferences(&record, otherwise)).unwrap_or_else(never_said)
}

/// What an account said, of whatever server, if it ever did.
pub(crate) async fn of(records: &dyn Records, owner: &str) -> Result<Option<Preferences>, StoreError> {
    let record = records.get(owner, COLLECTION, KEY).await?;
    Ok(record.and_then(|record| preferences(&record, Otherwise::Always)))
}

fn preferences(record: &Record, otherwise: Otherwise) -> Option<Preferences> {
    let kept = serde_json::from_slice::<Kept>(&record.value).ok()?;
    let jids = |list: Vec<String>| list.iter().filter_map(|jid| jid.parse().ok()).collect();
    Some(Preferences {
        default: Otherwise::parse(&kept.default).unwrap_or(otherwise),
        always: jids(kept.always),
        never: jids(kept.never),
    })
}

/// Keeps a user's preferences, if what is there is what is believed, and tells every session of theirs.
pub(crate) async fn prefer(
    server: &Server,
    user: &Jid,
    preferences: Preferences,
    expected: Expected,
) -> Result<(), StoreError> {
    write_down(&*server.store.records, user.bare_str(), &preferences, expected).await?;
    server.router.set_archiving(user.bare_str(), &Arc::new(preferences));
    Ok(())
}

/// Keeps what an account says, if what is there is what is believed.
pub(crate) async fn write_down(
    records: &dyn Records,
    owner: &str,
    preferences: &Preferences,
    expected: Expected,
) -> Result<(), StoreError> {
    let texts = |list: &[Jid]| list.iter().map(|jid| jid.as_str().to_owned()).collect();
    let kept = Kept {
        default: preferences.default.as_str().to_owned(),
        always: texts(&preferences.always),
        never: texts(&preferences.never),
    };
    let value = serde_json::to_vec(&kept).unwrap_or_default();
    records.put(owner, COLLECTION, KEY, &value, expected).await?;
    Ok(())
}

const COLLECTION: &str = "archive";
const KEY: &str = "preferences";
/// Entries that are messages.
pub(crate) const KIND: &str = "message";
/// What is kept without a body: encrypted messages, receipts, markers, reactions, retractions, corrections, calls.
const KEPT: &[&str] = &[
    "eu.siacs.conversations.axolotl",
    "urn:xmpp:omemo:2",
    ns::RECEIPTS,
    ns::MARKERS,
    "urn:xmpp:reactions:0",
    "urn:xmpp:message-retract:1",
    "urn:xmpp:message-moderate:1",
    "urn:xmpp:jingle-message:0",
    "urn:xmpp:call-invites:0",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_conversation_and_honours_hints() {
        let kept = |text: &str| is_worth_keeping(&Stanza::parse(text).unwrap());
        assert!(kept("<message type='chat'><body>x</body></message>"));
        assert!(kept("<message><received xmlns='urn:xmpp:receipts' id='1'/></message>"));
        assert!(kept("<message><x xmlns='u'/><store xmlns='urn:xmpp:hints'/></message>"));
        assert!(!kept("<message><composing xmlns='http://jabber.org/protocol/chatstates'/></message>"));
        assert!(!kept("<message type='headline'><body>x</body></message>"));
        assert!(!kept("<message><body>x</body><no-store xmlns='urn:xmpp:hints'/></message>"));
        assert!(!kept("<message><body>x</body><no-permanent-store xmlns='urn:xmpp:hints'/></message>"));
    }
}
