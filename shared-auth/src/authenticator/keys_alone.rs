//! Passwords of which an account has keys of SCRAM alone, as one that came from another server, or whose HA1s a lost key sealed — RFC 4616 §2, RFC 5802 §3.
//!
//! In    a password that was typed, and no HA1 fits.
//! Out   whether the account's `StoredKey` is of it; if so, the account gets the HA1s that it lacks, and SIP Digest works from
//!       then on.
//! State how many are derived at once: more wait in turn, for [`PATIENCE`] at most.
//! Errors who waited too long is told to come back, and it counts as a failed proof, lest a crowd guess uncounted.
//!
//! While some account has no HA1, each refusal costs the rounds of one that has none, so that the time does not tell whose
//! account it is.

use std::time::{Duration, Instant};

use shared_store::{Account, ScramVerifier};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::Authenticator;
use crate::identity::{Denied, Origin};
use crate::keys::Keys;
use crate::login::Login;
use crate::password;

impl Authenticator {
    /// Whether a prepared password is the main one of an account that has keys alone.
    pub(super) async fn fits_key(
        &self,
        account: Option<&Account>,
        login: Option<&Login>,
        password: Zeroizing<String>,
        origin: Origin,
    ) -> Result<bool, Denied> {
        let name = login.map(|login| login.key.as_str());
        let keys_alone = self.crowd.seen(self.cache.store(), &self.keys).await?.keys_alone;
        let meant = account
            .filter(|_| login.is_some_and(|login| login.means(None)))
            .and_then(|account| Some((account.id, cheapest_key_alone(account, &self.keys)?.clone())));
        let (hash, salt, rounds) = match (&meant, keys_alone.get(self.pick(name, keys_alone.len()))) {
            (Some((_, verifier)), _) => (verifier.hash, verifier.salt.clone(), verifier.iterations),
            (None, Some((hash, rounds))) => (*hash, vec![0; 16], *rounds),
            (None, None) => return Ok(false),
        };
        let turn = tokio::time::timeout(PATIENCE, self.derivations.acquire()).await;
        // Others may have failed while this one waited.
        if let Some(wait) = self.throttle.wait(name, origin.ip, Instant::now()) {
            return Err(Denied::Throttled(wait));
        }
        let Ok(Ok(_turn)) = turn else {
            self.throttle.failed(name, origin.ip, Instant::now());
            return Err(Denied::Throttled(COME_BACK));
        };
        let typed = password.clone();
        let derive = move || password::scram_verifier(hash, typed.as_bytes(), &salt, rounds).stored_key;
        let derived = tokio::task::spawn_blocking(derive).await;
        let derived = derived.map_err(|error| Denied::Unavailable(error.to_string()))?;
        let Some((id, verifier)) = meant else { return Ok(false) };
        if !bool::from(derived.ct_eq(&verifier.stored_key)) {
            return Ok(false);
        }
        // Who they are is proved whether or not this can be written now.
        if let Err(error) = self.book.complete(id, &verifier, &password).await {
            tracing::warn!(account = %id, %error, "no calls yet by a password that was proved: its HA1 could not be kept");
        }
        Ok(true)
    }

    /// Which of `most` a name has: always the same one.
    pub(super) fn pick(&self, name: Option<&str>, most: usize) -> usize {
        let choice = self.keys.salt_of_nobody(&format!("rounds {}", name.unwrap_or_default()));
        usize::from(u16::from_be_bytes([choice[0], choice[1]])) % most.max(1)
    }
}

/// The key of a main password without HA1 that takes the least work to compare; `None` where there is an HA1, or no key.
pub(crate) fn cheapest_key_alone<'a>(account: &'a Account, keys: &Keys) -> Option<&'a ScramVerifier> {
    let scram = &account.credentials.scram;
    scram.iter().min_by_key(|verifier| verifier.iterations).filter(|_| !has_ha1(account, keys))
}

/// Whether there is something that the main password is held against; what a lost key sealed is nothing any more.
pub(crate) fn has_ha1(account: &Account, keys: &Keys) -> bool {
    let mut plain = account.credentials.ha1.iter().filter(|ha1| ha1.algorithm == super::PLAIN);
    plain.any(|ha1| keys.open_sealed(account.id, &ha1.sealed).is_some())
}

/// Passwords that are derived at once.
pub(super) const AT_ONCE: usize = 2;
/// How long one waits for its turn.
const PATIENCE: Duration = Duration::from_secs(4);
/// When one that had no turn may come back.
const COME_BACK: Duration = Duration::from_secs(5);
