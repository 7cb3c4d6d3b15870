//! What readers and subscribers do — XEP-0060 1.30.0, sections 5.6, 5.7 (lists), 6.1, 6.2 (subscribe), 6.5 (items).

use xmpp_core::payload::rsm::{self, Place, Wish};
use xmpp_core::{Element, ErrorKind, Jid, StanzaError, ns};

use super::config::Access;
use super::node::{Affiliation, ItemRef, Node, because};
use super::{Host, approval, name_of, notify, store, wrapped};
use crate::bookmarks;
use crate::features::{Answer, Answered, Request, vcard};
use crate::server::Server;

/// §6.5.
pub(super) async fn items(server: &Server, host: &Host, request: &Request, asked: &Element) -> Answered {
    let name = name_of(asked)?;
    let is_own = !host.is_service && request.from.bare_str() == host.jid.as_str();
    if name == bookmarks::OLD && is_own && host.node(server, name).await.is_err() {
        bookmarks::show_old(server, &host.jid).await?; // nobody asked for it before
    }
    if name == vcard::NODE && !host.is_service {
        vcard::show(server, &host.jid).await?; // numbers may be others now, and who wrote none has a card, too
    }
    let node = host.node(server, name).await?;
    node.check_reader(&request.from, &host.relation(server, &request.from).await?)?;
    let wish = Wish::parse(&request.payload)?;
    let ids: Vec<&str> = asked
        .children()
        .filter(|child| child.is("item", ns::PUBSUB))
        .filter_map(|item| item.attribute("id"))
        .collect();
    let max = asked
        .attribute("max_items")
        .map(str::parse::<usize>)
        .transpose()
        .map_err(|_| ErrorKind::BadRequest)?;
    let page = match (ids.is_empty(), max) {
        (false, _) => Page {
            items: ids.iter().filter_map(|id| node.items.iter().find(|i| i.id == *id)).collect(),
            set: None,
        },
        (true, Some(max)) => Page { items: node.items.iter().rev().take(max).rev().collect(), set: None },
        (true, None) => page(&node, &wish)?,
    };
    let is_newest = max.is_some() || matches!(wish.place, Place::Before(_) | Place::Last);
    let (all, mut wanted) = (node.items.len(), page.items);
    if is_newest {
        wanted.reverse();
    }
    let (mut shown, is_cut) = read(server, host, name, wanted, most_bytes(server, &request.from)).await?;
    if is_newest {
        shown.reverse();
    }
    // What is too much for one stanza is a page: who asked goes on from there.
    let ends = shown.first().zip(shown.last()).map(|(first, last)| (first.0.id.as_str(), last.0.id.as_str()));
    let set = if is_cut { Some(rsm::answer(ends, None, Some(all as u64))) } else { page.set };
    let out = Element::new("items", ns::PUBSUB).with("node", name);
    let out = shown.into_iter().fold(out, |out, (_, item)| out.child(item));
    Ok(Element::new("pubsub", ns::PUBSUB).child(out).children_from(set).into())
}

/// Those of the items that are there, until they are more than so many bytes, but one at least; and whether some were left out.
async fn read<'a>(
    server: &Server,
    host: &Host,
    node: &str,
    wanted: Vec<&'a ItemRef>,
    most: usize,
) -> Result<(Vec<(&'a ItemRef, Element)>, bool), StanzaError> {
    let (mut shown, mut bytes) = (Vec::new(), 0);
    for wanted in wanted {
        let Some(item) = store::item(&*server.store.records, host.key(), node, &wanted.id).await? else {
            continue;
        };
        bytes += item.to_string().len();
        if bytes > most && !shown.is_empty() {
            return Ok((shown, true));
        }
        shown.push((wanted, item));
    }
    Ok((shown, false))
}

/// Bytes of an answer: what we bear ourselves for another server, which may end the stream of all its users for more (XEP-0478), and what
/// clients of ours bear.
fn most_bytes(server: &Server, asker: &Jid) -> usize {
    if server.is_home(asker.domain()) { OWN_BYTES } else { server.config.stanza_bytes }
}

struct Page<'a> {
    items: Vec<&'a ItemRef>,
    set: Option<Element>,
}

/// §6.5.4: a page by XEP-0059, in the order of publication.
fn page<'a>(node: &'a Node, wish: &Wish) -> Result<Page<'a>, StanzaError> {
    let place =
        |id: &String| node.items.iter().position(|item| item.id == *id).ok_or(ErrorKind::ItemNotFound);
    let all = node.items.len();
    let max = wish.max.unwrap_or(all);
    let range = match &wish.place {
        Place::First => 0..max.min(all),
        Place::After(id) => {
            let from = place(id)? + 1;
            from..from.saturating_add(max).min(all)
        }
        Place::Before(id) => {
            let to = place(id)?;
            to.saturating_sub(max)..to
        }
        Place::Last => all.saturating_sub(max)..all,
    };
    let items: Vec<&ItemRef> = node.items[range.clone()].iter().collect();
    let ends = items.first().zip(items.last()).map(|(first, last)| (first.id.as_str(), last.id.as_str()));
    let set = rsm::answer(ends, Some(range.start as u64), Some(all as u64));
    let is_paged = *wish != Wish::default();
    Ok(Page { items, set: is_paged.then_some(set) })
}

