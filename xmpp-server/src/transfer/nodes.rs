//! Personal nodes that come — XEP-0227 1.1, section 4.10: configurations, affiliations, subscriptions, items.
//!
//! In    the two `<pubsub/>` elements of a user, in either order.
//! Out   nodes as `pubsub` keeps them. A node that the account had before is left as it is.
//! Errors rules that are not known here are passed over, but for who may read: what is not understood is for nobody else.

use std::collections::HashSet;

use shared_store::{Expected, RecordChange, Store, StoreError};
use xmpp_core::payload::form::Form;
use xmpp_core::{Element, Jid, ns};

use super::Report;
use crate::bookmarks;
use crate::features::private;
use crate::pubsub::kept::{self, Access, Affiliation, Node, NodeConfig};

/// What of a user's nodes came so far.
#[derive(Default)]
pub(super) struct Arriving {
    /// Nodes that were made here, which may be changed.
    made: HashSet<String>,
}

impl Arriving {
    /// §4.10.1.
    pub(super) async fn owner(
        &mut self,
        store: &Store,
        user: &Jid,
        pubsub: &Element,
        report: &mut Report,
    ) -> Result<(), StoreError> {
        for part in pubsub.children() {
            let Some(name) = part.attribute("node").filter(|name| kept::is_name(name)) else {
                report.remark("a node without name");
                continue;
            };
            if name == bookmarks::OLD {
                continue; // it is made of the other one
            }
            self.change(store, user, name, report, |node, _| match part.name.as_str() {
                "configure" => node.config = configured(part),
                "affiliations" => {
                    for entry in part.children().take(MOST_ENTRIES) {
                        let jid = entry.attribute("jid").and_then(|jid| jid.parse::<Jid>().ok());
                        let affiliation = entry.attribute("affiliation").and_then(Affiliation::parse);
                        if let (Some(jid), Some(affiliation)) = (jid, affiliation) {
                            node.affiliations.insert(jid.bare_str().to_owned(), affiliation);
                        }
                    }
                }
                "subscriptions" => {
                    for entry in part.children().take(MOST_ENTRIES) {
                        let jid = entry.attribute("jid").and_then(|jid| jid.parse::<Jid>().ok());
                        // Prosody 0.12 writes `subscribed` for the name of the attribute.
                        let state = entry.attribute("subscription").or(entry.attribute("subscribed"));
                        let known = |jid: &Jid| node.subscriptions.iter().any(|known| known == jid.as_str());
                        if let Some(jid) = jid.filter(|jid| state == Some("subscribed") && !known(jid)) {
                            node.subscriptions.push(jid.to_string());
                        }
                    }
                }
                _ => {}
            })
            .await?;
        }
        Ok(())
    }

    /// §4.10.2.
    pub(super) async fn items(
        &mut self,
        store: &Store,
        user: &Jid,
        pubsub: &Element,
        report: &mut Report,
    ) -> Result<(), StoreError> {
        for items in pubsub.children().filter(|child| child.name == "items") {
            let Some(name) = items.attribute("node").filter(|name| kept::is_name(name)) else {
                report.remark("items of a node without name");
                continue;
            };
            let items = items.children().filter(|item| item.name == "item");
            if name == bookmarks::OLD {
                let old: Vec<Element> =
                    items.filter_map(|item| item.find("storage", bookmarks::OLD).cloned()).collect();
                for rest in old.iter().filter_map(bookmarks::beside_rooms) {
                    let change =
                        RecordChange::put(private::COLLECTION, bookmarks::REST, rest.to_string().as_bytes());
                    store.records.commit(user.bare_str(), &[change]).await?;
                }
                let old = old.iter().flat_map(bookmarks::from_old).collect();
                self.bookmarks(store, user, old, report).await?;
                continue;
            }
            let items =
                items.map(|item| (item.attribute("id").unwrap_or("current").to_owned(), item.clone()));
            self.publish(store, user, name, items.collect(), report).await?;
        }
        Ok(())
    }

    /// Bookmarks of old clients.
    pub(super) async fn bookmarks(
        &mut self,
        store: &Store,
        user: &Jid,
        items: Vec<(String, Element)>,
        report: &mut Report,
    ) -> Result<(), StoreError> {
        let wrapped =
            |(id, conference): (String, Element)| (id, Element::new("item", ns::PUBSUB).child(conference));
        self.publish(store, user, bookmarks::NODE, items.into_iter().map(wrapped).collect(), report).await
    }

