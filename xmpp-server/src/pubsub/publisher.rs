//! What publishers do — XEP-0060 1.30.0, sections 7.1 (publish), 7.1.4 (auto-create), 7.1.5 (options), 7.2 (retract).

use shared_runtime::unix_millis;
use xmpp_core::payload::form::Form;
use xmpp_core::{Element, ErrorKind, Jid, StanzaError, ns};

use super::config::{Access, NodeConfig};
use super::node::{Affiliation, Node, because};
use super::store::{self, Change};
use super::{Host, name_of, notify, own, wrapped};
use crate::features::{Answer, Answered, Request, vcard};
use crate::server::Server;
use crate::voicemail::heard;
use crate::{avatar, bookmarks};

/// §7.1.
pub(super) async fn publish(server: &Server, host: &Host, request: &Request, publish: &Element) -> Answered {
    let name = name_of(publish)?;
    let items: Vec<&Element> = publish.children().filter(|child| child.is("item", ns::PUBSUB)).collect();
    let item = match items.as_slice() {
        [] => None,
        [item] => Some(*item),
        _ => return Err(because(ErrorKind::NotAllowed, "max-items-exceeded")), // §12.11: one at a time
    };
    if item.is_some_and(|item| item.children().count() > 1) {
        return Err(because(ErrorKind::BadRequest, "invalid-payload"));
    }
    let options =
        request.payload.get("publish-options").and_then(|o| o.find("x", ns::FORM)).and_then(Form::parse);
    if name == bookmarks::OLD && !host.is_service && request.from.bare_str() == host.jid.as_str() {
        let storage = payload(item, "storage", bookmarks::OLD)?;
        let node = store::read(&*server.store.records, host.key(), name).await?;
        check_old_bookmarks(node, options.as_ref())?;
        bookmarks::set_old(server, &host.jid, &request.from, storage).await?;
        let item = Element::new("item", ns::PUBSUB).with("id", "current");
        return Ok(wrapped(Element::new("publish", ns::PUBSUB).with("node", name).child(item)));
    }
    if name == vcard::NODE && !host.is_service && request.from.bare_str() == host.jid.as_str() {
        let card = payload(item, "vcard", ns::VCARD4)?;
        vcard::publish(server, &host.jid, &request.from, card).await?;
        let item = Element::new("item", ns::PUBSUB).with("id", "current");
        return Ok(wrapped(Element::new("publish", ns::PUBSUB).with("node", name).child(item)));
    }
    let id = item.and_then(|item| item.attribute("id")).filter(|id| !id.is_empty());
    let id = id.map_or_else(|| server.new_id(), str::to_owned);
    publish_item(server, host, &request.from, name, &id, item, Terms::Asked(options.as_ref())).await?;
    if name == avatar::METADATA && !host.is_service {
        avatar::published(server, &host.jid).await;
    }
    if name == bookmarks::NODE && !host.is_service {
        bookmarks::show_old(server, &host.jid).await?;
    }
    if name == heard::MDS_NODE && !host.is_service && request.from.bare_str() == host.jid.as_str() {
        heard::published(server, &host.jid, &id, item);
    }
    let published = Element::new("publish", ns::PUBSUB).with("node", name);
    Ok(wrapped(published.children_from(item.map(|_| Element::new("item", ns::PUBSUB).with("id", &id)))))
}

/// The payload of a node that takes but one kind.
fn payload<'a>(item: Option<&'a Element>, name: &str, ns: &str) -> Result<&'a Element, StanzaError> {
    let item = item.ok_or_else(|| because(ErrorKind::BadRequest, "item-required"))?;
    item.find(name, ns).ok_or_else(|| {
        let is_empty = item.children().next().is_none();
        because(ErrorKind::BadRequest, if is_empty { "payload-required" } else { "invalid-payload" })
    })
}

