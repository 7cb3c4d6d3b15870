//! An account's own nodes, as other features of the server use them: bookmarks of old clients, avatars in cards.

use xmpp_core::payload::form::{Field, Form};
use xmpp_core::{Element, Jid, StanzaError, ns};

use super::publisher::{self, Terms};
use super::store::{self, Change};
use super::{Host, notify};
use crate::server::Server;

/// The items of a node, the oldest first; none if there is no such node.
pub(crate) async fn own_items(
    server: &Server,
    user: &Jid,
    node: &str,
) -> Result<Vec<(String, Element)>, StanzaError> {
    let records = &*server.store.records;
    let Some(kept) = store::read(records, user.bare_str(), node).await? else { return Ok(Vec::new()) };
    let mut items = Vec::new();
    for item in kept.items {
        if let Some(element) = store::item(records, user.bare_str(), node, &item.id).await? {
            items.push((item.id, element));
        }
    }
    Ok(items)
}

/// Whether a user has a node of this name.
pub(crate) async fn has_node(server: &Server, user: &Jid, node: &str) -> Result<bool, StanzaError> {
    Ok(store::read(&*server.store.records, user.bare_str(), node).await?.is_some())
}

/// Publishes in the user's name; the options make the node if there is none, and ask nothing of one that is there.
pub(crate) async fn publish_own(
    server: &Server,
    user: &Jid,
    by: &Jid,
    node: &str,
    id: &str,
    payload: &Element,
    options: Form,
) -> Result<(), StanzaError> {
    let host = Host { jid: user.to_bare(), is_service: false };
    let item = Element::new("item", ns::PUBSUB).child(payload.clone());
    publisher::publish_item(server, &host, by, node, id, Some(&item), Terms::Offered(&options)).await
}

/// Publishes in the user's name what nobody else is to read: a node that is there is closed in the same change (XEP-0223 §3).
pub(crate) async fn publish_private(
    server: &Server,
    user: &Jid,
    node: &str,
    id: &str,
    payload: &Element,
) -> Result<(), StanzaError> {
    let host = Host { jid: user.to_bare(), is_service: false };
    let item = Element::new("item", ns::PUBSUB).child(payload.clone());
    let options = private_options();
    publisher::publish_item(server, &host, user, node, id, Some(&item), Terms::Private(&options)).await
}

/// Takes items out of a node in the user's name.
pub(crate) async fn retract_own(
    server: &Server,
    user: &Jid,
    node: &str,
    ids: &[String],
) -> Result<(), StanzaError> {
    let host = Host { jid: user.to_bare(), is_service: false };
    let kept = store::change(&*server.store.records, host.key(), node, |node, changes| {
        if let Some(node) = node {
            node.items.retain(|item| !ids.contains(&item.id));
            changes.extend(ids.iter().cloned().map(Change::Delete));
        }
        Ok(node.clone())
    })
    .await?;
    if let Some(kept) = kept {
        notify::items_retracted(server, &host, node, &kept, ids).await;
    }
    Ok(())
}

/// XEP-0223 §3: for nobody but the user, and all of it kept.
pub(crate) fn private_options() -> Form {
    let field = |var: &str, value: &str| Field::new(var, "", "", value);
    Form::new("submit", ns::PUBLISH_OPTIONS)
        .with(field("pubsub#persist_items", "true"))
        .with(field("pubsub#max_items", "max"))
        .with(field("pubsub#send_last_published_item", "never"))
        .with(field("pubsub#access_model", "whitelist"))
}
