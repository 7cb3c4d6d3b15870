//! Location — RFC 3261 §16.5, RFC 5626 §7, RFC 5627 §5.3: from an account to where its devices are now.
//!
//! In    an account, or one device of it. Out targets in groups of equal q, most wanted first; a group is rung at once,
//! groups one by one. A device with several flows is one target; its other flows are tried when the first fails.
//! A binding lives with its flow: when the connection is closed the binding is passed over.

use std::sync::Arc;

use shared_auth::AccountCard;
use shared_store::{Binding, Bindings, StoreError};
use sip_endpoint::{Endpoint, Flow, Target};

use crate::features::Destination;
use crate::flow_token;
use crate::gruu::Device;

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
}

/// Another way to a target.
#[derive(Debug, Clone)]
pub(crate) enum Way {
    /// Another address of a server (RFC 3263 §4.3).
    Server(Target),
    /// Another flow of a device (RFC 5626 §7).
    Device(Box<Branch>),
}

impl Branch {
    /// A branch that leaves the Request-URI as it is.
    pub(crate) fn along(flow: Flow, to: Destination) -> Self {
        Self { uri: None, flow, others: Vec::new(), path: Vec::new(), to, callee: None }
    }
}

/// Where bindings are, and which of them can be reached from here.
pub(crate) struct Reach<'a> {
    pub(crate) bindings: &'a Arc<dyn Bindings>,
    pub(crate) endpoint: &'a Endpoint,
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
    ) -> Result<Vec<Vec<Branch>>, StoreError> {
        let bindings = self.bindings.by_aor(&callee.aor, now).await?;
        let meant = bindings.into_iter().filter(|binding| device.is_none_or(|device| device.is(binding)));
        let reachable = meant.filter_map(|binding| Some((self.flow_of(&binding)?, binding))).collect();
        let mut groups: Vec<(u16, Vec<Branch>)> = Vec::new();
        for (q, branch) in one_per_device(reachable, callee) {
            match groups.last_mut() {
                Some((known, group)) if *known == q => group.push(branch),
                _ => groups.push((q, vec![branch])),
            }
        }
        Ok(groups.into_iter().map(|(_, group)| group).collect())
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
