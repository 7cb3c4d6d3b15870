//! From an entry of a directory to a person.
//!
//! In    attributes, as many as there are. Out a person, or why an entry can have no account.
//! Bounds of numbers and groups; what is beyond them is not looked at.

use ldap3::SearchEntry;
use shared_runtime::hex;

use super::LdapConfig;
use crate::outside::{Person, Source, short_names};
use crate::{check_shown_name, invites};

/// Why an entry is nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nobody {
    /// No user name: a group, a machine.
    NoName,
    /// A user name that no account can have.
    BadName,
    /// Nothing that tells it from another of the same name: the name of an entry is given to another one day.
    NoId,
}

/// Reads an entry.
pub(super) fn read(config: &LdapConfig, entry: &SearchEntry) -> Result<Person, Nobody> {
    // In ASCII alone: a Kelvin sign must not become a `k`, and so somebody else.
    let user = first(entry, &config.user).ok_or(Nobody::NoName)?.trim().to_ascii_lowercase();
    invites::check_grammar(&user).map_err(|_| Nobody::BadName)?;
    let subject = id(entry, &config.id).ok_or(Nobody::NoId)?;
    let name = first(entry, &config.name).and_then(|name| check_shown_name(name).ok());
    let numbers = all(entry, &config.numbers).iter().take(MOST_NUMBERS).filter(|number| is_e164(number));
    let is_in = |group: &String| group.eq_ignore_ascii_case(&config.admin_group);
    let admin = (!config.admin_group.is_empty()).then(|| all(entry, &config.groups).iter().any(is_in));
    let (name, numbers) = (name.unwrap_or_else(|| user.clone()), Some(numbers.cloned().collect()));
    let groups = short_names(all(entry, &config.groups).iter().map(String::as_str));
    let domain = String::new(); // whoever admits them says which
    Ok(Person { source: Source::Ldap, subject, user, name, numbers, admin, groups, domain })
}

/// RFC 4512 §2.5: names of attributes are compared in any case.
fn all<'a>(entry: &'a SearchEntry, name: &str) -> &'a [String] {
    let found = entry.attrs.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map_or(&[], |(_, values)| values.as_slice())
}

fn first<'a>(entry: &'a SearchEntry, name: &str) -> Option<&'a str> {
    all(entry, name).first().map(String::as_str)
}

/// Some directories have it in bytes, which may look like text once in a while (`objectGUID`).
fn id(entry: &SearchEntry, name: &str) -> Option<String> {
    let bytes = entry.bin_attrs.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    let bytes = bytes.and_then(|(_, values)| values.first()).map(Vec::as_slice);
    let id = first(entry, name).map(str::as_bytes).or(bytes).filter(|id| !id.is_empty())?;
    let is_text = !name.eq_ignore_ascii_case("objectGUID") && id.iter().all(u8::is_ascii_graphic);
    Some(if is_text { String::from_utf8_lossy(id).into_owned() } else { hex(id) })
}

/// Directories hold extensions and notes beside numbers, which are not dialled from outside.
fn is_e164(number: &str) -> bool {
    let is_digit = |c: char| c.is_ascii_digit() || " -()./".contains(c);
    number.strip_prefix('+').is_some_and(|rest| rest.len() <= 32 && rest.chars().all(is_digit))
}

const MOST_NUMBERS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(attributes: &[(&str, &[&str])]) -> SearchEntry {
        let attrs = attributes.iter().map(|(name, values)| {
            ((*name).to_owned(), values.iter().map(|value| (*value).to_owned()).collect())
        });
        SearchEntry { dn: "uid=Alice,dc=x".to_owned(), attrs: attrs.collect(), bin_attrs: Default::default() }
    }

    #[test]
    fn an_entry_is_a_person_whatever_the_case_of_its_names() {
        let config = LdapConfig { admin_group: "cn=admins,dc=x".to_owned(), ..LdapConfig::default() };
        let whole = entry(&[
            ("UID", &["Alice"]),
            ("CN", &["Alice B."]),
            ("telephonenumber", &["+33 1 23 45 67 89", "1234", "ask Bob"]),
            ("memberof", &["cn=x", "CN=Admins,dc=x"]),
            ("entryuuid", &["u-1"]),
        ]);
        let person = read(&config, &whole).unwrap();
        assert_eq!((person.user.as_str(), person.subject.as_str()), ("alice", "u-1"));
        assert_eq!(person.numbers.unwrap(), ["+33 1 23 45 67 89"]);
        assert_eq!((person.admin, person.name.as_str()), (Some(true), "Alice B."));
        assert_eq!(person.groups, ["Admins", "x"]);
        let bare =
            read(&LdapConfig::default(), &entry(&[("uid", &["alice"]), ("entryUUID", &["u-2"])])).unwrap();
        assert_eq!((bare.subject.as_str(), bare.name.as_str()), ("u-2", "alice"));
        assert_eq!(bare.admin, None);
    }

    #[test]
    fn who_has_nothing_that_never_changes_is_nobody_and_bytes_do() {
        for id in [&[][..], &[("entryUUID", &[""][..])]] {
            let whole = [&[("uid", &["alice"][..])][..], id].concat();
            assert_eq!(read(&LdapConfig::default(), &entry(&whole)), Err(Nobody::NoId));
        }
        let config = LdapConfig { id: "objectGUID".to_owned(), ..LdapConfig::default() };
        let mut bytes = entry(&[("uid", &["alice"])]);
        bytes.bin_attrs.insert("objectguid".to_owned(), vec![vec![0xff, 1]]);
        assert_eq!(read(&config, &bytes).unwrap().subject, "ff01");
        let text = entry(&[("uid", &["alice"]), ("objectGUID", &["ab"])]);
        assert_eq!(read(&config, &text).unwrap().subject, "6162", "bytes that look like text");
    }

    #[test]
    fn what_is_no_user_name_has_no_account_and_what_cannot_be_shown_no_name() {
        for bad in ["", "a b", "a+b", "a@b", "\u{430}lice", "a\u{0}", "\u{212a}im"] {
            let read = read(&LdapConfig::default(), &entry(&[("uid", &[bad]), ("entryUUID", &["u"])]));
            assert_eq!(read, Err(Nobody::BadName), "{bad}");
        }
        assert_eq!(read(&LdapConfig::default(), &entry(&[("cn", &["x"])])), Err(Nobody::NoName));
        let hostile = entry(&[("uid", &["eve"]), ("cn", &["a\u{202e}b"]), ("entryUUID", &["u"])]);
        assert_eq!(read(&LdapConfig::default(), &hostile).unwrap().name, "eve");
    }
}
