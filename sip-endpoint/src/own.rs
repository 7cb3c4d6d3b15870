//! Our own IP addresses, as the system's routing table has them.
//!
//! State what was asked lately, bounded: a server that listens everywhere asks for each message that it sends.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use dashmap::DashMap;

use crate::flow::Flow;

/// Our IP as the peer of a flow sees it.
pub(crate) fn seen_ip(flow: &Flow) -> IpAddr {
    let ip = flow.local.ip().to_canonical();
    if ip.is_unspecified() { local_ip(flow.remote) } else { ip }
}

/// The IP that the system would use towards `remote`.
pub(crate) fn local_ip(remote: SocketAddr) -> IpAddr {
    static KNOWN: LazyLock<Lately<IpAddr>> = LazyLock::new(Lately::new);
    KNOWN.get_or_ask(remote.ip(), || {
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
    })
}

/// Whether the machine has this IP.
pub(crate) fn is_local_ip(ip: IpAddr) -> bool {
    static KNOWN: LazyLock<Lately<bool>> = LazyLock::new(Lately::new);
    KNOWN.get_or_ask(ip, || std::net::UdpSocket::bind((ip, 0)).is_ok())
}

/// What the system said lately of an IP address.
struct Lately<T>(DashMap<IpAddr, (T, Instant)>);

impl<T: Copy> Lately<T> {
    fn new() -> Self {
        Self(DashMap::new())
    }

    fn get_or_ask(&self, ip: IpAddr, ask: impl FnOnce() -> T) -> T {
        let known = self.0.get(&ip).map(|known| *known);
        if let Some((answer, asked)) = known
            && asked.elapsed() < LATELY
        {
            return answer;
        }
        let answer = ask();
        if self.0.len() >= MOST_KNOWN {
            self.0.clear();
        }
        self.0.insert(ip, (answer, Instant::now()));
        answer
    }
}

/// How long an answer holds: addresses and routes of a machine change while it runs.
const LATELY: Duration = Duration::from_secs(10);
/// IP addresses that are remembered.
const MOST_KNOWN: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_is_asked_once_and_what_is_remembered_is_bounded() {
        let (known, asked) = (Lately::new(), std::cell::Cell::new(0));
        let ask = |ip: u32| known.get_or_ask(Ipv4Addr::from(ip).into(), || asked.replace(asked.get() + 1));
        assert_eq!((ask(1), ask(1), ask(2), asked.get()), (0, 0, 1, 2));
        (0..3 * MOST_KNOWN as u32).for_each(|ip| assert!(ask(ip) > 0 || ip == 1));
        assert!(known.0.len() <= MOST_KNOWN);
    }

    #[test]
    fn loopback_is_seen_from_loopback() {
        assert_eq!(local_ip(([127, 0, 0, 1], 9).into()), Ipv4Addr::LOCALHOST);
        assert!(is_local_ip(Ipv4Addr::LOCALHOST.into()) && !is_local_ip(Ipv4Addr::new(192, 0, 2, 1).into()));
    }
}
