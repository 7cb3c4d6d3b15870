//! ENUM: a number becomes a SIP address by the names of the telephone network — RFC 6116 §3.2 (names), §3.4 (records).
//!
//! In    a number, E.164 with its plus; what a zone has under its name.
//! Out   the SIP URI of the first record that has one.
//! Errors a record that is for something else, or that cannot be read, is passed over.
//! Not here: records that are not the last (§3.4.1 lets us pass over them), services that say `E2U+voice:tel`.

use regex::bytes::{Regex, RegexBuilder};
use shared_runtime::names::Naptr;
use sip_core::Uri;

/// The name of a number in a zone: its digits turned round, with dots between.
pub(crate) fn name_of(number: &str, zone: &str) -> String {
    let digits = number.chars().rev().filter(char::is_ascii_digit);
    digits.flat_map(|digit| [digit, '.']).chain(zone.chars()).collect()
}

/// The SIP URI that the records of a number say, in their order.
pub(crate) fn sip_uri(number: &str, records: &[Naptr]) -> Option<String> {
    let useful = records
        .iter()
        .filter(|record| record.flags.eq_ignore_ascii_case("u") && is_sip_service(&record.service));
    useful.filter_map(|record| substitute(&record.regexp, number)).find(|uri| {
        Uri::parse(uri).is_some_and(|uri| uri.is_sip() && !uri.host.is_empty() && uri.headers.is_empty())
    })
}

/// §3.4.2.2: `E2U`, then services with a plus before each; RFC 3764 §4: `sip`, also as a subtype.
fn is_sip_service(services: &str) -> bool {
    let mut words = services.split('+');
    let is_enum = words.next().is_some_and(|word| word.eq_ignore_ascii_case("E2U"));
    is_enum && words.any(|word| word.split(':').any(|part| part.eq_ignore_ascii_case("sip")))
}

/// A substitution expression (RFC 3402 §3.2) used on a number; its flag `i` changes nothing there.
fn substitute(expression: &str, number: &str) -> Option<String> {
    let delimiter = expression.chars().next().filter(|first| !first.is_alphanumeric() && *first != '\\')?;
    let parts: Vec<&str> = expression.split(delimiter).collect();
    let [_, pattern, replacement, _flags] = parts[..] else { return None };
    let found = compiled(pattern)?.captures(number.as_bytes())?;
    let mut out = String::new();
    let mut rest = replacement.chars();
    while let Some(next) = rest.next() {
        match next {
            '\\' => match rest.next()? {
                digit @ '1'..='9' => {
                    let group = usize::from(digit as u8 - b'0');
                    out.push_str(found.get(group).map_or("", |group| &number[group.range()]));
                }
                other => out.push(other),
            },
            other => out.push(other),
        }
    }
    // What the pattern did not match stands where it stood.
    let whole = found.get(0)?;
    Some(format!("{}{out}{}", &number[..whole.start()], &number[whole.end()..]))
}

/// A POSIX extended expression from a stranger: bounded, and matched in linear time.
fn compiled(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(pattern).unicode(false).size_limit(LARGEST_PATTERN).build().ok()
}

/// Bytes of a compiled pattern.
const LARGEST_PATTERN: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn record(service: &str, regexp: &str) -> Naptr {
        Naptr {
            order: 100,
            preference: 10,
            flags: "u".to_owned(),
            service: service.to_owned(),
            regexp: regexp.to_owned(),
            replacement: ".".to_owned(),
        }
    }

    #[test]
    fn a_number_has_a_name() {
        assert_eq!(name_of("+442079460148", "e164.arpa"), "8.4.1.0.6.4.9.7.0.2.4.4.e164.arpa");
    }

    #[test]
    fn records_become_sip_uris() {
        let uri = |service, regexp| sip_uri("+441632960083", &[record(service, regexp)]);
        // RFC 6116 §3.6, the first example, and RFC 3764 §5.
        assert_eq!(uri("E2U+sip", "!^.*$!sip:user@example.com!").as_deref(), Some("sip:user@example.com"));
        assert_eq!(
            uri("e2u+Sip", r"!^\+44(\d+)$!sip:0\1@example.com;user=phone!i").as_deref(),
            Some("sip:01632960083@example.com;user=phone")
        );
        assert_eq!(
            uri("E2U+web:http+voice:sip", r"#^(.*)$#sips:\1@example.com#").as_deref(),
            Some("sips:+441632960083@example.com")
        );
        for (service, regexp) in [
            ("E2U+h323", "!^.*$!sip:user@example.com!"),
            ("sip+E2U", "!^.*$!sip:user@example.com!"),
            ("E2U+sip", "!^.*$!mailto:user@example.com!"),
            ("E2U+sip", "!^\\+45.*$!sip:user@example.com!"),
            ("E2U+sip", "!(!sip:user@example.com!"),
            ("E2U+sip", "!((((.{99}){99}){99}){99})!sip:user@example.com!"),
            ("E2U+sip", "!^.*$!sip:user@example.com"),
            ("E2U+sip", "!^.*$!sip:user@example.com?Subject=x!"),
            ("E2U+sip", ""),
        ] {
            assert_eq!(uri(service, regexp), None, "{service} {regexp}");
        }
    }

    #[test]
    fn the_first_that_is_of_use_counts() {
        let records = [
            record("E2U+email:mailto", "!^.*$!mailto:a@example.com!"),
            record("E2U+sip", "!^.*$!sip:first@example.com!"),
            record("E2U+sip", "!^.*$!sip:second@example.com!"),
        ];
        assert_eq!(sip_uri("+441632960083", &records).as_deref(), Some("sip:first@example.com"));
        assert_eq!(sip_uri("+441632960083", &[]), None);
    }
}
