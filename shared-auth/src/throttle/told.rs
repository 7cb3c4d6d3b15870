//! What is counted of proofs that failed, and what strangers are told of it.
//!
//! A proof that nothing is kept for, as of an account that came from another server without the key of its mechanism, is no guess, and
//! slows nobody. A stranger would see by that who has such an account; so what is told is counted apart, with those proofs in it. A
//! refusal sounds as for a name that nobody has, and the right password is heard all the same. It takes as long, too: while strangers
//! are told to wait, a refusal comes [`PACE`] after the proof, whether that was looked at or not; and one proof of a name from a
//! network is heard at a time, so that no more is looked at in that time either. (What takes longer to look at than that, as a password
//! that waits for its turn in a crowd, is seen to.)
//!
//! In    names and addresses whose proof failed, lacked a key, or held. Out whether a proof is looked at, and what a refusal sounds like.
//! State two [`Throttle`]s; what the inner one counts is in the other one too. Who is heard now: [`MOST_TURNS`] names of a network,
//! [`MOST_NETWORKS`].

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Throttle, network};
use crate::login::Mistake;
use crate::{Denied, Identity, Network};

/// Failed proofs, and what is told of them.
pub(crate) struct Told {
    guesses: Arc<Throttle>,
    told: Throttle,
    heard: Mutex<HashMap<Network, Vec<u64>>>,
}

/// The turn of one proof of a name from a network, until it is dropped.
pub(crate) struct Turn<'a> {
    told: &'a Told,
    whose: (u64, Network),
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let (account, network) = self.whose;
        let mut heard = self.told.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut there) = heard.entry(network) {
            there.get_mut().retain(|other| *other != account);
            if there.get().is_empty() {
                there.remove();
            }
        }
    }
}

/// What was counted when a proof came.
#[derive(Clone, Copy)]
pub(crate) struct Before {
    /// For how long no guess is heard.
    guesses: Option<Duration>,
    /// For how long strangers hear that none is.
    told: Option<Duration>,
}

impl Told {
    pub(crate) fn new(exempt: Vec<Network>) -> Self {
        Self {
            guesses: Arc::new(Throttle::new(exempt.clone())),
            told: Throttle::new(exempt),
            heard: Mutex::default(),
        }
    }

    /// The turn of a proof while strangers are told to wait; `None` while another is heard, or too many are.
    pub(crate) fn turn(&self, name: Option<&str>, ip: IpAddr) -> Option<Turn<'_>> {
        let (account, network) = (self.told.account(name.unwrap_or_default()), network(ip));
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = heard.len() >= MOST_NETWORKS && !heard.contains_key(&network);
        if is_full || heard.get(&network).is_some_and(|it| it.len() >= MOST_TURNS || it.contains(&account)) {
            return None;
        }
        heard.entry(network).or_default().push(account);
        Some(Turn { told: self, whose: (account, network) })
    }

    /// What slows people.
    pub(crate) fn guesses(&self) -> &Arc<Throttle> {
        &self.guesses
    }

    pub(crate) fn before(&self, name: Option<&str>, ip: IpAddr, now: Instant) -> Before {
        Before { guesses: self.guesses.wait(name, ip, now), told: self.told.wait(name, ip, now) }
    }

    /// Counts a failed proof.
    pub(crate) fn failed(&self, name: Option<&str>, ip: IpAddr, now: Instant) {
        self.guesses.failed(name, ip, now);
        self.told.failed(name, ip, now);
    }

    /// Counts what came of a refusal, after what was counted before.
    pub(crate) fn refused(
        &self,
        before: Before,
        mistake: Mistake,
        name: Option<&str>,
        ip: IpAddr,
        now: Instant,
    ) {
        if before.told.is_none() && mistake.is_another {
            self.told.failed(name, ip, now);
        }
        if before.guesses.is_none() && mistake.is_guess {
            self.guesses.failed(name, ip, now);
        }
    }

    /// Whether so much failed for this name or there that no mistake is forgiven.
    pub(crate) fn is_suspect(&self, name: &str, ip: IpAddr, now: Instant) -> bool {
        self.told.is_suspect(name, ip, now)
    }

    pub(crate) fn succeeded(&self, name: Option<&str>, ip: IpAddr, now: Instant) {
        self.guesses.succeeded(name, ip, now);
        self.told.succeeded(name, ip, now);
    }

    pub(crate) fn guessed(&self, ip: IpAddr, is_seen: bool, now: Instant) {
        self.guesses.guessed(ip, is_seen, now);
        self.told.guessed(ip, is_seen, now);
    }

    pub(crate) fn lift_account(&self, name: &str) {
        self.guesses.lift_account(name);
        self.told.lift_account(name);
    }

    /// False if nothing was counted.
    pub(crate) fn lift_network(&self, network: &Network) -> bool {
        self.told.lift_network(network);
        self.guesses.lift_network(network)
    }
}

impl Before {
    /// Nothing.
    pub(crate) const NOTHING: Self = Self { guesses: None, told: None };

    /// For how long no proof is looked at, nor is there anything to hide.
    pub(crate) fn wait(self) -> Option<Duration> {
        self.guesses.and(self.told)
    }

    /// For how long strangers hear that no proof is looked at.
    pub(crate) fn told(self) -> Option<Duration> {
        self.told
    }

    /// Whether a refusal is counted.
    pub(crate) fn counts(self, denied: &Denied) -> bool {
        denied.is_failed_proof() || *denied == Denied::NoKey || self.hides(denied)
    }

    /// Whether a proof is not heard, and strangers are not told so.
    fn hides(self, denied: &Denied) -> bool {
        self.guesses.is_some() && self.told.is_none() && matches!(denied, Denied::Throttled(_))
    }

    /// What a proof comes to. Who guessed while he was told to wait would learn by another answer that he was heard; when he is not told so
    /// any more, and has guessed too much, no proof holds.
    pub(crate) fn heard(self, outcome: Result<Identity, Denied>) -> Result<Identity, Denied> {
        let Some(wait) = self.guesses.filter(|_| self.told.is_none()) else { return outcome };
        match outcome {
            Ok(_) | Err(Denied::Stale | Denied::Replayed | Denied::ForeignAuthzid | Denied::Expired) => {
                Err(Denied::Throttled(wait))
            }
            refused => refused,
        }
    }

    /// What a refusal is on the wire. Who is told of a nonce that is too old has shown that he knows the password.
    pub(crate) fn sounds(self, denied: Denied) -> Denied {
        match (self.told, denied) {
            (None, denied) if self.hides(&denied) => Denied::WrongProof,
            (_, denied @ (Denied::Stale | Denied::Replayed | Denied::Unavailable(_))) | (None, denied) => {
                denied
            }
            (Some(wait), _) => Denied::Throttled(wait),
        }
    }
}

/// How long after a proof a refusal comes while strangers are told to wait.
pub(crate) const PACE: Duration = Duration::from_millis(250);
/// Proofs from a network that are heard at once while strangers are told to wait; more are refused unheard.
const MOST_TURNS: usize = 16;
/// Networks from which some are.
const MOST_NETWORKS: usize = 1024;
