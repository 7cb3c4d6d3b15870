//! Who is told of what — XEP-0060 1.30.0, section 7.1.2 (notifications); XEP-0163 1.2.2, sections 4.2 (to contacts), 4.3
//! (filtered, last item on presence).
//!
//! In    a change of a node; a resource that becomes available or says what it is interested in.
//! Out   headlines: to who subscribed, and of an account's node to the interested resources (`<node>+notify`) of the
//!       account and of contacts who may read it, here and elsewhere (`afar`).
//! A notification that nobody gets is gone: the item is kept.

use std::collections::BTreeSet;

use shared_store::{Place, StoreError};
use xmpp_core::payload::blocking::BlockList;
use xmpp_core::payload::delay::delay;
use xmpp_core::{Element, Jid, Kind, Stanza, ns};

use super::node::{ItemRef, Node, Relation};
use super::{Host, store};
use crate::blocking::{blocks, is_exempt};
use crate::roster::Contact;
use crate::route::{pass_copy, route};
use crate::server::Server;

/// An item is there.
pub(super) async fn item_published(
    server: &Server,
    host: &Host,
    name: &str,
    node: &Node,
    id: &str,
    item: &Element,
    publisher: &Jid,
) {
    tell(server, host, name, node, &shown(node, name, id, item, Some(publisher))).await;
}

/// Something happened, of which no more is said (§4.3, table 4).
pub(super) async fn happened(server: &Server, host: &Host, name: &str, node: &Node) {
    tell(server, host, name, node, &Element::new("items", ns::PUBSUB_EVENT).with("node", name)).await;
}

/// `<items/>` with one item.
fn shown(node: &Node, name: &str, id: &str, item: &Element, publisher: Option<&Jid>) -> Element {
    let mut told = Element::new("item", ns::PUBSUB_EVENT)
        .with("id", id)
        .with_some("publisher", publisher.map(Jid::bare_str));
    if node.config.delivers_payloads {
        told.nodes.clone_from(&item.nodes);
    }
    Element::new("items", ns::PUBSUB_EVENT).with("node", name).child(told)
}

/// Items are gone (§7.2.2.1).
pub(super) async fn items_retracted(server: &Server, host: &Host, name: &str, node: &Node, ids: &[String]) {
    let gone = ids.iter().map(|id| Element::new("retract", ns::PUBSUB_EVENT).with("id", id));
    tell(
        server,
        host,
        name,
        node,
        &Element::new("items", ns::PUBSUB_EVENT).with("node", name).children_from(gone),
    )
    .await;
}

/// Tells everybody whom it concerns.
pub(super) async fn tell(server: &Server, host: &Host, name: &str, node: &Node, event: &Element) {
    let message = headline(server, host, event);
    let mut told: Vec<Jid> = Vec::new();
    if !host.is_service {
        told = interested(server, host, name, node).await;
        for resource in &told {
            pass_copy(server, message.clone().addressed(Some(&host.jid), Some(resource)));
        }
    }
    for jid in node.subscriptions.iter().filter_map(|jid| jid.parse::<Jid>().ok()) {
        if told.iter().any(|resource| *resource == jid || resource.bare_str() == jid.as_str()) {
            continue;
        }
        let relation = host.relation(server, &jid).await.unwrap_or_default();
        if node.check_reader(&jid, &relation).is_ok() && !hides(server, host, &jid).await {
            Box::pin(route(server, message.clone().addressed(Some(&host.jid), Some(&jid)))).await;
        }
    }
}

/// Whether the account of a node blocks who would hear of it (XEP-0191 §3.3).
async fn hides(server: &Server, host: &Host, reader: &Jid) -> bool {
    !host.is_service && blocks(server, &host.jid, reader).await
}

/// §12.4: with an id, for who wants to say that it did not come.
fn headline(server: &Server, host: &Host, event: &Element) -> Stanza {
    let event = Element::new("event", ns::PUBSUB_EVENT).child(event.clone());
    let message = Stanza::new(Kind::Message, Some("headline")).with_id(Some(&server.new_id())).with(&event);
    message.addressed(Some(&host.jid), None)
}

/// Resources of the account and of its contacts that want to hear of a node and may read it.
async fn interested(server: &Server, host: &Host, name: &str, node: &Node) -> Vec<Jid> {
    let mut accounts = vec![host.jid.clone()];
    match server.rosters.all(host.jid.as_str()).await {
        Ok(contacts) => {
            let seeing = contacts.into_iter().filter(|(_, contact)| contact.subscription().from);
            accounts.extend(seeing.map(|(jid, _)| jid));
        }
        Err(error) => tracing::error!(%error, "a roster could not be read"),
    }
    let mut resources = Vec::new();
    for account in accounts {
        let wanting =
            |session: &crate::router::Session| session.presence.is_some() && session.notify.contains(name);
        let sessions = server.router.sessions(account.as_str());
        let afar = match server.is_home(account.domain()) {
            true => Vec::new(),
            false => server.afar.interested(host.jid.as_str(), account.as_str(), name),
        };
        if !sessions.iter().any(wanting) && afar.is_empty() {
            continue;
        }
        let relation = host.relation(server, &account).await.unwrap_or_default();
        let is_blocked = server.router.blocked(account.as_str()).is_some_and(|list| list.names(&host.jid));
        let is_blocked = is_blocked && account != host.jid;
        if node.check_reader(&account, &relation).is_ok()
            && !is_blocked
            && !hides(server, host, &account).await
        {
            resources.extend(sessions.into_iter().filter(wanting).map(|session| session.jid));
            resources.extend(afar);
        }
    }
    resources
}

