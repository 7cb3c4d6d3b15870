//! Location — RFC 3261 §16.5, RFC 5626 §7, RFC 5627 §5.3: from an account to where its devices are now.
//!
//! In    an account, or one device of it. Out targets in groups of equal q, most wanted first; a group is rung at once,
//! groups one by one. A device with several flows is one target; its other flows are tried when the first fails.
//! A binding lives with its flow: when the connection is closed the binding is passed over, or its device is woken if it
//! has a push service (RFC 8599); behind an edge proxy it lives on, and the way leads where the Path says. One that may sleep on an open connection is rung and woken; over UDP nobody knows, and
//! it is woken first.

use std::sync::Arc;
use std::time::Duration;

use shared_auth::AccountCard;
use shared_store::{Binding, Bindings, StoreError};
use sip_core::Uri;
use sip_core::header::{NameAddr, Params};
use sip_endpoint::{Endpoint, Flow, Target, Transport};

use crate::features::Destination;
use crate::features::history_info::Station;
use crate::flow_token;
use crate::gruu::Device;
use crate::push::{PushTarget, Pushes, Sleeper};
use crate::trunks::Trunk;

/// Where one branch goes.
#[derive(Debug, Clone)]
pub(crate) struct Branch {
    /// The Request-URI; `None` leaves it as it is.
    pub(crate) uri: Option<String>,
    /// The way.
    pub(crate) flow: Flow,
    /// Other ways to the same target, tried when this one fails, the next one last.
    pub(crate) others: Vec<Way>,
    /// The Path of the binding (RFC 3327), topmost first.
    pub(crate) path: Vec<String>,
    /// Who gets it.
    pub(crate) to: Destination,
    /// Whose device that is.
    pub(crate) callee: Option<Arc<AccountCard>>,
    /// What it says that it can: the parameters of its Contact (RFC 3840).
    pub(crate) features: String,
    /// The trunk that it leads to, if it leads to one.
    pub(crate) trunk: Option<Arc<Trunk>>,
    /// How much higher the CSeq is there than that of who sent the request.
    pub(crate) ahead: u32,
    /// The URIs that led here, and last what the callee is called by; nothing if the Request-URI is.
    pub(crate) history: Vec<Station>,
}

/// Another way to a target.
#[derive(Debug, Clone)]
pub(crate) enum Way {
    /// Another address of a server (RFC 3263 §4.3).
    Server(Target),
    /// Another flow of a device (RFC 5626 §7).
    Device(Box<Branch>),
    /// Another address of a trunk, or another trunk.
    Trunk(Arc<Trunk>, Target),
}

impl Branch {
    /// A branch that leaves the Request-URI as it is.
    pub(crate) fn along(flow: Flow, to: Destination) -> Self {
        let (path, others, history) = (Vec::new(), Vec::new(), Vec::new());
        let features = String::new();
        Self { uri: None, flow, others, path, to, callee: None, features, trunk: None, ahead: 0, history }
    }

    /// Whether two contacts are of one instance (RFC 5626 §4.1), wherever it is now.
    pub(crate) fn is_same_device(&self, other: &Self) -> bool {
        let instance = |branch: &Self| Params(&branch.features).value("+sip.instance").map(str::to_owned);
        instance(self).is_some() && instance(self) == instance(other)
    }

    /// The ways to a device, each without the others.
    pub(crate) fn ways(mut self) -> impl Iterator<Item = Self> {
        let others = std::mem::take(&mut self.others);
        let others = others.into_iter().rev().filter_map(|way| match way {
            Way::Device(device) => Some(*device),
            Way::Server(_) | Way::Trunk(..) => None,
        });
        std::iter::once(self).chain(others)
    }

    /// The same way for a request inside a dialog, which has its target and its route already.
    pub(crate) fn within_dialog(self) -> Self {
        Self { uri: None, path: Vec::new(), ..self }
    }
}

/// The devices of an account.
#[derive(Debug, Default)]
pub(crate) struct Devices {
    /// Those that can be reached now, in groups of equal q, most wanted first.
    pub(crate) groups: Vec<Vec<Branch>>,
    /// Those that may sleep, and can be woken.
    pub(crate) asleep: Vec<Sleeper>,
}

impl Devices {
    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.asleep.is_empty()
    }
}

/// Where bindings are, and which of them can be reached from here.
pub(crate) struct Reach<'a> {
    pub(crate) bindings: &'a Arc<dyn Bindings>,
    pub(crate) endpoint: &'a Endpoint,
    /// Who wakes devices, if anybody does.
    pub(crate) push: Option<&'a Pushes>,
    /// Names this process among those that write bindings.
    pub(crate) node: &'a str,
}

