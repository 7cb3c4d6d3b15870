//! Service discovery — XEP-0030 2.5.0: the server, its rooms service, and accounts.
//!
//! In    `disco#info` or `disco#items`. Out identities and features, computed from the table of features.
//! Errors an account says nothing to strangers (§8): `service-unavailable`, as if it were not there; an unknown node is
//!       `item-not-found`.

use shared_model::Spec;
use xmpp_core::payload::caps::{hash_input, verification_string};
use xmpp_core::payload::disco::{Info, items};
use xmpp_core::payload::form::{Field, Form};
use xmpp_core::stream::limits::StreamLimits;
use xmpp_core::xml::Node;
use xmpp_core::{Element, ErrorKind, Jid, ns};

use super::{Answered, FEATURES, Feature, Request, Target, commands, directory, store_failed, upload};
use crate::pubsub::{self, Host};
use crate::server::Server;

const SPEC: Spec = Spec::xep(30, "2.5.0").complete();
const CONTACTS: Spec = Spec::xep(157, "1.1.1").note("administrators and abuse");

pub(super) const INFO: Feature = Feature {
    specs: &[SPEC, CONTACTS],
    takes: &[("query", ns::DISCO_INFO)],
    server: &[ns::DISCO_INFO],
    account: &[ns::DISCO_INFO],
    answer: |server, request| Box::pin(info(server, request)),
};

pub(super) const ITEMS: Feature = Feature {
    specs: &[],
    takes: &[("query", ns::DISCO_ITEMS)],
    server: &[ns::DISCO_ITEMS],
    account: &[ns::DISCO_ITEMS],
    answer: |server, request| Box::pin(list(server, request)),
};

async fn info(server: &Server, request: &Request) -> Answered {
    if let (Target::Server, Some(node)) = (&request.target, request.payload.attribute("node"))
        && let Some(info) = commands::info(server, &request.from, node).await?
    {
        return Ok(info.into());
    }
    check(server, request).await?;
    let node = request.payload.attribute("node");
    let info = match &request.target {
        Target::PubSub if node.is_none() => return Ok(pubsub::service().into()),
        Target::PubSub | Target::Account(_) if node.is_some() => {
            let host = Host::of(server, request)?;
            return Ok(pubsub::node_info(server, &host, &request.from, node.unwrap_or_default())
                .await?
                .into());
        }
        Target::Server => return Ok(spoken(&server_info(server), node).into()),
        Target::Directory => directory::info(),
        Target::Upload => upload::info(server),
        Target::Account(_) | Target::PubSub => Info {
            identities: vec![("account", "registered", String::new()), ("pubsub", "pep", String::new())],
            features: FEATURES.iter().flat_map(|feature| feature.account).copied().collect(),
            forms: Vec::new(),
        },
    };
    Ok(info.to_element(node).into())
}

/// What the server is (§3), and whom to write to about it (XEP-0157 §2).
fn server_info(server: &Server) -> Info {
    let is_there = |feature: &&str| match *feature {
        ns::EXTERNAL => !server.turn.services.is_empty(),
        ns::SASL_CERT => server.takes_certificates,
        _ => true,
    };
    let features = FEATURES.iter().flat_map(|feature| feature.server).copied().filter(is_there);
    let mut features: Vec<&str> =
        features.chain(["msgoffline", ns::CAPS, ns::CAPS2, ns::STANZA_ID]).collect();
    features.sort_unstable();
    features.dedup();
    let mut forms = Vec::new();
    let contacts = [("admin", &server.config.admin_addresses), ("abuse", &server.config.abuse_addresses)];
    if contacts.iter().any(|(_, addresses)| !addresses.is_empty()) {
        let form = Form::new("result", "http://jabber.org/network/serverinfo");
        let field = |(kind, addresses): (&str, &Vec<String>)| Field {
            values: addresses.clone(),
            ..Field::new(&format!("{kind}-addresses"), "list-multi", "", "")
        };
        let fields = contacts.into_iter().filter(|(_, addresses)| !addresses.is_empty()).map(field);
        forms.push(fields.fold(form, Form::with).to_element());
    }
    Info { identities: vec![("server", "im", "cusax".to_owned())], features, forms }
}

/// The same as an answer. Each identity says its language, so that who takes it from the stream's header, and who does not, hash the
/// same (XEP-0115 §5.1, XEP-0390 §4.1).
fn spoken(info: &Info, node: Option<&str>) -> Element {
    let mut info = info.to_element(node);
    for child in &mut info.nodes {
        if let Node::Element(identity) = child
            && identity.is("identity", ns::DISCO_INFO)
        {
            *identity = std::mem::take(identity).with("xml:lang", "en");
        }
    }
    info
}

