//! Stateless Digest nonces (RFC 7616 §5.4): valid on every node that has the key file.
//!
//! ```text
//!  0        8        16                32 bytes, in base64url: 43 characters
//!  +--------+--------+-----------------+
//!  | millis | random | HMAC-SHA-256/16 |   the MAC covers millis, random and the realm
//!  +--------+--------+-----------------+
//! ```

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;

use crate::hash;
use crate::keys::Keys;

/// A nonce of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Nonce {
    /// When it was made, milliseconds since 1970.
    pub(crate) made: u64,
    /// What tells it from others of the same millisecond.
    pub(crate) random: [u8; 8],
}

impl Nonce {
    /// A new nonce, made at `now` (milliseconds since 1970).
    pub(crate) fn new(now: i64) -> Self {
        Self { made: u64::try_from(now).unwrap_or(0), random: hash::random() }
    }

    /// Its text for this realm.
    pub(crate) fn to_text(self, realm: &str, keys: &Keys) -> String {
        let content = self.content(realm);
        let mac = keys.nonce_mac(&content);
        URL_SAFE_NO_PAD.encode([&content[..16], &mac.as_ref()[..16]].concat())
    }

    /// Reads a text; `None` for what we did not make for this realm.
    pub(crate) fn parse(text: &str, realm: &str, keys: &Keys) -> Option<Self> {
        if text.len() != TEXT_LENGTH {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (made, rest) = bytes.split_first_chunk::<8>()?;
        let (random, mac) = rest.split_first_chunk::<8>()?;
        let nonce = Self { made: u64::from_be_bytes(*made), random: *random };
        let expected = keys.nonce_mac(&nonce.content(realm));
        bool::from(expected.as_ref()[..16].ct_eq(mac)).then_some(nonce)
    }

    /// How old it is at `now`, in milliseconds.
    pub(crate) fn age(self, now: i64) -> u64 {
        u64::try_from(now).unwrap_or(0).saturating_sub(self.made)
    }

    fn content(self, realm: &str) -> Vec<u8> {
        [&self.made.to_be_bytes()[..], &self.random, realm.as_bytes()].concat()
    }
}

const TEXT_LENGTH: usize = 43;
