//! Where a URI leads — RFC 3261 §16.5: an endpoint of ours, devices of an account, a number, or another domain.
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
use crate::location::{Branch, Devices, Way};
use crate::numbers::Dialled;
use crate::push::Sleeper;
use crate::server::Server;

/// Where a URI leads.
#[derive(Default)]
pub(crate) struct Found {
    /// Groups of branches, rung one after another.
    pub(crate) groups: Vec<Vec<Branch>>,
    /// Devices that are to be woken.
    pub(crate) asleep: Vec<Sleeper>,
    /// Whose devices they are, if they are devices of ours.
    pub(crate) callee: Option<Arc<AccountCard>>,
    /// Which of them are meant; `None` if all are.
    pub(crate) device: Option<Device>,
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
    /// Emergency services cannot be reached from here: whoever calls should try another way at once.
    NoEmergency,
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
            Self::NoEmergency => (404, "No Emergency Services Here"),
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
    if uri.is_sip() && !server.is_our_host(uri) {
        if is_trusted {
            let branch = towards(server, uri, Destination::Foreign).await?;
            return Ok(Found { groups: vec![vec![branch]], ..Found::default() });
        }
        return Err(Nowhere::NoRelaying);
    }
    let device = uri.params.has("gr").then(|| server.gruus.read(uri)).flatten();
    if let Some(Device::Temporary(account, ..)) = &device {
        let account = server.auth.directory.by_id(*account).await?;
        return at_devices(server, account, device.as_ref()).await;
    }
    by_user(server, uri, device.as_ref()).await
}

/// Whom the user part names: an account, or what the number plan makes of it. Emergency numbers are nobody's name.
async fn by_user(server: &Server, uri: &Uri<'_>, device: Option<&Device>) -> Result<Found, Nowhere> {
    let dialled = server.plan.read(uri);
    if !matches!(dialled, Dialled::Emergency(_))
        && let Some(account) = by_aor(server, uri).await?
    {
        return at_devices(server, Some(account), device).await;
    }
    match dialled {
        Dialled::Name => Err(Nowhere::Nobody),
        Dialled::Ours(address) => ours(server, &address).await,
        Dialled::Number(number) => {
            at_devices(server, server.auth.directory.by_number(&number).await?, device).await
        }
        Dialled::Emergency(_) => Err(Nowhere::NoEmergency),
    }
}

/// An account or a room that the number plan names.
async fn ours(server: &Server, address: &str) -> Result<Found, Nowhere> {
    let uri = Uri::parse(address).ok_or(Nowhere::Nobody)?;
    if let Some(flow) = server.hosted(uri.host) {
        let branch = Branch { uri: Some(address.to_owned()), ..Branch::along(flow, Destination::Trusted) };
        return Ok(Found { groups: vec![vec![branch]], ..Found::default() });
    }
    let account = if server.is_our_host(&uri) { by_aor(server, &uri).await? } else { None };
    at_devices(server, account, None).await
}

async fn at_devices(
    server: &Server,
    account: Option<AccountCard>,
    device: Option<&Device>,
) -> Result<Found, Nowhere> {
    let callee = Arc::new(account.filter(|account| account.enabled).ok_or(Nowhere::Nobody)?);
    let devices = server.reach().find(&callee, device, unix_millis()).await?;
    if devices.is_empty() {
        return Err(Nowhere::Offline);
    }
    let Devices { groups, asleep } = devices;
    Ok(Found { groups, asleep, callee: Some(callee), device: device.cloned() })
}

/// The devices of an account, or one of them, as they are now.
pub(crate) async fn devices(
    server: &Server,
    callee: &Arc<AccountCard>,
    device: Option<&Device>,
) -> Result<Devices, StoreError> {
    server.reach().find(callee, device, unix_millis()).await
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

/// An account by the user part of a SIP URI: an AOR, one of its numbers, or an extension.
pub(crate) async fn account_of(server: &Server, uri: &Uri<'_>) -> Result<Option<AccountCard>, StoreError> {
    if let Some(account) = by_aor(server, uri).await? {
        return Ok(Some(account));
    }
    match server.plan.read(uri) {
        Dialled::Number(number) => server.auth.directory.by_number(&number).await,
        Dialled::Ours(address) => match Uri::parse(&address).filter(|uri| server.is_our_host(uri)) {
            Some(uri) => by_aor(server, &uri).await,
            None => Ok(None),
        },
        Dialled::Emergency(_) | Dialled::Name => Ok(None),
    }
}

async fn by_aor(server: &Server, uri: &Uri<'_>) -> Result<Option<AccountCard>, StoreError> {
    match Aor::new(&uri.user_unescaped(), &server.domain) {
        Ok(aor) if uri.is_sip() => server.auth.directory.by_aor(&aor).await,
        _ => Ok(None),
    }
}

impl Found {
    fn along(flow: Flow, to: Destination) -> Self {
        Self { groups: vec![vec![Branch::along(flow, to)]], ..Self::default() }
    }
}
