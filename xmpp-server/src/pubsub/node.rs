//! A node: who may what, and which items there are — XEP-0060 1.30.0, sections 4.1 (affiliations), 4.5 (access). No I/O.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xmpp_core::{Element, ErrorKind, Jid, StanzaError, ns};

use super::config::{Access, NodeConfig, Publishing};

/// What somebody is to a node (§4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Affiliation {
    Owner,
    Publisher,
    PublishOnly,
    Member,
    Outcast,
}

impl Affiliation {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Publisher => "publisher",
            Self::PublishOnly => "publish-only",
            Self::Member => "member",
            Self::Outcast => "outcast",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::Owner, Self::Publisher, Self::PublishOnly, Self::Member, Self::Outcast]
            .into_iter()
            .find(|affiliation| affiliation.as_str() == word)
    }
}

/// An item without its payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ItemRef {
    pub(crate) id: String,
    pub(crate) publisher: String,
    /// Unix milliseconds; 0 where nobody knows, as of what came with an import.
    #[serde(default)]
    pub(crate) published: i64,
}

/// How somebody stands to the owner of a node.
#[derive(Debug, Clone, Default)]
pub(crate) struct Relation {
    /// May see the owner's presence.
    pub(crate) sees_presence: bool,
    /// Groups of the owner's roster that they are in.
    pub(crate) groups: Vec<String>,
}

/// One node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Node {
    pub(crate) config: NodeConfig,
    /// By bare JID.
    pub(crate) affiliations: BTreeMap<String, Affiliation>,
    /// Addresses that subscribed by themselves.
    pub(crate) subscriptions: Vec<String>,
    /// Addresses whose subscription waits for an owner; one of each bare JID.
    pub(crate) pending: Vec<String>,
    /// The oldest first.
    pub(crate) items: Vec<ItemRef>,
}

impl Node {
    pub(crate) fn new(config: NodeConfig, owner: &Jid) -> Self {
        let affiliations = [(owner.bare_str().to_owned(), Affiliation::Owner)].into();
        Self { config, affiliations, ..Self::default() }
    }

    pub(crate) fn affiliation(&self, jid: &Jid) -> Option<Affiliation> {
        self.affiliations.get(jid.bare_str()).copied()
    }

    pub(crate) fn check_owner(&self, jid: &Jid) -> Result<(), StanzaError> {
        let is_owner = self.affiliation(jid) == Some(Affiliation::Owner);
        if is_owner { Ok(()) } else { Err(ErrorKind::Forbidden.into()) }
    }

    /// Whether somebody may read; §6.5.9 names each reason why not.
    pub(crate) fn check_reader(&self, jid: &Jid, relation: &Relation) -> Result<(), StanzaError> {
        match self.affiliation(jid) {
            Some(Affiliation::Outcast) => return Err(ErrorKind::Forbidden.into()),
            Some(Affiliation::PublishOnly) => return Err(ErrorKind::Forbidden.into()),
            Some(_) => return Ok(()),
            None => {}
        }
        match self.config.access {
            Access::Open => Ok(()),
            Access::Presence if relation.sees_presence => Ok(()),
            Access::Presence => Err(because(ErrorKind::NotAuthorized, "presence-subscription-required")),
            Access::Roster if self.config.groups.iter().any(|group| relation.groups.contains(group)) => {
                Ok(())
            }
            Access::Roster => Err(because(ErrorKind::NotAuthorized, "not-in-roster-group")),
            Access::Authorize if self.is_subscribed(jid) => Ok(()),
            Access::Authorize => Err(because(ErrorKind::NotAuthorized, "not-subscribed")),
            Access::Whitelist => Err(because(ErrorKind::NotAllowed, "closed-node")),
        }
    }

    /// §7.1.3.1.
    pub(crate) fn check_publisher(&self, jid: &Jid) -> Result<(), StanzaError> {
        use Affiliation::{Outcast, Owner, PublishOnly, Publisher};
        let may = match (self.affiliation(jid), self.config.publishing) {
            (Some(Owner | Publisher | PublishOnly), _) => true,
            (Some(Outcast), _) => false,
            (_, Publishing::Open) => true,
            (_, Publishing::Subscribers) => self.is_subscribed(jid),
            (_, Publishing::Publishers) => false,
        };
        if may { Ok(()) } else { Err(ErrorKind::Forbidden.into()) }
    }

    pub(crate) fn is_subscribed(&self, jid: &Jid) -> bool {
        self.subscriptions.iter().any(|known| known == jid.as_str() || known == jid.bare_str())
    }

