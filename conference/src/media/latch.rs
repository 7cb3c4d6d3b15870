//! Which source a leg believes — RFC 4961 (symmetric RTP), within bounds (RFC 7362 §4 says what goes wrong without).
//!
//! A device behind a NAT sends from elsewhere than its description says, so that sound goes back to where it comes from.
//! But only an address that the signalling brought may be that source: the one described, or the one that the call itself
//! came from. The first packet of such an address within [`LONGEST`] of the description holds the leg; another port of
//! such an address takes it over when the first was silent for [`PAUSE`], as when a NAT forgets.
//!
//! In    sources of packets. Out whether they are believed, and where to send. State the source held, instants.
//! Not here: SRTP, whose keys prove a source better: then only what was authentic is shown here, and any address may be.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// Whom a leg believes.
#[derive(Debug, Clone)]
pub struct Latch {
    described: SocketAddr,
    /// What the call came from.
    caller: Option<IpAddr>,
    held: Option<SocketAddr>,
    begun: Instant,
    heard: Instant,
    is_proved: bool,
    /// The caller's address is one that packets came from, not one that a Contact names.
    is_caller_seen: bool,
    /// How long descriptions before this one named somebody who had not spoken yet.
    spent: Duration,
}

impl Latch {
    /// Believes nobody yet. `caller` is the address that the signalling came from; `is_proved` says that packets have
    /// keys.
    pub fn new(described: SocketAddr, caller: Option<IpAddr>, is_proved: bool, now: Instant) -> Self {
        Self {
            described,
            caller,
            held: None,
            begun: now,
            heard: now,
            is_proved,
            is_caller_seen: true,
            spent: Duration::ZERO,
        }
    }

    /// The address of the caller is what its Contact says, which may be anybody's.
    pub fn with_unseen_caller(self) -> Self {
        Self { is_caller_seen: false, ..self }
    }

    /// A new description; the same address changes nothing.
    pub fn describe(&mut self, described: SocketAddr, is_proved: bool, now: Instant) {
        if described != self.described || is_proved != self.is_proved {
            let spent = match self.held {
                Some(_) => self.spent,
                None => self.spent + now.duration_since(self.begun),
            };
            let is_caller_seen = self.is_caller_seen;
            *self = Self { spent, is_caller_seen, ..Self::new(described, self.caller, is_proved, now) };
        }
    }

    /// Whoever is held has keys from now on.
    pub fn prove(&mut self) {
        self.is_proved = true;
    }

    /// Whether a packet of `source` is believed.
    pub fn believes(&mut self, source: SocketAddr, now: Instant) -> bool {
        let may_be = match self.held {
            Some(held) if held == source => true,
            Some(_) => {
                let is_silent = now.duration_since(self.heard) > PAUSE;
                self.is_of_peer(source) && (is_silent || source == self.described)
            }
            None => {
                let is_early = now.duration_since(self.begun) <= LONGEST;
                source == self.described || (self.is_of_peer(source) && is_early)
            }
        };
        if may_be {
            if self.held.is_none() {
                self.spent += now.duration_since(self.begun);
            }
            self.held = Some(source);
            self.heard = now;
        }
        may_be
    }

    /// Whether much may be sent there: for a while to where a description says, and on if somebody there was heard, or it is
    /// where the call came from. A description alone could name anybody, one after the other: the while is once for all.
    pub fn may_be_sent_much(&self, now: Instant) -> bool {
        let ip = self.described.ip().to_canonical();
        let is_of_call = Some(ip) == self.caller.map(|ip| ip.to_canonical());
        let is_of_call = is_of_call && self.is_caller_seen;
        let is_early = self.spent + now.duration_since(self.begun) <= LONGEST;
        !ip.is_multicast() && (self.held.is_some() || is_of_call || is_early)
    }

    /// Whether somebody was heard.
    pub fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// Where to send.
    pub fn target(&self) -> SocketAddr {
        self.held.unwrap_or(self.described)
    }

    fn is_of_peer(&self, source: SocketAddr) -> bool {
        let ip = source.ip().to_canonical();
        self.is_proved || ip == self.described.ip().to_canonical() || Some(ip) == self.caller
    }
}

