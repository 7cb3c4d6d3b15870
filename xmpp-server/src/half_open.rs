//! Connections that proved nothing, by where they come from — RFC 6120 §13.12 (denial of service).
//!
//! In    an address. Out a place, or none when its network has as many as it may, or all together have.
//! State of each network that has any its connections in their order: of IPv4 a /32, and its /24 with [`WIDER`] times as many; of IPv6 a
//!       /64, and its /48 likewise. Bounded by the connections that there may be in all.
//!
//! One network that opens thousands and says nothing takes a part of the room, and the rest is there for others. When there is no room in
//! all, who has waited for nothing but its own client for [`SLOW`] goes for who comes: the oldest of the network that has most.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use shared_auth::Network;
use tokio::sync::Notify;
use tokio::time::Instant;

/// All that are half open on the listeners of one kind.
pub(crate) struct HalfOpen {
    all: Arc<Mutex<All>>,
    of_one_network: usize,
    in_all: usize,
}

#[derive(Default)]
struct All {
    /// By the narrow network.
    counts: HashMap<Network, usize>,
    /// By the wide one, the oldest first.
    spots: HashMap<Network, BTreeMap<u64, Arc<Spot>>>,
    many: usize,
    serial: u64,
    /// Until then nobody is looked for who is slow: there was none.
    rests: Option<Instant>,
}

/// A place that is free again when it is dropped.
pub(crate) struct Place {
    all: Arc<Mutex<All>>,
    networks: [Network; 2],
    serial: u64,
    spot: Arc<Spot>,
}

struct Spot {
    pace: Mutex<Pace>,
    leave: Notify,
}

/// For whom a connection waits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// Nobody would hear that it is to leave.
    Deaf,
    /// This server.
    Served,
    /// Its client, since then.
    Waits(Instant),
}

impl HalfOpen {
    /// Room for so many of one network, and for so many in all.
    pub(crate) fn new(of_one_network: usize, in_all: usize) -> Self {
        Self { all: Arc::default(), of_one_network, in_all }
    }

    /// A place for one more.
    pub(crate) fn admit(&self, ip: IpAddr) -> Option<Place> {
        let networks = networks(ip);
        let [near, wide] = networks;
        let mut all = lock(&self.all);
        let of_wide = all.spots.get(&wide).map_or(0, BTreeMap::len);
        if all.counts.get(&near).is_some_and(|count| *count >= self.of_one_network)
            || of_wide >= self.of_one_network.saturating_mul(WIDER)
            || (all.many >= self.in_all && !all.send_away())
        {
            return None;
        }
        all.serial += 1;
        let serial = all.serial;
        let spot = Arc::new(Spot { pace: Mutex::new(Pace::Deaf), leave: Notify::new() });
        *all.counts.entry(near).or_default() += 1;
        all.spots.entry(wide).or_default().insert(serial, Arc::clone(&spot));
        all.many += 1;
        drop(all);
        Some(Place { all: Arc::clone(&self.all), networks, serial, spot })
    }
}

impl All {
    /// Makes room; whether somebody is slow enough.
    fn send_away(&mut self) -> bool {
        let now = Instant::now();
        if self.rests.is_some_and(|until| now < until) {
            return false;
        }
        let is_slow = |spot: &Spot| {
            let pace = *spot.pace.lock().unwrap_or_else(PoisonError::into_inner);
            matches!(pace, Pace::Waits(since) if now.saturating_duration_since(since) >= SLOW)
        };
        let slow = self.spots.iter().filter_map(|(wide, spots)| {
            let (serial, spot) = spots.iter().take(LOOKED_AT).find(|(_, spot)| is_slow(spot))?;
            Some((spots.len(), *wide, *serial, spot))
        });
        let Some((_, wide, serial, spot)) = slow.max_by_key(|(many, ..)| *many) else {
            self.rests = Some(now + REST);
            return false;
        };
        spot.leave.notify_one();
        // Its narrow network is told by its place, which is on its way out.
        self.remove(wide, serial)
    }

    fn remove(&mut self, wide: Network, serial: u64) -> bool {
        let Entry::Occupied(mut spots) = self.spots.entry(wide) else { return false };
        let was_there = spots.get_mut().remove(&serial).is_some();
        if spots.get().is_empty() {
            spots.remove();
        }
        self.many -= usize::from(was_there);
        was_there
    }
}

