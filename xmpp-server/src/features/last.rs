//! Last activity — XEP-0012 2.0, sections 3 (an account), 5 (the server).
//!
//! In    a get for the server, or for an account by who may see its presence (§7).
//! Out   how long the server runs; how long an account is away, and its last status: zero while it is here.
//! State one record an account, collection `last`, written when its last resource goes.
//! Errors `forbidden` for who may not see the account's presence; `item-not-found` for one that was never here.

use serde::{Deserialize, Serialize};
use shared_model::Spec;
use shared_runtime::unix_millis;
use shared_store::{Expected, StoreError};
use xmpp_core::{Element, ErrorKind, Jid, Stanza, ns};

use super::{Answered, Feature, Request, Target, store_failed};
use crate::server::Server;

const SPEC: Spec = Spec::xep(12, "2.0").complete();

pub(super) const FEATURE: Feature = Feature {
    specs: &[SPEC],
    takes: &[("query", ns::LAST)],
    server: &[ns::LAST],
    account: &[ns::LAST],
    answer: |server, request| Box::pin(answer(server, request)),
};

/// When somebody was last here, and what they said.
#[derive(Serialize, Deserialize)]
struct Gone {
    at: i64,
    status: String,
}

async fn answer(server: &Server, request: &Request) -> Answered {
    if request.is_set {
        return Err(ErrorKind::BadRequest.into());
    }
    let seconds = |seconds: u64| Element::new("query", ns::LAST).with("seconds", seconds);
    match &request.target {
        Target::PubSub | Target::Directory | Target::Upload => Err(ErrorKind::ServiceUnavailable.into()),
        Target::Server => Ok(seconds(server.started.elapsed().as_secs()).into()),
        Target::Account(account) => {
            if account.as_str() != request.from.bare_str() {
                let contact = server.rosters.get(account.as_str(), &request.from).await;
                if !contact.map_err(|error| store_failed(&error))?.subscription().from {
                    return Err(ErrorKind::Forbidden.into());
                }
            }
            if server.router.sessions(account.as_str()).iter().any(|session| session.presence.is_some()) {
                return Ok(seconds(0).into());
            }
            let gone = read(server, account).await.map_err(|error| store_failed(&error))?;
            let gone = gone.ok_or(ErrorKind::ItemNotFound)?;
            let away = (unix_millis() - gone.at).max(0).unsigned_abs() / 1000;
            let query = seconds(away);
            Ok(if gone.status.is_empty() { query } else { query.text_node(gone.status) }.into())
        }
    }
}

async fn read(server: &Server, user: &Jid) -> Result<Option<Gone>, StoreError> {
    let record = server.store.records.get(user.bare_str(), COLLECTION, KEY).await?;
    Ok(record.and_then(|record| serde_json::from_slice(&record.value).ok()))
}

/// When the last resource of an account went, in milliseconds since 1970.
pub(crate) async fn seen(server: &Server, user: &Jid) -> Result<Option<i64>, StoreError> {
    Ok(read(server, user).await?.map(|gone| gone.at))
}

/// The last resource of an account goes.
pub(crate) async fn remember(server: &Server, user: &Jid, farewell: &Stanza) {
    let status = farewell.children().into_iter().find(|child| child.is("status", ns::CLIENT));
    let status = status.map(|status| status.text().chars().take(LONGEST).collect()).unwrap_or_default();
    let value = serde_json::to_vec(&Gone { at: unix_millis(), status }).unwrap_or_default();
    if let Err(error) =
        server.store.records.put(user.bare_str(), COLLECTION, KEY, &value, Expected::Anything).await
    {
        tracing::error!(%error, "when somebody was here could not be kept");
    }
}

const COLLECTION: &str = "last";
const KEY: &str = "last";
/// Characters of a status.
const LONGEST: usize = 1000;
