//! Subscriptions that an owner approves — XEP-0060 1.30.0, sections 4.5 (authorize), 6.1.4.1 (pending), 8.6 (requests), 12.14 (news).
//!
//! In    a subscription to a node of the access model `authorize`; the form that an owner hands in where the node is, at the
//!       service or the own account (XEP-0163), or a subscription that an owner sets (§8.8.2).
//! Out   a form for every owner; news for the subscriber.
//! State who waits, in the node. Errors none: a form about nobody who waits, or of no owner, changes nothing.
//! Not here: all that waits at once (§8.7, optional).

use xmpp_core::payload::form::{Field, Form};
use xmpp_core::{Element, Jid, Kind, Stanza, ns};

use super::node::{Affiliation, Node};
use super::{Host, store};
use crate::route::route;
use crate::server::Server;

/// Asks every owner of a node about somebody who wants to subscribe.
pub(super) fn requests(
    server: &Server,
    host: &Host,
    name: &str,
    node: &Node,
    subscriber: &Jid,
) -> Vec<Stanza> {
    let form = Form::new("form", AUTHORIZATION)
        .titled("Somebody wants to subscribe")
        .with(Field::new("pubsub#node", "text-single", "Node", name))
        .with(Field::new("pubsub#subscriber_jid", "jid-single", "Who", subscriber.as_str()))
        .with(Field::new("pubsub#allow", "boolean", "Allow it", "false"))
        .to_element();
    let owners = node.affiliations.iter().filter(|(_, affiliation)| **affiliation == Affiliation::Owner);
    let owners = owners.filter_map(|(jid, _)| jid.parse::<Jid>().ok());
    owners
        .map(|owner| {
            Stanza::new(Kind::Message, None)
                .with_id(Some(&server.new_id()))
                .with(&form)
                .addressed(Some(&host.jid), Some(&owner))
        })
        .collect()
}

/// What a subscriber is told of a decision.
pub(super) fn news(host: &Host, name: &str, subscriber: &Jid, state: &str) -> Stanza {
    let subscription = Element::new("subscription", ns::PUBSUB_EVENT)
        .with("node", name)
        .with("jid", subscriber)
        .with("subscription", state);
    Stanza::new(Kind::Message, None)
        .with(&Element::new("event", ns::PUBSUB_EVENT).child(subscription))
        .addressed(Some(&host.jid), Some(subscriber))
}

/// A message to the service, or to the sender's own account: the form of an owner. Whether it is one.
pub(crate) async fn decide(server: &Server, message: &Stanza) -> bool {
    let form = message.find("x", ns::FORM).as_ref().and_then(Form::parse);
    let Some(form) = form.filter(|form| form.value("FORM_TYPE") == Some(AUTHORIZATION)) else { return false };
    let (Some(owner), Some(to)) = (message.from.clone(), &message.to) else { return false };
    let said = (form.value("pubsub#node"), form.value("pubsub#subscriber_jid"), form.truth("pubsub#allow"));
    let (Some(name), Some(jid), Some(is_allowed)) = said else { return true }; // cancelled: it waits still
    let Ok(jid) = jid.parse::<Jid>() else { return true };
    let host = Host { jid: to.to_bare(), is_service: to.as_str() == server.pubsub_domain };
    let decided = store::change(&*server.store.records, host.key(), name, |node, _| {
        let Some(node) = node.as_mut().filter(|node| node.check_owner(&owner).is_ok()) else {
            return Ok(false);
        };
        Ok(node.decide(jid.as_str(), is_allowed))
    })
    .await;
    if decided.is_ok_and(|was_waiting| was_waiting) {
        let state = if is_allowed { "subscribed" } else { "none" };
        Box::pin(route(server, news(&host, name, &jid, state))).await;
    }
    true
}

const AUTHORIZATION: &str = "http://jabber.org/protocol/pubsub#subscribe_authorization";
