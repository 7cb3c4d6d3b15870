//! UDP — RFC 3261 §18.2.1, §18.4 (what cannot be delivered), RFC 3581 §4 (responses leave from where the request came to): several
//! sockets a port, each read by one task, which parses and hands to shards.
//!
//! In    datagrams, with the address of ours that they were sent to; ICMP errors, with the beginning of what they are about.
//! Out   datagrams from the address of ours that the flow names; answers to STUN.
//! State the sockets; the few addresses of this machine that a wildcard listener was reached by.
//! Errors a datagram that a full socket does not take is dropped, as in a net.

use std::io::{IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use dashmap::DashMap;
use nix::errno::Errno;
use nix::libc::{
    SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6, in_addr, in_pktinfo, in6_addr, in6_pktinfo, sock_extended_err,
    sockaddr_in6, timespec,
};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt, sockopt,
};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::accept::canonical;
use super::stun;
use crate::flow::{Flow, Transport};
use crate::inlet::Inlet;
use crate::own::local_ip;

/// All UDP listeners of an endpoint.
#[derive(Default)]
pub(crate) struct Udp {
    listeners: Vec<Listener>,
    /// IPv6 addresses of ours by the number that a flow's id holds of them.
    v6: DashMap<u64, Ipv6Addr>,
}

/// One address, and the sockets that share it.
struct Listener {
    sockets: Vec<Arc<UdpSocket>>,
    local: SocketAddr,
}

impl Udp {
    /// Takes the sockets of one listener in; where they are bound.
    pub(crate) fn push(&mut self, sockets: Vec<UdpSocket>) -> std::io::Result<SocketAddr> {
        let Some(first) = sockets.first() else { return Err(std::io::ErrorKind::NotConnected.into()) };
        let local = first.local_addr()?;
        if local.ip().is_unspecified() {
            for socket in &sockets {
                if local.is_ipv4() {
                    setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?;
                } else {
                    setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?;
                }
            }
        }
        for socket in &sockets {
            setsockopt(socket, sockopt::ReceiveTimestampns, &true)?;
            setsockopt(socket, sockopt::RxqOvfl, &1)?;
            // A socket of IPv6 carries IPv4 too.
            setsockopt(socket, sockopt::Ipv4RecvErr, &true)?;
            if local.is_ipv6() {
                setsockopt(socket, sockopt::Ipv6RecvErr, &true)?;
            }
        }
        self.listeners.push(Listener { sockets: sockets.into_iter().map(Arc::new).collect(), local });
        Ok(local)
    }

    /// Every socket, with the index of its listener.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = (usize, Arc<UdpSocket>)> {
        self.listeners.iter().enumerate().flat_map(|(index, listener)| {
            listener.sockets.iter().map(move |socket| (index, Arc::clone(socket)))
        })
    }

    pub(crate) fn is_open(&self, flow: &Flow) -> bool {
        self.listener(flow.id).is_some()
    }

    /// Sends from the address that the flow names. Without waiting: a full socket is an error.
    pub(crate) fn send(&self, flow: &Flow, bytes: &[u8]) -> bool {
        let Some(listener) = self.listener(flow.id) else { return false };
        // The sockets of a listener look the same from outside; peers spread over them.
        let socket = &listener.sockets[usize::from(flow.remote.port()) % listener.sockets.len()];
        let remote = SockaddrStorage::from(on_socket(flow.remote, listener.local));
        let send = |control: &[ControlMessage]| {
            sendmsg(socket.as_raw_fd(), &[IoSlice::new(bytes)], control, MsgFlags::empty(), Some(&remote))
        };
        let has_own_source = listener.local.ip().is_unspecified() && !flow.local.ip().is_unspecified();
        let sent = || match (has_own_source, on_socket(flow.local, listener.local).ip()) {
            (false, _) => send(&[]),
            (true, IpAddr::V4(ip)) => send(&[ControlMessage::Ipv4PacketInfo(&v4_source(ip))]),
            (true, IpAddr::V6(ip)) => send(&[ControlMessage::Ipv6PacketInfo(&v6_source(ip))]),
        };
        // What went wrong with an earlier datagram, to anybody, is told once in place of sending this one.
        sent().or_else(|error| if error == Errno::EAGAIN { Err(error) } else { sent() }).is_ok()
    }

    /// The flow to an address, from the first listener of its family, or one that takes both.
    pub(crate) fn flow_to(&self, remote: SocketAddr) -> Option<Flow> {
        let takes = |listener: &&(usize, &Listener)| listener.1.local.is_ipv4() == remote.is_ipv4();
        let takes_both = |listener: &&(usize, &Listener)| {
            listener.1.local.ip() == Ipv6Addr::UNSPECIFIED && remote.is_ipv4()
        };
        let all: Vec<_> = self.listeners.iter().enumerate().collect();
        let (index, listener) = all.iter().find(takes).or_else(|| all.iter().find(takes_both))?;
        let ours = listener.local.ip().is_unspecified().then(|| local_ip(remote));
        Some(self.flow_from(*index, ours, remote))
    }

    /// The flow that an id names: a listener, and which address of ours.
    pub(crate) fn flow(&self, id: u64, remote: SocketAddr) -> Option<Flow> {
        let listener = self.listener(id)?;
        let key = id >> LISTENER_BITS;
        let ours = match u32::try_from(key) {
            Ok(0) => None,
            Ok(ip) => Some(Ipv4Addr::from(ip).into()),
            // One that this process was not reached by yet; the system then chooses.
            Err(_) => self.v6.get(&key).map(|ip| IpAddr::V6(*ip)),
        };
        let ours = ours.filter(|_| listener.local.ip().is_unspecified());
        Some(self.flow_from((id & LISTENER_MASK) as usize, ours, remote))
    }

    fn flow_from(&self, index: usize, ours: Option<IpAddr>, remote: SocketAddr) -> Flow {
        let local = self.listeners[index].local;
        let local = ours.map_or(local, |ip| SocketAddr::new(ip, local.port()));
        let id = index as u64 | (ours.map_or(0, |ip| self.key_of(ip)) << LISTENER_BITS);
        Flow { transport: Transport::Udp, id, local, remote }
    }

    /// The number that stands for an address of ours in a flow's id. It is the same in every process: bindings that
    /// name a flow outlive theirs.
    fn key_of(&self, ip: IpAddr) -> u64 {
        match ip {
            IpAddr::V4(ip) => u64::from(u32::from(ip)),
            IpAddr::V6(ip) => {
                let folded = ip.segments().into_iter().fold(0u64, |hash, segment| {
                    (hash ^ u64::from(segment)).wrapping_mul(0x0000_0100_0000_01b3)
                });
                let key = (folded >> (LISTENER_BITS + 1)) | (1 << (63 - LISTENER_BITS));
                if !self.v6.contains_key(&key) && self.v6.len() < MOST_OWN_V6 {
                    self.v6.insert(key, ip);
                }
                key
            }
        }
    }

    fn listener(&self, id: u64) -> Option<&Listener> {
        self.listeners.get((id & LISTENER_MASK) as usize)
    }
}

