//! A binding lives with its flow — RFC 5626 §4.2, §5.3: when a connection closes, what was bound over it is suspended.
//!
//! In    an AOR that was bound over a flow; a flow that is lost.
//! Out   one `BindingEvent::Suspended` for each binding that cannot be reached any more.
//! State for each open connection the AORs that were bound over it.
//! Errors a store that does not answer costs the facts alone: calls ask the endpoint whether a flow is open
//! ([`crate::location`]), not this.
//! Not here: datagrams, which have no end; what a device is when it registers again, which is `Bound`.

use std::collections::HashSet;

use dashmap::DashMap;
use shared_model::{Aor, BindingEvent};
use shared_runtime::unix_millis;
use shared_store::Binding;
use sip_endpoint::{Flow, Transport};

use crate::flow_token;
use crate::push::without_push;
use crate::server::Server;

/// Which AORs live with which connection.
#[derive(Default)]
pub(crate) struct Suspension(DashMap<u64, HashSet<Aor>>);

impl Suspension {
    /// Something is about to be bound over a flow.
    pub(crate) fn bind(&self, flow: &Flow, aor: &Aor) {
        if flow.transport.is_stream() {
            self.0.entry(flow.id).or_default().insert(aor.clone());
        }
    }

    /// A flow is lost: the AORs that lived with it.
    fn take(&self, flow: &Flow) -> HashSet<Aor> {
        self.0.remove(&flow.id).map(|(_, aors)| aors).unwrap_or_default()
    }
}

/// Tells of every binding that lived with a lost flow.
pub(crate) async fn suspend(server: &Server, flow: &Flow) {
    let name = flow_token::name(flow);
    for aor in server.suspension.take(flow) {
        let bindings = match server.store.bindings.by_aor(&aor, unix_millis()).await {
            Ok(bindings) => bindings,
            Err(error) => {
                tracing::warn!(%error, "bindings that lost their connection were not told");
                continue;
            }
        };
        // An edge proxy listens where its Path says.
        let is_lost = |binding: &Binding| {
            binding.flow == name && binding.node == server.node && binding.path.is_empty()
        };
        for binding in bindings.into_iter().filter(is_lost) {
            let (account, contact) = (binding.account, without_push(&binding.contact));
            let event = BindingEvent::Suspended { account, aor: aor.clone(), contact };
            server.facts.binding(&binding.call_id, event);
        }
    }
}

/// A REGISTER was carried out: if its connection closed meanwhile, nobody else tells.
pub(crate) async fn check(server: &Server, flow: &Flow) {
    if flow.transport != Transport::Udp && !server.endpoint().is_open(flow) {
        suspend(server, flow).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_has_its_tenants_once_and_a_datagram_none() {
        let (suspension, aor) = (Suspension::default(), Aor::new("bob", "example.org").unwrap());
        let nowhere = ([127, 0, 0, 1], 1).into();
        let tcp = Flow { transport: Transport::Tcp, id: 7, local: nowhere, remote: nowhere };
        let udp = Flow { transport: Transport::Udp, ..tcp };
        suspension.bind(&udp, &aor);
        assert!(suspension.take(&tcp).is_empty());
        suspension.bind(&tcp, &aor);
        suspension.bind(&tcp, &aor);
        assert_eq!((suspension.take(&tcp).len(), suspension.take(&tcp).len()), (1, 0));
    }
}