impl Reach<'_> {
    /// Finds the reachable devices of an account, or one of them.
    pub(crate) async fn find(
        &self,
        callee: &Arc<AccountCard>,
        device: Option<&Device>,
        now: i64,
    ) -> Result<Devices, StoreError> {
        let bindings = self.bindings.by_aor(&callee.aor, now).await?;
        let meant = bindings.into_iter().filter(|binding| device.is_none_or(|device| device.is(binding)));
        let (mut reachable, mut asleep, mut awake) = (Vec::new(), Vec::new(), Vec::new());
        for binding in meant {
            let flow = match self.flow_of(&binding) {
                None if binding.path.is_empty() => flow_to_listener(self.endpoint, &binding),
                None => flow_to_edge(self.endpoint, &binding).await,
                open => open,
            };
            let target = self.push.and_then(|_| PushTarget::of(&binding.contact));
            let is_reached = match (&flow, target) {
                (None, None) => false,
                (Some(_), None) => true,
                (Some(flow), Some(_)) if self.is_awake(&binding, flow, now) => {
                    awake.push(binding.instance.clone());
                    true
                }
                (flow, Some(target)) => {
                    let (key, features) = (binding.key.clone(), binding.parameters.clone());
                    asleep.push((binding.instance.clone(), Sleeper { key, target, features }));
                    flow.is_some_and(|flow| flow.transport.is_stream())
                }
            };
            reachable.extend(flow.filter(|_| is_reached).map(|flow| (flow, binding)));
        }
        // A device that one of its flows shows awake needs no push for another.
        asleep.retain(|(instance, _)| instance.is_empty() || !awake.contains(instance));
        let mut groups: Vec<(u16, Vec<Branch>)> = Vec::new();
        for (q, branch) in one_per_device(reachable, callee) {
            match groups.last_mut() {
                Some((known, group)) if *known == q => group.push(branch),
                _ => groups.push((q, vec![branch])),
            }
        }
        let groups = groups.into_iter().map(|(_, group)| group).collect();
        Ok(Devices { groups, asleep: asleep.into_iter().map(|(_, sleeper)| sleeper).collect() })
    }

    /// Whether a device is registered, be it that it cannot be reached.
    pub(crate) async fn knows(
        &self,
        callee: &AccountCard,
        device: &Device,
        now: i64,
    ) -> Result<bool, StoreError> {
        let bindings = self.bindings.by_aor(&callee.aor, now).await?;
        Ok(bindings.iter().any(|binding| device.is(binding)))
    }

    /// Whether a device that can be woken need not be: it registered just now, or something came by its connection.
    fn is_awake(&self, binding: &Binding, flow: &Flow, now: i64) -> bool {
        let since = u64::try_from(now - binding.updated).unwrap_or(0);
        let registered = Some(Duration::from_millis(since));
        let silence = self.endpoint.silence(flow).into_iter().chain(registered).min();
        self.push.zip(silence).is_none_or(|(push, silence)| !push.may_sleep(silence))
    }

    /// The flow of a binding, if it still leads to the device. Connections end with their process; datagrams do not.
    fn flow_of(&self, binding: &Binding) -> Option<Flow> {
        let is_datagram = binding.flow.starts_with('u');
        if !is_datagram && binding.node != self.node {
            return None;
        }
        flow_token::parse(&binding.flow, self.endpoint)
    }
}

/// The way to the edge proxy that a binding came through, when its connection is gone: it listens where its Path says (RFC 3327
/// §5.2). Only at the address that the REGISTER came from: nobody is sent elsewhere by what a device says of its path.
async fn flow_to_edge(endpoint: &Endpoint, binding: &Binding) -> Option<Flow> {
    let uri = Uri::parse(NameAddr::parse(binding.path.first()?)?.uri)?;
    let source = binding.received?.ip().to_canonical();
    let targets = endpoint.resolver().targets(&uri).await.ok()?;
    let edge = targets.iter().find(|target| target.address.ip().to_canonical() == source)?;
    endpoint.flow_to(edge)
}

/// The way to a device that registered by UDP and wants to be called by TCP.
fn flow_to_listener(endpoint: &Endpoint, binding: &Binding) -> Option<Flow> {
    let address = flow_token::called_up(&binding.flow)?;
    endpoint.flow_to(&Target { transport: Transport::Tcp, address, host: address.ip().to_string() })
}

/// A device, and the ways to it with the time of their last refresh.
struct Found {
    instance: String,
    q: u16,
    ways: Vec<(i64, Branch)>,
}

/// RFC 5626 §7: never two contacts of one instance at once. The binding that was refreshed last is first.
fn one_per_device(reachable: Vec<(Flow, Binding)>, callee: &Arc<AccountCard>) -> Vec<(u16, Branch)> {
    let mut devices: Vec<Found> = Vec::new();
    for (flow, binding) in reachable {
        let branch = Branch {
            uri: Some(binding.contact),
            path: binding.path,
            features: binding.parameters,
            callee: Some(Arc::clone(callee)),
            ..Branch::along(flow, Destination::Device)
        };
        let way = (binding.updated, branch);
        let is_same = |found: &&mut Found| !found.instance.is_empty() && found.instance == binding.instance;
        match devices.iter_mut().find(is_same) {
            Some(same) => same.ways.push(way),
            None => devices.push(Found { instance: binding.instance, q: binding.q, ways: vec![way] }),
        }
    }
    devices.into_iter().filter_map(Found::into_first).collect()
}

impl Found {
    /// The best way, with the others behind it.
    fn into_first(mut self) -> Option<(u16, Branch)> {
        self.ways.sort_by_key(|(updated, _)| *updated);
        let (_, mut first) = self.ways.pop()?;
        first.others = self.ways.into_iter().map(|(_, branch)| Way::Device(Box::new(branch))).collect();
        Some((self.q, first))
    }
}
