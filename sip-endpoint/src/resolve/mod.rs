//! Where a request goes — RFC 3263, RFC 3261 §18.1.1 and §19.1.2 (defaults), RFC 7118 §5.5 (WebSockets).
//!
//! In    a SIP or SIPS URI.
//! Out   targets in the order in which they are tried, at most [`MOST_TARGETS`]; those that failed lately come last.
//! State what the name servers said, for as long as they said; a short list of what failed.
//! Errors [`ResolveError`] tells a name that leads nowhere from name servers that do not answer.
//! Not here: trying the next target, which is the transaction user's (§4.3); SCTP.

mod greylist;
mod locate;
mod order;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use shared_runtime::names::{Names, Naptr};
use sip_core::Uri;
use tokio::time::timeout;

use crate::endpoint::Random;
use crate::flow::Transport;
use greylist::Greylist;

/// A transport and an address, and the name that a certificate must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What carries it.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
    /// The host of the URI, for TLS (RFC 5922 §7.3: the domain that was asked for, not what DNS made of it).
    pub host: String,
}

/// How names are looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naming {
    /// Name servers; none: those of the system.
    pub servers: Vec<SocketAddr>,
    /// Transports in the order in which they are tried where the other side has no wish.
    pub prefer: Vec<Transport>,
}

/// Why a URI leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// Not a SIP URI, or one without a host.
    #[error("not a SIP URI with a host")]
    NotSip,
    /// A transport that we do not have.
    #[error("no such transport here")]
    NoTransport,
    /// The host has no address.
    #[error("the host has no address")]
    NoAddress,
    /// The name servers do not answer; another time they may.
    #[error("the name servers do not answer")]
    Silence,
}

/// Finds targets. Clones share what they know.
#[derive(Clone)]
pub struct Resolver(Arc<Inner>);

struct Inner {
    names: Names,
    prefer: Vec<Transport>,
    greylist: Greylist,
    random: Random,
}

impl Default for Naming {
    fn default() -> Self {
        Self { servers: Vec::new(), prefer: vec![Transport::Tls, Transport::Tcp, Transport::Udp] }
    }
}

impl Resolver {
    pub(crate) fn new(naming: &Naming, random: Random) -> Self {
        let greylist = Greylist::new(GREY);
        Self(Arc::new(Inner {
            names: Names::new(&naming.servers),
            prefer: naming.prefer.clone(),
            greylist,
            random,
        }))
    }

    /// Finds where a URI leads: targets in the order in which they are tried. There is at least one.
    pub async fn targets(&self, uri: &Uri<'_>) -> Result<Vec<Target>, ResolveError> {
        let inner = &self.0;
        // In a box: most URIs need no name server, and whoever asks would carry what these need.
        let looking = Box::pin(locate::locate(&inner.names, uri, &inner.prefer, inner.random));
        let found = timeout(PATIENCE, looking).await.unwrap_or(Err(ResolveError::Silence))?;
        let (mut targets, failed): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|target| !inner.greylist.holds(target));
        targets.extend(failed);
        Ok(targets)
    }

    /// The NAPTR records of a name, in the order in which they are looked at (RFC 3403 §4.1).
    pub async fn naptr(&self, name: &str) -> Result<Vec<Naptr>, ResolveError> {
        let asked = timeout(PATIENCE, self.0.names.naptr(name)).await;
        let mut records = asked.ok().and_then(Result::ok).ok_or(ResolveError::Silence)?;
        records.sort_by_key(|record| (record.order, record.preference));
        Ok(records)
    }

    /// A target did not answer, refused, or answered 503 (RFC 3263 §4.3): for a while it is tried last.
    pub fn failed(&self, target: &Target) {
        self.failed_at(target.transport, target.address);
    }

    /// Whether a target failed lately.
    pub(crate) fn is_failed(&self, target: &Target) -> bool {
        self.0.greylist.holds(target)
    }

    pub(crate) fn failed_at(&self, transport: Transport, address: SocketAddr) {
        self.0.greylist.put(transport, address);
    }
}

/// How long a target that failed is tried last.
const GREY: Duration = Duration::from_secs(30);
/// How long all queries about one URI may take.
const PATIENCE: Duration = Duration::from_secs(8);
/// Targets of one URI.
const MOST_TARGETS: usize = 16;
