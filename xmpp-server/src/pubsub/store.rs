//! Nodes and items as they are kept: a node is one record, each item another; both change in one transaction.
//!
//! In    a host (an account's bare JID, or the service's domain), a node's name, and a change of the node.
//! Out   what is there now. Acknowledged means durable.
//! State `Records`: collection `pubsub`, key the node; collection `pubsub/<node>`, key the item's id.
//! Errors [`Failed`]: the store's, or the answer that the change itself gives.

use std::collections::BTreeSet;

use shared_store::{Expected, Record, RecordChange, Records, StoreError};
use xmpp_core::{Element, Jid, StanzaError};

use super::node::Node;
use crate::features::store_failed;

/// A change of one item.
pub(crate) enum Change {
    Put(String, Element),
    Delete(String),
}

/// A node, if there is one.
pub(crate) async fn read(records: &dyn Records, host: &str, name: &str) -> Result<Option<Node>, StanzaError> {
    let record = records.get(host, NODES, name).await.map_err(|error| store_failed(&error))?;
    Ok(record.and_then(|record| serde_json::from_slice(&record.value).ok()))
}

/// Every node of a host, by name.
pub(crate) async fn all(records: &dyn Records, host: &str) -> Result<Vec<(String, Node)>, StanzaError> {
    let records = records.list(host, NODES, None, MOST_NODES).await.map_err(|error| store_failed(&error))?;
    let read = |r: shared_store::Record| Some((r.key, serde_json::from_slice(&r.value).ok()?));
    Ok(records.into_iter().filter_map(read).collect())
}

/// The nodes of many accounts that have one of these names, by account as they are named, then by name.
pub(crate) async fn of_many(
    records: &dyn Records,
    hosts: &[Jid],
    names: &BTreeSet<String>,
) -> Result<Vec<(Jid, String, Node)>, StoreError> {
    let owners: Vec<&str> = hosts.iter().map(Jid::as_str).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let place = |owner: &str| hosts.iter().position(|host| host.as_str() == owner);
    let read = |(owner, record): (String, Record)| {
        Some((place(&owner)?, record.key, serde_json::from_slice(&record.value).ok()?))
    };
    let found = records.among(&owners, NODES, &names).await?;
    let mut found: Vec<(usize, String, Node)> = found.into_iter().filter_map(read).collect();
    found.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
    Ok(found.into_iter().map(|(at, name, node)| (hosts[at].clone(), name, node)).collect())
}

/// Changes a node and its items. `change` may run more than once; a node that it takes out is deleted with its items.
pub(crate) async fn change<T>(
    records: &dyn Records,
    host: &str,
    name: &str,
    change: impl Fn(&mut Option<Node>, &mut Vec<Change>) -> Result<T, StanzaError>,
) -> Result<T, StanzaError> {
    loop {
        let record = records.get(host, NODES, name).await.map_err(|error| store_failed(&error))?;
        let expected = record.as_ref().map_or(Expected::Absent, |record| Expected::Version(record.version));
        let before: Option<Node> = record.and_then(|record| serde_json::from_slice(&record.value).ok());
        let mut after = before.clone();
        let mut items = Vec::new();
        let answer = change(&mut after, &mut items)?;
        if before.is_none() && after.is_some() {
            let nodes =
                records.list(host, NODES, None, MOST_NODES).await.map_err(|error| store_failed(&error))?;
            if nodes.len() >= MOST_NODES {
                return Err(xmpp_core::ErrorKind::ResourceConstraint.into());
            }
        }
        let collection = items_of(name);
        let mut changes: Vec<RecordChange> = items
            .into_iter()
            .map(|item| match item {
                Change::Put(id, payload) => {
                    RecordChange::put(&collection, &id, payload.to_string().as_bytes())
                }
                Change::Delete(id) => RecordChange::delete(&collection, &id),
            })
            .collect();
        match (&before, &after) {
            (None, None) => return Ok(answer),
            (Some(gone), None) => {
                changes.extend(gone.items.iter().map(|item| RecordChange::delete(&collection, &item.id)));
                changes.push(RecordChange::delete(NODES, name).expecting(expected));
            }
            (_, Some(node)) => {
                let value = serde_json::to_vec(node).unwrap_or_default();
                changes.push(RecordChange::put(NODES, name, &value).expecting(expected));
            }
        }
        match records.commit(host, &changes).await {
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(store_failed(&error)),
            Ok(_) => return Ok(answer),
        }
    }
}

/// An item's payload.
pub(crate) async fn item(
    records: &dyn Records,
    host: &str,
    node: &str,
    id: &str,
) -> Result<Option<Element>, StanzaError> {
    let record = records.get(host, &items_of(node), id).await.map_err(|error| store_failed(&error))?;
    Ok(record.as_ref().and_then(payload))
}

/// The payload that a record keeps.
pub(crate) fn payload(record: &Record) -> Option<Element> {
    Element::parse(std::str::from_utf8(&record.value).ok()?, "").ok()
}

pub(crate) fn items_of(node: &str) -> String {
    format!("{NODES}/{node}")
}

pub(crate) const NODES: &str = "pubsub";
/// Nodes of one host.
const MOST_NODES: usize = 500;
