//! Addresses of XMPP entities — RFC 7622.
//!
//! In    text from an attribute.
//! Out   a [`Jid`] in its compared form: local part by UsernameCaseMapped (§3.3), domain in lower case and U-labels without a trailing
//!       dot (§3.2: A-labels become U-labels), resource by OpaqueString (§3.4). What emoji are joined by is nothing in a resource, and
//!       none begins with a space; `shared-precis` has the rulings. A nick is a resource, and no more is asked of it (§3.4.1 allows more).
//! Errors [`JidError`] names the part.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

/// `local@domain/resource`, each but the domain optional. Cloning costs a counter.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Jid {
    text: Arc<str>,
    /// Bytes of the local part; 0 means none.
    local: u16,
    /// Bytes up to the end of the domain.
    bare: u16,
}

/// Why a text is not a [`Jid`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JidError {
    /// An `@` with nothing before it, or a forbidden character in the local part (RFC 7622 §3.3.1).
    #[error("the local part of the address is empty or holds a forbidden character")]
    BadLocal,
    /// Empty, or neither a host name nor an IP address.
    #[error("the domain of the address is not a host name")]
    BadDomain,
    /// A `/` with nothing behind it, or a forbidden character.
    #[error("the resource of the address is empty or holds a forbidden character")]
    BadResource,
    /// A part is longer than 1023 bytes.
    #[error("a part of the address is longer than 1023 bytes")]
    TooLong,
}

impl Jid {
    /// Prepares and joins the parts.
    pub fn new(local: Option<&str>, domain: &str, resource: Option<&str>) -> Result<Self, JidError> {
        let local = local.map(prepare_local).transpose()?;
        let domain = prepare_domain(domain)?;
        let resource = resource.map(prepare_resource).transpose()?;
        let mut text = String::with_capacity(64);
        if let Some(local) = &local {
            text.push_str(local);
            text.push('@');
        }
        text.push_str(&domain);
        let bare = text.len();
        if let Some(resource) = &resource {
            text.push('/');
            text.push_str(resource);
        }
        Ok(Self { text: text.into(), local: local.map_or(0, |l| short(l.len())), bare: short(bare) })
    }

    /// The bare address of an account as it was stored, as it stands if an older release prepared it otherwise: for what is kept under it,
    /// and not for streams.
    pub fn kept(text: &str) -> Result<Self, JidError> {
        let prepared = text.parse::<Self>();
        if prepared.as_ref().is_ok_and(|it| it.text[..] == *text) {
            return prepared;
        }
        let (local, domain) = text.split_once('@').ok_or(JidError::BadLocal)?;
        let local = bounded(Cow::Borrowed(local), JidError::BadLocal)?;
        if prepare_domain(domain)? != domain {
            return prepared;
        }
        Ok(Self { text: text.into(), local: short(local.len()), bare: short(text.len()) })
    }

    /// The local part, if there is one.
    pub fn local(&self) -> Option<&str> {
        (self.local > 0).then(|| &self.text[..usize::from(self.local)])
    }

    /// The domain.
    pub fn domain(&self) -> &str {
        let start = if self.local > 0 { usize::from(self.local) + 1 } else { 0 };
        &self.text[start..usize::from(self.bare)]
    }

    /// The resource, if there is one.
    pub fn resource(&self) -> Option<&str> {
        self.text.get(usize::from(self.bare) + 1..)
    }

    /// `local@domain`, without the resource, as text.
    pub fn bare_str(&self) -> &str {
        &self.text[..usize::from(self.bare)]
    }

    /// The whole as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The domain of an address that is none for its other parts.
    pub(crate) fn domain_in(text: &str) -> Option<Self> {
        let bare = text.split('/').next()?;
        Self::new(None, bare.split_once('@').map_or(bare, |(_, domain)| domain), None).ok()
    }

    /// Whether there is no resource.
    pub fn is_bare(&self) -> bool {
        self.text.len() == usize::from(self.bare)
    }

    /// The address without its resource.
    pub fn to_bare(&self) -> Self {
        if self.is_bare() {
            return self.clone();
        }
        Self { text: self.bare_str().into(), local: self.local, bare: self.bare }
    }

    /// The bare address with this resource.
    pub fn with_resource(&self, resource: &str) -> Result<Self, JidError> {
        let resource = prepare_resource(resource)?;
        Ok(Self {
            text: format!("{}/{resource}", self.bare_str()).into(),
            local: self.local,
            bare: self.bare,
        })
    }
}

impl FromStr for Jid {
    type Err = JidError;

