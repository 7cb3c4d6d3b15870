//! Location — RFC 3261 §16.5: from an address of record to where its devices are now.
//!
//! In    an account. Out targets in groups of equal q, most wanted first; a group is rung at once, groups one by one.
//! A binding lives with its flow: when the connection is closed the binding is passed over.

use std::sync::Arc;

use shared_auth::AccountCard;
use shared_store::{Binding, Bindings, StoreError};
use sip_endpoint::{Endpoint, Flow, Target};

use crate::features::Destination;
use crate::flow_token;

/// Where one branch goes.
#[derive(Debug, Clone)]
pub(crate) struct Branch {
    /// The Request-URI; `None` leaves it as it is.
    pub(crate) uri: Option<String>,
    /// The way.
    pub(crate) flow: Flow,
    /// Other ways to the same target, tried when this one fails (RFC 3263 §4.3).
    pub(crate) others: Vec<Target>,
    /// The Path of the binding (RFC 3327), topmost first.
    pub(crate) path: Vec<String>,
    /// Who gets it.
    pub(crate) to: Destination,
    /// Whose device that is.
    pub(crate) callee: Option<Arc<AccountCard>>,
}

impl Branch {
    /// A branch that leaves the Request-URI as it is.
    pub(crate) fn along(flow: Flow, to: Destination) -> Self {
        Self { uri: None, flow, others: Vec::new(), path: Vec::new(), to, callee: None }
    }
}

/// Finds the reachable devices of an account.
pub(crate) async fn find(
    bindings: &Arc<dyn Bindings>,
    endpoint: &Endpoint,
    node: &str,
    callee: &Arc<AccountCard>,
    now: i64,
) -> Result<Vec<Vec<Branch>>, StoreError> {
    let mut groups: Vec<(u16, Vec<Branch>)> = Vec::new();
    for binding in bindings.by_aor(&callee.aor, now).await? {
        let Some(flow) = flow_of(&binding, endpoint, node) else { continue };
        let branch = Branch {
            uri: Some(binding.contact),
            path: binding.path,
            callee: Some(Arc::clone(callee)),
            ..Branch::along(flow, Destination::Device)
        };
        match groups.last_mut() {
            Some((q, group)) if *q == binding.q => group.push(branch),
            _ => groups.push((binding.q, vec![branch])),
        }
    }
    Ok(groups.into_iter().map(|(_, group)| group).collect())
}

/// The flow of a binding, if it still leads to the device. Connections end with their process; datagrams do not.
fn flow_of(binding: &Binding, endpoint: &Endpoint, node: &str) -> Option<Flow> {
    let is_datagram = binding.flow.starts_with('u');
    if !is_datagram && binding.node != node {
        return None;
    }
    flow_token::parse(&binding.flow, endpoint)
}
