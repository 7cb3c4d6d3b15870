//! What is counted of proofs that failed, and what strangers are told of it.
//!
//! A proof that nothing is kept for, as of an account that came from another server without the key of its mechanism, is no guess, and
//! slows nobody. A stranger would see by that who has such an account; so what is told is counted apart, with those proofs in it. A
//! refusal sounds as for a name that nobody has, and the right password is heard all the same.
//!
//! In    names and addresses whose proof failed, lacked a key, or held. Out whether a proof is looked at, and what a refusal sounds like.
//! State two [`Throttle`]s; what the inner one counts is in the other one too.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Throttle;
use crate::{Denied, Identity, Network};

/// Failed proofs, and what is told of them.
pub(crate) struct Told {
    guesses: Arc<Throttle>,
    told: Throttle,
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
        Self { guesses: Arc::new(Throttle::new(exempt.clone())), told: Throttle::new(exempt) }
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
        denied: &Denied,
        name: Option<&str>,
        ip: IpAddr,
        now: Instant,
    ) {
        if before.told.is_none() {
            self.told.failed(name, ip, now);
        }
        if before.guesses.is_none() && denied.is_failed_proof() {
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

    /// What a proof comes to. Who guessed while he was told to wait would learn by another answer that he was heard; when he is not told so
    /// any more, and has guessed too much, no proof holds.
    pub(crate) fn heard(self, outcome: Result<Identity, Denied>) -> Result<Identity, Denied> {
        if self.guesses.is_none() || self.told.is_some() {
            return outcome;
        }
        match outcome {
            Ok(_) | Err(Denied::Stale | Denied::Replayed | Denied::ForeignAuthzid | Denied::Expired) => {
                Err(Denied::WrongProof)
            }
            refused => refused,
        }
    }

    /// What a refusal is on the wire. Who is told of a nonce that is too old has shown that he knows the password.
    pub(crate) fn sounds(self, denied: Denied) -> Denied {
        match (self.told, denied) {
            (_, denied @ (Denied::Stale | Denied::Replayed | Denied::Unavailable(_))) | (None, denied) => {
                denied
            }
            (Some(wait), _) => Denied::Throttled(wait),
        }
    }
}
