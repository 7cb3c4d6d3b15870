//! Service discovery — XEP-0030 2.5.0: the server, its rooms service, and accounts.
//!
//! In    `disco#info` or `disco#items`. Out identities and features, computed from the table of features.
//! Errors an account says nothing to strangers (§8): `service-unavailable`, as if it were not there; an unknown node is
//!       `item-not-found`.

use shared_model::Spec;
use xmpp_core::payload::disco::{Info, items};
use xmpp_core::{ErrorKind, Jid, ns};

use super::{Answered, FEATURES, Feature, Request, Target, store_failed};
use crate::server::Server;

const SPEC: Spec = Spec::xep(30, "2.5.0").complete();

pub(super) const INFO: Feature = Feature {
    specs: &[SPEC],
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
    check(server, request).await?;
    let info = match &request.target {
        Target::Server => Info {
            identities: vec![("server", "im", "cusax".to_owned())],
            features: FEATURES
                .iter()
                .flat_map(|feature| feature.server)
                .copied()
                .chain(["msgoffline"])
                .collect(),
            forms: Vec::new(),
        },
        Target::Account(_) => Info {
            identities: vec![("account", "registered", String::new())],
            features: FEATURES.iter().flat_map(|feature| feature.account).copied().collect(),
            forms: Vec::new(),
        },
    };
    Ok(info.to_element(request.payload.attribute("node")).into())
}

async fn list(server: &Server, request: &Request) -> Answered {
    check(server, request).await?;
    let listed = match &request.target {
        Target::Server => vec![(server.rooms_domain.clone(), "Rooms".to_owned())],
        Target::Account(account) => {
            let sessions = server.router.sessions(account.as_str());
            let available = sessions.into_iter().filter(|session| session.presence.is_some());
            available.map(|session| (session.jid.to_string(), String::new())).collect()
        }
    };
    Ok(items(request.payload.attribute("node"), listed).into())
}

async fn check(server: &Server, request: &Request) -> Result<(), xmpp_core::StanzaError> {
    if request.is_set {
        return Err(ErrorKind::NotAllowed.into());
    }
    if request.payload.attribute("node").is_some() {
        return Err(ErrorKind::ItemNotFound.into());
    }
    match &request.target {
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
