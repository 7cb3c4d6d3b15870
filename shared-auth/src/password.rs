//! From a password to every verifier that any protocol needs, in one go (S-19).
//!
//! In    the clear password, the user part and the realm of its HA1, the rounds of PBKDF2.
//! Out   [`Credentials`]: SCRAM-SHA-1, -256 and -512, and HA1 for MD5, SHA-256 and SHA-512-256, the latter sealed.
//! Errors [`PasswordError`] for what SASLprep refuses.

use shared_model::AccountId;
use shared_store::{Credentials, DigestAlgorithm, ScramHash, ScramVerifier, SealedHa1};
use zeroize::Zeroizing;

use crate::hash;
use crate::keys::Keys;

/// Why a password cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Nothing is left of it after SASLprep.
    #[error("the password is empty")]
    Empty,
    /// RFC 4013 §2.3: control characters, unassigned code points and the like.
    #[error("the password holds a character that SASLprep (RFC 4013) forbids")]
    Forbidden,
    /// Longer than 1024 bytes.
    #[error("the password is longer than 1024 bytes")]
    TooLong,
}

/// Whose password it is; HA1 is bound to all of it.
pub(crate) struct Owner<'a> {
    pub(crate) account: AccountId,
    pub(crate) user: &'a str,
    pub(crate) realm: &'a str,
}

/// Makes all verifiers. Three times PBKDF2: not for an async task.
pub(crate) fn credentials(
    password: &str,
    owner: &Owner<'_>,
    iterations: u32,
    keys: &Keys,
) -> Result<Credentials, PasswordError> {
    let password = prepare(password)?;
    let scram = [ScramHash::Sha1, ScramHash::Sha256, ScramHash::Sha512]
        .map(|hash| scram_verifier(hash, password.as_bytes(), &hash::random::<16>(), iterations));
    let ha1 = sealed_ha1s(&password, owner, keys);
    Ok(Credentials { scram: scram.into(), ha1: ha1.into(), realm: owner.realm.to_owned() })
}

/// Makes those of a device that only calls. No PBKDF2: its password is random, and long enough that nobody guesses it.
pub(crate) fn credentials_for_calls(
    password: &str,
    owner: &Owner<'_>,
    keys: &Keys,
) -> Result<Credentials, PasswordError> {
    let ha1 = sealed_ha1s(&prepare(password)?, owner, keys);
    Ok(Credentials { scram: Vec::new(), ha1: ha1.into(), realm: owner.realm.to_owned() })
}

/// What is kept of a prepared password for Digest.
pub(crate) fn sealed_ha1s(password: &str, owner: &Owner<'_>, keys: &Keys) -> [SealedHa1; 3] {
    [DigestAlgorithm::Md5, DigestAlgorithm::Sha256, DigestAlgorithm::Sha512_256].map(|algorithm| {
        let parts = [owner.user.as_bytes(), owner.realm.as_bytes(), password.as_bytes()];
        let clear = Zeroizing::new(hash::digest_hash(algorithm, &parts));
        SealedHa1 { algorithm, sealed: keys.seal(owner.account, &clear) }
    })
}

/// What is kept of a prepared password for SCRAM (RFC 5802 §3).
pub(crate) fn scram_verifier(
    hash: ScramHash,
    password: &[u8],
    salt: &[u8],
    iterations: u32,
) -> ScramVerifier {
    let salted = Zeroizing::new(hash::scram_salted(hash, password, salt, iterations));
    verifier_of_salted(hash, &salted, salt, iterations)
}

/// What is kept of `SaltedPassword`.
pub(crate) fn verifier_of_salted(
    hash: ScramHash,
    salted: &[u8],
    salt: &[u8],
    iterations: u32,
) -> ScramVerifier {
    let client_key = Zeroizing::new(hash::scram_hmac(hash, salted, b"Client Key"));
    ScramVerifier {
        hash,
        salt: salt.to_vec(),
        iterations,
        stored_key: hash::scram_hash(hash, &client_key),
        server_key: hash::scram_hmac(hash, salted, b"Server Key"),
    }
}

/// HA1 in hexadecimal of a password that was just proved, for a client's provisioning; as good as the password.
/// `None` if the password cannot be prepared, which a proved one can.
pub fn ha1_of(aor: &shared_model::Aor, password: &str, algorithm: DigestAlgorithm) -> Option<String> {
    let password = prepare(password).ok()?;
    let realm = aor.host();
    let parts = [aor.local().as_bytes(), realm.as_bytes(), password.as_bytes()];
    Some(shared_runtime::hex(&hash::digest_hash(algorithm, &parts)))
}

/// SASLprep (RFC 4013).
pub(crate) fn prepare(password: &str) -> Result<Zeroizing<String>, PasswordError> {
    if password.len() > LONGEST_PASSWORD {
        return Err(PasswordError::TooLong);
    }
    let prepared = stringprep::saslprep(password).map_err(|_| PasswordError::Forbidden)?;
    if prepared.is_empty() {
        return Err(PasswordError::Empty);
    }
    Ok(Zeroizing::new(prepared.into_owned()))
}

const LONGEST_PASSWORD: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saslprep_makes_equal_what_looks_equal() {
        // RFC 4013 §3, examples 1, 4 and 6.
        assert_eq!(prepare("I\u{ad}X").unwrap().as_str(), "IX");
        assert_eq!(prepare("\u{aa}").unwrap().as_str(), "a");
        assert_eq!(prepare("\u{7}"), Err(PasswordError::Forbidden));
        assert_eq!(prepare(""), Err(PasswordError::Empty));
        assert_eq!(prepare(&"x".repeat(1025)), Err(PasswordError::TooLong));
    }
}
