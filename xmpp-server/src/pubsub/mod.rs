//! Publish and subscribe — XEP-0060 1.30.0, and personal events — XEP-0163 1.2.2, on the same nodes.
//!
//! ```text
//! iq for an account or pubsub.<domain> ─▶ Host ─▶ [publisher, reader, owner] ─▶ Node (no I/O) ─▶ store ─▶ notify
//! ```
//!
//! In    requests of local users. Out answers, and notifications to subscribers and to interested resources.
//! State [`store`]'s: durable before anything is answered or told.
//! Errors those of the XEP, with its own conditions beside them ([`node::because`], [`node::unsupported`]).
//! Not here: collections, subscription options and ids, time-based expiry.

mod approval;
mod config;
mod node;
mod notify;
mod own;
mod owner;
mod publisher;
mod reader;
mod store;

use shared_model::Spec;
use xmpp_core::payload::disco::{Info, items as disco_items};
use xmpp_core::{Element, ErrorKind, Jid, StanzaError, ns};

/// What is kept, for those who carry it elsewhere.
pub(crate) mod kept {
    pub(crate) use super::config::{Access, NodeConfig};
    pub(crate) use super::node::{Affiliation, Node};
    pub(crate) use super::store::{NODES, items_of};

    /// Whether a node may be called so.
    pub(crate) fn is_name(name: &str) -> bool {
        !name.is_empty() && name.len() <= super::LONGEST_NAME
    }
}

pub(crate) use approval::decide;
pub(crate) use notify::{send_last, send_last_of};
pub(crate) use own::{has_node, own_items, private_options, publish_own, publish_private, retract_own};

use crate::features::{Answer, Answered, Request, Target, store_failed};
use crate::server::Server;
use node::{Affiliation, Node, Relation};

pub(crate) const SPECS: &[Spec] = &[
    Spec::xep(60, "1.30.0")
        .note("nodes, items, access models, affiliations, approval of subscribers; no collections"),
    Spec::xep(163, "1.2.2").complete(),
    Spec::xep(222, "1.0").complete(),
    Spec::xep(223, "1.1.1").complete(),
    Spec::xep(84, "1.1.4").complete(),
    Spec::xep(402, "1.2.0").complete(),
    Spec::xep(384, "0.8.3").note("nodes and access models that it needs"),
];

/// Whose nodes a request is for.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    /// The account, or the service.
    pub(crate) jid: Jid,
    pub(crate) is_service: bool,
}

/// Accounts are gone: no node, of the service or of another account, is theirs or sends them anything any more. Bans stay, which are
/// of the name.
pub(crate) async fn forget_accounts(server: &Server, gone: &[Jid]) -> Result<(), StanzaError> {
    forget_at(server, &server.pubsub_domain, gone).await?;
    let mut after = None;
    loop {
        let page = server.auth.directory.list(after.as_ref(), ACCOUNTS).await;
        let (accounts, is_more) = page.map_err(|error| store_failed(&error))?;
        for account in &accounts {
            forget_at(server, account.jid.as_str(), gone).await?;
        }
        match accounts.last().filter(|_| is_more) {
            Some(last) => after = Some(last.aor.clone()),
            None => return Ok(()),
        }
    }
}