/// Reads one socket until shutdown.
pub(crate) async fn read(socket: Arc<UdpSocket>, index: usize, inlet: Inlet) {
    let mut buffer = vec![0; LARGEST];
    let mut control = nix::cmsg_space!(in_pktinfo, in6_pktinfo, timespec, u32);
    let mut lost = 0;
    loop {
        let Ok(ready) = socket.ready(Interest::READABLE | Interest::ERROR).await else { return };
        if ready.is_error() {
            hear(&socket, &mut buffer, &inlet);
        }
        let mut is_drained = false;
        for _ in 0..TURN {
            let received = socket.try_io(Interest::READABLE, || receive(&socket, &mut buffer, &mut control));
            match received {
                Ok(Some(received)) => {
                    let flow = inlet.wires.udp.flow_from(index, received.ours, received.remote);
                    let overflows = received.lost.wrapping_sub(lost);
                    lost = received.lost;
                    inlet.wires.metrics.overflows.inc_by(overflows.into());
                    let waited =
                        if overflows == 0 { received.waited } else { received.waited.max(OVERFLOWED) };
                    let came = Instant::now().checked_sub(waited).unwrap_or_else(Instant::now);
                    take(&buffer[..received.length], flow, came, &inlet);
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    is_drained = true;
                    break;
                }
                // An ICMP error of something that was sent; the socket is as good as before.
                Ok(None) | Err(_) => {}
            }
        }
        if !is_drained {
            // Others of this thread have their turn.
            tokio::task::yield_now().await;
        }
    }
}

/// Hears what the net says of datagrams that were sent.
fn hear(socket: &UdpSocket, buffer: &mut [u8], inlet: &Inlet) {
    for _ in 0..TURN {
        match socket.try_io(Interest::ERROR, || receive_error(socket, buffer)) {
            Ok(Some((length, to))) => inlet.take_undelivered(&buffer[..length], to),
            Ok(None) => {}
            Err(_) => return,
        }
    }
}

fn take(datagram: &[u8], flow: Flow, came: Instant, inlet: &Inlet) {
    // Keepalives: a CRLF or two, or a zero byte.
    if datagram.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        return;
    }
    if stun::is_stun(datagram) {
        if let Some(answer) = stun::answer(datagram, flow.remote) {
            inlet.wires.send(flow, answer.into());
        }
        return;
    }
    inlet.take_datagram(Bytes::copy_from_slice(datagram), flow, came);
}

/// A datagram in the buffer.
struct Received {
    length: usize,
    remote: SocketAddr,
    /// The address of ours that it was sent to, on a wildcard listener.
    ours: Option<IpAddr>,
    /// How long it waited in the socket.
    waited: Duration,
    /// Datagrams that the socket has lost so far.
    lost: u32,
}

