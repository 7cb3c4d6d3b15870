//! When two URIs name the same resource — RFC 3261 §19.1.4 (sip, sips), RFC 3966 §4 (tel), RFC 5954 §4.2 (addresses).
//!
//! An escape equals the character that it stands for, unless that is a reserved one: `%3B` in a user part is no `;`.

use super::{Uri, ipv6};

impl Uri<'_> {
    /// Whether both name the same resource. Schemes other than `sip`, `sips` and `tel` compare byte by byte.
    pub fn is_same(&self, other: &Uri<'_>) -> bool {
        if !self.scheme.eq_ignore_ascii_case(other.scheme) {
            false
        } else if self.is_sip() {
            is_same_sip(self, other)
        } else if self.is_tel() {
            is_same_tel(self, other)
        } else {
            self.opaque == other.opaque
        }
    }
}

fn is_same_sip(one: &Uri<'_>, other: &Uri<'_>) -> bool {
    let is_same_password = match (one.password, other.password) {
        (Some(one), Some(other)) => canonical(one).eq(canonical(other)),
        (one, other) => one == other,
    };
    canonical(one.user).eq(canonical(other.user))
        && is_same_password
        && is_same_host(one.host, other.host)
        && one.port == other.port
        && has_same_params(one, other)
        && has_all_headers(one.headers, other.headers)
        && has_all_headers(other.headers, one.headers)
}

fn is_same_host(one: &str, other: &str) -> bool {
    let address = |host: &str| ipv6(host.strip_prefix('[')?.strip_suffix(']')?);
    one.eq_ignore_ascii_case(other) || address(one).is_some_and(|one| Some(one) == address(other))
}

/// A parameter in both matches; some must be in both or in neither.
fn has_same_params(one: &Uri<'_>, other: &Uri<'_>) -> bool {
    if is_too_many(one.params.iter()) || is_too_many(other.params.iter()) {
        return one.params == other.params;
    }
    let is_shared_same = |name: &str| {
        let (mine, theirs) = (values(one, name), values(other, name));
        theirs.clone().next().is_none() || alike_values(name, mine, theirs, |_, _| false)
    };
    one.params.iter().all(|(name, _)| is_shared_same(name))
        && ["user", "ttl", "method", "maddr", "transport"]
            .into_iter()
            .all(|name| values(one, name).next().is_some() == values(other, name).next().is_some())
}

/// Headers of a URI compare in any order.
fn has_all_headers(one: &str, other: &str) -> bool {
    if is_too_many(one.split('&')) || is_too_many(other.split('&')) {
        return one == other;
    }
    let divide = |header| -> (&str, Option<&str>) {
        let header: &str = header;
        header.split_once('=').map_or((header, None), |(name, value)| (name, Some(value)))
    };
    one.split('&').map(divide).all(|(name, value)| {
        other
            .split('&')
            .map(divide)
            .any(|(known, theirs)| is_alike(known, name) && is_alike_value(value, theirs))
    })
}

fn is_same_tel(one: &Uri<'_>, other: &Uri<'_>) -> bool {
    if is_too_many(one.params.iter()) || is_too_many(other.params.iter()) {
        return is_same_number(one.user, other.user) && one.params == other.params;
    }
    let has_all = |one: &Uri<'_>, other: &Uri<'_>| {
        one.params
            .iter()
            .all(|(name, _)| alike_values(name, values(one, name), values(other, name), is_numeric))
    };
    is_same_number(one.user, other.user) && has_all(one, other) && has_all(other, one)
}

/// The values of a parameter; one that should not be there twice has several.
fn values<'a>(uri: &Uri<'a>, name: &str) -> impl Iterator<Item = Option<&'a str>> + Clone {
    uri.params.iter().filter(move |(known, _)| is_alike(known, name)).map(|(_, value)| value)
}

fn alike_values<'a>(
    name: &str,
    mut mine: impl Iterator<Item = Option<&'a str>>,
    mut theirs: impl Iterator<Item = Option<&'a str>>,
    is_numeric: impl Fn(&str, &str) -> bool,
) -> bool {
    loop {
        let is_alike = match (mine.next(), theirs.next()) {
            (None, None) => return true,
            (Some(Some(mine)), Some(Some(theirs))) if is_numeric(name, mine) && is_numeric(name, theirs) => {
                is_same_number(mine, theirs)
            }
            (Some(mine), Some(theirs)) => is_alike_value(mine, theirs),
            (None, Some(_)) | (Some(_), None) => false,
        };
        if !is_alike {
            return false;
        }
    }
}

/// More than [`MOST`]: comparing each with each would take too long, so that they compare as they stand.
fn is_too_many<T>(mut parts: impl Iterator<Item = T>) -> bool {
    parts.nth(MOST).is_some()
}

/// Whether a parameter of a `tel:` is digits: a context that is no domain, an extension.
fn is_numeric(name: &str, value: &str) -> bool {
    name.eq_ignore_ascii_case("ext") || (name.eq_ignore_ascii_case("phone-context") && value.starts_with('+'))
}

fn is_same_number(one: &str, other: &str) -> bool {
    let digits = |text| lower(text).filter(|unit| !matches!(unit, Unit::Plain(byte) if is_separator(*byte)));
    digits(one).eq(digits(other))
}

/// RFC 3966 §3, `visual-separator`.
pub(super) fn is_separator(byte: u8) -> bool {
    b"-.()".contains(&byte)
}

