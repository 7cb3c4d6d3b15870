//! Ports for RTP: even for RTP, the odd one after it for RTCP (RFC 3550 §11), from a configured range.

use std::io::ErrorKind::{AddrInUse, PermissionDenied};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};

/// The range `[conference] rtp_ports`, handed out round robin. The system knows which are taken.
#[derive(Debug)]
pub struct Ports {
    first: u16,
    pairs: u32,
    next: AtomicU32,
}

/// A pair of sockets, RTP and RTCP, that do not block.
#[derive(Debug)]
pub struct PortPair {
    /// On an even port.
    pub rtp: UdpSocket,
    /// On the port after it.
    pub rtcp: UdpSocket,
}

/// Why there is no pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PortsError {
    /// `rtp_ports` is not `first-last` with room for a pair.
    #[error(
        "rtp_ports is written first-last, such as \"20000-29999\", and holds at least one even and odd pair"
    )]
    NotARange,
    /// Media cannot be bound on the address.
    #[error("conference.media: no port can be bound on {0}: {1}")]
    NotOurs(std::net::IpAddr, std::io::ErrorKind),
    /// The port of browsers cannot be bound.
    #[error("conference.media: cannot listen on {0}: {1}")]
    Taken(std::net::SocketAddr, std::io::ErrorKind),
    /// The mixer, or who makes keys, has no thread.
    #[error("no thread for sound: {0}")]
    NoThread(std::io::ErrorKind),
    /// Every pair was tried and is taken.
    #[error("every RTP port of the range is taken")]
    AllTaken,
    /// The system gives no socket, whatever its port: as where all files are in use.
    #[error("the system gives no socket: {}", std::io::Error::from_raw_os_error(*.0))]
    NoSocket(i32),
}

impl FromStr for Ports {
    type Err = PortsError;

    fn from_str(text: &str) -> Result<Self, PortsError> {
        let (first, last) = text.split_once('-').ok_or(PortsError::NotARange)?;
        let parse = |port: &str| port.trim().parse::<u16>().map_err(|_| PortsError::NotARange);
        let (first, last) = (parse(first)?, parse(last)?);
        let first = first.checked_add(first % 2).ok_or(PortsError::NotARange)?;
        if first == 0 || last <= first {
            return Err(PortsError::NotARange);
        }
        Ok(Self { first, pairs: u32::from(last - first).div_ceil(2), next: AtomicU32::new(0) })
    }
}

impl Ports {
    /// Binds the next free pair on `ip`.
    pub fn bind(&self, ip: IpAddr) -> Result<PortPair, PortsError> {
        self.bind_by(|port| bind(ip, port))
    }

    fn bind_by(&self, bind: impl Fn(u16) -> std::io::Result<UdpSocket>) -> Result<PortPair, PortsError> {
        for _ in 0..self.pairs {
            let pair = self.next.fetch_add(1, Ordering::Relaxed) % self.pairs;
            let port = self.first + (pair * 2) as u16;
            match bind(port).and_then(|rtp| Ok(PortPair { rtp, rtcp: bind(port + 1)? })) {
                Ok(pair) => return Ok(pair),
                // It is of this port alone.
                Err(error) if matches!(error.kind(), AddrInUse | PermissionDenied) => {}
                Err(error) => return Err(PortsError::NoSocket(error.raw_os_error().unwrap_or_default())),
            }
        }
        Err(PortsError::AllTaken)
    }
}

fn bind(ip: IpAddr, port: u16) -> std::io::Result<UdpSocket> {
    let socket = UdpSocket::bind(SocketAddr::new(ip, port))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_a_pair() {
        assert!("20000-29999".parse::<Ports>().is_ok());
        for wrong in ["20000", "20000-20000", "29999-20000", "x-y", "65535-65535", "0-0"] {
            assert_eq!(wrong.parse::<Ports>().unwrap_err(), PortsError::NotARange, "{wrong}");
        }
    }

    #[test]
    fn hands_out_even_and_odd_until_all_are_taken() {
        let ports: Ports = "34561-34566".parse().unwrap();
        let ip = IpAddr::from([127, 0, 0, 1]);
        let pairs: Vec<_> = std::iter::from_fn(|| ports.bind(ip).ok()).take(3).collect();
        for pair in &pairs {
            let port = pair.rtp.local_addr().unwrap().port();
            assert_eq!((port % 2, pair.rtcp.local_addr().unwrap().port()), (0, port + 1));
        }
        assert_eq!(ports.bind(ip).unwrap_err(), PortsError::AllTaken);
    }

    #[test]
    fn where_the_system_gives_no_socket_its_error_is_told_and_no_further_port_is_tried() {
        let (ports, tried): (Ports, _) = ("20000-29999".parse().unwrap(), std::cell::Cell::new(0));
        let emfile = rustix::io::Errno::MFILE.raw_os_error();
        let failed = ports.bind_by(|_| {
            tried.set(tried.get() + 1);
            Err(std::io::Error::from_raw_os_error(emfile))
        });
        let error = failed.unwrap_err();
        assert_eq!((error, tried.get()), (PortsError::NoSocket(emfile), 1));
        assert!(error.to_string().contains("Too many open files"), "{error}");
    }
}