/// The newest item of a node, for one address.
pub(super) async fn last_item(
    server: &Server,
    host: &Host,
    name: &str,
    node: &Node,
    to: &Jid,
) -> Option<Stanza> {
    let last = node.items.last()?;
    let item = store::item(&*server.store.records, host.key(), name, &last.id).await.ok().flatten()?;
    Some(last_of(server, host, name, node, (last, &item)).addressed(Some(&host.jid), Some(to)))
}

/// With the time at which it came (§6.1.7): it is no news.
fn last_of(
    server: &Server,
    host: &Host,
    name: &str,
    node: &Node,
    (last, item): (&ItemRef, &Element),
) -> Stanza {
    let publisher = last.publisher.parse().ok();
    let event = shown(node, name, &last.id, item, publisher.as_ref());
    let message = headline(server, host, &event);
    match last.published {
        0 => message, // nobody knows
        published => message.with(&delay(host.jid.as_str(), published)),
    }
}

/// XEP-0163 §4.3.4: a resource that is available and interested gets the last items of its own account's nodes and of
/// those of all whose presence it sees.
pub(crate) async fn send_last(server: &Server, resource: &Jid, notify: &BTreeSet<String>) {
    if notify.is_empty() {
        return;
    }
    let mut hosts = vec![resource.to_bare()];
    match server.rosters.all(resource.bare_str()).await {
        Ok(contacts) => {
            let seen = contacts.into_iter().filter(|(_, contact)| contact.subscription().to);
            hosts.extend(seen.map(|(jid, _)| jid).filter(|jid| server.is_home(jid.domain())));
        }
        Err(error) => tracing::error!(%error, "a roster could not be read"),
    }
    if let Some(blocked) = server.router.blocked(resource.bare_str()).filter(|blocked| !blocked.is_empty()) {
        hosts.retain(|host| is_exempt(resource, host) || !blocked.names(host));
    }
    send_last_of_all(server, &hosts, resource, notify).await;
}

/// The last items of one account's nodes, for a resource that is interested in them, here or elsewhere.
pub(crate) async fn send_last_of(server: &Server, account: &Jid, resource: &Jid, notify: &BTreeSet<String>) {
    send_last_of_all(server, &[account.to_bare()], resource, notify).await;
}

/// What is asked of the store does not grow with the accounts: the nodes of many at once, then their rosters, then the items.
async fn send_last_of_all(server: &Server, hosts: &[Jid], resource: &Jid, notify: &BTreeSet<String>) {
    for hosts in hosts.chunks(TOGETHER) {
        if let Err(error) = last_of_some(server, hosts, resource, notify).await {
            return tracing::error!(%error, "last items could not be read");
        }
    }
}

async fn last_of_some(
    server: &Server,
    hosts: &[Jid],
    resource: &Jid,
    notify: &BTreeSet<String>,
) -> Result<(), StoreError> {
    let records = &*server.store.records;
    let mut nodes = store::of_many(records, hosts, notify).await?;
    nodes.retain(|(.., node)| node.config.sends_last_on_presence && !node.items.is_empty());
    let mut having: Vec<Jid> = nodes.iter().map(|(host, ..)| host.clone()).collect();
    having.dedup();
    let entries = server.rosters.of_many(&having, &resource.to_bare()).await?;
    let relation = |host: &Jid, entry: Contact| match host.as_str() == resource.bare_str() {
        true => Relation { sees_presence: true, groups: Vec::new() },
        false => Relation { sees_presence: entry.subscription().from, groups: entry.groups },
    };
    let relations: Vec<Relation> =
        having.iter().zip(entries).map(|(host, entry)| relation(host, entry)).collect();
    let related = |host: &Jid| having.iter().position(|known| known == host).and_then(|at| relations.get(at));
    nodes.retain(|(host, _, node)| related(host).is_some_and(|to| node.check_reader(resource, to).is_ok()));
    let mut shown: Vec<Jid> = nodes.iter().map(|(host, ..)| host.clone()).collect();
    shown.dedup();
    let lists = server.block_lists.of_many(&shown).await?;
    let hides = |host: &Jid, list: &BlockList| !is_exempt(host, resource) && list.names(resource);
    let hiding: Vec<&Jid> =
        shown.iter().zip(&lists).filter(|(host, list)| hides(host, list)).map(|(host, _)| host).collect();
    nodes.retain(|(host, ..)| !hiding.contains(&host));
    for nodes in nodes.chunks(TOGETHER) {
        let collections: Vec<String> = nodes.iter().map(|(_, name, _)| store::items_of(name)).collect();
        let last = |node: &Node| node.items.last().cloned();
        let wanted: Vec<ItemRef> = nodes.iter().filter_map(|(.., node)| last(node)).collect();
        let places = nodes.iter().zip(&collections).zip(&wanted);
        let places: Vec<Place<'_>> = places
            .map(|(((host, ..), collection), item)| Place { owner: host.as_str(), collection, key: &item.id })
            .collect();
        let found = records.several(&places).await?;
        for (((host, name, node), item), record) in nodes.iter().zip(&wanted).zip(found) {
            if let Some(payload) = record.as_ref().and_then(store::payload) {
                let host = Host { jid: host.clone(), is_service: false };
                let message = last_of(server, &host, name, node, (item, &payload));
                pass_copy(server, message.addressed(Some(&host.jid), Some(resource)));
            }
        }
    }
    Ok(())
}

/// Accounts, or nodes, that are looked at together.
const TOGETHER: usize = 64;