/// §6.1.
pub(super) async fn subscribe(server: &Server, host: &Host, request: &Request, asked: &Element) -> Answered {
    let name = name_of(asked)?;
    let jid = own_jid(request, asked)?;
    let relation = host.relation(server, &request.from).await?;
    let (node, is_pending) = store::change(&*server.store.records, host.key(), name, |node, _| {
        let node = node.as_mut().ok_or(ErrorKind::ItemNotFound)?;
        let must_ask = node.config.access == Access::Authorize
            && node.affiliation(&request.from).is_none()
            && !node.is_subscribed(&request.from);
        if must_ask {
            if node.is_waiting(&jid) {
                return Err(because(ErrorKind::NotAuthorized, "pending-subscription")); // §6.1.3.7
            }
            if node.pending.len() >= MOST_PENDING {
                return Err(because(ErrorKind::PolicyViolation, "too-many-subscriptions"));
            }
            node.pending.push(jid.as_str().to_owned());
            return Ok((node.clone(), true));
        }
        node.check_reader(&request.from, &relation)?;
        if !node.subscriptions.iter().any(|known| known == jid.as_str()) {
            if node.subscriptions.len() >= MOST_SUBSCRIPTIONS {
                return Err(because(ErrorKind::PolicyViolation, "too-many-subscriptions"));
            }
            node.subscriptions.push(jid.as_str().to_owned());
        }
        node.wait_no_more(&jid);
        Ok((node.clone(), false))
    })
    .await?;
    if is_pending {
        let stanzas = approval::requests(server, host, name, &node, &jid);
        return Ok(Answer { stanzas, ..wrapped(in_state(name, jid.as_str(), "pending")) }); // §6.1.4.1
    }
    let last = match node.config.sends_last_on_subscription {
        true => notify::last_item(server, host, name, &node, &jid).await,
        false => None,
    };
    let subscription = subscription(name, jid.as_str());
    Ok(Answer { stanzas: last.into_iter().collect(), ..wrapped(subscription) })
}

/// §6.2.
pub(super) async fn unsubscribe(
    server: &Server,
    host: &Host,
    request: &Request,
    asked: &Element,
) -> Answered {
    let name = name_of(asked)?;
    let jid = named_jid(asked)?;
    if !is_own(request, &jid) {
        return Err(ErrorKind::Forbidden.into()); // §6.2.3.3
    }
    store::change(&*server.store.records, host.key(), name, |node, _| {
        let node = node.as_mut().ok_or(ErrorKind::ItemNotFound)?;
        let before = node.subscriptions.len();
        node.subscriptions.retain(|known| known != jid.as_str());
        let was_waiting = node.decide(jid.as_str(), false);
        if node.subscriptions.len() == before && !was_waiting {
            return Err(because(ErrorKind::UnexpectedRequest, "not-subscribed")); // §6.2.3.2
        }
        Ok(())
    })
    .await?;
    Ok(Answer::default())
}

/// §6.1.3.1: one subscribes oneself.
fn own_jid(request: &Request, asked: &Element) -> Result<Jid, StanzaError> {
    let jid = named_jid(asked)?;
    if is_own(request, &jid) { Ok(jid) } else { Err(because(ErrorKind::BadRequest, "invalid-jid")) }
}

fn named_jid(asked: &Element) -> Result<Jid, StanzaError> {
    let jid = asked.attribute("jid").ok_or_else(|| because(ErrorKind::BadRequest, "jid-required"))?;
    jid.parse().map_err(|_| ErrorKind::JidMalformed.into())
}

/// Whether an address is the asker's, whatever the resource (§6.1.3.1, §6.2.3.3).
fn is_own(request: &Request, jid: &Jid) -> bool {
    jid.bare_str() == request.from.bare_str()
}

fn subscription(node: &str, jid: &str) -> Element {
    in_state(node, jid, "subscribed")
}

fn in_state(node: &str, jid: &str, state: &str) -> Element {
    Element::new("subscription", ns::PUBSUB).with("node", node).with("jid", jid).with("subscription", state)
}

/// §5.6: the asker's own.
pub(super) async fn subscriptions(
    server: &Server,
    host: &Host,
    request: &Request,
    asked: &Element,
) -> Answered {
    let only = asked.attribute("node");
    let mut out = Element::new("subscriptions", ns::PUBSUB).with_some("node", only);
    for (name, node) in store::all(&*server.store.records, host.key()).await? {
        if only.is_none_or(|only| only == name) {
            let is_own =
                |jid: &&String| jid.parse::<Jid>().is_ok_and(|j| j.bare_str() == request.from.bare_str());
            out = out
                .children_from(node.subscriptions.iter().filter(is_own).map(|jid| subscription(&name, jid)));
        }
    }
    Ok(wrapped(out))
}

/// §5.7: the asker's own.
pub(super) async fn affiliations(
    server: &Server,
    host: &Host,
    request: &Request,
    asked: &Element,
) -> Answered {
    let only = asked.attribute("node");
    let mut out = Element::new("affiliations", ns::PUBSUB).with_some("node", only);
    for (name, node) in store::all(&*server.store.records, host.key()).await? {
        if let Some(affiliation) =
            node.affiliation(&request.from).filter(|_| only.is_none_or(|only| only == name))
        {
            out = out.child(shown(&name, affiliation));
        }
    }
    Ok(wrapped(out))
}

fn shown(node: &str, affiliation: Affiliation) -> Element {
    Element::new("affiliation", ns::PUBSUB).with("node", node).with("affiliation", affiliation.as_str())
}

/// Bytes of items that a client of ours gets at once.
const OWN_BYTES: usize = 1024 * 1024;
/// Bare JIDs that wait for an owner of one node.
const MOST_PENDING: usize = 100;
/// Subscriptions of one node.
const MOST_SUBSCRIPTIONS: usize = 10_000;
