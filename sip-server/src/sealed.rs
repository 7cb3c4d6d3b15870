//! Sealed tokens: what we tell others so that they bring it back, and can neither read nor make it (AES-256-GCM).
//!
//! In    a few bytes. Out text of letters, digits, `-` and `_`; the bytes again. Two seals of the same bytes look like
//! nothing in common.
//! Errors what is not ours, or is altered, opens to nothing.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;

/// Seals and opens under one key, for one purpose.
pub(crate) struct Sealer(LessSafeKey);

impl Sealer {
    /// Seals under this key.
    #[expect(clippy::expect_used, reason = "AES-256 takes every key of 32 bytes")]
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("32 bytes")))
    }

    /// Seals; `nonce` is never used twice.
    pub(crate) fn seal(&self, content: &[u8], nonce: [u8; NONCE_LEN]) -> Option<String> {
        let mut sealed = content.to_vec();
        let sealing = Nonce::assume_unique_for_key(nonce);
        self.0.seal_in_place_append_tag(sealing, Aad::empty(), &mut sealed).ok()?;
        Some(BASE64.encode([&nonce[..], &sealed].concat()))
    }

    /// Opens.
    pub(crate) fn open(&self, token: &str) -> Option<Vec<u8>> {
        let sealed = BASE64.decode(token).ok()?;
        let (nonce, content) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut content = content.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self.0.open_in_place(nonce, Aad::empty(), &mut content).ok()?.len();
        content.truncate(length);
        Some(content)
    }
}

/// A nonce that nobody had.
pub(crate) fn nonce() -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    nonce[..8].copy_from_slice(&shared_runtime::random().to_be_bytes());
    nonce[8..].copy_from_slice(&shared_runtime::random().to_be_bytes()[..4]);
    nonce
}

/// The first 64 bits of a text's SHA-256.
pub(crate) fn hash(text: &str) -> u64 {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    digest.as_ref().first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}