fn is_alike(one: &str, other: &str) -> bool {
    lower(one).eq(lower(other))
}

fn is_alike_value(one: Option<&str>, other: Option<&str>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => is_alike(one, other),
        (one, other) => one == other,
    }
}

/// One character of a URI's part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// As it stands, or escaped without need.
    Plain(u8),
    /// A reserved character that is escaped.
    Reserved(u8),
}

fn canonical(text: &str) -> impl Iterator<Item = Unit> {
    let mut rest = text.as_bytes();
    std::iter::from_fn(move || {
        let (unit, after) = match rest {
            [b'%', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or_default() as u8;
                let byte = digit(*high) * 16 + digit(*low);
                let is_reserved = b";/?:@&=+$,".contains(&byte);
                (if is_reserved { Unit::Reserved(byte) } else { Unit::Plain(byte) }, after)
            }
            [byte, after @ ..] => (Unit::Plain(*byte), after),
            [] => return None,
        };
        rest = after;
        Some(unit)
    })
}

fn lower(text: &str) -> impl Iterator<Item = Unit> {
    canonical(text).map(|unit| match unit {
        Unit::Plain(byte) => Unit::Plain(byte.to_ascii_lowercase()),
        reserved => reserved,
    })
}

/// Parameters or headers of a URI that are compared one by one.
const MOST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn same(one: &str, other: &str) -> bool {
        let (one, other) = (Uri::parse(one).unwrap(), Uri::parse(other).unwrap());
        assert_eq!(one.is_same(&other), other.is_same(&one), "{one:?} and {other:?}: both ways alike");
        one.is_same(&other)
    }

    /// RFC 3261 §19.1.4, the examples.
    #[test]
    fn compares_as_19_1_4_shows() {
        assert!(same("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"));
        assert!(same("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"));
        assert!(same("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"));
        assert!(same(
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com"
        ));
        assert!(same(
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x"
        ));
        assert!(!same("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"));
        assert!(!same("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"));
        assert!(!same("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"));
        assert!(!same("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"));
        assert!(!same("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"));
        assert!(!same("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"));
        assert!(!same("sip:carol@chicago.com;security=off", "sip:carol@chicago.com;security=on"));
        assert!(!same("sip:bob@biloxi.com", "sips:bob@biloxi.com"));
    }

    #[test]
    fn a_reserved_character_is_not_its_escape() {
        assert!(!same("sip:a%3Bb@x", "sip:a;b@x") && same("sip:a%3Bb@x", "sip:a%3bb@x"));
        assert!(!same("sip:%2541@x", "sip:A@x"), "escapes are undone once");
        assert!(!same("sip:%00@x", "sip:%00%00@x"));
        assert!(same("sip:a@x;%6C%72;n%61me=v%61lue%25%34%31", "sip:a@x;lr;name=value%25%34%31"));
        assert!(
            !same("sip:a:b@x", "sip:a@x")
                && !same("sip:a:b@x", "sip:a:B@x")
                && same("sip:a:b@x", "sip:a:%62@x")
        );
    }

    #[test]
    fn what_stands_twice_counts_twice() {
        assert!(
            same("sip:a@x;p=1;p=2", "sip:a@x;P=1;p=2") && same("tel:+1;ext=1;ext=2", "tel:+1;ext=1;ext=2")
        );
        assert!(!same("sip:a@x;p=1;p=2", "sip:a@x;p=1") && !same("tel:+1;ext=1;ext=2", "tel:+1;ext=1"));
        let many = format!("sip:a@x{}", ";p=1".repeat(MOST + 1));
        assert!(same(&many, &many) && !same(&many, "sip:a@x"));
    }

    /// RFC 5954 §4.2, the examples.
    #[test]
    fn addresses_compare_as_numbers() {
        assert!(same("sip:bob@[::ffff:192.0.2.128]", "sip:bob@[::ffff:c000:280]"));
        assert!(same("sip:bob@[2001:db8::9:1]", "sip:bob@[2001:db8::9:01]"));
        assert!(same("sip:bob@[0:0:0:0:0:FFFF:129.144.52.38]", "sip:bob@[::FFFF:129.144.52.38]"));
        assert!(same("sip:bob@[2001:db8:::192.0.2.1]", "sip:bob@[2001:db8::c000:201]"));
        assert!(!same("sip:bob@[2001:db8::1]", "sip:bob@[2001:db8::2]"));
    }

    /// RFC 3966 §4.
    #[test]
    fn numbers_compare_without_their_separators() {
        assert!(same("tel:+1-201-555-0123", "TEL:+1(201)555.0123"));
        assert!(!same("tel:+12015550123", "tel:12015550123"), "a global number is no local one");
        assert!(same("tel:7042;phone-context=Example.com", "tel:70-42;phone-context=example.COM"));
        assert!(same("tel:863;phone-context=+1-914;ext=1-2", "tel:863;ext=12;phone-context=+1914"));
        assert!(!same("tel:863;phone-context=+1914", "tel:863"), "every parameter counts");
        assert!(!same("tel:863;phone-context=a.b", "tel:863;phone-context=a-b"));
        assert!(same("tel:a*5", "tel:A*5"));
    }

    #[test]
    fn other_schemes_compare_as_they_stand() {
        assert!(same("urn:service:sos", "URN:service:sos") && !same("urn:service:sos", "urn:service:SOS"));
    }
}
