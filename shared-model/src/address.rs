//! Addresses: `local@domain` in its compared form, and the three roles in which an address appears.
//!
//! In    text from a command line, a stored record or a protocol's parser.
//! Out   an [`Address`], already prepared: local part by UsernameCaseMapped (RFC 7622 §3.3), domain in lower case and U-labels
//!       without a trailing dot (RFC 7622 §3.2). What older releases stored was prepared by Nodeprep (RFC 6122 §2.3): where that is
//!       another form, a stored address keeps it, so that it can be read, shown and removed.
//! Errors [`AddressError`] names the part that is wrong.
//! Not here: resources of full JIDs (`xmpp-core`), URI parameters and escapes (`sip-core`).
//!
//! An AOR and a JID of one account need not look alike: the types do not convert into each other, only the
//! accounts' table binds them (RFC 7081 §3.1).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::idn;

/// `local@domain`, prepared for comparison. At most 1023 bytes a part (RFC 7622 §3.1).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    text: Arc<str>,
    at: usize,
}

/// Why a text is not an [`Address`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// There is no `@`, or nothing before it.
    #[error("an address is written local@domain, and the local part is missing")]
    NoLocal,
    /// Nothing stands after the `@`.
    #[error("an address is written local@domain, and the domain is missing")]
    NoDomain,
    /// A character that the local part may not hold: a space, a symbol, a variant of another letter, or one of `"&'/:<>@` (RFC 7622 §3.3).
    #[error("the local part holds a character that is not allowed there")]
    BadLocal,
    /// Not a host name: letters, digits, hyphens and dots, or an IP literal.
    #[error("the domain is not a host name")]
    BadDomain,
    /// A part is longer than 1023 bytes.
    #[error("a part of the address is longer than 1023 bytes")]
    TooLong,
}

impl Address {
    /// Prepares and joins the two parts.
    pub fn new(local: &str, domain: &str) -> Result<Self, AddressError> {
        let local = prepare_local(local)?;
        let domain = prepare_domain(domain)?;
        let at = local.len();
        Ok(Self { text: format!("{local}@{domain}").into(), at })
    }

    /// An address that may have been stored by an older release: as it stands, if that release prepared it so, or prepared anew.
    pub fn kept(text: &str) -> Result<Self, AddressError> {
        let prepared = text.parse::<Self>();
        if prepared.as_ref().is_ok_and(|it| it.as_str() == text) || text.is_ascii() {
            return prepared;
        }
        let Some((local, domain)) = text.split_once('@') else { return prepared };
        let is_old = (1..=LONGEST_PART).contains(&local.len())
            && stringprep::nodeprep(local).is_ok_and(|again| again == local)
            && prepare_domain(domain).is_ok_and(|again| again == domain);
        if is_old { Ok(Self { text: text.into(), at: local.len() }) } else { prepared }
    }

    /// What stands before the `@`.
    pub fn local(&self) -> &str {
        &self.text[..self.at]
    }

    /// What stands after the `@`.
    pub fn domain(&self) -> &str {
        &self.text[self.at + 1..]
    }

    /// The domain as name servers, certificates and SIP have it: in A-labels (RFC 3261 §25.1, RFC 5890 §2.3.2.1).
    pub fn host(&self) -> Cow<'_, str> {
        idn::to_ascii(self.domain())
    }

    /// The whole, `local@domain`.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (local, domain) = text.split_once('@').ok_or(AddressError::NoLocal)?;
        Self::new(local, domain)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Address {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::kept(&text).map_err(serde::de::Error::custom)
    }
}

