//! A slot: the right to leave one file — XEP-0363 1.2.0, sections 4 (request), 7 (upload).
//!
//! ```text
//! Authorization: Bearer <slot as JSON, base64url> . <HMAC-SHA-256 of that, base64url>
//! ```
//! Nothing of it is kept in memory: whoever holds the words may leave that file, of that size, in that time.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// What may be left, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Slot {
    pub(crate) id: FileId,
    /// Whose it is: a bare JID.
    pub(crate) owner: String,
    pub(crate) name: String,
    /// Bytes, exactly.
    pub(crate) size: u64,
    /// The media type, if the client said one.
    pub(crate) media_type: Option<String>,
    /// Until when it may be left, milliseconds since 1970.
    pub(crate) until: i64,
    /// Until when it is shown, milliseconds since 1970.
    pub(crate) expires: i64,
    /// Whether its owner is of another domain.
    #[serde(default)]
    pub(crate) is_foreign: bool,
}

/// The name of a file in URLs and on disk: the hour in which it is forgotten, and 128 bits that nobody guesses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct FileId(String);

impl FileId {
    /// A new one; `random` holds 32 hexadecimal digits.
    pub(crate) fn new(expires: i64, random: &str) -> Self {
        Self(format!("{:x}-{random}", hour(expires) + 1))
    }

    /// The hour after which nobody needs the file, counted since 1970.
    pub(crate) fn hour(&self) -> i64 {
        let hour = self.0.split('-').next().unwrap_or_default();
        i64::from_str_radix(hour, 16).unwrap_or(0)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for FileId {
    type Error = &'static str;

    /// Nothing that is a path ever becomes an id.
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_hex = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        match text.split_once('-') {
            Some((hour, random))
                if (1..=12).contains(&hour.len()) && random.len() == 32 && is_hex(hour) && is_hex(random) =>
            {
                Ok(Self(text))
            }
            _ => Err("not the name of a file"),
        }
    }
}

impl From<FileId> for String {
    fn from(id: FileId) -> Self {
        id.0
    }
}

/// The hour of a moment.
pub(crate) fn hour(millis: i64) -> i64 {
    millis.div_euclid(3_600_000)
}

impl Slot {
    /// The words that prove it.
    pub(crate) fn sign(&self, key: &hmac::Key) -> String {
        let text = URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default());
        let tag = URL_SAFE_NO_PAD.encode(hmac::sign(key, text.as_bytes()));
        format!("{text}.{tag}")
    }

    /// The slot that the words prove at `now`.
    pub(crate) fn prove(words: &str, key: &hmac::Key, now: i64) -> Option<Self> {
        let (text, tag) = words.trim().split_once('.')?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        hmac::verify(key, text.as_bytes(), &tag).ok()?;
        let slot: Self = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        (slot.until > now).then_some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_proven_by_its_own_words_in_its_own_time() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"k");
        let slot = Slot {
            id: FileId::new(7_200_000, "00112233445566778899aabbccddeeff"),
            owner: "a@x".into(),
            name: "très cool.jpg".into(),
            size: 5,
            media_type: None,
            until: 1000,
            expires: 7_200_000,
            is_foreign: false,
        };
        assert_eq!(slot.id.hour(), 3);
        let words = slot.sign(&key);
        assert_eq!(Slot::prove(&words, &key, 999).as_ref(), Some(&slot));
        assert_eq!(Slot::prove(&words, &key, 1000), None);
        assert_eq!(Slot::prove(&words, &hmac::Key::new(hmac::HMAC_SHA256, b"l"), 0), None);
        let larger = Slot { size: 6, ..slot }.sign(&key);
        let mixed = format!("{}.{}", larger.split_once('.').unwrap().0, words.split_once('.').unwrap().1);
        assert_eq!(Slot::prove(&mixed, &key, 0), None);
        assert_eq!(Slot::prove("x", &key, 0), None);
    }

    #[test]
    fn no_path_is_an_id() {
        let id = |text: &str| FileId::try_from(text.to_owned());
        assert!(id("7a1-00112233445566778899aabbccddeeff").is_ok());
        for bad in [
            "",
            "-",
            "../etc",
            "7a1-0011",
            "7a1-../2233445566778899aabbccddeeff",
            "7A1-00112233445566778899AABBCCDDEEFF",
        ] {
            assert!(id(bad).is_err(), "{bad}");
        }
    }
}
