//! Accounts that come from another server, or go to one — XEP-0227 1.1, section 4.3: SCRAM verifiers in place of a password.
//!
//! In    verifiers as RFC 5802 §3 has them. Out an account that logs in with them, or the verifiers of one.
//! Errors [`BookError`]; verifiers that are weaker than ours may be are left out.
//! Not here: HA1, which cannot be made of SCRAM verifiers: SIP Digest waits until the password is typed where it is seen, by PLAIN or
//! on a page, or another is set.

use shared_model::{AccountEvent, AccountId};
use shared_store::{Account, Credentials, ScramHash, ScramVerifier};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{AccountBook, BookError, LEAST_ITERATIONS, NewAccount};
use crate::authenticator::{PLAIN, has_ha1};
use crate::password::{self, Owner};
use crate::{AccountCard, hash};

impl AccountBook {
    /// Creates an account that nobody can log in to yet.
    pub async fn create_locked(&self, new: NewAccount) -> Result<AccountCard, BookError> {
        self.create_locked_as(AccountId(u128::from_be_bytes(hash::random())), new).await
    }

    /// The same, for an id that was rolled beforehand.
    pub(crate) async fn create_locked_as(
        &self,
        id: AccountId,
        new: NewAccount,
    ) -> Result<AccountCard, BookError> {
        let credentials = Credentials { realm: new.aor.host().into_owned(), ..Credentials::default() };
        self.insert(id, new, credentials).await
    }

    /// What proves the main password of an account by SCRAM.
    pub async fn verifiers(&self, id: AccountId) -> Result<Vec<ScramVerifier>, BookError> {
        Ok(self.read(id).await?.credentials.scram)
    }

    /// Gives an account without any verifier these; how many are taken. An account that has some keeps them.
    pub async fn adopt(&self, id: AccountId, verifiers: Vec<ScramVerifier>) -> Result<usize, BookError> {
        let account = self.read(id).await?;
        let verifiers: Vec<_> = verifiers.into_iter().filter(is_sound).collect();
        if account.credentials.has_keys() || verifiers.is_empty() {
            return Ok(0);
        }
        let taken = verifiers.len();
        self.change(account, |account| account.credentials.scram = verifiers).await?;
        self.tell(AccountEvent::Changed { account: id }).await;
        Ok(taken)
    }

    /// Makes what a main password lacks that was just proved by its HA1, or by this key: the HA1s, also where a lost key sealed some, and
    /// the verifiers of the hashes that there are none of. `password` is prepared. An account that changed meanwhile is left as it is: one
    /// without the key, or without an HA1 that opens.
    pub(crate) async fn complete(
        &self,
        id: AccountId,
        key: Option<&ScramVerifier>,
        password: Zeroizing<String>,
    ) -> Result<(), BookError> {
        let account = self.read(id).await?;
        let is_the_same = match key {
            Some(key) => account.credentials.scram.contains(key),
            None => self.fits_ha1(&account, &password),
        };
        if !is_the_same {
            return Ok(());
        }
        let made = (!has_ha1(&account, &self.keys)).then(|| {
            let Credentials { realm, .. } = &account.credentials;
            let owner = Owner { account: id, user: account.aor.local(), realm };
            password::sealed_ha1s(&password, &owner, &self.keys)
        });
        let (lacking, iterations) = (lacking(&account.credentials), self.iterations);
        let derive = move || {
            let of =
                |hash| password::scram_verifier(hash, password.as_bytes(), &hash::random::<16>(), iterations);
            lacking.into_iter().map(of).collect::<Vec<_>>()
        };
        let verifiers = tokio::task::spawn_blocking(derive).await.unwrap_or_default();
        self.change(account, |account| {
            account.credentials.scram.extend(verifiers);
            if let Some(made) = made {
                account.credentials.ha1 = made.into();
            }
        })
        .await?;
        self.tell(AccountEvent::Changed { account: id }).await;
        Ok(())
    }

    fn fits_ha1(&self, account: &Account, password: &str) -> bool {
        let mut kept = account.credentials.ha1.iter().filter(|ha1| ha1.algorithm == PLAIN);
        let parts =
            [account.aor.local().as_bytes(), account.credentials.realm.as_bytes(), password.as_bytes()];
        let given = Zeroizing::new(hash::digest_hash(PLAIN, &parts));
        kept.any(|ha1| {
            let kept = self.keys.open_sealed(account.id, &ha1.sealed);
            kept.is_some_and(|kept| kept.ct_eq(&given).into())
        })
    }
}

/// The hashes of SCRAM for which nothing is kept of a password.
pub(crate) fn lacking(credentials: &Credentials) -> Vec<ScramHash> {
    let is_lacking = |hash: &ScramHash| !credentials.scram.iter().any(|known| known.hash == *hash);
    [ScramHash::Sha512, ScramHash::Sha256, ScramHash::Sha1].into_iter().filter(is_lacking).collect()
}

/// Whether a verifier is one: its keys have the length of its hash, and its rounds are a bearable number.
fn is_sound(verifier: &ScramVerifier) -> bool {
    let length = match verifier.hash {
        ScramHash::Sha1 => 20,
        ScramHash::Sha256 => 32,
        ScramHash::Sha512 => 64,
    };
    verifier.stored_key.len() == length
        && verifier.server_key.len() == length
        && (1..=LONGEST_SALT).contains(&verifier.salt.len())
        && (LEAST_ITERATIONS..=MOST_ITERATIONS).contains(&verifier.iterations)
}

const LONGEST_SALT: usize = 256;
/// Clients must do as many rounds.
const MOST_ITERATIONS: u32 = 10_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verifiers_of_the_wrong_size_are_none() {
        let good = ScramVerifier {
            hash: ScramHash::Sha1,
            salt: vec![1; 16],
            iterations: 4096,
            stored_key: vec![1; 20],
            server_key: vec![1; 20],
        };
        assert!(is_sound(&good));
        assert!(!is_sound(&ScramVerifier { hash: ScramHash::Sha256, ..good.clone() }));
        assert!(!is_sound(&ScramVerifier { iterations: 1, ..good.clone() }));
        assert!(!is_sound(&ScramVerifier { salt: Vec::new(), ..good }));
    }
}
