//! Who is connected to one listener, counted by network and bounded.
//!
//! In    an address, or none of a proxy that did not say yet for whom it comes. Out a place, which is free again when it is dropped, or why
//!       there is none.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Who is connected to one listener, by network: /32 of IPv4 and /64 of IPv6.
#[derive(Clone, Default)]
pub(super) struct Guests(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    all: usize,
    by_network: HashMap<IpAddr, usize>,
}

/// A place that is free again when it is dropped.
pub(super) struct Guest {
    guests: Guests,
    /// `None`: a proxy, as long as it is not known for whom it comes.
    network: Option<IpAddr>,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    Network,
    All,
    KeptOut,
}

impl Full {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::All => "all",
            Self::KeptOut => "banned",
        }
    }
}

impl Guests {
    /// A place, unless all are taken or those of this network.
    pub(super) fn admit(&self, ip: Option<IpAddr>) -> Result<Guest, Full> {
        let mut inside = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if inside.all >= MOST {
            return Err(Full::All);
        }
        let network = ip.map(|ip| inside.enter(ip)).transpose()?;
        inside.all += 1;
        Ok(Guest { guests: self.clone(), network })
    }
}

impl Inside {
    /// A place in the network of an address.
    fn enter(&mut self, ip: IpAddr) -> Result<IpAddr, Full> {
        let network = match ip.to_canonical() {
            IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
            v4 => v4,
        };
        let here = self.by_network.get(&network).copied().unwrap_or(0);
        if here >= MOST_OF_NETWORK {
            return Err(Full::Network);
        }
        self.by_network.insert(network, here + 1);
        Ok(network)
    }
}

impl Guest {
    /// It is known now whose connection a proxy brings.
    pub(super) fn is_of(&mut self, ip: IpAddr) -> Result<(), Full> {
        let network = self.guests.0.lock().unwrap_or_else(PoisonError::into_inner).enter(ip)?;
        self.network = Some(network);
        Ok(())
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut inside = self.guests.0.lock().unwrap_or_else(PoisonError::into_inner);
        inside.all -= 1;
        let Some(network) = self.network else { return };
        if let Entry::Occupied(mut here) = inside.by_network.entry(network) {
            *here.get_mut() -= 1;
            if *here.get() == 0 {
                here.remove();
            }
        }
    }
}

/// Connections of one listener.
const MOST: usize = 4096;
/// Connections of one network: an office behind one address has fewer people who ask at once.
const MOST_OF_NETWORK: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_by_network_and_in_all() {
        let guests = Guests::default();
        let ip = |text: &str| Some(text.parse::<IpAddr>().unwrap());
        let mut inside: Vec<_> =
            (0..MOST_OF_NETWORK).map(|_| guests.admit(ip("2001:db8::1")).unwrap()).collect();
        assert_eq!(guests.admit(ip("2001:db8::2")).err(), Some(Full::Network), "the same network");
        assert!(guests.admit(ip("::ffff:192.0.2.1")).is_ok() && guests.admit(ip("2001:db8:0:1::1")).is_ok());
        let mut by_proxy = guests.admit(None).unwrap();
        assert_eq!(by_proxy.is_of("2001:db8::3".parse().unwrap()), Err(Full::Network));
        inside.pop();
        assert_eq!(by_proxy.is_of("2001:db8::3".parse().unwrap()), Ok(()));
        assert!(guests.admit(ip("2001:db8::2")).is_err());
        drop(by_proxy);
        assert!(guests.admit(ip("2001:db8::2")).is_ok());
        let networks = (MOST / MOST_OF_NETWORK) as u32 + 1;
        let many = (0..networks)
            .flat_map(|n| (0..MOST_OF_NETWORK).map(move |_| Some(IpAddr::from((n + 1).to_be_bytes()))));
        inside.extend(many.filter_map(|ip| guests.admit(ip).ok()));
        assert_eq!(inside.len(), MOST);
        assert_eq!(guests.admit(None).err(), Some(Full::All));
        drop(inside);
        let inside = guests.0.lock().unwrap();
        assert!(inside.all == 0 && inside.by_network.is_empty());
    }
}
