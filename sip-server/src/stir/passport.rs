//! PASSporT — RFC 8225 §3 to §7, §9 (order of keys), RFC 8588 (`shaken`): a signed statement of who calls whom.
//!
//! In    the parties of a call; the text of a token. Out a token in full form; what a token says, and what its signature covers. Of one in
//!       compact form (§7) there is but the signature: what it covers is made anew of the request.
//! Errors what is not a PASSporT of ES256 reads as nothing.
//! Not here: tokens of ours in compact form, which need a Date that no hop touches; extensions but `shaken`.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};
use sip_core::Uri;

/// One party of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Party {
    /// A telephone number: its digits (RFC 8224 §8.3).
    Number(String),
    /// Somebody in a domain (RFC 8224 §8.5).
    Address(String),
}

impl Party {
    /// The party with a number, however it is written.
    pub(super) fn number(text: &str) -> Self {
        Self::Number(text.chars().filter(|c| c.is_ascii_digit() || "#*".contains(*c)).collect())
    }

    /// The party that a URI names. A user part is a number if it is one that the whole world can dial, or is said to be.
    pub(super) fn of(uri: &Uri<'_>) -> Option<Self> {
        if !uri.is_sip() && !uri.is_tel() {
            return None;
        }
        let user = uri.user_unescaped();
        let user = user.split(';').next().unwrap_or_default();
        let is_said =
            uri.is_tel() || uri.params.value("user").is_some_and(|user| user.eq_ignore_ascii_case("phone"));
        if is_said || user.starts_with('+') {
            return Some(Self::number(user)).filter(|party| *party != Self::Number(String::new()));
        }
        if user.is_empty() {
            return None;
        }
        let scheme = uri.scheme.to_ascii_lowercase();
        Some(Self::Address(format!("{scheme}:{}@{}", user.to_lowercase(), uri.host.to_ascii_lowercase())))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    // RFC 8225 §9: keys in lexicographic order, here and below.
    pub(super) alg: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ppt: Option<String>,
    pub(super) typ: String,
    pub(super) x5u: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claims {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) attest: Option<String>,
    pub(super) dest: Destinations,
    pub(super) iat: i64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) mky: Vec<Fingerprint>,
    pub(super) orig: Originator,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) origid: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Destinations {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tn: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    uri: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Originator {
    #[serde(skip_serializing_if = "Option::is_none")]
    tn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
}

/// A key of the media (RFC 8225 §5.2.2).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Fingerprint {
    pub(super) alg: String,
    pub(super) dig: String,
}

impl Destinations {
    pub(super) fn one(party: &Party) -> Self {
        match party {
            Party::Number(digits) => Self { tn: vec![digits.clone()], uri: Vec::new() },
            Party::Address(uri) => Self { tn: Vec::new(), uri: vec![uri.clone()] },
        }
    }

    /// Whether a party is among them.
    pub(super) fn has(&self, party: &Party) -> bool {
        match party {
            Party::Number(digits) => self.tn.contains(digits),
            Party::Address(uri) => self.uri.contains(uri),
        }
    }
}

impl Originator {
    pub(super) fn one(party: &Party) -> Self {
        match party {
            Party::Number(digits) => Self { tn: Some(digits.clone()), uri: None },
            Party::Address(uri) => Self { tn: None, uri: Some(uri.clone()) },
        }
    }

    pub(super) fn is(&self, party: &Party) -> bool {
        *self == Self::one(party)
    }
}

