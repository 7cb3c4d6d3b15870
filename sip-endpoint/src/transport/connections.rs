//! Every open connection of an endpoint, found at once by what is asked for: its number, its peer, its network.
//!
//! In    connections that come and go; the peer of a new one.
//! Out   a [`Seat`] for a connection that may be, an [`Entry`] for one that is.
//! State one entry a connection in each index; all indexes are sharded maps, and no entry is held while anything waits.
//! Errors [`Refusal`] names the bound that a new connection would break.

use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use dashmap::DashMap;
use shared_runtime::tls::PeerCertificate;
use smallvec::SmallVec;
use tokio::sync::mpsc;

use crate::flow::{Flow, Transport};

/// The index of open connections.
pub(crate) struct Connections {
    entries: DashMap<u64, Entry>,
    by_peer: DashMap<(Transport, SocketAddr), SmallVec<[u64; 1]>>,
    by_network: DashMap<Network, usize>,
    /// Connections that peers opened.
    count: AtomicUsize,
    /// Connections that we opened.
    own: AtomicUsize,
    next: AtomicU64,
    most: usize,
    most_from_network: usize,
    /// What the times of entries count from.
    born: Instant,
}

/// A connection as others see it.
pub(crate) struct Entry {
    pub(crate) flow: Flow,
    pub(crate) outbox: mpsc::Sender<Bytes>,
    /// Whether its peer proved who it is, or we opened it.
    pub(crate) is_trusted: bool,
    /// The host that we called; empty if its peer called us.
    pub(crate) host: Box<str>,
    /// The certificate that its peer showed, verified.
    pub(crate) certificate: Option<Arc<PeerCertificate>>,
    /// Whether that proves people, as one of `tls.client_ca` does.
    pub(crate) is_of_people: bool,
    /// What its peer and we agreed on, where that is TLS of ours: its version and suite.
    pub(crate) protection: Option<(&'static str, &'static str)>,
    /// When something came last, in seconds.
    heard: AtomicU32,
    /// Addresses that its peer listens on, besides the one that it comes from.
    aliases: SmallVec<[SocketAddr; 1]>,
}

impl Entry {
    pub(crate) fn new(flow: Flow, outbox: mpsc::Sender<Bytes>, host: &str) -> Self {
        let is_trusted = !host.is_empty();
        let (heard, aliases) = (AtomicU32::new(0), SmallVec::new());
        let (host, certificate, protection) = (host.into(), None, None);
        let is_of_people = false;
        Self { flow, outbox, is_trusted, host, certificate, is_of_people, protection, heard, aliases }
    }
}

/// Why a connection may not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The endpoint has all that it bears.
    Full,
    /// The peer's network has its share.
    Network,
}

/// The place of one connection among those that are borne; free again when it is dropped.
pub(crate) struct Seat {
    connections: Arc<Connections>,
    network: Option<Network>,
    is_own: bool,
}

/// Who is taken for one peer: an IPv4 /24, an IPv6 /64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Network(IpAddr);

impl Connections {
    pub(crate) fn new(most: usize, most_from_network: usize) -> Self {
        Self {
            entries: DashMap::new(),
            by_peer: DashMap::new(),
            by_network: DashMap::new(),
            count: AtomicUsize::new(0),
            own: AtomicUsize::new(0),
            next: AtomicU64::new(1),
            most,
            most_from_network,
            born: Instant::now(),
        }
    }

    /// A place for a connection that a peer opens.
    pub(crate) fn admit(self: &Arc<Self>, peer: IpAddr) -> Result<Seat, Refusal> {
        if self.count.fetch_add(1, Ordering::Relaxed) >= self.most {
            self.count.fetch_sub(1, Ordering::Relaxed);
            return Err(Refusal::Full);
        }
        // From here on the seat gives back what was taken.
        let mut seat = Seat { connections: Arc::clone(self), network: None, is_own: false };
        let network = Network::of(peer);
        let mut from_there = self.by_network.entry(network).or_insert(0);
        if *from_there >= self.most_from_network {
            drop(from_there);
            return Err(Refusal::Network);
        }
        *from_there += 1;
        drop(from_there);
        seat.network = Some(network);
        Ok(seat)
    }