fn receive(socket: &UdpSocket, buffer: &mut [u8], control: &mut [u8]) -> std::io::Result<Option<Received>> {
    let mut space = [IoSliceMut::new(buffer)];
    let message =
        recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut space, Some(control), MsgFlags::empty())?;
    let (mut ours, mut waited, mut lost) = (None, Duration::ZERO, 0);
    for part in message.cmsgs()? {
        match part {
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                ours = Some(Ipv4Addr::from(u32::from_be(info.ipi_spec_dst.s_addr)).into());
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                ours = Some(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr)).to_canonical());
            }
            // The clock of the wall: one that was set back in between makes it nothing.
            ControlMessageOwned::ScmTimestampns(came) => {
                waited =
                    SystemTime::now().duration_since(UNIX_EPOCH + Duration::from(came)).unwrap_or_default();
            }
            ControlMessageOwned::RxqOvfl(count) => lost = count,
            _ => {}
        }
    }
    let remote = address_of(message.address);
    let length = message.bytes;
    Ok(remote.map(|remote| Received { length, remote: canonical(remote), ours, waited, lost }))
}

fn address_of(address: Option<SockaddrStorage>) -> Option<SocketAddr> {
    let address = address?;
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::V4((*v4).into()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into())))
}

/// The next error: how much of a datagram that was not delivered is in the buffer now, and where it was sent; nothing for any other.
fn receive_error(socket: &UdpSocket, buffer: &mut [u8]) -> std::io::Result<Option<(usize, SocketAddr)>> {
    let mut control =
        nix::cmsg_space!((sock_extended_err, sockaddr_in6), in_pktinfo, in6_pktinfo, timespec, u32);
    let mut space = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_ERRQUEUE;
    let message = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut space, Some(&mut control), flags)?;
    let is_undelivered = |part: ControlMessageOwned| match part {
        ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _) => {
            is_unreachable(&error)
        }
        _ => false,
    };
    let is_undelivered = message.cmsgs()?.any(is_undelivered);
    Ok(address_of(message.address).filter(|_| is_undelivered).map(|to| (message.bytes, canonical(to))))
}

/// RFC 3261 §18.4: host, network, port or protocol unreachable, or a parameter problem. A datagram that was too large goes again in
/// pieces.
fn is_unreachable(error: &sock_extended_err) -> bool {
    match (error.ee_origin, error.ee_type) {
        (SO_EE_ORIGIN_ICMP, 3) => error.ee_code != FRAGMENTATION_NEEDED,
        (SO_EE_ORIGIN_ICMP, 12) | (SO_EE_ORIGIN_ICMP6, 1 | 4) => true,
        _ => false,
    }
}

/// An address as a socket bound to `local` knows it: IPv4 is mapped on an IPv6 socket.
fn on_socket(address: SocketAddr, local: SocketAddr) -> SocketAddr {
    match (address, local) {
        (SocketAddr::V4(v4), SocketAddr::V6(_)) => {
            SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port())
        }
        _ => address,
    }
}

fn v4_source(ip: Ipv4Addr) -> in_pktinfo {
    let source = in_addr { s_addr: u32::from(ip).to_be() };
    in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: source, ipi_addr: in_addr { s_addr: 0 } }
}

fn v6_source(ip: Ipv6Addr) -> in6_pktinfo {
    in6_pktinfo { ipi6_addr: in6_addr { s6_addr: ip.octets() }, ipi6_ifindex: 0 }
}

/// The code of RFC 792 for a datagram that may not be cut.
const FRAGMENTATION_NEEDED: u8 = 4;
/// Bytes of the largest datagram.
const LARGEST: usize = 65_535;
/// Which socket a datagram's flow belongs to.
pub(crate) fn listener_of(flow: &Flow) -> usize {
    (flow.id & LISTENER_MASK) as usize
}

/// A datagram that came while the socket was full counts as having waited so long: with a small buffer, that is how lateness shows.
const OVERFLOWED: Duration = Duration::from_secs(1);
/// Datagrams that are read before others have their turn.
const TURN: usize = 32;
/// Bits of a flow's id that say which listener; those above say which address of ours.
const LISTENER_BITS: u32 = 16;
const LISTENER_MASK: u64 = (1 << LISTENER_BITS) - 1;
/// IPv6 addresses of ours that are remembered.
const MOST_OWN_V6: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_flow_is_found_again_by_its_id() {
        let mut udp = Udp::default();
        let socket = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        udp.push(vec![socket]).unwrap();
        let remote: SocketAddr = "192.0.2.1:5060".parse().unwrap();
        for ours in ["192.0.2.9", "255.255.255.255", "2001:db8::1", "fe80::1"] {
            let flow = udp.flow_from(0, Some(ours.parse().unwrap()), remote);
            assert_eq!(udp.flow(flow.id, remote), Some(flow));
        }
        let unknown = udp.flow(0xffff_ffff_ffff_0000, remote).unwrap();
        assert!(unknown.local.ip().is_unspecified(), "the system chooses");
        assert_eq!(udp.flow(7, remote), None);
    }
}
