//! Networks, as configurations name them.
//!
//! In    `192.0.2.0/24`, `2001:db8::/32`, an address. Out whether an address is inside; IPv4 in IPv6 is IPv4.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::Deserialize;

/// Addresses that share a prefix, such as `192.0.2.0/24` or `2001:db8::/32`; an address alone is a network of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    bits: u128,
    prefix: u8,
    is_v4: bool,
}

impl Network {
    /// The network of `prefix` bits around an address.
    pub fn around(ip: IpAddr, prefix: u8) -> Self {
        let (bits, width, is_v4) = match ip.to_canonical() {
            IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 32, true),
            IpAddr::V6(v6) => (v6.to_bits(), 128, false),
        };
        let prefix = prefix.min(width);
        let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
        Self { bits: bits & mask, prefix, is_v4 }
    }

    /// Its first address.
    pub fn address(&self) -> IpAddr {
        match self.is_v4 {
            true => Ipv4Addr::from_bits((self.bits >> 96) as u32).into(),
            false => Ipv6Addr::from_bits(self.bits).into(),
        }
    }

    /// How many bits its addresses share.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether an address is in both.
    pub fn meets(&self, other: &Self) -> bool {
        self.contains(other.address()) || other.contains(self.address())
    }

    /// Whether the address is inside.
    pub fn contains(&self, ip: IpAddr) -> bool {
        Self::around(ip, self.prefix) == *self
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address(), self.prefix)
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is not a network such as \"192.0.2.0/24\"");
        let (ip, prefix) = text.split_once('/').map_or((text, None), |(ip, prefix)| (ip, Some(prefix)));
        let ip: IpAddr = ip.parse().map_err(|_| bad())?;
        let width = if ip.is_ipv4() { 32 } else { 128 };
        let prefix: u8 = prefix.map_or(Ok(width), str::parse).map_err(|_| bad())?;
        // A part of `::ffff:0:0/96` is a network of IPv4, and its prefix is another one.
        let is_mapped = ip.is_ipv6() && ip.to_canonical().is_ipv4();
        match prefix > width || (is_mapped && prefix < width) {
            true => Err(bad()),
            false => Ok(Self::around(ip, prefix)),
        }
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_what_shares_their_prefix() {
        let home: Network = "192.0.2.0/24".parse().unwrap();
        assert_eq!(home.to_string(), "192.0.2.0/24");
        assert_eq!("2001:db8:1::/32".parse::<Network>().unwrap().to_string(), "2001:db8::/32");
        assert!(home.contains("192.0.2.77".parse().unwrap()));
        assert!(home.contains("::ffff:192.0.2.77".parse().unwrap()));
        assert!(!home.contains("192.0.3.1".parse().unwrap()));
        let (part, other) = ("192.0.2.9".parse().unwrap(), "192.0.3.0/24".parse().unwrap());
        assert!(home.meets(&part) && part.meets(&home) && !home.meets(&other));
        assert!(!"::/0".parse::<Network>().unwrap().contains("192.0.2.1".parse().unwrap()));
        assert!("127.0.0.1".parse::<Network>().unwrap().contains("127.0.0.1".parse().unwrap()));
        assert!("::ffff:192.0.2.0/120".parse::<Network>().is_err(), "it is written 192.0.2.0/24");
        assert_eq!("::ffff:192.0.2.1".parse::<Network>().unwrap().to_string(), "192.0.2.1/32");
        assert!("192.0.2.0/33".parse::<Network>().is_err() && "home".parse::<Network>().is_err());
    }
}