    /// RFC 7622 §3.2: the first `/` begins the resource, the first `@` before it ends the local part.
    fn from_str(text: &str) -> Result<Self, JidError> {
        let (bare, resource) = match text.split_once('/') {
            Some((bare, resource)) => (bare, Some(resource)),
            None => (text, None),
        };
        match bare.split_once('@') {
            Some((local, domain)) => Self::new(Some(local), domain, resource),
            None => Self::new(None, bare, resource),
        }
    }
}

impl fmt::Display for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn prepare_local(local: &str) -> Result<Cow<'_, str>, JidError> {
    bounded(shared_precis::localpart(local).ok_or(JidError::BadLocal)?, JidError::BadLocal)
}

fn prepare_resource(resource: &str) -> Result<Cow<'_, str>, JidError> {
    bounded(shared_precis::resourcepart(resource).ok_or(JidError::BadResource)?, JidError::BadResource)
}

fn prepare_domain(domain: &str) -> Result<Cow<'_, str>, JidError> {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    let literal = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_a_label = |label: &str| label.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("xn--"));
    let prepared = if let Some(literal) = literal {
        literal.parse::<std::net::Ipv6Addr>().map_err(|_| JidError::BadDomain)?;
        Cow::Owned(domain.to_ascii_lowercase())
    } else if !domain.is_ascii() || domain.split('.').any(is_a_label) {
        Cow::Owned(international(domain).ok_or(JidError::BadDomain)?)
    } else if !domain.split('.').all(is_label) {
        return Err(JidError::BadDomain);
    } else if domain.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(domain.to_ascii_lowercase())
    } else {
        Cow::Borrowed(domain)
    };
    bounded(prepared, JidError::BadDomain)
}

/// RFC 5891 §5: in U-labels, if there are A-labels of it that a name server takes.
fn international(domain: &str) -> Option<String> {
    let rules = Uts46::new();
    let (name, outcome) = rules.to_unicode(domain.as_bytes(), NOT_IN_NAMES, Hyphens::Allow);
    outcome.ok()?;
    rules.to_ascii(name.as_bytes(), NOT_IN_NAMES, Hyphens::Allow, DnsLength::Verify).ok()?;
    Some(name.into_owned())
}