/// What a publication asks of its node.
#[derive(Clone, Copy)]
pub(super) enum Terms<'a> {
    /// §7.1.5: the options make the node, and are preconditions of one that is there.
    Asked(Option<&'a Form>),
    /// The options make the node, and ask nothing of one that is there.
    Offered(&'a Form),
    /// The options make the node; one that is there is from now on for nobody but those who are named.
    Private(&'a Form),
}

impl<'a> Terms<'a> {
    fn options(self) -> Option<&'a Form> {
        match self {
            Self::Asked(options) => options,
            Self::Offered(options) | Self::Private(options) => Some(options),
        }
    }
}

/// §7.1.5, of the node of old bookmarks as it will be.
fn check_old_bookmarks(node: Option<Node>, options: Option<&Form>) -> Result<(), StanzaError> {
    let Some(options) = options else { return Ok(()) };
    let config = match node {
        Some(node) => NodeConfig { access: Access::Whitelist, ..node.config },
        None => NodeConfig::default().submitted(&own::private_options())?,
    };
    if config.meets(options) { Ok(()) } else { Err(because(ErrorKind::Conflict, "precondition-not-met")) }
}

/// Publishes one item, or that something happened, makes the node if need be, and tells who is to be told.
pub(super) async fn publish_item(
    server: &Server,
    host: &Host,
    publisher: &Jid,
    name: &str,
    id: &str,
    item: Option<&Element>,
    terms: Terms<'_>,
) -> Result<(), StanzaError> {
    let kept = item
        .map(|item| Element { nodes: item.nodes.clone(), ..Element::new("item", ns::PUBSUB).with("id", id) });
    let node = store::change(&*server.store.records, host.key(), name, |node, changes| {
        let node = match node {
            Some(node) => {
                // §7.1.5: the options are preconditions of a node that is there.
                let asked = if let Terms::Asked(asked) = terms { asked } else { None };
                if asked.is_some_and(|options| !node.config.meets(options)) {
                    return Err(because(ErrorKind::Conflict, "precondition-not-met"));
                }
                if let Terms::Private(_) = terms {
                    node.config.access = Access::Whitelist;
                }
                node
            }
            None => node.insert(auto_create(server, host, publisher, name, terms.options())?),
        };
        node.check_publisher(publisher)?;
        node.config.check_event(kept.as_ref())?;
        let Some(kept) = &kept else { return Ok(node.clone()) };
        let gone = node.publish(id, publisher, unix_millis());
        if node.config.persists {
            changes.push(Change::Put(id.to_owned(), kept.clone()));
        }
        changes.extend(gone.into_iter().filter(|gone| gone != id).map(Change::Delete));
        Ok(node.clone())
    })
    .await?;
    match &kept {
        Some(kept) => notify::item_published(server, host, name, &node, id, kept, publisher).await,
        None => notify::happened(server, host, name, &node).await,
    }
    Ok(())
}

/// §7.1.4: a user's own nodes make themselves, as the options say; those of the service for users of ours.
fn auto_create(
    server: &Server,
    host: &Host,
    publisher: &Jid,
    name: &str,
    options: Option<&Form>,
) -> Result<Node, StanzaError> {
    let may = match host.is_service {
        true => server.is_home(publisher.domain()),
        false => publisher.bare_str() == host.jid.as_str(),
    };
    if !may {
        return Err(ErrorKind::ItemNotFound.into());
    }
    let config = if host.is_service { NodeConfig::of_service() } else { NodeConfig::of_account(name) };
    let config = options.map_or(Ok(config.clone()), |options| config.submitted(options))?;
    Ok(Node::new(config, publisher))
}

/// §7.2.
pub(super) async fn retract(server: &Server, host: &Host, request: &Request, retract: &Element) -> Answered {
    let name = name_of(retract)?;
    let ids: Vec<String> = retract
        .children()
        .filter(|child| child.is("item", ns::PUBSUB))
        .filter_map(|item| item.attribute("id").map(str::to_owned))
        .collect();
    if ids.is_empty() {
        return Err(because(ErrorKind::BadRequest, "item-required"));
    }
    let node = store::change(&*server.store.records, host.key(), name, |node, changes| {
        let node = node.as_mut().ok_or(ErrorKind::ItemNotFound)?;
        let is_publisher = node.affiliation(&request.from) == Some(Affiliation::Publisher);
        let is_own = |id: &String| {
            let by = |item: &super::node::ItemRef| {
                item.publisher.parse::<Jid>().is_ok_and(|p| p.bare_str() == request.from.bare_str())
            };
            node.items.iter().any(|item| item.id == *id && by(item))
        };
        // §7.2.3.1: owners any, publishers their own.
        if node.check_owner(&request.from).is_err() && !(is_publisher && ids.iter().all(is_own)) {
            return Err(ErrorKind::Forbidden.into());
        }
        let is_there = |id: &String| node.items.iter().any(|item| item.id == *id);
        if !ids.iter().all(is_there) {
            return Err(ErrorKind::ItemNotFound.into());
        }
        node.items.retain(|item| !ids.contains(&item.id));
        changes.extend(ids.iter().cloned().map(Change::Delete));
        Ok(node.clone())
    })
    .await?;
    let asked = matches!(retract.attribute("notify"), Some("1" | "true"));
    if asked || node.config.notifies_retract {
        notify::items_retracted(server, host, name, &node, &ids).await;
    }
    if name == bookmarks::NODE && !host.is_service {
        bookmarks::show_old(server, &host.jid).await?;
    }
    Ok(Answer::default())
}