impl Place {
    /// Ends when the room is wanted for another.
    pub(crate) async fn left(&self) {
        self.listens();
        self.spot.leave.notified().await;
    }

    /// Does what the client waits for, and sends it away for nobody meanwhile.
    pub(crate) async fn served<T>(&self, work: impl Future<Output = T>) -> T {
        self.set(Pace::Served);
        let done = work.await;
        self.set(Pace::Waits(Instant::now()));
        done
    }

    fn listens(&self) {
        let mut pace = self.spot.pace.lock().unwrap_or_else(PoisonError::into_inner);
        if *pace == Pace::Deaf {
            *pace = Pace::Waits(Instant::now());
        }
    }

    fn set(&self, pace: Pace) {
        *self.spot.pace.lock().unwrap_or_else(PoisonError::into_inner) = pace;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let [near, wide] = self.networks;
        let mut all = lock(&self.all);
        all.remove(wide, self.serial);
        if let Entry::Occupied(mut count) = all.counts.entry(near) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

fn lock(all: &Mutex<All>) -> std::sync::MutexGuard<'_, All> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

fn networks(ip: IpAddr) -> [Network; 2] {
    let (near, wide) = if ip.to_canonical().is_ipv4() { (32, 24) } else { (64, 48) };
    [Network::around(ip, near), Network::around(ip, wide)]
}

/// How many times as much a wider network may have: many live behind it.
const WIDER: usize = 4;
/// How long a client may be waited for where others want its place: longer than words are on their way.
const SLOW: Duration = Duration::from_secs(3);
/// Between two looks for who is slow that find nobody, lest who is refused costs more than who is let in.
const REST: Duration = Duration::from_millis(100);
/// Of each network's oldest.
const LOOKED_AT: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_takes_its_part_and_no_more() {
        let open = HalfOpen::new(2, 100);
        let admit = |ip: &str| open.admit(ip.parse().unwrap());
        let (first, _second) = (admit("192.0.2.1"), admit("::ffff:192.0.2.1"));
        assert!(first.is_some() && admit("192.0.2.1").is_none());
        let others: Vec<Place> = (2..9)
            .flat_map(|n| [admit(&format!("192.0.2.{n}")), admit(&format!("192.0.2.{n}"))])
            .flatten()
            .collect();
        assert_eq!(others.len(), 6, "the /24 has room for eight");
        assert!(admit("192.0.3.1").is_some());
        drop(first);
        assert!(admit("192.0.2.1").is_some());
        let _six = (admit("2001:db8::1"), admit("2001:db8::2"));
        assert!(admit("2001:db8::3").is_none() && admit("2001:db8:0:1::1").is_some());
        drop(others);
        drop(_second);
        drop(_six);
        let all = open.all.lock().unwrap();
        assert!(all.counts.is_empty() && all.spots.is_empty() && all.many == 0);
    }

    #[tokio::test(start_paused = true)]
    async fn where_all_is_full_the_slow_go_for_who_comes() {
        let open = HalfOpen::new(10, 4);
        let admit = |ip: &str| open.admit(ip.parse().unwrap());
        let first = admit("192.0.2.1").unwrap();
        let second = admit("192.0.2.2").unwrap();
        let other = admit("192.0.3.1").unwrap();
        let served = admit("192.0.2.3").unwrap();
        let is_sent_away =
            async |place: &Place| tokio::time::timeout(Duration::from_millis(1), place.left()).await.is_ok();
        assert!(admit("192.0.4.1").is_none(), "nobody listens yet");
        for place in [&first, &second, &other] {
            assert!(!is_sent_away(place).await);
        }
        assert!(admit("192.0.4.1").is_none(), "they may be on their way");
        let work = served.served(async {
            tokio::time::sleep(SLOW).await;
            [1, 2, 3].map(|n| admit(&format!("192.0.4.{n}")).unwrap())
        });
        let new = work.await;
        for place in [&first, &second, &other] {
            assert!(is_sent_away(place).await, "the oldest of those that have most, and of others then");
        }
        assert!(!is_sent_away(&served).await && admit("192.0.4.4").is_none());
        drop((first, second, other, served, new));
        let all = open.all.lock().unwrap();
        assert!(all.counts.is_empty() && all.spots.is_empty() && all.many == 0);
    }
}
