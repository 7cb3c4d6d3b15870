//! Which addresses are ours, as the system sees it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::OnceLock;

use crate::flow::Flow;

/// Our IP as the peer of a flow sees it.
pub(crate) fn seen_ip(flow: &Flow) -> IpAddr {
    let ip = flow.local.ip().to_canonical();
    if ip.is_unspecified() { local_ip(flow.remote) } else { ip }
}

/// The IP that the system would use towards `remote`.
pub(crate) fn local_ip(remote: SocketAddr) -> IpAddr {
    let (any, loopback): (IpAddr, IpAddr) = if remote.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::LOCALHOST.into())
    } else {
        (Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::LOCALHOST.into())
    };
    // Connecting a datagram socket sends nothing; it asks the routing table.
    let asked = std::net::UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect(remote)?;
        socket.local_addr()
    });
    asked.map_or(loopback, |local| local.ip())
}

/// Whether the machine has this IP. Few addresses are ever asked for, and they are remembered.
pub(crate) fn is_local_ip(ip: IpAddr) -> bool {
    static KNOWN: OnceLock<dashmap::DashMap<IpAddr, bool>> = OnceLock::new();
    let known = KNOWN.get_or_init(dashmap::DashMap::new);
    if let Some(answer) = known.get(&ip).map(|answer| *answer) {
        return answer;
    }
    let answer = std::net::UdpSocket::bind((ip, 0)).is_ok();
    if known.len() < MOST_KNOWN_IPS {
        known.insert(ip, answer);
    }
    answer
}

/// IP addresses that are remembered as ours or not.
const MOST_KNOWN_IPS: usize = 1_024;
