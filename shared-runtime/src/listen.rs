//! Binding sockets, with errors that name the listener.

use std::net::{IpAddr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UdpSocket};

/// A listener could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("{listener}: cannot listen on {address}: {reason}")]
pub struct ListenError {
    /// The configuration key, such as `sip.udp`.
    pub listener: &'static str,
    /// The address that was asked for.
    pub address: SocketAddr,
    /// What the system said.
    pub reason: std::io::Error,
}

/// What an IPv6 wildcard takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stack {
    /// IPv4 as well.
    Dual,
    /// IPv6 alone.
    OnlyV6,
}

impl Stack {
    /// What `address` takes beside its neighbours: `[::]` takes IPv4 too, unless `0.0.0.0` has that port already.
    pub fn beside(address: SocketAddr, neighbours: &[SocketAddr]) -> Self {
        let has_v4 = neighbours
            .iter()
            .any(|other| other.is_ipv4() && other.ip().is_unspecified() && other.port() == address.port());
        if has_v4 { Self::OnlyV6 } else { Self::Dual }
    }
}

/// Binds the TCP listeners of the configuration key `listener`, in their order. Port 0 takes a free port.
pub fn tcp(listener: &'static str, addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, ListenError> {
    addresses.iter().map(|address| tcp_on(listener, *address, Stack::beside(*address, addresses))).collect()
}

fn tcp_on(listener: &'static str, address: SocketAddr, stack: Stack) -> Result<TcpListener, ListenError> {
    let bind = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // Connections of a former process that linger do not hold the port.
        socket.set_reuse_address(true)?;
        choose(&socket, address, stack)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        TcpListener::from_std(socket.into())
    };
    bind().map_err(|reason| ListenError { listener, address, reason })
}

/// Binds a UDP socket for the configuration key `listener`. Port 0 takes a free port.
pub async fn udp(listener: &'static str, address: SocketAddr) -> Result<UdpSocket, ListenError> {
    UdpSocket::bind(address).await.map_err(|reason| ListenError { listener, address, reason })
}

/// Where a path takes less than the first link, and the message that says so is filtered, a datagram that may not be cut into fragments is
/// lost, each time that it is sent (RFC 8085 §3.2). A system that knows no such choice does what it does.
fn may_be_cut(socket: &Socket) {
    use rustix::net::sockopt::{
        Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
    };
    let _ = set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::DONT);
    let _ = set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::DONT);
}

/// Binds `count` UDP sockets to one address; the system divides peers among them. Port 0 takes a free port for all.
/// The address is nobody else's: what another process holds is an error. A system that cannot divide gives one socket.
pub fn udp_group(
    listener: &'static str,
    address: SocketAddr,
    stack: Stack,
    count: usize,
) -> Result<Vec<UdpSocket>, ListenError> {
    let bind = |address: SocketAddr, is_first: bool| -> std::io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        choose(&socket, address, stack)?;
        // The first claims the address as if alone, and shares it once it is ours.
        if !is_first {
            socket.set_reuse_port(true)?;
        }
        socket.bind(&address.into())?;
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        may_be_cut(&socket);
        // The system may allow less, which then is what there is.
        let _ = socket.set_recv_buffer_size(UDP_BUFFER);
        let _ = socket.set_send_buffer_size(UDP_BUFFER);
        Ok(socket)
    };
    let group = || -> std::io::Result<Vec<UdpSocket>> {
        let first = bind(address, true)?;
        let bound = first.local_addr()?.as_socket().unwrap_or(address);
        let others = (1..count).map_while(|_| bind(bound, false).ok());
        std::iter::once(first).chain(others).map(|socket| UdpSocket::from_std(socket.into())).collect()
    };
    group().map_err(|reason| ListenError { listener, address, reason })
}

/// Whether this machine has an address, so that something can listen on it.
pub fn has(ip: IpAddr) -> bool {
    std::net::UdpSocket::bind((ip, 0)).is_ok()
}