async fn forget_at(server: &Server, host: &str, gone: &[Jid]) -> Result<(), StanzaError> {
    let records = &*server.store.records;
    let is_gone = |bare: &str| gone.iter().any(|gone| gone.bare_str() == bare);
    let is_theirs = |address: &String| address.split('/').next().is_some_and(is_gone);
    for (name, node) in store::all(records, host).await? {
        let is_affiliated = |(bare, affiliation): (&String, &Affiliation)| {
            is_gone(bare) && *affiliation != Affiliation::Outcast
        };
        if !node.affiliations.iter().any(is_affiliated)
            && !node.subscriptions.iter().chain(&node.pending).any(is_theirs)
        {
            continue;
        }
        store::change(records, host, &name, |node, _| {
            if let Some(node) = node {
                node.affiliations.retain(|bare, affiliation| !is_affiliated((bare, affiliation)));
                node.subscriptions.retain(|address| !is_theirs(address));
                node.pending.retain(|address| !is_theirs(address));
            }
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// Accounts whose nodes are looked at before the next are listed.
const ACCOUNTS: usize = 100;

impl Host {
    /// The host of a request.
    pub(crate) fn of(server: &Server, request: &Request) -> Result<Self, StanzaError> {
        match &request.target {
            Target::Account(account) => Ok(Self { jid: account.to_bare(), is_service: false }),
            Target::PubSub => {
                let jid = server.pubsub_domain.parse().map_err(|_| ErrorKind::ItemNotFound)?;
                Ok(Self { jid, is_service: true })
            }
            Target::Server => Err(ErrorKind::ItemNotFound.into()), // its nodes are those of its accounts
            Target::Directory | Target::Upload => Err(ErrorKind::ServiceUnavailable.into()),
        }
    }

    fn key(&self) -> &str {
        self.jid.as_str()
    }

    /// How somebody stands to the host.
    async fn relation(&self, server: &Server, jid: &Jid) -> Result<Relation, StanzaError> {
        if self.is_service {
            return Ok(Relation::default());
        }
        if self.jid.as_str() == jid.bare_str() {
            return Ok(Relation { sees_presence: true, groups: Vec::new() });
        }
        let contact =
            server.rosters.get(self.key(), &jid.to_bare()).await.map_err(|error| store_failed(&error))?;
        let sees_presence = contact.subscription().from;
        Ok(Relation { sees_presence, groups: contact.groups })
    }

    /// A node that is there.
    async fn node(&self, server: &Server, name: &str) -> Result<Node, StanzaError> {
        let node = store::read(&*server.store.records, self.key(), name).await?;
        node.ok_or_else(|| ErrorKind::ItemNotFound.into())
    }
}

/// Answers an iq of either namespace.
pub(crate) async fn answer(server: &Server, request: &Request) -> Answered {
    let host = Host::of(server, request)?;
    let first = request.payload.children().next().ok_or(ErrorKind::BadRequest)?;
    let is_owners = request.payload.ns == ns::PUBSUB_OWNER;
    match (first.name.as_str(), request.is_set, is_owners) {
        ("publish", true, false) => publisher::publish(server, &host, request, first).await,
        ("retract", true, false) => publisher::retract(server, &host, request, first).await,
        ("items", false, false) => reader::items(server, &host, request, first).await,
        ("subscribe", true, false) => reader::subscribe(server, &host, request, first).await,
        ("unsubscribe", true, false) => reader::unsubscribe(server, &host, request, first).await,
        ("subscriptions", false, false) => reader::subscriptions(server, &host, request, first).await,
        ("affiliations", false, false) => reader::affiliations(server, &host, request, first).await,
        ("create", true, false) => owner::create(server, &host, request, first).await,
        ("configure", false, true) => owner::configuration(server, &host, request, first).await,
        ("configure", true, true) => owner::configure(server, &host, request, first).await,
        ("default", false, true) => owner::default(&host),
        ("default", ..) => Err(node::unsupported("retrieve-default-sub")), // §6.4.3
        ("delete", true, true) => owner::delete(server, &host, request, first).await,
        ("purge", true, true) => owner::purge(server, &host, request, first).await,
        ("affiliations", is_set, true) => owner::affiliations(server, &host, request, first, is_set).await,
        ("subscriptions", is_set, true) => owner::subscriptions(server, &host, request, first, is_set).await,
        ("options", ..) => Err(node::unsupported("subscription-options")),
        _ => Err(ErrorKind::FeatureNotImplemented.into()),
    }
}

/// The attribute `node`, which most requests need (§7.2.3.3).
fn name_of(element: &Element) -> Result<&str, StanzaError> {
    let name = element.attribute("node").filter(|name| !name.is_empty() && name.len() <= LONGEST_NAME);
    name.ok_or_else(|| node::because(ErrorKind::BadRequest, "nodeid-required"))
}

/// `<pubsub/>` around an answer.
fn wrapped(inner: Element) -> Answer {
    Element::new("pubsub", &inner.ns.clone()).child(inner).into()
}

/// What disco says of a node (§5.3, §5.4).
pub(crate) async fn node_info(
    server: &Server,
    host: &Host,
    asker: &Jid,
    name: &str,
) -> Result<Element, StanzaError> {
    let node = host.node(server, name).await?;
    node.check_reader(asker, &host.relation(server, asker).await?)?;
    let features = vec![ns::PUBSUB, ns::DISCO_INFO];
    let forms = vec![meta_data(&node)];
    let identities = vec![("pubsub", "leaf", node.config.title.clone())];
    Ok(Info { identities, features, forms }.to_element(Some(name)))
}

/// §16.4.3.
fn meta_data(node: &Node) -> Element {
    let form = xmpp_core::payload::form::Form::parse(&node.config.to_form("result")).unwrap_or_default();
    let fields = form.fields.into_iter().map(|mut field| {
        if field.var == "FORM_TYPE" {
            field.values = vec![format!("{}#meta-data", ns::PUBSUB)];
        }
        field
    });
    let count = xmpp_core::payload::form::Field::new(
        "pubsub#num_items",
        "text-single",
        "",
        node.items.len().to_string(),
    );
    let fields = fields.chain([count]).collect();
    xmpp_core::payload::form::Form { fields, ..form }.to_element()
}

/// What disco lists: the nodes of a host (§5.2), or the items of a node (§5.5).
pub(crate) async fn listed(
    server: &Server,
    host: &Host,
    asker: &Jid,
    name: Option<&str>,
) -> Result<Element, StanzaError> {
    let relation = host.relation(server, asker).await?;
    if let Some(name) = name {
        let node = host.node(server, name).await?;
        node.check_reader(asker, &relation)?;
        let items = node.items.iter().map(|item| (host.jid.to_string(), item.id.clone()));
        return Ok(disco_items(Some(name), items));
    }
    let nodes = store::all(&*server.store.records, host.key()).await?;
    let visible = nodes.iter().filter(|(_, node)| node.check_reader(asker, &relation).is_ok());
    let items = visible.map(|(name, node)| {
        let item = Element::new("item", ns::DISCO_ITEMS).with("jid", &host.jid).with("node", name);
        item.with_some("name", (!node.config.title.is_empty()).then_some(&node.config.title))
    });
    Ok(Element::new("query", ns::DISCO_ITEMS).children_from(items))
}

/// What disco says of the service itself.
pub(crate) fn service() -> Element {
    let features = FEATURES.iter().chain([&ns::DISCO_INFO, &ns::DISCO_ITEMS, &ns::PING]).copied().collect();
    let identities = vec![("pubsub", "service", "Publish and subscribe".to_owned())];
    Info { identities, features, forms: Vec::new() }.to_element(None)
}

/// §10: what is served of the XEP.
pub(crate) const FEATURES: &[&str] = &[
    ns::PUBSUB,
    ns::PUBSUB_OWNER,
    "http://jabber.org/protocol/pubsub#access-authorize",
    "http://jabber.org/protocol/pubsub#access-open",
    "http://jabber.org/protocol/pubsub#access-presence",
    "http://jabber.org/protocol/pubsub#access-roster",
    "http://jabber.org/protocol/pubsub#access-whitelist",
    "http://jabber.org/protocol/pubsub#auto-create",
    "http://jabber.org/protocol/pubsub#config-node",
    "http://jabber.org/protocol/pubsub#config-node-max",
    "http://jabber.org/protocol/pubsub#create-and-configure",
    "http://jabber.org/protocol/pubsub#create-nodes",
    "http://jabber.org/protocol/pubsub#delete-items",
    "http://jabber.org/protocol/pubsub#delete-nodes",
    "http://jabber.org/protocol/pubsub#item-ids",
    "http://jabber.org/protocol/pubsub#last-published",
    "http://jabber.org/protocol/pubsub#manage-subscriptions",
    "http://jabber.org/protocol/pubsub#member-affiliation",
    "http://jabber.org/protocol/pubsub#meta-data",
    "http://jabber.org/protocol/pubsub#modify-affiliations",
    "http://jabber.org/protocol/pubsub#multi-items",
    "http://jabber.org/protocol/pubsub#outcast-affiliation",
    "http://jabber.org/protocol/pubsub#persistent-items",
    "http://jabber.org/protocol/pubsub#publish",
    "http://jabber.org/protocol/pubsub#publish-only-affiliation",
    "http://jabber.org/protocol/pubsub#publish-options",
    "http://jabber.org/protocol/pubsub#publisher-affiliation",
    "http://jabber.org/protocol/pubsub#purge-nodes",
    "http://jabber.org/protocol/pubsub#retract-items",
    "http://jabber.org/protocol/pubsub#retrieve-affiliations",
    "http://jabber.org/protocol/pubsub#retrieve-default",
    "http://jabber.org/protocol/pubsub#retrieve-items",
    "http://jabber.org/protocol/pubsub#retrieve-subscriptions",
    "http://jabber.org/protocol/pubsub#subscribe",
];

/// What accounts have besides (XEP-0163 §6).
pub(crate) const PERSONAL: &[&str] = &[
    "http://jabber.org/protocol/pubsub#auto-subscribe",
    "http://jabber.org/protocol/pubsub#filtered-notifications",
    crate::avatar::FEATURE,
];

const LONGEST_NAME: usize = 1023;
