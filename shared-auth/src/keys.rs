//! The key file: what must not be in the database.
//!
//! In    the data folder; the file is made on first use, readable by its owner alone.
//! Out   HA1 sealed with AES-256-GCM and bound to its account; MACs for nonces and for the salts of nobody; keys of
//! other services, each for one purpose.
//! Errors [`KeyError`]; a damaged file stops the start rather than locking everybody out in silence.
//!
//! All nodes of a cluster share the file; a lost file means that passwords must be set anew: without
//! it SCRAM alone goes on.

use std::io::Write;
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use shared_model::AccountId;
use zeroize::Zeroizing;

use crate::hash;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("cannot use the key file {}: {error}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the operating system said.
        error: std::io::Error,
    },
    /// The file has not the length of a key.
    #[error("the key file {} is damaged: it must hold 32 bytes", .0.display())]
    Damaged(PathBuf),
    /// There is none, and the store knows one, or has accounts whose passwords were sealed with it.
    #[error("the key file {} is missing, and without it no password of the accounts in the store, if it has any, is right: \
             put the one back that belongs to this store; if it is lost for good, `cusax renew-key`", .0.display())]
    Missing(PathBuf),
    /// The store was written with another.
    #[error("the key file {} is not the one that the accounts in the store were written with, so that no password would be right: \
             put the one back that belongs to this store; if it is lost for good, `cusax renew-key`", .0.display())]
    Another(PathBuf),
    /// The store does not say which key is its own.
    #[error("the store does not say which key is its own: {0}")]
    Store(#[from] shared_store::StoreError),
}

/// The keys that are derived from the file's one secret.
pub(crate) struct Keys {
    root: hmac::Key,
    seal: LessSafeKey,
    nonces: hmac::Key,
    salts: hmac::Key,
}

impl Keys {
    /// Reads the key file of `data_dir`, or makes it.
    pub(crate) fn open(data_dir: &Path) -> Result<Self, KeyError> {
        let path = file_in(data_dir);
        let io = |error| KeyError::Io { path: path.clone(), error };
        shared_store::make_private_folder(data_dir).map_err(io)?;
        let secret = Zeroizing::new(match std::fs::read(&path) {
            Ok(secret) => secret,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => create(&path).map_err(io)?,
            Err(error) => return Err(io(error)),
        });
        Self::derive(&secret).ok_or(KeyError::Damaged(path))
    }

    /// Reads the key file of `data_dir`, if there is one.
    pub(crate) fn look(data_dir: &Path) -> Result<Option<Self>, KeyError> {
        let path = file_in(data_dir);
        match std::fs::read(&path).map(Zeroizing::new) {
            Ok(secret) => Self::derive(&secret).map(Some).ok_or(KeyError::Damaged(path)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(KeyError::Io { path, error }),
        }
    }

    fn derive(secret: &[u8]) -> Option<Self> {
        if secret.len() != KEY_LENGTH {
            return None;
        }
        let root = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let derived = |label: &[u8]| hmac::sign(&root, label);
        Some(Self {
            seal: LessSafeKey::new(UnboundKey::new(&AES_256_GCM, derived(b"cusax ha1 seal").as_ref()).ok()?),
            nonces: hmac::Key::new(hmac::HMAC_SHA256, derived(b"cusax digest nonces").as_ref()),
            salts: hmac::Key::new(hmac::HMAC_SHA256, derived(b"cusax salts of nobody").as_ref()),
            root,
        })
    }

    /// Encrypts `clear` so that it opens for `account` alone: a random nonce, then the ciphertext.
    pub(crate) fn seal(&self, account: AccountId, clear: &[u8]) -> Vec<u8> {
        let nonce = hash::random::<NONCE_LEN>();
        let mut sealed = clear.to_vec();
        let aad = Aad::from(account.0.to_be_bytes());
        #[expect(clippy::expect_used, reason = "AES-GCM fails only beyond 64 GiB")]
        self.seal
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed)
            .expect("an HA1 is short");
        [&nonce[..], &sealed].concat()
    }

    /// Decrypts what [`Keys::seal`] made for this account; `None` for anything else.
    pub(crate) fn open_sealed(&self, account: AccountId, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut buffer = Zeroizing::new(ciphertext.to_vec());
        let aad = Aad::from(account.0.to_be_bytes());
        let length =
            self.seal.open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut buffer).ok()?.len();
        buffer.truncate(length);
        Some(buffer)
    }

    /// A key that serves one purpose outside this crate.
    pub(crate) fn key_for(&self, purpose: &str) -> [u8; KEY_LENGTH] {
        let mut key = [0; KEY_LENGTH];
        key.copy_from_slice(hmac::sign(&self.root, format!("cusax key for {purpose}").as_bytes()).as_ref());
        key
    }

    /// The MAC over a nonce's content.
    pub(crate) fn nonce_mac(&self, content: &[u8]) -> hmac::Tag {
        hmac::sign(&self.nonces, content)
    }

    /// The salt that nobody's account has: stable for a name, so that asking twice tells nothing.
    pub(crate) fn salt_of_nobody(&self, name: &str) -> [u8; 16] {
        let tag = hmac::sign(&self.salts, name.as_bytes());
        let mut salt = [0; 16];
        salt.copy_from_slice(&tag.as_ref()[..16]);
        salt
    }
}

/// Where the key is.
pub(crate) fn file_in(data_dir: &Path) -> PathBuf {
    data_dir.join(KEY_FILE)
}

/// Makes the file. When another process is faster, its key is taken.
fn create(path: &Path) -> std::io::Result<Vec<u8>> {
    let secret = hash::random::<KEY_LENGTH>();
    // Written aside and linked into place, so that nobody reads a half-written key.
    let aside = path.with_extension(format!("new-{}", std::process::id()));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&aside)?;
    file.write_all(&secret)?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&aside, path);
    std::fs::remove_file(&aside)?;
    match linked {
        Ok(()) => Ok(secret.to_vec()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => std::fs::read(path),
        Err(error) => Err(error),
    }
}

const KEY_FILE: &str = "auth.key";
const KEY_LENGTH: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_ha1_opens_for_its_account_alone() {
        let keys = Keys::derive(&[7; 32]).unwrap();
        let sealed = keys.seal(AccountId(1), b"secret");
        assert_eq!(keys.open_sealed(AccountId(1), &sealed).unwrap().as_slice(), b"secret");
        assert!(keys.open_sealed(AccountId(2), &sealed).is_none());
        assert!(keys.open_sealed(AccountId(1), &sealed[..5]).is_none());
        assert!(Keys::derive(&[8; 32]).unwrap().open_sealed(AccountId(1), &sealed).is_none());
    }

    #[test]
    fn each_purpose_has_a_key_of_its_own_that_outlives_the_process() {
        let keys = Keys::derive(&[7; 32]).unwrap();
        assert_ne!(keys.key_for("one"), keys.key_for("two"));
        assert_eq!(keys.key_for("one"), Keys::derive(&[7; 32]).unwrap().key_for("one"));
    }

    #[test]
    fn the_file_is_made_once_and_a_damaged_one_is_refused() {
        let folder = std::env::temp_dir().join(format!("cusax-keys-{}", std::process::id()));
        let first = Keys::open(&folder).unwrap().salt_of_nobody("bob");
        assert_eq!(Keys::open(&folder).unwrap().salt_of_nobody("bob"), first);
        std::fs::write(folder.join(KEY_FILE), b"short").unwrap();
        assert!(matches!(Keys::open(&folder), Err(KeyError::Damaged(_))));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