    /// Whether one of somebody's addresses waits for an owner.
    pub(crate) fn is_waiting(&self, jid: &Jid) -> bool {
        self.pending.iter().any(|waiting| bare(waiting) == jid.bare_str())
    }

    /// None of somebody's addresses waits any more.
    pub(crate) fn wait_no_more(&mut self, jid: &Jid) {
        self.pending.retain(|waiting| bare(waiting) != jid.bare_str());
    }

    /// An owner decided about an address that waits. Whether it did.
    pub(crate) fn decide(&mut self, jid: &str, is_allowed: bool) -> bool {
        let before = self.pending.len();
        self.pending.retain(|waiting| waiting != jid);
        let was_waiting = self.pending.len() < before;
        if was_waiting && is_allowed && !self.subscriptions.iter().any(|known| known == jid) {
            self.subscriptions.push(jid.to_owned());
        }
        was_waiting
    }

    /// An item is there, the newest; the ids of those that go for it.
    pub(crate) fn publish(&mut self, id: &str, publisher: &Jid, now: i64) -> Vec<String> {
        self.items.retain(|item| item.id != id);
        if !self.config.persists {
            return Vec::new();
        }
        let publisher = publisher.as_str().to_owned();
        self.items.push(ItemRef { id: id.to_owned(), publisher, published: now });
        self.shrink()
    }

    /// Drops the oldest items that are too many; their ids.
    pub(crate) fn shrink(&mut self) -> Vec<String> {
        let most = if self.config.persists { self.config.most_items() } else { 0 };
        let excess = self.items.len().saturating_sub(most);
        self.items.drain(..excess).map(|item| item.id).collect()
    }
}

fn bare(jid: &str) -> &str {
    jid.split_once('/').map_or(jid, |(bare, _)| bare)
}

/// An error with a condition of pubsub's.
pub(crate) fn because(kind: ErrorKind, condition: &str) -> StanzaError {
    StanzaError::new(kind).with(Element::new(condition, ns::PUBSUB_ERRORS))
}

/// What is not served here, by its feature's name (§10).
pub(crate) fn unsupported(feature: &str) -> StanzaError {
    let condition = Element::new("unsupported", ns::PUBSUB_ERRORS).with("feature", feature);
    StanzaError::new(ErrorKind::FeatureNotImplemented).with(condition)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jid(text: &str) -> Jid {
        text.parse().unwrap()
    }

    #[test]
    fn an_item_takes_the_place_of_its_namesake_and_of_the_oldest() {
        let config = NodeConfig { max_items: Some(2), ..NodeConfig::default() };
        let mut node = Node::new(config, &jid("a@x"));
        let ids = |node: &Node| node.items.iter().map(|item| item.id.clone()).collect::<Vec<_>>();
        assert!(
            node.publish("1", &jid("a@x/r"), 1).is_empty() && node.publish("2", &jid("a@x/r"), 2).is_empty()
        );
        assert!(node.publish("1", &jid("a@x/r"), 3).is_empty());
        assert_eq!(ids(&node), ["2", "1"]);
        assert_eq!(node.publish("3", &jid("a@x/r"), 4), ["2"]);
        assert_eq!(ids(&node), ["1", "3"]);
    }

    #[test]
    fn each_access_model_lets_in_whom_it_names() {
        let node = |access| {
            Node::new(NodeConfig { access, groups: vec!["F".into()], ..NodeConfig::default() }, &jid("a@x"))
        };
        let none = Relation::default();
        let friend = Relation { sees_presence: true, groups: vec!["F".into()] };
        for (access, stranger, contact) in [
            (Access::Open, true, true),
            (Access::Presence, false, true),
            (Access::Roster, false, true),
            (Access::Whitelist, false, false),
            (Access::Authorize, false, false),
        ] {
            let mut node = node(access);
            assert_eq!(node.check_reader(&jid("b@x"), &none).is_ok(), stranger, "{access:?}");
            assert_eq!(node.check_reader(&jid("b@x"), &friend).is_ok(), contact, "{access:?}");
            node.affiliations.insert("b@x".into(), Affiliation::Member);
            assert!(node.check_reader(&jid("b@x/r"), &none).is_ok(), "a member reads");
            node.affiliations.insert("b@x".into(), Affiliation::Outcast);
            assert!(node.check_reader(&jid("b@x/r"), &friend).is_err(), "an outcast does not");
        }
        assert!(node(Access::Open).check_publisher(&jid("b@x")).is_err());
        assert!(node(Access::Open).check_publisher(&jid("a@x/r")).is_ok());
    }
}