/// After the description, a source with another port may be the first for so long.
const LONGEST: Duration = Duration::from_secs(15);
/// After so long without a packet another port may take over.
const PAUSE: Duration = Duration::from_secs(2);

/// Whether an address is one host's: the system takes zeros for its own.
pub(super) fn is_somebody(target: SocketAddr) -> bool {
    target.port() != 0 && !target.ip().is_unspecified() && !target.ip().is_multicast()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn latch(now: Instant) -> Latch {
        Latch::new(at("192.0.2.1:4000"), "198.51.100.7".parse().ok(), false, now)
    }

    #[test]
    fn believes_the_described_and_the_callers_address_and_no_other() {
        let now = Instant::now();
        for (source, is_believed) in [
            ("192.0.2.1:4000", true),
            ("192.0.2.1:1", true),
            ("198.51.100.7:9", true),
            ("[::ffff:198.51.100.7]:9", true),
            ("203.0.113.1:4000", false),
        ] {
            assert_eq!(latch(now).believes(at(source), now), is_believed, "{source}");
        }
    }

    #[test]
    fn who_holds_it_is_sent_to_and_is_not_displaced_while_they_speak() {
        let begin = Instant::now();
        let mut latch = latch(begin);
        assert_eq!(latch.target(), at("192.0.2.1:4000"));
        assert!(latch.believes(at("198.51.100.7:9"), begin));
        assert_eq!(latch.target(), at("198.51.100.7:9"));
        let soon = begin + Duration::from_secs(1);
        assert!(!latch.believes(at("198.51.100.7:10"), soon));
        assert!(latch.believes(at("192.0.2.1:4000"), soon), "but by whom the description named");
        let later = soon + PAUSE + Duration::from_millis(1);
        assert!(latch.believes(at("198.51.100.7:10"), later) && !latch.believes(at("203.0.113.1:1"), later));
    }

    #[test]
    fn a_window_closes_and_opens_with_the_next_description() {
        let begin = Instant::now();
        let (mut latch, late) = (latch(begin), begin + LONGEST + Duration::from_millis(1));
        assert!(!latch.believes(at("192.0.2.1:4001"), late));
        latch.describe(at("192.0.2.1:4000"), false, late);
        assert!(!latch.believes(at("192.0.2.1:4001"), late), "it says nothing new");
        latch.describe(at("192.0.2.1:5000"), false, late);
        assert!(latch.believes(at("192.0.2.1:5001"), late));
    }

    #[test]
    fn keys_prove_any_address() {
        let now = Instant::now();
        let mut latch = Latch::new(at("192.0.2.1:4000"), None, true, now);
        assert!(latch.believes(at("203.0.113.1:1"), now));
        assert!(!latch.believes(at("203.0.113.1:2"), now), "a copy from elsewhere moves nothing at once");
    }

    #[test]
    fn a_description_alone_has_nobody_flooded() {
        let now = Instant::now();
        let victim: SocketAddr = "192.0.2.7:5000".parse().unwrap();
        let caller: IpAddr = "198.51.100.1".parse().unwrap();
        let mut latch = Latch::new(victim, Some(caller), false, now);
        assert!(latch.may_be_sent_much(now + Duration::from_secs(10)));
        let later = now + Duration::from_secs(20);
        assert!(!latch.may_be_sent_much(later));
        assert!(latch.believes(victim, later) && latch.may_be_sent_much(later), "it spoke");
        assert!(Latch::new((caller, 9).into(), Some(caller), false, now).may_be_sent_much(later));
        assert!(
            !Latch::new((caller, 9).into(), Some(caller), false, now)
                .with_unseen_caller()
                .may_be_sent_much(later),
            "a Contact names anybody too"
        );
        let mut latch = Latch::new(victim, Some(caller), false, now);
        latch.describe("192.0.2.8:5000".parse().unwrap(), false, now + Duration::from_secs(10));
        assert!(latch.may_be_sent_much(now + Duration::from_secs(14)));
        assert!(!latch.may_be_sent_much(now + Duration::from_secs(16)), "one while for both");
        let group = Latch::new("224.0.0.9:5000".parse().unwrap(), None, false, now);
        assert!(!group.may_be_sent_much(now));
    }
}
