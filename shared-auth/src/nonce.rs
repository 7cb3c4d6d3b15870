//! Stateless Digest nonces (RFC 7616 §5.4): valid on every node that has the key file.
//!
//! ```text
//!  0        8        16                32 bytes, in base64url: 43 characters
//!  +--------+--------+-----------------+
//!  | millis | random | HMAC-SHA-256/16 |   the MAC covers millis, random and the realm
//!  +--------+--------+-----------------+
//!            the second half of it is the first, and the address that it was sent to, by exclusive or
//! ```

use std::net::IpAddr;

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
    /// A new nonce, made at `now` (milliseconds since 1970) for who is at this address.
    pub(crate) fn new(now: i64, to: IpAddr) -> Self {
        let half: [u8; 4] = hash::random();
        Self { made: u64::try_from(now).unwrap_or(0), random: with_address(half, to) }
    }

    /// Whether it was sent there.
    pub(crate) fn is_for(self, ip: IpAddr) -> bool {
        let [a, b, c, d, ..] = self.random;
        self.random == with_address([a, b, c, d], ip)
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

/// Of IPv6 the network counts, since phones change the rest.
fn with_address(half: [u8; 4], ip: IpAddr) -> [u8; 8] {
    let address = match ip.to_canonical() {
        IpAddr::V4(ip) => u32::from(ip),
        IpAddr::V6(ip) => {
            let network = (u128::from(ip) >> 64) as u64;
            (network >> 32) as u32 ^ (network as u32).rotate_left(16)
        }
    };
    let place = (u32::from_be_bytes(half) ^ address).to_be_bytes();
    let [a, b, c, d] = half;
    let [e, f, g, h] = place;
    [a, b, c, d, e, f, g, h]
}

const TEXT_LENGTH: usize = 43;
