//! Where devices of ours register from — so that who calls from there without a name is asked who they are (RFC 3323 §4.1.1.3 and §4.2,
//! RFC 3325 §5: a proxy authenticates whom it speaks for).
//!
//! In    a registration, unless it came through an edge proxy, which others call by, too. Out whose device is at the end of a flow.
//! State one entry for each address, until the registration ends; at most [`MOST`], and none after a restart: what is not known
//! here calls as a stranger, and is asked where strangers may not go.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use dashmap::DashMap;
use shared_model::Aor;
use sip_endpoint::Flow;

/// Devices by where they are, and over what.
#[derive(Default)]
pub(crate) struct Tenants(DashMap<(bool, SocketAddr), (Aor, Instant)>);

impl Tenants {
    /// A device of this account registered.
    pub(crate) fn bind(&self, flow: &Flow, aor: &Aor, lifetime: Duration, now: Instant) {
        if self.0.len() < MOST {
            self.0.insert(key(flow), (aor.clone(), now + lifetime));
        }
    }

    /// Whose device is there.
    pub(crate) fn at(&self, flow: &Flow, now: Instant) -> Option<Aor> {
        let found = self.0.get(&key(flow))?;
        (found.1 > now).then(|| found.0.clone())
    }

    /// Forgets whose time is over.
    pub(crate) fn forget_old(&self, now: Instant) {
        self.0.retain(|_, (_, until)| *until > now);
    }
}

fn key(flow: &Flow) -> (bool, SocketAddr) {
    (flow.transport.is_stream(), flow.remote)
}

/// Some 100 bytes each.
const MOST: usize = 200_000;

#[cfg(test)]
mod tests {
    use sip_endpoint::Transport;

    use super::*;

    #[test]
    fn a_device_is_there_until_its_registration_ends() {
        let (tenants, aor, now) =
            (Tenants::default(), Aor::new("bob", "example.org").unwrap(), Instant::now());
        let nowhere = ([127, 0, 0, 1], 1).into();
        let udp = Flow { transport: Transport::Udp, id: 0, local: nowhere, remote: nowhere };
        tenants.bind(&udp, &aor, Duration::from_secs(60), now);
        assert_eq!(tenants.at(&udp, now), Some(aor));
        assert_eq!(tenants.at(&Flow { transport: Transport::Tcp, ..udp }, now), None);
        assert_eq!(tenants.at(&udp, now + Duration::from_secs(60)), None);
        tenants.forget_old(now + Duration::from_secs(60));
        assert!(tenants.0.is_empty());
    }
}
