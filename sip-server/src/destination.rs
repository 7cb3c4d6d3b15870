//! Where a URI leads — RFC 3261 §16.5: an endpoint of ours, devices of an account, a number, or another domain.
//!
//! In    a Request-URI, or the contact of a redirect, and whether who asks may go elsewhere.
//! Out   branches in groups, and whose devices they are.
//! Errors [`Nowhere`], which says what the caller is answered.

use std::collections::VecDeque;
use std::sync::Arc;

use shared_auth::{AccountCard, Identity};
use shared_model::Aor;
use shared_runtime::unix_millis;
use shared_store::StoreError;
use sip_core::header::Name;
use sip_core::{Message, Uri};
use sip_endpoint::{Flow, ResolveError, Target};

use crate::features::Destination;
use crate::gruu::Device;
use crate::location::{Branch, Devices, Way};
use crate::numbers::{Dialled, Rate, enum_record};
use crate::push::Sleeper;
use crate::routing::unavailable;
use crate::server::Server;
use crate::sips;
use crate::trunks::{self, Trunk};

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
    /// What was dialled, if it leads to the telephone network.
    pub(crate) outside: Option<Outside>,
    /// The number that another domain was found for, if it was dialled.
    pub(crate) number: Option<String>,
}

/// A destination in the telephone network.
#[derive(Debug, Clone)]
pub(crate) struct Outside {
    /// What was dialled.
    pub(crate) dialled: Dialled,
    /// What it is, and costs.
    pub(crate) rate: Rate,
    /// The number of whoever calls, E.164 with its plus.
    pub(crate) number: Option<String>,
}

impl Outside {
    /// Who calls which number, if both are numbers of the telephone network.
    pub(crate) fn numbers(&self) -> Option<(&str, &str)> {
        match &self.dialled {
            Dialled::Number(dialled) => Some((self.number.as_deref()?, dialled)),
            Dialled::Emergency(_) | Dialled::Ours(_) | Dialled::Name => None,
        }
    }
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
    /// TLS is asked for on every hop, and it does not reach that far (RFC 5630 §5.3).
    NotSecure,
    /// Emergency services cannot be reached from here: whoever calls should try another way at once.
    NoEmergency,
    /// The address is a trunk's, where only numbers lead.
    NotByName,
    /// The telephone network takes calls and nothing else.
    CallsOnly,
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
            Self::Offline | Self::NotSecure => (480, ""),
            Self::NoEmergency => (404, "No Emergency Services Here"),
            Self::NotByName => (403, "Dial The Number"),
            Self::CallsOnly => (405, "Calls Only"),
            Self::HostNotFound => (404, "Host Not Found"),
            Self::NoWay => (503, "No Way There"),
            Self::Unreadable => (400, "Bad Route"),
            Self::Store(error) => {
                tracing::error!(%error, "the store does not answer");
                return unavailable(request);
            }
        };
        let mut response = Message::response(request, status, reason);
        if status == 405 {
            response.push(Name::Allow, "INVITE, ACK, CANCEL, BYE");
        }
        if matches!(self, Self::NotSecure) {
            let host = Uri::parse(request.uri()).map_or("", |uri| uri.host);
            response.push_other("Warning", &format!("380 {host} \"SIPS Not Allowed\""));
        }
        Box::new(response)
    }
}