/// The server's capabilities for its stream features (XEP-0115 §6.3, XEP-0390 §5.2), and its limits (XEP-0478 §3).
pub(crate) fn about(server: &Server) -> Vec<Element> {
    let info = spoken(&server_info(server), None);
    let limits = StreamLimits { bytes: server.config.stanza_bytes as u64, idle: 0 };
    let hash = |input: Option<String>, algorithm: &str| crate::caps::hash(&input?, algorithm);
    // XEP-0300 §8 has these two for everybody.
    let hashes = ["sha-256", "sha3-256"].into_iter().filter_map(|algorithm| {
        let ver = hash(hash_input(&info), algorithm)?;
        Some(Element::new("hash", ns::HASHES).with("algo", algorithm).text_node(ver))
    });
    let caps2 = Element::new("c", ns::CAPS2).children_from(hashes);
    let caps = hash(verification_string(&info), "sha-1")
        .map(|ver| Element::new("c", ns::CAPS).with("hash", "sha-1").with("node", NODE).with("ver", ver));
    caps.into_iter().chain([caps2]).chain(limits.to_element()).collect()
}

/// Whether a node is the server's own, by a name that its capabilities have (XEP-0115 §6.2, XEP-0390 §4.3).
fn is_own_node(server: &Server, node: &str) -> bool {
    server.about.get().into_iter().flatten().any(|c| {
        if c.is("c", ns::CAPS) {
            return c.attribute("ver").is_some_and(|ver| node == format!("{NODE}#{ver}"));
        }
        let mut hashes = c.children().filter(|_| c.is("c", ns::CAPS2));
        hashes.any(|hash| {
            let algorithm = hash.attribute("algo").unwrap_or_default();
            node == format!("{}#{algorithm}.{}", ns::CAPS2, hash.text())
        })
    })
}

/// The name of this software.
const NODE: &str = "urn:cusax";

async fn list(server: &Server, request: &Request) -> Answered {
    if let (Target::Server, Some(node)) = (&request.target, request.payload.attribute("node"))
        && let Some(list) = commands::items(server, &request.from, node).await?
    {
        return Ok(list.into());
    }
    check(server, request).await?;
    let node = request.payload.attribute("node");
    if request.target == Target::PubSub || (node.is_some() && request.target != Target::Server) {
        let host = Host::of(server, request)?;
        return Ok(pubsub::listed(server, &host, &request.from, node).await?.into());
    }
    let listed = match &request.target {
        Target::Server => {
            let external = server.components.domains().into_iter().map(|domain| (domain, String::new()));
            server.services().into_iter().chain(external).collect()
        }
        Target::PubSub | Target::Directory | Target::Upload => Vec::new(),
        Target::Account(account) => {
            let sessions = server.router.sessions(account.as_str());
            let available = sessions.into_iter().filter(|session| session.presence.is_some());
            available.map(|session| (session.jid.to_string(), String::new())).collect()
        }
    };
    let mut list = items(node, listed);
    if let Target::Account(_) = &request.target {
        let host = Host::of(server, request)?;
        let nodes = pubsub::listed(server, &host, &request.from, None).await?;
        list.nodes.extend(nodes.nodes); // XEP-0163 §3: the account's nodes are listed with it
    }
    Ok(list.into())
}

async fn check(server: &Server, request: &Request) -> Result<(), xmpp_core::StanzaError> {
    if request.is_set {
        return Err(ErrorKind::NotAllowed.into());
    }
    let node = request.payload.attribute("node");
    if matches!(request.target, Target::Directory | Target::Upload) && node.is_some() {
        return Err(ErrorKind::ItemNotFound.into());
    }
    if request.target == Target::Server && node.is_some_and(|node| !is_own_node(server, node)) {
        return Err(ErrorKind::ItemNotFound.into());
    }
    match &request.target {
        // A node says itself who may see it.
        Target::Account(_) if request.payload.attribute("node").is_some() => Ok(()),
        Target::Account(account) if !may_see(server, account, &request.from).await? => {
            Err(ErrorKind::ServiceUnavailable.into())
        }
        _ => Ok(()),
    }
}

async fn may_see(server: &Server, account: &Jid, asker: &Jid) -> Result<bool, xmpp_core::StanzaError> {
    if account.as_str() == asker.bare_str() {
        return Ok(true);
    }
    let contact = server.rosters.get(account.as_str(), asker).await.map_err(|error| store_failed(&error))?;
    Ok(contact.subscription().from)
}