/// Defines a role in which an [`Address`] appears, as a type of its own.
macro_rules! role {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Address);

        impl $name {
            /// Prepares and joins the two parts.
            pub fn new(local: &str, domain: &str) -> Result<Self, AddressError> {
                Address::new(local, domain).map(Self)
            }
        }

        impl std::ops::Deref for $name {
            type Target = Address;
            fn deref(&self) -> &Address {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = AddressError;
            fn from_str(text: &str) -> Result<Self, AddressError> {
                text.parse().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

role! {
    /// An address of record (RFC 3261 §6): what people dial, without its scheme.
    ///
    /// User parts compare without regard to case, as registrars do in practice; RFC 3261 §19.1.4 would tell
    /// `Alice` from `alice`, and no account here may differ from another in case alone.
    Aor
}

role! {
    /// A bare JID (RFC 6120 §1.4): what people chat with.
    BareJid
}

role! {
    /// The bare JID of a room (XEP-0045 §4.1); `sip:` before it is the URI of the room's call.
    RoomAddress
}

impl Aor {
    /// The AOR as a SIP URI, `sip:local@domain`, with what a user part may not hold escaped (RFC 3261 §25.1).
    pub fn to_sip_uri(&self) -> String {
        format!("sip:{}@{}", escape(self.local(), SIP_USER_PUNCTUATION), self.host())
    }
}

impl RoomAddress {
    /// The URI of the room's call.
    pub fn to_sip_uri(&self) -> String {
        Aor(self.0.clone()).to_sip_uri()
    }

    /// The room as an `xmpp:` URI (RFC 5122).
    pub fn to_xmpp_uri(&self) -> String {
        BareJid(self.0.clone()).to_xmpp_uri()
    }

    /// Whoever has this nick in the room, as an `xmpp:` URI (RFC 5122 §2.2).
    pub fn to_occupant_uri(&self, nick: &str) -> String {
        format!("{}/{}", self.to_xmpp_uri(), escape(nick, XMPP_RESOURCE_PUNCTUATION))
    }
}

impl BareJid {
    /// The JID as an `xmpp:` URI (RFC 5122 §2.2), with what a `nodeid` may not hold escaped.
    pub fn to_xmpp_uri(&self) -> String {
        format!("xmpp:{}@{}", escape(self.local(), XMPP_NODE_PUNCTUATION), domain_in_xmpp_uri(self.domain()))
    }
}

/// A domain as it stands in an `xmpp:` URI: in U-labels, escaped (RFC 5122 §2.7.3).
pub fn domain_in_xmpp_uri(domain: &str) -> String {
    escape(domain, XMPP_HOST_PUNCTUATION)
}

/// RFC 3261 §25.1: `mark` and `user-unreserved`.
const SIP_USER_PUNCTUATION: &[u8] = b"-_.!~*'()&=+$,;?/";
/// RFC 5122 §2.2: `unreserved` and `nodeallow`, less what RFC 7081 readers trip over.
const XMPP_NODE_PUNCTUATION: &[u8] = b"-._~!$()*+,;=";
/// RFC 3986 §3.2.2: `unreserved`, and what an IP literal is written with.
const XMPP_HOST_PUNCTUATION: &[u8] = b"-._~[:]";
/// RFC 5122 §2.2: `unreserved` and `resallow`, less the same.
const XMPP_RESOURCE_PUNCTUATION: &[u8] = b"-._~!$()*+,:;=";

fn escape(text: &str, allowed: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || allowed.contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn prepare_local(local: &str) -> Result<Cow<'_, str>, AddressError> {
    if local.is_empty() {
        return Err(AddressError::NoLocal);
    }
    let prepared = shared_precis::localpart(local).ok_or(AddressError::BadLocal)?;
    if prepared.len() > LONGEST_PART { Err(AddressError::TooLong) } else { Ok(prepared) }
}

fn prepare_domain(domain: &str) -> Result<Cow<'_, str>, AddressError> {
    if matches!(domain, "" | ".") {
        return Err(AddressError::NoDomain);
    }
    if domain.len() > LONGEST_PART + 1 {
        return Err(AddressError::TooLong);
    }
    let literal = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if literal.is_some_and(|literal| literal.parse::<std::net::Ipv6Addr>().is_ok()) {
        return Ok(Cow::Owned(domain.to_ascii_lowercase()));
    }
    let prepared = idn::to_unicode(domain).ok_or(AddressError::BadDomain)?;
    if prepared.len() > LONGEST_PART { Err(AddressError::TooLong) } else { Ok(prepared) }
}

const LONGEST_PART: usize = 1023;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_prepared_forms() {
        assert_eq!("Alice@Example.ORG.".parse::<Address>(), "alice@example.org".parse::<Address>());
        assert_eq!(Address::new("Alice", "example.org").unwrap().local(), "alice");
    }

    #[test]
    fn both_spellings_of_a_domain_are_one_address() {
        let one: Aor = "jürgen@xn--mnchen-3ya.example".parse().unwrap();
        assert_eq!(Ok(one.clone()), "jürgen@MÜNCHEN.example".parse());
        assert_eq!((one.domain(), &*one.host()), ("münchen.example", "xn--mnchen-3ya.example"));
        assert_eq!(one.to_sip_uri(), "sip:j%C3%BCrgen@xn--mnchen-3ya.example");
        let jid = BareJid::new("a", "xn--mnchen-3ya.example").unwrap();
        assert_eq!(jid.to_xmpp_uri(), "xmpp:a@m%C3%BCnchen.example");
        // RFC 5122 §2.7.3.
        let jid = BareJid::new("jiři", "čechy.example").unwrap();
        assert_eq!(jid.to_xmpp_uri(), "xmpp:ji%C5%99i@%C4%8Dechy.example");
    }

    #[test]
    fn refuses_each_part_that_is_wrong() {
        assert_eq!("example.org".parse::<Address>(), Err(AddressError::NoLocal));
        assert_eq!("@example.org".parse::<Address>(), Err(AddressError::NoLocal));
        assert_eq!("alice@".parse::<Address>(), Err(AddressError::NoDomain));
        assert_eq!("al ice@example.org".parse::<Address>(), Err(AddressError::BadLocal));
        assert_eq!("al/ice@example.org".parse::<Address>(), Err(AddressError::BadLocal));
        assert_eq!("ᵀom@example.org".parse::<Address>(), Err(AddressError::BadLocal), "no stream can say it");
        assert_eq!("♚@example.org".parse::<Address>(), Err(AddressError::BadLocal));
        assert_eq!("alice@exa mple.org".parse::<Address>(), Err(AddressError::BadDomain));
        assert_eq!("alice@example..org".parse::<Address>(), Err(AddressError::BadDomain));
        assert_eq!(Address::new(&"a".repeat(1024), "example.org"), Err(AddressError::TooLong));
    }

    #[test]
    fn escapes_what_a_uri_may_not_hold() {
        let odd = BareJid::new("müller#1", "example.org").unwrap();
        assert_eq!(odd.to_xmpp_uri(), "xmpp:m%C3%BCller%231@example.org");
        assert_eq!(Aor::new("a%b", "example.org").unwrap().to_sip_uri(), "sip:a%25b@example.org");
        assert_eq!(Aor::new("+331", "example.org").unwrap().to_sip_uri(), "sip:+331@example.org");
        let room = RoomAddress::new("dev", "conference.example.org").unwrap();
        assert_eq!(room.to_occupant_uri("A l/#"), "xmpp:dev@conference.example.org/A%20l%2F%23");
    }

    /// Nodeprep's form of an address that has another one now, or none, is read as it was stored, and no other text is.
    #[test]
    fn an_address_of_an_older_release_is_read_as_it_was_stored() {
        for old in
            ["♚@example.org", "o’brien@example.org", "\u{13a0}@example.org", "\u{10a0}@münchen.example"]
        {
            let kept = Address::kept(old).unwrap();
            assert_eq!(
                (kept.as_str(), kept.to_string().split_once('@')),
                (old, Some((kept.local(), kept.domain())))
            );
            assert_ne!(old.parse::<Address>(), Ok(kept), "nobody becomes that anew");
        }
        let form = |text| Address::kept(text).map(|kept| kept.to_string());
        assert_eq!(form("Jürgen@Example.ORG").as_deref(), Ok("jürgen@example.org"));
        assert_eq!(
            form("fußball@example.org").as_deref(),
            Ok("fußball@example.org"),
            "which Nodeprep made fussball"
        );
        for bad in ["henryⅣ@example.org", "♚ @example.org", "♚@exa mple.org", "♚"] {
            assert!(Address::kept(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn keeps_ipv6_literals() {
        assert_eq!("a@[::1]".parse::<Address>().unwrap().domain(), "[::1]");
        assert_eq!("a@[zz]".parse::<Address>(), Err(AddressError::BadDomain));
    }
}
