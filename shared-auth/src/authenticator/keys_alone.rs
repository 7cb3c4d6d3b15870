//! Passwords of which an account has keys of SCRAM alone, as one that came from another server, or whose HA1s a lost key sealed — RFC 4616 §2, RFC 5802 §3.
//!
//! In    a password that was typed, and no HA1 fits.
//! Out   whether the account's `StoredKey` is of it; if so, the account gets the HA1s and the keys of other hashes that it lacks, and
//!       SIP Digest and each SCRAM work from then on.
//! State how many are derived at once: more wait in turn, for [`PATIENCE`] at most.
//! Errors who waited too long is told to come back. It counts as a failed proof of that network, and of the name where the password
//!       was refused already, lest a crowd guess uncounted.
//!
//! While some account has no HA1, each refusal costs the rounds of one that has none, so that the time does not tell whose
//! account it is.

use std::time::{Duration, Instant};

use shared_model::AccountId;
use shared_store::{Account, ScramVerifier};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{Authenticator, verifier_of_nobody};
use crate::identity::{Denied, Origin};
use crate::keys::Keys;
use crate::login::Login;
use crate::password;

impl Authenticator {
    /// The key that a password of `login` is held against where it has nothing else.
    pub(super) fn key_alone<'a>(
        &self,
        account: Option<&'a Account>,
        login: Option<&Login>,
    ) -> Option<(AccountId, &'a ScramVerifier)> {
        let account = account.filter(|_| login.is_some_and(|login| login.means(None)))?;
        Some((account.id, cheapest_key_alone(account, &self.keys)?))
    }

    /// Whether a prepared password is the main one of an account that has keys alone.
    pub(super) async fn fits_key(
        &self,
        id: AccountId,
        key: &ScramVerifier,
        name: Option<&str>,
        password: Zeroizing<String>,
        origin: Origin,
    ) -> Result<bool, Denied> {
        let asked = self.derive(key.clone(), name, password.clone(), origin).await?;
        let Some(derived) = asked else {
            // Nothing was held against anything: who floods the turns is the network there, not whose name it is.
            self.throttle.failed(None, origin.ip, Instant::now());
            return Err(Denied::Throttled(COME_BACK));
        };
        if !bool::from(derived.ct_eq(&key.stored_key)) {
            return Ok(false);
        }
        self.complete(id, Some(key), password).await;
        Ok(true)
    }

    /// Makes what the main password lacks that was just proved, in its turn. Who somebody is is proved whether or not it can be written now.
    pub(super) async fn complete(
        &self,
        id: AccountId,
        key: Option<&ScramVerifier>,
        password: Zeroizing<String>,
    ) {
        // Where none comes the next login makes them.
        let Ok(Ok(_turn)) = tokio::time::timeout(PATIENCE, self.derivations.acquire()).await else { return };
        if let Err(error) = self.book.complete(id, key, password).await {
            tracing::warn!(account = %id, %error, "the keys that a proved password lacks could not be kept: calls and other mechanisms wait for them");
        }
    }

    /// Takes as long over a password that was refused as over one that is held against some account's key alone.
    pub(super) async fn costs_as_a_key(
        &self,
        name: Option<&str>,
        password: Zeroizing<String>,
        origin: Origin,
    ) -> Result<(), Denied> {
        let keys_alone = self.crowd.seen(self.cache.store(), &self.keys).await?.keys_alone;
        let Some((hash, rounds)) = keys_alone.get(self.pick(name, keys_alone.len())) else { return Ok(()) };
        let nobody = verifier_of_nobody(*hash, [0; 16], *rounds);
        if self.derive(nobody, name, password, origin).await?.is_none() {
            // The guess was looked at before, and was wrong.
            self.throttle.failed(name, origin.ip, Instant::now());
            return Err(Denied::Throttled(COME_BACK));
        }
        Ok(())
    }

    /// The key of a password as `like` has it; `None` if its turn did not come.
    async fn derive(
        &self,
        like: ScramVerifier,
        name: Option<&str>,
        password: Zeroizing<String>,
        origin: Origin,
    ) -> Result<Option<Vec<u8>>, Denied> {
        let turn = tokio::time::timeout(PATIENCE, self.derivations.acquire()).await;
        // Others may have failed while this one waited.
        if let Some(wait) = self.throttle.guesses().wait(name, origin.ip, Instant::now()) {
            return Err(Denied::Throttled(wait));
        }
        let Ok(Ok(_turn)) = turn else { return Ok(None) };
        let ScramVerifier { hash, salt, iterations, .. } = like;
        let derive =
            move || password::scram_verifier(hash, password.as_bytes(), &salt, iterations).stored_key;
        let derived = tokio::task::spawn_blocking(derive).await;
        Ok(Some(derived.map_err(|error| Denied::Unavailable(error.to_string()))?))
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