fn is_label(label: &str) -> bool {
    !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

fn bounded(part: Cow<'_, str>, empty: JidError) -> Result<Cow<'_, str>, JidError> {
    match part.len() {
        0 => Err(empty),
        1..=LONGEST_PART => Ok(part),
        _ => Err(JidError::TooLong),
    }
}

fn short(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX) // three parts of at most 1023 bytes each
}

/// Letters, digits, hyphens, dots, and the underscore of services.
const NOT_IN_NAMES: AsciiDenyList = AsciiDenyList::new(true, "!\"#$%&'()*+,/:;<=>?@[\\]^`{|}~");
/// RFC 7622 §3.1: bytes a part.
const LONGEST_PART: usize = 1023;

#[cfg(test)]
mod tests {
    use super::*;

    fn jid(text: &str) -> Result<Jid, JidError> {
        text.parse()
    }

    #[test]
    fn splits_at_the_first_slash_and_the_first_at_before_it() {
        let it = jid("juliet@example.com/foo@bar/baz").unwrap();
        assert_eq!(
            (it.local(), it.domain(), it.resource()),
            (Some("juliet"), "example.com", Some("foo@bar/baz"))
        );
        let it = jid("example.com/a@b").unwrap();
        assert_eq!((it.local(), it.domain(), it.resource()), (None, "example.com", Some("a@b")));
        assert_eq!(it.to_bare().as_str(), "example.com");
    }

    #[test]
    fn compares_prepared_forms() {
        assert_eq!(jid("Juliet@Example.COM./Balcony").unwrap(), jid("juliet@example.com/Balcony").unwrap());
        assert_ne!(jid("juliet@example.com/Balcony").unwrap(), jid("juliet@example.com/balcony").unwrap());
    }

    /// RFC 7622 §3.2.
    #[test]
    fn domains_are_compared_in_u_labels() {
        let it = jid("a@XN--mnchen-3ya.Example/r").unwrap();
        assert_eq!(it, jid("a@MÜNCHEN.example./r").unwrap());
        assert_eq!(it.domain(), "münchen.example");
        assert_eq!(jid(it.as_str()), Ok(it));
        assert_eq!(jid("हिन्दी.example").unwrap(), jid("xn--j2bd4cyah0f.example").unwrap());
        assert_eq!(jid("a@\u{130}.example").unwrap(), jid("a@i\u{307}.example").unwrap());
    }

    /// RFC 7622 §3.5, table 1, whole; and what the text below it says of numbers 6, 7 and 9 to 11.
    #[test]
    fn takes_what_rfc_7622_section_3_5_lists() {
        for (number, text, parts) in [
            (1, "juliet@example.com", (Some("juliet"), "example.com", None)),
            (2, "juliet@example.com/foo", (Some("juliet"), "example.com", Some("foo"))),
            (3, "juliet@example.com/foo bar", (Some("juliet"), "example.com", Some("foo bar"))),
            (4, "juliet@example.com/foo@bar", (Some("juliet"), "example.com", Some("foo@bar"))),
            (5, "foo\\20bar@example.com", (Some("foo\\20bar"), "example.com", None)),
            (6, "fussball@example.com", (Some("fussball"), "example.com", None)),
            (7, "fu\u{df}ball@example.com", (Some("fußball"), "example.com", None)),
            (8, "\u{3c0}@example.com", (Some("π"), "example.com", None)),
            (9, "\u{3a3}@example.com/foo", (Some("σ"), "example.com", Some("foo"))),
            (10, "\u{3c3}@example.com/foo", (Some("σ"), "example.com", Some("foo"))),
            (11, "\u{3c2}@example.com/foo", (Some("ς"), "example.com", Some("foo"))),
            (12, "king@example.com/\u{265a}", (Some("king"), "example.com", Some("♚"))),
            (13, "example.com", (None, "example.com", None)),
            (14, "example.com/foobar", (None, "example.com", Some("foobar"))),
            (15, "a.example.com/b@example.net", (None, "a.example.com", Some("b@example.net"))),
        ] {
            let it = jid(text).unwrap_or_else(|error| panic!("{number}: {error}"));
            assert_eq!((it.local(), it.domain(), it.resource()), parts, "{number}");
        }
    }

    #[test]
    fn a_stored_address_of_an_older_release_stands_as_it_is() {
        for old in ["♚@münchen.example", "\u{13a0}@example.com", "juliet@example.com"] {
            let it = Jid::kept(old).unwrap();
            assert_eq!((it.as_str(), it.bare_str(), it.resource(), it.is_bare()), (old, old, None, true));
            assert_eq!(old.split_once('@'), it.local().map(|local| (local, it.domain())));
        }
        assert_eq!(Jid::kept("♚@exa mple"), Err(JidError::BadDomain));
        assert_eq!(Jid::kept("@example.com"), Err(JidError::BadLocal));
    }

    #[test]
    fn emoji_of_any_year_are_resources_and_no_names() {
        for (text, kept) in
            [("Ann 😀", "Ann 😀"), ("🫩", "🫩"), ("🇫🇷", "🇫🇷"), ("👩\u{200d}💻", "👩💻"), ("❤\u{fe0f}", "❤")]
        {
            let it = jid(&format!("room@c.example/{text}")).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(it.resource(), Some(kept));
            assert_eq!(jid(it.as_str()).as_ref(), Ok(&it), "{text}: it stays what it is");
        }
        assert_eq!(jid("😀@example.com"), Err(JidError::BadLocal), "§3.3: no symbols in names");
    }

    /// RFC 7622 §3.5, table 2 (16 to 23), whole, and some more.
    #[test]
    fn refuses_what_rfc_7622_section_3_5_lists() {
        for (number, text, error) in [
            (16, "\"juliet\"@example.com", JidError::BadLocal),
            (17, "foo bar@example.com", JidError::BadLocal),
            (18, "juliet@example.com/ foo", JidError::BadResource),
            (19, "@example.com/", JidError::BadLocal),
            (20, "henry\u{2163}@example.com", JidError::BadLocal),
            (21, "\u{265a}@example.com", JidError::BadLocal),
            (22, "juliet@", JidError::BadDomain),
            (23, "/foobar", JidError::BadDomain),
        ] {
            assert_eq!(jid(text), Err(error), "{number}");
        }
        assert_eq!(jid("@example.com"), Err(JidError::BadLocal));
        assert_eq!(jid("juliet@example.com/"), Err(JidError::BadResource));
        assert_eq!(jid("a@b@c"), Err(JidError::BadDomain));
        assert_eq!(jid(""), Err(JidError::BadDomain));
        assert_eq!(jid("\u{1d40}om@example.com"), Err(JidError::BadLocal), "a variant of T");
        assert_eq!(jid("a@b\u{ff0f}c.example"), Err(JidError::BadDomain));
        assert_eq!(jid("a@xn--99999999.example"), Err(JidError::BadDomain), "an A-label of nothing");
        assert_eq!(jid(&format!("{}@example.com", "a".repeat(1024))), Err(JidError::TooLong));
        assert_eq!(jid(&format!("a@example.com/{}", "é".repeat(512))), Err(JidError::TooLong));
        assert!(jid(&format!("a@example.com/{}", "r".repeat(1023))).is_ok());
    }
}
