//! Keys of sound in descriptions — RFC 4568 §5.1, §6.1, §9.2; RFC 6188 and RFC 7714 §14 (more suites). Pure.
//!
//! ```text
//! a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:<base64 of key and salt>|2^20
//! ```
//! In    the lines of a medium. Out the first that can be had, with its tag; our own line.
//! Errors a line with an MKI, several keys, a wrong length, or a session parameter that changes what is protected is passed
//! over, as if it were not there.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sip_core::sdp::Media;

use super::dtls;
use crate::config::Secrecy;
use crate::media::srtp::{Crypto, MasterKey, Suite};

/// What a leg may be protected with.
pub(super) struct Keys {
    pub(super) secrecy: Secrecy,
    /// As it is protected now: our key stays while the suite does (RFC 4568 §7.1.4).
    pub(super) now: Option<Crypto>,
    /// Makes random numbers.
    pub(super) random: Random,
    /// What keys may be made by, instead.
    pub(super) dtls: Option<dtls::Ours>,
}

/// Where random numbers come from.
pub(super) type Random = fn() -> u64;

impl Keys {
    /// Our key of a suite: that of now, or a new one.
    pub(super) fn ours(&self, suite: Suite) -> Option<MasterKey> {
        if let Some(now) = self.now.filter(|now| now.suite == suite) {
            return Some(now.ours);
        }
        let length = suite.key_length();
        let octets: Vec<u8> = (0..length).step_by(8).flat_map(|_| (self.random)().to_ne_bytes()).collect();
        MasterKey::new(&octets[..length])
    }

    /// The suites of an offer of ours with their keys, by their tags from 1.
    pub(super) fn offered(&self) -> Vec<(Suite, MasterKey)> {
        let suites: &[Suite] = match (self.secrecy, &self.now) {
            (Secrecy::Off, _) => &[],
            (_, Some(now)) => &[now.suite],
            (_, None) => &Suite::ALL,
        };
        suites.iter().filter_map(|suite| Some((*suite, self.ours(*suite)?))).collect()
    }
}

/// One line of a peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) tag: &'a str,
    pub(super) suite: Suite,
    pub(super) key: MasterKey,
}

/// The first line that can be had.
pub(super) fn choose<'a>(media: &Media<'a>) -> Option<Line<'a>> {
    media.values("crypto").find_map(parse)
}

/// Our line.
pub(super) fn print(tag: &str, suite: Suite, key: &MasterKey) -> String {
    format!("a=crypto:{tag} {} inline:{}\r\n", suite.as_str(), STANDARD.encode(key.octets()))
}

fn parse(value: &str) -> Option<Line<'_>> {
    let mut words = value.split_ascii_whitespace();
    let tag = words.next().filter(|tag| tag.len() < 10 && tag.bytes().all(|byte| byte.is_ascii_digit()))?;
    let suite = Suite::of(words.next()?)?;
    let mut parts = words.next()?.strip_prefix("inline:")?.split('|');
    // §6.1: padding is discarded.
    let key = STANDARD_NO_PAD.decode(parts.next()?.trim_end_matches('=')).ok()?;
    let key = MasterKey::new(&key).filter(|_| key.len() == suite.key_length())?;
    // What follows is a lifetime, which we never reach, or an MKI with its length, which has a colon.
    let has_mki = parts.any(|part| part.contains([':', ';']));
    // §6.3.7: parameters that are not known make the line invalid, unless their name begins with a hyphen.
    let is_usual = words.all(|word| word.starts_with('-') || word.starts_with("WSH="));
    (!has_mki && is_usual).then_some(Line { tag, suite, key })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

    fn line(text: &str) -> Option<(String, Suite)> {
        parse(text).map(|line| (line.tag.to_owned(), line.suite))
    }

    #[test]
    fn reads_what_the_rfc_shows() {
        let suite = Suite::Aes128Tag80;
        for text in ["", "|2^20", "|2^48", " WSH=128", " -ours=1"] {
            let read = line(&format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}{text}"));
            assert_eq!(read, Some(("1".to_owned(), suite)), "{text}");
        }
        let key = MasterKey::new(&[0xff; 28]).unwrap();
        let ours = print("7", Suite::Gcm128, &key);
        let read = parse(ours.trim().strip_prefix("a=crypto:").unwrap()).unwrap();
        assert_eq!((read.tag, read.suite, read.key), ("7", Suite::Gcm128, key));
    }

    #[test]
    fn passes_over_what_it_cannot_do() {
        for text in [
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:4"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|1:4;inline:{KEY}|2:4"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} UNENCRYPTED_SRTP"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} KDR=1"),
            format!("x AES_CM_128_HMAC_SHA1_80 inline:{KEY}"),
            format!("1 F8_128_HMAC_SHA1_80 inline:{KEY}"),
            format!("1 AEAD_AES_256_GCM inline:{KEY}"),
            "1 AES_CM_128_HMAC_SHA1_80 inline:c2hvcnQ=".to_owned(),
            "1 AES_CM_128_HMAC_SHA1_80".to_owned(),
            String::new(),
        ] {
            assert_eq!(line(&text), None, "{text}");
        }
    }
}