/// The addresses of this machine: those of its interfaces, and those that it speaks to others from as its routes say. Nothing is sent.
pub fn own_addresses() -> Vec<IpAddr> {
    // Where the system does not tell of interfaces, its routes remain.
    let interfaces = nix::ifaddrs::getifaddrs().into_iter().flatten();
    let address = |interface: nix::ifaddrs::InterfaceAddress| {
        let address = interface.address?;
        let four = address.as_sockaddr_in().map(|four| IpAddr::V4(four.ip()));
        four.or_else(|| address.as_sockaddr_in6().map(|six| IpAddr::V6(six.ip())))
    };
    let interfaces = interfaces.filter_map(address).filter(|ip| !ip.is_loopback());
    // To addresses that nobody has (RFC 5737, RFC 3849): no more than a look at the routes.
    let routes = [("0.0.0.0:0", "203.0.113.1:9"), ("[::]:0", "[2001:db8::1]:9")];
    let spoken_from = |(any, other): (&str, &str)| {
        let socket = std::net::UdpSocket::bind(any).ok()?;
        socket.connect(other).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    let routes = routes.into_iter().filter_map(spoken_from).filter(|ip| !ip.is_unspecified());
    let mut all: Vec<IpAddr> = interfaces.chain(routes).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn choose(socket: &Socket, address: SocketAddr, stack: Stack) -> std::io::Result<()> {
    if address.is_ipv6() { socket.set_only_v6(stack == Stack::OnlyV6) } else { Ok(()) }
}

/// Connections that wait to be accepted.
const BACKLOG: i32 = 4_096;
/// Bytes that wait in a UDP socket, each way.
const UDP_BUFFER: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[tokio::test]
    async fn a_taken_port_is_named_with_its_listener() {
        let first = tcp("sip.tcp", &[loopback(0)]).unwrap();
        let taken = first[0].local_addr().unwrap();
        let text = tcp("xmpp.c2s", &[taken]).unwrap_err().to_string();
        assert!(text.starts_with(&format!("xmpp.c2s: cannot listen on {taken}: ")), "{text}");
    }

    #[tokio::test]
    async fn a_group_shares_one_port_among_its_sockets_and_with_nobody_else() {
        let group = udp_group("sip.udp", loopback(0), Stack::Dual, 3).unwrap();
        let address = group[0].local_addr().unwrap();
        assert_eq!(group.len(), 3);
        assert!(group.iter().all(|socket| socket.local_addr().unwrap() == address));
        assert!(udp_group("sip.udp", address, Stack::Dual, 1).is_err(), "a second group took the port");
        // Many peers reach more than one of the sockets.
        for _ in 0..64 {
            UdpSocket::bind(loopback(0)).await.unwrap().send_to(b"x", address).await.unwrap();
        }
        let mut counts = [0; 3];
        for (socket, count) in group.iter().zip(&mut counts) {
            // An error is told by the receive below.
            let _ = socket.readable().await;
            while socket.try_recv(&mut [0; 8]).is_ok() {
                *count += 1;
            }
        }
        assert_eq!(counts.iter().sum::<i32>(), 64);
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    }

    #[test]
    fn what_a_machine_speaks_from_it_has() {
        // One of IPv6 that is of its link alone is bound with the link's name.
        let is_of_link = |ip: &IpAddr| matches!(ip, IpAddr::V6(six) if six.is_unicast_link_local());
        let all = own_addresses().into_iter().filter(|ip| !is_of_link(ip));
        assert!(all.chain([[127, 0, 0, 1].into()]).all(has));
    }

    #[test]
    fn an_address_that_no_route_leads_from_is_the_machines_own_too() {
        let own = own_addresses();
        for address in nix::ifaddrs::getifaddrs().unwrap().filter_map(|interface| interface.address) {
            let four = address.as_sockaddr_in().map(|four| IpAddr::from(four.ip()));
            let ip = four.or_else(|| address.as_sockaddr_in6().map(|six| IpAddr::from(six.ip())));
            assert!(ip.is_none_or(|ip| ip.is_loopback() || own.contains(&ip)), "{ip:?}: {own:?}");
        }
    }

    #[tokio::test]
    async fn a_datagram_may_be_cut_on_its_way() {
        use rustix::net::sockopt::{
            Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, ip_mtu_discover, ipv6_mtu_discover,
        };
        let [four, six] = ["127.0.0.1:0", "[::1]:0"].map(|address| {
            let group = udp_group("sip.udp", address.parse().unwrap(), Stack::Dual, 1);
            group.unwrap().pop().unwrap()
        });
        assert_eq!(ip_mtu_discover(&four), Ok(Ipv4PathMtuDiscovery::DONT));
        assert_eq!(ip_mtu_discover(&six), Ok(Ipv4PathMtuDiscovery::DONT), "it may speak to both");
        assert_eq!(ipv6_mtu_discover(&six), Ok(Ipv6PathMtuDiscovery::DONT));
    }

    #[tokio::test]
    async fn both_wildcards_of_one_port_are_listened_on_in_either_order() {
        for order in [["0.0.0.0", "::"], ["::", "0.0.0.0"]] {
            let free = tcp("xmpp.c2s", &[SocketAddr::new("::".parse().unwrap(), 0)]).unwrap();
            let port = free[0].local_addr().unwrap().port();
            drop(free);
            let both = order.map(|ip| SocketAddr::new(ip.parse().unwrap(), port));
            let bound = tcp("xmpp.c2s", &both).unwrap();
            assert!(bound.iter().map(|one| one.local_addr().unwrap()).eq(both));
            let six = tcp("xmpp.c2s", &[both[0]]).unwrap_err();
            assert_eq!(six.reason.kind(), std::io::ErrorKind::AddrInUse);
        }
    }

    #[test]
    fn an_ipv6_wildcard_leaves_ipv4_to_its_neighbour() {
        let (v4, v6): (SocketAddr, SocketAddr) =
            ("0.0.0.0:5060".parse().unwrap(), "[::]:5060".parse().unwrap());
        assert_eq!(Stack::beside(v6, &[v6]), Stack::Dual);
        assert_eq!(Stack::beside(v6, &[v4, v6]), Stack::OnlyV6);
        assert_eq!(Stack::beside(v6, &["0.0.0.0:5062".parse().unwrap(), v6]), Stack::Dual);
    }
}
