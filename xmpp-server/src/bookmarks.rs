//! Bookmarks of three kinds of clients, one list — XEP-0402 1.2.0, sections 4 (`#compat`, `#compat-pep`), 5 (conversion);
//! XEP-0048 1.2, sections 3 (format), 4 (PEP).
//!
//! In    what old clients store, in private storage (XEP-0049) or on the node `storage:bookmarks`; items of new clients.
//! Out   the items of the node `urn:xmpp:bookmarks:1`, which hold; what old clients read; the old node, so that who listens
//!       there hears of changes.
//! State the two nodes, and in private storage what is no room. Errors those of the nodes.

use shared_store::RecordChange;
use xmpp_core::{Element, Jid, StanzaError};

use crate::features::private::COLLECTION;
use crate::features::store_failed;
use crate::pubsub;
use crate::server::Server;

/// XEP-0402's items as XEP-0048 has them.
pub(crate) async fn old(server: &Server, user: &Jid) -> Result<Element, StanzaError> {
    let items = pubsub::own_items(server, user, NODE).await?;
    let conferences = items.into_iter().filter_map(|(jid, item)| {
        let conference = item.find("conference", NODE)?;
        let mut old = Element::new("conference", OLD)
            .with("jid", jid)
            .with_some("name", conference.attribute("name"))
            .with_some("autojoin", conference.attribute("autojoin"));
        for name in ["nick", "password"] {
            if let Some(text) = conference.text_of(name) {
                old = old.text_child(name, text);
            }
        }
        Some(old)
    });
    let rest = rest(server, user).await?;
    let rest = rest.iter().flat_map(|storage| storage.children().cloned());
    Ok(Element::new("storage", OLD).children_from(conferences).children_from(rest))
}

/// What an old client stored beside rooms, such as addresses of pages (XEP-0048 §3).
async fn rest(server: &Server, user: &Jid) -> Result<Option<Element>, StanzaError> {
    let record = server.store.records.get(user.bare_str(), COLLECTION, REST).await;
    let record = record.map_err(|error| store_failed(&error))?;
    Ok(record.and_then(|record| Element::parse(std::str::from_utf8(&record.value).ok()?, "").ok()))
}

/// What of a storage is no room, if there is anything: one element, which private storage keeps under [`REST`].
pub(crate) fn beside_rooms(storage: &Element) -> Option<Element> {
    let mut beside = storage.children().filter(|child| !child.is("conference", OLD)).cloned().peekable();
    beside.peek()?;
    Some(Element::new("storage", OLD).children_from(beside))
}

/// The items become what an old client stored; what they alone can say (`<extensions/>`) stays.
pub(crate) async fn set_old(
    server: &Server,
    user: &Jid,
    by: &Jid,
    storage: &Element,
) -> Result<(), StanzaError> {
    let before = pubsub::own_items(server, user, NODE).await?;
    let mut wanted = Vec::new();
    for (id, conference) in from_old(storage) {
        let known = before.iter().find(|(known, _)| *known == id).map(|(_, item)| item);
        let extensions = known.and_then(|item| item.find("conference", NODE)?.get("extensions").cloned());
        wanted.push((id, conference.children_from(extensions)));
    }
    let is_same = |id: &String, conference: &Element| {
        before.iter().any(|(known, item)| known == id && item.find("conference", NODE) == Some(conference))
    };
    for (id, conference) in wanted.iter().filter(|(id, conference)| !is_same(id, conference)) {
        pubsub::publish_own(server, user, by, NODE, id, conference, pubsub::private_options()).await?;
    }
    let gone: Vec<String> = before
        .into_iter()
        .map(|(id, _)| id)
        .filter(|id| wanted.iter().all(|(wanted, _)| wanted != id))
        .collect();
    if !gone.is_empty() {
        pubsub::retract_own(server, user, NODE, &gone).await?;
    }
    let change = match beside_rooms(storage) {
        Some(rest) => RecordChange::put(COLLECTION, REST, rest.to_string().as_bytes()),
        None => RecordChange::delete(COLLECTION, REST),
    };
    let kept = server.store.records.commit(user.bare_str(), &[change]).await;
    kept.map_err(|error| store_failed(&error))?;
    show_old(server, user).await
}

/// What an old client stored, as XEP-0402 has it: ids and payloads of items.
pub(crate) fn from_old(storage: &Element) -> Vec<(String, Element)> {
    let mut items = Vec::new();
    for old in storage.children().filter(|child| child.is("conference", OLD)) {
        let Some(jid) = old.attribute("jid").and_then(|jid| jid.parse::<Jid>().ok()) else { continue };
        let mut conference = Element::new("conference", NODE)
            .with_some("name", old.attribute("name"))
            .with_some("autojoin", old.attribute("autojoin"));
        for name in ["nick", "password"] {
            if let Some(text) = old.text_of(name).filter(|text| !text.is_empty()) {
                conference = conference.text_child(name, text);
            }
        }
        items.push((jid.to_string(), conference));
    }
    items
}

/// The old node says what the new one does, to nobody but the user: whoever made it, and however it was.
pub(crate) async fn show_old(server: &Server, user: &Jid) -> Result<(), StanzaError> {
    let storage = old(server, user).await?;
    pubsub::publish_private(server, user, OLD, "current", &storage).await
}

/// The key in private storage of what old clients stored beside rooms.
pub(crate) const REST: &str = "storage:bookmarks storage";
/// The namespace of the old ones, and their node.
pub(crate) const OLD: &str = "storage:bookmarks";
/// XEP-0402: the node, and the namespace of its items.
pub(crate) const NODE: &str = "urn:xmpp:bookmarks:1";
