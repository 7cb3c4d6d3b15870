//! What owners do — XEP-0060 1.30.0, sections 8.1 (create), 8.2 (configure), 8.3 (default), 8.4 (delete), 8.5 (purge),
//! 8.8 (subscriptions), 8.9 (affiliations).

use xmpp_core::payload::form::Form;
use xmpp_core::{Element, ErrorKind, Jid, StanzaError, ns};

use super::config::NodeConfig;
use super::node::{Affiliation, Node, because, unsupported};
use super::store::{self, Change};
use super::{Host, approval, name_of, notify, wrapped};
use crate::features::{Answer, Answered, Request};
use crate::server::Server;

/// §8.1: nodes of an account by its user, nodes of the service by any user of ours.
pub(super) async fn create(server: &Server, host: &Host, request: &Request, create: &Element) -> Answered {
    if !host.is_service && request.from.bare_str() != host.jid.as_str() {
        return Err(ErrorKind::Forbidden.into());
    }
    if !server.is_home(request.from.domain()) {
        return Err(ErrorKind::Forbidden.into()); // §8.1.1: not registered here
    }
    let made = create.attribute("node").is_none();
    let name = if made { server.new_id() } else { name_of(create)?.to_owned() };
    let form = request.payload.get("configure").and_then(|c| c.find("x", ns::FORM)).and_then(Form::parse);
    let config = if host.is_service { NodeConfig::of_service() } else { NodeConfig::of_account(&name) };
    let config = form.as_ref().map_or(Ok(config.clone()), |form| config.submitted(form))?;
    store::change(&*server.store.records, host.key(), &name, |node, _| {
        if node.is_some() {
            return Err(ErrorKind::Conflict.into()); // §8.1.2
        }
        *node = Some(Node::new(config.clone(), &request.from));
        Ok(())
    })
    .await?;
    if made {
        return Ok(wrapped(Element::new("create", ns::PUBSUB).with("node", name)));
    }
    Ok(Answer::default())
}

/// A node that the asker owns.
async fn owned(server: &Server, host: &Host, request: &Request, name: &str) -> Result<Node, StanzaError> {
    let node = host.node(server, name).await?;
    node.check_owner(&request.from)?;
    Ok(node)
}

/// §8.2.1.
pub(super) async fn configuration(
    server: &Server,
    host: &Host,
    request: &Request,
    asked: &Element,
) -> Answered {
    let name = name_of(asked)?;
    let node = owned(server, host, request, name).await?;
    let form = node.config.to_form("form");
    Ok(wrapped(Element::new("configure", ns::PUBSUB_OWNER).with("node", name).child(form)))
}

/// §8.2.4.
pub(super) async fn configure(server: &Server, host: &Host, request: &Request, asked: &Element) -> Answered {
    let name = name_of(asked)?;
    let form = asked.find("x", ns::FORM).and_then(Form::parse).ok_or(ErrorKind::BadRequest)?;
    let node = store::change(&*server.store.records, host.key(), name, |node, changes| {
        let node = node.as_mut().ok_or(ErrorKind::ItemNotFound)?;
        node.check_owner(&request.from)?;
        if form.type_ != "cancel" {
            node.config = node.config.submitted(&form)?;
            changes.extend(node.shrink().into_iter().map(Change::Delete));
        }
        Ok(node.clone())
    })
    .await?;
    if node.config.notifies_config && form.type_ != "cancel" {
        let configuration = Element::new("configuration", ns::PUBSUB_EVENT).with("node", name);
        notify::tell(server, host, name, &node, &configuration).await;
    }
    Ok(Answer::default())
}

/// §8.3.
pub(super) fn default(host: &Host) -> Answered {
    let config = if host.is_service { NodeConfig::of_service() } else { NodeConfig::default() };
    Ok(wrapped(Element::new("default", ns::PUBSUB_OWNER).child(config.to_form("form"))))
}

/// §8.4.
pub(super) async fn delete(server: &Server, host: &Host, request: &Request, asked: &Element) -> Answered {
    let name = name_of(asked)?;
    let gone = store::change(&*server.store.records, host.key(), name, |node, _| {
        node.as_ref().ok_or(ErrorKind::ItemNotFound)?.check_owner(&request.from)?;
        Ok(node.take())
    })
    .await?;
    if let Some(node) = gone.filter(|node| node.config.notifies_delete) {
        notify::tell(server, host, name, &node, &Element::new("delete", ns::PUBSUB_EVENT).with("node", name))
            .await;
    }
    Ok(Answer::default())
}