    async fn publish(
        &mut self,
        store: &Store,
        user: &Jid,
        name: &str,
        items: Vec<(String, Element)>,
        report: &mut Report,
    ) -> Result<(), StoreError> {
        self.change(store, user, name, report, |node, changes| {
            for (id, item) in items {
                if item.children().count() != 1 || node.items.iter().any(|known| known.id == id) {
                    continue;
                }
                let kept = Element { nodes: item.nodes, ..Element::new("item", ns::PUBSUB).with("id", &id) };
                let gone = node.publish(&id, user, 0);
                changes.retain(|change: &RecordChange| !gone.contains(&change.key));
                changes.push(RecordChange::put(&kept::items_of(name), &id, kept.to_string().as_bytes()));
            }
        })
        .await
    }

    /// Changes a node that came, or makes it.
    async fn change(
        &mut self,
        store: &Store,
        user: &Jid,
        name: &str,
        report: &mut Report,
        change: impl FnOnce(&mut Node, &mut Vec<RecordChange>),
    ) -> Result<(), StoreError> {
        let record = store.records.get(user.bare_str(), kept::NODES, name).await?;
        if record.is_some() && !self.made.contains(name) {
            return Ok(()); // it was here before
        }
        let expected = record.as_ref().map_or(Expected::Absent, |record| Expected::Version(record.version));
        let node = record.and_then(|record| serde_json::from_slice::<Node>(&record.value).ok());
        let mut node = node.unwrap_or_else(|| Node::new(without_rules(name), &user.to_bare()));
        let mut changes = Vec::new();
        change(&mut node, &mut changes);
        node.affiliations.insert(user.bare_str().to_owned(), Affiliation::Owner);
        let value = serde_json::to_vec(&node).unwrap_or_default();
        changes.push(RecordChange::put(kept::NODES, name, &value).expecting(expected));
        match store.records.commit(user.bare_str(), &changes).await {
            // A client of the account made it in this moment.
            Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error),
            Ok(_) => {
                report.nodes += usize::from(self.made.insert(name.to_owned()));
                Ok(())
            }
        }
    }
}

/// What the newest item of a node says.
pub(super) async fn newest(store: &Store, user: &Jid, name: &str) -> Result<Option<Element>, StoreError> {
    let record = store.records.get(user.bare_str(), kept::NODES, name).await?;
    let node = record.and_then(|record| serde_json::from_slice::<Node>(&record.value).ok());
    let Some(id) = node.and_then(|node| node.items.last().map(|item| item.id.clone())) else {
        return Ok(None);
    };
    let item = store.records.get(user.bare_str(), &kept::items_of(name), &id).await?;
    let item = item.and_then(|item| Element::parse(std::str::from_utf8(&item.value).ok()?, "").ok());
    Ok(item.and_then(|item| item.children().next().cloned()))
}

/// The rules of a node whose rules the file does not say, or not yet.
fn without_rules(name: &str) -> NodeConfig {
    let is_private = name == bookmarks::NODE;
    let access = if is_private { Access::Whitelist } else { Access::Presence };
    NodeConfig { access, max_items: None, sends_last_on_presence: !is_private, ..NodeConfig::default() }
}

/// The rules that a form has and we know.
fn configured(configure: &Element) -> NodeConfig {
    let form = configure.find("x", ns::FORM).and_then(Form::parse).unwrap_or_default();
    // Without a word of how many, none is to be lost.
    let begin = NodeConfig { max_items: None, ..NodeConfig::default() };
    // Prosody writes every field that it knows, with values where there are some.
    let said = form.fields.iter().filter(|field| !field.values.iter().all(String::is_empty));
    said.fold(begin, |config, field| {
        let alone = Form { fields: vec![field.clone()], ..Form::default() };
        match config.submitted(&alone) {
            Ok(next) => next,
            Err(_) if field.var == "pubsub#access_model" => {
                NodeConfig { access: Access::Whitelist, ..config }
            }
            Err(_) => config,
        }
    })
}

/// Affiliations, or subscriptions, of one node.
const MOST_ENTRIES: usize = 1000;