impl From<StoreError> for Nowhere {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The device at a contact that nobody but us can reach, such as a browser's `sip:x@y.invalid`: whoever is transferred there to
/// take another's place in a call (RFC 5589 §7) knows no other name of it, if it has no GRUU. The call has to be one that went by us,
/// and the device one of its party's, of the caller's own domain.
pub(crate) async fn replaced(
    server: &Server,
    request: &Message,
    uri: &Uri<'_>,
    caller: &Identity,
) -> Option<Found> {
    let is_elsewhere = !server.is_our_host(uri) && server.hosted(uri.host).is_none();
    if request.method() != "INVITE" || !uri.is_sip() || uri.is_sips() || !is_elsewhere {
        return None;
    }
    let party = server.dialogs.replaced(request.other_values("Replaces").next()?)?;
    // A store that does not answer costs this way alone.
    let card = server.auth.directory.by_aor(&party).await.ok()?;
    let device = Device::At(request.uri().to_owned());
    match party.domain() == caller.aor.domain() {
        true => at_devices(server, card, Some(&device)).await.ok(),
        false => None,
    }
}

/// Finds where a URI leads. `is_trusted` says whether it may be another domain.
pub(crate) async fn find(server: &Server, uri: &Uri<'_>, is_trusted: bool) -> Result<Found, Nowhere> {
    let mut found = anywhere(server, uri, is_trusted).await?;
    if uri.is_sips() && found.outside.is_none() {
        let secured = |group: Vec<Branch>| group.into_iter().filter_map(sips::secured).collect();
        found.groups =
            found.groups.into_iter().map(secured).filter(|group: &Vec<_>| !group.is_empty()).collect();
        if found.groups.is_empty() && found.asleep.is_empty() {
            return Err(Nowhere::NotSecure);
        }
    }
    Ok(found)
}

async fn anywhere(server: &Server, uri: &Uri<'_>, is_trusted: bool) -> Result<Found, Nowhere> {
    if let Some(flow) = server.hosted(uri.host) {
        return Ok(Found::along(flow, Destination::Trusted));
    }
    if uri.is_sip() && !server.is_our_host(uri) {
        if is_trusted {
            let branch = towards(server, uri, Destination::Foreign).await?;
            return Ok(Found::of(branch));
        }
        return Err(Nowhere::NoRelaying);
    }
    let device = uri.params.has("gr").then(|| server.gruus.read(uri)).flatten();
    if uri.params.has("gr") && device.is_none() {
        // RFC 5627 §5.3: of no device, so not of all.
        return Err(Nowhere::Nobody);
    }
    if let Some(Device::Temporary(account, ..)) = &device {
        let account = server.auth.directory.by_id(*account).await?;
        return at_devices(server, account, device.as_ref()).await;
    }
    by_user(server, uri, device.as_ref(), is_trusted).await
}

/// Whom the user part names: an account, or what the number plan makes of it. Emergency numbers are nobody's name.
async fn by_user(
    server: &Server,
    uri: &Uri<'_>,
    device: Option<&Device>,
    is_trusted: bool,
) -> Result<Found, Nowhere> {
    let dialled = server.plan.read(uri);
    if !matches!(dialled, Dialled::Emergency(_))
        && let Some(account) = by_aor(server, uri).await?
    {
        return at_devices(server, Some(account), device).await;
    }
    match by_number(server, &dialled).await {
        Err(Nowhere::Nobody) if matches!(dialled, Dialled::Number(_) | Dialled::Emergency(_)) => {
            // The telephone network is elsewhere, and there are no strangers sent there.
            if is_trusted { outside(server, dialled).await } else { Err(Nowhere::NoRelaying) }
        }
        found => found,
    }
}

/// An account by its name in a domain, or whom the number means.
pub(crate) async fn by_name(
    server: &Server,
    (name, domain): (&str, &str),
    dialled: Dialled,
) -> Result<Found, Nowhere> {
    if let Ok(aor) = Aor::new(name, domain)
        && let Some(account) = server.auth.directory.by_aor(&aor).await?
    {
        return at_devices(server, Some(account), None).await;
    }
    by_number(server, &dialled).await
}

async fn by_number(server: &Server, dialled: &Dialled) -> Result<Found, Nowhere> {
    match dialled {
        Dialled::Ours(address) => ours(server, address).await,
        Dialled::Number(number) => {
            at_devices(server, server.auth.directory.by_number(number).await?, None).await
        }
        Dialled::Emergency(_) | Dialled::Name => Err(Nowhere::Nobody),
    }
}

/// What the names of the telephone network say of a number (RFC 6116): an address in another domain, or one of ours, and the way there,
/// which costs nothing.
pub(crate) async fn by_enum(server: &Server, number: &str) -> Option<(String, Result<Found, Nowhere>)> {
    let resolver = server.endpoint().resolver();
    for zone in &server.config.numbers.enum_zones {
        // A zone that does not answer is as one that has nothing: the number has its trunks.
        let Ok(records) = resolver.naptr(&enum_record::name_of(number, zone)).await else { continue };
        let Some(address) = enum_record::sip_uri(number, &records) else { continue };
        let Some(uri) = Uri::parse(&address) else { continue };
        if server.is_our_host(&uri) || server.hosted(uri.host).is_some() {
            // By name alone: a zone that sends a number back to us as a number goes round in circles.
            match ours(server, &address).await {
                Err(Nowhere::Nobody) => continue,
                found => return Some((address, found)),
            }
        }
        match towards(server, &uri, Destination::Foreign).await {
            Ok(branch) => {
                let found = Found::of(Branch { uri: Some(address.clone()), ..branch });
                return Some((address, Ok(Found { number: Some(number.to_owned()), ..found })));
            }
            Err(nowhere) => tracing::debug!(?nowhere, zone, "an address of a number leads nowhere"),
        }
    }
    None
}

/// Whom the names of the telephone network say, or else trunks.
async fn outside(server: &Server, dialled: Dialled) -> Result<Found, Nowhere> {
    if let Dialled::Number(number) = &dialled
        && let Some((_, found)) = by_enum(server, number).await
    {
        return found;
    }
    by_trunks(server, dialled).await
}

/// Trunks that take a number, each address of each a way.
pub(crate) async fn by_trunks(server: &Server, dialled: Dialled) -> Result<Found, Nowhere> {
    let endpoint = server.endpoint();
    let trunks = server.trunks.for_number(&dialled, endpoint);
    if trunks.is_empty() {
        let is_emergency = matches!(dialled, Dialled::Emergency(_));
        return Err(if is_emergency { Nowhere::NoEmergency } else { Nowhere::Nobody });
    }
    let mut ways = VecDeque::new();
    for trunk in trunks {
        let mut targets = trunk.targets();
        if targets.is_empty() {
            // The first call after the start may come before names were looked up.
            targets = trunks::look_up(endpoint, &trunk).await.unwrap_or_default().into();
        }
        ways.extend(targets.iter().map(|target| (Arc::clone(&trunk), target.clone())));
    }
    let rate = server.plan.rate(&dialled);
    while let Some((trunk, target)) = ways.pop_front() {
        let Some(branch) = to_trunk(server, &trunk, &target, &dialled) else { continue };
        let others = ways.into_iter().rev().map(|(trunk, target)| Way::Trunk(trunk, target)).collect();
        let found = Found::of(Branch { others, ..branch });
        return Ok(Found { outside: Some(Outside { dialled, rate, number: None }), ..found });
    }
    Err(Nowhere::NoWay)
}

/// The branch of a number to one address of a trunk.
pub(crate) fn to_trunk(
    server: &Server,
    trunk: &Arc<Trunk>,
    target: &Target,
    dialled: &Dialled,
) -> Option<Branch> {
    let flow = server.endpoint().flow_to(target)?;
    let uri = Some(trunk.request_uri(dialled, &server.plan)?);
    Some(Branch { uri, trunk: Some(Arc::clone(trunk)), ..Branch::along(flow, Destination::Foreign) })
}

/// An account or a room that the number plan names.
async fn ours(server: &Server, address: &str) -> Result<Found, Nowhere> {
    let uri = Uri::parse(address).ok_or(Nowhere::Nobody)?;
    if let Some(flow) = server.hosted(uri.host) {
        return Ok(Found::of(Branch {
            uri: Some(address.to_owned()),
            ..Branch::along(flow, Destination::Trusted)
        }));
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
        // RFC 5627 §5.1: a temporary GRUU is no address of ours any more when its registration is over.
        let is_over = match device {
            Some(device @ Device::Temporary(..)) => {
                !server.reach().knows(&callee, device, unix_millis()).await?
            }
            _ => false,
        };
        return Err(if is_over { Nowhere::Nobody } else { Nowhere::Offline });
    }
    let Devices { groups, asleep } = devices;
    Ok(Found { groups, asleep, callee: Some(callee), device: device.cloned(), ..Found::default() })
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
    let is_trunk = |target: &Target| server.trunks.has(target.address);
    if to == Destination::Foreign && targets.iter().any(is_trunk) {
        return Err(Nowhere::NotByName);
    }
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
    match Aor::new(&uri.user_unescaped(), server.domain_of(uri)) {
        Ok(aor) if uri.is_sip() => server.auth.directory.by_aor(&aor).await,
        _ => Ok(None),
    }
}

impl Found {
    /// One branch, which is nobody's device.
    pub(crate) fn of(branch: Branch) -> Self {
        Self { groups: vec![vec![branch]], ..Self::default() }
    }

    fn along(flow: Flow, to: Destination) -> Self {
        Self::of(Branch::along(flow, to))
    }

    /// Whether some of it is elsewhere.
    pub(crate) fn has_foreign(&self) -> bool {
        self.groups.iter().flatten().any(|branch| branch.to == Destination::Foreign)
    }
}
