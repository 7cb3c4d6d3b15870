//! Where a URI leads — RFC 3261 §16.5: an endpoint of ours, devices of an account, or another domain.
//!
//! In    a Request-URI, or the contact of a redirect, and whether who asks may go elsewhere.
//! Out   branches in groups, and whose devices they are.
//! Errors [`Nowhere`], which says what the caller is answered.

use std::collections::VecDeque;
use std::sync::Arc;

use shared_auth::AccountCard;
use shared_model::Aor;
use shared_runtime::unix_millis;
use shared_store::StoreError;
use sip_core::{Message, Uri};
use sip_endpoint::{Flow, ResolveError};

use crate::features::Destination;
use crate::gruu::Device;
use crate::location::{Branch, Way};
use crate::server::Server;

/// Where a URI leads.
pub(crate) struct Found {
    /// Groups of branches, rung one after another.
    pub(crate) groups: Vec<Vec<Branch>>,
    /// Whose devices they are, if they are devices of ours.
    pub(crate) callee: Option<Arc<AccountCard>>,
}

/// Why a URI leads nowhere.
#[derive(Debug)]
pub(crate) enum Nowhere {
    /// Another domain, and nothing is relayed for strangers.
    NoRelaying,
    /// No account of ours has this address.
    Nobody,
    /// The account has no device that can be reached.
    Offline,
    /// The host has no address.
    HostNotFound,
    /// No listener of ours can reach it.
    NoWay,
    /// The URI cannot be read.
    Unreadable,
    /// The store does not answer.
    Store(StoreError),
}

impl Nowhere {
    /// The answer to who asked.
    pub(crate) fn answer(&self, request: &Message) -> Box<Message> {
        let (status, reason) = match self {
            Self::NoRelaying => (403, "No Relaying"),
            Self::Nobody => (404, ""),
            Self::Offline => (480, ""),
            Self::HostNotFound => (404, "Host Not Found"),
            Self::NoWay => (503, "No Way There"),
            Self::Unreadable => (400, "Bad Route"),
            Self::Store(error) => {
                tracing::error!(%error, "the store does not answer");
                (500, "")
            }
        };
        Box::new(Message::response(request, status, reason))
    }
}

impl From<StoreError> for Nowhere {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Finds where a URI leads. `is_trusted` says whether it may be another domain.
pub(crate) async fn find(server: &Server, uri: &Uri<'_>, is_trusted: bool) -> Result<Found, Nowhere> {
    if let Some(flow) = server.hosted(uri.host) {
        return Ok(Found::along(flow, Destination::Trusted));
    }
    let device = uri.params.has("gr").then(|| server.gruus.read(uri)).flatten();
    let account = if uri.is_tel() {
        let number: String = uri.user.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect();
        server.auth.directory.by_number(&number).await?
    } else if !server.is_our_host(uri) {
        if is_trusted {
            let branch = towards(server, uri, Destination::Foreign).await?;
            return Ok(Found { groups: vec![vec![branch]], callee: None });
        }
        return Err(Nowhere::NoRelaying);
    } else if let Some(Device::Temporary(account, ..)) = &device {
        server.auth.directory.by_id(*account).await?
    } else {
        account_of(server, uri).await?
    };
    let callee = Arc::new(account.filter(|account| account.enabled).ok_or(Nowhere::Nobody)?);
    let groups = server.reach().find(&callee, device.as_ref(), unix_millis()).await?;
    if groups.is_empty() { Err(Nowhere::Offline) } else { Ok(Found { groups, callee: Some(callee) }) }
}

/// The devices of an account that can be reached now.
pub(crate) async fn devices(
    server: &Server,
    callee: &Arc<AccountCard>,
) -> Result<Vec<Vec<Branch>>, StoreError> {
    server.reach().find(callee, None, unix_millis()).await
}

/// A branch to the host of a URI, and other ways there (RFC 3263 §4.3).
pub(crate) async fn towards(server: &Server, uri: &Uri<'_>, to: Destination) -> Result<Branch, Nowhere> {
    let targets = server.endpoint().resolver().targets(uri).await.map_err(|error| {
        tracing::debug!(%error, "a request leads nowhere");
        if error == ResolveError::Silence { Nowhere::NoWay } else { Nowhere::HostNotFound }
    })?;
    let mut ways = targets.into_iter();
    let flow = ways.find_map(|target| server.endpoint().flow_to(&target)).ok_or(Nowhere::NoWay)?;
    Ok(Branch { others: ways.rev().map(Way::Server).collect(), ..Branch::along(flow, to) })
}

/// Groups as they are rung: none larger than the breadth of the request (RFC 5393 §5.3.3).
pub(crate) fn in_rounds(groups: Vec<Vec<Branch>>, breadth: usize) -> VecDeque<Vec<Branch>> {
    let mut rounds = VecDeque::with_capacity(groups.len());
    for mut group in groups {
        while group.len() > breadth {
            let rest = group.split_off(breadth);
            rounds.push_back(std::mem::replace(&mut group, rest));
        }
        rounds.push_back(group);
    }
    rounds
}

/// An account by the user part of a SIP URI: an AOR, or one of its numbers.
pub(crate) async fn account_of(server: &Server, uri: &Uri<'_>) -> Result<Option<AccountCard>, StoreError> {
    let user = uri.user_unescaped();
    if let Ok(aor) = Aor::new(&user, &server.domain)
        && let Some(account) = server.auth.directory.by_aor(&aor).await?
    {
        return Ok(Some(account));
    }
    let number: String = user.chars().filter(|c| !"-.() ".contains(*c)).collect();
    if number.starts_with('+') { server.auth.directory.by_number(&number).await } else { Ok(None) }
}

impl Found {
    fn along(flow: Flow, to: Destination) -> Self {
        Self { groups: vec![vec![Branch::along(flow, to)]], callee: None }
    }
}
