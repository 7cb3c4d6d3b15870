//! One packet of HEP v3.
//!
//! ```text
//! "HEP3"  total u16 │ chunk │ chunk │ …          all numbers in network order
//! chunk: vendor u16 = 0, type u16, length u16 with these six bytes, value
//!   1 family u8 (2 IPv4, 10 IPv6)   2 protocol u8 (17 UDP, 6 TCP)   3, 4 or 5, 6 source and destination address
//!   7, 8 their ports u16   9, 10 time: seconds and microseconds u32   11 kind u8 (1 SIP)   12 capture id u32
//!   14 password   15 payload   17 correlation
//! ```

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// What a packet says.
pub(crate) struct Packet<'a> {
    /// Who sent the message.
    pub(crate) from: SocketAddr,
    /// Who got it.
    pub(crate) to: SocketAddr,
    /// Whether it went by UDP; by TCP otherwise, whatever is on top of it.
    pub(crate) is_udp: bool,
    /// Since 1970.
    pub(crate) time: Duration,
    /// The node.
    pub(crate) id: u32,
    /// Possibly empty.
    pub(crate) password: &'a str,
    /// What the facts and records of the call have too; possibly empty.
    pub(crate) correlation: &'a str,
    /// The message.
    pub(crate) payload: &'a [u8],
}

impl Packet<'_> {
    /// Prints it; `None` if it is longer than a packet can say.
    pub(crate) fn print(&self) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(self.payload.len() + 160);
        out.extend_from_slice(b"HEP3\0\0");
        let (from, to) = (self.from.ip().to_canonical(), self.to.ip().to_canonical());
        // A packet has one family; an address of the other is written in IPv6's way.
        let is_v4 = from.is_ipv4() && to.is_ipv4();
        chunk(&mut out, 1, &[if is_v4 { 2 } else { 10 }]);
        chunk(&mut out, 2, &[if self.is_udp { 17 } else { 6 }]);
        for (ip, v4_type, v6_type) in [(from, 3, 5), (to, 4, 6)] {
            match ip {
                IpAddr::V4(ip) if is_v4 => chunk(&mut out, v4_type, &ip.octets()),
                IpAddr::V4(ip) => chunk(&mut out, v6_type, &ip.to_ipv6_mapped().octets()),
                IpAddr::V6(ip) => chunk(&mut out, v6_type, &ip.octets()),
            }
        }
        chunk(&mut out, 7, &self.from.port().to_be_bytes());
        chunk(&mut out, 8, &self.to.port().to_be_bytes());
        chunk(&mut out, 9, &u32::try_from(self.time.as_secs()).unwrap_or(u32::MAX).to_be_bytes());
        chunk(&mut out, 10, &self.time.subsec_micros().to_be_bytes());
        chunk(&mut out, 11, &[1]);
        chunk(&mut out, 12, &self.id.to_be_bytes());
        if !self.password.is_empty() {
            chunk(&mut out, 14, self.password.as_bytes());
        }
        if !self.correlation.is_empty() {
            chunk(&mut out, 17, self.correlation.as_bytes());
        }
        // A datagram that is longer than the net takes is lost anyway; the length of a chunk has 16 bits.
        if out.len() + 6 + self.payload.len() > LONGEST {
            return None;
        }
        chunk(&mut out, 15, self.payload);
        let total = u16::try_from(out.len()).ok()?;
        out[4..6].copy_from_slice(&total.to_be_bytes());
        Some(out)
    }
}

fn chunk(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    // Bounded by the check above; passwords are a line.
    let length = u16::try_from(value.len() + 6).unwrap_or(u16::MAX);
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(value);
}

/// Bytes of the largest datagram of UDP over IPv4.
const LONGEST: usize = 65_507;

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(payload: &[u8]) -> Option<Vec<u8>> {
        let (from, to) = ("192.0.2.1:5060".parse().unwrap(), "198.51.100.7:5080".parse().unwrap());
        let time = Duration::from_micros(1_000_002);
        Packet { from, to, is_udp: true, time, id: 7, password: "", correlation: "ab", payload }.print()
    }

    #[test]
    fn a_packet_is_its_header_and_its_chunks() {
        let printed = packet(b"SIP").unwrap();
        let wanted: &[&[u8]] = &[
            b"HEP3\x00\x6e",
            b"\0\0\0\x01\0\x07\x02",
            b"\0\0\0\x02\0\x07\x11",
            b"\0\0\0\x03\0\x0a\xc0\x00\x02\x01",
            b"\0\0\0\x04\0\x0a\xc6\x33\x64\x07",
            b"\0\0\0\x07\0\x08\x13\xc4",
            b"\0\0\0\x08\0\x08\x13\xd8",
            b"\0\0\0\x09\0\x0a\0\0\0\x01",
            b"\0\0\0\x0a\0\x0a\0\0\0\x02",
            b"\0\0\0\x0b\0\x07\x01",
            b"\0\0\0\x0c\0\x0a\0\0\0\x07",
            b"\0\0\0\x11\0\x08ab",
            b"\0\0\0\x0f\0\x09SIP",
        ];
        assert_eq!(printed, wanted.concat());
    }

    #[test]
    fn what_no_datagram_holds_is_not_printed() {
        assert!(packet(&vec![b'x'; 65_000]).is_some());
        assert!(packet(&vec![b'x'; 66_000]).is_none());
    }
}