/// The keys of the media that a session description names (RFC 8225 §5.2.2: without colons, in order).
pub(super) fn fingerprints(sdp: &[u8]) -> Vec<Fingerprint> {
    let text = String::from_utf8_lossy(sdp);
    let mut found: Vec<Fingerprint> = text
        .lines()
        .filter_map(|line| line.trim_end().strip_prefix("a=fingerprint:")?.split_once(' '))
        .map(|(alg, dig)| Fingerprint {
            alg: alg.to_ascii_lowercase(),
            dig: dig.trim().replace(':', "").to_ascii_uppercase(),
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

/// What is signed.
pub(super) fn signing_input(header: &Header, claims: &Claims) -> Option<String> {
    let encode = |json: serde_json::Result<Vec<u8>>| json.ok().map(|json| BASE64.encode(json));
    Some(format!("{}.{}", encode(serde_json::to_vec(header))?, encode(serde_json::to_vec(claims))?))
}

/// A token with its signature.
pub(super) fn join(signed: &str, signature: &[u8]) -> String {
    format!("{signed}.{}", BASE64.encode(signature))
}

/// What a token says.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) header: Header,
    pub(super) claims: Claims,
    /// What its signature covers.
    pub(super) signed: String,
    pub(super) signature: Vec<u8>,
}

impl Token {
    /// The signature of a token in compact form.
    pub(super) fn compact(text: &str) -> Option<&str> {
        text.strip_prefix("..")
    }

    /// The token that a signature is said to be of.
    pub(super) fn rebuilt(header: Header, claims: Claims, signature: &str) -> Option<Self> {
        let signature = BASE64.decode(signature).ok()?;
        Some(Self { signed: signing_input(&header, &claims)?, header, claims, signature })
    }

    /// Reads a token in full form.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.').filter(|_| text.len() <= LONGEST)?;
        let (header, claims) = signed.split_once('.')?;
        let header: Header = serde_json::from_slice(&BASE64.decode(header).ok()?).ok()?;
        let claims = serde_json::from_slice(&BASE64.decode(claims).ok()?).ok()?;
        let is_passport = header.typ == "passport" && header.alg == "ES256";
        let signature = BASE64.decode(signature).ok().filter(|_| is_passport)?;
        Some(Self { header, claims, signed: signed.to_owned(), signature })
    }
}

/// The URI that `info` holds.
pub(super) fn info(value: &str) -> &str {
    value.trim().trim_start_matches('<').trim_end_matches('>')
}

/// Bytes of a token that are read.
const LONGEST: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn party(uri: &str) -> Option<Party> {
        Party::of(&Uri::parse(uri).unwrap())
    }

    #[test]
    fn numbers_and_addresses_have_one_form() {
        let number = Some(Party::Number("12155551212".to_owned()));
        assert_eq!(party("tel:+1-215-555-1212"), number);
        assert_eq!(party("sip:+12155551212;npdi@gw.example;user=phone"), number);
        assert_eq!(party("sip:1(215)5551212@x;user=phone"), number);
        assert_eq!(
            party("SIP:%41lice@X.example:5070;p"),
            Some(Party::Address("sip:alice@x.example".to_owned()))
        );
        assert_eq!((party("sip:x.example"), party("mailto:a@x")), (None, None));
    }

    /// RFC 8225 §9: the keys of both objects are in lexicographic order, without white space.
    #[test]
    fn a_token_is_printed_in_one_way_and_read_again() {
        let header = Header {
            alg: "ES256".into(),
            ppt: Some("shaken".into()),
            typ: "passport".into(),
            x5u: "https://x/c".into(),
        };
        let claims = Claims {
            attest: Some("A".into()),
            dest: Destinations::one(&Party::Number("12".into())),
            iat: 7,
            mky: fingerprints(b"v=0\r\na=fingerprint:SHA-256 ab:CD\r\na=fingerprint:sha-256 AB:cd\r\n"),
            orig: Originator::one(&Party::Address("sip:a@x".into())),
            origid: Some("o".into()),
        };
        let signed = signing_input(&header, &claims).unwrap();
        let (first, second) = signed.split_once('.').unwrap();
        let text = |part| String::from_utf8(BASE64.decode(part).unwrap()).unwrap();
        assert_eq!(text(first), r#"{"alg":"ES256","ppt":"shaken","typ":"passport","x5u":"https://x/c"}"#);
        assert_eq!(
            text(second),
            r#"{"attest":"A","dest":{"tn":["12"]},"iat":7,"mky":[{"alg":"sha-256","dig":"ABCD"}],"orig":{"uri":"sip:a@x"},"origid":"o"}"#
        );
        let token = join(&signed, b"s");
        let read = Token::read(&token).unwrap();
        assert_eq!(
            (&read.claims, read.signed.as_str(), read.signature.as_slice()),
            (&claims, signed.as_str(), &b"s"[..])
        );
        assert_eq!(read.header, header);
        // §7: the same, of what the request says.
        let compact = Token::compact("..cw").unwrap();
        let rebuilt = Token::rebuilt(header, claims, compact).unwrap();
        assert_eq!((&rebuilt.signed, &rebuilt.signature), (&read.signed, &read.signature));
        assert_eq!(Token::compact(&token), None);
        for wrong in ["", "..", "a.b.c", &signed, &"a".repeat(9_000)] {
            assert!(Token::read(wrong).is_none(), "{wrong}");
        }
    }
}