    /// A place for a connection that we open. These are nobody's share, and are counted apart, so that who fills us up
    /// does not keep us from speaking.
    pub(crate) fn admit_own(self: &Arc<Self>) -> Option<Seat> {
        if self.own.fetch_add(1, Ordering::Relaxed) >= self.most {
            self.own.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Seat { connections: Arc::clone(self), network: None, is_own: true })
    }

    /// A number for a new connection.
    pub(crate) fn next_id(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn enter(&self, entry: Entry) {
        let flow = entry.flow;
        entry.heard.store(self.seconds(), Ordering::Relaxed);
        self.entries.insert(flow.id, entry);
        self.by_peer.entry((flow.transport, flow.remote)).or_default().push(flow.id);
    }

    /// Takes a connection out; its outbox ends with its entry. False if it was out already.
    pub(crate) fn leave(&self, flow: &Flow) -> bool {
        let Some((_, entry)) = self.entries.remove(&flow.id) else { return false };
        for peer in std::iter::once(flow.remote).chain(entry.aliases) {
            let key = (flow.transport, peer);
            if let Some(mut ids) = self.by_peer.get_mut(&key) {
                ids.retain(|id| *id != flow.id);
            }
            self.by_peer.remove_if(&key, |_, ids| ids.is_empty());
        }
        true
    }

    /// The peer of a connection listens on `peer` too: what goes there may go by it (RFC 5923).
    pub(crate) fn alias(&self, flow: &Flow, peer: SocketAddr) {
        let Some(mut entry) = self.entries.get_mut(&flow.id) else { return };
        if peer == flow.remote || entry.aliases.contains(&peer) || entry.aliases.len() >= MOST_ALIASES {
            return;
        }
        entry.aliases.push(peer);
        drop(entry);
        self.by_peer.entry((flow.transport, peer)).or_default().push(flow.id);
        // Had it left meanwhile, nobody would take the alias out again.
        if !self.is_open(flow.id) {
            self.by_peer.remove_if(&(flow.transport, peer), |_, ids| ids[..] == [flow.id]);
        }
    }

    /// What `look` sees of a connection; `None` if it is closed.
    pub(crate) fn with<T>(&self, id: u64, look: impl FnOnce(&Entry) -> T) -> Option<T> {
        self.entries.get(&id).map(|entry| look(&entry))
    }

    /// Changes what is known of a connection.
    pub(crate) fn change(&self, id: u64, change: impl FnOnce(&mut Entry)) {
        if let Some(mut entry) = self.entries.get_mut(&id) {
            change(&mut entry);
        }
    }

    /// Something came by a connection.
    pub(crate) fn heard(&self, id: u64) {
        let now = self.seconds();
        self.with(id, |entry| entry.heard.store(now, Ordering::Relaxed));
    }

    /// How long nothing came by a connection, to the second; `None` if it is closed.
    pub(crate) fn silence(&self, id: u64) -> Option<Duration> {
        let now = self.seconds();
        let heard = self.with(id, |entry| entry.heard.load(Ordering::Relaxed))?;
        Some(Duration::from_secs(now.saturating_sub(heard).into()))
    }

    fn seconds(&self) -> u32 {
        u32::try_from(self.born.elapsed().as_secs()).unwrap_or(u32::MAX)
    }

    pub(crate) fn is_open(&self, id: u64) -> bool {
        self.entries.contains_key(&id)
    }

    /// The newest open connection with a peer that `suits`.
    pub(crate) fn to(
        &self,
        transport: Transport,
        peer: SocketAddr,
        suits: impl Fn(&Entry) -> bool,
    ) -> Option<Flow> {
        let ids = self.by_peer.get(&(transport, peer)).map(|ids| ids.clone())?;
        ids.iter().rev().find_map(|id| self.with(*id, |entry| suits(entry).then_some(entry.flow))?)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let counter = if self.is_own { &self.connections.own } else { &self.connections.count };
        counter.fetch_sub(1, Ordering::Relaxed);
        if let Some(network) = self.network {
            if let Some(mut count) = self.connections.by_network.get_mut(&network) {
                *count -= 1;
            }
            self.connections.by_network.remove_if(&network, |_, count| *count == 0);
        }
    }
}

impl Network {
    fn of(ip: IpAddr) -> Self {
        Self(match ip.to_canonical() {
            IpAddr::V4(ip) => Ipv4Addr::from(u32::from(ip) & !0xff).into(),
            IpAddr::V6(ip) => Ipv6Addr::from(u128::from(ip) & (u128::MAX << 64)).into(),
        })
    }
}

/// Addresses that one connection may stand for.
const MOST_ALIASES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: u64, remote: &str) -> Entry {
        let (outbox, _) = mpsc::channel(1);
        let local = SocketAddr::from(([127, 0, 0, 1], 5060));
        let flow = Flow { transport: Transport::Tcp, id, local, remote: remote.parse().unwrap() };
        Entry::new(flow, outbox, "")
    }

    fn any(_: &Entry) -> bool {
        true
    }

    #[test]
    fn a_network_has_its_share_and_gets_it_back() {
        let connections = Arc::new(Connections::new(3, 2));
        let admit = |ip: &str| connections.admit(ip.parse().unwrap());
        let (one, _two) = (admit("192.0.2.1").unwrap(), admit("192.0.2.200").unwrap());
        assert_eq!(admit("::ffff:192.0.2.7").err(), Some(Refusal::Network), "mapped is the same network");
        let _other = admit("2001:db8::1").unwrap();
        assert_eq!(admit("2001:db8:0:1::1").err(), Some(Refusal::Full));
        drop(one);
        assert!(admit("192.0.2.3").is_ok());
        assert_eq!(connections.by_network.len(), 2, "what is empty is forgotten");
    }

    #[test]
    fn an_ipv6_network_is_a_64() {
        let connections = Arc::new(Connections::new(10, 1));
        let _one = connections.admit("2001:db8::1".parse().unwrap()).unwrap();
        assert!(connections.admit("2001:db8::ffff:1".parse().unwrap()).is_err());
        assert!(connections.admit("2001:db8:0:1::1".parse().unwrap()).is_ok());
    }

    #[test]
    fn the_newest_connection_with_a_peer_is_found_until_it_leaves() {
        let connections = Connections::new(10, 10);
        let peer = "192.0.2.1:5060";
        connections.enter(entry(1, peer));
        connections.enter(entry(2, peer));
        connections.enter(entry(3, "192.0.2.1:5061"));
        let to = |suits: fn(&Entry) -> bool| {
            connections.to(Transport::Tcp, peer.parse().unwrap(), suits).map(|flow| flow.id)
        };
        assert_eq!(to(any), Some(2));
        assert_eq!(to(|entry| entry.flow.id == 1), Some(1));
        assert!(connections.leave(&entry(2, peer).flow));
        assert_eq!(to(any), Some(1));
        assert!(connections.leave(&entry(1, peer).flow) && !connections.leave(&entry(1, peer).flow));
        assert_eq!(to(any), None);
        assert_eq!(connections.by_peer.len(), 1);
    }

    #[test]
    fn an_alias_leads_to_its_connection_and_ends_with_it() {
        let connections = Connections::new(10, 10);
        let (of, other) = (entry(1, "192.0.2.1:40000"), entry(2, "192.0.2.2:40000"));
        let flow = of.flow;
        connections.enter(of);
        connections.enter(other);
        for port in [5061, 5061, 5062, 5063, 5064, 5065] {
            connections.alias(&flow, SocketAddr::new(flow.remote.ip(), port));
        }
        let to = |peer: &str| connections.to(Transport::Tcp, peer.parse().unwrap(), any);
        assert_eq!(to("192.0.2.1:5061"), Some(flow));
        assert_eq!(to("192.0.2.1:5065"), None, "a connection stands for so many addresses");
        connections.leave(&flow);
        assert_eq!((to("192.0.2.1:5061"), connections.by_peer.len()), (None, 1));
    }
}
