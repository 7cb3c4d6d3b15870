//! Which password something was made under: it ends with that password, and not with a key more for the same (XEP-0480).
//!
//! ```text
//! all keys at that time . one key . another …        16 hexadecimal digits each
//! ```
//!
//! In    an account's verifiers. Out one word a password. State none.
//! Two words are of one password if they have a part in common: a new password has new salts, and so no old key. What was written before
//! keys stood apart has the first part alone, and fits while no key is added.

use shared_runtime::hex;
use shared_store::{Account, Credentials, DigestAlgorithm};

use crate::hash::digest_hash;

/// One word for each password of an account, the main one first.
pub(crate) fn fingerprints(account: &Account) -> Vec<String> {
    let apps = account.app_passwords.iter().map(|app| &app.credentials);
    std::iter::once(&account.credentials).chain(apps).map(print).collect()
}

/// The word of an account's main password.
pub(crate) fn main_fingerprint(account: &Account) -> String {
    print(&account.credentials)
}

/// Whether a word that was kept is of the password that another is of now.
pub(crate) fn is_same(kept: &str, now: &str) -> bool {
    kept.split('.').any(|part| now.split('.').any(|there| there == part))
}

fn print(credentials: &Credentials) -> String {
    let mut keys: Vec<&[u8]> =
        credentials.scram.iter().map(|verifier| verifier.stored_key.as_slice()).collect();
    if keys.is_empty() {
        // Of a device that only calls: sealed anew for each password.
        keys.extend(credentials.ha1.iter().map(|ha1| ha1.sealed.as_slice()));
    }
    let short = |keys: &[&[u8]]| hex(&digest_hash(DigestAlgorithm::Sha256, keys)[..8]);
    let each = keys.iter().map(|key| short(&[b"key", *key]));
    std::iter::once(short(&keys)).chain(each).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_more_is_the_same_password_and_other_keys_are_another() {
        let old = "aaaa";
        let (two, three, other) = ("aaaa.b.c", "dddd.b.c.e", "ffff.g.h");
        assert!(is_same(two, three) && is_same(old, two) && is_same(two, two));
        assert!(!is_same(two, other) && !is_same(old, three) && !is_same("", two));
    }
}