/// §8.5.
pub(super) async fn purge(server: &Server, host: &Host, request: &Request, asked: &Element) -> Answered {
    let name = name_of(asked)?;
    let node = store::change(&*server.store.records, host.key(), name, |node, changes| {
        let node = node.as_mut().ok_or(ErrorKind::ItemNotFound)?;
        node.check_owner(&request.from)?;
        if !node.config.persists {
            return Err(unsupported("persistent-items")); // §8.5.3.3
        }
        changes.extend(node.items.drain(..).map(|item| Change::Delete(item.id)));
        Ok(node.clone())
    })
    .await?;
    if node.config.notifies_retract {
        notify::tell(server, host, name, &node, &Element::new("purge", ns::PUBSUB_EVENT).with("node", name))
            .await;
    }
    Ok(Answer::default())
}

/// §8.9.
pub(super) async fn affiliations(
    server: &Server,
    host: &Host,
    request: &Request,
    asked: &Element,
    is_set: bool,
) -> Answered {
    let name = name_of(asked)?;
    if !is_set {
        let node = owned(server, host, request, name).await?;
        let list = node.affiliations.iter().map(|(jid, affiliation)| {
            Element::new("affiliation", ns::PUBSUB_OWNER)
                .with("jid", jid)
                .with("affiliation", affiliation.as_str())
        });
        return Ok(wrapped(
            Element::new("affiliations", ns::PUBSUB_OWNER).with("node", name).children_from(list),
        ));
    }
    let mut changes: Vec<(Jid, Option<Affiliation>)> = Vec::new();
    for entry in asked.children().filter(|child| child.is("affiliation", ns::PUBSUB_OWNER)) {
        let jid = entry.attribute("jid").ok_or(ErrorKind::BadRequest)?;
        let jid: Jid = jid.parse().map_err(|_| ErrorKind::JidMalformed)?;
        let affiliation = match entry.attribute("affiliation") {
            Some("none") => None,
            Some(word) => Some(Affiliation::parse(word).ok_or(ErrorKind::BadRequest)?),
            None => return Err(ErrorKind::BadRequest.into()),
        };
        changes.push((jid.to_bare(), affiliation));
    }
    store::change(&*server.store.records, host.key(), name, |node, _| {
        let node = node.as_mut().ok_or(ErrorKind::ItemNotFound)?;
        node.check_owner(&request.from)?;
        for (jid, affiliation) in &changes {
            match affiliation {
                Some(affiliation) => node.affiliations.insert(jid.as_str().to_owned(), *affiliation),
                None => node.affiliations.remove(jid.as_str()),
            };
        }
        let has_owner = node.affiliations.values().any(|affiliation| *affiliation == Affiliation::Owner);
        if !has_owner || node.affiliations.len() > MOST_AFFILIATIONS {
            return Err(ErrorKind::NotAcceptable.into()); // §8.9.2.4
        }
        Ok(())
    })
    .await?;
    Ok(Answer::default())
}

/// §8.8.
pub(super) async fn subscriptions(
    server: &Server,
    host: &Host,
    request: &Request,
    asked: &Element,
    is_set: bool,
) -> Answered {
    let name = name_of(asked)?;
    if !is_set {
        let node = owned(server, host, request, name).await?;
        let list = node.subscriptions.iter().map(|jid| {
            Element::new("subscription", ns::PUBSUB_OWNER).with("jid", jid).with("subscription", "subscribed")
        });
        let waiting = node.pending.iter().map(|jid| {
            Element::new("subscription", ns::PUBSUB_OWNER).with("jid", jid).with("subscription", "pending")
        });
        let list = list.chain(waiting);
        return Ok(wrapped(
            Element::new("subscriptions", ns::PUBSUB_OWNER).with("node", name).children_from(list),
        ));
    }
    let mut changes = Vec::new();
    for entry in asked.children().filter(|child| child.is("subscription", ns::PUBSUB_OWNER)) {
        let jid = entry.attribute("jid").ok_or(ErrorKind::BadRequest)?;
        let jid: Jid = jid.parse().map_err(|_| ErrorKind::JidMalformed)?;
        match entry.attribute("subscription") {
            Some("subscribed") => changes.push((jid, true)),
            Some("none") => changes.push((jid, false)),
            _ => return Err(because(ErrorKind::NotAcceptable, "unsupported")),
        }
    }
    let decided = store::change(&*server.store.records, host.key(), name, |node, _| {
        let node = node.as_mut().ok_or(ErrorKind::ItemNotFound)?;
        node.check_owner(&request.from)?;
        let mut decided = Vec::new();
        for (jid, is_subscribed) in &changes {
            if node.decide(jid.as_str(), false) {
                let state = if *is_subscribed { "subscribed" } else { "none" };
                decided.push(approval::news(host, name, jid, state));
            }
            node.subscriptions.retain(|known| known != jid.as_str());
            if *is_subscribed {
                node.subscriptions.push(jid.as_str().to_owned());
            }
        }
        Ok(decided)
    })
    .await?;
    Ok(Answer { stanzas: decided, ..Answer::default() })
}

const MOST_AFFILIATIONS: usize = 1000;
